"""What the control needs of an endpoint, whatever wire it speaks: one face for connections and for messages.

A wire turns its messages into named dictionaries and back; the control keeps them, shows them, and has them processed
or sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from twisted.internet.defer import Deferred

from txtrader.exsim.latency import Latency

__all__ = ["Addressed", "Link", "Record", "Watcher", "Wire"]


class Record(msgspec.Struct, kw_only=True):
    """One message: the `type` is the neutral word (`new`, `exec` ...), or the wire's own name where there is none.

    `fields` are text, numbers, or lists of these; `raw` the bytes as they came, or left.  `native` is the wire's own
    form, for the wire alone.
    """

    type: str
    fields: dict[str, Any]
    raw: bytes = b""
    time: int = 0
    sequence: int | None = None
    native: Any = None


class Addressed(msgspec.Struct, frozen=True):
    """An answer that was not sent: whose it is, as the wire names its clients, and what it says."""

    to: str
    record: Record


class Link(Protocol):
    """One client's connection."""

    @property
    def peer(self) -> str:
        """The other end, ADDRESS:PORT."""

    @property
    def who(self) -> str:
        """The client as the wire names it; empty before its logon."""

    @property
    def owner(self) -> str:
        """The client as the venue names the participant; empty before its logon."""

    @property
    def is_open(self) -> bool: ...

    @property
    def why(self) -> str:
        """Why the wire ended it; empty where it did not, or need not say."""

    def describe(self) -> dict[str, Any]:
        """Tell state, identity and numbers."""

    def admit(self) -> None:
        """Begin to read from a connection that was held."""

    def freeze(self, is_frozen: bool) -> None:
        """Read no more, until it is taken back."""

    def set_latency(self, name: str, model: Latency) -> None:
        """Let what comes (latency_in), goes (latency_out) or is dealt with (computation) take time.

        Raises ControlError where this wire has no such lines.
        """

    def send(self, record: Record, *, is_raw: bool) -> tuple[bytes, int | None]:
        """Send a message; return its bytes and the number it went under.  Raises ControlError."""

    def send_bytes(self, data: bytes) -> None:
        """Send anything."""

    def close(self, how: str) -> None:
        """End it: logout, close, abort or half.  Raises ControlError for what this wire has not."""


class Watcher(Protocol):
    """What a wire tells the control."""

    def connected(self, link: Link) -> bool:
        """Take a new connection; True holds it: no byte is read or written before `admit`."""

    def received(self, link: Link, record: Record) -> bool:
        """Take a message of the application; True keeps it from being processed."""

    def changed(self, link: Link, what: str) -> None:
        """Take that a client logged on (`up`) or out (`down`)."""

    def lost(self, link: Link) -> None:
        """Take the end of a connection."""


class Wire(Protocol):
    """One endpoint."""

    port: int

    def start(self) -> Deferred[int]:
        """Listen; fires with the port."""

    def stop(self) -> Deferred[None]:
        """Close everything."""

    def process(self, link: Link, record: Record) -> list[Addressed]:
        """Have a message processed as if it had just come; the answers, to anybody, are kept from the wire."""

    def pause(self, how: str | None) -> Deferred[None]:
        """`refuse` closes the port, `silent` accepts and says nothing, None goes on."""

    def change(self, values: Mapping[str, Any]) -> None:
        """Take the protocol's properties, all of them; they hold for sessions made from now on."""
