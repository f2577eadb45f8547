"""Faults of the simulated CQG server on command."""

from __future__ import annotations

from decimal import Decimal

import pytest_twisted
from cqg_client import World
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from txtrader.exsim.records import Terms
from txtrader.model.order import OrderType, Side
from txtrader.wire.cqg.words import LogoffReason, MarketStatus, MessageType, RestoreCode, TradeStatus

RESTORE = 1


def pause(seconds):
    waited = Deferred()
    reactor.callLater(seconds, waited.callback, None)
    return waited


async def trader(world, scopes=(1, 2)):
    client = await world.client(session_settings=[RESTORE])
    contract = (await client.resolve("EPZ26")).contract_id
    client.send(
        "trade_subscriptions",
        id=1,
        subscribe=True,
        subscription_scopes=list(scopes),
        publication_type=1,
        account_ids=[1000001],
    )
    await client.next("trade_snapshot_completions")
    client.all("trade_subscription_statuses")
    return client, contract


def place(client, contract, name="o1", price=24000, quantity=1):
    client.send(
        "order_requests",
        request_id=1,
        new_order={
            "order": {
                "account_id": 1000001,
                "contract_id": contract,
                "cl_order_id": name,
                "order_type": 2,
                "duration": 1,
                "side": 1,
                "qty": {"significand": quantity},
                "scaled_limit_price": price,
                "when_utc_timestamp": {"seconds": 1},
            }
        },
    )


def sell(world, price="6000", quantity=1):
    world.venue.submit(
        "stranger",
        Terms(
            listing_id=world.endpoint.names.resolve("EPZ26").id,
            account="DU1000002",
            side=Side.SELL,
            quantity=Decimal(quantity),
            type=OrderType.LIMIT,
            limit_price=Decimal(price),
        ),
    )


def steps(client):
    return [one.transaction_statuses[0].status for one in client.all("order_statuses")]


@pytest_twisted.ensureDeferred
async def test_orders_go_step_by_step_with_one_transaction_each():
    async with World() as world:
        client, contract = await trader(world)
        place(client, contract)
        await client.settled()
        sell(world)
        await client.settled()
        told = client.all("order_statuses")
        assert all(len(one.transaction_statuses) == 1 and one.HasField("order") for one in told)
        assert [one.transaction_statuses[0].status for one in told][:3] == [1, 3, 11]


@pytest_twisted.ensureDeferred
async def test_steps_are_withheld_doubled_swapped_and_late():
    async with World() as world:
        client, contract = await trader(world, [1])
        rule = world.endpoint.withhold("order_statuses.ACK_PLACE", count=1)
        place(client, contract, "a")
        await client.settled()
        assert steps(client) == [1]
        assert rule.matches == 1
        place(client, contract, "b")
        await client.settled()
        assert steps(client) == [1, 3]
        twice = world.endpoint.duplicate("order_statuses.ACK_PLACE", count=1)
        place(client, contract, "c")
        await client.settled()
        assert steps(client) == [1, 3, 3]
        twice.remove()
        swap = world.endpoint.reorder(count=2)
        place(client, contract, "d")
        await client.settled()
        assert steps(client) == [3, 1]
        swap.remove()
        world.endpoint.delay(0.05, count=2)
        place(client, contract, "e")
        await client.settled()
        assert steps(client) == []
        await client.next("order_statuses")
        await client.next("order_statuses")
        world.endpoint.end_message_faults()


@pytest_twisted.ensureDeferred
async def test_answers_are_withheld_too():
    async with World() as world:
        client, _ = await trader(world)
        world.endpoint.withhold("information_reports", count=1)
        client.send("information_requests", id=1, accounts_request={})
        client.send("information_requests", id=2, accounts_request={})
        assert (await client.next("information_reports")).id == 2


@pytest_twisted.ensureDeferred
async def test_the_connection_is_cut_after_so_many_messages():
    async with World() as world:
        client, contract = await trader(world, [1])
        world.endpoint.drop_after(1)
        place(client, contract)
        await client.gone()
        assert steps(client) in ([1], []), "cut with what was sent before, or it was still under way"
        assert len(world.venue.live_orders()) == 1


@pytest_twisted.ensureDeferred
async def test_trading_is_lost_and_comes_back_with_a_snapshot():
    async with World() as world:
        client, contract = await trader(world)
        place(client, contract, quantity=2)
        await client.settled()
        client.got.clear()
        world.endpoint.lose_trading()
        assert (await client.next("trade_subscription_statuses")).status_code == TradeStatus.DISCONNECTED
        sell(world)
        await client.settled()
        assert client.got == []
        world.endpoint.lose_trading(False)
        assert (await client.next("trade_subscription_statuses")).status_code == TradeStatus.SUCCESS
        await client.next("trade_snapshot_completions")
        assert 11 in [one.transaction_statuses[0].status for one in client.got and client.all("order_statuses")]
        (position,) = client.all("position_statuses")
        assert position.is_snapshot
        sell(world)
        await client.settled()
        assert steps(client)


@pytest_twisted.ensureDeferred
async def test_market_data_is_lost_repeated_and_lowered():
    async with World() as world:
        client, contract = await trader(world)
        client.send("market_data_subscriptions", contract_id=contract, request_id=3, level=3)
        await client.next("real_time_market_data")
        client.all("market_data_subscription_statuses")
        world.endpoint.lose_market_data()
        lost = await client.next("market_data_subscription_statuses")
        assert lost.status_code == MarketStatus.DISCONNECTED
        world.endpoint.lose_market_data(False)
        assert (await client.next("market_data_subscription_statuses")).status_code == MarketStatus.SUCCESS
        assert (await client.next("real_time_market_data")).is_snapshot
        world.endpoint.repeat_snapshots()
        assert (await client.next("real_time_market_data")).is_snapshot
        world.endpoint.lower_level(1)
        client.send("market_data_subscriptions", contract_id=contract, request_id=4, level=4)
        granted = await client.next("market_data_subscription_statuses")
        assert (granted.status_code, granted.level) == (MarketStatus.SUCCESS, 1)
        world.endpoint.lower_level(None)


@pytest_twisted.ensureDeferred
async def test_a_fill_is_corrected_and_busted():
    async with World() as world:
        client, contract = await trader(world, [1])
        place(client, contract)
        await client.settled()
        sell(world)
        await client.settled()
        told = [one for one in client.all("order_statuses") if one.transaction_statuses[0].status == 11]
        fill = told[0].transaction_statuses[0]
        revised = world.endpoint.correct(fill.trades[0].trade_id, price=Decimal("5999"))
        corrected = (await client.next("order_statuses")).transaction_statuses[0]
        assert (corrected.status, corrected.ref_trans_id) == (13, fill.trans_id)
        assert corrected.scaled_fill_price == 5999 * 4
        world.endpoint.bust(revised.exec_id)
        await client.settled()
        busted = client.all("order_statuses")[-1].transaction_statuses[0]
        assert busted.status == 15
        assert busted.ref_trans_id in (fill.trans_id, corrected.trans_id)


@pytest_twisted.ensureDeferred
async def test_silence_keeps_the_socket_and_ends():
    async with World() as world:
        client, contract = await trader(world, [1])
        world.endpoint.go_silent(hears=True)
        place(client, contract, "heard")
        await pause(0.05)
        assert client.got == []
        assert len(world.venue.live_orders()) == 1
        world.endpoint.go_silent()
        place(client, contract, "unheard")
        await pause(0.05)
        assert len(world.venue.live_orders()) == 1
        world.endpoint.go_silent(False)
        await client.settled()
        assert not client.lost


@pytest_twisted.ensureDeferred
async def test_connections_are_refused_for_a_while():
    async with World() as world:
        world.endpoint.refuse_for(0.1)
        refused = await world.connect()
        await refused.gone()
        assert not refused.is_open
        await pause(0.15)
        await world.client()


@pytest_twisted.ensureDeferred
async def test_a_restore_fails_on_command_and_tokens_are_forgotten():
    async with World() as world:
        client, _ = await trader(world)
        world.endpoint.fail_restore(RestoreCode.FAILURE)
        again = await world.connect()
        assert (await again.restore(client.token)).result_code == RestoreCode.FAILURE
        world.endpoint.forget_sessions()
        again = await world.connect()
        assert (await again.restore(client.token)).result_code == RestoreCode.UNKNOWN_SESSION
        await client.settled()


@pytest_twisted.ensureDeferred
async def test_ends_say_why():
    async with World() as world:
        first, _ = await trader(world)
        world.endpoint.break_off("limit broken")
        told = await first.next("user_messages")
        assert (told.message_type, told.text) == (MessageType.CRITICAL_ERROR, "limit broken")
        await first.gone()
        second, _ = await trader(world)
        world.endpoint.force_logoff()
        assert (await second.next("logged_off")).logoff_reason == LogoffReason.FORCED
        await second.gone()
        again = await world.connect()
        assert (await again.restore(second.token)).result_code == RestoreCode.UNKNOWN_SESSION


@pytest_twisted.ensureDeferred
async def test_bytes_that_are_no_message_reach_the_client():
    async with World() as world:
        client, _ = await trader(world)
        world.endpoint.send_raw(b"\xff\xff")
        await client.gone()
