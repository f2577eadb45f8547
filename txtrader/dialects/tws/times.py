"""Times on the TWS wire, to and from integer nanoseconds UTC.

TWS writes the same instant in several forms, by message, version and login settings::

    20261120 10:00:00 US/Eastern    executions, bars with formatDate 1, managed times from 10.19 on
    20261120  10:00:00              the same from older servers: two spaces, the login's own time zone
    20261120-15:00:00               UTC
    1795186800                      epoch seconds (formatDate 2)
    20261120                        a date: daily and longer bars
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["bar_time_from_wire", "time_from_wire", "time_to_wire", "zone_named"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"[0-9]{8}\Z")
_SECONDS = re.compile(r"-?[0-9]{1,12}\Z")
_LOCAL = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})([ -])\s?([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?(?:\s+(\S.*))?\Z")

# Names that TWS uses and the zone database does not have, or had once.
_ZONE_NAMES = {
    "EST": "America/New_York",  # TWS means the wall clock of New York, summer time included
    "EDT": "America/New_York",
    "EST5EDT": "America/New_York",
    "CST": "America/Chicago",
    "CDT": "America/Chicago",
    "CST6CDT": "America/Chicago",
    "MST": "America/Denver",
    "MDT": "America/Denver",
    "PST": "America/Los_Angeles",
    "PDT": "America/Los_Angeles",
    "MET": "Europe/Berlin",
    "CET": "Europe/Berlin",
    "CEST": "Europe/Berlin",
    "BST": "Europe/London",
    "GMT": "UTC",
    "GB": "Europe/London",
    "JST": "Asia/Tokyo",
    "JAPAN": "Asia/Tokyo",
    "HONGKONG": "Asia/Hong_Kong",
    "CHINA STANDARD TIME": "Asia/Shanghai",
    "US EASTERN TIMEZONE": "America/New_York",
}


@lru_cache(maxsize=256)
def zone_named(name: str) -> tzinfo | None:
    """Find a time zone by the name TWS gives it, None where nobody knows it."""
    try:
        return ZoneInfo(_ZONE_NAMES.get(name.upper(), name))
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a name that is a folder of the zone database
        return None


def _to_ns(moment: datetime) -> int:
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


def time_from_wire(text: str | None, default: tzinfo = UTC) -> int | None:
    """Read an instant; `default` is the zone of a time that names none.  None for what is no time at all.

    A zone that nobody knows counts as unreadable: an hour's error is worse than none.
    """
    text = (text or "").strip()
    if _DATE.match(text):
        try:
            return _to_ns(datetime(int(text[:4]), int(text[4:6]), int(text[6:]), tzinfo=UTC))
        except ValueError:
            return None
    if _SECONDS.match(text):
        return int(text) * 1_000_000_000
    found = _LOCAL.match(text)
    if found is None:
        return None
    year, month, day, separator, hour, minute, second, zone_name = found.groups()
    zone: tzinfo | None
    zone = zone_named(zone_name) if zone_name else UTC if separator == "-" else default
    if zone is None:
        return None
    try:
        return _to_ns(datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0), tzinfo=zone))
    except ValueError:
        return None


def bar_time_from_wire(text: str, default: tzinfo = UTC) -> int | None:
    """Read the start of a bar: an instant, or for daily and longer bars midnight UTC of the date."""
    return time_from_wire(text, default)


def time_to_wire(time: int) -> str:
    """Write an instant as TWS takes it from clients whatever zone they sit in: `20261120-15:00:00`, UTC."""
    return (_EPOCH + timedelta(seconds=time // 1_000_000_000)).strftime("%Y%m%d-%H:%M:%S")
