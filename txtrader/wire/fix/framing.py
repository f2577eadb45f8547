"""FIX frames: finding them in a stream, cutting them into fields, and making them.

A frame begins at `8=`; field 9 says where its body ends, and only there a `10=` is looked for.  What fails the test of
length, checksum or first fields is garbled: it is dropped as if it had never come, with all the bytes it claimed.
"""

from __future__ import annotations

from txtrader.errors import LocalProtocolError, RemoteProtocolError
from txtrader.wire.fix.dictionary import DATA_LENGTHS, Dictionary
from txtrader.wire.fix.message import SOH, Message

__all__ = ["Framer", "encode", "parse"]

_SOH = b"\x01"
_MOST = 64 * 1024
_SLACK = 32
_LONGEST_LENGTH = 10  # digits of field 9
_CHECKSUMS = [b"%03d" % number for number in range(256)]
_TAGS = {str(tag): tag for tag in range(1, 5000) if tag not in DATA_LENGTHS}
"""What the text of a tag means; messages with one that is not here (0, negative, very high, or the length of a field
that may hold separators) are read with more care."""


class Framer:
    """Takes bytes, gives frames: the body's text with its first fields, checksum taken off; None for a garbled one."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._buffer = bytearray()
        self._start = 0

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        if self._start > 1 << 16:
            del self._buffer[: self._start]
            self._start = 0
        self._buffer += data

    def next_frame(self) -> tuple[str | None] | None:
        """Return `(text,)` of the next frame, `(None,)` for a garbled one, None when there is no whole one.

        The text is latin-1, so that it is the bytes.  Raises RemoteProtocolError for bytes that never are a frame.
        """
        buffer = self._buffer
        while True:
            start = buffer.find(b"8=", self._start)
            if start < 0:
                keep = 1 if buffer.endswith(b"8") else 0
                self._drop(len(buffer) - keep)
                return None
            self._start = start
            length = self._length(start)
            if length is None:
                self._check_size(start)
                return None
            if length < 0:
                self._start = start + 2
                continue
            body_end = length
            end = buffer.find(b"\x0110=", body_end - 1)
            stop = -1 if end < 0 else buffer.find(_SOH, end + 4)
            if stop < 0:
                self._check_size(start)
                return None
            frame = bytes(buffer[start : stop + 1])
            self._drop(stop + 1)
            size = end + 1 - start
            if end != body_end - 1 or frame[size + 3 : -1] != _CHECKSUMS[sum(frame[:size]) & 255]:
                return (None,)
            return (frame[: size - 1].decode("latin-1"),)

    def _drop(self, upto: int) -> None:
        self._start = upto
        if upto >= len(self._buffer):
            self._buffer.clear()
            self._start = 0

    def _check_size(self, start: int) -> None:
        """Raise RemoteProtocolError when what has no end is too long already."""
        if len(self._buffer) - start > self._most + _SLACK:
            raise RemoteProtocolError(f"no end of a message in {self._most} bytes")

    def _length(self, start: int) -> int | None:
        """Return where the body ends, by field 9; None when that is not there yet, -1 when it is none."""
        buffer = self._buffer
        first = buffer.find(_SOH, start)
        if first < 0:
            return None
        head = buffer[first + 1 : first + 3]
        if len(head) < 2:
            return None if b"9=".startswith(bytes(head)) else -1
        if head != b"9=":
            return -1
        end = buffer.find(_SOH, first + 3)
        digits = bytes(buffer[first + 3 : end if end >= 0 else first + 3 + _LONGEST_LENGTH])
        if end < 0 and len(digits) < _LONGEST_LENGTH and (not digits or digits.isdigit()):
            return None
        if end < 0 or not digits.isdigit() or len(digits) > _LONGEST_LENGTH or int(digits) > self._most:
            return -1
        return end + 1 + int(digits)


def parse(text: str, known: Dictionary) -> Message | None:
    """Cut a frame's text into fields; None for one that is garbled (a tag that is no integer, another third field).

    Field 8 is left in as the first one, 9 is taken out.
    """
    tags = _TAGS
    try:
        pairs = [(tags[tag], value) for tag, _, value in [part.partition("=") for part in text.split(SOH)]]
        del pairs[1]  # the length
        if pairs[1][0] != 35:
            return None
    except (KeyError, IndexError):
        return _parse_slowly(text, known)
    message = Message.__new__(Message)
    message.fields = pairs
    message.type = pairs[1][1]
    index = dict(pairs)
    # Of a tag that stands twice the first one counts: then the index is made when it is asked for.
    message._index = index if len(index) == len(pairs) else None
    return message


def _parse_slowly(text: str, known: Dictionary) -> Message | None:
    """Parse with data fields, which may hold separators, and tags of any size; what has no `=` is garbled."""
    pairs: list[tuple[int, str]] = []
    place = 0
    while place < len(text):
        middle = text.find("=", place)
        end = text.find(SOH, place)
        end = len(text) if end < 0 else end
        if middle < 0 or middle > end:
            return None
        word = text[place:middle]
        digits = word[1:] if word.startswith("-") else word
        if not digits.isascii() or not digits.isdigit() or len(digits) > 9:
            return None
        tag = int(word)
        if pairs and known.data_lengths.get(pairs[-1][0]) == tag and pairs[-1][1].isdigit():
            size = int(pairs[-1][1])
            if middle + 1 + size > len(text) or text[middle + 1 + size : middle + 2 + size] not in ("", SOH):
                return None
            end = middle + 1 + size
        pairs.append((tag, text[middle + 1 : end]))
        place = end + 1
    del pairs[1]
    if len(pairs) < 2 or pairs[1][0] != 35:
        return None
    return Message(pairs[1][1], pairs)


def encode(begin_string: str, fields: list[tuple[int, str]]) -> bytes:
    """Make a frame of fields that begin with the type (35).  Raises LocalProtocolError for a value with a separator."""
    body = SOH.join([f"{tag}={value}" for tag, value in fields]) + SOH
    if body.count(SOH) != len(fields):
        raise LocalProtocolError("a value holds a field separator")
    data = f"8={begin_string}\x019={len(body)}\x01{body}".encode("latin-1")
    return b"%b10=%b\x01" % (data, _CHECKSUMS[sum(data) & 255])
