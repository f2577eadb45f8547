"""Orders: placeOrder and openOrder fields to and from terms, orderStatus and openOrder to OrderUpdate.

TWS speaks of one order in three messages: openOrder (its terms), orderStatus (where it stands), execDetails (its
fills), in any order and each maybe twice.  All are told apart by order id and client id within a login, by permId for
life, and by `orderRef`, which carries the gateway's order id.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from txtrader.dialects.tws.times import time_from_wire, time_to_wire
from txtrader.dialects.tws.words import (
    TIFS,
    order_type_from_wire,
    order_type_to_wire,
    side_from_wire,
    side_to_wire,
    special_type_from_wire,
    status_from_wire,
)
from txtrader.errors import InvalidArgument
from txtrader.model.instrument import Instrument
from txtrader.model.numbers import plain
from txtrader.model.order import Order, OrderRequest, OrderStatus, OrderType, OrderUpdate, Side, TimeInForce

__all__ = [
    "OrderTerms",
    "margins_from_wire",
    "order_to_wire",
    "peg_offset_between",
    "terms_from_wire",
    "terms_of",
    "update_from_completed_order",
    "update_from_open_order",
    "update_from_status",
]

_ZERO = Decimal(0)
REDUCE_WITH_BLOCK = 2  # a fill cancels the others, a partial fill reduces them, and no two are filled at once


class OrderTerms(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of one order as TWS can carry them.

    `parent_id` is the TWS order id of the parent in the same login; `transmit` False holds the order until a member
    of its bracket with True follows.

    The rest the gateway's own orders do not have.  A `hidden` order is not shown; `min_quantity`: it trades for no less
    at once, `all_or_none`: for no less than all.  `to_limit` and `peg` are as in `SpecialType`: `limit_price` is then
    the limit that the order has become, or the cap of its price, and None for none, which TWS writes as 0 as well.
    `peg_offset` is added to what the order follows, whichever the side.
    """

    side: Side
    quantity: Decimal
    type: OrderType
    tif: TimeInForce = TimeInForce.DAY
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    limit_offset: Decimal | None = None
    good_till: int | None = None
    extended_hours: bool = False
    account: str | None = None
    order_ref: str | None = None
    oco_group: str | None = None
    display_quantity: Decimal | None = None
    parent_id: int | None = None
    transmit: bool = True
    what_if: bool = False
    hidden: bool = False
    all_or_none: bool = False
    min_quantity: Decimal | None = None
    to_limit: bool = False
    peg: str = ""
    peg_offset: Decimal = _ZERO


def peg_offset_between(offset: Decimal, peg: str, side: Side) -> Decimal:
    """Turn an offset as TWS counts it into one that is added to what the order follows, or that one into TWS's.

    TWS counts towards the other side where an order follows its own (a buy is at the bid plus the offset), and away
    from the other side elsewhere (a buy is at the ask, or the middle, minus the offset).
    """
    sign = side.sign if peg == "primary" else -side.sign
    return sign * offset if offset else _ZERO


def terms_of(order: Order, by: OrderRequest | None = None) -> OrderTerms:
    """Take the terms of an order record; `by` holds the new ones of a replace."""
    source: Order | OrderRequest = by if by is not None else order
    return OrderTerms(
        side=order.side,
        quantity=source.quantity,
        type=source.type,
        tif=source.tif,
        limit_price=source.limit_price,
        stop_price=source.stop_price,
        trail_amount=source.trail_amount,
        trail_percent=source.trail_percent,
        limit_offset=source.limit_offset,
        good_till=source.good_till,
        extended_hours=source.extended_hours,
        account=order.account,
        order_ref=order.order_ref or order.id,
        oco_group=source.oco_group,
        display_quantity=source.display_quantity,
    )


def order_to_wire(terms: OrderTerms) -> dict[str, Any]:
    """Write the order fields of placeOrder.

    eTradeOnly and firmQuoteOnly are said to be False because older API packages default them to True, which TWS has
    refused since November 2022 (10268).  Raises InvalidArgument for what TWS cannot carry.
    """
    word, tif = order_type_to_wire(terms.type, terms.tif, to_limit=terms.to_limit, peg=terms.peg)
    fields: dict[str, Any] = {
        "action": side_to_wire(terms.side),
        "totalQuantity": terms.quantity,
        "orderType": word,
        "tif": tif,
        "outsideRth": terms.extended_hours,
        "transmit": terms.transmit,
        "whatIf": terms.what_if,
        "eTradeOnly": False,
        "firmQuoteOnly": False,
        "orderRef": terms.order_ref or "",
        "account": terms.account or "",
        "parentId": terms.parent_id or 0,
    }
    if terms.type.is_trailing:
        if (terms.trail_amount is None) == (terms.trail_percent is None):
            raise InvalidArgument("give trail_amount or trail_percent, one of them", path="trail_amount")
        fields["auxPrice"] = terms.trail_amount
        fields["trailingPercent"] = terms.trail_percent
        fields["trailStopPrice"] = terms.stop_price
        fields["lmtPriceOffset"] = terms.limit_offset
        fields["lmtPrice"] = terms.limit_price
    elif terms.peg:
        fields["lmtPrice"] = terms.limit_price
        fields["auxPrice"] = peg_offset_between(terms.peg_offset, terms.peg, terms.side)
    else:
        fields["lmtPrice"] = terms.limit_price
        fields["auxPrice"] = terms.stop_price
    if terms.good_till is not None:
        fields["goodTillDate"] = time_to_wire(terms.good_till)
    if terms.oco_group:
        fields["ocaGroup"] = terms.oco_group
        fields["ocaType"] = REDUCE_WITH_BLOCK
    if terms.display_quantity is not None:
        if terms.display_quantity != terms.display_quantity.to_integral_value():
            raise InvalidArgument("TWS shows whole units only", path="display_quantity", reason="unsupported")
        fields["displaySize"] = int(terms.display_quantity)
    if terms.hidden:
        fields["hidden"] = True
    if terms.all_or_none:
        fields["allOrNone"] = True
    if terms.min_quantity is not None:
        if terms.min_quantity != terms.min_quantity.to_integral_value():
            raise InvalidArgument("TWS has least quantities in whole units only", path="min_quantity")
        fields["minQty"] = int(terms.min_quantity)
    return fields


def _price(value: Any) -> Decimal | None:
    return plain(value) if isinstance(value, Decimal) else None


def _used_price(value: Any, is_used: bool) -> Decimal | None:
    """Take a price where the order type has one; TWS sends 0 in the others."""
    return _price(value) if is_used else None


def terms_from_wire(fields: Mapping[str, Any]) -> OrderTerms | None:
    """Read the terms of a placeOrder or openOrder; None for an order type or side that there is no word for here."""
    word, tif_word = str(fields.get("orderType") or ""), str(fields.get("tif") or "DAY")
    special = special_type_from_wire(word)
    kind, tif = order_type_from_wire(word, tif_word) if special is None else (special.type, TIFS.get(tif_word))
    side = side_from_wire(str(fields.get("action") or ""))
    quantity = fields.get("totalQuantity")
    if kind is None or tif is None or side is None or quantity is None:
        return None
    is_trailing = kind.is_trailing
    display = fields.get("displaySize")
    percent = _price(fields.get("trailingPercent")) if is_trailing else None
    limit = _used_price(fields.get("lmtPrice"), kind.needs_limit or special is not None)
    peg = "" if special is None else special.peg
    return OrderTerms(
        side=side,
        quantity=plain(Decimal(quantity)),
        type=kind,
        tif=tif,
        limit_price=limit if special is None else limit or None,
        stop_price=_price(fields.get("trailStopPrice"))
        if is_trailing
        else _used_price(fields.get("auxPrice"), kind.needs_stop),
        trail_amount=_used_price(fields.get("auxPrice"), is_trailing and percent is None),
        trail_percent=percent,
        limit_offset=_used_price(fields.get("lmtPriceOffset"), kind is OrderType.TRAILING_STOP_LIMIT),
        good_till=time_from_wire(fields.get("goodTillDate")),
        extended_hours=bool(fields.get("outsideRth")),
        account=fields.get("account") or None,
        order_ref=fields.get("orderRef") or None,
        oco_group=fields.get("ocaGroup") or None,
        display_quantity=Decimal(display) if display else None,
        parent_id=fields.get("parentId") or None,
        transmit=bool(fields.get("transmit", True)),
        what_if=bool(fields.get("whatIf")),
        hidden=bool(fields.get("hidden")),
        all_or_none=bool(fields.get("allOrNone")),
        min_quantity=Decimal(fields["minQty"]) if fields.get("minQty") else None,
        to_limit=special is not None and special.to_limit,
        peg=peg,
        peg_offset=peg_offset_between(_price(fields.get("auxPrice")) or _ZERO, peg, side) if peg else _ZERO,
    )


def _id_text(value: Any) -> str | None:
    """Write a permanent or order id; 0 says that there is none yet."""
    return str(value) if value else None


def _order_update(
    fields: Mapping[str, Any], mode: str, instrument: Instrument | None, status: OrderStatus | None, **extra: Any
) -> OrderUpdate:
    kind, tif = order_type_from_wire(str(fields.get("orderType") or ""), str(fields.get("tif") or ""))
    terms = terms_from_wire(fields)
    quantity = fields.get("totalQuantity")
    return OrderUpdate(
        mode=mode,
        order_ref=fields.get("orderRef") or None,
        permid=_id_text(fields.get("permId")),
        status=status,
        broker_status=fields.get("status") or None,
        instrument=instrument,
        account=fields.get("account") or None,
        side=side_from_wire(str(fields.get("action") or "")),
        quantity=plain(Decimal(quantity)) if quantity is not None else None,
        type=kind,
        broker_type=fields.get("orderType") or None,
        tif=tif,
        limit_price=terms.limit_price if terms else _price(fields.get("lmtPrice")),
        stop_price=terms.stop_price if terms else _price(fields.get("auxPrice")),
        trail_amount=terms.trail_amount if terms else None,
        trail_percent=terms.trail_percent if terms else None,
        good_till=terms.good_till if terms else None,
        oco_group=fields.get("ocaGroup") or None,
        **extra,
    )


def update_from_open_order(
    fields: Mapping[str, Any], mode: str, instrument: Instrument | None, *, receive_time: int, is_snapshot: bool = False
) -> OrderUpdate:
    """Read openOrder.  An order of the TWS window has order id 0 until client 0 binds it, which makes it negative."""
    order_id = fields.get("orderId")
    return _order_update(
        fields,
        mode,
        instrument,
        status_from_wire(str(fields.get("status") or "")),
        broker_order_id=_id_text(order_id),
        clientid=fields.get("clientId"),
        parent_permid=None,
        warning=fields.get("warningText") or None,
        receive_time=receive_time,
        is_snapshot=is_snapshot,
    )


def update_from_completed_order(
    fields: Mapping[str, Any], mode: str, instrument: Instrument | None, *, receive_time: int
) -> OrderUpdate:
    """Read completedOrder, which names the order by permId and orderRef only."""
    filled = fields.get("filledQuantity")
    return _order_update(
        fields,
        mode,
        instrument,
        status_from_wire(str(fields.get("status") or "")),
        filled=plain(filled) if filled is not None else None,
        parent_permid=_id_text(fields.get("parentPermId")),
        error_message=None,
        event_time=time_from_wire(fields.get("completedTime")),
        receive_time=receive_time,
        is_snapshot=True,
    )


def update_from_status(fields: Mapping[str, Any], mode: str, *, receive_time: int) -> OrderUpdate:
    """Read orderStatus; its quantities are advice, executions count.

    An average price of 0 stands for none: nothing is filled.
    """
    filled = fields.get("filled")
    average, last = fields.get("avgFillPrice"), fields.get("lastFillPrice")
    order_id = fields.get("orderId")
    return OrderUpdate(
        mode=mode,
        permid=_id_text(fields.get("permId")),
        broker_order_id=_id_text(order_id),
        clientid=fields.get("clientId"),
        status=status_from_wire(str(fields.get("status") or ""), filled),
        broker_status=fields.get("status") or None,
        filled=plain(filled) if filled is not None else None,
        remaining=plain(fields["remaining"]) if fields.get("remaining") is not None else None,
        avg_fill_price=plain(average) if average and filled else None,
        last_fill_price=plain(last) if last and filled else None,
        why_held=fields.get("whyHeld") or None,
        receive_time=receive_time,
    )


def margins_from_wire(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Read the answer to a what-if: what the order would add to margin, the equity after it, and what it would cost."""
    commission = _price(fields.get("commission"))
    return {
        "init_margin": _price(fields.get("initMarginChange")),
        "maint_margin": _price(fields.get("maintMarginChange")),
        "equity_with_loan": _price(fields.get("equityWithLoanAfter")),
        "commission_min": _price(fields.get("minCommission"))
        if fields.get("minCommission") is not None
        else commission,
        "commission_max": _price(fields.get("maxCommission"))
        if fields.get("maxCommission") is not None
        else commission,
        "currency": fields.get("commissionCurrency") or None,
        "warning": fields.get("warningText") or None,
    }
