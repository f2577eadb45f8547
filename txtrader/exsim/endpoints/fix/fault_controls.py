"""Faults on command over FIX: plain methods that tests and scripts call on the endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from txtrader.exsim.endpoints.fault_controls import EndpointFaults

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.fix.endpoint import FixConnection
    from txtrader.wire.fix.session import Identity

__all__ = ["FaultControls"]


class FaultControls(EndpointFaults):
    """The controls; `FixEndpoint` has them all.  Each says what it does to whom, and nothing else changes.

    Rules go by message type (`8`, `W` ...) of what the application sends; the session's own messages pass.
    """

    connections: list[FixConnection]
    by_identity: dict[Identity, FixConnection]
    is_silent: bool
    garbled: int
    _order_messages = frozenset({"8"})

    # -- connections

    def go_silent(self, is_silent: bool = True) -> None:
        """Say nothing and hear nothing any more, as a peer that vanished; False ends it."""
        self.is_silent = is_silent
        for connection in list(self.connections):
            (connection.pump.pause if is_silent else connection.pump.resume)()

    # -- numbers and frames

    def garble(self, count: int = 1) -> None:
        """Give the next messages a wrong checksum: their numbers are used, and who reads well asks for them again."""
        self.garbled = count

    def skip_numbers(self, count: int = 1) -> None:
        """Leave out numbers in what is sent from now on: a gap that the client has to ask about."""
        for connection in self.by_identity.values():
            cast(Any, connection.session.store).next_number += count

    def repeat_numbers(self, count: int = 1) -> None:
        """Use the last numbers again, which no sound venue does: the client has to leave."""
        for connection in self.by_identity.values():
            store = cast(Any, connection.session.store)
            store.next_number = max(1, store.next_number - count)

    def demand_resend(self, begin: int = 1, times: int = 1) -> None:
        """Ask every client for everything from a number on, so many times: a storm of resends."""
        for connection in self.by_identity.values():
            for _ in range(times):
                connection.session.ask_again(begin)
            connection.pump.flush()
