"""Small blocking clients of the daemon, written against the documents and not with the client library.

They know the line protocol and XMLRPC only as far as tests need it: plain sockets and the standard library, so that
they witness what an independent program would see.  Every call and its outcome goes into a `History`.
"""

from __future__ import annotations

import json
import re
import socket
import time
import xmlrpc.client
from collections.abc import Callable
from decimal import Decimal
from types import TracebackType
from typing import Any, Protocol

from txtrader.errors import BY_CODE, TxTraderError
from txtrader.testing.history import History

__all__ = ["ClientClosed", "Endpoint", "Event", "LineClient", "XmlRpcClient"]

ERROR = re.compile(r"\.error ([a-z-]+): (.*)", re.DOTALL)
EVENT = re.compile(r"(\w+)\.([a-z_-]+)(?:\.(.*?))?: ?([\[{].*)", re.DOTALL)
NUMBERS = {cls.number: cls for cls in BY_CODE.values()}


class Endpoint(Protocol):
    """Where a daemon is, and who may log in."""

    user: str
    password: str

    @property
    def tcp_port(self) -> int: ...
    @property
    def http_port(self) -> int: ...


class ClientClosed(ConnectionError):
    """The daemon ended the connection while we waited for it."""


class Event:
    """One event line: `MODE.TYPE[.KEY]: data`."""

    def __init__(self, line: str, mode: str, type: str, key: str | None, data: Any) -> None:
        self.line = line
        self.mode = mode
        self.type = type
        self.key = key
        self.data = data

    def __repr__(self) -> str:
        return f"<Event {self.line[:100]}>"


class LineClient:
    """One connection to the line protocol.

    `read_line` returns lines as they come; `call` runs an operation by its own name under a tag and returns its
    result, keeping all events that pass in `events`.
    """

    def __init__(
        self, port: int, *, host: str = "127.0.0.1", timeout: float = 10.0, receive_buffer: int | None = None
    ) -> None:
        self._socket = socket.socket()
        if receive_buffer is not None:  # only before the connect does it bound what the peer may have under way
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(timeout)
        self._socket.connect((host, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._timeout = timeout
        self._buffer = b""
        self._tags = 0
        self.events: list[Event] = []
        self.history = History()
        self.greeting = self.read_line()

    @classmethod
    def connect(
        cls, daemon: Endpoint, options: dict[str, Any] | str | None = None, timeout: float = 10.0
    ) -> LineClient:
        """Connect and log in as the daemon's user."""
        client = cls(daemon.tcp_port, timeout=timeout)
        try:
            client.login(daemon.user, daemon.password, options)
        except BaseException:  # the daemon may die under our hands
            client.close()
            raise
        return client

    def login(self, user: str, password: str, options: dict[str, Any] | str | None = None) -> str:
        """Send `auth`; return the answer, raise ClientClosed or the error when it is not accepted."""
        words = options if isinstance(options, str) else "" if options is None else json.dumps(options)
        self.send_line(f"auth {user} {password} {words}".rstrip())
        answer = self.read_line()
        if not answer.startswith(".Authorized"):
            raise _error_from(answer) or ClientClosed(answer)
        return answer

    def send_line(self, text: str) -> None:
        self._socket.sendall(text.encode() + b"\n")

    def send_bytes(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read_line(self, timeout: float | None = None) -> str:
        """Return the next line without its LF; raises TimeoutError, ClientClosed."""
        end = time.monotonic() + (self._timeout if timeout is None else timeout)
        while b"\n" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no line; waiting: {self._buffer[:80]!r}")
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(65536)
            except ConnectionError as error:
                raise ClientClosed(str(error)) from error
            if not data:
                raise ClientClosed("closed by the daemon")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        text = line.decode()
        if event := _event_from(text):
            self.events.append(event)
        return text

    def command(self, text: str, timeout: float | None = None) -> str:
        """Send a command line under a tag of its own; return the reply without the tag."""
        self._tags += 1
        tag = f"@t{self._tags} "
        self.send_line(tag + text)
        end = time.monotonic() + (self._timeout if timeout is None else timeout)
        while True:
            line = self.read_line(max(0.001, end - time.monotonic()))
            if line.startswith(tag):
                return line[len(tag) :]

    def call(self, operation: str, *positional: Any, timeout: float | None = None, **options: Any) -> Any:
        """Run an operation by its own name; return its result, raise the error of `txtrader.errors` that it names."""
        words = [operation, *map(_word, positional)]
        if options:
            words.append(json.dumps(options, default=str))
        invoked = self.history.invoke(operation, positional, options)
        try:
            reply = self.command(" ".join(words), timeout)
        except (TimeoutError, ConnectionError) as error:
            invoked.info(error)
            raise
        if problem := _error_from(reply):
            invoked.fail(problem)
            raise problem
        if operation == "status" and reply.startswith(".status: "):  # a word of the line protocol's own, too
            invoked.ok(reply.removeprefix(".status: "))
            return invoked.result
        prefix = f".result {operation}: "
        assert reply.startswith(prefix), f"{operation} answered {reply!r}"
        result = json.loads(reply[len(prefix) :], parse_float=Decimal)
        invoked.ok(result)
        return result

    def wait_event(self, wanted: Callable[[Event], object], timeout: float | None = None) -> Event:
        """Return the first event, past or to come, that `wanted` accepts."""
        seen = 0
        end = time.monotonic() + (self._timeout if timeout is None else timeout)
        while True:
            for event in self.events[seen:]:
                if wanted(event):
                    return event
            seen = len(self.events)
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no such event among {self.events[-5:]}")
            self.read_line(left)

    def drain(self) -> None:
        """Read what has arrived, without waiting: the reply to a ping comes after all that was sent before."""
        self.command("ping")

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> LineClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class XmlRpcClient:
    """XMLRPC by the standard library, one keep-alive connection."""

    def __init__(self, port: int, user: str, password: str, *, host: str = "127.0.0.1", timeout: float = 30.0) -> None:
        transport = _Transport(timeout)
        self._proxy = xmlrpc.client.ServerProxy(
            f"http://{user}:{password}@{host}:{port}/RPC2", allow_none=True, transport=transport
        )
        self.history = History()

    @classmethod
    def connect(cls, daemon: Endpoint, timeout: float = 30.0) -> XmlRpcClient:
        """Use the daemon's own user."""
        return cls(daemon.http_port, daemon.user, daemon.password, timeout=timeout)

    def call(self, operation: str, *positional: Any, **options: Any) -> Any:
        """Run an operation; return its result, raise the error of `txtrader.errors` that the fault's number names."""
        arguments = [_xml_value(value) for value in positional]
        if options:
            arguments.append({name: _xml_value(value) for name, value in options.items()})
        invoked = self.history.invoke(operation, positional, options)
        try:
            result = getattr(self._proxy, operation)(*arguments)
        except xmlrpc.client.Fault as fault:
            problem = NUMBERS.get(fault.faultCode, TxTraderError)(fault.faultString)
            invoked.fail(problem)
            raise problem from fault
        except (OSError, xmlrpc.client.ProtocolError) as error:
            invoked.info(error)
            raise
        invoked.ok(result)
        return result

    def close(self) -> None:
        self._proxy("close")()

    def __enter__(self) -> XmlRpcClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class _Transport(xmlrpc.client.Transport):
    def __init__(self, timeout: float) -> None:
        super().__init__()
        self._seconds = timeout

    def make_connection(self, host: Any) -> Any:
        connection = super().make_connection(host)
        connection.timeout = self._seconds
        return connection


def _word(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return json.dumps(value, default=str)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _xml_value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)  # decimals may travel as strings, exactly
    if isinstance(value, dict):
        return {name: _xml_value(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_xml_value(item) for item in value]
    return value


def _event_from(line: str) -> Event | None:
    if line.startswith((".", "@")):
        return None
    match = EVENT.fullmatch(line)
    if match is None:
        return None
    mode, kind, key, payload = match.groups()
    return Event(line, mode, kind, key, json.loads(payload, parse_float=Decimal))


def _error_from(reply: str) -> TxTraderError | None:
    match = ERROR.fullmatch(reply)
    if match is None:
        return None
    code, text = match.groups()
    return BY_CODE.get(code, TxTraderError)(text)
