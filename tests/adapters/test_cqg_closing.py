"""GoFlat and LiquidateAll: CQG closes, and tells how it went."""

from __future__ import annotations

import pytest
from adapter_harness import OrderDesk, query, turn
from cqg_run import on_cqg
from test_cqg_link import changed
from twisted.internet import reactor

from txtrader.errors import BrokerRejected, BrokerUnavailable
from txtrader.model.account import Position
from txtrader.model.order import OrderStatus, OrderUpdate


async def long(harness, shares: int = 30) -> OrderDesk:
    """Hold some IBM."""
    (ibm, *_) = await harness.adapter.resolve(query("IBM"))
    await harness.quote("99.00", "101.00")
    desk = OrderDesk(harness, ibm)
    desk.submit(type="Market", quantity=shares)
    await harness.sink.until(Position, lambda position: position.quantity == shares)
    return desk


@on_cqg
async def test_an_account_is_made_flat_orders_first(harness):
    desk = await long(harness)
    order = desk.submit(limit="50.00")
    await harness.sink.until(OrderUpdate, lambda u: u.order_ref == order.id and u.status is OrderStatus.NEW)
    mark = harness.sink.mark()
    assert await harness.adapter.go_flat([harness.account]) == {harness.account: "done"}
    await harness.sink.until(
        OrderUpdate, lambda u: u.order_ref == order.id and u.status is OrderStatus.CANCELED, since=mark
    )
    await harness.sink.until(Position, lambda position: position.quantity == 0, since=mark)


@on_cqg
async def test_what_nobody_takes_is_left_and_told(harness):
    await long(harness)
    harness.withdraw_quotes()
    assert await harness.adapter.go_flat([harness.account]) == {harness.account: "timed-out"}


@on_cqg
async def test_one_contract_is_closed_and_no_other_order_touched(harness):
    desk = await long(harness)
    order = desk.submit(limit="50.00")
    await harness.sink.until(OrderUpdate, lambda u: u.order_ref == order.id and u.status is OrderStatus.NEW)
    mark = harness.sink.mark()
    assert await harness.adapter.liquidate(harness.account, desk.instrument) == "asked"
    await harness.sink.until(Position, lambda position: position.quantity == 0, since=mark)
    assert harness.our_order(order.id).is_open


@on_cqg(options=changed(timeout_default=0.1))
async def test_silence_is_an_unknown_outcome_not_a_guess(harness):
    desk = await long(harness)
    rules = [harness.endpoint.withhold("go_flat_statuses"), harness.endpoint.withhold("order_request_acks")]
    assert await harness.adapter.go_flat([harness.account]) == {harness.account: "unknown"}
    assert await harness.adapter.liquidate(harness.account, desk.instrument) == "unknown"
    for rule in rules:
        rule.remove()


@on_cqg
async def test_a_link_that_goes_leaves_nobody_waiting(harness):
    await long(harness)
    harness.endpoint.withhold("go_flat_statuses")
    asked = harness.adapter.go_flat([harness.account])
    await turn(reactor)
    harness.endpoint.drop_connections()
    with pytest.raises(BrokerUnavailable):
        await asked


@on_cqg(view_only=("DU1000001",))
async def test_a_refusal_carries_the_brokers_words(harness):
    with pytest.raises(BrokerRejected) as refused:
        await harness.adapter.go_flat([harness.account])
    assert refused.value.broker_code
