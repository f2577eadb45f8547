"""SoupBinTCP: the vectors, both ends against each other, numbers over several connections, and the time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from txtrader.errors import LocalProtocolError, RemoteProtocolError
from txtrader.wire.soupbin import (
    ClientSession,
    Ended,
    LoggedOn,
    LoggedOut,
    LoginRequested,
    Refused,
    Sequenced,
    ServerSession,
    SoupOptions,
    Stream,
    Unsequenced,
)


def filled(count: int, name: str = "DAY1", **more: Any) -> Stream:
    stream = Stream(name, **more)
    for number in range(1, count + 1):
        stream.append(b"message %d" % number)
    return stream


def events_of(session: Any) -> list[Any]:
    return list(iter(session.next_event, None))


class Pair:
    """A client and a server, wired to each other in memory; what the client was told stands in `told`."""

    def __init__(self, stream: Stream, *, cut: int = 1 << 20, options: SoupOptions | None = None, **login: Any) -> None:
        self.stream, self.cut = stream, cut
        self.client, self.server = ClientSession(), ServerSession(options)
        self.told: list[Any] = []
        self.asked: list[Any] = []
        self.client.log_in("alice", "secret", **login)
        self.turn()

    def turn(self) -> None:
        """Carry everything over, in pieces of `cut` bytes, until nobody says anything more."""
        while True:
            up, down = self.client.data_to_send(), self.server.data_to_send()
            if not up and not down:
                return
            for start in range(0, len(up), self.cut):
                self.server.receive_data(up[start : start + self.cut])
                while (event := self.server.next_event()) is not None:
                    if isinstance(event, LoginRequested):
                        self.server.admit(self.stream)
                    self.asked.append(event)
            for start in range(0, len(down), self.cut):
                self.client.receive_data(down[start : start + self.cut])
                self.told += events_of(self.client)

    def heard(self) -> list[tuple[int, bytes]]:
        return [(event.number, event.data) for event in self.told if isinstance(event, Sequenced)]


def test_the_packets_are_those_of_the_specification():
    client, server, stream = ClientSession(), ServerSession(), Stream("DAY1")
    client.log_in("alice", "secret")
    login = client.data_to_send()
    assert login[:3] == b"\x00\x2fL" and login[3:] == b"alice secret    " + b" " * 10 + b" " * 19 + b"1"
    server.receive_data(login)
    assert server.next_event() == LoginRequested("alice", "secret", "", 1)
    assert server.admit(stream)
    accepted = server.data_to_send()
    assert accepted == b"\x00\x1fA" + b"      DAY1" + b" " * 19 + b"1"
    client.receive_data(accepted)
    assert client.next_event() == LoggedOn("DAY1", 1)
    client.send(b"O" + b"x" * 48)
    assert client.data_to_send()[:4] == b"\x00\x32UO"
    server.send(b"A" + b"x" * 65)
    assert server.data_to_send()[:4] == b"\x00\x43SA"
    server.handle_timeout(0.0)
    server.handle_timeout(1.0)
    assert server.data_to_send() == b"\x00\x01H"


def test_padding_on_either_side_is_read():
    session = ServerSession()
    session.receive_data(b"\x00\x2fL" + b" alice" + b"secret\0\0\0\0" + b"DAY1".ljust(10) + b"3".ljust(20))
    assert session.next_event() == LoginRequested("alice", "secret", "DAY1", 3)
    assert session.admit(filled(5))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(0, 30), st.data())
def test_whatever_the_connections_every_message_comes_once_and_in_its_place(cut, count, data):
    """Connections come and go, the stream grows meanwhile; the client asks for its next number each time."""
    stream = Stream("DAY1")
    heard: list[tuple[int, bytes]] = []
    wanted = 1
    sent = 0
    for _ in range(data.draw(st.integers(1, 5))):
        for _ in range(data.draw(st.integers(0, count))):
            sent += 1
            stream.append(b"%d" % sent)
        pair = Pair(stream, cut=cut, sequence=wanted)
        for _ in range(data.draw(st.integers(0, count))):
            sent += 1
            pair.server.send(b"%d" % sent)
            pair.turn()
        heard += pair.heard()
        wanted = pair.client.next_number
        for _ in range(data.draw(st.integers(0, 3))):  # written, and lost with the connection
            sent += 1
            stream.append(b"%d" % sent)
        pair.server.data_to_send()
    pair = Pair(stream, sequence=wanted)
    heard += pair.heard()
    assert heard == [(number, b"%d" % number) for number in range(1, sent + 1)]


@pytest.mark.parametrize("place", range(120))
def test_a_connection_that_is_cut_at_any_byte_loses_nothing(place):
    stream = filled(4)
    client, server = ClientSession(), ServerSession()
    client.log_in("alice", "secret")
    server.receive_data(client.data_to_send())
    server.next_event()
    server.admit(stream)
    client.receive_data(server.data_to_send()[:place])
    first = events_of(client)
    again = Pair(stream, sequence=client.next_number or 1)
    heard = [event.number for event in first if isinstance(event, Sequenced)] + [number for number, _ in again.heard()]
    assert heard == [1, 2, 3, 4]


def test_number_0_is_the_present_end_and_may_repeat_the_last():
    assert Pair(filled(5), sequence=0).told == [LoggedOn("DAY1", 6)]
    repeated = Pair(filled(5), sequence=0, options=SoupOptions(repeats_last=True))
    assert repeated.told == [LoggedOn("DAY1", 5), Sequenced(5, b"message 5")]
    assert Pair(Stream("DAY1"), sequence=0, options=SoupOptions(repeats_last=True)).told == [LoggedOn("DAY1", 1)]


@pytest.mark.parametrize(
    "login", [{"sequence": 7}, {"session": "DAY2"}, {"sequence": 2}], ids=["beyond", "another session", "forgotten"]
)
def test_what_is_not_there_is_refused(login):
    stream = filled(5)
    if login.get("sequence") == 2:
        stream = filled(17, most=16)
        assert stream.first_number == 3
    pair = Pair(stream, **login)
    assert pair.told == [Refused("S")]
    assert pair.client.is_over and pair.server.is_over


def test_the_next_number_and_the_oldest_one_are_there():
    assert Pair(filled(5), sequence=6).told == [LoggedOn("DAY1", 6)]
    assert [number for number, _ in Pair(filled(17, most=16), sequence=3).heard()] == list(range(3, 18))


def test_a_refused_login_ends_both_sides():
    server = ServerSession()
    client = ClientSession()
    client.log_in("mallet", "guess")
    server.receive_data(client.data_to_send())
    assert isinstance(server.next_event(), LoginRequested)
    server.refuse("A")
    data = server.data_to_send()
    assert data == b"\x00\x02JA"
    client.receive_data(data)
    assert events_of(client) == [Refused("A")]
    with pytest.raises(LocalProtocolError):
        client.send(b"x")


def test_the_end_of_the_session_comes_after_the_last_message_and_is_for_good():
    pair = Pair(filled(2))
    pair.stream.append(b"last")
    pair.stream.end()
    pair.turn()
    assert pair.told[1:] == [*(Sequenced(n, b"message %d" % n) for n in (1, 2)), Sequenced(3, b"last"), Ended()]
    assert pair.server.is_over and pair.client.is_over
    with pytest.raises(LocalProtocolError):
        pair.stream.append(b"more")
    late = Pair(pair.stream, sequence=3)
    assert late.told == [LoggedOn("DAY1", 3), Sequenced(3, b"last"), Ended()]


def test_a_logout_debug_words_and_uncounted_messages():
    pair = Pair(filled(0))
    pair.client.send_debug("hello")
    pair.server.send_debug("hello")
    pair.server.send_unsequenced(b"by the way")
    pair.client.send(b"order")
    pair.client.log_out()
    pair.turn()
    assert pair.told[1:] == [Unsequenced(b"by the way")] and pair.client.next_number == 1
    assert pair.asked[1:] == [Unsequenced(b"order"), LoggedOut()]


@pytest.mark.parametrize(
    ("role", "data"),
    [
        (ServerSession, b"\x00\x02Ux"),
        (ServerSession, b"\x00\x00"),
        (ServerSession, b"\x00\x2eL" + b" " * 45),
        (ServerSession, b"\x00\x2fL" + b" " * 46),
        (ServerSession, b"\x00\x01?"),
        (ServerSession, b"\x00\x02R "),
        (ClientSession, b"\x00\x02Sx"),
        (ClientSession, b"\x00\x1fA" + b"DAY1      " + b"1".rjust(20)),
        (ClientSession, b"\x00\x01R"),
    ],
)
def test_what_breaks_the_protocol_is_told_once_and_ends_it(role, data):
    session = role()
    session.receive_data(data + b"\x00\x01H")
    with pytest.raises(RemoteProtocolError):
        session.next_event()
    assert session.next_event() is None and session.next_deadline() is None


def test_a_second_login_is_a_violation():
    pair = Pair(filled(0))
    other = ClientSession()
    other.log_in("alice", "secret")
    pair.server.receive_data(other.data_to_send())
    with pytest.raises(RemoteProtocolError):
        pair.server.next_event()
    with pytest.raises(LocalProtocolError):
        pair.client.log_in("alice", "secret")


def test_a_packet_longer_than_allowed_is_refused_before_it_is_there():
    session = ServerSession(SoupOptions(most=100))
    session.receive_data(b"\x00\x65U")
    with pytest.raises(RemoteProtocolError):
        session.next_event()


def test_heartbeats_leave_after_a_second_of_silence_and_fifteen_of_the_other_end_it():
    pair = Pair(filled(0))
    for session, beat in ((pair.server, b"\x00\x01H"), (pair.client, b"\x00\x01R")):
        session.handle_timeout(100.0)
        assert session.next_deadline() == 101.0
        session.handle_timeout(100.9)
        assert session.data_to_send() == b""
        session.handle_timeout(101.0)
        assert session.data_to_send() == beat
        for second in range(102, 115):
            session.handle_timeout(float(second))
            assert session.data_to_send() == beat
        with pytest.raises(RemoteProtocolError):
            session.handle_timeout(115.0)


def test_what_is_sent_puts_off_the_heartbeat_and_what_is_heard_the_end():
    pair = Pair(filled(0))
    pair.server.handle_timeout(100.0)
    pair.server.handle_timeout(100.7)
    pair.server.send(b"news")
    pair.server.data_to_send()
    assert pair.server.next_deadline() == 101.7
    pair.server.receive_data(b"\x00\x01R")
    assert pair.server.next_event() is None
    pair.server.handle_timeout(114.0)
    pair.server.data_to_send()
    pair.server.handle_timeout(128.9)
    with pytest.raises(RemoteProtocolError):
        pair.server.handle_timeout(129.0)


def test_bytes_without_a_login_do_not_put_off_the_end():
    session = ServerSession()
    session.handle_timeout(0.0)
    session.receive_data(b"\x00\x01R")
    assert session.next_event() is None
    session.handle_timeout(29.9)
    with pytest.raises(RemoteProtocolError):
        session.handle_timeout(30.0)


def test_a_long_stream_leaves_in_parts_and_waits_for_a_slow_reader():
    stream = Stream("DAY1")
    for _ in range(5000):
        stream.append(b"x" * 60)
    server, client = ServerSession(), ClientSession()
    client.log_in("alice", "secret")
    server.receive_data(client.data_to_send())
    server.next_event()
    server.admit(stream)
    assert len(server.data_to_send()) < 70_000
    assert server.has_more
    server.is_held = True
    assert server.data_to_send() == b""
    server.is_held = False
    parts = 1
    while server.has_more:
        assert 0 < len(server.data_to_send()) < 70_000
        parts += 1
    assert parts == 5 and server.data_to_send() == b""


def test_a_client_that_the_stream_has_left_behind_is_let_go():
    pair = Pair(filled(0, most=10))
    pair.server.handle_timeout(0.0)
    pair.server.is_held = True
    for _ in range(12):
        pair.server.send(b"x")
    assert pair.server.data_to_send() == b""
    with pytest.raises(RemoteProtocolError):
        pair.server.handle_timeout(0.5)


def test_a_mute_server_says_nothing_minds_no_silence_and_goes_on_where_it_was():
    pair = Pair(filled(0))
    pair.server.handle_timeout(0.0)
    pair.server.mute()
    pair.server.send(b"one")
    assert pair.server.data_to_send() == b"" and pair.server.next_deadline() is None
    pair.server.handle_timeout(1000.0)
    assert pair.server.data_to_send() == b""
    pair.server.mute(False)
    pair.turn()
    assert pair.heard() == [(1, b"one")]
    pair.server.handle_timeout(1001.0)  # the silence before counts for nobody
    assert pair.server.next_deadline() == 1002.0


@pytest.mark.parametrize("name", ["", "ELEVENCHARS", " DAY1", "D\u00c4Y"])
def test_a_session_name_that_the_wire_cannot_carry_is_refused(name):
    with pytest.raises(LocalProtocolError):
        Stream(name)


@pytest.mark.parametrize("login", [("LONGUSER", "x"), ("alice", "password too long"), ("alic\u00e9", "x")])
def test_a_login_that_the_wire_cannot_carry_is_refused_and_leaves_nothing_behind(login):
    client = ClientSession()
    with pytest.raises(LocalProtocolError):
        client.log_in(*login)
    assert client.data_to_send() == b""
