"""The engine on the 70/20/10 flow: known totals, equality with the least book, cost that does not grow."""

from __future__ import annotations

import time

import pytest
from exsim_flow import make_flow

from txtrader.exsim.book import Book, BookOrder
from txtrader.exsim.matching import Matching


class Counter:
    """Count what matching tells."""

    def __init__(self):
        self.trades = self.volume = self.notional = 0

    def executed(self, aggressor, resting, price, quantity):
        self.trades += 1
        self.volume += quantity
        self.notional += price * quantity

    def rested(self, order):
        pass

    def dropped(self, order, reason):
        raise AssertionError("nothing in this flow may be dropped")


def run(operations):
    counter = Counter()
    book = Book()
    matching = Matching(book, counter)
    orders = {}
    for operation in operations:
        if operation[0] == "A":
            _, number, side, price, quantity = operation
            order = orders[number] = BookOrder(number, -1 if side else 1, price, quantity)
            matching.enter(order)
        else:
            matching.cancel(orders[operation[1]])
    return counter, book, orders


@pytest.mark.parametrize(
    ("count", "adds", "trades", "volume", "notional", "resting"),
    [
        (20_000, 15_983, 6_995, 299_220, 2_990_252_060, 4_644),
        (100_000, 79_880, 35_311, 1_501_860, 15_008_388_800, 22_720),
    ],
)
def test_the_known_flow_gives_the_known_totals(count, adds, trades, volume, notional, resting):
    operations, witness = make_flow(count)
    counter, book, orders = run(operations)
    assert sum(operation[0] == "A" for operation in operations) == adds
    assert (counter.trades, counter.volume, counter.notional) == (trades, volume, notional)
    assert (witness.trades, witness.volume, witness.notional) == (trades, volume, notional)
    assert sum(level.count for side in (book.bids, book.asks) for level in side) == resting
    left = {number: order.leaves for number, order in orders.items() if order.level is not None}
    assert left == {number: quantity for number, quantity in witness.open.items() if quantity}


def test_a_cancel_costs_the_same_however_many_orders_rest():
    def cost(resting):
        book = Book()
        matching = Matching(book, Counter())
        orders = [BookOrder(n, 1, 1000 - n % 50, 1) for n in range(resting)]
        for order in orders:
            matching.enter(order)
        middle = orders[resting // 2 : resting // 2 + 500]
        began = time.perf_counter()
        for order in middle:
            matching.cancel(order)
        return time.perf_counter() - began

    few = min(cost(1_000) for _ in range(5))
    many = min(cost(100_000) for _ in range(5))
    assert many < 8 * few  # a list scan would be a hundred times
