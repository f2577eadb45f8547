"""Matching by hand: somebody decides who trades with whom, and a book whose matching is switched off and on."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

from txtrader.errors import InvalidArgument, NotFound
from txtrader.exsim.desk import Desk
from txtrader.exsim.entry import exact_ticks
from txtrader.exsim.errors import WrongState
from txtrader.exsim.market import Market
from txtrader.exsim.options import BookOptions
from txtrader.exsim.orders import Order
from txtrader.exsim.records import Phase

__all__ = ["Matchmaking"]

_CAN_TRADE = ("", "match", "reference")


class Matchmaking:
    """Decide in the place of a book's matching.  Raises errors of the house, before anything is changed."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def match(
        self, order_a: int, order_b: int, quantity: Decimal | None, price: Decimal | None, *, force: bool
    ) -> tuple[str, str]:
        """Execute two live orders of opposite sides against each other; see `Venue.match_orders`."""
        desk = self._desk
        one, other = self._live(order_a, "order_a"), self._live(order_b, "order_b")
        if one.listing.id != other.listing.id:
            raise WrongState(f"orders {one.id} and {other.id} are not of one book")
        if one.sign == other.sign:
            raise WrongState(f"orders {one.id} and {other.id} are of the same side")
        market = desk.market_of(one.listing.id)
        assert market is not None
        if market.phase is not Phase.CONTINUOUS and not force:
            raise WrongState(f"{one.listing.symbol} does not trade now: {market.phase}")
        if desk.turns.is_busy:
            raise WrongState("a message is being processed")
        older, younger = (other, one) if _age(other) < _age(one) else (one, other)
        lots = self._lots(one, other, quantity)
        ticks = _ticks(older, younger, price)
        if not force:
            for order in (older, younger):
                if order.price is not None and order.sign * (ticks - order.price) > 0:
                    raise InvalidArgument(f"the limit of order {order.id} is {order.limit_price}", path="price")
        desk.tape.write("match_orders", older.id, younger.id, lots, ticks)
        desk.turns.run(market, partial(market.match, younger, older, ticks, lots, "manual"))
        return one.exec_ids[-1], other.exec_ids[-1]

    def _live(self, order_id: int, path: str) -> Order:
        order = self._desk.orders.get(order_id)
        if order is None:
            raise NotFound(f"there is no order {order_id}", path=path)
        if not order.is_open:
            raise WrongState(f"order {order_id} is {order.status}", path=path)
        if order.held not in _CAN_TRADE:
            raise WrongState(f"order {order_id} waits: {order.held}", path=path)
        return order

    @staticmethod
    def _lots(one: Order, other: Order, quantity: Decimal | None) -> int:
        most = min(one.leaves, other.leaves)
        if quantity is None:
            return most
        step = one.listing.step
        if not quantity.is_finite() or quantity <= 0 or quantity % step or quantity > most * step:
            raise InvalidArgument(
                f"{quantity} is not a quantity up to {most * step} in steps of {step}", path="quantity"
            )
        return int(quantity / step)

    def set_options(self, market: Market, options: BookOptions) -> None:
        """Change how a book works; where matching goes on again, what crosses or waits comes once more, by age."""
        desk = self._desk
        if options.auto_match and not market.options.auto_match and desk.check_phase(market) is not None:
            raise WrongState(f"{market.listing.symbol} does not trade now: {market.phase}", path="auto_match")

        def process() -> None:
            before = market.options
            market.set_options(options)
            desk.tape.write("options", market.listing.id, *(str(value) for value in _values(options)))
            if options.auto_match and not before.auto_match:
                self._resume(market)

        desk.turns.run(market, process)

    def _resume(self, market: Market) -> None:
        desk, book = self._desk, market.book
        bid, ask = book.best_price(1), book.best_price(-1)
        crossing: list[Any] = []
        if bid is not None and ask is not None:
            for sign, bound in ((1, ask), (-1, bid)):
                for side in (book.side(sign), book.hidden(sign)):
                    for level in list(side):
                        if sign * (level.price - bound) >= 0:
                            crossing += level
        crossing.sort(key=lambda order: order.place)
        for order in crossing:
            book.remove(order)
            desk.turns.then(market, partial(market.matching.enter, order))
        for order in [order for order in desk.live.values() if order.held == "match"]:
            if order.listing.id == market.listing.id:
                desk.turns.then(market, partial(desk.start, order))


def _values(options: BookOptions) -> list[Any]:
    return [getattr(options, name) for name in options.__struct_fields__]


def _age(order: Order) -> tuple[bool, int, int]:
    """Return what sorts orders by how long they are in the book; those that are not come last, by entry."""
    return (order.level is None, order.place, order.id)


def _ticks(older: Order, younger: Order, price: Decimal | None) -> int:
    if price is None:
        found = older.price if older.price is not None else younger.price
        if found is None:
            raise InvalidArgument("neither order has a price", path="price")
        return found
    listing = older.listing
    if not price.is_finite() or price % listing.tick or (price <= 0 and not listing.allows_negative_prices):
        raise InvalidArgument(f"{price} is not a price of {listing.symbol}", path="price")
    return exact_ticks(price, listing)
