"""A bot that keeps a book alive: it joins, leaves and hits, at random, in the name of several parties."""

from __future__ import annotations

from decimal import Decimal

from twisted.internet.interfaces import IDelayedCall

from txtrader.errors import InvalidArgument
from txtrader.exsim.bots.base import Bot, round_ticks
from txtrader.exsim.house import ACTIVITIES
from txtrader.exsim.orders import Order
from txtrader.exsim.properties import Property
from txtrader.model.order import TimeInForce

__all__ = ["Noise"]

_BEHIND = 1.0  # seconds that it may be late and still catch up; a machine that slept is not to wake to an hour's orders


class Noise(Bot):
    """Act `rate` times a second on average; each time one order, and the oldest leaves when there are too many.

    A passive order stands at least half of `spread` from the reference price and up to `tick_range` ticks further; it
    never trades on entry.  An aggressive one goes up to `tick_range` ticks through the best price and does not rest.
    """

    table = (
        Property(
            name="activity",
            kind="text",
            default="slow",
            choices=tuple(ACTIVITIES),
            meaning="how busy it is: " + ", ".join(f"{name} {one.rate:g}" for name, one in ACTIVITIES.items()),
        ),
        Property(
            name="rate", kind="decimal", unit="orders/s", least=0, most=10_000, meaning="overrules `activity` when set"
        ),
        Property(
            name="aggressive",
            kind="decimal",
            default=Decimal("0.3"),
            least=0,
            most=1,
            meaning="the share of orders that trade at once",
        ),
        Property(
            name="spread",
            kind="int",
            default=2,
            unit="ticks",
            least=1,
            most=100_000,
            meaning="the least distance between its own bids and offers",
        ),
        Property(
            name="tick_range",
            kind="int",
            default=10,
            unit="ticks",
            least=0,
            most=100_000,
            meaning="how far prices vary",
        ),
        Property(
            name="depth", kind="int", default=20, unit="orders", least=1, most=10_000, meaning="how many rest on a side"
        ),
        Property(name="least_size", kind="decimal", default=Decimal(1), least=0, meaning="the smallest quantity"),
        Property(name="most_size", kind="decimal", default=Decimal(100), least=0, meaning="the largest quantity"),
        Property(
            name="parties",
            kind="int",
            default=4,
            least=1,
            most=100,
            is_fixed=True,
            meaning="in how many names it trades",
        ),
    )

    def check(self) -> None:
        if self.properties["least_size"] > self.properties["most_size"]:
            raise InvalidArgument("the smallest quantity is above the largest", path="least_size")

    def parties(self) -> int:
        return int(self.properties["parties"])

    def begin(self) -> None:
        self.actions = 0
        self._resting: dict[int, list[Order]] = {1: [], -1: []}
        self._next: IDelayedCall | None = None
        self._due = self.venue.clock.seconds()
        self._plan()

    def changed(self) -> None:
        if self.is_running:
            self.forget(self._next)
            self._due = self.venue.clock.seconds()
            self._plan()

    def _plan(self) -> None:
        rate = self.properties["rate"]
        rate = float(ACTIVITIES[self.properties["activity"]].rate if rate is None else rate)
        self._next = None
        if rate > 0:
            # Counted from when this one was due, so that the rate holds on a clock that jumps.
            now = self.venue.clock.seconds()
            self._due = max(self._due, now - _BEHIND) + min(self.random.expovariate(rate), 20.0 / rate)
            self._next = self.later(max(0.0, self._due - now), self._act)

    def _act(self) -> None:
        self._plan()
        self.actions += 1
        draw = self.random
        sign = draw.choice((1, -1))
        party = draw.randrange(self.parties())
        lots = draw.randint(self.lots(self.properties["least_size"]), self.lots(self.properties["most_size"]))
        away = draw.randint(0, self.properties["tick_range"])
        if draw.random() < self.properties["aggressive"]:
            self._hit(sign, lots, away, party)
        else:
            self._join(sign, lots, away, party)

    def _hit(self, sign: int, lots: int, through: int, party: int) -> None:
        top = self.venue.top(self.listing.id)
        best = top.ask if sign > 0 else top.bid
        if best is None:
            return
        price = round_ticks(self.listing, int(best / self.listing.tick) + sign * through, sign)
        self.submit(sign, lots, price, party=party, tif=TimeInForce.IOC)

    def _join(self, sign: int, lots: int, away: int, party: int) -> None:
        price = self.reference() - sign * (-(-self.properties["spread"] // 2) + away)
        order = self.submit(sign, lots, round_ticks(self.listing, price, sign), party=party, post_only=True)
        own = self._resting[sign] = [known for known in self._resting[sign] if known.is_open]
        own.append(order)
        while len(own) > self.properties["depth"]:
            self.cancel(own.pop(0))
