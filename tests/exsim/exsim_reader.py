"""Somebody who keeps a book, order by order, by what he is told of it."""

from __future__ import annotations

from txtrader.exsim.listeners import BookListener
from txtrader.model.order import Side


class Reader(BookListener):
    """Keeps the book by what it is told, and checks that nothing is left out or said twice."""

    def __init__(self):
        self.heard = []
        self.number = None
        self.orders = {}

    def begin(self, watch):
        self.number = watch.snapshot.number
        self.orders = {
            order.public_id: [order.side, order.price, order.size]
            for order in (*watch.snapshot.bids, *watch.snapshot.asks)
        }
        return self

    def _next(self, name, number, *facts):
        if self.number is not None:
            assert number == self.number + 1
            self.number = number
        self.heard.append((name, *facts))

    def order_added(self, listing_id, number, order):
        self._next("added", number, order.public_id, str(order.side), order.price, order.size)
        assert order.public_id not in self.orders and order.size > 0
        self.orders[order.public_id] = [order.side, order.price, order.size]

    def order_reduced(self, listing_id, number, public_id, size):
        self._next("reduced", number, public_id, size)
        self.orders[public_id][2] -= size
        assert self.orders[public_id][2] > 0

    def order_executed(self, listing_id, number, public_id, size, price, match_number):
        self._next("executed", number, public_id, size, price)
        self.orders[public_id][2] -= size
        assert self.orders[public_id][2] >= 0
        if not self.orders[public_id][2]:
            del self.orders[public_id]

    def order_deleted(self, listing_id, number, public_id):
        self._next("deleted", number, public_id)
        del self.orders[public_id]

    def order_replaced(self, listing_id, number, public_id, order):
        self._next("replaced", number, public_id, order.public_id, order.price, order.size)
        del self.orders[public_id]
        self.orders[order.public_id] = [order.side, order.price, order.size]

    def rows(self):
        """The levels that the orders add up to, as `Stage.book` gives them."""
        sides = ({}, {})
        for side, price, size in self.orders.values():
            row = sides[side is not Side.BUY].setdefault(price, [0, 0])
            row[0] += int(size)
            row[1] += 1
        return tuple(
            [(str(price), *side[price]) for price in sorted(side, reverse=side is sides[0])][:10] for side in sides
        )
