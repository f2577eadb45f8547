"""Finding an order by any of its ids, among those that the caller may see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from txtrader.errors import BrokerUnavailable, InvalidArgument, NotFound
from txtrader.gateway.blotter import Blotter
from txtrader.gateway.session import Session
from txtrader.model.order import Order, OrderStatus

if TYPE_CHECKING:
    from txtrader.gateway.link import BrokerLink

__all__ = ["find_order", "find_ticket", "link_of"]


def link_of(links: Mapping[str, BrokerLink], order: Order) -> BrokerLink:
    """Return an order's link; a journal may hold orders of a broker that is not there this time."""
    link = links.get(order.mode)
    if link is None:
        raise BrokerUnavailable(f"no broker {order.mode} in this gateway")
    return link


def find_order(blotter: Blotter, session: Session, id: str) -> Order:
    """Find an order by gateway id, permid or client order id among those the caller may see."""
    kind, _, rest = id.partition(":")
    found: dict[str, Order] = {}
    if kind in ("id", "permid", "client") and rest:
        sources, text = [kind], rest
    else:
        sources, text = ["id", "permid", "client"], id
    for source in sources:
        if source == "id":
            order = blotter.orders.get(text)
            matches = [order] if order is not None else []
        elif source == "permid":
            matches = blotter.with_permid(text)
        else:
            matches = blotter.with_client_id(text)
        found.update({order.id: order for order in matches if session.user.sees(order.account)})
    if not found:
        raise NotFound("no such order", path="id")
    if len(found) > 1:
        raise InvalidArgument(
            "names several orders; use the gateway id",
            path="id",
            reason="ambiguous",
            candidates=list(found),
        )
    return next(iter(found.values()))


def find_ticket(blotter: Blotter, session: Session, id: str) -> Order:
    """Find a ticket that is still staged."""
    order = find_order(blotter, session, id)
    if order.order_class != "ticket":
        raise NotFound("no such ticket", path="id")
    if order.status is not OrderStatus.STAGED:
        raise InvalidArgument(f"the ticket is {order.status.value}", path="id", reason="state")
    return order
