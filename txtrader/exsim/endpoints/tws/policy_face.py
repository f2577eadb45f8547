"""What the venue's policies may do to API clients: messages about orders read and falsified, connections spoiled.

TWS says the same with openOrder and orderStatus of an order that was accepted, changed or activated: an `ack`, or a
`status` once something is filled.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from txtrader.exsim.endpoints.tws.desk_order import DeskOrder, order_id_of
from txtrader.exsim.endpoints.tws.owners import owner_of
from txtrader.exsim.orders import Order
from txtrader.exsim.policies.actions import Step
from txtrader.exsim.policies.faces import Face, NotOffered, Reading
from txtrader.exsim.policies.gate import order_fields
from txtrader.model.order import OrderStatus
from txtrader.wire.tws.message import Message

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.tws.connection import TwsConnection
    from txtrader.exsim.endpoints.tws.endpoint import TwsEndpoint

__all__ = ["TwsFace"]

_FIGURES = {"cumulative": ("cumQty", "filled"), "quantity": ("shares",), "price": ("price",)}
_ERRORS = {
    201: "rejected",
    202: "canceled",
    10147: "cancel_rejected",
    10148: "cancel_rejected",
    104: "replace_rejected",
}
_STATUS_REQUESTS = frozenset({"reqOpenOrders", "reqAllOpenOrders", "reqCompletedOrders", "reqExecutions"})
_RESET = 1300
_FIRST_REVISION = "01"


class TwsFace(Face):
    """The face of a TWS endpoint: there are no numbers and no heartbeats on this wire."""

    name = "tws"
    kinds = frozenset(
        "ack pending rejected fill busted corrected canceled expired cancel_rejected replace_rejected status commission"
        " message".split()
    )
    offered = frozenset(
        "drop half_open freeze trickle merge lag garbage refuse_connections log_out reject_logon".split()
    )
    endpoint: TwsEndpoint

    def check(self, step: Step, kinds: frozenset[str]) -> None:
        super().check(step, kinds)
        if step.name == "pend" and "replace" in kinds:
            raise NotOffered("tws has no word for a change that is pending", f"{step.path}.do")

    # -- who is there

    def owner_of(self, connection: TwsConnection) -> str | None:
        return None if connection.client_id is None else owner_of(connection.client_id)

    def owns(self, owner: str) -> bool:
        return owner.startswith("tws-")

    def is_status_request(self, name: str) -> bool:
        """Tell whether a request asks how orders stand."""
        return name in _STATUS_REQUESTS

    # -- what is said

    def read(self, connection: TwsConnection, message: Message) -> Reading:
        fields: dict[str, Any] = {name: value for name, value in message.fields.items() if value is not None}
        order, kind = self._meaning(connection, message)
        if order is not None:
            fields |= order_fields(order)
        fields |= {"name": message.name, "session": self.owner_of(connection)}
        if message.name == "execDetails":
            fields |= {"exec_id": message["execId"], "quantity": message["shares"], "price": message["price"]}
            fields["cumulative"] = message["cumQty"]
        return Reading(kind, fields, order)

    def _meaning(self, connection: TwsConnection, message: Message) -> tuple[Order | None, str]:
        if message.name == "execDetails":
            kind = "fill"
            if message["execId"].rpartition(".")[2] != _FIRST_REVISION:
                kind = "corrected" if message["shares"] else "busted"
            return self._order(message["permId"]), kind
        if message.name in ("openOrder", "orderStatus"):
            order = self._order(message["permId"])
            return order, _kind_of_status(message["status"], order)
        if message.name == "commissionReport":
            fills = self.endpoint.venue.fills()
            fill = next((fill for fill in reversed(fills) if fill.exec_id == message["execId"]), None)
            return None if fill is None else self.endpoint.venue.order(fill.order_id), "commission"
        if message.name == "error" and connection.client_id is not None:
            placed: DeskOrder | None = self.endpoint.desk.find(connection.client_id, message["reqId"])
            if placed is not None and placed.order is not None:
                return placed.order, _ERRORS.get(message["errorCode"], "message")
        return None, "message"

    def _order(self, perm_id: int) -> Order | None:
        return self.endpoint.venue.order(order_id_of(perm_id))

    def altered(self, message: Message, more: dict[str, Any]) -> Message:
        fields = dict(message.fields)
        for figure, names in _FIGURES.items():
            for name in names:
                if more[figure] and isinstance(fields.get(name), Decimal | int):
                    fields[name] += more[figure]
        return Message(message.name, fields)

    # -- bytes

    def frames(self, data: bytes) -> list[bytes]:
        found: list[bytes] = []
        start = 0
        while start < len(data):
            end = start + 4 + int.from_bytes(data[start : start + 4], "big")
            found.append(data[start:end])
            start = end
        return found

    # -- the session

    def log_out(self, connection: TwsConnection, text: str) -> None:
        """Say 1300, as TWS does before it drops its clients."""
        connection.error(-1, _RESET, text)
        connection.close()


def _kind_of_status(status: str, order: Order | None) -> str:
    if status in ("PendingSubmit", "PendingCancel"):
        return "pending"
    if status == "Cancelled":
        return "expired" if order is not None and order.status is OrderStatus.EXPIRED else "canceled"
    if status == "Inactive":
        return "rejected"
    return "ack" if status != "Filled" and order is not None and not order.filled else "status"
