"""Our side of the CQG ingestion benchmark, and in the same process the bare protobuf runtime.

Run as a child; same loop as the daemon.
"""

from __future__ import annotations

import random
import time
from typing import Any

from benchmarks.reactor import reactor, run  # isort: skip - the reactor comes first

from twisted.internet.defer import Deferred, ensureDeferred

from benchmarks.cqg_messages import SENTINEL, market_data
from txtrader.adapters.cqg import CqgAdapter, CqgOptions
from txtrader.gateway.adapter import LinkState
from txtrader.model.market import MarketStats, Quote, Trade
from txtrader.model.symbols import parse_symbol
from txtrader.testing.sink import RecordingSink
from txtrader.wire.cqg.schema import ServerMsg

SYMBOLS = ("EP:0", "EP:1", "CLE:0", "CLE:1", "CLE:2")


class CountingSink(RecordingSink):
    """Keeps the last record of each symbol, as the gateway's market does, and counts."""

    def __init__(self) -> None:
        super().__init__(reactor)
        self.last: dict[str, Quote | Trade] = {}
        self.records = self.done = 0
        self.ends: set[Any] = set()

    def quoted(self, quote: Quote) -> None:
        self.last[quote.symbol] = quote
        self.records += 1
        if quote.bid in self.ends:
            self.done = time.monotonic_ns()

    def traded(self, trade: Trade) -> None:
        self.last[trade.symbol] = trade
        self.records += 1

    def stats_changed(self, stats: MarketStats) -> None:
        pass


class Client:
    def __init__(self) -> None:
        self.sink = CountingSink()
        self.adapter: CqgAdapter

    async def connect(self, port: int) -> int:
        options = CqgOptions(host="127.0.0.1", port=port, is_tls=False, user="bench", password="bench")
        self.adapter = CqgAdapter(options, reactor, self.sink, mode="cqg", now_ns=time.time_ns, random=random.Random(1))
        self.sink.facts.clear()
        self.adapter.start()
        await self.sink.until_state(LinkState.CONNECTED)
        for symbol in SYMBOLS:
            (instrument,) = await self.adapter.resolve(parse_symbol(symbol))
            assert instrument.tick is not None
            self.sink.ends.add(instrument.tick * SENTINEL)
            self.adapter.subscribe(instrument)
        await self.adapter.resolve(parse_symbol("IBM"))  # answered after the subscriptions
        self.sink.records = self.sink.done = 0
        return 0

    def wait(self, messages: int, quotes: int) -> Deferred[dict[str, Any]]:
        finished: Deferred[dict[str, Any]] = Deferred()
        end = time.monotonic() + 50

        def look() -> None:
            if self.sink.done or time.monotonic() > end:
                is_all = self.sink.records >= messages
                finished.callback({"done": self.sink.done if is_all else 0, "records": self.sink.records})
            else:
                reactor.callLater(0.005, look)

        look()
        return finished

    async def close(self) -> int:
        await self.adapter.stop()
        return 0


def bare(count: int, quotes: int, reads: bool) -> dict[str, float]:
    """Parse the same messages with protobuf alone; with `reads` also make Python values of what the quotes say."""
    bodies = market_data([1, 2, 3, 4, 5], 1000, quotes) * (count // 1000)
    parse = ServerMsg.FromString
    start = time.perf_counter()
    if reads:
        for body in bodies:
            for data in parse(body).real_time_market_data:
                for quote in data.quotes:
                    _ = (
                        quote.type,
                        quote.scaled_price,
                        quote.quote_utc_time if quote.HasField("quote_utc_time") else None,
                        quote.volume.significand if quote.HasField("volume") else None,
                    )
    else:
        for body in bodies:
            parse(body)
    return {"seconds": time.perf_counter() - start}


if __name__ == "__main__":
    client = Client()
    run(
        lambda: {"ready": True},
        {
            "connect": lambda **more: ensureDeferred(client.connect(**more)),
            "wait": client.wait,
            "close": lambda: ensureDeferred(client.close()),
            "bare": bare,
        },
    )
