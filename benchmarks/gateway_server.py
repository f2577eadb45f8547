"""Our side of B2, B3, B4, B6, B9 and B11: the whole gateway with its front ends, on a broker in memory.

Run as a child: `lines` or `xmlrpc`, then the number of symbols.  Everything between the adapter and the client's
socket is the daemon's own; only the broker is null, so that neither its speed nor a wire counts.  Limits per user are
raised so that they do not throttle the run.
"""

from __future__ import annotations

import gc
import json
import os
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.reactor import reactor, run  # isort: skip - the reactor comes first

from twisted.internet.defer import Deferred

from txtrader.frontends.base import Frontend
from txtrader.gateway.journal_codec import encode_event, encode_order
from txtrader.gateway.records import order_record, quote_record, symbol_record
from txtrader.model.event import StatusEvent
from txtrader.model.market import Quote
from txtrader.testing.broker import MemoryBroker
from txtrader.testing.broker_records import stock
from txtrader.testing.gateway import PASSWORD, USER, MemoryGateway

LIMITS: dict[str, Any] = {
    "COMMAND_RATE": 1_000_000,
    "CANCEL_RATE": 1_000_000,
    "MAX_SYMBOLS": 10_000,
    "MAX_CLIENTS": 100_000,
    "QUEUE_CONFLATE": 64 << 20,
    "QUEUE_CLOSE": 128 << 20,
    "QUEUE_TOTAL": 1 << 30,
}


CYCLE = 20  # different quotes; a broadcast is a multiple of them


class Server:
    def __init__(self, symbols: int) -> None:
        self._folder = tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR"))
        names = ["IBM", *(f"S{number:05d}" for number in range(1, symbols))]
        self.broker = MemoryBroker(
            [stock(name, str(number)) for number, name in enumerate(names, 1)], now_ns=time.time_ns, commission=None
        )
        self.gateway = MemoryGateway(reactor, Path(self._folder.name), self.broker, **LIMITS)
        self.frontend: Frontend
        self._held: list[Any] = []

    async def start(self, kind: str) -> dict[str, Any]:
        await self.gateway.start()
        if kind == "lines":
            from txtrader.frontends.lines import LineFrontend

            self.frontend = LineFrontend(self.gateway.shared)
        else:
            from txtrader.frontends.http import HttpFrontend

            self.frontend = HttpFrontend(self.gateway.shared)
        return {"port": await self.frontend.start(), "user": USER, "password": PASSWORD}

    def _quote(self, symbol: str, number: int = 0) -> Quote:
        """Make one of 20 quotes; their lines are of one length, so that bytes can be counted."""
        cents = number % CYCLE
        now = 1_800_000_000_123_456_789  # the same digits each time: the line's length must not change
        return Quote(
            symbol=symbol,
            mode=self.broker.mode,
            bid=Decimal(10011 + cents % 9) / 100,
            ask=Decimal("101.11"),
            bidsize=Decimal(100 + cents),
            asksize=Decimal(200 + cents),
            event_time=now,
            receive_time=now,
        )

    def broadcast(self, symbol: str, times: int, path: str = "adapter") -> Deferred[dict[str, Any]]:
        """Deliver `times` quotes, one in each turn of the loop: from the adapter, or events into the `stream`."""
        link = self.gateway.gateway.links[self.broker.mode]
        publish = self.gateway.stream.publish_ephemeral
        finished: Deferred[dict[str, Any]] = Deferred()
        quotes = [self._quote(symbol, number) for number in range(CYCLE)]
        records = [quote_record(quote) for quote in quotes]
        is_from_adapter = path == "adapter"
        loop = _running_loop()
        start = time.monotonic_ns()
        cpu = time.process_time_ns()
        left = times

        def tick() -> None:
            nonlocal left
            if is_from_adapter:
                link.quoted(quotes[left % CYCLE])
            else:
                publish("quote", "quote", "memory", records[left % CYCLE], key=symbol, symbol=symbol)
            left -= 1
            if left:
                loop.call_soon(tick)
            else:
                finished.callback({"start": start, "cpu": time.process_time_ns() - cpu})

        loop.call_soon(tick)
        return finished

    def burst(self, symbols: list[str], times: int) -> dict[str, Any]:
        """Deliver quotes of these symbols in turn, all at once; answer with the CPU spent (ns)."""
        link = self.gateway.gateway.links[self.broker.mode]
        quotes = [self._quote(symbol) for symbol in symbols]
        cpu = time.process_time_ns()
        for number in range(times):
            link.quoted(quotes[number % len(quotes)])
        return {"cpu": time.process_time_ns() - cpu}

    def cpu(self) -> int:
        """Return the CPU time of this process so far (ns)."""
        return time.process_time_ns()

    def resident(self) -> int:
        """Return the resident size in bytes, after collection."""
        gc.collect()
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def bytes_per_order(self) -> int:
        """Return the bytes of the records and events that one order puts into the journal."""
        orders = list(self.gateway.gateway.blotter.orders.values())
        records = sum(len(encode_order(order)) for order in orders) / len(orders)
        events = sum(
            len(encode_event(StatusEvent("order", "order", "memory", order_record(order)), 0)) for order in orders
        ) / len(orders)
        return round(records + 2 * events)  # the last record, and the events of intent and acknowledgement

    def hold_records(self, kind: str, count: int) -> int:
        """Keep `count` separate dicts of the fields of a symbol or an order: the least that the same facts cost."""
        if kind == "symbol":
            known = self.gateway.gateway.market._lines
            line = next(iter(known.values()))
            record = symbol_record(line.instrument, line.quote, line.trade, line.stats, with_high_low=True, stale=False)
        else:
            record = order_record(next(iter(self.gateway.gateway.blotter.orders.values())))
        text = json.dumps(record, default=str)
        self._held = [json.loads(text) for _ in range(count)]
        return len(self._held)

    async def stop(self) -> int:
        await self.frontend.stop()
        await self.gateway.stop()
        self._folder.cleanup()
        return 0


def _running_loop() -> Any:
    import asyncio

    return asyncio.get_running_loop()


if __name__ == "__main__":
    import sys

    from twisted.internet.defer import ensureDeferred

    server = Server(int(sys.argv[2]) if len(sys.argv) > 2 else 10)
    run(
        lambda: ensureDeferred(server.start(sys.argv[1])),
        {
            "broadcast": server.broadcast,
            "burst": server.burst,
            "cpu": server.cpu,
            "resident": server.resident,
            "hold_records": server.hold_records,
            "bytes_per_order": server.bytes_per_order,
            "stop": lambda: ensureDeferred(server.stop()),
        },
    )
