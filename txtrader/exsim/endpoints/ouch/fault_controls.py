"""Faults and other rarities on command over OUCH: plain methods that tests and scripts call on the endpoint."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, succeed

from txtrader.dialects.ouch import price_to_wire
from txtrader.exsim.endpoints.message_faults import Delay, Duplicate, Faults, Reorder, Rule

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.ouch.endpoint import OuchConnection
    from txtrader.exsim.endpoints.ouch.reports import Reports
    from txtrader.exsim.endpoints.ouch.trading import Trading

__all__ = ["FaultControls"]


class FaultControls:
    """The controls; `OuchEndpoint` has them all.  Each says what it does to whom, and nothing else changes.

    Rules go by the name of what the venue says (`Accepted`, `Executed` ...); without names by `Executed`.
    """

    reactor: Any
    faults: Faults
    connections: list[OuchConnection]
    is_silent: bool
    trading: Trading
    reports: Reports

    def _listen(self) -> int:
        raise NotImplementedError

    def _unlisten(self) -> Deferred[None]:
        raise NotImplementedError

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
            return self._unlisten()
        self._listen()
        return succeed(None)

    def go_silent(self, is_silent: bool = True) -> None:
        """Say nothing and hear nothing any more, no heartbeat either, as a peer that vanished; False ends it."""
        self.is_silent = is_silent
        for connection in list(self.connections):
            connection.be_silent(is_silent)

    def drop_after(self, messages: int | None) -> None:
        """Cut the connection on which the last of so many further messages is sent; None takes it back."""
        self.faults.count_down(messages)

    # -- messages

    def withhold(self, *names: str, count: int | None = None) -> Rule:
        """Never say messages of some names (`count` of them, or all until `remove`); they take no number."""
        return self.faults.add(Rule(self.faults, frozenset(names), count, None))

    def delay(self, seconds: float, *names: str, count: int | None = None) -> Rule:
        """Say messages later, in their order."""
        return self.faults.add(Delay(self.faults, _names(names), count, None, seconds=seconds))

    def duplicate(self, *names: str, count: int | None = None) -> Rule:
        """Say messages twice, each time under a number of its own."""
        return self.faults.add(Duplicate(self.faults, _names(names), count, None))

    def reorder(self, *names: str, count: int | None = None) -> Rule:
        """Swap each pair of messages."""
        return self.faults.add(Reorder(self.faults, _names(names), count, None))

    # -- what an exchange does for reasons of its own

    def hold_cancels(self, is_holding: bool = True) -> None:
        """Answer cancels by CancelPending, as in a cross; False carries out those that wait."""
        self.trading.hold_cancels(is_holding)

    def refuse_cancels(self, count: int = 1) -> None:
        """Answer the next cancels by CancelReject; the orders stand."""
        self.trading.refused_cancels = count

    def refer(self, price: Decimal, kind: str = "I", count: int = 1) -> None:
        """Tell the next executions with a reference price (4.2 alone has a message for it)."""
        self.reports.refer(price_to_wire(price), kind, count)


def _names(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(names) or frozenset({"Executed"})
