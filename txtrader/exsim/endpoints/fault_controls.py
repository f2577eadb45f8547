"""Faults on command that every endpoint has: its port, its connections, and rules for what it sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed

from txtrader.exsim.endpoints.listening import Listening
from txtrader.exsim.endpoints.message_faults import Delay, Duplicate, Faults, Reorder, Rule

__all__ = ["EndpointFaults"]


class _Connection(Protocol):
    def drop(self) -> None: ...


class EndpointFaults:
    """The controls that are the same on every wire; each wire's own `FaultControls` add to them.

    Rules go by the name of what is sent; `_order_messages` are the names of what tells of orders.
    """

    reactor: Any
    faults: Faults
    listening: Listening
    connections: Sequence[_Connection]
    _order_messages: frozenset[str]

    # -- connections

    def drop_connections(self) -> int:
        """Cut every connection at once; return how many."""
        doomed = list(self.connections)
        for connection in doomed:
            connection.drop()
        return len(doomed)

    def refuse(self, is_refusing: bool = True) -> Deferred[None]:
        """Close the port, so that connecting is refused; False opens the same number again.  Fires when it is so."""
        if is_refusing:
            return self.listening.refuse()
        self.listening.open()
        return succeed(None)

    def refuse_for(self, seconds: float) -> None:
        """Close the port for a while; it stays closed where the endpoint is stopped meanwhile."""
        self.refuse()
        self.reactor.callLater(seconds, self.listening.end_refusal)

    def drop_after(self, messages: int | None) -> None:
        """Cut the connection on which the last of so many further messages is sent; None takes it back."""
        self.faults.count_down(messages)

    # -- messages

    def withhold(self, *names: str, count: int | None = None) -> Rule:
        """Do not send messages of these names (they take no number); without names those about orders.

        `count` of them, or all until `remove`; so it is with every rule.
        """
        return self._rule(Rule, names, count)

    def delay(self, seconds: float, *names: str, count: int | None = None) -> Rule:
        """Send messages of these names later, in their order; without names those about orders."""
        return self._rule(Delay, names, count, seconds=seconds)

    def duplicate(self, *names: str, count: int | None = None) -> Rule:
        """Send messages of these names twice, each under a number of its own; without names those about orders."""
        return self._rule(Duplicate, names, count)

    def reorder(self, *names: str, count: int | None = None) -> Rule:
        """Swap each two messages of these names; without names those about orders."""
        return self._rule(Reorder, names, count)

    def end_message_faults(self) -> None:
        """Take every rule out; delayed messages are lost, messages held back for a swap as well."""
        self.faults.clear()

    def _rule(
        self, kind: type[Rule], names: Sequence[str], count: int | None, client_id: int | None = None, **more: Any
    ) -> Rule:
        return self.faults.add(kind(self.faults, self._meant(names), count, client_id, **more))

    def _meant(self, names: Sequence[str]) -> frozenset[str]:
        """Return the names that a rule goes by."""
        return frozenset(names) or self._order_messages
