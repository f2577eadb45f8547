"""The uncross: the one price at which an auction trades, and who trades with whom at it.

Nothing here knows a book or a venue: prices in ticks, quantities in lots, in and out.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from txtrader.exsim.records import SelfTrade

__all__ = ["Call", "Equilibrium", "Part", "Step", "allocate", "equilibrium"]


class Call(NamedTuple):
    """All that takes part in an auction: lots by limit price, and lots at market, of each side."""

    bids: Mapping[int, int]
    asks: Mapping[int, int]
    market_bid: int = 0
    market_ask: int = 0


class Equilibrium(NamedTuple):
    """The auction price, what trades at it, and the lots left over: the buyers' above zero, the sellers' below."""

    price: int
    volume: int
    surplus: int


class Part(NamedTuple):
    """Some lots of one order in its turn of the allocation.

    `number` names the order: an iceberg comes twice, with what it shows and with its reserve.  The smaller `place` is
    the older order.  Orders of one `key` may be kept apart.
    """

    number: int
    lots: int
    key: str | None = None
    place: int = 0


class Step(NamedTuple):
    """What allocation decides, in order.

    `trade`: the orders `buy` and `sell` exchange `lots`; `cancel`: the order `buy` or `sell` (the other is None) goes
    with all that it has left; `lessen`: it loses `lots` without a trade.
    """

    kind: str
    buy: int | None
    sell: int | None
    lots: int = 0


def equilibrium(
    call: Call, reference: int | None, low: int | None = None, high: int | None = None
) -> Equilibrium | None:
    """Return the auction price, None where nothing can trade.

    Candidates are the limits and the `reference` price, as far as they are within `low` and `high`.  The greatest
    volume decides, then the smallest surplus; then, where all have it on one side, that side's pressure (buyers: the
    highest price, sellers: the lowest), else the nearest to the reference and of two the higher.
    """
    candidates = {*call.bids, *call.asks}
    if reference is not None:
        candidates.add(reference)
    prices = sorted(price for price in candidates if (low is None or price >= low) and (high is None or price <= high))
    demand = _sums_from_above(call.bids)
    supply = _sums_from_below(call.asks)
    found = [
        Equilibrium(price, min(bought, sold), bought - sold)
        for price in prices
        for bought, sold in [(call.market_bid + _at(demand, -price), call.market_ask + _at(supply, price))]
    ]
    most = max((one.volume for one in found), default=0)
    if not most:
        return None
    found = [one for one in found if one.volume == most]
    least = min(abs(one.surplus) for one in found)
    found = [one for one in found if abs(one.surplus) == least]
    if all(one.surplus > 0 for one in found):
        return found[-1]
    if all(one.surplus < 0 for one in found):
        return found[0]
    if reference is None:
        return found[-1]
    return min(found, key=lambda one: (abs(one.price - reference), -one.price))


class _Sums(NamedTuple):
    keys: list[int]
    totals: list[int]


def _sums_from_above(lots: Mapping[int, int]) -> _Sums:
    return _sums_from_below({-price: quantity for price, quantity in lots.items()})


def _sums_from_below(lots: Mapping[int, int]) -> _Sums:
    keys = sorted(lots)
    totals, total = [0], 0
    for key in keys:
        total += lots[key]
        totals.append(total)
    return _Sums(keys, totals)


def _at(sums: _Sums, key: int) -> int:
    """Return the sum of all whose key is `key` or below."""
    return sums.totals[bisect_left(sums.keys, key + 1)]


def allocate(buys: Sequence[Part], sells: Sequence[Part], mode: SelfTrade = SelfTrade.NONE) -> list[Step]:
    """Pair the parts of both sides, each in its order, until one side has no more.

    The parts are those that may trade at the auction price.  Where two orders of one key meet, `mode` decides.
    """
    steps: list[Step] = []
    gone: set[int] = set()
    queues = _Queue(buys), _Queue(sells)
    while (buy := queues[0].head(gone)) is not None and (sell := queues[1].head(gone)) is not None:
        lots = min(buy.lots, sell.lots)
        if mode is SelfTrade.NONE or buy.key is None or buy.key != sell.key:
            steps.append(Step("trade", buy.number, sell.number, lots))
        elif mode is SelfTrade.DECREMENT:
            steps += [Step("lessen", buy.number, None, lots), Step("lessen", None, sell.number, lots)]
        else:
            is_buy_newer = buy.place > sell.place
            if mode is SelfTrade.BOTH or is_buy_newer is (mode is SelfTrade.NEWEST):
                steps.append(Step("cancel", buy.number, None))
                gone.add(buy.number)
            if mode is SelfTrade.BOTH or is_buy_newer is not (mode is SelfTrade.NEWEST):
                steps.append(Step("cancel", None, sell.number))
                gone.add(sell.number)
            continue
        queues[0].take(lots)
        queues[1].take(lots)
    return steps


class _Queue:
    """One side's parts, taken from the front."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._next = 0
        self._taken = 0

    def head(self, gone: set[int]) -> Part | None:
        """Return what is left of the part whose turn it is."""
        while self._next < len(self._parts):
            part = self._parts[self._next]
            if part.number not in gone and part.lots > self._taken:
                return part._replace(lots=part.lots - self._taken)
            self._next += 1
            self._taken = 0
        return None

    def take(self, lots: int) -> None:
        self._taken += lots
