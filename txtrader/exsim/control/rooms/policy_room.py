"""Requests about policies: ordered rules by which an engine misbehaves, scripted and repeatable."""

from __future__ import annotations

from typing import Any

from txtrader.exsim.control.kinds import MAPPING, NAME, RECORDS, WHOLE, maybe
from txtrader.exsim.control.problems import ControlError, not_found
from txtrader.exsim.control.requests import arg, request
from txtrader.exsim.control.world import World
from txtrader.exsim.policies import Policy, make_policy

__all__ = ["PolicyRoom"]


class PolicyRoom:
    """See the module."""

    def __init__(self, world: World) -> None:
        self._world = world

    @request(
        arg("name", NAME),
        arg("engine", NAME),
        arg("rules", maybe(RECORDS), "each a match and its actions (docs/exsim-policies.md)", default=None),
        arg("class", maybe(NAME), "or a ready-made one: auto_fill, reject, park ...", default=None),
        arg("properties", MAPPING, "of the ready-made one", default={}),
        arg("scope", MAPPING, "endpoint, session, book, account", default={}),
        arg("position", maybe(WHOLE), "among the policies of the engine; null: the end", default=None),
    )
    def add_policy(
        self, name: str, engine: str, rules: list[dict[str, Any]] | None, class_: str | None,
        properties: dict[str, Any], scope: dict[str, Any], position: int | None,
    ) -> dict[str, Any]:  # fmt: skip
        """Put a policy in force; the first rule that matches decides, unless it says continue."""
        found = self._world.engine(engine)
        if any(one["name"] == name for one in found.venue.policies.to_list()):
            raise ControlError("already-exists", f"engine {engine} has a policy {name} already", "name")
        if (rules is None) == (class_ is None):
            raise ControlError("invalid-argument", "either rules or class is expected", "rules")
        policy: Policy
        if rules is not None:
            if properties:
                raise ControlError("invalid-argument", "properties go with a class", "properties")
            policy = Policy(name, rules, scope)
        else:
            assert class_ is not None
            policy = make_policy(class_, name, scope, **properties)
        found.venue.policies.add(policy, position)
        return {}

    @request(arg("name", NAME), arg("engine", NAME))
    def remove_policy(self, name: str, engine: str) -> dict[str, Any]:
        """Take a policy out; what it has begun goes on."""
        policies = self._world.engine(engine).venue.policies
        if all(one["name"] != name for one in policies.to_list()):
            raise not_found("policy", name, "name")
        policies.remove(name)
        return {}

    @request(arg("engine", NAME), result="policies, with how often each rule was seen and fired")
    def list_policies(self, engine: str) -> dict[str, Any]:
        """List the policies in force, in order."""
        return {"policies": self._world.engine(engine).venue.policies.to_list()}
