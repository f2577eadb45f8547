"""ITCH 5.0: Nasdaq's feed of every order, read out of files and streams.

Integers are big-endian and unsigned, times nanoseconds since midnight, prices ten-thousandths of a dollar, stocks
eight characters padded with blanks (here without them).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import msgspec

from txtrader.errors import LocalProtocolError, RemoteProtocolError

__all__ = ["LENGTHS", "ItchMessage", "decode", "encode", "read_blanks", "read_lengths"]


class ItchMessage(msgspec.Struct, frozen=True):
    """One message: its letter, its stock's number, when it was made, and the fields of its kind by name."""

    type: str
    locate: int
    tracking: int
    time: int
    fields: dict[str, Any]


# letter: fields behind the common eleven bytes, each with its form; the number of bytes decides the struct's letter.
_LAYOUTS = {
    "S": "event:a",
    "R": "stock:s market:a status:a lot:4 lots_only:a classification:a sub_type:2s authenticity:a short:a ipo:a luld:a "
    "etp:a leverage:4 inverse:a",
    "H": "stock:s state:a reserved:a reason:4s",
    "A": "reference:8 side:a shares:4 stock:s price:4",
    "F": "reference:8 side:a shares:4 stock:s price:4 participant:4s",
    "E": "reference:8 shares:4 match:8",
    "C": "reference:8 shares:4 match:8 printable:a price:4",
    "X": "reference:8 shares:4",
    "D": "reference:8",
    "U": "reference:8 new_reference:8 shares:4 price:4",
    "P": "reference:8 side:a shares:4 stock:s price:4 match:8",
    "Q": "shares:8 stock:s price:4 match:8 cross:a",
    "B": "match:8",
    "I": "paired:8 imbalance:8 direction:a stock:s far:4 near:4 reference:4 cross:a variation:a",
}
_REST = {"Y": 20, "L": 26, "V": 35, "W": 12, "K": 28, "J": 35, "h": 21, "N": 20, "O": 48}
_CODES = {"a": "c", "s": "8s", "2s": "2s", "4s": "4s", "4": "I", "8": "Q"}
_COMMON = struct.Struct(">cHH6s")


def _layout(text: str) -> tuple[tuple[str, ...], tuple[str, ...], struct.Struct]:
    pairs = [word.split(":") for word in text.split()]
    return (
        tuple(name for name, _ in pairs),
        tuple(kind for _, kind in pairs),
        struct.Struct(">" + "".join(_CODES[kind] for _, kind in pairs)),
    )


_KNOWN = {letter: _layout(text) for letter, text in _LAYOUTS.items()}
LENGTHS = {**{letter: _COMMON.size + known[2].size for letter, known in _KNOWN.items()}, **_REST}
"""The length of each kind of message, its letter included; of those that are not listed by field, too."""


def decode(data: bytes) -> ItchMessage:
    """Read one message; of a kind that is only stepped over, `fields` hold nothing.  Raises RemoteProtocolError."""
    letter = chr(data[0]) if data else ""
    if LENGTHS.get(letter) != len(data):
        raise RemoteProtocolError(f"{len(data)} bytes are no ITCH message of kind {letter!r}")
    _, locate, tracking, time = _COMMON.unpack_from(data)
    fields: dict[str, Any] = {}
    if letter in _KNOWN:
        names, _, form = _KNOWN[letter]
        values = form.unpack_from(data, _COMMON.size)
        for name, value in zip(names, values, strict=True):
            fields[name] = value.decode("latin-1").rstrip(" ") if isinstance(value, bytes) else value
    return ItchMessage(letter, locate, tracking, int.from_bytes(time, "big"), fields)


def encode(message: ItchMessage) -> bytes:
    """Write one message.  Raises LocalProtocolError for a kind or a value that has no form."""
    if message.type not in _KNOWN:
        raise LocalProtocolError(f"messages of kind {message.type!r} are not written")
    names, kinds, form = _KNOWN[message.type]
    values = [
        str(message.fields[name]).ljust({"a": 1, "s": 8, "2s": 2, "4s": 4}[kind]).encode("latin-1")
        if kind in ("a", "s", "2s", "4s")
        else message.fields[name]
        for name, kind in zip(names, kinds, strict=True)
    ]
    try:
        head = _COMMON.pack(
            message.type.encode("ascii"), message.locate, message.tracking, message.time.to_bytes(6, "big")
        )
        return head + form.pack(*values)
    except (struct.error, OverflowError) as error:
        raise LocalProtocolError(f"an ITCH message cannot hold that: {error}") from None


def read_lengths(data: bytes) -> Iterator[ItchMessage]:
    """Read messages that each have their length before them (two bytes): Nasdaq's daily files, SoupBinTCP, MoldUDP."""
    place = 0
    while place < len(data):
        size = int.from_bytes(data[place : place + 2], "big")
        if len(data) < place + 2 + size or not size:
            raise RemoteProtocolError(f"no message at byte {place}")
        yield decode(data[place + 2 : place + 2 + size])
        place += 2 + size


def read_blanks(data: bytes) -> Iterator[ItchMessage]:
    """Read messages that have two zero bytes before them instead of a length: it is that of their kind."""
    place = 0
    while place < len(data):
        size = LENGTHS.get(chr(data[place + 2]) if place + 2 < len(data) else "")
        if size is None or data[place : place + 2] != b"\0\0":
            raise RemoteProtocolError(f"no message at byte {place}")
        yield decode(data[place + 2 : place + 2 + size])
        place += 2 + size
