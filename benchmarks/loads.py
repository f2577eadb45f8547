"""The loads of B3 to B6: the same blocking client process drives both sides, so that its cost cancels.

Run as a child.  Lines: `rate` pipelines a window of lines, `round_trips` sends one at a time.  HTTP: keep-alive
connections that post the same body.  Times are seconds of the monotonic clock.
"""

from __future__ import annotations

import base64
import os
import selectors
import socket
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from benchmarks.harness import percentile
from benchmarks.process import reply, serve_orders
from txtrader.wire.cqg.schema import ClientMsg, ServerMsg
from txtrader.wire.cqg.values import put_timestamp
from txtrader.wire.tws.framing import FrameBuffer, frame
from txtrader.wire.tws.message import Message
from txtrader.wire.tws.table import REQUESTS


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

    def ask_for(self, line: str, start: str) -> str:
        """Send one line, return the first line that begins with `start`, or an error."""
        self._socket.sendall(line.encode() + b"\n")
        while True:
            answer = self._line().decode()
            if answer.startswith((start, ".error")):
                return answer

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

    def watch(self, count: int, timeout: float = 50.0) -> dict[str, int]:
        """Answer at once, then read quotes until `count` different bids came or nothing came for a second.

        Answers {symbol bid: ns of the monotonic clock when the line was there}.
        """
        reply({"ready": True})
        seen: dict[str, int] = {}
        end = time.monotonic() + timeout
        self._socket.settimeout(1.0)
        buffer = self._buffer
        while len(seen) < count and time.monotonic() < end:
            try:
                data = self._socket.recv(1 << 18)
            except TimeoutError:
                break
            now = time.monotonic_ns()
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                head, found, rest = line.partition(b'"bid":')
                if found:
                    symbol = head.split(b".", 2)[2].partition(b":")[0].decode()
                    bid = rest.partition(b",")[0].decode()
                    if bid != "null":
                        seen.setdefault(f"{symbol} {float(bid):.2f}", now)
        self._buffer = buffer
        self._socket.settimeout(30.0)
        return seen

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


def order_round_trips(port: int, opening: str, count: int) -> dict[str, float]:
    """Submit limit orders on one connection, one at a time; answer with the percentiles of the round trip."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as made:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.sendall(opening.encode())
        buffer = b""
        while b".Authorized" not in buffer or not buffer.endswith(b"\n"):
            buffer += made.recv(1 << 16)
        times = []
        for number in range(count):
            order = f"@o limitorder IBM {40 + number % 1000 / 100:.2f} 1\n".encode()
            start = time.perf_counter()
            made.sendall(order)
            buffer = b""
            while b"\n" not in buffer:
                buffer += made.recv(1 << 16)
            times.append(time.perf_counter() - start)
            if not buffer.startswith(b"@o ") or b'"status":"New"' not in buffer:
                raise RuntimeError(f"not acknowledged: {buffer[:300]!r}")
        return {"p50": percentile(times, 0.5), "p99": percentile(times, 0.99)}


def direct_round_trips(port: int, client_id: int, count: int, path: str, size: int) -> dict[str, float]:
    """Do by hand what the gateway does: append and sync, send placeOrder, wait for the broker's first word on it."""
    data = os.urandom(size)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as made:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            frames = _Frames(made)
            made.sendall(b"API\0" + frame(b"v157"))
            frames.next()
            made.sendall(frame(REQUESTS.encode(Message("startApi", {"clientId": client_id}), 157)))
            while not (body := frames.next()).startswith(b"9\0"):
                pass
            number = int(body.split(b"\0")[2])
            times = []
            for step in range(count):
                order = _place_order(number + step, f"{40 + step % 1000 / 100:.2f}")
                about = b"5\0%d\0" % (number + step)
                start = time.perf_counter()
                os.write(handle, data)
                os.fdatasync(handle)
                made.sendall(order)
                while not frames.next().startswith(about):
                    pass
                times.append(time.perf_counter() - start)
            return {"p50": percentile(times, 0.5), "p99": percentile(times, 0.99)}
    finally:
        os.close(handle)
        os.unlink(path)


def direct_cqg_round_trips(port: int, count: int, path: str, size: int) -> dict[str, float]:
    """The same over CQG's wire: append and sync, send a ready frame, wait until the broker says that it works."""
    data = os.urandom(size)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as made:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            contract_id, account_id = _cqg_logon(made)
            stamp = time.time_ns()
            orders = []
            for step in range(count):
                message = ClientMsg()
                request = message.order_requests.add(request_id=100 + step, is_automated=True)
                order = request.new_order.order
                order.account_id, order.contract_id, order.cl_order_id = account_id, contract_id, f"{stamp}-{step}"
                order.order_type, order.duration, order.side = 2, 1, 1
                order.scaled_limit_price, order.qty.significand = 4000 + step % 1000, 1
                put_timestamp(order.when_utc_timestamp, stamp)
                orders.append(_masked(message.SerializeToString()))
            frames = _WebSocketFrames(made)
            times = []
            for order in orders:
                start = time.perf_counter()
                os.write(handle, data)
                os.fdatasync(handle)
                made.sendall(order)
                while not frames.says_working():
                    pass
                times.append(time.perf_counter() - start)
            return {"p50": percentile(times, 0.5), "p99": percentile(times, 0.99)}
    finally:
        os.close(handle)
        os.unlink(path)


def _masked(body: bytes) -> bytes:
    """Frame a client's binary message under a mask of zeros, which changes nothing."""
    size = len(body)
    head = bytes((0x82, 0x80 | size)) if size < 126 else b"\x82\xfe" + size.to_bytes(2, "big")
    return head + bytes(4) + body


def _cqg_logon(made: socket.socket) -> tuple[int, int]:
    """Log on, subscribe to orders, resolve IBM; answer its contract id and the first account's."""
    made.sendall(
        b"GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += made.recv(1 << 16)
    frames = _WebSocketFrames(made, answer.partition(b"\r\n\r\n")[2])
    message = ClientMsg()
    message.logon.user_name, message.logon.password, message.logon.client_version = "direct", "x", "1"
    message.logon.protocol_version_major, message.logon.protocol_version_minor = 2, 230
    made.sendall(_masked(message.SerializeToString()))
    frames.until(lambda answer: answer.HasField("logon_result"))
    message = ClientMsg()
    message.information_requests.add(id=1).symbol_resolution_request.symbol = "IBM"
    message.information_requests.add(id=2).accounts_request.SetInParent()
    message.trade_subscriptions.add(id=3, subscription_scopes=[1], subscribe=True, skip_orders_snapshot=True)
    made.sendall(_masked(message.SerializeToString()))
    contract_id = account_id = 0
    while not (contract_id and account_id):
        for report in frames.next().information_reports:
            if report.HasField("symbol_resolution_report"):
                contract_id = report.symbol_resolution_report.contract_metadata.contract_id
            if report.HasField("accounts_report"):
                account_id = report.accounts_report.brokerages[0].sales_series[0].accounts[0].account_id
    frames.until(lambda answer: bool(answer.trade_snapshot_completions))
    return contract_id, account_id


class _WebSocketFrames:
    def __init__(self, made: socket.socket, data: bytes = b"") -> None:
        self._socket = made
        self._data = data

    def next(self) -> Any:
        """Return the next ServerMsg."""
        while True:
            data = self._data
            if len(data) >= 4:
                size, body = (data[1], 2) if data[1] < 126 else (int.from_bytes(data[2:4], "big"), 4)
                if len(data) >= body + size:
                    self._data = data[body + size :]
                    return ServerMsg.FromString(data[body : body + size])
            self._data += self._socket.recv(1 << 16)

    def until(self, fits: Callable[[Any], bool]) -> None:
        while not fits(self.next()):
            pass

    def says_working(self) -> bool:
        """Tell whether the next message acknowledges an order."""
        return any(told.status == 3 for status in self.next().order_statuses for told in status.transaction_statuses)


def _place_order(number: int, price: str) -> bytes:
    fields = {
        "orderId": number,
        "symbol": "IBM",
        "secType": "STK",
        "exchange": "SMART",
        "currency": "USD",
        "action": "BUY",
        "totalQuantity": Decimal(1),
        "orderType": "LMT",
        "lmtPrice": Decimal(price),
        "tif": "DAY",
        "transmit": True,
    }
    return frame(REQUESTS.encode(Message("placeOrder", fields), 157))


class _Frames:
    def __init__(self, made: socket.socket) -> None:
        self._socket = made
        self._buffer = FrameBuffer()

    def next(self) -> bytes:
        while (body := self._buffer.next_frame()) is None:
            data = self._socket.recv(1 << 16)
            if not data:
                raise RuntimeError("closed")
            self._buffer.feed(data)
        return body


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
            "ask_for": lines.ask_for,
            "rate": lines.rate,
            "round_trips": lines.round_trips,
            "watch": lines.watch,
            "close": lines.close,
            "calls": calls,
            "orders": orders,
            "order_round_trips": order_round_trips,
            "direct_round_trips": direct_round_trips,
            "direct_cqg_round_trips": direct_cqg_round_trips,
        }
    )
