"""A venue with a FIX port in the test's reactor, and blocking clients of it in a thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import pytest_twisted
from fix_client import FixClient
from twisted.internet import reactor
from twisted.internet.threads import blockingCallFromThread, deferToThread

from txtrader.exsim.demo import make_demo_venue
from txtrader.exsim.endpoints.fix import FixEndpoint, FixOptions
from txtrader.exsim.endpoints.fix.trading import Trading, TradingOptions
from txtrader.exsim.records import Terms
from txtrader.model.order import OrderType, Side

VERSIONS = ("FIX.4.2", "FIX.4.4", "FIXT.1.1")
ACCOUNT, OTHER = "DU1000001", "DU1000002"


class Room:
    """A venue with a FIX port, seen from a thread."""

    def __init__(self, port: int, venue: Any, endpoint: FixEndpoint) -> None:
        self.port, self.venue, self.endpoint = port, venue, endpoint
        self.clients: list[FixClient] = []

    def client(self, version: str = "FIX.4.4", *, logs_on: bool = True, **more: Any) -> FixClient:
        client = FixClient(self.port, version=version, **more)
        self.clients.append(client)
        if logs_on:
            client.log_on()
        return client

    def do(self, call: Callable[..., Any], *args: Any) -> Any:
        return blockingCallFromThread(reactor, call, *args)

    def until_nobody_is_there(self) -> None:
        """Wait until the venue has seen that its clients have gone."""
        deadline = time.monotonic() + 5
        while self.endpoint.connections:
            assert time.monotonic() < deadline, "a connection stays"
            time.sleep(0.01)

    def trade(self, side: Side, quantity: int, price: str) -> None:
        """Let a stranger enter an order."""
        (listing,) = self.venue.instruments.find(symbol="IBM", currency="USD")
        terms = Terms(
            listing_id=listing.id,
            account=OTHER,
            side=side,
            quantity=Decimal(quantity),
            type=OrderType.LIMIT,
            limit_price=Decimal(price),
        )
        self.do(self.venue.submit, "stranger", terms)


def in_room(body: Callable[..., None], **options: Any) -> Any:
    async def act(*args: Any) -> None:
        venue = make_demo_venue(reactor, time.time_ns, 1, pace="none", has_house=False)
        venue.start()
        trading = Trading(venue, TradingOptions(accounts={"CLIENT": (ACCOUNT,)}, **options))
        endpoint = FixEndpoint(trading, reactor, venue.now_ns, options=FixOptions())
        trading.attach(endpoint)
        room = Room(await endpoint.start(), venue, endpoint)
        try:
            await deferToThread(body, room, *args)
        finally:
            for client in room.clients:
                client.close()
            await endpoint.stop()
            venue.stop()

    return act


def with_room(body: Callable[..., None]) -> Any:
    """Run a blocking test in a thread, on a venue of its own."""

    @pytest_twisted.ensureDeferred
    async def test() -> None:
        await in_room(body)()

    test.__name__, test.__doc__ = body.__name__, body.__doc__
    return test


def of_every_version(body: Callable[..., None]) -> Any:
    @pytest.mark.parametrize("version", VERSIONS)
    @pytest_twisted.ensureDeferred
    async def test(version: str) -> None:
        await in_room(body)(version)

    test.__name__, test.__doc__ = body.__name__, body.__doc__
    return test
