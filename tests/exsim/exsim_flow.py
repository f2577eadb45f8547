"""The 70/20/10 flow of passive orders, cancels and aggressive orders, and the least book one would write for it."""

from __future__ import annotations

import random
from collections import deque
from heapq import heappop, heappush
from typing import Any


class LeastBook:
    """A dictionary of queues and a heap of prices a side, with lazy deletion: an independent witness."""

    def __init__(self) -> None:
        self.levels: tuple[dict[int, deque[int]], dict[int, deque[int]]] = ({}, {})
        self.heaps: tuple[list[int], list[int]] = ([], [])
        self.open: dict[int, int] = {}
        self.trades = self.volume = self.notional = 0

    def best(self, side: int) -> int | None:
        heap, levels = self.heaps[side], self.levels[side]
        while heap:
            price = heap[0] if side else -heap[0]
            queue = levels.get(price)
            while queue and not self.open[queue[0]]:
                queue.popleft()
            if queue:
                return price
            levels.pop(price, None)
            heappop(heap)
        return None

    def add(self, number: int, side: int, price: int, quantity: int) -> int:
        while quantity:
            best = self.best(1 - side)
            if best is None or (best < price if side else best > price):
                break
            queue = self.levels[1 - side][best]
            traded = min(quantity, self.open[queue[0]])
            self.open[queue[0]] -= traded
            quantity -= traded
            self.trades += 1
            self.volume += traded
            self.notional += best * traded
        self.open[number] = quantity
        if quantity:
            own = self.levels[side].get(price)
            if own is None:
                own = self.levels[side][price] = deque()
                heappush(self.heaps[side], price if side else -price)
            own.append(number)
        return quantity

    def cancel(self, number: int) -> None:
        self.open[number] = 0


def make_flow(count: int, seed: int = 7, mid: int = 10_000) -> tuple[list[tuple[Any, ...]], LeastBook]:
    """Return the operations, ("A", id, side, price, quantity) or ("C", id), and the book that they lead to."""
    draw = random.Random(seed)
    book = LeastBook()
    live: list[int] = []
    operations: list[tuple[Any, ...]] = []
    next_id = 1
    while len(operations) < count:
        x = draw.random()
        if x < 0.2 and live:
            while live:
                slot = draw.randrange(len(live))
                number = live[slot]
                live[slot] = live[-1]
                live.pop()
                if book.open[number]:
                    book.cancel(number)
                    operations.append(("C", number))
                    break
            continue
        side = draw.randrange(2)
        bid, ask = book.best(0), book.best(1)
        if x < 0.9:
            reference = mid if bid is None or ask is None else (bid + ask) // 2
            reference += (mid - reference) // 8
            away = 1 + int(draw.expovariate(1 / 6)) % 20
            if side == 0:
                price = reference - away if ask is None else min(reference - away, ask - 1)
            else:
                price = reference + away if bid is None else max(reference + away, bid + 1)
            quantity = draw.randrange(1, 11) * 10
        else:
            other = bid if side else ask
            if other is None:
                continue
            price = other - 2 if side else other + 2
            quantity = draw.randrange(1, 31) * 10
        operations.append(("A", next_id, side, price, quantity))
        if book.add(next_id, side, price, quantity):
            live.append(next_id)
        next_id += 1
    return operations, book
