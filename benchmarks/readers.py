"""The readers of B2, B9 and B11: many sockets on one epoll in a process of their own; every byte is counted.

Run as a child.  `connect` opens sockets and sends each its opening lines; `expect` says how many bytes shall come on
each socket in all, and answers, when the last of them is there, with the clock reading of that moment.
"""

from __future__ import annotations

import hashlib
import select
import socket
import time
from typing import Any

from benchmarks.process import reply, serve_orders

CHUNK = 1 << 18


class Readers:
    def __init__(self) -> None:
        self._sockets: dict[int, socket.socket] = {}
        self._epoll = select.epoll()
        self._counts: dict[int, int] = {}
        self._opened: list[int] = []
        self._sample: hashlib._Hash | None = None

    def connect(self, port: int, count: int, opening: str = "", until: str = "") -> int:
        """Open `count` sockets; send `opening` on each and read until a line starts with `until`."""
        for _ in range(count):
            made = socket.create_connection(("127.0.0.1", port), timeout=30)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if opening:
                made.sendall(opening.encode())
            self._sockets[made.fileno()] = made
            self._counts[made.fileno()] = 0
            self._opened.append(made.fileno())
            if until:  # one after the other: a server may bound those that have not logged in
                self._read_until(made, until.encode())
        for number in self._opened[-count:]:
            self._sockets[number].setblocking(False)
            self._epoll.register(number, select.EPOLLIN)
        return len(self._sockets)

    def say(self, text: str, until: str = "", only: int | None = None) -> int:
        """Send lines on every socket (or the first `only`) and read until a line starts with `until`."""
        numbers = self._opened[:only]
        for number in numbers:
            self._sockets[number].setblocking(True)
            self._sockets[number].settimeout(30)
            self._sockets[number].sendall(text.encode())
            if until:
                self._read_until(self._sockets[number], until.encode())
            self._sockets[number].setblocking(False)
        return len(numbers)

    def forget(self) -> int:
        """Throw away what is waiting, and start counting at zero."""
        while True:
            ready = self._epoll.poll(0.05)
            if not ready:
                break
            for number, _ in ready:
                self._sockets[number].recv(CHUNK)
        for number in self._counts:
            self._counts[number] = 0
        self._sample = hashlib.sha256()
        return len(self._counts)

    def expect(self, size: int, only: int | None = None, timeout: float = 55.0) -> dict[str, Any]:
        """Read until each socket (or the first `only`) has had `size` bytes; the others must get nothing.

        Answers {done: ns of the monotonic clock, bytes: total, digest: of what the first socket got}.
        """
        reply({"ready": True})
        numbers = self._opened[:only]
        wanted = set(numbers)
        waiting = set(numbers)
        first = numbers[0] if numbers else -1
        counts, sockets = self._counts, self._sockets
        sample = self._sample or hashlib.sha256()
        end = time.monotonic() + timeout
        while waiting:
            if time.monotonic() > end:
                short = {number: counts[number] for number in list(waiting)[:5]}
                raise RuntimeError(f"{len(waiting)} of {len(numbers)} readers are short of {size}: {short}")
            for number, _ in self._epoll.poll(1.0, 1024):
                data = sockets[number].recv(CHUNK)
                if not data:
                    raise RuntimeError("the server closed a connection")
                if number not in wanted:
                    raise RuntimeError(f"an uninterested reader got {data[:100]!r}")
                counts[number] += len(data)
                if number == first:
                    sample.update(data)
                if counts[number] >= size:
                    waiting.discard(number)
        done = time.monotonic_ns()
        over = [count for number, count in counts.items() if number in wanted and count != size]
        if over:
            raise RuntimeError(f"readers got {over[:3]} instead of {size}")
        return {"done": done, "bytes": sum(counts.values()), "digest": sample.hexdigest()}

    def close(self) -> int:
        """Close all, with a RST so that no port lingers."""
        for made in self._sockets.values():
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            made.close()
        count = len(self._sockets)
        self._sockets.clear()
        self._counts.clear()
        self._opened.clear()
        self._epoll.close()
        self._epoll = select.epoll()
        return count

    def _read_until(self, made: socket.socket, wanted: bytes) -> None:
        buffer = b""
        while True:
            for line in buffer.split(b"\n")[:-1]:
                if line.startswith(wanted):
                    return
            data = made.recv(CHUNK)
            if not data:
                raise RuntimeError(f"closed before {wanted!r}: {buffer[-200:]!r}")
            buffer += data


if __name__ == "__main__":
    readers = Readers()
    reply({"ready": True})
    serve_orders(
        {
            "connect": readers.connect,
            "say": readers.say,
            "forget": readers.forget,
            "expect": readers.expect,
            "close": readers.close,
        }
    )
