"""What a request for bars asks for, checked; and bars as the messages that answer it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from txtrader.exsim.records import Listing
from txtrader.model.market import Bar, BarPeriod
from txtrader.wire.cqg.schema import message_class
from txtrader.wire.cqg.values import BaseTime, PriceScale, put_decimal
from txtrader.wire.cqg.words import BarRequest, BarStatus, BarUnit

if TYPE_CHECKING:
    from txtrader.exsim.venue import Venue

__all__ = ["BarPlan", "Refused", "TradeDates", "plan_of", "put_bars", "read_bars"]

_DAY = 86_400_000_000_000
_INTRADAY_DEPTH = 92 * _DAY
_DAILY_DEPTH = 3 * 366 * _DAY
_MOST_BARS = 20_000
_UNITS = {BarUnit.DAY: "D", BarUnit.WEEK: "W", BarUnit.MONTH: "M", BarUnit.HOUR: "h", BarUnit.MIN: "m"}
_MONTHS_OF = {BarUnit.QUARTER: 3, BarUnit.SEMI_ANNUAL: 6, BarUnit.YEAR: 12}
_LONG = frozenset({BarUnit.DAY, BarUnit.WEEK, BarUnit.MONTH, BarUnit.QUARTER, BarUnit.SEMI_ANNUAL, BarUnit.YEAR})
_LONGEST = 1440  # minutes of an intraday bar
_INTERVALS = {False: (1000, 3_600_000), True: (10_000, 3_600_000)}  # ms between updates, by whether bars are long
_TimeBar = message_class("historical_2.TimeBar")


class Refused(Exception):
    """A request for history is answered by a failure."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class BarPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Which bars: `start` <= time < `end` (ns), `end` None for those that are kept up to date.

    `is_long`: of days and longer, by trade dates.  `is_cut`: more was asked than is kept.  `interval` is what the
    client wants between two updates, in seconds, None for whatever the server likes.
    """

    listing: Listing
    period: BarPeriod
    is_long: bool
    start: int
    end: int | None
    is_cut: bool
    has_all: bool
    interval: float | None = None


def plan_of(asked: Any, kind: int, listing: Listing | None, base: BaseTime, venue: Venue) -> BarPlan:
    """Read the parameters of a request; raises Refused."""
    if listing is None:
        raise Refused(BarStatus.NOT_FOUND, "no such contract in this session")
    period = _period(asked)
    if period is None:
        raise Refused(BarStatus.INVALID_PARAMS, "no such unit, or no such number of it")
    is_long = asked.bar_unit in _LONG
    has_end = asked.HasField("to_utc_time")
    if kind == BarRequest.SUBSCRIBE and has_end:
        raise Refused(BarStatus.INVALID_PARAMS, "bars that are kept up to date have no end")
    least, most = _INTERVALS[is_long]
    if asked.HasField("update_interval") and not least <= asked.update_interval <= most:
        raise Refused(
            BarStatus.UPDATE_INTERVAL_OUTSIDE_ALLOWED_RANGE, f"the update interval has to be {least} to {most} ms"
        )
    now = venue.now_ns()
    start, end = base.ns(asked.from_utc_time), base.ns(asked.to_utc_time) if has_end else None
    if is_long:  # both are trade dates, the last one included
        start = start // _DAY * _DAY
        end = end // _DAY * _DAY + _DAY if end is not None else None
    if (now if end is None else end) < start:
        raise Refused(BarStatus.INVALID_PARAMS, "the range is empty")
    oldest = (now - (_DAILY_DEPTH if is_long else _INTRADAY_DEPTH)) // _DAY * _DAY
    if end is not None and end <= oldest:
        raise Refused(BarStatus.OUTSIDE_ALLOWED_RANGE, "the range ended before the data begins")
    return BarPlan(
        listing=listing,
        period=period,
        is_long=is_long,
        start=max(start, oldest),
        end=end,
        is_cut=start < oldest,
        has_all=not is_long and start <= venue.head_time(listing.id),
        interval=asked.update_interval / 1000 if asked.HasField("update_interval") else None,
    )


def _period(asked: Any) -> BarPeriod | None:
    if asked.bar_unit not in BarUnit.__members__.values():
        return None
    unit = BarUnit(asked.bar_unit)
    count = asked.unit_number if asked.HasField("unit_number") else 1
    if unit in _LONG:
        return BarPeriod(_MONTHS_OF.get(unit, 1), _UNITS.get(unit, "M")) if count == 1 else None
    if count < 1 or count * (60 if unit is BarUnit.HOUR else 1) > _LONGEST:
        return None
    return BarPeriod(count, _UNITS[unit])


def read_bars(plan: BarPlan, venue: Venue, *, since: int | None = None) -> tuple[list[Bar], bool]:
    """Return the bars of a plan, newest first, that in the making included; and whether older ones were left out."""
    start = plan.start if since is None else max(plan.start, since)
    until = venue.now_ns() + 1
    end = until if plan.end is None else min(plan.end, until)
    rows = venue.bars(plan.listing.id, plan.period, start, end, regular=plan.is_long)
    rows.reverse()
    return rows[:_MOST_BARS], plan.is_cut or len(rows) > _MOST_BARS


class TradeDates:
    """The trade date of instants: that of the session that runs, else of the next one."""

    def __init__(self, venue: Venue, listing: Listing, start: int, end: int) -> None:
        sessions = venue.sessions(listing.id, start - 5 * _DAY, end + 5 * _DAY, regular=False)
        self._ends = [session.end for session in sessions]
        self._dates = [session.date for session in sessions]

    def at(self, instant: int) -> str:
        """Return YYYYMMDD."""
        return self._dates[min(bisect_right(self._ends, instant), len(self._dates) - 1)]


def put_bars(plan: BarPlan, rows: Sequence[Bar], base: BaseTime, venue: Venue) -> list[Any]:
    """Write bars, newest first, as historical_2.TimeBar; the first of each trade date says the date."""
    if not rows:
        return []
    scale = PriceScale(plan.listing.tick)
    dates = None if plan.is_long else TradeDates(venue, plan.listing, rows[-1].time, rows[0].time)
    last = ""
    found = []
    for row in rows:
        bar = _TimeBar(
            bar_utc_time=base.milliseconds(row.time),
            scaled_open_price=scale.scaled(row.open),
            scaled_high_price=scale.scaled(row.high),
            scaled_low_price=scale.scaled(row.low),
            scaled_close_price=scale.scaled(row.close),
        )
        if dates is None:
            bar.trade_date = base.milliseconds(row.time)
        elif (date := dates.at(row.time)) != last:
            bar.trade_date = base.day_milliseconds(date)
            last = date
        if plan.period.unit == "D":
            bar.scaled_settlement_price = bar.scaled_close_price
        if row.volume is not None:
            put_decimal(bar.volume, row.volume)
            bar.volume.SetInParent()
        if row.count is not None:
            bar.tick_volume = row.count
        found.append(bar)
    return found
