"""Faults and other rarities on command over OUCH: plain methods that tests and scripts call on the endpoint."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from txtrader.dialects.ouch import price_to_wire
from txtrader.exsim.endpoints.fault_controls import EndpointFaults

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.ouch.endpoint import OuchConnection
    from txtrader.exsim.endpoints.ouch.reports import Reports
    from txtrader.exsim.endpoints.ouch.trading import Trading

__all__ = ["FaultControls"]


class FaultControls(EndpointFaults):
    """The controls; `OuchEndpoint` has them all.  Each says what it does to whom, and nothing else changes.

    Rules go by the name of what the venue says (`Accepted`, `Executed` ...); without names by `Executed`.
    """

    connections: list[OuchConnection]
    is_silent: bool
    trading: Trading
    reports: Reports
    _order_messages = frozenset({"Executed"})

    # -- connections

    def go_silent(self, is_silent: bool = True) -> None:
        """Say nothing and hear nothing any more, no heartbeat either, as a peer that vanished; False ends it."""
        self.is_silent = is_silent
        for connection in list(self.connections):
            connection.be_silent(is_silent)

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
