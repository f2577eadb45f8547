"""Contracts and instruments, both ways, and what to ask TWS for when somebody names one.

A contract on the wire is a dict of the API's field names (`conId`, `symbol`, `secType`, ...).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from txtrader.dialects.tws.words import right_from_wire, sectype_from_wire
from txtrader.errors import InvalidArgument
from txtrader.model.instrument import Instrument, InstrumentQuery, PriceIncrement, SecType
from txtrader.model.numbers import parse_decimal, plain, plain_text
from txtrader.model.symbols import canonical_symbol, parse_symbol

__all__ = [
    "contract_for_request",
    "contract_to_wire",
    "details_to_wire",
    "instrument_from_contract",
    "instrument_from_details",
    "market_rule_of",
    "questions_for",
    "with_increments",
]

_SMART_TYPES = frozenset({SecType.STOCK, SecType.OPTION, SecType.FUND, SecType.WARRANT, SecType.CFD, SecType.BOND})
_DATED = frozenset({SecType.FUTURE, SecType.OPTION, SecType.FUTURE_OPTION, SecType.WARRANT})


def _text(value: Any) -> str | None:
    return str(value) if value not in (None, "") else None


def _decimal(value: Any) -> Decimal | None:
    """Read a number that TWS sends as text or number; None for what is none (a multiplier may be empty)."""
    if value in (None, ""):
        return None
    try:
        return plain(parse_decimal(str(value) if not isinstance(value, Decimal) else value, "number"))
    except InvalidArgument:
        return None


def _expiry(value: Any) -> str | None:
    """Cut `20261218 08:30:00 CST`, or the same with dashes, to its date."""
    words = str(value or "").replace("-", " ").split()
    return words[0] if words else None


def name_on_wire(instrument: Instrument) -> str:
    """Return the `symbol` that TWS knows: the first part of the canonical spelling, empty for `#id` and `!symbol`."""
    return parse_symbol(instrument.symbol).symbol or ""


def contract_to_wire(instrument: Instrument) -> dict[str, Any]:
    """Write every contract field that the record holds."""
    return {
        "conId": int(instrument.instrument_id),
        "symbol": name_on_wire(instrument),
        "secType": instrument.sectype.value,
        "lastTradeDateOrContractMonth": instrument.expiry or "",
        "strike": instrument.strike,
        "right": instrument.right or "",
        "multiplier": plain_text(instrument.multiplier) if instrument.multiplier is not None else "",
        "exchange": instrument.exchange or "",
        "primaryExchange": instrument.primary_exchange or "",
        "currency": instrument.currency or "",
        "localSymbol": instrument.local_symbol or "",
        "tradingClass": instrument.trading_class or "",
    }


def contract_for_request(instrument: Instrument, *, route: str | None = None) -> dict[str, Any]:
    """Write the fields that a request needs: the id decides, the exchange says where.

    Further fields could only contradict the id, which TWS answers with error 200.
    """
    exchange = route or instrument.exchange
    if not exchange or (exchange == instrument.primary_exchange and not route):
        exchange = "SMART" if instrument.sectype in _SMART_TYPES else exchange
    return {
        "conId": int(instrument.instrument_id),
        "symbol": name_on_wire(instrument),
        "secType": instrument.sectype.value,
        "exchange": exchange or "",
        "currency": instrument.currency or "",
    }


def instrument_from_contract(contract: Mapping[str, Any], mode: str) -> Instrument:
    """Make the record of a contract as orders, executions and positions carry it: no ticks, no names."""
    kind = sectype_from_wire(contract.get("secType"))
    expiry = _expiry(contract.get("lastTradeDateOrContractMonth")) if kind in _DATED else None
    strike = (
        _decimal(contract.get("strike")) if kind in (SecType.OPTION, SecType.FUTURE_OPTION, SecType.WARRANT) else None
    )
    trading_class = _text(contract.get("tradingClass"))
    instrument_id = str(contract.get("conId") or 0)
    return Instrument(
        symbol=canonical_symbol(
            sectype=kind,
            symbol=str(contract.get("symbol") or ""),
            instrument_id=instrument_id,
            exchange=_text(contract.get("exchange")),
            primary_exchange=_text(contract.get("primaryExchange")),
            currency=_text(contract.get("currency")),
            expiry=expiry,
            strike=strike,
            right=right_from_wire(contract.get("right")),
            trading_class=trading_class,
        ),
        instrument_id=instrument_id,
        mode=mode,
        sectype=kind,
        exchange=_text(contract.get("exchange")),
        primary_exchange=_text(contract.get("primaryExchange")),
        currency=_text(contract.get("currency")),
        local_symbol=_text(contract.get("localSymbol")),
        trading_class=trading_class,
        expiry=expiry,
        strike=strike,
        right=right_from_wire(contract.get("right")),
        multiplier=_decimal(contract.get("multiplier")),
    )


def instrument_from_details(details: Mapping[str, Any], mode: str) -> Instrument:
    """Make the record of one contractDetails answer."""
    plain_record = instrument_from_contract(details, mode)
    step = _decimal(details.get("sizeIncrement")) or _decimal(details.get("minSize"))
    tick = _decimal(details.get("minTick"))
    cusip = next(
        (pair.get("value") for pair in details.get("secIdList") or () if pair.get("tag") == "CUSIP"),
        details.get("cusip"),
    )
    return msgspec.structs.replace(
        plain_record,
        fullname=_text(details.get("longName")),
        tick=tick or None,
        step=step or Decimal(1),
        timezone=_text(details.get("timeZoneId")),
        trading_hours=_text(details.get("tradingHours")),
        cusip=_text(cusip),
        order_types=tuple(word for word in str(details.get("orderTypes") or "").split(",") if word),
    )


def details_to_wire(instrument: Instrument) -> dict[str, Any]:
    """Write the contractDetails fields that the record holds: what `instrument_from_details` reads."""
    has_step = instrument.step != 1
    return {
        **contract_to_wire(instrument),
        "longName": instrument.fullname or "",
        "minTick": instrument.tick,
        "sizeIncrement": instrument.step if has_step else None,
        "timeZoneId": instrument.timezone or "",
        "tradingHours": instrument.trading_hours or "",
        "orderTypes": ",".join(instrument.order_types),
        "secIdList": [{"tag": "CUSIP", "value": instrument.cusip}] if instrument.cusip else [],
    }


def market_rule_of(details: Mapping[str, Any]) -> int | None:
    """Return the id of the price-increment rule for the exchange that the details name."""
    rules = str(details.get("marketRuleIds") or "").split(",")
    exchanges = str(details.get("validExchanges") or "").split(",")
    by_exchange = dict(zip(exchanges, rules, strict=False))
    rule = by_exchange.get(str(details.get("exchange") or "")) or (rules[0] if rules else "")
    return int(rule) if rule.isascii() and rule.isdigit() else None


def with_increments(instrument: Instrument, bands: Iterable[Mapping[str, Any]]) -> Instrument:
    """Refine the tick by the bands of a market rule (`lowEdge`, `increment`)."""
    made = sorted(
        (
            PriceIncrement(low_edge=plain(band["lowEdge"]), increment=plain(band["increment"]))
            for band in bands
            if band.get("lowEdge") is not None and band.get("increment")
        ),
        key=lambda band: band.low_edge,
    )
    if not made:
        return instrument
    return msgspec.structs.replace(instrument, increments=tuple(made), tick=made[0].increment)


def questions_for(query: InstrumentQuery) -> Sequence[dict[str, Any]]:
    """Say which contracts to ask TWS for, in sequence: the first that is known answers.

    A plain stock name means a US stock (the dollar, smart routing); an option may be one on a future; the broker's
    own symbol names no kind, so each kind is asked.
    """
    if query.instrument_id is not None:
        if not query.instrument_id.isdigit() or len(query.instrument_id) > 18:
            return ()  # TWS ids are numbers: no such instrument
        return ({"conId": int(query.instrument_id)},)
    if query.raw_symbol is not None:
        local = query.raw_symbol
        return tuple(
            {
                "localSymbol": local,
                "secType": kind,
                "exchange": query.exchange or place,
                "currency": query.currency or "",
            }
            for kind, place in (("STK", "SMART"), ("FUT", ""), ("OPT", "SMART"), ("FOP", ""), ("IND", ""), ("CASH", ""))
        )
    asked: dict[str, Any] = {
        "symbol": query.symbol or "",
        "exchange": query.exchange or "",
        "primaryExchange": query.primary_exchange or "",
        "currency": query.currency or "",
        "lastTradeDateOrContractMonth": query.expiry or "",
        "strike": query.strike,
        "right": query.right or "",
    }
    match query.sectype:
        case SecType.FUTURE:
            return ({**asked, "secType": "FUT"},)
        case SecType.OPTION:
            dollars = {"currency": asked["currency"] or "USD"}
            option = {**asked, **dollars, "secType": "OPT", "exchange": query.exchange or "SMART"}
            return (option, {**asked, "secType": "FOP"})
        case SecType.FUTURE_OPTION:
            return ({**asked, "secType": "FOP"},)
        case SecType.CASH:
            return ({**asked, "secType": "CASH", "exchange": query.exchange or "IDEALPRO"},)
        case SecType.CRYPTO:
            places = (query.exchange,) if query.exchange else ("PAXOS", "ZEROHASH")
            return tuple({**asked, "secType": "CRYPTO", "exchange": place} for place in places)
        case SecType.INDEX:
            return ({**asked, "secType": "IND"},)
        case None:
            # A bare name: everything that is called so, stocks of any currency first.
            return tuple(
                {**asked, "secType": kind, "exchange": query.exchange or place}
                for kind, place in (
                    ("STK", "SMART"),
                    ("IND", ""),
                    ("CASH", "IDEALPRO"),
                    ("CRYPTO", "PAXOS"),
                    ("FUT", ""),
                )
            )
        case SecType.STOCK:
            is_plain = not (query.primary_exchange or query.exchange)
            currency = asked["currency"] or ("USD" if is_plain else "")
            return ({**asked, "secType": "STK", "exchange": query.exchange or "SMART", "currency": currency},)
        case other:
            return ({**asked, "secType": other.value},)
