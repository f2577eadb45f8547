"""Orders whose time ends: one heap, one timer for the nearest."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txtrader.exsim.orders import Order

__all__ = ["Lifetimes"]

_LONGEST_WAIT = 3600.0  # a clock that is set, or sleeps with its machine, is noticed by then


class Lifetimes:
    """Call `on_end(order)` once an order's `expire_time` is over.

    What is stamped with that very instant still trades: an order ends after it.  An order that is done, or was given
    another end, leaves a dead entry, dropped when it surfaces.
    """

    def __init__(self, clock: IReactorTime, now_ns: Callable[[], int], on_end: Callable[[Order], None]) -> None:
        self._clock = clock
        self._now_ns = now_ns
        self._on_end = on_end
        self._entries: list[tuple[int, int, Order]] = []
        self._timer: IDelayedCall | None = None
        self._turn = 0

    def add(self, order: Order) -> None:
        """Watch an order's `expire_time`, which must be set."""
        assert order.expire_time is not None
        self._turn += 1
        entry = (order.expire_time, self._turn, order)
        heappush(self._entries, entry)
        if self._entries[0] is entry or self._timer is None:
            self._set_timer()

    def expire(self) -> None:
        """End what is over now."""
        now = self._now_ns()
        while self._entries and self._entries[0][0] < now:
            at, _, order = heappop(self._entries)
            if order.is_open and order.expire_time == at:
                self._on_end(order)
        self._set_timer()

    def stop(self) -> None:
        """Leave no timer behind."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _set_timer(self) -> None:
        self.stop()
        while self._entries and not self._is_valid(*self._entries[0]):
            heappop(self._entries)
        if self._entries:
            delay = (self._entries[0][0] + 1_000 - self._now_ns()) / 1e9
            self._timer = self._clock.callLater(min(max(delay, 0.0), _LONGEST_WAIT), self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.expire()

    @staticmethod
    def _is_valid(at: int, _: int, order: Order) -> bool:
        return order.is_open and order.expire_time == at
