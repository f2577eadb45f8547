"""Orders and changes that wait for their turn to leave: what has not left is never said to be live (F15, G3)."""

from __future__ import annotations

from decimal import Decimal

import pytest_twisted
from test_tws_adapter import about, by, trading, working

from txtrader.model.order import CancelRejected, OrderStatus, OrderUpdate


@pytest_twisted.ensureDeferred
async def test_an_order_that_waits_is_told_when_it_has_left_and_before_the_brokers_word() -> None:
    async with trading(message_rate=10.0) as (harness, desk, _):
        orders = [desk.make(limit="90.00") for _ in range(15)]
        at_once = [harness.adapter.submit(order) for order in orders]
        assert at_once[-1] is False
        await working(harness, orders[-1])
        facts = [fact for fact in harness.sink.of(OrderUpdate) if fact.order_ref == orders[-1].id]
        assert facts[0].send_time is not None
        assert facts[0].status is None
        assert not [
            fact
            for order, left in zip(orders, at_once, strict=True)
            for fact in harness.sink.of(OrderUpdate)
            if left and fact.order_ref == order.id and fact.send_time is not None
        ], "one that leaves at once has no need to be told of"


@pytest_twisted.ensureDeferred
async def test_what_never_left_says_so_with_a_code_of_ours() -> None:
    async with trading(message_rate=10.0) as (harness, desk, _):
        orders = [desk.submit(limit="90.00") for _ in range(15)]
        harness.adapter.cancel(orders[-1])
        taken = await harness.sink.until(OrderUpdate, about(orders[-1], OrderStatus.REJECTED))
        assert (taken.has_left, taken.error_code) == (False, None)
        harness.endpoint.drop_connections()
        lost = await harness.sink.until(OrderUpdate, about(orders[-2], OrderStatus.REJECTED))
        assert (lost.has_left, lost.error_code) == (False, "broker-unavailable")


@pytest_twisted.ensureDeferred
async def test_a_change_that_waits_does_not_follow_the_cancel() -> None:
    """Sent after the cancel it would carry the id of an order that is over."""
    async with trading(message_rate=10.0) as (harness, desk, instrument):
        first = desk.submit(limit="90.00")
        await working(harness, first)
        for _ in range(15):
            desk.submit(limit="80.00")
        harness.adapter.replace(first, by(first, instrument, limit_price=Decimal("91.00")))
        harness.adapter.cancel(first)
        refused = await harness.sink.until(CancelRejected)
        assert (refused.request, refused.order_ref) == ("replace", first.id)
        await harness.sink.until(OrderUpdate, about(first, OrderStatus.CANCELED))
        shown = [fact.limit_price for fact in harness.sink.of(OrderUpdate) if fact.order_ref == first.id]
        assert Decimal("91.00") not in shown
