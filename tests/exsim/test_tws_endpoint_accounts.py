"""Account values, positions, profit and loss at the simulated TWS."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from tws_memory_client import MemoryClient, World, codes, named

from txtrader.exsim.endpoints.tws import TwsOptions
from txtrader.model.order import Side

KEYS = """AccountType NetLiquidation TotalCashValue SettledCash AccruedCash BuyingPower EquityWithLoanValue
GrossPositionValue RegTEquity RegTMargin SMA InitMarginReq MaintMarginReq AvailableFunds ExcessLiquidity Cushion
FullInitMarginReq FullMaintMarginReq FullAvailableFunds FullExcessLiquidity LookAheadNextChange LookAheadInitMarginReq
LookAheadMaintMarginReq LookAheadAvailableFunds LookAheadExcessLiquidity HighestSeverity DayTradesRemaining
Leverage""".split()


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


def test_account_updates_send_everything_then_what_changes(world: World, client: MemoryClient) -> None:
    client.place(1, orderType="MKT")
    got = client.ask("reqAccountUpdates", subscribe=True, acctCode="DU1000001")
    assert got[-1].name == "accountDownloadEnd"
    assert got[-1]["accountName"] == "DU1000001"
    values = {m["key"]: m["val"] for m in named(got, "updateAccountValue") if m["currency"] in ("", "USD")}
    assert set(KEYS) <= values.keys()
    assert named(got, "updateAccountTime")[0]["timeStamp"] == "12:00"
    (held,) = named(got, "updatePortfolio")
    assert (held["symbol"], held["position"], held["primaryExchange"]) == ("IBM", Decimal(100), "NYSE")
    client.place(2, action="SELL", orderType="MKT", totalQuantity=Decimal(40))
    world.advance(0.3)
    news = client.take()
    assert named(news, "updatePortfolio")[-1]["position"] == Decimal(60)
    changed = {m["key"] for m in named(news, "updateAccountValue")}
    assert "TotalCashValue" in changed and "AccountType" not in changed
    world.advance(180, step=1)
    assert named(client.take(), "updateAccountTime")
    assert client.ask("reqAccountUpdates", subscribe=False) == []
    client.place(3, orderType="MKT")
    world.advance(1)
    assert named(client.take(), "updateAccountValue", "updatePortfolio") == []


def test_the_first_account_is_meant_by_no_name_and_an_unknown_one_is_321(client: MemoryClient) -> None:
    assert client.ask("reqAccountUpdates", subscribe=True)[-1]["accountName"] == "DU1000001"
    assert codes(client.ask("reqAccountUpdates", subscribe=True, acctCode="DU1000002"))[0] == (-1, 2100)
    assert codes(client.ask("reqAccountUpdates", subscribe=True, acctCode="DU7")) == [(-1, 321)]


def test_a_summary_covers_every_account_and_the_ledger(world: World, client: MemoryClient) -> None:
    got = client.ask("reqAccountSummary", reqId=1, groupName="All", tags="NetLiquidation,BuyingPower,$LEDGER:EUR")
    assert got[-1].name == "accountSummaryEnd"
    rows = {(m["account"], m["tag"], m["currency"]): m["value"] for m in named(got, "accountSummary")}
    assert rows[("DU1000001", "NetLiquidation", "USD")] == "1000000.00"
    assert ("DU1000002", "CashBalance", "EUR") in rows
    assert {account for account, _, _ in rows} == {"DU1000001", "DU1000002", "DU1000003"}
    client.place(1, orderType="MKT")
    world.advance(0.3)
    changed = {(m["account"], m["tag"]) for m in named(client.take(), "accountSummary")}
    assert ("DU1000001", "BuyingPower") in changed and ("DU1000003", "BuyingPower") not in changed
    client.send("cancelAccountSummary", reqId=1)
    client.place(2, orderType="MKT")
    world.advance(1)
    assert named(client.take(), "accountSummary") == []


def test_two_summaries_at_once_are_the_limit(client: MemoryClient) -> None:
    for number in (1, 2):
        client.send("reqAccountSummary", reqId=number, groupName="All", tags="NetLiquidation")
    assert codes(client.ask("reqAccountSummary", reqId=2, groupName="All", tags="NetLiquidation")) == [(2, 322)]
    assert codes(client.ask("reqAccountSummary", reqId=3, groupName="All", tags="NetLiquidation")) == [(3, 322)]
    client.send("cancelAccountSummary", reqId=1)
    assert codes(client.ask("reqAccountSummary", reqId=3, groupName="All", tags="ReqTEquity,SMA")) == []
    client.send("cancelAccountSummary", reqId=3)
    assert codes(client.ask("reqAccountSummary", reqId=4, groupName="All", tags="Luck")) == [(4, 321)]


def test_positions_are_told_and_followed(world: World, client: MemoryClient) -> None:
    assert [m.name for m in client.ask("reqPositions")] == ["positionEnd"]
    client.place(1, orderType="MKT")
    (position,) = named(client.take() + client.place(2, orderType="MKT"), "position")[-1:]
    assert (position["account"], position["symbol"], position["position"]) == ("DU1000001", "IBM", Decimal(200))
    assert position["avgCost"] > 0
    client.send("cancelPositions")
    assert named(client.place(3, orderType="MKT"), "position") == []
    got = client.ask("reqPositions")
    assert [m["position"] for m in named(got, "position")] == [Decimal(300)]
    flat = client.place(4, action="SELL", orderType="MKT", totalQuantity=Decimal(300))
    assert named(flat, "position")[-1]["position"] == Decimal(0)
    assert [m.name for m in client.ask("reqPositions")] == ["positionEnd"]


def test_positions_of_other_accounts_have_their_own_stream(world: World, client: MemoryClient) -> None:
    ask = world.venue.top(8314).ask
    world.trade_against(Side.BUY, 10, str(ask))
    got = client.ask("reqPositionsMulti", reqId=1, account="DU1000002")
    assert [m["pos"] for m in named(got, "positionMulti")] == [Decimal(10)]
    assert got[-1].name == "positionMultiEnd"
    got = client.ask("reqPositionsMulti", reqId=2, account="DU1000001")
    assert [m.name for m in got] == ["positionMultiEnd"]
    world.trade_against(Side.BUY, 10, str(ask))
    assert {(m["reqId"], m["pos"]) for m in named(client.take(), "positionMulti")} == {(1, Decimal(20))}
    client.send("cancelPositionsMulti", reqId=1)
    world.trade_against(Side.BUY, 10, str(ask))
    assert named(client.take(), "positionMulti") == []
    assert codes(client.ask("reqPositionsMulti", reqId=3, account="DU9")) == [(3, 321)]


def test_account_updates_by_request_id(world: World, client: MemoryClient) -> None:
    got = client.ask("reqAccountUpdatesMulti", reqId=1, account="DU1000002", ledgerAndNLV=True)
    assert got[-1].name == "accountUpdateMultiEnd"
    assert {"NetLiquidation", "CashBalance"} <= {m["key"] for m in named(got, "accountUpdateMulti")}
    assert "BuyingPower" not in {m["key"] for m in named(got, "accountUpdateMulti")}
    assert codes(client.ask("reqAccountUpdatesMulti", reqId=1, account="DU1000002")) == [(1, 322)]
    world.trade_against(Side.BUY, 10, str(world.venue.top(8314).ask))
    world.advance(0.3)
    assert named(client.take(), "accountUpdateMulti")
    client.send("cancelAccountUpdatesMulti", reqId=1)
    world.advance(400, step=1)
    assert client.take() == []


def test_profit_is_told_when_it_moves(world: World, client: MemoryClient) -> None:
    (first,) = client.ask("reqPnL", reqId=1, account="DU1000001")
    assert first["unrealizedPnL"] == 0
    (single,) = client.ask("reqPnLSingle", reqId=2, account="DU1000001", conId=8314)
    assert single["pos"] == 0
    world.advance(5)
    assert client.take() == []
    client.place(1, orderType="MKT")
    world.advance(1.1)
    news = client.take()
    assert named(news, "pnlSingle")[-1]["pos"] == Decimal(100)
    assert named(news, "pnl")[-1]["dailyPnL"] != 0
    for name in ("cancelPnL", "cancelPnLSingle"):
        client.send(name, reqId=1 if name == "cancelPnL" else 2)
    client.place(2, orderType="MKT")
    world.advance(2)
    assert named(client.take(), "pnl", "pnlSingle") == []
    assert codes(client.ask("reqPnL", reqId=3, account="DU9")) == [(3, 321)]
    assert codes(client.ask("reqPnLSingle", reqId=3, account="DU1000001", conId=1)) == [(3, 200)]


def test_only_the_accounts_of_the_options_are_known() -> None:
    world = World(TwsOptions(accounts=("DU1000003",)))
    client = world.connect()
    got = client.take()
    assert named(got, "managedAccounts")[0]["accountsList"] == "DU1000003"
    assert codes(client.place(1, account="DU1000001")) == [(1, 321)]
    assert codes(client.place(1, account="", totalQuantity=Decimal(1))) == []
    assert named(client.ask("reqOpenOrders"), "openOrder")[0]["account"] == "DU1000003"
    world.close()


def test_families_users_and_side_requests_answer_as_an_account_without_them(client: MemoryClient) -> None:
    assert next(row["accountID"] for row in client.ask("reqFamilyCodes")[0]["familyCodes"]) == "DU1000001"
    assert client.ask("reqUserInfo", reqId=1)[0]["whiteBrandingId"] == ""
    assert client.ask("reqSoftDollarTiers", reqId=1)[0]["tiers"] == []
    assert client.ask("reqNewsProviders")[0]["newsProviders"] == []
    assert client.ask("reqHistoricalNews", reqId=1)[0].name == "historicalNewsEnd"
    assert codes(client.ask("requestFA", faData=1)) == [(-1, 321)]
    assert codes(client.ask("replaceFA", reqId=4, faData=1, cxml="<x/>")) == [(4, 321)]
    assert codes(client.ask("reqWshEventData", reqId=1)) == [(1, 10282)]
    assert client.ask("reqWshMetaData", reqId=1)[0].name == "wshMetaData"
    assert client.ask("reqWshEventData", reqId=1)[0]["dataJson"] == "[]"
    assert client.ask("verifyRequest", apiName="x", apiVersion="1")[0]["isSuccessful"] == "false"
