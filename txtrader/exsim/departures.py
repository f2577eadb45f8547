"""What becomes of the orders of a participant who goes: they stay, or are canceled at once or after a time of grace."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txtrader.exsim.orders import Order
from txtrader.exsim.records import Reason, Refusal
from txtrader.model.order import TimeInForce

__all__ = ["Departures"]

_GONE = Refusal(Reason.DISCONNECT, "the owner's session has ended")


class Departures:
    """The owners who are gone and may yet come back.

    `cancel(reason, fits)` cancels the live orders that fit, `is_here(owner)` tells whether another session is open.
    """

    def __init__(
        self,
        clock: IReactorTime,
        cancel: Callable[[Refusal, Callable[[Order], bool]], int],
        is_here: Callable[[str], bool],
    ) -> None:
        self._clock = clock
        self._cancel = cancel
        self._is_here = is_here
        self._away: dict[str, IDelayedCall] = {}
        self._is_stopped = False

    @property
    def away(self) -> list[str]:
        """Return the owners whose time of grace runs, in the order of their leaving."""
        return list(self._away)

    def left(self, owner: str, *, grace: float = 0.0, spares_gtc: bool = False) -> None:
        """Cancel an owner's orders, unless it is back within `grace` seconds; GTC orders stay where they are spared."""
        self.came(owner)
        if grace > 0 and self._is_stopped:
            return
        if grace > 0:
            self._away[owner] = self._clock.callLater(grace, self._time_over, owner, spares_gtc)
        else:
            self._end(owner, spares_gtc)

    def came(self, owner: str) -> None:
        """Take an owner back: its orders stay.  One that was not away is no error."""
        timer = self._away.pop(owner, None)
        if timer is not None:
            timer.cancel()

    def stop(self) -> None:
        """Leave no timer behind, now and later; the orders of those who are away stay."""
        self._is_stopped = True
        for owner in list(self._away):
            self.came(owner)

    def _time_over(self, owner: str, spares_gtc: bool) -> None:
        del self._away[owner]
        if not self._is_here(owner):
            self._end(owner, spares_gtc)

    def _end(self, owner: str, spares_gtc: bool) -> None:
        self._cancel(_GONE, lambda order: order.owner == owner and not (spares_gtc and order.tif is TimeInForce.GTC))
