"""Sources that make prices: the listing's own seeded path, or a walk at random."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import ClassVar

from txtrader.exsim.properties import Property
from txtrader.exsim.sources.base import PriceRow, Source

__all__ = ["Path", "Walk"]

_SECOND = 1_000_000_000
_INTERVAL = Property(
    name="interval",
    kind="decimal",
    default=Decimal(1),
    unit="s",
    least=Decimal("0.001"),
    most=86400,
    is_fixed=True,
    meaning="from one price to the next",
)
_HALF_SPREAD = Property(
    name="half_spread", kind="int", default=1, unit="ticks", least=1, most=100_000, meaning="of the quotes"
)


class _Made(Source):
    table: ClassVar[tuple[Property, ...]] = (_INTERVAL, _HALF_SPREAD)

    def row(self, ticks: int) -> PriceRow:
        """Return quotes round a price, which stays above zero where prices do."""
        tick, away = self.listing.tick, self.properties["half_spread"]
        if not self.listing.allows_negative_prices:
            ticks = max(ticks, away + 1)
        return PriceRow(bid=(ticks - away) * tick, offer=(ticks + away) * tick, reference=ticks * tick)

    def times(self) -> Iterator[int]:
        """Yield the times of rows, for ever."""
        step = int(self.properties["interval"] * _SECOND)
        time = 0
        while True:
            yield time
            time += step


class Path(_Made):
    """The path that the listing follows when nothing is attached, from real daily bars down to seconds.

    It is for quotes of the house at that path, and to go through it faster than time does.
    """

    def rows(self) -> Iterator[tuple[int, PriceRow]]:
        start = self.venue.now_ns()
        for time in self.times():
            yield time, self.row(self.venue.path_ticks(self.listing.id, start + time))


class Walk(_Made):
    """A walk at random: each step is drawn from a normal distribution, and pulled back to where it began if wanted."""

    table = (
        Property(name="start", kind="decimal", is_fixed=True, meaning="the first price; unset: the reference price"),
        Property(
            name="volatility",
            kind="decimal",
            default=Decimal(2),
            unit="ticks",
            least=0,
            most=1_000_000,
            meaning="standard deviation of one step",
        ),
        Property(
            name="drift", kind="decimal", default=Decimal(0), unit="ticks", least=-1_000_000, most=1_000_000,
            meaning="mean of one step",
        ),
        Property(
            name="pull",
            kind="decimal",
            default=Decimal(0),
            least=0,
            most=1,
            meaning="the part of the distance from the first price that each step takes back",
        ),
    )  # fmt: skip

    def rows(self) -> Iterator[tuple[int, PriceRow]]:
        own, tick = self.properties, self.listing.tick
        start = own["start"] if own["start"] is not None else self.venue.reference(self.listing.id)
        home = float(start / tick)
        at = home
        for time in self.times():
            yield time, self.row(round(at))
            at += self.random.gauss(float(own["drift"]), float(own["volatility"])) + float(own["pull"]) * (home - at)
