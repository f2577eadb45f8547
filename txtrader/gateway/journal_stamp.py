"""Order ids that are never given out twice."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["OrderIds", "make_stamp"]

_SECOND = 1_000_000_000
_IDS = 1_000_000  # order ids of one stamp
_EPOCH_OF_STAMPS = 1_577_836_800  # 2020-01-01, so that the seconds of a stamp stay short
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _digits(number: int, width: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text.rjust(width, "0")


def make_stamp(now_ns: int, random_bytes: Callable[[int], bytes]) -> str:
    """Make the middle of the order ids of one run: the second it began and 15 random bits, `0-9A-Z`.

    Six digits of time (until 2089) and three of chance: a journal restored from a backup, on this machine or
    another, cannot lead to an id that was given out before.
    """
    seconds = max(now_ns // _SECOND - _EPOCH_OF_STAMPS, 0) % 36**6
    return _digits(seconds, 6) + _digits(int.from_bytes(random_bytes(4), "big") % 36**3, 3)


class OrderIds:
    """Gives out order ids, `TX-<stamp>-<6 digits>`: at most 20 characters of `A-Z 0-9 -`."""

    def __init__(self, stamp: str, *, now_ns: Callable[[], int], random_bytes: Callable[[int], bytes]) -> None:
        """Begin with `stamp`; when a million ids are gone, go on with another."""
        self._stamp = stamp
        self._now_ns = now_ns
        self._random_bytes = random_bytes
        self._count = 0

    def next(self) -> str:
        self._count += 1
        if self._count >= _IDS:
            self._count = 1
            used = self._stamp
            while self._stamp == used:
                self._stamp = make_stamp(self._now_ns(), self._random_bytes)
        return f"TX-{self._stamp}-{self._count:06d}"
