"""Random but valid fields for any message of the TWS table."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

from txtrader.wire.tws.layout import (
    Choice,
    CountedOptions,
    Field,
    Flagged,
    Literal,
    Many,
    Node,
    Scalars,
    Span,
    When,
)

TELLING = {
    # words that decide which fields follow
    "secType": ["STK", "BAG", "FUND", "OPT"],
    "orderType": ["LMT", "PEG BENCH", "PEGBENCH", "PEG BEST", "PEG MID", "PEGMID"],
    "exchange": ["SMART", "IBKRATS", ""],
    "deltaNeutralOrderType": ["", "None", "LMT"],
    "hedgeType": ["", "D"],
    "algoStrategy": ["", "Adaptive"],
}
TEXTS = [
    "",
    "a",
    "a\\b",
    "\\u0041",
    "Zürich",
    "\U0001f600",
    "two\nlines",
    "\\\\",
    "\x7f\x01",
    "x" * 30,
    "123",
    "\ufeff\u2028",
]


def some_value(kind: str, version: int, random: Random) -> Any:
    if kind in "bj":
        return random.random() < 0.5
    if kind in "st":
        return random.choice(TEXTS) + random.choice(TEXTS)
    if random.random() < 0.2:
        return None
    if kind == "o":
        return random.random() < 0.5
    if kind == "i":
        return random.choice([0, 1, -1, 2147483646, -2147483648, 2**53, random.randrange(-(10**9), 10**9)])
    if kind == "u" and random.random() < 0.3:
        return Decimal("Infinity")
    if kind == "z" and version < 163:
        return Decimal(random.randrange(10**9))
    value = Decimal(random.randrange(-(10**12), 10**12)).scaleb(random.randrange(-9, 6))
    return value if value not in (-1, -2) else Decimal(0)


def some_fields(body: tuple[Node, ...], version: int, random: Random, out: dict[str, Any]) -> dict[str, Any]:
    for node in body:
        if isinstance(node, Literal):
            continue
        if isinstance(node, Field):
            if node.since <= version < node.until and node.name not in out:
                telling = TELLING.get(node.name)
                out[node.name] = random.choice(telling) if telling else some_value(node.kind, version, random)
        elif isinstance(node, Span):
            if node.since <= version < node.until:
                some_fields(node.body, version, random, out)
        elif isinstance(node, When):
            if node.test(out):
                some_fields(node.body, version, random, out)
        elif isinstance(node, Many):
            out[node.name] = [some_fields(node.body, version, random, {}) for _ in range(random.randrange(4))]
        elif isinstance(node, Scalars):
            if node.since <= version < node.until:
                out[node.name] = [some_value(node.kind, version, random) for _ in range(random.randrange(4))]
        elif isinstance(node, Flagged):
            out[node.name] = some_fields(node.body, version, random, {}) if random.random() < 0.5 else None
        elif isinstance(node, Choice):
            out[node.name] = random.choice(sorted(node.cases))
            some_fields(node.cases[out[node.name]], version, random, out)
        else:
            assert isinstance(node, CountedOptions)
            out[node.name] = random.choice(["", "a=1;", "a=1;b=2;"])
    return out
