"""Order truth: every order and execution, changed only by the life-cycle table and by evidence.

Pure: no clock, no I/O.  Each `apply_*` answers the changes that must be journaled and published, none for what was
known already.  Executions count, a broker's status is advice: statuses never regress, a duplicate changes nothing,
and any sequence of the same reports ends in the same state.  The rules are in `blotter_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import msgspec

from txtrader.gateway import blotter_rules as rules
from txtrader.gateway.blotter_rules import LedgerKey
from txtrader.model.execution import CommissionReport, ExecType, Execution
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
_MOST_EARLY = 10_000  # commissions that wait for an execution which never came


class Change(msgspec.Struct, kw_only=True):
    """What one report changed: new records, moves of the position ledger, and remarks for the operator.

    `account` is whose the remarks are, None while nobody knows.
    """

    orders: tuple[Order, ...] = ()
    executions: tuple[Execution, ...] = ()
    ledger: dict[LedgerKey, Decimal] = msgspec.field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    account: str | None = None


class Blotter:
    """The books of orders and executions of one gateway."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self.orders: dict[str, Order] = {}
        self.executions: dict[str, Execution] = {}
        self._by_permid: dict[str, dict[str, str]] = {}  # permid: mode: order id
        self._by_broker_id: dict[tuple[str, int | None, str], str] = {}
        self._by_client_id: dict[str, list[str]] = {}
        self._of_order: dict[str, list[str]] = {}
        self._superseded: set[str] = set()
        self._contradicted: set[str] = set()  # executions that came again with other figures
        self._early_commissions: dict[str, CommissionReport] = {}
        self._open: dict[str, None] = {}
        self._ended: dict[str, None] = {}  # in the sequence of their last changes

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
        return [self.orders[i] for i in self._by_permid.get(permid, {}).values()]

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
        """Find the order that a broker's ids mean: our reference first, then its permanent id, then the session's.

        Once both permanent ids are known they decide: the broker's own window may copy an order with its reference,
        and a broker that lost its counter gives the same order id again.
        """
        if order_ref is not None:
            found = self.orders.get(order_ref)
            if found is not None and found.mode == mode:
                is_same = permid is None or found.permid is None or found.permid == permid
                if is_same or (broker_order_id, clientid) == (found.broker_order_id, found.clientid):
                    return found
        if permid is not None and (known := self._by_permid.get(permid, {}).get(mode)) is not None:
            return self.orders[known]
        if broker_order_id is not None:
            known = self._by_broker_id.get((mode, clientid, broker_order_id))
            if known is not None:
                order = self.orders[known]
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
            self._by_permid.setdefault(order.permid, {})[order.mode] = order.id
        if order.broker_order_id is not None:
            self._by_broker_id[order.mode, order.clientid, order.broker_order_id] = order.id
        if order.client_order_id is not None and old is None:
            self._by_client_id.setdefault(order.client_order_id, []).append(order.id)
        self._ended.pop(order.id, None)
        if order.is_open:
            self._open[order.id] = None
        else:
            self._open.pop(order.id, None)
            self._ended[order.id] = None

    def remove(self, order: Order) -> None:
        """Forget an order with all its ids: its intent was never durable, or it ended long ago."""
        self.orders.pop(order.id, None)
        self._open.pop(order.id, None)
        self._ended.pop(order.id, None)
        if order.permid is not None:
            modes = self._by_permid.get(order.permid, {})
            if modes.get(order.mode) == order.id:
                del modes[order.mode]
            if not modes:
                self._by_permid.pop(order.permid, None)
        if order.broker_order_id is not None:
            broker_id = (order.mode, order.clientid, order.broker_order_id)
            if self._by_broker_id.get(broker_id) == order.id:
                del self._by_broker_id[broker_id]
        if order.client_order_id is not None:
            same = self._by_client_id.get(order.client_order_id, [])
            if order.id in same:
                same.remove(order.id)
            if not same:
                self._by_client_id.pop(order.client_order_id, None)

    def forget(self, before: int, most: int = 500) -> list[Order]:
        """Forget up to `most` orders whose last change, after their end, is older than `before`; return them."""
        gone: list[Order] = []
        for order_id in self._ended:
            order = self.orders[order_id]
            if order.update_time >= before or len(gone) >= most:
                break
            gone.append(order)
        for order in gone:
            self.remove(order)
            for exec_id in self._of_order.pop(order.id, ()):
                execution = self.executions.pop(exec_id, None)
                self._contradicted.discard(exec_id)
                self._superseded.discard(exec_id)
                if execution is not None and execution.replaces is not None:
                    self._superseded.difference_update((execution.replaces, *execution.supersedes))
        return gone

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
        snapshot, and stays.  A snapshot without it settles what is open in doubt, and reopens nothing.
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
        if update.send_time is not None and order.send_time is None:
            fields["send_time"] = update.send_time
        for name in ("broker_status", "why_held", "warning", "error_code", "error_message", "last_fill_price"):
            value = getattr(update, name)
            if value is not None:
                fields[name] = value
        if update.why_held == "" and order.why_held:
            fields["why_held"] = None
        is_later_snapshot = update.is_snapshot and asked_at is not None and order.update_time < asked_at
        filled = self._filled(order, update, is_later_snapshot=is_later_snapshot)
        fields["filled"] = filled
        if update.avg_fill_price is not None and filled > self._counted(order):
            fields["avg_fill_price"] = update.avg_fill_price
        is_news = is_later_snapshot or not update.is_snapshot
        confirmed = rules.take_terms(order, update, fields, is_news=is_news, is_later_snapshot=is_later_snapshot)
        status = rules.status_after_report(
            order,
            update.status,
            filled,
            fields.get("quantity", order.quantity if confirmed else rules.whole_quantity(order)),
            terms_known=fields.get("terms_known", order.terms_known),
            is_later_snapshot=is_later_snapshot,
            confirmed=confirmed,
        )
        if not is_allowed(order.status, status):
            if not rules.said_again(order, update):
                remarks.append(f"order {order.id}: {order.status.value} cannot become {status.value}; it stays")
            status = order.status
        elif _is_regress(order.status, status, update.status) and not rules.said_again(order, update):
            remarks.append(f"order {order.id}: broker says {update.status}, it stays {order.status.value}")
        if order.status is _S.LOST and status is not _S.LOST:
            remarks.append(f"order {order.id} was Lost, and the broker says {status.value}: it lives again")
        rules.move(order, status, fields, _provenance(update))
        if update.has_left is False:
            fields["code"] = fields.pop("error_code", None)  # ours, not the broker's
        return self._changed(order, fields, now, remarks, event_time=update.event_time)

    def apply_execution(self, execution: Execution, now: int) -> Change:
        """Apply one fill, correction or bust; a repeated one changes nothing."""
        execution = self._named_apart(execution)
        known = self.executions.get(execution.exec_id)
        if known is not None:
            return self._repeated(known, execution)
        order = self.locate(
            execution.mode, execution.order_ref, execution.permid, execution.clientid, execution.broker_order_id
        )
        adopted: Change | None = None
        if order is None:
            adopted = self._adopt(rules.terms_of_execution(execution), now, execution=execution)
            order = adopted.orders[0]
        report = self._early_commissions.pop(execution.exec_id, None)
        execution = msgspec.structs.replace(
            execution,
            order_id=order.id,
            client_order_id=order.client_order_id,
            permid=execution.permid if execution.permid is not None else order.permid,
            **({} if report is None else rules.commission_fields(report)),
        )
        fields: dict[str, Any] = {}
        if execution.permid is not None and order.permid is None:
            fields["permid"] = execution.permid
        is_mended = execution.exec_type is not ExecType.NEW
        is_leg = rules.is_leg(order, execution)
        before = self._counted(order), self._held(order, execution)
        self._index_execution(execution)
        counted = self._counted(order)
        # What a mended one takes back are its own shares: others may be known by the broker's total alone.
        filled = max(order.filled + min(counted - before[0], _ZERO), counted)
        fields["filled"] = filled
        if counted:
            fields.update(rules.figures(self._active(order)))
        elif is_mended and not filled:
            fields["avg_fill_price"] = fields["last_fill_price"] = fields["commission"] = None
        if execution.exec_type is ExecType.NEW and execution.exec_id not in self._superseded and not is_leg:
            fields["last_fill_price"] = execution.price
            fields["fill_time"] = max(execution.time, order.fill_time or 0)
        status = rules.status_after_fill(order, filled, is_mended=is_mended)
        remarks: list[str] = list(adopted.remarks) if adopted else []
        if order.status in (_S.LOST, _S.REJECTED) and status is not order.status:
            remarks.append(f"order {order.id} was {order.status.value}, and is filled: it lives again")
        if filled > rules.whole_quantity(order) and order.terms_known:
            remarks.append(f"order {order.id}: filled {filled} of {order.quantity}")
        rules.move(order, status, fields, Provenance.BROKER)
        change = self._changed(order, fields, now, remarks)
        ledger = change.ledger
        if is_leg:
            ledger = rules.ledger_of_leg(execution, self._held(order, execution) - before[1])
        orders = change.orders or (adopted.orders if adopted else ())
        return msgspec.structs.replace(change, orders=orders, executions=(execution,), ledger=ledger)

    def execution_id(self, mode: str, exec_id: str) -> str:
        """Return what an execution is called here: as its broker calls it, unless another broker's is called so."""
        qualified = f"{exec_id}@{mode}"
        namesake = self.executions.get(exec_id)
        if qualified in self.executions or (namesake is not None and namesake.mode != mode):
            return qualified
        return exec_id

    def _named_apart(self, execution: Execution) -> Execution:
        mode, replaces = execution.mode, execution.replaces
        exec_id = self.execution_id(mode, execution.exec_id)
        mended = None if replaces is None else self.execution_id(mode, replaces)
        older = tuple(self.execution_id(mode, one) for one in execution.supersedes)
        if (exec_id, mended, older) == (execution.exec_id, replaces, execution.supersedes):
            return execution
        return msgspec.structs.replace(execution, exec_id=exec_id, replaces=mended, supersedes=older)

    def _repeated(self, known: Execution, execution: Execution) -> Change:
        if (known.shares, known.price) == (execution.shares, execution.price) or known.exec_id in self._contradicted:
            return Change()
        self._contradicted.add(known.exec_id)
        text = f"execution {execution.exec_id} came again with other figures; the first stands"
        return Change(remarks=(text,), account=known.account)

    def apply_commission(self, report: CommissionReport, now: int) -> Change:
        """Apply what an execution cost; kept for it when it has not come yet."""
        exec_id = self.execution_id(report.mode, report.exec_id)
        execution = self.executions.get(exec_id)
        if execution is None:
            if report.commission is not None:
                self._early_commissions[exec_id] = report
                if len(self._early_commissions) > _MOST_EARLY:
                    del self._early_commissions[next(iter(self._early_commissions))]
            return Change()
        fields = rules.commission_fields(report)
        changed = msgspec.structs.replace(execution, **fields)
        if changed == execution:
            return Change()
        self.executions[exec_id] = changed
        order = self.orders.get(changed.order_id or "")
        if order is None:
            return Change(executions=(changed,))
        change = self._changed(order, rules.figures(self._active(order)), now, [])
        return msgspec.structs.replace(change, executions=(changed,))

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
        """Take back a refused cancel or replace: the order works on as it was last evidenced.

        One that the broker has never spoken of is unknown: a refused cancel is no evidence that it works.
        """
        if order.status not in (_S.PENDING_CANCEL, _S.PENDING_REPLACE):
            return self.change(order, now, **fields)
        terms = rules.old_terms(order) if order.pending_changes else {}
        if order.is_evidenced or order.filled or order.previous_status is not None:
            status, previous = _S.PARTIALLY_FILLED if order.filled else _S.NEW, None
        else:
            status, previous = _S.UNKNOWN, order.previous_status
        return self.change(order, now, status=status, previous_status=previous, **terms, **fields)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _adopt(self, update: OrderUpdate, now: int, *, execution: Execution | None = None) -> Change:
        """Put an order on the books that the gateway never made; `execution` is what alone is known of it."""
        instrument = update.instrument
        if (instrument is None and execution is None) or update.side is None or update.account is None:
            ids = update.permid or update.broker_order_id or update.order_ref
            return Change(
                remarks=(f"the broker speaks of order {ids}, which nobody here knows; its terms are missing",)
            )
        instrument_id: str | None
        if instrument is not None:
            symbol, instrument_id, currency = instrument.symbol, instrument.instrument_id, instrument.currency
        else:
            assert execution is not None, "one of the two is there"
            symbol, instrument_id, currency = execution.symbol, execution.instrument_id, None
        status = update.status or _S.NEW
        filled = update.filled or _ZERO
        quantity = update.quantity if update.quantity is not None else filled
        if status is _S.NEW and filled:
            status = _S.PARTIALLY_FILLED
        order = Order(
            id=self._new_id(),
            mode=update.mode,
            account=update.account,
            symbol=symbol,
            instrument=instrument,
            instrument_id=instrument_id,
            currency=currency,
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
            good_till=update.good_till,
            terms_known=execution is None and update.type is not None and update.quantity is not None,
        )
        self.put(order)
        return Change(orders=(order,), ledger=rules.ledger_of_fill(order, filled), account=order.account)

    def _index_execution(self, execution: Execution) -> None:
        self.executions[execution.exec_id] = execution
        if execution.order_id is not None:
            self._of_order.setdefault(execution.order_id, []).append(execution.exec_id)
        if execution.replaces is not None:
            self._superseded.update((execution.replaces, *execution.supersedes))

    def _active(self, order: Order) -> list[Execution]:
        """Return the executions that count for the order's `filled`."""
        return [e for e in self.executions_of(order.id) if rules.counts(order, e)]

    def _counted(self, order: Order) -> Decimal:
        """Sum the shares of the executions that count."""
        return sum((e.shares for e in self._active(order)), _ZERO)

    def _held(self, order: Order, leg: Execution) -> Decimal:
        """Sum the shares of the leg that `leg` is a fill of."""
        return sum(
            (
                e.shares
                for e in self.executions_of(order.id)
                if e.instrument_id == leg.instrument_id and e.exec_type is not ExecType.BUST
            ),
            _ZERO,
        )

    def _filled(self, order: Order, update: OrderUpdate, *, is_later_snapshot: bool) -> Decimal:
        """Decide the filled quantity: the broker's total is advice where it is more than the executions say.

        It falls by a correction or bust alone; where one of those came before what it mends, a later snapshot tells.
        """
        filled = order.filled
        if update.filled is None or update.filled == filled:
            return filled
        if update.filled > filled:
            return update.filled
        if is_later_snapshot and any(e.exec_type is not ExecType.NEW for e in self.executions_of(order.id)):
            return max(update.filled, self._counted(order))
        return filled

    def _changed(
        self, order: Order, fields: dict[str, Any], now: int, remarks: list[str], event_time: int | None = None
    ) -> Change:
        """Store what is new; a record that says the same as before is no change."""
        new = {name: value for name, value in fields.items() if getattr(order, name) != value}
        if not new:
            return Change(remarks=tuple(remarks), account=order.account)
        if new.get("status") is _S.FILLED and order.fill_time is None:
            new.setdefault("fill_time", event_time or now)
        changed = msgspec.structs.replace(order, update_time=now, **new)
        self.put(changed)
        return Change(
            orders=(changed,),
            ledger=rules.ledger_of_fill(changed, changed.filled - order.filled),
            remarks=tuple(remarks),
            account=order.account,
        )


def _term_text(value: Any) -> str | None:
    return None if value is None else str(value)


def _provenance(update: OrderUpdate) -> Provenance:
    """Say whose word a move by this update rests on."""
    if update.has_left is False:
        return Provenance.LOCAL_DENY
    return Provenance.RECONCILED if update.is_snapshot else Provenance.BROKER


def _is_regress(old: OrderStatus, new: OrderStatus, said: OrderStatus | None) -> bool:
    """Tell whether the broker's word was a step back that the books did not take."""
    return old is new and old in TERMINAL_STATUSES and said in TERMINAL_STATUSES and said is not old
