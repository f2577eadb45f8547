"""WebSocket as a transport, both roles: a wire session of whole messages is driven over it as over a socket.

    TCP or TLS  ->  channel (autobahn: handshake, frames, closing)  ->  WebSocketPump  ->  session

One binary WebSocket message is one `receive_data` of the session; each `data_to_send` is one message.  Text messages
break the protocol.  No sub-protocol and no compression is offered, and no WebSocket ping is sent: the protocols that
run over it have their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure

from txtrader.errors import RemoteProtocolError
from txtrader.net.eager import write_eagerly
from txtrader.net.outbound import Outbound
from txtrader.net.pump import Pump
from txtrader.wire.session import Session

__all__ = ["WebSocketLimits", "WebSocketListener", "WebSocketPump", "client_pump", "server_pump"]

_NORMAL = 1000  # the close code of a normal end
_OPEN: int = WebSocketClientProtocol.STATE_OPEN
_FINAL_BINARY = 0x82
_GOODBYE = 1.0  # seconds that the peer has for its part of the closing handshake


class WebSocketLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer may do: bytes of a message, seconds for the opening handshake."""

    message_bytes: int = 4 * 1024 * 1024
    handshake: float = 15.0


class WebSocketPump(Pump):
    """Drives `session` over WebSocket messages; the face and the promises are those of `Pump`.

    `protocol` is what the reactor talks to: give that to an endpoint.  `on_open` comes after the opening handshake;
    a connection that ends before is told to `on_lost` like any other.
    """

    __slots__ = ("attach_bytes", "protocol")

    protocol: _Channel
    attach_bytes: Callable[[Any], Outbound] | None

    def dataReceived(self, data: bytes) -> None:
        """Take one whole message, of any length."""
        if not self._is_ending:
            self._take(data)

    def pull(self) -> None:
        """Deliver what the session was given meanwhile."""
        if not self._is_ending:
            self._pull()

    def _write(self) -> None:
        if self._is_ending or not self.connected or not self.protocol.is_up:
            return  # the peer may be saying goodbye already: nobody reads what would be said
        while data := self.session.data_to_send():
            self._emit(data)

    def _emit(self, data: bytes) -> None:
        if self.protocol.is_up:
            self.protocol.send_message(data)

    def fail(self, reason: Failure) -> None:
        """End with `reason`, whatever the transport says next."""
        if self._reason is None:
            self._reason = reason

    def abort(self) -> None:
        """Close at once, also before the handshake is through."""
        if self.transport is None:
            self.protocol.abort_early()
        else:
            super().abort()

    def close(self) -> None:
        """Send what is to be sent, then close, also before the handshake is through."""
        if self.transport is None:
            self.protocol.abort_early()
        else:
            super().close()

    def _hang_up(self) -> None:
        if self.outbound is None or self.outbound.is_stalled:
            super()._hang_up()
        elif self.transport is not None:
            # The goodbye of WebSocket goes out through the queue, and closes it when it is answered.
            self.transport.loseConnection()

    def refuse_text(self) -> None:
        """Drop a peer that sent a text message."""
        self._drop(RemoteProtocolError("a text message; messages are binary here"))


class _Quiet:
    """autobahn's log goes nowhere: whatever ends a connection is told to `on_lost`, and its owner logs that."""

    def _nothing(self, *args: Any, **kwargs: Any) -> None:
        pass

    trace = debug = info = warn = error = critical = failure = _nothing


class _Bytes:
    """What autobahn takes for its transport: writes go out eagerly, or through a bounded queue."""

    def __init__(self, transport: Any, outbound: Outbound | None) -> None:
        self._transport = transport
        self.outbound = outbound

    def write(self, data: bytes) -> None:
        if self.outbound is not None:
            self.outbound.write(data)
        else:
            write_eagerly(self._transport, data)

    def loseConnection(self) -> None:
        if self.outbound is not None:
            self.outbound.close()
        else:
            self._transport.loseConnection()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # it provides no interface: autobahn would take a TLS one to pieces
            raise AttributeError(name)
        return getattr(self._transport, name)


class _Messages:
    """What the pump takes for its transport: closing says goodbye in WebSocket first."""

    def __init__(self, channel: _Channel) -> None:
        self._channel = channel
        self._transport: Any = channel.transport

    def write(self, data: bytes) -> None:
        self._channel.send_message(data)

    def loseConnection(self) -> None:
        if self._channel.is_up:
            self._channel.sendClose(_NORMAL)
        else:
            self._transport.loseConnection()

    def abortConnection(self) -> None:
        self._transport.abortConnection()

    def pauseProducing(self) -> None:
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        self._transport.resumeProducing()

    def getPeer(self) -> Any:
        return self._transport.getPeer()

    def getHost(self) -> Any:
        return self._transport.getHost()


class _Channel:
    """One WebSocket connection of either role, mixed into autobahn's protocol class."""

    pump: WebSocketPump
    options: Any  # autobahn's factory
    factory: Any
    transport: Any
    state: int
    data: bytes
    current_frame: Any
    inside_message: bool
    maxMessagePayloadSize: int
    sendClose: Callable[..., None]
    sendMessage: Callable[..., None]
    failedByMe: bool
    droppedByMe: bool
    wasNotCleanReason: str | None
    _is_aborted = False
    _late: IDelayedCall | None = None
    _early: bytes | None = None
    _tail = b""  # the first bytes of a plain frame whose rest has not come

    @property
    def is_up(self) -> bool:
        return bool(self.state == _OPEN)

    def send_message(self, data: bytes) -> None:
        self.sendMessage(data, isBinary=True)

    def abort_early(self) -> None:
        self._is_aborted = True
        if self.transport is not None:
            self.transport.abortConnection()

    def delay_handshake(self, clock: Any, seconds: float) -> None:
        """Hold back what comes until so many seconds have passed."""
        self._early = b""
        self._late = clock.callLater(seconds, self._no_longer_early)

    def _no_longer_early(self) -> None:
        data, self._early = self._early, None
        if data and self.transport is not None:
            self.dataReceived(data)

    # --- what Twisted calls ---

    def makeConnection(self, transport: Any) -> None:
        if self._is_aborted:
            transport.abortConnection()
        if hasattr(transport, "setTcpNoDelay"):
            # autobahn means to, but asks before its options are there: small messages would wait 40 ms for an ack.
            transport.setTcpNoDelay(True)
            transport.setTcpKeepAlive(True)
        self.factory = self.options  # Twisted's factories put themselves there; autobahn asks its own
        attach = self.pump.attach_bytes
        outbound = None if attach is None else attach(transport)
        self.pump.outbound = outbound
        super().makeConnection(_Bytes(transport, outbound))  # type: ignore[misc]  # of the class it is mixed into

    def dataReceived(self, data: bytes) -> None:
        if self._early is not None:
            self._early += data
            return
        data = self._take_plain(data)
        if data:
            super().dataReceived(data)  # type: ignore[misc]  # of the class it is mixed into

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._late is not None and self._late.active():
            self._late.cancel()
        super().connectionLost(reason)  # type: ignore[misc]  # of the class it is mixed into
        pump = self.pump
        if not self._is_aborted and (self.failedByMe or (self.droppedByMe and not pump.connected)):
            pump.fail(Failure(RemoteProtocolError(f"WebSocket: {self.wasNotCleanReason or 'broken'}"[:300])))
        pump.connectionLost(reason)

    # --- what autobahn calls ---

    def onOpen(self) -> None:
        pump: Any = self.pump
        pump.makeConnection(_Messages(self))

    def onMessage(self, payload: bytes, is_binary: bool) -> None:
        if is_binary:
            self.pump.dataReceived(payload)
        else:
            self.pump.refuse_text()

    # --- the hot path ---

    def _take_plain(self, data: bytes) -> bytes:
        """Deliver whole, final, unmasked binary frames straight from the bytes; return what autobahn has to look at.

        Only a server's frames are unmasked, and nearly all of them look like this; autobahn's own way costs many
        times what it takes to decode the message.  A frame that is not all there waits here for its rest.  It is
        asked only between frames of autobahn's, and reads its buffer for that: a test notices when that changes.
        """
        if self._tail:
            data, self._tail = self._tail + data, b""
        elif self.state != _OPEN or self.data or self.current_frame is not None or self.inside_message:
            return data
        session = self.pump.session
        start, end = 0, len(data)
        is_whole = True
        while start < end and data[start] == _FINAL_BINARY:
            body = start + 2
            if body > end:
                break
            size = data[start + 1]
            if size == 126:
                body = start + 4
                size = int.from_bytes(data[start + 2 : body], "big")
                if body > end:
                    break
            if (size > 126 and body == start + 2) or size > self.maxMessagePayloadSize:
                is_whole = False  # masked, or very long: autobahn's
                break
            stop = body + size
            if stop > end:
                break
            session.receive_data(data[body:stop])
            start = stop
        if start:
            self.pump.pull()  # once for all that one read of the socket brought
        if start == end:
            return b""
        if is_whole and data[start] == _FINAL_BINARY and self.state == _OPEN:
            self._tail = data[start:]
            return b""
        return data[start:]


class _ClientChannel(_Channel, WebSocketClientProtocol):  # type: ignore[misc]  # autobahn ships no types
    log = _Quiet()


class _ServerChannel(_Channel, WebSocketServerProtocol):  # type: ignore[misc]  # autobahn ships no types
    log = _Quiet()


def client_pump(
    session: Session[Any, Any],
    reactor: Any,
    *,
    url: str,
    on_event: Callable[[Any], None],
    on_lost: Callable[[Failure], None],
    on_open: Callable[[], None] | None = None,
    on_violation: Callable[[RemoteProtocolError], None] | None = None,
    limits: WebSocketLimits | None = None,
) -> WebSocketPump:
    """Make the client's end of a connection to `url`; its `protocol` goes to an endpoint, which does any TLS."""
    limits = limits or WebSocketLimits()
    factory = WebSocketClientFactory(url, reactor=reactor)
    factory.setProtocolOptions(**_options(limits), version=13)
    pump = WebSocketPump(session, reactor, on_event, on_lost, on_open, on_violation=on_violation)
    return _join(pump, _ClientChannel(), factory, None)


def server_pump(
    session: Session[Any, Any],
    reactor: Any,
    *,
    on_event: Callable[[Any], None],
    on_lost: Callable[[Failure], None],
    on_open: Callable[[], None] | None = None,
    on_violation: Callable[[RemoteProtocolError], None] | None = None,
    attach: Callable[[Any], Outbound] | None = None,
    limits: WebSocketLimits | None = None,
    make: Callable[..., WebSocketPump] | None = None,
) -> WebSocketPump:
    """Make the server's end of one connection; with `attach` it writes through the bounded queue that this returns.

    A WebSocketListener's `build` returns it.  `make` makes another kind of pump, as the class is called.
    """
    limits = limits or WebSocketLimits(message_bytes=1024 * 1024)
    factory = WebSocketServerFactory(reactor=reactor)
    factory.setProtocolOptions(**_options(limits), versions=[13, 8], webStatus=False)
    pump = (make or WebSocketPump)(session, reactor, on_event, on_lost, on_open, on_violation=on_violation)
    return _join(pump, _ServerChannel(), factory, attach)


class WebSocketListener(Factory):
    """Takes connections: `build(address)` returns a `server_pump`, or None to refuse.

    `handshake_delay` seconds pass before an opening handshake is answered, for clients that attach late.
    """

    noisy = False

    def __init__(
        self, build: Callable[[IAddress | None], WebSocketPump | None], reactor: Any, *, handshake_delay: float = 0.0
    ) -> None:
        self._build = build
        self._reactor = reactor
        self._handshake_delay = handshake_delay

    def buildProtocol(self, addr: IAddress | None) -> Any:
        pump = self._build(addr)
        if pump is None:
            return None
        if self._handshake_delay > 0:
            pump.protocol.delay_handshake(self._reactor, self._handshake_delay)
        return pump.protocol


def _options(limits: WebSocketLimits) -> dict[str, Any]:
    return {
        "maxFramePayloadSize": limits.message_bytes,
        "maxMessagePayloadSize": limits.message_bytes,
        "openHandshakeTimeout": limits.handshake,
        "closeHandshakeTimeout": _GOODBYE,
        "autoPingInterval": 0,
        "failByDrop": False,
    }


def _join(pump: WebSocketPump, channel: Any, factory: Any, attach: Callable[[Any], Outbound] | None) -> WebSocketPump:
    channel.options = factory
    channel.pump = pump
    pump.protocol = channel
    pump.attach_bytes = attach
    return pump
