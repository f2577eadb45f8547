"""One broker's link as the gateway sees it: the sink of its adapter, the gate of its orders, its reconciliation.

Disconnected -> Connecting -> Initializing -> Up          after every (re)connect: load, compare, only then trade
                                   |-> ReconcileFailed    positions differ: shut until an admin accepts them
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from txtrader.errors import BrokerRejected, BrokerUnavailable, NotReady, ReconcileFailed
from txtrader.gateway.adapter import Adapter, BrokerNotice, LinkState, LinkStatus
from txtrader.gateway.blotter import Blotter, Change
from txtrader.gateway.blotter_rules import old_terms
from txtrader.gateway.books import AccountBooks
from txtrader.gateway.crash import crash_point
from txtrader.gateway.journal_records import KeyRecord
from txtrader.gateway.market import Market
from txtrader.gateway.pending import Pending
from txtrader.gateway.reconcile import Reconciler
from txtrader.gateway.records import account_record, execution_record, order_record, position_record
from txtrader.gateway.stream import EventStream
from txtrader.gateway.tasks import returns_deferred
from txtrader.model.account import AccountValue, Position
from txtrader.model.event import StatusEvent
from txtrader.model.execution import CommissionReport, Execution
from txtrader.model.market import MarketStats, Quote, Trade
from txtrader.model.order import CancelRejected, Order, OrderRequest, OrderStatus, OrderUpdate, OrderWarning
from txtrader.model.times import iso

__all__ = ["BrokerLink", "LinkOptions"]

_S = OrderStatus
_EVERY_ACCOUNT = "*"  # no account has this name: only those who may see all accounts see what is marked so
_LOGGED = 1_000  # ids whose last log line is remembered


class LinkOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a link, durations in seconds."""

    unknown_quiet: float = 5.0
    reconcile_interval: float = 60.0
    reconcile_retry: float = 5.0
    disconnect_timeout: float = 30.0
    disconnect_shutdown: bool = False
    suppressed_codes: frozenset[str] = frozenset()
    log_orders: bool = True
    log_executions: bool = True


class BrokerLink:
    """Everything between one adapter and the books."""

    _log = Logger()

    def __init__(
        self,
        mode: str,
        *,
        clock: IReactorTime,
        now_ns: Callable[[], int],
        stream: EventStream,
        blotter: Blotter,
        books: AccountBooks,
        market: Market,
        options: LinkOptions,
        on_dead: Callable[[str], None],
    ) -> None:
        self.mode = mode
        self.options = options
        self.answers: Pending[Order] = Pending(clock)
        self.adapter: Adapter
        self._clock = clock
        self._now_ns = now_ns
        self._stream = stream
        self.blotter = blotter
        self.books = books
        self._market = market
        self._on_dead = on_dead
        self.status = LinkStatus(mode=mode, state=LinkState.STARTUP, since=now_ns())
        self.word = "Startup"
        self.reason: str | None = None
        self.since = now_ns()
        self.last_up: int | None = None
        self.lost_by = ""
        self.cancels_on_return: Callable[[], None] = lambda: None
        self.leaving: dict[str, bool] = {}
        """Orders whose intent is on its way to the disk; True once somebody has cancelled it."""
        self.reconciler = Reconciler(self, clock=clock, now_ns=now_ns)
        self._dead: IDelayedCall | None = None
        self._is_ending = False
        self._logged: dict[str, object] = {}

    def attach(self, adapter: Adapter) -> None:
        """Take the adapter, and give it the orders of the journal."""
        self.adapter = adapter
        adapter.restore([order for order in self.blotter.orders.values() if order.mode == self.mode])

    def start(self) -> None:
        """Begin to dial."""
        self._watch_for_death()
        self.adapter.start()

    def shut(self) -> None:
        """Refuse new orders from now on; what is under way may still be answered."""
        self.reconciler.stop()
        if self._dead is not None and self._dead.active():
            self._dead.cancel()
        self._is_ending = True
        self.set_word("Shutdown", "the gateway is going down")

    @returns_deferred
    async def stop(self) -> None:
        """End the link; nobody waits for an answer any more."""
        await self.adapter.stop()
        self.answers.fail_all(BrokerUnavailable("the gateway is going down"))

    # --- to the broker: an adapter's bug is logged, and says nothing of what has left -------------------------------

    def submit(self, order: Order) -> bool:
        """Send a new order; tells whether it left at once."""
        try:
            return self.adapter.submit(order) is not False
        except Exception:  # noqa: BLE001  a bug there: the order may have left, and waits for evidence as any other
            self._log.failure("sending order {id}", id=order.id)
            return True

    def cancel(self, order: Order) -> None:
        """Ask for a cancel."""
        try:
            self.adapter.cancel(order)
        except Exception:  # noqa: BLE001  a bug there must not keep other cancels back; the order stays as it is
            self._log.failure("cancelling order {id}", id=order.id)

    def replace(self, order: Order, by: OrderRequest) -> None:
        """Ask for a change."""
        try:
            self.adapter.replace(order, by)
        except Exception:  # noqa: BLE001  a bug there: the change may have left, and waits for evidence
            self._log.failure("changing order {id}", id=order.id)

    # --- the gate -------------------------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Tell whether the broker can be asked and orders can be cancelled."""
        return self.status.state is LinkState.CONNECTED

    @property
    def is_up(self) -> bool:
        """Tell whether new orders may go."""
        return self.word == "Up"

    def check_connected(self) -> None:
        """Raise BrokerUnavailable unless the broker can be asked."""
        if not self.is_connected:
            raise BrokerUnavailable(f"no working link to {self.mode} ({self.word})")

    def check_up(self) -> None:
        """Raise BrokerUnavailable, NotReady or ReconcileFailed unless new orders may go."""
        if self.word == "Up":
            return
        if self.word == "ReconcileFailed":
            raise ReconcileFailed(self.reason or "the broker's positions are not ours; an admin must accept them")
        if self.is_connected and not self._is_ending:
            raise NotReady(f"{self.mode} is being reconciled")
        raise BrokerUnavailable(f"no working link to {self.mode} ({self.word})")

    def set_word(self, word: str, reason: str | None = None) -> None:
        """Set the status word, and tell everyone when it is another."""
        if self._is_ending and word != "Shutdown":
            return
        previous, self.word, self.reason = self.word, word, reason
        if word == previous:
            return
        self.since = self._now_ns()
        self._log.info("{mode} is {word}{why}", mode=self.mode, word=word, why=f": {reason}" if reason else "")
        self.tell(
            "connection-status-changed",
            {"status": word, "previous": previous, "mode": self.mode, "reason": reason, "time": iso(self.since)},
        )

    # --- telling --------------------------------------------------------------------------------------------------

    def tell(self, type: str, data: Mapping[str, Any], *, account: str | None = None) -> None:
        """Publish on the status channel."""
        self._kept(self._stream.publish(type, "status", self.mode, data, account=account))

    def tell_with_meta(self, type: str, data: Mapping[str, Any], meta: Mapping[str, str], account: str | None) -> None:
        """Publish on the status channel, journaling `meta` in the same transaction."""
        self._kept(self._stream.publish(type, "status", self.mode, data, account=account, meta=meta))

    def remark(self, severity: str, code: str, message: str, **parts: Any) -> None:
        """Publish an `error` or `warning` event of our own, and log it."""
        (self._log.error if severity == "error" else self._log.warn)(
            "{mode}: {message}", mode=self.mode, message=message
        )
        self._notify(severity, code, message, **parts)

    def _notify(self, severity: str, code: str, message: str, **parts: Any) -> None:
        data = {
            "severity": severity,
            "code": code,
            "broker_code": None,
            "message": message,
            "mode": self.mode,
            "id": None,
            "symbol": None,
            "account": None,
            "incident": None,
            **parts,
        }
        self.tell(severity if severity in ("error", "warning") else "warning", data, account=data["account"])

    def publish(self, change: Change) -> None:
        """Journal and publish what changed, as one transaction, and answer those who wait for it."""
        with self._stream.transaction():
            meta = self.books.move(change.ledger)
            for execution in change.executions:
                self._kept(
                    self._stream.publish(
                        "execution",
                        "execution",
                        self.mode,
                        execution_record(execution),
                        key=execution.exec_id,
                        account=execution.account,
                        symbol=execution.symbol,
                        executions=(execution,),
                        meta=meta,
                    )
                )
                meta = {}
                if self.options.log_executions and self._is_news(execution.exec_id, execution.shares):
                    self._log.info(
                        "execution {id} of {order}: {side} {shares} {symbol} at {price}",
                        id=execution.exec_id,
                        order=execution.order_id,
                        side=execution.side.value,
                        shares=execution.shares,
                        symbol=execution.symbol,
                        price=execution.price,
                    )
            for order in change.orders:
                self.publish_order(order, meta=meta)
                meta = {}
        if self.mode in self.books.without_positions:
            for position in self.kept_positions(change):
                self.position_changed(position)
        for text in change.remarks:
            self.remark("warning", "order-remark", text, account=change.account)
        for order in change.orders:
            self.answer(order)

    def kept_positions(self, change: Change | None = None) -> list[Position]:
        """Return the positions that the ledger knows, of a change those that it moved: for a broker that tells none."""
        ledger = self.books.ledger_of(self.mode)
        wanted = ledger if change is None else change.ledger
        orders = self.blotter.orders.values() if change is None else change.orders
        known = {(one.account, one.instrument_id or one.symbol): one for one in orders if one.mode == self.mode}
        found = []
        for key in wanted:
            if key not in ledger:
                continue  # before the account was met
            _, account, instrument_id = key
            order, old = known.get((account, instrument_id)), self.books.positions.get(key)
            if change is not None and order is None and old is None:
                continue
            shown = order or old
            instrument = None if shown is None else shown.instrument
            found.append(
                Position(
                    account=account,
                    mode=self.mode,
                    symbol=f"#{instrument_id}" if shown is None else shown.symbol,
                    quantity=ledger[key],
                    instrument=instrument,
                    instrument_id=instrument_id,
                    currency=None if instrument is None else instrument.currency,
                    update_time=self._now_ns(),
                )
            )
        return found

    def publish_order(self, order: Order, *, meta: Mapping[str, str] | None = None) -> None:
        """Journal and publish one order record as a fact."""
        self._kept(self.journal_order(order, meta=meta))

    def journal_order(
        self,
        order: Order,
        *,
        meta: Mapping[str, str] | None = None,
        keys: tuple[KeyRecord, ...] = (),
        is_intent: bool = False,
    ) -> Deferred[StatusEvent]:
        """Journal an order record; its event is told when it is durable.  An intent fails when it cannot be kept."""
        if self.options.log_orders and self._is_news(order.id, (order.status, order.filled, order.quantity)):
            self._log.info(
                "order {id}: {status} {side} {quantity} {symbol}, filled {filled}",
                id=order.id,
                status=order.status.value,
                side=order.side.value,
                quantity=order.quantity,
                symbol=order.symbol,
                filled=order.filled,
            )
        return self._stream.publish(
            "ticket" if order.order_class == "ticket" else "order",
            "order",
            self.mode,
            order_record(order),
            key=order.id,
            account=order.account,
            symbol=order.symbol,
            orders=(order,),
            keys=keys,
            meta=meta or {},
            is_intent=is_intent,
        )

    def _is_news(self, id: str, state: object) -> bool:
        """Tell whether a log line about `id` would say something else than the last one: a commission would not."""
        if self._logged.get(id) == state:
            return False
        self._logged[id] = state
        if len(self._logged) > _LOGGED:
            del self._logged[next(iter(self._logged))]
        return True

    def answer(self, order: Order) -> None:
        """Give the callers who wait for a word on this order what they wait for."""
        if not order.waits_to_leave:
            self.answers.fire(f"left:{order.id}", order)
        if order.status is not _S.PENDING_NEW:
            self.answers.fire(f"new:{order.id}", order)
        if order.status is not _S.PENDING_REPLACE:
            self.answers.fire(f"replace:{order.id}", order)
        if not order.is_open:
            self.answers.fire(f"end:{order.id}", order)

    def _kept(self, publishing: Deferred[Any]) -> None:
        """Facts are kept by the journal until they are durable; only a bug fails here."""
        publishing.addErrback(lambda failure: self._log.failure("publishing a fact", failure=failure))

    # --- the adapter's sink -----------------------------------------------------------------------------------------

    def link_changed(self, status: LinkStatus) -> None:
        """Follow the link: shut the gate when it is lost, reconcile when it is back."""
        old, self.status = self.status, status
        if self._is_ending:
            if old.state is LinkState.CONNECTED and status.state is not LinkState.CONNECTED:
                self._forget_answers()
            return
        if status.state is LinkState.CONNECTED:
            if self._dead is not None and self._dead.active():
                self._dead.cancel()
            if old.state is not LinkState.CONNECTED or status.session != old.session or status.resync:
                self.set_word("Initializing", status.reason)
                self.reconciler.begin(status.reason or "connected")
            return
        if self.word in ("Up", "ReconcileFailed") and old.state is LinkState.CONNECTED:
            self.last_up = self._now_ns()  # since then nothing was seen
            self.lost_by = status.reason or status.state.value
        self.reconciler.stop()
        self.set_word(status.state.value, status.reason)
        if old.state is LinkState.CONNECTED:
            self._market.mark_stale(self.mode)
            self._forget_answers()
        self._watch_for_death()

    def _forget_answers(self) -> None:
        """What was sent and not answered may be live: say so at once."""
        now = self._now_ns()
        for order in self.blotter.open_orders():
            if order.mode != self.mode or order.waits_to_leave:
                continue
            if order.status is _S.PENDING_NEW:
                self.publish(Change(orders=(self.blotter.change(order, now, status=_S.UNKNOWN),)))
            else:
                self.answers.fire(f"replace:{order.id}", order)
                self.answers.fire(f"end:{order.id}", order)

    def _watch_for_death(self) -> None:
        """Stop the daemon after too long without a link, where it is told to (crash-only operation)."""
        if self.options.disconnect_shutdown and (self._dead is None or not self._dead.active()):
            self._dead = self._clock.callLater(
                self.options.disconnect_timeout, self._on_dead, f"{self.mode}: no link for too long"
            )

    def order_updated(self, update: OrderUpdate) -> None:
        """Apply a live word on an order."""
        change = self.blotter.apply_update(update, self._now_ns())
        crash_point("after-broker-ack")
        self.publish(change)

    def executed(self, execution: Execution) -> None:
        """Apply a live fill."""
        change = self.blotter.apply_execution(execution, self._now_ns())
        crash_point("after-execution")
        self.publish(change)

    def commissioned(self, report: CommissionReport) -> None:
        """Apply what a fill cost."""
        self.publish(self.blotter.apply_commission(report, self._now_ns()))

    def order_warned(self, warning: OrderWarning) -> None:
        """Keep and tell a remark; it never ends an order."""
        order = self._order_of(warning)
        if order is None:
            return
        if order.warning != warning.message:
            order = self.blotter.change(order, self._now_ns(), warning=warning.message)
            self.publish(Change(orders=(order,)))
        self._tell_of(order, "order-warning", {"errorCode": warning.code, "errorMsg": warning.message})

    def cancel_rejected(self, rejected: CancelRejected) -> None:
        """The broker refused a cancel or replace: the order stands as it was last evidenced."""
        order = self._order_of(rejected)
        if order is None:
            return
        now = self._now_ns()
        fields = {"error_code": rejected.code, "error_message": rejected.message}
        is_replace = rejected.request != "cancel"
        if order.status is (_S.PENDING_REPLACE if is_replace else _S.PENDING_CANCEL):
            order = self.blotter.end_request(order, now, **fields)
        else:
            order = self.blotter.change(order, now, **(old_terms(order) if is_replace else {}), **fields)
        if is_replace:
            refused = BrokerRejected(rejected.message, broker_code=rejected.code, order=order_record(order))
            self.answers.fail(f"replace:{order.id}", refused)
        self.publish(Change(orders=(order,)))
        said = {"request": rejected.request, "errorCode": rejected.code, "errorMsg": rejected.message}
        self._tell_of(order, "cancel-rejected", {**said, "order": order_record(order)})
        if not is_replace:
            self.answers.fire(f"end:{order.id}", order)
        self.reconciler.plan(self.options.unknown_quiet)

    def _order_of(self, report: OrderWarning | CancelRejected) -> Order | None:
        """Find the order that a remark or refusal is about; one about no order of ours is told as a notice."""
        order = self.blotter.locate(self.mode, report.order_ref, report.permid, report.clientid, report.broker_order_id)
        if order is None:
            self.noticed(
                BrokerNotice(mode=self.mode, severity="warning", message=report.message, broker_code=report.code)
            )
        return order

    def _tell_of(self, order: Order, type: str, said: Mapping[str, Any]) -> None:
        """Publish something about an order that is no change of its record."""
        self._kept(
            self._stream.publish(
                type, "order", self.mode, {"id": order.id, **said}, key=order.id, account=order.account
            )
        )

    def quoted(self, quote: Quote) -> None:
        """Pass a quote on."""
        self._market.quoted(quote)

    def traded(self, trade: Trade) -> None:
        """Pass a trade on."""
        self._market.traded(trade)

    def stats_changed(self, stats: MarketStats) -> None:
        """Keep figures of the session."""
        self._market.stats_changed(stats)

    def accounts_changed(self, mode: str, accounts: Sequence[str]) -> None:
        """Take the accounts of the login."""
        shared = [account for account in accounts if self.books.mode_of.get(account, mode) != mode]
        if shared:
            names = ", ".join(shared)
            self.remark("error", "account-shared", f"another broker has accounts of the same name: {names}; not taken")
            accounts = [account for account in accounts if account not in shared]
        if self.books.set_accounts(mode, accounts):
            data = {"accounts": list(accounts), "mode": mode}
            self._kept(self._stream.publish("accounts", "account", mode, data, account=_EVERY_ACCOUNT))

    def account_changed(self, value: AccountValue) -> None:
        """Take one figure of an account."""
        if self.books.set_value(value):
            self._kept(
                self._stream.publish(
                    "account", "account", self.mode, account_record(value), key=value.account, account=value.account
                )
            )

    def position_changed(self, position: Position) -> None:
        """Take one position."""
        changed = self.books.set_position(position)
        if changed is not None:
            self.publish_position(changed)

    def publish_position(self, position: Position) -> None:
        """Publish a position that is news."""
        self._kept(
            self._stream.publish(
                "position",
                "account",
                self.mode,
                position_record(position),
                key=position.account,
                account=position.account,
                symbol=position.symbol,
            )
        )

    def noticed(self, notice: BrokerNotice) -> None:
        """Tell what the broker said that is about no order; information is only logged."""
        self._log.info(
            "{mode} {severity} {code}: {message}",
            mode=self.mode,
            severity=notice.severity,
            code=notice.broker_code,
            message=notice.message,
        )
        if notice.severity == "info" or str(notice.broker_code) in self.options.suppressed_codes:
            return
        self._notify(
            notice.severity,
            "broker-notice",
            notice.message,
            broker_code=notice.broker_code,
            symbol=notice.symbol,
            account=notice.account,
        )
