"""The seeded path of a price: from daily bars down to seconds, reachable at any instant.

Time is cut into *segments*: each regular session, and each gap between two of them, in which the price goes from one
close to the next open.  A segment is cut into half hours, these into minutes, these into five seconds, these into
seconds.  Each cut keeps the open, high, low and close of what it cuts exactly, draws from its own generator (named
after the seed, the group and the place), and is made only when somebody looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from random import Random
from typing import NamedTuple

from txtrader.exsim.daily import DailyBar, DailySource
from txtrader.exsim.hours import SECOND

__all__ = ["GRAINS", "Piece", "PricePath", "bridge", "split"]

GRAINS = (1800, 60, 5, 1)
"""The lengths of the cuts, in seconds, coarsest first."""

_KEPT = 8192
_GAP_VOLUME = 0.02
_HALF_HOURS_A_DAY = 13


class Piece(NamedTuple):
    """A stretch of the path: start (ns), length (s), prices in ticks, volume in lots; is it regular trading?"""

    start: int
    seconds: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    is_regular: bool

    @property
    def end(self) -> int:
        return self.start + self.seconds * SECOND


def bridge(
    first: int, high: int, low: int, last: int, count: int, random: Random, *, roughness: float = 1.0
) -> list[tuple[int, int, int, int]]:
    """Cut one bar into `count` that join: the first opens, the last closes, the extremes are reached, as in the one.

    The extreme nearer to the open comes first.  A greater `roughness` makes more of the way between.
    """
    if count == 1:
        return [(first, high, low, last)]
    span = high - low
    if span == 0:
        return [(first, high, low, last)] * count
    slots = sorted((random.randrange(count), random.randrange(count)))
    high_first = high - first < first - low
    extremes = (high, low) if high_first else (low, high)
    high_slot, low_slot = slots if high_first else slots[::-1]
    close_together = slots[0] == slots[1]
    anchors = (
        (slots[0] + (0.33 if close_together else 0.5), extremes[0]),
        (slots[1] + (0.67 if close_together else 0.5), extremes[1]),
        (float(count), last),
    )
    sigma = 0.5 * roughness * span / sqrt(count)
    gauss, draw = random.gauss, random.random
    points = [first]
    at, value, leg = 0.0, float(first), 0
    for n in range(1, count + 1):
        while leg < 2 and anchors[leg][0] < n:
            at, value = anchors[leg]
            leg += 1
        goal_at, goal = anchors[leg]
        left = goal_at - at
        step = n - at
        if left <= step:
            value = float(goal)
        else:
            value += (goal - value) * step / left + gauss(0.0, sigma) * sqrt(step * (left - step) / left)
            value = min(max(value, low), high)
        at = float(n)
        points.append(round(value))
    points[count] = last
    bars = []
    for n in range(count):
        start, end = points[n], points[n + 1]
        top, bottom = (start, end) if start > end else (end, start)
        top = min(high, top + int(draw() * sigma))
        bottom = max(low, bottom - int(draw() * sigma))
        if n == high_slot:
            top = high
        if n == low_slot:
            bottom = low
        bars.append((start, top, bottom, end))
    return bars


def split(total: int, weights: list[float]) -> list[int]:
    """Cut an integer into parts in proportion; the parts sum up to it exactly."""
    scale = total / sum(weights)
    parts = []
    passed = 0.0
    given = 0
    for weight in weights:
        passed += weight * scale
        part = round(passed) - given
        given += part
        parts.append(part)
    parts[-1] += total - given
    return parts


class PricePath:
    """The path of one listing; prices in ticks, volumes in lots."""

    def __init__(self, daily: DailySource, seed: int, group: str) -> None:
        self.daily = daily
        self.schedule = daily.schedule
        self._name = f"{seed}/{group}"
        self._cuts: dict[tuple[int, int], list[Piece]] = {}
        self._segment: Piece | None = None

    def price_at(self, instant: int) -> int:
        """Return the price (ticks) at an instant."""
        piece = self.segment_at(instant)
        for grain in GRAINS:
            cuts = self._cut(piece, grain)
            piece = cuts[(instant - piece.start) // (grain * SECOND)]
        return piece.open

    def segment_at(self, instant: int) -> Piece:
        """Return the session or gap that an instant lies in."""
        known = self._segment
        if known is not None and known.start <= instant < known.end:
            return known
        session = self.schedule.session_at(instant)
        bar = self.daily.bar(session.day)
        if instant >= session.start:
            piece = _regular(session.start, session.end, bar)
        else:
            before = self.daily.bar(self.schedule.previous_date(session.day))
            piece = _gap(self.schedule.regular(before.day).end, session.start, before, bar)
        self._segment = piece
        return piece

    def pieces(self, start: int, end: int, grain: int) -> Iterator[Piece]:
        """Walk the pieces of one grain (seconds, of GRAINS) that begin in the window, oldest first."""
        if start >= end:
            return
        instant = start
        while instant < end:
            segment = self.segment_at(instant)
            yield from self._within(segment, start, end, grain, 0)
            instant = segment.end

    def _within(self, piece: Piece, start: int, end: int, grain: int, level: int) -> Iterator[Piece]:
        size = GRAINS[level]
        for part in self._cut(piece, size):
            if part.end <= start:
                continue
            if part.start >= end:
                return
            if size == grain:
                if part.start >= start:
                    yield part
            else:
                yield from self._within(part, start, end, grain, level + 1)

    def _cut(self, piece: Piece, grain: int) -> list[Piece]:
        key = (piece.start, grain)
        known = self._cuts.get(key)
        if known is not None:
            return known
        count = max(1, -(-piece.seconds // grain))
        random = Random(f"{self._name}/{piece.start}/{grain}")
        # However long a gap is, it moves from half hour to half hour like a day: a weekend is to look alive, too.
        is_gap = grain == GRAINS[0] and not piece.is_regular
        roughness = max(1.0, sqrt(count / _HALF_HOURS_A_DAY)) if is_gap else 1.0
        bars = bridge(piece.open, piece.high, piece.low, piece.close, count, random, roughness=roughness)
        weights = [0.5 + random.random() for _ in range(count)]
        if grain == GRAINS[0] and piece.is_regular and count > 2:  # busy at the open and towards the close
            weights = [w * (0.6 + 1.6 * (2 * n / (count - 1) - 1) ** 2) for n, w in enumerate(weights)]
        volumes = split(piece.volume, weights)
        made = []
        for n, (bar, volume) in enumerate(zip(bars, volumes, strict=True)):
            seconds = min(grain, piece.seconds - n * grain)
            made.append(Piece(piece.start + n * grain * SECOND, seconds, *bar, volume, piece.is_regular))
        if len(self._cuts) >= _KEPT:
            self._cuts.clear()
        self._cuts[key] = made
        return made


def _regular(start: int, end: int, bar: DailyBar) -> Piece:
    return Piece(start, (end - start) // SECOND, bar.open, bar.high, bar.low, bar.close, bar.volume, True)


def _gap(start: int, end: int, before: DailyBar, after: DailyBar) -> Piece:
    """Return the stretch between two sessions: calm, a little beyond the close and open that it joins."""
    high, low = max(before.close, after.open), min(before.close, after.open)
    room = (before.high - before.low) // 2
    volume = max(1, int(before.volume * _GAP_VOLUME))
    return Piece(
        start, (end - start) // SECOND, before.close, high + room, max(1, low - room), after.open, volume, False
    )
