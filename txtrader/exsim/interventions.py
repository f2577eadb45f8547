"""The venue's hand in its own market: executions past the book, late ones, too large ones; orders expired or lessened.

Each is a turn like any other message, and the house takes the other side, so that books and accounts still add up.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from txtrader.exsim.amend import Amendments
from txtrader.exsim.desk import Desk
from txtrader.exsim.entry import to_lots, to_ticks
from txtrader.exsim.market import Market
from txtrader.exsim.orders import Order
from txtrader.exsim.records import Decision, Reason, Refusal
from txtrader.model.order import OrderStatus

__all__ = ["Interventions"]


class Interventions:
    """Act on the desk's orders; an order for which it is too late is left as it is.

    A `price` is the one to trade at; without one it is the order's limit, else the other side's best, else the last.
    `better` ticks are taken off it in the order's favour, and may be negative.
    """

    def __init__(self, desk: Desk, amendments: Amendments) -> None:
        self._desk = desk
        self._amendments = amendments

    def release(
        self, order: Order, decision: Decision, quantity: Decimal | None, price: Decimal | None, text: str
    ) -> Refusal | None:
        """Decide about an accepted order that is held; see `Venue.release`."""
        if not order.is_open or order.held != "release":
            return Refusal(Reason.TOO_LATE, f"order {order.id} is not held")
        if decision is Decision.REJECT:
            return Refusal(Reason.TOO_LATE, f"order {order.id} was accepted already")
        if decision is Decision.CANCEL:
            return self._amendments.cancel(None, order.id, Refusal(Reason.VENUE, text or "canceled by the venue"))
        if decision is Decision.FILL:
            self.fill(order, order.leaves, price)
        elif decision is Decision.PARTIALLY_FILL:
            lots = order.leaves if quantity is None else max(1, to_lots(quantity, order.listing))
            self.fill(order, lots, price)
        return self._desk.release(order) if order.is_open else None

    def fill(self, order: Order, lots: int, price: Decimal | None = None, better: int = 0) -> None:
        """Let a live order trade with the house, at most what is open of it."""

        def process(market: Market) -> None:
            if order.is_open and order.status is not OrderStatus.PENDING_NEW:
                self._trade(market, order, min(lots, order.leaves), self._price(market, order, price, better), "fill")

        self._run(order, process)

    def start(self, order: Order) -> None:
        """Send an accepted order that was kept out where it belongs."""
        if order.status is not OrderStatus.PENDING_NEW:
            self._run(order, lambda market: self._desk.start(order))

    def overfill(self, order: Order, more: int) -> None:
        """Let an order, live or filled, trade `more` lots with the house than are open of it."""

        def process(market: Market) -> None:
            if order.status is OrderStatus.FILLED:
                self._desk.reopen(order)
            elif not order.is_open or order.status is OrderStatus.PENDING_NEW:
                return
            self._desk.take_out(order)
            self._desk.count_open(order, more)
            order.leaves += more
            self._trade(market, order, order.leaves, self._price(market, order, None, 0), "overfill")

        self._run(order, process)

    def fill_late(self, order: Order, lots: int) -> None:
        """Let an order that was canceled or expired trade with the house all the same."""
        desk = self._desk

        def process(market: Market) -> None:
            status = order.status
            if status not in (OrderStatus.CANCELED, OrderStatus.EXPIRED):
                return
            desk.reopen(order)
            self._trade(market, order, min(lots, order.leaves), self._price(market, order, None, 0), "late")
            if order.leaves:  # it stays what it was, less what it traded
                order.status = status
                desk.count_open(order, -order.leaves)
                desk.forget(order)

        self._run(order, process)

    def expire(self, order: Order) -> None:
        """Let a live order's time be over."""
        if order.is_open:
            self._desk.expire(order)

    def lessen(self, order: Order, leaves: int, text: str) -> None:
        """Make less of a live order, which nobody asked for."""
        desk = self._desk

        def process(market: Market) -> None:
            if order.is_open and 0 < leaves < order.leaves:
                desk.resize(order, leaves)
                desk.touch(order)
                desk.tape.write("restate", order.id, order.lots)
                desk.tell("order_restated", order, Refusal(Reason.VENUE, text))

        self._run(order, process)

    def tell(self, fact: str, order: Order, *more: object) -> None:
        """Tell the order's owner something that is not, or not yet, so."""
        self._run(order, lambda market: self._desk.tell(fact, order, *more))

    # -- inside

    def _run(self, order: Order, process: Callable[[Market], None]) -> None:
        market = self._desk.market_of(order.listing.id)
        if market is not None:
            self._desk.turns.run(market, lambda: process(market))

    def _trade(self, market: Market, order: Order, lots: int, price: int, word: str) -> None:
        if lots <= 0:
            return
        is_beyond = order.price is not None and order.sign * (price - order.price) > 0
        self._desk.tape.write("intervention", order.id, word, lots, price, is_beyond)
        if lots == order.leaves:
            self._desk.take_out(order)
            order.leaves = 0
        elif order.level is not None:
            market.book.reduce(order, lots)
        else:
            order.leaves -= lots
        market.trade_with_house(order, lots, price)

    def _price(self, market: Market, order: Order, price: Decimal | None, better: int) -> int:
        ticks = order.price
        if price is not None:
            ticks = to_ticks(price, order.listing)
        elif ticks is None:
            best = market.book.side(-order.sign).best
            ticks = best.price if best is not None else market.last
        assert ticks is not None, "a market that is awake has a last price"
        ticks -= order.sign * better
        return ticks if order.listing.allows_negative_prices else max(ticks, 1)
