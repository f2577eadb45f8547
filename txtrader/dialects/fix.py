"""FIX words and ours: sides, instants, numbers, kinds of instrument; both directions of each."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from txtrader.model.instrument import SecType
from txtrader.model.order import Side

__all__ = [
    "Unsupported",
    "instant_from_wire",
    "instant_to_wire",
    "number_to_wire",
    "sectype_of",
    "security_type",
    "side_of",
    "side_to_wire",
]

SECOND = 1_000_000_000

_SIDES = {"1": Side.BUY, "2": Side.SELL, "5": Side.SELLSHORT, "6": Side.SELLSHORT}
_SIDE_WORDS = {Side.BUY: "1", Side.BUYTOCOVER: "1", Side.SELL: "2", Side.SELLSHORT: "5"}
_SECURITY_TYPES = {
    SecType.STOCK: "CS",
    SecType.FUTURE: "FUT",
    SecType.OPTION: "OPT",
    SecType.FUTURE_OPTION: "OPT",
    SecType.CASH: "FOR",
    SecType.INDEX: "NONE",
}
_SECTYPES = {
    "CS": SecType.STOCK,
    "PS": SecType.STOCK,
    "FUT": SecType.FUTURE,
    "OPT": SecType.OPTION,
    "FOR": SecType.CASH,
    "FXSPOT": SecType.CASH,
}


class Unsupported(Exception):
    """A message asks for something that has no word of ours; `tag` is to blame."""

    def __init__(self, tag: int, text: str) -> None:
        super().__init__(text)
        self.tag = tag
        self.text = text


def side_of(word: str) -> Side | None:
    """Read a side."""
    return _SIDES.get(word)


def side_to_wire(side: Side) -> str:
    """Write a side."""
    return _SIDE_WORDS[side]


def security_type(sectype: SecType) -> str | None:
    """Write a kind of instrument, None where FIX has no word of its own."""
    return _SECURITY_TYPES.get(sectype)


def sectype_of(word: str) -> SecType | None:
    """Read a kind of instrument."""
    return _SECTYPES.get(word)


def number_to_wire(value: Decimal) -> str:
    """Write a number without an exponent, and without zeros that say nothing."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") or "0" if "." in text else text


def instant_to_wire(ns: int) -> str:
    """Write an instant (integer nanoseconds UTC) to the millisecond."""
    second, rest = divmod(ns, SECOND)
    return f"{datetime.fromtimestamp(second, UTC).strftime('%Y%m%d-%H:%M:%S')}.{rest // 1_000_000:03d}"


def instant_from_wire(text: str) -> int:
    """Read a time stamp that the dictionary has found sound; a leap second counts as the one before."""
    text, _, fraction = text.partition(".")
    second = datetime.strptime(text.replace(":60", ":59"), "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
    return int(second.timestamp()) * SECOND + int(fraction[:9].ljust(9, "0"))
