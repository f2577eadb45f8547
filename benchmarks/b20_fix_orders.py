"""Orders over FIX on loopback: from the order's bytes to its execution report, against QuickFIX's executor in Python.

The simulator validates, matches in a book, keeps accounts and says two things (the order is new, the order is filled);
the executor of QuickFIX, C++ below a few lines of Python, fills at once and says one.  There is no target: the ratios
are stated as they are.  One blocking client of plain bytes drives both: it measures servers, not itself.
"""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import Result, Target, Void, compare
from txtrader.exsim import API
from txtrader.wire.fix.framing import encode

QUICKFIX = Path(__file__).parents[1] / ".venv-quickfix" / "bin" / "python"
IN_FLOW = 5_000
ONE_BY_ONE = 1_000
_FILLED = b"\x0139=2\x01"


class _Client:
    """Sends orders and waits for their fills."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._number = 0
        self._run = time.time_ns()  # no id is used twice
        self._send([self._frame("A", [(98, "0"), (108, "60"), (141, "Y")])])
        self._until(b"\x0135=A\x01", 1)

    def _frame(self, kind: str, fields: list[tuple[int, str]]) -> bytes:
        self._number += 1
        now = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())
        head = [(35, kind), (34, str(self._number)), (49, "CLIENT"), (52, now), (56, "EXSIM")]
        return encode("FIX.4.4", head + fields)

    def _order(self) -> bytes:
        now = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())
        return self._frame(
            "D",
            [
                *[(11, f"{self._run}-{self._number}"), (21, "1"), (38, "1"), (40, "2"), (44, "100.00"), (54, "1")],
                *[(55, "IBM"), (59, "0"), (60, now)],
            ],
        )

    def _send(self, frames: list[bytes]) -> None:
        self._socket.sendall(b"".join(frames))

    def _until(self, word: bytes, count: int) -> None:
        tail = b""
        while count > 0:
            data = self._socket.recv(1 << 18)
            if not data:
                raise Void("the server has closed")
            seen = tail + data
            count -= seen.count(word)
            tail = b"" if seen.endswith(word) else seen[-len(word) + 1 :]

    def in_flow(self) -> float:
        """Return orders a second, all sent at once."""
        frames = [self._order() for _ in range(IN_FLOW)]
        start = time.perf_counter()
        for place in range(0, IN_FLOW, 50):
            self._send(frames[place : place + 50])
            self._until(_FILLED, 50)
        return IN_FLOW / (time.perf_counter() - start)

    def one_by_one(self) -> tuple[float, float]:
        """Return median and 99th percentile in microseconds, from the order's bytes to its fill's."""
        took = []
        for _ in range(ONE_BY_ONE):
            frame = self._order()
            start = time.perf_counter()
            self._send([frame])
            self._until(_FILLED, 1)
            took.append((time.perf_counter() - start) * 1e6)
        return statistics.median(took), statistics.quantiles(took, n=100)[98]

    def measure(self) -> dict[str, float]:
        p50, p99 = self.one_by_one()
        return {"orders": self.in_flow(), "p50": p50, "p99": p99}

    def close(self) -> None:
        self._socket.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(rounds: int = 3) -> list[Result]:
    """Measure both servers with the same client, alternately."""
    if not QUICKFIX.exists():
        print("# B20 needs QuickFIX: `make quickfix` builds it", file=sys.stderr)
        return []
    with tempfile.TemporaryDirectory() as folder, API() as api:
        port = _free_port()
        command: list[Any] = [QUICKFIX, Path(__file__).with_name("quickfix_executor.py"), port, folder]
        with subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as executor:
            assert executor.stdin is not None and executor.stdout is not None
            if executor.stdout.readline() != b"ready\n":
                raise Void("the executor does not start")
            engine = api.create_server(start="spawn").create_engine("e1")
            engine.create_book("IBM", symbol="IBM", tick="0.01").sell("maker", 10**9, "100.00", tif="gtc")
            ours = engine.create_endpoint("fix", protocol="fix44").port

            def side(port: int) -> dict[str, float]:
                client = _Client(port)
                try:
                    return client.measure()
                finally:
                    client.close()
                    time.sleep(0.2)  # the executor frees the session when it sees the end

            results = compare(
                "B20",
                "orders over FIX, to their fills",
                ours=lambda: side(ours),
                theirs=lambda: side(port),
                targets={"orders": Target(), "p50": Target(), "p99": Target()},
                unit="orders/s; microseconds",
                ours_are="the simulator: book, accounts, two reports an order",
                theirs_are="QuickFIX 1.16.0, its executor in Python: one report an order, no book",
                parameters={"in_flow": IN_FLOW, "one_by_one": ONE_BY_ONE},
                rounds=rounds,
            )
            executor.stdin.close()
        return results
