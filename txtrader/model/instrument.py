"""Instruments: what is traded, and how a question for one is asked.

The symbol grammar itself is in `txtrader.model.symbols`.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

__all__ = ["Instrument", "InstrumentQuery", "PriceIncrement", "SecType"]


class SecType(StrEnum):
    """Kinds of instrument, in the words that TWS and most of the field use."""

    STOCK = "STK"
    FUTURE = "FUT"
    OPTION = "OPT"
    FUTURE_OPTION = "FOP"
    CASH = "CASH"
    CRYPTO = "CRYPTO"
    INDEX = "IND"
    BOND = "BOND"
    CFD = "CFD"
    COMMODITY = "CMDTY"
    FUND = "FUND"
    WARRANT = "WAR"
    COMBO = "BAG"
    OTHER = "OTHER"


class PriceIncrement(msgspec.Struct, frozen=True, kw_only=True):
    """From `low_edge` upwards (price, in the instrument's currency) prices are multiples of `increment`."""

    low_edge: Decimal
    increment: Decimal


class Instrument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """One tradeable thing at one broker.

    `symbol` is the canonical spelling of the grammar; `instrument_id` is the broker's own stable id as text (TWS
    conId).  `tick` is the smallest price step and `step` the smallest quantity step; `increments` refines `tick`
    by price band, in ascending order of `low_edge`.
    """

    symbol: str
    instrument_id: str
    mode: str
    sectype: SecType
    exchange: str | None = None
    primary_exchange: str | None = None
    currency: str | None = None
    fullname: str | None = None
    local_symbol: str | None = None
    trading_class: str | None = None
    expiry: str | None = None  # YYYYMMDD, or YYYYMM where the broker says no day
    strike: Decimal | None = None
    right: str | None = None  # C or P
    multiplier: Decimal | None = None
    tick: Decimal | None = None
    step: Decimal = Decimal(1)
    increments: tuple[PriceIncrement, ...] = ()
    timezone: str | None = None
    trading_hours: str | None = None
    cusip: str | None = None
    order_types: tuple[str, ...] = ()  # the broker's own words for what this instrument takes; empty: not said

    @property
    def allows_negative_prices(self) -> bool:
        """Tell whether a price below zero makes sense here (spreads, futures, options on them)."""
        return self.sectype in (SecType.FUTURE, SecType.FUTURE_OPTION, SecType.COMBO)

    def tick_at(self, price: Decimal) -> Decimal | None:
        """Return the price step that holds at `price` (its magnitude decides), None where the broker says none."""
        tick = self.tick
        size = abs(price)
        for band in self.increments:
            if band.low_edge > size:
                break
            tick = band.increment
        return tick


class InstrumentQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A question for instruments: the parts that the caller gave, None for the rest.

    `text` is the symbol as it was written, upper case.  `raw_symbol` (grammar `!ESZ6`) is the broker's own symbol;
    `instrument_id` (grammar `#265598`) its own id.  `roll` is the n of `:n` (0 the front contract).
    """

    text: str
    symbol: str | None = None
    sectype: SecType | None = None
    exchange: str | None = None
    primary_exchange: str | None = None
    currency: str | None = None
    expiry: str | None = None
    strike: Decimal | None = None
    right: str | None = None
    roll: int | None = None
    instrument_id: str | None = None
    raw_symbol: str | None = None
