"""What the venue tells of orders, as execution reports and cancel rejects of each version."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from txtrader.dialects import fix as dialect
from txtrader.dialects.fix_reports import instrument_to_wire
from txtrader.dialects.fix_terms import OrderTerms, put_terms
from txtrader.exsim.endpoints.fix.data import contract_of
from txtrader.exsim.orders import Order
from txtrader.exsim.records import Commission, ExecKind, Fill, Reason, Refusal, Terms
from txtrader.model.order import OrderStatus
from txtrader.wire.fix.message import Message

__all__ = ["REPRICED", "Chain", "Event", "cancel_reject", "execution_report", "order_reject"]

_STATUS = {
    OrderStatus.PENDING_NEW: "A",
    OrderStatus.NEW: "0",
    OrderStatus.PARTIALLY_FILLED: "1",
    OrderStatus.FILLED: "2",
    OrderStatus.CANCELED: "4",
    OrderStatus.REJECTED: "8",
    OrderStatus.EXPIRED: "C",
}
_SUSPENDED = "9"
_PENDING = ("A", "6", "E")  # of a pending request kind and status are the same
_REASONS = {
    Reason.UNKNOWN_INSTRUMENT: "1",
    Reason.CLOSED: "2",
    Reason.BUYING_POWER: "3",
    Reason.TOO_LATE: "4",
    Reason.DUPLICATE: "6",
    Reason.UNSUPPORTED: "11",
    Reason.PHASE: "11",
    Reason.QUANTITY: "13",
    Reason.UNKNOWN_ACCOUNT: "15",
    Reason.PRICE: "99",
    Reason.PRICE_TICK: "99",
    Reason.WOULD_TRADE: "99",
}
_LAST_REASON_OF_42 = 8
_TICK_REASON_OF_50 = "18"
INSTRUMENT_TAGS = (55, 65, 48, 22, 167, 200, 201, 202, 207, 15)


class _Words(msgspec.Struct, frozen=True):
    """An order's terms as fields, and what they were made of: most reports of an order say the same ones again."""

    terms: Terms
    at: tuple[int | None, int | None, int | None]
    fields: list[tuple[int, str]]


class Chain(msgspec.Struct):
    """One order of a client over all its changes: the ids it was called, and the request that is under way.

    `cl_ord_id` is that of the last accepted request, `asked` that of the one under way, `was` what that one names.
    """

    cl_ord_id: str
    instrument: list[tuple[int, str]]
    asked: str | None = None
    was: str | None = None
    ends_with_link: bool = False
    words: _Words | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What a report says has happened: the exec type's letter of 4.4, and what goes with it."""

    kind: str
    fill: Fill | None = None
    commission: Commission | None = None
    refusal: Refusal | None = None
    text: str | None = None
    restated: str | None = None


_REPRICING = "3"
REPRICED = Event(kind="D", text="repriced", restated=_REPRICING)


def status_of(order: Order) -> str:
    """Return where the order stands (39)."""
    if order.is_open and order.held == "release":
        return _SUSPENDED
    return _STATUS[order.status]


def instrument_of(order: Order, version: str) -> list[tuple[int, str]]:
    """Return how an order's instrument is called where its client's own words are not known."""
    return [*instrument_to_wire(contract_of(order.listing), version), (15, order.listing.currency)]


def execution_report(order: Order, chain: Chain, event: Event, exec_id: str, version: str, now: int) -> Message:
    """Write a report in the words of a version."""
    status = event.kind if event.kind in _PENDING else status_of(order)
    message = Message("8").add(37, str(order.id)).add(11, chain.cl_ord_id).add(41, chain.was)
    message.add(17, exec_id)
    kind, transaction = event.kind, "0"
    if kind == "L" and version != "5.0":
        kind = "D"
    if version == "4.2":
        if kind == "F":
            kind = "2" if status == "2" else "1"
        elif kind == "H":
            kind, transaction = status, "1"
        elif kind == "G":
            kind, transaction = status, "2"
        elif kind == "I":
            kind, transaction = status, "3"
        elif kind == "5" and status in ("1", "2"):
            status = "5" if status == "1" else status
        message.add(20, transaction)
    message.add(150, kind).add(39, status).add(1, order.account)
    message.fields += chain.instrument
    message.add(54, dialect.side_to_wire(order.side)).add(38, dialect.number_to_wire(order.quantity))
    message.fields += _terms_told(order, chain, version)
    fill = event.fill
    if fill is not None:
        message.add(32, dialect.number_to_wire(fill.quantity)).add(31, dialect.number_to_wire(fill.price))
        message.add(30, fill.exchange or None)
        if fill.replaces is not None:
            message.add(19, fill.replaces)
        if version != "4.2" and fill.kind is ExecKind.NEW:
            message.add(851, "1" if fill.liquidity == "added" else "2")
        if event.commission is not None and fill.kind is not ExecKind.BUST:
            message.add(12, dialect.number_to_wire(event.commission.amount)).add(13, "3")
            message.add(479, event.commission.currency if version != "4.2" else None)
    done = fill.cumulative if fill is not None else order.filled
    average = fill.average if fill is not None else order.average_price
    message.add(14, dialect.number_to_wire(done)).add(151, dialect.number_to_wire(_open_quantity(order, fill)))
    message.add(6, dialect.number_to_wire(round(average, 8)))
    if event.refusal is not None and kind == "8":
        message.add(103, _reason(event.refusal, version))
    message.add(378, event.restated).add(58, event.text or (event.refusal.text if event.refusal else None))
    return message.add(60, dialect.instant_to_wire(fill.time if fill is not None else now))


def _open_quantity(order: Order, fill: Fill | None) -> Decimal:
    """Return what works still; within one message the venue may have gone on, so a fill says how it was then."""
    if fill is not None and order.status in (OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED, OrderStatus.NEW):
        return max(Decimal(0), order.quantity - fill.cumulative)
    return order.remaining


def _terms_told(order: Order, chain: Chain, version: str) -> list[tuple[int, str]]:
    """Return the fields of an order's terms as they are now."""
    at = (order.price, order.stop_ticks, order.expire_time)
    known = chain.words
    if known is None or known.terms is not order.terms or known.at != at:
        known = chain.words = _Words(order.terms, at, _words_of(order, version))
    if not order.is_open:
        chain.words = None  # hardly anything more is told of it
    pegged = order.terms.peg and order.price is not None and order.is_open and version != "4.2"
    return [*known.fields, (839, dialect.number_to_wire(order.limit_price or Decimal(0)))] if pegged else known.fields


def _words_of(order: Order, version: str) -> list[tuple[int, str]]:
    terms = order.terms
    try:
        made = OrderTerms(
            side=terms.side,
            quantity=order.quantity,
            type=terms.type,
            limit_price=terms.limit_price if terms.peg else order.limit_price,
            stop_price=order.stop_price if terms.type.needs_stop else None,
            trail_amount=terms.trail_amount,
            tif=terms.tif,
            good_till=order.expire_time,
            auction=terms.auction,
            display_quantity=terms.display_quantity,
            display_low=terms.display_low,
            display_high=terms.display_high,
            hidden=terms.hidden,
            min_quantity=terms.min_quantity,
            all_or_none=terms.all_or_none,
            reduce_only=terms.reduce_only,
            post_only=terms.post_only,
            to_limit=terms.to_limit,
            peg=terms.peg,
            peg_offset=terms.peg_offset,
        )
        extra = Message("8")
        put_terms(extra, made, version)
        return [pair for pair in extra.fields if pair[0] not in (54, 38)]
    except dialect.Unsupported:
        return []  # an order of another wire, of a kind that this version has no word for: it is told without


def _reason(refusal: Refusal, version: str) -> str:
    word = _REASONS.get(refusal.reason, "99")
    if refusal.reason is Reason.PRICE_TICK and version == "5.0":
        return _TICK_REASON_OF_50
    return "0" if version == "4.2" and int(word) > _LAST_REASON_OF_42 else word


def order_reject(request: Message, refusal: Refusal, exec_id: str, version: str, now: int) -> Message:
    """Refuse an order that the venue never had."""
    message = Message("8").add(37, "NONE").add(11, request.get(11)).add(17, exec_id)
    if version == "4.2":
        message.add(20, "0")
    message.add(150, "8").add(39, "8").add(1, request.get(1))
    message.fields += [(tag, value) for tag in INSTRUMENT_TAGS if (value := request.get(tag)) is not None]
    message.add(54, request.get(54)).add(38, request.get(38)).add(40, request.get(40))
    message.add(14, "0").add(151, "0").add(6, "0").add(103, _reason(refusal, version)).add(58, refusal.text)
    return message.add(60, dialect.instant_to_wire(now))


def cancel_reject(
    request_id: str, original: str, answers: str, order: Order | None, code: str, text: str, now: int
) -> Message:
    """Refuse a cancel (`answers` 1) or a replace (2)."""
    message = Message("9").add(37, "NONE" if order is None else str(order.id)).add(11, request_id).add(41, original)
    message.add(39, "8" if order is None else status_of(order)).add(434, answers).add(102, code).add(58, text)
    return message.add(60, dialect.instant_to_wire(now))
