"""Orders that wait for a price: stops, trailing stops, if-touched orders.

A waiting order is unseen.  One that waits for the price to rise (buy stop, sell if touched) is elected when a trade
is at or above its trigger; one that waits for a fall (sell stop, buy if touched) when a trade is at or below it.
Instead of trades, a book may have its quotes, their middle or its reference price elect: see `take_at`.
Elections happen after the causing message is completely processed: see `take`.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import ceil, floor

from txtrader.exsim.orders import Order
from txtrader.model.order import OrderType

_Entry = tuple[int, int, Order]
_Heap = list[_Entry]

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

    __slots__ = ("_entries", "_trailing", "_turn", "_waiting")

    def __init__(self) -> None:
        self._turn = 0
        self._entries: dict[int, int] = {}  # order number -> the turn of its valid heap entry
        self._waiting: dict[tuple[bool, int], _Heap] = {
            (rises, sign): [] for rises in (True, False) for sign in (1, -1)
        }
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
        for sign in (1, -1):
            self._trail(sign, low, high)
        return self._in_order(
            self._pop((True, 1), high) + self._pop((True, -1), high),
            self._pop((False, 1), -low) + self._pop((False, -1), -low),
        )

    def take_at(self, buy: int | None, sell: int | None) -> list[Order]:
        """Take out what is elected at one price for buys and one for sells (None: there is none), as `take` does."""
        risen: list[_Entry] = []
        fallen: list[_Entry] = []
        for sign, price in ((1, buy), (-1, sell)):
            if price is not None:
                self._trail(sign, price, price)
                risen += self._pop((True, sign), price)
                fallen += self._pop((False, sign), -price)
        return self._in_order(risen, fallen)

    @staticmethod
    def _in_order(risen: list[_Entry], fallen: list[_Entry]) -> list[Order]:
        risen.sort(key=lambda entry: entry[:2])
        fallen.sort(key=lambda entry: entry[:2])
        if risen and fallen and min(entry[1] for entry in risen) < min(entry[1] for entry in fallen):
            elected = risen + fallen
        else:
            elected = fallen + risen
        return [order for _, _, order in elected]

    def _push(self, order: Order, turn: int) -> None:
        stop = order.stop_ticks
        assert stop is not None
        self._entries[order.number] = turn
        rises = waits_for_rise(order)
        heappush(self._waiting[rises, order.sign], (stop if rises else -stop, turn, order))
        if sum(map(len, self._waiting.values())) > 2 * len(self._entries) + _COMPACT_ABOVE:
            self._compact()

    def _is_valid(self, key: int, turn: int, order: Order) -> bool:
        stop = order.stop_ticks
        return self._entries.get(order.number) == turn and (stop == key if waits_for_rise(order) else stop == -key)

    def _compact(self) -> None:
        for heap in self._waiting.values():
            heap[:] = [entry for entry in heap if self._is_valid(*entry)]
            heap.sort(key=lambda entry: entry[:2])  # a sorted list is a heap

    def _pop(self, which: tuple[bool, int], reach: int) -> list[_Entry]:
        heap = self._waiting[which]
        elected: list[_Entry] = []
        while heap and heap[0][0] <= reach:
            entry = heappop(heap)
            if self._is_valid(*entry):
                self.remove(entry[2])
                elected.append(entry)
        return elected

    def _trail(self, sign: int, low: int, high: int) -> None:
        """Move the trailing stops of a side behind the best price since entry: away from the order's side only."""
        for order, turn in self._trailing.values():
            if order.sign != sign:
                continue
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
