"""What the venue's policies may do to OUCH clients: messages read and falsified, packets, numbers, the session.

What is said to a user goes through the policies on its way into his stream, whether he is there or not: who comes back
and asks for old numbers reads what he was told, false or not.  What is done to a connection is done to that alone.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from txtrader.dialects.ouch import price_from_wire
from txtrader.exsim.endpoints.ouch.faulty_session import SPOILS, packets_in
from txtrader.exsim.endpoints.ouch.members import Member, Sent, user_of
from txtrader.exsim.policies.actions import Step
from txtrader.exsim.policies.faces import Face, NotOffered, Reading
from txtrader.exsim.policies.gate import order_fields
from txtrader.wire.ouch.codec import OuchMessage

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.ouch.endpoint import OuchConnection, OuchEndpoint
    from txtrader.exsim.orders import Order

__all__ = ["OuchFace"]

_KINDS = {
    "Accepted": "ack",
    "Replaced": "replaced",
    "OrderModified": "replaced",
    "Canceled": "canceled",
    "AIQCanceled": "canceled",
    "Executed": "fill",
    "ExecutedWithReferencePrice": "fill",
    "TradeCorrection": "corrected",
    "PriceCorrection": "corrected",
    "BrokenTrade": "busted",
    "Rejected": "rejected",
    "CancelPending": "pending",
    "CancelReject": "cancel_rejected",
    "OrderPriorityUpdate": "restated",
    "OrderRestated": "restated",
}
_EXPIRED = ("T", "E")  # reasons of a Canceled: the order's time, the day
_NEEDS_42 = frozenset({"corrected"})  # 5.0 breaks the trade and tells another one
_NAMES = ("token", "replacement_token", "user_ref")
_QUANTITIES, _PRICES = ("shares", "quantity", "decrement"), ("exec_price", "new_price", "price")
_SCALE = 10_000
_REASONS = ("A", "S")
_NUMBERS = ("skip_numbers", "repeat_numbers", "reset_numbers")


class OuchFace(Face):
    """The face of an OUCH endpoint: both ends count the messages, and no number is on the wire."""

    name = "ouch"
    offered = frozenset(
        "drop half_open freeze trickle merge lag garbage refuse_connections log_out reject_logon skip_numbers"
        " repeat_numbers reset_numbers stop_heartbeats spoil".split()
    )
    endpoint: OuchEndpoint

    def __init__(self, endpoint: OuchEndpoint, clock: Any) -> None:
        super().__init__(endpoint, clock)
        self.kinds = self.kinds_of(endpoint.options.version)

    @staticmethod
    def kinds_of(version: str) -> frozenset[str]:
        """Return the types of reports that a version has."""
        found = frozenset({*_KINDS.values(), "expired", "replace_rejected", "message"})
        return found if version == "4.2" else found - _NEEDS_42

    def check(self, step: Step, kinds: frozenset[str]) -> None:
        super().check(step, kinds)
        version = self.endpoint.options.version
        if step.name == "pend" and (silent := sorted(kinds & {"new", "replace"})):
            raise NotOffered(f"ouch has no word for a pending {silent[0]}", f"{step.path}.do")
        if step.name == "withhold" and step["until"] == "asked" and version == "4.2":
            raise NotOffered("nobody asks how orders stand in ouch 4.2", f"{step.path}.until")
        if step.name == "spoil" and step["what"] not in SPOILS:
            raise NotOffered(f"a packet of ouch has no {step['what']}", f"{step.path}.what")
        if step.name in _NUMBERS and "connect" in kinds:
            raise NotOffered("nothing is numbered before the login", f"{step.path}.do")
        if step.name in ("alter", "repeat_altered"):
            self._check_figures(step, kinds)

    @staticmethod
    def _check_figures(step: Step, kinds: frozenset[str]) -> None:
        """Refuse figures that are not told, or not so finely."""
        if step["cumulative"]:
            raise NotOffered("ouch tells no sum of what is done", f"{step.path}.cumulative")
        if step["quantity"] % 1:
            raise NotOffered("ouch has whole shares", f"{step.path}.quantity")
        if step["price"] * _SCALE % 1:
            raise NotOffered("ouch has prices of four decimals", f"{step.path}.price")
        if step["price"] and "canceled" in kinds:
            raise NotOffered("a Canceled has no price", f"{step.path}.price")

    def check_link(self, kind: str, path: str) -> None:
        if kind == "status_request" and self.endpoint.options.version == "4.2":
            raise NotOffered("nobody asks how orders stand in ouch 4.2", path)

    # -- who is there

    def owner_of(self, connection: OuchConnection | Member) -> str | None:
        return connection.owner

    def owns(self, owner: str) -> bool:
        return user_of(owner) is not None

    def connection_of(self, client: OuchConnection | Member) -> OuchConnection | None:
        return client.connection if isinstance(client, Member) else client

    # -- what is said

    def read(self, connection: Member, message: Sent) -> Reading:
        """Read a message; each of its fields is there by its name, unless ours has that name for all wires."""
        said, order = message.message, message.order or self._order_named(connection, message.message)
        fields: dict[str, Any] = dict(said.fields)
        kind = message.meaning or _KINDS.get(said.name, "message")
        if said.name == "Canceled" and said["reason"] in _EXPIRED:
            kind = "expired"
        if order is not None:
            fields |= order_fields(order)
        fields |= {"name": said.name, "session": connection.owner, "exec_id": message.exec_id}
        if (named := _first(said, _NAMES)) is not None:
            fields["client_order_id"] = str(named)
        if kind in ("fill", "corrected", "canceled", "expired") and (told := _first(said, _QUANTITIES)) is not None:
            fields["quantity"] = told
        if kind in ("fill", "corrected") and (price := _first(said, _PRICES)) is not None:
            fields["price"] = price_from_wire(price)
        return Reading(kind, fields, order)

    @staticmethod
    def _order_named(member: Member, said: OuchMessage) -> Order | None:
        """Return the live order that a message names, where nobody said which it is about."""
        named = _first(said, _NAMES)
        record = member.live.get(named if isinstance(named, str) else (said.tag("user_ref_idx", 0), named))
        return None if record is None else record.order

    def altered(self, message: Sent, more: dict[str, Any]) -> Sent:
        """Return a copy with other figures; none is below 0, or above what its field holds."""
        said = message.message
        fields = dict(said.fields)
        for names, added in ((_QUANTITIES, more["quantity"]), (_PRICES, more["price"] * _SCALE)):
            for name in names:
                if added and name in fields:
                    largest = self.endpoint.codec.largest(said.name, name)
                    fields[name] = min(max(0, int(Decimal(fields[name]) + added)), largest)
        return message.instead(OuchMessage(said.name, fields, said.tags))

    # -- bytes

    def frames(self, data: bytes) -> list[bytes]:
        return packets_in(data)

    def begin_again(self) -> None:
        """Let the day end and another one begin: who is there is told, and logs in to its session."""
        if self.endpoint.is_open:
            self.endpoint.end_day()
            self.endpoint.start_day()

    def forget_numbers(self) -> None:
        self.endpoint.forget_streams()

    # -- the session

    def reject(self, connection: OuchConnection, text: str) -> None:
        """Refuse a login: by the reason A or S, or by A, with the words in a debug packet before it."""
        if text not in _REASONS:
            connection.session.send_debug(text)
        connection.session.refuse(text if text in _REASONS else "A")

    def log_out(self, connection: OuchConnection, text: str) -> None:
        connection.log_out(text)

    def skip_numbers(self, connection: OuchConnection, count: int) -> None:
        connection.pump.push()
        connection.session.skip(count)

    def repeat_numbers(self, connection: OuchConnection, count: int) -> None:
        connection.pump.push()
        connection.session.repeat(count)
        connection.flush()

    def reset_numbers(self, connection: OuchConnection) -> None:
        connection.pump.push()
        connection.session.repeat()
        connection.flush()

    def stop_heartbeats(self, connection: OuchConnection) -> None:
        connection.session.stop_heartbeats()

    def spoil(self, connection: OuchConnection, what: str, tag: int, count: int) -> None:
        connection.pump.push()
        connection.session.spoil(what, count)


def _first(said: OuchMessage, names: tuple[str, ...]) -> Any:
    """Return the value of the first of some fields that a message has; None where it has none of them."""
    return next((said[name] for name in names if name in said.fields), None)
