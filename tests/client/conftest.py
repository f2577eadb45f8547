"""Small gateways for the clients to talk to: real sockets, scripted by the test, run in threads."""

from __future__ import annotations

import json
import socket
import threading
import xmlrpc.client
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

USER, PASSWORD = "alice", "s3cret"


class HttpGateway:
    """An XMLRPC server: `answers[name]` is a value, an exception to fault with, or a function of the parameters."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.logins: list[str | None] = []
        self.connections = 0
        self.drops = 0  # so many requests are read and never answered
        self.raw: Callable[[BaseHTTPRequestHandler], None] | None = None  # answers instead
        self.has_last_word = False  # closes each connection after its answer
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10
            disable_nagle_algorithm = True

            def setup(self) -> None:
                gateway.connections += 1
                super().setup()

            def do_POST(self) -> None:
                gateway.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.port = self._server.server_address[1]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        parameters, name = xmlrpc.client.loads(body, use_builtin_types=True)
        self.logins.append(handler.headers["Authorization"])
        self.calls.append((str(name), parameters))
        if self.drops:
            self.drops -= 1
            handler.close_connection = True
            return
        if self.raw is not None:
            self.raw(handler)
            return
        answer = self.answers.get(str(name))
        try:
            value = answer(*parameters) if callable(answer) else answer
            if isinstance(value, Exception):
                raise value
            content = xmlrpc.client.dumps((value,), methodresponse=True, allow_none=True)
        except xmlrpc.client.Fault as fault:
            content = xmlrpc.client.dumps(fault)
        handler.send_response(200)
        handler.send_header("Content-Type", "text/xml")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.close_connection = self.has_last_word
        handler.wfile.write(content.encode())

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class LineClient:
    """The gateway's end of one connection of the line protocol."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(10)
        self._socket = sock
        self._file = sock.makefile("rb")
        self.login: dict[str, Any] | str = ""

    def say(self, *lines: str) -> None:
        self._socket.sendall(b"".join(line.encode() + b"\n" for line in lines))

    def hear(self) -> str:
        """Return the next line that is no heartbeat; empty at the end."""
        while True:
            line = self._file.readline().decode().rstrip("\n")
            if line != "pong":
                return line

    def log_in(self, mode: str = "tws", **sequences: Any) -> LineClient:
        """Greet, take the login and accept it."""
        self.say(".connected: TWS Gateway")
        word, user, password, *rest = self.hear().split(" ", 3)
        assert (word, user, password) == ("auth", USER, PASSWORD)
        self.login = json.loads(rest[0]) if rest and rest[0].startswith("{") else "".join(rest)
        lines = [f".Authorized {mode}"]
        if sequences:
            lines.append(".sequences: " + json.dumps(sequences))
        self.say(*lines)
        return self

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class LineGateway:
    """A listener for the line protocol; the test accepts and speaks."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(10)
        self.port = self._listener.getsockname()[1]
        self._clients: list[LineClient] = []

    def accept(self) -> LineClient:
        sock, _ = self._listener.accept()
        client = LineClient(sock)
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self._listener.close()


@pytest.fixture
def http_gateway() -> Iterator[HttpGateway]:
    gateway = HttpGateway()
    yield gateway
    gateway.close()


@pytest.fixture
def line_gateway() -> Iterator[LineGateway]:
    gateway = LineGateway()
    yield gateway
    gateway.close()


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """No settings of this machine, and a working directory without any."""
    import os

    for name in list(os.environ):
        if name.startswith("TXTRADER_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr("txtrader.client.config.ENVDIR", str(tmp_path / "etc"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
