"""A clock for long simulations: `IReactorTime` on a heap.

Twisted's `task.Clock` sorts every pending call at each `callLater`, which makes long runs with many timers slower
the longer they go.  This one pops from a heap, so a whole trading day fits into a test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from typing import Any

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

__all__ = ["HeapClock", "SteppedReactor"]

NANOSECONDS = 1_000_000_000


@implementer(IDelayedCall)
class _Call:
    """One scheduled call; a moved call leaves its old heap entry behind, which is skipped when it comes up."""

    __slots__ = ("_clock", "args", "entry", "function", "kwargs", "state", "time")

    def __init__(
        self,
        clock: HeapClock,
        time: float,
        function: Callable[..., object],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self._clock = clock
        self.time = time
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.entry = 0
        self.state = "pending"  # then called or cancelled

    def getTime(self) -> float:
        return self.time

    def active(self) -> bool:
        return self.state == "pending"

    def cancel(self) -> None:
        self._check_pending()
        self.state = "cancelled"
        self.function, self.args, self.kwargs = _nothing, (), {}  # what the call held is free at once
        self._clock._forget()

    def reset(self, secondsFromNow: float) -> None:
        self._check_pending()
        self.time = self._clock.seconds() + secondsFromNow
        self._clock._push(self, is_move=True)

    def delay(self, secondsLater: float) -> None:
        self._check_pending()
        self.time += secondsLater
        self._clock._push(self, is_move=True)

    def _check_pending(self) -> None:
        if self.state == "cancelled":
            raise AlreadyCancelled
        if self.state == "called":
            raise AlreadyCalled


def _nothing() -> None:
    """Stand in for the function of a cancelled call."""


@implementer(IReactorTime)
class HeapClock:
    """Simulated time: nothing happens until `advance`, then everything in its exact order.

    Calls due at the same instant run in the order they were scheduled.  Each call sees the clock at its own time,
    not at the end of the step.  A call that raises is kept in `failures` and the rest go on, as in a reactor.
    `start` is the reading at the beginning (float seconds); `epoch_ns` is the wall-clock instant that belongs to it
    (integer nanoseconds UTC).
    """

    def __init__(self, start: float = 0.0, *, epoch_ns: int = 0) -> None:
        self._now = start
        self._start = start
        self._epoch_ns = epoch_ns
        self._heap: list[tuple[float, int, _Call]] = []
        self._count = 0
        self._dead = 0
        self.failures: list[Failure] = []

    def seconds(self) -> float:
        return self._now

    def now_ns(self) -> int:
        """Return the simulated wall clock (integer nanoseconds UTC)."""
        return self._epoch_ns + round((self._now - self._start) * NANOSECONDS)

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kwargs: object) -> _Call:
        assert delay >= 0, f"a call {delay} seconds in the past"
        call = _Call(self, self._now + delay, callable, args, kwargs)
        self._push(call)
        return call

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """Return the pending calls, the next one first."""
        return [call for _, entry, call in sorted(self._heap, key=lambda item: item[:2]) if _is_live(entry, call)]

    @property
    def next_time(self) -> float | None:
        """The clock second of the next call, None when nothing is pending."""
        self._drop_dead()
        return self._heap[0][0] if self._heap else None

    def advance(self, amount: float) -> int:
        """Move time forward by `amount` seconds and run what falls due; return how many calls ran."""
        return self.advance_to(self._now + amount)

    def advance_to(self, moment: float) -> int:
        """Move time forward to `moment` (clock seconds); calls added on the way run too if they fall due."""
        assert moment >= self._now, "time does not run backwards"
        ran = 0
        heap = self._heap
        while heap and heap[0][0] <= moment:
            time, entry, call = heappop(heap)
            if not _is_live(entry, call):
                self._dead -= 1
                continue
            self._now = max(self._now, time)
            call.state = "called"
            ran += 1
            try:
                call.function(*call.args, **call.kwargs)
            except Exception:  # noqa: BLE001 - a reactor logs it and goes on; a simulation keeps it for the test
                self._failed(Failure())
        self._now = moment
        return ran

    def _failed(self, failure: Failure) -> None:
        self.failures.append(failure)

    def run(self, *, until: Callable[[], bool], limit: float) -> bool:
        """Step from call to call until `until()` is true; False when `limit` seconds passed or nothing is left."""
        end = self._now + limit
        while not until():
            upcoming = self.next_time
            if upcoming is None or upcoming > end:
                return False
            self.advance_to(upcoming)
        return True

    def _push(self, call: _Call, *, is_move: bool = False) -> None:
        self._count += 1
        call.entry = self._count
        if is_move:
            self._forget()  # after the call has its new entry: only then is the old one dead
        heappush(self._heap, (call.time, self._count, call))

    def _forget(self) -> None:
        """Count an entry that no longer stands; rebuild the heap when most of it is such."""
        self._dead += 1
        if self._dead > 64 and self._dead * 2 > len(self._heap):
            # In place: `advance_to` may be walking this very list.
            self._heap[:] = [item for item in self._heap if _is_live(item[1], item[2])]
            heapify(self._heap)
            self._dead = 0

    def _drop_dead(self) -> None:
        while self._heap and not _is_live(self._heap[0][1], self._heap[0][2]):
            heappop(self._heap)
            self._dead -= 1


def _is_live(entry: int, call: _Call) -> bool:
    return call.entry == entry and call.state == "pending"


class SteppedReactor(HeapClock):
    """A reactor whose sockets are real and whose time stands until somebody moves it.

    `reactor` does the listening and dialling; timers, and what they see of the time, are this clock's.  What is to run
    in no time at all runs in the reactor's next turn, for time does not have to move for it.
    """

    _log = Logger()

    def __init__(self, reactor: Any, *, epoch_ns: int) -> None:
        super().__init__(epoch_ns=epoch_ns)
        self._reactor = reactor
        self._will_run = False
        self.listenTCP = reactor.listenTCP
        self.connectTCP = reactor.connectTCP
        self.listenSSL = reactor.listenSSL

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kwargs: object) -> _Call:
        call = super().callLater(delay, callable, *args, **kwargs)
        if delay == 0 and not self._will_run:
            self._will_run = True
            self._reactor.callLater(0, self._run_now)
        return call

    def _failed(self, failure: Failure) -> None:
        self._log.failure("a timer failed", failure)

    def _run_now(self) -> None:
        self._will_run = False
        self.advance(0.0)
