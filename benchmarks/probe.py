"""A plain blocking line client for the benchmarks' own questions."""

from __future__ import annotations

import socket

from benchmarks.process import Child

__all__ = ["Probe", "quote_lines"]


class Probe:
    """One logged-in connection to a gateway server."""

    def __init__(self, server: Child, options: str = "") -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.hello["port"]), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self.say(f"auth {server.hello['user']} {server.hello['password']} {options}".rstrip())
        self.until(".Authorized")

    def say(self, line: str) -> None:
        self._socket.sendall(line.encode() + b"\n")

    def line(self) -> str:
        while b"\n" not in self._buffer:
            data = self._socket.recv(1 << 16)
            if not data:
                raise RuntimeError(f"closed: {self._buffer!r}")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()

    def until(self, start: str) -> str:
        while not (line := self.line()).startswith(start):
            if line.startswith(".error"):
                raise RuntimeError(line)
        return line

    def ask(self, line: str) -> str:
        """Send a command under a tag and return its reply."""
        self.say(f"@b {line}")
        return self.until("@b ").removeprefix("@b ")

    def close(self) -> None:
        self._socket.close()


def quote_lines(server: Child, count: int = 20) -> list[str]:
    """Return the `count` different lines that the server's quotes become, each with its LF; all of one length."""
    probe = Probe(server, '{"channels": ["quote"]}')
    reply = probe.ask("add IBM")
    if "added" not in reply:
        raise RuntimeError(reply)
    server.ask("broadcast", symbol="IBM", times=count)
    lines = [probe.until("memory.quote.IBM") + "\n" for _ in range(count)]
    # The probe stays connected as long as the process lives: its symbol keeps the line open for the others.
    _kept.append(probe)
    if len({len(line) for line in lines}) != 1:
        raise RuntimeError(f"lines of different length: {lines[:3]}")
    return lines


_kept: list[Probe] = []
