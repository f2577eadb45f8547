"""The one place that writes to clients: eager on a free socket, bounded behind a slow one.

Three things meet here.  Speed: Twisted's transports on an asyncio loop lose half their speed to registering a
writer for each write, so data goes straight into the socket while nothing is queued, and what is written later in
the same turn is joined.  Bounds: behind a slow reader market data conflates to the latest of each key, durable
events wait, and the client is let go before it costs memory.  Isolation: the sum over all clients has a ceiling,
and the largest queue pays for it.

To drive it without a front end (benchmarks do): make one `OutboundPool(reactor)`, and in a protocol's
`connectionMade` `self.out = pool.attach(self.transport)`; then `out.write(data)` or `out.write_latest(key, data)`
as often as you like, and `out.lost()` from `connectionLost`.  Nothing needs to be flushed by hand.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import msgspec
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from txtrader.net.eager import is_plain_socket
from txtrader.net.outbound_queue import Outbound
from txtrader.net.turn import Turn

__all__ = ["Limits", "Outbound", "OutboundPool"]

_SOCKET_BUFFER = 131072  # bytes asked of the kernel for a client's socket: left alone it takes megabytes for each
_SWEEP = 1.0  # seconds between two looks at the slow clients


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the queues: bytes and seconds, by the settings QUEUE_*.

    Over `conflate` bytes queued market data keeps the latest of each key; over `close`, or after `stall` seconds in
    which the client took nothing, it is let go; `total` is the ceiling of all queues together; a client that was
    told to go has `linger` seconds to read the rest.
    """

    conflate: int = 256 * 1024
    close: int = 8 * 1024 * 1024
    stall: float = 30.0
    total: int = 256 * 1024 * 1024
    linger: float = 5.0


class OutboundPool:
    """All clients' queues: what they share is the turn, the ceiling and the look at the slow ones.

    `conflated` counts pieces of market data that a later one replaced, `slow` clients that were let go, `total`
    bytes queued now.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, limits: Limits | None = None) -> None:
        self.clock = clock
        self.limits = limits or Limits()
        self.turn = Turn(clock)
        self.total = 0
        self.conflated = 0
        self.slow = 0
        self._watched: dict[Outbound, None] = {}
        self._sweep: IDelayedCall | None = None
        self._is_evicting = False

    def attach(
        self,
        transport: Any,
        *,
        on_slow: Callable[[str], bytes] | None = None,
        respell: Callable[[Any, int], bytes] | None = None,
    ) -> Outbound:
        """Return the queue of one client; from now on nobody else writes to its transport."""
        if is_plain_socket(transport):
            transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
        return Outbound(self, transport, on_slow, respell)

    def watch(self, outbound: Outbound) -> None:
        """Look at this client each second, until it is free or gone."""
        self._watched[outbound] = None
        if self._sweep is None:
            self._sweep = self.clock.callLater(_SWEEP, self._look)

    def unwatch(self, outbound: Outbound) -> None:
        """Look no more: the client has taken everything."""
        self._watched.pop(outbound, None)

    def linger(self, outbound: Outbound) -> None:
        """Give a client that was told to go a while to read the last words."""
        outbound.expect_end(self.clock.seconds() + self.limits.linger)
        self.watch(outbound)

    def detach(self, outbound: Outbound) -> None:
        """Forget a client that is gone."""
        self._watched.pop(outbound, None)
        if not self._watched and self._sweep is not None and self._sweep.active():
            self._sweep.cancel()
            self._sweep = None

    def evict(self) -> None:
        """Make room: the clients with the longest queues go until the ceiling holds."""
        if self._is_evicting:
            return
        self._is_evicting = True
        try:
            for outbound in sorted(self._watched, key=lambda o: o.queued, reverse=True):
                if self.total <= self.limits.total:
                    break
                self._log.warn("queues of all clients exceed {total} bytes: the longest goes", total=self.limits.total)
                outbound.evict()
        finally:
            self._is_evicting = False

    def _look(self) -> None:
        now = self.clock.seconds()
        for outbound in list(self._watched):
            try:
                outbound.check(now)
            except Exception:  # noqa: BLE001
                # The look at the others must go on, and at this one the next time.
                self._log.failure("looking at a slow client")
        self._sweep = None
        if self._watched:
            self._sweep = self.clock.callLater(_SWEEP, self._look)
