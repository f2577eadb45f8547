"""JSON as the surface has it: number tokens read exactly and strictly, answers written without exponents.

Reading: no duplicate keys, no NaN, bounded depth, size and strings; a number becomes an int or a Decimal of its very
token, never a float.  Writing: Decimals are numbers in full, the text is ASCII.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import msgspec

from txtrader.errors import InvalidArgument, TooLarge

__all__ = ["MAX_DEPTH", "MAX_ITEMS", "MAX_KEYS", "MAX_STRING", "Unreadable", "encode", "parse", "parse_sequence"]

MAX_DEPTH = 32
MAX_ITEMS = 1000
MAX_KEYS = 100
MAX_STRING = 4096
_MAX_TOKEN = 40  # characters of a number: 18 digits is the most that any argument takes

_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


class Unreadable:
    """A number token that no argument takes (exponent, NaN, too long): refused where its place is known by name."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<number that is not taken>"


_UNREADABLE = Unreadable()


def _int(token: str) -> Any:
    if len(token) > _MAX_TOKEN:
        return _UNREADABLE
    return Decimal(token) if token == "-0" else int(token)  # an int has no negative zero to be refused


def _fraction(token: str) -> Any:
    if len(token) > _MAX_TOKEN or "e" in token or "E" in token:
        return _UNREADABLE
    return Decimal(token)


def _constant(token: str) -> Any:
    return _UNREADABLE


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_KEYS:
        raise TooLarge(f"a JSON object has more than {MAX_KEYS} keys")
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidArgument("not JSON: a key is there twice in one object")
    return found


_decoder = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_float=_fraction, parse_int=_int, parse_constant=_constant, strict=True
)


def parse(text: str) -> Any:
    """Parse one JSON value.  Raises InvalidArgument, or TooLarge when a limit is passed."""
    values = parse_sequence(text)
    if len(values) != 1:
        raise InvalidArgument("not JSON: one value is expected")
    return values[0]


def parse_sequence(text: str) -> list[Any]:
    """Parse JSON values that follow each other with blanks between.  Raises InvalidArgument, TooLarge."""
    _check_depth(text)
    values: list[Any] = []
    at, end = 0, len(text)
    while True:
        while at < end and text[at] in " \t\r\n":
            at += 1
        if at == end:
            return values
        if values and text[at - 1] not in " \t\r\n":
            raise InvalidArgument(f"not JSON: unexpected text at character {at + 1}")
        try:
            value, at = _decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise InvalidArgument(f"not JSON: {error.msg} at character {error.pos + 1}") from None
        except RecursionError:
            raise TooLarge(f"JSON is nested deeper than {MAX_DEPTH}") from None
        _check(value)
        values.append(value)


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for found in _STRUCTURE.finditer(text):
        first = text[found.start()]
        if first in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise TooLarge(f"JSON is nested deeper than {MAX_DEPTH}")
        elif first != '"':
            depth -= 1


def _check(value: Any) -> None:
    """Hold strings and arrays to their limits, and refuse halves of characters."""
    if isinstance(value, str):
        check_string(value)
    elif isinstance(value, list):
        if len(value) > MAX_ITEMS:
            raise TooLarge(f"a JSON array has more than {MAX_ITEMS} items")
        for item in value:
            _check(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            check_string(key)
            _check(item)


def check_string(text: str) -> None:
    """Refuse a string that is too long or holds half a character.  Raises InvalidArgument, TooLarge."""
    if len(text) > MAX_STRING:
        raise TooLarge(f"a string is longer than {MAX_STRING} characters")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidArgument("a string holds half of a character (a lone surrogate)") from None


_encoder = msgspec.json.Encoder(decimal_format="number")


def encode(value: Any) -> bytes:
    """Write builtins as compact ASCII JSON; Decimals become numbers in full."""
    data = _encoder.encode(value)
    if b"E" in data and (b"E-" in data or b"E+" in data):  # a tiny or huge Decimal, or just a text with these letters
        data = _encoder.encode(_in_full(value))
    if not data.isascii():
        data = _NOT_ASCII.sub(_escape, data.decode()).encode("ascii")
    return data


def _in_full(value: Any) -> Any:
    if isinstance(value, Decimal):
        return msgspec.Raw(format(value, "f").encode())
    if isinstance(value, dict):
        return {key: _in_full(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_in_full(item) for item in value]
    return value


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
