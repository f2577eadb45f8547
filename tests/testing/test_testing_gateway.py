"""The gateway on a broker in memory: what users may build their own tests on."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest
import pytest_twisted
from twisted.internet import reactor

from txtrader.errors import NotReady, TxTraderError
from txtrader.model.order import Side
from txtrader.testing.broker import MemoryBroker
from txtrader.testing.broker_records import stock
from txtrader.testing.gateway import MemoryGateway


def with_gateway(body):
    @pytest_twisted.ensureDeferred
    async def test(tmp_path) -> None:
        broker = MemoryBroker([stock("IBM", "1"), stock("MSFT", "2")], now_ns=time.time_ns)
        gateway = MemoryGateway(reactor, tmp_path, broker)
        await gateway.start()
        try:
            await body(gateway, broker, gateway.session())
        finally:
            await gateway.stop()

    test.__name__ = body.__name__
    return test


@with_gateway
async def test_a_strategy_buys_at_the_quote_and_has_the_position(gateway, broker, session):
    broker.quote("IBM", "99.90", "100.10")
    record = await gateway.call(session, "market_order", "IBM", 100)
    record = await gateway.order_when(session, record["id"], lambda record: record["status"] == "Filled")
    assert (record["status"], record["filled"], record["avgfillprice"]) == ("Filled", 100, Decimal("100.1"))
    positions = await gateway.call(session, "query_positions")
    assert positions == {"MEM1": {"IBM": 100}}


@with_gateway
async def test_fills_can_be_dealt_by_hand(gateway, broker, session):
    record = await gateway.call(session, "limit_order", "IBM", "99.50", 100)
    assert record["status"] == "New"
    broker.fill(record["id"], 40)
    record = await gateway.order_when(session, record["id"], lambda record: record["filled"] == 40)
    executions = await gateway.call(session, "query_order_executions", record["id"])
    assert [execution["shares"] for execution in executions.values()] == [40]
    assert (record["status"], record["remaining"]) == ("PartiallyFilled", 60)


@with_gateway
async def test_a_rejection_is_an_error_with_the_brokers_words(gateway, broker, session):
    broker.rejects = lambda order: order.side is Side.SELL
    with pytest.raises(TxTraderError) as caught:
        await gateway.call(session, "limit_order", "IBM", "99.50", -100)
    assert caught.value.code == "broker-rejected"
    assert "Order rejected" in caught.value.message


@with_gateway
async def test_without_a_link_orders_are_refused(gateway, broker, session):
    gateway.adapter.lose_link()
    with pytest.raises(TxTraderError) as caught:
        await gateway.call(session, "limit_order", "IBM", "99.50", 100)
    assert caught.value.code in ("broker-unavailable", NotReady.code)
    gateway.adapter.restore_link()
    await gateway.until(lambda: gateway.gateway.links["memory"].is_up)
    assert (await gateway.call(session, "limit_order", "IBM", "99.50", 100))["status"] == "New"
