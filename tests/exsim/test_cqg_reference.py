"""The simulated CQG server's information: accounts, symbols and their grammar, contracts, hours, the past orders."""

from __future__ import annotations

from decimal import Decimal

import pytest
import pytest_twisted
from cqg_client import NOON, SECOND, World

from txtrader.exsim.records import Terms
from txtrader.model.order import OrderType, Side
from txtrader.wire.cqg.schema import ClientMsg
from txtrader.wire.cqg.values import decimal_of
from txtrader.wire.cqg.words import InfoStatus

DAY = 86_400


def put(world, side, quantity, price, symbol="EPZ26", account="DU1000001", owner="somebody"):
    """Let somebody send a limit order to the venue."""
    listing = world.endpoint.names.resolve(symbol)
    return world.venue.submit(
        owner,
        Terms(
            listing_id=listing.id,
            account=account,
            side=Side(side),
            quantity=Decimal(quantity),
            type=OrderType.LIMIT,
            limit_price=Decimal(price),
        ),
    )


@pytest_twisted.ensureDeferred
async def test_accounts_are_those_of_a_simulated_brokerage_one_of_them_view_only():
    async with World(view_only=("DU1000003",)) as world:
        client = await world.client()
        report = await client.ask("accounts_request")
        assert report.status_code == InfoStatus.SUCCESS
        assert report.is_report_complete
        (brokerage,) = report.accounts_report.brokerages
        assert (brokerage.name, brokerage.type) == ("SIM", 2)
        (series,) = brokerage.sales_series
        assert [(one.brokerage_account_number, one.account_id) for one in series.accounts] == [
            ("DU1000001", 1000001),
            ("DU1000002", 1000002),
            ("DU1000003", 1000003),
        ]
        assert [one.is_view_only for one in series.accounts] == [False, False, True]
        assert all(one.cleared_by_statements for one in series.accounts)


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("EP", "F.US.EPZ26"),
        ("F.US.EP", "F.US.EPZ26"),
        ("EP?0", "F.US.EPZ26"),
        ("EP?1", "F.US.EPZ26"),
        ("EP?2", "F.US.EPH27"),
        ("EP??2", "F.US.EPH27"),
        ("F.US.EP?3", "F.US.EPM27"),
        ("EPZ26", "F.US.EPZ26"),
        ("EPZ6", "F.US.EPZ26"),
        ("EPH7", "F.US.EPH27"),
        ("F.EPH27", "F.US.EPH27"),
        ("F.US.EPH27", "F.US.EPH27"),
        ("epz26", "F.US.EPZ26"),
        ("CLE", "F.US.CLEZ26"),
        ("IBM", "S.US.IBM"),
        ("S.EU.IBM", "S.EU.IBM"),
        ("F", "S.US.F"),
        ("EURUSD", "X.US.EURUSD"),
        ("X.US.BTCUSD", "X.US.BTCUSD"),
        ("P.US.EPZ266700", "P.US.EPZ266700"),
        ("C.EPZ266700", "C.US.EPZ266700"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_symbol_names_a_contract(symbol, name):
    async with World() as world:
        client = await world.client()
        assert (await client.resolve(symbol)).contract_symbol == name


@pytest.mark.parametrize(
    "symbol", ["", "NOSUCH", "EP?9", "F.DE.EP", "X.US.IBM", "EPF27", "C.US.NOSUCH", "EP?", "?1", "EPZ26?1"]
)
@pytest_twisted.ensureDeferred
async def test_an_unknown_symbol_is_104(symbol):
    async with World() as world:
        client = await world.client()
        report = await client.ask("symbol_resolution_request", symbol=symbol)
        assert report.status_code == InfoStatus.NOT_FOUND
        assert report.text_message


@pytest_twisted.ensureDeferred
async def test_preferences_decide_what_a_short_symbol_means():
    async with World() as world:
        client = await world.client()
        for given, name in (
            ({"preferred_countries": "EU,US"}, "S.EU.IBM"),
            ({"preferred_countries": "US"}, "S.US.IBM"),
            ({"preferred_types": "F,X"}, "S.US.IBM"),
        ):
            report = await client.ask("symbol_resolution_request", symbol="IBM", **given)
            assert report.symbol_resolution_report.contract_metadata.contract_symbol == name
        report = await client.ask("symbol_resolution_request", symbol="EPZ266700", preferred_types="P,C")
        assert report.symbol_resolution_report.contract_metadata.contract_symbol == "P.US.EPZ266700"


@pytest_twisted.ensureDeferred
async def test_the_option_at_the_money():
    async with World() as world:
        client = await world.client()
        strike = (await client.resolve("C.EP")).strike_price
        mark = float(world.venue.mark(world.endpoint.names.resolve("EPZ26").id))
        assert abs(strike - mark) <= 25
        assert (await client.resolve("P.US.EP")).cfi_code.startswith("OP")


@pytest_twisted.ensureDeferred
async def test_metadata_has_what_a_trader_needs_and_is_complete():
    async with World() as world:
        client = await world.client()
        future = await client.resolve("EPZ26")
        assert future.IsInitialized()
        assert future.cqg_contract_symbol == "EPZ26"
        assert (future.tick_size, future.tick_value, future.correct_price_scale) == (0.25, 12.5, 0.25)
        assert (future.currency, future.mic, future.maturity_month_year) == ("USD", "XCME", "Z26")
        assert (future.instrument_group_name, future.short_instrument_group_name) == ("F.US.EP", "EP")
        assert future.is_most_active
        assert future.last_trading_date == 30 * DAY * 1000 - 18 * 3600 * 1000
        assert decimal_of(future.contract_size_in_units) == 50
        stock = await client.resolve("IBM")
        assert stock.cfi_code.startswith("ES")
        coin = await client.resolve("BTCUSD")
        assert decimal_of(coin.trade_size_increment) == Decimal("0.00000001")
        again = await client.ask("contract_metadata_request", contract_id=future.contract_id)
        assert again.contract_metadata_report.contract_metadata == future
        assert (await client.ask("contract_metadata_request", contract_id=4711)).status_code == 104


@pytest_twisted.ensureDeferred
async def test_an_expired_month_is_known_and_deleted_and_cannot_be_subscribed():
    async with World() as world:
        client = await world.client()
        for symbol, name in (
            ("EP?(-1)", "F.US.EPU26"),
            ("EPU26", "F.US.EPU26"),
            ("EP?(-2)", "F.US.EPM26"),
            ("EPU6", "F.US.EPU26"),
        ):
            report = await client.ask("symbol_resolution_request", symbol=symbol, subscribe=True)
            assert report.status_code == InfoStatus.SUCCESS, "it cannot be kept up to date"
            assert report.symbol_resolution_report.deleted
            gone = report.symbol_resolution_report.contract_metadata
            assert (gone.contract_symbol, gone.deleted) == (name, True)
            assert gone.last_trading_date < 0
        client.send("market_data_subscriptions", contract_id=gone.contract_id, request_id=1, level=3)
        assert (await client.next("market_data_subscription_statuses")).status_code == 104


@pytest_twisted.ensureDeferred
async def test_a_subscription_has_three_states():
    async with World() as world:
        client = await world.client()
        once = await client.ask("symbol_resolution_request", symbol="EP")
        assert once.status_code == InfoStatus.SUCCESS
        first = await client.ask("symbol_resolution_request", symbol="EP", subscribe=True, number=7)
        assert first.status_code == InfoStatus.SUBSCRIBED
        between = await client.ask("symbol_resolution_request", symbol="EP", number=7)
        assert between.status_code == InfoStatus.SUCCESS
        world.endpoint.roll("EP")
        update = await client.next("information_reports")
        assert (update.id, update.status_code) == (7, InfoStatus.UPDATE), "asking once leaves the subscription alone"
        new = update.symbol_resolution_report.contract_metadata
        assert new.contract_symbol == "F.US.EPH27"
        assert new.contract_id != first.symbol_resolution_report.contract_metadata.contract_id
        client.send("information_requests", id=7, subscribe=False)
        assert (await client.next("information_reports")).status_code == InfoStatus.DROPPED
        world.endpoint.roll("EP")
        await client.settled()
        assert client.got == []


@pytest_twisted.ensureDeferred
async def test_a_roll_is_told_to_rolling_symbols_only():
    async with World() as world:
        client = await world.client()
        for number, symbol in enumerate(("EP", "F.US.EP", "EP?0", "EP?1", "EPZ26", "CLE", "IBM"), 1):
            await client.ask("symbol_resolution_request", symbol=symbol, subscribe=True, number=100 + number)
        world.endpoint.roll("EP")
        await client.settled()
        assert [report.id for report in client.all("information_reports")] == [101, 102, 103]
        assert (await client.resolve("EPZ26")).is_most_active is False


@pytest_twisted.ensureDeferred
async def test_a_month_that_expires_is_told_with_the_next_look():
    async with World() as world:
        client = await world.client()
        await client.ask("symbol_resolution_request", symbol="CLE?1", subscribe=True, number=9)
        world.clock.advance(4 * DAY)
        world.endpoint.contracts_changed()
        update = await client.next("information_reports")
        assert update.symbol_resolution_report.contract_metadata.contract_symbol == "F.US.CLEF27"
        assert (await client.ask("symbol_resolution_request", symbol="CLEZ26")).symbol_resolution_report.deleted


@pytest_twisted.ensureDeferred
async def test_a_lost_source_is_4_then_1_with_the_present_answer():
    async with World() as world:
        client = await world.client()
        await client.ask("symbol_resolution_request", symbol="EP", subscribe=True, number=7)
        await client.ask("accounts_request", subscribe=True, number=8)
        world.endpoint.lose_information()
        await client.settled()
        assert [(one.id, one.status_code) for one in client.all("information_reports")] == [(7, 4), (8, 4)]
        world.endpoint.lose_information(False)
        await client.settled()
        back = client.all("information_reports")
        assert [(one.id, one.status_code) for one in back] == [(7, 1), (8, 1)]
        assert back[0].symbol_resolution_report.contract_metadata.contract_symbol == "F.US.EPZ26"


@pytest_twisted.ensureDeferred
async def test_an_account_that_is_taken_away_is_told_and_unknown():
    async with World() as world:
        client = await world.client()
        await client.ask("accounts_request", subscribe=True, number=8)
        world.endpoint.revoke("DU1000002")
        update = await client.next("information_reports")
        accounts = update.accounts_report.brokerages[0].sales_series[0].accounts
        assert update.status_code == InfoStatus.UPDATE
        assert [one.is_unauthorized for one in accounts] == [False, True, False]
        report = await client.ask("historical_orders_request", from_date=0, account_ids=[1000002])
        assert report.status_code == InfoStatus.NOT_FOUND


@pytest_twisted.ensureDeferred
async def test_a_failure_ends_the_subscription_of_that_id():
    async with World() as world:
        client = await world.client()
        await client.ask("symbol_resolution_request", symbol="EP", subscribe=True, number=7)
        failed = await client.ask("symbol_resolution_request", symbol="NOSUCH", subscribe=True, number=7)
        assert failed.status_code == 104
        world.endpoint.roll("EP")
        await client.settled()
        assert client.got == []


@pytest_twisted.ensureDeferred
async def test_what_is_not_offered_or_incomplete_fails_with_its_id():
    async with World() as world:
        client = await world.client()
        unknown = ClientMsg()
        unknown.information_requests.add(id=5, symbol_list_request=b"")
        client.pump.send(unknown)
        report = await client.next("information_reports")
        assert (report.id, report.status_code) == (5, InfoStatus.INVALID_PARAMS)
        assert "symbol_list_request" in report.text_message
        two = ClientMsg()
        two.information_requests.add(id=6, accounts_request={}, symbol_resolution_request={"symbol": "EP"})
        client.pump.send(two)
        assert (await client.next("information_reports")).status_code == InfoStatus.INVALID_PARAMS
        incomplete = ClientMsg()
        incomplete.information_requests.add(id=7, contract_metadata_request={})
        client.pump.protocol.send_message(incomplete.SerializePartialToString())
        report = await client.next("information_reports")
        assert (report.id, report.status_code) == (7, InfoStatus.INVALID_PARAMS)
        assert "contract_id" in report.text_message
        later = ClientMsg()
        later.volume_profile_requests.append(b"")
        later.information_requests.add(id=8, accounts_request={})
        client.pump.send(later)
        assert "volume_profile_requests" in (await client.next("user_messages")).text
        assert (await client.next("information_reports")).id == 8, "what stood beside it is answered"


@pytest.mark.parametrize(
    ("name", "fields", "answer", "key"),
    [
        ("trade_subscriptions", {"id": 3}, "trade_subscription_statuses", "id"),
        (
            "order_requests",
            {"request_id": 3, "new_order": {"order": {"account_id": 1}}},
            "order_request_rejects",
            "request_id",
        ),
        (
            "market_data_subscriptions",
            {"contract_id": 3, "request_id": 3},
            "market_data_subscription_statuses",
            "request_id",
        ),
        ("time_bar_requests", {"request_id": 3, "time_bar_parameters": {}}, "time_bar_reports", "request_id"),
        (
            "time_and_sales_requests",
            {"request_id": 3, "time_and_sales_parameters": {}},
            "time_and_sales_reports",
            "request_id",
        ),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_request_without_its_required_fields_fails_alone(name, fields, answer, key):
    async with World() as world:
        client = await world.client()
        message = ClientMsg()
        getattr(message, name).add(**fields)
        assert not message.IsInitialized()
        client.pump.protocol.send_message(message.SerializePartialToString())
        assert getattr(await client.next(answer), key) == 3
        await client.settled()
        assert client.got == []


@pytest_twisted.ensureDeferred
async def test_a_group_lists_its_months_and_options_in_small_messages():
    async with World() as world:
        client = await world.client()
        report = await client.ask("instrument_group_request", instrument_group_id="F.US.EP")
        assert [one.name for one in report.instrument_group_report.instruments] == ["EPZ26", "EPH27", "EPM27", "EPU27"]
        ids = [one.contract_metadata.contract_id for one in report.instrument_group_report.instruments]
        assert len(set(ids)) == 4
        first = await client.ask("instrument_group_request", instrument_group_id="C.US.SPY", number=50)
        names, chunks = [one.id for one in first.instrument_group_report.instruments], 1
        while not first.is_report_complete:
            first = await client.next("information_reports", lambda one: one.id == 50)
            names += [one.id for one in first.instrument_group_report.instruments]
            chunks += 1
        assert chunks > 1
        assert len(names) == len(set(names)) == len(world.endpoint.names.options("C.US.SPY"))
        assert max(client.sizes) <= 4000
        assert (await client.ask("instrument_group_request", instrument_group_id="F.US.XX")).status_code == 104


@pytest_twisted.ensureDeferred
async def test_large_frames_come_whole():
    async with World(small_frames=False) as world:
        client = await world.client()
        report = await client.ask("instrument_group_request", instrument_group_id="C.US.SPY")
        assert report.is_report_complete
        assert max(client.sizes) > 4000


@pytest_twisted.ensureDeferred
async def test_trading_hours_count_from_midnight_utc_of_the_day():
    async with World() as world:
        client = await world.client()
        contract = await client.resolve("IBM")
        report = await client.ask("session_information_request", session_info_id=contract.session_info_id)
        (segment,) = report.session_information_report.session_segments
        primary = next(one for one in segment.session_schedules if one.is_primary)
        wednesday = next(day for day in primary.session_days if 3 in day.days_of_week)
        assert (wednesday.open_offset, wednesday.close_offset) == (14.5 * 3600_000, 21 * 3600_000)
        full = next(one for one in segment.session_schedules if not one.is_primary)
        longest = next(day for day in full.session_days if 3 in day.days_of_week)
        assert longest.open_offset < wednesday.open_offset
        assert next(one for one in segment.trading_days if 3 in one.days_of_week).start_offset == longest.open_offset
        assert (await client.ask("session_information_request", session_info_id=-1)).status_code == 104


@pytest_twisted.ensureDeferred
async def test_balances_and_rates_and_what_may_be_ordered():
    async with World() as world:
        client = await world.client()
        balances = (await client.ask("last_statement_balances_request")).last_statement_balances_report.balances
        assert [(row.account_id, row.currency, row.balance) for row in balances] == [
            (1000001, "USD", 1_000_000.0),
            (1000002, "EUR", 100_000.0),
            (1000002, "USD", 250_000.0),
            (1000003, "USD", 25_000.0),
        ]
        assert len({row.id for row in balances}) == 4
        rates = (await client.ask("currency_rates_request")).currency_rates_report.brokerage_currency_rates
        assert rates[0].master_currency == "USD"
        assert {rate.currency for rate in rates[0].currency_rates} >= {"EUR"}
        contract = (await client.resolve("EP")).contract_id
        allowed = await client.ask("order_entitlement_request", contract_id=contract, account_id=1000001)
        assert {(one.order_type, one.duration) for one in allowed.order_entitlement_report.order_entitlements} >= {
            (1, 1),
            (2, 2),
            (3, 1),
            (4, 1),
        }
        assert (await client.ask("order_entitlement_request", contract_id=contract, account_id=1)).status_code == 104


@pytest_twisted.ensureDeferred
async def test_past_orders_come_with_all_their_transactions_in_small_messages():
    async with World() as world:
        for number in range(30):
            put(world, "BUY", 1, 6000 + number)
        put(world, "SELL", 2, 6029, account="DU1000002")
        client = await world.client()
        await client.ask("accounts_request")
        client.send("information_requests", id=70, historical_orders_request={"from_date": -86_400_000})
        statuses, is_last = [], False
        while not is_last:
            report = await client.next("information_reports")
            statuses += report.historical_orders_report.order_statuses
            is_last = report.is_report_complete
        assert len(statuses) == 31
        assert max(client.sizes) <= 4000
        filled = next(one for one in statuses if one.fill_cnt and one.account_id == 1000001)
        assert [step.status for step in filled.transaction_statuses] == [1, 3, 11]
        one = await client.ask("order_status_request", chain_order_id=filled.chain_order_id)
        assert one.order_status_report.order_status.chain_order_id == filled.chain_order_id
        assert len(one.order_status_report.order_status.transaction_statuses) == 3
        assert (await client.ask("order_status_request", chain_order_id="0")).status_code == 104
        ours = await client.ask("historical_orders_request", from_date=0, account_ids=[1000002])
        assert len(ours.historical_orders_report.order_statuses) == 1
        early = await client.ask("historical_orders_request", from_date=-40 * DAY * 1000)
        assert early.status_code == InfoStatus.INVALID_PARAMS


@pytest_twisted.ensureDeferred
async def test_an_order_status_can_name_a_contract_that_was_never_resolved():
    async with World() as world:
        order = put(world, "BUY", 1, 6000)
        client = await world.client()
        status = (
            await client.ask("order_status_request", chain_order_id=str(order.id))
        ).order_status_report.order_status
        assert [one.contract_symbol for one in status.contract_metadata] == ["F.US.EPZ26"]
        again = (
            await client.ask("order_status_request", chain_order_id=str(order.id))
        ).order_status_report.order_status
        assert not again.contract_metadata, "once is enough"
        assert again.order.contract_id == status.contract_metadata[0].contract_id


@pytest_twisted.ensureDeferred
async def test_answers_come_in_the_sequence_of_the_requests():
    async with World() as world:
        client = await world.client()
        message = ClientMsg()
        for number in range(50):
            message.information_requests.add(
                id=number, symbol_resolution_request={"symbol": "EP" if number % 2 else "X"}
            )
        client.pump.send(message)
        await client.settled()
        got = client.all("information_reports")
        assert [one.id for one in got] == list(range(50))
        assert [one.status_code for one in got] == [104, 0] * 25


def test_the_world_starts_on_a_whole_second():
    assert NOON % SECOND == 0
