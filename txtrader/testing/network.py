"""A network in memory: both ends of a TCP connection in one process, on any clock, with faults to order.

`MemoryNetwork` offers what a reactor offers to code that listens and connects (`IReactorTCP`, `IReactorTime`), so
Twisted's own endpoints, our dialer and our listeners run on it unchanged.  Bytes take `latency` seconds each way and
arrive cut into pieces of at most `slice_size`; nothing happens but when the clock runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import CannotListenError, ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.interfaces import (
    IConnector,
    IDelayedCall,
    IListeningPort,
    IProtocol,
    IReactorTCP,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import ClientFactory, ServerFactory
from twisted.python.failure import Failure
from zope.interface import implementer

__all__ = ["MemoryConnection", "MemoryNetwork", "MemoryTransport"]

FIRST_PORT = 40_000


@implementer(ITCPTransport)
class MemoryTransport:
    """One end of a connection.  What is written arrives at the other end after the network's latency."""

    def __init__(self, connection: MemoryConnection, host: IPv4Address, peer: IPv4Address) -> None:
        self._connection = connection
        self._host = host
        self._peer = peer
        self.protocol: IProtocol | None = None
        self.other: MemoryTransport = self  # set by the connection
        self.connected = True
        self.disconnecting = False
        self.is_paused = False
        self._held: list[bytes] = []  # arrived while the reader was paused
        self._producer: Any = None
        self.bytes_written = 0

    def write(self, data: bytes) -> None:
        if self.connected and not self.disconnecting and data:
            self.bytes_written += len(data)
            self._connection.carry(self, bytes(data))

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Close after what was written has arrived, as a FIN would."""
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self._connection.carry(self, None)

    def loseWriteConnection(self) -> None:
        self.loseConnection()

    def abortConnection(self) -> None:
        """Close at once, as a RST would: what is under way is lost."""
        if self.connected:
            self._connection.cut(by=self)

    def getHost(self) -> IPv4Address:
        return self._host

    def getPeer(self) -> IPv4Address:
        return self._peer

    def getTcpNoDelay(self) -> bool:
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Accept: nothing is ever delayed here but by order."""

    def getTcpKeepAlive(self) -> bool:
        return False

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Accept: a silent connection is made with `MemoryConnection.is_silent`."""

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._producer = producer
        if not streaming:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:
        self._producer = None

    def pauseProducing(self) -> None:
        self.is_paused = True

    def resumeProducing(self) -> None:
        self.is_paused = False
        held, self._held = self._held, []
        for piece in held:
            self.arrive(piece)

    def stopProducing(self) -> None:
        self.loseConnection()

    def arrive(self, data: bytes) -> None:
        """Take bytes from the network."""
        if not self.connected or self.protocol is None:
            return
        if self.is_paused:
            self._held.append(data)
        else:
            self.protocol.dataReceived(data)

    def drop(self, reason: Exception) -> None:
        """Tell the protocol, once, that the connection is over."""
        if self.connected:
            self.connected = False
            self._held.clear()
            if self.protocol is not None:
                self.protocol.connectionLost(Failure(reason))


class MemoryConnection:
    """Both ends of one connection, and what may happen to it.

    `is_silent` keeps it open and loses all bytes in both directions: a half-open link.
    """

    def __init__(self, network: MemoryNetwork, client: IPv4Address, server: IPv4Address) -> None:
        self._network = network
        self.client = MemoryTransport(self, client, server)
        self.server = MemoryTransport(self, server, client)
        self.client.other = self.server
        self.server.other = self.client
        self.is_silent = False
        self.is_cut = False

    def carry(self, sender: MemoryTransport, data: bytes | None) -> None:
        """Deliver `data` (None: the sender's end) to the other side after the latency."""
        if self.is_silent:
            if data is None:  # a FIN that nobody hears: the sender's own socket is gone all the same
                self._network.callLater(0, sender.drop, ConnectionDone())
            return
        self._network.callLater(self._network.latency, self._deliver, sender, data)

    def cut(self, *, by: MemoryTransport | None = None) -> None:
        """Break the connection at once; bytes under way are lost.  `by` is the end that aborted it, if one did."""
        self.is_cut = True
        for end in (self.client, self.server):
            reason: Exception = ConnectionAborted() if end is by else ConnectionLost()
            self._network.callLater(0, end.drop, reason)

    def _deliver(self, sender: MemoryTransport, data: bytes | None) -> None:
        if self.is_cut or self.is_silent:
            return
        if data is None:
            sender.other.drop(ConnectionDone())
            sender.drop(ConnectionDone())
            return
        size = self._network.slice_size or len(data)
        for start in range(0, len(data), size):
            sender.other.arrive(data[start : start + size])


@implementer(IListeningPort)
class _Port:
    def __init__(self, network: MemoryNetwork, number: int, factory: ServerFactory, interface: str) -> None:
        self._network = network
        self.number = number
        self.factory = factory
        self._interface = interface or "127.0.0.1"

    def startListening(self) -> None:
        self._network.ports[self.number] = self
        self.factory.doStart()

    def stopListening(self) -> None:
        if self._network.ports.pop(self.number, None) is not None:
            self.factory.doStop()

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", self._interface, self.number)


@implementer(IConnector)
class _Connector:
    def __init__(self, network: MemoryNetwork, host: str, port: int, factory: ClientFactory[Any]) -> None:
        self._network = network
        self._host = host
        self._port = port
        self.factory = factory
        self._attempt: IDelayedCall | None = None
        self.connection: MemoryConnection | None = None

    def connect(self) -> None:
        self.factory.doStart()
        self.factory.startedConnecting(self)
        self._attempt = self._network.callLater(self._network.latency, self._try)

    def stopConnecting(self) -> None:
        if self._attempt is not None and self._attempt.active():
            self._attempt.cancel()
            self._fail(Refused())

    def disconnect(self) -> None:
        if self.connection is not None:
            self.connection.client.loseConnection()
        else:
            self.stopConnecting()

    def getDestination(self) -> IPv4Address:
        return IPv4Address("TCP", self._host, self._port)

    def _try(self) -> None:
        port = self._network.ports.get(self._port)
        if port is None:
            self._fail(Refused())
            return
        connection = self._network.join(self._port)
        client_protocol = self.factory.buildProtocol(connection.server.getHost())
        server_protocol = port.factory.buildProtocol(connection.client.getHost())
        if client_protocol is None or server_protocol is None:
            self._fail(Refused())
            return
        self.connection = connection
        connection.client.protocol, connection.server.protocol = client_protocol, server_protocol
        server_protocol.makeConnection(connection.server)
        client_protocol.makeConnection(connection.client)

    def _fail(self, reason: Exception) -> None:
        self.factory.clientConnectionFailed(self, Failure(reason))
        self.factory.doStop()


@implementer(IReactorTCP, IReactorTime)
class MemoryNetwork:
    """The reactor's TCP and time in memory.

    `clock` is a `HeapClock` for simulations, a `task.Clock` for small tests, or a real reactor.  `latency` is in
    seconds, `slice_size` in bytes (None: as written).
    """

    def __init__(self, clock: IReactorTime, *, latency: float = 0.0, slice_size: int | None = None) -> None:
        self._clock = clock
        self.latency = latency
        self.slice_size = slice_size
        self.ports: dict[int, _Port] = {}
        self.connections: list[MemoryConnection] = []
        self._next_port = FIRST_PORT

    def seconds(self) -> float:
        return self._clock.seconds()

    def callLater(self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object) -> IDelayedCall:
        return self._clock.callLater(delay, callable, *args, **kwargs)

    def getDelayedCalls(self) -> Any:
        return self._clock.getDelayedCalls()

    def listenTCP(self, port: int, factory: ServerFactory, backlog: int = 50, interface: str = "") -> IListeningPort:
        number = port or self._free_port()
        if number in self.ports:
            raise CannotListenError(interface, number, OSError("already in use"))
        listening = _Port(self, number, factory, interface)
        listening.startListening()
        return listening

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: ClientFactory[Any],
        timeout: float = 30.0,
        bindAddress: tuple[str, int] | None = None,
    ) -> IConnector:
        connector = _Connector(self, host, port, factory)
        connector.connect()
        return connector

    def join(self, port: int) -> MemoryConnection:
        """Make a connection to `port` that has no protocols yet."""
        client = IPv4Address("TCP", "127.0.0.1", self._free_port())
        connection = MemoryConnection(self, client, IPv4Address("TCP", "127.0.0.1", port))
        self.connections = [known for known in self.connections if known.client.connected or known.server.connected]
        self.connections.append(connection)
        return connection

    def _free_port(self) -> int:
        self._next_port += 1
        return self._next_port
