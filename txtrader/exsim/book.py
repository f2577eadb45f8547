"""The order book: two sides of price levels, each a queue of orders by time.

Prices are integer ticks, quantities integer lots.  Each side keeps its prices as *keys* (the price for bids, the
negated price for offers) in one ascending list, so that the best price of either side is the last element: most
adds and removals happen there and move nothing.  An order is a link of its level's queue, so that a cancel costs
the same however many orders rest.

Hidden orders stand apart, in sides of their own that are built alike: what is public is read from the shown sides,
and no more is needed for a hidden order never to be seen.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from decimal import Decimal
from typing import Protocol, cast

__all__ = [
    "ALL_AT_ONCE",
    "AT_ONCE",
    "BUY",
    "RESTS",
    "SELL",
    "Book",
    "BookOrder",
    "BookSide",
    "BookWatcher",
    "Level",
    "Slices",
    "half",
]

BUY = 1
SELL = -1

RESTS = 0
AT_ONCE = 1
ALL_AT_ONCE = 2


def half(ticks: int) -> int:
    """Return exactly half of some ticks, the one price that may be no integer.

    It is a Decimal then, which compares, adds and multiplies with integers exactly; a book does no more with prices.
    """
    return ticks // 2 if ticks % 2 == 0 else cast(int, ticks / Decimal(2))


class Slices(Protocol):
    """Draws the sizes of an iceberg's slices; a copy draws the same ones again."""

    def draw(self) -> int:
        """Return the size of the next slice, in lots."""

    def copy(self) -> Slices:
        """Return one that draws what this one will."""


class BookOrder:
    """What the book knows of an order.

    `price` None is a market order.  `leaves` is what is open, of which `reserve` is not shown; `display` is the size
    of a shown slice, 0 shows all.  `life` says whether it may rest (RESTS), trades what it can at once (AT_ONCE), or
    only if that is all of it (ALL_AT_ONCE).  Orders of one `key` may be kept from trading with each other, None is
    nobody's.  `level` is set while the order rests; `place` counts up as orders join the ends of their queues.

    The rest is for the few orders that need it; a class that has such orders keeps them in slots of its own.
    `is_hidden`: never shown.  `least`: it trades with nobody for less than that many lots, or than all that it has
    left.  `slices` draws the sizes of shown slices.  `is_asked`: its owner is asked before each trade (last look), and
    what is `promised` is under such a question; `refused_by` are the numbers of those who have refused this order, and
    only one that `may_wait` asks them at all.  `is_special`: one of these that matching must
    know of; it may change only while the order does not rest.
    """

    __slots__ = (
        "display",
        "is_special",
        "key",
        "leaves",
        "level",
        "life",
        "next",
        "number",
        "place",
        "prev",
        "price",
        "reserve",
        "sign",
    )

    is_hidden: bool = False
    is_asked: bool = False
    may_wait: bool = False
    least: int = 0
    promised: int = 0
    slices: Slices | None = None
    refused_by: tuple[int, ...] = ()

    def __init__(self, number: int, sign: int, price: int | None, quantity: int) -> None:
        self.number = number
        self.sign = sign
        self.price = price
        self.leaves = quantity
        self.life = RESTS
        self.is_special = False
        self.reserve = self.display = self.place = 0
        self.key: str | None = None
        self.level: Level | None = None
        self.prev: BookOrder | None = None
        self.next: BookOrder | None = None


class Level:
    """The orders of one price, oldest first; `shown` is their visible quantity, `total` with the reserves."""

    __slots__ = ("count", "head", "key", "price", "shown", "tail", "total")

    def __init__(self, key: int, price: int) -> None:
        self.key = key
        self.price = price
        self.shown = 0
        self.total = 0
        self.count = 0
        self.head: BookOrder | None = None
        self.tail: BookOrder | None = None

    def __iter__(self) -> Iterator[BookOrder]:
        order = self.head
        while order is not None:
            yield order
            order = order.next

    def append(self, order: BookOrder) -> None:
        """Put an order at the end of the queue, with a fresh slice if it shows only a part."""
        leaves = order.leaves
        if order.display:
            if order.slices is not None:
                order.display = order.slices.draw()
            slice_ = min(order.display, leaves)
            order.reserve = leaves - slice_
            self.shown += slice_
        else:
            self.shown += leaves
        self.total += leaves
        self.count += 1
        tail = self.tail
        order.level = self
        order.prev = tail
        if tail is None:
            self.head = order
        else:
            tail.next = order
        self.tail = order

    def unlink(self, order: BookOrder) -> None:
        """Take an order out of the queue."""
        before, after = order.prev, order.next
        if before is None:
            self.head = after
        else:
            before.next = after
            order.prev = None
        if after is None:
            self.tail = before
        else:
            after.prev = before
            order.next = None
        order.level = None
        leaves = order.leaves
        self.shown -= leaves - order.reserve
        self.total -= leaves
        self.count -= 1


class BookSide:
    """All levels of one side; see the module for `keys`."""

    __slots__ = ("keys", "levels", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.levels: dict[int, Level] = {}

    @property
    def best(self) -> Level | None:
        return self.levels[self.keys[-1]] if self.keys else None

    def __iter__(self) -> Iterator[Level]:
        """Walk the levels, best first."""
        levels = self.levels
        for key in reversed(self.keys):
            yield levels[key]

    def add(self, order: BookOrder, price: int) -> None:
        """Rest an order at the end of its price's queue."""
        key = self.sign * price
        level = self.levels.get(key)
        if level is None:
            level = self.levels[key] = Level(key, price)
            keys = self.keys
            if not keys or key > keys[-1]:
                keys.append(key)
            else:
                insort(keys, key)
        if order.display:
            level.append(order)
            return
        # Level.append, written out: this is where an engine spends its day
        leaves = order.leaves
        level.shown += leaves
        level.total += leaves
        level.count += 1
        order.level = level
        tail = level.tail
        if tail is None:
            level.head = order
        else:
            order.prev = tail
            tail.next = order
        level.tail = order

    def drop(self, level: Level) -> None:
        """Forget a level that has become empty."""
        keys = self.keys
        key = level.key
        if keys[-1] == key:
            keys.pop()
        else:
            del keys[bisect_left(keys, key)]
        del self.levels[key]

    def within(self, threshold: int, needed: int) -> bool:
        """Tell whether at least `needed` lots, reserves included, stand at keys at or above `threshold`."""
        for level in self:
            if level.key < threshold:
                return False
            needed -= level.total
            if needed <= 0:
                return True
        return False

    def quantity_ahead(self, order: BookOrder) -> tuple[int, int]:
        """Return quantity and number of orders before a resting order: in its own queue, and of this side before that.

        `self` is a side of shown orders: what is hidden at better prices is not counted.
        """
        own = order.level
        assert own is not None
        quantity = orders = 0
        for level in self:
            if level.key <= own.key:
                if level is not own and level.key == own.key:  # what is shown stands before a hidden order
                    quantity += level.shown
                    orders += level.count
                break
            quantity += level.shown
            orders += level.count
        for other in own:
            if other is order:
                break
            quantity += other.leaves - other.reserve
            orders += 1
        return quantity, orders


class BookWatcher(Protocol):
    """Hears what leaves a book without a trade."""

    def removed(self, order: BookOrder) -> None:
        """Tell that an order was taken out; its `leaves` are as they were."""

    def reduced(self, order: BookOrder) -> None:
        """Tell that an order lost quantity and kept its place."""


class Book:
    """Both sides of one instrument, and of its hidden orders.

    `specials` counts why orders cannot be matched the short way: resting orders that are special, and whatever else
    matching adds.  While there are any, `setters` has for each level the order that first set its price, if that has
    kept its place.
    """

    __slots__ = ("asks", "bids", "hidden_asks", "hidden_bids", "setters", "specials", "watcher")

    def __init__(self) -> None:
        self.bids = BookSide(BUY)
        self.asks = BookSide(SELL)
        self.hidden_bids = BookSide(BUY)
        self.hidden_asks = BookSide(SELL)
        self.specials = 0
        self.setters: dict[Level, BookOrder] = {}
        self.watcher: BookWatcher | None = None

    def side(self, sign: int) -> BookSide:
        return self.bids if sign > 0 else self.asks

    def hidden(self, sign: int) -> BookSide:
        """Return the hidden orders of a side."""
        return self.hidden_bids if sign > 0 else self.hidden_asks

    def side_of(self, order: BookOrder) -> BookSide:
        """Return where an order rests, or would."""
        return self.hidden(order.sign) if order.is_hidden else self.side(order.sign)

    def add(self, order: BookOrder, price: int) -> None:
        """Rest an order of any kind at the end of its price's queue."""
        if order.is_special:
            self.specials += 1
        self.side_of(order).add(order, price)
        level = order.level
        assert level is not None
        if level.count == 1:
            self.setters[level] = order

    def remove(self, order: BookOrder) -> None:
        """Take a resting order out."""
        level = order.level
        assert level is not None
        # Level.unlink, written out: every cancel comes here
        before, after = order.prev, order.next
        if before is None:
            level.head = after
        else:
            before.next = after
            order.prev = None
        if after is None:
            level.tail = before
        else:
            after.prev = before
            order.next = None
        order.level = None
        leaves = order.leaves
        level.shown -= leaves - order.reserve
        level.total -= leaves
        level.count -= 1
        if level.head is None:
            self.side_of(order).drop(level)
        if self.specials:
            self._forget(order, level)
        if self.watcher is not None:
            self.watcher.removed(order)

    def leave(self, order: BookOrder) -> None:
        """Let an order go that has nothing left, and that its level does not count any more."""
        level = order.level
        assert level is not None and not order.leaves
        level.unlink(order)
        if level.head is None:
            self.side_of(order).drop(level)
        if self.specials:
            self._forget(order, level)

    def _forget(self, order: BookOrder, level: Level) -> None:
        """Count out an order that has left its level for good."""
        if order.is_special:
            self.specials -= 1
        if not self.specials:
            self.setters.clear()
        elif self.setters.get(level) is order:
            del self.setters[level]

    def reduce(self, order: BookOrder, quantity: int) -> None:
        """Take `quantity` lots off a resting order, from the reserve first; its place is kept."""
        level = order.level
        assert level is not None and 0 < quantity < order.leaves
        from_reserve = min(order.reserve, quantity)
        order.reserve -= from_reserve
        order.leaves -= quantity
        level.total -= quantity
        level.shown -= quantity - from_reserve
        if self.watcher is not None:
            self.watcher.reduced(order)

    def trade(self, order: BookOrder, quantity: int) -> bool:
        """Take `quantity` lots off a resting order that trades; tell whether a new slice has joined its queue."""
        level = order.level
        assert level is not None and 0 < quantity <= order.leaves
        shown = order.leaves - order.reserve
        if quantity < shown:
            order.leaves -= quantity
            level.shown -= quantity
            level.total -= quantity
            return False
        level.unlink(order)
        order.leaves -= quantity
        if order.leaves:
            level.append(order)
            if self.setters.get(level) is order and level.count > 1:
                del self.setters[level]
            elif level.count == 1:
                self.setters[level] = order
            return True
        if level.head is None:
            self.side_of(order).drop(level)
        self._forget(order, level)
        return False

    def best_price(self, sign: int) -> int | None:
        """Return the best price of a side, hidden orders included."""
        shown, hidden = self.side(sign).keys, self.hidden(sign).keys
        if shown and hidden:
            return sign * max(shown[-1], hidden[-1])
        keys = shown or hidden
        return sign * keys[-1] if keys else None

    @property
    def best_bid(self) -> int | None:
        keys = self.bids.keys
        return keys[-1] if keys else None

    @property
    def best_ask(self) -> int | None:
        keys = self.asks.keys
        return -keys[-1] if keys else None
