"""The one Protocol that drives any wire session on a Twisted transport.

It pulls events until none is left, so that events before a violation are delivered however the bytes were cut; it
tells the session the time and wakes it at its deadline; it drops a peer that breaks the protocol; and it says once,
and only once, that the link is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import directlyProvides

from txtrader.errors import RemoteProtocolError
from txtrader.net.eager import write_eagerly
from txtrader.net.outbound import Outbound
from txtrader.wire.session import Session

__all__ = ["Pump", "SessionProtocol"]

_MOST = 65536  # bytes given to a session at once: what Twisted reads from a socket in one turn
_LINGER = 2.0  # seconds that a peer gets to read the last words before the connection is aborted


class SessionProtocol(Protocol):
    """Drive `session` on a transport; a subclass (`Pump`, a front end's connection) says what becomes of its events.

    `on_event(event)` is called for each event, in order; `on_open()` once the transport is there; `on_lost(failure)`
    exactly once, when the connection is gone: with RemoteProtocolError if the peer broke the protocol, with the
    exception of `on_event` if that was a bug, else with Twisted's reason.  `on_violation(error)` is called before
    the peer is dropped, so that last words can be sent.

    An exception out of `on_event` is a bug: it is logged and counted in `bugs`, and the link is dropped unless
    `keeps_link` is true.

    With `attach` (usually `OutboundPool.attach`) it writes through the bounded queue that `attach(transport)`
    returns, `outbound`, for clients who may read slowly; without it straight to the transport, for brokers.  With
    `on_eof` (and IHalfCloseableProtocol) a peer that has only finished writing (`nc` after its input) is kept, and
    the owner closes; else that ends the connection.

    The session is told the time (`handle_timeout`) when the connection is made, after each piece of data if it has a
    deadline, and at the deadline; all in seconds of `clock`.
    """

    # There are thousands of them: no dict, and no bound method for each thing that a subclass may define.
    __slots__ = (
        "_clock",
        "_is_ending",
        "_is_lost",
        "_is_paused",
        "_is_pulling",
        "_keeps_time",
        "_linger",
        "_reason",
        "_timer",
        "_timer_at",
        "bugs",
        "connected",
        "outbound",
        "session",
        "transport",
    )

    _log = Logger()

    on_event: Callable[[Any], None]
    on_lost: Callable[[Failure], None]
    on_open: Callable[[], None] | None = None
    on_violation: Callable[[RemoteProtocolError], None] | None = None
    on_eof: Callable[[], None] | None = None
    attach: Callable[[Any], Outbound] | None = None
    keeps_link: bool = False

    def __init__(self, session: Session[Any, Any], clock: IReactorTime) -> None:
        self.session = session
        self.outbound: Outbound | None = None
        self.bugs = 0
        self.transport = None
        self.connected = 0
        self._clock = clock
        self._reason: Failure | None = None
        self._is_lost = False
        self._is_ending = False  # no more events: we closed, or the peer was dropped
        self._is_pulling = False
        self._is_paused = self._keeps_time = False
        self._timer: IDelayedCall | None = None
        self._timer_at = 0.0
        self._linger: IDelayedCall | None = None

    # --- what the owner calls ---

    @property
    def is_connected(self) -> bool:
        """Tell whether there is a transport that takes data."""
        return self.transport is not None and bool(self.connected) and not self._is_ending

    def send(self, message: Any) -> None:
        """Send a message; raises LocalProtocolError when the session must not send it.

        Messages sent while events are being delivered leave together after the last of them.
        """
        self.session.send(message)
        self.flush()

    def flush(self) -> None:
        """Write what the session has to send, for those who called the session directly."""
        if self._is_pulling:
            return
        self._write()
        self._schedule()

    def push(self) -> None:
        """Write what the session has to send at once, also between two events; for a link that is about to break."""
        self._write()

    def pause(self, *, keeps_time: bool = False) -> None:
        """Deliver no events and read no more until `resume`; what is buffered stays bounded.

        With `keeps_time` deadlines are minded meanwhile: heartbeats leave, and silence ends the link.  Else time stands
        still as well, but for a deadline that was near.
        """
        self._keeps_time = keeps_time or (self._is_paused and self._keeps_time)
        if not self._is_paused:
            self._is_paused = True
            if self.transport is not None and not self._is_ending:
                cast(Any, self.transport).pauseProducing()

    def resume(self) -> None:
        """Deliver events again, those that wait first."""
        if self._is_paused:
            self._is_paused = self._keeps_time = False
            if self.transport is not None and not self._is_ending:
                cast(Any, self.transport).resumeProducing()
                self._pull()

    def close(self) -> None:
        """Send what is to be sent, then close; no more events come, `on_lost` does."""
        if self._is_ending or self.transport is None:
            return
        self._write()
        self._end()
        self._hang_up()

    def abort(self) -> None:
        """Close at once; no more events come, `on_lost` does."""
        if self.transport is None:
            return
        self._end()
        self._abort()

    # --- what Twisted calls ---

    def connectionMade(self) -> None:
        transport: Any = self.transport
        if hasattr(transport, "setTcpNoDelay"):
            transport.setTcpNoDelay(True)
            transport.setTcpKeepAlive(True)
        if self.attach is not None:
            self.outbound = self.attach(transport)
        if self._is_paused:
            transport.pauseProducing()
        if self.on_open is not None:
            self._guard(self.on_open)
        if not self._is_ending:
            self._tell_time()
            self._pull()

    def dataReceived(self, data: bytes) -> None:
        if self._is_ending:
            return
        if len(data) <= _MOST:
            self._take(data)
        else:  # from a transport that reads more than a socket does
            for start in range(0, len(data), _MOST):
                if not self._is_ending:
                    self._take(data[start : start + _MOST])

    def readConnectionLost(self) -> None:
        """The peer has finished writing; called only where `on_eof` was given."""
        if not self._is_ending and self.on_eof is not None:
            self.session.receive_eof()
            self._pull()
            self._guard(self.on_eof)

    def writeConnectionLost(self) -> None:
        """Nothing to do: we never close one direction only."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self._is_ending:
            self.session.receive_eof()
            self._pull()
        self._end()
        if self.outbound is not None:
            self.outbound.lost()
        if self._linger is not None and self._linger.active():
            self._linger.cancel()
        if not self._is_lost:
            self._is_lost = True
            try:
                self.on_lost(self._reason or reason)
            except Exception:  # noqa: BLE001
                # A bug of the owner; the transport has nothing to do with it.
                self._log.failure("telling that the link is gone")

    # --- the inside ---

    def _take(self, data: bytes) -> None:
        self.session.receive_data(data)
        self._pull()

    def _pull(self) -> None:
        """Deliver all events that are there, then write and sleep until the next deadline."""
        if self._is_pulling or self._is_paused:
            if self._keeps_time:
                self.flush()
            return  # further up the stack somebody does it already, or nobody is to
        self._is_pulling = True
        session, on_event = self.session, self.on_event
        try:
            while not self._is_ending and not self._is_paused:
                event = session.next_event()
                if event is None:
                    break
                try:
                    on_event(event)
                except Exception:  # noqa: BLE001
                    self._count_bug()
            if not self._is_ending and session.next_deadline() is not None:
                session.handle_timeout(self._clock.seconds())
        except RemoteProtocolError as error:
            self._is_pulling = False
            self._drop(error)
        finally:
            self._is_pulling = False
        self._write()
        self._schedule()

    def _tell_time(self) -> None:
        """Tell the session what time it is."""
        try:
            self.session.handle_timeout(self._clock.seconds())
        except RemoteProtocolError as error:
            self._drop(error)

    def _guard(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:  # noqa: BLE001
            self._count_bug()

    def _count_bug(self) -> None:
        """Log an exception of the owner's; it must not reach the reactor, nor end the link if so told."""
        self._log.failure("handling what the peer sent")
        self.bugs += 1
        if not self.keeps_link:
            if self._reason is None:
                self._reason = Failure()
            self.abort()

    def _drop(self, error: RemoteProtocolError) -> None:
        """Let a peer go that broke the protocol."""
        if self._is_ending:
            return
        self._reason = Failure(error)
        if self.on_violation is not None:
            try:
                self.on_violation(error)
            except Exception:  # noqa: BLE001
                # The peer goes either way.
                self._log.failure("telling of a violation")
        self.close()

    def _write(self) -> None:
        if self._is_ending or not self.connected:
            return
        data = self.session.data_to_send()
        if data:
            self._emit(data)

    def _emit(self, data: bytes) -> None:
        """Give bytes to the transport; a subclass may do it later."""
        if self.outbound is not None:
            self.outbound.write(data)
        else:
            write_eagerly(self.transport, data)

    def _hang_up(self) -> None:
        """Close the transport behind all that was emitted; a subclass may do it later."""
        if self.outbound is not None:
            self.outbound.close()
        elif self.transport is not None:
            self.transport.loseConnection()
            self._linger = self._clock.callLater(_LINGER, self._abort)

    def _schedule(self) -> None:
        """Have the session woken at its deadline; a timer that is early is left, it looks again when it fires."""
        if self._is_ending or self.transport is None:
            return
        deadline = self.session.next_deadline()
        timer = self._timer
        if deadline is None:
            return  # a timer that still runs will look again
        if timer is not None:
            if self._timer_at <= deadline:
                return
            timer.cancel()
        self._timer_at = deadline
        self._timer = self._clock.callLater(max(0.0, deadline - self._clock.seconds()), self._wake)

    def _wake(self) -> None:
        self._timer = None
        deadline = self.session.next_deadline()
        if deadline is None or self._is_ending:
            return
        if deadline <= self._clock.seconds():
            self._tell_time()
            self._pull()
        else:
            self._schedule()

    def _end(self) -> None:
        self._is_ending = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _abort(self) -> None:
        if self._linger is not None and self._linger.active():
            self._linger.cancel()
        transport: Any = self.transport
        transport.abortConnection()


class Pump(SessionProtocol):
    """A SessionProtocol whose owner gives it what to call; see there."""

    __slots__ = ("attach", "keeps_link", "on_eof", "on_event", "on_lost", "on_open", "on_violation")

    def __init__(
        self,
        session: Session[Any, Any],
        clock: IReactorTime,
        on_event: Callable[[Any], None],
        on_lost: Callable[[Failure], None],
        on_open: Callable[[], None] | None = None,
        *,
        on_violation: Callable[[RemoteProtocolError], None] | None = None,
        on_eof: Callable[[], None] | None = None,
        attach: Callable[[Any], Outbound] | None = None,
        keeps_link: bool = False,
    ) -> None:
        super().__init__(session, clock)
        self.on_event = on_event
        self.on_lost = on_lost
        self.on_open = on_open
        self.on_violation = on_violation
        self.on_eof = on_eof
        self.attach = attach
        self.keeps_link = keeps_link
        if on_eof is not None:
            directlyProvides(self, IHalfCloseableProtocol)
