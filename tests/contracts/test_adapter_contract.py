"""The adapter contract: what the gateway may rely on, whichever broker is behind the adapter.

Every adapter runs this very file through a harness of its own.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
import pytest_twisted
from adapter_harness import MemoryHarness, OrderDesk, query
from cqg_harness import CqgHarness
from fix_harness import FixHarness
from twisted.internet import reactor
from tws_harness import TwsHarness

from txtrader.errors import BrokerUnavailable, LinkError
from txtrader.gateway.adapter import BrokerSnapshot, LinkState, LinkStatus
from txtrader.model.execution import CommissionReport, Execution
from txtrader.model.market import Quote, Trade
from txtrader.model.order import CancelRejected, OrderRequest, OrderStatus, OrderType, OrderUpdate, Side

HARNESSES = {
    "memory": lambda: MemoryHarness(reactor),
    "tws": lambda: TwsHarness(reactor),
    "cqg": lambda: CqgHarness(reactor),
    "fix": lambda: FixHarness(reactor),
    "fix42": lambda: FixHarness(reactor, version="4.2"),
    "fix50": lambda: FixHarness(reactor, version="5.0"),
}


def contract(body):
    """Run a contract test on every adapter, from a started adapter to a clean end."""

    @pytest.mark.parametrize("name", sorted(HARNESSES))
    @pytest_twisted.ensureDeferred
    async def test(name: str) -> None:
        harness = HARNESSES[name]()
        await harness.set_up()
        try:
            harness.adapter.start()
            await harness.sink.until_state(LinkState.CONNECTED)
            (instrument, *_) = await harness.adapter.resolve(query(harness.symbol))
            await body(harness, OrderDesk(harness, instrument), instrument)
        finally:
            await harness.tear_down()

    test.__name__ = body.__name__
    test.__doc__ = body.__doc__
    return test


def about(order, *statuses):
    """Fit updates that are found to be about `order` and state one of `statuses`."""

    def fits(update: OrderUpdate) -> bool:
        is_ours = update.order_ref == order.id or (
            update.order_ref is None
            and (update.clientid, update.broker_order_id) == (order.clientid, order.broker_order_id)
        )
        return is_ours and (not statuses or update.status in statuses)

    return fits


WORKING = (OrderStatus.NEW,)


# -- the link


@contract
async def test_the_link_names_its_session_and_its_accounts(harness, desk, instrument):
    status = harness.adapter.status()
    assert status.state is LinkState.CONNECTED
    assert status.session
    assert status.mode == instrument.mode
    assert harness.account in harness.sink.accounts


@contract
async def test_states_are_told_in_sequence_and_connected_comes_after_connecting(harness, desk, instrument):
    states = [status.state for status in harness.sink.of(LinkStatus)]
    assert states.index(LinkState.CONNECTING) < states.index(LinkState.CONNECTED)


@contract
async def test_a_lost_link_is_told_and_comes_back_as_a_new_session(harness, desk, instrument):
    session = harness.adapter.status().session
    mark = harness.sink.mark()
    await harness.lose_link()
    await harness.sink.until_state(LinkState.DISCONNECTED, since=mark)
    await harness.restore_link()
    status = await harness.sink.until_state(LinkState.CONNECTED, since=mark)
    assert status.session not in (None, session)


@contract
async def test_a_silent_broker_makes_the_link_stale(harness, desk, instrument):
    mark = harness.sink.mark()
    await harness.go_silent()
    await harness.sink.until_state(LinkState.STALE, since=mark)


@contract
async def test_every_question_ends_when_the_link_breaks(harness, desk, instrument):
    await harness.go_silent()
    asked = [harness.adapter.snapshot(), harness.adapter.resolve(query(harness.unknown_symbol))]
    mark = harness.sink.mark()
    await harness.lose_link()
    await harness.sink.until_state(LinkState.DISCONNECTED, since=mark)
    for question in asked:
        with pytest.raises(LinkError):
            await question.addTimeout(10, reactor)


@contract
async def test_a_question_without_a_link_is_refused_at_once(harness, desk, instrument):
    await harness.lose_link()
    await harness.sink.until_state(LinkState.DISCONNECTED)
    with pytest.raises(BrokerUnavailable):
        await harness.adapter.snapshot().addTimeout(10, reactor)


# -- instruments and data


@contract
async def test_a_symbol_resolves_to_its_instrument(harness, desk, instrument):
    assert instrument.symbol.split("@")[0] == harness.symbol
    assert instrument.instrument_id
    assert instrument.tick is not None and instrument.tick > 0


@contract
async def test_an_unknown_symbol_resolves_to_nothing(harness, desk, instrument):
    assert list(await harness.adapter.resolve(query(harness.unknown_symbol))) == []


@contract
async def test_a_subscription_brings_quotes_and_trades_as_decimals(harness, desk, instrument):
    harness.adapter.subscribe(instrument)
    await harness.quote("99.90", "100.10")
    quote = await harness.sink.until(Quote, lambda quote: quote.bid is not None and quote.ask is not None)
    assert (quote.bid, quote.ask) == (Decimal("99.90"), Decimal("100.10"))
    assert (quote.bidsize, quote.asksize) == (Decimal(100), Decimal(100)) or quote.asksize is None
    await harness.print_trade("100.00")
    trade = await harness.sink.until(Trade, lambda trade: trade.last == Decimal(100))
    assert trade.symbol == quote.symbol == instrument.symbol
    assert isinstance(trade.last, Decimal)


@contract
async def test_prices_that_were_there_before_the_subscription_go_when_they_go(harness, desk, instrument):
    await harness.quote("99.90", "100.10")
    harness.adapter.subscribe(instrument)
    await harness.sink.until(Quote, lambda quote: (quote.bid, quote.ask) == (Decimal("99.90"), Decimal("100.10")))
    await harness.quote("99.80", "100.20")
    await harness.sink.until(Quote, lambda quote: (quote.bid, quote.ask) == (Decimal("99.80"), Decimal("100.20")))


@contract
async def test_a_subscription_is_back_once_after_a_reconnect(harness, desk, instrument):
    harness.adapter.subscribe(instrument)
    await harness.quote("99.90", "100.10")
    await harness.sink.until(Quote, lambda quote: quote.ask == Decimal("100.10"))
    mark = harness.sink.mark()
    await harness.lose_link()
    await harness.sink.until_state(LinkState.DISCONNECTED, since=mark)
    await harness.restore_link()
    await harness.sink.until_state(LinkState.CONNECTED, since=mark)
    back = harness.sink.mark()
    await harness.quote("99.80", "100.20")
    await harness.sink.until(Quote, lambda quote: quote.ask == Decimal("100.20") and not quote.stale, since=back)
    assert harness.open_lines() == 1


@contract
async def test_an_unsubscribed_symbol_is_quiet(harness, desk, instrument):
    harness.adapter.subscribe(instrument)
    await harness.quote("99.90", "100.10")
    await harness.sink.until(Quote, lambda quote: quote.ask == Decimal("100.10"))
    harness.adapter.unsubscribe(instrument)
    await harness.adapter.broker_time()  # a round trip: the broker has seen it
    mark = harness.sink.mark()
    await harness.quote("99.80", "100.20")
    await harness.adapter.broker_time()
    assert harness.sink.of(Quote, since=mark) == []


# -- orders


@contract
async def test_reserved_ids_are_never_given_twice(harness, desk, instrument):
    taken = [harness.adapter.reserve() for _ in range(5)]
    assert len(set(taken)) == 5 or taken == [(None, None)] * 5


@contract
async def test_a_limit_order_is_acknowledged_with_our_reference(harness, desk, instrument):
    await harness.quote("99.90", "100.10")
    order = desk.submit(limit="99.00")
    update = await harness.sink.until(OrderUpdate, about(order, *WORKING))
    assert update.permid
    assert update.order_ref in (order.id, None)


@contract
async def test_a_market_order_fills_at_the_quote(harness, desk, instrument):
    await harness.quote("99.90", "100.10")
    order = desk.submit(type=OrderType.MARKET)
    execution = await harness.sink.until(Execution, lambda execution: execution.order_ref == order.id)
    assert (execution.shares, execution.price) == (Decimal(100), Decimal("100.10"))
    assert execution.side.action == "BUY"
    assert execution.account == harness.account
    await harness.sink.until(OrderUpdate, about(order, OrderStatus.FILLED))


@contract
async def test_each_partial_fill_is_one_execution_with_its_commission(harness, desk, instrument):
    order = desk.submit(limit="99.00")
    await harness.sink.until(OrderUpdate, about(order, *WORKING))
    await harness.fill(order.id, 40, "99.00")
    first = await harness.sink.until(Execution, lambda execution: execution.order_ref == order.id)
    mark = harness.sink.mark()
    await harness.fill(order.id, 60, "99.00")
    second = await harness.sink.until(
        Execution, lambda execution: execution.order_ref == order.id and execution.exec_id != first.exec_id, since=mark
    )
    assert (first.shares, second.shares) == (Decimal(40), Decimal(60))
    await harness.sink.until(OrderUpdate, about(order, OrderStatus.FILLED))
    for execution in (first, second):
        await harness.sink.until(CommissionReport, lambda report, known=execution: report.exec_id == known.exec_id)
    reported = [execution.exec_id for execution in harness.sink.of(Execution)]
    assert len(reported) == len(set(reported))


@contract
async def test_a_sell_order_sells(harness, desk, instrument):
    await harness.quote("99.90", "100.10")
    order = desk.submit(Side.SELL, type=OrderType.MARKET)
    execution = await harness.sink.until(Execution, lambda execution: execution.order_ref == order.id)
    assert execution.side.action == "SELL"
    assert execution.price == Decimal("99.90")


@contract
async def test_a_stop_order_rests_until_its_price_trades(harness, desk, instrument):
    await harness.print_trade("100.00")  # the last price decides whether a stop is reached already
    await harness.quote("99.90", "100.10")
    order = desk.submit(type=OrderType.STOP, stop="100.50")
    await harness.sink.until(OrderUpdate, about(order, *WORKING))
    assert [e for e in harness.sink.of(Execution) if e.order_ref == order.id] == []
    await harness.quote("100.40", "100.80")
    await harness.print_trade("100.60")
    execution = await harness.sink.until(Execution, lambda execution: execution.order_ref == order.id)
    assert execution.price == Decimal("100.80")


@contract
async def test_a_stop_limit_order_keeps_its_limit_when_elected(harness, desk, instrument):
    await harness.print_trade("100.00")
    await harness.quote("99.90", "101.00")
    order = desk.submit(type=OrderType.STOP_LIMIT, stop="100.50", limit="100.70")
    await harness.sink.until(OrderUpdate, about(order, *WORKING))
    await harness.print_trade("100.60")
    await harness.adapter.broker_time()
    assert [e for e in harness.sink.of(Execution) if e.order_ref == order.id] == []
    await harness.fill(order.id, 100, "100.70")
    execution = await harness.sink.until(Execution, lambda execution: execution.order_ref == order.id)
    assert execution.price == Decimal("100.70")


@contract
async def test_a_cancel_is_confirmed_by_evidence(harness, desk, instrument):
    order = desk.submit(limit="99.00")
    await harness.sink.until(OrderUpdate, about(order, *WORKING))
    harness.adapter.cancel(order)
    update = await harness.sink.until(OrderUpdate, about(order, OrderStatus.CANCELED))
    assert update.status is OrderStatus.CANCELED


@contract
async def test_a_cancel_of_a_filled_order_is_refused_and_the_fill_stands(harness, desk, instrument):
    await harness.quote("99.90", "100.10")
    order = desk.submit(type=OrderType.MARKET)
    await harness.sink.until(OrderUpdate, about(order, OrderStatus.FILLED))
    mark = harness.sink.mark()
    harness.adapter.cancel(order)
    await harness.sink.until(CancelRejected, since=mark)
    assert [u for u in harness.sink.of(OrderUpdate, since=mark) if about(order, OrderStatus.CANCELED)(u)] == []


@contract
async def test_a_replace_changes_price_and_total(harness, desk, instrument):
    order = desk.submit(limit="99.00")
    await harness.sink.until(OrderUpdate, about(order, *WORKING))
    mark = harness.sink.mark()
    harness.adapter.replace(
        order,
        OrderRequest(
            instrument=instrument,
            side=order.side,
            quantity=Decimal(150),
            type=order.type,
            limit_price=Decimal("98.50"),
            account=order.account,
        ),
    )
    update = await harness.sink.until(
        OrderUpdate,
        lambda update: about(order)(update) and update.limit_price == Decimal("98.50"),
        since=mark,
    )
    assert update.quantity == Decimal(150)
    await harness.fill(order.id, 150, "98.50")
    await harness.sink.until(OrderUpdate, about(order, OrderStatus.FILLED), since=mark)


@contract
async def test_a_rejection_carries_the_brokers_code_and_words(harness, desk, instrument):
    await harness.quote("99.90", "100.10")
    order = harness.broken_order(desk.make(limit="99.00"))
    harness.adapter.submit(order)
    update = await harness.sink.until(OrderUpdate, about(order, OrderStatus.REJECTED))
    assert update.error_code is not None
    assert update.error_message


@contract
async def test_cancel_all_cancels_what_is_open(harness, desk, instrument):
    orders = [desk.submit(limit=price) for price in ("99.00", "98.00")]
    for order in orders:
        await harness.sink.until(OrderUpdate, about(order, *WORKING))
    harness.adapter.cancel_all()
    for order in orders:
        await harness.sink.until(OrderUpdate, about(order, OrderStatus.CANCELED))


# -- reconciliation


@contract
async def test_a_snapshot_holds_every_part_in_full(harness, desk, instrument):
    await harness.quote("99.90", "100.10")
    resting = desk.submit(limit="99.00")
    filled = desk.submit(type=OrderType.MARKET)
    canceled = desk.submit(limit="98.00")
    await harness.sink.until(OrderUpdate, about(resting, *WORKING))
    await harness.sink.until(OrderUpdate, about(filled, OrderStatus.FILLED))
    await harness.sink.until(OrderUpdate, about(canceled, *WORKING))
    harness.adapter.cancel(canceled)
    await harness.sink.until(OrderUpdate, about(canceled, OrderStatus.CANCELED))
    snapshot = await harness.adapter.snapshot()
    assert isinstance(snapshot, BrokerSnapshot)
    assert snapshot.session == harness.adapter.status().session
    assert harness.account in snapshot.accounts
    assert any(about(resting, *WORKING)(update) for update in snapshot.open_orders)
    assert not any(about(filled)(update) for update in snapshot.open_orders)
    completed = list(snapshot.completed_orders)
    assert any(about(canceled, OrderStatus.CANCELED)(update) for update in completed)
    (execution,) = [execution for execution in snapshot.executions if execution.order_ref == filled.id]
    assert execution.shares == Decimal(100)
    assert any(report.exec_id == execution.exec_id for report in snapshot.commissions)
    if not getattr(harness, "tells_positions", True):
        assert snapshot.positions is None  # not offered, which is not the same as none
        return
    (position,) = [position for position in snapshot.positions if position.symbol == instrument.symbol]
    assert position.quantity == Decimal(100)


@contract
async def test_fills_during_an_outage_are_in_the_next_snapshot(harness, desk, instrument):
    order = desk.submit(limit="99.00")
    await harness.sink.until(OrderUpdate, about(order, *WORKING))
    mark = harness.sink.mark()
    await harness.lose_link()
    await harness.sink.until_state(LinkState.DISCONNECTED, since=mark)
    await harness.fill(order.id, 100, "99.00")
    await harness.restore_link()
    await harness.sink.until_state(LinkState.CONNECTED, since=mark)
    snapshot = await harness.adapter.snapshot()
    assert [execution.shares for execution in snapshot.executions if execution.order_ref == order.id] == [Decimal(100)]


@contract
async def test_a_strangers_order_is_seen_and_can_be_cancelled(harness, desk, instrument):
    await harness.place_stranger(Side.BUY, 70, "97.00")
    snapshot = await harness.adapter.snapshot()
    (foreign,) = [update for update in snapshot.open_orders if update.limit_price == Decimal("97.00")]
    assert foreign.quantity == Decimal(70)
    assert foreign.permid
    adopted = msgspec.structs.replace(
        desk.make(limit="97.00"),
        id="TX-ADOPTED-000001",
        order_ref=foreign.order_ref,
        permid=foreign.permid,
        broker_order_id=foreign.broker_order_id,
        clientid=foreign.clientid,
    )
    harness.adapter.cancel(adopted)
    await harness.sink.until(
        OrderUpdate, lambda update: update.permid == foreign.permid and update.status is OrderStatus.CANCELED
    )


@contract
async def test_a_broken_snapshot_fails_as_a_whole(harness, desk, instrument):
    await harness.go_silent()
    question = harness.adapter.snapshot()
    await harness.lose_link()
    with pytest.raises(LinkError):
        await question.addTimeout(10, reactor)


@contract
async def test_the_brokers_clock_is_nanoseconds(harness, desk, instrument):
    assert await harness.adapter.broker_time() > 1_000_000_000_000_000_000
