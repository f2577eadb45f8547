"""Matching rules: how an incoming quantity is divided among the shown orders of one price.

`price_time` is no rule here: matching does it by walking the queue.  The others get the orders of one level in order
of time and say how many lots each gets.  A rule of one's own is a class like these, given its name by `add_rule`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from txtrader.errors import InvalidArgument

__all__ = ["PRICE_TIME", "Claim", "Rule", "add_rule", "make_rule", "rule_names"]

PRICE_TIME = "price_time"


class Claim:
    """One resting order's part in a division: `shown` lots; `is_setter`: it was the first at its price."""

    __slots__ = ("is_setter", "number", "shown")

    def __init__(self, number: int, shown: int, is_setter: bool = False) -> None:
        self.number = number
        self.shown = shown
        self.is_setter = is_setter


class Rule(Protocol):
    """What a matching rule must be; made anew when the options of its book change."""

    def __init__(self, *, min_allocation: int, top_max: int) -> None:
        """Take the options, in lots."""

    def shares(self, quantity: int, claims: Sequence[Claim]) -> list[int]:
        """Divide `quantity` lots; return what each claim gets, at most what it shows.

        Claims come in order of time.  As much as possible is given out: all of `quantity`, or all that is shown.
        """


class ProRata:
    """In proportion to what is shown, rounded down; what is left over goes by time."""

    def __init__(self, *, min_allocation: int, top_max: int) -> None:
        self._least = min_allocation

    def shares(self, quantity: int, claims: Sequence[Claim]) -> list[int]:
        """See `Rule`."""
        return self._divide(quantity, [claim.shown for claim in claims])

    def _divide(self, quantity: int, open_: list[int]) -> list[int]:
        total = sum(open_)
        if quantity >= total:
            return open_
        given = [quantity * own // total for own in open_]
        given = [share if share >= self._least else 0 for share in given]
        _give_by_time(quantity - sum(given), open_, given, range(len(open_)))
        return given


class ProRataTop(ProRata):
    """The order that first set the price gets up to `top_max`; the rest is divided by what is open then."""

    def __init__(self, *, min_allocation: int, top_max: int) -> None:
        super().__init__(min_allocation=min_allocation, top_max=top_max)
        self._top_max = top_max

    def shares(self, quantity: int, claims: Sequence[Claim]) -> list[int]:
        """See `Rule`."""
        first = [min(self._top_max, claim.shown, quantity) if claim.is_setter else 0 for claim in claims]
        rest = self._divide(
            quantity - sum(first), [claim.shown - top for claim, top in zip(claims, first, strict=True)]
        )
        return [top + more for top, more in zip(first, rest, strict=True)]


class SizeTime:
    """The largest first, of equals the oldest."""

    def __init__(self, *, min_allocation: int, top_max: int) -> None:
        """Take no option."""

    def shares(self, quantity: int, claims: Sequence[Claim]) -> list[int]:
        """See `Rule`."""
        open_ = [claim.shown for claim in claims]
        given = [0] * len(open_)
        _give_by_time(quantity, open_, given, sorted(range(len(open_)), key=lambda n: -open_[n]))
        return given


def _give_by_time(quantity: int, open_: Sequence[int], given: list[int], turns: Sequence[int]) -> None:
    """Give out what is left over, to each up to what it has open, in these turns."""
    for turn in turns:
        if quantity <= 0:
            return
        more = min(quantity, open_[turn] - given[turn])
        given[turn] += more
        quantity -= more


class _Checked:
    """Somebody else's rule: where it fails, or divides what is not there, the division goes by time, and it is said.

    `on_fault(name)` is called while the exception is handled.
    """

    def __init__(self, name: str, rule: Rule, on_fault: Callable[[str], None]) -> None:
        self._name = name
        self._rule = rule
        self._on_fault = on_fault

    def shares(self, quantity: int, claims: Sequence[Claim]) -> list[int]:
        try:
            given = list(self._rule.shares(quantity, claims))
            _check(quantity, claims, given)
        except Exception:  # noqa: BLE001
            # A plug-in's fault must not leave an order half matched.
            self._on_fault(self._name)
            given = [0] * len(claims)
            _give_by_time(quantity, [claim.shown for claim in claims], given, range(len(claims)))
        return given


def _check(quantity: int, claims: Sequence[Claim], given: Sequence[int]) -> None:
    if len(given) != len(claims) or any(not 0 <= share <= c.shown for share, c in zip(given, claims, strict=True)):
        raise ValueError(f"{list(given)} is not one share for each order, within what it shows")
    if sum(given) != min(quantity, sum(claim.shown for claim in claims)):
        raise ValueError(f"{list(given)} is not all of {quantity} that can be given")


_OWN: dict[str, Any] = {"pro_rata": ProRata, "pro_rata_top": ProRataTop, "size_time": SizeTime}
_ADDED: dict[str, Any] = {}


def add_rule(name: str, rule: type[Rule]) -> None:
    """Let books name a rule; one of that name that comes along is InvalidArgument, another added one is replaced."""
    if name == PRICE_TIME or name in _OWN:
        raise InvalidArgument(f"{name} is a rule that comes along", path="name")
    _ADDED[name] = rule


def rule_names() -> tuple[str, ...]:
    """Return the names that a book may have as its matching."""
    return (PRICE_TIME, *_OWN, *_ADDED)


def make_rule(name: str, *, min_allocation: int, top_max: int, on_fault: Callable[[str], None]) -> Any:
    """Make a rule by name; None for price_time.  Raises InvalidArgument for an unknown one."""
    if name == PRICE_TIME:
        return None
    options = {"min_allocation": min_allocation, "top_max": top_max}
    if name in _OWN:
        return _OWN[name](**options)
    if name not in _ADDED:
        raise InvalidArgument(f"there is no matching rule {name}; there are {', '.join(rule_names())}", path="matching")
    return _Checked(name, _ADDED[name](**options), on_fault)
