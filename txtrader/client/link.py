"""A socket that one thread reads and any thread may interrupt."""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from txtrader.errors import GatewayUnavailable, TxTraderError

__all__ = ["Link", "Lost", "losing"]


class Lost(Exception):
    """The connection failed; not for callbacks' own errors, which are the program's."""

    def __init__(self, error: TxTraderError) -> None:
        super().__init__(error.message)
        self.error = error


@contextmanager
def losing(what: str) -> Iterator[None]:
    """Turn what fails on the connection into `Lost`, so that a callback's own error is not taken for it."""
    try:
        yield
    except TxTraderError as error:
        raise Lost(error) from error
    except OSError as error:
        failed = GatewayUnavailable(f"{what}: {error.strerror or error or type(error).__name__}")
        failed.__cause__ = error
        raise Lost(failed) from error


_READ = 256 * 1024


class Link:
    """At most one connection, and a wake-up call for the thread that waits on it.  Socket calls raise OSError."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        for end in (self._wake_reader, self._wake_writer):
            end.setblocking(False)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)

    def __del__(self) -> None:
        self.close()
        self._selector.close()
        self._wake_reader.close()
        self._wake_writer.close()

    @property
    def is_open(self) -> bool:
        """Tell whether there is a connection."""
        return self._socket is not None

    def dial(self, host: str, port: int, is_stopped: Callable[[], bool]) -> None:
        """Connect, trying each address of the name, but end at once when woken and stopped."""
        failure: OSError = OSError("no address")
        for family, kind, protocol, _, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            sock = socket.socket(family, kind, protocol)
            try:
                self._dial(sock, place, is_stopped)
            except OSError as error:
                sock.close()
                failure = error
            except BaseException:
                sock.close()
                raise
            else:
                self._socket = sock
                self._selector.register(sock, selectors.EVENT_READ)
                return
        raise failure

    def _dial(self, sock: socket.socket, place: tuple[object, ...], is_stopped: Callable[[], bool]) -> None:
        sock.setblocking(False)
        sock.connect_ex(place)
        self._selector.register(sock, selectors.EVENT_WRITE)
        try:
            until = time.monotonic() + self._timeout
            while not self._select(max(0.0, until - time.monotonic()), sock):
                if is_stopped():
                    raise GatewayUnavailable("stopped while connecting")
                if time.monotonic() >= until:
                    raise TimeoutError("no answer to the connection")
        finally:
            self._selector.unregister(sock)
        if number := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(number, os.strerror(number))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def wait(self, timeout: float | None) -> bool:
        """Wait for bytes, a wake-up or the time; tell whether there are bytes, or their end."""
        return self._select(timeout, self._socket)

    def wake(self) -> None:
        """Interrupt `wait` or `dial`; from any thread."""
        try:
            self._wake_writer.send(b"\0")
        except BlockingIOError:
            pass  # it has calls enough

    def receive(self) -> bytes:
        """Return what `wait` told of, nothing at the end."""
        assert self._socket is not None, "receive needs a connection"
        return self._socket.recv(_READ)

    def send(self, data: bytes) -> None:
        """Send everything, waiting for room at most the timeout."""
        if not data:
            return
        assert self._socket is not None, "send needs a connection"
        self._socket.settimeout(self._timeout)
        try:
            self._socket.sendall(data)
        finally:
            self._socket.setblocking(False)

    def close(self) -> None:
        """Close the connection, if there is one."""
        sock, self._socket = self._socket, None
        if sock is not None:
            self._selector.unregister(sock)
            sock.close()

    def _select(self, timeout: float | None, sock: socket.socket | None) -> bool:
        ready = {key.fileobj for key, _ in self._selector.select(timeout)}
        if self._wake_reader in ready:
            try:
                while self._wake_reader.recv(4096):
                    pass
            except BlockingIOError:
                pass  # all calls are taken
        return sock is not None and sock in ready
