"""Virtual time: a market of timers and matching on the simulator's clock, against Twisted's own clock for tests.

Both run the same program to the same hash: a hundred books, each with a trader whose timer rests, takes and cancels
orders (70/20/10), and four hundred timers of sessions that come round every half minute.  Delays are whole fractions
of two, so that the times are the same on both clocks to the last bit.
"""

from __future__ import annotations

import random
import time
from typing import Any

from twisted.internet.task import Clock

from benchmarks.harness import Result, Target, Void, compare
from txtrader.exsim.book import Book, BookOrder
from txtrader.exsim.matching import Matching
from txtrader.net.clock import HeapClock

SYMBOLS = 100
SESSIONS = 400
RATE = 5  # events a second of each symbol
DAY = 23_400  # seconds: half past nine to four
SHORT = 200  # seconds that are compared
_MASK = (1 << 61) - 1
_FIRST = 10_000
_MOST_RESTING = 200


class _Trader:
    """One book and who trades in it; every event of matching goes into a running hash."""

    __slots__ = ("_clock", "_draw", "_live", "_matching", "_number", "events", "hash")

    def __init__(self, clock: Any, seed: int) -> None:
        self._clock = clock
        self._draw = random.Random(seed).random
        self._matching = Matching(Book(), self)
        self._live: list[BookOrder] = []
        self._number = 0
        self.events = 0
        self.hash = seed
        clock.callLater(int(self._draw() * 256) / 1024, self.act)

    def act(self) -> None:
        draw = self._draw()
        self.events += 1
        live = self._live
        if draw < 0.2 and live:
            order = live.pop(int(draw * 5 * len(live)))
            if order.level is not None:
                self._matching.cancel(order)
                self.hash = (self.hash * 31 + order.number) & _MASK
        else:
            self._number += 1
            sign = 1 if draw * 1000 % 1 < 0.5 else -1
            distance = 1 + int(draw * 100_000 % 20)
            price = _FIRST - sign * distance if draw < 0.9 else _FIRST + sign * 2
            order = BookOrder(self._number, sign, price, 10 * (1 + int(draw * 10_000 % 10)))
            self._matching.enter(order)
            if order.level is not None:
                live.append(order)
                if len(live) > _MOST_RESTING:
                    oldest = live.pop(0)
                    if oldest.level is not None:
                        self._matching.cancel(oldest)
        # A fifth of a second in the mean, in 1024ths.
        self._clock.callLater((1 + int(draw * 1_000_000 % 408)) / 1024, self.act)

    def executed(self, aggressor: BookOrder, resting: BookOrder, price: int, quantity: int) -> None:
        self.hash = (self.hash * 31 + aggressor.number * price + resting.number * quantity) & _MASK

    def rested(self, order: BookOrder) -> None:
        self.hash = (self.hash * 31 + order.number) & _MASK

    def dropped(self, order: BookOrder, reason: Any, apart: Any = None) -> None:
        raise Void("nothing is dropped here")

    def lessened(self, order: BookOrder, lots: int, apart: Any = None) -> None:
        raise Void("nothing is lessened here")

    def asked(self, aggressor: BookOrder, resting: BookOrder, price: int, quantity: int) -> None:
        raise Void("nobody is asked here")


class _Session:
    """A timer that comes round, as heartbeats do."""

    __slots__ = ("_clock", "events")

    def __init__(self, clock: Any, number: int) -> None:
        self._clock = clock
        self.events = 0
        clock.callLater(number * 32 / 1024, self.beat)

    def beat(self) -> None:
        self.events += 1
        self._clock.callLater(30.0, self.beat)


def _play(clock: Any, seconds: int) -> tuple[float, int, int]:
    """Run the program; return how long it took, how many timers ran, and the hash."""
    traders = [_Trader(clock, number) for number in range(SYMBOLS)]
    sessions = [_Session(clock, number) for number in range(SESSIONS)]
    start = time.perf_counter()
    if isinstance(clock, Clock):
        # From timer to timer: so each runs at its own time, which one long step would not give.
        while clock.calls and clock.calls[0].getTime() <= seconds:
            clock.advance(clock.calls[0].getTime() - clock.seconds())
    else:
        clock.advance_to(float(seconds))
    took = time.perf_counter() - start
    events = sum(trader.events for trader in traders) + sum(session.events for session in sessions)
    final = 0
    for trader in traders:
        final = (final * 1_000_003 + trader.hash) & _MASK
    return took, events, final


def run(rounds: int = 5) -> list[Result]:
    """Compare both clocks over some minutes of market; then run a whole day on ours."""
    wanted = _play(HeapClock(), SHORT)[1:]

    def side(clock: Any) -> dict[str, float]:
        took, *found = _play(clock, SHORT)
        if tuple(found) != wanted:
            raise Void(f"events and hash are {found}, not {wanted}")
        return {"value": found[0] / took}

    results = compare(
        "B14 clock",
        "events under virtual time",
        ours=lambda: side(HeapClock()),
        theirs=lambda: side(Clock()),
        targets={"value": Target(at_least=10.0)},
        unit="events/s",
        ours_are="HeapClock, with matching in each event",
        theirs_are="twisted.internet.task.Clock, from timer to timer, with the same matching",
        parameters={"symbols": SYMBOLS, "timers": SYMBOLS + SESSIONS, "seconds": SHORT, "events": wanted[0]},
        rounds=rounds,
    )
    took, events, _ = _play(HeapClock(), DAY)
    print(f"# a day of {SYMBOLS} symbols: {events:,} events in {took:.1f} s (aim: at most 120 s)")
    return results
