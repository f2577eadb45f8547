"""Layouts: the fields of a message in order, as data; `codec` compiles them into a reader and a writer per version.

A layout is a sequence of parts.  A string part lists plain fields, `name:kind`, each optionally with the versions that
have it (`duration:i>=158`, `faProfile:s<177`, `sizeMinTick:d>=163<164`); `#6` is a literal field (a message version),
`#8<164` one of some versions only.  The other parts are the nodes below.  Kinds are those of `values.KINDS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from txtrader.wire.tws.values import KINDS

__all__ = [
    "Choice",
    "CountedOptions",
    "Field",
    "Flagged",
    "Literal",
    "Many",
    "Node",
    "Scalars",
    "Span",
    "When",
    "equals",
    "is_infinite",
    "is_positive",
    "is_set",
    "parts",
]

ALWAYS = 1 << 30
Test = Callable[[Mapping[str, Any]], bool]


class Field(msgspec.Struct, frozen=True):
    """One named field, on the wire at versions `since` <= v < `until`."""

    name: str
    kind: str
    since: int = 0
    until: int = ALWAYS


class Literal(msgspec.Struct, frozen=True):
    """A field of fixed text without meaning (a message version); whatever stands there is skipped when reading."""

    text: str
    since: int = 0
    until: int = ALWAYS


class Span(msgspec.Struct, frozen=True):
    """Parts that are on the wire at versions `since` <= v < `until` only."""

    body: tuple[Node, ...]
    since: int = 0
    until: int = ALWAYS


class When(msgspec.Struct, frozen=True):
    """Parts that follow only when the fields before them say so."""

    test: Test
    body: tuple[Node, ...]


class Many(msgspec.Struct, frozen=True):
    """A count and that many groups: a list of dicts."""

    name: str
    body: tuple[Node, ...]


class Scalars(msgspec.Struct, frozen=True):
    """A count and that many single fields: a list of values, at versions `since` <= v < `until`."""

    name: str
    kind: str
    since: int = 0
    until: int = ALWAYS


class Flagged(msgspec.Struct, frozen=True):
    """A flag and, when it is set, a group: a dict, or None."""

    name: str
    body: tuple[Node, ...]


class Choice(msgspec.Struct, frozen=True):
    """Parts chosen by the value of a field before them; any other value is an error."""

    name: str
    cases: dict[Any, tuple[Node, ...]]


class CountedOptions(msgspec.Struct, frozen=True):
    """Options in the last field, which some clients precede by a count and some do not."""

    name: str


Node = Field | Literal | Span | When | Many | Scalars | Flagged | Choice | CountedOptions

_PLAIN = re.compile(
    r"(?:#(?P<literal>\w+)|(?P<name>\w+):(?P<kind>\w))(?:>=(?P<since>\d+))?(?:<(?P<until>\d+))?\Z",
)


def parts(*items: str | Node | tuple[Node, ...]) -> tuple[Node, ...]:
    """Read parts: strings of plain fields, nodes, and tuples of nodes that are shared between layouts."""
    return tuple(_parse(items))


def _parse(items: tuple[str | Node | tuple[Node, ...], ...]) -> Iterator[Node]:
    for item in items:
        if isinstance(item, tuple):
            yield from item
        elif not isinstance(item, str):
            yield item
        else:
            for word in item.split():
                match = _PLAIN.match(word)
                if match is None or (match["kind"] or "s") not in KINDS:
                    raise ValueError(f"not a field of a layout: {word}")
                since, until = int(match["since"] or 0), int(match["until"] or ALWAYS)
                if match["literal"]:
                    yield Literal(match["literal"], since, until)
                else:
                    yield Field(match["name"], match["kind"], since, until)


def equals(name: str, *values: str) -> Test:
    """Test that a field has one of the values."""
    return lambda fields: fields.get(name) in values


def is_set(name: str) -> Test:
    """Test that a text field is not empty."""
    return lambda fields: bool(fields.get(name))


def is_positive(name: str) -> Test:
    """Test that a number is set and above zero."""

    def test(fields: Mapping[str, Any]) -> bool:
        value = fields.get(name)
        return value is not None and value > 0

    return test


def is_infinite(name: str) -> Test:
    """Test that a number is the infinite one."""

    def test(fields: Mapping[str, Any]) -> bool:
        value = fields.get(name)
        return value is not None and bool(value.is_infinite())

    return test
