"""Where policies change public data: between a market and each of its watchers, whichever wire they are on."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from txtrader.exsim.listeners import MarketListener
from txtrader.exsim.market import Watch, row_changes
from txtrader.exsim.policies.actions import Step
from txtrader.exsim.policies.conditions import Occurrence
from txtrader.exsim.records import DepthRow, Indicative, Listing, Phase, Print, RowChange, SessionStats, Top
from txtrader.model.order import Side

if TYPE_CHECKING:
    from txtrader.exsim.policies.policy_book import PolicyBook

__all__ = ["BentFeed"]


class BentFeed(MarketListener):
    """Takes the place of a watch's listener, and tells it what the policies leave of the facts."""

    def __init__(self, book: PolicyBook, watch: Watch, listing: Listing) -> None:
        self._book = book
        self._watch = watch
        self._listing = listing
        self.listener = watch.listener
        self._stale_until = 0
        self._gap = 0
        self._bids, self._asks = list(watch.bids), list(watch.asks)  # what the listener has been told

    @property
    def is_open(self) -> bool:
        """Tell whether somebody still watches."""
        return self._watch.is_open

    # -- the facts

    def top_changed(self, top: Top) -> None:
        fields = {"bid": top.bid, "ask": top.ask, "bid_size": top.bid_size, "ask_size": top.ask_size}
        steps = self._steps("quote", fields)
        for step in steps:
            if step.name == "distort":
                top = self._distorted(top, step["how"])
        for _ in range(self._times(steps)):
            self.listener.top_changed(top)

    def printed(self, trade: Print) -> None:
        steps = self._steps("trade", {"price": trade.price, "quantity": trade.size, "number": trade.number})
        self._gap += sum(step["count"] for step in steps if step.name == "gap")
        if self._gap:
            trade = msgspec.structs.replace(trade, number=trade.number + self._gap)
        for _ in range(self._times(steps)):
            self.listener.printed(trade)

    def depth_changed(self, listing_id: int, changes: tuple[RowChange, ...]) -> None:
        """Tell how what the watcher has been told becomes what it is to see now."""
        steps = self._steps("depth", {})
        if self._is_stale():
            return
        bids, asks = list(self._watch.bids), list(self._watch.asks)
        for step in steps:
            if step.name == "distort":
                self._add_false_row(step["how"], bids, asks)
        self._tell_rows(bids, asks)

    def _tell_rows(self, bids: list[DepthRow], asks: list[DepthRow]) -> None:
        told = (*row_changes(Side.BUY, self._bids, bids), *row_changes(Side.SELL, self._asks, asks))
        self._bids, self._asks = bids, asks
        if told:
            self.listener.depth_changed(self._listing.id, told)

    def stats_changed(self, stats: SessionStats) -> None:
        if not self._is_stale():
            self.listener.stats_changed(stats)

    def phase_changed(self, listing_id: int, phase: Phase) -> None:
        self.listener.phase_changed(listing_id, phase)

    def indicative_changed(self, figures: Indicative) -> None:
        if not self._is_stale():
            self.listener.indicative_changed(figures)

    def published(self, listing_id: int) -> None:
        self.listener.published(listing_id)

    # -- what policies do

    def _steps(self, kind: str, fields: dict[str, Any]) -> list[Step]:
        given = {name: value for name, value in fields.items() if value is not None}
        occurrence = Occurrence(kind, self._book.scene({**given, "symbol": self._listing.symbol}, self._listing))
        steps = [step for one in self._book.decide(occurrence) for step in one.steps]
        for step in steps:
            if step.name == "stale":
                until = self._book.now_ns() + int(step["seconds"] * 1e9)
                self._stale_until = max(self._stale_until, until)
        return steps

    def _is_stale(self) -> bool:
        return self._book.now_ns() < self._stale_until

    def _times(self, steps: list[Step]) -> int:
        """Return how often a fact is told."""
        if self._is_stale() or any(step.name == "withhold" for step in steps):
            return 0
        return 1 + sum(int(step["times"]) for step in steps if step.name == "duplicate")

    def _distorted(self, top: Top, how: str) -> Top:
        tick = self._listing.tick
        if how in ("zero", "negative"):
            return msgspec.structs.replace(top, ask=Decimal(0) if how == "zero" else -tick, ask_size=top.ask_size or 1)
        if top.ask is None:
            return top
        bid = top.ask if how == "locked" else top.ask + tick
        return msgspec.structs.replace(top, bid=bid, bid_size=top.bid_size or top.ask_size)

    def _add_false_row(self, how: str, bids: list[DepthRow], asks: list[DepthRow]) -> None:
        """Put a price that is not there at the top of its side; it stands until the next change."""
        tick, size = self._listing.tick, self._listing.step
        if how in ("zero", "negative"):
            asks.insert(0, DepthRow(price=Decimal(0) if how == "zero" else -tick, size=size, count=1))
        elif asks:
            price = asks[0].price if how == "locked" else asks[0].price + tick
            bids.insert(0, DepthRow(price=price, size=size, count=1))

    def end(self) -> None:
        """Give the watch its own listener back, with the truth."""
        if self.is_open:
            self._tell_rows(list(self._watch.bids), list(self._watch.asks))
            self.listener.published(self._listing.id)
        self._watch.listener = self.listener
