"""The heap clock behaves as Twisted's own, and stays quick."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.task import Clock, LoopingCall

from txtrader.net.clock import HeapClock


def test_calls_run_in_the_sequence_of_their_times_and_see_their_own_time():
    clock = HeapClock(10.0)
    seen: list[tuple[str, float]] = []
    for name, delay in (("late", 3), ("early", 1), ("same", 1)):
        clock.callLater(delay, lambda name=name: seen.append((name, clock.seconds())))
    assert clock.advance(5) == 3
    assert seen == [("early", 11.0), ("same", 11.0), ("late", 13.0)]
    assert clock.seconds() == 15.0


def test_a_call_added_on_the_way_runs_if_it_falls_due():
    clock = HeapClock()
    seen: list[float] = []
    clock.callLater(1, lambda: clock.callLater(1, lambda: seen.append(clock.seconds())))
    clock.advance(1.5)
    assert seen == []
    clock.advance(0.5)
    assert seen == [2.0]


def test_a_cancelled_call_neither_runs_nor_shows():
    clock = HeapClock()
    call = clock.callLater(1, pytest.fail)
    assert clock.getDelayedCalls() == [call]
    call.cancel()
    assert clock.getDelayedCalls() == []
    assert clock.advance(2) == 0
    with pytest.raises(AlreadyCancelled):
        call.cancel()


def test_reset_and_delay_move_a_call_both_ways():
    clock = HeapClock()
    seen: list[tuple[str, float]] = []
    later = clock.callLater(1, lambda: seen.append(("later", clock.seconds())))
    sooner = clock.callLater(9, lambda: seen.append(("sooner", clock.seconds())))
    later.delay(3)
    sooner.reset(2)
    clock.advance(10)
    assert seen == [("sooner", 2.0), ("later", 4.0)]
    with pytest.raises(AlreadyCalled):
        later.reset(1)


def test_a_call_that_raises_is_kept_and_the_rest_go_on():
    clock = HeapClock()
    seen: list[int] = []
    clock.callLater(1, lambda: 1 // 0)
    clock.callLater(1, seen.append, 2)
    clock.advance(1)
    assert seen == [2]
    assert clock.failures[0].check(ZeroDivisionError)


def test_looping_calls_and_timeouts_run_on_it():
    clock = HeapClock()
    ticks: list[float] = []
    loop = LoopingCall(lambda: ticks.append(clock.seconds()))
    loop.clock = clock
    loop.start(1.0, now=False)
    waiting: Deferred[None] = Deferred().addTimeout(2.5, clock)
    ended: list[bool] = []
    waiting.addErrback(lambda failure: ended.append(failure.check(TimeoutError) is not None))
    clock.advance(3)
    loop.stop()
    assert ticks == [1.0, 2.0, 3.0]
    assert ended == [True]
    assert clock.getDelayedCalls() == []


def test_run_stops_at_the_condition_or_the_limit():
    clock = HeapClock()
    seen: list[int] = []
    for moment in range(1, 10):
        clock.callLater(moment, seen.append, moment)
    assert clock.run(until=lambda: len(seen) == 3, limit=100)
    assert clock.seconds() == 3.0
    assert not clock.run(until=lambda: False, limit=2.5)
    assert seen == [1, 2, 3, 4, 5]


def test_wall_clock_follows_in_nanoseconds():
    clock = HeapClock(epoch_ns=1_700_000_000_000_000_000)
    clock.advance(1.5)
    assert clock.now_ns() == 1_700_000_001_500_000_000


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["add", "cancel", "reset", "delay", "advance"]), st.integers(0, 7), st.integers(0, 20)),
    max_size=80,
)


@given(ACTIONS)
def test_it_runs_what_twisteds_clock_runs(actions):
    """Both get the same program; ties are left out by adding a distinct fraction to each time."""
    logs = []
    for clock in (Clock(), HeapClock()):
        log: list[int] = []
        calls = []
        for number, (action, which, amount) in enumerate(actions):
            moment = amount + number / 1024
            live = [call for call in calls if call.active()]
            if action == "add":
                calls.append(clock.callLater(moment, log.append, number))
            elif action == "advance":
                clock.advance(amount)
                log.append(-number)
            elif live:
                call = live[which % len(live)]
                if action == "cancel":
                    call.cancel()
                elif action == "reset":
                    call.reset(moment)
                else:
                    call.delay(moment)
        clock.advance(10_000)
        logs.append(log)
    assert logs[0] == logs[1]


def test_dead_entries_do_not_pile_up():
    clock = HeapClock()
    call = clock.callLater(1, lambda: None)
    chooser = random.Random(1)
    for _ in range(10_000):
        call.reset(1 + chooser.random())
    assert len(clock._heap) < 200
    assert clock.getDelayedCalls() == [call]
