r"""Lines of text, both roles: bytes in, lines out, in linear time.

    -> limitorder IBM 12.50 100\n
    <- tws.order: {"id":"TX-7K2M-000042",...}\r\n

A line ends with LF; one CR before it is dropped; blank lines say nothing.  Text is UTF-8 of printable characters: a
line with anything else in it is reported as `MalformedLine`, and the conversation goes on.  Only a line over the
limit is a violation.  What stands after the last LF when the peer ends is no line and is forgotten.
"""

from __future__ import annotations

from collections import deque

import msgspec

from txtrader.errors import LocalProtocolError, RemoteProtocolError

__all__ = ["LineSession", "MalformedLine"]


class MalformedLine(msgspec.Struct, frozen=True):
    """A line that is no text; `reason` says why and shows nothing of it."""

    reason: str


class LineSession:
    """One end of a conversation in lines: events are `str` and `MalformedLine`, messages are `str` or `bytes`.

    `limit` is the greatest length of a line in bytes, without its end; it may be changed at any time and holds for
    the lines that have not been delivered.  Blank lines count, too: of a run of them together with the line that
    follows no more than `limit` bytes are taken, so that a flood of newlines ends like one long line.

    The buffer holds the data of one `receive_data` and one unfinished line: at most `limit` bytes of it before the
    violation is seen.
    """

    def __init__(self, limit: int = 8192) -> None:
        self.limit = limit
        self._lines: deque[bytes] = deque()
        self._partial = bytearray()
        self._blank = 0  # bytes of blank lines since the last line
        self._output: list[bytes] = []
        self._is_ended = False

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer."""
        if self._is_ended:
            return
        first, newline, rest = data.partition(b"\n")
        self._partial += first
        if newline:
            self._lines.append(bytes(self._partial))
            if b"\n" in rest:
                pieces = rest.split(b"\n")
                rest = pieces.pop()
                self._lines.extend(pieces)
            self._partial = bytearray(rest)

    def receive_eof(self) -> None:
        """Take the end: an unfinished line is never delivered, nor anything after it."""
        self._partial.clear()
        self._is_ended = True

    def next_event(self) -> str | MalformedLine | None:
        """Return the next line without its end; raises RemoteProtocolError for one that is too long."""
        lines = self._lines
        limit = self.limit
        while lines:
            line = lines.popleft()
            if not line or line == b"\r":
                self._blank += len(line) + 1
                if self._blank > limit:
                    self._violate()
                continue
            if len(line) > limit and len(line) - line.endswith(b"\r") > limit:
                self._violate()
            self._blank = 0
            return _decode(line)
        if len(self._partial) > limit + 1:
            self._violate()
        return None

    def send(self, message: str | bytes) -> None:
        """Queue one line; raises LocalProtocolError if it holds a line end."""
        data = message.encode() if isinstance(message, str) else message
        if b"\n" in data or b"\r" in data:
            raise LocalProtocolError("a line end inside a line")
        self._output.append(data + b"\n")

    def data_to_send(self) -> bytes:
        """Return and forget the bytes to write now."""
        if not self._output:
            return b""
        data = b"".join(self._output)
        self._output.clear()
        return data

    def next_deadline(self) -> float | None:
        """Return None: lines know no time."""
        return None

    def handle_timeout(self, now: float) -> None:
        """Do nothing: lines know no time."""

    def _violate(self) -> None:
        self._is_ended = True
        self._lines.clear()
        self._partial.clear()
        raise RemoteProtocolError(f"a line is longer than {self.limit} bytes")


def _decode(line: bytes) -> str | MalformedLine:
    try:
        text = str(line, "utf-8")
    except UnicodeDecodeError:
        return MalformedLine("the line is not UTF-8")
    if text[-1] == "\r":
        text = text[:-1]
    if not text.isprintable():
        return MalformedLine("the line has a character that is not printable")
    return text
