"""Runs a test on a FIX adapter: against the simulated venue, or against a broker that says what the test says."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import msgspec
import pytest_twisted
from fix_harness import FixHarness
from twisted.internet import reactor

from txtrader.exsim.endpoints.fix import FixEndpoint
from txtrader.exsim.endpoints.fix import FixOptions as EndpointOptions
from txtrader.exsim.endpoints.fix.endpoint import FixConnection
from txtrader.gateway.adapter import LinkState
from txtrader.model.instrument import Instrument, SecType
from txtrader.model.order import Order, OrderStatus, OrderType, Side
from txtrader.testing.sink import RecordingSink
from txtrader.wire.fix.message import Message

__all__ = ["IBM", "Script", "on_fix", "on_script"]

IBM = Instrument(
    symbol="IBM",
    instrument_id="IBM",
    mode="fix",
    sectype=SecType.STOCK,
    currency="USD",
    local_symbol="IBM",
    tick=Decimal("0.01"),
)


class Script:
    """A broker without a market: it keeps what comes and answers only what a test lets it answer.

    Open orders are none, and positions are none, unless `answers` holds a function for AF, AN or another type.
    """

    def __init__(self) -> None:
        self.connections: list[FixConnection] = []
        self.heard: list[Message] = []
        self.answers: dict[str, Any] = {"AF": self._no_orders, "AN": self._no_positions}
        self.reports = 0

    def logged_on(self, connection: FixConnection) -> None:
        self.connections.append(connection)

    def lost(self, connection: FixConnection) -> None:
        self.connections.remove(connection)

    def received(self, connection: FixConnection, message: Message) -> None:
        self.heard.append(message)
        answer = self.answers.get(message.type)
        if answer is not None:
            answer(connection, message)

    def of(self, kind: str) -> list[Message]:
        return [message for message in self.heard if message.type == kind]

    def send(self, message: Message) -> None:
        (connection,) = self.connections
        connection.send(message)

    def report(self, event: str, status: str, **more: Any) -> None:
        """Send a report of order V1, IBM, with the usual fields; `t11="x"` sets a tag, None leaves one out."""
        self.reports += 1
        fields = {37: "V1", 17: f"E{self.reports}", 150: event, 39: status, 1: "DU1000001", 55: "IBM", 54: "1"}
        fields |= {38: "100", 40: "2", 44: "99", 14: "0", 151: "100", 6: "0"}
        fields |= {int(name[1:]): value for name, value in more.items()}
        message = Message("8")
        for tag, value in fields.items():
            message.add(tag, value)
        self.send(message)

    def refuse(self, connection: FixConnection, message: Message) -> None:
        connection.refuse_type(message)

    def _no_orders(self, connection: FixConnection, message: Message) -> None:
        answer = Message("8").add(37, "NONE").add(17, "0").add(150, "I").add(39, "8").add(54, "1").add(14, "0")
        connection.send(
            answer.add(151, "0").add(6, "0").add(103, "5").add(584, message[584]).add(911, "0").add(912, "Y")
        )

    def _no_positions(self, connection: FixConnection, message: Message) -> None:
        answer = Message("AO").add(721, "P1").add(710, message[710]).add(727, "0").add(728, "2").add(729, "0")
        connection.send(
            answer.add(453, "1").add(448, "x").add(447, "D").add(452, "38").add(1, message[1]).add(581, "1")
        )


class ScriptHarness(FixHarness):
    """The adapter and a scripted broker."""

    script: Script

    async def set_up(self) -> None:
        self.script = Script()
        self.endpoint = FixEndpoint(self.script, self.reactor, time.time_ns, options=EndpointOptions())
        port = await self.endpoint.start()
        self.sink = RecordingSink(self.reactor)
        self.adapter = self.make_adapter(msgspec.structs.replace(self.options, port=port))
        self.venue = _NoVenue()

    def order(self, number: int = 1, **terms: Any) -> Order:
        """Make an order as the gateway would."""
        order_id = f"TX-TEST-{number:06d}"
        return Order(
            **{
                "id": order_id,
                "order_ref": order_id,
                "mode": "fix",
                "account": self.account,
                "symbol": "IBM",
                "instrument": IBM,
                "instrument_id": "IBM",
                "side": Side.BUY,
                "quantity": Decimal(100),
                "type": OrderType.LIMIT,
                "limit_price": Decimal(99),
                "status": OrderStatus.PENDING_NEW,
                "submit_time": 1,
                "update_time": 1,
                "currency": "USD",
                **terms,
            }
        )

    async def heard(self, kind: str, count: int = 1) -> list[Message]:
        """Return the messages of a type that the broker has heard; there must be so many at least."""
        await self.adapter.broker_time()  # there and back
        found = self.script.of(kind)
        assert len(found) >= count, f"{len(found)} messages {kind}"
        return found


class _NoVenue:
    def stop(self) -> None:
        """There is none."""


def _decorator(harness: type[FixHarness], starts: bool, options: dict[str, Any]):
    def decorate(body):
        @pytest_twisted.ensureDeferred
        async def test() -> None:
            made = harness(reactor, **options)
            await made.set_up()
            try:
                if starts:
                    made.adapter.start()
                    await made.sink.until_state(LinkState.CONNECTED)
                await body(made)
            finally:
                await made.tear_down()

        test.__name__, test.__doc__ = body.__name__, body.__doc__
        return test

    return decorate


def on_fix(body=None, *, starts=True, **options):
    """Make a test of `body` against the simulated venue; `options` are the adapter's."""
    decorate = _decorator(FixHarness, starts, options)
    return decorate if body is None else decorate(body)


def on_script(body=None, *, starts=True, **options):
    """Make a test of `body` against a scripted broker."""
    decorate = _decorator(ScriptHarness, starts, options)
    return decorate if body is None else decorate(body)
