"""Windows of bars: dates mean dates, and the last N are the last N, nights and weekends or not."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import pytest_twisted
from desk_room import make_broker, open_room

from txtrader.errors import InvalidArgument, TooLarge
from txtrader.model.market import Bar
from txtrader.model.times import SECOND, parse_iso

MINUTE = 60 * SECOND


def bar(at: str, close: int) -> Bar:
    price = Decimal(close)
    return Bar(time=parse_iso(at, "t"), open=price, high=price, low=price, close=price, volume=Decimal(1))


DAYS = [bar(f"2026-11-{day}T00:00:00Z", day) for day in (16, 17, 18, 19, 20)]
# Friday 15:58 to 15:59 in New York, then nothing until Monday 09:30.
MINUTES = [bar(f"2026-11-{at}:00Z", 1) for at in ("20T20:58", "20T20:59", "23T14:30", "23T14:31")]


@pytest_twisted.ensureDeferred
async def test_days_are_those_of_the_window_in_the_time_zone_of_the_caller(tmp_path: Path) -> None:
    broker = make_broker()
    broker.bars["IBM", "D"] = DAYS
    async with open_room(tmp_path, broker) as room:
        await room.up()
        got = await room.call("query_bars", "IBM", "D", "2026-11-17", "2026-11-19")
        assert [row["time"] for row in got["bars"]] == ["2026-11-17 00:00:00", "2026-11-18 00:00:00"]
        got = await room.call("query_bars", "IBM", "D", "2026-11-20 09:30", "2026-11-20 20:00")
        assert [row["close"] for row in got["bars"]] == [20]


@pytest_twisted.ensureDeferred
async def test_the_last_bars_are_found_behind_a_weekend(tmp_path: Path) -> None:
    broker = make_broker()
    broker.bars["IBM", "1m"] = MINUTES
    broker.bars["IBM", "D"] = DAYS
    async with open_room(tmp_path, broker) as room:
        await room.up()
        got = await room.call("query_bars", "IBM", 1, "-3", "2026-11-23 09:32")
        assert [row["time"] for row in got["bars"]] == [
            "2026-11-20 15:59:00",
            "2026-11-23 09:30:00",
            "2026-11-23 09:31:00",
        ]
        got = await room.call("query_bars", "IBM", "D", "-2", "2026-11-22 12:00")
        assert [row["close"] for row in got["bars"]] == [19, 20]


@pytest_twisted.ensureDeferred
async def test_windows_that_no_answer_can_hold_are_refused_before_the_broker_is_asked(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        with pytest.raises(TooLarge):
            await room.call("query_bars", "IBM", 1, "2026-01-01", "2026-11-01")
        with pytest.raises(TooLarge):
            await room.call("query_bars", "IBM", "D", "-10001", ".")
        with pytest.raises(InvalidArgument):
            await room.call("query_bars", "IBM", 1, "2026-11-02", "2026-11-01")
