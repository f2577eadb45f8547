"""The one grammar of numbers (ASCII digits, no float anywhere), and how a Decimal is written.

Everything that takes a number from outside goes through here: `Decimal()` and `int()` alone accept blanks,
underscores, exponents, NaN and the digits of other scripts.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from txtrader.errors import InvalidArgument

__all__ = [
    "MAX_INTEGER",
    "MAX_QUANTITY",
    "check_step",
    "parse_decimal",
    "parse_integer",
    "parse_quantity",
    "parse_signed_quantity",
    "plain",
    "plain_text",
]

_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,11})(\.[0-9]{1,9})?", re.ASCII)
_INTEGER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
MAX_INTEGER = 2**63 - 1
MAX_QUANTITY = Decimal(999999999)
_MAX_DIGITS = 18


def parse_decimal(value: object, path: str) -> Decimal:
    """Parse a decimal: text of the grammar, an int, or a Decimal that a front end made from a number token.

    Raises InvalidArgument with `path`.  At most 12 digits before and 9 after the point, 18 in all; no `+`, blanks,
    exponent, leading zeros, `.5`, `5.`, negative zero.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise InvalidArgument("not a decimal number", path=path)
    if isinstance(value, str):
        text = value
    elif isinstance(value, Decimal):
        if not value.is_finite():
            raise InvalidArgument("not a decimal number", path=path)
        text = str(value)
        if "E" in text:  # made by arithmetic, not by a token: still held to the same size
            text = format(value, "f") if -40 < value.adjusted() < 40 else text
    else:
        if abs(value) > MAX_INTEGER:
            raise InvalidArgument("too many digits", path=path)
        text = str(value)
    if len(text) > 40 or not _DECIMAL.fullmatch(text):
        raise InvalidArgument("not a decimal number", path=path)
    if sum(character.isdigit() for character in text) > _MAX_DIGITS:
        raise InvalidArgument(f"more than {_MAX_DIGITS} digits", path=path)
    number = Decimal(text)
    if text.startswith("-") and not number:
        raise InvalidArgument("negative zero is not a number here", path=path)
    return number


def parse_quantity(value: object, path: str) -> Decimal:
    """Parse a quantity above zero."""
    number = parse_decimal(value, path)
    if number <= 0:
        raise InvalidArgument("must be greater than zero", path=path)
    if number > MAX_QUANTITY:
        raise InvalidArgument(f"greater than {MAX_QUANTITY}", path=path)
    return number


def parse_signed_quantity(value: object, path: str) -> Decimal:
    """Parse a quantity whose sign is the side; zero is neither."""
    number = parse_decimal(value, path)
    if not number:
        raise InvalidArgument("zero neither buys nor sells", path=path)
    if abs(number) > MAX_QUANTITY:
        raise InvalidArgument(f"greater than {MAX_QUANTITY}", path=path)
    return number


def parse_integer(value: object, path: str, *, low: int = 0, high: int = MAX_INTEGER) -> int:
    """Parse a whole number from `low` to `high`; booleans are no numbers."""
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise InvalidArgument("not a whole number", path=path)
    if isinstance(value, int):
        number = value
    else:
        text = value if isinstance(value, str) else str(value)
        if not _INTEGER.fullmatch(text):
            raise InvalidArgument("not a whole number", path=path)
        number = int(text)
    if not low <= number <= high:
        raise InvalidArgument(f"not between {low} and {high}", path=path)
    return number


def check_step(value: Decimal, step: Decimal | None, path: str, what: str) -> None:
    """Refuse a value that is no multiple of `step`; `what` names the step for the caller (tick, quantity step)."""
    if step is not None and step > 0 and value % step:
        raise InvalidArgument(
            f"{plain_text(value)} is not a multiple of the {what} {plain_text(step)}",
            path=path,
            reason="off-step" if what == "quantity step" else "off-tick",
        )


@lru_cache(maxsize=65_536)
def plain(value: Decimal) -> Decimal:
    """Return the same number without exponent, trailing zeros or negative zero: how every surface shows it.

    Remembered, because a market quotes the same few prices and sizes over and over; equal numbers, however they are
    written, have one answer.
    """
    if not value:
        return _ZERO
    _, digits, exponent = value.as_tuple()
    if exponent == 0 or (isinstance(exponent, int) and exponent < 0 and digits[-1]):
        return value
    reduced = value.normalize()
    return reduced.quantize(_ONE) if reduced.as_tuple().exponent > 0 else reduced  # type: ignore[operator]  # finite


def plain_text(value: Decimal) -> str:
    """Write the number as the grammar has it."""
    return format(plain(value), "f")


_ZERO = Decimal(0)
_ONE = Decimal(1)
