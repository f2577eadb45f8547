"""What waits for one client: eager on a free socket, bounded behind a slow one.  See `txtrader.net.outbound`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IPullProducer, IPushProducer
from zope.interface import implementer

from txtrader.net.eager import is_plain_socket

if TYPE_CHECKING:
    from txtrader.net.outbound import OutboundPool

__all__ = ["Outbound"]

_JOIN = 65536  # bytes joined into one system call: about what a socket takes at once
_HELD = 16384  # bytes held back within a turn before they go out all the same
_NEVER = 1 << 62  # no turn has this number
_HANDED = 16384  # bytes given to the transport at once: small, so that its progress is seen often


class _Latest:
    """A queued piece of market data that a later one of the same key may replace; a client counts what it missed."""

    __slots__ = ("data", "dropped", "key", "source")

    def __init__(self, key: Hashable, data: bytes, source: Any) -> None:
        self.key = key
        self.data = data
        self.source = source
        self.dropped = 0


@implementer(IPushProducer)
class _Valve:
    """Hears from a transport that is no plain socket when its own buffer is full, and when it is empty again."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound

    def pauseProducing(self) -> None:
        self._outbound.is_blocked = True

    def resumeProducing(self) -> None:
        self._outbound.is_blocked = False
        self._outbound.refill()

    def stopProducing(self) -> None:
        pass  # the protocol hears of the loss by connectionLost


@implementer(IPullProducer)
class Outbound:
    """What waits for one client.  Made by `OutboundPool.attach`.

    `on_slow(reason)` is called once when the client is being let go; what it returns is sent as the last words, as
    best effort.  `respell(source, dropped)` gives the bytes of a piece that stands for `dropped` earlier ones; it is
    not asked for pieces whose source is None, and may be set later.

    A plain socket's transport asks it for more each time that it has run dry.
    """

    __slots__ = (
        "_close_at",
        "_is_armed",
        "_is_closing",
        "_is_open",
        "_latest",
        "_on_slow",
        "_pool",
        "_progress",
        "_queue",
        "_rest",
        "_send",
        "_serial",
        "_transport",
        "_turn",
        "_valve",
        "_waiting",
        "is_blocked",
        "is_stalled",
        "queued",
        "respell",
    )

    def __init__(
        self,
        pool: OutboundPool,
        transport: Any,
        on_slow: Callable[[str], bytes] | None,
        respell: Callable[[Any, int], bytes] | None,
    ) -> None:
        self._pool = pool
        self._turn = pool.turn
        self._transport = transport
        self._on_slow = on_slow
        self.respell = respell
        self._queue: deque[bytes | _Latest] | None = None  # an idle client pays for no deque
        self._rest: bytes | memoryview = b""  # what is left of a piece that was cut by the socket
        self._waiting: list[Deferred[None]] | None = None  # those who wait until the socket is free
        self._latest: dict[Hashable, _Latest] | None = None  # while conflating
        # The turn of the last direct write; _NEVER while there can be none: something waits, or it is the end.
        self._serial = 0
        self._progress = 0.0
        self._close_at: float | None = None
        self._is_open = True
        self._is_closing = False
        self._is_armed = False  # Twisted asks once while it registers us: that says nothing about the socket
        self._valve: _Valve | None = None
        self.is_blocked = False
        """The transport said that its own buffer is full."""
        self.is_stalled = False
        """Something waits for the socket."""
        self.queued = 0
        """Bytes that wait here, without those that the transport has taken."""
        if is_plain_socket(transport):
            self._send: Callable[[bytes | memoryview], int] | None = transport.getHandle().send
        else:
            self._send = None
            self._serial = _NEVER
            if hasattr(transport, "registerProducer"):
                self._valve = _Valve(self)
                transport.registerProducer(self._valve, True)

    # --- writing ---

    def write(self, data: bytes) -> None:
        """Send `data` after all that was written before; never dropped while the client is kept."""
        turn = self._turn
        serial = turn.serial
        if self._serial < serial:
            # The first write of a turn, nothing waiting: the hot path of a tick.
            self._serial = serial
            if not turn.is_marked:
                turn.mark()
            try:
                sent = self._send(data)  # type: ignore[misc]  # without a socket there is no direct write
            except OSError:
                sent = 0  # full, or lost: the reactor finds out which
            if sent != len(data):
                self._cut(memoryview(data)[sent:])
            return
        self._hold(data, len(data))

    def write_latest(self, key: Hashable, data: bytes, source: Any = None) -> None:
        """Send `data`, market data: behind a slow reader a later piece of the same `key` may take its place."""
        if self._serial < self._turn.serial:
            self.write(data)
            return
        latest = self._latest
        if latest is not None:
            known = latest.get(key)
            if known is not None:
                self._account(len(data) - len(known.data))
                known.data = data
                known.source = source
                known.dropped += 1
                self._pool.conflated += 1
                return
        piece = _Latest(key, data, source)
        if latest is not None:
            latest[key] = piece
        self._hold(piece, len(data))
        if latest is None and self.queued > self._pool.limits.conflate:
            self._conflate()

    def _hold(self, piece: bytes | _Latest, size: int) -> None:
        if not self._is_open or self._is_closing:
            return
        queue = self._queue
        if not queue and not self.is_stalled:
            if self._send is None and not self.is_blocked:
                self._transport.write(piece if isinstance(piece, bytes) else piece.data)
                return
            self._turn.hold(self)
        if queue is None:
            queue = self._queue = deque()
        queue.append(piece)
        self._account(size)
        if self.queued > _HELD and not self.is_stalled:
            self.flush()
        pool = self._pool
        if self.queued > pool.limits.close:
            self._give_up("too much is queued for it")
        elif pool.total > pool.limits.total:
            pool.evict()

    def _account(self, size: int) -> None:
        self.queued += size
        self._pool.total += size

    def _conflate(self) -> None:
        """Keep the latest of each key, in the place of the first; from now on they replace each other."""
        latest: dict[Hashable, _Latest] = {}
        kept: deque[bytes | _Latest] = deque()
        saved = 0
        for piece in self._queue or ():
            if isinstance(piece, bytes):
                kept.append(piece)
                continue
            first = latest.get(piece.key)
            if first is None:
                latest[piece.key] = piece
                kept.append(piece)
            else:
                saved += len(first.data)
                first.data = piece.data
                first.source = piece.source
                first.dropped += 1 + piece.dropped
                self._pool.conflated += 1
        self._queue = kept
        self._latest = latest
        self._account(-saved)

    # --- the socket ---

    def flush(self) -> None:
        """Send what was held back in this turn, as far as the socket takes it."""
        if self.is_stalled or not self._queue or not self._is_open:
            return
        if self._send is None:
            self._hand_over()
        else:
            self._push()

    def resumeProducing(self) -> None:
        """Be asked for more by a plain socket's transport."""
        if self._is_armed:
            self.refill()

    def stopProducing(self) -> None:
        """Nothing to do: the protocol hears of the loss by connectionLost."""

    def refill(self) -> None:
        """Go on: the transport has sent all that it had."""
        if not self._is_open:
            return
        if self.is_stalled:
            self._progress = self._pool.clock.seconds()
            self.is_stalled = False
        if self._send is None:
            self._hand_over()
        else:
            self._push()
        if not self.is_stalled:
            self._transport_is_free()

    def _push(self) -> None:
        """Send joined pieces until nothing is left or the socket is full."""
        send = self._send
        assert send is not None
        while self._rest or self._queue:
            pieces, size = self._take(_JOIN)
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            try:
                sent = send(data)
            except OSError:
                sent = 0  # full, or lost: the reactor finds out which
            if sent != size:
                self._put_back(pieces, sent)
                return
        self._latest = None

    def _take(self, most: int) -> tuple[list[bytes | memoryview], int]:
        """Take whole pieces off the queue, about `most` bytes and at least one."""
        pieces: list[bytes | memoryview] = []
        size = 0
        if self._rest:
            pieces.append(self._rest)
            size = len(self._rest)
            self._rest = b""
        queue = self._queue
        latest = self._latest
        while queue and (not pieces or size < most):
            piece = queue.popleft()
            if isinstance(piece, bytes):
                data = piece
                self._account(-len(data))
            else:
                self._account(-len(piece.data))
                if latest is not None and latest.get(piece.key) is piece:
                    del latest[piece.key]
                data = piece.data
                if piece.dropped and piece.source is not None and self.respell is not None:
                    data = self.respell(piece.source, piece.dropped)
            pieces.append(data)
            size += len(data)
        return pieces, size

    def _put_back(self, pieces: list[bytes | memoryview], sent: int) -> None:
        """Return what the socket did not take: the rest of the cut piece, then the whole ones."""
        index = 0
        while sent >= len(pieces[index]):
            sent -= len(pieces[index])
            index += 1
        whole = [piece for piece in pieces[index + 1 :] if isinstance(piece, bytes)]  # only a rest is a view
        if whole:
            assert self._queue is not None
            self._queue.extendleft(reversed(whole))
            self._account(sum(map(len, whole)))
        self._cut(memoryview(pieces[index])[sent:])

    def _cut(self, rest: memoryview) -> None:
        """Wait for the socket with the rest of a piece: the transport gets a little of it and calls back.

        A view, because a piece may be large (the state of all orders) and is sent in many steps.
        """
        self._rest = rest[_HANDED:]
        self._serial = _NEVER
        if not self.is_stalled:
            self.is_stalled = True
            self._progress = self._pool.clock.seconds()
            self._pool.watch(self)
        transport = self._transport
        transport.write(bytes(rest[:_HANDED]))
        if transport.producer is None and transport.connected:
            self._is_armed = False
            transport.registerProducer(self, False)
            self._is_armed = True

    def _hand_over(self) -> None:
        """Give the transport (no plain socket) what it wants to take."""
        while self._queue and not self.is_blocked:
            pieces, _ = self._take(_JOIN)
            self._transport.write(b"".join(pieces))
        if self._queue:
            if not self.is_stalled:
                self.is_stalled = True
                self._progress = self._pool.clock.seconds()
                self._pool.watch(self)
        else:
            self._latest = None

    def _transport_is_free(self) -> None:
        self._pool.unwatch(self)
        if self._send is not None:
            if self._transport.producer is self:
                self._transport.unregisterProducer()
            self._serial = self._turn.serial  # the next turn's first write is a direct one again
        if self._is_closing:
            self._is_open = False
            self._let_go()
        self._tell_waiting()  # last: they write at once, and the socket may be full again

    def when_free(self) -> Deferred[None]:
        """Wait until nothing is queued: for those who have more to send than the queue may hold."""
        if not self.is_stalled:
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        self._waiting = [*(self._waiting or ()), waiter]
        return waiter

    # --- the end ---

    def close(self) -> None:
        """Send what is queued, for at most `Limits.linger` seconds, then close the connection."""
        if not self._is_open or self._is_closing:
            return
        if self._queue and not self.is_stalled:
            self.flush()
        if self.is_stalled:
            self._is_closing = True
            self._close_at = self._pool.clock.seconds() + self._pool.limits.linger
            self._pool.watch(self)
            return
        self._is_open = False
        self._let_go()

    def lost(self) -> None:
        """Forget the queue: the connection is gone.  To be called from `connectionLost`."""
        self._is_open = False
        self._forget()
        self._pool.detach(self)

    def _forget(self) -> None:
        self._account(-self.queued)
        self._queue = None
        self._latest = None
        self._rest = b""
        self.is_stalled = False
        self._serial = _NEVER
        self._tell_waiting()

    def _tell_waiting(self) -> None:
        waiting, self._waiting = self._waiting, None
        for waiter in waiting or ():
            waiter.callback(None)

    def _let_go(self) -> None:
        self._serial = _NEVER
        if self._valve is not None and getattr(self._transport, "producer", None) is self._valve:
            self._transport.unregisterProducer()
        self._transport.loseConnection()
        self._pool.linger(self)

    def _give_up(self, reason: str) -> None:
        """Let a slow reader go: last words as best effort, behind the rest of a cut piece."""
        if not self._is_open:
            return
        self._is_open = False
        rest = self._rest
        self._forget()
        self._pool.slow += 1
        words = self._on_slow(reason) if self._on_slow is not None else b""
        transport = self._transport
        transport.write(bytes(rest) + words)
        producer = getattr(transport, "producer", None)
        if producer is not None and (producer is self or producer is self._valve):
            transport.unregisterProducer()
        transport.loseConnection()
        self._pool.linger(self)

    def check(self, now: float) -> None:
        """Let the client go if it took nothing for too long; called by the pool for those that wait."""
        if self._close_at is not None and now >= self._close_at:
            self._is_open = False
            self._forget()
            self._transport.abortConnection()
        elif self._is_open and self.is_stalled and now - self._progress >= self._pool.limits.stall:
            self._give_up("it reads nothing")

    def evict(self) -> None:
        """Let this client go for the good of the others."""
        self._give_up("the queues of all clients are full and this one is the longest")

    def expect_end(self, at: float) -> None:
        """Abort the connection at the clock second `at` if it still stands."""
        self._close_at = at
