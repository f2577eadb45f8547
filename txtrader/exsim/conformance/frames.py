"""Frames by hand: made as a case wants them, wrong where it wants that, and read with patience for what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable

from txtrader.wire.fix.dictionary import DATA_LENGTHS
from txtrader.wire.fix.message import Message

__all__ = ["BEGIN_STRINGS", "Reader", "Received", "frame", "shown"]

BEGIN_STRINGS = {"4.2": "FIX.4.2", "4.4": "FIX.4.4", "5.0SP2": "FIXT.1.1"}
"""The versions that there are cases for, and what stands in field 8."""

_HEAD = re.compile(rb"8=[^\x01]*\x019=(\d{1,7})\x01")
_TAIL = re.compile(rb"\x0110=[^\x01]{0,3}\x01")
_LONGEST_SHOWN = 700


class Received(Message):
    """A message as it came: its bytes, when that was (monotonic seconds), and what is wrong with its frame.

    A flaw begins with its kind: `checksum`, `length`, `fields`, `number`.
    """

    __slots__ = ("at", "data", "flaws")

    def __init__(self, data: bytes, flaws: list[str]) -> None:
        fields = _cut(data)
        super().__init__(next((value for tag, value in fields if tag == 35), ""), fields)
        self.data = data
        self.flaws = flaws
        self.at = 0.0


def frame(
    begin_string: str,
    fields: Iterable[tuple[int | str, object]],
    *,
    length: int | None = None,
    checksum: str | None = None,
) -> bytes:
    """Make a frame of fields from 35 on; `length` is added to the true one, `checksum` stands in its place."""
    body = "".join(f"{tag}={value}\x01" for tag, value in fields).encode("latin-1")
    data = b"8=%b\x019=%d\x01%b" % (begin_string.encode(), len(body) + (length or 0), body)
    return data + b"10=%b\x01" % (checksum.encode() if checksum is not None else b"%03d" % (sum(data) % 256))


def shown(data: bytes) -> str:
    """Write bytes for a person: separators as `|`, what is long cut short, a password hidden."""
    text = data.decode("latin-1").replace("\x01", "|")
    text = re.sub(r"\|(554|925|96)=[^|]*", r"|\1=***", text)
    text = "".join(letter if letter.isascii() and letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}... ({len(data)} bytes)"


class Reader:
    """Takes bytes, gives messages, also such as a strict reader would drop: what is wrong is written on them."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        self._buffer += data

    @property
    def rest(self) -> bytes:
        """What is no whole message yet."""
        return self._buffer

    def next(self, *, is_idle: bool = False) -> Received | None:
        """Return the next message, None while there is no whole one; `is_idle`: no more comes, take what can be."""
        flaws: list[str] = []
        start = self._buffer.find(b"8=")
        if start < 0:
            return None
        if start:
            flaws.append(f"fields: {start} bytes before 8=")
        data = self._buffer[start:]
        head = _HEAD.match(data)
        end = head.end() + int(head[1]) if head is not None else -1
        if head is not None and len(data) < end + 4 and not is_idle:
            return None
        if head is not None and data[end - 1 : end + 3] == b"\x0110=":
            stop = data.find(b"\x01", end)
        else:
            tail = _TAIL.search(data)
            if tail is None:
                return None
            end, stop = tail.start() + 1, tail.end() - 1
            flaws.append("length: 9 is not that of the body" if head is not None else "fields: the first are not 8, 9")
        if stop < 0:
            return None
        self._buffer = data[stop + 1 :]
        checksum = b"%03d" % (sum(data[:end]) % 256)
        if data[end + 3 : stop] != checksum:
            flaws.append(f"checksum: it should be {checksum.decode()}")
        found = Received(data[: stop + 1], flaws)
        if [tag for tag, _ in found.fields[:3]] != [8, 9, 35] and not flaws:
            flaws.append("fields: the first are not 8, 9, 35")
        return found


def _cut(data: bytes) -> list[tuple[int, str]]:
    """Cut a frame into fields; what has no number for a tag is left out, a data field goes by its length."""
    text = data.decode("latin-1")
    found: list[tuple[int, str]] = []
    place = 0
    while place < len(text):
        middle, end = text.find("=", place), text.find("\x01", place)
        end = len(text) if end < 0 else end
        if place < middle < end and text[place:middle].isdecimal():
            tag = int(text[place:middle])
            if found and DATA_LENGTHS.get(found[-1][0]) == tag and found[-1][1].isdecimal():
                end = max(end, min(len(text), middle + 1 + int(found[-1][1])))
            found.append((tag, text[middle + 1 : end]))
        place = end + 1
    return found
