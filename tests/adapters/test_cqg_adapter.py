"""The CQG adapter against the simulated server: sessions, contracts, numbers, and what goes wrong."""

from __future__ import annotations

import random
from decimal import Decimal

import msgspec
import pytest
import pytest_twisted
from adapter_harness import OrderDesk, query
from cqg_harness import CqgHarness
from cqg_run import on_cqg
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from txtrader.adapters.cqg_budget import LogonBudget
from txtrader.adapters.cqg_instruments import Instruments
from txtrader.adapters.cqg_market import MarketLines
from txtrader.dialects.cqg.contracts import Contract
from txtrader.errors import BrokerError, BrokerUnavailable, InvalidArgument
from txtrader.exsim.records import Terms
from txtrader.gateway.adapter import BrokerNotice, LinkState, LinkStatus
from txtrader.model.account import AccountValue, Position
from txtrader.model.execution import ExecType, Execution
from txtrader.model.market import BarPeriod, BarQuery, Quote, Trade
from txtrader.model.order import OrderStatus, OrderType, OrderUpdate, Side
from txtrader.net.dial import Backoff
from txtrader.wire.cqg.schema import ServerMsg
from txtrader.wire.cqg.values import BaseTime, put_decimal
from txtrader.wire.cqg.words import LogonCode, MessageType

DAY = 86_400_000_000_000


def rest(harness, listing, side: Side, quantity: str, price: str, owner="stranger") -> None:
    """Enter an order of somebody else for any listing."""
    harness.venue.submit(
        owner,
        Terms(
            listing_id=listing.id,
            account="DU1000002",
            side=side,
            quantity=Decimal(quantity),
            type=OrderType.LIMIT,
            limit_price=Decimal(price),
        ),
    )


def listing(harness, local_symbol: str):
    return next(one for one in harness.venue.instruments if one.local_symbol == local_symbol)


# -- the session


@on_cqg
async def test_a_lost_link_is_restored_with_a_new_base_time_and_new_contract_ids(harness):
    (ibm, *_) = await harness.adapter.resolve(query("IBM"))
    harness.adapter.subscribe(ibm)
    await harness.quote("99.00", "101.00")
    await harness.sink.until(Quote, lambda quote: quote.bid == 99)
    (session,) = [connection.user_session for connection in harness.endpoint.connections]
    token, old_id = session.token, session.contract_id(harness.listing())
    old_base = harness.adapter._connection.base_time.text
    order = OrderDesk(harness, ibm).submit(limit="50.00")
    await harness.sink.until(OrderUpdate, lambda update: update.status is OrderStatus.NEW)
    mark = harness.sink.mark()
    later = harness.venue.now_ns
    harness.venue.now_ns = lambda: later() + 3_000_000_000
    harness.endpoint.drop_connections()
    status = await harness.sink.until_state(LinkState.CONNECTED, since=mark)
    (restored,) = [connection.user_session for connection in harness.endpoint.connections]
    assert status.reason == "session restored" and restored is session and restored.token == token
    assert harness.adapter._connection.base_time.text != old_base
    await harness.quote("98.00", "102.00")
    quote = await harness.sink.until(Quote, lambda quote: quote.bid == 98, since=mark)
    assert restored.contract_id(harness.listing()) != old_id and not quote.stale
    harness.adapter.cancel(msgspec.structs.replace(order, permid=None))
    await harness.sink.until(OrderUpdate, lambda update: update.status is OrderStatus.CANCELED, since=mark)


@on_cqg
async def test_a_session_that_is_gone_is_followed_by_a_plain_logon(harness):
    mark = harness.sink.mark()
    harness.endpoint.forget_sessions()
    harness.endpoint.drop_connections()
    status = await harness.sink.until_state(LinkState.CONNECTED, since=mark)
    assert status.reason == "logged on"
    sessions = {status.session for status in harness.sink.of(LinkStatus) if status.session}
    assert len(sessions) == 2


@pytest_twisted.ensureDeferred
async def test_a_wrong_password_is_told_and_not_hammered():
    harness = CqgHarness(reactor, password="another")
    await harness.set_up()
    harness.adapter = harness.make_adapter(
        msgspec.structs.replace(harness.options, reconnect=Backoff(minimum=0.01, maximum=60.0))
    )
    try:
        harness.adapter.start()
        status = await harness.sink.until_state(LinkState.DISCONNECTED)
        assert status.login == "refused: wrong user name or password"
        assert status.next_attempt is not None and status.next_attempt - status.since > 20_000_000_000
        told = str(harness.sink.of(LinkStatus)) + str(harness.sink.of(BrokerNotice))
        assert "another" not in told and "secret" not in told
    finally:
        await harness.tear_down()


@on_cqg
async def test_every_refusal_of_a_logon_is_told_by_its_text(harness):
    for code in (LogonCode.NO_ONETIME_PASSWORD, LogonCode.PASSWORD_EXPIRED, LogonCode.CONCURRENT_SESSION):
        mark = harness.sink.mark()
        harness.endpoint.fail_logon(code, f"code {int(code)}")
        harness.endpoint.forget_sessions()
        harness.endpoint.drop_connections()
        await harness.sink.until(
            LinkStatus, lambda status, code=code: status.login == f"refused: code {int(code)}", since=mark
        )
        await harness.sink.until_state(LinkState.CONNECTED, since=mark)


@on_cqg
async def test_being_logged_off_by_force_is_told_and_not_fought(harness):
    mark = harness.sink.mark()
    harness.endpoint.force_logoff("somebody else logged on")
    notice = await harness.sink.until(BrokerNotice, lambda notice: notice.severity == "error", since=mark)
    assert "somebody else" in notice.message
    await harness.sink.until_state(LinkState.CONNECTED, since=mark)


@on_cqg
async def test_log_off_stays_off_and_log_on_as_somebody_else_is_answered(harness):
    await harness.adapter.log_off()
    assert harness.adapter.status().state is LinkState.DISCONNECTED
    assert harness.adapter.status().next_attempt is None and not harness.endpoint.connections
    with pytest.raises(BrokerError) as refused:
        await harness.adapter.log_on("trader", "wrong")
    assert refused.value.broker_code == LogonCode.FAILURE and "wrong user name" in refused.value.text
    await harness.adapter.log_on("trader", "secret")
    assert harness.adapter.status().state is LinkState.CONNECTED
    mark = harness.sink.mark()
    await harness.adapter.log_on("trader", "secret")  # also while one is on
    assert [s.state for s in harness.sink.of(LinkStatus, since=mark)][-1] is LinkState.CONNECTED


@on_cqg
async def test_user_messages_are_told_by_how_much_they_matter(harness):
    for kind, severity in (
        (MessageType.CRITICAL_ERROR, "error"),
        (MessageType.WARNING, "warning"),
        (MessageType.INFO, "info"),
    ):
        harness.endpoint.send_user_message(kind, f"about {severity}")
        notice = await harness.sink.until(BrokerNotice, lambda one, word=severity: one.message == f"about {word}")
        assert notice.severity == severity


@on_cqg
async def test_data_that_the_server_lost_is_stale_until_it_is_back_and_the_data_link_says_so(harness):
    (ibm, *_) = await harness.adapter.resolve(query("IBM"))
    harness.adapter.subscribe(ibm)
    await harness.quote("99.00", "101.00")
    await harness.sink.until(Quote, lambda quote: quote.bid == 99)
    mark = harness.sink.mark()
    harness.endpoint.lose_market_data()
    await harness.sink.until(Quote, lambda quote: quote.stale, since=mark)
    await harness.sink.until(
        LinkStatus, lambda status: {"name": "data", "kind": "data", "state": "broken"} in status.farms, since=mark
    )
    harness.endpoint.lose_market_data(False)
    await harness.sink.until(Quote, lambda quote: quote.bid == 99 and not quote.stale, since=mark)


def test_logons_of_a_day_are_counted_over_restarts(tmp_path):
    now = [5 * DAY]
    path = str(tmp_path / "logons")
    budget = LogonBudget(path, 3, lambda: now[0])
    budget.used()
    budget.used()
    again = LogonBudget(path, 3, lambda: now[0])
    assert again.left() == 1
    again.used()
    assert LogonBudget(path, 3, lambda: now[0]).left() == 0
    assert again.seconds_to_midnight() == 86400
    now[0] += DAY
    assert again.left() == 3 and LogonBudget(path, 3, lambda: now[0]).left() == 3
    (tmp_path / "logons").write_text("nonsense")
    assert LogonBudget(path, 3, lambda: now[0]).left() == 3


# -- symbols


@on_cqg
async def test_symbols_of_every_form_name_the_same_contract(harness):
    found = {}
    for text in ("EP:202612@CME", "EP:20261218@CME", "EP:0", "!EPZ26", "#F.US.EPZ26"):
        (found[text],) = await harness.adapter.resolve(query(text))
    assert {one.symbol for one in found.values()} == {"EP:20261218@CME"}
    (next_month,) = await harness.adapter.resolve(query("EP:1"))
    assert next_month.symbol == "EP:20270319@CME"
    (pair,) = await harness.adapter.resolve(query("EUR/USD"))
    assert (pair.symbol, pair.sectype.value) == ("EUR/USD", "CASH")
    for text in ("NOSUCH", "EP:203001", "EP:99", "!NOSUCH", "#NOSUCH", "IBM@CME"):
        assert not await harness.adapter.resolve(query(text)), text


@on_cqg
async def test_a_rolling_symbol_goes_over_to_the_next_contract_in_mid_session(harness):
    (rolling,) = await harness.adapter.resolve(query("EP"))
    assert (rolling.symbol, rolling.local_symbol, rolling.expiry) == ("EP", "EPZ26", None)
    harness.adapter.subscribe(rolling)
    front, following = listing(harness, "ESZ6"), listing(harness, "ESH7")
    for one, price in ((front, "6000.00"), (following, "6100.00")):
        rest(harness, one, Side.BUY, "5", price)
    await harness.sink.until(Quote, lambda quote: quote.symbol == "EP" and quote.bid == 6000)
    assert harness.adapter.for_order(rolling).symbol == "EP:20261218@CME"
    mark = harness.sink.mark()
    harness.endpoint.roll("EP")
    await harness.sink.until(Quote, lambda quote: quote.symbol == "EP" and quote.bid == 6100, since=mark)
    notice = await harness.sink.until(BrokerNotice, since=mark)
    assert notice.symbol == "EP" and "EPH27" in notice.message
    target = harness.adapter.for_order(rolling)
    assert target.symbol == "EP:20270319@CME"
    OrderDesk(harness, target).submit(quantity=1, limit="6100.25")
    update = await harness.sink.until(OrderUpdate, lambda one: one.status is OrderStatus.NEW, since=mark)
    assert update.instrument.symbol == "EP:20270319@CME"
    assert harness.endpoint.lines_on(front.id) == 0


# -- numbers


@on_cqg
async def test_quantities_below_one_and_fine_steps_are_exact(harness):
    (btc,) = await harness.adapter.resolve(query("BTC/USD@PAXOS"))
    assert btc.step == Decimal("1E-8")
    rest(harness, listing(harness, "BTC.USD"), Side.SELL, "0.5", "60000.25")
    order = OrderDesk(harness, btc).submit(quantity="0.12345678", limit="60000.25")
    execution = await harness.sink.until(Execution)
    assert (execution.shares, execution.price) == (Decimal("0.12345678"), Decimal("60000.25"))
    assert execution.order_ref == order.id


@on_cqg
async def test_prices_below_zero_trade(harness):
    (crude,) = await harness.adapter.resolve(query("CLE:0"))
    rest(harness, listing(harness, "CLF7"), Side.SELL, "2", "-37.63")
    harness.adapter.subscribe(crude)
    await harness.sink.until(Quote, lambda quote: quote.ask == Decimal("-37.63"))
    OrderDesk(harness, crude).submit(quantity=1, limit="-37.63")
    execution = await harness.sink.until(Execution)
    assert execution.price == Decimal("-37.63")


@on_cqg
async def test_a_price_that_cannot_be_said_never_leaves(harness):
    (ibm, *_) = await harness.adapter.resolve(query("IBM"))
    order = OrderDesk(harness, ibm).submit(limit="99.001")
    update = await harness.sink.until(OrderUpdate, lambda one: one.order_ref == order.id)
    assert (update.status, update.has_left) == (OrderStatus.REJECTED, False)
    assert "multiple" in update.error_message


class _Connection:
    base_time = BaseTime("2026-11-20T00:00:00")

    def next_number(self):
        return 1

    def post(self, message):
        self.last = message

    def ask(self, timeout, **request):
        return Deferred()


@pytest.mark.parametrize("scale", ["0.000000001", "0.0078125", "0.25", "100"])
def test_market_data_is_exact_at_every_scale_and_a_snapshot_may_change_it(scale):
    told = []

    class Sink:
        def quoted(self, quote):
            told.append(quote)

        def traded(self, trade):
            told.append(trade)

        def stats_changed(self, stats):
            told.append(stats)

    instruments = Instruments("cqg", _Connection, 1.0, lambda *_: None)
    lines = MarketLines("cqg", Sink(), lambda: 1, instruments)
    contract = Contract(
        contract_id=7,
        symbol="F.US.XZ26",
        short="XZ26",
        root="X",
        title="X",
        scale=Decimal(scale),
        tick=Decimal(scale),
        tick_value=Decimal(1),
        currency="USD",
        cfi_code="FXXXXX",
        expiry="20261218",
    )
    instrument = instruments.of(contract)
    connection = _Connection()
    lines.opened(connection)
    lines.subscribe(instrument)
    message = ServerMsg()
    data = message.real_time_market_data.add(contract_id=7, is_snapshot=True, correct_price_scale=float(scale))
    data.quotes.add(type=1, scaled_price=-3, quote_utc_time=1500)
    put_decimal(data.quotes.add(type=0, scaled_price=5).volume, Decimal("0.5"))
    lines.take(data)
    (quote,) = told
    assert quote.bid == Decimal(scale) * -3
    assert quote.event_time == connection.base_time.ns(1500)
    live = message.real_time_market_data.add(contract_id=7)
    put_decimal(live.quotes.add(type=0, scaled_price=-(10**9)).volume, Decimal("0.25"))
    gone = live.quotes.add(type=1, scaled_price=-3)
    gone.volume.SetInParent()
    lines.take(live)
    trade, quote = told[1:]
    assert isinstance(trade, Trade) and trade.last == Decimal(scale) * -(10**9) and trade.size == Decimal("0.25")
    assert quote.bid is None
    again = message.real_time_market_data.add(contract_id=7, is_snapshot=True, correct_price_scale=0.5)
    again.quotes.add(type=2, scaled_price=3)
    lines.take(again)
    assert told[-1].ask == Decimal("1.5") and told[-1].bid is None


@on_cqg
async def test_quotes_of_a_snapshot_are_no_fresh_trades(harness):
    (ibm, *_) = await harness.adapter.resolve(query("IBM"))
    harness.adapter.subscribe(ibm)
    await harness.sink.until(Trade)  # the price that the session stood at before
    mark = harness.sink.mark()
    harness.endpoint.repeat_snapshots()
    await harness.print_trade("100.05")
    trade = await harness.sink.until(Trade, since=mark)
    assert trade.last == Decimal("100.05")


# -- accounts


@on_cqg
async def test_figures_of_an_account_are_the_venues_and_the_worth_is_their_sum(harness):
    (ibm, *_) = await harness.adapter.resolve(query("IBM"))
    desk = OrderDesk(harness, ibm)
    order = desk.submit(limit="100.00")
    await harness.sink.until(OrderUpdate, lambda one: one.status is OrderStatus.NEW)
    mark = harness.sink.mark()
    await harness.fill(order.id, 100, "100.00")
    await harness.sink.until(Position, lambda one: one.quantity == 100, since=mark)
    figures = harness.venue.figures(harness.account)
    worth = [("TotalCashValue", figures.total_cash_value), ("NetLiquidation", figures.net_liquidation)]
    for key, value in worth:
        await harness.sink.until(
            AccountValue, lambda one, key=key, value=value: one.key == key and Decimal(one.value) == value, since=mark
        )
    told = {one.key: Decimal(one.value) for one in harness.sink.of(AccountValue) if one.value}
    assert told["TotalCashValue"] == figures.total_cash_value
    assert told["BuyingPower"] == figures.buying_power
    assert told["NetLiquidation"] == figures.net_liquidation
    position = harness.sink.of(Position)[-1]
    assert (position.account, position.symbol, position.avgprice) == (harness.account, "IBM", 100)
    await harness.quote("99.00", "101.00")
    desk.submit(Side.SELL, 100, OrderType.MARKET)
    flat = await harness.sink.until(Position, lambda one: one.quantity == 0, since=mark)
    assert flat.avgprice is None


# -- orders and history


@on_cqg
async def test_corrections_and_busts_name_the_fill_that_they_replace(harness):
    (ibm, *_) = await harness.adapter.resolve(query("IBM"))
    order = OrderDesk(harness, ibm).submit(limit="100.00")
    await harness.sink.until(OrderUpdate, lambda one: one.status is OrderStatus.NEW)
    await harness.fill(order.id, 100, "100.00")
    first = await harness.sink.until(Execution)
    exec_id = first.exec_id.partition("-")[2]
    corrected = harness.endpoint.correct(exec_id, price=Decimal("99.50"))
    second = await harness.sink.until(Execution, lambda one: one.exec_type is ExecType.CORRECT)
    assert (second.replaces, second.price) == (first.exec_id, Decimal("99.50"))
    harness.endpoint.bust(corrected.exec_id)
    third = await harness.sink.until(Execution, lambda one: one.exec_type is ExecType.BUST)
    assert third.replaces == second.exec_id
    assert len({first.exec_id, second.exec_id, third.exec_id}) == 3


@on_cqg
async def test_a_cancel_that_overtakes_the_acknowledgement_leaves_when_the_order_is_known(harness):
    (ibm, *_) = await harness.adapter.resolve(query("IBM"))
    order = OrderDesk(harness, ibm).submit(limit="50.00")
    harness.adapter.cancel(order)
    await harness.sink.until(OrderUpdate, lambda one: one.order_ref == order.id and one.status is OrderStatus.CANCELED)


@on_cqg
async def test_more_orders_than_ten_a_second_wait_and_a_cancel_takes_a_waiting_one_back(harness):
    (ibm, *_) = await harness.adapter.resolve(query("IBM"))
    desk = OrderDesk(harness, ibm)
    orders = [desk.make(limit="50.00", quantity=1) for _ in range(13)]
    left = [harness.adapter.submit(order) for order in orders]
    assert left == [True] * 10 + [False] * 3
    harness.adapter.cancel(orders[-1])
    gone = await harness.sink.until(OrderUpdate, lambda one: one.order_ref == orders[-1].id)
    assert gone.has_left is False
    await harness.sink.until(OrderUpdate, lambda one: one.order_ref == orders[-2].id and one.status is OrderStatus.NEW)
    assert len(harness.venue.live_orders(account=harness.account)) == 12


@on_cqg
async def test_bars_come_in_ascending_time_however_many_messages_they_take(harness):
    (ibm, *_) = await harness.adapter.resolve(query("IBM"))
    end = harness.venue.now_ns() // DAY * DAY
    daily = await harness.adapter.bars(
        BarQuery(instrument=ibm, period=BarPeriod(1, "D"), start=end - 200 * DAY, end=end)
    )
    assert len(daily) > 120
    times = [bar.time for bar in daily]
    assert times == sorted(set(times)) and all(time % DAY == 0 for time in times)
    wanted = harness.venue.bars(harness.listing().id, BarPeriod(1, "D"), end - 200 * DAY, end)
    assert [(bar.time, bar.open, bar.close) for bar in daily] == [(bar.time, bar.open, bar.close) for bar in wanted]
    minutes = await harness.adapter.bars(
        BarQuery(instrument=ibm, period=BarPeriod(5, "m"), start=end - 4 * DAY, end=end)
    )
    assert minutes and [bar.time for bar in minutes] == sorted({bar.time for bar in minutes})
    with pytest.raises(InvalidArgument):
        await harness.adapter.bars(BarQuery(instrument=ibm, period=BarPeriod(7, "m"), start=0, end=1))


def test_without_a_link_questions_fail_by_name():
    harness = CqgHarness(Clock())
    from txtrader.adapters.cqg import CqgAdapter
    from txtrader.testing.sink import RecordingSink

    adapter = CqgAdapter(
        harness.options, Clock(), RecordingSink(Clock()), mode="cqg", now_ns=lambda: DAY, random=random.Random(1)
    )
    failures = []
    adapter.resolve(query("IBM")).addErrback(failures.append)
    adapter.snapshot().addErrback(failures.append)
    assert [failure.type for failure in failures] == [BrokerUnavailable, BrokerUnavailable]
