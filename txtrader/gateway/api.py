"""The gateway object: sessions, the one door for every command, and the life of its links.

caller -> execute(session, command): role -> operation -> result, or an error of `txtrader.errors`
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, cast
from zoneinfo import ZoneInfo

import msgspec
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.errors import Forbidden, InternalError, InvalidArgument, NotFound, TxTraderError
from txtrader.gateway.access import Access
from txtrader.gateway.adapter import Adapter, LogonAdapter
from txtrader.gateway.blotter import Blotter, Change
from txtrader.gateway.books import AccountBooks
from txtrader.gateway.closing import Closing
from txtrader.gateway.commands import Command
from txtrader.gateway.desk import Desk
from txtrader.gateway.history import History
from txtrader.gateway.journal_records import JournalState
from txtrader.gateway.link import BrokerLink, LinkOptions
from txtrader.gateway.market import Market, MarketOptions, minute_text
from txtrader.gateway.queries import Queries
from txtrader.gateway.session import Session, User
from txtrader.gateway.stream import EventStream
from txtrader.gateway.takeback import TakeBack
from txtrader.gateway.tasks import returns_deferred
from txtrader.model.event import DURABLE_CHANNELS
from txtrader.model.operations import OPERATIONS
from txtrader.model.order import OrderStatus
from txtrader.model.times import SECOND

__all__ = ["Gateway", "GatewayOptions"]

_STOP_PATIENCE = 2.0  # seconds that a stop waits for acknowledgements that are due


class GatewayOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the gateway; durations in seconds."""

    order_timeout: float = 3.0
    default_account: str | None = None
    default_route: dict[str, Any] | None = None  # {name: parameters or None}
    shutdown_cancel: bool = False  # cancel the clients' working orders when the daemon stops
    seconds_tick: bool = False
    retention: float = 7 * 86_400.0 + 3600.0
    """How long an order that is over is kept in the books, with its key: longer than in the journal."""
    market: MarketOptions = msgspec.field(default_factory=lambda: MarketOptions(timezone=ZoneInfo("America/New_York")))
    link: LinkOptions = msgspec.field(default_factory=LinkOptions)


class Gateway:
    """The broker-neutral trading API that every front end calls."""

    _log = Logger()

    def __init__(
        self,
        modes: Sequence[str],
        *,
        clock: IReactorTime,
        now_ns: Callable[[], int],
        stream: EventStream,
        access: Access,
        state: JournalState,
        options: GatewayOptions,
        on_shutdown: Callable[[str], None],
        on_dead: Callable[[str], None] | None = None,
    ) -> None:
        """Build it on a journal's `state`; `on_shutdown` is asked to end the daemon, `on_dead` to fail."""
        self.modes = tuple(modes)
        self.stream = stream
        self.access = access
        self._clock = clock
        self._now_ns = now_ns
        self._options = options
        self._on_shutdown = on_shutdown
        self._started = now_ns()
        self._sessions: dict[Session, None] = {}
        self._incidents = 0
        self.blotter = Blotter(stream.journal.next_order_id)
        self.blotter.restore(state.orders, state.executions)
        self.books = AccountBooks()
        self.books.restore(state.meta)
        self.market = Market(clock=clock, now_ns=now_ns, stream=stream, options=options.market)
        self.links: dict[str, BrokerLink] = {
            mode: BrokerLink(
                mode,
                clock=clock,
                now_ns=now_ns,
                stream=stream,
                blotter=self.blotter,
                books=self.books,
                market=self.market,
                options=options.link,
                on_dead=on_dead or on_shutdown,
            )
            for mode in modes
        }
        self.queries = Queries(
            links=self.links,
            stream=stream,
            blotter=self.blotter,
            books=self.books,
            market=self.market,
            history=History(market=self.market, links=self.links, now_ns=now_ns, options=options.market),
            now_ns=now_ns,
            timezone=options.market.timezone,
            started=self._started,
        )
        self._desk = Desk(
            links=self.links,
            stream=stream,
            blotter=self.blotter,
            books=self.books,
            market=self.market,
            keys={(key.user, key.account, key.client_order_id): key for key in state.keys},
            now_ns=now_ns,
            order_timeout=options.order_timeout,
            default_account=options.default_account,
            default_route=options.default_route,
        )
        self._takeback = TakeBack(
            links=self.links,
            blotter=self.blotter,
            books=self.books,
            market=self.market,
            now_ns=now_ns,
            order_timeout=options.order_timeout,
        )
        self._closing = Closing(
            links=self.links,
            blotter=self.blotter,
            books=self.books,
            market=self.market,
            desk=self._desk,
            takeback=self._takeback,
            now_ns=now_ns,
        )
        self._meta = dict(state.meta)
        self._methods: dict[str, Callable[..., Awaitable[Any]]] = {}
        for name in OPERATIONS:
            room = next(
                room for room in (self.queries, self._desk, self._takeback, self._closing, self) if hasattr(room, name)
            )
            self._methods[name] = getattr(room, name)
        for channel in DURABLE_CHANNELS:
            stream.set_snapshot(channel, partial(self.queries.state, channel))
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = clock
        self._tick_start: IDelayedCall | None = None

    def attach(self, mode: str, adapter: Adapter) -> None:
        """Take the adapter of a mode; once for each, before `start`."""
        self.market.attach(mode, adapter)
        self.links[mode].attach(adapter)

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin: what the journal holds without an answer is unknown, then dial."""
        now = self._now_ns()
        if self.stream.journal.recovered is not None:
            first = self.links[self.modes[0]]
            first.remark("error", "journal-recovered", f"a new epoch begins: {self.stream.journal.recovered}")
        for order in self.blotter.open_orders():
            if order.mode in self.links and order.status is OrderStatus.PENDING_NEW:
                unknown = self.blotter.change(order, now, status=OrderStatus.UNKNOWN)
                self.links[order.mode].publish(Change(orders=(unknown,)))
        self._takeback.restore(self._meta)
        for link in self.links.values():
            link.start()
        period = 1 if self._options.seconds_tick else 60
        wait = period - (now % (period * SECOND)) / SECOND
        self._tick_start = self._clock.callLater(wait, self._start_ticking, period)

    def _start_ticking(self, period: float) -> None:
        self._ticking.start(period).addErrback(lambda failure: self._log.failure("the clock", failure=failure))

    def _tick(self) -> None:
        """Do what is done periodically; a failure of one turn must not end the clock."""
        try:
            self._turn()
        except Exception:  # noqa: BLE001  it is logged, and the next turn comes
            self._log.failure("a turn of the clock")

    def _turn(self) -> None:
        """Tell the time to those who want it, and forget a few of the orders that are too old."""
        for order in self.blotter.forget(self._now_ns() - int(self._options.retention * SECOND)):
            self._desk.forget(order)
        if self.stream.is_wanted("time", None):
            data = dict(minute_text(self._now_ns(), self._options.market.timezone))
            self.stream.publish_ephemeral("time", "time", self.modes[0], data)

    @returns_deferred
    async def stop(self) -> None:
        """Stop in order: shut the gates, wait for acknowledgements that are due, close the links."""
        if self._tick_start is not None and self._tick_start.active():
            self._tick_start.cancel()
        if self._ticking.running:
            self._ticking.stop()
        for link in self.links.values():
            link.shut()
        if self._options.shutdown_cancel:
            self._takeback.cancel_own()
        deadline = self._clock.seconds() + _STOP_PATIENCE
        while self._has_due_answers() and self._clock.seconds() < deadline:
            await self._pause(0.05)
        await DeferredList([link.stop() for link in self.links.values()], consumeErrors=True)

    def _has_due_answers(self) -> bool:
        """Tell whether the broker owes a word that a stop should wait for."""
        if any(len(link.answers) for link in self.links.values()):
            return True
        return self._options.shutdown_cancel and any(
            order.status is OrderStatus.PENDING_CANCEL and self.links[order.mode].is_connected
            for order in self.blotter.open_orders()
            if order.mode in self.links
        )

    def _pause(self, seconds: float) -> Deferred[None]:
        waiter: Deferred[None] = Deferred()
        self._clock.callLater(seconds, waiter.callback, None)
        return waiter

    # --- sessions -------------------------------------------------------------------------------------------------

    def open_session(self, user: User, *, frontend: str, peer: str) -> Session:
        """Begin a session for a user who has logged in."""
        session = Session(user, frontend=frontend, peer=peer)
        self._sessions[session] = None
        return session

    def close_session(self, session: Session) -> None:
        """End a session; its symbols end with it."""
        session.is_open = False
        self.market.leave(session)
        self.stream.session_closed(session)
        self._sessions.pop(session, None)

    # --- the one door ---------------------------------------------------------------------------------------------

    def execute(self, session: Session, command: Command) -> Deferred[Any]:
        """Run a command for a session; fails with an error of `txtrader.errors` only."""
        operation = command.operation
        if not session.user.may(operation.role):
            running: Deferred[Any] = Deferred()
            running.errback(Forbidden(f"{operation.name} needs the role {operation.role}"))
            return running
        work = self._methods[operation.name](session, **command.arguments)
        running = ensureDeferred(work)  # type: ignore[arg-type]  # a coroutine
        running.addErrback(self._contain, operation.name)
        if operation.role == "view":
            return running
        # A caller who leaves does not stop half way what may already be on its way to the broker.
        answer: Deferred[Any] = Deferred()
        running.addCallbacks(answer.callback, answer.errback)
        return answer

    def _contain(self, failure: Failure, name: str) -> Failure:
        """Let errors of ours pass; a bug becomes `internal` with an incident number that finds it in the log."""
        if failure.check(TxTraderError):
            return failure
        self._incidents += 1
        incident = f"{self._started // SECOND:x}-{self._incidents}"
        self._log.failure("incident {incident} in {name}", failure=failure, incident=incident, name=name)
        return Failure(InternalError("an internal error; quote the incident", incident=incident))

    # --- operator's operations --------------------------------------------------------------------------------------

    async def accept_positions(self, session: Session, account: str, reason: str) -> dict[str, Any]:
        """Take the broker's positions of an account, and open trading again."""
        mode = self.books.mode_of.get(account)
        if mode is None or not session.user.sees(account):
            raise NotFound("no such account", path="account")
        link = self.links[mode]
        link.check_connected()
        self._log.info(
            "{user} accepts the positions of {account}: {reason}",
            user=session.user.name,
            account=account,
            reason=reason,
        )
        link.reconciler.accept(account, reason)
        return await self.queries.query_reconciliation(session)

    async def gateway_logon(self, session: Session, username: str, password: str, mode: str | None) -> bool:
        """Log on to the broker, where it has such a logon."""
        adapter = self._with_logon(mode)
        self._log.info("{user} logs on to the broker as {login}", user=session.user.name, login=username)
        await adapter.log_on(username, password)
        return True

    async def gateway_logoff(self, session: Session, mode: str | None) -> bool:
        """Log off from the broker, where it has such a logon."""
        adapter = self._with_logon(mode)
        self._log.info("{user} logs off from the broker", user=session.user.name)
        await adapter.log_off()
        return True

    def _with_logon(self, mode: str | None) -> LogonAdapter:
        """Return the adapter of a mode, or of the one that has a logon."""
        if mode is not None and mode not in self.links:
            raise InvalidArgument(f"must be one of {', '.join(self.links)}", path="mode")
        names = [name for name in ([mode] if mode else self.modes) if "logon" in self._features(name)]
        if not names:
            raise InvalidArgument(f"{mode or self.modes[0]} has no logon of its own", path="mode", reason="unsupported")
        if len(names) > 1:
            raise InvalidArgument(f"which of {', '.join(names)}", path="mode", candidates=names)
        return cast(LogonAdapter, self.links[names[0]].adapter)

    def _features(self, mode: str) -> tuple[str, ...]:
        return self.links[mode].adapter.capabilities.features

    async def shutdown(self, session: Session, message: str) -> bool:
        """Stop the daemon in order."""
        self._log.info("{user} shuts down: {message}", user=session.user.name, message=message)
        self._clock.callLater(0, self._on_shutdown, message or f"shutdown by {session.user.name}")
        return True
