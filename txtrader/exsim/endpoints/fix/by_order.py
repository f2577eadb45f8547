"""Market data order by order: each shown order is an entry of its own, under an id that says nothing of its owner.

    W   every shown order in price-time priority: 269, (5.0: 278), 270, 271, 37, 290
    X   279 = 0 it came, 1 it changed or moved, 2 it is gone; 278 and 37 name it, 290 is where it stands then

Entries of an X are meant one after the other: an entry of a new or a changed order stands at 290 when those before it
have been applied.  An order keeps its id while anybody watches the book, also when it is replaced and goes to the end
of a queue; a new slice of an iceberg is a new order to everybody.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from decimal import Decimal

import msgspec

from txtrader.exsim.endpoints.fix.endpoint import FixConnection
from txtrader.exsim.endpoints.fix.figures import Facts, price_and_size
from txtrader.exsim.endpoints.fix.subscriptions import BID, OFFER, Subscription
from txtrader.exsim.listeners import BookListener
from txtrader.exsim.records import Listing, ShownOrder
from txtrader.exsim.venue import Venue
from txtrader.model.order import Side
from txtrader.wire.fix.message import Message

__all__ = ["OrderBook", "OrderBooks", "OrderChange", "OrderSubscription"]

_KINDS = {Side.BUY: BID, Side.SELL: OFFER}


class OrderChange(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of an order in one venue message: `action` is 279, `place` counts from 1; a gone order has none."""

    action: str
    side: Side
    order_id: str
    price: Decimal
    size: Decimal
    place: int | None


class _Standing:
    """A shown order: `size` and `turn` (when it joined its queue) as they are, `told` as they were published last."""

    __slots__ = ("order_id", "price", "side", "size", "told", "turn")

    def __init__(self, order_id: str, order: ShownOrder, turn: int) -> None:
        self.order_id = order_id
        self.side = order.side
        self.price = order.price
        self.size = order.size
        self.turn = turn
        self.told: tuple[Decimal, Decimal, int] | None = None


class OrderBook(BookListener):
    """The shown orders of one listing as clients have been told them, and who is told; lives while anybody is.

    What happens in a venue message is gathered, and told as the step from the book before it to the one after it.
    """

    def __init__(self, venue: Venue, listing_id: int) -> None:
        self._listing_id = listing_id
        self._orders: dict[int, _Standing] = {}
        self._touched: dict[_Standing, None] = {}  # in the sequence of their first change
        self._sides: dict[Side, list[_Standing]] = {Side.BUY: [], Side.SELL: []}
        self._turns = 0
        self.listeners: list[Callable[[list[OrderChange]], None]] = []
        self._watch = venue.watch_orders(listing_id, self)
        snapshot = self._watch.snapshot
        for order in (*snapshot.bids, *snapshot.asks):
            self._enroll(order)
        self.publish()

    def close(self) -> None:
        """Follow the book no more."""
        self._watch.close()

    def side(self, side: Side) -> list[OrderChange]:
        """Return the orders of a side as they have been told, in priority, each as it would come."""
        return [self._change("0", one, place) for place, one in enumerate(self._sides[side], 1)]

    # -- what the venue tells

    def order_added(self, listing_id: int, number: int, order: ShownOrder) -> None:
        self._enroll(order)

    def order_reduced(self, listing_id: int, number: int, public_id: int, size: Decimal) -> None:
        self._lessen(public_id, size)

    def order_executed(
        self, listing_id: int, number: int, public_id: int, size: Decimal, price: Decimal, match_number: int
    ) -> None:
        self._lessen(public_id, size)

    def order_deleted(self, listing_id: int, number: int, public_id: int) -> None:
        one = self._orders.pop(public_id)
        one.size = Decimal(0)
        self._touched[one] = None

    def order_replaced(self, listing_id: int, number: int, public_id: int, order: ShownOrder) -> None:
        one = self._orders[order.public_id] = self._orders.pop(public_id)
        self._turns += 1
        one.price, one.size, one.turn = order.price, order.size, self._turns
        self._touched[one] = None

    def published(self, listing_id: int, number: int) -> None:
        self.publish()

    def _enroll(self, order: ShownOrder) -> None:
        self._turns += 1
        one = _Standing(f"O{self._listing_id}#{order.public_id}", order, self._turns)
        self._orders[order.public_id] = one
        self._touched[one] = None

    def _lessen(self, public_id: int, size: Decimal) -> None:
        one = self._orders[public_id]
        one.size -= size
        if not one.size:
            del self._orders[public_id]
        self._touched[one] = None

    # -- what is told

    def publish(self) -> None:
        """Take what has happened into the sides, and tell it: first what is gone, then what lost quantity, then
        what joined a queue, in the sequence of joining, so that each does join the end of its queue."""
        touched, self._touched = self._touched, {}
        changes: list[OrderChange] = []
        joined: list[_Standing] = []
        for one in touched:
            if one.size and (one.told is None or one.told[2] != one.turn):
                joined.append(one)
            elif one.told is not None and not one.size:
                self._take_out(one)
                changes.append(self._change("2", one, None))
        for one in touched:
            if one.size and one.told is not None and one.told[2] == one.turn and one.told[1] != one.size:
                one.told = (one.price, one.size, one.turn)
                changes.append(self._change("1", one, self._place(one) + 1))
        for one in sorted(joined, key=lambda one: one.turn):
            action = "0" if one.told is None else "1"
            if one.told is not None:
                self._take_out(one)
            one.told = (one.price, one.size, one.turn)
            side = self._sides[one.side]
            place = bisect_right(side, _rank(one), key=_rank)
            side.insert(place, one)
            changes.append(self._change(action, one, place + 1))
        if changes:
            for listener in tuple(self.listeners):
                listener(changes)

    def _take_out(self, one: _Standing) -> None:
        del self._sides[one.side][self._place(one)]

    def _place(self, one: _Standing) -> int:
        """Return where an order stands, from 0."""
        side = self._sides[one.side]
        return side.index(one, bisect_left(side, _rank(one), key=_rank))

    @staticmethod
    def _change(action: str, one: _Standing, place: int | None) -> OrderChange:
        assert one.told is not None
        price, size, _ = one.told
        return OrderChange(action=action, side=one.side, order_id=one.order_id, price=price, size=size, place=place)


def _rank(one: _Standing) -> Decimal:
    """Return what a side is sorted by: the price as it was told, best first."""
    assert one.told is not None
    return -one.told[0] if one.side is Side.BUY else one.told[0]


class OrderBooks:
    """The books that anybody watches order by order; one that nobody does is forgotten, and its ids with it."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._books: dict[int, OrderBook] = {}

    def join(self, listing_id: int, listener: Callable[[list[OrderChange]], None]) -> OrderBook:
        """Tell `listener` of each change from now on; what the book is now it can ask."""
        book = self._books.get(listing_id)
        if book is None:
            book = self._books[listing_id] = OrderBook(self._venue, listing_id)
        book.publish()  # to the others, if a message is being processed
        book.listeners.append(listener)
        return book

    def leave(self, listing_id: int, listener: Callable[[list[OrderChange]], None]) -> None:
        """Tell one of them no more."""
        book = self._books[listing_id]
        book.listeners.remove(listener)
        if not book.listeners:
            book.close()
            del self._books[listing_id]


class OrderSubscription(Subscription):
    """A book by order, whole."""

    book_type = "3"

    def __init__(
        self, venue: Venue, connection: FixConnection, request: Message, listing: Listing, *, books: OrderBooks
    ) -> None:
        super().__init__(venue, connection, request, listing)
        self._books = books
        self._orders: OrderBook | None = None

    def follow(self) -> None:
        if self._kinds & {BID, OFFER}:
            self._orders = self._books.join(self.listing.id, self._orders_changed)
        super().follow()

    def close(self) -> None:
        super().close()
        if self._orders is not None:
            self._orders = None
            self._books.leave(self.listing.id, self._orders_changed)

    def _book(self) -> list[Facts]:
        if not self._kinds & {BID, OFFER}:
            return []
        is_followed = self._orders is not None
        orders = self._orders or self._books.join(self.listing.id, self._orders_changed)
        found = [
            self._pictured(kind, one.order_id, _facts(one))
            for side, kind in _KINDS.items()
            if kind in self._kinds
            for one in orders.side(side)
        ]
        if not is_followed:  # a picture only: nothing is kept for it
            self._books.leave(self.listing.id, self._orders_changed)
        return found

    def _orders_changed(self, changes: list[OrderChange]) -> None:
        for one in changes:
            if (kind := _KINDS[one.side]) in self._kinds:
                self._gather(one.action, kind, one.order_id, _facts(one))


def _facts(one: OrderChange) -> Facts:
    found = [*price_and_size(one.price, one.size), (37, one.order_id)]
    return found if one.place is None else [*found, (290, str(one.place))]
