"""Market data, depth, history and reference data of the simulated TWS."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from tws_memory_client import IBM, MemoryClient, World, codes, named

from txtrader.exsim.endpoints.tws import TwsOptions
from txtrader.exsim.endpoints.tws.history_words import BAR_SIZES
from txtrader.exsim.records import Phase
from txtrader.model.order import Side
from txtrader.wire.tws.table import REQUESTS

EUR = {"symbol": "EUR", "secType": "CASH", "exchange": "IDEALPRO", "currency": "USD"}
BTC = {"symbol": "BTC", "secType": "CRYPTO", "exchange": "PAXOS", "currency": "USD"}
ES = {"symbol": "ES", "secType": "FUT", "exchange": "CME", "currency": "USD"}
SPX = {"symbol": "SPX", "secType": "IND", "exchange": "CBOE", "currency": "USD"}


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


@pytest.fixture
def client(world: World) -> MemoryClient:
    made = world.connect()
    made.take()
    return made


def ticks(messages: list[Any]) -> dict[int, Any]:
    """Return the last value of each tick type."""
    found: dict[int, Any] = {}
    for message in messages:
        for name in ("price", "size", "value"):
            if message.name.startswith("tick") and name in message.fields and "tickType" in message.fields:
                found[message["tickType"]] = message[name]
                break
    return found


# -- quotes


def test_a_line_begins_with_all_ticks(world: World, client: MemoryClient) -> None:
    got = client.ask("reqMktData", reqId=1, **IBM)
    assert [m.name for m in got[:2]] == ["tickReqParams", "marketDataType"]
    assert (got[0]["minTick"], got[1]["marketDataType"]) == (Decimal("0.01"), 1)
    top, shown = world.venue.top(8314), ticks(got)
    assert (shown[1], shown[2]) == (top.bid, top.ask)
    assert named(got, "tickPrice")[0]["size"] == top.bid_size
    assert {1, 2, 4, 6, 7, 8, 9, 14, 45, 49} <= shown.keys()


def test_only_what_changed_is_told(world: World, client: MemoryClient) -> None:
    client.send("reqMktData", reqId=1, **IBM)
    client.take()
    bid = world.venue.top(8314).bid
    assert bid is not None
    world.trade_against(Side.BUY, 7, str(bid + Decimal("0.01")))
    (tick,) = client.take()
    assert (tick.name, tick["tickType"], tick["price"], tick["size"]) == (
        "tickPrice",
        1,
        bid + Decimal("0.01"),
        Decimal(7),
    )
    world.trade_against(Side.BUY, 5, str(bid + Decimal("0.01")))
    (tick,) = client.take()
    assert (tick.name, tick["tickType"], tick["size"]) == ("tickSize", 0, Decimal(12))


def test_trades_tick_and_rt_volume_follows_when_wanted(world: World, client: MemoryClient) -> None:
    client.send("reqMktData", reqId=1, genericTickList="233,375,221", **IBM)
    client.take()
    ask = world.venue.top(8314).ask
    world.advance(1.5)
    world.trade_against(Side.BUY, 7, str(ask))
    shown = ticks(client.take())
    assert shown[45] == str(int(world.reactor.seconds()))
    price, size, millis, volume, _, single = shown[48].split(";")
    assert (Decimal(price), size, single) == (ask, "7", "true")
    assert (int(millis), Decimal(volume)) == (int(world.reactor.seconds() * 1000), shown[8])
    assert 77 in shown and 37 in shown


def test_a_side_that_empties_is_minus_one() -> None:
    world = World(has_house=False)
    client = world.connect()
    client.send("reqMktData", reqId=1, **IBM)
    order = world.trade_against(Side.BUY, 7, "100")
    assert ticks(client.take())[1] == Decimal(100)
    world.venue.cancel(None, order.id)
    assert ticks(client.take())[1] == Decimal(-1)
    world.close()


def test_a_snapshot_ends_and_is_no_line(world: World, client: MemoryClient) -> None:
    got = client.ask("reqMktData", reqId=1, snapshot=True, **IBM)
    assert got[-1].name == "tickSnapshotEnd"
    assert codes(client.ask("cancelMktData", reqId=1)) == [(1, 300)]
    assert codes(client.ask("reqMktData", reqId=1, snapshot=True, genericTickList="233", **IBM)) == [(1, 321)]


@pytest.mark.parametrize("generic", ["999", "x", "233;375", "-1", "²"])
def test_unknown_generic_ticks_are_refused(client: MemoryClient, generic: str) -> None:
    assert codes(client.ask("reqMktData", reqId=1, genericTickList=generic, **IBM)) == [(1, 321)]


def test_lines_are_limited_and_ids_unique() -> None:
    world = World(TwsOptions(line_limit=2))
    client = world.connect()
    client.send("reqMktData", reqId=1, **IBM).send("reqMktData", reqId=2, **IBM)
    assert codes(client.ask("reqMktData", reqId=2, **IBM)) == [(2, 102)]
    assert codes(client.ask("reqMktData", reqId=3, **IBM)) == [(3, 101)]
    client.send("cancelMktData", reqId=1)
    assert codes(client.ask("reqMktData", reqId=3, **IBM)) == []
    world.close()


def test_a_closed_line_is_silent(world: World, client: MemoryClient) -> None:
    client.send("reqMktData", reqId=1, **IBM).send("cancelMktData", reqId=1)
    client.take()
    world.trade_against(Side.BUY, 7, "999")
    assert named(client.take(), "tickPrice", "tickSize", "tickString") == []


def test_ambiguous_and_unknown_contracts_are_200(client: MemoryClient) -> None:
    assert codes(client.ask("reqMktData", reqId=1, **ES)) == [(1, 200)]
    assert codes(client.ask("reqMktData", reqId=2, symbol="NOSUCH", secType="STK")) == [(2, 200)]
    assert codes(client.ask("reqMktData", reqId=3, **{**IBM, "currency": "EUR"})) == [(3, 200)]
    assert codes(client.ask("reqMktData", reqId=4, **{**IBM, "exchange": "MARS"})) == [(4, 200)]
    assert codes(client.ask("reqMktData", reqId=5)) == [(5, 321)]


def test_fx_has_no_trades_and_an_index_no_book(client: MemoryClient) -> None:
    fx = ticks(client.ask("reqMktData", reqId=1, **EUR))
    assert 1 in fx and 4 not in fx
    index = ticks(client.ask("reqMktData", reqId=2, **SPX))
    assert index[4] > 0


def test_a_halt_is_told(world: World, client: MemoryClient) -> None:
    client.send("reqMktData", reqId=1, **IBM)
    client.take()
    world.venue.set_phase(8314, Phase.HALT)
    assert ticks(client.take())[49] == 1
    world.venue.set_phase(8314, Phase.CONTINUOUS)
    assert ticks(client.take())[49] == 0
    world.venue.set_phase(8314, Phase.PAUSE)
    assert ticks(client.take())[49] == 2, "halted for volatility"
    world.venue.set_phase(8314, Phase.CLOSING_AUCTION)
    assert ticks(client.take())[49] == 0, "for an auction there is no word"


def test_without_permission_there_is_delayed_data_or_354() -> None:
    world = World(TwsOptions(has_live_data=False))
    client = world.connect()
    client.take()
    assert codes(client.ask("reqMktData", reqId=1, **IBM)) == [(1, 354)]
    client.send("reqMarketDataType", marketDataType=3)
    got = client.ask("reqMktData", reqId=2, **IBM)
    assert codes(got) == [(2, 10167)]
    assert named(got, "marketDataType")[0]["marketDataType"] == 3
    assert {66, 67, 68, 75} <= ticks(got).keys() and 1 not in ticks(got)
    assert codes(client.ask("reqMarketDataType", marketDataType=7)) == [(-1, 321)]
    world.close()


def test_old_clients_are_limited_when_asked_for() -> None:
    world = World(TwsOptions(limits_old_clients=True))
    old, new = world.connect(1, 157), world.connect(2, 178)
    assert codes(old.ask("reqMktData", reqId=1, **EUR)) == [(1, 10285)]
    assert codes(old.ask("reqMktData", reqId=2, **IBM)) == [(2, 2176)]
    assert (10285) in [code for _, code in codes(old.place(1, totalQuantity=Decimal("0.5")))]
    assert codes(new.ask("reqMktData", reqId=1, **EUR)) == []
    world.close()


def test_sizes_below_one_are_trimmed_for_old_clients_only(world: World) -> None:
    for client_id, version, is_whole in ((1, 157, True), (2, 178, False)):
        got = world.connect(client_id, version).ask("reqMktData", reqId=1, **BTC)
        sizes = [m["size"] for m in named(got, "tickPrice") if m["tickType"] in (1, 2)]
        assert all(size == int(size) for size in sizes) is is_whole


def test_an_option_line_carries_greeks(world: World, client: MemoryClient) -> None:
    chain = named(
        client.ask("reqSecDefOptParams", reqId=1, underlyingSymbol="SPY", underlyingConId=756733),
        "securityDefinitionOptionParameter",
    )[0]
    strike = chain["strikes"][len(chain["strikes"]) // 2]
    option = {
        "symbol": "SPY",
        "secType": "OPT",
        "exchange": "SMART",
        "currency": "USD",
        "right": "C",
        "strike": strike,
        "lastTradeDateOrContractMonth": chain["expirations"][-1],
    }
    got = named(client.ask("reqMktData", reqId=2, **option), "tickOptionComputation")
    model = next(m for m in got if m["tickType"] == 13)
    assert 0 < model["delta"] < 1 and model["impliedVol"] > 0 and model["theta"] < 0 < model["vega"]
    worth = client.ask(
        "calculateOptionPrice", reqId=3, volatility=model["impliedVol"], underPrice=model["undPrice"], **option
    )[0]
    assert abs(worth["optPrice"] - model["optPrice"]) < Decimal("0.01")
    back = client.ask(
        "calculateImpliedVolatility", reqId=4, optionPrice=worth["optPrice"], underPrice=model["undPrice"], **option
    )[0]
    assert abs(back["impliedVol"] - model["impliedVol"]) < Decimal("0.001")
    assert (
        client.ask(
            "calculateImpliedVolatility", reqId=5, optionPrice=Decimal(100000), underPrice=model["undPrice"], **option
        )[0]["impliedVol"]
        is None
    )
    assert codes(client.ask("calculateOptionPrice", reqId=6, volatility=Decimal(1), underPrice=Decimal(1), **IBM)) == [
        (6, 321)
    ]
    assert codes(client.ask("calculateOptionPrice", reqId=7, underPrice=Decimal(1), **option)) == [(7, 321)]


# -- depth, tick by tick, bars


@pytest.mark.parametrize("is_smart", [True, False])
def test_depth_rows_follow_the_book_whichever_way_inserts_are_read(is_smart: bool) -> None:
    world = World(pace=40)
    client = world.connect()
    client.take()
    client.send("reqMktDepth", reqId=1, numRows=5, isSmartDepth=is_smart, **IBM)
    shifting: dict[int, list[Any]] = {0: [], 1: []}
    overwriting: dict[int, dict[int, Any]] = {0: {}, 1: {}}
    for _ in range(60):
        for m in client.take():
            row = (m["price"], m["size"])
            if m["operation"] == 0:
                shifting[m["side"]].insert(m["position"], row)
                overwriting[m["side"]][m["position"]] = row
            elif m["operation"] == 1:
                shifting[m["side"]][m["position"]] = row
                overwriting[m["side"]][m["position"]] = row
            else:
                del shifting[m["side"]][m["position"]]
                del overwriting[m["side"]][m["position"]]
        bids, asks = world.venue.depth(8314, 5)
        for side, rows in ((1, bids), (0, asks)):
            expected = [(row.price, row.size) for row in rows]
            assert shifting[side] == expected
            assert [overwriting[side][n] for n in range(len(expected))] == expected
        world.advance(0.1)
    assert codes(client.ask("cancelMktDepth", reqId=1, isSmartDepth=is_smart)) == []
    world.advance(1)
    assert client.take() == []
    world.close()


def test_depth_requests_are_limited(client: MemoryClient) -> None:
    for number in (1, 2, 3):
        client.send("reqMktDepth", reqId=number, numRows=3, **IBM)
    assert codes(client.ask("reqMktDepth", reqId=3, numRows=3, **IBM)) == [(3, 102)]
    assert codes(client.ask("reqMktDepth", reqId=4, numRows=3, **IBM)) == [(4, 309)]
    assert codes(client.ask("reqMktDepth", reqId=5, numRows=0, **IBM)) == [(5, 321)]
    assert codes(client.ask("cancelMktDepth", reqId=9)) == [(9, 310)]


def test_tick_by_tick_starts_with_the_past(world: World, client: MemoryClient) -> None:
    (past,) = client.ask("reqTickByTickData", reqId=1, tickType="AllLast", numberOfTicks=20, **IBM)
    assert (past.name, len(past["ticks"]), past["done"]) == ("historicalTicksLast", 20, True)
    ask = world.venue.top(8314).ask
    world.trade_against(Side.BUY, 7, str(ask))
    trades = named(client.take(), "tickByTick")
    assert [(m["tickType"], m["price"], m["size"]) for m in trades] == [(2, ask, Decimal(7))]
    got = client.ask("reqTickByTickData", reqId=2, tickType="BidAsk", numberOfTicks=3, **IBM)
    assert [m.name for m in got] == ["historicalTicksBidAsk", "tickByTick"]
    got = client.ask("reqTickByTickData", reqId=3, tickType="MidPoint", numberOfTicks=3, **EUR)
    assert [m.name for m in got] == ["historicalTicks", "tickByTick"]
    assert codes(client.ask("reqTickByTickData", reqId=3, tickType="Last", **IBM)) == [(3, 102)]
    assert codes(client.ask("reqTickByTickData", reqId=4, tickType="Last", **EUR)) == [(4, 10189)]
    assert codes(client.ask("reqTickByTickData", reqId=5, tickType="Every", **IBM)) == [(5, 321)]
    assert codes(client.ask("cancelTickByTickData", reqId=1)) == []
    assert codes(client.ask("cancelTickByTickData", reqId=1)) == [(1, 300)]


def test_real_time_bars_come_each_five_seconds(world: World, client: MemoryClient) -> None:
    client.send("reqRealTimeBars", reqId=1, barSize=5, whatToShow="TRADES", useRTH=False, **IBM)
    world.advance(2)
    ask = world.venue.top(8314).ask
    world.trade_against(Side.BUY, 7, str(ask))
    client.take()
    world.advance(3.1)
    (bar,) = named(client.take(), "realtimeBar")
    start = int(world.reactor.seconds()) // 5 * 5 - 5
    assert (bar["time"], bar["close"], bar["volume"], bar["count"]) == (start, ask, Decimal(7), 1)
    world.advance(5)
    (bar,) = named(client.take(), "realtimeBar")
    assert (bar["time"], bar["volume"], bar["close"]) == (start + 5, Decimal(0), ask)
    client.send("cancelRealTimeBars", reqId=1)
    world.advance(10)
    assert client.take() == []
    assert codes(client.ask("reqRealTimeBars", reqId=2, barSize=30, whatToShow="TRADES", **IBM)) == [(2, 321)]


# -- history

HISTORY = {"durationStr": "2 D", "barSizeSetting": "1 hour", "whatToShow": "TRADES", "useRTH": True, "formatDate": 1}


def test_bars_have_times_as_the_version_writes_them(world: World) -> None:
    for client_id, version, first in ((1, 178, "20251125 09:30:00 US/Eastern"), (2, 157, "20251125  09:30:00")):
        got = world.connect(client_id, version).ask("reqHistoricalData", reqId=1, **{**IBM, **HISTORY})
        (answer,) = got
        assert answer["bars"][0]["date"] == first
        assert len(answer["bars"]) == 7 + 3  # the second session runs since 9:30, it is noon
        assert answer["end"].startswith("20251126")


def test_epoch_times_and_day_bars(client: MemoryClient) -> None:
    bars = client.ask("reqHistoricalData", reqId=1, **{**IBM, **HISTORY, "formatDate": 2})[0]["bars"]
    assert bars[0]["date"] == "1764081000"
    days = client.ask("reqHistoricalData", reqId=1, **{**IBM, **HISTORY, "barSizeSetting": "1 day"})[0]["bars"]
    assert [bar["date"] for bar in days] == ["20251125", "20251126"]


@pytest.mark.parametrize("what", ["TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK", "ADJUSTED_LAST"])
def test_every_bar_size_of_every_kind_is_answered(client: MemoryClient, what: str) -> None:
    for size in BAR_SIZES:
        duration = "600 S" if "sec" in size else "1 D" if "min" in size or "hour" in size else "1 Y"
        asked = {**HISTORY, "barSizeSetting": size, "whatToShow": what, "durationStr": duration}
        (answer,) = client.ask("reqHistoricalData", reqId=1, **{**IBM, **asked})
        assert answer.name == "historicalData" and answer["bars"], size
        for bar in answer["bars"]:
            assert bar["low"] <= bar["open"] <= bar["high"] and bar["low"] <= bar["close"] <= bar["high"]
            assert (bar["volume"] == -1) is (what not in ("TRADES", "ADJUSTED_LAST"))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"durationStr": "2 X"}, 321),
        ({"durationStr": "2"}, 321),
        ({"durationStr": "-1 D"}, 321),
        ({"barSizeSetting": "7 mins"}, 321),
        ({"whatToShow": "WEATHER"}, 321),
        ({"whatToShow": "FEE_RATE"}, 162),
        ({"endDateTime": "tomorrow"}, 321),
        ({"endDateTime": "20251126 12:00:00 Mars/Base"}, 321),
        ({"endDateTime": "19700102-00:00:00"}, 162),
        ({"durationStr": "10 Y", "barSizeSetting": "1 secs"}, 162),
        ({"keepUpToDate": True, "endDateTime": "20251126-12:00:00"}, 321),
        ({"keepUpToDate": True, "barSizeSetting": "1 secs", "durationStr": "60 S"}, 321),
        ({"symbol": "NOSUCH", "conId": 0}, 200),
    ],
)
def test_bad_history_requests_have_their_code(client: MemoryClient, fields: dict[str, Any], code: int) -> None:
    assert codes(client.ask("reqHistoricalData", reqId=4, **{**IBM, **HISTORY, **fields})) == [(4, code)]


def test_fx_has_no_trades_in_its_history(client: MemoryClient) -> None:
    assert codes(client.ask("reqHistoricalData", reqId=4, **{**EUR, **HISTORY})) == [(4, 162)]


def test_the_end_time_may_be_utc_zoned_or_the_logins(client: MemoryClient) -> None:
    answers = [
        client.ask("reqHistoricalData", reqId=1, **{**IBM, **HISTORY, "endDateTime": end})[0]["bars"]
        for end in ("20251120 12:00:00 US/Eastern", "20251120-17:00:00", "20251120 12:00:00", "20251120 18:00:00 CET")
    ]
    assert answers[0] and all(bars == answers[0] for bars in answers)


def test_the_end_of_a_request_is_its_own_message_from_196() -> None:
    world = World(TwsOptions(max_version=200))
    got = world.connect(1, 196).ask("reqHistoricalData", reqId=1, **{**IBM, **HISTORY})
    assert [m.name for m in got] == ["historicalData", "historicalDataEnd"]
    world.close()


def test_a_bar_in_the_making_is_kept_up_to_date(world: World, client: MemoryClient) -> None:
    asked = {**HISTORY, "barSizeSetting": "1 min", "durationStr": "600 S", "keepUpToDate": True, "useRTH": False}
    (first,) = client.ask("reqHistoricalData", reqId=1, **{**IBM, **asked})
    assert first.name == "historicalData"
    ask = world.venue.top(8314).ask
    world.trade_against(Side.BUY, 7, str(ask))
    world.trade_against(Side.BUY, 5, str(ask))
    world.advance(1)
    (update,) = named(client.take(), "historicalDataUpdate")
    assert (update["reqId"], update["close"], update["volume"]) == (1, ask, Decimal(12))
    client.send("cancelHistoricalData", reqId=1)
    world.trade_against(Side.BUY, 5, str(ask))
    world.advance(1)
    assert named(client.take(), "historicalDataUpdate") == []
    assert codes(client.ask("cancelHistoricalData", reqId=1)) == [(1, 366)]


def test_schedules_head_stamps_and_histograms(client: MemoryClient) -> None:
    asked = {**HISTORY, "whatToShow": "SCHEDULE", "barSizeSetting": "1 day", "durationStr": "3 D"}
    (schedule,) = client.ask("reqHistoricalData", reqId=1, **{**IBM, **asked})
    assert schedule["timeZone"] == "US/Eastern" or schedule["timeZone"] == "America/New_York"
    assert [s["refDate"] for s in schedule["sessions"]] == ["20251124", "20251125", "20251126"]
    assert schedule["sessions"][0]["startDateTime"] == "20251124-09:30:00"
    (head,) = client.ask("reqHeadTimeStamp", reqId=2, whatToShow="TRADES", formatDate=1, useRTH=True, **IBM)
    assert len(head["headTimestamp"]) == len("19990104-14:30:00")
    (head,) = client.ask("reqHeadTimeStamp", reqId=2, whatToShow="TRADES", formatDate=2, useRTH=True, **IBM)
    assert head["headTimestamp"].isdigit()
    (histogram,) = client.ask("reqHistogramData", reqId=3, timePeriod="2 days", useRTH=True, **IBM)
    prices = [item["price"] for item in histogram["items"]]
    assert len(prices) > 10 and prices == sorted(prices)
    assert codes(client.ask("reqHistogramData", reqId=3, timePeriod="soon", **IBM)) == [(3, 321)]


@pytest.mark.parametrize("what", ["TRADES", "BID_ASK", "MIDPOINT"])
def test_historical_ticks_run_from_a_start_or_up_to_an_end(client: MemoryClient, what: str) -> None:
    asked = {**IBM, "numberOfTicks": 30, "whatToShow": what, "useRth": True}
    (forward,) = client.ask("reqHistoricalTicks", reqId=1, startDateTime="20251125 10:00:00 US/Eastern", **asked)
    (backward,) = client.ask("reqHistoricalTicks", reqId=2, endDateTime="20251125 10:00:00 US/Eastern", **asked)
    ten = 1_764_082_800
    assert len(forward["ticks"]) == len(backward["ticks"]) == 30
    assert all(tick["time"] >= ten for tick in forward["ticks"])
    assert all(tick["time"] < ten for tick in backward["ticks"])
    for answer in (forward, backward):
        times = [tick["time"] for tick in answer["ticks"]]
        assert times == sorted(times) and answer["done"] is True


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"startDateTime": "20251125-10:00:00", "endDateTime": "20251125-10:00:00"},
        {"startDateTime": "soon"},
        {"endDateTime": "20251125-10:00:00", "numberOfTicks": 1001},
        {"endDateTime": "20251125-10:00:00", "numberOfTicks": 0},
        {"endDateTime": "20251125-10:00:00", "whatToShow": "WEATHER"},
    ],
)
def test_bad_tick_requests_are_refused(client: MemoryClient, fields: dict[str, Any]) -> None:
    asked = {"numberOfTicks": 30, "whatToShow": "TRADES", **fields}
    assert [code for _, code in codes(client.ask("reqHistoricalTicks", reqId=1, **IBM, **asked))] in ([10187], [321])


# -- reference data


def test_contract_details_of_each_kind(client: MemoryClient) -> None:
    (stock, end) = client.ask("reqContractDetails", reqId=1, **IBM)
    assert end.name == "contractDetailsEnd"
    assert (stock["conId"], stock["primaryExchange"], stock["minTick"]) == (8314, "NYSE", Decimal("0.01"))
    assert "SMART" in stock["validExchanges"].split(",")
    assert len(stock["marketRuleIds"].split(",")) == len(stock["validExchanges"].split(","))
    assert {"MKT", "LMT", "STP", "STP LMT", "DAY", "GTC"} <= set(stock["orderTypes"].split(","))
    assert stock["liquidHours"].startswith("20251126:0930-20251126:1600;20251127:CLOSED;20251128:0930-")
    futures = named(client.ask("reqContractDetails", reqId=2, **ES), "contractDetails")
    assert len(futures) > 1
    assert {(m["secType"], m["multiplier"], m["minTick"]) for m in futures} == {("FUT", "50", Decimal("0.25"))}
    (front, _) = client.ask("reqContractDetails", reqId=3, **{**ES, "secType": "CONTFUT"})
    assert front["lastTradeDateOrContractMonth"] == min(m["lastTradeDateOrContractMonth"] for m in futures)
    (month, _) = client.ask("reqContractDetails", reqId=3, **ES, lastTradeDateOrContractMonth=front["contractMonth"])
    assert month["conId"] == front["conId"]
    for contract in (EUR, BTC, SPX):
        assert client.ask("reqContractDetails", reqId=4, **contract)[-1].name == "contractDetailsEnd"
    assert codes(client.ask("reqContractDetails", reqId=5, symbol="NOSUCH", secType="STK")) == [(5, 200)]
    (isin, _) = client.ask(
        "reqContractDetails",
        reqId=6,
        secType="STK",
        secIdType="ISIN",
        secId=stock["secIdList"][0]["value"],
        currency="USD",
    )
    assert isin["conId"] == 8314


def test_matching_symbols_option_chains_and_rules(client: MemoryClient) -> None:
    (samples,) = client.ask("reqMatchingSymbols", reqId=1, pattern="ib")
    assert "IBM" in [row["symbol"] for row in samples["contractDescriptions"]]
    got = client.ask(
        "reqSecDefOptParams", reqId=2, underlyingSymbol="SPY", underlyingSecType="STK", underlyingConId=756733
    )
    assert got[-1].name == "securityDefinitionOptionParameterEnd"
    assert got[0]["expirations"] and got[0]["strikes"] == sorted(got[0]["strikes"])
    assert codes(client.ask("reqSecDefOptParams", reqId=3, underlyingSymbol="SPY", underlyingConId=1)) == [(3, 321)]
    rule = int(client.ask("reqContractDetails", reqId=1, **IBM)[0]["marketRuleIds"].split(",")[0])
    (answer,) = client.ask("reqMarketRule", marketRuleId=rule)
    assert answer["priceIncrements"][0] == {"lowEdge": Decimal(0), "increment": Decimal("0.01")}
    assert codes(client.ask("reqMarketRule", marketRuleId=987654)) == [(-1, 321)]


def test_scanners_rank_and_repeat(world: World, client: MemoryClient) -> None:
    (answer,) = client.ask("reqScannerSubscription", reqId=1, scanCode="MOST_ACTIVE", numberOfRows=5)
    assert [row["rank"] for row in answer["rows"]] == [0, 1, 2, 3, 4]
    world.advance(30.1, step=1)
    assert len(named(client.take(), "scannerData")) == 1
    assert codes(client.ask("reqScannerSubscription", reqId=2, scanCode="LUCKIEST")) == [(2, 162)]
    client.send("cancelScannerSubscription", reqId=1)
    assert codes(client.ask("cancelScannerSubscription", reqId=1)) == [(1, 365)]


def test_display_groups_are_shared_between_clients(world: World, client: MemoryClient) -> None:
    other = world.connect(2)
    assert client.ask("queryDisplayGroups", reqId=1)[0]["groups"].startswith("1|2")
    assert client.ask("subscribeToGroupEvents", reqId=2, groupId=3)[0]["contractInfo"] == "none"
    other.send("subscribeToGroupEvents", reqId=5, groupId=3)
    other.take()
    (changed,) = client.ask("updateDisplayGroup", reqId=2, contractInfo="8314@SMART")
    assert changed["contractInfo"] == other.take()[0]["contractInfo"] == "8314@SMART"


COMMANDS = {
    "startApi",
    "setServerLogLevel",
    "reqMarketDataType",
    "reqNewsBulletins",
    "reqGlobalCancel",
    "reqAutoOpenOrders",
    "unsubscribeFromGroupEvents",
}


@pytest.mark.parametrize("version", [151, 178, 200])
def test_no_request_is_met_with_silence(version: int) -> None:
    world = World(TwsOptions(max_version=200))
    client = world.connect(0, version)
    client.take()
    for name, entry in REQUESTS.by_name.items():
        if entry.since > version or name in COMMANDS or name.startswith("cancel"):
            continue
        for contract in ({}, IBM, EUR, ES):
            known = {field: value for field, value in contract.items() if field in entry.layout.names}
            fields = {"reqId": 77, "subscribe": True, "bAutoBind": True} if not known else {"reqId": 77, **known}
            fields = {field: value for field, value in fields.items() if field in entry.layout.names}
            got = client.ask(name, **fields)
            world.advance(6, step=1)
            got += client.take()
            assert got, (name, fields)
    world.close()
