"""The neutral face of an endpoint: what policies ask of it, and how they learn what it cannot do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from txtrader.errors import InvalidArgument
from txtrader.exsim.endpoints.message_faults import Faults
from txtrader.exsim.orders import Order
from txtrader.exsim.policies.actions import Step

__all__ = ["Face", "NotOffered", "Reading"]


class NotOffered(InvalidArgument):
    """An endpoint cannot do what a policy asks of it; raised when the policy is added, or the endpoint attached."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message, path=path, reason="not-offered")


class Reading(msgspec.Struct):
    """What a message that leaves says: a type of `REPORTS`, its own fields, and its order where it is about one."""

    kind: str
    fields: dict[str, Any]
    order: Order | None = None


class Face:
    """One endpoint as policies see it; each endpoint has a subclass.

    `name` is what scopes call it.  `kinds` are the types of reports that it has, `offered` the names of the actions of
    the groups link and session that it can do.  A connection is the endpoint's own object; it has a `pump`, and
    `drop()`.
    """

    name = ""
    kinds: frozenset[str] = frozenset()
    offered: frozenset[str] = frozenset()

    def __init__(self, endpoint: Any, clock: Any) -> None:
        self.endpoint = endpoint
        self.clock = clock

    @property
    def faults(self) -> Faults:
        """The endpoint's rules for what it sends."""
        faults: Faults = self.endpoint.faults
        return faults

    def check(self, step: Step, kinds: frozenset[str]) -> None:
        """Raise NotOffered for a step that this endpoint cannot do."""
        group = step.action.group
        if group in ("link", "session") and step.name not in self.offered:
            raise NotOffered(f"{self.name} cannot do {step.name}", f"{step.path}.do")

    def check_link(self, kind: str, path: str) -> None:
        """Raise NotOffered for something of a link (a type of `LINKS`) that does not happen at this endpoint."""

    # -- who is there

    def connections(self) -> Sequence[Any]:
        """List the connections, by a copy."""
        return list(self.endpoint.connections)

    def owner_of(self, connection: Any) -> str | None:
        """Return whose connection it is, as the venue calls them; None before the logon."""
        raise NotImplementedError

    def owns(self, owner: str) -> bool:
        """Tell whether a participant of the venue is a client of this endpoint."""
        raise NotImplementedError

    def connection_of(self, client: Any) -> Any | None:
        """Return the connection on which somebody is told things now; None for one who is away."""
        return client

    # -- what is said

    def read(self, connection: Any, message: Any) -> Reading:
        """Say what a message that is about to leave means."""
        raise NotImplementedError

    def altered(self, message: Any, more: dict[str, Any]) -> Any:
        """Return a copy of a message with `cumulative`, `quantity` and `price` added to what it says."""
        raise NotImplementedError

    # -- bytes

    def put_outbound(self, connection: Any, outbound: Any) -> None:
        """Let what a connection says go through `outbound`."""
        connection.pump.outbound = outbound

    def half_close(self, connection: Any) -> None:
        """Say that nothing more comes, and go on reading."""
        connection.pump.transport.loseWriteConnection()

    def frames(self, data: bytes) -> list[bytes]:
        """Cut what is written at once into messages."""
        raise NotImplementedError

    def refuse(self, is_refusing: bool) -> None:
        """Take no new connections, or take them again."""
        self.endpoint.refuse(is_refusing)

    def begin_again(self) -> None:
        """Let numbers begin at 1, in agreement with who is there, where the wire has any."""

    def forget_numbers(self) -> None:
        """Let numbers begin at 1 as they do at a venue that has forgotten them."""

    # -- the session; for those that are offered

    def log_out(self, connection: Any, text: str) -> None:
        """End a session with a word."""
        raise NotImplementedError

    def skip_numbers(self, connection: Any, count: int) -> None:
        """Leave out numbers of what is sent."""
        raise NotImplementedError

    def repeat_numbers(self, connection: Any, count: int) -> None:
        """Use the last numbers again."""
        raise NotImplementedError

    def reset_numbers(self, connection: Any) -> None:
        """Begin again at 1 without notice."""
        raise NotImplementedError

    def demand_resend(self, connection: Any, begin: int, times: int) -> None:
        """Ask for everything again."""
        raise NotImplementedError

    def stop_heartbeats(self, connection: Any) -> None:
        """Send no heartbeats any more."""
        raise NotImplementedError

    def ignore_tests(self, connection: Any) -> None:
        """Answer no test request any more."""
        raise NotImplementedError

    def spoil(self, connection: Any, what: str, tag: int, count: int) -> None:
        """Send the next messages with a fault of form."""
        raise NotImplementedError
