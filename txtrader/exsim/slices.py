"""Sizes of an iceberg's slices, drawn between two bounds."""

from __future__ import annotations

from random import Random

__all__ = ["RandomSlices"]


class RandomSlices:
    """Draw sizes (lots) from `low` to `high`, both included; the same ones for the same name."""

    __slots__ = ("_random", "high", "low")

    def __init__(self, low: int, high: int, name: str) -> None:
        self.low = low
        self.high = high
        self._random = Random(name)

    def draw(self) -> int:
        """Return the size of the next slice."""
        return self._random.randint(self.low, self.high)

    def copy(self) -> RandomSlices:
        """Return one that draws what this one will."""
        copy = RandomSlices(self.low, self.high, "")
        copy._random.setstate(self._random.getstate())
        return copy
