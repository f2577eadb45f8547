"""Words of history requests: bar sizes, durations, what to show, and the window that they mean."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from txtrader.dialects.tws.times import time_from_wire
from txtrader.exsim.endpoints.tws.service import RequestFailed
from txtrader.exsim.endpoints.tws.times import SECOND, Zone, moment
from txtrader.exsim.records import Listing
from txtrader.model.market import BarPeriod

if TYPE_CHECKING:
    from txtrader.exsim.venue import Venue

__all__ = ["BAR_SIZES", "NO_DATA", "Duration", "bar_source", "read_end", "window_of"]

NO_DATA = "Historical Market Data Service error message:HMDS query returned no data: "

BAR_SIZES: dict[str, BarPeriod] = {
    **{f"{n} secs": BarPeriod(n, "s") for n in (5, 10, 15, 30)},
    "1 secs": BarPeriod(1, "s"),
    "1 sec": BarPeriod(1, "s"),
    "1 min": BarPeriod(1, "m"),
    **{f"{n} mins": BarPeriod(n, "m") for n in (2, 3, 5, 10, 15, 20, 30)},
    "1 hour": BarPeriod(1, "h"),
    **{f"{n} hours": BarPeriod(n, "h") for n in (2, 3, 4, 8)},
    "1 day": BarPeriod(1, "D"),
    "1 week": BarPeriod(1, "W"),
    "1W": BarPeriod(1, "W"),
    "1 month": BarPeriod(1, "M"),
    "1M": BarPeriod(1, "M"),
}

_SOURCES = {
    "TRADES": "TRADES",
    "AGGTRADES": "TRADES",
    "ADJUSTED_LAST": "TRADES",  # nothing is split or pays dividends here
    "MIDPOINT": "MIDPOINT",
    "BID": "BID",
    "ASK": "ASK",
    "BID_ASK": "BID_ASK",
    "SCHEDULE": "SCHEDULE",
}
_WITHOUT_DATA = frozenset(
    {"HISTORICAL_VOLATILITY", "OPTION_IMPLIED_VOLATILITY", "FEE_RATE"}
    | {"YIELD_ASK", "YIELD_BID", "YIELD_BID_ASK", "YIELD_LAST"}
)
_DURATION = re.compile(r"([1-9][0-9]{0,7}) ([SDWMY])\Z")
_DAY_NS = 86400 * SECOND
_MAX_BARS = 100_000


class Duration:
    """A number of seconds, trading days, weeks, months or years.  Raises RequestFailed (321) for other words."""

    def __init__(self, text: str) -> None:
        match = _DURATION.match(text or "")
        if match is None:
            raise RequestFailed(
                321, "Error validating request.-'bH' : cause - Historical data duration must be integer{SPACE}unit"
            )
        self.count = int(match[1])
        self.unit = match[2]

    @property
    def seconds(self) -> int:
        """The nominal length."""
        return self.count * {"S": 1, "D": 86400, "W": 604800, "M": 2592000, "Y": 31536000}[self.unit]


def bar_source(word: str) -> str:
    """Translate what-to-show; raises RequestFailed for a word that means nothing or has no data here."""
    source = _SOURCES.get(word or "")
    if source is not None:
        return source
    if word in _WITHOUT_DATA:
        raise RequestFailed(162, f"{NO_DATA}{word}")
    raise RequestFailed(321, f"Error validating request.-'bH' : cause - Invalid what to show: {word}")


def read_end(text: str, now: int, zone: Zone) -> int:
    """Read an end time; empty is now.  Raises RequestFailed (321) for what is no time."""
    if not text:
        return now
    words = text.strip()
    # A bare date is midnight where the login is.
    time = time_from_wire(f"{words} 00:00:00" if words.isdigit() and len(words) == 8 else words, zone.info)
    if time is None:
        raise RequestFailed(
            321, "Error validating request.-'bH' : cause - The date, time, or time-zone entered is invalid"
        )
    return time


def window_of(venue: Venue, listing: Listing, end: int, duration: Duration, period: BarPeriod, *, regular: bool) -> int:
    """Return the start of the window that ends at `end`; raises RequestFailed (162) for one that is too long.

    Seconds count back on the clock; days count trading sessions, the running one included.  There is nothing before
    the venue's first data.
    """
    return max(_start_of(venue, listing, end, duration, period, regular=regular), venue.head_time(listing.id))


def _start_of(venue: Venue, listing: Listing, end: int, duration: Duration, period: BarPeriod, *, regular: bool) -> int:
    if duration.seconds > _MAX_BARS * period.seconds:
        raise RequestFailed(162, "Historical Market Data Service error message:Time length exceeds the maximum")
    if duration.unit == "S":
        return end - duration.count * SECOND
    if duration.unit == "D":
        span = duration.count * 2 + 14
        sessions = [
            times
            for times in venue.sessions(listing.id, end - span * _DAY_NS, end + _DAY_NS, regular=regular)
            if times.start < end
        ]
        if len(sessions) < duration.count:
            return end - span * _DAY_NS
        first = sessions[-duration.count]
        if period.unit in "DWM":
            # Daily bars start at midnight UTC of their date.
            start = time_from_wire(first.date)
            return start if start is not None else first.start
        return first.start
    back = moment(end)
    if duration.unit == "W":
        back -= timedelta(weeks=duration.count)
    else:
        months = back.year * 12 + back.month - 1 - duration.count * (12 if duration.unit == "Y" else 1)
        back = back.replace(year=max(months // 12, 1970), month=months % 12 + 1, day=min(back.day, 28))
    start = int(back.timestamp()) * SECOND
    return start - start % _DAY_NS if period.unit in "DWM" else start
