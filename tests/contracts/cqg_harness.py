"""The CQG adapter on the simulated CQG server, over real loopback WebSockets."""

from __future__ import annotations

import random
import time
from decimal import Decimal
from typing import Any

import msgspec
from tws_harness import VenueHarness

from txtrader.adapters.cqg import CqgAdapter, CqgOptions
from txtrader.exsim.demo import make_demo_venue
from txtrader.exsim.endpoints.cqg import CqgEndpoint
from txtrader.exsim.endpoints.cqg import CqgOptions as EndpointOptions
from txtrader.model.order import Order
from txtrader.net.dial import Backoff
from txtrader.testing.sink import RecordingSink

__all__ = ["CqgHarness"]


class CqgHarness(VenueHarness):
    """A quiet venue without a house: nothing trades but what the harness lets trade."""

    def __init__(self, reactor: Any, **endpoint: Any) -> None:
        super().__init__(reactor)
        self.options = CqgOptions(
            host="127.0.0.1",
            is_tls=False,
            user="trader",
            password="secret",
            heartbeat=0.3,
            handshake=5.0,
            timeout_default=5.0,
            timeout_symbol=5.0,
            timeout_bars=5.0,
            timeout_snapshot=5.0,
            reconnect=Backoff(minimum=0.05, maximum=0.2),
        )
        self.endpoint_options = EndpointOptions(
            **{"accounts": (self.account,), "user": "trader", "password": "secret", **endpoint}
        )

    async def set_up(self) -> None:
        self.venue = make_demo_venue(self.reactor, time.time_ns, 1, pace="none", has_house=False)
        self.venue.start()
        self.endpoint = CqgEndpoint(self.venue, self.reactor, options=self.endpoint_options)
        port = await self.endpoint.start()
        await self.open_market()
        self.sink = RecordingSink(self.reactor)
        self.adapter = self.make_adapter(msgspec.structs.replace(self.options, port=port))

    def make_adapter(self, options: CqgOptions) -> CqgAdapter:
        self.options = options
        return CqgAdapter(options, self.reactor, self.sink, mode="cqg", now_ns=time.time_ns, random=random.Random(1))

    def broken_order(self, order: Order) -> Order:
        return msgspec.structs.replace(order, quantity=Decimal("0.5"))
