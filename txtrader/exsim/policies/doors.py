"""Where an endpoint tells the policies that somebody connects, logs on, or asks how orders stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from txtrader.exsim.policies.conditions import Occurrence
from txtrader.exsim.policies.faces import Face
from txtrader.exsim.policies.reports import Outgoing
from txtrader.net.outbound import Outbound

if TYPE_CHECKING:
    from txtrader.exsim.policies.policy_book import PolicyBook

__all__ = ["Door", "attach"]


def attach(connection: Any, transport: Any) -> Outbound:
    """Make the queue of what a new connection says; policies hear of it first, and may put another in its place."""
    endpoint, pump = connection.endpoint, connection.pump
    outbound: Outbound = endpoint.pool.attach(transport)
    if endpoint.policies is None:
        return outbound
    pump.outbound = outbound
    endpoint.policies.connected(connection)
    return cast(Outbound, pump.outbound)


class Door:
    """One endpoint's door; the endpoint has it as `policies` while there are any."""

    def __init__(self, book: PolicyBook, face: Face) -> None:
        self._book = book
        self._face = face
        self.outgoing = Outgoing(book, face)

    def connected(self, connection: Any) -> None:
        """Let policies act on a new connection, whose pump has its transport and its outbound."""
        occurrence = self._occurrence("connect", connection, {})
        for one in self._book.decide(occurrence):
            for step in one.steps:
                if step.name == "throttle" and (wait := self._book.throttle(step, one.policy, self._face.name)):
                    link = occurrence.link
                    link.freeze(wait) if step["then"] == "delay" else link.end("rst")
            self._book.deeds.run(one.steps, one.policy, occurrence)

    def logon(self, connection: Any, owner: str) -> str | None:
        """Let policies act on a logon; return the words of a refusal."""
        occurrence = self._occurrence("logon", connection, {"session": owner})
        refusal: str | None = None
        for one in self._book.decide(occurrence):
            for step in one.steps:
                if step.name == "reject_logon":
                    refusal = step["text"]
                elif step.name == "throttle" and (wait := self._book.throttle(step, one.policy, owner)):
                    if step["then"] == "delay":
                        occurrence.link.freeze(wait)
                    else:
                        refusal = "too many logons"
                        if step["then"] == "disconnect":
                            self._book.soon(occurrence.link.end, "rst")
            self._book.soon(self._book.deeds.run, one.steps, one.policy, occurrence)
        return refusal

    def asked(self, connection: Any) -> None:
        """Hear that a client asks how orders stand, before it is answered."""
        self.outgoing.asked(connection)
        fields = {"session": self._face.owner_of(connection)}
        occurrence = self._occurrence("status_request", connection, fields)
        for one in self._book.decide(occurrence):
            self._book.deeds.run(one.steps, one.policy, occurrence)

    def _occurrence(self, kind: str, connection: Any, fields: dict[str, Any]) -> Occurrence:
        link = self._book.link(self._face, connection)
        return Occurrence(kind, self._book.scene(fields, None, self._face), link=link)
