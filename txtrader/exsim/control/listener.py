"""The control port: who may speak to the simulator, one request after the other on each connection."""

from __future__ import annotations

import hmac
import os
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from txtrader.exsim.control.dispatcher import Dispatcher
from txtrader.exsim.control.frames import Lines, encode, parse
from txtrader.exsim.control.problems import ControlError
from txtrader.exsim.control.world import World

__all__ = ["PROTOCOL_VERSION", "ControlPort"]

PROTOCOL_VERSION = 1
_MOST_WAITING = 1000
_HELLO_TIMEOUT = 10.0


class _Connection(Protocol):
    """One client of the control."""

    def __init__(self, port: ControlPort) -> None:
        self._port = port
        self._lines = Lines()
        self._frames: deque[dict[str, Any]] = deque()
        self._waiting: Deferred[Any] | None = None
        self._is_known = False
        self._is_taking = False
        self._is_ending = False
        self.detaches = False
        self._timer: Any = None

    def connectionMade(self) -> None:
        cast(Any, self.transport).setTcpNoDelay(True)
        self._timer = self._port.reactor.callLater(_HELLO_TIMEOUT, self._end)

    def dataReceived(self, data: bytes) -> None:
        if self._is_ending:
            return
        self._lines.feed(data)
        try:
            while (line := self._lines.next()) is not None:
                self._frames.append(parse(line))
        except ControlError as error:
            self._frames.append({"type": None, "error": error})
        if len(self._frames) >= _MOST_WAITING:
            cast(Any, self.transport).pauseProducing()
        self._next()

    def _next(self) -> None:
        if self._is_taking:
            return  # further up the stack: most requests are answered at once
        self._is_taking = True
        while self._frames and self._waiting is None and not self._is_ending:
            if len(self._frames) == _MOST_WAITING:
                cast(Any, self.transport).resumeProducing()
            self._take(self._frames.popleft())
        self._is_taking = False

    def _take(self, frame: dict[str, Any]) -> None:
        broken = frame.get("error")
        if isinstance(broken, ControlError):
            self._refuse(None, broken)
        elif frame.get("type") == "hello" or not self._is_known:
            self._hello(frame)
        else:
            answer = self._port.dispatcher.run(frame)
            self._waiting = answer
            answer.addCallback(self._answered)

    def _answered(self, reply: dict[str, Any]) -> None:
        self._waiting = None
        self._send(reply)
        self._next()

    def _hello(self, frame: dict[str, Any]) -> None:
        if self._is_known:
            self._refuse(frame.get("id"), ControlError("wrong-state", "hello was said already"))
            return
        token = frame.get("token")
        known = self._port.token.encode()
        is_right = isinstance(token, str) and hmac.compare_digest(token.encode("utf-8", "replace"), known)
        if frame.get("type") != "hello" or not is_right:
            self._refuse(frame.get("id"), ControlError("unauthenticated", "a hello with the token comes first"))
            return
        if frame.get("version", PROTOCOL_VERSION) != PROTOCOL_VERSION:
            error = ControlError("unsupported", f"this server speaks version {PROTOCOL_VERSION}", "version")
            self._refuse(frame.get("id"), error)
            return
        unknown = frame.keys() - {"id", "type", "token", "version", "detach"}
        if unknown or not isinstance(frame.get("detach", False), bool):
            field = min(unknown) if unknown else "detach"
            self._refuse(frame.get("id"), ControlError("invalid-argument", f"hello takes no such {field}", field))
            return
        self._is_known = True
        self._timer.cancel()
        self.detaches = frame.get("detach", False)
        world = self._port.world
        self._send(
            {
                "id": frame.get("id"),
                "result": True,
                "version": PROTOCOL_VERSION,
                "server": world.name,
                "pid": os.getpid(),
                "seed": world.seed,
                "is_virtual": world.is_virtual,
                "requests": sorted(self._port.dispatcher.declared),
            }
        )
        self._port.greeted(self)

    def _refuse(self, id: Any, error: ControlError) -> None:
        self._send({"id": id, "result": False, "error": error.to_dict()})
        self._end()

    def _send(self, reply: dict[str, Any]) -> None:
        if not self._is_ending:
            try:
                data = encode(reply)
            except ControlError as error:
                data = encode({"id": reply.get("id"), "result": False, "error": error.to_dict()})
            cast(Any, self.transport).write(data)

    def _end(self) -> None:
        self._is_ending = True
        if self.transport is not None:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._is_ending = True
        if self._timer.active():
            self._timer.cancel()
        if self._waiting is not None:
            self._waiting.cancel()
        self._port.lost(self, is_known=self._is_known)


class ControlPort(Factory):
    """Listens for clients of the control.

    `token` is what each has to say first.  `on_alone` is called when the last client that said so, and did not detach,
    is gone.
    """

    noisy = False

    def __init__(
        self,
        world: World,
        dispatcher: Dispatcher,
        reactor: Any,
        *,
        token: str,
        port: int = 0,
        interface: str = "127.0.0.1",
        on_alone: Callable[[], None] | None = None,
    ) -> None:
        self.world = world
        self.dispatcher = dispatcher
        self.reactor = reactor
        self.token = token
        self.port = port
        self.interface = interface
        self._on_alone = on_alone
        self._clients: list[_Connection] = []
        self._holders = 0
        self._listening: IListeningPort | None = None

    def start(self) -> int:
        """Listen; return the port.  Raises CannotListenError."""
        self._listening = self.reactor.listenTCP(self.port, self, interface=self.interface)
        self.port = getattr(self._listening.getHost(), "port", self.port)
        return self.port

    def stop(self) -> Deferred[Any]:
        """Stop listening, and let clients go once what they are told has left."""
        for client in self._clients:
            client.transport.loseConnection()  # type: ignore[union-attr]  # there is one while it is among these
        listening, self._listening = self._listening, None
        return succeed(None) if listening is None else maybeDeferred(listening.stopListening)

    def buildProtocol(self, addr: IAddress | None) -> _Connection:
        connection = _Connection(self)
        self._clients.append(connection)
        return connection

    @property
    def has_clients(self) -> bool:
        """Tell whether somebody holds the server."""
        return self._holders > 0

    def greeted(self, connection: _Connection) -> None:
        """Take a client that knew the token."""
        if not connection.detaches:
            self._holders += 1

    def lost(self, connection: _Connection, *, is_known: bool) -> None:
        """Take the end of a client."""
        self._clients.remove(connection)
        if is_known and not connection.detaches:
            self._holders -= 1
            if not self._holders and self._on_alone is not None:
                self._on_alone()
