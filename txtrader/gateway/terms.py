"""The terms of an order: which belong together, what the instrument allows, and their canonical hash.

Pure functions over parsed terms (the kinds of `commands`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from txtrader.errors import InvalidArgument
from txtrader.model.instrument import Instrument, InstrumentQuery
from txtrader.model.numbers import check_step, plain_text
from txtrader.model.order import Order, OrderRequest, OrderType, TimeInForce

__all__ = ["CARRIED", "REQUESTED", "TERMS", "check_against", "check_route", "check_terms", "digest_of", "request_of"]


TERMS = (
    "side",
    "quantity",
    "type",
    "limit_price",
    "stop_price",
    "trail_amount",
    "trail_percent",
    "limit_offset",
    "tif",
    "good_till",
)
"""What a market sees of an order, and `check_terms` looks at."""

REQUESTED = (
    *TERMS,
    "extended_hours",
    "client_order_id",
    "tag",
    "display_quantity",
    "oco_group",
    "what_if",
    "stage",
    "force",
)
"""The caller's terms that a request takes over as they are."""

CARRIED = (*TERMS, "extended_hours", "client_order_id", "tag", "display_quantity", "oco_group", "route", "route_params")
"""What an order takes over from its request as it is."""


def check_terms(terms: Mapping[str, Any]) -> None:
    """Check that the terms belong together."""
    kind: OrderType = terms["type"]
    for name, needed in (("limit_price", kind.needs_limit), ("stop_price", kind.needs_stop)):
        if needed and name not in terms:
            raise InvalidArgument(f"a {kind.value} order needs it", path=name)
        if not needed and name in terms and not (kind.is_trailing and name == "stop_price"):
            raise InvalidArgument(f"a {kind.value} order has none", path=name)
    trails = [name for name in ("trail_amount", "trail_percent") if name in terms]
    if kind.is_trailing and len(trails) != 1:
        raise InvalidArgument("exactly one of trail_amount and trail_percent", path="trail_amount")
    if not kind.is_trailing and trails:
        raise InvalidArgument(f"a {kind.value} order has none", path=trails[0])
    if ("limit_offset" in terms) != (kind is OrderType.TRAILING_STOP_LIMIT):
        raise InvalidArgument("belongs to TrailingStopLimit, and only there", path="limit_offset")
    tif = terms.get("tif", TimeInForce.DAY)
    if (tif is TimeInForce.GTD) != ("good_till" in terms):
        raise InvalidArgument("belongs to tif GTD, and only there", path="good_till")
    if terms.get("stage") and "tag" not in terms:
        raise InvalidArgument("a ticket needs it", path="tag")
    display = terms.get("display_quantity")
    if display is not None and display > terms["quantity"]:
        raise InvalidArgument("greater than the quantity", path="display_quantity")


def check_against(instrument: Instrument, terms: Mapping[str, Any]) -> None:
    """Check sizes and prices against the instrument's steps and sign rule."""
    check_step(terms["quantity"], instrument.step, "quantity", "quantity step")
    for name in ("limit_price", "stop_price"):
        price = terms.get(name)
        if price is None:
            continue
        if price < 0 and not instrument.allows_negative_prices:
            raise InvalidArgument(f"{instrument.symbol} has no negative prices", path=name)
        check_step(price, instrument.tick_at(price), name, "tick")


def check_route(
    mode: str, routes: Mapping[str, Any], route: str | None, parameters: Mapping[str, Any] | None, home: str | None
) -> None:
    """Check a route against the broker's `routes` ({name: parameter names or none}) before anything is kept.

    An empty table says that the broker does not tell; the instrument's own exchange (`home`) is always one.
    """
    if route is None or not routes:
        return
    if route not in routes and route != home:
        raise InvalidArgument(f"{mode} has no route {route}", path="route", reason="unsupported")
    for name in parameters or ():
        if name not in (routes.get(route) or ()):
            raise InvalidArgument(f"route {route} has no parameter {name}", path=f"route.{route}.{name}")


def digest_of(terms: Mapping[str, Any], account: str) -> str:
    """Hash the canonical parameters: defaults filled in, numbers normalised; `force` and the key itself left out."""
    shown = {
        "tif": TimeInForce.DAY.value,
        "extended_hours": False,
        "stage": False,
        "what_if": False,
        **{name: _canonical(value) for name, value in terms.items() if name not in ("force", "client_order_id")},
        "account": account,
    }
    return hashlib.sha256(json.dumps(shown, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, InstrumentQuery):
        return value.text
    if isinstance(value, (bool, int)) or value is None:
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    return plain_text(value)


def request_of(order: Order) -> OrderRequest:
    """Write an order's present terms as a request: what a replace asks for."""
    assert order.instrument is not None, "modify_order checks it"
    return OrderRequest(
        instrument=order.instrument,
        **{
            name: getattr(order, name)
            for name in OrderRequest.__struct_fields__
            if name in Order.__struct_fields__ and name != "instrument"
        },
    )
