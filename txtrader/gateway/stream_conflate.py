"""At most one quote per symbol in an interval, the latest."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txtrader.model.event import StatusEvent

__all__ = ["Conflator"]


class Conflator:
    """Stands in the index of quotes for one subscriber.

    A quote after a quiet interval passes at once; further ones within the interval replace one another, and the
    last goes out when the interval ends.
    """

    def __init__(
        self,
        deliver: Callable[[StatusEvent], None],
        sees: Callable[[str | None], bool],
        complain: Callable[[], None],
        interval: float,
        clock: IReactorTime,
    ) -> None:
        """Pass at most one quote per symbol in `interval` seconds to `deliver`, which must not raise.

        `sees` and `complain` are the subscriber's own.
        """
        self._deliver = deliver
        self.sees = sees
        self.complain = complain
        self._interval = interval
        self._clock = clock
        self._free_at: dict[str | None, float] = {}
        self._latest: dict[str | None, StatusEvent] = {}
        self._call: IDelayedCall | None = None

    def deliver(self, event: StatusEvent, prev: int | None) -> None:
        symbol = event.symbol
        now = self._clock.seconds()
        free_at = self._free_at.get(symbol, now)
        if free_at > now:
            self._latest[symbol] = event
            if self._call is None:
                self._call = self._clock.callLater(free_at - now, self._flush)
            return
        self._latest.pop(symbol, None)
        self._free_at[symbol] = now + self._interval
        self._deliver(event)

    def _flush(self) -> None:
        self._call = None
        now = self._clock.seconds()
        due = [symbol for symbol in self._latest if self._free_at[symbol] <= now]
        ready = [self._latest.pop(symbol) for symbol in due]
        for symbol in due:
            self._free_at[symbol] = now + self._interval
        if self._latest:
            self._call = self._clock.callLater(min(self._free_at[symbol] for symbol in self._latest) - now, self._flush)
        for event in ready:
            self._deliver(event)

    def forget(self, symbol: str | None) -> None:
        """Drop what waits for a symbol that is no longer wanted."""
        self._latest.pop(symbol, None)
        self._free_at.pop(symbol, None)

    def close(self) -> None:
        """Drop everything and stop ticking."""
        self._latest.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None
