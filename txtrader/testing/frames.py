"""Cut a byte stream into whole messages, so that a fault can hit exactly one of them.

A splitter is told bytes as they pass and answers the pieces that are complete; what belongs to no message (a
protocol's opening bytes) is a piece of its own.  Joined again the pieces are the stream, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from txtrader.wire.cqg.schema import ClientMsg, ServerMsg

__all__ = [
    "FixSplitter",
    "FrameSplitter",
    "LineSplitter",
    "SplitterFactory",
    "TwsClientSplitter",
    "TwsServerSplitter",
    "WebSocketSplitter",
    "cqg_bodies",
    "cqg_parts",
    "fix_fields",
    "tws_fields",
]

TWS_PREFIX = b"API\0"
LENGTH_BYTES = 4


class FrameSplitter(Protocol):
    """Keeps what is not complete yet."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes, return the pieces completed by them, in sequence."""

    def rest(self) -> bytes:
        """Return and forget the bytes of a piece that never got complete."""


SplitterFactory = Callable[[], FrameSplitter]


class _Buffered:
    def __init__(self) -> None:
        self._buffer = bytearray()

    def rest(self) -> bytes:
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def _take(self, size: int) -> bytes:
        piece = bytes(self._buffer[:size])
        del self._buffer[:size]
        return piece


class FixSplitter(_Buffered):
    """FIX messages, each with its checksum."""

    def feed(self, data: bytes) -> list[bytes]:
        self._buffer += data
        pieces = []
        while (end := self._buffer.find(b"\x0110=")) >= 0 and (stop := self._buffer.find(b"\x01", end + 1)) >= 0:
            pieces.append(self._take(stop + 1))
        return pieces


def fix_fields(frame: bytes) -> dict[int, str]:
    """Return the fields of a FIX message by tag, of one that stands more than once the first."""
    parts = [part.partition(b"=") for part in frame.split(b"\x01") if part]
    return {int(tag): value.decode("latin-1") for tag, _, value in reversed(parts) if tag.isdigit()}


class LineSplitter(_Buffered):
    """Lines, each with its LF."""

    def feed(self, data: bytes) -> list[bytes]:
        self._buffer += data
        if b"\n" not in data:
            return []
        lines = bytes(self._buffer).split(b"\n")
        self._buffer[:] = lines.pop()
        return [line + b"\n" for line in lines]


class TwsServerSplitter(_Buffered):
    """What TWS sends: frames of a 4-byte big-endian length and a body; a piece is a whole frame with its length."""

    def feed(self, data: bytes) -> list[bytes]:
        self._buffer += data
        pieces = []
        while (size := self._next_size()) is not None and len(self._buffer) >= size:
            pieces.append(self._take(size))
        return pieces

    def _next_size(self) -> int | None:
        if len(self._buffer) < LENGTH_BYTES:
            return None
        return LENGTH_BYTES + int.from_bytes(self._buffer[:LENGTH_BYTES], "big")


class WebSocketSplitter(_Buffered):
    """One direction of a WebSocket: the HTTP handshake first, as a piece of its own, then frames."""

    def __init__(self) -> None:
        super().__init__()
        self._is_opened = False

    def feed(self, data: bytes) -> list[bytes]:
        self._buffer += data
        pieces = []
        while (size := self._next_size()) is not None and len(self._buffer) >= size:
            pieces.append(self._take(size))
        return pieces

    def _next_size(self) -> int | None:
        buffer = self._buffer
        if not self._is_opened:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return None
            self._is_opened = True
            return end + 4
        if len(buffer) < 2:
            return None
        head, body = _websocket_sizes(buffer)
        return None if len(buffer) < head else head + body


def _websocket_sizes(data: bytes | bytearray) -> tuple[int, int]:
    """Return the bytes of a frame's head and body; with too few bytes for the head, the head's size and 0."""
    masked = 4 if data[1] & 0x80 else 0
    size = data[1] & 0x7F
    extra = {126: 2, 127: 8}.get(size, 0)
    head = 2 + extra + masked
    if extra and len(data) >= 2 + extra:
        size = int.from_bytes(data[2 : 2 + extra], "big")
    return head, 0 if len(data) < head else size


def cqg_bodies(piece: bytes) -> list[bytes]:
    """Return the CQG message in one WebSocket frame, unmasked; anything else has none."""
    if len(piece) < 2 or piece[0] != 0x82:
        return []
    head, size = _websocket_sizes(piece)
    body = piece[head : head + size]
    if piece[1] & 0x80:
        mask = piece[head - 4 : head]
        body = bytes(byte ^ mask[place % 4] for place, byte in enumerate(body))
    return [body]


def cqg_parts(piece: bytes) -> list[tuple[str, Any]]:
    """Return the parts of the CQG message in one WebSocket frame, by name; anything else has none."""
    found: list[tuple[str, Any]] = []
    for body in cqg_bodies(piece):
        message = (ClientMsg if piece[1] & 0x80 else ServerMsg).FromString(body)
        for descriptor, value in message.ListFields():
            if hasattr(value, "DESCRIPTOR"):
                found.append((descriptor.name, value))
            else:
                found += [(descriptor.name, one) for one in value]
    return found


class TwsClientSplitter(TwsServerSplitter):
    """What a TWS client sends: `API` NUL first, as a piece of its own, then frames."""

    def __init__(self) -> None:
        super().__init__()
        self._is_opened = False

    def _next_size(self) -> int | None:
        if self._is_opened:
            return super()._next_size()
        if len(self._buffer) < len(TWS_PREFIX):
            return None
        self._is_opened = True
        return len(TWS_PREFIX)


def tws_fields(piece: bytes) -> list[str]:
    """Return the fields of one TWS text frame, the message id first; an opening piece has none."""
    if piece == TWS_PREFIX or len(piece) <= LENGTH_BYTES:
        return []
    return piece[LENGTH_BYTES:].decode("latin-1").split("\0")[:-1]
