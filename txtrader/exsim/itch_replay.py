"""Books out of an ITCH 5.0 feed, kept as the feed says: nothing is matched, and its contradictions are counted."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import msgspec

from txtrader.wire.itch import ItchMessage

__all__ = ["ItchOrder", "ItchReplay"]

_PRICE = Decimal("0.0001")


class ItchOrder(msgspec.Struct):
    """One order of the feed; `price` in ten-thousandths, `shares` what is left."""

    reference: int
    locate: int
    side: str
    price: int
    shares: int


class ItchReplay:
    """Feed it messages one by one; it keeps orders, price levels, trades and what it could not make sense of.

    `unknown` counts references to orders that were never added, by the letter of the message; such a message changes
    nothing.  `printed` is the volume of each stock by its number: executions that count, hidden trades and crosses.
    """

    def __init__(self) -> None:
        self.stocks: dict[int, str] = {}
        self.states: dict[int, str] = {}
        self.orders: dict[int, ItchOrder] = {}
        self.counts: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        self.printed: Counter[int] = Counter()
        self.broken: list[int] = []  # match numbers
        self.system = ""
        self.time = 0
        self._levels: dict[tuple[int, str], dict[int, int]] = {}

    def apply(self, message: ItchMessage) -> None:
        """Take one message."""
        self.counts[message.type] += 1
        self.time = max(self.time, message.time)
        handle = getattr(self, f"_{message.type}", None)
        if handle is not None:
            handle(message, message.fields)

    # -- what is there

    def depth(self, stock: str, levels: int = 10) -> tuple[list[tuple[Decimal, int]], list[tuple[Decimal, int]]]:
        """Return bids and offers of a stock, best first, as (price, shares)."""
        (locate,) = [number for number, name in self.stocks.items() if name == stock]
        bids = sorted(self._levels.get((locate, "B"), {}).items(), reverse=True)[:levels]
        asks = sorted(self._levels.get((locate, "S"), {}).items())[:levels]
        return [(price * _PRICE, shares) for price, shares in bids], [
            (price * _PRICE, shares) for price, shares in asks
        ]

    # -- the kinds

    def _S(self, message: ItchMessage, fields: dict[str, str]) -> None:
        self.system = fields["event"]

    def _R(self, message: ItchMessage, fields: dict[str, str]) -> None:
        self.stocks[message.locate] = fields["stock"]

    def _H(self, message: ItchMessage, fields: dict[str, str]) -> None:
        self.states[message.locate] = fields["state"]

    def _A(self, message: ItchMessage, fields: dict[str, int]) -> None:
        self._add(fields["reference"], message.locate, str(fields["side"]), fields["price"], fields["shares"])

    _F = _A

    def _E(self, message: ItchMessage, fields: dict[str, int]) -> None:
        if self._take(message.type, fields["reference"], fields["shares"]) is not None:
            self.printed[message.locate] += fields["shares"]

    def _C(self, message: ItchMessage, fields: dict[str, int]) -> None:
        found = self._take(message.type, fields["reference"], fields["shares"])
        if found is not None and str(fields["printable"]) == "Y":
            self.printed[message.locate] += fields["shares"]

    def _X(self, message: ItchMessage, fields: dict[str, int]) -> None:
        self._take(message.type, fields["reference"], fields["shares"])

    def _D(self, message: ItchMessage, fields: dict[str, int]) -> None:
        self._take(message.type, fields["reference"], None)

    def _U(self, message: ItchMessage, fields: dict[str, int]) -> None:
        old = self._take(message.type, fields["reference"], None)
        if old is not None:
            self._add(fields["new_reference"], old.locate, old.side, fields["price"], fields["shares"])

    def _P(self, message: ItchMessage, fields: dict[str, int]) -> None:
        self.printed[message.locate] += fields["shares"]

    _Q = _P

    def _B(self, message: ItchMessage, fields: dict[str, int]) -> None:
        self.broken.append(fields["match"])

    # -- orders and levels

    def _add(self, reference: int, locate: int, side: str, price: int, shares: int) -> None:
        self.orders[reference] = ItchOrder(reference, locate, side, price, shares)
        level = self._levels.setdefault((locate, side), {})
        level[price] = level.get(price, 0) + shares

    def _take(self, letter: str, reference: int, shares: int | None) -> ItchOrder | None:
        """Take shares (None: all) off an order; an order that is not known is counted."""
        order = self.orders.get(reference)
        if order is None:
            self.unknown[letter] += 1
            return None
        taken = order.shares if shares is None else min(shares, order.shares)
        order.shares -= taken
        if not order.shares:
            del self.orders[reference]
        level = self._levels[order.locate, order.side]
        level[order.price] -= taken
        if not level[order.price]:
            del level[order.price]
        return order
