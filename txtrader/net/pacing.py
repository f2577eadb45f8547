"""How fast we may speak to a broker: so many messages in any one second.

What is over the limit waits here, cancels first, and what cannot wait is refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import IntEnum

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txtrader.errors import Throttled

__all__ = ["Pacer", "Priority", "Queued"]


class Priority(IntEnum):
    """What goes first when not everything can; URGENT always goes at once, and still counts."""

    URGENT = -1
    CANCEL = 0
    ORDER = 1
    ACCOUNT = 2
    DATA = 3


_LIMITS = {
    Priority.URGENT: 0,
    Priority.CANCEL: 10_000,
    Priority.ORDER: 1_000,
    Priority.ACCOUNT: 1_000,
    Priority.DATA: 5_000,
}
"""How many may wait of each; beyond it the caller is told to come later."""


_ROUNDING = 1e-6  # seconds: a timer may come that much before the instant it was set for


class Queued:
    """Something that waits to be sent; `withdraw` takes it back while it has not left.

    `on_left`, if set, is called when it has left.
    """

    __slots__ = ("_send", "has_left", "is_withdrawn", "on_left")

    def __init__(self, send: Callable[[], None]) -> None:
        self._send = send
        self.on_left: Callable[[], None] | None = None
        self.has_left = False
        self.is_withdrawn = False

    def withdraw(self) -> bool:
        """Take it back; tells whether it was still here."""
        if self.has_left or self.is_withdrawn:
            return False
        self.is_withdrawn = True
        return True

    def go(self) -> None:
        """Send it."""
        self.has_left = True
        self._send()
        if self.on_left is not None:
            self.on_left()


class Pacer:
    """Lets at most `rate` messages a second leave in any `window` of seconds (not on average: in any), by priority.

    Below the limit a message leaves at once: with a rate of 10 and a window of 100 that is a thousand in a row, and
    then none before the first is 100 s old.  `stop` withdraws everything that waits; the pacer can be used again.
    """

    def __init__(self, clock: IReactorTime, rate: float = 45.0, window: float = 1.0) -> None:
        self._clock = clock
        self._most = max(1, int(rate * window))
        self._window = window if rate * window >= 1 else 1.0 / rate
        self._sent: deque[float] = deque(maxlen=self._most)
        self._waiting: dict[Priority, deque[Queued]] = {priority: deque() for priority in Priority}
        self._timer: IDelayedCall | None = None

    @property
    def queued(self) -> int:
        """How many wait."""
        return sum(1 for waiting in self._waiting.values() for item in waiting if not item.is_withdrawn)

    def submit(self, priority: Priority, send: Callable[[], None]) -> Queued:
        """Call `send` now, or when its turn comes.  Raises Throttled when too many of its kind wait already."""
        item = Queued(send)
        waiting = self._waiting[priority]
        if priority is Priority.URGENT or (self._timer is None and self._may_send(self._clock.seconds())):
            self._note(self._clock.seconds())
            item.go()
            return item
        if len(waiting) >= _LIMITS[priority]:
            raise Throttled(
                f"{len(waiting)} messages wait for the broker already", retry_after=len(waiting) / self._most
            )
        waiting.append(item)
        self._schedule()
        return item

    def stop(self) -> None:
        """Withdraw what waits and stop the timer."""
        for waiting in self._waiting.values():
            for item in waiting:
                item.withdraw()
            waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._sent.clear()

    def _may_send(self, now: float) -> bool:
        return len(self._sent) < self._most or now - self._sent[0] >= self._window - _ROUNDING

    def _note(self, now: float) -> None:
        self._sent.append(now)

    def _schedule(self) -> None:
        if self._timer is None and self._sent:
            wait = max(0.0, self._sent[0] + self._window - self._clock.seconds())
            self._timer = self._clock.callLater(wait, self._run)

    def _run(self) -> None:
        self._timer = None
        while (waiting := self._foremost()) is not None:
            now = self._clock.seconds()
            if not self._may_send(now):
                self._schedule()
                return
            self._note(now)
            try:
                waiting.popleft().go()
            except BaseException:
                self._schedule()  # a bug in one message must not keep the others waiting
                raise

    def _foremost(self) -> deque[Queued] | None:
        """Return the queue whose turn it is; what was withdrawn leaves on the way."""
        for waiting in self._waiting.values():
            while waiting and waiting[0].is_withdrawn:
                waiting.popleft()
            if waiting:
                return waiting
        return None
