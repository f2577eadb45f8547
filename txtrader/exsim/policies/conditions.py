"""What a rule matches: the kind of what happens, tests of its fields, counts, chance, and a span of time.

    {"type": "new", "symbol": "IBM", "fields": {"quantity": {">": 100}}, "every": 3, "probability": 0.5}

Everything is plain data, as it comes from JSON; what cannot be meant is an InvalidArgument whose path names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from random import Random
from typing import Any

from txtrader.errors import InvalidArgument

__all__ = [
    "DATA",
    "KINDS",
    "LINKS",
    "OTHERS",
    "REPORTS",
    "REQUESTS",
    "SHORTHANDS",
    "Match",
    "Occurrence",
    "as_number",
    "fields_test",
]

REQUESTS: dict[str, str] = {
    "new": "an order, before the venue looks at it",
    "cancel": "a request to cancel an order",
    "replace": "a request to change an order",
}
REPORTS: dict[str, str] = {
    "ack": "an order was accepted",
    "pending": "a request was received and is not decided",
    "rejected": "an order was refused",
    "fill": "an execution",
    "busted": "an execution was taken back",
    "corrected": "an execution was changed",
    "canceled": "an order was canceled",
    "replaced": "an order was changed as asked",
    "expired": "an order's time is over",
    "restated": "the venue changed an order",
    "activated": "a waiting order works",
    "parked": "an order has left the market for a while",
    "cancel_rejected": "a cancel was refused",
    "replace_rejected": "a replace was refused",
    "status": "how an order stands, in an answer or beside another report",
    "commission": "what an execution cost, where that is a message of its own",
    "snapshot": "a picture of a market, where that is a message of its own",
    "increment": "changes of a market, where they are messages of their own",
    "message": "any other message of an endpoint's application",
}
LINKS: dict[str, str] = {
    "connect": "a client has connected",
    "logon": "a client asks to log on",
    "status_request": "a client asks how orders stand",
}
DATA: dict[str, str] = {
    "quote": "the best bid and offer have changed, told to one watcher",
    "trade": "a public trade, told to one watcher",
    "depth": "price levels have changed, told to one watcher",
}
OTHERS: dict[str, str] = {"now": "once, when the policy is added"}
KINDS: dict[str, str] = {**REQUESTS, **REPORTS, **LINKS, **DATA, **OTHERS}
"""All types, with what each says has happened."""

SHORTHANDS = ("account", "symbol", "side", "session", "phase", "endpoint")
"""Fields that a match may name outside of `fields`."""

_COUNTS = ("nth", "every", "first", "after")
_NAMES = frozenset({"type", "fields", "time", "probability", *SHORTHANDS, *_COUNTS})


class Occurrence:
    """One thing that happens: its kind, and what can be said of it.

    Among `fields` are the shorthands and `time` (ns) where they make sense.  `order`, `link` and `message` are what it
    is about, for the actions.
    """

    __slots__ = ("fields", "kind", "link", "message", "order")

    def __init__(
        self, kind: str, fields: Mapping[str, Any], *, order: Any = None, link: Any = None, message: Any = None
    ) -> None:
        self.kind = kind
        self.fields = fields
        self.order = order
        self.link = link
        self.message = message


Test = Callable[[Any], bool]


def as_number(value: Any, path: str) -> Decimal:
    """Return plain data as a Decimal; raises InvalidArgument."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise InvalidArgument("a number is wanted", path=path)
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise InvalidArgument(f"{value!r} is no number", path=path) from None
    if not number.is_finite():
        raise InvalidArgument(f"{value!r} is no number", path=path)
    return number


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        try:
            return bool(Decimal(value) == Decimal(str(wanted)))
        except InvalidOperation:
            return False
    return str(value) == str(wanted)


def _compared(value: Any, wanted: Decimal, fits: Callable[[Any, Any], bool]) -> bool:
    try:
        return fits(Decimal(str(value)), wanted)
    except InvalidOperation:
        return False


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _one_test(operator: str, wanted: Any, path: str) -> Test:
    if operator in _ORDERS:
        bound = as_number(wanted, path)
        fits = _ORDERS[operator]
        return lambda value: _compared(value, bound, fits)
    if operator == "=":
        return lambda value: _same(value, wanted)
    if operator == "!=":
        return lambda value: not _same(value, wanted)
    if operator == "in":
        if not isinstance(wanted, list | tuple):
            raise InvalidArgument("a list is wanted", path=path)
        return lambda value: any(_same(value, one) for one in wanted)
    if operator == "pattern":
        try:
            pattern = re.compile(wanted)
        except (re.error, TypeError) as error:
            raise InvalidArgument(f"no pattern: {error}", path=path) from None
        return lambda value: pattern.fullmatch(str(value)) is not None
    raise InvalidArgument(f"there is no operator {operator!r}; there are = != < <= > >= in pattern", path=path)


def _tests(wanted: Any, path: str) -> list[Test]:
    """Read a value (equal), a list (one of them), or operators with their values (all of them)."""
    if isinstance(wanted, Mapping):
        if not wanted:
            raise InvalidArgument("an operator is wanted", path=path)
        return [_one_test(str(name), value, f"{path}.{name}") for name, value in wanted.items()]
    if isinstance(wanted, list | tuple):
        return [_one_test("in", wanted, path)]
    if wanted is None:
        raise InvalidArgument("a value, a list or an operator is wanted", path=path)
    return [_one_test("=", wanted, path)]


def fields_test(wanted: Mapping[str, Any], path: str) -> list[tuple[str, Test]]:
    """Read tests by field; a field that is not there passes none of them."""
    if not isinstance(wanted, Mapping):
        raise InvalidArgument("an object of fields is wanted", path=path)
    return [(str(name), test) for name, value in wanted.items() for test in _tests(value, f"{path}.{name}")]


def _instant(value: Any, path: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        told = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise InvalidArgument("an instant is wanted: ISO 8601, or nanoseconds UTC", path=path) from None
    if told.tzinfo is None:
        told = told.replace(tzinfo=UTC)
    whole = told.replace(microsecond=0)
    return int(whole.timestamp()) * 1_000_000_000 + told.microsecond * 1_000


def _span(wanted: Any, path: str) -> tuple[int | None, int | None]:
    if not isinstance(wanted, Mapping) or not wanted or wanted.keys() - {"from", "to"}:
        raise InvalidArgument("an object with from, to or both is wanted", path=path)
    start, end = (_instant(wanted[name], f"{path}.{name}") if name in wanted else None for name in ("from", "to"))
    return start, end


def _count(wanted: Any, path: str) -> int:
    if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1:
        raise InvalidArgument("a number from 1 on is wanted", path=path)
    return wanted


def _kinds(wanted: Any, path: str) -> frozenset[str]:
    given = [wanted] if isinstance(wanted, str) else wanted
    if not isinstance(given, list | tuple) or not given:
        raise InvalidArgument("a type, or a list of types, is wanted", path=path)
    for one in given:
        if not isinstance(one, str) or one not in KINDS:
            raise InvalidArgument(f"there is no type {one!r}", path=path, candidates=sorted(KINDS))
    return frozenset(given)


def _checked(wanted: Any, names: Iterable[str], path: str) -> Mapping[str, Any]:
    if not isinstance(wanted, Mapping):
        raise InvalidArgument("an object is wanted", path=path)
    for name in wanted:
        if name not in names:
            raise InvalidArgument("there is no such part of a match", path=f"{path}.{name}", candidates=sorted(names))
    return wanted


class Match:
    """One rule's match, read from plain data.

    What fits all tests of kind, fields and time is counted; the counts (`nth`, `every`, `first`, `after`) then say
    which of these are meant, and at last the chance is drawn.
    """

    def __init__(self, wanted: Any, path: str) -> None:
        given = _checked(wanted, _NAMES, path)
        if "type" not in given:
            raise InvalidArgument("a match names its type", path=f"{path}.type")
        self.kinds = _kinds(given["type"], f"{path}.type")
        tests = fields_test({name: given[name] for name in SHORTHANDS if name in given}, path)
        tests += fields_test(given.get("fields", {}), f"{path}.fields")
        self._tests = tests
        self._start, self._end = _span(given["time"], f"{path}.time") if "time" in given else (None, None)
        self._counts = {name: _count(given[name], f"{path}.{name}") for name in _COUNTS if name in given}
        self._chance: Decimal | None = None
        if "probability" in given:
            self._chance = as_number(given["probability"], f"{path}.probability")
            if not 0 <= self._chance <= 1:
                raise InvalidArgument("a probability is from 0 to 1", path=f"{path}.probability")

    def fits(self, occurrence: Occurrence) -> bool:
        """Tell whether kind, fields and time are those that are meant."""
        if occurrence.kind not in self.kinds:
            return False
        fields = occurrence.fields
        time = fields.get("time")
        if self._start is not None and (time is None or time < self._start):
            return False
        if self._end is not None and (time is None or time >= self._end):
            return False
        return all((value := fields.get(name)) is not None and test(value) for name, test in self._tests)

    def is_meant(self, number: int, random: Random) -> bool:
        """Tell whether the one with this number (from 1) among those that fit is to be acted on."""
        counts = self._counts
        if (
            number != counts.get("nth", number)
            or number % counts.get("every", 1)
            or number > counts.get("first", number)
            or number <= counts.get("after", 0)
        ):
            return False
        return self._chance is None or random.random() < self._chance
