"""What the simulator endpoint contract needs of a client: one harness for each protocol, behind one face.

A harness logs in over a real socket, sends the protocol's own requests, and reports what comes back in the
contract's words: accepted, filled, replaced, canceled, rejected, with the client's own name of the order.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Protocol

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.protocol import Protocol as TwistedProtocol

from txtrader.exsim.endpoints.tws import TwsEndpoint
from txtrader.model.order import Side
from txtrader.wire.tws.framing import FrameBuffer, frame
from txtrader.wire.tws.message import Message
from txtrader.wire.tws.table import REQUESTS, RESPONSES

VERSION = 176


class Told(msgspec.Struct, frozen=True):
    """One thing that the client was told: `what` about the order `name`; quantities and prices where they apply."""

    what: str
    name: str = ""
    quantity: Decimal | None = None
    price: Decimal | None = None


class EndpointHarness(Protocol):
    """One client of one endpoint."""

    told: list[Told]
    can_mass_cancel: bool
    cancels_on_disconnect: bool
    has_market_data: bool
    is_silent: bool

    async def log_in(self) -> None: ...
    async def subscribe(self) -> None: ...
    def place(self, name: str, side: Side, quantity: int, price: str) -> None: ...
    def replace(self, name: str, quantity: int, price: str) -> None: ...
    def cancel(self, name: str) -> None: ...
    def mass_cancel(self) -> None: ...
    async def status_of(self, name: str) -> str | None: ...
    async def log_out(self) -> None: ...
    def until(self, what: str, name: str = "", *, since: int = 0, price: Decimal | None = None) -> Deferred[Told]: ...


class TwsHarness:
    """A TWS client made of the message table alone."""

    can_mass_cancel = True
    cancels_on_disconnect = False
    has_market_data = True
    is_silent = False

    def __init__(self, reactor: Any, endpoint: TwsEndpoint, symbol: str) -> None:
        self._reactor = reactor
        self._endpoint = endpoint
        self._symbol = symbol
        self._ids: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._terms: dict[str, dict[str, Any]] = {}
        self._shares: dict[str, Decimal] = {}
        self._next_id = 0
        self.messages: list[Message] = []
        self.told: list[Told] = []
        self._waiting: list[tuple[Any, Deferred[Any]]] = []
        self._protocol: _Client | None = None

    async def log_in(self) -> None:
        known = len(self.messages)
        self._protocol = await TCP4ClientEndpoint(self._reactor, "127.0.0.1", self._endpoint.port).connect(
            Factory.forProtocol(lambda: _Client(self._hear))
        )
        self._send("startApi", clientId=7, optionalCapabilities="")
        ready = await self._message("nextValidId", since=known)
        self._next_id = max(self._next_id, ready["orderId"])
        await self._message("managedAccounts", since=known)

    async def subscribe(self) -> None:
        self._send(
            "reqMktData", reqId=9001, snapshot=False, regulatorySnapshot=False, genericTickList="", **self._contract
        )
        await self._message("tickPrice")

    def place(self, name: str, side: Side, quantity: int, price: str) -> None:
        self._ids[name] = self._next_id
        self._names[self._next_id] = name
        self._next_id += 1
        self._terms[name] = {
            "action": side.action,
            "totalQuantity": Decimal(quantity),
            "orderType": "LMT",
            "lmtPrice": Decimal(price),
            "tif": "GTC",
            "orderRef": name,
            "transmit": True,
        }
        self._send("placeOrder", orderId=self._ids[name], **self._contract, **self._terms[name])

    def replace(self, name: str, quantity: int, price: str) -> None:
        self._terms[name].update(totalQuantity=Decimal(quantity), lmtPrice=Decimal(price))
        self._send("placeOrder", orderId=self._ids[name], **self._contract, **self._terms[name])

    def cancel(self, name: str) -> None:
        self._send("cancelOrder", orderId=self._ids.get(name, 999_999), manualOrderCancelTime="")

    def mass_cancel(self) -> None:
        self._send("reqGlobalCancel")

    async def status_of(self, name: str) -> str | None:
        known = len(self.messages)
        self._send("reqOpenOrders")
        await self._message("openOrderEnd", since=known)
        found = [m["status"] for m in self.messages[known:] if m.name == "openOrder" and m["orderRef"] == name]
        # The end of an order comes as an openOrder, too, unasked, and may cross the question.
        return found[-1] if found and found[-1] in ("PreSubmitted", "Submitted") else None

    async def log_out(self) -> None:
        assert self._protocol is not None
        self._protocol.transport.loseConnection()
        await self._protocol.lost

    def until(self, what: str, name: str = "", *, since: int = 0, price: Decimal | None = None) -> Deferred[Told]:
        def fits(told: Told) -> bool:
            return told.what == what and told.name in (name, "") and price in (None, told.price)

        return self._wait(self.told, fits, since)

    @property
    def _contract(self) -> dict[str, Any]:
        return {"symbol": self._symbol, "secType": "STK", "exchange": "SMART", "currency": "USD"}

    def _message(self, name: str, *, since: int = 0) -> Deferred[Message]:
        return self._wait(self.messages, lambda message: message.name == name, since)

    def _send(self, name: str, **fields: Any) -> None:
        assert self._protocol is not None
        self._protocol.transport.write(frame(REQUESTS.encode(Message(name, fields), VERSION)))

    def _wait(self, items: list[Any], fits: Any, since: int) -> Deferred[Any]:
        waiting: Deferred[Any] = Deferred()
        for item in items[since:]:
            if fits(item):
                waiting.callback(item)
                return waiting
        self._waiting.append(((items, fits), waiting))
        return waiting.addTimeout(10, self._reactor)

    def _add(self, items: list[Any], item: Any) -> None:
        items.append(item)
        for entry in list(self._waiting):
            (wanted, fits), waiting = entry
            if wanted is items and not waiting.called and fits(item):
                self._waiting.remove(entry)
                waiting.callback(item)

    def _hear(self, message: Message) -> None:
        self._add(self.messages, message)
        name = self._names.get(message.get("orderId", -1), "")
        if message.name == "openOrder" and name and message["status"] in ("PreSubmitted", "Submitted"):
            self._add(self.told, Told("accepted", name, message["totalQuantity"], message["lmtPrice"]))
        elif message.name == "execDetails" and name:
            self._add(self.told, Told("filled", name, message["shares"], message["price"]))
        elif message.name == "orderStatus" and name and message["status"] == "Cancelled":
            self._add(self.told, Told("canceled", name))
        elif message.name == "error":
            code, about = message["errorCode"], self._names.get(message["reqId"], "")
            if code in (10147, 10148, 135, 161):
                self._add(self.told, Told("cancel-rejected", about))
            elif code in (110, 201, 103, 203, 321):
                self._add(self.told, Told("rejected", about))


class _Client(TwistedProtocol):
    def __init__(self, hear: Any) -> None:
        self._hear = hear
        self._buffer = FrameBuffer()
        self._version = 0
        self.lost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.transport.write(b"API\0" + frame(f"v{VERSION}".encode()))

    def dataReceived(self, data: bytes) -> None:
        self._buffer.feed(data)
        while (body := self._buffer.next_frame()) is not None:
            if not self._version:
                self._version = int(body.split(b"\0")[0])
                continue
            message, left_over = RESPONSES.decode(body, self._version)
            assert left_over == 0, message
            self._hear(message)

    def connectionLost(self, reason: Any = None) -> None:
        self.lost.callback(None)
