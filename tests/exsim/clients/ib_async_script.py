"""Trade through a simulated TWS with ib_async, as its users do.  Arguments: port, client id.

Prints one JSON object of what was seen; anything that ib_async logs at WARNING or above goes to it as well.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Any

import ib_async
from ib_async import (
    IB,
    Contract,
    Crypto,
    ExecutionFilter,
    Forex,
    Future,
    Index,
    LimitOrder,
    MarketOrder,
    Option,
    ScannerSubscription,
    Stock,
    StopOrder,
    TagValue,
)
from ib_async_words import LOGGED, Listener, until

SEEN: dict[str, Any] = {}


async def look_around(ib: IB, ibm: Contract) -> None:
    SEEN["accounts"] = ib.managedAccounts()
    SEEN["values"] = len(ib.accountValues())
    SEEN["positions_at_start"] = len(ib.positions())
    others = [
        Stock("SPY", "SMART", "USD"),
        Forex("EURUSD"),
        Index("SPX", "CBOE"),
        Crypto("BTC", "PAXOS", "USD"),
    ]
    SEEN["qualified"] = len(await ib.qualifyContractsAsync(*others))
    future = (await ib.reqContractDetailsAsync(Future("ES", exchange="CME")))[0]
    SEEN["future"] = future.contract.localSymbol
    SEEN["details"] = (await ib.reqContractDetailsAsync(ibm))[0].longName
    SEEN["samples"] = len(await ib.reqMatchingSymbolsAsync("IB"))
    chains = await ib.reqSecDefOptParamsAsync("SPY", "", "STK", others[0].conId)
    SEEN["chains"] = [chain.tradingClass for chain in chains][:1]
    chain = chains[0]
    middle = sorted(chain.strikes)[len(chain.strikes) // 2]
    option = Option("SPY", sorted(chain.expirations)[-1], middle, "C", "SMART", currency="USD")
    await ib.qualifyContractsAsync(option)
    SEEN["option"] = bool(option.conId)
    volatility = await ib.calculateImpliedVolatilityAsync(option, 40.0, float(middle))
    SEEN["implied"] = bool(volatility and volatility.impliedVol)
    ticker = ib.reqMktData(option)
    await until(lambda: ticker.modelGreeks is not None)
    ib.cancelMktData(option)
    SEEN["summary"] = len(await ib.accountSummaryAsync())
    details = (await ib.reqContractDetailsAsync(ibm))[0]
    rule = int(details.marketRuleIds.split(",")[0])
    SEEN["rule"] = [float(step.increment) for step in await ib.reqMarketRuleAsync(rule)]
    SEEN["components"] = len(await ib.reqSmartComponentsAsync("a6"))
    SEEN["depth_exchanges"] = len(await ib.reqMktDepthExchangesAsync())
    SEEN["news_providers"] = await ib.reqNewsProvidersAsync()
    SEEN["scanner"] = len(
        await ib.reqScannerDataAsync(
            ScannerSubscription(instrument="STK", locationCode="STK.US", scanCode="MOST_ACTIVE")
        )
    )
    SEEN["scanner_parameters"] = len(await ib.reqScannerParametersAsync()) > 100
    SEEN["time"] = (await ib.reqCurrentTimeAsync()).year
    if ib.client.serverVersion() >= 167:
        SEEN["wsh"] = await ib.getWshMetaDataAsync()
        SEEN["user"] = await ib.reqUserInfoAsync()


async def load_history(ib: IB, ibm: Contract) -> None:
    for name, arguments in {
        "days": ("10 D", "1 day", "TRADES", True),
        "minutes": ("1800 S", "1 min", "TRADES", False),
        "middles": ("3600 S", "5 mins", "MIDPOINT", False),
        "quotes": ("1 D", "1 hour", "BID_ASK", True),
        "weeks": ("1 Y", "1 week", "TRADES", True),
    }.items():
        duration, size, what, regular = arguments
        bars = await ib.reqHistoricalDataAsync(ibm, "", duration, size, what, regular, formatDate=2)
        SEEN[name] = len(bars)
    bars = await ib.reqHistoricalDataAsync(ibm, "", "1 D", "30 mins", "TRADES", True, formatDate=1)
    SEEN["zoned"] = bars[0].date.tzinfo is not None if bars else None
    if ib.client.serverVersion() >= 165:
        SEEN["schedule"] = len((await ib.reqHistoricalScheduleAsync(ibm, 5)).sessions)
    SEEN["head"] = (await ib.reqHeadTimeStampAsync(ibm, "TRADES", True, 1)).year
    SEEN["histogram"] = len(await ib.reqHistogramDataAsync(ibm, True, "3 days"))
    ticks = await ib.reqHistoricalTicksAsync(ibm, "", "20260102 12:00:00 US/Eastern", 50, "TRADES", False)
    SEEN["ticks"] = len(ticks)
    quotes = await ib.reqHistoricalTicksAsync(ibm, "", "20260102 12:00:00 US/Eastern", 50, "BID_ASK", False)
    SEEN["quote_ticks"] = len(quotes)
    live = await ib.reqHistoricalDataAsync(ibm, "", "300 S", "5 secs", "MIDPOINT", False, keepUpToDate=True)
    count = len(live)
    updates: list[bool] = []
    live.updateEvent += lambda bars, is_new: updates.append(is_new)
    await until(lambda: updates or len(live) > count, 15)
    ib.cancelHistoricalData(live)
    SEEN["kept_up_to_date"] = True


async def stream(ib: IB, ibm: Contract) -> None:
    ticker = ib.reqMktData(ibm, "233")
    await until(lambda: ticker.bid > 0 and ticker.ask > 0 and ticker.last > 0 and ticker.close > 0)
    SEEN["market"] = ticker.bid < ticker.ask
    depth = ib.reqMktDepth(ibm, 5, isSmartDepth=True)
    await until(lambda: len(depth.domBids) == 5 and len(depth.domAsks) == 5)
    ib.cancelMktDepth(ibm, isSmartDepth=True)
    tick_by_tick = ib.reqTickByTickData(ibm, "BidAsk", 10)
    await until(lambda: tick_by_tick.tickByTicks)
    ib.cancelTickByTickData(ibm, "BidAsk")
    bars = ib.reqRealTimeBars(ibm, 5, "TRADES", False)
    await until(lambda: bars, 12)
    ib.cancelRealTimeBars(bars)
    (snapshot,) = await ib.reqTickersAsync(ibm)
    SEEN["snapshot"] = snapshot.bid > 0
    SEEN["ask"] = ticker.ask


async def trade(ib: IB, ibm: Contract) -> None:
    ask = SEEN["ask"]
    whole = round(ask)
    bought = ib.placeOrder(ibm, MarketOrder("BUY", 100, account="DU1000001"))
    await until(lambda: bought.isDone())
    SEEN["bought"] = [bought.orderStatus.status, bought.orderStatus.filled, len(bought.fills) > 0]
    await until(lambda: all(fill.commissionReport.execId for fill in bought.fills))
    SEEN["commission"] = sum(fill.commissionReport.commission for fill in bought.fills) > 0
    working = ib.placeOrder(ibm, LimitOrder("BUY", 10, whole - 20, account="DU1000001", orderRef="back\\slash"))
    await until(lambda: working.orderStatus.status == "Submitted")
    working.order.lmtPrice = whole - 19
    ib.placeOrder(ibm, working.order)
    await until(lambda: any("Modify" in entry.message for entry in working.log) or len(working.log) > 3)
    await ib.reqAllOpenOrdersAsync()
    SEEN["modified"] = [t.order.lmtPrice for t in ib.openTrades()] == [whole - 19]
    SEEN["reference"] = ib.openTrades()[0].order.orderRef
    ib.cancelOrder(working.order)
    await until(lambda: working.isDone())
    SEEN["canceled"] = working.orderStatus.status
    bracket = ib.bracketOrder("BUY", 5, whole - 20, whole + 30, whole - 30)
    for order in bracket:
        order.account = "DU1000001"
    trades = [ib.placeOrder(ibm, order) for order in bracket]
    await until(lambda: trades[0].orderStatus.status == "Submitted")
    await until(lambda: [t.orderStatus.status for t in trades[1:]] == ["PreSubmitted"] * 2)
    ib.cancelOrder(trades[0].order)
    await until(lambda: all(t.isDone() for t in trades))
    SEEN["bracket"] = [t.orderStatus.status for t in trades]
    pair = [LimitOrder("SELL", 10, whole + 50), StopOrder("SELL", 10, whole - 50)]
    oca = [ib.placeOrder(ibm, order) for order in ib.oneCancelsAll(pair, "pair", 1)]
    await until(lambda: oca[0].orderStatus.status == "Submitted" and oca[1].orderStatus.status == "PreSubmitted")
    ib.reqGlobalCancel()
    await until(lambda: all(t.isDone() for t in oca))
    state = await ib.whatIfOrderAsync(ibm, MarketOrder("BUY", 100, account="DU1000001"))
    SEEN["what_if"] = float(state.initMarginChange) != 0 and float(state.commission) > 0
    adaptive = LimitOrder(
        "BUY", 1, whole - 30, algoStrategy="Adaptive", algoParams=[TagValue("adaptivePriority", "Normal")]
    )
    placed = ib.placeOrder(ibm, adaptive)
    await until(lambda: placed.orderStatus.status == "Submitted")
    ib.cancelOrder(placed.order)
    await until(lambda: placed.isDone())


async def look_back(ib: IB, ibm: Contract) -> None:
    fills = await ib.reqExecutionsAsync(ExecutionFilter(symbol="IBM"))
    SEEN["executions"] = sum(fill.execution.shares for fill in fills)
    SEEN["none_of_others"] = len(await ib.reqExecutionsAsync(ExecutionFilter(symbol="AAPL")))
    completed = await ib.reqCompletedOrdersAsync(False)
    SEEN["completed"] = sorted({t.orderStatus.status for t in completed})
    await until(lambda: any(p.position == 100 for p in ib.positions()))
    await until(lambda: any(p.position == 100 for p in ib.portfolio()))
    SEEN["portfolio"] = [(p.contract.symbol, p.position) for p in ib.portfolio()]
    pnl = ib.reqPnL("DU1000001")
    single = ib.reqPnLSingle("DU1000001", "", ibm.conId)
    await until(lambda: single.position == 100 and pnl.dailyPnL == pnl.dailyPnL)
    SEEN["pnl"] = single.value > 0


async def main() -> None:
    port, client_id = int(sys.argv[1]), int(sys.argv[2])
    logging.getLogger("ib_async").addHandler(Listener(logging.WARNING))
    logging.getLogger("asyncio").addHandler(Listener(logging.WARNING))
    ib = IB()
    errors: list[Any] = []
    ib.errorEvent += lambda req_id, code, text, contract: errors.append((req_id, code, text))
    await ib.connectAsync("127.0.0.1", port, clientId=client_id, timeout=10, account="DU1000001")
    try:
        SEEN["version"] = ib.client.serverVersion()
        ibm = Stock("IBM", "SMART", "USD")
        await ib.qualifyContractsAsync(ibm)
        for part in (look_around, stream, load_history, trade, look_back):
            SEEN["part"] = part.__name__
            await asyncio.wait_for(part(ib, ibm), 30)
    finally:
        ib.disconnect()
        SEEN["errors"] = [error for error in errors if error[1] not in (2104, 2106, 2158, 202)]
        SEEN["logged"] = LOGGED
        print(json.dumps(SEEN, default=str))


assert ib_async.__version__
asyncio.run(main())
