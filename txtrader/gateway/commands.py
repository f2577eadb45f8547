"""Every operation, declared once.  Front ends, client library, command line and reference docs walk this table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

__all__ = ["OPERATIONS", "Argument", "Command", "Operation", "bind"]


class Argument(msgspec.Struct, frozen=True, kw_only=True):
    """One argument: `kind` names the parser in `KINDS`, `doc` says meaning and unit."""

    name: str
    kind: str
    doc: str
    required: bool = True
    default: Any = None


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation.

    `arguments` are positional in this sequence; `options` may only be named (one struct at the end on positional
    front ends).  `result` describes the answer; `errors` are the codes beside the general ones; `role` is the least
    that may call it; `reads` tells that nothing changes.
    """

    name: str
    doc: str
    result: str
    role: str
    group: str
    arguments: tuple[Argument, ...] = ()
    options: tuple[Argument, ...] = ()
    errors: tuple[str, ...] = ()
    reads: bool = False


class Command(msgspec.Struct, frozen=True):
    """An operation with its parsed arguments, ready for `Gateway.execute`."""

    operation: Operation
    arguments: Mapping[str, Any]


OPERATIONS: dict[str, Operation] = {}


def bind(name: str, positional: Sequence[Any] = (), named: Mapping[str, Any] | None = None) -> Command:
    """Parse a call strictly (guarantees 5.1, 5.2).

    Values are strings, ints, bools, Decimals, None, lists and dicts: front ends turn number tokens into Decimal,
    never float.  A dict beyond the last positional argument is the options.  Raises NotFound for an unknown
    operation, InvalidArgument with `path` for the rest.
    """
    raise NotImplementedError
