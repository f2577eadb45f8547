"""A runner of FIX acceptance definitions: one text file is one conversation, played against an acceptor on a socket.

    iCONNECT, iDISCONNECT   open or close a connection        eDISCONNECT   the acceptor closes, and says nothing first
    I8=FIX...               send                              E8=FIX...     the next message is equal

`<TIME+n>` is now and n seconds.  Fields 9 and 10 are made where a line has none.  Times and checksums are compared by
their form, everything else literally.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["Mismatch", "play", "to_fixt"]

PATIENCE = 12.0
_LINE = re.compile(r"([iIeE])(?:(\d+),)?(.*)", re.DOTALL)
_TIME = re.compile(r"<TIME([+-]\d+)?>")
_MOMENT = re.compile(r"\d{8}-\d{2}:\d{2}:\d{2}(\.\d{3})?")
_FORMS = {"10": re.compile(r"\d{3}"), "52": _MOMENT, "42": _MOMENT, "60": _MOMENT, "122": _MOMENT}


class Mismatch(AssertionError):
    """The acceptor did something else than the definition says."""


class _Connection:
    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._buffer = b""

    def send(self, text: str) -> None:
        self._socket.sendall(text.encode("latin-1"))

    def receive(self, patience: float = PATIENCE) -> str | None:
        """Return the next message, None when the acceptor has closed."""
        self._socket.settimeout(patience)
        while (size := self._whole()) is None:
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                raise Mismatch(f"nothing came in {patience:g} s") from None
            except ConnectionError:
                data = b""
            if not data:
                if self._buffer:
                    raise Mismatch(f"a part of a message came before the end: {self._buffer!r}")
                return None
            self._buffer += data
        message, self._buffer = self._buffer[:size], self._buffer[size:]
        return message.decode("latin-1")

    def _whole(self) -> int | None:
        found = re.match(rb"8=[^\x01]*\x019=(\d+)\x01", self._buffer)
        if found is None:
            return None
        end = self._buffer.find(b"\x01", found.end() + int(found[1]))
        return None if end < 0 else end + 1

    def close(self) -> None:
        self._socket.close()


def to_fixt(line: str) -> str:
    """Change a line of a 4.4 definition into one over FIXT 1.1: the version of the application goes into logons."""
    line = line.replace("8=FIX.4.4\x01", "8=FIXT.1.1\x01")
    if line.startswith("E") and "\x01372=0\x01373=2\x01" in line:
        # The session's messages have a dictionary of their own, to which a tag of the application's is unknown.
        line = line.replace("58=Tag not defined for this message type", "58=Invalid tag number")
        line = _longer(line.replace("\x01373=2\x01", "\x01373=0\x01"), -19)
    is_logon = "\x0135=A\x01" in line
    is_refusal = "\x0135=j\x01" in line and line.startswith("E")
    if not (is_logon or is_refusal):
        return line
    extra = "1137=9\x01"
    line = _longer(line, len(extra))
    body, mark, checksum = line.rpartition("10=") if re.search("\x0110=[^\x01]*\x01$", line) else (line, "", "")
    return f"{body}{extra}{mark}{checksum}"


def _longer(line: str, by: int) -> str:
    """Change the stated length of a body, where one is stated."""
    return re.sub(r"\x019=(\d+)\x01", lambda found: f"\x019={int(found[1]) + by}\x01", line, count=1)


def play(path: Path, port: int, change: Callable[[str], str] = lambda line: line) -> None:
    """Play one definition, each line of it after `change`; raises Mismatch."""
    connections: dict[str, _Connection] = {}
    try:
        for number, line in enumerate(path.read_bytes().decode("latin-1").split("\n"), 1):
            line = line.rstrip("\r")
            if not line or line.startswith("#"):
                continue
            found = _LINE.fullmatch(change(line))
            if found is None:
                raise Mismatch(f"{path.name}:{number}: not a line of a definition")
            try:
                _step(found[1], found[2] or "1", found[3], connections, port)
            except Mismatch as error:
                raise Mismatch(f"{path.name}:{number}: {error}") from None
    finally:
        for connection in connections.values():
            connection.close()
        time.sleep(0.05)


def _step(kind: str, which: str, rest: str, connections: dict[str, _Connection], port: int) -> None:
    if kind == "i" and rest == "CONNECT":
        if which in connections:
            connections.pop(which).close()
        connections[which] = _Connection(port)
    elif kind == "i" and rest == "DISCONNECT":
        connections.pop(which).close()
    elif kind == "e" and rest == "DISCONNECT":
        message = connections[which].receive()
        if message is not None:
            raise Mismatch(f"a message instead of the end: {_shown(message)}")
    elif kind == "I":
        connections[which].send(_framed(rest))
    elif kind == "E":
        message = connections[which].receive()
        if message is None:
            raise Mismatch(f"the end instead of {_shown(rest)}")
        _compare(_framed(rest), message)
    else:
        raise Mismatch(f"unknown step {kind}{rest}")


def _framed(text: str) -> str:
    """Put in the time, and fields 9 and 10 where there are none."""

    def moment(found: re.Match[str]) -> str:
        return datetime.fromtimestamp(time.time() + int(found[1] or 0), UTC).strftime("%Y%m%d-%H:%M:%S")

    text = _TIME.sub(moment, text)
    if not text.startswith("8="):
        return text
    head, _, body = text.partition("\x01")
    if "\x019=" not in f"\x01{body}":
        size = len(body) if "\x0110=" not in f"\x01{body}" else body.rindex("10=")
        text = f"{head}\x019={size}\x01{body}"
    if "\x0110=" not in text:
        text += f"10={sum(text.encode('latin-1')) % 256:03d}\x01"
    return text


def _compare(expected: str, got: str) -> None:
    wanted, came = ([part.partition("=") for part in text.split("\x01") if part] for text in (expected, got))
    same = [tag for tag, _, _ in wanted] == [tag for tag, _, _ in came]
    if not same:
        raise Mismatch(f"expected {_shown(expected)}, got {_shown(got)}")
    for (tag, _, value), (_, _, mine) in zip(wanted, came, strict=True):
        form = _FORMS.get(tag)
        if (form.search(mine) is None) if form is not None else value != mine:
            raise Mismatch(f"field {tag}: expected {_shown(expected)}, got {_shown(got)}")


def _shown(text: str) -> str:
    return text.replace("\x01", "|")
