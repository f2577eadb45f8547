"""The house: a maker that keeps real orders in a book, and noise that trades with it.

The maker quotes a ladder around the path's price; noise hits it, joins it and leaves.  Everything is drawn from one
generator a listing, named after the seed, and goes through the book like anybody's order.
"""

from __future__ import annotations

from random import Random

import msgspec

from txtrader.exsim.daily import Recipe
from txtrader.exsim.market import Market
from txtrader.exsim.orders import HouseOrder
from txtrader.exsim.pricing import PriceSource

__all__ = ["ACTIVITIES", "Activity", "House"]

_WOBBLE = 0.7  # how much of a detour from the path survives an action
_NOISE_ORDERS = 12


class Activity(msgspec.Struct, frozen=True):
    """How busy the house is: actions a second in each market; 0 keeps the price where it was found."""

    rate: float


ACTIVITIES: dict[str, Activity] = {"none": Activity(0.0), "slow": Activity(2.0), "fast": Activity(50.0)}


class House:
    """Keep one market alive.  `source.price_at(ns)` gives the price (ticks) to quote around."""

    def __init__(self, market: Market, source: PriceSource, recipe: Recipe, seed: int, levels: int = 10) -> None:
        self._market = market
        self._source = source
        self._recipe = recipe
        self._levels = levels
        self._random = Random(f"{seed}/house/{market.listing.id}")
        self._bids: dict[int, HouseOrder] = {}
        self._asks: dict[int, HouseOrder] = {}
        self._noise: list[HouseOrder] = []
        self._detour = 0.0
        self._fair: int | None = None
        self._unit = max(1, round(recipe.unit / float(market.listing.step)))
        self._usual = recipe.size / recipe.unit

    def interval(self, activity: Activity) -> float:
        """Return the seconds until the next action."""
        return min(self._random.expovariate(activity.rate), 20.0 / activity.rate)

    def quote(self, now: int, *, is_frozen: bool = False) -> None:
        """Bring the maker's ladder to the present price; frozen, only fill up what was taken."""
        if self._fair is None or not is_frozen:
            self._fair = self._source.price_at(now)
        centre = self._fair + round(self._detour)
        listing = self._market.listing
        least = None if listing.allows_negative_prices else 1
        if least is not None:
            centre = max(centre, least)
        grid = 1 if len(listing.increments) < 2 else int(listing.tick_at(self._market.price(centre)) / listing.tick)
        half = max(self._recipe.half_spread, grid)
        bid = (centre - half) // grid * grid
        ask = -(-(centre + half) // grid) * grid
        bids = [price for n in range(self._levels) if (price := bid - n * grid) >= (price if least is None else least)]
        asks = [ask + n * grid for n in range(self._levels)]
        self._withdraw(self._bids, bids)
        self._withdraw(self._asks, asks)
        self._fill_up(self._bids, 1, bids)
        self._fill_up(self._asks, -1, asks)

    def leave(self) -> None:
        """Take everything of the house out of the book."""
        self._withdraw(self._bids, [])
        self._withdraw(self._asks, [])
        for order in self._noise:
            if order.level is not None:
                self._market.cancel_house(order)
        self._noise.clear()

    def act(self, now: int) -> None:
        """Do one thing: quote anew, then trade, join the book, or leave it."""
        if not self._market.listing.is_tradeable:
            self._market.publish_value(self._source.price_at(now))
            return
        random = self._random
        self._detour = self._detour * _WOBBLE + random.gauss(0.0, 0.6 * self._recipe.half_spread)
        self.quote(now)
        draw = random.random()
        sign = 1 if random.random() < 0.5 else -1
        book = self._market.book
        lots = self._lots(random.expovariate(2.0))
        if draw < 0.5:
            best = book.side(-sign).best
            if best is not None:
                self._market.enter_house(sign, best.price, lots, is_immediate=True)
        elif draw < 0.8:
            best = book.side(-sign).best
            if best is not None:
                price = best.price - sign * random.randrange(1, 2 + 2 * self._recipe.half_spread)
                if self._is_on_grid(price):
                    self._noise.append(self._market.enter_house(sign, price, lots))
        if len(self._noise) > _NOISE_ORDERS or (draw >= 0.8 and self._noise):
            order = self._noise.pop(random.randrange(len(self._noise)))
            if order.level is not None:
                self._market.cancel_house(order)

    def _lots(self, share: float) -> int:
        """Return a share of the usual size, in whole units, as lots."""
        return max(1, round(self._usual * share)) * self._unit

    def _is_on_grid(self, ticks: int) -> bool:
        """Tell whether anybody may quote this price: it is above zero where it must be, and a step of its band."""
        listing = self._market.listing
        if ticks <= 0 and not listing.allows_negative_prices:
            return False
        price = self._market.price(ticks)
        return len(listing.increments) < 2 or price % listing.tick_at(price) == 0

    def _withdraw(self, ladder: dict[int, HouseOrder], wanted: list[int]) -> None:
        for price in [price for price in ladder if price not in wanted]:
            order = ladder.pop(price)
            if order.level is not None:
                self._market.cancel_house(order)

    def _fill_up(self, ladder: dict[int, HouseOrder], sign: int, wanted: list[int]) -> None:
        for n, price in enumerate(wanted):
            there = ladder.get(price)
            if there is None or there.level is None:
                lots = self._lots((1.0 + 0.5 * n) * (0.5 + self._random.random()))
                ladder[price] = self._market.enter_house(sign, price, lots)
