"""What the venue's policies may do to CQG clients: order statuses read and falsified, connections spoiled."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from txtrader.exsim.orders import Order
from txtrader.exsim.policies.actions import Step
from txtrader.exsim.policies.faces import Face, NotOffered, Reading
from txtrader.exsim.policies.gate import order_fields
from txtrader.wire.cqg.values import PriceScale, decimal_of, put_decimal
from txtrader.wire.cqg.words import LogoffReason
from txtrader.wire.cqg.words import TransactionStatus as Transaction

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.cqg.connection import CqgConnection, Sent
    from txtrader.exsim.endpoints.cqg.endpoint import CqgEndpoint

__all__ = ["CqgFace"]

_KINDS: dict[int, str] = {
    Transaction.IN_TRANSIT: "pending",
    Transaction.REJECTED: "rejected",
    Transaction.ACK_PLACE: "ack",
    Transaction.EXPIRED: "expired",
    Transaction.IN_CANCEL: "pending",
    Transaction.ACK_CANCEL: "canceled",
    Transaction.REJECT_CANCEL: "cancel_rejected",
    Transaction.IN_MODIFY: "pending",
    Transaction.ACK_MODIFY: "replaced",
    Transaction.REJECT_MODIFY: "replace_rejected",
    Transaction.FILL: "fill",
    Transaction.SUSPEND: "parked",
    Transaction.FILL_CORRECT: "corrected",
    Transaction.FILL_BUST: "busted",
    Transaction.UPDATE: "restated",
}


class CqgFace(Face):
    """The face of a CQG endpoint: there are no numbers on this wire, and pings have their own control."""

    name = "cqg"
    kinds = frozenset({*_KINDS.values(), "status", "message"})
    offered = frozenset(
        "drop half_open freeze trickle merge lag garbage refuse_connections log_out reject_logon".split()
    )
    endpoint: CqgEndpoint

    def check(self, step: Step, kinds: frozenset[str]) -> None:
        super().check(step, kinds)
        if step.name == "drop" and step["how"] == "half" and self.endpoint.options.tls is not None:
            raise NotOffered("TLS has no direction of its own to close", f"{step.path}.how")

    # -- who is there

    def owner_of(self, connection: CqgConnection) -> str | None:
        session = connection.user_session
        return None if session is None else self.owner_named(session.user)

    @staticmethod
    def owner_named(user: str) -> str:
        """Name a user as the venue's participant."""
        return f"cqg-{user}"

    def owns(self, owner: str) -> bool:
        return owner.startswith("cqg-")

    # -- what is said

    def read(self, connection: CqgConnection, message: Sent) -> Reading:
        fields: dict[str, Any] = {"name": message.name, "session": self.owner_of(connection)}
        statuses = message.message.order_statuses
        if not statuses:
            return Reading("message", fields)
        status = statuses[0]
        order = self._order(status)
        if order is not None:
            fields |= order_fields(order)
        fields |= {"session": self.owner_of(connection), "cumulative": decimal_of(status.fill_qty)}
        kind = "status"
        if status.transaction_statuses and not status.is_snapshot:
            told = status.transaction_statuses[-1]
            kind = _KINDS.get(told.status, "status")
            if told.trades:
                fields |= {"exec_id": told.trades[0].trade_id, "quantity": decimal_of(told.fill_qty)}
        return Reading(kind, fields, order)

    def _order(self, status: Any) -> Order | None:
        chain = self.endpoint.desk.find_chain(status.chain_order_id)
        return None if chain is None else chain.order

    def altered(self, message: Sent, more: dict[str, Any]) -> Sent:
        other = type(message.message)()
        other.CopyFrom(message.message)
        for status in other.order_statuses:
            _add(status.fill_qty, more["cumulative"])
            order = self._order(status)
            if order is None:
                continue
            scale = PriceScale(order.listing.tick)
            for told in status.transaction_statuses:
                for trade in told.trades:
                    _add(told.fill_qty, more["quantity"])
                    _add(trade.qty, more["quantity"])
                    price = scale.price(trade.scaled_price) + more["price"]
                    told.scaled_fill_price = trade.scaled_price = scale.scaled(price)
                    trade.price_correct = float(price)
        return type(message)(other)

    # -- bytes

    def put_outbound(self, connection: CqgConnection, outbound: Any) -> None:
        super().put_outbound(connection, outbound)
        connection.pump.protocol.transport.outbound = outbound

    def half_close(self, connection: CqgConnection) -> None:
        connection.pump.protocol.transport.loseWriteConnection()

    def frames(self, data: bytes) -> list[bytes]:
        """Cut at the frames of WebSocket; the answer to the handshake is one piece."""
        if data.startswith(b"HTTP/"):
            return [data]
        found: list[bytes] = []
        start = 0
        while start < len(data):
            size, head = data[start + 1] & 0x7F, 2
            if size >= 126:
                head = 4 if size == 126 else 10
                size = int.from_bytes(data[start + 2 : start + head], "big")
            found.append(data[start : start + head + size])
            start += head + size
        return found

    # -- the session

    def log_out(self, connection: CqgConnection, text: str) -> None:
        session = connection.user_session
        connection.log_off(LogoffReason.FORCED, text)
        self.endpoint.end_session(session)


def _add(message: Any, more: Decimal) -> None:
    if more:
        put_decimal(message, decimal_of(message) + more)
