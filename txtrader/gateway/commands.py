"""From a caller's words to a command: every argument parsed strictly, by the one table of operations.

Front ends hand over strings, ints, bools, Decimals (made from number tokens), None, lists and dicts; never floats.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from txtrader.errors import InvalidArgument, NotFound
from txtrader.model.event import DURABLE_CHANNELS
from txtrader.model.instrument import SecType
from txtrader.model.market import TickKind
from txtrader.model.numbers import parse_decimal, parse_integer, parse_quantity, parse_signed_quantity
from txtrader.model.operations import OPERATIONS, Argument, Operation
from txtrader.model.order import OrderStatus, OrderType, Side, TimeInForce
from txtrader.model.symbols import parse_symbol
from txtrader.model.times import parse_iso, parse_period

__all__ = ["OPERATIONS", "Argument", "Command", "Operation", "bind"]


class Command(msgspec.Struct, frozen=True):
    """An operation with its parsed arguments, ready for `Gateway.execute`; absent optional ones have their default."""

    operation: Operation
    arguments: Mapping[str, Any]


_WORDS: dict[str, tuple[re.Pattern[str], str]] = {
    "account": (re.compile(r"[A-Za-z0-9._\-]{1,64}", re.ASCII), "1 to 64 letters, digits, `.`, `_`, `-`"),
    "name": (re.compile(r"[A-Za-z0-9._\-]{1,32}", re.ASCII), "1 to 32 letters, digits, `.`, `_`, `-`"),
    "exchange": (re.compile(r"[A-Za-z0-9._\-]{1,32}", re.ASCII), "1 to 32 letters, digits, `.`, `_`, `-`"),
    "word": (re.compile(r"[A-Za-z0-9._\-]{1,64}", re.ASCII), "1 to 64 letters, digits, `.`, `_`, `-`"),
    "client_order_id": (re.compile(r"[\x21-\x7e]{1,64}"), "1 to 64 printable ASCII characters without blanks"),
    "id": (re.compile(r"[\x21-\x7e]{1,80}"), "an order id"),
    "text": (re.compile(r"[\x20-\x7e]{0,64}"), "at most 64 printable ASCII characters"),
    "currency": (re.compile(r"[A-Za-z]{3,5}", re.ASCII), "a currency such as USD"),
    "expiry": (re.compile(r"[0-9]{6}([0-9]{2})?", re.ASCII), "YYYYMM or YYYYMMDD"),
    "right": (re.compile(r"[CPcp]", re.ASCII), "C or P"),
    "bar_start": (re.compile(r"\.|-[1-9][0-9]{0,6}|[0-9T:Z+. \-]{8,35}", re.ASCII), "a time, `.` or -N"),
    "bar_end": (re.compile(r"\.|[0-9T:Z+. \-]{8,35}", re.ASCII), "a time, or `.` for now"),
}
_UPPER = frozenset({"exchange", "currency", "right"})


def _word(kind: str) -> Callable[[Any, str], str]:
    pattern, form = _WORDS[kind]

    def parse(value: Any, path: str) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise InvalidArgument(f"must be {form}", path=path)
        return value.upper() if kind in _UPPER else value

    return parse


def _boolean(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidArgument("must be true or false", path=path)
    return value


def _choice(
    words: type[TimeInForce | OrderType | Side | OrderStatus | SecType | TickKind],
) -> Callable[[Any, str], Any]:
    by_text = {word.value.lower(): word for word in words}
    names = ", ".join(word.value for word in words)

    def parse(value: Any, path: str) -> Any:
        found = by_text.get(value.lower()) if isinstance(value, str) else None
        if found is None:
            raise InvalidArgument(f"must be one of {names}", path=path)
        return found

    return parse


def _channel(value: Any, path: str) -> str:
    if value not in DURABLE_CHANNELS:
        raise InvalidArgument(f"must be one of {', '.join(DURABLE_CHANNELS)}", path=path)
    return str(value)


def _fields(value: Any, path: str) -> tuple[str, ...]:
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not 1 <= len(names) <= 100:
        raise InvalidArgument("must be a list of names, or one string with commas", path=path)
    return tuple(_word("word")(name.strip() if isinstance(name, str) else name, path) for name in names)


def _route(value: Any, path: str) -> dict[str, dict[str, Any] | None]:
    """Parse a name or {name: parameters}; parameters are flat words, checked again by the adapter."""
    if isinstance(value, str):
        return {_word("name")(value, path): None}
    if not isinstance(value, dict) or len(value) != 1:
        raise InvalidArgument("must be a name, or an object with exactly one name", path=path)
    ((name, parameters),) = value.items()
    name = _word("name")(name, path)
    if parameters is None:
        return {name: None}
    if not isinstance(parameters, dict) or len(parameters) > 100:
        raise InvalidArgument("the route's parameters must be an object", path=f"{path}.{name}")
    checked: dict[str, Any] = {}
    for key, item in parameters.items():
        where = f"{path}.{name}.{key}"
        _word("name")(key, where)
        checked[key] = item if isinstance(item, bool) else _parameter(item, where)
    return {name: checked}


def _parameter(item: Any, path: str) -> Any:
    return _word("text")(item, path) if isinstance(item, str) else parse_decimal(item, path)


def _price(value: Any, path: str) -> Any:
    return parse_decimal(value, path)


def _secret(value: Any, path: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value.encode()) <= 256 or re.search(r"[\0\r\n]", value):
        raise InvalidArgument("must be 1 to 256 bytes without NUL, CR, LF", path=path)
    return value


def _limit(value: Any, path: str) -> int:
    return parse_integer(value, path, low=1, high=1000)


_ORDER_FIELDS: dict[str, str] = {
    "symbol": "symbol",
    "side": "side",
    "quantity": "quantity",
    "type": "order_type",
    "limit_price": "price",
    "stop_price": "price",
    "trail_amount": "quantity",
    "trail_percent": "quantity",
    "limit_offset": "price",
    "tif": "tif",
    "good_till": "time",
    "extended_hours": "boolean",
    "account": "account",
    "route": "route",
    "client_order_id": "client_order_id",
    "tag": "name",
    "force": "boolean",
    "display_quantity": "quantity",
    "bracket": "bracket",
    "oco_group": "name",
    "parent": "id",
    "what_if": "boolean",
    "stage": "boolean",
}
_CHANGE_FIELDS: dict[str, str] = {
    "quantity": "quantity",
    "limit_price": "price",
    "stop_price": "price",
    "trail_amount": "quantity",
    "trail_percent": "quantity",
    "tif": "tif",
    "good_till": "time",
}
_BRACKET_FIELDS: dict[str, dict[str, str]] = {
    "take_profit": {"limit_price": "price"},
    "stop_loss": {
        "stop_price": "price",
        "limit_price": "price",
        "trail_amount": "quantity",
        "trail_percent": "quantity",
    },
}


def _object(value: Any, path: str, fields: Mapping[str, str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidArgument("must be an object", path=path or "order")
    parsed: dict[str, Any] = {}
    for name, item in value.items():
        where = f"{path}.{name}" if path else str(name)
        if name not in fields:
            raise InvalidArgument("unknown field", path=where if isinstance(name, str) and name.isprintable() else path)
        if item is not None:
            parsed[name] = KINDS[fields[name]](item, where)
    return parsed


def _order(value: Any, path: str) -> dict[str, Any]:
    # The fields are arguments in their own right on other front ends: their paths carry no prefix.
    parsed = _object(value, "", _ORDER_FIELDS)
    for name in ("symbol", "side", "quantity", "type"):
        if name not in parsed:
            raise InvalidArgument("missing", path=name)
    return parsed


def _changes(value: Any, path: str) -> dict[str, Any]:
    parsed = _object(value, "", _CHANGE_FIELDS)
    if not parsed:
        raise InvalidArgument("names no change", path=path)
    return parsed


def _bracket(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not value or not set(value) <= set(_BRACKET_FIELDS):
        raise InvalidArgument("must hold take_profit, stop_loss, or both", path=path)
    parsed = {name: _object(item, f"{path}.{name}", _BRACKET_FIELDS[name]) for name, item in value.items()}
    if "take_profit" in parsed and "limit_price" not in parsed["take_profit"]:
        raise InvalidArgument("missing", path=f"{path}.take_profit.limit_price")
    if "stop_loss" in parsed:
        given = set(parsed["stop_loss"]) - {"limit_price"}
        if len(given) != 1 or ("limit_price" in parsed["stop_loss"] and given != {"stop_price"}):
            raise InvalidArgument(
                "must hold stop_price (and limit_price), trail_amount or trail_percent", path=f"{path}.stop_loss"
            )
    return parsed


KINDS: dict[str, Callable[[Any, str], Any]] = {
    **{kind: _word(kind) for kind in _WORDS},
    "symbol": parse_symbol,
    "period": parse_period,
    "price": _price,
    "quantity": parse_quantity,
    "signed_quantity": parse_signed_quantity,
    "boolean": _boolean,
    "time": parse_iso,
    "tif": _choice(TimeInForce),
    "side": _choice(Side),
    "order_type": _choice(OrderType),
    "status": _choice(OrderStatus),
    "sectype": _choice(SecType),
    "ticks": _choice(TickKind),
    "channel": _channel,
    "fields": _fields,
    "route": _route,
    "integer": parse_integer,
    "limit": _limit,
    "secret": _secret,
    "order": _order,
    "changes": _changes,
    "bracket": _bracket,
}
"""The parser of each kind: (value, path) to the parsed value, or InvalidArgument."""

# A route of null clears the default; elsewhere None is the same as absent.
_NULLABLE = frozenset({("set_order_route", "route")})


def bind(name: str, positional: Sequence[Any] = (), named: Mapping[str, Any] | None = None) -> Command:
    """Parse a call strictly.

    A dict in the place after the last positional argument that was given is the options (it may name arguments,
    too).  An order operation whose one argument is an object takes the object's fields as named arguments as well.
    Raises NotFound for an unknown operation, InvalidArgument with `path` for the rest.
    """
    operation = OPERATIONS.get(name)
    if operation is None:
        raise NotFound("no such operation", path="operation")
    given: dict[str, Any] = dict(named or {})
    values = list(positional)
    if values and isinstance(values[-1], dict) and not _takes_object(operation, len(values) - 1):
        for key, value in values.pop().items():
            if key in given:
                raise InvalidArgument("given twice", path=str(key)[:64])
            given[key] = value
    if len(values) > len(operation.arguments):
        raise InvalidArgument(f"usage: {operation.usage}", reason="usage")
    for argument, value in zip(operation.arguments, values, strict=False):
        if argument.name in given:
            raise InvalidArgument("given twice", path=argument.name)
        given[argument.name] = value
    if name == "submit_order" and "order" not in given:
        given = {"order": given}
    parsed: dict[str, Any] = {}
    for argument in operation.parameters:
        value = given.pop(argument.name, None)
        if value is None and argument.required and (name, argument.name) not in _NULLABLE:
            raise InvalidArgument(f"missing; usage: {operation.usage}", path=argument.name, reason="usage")
        if value is None:
            value = argument.default
        parsed[argument.name] = None if value is None else KINDS[argument.kind](value, argument.name)
    if given:
        unknown = next(iter(given))
        shown = unknown[:64] if isinstance(unknown, str) and unknown.isascii() and unknown.isprintable() else "?"
        raise InvalidArgument("unknown argument", path=shown)
    return Command(operation, parsed)


def _takes_object(operation: Operation, index: int) -> bool:
    """Tell whether the positional argument at `index` is itself an object, and so no options."""
    return index < len(operation.arguments) and operation.arguments[index].kind in ("order", "changes", "route")
