"""The pump: order of events, violations, deadlines, bugs of the owner, the end told once."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from txtrader.errors import LocalProtocolError, RemoteProtocolError
from txtrader.net.pump import Pump
from txtrader.wire.line import LineSession


class Pinging(LineSession):
    """Lines with a heartbeat: `beat` after 10 s of silence, a violation after 20."""

    def __init__(self) -> None:
        super().__init__(limit=20)
        self.heard: float | None = None
        self._has_heard = True
        self._beats = 0

    def receive_data(self, data: bytes) -> None:
        self._has_heard = True
        self._beats = 0
        super().receive_data(data)

    def next_deadline(self) -> float | None:
        return None if self.heard is None else self.heard + 10 * (self._beats + 1)

    def handle_timeout(self, now: float) -> None:
        if self._has_heard:
            self._has_heard = False
            self.heard = now
        elif self.heard is not None and now >= self.heard + 20:
            raise RemoteProtocolError("silent for 20 s")
        elif self.heard is not None and now >= self.heard + 10 and not self._beats:
            self._beats = 1
            self.send("beat")


class Owner:
    def __init__(self, session: Any = None, **options: Any) -> None:
        self.clock = Clock()
        self.events: list[Any] = []
        self.lost: list[Failure] = []
        self.opened = 0
        self.pump = Pump(
            session or LineSession(limit=20), self.clock, self.take, self.lost.append, self.open, **options
        )
        self.transport = StringTransport()

    def open(self) -> None:
        self.opened += 1

    def take(self, event: Any) -> None:
        self.events.append(event)
        if event == "echo":
            self.pump.send("echoed")
        if event == "bug":
            raise ValueError("a bug")
        if event == "close":
            self.pump.close()
        if event == "pause":
            self.pump.pause()

    def connect(self) -> None:
        self.pump.makeConnection(self.transport)

    def end(self) -> None:
        self.pump.connectionLost(Failure(ConnectionDone()))


def test_events_come_in_order_and_the_answers_leave_together():
    owner = Owner()
    owner.connect()
    assert owner.opened == 1
    owner.pump.dataReceived(b"one\necho\necho\n")
    assert owner.events == ["one", "echo", "echo"]
    assert owner.transport.value() == b"echoed\nechoed\n"


def test_answers_to_one_piece_of_data_are_one_write():
    writes: list[bytes] = []
    owner = Owner()
    owner.connect()
    owner.transport.write = writes.append
    owner.pump.dataReceived(b"echo\necho\necho\n")
    assert writes == [b"echoed\nechoed\nechoed\n"]


def test_what_was_sent_before_the_connection_leaves_with_it():
    owner = Owner()
    owner.pump.send("early")
    owner.connect()
    assert owner.transport.value() == b"early\n"


def test_events_before_a_violation_are_delivered_and_the_peer_is_dropped():
    said: list[RemoteProtocolError] = []
    owner = Owner(on_violation=lambda error: (said.append(error), owner.pump.send("too long"))[0])
    owner.connect()
    owner.pump.dataReceived(b"one\n" + b"x" * 30 + b"\ntwo\n")
    assert owner.events == ["one"]
    assert owner.transport.value() == b"too long\n"
    assert owner.transport.disconnecting
    owner.pump.dataReceived(b"three\n")
    assert owner.events == ["one"]
    owner.end()
    assert owner.lost[0].check(RemoteProtocolError)
    assert len(said) == 1


def test_the_loss_is_told_exactly_once():
    owner = Owner()
    owner.connect()
    owner.pump.close()
    owner.pump.abort()
    owner.end()
    owner.end()
    assert len(owner.lost) == 1
    assert owner.lost[0].check(ConnectionDone)
    assert owner.clock.getDelayedCalls() == []


def test_a_closed_pump_delivers_nothing_more():
    owner = Owner()
    owner.connect()
    owner.pump.dataReceived(b"close\nafter\n")
    assert owner.events == ["close"]
    assert owner.transport.disconnecting


def test_a_peer_that_does_not_read_the_last_words_is_aborted():
    owner = Owner()
    owner.connect()
    owner.pump.close()
    assert not owner.transport.disconnected
    owner.clock.advance(2.1)
    assert owner.transport.disconnected


def test_the_session_is_woken_at_its_deadline_and_silence_is_a_violation():
    owner = Owner(Pinging())
    owner.connect()
    owner.clock.advance(9)
    owner.pump.dataReceived(b"here\n")
    owner.clock.advance(9)
    assert owner.transport.value() == b""
    owner.clock.advance(1)
    assert owner.transport.value() == b"beat\n"
    owner.clock.advance(10)
    assert owner.transport.disconnecting
    owner.end()
    assert owner.lost[0].check(RemoteProtocolError)
    assert owner.clock.getDelayedCalls() == []


def test_a_bug_of_the_owner_is_logged_and_drops_the_link(expected_failures: list[str]):
    expected_failures.append("handling what the peer sent")
    owner = Owner()
    owner.connect()
    owner.pump.dataReceived(b"bug\nnext\n")
    assert owner.events == ["bug"]
    assert owner.pump.bugs == 1
    assert owner.transport.disconnected
    owner.end()
    assert owner.lost[0].check(ValueError)


def test_a_bug_of_the_owner_keeps_the_link_if_told(expected_failures: list[str]):
    expected_failures.append("handling what the peer sent")
    owner = Owner(keeps_link=True)
    owner.connect()
    owner.pump.dataReceived(b"bug\nnext\n")
    assert owner.events == ["bug", "next"]
    assert not owner.transport.disconnected


def test_a_paused_pump_keeps_what_came_and_delivers_it_later():
    owner = Owner()
    owner.connect()
    owner.pump.dataReceived(b"pause\nnext\n")
    assert owner.events == ["pause"]
    assert owner.transport.producerState == "paused"
    owner.pump.resume()
    assert owner.events == ["pause", "next"]
    assert owner.transport.producerState == "producing"


def test_a_paused_pump_minds_the_time_if_told_so():
    for keeps_time in (True, False):
        owner = Owner(Pinging())
        owner.connect()
        owner.pump.dataReceived(b"one\n")
        owner.pump.pause(keeps_time=keeps_time)
        owner.pump.dataReceived(b"two\n")
        for _ in range(3):
            owner.clock.advance(10)
        assert owner.events == ["one"] and (owner.transport.value() == b"beat\n") is keeps_time
        assert owner.transport.disconnecting is keeps_time, "silence ends it"


def test_a_message_that_must_not_be_sent_is_the_callers_error():
    owner = Owner()
    owner.connect()
    with pytest.raises(LocalProtocolError):
        owner.pump.send("two\nlines")


def test_a_peer_that_has_finished_writing_is_kept_if_the_owner_wants():
    ended: list[bool] = []
    owner = Owner(on_eof=lambda: ended.append(True))
    assert IHalfCloseableProtocol.providedBy(owner.pump)
    assert not IHalfCloseableProtocol.providedBy(Owner().pump)
    owner.connect()
    owner.pump.dataReceived(b"echo\nunfinished")
    owner.pump.readConnectionLost()
    assert ended == [True]
    assert owner.events == ["echo"]
    owner.pump.send("still here")
    assert owner.transport.value() == b"echoed\nstill here\n"


def test_data_in_one_giant_piece_is_bounded_for_the_session():
    sizes: list[int] = []

    class Measuring(LineSession):
        def receive_data(self, data: bytes) -> None:
            sizes.append(len(data))
            super().receive_data(data)

    owner = Owner(Measuring())
    owner.connect()
    owner.pump.dataReceived(b"x\n" * 100_000)
    assert max(sizes) <= 65536
    assert len(owner.events) == 100_000


def test_pumps_joined_in_memory_may_answer_each_other_within_one_call():
    left, right = Owner(), Owner()

    class Wire(StringTransport):
        def __init__(self, to: Pump) -> None:
            super().__init__()
            self._to = to

        def write(self, data: bytes) -> None:
            self._to.dataReceived(data)

    left.pump.makeConnection(Wire(right.pump))
    right.pump.makeConnection(Wire(left.pump))
    left.pump.send("echo")
    assert right.events == ["echo"]
    assert left.events == ["echoed"]
