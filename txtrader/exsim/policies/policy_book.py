"""The venue's list of policies, and everything that they hang on while there are any.

    venue.policies.add(Policy("slow", [{"match": {"type": "new"}, "actions": [{"do": "delay", "seconds": 2}]}]))

Without policies the venue has no gate, the endpoints no door, and the markets tell their watchers themselves: what is
not there costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from txtrader.errors import InvalidArgument, NotFound
from txtrader.exsim.amend import Amendments
from txtrader.exsim.desk import Desk
from txtrader.exsim.floor import Floor
from txtrader.exsim.interventions import Interventions
from txtrader.exsim.market import Watch
from txtrader.exsim.orders import Order
from txtrader.exsim.policies.actions import Step
from txtrader.exsim.policies.conditions import DATA, LINKS, REPORTS, REQUESTS, Occurrence
from txtrader.exsim.policies.deeds import Deeds
from txtrader.exsim.policies.doors import Door
from txtrader.exsim.policies.faces import Face, NotOffered
from txtrader.exsim.policies.feeds import BentFeed
from txtrader.exsim.policies.gate import Gate
from txtrader.exsim.policies.links import Link
from txtrader.exsim.policies.pace import Meters
from txtrader.exsim.policies.policy import Fired, Policy
from txtrader.exsim.records import Decision, Listing, Refusal

if TYPE_CHECKING:
    from txtrader.exsim.venue import Venue

__all__ = ["PolicyBook"]

_OF_ENDPOINTS = ("link", "session")


class PolicyBook:
    """See the module.  `venue.policies` is one."""

    _log = Logger()

    def __init__(self, venue: Venue, desk: Desk, amendments: Amendments, hand: Interventions, floor: Floor) -> None:
        self._venue = venue
        self._desk = desk
        self._floor = floor
        self.now_ns = venue.now_ns
        self._policies: list[Policy] = []
        self._doors: dict[Face, Door] = {}
        self._links: dict[Any, Link] = {}
        self._feeds: list[BentFeed] = []
        self._timers: dict[IDelayedCall, None] = {}
        self._meters = Meters()
        self._gate = Gate(self, desk, amendments, hand)
        self.deeds = Deeds(self, venue, hand)

    # -- the list

    def add(self, policy: Policy, position: int | None = None) -> None:
        """Put a policy in force, at the end or at a position from 0.

        Raises InvalidArgument for a name that is taken, NotOffered for what an endpoint in its scope cannot do.
        """
        if any(one.name == policy.name for one in self._policies):
            raise InvalidArgument(f"there is a policy {policy.name!r} already", path="name")
        if position is not None and not 0 <= position <= len(self._policies):
            raise InvalidArgument(f"a position from 0 to {len(self._policies)} is wanted", path="position")
        if policy.kinds & DATA.keys() and (narrow := policy.scope.keys() - {"book"}):
            raise NotOffered("data are changed for all watchers of a market alike", f"scope.{min(narrow)}")
        faces = self.faces_of(policy)
        if not faces and _needs_endpoint(policy):
            raise NotOffered("no endpoint in its scope is there", "scope.endpoint")
        for face in faces:
            _check(policy, face)
        policy.begin(self._venue.seed)
        self._policies.insert(len(self._policies) if position is None else position, policy)
        self._venue.tape.write("policy_added", policy.name)
        self._engage()
        for one in policy.decide(Occurrence("now", self.scene({}, None)))[0] if "now" in policy.kinds else ():
            self.deeds.run(one.steps, policy, Occurrence("now", {}))

    def remove(self, name: str) -> Policy:
        """Take a policy out and return it; what it has begun goes on.  Raises NotFound."""
        policy = self.get(name)
        self._policies.remove(policy)
        self._meters.forget(name)
        self._venue.tape.write("policy_removed", name)
        self._engage()
        return policy

    def get(self, name: str) -> Policy:
        """Return a policy; raises NotFound."""
        for policy in self._policies:
            if policy.name == name:
                return policy
        raise NotFound(f"there is no policy {name!r}")

    def to_list(self) -> list[dict[str, Any]]:
        """Return the policies in order as plain data, with the counters of each rule."""
        return [policy.to_dict() for policy in self._policies]

    def __len__(self) -> int:
        return len(self._policies)

    # -- endpoints

    def attach(self, face: Face) -> None:
        """Let policies act on an endpoint; raises NotOffered when one in force cannot."""
        for policy in self._policies:
            if policy.covers("endpoint", face.name):
                _check(policy, face)
        self._doors[face] = Door(self, face)
        self._engage()

    def detach(self, face: Face) -> None:
        """Let an endpoint go; one that is not there is no error."""
        door = self._doors.pop(face, None)
        if door is not None:
            face.faults.policies = None
            face.endpoint.policies = None
            door.outgoing.clear()

    def has(self, face: Face) -> bool:
        """Tell whether an endpoint is attached."""
        return face in self._doors

    def faces_of(self, policy: Policy) -> list[Face]:
        """Return the endpoints in a policy's scope."""
        return [face for face in self._doors if policy.covers("endpoint", face.name)]

    def link(self, face: Face, connection: Any) -> Link:
        """Return a connection as a link, the same one each time."""
        link = self._links.get(connection)
        if link is None:
            there = face.connections()
            if len(self._links) > 2 * len(there) + 100:  # forget those that are gone
                known = {one for each in self._doors for one in each.connections()}
                self._links = {one: link for one, link in self._links.items() if one in known}
            link = self._links[connection] = Link(face, connection)
        return link

    def disconnect(self, owner: str) -> None:
        """Cut the connections of a participant."""
        for face in self._doors:
            for connection in face.connections():
                if face.owner_of(connection) == owner:
                    self.link(face, connection).end("rst")

    # -- what happens

    def decide(self, occurrence: Occurrence) -> list[Fired]:
        """Return what the policies do about something: the first of them that matches, and more by `continue`."""
        found: list[Fired] = []
        for policy in self._policies:
            if occurrence.kind in policy.kinds:
                fired, goes_on = policy.decide(occurrence)
                found += fired
                if not goes_on:
                    break
        return found

    def scene(self, fields: dict[str, Any], listing: Listing | None, face: Face | None = None) -> dict[str, Any]:
        """Return fields with what is so at this moment: time, phase, and the endpoint where there is one."""
        found = {**fields, "time": self.now_ns()}
        if listing is not None and (market := self._floor.market(listing.id)) is not None:
            found["phase"] = str(market.phase)
        if face is None and (owner := fields.get("session")) is not None:
            face = next((one for one in self._doors if one.owns(owner)), None)
        if face is not None:
            found["endpoint"] = face.name
        return found

    def throttle(self, step: Step, policy: Policy, whose: str) -> float:
        """Count one more, and return the seconds that it has to wait (0: none); one that is delayed is counted then."""
        now = self._venue.clock.seconds()
        key = (policy.name, step.path, whose)
        wait = self._meters.look(key, step["most"], step["interval"], now)
        if wait and step["then"] == "delay":
            self._meters.reserve(key, now + wait)
        return wait

    # -- parked orders

    def is_parked(self, order: Order) -> bool:
        """Tell whether a policy holds an order until it is released."""
        return self._gate.is_parked(order)

    def release(
        self, order: Order, decision: Decision, quantity: Decimal | None, price: Decimal | None, text: str
    ) -> Refusal | None:
        """Decide about a parked order; see `Venue.release`."""
        return self._gate.release(order, decision, quantity, price, text)

    # -- time

    @property
    def is_busy(self) -> bool:
        """Tell whether the venue is processing a message."""
        return self._desk.turns.is_busy

    def later(self, seconds: float, call: Callable[..., Any], *arguments: Any) -> None:
        """Call in so many seconds; at once for 0."""
        if seconds <= 0:
            call(*arguments)
        else:
            self._set_timer(seconds, call, arguments)

    def soon(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Call when what happens now is through."""
        self._set_timer(0.0, call, arguments)

    def _set_timer(self, seconds: float, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        def run() -> None:
            del self._timers[timer]
            call(*arguments)

        timer = self._venue.clock.callLater(seconds, run)
        self._timers[timer] = None

    def stop(self) -> None:
        """Leave no timer behind; what was to come later does not come."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    # -- what policies hang on

    def _engage(self) -> None:
        """Put gate, doors and feeds in place where a policy needs them, and take them away where none does."""
        kinds = frozenset[str]().union(*(policy.kinds for policy in self._policies))
        self._venue.gate = self._gate if kinds & REQUESTS.keys() else None
        for face, door in self._doors.items():
            face.endpoint.policies = door if self._policies else None
            face.faults.policies = door.outgoing if kinds & REPORTS.keys() else None
            if not kinds & REPORTS.keys():
                door.outgoing.clear()
        if not kinds & DATA.keys():
            for feed in self._feeds:
                feed.end()
            self._feeds.clear()
            self._floor.on_watch = None
        elif self._floor.on_watch is None:
            self._floor.on_watch = self._bend
            for watch, listing in self._floor.watches():
                self._bend(watch, listing)

    def _bend(self, watch: Watch, listing: Listing) -> None:
        self._feeds = [feed for feed in self._feeds if feed.is_open]
        feed = BentFeed(self, watch, listing)
        watch.listener = feed
        self._feeds.append(feed)


def _needs_endpoint(policy: Policy) -> bool:
    return bool(policy.kinds & REPORTS.keys()) or any(
        step.action.group in _OF_ENDPOINTS for rule in policy.rules for step in rule.steps
    )


def _check(policy: Policy, face: Face) -> None:
    """Raise NotOffered for a report or an action that an endpoint does not have."""
    for place, rule in enumerate(policy.rules):
        reports = rule.match.kinds & REPORTS.keys()
        missing = sorted(reports - face.kinds)
        if missing:
            raise NotOffered(f"{face.name} sends nothing of type {', '.join(missing)}", f"rules[{place}].match.type")
        for kind in sorted(rule.match.kinds & LINKS.keys()):
            face.check_link(kind, f"rules[{place}].match.type")
        for step in rule.steps:
            until = step["until"] if step.name == "withhold" else ""
            if until not in ("", "asked") and until not in face.kinds:
                raise NotOffered(f"{face.name} sends nothing of type {until}", f"{step.path}.until")
            face.check(step, rule.match.kinds)
