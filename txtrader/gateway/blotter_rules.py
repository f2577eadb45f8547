"""What a report makes of an order: the rules of the blotter, as pure functions over records.

A broker's word on a status is advice until it is evidence: executions count, an old word never overtakes a newer
one, and the terms of a replace are not the order's terms before the broker has shown them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from txtrader.model.execution import CommissionReport, ExecType, Execution
from txtrader.model.instrument import SecType
from txtrader.model.order import TERMINAL_STATUSES, Order, OrderStatus, OrderUpdate, Provenance, TimeInForce

__all__ = [
    "LedgerKey",
    "commission_fields",
    "counts",
    "figures",
    "is_leg",
    "ledger_of_fill",
    "ledger_of_leg",
    "move",
    "old_terms",
    "said_again",
    "status_after_fill",
    "status_after_report",
    "take_terms",
    "terms_of_execution",
    "whole_quantity",
]

LedgerKey = tuple[str, str, str]
"""(mode, account, instrument id)."""

_S = OrderStatus
_ZERO = Decimal(0)
_WORKING = frozenset({_S.NEW, _S.PARTIALLY_FILLED})
_PENDING = frozenset({_S.PENDING_NEW, _S.PENDING_CANCEL, _S.PENDING_REPLACE, _S.UNKNOWN})
_TERMS = ("quantity", "limit_price", "stop_price", "trail_amount", "trail_percent", "tif", "good_till")
_CANCELLABLE = frozenset({_S.PENDING_NEW, _S.NEW, _S.PARTIALLY_FILLED, _S.PENDING_REPLACE, _S.UNKNOWN})


# --- status ----------------------------------------------------------------------------------------------------------


def whole_quantity(order: Order) -> Decimal:
    """Return how much must be filled for the order to be over: beside an unanswered replace, the greater quantity."""
    text = (order.pending_changes or {}).get("quantity")
    return order.quantity if text is None else max(order.quantity, Decimal(text))


def status_after_report(
    order: Order,
    said: OrderStatus | None,
    filled: Decimal,
    quantity: Decimal,
    *,
    terms_known: bool,
    is_later_snapshot: bool,
    confirmed: bool,
) -> OrderStatus:
    """Decide the status that the books show after the broker said `said`.

    `is_later_snapshot`: the answer to a question that was asked after the order's last change.
    """
    now = order.status
    working = _S.PARTIALLY_FILLED if filled else _S.NEW
    if filled and filled >= quantity and said is not _S.CANCELED and terms_known:
        return _S.FILLED
    if said is _S.FILLED:
        return _S.FILLED
    if said is None:
        if confirmed and now is _S.PENDING_REPLACE:
            return working
        return working if now in _WORKING and filled else now
    if now is _S.LOST:  # whatever the broker says of it, it is not lost
        return working if said in _WORKING else said
    if said in _WORKING:
        if now in (_S.PENDING_NEW, _S.UNKNOWN) or now in _WORKING:
            return working
        if now is _S.PENDING_REPLACE:
            return working if confirmed else now
        if now is _S.FILLED:
            # Only a correction opens it again: where that came before what it mends, a later snapshot tells.
            return working if is_later_snapshot and terms_known and filled < quantity else now
        # Live, `working` after an end or a cancel request is an old word that was overtaken.  A snapshot that
        # was asked for later is evidence.
        return working if is_later_snapshot else now
    if said is _S.PENDING_NEW:
        return _S.PENDING_NEW if now is _S.UNKNOWN else now
    if said is _S.PENDING_CANCEL:
        return said if now in _CANCELLABLE else now
    return now if now in TERMINAL_STATUSES else said


def status_after_fill(order: Order, filled: Decimal, *, is_mended: bool) -> OrderStatus:
    """Decide the status after an execution; `is_mended` after a correction or bust."""
    now = order.status
    if filled and filled >= whole_quantity(order) and order.terms_known:
        return _S.FILLED
    partly = _S.PARTIALLY_FILLED if filled else _S.NEW
    if now is _S.FILLED:
        return partly if is_mended else now
    if now in _WORKING:
        return partly
    if now in (_S.PENDING_NEW, _S.UNKNOWN, _S.LOST, _S.REJECTED) and filled:
        return _S.PARTIALLY_FILLED
    return now  # a partial fill beside a cancel, its request or an expiry: the order's own end stands


def said_again(order: Order, update: OrderUpdate) -> bool:
    """Tell whether this word was said of this order before: each reconciliation repeats what the broker says."""
    return update.broker_status is not None and update.broker_status == order.broker_status


def move(order: Order, status: OrderStatus, fields: dict[str, Any], provenance: Provenance) -> None:
    """Set the status with what belongs to a move."""
    if status is order.status:
        return
    fields["status"] = status
    fields["provenance"] = provenance
    if status in _PENDING:
        fields["previous_status"] = order.status if order.status not in _PENDING else order.previous_status
        return
    fields["previous_status"] = None
    if order.pending_changes and "pending_changes" not in fields:
        # It ended, or works on, without a word on the replace: the new terms are not assumed ...
        fields.update(old_terms(order))
        if status is _S.FILLED and fields.get("filled", order.filled) == order.quantity:
            fields["quantity"] = order.quantity  # ... but an order that is over with the asked quantity had it


# --- terms -----------------------------------------------------------------------------------------------------------


def take_terms(
    order: Order, update: OrderUpdate, fields: dict[str, Any], *, is_news: bool, is_later_snapshot: bool
) -> bool:
    """Take over the terms that the broker shows; tell whether they settle a pending replace.

    `is_news`: the update is live, or a snapshot that was asked for after the order's last change.
    """
    shown = {name: value for name in _TERMS if (value := getattr(update, name)) is not None}
    if order.pending_changes:
        asked = set(order.pending_changes) & set(shown)
        if asked and all(getattr(order, name) == shown[name] for name in asked):
            fields["pending_changes"] = fields["previous_price"] = None
            return True
        if is_later_snapshot and shown:
            # The broker shows other terms, or nothing of those that were asked: the replace did not arrive.
            fields.update(old_terms(order))
            fields.update({name: shown[name] for name in asked})
            return True
        return False
    if order.is_open and is_news:
        for name in ("quantity", "limit_price", "stop_price", "trail_amount", "trail_percent", "good_till"):
            if name in shown and getattr(order, name) != shown[name]:
                fields[name] = shown[name]
        if order.origin == "external" and update.type is not None:
            fields["type"], fields["broker_type"] = update.type, update.broker_type
            fields["terms_known"] = order.terms_known or update.quantity is not None
    return False


def old_terms(order: Order) -> dict[str, Any]:
    """Return the fields that put back the terms from before a replace that was not confirmed."""
    kinds: dict[str, Callable[[str], Any]] = {"tif": TimeInForce, "good_till": int}
    old = {
        name: None if text is None else kinds.get(name, Decimal)(text)
        for name, text in (order.pending_changes or {}).items()
    }
    return {**old, "pending_changes": None, "previous_price": None}


def terms_of_execution(execution: Execution) -> OrderUpdate:
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


# --- executions ------------------------------------------------------------------------------------------------------


def is_leg(order: Order, execution: Execution) -> bool:
    """Tell whether this is the fill of one leg of a combination, which the order itself does not count."""
    return (
        order.instrument is not None
        and order.instrument.sectype is SecType.COMBO
        and execution.instrument is not None
        and execution.instrument.sectype is not SecType.COMBO
    )


def counts(order: Order, execution: Execution) -> bool:
    """Tell whether an execution (not superseded) counts for the order's `filled`."""
    return execution.exec_type is not ExecType.BUST and not is_leg(order, execution)


def figures(active: Iterable[Execution]) -> dict[str, Any]:
    """Return average price and commission of the executions that count; nothing when there are none."""
    active = tuple(active)
    shares = sum((e.shares for e in active), _ZERO)
    if not shares:
        return {}
    average = sum((e.shares * e.price for e in active), _ZERO) / shares
    if average.as_tuple().exponent < -9:  # type: ignore[operator]  # finite
        average = average.quantize(Decimal("1e-9"))
    fields: dict[str, Any] = {"avg_fill_price": average}
    costs = [e.commission for e in active if e.commission is not None]
    if len(costs) == len(active):
        fields["commission"] = sum(costs, _ZERO)
    return fields


def commission_fields(report: CommissionReport) -> dict[str, Any]:
    """Return the fields of an execution that a commission report sets."""
    pairs = (
        ("commission", report.commission),
        ("commission_currency", report.currency),
        ("realized", report.realized),
    )
    return {name: value for name, value in pairs if value is not None}


# --- the position ledger ---------------------------------------------------------------------------------------------


def ledger_of_fill(order: Order, delta: Decimal) -> dict[LedgerKey, Decimal]:
    """Return what a change of the order's `filled` moves."""
    kind = None if order.instrument is None else order.instrument.sectype
    if not delta or kind in (SecType.CASH, SecType.COMBO):
        return {}  # money changed into money moves cash balances; of a combination only the legs are held
    return {(order.mode, order.account, order.instrument_id or order.symbol): delta * order.side.sign}


def ledger_of_leg(execution: Execution, delta: Decimal) -> dict[LedgerKey, Decimal]:
    """Return what the fill of a leg moves, whichever order it is of."""
    kind = None if execution.instrument is None else execution.instrument.sectype
    if not delta or kind is SecType.CASH:
        return {}
    key = (execution.mode, execution.account, execution.instrument_id or execution.symbol)
    return {key: delta * execution.side.sign}
