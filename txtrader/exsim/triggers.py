"""Orders that wait for a price: stops, trailing stops, if-touched orders.

A waiting order is unseen.  One that waits for the price to rise (buy stop, sell if touched) is elected when a trade
is at or above its trigger; one that waits for a fall (sell stop, buy if touched) when a trade is at or below it.
Elections happen after the causing message is completely processed: see `take`.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import ceil, floor

from txtrader.exsim.orders import Order
from txtrader.model.order import OrderType

__all__ = ["Triggers", "trail_stop", "waits_for_rise"]

_TOUCH = (OrderType.MARKET_IF_TOUCHED, OrderType.LIMIT_IF_TOUCHED)
_COMPACT_ABOVE = 64


def waits_for_rise(order: Order) -> bool:
    """Tell whether a rising price elects the order."""
    return (order.sign > 0) != (order.terms.type in _TOUCH)


class Triggers:
    """The waiting orders of one book.

    Heaps order them by trigger price, nearest first, then by entry.  An order that left or moved stays behind in its
    heap as a dead entry, dropped when it surfaces or when dead ones outnumber the living.
    """

    __slots__ = ("_entries", "_falls", "_rises", "_trailing", "_turn")

    def __init__(self) -> None:
        self._turn = 0
        self._entries: dict[int, int] = {}  # order number -> the turn of its valid heap entry
        self._rises: list[tuple[int, int, Order]] = []
        self._falls: list[tuple[int, int, Order]] = []
        self._trailing: dict[int, tuple[Order, int]] = {}  # order number -> (order, turn of entry)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, order: Order) -> bool:
        return order.number in self._entries

    def is_reached(self, order: Order, price: int) -> bool:
        """Tell whether the trigger of an order is reached at `price`."""
        stop = order.stop_ticks
        assert stop is not None
        return price >= stop if waits_for_rise(order) else price <= stop

    def add(self, order: Order) -> None:
        """Let an order wait; its `stop_ticks` must be set."""
        self._turn += 1
        turn = self._turn
        self._push(order, turn)
        if order.terms.type.is_trailing:
            self._trailing[order.number] = (order, turn)

    def remove(self, order: Order) -> None:
        """Forget a waiting order."""
        del self._entries[order.number]
        self._trailing.pop(order.number, None)

    def take(self, low: int, high: int) -> list[Order]:
        """Take out what trades between `low` and `high` elected, in order of election.

        Those that waited for a rise come by ascending trigger, those for a fall by descending, ties by entry; where
        both are elected at once, the side with the oldest order goes first.  Orders that trail move first.
        """
        if not self._entries:
            return []
        if self._trailing:
            self._trail(low, high)
        risen = self._pop(self._rises, high)
        fallen = self._pop(self._falls, -low)
        if not fallen:
            return [order for _, order in risen]
        if risen and min(turn for turn, _ in risen) < min(turn for turn, _ in fallen):
            return [order for _, order in risen + fallen]
        return [order for _, order in fallen + risen]

    def _push(self, order: Order, turn: int) -> None:
        stop = order.stop_ticks
        assert stop is not None
        self._entries[order.number] = turn
        if waits_for_rise(order):
            heappush(self._rises, (stop, turn, order))
        else:
            heappush(self._falls, (-stop, turn, order))
        if len(self._rises) + len(self._falls) > 2 * len(self._entries) + _COMPACT_ABOVE:
            self._compact()

    def _is_valid(self, key: int, turn: int, order: Order) -> bool:
        stop = order.stop_ticks
        return self._entries.get(order.number) == turn and (stop == key if waits_for_rise(order) else stop == -key)

    def _compact(self) -> None:
        self._rises = [entry for entry in self._rises if self._is_valid(*entry)]
        self._falls = [entry for entry in self._falls if self._is_valid(*entry)]
        self._rises.sort(key=lambda entry: entry[:2])  # a sorted list is a heap
        self._falls.sort(key=lambda entry: entry[:2])

    def _pop(self, heap: list[tuple[int, int, Order]], reach: int) -> list[tuple[int, Order]]:
        elected: list[tuple[int, Order]] = []
        while heap and heap[0][0] <= reach:
            key, turn, order = heappop(heap)
            if self._is_valid(key, turn, order):
                self.remove(order)
                elected.append((turn, order))
        return elected

    def _trail(self, low: int, high: int) -> None:
        """Move trailing stops behind the best price since entry: away from the order's side only."""
        for order, turn in self._trailing.values():
            best = order.trail_best
            assert best is not None and order.stop_ticks is not None
            if order.sign < 0:
                if high <= best:
                    continue
                order.trail_best = high
                stop = max(order.stop_ticks, trail_stop(order, high))
            else:
                if low >= best:
                    continue
                order.trail_best = low
                stop = min(order.stop_ticks, trail_stop(order, low))
            if stop != order.stop_ticks:
                order.stop_ticks = stop
                self._push(order, turn)


def trail_stop(order: Order, best: int) -> int:
    """Return the stop (ticks) that trails `best`, rounded away from the market."""
    terms = order.terms
    if terms.trail_percent is not None:
        distance = abs(best) * terms.trail_percent / 100
    else:
        assert terms.trail_amount is not None
        distance = terms.trail_amount / order.listing.tick
    return floor(best - distance) if order.sign < 0 else ceil(best + distance)
