"""Faults on command over FIX: plain methods that tests and scripts call on the endpoint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred, succeed

from txtrader.exsim.endpoints.message_faults import Delay, Duplicate, Faults, Reorder, Rule

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.fix.endpoint import FixConnection
    from txtrader.wire.fix.session import Identity

__all__ = ["FaultControls"]


class FaultControls:
    """The controls; `FixEndpoint` has them all.  Each says what it does to whom, and nothing else changes.

    Rules go by message type (`8`, `W` ...) of what the application sends; the session's own messages pass.
    """

    reactor: Any
    faults: Faults
    connections: list[FixConnection]
    by_identity: dict[Identity, FixConnection]
    is_silent: bool
    garbled: int

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
        """Say nothing and hear nothing any more, as a peer that vanished; False ends it."""
        self.is_silent = is_silent
        for connection in list(self.connections):
            (connection.pump.pause if is_silent else connection.pump.resume)()

    def drop_after(self, messages: int | None) -> None:
        """Cut the connection on which the last of so many further messages is sent; None takes it back."""
        self.faults.count_down(messages)

    # -- messages

    def withhold(self, *types: str, count: int | None = None) -> Rule:
        """Send no messages of some types (`count` of them, or all until `remove`); they take no number."""
        return self.faults.add(Rule(self.faults, frozenset(types), count, None))

    def delay(self, seconds: float, *types: str, count: int | None = None) -> Rule:
        """Send messages later, in their order; without types the execution reports."""
        return self.faults.add(Delay(self.faults, _types(types), count, None, seconds=seconds))

    def duplicate(self, *types: str, count: int | None = None) -> Rule:
        """Send messages twice, each time under a number of its own; without types the execution reports."""
        return self.faults.add(Duplicate(self.faults, _types(types), count, None))

    def reorder(self, *types: str, count: int | None = None) -> Rule:
        """Swap each pair of messages; without types the execution reports."""
        return self.faults.add(Reorder(self.faults, _types(types), count, None))

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


def _types(types: Iterable[str]) -> frozenset[str]:
    return frozenset(types) or frozenset({"8"})
