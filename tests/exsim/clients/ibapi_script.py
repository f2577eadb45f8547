"""Trade through a simulated TWS with the installed ibapi and its own threads.  Arguments: port, client id.

Prints one JSON object of what was seen.
"""

from __future__ import annotations

import json
import sys

from ibapi.execution import ExecutionFilter
from ibapi.order import Order
from ibapi.order_condition import (
    ExecutionCondition,
    MarginCondition,
    PercentChangeCondition,
    PriceCondition,
    TimeCondition,
    VolumeCondition,
)
from ibapi.scanner import ScannerSubscription
from ibapi.tag_value import TagValue
from ibapi.wrapper import EWrapper
from ibapi_program import Program, contract, order, run


def main() -> None:
    program = Program(int(sys.argv[1]), int(sys.argv[2]))
    client, wait, seen = program.client, program.wait, {}
    next_id = wait("nextValidId")[0]
    seen["version"] = client.serverVersion()
    seen["accounts"] = wait("managedAccounts")[0]
    ibm = contract("IBM")

    client.reqCurrentTime()
    wait("currentTime")
    client.reqContractDetails(1, ibm)
    wait("contractDetailsEnd")
    seen["long_name"] = program.all("contractDetails")[0][1].longName
    client.reqContractDetails(2, contract("NOSUCH"))
    wait("error", lambda *a: a[0] == 2 and 200 in a)
    client.reqMatchingSymbols(3, "IB")
    wait("symbolSamples")
    client.reqMktDepthExchanges()
    wait("mktDepthExchanges")
    client.reqSmartComponents(4, "a6")
    wait("smartComponents")
    client.reqFamilyCodes()
    wait("familyCodes")
    client.reqNewsProviders()
    wait("newsProviders")
    client.reqScannerParameters()
    wait("scannerParameters")
    scan = ScannerSubscription()
    scan.instrument, scan.locationCode, scan.scanCode = "STK", "STK.US", "TOP_PERC_GAIN"
    client.reqScannerSubscription(5, scan, [], [TagValue("priceAbove", "1")])
    wait("scannerDataEnd")
    client.cancelScannerSubscription(5)
    client.reqSecDefOptParams(6, "SPY", "", "STK", 756733)
    wait("securityDefinitionOptionParameterEnd")
    client.reqSoftDollarTiers(7)
    wait("softDollarTiers")
    client.queryDisplayGroups(8)
    wait("displayGroupList")
    client.reqHistoricalNews(9, 8314, "BZ", "", "", 5, [])
    wait("historicalNewsEnd")
    client.requestFA(1)
    wait("error", lambda *a: 321 in a)

    client.reqMarketDataType(1)
    client.reqMktData(10, ibm, "233", False, False, [])
    wait("tickPrice", lambda r, kind, price, *a: kind == 1 and price > 0)
    ask = wait("tickPrice", lambda r, kind, price, *a: kind == 2 and price > 0)[2]
    wait("tickString", lambda r, kind, value: kind == 48, 15)
    client.reqMktData(11, contract("EUR", "CASH", "IDEALPRO"), "", False, False, [])
    wait("tickPrice", lambda r, kind, price, *a: r == 11 and kind == 1)
    client.reqMktData(12, contract("BTC", "CRYPTO", "PAXOS"), "", True, False, [])
    wait("tickSnapshotEnd", lambda r: r == 12)
    client.reqMktDepth(13, ibm, 5, True, [])
    wait("updateMktDepthL2")
    client.cancelMktDepth(13, True)
    client.reqMktDepth(14, ibm, 5, False, [])
    wait("updateMktDepth")
    client.cancelMktDepth(14, False)
    client.reqTickByTickData(15, ibm, "BidAsk", 5, False)
    wait("historicalTicksBidAsk")
    wait("tickByTickBidAsk")
    client.reqTickByTickData(16, ibm, "AllLast", 5, False)
    wait("historicalTicksLast")
    wait("tickByTickAllLast", seconds=15)
    client.reqTickByTickData(17, ibm, "MidPoint", 5, False)
    wait("historicalTicks")
    wait("tickByTickMidPoint")
    for number in (15, 16, 17):
        client.cancelTickByTickData(number)
    client.reqRealTimeBars(18, ibm, 5, "TRADES", False, [])
    wait("realtimeBar")
    client.cancelRealTimeBars(18)
    client.cancelMktData(10)
    client.cancelMktData(11)

    client.reqHistoricalData(20, ibm, "", "5 D", "1 hour", "TRADES", 1, 1, False, [])
    wait("historicalDataEnd", lambda r, *a: r == 20)
    seen["bars"] = len([a for a in program.all("historicalData") if a[0] == 20])
    client.reqHistoricalData(21, contract("EUR", "CASH", "IDEALPRO"), "", "1 M", "1 day", "MIDPOINT", 1, 2, False, [])
    wait("historicalDataEnd", lambda r, *a: r == 21)
    client.reqHeadTimeStamp(22, ibm, "TRADES", 1, 1)
    wait("headTimestamp")
    client.reqHistogramData(23, ibm, True, "3 days")
    wait("histogramData")
    client.reqHistoricalData(24, ibm, "", "300 S", "5 secs", "MIDPOINT", 0, 2, True, [])
    wait("historicalDataUpdate", seconds=15)
    client.cancelHistoricalData(24)

    bought = next_id
    client.placeOrder(bought, ibm, order("BUY", 100, "MKT"))
    wait("orderStatus", lambda number, status, *a: number == bought and status == "Filled")
    execution = wait("execDetails", lambda r, c, execution: execution.cumQty == 100)[2]
    wait("commissionReport" if hasattr(EWrapper, "commissionReport") else "commissionAndFeesReport")
    seen["shares"] = float(execution.cumQty)
    refused = next_id + 1
    if hasattr(Order(), "eTradeOnly"):
        client.placeOrder(refused, ibm, order("BUY", 1, "LMT", 100.0, eTradeOnly=True, firmQuoteOnly=True))
        wait("error", lambda *a: a[0] == refused and 10268 in a)
    price = float(round(ask)) - 20
    parent, profit, loss = next_id + 2, next_id + 3, next_id + 4
    client.placeOrder(parent, ibm, order("BUY", 10, "LMT", price, transmit=False))
    client.placeOrder(profit, ibm, order("SELL", 10, "LMT", price + 60, transmit=False, parentId=parent))
    client.placeOrder(loss, ibm, order("SELL", 10, "STP", stop=price - 10, parentId=parent))
    wait("orderStatus", lambda number, status, *a: number == parent and status == "Submitted")
    wait("orderStatus", lambda number, status, *a: number == loss and status == "PreSubmitted")
    client.placeOrder(parent, ibm, order("BUY", 10, "LMT", price + 1))
    wait("openOrder", lambda number, c, o, state: number == parent and o.lmtPrice == price + 1)
    client.placeOrder(next_id + 5, ibm, order("BUY", 10, "MKT", whatIf=True))
    state = wait("openOrder", lambda number, c, o, state: o.whatIf)[3]
    seen["margin"] = float(state.initMarginChange) > 0
    complex_order = order("BUY", 10, "LMT", price, algoStrategy="Adaptive", algoParams=[TagValue("a", "b")])
    complex_order.conditions = [
        PriceCondition(0, 8314, "SMART", True, 500.0),
        TimeCondition(True, "20300101-00:00:00"),
        MarginCondition(False, 30),
        ExecutionCondition("STK", "SMART", "IBM"),
        VolumeCondition(8314, "SMART", True, 1000),
        PercentChangeCondition(8314, "SMART", True, 5.0),
    ]
    client.placeOrder(next_id + 6, ibm, complex_order)
    wait("error", lambda *a: a[0] == next_id + 6 and 201 in a)  # read to its end, and refused for its conditions
    client.reqAllOpenOrders()
    wait("openOrderEnd")
    program.cancel(parent)
    for number in (parent, profit, loss):
        wait("orderStatus", lambda n, status, *a, number=number: n == number and status == "Cancelled")
        wait("error", lambda *a, number=number: a[0] == number and 202 in a)

    client.reqExecutions(30, ExecutionFilter())
    wait("execDetailsEnd")
    client.reqCompletedOrders(False)
    wait("completedOrdersEnd")
    seen["completed"] = sorted({state.status for _, _, state in program.all("completedOrder")})
    client.reqPositions()
    wait("positionEnd")
    seen["positions"] = [(a[1].symbol, float(a[2])) for a in program.all("position")]
    client.reqAccountUpdates(True, "DU1000001")
    wait("accountDownloadEnd")
    wait("updatePortfolio")
    client.reqAccountSummary(31, "All", "NetLiquidation,BuyingPower,$LEDGER:ALL")
    wait("accountSummaryEnd")
    client.reqPositionsMulti(32, "DU1000001", "")
    wait("positionMultiEnd")
    client.reqAccountUpdatesMulti(33, "DU1000001", "", False)
    wait("accountUpdateMultiEnd")
    client.reqPnL(34, "DU1000001", "")
    wait("pnl")
    client.reqPnLSingle(35, "DU1000001", "", 8314)
    wait("pnlSingle")
    client.disconnect()
    program.thread.join(5)
    seen["failure"] = repr(program.failure) if program.failure is not None else None
    seen["errors"] = sorted({a[-3] if len(a) > 4 else a[1] for a in program.all("error")} - {-1, 2104, 2106, 2158})
    print(json.dumps(seen))


run(main)
