"""The simulated CQG server's limits, each with its code or its end; and what becomes of who reads slowly."""

from __future__ import annotations

from collections import deque

import msgspec
import pytest
import pytest_twisted
from cqg_client import World
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from txtrader.exsim.endpoints.cqg.backlog import merge
from txtrader.exsim.endpoints.cqg.frames import pieces
from txtrader.exsim.endpoints.cqg.limits import CqgLimits
from txtrader.wire.cqg.schema import ServerMsg, message_class
from txtrader.wire.cqg.words import (
    BarStatus,
    InfoStatus,
    LogonCode,
    MarketStatus,
    MessageType,
    TicksCode,
    TradeStatus,
)

NONE = CqgLimits(**dict.fromkeys(CqgLimits.__struct_fields__))


def only(**limits):
    """Return limits of which only those given hold."""
    return msgspec.structs.replace(NONE, **limits)


def pause(seconds):
    waited = Deferred()
    reactor.callLater(seconds, waited.callback, None)
    return waited


def test_the_defaults_are_those_that_cqg_publishes():
    published = CqgLimits()
    assert (published.messages, published.information, published.lines, published.orders) == (1000, 1000, 200, 300)
    assert (published.histories, published.streams, published.logons) == (10, 50, 200)


@pytest_twisted.ensureDeferred
async def test_too_many_messages_are_told_and_closed():
    async with World(limits=only(messages=5)) as world:
        client = await world.client()
        for number in range(6):
            client.send("information_requests", id=number, subscribe=False)
        told = await client.next("user_messages")
        assert told.message_type == MessageType.CRITICAL_ERROR
        await client.gone()
        assert len(client.all("information_reports")) == 5


@pytest_twisted.ensureDeferred
async def test_the_window_of_a_limit_moves_on():
    async with World(limits=only(messages=5)) as world:
        client = await world.client()
        for _ in range(3):
            for number in range(4):
                client.send("information_requests", id=number, subscribe=False)
            await client.settled()
            world.clock.advance(10)
        assert not client.lost


@pytest_twisted.ensureDeferred
async def test_information_requests_resolutions_and_accounts_have_limits():
    async with World(limits=only(information=4, resolutions=2, account_requests=1)) as world:
        client = await world.client()
        assert (await client.ask("symbol_resolution_request", symbol="EP")).status_code == 0
        assert (await client.ask("symbol_resolution_request", symbol="EP")).status_code == 0
        third = await client.ask("symbol_resolution_request", symbol="EP")
        assert third.status_code == InfoStatus.REQUEST_RATE_LIMIT_VIOLATION
        assert (await client.ask("accounts_request")).status_code == 0
        assert (await client.ask("currency_rates_request")).status_code == InfoStatus.REQUEST_RATE_LIMIT_VIOLATION
        world.clock.advance(101)
        assert (await client.ask("currency_rates_request")).status_code == 0
        assert (await client.ask("accounts_request")).status_code == InfoStatus.REQUEST_RATE_LIMIT_VIOLATION
        assert (await client.ask("last_statement_balances_request")).text_message


@pytest_twisted.ensureDeferred
async def test_market_data_subscriptions_have_a_limit_that_changes_of_level_do_not_touch():
    async with World(limits=only(lines=2)) as world:
        client = await world.client()
        ids = [(await client.resolve(name)).contract_id for name in ("EPZ26", "IBM", "AAPL")]
        for place, contract in enumerate(ids):
            client.send("market_data_subscriptions", contract_id=contract, request_id=place, level=1)
        await client.settled()
        codes = [one.status_code for one in client.all("market_data_subscription_statuses")]
        assert codes == [0, 0, MarketStatus.SUBSCRIPTION_LIMIT_VIOLATION]
        client.send("market_data_subscriptions", contract_id=ids[0], request_id=5, level=3)
        client.send("market_data_subscriptions", contract_id=ids[1], request_id=6, level=0)
        client.send("market_data_subscriptions", contract_id=ids[2], request_id=7, level=1)
        await client.settled()
        assert [one.status_code for one in client.all("market_data_subscription_statuses")] == [0, 0, 0]


@pytest_twisted.ensureDeferred
async def test_histories_and_streams_have_limits():
    async with World(limits=only(histories=2, streams=1), history_delay=0.05) as world:
        client = await world.client()
        contract = (await client.resolve("EPZ26")).contract_id
        bars = {"contract_id": contract, "bar_unit": 8, "from_utc_time": -120_000}
        for number in (1, 2, 3):
            client.send("time_bar_requests", request_id=number, time_bar_parameters=bars)
        report = await client.next("time_bar_reports")
        assert (report.request_id, report.status_code) == (3, BarStatus.ACTIVE_REQUESTS_LIMIT_VIOLATION)
        past = {"contract_id": contract, "level": 1, "from_utc_time": -1000}
        client.send("time_and_sales_requests", request_id=4, time_and_sales_parameters=past)
        assert (await client.next("time_and_sales_reports")).result_code == TicksCode.ACTIVE_REQUESTS_LIMIT_VIOLATION
        await client.next("time_bar_reports")
        await client.next("time_bar_reports")
        client.send("time_bar_requests", request_id=5, request_type=2, time_bar_parameters=bars)
        assert (await client.next("time_bar_reports")).status_code == BarStatus.SUBSCRIBED
        client.send("time_bar_requests", request_id=6, request_type=2, time_bar_parameters=bars)
        assert (await client.next("time_bar_reports")).status_code == BarStatus.SUBSCRIPTION_LIMIT_VIOLATION


@pytest_twisted.ensureDeferred
async def test_trade_subscriptions_and_their_accounts_have_limits():
    async with World(limits=only(trade_subscriptions=2, trade_accounts=4)) as world:
        client = await world.client()
        for number, accounts in ((1, [1000001]), (2, []), (2, [1000002]), (3, [1000003])):
            more = {"publication_type": 1, "account_ids": accounts} if accounts else {}
            client.send("trade_subscriptions", id=number, subscribe=True, subscription_scopes=[1], **more)
        await client.settled()
        assert [one.status_code for one in client.all("trade_subscription_statuses")] == [
            0,
            0,
            0,
            TradeStatus.SUBSCRIPTION_LIMIT_VIOLATION,
        ]
        client.send("trade_subscriptions", id=1, subscribe=False)
        client.send("trade_subscriptions", id=4, subscribe=True, subscription_scopes=[2])
        await client.settled()
        assert [one.status_code for one in client.all("trade_subscription_statuses")] == [0, 0]
        client.send("trade_subscriptions", id=2, subscribe=True, subscription_scopes=[1])
        status = await client.next("trade_subscription_statuses")
        assert status.status_code == TradeStatus.SUBSCRIBED_ACCOUNTS_LIMIT_VIOLATION


@pytest.mark.parametrize("limits", [only(orders=2), only(account_orders=2)])
@pytest_twisted.ensureDeferred
async def test_order_requests_have_limits(limits):
    async with World(limits=limits) as world:
        client = await world.client()
        contract = (await client.resolve("EPZ26")).contract_id
        for number in range(3):
            client.send(
                "order_requests",
                request_id=number,
                new_order={
                    "order": {
                        "account_id": 1000001,
                        "contract_id": contract,
                        "cl_order_id": f"o{number}",
                        "order_type": 2,
                        "duration": 1,
                        "side": 1,
                        "qty": {"significand": 1},
                        "scaled_limit_price": 24000,
                        "when_utc_timestamp": {"seconds": 1},
                    }
                },
            )
        await client.settled()
        (reject,) = client.all("order_request_rejects")
        assert reject.request_id == 2
        assert "too many" in reject.details.text
        assert len(world.venue.live_orders()) == 2


@pytest_twisted.ensureDeferred
async def test_logons_a_day_have_a_limit():
    async with World(limits=only(logons=2)) as world:
        await world.client("a")
        await world.client("a")
        third = await world.connect()
        result = await third.logon("a")
        assert result.result_code == LogonCode.FAILURE
        assert "too many" in result.text_message
        await world.client("b")
        world.clock.advance(86_401)
        await world.client("a")


# -- who reads slowly


def data(contract, *quotes, is_snapshot=False):
    """Return market data: quotes as (type, price) or (type, price, indicators)."""
    message = ServerMsg()
    one = message.real_time_market_data.add(contract_id=contract, is_snapshot=is_snapshot)
    for place, (kind, price, *more) in enumerate(quotes):
        quote = one.quotes.add(type=kind, scaled_price=price)
        if place == 0:
            quote.quote_utc_time = 7
        if more:
            quote.indicators.extend(more[0])
    return message


def left(waiting):
    return [
        [(quote.type, quote.scaled_price) for quote in one.quotes]
        for _, message in waiting
        for one in message.real_time_market_data
    ]


BOTH = [
    data(1, (3, 100), (4, 101)),
    data(1, (1, 100), (2, 101)),
    data(1, (0, 100, [4])),
    data(2, (0, 50, [4])),
    data(1, (0, 99, [4, 3])),
    data(1, (3, 100), (3, 98), (5, 97)),
    data(1, (1, 99), (0, 98, [4])),
]


END = [[(0, 99)], [(3, 100), (3, 98), (5, 97)], [(1, 99), (0, 98)]]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (0, 7),
        (1, [[(4, 101)], [(1, 100), (2, 101)], [(0, 100)], [(0, 50)], *END]),
        (2, [[(4, 101)], [(2, 101)], [(0, 100)], [(0, 50)], *END]),
        (3, [[(4, 101)], [(2, 101)], [(0, 50)], *END]),
    ],
)
def test_each_level_merges_its_own_and_never_highs_lows_or_settlements(level, expected):
    waiting = deque((0.0, type(one).FromString(one.SerializeToString())) for one in BOTH)
    got = merge(waiting, level)
    if level == 0:
        assert len(got) == expected
        return
    assert left(got) == expected
    assert all(
        quote.quote_utc_time == 7 for _, m in got for one in m.real_time_market_data for quote in one.quotes[:1]
    ), "a quote that lost the one before it says its time itself"
    assert {one.collapsing_level for _, m in got for one in m.real_time_market_data} == {level}


def test_nothing_is_merged_across_a_snapshot():
    waiting = deque(
        (0.0, one) for one in (data(1, (1, 5)), data(1, (1, 6), is_snapshot=True), data(1, (1, 7)), data(1, (1, 8)))
    )
    assert left(merge(waiting, 3)) == [[(1, 5)], [(1, 6)], [(1, 8)]]


def test_pieces_keep_below_the_bound_and_lose_nothing():
    bar = message_class("historical_2.TimeBar")
    rows = [bar(bar_utc_time=n, scaled_close_price=10**12) for n in range(1000)]
    cut = list(pieces(rows, is_small=True))
    assert [n for piece, _ in cut for n in (row.bar_utc_time for row in piece)] == list(range(1000))
    assert max(sum(row.ByteSize() + 2 for row in piece) for piece, _ in cut) < 4000
    assert [is_last for _, is_last in cut] == [False] * (len(cut) - 1) + [True]
    assert list(pieces([], is_small=True)) == [([], True)]
    assert len(list(pieces(rows, is_small=False))) == 1
    together = list(pieces(rows, is_small=True, keeps=lambda a, b: b.bar_utc_time < 900))
    assert len(together[0][0]) == 900


LOW, LAST = 888_001, 888_003


async def stalled(world, client):
    """Have the client read nothing, and send it market data until the server notices."""
    contract = (await client.resolve("EPZ26")).contract_id
    client.send("market_data_subscriptions", contract_id=contract, request_id=1, level=4)
    await client.next("real_time_market_data")
    client.pump.pause()
    connection = world.endpoint.connections[0]
    number = 0
    while not len(connection.backlog) and not connection.is_over:
        for _ in range(500):
            number += 1
            connection.send(
                data(contract, *[(3, price) for price in range(number % 7, 200)], (1, number), (0, number, [4]))
            )
        await pause(0.01)
    return connection, contract, number


@pytest_twisted.ensureDeferred
async def test_a_slow_reader_gets_merged_data_and_nothing_is_lost_of_what_counts():
    async with World(collapse_after=(0.05, 0.1, 0.15, 60.0)) as world:
        client = await world.client(max_collapsing_level=3)
        connection, contract, number = await stalled(world, client)
        for _ in range(100):
            number += 1
            connection.send(data(contract, (3, 5), (1, number), (0, number, [4])))
        waited = len(connection.backlog)
        await pause(0.3)
        assert len(connection.backlog) < waited, "what waits is merged, though nobody reads"
        connection.send(data(contract, (0, LOW, [3, 4]), (5, 2)))
        connection.send(data(contract, (0, LAST, [4])))
        client.pump.resume()
        await client.until(
            lambda: any(
                q.type == 0 and q.scaled_price == LAST
                for n, p in client.got
                if n == "real_time_market_data"
                for q in p.quotes
            )
        )
        got = client.all("real_time_market_data")
        assert {one.collapsing_level for one in got} >= {0, 3}
        last = [one for one in got if one.collapsing_level == 3]
        trades = [q.scaled_price for one in last for q in one.quotes if q.type == 0]
        assert trades[-2:] == [LOW, LAST], "the low stays, though a later trade follows"
        assert 5 in {q.type for one in last for q in one.quotes}
        assert number in {q.scaled_price for one in got for q in one.quotes if q.type == 1}


@pytest_twisted.ensureDeferred
async def test_who_allows_no_merging_gets_everything():
    async with World(collapse_after=(0.05, 0.1, 0.15, 60.0)) as world:
        client = await world.client(max_collapsing_level=0)
        connection, _, number = await stalled(world, client)
        await pause(0.3)
        client.pump.resume()
        await client.until(lambda: not len(connection.backlog))
        await client.settled()
        trades = [q.scaled_price for one in client.all("real_time_market_data") for q in one.quotes if q.type == 0]
        assert trades == list(range(1, number + 1))


@pytest_twisted.ensureDeferred
async def test_orders_do_not_wait_behind_market_data():
    async with World() as world:
        client = await world.client(max_collapsing_level=0)
        connection, _, _ = await stalled(world, client)
        connection.tell_user(MessageType.INFO, "order news")
        client.pump.resume()
        await client.next("user_messages")
        places = [n for n, _ in client.got]
        await client.until(lambda: not len(connection.backlog))
        await client.settled()
        assert len(client.got) > len(places)


@pytest_twisted.ensureDeferred
async def test_who_reads_nothing_at_all_is_let_go():
    async with World(collapse_after=(0.05, 0.1, 0.15, 0.3)) as world:
        client = await world.client(max_collapsing_level=3)
        connection, _, _ = await stalled(world, client)
        for _ in range(400):
            await pause(0.05)
            if connection.is_over:
                break
        assert connection.is_over
        client.pump.resume()
        await client.gone()
        assert connection not in world.endpoint.connections
