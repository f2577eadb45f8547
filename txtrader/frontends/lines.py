"""The line protocol: text lines over TCP, commands in, replies and events out.

    <- .connected: TWS Gateway
    -> auth alice ******** {"sequence":true}
    <- .Authorized tws
    <- .sequences: {"order":{"epoch":"e5c1","seq":42,"tag":"07cea1f30b5d9c22"}}
    -> @7 limitorder IBM 124.5 100 {"client_order_id":"mr-17"}
    <- @7 tws.order: {"id":"TX-7K2M-000042","status":"New",...}
    <- tws.order.TX-7K2M-000042: {"id":"TX-7K2M-000042","status":"Filled",...}

This module listens; one connection is in `lines_connection`.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger

from txtrader.errors import Throttled
from txtrader.frontends.base import Shared
from txtrader.frontends.lines_connection import House, LineConnection
from txtrader.frontends.text import error_text
from txtrader.net.listen import listen
from txtrader.version import __date__, __version__

__all__ = ["LineFrontend"]

_LAST_EVENTS = 1.0  # seconds that a stop waits for the journal, to tell what was published last
_NAMES = {"tws": "TWS", "cqg": "CQG", "dtc": "DTC", "fix": "FIX", "demo": "Demo"}


class _Refusal(Protocol):
    """Says why and closes: for those who find the house full."""

    def __init__(self, line: bytes) -> None:
        self._line = line

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.write(self._line)
        transport.loseConnection()


class _Factory(Factory):
    noisy = False

    def __init__(self, frontend: LineFrontend) -> None:
        self._frontend = frontend

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        return self._frontend.admit(sys.intern(getattr(addr, "host", "local")))


class LineFrontend:
    """Listens for the line protocol."""

    name = "tcp"
    _log = Logger()

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.connections: dict[LineConnection, None] = {}
        self._port: IListeningPort | None = None
        self._house = House(shared, self.greeting, self._left)

    @property
    def greeting(self) -> str:
        """The first line to a client."""
        mode = self.shared.gateway.modes[0]
        text = f".connected: {_NAMES.get(mode, mode.upper())} Gateway"
        if self.shared.settings.greeting == "full":
            host = socket.gethostname()
            text += f" {__version__} {__date__} TxTrader Securities Trading API Controller on {host}"
        return text

    def start(self) -> Deferred[int]:
        """Listen; fires with the port."""
        settings = self.shared.settings

        def listening(port: IListeningPort) -> int:
            self._port = port
            number: int = getattr(port.getHost(), "port", 0)
            self._log.info("lines: listening on {host} port {port}", host=settings.host, port=number)
            return number

        return listen(self.shared.reactor, settings.host, settings.tcp_port or 0, _Factory(self)).addCallback(listening)

    def stop(self) -> Deferred[None]:
        """Listen no more and close every connection; fires when all are gone."""
        port, self._port = self._port, None
        stopped: Deferred[Any] = succeed(None)
        if port is not None:
            stopped = port.stopListening() or stopped
        # What has been published, the last status above all, is told when it is durable: a moment from now.
        told = self.shared.gateway.stream.journal.barrier()
        told.addTimeout(_LAST_EVENTS, self.shared.reactor)
        told.addErrback(lambda failure: self._log.warn("lines: the last events were not told to every client"))
        told.addCallback(lambda _: self._close_all())
        return DeferredList([stopped, told]).addCallback(lambda results: None)

    def _close_all(self) -> Deferred[Any]:
        waiting = [connection.when_gone() for connection in self.connections]
        for connection in list(self.connections):
            connection.end()
        self._house.close()
        gone = DeferredList(waiting)
        # A client that does not read holds up no end: it resumes later from what it has.
        late = self.shared.reactor.callLater(_LAST_EVENTS, self._abort_all)
        gone.addCallback(lambda results: late.cancel() if late.active() else None)
        return gone

    def _abort_all(self) -> None:
        for connection in list(self.connections):
            connection.abort()

    def end_users(self, names: frozenset[str]) -> None:
        """Close the connections of users who are no more, or may less than before."""
        for connection in list(self.connections):
            if connection.user_name in names:
                connection.end()

    def admit(self, address: str) -> Protocol:
        """Return the protocol of a new connection."""
        try:
            visit = self.shared.door.enter(address)
        except Throttled as error:
            return _Refusal(f".error {error_text(error)}\n".encode("ascii"))
        connection = LineConnection(self._house, address, visit)
        self.connections[connection] = None
        return connection

    def _left(self, connection: LineConnection) -> None:
        self.connections.pop(connection, None)
