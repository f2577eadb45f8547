"""Fields of the protocol's first generation beside those that replaced them.

    uint32_qty, scaled_volume      whole numbers, now a cqg.Decimal: qty, volume
    trade_utc_time                 milliseconds after the base time, now a Timestamp: trade_utc_timestamp
    text_message                   now a Text: details

Clients of the old generation get both; from any client either is taken, and the newer one wins.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Any

from txtrader.wire.cqg.schema import message_class
from txtrader.wire.cqg.values import BaseTime, decimal_of, put_decimal, put_timestamp, timestamp_ns

__all__ = ["fill_legacy", "take_legacy"]

_DECIMAL = message_class("cqg.Decimal").DESCRIPTOR.full_name
_TIMESTAMP = "google.protobuf.Timestamp"
_TEXT = "shared_1.Text"
_VALUES = "market_data_2.MarketValues"
_Twins = tuple[tuple[str, str, str, int], ...]


def fill_legacy(message: Any, base: BaseTime) -> None:
    """Write the old field beside each new one that is there, in a message and all that it holds."""
    for name, twin, kind, most in _twins(message.DESCRIPTOR):
        if not message.HasField(name) or message.HasField(twin):
            continue
        value = getattr(message, name)
        if kind == _DECIMAL:
            number = decimal_of(value)
            if number == number.to_integral_value() and 0 <= number < most:
                setattr(message, twin, int(number))
        elif kind == _TIMESTAMP:
            setattr(message, twin, base.milliseconds(timestamp_ns(value)))
        elif value.text:
            setattr(message, twin, value.text)
    if message.DESCRIPTOR.full_name == _VALUES and message.HasField("scaled_last_price_no_settlement"):
        message.scaled_last_price = message.scaled_last_price_no_settlement
    for part in _held(message):
        fill_legacy(part, base)


def take_legacy(message: Any, base: BaseTime) -> None:
    """Write the new field beside each old one that stands alone, in a message and all that it holds."""
    for name, twin, kind, _ in _twins(message.DESCRIPTOR):
        if message.HasField(name) or not message.HasField(twin):
            continue
        value = getattr(message, twin)
        if kind == _DECIMAL:
            put_decimal(getattr(message, name), Decimal(value))
            getattr(message, name).SetInParent()
        elif kind == _TIMESTAMP:
            put_timestamp(getattr(message, name), base.ns(value))
    for part in _held(message):
        take_legacy(part, base)


def _held(message: Any) -> list[Any]:
    found: list[Any] = []
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None or descriptor.message_type.full_name in (_DECIMAL, _TIMESTAMP, _TEXT):
            continue
        found += [value] if hasattr(value, "DESCRIPTOR") else list(value)
    return found


@cache
def _twins(descriptor: Any) -> _Twins:
    """List (new field, old field, type of the new one, bound of the old one) of a message."""
    names = {field.name: field for field in descriptor.fields}
    found = []
    for field in descriptor.fields:
        kind = field.message_type.full_name if field.message_type is not None else ""
        if kind == _DECIMAL:
            candidates = [f"uint32_{field.name}", f"scaled_{field.name}"]
        elif kind == _TIMESTAMP and field.name.endswith("_timestamp"):
            candidates = [field.name.removesuffix("stamp")]
        elif kind == _TEXT and field.name == "details":
            candidates = ["text_message"]
        else:
            continue
        for name in candidates:
            twin = names.get(name)
            if twin is not None and twin.message_type is None:
                found.append((field.name, name, kind, 2**32 if name.startswith("uint32_") else 2**63))
    return tuple(found)
