"""CQG's contract metadata and our instruments."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from txtrader.model.instrument import Instrument, PriceIncrement, SecType
from txtrader.model.symbols import canonical_symbol
from txtrader.wire.cqg.values import BaseTime, decimal_of, number_of, put_decimal

__all__ = ["Contract", "contract_of", "exchange_of", "instrument_of", "mic_of", "put_contract"]

_MICS = {
    "CME": "XCME",
    "CBOT": "XCBT",
    "NYMEX": "XNYM",
    "COMEX": "XCEC",
    "NYSE": "XNYS",
    "NASDAQ": "XNAS",
    "ARCA": "ARCX",
    "AMEX": "XASE",
    "CBOE": "XCBO",
    "ICE": "IEPA",
    "EUREX": "XEUR",
    "IBIS": "XETR",
}
_EXCHANGES = {mic: name for name, mic in _MICS.items()}
# The first letters of a CFI code (ISO 10962): category and, for options, call or put.
_CATEGORIES = {
    SecType.STOCK: "ES",
    SecType.FUTURE: "FX",
    SecType.CASH: "RC",
    SecType.CRYPTO: "RC",
    SecType.INDEX: "MR",
    SecType.BOND: "DB",
}
_SECTYPES = {"E": SecType.STOCK, "F": SecType.FUTURE, "R": SecType.CASH, "M": SecType.INDEX, "D": SecType.BOND}
_CRYPTO = frozenset({"PAXOS", "ZEROHASH"})


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """What ContractMetadata says, in plain words; prices and steps exact, `expiry` YYYYMMDD or None.

    `symbol` is CQG's stable name (F.US.EPZ26), `short` the one that people write (EPZ26), `root` that of its group
    (EP).  `increments` are price bands as in Instrument.
    """

    contract_id: int
    symbol: str
    short: str
    root: str
    title: str
    scale: Decimal
    tick: Decimal
    tick_value: Decimal
    currency: str
    cfi_code: str
    mic: str | None = None
    expiry: str | None = None
    month: str | None = None
    strike: Decimal | None = None
    step: Decimal = Decimal(1)
    multiplier: Decimal | None = None
    increments: tuple[PriceIncrement, ...] = ()
    group: str = ""
    is_most_active: bool = False
    is_deleted: bool = False
    session_info_id: int = -1


def mic_of(exchange: str) -> str:
    """Return the market identifier of an exchange's name, the name itself where none is known."""
    return _MICS.get(exchange, exchange)


def exchange_of(mic: str | None) -> str | None:
    """Return the name of an exchange by its market identifier, the identifier where none is known."""
    return _EXCHANGES.get(mic, mic) if mic else None


def cfi_of(sectype: SecType, right: str = "") -> str:
    """Return a CFI code for a kind of instrument."""
    if right:
        return f"O{right}XXXX"
    return f"{_CATEGORIES.get(sectype, 'MM')}XXXX"


def put_contract(message: Any, contract: Contract, base: BaseTime) -> None:
    """Write a contract into a metadata_2.ContractMetadata."""
    message.contract_id = contract.contract_id
    message.contract_symbol = contract.symbol
    message.cqg_contract_symbol = contract.short
    message.correct_price_scale = float(contract.scale)
    message.display_price_scale = max(0, min(15, -int(contract.tick.as_tuple().exponent)))
    message.description = message.title = contract.title
    message.tick_size = float(contract.tick)
    message.tick_value = float(contract.tick_value)
    message.currency = contract.currency
    message.cfi_code = contract.cfi_code
    message.is_most_active = contract.is_most_active
    message.instrument_group_name = contract.group
    message.short_instrument_group_name = contract.root
    message.instrument_group_description = contract.title
    message.session_info_id = contract.session_info_id
    message.country_code = "US" if contract.currency == "USD" else contract.currency[:2]
    message.position_tracking = 1
    message.has_exchange_volume = True
    put_decimal(message.trade_size_increment, contract.step)
    message.trade_size_increment.SetInParent()
    if contract.multiplier is not None:
        put_decimal(message.contract_size_in_units, contract.multiplier)
        message.contract_size_in_units.SetInParent()
    if contract.mic:
        message.mic = contract.mic
    if contract.expiry:
        message.last_trading_date = base.day_milliseconds(contract.expiry)
    if contract.month:
        message.maturity_month_year = contract.month
    if contract.strike is not None:
        message.strike_price = float(contract.strike)
    if len(contract.increments) > 1:
        for band in contract.increments:
            step = message.tick_sizes_by_price.add()
            step.boundary_price = float(band.low_edge)
            step.tick_size = float(band.increment)
            step.tick_value = float(band.increment / contract.tick * contract.tick_value)
    if contract.is_deleted:
        message.deleted = True


def contract_of(message: Any, base: BaseTime) -> Contract:
    """Read a metadata_2.ContractMetadata; raises RemoteProtocolError for numbers that are none."""
    bands = sorted(
        (
            PriceIncrement(low_edge=number_of(band.boundary_price), increment=number_of(band.tick_size))
            for band in message.tick_sizes_by_price
            if band.boundary_price >= 0
        ),
        key=lambda band: band.low_edge,
    )
    size = message.contract_size_in_units
    return Contract(
        contract_id=message.contract_id,
        symbol=message.contract_symbol,
        short=message.cqg_contract_symbol or message.contract_symbol,
        root=message.short_instrument_group_name,
        title=message.title or message.description,
        scale=number_of(message.correct_price_scale),
        tick=number_of(message.tick_size),
        tick_value=number_of(message.tick_value),
        currency=message.currency,
        cfi_code=message.cfi_code,
        mic=message.mic or None,
        expiry=base.day(message.last_trading_date) if message.HasField("last_trading_date") else None,
        month=message.maturity_month_year or None,
        strike=number_of(message.strike_price) if message.HasField("strike_price") else None,
        step=decimal_of(message.trade_size_increment) if message.HasField("trade_size_increment") else Decimal(1),
        multiplier=decimal_of(size) if message.HasField("contract_size_in_units") else None,
        increments=tuple(bands),
        group=message.instrument_group_name,
        is_most_active=message.is_most_active,
        is_deleted=message.deleted,
        session_info_id=message.session_info_id,
    )


def instrument_of(contract: Contract, mode: str, *, rolling: str | None = None) -> Instrument:
    """Return a contract as an instrument; `rolling` is the symbol that stands for it until the next roll."""
    code = contract.cfi_code or " "
    right = code[1] if code[0] == "O" and code[1:2] in ("C", "P") else None
    exchange = exchange_of(contract.mic)
    root: str = contract.root or contract.short
    sectype = _SECTYPES.get(code[0], SecType.OTHER)
    currency = contract.currency
    if right:
        sectype = SecType.OPTION
    elif sectype is SecType.CASH:
        root = contract.short.removesuffix(currency) or contract.short
        if exchange in _CRYPTO:
            sectype = SecType.CRYPTO
    elif sectype is SecType.STOCK:
        root = contract.short
    # A step of the tick is worth tick_value: that makes the multiplier, where the contract does not say it.
    multiplier = contract.multiplier or contract.tick_value / contract.tick
    if rolling is not None:
        symbol = rolling
    else:
        symbol = canonical_symbol(
            sectype=sectype,
            symbol=root,
            exchange=exchange,
            primary_exchange=exchange,
            currency=currency,
            expiry=contract.expiry,
            strike=contract.strike,
            right=right,
            instrument_id=contract.symbol,
        )
    return Instrument(
        symbol=symbol,
        instrument_id=contract.symbol if rolling is None else f"{contract.group or contract.root}",
        mode=mode,
        sectype=sectype,
        exchange=exchange,
        primary_exchange=exchange,
        currency=currency,
        fullname=contract.title,
        local_symbol=contract.short,
        expiry=None if rolling is not None else contract.expiry,
        strike=contract.strike,
        right=right,
        multiplier=multiplier,
        tick=contract.tick,
        step=contract.step,
        increments=contract.increments,
    )
