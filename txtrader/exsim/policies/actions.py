"""What a policy may do: every action by name, and how a rule's actions are read.

The declarations (`answers`, `disturbances`) are the only place: rules are checked against them, and
`docs/exsim-policies.md` is held against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from txtrader.errors import InvalidArgument
from txtrader.exsim.policies.answers import ANSWERS
from txtrader.exsim.policies.disturbances import DISTURBANCES
from txtrader.exsim.policies.parameters import Action

__all__ = ["ACTIONS", "Action", "Step", "read_step"]


class Step(msgspec.Struct, frozen=True):
    """One action of one rule, with its parameters read."""

    action: Action
    values: dict[str, Any]
    path: str

    @property
    def name(self) -> str:
        return self.action.name

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


ACTIONS: dict[str, Action] = {action.name: action for action in (*ANSWERS, *DISTURBANCES)}


def read_step(given: Any, kinds: frozenset[str], path: str) -> Step:
    """Read one action of a rule that matches some kinds; raises InvalidArgument."""
    if not isinstance(given, Mapping):
        raise InvalidArgument("an object is wanted", path=path)
    name = given.get("do")
    action = ACTIONS.get(name) if isinstance(name, str) else None
    if action is None:
        raise InvalidArgument(f"there is no action {name!r}", path=f"{path}.do", candidates=sorted(ACTIONS))
    wrong = sorted(kinds.difference(action.kinds))
    if wrong:
        raise InvalidArgument(f"{name} makes no sense for {', '.join(wrong)}", path=f"{path}.do")
    known = {one.name: one for one in action.parameters}
    for key in given:
        if key != "do" and key not in known:
            raise InvalidArgument(f"{name} has no such parameter", path=f"{path}.{key}", candidates=sorted(known))
    values: dict[str, Any] = {}
    for one in action.parameters:
        if one.name in given:
            values[one.name] = one.read(given[one.name], f"{path}.{one.name}")
        elif one.is_required:
            raise InvalidArgument(f"{name} needs it", path=f"{path}.{one.name}")
        else:
            values[one.name] = one.default
    return Step(action, values, path)
