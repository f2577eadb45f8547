"""LOBSTER files played through the real book and the real matching, and compared row by row.

A pair of files holds messages and, after each of them, the best levels of both sides.  Of what stood there before the
first message only the sum at each price is known: it is one *lump*, an ordinary order to the engine.  Trades are not
applied but made: an order of the other side comes, and has to meet the very order that the file names.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from txtrader.exsim.book import AT_ONCE, BUY, SELL, Book, BookOrder
from txtrader.exsim.matching import Apart, Matching
from txtrader.exsim.records import Reason

__all__ = ["LobsterMessage", "LobsterReplay", "LobsterResult", "read_pair"]

_EMPTY = 9_999_999_999
_NEW, _LESS, _GONE, _TRADED = 1, 2, 3, 4

Rows = dict[int, dict[int, int]]
"""What a file shows: by side the size at each price."""


class LobsterMessage(msgspec.Struct, frozen=True):
    """One line of a message file: seconds after midnight as text, price in ten-thousandths of a dollar.

    `direction` is the side of the resting order: 1 a bid, -1 an offer.
    """

    time: str
    type: int
    order_id: int
    size: int
    price: int
    direction: int


class LobsterResult(msgspec.Struct):
    """What a replay found: rows that were equal, and of the trades those that could be decided, and those that met the
    named order, and no other, at the named price, in full."""

    rows: int = 0
    equal: int = 0
    trades: int = 0
    decidable: int = 0
    exact: int = 0
    faults: list[str] = []


class _Sink:
    """Hears what matching does."""

    def __init__(self) -> None:
        self.executions: list[tuple[BookOrder, int, int]] = []

    def executed(self, aggressor: Any, resting: Any, price: int, quantity: int) -> None:
        self.executions.append((resting, price, quantity))

    def rested(self, order: Any) -> None:
        """What rests is looked up in the book."""

    def dropped(self, order: Any, reason: Reason, apart: Apart | None = None) -> None:
        """The rest of an order that trades at once goes."""

    def lessened(self, order: Any, lots: int, apart: Apart | None = None) -> None:
        """Nothing is kept from trading here."""

    def asked(self, aggressor: Any, resting: Any, price: int, quantity: int) -> None:
        """Nobody is asked here."""


def read_pair(messages: Path, books: Path) -> Iterator[tuple[LobsterMessage, Rows]]:
    """Read both files side by side: each message with the levels after it."""
    with messages.open(newline="") as left, books.open(newline="") as right:
        for line, levels in zip(csv.reader(left), csv.reader(right), strict=True):
            numbers = [int(word) for word in line[1:6]]
            shown: Rows = {BUY: {}, SELL: {}}
            cells = [int(word) for word in levels]
            for place in range(0, len(cells), 4):
                ask, ask_size, bid, bid_size = cells[place : place + 4]
                if abs(ask) != _EMPTY:
                    shown[SELL][ask] = ask_size
                if abs(bid) != _EMPTY:
                    shown[BUY][bid] = bid_size
            yield LobsterMessage(line[0], *numbers), shown


class LobsterReplay:
    """See the module.  `levels` are those of a side in the file; `is_active` False only keeps the books."""

    def __init__(self, levels: int, *, is_active: bool = True) -> None:
        self.result = LobsterResult()
        self.book = Book()
        self._sink = _Sink()
        self._matching = Matching(self.book, self._sink)
        self._levels = levels
        self._is_active = is_active
        self._orders: dict[int, BookOrder] = {}
        self._lumps: dict[tuple[int, int], BookOrder] = {}
        self._before: Rows | None = None
        self._numbers = 0

    def run(self, pairs: Iterator[tuple[LobsterMessage, Rows]]) -> LobsterResult:
        """Play everything."""
        for message, rows in pairs:
            self.step(message, rows)
        return self.result

    def step(self, message: LobsterMessage, rows: Rows) -> None:
        """Play one message and compare the book with the levels after it; the first one makes the book."""
        if self._before is None:
            self._begin(message, rows)
        else:
            self._apply(message)
            self._move_window(rows)
            self.result.rows += 1
            if self._shown() == rows:
                self.result.equal += 1
            else:
                self.result.faults.append(f"after {message}: the book is {self._shown()}, the file says {rows}")
        self._before = rows

    def _begin(self, message: LobsterMessage, rows: Rows) -> None:
        for sign, levels in rows.items():
            for price, size in levels.items():
                is_news = message.type == _NEW and (sign, price) == (message.direction, message.price)
                if (rest := size - message.size if is_news else size) > 0:
                    self._lump(sign, price, rest)
                if is_news:
                    self._enter(message.order_id, sign, price, message.size)

    # -- messages

    def _apply(self, message: LobsterMessage) -> None:
        if message.type == _NEW:
            self._sink.executions.clear()
            self._enter(message.order_id, message.direction, message.price, message.size)
            if self._sink.executions:
                self.result.faults.append(f"{message}: a new order traded")
        elif message.type in (_LESS, _GONE):
            self._take(message)
        elif message.type == _TRADED:
            self.result.trades += 1
            if self._is_active and self._is_decidable(message.direction):
                self._trade(message)
            else:
                self._take(message)

    def _is_decidable(self, sign: int) -> bool:
        """Tell whether nothing unknown stands at the best price."""
        best = self.book.side(sign).best
        return best is not None and (sign, best.price) not in self._lumps

    def _trade(self, message: LobsterMessage) -> None:
        """Let an order of the other side come, and see whom it meets."""
        self.result.decidable += 1
        executions = self._sink.executions
        executions.clear()
        named = self._orders.get(message.order_id)
        incoming = self._make(-message.direction, message.price, message.size)
        incoming.life = AT_ONCE
        self._matching.enter(incoming)
        if len(executions) == 1 and executions[0] == (named, message.price, message.size):
            self.result.exact += 1
        else:
            met = [(order.number, price, size) for order, price, size in executions]
            self.result.faults.append(f"{message}: it met {met}")
        if named is not None and not named.leaves:
            del self._orders[message.order_id]

    def _take(self, message: LobsterMessage) -> None:
        """Take size off the named order, or off the lump at its price; what stands outside the window is ignored."""
        order = self._orders.get(message.order_id)
        if order is not None:
            self._reduce(order, message.size)
            if order.level is None:
                del self._orders[message.order_id]
            return
        key = (message.direction, message.price)
        lump = self._lumps.get(key)
        if lump is not None:
            self._reduce(lump, message.size)
            if lump.level is None:
                del self._lumps[key]

    def _reduce(self, order: BookOrder, size: int) -> None:
        if size < order.leaves:
            self.book.reduce(order, size)
        else:
            self._matching.cancel(order)

    # -- the window

    def _move_window(self, rows: Rows) -> None:
        """Forget the prices that have left the window, and take in what has come into it."""
        assert self._before is not None
        for sign, levels in rows.items():
            if len(levels) == self._levels:
                last = min(levels, key=lambda price: sign * price)
                for level in list(self.book.side(sign)):
                    if sign * level.price < sign * last:
                        for order in list(level):
                            self._matching.cancel(order)
                            self._forget(order)
            for price, size in levels.items():
                if price in self._before[sign]:
                    continue
                held = self.book.side(sign).levels.get(sign * price)
                if (more := size - (0 if held is None else held.shown)) > 0:
                    self._lump(sign, price, more)

    def _forget(self, order: BookOrder) -> None:
        self._orders = {number: one for number, one in self._orders.items() if one is not order}
        self._lumps = {place: one for place, one in self._lumps.items() if one is not order}

    def _shown(self) -> Rows:
        found: Rows = {BUY: {}, SELL: {}}
        for sign in (BUY, SELL):
            for level in self.book.side(sign):
                if len(found[sign]) < self._levels:
                    found[sign][level.price] = level.shown
        return found

    # -- orders

    def _make(self, sign: int, price: int, size: int) -> BookOrder:
        self._numbers += 1
        return BookOrder(self._numbers, sign, price, size)

    def _enter(self, order_id: int, sign: int, price: int, size: int) -> None:
        order = self._orders[order_id] = self._make(sign, price, size)
        self._matching.enter(order)

    def _lump(self, sign: int, price: int, size: int) -> None:
        """Put unknown orders at the end of a level; where there is a lump already, it grows."""
        former = self._lumps.pop((sign, price), None)
        if former is not None:
            self._matching.cancel(former)
            size += former.leaves
        lump = self._lumps[sign, price] = self._make(sign, price, size)
        self._matching.enter(lump)
