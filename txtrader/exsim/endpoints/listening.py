"""The port of an endpoint: open, closed, refusing for a while, and always the same number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol

__all__ = ["Clients", "Listening"]


class Clients(Factory):
    """Makes the protocol of each client; where `build` answers None the client is cut."""

    noisy = False

    def __init__(self, build: Callable[[], Protocol | None]) -> None:
        self._build = build

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        return self._build()


class Listening:
    """A port on `interface`, with TLS where `tls` is a context factory.

    `number` 0 is any free port at the first opening, and from then on the one that it was.
    """

    def __init__(
        self, reactor: Any, factory: IProtocolFactory, *, number: int, interface: str, tls: Any = None
    ) -> None:
        self.number = number
        self.interface = interface
        self._reactor = reactor
        self._factory = factory
        self._tls = tls
        self._port: IListeningPort | None = None
        self._is_refusing = False

    @property
    def is_open(self) -> bool:
        """Tell whether clients can connect."""
        return self._port is not None

    def open(self) -> int:
        """Listen, if not yet; return the number.  Raises CannotListenError."""
        self._is_refusing = False
        if self._port is None:
            if self._tls is None:
                port = self._reactor.listenTCP(self.number, self._factory, interface=self.interface)
            else:
                port = self._reactor.listenSSL(self.number, self._factory, self._tls, interface=self.interface)
            self._port = port
            self.number = getattr(port.getHost(), "port", self.number)
        return self.number

    def close(self) -> Deferred[None]:
        """Listen no more; the Deferred fires when the port is free."""
        self._is_refusing = False
        port, self._port = self._port, None
        if port is None:
            return succeed(None)
        return port.stopListening() or succeed(None)

    def refuse(self) -> Deferred[None]:
        """Close the port until `open`, or until `end_refusal` finds that nobody has closed it for good."""
        closed = self.close()
        self._is_refusing = True
        return closed

    def end_refusal(self) -> None:
        """Open the port where it is closed by `refuse`."""
        if self._is_refusing:
            self.open()
