"""WebSocket as a transport, over real loopback sockets, both roles, and against an independent client."""

from __future__ import annotations

import time

import pytest_twisted
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from certificates import make_certificate
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import SSL4ServerEndpoint, TCP4ClientEndpoint, TCP4ServerEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory, Protocol

from txtrader.errors import RemoteProtocolError
from txtrader.net.tls import client_options, server_context
from txtrader.net.websocket import WebSocketLimits, WebSocketListener, client_pump, server_pump


class Echo:
    """A session of whole messages: what comes in is an event, what is sent goes out; `bad` breaks its protocol."""

    def __init__(self):
        self.inbox, self.outbox, self.eofs = [], [], 0

    def receive_data(self, data):
        self.inbox.append(data)

    def receive_eof(self):
        self.eofs += 1

    def next_event(self):
        if not self.inbox:
            return None
        data = self.inbox.pop(0)
        if data == b"bad":
            raise RemoteProtocolError("bad words")
        return data

    def send(self, message):
        self.outbox.append(message)

    def data_to_send(self):
        return self.outbox.pop(0) if self.outbox else b""

    def next_deadline(self):
        return None

    def handle_timeout(self, now):
        pass


class End:
    """One end: its pump, what it heard, how it ended."""

    def __init__(self):
        self.heard, self.lost, self.opened, self.violations = [], [], 0, []
        self.wakers = []
        self.pump = None

    def on_event(self, event):
        self.heard.append(event)
        self.wake()

    def on_open(self):
        self.opened += 1
        self.wake()

    def on_lost(self, failure):
        self.lost.append(failure)
        self.wake()

    def on_violation(self, error):
        self.violations.append(str(error))

    def wake(self):
        wakers, self.wakers = self.wakers, []
        for waker in wakers:
            waker.callback(None)

    async def until(self, fits, seconds=5.0):
        late = reactor.callLater(seconds, self.wake)
        end = time.monotonic() + seconds
        while not fits():
            assert time.monotonic() < end, (self.heard, self.lost)
            waker = Deferred()
            self.wakers.append(waker)
            await waker
        late.cancel() if late.active() else None

    def callbacks(self):
        return {
            "on_event": self.on_event,
            "on_lost": self.on_lost,
            "on_open": self.on_open,
            "on_violation": self.on_violation,
        }


class Room:
    """A listening server and the ends of its connections."""

    def __init__(self, **server):
        self.ends, self.server, self.delay = [], server, 0.0
        self.clients = []

    async def open(self, tls=None):
        def build(addr):
            end = End()
            end.pump = server_pump(Echo(), reactor, **end.callbacks(), **self.server)
            self.ends.append(end)
            return end.pump

        listener = WebSocketListener(build, reactor, handshake_delay=self.delay)
        endpoint = (
            TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
            if tls is None
            else SSL4ServerEndpoint(reactor, 0, tls, interface="127.0.0.1")
        )
        self.port = await endpoint.listen(listener)
        return self.port.getHost().port

    async def client(self, tls=None, **more):
        end = End()
        port = self.port.getHost().port
        scheme = "ws" if tls is None else "wss"
        end.pump = client_pump(Echo(), reactor, url=f"{scheme}://127.0.0.1:{port}/", **end.callbacks(), **more)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        if tls is not None:
            endpoint = wrapClientTLS(tls, endpoint)
        self.clients.append(end)
        await endpoint.connect(Factory.forProtocol(lambda: end.pump.protocol))
        return end

    async def close(self):
        for end in [*self.clients, *self.ends]:
            if end.pump.protocol.transport is not None and not end.lost:
                end.pump.abort()
                await end.until(lambda end=end: end.lost)
        await self.port.stopListening()


def room(**server):
    def wrap(body):
        @pytest_twisted.ensureDeferred
        async def test():
            place = Room(**server)
            await place.open()
            try:
                await body(place)
            finally:
                await place.close()

        test.__name__, test.__doc__ = body.__name__, body.__doc__
        return test

    return wrap


@room()
async def test_messages_keep_their_bounds_whatever_their_size(place):
    client = await place.client()
    await client.until(lambda: client.opened)
    sizes = [1, 2, 125, 126, 127, 65535, 65536, 200_000]
    for size in sizes:
        client.pump.send(bytes([size % 251]) * size)
    server = place.ends[0]
    await server.until(lambda: len(server.heard) == len(sizes))
    assert [len(one) for one in server.heard] == sizes
    for one in server.heard:
        server.pump.session.send(one)
    server.pump.flush()
    await client.until(lambda: len(client.heard) == len(sizes))
    assert client.heard == server.heard


@room()
async def test_close_is_told_to_both_once(place):
    client = await place.client()
    await client.until(lambda: client.opened)
    client.pump.send(b"last words")
    client.pump.close()
    await client.until(lambda: client.lost)
    (server,) = place.ends
    await server.until(lambda: server.lost)
    assert server.heard == [b"last words"]
    assert len(client.lost) == len(server.lost) == 1
    assert not server.lost[0].check(RemoteProtocolError)
    assert server.pump.session.eofs == 1


@room()
async def test_a_breach_of_the_sessions_protocol_ends_the_link_after_last_words(place):
    client = await place.client()
    await client.until(lambda: client.opened)
    client.pump.send(b"good")
    client.pump.send(b"bad")
    (server,) = place.ends
    server.on_violation = None
    server.pump.on_violation = lambda error: server.pump.session.send(str(error).encode())
    await client.until(lambda: client.lost)
    assert client.heard == [b"bad words"]
    await server.until(lambda: server.lost)
    assert server.heard == [b"good"]
    assert server.lost[0].check(RemoteProtocolError)


@room(limits=WebSocketLimits(message_bytes=1000))
async def test_a_message_that_is_too_long_ends_the_link(place):
    client = await place.client()
    await client.until(lambda: client.opened)
    client.pump.send(b"x" * 1000)
    client.pump.send(b"x" * 1001)
    (server,) = place.ends
    await server.until(lambda: server.lost)
    assert [len(one) for one in server.heard] == [1000]
    assert server.lost[0].check(RemoteProtocolError)


class Foreign(WebSocketClientProtocol):
    """A client of another make: it sends what it is told to, and pings."""

    def onOpen(self):
        self.factory.ready.callback(self)

    def onMessage(self, payload, is_binary):
        self.factory.heard.append((payload, is_binary))

    def onPong(self, payload):
        self.factory.ponged.callback(payload)


async def foreign(place, url="ws://127.0.0.1:{}/some/path?x=1", **headers):
    port = place.port.getHost().port
    factory = WebSocketClientFactory(url.format(port), reactor=reactor, **headers)
    factory.protocol, factory.noisy = Foreign, False
    factory.ready, factory.ponged, factory.heard = Deferred(), Deferred(), []
    await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(factory)
    return await factory.ready


@room()
async def test_fragments_and_pings_of_other_clients_are_understood(place):
    client = await foreign(place)
    client.sendMessage(b"in many pieces", isBinary=True, fragmentSize=3)
    client.sendPing(b"there?")
    assert await client.factory.ponged == b"there?"
    (server,) = place.ends
    assert server.heard == [b"in many pieces"]


@room()
async def test_a_text_message_is_refused(place):
    client = await foreign(place)
    client.sendMessage(b"hello", isBinary=False)
    (server,) = place.ends
    await server.until(lambda: server.lost)
    assert server.lost[0].check(RemoteProtocolError)
    assert server.violations == ["a text message; messages are binary here"]


class Raw(Protocol):
    def connectionMade(self):
        self.got, self.over, self.said = b"", Deferred(), Deferred()
        self.transport.write(self.factory.words)

    def dataReceived(self, data):
        self.got += data
        if not self.said.called:
            self.said.callback(None)

    def connectionLost(self, reason):
        self.over.callback(self.got)


async def raw(place, words):
    factory = Factory.forProtocol(Raw)
    factory.words, factory.noisy = words, False
    return await TCP4ClientEndpoint(reactor, "127.0.0.1", place.port.getHost().port).connect(factory)


@room()
async def test_what_is_no_websocket_is_turned_away_and_told_once(place):
    peer = await raw(place, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await peer.over).startswith(b"HTTP/1.1 426")
    (server,) = place.ends
    await server.until(lambda: server.lost)
    assert len(server.lost) == 1 and server.lost[0].check(RemoteProtocolError)
    assert server.opened == 0


@room(limits=WebSocketLimits(handshake=0.2))
async def test_a_silent_peer_is_let_go(place):
    peer = await raw(place, b"GET / HT")
    await peer.over
    (server,) = place.ends
    await server.until(lambda: server.lost)
    assert server.lost[0].check(RemoteProtocolError)


@room()
async def test_host_without_port_and_any_path(place):
    key = b"dGhlIHNhbXBsZSBub25jZQ=="
    words = b"GET /any HTTP/1.1\r\nHost: demo\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    peer = await raw(place, words + b"Sec-WebSocket-Key: " + key + b"\r\nSec-WebSocket-Version: 13\r\n\r\n")
    (server,) = place.ends
    await server.until(lambda: server.opened)
    await peer.said
    assert peer.got.startswith(b"HTTP/1.1 101")
    assert b"Sec-WebSocket-Protocol" not in peer.got and b"Extensions" not in peer.got
    peer.transport.abortConnection()


@pytest_twisted.ensureDeferred
async def test_a_late_handshake_answer_loses_nothing():
    place = Room()
    place.delay = 0.2
    await place.open()
    began = time.monotonic()
    client = await place.client()
    await client.until(lambda: client.opened)
    assert time.monotonic() - began >= 0.2
    client.pump.send(b"x")
    await place.ends[0].until(lambda: place.ends[0].heard)
    await place.close()


@pytest_twisted.ensureDeferred
async def test_over_tls_with_a_certificate_that_is_trusted_and_not_otherwise(tmp_path):
    make_certificate(tmp_path)
    certificate, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    place = Room()
    await place.open(tls=server_context(certificate, key))
    trusted = client_options("localhost", certificate)
    client = await place.client(tls=trusted)
    await client.until(lambda: client.opened)
    client.pump.send(b"x" * 100_000)
    await place.ends[0].until(lambda: place.ends[0].heard)
    stranger = await place.client(tls=client_options("localhost"))
    await stranger.until(lambda: stranger.lost)
    assert stranger.opened == 0 and len(stranger.lost) == 1
    await place.close()


@room()
async def test_frames_that_come_in_pieces_or_many_at_once_are_the_same(place):
    client = await place.client()
    await client.until(lambda: client.opened)
    channel = client.pump.protocol
    frames = [b"\x82\x03abc", b"\x82\x7e\x01\x00" + b"y" * 256, b"\x89\x00", b"\x02\x01p", b"\x80\x01q", b"\x82\x00"]
    stream = b"".join(frames)
    for width in (1, 2, 3, 5, 7, 64, 300, len(stream)):
        known = len(client.heard)
        for start in range(0, len(stream), width):
            channel.dataReceived(stream[start : start + width])
        assert client.heard[known:] == [b"abc", b"y" * 256, b"pq", b""], width


@room()
async def test_what_the_hot_path_reads_of_autobahn_is_there(place):
    client = await place.client()
    await client.until(lambda: client.opened)
    channel = client.pump.protocol
    assert channel.is_up and channel.data == b"" and channel.current_frame is None and not channel.inside_message
    channel.dataReceived(b"\x02")  # the first piece of a message: autobahn's
    assert channel.data == b"\x02"
    channel.dataReceived(b"\x05ab")
    assert channel.current_frame is not None
    channel.dataReceived(b"cde")
    assert channel.current_frame is None and channel.inside_message
    channel.dataReceived(b"\x80\x01f\x82\x01g")
    assert client.heard == [b"abcdef", b"g"] and not channel.inside_message


@room()
async def test_small_messages_do_not_wait_for_each_others_acknowledgement(place):
    client = await place.client()
    await client.until(lambda: client.opened)
    for end in (client, place.ends[0]):
        assert end.pump.protocol.transport.getTcpNoDelay()
