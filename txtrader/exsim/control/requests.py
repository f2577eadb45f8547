"""Requests, declared once: name, arguments with their kinds, what the answer holds, what it is for.

A method of a room of the control becomes a request by the decorator; the declaration checks what comes in, and the
reference in the docs is written from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

from txtrader.exsim.control.kinds import Kind
from txtrader.exsim.control.problems import ControlError

__all__ = [
    "REQUIRED",
    "Argument",
    "Property",
    "Request",
    "arg",
    "collect",
    "read_arguments",
    "read_property",
    "request",
]


class _Required(msgspec.Struct, frozen=True):
    pass


REQUIRED = _Required()


class Argument(msgspec.Struct, frozen=True):
    """One argument: absent it is `default`, REQUIRED must be there."""

    name: str
    kind: Kind
    default: Any = REQUIRED
    doc: str = ""

    @property
    def keyword(self) -> str:
        """The name as Python's handlers take it."""
        return f"{self.name}_" if self.name == "class" else self.name


class Property(msgspec.Struct, frozen=True):
    """One property of some objects: name, kind, what it is at first, unit, meaning.

    One that is `is_fixed` is given when the object is made, and stays.
    """

    name: str
    kind: Kind
    default: Any
    doc: str
    unit: str = ""
    is_fixed: bool = False


class Request(msgspec.Struct, frozen=True):
    """One request.  With `takes_more`, arguments that are not declared reach the handler as `more`."""

    name: str
    arguments: tuple[Argument, ...]
    result: str
    doc: str
    attribute: str
    takes_more: bool = False


def arg(name: str, kind: Kind, doc: str = "", *, default: Any = REQUIRED) -> Argument:
    """Declare an argument."""
    return Argument(name, kind, default, doc)


def request(*arguments: Argument, result: str = "-", takes_more: bool = False) -> Callable[[Any], Any]:
    """Make a method the handler of the request of its name; the docstring's first paragraph is the request's."""

    def declare(method: Any) -> Any:
        doc = " ".join((method.__doc__ or "").strip().split("\n\n")[0].split())
        method.declared = Request(method.__name__, arguments, result, doc, method.__name__, takes_more)
        return method

    return declare


def collect(rooms: Iterator[object] | list[object]) -> dict[str, tuple[Request, Callable[..., Any]]]:
    """Find the requests of some objects."""
    found: dict[str, tuple[Request, Callable[..., Any]]] = {}
    for room in rooms:
        for name in sorted(dir(type(room))):
            declared = getattr(getattr(type(room), name), "declared", None)
            if declared is not None:
                assert declared.name not in found, declared.name
                found[declared.name] = (declared, getattr(room, name))
    return found


def read_arguments(declared: Request, given: Mapping[str, Any]) -> dict[str, Any]:
    """Read a request's arguments.  Raises ControlError `invalid-argument` that names the one at fault."""
    read: dict[str, Any] = {}
    for argument in declared.arguments:
        if argument.name in given:
            read[argument.keyword] = read_value(argument.kind, given[argument.name], argument.name)
        elif argument.default is REQUIRED:
            raise ControlError("invalid-argument", f"{argument.name} is missing", argument.name)
        else:
            read[argument.keyword] = argument.default
    known = {argument.name for argument in declared.arguments}
    more = {name: value for name, value in given.items() if name not in known}
    if declared.takes_more:
        read["more"] = more
    elif more:
        name = next(iter(more))
        raise ControlError("invalid-argument", f"{declared.name} takes no {name}", name)
    return read


def read_value(kind: Kind, value: Any, field: str) -> Any:
    """Read a value of a kind.  Raises ControlError `invalid-argument`."""
    try:
        return kind.read(value)
    except ValueError as error:
        raise ControlError("invalid-argument", f"{field}: {error}", field) from None


def read_property(known: Mapping[str, Property], name: str, value: Any) -> Any:
    """Read a property's value.  Raises ControlError `invalid-argument` for an unknown one, too."""
    if name not in known:
        raise ControlError("invalid-argument", f"there is no property {name}; there are {', '.join(known)}", name)
    return read_value(known[name].kind, value, name)


def plain(value: Any) -> Any:
    """Return a property's value as JSON has it."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float):
        return format(Decimal(str(value)), "f")
    if isinstance(value, (tuple, list)):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return value
