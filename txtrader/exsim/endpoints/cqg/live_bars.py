"""Bars that are kept up to date: the one in the making, told again as it grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall

from txtrader.exsim.endpoints.cqg.bar_requests import BarPlan, read_bars
from txtrader.exsim.listeners import MarketListener
from txtrader.exsim.records import Print
from txtrader.model.market import Bar
from txtrader.wire.cqg.words import BarStatus

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.cqg.history import History

__all__ = ["LiveBars"]

_LONG_BARS = 10  # times the interval of short ones


class LiveBars(MarketListener):
    """One subscription; it looks at the venue's own bars, so that history and updates agree."""

    def __init__(self, history: History, number: int, plan: BarPlan) -> None:
        self._history = history
        self._number = number
        self._plan = plan
        least = history.endpoint.options.bar_interval
        self._interval = plan.interval or (least * _LONG_BARS if plan.is_long else least)
        self._shown: Bar | None = None
        self._timer: IDelayedCall | None = None
        self._is_interrupted = False
        self.send_all()
        self._watch = history.venue.watch(plan.listing.id, self)

    def printed(self, trade: Print) -> None:
        if self._timer is None and not self._is_interrupted:
            self._timer = self._history.endpoint.reactor.callLater(self._interval, self._look)

    def send_all(self) -> None:
        """Send all bars, from the newest back to the beginning."""
        rows, is_cut = read_bars(self._plan, self._history.venue)
        self._shown = rows[0] if rows else None
        self._history.send_bars(self._number, self._plan, rows, BarStatus.SUBSCRIBED, is_cut=is_cut)

    def interrupt(self, is_lost: bool) -> None:
        """Tell nothing any more, or everything again."""
        self._is_interrupted = is_lost
        if is_lost:
            self._stop()
            self._history.tell_bars(self._number, BarStatus.DISCONNECTED)
        else:
            self.send_all()

    def close(self) -> None:
        """End the subscription."""
        self._watch.close()
        self._stop()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        shown = self._shown
        rows, _ = read_bars(self._plan, self._history.venue, since=None if shown is None else shown.time)
        changed = [row for row in rows if row != shown]
        if changed:
            self._shown = changed[0]
            self._history.send_bars(self._number, self._plan, changed, BarStatus.UPDATE)
