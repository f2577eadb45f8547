"""Orders whose price follows the market: to their own side's best price, to the other side's, or to the middle.

What they follow are shown orders that follow nothing themselves.  Where there is none an order is parked: it is out of
the book, and has no place.  A new price is a new place in the queue; who has waited longest moves first.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from txtrader.exsim.book import Book, half
from txtrader.exsim.entry import to_ticks
from txtrader.exsim.orders import Order
from txtrader.exsim.records import Listing

if TYPE_CHECKING:
    from txtrader.exsim.desk import Desk
    from txtrader.exsim.market import Market

__all__ = ["Pegs", "Repricing"]

_FREE = ("", "reference")
"""What a pegged order may be held by and move; one that waits for an answer moves when it has it."""

_References = tuple[int | None, int | None]


class Pegs:
    """The pegged orders of one book that work or are parked."""

    def __init__(self, book: Book, listing: Listing) -> None:
        self._book = book
        self._listing = listing
        self._orders: dict[int, Order] = {}
        self._settled: _References | None = None  # the references by which everybody has the right price
        self.has_half_ticks = False
        self.is_moving = False

    def __contains__(self, order: Order) -> bool:
        return order.number in self._orders

    def __len__(self) -> int:
        return len(self._orders)

    def add(self, order: Order) -> None:
        """Take in an order that is to follow."""
        self._orders[order.number] = order
        self.unsettle()  # nobody looked at the references while there was nobody to move

    def discard(self, order: Order) -> None:
        """Let an order go; one that is not there is no error."""
        self._orders.pop(order.number, None)

    def unsettle(self) -> None:
        """Look at everybody again next time, whatever the references are."""
        self._settled = None

    def due(self) -> list[Order]:
        """Return who has another price than he should, in order of priority; parked ones come last, by entry."""
        references = self._references()
        if references == self._settled:
            return []
        due = [order for order in self._orders.values() if self._is_due(order, references)]
        free = [order for order in due if order.held in _FREE]
        self._settled = references if len(free) == len(due) else None
        return sorted(free, key=lambda order: (order.level is None, order.place, order.number))

    def _is_due(self, order: Order, references: _References) -> bool:
        return self._target(order, references) != (order.price if order.level is not None else None)

    def target(self, order: Order) -> int | None:
        """Return the price (ticks) that an order should have now; None: there is nothing to follow."""
        return self._target(order, self._references())

    def _references(self) -> _References:
        return self._best(1), self._best(-1)

    def _best(self, sign: int) -> int | None:
        for level in self._book.side(sign):
            if any(order.number not in self._orders for order in level):
                return level.price
        return None

    def _target(self, order: Order, references: _References) -> int | None:
        terms, sign = order.terms, order.sign
        own, other = references if sign > 0 else references[::-1]
        offset = int(terms.peg_offset / self._listing.tick)
        if terms.peg == "mid":
            if own is None or other is None:
                return None
            price = self._middle(own + other, sign) + offset
        else:
            found = own if terms.peg == "primary" else other
            if found is None:
                return None
            price = found + offset
        if terms.limit_price is not None:
            cap = to_ticks(terms.limit_price, self._listing)
            price = min(price, cap) if sign > 0 else max(price, cap)
        price = self._on_grid(price, sign)
        if price <= 0 and not self._listing.allows_negative_prices:
            return None
        return price

    def _middle(self, total: int, sign: int) -> int:
        """Return half of the sum of the best prices: a half tick stands, or is rounded away from the other side."""
        if self.has_half_ticks:
            return half(total)
        return total // 2 if sign > 0 else -(-total // 2)

    def _on_grid(self, price: int, sign: int) -> int:
        """Round a price away from the other side to the step of its band, where that is coarser than the tick."""
        listing = self._listing
        if len(listing.increments) < 2:
            return price
        grid = int(listing.tick_at(price * listing.tick) / listing.tick)
        if grid == 1:
            return price
        return price // grid * grid if sign > 0 else -(-price // grid) * grid


class Repricing:
    """Move the desk's pegged orders after each message, each in a turn of its own."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def look(self, market: Market) -> None:
        """Plan the moves of those that have another price than they should; one round at a time."""
        pegs, turns = market.pegs, self._desk.turns
        if pegs.is_moving:
            return
        due = pegs.due()
        if not due:
            return
        pegs.is_moving = True
        for order in due:
            turns.then(market, partial(self._follow, market, order))
        turns.then(market, partial(setattr, pegs, "is_moving", False))

    def _follow(self, market: Market, order: Order) -> None:
        """Move an order that is due, unless it has gone since or has its price again, and tell of it."""
        if not order.is_open or order not in market.pegs or order.held not in _FREE:
            return
        target = market.pegs.target(order)
        if order.level is not None:
            if target == order.price:
                return
            market.book.remove(order)
        elif target is None:
            return
        order.price = target
        self._desk.tell("order_repriced", order)
        self._place(market, order, target)

    def enter(self, market: Market, order: Order) -> None:
        """Give an order that comes into the market the price that it should have."""
        market.pegs.add(order)
        order.price = market.pegs.target(order)
        self._place(market, order, order.price)

    def _place(self, market: Market, order: Order, target: int | None) -> None:
        """Put an order at the end of its price's queue, or park it where it has none."""
        self._desk.touch(order)
        self._desk.tape.write("peg", order.id, target)
        if target is None:
            order.held = "reference"
        else:
            order.held = ""
            self._desk.work(market, order)
