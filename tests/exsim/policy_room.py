"""A FIX venue for tests of policies: what they do is seen by a client that shares no code with ours."""

from __future__ import annotations

from typing import Any

from fix_client import FixClient
from fix_room import Room, with_room

from txtrader.exsim.policies.policy import Policy

__all__ = ["FixClient", "Room", "add", "kinds", "rule", "with_room"]


def rule(match: Any, *actions: Any, **more: Any) -> dict[str, Any]:
    """Write a rule briefly: a type alone is a match, a name alone an action."""
    return {
        "match": {"type": match} if isinstance(match, str) else match,
        "actions": [{"do": one} if isinstance(one, str) else one for one in actions],
        **more,
    }


def add(room: Room, *rules: dict[str, Any], name: str = "p", **scope: Any) -> Policy:
    """Put a policy in force, for FIX alone."""
    policy = Policy(name, rules, {"endpoint": "fix", **scope})
    room.do(room.venue.policies.add, policy)
    return policy


def kinds(client: FixClient, count: int) -> list[tuple[str | None, str | None]]:
    """Take so many reports; return (exec type, status) of each."""
    return [(report.get(150), report.get(39)) for report in (client.next("8") for _ in range(count))]
