"""OUCH 4.2 and 5.0: the lengths of the specification, both directions, and appendages of both editions."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from txtrader.errors import LocalProtocolError, RemoteProtocolError
from txtrader.wire.ouch.codec import BadAppendage, Codec, OuchMessage
from txtrader.wire.ouch.layouts import MESSAGES, TAGS, Field

LENGTHS: dict[tuple[str, bool], dict[str, int]] = {
    ("4.2", True): {"O": 49, "U": 47, "X": 19, "M": 20},
    ("4.2", False): {
        "S": 10, "A": 66, "U": 80, "C": 28, "D": 37, "E": 40, "G": 45, "F": 41, "B": 32, "K": 36, "J": 24, "P": 23,
        "I": 23, "T": 36, "M": 28,
    },
    ("5.0", True): {"O": 45, "U": 38, "X": 9, "M": 10, "C": 17, "D": 9, "E": 9, "Q": 1},
    ("5.0", False): {
        "S": 10, "A": 62, "U": 66, "C": 18, "D": 32, "E": 34, "B": 36, "J": 29, "P": 13, "I": 13, "T": 30, "M": 18,
        "R": 14, "X": 25, "G": 17, "K": 17, "Q": 13,
    },
}  # fmt: skip
"""Without the appendage, whose own length takes two bytes more."""

STRUCTS = {
    ("4.2", True, "O"): ">c14scI8sII4scccIcc",
    ("4.2", True, "U"): ">c14s14sIIIccI",
    ("4.2", True, "X"): ">c14sI",
    ("4.2", True, "M"): ">c14scI",
    ("4.2", False, "A"): ">cQ14scI8sII4scQccIccc",
    ("4.2", False, "U"): ">cQ14scI8sII4scQccIcc14sc",
    ("4.2", False, "D"): ">cQ14sIcIIc",
    ("4.2", False, "G"): ">cQ14sIIcQIc",
    ("4.2", False, "F"): ">cQ14sIIcQc",
    ("4.2", False, "K"): ">cQ14sQIc",
    ("4.2", False, "T"): ">cQ14sIcQ",
}

WHERE = {  # from the tables of offsets: version, direction, letter, field -> offset, length
    ("5.0", True, "O"): {"side": (5, 1), "symbol": (10, 8), "price": (18, 8), "cl_ord_id": (31, 14)},
    ("5.0", True, "U"): {"orig_user_ref": (1, 4), "price": (13, 8), "tif": (21, 1), "cl_ord_id": (24, 14)},
    ("5.0", True, "C"): {"firm": (5, 4), "symbol": (9, 8)},
    ("5.0", False, "A"): {"order_ref": (36, 8), "state": (47, 1), "cl_ord_id": (48, 14)},
    ("5.0", False, "U"): {"user_ref": (13, 4), "order_ref": (40, 8), "state": (51, 1)},
    ("5.0", False, "D"): {"prevented": (18, 4), "exec_price": (22, 8), "aiq_strategy": (31, 1)},
    ("5.0", False, "J"): {"reason": (13, 2), "cl_ord_id": (15, 14)},
    ("5.0", False, "B"): {"match": (13, 8), "cl_ord_id": (22, 14)},
    ("4.2", True, "O"): {"stock": (20, 8), "price": (28, 4), "display": (40, 1), "customer": (48, 1)},
    ("4.2", False, "A"): {"order_ref": (49, 8), "min_qty": (59, 4), "state": (64, 1), "bbo_weight": (65, 1)},
    ("4.2", False, "U"): {"previous_token": (65, 14), "bbo_weight": (79, 1)},
}  # fmt: skip

KINDS = [(version, way, letter) for (version, way), table in MESSAGES.items() for letter in table]


def value_of(field: Field) -> st.SearchStrategy[Any]:
    if field.kind == "a":
        return st.text("ABCxyz019", max_size=field.size)
    if field.kind == "s":
        return st.integers(-(2 ** (8 * field.size - 1)), 2 ** (8 * field.size - 1) - 1)
    return st.integers(0, 2 ** (8 * field.size) - 1)


def read(codec: Codec, way: bool, data: bytes) -> OuchMessage:
    return codec.read_request(data) if way else codec.read_response(data)


@st.composite
def messages(draw: Any) -> tuple[Codec, bool, OuchMessage]:
    version, way, letter = draw(st.sampled_from(KINDS))
    layout = MESSAGES[version, way][letter]
    fields = {field.name: draw(value_of(field)) for field in layout.fields}
    tags = None
    if layout.appendage == "+" or (layout.appendage and draw(st.booleans())):
        usable = [tag for tag in TAGS.values() if not way or letter in tag.requests]
        chosen = draw(st.lists(st.sampled_from(usable), unique=True)) if usable else []
        tags = {tag.field.name: draw(value_of(tag.field)) for tag in chosen}
    return Codec(version), way, OuchMessage(layout.name, fields, tags)


def tokens(form: str) -> list[str]:
    return [token.replace("c", "1s") for token in re.findall(r"\d*[a-zA-Z]", form)]


def test_the_lengths_are_those_of_the_specification():
    for key, lengths in LENGTHS.items():
        assert {letter: layout.form.size for letter, layout in MESSAGES[key].items()} == lengths
    for (version, way, letter), form in STRUCTS.items():
        assert tokens(MESSAGES[version, way][letter].form.format) == tokens(form)


def test_the_fields_stand_where_the_specification_has_them():
    for (version, way, letter), places in WHERE.items():
        offset = 1
        found = {}
        for field in MESSAGES[version, way][letter].fields:
            found[field.name] = (offset, field.size)
            offset += field.size
        assert {name: found[name] for name in places} == places


@settings(max_examples=300, deadline=None)
@given(messages())
def test_what_is_written_is_read(made):
    codec, way, message = made
    data = codec.write(message)
    assert read(codec, way, data) == message
    assert codec.write(read(codec, way, data)) == data


@settings(max_examples=200, deadline=None)
@given(messages(), st.data())
def test_a_message_that_is_cut_or_longer_is_never_taken_for_whole(made, data):
    codec, way, message = made
    whole = codec.write(message)
    for broken in (whole[: data.draw(st.integers(0, len(whole) - 1))], whole + b"\0"):
        try:
            found = read(codec, way, broken)
        except RemoteProtocolError:
            continue
        # without its appendage a message of the earlier edition is whole
        assert message.tags is not None and found == OuchMessage(message.name, message.fields)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80), st.sampled_from(["4.2", "5.0"]), st.booleans())
def test_any_bytes_are_read_or_refused_and_nothing_else(data, version, way):
    codec = Codec(version)
    try:
        message = read(codec, way, data)
    except RemoteProtocolError:
        return
    assert codec.write(message) == data


ENTER_42 = {
    "token": "ORDER000000001", "side": "B", "shares": 100, "stock": "IBM", "price": 1_005_000, "tif": 99_999,
    "firm": "TXTR", "display": "Y", "capacity": "P", "iso": "N", "min_qty": 0, "cross": "N", "customer": "",
}  # fmt: skip
ENTER_50 = {
    "user_ref": 7, "side": "B", "quantity": 100, "symbol": "IBM", "price": 1_005_000, "tif": "0", "display": "Y",
    "capacity": "P", "iso": "N", "cross": "N", "cl_ord_id": "MINE",
}  # fmt: skip


def test_an_order_in_bytes():
    assert Codec("4.2").write(OuchMessage("EnterOrder", ENTER_42)) == (
        b"OORDER000000001B\x00\x00\x00\x64IBM     \x00\x0f\x55\xc8\x00\x01\x86\x9fTXTRYPN\x00\x00\x00\x00N "
    )
    made = OuchMessage("EnterOrder", ENTER_50, {"post_only": "P", "peg_offset": -5})
    assert Codec("5.0").write(made) == (
        b"O\x00\x00\x00\x07B\x00\x00\x00\x64IBM     \x00\x00\x00\x00\x00\x0f\x55\xc80YPNN"
        b"MINE          \x00\x09\x02\x0cP\x05\x07\xff\xff\xff\xfb"
    )


def with_appendage(data: bytes) -> bytes:
    return Codec("5.0").write(OuchMessage("EnterOrder", ENTER_50))[:-2] + data


@pytest.mark.parametrize(
    "appendage",
    [
        b"",
        b"\0",
        b"\0\1",
        b"\0\0\0",
        b"\0\3\2\x0cP\0",
        b"\0\2\2\x0c",
        b"\0\3\3\x0cP",
        b"\0\5\1\x0c\2\x10Y",
        b"\0\3\2\x63P",
        b"\0\6\2\x0cP\2\x0cP",
        b"\0\x0a\x09\1" + bytes(8),
        b"\0\3\2\x1bB",
        b"\0\1\0",
    ],
    ids=[
        "none", "half a length", "nothing follows", "too much follows", "more than it says", "a value short",
        "a length too long", "a length too short", "unknown tag", "repeated tag", "tag of a response",
        "tag of another request", "empty",
    ],
)  # fmt: skip
def test_an_appendage_that_is_wrong_leaves_the_fixed_fields_readable(appendage):
    with pytest.raises(BadAppendage) as caught:
        Codec("5.0").read_request(with_appendage(appendage))
    assert caught.value.sound == OuchMessage("EnterOrder", ENTER_50)


def test_both_editions_are_read():
    codec = Codec("5.0")
    cancel = {"user_ref": 7, "quantity": 0}
    assert codec.read_request(b"X\0\0\0\7\0\0\0\0") == OuchMessage("CancelOrder", cancel)
    assert codec.read_request(b"X\0\0\0\7\0\0\0\0\0\0") == OuchMessage("CancelOrder", cancel, {})
    assert codec.read_request(b"X\0\0\0\7\0\0\0\0\0\3\2\x1c\5") == OuchMessage(
        "CancelOrder", cancel, {"user_ref_idx": 5}
    )
    assert codec.read_request(b"Q") == OuchMessage("AccountQuery", {})
    assert [codec.has_appendage("Canceled", is_later_edition=later) for later in (False, True)] == [False, True]
    assert codec.has_appendage("Executed", is_later_edition=False)
    assert not codec.has_appendage("SystemEvent", is_later_edition=True)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("4.2", OuchMessage("EnterOrder", {**ENTER_42, "shares": 2**32})),
        ("4.2", OuchMessage("EnterOrder", {**ENTER_42, "shares": -1})),
        ("4.2", OuchMessage("EnterOrder", {**ENTER_42, "token": "fifteen letters"})),
        ("4.2", OuchMessage("EnterOrder", {**ENTER_42, "stock": "\u20ac"})),
        ("4.2", OuchMessage("EnterOrder", {key: value for key, value in ENTER_42.items() if key != "side"})),
        ("4.2", OuchMessage("EnterOrder", {**{k: v for k, v in ENTER_42.items() if k != "side"}, "size": 1})),
        ("4.2", OuchMessage("MassCancel", {})),
        ("4.2", OuchMessage("EnterOrder", ENTER_42, {})),
        ("5.0", OuchMessage("SystemEvent", {"timestamp": 1, "event": "S"}, {})),
        ("5.0", OuchMessage("EnterOrder", ENTER_50, {"no_such": 1})),
        ("5.0", OuchMessage("EnterOrder", ENTER_50, {"user_ref_idx": 256})),
    ],
)
def test_what_has_no_form_is_not_written(version, message):
    with pytest.raises(LocalProtocolError):
        Codec(version).write(message)
