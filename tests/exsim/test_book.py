"""The book's own promises: order, sums, and who is ahead of whom."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from txtrader.exsim.book import Book, BookOrder
from txtrader.exsim.matching import Matching


class Sink:
    def __init__(self):
        self.trades = []

    def executed(self, aggressor, resting, price, quantity):
        assert aggressor.sign != resting.sign
        self.trades.append((aggressor.number, resting.number, price, quantity))

    def rested(self, order):
        assert order.level is not None

    def dropped(self, order, reason):
        pass


def check(book):
    """Everything that must hold of a book at rest."""
    bid, ask = book.best_bid, book.best_ask
    assert bid is None or ask is None or bid < ask, "crossed"
    for side in (book.bids, book.asks):
        assert side.keys == sorted(side.keys) and set(side.keys) == set(side.levels)
        for level in side:
            orders = list(level)
            assert orders and level.head is orders[0] and level.tail is orders[-1]
            assert level.count == len(orders)
            assert level.total == sum(order.leaves for order in orders)
            assert level.shown == sum(order.leaves - order.reserve for order in orders)
            assert all(order.level is level and order.price == level.price for order in orders)
            assert all(0 <= order.reserve < order.leaves for order in orders)


operations = st.lists(
    st.one_of(
        st.tuples(
            st.just("add"),
            st.sampled_from((1, -1)),
            st.integers(95, 105),
            st.integers(1, 20),
            st.integers(0, 5),
            st.integers(0, 2),
        ),
        st.tuples(st.just("cancel"), st.integers(0, 10**6)),
        st.tuples(st.just("reduce"), st.integers(0, 10**6), st.integers(1, 19)),
    ),
    max_size=80,
)


@given(operations)
def test_whatever_comes_the_book_is_in_order_and_nothing_is_lost(moves):
    book, sink = Book(), Sink()
    matching = Matching(book, sink)
    made = []
    asked = {}
    taken_off = {}
    for move in moves:
        resting = [order for order in made if order.level is not None]
        if move[0] == "add":
            _, sign, price, quantity, display, life = move
            order = BookOrder(len(made), sign, price, quantity)
            order.life = life
            order.display = 0 if life or display >= quantity else display
            made.append(order)
            asked[order.number] = quantity
            matching.enter(order)
        elif resting:
            order = resting[move[1] % len(resting)]
            if move[0] == "cancel":
                matching.cancel(order)
            elif move[2] < order.leaves:
                book.reduce(order, move[2])
                taken_off[order.number] = taken_off.get(order.number, 0) + move[2]
        check(book)
    for order in made:
        traded = sum(trade[3] for trade in sink.trades if order.number in trade[:2])
        assert traded + order.leaves + taken_off.get(order.number, 0) == asked[order.number]


def test_the_quantity_ahead_counts_better_prices_and_older_orders():
    book, sink = Book(), Sink()
    matching = Matching(book, sink)
    orders = [BookOrder(n, -1, price, 10) for n, price in enumerate((100, 101, 101, 102))]
    for order in orders:
        matching.enter(order)
    assert [book.asks.quantity_ahead(order) for order in orders] == [(0, 0), (10, 1), (20, 2), (30, 3)]


def test_prices_may_be_negative():
    book, sink = Book(), Sink()
    matching = Matching(book, sink)
    for number, sign, price in ((1, -1, -3), (2, -1, 2), (3, 1, -8), (4, 1, 2)):
        matching.enter(BookOrder(number, sign, price, 1))
    assert sink.trades == [(4, 1, -3, 1)]
    assert (book.best_bid, book.best_ask) == (-8, 2)
