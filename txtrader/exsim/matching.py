"""Price-time matching on one book.

One incoming order at a time: it trades with the best prices of the other side, oldest order first, always at the
resting order's price; what is left rests, or is canceled where the order may not rest.  Each fact is one call on
the sink, made when the book already shows it.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from txtrader.exsim.book import ALL_AT_ONCE, Book, BookOrder, BookSide, Level
from txtrader.exsim.records import Reason, SelfTrade

__all__ = ["ANY_PRICE", "Apart", "MatchSink", "Matching"]

ANY_PRICE = -(1 << 62)
"""The threshold of an order without a limit: every key is above it."""


class Apart(msgspec.Struct, frozen=True, gc=False):
    """A trade that did not happen, since both orders have one key: its price and lots, seen from one of them."""

    price: int
    lots: int
    is_aggressor: bool


class MatchSink(Protocol):
    """What matching tells, in the order in which it happens."""

    def executed(self, aggressor: Any, resting: Any, price: int, quantity: int) -> None:
        """Tell one execution; both orders' `leaves` and the book are after it."""

    def rested(self, order: Any) -> None:
        """Tell that an order joined the end of its level (a new slice of an iceberg, too)."""

    def dropped(self, order: Any, reason: Reason, apart: Apart | None = None) -> None:
        """Tell that the rest of an order (`leaves`) is canceled: it may not rest, or its own key stands against it."""

    def lessened(self, order: Any, lots: int, apart: Apart | None = None) -> None:
        """Tell that an order lost lots, without a trade, against one of its own key."""


class Matching:
    """Match orders on `book`.

    With `market_rests` the unfilled rest of a market order that traded rests as a limit at its last price; else it
    is canceled, as it always is where nothing traded.
    """

    __slots__ = (
        "_asks",
        "_bids",
        "_dropped",
        "_executed",
        "_is_guarded",
        "_rested",
        "_self_trade",
        "_sink",
        "book",
        "market_rests",
    )

    def __init__(
        self,
        book: Book,
        sink: MatchSink,
        *,
        market_rests: bool = False,
        self_trade: SelfTrade = SelfTrade.NONE,
    ) -> None:
        self._self_trade = self_trade
        self._is_guarded = self_trade is not SelfTrade.NONE
        self._sink = sink
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
            is_guarded = self._is_guarded and order.key is not None
            if order.life == ALL_AT_ONCE and not self._is_there(order, other, threshold, is_guarded):
                self._dropped(order, Reason.NO_LIQUIDITY)
                return
            if is_guarded:
                traded_at, is_over = self._sweep_guarded(order, other, threshold)
                if is_over:
                    return
            else:
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

    def _sweep_guarded(self, order: BookOrder, other: BookSide, threshold: int) -> tuple[int | None, bool]:
        """Trade with everybody but the order's own key; return the last price, and whether the order is over."""
        keys, levels = other.keys, other.levels
        price: int | None = None
        while order.leaves and keys and keys[-1] >= threshold:
            level = levels[keys[-1]]
            resting = level.head
            assert resting is not None, "no empty level stays"
            if resting.key != order.key:
                price = level.price
                self._trade(order, other, level, resting)
            elif self._keep_apart(order, resting):
                return price, True
        return price, False

    def _trade(self, order: BookOrder, other: BookSide, level: Level, resting: BookOrder) -> None:
        """Trade with the first order of a level."""
        shown = resting.leaves - resting.reserve
        quantity = min(shown, order.leaves)
        order.leaves -= quantity
        resting.leaves -= quantity
        level.shown -= quantity
        level.total -= quantity
        is_refreshed = quantity == shown and resting.leaves > 0
        if quantity == shown:
            level.unlink(resting)
            if is_refreshed:
                level.append(resting)
            elif level.head is None:
                other.drop(level)
        self._executed(order, resting, level.price, quantity)
        if is_refreshed:
            self._rested(resting)

    def _keep_apart(self, order: BookOrder, resting: BookOrder) -> bool:
        """Let two orders of one key not trade; tell whether the incoming one is over."""
        mode = self._self_trade
        assert resting.level is not None
        price, less = resting.level.price, min(order.leaves, resting.leaves)
        incoming, standing = Apart(price, less, True), Apart(price, less, False)
        if mode is SelfTrade.DECREMENT:
            if less == resting.leaves:
                self._withdraw(resting, standing)
            else:
                self.book.reduce(resting, less)
                self._sink.lessened(resting, less, standing)
            if less == order.leaves:
                self._sink.dropped(order, Reason.SELF_TRADE, incoming)
                return True
            order.leaves -= less
            self._sink.lessened(order, less, incoming)
            return False
        if mode is not SelfTrade.NEWEST:
            self._withdraw(resting, standing)
        if mode is SelfTrade.OLDEST:
            return False
        self._sink.dropped(order, Reason.SELF_TRADE, incoming)
        return True

    def _withdraw(self, resting: BookOrder, apart: Apart) -> None:
        self.book.remove(resting)
        self._sink.dropped(resting, Reason.SELF_TRADE, apart)

    def _is_there(self, order: BookOrder, other: BookSide, threshold: int, is_guarded: bool) -> bool:
        """Tell whether all of an order can trade at once; its own key's orders do not count where they may not meet."""
        if is_guarded and order.key is not None:
            return other.within_others(threshold, order.leaves, order.key)
        return other.within(threshold, order.leaves)

    def cancel(self, order: BookOrder) -> None:
        """Take a resting order out of the book."""
        self.book.remove(order)

    def would_fill(self, sign: int, price: int | None, quantity: int) -> bool:
        """Tell whether an order like this would be filled completely at once."""
        threshold = ANY_PRICE if price is None else -sign * price
        return self.book.side(-sign).within(threshold, quantity)
