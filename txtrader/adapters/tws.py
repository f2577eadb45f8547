"""Interactive Brokers' TWS and Gateway, over the socket API, through the installed `ibapi`.

    dial -> greet, agree on a version, log in -> next order id and accounts: Connected, the gateway reconciles
    error 1100: Stale (TWS lost its own server)    1101, 1102: Connected again, look again
    two silent heartbeats: Stale, hang up          loss: Disconnected, dial again with a growing, jittered wait

The same client id every time: order ids belong to it.  Orders, market data, bars, accounts and instruments are rooms
of their own beside this one; here they meet the link.
"""

from __future__ import annotations

import random as random_module
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, tzinfo
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.adapters.linkface import LinkFace
from txtrader.adapters.tws_books import Books
from txtrader.adapters.tws_history import History
from txtrader.adapters.tws_instruments import Instruments
from txtrader.adapters.tws_market import MarketLines
from txtrader.adapters.tws_options import TwsOptions, capabilities_of, options_from
from txtrader.adapters.tws_orders import Orders
from txtrader.adapters.tws_reports import Reports
from txtrader.dialects import tws as dialect
from txtrader.errors import BrokerUnavailable, RemoteProtocolError, TxTraderError
from txtrader.gateway.adapter import (
    AdapterSink,
    BrokerNotice,
    BrokerSnapshot,
    LinkState,
    LinkStatus,
)
from txtrader.gateway.tasks import returns_deferred
from txtrader.model.instrument import Instrument, InstrumentQuery
from txtrader.model.market import Bar, BarQuery, TickPage, TickQuery
from txtrader.model.order import Order, OrderRequest
from txtrader.net.dial import Dialer, client_endpoint
from txtrader.net.pacing import Priority
from txtrader.net.pump import Pump
from txtrader.twsapi.codes import CodeClass, Codes
from txtrader.twsapi.connection import GLOBAL_ID, Connection, LoginInfo, Timing
from txtrader.twsapi.ids import OrderIds
from txtrader.wire.tws.ibapi_binding import load_binding
from txtrader.wire.tws.message import Message

__all__ = ["TwsAdapter", "TwsOptions", "make"]

SECOND = 1_000_000_000

_SERVER_LOST, _BACK_DATA_LOST, _BACK_DATA_KEPT = 1100, 1101, 1102
_COMPETING_LOGIN = 10197
_MOST_REFUSALS, _REFUSAL_WINDOW = 5, 300.0  # logins that TWS refuses: so many in so many seconds


def make(
    settings: Any,
    reactor: Any,
    sink: AdapterSink,
    *,
    mode: str = "tws",
    now_ns: Callable[[], int] = time.time_ns,
    random: random_module.Random | None = None,
) -> TwsAdapter:
    """Make the adapter from the settings of its mode; raises ConfigError without ibapi, or with a bad code table."""
    options = options_from(settings)
    return TwsAdapter(options, reactor, sink, mode=mode, now_ns=now_ns, random=random or random_module.Random())


class TwsAdapter:
    """One login at one TWS: the face that `txtrader.gateway.adapter.Adapter` describes."""

    _log = Logger()

    def __init__(
        self,
        options: TwsOptions,
        reactor: Any,
        sink: AdapterSink,
        *,
        mode: str,
        now_ns: Callable[[], int],
        random: random_module.Random,
    ) -> None:
        self._binding = load_binding()
        self.codes = Codes.load(options.codes_file)
        self._options = options
        self._reactor = reactor
        self._sink = sink
        self._mode = mode
        self._now_ns = now_ns
        self._order_ids = OrderIds()
        self._connection: Connection | None = None
        self._building: Connection | None = None
        self._logins = 0
        self._link = LinkFace(mode, sink, now_ns, reactor.seconds, lambda: self._dialer)
        self._refusals: deque[float] = deque(maxlen=_MOST_REFUSALS)
        self._is_server_lost = False
        self._is_stopping = False
        self._stopped: list[Deferred[None]] = []
        self._unknown_codes: set[int] = set()
        self.instruments = Instruments(mode, self._connected, options.timeout_symbol, self._today)
        self.market = MarketLines(mode, sink, reactor, now_ns, data_type=options.data_type, liveness=options.liveness)
        self.books = Books(mode, sink, now_ns, self.instruments, timeout=options.timeout_snapshot)
        self.history = History(reactor, self._connected, self.codes, options.timeout_bars)
        self.orders = Orders(
            mode,
            sink,
            now_ns,
            self.instruments,
            client_id=options.client_id,
            order_ids=self._order_ids,
            connected=self._connected,
            recheck=self._recheck,
            timeout=options.timeout_default,
        )
        self.reports = Reports(
            mode,
            sink,
            reactor,
            now_ns,
            orders=self.orders,
            books=self.books,
            instruments=self.instruments,
            connected=self._connected,
            timeout=options.timeout_snapshot,
        )
        self._dialer = Dialer(
            reactor,
            self._endpoint,
            options.reconnect,
            build=self._build,
            on_failed=self._dial_failed,
            random=random,
        )
        self._takers: dict[str, Callable[[Message], None]] = {
            **self.reports.takers,
            "updateAccountValue": self.books.account_value,
            "accountUpdateMulti": self.books.account_value,
            "updatePortfolio": self.books.portfolio,
            "position": self.books.position_news,
            "marketDataType": self._data_type,
            "tickOptionComputation": self.market.option_computed,
            "managedAccounts": self._accounts_again,
        }
        self.capabilities = capabilities_of(mode, options, is_old=self._binding.is_old)

    # --- the link ---

    def start(self) -> None:
        """Begin to dial, and keep the link until `stop`."""
        self._log.info(
            "{mode}: ibapi {version} speaks up to server version {top}",
            mode=self._mode,
            version=self._binding.version_text,
            top=self._binding.max_version,
        )
        if self._binding.is_old:
            text = (
                f"ibapi {self._binding.version_text} serves the simulator and whole-share trading; real TWS refuses it"
                " currencies, crypto and fractions (10285): for a real account install Interactive Brokers' current"
                " TWS API (10.x)"
            )
            self._log.info("{text}", text=text)
            self._sink.noticed(BrokerNotice(mode=self._mode, severity="info", message=text))
        self._dialer.start()

    def stop(self) -> Deferred[None]:
        """Hang up; fires when nothing of the adapter is left ticking."""
        self._is_stopping = True
        self.reports.stop()
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

    def status(self) -> LinkStatus:
        """Say where the link stands now."""
        return self._link.status

    def reload(self) -> None:
        """Read the code table again; a bad file raises ConfigError and the old table stays."""
        self.codes.replace_by(Codes.load(self._options.codes_file))

    def _endpoint(self) -> IStreamClientEndpoint:
        self._link.tell(LinkState.CONNECTING, f"dialling {self._options.host}:{self._options.port}")
        return client_endpoint(self._reactor, self._options.host, self._options.port)

    def _build(self) -> Pump:
        options = self._options
        self._building = Connection(
            self._reactor,
            self,
            client_id=options.client_id,
            codes=self.codes,
            order_ids=self._order_ids,
            ticks=self.market.ticks,
            timing=Timing(handshake=options.handshake, heartbeat=options.heartbeat, question=options.timeout_default),
            message_rate=options.message_rate,
            max_version=options.max_version,
            logs_messages=options.logs_messages,
            logs_bytes=options.logs_bytes,
        )
        return self._building.pump

    def _connected(self) -> Connection:
        """Return the connection that questions go to.  Raises BrokerUnavailable while there is none."""
        if self._connection is None:
            raise BrokerUnavailable(
                f"no working link to TWS ({self._link.status.reason or self._link.status.state.value})"
            )
        return self._connection

    def _dial_failed(self, failure: Failure) -> None:
        self._link.tell(LinkState.DISCONNECTED, f"cannot connect: {failure.getErrorMessage()}")

    # --- what the connection tells ---

    def logged_in(self, connection: Connection, info: LoginInfo) -> None:
        """Take up the login: streams are asked for again, the gateway reconciles."""
        self._connection = connection
        self._logins += 1
        self._is_server_lost = False
        self._link.forget_farms()
        self._dialer.succeeded()
        self._refusals.clear()
        self.reports.zone = _zone_of(info.connection_time)
        self._log.info(
            "{mode}: logged in to TWS, server version {version}, client id {id}, {count} account(s)",
            mode=self._mode,
            version=info.server_version,
            id=self._options.client_id,
            count=len(info.accounts),
        )
        self.orders.new_session()
        self.books.opened(connection, info.accounts)
        self.market.opened(connection)
        if self._options.client_id == 0:
            # Client 0 may have the orders of the TWS window bound to itself: they become visible and cancellable.
            self._post(Message("reqAutoOpenOrders", {"bAutoBind": True}))
        session = f"{self._mode}-{self._now_ns()}-{self._logins}"
        self._link.tell(LinkState.CONNECTED, "logged in", session=session, login="ok", data_lost=self._logins > 1)

    def fell_silent(self, connection: Connection) -> None:
        """Say that the link is stale; it is hung up right after, and dialled again."""
        self.market.suspect()
        self._link.tell(LinkState.STALE, "TWS has not answered two heartbeats")

    def lost(self, connection: Connection, failure: Failure) -> None:
        """Take the loss: everything that waited has failed; dial again."""
        was_ready = self._connection is connection
        if self._building is connection:
            self._building = None
        if was_ready:
            self._connection = None
            self.orders.link_lost()
        self._close_rooms()
        if self._is_stopping:
            self._link.tell(LinkState.SHUTDOWN, "stopped")
            stopped, self._stopped = self._stopped, []
            for over in stopped:
                over.callback(None)
            return
        wait: float | None = None
        login = self._link.status.login if was_ready else None
        reason = connection.refusal or (
            "the connection was lost" if was_ready else "TWS closed the connection before the login was through"
        )
        if connection.refusal is not None and not was_ready:
            login = f"refused: {connection.refusal}"
            wait = self._wait_after_refusal()
        elif failure.check(RemoteProtocolError):
            reason = f"{reason}: {failure.getErrorMessage()}"
        self._log.warn("{mode}: {reason}", mode=self._mode, reason=reason)
        self._dialer.again(wait)
        self._link.tell(LinkState.DISCONNECTED, reason, login=login)

    def received(self, connection: Connection, message: Message) -> None:
        """Take a message that answers no question."""
        take = self._takers.get(message.name)
        if take is not None:
            take(message)

    def reported(self, connection: Connection, code: int, text: str, number: int, kind: CodeClass | None) -> None:
        """Take an error, warning or remark, by what its number names."""
        if kind is None and code not in self._unknown_codes:
            self._unknown_codes.add(code)
            self._log.warn(
                "{mode}: TWS says code {code}, which is not in the table: {text}", mode=self._mode, code=code, text=text
            )
        if code in self.codes.farms:
            self._farm_said(code, text)
            return
        if kind is CodeClass.CONNECTION:
            self._link_said(code, text)
            return
        line = self.market.line_of(number)
        if line is not None:
            if kind is CodeClass.RESUBSCRIBE:
                self.market.resubscribe(only=line)
            elif kind is not CodeClass.INFORMATION:
                is_dead = kind in (CodeClass.REQUEST, CodeClass.ORDER)
                self.market.failed(line, code, text, is_dead=is_dead)
        elif self._is_order(connection, number, kind):
            self.orders.reported(code, text, number, kind)
        else:
            severity = {CodeClass.INFORMATION: "info", CodeClass.REQUEST: "error", CodeClass.ORDER: "error"}
            self._sink.noticed(
                BrokerNotice(
                    mode=self._mode,
                    severity=severity.get(kind, "warning") if kind is not None else "warning",
                    message=text,
                    broker_code=code,
                )
            )

    def _is_order(self, connection: Connection, number: int, kind: CodeClass | None) -> bool:
        """Tell whether a number is an order's; the first one of the TWS window that client 0 binds has -1."""
        if number == GLOBAL_ID:
            is_about_order = kind in (CodeClass.ORDER, CodeClass.CANCEL, CodeClass.NOT_CANCELLED)
            return is_about_order and self.orders.knows(number)
        return not connection.request_ids.owns(number)

    def _link_said(self, code: int, text: str) -> None:
        """Follow what TWS says of its own link."""
        severity = "warning"
        if code == _SERVER_LOST:
            if self._is_server_lost:
                return  # repeated all night: one change of state
            self._is_server_lost = True
            self.market.suspect()
            if self._connection is not None:
                self._link.tell(LinkState.STALE, text)
        elif code in (_BACK_DATA_LOST, _BACK_DATA_KEPT):
            self._is_server_lost = False
            severity = "info"
            is_data_lost = code == _BACK_DATA_LOST
            connection = self._connection
            if connection is not None:
                if is_data_lost:
                    self.books.opened(connection, self.books.accounts)
                    self.market.resubscribe()
                else:
                    self.market.trust()
                self._link.tell(LinkState.CONNECTED, text, resync=True, data_lost=is_data_lost)
        elif code == _COMPETING_LOGIN:
            self.market.suspect()
        self._sink.noticed(BrokerNotice(mode=self._mode, severity=severity, message=text, broker_code=code))

    def _farm_said(self, code: int, text: str) -> None:
        """Keep the state of TWS's data farms; `...:usfarm` names one."""
        kind, state = self.codes.farms[code]
        name = text.rpartition(":")[2].strip().split(" ")[0] if ":" in text else kind
        if not self._link.note_farm(name, kind, state):
            return
        if kind == "market" and state == "broken":
            self.market.suspect()
        self._sink.noticed(BrokerNotice(mode=self._mode, severity="info", message=text, broker_code=code))
        if self._connection is not None:
            self._link.tell_again()

    def _wait_after_refusal(self) -> float | None:
        """Keep to five refused logins in five minutes; None leaves the wait to the backoff."""
        now: float = self._reactor.seconds()
        self._refusals.append(now)
        if len(self._refusals) == _MOST_REFUSALS and now - self._refusals[0] < _REFUSAL_WINDOW:
            return self._refusals[0] + _REFUSAL_WINDOW - now
        return None

    def _close_rooms(self) -> None:
        self.market.closed()
        self.books.closed()
        self.history.closed()

    def _post(self, message: Message) -> None:
        try:
            self._connected().post(message, Priority.ACCOUNT)
        except TxTraderError as error:
            self._log.warn("{name} was not sent: {error}", name=message.name, error=error.text)

    # --- the gateway's side ---

    def restore(self, orders: Iterable[Order]) -> None:
        """Learn the orders of the journal before `start`."""
        self.orders.restore(orders)

    def reserve(self) -> tuple[str | None, int | None]:
        """Take the order id and client id of the next order."""
        return self.orders.reserve()

    def for_order(self, instrument: Instrument) -> Instrument:
        """Every symbol is one contract here."""
        return instrument

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
        """Ask TWS for its global cancel, which covers every client's orders."""
        self.orders.cancel_all()

    def subscribe(self, instrument: Instrument) -> None:
        """Stream an instrument's data, also after each reconnect."""
        self.instruments.learn(instrument)
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
        self._connected()
        return await self.history.bars(query)

    @returns_deferred
    async def ticks(self, query: TickQuery) -> TickPage:
        """Fetch a page of past trades or quotes."""
        self._connected()
        return await self.history.ticks(query)

    def what_if(self, order: Order) -> Deferred[dict[str, Any]]:
        """Ask what an order would cost, without sending it to a market."""
        return self.orders.what_if(order)

    @returns_deferred
    async def broker_time(self) -> int:
        """Ask TWS for its clock, integer nanoseconds UTC, with the offset of the settings."""
        answers = await self._connected().ask_shared(
            "reqCurrentTime", answers=("currentTime",), ends=("currentTime",), timeout=self._options.timeout_default
        )
        return int(answers[-1].fields.get("time") or 0) * SECOND + self._options.time_offset

    def snapshot(self) -> Deferred[BrokerSnapshot]:
        """Read open and completed orders, executions and positions; each whole, or the snapshot fails."""
        return self.reports.snapshot(self._link.status.session or "")

    def _data_type(self, message: Message) -> None:
        number, kind = message.fields.get("reqId"), message.fields.get("marketDataType")
        if isinstance(number, int) and isinstance(kind, int):
            self.market.data_type_changed(number, kind)

    def _accounts_again(self, message: Message) -> None:
        """Take a changed list of accounts; the one of the login came through `logged_in`."""
        if self._connection is None:
            return
        accounts = tuple(
            word.strip() for word in str(message.fields.get("accountsList") or "").split(",") if word.strip()
        )
        if accounts and accounts != self.books.accounts:
            self.books.opened(self._connection, accounts)

    def _today(self) -> str:
        return self.reports.today()

    def _recheck(self) -> None:
        self.reports.recheck()


def _zone_of(connection_time: str) -> tzinfo:
    """Return the time zone in which a TWS login tells times: the last word of its connection time."""
    words = connection_time.split(" ", 2)
    return (dialect.zone_named(words[2].strip()) if len(words) == 3 else None) or UTC
