"""The face of every wire session: bytes in, events out, one at a time, time told to it.

A session does no I/O.  It pulls: events before a violation are delivered however the bytes were cut.  Driven by
`txtrader.net.pump.Pump` on a socket, and by plain bytes in tests.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

__all__ = ["Session"]

Incoming = TypeVar("Incoming", covariant=True)
Outgoing = TypeVar("Outgoing", contravariant=True)


class Session(Protocol[Incoming, Outgoing]):
    """One end of one protocol conversation."""

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer."""

    def receive_eof(self) -> None:
        """Take the end of the peer's bytes."""

    def next_event(self) -> Incoming | None:
        """Return the next complete event, None when more bytes are needed; raises RemoteProtocolError."""

    def send(self, message: Outgoing) -> None:
        """Queue a message for the peer; raises LocalProtocolError when it must not be sent."""

    def data_to_send(self) -> bytes:
        """Return and forget the bytes to write now."""

    def next_deadline(self) -> float | None:
        """Return the clock second at which `handle_timeout` wants to be called, None for never."""

    def handle_timeout(self, now: float) -> None:
        """Be told that it is `now`; raises RemoteProtocolError when the peer is silent for too long."""
