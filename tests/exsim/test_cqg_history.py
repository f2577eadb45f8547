"""The simulated CQG server's history: bars newest first, ticks oldest first, in small messages, and live bars."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
import pytest_twisted
from cqg_client import SECOND, World

from txtrader.exsim.records import Terms
from txtrader.model.market import BarPeriod
from txtrader.model.order import OrderType, Side
from txtrader.wire.cqg.schema import ClientMsg
from txtrader.wire.cqg.values import decimal_of
from txtrader.wire.cqg.words import BarRequest, BarStatus, BarUnit, TicksCode

HOUR = 3_600_000  # ms, as the wire counts
DAY = 24 * HOUR
TODAY = -18 * HOUR  # midnight of the day, from the base time at 18:00


async def bars(client, number, unit, start, end=None, kind=None, **more):
    """Ask for bars; return the reports up to the last."""
    given = {"bar_unit": int(unit), "from_utc_time": start, **more}
    if end is not None:
        given["to_utc_time"] = end
    fields = {"request_id": number, "time_bar_parameters": given}
    if kind is not None:
        fields["request_type"] = int(kind)
    client.send("time_bar_requests", **fields)
    return await reports(client, "time_bar_reports", number)


async def reports(client, name, number):
    found = [await client.next(name, lambda one: one.request_id == number)]
    while not found[-1].is_report_complete:
        found.append(await client.next(name, lambda one: one.request_id == number))
    return found


async def ticks(client, number, contract, start, end=None, level=1, **more):
    given = {"contract_id": contract, "level": level, "from_utc_time": start, **more}
    if end is not None:
        given["to_utc_time"] = end
    client.send("time_and_sales_requests", request_id=number, time_and_sales_parameters=given)
    return await reports(client, "time_and_sales_reports", number)


def trade(world, price="6700", symbol="EPZ26", quantity=1):
    """Let one trade happen."""
    listing = world.endpoint.names.resolve(symbol)
    for side, account in (("SELL", "DU1000002"), ("BUY", "DU1000001")):
        world.venue.submit(
            f"owner {account}",
            Terms(
                listing_id=listing.id,
                account=account,
                side=Side(side),
                quantity=Decimal(quantity),
                type=OrderType.LIMIT,
                limit_price=Decimal(price),
            ),
        )
    world.clock.advance(1)  # bars hold what came before now


@pytest_twisted.ensureDeferred
async def test_minute_bars_come_newest_first_in_small_messages_and_agree_with_the_venue():
    async with World() as world:
        client = await world.client()
        contract = (await client.resolve("EPZ26")).contract_id
        got = await bars(client, 1, BarUnit.MIN, -10 * HOUR, 0, contract_id=contract)
        assert len(got) > 3
        assert max(client.sizes) <= 4000
        assert {one.status_code for one in got} == {0}
        rows = [bar for report in got for bar in report.time_bars]
        times = [bar.bar_utc_time for bar in rows]
        assert times == sorted(times, reverse=True)
        assert (times[0], times[-1]) == (-60_000, -10 * HOUR), "the end is exclusive, the beginning is not"
        listing = world.endpoint.names.resolve("EPZ26")
        truth = world.venue.bars(
            listing.id, BarPeriod(1, "m"), world.now() - 10 * HOUR * 10**6, world.now(), regular=False
        )
        assert len(truth) == len(rows)
        for bar, row in zip(rows, reversed(truth), strict=True):
            assert bar.scaled_close_price * Decimal("0.25") == row.close
            assert bar.scaled_high_price * Decimal("0.25") == row.high
            assert decimal_of(bar.volume) == row.volume
            assert not bar.HasField("scaled_volume")


@pytest_twisted.ensureDeferred
async def test_the_trade_date_stands_on_the_first_bar_of_each_date():
    async with World() as world:
        client = await world.client()
        contract = (await client.resolve("EPZ26")).contract_id
        rows = [
            bar
            for report in await bars(client, 1, BarUnit.HOUR, -30 * HOUR, 0, contract_id=contract)
            for bar in report.time_bars
        ]
        marked = [(bar.bar_utc_time // HOUR, bar.trade_date) for bar in rows if bar.HasField("trade_date")]
        # CME's day ends at 16:00 in Chicago, which is 22:00 UTC, 20 hours before the base time of 18:00.
        assert marked == [(-1, TODAY), (-21, TODAY - DAY)]


@pytest.mark.parametrize(
    ("unit", "days", "count"),
    [
        (BarUnit.DAY, 9, 8),
        (BarUnit.WEEK, 60, 9),
        (BarUnit.MONTH, 300, 10),
        (BarUnit.QUARTER, 600, 7),
        (BarUnit.SEMI_ANNUAL, 600, 4),
        (BarUnit.YEAR, 600, 2),
    ],
)
@pytest_twisted.ensureDeferred
async def test_long_bars_go_by_trade_dates_the_last_included(unit, days, count):
    async with World() as world:
        client = await world.client()
        contract = (await client.resolve("IBM")).contract_id
        got = await bars(client, 1, unit, TODAY - days * DAY, TODAY, contract_id=contract)
        rows = [bar for report in got for bar in report.time_bars]
        assert abs(len(rows) - count) <= 1
        assert all(bar.HasField("trade_date") and bar.trade_date == bar.bar_utc_time for bar in rows)
        assert all(bar.HasField("scaled_settlement_price") == (unit is BarUnit.DAY) for bar in rows)
        times = [bar.bar_utc_time for bar in rows]
        assert times == sorted(times, reverse=True)
        if unit is BarUnit.DAY:
            assert times[0] == TODAY


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"bar_unit": 99}, BarStatus.INVALID_PARAMS),
        ({"bar_unit": 8, "unit_number": 0}, BarStatus.INVALID_PARAMS),
        ({"bar_unit": 8, "unit_number": 1441}, BarStatus.INVALID_PARAMS),
        ({"bar_unit": 7, "unit_number": 25}, BarStatus.INVALID_PARAMS),
        ({"bar_unit": 6, "unit_number": 2}, BarStatus.INVALID_PARAMS),
        ({"to_utc_time": -2 * HOUR}, BarStatus.INVALID_PARAMS),
        ({"contract_id": 4711}, BarStatus.NOT_FOUND),
        ({"from_utc_time": -200 * DAY, "to_utc_time": -150 * DAY}, BarStatus.OUTSIDE_ALLOWED_RANGE),
        ({"request_type": 2, "to_utc_time": 0}, BarStatus.INVALID_PARAMS),
        ({"request_type": 2, "update_interval": 999}, BarStatus.UPDATE_INTERVAL_OUTSIDE_ALLOWED_RANGE),
        ({"request_type": 2, "update_interval": 3_600_001}, BarStatus.UPDATE_INTERVAL_OUTSIDE_ALLOWED_RANGE),
        ({"request_type": 2, "bar_unit": 6, "update_interval": 9999}, BarStatus.UPDATE_INTERVAL_OUTSIDE_ALLOWED_RANGE),
        ({"request_type": 9}, BarStatus.INVALID_PARAMS),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_request_for_bars_that_makes_no_sense_fails_with_its_code(given, code):
    async with World() as world:
        client = await world.client()
        contract = (await client.resolve("EPZ26")).contract_id
        kind = given.pop("request_type", None)
        fields = {"contract_id": contract, "bar_unit": 8, "from_utc_time": -HOUR, **given}
        request = {"request_id": 5, "time_bar_parameters": fields}
        client.send("time_bar_requests", **request, **({} if kind is None else {"request_type": kind}))
        (report,) = await reports(client, "time_bar_reports", 5)
        assert (report.request_id, report.status_code) == (5, code)
        assert report.details.text
        assert not report.time_bars


@pytest_twisted.ensureDeferred
async def test_what_is_older_than_the_data_is_cut_and_says_so():
    async with World() as world:
        client = await world.client()
        contract = (await client.resolve("IBM")).contract_id
        got = await bars(client, 1, BarUnit.HOUR, -400 * DAY, -80 * DAY, contract_id=contract)
        assert got[0].truncated
        assert got[-1].time_bars[-1].bar_utc_time > -93 * DAY
        whole = await bars(client, 2, BarUnit.HOUR, -2 * DAY, 0, contract_id=contract)
        assert not whole[0].truncated


@pytest_twisted.ensureDeferred
async def test_an_empty_range_answers_one_complete_report_without_bars():
    async with World() as world:
        client = await world.client()
        contract = (await client.resolve("IBM")).contract_id
        got = await bars(client, 1, BarUnit.MIN, -30_000, -20_000, contract_id=contract)
        assert [(len(one.time_bars), one.status_code, one.is_report_complete) for one in got] in (
            [(0, 0, True)],
            [(1, 0, True)],
        )


@pytest_twisted.ensureDeferred
async def test_bars_are_kept_up_to_date_until_they_are_dropped():
    async with World(bar_interval=0.02) as world:
        client = await world.client()
        contract = (await client.resolve("EPZ26")).contract_id
        got = await bars(client, 3, BarUnit.MIN, -5 * 60_000, None, BarRequest.SUBSCRIBE, contract_id=contract)
        assert {one.status_code for one in got} == {BarStatus.SUBSCRIBED}
        last = got[0].time_bars[0]
        trade(world, "6712.25")
        update = await client.next("time_bar_reports")
        assert (update.request_id, update.status_code) == (3, BarStatus.UPDATE)
        assert update.time_bars[0].scaled_close_price == 6712.25 * 4
        assert update.time_bars[0].bar_utc_time >= last.bar_utc_time
        assert update.up_to_utc_time == 1000
        world.clock.advance(60)
        trade(world, "6713")
        update = await client.next("time_bar_reports")
        assert update.time_bars[0].bar_utc_time == 60_000
        assert update.time_bars[0].scaled_close_price == 6713 * 4
        client.send("time_bar_requests", request_id=3, request_type=int(BarRequest.DROP))
        assert (await client.next("time_bar_reports")).status_code == BarStatus.DROPPED
        trade(world, "6714")
        later = await bars(client, 4, BarUnit.MIN, 0, 120_000, contract_id=contract)
        assert later[0].time_bars[0].scaled_close_price == 6714 * 4
        assert client.all("time_bar_reports") == []


@pytest_twisted.ensureDeferred
async def test_live_bars_are_interrupted_and_invalidated_on_command():
    async with World(bar_interval=0.02) as world:
        client = await world.client()
        contract = (await client.resolve("EPZ26")).contract_id
        await bars(client, 3, BarUnit.MIN, -5 * 60_000, None, BarRequest.SUBSCRIBE, contract_id=contract)
        world.endpoint.lose_bars()
        assert (await client.next("time_bar_reports")).status_code == BarStatus.DISCONNECTED
        trade(world, "6712.25")
        world.endpoint.lose_bars(False)
        back = await reports(client, "time_bar_reports", 3)
        assert back[0].status_code == BarStatus.SUBSCRIBED
        assert back[0].time_bars[0].scaled_close_price == 6712.25 * 4
        world.endpoint.invalidate_bars()
        assert (await client.next("time_bar_reports")).status_code == BarStatus.INVALIDATED


@pytest_twisted.ensureDeferred
async def test_ticks_come_oldest_first_and_one_instant_stays_together():
    async with World() as world:
        client = await world.client()
        contract = (await client.resolve("EPZ26")).contract_id
        got = await ticks(client, 1, contract, -10 * 60_000, 0)
        assert len(got) > 2
        assert max(client.sizes) <= 4000
        listing = world.endpoint.names.resolve("EPZ26")
        truth = world.venue.prints(listing.id, world.now() - 600 * SECOND, world.now(), 10_000, regular=False)
        rows = []
        instants = []
        for report in got:
            assert report.quotes[0].HasField("quote_utc_time")
            moment, here = None, set()
            for quote in report.quotes:
                moment = quote.quote_utc_time if quote.HasField("quote_utc_time") else moment
                here.add(moment)
                rows.append((moment, quote.scaled_price * Decimal("0.25"), decimal_of(quote.volume)))
            instants.append(here)
        base = world.now() // 10**6
        assert rows == [(row.time // 10**6 - base, row.price, row.size) for row in truth]
        assert all(not before & after for before, after in pairwise(instants))
        assert got[-1].up_to_utc_time == 0


@pytest_twisted.ensureDeferred
async def test_level_three_adds_best_bids_and_offers():
    async with World() as world:
        client = await world.client()
        contract = (await client.resolve("EPZ26")).contract_id
        trades = [q for report in await ticks(client, 1, contract, -120_000, 0) for q in report.quotes]
        all_of_it = [q for report in await ticks(client, 2, contract, -120_000, 0, 3) for q in report.quotes]
        assert [q.type for q in trades] == [0] * len(trades)
        assert [q.scaled_price for q in all_of_it if q.type == 0] == [q.scaled_price for q in trades]
        assert sum(q.type == 1 for q in all_of_it) == sum(q.type == 2 for q in all_of_it) > 0


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"level": 2}, TicksCode.INVALID_PARAMS),
        ({"to_utc_time": -HOUR * 2}, TicksCode.INVALID_PARAMS),
        ({"contract_id": 4711}, TicksCode.NOT_FOUND),
        ({"from_utc_time": -50 * DAY, "to_utc_time": -40 * DAY}, TicksCode.OUTSIDE_ALLOWED_RANGE),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_request_for_ticks_that_makes_no_sense_fails_with_its_code(given, code):
    async with World() as world:
        client = await world.client()
        contract = (await client.resolve("EPZ26")).contract_id
        fields = {"contract_id": contract, "level": 1, "from_utc_time": -HOUR, **given}
        client.send("time_and_sales_requests", request_id=9, time_and_sales_parameters=fields)
        (report,) = await reports(client, "time_and_sales_reports", 9)
        assert (report.result_code, bool(report.details.text)) == (code, True)


@pytest_twisted.ensureDeferred
async def test_what_is_under_way_can_be_dropped():
    async with World(history_delay=0.2) as world:
        client = await world.client()
        contract = (await client.resolve("EPZ26")).contract_id
        asked = {"contract_id": contract, "level": 1, "from_utc_time": -HOUR}
        client.send("time_and_sales_requests", request_id=9, time_and_sales_parameters=asked)
        client.send("time_and_sales_requests", request_id=9, request_type=3)
        assert (await client.next("time_and_sales_reports")).result_code == TicksCode.DROPPED
        asked = {"contract_id": contract, "bar_unit": 8, "from_utc_time": -HOUR}
        client.send("time_bar_requests", request_id=9, time_bar_parameters=asked)
        client.send("time_bar_requests", request_id=9, request_type=3)
        assert (await client.next("time_bar_reports")).status_code == BarStatus.DROPPED
        got = await bars(client, 10, BarUnit.MIN, -HOUR, 0, contract_id=contract)
        assert got[0].time_bars
        assert client.got == [], "the dropped ones were never answered"


@pytest_twisted.ensureDeferred
async def test_an_old_client_gets_old_volumes_too():
    async with World() as world:
        client = await world.client(protocol_version_major=1, protocol_version_minor=134)
        contract = (await client.resolve("EPZ26")).contract_id
        got = await bars(client, 1, BarUnit.MIN, -HOUR, 0, contract_id=contract)
        assert all(bar.scaled_volume == decimal_of(bar.volume) for report in got for bar in report.time_bars)
        assert any(bar.scaled_volume for report in got for bar in report.time_bars)


@pytest_twisted.ensureDeferred
async def test_the_parameters_may_not_be_missing():
    async with World() as world:
        client = await world.client()
        message = ClientMsg()
        message.time_bar_requests.add(request_id=1)
        message.time_and_sales_requests.add(request_id=2)
        client.pump.send(message)
        assert (await client.next("time_bar_reports")).status_code == BarStatus.INVALID_PARAMS
        assert (await client.next("time_and_sales_reports")).result_code == TicksCode.INVALID_PARAMS
