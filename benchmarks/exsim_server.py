"""The broker of B1, B5 and the ingestion benchmark: the simulated TWS in a process of its own, same loop for all.

Run as a child.  The book is empty but for what the orders here put there, so that each tick is one that was asked
for.  `stream` moves one bid per symbol, a step in each tick, and remembers when: the price is the stamp.
"""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

from benchmarks.reactor import reactor, run  # isort: skip - the reactor comes first

from twisted.internet.defer import Deferred

from txtrader.exsim.demo import make_demo_venue
from txtrader.exsim.endpoints.tws import TwsEndpoint, TwsOptions
from txtrader.exsim.records import Changes, Terms
from txtrader.model.instrument import SecType
from txtrader.model.order import OrderType, Side
from txtrader.wire.tws.framing import frame

CENT = Decimal("0.01")
BASE = Decimal("50.00")
SENTINEL = "777.77"


class Broker:
    def __init__(self) -> None:
        self.venue = make_demo_venue(reactor, time.time_ns, 1, pace="none", has_house=False)
        self.endpoint = TwsEndpoint(self.venue, reactor, options=TwsOptions(accounts=("DU1000001",), line_limit=10_000))
        self._maker = self.venue.open_session("maker")
        self._orders: dict[str, int] = {}
        self._symbols = [
            listing
            for listing in self.venue.instruments
            if listing.sectype is SecType.STOCK and listing.currency == "USD"
        ]

    async def start(self) -> dict[str, Any]:
        self.venue.start()
        return {"port": await self.endpoint.start(), "symbols": [listing.symbol for listing in self._symbols]}

    def _bid(self, symbol: str, price: Decimal) -> None:
        known = self._orders.get(symbol)
        if known is None:
            listing = next(one for one in self._symbols if one.symbol == symbol)
            order = self._maker.submit(
                Terms(
                    listing_id=listing.id,
                    account="DU1000002",
                    side=Side.BUY,
                    quantity=Decimal(100),
                    type=OrderType.LIMIT,
                    limit_price=price,
                )
            )
            self._orders[symbol] = order.id
        else:
            self._maker.replace(known, Changes(limit_price=price))

    def stream(self, symbols: list[str], rate: float, count: int) -> Deferred[dict[str, int]]:
        """Send `count` ticks at `rate` a second, symbol by symbol; answer {symbol price: ns when it was made}.

        Each moment is that of the schedule, not that of the sending: a stall of this process shows.
        """
        finished: Deferred[dict[str, int]] = Deferred()
        made: dict[str, int] = {}
        start = time.monotonic_ns()
        step = 1e9 / rate
        sent = 0

        def tick() -> None:
            nonlocal sent
            now = time.monotonic_ns()
            while sent < count and start + sent * step <= now:
                symbol = symbols[sent % len(symbols)]
                price = BASE + CENT * (sent // len(symbols) + 1)
                made[f"{symbol} {price}"] = int(start + sent * step)
                self._bid(symbol, price)
                sent += 1
            if sent < count:
                reactor.callLater(max(0.0, (start + sent * step - time.monotonic_ns()) / 1e9), tick)
            else:
                reactor.callLater(0.3, self._end_stream, finished, made)

        tick()
        return finished

    def _end_stream(self, finished: Deferred[dict[str, int]], made: dict[str, int]) -> None:
        for order in self._orders.values():
            self._maker.cancel(order)
        self._orders.clear()
        finished.callback(made)

    def burst(self, count: int) -> dict[str, int]:
        """Write `count` ready-made ticks, half prices, half sizes, to the last client that came; then the sentinel."""
        connection = list(self.endpoint.by_client.values())[-1]
        assert connection._quotes is not None
        request_ids = list(connection._quotes.lines)
        pieces = []
        for number in range(1000):
            request_id = request_ids[number % len(request_ids)]
            cents = 10_000 + number % 97
            if number % 2:
                body = f"2\0006\000{request_id}\0000\000{100 + number % 89}\000"
            else:
                body = f"1\0006\000{request_id}\0001\000{cents / 100:.2f}\000{100 + number % 7}\0001\000"
            pieces.append(frame(body.encode()))
        data = b"".join(pieces)
        transport = connection.pump.transport
        assert transport is not None
        start = time.monotonic_ns()
        for _ in range(count // 1000):
            transport.write(data)
        transport.write(frame(f"1\0006\000{request_ids[0]}\0001\000{SENTINEL}\000100\0001\000".encode()))
        return {"start": start, "bytes": len(data) * (count // 1000)}

    async def stop(self) -> int:
        await self.endpoint.stop()
        self.venue.stop()
        return 0


if __name__ == "__main__":
    from twisted.internet.defer import ensureDeferred

    broker = Broker()
    run(
        lambda: ensureDeferred(broker.start()),
        {
            "stream": broker.stream,
            "burst": broker.burst,
            "lines": lambda: sum(broker.endpoint.lines_on(listing.id) for listing in broker._symbols),
            "stop": lambda: ensureDeferred(broker.stop()),
        },
    )
