"""Past ticks through the gateway: windows, pages, both kinds."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import pytest_twisted
from desk_room import make_broker, open_room

from txtrader.errors import InvalidArgument
from txtrader.model.market import PastQuote, PastTrade, TickKind
from txtrader.model.times import parse_iso

D = Decimal
TIMES = [parse_iso(f"2026-03-02T15:00:0{second}.5Z", "t") for second in (1, 2, 2, 3, 4)]


def broker_with_a_past():
    broker = make_broker()
    broker.ticks["IBM", TickKind.TRADES] = [
        PastTrade(time=time, price=D(100 + place), size=D(place + 1)) for place, time in enumerate(TIMES)
    ]
    broker.ticks["IBM", TickKind.QUOTES] = [PastQuote(time=TIMES[0], bid=D(99), bidsize=D(5))]
    return broker


@pytest_twisted.ensureDeferred
async def test_pages_go_on_where_the_last_one_ended_and_split_no_instant(tmp_path: Path) -> None:
    async with open_room(tmp_path, broker_with_a_past()) as room:
        await room.up()
        window = ("2026-03-02 10:00", "2026-03-02 10:00:04")  # New York
        page = await room.call("query_ticks", "IBM", *window, limit=2)
        assert [(row["time"], row["price"], row["size"]) for row in page["items"]] == [
            ("2026-03-02T15:00:01.5Z", D(100), D(1)),
            ("2026-03-02T15:00:02.5Z", D(101), D(2)),
            ("2026-03-02T15:00:02.5Z", D(102), D(3)),
        ]
        rest = await room.call("query_ticks", "IBM", page["next"], window[1], limit=2)
        assert [row["price"] for row in rest["items"]] == [D(103)] and rest["next"] is None
        assert (rest["symbol"], rest["what"]) == ("IBM", "trades")


@pytest_twisted.ensureDeferred
async def test_a_side_that_was_not_there_is_null(tmp_path: Path) -> None:
    async with open_room(tmp_path, broker_with_a_past()) as room:
        await room.up()
        page = await room.call("query_ticks", "IBM", "2026-03-02", ".", "quotes")
        assert page["items"] == [
            {"time": "2026-03-02T15:00:01.5Z", "bid": D(99), "bidsize": D(5), "ask": None, "asksize": None}
        ]


@pytest.mark.parametrize(
    ("start", "end", "what"),
    [
        ("-5", ".", "trades"),
        ("2026-03-03", "2026-03-02", "trades"),
        ("2126-01-01", "2126-01-02", "trades"),
        (".", ".", "all"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_windows_that_are_none_are_refused(tmp_path: Path, start: str, end: str, what: str) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        with pytest.raises(InvalidArgument):
            await room.call("query_ticks", "IBM", start, end, what)
