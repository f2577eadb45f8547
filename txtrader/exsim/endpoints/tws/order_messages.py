"""Orders and executions as messages: openOrder, orderStatus, completedOrder, execDetails, commissionReport."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from txtrader.dialects.tws.orders import peg_offset_between
from txtrader.dialects.tws.times import time_to_wire
from txtrader.dialects.tws.words import EXECUTION_SIDES, LIQUIDITY, order_type_to_wire, side_to_wire
from txtrader.errors import InvalidArgument
from txtrader.exsim.endpoints.tws.desk_order import ZERO, DeskOrder
from txtrader.exsim.endpoints.tws.times import date_of
from txtrader.exsim.orders import Order
from txtrader.exsim.records import Commission, ExecKind, Fill, Listing, WhatIf
from txtrader.model.numbers import plain
from txtrader.model.order import OrderStatus, Side
from txtrader.wire.tws.table import RESPONSES

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.tws.listings import Listings
    from txtrader.exsim.endpoints.tws.times import Zone

__all__ = ["OrderMessages", "fields_of"]

_OPEN_NAMES = RESPONSES.by_name["openOrder"].layout.names
_COMPLETED_NAMES = RESPONSES.by_name["completedOrder"].layout.names
_SIDE_WORDS = {side.action: word for word, side in EXECUTION_SIDES.items()}
_LIQUIDITY = {word.lower(): number for number, word in LIQUIDITY.items()}
_UNBOUND = 2147483647
"""What executions of orders that no client placed carry as order id: a habit of TWS."""


def fields_of(order: Order) -> dict[str, Any]:
    """Write the placeOrder fields of an order from its terms, where they are not those that an API client gave.

    Shown and least quantities are whole on this wire: a part of a unit is left out.
    """
    terms = order.terms
    try:
        word, tif = order_type_to_wire(terms.type, terms.tif, to_limit=terms.to_limit, peg=terms.peg)
    except InvalidArgument:
        word, tif = terms.type.value, terms.tif.value
    is_trailing = terms.type.is_trailing
    auxiliary = terms.trail_amount if is_trailing else terms.stop_price
    if terms.peg:
        auxiliary = peg_offset_between(terms.peg_offset, terms.peg, Side(terms.side))
    return {
        "action": side_to_wire(Side(terms.side)),
        "totalQuantity": terms.quantity,
        "orderType": word,
        "tif": tif,
        "lmtPrice": terms.limit_price,
        "auxPrice": auxiliary,
        "trailStopPrice": terms.stop_price if is_trailing else None,
        "trailingPercent": terms.trail_percent,
        "lmtPriceOffset": terms.limit_offset,
        "goodTillDate": "" if terms.expire_time is None else time_to_wire(terms.expire_time),
        "displaySize": int(terms.display_quantity or 0),
        "hidden": terms.hidden,
        "allOrNone": terms.all_or_none,
        "minQty": None if terms.min_quantity is None else int(terms.min_quantity),
        "account": terms.account,
        "orderRef": terms.client_order_id,
        "ocaGroup": terms.oca_group,
        "ocaType": terms.oca_type or 3,
    }


def _quantity(order: Order) -> Decimal:
    """Return the total; what was refused before the venue counted it in lots keeps the one that was asked for."""
    return plain(order.quantity if order.lots else order.terms.quantity)


class OrderMessages:
    """Writes the fields of each message about an order."""

    def __init__(self, listings: Listings, zone: Zone) -> None:
        self._listings = listings
        self._zone = zone

    def open_order(self, placed: DeskOrder, *, status: str | None = None) -> dict[str, Any]:
        """Write openOrder."""
        fields = self._terms(placed)
        order = placed.order
        if order is not None:
            fields["totalQuantity"] = _quantity(order)
            if order.type.is_trailing and order.stop_price is not None:
                fields["trailStopPrice"] = plain(order.stop_price)
        fields.update(
            orderId=placed.order_id,
            clientId=placed.client_id,
            permId=placed.perm_id,
            status=status or placed.status,
            warningText=placed.words,
            whatIf=False,
        )
        return {name: value for name, value in fields.items() if name in _OPEN_NAMES}

    def what_if(self, placed: DeskOrder, figures: WhatIf) -> dict[str, Any]:
        """Write the openOrder that answers a what-if."""
        fields = self.open_order(placed, status="PreSubmitted")
        fields.update(
            whatIf=True,
            initMarginBefore=_cents(figures.init_margin_before),
            maintMarginBefore=_cents(figures.maint_margin_before),
            equityWithLoanBefore=_cents(figures.equity_before),
            initMarginChange=_cents(figures.init_margin_change),
            maintMarginChange=_cents(figures.maint_margin_change),
            equityWithLoanChange=_cents(figures.equity_change),
            initMarginAfter=_cents(figures.init_margin_after),
            maintMarginAfter=_cents(figures.maint_margin_after),
            equityWithLoanAfter=_cents(figures.equity_after),
            commission=plain(figures.commission),
            minCommission=plain(figures.min_commission),
            maxCommission=plain(figures.max_commission),
            commissionCurrency=figures.currency,
            warningText=figures.refusal.text if figures.refusal is not None else "",
        )
        return fields

    def status(self, placed: DeskOrder, *, status: str | None = None, is_fresh: bool = False) -> dict[str, Any]:
        """Write orderStatus; `is_fresh` says it as it was before any execution."""
        order = placed.order
        parent = order.parent if order is not None else None
        parent_id = parent.extra.order_id if parent is not None and isinstance(parent.extra, DeskOrder) else 0
        filled = ZERO if is_fresh else placed.filled
        total = placed.filled + placed.remaining
        has_fills = order is not None and filled > 0
        return {
            "orderId": placed.order_id,
            "status": status or placed.status,
            "filled": plain(filled),
            "remaining": plain(total - filled),
            "avgFillPrice": plain(order.average_price) if order is not None and has_fills else ZERO,
            "permId": placed.perm_id,
            "parentId": parent_id,
            "lastFillPrice": plain(order.last_price or ZERO) if order is not None and has_fills else ZERO,
            "clientId": placed.client_id,
            "whyHeld": placed.why_held if status is None else "",
            "mktCapPrice": ZERO,
        }

    def completed(self, placed: DeskOrder) -> dict[str, Any]:
        """Write completedOrder."""
        order = placed.order
        assert order is not None
        match order.status:
            case OrderStatus.FILLED:
                words = f"Filled Size: {plain(order.filled)}"
            case OrderStatus.EXPIRED:
                words = "Expired"
            case OrderStatus.REJECTED:
                words = f"Rejected: {order.end.text}" if order.end is not None else "Rejected"
            case _:
                words = f"Cancelled: {order.end.text}" if order.end is not None else "Cancelled by Trader"
        fields = self._terms(placed)
        fields.update(
            permId=placed.perm_id,
            totalQuantity=_quantity(order),
            filledQuantity=plain(order.filled),
            status=placed.status,
            completedTime=self._zone.order_stamp(order.update_time),
            completedStatus=words,
        )
        return {name: value for name, value in fields.items() if name in _COMPLETED_NAMES}

    def execution(self, placed: DeskOrder, fill: Fill, req_id: int, version: int) -> dict[str, Any]:
        """Write execDetails; a bust has no shares, which is all that the wire can say of it."""
        return {
            **self._listings.contract(placed.listing, placed.exchange),
            "reqId": req_id,
            "orderId": placed.order_id if placed.is_bound else _UNBOUND,
            "execId": fill.exec_id,
            "time": self._zone.stamp(fill.time, version),
            "acctNumber": fill.account,
            "execExchange": fill.exchange,
            "side": _SIDE_WORDS[Side(fill.side).action],
            "shares": ZERO if fill.kind is ExecKind.BUST else plain(fill.quantity),
            "price": plain(fill.price),
            "permId": placed.perm_id,
            "clientId": placed.client_id,
            "liquidation": 0,
            "cumQty": plain(fill.cumulative),
            "avgPrice": plain(fill.average),
            "orderRef": placed.fields.get("orderRef") or "",
            "evMultiplier": ZERO,
            "modelCode": placed.fields.get("modelCode") or "",
            "lastLiquidity": _LIQUIDITY.get(fill.liquidity, 0),
            "pendingPriceRevision": False,
        }

    @staticmethod
    def commission(report: Commission) -> dict[str, Any]:
        """Write commissionReport."""
        return {
            "execId": report.exec_id,
            "commission": plain(report.amount),
            "currency": report.currency,
            "realizedPNL": _cents(report.realized) if report.realized is not None else None,
            "yield_": None,
            "yieldRedemptionDate": 0,
        }

    def execution_date(self, fill: Fill) -> str:
        """Write the date of an execution in the login's zone."""
        return date_of(fill.time, self._zone.info)

    def _terms(self, placed: DeskOrder) -> dict[str, Any]:
        listing: Listing = placed.listing
        contract = self._listings.contract(listing, placed.exchange)
        given = {name: value for name, value in placed.fields.items() if value is not None and value != ""}
        order = placed.order
        if order is not None and order.terms.to_limit and order.price is not None:
            given["lmtPrice"] = plain(order.price * listing.tick)  # the limit that it has become
        return {**_DEFAULTS, **given, **contract, "right": listing.right or "?"}


_DEFAULTS: dict[str, Any] = {
    "lmtPrice": ZERO,
    "auxPrice": ZERO,
    "tif": "DAY",
    "ocaType": 3,
    "origin": 0,
    "parentId": 0,
    "displaySize": 0,
    "triggerMethod": 0,
    "openClose": "",
    "rule80A": "0",
    "shortSaleSlot": 0,
    "exemptCode": -1,
    "auctionStrategy": 0,
    "discretionaryAmt": ZERO,
    "volatilityType": 0,
    "referencePriceType": 0,
    "deltaNeutralOrderType": "None",
    "deltaNeutralAuxPrice": ZERO,
    "deltaNeutralConId": 0,
    "deltaNeutralShortSaleSlot": 0,
    "clearingIntent": "IB",
    "adjustedOrderType": "None",
    "adjustableTrailingUnit": 0,
    "cashQty": ZERO,
}


def _cents(value: Decimal) -> Decimal:
    return plain(value.quantize(Decimal("0.01")))
