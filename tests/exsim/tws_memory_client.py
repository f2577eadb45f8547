"""A TWS client in memory, made from the message table: what a test sends and reads without a socket."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from txtrader.exsim.demo import make_demo_venue
from txtrader.exsim.endpoints.tws import TwsEndpoint, TwsOptions
from txtrader.exsim.records import Terms
from txtrader.exsim.venue import Venue
from txtrader.model.order import OrderType, Side
from txtrader.wire.tws.framing import FrameBuffer, frame
from txtrader.wire.tws.message import Message
from txtrader.wire.tws.table import REQUESTS, RESPONSES

IBM = {"conId": 8314, "symbol": "IBM", "secType": "STK", "exchange": "SMART", "currency": "USD"}
NOON = 1_764_176_400  # Wednesday 26 November 2025, 12:00 in New York


class World:
    """A quiet venue, its endpoint, and a clock that the test moves."""

    def __init__(
        self, options: TwsOptions | None = None, *, pace: str = "none", has_house: bool = True, **more: Any
    ) -> None:
        self.reactor = MemoryReactorClock()
        self.reactor.advance(NOON)
        self.venue: Venue = make_demo_venue(self.reactor, self.now_ns, 7, pace=pace, has_house=has_house, **more)
        self.venue.start()
        self.endpoint = TwsEndpoint(self.venue, self.reactor, options=options)
        self.endpoint.start()

    def now_ns(self) -> int:
        return int(self.reactor.seconds() * 1_000_000_000)

    def connect(self, client_id: int = 1, version: int = 178) -> MemoryClient:
        client = MemoryClient(self, version)
        client.send("startApi", clientId=client_id)
        return client

    def advance(self, seconds: float, step: float = 0.05) -> None:
        for _ in range(round(seconds / step)):
            self.reactor.advance(step)

    def trade_against(self, side: Side, quantity: int, price: str, *, owner: str = "stranger") -> Any:
        """Enter another participant's limit order."""
        return self.venue.submit(
            owner,
            Terms(
                listing_id=8314,
                account="DU1000002",
                side=side,
                quantity=Decimal(quantity),
                type=OrderType.LIMIT,
                limit_price=Decimal(price),
                client_order_id="by-hand",
            ),
        )

    def close(self) -> None:
        self.endpoint.stop()
        self.venue.stop()
        self.reactor.advance(60)
        assert self.reactor.getDelayedCalls() == []


class Wire(StringTransport):
    """A transport that ends when it is told to, in the next turn as a socket does."""

    def __init__(self, client: MemoryClient) -> None:
        super().__init__()
        self._client = client

    def loseConnection(self) -> None:
        super().loseConnection()
        self._client.world.reactor.callLater(0, self._client.lose)

    def abortConnection(self) -> None:
        super().abortConnection()
        self._client.world.reactor.callLater(0, self._client.lose)


class MemoryClient:
    """One connection; `take` returns and forgets what came since the last time."""

    def __init__(self, world: World, version: int, *, chunk: int | None = None, greets: bool = True) -> None:
        self.world = world
        self.version = version
        self.chunk = chunk
        self.transport = Wire(self)
        self.is_lost = False
        self._buffer = FrameBuffer()
        self.pump = pump = world.endpoint.build()
        pump.makeConnection(self.transport)
        self.greeting: bytes | None = None
        if not greets:
            return
        self.feed(b"API\0" + frame(b"v%d..%d" % (min(version, 151), version)))
        self.greeting = self._next_body()

    @property
    def is_closed(self) -> bool:
        return self.is_lost or bool(self.transport.disconnecting)

    def lose(self) -> None:
        """Lose the connection as a network does."""
        if not self.is_lost:
            self.is_lost = True
            self.pump.connectionLost(Failure(ConnectionLost()))

    def feed(self, data: bytes) -> None:
        size = self.chunk or max(len(data), 1)
        for start in range(0, len(data), size):
            self.pump.dataReceived(data[start : start + size])

    def send(self, name: str, **fields: Any) -> MemoryClient:
        self.feed(frame(REQUESTS.encode(Message(name, fields), self.version)))
        return self

    def _next_body(self) -> bytes | None:
        self._buffer.feed(self.transport.value())
        self.transport.clear()
        return self._buffer.next_frame()

    def take(self) -> list[Message]:
        """Return what was received, in order."""
        found = []
        while (body := self._next_body()) is not None:
            message, left_over = RESPONSES.decode(body, self.version)
            assert not left_over, message
            found.append(message)
        return found

    def ask(self, name: str, **fields: Any) -> list[Message]:
        """Send a request and return what comes at once."""
        self.take()
        self.send(name, **fields)
        return self.take()

    def place(self, order_id: int, **fields: Any) -> list[Message]:
        """Place a DAY limit order to buy 100 IBM in the first account, but for what is given."""
        order: dict[str, Any] = {
            **IBM,
            "orderId": order_id,
            "action": "BUY",
            "totalQuantity": Decimal(100),
            "orderType": "LMT",
            "lmtPrice": Decimal(200),
            "tif": "DAY",
            "account": "DU1000001",
            "transmit": True,
            **fields,
        }
        return self.ask("placeOrder", **order)


def named(messages: list[Message], *names: str) -> list[Message]:
    return [message for message in messages if message.name in names]


def codes(messages: list[Message]) -> list[tuple[int, int]]:
    """Return (id, code) of the errors."""
    return [(message["reqId"], message["errorCode"]) for message in named(messages, "error")]


def statuses(messages: list[Message]) -> list[tuple[int, str]]:
    return [(message["orderId"], message["status"]) for message in named(messages, "orderStatus")]


Check = Callable[[Message], bool]
