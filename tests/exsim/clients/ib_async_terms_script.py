"""Ask a simulated TWS for orders with terms of their own with ib_async.  Arguments: port, client id.

The market is 299.00 to 301.00 in IBM, and AAPL gathers for an auction at 200.00.  Prints one JSON object of what was
seen; anything that ib_async logs at WARNING or above goes to it as well.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Any

from ib_async import IB, LimitOrder, Order, Stock, Trade
from ib_async_words import LOGGED, Listener, until

SEEN: dict[str, Any] = {}


def order(action: str, quantity: int, kind: str, **more: Any) -> Order:
    return Order(action=action, totalQuantity=quantity, orderType=kind, account="DU1000001", **more)


def is_up(trade: Trade) -> bool:
    return trade.orderStatus.status == "Submitted"


async def trade_with_terms(ib: IB, ibm: Stock) -> None:
    mid = ib.placeOrder(ibm, order("BUY", 100, "PEG MID", auxPrice=0.5, lmtPrice=299.8, minQty=10))
    await until(lambda: is_up(mid))
    against = ib.placeOrder(ibm, LimitOrder("SELL", 40, 299.5, account="DU1000002"))
    await until(against.isDone)
    SEEN["mid"] = [fill.execution.price for fill in mid.fills]
    mid.order.totalQuantity = 90
    ib.placeOrder(ibm, mid.order)
    await until(lambda: mid.orderStatus.remaining == 50)
    SEEN["mid_told"] = [mid.order.orderType, mid.order.auxPrice, mid.order.lmtPrice]
    offer = ib.placeOrder(ibm, LimitOrder("SELL", 30, 300.5, account="DU1000002"))
    await until(lambda: is_up(offer))
    to_limit = ib.placeOrder(ibm, order("BUY", 100, "MTL"))
    await until(lambda: to_limit.orderStatus.filled == 30 and is_up(to_limit))
    to_limit.order.totalQuantity = 80  # ib_async has taken the type and the prices of openOrder over
    ib.placeOrder(ibm, to_limit.order)
    await until(lambda: to_limit.orderStatus.remaining == 50)
    SEEN["to_limit"] = [to_limit.order.orderType, to_limit.order.lmtPrice]
    hidden = ib.placeOrder(ibm, order("BUY", 10, "REL", auxPrice=0.1, hidden=True, allOrNone=True))
    await until(lambda: is_up(hidden))
    SEEN["open"] = sorted(
        [t.order.orderType, t.order.hidden, t.order.allOrNone, t.order.minQty == 10]
        for t in await ib.reqAllOpenOrdersAsync()
        if t.order.account == "DU1000001"
    )
    refused = [
        ib.placeOrder(ibm, order("BUY", 10, "PEG BEST", minCompeteSize=100)),
        ib.placeOrder(ibm, order("BUY", 10, "PEG MID", midOffsetAtWhole=0.01, midOffsetAtHalf=0.005)),
    ]
    if ib.client.serverVersion() < 170:
        refused.pop()  # there are no such fields yet
    await until(lambda: all(trade.isDone() for trade in refused))
    SEEN["refused"] = [trade.log[-1].message for trade in refused]


async def gather(ib: IB, aapl: Stock) -> None:
    ticker = ib.reqMktData(aapl, "225")
    await until(lambda: ticker.regulatoryImbalance == -50)
    SEEN["auction"] = [ticker.auctionPrice, ticker.auctionVolume, ticker.auctionImbalance]


async def main() -> None:
    port, client_id = int(sys.argv[1]), int(sys.argv[2])
    logging.getLogger("ib_async").addHandler(Listener(logging.WARNING))
    logging.getLogger("asyncio").addHandler(Listener(logging.WARNING))
    ib = IB()
    await ib.connectAsync("127.0.0.1", port, clientId=client_id, timeout=10, account="DU1000001")
    try:
        SEEN["version"] = ib.client.serverVersion()
        ibm, aapl = Stock("IBM", "SMART", "USD"), Stock("AAPL", "SMART", "USD")
        await ib.qualifyContractsAsync(ibm, aapl)
        await asyncio.wait_for(trade_with_terms(ib, ibm), 30)
        await asyncio.wait_for(gather(ib, aapl), 30)
    finally:
        ib.disconnect()
        SEEN["logged"] = LOGGED
        print(json.dumps(SEEN, default=str))


asyncio.run(main())
