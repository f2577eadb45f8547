"""From a Python call to a call of the API: signatures made from the table of operations, both ages of positions.

`market_order(symbol, quantity)` and `market_order(account, route, symbol, quantity)` are told apart by their number.
Numbers leave as text of the API's grammar, so that no digit is lost on the way and `1e-05` never appears.
"""

from __future__ import annotations

import datetime as dt
import inspect
import math
import numbers
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from txtrader.errors import InvalidArgument
from txtrader.model.numbers import plain_text
from txtrader.model.operations import OPERATIONS, Argument, Operation

__all__ = ["Invocation", "is_order", "make_invocation", "signature_of"]

_DECIMAL_KINDS = frozenset({"price", "quantity", "signed_quantity"})
_OBJECT_KINDS = frozenset({"order", "changes"})  # their numbers are prices and quantities, but for none
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")  # what XML cannot hold as it is
_INT32 = range(-(2**31), 2**31)


class Invocation(NamedTuple):
    """An operation and its arguments by name, rendered for the wire; None is null and absent ones are missing."""

    operation: Operation
    arguments: dict[str, Any]

    def positional(self) -> tuple[list[Any], dict[str, Any]]:
        """Return the required arguments in sequence, and the others as the options that follow."""
        rest = dict(self.arguments)
        required = [rest.pop(argument.name) for argument in self.operation.arguments if argument.required]
        return required, rest


def is_order(operation: Operation) -> bool:
    """Tell whether the operation makes an order, and so takes a client_order_id."""
    return operation.name == "submit_order" or any(o.name == "client_order_id" for o in operation.options)


def signature_of(operation: Operation) -> inspect.Signature:
    """Return the signature that the method of this operation shows."""
    if operation.name == "submit_order":
        return inspect.Signature(
            [
                inspect.Parameter("order", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None),
                inspect.Parameter("fields", inspect.Parameter.VAR_KEYWORD),
            ]
        )
    shown = [_parameter(a, inspect.Parameter.POSITIONAL_OR_KEYWORD) for a in operation.arguments]
    shown += [_parameter(o, inspect.Parameter.KEYWORD_ONLY) for o in operation.options]
    return inspect.Signature(shown)


def make_invocation(operation: Operation, args: Sequence[Any], keywords: Mapping[str, Any]) -> Invocation:
    """Bind a Python call.  Raises TypeError for wrong names or number, InvalidArgument for what cannot be written."""
    if operation.name == "submit_order":
        return Invocation(operation, {"order": _order_of(args, keywords)})
    values, named = _both_ages(operation, args, keywords)
    try:
        bound = signature_of(operation).bind(*values, **named)
    except TypeError as error:
        raise TypeError(f"{operation.name}: {error}; usage: {_usage(operation)}") from None
    kinds = {a.name: a for a in operation.parameters}
    rendered = {
        name: _render(value, kinds[name].kind, name)
        for name, value in bound.arguments.items()
        if value is not None or kinds[name].required
    }
    return Invocation(operation, rendered)


def _both_ages(
    operation: Operation, args: Sequence[Any], keywords: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    values, named = list(args), dict(keywords)
    if not is_order(operation):
        return values, named
    count = len(operation.arguments)
    if len(values) in (count + 1, count + 3) and isinstance(values[-1], Mapping):
        options = values.pop()  # the form that XMLRPC itself has
        if twice := set(options) & set(named):
            raise TypeError(f"{operation.name}: {sorted(twice)[0]} is given twice")
        named |= options
    if len(values) == count + 2:
        at = 1 if operation.arguments[0].name == "tag" else 0
        account, route = values[at : at + 2]
        del values[at : at + 2]
        for name, value in (("account", account), ("route", route)):
            if value is None or value == "":
                continue
            if name in named:
                raise TypeError(f"{operation.name}: {name} is given twice")
            named[name] = value
    return values, named


def _order_of(args: Sequence[Any], keywords: Mapping[str, Any]) -> dict[str, Any]:
    fields = dict(keywords)
    given = [*args] or [fields.pop("order", None)]
    if len(given) > 1:
        raise TypeError("submit_order: takes one order, or its fields as keywords")
    order = given[0]
    if order is not None:
        if not isinstance(order, Mapping):
            raise TypeError("submit_order: the order must be a mapping")
        if twice := set(order) & set(fields):
            raise TypeError(f"submit_order: {sorted(twice)[0]} is given twice")
        fields = {**order, **fields}
    rendered = _render(fields, "order", "order")
    return {name: value for name, value in rendered.items() if value is not None}


def _parameter(argument: Argument, kind: Any) -> inspect.Parameter:
    default = inspect.Parameter.empty if argument.required else argument.default
    return inspect.Parameter(argument.name, kind, default=default)


def _usage(operation: Operation) -> str:
    usage = operation.usage
    if is_order(operation):
        words = usage.split()
        at = 2 if words[1] == "tag" else 1
        usage += " or " + " ".join([*words[:at], "account", "route", *words[at:]])
    return usage


def _render(value: Any, kind: str, path: str) -> Any:
    """Write a value with types that every transport has: None, bool, 32-bit int, float, str, list, dict."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        if _UNPRINTABLE.search(value):
            raise InvalidArgument("a control character cannot be sent", path=path)
        return str(value)  # an enumeration's word, too
    if isinstance(value, Decimal):
        return _decimal_text(value, path)
    if isinstance(value, numbers.Integral):
        whole = int(value)
        return whole if whole in _INT32 else str(whole)
    if isinstance(value, numbers.Real):
        return _float(float(value), kind, path)
    if isinstance(value, dt.date):
        return _time(value, kind, path)
    if isinstance(value, Mapping):
        inner = kind if kind in _OBJECT_KINDS else ""
        return {_key(name, path): _render(item, inner, f"{path}.{name}") for name, item in value.items()}
    if isinstance(value, (Sequence, set, frozenset)) and not isinstance(value, (bytes, bytearray)):
        return [_render(item, kind, path) for item in value]
    raise InvalidArgument(f"a {type(value).__name__} cannot be sent", path=path)


def _key(name: Any, path: str) -> str:
    if not isinstance(name, str) or _UNPRINTABLE.search(name):
        raise InvalidArgument("names must be text", path=path)
    return name


def _decimal_text(value: Decimal, path: str) -> str:
    if not value.is_finite():
        raise InvalidArgument("not a number", path=path)
    if abs(value.adjusted()) > 40:
        raise InvalidArgument("too many digits", path=path)
    return plain_text(value)


def _float(value: float, kind: str, path: str) -> Any:
    if not math.isfinite(value):
        raise InvalidArgument("not a number", path=path)
    text = float.__repr__(value)
    if kind in _DECIMAL_KINDS or kind in _OBJECT_KINDS or "e" in text:
        return _decimal_text(Decimal(text), path)
    return value


def _time(value: dt.date, kind: str, path: str) -> str:
    if not isinstance(value, dt.datetime):
        if kind == "time":
            raise InvalidArgument("give a datetime with its time zone, or ISO text", path=path)
        return value.isoformat()
    if value.tzinfo is not None:
        return value.astimezone(dt.UTC).replace(tzinfo=None).isoformat() + "Z"
    if kind == "time" or kind in _OBJECT_KINDS:
        raise InvalidArgument("give the datetime a time zone", path=path)
    return value.replace(microsecond=0).isoformat(" ")  # bars: in the API's time zone


assert all(not o.required for operation in OPERATIONS.values() for o in operation.options), "options are optional"
