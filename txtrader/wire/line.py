r"""Lines of text, both roles: bytes in, lines out, in linear time.

    -> limitorder IBM 12.50 100\n
    <- tws.order: {"id":"TX-7K2M-000042",...}\r\n

A line ends with LF; one CR before it is dropped; blank lines, and lines of nothing but blanks, say nothing.  Text is
UTF-8 of printable characters: a line with anything else in it is reported as `MalformedLine`, and the conversation
goes on.  Only a line over the limit is a violation.  What stands after the last LF when the peer ends is no line and
is forgotten.
"""

from __future__ import annotations

import sys

import msgspec

from txtrader.errors import LocalProtocolError, RemoteProtocolError

__all__ = ["LineSession", "MalformedLine"]


class MalformedLine(msgspec.Struct, frozen=True):
    """A line that is no text; `reason` says why and shows nothing of it."""

    reason: str


class LineSession:
    """One end of a conversation in lines: events are `str` and `MalformedLine`, messages are `str` or `bytes`.

    `limit` is the greatest length of a line in bytes, without its end; it may be changed at any time and holds for
    the lines that have not been delivered.  With `bounds_blanks` a run of blank lines may not have more bytes
    either, so that a flood of newlines ends like one long line; without it they may come for ever, as a sign of
    life.  `blanks` counts their bytes.

    The buffer holds the data of one `receive_data` and one unfinished line: at most `limit` bytes of it before the
    violation is seen.
    """

    __slots__ = ("_blanks_before", "_is_ended", "_lines", "_output", "_partial", "blanks", "bounds_blanks", "limit")

    def __init__(self, limit: int = 8192, *, bounds_blanks: bool = True) -> None:
        self.limit = limit
        self.bounds_blanks = bounds_blanks
        self.blanks = 0
        # An idle connection holds next to nothing, and there are thousands.
        self._lines: list[bytes] = []  # the next one last; mostly empty when more comes
        self._partial: bytearray | None = None
        self._blanks_before = 0  # `blanks` when the last line came
        self._output: list[bytes] | None = None
        self._is_ended = False

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer."""
        if self._is_ended:
            return
        first, newline, rest = data.partition(b"\n")
        if self._partial is not None:
            self._partial += first
        elif not newline:
            self._partial = bytearray(first)
        if not newline:
            return
        pieces = [first if self._partial is None else bytes(self._partial)]
        if b"\n" in rest:
            pieces += rest.split(b"\n")
            rest = pieces.pop()
        pieces.reverse()
        self._lines[:0] = pieces
        self._partial = bytearray(rest) if rest else None

    def receive_eof(self) -> None:
        """Take the end: an unfinished line is never delivered, nor anything after it."""
        self._partial = None
        self._is_ended = True

    def next_event(self) -> str | MalformedLine | None:
        """Return the next line without its end; raises RemoteProtocolError for one that is too long."""
        lines = self._lines
        limit = self.limit
        blanks = self.blanks
        most = self._blanks_before + limit if self.bounds_blanks else sys.maxsize
        while lines:
            line = lines.pop()
            if line:
                if len(line) > limit and len(line) - line.endswith(b"\r") > limit:
                    self._violate(f"a line is longer than {limit} bytes")
                if not line.isspace() or line.removesuffix(b"\r").strip(b" "):
                    self.blanks = self._blanks_before = blanks
                    return _decode(line)
            blanks += len(line) + 1
            if blanks > most:
                self._violate(f"more than {limit} bytes of blank lines")
        self.blanks = blanks
        if self._partial is not None and len(self._partial) > limit + 1:
            self._violate(f"a line is longer than {limit} bytes")
        return None

    def send(self, message: str | bytes) -> None:
        """Queue one line; raises LocalProtocolError if it holds a line end."""
        data = message.encode() if isinstance(message, str) else message
        if b"\n" in data or b"\r" in data:
            raise LocalProtocolError("a line end inside a line")
        if self._output is None:
            self._output = []
        self._output.append(data + b"\n")

    def data_to_send(self) -> bytes:
        """Return and forget the bytes to write now."""
        if self._output is None:
            return b""
        data = b"".join(self._output)
        self._output = None
        return data

    def next_deadline(self) -> float | None:
        """Return None: lines know no time."""
        return None

    def handle_timeout(self, now: float) -> None:
        """Do nothing: lines know no time."""

    def _violate(self, reason: str) -> None:
        self._is_ended = True
        self._lines.clear()
        self._partial = None
        raise RemoteProtocolError(reason)


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
