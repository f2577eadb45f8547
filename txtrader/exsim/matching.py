"""Matching on one book.

One incoming order at a time: it trades with the best prices of the other side, at each price in the order that the
book's rule says (usually the oldest first), always at the resting order's price; what is left rests, or is canceled
where the order may not rest.  Each fact is one call on the sink, made when the book already shows it.

There are two ways.  The short one is price-time among plain orders, written out for speed.  The long one knows
everything: hidden orders, minimum quantities, last look, orders of one key kept apart, and other rules.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, Protocol

import msgspec

from txtrader.exsim.allocation import Claim, Rule
from txtrader.exsim.book import ALL_AT_ONCE, RESTS, Book, BookOrder, Level
from txtrader.exsim.records import Reason, SelfTrade
from txtrader.exsim.rehearsal import Copy, Trial, rest_copy

__all__ = ["ANY_PRICE", "Apart", "MatchSink", "Matching"]

ANY_PRICE = -(1 << 62)
"""The threshold of an order without a limit: every key is above it."""

_TRADED = 1
_IS_OVER = 2


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

    def asked(self, aggressor: Any, resting: Any, price: int, quantity: int) -> None:
        """Tell that an order met one whose owner is to be asked first; it neither trades on nor rests meanwhile."""


class Matching:
    """Match orders on `book`.

    With `market_rests` the unfilled rest of a market order that traded rests as a limit at its last price; else it
    is canceled, as it always is where nothing traded.  `rule` None is price-time.  Without `auto_match` orders only
    rest.
    """

    __slots__ = (
        "_asks",
        "_bids",
        "_dropped",
        "_executed",
        "_is_long",
        "_rested",
        "_sink",
        "auto_match",
        "book",
        "market_rests",
        "rule",
        "self_trade",
    )

    def __init__(
        self,
        book: Book,
        sink: MatchSink,
        *,
        market_rests: bool = False,
        self_trade: SelfTrade = SelfTrade.NONE,
        rule: Rule | None = None,
        auto_match: bool = True,
    ) -> None:
        self._sink = sink
        self.book = book
        self._bids = book.bids
        self._asks = book.asks
        self._executed = sink.executed
        self._rested = sink.rested
        self._dropped = sink.dropped
        self._is_long = False
        self.configure(market_rests=market_rests, self_trade=self_trade, rule=rule, auto_match=auto_match)

    def configure(self, *, market_rests: bool, self_trade: SelfTrade, rule: Rule | None, auto_match: bool) -> None:
        """Change how orders match from now on; those that rest stay."""
        self.market_rests = market_rests
        self.self_trade = self_trade
        self.rule = rule
        self.auto_match = auto_match
        is_long = self_trade is not SelfTrade.NONE or rule is not None or not auto_match
        self.book.specials += is_long - self._is_long
        self._is_long = is_long

    def enter(self, order: BookOrder) -> None:
        """Process an order that is to trade now: match, then rest or drop what is left."""
        if self.book.specials or order.is_special:
            self._enter_the_long_way(order)
            return
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

    # -- the long way

    def _enter_the_long_way(self, order: BookOrder) -> None:
        traded_at: int | None = None
        if self.auto_match:
            needed = order.leaves if order.life == ALL_AT_ONCE else min(order.least, order.leaves)
            if needed <= 1 or self.reaches(order, needed):
                traded_at, is_over = self._walk(order)
                if is_over or not order.leaves:
                    return
        limit = order.price
        if order.life or limit is None:
            if order.life or traded_at is None or not self.market_rests:
                self._dropped(order, Reason.NO_LIQUIDITY)
                return
            limit = order.price = traded_at
        self.book.add(order, limit)
        self._rested(order)

    def _walk(self, order: BookOrder) -> tuple[int | None, bool]:
        """Trade at each price that fits; return the last price traded at, and whether the order is over.

        At a price what is shown comes first.  Orders that are passed over keep their places.
        """
        book = self.book
        shown, hidden = book.side(-order.sign), book.hidden(-order.sign)
        threshold = ANY_PRICE if order.price is None else -order.sign * order.price
        traded_at: int | None = None
        key: int | None = None
        while order.leaves:
            key = _next_key(shown.keys, hidden.keys, key)
            if key is None or key < threshold:
                break
            for side in (shown, hidden):
                level = side.levels.get(key)
                if level is None or not order.leaves:
                    continue
                price = level.price
                if self.rule is None or side is hidden:
                    outcome = self._trade_by_time(order, level)
                else:
                    outcome = self._trade_by_shares(order, level, self.rule)
                if outcome & _TRADED:
                    traded_at = price
                if outcome & _IS_OVER:
                    return traded_at, True
        return traded_at, False

    def _trade_by_time(self, order: BookOrder, level: Level) -> int:
        """Trade with the orders of one price, the oldest first; return whether it traded, and whether it is over."""
        outcome = 0
        resting = level.head
        while resting is not None and order.leaves:
            after = resting.next
            if not _may_meet(order, resting):
                resting = after
                continue
            if self._are_apart(order, resting):
                if self._keep_apart(order, resting):
                    return outcome | _IS_OVER
            elif resting.is_asked:
                self._sink.asked(order, resting, level.price, min(resting.leaves - resting.promised, order.leaves))
                return outcome | _IS_OVER
            else:
                outcome = _TRADED
                quantity = min(resting.leaves - resting.reserve, order.leaves)
                if self._trade(order, resting, level.price, quantity) and after is None:
                    after = resting  # it was the last, and its new slice is so again
            resting = after
        return outcome

    def _trade_by_shares(self, order: BookOrder, level: Level, rule: Rule) -> int:
        """Trade with the orders of one price in shares; what is left then meets the slices that came since."""
        outcome = 0
        while order.leaves:
            shares = _shares(order, level, rule, self.book.setters.get(level))
            if not shares:
                break
            for resting, quantity in shares:
                if self._are_apart(order, resting):
                    if self._keep_apart(order, resting):
                        return outcome | _IS_OVER
                    break  # the shares are others now
                if resting.is_asked:
                    self._sink.asked(order, resting, level.price, min(resting.leaves - resting.promised, quantity))
                    return outcome | _IS_OVER
                outcome = _TRADED
                self._trade(order, resting, level.price, quantity)
        return outcome

    def _trade(self, order: BookOrder, resting: BookOrder, price: int, quantity: int) -> bool:
        """Let two orders trade; tell whether the resting one has a new slice."""
        order.leaves -= quantity
        is_refreshed = self.book.trade(resting, quantity)
        self._executed(order, resting, price, quantity)
        if is_refreshed:
            self._rested(resting)
        return is_refreshed

    def _are_apart(self, order: BookOrder, resting: BookOrder) -> bool:
        return self.self_trade is not SelfTrade.NONE and order.key is not None and order.key == resting.key

    def _keep_apart(self, order: BookOrder, resting: BookOrder) -> bool:
        """Let two orders of one key not trade; tell whether the incoming one is over, else the resting one is."""
        mode = self.self_trade
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

    # -- asked from outside

    def cancel(self, order: BookOrder) -> None:
        """Take a resting order out of the book."""
        self.book.remove(order)

    def reaches(self, order: BookOrder, needed: int) -> bool:
        """Tell whether an order would trade at least `needed` lots if it came now.

        It is tried, price by price, on copies of the orders that it would meet.
        """
        book = self.book
        shown, hidden = book.side(-order.sign), book.hidden(-order.sign)
        threshold = ANY_PRICE if order.price is None else -order.sign * order.price
        trial = Trial()
        rehearsal = Matching(Book(), trial, self_trade=self.self_trade, rule=self.rule)
        copy = Copy(order)
        key: int | None = None
        while copy.leaves and trial.traded < needed:
            key = _next_key(shown.keys, hidden.keys, key)
            if key is None or key < threshold:
                break
            for side in (shown, hidden):
                for resting in side.levels.get(key, ()):
                    rest_copy(book, rehearsal.book, resting)
            if rehearsal._walk(copy)[1]:
                break
        return trial.traded >= needed

    def would_trade(self, sign: int, price: int | None, lots: int, least: int = 0) -> bool:
        """Tell whether an order like this would trade anything if it came now; whose it is does not count."""
        if not self.auto_match:
            return False
        best = self.book.best_price(-sign)
        if best is None or (price is not None and sign * (price - best) < 0):
            return False
        if not self.book.specials and not least:
            return True
        order = BookOrder(0, sign, price, lots)
        order.life = RESTS
        copy = Copy(order)
        copy.least, copy.may_wait = least, True
        return self.reaches(copy, max(1, min(least, lots)))


def _next_key(first: list[int], second: list[int], below: int | None) -> int | None:
    """Return the best of the keys of two sides, of those below a bound if there is one."""
    found: int | None = None
    for keys in (first, second):
        place = (len(keys) if below is None else bisect_left(keys, below)) - 1
        if place >= 0 and (found is None or keys[place] > found):
            found = keys[place]
    return found


def _may_meet(order: BookOrder, resting: BookOrder) -> bool:
    """Tell whether an incoming order is not passed over by a resting one: too small, or refused, or in a hurry."""
    if resting.least and min(resting.least, resting.leaves) > order.leaves:
        return False
    if resting.is_asked:
        return (
            order.may_wait
            and order.life != ALL_AT_ONCE
            and not order.least
            and resting.promised < resting.leaves
            and resting.number not in order.refused_by
        )
    return True


def _shares(order: BookOrder, level: Level, rule: Rule, setter: BookOrder | None) -> list[tuple[BookOrder, int]]:
    """Divide an incoming order among a level's; where one would get less than its minimum, anew without it."""
    found = [resting for resting in level if _may_meet(order, resting)]
    while found:
        claims = [Claim(resting.number, resting.leaves - resting.reserve, resting is setter) for resting in found]
        shares = rule.shares(order.leaves, claims)
        for resting, share in zip(found, shares, strict=True):
            if 0 < share < min(resting.least, resting.leaves):
                found.remove(resting)
                break
        else:
            return [(resting, share) for resting, share in zip(found, shares, strict=True) if share]
    return []
