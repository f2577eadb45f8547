"""Servers of the benchmarks run on the daemon's own kind of loop: asyncioreactor on uvloop.

Import this before anything of Twisted that may install another reactor.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

import uvloop
from twisted.internet import asyncioreactor

_loop = uvloop.new_event_loop()
asyncio.set_event_loop(_loop)
asyncioreactor.install(_loop)

from twisted.internet import reactor as _reactor  # noqa: E402 - only now is it the right one
from twisted.internet.defer import Deferred, maybeDeferred  # noqa: E402
from twisted.internet.stdio import StandardIO  # noqa: E402
from twisted.protocols.basic import LineOnlyReceiver  # noqa: E402
from twisted.python.failure import Failure  # noqa: E402

reactor: Any = _reactor
loop = _loop

__all__ = ["loop", "reactor", "run"]


class _Orders(LineOnlyReceiver):
    delimiter = b"\n"
    MAX_LENGTH = 1 << 20

    def __init__(self, orders: Mapping[str, Callable[..., Any]]) -> None:
        self._orders = orders

    def lineReceived(self, line: bytes) -> None:
        message = json.loads(line)
        running: Deferred[Any] = maybeDeferred(self._orders[message.pop("order")], **message)
        running.addCallbacks(self._answer, self._failed)

    def _answer(self, value: Any) -> None:
        self._write(value)

    def _failed(self, failure: Failure) -> None:
        self._write({"error": failure.getTraceback()})

    def _write(self, value: Any) -> None:
        assert self.transport is not None
        self.transport.write(json.dumps(value).encode() + b"\n")

    def connectionLost(self, reason: Failure | None = None) -> None:
        if reactor.running:
            reactor.stop()


def run(start: Callable[[], Any], orders: Mapping[str, Callable[..., Any]]) -> None:
    """Run the reactor: `start()` may return a Deferred, its result is the hello; then obey orders from stdin.

    Orders return values or Deferreds.  Garbage is collected and frozen before the hello.
    """

    def begin() -> None:
        maybeDeferred(start).addCallbacks(greet, give_up)

    def greet(hello: Any) -> None:
        gc.collect()
        gc.freeze()
        protocol = _Orders(orders)
        StandardIO(protocol, reactor=reactor)
        protocol._answer(hello)

    def give_up(failure: Failure) -> None:
        sys.stderr.write(failure.getTraceback())
        reactor.stop()

    reactor.callWhenRunning(begin)
    reactor.run()
