"""What everybody may ask of the venue: market data as it is, and its history."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from txtrader.exsim.floor import Floor
from txtrader.exsim.instruments import InstrumentMaster
from txtrader.exsim.listeners import BookListener, MarketListener
from txtrader.exsim.market import Market, Watch
from txtrader.exsim.phasing import Phasing
from txtrader.exsim.pricing import Greeks
from txtrader.exsim.records import BidAsk, DepthRow, Indicative, Listing, Phase, Print, SessionStats, SessionTimes, Top
from txtrader.exsim.shown import OrdersWatch
from txtrader.model.market import Bar, BarPeriod

__all__ = ["PublicData"]


class PublicData:
    """The public half of the venue.

    An unknown listing is a KeyError everywhere; asking for anything but its phase wakes its market.
    """

    now_ns: Callable[[], int]
    instruments: InstrumentMaster
    phases: Phasing
    _floor: Floor

    # -- market data

    def watch(self, listing_id: int, listener: MarketListener, *, depth: int = 0) -> Watch:
        """Tell `listener` about the market from now on; with `depth` > 0 also that many rows a side.

        The first `depth_changed` (inserts of all rows) comes before this returns, further ones per message.
        """
        market = self._market(listing_id)
        watch = market.watch(listener, depth)
        if self._floor.on_watch is not None:
            self._floor.on_watch(watch, market.listing)
        return watch

    def watch_orders(self, listing_id: int, listener: BookListener) -> OrdersWatch:
        """Tell `listener` of each shown order from now on; the watch's `snapshot` says with what number it begins."""
        return self._market(listing_id).watch_orders(listener)

    def top(self, listing_id: int) -> Top:
        """Return the best bid and offer."""
        return self._market(listing_id).top()

    def stats(self, listing_id: int) -> SessionStats:
        """Return the session's figures."""
        return self._market(listing_id).stats()

    def depth(self, listing_id: int, rows: int = 10) -> tuple[list[DepthRow], list[DepthRow]]:
        """Return bids and offers, best first."""
        market = self._market(listing_id)
        return market.rows(market.book.bids, rows), market.rows(market.book.asks, rows)

    def last_print(self, listing_id: int) -> Print | None:
        """Return the last trade since the market woke."""
        return self._market(listing_id).last_print()

    def phase(self, listing_id: int) -> Phase:
        """Return what the market does at present; one that sleeps stays asleep."""
        listing, market = self._listing(listing_id), self._floor.if_awake(listing_id)
        return self.phases.at_waking(listing) if market is None else market.phase

    def indicative(self, listing_id: int) -> Indicative:
        """Return what the auction under way would do if it ended now; no price where there is none."""
        return self._market(listing_id).indicative()

    def mark(self, listing_id: int) -> Decimal:
        """Return the price at which the venue values the listing now."""
        return self._floor.mark(self._listing(listing_id))

    def reference(self, listing_id: int) -> Decimal:
        """Return what the listing is worth by its source of prices, whatever it traded at last."""
        listing = self._listing(listing_id)
        return self._floor.reference(listing) * listing.tick

    def path_ticks(self, listing_id: int, instant: int) -> int:
        """Return the price, in ticks, that the listing's own path has at an instant."""
        return self._floor.path_ticks(self._listing(listing_id), instant)

    def greeks(self, listing_id: int) -> Greeks | None:
        """Return an option's model values now; None for anything else."""
        return self._floor.greeks(listing_id)

    def years_to_expiry(self, listing_id: int) -> float:
        """Return the time that an option has left, in years; 0 for anything else."""
        return self._floor.years_to_expiry(listing_id)

    # -- history

    def bars(
        self, listing_id: int, period: BarPeriod, start: int, end: int, *, source: str = "TRADES", regular: bool = True
    ) -> list[Bar]:
        """Return the bars with start <= time < end; `source` is TRADES, MIDPOINT, BID or ASK.

        `regular` keeps to the regular session; else all hours, in which this venue trades as well.
        """
        history = self._floor.history(self._listing(listing_id))
        return history.bars(period, start, end, self.now_ns(), source=source, regular=regular)

    def prints(self, listing_id: int, start: int, end: int, limit: int, *, regular: bool = True) -> list[Print]:
        """Return past trades: the first ones from `start` on, or where it is 0 the last ones before `end`."""
        listing = self._listing(listing_id)
        history = self._floor.history(listing)
        start, end = self._bounds(listing, start, end)
        return history.prints(listing.id, listing.primary_exchange, start, end, limit, regular=regular)

    def bid_asks(self, listing_id: int, start: int, end: int, limit: int, *, regular: bool = True) -> list[BidAsk]:
        """Return past quotes, one at each past trade; bounds as in `prints`."""
        listing = self._listing(listing_id)
        start, end = self._bounds(listing, start, end)
        return self._floor.history(listing).bid_asks(start, end, limit, regular=regular)

    def head_time(self, listing_id: int) -> int:
        """Return the earliest instant of which there is history."""
        return self._floor.head_time(self._listing(listing_id))

    def sessions(self, listing_id: int, start: int, end: int, *, regular: bool = True) -> list[SessionTimes]:
        """Return the trading sessions that overlap the window, past and future."""
        found = self._floor.schedule(self._listing(listing_id)).sessions(start, end, regular=regular)
        return [SessionTimes(session.day.strftime("%Y%m%d"), session.start, session.end) for session in found]

    # -- inside

    def _bounds(self, listing: Listing, start: int, end: int) -> tuple[int, int]:
        """Cut a window to what there is; a start of 0 means the last ones before the end, and stays."""
        return (max(start, self._floor.head_time(listing)) if start else 0), min(end, self.now_ns())

    def _listing(self, listing_id: int) -> Listing:
        listing = self.instruments.get(listing_id)
        if listing is None:
            raise KeyError(listing_id)
        return listing

    def _market(self, listing_id: int) -> Market:
        market = self._floor.market(listing_id)
        if market is None:
            raise KeyError(listing_id)
        return market
