"""Two FIX sessions of ours against each other: gaps on both sides, what is repeated, silence, logouts, resets."""

from __future__ import annotations

import pytest

from txtrader.errors import LocalProtocolError, RemoteProtocolError
from txtrader.wire.fix.framing import encode
from txtrader.wire.fix.message import Message
from txtrader.wire.fix.session import (
    FixSession,
    Identity,
    LoggedOn,
    LoggedOut,
    Profile,
    SessionOptions,
    Skipped,
    Unsound,
)
from txtrader.wire.fix.store import MemoryStore
from txtrader.wire.fix.validation import Switches

CLIENT = Identity("FIX.4.4", "CLIENT", "VENUE")


class Pair:
    """A client and a venue whose stores outlive their connections; `lose` is what a side's bytes are put through."""

    def __init__(self, client: SessionOptions | None = None, venue: SessionOptions | None = None, refusal=None) -> None:
        self.now = 1_795_000_000_000_000_000
        self.clock = 100.0
        self.client_options = client or SessionOptions(repeats_orders=False)
        self.venue_options = venue or SessionOptions()
        self.client_store, self.venue_store = MemoryStore(), MemoryStore()
        self.refusal = refusal
        self.events: dict[str, list] = {"client": [], "venue": []}

    def connect(self) -> None:
        self.client = FixSession(
            lambda: self.now, identity=CLIENT, options=self.client_options, store=self.client_store
        )
        self.venue = FixSession(
            lambda: self.now,
            identify=lambda identity, logon: Profile(self.venue_options, self.venue_store, self.refusal),
        )
        for session in (self.client, self.venue):
            session.handle_timeout(self.clock)
        self.client.start()
        self.settle()

    def settle(self, *, loses: str = "") -> None:
        """Carry bytes until there are none; those to the side `loses` are lost."""
        while True:
            to_venue, to_client = self.client.data_to_send(), self.venue.data_to_send()
            if not to_venue and not to_client:
                break
            if loses != "venue":
                self.venue.receive_data(to_venue)
            if loses != "client":
                self.client.receive_data(to_client)
            for name, session in (("client", self.client), ("venue", self.venue)):
                while (event := session.next_event()) is not None:
                    self.events[name].append(event)
                session.handle_timeout(self.clock)

    def take(self, name: str) -> list:
        found, self.events[name] = self.events[name], []
        return found

    def order(self, key: str) -> None:
        stamp = "20261118-11:06:40"
        fields = [(11, key), (38, "1"), (40, "1"), (54, "1"), (55, "IBM"), (60, stamp)]
        self.client.send(Message("D", fields))

    def report(self, key: str) -> None:
        self.venue.send(Message("9", [(11, key), (37, "1"), (39, "8"), (41, key), (434, "1")]))


def keys(events: list) -> list[str]:
    return [event[11] for event in events if isinstance(event, Message)]


def test_a_logon_and_a_logout_are_told_to_both():
    pair = Pair()
    pair.connect()
    assert [type(event) for event in pair.take("client") + pair.take("venue")] == [LoggedOn, LoggedOn]
    pair.order("A")
    pair.report("A")
    pair.settle()
    assert keys(pair.take("venue")) == keys(pair.take("client")) == ["A"]
    pair.client.log_out("bye")
    pair.settle()
    assert pair.take("venue") == [LoggedOut("bye")] and pair.take("client") == [LoggedOut(None)]
    assert pair.client.is_over and pair.venue.is_over
    with pytest.raises(LocalProtocolError):
        pair.order("B")


def test_reports_that_were_lost_come_after_the_reconnect_once_and_in_order():
    pair = Pair()
    pair.connect()
    pair.report("1")
    pair.settle()
    pair.report("2")
    pair.settle(loses="client")
    pair.connect()
    pair.report("3")
    pair.settle()
    assert keys(pair.take("client")) == ["1", "2", "3"]
    again = Pair()
    again.client_store, again.venue_store = pair.client_store, pair.venue_store
    again.connect()
    assert keys(again.take("client")) == []


def test_an_order_that_was_lost_is_never_sent_again():
    pair = Pair()
    pair.connect()
    pair.order("lost")
    pair.settle(loses="venue")
    pair.connect()
    pair.order("next")
    pair.settle()
    assert keys(pair.take("venue")) == ["next"], "what its sender calls unknown is asked about, not repeated"
    willing = Pair(client=SessionOptions(repeats_orders=True))
    willing.connect()
    willing.order("lost")
    willing.settle(loses="venue")
    willing.connect()
    assert keys(willing.take("venue")) == ["lost"]
    assert willing.take("venue") == []


def test_a_number_that_runs_backwards_is_an_alarm_and_never_a_reset():
    pair = Pair()
    pair.connect()
    pair.report("1")
    pair.settle()
    pair.take("client")
    pair.venue_store.reset()  # the venue lost its memory
    pair.connect()
    (over,) = pair.take("client")
    assert isinstance(over, LoggedOut) and "too low" in over.text
    pair = Pair(client=SessionOptions(resets_on_logon=True))
    for _ in range(2):
        pair.connect()
        assert [event.was_reset for event in pair.take("client")] == [True]
        pair.report("1")
        pair.settle()
        assert keys(pair.take("client")) == ["1"]


def test_a_reset_in_mid_session_begins_both_sides_anew():
    pair = Pair()
    pair.connect()
    pair.report("1")
    pair.settle()
    pair.client.reset()
    pair.settle()
    assert (pair.client_store.next_number, pair.client_store.expected) == (2, 2)
    assert (pair.venue_store.next_number, pair.venue_store.expected) == (2, 2)
    pair.take("client")
    pair.report("2")
    pair.settle()
    assert keys(pair.take("client")) == ["2"]


def test_a_refused_logon_says_why():
    pair = Pair(refusal="wrong password")
    pair.connect()
    assert pair.take("client") == [LoggedOut("wrong password")]
    assert not pair.client.is_logged_on


def test_silence_is_tested_and_then_ends_the_session():
    pair = Pair()
    pair.connect()
    client = pair.client
    pair.settle()
    deadlines = []
    with pytest.raises(RemoteProtocolError):
        for _ in range(10):
            deadline = client.next_deadline()
            deadlines.append(round(deadline - 100, 3))
            client.handle_timeout(deadline)
    assert deadlines == [30, 36, 72]
    assert client.is_over


def test_heartbeats_keep_a_quiet_session_alive():
    pair = Pair()
    pair.connect()
    for _ in range(20):
        pair.clock = min(session.next_deadline() for session in (pair.client, pair.venue))
        pair.now += 30_000_000_000
        for session in (pair.client, pair.venue):
            session.handle_timeout(pair.clock)
        pair.settle()
    assert pair.client.is_logged_on and pair.venue.is_logged_on
    assert pair.clock > 600


def test_who_never_logs_on_is_let_go():
    session = FixSession(lambda: 0, identify=lambda identity, logon: None)
    session.handle_timeout(5.0)
    assert session.next_deadline() == 15.0
    with pytest.raises(RemoteProtocolError):
        session.handle_timeout(15.0)


@pytest.mark.parametrize("interval", ["-1", "999999999", "1.5"])
def test_a_heartbeat_that_nobody_can_keep_is_no_logon(interval):
    pair = Pair(client=SessionOptions(heartbeat=interval))
    pair.connect()
    (over,) = pair.take("venue")
    assert isinstance(over, LoggedOut) and not pair.venue.is_logged_on


def test_no_password_is_kept_with_what_was_sent():
    pair = Pair(client=SessionOptions(username="who", password="swordfish"))
    pair.connect()
    kept = pair.client_store.sent(1)
    assert kept is not None and "35=A" in kept and "swordfish" not in kept


def test_no_password_shows_in_what_a_log_would_hold():
    assert "secret" not in repr(Message("A", [(553, "me"), (554, "secret")]))


def test_without_validation_the_session_still_has_the_fields_that_it_lives_on():
    pair = Pair(venue=SessionOptions(switches=Switches(validates=False)))
    pair.connect()
    head = [(49, "CLIENT"), (52, "20261118-11:06:40"), (56, "VENUE")]
    faulty = [
        [(35, "1"), (34, "2"), *head],  # without 112
        [(35, "0"), (34, "3"), *head[:2]],  # without 56
        [(35, "2"), (34, "4"), *head, (7, "abc"), (16, "0")],
        [(35, "0"), (34, "5"), *head, (4999, "unknown"), (58, "")],  # that is what nobody looks at
    ]
    pair.take("client")
    pair.venue.receive_data(b"".join(encode("FIX.4.4", fields) for fields in faulty))
    assert pair.venue.next_event() is None
    pair.client.store.next_number = 6
    pair.settle()
    rejects = [(event[45], event[371], event[373]) for event in pair.take("client")]
    assert rejects == [("2", "112", "1"), ("3", "56", "1"), ("4", "7", "6")]
    pair.report("A1")
    pair.settle()
    assert keys(pair.take("client")) == ["A1"], "the session goes on"


def test_a_test_is_answered_only_when_no_gap_is_open_either_way():
    pair = Pair()
    pair.connect()
    pair.take("client")
    pair.report("lost")
    pair.settle(loses="client")
    pair.order("lost")
    pair.settle(loses="venue")
    pair.client.test("IN-STEP")
    pair.settle()
    told = pair.take("client")
    assert [type(event).__name__ for event in told] == ["Message", "TestAnswered"], (
        "the report that was lost comes first"
    )
    assert told[1].text == "IN-STEP" and told[1].sending_time.startswith("20")
    assert pair.venue_store.expected == pair.client_store.next_number


def test_a_message_is_kept_before_its_number_counts():
    pair = Pair()
    pair.connect()
    seen: list[tuple[str, int]] = []
    pair.client.on_heard = lambda message: seen.append((message.type, pair.client_store.expected))
    expected = pair.client_store.expected
    pair.report("news")
    pair.venue.test("admin")
    pair.settle()
    assert seen == [("9", expected)], "and what is the session's own is not kept"


def test_only_fresh_messages_are_repeated_where_there_is_a_limit():
    pair = Pair(venue=SessionOptions(repeats_for=60.0))
    pair.connect()
    pair.report("old")
    pair.now += 61_000_000_000
    pair.report("fresh")
    pair.settle(loses="client")
    pair.connect()
    assert keys(pair.take("client")) == ["fresh"]


def test_numbers_that_are_skipped_are_told_to_those_who_want_to_know():
    pair = Pair(client=SessionOptions(tells_losses=True))
    pair.connect()
    pair.take("client")
    expected = pair.client_store.expected
    pair.venue.send(Message("4").add(36, expected + 9))
    pair.settle()
    assert pair.take("client") == [Skipped(expected, expected + 9)]


def test_a_message_that_is_rejected_is_told_to_those_who_want_to_know():
    pair = Pair(client=SessionOptions(tells_losses=True))
    pair.connect()
    pair.take("client")
    pair.venue.send(Message("8").add(37, "V1").add(39, "0"))
    pair.settle()
    (unsound,) = pair.take("client")
    assert isinstance(unsound, Unsound)
    assert (unsound.message[37], unsound.fault.reason, unsound.fault.tag) == ("V1", 1, 6)
    assert [event.type for event in pair.take("venue") if isinstance(event, Message)] == ["3"]
