"""Order by order: each shown order of one book under a public id, and each change of it, numbered without a gap.

Nothing of this exists until somebody watches.  A hidden order and a reserve never appear; a new slice of an iceberg
is a new order with a new public id.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from txtrader.exsim.book import BookOrder, BookSide
from txtrader.exsim.listeners import BookListener
from txtrader.exsim.records import BookSnapshot, ShownOrder
from txtrader.model.order import Side

if TYPE_CHECKING:
    from txtrader.exsim.market import Market

__all__ = ["OrdersWatch", "ShownOrders"]

_SIDES = {1: Side.BUY, -1: Side.SELL}


class OrdersWatch:
    """One listener's interest in the orders of one book; `close` ends it, twice is harmless.

    `snapshot` is the book when the watch began, with the number of the last change that it includes.
    """

    def __init__(self, shown: ShownOrders, listener: BookListener, snapshot: BookSnapshot) -> None:
        self._shown = shown
        self.listener = listener
        self.snapshot = snapshot
        self.is_open = True

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self._shown.leave(self)


class _Public:
    """What is known of one shown order: its public id, and what it shows."""

    __slots__ = ("lots", "public_id")

    def __init__(self, public_id: int, lots: int) -> None:
        self.public_id = public_id
        self.lots = lots


class ShownOrders:
    """The public orders of one market; made once, at work while somebody watches."""

    _log = Logger()

    def __init__(self, market: Market) -> None:
        self._market = market
        self._watches: list[OrdersWatch] = []
        self._public: dict[int, _Public] = {}  # by the order's own number
        self._leaving: tuple[BookOrder, _Public] | None = None
        self._last_id = 0
        self.number = 0
        self._published = 0

    # -- who watches

    def watch(self, listener: BookListener) -> OrdersWatch:
        """Tell `listener` of each change from now on."""
        market = self._market
        if not self._watches:
            self._published = self.number
            market.shown = market.book.watcher = self
            for side in (market.book.bids, market.book.asks):
                for level in side:
                    for order in level:
                        self._enroll(order)
        self.settle()
        watch = OrdersWatch(self, listener, self._snapshot())
        self._watches.append(watch)
        return watch

    def leave(self, watch: OrdersWatch) -> None:
        """Tell one of them no more."""
        self._watches.remove(watch)
        if not self._watches:
            self._market.shown = self._market.book.watcher = None
            self._public.clear()
            self._leaving = None

    def _enroll(self, order: BookOrder) -> _Public:
        self._last_id += 1
        public = self._public[order.number] = _Public(self._last_id, order.leaves - order.reserve)
        return public

    def _snapshot(self) -> BookSnapshot:
        book = self._market.book
        return BookSnapshot(
            listing_id=self._market.listing.id,
            number=self.number,
            bids=self._orders(book.bids),
            asks=self._orders(book.asks),
        )

    def _orders(self, side: BookSide) -> tuple[ShownOrder, ...]:
        return tuple(
            self._show(order, self._public[order.number])
            for level in side
            for order in level
            if order.number in self._public  # a slice that is about to be told is not
        )

    def _show(self, order: BookOrder, public: _Public) -> ShownOrder:
        assert order.price is not None
        return ShownOrder(
            public_id=public.public_id,
            side=_SIDES[order.sign],
            price=self._market.price(order.price),
            size=self._market.size(public.lots),
        )

    # -- what the market and the book tell

    def rested(self, order: BookOrder) -> None:
        """Take in that an order has joined a queue."""
        if order.is_hidden or order.number in self._public:
            self.settle()
            return
        leaving, self._leaving = self._leaving, None
        if leaving is not None and leaving[0] is not order:
            self._tell("order_deleted", leaving[1].public_id)
            leaving = None
        public = self._enroll(order)
        if leaving is None:
            self._tell("order_added", self._show(order, public))
        else:
            self._tell("order_replaced", leaving[1].public_id, self._show(order, public))

    def executed(self, order: BookOrder, lots: int, price: int, match_number: int) -> None:
        """Take in that a resting order has traded; one that is not shown is no news."""
        self.settle()
        public = self._public.get(order.number)
        if public is None:
            return
        lots = min(lots, public.lots)  # a match by hand may reach into the reserve
        public.lots -= lots
        if not public.lots:
            del self._public[order.number]
        market = self._market
        self._tell("order_executed", public.public_id, market.size(lots), market.price(price), match_number)

    def removed(self, order: BookOrder) -> None:
        """Take in that an order was taken out: it is deleted, or replaced if it is back before anything else."""
        self.settle()
        public = self._public.pop(order.number, None)
        if public is not None:
            self._leaving = order, public

    def reduced(self, order: BookOrder) -> None:
        """Take in that an order lost quantity; a loss of its reserve is no news."""
        self.settle()
        public = self._public.get(order.number)
        if public is None:
            return
        less = public.lots - (order.leaves - order.reserve)
        if less:
            public.lots -= less
            self._tell("order_reduced", public.public_id, self._market.size(less))

    def settle(self) -> None:
        """Tell that the order that was taken out last is gone, if it did not come back."""
        if self._leaving is not None:
            public = self._leaving[1]
            self._leaving = None
            self._tell("order_deleted", public.public_id)

    def publish(self) -> None:
        """Tell the end of a processed message, if it changed anything."""
        self.settle()
        if self._published != self.number:
            self._published = self.number
            self._call("published")

    def _tell(self, name: str, *facts: Any) -> None:
        self.number += 1
        self._call(name, *facts)

    def _call(self, name: str, *facts: Any) -> None:
        for watch in tuple(self._watches):
            call: Callable[..., None] = getattr(watch.listener, name)
            try:
                call(self._market.listing.id, self.number, *facts)
            except Exception:  # noqa: BLE001
                # A listener is somebody else's code: its fault must not leave a message half processed.
                self._log.failure("A watcher of the orders of {listing} failed", listing=self._market.listing.symbol)
