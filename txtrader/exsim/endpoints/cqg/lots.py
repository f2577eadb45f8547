"""Positions as CQG tells them: lots, each what is left of one opening fill."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from txtrader.exsim.records import Fill, Holding

if TYPE_CHECKING:
    from txtrader.exsim.venue import Venue

__all__ = ["Lot", "Lots"]


class Lot(msgspec.Struct):
    """What is left of one opening fill; `quantity` is positive, `sign` its side."""

    number: int
    sign: int
    quantity: Decimal
    price: Decimal
    time: int


class Lots:
    """All lots of a venue's accounts."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._lots: dict[tuple[str, int], list[Lot]] = {}
        self._lot_numbers = 0

    def of(self, account: str, listing_id: int) -> list[Lot]:
        """Return what an account holds of a listing, oldest first."""
        return self._lots.get((account, listing_id), [])

    def held(self, account: str) -> list[int]:
        """List the listings that an account holds something of."""
        return [listing_id for (owner, listing_id), lots in self._lots.items() if owner == account and lots]

    def move(self, fill: Fill) -> None:
        """First in, first out: a fill closes lots of the other side, what is left opens one."""
        lots = self._lots.setdefault((fill.account, fill.listing_id), [])
        left, sign = fill.quantity, fill.side.sign
        while left and lots and lots[0].sign != sign:
            closed = min(left, lots[0].quantity)
            lots[0].quantity -= closed
            left -= closed
            if not lots[0].quantity:
                lots.pop(0)
        if left:
            self._lot_numbers += 1
            lots.append(Lot(self._lot_numbers, sign, left, fill.price, fill.time))

    def collapse(self, holding: Holding) -> None:
        """Hold one lot of what the venue says: nothing tells which lots that was."""
        listing = self._venue.instruments.get(holding.listing_id)
        multiplier = listing.multiplier if listing is not None else Decimal(1)
        self._lot_numbers += 1
        self._lots[holding.account, holding.listing_id] = (
            [
                Lot(
                    self._lot_numbers,
                    1 if holding.quantity > 0 else -1,
                    abs(holding.quantity),
                    holding.average_cost / multiplier,
                    self._venue.now_ns(),
                )
            ]
            if holding.quantity
            else []
        )

    def total(self, account: str, listing_id: int) -> Decimal:
        """Return what the lots of an account add up to, short ones below zero."""
        return sum((lot.sign * lot.quantity for lot in self.of(account, listing_id)), Decimal(0))
