"""Instants as integer nanoseconds UTC, and the ways a surface writes and reads them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from txtrader.errors import InvalidArgument
from txtrader.model.market import BarPeriod

__all__ = [
    "SECOND",
    "from_datetime",
    "iso",
    "local_text",
    "midnight",
    "parse_instant",
    "parse_iso",
    "parse_period",
    "to_datetime",
]

SECOND = 1_000_000_000
"""Nanoseconds in a second."""

_ISO = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})",
    re.ASCII,
)
_LOCAL = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?: (\d{2}):(\d{2})(?::(\d{2}))?)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BACK = re.compile(r"-([1-9][0-9]{0,6})", re.ASCII)


def to_datetime(ns: int, zone: ZoneInfo | None = None) -> datetime:
    """Return the aware datetime of an instant (microseconds; the rest is cut)."""
    at = _EPOCH + timedelta(microseconds=ns // 1000)
    return at.astimezone(zone) if zone is not None else at


def from_datetime(at: datetime) -> int:
    """Return the instant of an aware datetime."""
    delta = at - _EPOCH
    return (delta.days * 86400 + delta.seconds) * SECOND + delta.microseconds * 1000


def iso(ns: int) -> str:
    """Write `2026-11-20T14:30:00.123456789Z`, with as many digits as are known."""
    seconds, fraction = divmod(ns, SECOND)
    text = _second_text(seconds)
    return f"{text}.{fraction:09d}".rstrip("0") + "Z" if fraction else f"{text}Z"


@lru_cache(maxsize=256)
def _second_text(seconds: int) -> str:
    """Write a whole second; thousands of ticks share one."""
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


def local_text(ns: int, zone: ZoneInfo) -> str:
    """Write `YYYY-MM-DD HH:MM:SS` in a zone."""
    return to_datetime(ns, zone).strftime("%Y-%m-%d %H:%M:%S")


def midnight(ns: int, zone: ZoneInfo) -> int:
    """Return the start of the instant's day in a zone."""
    day = to_datetime(ns, zone).date()
    return from_datetime(datetime(day.year, day.month, day.day, tzinfo=zone))


def parse_iso(text: object, path: str) -> int:
    """Parse an ISO 8601 instant with its zone.  Raises InvalidArgument."""
    found = _ISO.fullmatch(text) if isinstance(text, str) else None
    if not found:
        raise InvalidArgument("not an ISO time such as 2026-11-20T14:30:00Z", path=path)
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        at = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    except ValueError:
        raise InvalidArgument("not a date and time of the calendar", path=path) from None
    offset = 0
    if zone != "Z":
        hours, minutes = int(zone[1:3]), int(zone[4:6])
        if hours > 14 or minutes > 59:
            raise InvalidArgument("not a time zone offset", path=path)
        offset = (hours * 60 + minutes) * (1 if zone[0] == "+" else -1)
    return from_datetime(at) + int((fraction or "0").ljust(9, "0")) - offset * 60 * SECOND


def parse_instant(text: object, zone: ZoneInfo, path: str) -> int:
    """Parse an ISO instant, or `YYYY-MM-DD[ HH:MM[:SS]]` in `zone`.  Raises InvalidArgument."""
    if isinstance(text, str) and "T" in text:
        return parse_iso(text, path)
    found = _LOCAL.fullmatch(text) if isinstance(text, str) else None
    if not found:
        raise InvalidArgument("not a time: YYYY-MM-DD HH:MM[:SS], a date, or an ISO time", path=path)
    parts = [int(part or 0) for part in found.groups()]
    try:
        date(parts[0], parts[1], parts[2])
        return from_datetime(datetime(*parts, tzinfo=zone))  # type: ignore[arg-type,misc]  # six ints, then the zone
    except (ValueError, OverflowError):
        raise InvalidArgument("not a date and time of the calendar", path=path) from None


_PERIOD = re.compile(r"([1-9][0-9]{0,5})\s?([A-Za-z]*)|([A-Za-z]+)", re.ASCII)
_UNITS = {"s": "s", "m": "m", "h": "h", "d": "D", "w": "W"}


def parse_period(text: object, path: str = "period") -> BarPeriod:
    """Parse minutes as an integer, or `30s`, `5m`, `1h`, `D`, `W`, `M` (`DAY`, `week`: the first letter decides).

    `m` after a number is minutes; `M`, or a word that begins with `mo`, is months.  Raises InvalidArgument.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        text = str(text)
    found = _PERIOD.fullmatch(text) if isinstance(text, str) and len(text) <= 16 else None
    if not found:
        raise InvalidArgument("not a period: minutes, or 30s, 5m, 1h, D, W, M", path=path)
    count, unit = int(found[1] or 1), found[2] if found[1] else found[3]
    if not unit:
        return _normal(count, "m")
    if unit == "M" or (unit[0] in "mM" and unit[1:3].lower() == "on") or (unit[0] in "mM" and not found[1]):
        return _normal(count, "M")
    letter = _UNITS.get(unit[0].lower())
    if letter is None:
        raise InvalidArgument("not a period: minutes, or 30s, 5m, 1h, D, W, M", path=path)
    return _normal(count, letter)


def _normal(count: int, unit: str) -> BarPeriod:
    """Write 60 s as 1 m and 60 m as 1 h, so that equal periods are equal records."""
    if unit == "s" and count % 60 == 0:
        count, unit = count // 60, "m"
    if unit == "m" and count % 60 == 0 and count < 1440:
        count, unit = count // 60, "h"
    if unit == "m" and count == 1440:
        count, unit = 1, "D"
    return BarPeriod(count, unit)
