"""On the way to the market: who may fill or end an order before it meets the book, and how.

A *taker* is asked about each order that is about to work: a new one, one that was elected, released or replaced.  In
its call, and in a turn made by `later`, it may trade with the order itself, past the queue of the book, or end it.  The
other side of such a trade is an order of its own, with an account, an id and an end like anybody's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from txtrader.exsim.orders import Order
from txtrader.exsim.records import Refusal, Terms
from txtrader.model.order import OrderStatus, OrderType, Side, TimeInForce

if TYPE_CHECKING:
    from txtrader.exsim.desk import Desk

__all__ = ["Interception"]


class Interception:
    """See the module.  A taker must not raise: it is called while a message is being processed."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._takers: list[Callable[[Order], None]] = []

    def add(self, taker: Callable[[Order], None]) -> Callable[[], None]:
        """Ask `taker` from now on; return what takes it out."""
        self._takers.append(taker)
        return lambda: self._takers.remove(taker)

    def passes(self, order: Order) -> bool:
        """Ask the takers about an order that is about to work; tell whether it still is."""
        for taker in tuple(self._takers):
            taker(order)
            if not order.is_open:
                return False
        return True

    def later(self, order_id: int, action: Callable[[Order], None]) -> None:
        """Do something to an order in a turn of its own; nothing if it no longer works by then."""
        order = self._desk.orders.get(order_id)
        if order is None:
            return

        def process() -> None:
            if order.is_open and order.held == "":
                action(order)

        self._desk.turns.run(self._desk.market_of(order.listing.id), process)

    def fill(self, order: Order, lots: int, price: int, *, owner: str, account: str) -> bool:
        """Trade `lots` of an order at `price` (ticks) with `owner`; False if the venue does not take that.

        Of an order that comes in, the other side was there first; one that rests is met by it.
        """
        desk = self._desk
        assert desk.turns.is_busy and order.is_open and 0 < lots <= order.leaves
        listing = order.listing
        market = desk.market_of(listing.id)
        assert market is not None
        terms = Terms(
            listing_id=listing.id,
            account=account,
            side=Side.SELL if order.sign > 0 else Side.BUY,
            quantity=lots * listing.step,
            type=OrderType.LIMIT,
            limit_price=price * listing.tick,
            tif=TimeInForce.GTC,
        )
        counter = desk.take_in(owner, terms)
        if not counter.is_open:
            return False
        rested = order.level is not None
        if not rested:
            order.leaves -= lots
        elif lots < order.leaves:
            market.book.reduce(order, lots)
        else:
            market.book.remove(order)
            order.leaves = 0
        counter.leaves = 0
        first, second = (counter, order) if rested else (order, counter)
        market.executed(first, second, price, lots)
        return True

    def end(self, order: Order, reason: Refusal) -> None:
        """Cancel an order here and now."""
        desk = self._desk
        assert desk.turns.is_busy and order.is_open
        desk.take_out(order)
        desk.end(order, OrderStatus.CANCELED, reason)
