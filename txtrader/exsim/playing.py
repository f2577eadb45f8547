"""Play rows that carry times, on a clock: at the pace that they had, faster, or as fast as it goes; or step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txtrader.exsim.properties import Property

__all__ = ["SPEED", "Player"]

T = TypeVar("T")
_SECOND = 1_000_000_000
_AT_ONCE = 200  # rows in one call: others get their turn in between
_INSTANT = 1e-9  # seconds; clocks count in binary fractions

SPEED = Property(
    name="speed",
    kind="decimal",
    default=Decimal(1),
    least=0,
    most=1_000_000,
    meaning="how many times faster than it was; 0: as fast as possible",
)


class Player(Generic[T]):
    """Give `rows`, pairs of (nanoseconds, row), to `play` one by one; a row whose time goes back comes at once.

    `speed()` is asked each time.  `done` counts rows; `on_end()` is called once, after the last.  `guard` wraps what
    the clock calls, so that its owner hears of faults.
    """

    def __init__(
        self,
        clock: IReactorTime,
        rows: Iterator[tuple[int, T]],
        play: Callable[[T], None],
        *,
        speed: Callable[[], Decimal],
        on_end: Callable[[], None],
        guard: Callable[[Callable[[], None]], Callable[[], None]],
    ) -> None:
        self.done = 0
        self.is_over = False
        self.is_running = False
        """Rows come by themselves."""
        self._clock = clock
        self._rows = rows
        self._play = play
        self._speed = speed
        self._on_end = on_end
        self._run = guard(self._go_on)
        self._next: tuple[int, T] | None = None
        self._time: int | None = None  # of the last row
        self._due = 0.0  # the clock's seconds at which the last row was due
        self._planned: float | None = (
            None  # when the next row is due, once it is waited for: whatever the speed then is
        )
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """Go on from where it stands: the row that comes next comes now."""
        if not self.is_running and not self.is_over:
            self.is_running = True
            self._time = self._planned = None
            self._timer = self._clock.callLater(0, self._run)

    def stop(self) -> None:
        """Stand still; the next row waits."""
        self.is_running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def step(self, rows: int = 1) -> int:
        """Play so many rows now; return how many there were."""
        before = self.done
        while self.done - before < rows and self._one():
            pass
        return self.done - before

    def _one(self) -> bool:
        """Play the next row; tell whether there was one."""
        found = self._look()
        if found is None:
            if not self.is_over:
                self.is_over = True
                self.stop()
                self._on_end()
            return False
        self._next = None
        self._time = found[0]
        self.done += 1
        self._play(found[1])
        return True

    def _look(self) -> tuple[int, T] | None:
        if self._next is None:
            self._next = next(self._rows, None)
        return self._next

    def _go_on(self) -> None:
        """Play what is due, then sleep."""
        self._timer = None
        for _ in range(_AT_ONCE):
            wait = self._wait()
            if wait > _INSTANT:
                self._timer = self._clock.callLater(wait, self._run)
                return
            self._one()
            if not self.is_running:
                return
        self._timer = self._clock.callLater(0, self._run)

    def _wait(self) -> float:
        """Return the seconds until the next row; from then on it is the one that the others are counted from."""
        upcoming, now, due = self._look(), self._clock.seconds(), self._planned
        if due is None:
            speed = self._speed()
            if upcoming is None or self._time is None or not speed:
                self._due = now
                return 0.0
            due = self._planned = self._due + max(0, upcoming[0] - self._time) / _SECOND / float(speed)
        if due - now <= _INSTANT:
            self._due, self._planned = due, None
        return due - now
