"""Kinds of arguments and properties: how each is read from JSON, and shown in it.

A kind is declared once with an argument or a property; checks, help and the reference follow from it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

__all__ = [
    "ANYTHING",
    "BYTES",
    "DECIMAL",
    "FLAG",
    "INSTANT",
    "MAPPING",
    "NAME",
    "PORT",
    "POSITIVE",
    "RECORDS",
    "SECONDS",
    "TEXT",
    "WHOLE",
    "WORDS",
    "Kind",
    "choice",
    "is_name",
    "maybe",
]

_NAME = re.compile(r"[A-Za-z0-9._:\-]{1,64}")
_LONGEST_TEXT = 4096
_LARGEST = Decimal(10) ** 15
_DIGITS = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")


class Kind(msgspec.Struct, frozen=True):
    """`words` say what is taken; `read` turns JSON into the value, or raises ValueError with a line for a person."""

    words: str
    read: Callable[[Any], Any]


def is_name(text: str) -> bool:
    """Tell whether a text may be a name."""
    return _NAME.fullmatch(text) is not None


def _name(value: Any) -> str:
    if not isinstance(value, str) or not is_name(value):
        raise ValueError("a name has 1 to 64 characters of letters, digits and . _ - :")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise ValueError(f"a text of at most {_LONGEST_TEXT} characters is expected")
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0 or value > _LARGEST:
        raise ValueError("a whole number from 0 on is expected")
    return value


def _instant(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise ValueError("an instant in nanoseconds UTC is expected")
    return value


def _port(value: Any) -> int:
    if _whole(value) > 65535:
        raise ValueError("a port is 0 to 65535")
    return int(value)


def _decimal(value: Any) -> Decimal:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise ValueError("a number, or a decimal string, is expected")
    found = Decimal(value)
    if abs(found) > _LARGEST:
        raise ValueError(f"a number of at most {_LARGEST:f} is expected")
    return found


def _positive(value: Any) -> Decimal:
    found = _decimal(value)
    if found <= 0:
        raise ValueError("a number above zero is expected")
    return found


def _seconds(value: Any) -> float:
    found = _decimal(value)
    if found < 0 or found > 10**9:
        raise ValueError("a duration in seconds, from 0 on, is expected")
    return float(found)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false is expected")
    return value


def _bytes(value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise ValueError("bytes in base64 are expected") from None


def _words(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) and len(word) <= _LONGEST_TEXT for word in value):
        raise ValueError("a list of texts is expected")
    return tuple(value)


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("an object is expected")
    return value


def _records(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise ValueError("a list of objects is expected")
    return value


NAME = Kind("name", _name)
TEXT = Kind("text", _text)
WHOLE = Kind("whole number", _whole)
INSTANT = Kind("instant, ns UTC", _instant)
PORT = Kind("port", _port)
DECIMAL = Kind("number", _decimal)
POSITIVE = Kind("number above 0", _positive)
SECONDS = Kind("seconds", _seconds)
FLAG = Kind("true or false", _flag)
BYTES = Kind("bytes in base64", _bytes)
WORDS = Kind("list of texts", _words)
MAPPING = Kind("object", _mapping)
RECORDS = Kind("list of objects", _records)
ANYTHING = Kind("anything", lambda value: value)


def choice(words: Iterable[str] | Mapping[str, Any]) -> Kind:
    """Make a kind that takes one of some words; of a mapping the value is what it means."""
    meanings = dict(words) if isinstance(words, Mapping) else {word: word for word in words}
    shown = ", ".join(meanings)

    def read(value: Any) -> Any:
        if not isinstance(value, str) or value not in meanings:
            raise ValueError(f"one of {shown} is expected")
        return meanings[value]

    return Kind(shown, read)


def maybe(kind: Kind) -> Kind:
    """Make a kind that takes null as well."""
    return Kind(f"{kind.words}, or null", lambda value: None if value is None else kind.read(value))
