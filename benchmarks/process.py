"""Child processes that take orders as JSON lines: servers and loads run apart, pinned where there are cores enough."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["Child", "reply", "serve_orders"]

ROOT = Path(__file__).parents[1]


class Child:
    """A module of this package in a process of its own; `ask` sends an order and returns the answer."""

    def __init__(self, module: str, *arguments: str, core: int | None = None, environ: Mapping[str, str] = {}) -> None:
        self._core = core
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{module}", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        cores = os.sched_getaffinity(0)
        if core is not None and core in cores and len(cores) > 1:
            os.sched_setaffinity(self._process.pid, {core})
        self.hello = self._read()

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, order: str, **arguments: Any) -> Any:
        """Send an order and wait for its answer."""
        self.tell(order, **arguments)
        return self._read()

    def tell(self, order: str, **arguments: Any) -> None:
        """Send an order; read the answer later with `answer`."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"order": order, **arguments}).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        return self._read()

    def close(self) -> None:
        """End the process: it goes when its orders end."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended with {self._process.wait()}")
        answer = json.loads(line)
        if isinstance(answer, dict) and "error" in answer:
            raise RuntimeError(answer["error"])
        return answer


def reply(value: Any) -> None:
    """In the child: send an answer."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def serve_orders(orders: Mapping[str, Callable[..., Any]]) -> None:
    """In the child, blocking: run each order that comes and send its result back, until the input ends."""
    for line in sys.stdin:
        message = json.loads(line)
        try:
            reply(orders[message.pop("order")](**message))
        except Exception as error:
            reply({"error": f"{type(error).__name__}: {error}"})
