"""Latency: how long things are under way, and a line that holds them for so long and never lets one overtake another.

A model says how seconds are drawn; a line draws from a generator of its own.  Everything runs on the clock that is
passed in, so that under a virtual clock each delay is exact and the same in every run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from math import isfinite
from random import Random
from statistics import NormalDist
from typing import Any, Generic, TypeVar

import msgspec
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txtrader.errors import InvalidArgument

__all__ = ["AT_ONCE", "DelayLine", "Fixed", "Latency", "Normal", "Recorded", "Spikes", "Uniform", "latency_of"]

T = TypeVar("T")
_LONGEST = 3600.0
_INSTANT = 1e-9  # seconds; clocks count in binary fractions


def _check(**seconds: float) -> None:
    for name, value in seconds.items():
        if not isfinite(value) or not 0.0 <= value <= _LONGEST:
            raise InvalidArgument(f"{value} is not from 0 to {_LONGEST:g}", path=name)


def _check_order(name: str, low: float, high: float) -> None:
    if low > high:
        raise InvalidArgument(f"{low} is above {high}", path=name)


class Fixed(msgspec.Struct, frozen=True, kw_only=True, tag="fixed", forbid_unknown_fields=True):
    """Always the same."""

    seconds: float = 0.0

    def __post_init__(self) -> None:
        _check(seconds=self.seconds)

    def sampler(self, random: Random) -> Callable[[], float]:
        """Return what gives the next delay."""
        return lambda: self.seconds


class Uniform(msgspec.Struct, frozen=True, kw_only=True, tag="uniform", forbid_unknown_fields=True):
    """Anything from `low` to `high` alike."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check(low=self.low, high=self.high)
        _check_order("low", self.low, self.high)

    def sampler(self, random: Random) -> Callable[[], float]:
        """Return what gives the next delay."""
        return lambda: random.uniform(self.low, self.high)


class Normal(msgspec.Struct, frozen=True, kw_only=True, tag="normal", forbid_unknown_fields=True):
    """A normal distribution of which only what lies from `low` to `high` is used, by its inverse: one draw each."""

    mean: float
    deviation: float
    low: float = 0.0
    high: float = _LONGEST

    def __post_init__(self) -> None:
        _check(mean=self.mean, deviation=self.deviation, low=self.low, high=self.high)
        _check_order("low", self.low, self.high)
        if self.deviation == 0:
            raise InvalidArgument("a deviation of 0 is the model `fixed`", path="deviation")
        if not self.low <= self.mean <= self.high:
            raise InvalidArgument(f"the mean {self.mean} is not from {self.low} to {self.high}", path="mean")

    def sampler(self, random: Random) -> Callable[[], float]:
        """Return what gives the next delay."""
        shape = NormalDist(self.mean, self.deviation)
        first, last = shape.cdf(self.low), shape.cdf(self.high)

        def draw() -> float:
            share = first + (last - first) * random.random()
            value = shape.inv_cdf(share) if 0.0 < share < 1.0 else self.mean
            return min(max(value, self.low), self.high)  # the inverse is exact to the last bit but one

        return draw


class Recorded(msgspec.Struct, frozen=True, kw_only=True, tag="recorded", forbid_unknown_fields=True):
    """What was measured once, in its order, and from the beginning again."""

    series: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.series:
            raise InvalidArgument("a series needs one delay at least", path="series")
        for seconds in self.series:
            _check(series=seconds)

    def sampler(self, random: Random) -> Callable[[], float]:
        """Return what gives the next delay."""
        place = -1

        def draw() -> float:
            nonlocal place
            place = (place + 1) % len(self.series)
            return self.series[place]

        return draw


class Spikes(msgspec.Struct, frozen=True, kw_only=True, tag="spikes", forbid_unknown_fields=True):
    """Another model, and with `probability` so many seconds more."""

    base: Fixed | Uniform | Normal | Recorded = Fixed()
    probability: float
    seconds: float

    def __post_init__(self) -> None:
        _check(probability=self.probability, seconds=self.seconds)
        if self.probability > 1:
            raise InvalidArgument(f"{self.probability} is above 1", path="probability")

    def sampler(self, random: Random) -> Callable[[], float]:
        """Return what gives the next delay."""
        usual = self.base.sampler(random)
        return lambda: usual() + (self.seconds if random.random() < self.probability else 0.0)


Latency = Fixed | Uniform | Normal | Recorded | Spikes
AT_ONCE = Fixed()
"""No latency."""


def latency_of(words: Mapping[str, Any] | None) -> Latency:
    """Make a model of plain words: {"type": "uniform", "low": "0.001", "high": "0.01"}; None is no latency.

    Seconds may be numbers or their text.  Raises InvalidArgument.
    """
    if words is None or words == {"type": "none"}:
        return AT_ONCE
    try:
        model: Latency = msgspec.convert(dict(words), Latency, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidArgument(str(error), path="latency") from None
    return model


class DelayLine(Generic[T]):
    """Hold each thing as long as the model says, then deliver it; never before the one that came before it.

    With `is_busy` the line is one worker: the time of a thing begins when the one before it is done, as computing does;
    without, they are under way together, as on a wire.  What needs no time while nothing is held is delivered at
    once, inside `put`.  A new model holds for what comes from then on.
    """

    def __init__(
        self,
        clock: IReactorTime,
        model: Latency,
        random: Random,
        deliver: Callable[[T], None],
        *,
        is_busy: bool = False,
    ) -> None:
        self._clock = clock
        self._random = random
        self._deliver = deliver
        self._is_busy = is_busy
        self._held: deque[tuple[float, T]] = deque()
        self._last = 0.0  # when the last one put in is due
        self._timer: IDelayedCall | None = None
        self.set(model)

    def __len__(self) -> int:
        return len(self._held)

    @property
    def model(self) -> Latency:
        """The model in force."""
        return self._model

    def set(self, model: Latency) -> None:
        """Draw by another model from now on."""
        self._model = model
        self._is_at_once = model == AT_ONCE
        self._draw = model.sampler(self._random)

    def put(self, thing: T) -> None:
        """Take a thing in."""
        if self._is_at_once and not self._held and self._timer is None:  # as nearly always
            self._deliver(thing)
            return
        now = self._clock.seconds()
        delay = self._draw()
        due = (max(now, self._last) if self._is_busy else now) + delay
        if due - now <= _INSTANT and not self._held and self._timer is None:
            self._deliver(thing)
            return
        self._last = due
        self._held.append((due, thing))
        if self._timer is None:
            self._plan()

    def clear(self) -> None:
        """Forget what is held."""
        self._held.clear()
        self._last = 0.0
        if self._timer is not None:
            if self._timer.active():  # not while it delivers
                self._timer.cancel()
            self._timer = None

    def _plan(self) -> None:
        self._timer = self._clock.callLater(max(0.0, self._held[0][0] - self._clock.seconds()), self._release)

    def _release(self) -> None:
        """Deliver what is due; what is put in meanwhile comes after it."""
        now = self._clock.seconds()
        timer = self._timer
        try:
            while self._held and self._timer is timer and self._held[0][0] - now <= _INSTANT:
                self._deliver(self._held.popleft()[1])
        finally:
            if self._timer is timer:  # else it was cleared
                self._timer = None
                if self._held:
                    self._plan()
