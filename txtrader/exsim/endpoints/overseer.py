"""Who may stand between an endpoint's wire and its answers: a test that takes each message by hand."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["Overseer"]


class Overseer(Protocol):
    """Sees what comes and goes on every connection; connections and messages are those of the endpoint's wire."""

    def connected(self, connection: Any) -> None:
        """Take a new connection, whose pump may be paused now: nothing was read yet."""

    def logged_on(self, connection: Any) -> None:
        """Take that the client has said who it is, and was let in."""

    def received(self, connection: Any, message: Any) -> bool:
        """Take a message of a client that is logged on; True keeps it from being answered."""

    def sending(self, connection: Any, message: Any) -> bool:
        """See what a client is told; True keeps it from the wire."""

    def lost(self, connection: Any) -> None:
        """Take the end of a connection."""
