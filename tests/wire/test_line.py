"""The line splitter: any cut of the bytes, hostile bytes, floods."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtrader.errors import LocalProtocolError, RemoteProtocolError
from txtrader.wire.line import LineSession, MalformedLine


def events(session: LineSession) -> list[str | MalformedLine]:
    found = []
    while (event := session.next_event()) is not None:
        found.append(event)
    return found


def test_lines_end_with_lf_and_one_cr_before_it_is_dropped():
    session = LineSession()
    session.receive_data(b"one\ntwo\r\n three \n")
    assert events(session) == ["one", "two", " three "]


def test_a_cr_elsewhere_is_malformed():
    session = LineSession()
    session.receive_data(b"a\rb\nc\r\r\n")
    assert [type(event) for event in events(session)] == [MalformedLine, MalformedLine]


def test_blank_lines_say_nothing():
    session = LineSession()
    session.receive_data(b"\n\r\n\nx\n\n")
    assert events(session) == ["x"]
    assert session.blanks == 5


def test_a_line_of_blanks_is_a_blank_line():
    session = LineSession()
    session.receive_data(b" \n   \r\n x \n  \n")
    assert events(session) == [" x "]


LINES = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"])).filter(str.strip)


@given(st.lists(LINES), st.data())
def test_any_cut_of_the_bytes_gives_the_same_lines(lines: list[str], data: st.DataObject):
    stream = "".join(f"{line}\n" for line in lines).encode()
    session = LineSession()
    found = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        session.receive_data(stream[:size])
        stream = stream[size:]
        found += events(session)
    assert found == lines


@pytest.mark.parametrize(
    "line",
    [
        b"\xff",
        b"\xc0\xaf",  # overlong
        b"\xed\xa0\x80",  # lone surrogate
        b"a\x00b",
        b"\xef\xbb\xbfauth a b",  # byte order mark
        b"esc \x1b[2J",
        b"tab\there",
        "no-break\u00a0space".encode(),
        "line\u2028separator".encode(),
    ],
)
def test_what_is_no_printable_text_is_reported_and_the_conversation_goes_on(line: bytes):
    session = LineSession()
    session.receive_data(line + b"\nnext\n")
    first, second = events(session)
    assert isinstance(first, MalformedLine)
    assert second == "next"
    assert first.reason.isascii() and first.reason.isprintable()


def test_printable_text_beyond_ascii_is_taken():
    session = LineSession()
    session.receive_data("auth alice pässwörd\n".encode())
    assert events(session) == ["auth alice pässwörd"]


def test_a_line_of_the_limit_passes_and_one_byte_more_does_not():
    session = LineSession(limit=10)
    session.receive_data(b"0123456789\r\nshort\n" + b"0123456789A\n")
    assert session.next_event() == "0123456789"
    assert session.next_event() == "short"
    with pytest.raises(RemoteProtocolError):
        session.next_event()
    session.receive_data(b"more\n")
    assert session.next_event() is None


def test_an_unfinished_line_over_the_limit_is_seen_before_its_end():
    session = LineSession(limit=10)
    session.receive_data(b"ok\n0123456789")
    assert session.next_event() == "ok"
    assert session.next_event() is None
    session.receive_data(b"ABC")
    with pytest.raises(RemoteProtocolError):
        session.next_event()


def test_a_raised_limit_holds_for_the_lines_that_were_not_delivered():
    session = LineSession(limit=10)
    session.receive_data(b"auth\n" + b"x" * 50 + b"\n")
    assert session.next_event() == "auth"
    session.limit = 100
    assert session.next_event() == "x" * 50


def test_a_flood_of_newlines_ends_like_one_long_line():
    session = LineSession(limit=100)
    session.receive_data(b"\n" * 99 + b"x\n" + b"\n" * 101)
    assert session.next_event() == "x"
    with pytest.raises(RemoteProtocolError, match="more than 100 bytes of blank lines"):
        session.next_event()


def test_who_is_trusted_may_send_blank_lines_for_ever():
    session = LineSession(limit=100, bounds_blanks=False)
    for _ in range(10):
        session.receive_data(b"\n" * 60 + b" " * 80 + b"\n")
        assert session.next_event() is None
    session.receive_data(b" " * 101 + b"\n")
    with pytest.raises(RemoteProtocolError, match="a line is longer than 100 bytes"):
        session.next_event()


def test_blank_lines_between_lines_do_not_add_up():
    session = LineSession(limit=10)
    session.receive_data(b"\n\nx\n" * 100)
    assert events(session) == ["x"] * 100


def test_a_flood_of_newlines_costs_little_more_than_a_split():
    flood = b"\n" * 65536

    def ours() -> None:
        session = LineSession(limit=1 << 20)
        session.receive_data(flood)
        assert session.next_event() is None

    def best(call) -> float:
        times = []
        for _ in range(7):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        return min(times)

    assert best(ours) < 15 * best(lambda: flood.split(b"\n"))  # quadratic would be thousands


def test_one_byte_at_a_time_is_linear():
    def feed(size: int) -> float:
        session = LineSession(limit=size)
        start = time.perf_counter()
        for _ in range(size):
            session.receive_data(b"x")
            session.next_event()
        return time.perf_counter() - start

    feed(1000)
    assert feed(40000) < 40 * feed(4000)


def test_an_unfinished_line_is_forgotten_at_the_end():
    session = LineSession()
    session.receive_data(b"done\nmarketorder IBM 1")
    session.receive_eof()
    assert events(session) == ["done"]
    session.receive_data(b"00\n")
    assert session.next_event() is None


def test_what_is_sent_is_what_the_other_end_gets():
    a, b = LineSession(), LineSession()
    a.send("status")
    a.send(b"ping x")
    b.receive_data(a.data_to_send())
    assert events(b) == ["status", "ping x"]
    assert a.data_to_send() == b""


@pytest.mark.parametrize("bad", ["a\nb", "a\r", b"\n"])
def test_a_line_end_inside_a_line_is_refused(bad: str | bytes):
    with pytest.raises(LocalProtocolError):
        LineSession().send(bad)
