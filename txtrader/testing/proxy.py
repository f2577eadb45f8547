"""A TCP proxy that misbehaves to order: put it between a client and a server and see what each makes of it.

Faults are plain attributes of `Faults`, one object for each direction, and may be changed while connections stand::

    proxy = FaultProxy(reactor, "127.0.0.1", broker_port)
    port = await proxy.start()
    proxy.downstream.latency = 0.2         # seconds, from now on
    proxy.upstream.is_stalled = True       # half-open: nothing passes, nothing is closed
    proxy.reset_all()                      # RST on both sides

With a frame splitter single messages can be dropped, repeated, held back or reordered: see `Faults.frames`.
Traffic stays in sequence whatever the latency, unless a frame rule says otherwise.
"""

from __future__ import annotations

import random as random_module
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IListeningPort
from twisted.internet.protocol import ClientFactory, Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure

from txtrader.testing.frames import FrameSplitter, SplitterFactory

__all__ = ["FaultProxy", "Faults", "FrameRule", "Pair", "drop_frame", "hold_until_next", "repeat_frame"]

FrameRule = Callable[[bytes], Sequence[tuple[float, bytes]]]
"""Given one whole frame, say what passes instead: (seconds to wait, bytes), any number of them."""


def drop_frame(frame: bytes) -> Sequence[tuple[float, bytes]]:
    """Let nothing pass."""
    return ()


def repeat_frame(frame: bytes) -> Sequence[tuple[float, bytes]]:
    """Let the frame pass twice."""
    return ((0.0, frame), (0.0, frame))


def hold_until_next() -> FrameRule:
    """Make a rule that swaps frames pairwise: the first waits for the second."""
    held: list[bytes] = []

    def rule(frame: bytes) -> Sequence[tuple[float, bytes]]:
        if not held:
            held.append(frame)
            return ()
        return ((0.0, frame), (0.0, held.pop()))

    return rule


class Faults:
    """What happens to one direction of all connections through a proxy.

    `latency` and `jitter` are seconds, `bandwidth` bytes per second, `slice_size` bytes a write, `byte_limit` bytes
    after which the connection is closed (reset with `is_limit_reset`), `close_delay` seconds between the sender's
    end and ours.  `is_stalled` holds bytes back until `FaultProxy.heal`; `is_swallowing` loses them for good.
    `frames` gets every whole frame (needs a splitter).  `frame_limit` closes after so many frames.
    """

    def __init__(self) -> None:
        self.latency = 0.0
        self.jitter = 0.0
        self.bandwidth: float | None = None
        self.slice_size: int | None = None
        self.byte_limit: int | None = None
        self.frame_limit: int | None = None
        self.is_limit_reset = False
        self.close_delay = 0.0
        self.is_stalled = False
        self.is_swallowing = False
        self.frames: FrameRule | None = None

    def clear(self) -> None:
        """Take all faults back."""
        self.__init__()  # type: ignore[misc]


class _Flow:
    """One direction of one connection: what waits, and when it may go."""

    def __init__(self, pair: Pair, faults: Faults, splitter: FrameSplitter | None, jitter: Callable[[], float]) -> None:
        self.taps: list[Callable[[bytes], None]] = []
        self._pair = pair
        self._faults = faults
        self._splitter = splitter
        self._jitter = jitter
        self._queue: deque[tuple[float, bytes | None]] = deque()  # (due, bytes; None is the sender's end)
        self._line_free = 0.0  # when the bandwidth lets the next byte on
        self._timer: IDelayedCall | None = None
        self.sink: _Side | None = None
        self.passed_bytes = 0
        self.passed_frames = 0

    def take(self, data: bytes) -> None:
        if self._faults.is_swallowing or self._pair.is_over:
            return
        if self._splitter is None:
            for tap in self.taps:
                tap(data)
            self._enqueue(0.0, data)
            return
        for frame in self._splitter.feed(data):
            for tap in self.taps:
                tap(frame)
            rule = self._faults.frames
            for wait, piece in ((0.0, frame),) if rule is None else rule(frame):
                if wait > 0:  # out of sequence by intention
                    self._pair.later(wait, self._enqueue, 0.0, piece)
                else:
                    self._enqueue(0.0, piece)
            self.passed_frames += 1
            if self._faults.frame_limit is not None and self.passed_frames >= self._faults.frame_limit:
                self._pair.end(is_reset=self._faults.is_limit_reset)
                return

    def take_end(self) -> None:
        """The sender is done: what waits still goes, then the end itself."""
        if self._splitter is not None and (rest := self._splitter.rest()):
            self._enqueue(0.0, rest)
        self._enqueue(self._faults.close_delay, None)

    def run(self) -> None:
        """Write what is due, and wake up again for the rest."""
        self.stop()
        sink = self.sink
        if sink is None or sink.transport is None or self._faults.is_stalled:
            return
        now = self._pair.seconds()
        while self._queue and self._queue[0][0] <= now and not self._faults.is_stalled:
            _, data = self._queue.popleft()
            if data is None:
                self._pair.end(is_reset=False)
                return
            if not self._write(sink, data):
                return
            if self._faults.slice_size is not None:
                break  # one slice a turn, or the kernel would join them again
        if self._queue:
            self._timer = self._pair.later(max(0.0, self._queue[0][0] - now), self.run)

    def stop(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _enqueue(self, wait: float, data: bytes | None) -> None:
        now = self._pair.seconds()
        due = now + wait + self._faults.latency + (self._jitter() * self._faults.jitter if self._faults.jitter else 0.0)
        if self._faults.bandwidth and data:
            self._line_free = max(self._line_free, now) + len(data) / self._faults.bandwidth
            due = max(due, self._line_free)
        if self._queue:
            due = max(due, self._queue[-1][0])  # a TCP stream has one sequence
        size = self._faults.slice_size
        if data is None or size is None:
            self._queue.append((due, data))
        else:
            self._queue.extend((due, data[start : start + size]) for start in range(0, len(data), size))
        self.run()

    def _write(self, sink: _Side, data: bytes) -> bool:
        limit = self._faults.byte_limit
        is_last = limit is not None and self.passed_bytes + len(data) >= limit
        if is_last and limit is not None:
            data = data[: limit - self.passed_bytes]
        self.passed_bytes += len(data)
        sink.transport.write(data)
        if is_last:
            self._pair.end(is_reset=self._faults.is_limit_reset)
        return not is_last


class _Side(Protocol):
    """One socket of a pair."""

    transport: Any

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self.flow: _Flow | None = None  # what we read goes in here
        self.is_lost = False

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        if self._pair.is_over:
            self.transport.abortConnection()
        else:
            self._pair.side_opened(self)

    def dataReceived(self, data: bytes) -> None:
        if self.flow is not None:
            self.flow.take(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.is_lost = True
        self._pair.side_lost(self)

    def reset(self) -> None:
        """End the connection with a RST: the peer sees ECONNRESET."""
        self.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abortConnection()


class Pair:
    """One client's connection through the proxy and the one to the server that belongs to it."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy
        up, down = proxy.splitters
        self.up = _Flow(self, proxy.upstream, up() if up else None, proxy.random.random)
        self.down = _Flow(self, proxy.downstream, down() if down else None, proxy.random.random)
        self.client = _Side(self)
        self.server = _Side(self)
        self.up.taps, self.down.taps = proxy.upstream_taps, proxy.downstream_taps
        self.client.flow, self.server.flow = self.up, self.down
        self.up.sink, self.down.sink = self.server, self.client
        self.is_over = False
        self._calls: set[IDelayedCall] = set()

    def seconds(self) -> float:
        return self._proxy.reactor.seconds()  # type: ignore[no-any-return]

    def later(self, delay: float, call: Callable[..., object], *args: object) -> IDelayedCall:
        """Call later, unless the pair is over by then."""

        def run() -> None:
            self._calls.discard(made)
            call(*args)

        self._calls = {known for known in self._calls if known.active()}
        made: IDelayedCall = self._proxy.reactor.callLater(delay, run)
        self._calls.add(made)
        return made

    def side_opened(self, side: _Side) -> None:
        if side is self.server:
            self.up.run()  # what the client sent while we were dialling

    def side_lost(self, side: _Side) -> None:
        if not self.is_over:
            if side.flow is not None:
                side.flow.take_end()
        elif self.client.is_lost and self.server.is_lost:
            self._proxy.pair_gone(self)

    def end(self, *, is_reset: bool) -> None:
        """Close both sides, politely or with a RST."""
        if not self.is_over:
            self.is_over = True
            for call in self._calls:
                if call.active():
                    call.cancel()
            self._calls.clear()
        for side in (self.client, self.server):
            if side.transport is None:
                side.is_lost = True
            elif not side.is_lost:
                if is_reset:
                    side.reset()
                else:
                    side.transport.loseConnection()
        if self.client.is_lost and self.server.is_lost:
            self._proxy.pair_gone(self)


class _Inward(ServerFactory):
    noisy = False

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy

    def buildProtocol(self, addr: Any) -> _Side | None:
        return self._proxy.accept()


class _Outward(ClientFactory[_Side]):
    noisy = False

    def __init__(self, pair: Pair) -> None:
        self._pair = pair

    def buildProtocol(self, addr: Any) -> _Side:
        return self._pair.server

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self._pair.end(is_reset=True)


class FaultProxy:
    """Listen on a port of the system's choice and pass everything on to `host`:`port`, with the faults ordered.

    `upstream` is from the client to the server, `downstream` the other way.  `splitters` are the frame splitters of
    the two directions, for the frame faults.  `is_hanging` accepts connections and never serves them.  The calls in
    `upstream_taps` and `downstream_taps` see every frame (or piece, without a splitter) before any fault.
    """

    def __init__(
        self,
        reactor: Any,
        host: str,
        port: int,
        *,
        splitters: tuple[SplitterFactory | None, SplitterFactory | None] = (None, None),
        random: random_module.Random | None = None,
    ) -> None:
        self.reactor = reactor
        self._target = (host, port)
        self.splitters = splitters
        self.random = random if random is not None else random_module.Random(0)
        self.upstream = Faults()
        self.downstream = Faults()
        self.upstream_taps: list[Callable[[bytes], None]] = []
        self.downstream_taps: list[Callable[[bytes], None]] = []
        self.pairs: list[Pair] = []
        self.accepted = 0
        self.is_hanging = False
        self.port = 0
        self._listening: IListeningPort | None = None
        self._idle: list[Deferred[None]] = []

    def start(self) -> Deferred[int]:
        """Listen; fires with the port, the same one after each `refuse`."""
        if self._listening is None:
            self._listening = self.reactor.listenTCP(self.port, _Inward(self), interface="127.0.0.1")
            self.port = self._listening.getHost().port  # type: ignore[union-attr]
        return succeed(self.port)

    def refuse(self) -> Deferred[None]:
        """Stop listening: new connections are refused until `start`; those that stand go on."""
        if self._listening is None:
            return succeed(None)
        listening, self._listening = self._listening, None
        return maybeDeferred(listening.stopListening).addCallback(lambda _: None)

    def stop(self) -> Deferred[None]:
        """Stop listening and end every connection; fires when the last one is gone."""
        waiting = [self.refuse()]
        if self.pairs:
            gone: Deferred[None] = Deferred()
            self._idle.append(gone)
            waiting.append(gone)
            self.reset_all()
        return gatherResults(waiting).addCallback(lambda _: None)

    def retarget(self, port: int) -> None:
        """Send connections made from now on to another port of the same host."""
        self._target = (self._target[0], port)

    def reset_all(self) -> None:
        """Break every connection with a RST on both sides."""
        for pair in list(self.pairs):
            pair.end(is_reset=True)

    def close_all(self) -> None:
        """End every connection with a FIN on both sides."""
        for pair in list(self.pairs):
            pair.end(is_reset=False)

    def stall(self) -> None:
        """Make every link half-open: nothing passes in either direction, nothing is closed."""
        self.upstream.is_stalled = self.downstream.is_stalled = True

    def heal(self) -> None:
        """Take all faults back; what was held goes on."""
        self.upstream.clear()
        self.downstream.clear()
        self.is_hanging = False
        for pair in list(self.pairs):
            pair.up.run()
            pair.down.run()

    def accept(self) -> _Side:
        """Make the pair for a new client."""
        self.accepted += 1
        pair = Pair(self)
        self.pairs.append(pair)
        if not self.is_hanging:
            self.reactor.connectTCP(*self._target, _Outward(pair))
        return pair.client

    def pair_gone(self, pair: Pair) -> None:
        """Forget a pair of which both sides are closed."""
        if pair in self.pairs:
            self.pairs.remove(pair)
        if not self.pairs:
            idle, self._idle = self._idle, []
            for waiting in idle:
                waiting.callback(None)
