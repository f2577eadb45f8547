"""The loads of B3 to B6: the same blocking client process drives both sides, so that its cost cancels.

Run as a child.  Lines: `rate` pipelines a window of lines, `round_trips` sends one at a time.  HTTP: keep-alive
connections that post the same body.  Times are seconds of the monotonic clock.
"""

from __future__ import annotations

import base64
import selectors
import socket
import time
from typing import Any

from benchmarks.harness import percentile
from benchmarks.process import reply, serve_orders


class Lines:
    """One connection to a line server."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._buffer = b""

    def connect(self, port: int, opening: str = "", until: str = "") -> list[str]:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        seen: list[str] = []
        if opening:
            self._socket.sendall(opening.encode())
        while until and not (seen and seen[-1].startswith(until)):
            seen.append(self._line().decode())
        return seen

    def ask(self, line: str) -> str:
        """Send one line, return the reply."""
        self._socket.sendall(line.encode() + b"\n")
        return self._line().decode()

    def rate(self, lines: list[str], count: int, window: int = 64) -> dict[str, float]:
        """Send `count` lines, at most `window` unanswered; answer with lines per second and bytes read."""
        batch = b"".join(line.encode() + b"\n" for line in lines)
        size = len(lines)
        sent = answered = received = 0
        made = self._socket
        start = time.perf_counter()
        while answered < count:
            while sent < count and sent + size - answered <= max(window, size):
                made.sendall(batch)
                sent += size
            data = made.recv(1 << 18)
            if not data:
                raise RuntimeError("closed")
            answered += data.count(b"\n")
            received += len(data)
        return {"value": answered / (time.perf_counter() - start), "bytes": received}

    def round_trips(self, lines: list[str], count: int) -> dict[str, float]:
        """Send one line at a time; answer with the median and the 99th percentile in seconds."""
        times = []
        made = self._socket
        for number in range(count):
            data = lines[number % len(lines)].encode() + b"\n"
            start = time.perf_counter()
            made.sendall(data)
            while True:
                answer = made.recv(1 << 16)
                if not answer:
                    raise RuntimeError("closed")
                if answer.endswith(b"\n"):
                    break
            times.append(time.perf_counter() - start)
        return {"p50": percentile(times, 0.5), "p99": percentile(times, 0.99)}

    def close(self) -> int:
        self._socket.close()
        return 0

    def _line(self) -> bytes:
        while b"\n" not in self._buffer:
            data = self._socket.recv(1 << 16)
            if not data:
                raise RuntimeError(f"closed: {self._buffer!r}")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


def calls(port: int, path: str, body: str, connections: int, count: int, login: str = "") -> dict[str, Any]:
    """Post the body over keep-alive connections, one call at a time on each; answer with calls per second."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n"
    )
    if login:
        head += f"Authorization: Basic {base64.b64encode(login.encode()).decode()}\r\n"
    request = (head + "\r\n" + body).encode()
    selector = selectors.DefaultSelector()
    buffers: dict[int, bytes] = {}
    made = []
    for _ in range(connections):
        one = socket.create_connection(("127.0.0.1", port), timeout=30)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(one, selectors.EVENT_READ)
        buffers[one.fileno()] = b""
        made.append(one)
    sent = answered = 0
    first = b""
    start = time.perf_counter()
    for one in made:
        one.sendall(request)
        sent += 1
    while answered < count:
        for key, _ in selector.select(30):
            one = key.fileobj  # type: ignore[assignment]
            buffer = buffers[key.fd] + one.recv(1 << 16)
            size = _response_size(buffer)
            if size is None or len(buffer) < size:
                buffers[key.fd] = buffer
                continue
            if not buffer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(repr(buffer[:400]))
            first = first or buffer[:size]
            buffers[key.fd] = buffer[size:]
            answered += 1
            if sent < count:
                one.sendall(request)
                sent += 1
    spent = time.perf_counter() - start
    for one in made:
        one.close()
    return {"value": answered / spent, "answer": first.decode("latin-1")[-300:]}


def orders(port: int, opening: str, connections: int, count: int) -> dict[str, float]:
    """Submit orders over many connections, one unanswered on each; answer with acknowledged orders per second."""
    selector = selectors.DefaultSelector()
    made: list[socket.socket] = []
    buffers: dict[int, bytes] = {}
    for _ in range(connections):
        one = socket.create_connection(("127.0.0.1", port), timeout=30)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.sendall(opening.encode())
        buffer = b""
        while b".Authorized" not in buffer or not buffer.endswith(b"\n"):
            buffer += one.recv(1 << 16)
        selector.register(one, selectors.EVENT_READ)
        buffers[one.fileno()] = b""
        made.append(one)
    order = b"@o limitorder IBM 99.5 1\n"
    sent = answered = 0
    start = time.perf_counter()
    for one in made:
        one.sendall(order)
        sent += 1
    while answered < count:
        for key, _ in selector.select(30):
            one = key.fileobj  # type: ignore[assignment]
            *lines, rest = (buffers[key.fd] + one.recv(1 << 16)).split(b"\n")
            buffers[key.fd] = rest
            for line in lines:
                if not line.startswith(b"@o "):
                    continue
                if b'"status":"New"' not in line.replace(b": ", b":"):
                    raise RuntimeError(f"not acknowledged: {line!r}")
                answered += 1
                if sent < count:
                    one.sendall(order)
                    sent += 1
    spent = time.perf_counter() - start
    for one in made:
        one.close()
    return {"value": answered / spent}


def _response_size(buffer: bytes) -> int | None:
    head, found, _ = buffer.partition(b"\r\n\r\n")
    if not found:
        return None
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(head) + 4 + int(value)
    raise RuntimeError(f"an answer without a length: {head!r}")


if __name__ == "__main__":
    lines = Lines()
    reply({"ready": True})
    serve_orders(
        {
            "connect": lines.connect,
            "ask": lines.ask,
            "rate": lines.rate,
            "round_trips": lines.round_trips,
            "close": lines.close,
            "calls": calls,
            "orders": orders,
        }
    )
