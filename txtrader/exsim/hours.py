"""When things trade: calendars of trading dates and the sessions on them.

A *date* is a trading date.  Its *regular* session is what daily figures are made of; the *extended* one is what the
listing's trading hours say.  The simulator itself trades around the clock, so that a demonstration moves at night,
too: between regular sessions prices go from one close to the next open.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from txtrader.exsim.daily_data import FIRST_YEAR, LAST_YEAR, bar_dates

__all__ = ["SCHEDULES", "SECOND", "Schedule", "Session", "third_friday", "trading_date_after", "trading_days_between"]

SECOND = 1_000_000_000
MIDNIGHT = time(0)


class Session(msgspec.Struct, frozen=True):
    """One session: trading date, start and end (ns UTC)."""

    day: date
    start: int
    end: int


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """Trading hours of a kind of listing.

    Times are local to `zone`; a session that opens later than it closes began on the previous calendar day (after a
    weekend or holiday: on the evening before the trading date).  `has_weekends`: every day is a trading date.
    """

    name: str
    zone: str
    opens: time
    closes: time
    extended_opens: time
    extended_closes: time
    has_weekends: bool = False
    has_us_holidays: bool = True

    def is_trading_date(self, day: date) -> bool:
        """Tell whether `day` is a trading date."""
        if self.has_weekends:
            return True
        if day.weekday() >= 5:
            return False
        return day not in (us_holidays(day.year) if self.has_us_holidays else _world_holidays(day.year))

    def next_date(self, day: date) -> date:
        """Return the first trading date after `day`."""
        day += timedelta(days=1)
        while not self.is_trading_date(day):
            day += timedelta(days=1)
        return day

    def previous_date(self, day: date) -> date:
        """Return the last trading date before `day`."""
        day -= timedelta(days=1)
        while not self.is_trading_date(day):
            day -= timedelta(days=1)
        return day

    def regular(self, day: date) -> Session:
        """Return the regular session of a trading date."""
        return _session(self.zone, day, self.opens, self.closes)

    def extended(self, day: date) -> Session:
        """Return the session of a trading date with all its hours."""
        return _session(self.zone, day, self.extended_opens, self.extended_closes)

    def session_at(self, instant: int) -> Session:
        """Return the regular session that runs at `instant`, else the next one to come."""
        local = datetime.fromtimestamp(instant // SECOND, ZoneInfo(self.zone)).date() - timedelta(days=1)
        day = local if self.is_trading_date(local) else self.next_date(local)
        session = self.regular(day)
        while session.end <= instant:
            day = self.next_date(day)
            session = self.regular(day)
        return session

    def sessions(self, start: int, end: int, *, regular: bool = True) -> list[Session]:
        """Return the sessions that overlap the window, oldest first."""
        zone = ZoneInfo(self.zone)
        day = datetime.fromtimestamp(start // SECOND, zone).date() - timedelta(days=2)
        last = datetime.fromtimestamp(end // SECOND, zone).date() + timedelta(days=2)
        found = []
        while day <= last:
            if self.is_trading_date(day):
                session = self.regular(day) if regular else self.extended(day)
                if session.end > start and session.start < end:
                    found.append(session)
            day += timedelta(days=1)
        return found


def _session(zone: str, day: date, opens: time, closes: time) -> Session:
    tz = ZoneInfo(zone)
    first = last = day
    if opens == closes == MIDNIGHT:
        last = day + timedelta(days=1)
    elif opens >= closes:
        first = day - timedelta(days=1)
    return Session(day, _instant(first, opens, tz), _instant(last, closes, tz))


def _instant(day: date, at: time, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, at, zone).astimezone(UTC).timestamp()) * SECOND


def _nth_weekday(year: int, month: int, weekday: int, n: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))


def third_friday(year: int, month: int) -> date:
    """Return the day on which most listed derivatives of a month expire."""
    return _nth_weekday(year, month, 4, 3)


def _good_friday(year: int) -> date:
    """Return Good Friday of the Gregorian calendar (Easter by the anonymous algorithm of 1876)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1) - timedelta(days=2)


def _observed(day: date) -> date:
    return day + timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0))


@lru_cache(maxsize=256)
def us_holidays(year: int) -> frozenset[date]:
    """Return the weekdays of a year on which New York's exchanges stay closed.

    In the years of the shipped daily bars these are the days that have no bar; in others the rules since 2022 hold.
    """
    if year in range(FIRST_YEAR, LAST_YEAR + 1):
        traded = bar_dates()
        first = date(year, 1, 1)
        days_of_year = (first + timedelta(days=n) for n in range((date(year + 1, 1, 1) - first).days))
        return frozenset(day for day in days_of_year if day.weekday() < 5 and day not in traded)
    last_monday_of_may = date(year, 5, 31) - timedelta(days=date(year, 5, 31).weekday())
    days = {
        _nth_weekday(year, 1, 0, 3),
        _nth_weekday(year, 2, 0, 3),
        _good_friday(year),
        last_monday_of_may,
        _observed(date(year, 6, 19)),
        _observed(date(year, 7, 4)),
        _nth_weekday(year, 9, 0, 1),
        _nth_weekday(year, 11, 3, 4),
        _observed(date(year, 12, 25)),
    }
    new_year = date(year, 1, 1)
    if new_year.weekday() != 5:  # on a Saturday it is not made up for
        days.add(_observed(new_year))
    return frozenset(days)


@lru_cache(maxsize=256)
def _world_holidays(year: int) -> frozenset[date]:
    return frozenset({date(year, 1, 1), _good_friday(year), date(year, 12, 25)})


def _all(*schedules: Schedule) -> dict[str, Schedule]:
    return {schedule.name: schedule for schedule in schedules}


SCHEDULES: dict[str, Schedule] = _all(
    Schedule(
        name="us-stock",
        zone="America/New_York",
        opens=time(9, 30),
        closes=time(16),
        extended_opens=time(4),
        extended_closes=time(20),
    ),
    Schedule(
        name="us-option",
        zone="America/New_York",
        opens=time(9, 30),
        closes=time(16),
        extended_opens=time(9, 30),
        extended_closes=time(16),
    ),
    Schedule(
        name="us-future",
        zone="America/New_York",
        opens=time(18),
        closes=time(17),
        extended_opens=time(18),
        extended_closes=time(17),
    ),
    Schedule(
        name="fx",
        zone="America/New_York",
        opens=time(17),
        closes=time(17),
        extended_opens=time(17),
        extended_closes=time(17),
        has_us_holidays=False,
    ),
    Schedule(
        name="crypto",
        zone="America/New_York",
        opens=time(0),
        closes=time(0),
        extended_opens=time(0),
        extended_closes=time(0),
        has_weekends=True,
    ),
    Schedule(
        name="xetra",
        zone="Europe/Berlin",
        opens=time(9),
        closes=time(17, 30),
        extended_opens=time(9),
        extended_closes=time(17, 30),
        has_us_holidays=False,
    ),
)
"""Every schedule by name."""

_YEARS: dict[tuple[str, int], list[date]] = {}


def dates_of_year(schedule: Schedule, year: int) -> list[date]:
    """Return the trading dates of a year."""
    key = (schedule.name, year)
    dates = _YEARS.get(key)
    if dates is None:
        first = date(year, 1, 1)
        days = (first + timedelta(days=n) for n in range((date(year + 1, 1, 1) - first).days))
        dates = _YEARS[key] = [day for day in days if schedule.is_trading_date(day)]
    return dates


def trading_days_between(schedule: Schedule, start: date, end: date) -> int:
    """Count trading dates d with start < d <= end; negative where end is before start."""
    if end < start:
        return -trading_days_between(schedule, end, start)
    count = 0
    for year in range(start.year, end.year + 1):
        dates = dates_of_year(schedule, year)
        low = bisect_right(dates, start) if year == start.year else 0
        high = bisect_right(dates, end) if year == end.year else len(dates)
        count += high - low
    return count


def trading_date_after(schedule: Schedule, start: date, count: int) -> date:
    """Return the `count`-th trading date after `start` (before it where negative)."""
    year = start.year
    dates = dates_of_year(schedule, year)
    index = bisect_right(dates, start) - 1 + count if count > 0 else bisect_left(dates, start) + count
    while index >= len(dates):
        index -= len(dates)
        year += 1
        dates = dates_of_year(schedule, year)
    while index < 0:
        year -= 1
        dates = dates_of_year(schedule, year)
        index += len(dates)
    return dates[index]
