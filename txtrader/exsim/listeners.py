"""Who the venue tells: plain calls, one per fact, made while the fact is being processed.

Orders are handed over as the venue's live record: read it in the call, it changes with the next fact.  A listener
may call the venue back; what it asks for is processed after the present message and all its consequences.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from txtrader.exsim.records import (
    Commission,
    Fill,
    Holding,
    Indicative,
    LookRequest,
    Phase,
    Print,
    Refusal,
    RowChange,
    SessionStats,
    ShownOrder,
    Terms,
    Top,
)

if TYPE_CHECKING:
    from txtrader.exsim.orders import Order

__all__ = ["BookListener", "MarketListener", "OrderListener"]


class OrderListener:
    """Facts about orders and accounts; every method does nothing here, override those you want.

    The order of calls for one incoming order is: accepted; then for each execution the aggressor's `order_filled`,
    `commission_charged` and `holding_changed`, then the same three of the passive party, then the public print; then
    the end of the remainder; then what follows from it (group members, children, elected stops), each again in this
    order; at last `account_changed`, once an account.
    """

    def order_accepted(self, order: Order) -> None:
        """Tell that the order is the venue's now; `order.held` says what it waits for, if anything."""

    def request_pending(self, order: Order, request: str) -> None:
        """Tell that a request (`new`, `cancel` or `replace`) was received and is not decided yet."""

    def order_rejected(self, order: Order, refusal: Refusal) -> None:
        """Tell that a new order was refused; it is done."""

    def order_activated(self, order: Order) -> None:
        """Tell that a waiting order works now: its stop was elected, its parent filled, or it was released."""

    def order_filled(self, order: Order, fill: Fill) -> None:
        """Tell one execution, after the order's totals took it in."""

    def commission_charged(self, order: Order, commission: Commission) -> None:
        """Tell what a fill cost."""

    def order_parked(self, order: Order) -> None:
        """Tell that a working order has left the market until it is released."""

    def order_replaced(self, order: Order) -> None:
        """Tell that the order has the new terms that its owner asked for."""

    def order_restated(self, order: Order, reason: Refusal) -> None:
        """Tell that the venue changed the order by itself: its group reduced it."""

    def order_repriced(self, order: Order) -> None:
        """Tell that a pegged order followed the market to another price, or has none for now and is parked."""

    def order_canceled(self, order: Order, reason: Refusal) -> None:
        """Tell that the rest of the order is canceled, by whom is in `reason`."""

    def order_expired(self, order: Order) -> None:
        """Tell that the order's time is over."""

    def cancel_rejected(self, order: Order, refusal: Refusal) -> None:
        """Tell that a cancel was refused; the order stands as it is."""

    def replace_rejected(self, order: Order, refusal: Refusal) -> None:
        """Tell that a replace was refused; the order stands as it is."""

    def exchange_rejected(self, order: Order, terms: Terms, refusal: Refusal) -> None:
        """Tell that no new order of these terms stands in the place of one; as a refused replace, unless overridden."""
        self.replace_rejected(order, refusal)

    def look_requested(self, order: Order, request: LookRequest) -> None:
        """Tell that somebody's order has met this side of a last-look quote; see `Venue.answer_quote_request`."""

    def look_withdrawn(self, order: Order, request: LookRequest) -> None:
        """Tell that a request needs no answer any more: the order that made it has gone."""

    def fill_corrected(self, order: Order, fill: Fill) -> None:
        """Tell that a fill was busted or corrected; `fill.kind` says which, `fill.replaces` names the old one."""

    def holding_changed(self, holding: Holding) -> None:
        """Tell what an account holds of a listing after an execution."""

    def account_changed(self, account: str) -> None:
        """Tell that cash or holdings of an account changed; ask the venue for the figures."""


class MarketListener:
    """Facts about one listing's market, for whoever watches it."""

    def top_changed(self, top: Top) -> None:
        """Tell the best bid and offer, once per processed message that changed it."""

    def printed(self, trade: Print) -> None:
        """Tell one public trade."""

    def stats_changed(self, stats: SessionStats) -> None:
        """Tell that the session's open, high, low or previous close changed (not at each trade)."""

    def phase_changed(self, listing_id: int, phase: Phase) -> None:
        """Tell that the market is in another phase."""

    def indicative_changed(self, figures: Indicative) -> None:
        """Tell what an auction would do if it ended now, once per message of the auction that changed it."""

    def depth_changed(self, listing_id: int, changes: tuple[RowChange, ...]) -> None:
        """Tell the steps from the former depth view to the present one, once per processed message."""

    def published(self, listing_id: int) -> None:
        """Tell that all facts of one processed message are told; what was gathered of them can go out together."""


class BookListener:
    """Facts about each shown order of one listing's book, for whoever watches its orders.

    `number` counts the book's changes without a gap, from the snapshot's on.  An order that has shown all it had and
    traded it is gone with its last `order_executed`; nothing more is told of it.
    """

    def order_added(self, listing_id: int, number: int, order: ShownOrder) -> None:
        """Tell that an order has joined the end of its price's queue."""

    def order_reduced(self, listing_id: int, number: int, public_id: int, size: Decimal) -> None:
        """Tell that an order lost `size` and kept its place."""

    def order_executed(
        self, listing_id: int, number: int, public_id: int, size: Decimal, price: Decimal, match_number: int
    ) -> None:
        """Tell that `size` of an order has traded; `match_number` is the print's."""

    def order_deleted(self, listing_id: int, number: int, public_id: int) -> None:
        """Tell that an order has left."""

    def order_replaced(self, listing_id: int, number: int, public_id: int, order: ShownOrder) -> None:
        """Tell that an order has left, and stands as another at the end of a queue."""

    def published(self, listing_id: int, number: int) -> None:
        """Tell that the message is processed that made the changes up to `number`; only if it made any."""
