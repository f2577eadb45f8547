"""The client role of the TWS wire, on whatever generation of ibapi is installed."""

from __future__ import annotations

import builtins
import struct
import sys
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from txtrader.errors import ConfigError, InvalidArgument, LocalProtocolError, RemoteProtocolError
from txtrader.wire.tws.client import MAX_FRAME, ClientSession, LoggedIn, Undecoded
from txtrader.wire.tws.ibapi_binding import Binding, load_binding
from txtrader.wire.tws.message import Message
from txtrader.wire.tws.table import REQUESTS, RESPONSES

TOP = min(load_binding().max_version, 200)
"""The greatest text version of the installed package."""


def frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def bodies(data: bytes) -> list[bytes]:
    found = []
    while data:
        (length,) = struct.unpack_from(">I", data)
        found.append(data[4 : 4 + length])
        data = data[4 + length :]
    return found


def events(session: ClientSession) -> list[Any]:
    found = []
    while (event := session.next_event()) is not None:
        found.append(event)
    return found


def logged_in(version: int = TOP, **options: Any) -> ClientSession:
    session = ClientSession(client_id=7, max_version=version, **options)
    session.data_to_send()
    session.receive_data(frame(b"%d\x0020261120 10:00:00 EST\x00" % version))
    assert events(session) == [LoggedIn(version, "20261120 10:00:00 EST")]
    session.data_to_send()
    return session


def answer(session: ClientSession, *messages: Message) -> list[Any]:
    assert session.server_version is not None
    for message in messages:
        session.receive_data(frame(RESPONSES.encode(message, session.server_version)))
    return events(session)


# --- handshake ---


def test_the_greeting_offers_what_the_package_understands() -> None:
    session = ClientSession(client_id=1)
    binding = load_binding()
    assert session.data_to_send() == b"API\0" + frame(b"v%d..%d" % (binding.min_version, binding.max_version))


def test_a_lower_maximum_is_a_setting_and_a_higher_one_changes_nothing() -> None:
    assert ClientSession(client_id=1, max_version=152).offered[1] == 152
    assert ClientSession(client_id=1, max_version=9999).offered[1] == load_binding().max_version


def test_the_answer_is_followed_by_the_login() -> None:
    session = ClientSession(client_id=7, max_version=TOP)
    session.data_to_send()
    session.receive_data(frame(b"%d\x0020261120 10:00:00 EST\x00" % TOP))
    assert events(session) == [LoggedIn(TOP, "20261120 10:00:00 EST")]
    (body,) = bodies(session.data_to_send())
    message, left_over = REQUESTS.decode(body, TOP)
    assert (message.name, message["clientId"], left_over) == ("startApi", 7, 0)


def test_frames_before_the_answer_are_counted_and_tolerated() -> None:
    session = ClientSession(client_id=7, max_version=TOP)
    session.receive_data(frame(b"4\x002\x00-1\x002104\x00fine\x00") + frame(b"53\x001\x00"))
    session.receive_data(frame(b"%d\x0020261120 10:00:00 EST\x00" % TOP))
    found = events(session)
    assert [type(event) for event in found] == [Undecoded, Undecoded, LoggedIn]
    assert session.undecoded == 2


def test_an_answer_beyond_the_offer_ends_the_conversation() -> None:
    session = ClientSession(client_id=7, max_version=152)
    session.receive_data(frame(b"178\x0020261120 10:00:00 EST\x00"))
    with pytest.raises(RemoteProtocolError, match="178"):
        session.next_event()


def test_a_server_that_never_answers_the_greeting_is_dropped() -> None:
    session = ClientSession(client_id=7)
    session.receive_data(frame(b"4\x002\x00") * 65)
    with pytest.raises(RemoteProtocolError):
        events(session)


def test_nothing_is_sent_before_the_versions_are_agreed() -> None:
    with pytest.raises(LocalProtocolError):
        ClientSession(client_id=7).send(Message("reqCurrentTime"))


def test_without_the_package_there_is_a_clear_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def no_ibapi(name: str, *rest: Any) -> Any:
        if name.split(".")[0] == "ibapi":
            raise ModuleNotFoundError("No module named 'ibapi'", name="ibapi")
        return real_import(name, *rest)

    for name in [name for name in sys.modules if name.split(".")[0] == "ibapi"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", no_ibapi)
    monkeypatch.setitem(sys.modules, "ibapi.client", None)
    with pytest.raises(ConfigError, match="pip install ibapi"):
        Binding()


# --- frames ---


def test_a_frame_over_the_limit_is_refused_at_its_length_after_what_came_before() -> None:
    session = logged_in()
    time = RESPONSES.encode(Message("currentTime", {"time": 5}), TOP)
    session.receive_data(frame(time) + struct.pack(">I", MAX_FRAME + 1) + b"x")
    assert session.next_event() == Message("currentTime", {"time": 5})
    with pytest.raises(RemoteProtocolError):
        session.next_event()
    session.receive_data(frame(time))
    with pytest.raises(RemoteProtocolError):
        session.next_event()


def test_a_limit_of_our_own_may_be_lower() -> None:
    session = logged_in(max_frame=1024)
    session.receive_data(struct.pack(">I", 1025))
    with pytest.raises(RemoteProtocolError):
        session.next_event()


def test_half_a_frame_at_the_end_is_never_read() -> None:
    session = logged_in()
    session.receive_data(frame(b"49\x001\x005\x00")[:-1])
    session.receive_eof()
    assert events(session) == []


def test_a_frame_that_cannot_be_decoded_is_counted_and_the_link_goes_on() -> None:
    session = logged_in()
    session.receive_data(
        frame(b"9\x001\x00nonsense\x00") + frame(b"777\x001\x00") + frame(b"") + frame(b"49\x001\x005\x00")
    )
    found = events(session)
    assert [type(event) for event in found] == [Undecoded, Undecoded, Undecoded, Message]
    assert "777" in found[1].reason
    assert session.undecoded == 3


def test_a_long_frame_in_many_reads_costs_linear_time() -> None:
    session = logged_in()
    body = b"19\x001\x00" + b"<x/>" * 1_000_000 + b"\x00"
    data = frame(body)
    for start in range(0, len(data), 1000):
        session.receive_data(data[start : start + 1000])
    (event,) = events(session)
    assert event.name == "scannerParameters"
    assert len(event["xml"]) == 4_000_000


# --- requests: what the package writes, our table reads back ---

STOCK = {"conId": 265598, "symbol": "AAPL", "secType": "STK", "exchange": "SMART", "currency": "USD"}
ORDER = {
    "action": "BUY",
    "totalQuantity": Decimal(100),
    "orderType": "LMT",
    "lmtPrice": Decimal("0.00001"),
    "tif": "DAY",
    "orderRef": "TX-20261120-000001",
    "account": "DU1",
    "transmit": True,
    "eTradeOnly": False,
    "firmQuoteOnly": False,
    "outsideRth": True,
    "displaySize": 10,
    "ocaGroup": "g",
    "ocaType": 2,
}

REQUEST_MESSAGES = [
    Message("reqCurrentTime"),
    Message("reqIds", {"numIds": 1}),
    Message(
        "reqMktData", {"reqId": 1, **STOCK, "genericTickList": "233", "snapshot": False, "regulatorySnapshot": False}
    ),
    Message("cancelMktData", {"reqId": 1}),
    Message("reqMarketDataType", {"marketDataType": 3}),
    Message("reqContractDetails", {"reqId": 1, "symbol": "ES", "secType": "FUT", "exchange": "CME", "right": ""}),
    Message(
        "reqContractDetails", {"reqId": 1, "symbol": "SPY", "secType": "OPT", "strike": Decimal("512.5"), "right": "C"}
    ),
    Message(
        "reqHistoricalData",
        {
            "reqId": 1,
            **STOCK,
            "endDateTime": "20261120-15:00:00",
            "durationStr": "1 D",
            "barSizeSetting": "1 min",
            "whatToShow": "TRADES",
            "useRTH": True,
            "formatDate": 2,
            "keepUpToDate": False,
        },
    ),
    Message("reqMarketRule", {"marketRuleId": 26}),
    Message("reqExecutions", {"reqId": 1, "clientId": 0, "acctCode": "", "time": "20261120-00:00:00"}),
    Message("reqOpenOrders"),
    Message("reqAllOpenOrders"),
    Message("reqAutoOpenOrders", {"bAutoBind": True}),
    Message("reqCompletedOrders", {"apiOnly": False}),
    Message("reqPositions"),
    Message("cancelPositions"),
    Message("reqAccountSummary", {"reqId": 1, "groupName": "All", "tags": "NetLiquidation"}),
    Message("reqAccountUpdates", {"subscribe": True, "acctCode": "DU1"}),
    Message("reqAccountUpdatesMulti", {"reqId": 1, "account": "DU1", "modelCode": "", "ledgerAndNLV": False}),
    Message("placeOrder", {"orderId": 5, **STOCK, **ORDER}),
    Message("cancelOrder", {"orderId": 5}),
    Message("reqGlobalCancel"),
]


@pytest.mark.parametrize("message", REQUEST_MESSAGES, ids=lambda message: message.name)
@pytest.mark.parametrize("version", sorted({151, 157, TOP}))
def test_a_request_arrives_as_it_was_meant(message: Message, version: int) -> None:
    session = logged_in(version)
    session.send(message)
    (body,) = bodies(session.data_to_send())
    arrived, left_over = REQUESTS.decode(body, version)
    assert (arrived.name, left_over) == (message.name, 0)
    for name, value in message.fields.items():
        read = arrived.get(name)
        assert read == value or (not value and not read), name


def test_a_small_price_leaves_without_an_exponent() -> None:
    session = logged_in()
    session.send(Message("placeOrder", {"orderId": 5, **STOCK, **ORDER}))
    assert b"\x000.00001\x00" in session.data_to_send()


def test_a_fraction_of_a_share_leaves_exactly() -> None:
    session = logged_in()
    session.send(Message("placeOrder", {"orderId": 5, **STOCK, **ORDER, "totalQuantity": Decimal("0.1")}))
    assert b"\x000.1\x00" in session.data_to_send()


@pytest.mark.parametrize("text", ["AAPL\0", "A\nB" if TOP < 163 else "A\x01B", "Ä"])
def test_characters_that_tws_does_not_take_are_the_callers_fault(text: str) -> None:
    session = logged_in()
    with pytest.raises((InvalidArgument, LocalProtocolError)):
        session.send(Message("reqMktData", {"reqId": 1, **STOCK, "symbol": text}))
    assert session.data_to_send() == b""


def test_a_request_that_the_generation_does_not_have_is_refused() -> None:
    session = logged_in()
    with pytest.raises(LocalProtocolError):
        session.send(Message("reqTheMoon", {"reqId": 1}))
    if TOP < 163:
        with pytest.raises(LocalProtocolError) as caught:
            session.send(Message("reqUserInfo", {"reqId": 1}))
        assert caught.value.reason == "unsupported"


def test_a_request_that_failed_leaves_no_error_event_behind() -> None:
    session = logged_in()
    with pytest.raises((InvalidArgument, LocalProtocolError)):
        session.send(Message("reqMktData", {"reqId": 1, **STOCK, "symbol": "A\0"}))
    assert events(session) == []
    session.send(Message("reqCurrentTime"))
    assert session.data_to_send() != b""


# --- responses: what our table writes, the package reads, both mean the same ---

CONTRACT = {
    "conId": 265598,
    "symbol": "AAPL",
    "secType": "STK",
    "exchange": "SMART",
    "currency": "USD",
    "localSymbol": "AAPL",
    "tradingClass": "NMS",
}
TERMS = {
    **CONTRACT,
    "action": "BUY",
    "totalQuantity": Decimal(100),
    "orderType": "LMT",
    "lmtPrice": Decimal("12.35"),
    "tif": "GTC",
    "account": "DU1",
    "orderRef": "TX-1",
    "permId": 99,
    "outsideRth": True,
    "status": "Submitted",
}
RESPONSE_MESSAGES = [
    Message("nextValidId", {"orderId": 12}),
    Message("managedAccounts", {"accountsList": "DU1,DU2"}),
    Message("currentTime", {"time": 1795186800}),
    Message("error", {"reqId": 5, "errorCode": 201, "errorString": "rejected: a \\ back\nslash"}),
    Message("marketDataType", {"reqId": 1, "marketDataType": 3}),
    Message("openOrder", {"orderId": 5, "clientId": 7, **TERMS, "initMarginChange": Decimal("10.5")}),
    Message("openOrderEnd"),
    Message("completedOrder", {**TERMS, "filledQuantity": Decimal(100), "completedTime": "20261120 10:00:00 EST"}),
    Message("completedOrdersEnd"),
    Message(
        "execDetails",
        {
            "reqId": -1,
            "orderId": 5,
            **CONTRACT,
            "execId": "a.b.01.01",
            "time": "20261120 10:00:00 US/Eastern",
            "acctNumber": "DU1",
            "execExchange": "ARCA",
            "side": "BOT",
            "shares": Decimal(100),
            "price": Decimal("12.35"),
            "permId": 99,
            "clientId": 7,
            "cumQty": Decimal(100),
            "avgPrice": Decimal("12.35"),
            "orderRef": "TX-1",
            "lastLiquidity": 2,
        },
    ),
    Message("execDetailsEnd", {"reqId": 3}),
    Message("commissionReport", {"execId": "a.b.01.01", "commission": Decimal("1.01"), "currency": "USD"}),
    Message("position", {"account": "DU1", **CONTRACT, "position": Decimal(-5), "avgCost": Decimal("12.35")}),
    Message("positionEnd"),
    Message("updateAccountValue", {"key": "NetLiquidation", "val": "1000.5", "currency": "USD", "accountName": "DU1"}),
    Message(
        "updatePortfolio",
        {
            "conId": 1,
            "symbol": "IBM",
            "secType": "STK",
            "currency": "USD",
            "position": Decimal(3),
            "marketPrice": Decimal("9.5"),
            "marketValue": Decimal("28.5"),
            "averageCost": Decimal("9.1"),
            "unrealizedPNL": Decimal("1.2"),
            "realizedPNL": Decimal(0),
            "accountName": "DU1",
        },
    ),
    Message("accountDownloadEnd", {"accountName": "DU1"}),
    Message(
        "accountUpdateMulti",
        {"reqId": 4, "account": "DU1", "modelCode": "", "key": "SMA", "value": "5", "currency": "USD"},
    ),
    Message("accountUpdateMultiEnd", {"reqId": 4}),
    Message("accountSummary", {"reqId": 4, "account": "DU1", "tag": "SMA", "value": "5", "currency": "USD"}),
    Message(
        "contractDetails",
        {
            "reqId": 1,
            **CONTRACT,
            "minTick": Decimal("0.01"),
            "orderTypes": "LMT,MKT",
            "validExchanges": "SMART,NYSE",
            "longName": "Äpple",
            "marketRuleIds": "26,26",
            "timeZoneId": "US/Eastern",
            "secIdList": [{"tag": "ISIN", "value": "US0378331005"}],
        },
    ),
    Message("contractDetailsEnd", {"reqId": 1}),
    Message(
        "marketRule", {"marketRuleId": 26, "priceIncrements": [{"lowEdge": Decimal(0), "increment": Decimal("0.01")}]}
    ),
    Message("headTimestamp", {"reqId": 1, "headTimestamp": "20200101-00:00:00"}),
    Message("pnl", {"reqId": 1, "dailyPnL": Decimal("1.5"), "unrealizedPnL": None, "realizedPnL": Decimal(2)}),
    Message(
        "tickReqParams", {"reqId": 1, "minTick": Decimal("0.01"), "bboExchange": "9c0001", "snapshotPermissions": 3}
    ),
    Message("tickSnapshotEnd", {"reqId": 1}),
]


@pytest.mark.parametrize("message", RESPONSE_MESSAGES, ids=lambda message: message.name)
@pytest.mark.parametrize("version", sorted({153, 157, TOP}))
def test_a_response_is_read_as_it_was_meant(message: Message, version: int) -> None:
    session = logged_in(version)
    (event,) = answer(session, message)
    assert isinstance(event, Message)
    assert event.name == message.name
    for name, value in message.fields.items():
        assert event.get(name) == value, name


def test_bars_arrive_one_by_one_and_then_their_end() -> None:
    bar = {
        "date": "1795186800",
        "open": Decimal("1.1"),
        "high": Decimal("1.3"),
        "low": Decimal(1),
        "close": Decimal("1.2"),
        "volume": Decimal(500),
        "wap": Decimal("1.15"),
        "barCount": 7,
    }
    session = logged_in()
    found = answer(session, Message("historicalData", {"reqId": 1, "start": "a", "end": "b", "bars": [bar, bar]}))
    if TOP >= 196:
        found += answer(session, Message("historicalDataEnd", {"reqId": 1, "start": "a", "end": "b"}))
    assert [event.name for event in found] == ["historicalData", "historicalData", "historicalDataEnd"]
    assert {name: found[0].get(name) for name in bar} == bar


@pytest.mark.parametrize("unset", ["", "1.7976931348623157E308", "1.7976931348623157e+308"])
def test_unset_prices_are_none_in_every_spelling(unset: str) -> None:
    session = logged_in()
    body = RESPONSES.encode(Message("commissionReport", {"execId": "a"}), TOP)
    session.receive_data(frame(body.replace(b"1.7976931348623157E308", unset.encode())))
    (event,) = events(session)
    assert event["commission"] in (None, Decimal(0))  # an empty one is 0 to the package
    assert unset == "" or event["commission"] is None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(min_value=1, max_value=300), min_size=1, max_size=30))
def test_any_cut_of_the_bytes_gives_the_same_events(cuts: Iterable[int]) -> None:
    whole = logged_in()
    data = b"".join(frame(RESPONSES.encode(message, TOP)) for message in RESPONSE_MESSAGES)
    whole.receive_data(data)
    expected = events(whole)
    assert len(expected) == len(RESPONSE_MESSAGES)
    cut = logged_in()
    start, found = 0, []
    for length in cuts:
        cut.receive_data(data[start : start + length])
        found += events(cut)
        start += length
    cut.receive_data(data[start:])
    assert found + events(cut) == expected
