"""From the fields of placeOrder to the venue's terms and changes, and what TWS itself checks before.

What decides whether, when and at what price an order trades is acted upon or refused by its name, never ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from txtrader.dialects.tws.orders import OrderTerms, terms_from_wire
from txtrader.dialects.tws.times import time_from_wire
from txtrader.dialects.tws.words import side_from_wire
from txtrader.exsim.endpoints.tws.desk_order import DeskOrder
from txtrader.exsim.endpoints.tws.order_desk import OCA_REDUCE
from txtrader.exsim.endpoints.tws.service import RequestFailed
from txtrader.exsim.orders import Order
from txtrader.exsim.records import Changes, Listing, Terms
from txtrader.model.instrument import SecType
from txtrader.model.order import OrderType, TimeInForce

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.tws.endpoint import TwsEndpoint

__all__ = ["changes_of", "check_order", "venue_terms"]

_FRACTIONS_SINCE = 163

_NOT_OFFERED: tuple[tuple[str, str], ...] = (
    ("conditions", "Order conditions"),
    ("goodAfterTime", "Good after times"),
    ("hedgeType", "Hedging orders"),
    ("scalePriceIncrement", "Scale orders"),
    ("deltaNeutralContract", "Delta neutral contracts"),
    ("cashQty", "Cash quantities"),
    ("percentOffset", "Percent offsets"),
    ("discretionaryAmt", "Discretionary amounts"),
    ("minTradeQty", "Minimum trade quantities"),
    ("imbalanceOnly", "Imbalance-only orders"),
)
"""Terms that the venue does not have: refused where they are given, which 0 is not."""
_NOT_OFFERED_NUMBERS: tuple[tuple[str, str], ...] = (
    ("midOffsetAtWhole", "Offsets of their own from a middle at a whole tick"),
    ("midOffsetAtHalf", "Offsets of their own from a middle at half a tick"),
)
"""The same, of which 0 means something as well."""
_TYPES_NOT_OFFERED = frozenset(
    "PEGBEST PEGBENCH PEGSTK PASSVREL REL+MKT REL+LMT LMT+MKT SNAPMKT SNAPMID SNAPPRIM SNAPREL MIDPRICE MIDPX VOL"
    " BOXTOP TRAILMIT TRAILLIT STPPRT MKTPRT VWAP".split()
)
"""Order types that TWS has and the venue has not, without blanks; what is none at all is another error."""
_NO_ADJUSTMENT = ("", "None")
_NONE = Decimal(0)  # takes a quantity away that an order has


def check_order(endpoint: TwsEndpoint, version: int, fields: Mapping[str, Any], listing: Listing) -> OrderTerms:
    """Check what TWS itself checks before an order goes anywhere; raises RequestFailed."""
    options = endpoint.options
    if options.rejects_etrade_only:
        for name, word in (("eTradeOnly", "EtradeOnly"), ("firmQuoteOnly", "FirmQuoteOnly")):
            if fields.get(name):
                raise RequestFailed(10268, f"The '{word}' order attribute is not supported.")
    terms = terms_from_wire(fields)
    if side_from_wire(fields["action"]) is None:
        raise RequestFailed(321, "Error validating request.-'bO' : cause - Invalid side")
    if fields["totalQuantity"] is None or fields["totalQuantity"] <= 0:
        raise RequestFailed(434, "The order size cannot be zero.")
    if terms is None:
        kind = fields["orderType"] or ""
        if kind.replace(" ", "") in _TYPES_NOT_OFFERED:
            raise _not_offered(f"{kind} orders")
        raise RequestFailed(
            321,
            "Error validating request.-'bO' : cause - Invalid order type or time in force was entered:"
            f" {kind} {fields['tif']}",
        )
    _check_offered(fields)
    quantity = terms.quantity
    if options.limits_old_clients and version < _FRACTIONS_SINCE:
        if listing.step != listing.step.to_integral_value() or listing.sectype in (SecType.CASH, SecType.CRYPTO):
            raise RequestFailed(10285, "Your API version does not support fractional size rules.")
        if quantity != quantity.to_integral_value():
            raise RequestFailed(10285, "Your API version does not support fractional size rules.")
    account = terms.account or endpoint.accounts[0]
    if account not in endpoint.accounts:
        raise RequestFailed(321, f"Error validating request.-'bO' : cause - Invalid account code '{account}'.")
    good_till = terms.good_till
    if terms.tif is TimeInForce.GTD:
        good_till = time_from_wire(fields["goodTillDate"], endpoint.zone.info)
        if good_till is None:
            raise RequestFailed(321, "Error validating request.-'bO' : cause - Invalid good till date")
    return msgspec.structs.replace(terms, account=account, good_till=good_till)


def _check_offered(fields: Mapping[str, Any]) -> None:
    refused = [text for name, text in _NOT_OFFERED if fields.get(name)]
    refused += [text for name, text in _NOT_OFFERED_NUMBERS if fields.get(name) is not None]
    if (fields.get("adjustedOrderType") or "") not in _NO_ADJUSTMENT:
        refused.append("Adjusted stops")
    if (fields.get("deltaNeutralOrderType") or "") not in _NO_ADJUSTMENT:
        refused.append("Delta neutral orders")
    if refused:
        raise _not_offered(refused[0])


def _not_offered(what: str) -> RequestFailed:
    return RequestFailed(201, f"Order rejected - reason:{what} are not offered by this venue")


def venue_terms(placed: DeskOrder, terms: OrderTerms, parent_id: int | None) -> Terms:
    """Write checked terms for the venue; `parent_id` is the venue's id of the parent."""
    assert terms.account is not None
    return Terms(
        listing_id=placed.listing.id,
        account=terms.account,
        side=terms.side,
        quantity=terms.quantity,
        type=terms.type,
        limit_price=None if terms.to_limit else terms.limit_price,
        stop_price=terms.stop_price,
        trail_amount=terms.trail_amount,
        trail_percent=terms.trail_percent,
        limit_offset=terms.limit_offset,
        tif=terms.tif,
        expire_time=terms.good_till,
        display_quantity=terms.display_quantity,
        client_order_id=terms.order_ref or "",
        parent_id=parent_id,
        oca_group=terms.oco_group or "",
        oca_type=_oca_type(placed.fields) if terms.oco_group else 0,
        exchange=placed.exchange,
        extra=placed,
        hidden=terms.hidden,
        min_quantity=terms.min_quantity,
        all_or_none=terms.all_or_none,
        to_limit=terms.to_limit,
        peg=terms.peg,
        peg_offset=terms.peg_offset,
    )


def changes_of(placed: DeskOrder, order: Order, fields: Mapping[str, Any], terms: OrderTerms) -> Changes:
    """Write what a second placeOrder changes of a live order.

    Raises RequestFailed for what differs and cannot be changed: the order type, but that a market-to-limit order may be
    called the limit order that it has become; the account, the parent, the group; and a cap that is left out, because
    no change can take one away.
    """
    old = order.terms
    is_limit_now = old.to_limit and order.price is not None and terms.type is OrderType.LIMIT and not terms.peg
    if not is_limit_now and (terms.type, terms.to_limit, terms.peg) != (old.type, old.to_limit, old.peg):
        raise RequestFailed(329, "Order modify failed. Cannot change to the new order type.")
    for name, what in _fixed(placed.fields, fields, order):
        raise RequestFailed(105, f"Order being modified does not match original order. {name}: {what}")
    if old.peg and old.limit_price is not None and terms.limit_price is None:
        raise RequestFailed(105, "Order being modified does not match original order. lmtPrice: the cap cannot go")
    return Changes(
        quantity=terms.quantity,
        limit_price=_price_at_rest(placed.fields, order, terms) if old.to_limit else terms.limit_price,
        stop_price=terms.stop_price,
        trail_amount=terms.trail_amount,
        trail_percent=terms.trail_percent,
        limit_offset=terms.limit_offset,
        tif=terms.tif,
        expire_time=terms.good_till,
        client_order_id=terms.order_ref or "",
        display_quantity=terms.display_quantity or _NONE,
        hidden=terms.hidden,
        min_quantity=terms.min_quantity or _NONE,
        all_or_none=terms.all_or_none,
        peg_offset=terms.peg_offset if terms.peg else None,
    )


def _fixed(former: Mapping[str, Any], fields: Mapping[str, Any], order: Order) -> list[tuple[str, str]]:
    """List what is given otherwise than at first and must not be; no account and no parent stand for the old ones."""
    found = []
    for name, now in (("account", order.account), ("parentId", former.get("parentId") or 0)):
        if fields.get(name) and fields[name] != now:
            found.append((name, f"it is {now}"))
    group = former.get("ocaGroup") or ""
    if (fields.get("ocaGroup") or "") != group:
        found.append(("ocaGroup", f"it is {group!r}"))
    elif group and _oca_type(fields) != _oca_type(former):
        found.append(("ocaType", f"it is {_oca_type(former)}"))
    return found


def _oca_type(fields: Mapping[str, Any]) -> int:
    return fields.get("ocaType") or OCA_REDUCE


def _price_at_rest(former: Mapping[str, Any], order: Order, terms: OrderTerms) -> Decimal | None:
    """Return the new limit of a market-to-limit order that has become a limit order; None leaves its own."""
    given = terms.limit_price
    if given is None or order.price is None or given in (former.get("lmtPrice"), order.limit_price):
        return None
    return given
