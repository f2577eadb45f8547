"""Order truth: every order and execution, changed only by the life-cycle table and by evidence.

Pure: no clock, no I/O.  Each `apply_*` answers the changes that must be journaled and published, none for what was
known already.  Executions count, a broker's status is advice: statuses never regress, a duplicate changes nothing,
and any sequence of the same reports ends in the same state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import msgspec

from txtrader.model.execution import CommissionReport, ExecType, Execution
from txtrader.model.instrument import SecType
from txtrader.model.order import (
    TERMINAL_STATUSES,
    Order,
    OrderStatus,
    OrderType,
    OrderUpdate,
    Provenance,
    TimeInForce,
    is_allowed,
)

__all__ = ["Blotter", "Change", "LedgerKey"]

_S = OrderStatus
_ZERO = Decimal(0)
_WORKING = frozenset({_S.NEW, _S.PARTIALLY_FILLED})
_PENDING = frozenset({_S.PENDING_NEW, _S.PENDING_CANCEL, _S.PENDING_REPLACE, _S.UNKNOWN})
_TERMS = ("quantity", "limit_price", "stop_price", "trail_amount", "trail_percent", "tif", "good_till")

LedgerKey = tuple[str, str, str]
"""(mode, account, instrument id)."""


class Change(msgspec.Struct, kw_only=True):
    """What one report changed: new records, moves of the position ledger, and remarks for the operator."""

    orders: tuple[Order, ...] = ()
    executions: tuple[Execution, ...] = ()
    ledger: dict[LedgerKey, Decimal] = msgspec.field(default_factory=dict)
    remarks: tuple[str, ...] = ()


class Blotter:
    """The books of orders and executions of one gateway."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self.orders: dict[str, Order] = {}
        self.executions: dict[str, Execution] = {}
        self._by_permid: dict[tuple[str, str], str] = {}
        self._by_broker_id: dict[tuple[str, int | None, str], str] = {}
        self._by_client_id: dict[str, list[str]] = {}
        self._of_order: dict[str, list[str]] = {}
        self._superseded: set[str] = set()
        self._early_commissions: dict[str, CommissionReport] = {}
        self._open: dict[str, None] = {}

    # --- reading ------------------------------------------------------------------------------------------------

    def open_orders(self) -> list[Order]:
        """Return all orders that are not terminal, in the sequence of their making."""
        return [self.orders[order_id] for order_id in self._open]

    def executions_of(self, order_id: str) -> list[Execution]:
        """Return the executions of an order that count, corrections applied."""
        return [self.executions[e] for e in self._of_order.get(order_id, ()) if e not in self._superseded]

    def is_superseded(self, exec_id: str) -> bool:
        """Tell whether a correction or bust has replaced this execution."""
        return exec_id in self._superseded

    def with_permid(self, permid: str) -> list[Order]:
        """Return the orders of any broker with this permanent id."""
        return [self.orders[i] for (_, known), i in self._by_permid.items() if known == permid]

    def with_client_id(self, client_order_id: str) -> list[Order]:
        """Return the orders that some user gave this client order id."""
        return [self.orders[i] for i in self._by_client_id.get(client_order_id, ())]

    def locate(
        self,
        mode: str,
        order_ref: str | None,
        permid: str | None,
        clientid: int | None,
        broker_order_id: str | None,
    ) -> Order | None:
        """Find the order that a broker's ids mean: our reference first, then its permanent id, then the session's."""
        if order_ref is not None:
            found = self.orders.get(order_ref)
            if found is not None and found.mode == mode:
                return found
        if permid is not None and (known := self._by_permid.get((mode, permid))) is not None:
            return self.orders[known]
        if broker_order_id is not None:
            known = self._by_broker_id.get((mode, clientid, broker_order_id))
            if known is not None:
                order = self.orders[known]
                # A broker that lost its counter gives the same id again: the permanent id, once known, decides.
                if permid is None or order.permid is None or order.permid == permid:
                    return order
        return None

    # --- writing ------------------------------------------------------------------------------------------------

    def restore(self, orders: Iterable[Order], executions: Iterable[Execution]) -> None:
        """Take the journal's records."""
        for order in orders:
            self.put(order)
        for execution in executions:
            self._index_execution(execution)

    def put(self, order: Order) -> None:
        """Store an order record and its ids."""
        old = self.orders.get(order.id)
        self.orders[order.id] = order
        if order.permid is not None:
            self._by_permid[order.mode, order.permid] = order.id
        if order.broker_order_id is not None:
            self._by_broker_id[order.mode, order.clientid, order.broker_order_id] = order.id
        if order.client_order_id is not None and old is None:
            self._by_client_id.setdefault(order.client_order_id, []).append(order.id)
        if order.is_open:
            self._open[order.id] = None
        else:
            self._open.pop(order.id, None)

    def remove(self, order: Order) -> None:
        """Forget an order whose intent was never durable: it never was."""
        self.orders.pop(order.id, None)
        self._open.pop(order.id, None)
        if order.permid is not None:
            self._by_permid.pop((order.mode, order.permid), None)
        if order.broker_order_id is not None:
            self._by_broker_id.pop((order.mode, order.clientid, order.broker_order_id), None)
        if order.client_order_id is not None:
            same = self._by_client_id.get(order.client_order_id, [])
            if order.id in same:
                same.remove(order.id)

    def change(self, order: Order, now: int, **fields: Any) -> Order:
        """Store and return a changed record; the status must be an allowed move."""
        status = fields.get("status", order.status)
        assert is_allowed(order.status, status), f"{order.id}: {order.status} may not become {status}"
        changed = msgspec.structs.replace(order, update_time=now, **fields)
        self.put(changed)
        return changed

    def apply_update(self, update: OrderUpdate, now: int, *, asked_at: int | None = None) -> Change:
        """Apply what a broker said of an order; an order not on the books is adopted as external.

        `asked_at` is the instant at which a snapshot was asked for: what changed later than that is newer than the
        snapshot, and stays.
        """
        order = self.locate(update.mode, update.order_ref, update.permid, update.clientid, update.broker_order_id)
        if order is None:
            return self._adopt(update, now)
        remarks: list[str] = []
        fields: dict[str, Any] = {}
        if update.permid is not None and order.permid != update.permid:
            if order.permid is not None:
                remarks.append(f"order {order.id}: permanent id {order.permid} became {update.permid}")
            fields["permid"] = update.permid
        if update.broker_order_id is not None and order.broker_order_id is None:
            fields["broker_order_id"], fields["clientid"] = update.broker_order_id, update.clientid
        for name in ("broker_status", "why_held", "warning", "error_code", "error_message", "last_fill_price"):
            value = getattr(update, name)
            if value is not None:
                fields[name] = value
        if update.why_held == "" and order.why_held:
            fields["why_held"] = None
        is_newer = asked_at is None or order.update_time < asked_at
        filled = order.filled
        if update.filled is not None and update.filled > filled:
            filled = fields["filled"] = update.filled
        if update.avg_fill_price is not None and filled > self._counted(order.id):
            fields["avg_fill_price"] = update.avg_fill_price
        confirmed = self._terms(order, update, fields, is_newer=is_newer)
        status = self._status(
            order,
            update.status,
            filled,
            fields.get("quantity", order.quantity),
            terms_known=fields.get("terms_known", order.terms_known),
            is_snapshot=update.is_snapshot,
            is_newer=is_newer,
            confirmed=confirmed,
        )
        if not is_allowed(order.status, status):
            remarks.append(f"order {order.id}: {order.status.value} cannot become {status.value}; it stays")
            status = order.status
        elif _is_regress(order.status, status, update.status):
            remarks.append(f"order {order.id}: broker says {update.status}, it stays {order.status.value}")
        self._move(order, status, fields, Provenance.RECONCILED if update.is_snapshot else Provenance.BROKER)
        return self._changed(order, fields, now, remarks, event_time=update.event_time)

    def apply_execution(self, execution: Execution, now: int) -> Change:
        """Apply one fill, correction or bust; a repeated one changes nothing."""
        known = self.executions.get(execution.exec_id)
        if known is not None:
            if (known.shares, known.price) != (execution.shares, execution.price):
                text = f"execution {execution.exec_id} came again with other figures; the first stands"
                return Change(remarks=(text,))
            return Change()
        order = self.locate(
            execution.mode, execution.order_ref, execution.permid, execution.clientid, execution.broker_order_id
        )
        adopted: Change | None = None
        if order is None:
            adopted = self._adopt(_terms_of_execution(execution), now, terms_known=False)
            order = adopted.orders[0]
        report = self._early_commissions.pop(execution.exec_id, None)
        execution = msgspec.structs.replace(
            execution,
            order_id=order.id,
            client_order_id=order.client_order_id,
            permid=execution.permid if execution.permid is not None else order.permid,
            **({} if report is None else _commission_fields(report)),
        )
        self._index_execution(execution)
        fields: dict[str, Any] = {}
        if execution.permid is not None and order.permid is None:
            fields["permid"] = execution.permid
        counted = self._counted(order.id)
        is_mended = execution.exec_type is not ExecType.NEW
        filled = counted if is_mended else max(order.filled, counted)
        fields["filled"] = filled
        if counted:
            self._averages(order, fields)
        elif is_mended:
            fields["avg_fill_price"] = fields["last_fill_price"] = None
        if execution.exec_type is ExecType.NEW and execution.exec_id not in self._superseded:
            fields["last_fill_price"] = execution.price
            fields["fill_time"] = max(execution.time, order.fill_time or 0)
        status = _status_by_fill(order, filled, is_mended=is_mended)
        remarks: list[str] = list(adopted.remarks) if adopted else []
        if order.status in (_S.LOST, _S.REJECTED):
            remarks.append(f"order {order.id} was {order.status.value}, and is filled: it lives again")
        if filled > order.quantity and order.terms_known:
            remarks.append(f"order {order.id}: filled {filled} of {order.quantity}")
        self._move(order, status, fields, Provenance.BROKER)
        change = self._changed(order, fields, now, remarks)
        orders = change.orders or (adopted.orders if adopted else ())
        return msgspec.structs.replace(change, orders=orders, executions=(execution,))

    def apply_commission(self, report: CommissionReport, now: int) -> Change:
        """Apply what an execution cost; kept for it when it has not come yet."""
        execution = self.executions.get(report.exec_id)
        if execution is None:
            if report.commission is not None:
                self._early_commissions[report.exec_id] = report
            return Change()
        fields = _commission_fields(report)
        changed = msgspec.structs.replace(execution, **fields)
        if changed == execution:
            return Change()
        self.executions[report.exec_id] = changed
        order = self.orders.get(changed.order_id or "")
        if order is None:
            return Change(executions=(changed,))
        total: dict[str, Any] = {}
        self._averages(order, total)
        return msgspec.structs.replace(self._changed(order, total, now, []), executions=(changed,))

    def begin_replace(self, order: Order, terms: dict[str, Any], now: int) -> Order:
        """Show the asked terms as pending, the evidenced ones beside them."""
        old = {name: _term_text(getattr(order, name)) for name in terms}
        return self.change(
            order,
            now,
            status=_S.PENDING_REPLACE,
            previous_status=order.status,
            previous_price=order.limit_price if order.limit_price is not None else order.stop_price,
            pending_changes={**old, **(order.pending_changes or {})},
            **terms,
        )

    def end_request(self, order: Order, now: int, **fields: Any) -> Order:
        """Take back a refused cancel or replace: the order works on as it was last evidenced."""
        if order.status not in (_S.PENDING_CANCEL, _S.PENDING_REPLACE):
            return self.change(order, now, **fields)
        working = _S.PARTIALLY_FILLED if order.filled else _S.NEW
        terms = _old_terms(order) if order.pending_changes else {}
        return self.change(order, now, status=working, previous_status=None, **terms, **fields)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _adopt(self, update: OrderUpdate, now: int, *, terms_known: bool = True) -> Change:
        """Put an order on the books that the gateway never made."""
        if update.instrument is None or update.side is None or update.account is None:
            ids = update.permid or update.broker_order_id or update.order_ref
            return Change(
                remarks=(f"the broker speaks of order {ids}, which nobody here knows; its terms are missing",)
            )
        status = update.status or _S.NEW
        filled = update.filled or _ZERO
        quantity = update.quantity if update.quantity is not None else filled
        if status is _S.NEW and filled:
            status = _S.PARTIALLY_FILLED
        order = Order(
            id=self._new_id(),
            mode=update.mode,
            account=update.account,
            symbol=update.instrument.symbol,
            instrument=update.instrument,
            instrument_id=update.instrument.instrument_id,
            currency=update.instrument.currency,
            side=update.side,
            quantity=quantity,
            type=update.type or OrderType.MARKET,
            broker_type=update.broker_type,
            status=status,
            broker_status=update.broker_status,
            submit_time=update.event_time or now,
            update_time=now,
            permid=update.permid,
            broker_order_id=update.broker_order_id,
            clientid=update.clientid,
            order_ref=update.order_ref,
            limit_price=update.limit_price,
            stop_price=update.stop_price,
            trail_amount=update.trail_amount,
            trail_percent=update.trail_percent,
            oco_group=update.oco_group,
            filled=filled,
            avg_fill_price=update.avg_fill_price,
            why_held=update.why_held,
            warning=update.warning,
            error_code=update.error_code,
            error_message=update.error_message,
            origin="external",
            provenance=Provenance.EXTERNAL,
            tif=update.tif or TimeInForce.DAY,
            terms_known=terms_known,
        )
        self.put(order)
        return Change(orders=(order,), ledger=_ledger(order, filled))

    def _index_execution(self, execution: Execution) -> None:
        self.executions[execution.exec_id] = execution
        if execution.order_id is not None:
            self._of_order.setdefault(execution.order_id, []).append(execution.exec_id)
        if execution.replaces is not None:
            self._superseded.add(execution.replaces)

    def _counted(self, order_id: str) -> Decimal:
        """Sum the shares of the executions that count."""
        return sum((e.shares for e in self.executions_of(order_id) if e.exec_type is not ExecType.BUST), _ZERO)

    def _averages(self, order: Order, fields: dict[str, Any]) -> None:
        """Set average price and commission from the executions that count."""
        active = [e for e in self.executions_of(order.id) if e.exec_type is not ExecType.BUST]
        shares = sum((e.shares for e in active), _ZERO)
        if not shares:
            return
        average = sum((e.shares * e.price for e in active), _ZERO) / shares
        if average.as_tuple().exponent < -9:  # type: ignore[operator]  # finite
            average = average.quantize(Decimal("1e-9"))
        fields["avg_fill_price"] = average
        costs = [e.commission for e in active]
        if all(cost is not None for cost in costs):
            fields["commission"] = sum((cost for cost in costs if cost is not None), _ZERO)

    def _terms(self, order: Order, update: OrderUpdate, fields: dict[str, Any], *, is_newer: bool) -> bool:
        """Take over the terms that the broker shows; tell whether they confirm a pending replace."""
        shown = {name: getattr(update, name, None) for name in _TERMS}
        shown = {name: value for name, value in shown.items() if value is not None}
        if order.status is _S.PENDING_REPLACE:
            asked = set(order.pending_changes or ())
            if not asked or not asked & set(shown):
                return False
            if all(getattr(order, name) == shown[name] for name in asked & set(shown)):
                fields["pending_changes"] = fields["previous_price"] = None
                return True
            if update.is_snapshot and is_newer:  # the broker shows the old terms: the replace did not arrive
                fields.update({name: shown[name] for name in asked & set(shown)})
                fields["pending_changes"] = fields["previous_price"] = None
                return True
            return False
        if order.is_open and is_newer:
            for name in ("quantity", "limit_price", "stop_price", "trail_amount", "trail_percent"):
                if name in shown and getattr(order, name) != shown[name]:
                    fields[name] = shown[name]
            if order.origin == "external" and update.type is not None:
                fields["type"], fields["broker_type"] = update.type, update.broker_type
                fields["terms_known"] = True
        return False

    def _status(
        self,
        order: Order,
        said: OrderStatus | None,
        filled: Decimal,
        quantity: Decimal,
        *,
        terms_known: bool,
        is_snapshot: bool,
        is_newer: bool,
        confirmed: bool,
    ) -> OrderStatus:
        """Decide the status that the books show after the broker said `said`."""
        now = order.status
        working = _S.PARTIALLY_FILLED if filled else _S.NEW
        if filled and filled >= quantity and said is not _S.CANCELED and terms_known:
            return _S.FILLED
        if said is _S.FILLED:
            return _S.FILLED
        if said is None:
            if confirmed:
                return working
            return working if now in _WORKING and filled else now
        if said in _WORKING:
            if now in (_S.PENDING_NEW, _S.UNKNOWN) or now in _WORKING:
                return working
            if now is _S.PENDING_REPLACE:
                return working if confirmed else now
            if now is _S.FILLED:
                return now
            # Live, `working` after an end or a cancel request is an old word that was overtaken.  A snapshot that
            # was asked for later is evidence.
            return working if is_snapshot and is_newer else now
        if said is _S.PENDING_NEW:
            return _S.PENDING_NEW if now is _S.UNKNOWN else now
        if said is _S.PENDING_CANCEL:
            return said if now in (_S.PENDING_NEW, _S.NEW, _S.PARTIALLY_FILLED, _S.PENDING_REPLACE, _S.UNKNOWN) else now
        if now in TERMINAL_STATUSES and now is not _S.LOST:
            return now
        return said

    def _move(self, order: Order, status: OrderStatus, fields: dict[str, Any], provenance: Provenance) -> None:
        """Set the status with what belongs to a move."""
        if status is order.status:
            return
        fields["status"] = status
        fields["provenance"] = provenance
        if status in _PENDING:
            fields["previous_status"] = order.status if order.status not in _PENDING else order.previous_status
        else:
            fields["previous_status"] = None
            if order.pending_changes and "pending_changes" not in fields:
                # It ended, or works on, without a word on the replace: the new terms are not assumed.
                fields.update(_old_terms(order))

    def _changed(
        self, order: Order, fields: dict[str, Any], now: int, remarks: list[str], event_time: int | None = None
    ) -> Change:
        """Store what is new; a record that says the same as before is no change."""
        new = {name: value for name, value in fields.items() if getattr(order, name) != value}
        if not new:
            return Change(remarks=tuple(remarks))
        if new.get("status") is _S.FILLED and order.fill_time is None:
            new.setdefault("fill_time", event_time or now)
        changed = msgspec.structs.replace(order, update_time=now, **new)
        self.put(changed)
        return Change(orders=(changed,), ledger=_ledger(changed, changed.filled - order.filled), remarks=tuple(remarks))


def _term_text(value: Any) -> str | None:
    return None if value is None else str(value)


def _old_terms(order: Order) -> dict[str, Any]:
    """Return the fields that put back the terms from before a replace that was not confirmed."""
    kinds: dict[str, Callable[[str], Any]] = {"tif": TimeInForce, "good_till": int}
    old = {
        name: None if text is None else kinds.get(name, Decimal)(text)
        for name, text in (order.pending_changes or {}).items()
    }
    return {**old, "pending_changes": None, "previous_price": None}


def _status_by_fill(order: Order, filled: Decimal, *, is_mended: bool) -> OrderStatus:
    """Decide the status after an execution."""
    now = order.status
    if filled and filled >= order.quantity and order.terms_known:
        return _S.FILLED
    partly = _S.PARTIALLY_FILLED if filled else _S.NEW
    if now is _S.FILLED:
        return partly if is_mended else now
    if now in _WORKING:
        return partly
    if now in (_S.PENDING_NEW, _S.UNKNOWN, _S.LOST, _S.REJECTED) and filled:
        return _S.PARTIALLY_FILLED
    return now  # a partial fill beside a cancel, its request or an expiry: the order's own end stands


def _is_regress(old: OrderStatus, new: OrderStatus, said: OrderStatus | None) -> bool:
    """Tell whether the broker's word was a step back that the books did not take."""
    return old is new and old in TERMINAL_STATUSES and said in TERMINAL_STATUSES and said is not old


def _ledger(order: Order, delta: Decimal) -> dict[LedgerKey, Decimal]:
    if not delta or order.instrument_id is None:
        return {}
    if order.instrument is not None and order.instrument.sectype is SecType.CASH:
        return {}  # money changed into money moves cash balances, no position
    return {(order.mode, order.account, order.instrument_id): delta * order.side.sign}


def _commission_fields(report: CommissionReport) -> dict[str, Any]:
    pairs = (
        ("commission", report.commission),
        ("commission_currency", report.currency),
        ("realized", report.realized),
    )
    return {name: value for name, value in pairs if value is not None}


def _terms_of_execution(execution: Execution) -> OrderUpdate:
    """Say of an order what its first execution tells: all that is known when it comes alone."""
    return OrderUpdate(
        mode=execution.mode,
        order_ref=execution.order_ref,
        permid=execution.permid,
        broker_order_id=execution.broker_order_id,
        clientid=execution.clientid,
        status=OrderStatus.NEW,
        event_time=execution.time,
        instrument=execution.instrument,
        account=execution.account,
        side=execution.side,
        quantity=max(execution.shares, execution.cum_qty or _ZERO),
    )
