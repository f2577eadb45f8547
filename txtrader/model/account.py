"""Accounts and positions."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from txtrader.model.instrument import Instrument

__all__ = ["AccountValue", "Position"]


class AccountValue(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of an account, as text because brokers mix numbers and words here."""

    account: str
    mode: str
    key: str
    value: str
    currency: str | None = None


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """What an account holds of one instrument; `quantity` is signed, 0 says flat.

    A None beside it means that this message says nothing about that figure.
    """

    account: str
    mode: str
    symbol: str
    quantity: Decimal
    instrument: Instrument | None = None
    instrument_id: str | None = None
    currency: str | None = None
    avgprice: Decimal | None = None
    multiplier: Decimal | None = None
    mark: Decimal | None = None
    market_value: Decimal | None = None
    unrealized: Decimal | None = None
    realized: Decimal | None = None
    update_time: int | None = None
    stale: bool = False
