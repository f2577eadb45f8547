"""What the memory broker keeps: its orders and its tape."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from txtrader.model.instrument import Instrument, SecType
from txtrader.model.order import OrderStatus, OrderType, Side, TimeInForce

__all__ = ["BrokerOrder", "TapeEntry", "stock"]


def stock(symbol: str, instrument_id: str, *, mode: str = "memory", tick: str = "0.01") -> Instrument:
    """Make a US stock."""
    return Instrument(
        symbol=symbol,
        instrument_id=instrument_id,
        mode=mode,
        sectype=SecType.STOCK,
        exchange="MEMORY",
        primary_exchange="MEMORY",
        currency="USD",
        fullname=symbol,
        tick=Decimal(tick),
        timezone="America/New_York",
    )


class TapeEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that reached the broker or happened there.  `kind`: submit, cancel, replace, new, fill, canceled,
    rejected, expired, bust, correct."""

    kind: str
    time: int
    permid: str
    order_ref: str | None
    account: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal | None = None
    exec_id: str | None = None


class BrokerOrder:
    """An order as the broker keeps it."""

    def __init__(self, permid: str, instrument: Instrument, account: str, side: Side, quantity: Decimal) -> None:
        self.permid = permid
        self.instrument = instrument
        self.account = account
        self.side = side
        self.quantity = quantity
        self.type = OrderType.MARKET
        self.tif = TimeInForce.DAY
        self.limit_price: Decimal | None = None
        self.stop_price: Decimal | None = None
        self.order_ref: str | None = None
        self.broker_order_id: str | None = None
        self.clientid: int | None = None
        self.status = OrderStatus.PENDING_NEW
        self.filled = Decimal(0)
        self.paid = Decimal(0)  # sum of shares times price
        self.last_fill_price: Decimal | None = None
        self.is_elected = False  # a stop whose price was reached
        self.error: tuple[int | str, str] | None = None

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def is_open(self) -> bool:
        return not self.status.is_terminal
