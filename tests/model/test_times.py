"""Instants, zones and periods."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtrader.errors import InvalidArgument
from txtrader.model.market import BarPeriod
from txtrader.model.times import iso, local_text, midnight, parse_instant, parse_iso, parse_period

NEW_YORK = ZoneInfo("America/New_York")


@given(st.integers(min_value=0, max_value=4_000_000_000 * 10**9))
def test_an_instant_reads_back(ns: int) -> None:
    assert parse_iso(iso(ns), "t") == ns


def test_offsets_are_taken_off() -> None:
    assert parse_iso("2026-11-20T09:30:00-05:00", "t") == parse_iso("2026-11-20T14:30:00Z", "t")


@pytest.mark.parametrize(
    "text", ["2026-11-20", "2026-11-20T25:00:00Z", "2026-02-30T00:00:00Z", "2026-11-20T14:30:00", "now", 5, None]
)
def test_what_is_no_iso_time_is_refused(text: object) -> None:
    with pytest.raises(InvalidArgument):
        parse_iso(text, "t")


def test_local_times_follow_the_zone_over_the_change_of_clocks() -> None:
    winter = parse_instant("2026-11-20 09:30", NEW_YORK, "t")
    summer = parse_instant("2026-07-20 09:30", NEW_YORK, "t")
    assert iso(winter) == "2026-11-20T14:30:00Z"
    assert iso(summer) == "2026-07-20T13:30:00Z"
    assert local_text(winter, NEW_YORK) == "2026-11-20 09:30:00"
    assert local_text(midnight(winter, NEW_YORK), NEW_YORK) == "2026-11-20 00:00:00"


@pytest.mark.parametrize("text", ["2026-13-01", "2026-11-20 24:00", "20261120", "2026-11-20 9:30", "", None, 5])
def test_what_is_no_local_time_is_refused(text: object) -> None:
    with pytest.raises(InvalidArgument):
        parse_instant(text, NEW_YORK, "t")


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("1", (1, "m")), (5, (5, "m")), ("60", (1, "h")), ("1440", (1, "D")), ("30s", (30, "s")), ("60s", (1, "m")),
        ("5m", (5, "m")), ("5min", (5, "m")), ("1h", (1, "h")), ("D", (1, "D")), ("DAY", (1, "D")), ("1 day", (1, "D")),
        ("week", (1, "W")), ("W", (1, "W")), ("M", (1, "M")), ("month", (1, "M")), ("1M", (1, "M")), ("1mon", (1, "M")),
    ],
)  # fmt: skip
def test_periods_are_read(text: object, period: tuple[int, str]) -> None:
    assert parse_period(text) == BarPeriod(*period)


@pytest.mark.parametrize("text", ["0", "-5", "5x", "", "m5", "1.5", None, True, "9999999"])
def test_what_is_no_period_is_refused(text: object) -> None:
    with pytest.raises(InvalidArgument):
        parse_period(text)
