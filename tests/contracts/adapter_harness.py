"""What the adapter contract needs of a broker: one harness for each adapter, behind one face.

The contract drives the adapter as the gateway does and plays the broker's side through the harness.  To bring a new
adapter under the contract, write a class with these methods and add it to `HARNESSES` in the contract's file.
"""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Protocol

from twisted.internet.defer import Deferred

from txtrader.gateway.adapter import Adapter
from txtrader.model.instrument import Instrument, InstrumentQuery
from txtrader.model.order import Order, OrderStatus, OrderType, Side
from txtrader.model.symbols import parse_symbol
from txtrader.testing.adapter import MemoryAdapter
from txtrader.testing.broker import MemoryBroker
from txtrader.testing.broker_records import stock
from txtrader.testing.sink import RecordingSink


class AdapterHarness(Protocol):
    """One adapter, its sink, and the broker's side of the table.

    The stock `symbol` has no quote at first; prices near 100 are sane for it.  `has_stops` and the like are read from
    the adapter's capabilities.  One whose broker offers no positions says so by `tells_positions` False.
    """

    adapter: Adapter
    sink: RecordingSink
    account: str
    symbol: str
    unknown_symbol: str

    async def set_up(self) -> None:
        """Make the broker and an adapter that was not started."""

    async def tear_down(self) -> None:
        """Stop everything; nothing may be left ticking."""

    async def quote(self, bid: str, ask: str, size: int = 100) -> None:
        """Make the market `bid`-`ask`, `size` shares on each side."""

    async def print_trade(self, price: str) -> None:
        """Let strangers trade at `price`, to move the last price there; quotes around it stay where they are."""

    async def fill(self, order_id: str, shares: int, price: str) -> None:
        """Let somebody trade with the order `order_id` (the gateway's id)."""

    async def place_stranger(self, side: Side, shares: int, price: str) -> None:
        """Rest a limit order in our account that this login never made."""

    def broken_order(self, order: Order) -> Order:
        """Change a sound order into one that this broker rejects."""

    async def lose_link(self) -> None:
        """Break the link and keep it broken."""

    async def restore_link(self) -> None:
        """Let the adapter in again."""

    async def go_silent(self) -> None:
        """Keep the link, and let the broker say nothing any more."""

    def open_lines(self) -> int:
        """How many market-data lines the broker serves for `symbol`."""


class MemoryHarness:
    """The memory adapter: the reference, and the proof that the contract itself is sound."""

    symbol = "IBM"
    unknown_symbol = "NOSUCH"
    account = "MEM1"

    def __init__(self, reactor) -> None:
        self._reactor = reactor

    async def set_up(self) -> None:
        self.broker = MemoryBroker([stock("IBM", "1"), stock("MSFT", "2")], now_ns=time.time_ns, fills_at_quotes=True)
        self.sink = RecordingSink(self._reactor)
        self.adapter = MemoryAdapter(self.broker, self.sink, self._reactor)

    async def tear_down(self) -> None:
        await self.adapter.stop()

    async def quote(self, bid: str, ask: str, size: int = 100) -> None:
        self.broker.quote(self.symbol, bid, ask, bidsize=size, asksize=size)

    async def print_trade(self, price: str) -> None:
        self.broker.trade(self.symbol, price)

    async def fill(self, order_id: str, shares: int, price: str) -> None:
        self.broker.fill(order_id, shares, price)

    async def place_stranger(self, side: Side, shares: int, price: str) -> None:
        self.broker.place_external(self.symbol, side, shares, limit_price=price)

    def broken_order(self, order: Order) -> Order:
        self.broker.rejects = lambda placed: placed.order_ref == order.id
        return order

    async def lose_link(self) -> None:
        self.adapter.lose_link()

    async def restore_link(self) -> None:
        self.adapter.restore_link()

    async def go_silent(self) -> None:
        self.adapter.go_stale()

    def open_lines(self) -> int:
        return int(self.symbol in self.adapter.subscribed)


def query(text: str) -> InstrumentQuery:
    """Ask for an instrument as the gateway does."""
    return parse_symbol(text, "symbol")


class OrderDesk:
    """Makes orders with ids as the gateway would: reserved first, then submitted."""

    def __init__(self, harness: AdapterHarness, instrument: Instrument) -> None:
        self._harness = harness
        self.instrument = instrument
        self._count = 0
        self._stamp = f"{time.time_ns() // 1000 % 36**6:06d}"[:6]

    def make(
        self,
        side: Side = Side.BUY,
        quantity: int | str = 100,
        type: OrderType = OrderType.LIMIT,
        *,
        limit: str | None = None,
        stop: str | None = None,
        **more,
    ) -> Order:
        self._count += 1
        broker_order_id, clientid = self._harness.adapter.reserve()
        now = time.time_ns()
        gateway_id = f"TX-{self._stamp}-{self._count:06d}"
        return Order(
            id=gateway_id,
            mode=self.instrument.mode,
            account=self._harness.account,
            symbol=self.instrument.symbol,
            instrument=self.instrument,
            instrument_id=self.instrument.instrument_id,
            side=side,
            quantity=Decimal(quantity),
            type=type,
            limit_price=None if limit is None else Decimal(limit),
            stop_price=None if stop is None else Decimal(stop),
            status=OrderStatus.PENDING_NEW,
            submit_time=now,
            update_time=now,
            broker_order_id=broker_order_id,
            clientid=clientid,
            order_ref=gateway_id,
            currency=self.instrument.currency,
            **more,
        )

    def submit(self, *args, **kwargs) -> Order:
        order = self.make(*args, **kwargs)
        self._harness.adapter.submit(order)
        return order


def turn(reactor) -> Deferred[None]:
    """One trip around the reactor's loop."""
    waiting: Deferred[None] = Deferred()
    reactor.callLater(0, waiting.callback, None)
    return waiting
