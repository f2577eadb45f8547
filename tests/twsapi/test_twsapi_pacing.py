"""How fast a connection speaks: messages by priority, history by TWS's rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from txtrader.errors import BrokerUnavailable, Throttled
from txtrader.net.pacing import Pacer, Priority
from txtrader.twsapi.pacing import HistoryPacer


@given(st.lists(st.tuples(st.floats(min_value=0, max_value=0.7), st.integers(min_value=1, max_value=30)), max_size=12))
def test_no_second_anywhere_holds_more_than_the_rate(bursts: list[tuple[float, int]]) -> None:
    clock, sent = Clock(), []
    pacer = Pacer(clock, 10.0)
    for pause, count in bursts:
        clock.advance(pause)
        for _ in range(count):
            pacer.submit(Priority.DATA, lambda: sent.append(clock.seconds()))
    while clock.getDelayedCalls():
        clock.advance(max(0.0, min(call.getTime() for call in clock.getDelayedCalls()) - clock.seconds()))
    assert len(sent) == sum(count for _, count in bursts)
    for index in range(len(sent) - 10):
        assert sent[index + 10] - sent[index] >= 1.0 - 1e-5


def test_below_the_rate_everything_leaves_at_once() -> None:
    clock, sent = Clock(), []
    pacer = Pacer(clock, 45.0)
    for number in range(45):
        pacer.submit(Priority.DATA, lambda number=number: sent.append(number))
    assert sent == list(range(45))
    assert clock.getDelayedCalls() == []


def test_cancels_overtake_orders_and_orders_overtake_data() -> None:
    clock, sent = Clock(), []
    pacer = Pacer(clock, 1.0)
    pacer.submit(Priority.DATA, lambda: sent.append("first"))
    for priority in (Priority.DATA, Priority.ACCOUNT, Priority.ORDER, Priority.CANCEL):
        pacer.submit(priority, lambda priority=priority: sent.append(priority.name))
    clock.pump([1.0] * 5)
    assert sent == ["first", "CANCEL", "ORDER", "ACCOUNT", "DATA"]


def test_an_urgent_message_never_waits() -> None:
    clock, sent = Clock(), []
    pacer = Pacer(clock, 1.0)
    for _ in range(3):
        pacer.submit(Priority.DATA, lambda: sent.append("data"))
    pacer.submit(Priority.URGENT, lambda: sent.append("urgent"))
    assert sent == ["data", "urgent"]


def test_what_waits_can_be_withdrawn_and_what_has_left_cannot() -> None:
    clock, sent = Clock(), []
    pacer = Pacer(clock, 1.0)
    first = pacer.submit(Priority.ORDER, lambda: sent.append(1))
    second = pacer.submit(Priority.ORDER, lambda: sent.append(2))
    assert not first.withdraw()
    assert second.withdraw()
    assert not second.withdraw()
    clock.advance(5)
    assert sent == [1]


def test_more_than_the_queue_holds_is_refused_with_a_time_to_come_back() -> None:
    pacer = Pacer(Clock(), 1.0)
    with pytest.raises(Throttled) as caught:
        for _ in range(1_002):
            pacer.submit(Priority.ORDER, lambda: None)
    assert caught.value.retry_after and caught.value.retry_after > 0
    assert pacer.queued == 1_000
    pacer.submit(Priority.CANCEL, lambda: None)  # cancels have a queue of their own


def test_a_message_that_fails_does_not_keep_the_others() -> None:
    clock, sent = Clock(), []
    pacer = Pacer(clock, 1.0)

    def fail() -> None:
        raise RuntimeError("a bug")

    pacer.submit(Priority.DATA, lambda: None)
    pacer.submit(Priority.DATA, fail)
    pacer.submit(Priority.DATA, lambda: sent.append("after"))
    with pytest.raises(RuntimeError):
        clock.advance(1.0)
    clock.advance(1.0)
    assert sent == ["after"]


def test_a_stopped_pacer_leaves_nothing_ticking() -> None:
    clock, sent = Clock(), []
    pacer = Pacer(clock, 1.0)
    for _ in range(5):
        pacer.submit(Priority.DATA, lambda: sent.append(1))
    pacer.stop()
    assert clock.getDelayedCalls() == []
    assert pacer.queued == 0
    clock.advance(10)
    assert sent == [1]


# --- history ---


def asked(pacer: HistoryPacer, clock: Clock, started: list[float], identity: object, **options: object) -> None:
    waiter = pacer.turn(identity, options.pop("contract", "c"), is_small=True, **options)  # type: ignore[arg-type]
    waiter.addCallback(lambda _: (started.append(clock.seconds()), pacer.ended()))


def test_the_same_small_question_waits_fifteen_seconds() -> None:
    clock, started = Clock(), []
    pacer = HistoryPacer(clock)
    for _ in range(2):
        asked(pacer, clock, started, "same")
    clock.advance(14.9)
    assert len(started) == 1
    clock.advance(0.2)
    assert len(started) == 2


def test_five_of_one_contract_in_two_seconds_and_no_more() -> None:
    clock, started = Clock(), []
    pacer = HistoryPacer(clock)
    for number in range(6):
        asked(pacer, clock, started, number)
    assert len(started) == 5
    asked(pacer, clock, started, "another", contract="other")
    assert len(started) == 6  # another contract is not held up
    clock.advance(2.1)
    assert len(started) == 7


def test_fifty_eight_in_ten_minutes_and_bid_ask_counts_double() -> None:
    clock, started = Clock(), []
    pacer = HistoryPacer(clock, most_open=1_000)
    for number in range(30):
        asked(pacer, clock, started, number, contract=number, cost=2)
    assert len(started) == 29
    clock.advance(599)
    assert len(started) == 29
    clock.advance(2)
    assert len(started) == 30


def test_longer_bars_only_wait_for_a_free_place() -> None:
    clock = Clock()
    pacer = HistoryPacer(clock, most_open=3)
    turns = [pacer.turn("same", "same", is_small=False) for _ in range(5)]
    assert [turn.called for turn in turns] == [True, True, True, False, False]
    pacer.ended()
    assert turns[3].called


def test_a_pause_holds_everything_up() -> None:
    clock = Clock()
    pacer = HistoryPacer(clock)
    pacer.pause(15.0)
    turn = pacer.turn("a", "b", is_small=False)
    clock.advance(14)
    assert not turn.called
    clock.advance(2)
    assert turn.called


def test_a_turn_that_is_given_up_frees_its_place_in_the_queue() -> None:
    pacer = HistoryPacer(Clock(), most_open=1)
    pacer.turn("a", "c", is_small=False)
    given_up = pacer.turn("b", "c", is_small=False)
    last = pacer.turn("d", "c", is_small=False)
    given_up.addErrback(lambda failure: None)
    given_up.cancel()
    pacer.ended()
    assert last.called


def test_a_lost_link_fails_what_waits() -> None:
    clock = Clock()
    pacer = HistoryPacer(clock, most_open=0)
    turn = pacer.turn("a", "b", is_small=True)
    pacer.stop()
    failures: list[object] = []
    turn.addErrback(lambda failure: failures.append(failure.trap(BrokerUnavailable)))
    assert failures
    assert clock.getDelayedCalls() == []
