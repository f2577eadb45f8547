"""Connections in memory: sequence, latency, closing, and the faults."""

from __future__ import annotations

from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock

from txtrader.net.clock import HeapClock
from txtrader.testing.network import MemoryNetwork


class Recorder(Protocol):
    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.reason = None

    def dataReceived(self, data):
        self.pieces.append(data)

    def connectionLost(self, reason=None):
        assert self.reason is None, "told twice"
        self.reason = reason


def connected(network, clock):
    """Join a client and a server through Twisted's own endpoints."""
    servers: list[Recorder] = []

    def build():
        servers.append(Recorder())
        return servers[-1]

    listening = []
    TCP4ServerEndpoint(network, 0, interface="127.0.0.1").listen(Factory.forProtocol(build)).addCallback(
        listening.append
    )
    clients: list[Recorder] = []
    endpoint = TCP4ClientEndpoint(network, "127.0.0.1", listening[0].getHost().port)
    endpoint.connect(Factory.forProtocol(Recorder)).addCallback(clients.append)
    clock.advance(1)
    return clients[0], servers[0]


def test_bytes_arrive_in_sequence_after_the_latency():
    clock = HeapClock()
    client, server = connected(MemoryNetwork(clock, latency=0.25), clock)
    client.transport.write(b"one")
    client.transport.write(b"two")
    clock.advance(0.2)
    assert server.pieces == []
    clock.advance(0.1)
    assert server.pieces == [b"one", b"two"]


def test_a_slice_size_cuts_what_arrives():
    clock = Clock()
    client, server = connected(MemoryNetwork(clock, slice_size=2), clock)
    client.transport.write(b"abcde")
    clock.advance(0)
    assert server.pieces == [b"ab", b"cd", b"e"]


def test_a_close_arrives_after_the_last_bytes_and_once():
    clock = Clock()
    client, server = connected(MemoryNetwork(clock), clock)
    client.transport.write(b"bye")
    client.transport.loseConnection()
    client.transport.write(b"not any more")
    clock.advance(0)
    assert server.pieces == [b"bye"]
    assert server.reason.check(ConnectionDone)
    assert client.reason.check(ConnectionDone)


def test_an_abort_loses_what_is_under_way():
    clock = Clock()
    client, server = connected(MemoryNetwork(clock), clock)
    client.transport.write(b"lost")
    client.transport.abortConnection()
    clock.advance(0)
    assert server.pieces == []
    assert server.reason.check(ConnectionLost)
    assert client.reason.check(ConnectionAborted)


def test_a_silent_connection_stays_open_and_carries_nothing():
    clock = Clock()
    network = MemoryNetwork(clock)
    client, server = connected(network, clock)
    network.connections[0].is_silent = True
    client.transport.write(b"anybody?")
    clock.advance(1)
    assert server.pieces == []
    assert client.reason is None


def test_a_paused_reader_gets_everything_later():
    clock = Clock()
    client, server = connected(MemoryNetwork(clock), clock)
    server.transport.pauseProducing()
    client.transport.write(b"wait")
    clock.advance(0)
    assert server.pieces == []
    server.transport.resumeProducing()
    assert server.pieces == [b"wait"]


def test_nobody_listening_is_a_refused_connection():
    clock = Clock()
    failures = []
    endpoint = TCP4ClientEndpoint(MemoryNetwork(clock), "127.0.0.1", 1)
    endpoint.connect(Factory.forProtocol(Recorder)).addErrback(failures.append)
    clock.advance(1)
    assert failures[0].check(Refused)
