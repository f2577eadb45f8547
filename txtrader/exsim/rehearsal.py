"""Trying an order on copies of those that it would meet, so that nothing is touched before all is known."""

from __future__ import annotations

from typing import Any

from txtrader.exsim.book import Book, BookOrder
from txtrader.exsim.records import Reason

__all__ = ["Copy", "Trial", "rest_copy"]


class Copy(BookOrder):
    """An order that stands for another in a rehearsal."""

    __slots__ = ("is_asked", "is_hidden", "least", "may_wait", "promised", "refused_by", "slices")

    def __init__(self, order: BookOrder) -> None:
        super().__init__(order.number, order.sign, order.price, order.leaves)
        self.life, self.key, self.display = order.life, order.key, order.display
        self.is_special, self.is_hidden, self.is_asked = order.is_special, order.is_hidden, order.is_asked
        self.least, self.promised = order.least, order.promised
        self.may_wait, self.refused_by = order.may_wait, order.refused_by
        self.slices = None if order.slices is None else order.slices.copy()


class Trial:
    """Counts what a rehearsal trades."""

    def __init__(self) -> None:
        self.traded = 0

    def executed(self, aggressor: Any, resting: Any, price: int, quantity: int) -> None:
        self.traded += quantity

    def rested(self, order: Any) -> None:
        """Nobody looks."""

    def dropped(self, order: Any, reason: Reason, apart: Any = None) -> None:
        """Nobody looks."""

    def lessened(self, order: Any, lots: int, apart: Any = None) -> None:
        """Nobody looks."""

    def asked(self, aggressor: Any, resting: Any, price: int, quantity: int) -> None:
        self.traded += quantity


def rest_copy(book: Book, stage: Book, order: BookOrder) -> None:
    """Rest a copy of an order of a book in another one, with the slice that it shows now."""
    copy = Copy(order)
    slices, copy.slices = copy.slices, None
    display, copy.display = copy.display, order.leaves - order.reserve
    assert order.price is not None and order.level is not None
    stage.add(copy, order.price)
    copy.slices, copy.display = slices, display
    assert copy.level is not None
    if stage.setters.get(copy.level) is copy and book.setters.get(order.level) is not order:
        del stage.setters[copy.level]
