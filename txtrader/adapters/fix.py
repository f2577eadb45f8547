"""A FIX broker, over FIX 4.2, FIX 4.4, or FIX 5.0SP2 on FIXT 1.1: one session that all clients of the gateway share.

    dial -> logon -> gaps closed both ways -> Connected, the gateway reconciles
    two heartbeats without a word: Stale, hang up       loss: Disconnected, dial again with a growing, jittered wait

Numbers and sent messages outlive the process in a file of the data folder: what happened in an absence comes with the
resend that the session asks for.  Orders, reports, instruments, data and positions are rooms of their own beside this.
"""

from __future__ import annotations

import os
import random as random_module
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.adapters.fix_connection import Connection, code_and_text, message_from_text, text_of_message
from txtrader.adapters.fix_instruments import Instruments, read_symbols
from txtrader.adapters.fix_market import MarketLines
from txtrader.adapters.fix_options import FixOptions, capabilities_of, options_from
from txtrader.adapters.fix_orders import Orders
from txtrader.adapters.fix_positions import Positions
from txtrader.adapters.fix_reports import Reports
from txtrader.adapters.linkface import LinkFace
from txtrader.errors import BrokerUnavailable, ConfigError, InvalidArgument, RemoteProtocolError
from txtrader.gateway.adapter import AdapterSink, BrokerNotice, BrokerSnapshot, LinkState, LinkStatus
from txtrader.gateway.tasks import returns_deferred
from txtrader.model.instrument import Instrument, InstrumentQuery
from txtrader.model.market import Bar, BarQuery, TickPage, TickQuery
from txtrader.model.order import Order, OrderRequest
from txtrader.net.dial import Dialer, client_endpoint
from txtrader.net.fix_store import FileStore, file_name_of
from txtrader.net.tls import client_options, tls_fault
from txtrader.wire.fix.message import Message
from txtrader.wire.fix.store import MemoryStore, Store

__all__ = ["FixAdapter", "FixOptions", "make"]

SECOND = 1_000_000_000
_DAY = 86_400 * SECOND
_TOO_LOW = "too low"
"""What every FIX engine says of a number that was used before."""


def make(
    settings: Any,
    reactor: Any,
    sink: AdapterSink,
    *,
    mode: str = "fix",
    now_ns: Callable[[], int] = time.time_ns,
    random: random_module.Random | None = None,
) -> FixAdapter:
    """Make the adapter from the settings of its mode."""
    options = options_from(settings)
    return FixAdapter(options, reactor, sink, mode=mode, now_ns=now_ns, random=random or random_module.Random())


class FixAdapter:
    """One session at a FIX broker: the face that `txtrader.gateway.adapter.Adapter` describes."""

    _log = Logger()

    def __init__(
        self,
        options: FixOptions,
        reactor: Any,
        sink: AdapterSink,
        *,
        mode: str,
        now_ns: Callable[[], int],
        random: random_module.Random,
    ) -> None:
        self._options = options
        self._reactor = reactor
        self._sink = sink
        self._mode = mode
        self._now_ns = now_ns
        # Without a folder the numbers live as long as the adapter, which is for tests alone.
        self._used_at = _last_use(options)
        self._store: Store = MemoryStore() if options.folder is None else _open_store(options)
        self._connection: Connection | None = None
        self._building: Connection | None = None
        self._logins = 0
        self._link = LinkFace(mode, sink, now_ns, reactor.seconds, lambda: self._dialer)
        self._is_stopping = False
        self._stopped: list[Deferred[None]] = []
        begin_string = options.identity.begin_string
        self.instruments = Instruments(
            mode,
            self._connected,
            version=options.version,
            begin_string=begin_string,
            asks=options.instruments == "ask",
            symbols=read_symbols(options.symbols_file),
            timeout=options.timeout_symbol,
        )
        self.market = MarketLines(mode, sink, now_ns, self.instruments, begin_string=begin_string)
        self.positions = Positions(
            mode,
            sink,
            now_ns,
            self.instruments,
            accounts=self._accounts,
            begin_string=begin_string,
            clock=reactor,
            connected=self._connected,
            offers=options.positions == "ask",
            timeout=options.timeout_snapshot,
        )
        self.orders = Orders(
            mode,
            sink,
            now_ns,
            self.instruments,
            version=options.version,
            accounts=self._accounts,
            connected=self._connected,
            cancels_on_disconnect=options.cancels_on_disconnect,
            fields=options.order_fields,
            executed=lambda execution, commission: self.reports.executed(execution, commission),
        )
        self.reports = Reports(
            mode,
            sink,
            now_ns,
            orders=self.orders,
            positions=self.positions,
            accounts=self._accounts,
            connected=self._connected,
            status=options.status,
            version=options.version,
            timeout=options.timeout_snapshot,
            look_again=self._look_again,
        )
        self._dialer = Dialer(
            reactor, self._endpoint, options.reconnect, build=self._build, on_failed=self._dial_failed, random=random
        )
        self.capabilities = capabilities_of(mode, options)

    # --- the link ---

    def start(self) -> None:
        """Take up what an earlier process heard, begin to dial, and keep the link until `stop`."""
        if isinstance(self._store, FileStore):
            self.reports.replay([(told, message_from_text(text)) for told, text in self._store.heard])
        self._dialer.start()

    def stop(self) -> Deferred[None]:
        """Log out and hang up; fires when nothing of the adapter is left ticking."""
        self._is_stopping = True
        self._dialer.stop()
        connection = self._building
        if connection is None:
            self._end()
            return succeed(None)
        over: Deferred[None] = Deferred()
        self._stopped.append(over)
        connection.close()
        return over

    def _end(self) -> None:
        self.positions.link_lost()
        self.market.closed()
        if isinstance(self._store, FileStore):
            self._store.close()
        self._link.tell(LinkState.SHUTDOWN, "stopped")
        stopped, self._stopped = self._stopped, []
        for over in stopped:
            over.callback(None)

    def reload(self) -> None:
        """There is no table to read anew."""

    def status(self) -> LinkStatus:
        """Tell where the link stands now."""
        return self._link.status

    def _endpoint(self) -> IStreamClientEndpoint:
        options = self._options
        self._link.tell(LinkState.CONNECTING, f"dialling {options.host}:{options.port}")
        tls = client_options(options.host, options.ca_file) if options.is_tls else None
        return client_endpoint(self._reactor, options.host, options.port, tls=tls)

    def _begin_day(self) -> None:
        """Begin with number 1 where the broker's day has begun since the last message."""
        if self._options.reset_time is None:
            return
        hours, minutes = map(int, self._options.reset_time.split(":"))
        offset = (hours * 60 + minutes) * 60 * SECOND
        began = (self._now_ns() - offset) // _DAY * _DAY + offset
        if 0 < self._used_at < began:
            self._log.info("{mode}: a new day of the FIX session: numbers begin at 1", mode=self._mode)
            self._store.reset()
        self._used_at = self._now_ns()

    def _build(self) -> Any:
        self._begin_day()
        self._building = Connection(
            self._reactor, self, self._options, now_ns=self._now_ns, store=self._store, heard=self._heard
        )
        return self._building.pump

    def _heard(self, message: Message) -> None:
        """Write a report down before its number counts: the broker will not tell it a second time."""
        if isinstance(self._store, FileStore):
            self._store.hear(self._now_ns(), text_of_message(message))

    def _connected(self) -> Connection:
        """Return the connection that questions go to.  Raises BrokerUnavailable while there is none."""
        if self._connection is None or not self._connection.is_ready:
            raise BrokerUnavailable(f"no working link to the FIX broker ({self._link.why})")
        return self._connection

    def _accounts(self) -> tuple[str, ...]:
        return self._options.accounts

    def _dial_failed(self, failure: Failure) -> None:
        self._link.tell(LinkState.DISCONNECTED, f"cannot connect: {failure.getErrorMessage()}")

    # --- what the connection tells ---

    def logged_on(self, connection: Connection, *, was_reset: bool) -> None:
        """Take up the session, its gaps closed: streams are asked for again and the gateway reconciles."""
        self._connection = connection
        self._logins += 1
        self._dialer.succeeded()
        if was_reset:
            self._notice(
                "warning", "the broker began with number 1 again: what it told in our absence does not come by itself"
            )
        self._log.info("{mode}: logged on as {sender}", mode=self._mode, sender=self._options.sender)
        self._sink.accounts_changed(self._mode, self._options.accounts)
        self.market.opened(connection)
        session = f"{self._mode}-{self._now_ns()}-{self._logins}"
        self._link.tell(LinkState.CONNECTED, "logged on", session=session, login="ok", data_lost=self._logins > 1)

    def fell_silent(self, connection: Connection) -> None:
        """Say that the link is stale; it is hung up right after, and dialled again."""
        if connection.is_ready:
            self.market.suspect()
            self._link.tell(LinkState.STALE, "the broker has said nothing for two heartbeats")
        connection.pump.abort()

    def lost(self, connection: Connection, failure: Failure) -> None:
        """Take the loss: everything that waited has failed; dial again."""
        was_ready = self._connection is connection
        if connection.has_logged_on:
            self._used_at = self._now_ns()
        if self._building is connection:
            self._building = None
        if was_ready:
            self._connection = None
            self.orders.link_lost()
        self.positions.link_lost()
        self.market.closed()
        if self._is_stopping:
            self._end()
            return
        login = self._link.status.login if was_ready else None
        wait: float | None = None
        reason = (
            "the connection was lost" if was_ready else "the broker closed the connection before the logon was through"
        )
        if connection.was_logged_out:
            text = connection.logout or "no reason given"
            reason = f"logged out: {text}"
            if _TOO_LOW in text.lower():
                wait = self._options.reconnect.maximum
                self._notice(
                    "error",
                    f"{text}: the numbers of the session are not those of the broker; agree with it, or begin at 1 on "
                    "both sides by TXTRADER_FIX_RESET=1 for one start",
                )
            if not connection.has_logged_on:
                # A password does not become right by repetition.
                login, wait = f"refused: {text}", self._options.reconnect.maximum
        elif failure.check(RemoteProtocolError):
            reason = f"{reason}: {failure.getErrorMessage()}"
        elif (fault := tls_fault(failure)) is not None:
            reason = f"no encrypted link to the FIX broker: {fault}"
        self._log.warn("{mode}: {reason}", mode=self._mode, reason=reason)
        self._dialer.again(wait)
        self._link.tell(LinkState.DISCONNECTED, reason, login=login)

    def received(self, connection: Connection, message: Message) -> None:
        """Take a message of the application, or a reject."""
        kind = message.type
        if kind == "8":
            self.reports.report(connection, message)
        elif kind in ("W", "X", "Y"):
            self.market.received(message)
        elif kind == "9":
            self.orders.cancel_rejected(message)
        elif kind in ("3", "j"):
            self._rejected(connection, message)
        elif kind in ("y", "d"):
            self.instruments.listed(connection, message)
        elif kind in ("AO", "AP"):
            self.positions.received(connection, message)
        elif kind == "r":
            if message.get(531) == "0":
                self._log.warn("{mode}: no mass cancel ({text})", mode=self._mode, text=message.get(58))
                self.orders.cancel_each()
        else:
            self._log.info("{mode}: a message {type} is left aside", mode=self._mode, type=kind)

    def missed(self, text: str) -> None:
        """Take word of something that will never be known: it may have told of a trade."""
        self.reports.unreadable(text)

    def _look_again(self) -> None:
        """Ask the gateway to reconcile, where there is a link to do it over; a new link begins with it anyway."""
        if self._connection is not None and self._link.status.state is LinkState.CONNECTED:
            self._link.tell_again(resync=True)

    def _rejected(self, connection: Connection, reject: Message) -> None:
        """Find what a reject is about: a question, an order, data; else it is told."""
        if connection.refused(reject):
            return
        sent = connection.sent(reject.get(45))
        if sent is not None and (self.orders.refused(sent, reject) or self.market.rejected(sent, reject)):
            return
        if sent is not None and sent.type == "q":
            self.orders.cancel_each()
            return
        code, text = code_and_text(reject)
        self._notice("warning", f"the broker rejected a message {reject.get(372) or '?'}: {text}", code)

    def _notice(self, severity: str, text: str, code: str | None = None) -> None:
        self._sink.noticed(BrokerNotice(mode=self._mode, severity=severity, message=text, broker_code=code))

    # --- the gateway's side ---

    def restore(self, orders: Iterable[Order]) -> None:
        """Learn the orders of the journal before `start`."""
        self.orders.restore(orders)

    def reserve(self) -> tuple[str | None, int | None]:
        """The broker names orders itself; what it carries of ours is the order's id, as ClOrdID."""
        return None, None

    def for_order(self, instrument: Instrument) -> Instrument:
        """Return the instrument itself: a roll was resolved to its contract."""
        return instrument

    def submit(self, order: Order) -> bool:
        """Send a new order; its intent is durable."""
        return self.orders.submit(order)

    def cancel(self, order: Order) -> None:
        """Ask for the cancel of an order; may be repeated."""
        self.orders.cancel(order)

    def replace(self, order: Order, by: OrderRequest) -> None:
        """Ask for a change."""
        self.orders.replace(order, by)

    def cancel_all(self) -> None:
        """Ask the broker to cancel every order that it lets us cancel."""
        self.orders.cancel_all()

    def subscribe(self, instrument: Instrument) -> None:
        """Stream an instrument's data, also after each reconnect."""
        self.market.subscribe(instrument)

    def unsubscribe(self, instrument: Instrument) -> None:
        """Stop the stream."""
        self.market.unsubscribe(instrument)

    @returns_deferred
    async def resolve(self, query: InstrumentQuery) -> Sequence[Instrument]:
        """Find the instruments that match, best first."""
        return await self.instruments.resolve(query)

    @returns_deferred
    async def bars(self, query: BarQuery) -> Sequence[Bar]:
        """FIX has no request for past bars."""
        raise InvalidArgument("FIX has no bars", path="period", reason="unsupported")

    @returns_deferred
    async def ticks(self, query: TickQuery) -> TickPage:
        """FIX has no request for past ticks."""
        raise InvalidArgument("FIX has no past ticks", path="symbol", reason="unsupported")

    @returns_deferred
    async def what_if(self, order: Order) -> dict[str, Any]:
        """FIX has no such question."""
        raise InvalidArgument("FIX cannot tell what an order would cost", reason="unsupported")

    @returns_deferred
    async def broker_time(self) -> int:
        """Ask the broker's session for its clock; answered by a Heartbeat, with the offset of the settings."""
        return await self._connected().test(self._options.timeout_default) + self._options.time_offset

    def snapshot(self) -> Deferred[BrokerSnapshot]:
        """Read orders, executions and positions; each whole, or the snapshot fails."""
        return self.reports.snapshot(self._link.status.session or "")


def _store_path(options: FixOptions) -> str:
    assert options.folder is not None
    return os.path.join(options.folder, file_name_of(options.identity))


def _last_use(options: FixOptions) -> int:
    """Return when the session's file was written last, nanoseconds UTC; 0 for one that is new."""
    if options.folder is None:
        return 0
    try:
        found = os.stat(_store_path(options))
    except OSError:
        return 0
    return found.st_mtime_ns if found.st_size else 0


def _open_store(options: FixOptions) -> FileStore:
    """Open the file of the session.  Raises ConfigError: without its numbers nothing may be sent."""
    assert options.folder is not None
    path = _store_path(options)
    try:
        os.makedirs(options.folder, mode=0o700, exist_ok=True)
        return FileStore(path, is_synced=options.is_synced)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}", path="TXTRADER_DATA_DIR") from None
