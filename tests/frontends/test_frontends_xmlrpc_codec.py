"""XMLRPC documents: what is read, what is refused, what is written."""

from __future__ import annotations

import time
import xmlrpc.client
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtrader.errors import InvalidArgument, TooLarge
from txtrader.frontends.jsontext import Unreadable
from txtrader.frontends.xmlrpc_reader import Malformed, Unparsable, read_call
from txtrader.frontends.xmlrpc_writer import Price, write_fault, write_response


def call(inner: str) -> bytes:
    return f"<methodCall><methodName>m</methodName><params>{inner}</params></methodCall>".encode()


def value(inner: str):
    (argument,) = read_call(call(f"<param><value>{inner}</value></param>")).arguments
    return argument


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**31), 2**31 - 1)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=50),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(values, max_size=5))
def test_what_the_standard_library_writes_is_read(arguments):
    body = xmlrpc.client.dumps(tuple(arguments), "limit_order", allow_none=True).encode()
    found = read_call(body)
    assert found.method == "limit_order" and found.arguments == arguments


@given(values)
def test_what_is_written_the_standard_library_reads(answer):
    ((found,), _) = xmlrpc.client.loads(write_response(answer))
    assert found == answer


def test_numbers_are_the_very_token():
    assert value("<int>7</int>") == 7 and value("<i4>-7</i4>") == -7 and value("<i8>9000000000</i8>") == 9000000000
    assert str(value("<double>124.50</double>")) == "124.50"
    assert str(value("<double>0.30000000000000004</double>")) == "0.30000000000000004"
    assert str(value("<int>-0</int>")) == "-0"
    assert value("<double>100</double>") == 100


@pytest.mark.parametrize(
    "inner",
    [
        "<double>1e-05</double>",
        "<double>1E5</double>",
        "<double>nan</double>",
        "<double>inf</double>",
        "<double>+5</double>",
        "<double>.5</double>",
        "<double>5.</double>",
        "<double>01.5</double>",
        "<double> 5</double>",
        "<double></double>",
        f"<double>{'9' * 4000}</double>",
        "<double>\u0665</double>",
        "<double>1_0.0</double>",
        "<int>1.0</int>",
        "<int>01</int>",
        "<int>+1</int>",
        "<int>0x10</int>",
        "<int>1_000</int>",
        "<int>\uff11</int>",
        f"<int>{'1' * 4000}</int>",
        "<int></int>",
        "<boolean>true</boolean>",
        "<boolean>2</boolean>",
        "<boolean></boolean>",
        "<dateTime.iso8601>20261120T00:00:00</dateTime.iso8601>",
        "<base64>AAAA</base64>",
    ],
)
def test_what_no_argument_takes_is_marked_for_the_place_that_knows_its_name(inner: str):
    assert isinstance(value(inner), Unreadable)


def test_a_value_without_a_type_is_text():
    assert value("IBM") == "IBM"
    assert value("") == ""
    assert value("a &amp; b &lt;c&gt;") == "a & b <c>"
    assert value("<nil/>") is None and value("<ex:nil/>".replace("ex:", "")) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"<methodCall>",
        b"<!DOCTYPE x><methodCall><methodName>m</methodName></methodCall>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><methodCall><methodName>&a;</methodName></methodCall>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><methodCall><methodName>m</methodName></methodCall>',
        b"<?xml-stylesheet href='x'?><methodCall><methodName>m</methodName></methodCall>",
        b"<methodCall><?pi?><methodName>m</methodName></methodCall>",
        "<?xml version='1.0' encoding='utf-16'?><methodCall><methodName>m</methodName></methodCall>".encode("utf-16"),
        "<methodCall><methodName>m</methodName></methodCall>".encode("utf-16"),
        b"<?xml version='1.0' encoding='latin-1'?><methodCall><methodName>m</methodName></methodCall>",
        b"<methodCall><methodName>\xff</methodName></methodCall>",
        b"<methodCall><methodName>m</methodName></methodCall>trailing",
        b"<methodCall><methodName>m&#0;</methodName></methodCall>",
        b"<methodCall><methodName>&undefined;</methodName></methodCall>",
    ],
)
def test_what_is_no_xml_of_ours_is_unparsable(body: bytes):
    with pytest.raises(Unparsable) as caught:
        read_call(body)
    assert caught.value.number == -32700


@pytest.mark.parametrize(
    "body",
    [
        b"<methodResponse/>",
        b"<methodCall/>",
        b"<methodCall><params/></methodCall>",
        b"<methodCall><methodName>a b</methodName></methodCall>",
        b"<methodCall><methodName></methodName></methodCall>",
        b"<methodCall><methodName>m</methodName><methodName>n</methodName></methodCall>",
        b"<methodCall>text<methodName>m</methodName></methodCall>",
        call("<value>1</value>"),
        call("<param/>"),
        call("<param><value>1</value><value>2</value></param>"),
        call("<param><value>x<int>1</int></value></param>"),
        call("<param><value><int>1</int><int>2</int></value></param>"),
        call("<param><value><int><int>2</int></int></value></param>"),
        call("<param><value><array><value>1</value></array></value></param>"),
        call("<param><value><array/></value></param>"),
        call("<param><value><float>1</float></value></param>"),
        call("<param><value><struct><member><name>a</name></member></struct></value></param>"),
        call("<param><value><struct><member><value>1</value><name>a</name></member></struct></value></param>"),
        call(
            "<param><value><struct><member><name>a</name><value>1</value></member>"
            "<member><name>a</name><value>2</value></member></struct></value></param>"
        ),
        call("<param><value type='int'>1</value></param>"),
    ],
)
def test_what_is_no_call_is_malformed(body: bytes):
    with pytest.raises(Malformed) as caught:
        read_call(body)
    assert caught.value.number == -32600


def test_depth_arrays_structs_and_strings_are_bounded():
    def nested(depth: int) -> str:
        return "<array><data><value>" * depth + "1" + "</value></data></array>" * depth

    assert value(nested(32))
    for inner in (
        nested(33),
        "<array><data>" + "<value>1</value>" * 1001 + "</data></array>",
        "<struct>" + "".join(f"<member><name>{n}</name><value>1</value></member>" for n in range(101)) + "</struct>",
        f"<string>{'x' * 4097}</string>",
        "x" * 4097,
    ):
        with pytest.raises(TooLarge):
            value(inner)


def test_hostile_documents_cost_no_more_than_their_length():
    bomb = b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + b"".join(
        b'<!ENTITY a%d "%s">' % (n, b"&a;" * 10) for n in range(9)
    )
    for body in (
        bomb + b"]><methodCall><methodName>&a8;</methodName></methodCall>",
        call("<param><value>" + "<array><data><value>" * 3000),
        call("<param><value>" + "x" * 60000 + "</value></param>"),
        call("<param><value>" + "&#65;" * 12000 + "</value></param>"),
    ):
        start = time.process_time()
        with pytest.raises((InvalidArgument, TooLarge)):
            read_call(body)
        assert time.process_time() - start < 0.1


def test_prices_are_doubles_and_whole_sizes_are_ints():
    text = write_response(
        {"price": Decimal("125"), "filled": Decimal("100"), "quantity": Decimal("0.5"), "volume": Decimal("1E+10")}
    ).decode()
    assert "<name>price</name><value><double>125</double>" in text
    assert "<name>filled</name><value><int>100</int>" in text
    assert "<name>quantity</name><value><double>0.5</double>" in text
    assert "<name>volume</name><value><double>10000000000</double>" in text
    assert "<double>7</double>" in write_response([Price(7)]).decode()


def test_tiny_prices_are_written_in_full():
    assert "<double>0.0000001</double>" in write_response({"price": Decimal("1E-7")}).decode()


def test_what_xml_cannot_hold_is_shown_as_an_escape():
    ((found,), _) = xmlrpc.client.loads(write_response("a\x00b\x1b[2J\r\nß"))
    assert found == "a\\x00b\\x1b[2J\\r\nß"


def test_a_fault_is_a_fault():
    with pytest.raises(xmlrpc.client.Fault) as caught:
        xmlrpc.client.loads(write_fault(-32004, "not-found: <id>"))
    assert (caught.value.faultCode, caught.value.faultString) == (-32004, "not-found: <id>")
