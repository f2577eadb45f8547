"""Where prices come from: the path of an index recipe, or an option's model on top of its underlying's path."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from math import erf, exp, log, pi, sqrt
from typing import Protocol

import msgspec

from txtrader.exsim.daily import DailyBar
from txtrader.exsim.hours import SECOND
from txtrader.exsim.path import Piece, PricePath

__all__ = ["Greeks", "OptionSource", "PathSource", "PriceSource", "SteeredSource", "implied_volatility", "model"]

_YEAR = 365 * 86400 * SECOND
RATE = 0.03
VOLATILITY = 0.18


class PriceSource(Protocol):
    """A seeded reference price, in ticks, and its past."""

    def price_at(self, instant: int) -> int: ...

    def pieces(self, start: int, end: int, grain: int) -> Iterator[Piece]: ...

    def day(self, day: date) -> DailyBar: ...


class PathSource:
    """The path of a listing that has daily bars of its own."""

    def __init__(self, path: PricePath) -> None:
        self._path = path
        self.price_at = path.price_at
        self.pieces = path.pieces

    def day(self, day: date) -> DailyBar:
        return self._path.daily.bar(day)


class SteeredSource:
    """A source that may be steered: from then on the price is what it was told last; the past stays as it was."""

    def __init__(self, base: PriceSource) -> None:
        self.base = base
        self.pieces = base.pieces
        self.day = base.day
        self.price: int | None = None
        self._since = 0

    def price_at(self, instant: int) -> int:
        """Return the price (ticks) at an instant."""
        if self.price is not None and instant >= self._since:
            return self.price
        return self.base.price_at(instant)

    def steer(self, price: int | None, now: int) -> None:
        """Take a price (ticks) that holds from now on; None gives the reins back to the path."""
        if self.price is None:
            self._since = now
        self.price = price


class Greeks(msgspec.Struct, frozen=True, kw_only=True):
    """An option's model values: price, and what it changes with (per unit, per year, per 1.0 of volatility)."""

    price: float
    delta: float
    gamma: float
    vega: float
    theta: float
    volatility: float
    under_price: float


def _normal(x: float) -> float:
    return 0.5 * (1.0 + erf(x / sqrt(2.0)))


def model(under: float, strike: float, years: float, right: str, volatility: float = VOLATILITY) -> Greeks:
    """Value a European option by Black and Scholes, without dividends, at the fixed rate."""
    sign = 1.0 if right == "C" else -1.0
    if years <= 0.0 or under <= 0.0 or volatility <= 0.0:
        value = max(0.0, sign * (under - strike))
        return Greeks(
            price=value,
            delta=sign if value else 0.0,
            gamma=0.0,
            vega=0.0,
            theta=0.0,
            volatility=volatility,
            under_price=under,
        )
    root = volatility * sqrt(years)
    d1 = (log(under / strike) + (RATE + volatility * volatility / 2) * years) / root
    d2 = d1 - root
    discount = exp(-RATE * years)
    density = exp(-d1 * d1 / 2) / sqrt(2 * pi)
    return Greeks(
        price=sign * (under * _normal(sign * d1) - strike * discount * _normal(sign * d2)),
        delta=sign * _normal(sign * d1),
        gamma=density / (under * root),
        vega=under * density * sqrt(years),
        theta=-under * density * volatility / (2 * sqrt(years)) - sign * RATE * strike * discount * _normal(sign * d2),
        volatility=volatility,
        under_price=under,
    )


def implied_volatility(price: float, under: float, strike: float, years: float, right: str) -> float | None:
    """Return the volatility at which the model gives `price`, by bisection; None where none does."""
    low, high = 0.0001, 5.0
    if not model(under, strike, years, right, low).price <= price <= model(under, strike, years, right, high).price:
        return None
    for _ in range(60):
        middle = (low + high) / 2
        if model(under, strike, years, right, middle).price < price:
            low = middle
        else:
            high = middle
    return (low + high) / 2


class OptionSource:
    """An option's prices: the model on the underlying's path, piece by piece."""

    def __init__(
        self, under: PriceSource, under_tick: float, strike: float, right: str, expires: int, tick: float, volume: int
    ) -> None:
        self._under = under
        self._under_tick = under_tick
        self._strike = strike
        self._right = right
        self._expires = expires
        self._tick = tick
        self._volume = volume

    def years_at(self, instant: int) -> float:
        return max(0.0, (self._expires - instant) / _YEAR)

    def greeks_at(self, instant: int) -> Greeks:
        """Value the option at an instant."""
        under = self._under.price_at(instant) * self._under_tick
        return model(under, self._strike, self.years_at(instant), self._right)

    def price_at(self, instant: int) -> int:
        return self._ticks(self._under.price_at(instant), instant)

    def pieces(self, start: int, end: int, grain: int) -> Iterator[Piece]:
        for piece in self._under.pieces(start, end, grain):
            volume = max(0, round(self._volume * piece.seconds / 23400)) if piece.is_regular else 0
            yield self._piece(piece, volume)

    def day(self, day: date) -> DailyBar:
        bar = self._under.day(day)
        midday = int((day.toordinal() - date(1970, 1, 1).toordinal()) * 86400 + 64800) * SECOND
        piece = Piece(midday, 1, bar.open, bar.high, bar.low, bar.close, bar.volume, True)
        made = self._piece(piece, self._volume)
        return DailyBar(day, made.open, made.high, made.low, made.close, made.volume)

    def _piece(self, piece: Piece, volume: int) -> Piece:
        at = piece.start
        prices = [self._ticks(price, at) for price in (piece.open, piece.high, piece.low, piece.close)]
        return Piece(at, piece.seconds, prices[0], max(prices), min(prices), prices[3], volume, piece.is_regular)

    def _ticks(self, under_ticks: int, instant: int) -> int:
        value = model(under_ticks * self._under_tick, self._strike, self.years_at(instant), self._right).price
        return max(1, round(value / self._tick))
