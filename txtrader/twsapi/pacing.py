"""How fast we may ask TWS for history: rules of its own, beside those for messages (`txtrader.net.pacing`)."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txtrader.errors import BrokerUnavailable, Throttled

__all__ = ["HistoryPacer"]

_ROUNDING = 1e-6  # seconds: a timer may come that much before the instant it was set for


class _Turn:
    """One history question that waits: what it is, and the Deferred that fires when it may go."""

    __slots__ = ("contract", "cost", "identity", "is_small", "waiter")

    def __init__(
        self, identity: Hashable, contract: Hashable, cost: int, is_small: bool, waiter: Deferred[None]
    ) -> None:
        self.identity = identity
        self.contract = contract
        self.cost = cost
        self.is_small = is_small
        self.waiter = waiter


class HistoryPacer:
    """Starts questions for history within TWS's rules.

    At most `most_open` at once.  For bars of 30 s and less also: no identical question within 15 s, at most 5 of one
    contract, exchange and kind in 2 s, and at most `most_in_ten_minutes` in 10 minutes, where bid-and-ask counts
    double.
    """

    def __init__(
        self, clock: IReactorTime, *, most_open: int = 20, most_in_ten_minutes: int = 58, most_waiting: int = 1_000
    ) -> None:
        self._clock = clock
        self._most_open = most_open
        self._most_in_ten_minutes = most_in_ten_minutes
        self._most_waiting = most_waiting
        self._open = 0
        self._waiting: deque[_Turn] = deque()
        self._starts: deque[tuple[float, int]] = deque()  # (when, cost), small bars only
        self._last: dict[Hashable, float] = {}
        self._by_contract: dict[Hashable, deque[float]] = {}
        self._not_before = 0.0
        self._timer: IDelayedCall | None = None

    def turn(self, identity: Hashable, contract: Hashable, *, is_small: bool, cost: int = 1) -> Deferred[None]:
        """Return a Deferred that fires when the question may be asked; `ended` must follow.

        Cancelling it before gives the turn up.  Fails with Throttled when too many wait, BrokerUnavailable on `stop`.
        """
        waiter: Deferred[None] = Deferred(self._leave)
        if len(self._waiting) >= self._most_waiting:
            waiter.errback(Throttled(f"{len(self._waiting)} history questions wait already", retry_after=15.0))
            return waiter
        self._waiting.append(_Turn(identity, contract, cost, is_small, waiter))
        self._run()
        return waiter

    def ended(self) -> None:
        """Note that a question that was started is over."""
        self._open = max(0, self._open - 1)
        self._run()

    def pause(self, seconds: float) -> None:
        """Start nothing for so long: TWS has complained."""
        self._not_before = max(self._not_before, self._clock.seconds() + seconds)

    def stop(self) -> None:
        """Fail what waits and stop the timer; the pacer can be used again."""
        waiting, self._waiting = self._waiting, deque()
        self._open = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for item in waiting:
            item.waiter.errback(BrokerUnavailable("the link to TWS was lost before history was asked for"))

    def _leave(self, waiter: Deferred[None]) -> None:
        self._waiting = deque(item for item in self._waiting if item.waiter is not waiter)

    def _run(self) -> None:
        now = self._clock.seconds()
        self._forget(now)
        soonest: float | None = None
        started: list[_Turn] = []
        for item in list(self._waiting):
            if self._open >= self._most_open:
                break
            ready = self._ready_at(item, now)
            if ready <= now + _ROUNDING:
                self._waiting.remove(item)
                self._started(item, now)
                started.append(item)
            else:
                soonest = ready if soonest is None else min(soonest, ready)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if soonest is not None:
            self._timer = self._clock.callLater(max(0.0, soonest - now), self._wake)
        for item in started:  # last: whoever waits may call back at once
            item.waiter.callback(None)

    def _wake(self) -> None:
        self._timer = None
        self._run()

    def _ready_at(self, item: _Turn, now: float) -> float:
        """Return when the item may start; another look then may find it has to wait once more."""
        ready = self._not_before
        if not item.is_small:
            return ready
        if item.identity in self._last:
            ready = max(ready, self._last[item.identity] + 15.0)
        recent = self._by_contract.get(item.contract)
        if recent is not None and len(recent) >= 5:
            ready = max(ready, recent[-5] + 2.0)
        total = sum(cost for _, cost in self._starts)
        if total + item.cost > self._most_in_ten_minutes:
            over = total + item.cost - self._most_in_ten_minutes
            for when, cost in self._starts:
                over -= cost
                if over <= 0:
                    ready = max(ready, when + 600.0)
                    break
        return ready

    def _started(self, item: _Turn, now: float) -> None:
        self._open += 1
        if item.is_small:
            self._last[item.identity] = now
            self._by_contract.setdefault(item.contract, deque(maxlen=8)).append(now)
            self._starts.append((now, item.cost))

    def _forget(self, now: float) -> None:
        while self._starts and now - self._starts[0][0] >= 600.0:
            self._starts.popleft()
        for identity in [identity for identity, when in self._last.items() if now - when >= 15.0]:
            del self._last[identity]
        for contract in [contract for contract, times in self._by_contract.items() if now - times[-1] >= 2.0]:
            del self._by_contract[contract]
