"""Listening on an address, IPv4 or IPv6."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

__all__ = ["listen"]

_BACKLOG = 1024  # a thousand clients may come back at one moment


def listen(reactor: Any, host: str, port: int, factory: IProtocolFactory) -> Deferred[IListeningPort]:
    """Listen on a host and port (0: any free one); fails with CannotListenError."""
    make = TCP6ServerEndpoint if ":" in host else TCP4ServerEndpoint
    listening: Deferred[IListeningPort] = make(reactor, port, backlog=_BACKLOG, interface=host).listen(factory)  # type: ignore[no-untyped-call]
    return listening
