"""Bars that are kept up to date: the one in the making, told again as it grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall

from txtrader.exsim.endpoints.tws.times import SECOND
from txtrader.exsim.listeners import MarketListener
from txtrader.exsim.records import Listing, Print, Top
from txtrader.model.market import Bar, BarPeriod

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.tws.history import History

__all__ = ["LiveBars"]

_INTERVAL = 0.5
"""Seconds between two looks at most: trades come faster, and each would repeat the bar."""


class LiveBars(MarketListener):
    """One subscription; looks at the venue's own bars, so that history and updates agree."""

    def __init__(
        self,
        history: History,
        req_id: int,
        listing: Listing,
        period: BarPeriod,
        source: str,
        format_date: int | None,
        *,
        regular: bool,
    ) -> None:
        self._history = history
        self._req_id = req_id
        self._listing = listing
        self._period = period
        self._source = source
        self._format_date = format_date
        self._regular = regular
        self._shown: Bar | None = None
        self._timer: IDelayedCall | None = None
        self._watch = history.venue.watch(listing.id, self)

    def printed(self, trade: Print) -> None:
        if self._source == "TRADES":
            self._look_soon()

    def top_changed(self, top: Top) -> None:
        if self._source != "TRADES":
            self._look_soon()

    def close(self) -> None:
        """End the subscription."""
        self._watch.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_soon(self) -> None:
        if self._timer is None:
            self._timer = self._history.endpoint.reactor.callLater(_INTERVAL, self._look)

    def _look(self) -> None:
        self._timer = None
        history = self._history
        now = history.venue.now_ns()
        start = now - 2 * self._period.seconds * SECOND
        # One ns more than now: the bar in the making is wanted as well.
        bars = history.read_bars(self._listing, self._period, start, now + 1, self._source, regular=self._regular)
        known = self._shown.time if self._shown is not None else None
        for bar in bars[-1:] if known is None else [b for b in bars if b.time >= known and b != self._shown]:
            self._shown = bar
            written = history.write_bar(bar, self._period, self._format_date, self._source)
            history.send("historicalDataUpdate", reqId=self._req_id, **written)
