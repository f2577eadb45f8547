"""Entries of market data of which there is one of a kind: figures of the session, and of an auction under way.

An auction is told by what it would do if it ended now: the price (Q) and volume, and what it would leave over (A).
"""

from __future__ import annotations

from decimal import Decimal

from txtrader.dialects.fix import number_to_wire
from txtrader.exsim.records import Indicative, SessionStats

__all__ = ["AUCTION", "SESSION", "VWAP", "Facts", "Told", "auction_facts", "price_and_size", "session_facts"]

OPEN, CLOSE, HIGH, LOW, VWAP = "4", "5", "7", "8", "9"
CLEARING_PRICE, IMBALANCE = "Q", "A"
SESSION = frozenset({OPEN, CLOSE, HIGH, LOW, VWAP})
AUCTION = frozenset({CLEARING_PRICE, IMBALANCE})
_MORE_BUYERS, _MORE_SELLERS = "P", "Q"  # of TradeCondition (277)

Facts = list[tuple[int, str]]


class Told:
    """What one client was told of such entries, by their type (269)."""

    def __init__(self) -> None:
        self._facts: dict[str, Facts] = {}

    def picture(self, now: dict[str, Facts]) -> dict[str, Facts]:
        """Take in that the client is told everything as it is now; return it."""
        self._facts = now
        return now

    def changes(self, now: dict[str, Facts]) -> list[tuple[str, str, Facts]]:
        """Return (279, 269, facts) for each entry that went, came or changed since the client was told."""
        before, self._facts = self._facts, now
        found = [("2", kind, facts) for kind, facts in before.items() if kind not in now]
        for kind, facts in now.items():
            if before.get(kind) != facts:
                found.append(("1" if kind in before else "0", kind, facts))
        return found


def session_facts(stats: SessionStats) -> dict[str, Facts]:
    """Return the figures that the session has by now."""
    prices = {
        OPEN: stats.open,
        CLOSE: stats.previous_close,
        HIGH: stats.high,
        LOW: stats.low,
        VWAP: None if stats.vwap is None else round(stats.vwap, 6),
    }
    return {kind: [(270, number_to_wire(price))] for kind, price in prices.items() if price is not None}


def auction_facts(figures: Indicative | None) -> dict[str, Facts]:
    """Return the figures of an auction; None: there is none under way.  Where nothing would trade there is no price."""
    found: dict[str, Facts] = {}
    if figures is None:
        return found
    if figures.price is not None:
        found[CLEARING_PRICE] = price_and_size(figures.price, figures.volume)
    found[IMBALANCE] = [(271, number_to_wire(abs(figures.surplus)))]
    if figures.surplus:
        found[IMBALANCE].append((277, _MORE_BUYERS if figures.surplus > 0 else _MORE_SELLERS))
    return found


def price_and_size(price: Decimal, size: Decimal) -> Facts:
    """Return the two fields that nearly every entry has."""
    return [(270, number_to_wire(price)), (271, number_to_wire(size))]
