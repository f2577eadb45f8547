"""One turn of the reactor: what is written to one client within it may go out as one piece."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

__all__ = ["Turn", "make_soon"]


class _Dirty(Protocol):
    def flush(self) -> None: ...


def make_soon(clock: IReactorTime) -> Callable[[Callable[[], None]], object]:
    """Return the cheapest way to run something at the end of this turn.

    On a running asyncio loop (asyncioreactor, with or without uvloop) that is `call_soon`, a tenth of the price of
    `callLater`; elsewhere, and on the hand-driven clocks of tests, `callLater(0, ...)`.
    """

    call_soon: Callable[[Callable[[], None]], object] | None = None

    def soon(call: Callable[[], None]) -> object:
        nonlocal call_soon
        if call_soon is not None:
            return call_soon(call)
        if is_reactor:
            try:
                call_soon = asyncio.get_running_loop().call_soon  # a reactor has one loop for life
            except RuntimeError:
                pass  # another kind of reactor, or not running yet: its own way below
            else:
                return call_soon(call)
        return clock.callLater(0, call)

    is_reactor = hasattr(clock, "addReader")
    return soon


class Turn:
    """Tells whether something was written in this turn already, and flushes what was held back at its end.

    The first write of a turn goes out at once, later ones of the same turn to the same client are joined: a single
    tick pays nothing, a burst of ticks one system call for each client.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self.serial = 1
        """The number of this turn; a client that wrote in it remembers the number."""
        self.is_marked = False
        self._soon = make_soon(clock)
        self._ending = self._end  # bound once, not with each tick
        self._dirty: list[_Dirty] = []

    def mark(self) -> None:
        """Note that something was written: this turn ends when the reactor comes round."""
        if not self.is_marked:
            self.is_marked = True
            self._soon(self._ending)

    def hold(self, held: _Dirty) -> None:
        """Have `held.flush()` called at the end of this turn."""
        self._dirty.append(held)
        self.mark()

    def _end(self) -> None:
        self.is_marked = False
        self.serial += 1
        if not self._dirty:
            return
        dirty, self._dirty = self._dirty, []
        for held in dirty:
            try:
                held.flush()
            except Exception:  # noqa: BLE001
                # One client's socket must not keep the others from their data.
                self._log.failure("flushing what was written in this turn")
