"""Orders in CQG's words and ours: terms both ways, and what a status means."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from txtrader.model.order import OrderStatus, OrderType, Side, TimeInForce
from txtrader.wire.cqg.values import BaseTime, PriceScale, decimal_of, put_decimal, put_timestamp, timestamp_ns
from txtrader.wire.cqg.words import Duration, ExecInstruction
from txtrader.wire.cqg.words import OrderStatus as Status
from txtrader.wire.cqg.words import OrderType as Kind
from txtrader.wire.cqg.words import Side as WireSide

__all__ = [
    "DURATIONS",
    "TYPES",
    "OrderTerms",
    "gateway_id",
    "good_till_of",
    "put_terms",
    "quantity_of",
    "request_id_of",
    "side_of",
    "status_of",
    "statuses_for",
    "terms_of",
    "tif_of",
    "wire_side",
]

DAY_NS = 86_400_000_000_000

TYPES: dict[OrderType, tuple[int, tuple[int, ...]]] = {
    OrderType.MARKET: (Kind.MKT, ()),
    OrderType.LIMIT: (Kind.LMT, ()),
    OrderType.STOP: (Kind.STP, ()),
    OrderType.STOP_LIMIT: (Kind.STL, ()),
    OrderType.TRAILING_STOP: (Kind.STP, (ExecInstruction.TRAIL,)),
    OrderType.TRAILING_STOP_LIMIT: (Kind.STL, (ExecInstruction.TRAIL,)),
}
_TYPES_BACK = {words: kind for kind, words in TYPES.items()}

DURATIONS: dict[TimeInForce, int] = {
    TimeInForce.DAY: Duration.DAY,
    TimeInForce.GTC: Duration.GTC,
    TimeInForce.GTD: Duration.GTT,  # to the second: a date alone would be the exchange's, which we do not know
    TimeInForce.IOC: Duration.FAK,
    TimeInForce.FOK: Duration.FOK,
    TimeInForce.OPG: Duration.ATO,
    TimeInForce.CLS: Duration.ATC,
}
_TIFS = {int(word): tif for tif, word in DURATIONS.items()} | {int(Duration.GTD): TimeInForce.GTD}

_STATUSES: dict[int, OrderStatus] = {
    Status.IN_TRANSIT: OrderStatus.PENDING_NEW,
    Status.REJECTED: OrderStatus.REJECTED,
    Status.WORKING: OrderStatus.NEW,
    Status.EXPIRED: OrderStatus.EXPIRED,
    Status.IN_CANCEL: OrderStatus.PENDING_CANCEL,
    Status.IN_MODIFY: OrderStatus.PENDING_REPLACE,
    Status.CANCELLED: OrderStatus.CANCELED,
    Status.FILLED: OrderStatus.FILLED,
    Status.SUSPENDED: OrderStatus.NEW,
    Status.ACTIVEAT: OrderStatus.NEW,
}
"""What each order status says.  DISCONNECTED and those of approvals claim nothing: the former word stands."""


class OrderTerms(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of one order; prices in the contract's currency, `good_till` integer nanoseconds UTC.

    `type` and `tif` are None where CQG's words have no counterpart here; `broker_type` then says them.
    """

    account_id: int
    contract_id: int
    cl_order_id: str
    side: Side
    quantity: Decimal
    type: OrderType | None
    tif: TimeInForce | None = TimeInForce.DAY
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    display_quantity: Decimal | None = None
    good_till: int | None = None
    broker_type: str | None = None


def wire_side(side: Side) -> int:
    """Return CQG's number for a side."""
    return int(WireSide.BUY if side.sign > 0 else WireSide.SELL)


def side_of(number: int) -> Side:
    """Return the side that a number stands for."""
    return Side.BUY if number == WireSide.BUY else Side.SELL


def put_terms(message: Any, terms: OrderTerms, scale: PriceScale, now_ns: int) -> None:
    """Write terms into an order_2.Order; raises ValueError for what CQG cannot say."""
    words = TYPES.get(terms.type) if terms.type is not None else None
    if words is None or terms.tif is None:
        raise ValueError(f"CQG has no {terms.type or terms.broker_type} order")
    kind, instructions = words
    message.account_id = terms.account_id
    message.contract_id = terms.contract_id
    message.cl_order_id = terms.cl_order_id
    message.side = wire_side(terms.side)
    message.order_type = int(kind)
    message.exec_instructions.extend(int(word) for word in instructions)
    message.duration = int(DURATIONS[terms.tif])
    put_decimal(message.qty, terms.quantity)
    message.qty.SetInParent()
    put_timestamp(message.when_utc_timestamp, now_ns)
    if terms.limit_price is not None:
        message.scaled_limit_price = scale.scaled(terms.limit_price)
    if terms.stop_price is not None:
        message.scaled_stop_price = scale.scaled(terms.stop_price)
    if terms.trail_amount is not None:
        message.scaled_trail_offset = scale.scaled(terms.trail_amount)
    if terms.display_quantity is not None:
        message.exec_instructions.append(int(ExecInstruction.ICEBERG))
        put_decimal(message.visible_qty, terms.display_quantity)
    if terms.good_till is not None:
        put_timestamp(message.good_thru_utc_timestamp, terms.good_till)


def terms_of(message: Any, scale: PriceScale, base: BaseTime) -> OrderTerms:
    """Read the terms of an order_2.Order; legacy twins count where the newer field is absent."""
    instructions = [word for word in message.exec_instructions if word != ExecInstruction.NONE]
    shown = ExecInstruction.ICEBERG in instructions
    plain = tuple(word for word in instructions if word != ExecInstruction.ICEBERG)
    kind = _TYPES_BACK.get((message.order_type, plain))
    tif = tif_of(message.duration)
    good_till = good_till_of(message, base)
    return OrderTerms(
        account_id=message.account_id,
        contract_id=message.contract_id,
        cl_order_id=message.cl_order_id,
        side=side_of(message.side),
        quantity=quantity_of(message, "qty", "uint32_qty"),
        type=kind,
        tif=tif,
        limit_price=_price(message, "scaled_limit_price", scale),
        stop_price=_price(message, "scaled_stop_price", scale),
        trail_amount=_price(message, "scaled_trail_offset", scale),
        display_quantity=decimal_of(message.visible_qty) if shown and message.HasField("visible_qty") else None,
        good_till=good_till if tif is TimeInForce.GTD else None,
        broker_type=None if kind is not None else _type_word(message.order_type, plain),
    )


def tif_of(duration: int) -> TimeInForce | None:
    """Return the time in force that a duration stands for; None for one that has no counterpart here."""
    return _TIFS.get(duration)


def good_till_of(message: Any, base: BaseTime) -> int | None:
    """Return until when an order or a modify lets it work; None where it does not say."""
    if message.HasField("good_thru_utc_timestamp"):
        return timestamp_ns(message.good_thru_utc_timestamp)
    if message.HasField("good_thru_date"):
        # The order works through that day: the instant is the end of it.
        return base.ns(message.good_thru_date) // DAY_NS * DAY_NS + DAY_NS
    return None


def quantity_of(message: Any, name: str, twin: str) -> Decimal:
    """Return a quantity: the Decimal, else its old whole-number twin, else zero."""
    if message.HasField(name):
        return decimal_of(getattr(message, name))
    return Decimal(getattr(message, twin)) if message.HasField(twin) else Decimal(0)


def status_of(message: Any) -> OrderStatus | None:
    """Return what an order_2.OrderStatus says of the order; None where it claims nothing."""
    word = _STATUSES.get(message.status)
    if word is OrderStatus.NEW and quantity_of(message, "fill_qty", "uint32_fill_qty") > 0:
        return OrderStatus.PARTIALLY_FILLED
    return word


def statuses_for(word: OrderStatus) -> int:
    """Return CQG's number for where an order stands."""
    if word is OrderStatus.PARTIALLY_FILLED:
        return int(Status.WORKING)
    return next(number for number, ours in _STATUSES.items() if ours is word)


def request_id_of(gateway_id: str, count: int) -> str:
    """Return the cl_order_id of the `count`th request about an order, 0 for its placing."""
    return gateway_id if count == 0 else f"{gateway_id}.{count}"


def gateway_id(cl_order_id: str) -> str:
    """Return the gateway id that a cl_order_id of ours was made from; a stranger's stays as it is."""
    head, dot, tail = cl_order_id.rpartition(".")
    return head if dot and head.startswith("TX-") and tail.isdigit() else cl_order_id


def _price(message: Any, name: str, scale: PriceScale) -> Decimal | None:
    return scale.price(getattr(message, name)) if message.HasField(name) else None


def _type_word(number: int, instructions: tuple[int, ...]) -> str:
    words = [Kind(number).name if number in Kind.__members__.values() else str(number)]
    words += [ExecInstruction(one).name if one in list(ExecInstruction) else str(one) for one in instructions]
    return "+".join(words)
