"""The opponent of B1 and of the ingestion benchmark: a client on ib_async, its request throttle off.

Run as a child.  It subscribes to the symbols and notes, on the monotonic clock, when each bid became readable on its
ticker.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from typing import Any

import uvloop

SENTINEL = 777.77


async def main() -> None:
    import ib_async

    logging.getLogger("ib_async").setLevel(logging.ERROR)
    ib = ib_async.IB()
    ib.client.MaxRequests = 0
    tickers: dict[str, Any] = {}
    seen: dict[str, int] = {}
    counts = {"ticks": 0, "done": 0}

    def noted(updated: Any) -> None:
        now = time.monotonic_ns()
        for ticker in updated:
            for tick in ticker.ticks:
                counts["ticks"] += 1
                if tick.tickType == 1:
                    seen.setdefault(f"{ticker.contract.symbol} {tick.price:.2f}", now)
            if ticker.bid == SENTINEL:
                counts["done"] = now

    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader(limit=1 << 26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    print(json.dumps({"ready": True}), flush=True)
    while line := await orders.readline():
        message = json.loads(line)
        order = message["order"]
        answer: Any = 0
        if order == "connect":
            await ib.connectAsync("127.0.0.1", message["port"], clientId=message["client_id"])
            ib.pendingTickersEvent += noted
        elif order == "subscribe":
            for symbol in message["symbols"]:
                contract = ib_async.Stock(symbol, "SMART", "USD")
                await ib.qualifyContractsAsync(contract)
                tickers[symbol] = ib.reqMktData(contract, "", False, False)
            await ib.reqCurrentTimeAsync()
        elif order == "forget":
            seen.clear()
            counts.update(ticks=0, done=0)
        elif order == "seen":
            answer = seen
        elif order == "wait":
            end = time.monotonic() + 50
            while not counts["done"] and time.monotonic() < end:
                await asyncio.sleep(0.005)
            answer = {"done": counts["done"], "ticks": counts["ticks"]}
        elif order == "close":
            ib.disconnect()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
