"""The server of the CQG ingestion benchmark: the simulated CQG, which writes ready frames on command.

Run as a child.
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks.reactor import reactor, run  # isort: skip - the reactor comes first

from twisted.internet.defer import ensureDeferred

from benchmarks.cqg_messages import SENTINEL, market_data
from txtrader.exsim.demo import make_demo_venue
from txtrader.exsim.endpoints.cqg import CqgEndpoint
from txtrader.wire.cqg.schema import ServerMsg

DISTINCT = 1000


def frame(body: bytes) -> bytes:
    """Frame a server's binary message."""
    size = len(body)
    return (bytes((0x82, size)) if size < 126 else b"\x82\x7e" + size.to_bytes(2, "big")) + body


class Server:
    def __init__(self) -> None:
        self.venue = make_demo_venue(reactor, time.time_ns, 1, pace="none", has_house=False)
        self.endpoint = CqgEndpoint(self.venue, reactor)

    async def start(self) -> dict[str, Any]:
        self.venue.start()
        return {"port": await self.endpoint.start()}

    def burst(self, count: int, quotes: int) -> dict[str, int]:
        """Write `count` messages for the contracts that the last client subscribed to; then the sentinel."""
        connection = self.endpoint.connections[-1]
        session = connection.user_session
        assert session is not None and connection.market is not None
        ids = [
            session.contract_id(listing)
            for listing in self.venue.instruments
            if session.knows(listing) and connection.market.has_line(listing.id)
        ]
        data = b"".join(frame(body) for body in market_data(ids, DISTINCT, quotes))
        last = ServerMsg()
        last.real_time_market_data.add(contract_id=ids[0]).quotes.add(type=1, scaled_price=SENTINEL)
        transport = connection.pump.protocol.transport._transport
        start = time.monotonic_ns()
        for _ in range(count // DISTINCT):
            transport.write(data)
        transport.write(frame(last.SerializeToString()))
        return {"start": start}

    async def stop(self) -> int:
        await self.endpoint.stop()
        self.venue.stop()
        return 0


if __name__ == "__main__":
    server = Server()
    run(
        lambda: ensureDeferred(server.start()),
        {"burst": server.burst, "stop": lambda: ensureDeferred(server.stop())},
    )
