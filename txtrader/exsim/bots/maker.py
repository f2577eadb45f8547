"""A bot that quotes both sides round a reference price, and leans against what it holds."""

from __future__ import annotations

from decimal import Decimal

from txtrader.exsim.bots.base import Bot, round_ticks
from txtrader.exsim.orders import Order
from txtrader.exsim.properties import Property

__all__ = ["Maker"]


class Maker(Bot):
    """Keep `levels` quotes of `size` on each side of the book.

    For each `size` that it holds the middle of its quotes is `skew` ticks lower, and for each that it is short so much
    higher, so that trades bring it back to nothing.  At `most_held` it quotes one side only.  Quotes never trade on
    entry: what stands in the way is left to others.
    """

    table = (
        Property(
            name="half_spread",
            kind="int",
            default=2,
            unit="ticks",
            least=1,
            most=100_000,
            meaning="the distance of the best quotes from the middle",
        ),
        Property(name="size", kind="decimal", default=Decimal(100), least=0, meaning="the quantity of each quote"),
        Property(name="levels", kind="int", default=1, least=1, most=100, meaning="quotes on each side"),
        Property(name="step", kind="int", default=1, unit="ticks", least=1, most=100_000, meaning="between two levels"),
        Property(
            name="skew",
            kind="decimal",
            default=Decimal(1),
            unit="ticks",
            least=0,
            most=100_000,
            meaning="how far the middle moves against each `size` held",
        ),
        Property(name="most_held", kind="decimal", least=0, meaning="quantity, long or short; unset: no bound"),
        Property(
            name="reference",
            kind="text",
            default="source",
            choices=("source", "last"),
            meaning="the middle: what the book's source of prices says, or the last trade",
        ),
        Property(
            name="refresh",
            kind="decimal",
            default=Decimal("0.5"),
            unit="s",
            least=Decimal("0.001"),
            most=86400,
            meaning="how often it looks",
        ),
    )

    def begin(self) -> None:
        self._quotes: dict[tuple[int, int], Order] = {}
        self._refresh()

    def _refresh(self) -> None:
        self.later(self.properties["refresh"], self._refresh)
        wanted = self._wanted()
        for place, order in list(self._quotes.items()):
            if not order.is_open or (order.price, order.leaves) != (wanted.get(place), self._size()):
                self.cancel(order)
                del self._quotes[place]
        for (sign, level), price in wanted.items():
            if (sign, level) not in self._quotes:
                self._quotes[sign, level] = self.submit(sign, self._size(), price, post_only=True)

    def _wanted(self) -> dict[tuple[int, int], int]:
        """Return the price of each quote, by side and level."""
        own, held = self.properties, self.held_lots()
        middle = self._middle() - int((own["skew"] * held / self._size()).to_integral_value())
        most = own["most_held"]
        found = {}
        for sign in (1, -1):
            if most is not None and sign * held >= int(most / self.listing.step):
                continue
            for level in range(own["levels"]):
                price = middle - sign * (own["half_spread"] + level * own["step"])
                found[sign, level] = round_ticks(self.listing, price, sign)
        return found

    def _middle(self) -> int:
        if self.properties["reference"] == "last":
            last = self.venue.stats(self.listing.id).last
            if last is not None:
                return int(last / self.listing.tick)
        return self.reference()

    def _size(self) -> int:
        return self.lots(self.properties["size"])
