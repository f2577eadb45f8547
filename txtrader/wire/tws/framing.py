"""Frames: a big-endian uint32 length, then that many bytes, at most 0xFFFFFF."""

from __future__ import annotations

from txtrader.errors import LocalProtocolError, RemoteProtocolError

__all__ = ["MAX_FRAME", "FrameBuffer", "frame"]

MAX_FRAME = 0xFFFFFF
"""The API's own limit; scanner parameters alone are above 1 MB, hence no smaller one."""


def frame(body: bytes) -> bytes:
    """Put the length before a body.  Raises LocalProtocolError for one that is too long to be sent."""
    if len(body) > MAX_FRAME:
        raise LocalProtocolError(f"a message of {len(body)} bytes is over the limit of {MAX_FRAME}")
    return len(body).to_bytes(4, "big") + body


class FrameBuffer:
    """Bytes in, frames out, at a cost that is linear in the bytes however they are cut.

    Holds at most one frame of `limit` bytes beside what came with the last read.
    """

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self.limit = limit
        self._data = bytearray()
        self._start = 0

    def __len__(self) -> int:
        return len(self._data) - self._start

    def feed(self, data: bytes) -> None:
        """Take more bytes."""
        if self._start:
            # One cut per read: cutting at each frame would copy the rest again and again.
            del self._data[: self._start]
            self._start = 0
        self._data += data

    def take(self, count: int) -> bytes | None:
        """Return exactly `count` unframed bytes, None when they are not all there yet."""
        if len(self) < count:
            return None
        end = self._start + count
        taken = bytes(self._data[self._start : end])
        self._start = end
        return taken

    def starts_like(self, prefix: bytes) -> bool:
        """Tell whether what is there so far may become `prefix`."""
        return prefix.startswith(bytes(self._data[self._start : self._start + len(prefix)]))

    def next_frame(self) -> bytes | None:
        """Return the next complete body, None when more bytes are needed.

        Raises RemoteProtocolError as soon as a length over the limit is announced.
        """
        start = self._start + 4
        if len(self._data) < start:
            return None
        length = int.from_bytes(self._data[self._start : start], "big")
        if length > self.limit:
            raise RemoteProtocolError(f"a frame of {length} bytes is over the limit of {self.limit}")
        end = start + length
        if len(self._data) < end:
            return None
        body = bytes(self._data[start:end])
        if end == len(self._data):
            self._data.clear()
            self._start = 0
        else:
            self._start = end
        return body
