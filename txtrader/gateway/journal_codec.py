"""Records and events as the journal's bytes, exactly, and back.

Both are JSON, so that an operator can read a journal with any SQLite tool.  A Decimal inside free-form parts is
written as a JSON number that always has a point or an exponent (`100` as `100e0`): reading such numbers as Decimal
and the others as int restores the very value, digits and exponent included.  No float ever gets in.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from txtrader.model.event import StatusEvent
from txtrader.model.execution import Execution
from txtrader.model.instrument import Instrument
from txtrader.model.order import Order

__all__ = [
    "Chain",
    "checksum",
    "decode_event",
    "decode_execution",
    "decode_instrument",
    "decode_order",
    "encode_event",
    "encode_execution",
    "encode_instrument",
    "encode_order",
    "event_time",
    "tag_of",
]

_encode = msgspec.json.Encoder().encode
_orders = msgspec.json.Decoder(Order, float_hook=Decimal)
_executions = msgspec.json.Decoder(Execution, float_hook=Decimal)
_instruments = msgspec.json.Decoder(Instrument, float_hook=Decimal)
_bodies = msgspec.json.Decoder(list[Any], float_hook=Decimal)

_PLAIN = frozenset({str, bool, type(None)})
_INT64 = 1 << 63


def _exact(value: Any) -> Any:
    """Return `value` with every Decimal as a JSON number that reads back as that Decimal.

    Raises TypeError for what is no builtin or a float, ValueError for a number that is none, OverflowError for one
    that is too long.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is int:
        if not -_INT64 <= value < _INT64:
            raise OverflowError(f"{value} has more than 64 bits")
        return value
    if kind is Decimal:
        if not value.is_finite():
            raise ValueError(f"{value} is no number for the journal")
        text = str(value)
        return msgspec.Raw((text if "." in text or "E" in text else text + "e0").encode())
    if kind is dict or isinstance(value, Mapping):
        return {str(key): part if type(part) in _PLAIN else _exact(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(part) for part in value]
    if isinstance(value, str):  # a word of an enumeration
        return str(value)
    raise TypeError(f"{kind.__name__} is no value for the journal")


def checksum(record: bytes) -> int:
    """Compute the CRC-32 that guards a record against rotten bytes, which SQLite itself does not notice."""
    return zlib.crc32(record)


def encode_instrument(instrument: Instrument) -> bytes:
    return _encode(instrument)


def decode_instrument(record: bytes) -> Instrument:
    return _instruments.decode(record)


def encode_order(order: Order) -> bytes:
    """Encode an order without its instrument, which is kept once for all its orders."""
    changes: dict[str, Any] = {}
    if order.instrument is not None:
        changes["instrument"] = None
    for name in ("route_params", "pending_changes", "raw"):
        value = getattr(order, name)
        if value is not None:
            changes[name] = _exact(value)
    return _encode(msgspec.structs.replace(order, **changes) if changes else order)


def decode_order(record: bytes, instrument: Instrument | None) -> Order:
    order = _orders.decode(record)
    return order if instrument is None else msgspec.structs.replace(order, instrument=instrument)


def encode_execution(execution: Execution) -> bytes:
    """Encode an execution without its instrument."""
    if execution.instrument is not None:
        execution = msgspec.structs.replace(execution, instrument=None)
    return _encode(execution)


def decode_execution(record: bytes, instrument: Instrument | None) -> Execution:
    execution = _executions.decode(record)
    return execution if instrument is None else msgspec.structs.replace(execution, instrument=instrument)


def encode_event(event: StatusEvent, time: int) -> bytes:
    """Encode what an event says, and when (integer nanoseconds UTC): the bytes that its digest covers.

    The time makes two histories differ even where they tell the same: that is how a client finds out that the
    journal was rolled back.  Epoch, channel and seq are bound by the chain.
    """
    return _encode([time, event.type, event.mode, event.key, event.account, event.symbol, _exact(event.data)])


def decode_event(channel: str, epoch: str, seq: int, body: bytes, digest: bytes) -> StatusEvent:
    _, type_, mode, key, account, symbol, data = _bodies.decode(body)
    return StatusEvent(
        type_,
        channel,
        mode,
        data,
        key=key,
        account=account,
        symbol=symbol,
        epoch=epoch,
        seq=seq,
        tag=tag_of(digest),
    )


def event_time(body: bytes) -> int:
    """Read when an event was published, integer nanoseconds UTC."""
    time = _bodies.decode(body)[0]
    assert type(time) is int, "an event of the journal begins with its time"
    return time


def tag_of(digest: bytes) -> str:
    """Return what the world sees of a digest: its first 16 hex digits."""
    return digest[:8].hex()


class Chain:
    """The hash chain of one channel: each digest covers the event and the digest before it."""

    @staticmethod
    def genesis(epoch: str, channel: str) -> bytes:
        """The digest of the point before the first event."""
        return hashlib.sha256(f"txtrader journal\0{epoch}\0{channel}".encode()).digest()

    @staticmethod
    def link(before: bytes, body: bytes) -> bytes:
        """The digest of the event `body` that follows the event with the digest `before`."""
        return hashlib.sha256(before + body).digest()
