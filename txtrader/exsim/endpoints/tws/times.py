"""Times as TWS writes them; what clients write is read by `txtrader.dialects.tws.times`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

__all__ = ["SECOND", "ZONED_SINCE", "Zone", "date_of", "moment"]

SECOND = 1_000_000_000
ZONED_SINCE = 174
"""From this version times name their zone; before, they are the login's, with two spaces."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(time: int, zone: tzinfo = UTC) -> datetime:
    """Turn integer nanoseconds UTC into a datetime of a zone, whole seconds."""
    return (_EPOCH + timedelta(seconds=time // SECOND)).astimezone(zone)


def date_of(time: int, zone: tzinfo = UTC) -> str:
    """Write the date of an instant as YYYYMMDD."""
    return moment(time, zone).strftime("%Y%m%d")


@lru_cache(maxsize=4096)
def _text(seconds: int, zone: ZoneInfo, pattern: str) -> str:
    return moment(seconds * SECOND, zone).strftime(pattern)


class Zone:
    """The login's time zone, by the name that TWS shows."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.info = ZoneInfo(name)

    def stamp(self, time: int, version: int) -> str:
        """Write an instant: `20260105 10:00:00 US/Eastern`, for older clients `20260105  10:00:00`."""
        seconds = time // SECOND
        if version >= ZONED_SINCE:
            return f"{_text(seconds, self.info, '%Y%m%d %H:%M:%S')} {self.name}"
        return _text(seconds, self.info, "%Y%m%d  %H:%M:%S")

    def connection_time(self, time: int) -> str:
        """Write an instant as the handshake has it: `20260105 10:00:00 EST`."""
        return _text(time // SECOND, self.info, "%Y%m%d %H:%M:%S %Z")

    def clock(self, time: int) -> str:
        """Write `hh:mm`."""
        return _text(time // SECOND, self.info, "%H:%M")

    def order_stamp(self, time: int) -> str:
        """Write an instant as completed orders have it, always with its zone."""
        return f"{_text(time // SECOND, self.info, '%Y%m%d %H:%M:%S')} {self.name}"
