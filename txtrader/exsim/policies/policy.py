"""A policy: rules in order, each a match and its actions, with counters and a generator of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import msgspec

from txtrader.errors import InvalidArgument
from txtrader.exsim.policies.actions import Step, read_step
from txtrader.exsim.policies.conditions import Match, Occurrence, fields_test

__all__ = ["Fired", "Policy", "Rule"]

_PARTS = frozenset({"match", "actions", "action", "continue"})
_SCOPES = {"endpoint": "endpoint", "session": "session", "book": "symbol", "account": "account"}


class Rule:
    """One rule.  `seen` counts what fitted its match, `fired` what it acted on."""

    def __init__(self, given: Any, path: str) -> None:
        if not isinstance(given, Mapping):
            raise InvalidArgument("an object is wanted", path=path)
        for name in given:
            if name not in _PARTS:
                raise InvalidArgument(
                    "there is no such part of a rule", path=f"{path}.{name}", candidates=sorted(_PARTS)
                )
        self.data = dict(given)
        if "match" not in given:
            raise InvalidArgument("a rule has a match", path=f"{path}.match")
        self.match = Match(given["match"], f"{path}.match")
        name = "action" if "action" in given else "actions"
        actions = given.get(name)
        if name == "action":
            actions = [actions]
        if not isinstance(actions, list | tuple) or not actions or ("action" in given and "actions" in given):
            raise InvalidArgument("one `action`, or a list of `actions`, is wanted", path=f"{path}.actions")
        self.steps = tuple(
            read_step(one, self.match.kinds, f"{path}.actions[{place}]") for place, one in enumerate(actions)
        )
        goes_on = given.get("continue", False)
        if not isinstance(goes_on, bool):
            raise InvalidArgument("true or false is wanted", path=f"{path}.continue")
        self.goes_on = goes_on
        self.seen = 0
        self.fired = 0


class Fired(msgspec.Struct, frozen=True):
    """A rule that acts on something."""

    policy: Policy
    steps: tuple[Step, ...]


class Policy:
    """Rules by which the venue misbehaves, repeatably.

    The first rule that matches decides; `continue` lets the rules and policies after it see the same thing too.
    `scope` bounds all rules: `endpoint`, `session`, `book` (a symbol), `account`, each a value, a list, or operators as
    in a match.  `begin` is called with the venue's seed when the policy is added: what it draws depends on that and
    its name alone.
    """

    def __init__(self, name: str, rules: Sequence[Any], scope: Mapping[str, Any] | None = None) -> None:
        if not isinstance(name, str) or not name:
            raise InvalidArgument("a policy has a name", path="name")
        if not isinstance(rules, list | tuple) or not rules:
            raise InvalidArgument("a list of rules is wanted", path="rules")
        scope = {} if scope is None else scope
        if not isinstance(scope, Mapping):
            raise InvalidArgument("an object is wanted", path="scope")
        for key in scope:
            if key not in _SCOPES:
                raise InvalidArgument("there is no such scope", path=f"scope.{key}", candidates=sorted(_SCOPES))
        self.name = name
        self.scope = dict(scope)
        self._scope = [
            (_SCOPES[key], test) for key, value in scope.items() for _, test in fields_test({key: value}, "scope")
        ]
        self.rules = tuple(Rule(one, f"rules[{place}]") for place, one in enumerate(rules))
        self.kinds = frozenset[str]().union(*(rule.match.kinds for rule in self.rules))
        self.random = Random(f"policy/{name}")

    def begin(self, seed: int) -> None:
        """Draw from the beginning, by the venue's seed."""
        self.random = Random(f"{seed}/policy/{self.name}")

    def covers(self, field: str, value: Any) -> bool:
        """Tell whether the scope leaves room for a value of one field."""
        return all(test(value) for name, test in self._scope if name == field)

    def covers_all_of(self, occurrence: Occurrence) -> bool:
        """Tell whether something is in the scope; a field that it does not have is outside."""
        fields = occurrence.fields
        return all((value := fields.get(name)) is not None and test(value) for name, test in self._scope)

    def decide(self, occurrence: Occurrence) -> tuple[list[Fired], bool]:
        """Return what acts on something, and whether the policies after this one see it as well."""
        if occurrence.kind != "now" and not self.covers_all_of(occurrence):
            return [], True
        found: list[Fired] = []
        for rule in self.rules:
            if not rule.match.fits(occurrence):
                continue
            rule.seen += 1
            if not rule.match.is_meant(rule.seen, self.random):
                continue
            rule.fired += 1
            found.append(Fired(self, rule.steps))
            if not rule.goes_on:
                return found, False
        return found, True

    def to_dict(self) -> dict[str, Any]:
        """Return the policy as plain data, with its counters."""
        rules = [{**rule.data, "seen": rule.seen, "fired": rule.fired} for rule in self.rules]
        return {"name": self.name, "scope": self.scope, "rules": rules}
