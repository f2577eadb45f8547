"""What the client raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["ExsimError", "ExsimTimeout", "error_of"]


class ExsimError(Exception):
    """A refused request.

    `code` is a stable word (`invalid-argument`, `not-found`, `rejected` ...), `message` a line for a person, `field`
    the argument at fault, `more` whatever else the server said (`reason`, `incident`).
    """

    def __init__(
        self, code: str, message: str, field: str | None = None, more: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.field = field
        self.more = dict(more or {})


class ExsimTimeout(ExsimError):
    """What was waited for has not come in time."""


def error_of(told: Mapping[str, Any]) -> ExsimError:
    """Make the exception for an answer's error."""
    more = {key: value for key, value in told.items() if key not in ("code", "message", "field")}
    kind = ExsimTimeout if told["code"] == "timeout" else ExsimError
    return kind(told["code"], told["message"], told.get("field"), more)
