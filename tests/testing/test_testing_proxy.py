"""The fault proxy does each fault it names, on real sockets."""

from __future__ import annotations

import struct

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, TimeoutError, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.protocol import Factory, Protocol

from txtrader.testing.frames import LineSplitter, TwsClientSplitter, TwsServerSplitter, tws_fields
from txtrader.testing.proxy import FaultProxy, drop_frame, hold_until_next, repeat_frame


class Peer(Protocol):
    """Collects bytes; `until(n)` fires when there are n of them, `lost` when the connection is."""

    def __init__(self) -> None:
        self.data = b""
        self.reads = 0
        self.lost: Deferred = Deferred()
        self._waiting: list[tuple[int, Deferred]] = []

    def until(self, size: int) -> Deferred:
        waiting: Deferred = Deferred()
        self._waiting.append((size, waiting))
        self._check()
        return waiting.addTimeout(10, reactor)

    def dataReceived(self, data):
        self.reads += 1
        self.data += data
        self._check()

    def _check(self):
        for size, waiting in list(self._waiting):
            if len(self.data) >= size and not waiting.called:
                waiting.callback(self.data)

    def connectionLost(self, reason=None):
        self.lost.callback(reason.value)


class Echo(Peer):
    def dataReceived(self, data):
        super().dataReceived(data)
        self.transport.write(data)


class Stage:
    """A server, the proxy before it, and clients."""

    def __init__(self, splitters=(None, None), server=Echo) -> None:
        self.servers: list[Peer] = []
        self._listening = reactor.listenTCP(0, Factory.forProtocol(self._build), interface="127.0.0.1")
        self._server = server
        self.proxy = FaultProxy(reactor, "127.0.0.1", self._listening.getHost().port, splitters=splitters)

    def _build(self):
        self.servers.append(self._server())
        return self.servers[-1]

    async def client(self) -> Peer:
        port = await self.proxy.start()
        return await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(Factory.forProtocol(Peer))

    async def close(self) -> None:
        await self.proxy.stop()
        await maybeDeferred(self._listening.stopListening)
        for server in self.servers:
            if server.transport.connected:
                server.transport.abortConnection()
                await server.lost
        assert self.proxy.pairs == []


def runs(splitters=(None, None)):
    """Decorate a test that takes a stage, and tidy up after it."""

    def decorate(body):
        async def test() -> None:
            stage = Stage(splitters)
            try:
                await body(stage)
            finally:
                await stage.close()

        test.__name__ = body.__name__
        return pytest_twisted.ensureDeferred(test)

    return decorate


@runs()
async def test_without_faults_everything_passes(stage):
    client = await stage.client()
    client.transport.write(b"x" * 300_000)
    assert await client.until(300_000) == b"x" * 300_000
    client.transport.loseConnection()
    assert isinstance(await client.lost, ConnectionDone)
    assert isinstance(await stage.servers[0].lost, ConnectionDone)


@runs()
async def test_latency_delays_one_direction(stage):
    client = await stage.client()
    stage.proxy.downstream.latency = 0.1
    client.transport.write(b"hello")
    start = reactor.seconds()
    await client.until(5)
    assert reactor.seconds() - start >= 0.1


@runs()
async def test_bandwidth_spreads_bytes_over_time(stage):
    client = await stage.client()
    stage.proxy.upstream.bandwidth = 10_000
    start = reactor.seconds()
    client.transport.write(b"a" * 1000)
    client.transport.write(b"b" * 1000)
    await client.until(2000)
    assert reactor.seconds() - start >= 0.1


@runs()
async def test_a_stalled_link_carries_nothing_until_healed(stage):
    client = await stage.client()
    client.transport.write(b"one")
    await client.until(3)
    stage.proxy.stall()
    client.transport.write(b"two")
    try:
        await client.until(6).addTimeout(0.05, reactor)
        raise AssertionError("bytes passed a stalled link")
    except TimeoutError:
        pass
    stage.proxy.heal()
    assert await client.until(6) == b"onetwo"


@runs()
async def test_a_swallowing_link_loses_bytes_for_good(stage):
    client = await stage.client()
    client.transport.write(b"one")
    await client.until(3)
    stage.proxy.upstream.is_swallowing = True
    client.transport.write(b"two")
    stage.proxy.downstream.is_swallowing = True
    # The echo of "one" is long through; a marker after the heal shows that "two" is gone.
    await Deferred.fromCoroutine(turn())
    stage.proxy.heal()
    client.transport.write(b"three")
    assert await client.until(8) == b"onethree"


async def turn():
    """Let the reactor look at its sockets."""
    waiting: Deferred = Deferred()
    reactor.callLater(0.05, waiting.callback, None)
    await waiting


@runs()
async def test_reset_all_breaks_both_sides_with_a_rst(stage):
    client = await stage.client()
    client.transport.write(b"one")
    await client.until(3)
    stage.proxy.reset_all()
    for reason in (await client.lost, await stage.servers[0].lost):
        assert isinstance(reason, ConnectionLost)


@runs()
async def test_slices_arrive_as_reads_of_their_own(stage):
    client = await stage.client()
    stage.proxy.upstream.slice_size = 1
    client.transport.write(b"abcdef")
    assert await client.until(6) == b"abcdef"
    assert stage.servers[0].reads > 1


@runs()
async def test_a_byte_limit_cuts_in_mid_message(stage):
    client = await stage.client()
    stage.proxy.downstream.byte_limit = 7
    client.transport.write(b"0123456789")
    await client.lost
    assert client.data == b"0123456"


@runs()
async def test_a_close_can_be_slow(stage):
    client = await stage.client()
    client.transport.write(b"one")
    await client.until(3)
    stage.proxy.downstream.close_delay = 0.1
    start = reactor.seconds()
    stage.servers[0].transport.loseConnection()
    await client.lost
    assert reactor.seconds() - start >= 0.1


@runs()
async def test_a_refusing_proxy_keeps_what_stands_and_takes_nobody_new(stage):
    client = await stage.client()
    client.transport.write(b"one")
    await client.until(3)
    port = stage.proxy.port
    await stage.proxy.refuse()
    try:
        await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(Factory.forProtocol(Peer))
        raise AssertionError("the refusing proxy took a connection")
    except Refused:
        pass
    client.transport.write(b"two")
    await client.until(6)
    assert (await stage.proxy.start()) == port
    again = await stage.client()
    again.transport.write(b"three")
    await again.until(5)


@runs()
async def test_a_hanging_proxy_accepts_and_says_nothing(stage):
    stage.proxy.is_hanging = True
    client = await stage.client()
    client.transport.write(b"hello")
    await turn()
    assert client.data == b""
    assert stage.servers == []


@runs()
async def test_a_dead_target_is_seen_as_a_broken_connection(stage):
    await stage._listening.stopListening()
    client = await stage.client()
    assert (await client.lost) is not None


LINES = (LineSplitter, LineSplitter)


@runs(LINES)
async def test_single_messages_can_be_dropped_and_repeated(stage):
    client = await stage.client()
    stage.proxy.upstream.frames = lambda frame: (
        drop_frame(frame) if frame == b"drop\n" else repeat_frame(frame) if frame == b"twice\n" else ((0.0, frame),)
    )
    client.transport.write(b"drop\ntwice\nlast\n")
    assert await client.until(17) == b"twice\ntwice\nlast\n"


@runs(LINES)
async def test_messages_can_change_places(stage):
    client = await stage.client()
    stage.proxy.upstream.frames = hold_until_next()
    client.transport.write(b"1\n2\n3\n4\n")
    assert await client.until(8) == b"2\n1\n4\n3\n"


@runs(LINES)
async def test_a_single_message_can_be_late(stage):
    client = await stage.client()
    stage.proxy.upstream.frames = lambda frame: ((0.05 if frame == b"1\n" else 0.0, frame),)
    client.transport.write(b"1\n2\n")
    assert await client.until(4) == b"2\n1\n"


@runs(LINES)
async def test_the_connection_can_end_after_a_number_of_messages(stage):
    client = await stage.client()
    stage.proxy.downstream.frame_limit = 2
    client.transport.write(b"1\n2\n3\n")
    await client.lost
    assert client.data == b"1\n2\n"


def frame(*fields: str) -> bytes:
    body = "".join(field + "\0" for field in fields).encode()
    return struct.pack(">I", len(body)) + body


def test_tws_splitters_cut_any_stream_into_the_same_frames():
    stream = b"API\0" + frame("v100..157") + frame("71", "2", "0", "") + frame("49", "1")
    for size in (1, 2, 3, 7, len(stream)):
        splitter = TwsClientSplitter()
        pieces = [
            piece for start in range(0, len(stream), size) for piece in splitter.feed(stream[start : start + size])
        ]
        assert b"".join(pieces) == stream
        assert [tws_fields(piece) for piece in pieces] == [[], ["v100..157"], ["71", "2", "0", ""], ["49", "1"]]
    server = TwsServerSplitter()
    assert server.feed(frame("157", "now") + b"\0\0") == [frame("157", "now")]
    assert server.rest() == b"\0\0"
