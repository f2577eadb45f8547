"""The order book: two sides of price levels, each a queue of orders by time.

Prices are integer ticks, quantities integer lots.  Each side keeps its prices as *keys* (the price for bids, the
negated price for offers) in one ascending list, so that the best price of either side is the last element: most
adds and removals happen there and move nothing.  An order is a link of its level's queue, so that a cancel costs
the same however many orders rest.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

__all__ = ["ALL_AT_ONCE", "AT_ONCE", "BUY", "RESTS", "SELL", "Book", "BookOrder", "BookSide", "Level"]

BUY = 1
SELL = -1

RESTS = 0
AT_ONCE = 1
ALL_AT_ONCE = 2


class BookOrder:
    """What the book knows of an order.

    `price` None is a market order.  `leaves` is what is open, of which `reserve` is not shown; `display` is the size
    of a shown slice, 0 shows all.  `life` says whether it may rest (RESTS), trades what it can at once (AT_ONCE), or
    only if that is all of it (ALL_AT_ONCE).  Orders of one `key` may be kept from trading with each other, None is
    nobody's.  `level` is set while the order rests; `place` counts up as orders join the ends of their queues.
    """

    __slots__ = (
        "display",
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

    def __init__(self, number: int, sign: int, price: int | None, quantity: int) -> None:
        self.number = number
        self.sign = sign
        self.price = price
        self.leaves = quantity
        self.life = RESTS
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

    def within_others(self, threshold: int, needed: int, key: str) -> bool:
        """As `within`, leaving out the orders of one key."""
        for level in self:
            if level.key < threshold:
                return False
            needed -= sum(order.leaves for order in level if order.key != key)
            if needed <= 0:
                return True
        return False

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
        """Return shown quantity and number of orders before a resting order in its own queue and at better prices."""
        own = order.level
        assert own is not None
        quantity = orders = 0
        for level in self:
            if level is own:
                break
            quantity += level.shown
            orders += level.count
        for other in own:
            if other is order:
                break
            quantity += other.leaves - other.reserve
            orders += 1
        return quantity, orders


class Book:
    """Both sides of one instrument."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = BookSide(BUY)
        self.asks = BookSide(SELL)

    def side(self, sign: int) -> BookSide:
        return self.bids if sign > 0 else self.asks

    def remove(self, order: BookOrder) -> None:
        """Take a resting order out."""
        level = order.level
        assert level is not None
        level.unlink(order)
        if level.head is None:
            self.side(order.sign).drop(level)

    def reduce(self, order: BookOrder, quantity: int) -> None:
        """Take `quantity` lots off a resting order, from the reserve first; its place is kept."""
        level = order.level
        assert level is not None and 0 < quantity < order.leaves
        from_reserve = min(order.reserve, quantity)
        order.reserve -= from_reserve
        order.leaves -= quantity
        level.total -= quantity
        level.shown -= quantity - from_reserve

    @property
    def best_bid(self) -> int | None:
        keys = self.bids.keys
        return keys[-1] if keys else None

    @property
    def best_ask(self) -> int | None:
        keys = self.asks.keys
        return -keys[-1] if keys else None
