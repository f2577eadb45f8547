"""Our side of the ingestion benchmark: the TWS adapter, from its socket to records at the sink.

Run as a child; same loop as the daemon.
"""

from __future__ import annotations

import random
import time
from decimal import Decimal
from typing import Any

from benchmarks.reactor import reactor, run  # isort: skip - the reactor comes first

from twisted.internet.defer import Deferred, ensureDeferred

from txtrader.adapters.tws import TwsAdapter, TwsOptions
from txtrader.gateway.adapter import LinkState
from txtrader.model.market import Quote
from txtrader.model.symbols import parse_symbol
from txtrader.testing.sink import RecordingSink

SENTINEL = Decimal("777.77")


class CountingSink(RecordingSink):
    """Keeps the last quote of each symbol, as the gateway's market does, and counts."""

    def __init__(self) -> None:
        super().__init__(reactor)
        self.quotes: dict[str, Quote] = {}
        self.count = 0
        self.done = 0

    def quoted(self, quote: Quote) -> None:
        self.quotes[quote.symbol] = quote
        self.count += 1
        if quote.bid == SENTINEL:
            self.done = time.monotonic_ns()


class Client:
    def __init__(self) -> None:
        self.sink = CountingSink()
        self.adapter: TwsAdapter

    async def connect(self, port: int, client_id: int) -> int:
        options = TwsOptions(port=port, client_id=client_id)
        self.adapter = TwsAdapter(options, reactor, self.sink, mode="tws", now_ns=time.time_ns, random=random.Random(1))
        self.sink.facts.clear()  # those of the last connection
        self.adapter.start()
        await self.sink.until_state(LinkState.CONNECTED)
        return 0

    async def subscribe(self, symbols: list[str]) -> int:
        for symbol in symbols:
            (instrument, *_) = await self.adapter.resolve(parse_symbol(f"{symbol}$USD"))
            self.adapter.subscribe(instrument)
        await self.adapter.broker_time()
        return 0

    def forget(self) -> int:
        self.sink.count, self.sink.done = 0, 0
        return 0

    def wait(self) -> Deferred[dict[str, Any]]:
        finished: Deferred[dict[str, Any]] = Deferred()
        end = time.monotonic() + 50

        def look() -> None:
            if self.sink.done or time.monotonic() > end:
                finished.callback({"done": self.sink.done, "ticks": self.sink.count})
            else:
                reactor.callLater(0.005, look)

        look()
        return finished

    async def close(self) -> int:
        await self.adapter.stop()
        return 0


if __name__ == "__main__":
    client = Client()
    run(
        lambda: {"ready": True},
        {
            "connect": lambda **more: ensureDeferred(client.connect(**more)),
            "subscribe": lambda **more: ensureDeferred(client.subscribe(**more)),
            "forget": client.forget,
            "wait": client.wait,
            "close": lambda: ensureDeferred(client.close()),
        },
    )
