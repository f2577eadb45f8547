"""The TWS adapter on the simulated TWS, over real loopback sockets."""

from __future__ import annotations

import random
import time
from decimal import Decimal
from typing import Any

import msgspec

from txtrader.adapters.tws import TwsAdapter, TwsOptions
from txtrader.exsim.demo import make_demo_venue
from txtrader.exsim.endpoints.tws import TwsEndpoint
from txtrader.exsim.endpoints.tws import TwsOptions as EndpointOptions
from txtrader.exsim.orders import Order as VenueOrder
from txtrader.exsim.records import Terms
from txtrader.model.order import Order, OrderType, Side
from txtrader.net.dial import Backoff
from txtrader.testing.sink import RecordingSink

__all__ = ["TwsHarness", "VenueHarness"]

STRANGERS_ACCOUNT = "DU1000002"


class VenueHarness:
    """The broker's side of the table, played on the simulator's venue: the same whatever wire leads to it."""

    symbol = "IBM"
    unknown_symbol = "NOSUCH"
    account = "DU1000001"
    venue: Any
    endpoint: Any
    adapter: Any
    sink: RecordingSink

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self._quotes: tuple[str, str, int] | None = None
        self._resting: list[VenueOrder] = []

    async def open_market(self) -> None:
        self.stranger = self.venue.open_session("stranger")
        self.other = self.venue.open_session("other stranger")
        await self.print_trade("100.00")  # the last price decides whether a stop is elected at once

    async def tear_down(self) -> None:
        await self.adapter.stop()
        await self.endpoint.stop()
        self.venue.stop()

    def listing(self, symbol: str | None = None) -> Any:
        return next(
            listing
            for listing in self.venue.instruments
            if listing.symbol == (symbol or self.symbol) and listing.sectype.value == "STK"
        )

    def enter(
        self, side: Side, shares: int, price: str, *, session: Any = None, account: str = STRANGERS_ACCOUNT
    ) -> VenueOrder:
        return (session or self.stranger).submit(
            Terms(
                listing_id=self.listing().id,
                account=account,
                side=side,
                quantity=Decimal(shares),
                type=OrderType.LIMIT,
                limit_price=Decimal(price),
            )
        )

    def withdraw_quotes(self) -> None:
        for order in self._resting:
            self.stranger.cancel(order.id)
        self._resting.clear()

    async def quote(self, bid: str, ask: str, size: int = 100) -> None:
        self.withdraw_quotes()
        self._quotes = (bid, ask, size)
        self._resting = [self.enter(Side.BUY, size, bid), self.enter(Side.SELL, size, ask)]

    async def print_trade(self, price: str) -> None:
        """Trade one share at `price`, with the other quotes out of the way but there for what the trade elects."""
        self.withdraw_quotes()
        bid, ask, size = self._quotes or ("90.00", "110.00", 100)
        away = Decimal("0.05")
        self._resting = [
            self.enter(Side.BUY, size, str(min(Decimal(bid), Decimal(price) - away))),
            self.enter(Side.SELL, 1, price),
            self.enter(Side.SELL, size, str(max(Decimal(ask), Decimal(price) + away))),
        ]
        self.enter(Side.BUY, 1, price, session=self.other)

    def our_order(self, order_id: str) -> VenueOrder:
        return next(order for order in self.venue.live_orders() if order.terms.client_order_id == order_id)

    async def fill(self, order_id: str, shares: int, price: str) -> None:
        self.withdraw_quotes()
        opposite = Side.SELL if self.our_order(order_id).terms.side.action == "BUY" else Side.BUY
        self.enter(opposite, shares, price)

    async def place_stranger(self, side: Side, shares: int, price: str) -> None:
        self.enter(side, shares, price, account=self.account)

    async def lose_link(self) -> None:
        self.endpoint.refuse()
        self.endpoint.drop_connections()

    async def restore_link(self) -> None:
        self.endpoint.refuse(False)

    async def go_silent(self) -> None:
        self.endpoint.go_silent()

    def open_lines(self) -> int:
        return self.endpoint.lines_on(self.listing().id)


class TwsHarness(VenueHarness):
    """A quiet venue without a house: nothing trades but what the harness lets trade."""

    def __init__(self, reactor: Any, *, client_id: int = 0, max_version: int | None = None, **endpoint: Any) -> None:
        super().__init__(reactor)
        self.options = TwsOptions(
            client_id=client_id,
            max_version=max_version,
            heartbeat=0.3,
            handshake=5.0,
            timeout_default=5.0,
            timeout_symbol=5.0,
            timeout_bars=5.0,
            timeout_snapshot=5.0,
            reconnect=Backoff(minimum=0.05, maximum=0.2),
        )
        self.endpoint_options = EndpointOptions(**{"accounts": (self.account,), **endpoint})

    async def set_up(self) -> None:
        self.venue = make_demo_venue(self.reactor, time.time_ns, 1, pace="none", has_house=False)
        self.venue.start()
        self.endpoint = TwsEndpoint(self.venue, self.reactor, options=self.endpoint_options)
        port = await self.endpoint.start()
        await self.open_market()
        self.sink = RecordingSink(self.reactor)
        self.adapter = self.make_adapter(msgspec.structs.replace(self.options, port=port))

    def make_adapter(self, options: TwsOptions) -> TwsAdapter:
        self.options = options
        return TwsAdapter(options, self.reactor, self.sink, mode="tws", now_ns=time.time_ns, random=random.Random(1))

    def broken_order(self, order: Order) -> Order:
        return msgspec.structs.replace(order, limit_price=Decimal("99.0001"))
