"""The event stream: who is told what, in which sequence, and how one comes back."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from journaling import NOW, Opened, key, order, outcome
from twisted.internet.defer import Deferred, succeed

from txtrader.errors import IdempotencyKeyReuse, InternalError, InvalidArgument
from txtrader.gateway import stream_channel, stream_subscription
from txtrader.gateway.journal import Retention
from txtrader.gateway.session import Session, User
from txtrader.gateway.stream import EventStream, Resumed, Snapshot, StreamOptions, Subscription
from txtrader.model.event import StatusEvent


class Room(Opened):
    """A stream on a real journal, and easy ways to listen."""

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(folder, **options)
        self.stream = EventStream(self.journal, clock=self.clock)
        self.books: list[int] = []
        self.stream.set_snapshot("order", lambda user: {"orders": list(self.books), "for": user.accounts})

    def publish(self, number: int = 0, channel: str = "order", **parts: Any) -> list[Any]:
        self.books.append(number)
        return outcome(self.stream.publish("order", channel, "tws", {"n": number}, **parts))

    def published(self, *numbers: int, **parts: Any) -> list[StatusEvent]:
        found = [self.publish(number, **parts) for number in numbers]
        self.settle()
        return [each[0] for each in found]

    def quote(self, symbol: str, bid: int = 1, **parts: Any) -> None:
        self.stream.publish_ephemeral("quote", "quote", "tws", {"bid": bid}, key=symbol, symbol=symbol, **parts)


class Ear:
    """A subscriber that writes everything down."""

    def __init__(
        self, room: Room, session: Session, react: Callable[[StatusEvent], None] | None = None, **options: Any
    ) -> None:
        self.heard: list[Any] = []
        self.events: list[StatusEvent] = []
        self._react = react
        follower = SimpleNamespace(
            drained=options.pop("drained", lambda: succeed(None)),
            lost=options.pop("lost", None),
            unwanted=lambda channel, symbol: self.unwanted.append((channel, symbol)),
        )
        self.unwanted: list[Any] = []
        self.subscription: Subscription = room.stream.subscribe(
            session, StreamOptions(**options), self._deliver, follower
        )

    def _deliver(self, event: StatusEvent, prev: int | None) -> None:
        self.events.append(event)
        self.heard.append((event.symbol, event.data["bid"]) if event.channel == "quote" else (prev, event.seq))
        if self._react is not None:
            self._react(event)

    def resume(self, channel: str, *point: Any) -> list[Any]:
        found = outcome(self.subscription.resume(channel, *point))
        found_before = list(found)
        assert found_before == [], "never in the turn of the call"
        return found


def session(name: str = "alice", accounts: frozenset[str] | None = None) -> Session:
    return Session(User(name=name, role="trade", accounts=accounts), frontend="test", peer="here")


@pytest.fixture
def room(tmp_path: Path) -> Any:
    with Room(tmp_path) as opened:
        yield opened


# -- durable channels


def test_an_event_is_told_when_it_is_durable_and_the_caller_hears_after_the_subscribers(room: Room) -> None:
    sequence: list[str] = []
    Ear(room, session(), lambda event: sequence.append(f"told {event.seq}"))
    told = room.stream.publish("order", "order", "tws", {"n": 1})
    told.addCallback(lambda event: sequence.append(f"fired {event.seq}"))
    assert sequence == []
    room.settle()
    assert sequence == ["told 1", "fired 1"]


def test_prev_is_the_last_seq_that_this_subscriber_was_to_get(room: Room) -> None:
    room.published(1, 2)
    everything = Ear(room, session())
    only_a = Ear(room, session("bob", frozenset({"A", "B"})), accounts=frozenset({"A", "C"}))
    for account in ("A", "B", "C", None, "A"):
        room.publish(account=account)
    room.settle()
    assert everything.heard == [(2, 3), (3, 4), (4, 5), (5, 6), (6, 7)]
    assert only_a.heard == [(2, 3), (3, 6), (6, 7)]


def test_only_subscribed_channels_are_told_and_each_counts_for_itself(room: Room) -> None:
    ear = Ear(room, session(), channels=frozenset({"status"}))
    room.published(1, 2)
    room.published(3, channel="status")
    assert ear.heard == [(0, 1)]


def test_heads_are_what_was_told_last(room: Room) -> None:
    seen: list[int] = []
    Ear(room, session(), lambda event: seen.append(room.stream.heads["order"].seq))
    events = room.published(1, 2, 3)
    assert seen == [1, 2, 3]
    assert room.stream.heads["order"].to_dict() == {"epoch": room.journal.epoch, "seq": 3, "tag": events[2].tag}


def test_what_a_subscriber_publishes_inside_its_callback_comes_afterwards_for_everybody(room: Room) -> None:
    """F61."""
    first = Ear(room, session(), lambda event: event.data["n"] < 3 and room.publish(event.data["n"] + 1))
    second = Ear(room, session("bob"))
    room.publish(1)
    room.settle()
    assert first.heard == second.heard == [(0, 1), (1, 2), (2, 3)]
    assert [event.data["n"] for event in second.events] == [1, 2, 3]


def test_a_raising_subscriber_harms_nobody_and_is_logged_once(room: Room, expected_failures: list[str]) -> None:
    expected_failures.append("further failures are not logged")
    bad = Ear(room, session(), lambda event: 1 // 0, symbols=frozenset({"IBM"}))
    good = Ear(room, session("bob"), symbols=frozenset({"IBM"}))
    assert all(isinstance(event, StatusEvent) for event in room.published(1, 2, 3))
    room.quote("IBM")
    assert bad.heard == good.heard == [(0, 1), (1, 2), (2, 3), ("IBM", 1)]


def test_subscriptions_may_change_within_a_delivery(room: Room) -> None:
    ears: list[Ear] = []

    def change(event: StatusEvent) -> None:
        if event.data["n"] == 1:
            ears[1].subscription.close()
            ears.append(Ear(room, session("new")))

    ears += [Ear(room, session(), change), Ear(room, session("closed")), Ear(room, session("last"))]
    room.published(1, 2)
    assert [ear.heard for ear in ears] == [[(0, 1), (1, 2)], [], [(0, 1), (1, 2)], [(1, 2)]]


def test_a_transaction_is_one_commit_and_inner_ones_join(room: Room) -> None:
    groups: list[int] = []
    write = room.journal._store.write
    room.journal._store.write = lambda batch: (groups.append(len(batch.events)), write(batch))[1]  # type: ignore
    with room.stream.transaction():
        first = room.publish(1, orders=(order(),))
        with room.stream.transaction():
            second = room.publish(2, meta={"ledger": "x"})
        third = outcome(room.stream.record(keys=(key(),)))
    room.settle()
    assert groups == [2]
    assert [first[0].seq, second[0].seq, third] == [1, 2, [None]]


def test_a_transaction_is_kept_whole_or_not_at_all(room: Room) -> None:
    room.published(1, keys=(key(),))
    with room.stream.transaction():
        first = room.publish(2)
        second = room.publish(3, keys=(key(order_id="TX-B"),))
    room.settle()
    assert isinstance(first[0], IdempotencyKeyReuse)
    assert isinstance(second[0], IdempotencyKeyReuse)
    assert room.stream.heads["order"].seq == 1


def test_a_transaction_whose_body_raises_keeps_nothing(room: Room) -> None:
    found: list[Any] = []

    def body() -> None:
        with room.stream.transaction():
            found.extend([room.publish(1)])
            raise KeyError("bug")

    with pytest.raises(KeyError):
        body()
    room.settle()
    assert isinstance(found[0][0], InternalError)
    assert room.stream.heads["order"].seq == 0
    assert room.published(2)[0].seq == 1


# -- market data


def test_a_symbol_that_nobody_wants_is_not_even_built(room: Room) -> None:
    assert not room.stream.is_wanted("quote", "IBM")
    ear = Ear(room, session(), symbols=frozenset({"IBM"}))
    assert room.stream.is_wanted("quote", "IBM")
    assert not room.stream.is_wanted("quote", "AAPL")
    room.quote("IBM")
    room.quote("AAPL")
    ear.subscription.close()
    assert not room.stream.is_wanted("quote", "IBM")
    room.quote("IBM")
    assert ear.heard == [("IBM", 1)]


def test_symbols_are_the_users_the_sessions_or_listed(room: Room) -> None:
    one, two, other = session(), session(), session("bob")
    by_user = Ear(room, one, symbols="user")
    by_session = Ear(room, one, symbols="session")
    listed = Ear(room, other, symbols=frozenset({"SPY"}))
    room.stream.symbol_added(one, "IBM")
    room.stream.symbol_added(two, "AAPL")
    room.stream.symbol_added(two, "IBM")
    room.stream.symbol_added(other, "QQQ")
    late = Ear(room, two, symbols="user")
    for symbol in ("IBM", "AAPL", "QQQ", "SPY"):
        room.quote(symbol)
    assert by_user.heard == late.heard == [("IBM", 1), ("AAPL", 1)]
    assert by_session.heard == [("IBM", 1)]
    assert listed.heard == [("SPY", 1)]
    room.stream.symbol_removed(one, "IBM")
    room.quote("IBM", 2)
    assert by_user.heard[-1] == ("IBM", 2), "another session of the user still has it"
    assert by_session.heard == [("IBM", 1)]
    room.stream.symbol_removed(two, "IBM")
    assert not room.stream.is_wanted("quote", "IBM")


def test_symbols_that_a_session_had_before_it_subscribed_count(room: Room) -> None:
    one = session()
    one.symbols.add("IBM")
    ear = Ear(room, one, symbols="session")
    room.quote("IBM")
    assert ear.heard == [("IBM", 1)]


def test_a_closed_session_leaves_nothing_behind(room: Room) -> None:
    one, two = session(), session()
    ear = Ear(room, one)
    room.stream.symbol_added(one, "IBM")
    room.stream.symbol_added(two, "AAPL")
    room.stream.session_closed(one)
    room.stream.session_closed(one)
    assert not ear.subscription.is_open
    room.stream.session_closed(two)
    assert room.stream._symbols == room.stream._of_user == room.stream._subscriptions == {}
    assert not any(room.stream.is_wanted("quote", symbol) for symbol in ("IBM", "AAPL"))


def test_unknown_words_for_symbols_are_refused(room: Room) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Ear(room, session(), symbols="all")
    assert caught.value.path == "symbols"
    assert room.stream._subscriptions == {}


def test_options_change_live(room: Room) -> None:
    ear = Ear(room, session(), symbols=frozenset({"IBM"}))
    room.published(1)
    ear.subscription.update(StreamOptions(channels=frozenset({"quote"}), symbols=frozenset({"SPY"})))
    room.published(2)
    room.quote("IBM")
    room.quote("SPY")
    ear.subscription.update(StreamOptions(channels=frozenset({"order"})))
    room.published(3)
    room.quote("SPY")
    assert ear.heard == [(0, 1), ("SPY", 1), (2, 3)]


def test_events_for_an_account_reach_those_who_see_it(room: Room) -> None:
    everything, mine = Ear(room, session(), symbols=frozenset({"IBM"})), None
    mine = Ear(room, session("bob", frozenset({"B"})), symbols=frozenset({"IBM"}))
    room.quote("IBM", 1, account="A")
    room.quote("IBM", 2, account="B")
    assert everything.heard == [("IBM", 1), ("IBM", 2)]
    assert mine.heard == [("IBM", 2)]


def test_a_quote_published_within_the_delivery_of_another_comes_after_it_for_everybody(room: Room) -> None:
    first = Ear(
        room,
        session(),
        lambda event: event.data["bid"] < 3 and room.quote("IBM", event.data["bid"] + 1),
        symbols=frozenset({"IBM"}),
    )
    second = Ear(room, session("bob"), symbols=frozenset({"IBM"}))
    room.quote("IBM", 1)
    assert first.heard == second.heard == [("IBM", 1), ("IBM", 2), ("IBM", 3)]
    assert [event.n for event in second.events] == [1, 2, 3]


def test_the_clock_channel_has_no_symbol(room: Room) -> None:
    ears = [Ear(room, session()), Ear(room, session("bob"), channels=frozenset({"quote"}))]
    room.stream.publish_ephemeral("time", "time", "tws", {"time": "x"})
    assert [len(ear.events) for ear in ears] == [1, 0]


def test_one_event_object_and_so_one_encoding_serves_all(room: Room) -> None:
    ears = [Ear(room, session(), symbols=frozenset({"IBM"})) for _ in range(3)]
    room.quote("IBM")
    encodings: list[int] = []

    def encode(event: StatusEvent) -> bytes:
        encodings.append(1)
        return b"x"

    assert {ear.events[0].encoded("line", encode) for ear in ears} == {b"x"}
    assert encodings == [1]


def test_conflation_passes_the_latest_quote_of_each_symbol_once_in_the_interval(room: Room) -> None:
    ear = Ear(room, session(), symbols=frozenset({"IBM", "SPY"}), conflate=100)
    for bid in (1, 2, 3):
        room.quote("IBM", bid)
    room.clock.advance(0.06)
    room.quote("SPY", 7)
    room.quote("SPY", 8)
    room.quote("IBM", 4)
    assert ear.heard == [("IBM", 1), ("SPY", 7)]
    room.clock.advance(0.05)
    assert ear.heard == [("IBM", 1), ("SPY", 7), ("IBM", 4)]
    room.clock.advance(0.06)
    assert ear.heard[3:] == [("SPY", 8)]
    room.clock.advance(1)
    room.quote("IBM", 5)
    assert ear.heard[4:] == [("IBM", 5)], "after a quiet interval at once"
    room.quote("IBM", 6)
    ear.subscription.update(StreamOptions(symbols=frozenset({"IBM"})))
    room.quote("IBM", 9)
    room.clock.advance(1)
    assert ear.heard[5:] == [("IBM", 9)], "nothing old comes late"
    assert [event.n for event in ear.events if event.symbol == "IBM"] == [1, 4, 5, 7], "the gaps show what was dropped"


def test_a_closed_conflating_subscriber_leaves_no_timer(room: Room) -> None:
    before = len(room.clock.getDelayedCalls())
    ear = Ear(room, session(), symbols=frozenset({"IBM"}), conflate=100)
    room.quote("IBM", 1)
    room.quote("IBM", 2)
    assert len(room.clock.getDelayedCalls()) == before + 1
    ear.subscription.close()
    assert len(room.clock.getDelayedCalls()) == before
    room.clock.advance(1)
    assert ear.heard == [("IBM", 1)]


# -- coming back


def point(event: StatusEvent) -> tuple[Any, Any, Any]:
    return event.epoch, event.seq, event.tag


def test_resume_tells_what_was_missed_and_goes_on_live(room: Room) -> None:
    events = room.published(1, 2, 3, 4)
    ear = Ear(room, session())
    found = ear.resume("order", *point(events[1]))
    room.publish(5)
    room.settle()
    assert found == [Resumed(channel="order", first=3, last=4)] or found == [Resumed(channel="order", first=3, last=5)]
    room.published(6)
    assert ear.heard == [(2, 3), (3, 4), (4, 5), (5, 6)]


def test_resume_from_the_head_has_nothing_to_tell(room: Room) -> None:
    events = room.published(1)
    ear = Ear(room, session())
    found = ear.resume("order", *point(events[0]))
    room.settle()
    assert found == [Resumed(channel="order", first=2, last=1)]
    room.published(2)
    assert ear.heard == [(1, 2)]


def test_resume_from_before_the_first_event_uses_the_tag_of_the_empty_channel(room: Room) -> None:
    start = room.stream.heads["order"]
    room.published(1)
    ear, wrong = Ear(room, session()), Ear(room, session())
    found = ear.resume("order", start.epoch, 0, start.tag)
    refused = wrong.resume("order", start.epoch, 0, "0" * 16)
    room.settle()
    assert found == [Resumed(channel="order", first=1, last=1)]
    assert refused[0].mismatch.reason == "tag"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda epoch, seq, tag: ("other", seq, tag), "epoch"),
        (lambda epoch, seq, tag: (epoch, seq + 9, tag), "seq"),
        (lambda epoch, seq, tag: (epoch, seq, "0" * 16), "tag"),
        (lambda epoch, seq, tag: (epoch, seq - 1, tag), "tag"),
    ],
)
def test_a_resume_point_that_is_not_ours_gets_a_mismatch_and_a_snapshot(
    room: Room, change: Callable[..., tuple[Any, Any, Any]], reason: str
) -> None:
    events = room.published(1, 2, 3)
    ear = Ear(room, session("bob", frozenset({"A"})))
    found = ear.resume("order", *change(*point(events[2])))
    room.publish(4)
    room.settle()
    snapshot = found[0]
    assert isinstance(snapshot, Snapshot)
    assert snapshot.mismatch is not None
    assert snapshot.mismatch.reason == reason
    assert snapshot.data == {"orders": [1, 2, 3, 4], "for": frozenset({"A"})}
    assert snapshot.as_of == room.stream.heads["order"]
    room.published(5)
    assert ear.heard == [(4, 5)], "the snapshot contains the fourth"


def test_a_point_that_is_too_old_gets_a_snapshot_without_blame(tmp_path: Path) -> None:
    now = [NOW]
    with Room(tmp_path, now_ns=lambda: now[0], retention=Retention(events=1.0)) as room:
        events = room.published(1, 2, 3)
        now[0] += int(10e9)
        room.clock.advance(600)
        room.settle()
        old, edge = Ear(room, session()), Ear(room, session())
        found = old.resume("order", *point(events[0]))
        last = edge.resume("order", *point(events[1]))
        room.settle()
        assert isinstance(found[0], Snapshot)
        assert found[0].mismatch is None
        assert last == [Resumed(channel="order", first=3, last=3)]


def test_resume_reads_from_the_file_what_memory_no_longer_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_channel, "_RING", 4)
    monkeypatch.setattr(stream_subscription, "_PAGE", 3)
    with Room(tmp_path) as room:
        first = room.published(*range(10))
    with Room(tmp_path) as room:
        room.published(*range(10, 20))
        ear = Ear(room, session())
        found = ear.resume("order", *point(first[2]))
        room.settle()
        assert found == [Resumed(channel="order", first=4, last=20)]
        assert [event.data["n"] for event in ear.events] == list(range(3, 20))
        assert [event.tag for event in ear.events][:7] == [event.tag for event in first[3:]]
        assert [prev for prev, _ in ear.heard] == list(range(3, 20))


def test_what_is_wanted_no_longer_is_said_once(room: Room) -> None:
    room.stream.symbol_added(one := session(), "IBM")
    ear = Ear(room, one, channels=frozenset({"quote", "trade"}))
    ear.subscription.update(StreamOptions(channels=frozenset({"quote"}), conflate=100))
    assert ear.unwanted == [("trade", "IBM")]
    room.stream.symbol_removed(one, "IBM")
    assert ear.unwanted == [("trade", "IBM"), ("quote", "IBM")]


def test_a_long_resume_waits_for_a_slow_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_subscription, "_PAGE", 3)
    waiting: list[Deferred[None]] = []

    def drained() -> Deferred[None]:
        waiting.append(Deferred())
        return waiting[-1]

    with Room(tmp_path) as room:
        start = room.stream.heads["order"]
        room.published(*range(7))
        ear = Ear(room, session(), drained=drained)
        ear.resume("order", start.epoch, 0, start.tag)
        room.settle()
        assert len(ear.heard) == 3
        room.published(7)
        assert len(ear.heard) == 3, "live ones wait their turn"
        while waiting:
            waiting.pop().callback(None)
            room.settle()
        assert [seq for _, seq in ear.heard] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_closing_ends_a_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_subscription, "_PAGE", 2)
    with Room(tmp_path) as room:
        start = room.stream.heads["order"]
        room.published(*range(6))
        ears: list[Ear] = []
        ears.append(Ear(room, session(), lambda event: event.seq == 3 and ears[0].subscription.close()))
        ears[0].resume("order", start.epoch, 0, start.tag)
        room.settle()
        assert [seq for _, seq in ears[0].heard] == [1, 2, 3]
        assert room.journal._holds == 0


def test_a_resume_that_cannot_be_completed_closes_the_subscription_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_channel, "_RING", 2)
    monkeypatch.setattr(stream_subscription, "_PAGE", 2)
    lost: list[Any] = []
    with Room(tmp_path) as room:
        start = room.stream.heads["order"]
        room.published(*range(8))
        ear = Ear(room, session(), lost=lost.append)
        room.journal._store._connection.execute("DELETE FROM events WHERE id & 255 = 4")
        ear.resume("order", start.epoch, 0, start.tag)
        room.settle()
        assert [seq for _, seq in ear.heard][:2] == [1, 2]
        assert not ear.subscription.is_open
        assert lost[0].check(InternalError)
        assert room.journal._holds == 0


def test_a_snapshot_is_cut_where_it_is_asked_for(room: Room) -> None:
    ear = Ear(room, session())
    sequence: list[Any] = []
    room.publish(1)
    waiting = ear.subscription.snapshot("order")
    waiting.addCallback(
        lambda snapshot: sequence.extend([snapshot.data["orders"], list(ear.heard), snapshot.as_of.seq])
    )
    room.publish(2)
    room.settle()
    assert sequence == [[1], [(0, 1)], 1]
    assert ear.heard == [(0, 1), (1, 2)]


def test_a_snapshot_without_builder_or_channel_is_refused(room: Room, expected_failures: list[str]) -> None:
    expected_failures.append("cannot be built")
    ear = Ear(room, session())
    assert isinstance(outcome(ear.subscription.snapshot("account"))[0], InternalError)
    with pytest.raises(InvalidArgument):
        ear.subscription.snapshot("quote")
    with pytest.raises(InvalidArgument):
        ear.subscription.resume("bar", "e", 0, "t")
    room.stream.set_snapshot("account", lambda user: 1 // 0)
    assert isinstance(outcome(ear.subscription.snapshot("account"))[0], InternalError)


def test_floats_never_get_into_the_stream(room: Room, expected_failures: list[str]) -> None:
    expected_failures.append("cannot be journaled")
    found = outcome(room.stream.publish("order", "order", "tws", {"price": 12.5}))
    assert isinstance(found[0], InternalError)
    fine = outcome(room.stream.publish("order", "order", "tws", {"price": Decimal("12.5")}))
    room.settle()
    assert fine[0].seq == 1
