"""Ready-made policies by name, and where others register theirs.

    venue.policies.add(make_policy("partial_then_cancel", share="0.3", seconds=2))

Another package offers a policy, a subclass of `ReadyPolicy`, under an entry point of the group
`txtrader.exsim.policies`, or calls `register_policy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from importlib.metadata import entry_points
from typing import Any, ClassVar

from txtrader.errors import InvalidArgument
from txtrader.exsim.policies.parameters import Parameter, seconds, share, text, word
from txtrader.exsim.policies.policy import Policy
from txtrader.exsim.records import Reason

__all__ = ["GROUP", "READY", "ReadyPolicy", "make_policy", "policy_class", "register_policy"]

GROUP = "txtrader.exsim.policies"


class ReadyPolicy(Policy):
    """A policy whose rules follow from a few parameters; a subclass says which, and writes the rules."""

    parameters: ClassVar[tuple[Parameter, ...]] = ()

    def __init__(self, name: str, scope: Mapping[str, Any] | None = None, **given: Any) -> None:
        known = {one.name: one for one in self.parameters}
        for key in given:
            if key not in known:
                raise InvalidArgument(f"{name} has no such parameter", path=key, candidates=sorted(known))
        values = {
            one.name: one.read(given[one.name], one.name) if one.name in given else one.default
            for one in self.parameters
        }
        super().__init__(name, self.rules_of(**values), scope)

    def rules_of(self, **values: Any) -> list[dict[str, Any]]:
        """Write the rules."""
        raise NotImplementedError


def _rule(kinds: str | list[str], *actions: dict[str, Any]) -> dict[str, Any]:
    return {"match": {"type": kinds}, "actions": list(actions)}


_REASON = word("reason", "why", tuple(str(one) for one in Reason), "venue")
_WORDS = text("text", "the words that go with it", "rejected by a policy")
_SHARE = share("share", "how much of the order", Decimal("0.5"))


class Reject(ReadyPolicy):
    """Refuse every new order."""

    parameters = (_REASON, _WORDS)

    def rules_of(self, **values: Any) -> list[dict[str, Any]]:
        return [_rule("new", {"do": "reject", **values})]


class AutoReject(ReadyPolicy):
    """Refuse every request: new orders, cancels and replaces."""

    parameters = (_WORDS,)

    def rules_of(self, **values: Any) -> list[dict[str, Any]]:
        refuse = {"do": "refuse", "reason": "venue", **values}
        return [_rule("new", {"do": "reject", **values}), _rule(["cancel", "replace"], refuse)]


class Cancel(ReadyPolicy):
    """Cancel every order a while after its acknowledgement."""

    parameters = (seconds("seconds", "the while", 5.0),)

    def rules_of(self, **values: Any) -> list[dict[str, Any]]:
        return [_rule("new", {"do": "cancel", **values})]


class AutoCancel(ReadyPolicy):
    """Cancel every order as soon as it is acknowledged, before it trades."""

    def rules_of(self, **values: Any) -> list[dict[str, Any]]:
        return [_rule("new", {"do": "keep_out"}, {"do": "cancel"})]


class AutoFill(ReadyPolicy):
    """Let every order trade with the house at once, at its limit or the market's price."""

    def rules_of(self, **values: Any) -> list[dict[str, Any]]:
        return [_rule("new", {"do": "fill"})]


class AutoPartial(ReadyPolicy):
    """Let a part of every order trade with the house at once; the rest works."""

    parameters = (_SHARE,)

    def rules_of(self, **values: Any) -> list[dict[str, Any]]:
        return [_rule("new", {"do": "fill", "share": values["share"]})]


class PartialThenCancel(ReadyPolicy):
    """Let a part of every order trade with the house, and cancel the rest a while later."""

    parameters = (_SHARE, seconds("seconds", "the while", 0.0))

    def rules_of(self, **values: Any) -> list[dict[str, Any]]:
        fill = {"do": "fill", "share": values["share"], "rest": "idle"}
        return [_rule("new", fill, {"do": "cancel", "seconds": values["seconds"]})]


class Park(ReadyPolicy):
    """Hold every new order, unacknowledged, until `Venue.release` decides about it."""

    def rules_of(self, **values: Any) -> list[dict[str, Any]]:
        return [_rule("new", {"do": "park"})]


READY: dict[str, type[ReadyPolicy]] = {
    "reject": Reject,
    "cancel": Cancel,
    "partial_then_cancel": PartialThenCancel,
    "auto_fill": AutoFill,
    "auto_partial": AutoPartial,
    "auto_reject": AutoReject,
    "auto_cancel": AutoCancel,
    "park": Park,
}
_registered: dict[str, type[ReadyPolicy]] = {}


def register_policy(name: str, cls: type[ReadyPolicy]) -> None:
    """Offer a policy under a name; one that is taken raises InvalidArgument, unless by the same class."""
    if not (isinstance(cls, type) and issubclass(cls, ReadyPolicy)):
        raise InvalidArgument(f"{cls!r} is no ReadyPolicy", path="cls")
    known = READY.get(name) or _registered.get(name)
    if known not in (None, cls):
        raise InvalidArgument(f"there is a policy {name!r} already", path="name")
    _registered[name] = cls


def policy_class(kind: str) -> type[ReadyPolicy]:
    """Return the class that a name stands for: ready-made, registered, or of another package."""
    known = READY.get(kind) or _registered.get(kind)
    if known is not None:
        return known
    for point in entry_points(group=GROUP, name=kind):
        register_policy(kind, point.load())
        return _registered[kind]
    names = sorted({*READY, *_registered, *(point.name for point in entry_points(group=GROUP))})
    raise InvalidArgument(f"there is no policy {kind!r}", path="kind", candidates=names)


def make_policy(
    kind: str, name: str | None = None, scope: Mapping[str, Any] | None = None, **given: Any
) -> ReadyPolicy:
    """Make a policy by its kind; its name is the kind's where none is given."""
    return policy_class(kind)(name if name is not None else kind, scope, **given)
