"""Durations that are drawn, and how many may come in an interval."""

from __future__ import annotations

from collections import deque
from random import Random

from txtrader.exsim.policies.actions import Step

__all__ = ["Meters", "draw_delay"]


def draw_delay(step: Step, random: Random) -> float:
    """Return the seconds of one `delay`: as given, from a range, normal about it, or with a spike now and then."""
    seconds: float = step["seconds"]
    if step["to"] is not None:
        seconds = random.uniform(seconds, step["to"])
    if step["deviation"] is not None:
        seconds = max(0.0, random.gauss(seconds, step["deviation"]))
    if step["spike"] is not None and random.random() < step["chance"]:
        seconds += step["spike"]
    return seconds


class Meters:
    """When something last passed, by key: at most `most` in any `interval`."""

    def __init__(self) -> None:
        self._passed: dict[tuple[str, ...], deque[float]] = {}

    def look(self, key: tuple[str, ...], most: int, interval: float, now: float) -> float:
        """Return the seconds until one more may pass; 0 lets it pass now, and counts it."""
        passed = self._times(key, interval, now)
        if len(passed) < most:
            passed.append(now)
            return 0.0
        return passed[-most] + interval - now

    def reserve(self, key: tuple[str, ...], at: float) -> None:
        """Count one that will pass later."""
        self._passed[key].append(at)

    def forget(self, name: str) -> None:
        """Forget the keys that begin with a name."""
        for key in [key for key in self._passed if key[0] == name]:
            del self._passed[key]

    def _times(self, key: tuple[str, ...], interval: float, now: float) -> deque[float]:
        passed = self._passed.setdefault(key, deque())
        while passed and passed[0] <= now - interval:
            passed.popleft()
        return passed
