"""The FIX adapter on the simulated FIX venue, over real loopback sockets, in each version."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from tws_harness import VenueHarness

from txtrader.adapters.fix import FixAdapter, FixOptions
from txtrader.adapters.fix_chain import gateway_id
from txtrader.exsim.demo import make_demo_venue
from txtrader.exsim.endpoints.fix import FixEndpoint
from txtrader.exsim.endpoints.fix import FixOptions as EndpointOptions
from txtrader.exsim.endpoints.fix.trading import Trading, TradingOptions
from txtrader.model.order import Order
from txtrader.net.dial import Backoff
from txtrader.testing.sink import RecordingSink

__all__ = ["FixHarness"]

SYMBOLS = {"*": {"tick": "0.01"}}
"""What FIX 4.2 and 4.4 have no field for."""


class FixHarness(VenueHarness):
    """A quiet venue without a house: nothing trades but what the harness lets trade."""

    def __init__(self, reactor: Any, *, version: str = "4.4", **options: Any) -> None:
        super().__init__(reactor)
        self.folder = Path(tempfile.mkdtemp(prefix="fix-"))
        symbols = self.folder / "symbols.json"
        symbols.write_text(json.dumps(SYMBOLS))
        self.options = FixOptions(
            **{
                "host": "127.0.0.1",
                "version": version,
                "sender": "GATEWAY",
                "target": "EXSIM",
                "accounts": (self.account,),
                "heartbeat": 0.3,
                "handshake": 5.0,
                "timeout_default": 5.0,
                "timeout_symbol": 5.0,
                "timeout_snapshot": 5.0,
                "folder": str(self.folder / "state"),
                "symbols_file": str(symbols),
                "reconnect": Backoff(minimum=0.05, maximum=0.2),
                **options,
            }
        )
        self.tells_positions = version != "4.2"
        self.trading_options = TradingOptions(accounts={"GATEWAY": (self.account,)}, shares_accounts=True)
        self.endpoint_options = EndpointOptions()

    async def set_up(self) -> None:
        self.venue = make_demo_venue(self.reactor, time.time_ns, 1, pace="none", has_house=False)
        self.venue.start()
        self.trading = Trading(self.venue, self.trading_options)
        self.endpoint = FixEndpoint(self.trading, self.reactor, self.venue.now_ns, options=self.endpoint_options)
        self.trading.attach(self.endpoint)
        port = await self.endpoint.start()
        await self.open_market()
        self.sink = RecordingSink(self.reactor)
        self.adapter = self.make_adapter(msgspec.structs.replace(self.options, port=port))

    async def tear_down(self) -> None:
        await super().tear_down()
        shutil.rmtree(self.folder)

    def make_adapter(self, options: FixOptions) -> FixAdapter:
        self.options = options
        return FixAdapter(options, self.reactor, self.sink, mode="fix", now_ns=time.time_ns, random=random.Random(1))

    def our_order(self, order_id: str) -> Any:
        """Find an order by the gateway's id, whatever its last request was called."""
        return next(order for order in self.venue.live_orders() if gateway_id(order.terms.client_order_id) == order_id)

    def broken_order(self, order: Order) -> Order:
        return msgspec.structs.replace(order, quantity=Decimal("0.5"))

    def open_lines(self) -> int:
        return self.trading.data.lines_on(self.listing().id)
