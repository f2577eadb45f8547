"""The TWS adapter beyond the contract: TWS's own words, faults and limits, on the simulated TWS."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_twisted
from adapter_harness import OrderDesk, query, turn
from twisted.internet import reactor
from tws_harness import TwsHarness

from txtrader.adapters.tws import TwsAdapter
from txtrader.errors import BrokerRejected, BrokerUnavailable, ConfigError, InvalidArgument, NotReady
from txtrader.gateway.adapter import BrokerNotice, LinkState, LinkStatus
from txtrader.model.account import AccountValue, Position
from txtrader.model.execution import CommissionReport, ExecType, Execution
from txtrader.model.instrument import Instrument, InstrumentQuery, SecType
from txtrader.model.market import BarPeriod, BarQuery, DataType, MarketStats, Quote
from txtrader.model.order import (
    CancelRejected,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    OrderUpdate,
    OrderWarning,
    Side,
)
from txtrader.testing.sink import RecordingSink
from txtrader.twsapi.codes import CodeClass
from txtrader.wire.tws.ibapi_binding import load_binding

SECOND = 1_000_000_000


@contextlib.asynccontextmanager
async def trading(**settings: Any) -> AsyncIterator[tuple[TwsHarness, OrderDesk, Instrument]]:
    """Give a started adapter on a quiet simulated TWS, and end both."""
    endpoint = settings.pop("endpoint", {})
    harness = TwsHarness(reactor, **endpoint)
    harness.options = msgspec.structs.replace(harness.options, **settings)
    await harness.set_up()
    try:
        harness.adapter.start()
        await harness.sink.until_state(LinkState.CONNECTED)
        (instrument, *_) = await harness.adapter.resolve(query(harness.symbol))
        yield harness, OrderDesk(harness, instrument), instrument
    finally:
        await harness.tear_down()


def about(order: Order, *statuses: OrderStatus) -> Callable[[OrderUpdate], bool]:
    return lambda update: update.order_ref == order.id and (not statuses or update.status in statuses)


async def working(harness: TwsHarness, order: Order) -> OrderUpdate:
    return await harness.sink.until(OrderUpdate, about(order, OrderStatus.NEW))


def line_of(harness: TwsHarness, instrument: Instrument) -> Any:
    return harness.adapter.market._lines[instrument.instrument_id]


def by(order: Order, instrument: Instrument, **changes: Any) -> OrderRequest:
    terms = {"quantity": order.quantity, "limit_price": order.limit_price, **changes}
    return OrderRequest(instrument=instrument, side=order.side, type=order.type, account=order.account, **terms)


# --- the table of codes ---


@pytest_twisted.ensureDeferred
async def test_a_code_means_what_the_table_says_since_it_was_read_again(tmp_path: Path) -> None:
    codes = tmp_path / "codes.toml"
    table = resources.files("txtrader.twsapi").joinpath("codes.toml").read_text("utf-8")
    codes.write_text(table)
    async with trading(codes_file=str(codes)) as (harness, _, _):
        assert harness.adapter.codes.classify(19999) is None
        codes.write_text(table.replace("[classes]", '[classes]\n"19999" = "warning"'))
        harness.adapter.reload()
        assert harness.adapter.codes.classify(19999) is CodeClass.WARNING
        for wrong in ("classes = 3", "farms = 3", "no = 1", "[classes]\n1 = 'what'", "[farms]\n1 = 2\n[classes]", "\\"):
            codes.write_text(wrong)
            with pytest.raises(ConfigError):
                harness.adapter.reload()
        assert harness.adapter.codes.classify(19999) is CodeClass.WARNING
        harness.endpoint.send_notice(19999, "as the table says")
        notice = await harness.sink.until(BrokerNotice, lambda notice: notice.broker_code == 19999)
        assert "as the table says" in notice.message


# --- the link ---


@pytest_twisted.ensureDeferred
async def test_a_client_id_in_use_is_told_and_tried_again_with_the_same_id() -> None:
    async with trading() as (harness, _, _):
        sink = RecordingSink(reactor)
        second = TwsAdapter(
            harness.options, reactor, sink, mode="tws", now_ns=time.time_ns, random=__import__("random").Random(2)
        )
        second.start()
        status = await sink.until(LinkStatus, lambda told: told.login is not None and "refused" in told.login)
        assert "client id 0 is in use" in (status.reason or "")
        assert status.next_attempt is not None
        with pytest.raises(NotReady):
            second.reserve()
        harness.endpoint.drop_connections(client_id=0)
        await harness.adapter.stop()
        await sink.until_state(LinkState.CONNECTED)
        assert 0 in harness.endpoint.by_client
        await second.stop()


@pytest_twisted.ensureDeferred
async def test_lost_servers_make_the_link_stale_once_and_their_return_asks_for_a_resync() -> None:
    async with trading() as (harness, _, instrument):
        harness.adapter.subscribe(instrument)
        await harness.quote("99.90", "100.10")
        await harness.sink.until(Quote, lambda quote: quote.ask == Decimal("100.10"))
        mark = harness.sink.mark()
        for _ in range(5):
            harness.endpoint.send_notice(1100)
        await harness.sink.until_state(LinkState.STALE, since=mark)
        await harness.adapter.broker_time()
        assert [status.state for status in harness.sink.of(LinkStatus, since=mark)] == [LinkState.STALE]
        assert harness.sink.of(Quote, since=mark)[-1].stale
        session = harness.adapter.status().session
        harness.endpoint.send_notice(1102)
        status = await harness.sink.until_state(LinkState.CONNECTED, since=mark)
        assert (status.resync, status.data_lost, status.session) == (True, False, session)
        assert harness.open_lines() == 1


@pytest_twisted.ensureDeferred
async def test_data_lost_at_the_servers_is_asked_for_again_once() -> None:
    async with trading() as (harness, _, instrument):
        harness.adapter.subscribe(instrument)
        await harness.adapter.broker_time()
        before = line_of(harness, instrument).request_id
        harness.endpoint.send_notice(1100)
        mark = harness.sink.mark()
        harness.endpoint.send_notice(1101)
        status = await harness.sink.until_state(LinkState.CONNECTED, since=mark)
        assert (status.resync, status.data_lost) == (True, True)
        await harness.adapter.broker_time()
        assert line_of(harness, instrument).request_id != before
        assert harness.open_lines() == 1


@pytest_twisted.ensureDeferred
async def test_a_farm_that_flaps_tears_nothing_down() -> None:
    async with trading() as (harness, _, instrument):
        harness.adapter.subscribe(instrument)
        await harness.quote("99.90", "100.10")
        await harness.sink.until(Quote, lambda quote: quote.ask == Decimal("100.10"))
        session = harness.adapter.status().session
        mark = harness.sink.mark()
        harness.endpoint.send_notice(2103)
        await harness.sink.until(Quote, lambda quote: quote.stale, since=mark)
        farms = {farm["name"]: farm["state"] for farm in harness.adapter.status().farms}
        assert farms["usfarm"] == "broken"
        harness.endpoint.send_notice(2104)
        await harness.adapter.broker_time()
        assert {farm["name"]: farm["state"] for farm in harness.adapter.status().farms}["usfarm"] == "ok"
        assert harness.adapter.status().state is LinkState.CONNECTED
        assert harness.adapter.status().session == session
        await harness.quote("99.80", "100.20")
        await harness.sink.until(Quote, lambda quote: quote.ask == Decimal("100.20") and not quote.stale, since=mark)


@pytest_twisted.ensureDeferred
async def test_a_competing_login_makes_quotes_stale_until_they_tick_again() -> None:
    async with trading() as (harness, _, instrument):
        harness.adapter.subscribe(instrument)
        await harness.quote("99.90", "100.10")
        await harness.sink.until(Quote, lambda quote: quote.ask == Decimal("100.10"))
        mark = harness.sink.mark()
        harness.endpoint.compete()
        await harness.sink.until(Quote, lambda quote: quote.stale, since=mark)
        assert harness.adapter.status().state is LinkState.CONNECTED
        await harness.sink.until(BrokerNotice, lambda notice: notice.broker_code == 10197, since=mark)
        harness.endpoint.stop_competing()
        await harness.quote("99.70", "100.30")
        await harness.sink.until(Quote, lambda quote: quote.bid == Decimal("99.70") and not quote.stale, since=mark)


@pytest_twisted.ensureDeferred
async def test_a_server_that_accepts_and_says_nothing_is_given_up() -> None:
    harness = TwsHarness(reactor)
    harness.options = msgspec.structs.replace(harness.options, handshake=0.2)
    await harness.set_up()
    harness.endpoint.go_silent()
    harness.adapter.start()
    try:
        status = await harness.sink.until_state(LinkState.DISCONNECTED)
        assert "did not log us in" in (status.reason or "")
        harness.endpoint.go_silent(False)
        await harness.sink.until_state(LinkState.CONNECTED)
    finally:
        await harness.tear_down()


@pytest_twisted.ensureDeferred
async def test_the_older_package_says_at_the_start_what_it_is_not_for() -> None:
    async with trading() as (harness, _, _):
        notices = [notice.message for notice in harness.sink.of(BrokerNotice) if "10.x" in notice.message]
        assert len(notices) == (1 if load_binding().is_old else 0)


# --- orders ---


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("code", [399, 404, 2109, 10349, 2137, 99999])
async def test_a_warning_never_ends_an_order(code: int) -> None:
    async with trading() as (harness, desk, _):
        order = desk.submit(limit="90.00")
        await working(harness, order)
        mark = harness.sink.mark()
        harness.endpoint.send_notice(code, "a remark", req_id=int(order.broker_order_id or 0))
        warning = await harness.sink.until(OrderWarning, since=mark)
        assert (warning.code, warning.order_ref) == (code, order.id)
        assert [u for u in harness.sink.of(OrderUpdate, since=mark) if u.status is OrderStatus.REJECTED] == []


@pytest_twisted.ensureDeferred
async def test_an_error_alone_never_ends_an_acknowledged_order() -> None:
    async with trading() as (harness, desk, _):
        order = desk.submit(limit="90.00")
        await working(harness, order)
        mark = harness.sink.mark()
        harness.endpoint.send_notice(201, "Order rejected - reason:so they say", req_id=int(order.broker_order_id or 0))
        looked = await harness.sink.until(OrderUpdate, lambda update: update.is_snapshot, since=mark)
        assert looked.status is OrderStatus.NEW  # TWS was asked how it stands
        statuses = [update.status for update in harness.sink.of(OrderUpdate, since=mark)]
        assert OrderStatus.REJECTED not in statuses
        assert OrderStatus.CANCELED not in statuses


@pytest_twisted.ensureDeferred
async def test_a_rejection_has_its_reason_at_once_and_is_no_warning() -> None:
    async with trading() as (harness, desk, _):
        order = desk.submit(quantity=500_000_000, limit="90.00")
        first = await harness.sink.until(OrderUpdate, lambda update: update.status is OrderStatus.REJECTED)
        assert "margin" in (first.error_message or "") and first.order_ref == order.id
        coded = await harness.sink.until(OrderUpdate, lambda update: update.error_code is not None)
        assert coded.error_code == 201 and (first.error_message or "-") in (coded.error_message or "")
        await turn(reactor)
        assert harness.sink.of(OrderWarning) == []
        assert [update.warning for update in harness.sink.of(OrderUpdate) if update.warning] == []


@pytest_twisted.ensureDeferred
async def test_a_refused_change_leaves_the_order_as_it_was() -> None:
    async with trading() as (harness, desk, instrument):
        order = desk.submit(limit="90.00")
        await working(harness, order)
        mark = harness.sink.mark()
        harness.adapter.replace(order, by(order, instrument, limit_price=Decimal("90.0001")))
        rejected = await harness.sink.until(CancelRejected, since=mark)
        assert (rejected.request, rejected.order_ref) == ("replace", order.id)
        assert rejected.code
        assert harness.our_order(order.id).terms.limit_price == Decimal("90.00")
        harness.adapter.cancel(order)
        await harness.sink.until(OrderUpdate, about(order, OrderStatus.CANCELED), since=mark)


@pytest_twisted.ensureDeferred
async def test_an_order_that_tws_refuses_comes_back_with_its_words() -> None:
    async with trading() as (harness, desk, _):
        order = desk.submit(limit="99.0001")
        update = await harness.sink.until(OrderUpdate, about(order, OrderStatus.REJECTED))
        assert update.error_code == 110
        assert "minimum price variation" in (update.error_message or "")


@pytest_twisted.ensureDeferred
async def test_a_route_that_tws_does_not_have_never_leaves() -> None:
    async with trading() as (harness, desk, _):
        order = desk.submit(limit="90.00", route="NOWHERE")
        update = await harness.sink.until(OrderUpdate, about(order, OrderStatus.REJECTED))
        assert "route" in (update.error_message or "")
        assert harness.venue.live_orders(account=harness.account) == []


@pytest_twisted.ensureDeferred
async def test_route_parameters_reach_no_other_field() -> None:
    async with trading() as (harness, desk, _):
        order = desk.submit(limit="90.00", route="SMART", route_params={"account": "DU9"})
        await harness.sink.until(OrderUpdate, about(order, OrderStatus.REJECTED))
        assert harness.venue.live_orders(account=harness.account) == []


@pytest_twisted.ensureDeferred
async def test_a_cancel_of_an_order_that_tws_does_not_know_is_refused_and_looked_into() -> None:
    async with trading() as (harness, desk, _):
        order = desk.make(limit="90.00")  # reserved, never sent
        mark = harness.sink.mark()
        harness.adapter.cancel(order)
        rejected = await harness.sink.until(CancelRejected, since=mark)
        assert (rejected.request, rejected.code) == ("cancel", 10147)


@pytest_twisted.ensureDeferred
async def test_an_order_of_another_client_cannot_be_cancelled_by_its_number() -> None:
    async with trading() as (harness, desk, _):
        foreign = msgspec.structs.replace(desk.make(limit="90.00"), clientid=5)
        harness.adapter.cancel(foreign)
        rejected = await harness.sink.until(CancelRejected)
        assert rejected.code == "unsupported"


@pytest_twisted.ensureDeferred
async def test_what_waits_for_its_turn_is_withdrawn_by_a_cancel_and_never_seen_by_the_broker() -> None:
    async with trading(message_rate=10.0) as (harness, desk, _):
        orders = [desk.submit(limit="90.00") for _ in range(15)]
        harness.adapter.cancel(orders[-1])
        update = await harness.sink.until(OrderUpdate, about(orders[-1], OrderStatus.REJECTED))
        assert update.error_message == "cancelled before it was sent"
        await working(harness, orders[-2])
        references = {order.terms.client_order_id for order in harness.venue.live_orders()}
        assert orders[-1].id not in references
        assert orders[-2].id in references


@pytest_twisted.ensureDeferred
async def test_orders_that_wait_when_the_link_breaks_are_rejected_before_the_loss_is_told() -> None:
    async with trading(message_rate=10.0) as (harness, desk, _):
        orders = [desk.submit(limit="90.00") for _ in range(15)]
        mark = harness.sink.mark()
        harness.endpoint.drop_connections()
        await harness.sink.until_state(LinkState.DISCONNECTED, since=mark)
        facts = harness.sink.facts[mark:]
        lost = next(i for i, fact in enumerate(facts) if isinstance(fact, LinkStatus))
        told = {
            fact.order_ref
            for fact in facts[:lost]
            if isinstance(fact, OrderUpdate) and fact.status is OrderStatus.REJECTED
        }
        assert orders[-1].id in told


@pytest_twisted.ensureDeferred
async def test_no_more_messages_leave_in_any_second_than_the_limit() -> None:
    # Half the broker's limit: it counts by its own clock, and a busy machine may deliver two bursts as one.
    async with trading(endpoint={"message_rate": 45}, message_rate=20.0) as (harness, desk, _):
        orders = [desk.submit(limit="90.00") for _ in range(55)]
        await working(harness, orders[-1])
        assert [n for n in harness.sink.of(BrokerNotice) if n.broker_code == 100] == []
        assert [u for u in harness.sink.of(OrderUpdate) if u.error_code == 100] == []


@pytest_twisted.ensureDeferred
async def test_ids_that_tws_gives_out_again_are_not_taken_again() -> None:
    async with trading() as (harness, desk, _):
        used = [int(desk.submit(limit="90.00").broker_order_id or 0) for _ in range(3)]
        mark = harness.sink.mark()
        harness.endpoint.restart(next_valid_id=1)
        await harness.sink.until_state(LinkState.CONNECTED, since=mark)
        taken, client_id = harness.adapter.reserve()
        assert int(taken or 0) > max(used)
        assert client_id == 0


@pytest_twisted.ensureDeferred
async def test_the_ids_of_the_journal_are_taken() -> None:
    harness = TwsHarness(reactor)
    await harness.set_up()
    try:
        old = Order(
            id="TX-OLD-000001", mode="tws", account=harness.account, symbol="IBM", side=Side.BUY, quantity=Decimal(1),
            type=OrderType.MARKET, status=OrderStatus.FILLED, submit_time=1, update_time=1, broker_order_id="777",
            clientid=0,
        )  # fmt: skip
        foreign = msgspec.structs.replace(old, id="TX-OLD-000002", broker_order_id="9999", clientid=3)
        harness.adapter.restore([old, foreign])
        with pytest.raises(NotReady):
            harness.adapter.reserve()  # never an id before TWS has said one
        harness.adapter.start()
        await harness.sink.until_state(LinkState.CONNECTED)
        assert harness.adapter.reserve() == ("778", 0)
    finally:
        await harness.tear_down()


@pytest_twisted.ensureDeferred
async def test_a_correction_and_a_bust_name_what_they_replace() -> None:
    async with trading() as (harness, desk, _):
        order = desk.submit(limit="99.00")
        await working(harness, order)
        await harness.fill(order.id, 100, "99.00")
        first = await harness.sink.until(Execution, lambda execution: execution.order_ref == order.id)
        mark = harness.sink.mark()
        harness.endpoint.correct(first.exec_id, price=Decimal("98.50"))
        corrected = await harness.sink.until(Execution, since=mark)
        assert (corrected.exec_type, corrected.replaces, corrected.price) == (
            ExecType.CORRECT, first.exec_id, Decimal("98.5"),
        )  # fmt: skip
        mark = harness.sink.mark()
        harness.endpoint.bust(corrected.exec_id)
        bust = await harness.sink.until(Execution, since=mark)
        assert (bust.exec_type, bust.replaces, bust.shares) == (ExecType.BUST, corrected.exec_id, Decimal(0))


@pytest_twisted.ensureDeferred
async def test_a_late_commission_still_comes() -> None:
    async with trading() as (harness, desk, _):
        harness.endpoint.delay_commissions(0.1)
        order = desk.submit(limit="99.00")
        await working(harness, order)
        await harness.fill(order.id, 100, "99.00")
        execution = await harness.sink.until(Execution)
        report = await harness.sink.until(CommissionReport, lambda told: told.exec_id == execution.exec_id)
        assert report.commission is not None and report.commission > 0
        assert report.currency == "USD"


@pytest_twisted.ensureDeferred
async def test_a_what_if_answers_margins_and_costs_and_sends_nothing() -> None:
    async with trading() as (harness, desk, _):
        await harness.quote("99.90", "100.10")
        answer = await harness.adapter.what_if(desk.make(limit="99.00"))
        assert isinstance(answer["init_margin"], Decimal)
        assert answer["commission_max"] >= answer["commission_min"] > 0
        assert answer["currency"] == "USD"
        assert answer["equity_with_loan"] > 10_000  # what is left of the account, not what changes
        assert harness.venue.live_orders(account=harness.account) == []
        assert harness.sink.of(OrderUpdate) == [u for u in harness.sink.of(OrderUpdate) if u.account != harness.account]


@pytest_twisted.ensureDeferred
async def test_a_what_if_that_tws_refuses_fails_with_its_words() -> None:
    async with trading() as (harness, desk, _):
        with pytest.raises(BrokerRejected) as caught:
            await harness.adapter.what_if(desk.make(limit="99.0001"))
        assert caught.value.broker_code == 110


@pytest_twisted.ensureDeferred
async def test_orders_of_one_group_cancel_each_other() -> None:
    async with trading() as (harness, desk, _):
        pair = [desk.submit(limit=price, oco_group="either", user="ann") for price in ("99.00", "98.00")]
        for order in pair:
            await working(harness, order)
        groups = {order.terms.oca_group for order in harness.venue.live_orders(account=harness.account)}
        assert groups == {f"ann.{harness.account}.either"}
        await harness.fill(pair[0].id, 100, "99.00")
        await harness.sink.until(OrderUpdate, about(pair[1], OrderStatus.CANCELED))


# --- reconciliation ---


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("end", ["openOrderEnd", "completedOrdersEnd", "execDetailsEnd", "positionEnd"])
async def test_a_snapshot_without_an_end_marker_fails_and_the_next_one_is_whole(end: str) -> None:
    async with trading(timeout_snapshot=0.3) as (harness, desk, _):
        order = desk.submit(limit="90.00")
        await working(harness, order)
        rule = harness.endpoint.withhold(end)
        with pytest.raises(BrokerUnavailable):
            await harness.adapter.snapshot()
        rule.remove()
        snapshot = await harness.adapter.snapshot()
        assert order.id in {update.order_ref for update in snapshot.open_orders}


@pytest_twisted.ensureDeferred
async def test_orders_of_other_clients_are_in_the_snapshot() -> None:
    async with trading() as (harness, _, instrument):
        options = msgspec.structs.replace(harness.options, client_id=9)
        sink = RecordingSink(reactor)
        other = TwsAdapter(
            options, reactor, sink, mode="tws", now_ns=time.time_ns, random=__import__("random").Random(3)
        )
        other.start()
        await sink.until_state(LinkState.CONNECTED)
        number, client_id = other.reserve()
        mine = OrderDesk(harness, instrument).make(limit="88.00")
        other.submit(msgspec.structs.replace(mine, broker_order_id=number, clientid=client_id))
        await sink.until(OrderUpdate, about(mine, OrderStatus.NEW))
        snapshot = await harness.adapter.snapshot()
        (update,) = [update for update in snapshot.open_orders if update.order_ref == mine.id]
        assert (update.clientid, update.limit_price, update.status) == (9, Decimal(88), OrderStatus.NEW)
        await other.stop()


@pytest_twisted.ensureDeferred
async def test_positions_change_with_fills_and_the_snapshot_has_them_whole() -> None:
    async with trading() as (harness, desk, _instrument):
        order = desk.submit(limit="99.00")
        await working(harness, order)
        await harness.fill(order.id, 100, "99.00")
        await harness.sink.until(Execution)
        await harness.adapter.snapshot()
        mark = harness.sink.mark()
        second = desk.submit(Side.SELL, 40, limit="99.50")
        await harness.sink.until(OrderUpdate, about(second, OrderStatus.NEW), since=mark)
        await harness.fill(second.id, 40, "99.50")
        position = await harness.sink.until(Position, lambda told: told.quantity == 60, since=mark)
        assert (position.symbol, position.account) == ("IBM", harness.account)
        snapshot = await harness.adapter.snapshot()
        assert [held.quantity for held in snapshot.positions if held.symbol == "IBM"] == [Decimal(60)]


@pytest_twisted.ensureDeferred
async def test_account_figures_stream_for_every_account() -> None:
    async with trading(endpoint={"accounts": ("DU1000001", "DU1000002")}) as (harness, _, _):
        for account in ("DU1000001", "DU1000002"):
            value = await harness.sink.until(
                AccountValue, lambda told, name=account: told.account == name and told.key == "NetLiquidation"
            )
            assert Decimal(value.value) > 0
        assert harness.sink.accounts == ("DU1000001", "DU1000002")


# --- instruments ---


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ibm", SecType.STOCK),
        ("IBM@IBIS$EUR", SecType.STOCK),
        ("ES:0@CME", SecType.FUTURE),
        ("EUR/USD", SecType.CASH),
        ("BTC/USD@PAXOS", SecType.CRYPTO),
        ("^SPX@CBOE", SecType.INDEX),
        ("#8314", SecType.STOCK),
    ],
)
async def test_each_form_of_the_grammar_finds_one_instrument_that_its_own_spelling_finds_again(
    text: str, kind: SecType
) -> None:
    async with trading() as (harness, _, _):
        (found,) = await harness.adapter.resolve(query(text))
        assert found.sectype is kind
        assert found.tick is not None and found.tick > 0
        (again,) = await harness.adapter.resolve(query(found.symbol))
        assert again == found


@pytest_twisted.ensureDeferred
async def test_a_future_by_month_is_spelled_by_its_day_and_rolls_in_sequence() -> None:
    async with trading() as (harness, _, _):
        (front,) = await harness.adapter.resolve(query("ES:0@CME"))
        (following,) = await harness.adapter.resolve(query("ES:1@CME"))
        assert front.expiry is not None and following.expiry is not None
        assert front.expiry < following.expiry
        (by_month,) = await harness.adapter.resolve(query(f"ES:{following.expiry[:6]}@CME"))
        assert by_month == following


@pytest_twisted.ensureDeferred
async def test_an_exchange_that_does_not_list_the_name_finds_nothing() -> None:
    async with trading() as (harness, _, _):
        assert [instrument.currency for instrument in await harness.adapter.resolve(query("IBM"))] == ["USD"]
        assert list(await harness.adapter.resolve(query("IBM@LSE"))) == []


@pytest_twisted.ensureDeferred
async def test_a_bare_name_finds_everything_that_is_called_so() -> None:
    async with trading() as (harness, _, _):
        found = await harness.adapter.resolve(InstrumentQuery(text="IBM", symbol="IBM"))
        assert {instrument.currency for instrument in found} == {"USD", "EUR"}
        assert found[0].symbol == "IBM"
        kinds = {made.sectype for made in await harness.adapter.resolve(InstrumentQuery(text="SPX", symbol="SPX"))}
        assert SecType.INDEX in kinds
        assert len({instrument.symbol for instrument in found}) == len(found)


@pytest_twisted.ensureDeferred
async def test_a_company_is_found_by_a_part_of_its_name() -> None:
    async with trading() as (harness, _, _):
        found = await harness.adapter.resolve(InstrumentQuery(text="INTL BUSINESS", symbol="INTL BUSINESS"))
        assert "IBM" in {instrument.symbol for instrument in found}


# --- market data ---


@pytest_twisted.ensureDeferred
async def test_the_marks_of_no_data_never_become_prices() -> None:
    async with trading() as (harness, _, instrument):
        harness.adapter.subscribe(instrument)
        await harness.adapter.broker_time()
        connection = harness.endpoint.by_client[0]
        request_id = line_of(harness, instrument).request_id
        mark = harness.sink.mark()
        for price, size in (("-1", "0"), ("0", "0"), ("0", "5"), ("-1", "100"), ("2147483647", "1")):
            for kind in (1, 2, 4):
                connection.send(
                    "tickPrice", reqId=request_id, tickType=kind, price=Decimal(price), size=Decimal(size), attrMask=0
                )
        await harness.adapter.broker_time()
        quotes = harness.sink.of(Quote, since=mark)
        assert (quotes[-1].bid, quotes[-1].ask) == (None, None)
        shown = {price for quote in quotes for price in (quote.bid, quote.ask) if price is not None}
        assert shown <= {Decimal("89.95"), Decimal("90"), Decimal("110")}  # what stood there before
        assert [fact for fact in harness.sink.facts[mark:] if type(fact).__name__ == "Trade"] == []


@pytest_twisted.ensureDeferred
async def test_session_figures_and_raw_fields_arrive() -> None:
    async with trading() as (harness, _, instrument):
        harness.adapter.subscribe(instrument)
        await harness.quote("99.90", "100.10")
        stats = await harness.sink.until(MarketStats, lambda told: told.close is not None)
        assert stats.close is not None and stats.close > 0
        await harness.sink.until(MarketStats, lambda told: bool(told.raw) and "bid" in (told.raw or {}))


@pytest_twisted.ensureDeferred
async def test_auction_values_are_raw_fields_and_no_quotes() -> None:
    async with trading() as (harness, _, instrument):
        harness.adapter.subscribe(instrument)
        await harness.adapter.broker_time()
        connection = harness.endpoint.by_client[0]
        request_id = line_of(harness, instrument).request_id
        mark = harness.sink.mark()
        price = {"price": Decimal("99.5"), "size": Decimal(0), "attrMask": 0}
        connection.send("tickPrice", reqId=request_id, tickType=35, **price)
        for kind, size in ((34, 100), (36, -50), (61, -50)):
            connection.send("tickSize", reqId=request_id, tickType=kind, size=Decimal(size))
        stats = await harness.sink.until(MarketStats, lambda told: "auction_price" in (told.raw or {}))
        shown = {name: value for name, value in (stats.raw or {}).items() if name.startswith(("auction", "regulatory"))}
        assert shown == {
            "auction_price": "99.5",
            "auction_volume": "100",
            "auction_imbalance": "-50",
            "regulatory_imbalance": "-50",
        }
        assert harness.sink.of(Quote, since=mark) == []


@pytest_twisted.ensureDeferred
async def test_delayed_data_is_marked_as_such() -> None:
    async with trading(endpoint={"has_live_data": False}, data_type=DataType.DELAYED) as (harness, _, instrument):
        harness.adapter.subscribe(instrument)
        await harness.quote("99.90", "100.10")
        quote = await harness.sink.until(Quote, lambda told: told.ask is not None)
        assert quote.data_type is DataType.DELAYED


@pytest_twisted.ensureDeferred
async def test_a_subscription_that_tws_refuses_is_told_with_its_symbol() -> None:
    async with trading(endpoint={"has_live_data": False}) as (harness, _, instrument):
        harness.adapter.subscribe(instrument)
        notice = await harness.sink.until(BrokerNotice, lambda told: told.symbol == instrument.symbol)
        assert (notice.severity, notice.broker_code) == ("error", 354)


@pytest_twisted.ensureDeferred
async def test_a_line_over_the_limit_gets_the_place_of_one_that_ends() -> None:
    async with trading(endpoint={"line_limit": 1}) as (harness, _, instrument):
        harness.adapter.subscribe(instrument)
        (other,) = await harness.adapter.resolve(query("SPY"))
        harness.adapter.subscribe(other)
        await harness.sink.until(BrokerNotice, lambda told: told.broker_code == 101)
        harness.adapter.unsubscribe(instrument)
        await harness.adapter.broker_time()
        assert harness.endpoint.lines_on(int(other.instrument_id)) == 1


@pytest_twisted.ensureDeferred
async def test_a_silent_line_is_marked_stale_and_its_next_tick_clears_it() -> None:
    async with trading(liveness=1.0) as (harness, _, instrument):
        harness.adapter.subscribe(instrument)
        await harness.quote("99.90", "100.10")
        await harness.sink.until(Quote, lambda told: told.ask == Decimal("100.10"))
        await harness.sink.until(Quote, lambda told: told.stale)
        mark = harness.sink.mark()
        await harness.quote("99.80", "100.20")
        await harness.sink.until(Quote, lambda told: not told.stale and told.ask == Decimal("100.20"), since=mark)


# --- bars ---


def a_window(days: int) -> tuple[int, int]:
    end = time.time_ns() // (86_400 * SECOND) * 86_400 * SECOND
    return end - days * 86_400 * SECOND, end


@pytest_twisted.ensureDeferred
async def test_a_window_of_many_pieces_has_each_bar_once_in_sequence() -> None:
    async with trading() as (harness, _, instrument):
        start, end = a_window(10)
        bars = await harness.adapter.bars(
            BarQuery(instrument=instrument, period=BarPeriod(5, "m"), start=start, end=end)
        )
        times = [bar.time for bar in bars]
        assert len(times) > 300
        assert times == sorted(set(times))
        assert start <= times[0] and times[-1] < end
        assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("period", ["30s", "1m", "1h", "4h", "D", "W", "M"])
async def test_bars_of_every_kind_arrive(period: str) -> None:
    from txtrader.model.times import parse_period

    async with trading() as (harness, _, instrument):
        length = parse_period(period)
        days = {"s": 1, "m": 2, "h": 10, "D": 30, "W": 90, "M": 200}[length.unit]
        start, end = a_window(days)
        if length.unit == "s":
            start = end - 4 * 86_400 * SECOND
        bars = await harness.adapter.bars(BarQuery(instrument=instrument, period=length, start=start, end=end))
        assert bars
        assert all(start <= bar.time < end for bar in bars)


@pytest_twisted.ensureDeferred
async def test_a_window_without_data_is_empty_and_no_error() -> None:
    async with trading() as (harness, _, instrument):
        long_ago = 946_684_800 * SECOND
        query_ = BarQuery(
            instrument=instrument, period=BarPeriod(1, "m"), start=long_ago, end=long_ago + 86_400 * SECOND
        )
        assert list(await harness.adapter.bars(query_)) == []


@pytest_twisted.ensureDeferred
async def test_a_bar_size_that_tws_does_not_have_is_refused_with_those_it_has() -> None:
    async with trading() as (harness, _, instrument):
        start, end = a_window(1)
        with pytest.raises(InvalidArgument) as caught:
            await harness.adapter.bars(BarQuery(instrument=instrument, period=BarPeriod(7, "m"), start=start, end=end))
        assert (caught.value.path, caught.value.reason) == ("period", "unsupported")


@pytest_twisted.ensureDeferred
async def test_bars_that_wait_end_when_the_link_breaks() -> None:
    async with trading() as (harness, _, instrument):
        harness.endpoint.withhold("historicalData", "historicalDataEnd")
        start, end = a_window(60)
        asked = harness.adapter.bars(BarQuery(instrument=instrument, period=BarPeriod(1, "m"), start=start, end=end))
        harness.endpoint.drop_connections()
        with pytest.raises(BrokerUnavailable):
            await asked.addTimeout(5, reactor)
