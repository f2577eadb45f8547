"""What an action is, and what it takes: typed values read from plain data, each with its default and meaning."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from txtrader.errors import InvalidArgument
from txtrader.exsim.policies.conditions import as_number

__all__ = [
    "Action",
    "Parameter",
    "amount",
    "chance",
    "count",
    "flag",
    "number",
    "seconds",
    "share",
    "text",
    "ticks",
    "word",
]

_UNSET: Any = object()


class Parameter(msgspec.Struct, frozen=True):
    """One parameter; `type` is the name of one of the functions below, which say what it takes."""

    name: str
    type: str
    meaning: str
    default: Any = None
    is_required: bool = False
    choices: tuple[str, ...] = ()

    def read(self, value: Any, path: str) -> Any:
        """Return a value as this parameter's; raises InvalidArgument."""
        if self.type == "flag":
            if not isinstance(value, bool):
                raise InvalidArgument("true or false is wanted", path=path)
            return value
        if self.type in ("text", "word"):
            if not isinstance(value, str):
                raise InvalidArgument("a text is wanted", path=path)
            if self.type == "word" and value not in self.choices:
                raise InvalidArgument(f"{value!r} is none of the words", path=path, candidates=list(self.choices))
            return value
        found = as_number(value, path)
        if self.type == "seconds":
            return self._at_least(float(found), 0.0, path)
        if self.type == "share":
            if not 0 < found <= 1:
                raise InvalidArgument("a share is above 0 and at most 1", path=path)
            return found
        if self.type == "chance" and not 0 <= found <= 1:
            raise InvalidArgument("a chance is from 0 to 1", path=path)
        if self.type == "amount" and found <= 0:
            raise InvalidArgument("an amount is above 0", path=path)
        if self.type in ("count", "ticks"):
            if found != found.to_integral_value():
                raise InvalidArgument("a whole number is wanted", path=path)
            return int(found) if self.type == "ticks" else self._at_least(int(found), 1, path)
        return found

    @staticmethod
    def _at_least(value: Any, least: Any, path: str) -> Any:
        if value < least:
            raise InvalidArgument(f"at least {least} is wanted", path=path)
        return value


class Action(msgspec.Struct, frozen=True):
    """One action.  `group` says what it concerns: a request (gate), executions (trade), reports, data, an order, a
    link, a session, the venue, or the rule itself."""

    name: str
    group: str
    kinds: tuple[str, ...]
    meaning: str
    parameters: tuple[Parameter, ...] = ()


def _make(type: str, name: str, meaning: str, default: Any, choices: tuple[str, ...] = ()) -> Parameter:
    if default is _UNSET:
        return Parameter(name, type, meaning, None, True, choices)
    return Parameter(name, type, meaning, default, False, choices)


def number(name: str, meaning: str, default: Decimal | None = _UNSET) -> Parameter:
    """Take a number of any sign."""
    return _make("number", name, meaning, default)


def amount(name: str, meaning: str, default: Decimal | None = _UNSET) -> Parameter:
    """Take a number above 0."""
    return _make("amount", name, meaning, default)


def ticks(name: str, meaning: str, default: int = 0) -> Parameter:
    """Take a whole number of any sign."""
    return _make("ticks", name, meaning, default)


def chance(name: str, meaning: str, default: Decimal = _UNSET) -> Parameter:
    """Take a number from 0 to 1."""
    return _make("chance", name, meaning, default)


def seconds(name: str, meaning: str, default: float | None = _UNSET) -> Parameter:
    """Take a duration."""
    return _make("seconds", name, meaning, default)


def share(name: str, meaning: str, default: Decimal | None = _UNSET) -> Parameter:
    """Take a part of a whole, above 0 and at most 1."""
    return _make("share", name, meaning, default)


def count(name: str, meaning: str, default: int | None = _UNSET) -> Parameter:
    """Take a whole number from 1 on."""
    return _make("count", name, meaning, default)


def text(name: str, meaning: str, default: str | None = _UNSET) -> Parameter:
    """Take a text."""
    return _make("text", name, meaning, default)


def flag(name: str, meaning: str, default: bool = False) -> Parameter:
    """Take true or false."""
    return _make("flag", name, meaning, default)


def word(name: str, meaning: str, choices: tuple[str, ...], default: str | None = _UNSET) -> Parameter:
    """Take one of some words."""
    return _make("word", name, meaning, default, choices)
