"""FIX framing, fields and validation: any cut of the bytes, an independent codec, the quick way against the slow."""

from __future__ import annotations

import pytest
import simplefix
from hypothesis import example, given, settings
from hypothesis import strategies as st

from txtrader.errors import LocalProtocolError, RemoteProtocolError
from txtrader.wire.fix import validation
from txtrader.wire.fix.dictionary import dictionary
from txtrader.wire.fix.framing import Framer, encode, parse
from txtrader.wire.fix.message import Message
from txtrader.wire.fix.validation import Fault, find_fault

VERSIONS = ("FIX.4.2", "FIX.4.4", "FIXT.1.1")
STAMP = "20261120-14:30:00.123"
HEAD = [(34, "7"), (49, "ME"), (52, STAMP), (56, "YOU")]
ORDER = [
    *[(35, "D"), *HEAD, (11, "A1"), (21, "1"), (38, "100"), (40, "2"), (44, "12.50"), (54, "1"), (55, "IBM")],
    (60, STAMP),
]
PLAIN = sorted(
    tag
    for tag, field in dictionary("FIX.4.4").fields.items()
    if field.type not in ("LENGTH", "DATA") and tag not in (8, 10, 35)
)
texts = st.text(st.characters(min_codepoint=2, max_codepoint=255), min_size=1, max_size=12)


def frames(data: bytes, cuts: list[int]) -> list[str | None]:
    framer = Framer()
    found: list[str | None] = []
    start = 0
    for end in [*sorted(cuts), len(data)]:
        framer.feed(data[start:end])
        start = end
        while (frame := framer.next_frame()) is not None:
            found.append(frame[0])
    return found


def read(data: bytes, version: str = "FIX.4.4") -> Message | None:
    (text,) = frames(data, [])
    return None if text is None else parse(text, dictionary(version))


# -- frames and fields


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_written_is_read(version):
    message = read(encode(version, ORDER), version)
    assert message is not None
    assert (message.type, message.fields) == ("D", [(8, version), *ORDER])


@given(st.lists(st.tuples(st.sampled_from(PLAIN), texts), max_size=20))
def test_an_independent_codec_agrees_with_ours(pairs):
    ours = encode("FIX.4.4", [(35, "D"), *pairs])
    theirs = simplefix.FixMessage()
    theirs.append_pair(8, "FIX.4.4")
    theirs.append_pair(35, "D")
    for tag, value in pairs:
        theirs.append_pair(tag, value.encode("latin-1"))
    assert theirs.encode() == ours
    parser = simplefix.FixParser()
    parser.append_buffer(ours)
    got = parser.get_message()
    assert [(int(tag), value.decode("latin-1")) for tag, value in got.pairs[2:-1]] == [(35, "D"), *pairs]


GARBAGE = [b"", b"8", b"8=", b"junk8=FIX.4.49=", b"8=FIX.4.4\x019=x\x01", b"8=FIX.4.4\x018=", b"\x0110=000\x01"]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from([encode("FIX.4.4", ORDER), *GARBAGE]), max_size=6), st.data())
def test_any_cut_gives_the_same_frames(pieces, data):
    stream = b"".join(pieces) + encode("FIX.4.4", ORDER)
    whole = frames(stream, [])
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=10))
    assert frames(stream, cuts) == whole
    assert frames(stream, list(range(len(stream)))) == whole


def test_a_length_that_is_wrong_takes_the_message_away_and_one_too_long_the_next_as_well():
    good = encode("FIX.4.4", ORDER)
    size = good[12 : good.index(b"\x01", 12)]
    assert frames(good.replace(b"9=" + size, b"9=5") + good, []) == [
        None,
        good[: good.rindex(b"\x0110=")].decode("latin-1"),
    ]
    assert frames(good.replace(b"9=" + size, b"9=%d" % (int(size) + 9)) + good, []) == [None]
    assert frames(good[:-4] + b"999\x01" + good, [])[0] is None


def test_an_endless_message_is_refused_in_time():
    framer = Framer(most=1000)
    with pytest.raises(RemoteProtocolError):
        for _ in range(100):
            framer.feed(b"8=FIX.4.4\x019=900\x01" + b"x" * 200)
            framer.next_frame()


def test_data_may_hold_separators():
    data = "a\x01b=c"
    text = f"8=FIX.4.4\x019=0\x0135=A\x0195={len(data)}\x0196={data}\x01108=30"
    message = parse(text, dictionary("FIX.4.4"))
    assert message is not None and message[96] == data and message[108] == "30"
    assert parse(text.replace("95=5", "95=99"), dictionary("FIX.4.4")) is None


@pytest.mark.parametrize("bad", ["4x9=1", "=1", "no tag", "1.5=2", "٣=4", "1" * 10 + "=1"])
def test_a_tag_that_is_no_number_is_garbled(bad):
    assert parse(f"8=FIX.4.4\x019=0\x0135=0\x01{bad}", dictionary("FIX.4.4")) is None


def test_a_value_with_a_separator_is_not_written():
    with pytest.raises(LocalProtocolError):
        encode("FIX.4.4", [(35, "D"), (58, "a\x01b")])


# -- validation


def fault(*changes: tuple[int, str | None], version: str = "FIX.4.4", more: list[tuple[int, str]] | None = None):
    """Return the fault of the order with some values changed or taken out, and more fields behind."""
    given = dict(changes)
    fields = [(tag, given.get(tag, value)) for tag, value in ORDER if given.get(tag, value) is not None]
    return find_fault(Message("D", [(8, version), *fields, *(more or [])]), dictionary(version))


@pytest.mark.parametrize(
    ("changes", "more", "found"),
    [
        ([], [], None),
        ([(11, None)], [], Fault(1, 11)),
        ([(54, "x")], [], Fault(5, 54)),
        ([(54, "12")], [], Fault(6, 54)),
        ([(38, "+1")], [], Fault(6, 38)),
        ([(38, "1e3")], [], Fault(6, 38)),
        ([(38, "-0012.500")], [], None),
        ([(60, "20261320-10:00:00")], [], Fault(6, 60)),
        ([(60, "20261120")], [], Fault(6, 60)),
        ([(58, "")], [(58, "")], Fault(4, 58)),
        ([], [(55, "X")], Fault(13, 55)),
        ([], [(34, "8")], Fault(14, 34)),
        ([], [(999, "8")], Fault(0, 999)),
        ([], [(112, "8")], Fault(2, 112)),
        ([], [(386, "1"), (336, "A")], None),
        ([], [(386, "2"), (336, "A")], Fault(16, 386)),
        ([], [(386, "0")], None),
        ([], [(18, "1 2 6")], None),
        ([], [(18, "1 ä")], Fault(5, 18)),
        ([], [(453, "1"), (448, "P"), (447, "D"), (452, "1"), (802, "1"), (523, "S"), (803, "1")], None),
        ([], [(453, "1"), (448, "P"), (447, "?")], Fault(5, 447)),
    ],
)
def test_the_first_fault_is_found(changes, more, found):
    assert fault(*changes, more=more) == found


def test_the_fields_of_a_later_version_are_unknown_to_an_earlier_one():
    assert fault(more=[(528, "A")]) is None
    assert fault(version="FIX.4.2", more=[(528, "A")]) == Fault(0, 528)
    assert find_fault(Message("AF", [(8, "FIX.4.2"), *HEAD]), dictionary("FIX.4.2")) == Fault(11)


plausible = st.sampled_from(
    ["1", "2", "Y", "N", "0", "-1", "12.5", "", "IBM", STAMP, "20261120-10:00:00", "20261120", "1 6", "PRE", "x", "²"]
)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(VERSIONS),
    st.sampled_from("0123456789ADFGHVWXYj"),
    st.lists(st.tuples(st.sampled_from(sorted(dictionary("FIX.4.4").fields)), plausible), max_size=8),
    st.booleans(),
)
@example("FIX.4.4", "D", [(38, "²")], True)
def test_the_quick_way_calls_sound_only_what_the_slow_way_does(version, kind, more, is_order):
    known = dictionary(version)
    body = ORDER[5:] if is_order else []
    message = Message(kind, [(8, version), (35, kind), *HEAD, *body, *more])
    spec = known.for_type(kind)
    if spec is not None and validation._is_plainly_sound(message, known, spec):
        assert validation._Look(message, known, validation._ALL).fault(spec) is None


def test_a_group_is_read_entry_by_entry():
    known = dictionary("FIX.4.4")
    group = known.messages["D"].groups[453]
    message = Message("D", [(453, "2"), (448, "A"), (452, "1"), (448, "B"), (447, "D"), (58, "x")])
    entries = message.entries(453, group.first, group.tags)
    assert [entry.fields for entry in entries] == [[(448, "A"), (452, "1")], [(448, "B"), (447, "D")]]


def test_no_field_is_ever_empty():
    message = Message("8").add(58, "").add(11, None).add(37, "1")
    assert message.fields == [(37, "1")]
