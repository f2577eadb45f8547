"""Writing XMLRPC answers: exact decimals, prices as doubles, whole sizes as ints, unknown as nil."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from txtrader.frontends.shapes import PRICE_KEYS
from txtrader.frontends.text import printable
from txtrader.model.numbers import plain_text

__all__ = ["Price", "write_fault", "write_response"]

_LOW, _HIGH = -(2**31), 2**31 - 1  # what an <int> may hold

_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Price(Decimal):
    """A decimal that is a double even when whole, where no key says so."""


def _text(value: str) -> str:
    if "&" in value or "<" in value or ">" in value:
        value = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # What XML cannot hold, and other control characters, are shown as an escape; nothing else is lost.
    return value if value.isprintable() else _UNFIT.sub(lambda found: printable(found[0]), value)


def _int(value: int) -> str:
    return f"<int>{value}</int>" if _LOW <= value <= _HIGH else f"<double>{value}</double>"


def _decimal(value: Decimal, key: str) -> str:
    is_price = key in PRICE_KEYS or isinstance(value, Price)
    if not is_price and _LOW <= value <= _HIGH and value == value.to_integral_value():
        return f"<int>{int(value)}</int>"
    return f"<double>{plain_text(value)}</double>"


def _write(value: Any, key: str, out: Callable[[str], None]) -> None:
    out("<value>")
    if isinstance(value, str):
        out(f"<string>{_text(value)}</string>")
    elif value is None:
        out("<nil/>")
    elif isinstance(value, bool):
        out("<boolean>1</boolean>" if value else "<boolean>0</boolean>")
    elif isinstance(value, int):
        out(_int(value))
    elif isinstance(value, Decimal):
        out(_decimal(value, key))
    elif isinstance(value, float):
        out(f"<double>{value!r}</double>")  # only of the 2015 forms, which are floats by their nature
    elif isinstance(value, dict):
        out("<struct>")
        for name, item in value.items():
            out(f"<member><name>{_text(str(name))}</name>")
            _write(item, name, out)
            out("</member>")
        out("</struct>")
    elif isinstance(value, (list, tuple)):
        out("<array><data>")
        for item in value:
            _write(item, key, out)
        out("</data></array>")
    else:
        raise TypeError(f"a result holds a {type(value).__name__}")
    out("</value>")


def write_response(value: Any) -> bytes:
    """Write the answer to a call; builtins and Decimals, shared by all front ends."""
    pieces = ["<?xml version='1.0'?>\n<methodResponse><params><param>"]
    _write(value, "", pieces.append)
    pieces.append("</param></params></methodResponse>\n")
    return "".join(pieces).encode()


def write_fault(number: int, text: str) -> bytes:
    """Write a fault."""
    pieces = ["<?xml version='1.0'?>\n<methodResponse><fault>"]
    _write({"faultCode": number, "faultString": text}, "", pieces.append)
    pieces.append("</fault></methodResponse>\n")
    return "".join(pieces).encode()
