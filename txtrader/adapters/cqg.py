"""CQG, over its WebAPI: protocol buffers on one WebSocket session that all clients of the gateway share.

    dial -> WebSocket -> restore the session that was lost, else log on -> accounts: Connected, the gateway reconciles
    two pings without an answer: Stale, hang up       loss: Disconnected, dial again with a growing, jittered wait
    logged off by force: somebody else uses the account; not fought over, dialled again after the longest wait

Orders, market data, bars, accounts and instruments are rooms of their own beside this one; here they meet the link.
"""

from __future__ import annotations

import random as random_module
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.adapters.cqg_address import redirected
from txtrader.adapters.cqg_books import Books
from txtrader.adapters.cqg_budget import LogonBudget
from txtrader.adapters.cqg_closing import Closing
from txtrader.adapters.cqg_connection import Connection
from txtrader.adapters.cqg_history import History
from txtrader.adapters.cqg_instruments import Instruments
from txtrader.adapters.cqg_market import MarketLines
from txtrader.adapters.cqg_options import CqgOptions, capabilities_of, options_from
from txtrader.adapters.cqg_orders import Orders
from txtrader.adapters.cqg_reports import Reports
from txtrader.adapters.linkface import LinkFace
from txtrader.dialects.cqg.contracts import Contract
from txtrader.errors import BrokerError, BrokerUnavailable, InvalidArgument, RemoteProtocolError, Throttled
from txtrader.gateway.adapter import AdapterSink, BrokerNotice, BrokerSnapshot, LinkState, LinkStatus
from txtrader.gateway.tasks import returns_deferred
from txtrader.model.instrument import Instrument, InstrumentQuery
from txtrader.model.market import Bar, BarQuery, TickPage, TickQuery
from txtrader.model.order import Order, OrderRequest
from txtrader.net.dial import Dialer, client_endpoint
from txtrader.net.pacing import Priority
from txtrader.net.tls import client_options, tls_fault
from txtrader.net.websocket import WebSocketPump
from txtrader.wire.cqg.schema import message_class
from txtrader.wire.cqg.words import LogoffReason, MessageType, TradeStatus

__all__ = ["CqgAdapter", "CqgOptions", "make"]

SECOND = 1_000_000_000
_MOST_REDIRECTS = 3
_USED_UP = "the logons of today are used up"
_SEVERITIES = {
    int(MessageType.CRITICAL_ERROR): "error",
    int(MessageType.WARNING): "warning",
    int(MessageType.INFO): "info",
}


def make(
    settings: Any,
    reactor: Any,
    sink: AdapterSink,
    *,
    mode: str = "cqg",
    now_ns: Callable[[], int] = time.time_ns,
    random: random_module.Random | None = None,
) -> CqgAdapter:
    """Make the adapter from the settings of its mode."""
    options = options_from(settings)
    return CqgAdapter(options, reactor, sink, mode=mode, now_ns=now_ns, random=random or random_module.Random())


class CqgAdapter:
    """One session at CQG: the face that `txtrader.gateway.adapter.Adapter` describes."""

    _log = Logger()

    def __init__(
        self,
        options: CqgOptions,
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
        self._connection: Connection | None = None
        self._building: Connection | None = None
        self._token: str | None = None
        self._moved_to: tuple[str, int] | None = None  # where CQG sent us on to
        self._redirects = 0  # without a logon between them
        self._accounts_of: str | None = None  # whose accounts are known
        self._logins = 0
        self._link = LinkFace(mode, sink, now_ns, reactor.seconds, lambda: self._dialer)
        self._is_stopping = False
        self._is_off = False  # logged off on command: not dialled before a logon on command
        self._logons: list[Deferred[None]] = []
        self._stopped: list[Deferred[None]] = []
        self.budget = LogonBudget(options.budget_file, options.logons_a_day, now_ns)
        self.instruments = Instruments(mode, self._connected, options.timeout_symbol, self._rolled, self._changed)
        self.market = MarketLines(mode, sink, now_ns, self.instruments)
        self.books = Books(mode, sink, now_ns, self.instruments, options.accounts)
        self.history = History(self._connected, self.instruments, options.timeout_bars)
        self.orders = Orders(
            mode,
            sink,
            reactor,
            now_ns,
            self.instruments,
            connected=self._connected,
            account_id=self.books.account_id,
            account=self.books.account,
            rate=options.order_rate,
        )
        self.closing = Closing(
            reactor,
            now_ns,
            self.instruments,
            connected=self._connected,
            account_id=self.books.account_id,
            timeout=options.timeout_default,
        )
        self.reports = Reports(
            mode,
            sink,
            reactor,
            now_ns,
            orders=self.orders,
            books=self.books,
            connected=self._connected,
            timeout=options.timeout_snapshot,
        )
        self._dialer = Dialer(
            reactor, self._endpoint, options.reconnect, build=self._build, on_failed=self._dial_failed, random=random
        )
        self.capabilities = capabilities_of(mode, options)

    # --- the link ---

    def start(self) -> None:
        """Begin to dial, and keep the link until `stop`; tomorrow, if CQG takes no further logon today."""
        if self.budget.left():
            self._dialer.start()
        else:
            self._dialer.start(self.budget.seconds_to_midnight())
            self._link.tell(LinkState.DISCONNECTED, _USED_UP)

    def stop(self) -> Deferred[None]:
        """Log off and hang up; fires when nothing of the adapter is left ticking."""
        self._is_stopping = True
        self._dialer.stop()
        connection = self._building
        if connection is None:
            self._close_rooms()
            self._link.tell(LinkState.SHUTDOWN, "stopped")
            return succeed(None)
        over: Deferred[None] = Deferred()
        self._stopped.append(over)
        connection.close()
        return over

    def log_on(self, username: str, password: str) -> Deferred[None]:
        """Log on as somebody; fires once the link is of use.  Raises Throttled when today's logons are used up."""
        if not self.budget.left():
            raise Throttled(_USED_UP, retry_after=self.budget.seconds_to_midnight())
        self._options = msgspec.structs.replace(self._options, user=username, password=password)
        self._token = None
        self._is_off = False
        over: Deferred[None] = Deferred()
        self._logons.append(over)
        late = self._reactor.callLater(self._options.timeout_default, self._logon_late, over)
        over.addBoth(_cancelling(late))
        connection = self._building
        if connection is not None:
            connection.close()  # what is lost then is dialled again at once
        else:
            self._dialer.stop()
            self._dialer.start()
        return over

    def log_off(self) -> Deferred[None]:
        """Log off and stay off, until a `log_on`."""
        self._is_off = True
        self._token = None
        self._dialer.stop()
        connection = self._building
        if connection is None:
            self._link.tell(LinkState.DISCONNECTED, "logged off on command")
            return succeed(None)
        over: Deferred[None] = Deferred()
        self._stopped.append(over)
        connection.close()
        return over

    def _logon_late(self, over: Deferred[None]) -> None:
        if over in self._logons:
            self._logons.remove(over)
            over.errback(BrokerUnavailable("CQG was not reached in time; dialling goes on"))

    def _logons_over(self, error: Exception | None) -> None:
        """Answer who waits for a logon."""
        waiting, self._logons = self._logons, []
        for over in waiting:
            if error is None:
                over.callback(None)
            else:
                over.errback(error)

    def reload(self) -> None:
        """There is no table to read anew."""

    def status(self) -> LinkStatus:
        """Say where the link stands now."""
        return self._link.status

    def _endpoint(self) -> IStreamClientEndpoint:
        options = self._options_now()
        self._link.tell(LinkState.CONNECTING, f"dialling {options.host}:{options.port}")
        tls = client_options(options.host, options.ca_file) if options.is_tls else None
        return client_endpoint(self._reactor, options.host, options.port, tls=tls)

    def _options_now(self) -> CqgOptions:
        """Return the options with the address that CQG sent us on to, if it did."""
        if self._moved_to is None:
            return self._options
        host, port = self._moved_to
        return msgspec.structs.replace(self._options, host=host, port=port)

    def _build(self) -> Any:
        self._building = Connection(self._reactor, self, self._options_now(), now_ns=self._now_ns, token=self._token)
        pump: WebSocketPump = self._building.pump
        return pump.protocol

    def _connected(self) -> Connection:
        """Return the connection that questions go to.  Raises BrokerUnavailable while there is none."""
        if self._connection is None or not self._connection.is_ready:
            raise BrokerUnavailable(
                f"no working link to CQG ({self._link.status.reason or self._link.status.state.value})"
            )
        return self._connection

    def _dial_failed(self, failure: Failure) -> None:
        self._moved_to = None
        self._link.tell(LinkState.DISCONNECTED, f"cannot connect: {failure.getErrorMessage()}")

    # --- what the connection tells ---

    def logged_on(self, connection: Connection, *, is_restored: bool) -> None:
        """Take up the session: accounts first, then streams are asked for again and the gateway reconciles."""
        self._connection = connection
        self._token = connection.token
        if not is_restored:
            self.budget.used()
        self._link.forget_farms()
        request = message_class("trading_account_2.AccountsRequest")()
        asked = connection.ask(self._options.timeout_default, priority=Priority.ACCOUNT, accounts_request=request)
        asked.addCallbacks(
            lambda reports: self._ready(connection, reports, is_restored),
            lambda failure: self._no_accounts(connection, failure, is_restored),
        )

    def _ready(self, connection: Connection, reports: list[Any], is_restored: bool) -> None:
        """Go to work; without reports with the accounts that are known."""
        if connection is not self._connection:
            return
        self._logins += 1
        self._redirects = 0
        self._dialer.succeeded()
        self.instruments.session_over()
        if reports:
            self.books.learn_accounts(reports)
            self._accounts_of = self._options.user
        if not is_restored:
            self._ask_balances(connection)
        self._log.info(
            "{mode}: {how} CQG, {count} account(s)",
            mode=self._mode,
            how="restored the session at" if is_restored else "logged on to",
            count=len(self.books.accounts),
        )
        self.reports.opened(connection)
        self.market.opened(connection)
        self.instruments.opened()
        session = f"{self._mode}-{self._now_ns()}-{self._logins}"
        reason = "session restored" if is_restored else "logged on"
        self._link.tell(LinkState.CONNECTED, reason, session=session, login="ok", data_lost=self._logins > 1)
        self._logons_over(None)

    def _ask_balances(self, connection: Connection) -> None:
        """Ask for the last statement's money, once a logon: CQG answers that only a hundred times a day."""
        request = message_class("trading_account_2.LastStatementBalancesRequest")()
        asked = connection.ask(
            self._options.timeout_default, priority=Priority.ACCOUNT, last_statement_balances_request=request
        )
        asked.addCallbacks(
            self.books.balances,
            lambda failure: self._log.warn(
                "{mode}: no balances of the last statement: {reason}",
                mode=self._mode,
                reason=failure.getErrorMessage(),
            ),
        )

    def _no_accounts(self, connection: Connection, failure: Failure, is_restored: bool) -> None:
        if connection is not self._connection or not connection.is_ready:
            return  # the link went; that is told
        self._log.warn("{mode}: no list of accounts: {reason}", mode=self._mode, reason=failure.getErrorMessage())
        if is_restored and self._accounts_of == self._options.user:
            self._ready(connection, [], is_restored)  # CQG tells them a hundred times a day, and restores for ever
        else:
            connection.pump.abort()

    def fell_silent(self, connection: Connection) -> None:
        """Say that the link is stale; it is hung up right after, and dialled again."""
        self.market.suspect()
        self._link.tell(LinkState.STALE, "CQG has not answered two pings")
        connection.pump.abort()

    def lost(self, connection: Connection, failure: Failure) -> None:
        """Take the loss: everything that waited has failed; dial again."""
        was_ready = self._connection is connection
        if self._building is connection:
            self._building = None
        if was_ready:
            self._connection = None
            self.orders.link_lost()
            self.closing.link_lost()
        self._close_rooms()
        if self._is_stopping or self._is_off:
            if self._is_stopping:
                self._link.tell(LinkState.SHUTDOWN, "stopped")
            else:
                self._link.tell(LinkState.DISCONNECTED, "logged off on command", login=None)
            stopped, self._stopped = self._stopped, []
            for over in stopped:
                over.callback(None)
            return
        wait: float | None = None
        login = self._link.status.login if was_ready else None
        reason = "the connection was lost" if was_ready else "CQG closed the connection before the logon was through"
        if connection.refusal is not None:
            code, text = connection.refusal
            reason = f"CQG refused: {text}" if code else text
            if connection.was_restore_refused:
                self._token = None
                wait = 0.0 if self.budget.left() else None
            elif self._goes_on_to(connection.redirect_url):
                wait = 0.0
            else:
                self._moved_to = None
                login = f"refused: {text}"
                self._logons_over(BrokerError(f"CQG refused the logon: {text}", broker_code=code))
                # A password does not become right by repetition, and logons are counted.
                wait = self._options.reconnect.maximum if code else None
        elif self._logons:
            wait = 0.0  # closed to log on anew, on command
        elif connection.logged_off is not None:
            code, text = connection.logged_off
            reason = f"CQG logged us off: {text}"
            if self._goes_on_to(connection.redirect_url):
                wait = 0.0
            elif code in (LogoffReason.FORCED, LogoffReason.REASSIGNED):
                self._token = None
                wait = self._options.reconnect.maximum
                self._sink.noticed(
                    BrokerNotice(
                        mode=self._mode,
                        severity="error",
                        message=f"{reason}; somebody else may use this login: next attempt in {wait:g} s",
                        broker_code=code,
                    )
                )
        elif failure.check(RemoteProtocolError):
            reason = f"{reason}: {failure.getErrorMessage()}"
        elif (fault := tls_fault(failure)) is not None:
            reason = f"no encrypted link to CQG: {fault}"
        if self._token is None and not self.budget.left():
            wait = max(wait or 0.0, self.budget.seconds_to_midnight())
            reason = f"{reason}; {_USED_UP}"
        self._log.warn("{mode}: {reason}", mode=self._mode, reason=reason)
        self._dialer.again(wait)
        self._link.tell(LinkState.DISCONNECTED, reason, login=login)

    def _goes_on_to(self, url: str | None) -> bool:
        """Take up a redirect; tells whether it is followed.  Two servers that send each other clients are left."""
        if url is None:
            return False
        address = redirected(url, is_tls=self._options.is_tls)
        if address is None or self._redirects >= _MOST_REDIRECTS:
            self._log.warn("{mode}: the redirect to {url} is not followed", mode=self._mode, url=url)
            return False
        self._redirects += 1
        self._moved_to = address
        return True

    def market_data(self, data: Any) -> None:
        """Take market data of one contract."""
        self.market.take(data)

    def received(self, connection: Connection, name: str, part: Any) -> None:
        """Take a part of a message that answers no question."""
        if name == "order_statuses":
            self.reports.order_status(part, connection)
        elif name == "position_statuses":
            self.reports.position_status(part, connection)
        elif name == "account_summary_statuses":
            self.books.summary(part)
        elif name == "trade_snapshot_completions":
            self.reports.completed(part)
        elif name == "order_request_rejects":
            if not self.closing.rejected(part):
                self.orders.rejected(part)
        elif name == "order_request_acks":
            self.closing.acknowledged(part)
        elif name == "go_flat_statuses":
            self.closing.went_flat(part)
        elif name == "market_data_subscription_statuses":
            self.market.status(part)
            self._farm("data", self.market.is_disconnected)
        elif name == "trade_subscription_statuses":
            self._farm("trading", part.status_code == TradeStatus.DISCONNECTED)
        elif name == "user_messages":
            self._user_message(part)

    def _farm(self, kind: str, is_broken: bool) -> None:
        """Keep apart what CQG says of its data and of its trading side."""
        state = "broken" if is_broken else "ok"
        if self._link.note_farm(kind, kind, state, unless=(kind, "ok")) and self._connection is not None:
            self._link.tell_again(resync=kind == "trading" and not is_broken)

    def _user_message(self, part: Any) -> None:
        severity = _SEVERITIES.get(part.message_type)
        text = f"{part.subject}: {part.text}" if part.subject else part.text
        if severity is None:
            self._log.info("{mode}: CQG says: {text}", mode=self._mode, text=text)
            return
        self._sink.noticed(
            BrokerNotice(mode=self._mode, severity=severity, message=text, broker_code=part.message_type)
        )

    def _rolled(self, instrument: Instrument, contract: Contract) -> None:
        self.market.rolled(instrument, contract)
        self._sink.noticed(
            BrokerNotice(
                mode=self._mode,
                severity="info",
                message=f"{instrument.symbol} rolled: it stands for {contract.short} now",
                symbol=instrument.symbol,
            )
        )

    def _changed(self, instrument: Instrument, contract: Contract) -> None:
        """Take what CQG tells anew of a contract that is streamed."""
        if not contract.is_deleted:
            self.market.rolled(instrument, contract)
            return
        self._sink.noticed(
            BrokerNotice(
                mode=self._mode,
                severity="warning",
                message=f"{instrument.symbol} ({contract.short}) has expired",
                symbol=instrument.symbol,
            )
        )

    def _close_rooms(self) -> None:
        self.market.closed()
        self.reports.closed()
        self.instruments.session_over()

    # --- the gateway's side ---

    def restore(self, orders: Iterable[Order]) -> None:
        """Learn the orders of the journal before `start`."""
        self.orders.restore(orders)

    def reserve(self) -> tuple[str | None, int | None]:
        """CQG names orders itself; what it carries of ours is the order's id."""
        return None, None

    def for_order(self, instrument: Instrument) -> Instrument:
        """Return the contract that an order for `instrument` goes to."""
        return self.instruments.for_order(instrument)

    def submit(self, order: Order) -> bool:
        """Send a new order; its intent is durable.  False: it waits for its turn, and its leaving is told."""
        return self.orders.submit(order)

    def cancel(self, order: Order) -> None:
        """Ask for the cancel of an order; may be repeated."""
        self.orders.cancel(order)

    def replace(self, order: Order, by: OrderRequest) -> None:
        """Ask for a change."""
        self.orders.replace(order, by)

    def cancel_all(self) -> None:
        """Ask CQG to cancel every order of our accounts, whoever entered it."""
        self.orders.cancel_all(self.books.accounts)

    @returns_deferred
    async def go_flat(self, accounts: Sequence[str]) -> dict[str, str]:
        """Have CQG cancel every order and close every position of the accounts."""
        self.orders.withdraw(accounts)
        return await self.closing.go_flat(accounts)

    @returns_deferred
    async def liquidate(self, account: str, instrument: Instrument) -> str:
        """Have CQG close the position in one contract."""
        return await self.closing.liquidate(account, instrument)

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
        """Fetch bars in ascending time."""
        return await self.history.bars(query)

    @returns_deferred
    async def ticks(self, query: TickQuery) -> TickPage:
        """Fetch a page of past trades or quotes."""
        return await self.history.ticks(query)

    @returns_deferred
    async def what_if(self, order: Order) -> dict[str, Any]:
        """CQG's protocol has no such question."""
        raise InvalidArgument("CQG cannot tell what an order would cost", reason="unsupported")

    def broker_time(self) -> Deferred[int]:
        """Tell CQG's clock as its last pong showed it (ours before the first), with the offset of the settings."""
        ahead = 0 if self._connection is None else self._connection.session.peer_ahead
        return succeed(self._now_ns() + ahead + self._options.time_offset)

    def snapshot(self) -> Deferred[BrokerSnapshot]:
        """Read orders, executions, positions and figures; each whole, or the snapshot fails."""
        return self.reports.snapshot(self._link.status.session or "")


def _cancelling(timer: Any) -> Callable[[Any], Any]:
    """Pass a result on, and stop the timer that waited beside it."""

    def stop(result: Any) -> Any:
        if timer.active():
            timer.cancel()
        return result

    return stop
