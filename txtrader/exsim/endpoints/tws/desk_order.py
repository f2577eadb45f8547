"""An order as TWS knows it: its two ids, and the fields it was placed with."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from txtrader.exsim.orders import Order
from txtrader.exsim.records import Listing
from txtrader.model.order import OrderStatus
from txtrader.wire.tws.message import Message
from txtrader.wire.tws.table import MAX_VERSION, REQUESTS

__all__ = ["DeskOrder", "fields_from_state", "order_id_of", "order_to_state", "perm_id_of"]

_PERM_BASE = 1_100_000_000  # ids of the venue stay below 0.9 billion: the sum fits 32 bits
ZERO = Decimal(0)


def perm_id_of(venue_id: int) -> int:
    """Return the permanent id of an order of the venue."""
    return _PERM_BASE + venue_id


def order_id_of(perm_id: int) -> int:
    """Return the order of the venue that has a permanent id."""
    return perm_id - _PERM_BASE


class DeskOrder:
    """One order of a client, or one that came into the venue by another way (client 0, order id 0 until bound).

    `fields` are those of placeOrder, as last accepted, or asked for while `former` keeps the accepted ones.  `order` is
    the venue's; None while it is not transmitted.
    """

    __slots__ = (
        "client_id",
        "exchange",
        "fields",
        "former",
        "is_bound",
        "listing",
        "number",
        "order",
        "order_id",
        "words",
    )

    def __init__(
        self, number: int, client_id: int, order_id: int, fields: dict[str, Any], listing: Listing, exchange: str
    ) -> None:
        self.number = number
        self.client_id = client_id
        self.order_id = order_id
        self.fields = fields
        self.listing = listing
        self.exchange = exchange
        self.order: Order | None = None
        self.is_bound = order_id > 0
        self.former: dict[str, Any] | None = None
        self.words = ""  # what openOrder says when the status alone does not: a rejection's reason

    @property
    def is_api(self) -> bool:
        """Tell whether an API client placed it."""
        return self.order_id > 0

    @property
    def perm_id(self) -> int:
        return perm_id_of(self.order.id) if self.order is not None else 0

    @property
    def status(self) -> str:
        """The status in the words of TWS."""
        order = self.order
        if order is None:
            return "PendingSubmit"
        match order.status:
            case OrderStatus.FILLED:
                return "Filled"
            case OrderStatus.CANCELED | OrderStatus.EXPIRED:
                return "Cancelled"
            case OrderStatus.REJECTED:
                return "Inactive"
            case OrderStatus.PENDING_NEW:
                return "PendingSubmit"
            case _:
                return "PreSubmitted" if order.held else "Submitted"

    @property
    def why_held(self) -> str:
        order = self.order
        if order is None or not order.is_open:
            return ""
        return {"parent": "child", "trigger": "trigger"}.get(order.held, "")

    @property
    def filled(self) -> Decimal:
        return self.order.filled if self.order is not None else ZERO

    @property
    def remaining(self) -> Decimal:
        """What is not filled; a cancelled order keeps it, as at TWS."""
        if self.order is None:
            return Decimal(self.fields["totalQuantity"])
        return max(self.order.quantity - self.order.filled, ZERO)


def order_to_state(extra: Any) -> dict[str, Any] | None:
    """Turn what the desk hung on an order into plain data: the fields are kept as the message they came in."""
    if not isinstance(extra, DeskOrder):
        return None
    accepted = extra.fields if extra.former is None else extra.former
    body = REQUESTS.encode(Message("placeOrder", accepted), MAX_VERSION)
    return {
        "wire": "tws",
        "client_id": extra.client_id,
        "order_id": extra.order_id,
        "exchange": extra.exchange,
        "body": body.decode("utf-8"),
    }


def fields_from_state(state: dict[str, Any]) -> dict[str, Any]:
    """Return the placeOrder fields of a restored order."""
    message, _ = REQUESTS.decode(state["body"].encode("utf-8"), MAX_VERSION)
    return message.fields
