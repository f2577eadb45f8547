"""The line to the target: bytes out, messages in, and the record of all that was said."""

from __future__ import annotations

import select
import socket
import ssl
import time

import msgspec

from txtrader.exsim.conformance.frames import Reader, Received, shown

__all__ = ["Line", "Said"]

_PIECE = 65536
_APART, _MOST_APART = 0.001, 20
_LINGER = 1.0
_MOST = 1 << 20
"""Bytes without the end of a message, after which none is hoped for any more."""


class Said(msgspec.Struct, frozen=True):
    """One entry of the record: `>` we, `<` they, `-` the connection; seconds since the case began."""

    at: float
    who: str
    text: str


class Line:
    """One connection.  Nothing waits longer than it is told, whatever the target does or leaves undone."""

    def __init__(self, connection: socket.socket, timeout: float, begun: float, record: list[Said]) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(timeout)  # nobody may keep us by not reading
        self.is_open = True
        self.sent_at = time.monotonic()
        self._socket = connection
        self._timeout = timeout
        self._begun = begun
        self._record = record
        self._reader = Reader()
        self._note("-", "connected")

    def send(self, data: bytes, piece: int | None = None) -> None:
        """Send bytes; `piece` of them at a time, and the first ones by themselves, not gathered on the way."""
        self._note(">", shown(data))
        self.sent_at = time.monotonic()
        try:
            for start in range(0, len(data), piece or len(data)):
                self._socket.sendall(data[start : start + (piece or len(data))])
                if piece is not None and start < _MOST_APART * piece:
                    time.sleep(_APART)
        except OSError as error:
            self._note("-", f"cannot send: {error}")

    def poll(self, seconds: float) -> None:
        """Wait for bytes, at most so long."""
        pending = getattr(self._socket, "pending", None)  # what TLS has decrypted already, no select shows
        if not (pending is not None and pending()) and not select.select([self._socket], [], [], seconds)[0]:
            return
        try:
            self._socket.settimeout(0.0)
            data = self._socket.recv(_PIECE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return  # half a record of TLS, or one that is no data
        except OSError as error:
            self._note("-", f"the connection broke: {error}")
            data = b""
        finally:
            self._socket.settimeout(self._timeout)
        if data and len(self._reader.rest) < _MOST:
            self._reader.feed(data)
        elif data:
            self.is_open = False
            self._note("-", f"no end of a message in {_MOST} bytes: given up")
        else:
            self.is_open = False
            self._note("-", "they closed")

    def take(self, *, is_idle: bool = False) -> Received | None:
        """Return the next message that came, None where there is no whole one; `is_idle`: no more comes."""
        found = self._reader.next(is_idle=is_idle)
        if found is not None:
            found.at = time.monotonic()
            self._note("<", shown(found.data))
        return found

    @property
    def rest(self) -> bytes:
        """What came and is no whole message."""
        return self._reader.rest

    def drain(self, seconds: float) -> None:
        """Wait for the end of the connection, whatever comes before."""
        ends = time.monotonic() + seconds
        while self.is_open and (left := ends - time.monotonic()) > 0:
            self.poll(left)

    def cut(self) -> None:
        """Close without a word, and wait until the target has noticed."""
        if self.is_open:
            self._note("-", "we close")
            try:
                self._socket.shutdown(socket.SHUT_WR)
            except OSError:
                self.is_open = False  # they were quicker
            self.drain(_LINGER)
        self.is_open = False
        self._socket.close()

    def _note(self, who: str, text: str) -> None:
        self._record.append(Said(round(time.monotonic() - self._begun, 3), who, text))
