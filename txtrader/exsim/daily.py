"""Daily bars for every listing, at any date, made from the shipped index bars.

On the dates of the files a listing follows the bar of that date.  After their end the series is replayed from
`REPLAY_FROM` on, joined without a step, and again from its beginning when it runs out; before their start it
continues backwards.  So every date has a bar, and it is the same bar in every run.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from math import exp, log

import msgspec

from txtrader.exsim.daily_data import IndexBar, index_bars
from txtrader.exsim.hours import SCHEDULES, Schedule, trading_days_between

__all__ = ["DailyBar", "DailySource", "Recipe"]

LAST_BAR = date(2018, 12, 31)
REPLAY_FROM = date(2010, 7, 1)
REFERENCE = date(2026, 1, 2)
"""The day on which a listing closes at the level that its recipe names."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How a listing's prices follow an index.

    `scale` multiplies the index as it is; or else `level` is the close on the reference day, from which the listing
    moves `beta` times as much (in logarithms).  `shift` moves the listing that many days along the series, so that
    not everything moves alike.  `volume` is a usual day's volume in units of the listing; `half_spread` (ticks), `size`
    (usual) and `unit` (sizes are multiples of it) shape the house's quotes.  Listings of one `group` share their
    intraday shape.
    """

    series: str = "sp500"
    scale: float | None = None
    level: float | None = None
    beta: float = 1.0
    shift: int = 0
    volume: float = 1_000_000
    half_spread: int = 1
    size: float = 300
    unit: float = 1
    group: str = ""


class DailyBar(msgspec.Struct, frozen=True):
    """One day in integer ticks; `volume` in lots."""

    day: date
    open: int
    high: int
    low: int
    close: int
    volume: int


@lru_cache(maxsize=4)
def _replay_index(series: str) -> int:
    for n, bar in enumerate(index_bars(series)):
        if bar.day >= REPLAY_FROM:
            return n
    raise AssertionError("the replay starts inside the series")


class DailySource:
    """The daily bars of one listing: `tick` is its price step, `step` its quantity step."""

    def __init__(self, recipe: Recipe, schedule: str, tick: float, step: float) -> None:
        self.recipe = recipe
        self.schedule: Schedule = SCHEDULES[schedule]
        self._bars = index_bars(recipe.series)
        self._tick = tick
        self._step = step
        self._days: dict[date, DailyBar] = {}
        if recipe.scale is None:
            assert recipe.level is not None
            factor, bar = self._bar_of(REFERENCE)
            self._reference = log(bar.close * factor)

    def bar(self, day: date) -> DailyBar:
        """Return the bar of a trading date."""
        known = self._days.get(day)
        if known is None:
            known = self._days[day] = self._make(day)
        return known

    def _bar_of(self, day: date) -> tuple[float, IndexBar]:
        """Return the index bar that a date follows, and the factor that joins it to the real series."""
        bars = self._bars
        count = len(bars)
        place = count - 1 + trading_days_between(self.schedule, LAST_BAR, day) + self.recipe.shift
        if place < 0:
            rounds, place = divmod(place, count)
            return (bars[0].open / bars[-1].close) ** -rounds, bars[place]
        if place < count:
            return 1.0, bars[place]
        replay = _replay_index(self.recipe.series)
        factor = bars[-1].close / bars[replay - 1].close
        rounds, place = divmod(place - count + replay, count)
        return factor * (bars[-1].close / bars[0].open) ** rounds, bars[place]

    def _make(self, day: date) -> DailyBar:
        factor, bar = self._bar_of(day)
        recipe = self.recipe
        open_, high, low, close = (
            max(1, round(self._scaled(value * factor) / self._tick))
            for value in (bar.open, bar.high, bar.low, bar.close)
        )
        volume = max(1, round(recipe.volume * bar.activity / self._step))
        return DailyBar(day, open_, high, low, close, volume)

    def _scaled(self, value: float) -> float:
        recipe = self.recipe
        if recipe.scale is not None:
            return value * recipe.scale
        assert recipe.level is not None
        return recipe.level * exp(recipe.beta * (log(value) - self._reference))
