"""Price-time matching on one book.

One incoming order at a time: it trades with the best prices of the other side, oldest order first, always at the
resting order's price; what is left rests, or is canceled where the order may not rest.  Each fact is one call on
the sink, made when the book already shows it.
"""

from __future__ import annotations

from typing import Any, Protocol

from txtrader.exsim.book import ALL_AT_ONCE, Book, BookOrder
from txtrader.exsim.records import Reason

__all__ = ["ANY_PRICE", "MatchSink", "Matching"]

ANY_PRICE = -(1 << 62)
"""The threshold of an order without a limit: every key is above it."""


class MatchSink(Protocol):
    """What matching tells, in the order in which it happens."""

    def executed(self, aggressor: Any, resting: Any, price: int, quantity: int) -> None:
        """Tell one execution; both orders' `leaves` and the book are after it."""

    def rested(self, order: Any) -> None:
        """Tell that an order joined the end of its level (a new slice of an iceberg, too)."""

    def dropped(self, order: Any, reason: Reason) -> None:
        """Tell that the rest of an incoming order (`leaves`) is canceled because it may not rest."""


class Matching:
    """Match orders on `book`.

    With `market_rests` the unfilled rest of a market order that traded rests as a limit at its last price; else it
    is canceled, as it always is where nothing traded.
    """

    __slots__ = ("_asks", "_bids", "_dropped", "_executed", "_rested", "book", "market_rests")

    def __init__(self, book: Book, sink: MatchSink, *, market_rests: bool = False) -> None:
        self.book = book
        self._bids = book.bids
        self._asks = book.asks
        self.market_rests = market_rests
        self._executed = sink.executed
        self._rested = sink.rested
        self._dropped = sink.dropped

    def enter(self, order: BookOrder) -> None:
        """Process an order that is to trade now: match, then rest or drop what is left."""
        sign = order.sign
        limit = order.price
        if sign > 0:
            own, other = self._bids, self._asks
        else:
            own, other = self._asks, self._bids
        threshold = ANY_PRICE if limit is None else -sign * limit
        keys = other.keys
        traded_at: int | None = None
        if keys and keys[-1] >= threshold:
            if order.life == ALL_AT_ONCE and not other.within(threshold, order.leaves):
                self._dropped(order, Reason.NO_LIQUIDITY)
                return
            traded_at = self._sweep(order, other, threshold)
            if not order.leaves:
                return
        if order.life or limit is None:
            if order.life or traded_at is None or not self.market_rests:
                self._dropped(order, Reason.NO_LIQUIDITY)
                return
            limit = order.price = traded_at
        own.add(order, limit)
        self._rested(order)

    def _sweep(self, order: BookOrder, other: Any, threshold: int) -> int:
        """Trade until the order is filled or no price fits; return the last price traded at."""
        executed = self._executed
        keys = other.keys
        levels = other.levels
        price = 0
        leaves = order.leaves
        while leaves and keys and keys[-1] >= threshold:
            level = levels[keys[-1]]
            price = level.price
            resting = level.head
            while resting is not None and leaves:
                shown = resting.leaves - resting.reserve
                quantity = shown if shown < leaves else leaves
                leaves -= quantity
                order.leaves = leaves
                resting.leaves -= quantity
                level.shown -= quantity
                level.total -= quantity
                refreshed = False
                if quantity == shown:  # this order's turn is over
                    if resting.leaves:  # a new slice at the end of the queue
                        level.unlink(resting)
                        level.append(resting)
                        refreshed = True
                    else:  # filled: the head leaves, which is Level.unlink where there is nobody before it
                        after = resting.next
                        level.head = after
                        level.count -= 1
                        resting.level = None
                        if after is None:
                            level.tail = None
                            keys.pop()
                            del levels[level.key]
                        else:
                            after.prev = resting.next = None
                executed(order, resting, price, quantity)
                if refreshed:
                    self._rested(resting)
                resting = level.head
        return price

    def cancel(self, order: BookOrder) -> None:
        """Take a resting order out of the book."""
        self.book.remove(order)

    def would_fill(self, sign: int, price: int | None, quantity: int) -> bool:
        """Tell whether an order like this would be filled completely at once."""
        threshold = ANY_PRICE if price is None else -sign * price
        return self.book.side(-sign).within(threshold, quantity)
