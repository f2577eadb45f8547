"""How the text of a setting becomes a value: one strict parser for each kind, errors that say what to write.

A parser takes the text (never empty, blanks at both ends already gone) and returns the value, or raises ValueError
with a reason that reads well after "NAME: ".  Numbers follow the ASCII grammar of the API: no `+`, `_`, exponent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

__all__ = [
    "Parse",
    "account_choice",
    "boolean",
    "choice",
    "clock_time",
    "duration",
    "fix_fields",
    "host",
    "integer",
    "integers",
    "json_object",
    "number",
    "password",
    "path",
    "port",
    "route",
    "size",
    "text",
    "timezone",
    "user_name",
    "words",
]

T = TypeVar("T")
Parse = Callable[[str], T]

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})", re.ASCII)
_NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,9})?) ?([A-Za-z]*)", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)
_LEVEL = re.compile(r"series:[0-9]{1,9}/[A-Za-z0-9_.-]{1,32}|brokerage:[0-9]{1,9}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9:._%-]{1,253}", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_FIX_OURS = frozenset({1, 8, 9, 10, 11, 34, 35, 37, 38, 40, 41, 43, 44, 49, 52, 54, 55, 56, 60, 97, 99, 122})
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def boolean(text: str) -> bool:
    """Read 0, 1, true or false."""
    try:
        return {"0": False, "false": False, "1": True, "true": True}[text]
    except KeyError:
        raise ValueError("write 0, 1, true or false") from None


def integer(low: int, high: int) -> Parse[int]:
    """Read a whole number within the limits."""

    def parse(text: str) -> int:
        if not _INTEGER.fullmatch(text) or text == "-0":
            raise ValueError(f"write a whole number from {low} to {high}")
        value = int(text)
        if not low <= value <= high:
            raise ValueError(f"must be from {low} to {high}")
        return value

    return parse


def port(text: str) -> int | None:
    """Read a port: 1 to 65535, 0 for a free one that the system chooses, or `off` (None)."""
    if text == "off":
        return None
    try:
        return integer(0, 65535)(text)
    except ValueError:
        raise ValueError("write a port from 1 to 65535, 0 for any free one, or off") from None


def _with_unit(text: str, units: dict[str, float], plain: str, what: str) -> float:
    match = _NUMBER.fullmatch(text)
    unit = (match[2] or plain) if match else ""
    if match is None or unit not in units:
        raise ValueError(f"write {what}: a number, alone ({plain}) or with one of {', '.join(units)}")
    return float(match[1]) * units[unit]


def duration(low: float, high: float, unit: str = "s") -> Parse[float]:
    """Read a duration in seconds; a plain number counts in `unit`, and ms, s, min, h, d may follow it."""

    def parse(text: str) -> float:
        value = _with_unit(text, _SECONDS, unit, "a duration")
        if not low <= value <= high:
            raise ValueError(f"must be from {low:g} to {high:g} s")
        return value

    return parse


def size(low: int, high: int) -> Parse[int]:
    """Read a size in bytes; B, KiB, MiB, GiB may follow the number."""

    def parse(text: str) -> int:
        value = _with_unit(text, {name: float(factor) for name, factor in _BYTES.items()}, "B", "a size")
        if value != int(value) or not low <= value <= high:
            raise ValueError(f"must be a whole number of bytes from {low} to {high}")
        return int(value)

    return parse


def number(low: float, high: float) -> Parse[float]:
    """Read a plain number within the limits (factors; never a price)."""

    def parse(text: str) -> float:
        match = _NUMBER.fullmatch(text)
        if match is None or match[2]:
            raise ValueError(f"write a number from {low:g} to {high:g}")
        value = float(match[1])
        if not low <= value <= high:
            raise ValueError(f"must be from {low:g} to {high:g}")
        return value

    return parse


def choice(*allowed: str) -> Parse[str]:
    """Read one of some words."""

    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"write one of {', '.join(allowed)}")
        return text

    return parse


def words(*allowed: str) -> Parse[tuple[str, ...]]:
    """Read words separated by commas, in their sequence; from `allowed` where that is given."""

    def parse(text: str) -> tuple[str, ...]:
        found = tuple(word.strip() for word in text.split(","))
        for word in found:
            if allowed and word not in allowed:
                raise ValueError(f"{word!r} is none of {', '.join(allowed)}")
            if not word:
                raise ValueError("an empty word between commas")
        if len(set(found)) != len(found):
            raise ValueError("a word stands twice")
        return found

    return parse


def integers(text: str) -> frozenset[int]:
    """Read whole numbers separated by commas."""
    parse = integer(0, 999_999)
    return frozenset(parse(part.strip()) for part in text.split(","))


def text(text: str) -> str:
    """Take a line of printable text as it is."""
    if not text.isprintable():
        raise ValueError("must be printable")
    return text


def password(text: str) -> str:
    """Take a password: 1 to 256 bytes of UTF-8, no NUL, CR or LF."""
    if len(text.encode("utf-8", "surrogateescape")) > 256 or any(c in text for c in "\0\r\n"):
        raise ValueError("must be 1 to 256 bytes, without NUL, CR or LF")
    return text


def user_name(text: str) -> str:
    """Take a user name."""
    if not re.fullmatch(r"[a-z][a-z0-9_.-]{0,31}", text, re.ASCII):
        raise ValueError("write 1 to 32 of a-z 0-9 _ . - beginning with a letter")
    return text


def word(text: str) -> str:
    """Take one word of letters, digits and `_ . -`, at most 64 of them."""
    if len(text) > 64 or not _WORD.fullmatch(text):
        raise ValueError("write letters, digits and _ . - only, at most 64")
    return text


def account_choice(text: str) -> tuple[str, ...]:
    """Read account names separated by commas, or `series:BROKERAGE/NUMBER`, or `brokerage:ID`."""
    if text.startswith(("series:", "brokerage:")):
        if not _LEVEL.fullmatch(text):
            raise ValueError("write series:BROKERAGE/NUMBER or brokerage:ID")
        return (text,)
    found = words()(text)
    for name in found:
        word(name)
    return found


def fix_fields(text: str) -> tuple[tuple[int, str], ...]:
    """Read FIX fields, `TAG=VALUE` separated by commas; those that make an order and its message are the gateway's."""
    found = []
    for part in text.split(","):
        tag, mark, value = part.strip().partition("=")
        if not mark or not re.fullmatch(r"[1-9][0-9]{0,5}", tag, re.ASCII) or not value or not value.isprintable():
            raise ValueError("write TAG=VALUE, several with commas")
        if int(tag) in _FIX_OURS:
            raise ValueError(f"tag {tag} is the gateway's to write")
        found.append((int(tag), value))
    if len({tag for tag, _ in found}) != len(found):
        raise ValueError("a tag stands twice")
    return tuple(found)


def path(text: str) -> str:
    """Take a path; `~` is not expanded, since the daemon's home is nobody's."""
    if "\0" in text or not text.isprintable():
        raise ValueError("is not a path")
    return text


def host(text: str) -> str:
    """Take an address or a host name."""
    if not _HOST.fullmatch(text):
        raise ValueError("is not an address or host name")
    return text


def timezone(text: str) -> str:
    """Take the name of a time zone that this machine knows."""
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # unknown name, a path outside the database, a folder
        raise ValueError("is no time zone; write one such as America/New_York or UTC") from None
    return text


def clock_time(text: str) -> str:
    """Take a time of day, HH:MM."""
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text, re.ASCII):
        raise ValueError("write a time of day as HH:MM")
    return text


def route(text: str) -> dict[str, Any]:
    """Read a route: the name of an exchange or algorithm, or a JSON object `{name: {parameter: value}}`."""
    found: dict[str, Any] = json_object(text) if text.startswith("{") else {text: None}
    for name, parameters in found.items():
        word(name)
        if parameters is not None and not isinstance(parameters, dict):
            raise ValueError("the parameters of a route are a JSON object")
    if len(found) != 1:
        raise ValueError("a route has exactly one name")
    return found


def json_object(text: str) -> dict[str, Any]:
    """Read one JSON object."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("must be a JSON object")
    return value
