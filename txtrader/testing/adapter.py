"""The memory adapter: the gateway's way to a `MemoryBroker`, with the same face as the real ones.

For tests of a strategy or of the gateway: no sockets, no threads, time from the clock that is passed in.  Facts reach
the gateway in later turns of the clock, never inside the call that caused them, as with a real broker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime

from txtrader.errors import BrokerUnavailable, InvalidArgument, NotReady
from txtrader.gateway.adapter import AdapterSink, BrokerNotice, BrokerSnapshot, Capabilities, LinkState, LinkStatus
from txtrader.model.account import AccountValue, Position
from txtrader.model.execution import CommissionReport, Execution
from txtrader.model.instrument import Instrument, InstrumentQuery
from txtrader.model.market import Bar, BarQuery, MarketStats, Quote, TickPage, TickQuery, Trade, page_of
from txtrader.model.order import CancelRejected, Order, OrderRequest, OrderType, OrderUpdate, Side, TimeInForce
from txtrader.testing.broker import Fact, MemoryBroker
from txtrader.testing.broker_records import BrokerOrder

__all__ = ["MemoryAdapter"]


class MemoryAdapter:
    """One login at a `MemoryBroker`.

    `clock` delivers the facts, `latency` seconds after they happened.  The link is up after `start` and follows
    `lose_link`, `go_stale` and `restore_link`; facts that happen while it is down are not delivered, and come to
    light in the next `snapshot` only.  `withheld_parts` names parts of a snapshot whose end never comes.
    """

    def __init__(
        self,
        broker: MemoryBroker,
        sink: AdapterSink,
        clock: IReactorTime,
        *,
        latency: float = 0.0,
        clientid: int = 1,
    ) -> None:
        self.broker = broker
        self._sink = sink
        self._clock = clock
        self.latency = latency
        self._clientid = clientid
        self._sessions = 0
        self._status = LinkStatus(mode=broker.mode, state=LinkState.STARTUP)
        self._detach: Callable[[], None] | None = None
        self._pending: set[Deferred[Any]] = set()
        self.subscribed: dict[str, Instrument] = {}
        self.withheld_parts: set[str] = set()
        self._deliver: dict[type, Callable[[Any], None]] = {
            OrderUpdate: sink.order_updated,
            Execution: sink.executed,
            CommissionReport: sink.commissioned,
            CancelRejected: sink.cancel_rejected,
            Quote: sink.quoted,
            Trade: sink.traded,
            MarketStats: sink.stats_changed,
            Position: sink.position_changed,
            AccountValue: sink.account_changed,
            BrokerNotice: sink.noticed,
        }
        self.capabilities = Capabilities(
            mode=broker.mode,
            order_types=(OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT),
            tifs=(TimeInForce.DAY, TimeInForce.GTC),
            sides=tuple(Side),
            periods=(),
            features=("replace", "go_flat"),
        )

    # -- the link

    def start(self) -> None:
        self.restore_link()

    def stop(self) -> Deferred[None]:
        self._drop_link(LinkState.SHUTDOWN, "stopped")
        return succeed(None)

    def status(self) -> LinkStatus:
        return self._status

    @property
    def is_up(self) -> bool:
        return self._status.state in (LinkState.CONNECTED, LinkState.STALE)

    def lose_link(self, reason: str = "connection lost") -> None:
        """Break the link: every question under way fails, and nothing is delivered any more."""
        self._drop_link(LinkState.DISCONNECTED, reason)

    def go_stale(self) -> None:
        """Be silent on a standing link."""
        self._change(LinkState.STALE, "no answer to the heartbeat")

    def restore_link(self) -> None:
        """Log in again: a new broker session, and the subscriptions as they were."""
        self._change(LinkState.CONNECTING, None)
        if self._detach is None:
            self._detach = self.broker.attach(self._heard)
        self._sessions += 1
        self._later(self._logged_in)

    def _logged_in(self) -> None:
        self._change(LinkState.CONNECTED, None, session=f"{self.broker.mode}-{self._sessions}")
        self._sink.accounts_changed(self.broker.mode, self.broker.accounts)
        for instrument in self.subscribed.values():
            self._show_quote(instrument)

    def _drop_link(self, state: LinkState, reason: str) -> None:
        if self._detach is not None:
            self._detach()
            self._detach = None
        pending, self._pending = self._pending, set()
        self._change(state, reason)
        for waiting in pending:
            if not waiting.called:
                waiting.errback(BrokerUnavailable(reason))

    def _change(self, state: LinkState, reason: str | None, *, session: str | None = None) -> None:
        self._status = LinkStatus(
            mode=self.broker.mode,
            state=state,
            session=session if session is not None else self._status.session,
            reason=reason,
            since=self.broker.now_ns(),
            login="ok" if state is LinkState.CONNECTED else None,
        )
        self._sink.link_changed(self._status)

    def reload(self) -> None:
        """There is no table to read anew."""

    # -- orders

    def restore(self, orders: Iterable[Order]) -> None:
        for order in orders:
            if order.broker_order_id is not None and order.broker_order_id.isdigit():
                self.broker.next_order_id = max(self.broker.next_order_id, int(order.broker_order_id) + 1)

    def reserve(self) -> tuple[str | None, int | None]:
        if not self.is_up:
            raise NotReady("the memory broker is not connected")
        taken = self.broker.next_order_id
        self.broker.next_order_id += 1
        return str(taken), self._clientid

    def for_order(self, instrument: Instrument) -> Instrument:
        return instrument

    def submit(self, order: Order) -> None:
        assert order.instrument is not None, "an order without an instrument cannot be sent"
        made = BrokerOrder(self.broker.make_permid(), order.instrument, order.account, order.side, order.quantity)
        made.type, made.tif = order.type, order.tif
        made.limit_price, made.stop_price = order.limit_price, order.stop_price
        made.order_ref, made.broker_order_id, made.clientid = (
            order.order_ref or order.id,
            order.broker_order_id,
            (order.clientid),
        )
        self.broker.submit(made)

    def cancel(self, order: Order) -> None:
        permid = order.permid if order.permid is not None else self.broker.permid_of(order.id)
        if not self.broker.cancel(permid):
            self._hear(
                CancelRejected(
                    mode=self.broker.mode,
                    request="cancel",
                    code="unknown-order",
                    message="no such order",
                    order_ref=order.id,
                    permid=order.permid,
                    broker_order_id=order.broker_order_id,
                    clientid=order.clientid,
                )
            )

    def replace(self, order: Order, by: OrderRequest) -> None:
        permid = order.permid if order.permid is not None else self.broker.permid_of(order.id)
        if permid is None:
            return  # a change to an order that never arrived: nothing answers, as with a real broker
        self.broker.replace(
            permid, quantity=by.quantity, limit_price=by.limit_price, stop_price=by.stop_price, tif=by.tif
        )

    def cancel_all(self) -> None:
        for order in list(self.broker.orders.values()):
            if order.is_open:
                self.broker.cancel(order.permid)

    def go_flat(self, accounts: Sequence[str]) -> Deferred[dict[str, str]]:
        def act() -> dict[str, str]:
            for order in list(self.broker.orders.values()):
                if order.is_open and order.account in accounts:
                    self.broker.cancel(order.permid)
            for account, symbol in list(self.broker.positions):
                if account in accounts:
                    self._flatten(account, symbol)
            left = {account for (account, _), quantity in self.broker.positions.items() if quantity}
            return {account: "timed-out" if account in left else "done" for account in accounts}

        return self._ask(act)

    def liquidate(self, account: str, instrument: Instrument) -> Deferred[str]:
        def act() -> str:
            self._flatten(account, instrument.symbol)
            return "asked"

        return self._ask(act)

    def _flatten(self, account: str, symbol: str) -> None:
        quantity = self.broker.positions.get((account, symbol), Decimal(0))
        if quantity:
            side = Side.SELL if quantity > 0 else Side.BUY
            self.broker.place_external(symbol, side, abs(quantity), account=account)

    # -- market data and questions

    def subscribe(self, instrument: Instrument) -> None:
        self.subscribed[instrument.symbol] = instrument
        if self.is_up:
            self._show_quote(instrument)

    def unsubscribe(self, instrument: Instrument) -> None:
        self.subscribed.pop(instrument.symbol, None)

    def resolve(self, query: InstrumentQuery) -> Deferred[Sequence[Instrument]]:
        wanted = query.symbol or query.raw_symbol or query.text
        return self._ask(
            lambda: [
                instrument
                for instrument in self.broker.instruments.values()
                if query.instrument_id in (None, instrument.instrument_id)
                and (query.instrument_id is not None or instrument.symbol == wanted)
                and query.sectype in (None, instrument.sectype)
                and query.exchange in (None, instrument.exchange, instrument.primary_exchange)
                and query.currency in (None, instrument.currency)
            ]
        )

    def bars(self, query: BarQuery) -> Deferred[Sequence[Bar]]:
        known = self.broker.bars.get((query.instrument.symbol, str(query.period)), [])
        return self._ask(lambda: [bar for bar in known if query.start <= bar.time < query.end])

    def ticks(self, query: TickQuery) -> Deferred[TickPage]:
        known = self.broker.ticks.get((query.instrument.symbol, query.kind), [])
        return self._ask(lambda: page_of([tick for tick in known if query.start <= tick.time < query.end], query, None))

    def what_if(self, order: Order) -> Deferred[dict[str, Any]]:
        return fail(InvalidArgument("the memory broker computes no margins", reason="unsupported", path="what_if"))

    def broker_time(self) -> Deferred[int]:
        return self._ask(self.broker.now_ns)

    def snapshot(self) -> Deferred[BrokerSnapshot]:
        if self.withheld_parts:
            return self._ask(None)
        return self._ask(self._take_snapshot)

    def _take_snapshot(self) -> BrokerSnapshot:
        broker = self.broker
        orders = [broker.order_update(order, is_snapshot=True) for order in broker.orders.values()]
        return BrokerSnapshot(
            mode=broker.mode,
            session=self._status.session or "",
            accounts=broker.accounts,
            open_orders=tuple(order for order in orders if order.status is None or not order.status.is_terminal),
            completed_orders=tuple(order for order in orders if order.status is not None and order.status.is_terminal),
            executions=tuple(broker.executions.values()),
            commissions=tuple(
                report for report in map(broker.commission_report, broker.executions.values()) if report is not None
            ),
            positions=tuple(broker.position(account, symbol) for account, symbol in broker.positions),
        )

    # -- inside

    def _ask(self, answer: Callable[[], Any] | None) -> Deferred[Any]:
        """Answer in a later turn; None as `answer` never comes, and ends with the link."""
        waiting: Deferred[Any] = Deferred()
        if not self.is_up:
            waiting.errback(BrokerUnavailable("the memory broker is not connected"))
            return waiting
        self._pending.add(waiting)

        def fire() -> None:
            self._pending.discard(waiting)
            if not waiting.called and answer is not None:
                waiting.callback(answer())

        if answer is not None:
            self._clock.callLater(self.latency, fire)
        return waiting

    def _show_quote(self, instrument: Instrument) -> None:
        quote = self.broker.quotes.get(instrument.symbol)
        if quote is not None:
            self._hear(quote)

    def _heard(self, fact: Fact) -> None:
        """Take a fact from the broker, unless it is market data that nobody asked for."""
        if isinstance(fact, (Quote, Trade, MarketStats)) and fact.symbol not in self.subscribed:
            return
        self._hear(fact)

    def _hear(self, fact: Fact) -> None:
        self._later(self._deliver[type(fact)], fact)

    def _later(self, call: Callable[..., None], *args: Any) -> None:
        """Deliver in a later turn, if the session that it belongs to is still the one."""
        session = self._sessions

        def deliver() -> None:
            if session == self._sessions and self._detach is not None:
                call(*args)

        self._clock.callLater(self.latency, deliver)
