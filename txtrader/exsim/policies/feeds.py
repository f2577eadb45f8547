"""Where policies change public data: between a market and each of its watchers, whichever wire they are on."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from txtrader.exsim.listeners import MarketListener
from txtrader.exsim.market import Watch
from txtrader.exsim.policies.actions import Step
from txtrader.exsim.policies.conditions import Occurrence
from txtrader.exsim.records import DepthRow, Listing, Phase, Print, RowChange, SessionStats, Top
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
        self._false: RowChange | None = None

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
        """Tell the changes; a price that is not there stands at the top of its side until the next change."""
        steps = self._steps("depth", {})
        told: list[RowChange] = []
        if self._false is not None:
            told.append(msgspec.structs.replace(self._false, operation="delete"))
            self._false = None
        told += changes
        for step in steps:
            if step.name == "distort" and self._false is None:
                self._false = self._false_row(step["how"])
                told += [self._false] if self._false is not None else []
        self.listener.depth_changed(listing_id, tuple(told))

    def stats_changed(self, stats: SessionStats) -> None:
        if not self._is_stale():
            self.listener.stats_changed(stats)

    def phase_changed(self, listing_id: int, phase: Phase) -> None:
        self.listener.phase_changed(listing_id, phase)

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

    def _false_row(self, how: str) -> RowChange | None:
        tick = self._listing.tick
        size = self._listing.step
        if how in ("zero", "negative"):
            price = Decimal(0) if how == "zero" else -tick
            row = DepthRow(price=price, size=size, count=1)
            return RowChange(operation="insert", side=Side.SELL, position=0, row=row)
        if not self._watch.asks:
            return None
        best = self._watch.asks[0].price
        row = DepthRow(price=best if how == "locked" else best + tick, size=size, count=1)
        return RowChange(operation="insert", side=Side.BUY, position=0, row=row)

    def end(self) -> None:
        """Give the watch its own listener back, without the price that is not there."""
        if self._false is not None and self.is_open:
            self.listener.depth_changed(self._listing.id, (msgspec.structs.replace(self._false, operation="delete"),))
        self._watch.listener = self.listener
