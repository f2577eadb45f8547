"""What clients asked and what they were told: invoke, then ok, fail or info (nobody knows)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["Call", "History"]

_order = itertools.count()


class Call:
    """One call.  `outcome` is invoked (still open), ok, fail (refused for certain) or info (the answer was lost)."""

    def __init__(self, operation: str, positional: Sequence[Any], options: Mapping[str, Any]) -> None:
        self.operation = operation
        self.positional = tuple(positional)
        self.options = dict(options)
        self.outcome = "invoked"
        self.result: Any = None
        self.error: BaseException | None = None
        self.invoked_at = next(_order)
        self.ended_at: int | None = None

    def ok(self, result: Any) -> None:
        self.outcome, self.result, self.ended_at = "ok", result, next(_order)

    def fail(self, error: BaseException) -> None:
        self.outcome, self.error, self.ended_at = "fail", error, next(_order)

    def info(self, error: BaseException) -> None:
        self.outcome, self.error, self.ended_at = "info", error, next(_order)

    def __repr__(self) -> str:
        return f"<{self.operation}{self.positional} {self.options} {self.outcome}>"


class History:
    """The calls of one client, in the sequence they were made."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def invoke(self, operation: str, positional: Sequence[Any] = (), options: Mapping[str, Any] | None = None) -> Call:
        """Note that a call leaves."""
        call = Call(operation, positional, options or {})
        self.calls.append(call)
        return call

    def __iter__(self) -> Iterator[Call]:
        return iter(self.calls)

    def acknowledged(self) -> list[dict[str, Any]]:
        """Return the order records that the client was given as results."""
        return [
            call.result
            for call in self.calls
            if call.outcome == "ok"
            and isinstance(call.result, dict)
            and "id" in call.result
            and "status" in call.result
        ]
