"""CQG counts logons: so many a day.  The count is kept in a file, so that a gateway that restarts keeps to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twisted.logger import Logger

__all__ = ["LogonBudget"]

SECOND = 1_000_000_000
DAY = 86_400 * SECOND


class LogonBudget:
    """Successful logons of the present day, UTC.  Without a file they are counted for this process alone."""

    _log = Logger()

    def __init__(self, path: str | None, most: int, now_ns: Callable[[], int]) -> None:
        self._path = None if path is None else Path(path)
        self._most = most
        self._now_ns = now_ns
        self._day, self._count = self._read()

    def used(self) -> None:
        """Count a logon."""
        self._today()
        self._count += 1
        if self._path is None:
            return
        try:
            scratch = self._path.with_suffix(".new")
            scratch.write_text(f"{self._day} {self._count}\n", encoding="ascii")
            scratch.replace(self._path)
        except OSError as error:
            self._log.warn("the count of logons was not kept: {error}", error=str(error))

    def left(self) -> int:
        """Return how many logons today still has."""
        self._today()
        return max(0, self._most - self._count)

    def seconds_to_midnight(self) -> float:
        """Return the seconds until the count starts anew."""
        return (DAY - self._now_ns() % DAY) / SECOND

    def _today(self) -> None:
        day = self._now_ns() // DAY
        if day != self._day:
            self._day, self._count = day, 0

    def _read(self) -> tuple[int, int]:
        today = self._now_ns() // DAY
        if self._path is None:
            return today, 0
        try:
            day, count = self._path.read_text(encoding="ascii").split()
            return (today, int(count)) if int(day) == today else (today, 0)
        except FileNotFoundError:
            return today, 0
        except (OSError, ValueError):
            self._log.warn("{path} does not hold a count of logons; it starts anew", path=str(self._path))
            return today, 0
