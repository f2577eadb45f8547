"""The message table: what is written is read back, at every version and in both directions."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tws_random_fields import some_fields

from txtrader.errors import LocalProtocolError, RemoteProtocolError
from txtrader.wire.tws.layout import Choice
from txtrader.wire.tws.message import Message
from txtrader.wire.tws.table import (
    MAX_VERSION,
    MIN_VERSION,
    REQUESTS,
    RESPONSES,
    UnknownMessageError,
    UnreadableError,
)

BOTH = [(table, entry) for table in (REQUESTS, RESPONSES) for entry in table.by_name.values()]


@settings(max_examples=60, deadline=None)
@given(version=st.integers(MIN_VERSION, MAX_VERSION), seed=st.integers(0, 2**32))
def test_what_is_written_is_read_back(version: int, seed: int) -> None:
    random = Random(seed)
    for table, entry in BOTH:
        used = max(version, entry.since)
        fields = some_fields(entry.layout.body, used, random, {})
        body = table.encode(Message(entry.name, fields), used)
        assert body.startswith(entry.text.encode() + b"\0")
        message, left_over = table.decode(body, used)
        assert message == Message(entry.name, fields)
        assert left_over == 0


def test_a_message_without_fields_is_written_and_read_as_unset() -> None:
    for table, entry in BOTH:
        chosen = {"tickType": 4} if any(isinstance(node, Choice) for node in entry.layout.body) else {}
        message, _ = table.decode(table.encode(Message(entry.name, chosen), MAX_VERSION), MAX_VERSION)
        assert message.name == entry.name
        assert not any(value for name, value in message.fields.items() if name not in chosen)


def test_missing_trailing_fields_are_unset_wherever_the_body_ends() -> None:
    for entry in REQUESTS.by_name.values():
        texts = REQUESTS.encode(Message(entry.name, {}), MAX_VERSION).split(b"\0")[:-1]
        for length in range(1, len(texts) + 1):
            message, _ = REQUESTS.decode(b"\0".join(texts[:length]) + b"\0", MAX_VERSION)
            assert message.name == entry.name


def test_fields_left_over_are_counted_and_ignored() -> None:
    message, left_over = REQUESTS.decode(b"49\x001\x00more\x00\x00", 178)
    assert message == Message("reqCurrentTime", {})
    assert left_over == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2147483647",
        "9223372036854775807",
        "-9223372036854775808",
        "1.7976931348623157E308",
        "1.7976931348623157e+308",
        "170141183460469231731687303715884105727",
    ],
)
def test_every_way_to_write_unset_is_none(text: str) -> None:
    message, _ = RESPONSES.decode(f"94\x001\x00{text}\x00{text}\x001.5\x00".encode(), 178)
    assert message.fields == {"reqId": 1, "dailyPnL": None, "unrealizedPnL": None, "realizedPnL": Decimal("1.5")}


@pytest.mark.parametrize("text", ["1.5", "x", " 1", "1 ", "１", "1_0", "0x1", "1e2", "9" * 30])  # noqa: RUF001
def test_what_is_no_integer_is_refused(text: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        REQUESTS.decode(f"2\x002\x00{text}\x00".encode(), 178)
    assert caught.value.path == "reqId"


@pytest.mark.parametrize("text", ["nan", "inf", "Infinity", "1e", "1_0.0", "0x1p3", "--1", "1e9999", ".", "1 "])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        RESPONSES.decode(f"45\x006\x001\x0049\x00{text}\x00".encode(), 178)
    assert caught.value.path == "value"


@pytest.mark.parametrize("text", ["Infinity", "Infinite"])
def test_up_to_the_mid_is_a_real_value(text: str) -> None:
    order = {
        "orderType": "PEG BEST",
        "competeAgainstBestOffset": Decimal("Infinity"),
        "midOffsetAtHalf": Decimal("0.5"),
    }
    body = REQUESTS.encode(Message("placeOrder", order), 170)
    assert b"Infinity\0" in body
    message, _ = REQUESTS.decode(body.replace(b"Infinity", text.encode()), 170)
    assert message["competeAgainstBestOffset"] == Decimal("Infinity")
    assert message["midOffsetAtHalf"] == Decimal("0.5")


def test_a_count_beyond_the_fields_is_refused_at_once() -> None:
    with pytest.raises(UnreadableError):
        RESPONSES.decode(b"78\x00999999999\x00a\x00b\x00", 178)


def test_the_fields_before_a_broken_one_are_kept_for_the_answer() -> None:
    with pytest.raises(UnreadableError) as caught:
        REQUESTS.decode(b"1\x0011\x0042\x00not a conId\x00", 178)
    assert caught.value.fields == {"reqId": 42}


@pytest.mark.parametrize("body", [b"", b"49", b"49\x001", b"\xff\xfe\x00"])
def test_a_body_that_is_not_terminated_text_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        REQUESTS.decode(body, 178)


@pytest.mark.parametrize("body", [b"999\x00", b"049\x00", b"\x00", b"104\x001\x00"])
def test_an_id_of_no_message_at_this_version_is_named(body: bytes) -> None:
    with pytest.raises(UnknownMessageError):
        REQUESTS.decode(body, 166)


def test_sizes_are_trimmed_to_whole_units_for_old_clients() -> None:
    tick = Message("tickSize", {"reqId": 1, "tickType": 0, "size": Decimal("12.75")})
    assert RESPONSES.encode(tick, 162) == b"2\x006\x001\x000\x0012\x00"
    assert RESPONSES.encode(tick, 163) == b"2\x006\x001\x000\x0012.75\x00"


def test_text_is_ascii_from_153_and_backslashes_survive_unescaping() -> None:
    error = Message("error", {"reqId": -1, "errorCode": 1, "errorString": "C:\\new Zürich \U0001f600"})
    body = RESPONSES.encode(error, 153)
    assert body.isascii()
    text = body.split(b"\0")[4].decode()
    assert (
        text.encode().decode("unicode-escape").encode("utf-16", "surrogatepass").decode("utf-16")
        == error["errorString"]
    )
    assert "Zürich".encode() in RESPONSES.encode(error, 152)


def test_an_order_reference_keeps_its_backslash_because_no_client_unescapes_it() -> None:
    body = RESPONSES.encode(Message("openOrder", {"orderRef": "a\\b"}), 178)
    assert b"\0a\\b\0" in body


def test_numbers_are_written_without_exponent() -> None:
    tick = Message("tickPrice", {"reqId": 1, "tickType": 1, "price": Decimal("1E+3"), "size": Decimal("1E-7")})
    assert RESPONSES.encode(tick, 178) == b"1\x006\x001\x001\x001000\x000.0000001\x00\x00"


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("noSuchMessage", {}),
        ("tickPrice", {"prize": Decimal(1)}),
        ("tickPrice", {"price": 1.5}),
        ("tickPrice", {"price": Decimal("NaN")}),
        ("tickPrice", {"reqId": "1"}),
        ("error", {"errorString": "a\0b"}),
        ("orderStatus", {"whyHeld": 1}),
        ("historicalDataEnd", {"reqId": 1}),
    ],
)
def test_what_cannot_be_sent_is_our_own_fault(name: str, fields: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError):
        RESPONSES.encode(Message(name, fields), 178)


def test_options_are_read_with_and_without_their_count() -> None:
    start = REQUESTS.encode(Message("calculateOptionPrice", {"reqId": 1}), 178)
    bare = start[: -len(b"0\0\0")]
    for tail, options in [(b"", ""), (b"0\0", ""), (b"0\0\0", ""), (b"2\0a=1;b=2;\0", "a=1;b=2;"), (b"a=1;\0", "a=1;")]:
        message, left_over = REQUESTS.decode(bare + tail, 178)
        assert (message["optPrcOptions"], left_over) == (options, 0)
