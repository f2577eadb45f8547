"""Pumps with latency, for every wire: bytes are under way for a while in both directions, and each event takes time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, cast

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.exsim.latency import AT_ONCE, DelayLine, Latency
from txtrader.net.pump import Pump
from txtrader.net.websocket import WebSocketPump
from txtrader.wire.session import Session

__all__ = ["DelayedPump", "DelayedWebSocketPump", "LatencyOptions"]

_MOST_IN = 1 << 20  # bytes under way to us; then we read no more, as a window that is full
_MOST_EVENTS = 1000  # that wait to be dealt with; then no more are taken in, and soon no more read
_MOST_OUT = 8 << 20  # bytes under way to the peer; more than that nobody meant to delay
_AHEAD = 1 << 20  # bytes under way to the peer; who has much to send waits then


class LatencyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint's options say of time.

    `latency_in` and `latency_out` are how long bytes are under way to us and from us, `computation` how long each
    message is being dealt with, one after the other; draws come from generators named after `seed` and the number of
    the connection.
    """

    latency_in: Latency = AT_ONCE
    latency_out: Latency = AT_ONCE
    computation: Latency = AT_ONCE
    seed: int = 1


class _End:
    """The end of a direction, behind its last bytes or events."""

    __slots__ = ("reason",)

    def __init__(self, reason: Failure) -> None:
        self.reason = reason


class DelayedPump(Pump):
    """A Pump with three delay lines, each drawing from a generator named after `name`.

    A peer's end arrives behind its last bytes, and ours leaves behind our last ones; `abort` forgets what is under way.
    Without latency nothing is held, and everything happens as in a Pump.
    """

    _log = Logger()

    def __init__(
        self,
        session: Session[Any, Any],
        clock: IReactorTime,
        on_event: Callable[[Any], None],
        on_lost: Callable[[Failure], None],
        *more: Any,
        name: str,
        latencies: LatencyOptions,
        **options: Any,
    ) -> None:
        super().__init__(session, clock, self._queue_event, self._queue_end, *more, **options)
        self._handle = on_event
        self._handle_end = on_lost
        self._is_gone = False
        self._is_cut = False
        self._bytes_in = self._bytes_out = 0
        self._is_full = False  # enough bytes are under way to us
        self._is_swamped = False  # enough events wait
        self._is_held = False  # by the owner
        self._waiting: list[Deferred[None]] = []  # for room on the way out
        self.inbound: DelayLine[bytes | _End] = DelayLine(
            clock, latencies.latency_in, Random(f"{name}|in"), self._arrived
        )
        self.outgoing: DelayLine[bytes | Callable[[], None]] = DelayLine(
            clock, latencies.latency_out, Random(f"{name}|out"), self._left
        )
        self.work: DelayLine[Any] = DelayLine(
            clock, latencies.computation, Random(f"{name}|computation"), self._dealt_with, is_busy=True
        )

    def set_latency(
        self,
        *,
        latency_in: Latency | None = None,
        latency_out: Latency | None = None,
        computation: Latency | None = None,
    ) -> None:
        """Change how long things take from now on; what is under way arrives as it would have, and first."""
        for line, model in ((self.inbound, latency_in), (self.outgoing, latency_out), (self.work, computation)):
            if model is not None:
                line.set(model)

    # -- in

    def dataReceived(self, data: bytes) -> None:
        self._bytes_in += len(data)
        self.inbound.put(data)
        if self._bytes_in > _MOST_IN and not self._is_full and not self._is_gone:
            self._is_full = True
            cast(Any, self.transport).pauseProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._is_gone = True
        self.outgoing.clear()
        if self._is_ending:  # nobody wants to hear the rest
            self.inbound.clear()
            super().connectionLost(reason)
        else:
            self.inbound.put(_End(reason))

    def _arrived(self, thing: bytes | _End) -> None:
        if isinstance(thing, _End):
            super().connectionLost(thing.reason)
            return
        self._bytes_in -= len(thing)
        if self._is_full and self._bytes_in <= _MOST_IN // 2:
            self._is_full = False
            if not self._is_gone and not self._is_paused:
                cast(Any, self.transport).resumeProducing()
        super().dataReceived(thing)

    def pause(self, *, keeps_time: bool = False) -> None:
        """Deliver no events and read no more until `resume`."""
        self._is_held = True
        super().pause(keeps_time=keeps_time)

    def resume(self) -> None:
        """Deliver events again, as soon as nothing else stands in the way."""
        self._is_held = False
        self._open_up()

    def _open_up(self) -> None:
        """Read on, unless somebody wants otherwise."""
        if self._is_held or self._is_swamped:
            return
        super().resume()
        if self._is_full and not self._is_gone:
            cast(Any, self.transport).pauseProducing()

    # -- events

    def _queue_event(self, event: Any) -> None:
        self.work.put(event)
        if len(self.work) >= _MOST_EVENTS:
            self._is_swamped = True
            super().pause()

    def _queue_end(self, reason: Failure) -> None:
        if self._is_cut:
            self._handle_end(reason)
        else:
            self.work.put(_End(reason))

    def _dealt_with(self, event: Any) -> None:
        if isinstance(event, _End):
            self._guard(partial(self._handle_end, event.reason))
        elif self._is_pulling:  # at once: who pulls looks after faults, and writes
            self._handle(event)
        else:
            self._guard(partial(self._handle, event))
            if self.is_connected:
                self._pull()  # the session may have waited for the answer
                self.flush()
        if self._is_swamped and len(self.work) <= _MOST_EVENTS // 2:
            self._is_swamped = False
            self._open_up()

    # -- out

    def _emit(self, data: bytes) -> None:
        if self._is_gone:
            return
        self._bytes_out += len(data)
        if self._bytes_out > _MOST_OUT:
            self._log.warn("more than {most} bytes are under way to a client: it goes", most=_MOST_OUT)
            self.abort()
            return
        self.outgoing.put(data)

    @property
    def is_stalled(self) -> bool:
        """Tell whether so much is under way to the peer, or queued for it, that who has much to send should wait."""
        return self._bytes_out > _AHEAD or (self.outbound is not None and self.outbound.is_stalled)

    def when_free(self) -> Deferred[None]:
        """Wait until there is room on the way out; never fires once the connection is gone."""
        if self._bytes_out <= _AHEAD and self.outbound is not None:
            return self.outbound.when_free()
        waiter: Deferred[None] = Deferred()
        self._waiting.append(waiter)
        return waiter

    def behind(self, call: Callable[[], None]) -> None:
        """Call once what is under way to the peer has left; never where the connection ends before."""
        self.outgoing.put(call)

    def _hang_up(self) -> None:
        self.outgoing.put(super()._hang_up)

    def _left(self, data: bytes | Callable[[], None]) -> None:
        if not isinstance(data, bytes):
            data()
            return
        self._bytes_out -= len(data)
        super()._emit(data)
        if self._waiting and self._bytes_out <= _AHEAD // 2:
            waiting, self._waiting = self._waiting, []
            for waiter in waiting:
                waiter.callback(None)

    def abort(self) -> None:
        """Close at once; what is under way in either direction is lost, and so are events that wait."""
        self._is_cut = True
        for line in (self.inbound, self.outgoing, self.work):
            line.clear()
        super().abort()


class DelayedWebSocketPump(DelayedPump, WebSocketPump):
    """The same over WebSocket: whole messages are under way; its handshake, its pings and its goodbye are not."""
