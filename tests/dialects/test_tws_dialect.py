"""The TWS dialect: both directions agree, and the odd words of the wire mean what they mean."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtrader.dialects import tws
from txtrader.errors import InvalidArgument, RemoteProtocolError
from txtrader.model.execution import ExecType, Execution
from txtrader.model.instrument import Instrument, InstrumentQuery, SecType
from txtrader.model.numbers import plain
from txtrader.model.order import Order, OrderStatus, OrderType, Side, TimeInForce
from txtrader.model.symbols import parse_symbol

NOW = 1_795_186_800_000_000_000

prices = st.decimals(min_value=Decimal("-9999"), max_value=Decimal("99999"), places=4).map(plain)
quantities = st.decimals(min_value=Decimal("0.0001"), max_value=Decimal("999999"), places=4).map(plain)
names = st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", min_size=1, max_size=20)
seconds = st.integers(min_value=0, max_value=4_000_000_000).map(lambda second: second * 1_000_000_000)


@st.composite
def order_terms(draw: st.DrawFn) -> tws.OrderTerms:
    kind = draw(st.sampled_from(OrderType))
    tifs = [tif for tif in TimeInForce if tif is not TimeInForce.CLS and tif is not TimeInForce.OPG]
    if kind in (OrderType.MARKET, OrderType.LIMIT):
        tifs = list(TimeInForce)
    is_by_percent = draw(st.booleans())
    tif = draw(st.sampled_from(tifs))
    has_more = kind in (OrderType.MARKET, OrderType.LIMIT) and tif is not TimeInForce.CLS and draw(st.booleans())
    peg = draw(st.sampled_from(["primary", "market", "mid"])) if has_more and kind is OrderType.LIMIT else ""
    limits = st.none() | prices.filter(bool) if has_more else prices
    return tws.OrderTerms(
        side=draw(st.sampled_from([Side.BUY, Side.SELL])),
        quantity=draw(quantities),
        type=kind,
        tif=tif,
        limit_price=draw(limits) if kind.needs_limit or has_more else None,
        stop_price=draw(prices) if kind.needs_stop or kind.is_trailing else None,
        trail_amount=draw(quantities) if kind.is_trailing and not is_by_percent else None,
        trail_percent=draw(quantities) if kind.is_trailing and is_by_percent else None,
        limit_offset=draw(prices) if kind is OrderType.TRAILING_STOP_LIMIT else None,
        good_till=draw(st.none() | seconds),
        extended_hours=draw(st.booleans()),
        account=draw(st.none() | names),
        order_ref=draw(st.none() | names),
        oco_group=draw(st.none() | names),
        display_quantity=draw(st.none() | st.integers(min_value=1, max_value=1000).map(Decimal)),
        parent_id=draw(st.none() | st.integers(min_value=1, max_value=2**30)),
        transmit=draw(st.booleans()),
        what_if=draw(st.booleans()),
        hidden=draw(st.booleans()),
        all_or_none=draw(st.booleans()),
        min_quantity=draw(st.none() | st.integers(min_value=1, max_value=1000).map(Decimal)),
        to_limit=has_more and not peg,
        peg=peg,
        peg_offset=draw(prices) if peg else Decimal(0),
    )


@given(order_terms())
def test_the_terms_of_an_order_survive_the_wire(terms: tws.OrderTerms) -> None:
    assert tws.terms_from_wire(tws.order_to_wire(terms)) == terms


@pytest.mark.parametrize(
    ("word", "peg", "side", "offset", "added"),
    [
        ("REL", "primary", "BUY", "0.10", "0.10"),
        ("REL", "primary", "SELL", "0.10", "-0.10"),
        ("PEG MKT", "market", "BUY", "0.10", "-0.10"),
        ("PEGMKT", "market", "SELL", "0.10", "0.10"),
        ("PEG MID", "mid", "BUY", "0.10", "-0.10"),
        ("PEGMID", "mid", "SELL", "-0.10", "-0.10"),
    ],
)
def test_an_offset_of_tws_counts_by_side(word: str, peg: str, side: str, offset: str, added: str) -> None:
    fields = {"orderType": word, "action": side, "totalQuantity": Decimal(1), "auxPrice": Decimal(offset)}
    terms = tws.terms_from_wire({**fields, "lmtPrice": Decimal(0)})
    assert terms is not None
    assert (terms.type, terms.peg, terms.peg_offset) == (OrderType.LIMIT, peg, Decimal(added))
    assert (terms.limit_price, terms.stop_price) == (None, None)


@pytest.mark.parametrize(
    ("word", "price", "limit"), [("REL", "9.50", "9.50"), ("PEG MID", "0", None), ("MTL", "9.50", "9.50")]
)
def test_the_gateway_takes_a_special_order_for_no_plain_one(word: str, price: str, limit: str | None) -> None:
    fields = {"orderId": 7, "orderType": word, "action": "BUY", "totalQuantity": Decimal(5), "tif": "DAY"}
    prices = {"auxPrice": Decimal("0.10"), "lmtPrice": Decimal(price)}
    update = tws.update_from_open_order({**fields, **prices, "status": "Submitted"}, "tws", None, receive_time=NOW)
    assert (update.type, update.broker_type, update.side) == (None, word, Side.BUY)
    assert (update.limit_price, update.stop_price) == (None if limit is None else Decimal(limit), None)


@pytest.mark.parametrize(
    ("terms", "path"),
    [
        ({"type": OrderType.MARKET, "tif": TimeInForce.CLS, "to_limit": True}, "to_limit"),
        ({"type": OrderType.LIMIT, "tif": TimeInForce.CLS, "peg": "mid"}, "peg"),
        ({"type": OrderType.LIMIT, "peg": "moon"}, "peg"),
        ({"type": OrderType.LIMIT, "limit_price": Decimal(1), "min_quantity": Decimal("0.5")}, "min_quantity"),
    ],
)
def test_what_tws_has_no_word_for_is_refused_by_its_name(terms: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        tws.order_to_wire(tws.OrderTerms(side=Side.BUY, quantity=Decimal(1), **terms))
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("number", "name"), [(34, "auction_volume"), (35, "auction_price"), (61, "regulatory_imbalance")]
)
def test_auction_ticks_have_names(number: int, name: str) -> None:
    assert tws.tick_name(number) == name


@pytest.mark.parametrize("kind", list(OrderType))
def test_every_order_says_that_it_is_not_electronic_only(kind: OrderType) -> None:
    terms = tws.OrderTerms(
        side=Side.BUY, quantity=Decimal(1), type=kind, trail_amount=Decimal(1) if kind.is_trailing else None
    )
    fields = tws.order_to_wire(terms)
    assert fields["eTradeOnly"] is False
    assert fields["firmQuoteOnly"] is False


def test_a_stop_at_the_close_is_refused_because_tws_has_none() -> None:
    terms = tws.OrderTerms(
        side=Side.BUY, quantity=Decimal(1), type=OrderType.STOP, tif=TimeInForce.CLS, stop_price=Decimal(9)
    )
    with pytest.raises(InvalidArgument) as caught:
        tws.order_to_wire(terms)
    assert caught.value.reason == "unsupported"


def test_orders_at_the_close_have_types_of_their_own() -> None:
    terms = tws.OrderTerms(side=Side.SELL, quantity=Decimal(5), type=OrderType.MARKET, tif=TimeInForce.CLS)
    fields = tws.order_to_wire(terms)
    assert (fields["orderType"], fields["tif"]) == ("MOC", "DAY")


def test_a_short_sale_goes_out_as_a_sale() -> None:
    assert tws.side_to_wire(Side.SELLSHORT) == "SELL"
    assert tws.side_to_wire(Side.BUYTOCOVER) == "BUY"
    assert tws.side_from_wire("SSHORT") is Side.SELLSHORT


def an_instrument(text: str, **parts: Any) -> Instrument:
    query = parse_symbol(text)
    made: dict[str, Any] = {
        "symbol": text,
        "instrument_id": "265598",
        "mode": "tws",
        "sectype": query.sectype,
        "exchange": query.exchange or "SMART",
        "currency": query.currency or "USD",
        "expiry": query.expiry,
        "strike": query.strike,
        "right": query.right,
    }
    return Instrument(**{**made, **parts})


INSTRUMENTS = [
    an_instrument("IBM", primary_exchange="NYSE", local_symbol="IBM", trading_class="NMS", tick=Decimal("0.01")),
    an_instrument("BRK B", step=Decimal("0.0001"), fullname="Berkshire", cusip="084670702"),
    an_instrument("SAP@IBIS$EUR", primary_exchange="IBIS"),
    an_instrument("ES:20261218@CME", multiplier=Decimal(50), trading_class="ES"),
    an_instrument("SPY:20261218:C500", multiplier=Decimal(100), trading_class="SPY", timezone="US/Eastern"),
    an_instrument("ES:20261218:P4500.5@CME", sectype=SecType.FUTURE_OPTION, trading_class="EW3"),
    an_instrument("EUR/USD", exchange="IDEALPRO", tick=Decimal("0.00005"), step=Decimal("0.01")),
    an_instrument("BTC/USD@PAXOS", order_types=("MKT", "LMT")),
    an_instrument("^SPX@CBOE"),
]


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda record: record.symbol)
def test_an_instrument_survives_the_wire(instrument: Instrument) -> None:
    assert tws.instrument_from_details(tws.details_to_wire(instrument), "tws") == instrument


def test_a_contract_whose_month_is_not_its_last_day_is_spelled_by_the_day() -> None:
    details = {
        "conId": 7, "symbol": "CL", "secType": "FUT", "lastTradeDateOrContractMonth": "20261119", "exchange": "NYMEX",
        "currency": "USD", "tradingClass": "CL", "contractMonth": "202612", "minTick": Decimal("0.01"),
    }  # fmt: skip
    instrument = tws.instrument_from_details(details, "tws")
    assert instrument.symbol == "CL:20261119@NYMEX"
    (question,) = tws.questions_for(parse_symbol(instrument.symbol))
    assert question["lastTradeDateOrContractMonth"] == "20261119"


def test_a_plain_name_asks_for_a_us_stock() -> None:
    (question,) = tws.questions_for(parse_symbol("ibm"))
    assert (question["symbol"], question["secType"], question["exchange"], question["currency"]) == (
        "IBM", "STK", "SMART", "USD",
    )  # fmt: skip


def test_an_exchange_without_a_currency_is_no_guess_at_the_dollar() -> None:
    (question,) = tws.questions_for(parse_symbol("SAP@IBIS"))
    assert (question["primaryExchange"], question["currency"]) == ("IBIS", "")


def test_an_option_may_be_one_on_a_future() -> None:
    kinds = [question["secType"] for question in tws.questions_for(parse_symbol("ES:20261218:P4500@CME"))]
    assert kinds == ["OPT", "FOP"]


def test_an_instrument_id_that_is_no_number_names_nothing() -> None:
    assert tws.questions_for(InstrumentQuery(text="#AB", instrument_id="AB")) == ()


def test_market_rules_stand_beside_the_exchanges() -> None:
    details = {"validExchanges": "SMART,NYSE,ARCA", "marketRuleIds": "26,32,26", "exchange": "NYSE"}
    assert tws.market_rule_of(details) == 32
    assert tws.market_rule_of({"validExchanges": "", "marketRuleIds": ""}) is None


def test_a_market_rule_refines_the_tick() -> None:
    bands = [
        {"lowEdge": Decimal("1"), "increment": Decimal("0.01")},
        {"lowEdge": Decimal("0"), "increment": Decimal("0.0001")},
    ]
    instrument = tws.with_increments(INSTRUMENTS[0], bands)
    assert instrument.tick_at(Decimal("0.5")) == Decimal("0.0001")
    assert instrument.tick_at(Decimal("250")) == Decimal("0.01")


@pytest.mark.parametrize(
    ("word", "filled", "status"),
    [
        ("PreSubmitted", Decimal(0), OrderStatus.NEW),
        ("Submitted", Decimal(5), OrderStatus.PARTIALLY_FILLED),
        ("Inactive", Decimal(0), OrderStatus.REJECTED),
        ("ApiCancelled", None, OrderStatus.CANCELED),
        ("SomethingNew", None, None),
    ],
)
def test_a_status_is_read_with_what_is_filled(word: str, filled: Decimal | None, status: OrderStatus | None) -> None:
    assert tws.status_from_wire(word, filled) is status


def test_a_status_is_advice_and_a_price_of_zero_is_none() -> None:
    update = tws.update_from_status(
        {
            "orderId": 7, "status": "Submitted", "filled": Decimal(0), "remaining": Decimal("100.0"),
            "avgFillPrice": Decimal(0), "lastFillPrice": Decimal(0), "permId": 99, "clientId": 1, "whyHeld": "",
        },
        "tws",
        receive_time=NOW,
    )  # fmt: skip
    assert (update.status, update.avg_fill_price, update.last_fill_price) == (OrderStatus.NEW, None, None)
    assert (update.permid, update.broker_order_id, str(update.remaining)) == ("99", "7", "100")


def test_an_order_of_the_tws_window_is_named_by_its_permid_alone() -> None:
    update = tws.update_from_open_order(
        {
            "orderId": 0, "permId": 12, "clientId": 0, "action": "BUY", "totalQuantity": Decimal(3), "orderType": "REL",
            "tif": "DAY", "lmtPrice": Decimal("5.00"), "auxPrice": None, "status": "Submitted", "orderRef": "",
        },
        "tws",
        None,
        receive_time=NOW,
    )  # fmt: skip
    assert (update.broker_order_id, update.permid, update.type, update.broker_type) == (None, "12", None, "REL")
    assert update.limit_price == Decimal(5)


def an_execution(**changes: Any) -> Execution:
    made: dict[str, Any] = {
        "exec_id": "0000e0d5.66f1.01.01", "mode": "tws", "account": "DU1", "symbol": "IBM", "side": Side.BUY,
        "shares": Decimal(100), "price": Decimal("12.5"), "time": NOW, "receive_time": NOW,
        "instrument": INSTRUMENTS[0], "instrument_id": "265598", "order_ref": "TX-1", "permid": "99",
        "broker_order_id": "7", "clientid": 1, "exchange": "ARCA", "cum_qty": Decimal(100),
        "avg_price": Decimal("12.5"), "liquidity": "Added",
    }  # fmt: skip
    return Execution(**{**made, **changes})


@given(shares=quantities, price=prices.filter(bool), side=st.sampled_from([Side.BUY, Side.SELL]), time=seconds)
def test_an_execution_survives_the_wire(shares: Decimal, price: Decimal, side: Side, time: int) -> None:
    execution = an_execution(shares=shares, price=price, side=side, time=time)
    assert (
        tws.execution_from_wire(tws.execution_to_wire(execution), "tws", INSTRUMENTS[0], receive_time=NOW) == execution
    )


@pytest.mark.parametrize(
    ("exec_id", "replaced"),
    [("a.01.01", None), ("a.01.02", "a.01.01"), ("a.01.10", "a.01.09"), ("plain", None), ("x.1", None)],
)
def test_a_raised_last_number_names_the_execution_it_corrects(exec_id: str, replaced: str | None) -> None:
    assert tws.corrected_id(exec_id) == replaced


def test_a_correction_replaces_and_a_correction_to_nothing_busts() -> None:
    corrected = tws.execution_to_wire(an_execution(exec_id="a.01.02"))
    read = tws.execution_from_wire(corrected, "tws", INSTRUMENTS[0], receive_time=NOW)
    assert (read.exec_type, read.replaces) == (ExecType.CORRECT, "a.01.01")
    bust = tws.execution_from_wire({**corrected, "shares": Decimal(0)}, "tws", INSTRUMENTS[0], receive_time=NOW)
    assert bust.exec_type is ExecType.BUST


def test_an_execution_without_a_price_is_an_error_and_not_a_zero() -> None:
    fields = {**tws.execution_to_wire(an_execution()), "price": None}
    with pytest.raises(RemoteProtocolError):
        tws.execution_from_wire(fields, "tws", INSTRUMENTS[0], receive_time=NOW)


@pytest.mark.parametrize("unknown", [None, Decimal(-1)])
def test_a_commission_that_is_not_known_yet_is_none(unknown: Decimal | None) -> None:
    report = tws.commission_from_wire(
        {"execId": "a", "commission": unknown, "currency": "USD", "realizedPNL": None}, "tws"
    )
    assert (report.commission, report.currency, report.realized) == (None, None, None)


@given(seconds)
def test_a_time_survives_the_wire(time: int) -> None:
    assert tws.time_from_wire(tws.time_to_wire(time)) == time


@pytest.mark.parametrize(
    "text",
    ["20261120 10:00:00 US/Eastern", "20261120 10:00:00 EST", "20261120-15:00:00", "1795186800", "20261120  10:00:00"],
)
def test_one_instant_has_many_spellings(text: str) -> None:
    new_york = ZoneInfo("America/New_York")
    assert tws.time_from_wire(text, new_york) == int(datetime(2026, 11, 20, 15, tzinfo=UTC).timestamp()) * 1_000_000_000


def test_a_day_bar_starts_at_midnight_utc() -> None:
    assert tws.bar_time_from_wire("20261120") == int(datetime(2026, 11, 20, tzinfo=UTC).timestamp()) * 1_000_000_000


@pytest.mark.parametrize("text", ["", None, "soon", "20261320", "20261120 25:00:00", "20261120 10:00:00 Middle/Earth"])
def test_what_is_no_time_reads_as_none(text: str | None) -> None:
    assert tws.time_from_wire(text) is None


def test_an_order_record_gives_its_terms() -> None:
    order = Order(
        id="TX-1", mode="tws", account="DU1", symbol="IBM", side=Side.BUY, quantity=Decimal(10), type=OrderType.LIMIT,
        status=OrderStatus.PENDING_NEW, submit_time=NOW, update_time=NOW, limit_price=Decimal("9.5"),
    )  # fmt: skip
    terms = tws.terms_of(order)
    assert (terms.order_ref, terms.limit_price, terms.quantity) == ("TX-1", Decimal("9.5"), Decimal(10))


def test_the_margins_of_a_what_if_are_decimals() -> None:
    margins = tws.margins_from_wire(
        {"initMarginChange": Decimal("100.10"), "commission": Decimal("1.0"), "minCommission": None,
         "maxCommission": None, "commissionCurrency": "USD", "warningText": ""}
    )  # fmt: skip
    assert (margins["init_margin"], margins["commission_min"], margins["maint_margin"]) == (
        Decimal("100.1"), Decimal(1), None,
    )  # fmt: skip
