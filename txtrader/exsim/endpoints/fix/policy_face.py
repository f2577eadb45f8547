"""What the venue's policies may do to FIX clients: reports read and falsified, numbers, frames, heartbeats."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any, cast

from txtrader.dialects import fix as dialect
from txtrader.exsim.endpoints.fix.endpoint import FixConnection, FixEndpoint, Sent
from txtrader.exsim.endpoints.fix.owners import identity_of, owner_of
from txtrader.exsim.policies.conditions import REPORTS
from txtrader.exsim.policies.faces import Face, Reading
from txtrader.exsim.policies.gate import order_fields
from txtrader.exsim.venue import Venue
from txtrader.wire.fix.message import Message

__all__ = ["FixFace"]

_KINDS = {
    "0": "ack",
    "A": "pending",
    "6": "pending",
    "E": "pending",
    "8": "rejected",
    "F": "fill",
    "1": "fill",
    "2": "fill",
    "H": "busted",
    "G": "corrected",
    "4": "canceled",
    "5": "replaced",
    "C": "expired",
    "D": "restated",
    "L": "activated",
    "9": "parked",
    "I": "status",
}
_TRANSACTIONS = {"1": "busted", "2": "corrected", "3": "status"}  # 20 of version 4.2
_FIGURES = {"cumulative": (14,), "quantity": (32, 271), "price": (31, 270)}
_END = b"\x0110="


class FixFace(Face):
    """The face of a FIX endpoint; it can do everything."""

    name = "fix"
    kinds = frozenset(REPORTS) - {"commission"}
    offered = frozenset(
        "drop half_open freeze trickle merge lag garbage refuse_connections log_out reject_logon skip_numbers"
        " repeat_numbers reset_numbers demand_resend stop_heartbeats ignore_tests spoil".split()
    )
    endpoint: FixEndpoint

    def __init__(self, endpoint: FixEndpoint, venue: Venue) -> None:
        super().__init__(endpoint, endpoint.reactor)
        self._venue = venue

    # -- who is there

    def owner_of(self, connection: FixConnection) -> str | None:
        identity = connection.identity
        return None if identity is None else owner_of(identity)

    def owns(self, owner: str) -> bool:
        return identity_of(owner) is not None

    # -- what is said

    def read(self, connection: FixConnection, message: Sent) -> Reading:
        """Read a message; each of its fields is there under its tag as well (`"38"`)."""
        said = message.message
        fields: dict[str, Any] = {str(tag): value for tag, value in reversed(said.fields)}
        number = said.get(37, "") or ""
        order = self._venue.order(int(number)) if number.isdigit() else None
        if order is not None:
            fields.update(order_fields(order))
        fields |= {"name": said.type, "session": self.owner_of(connection), "exec_id": said.get(17)}
        fields |= {"client_order_id": said.get(11), "cumulative": said.get(14), "text": said.get(58)}
        kind = {"W": "snapshot", "X": "increment"}.get(said.type, "message")
        if said.type == "9":
            kind = "cancel_rejected" if said.get(434) == "1" else "replace_rejected"
        elif said.type == "8":
            kind = _TRANSACTIONS.get(said.get(20) or "") or _KINDS.get(said.get(150) or "", "message")
            if kind == "restated" and said.get(378) is None:
                kind = "activated"
        if kind in ("fill", "busted", "corrected"):
            fields |= {"quantity": said.get(32), "price": said.get(31)}
        fields.setdefault("symbol", said.get(55))
        return Reading(kind, fields, order)

    def altered(self, message: Sent, more: dict[str, Any]) -> Sent:
        said = message.message
        added = {tag: more[name] for name, tags in _FIGURES.items() for tag in tags if more[name]}
        fields = [
            (tag, dialect.number_to_wire(Decimal(value) + added[tag]) if tag in added else value)
            for tag, value in said.fields
        ]
        return Sent(Message(said.type, fields))

    # -- bytes

    def frames(self, data: bytes) -> list[bytes]:
        found: list[bytes] = []
        start = 0
        while (end := data.find(_END, start)) >= 0:
            stop = data.index(b"\x01", end + len(_END)) + 1
            found.append(data[start:stop])
            start = stop
        return found if start == len(data) else [*found, data[start:]]

    def begin_again(self) -> None:
        """Let numbers begin at 1; who is there is told by a logon with 141=Y."""
        for connection in list(self.endpoint.connections):
            if connection.session.is_logged_on:
                connection.session.reset()
                connection.pump.flush()
        self.endpoint.forget_numbers(but_for=self.endpoint.by_identity)

    def forget_numbers(self) -> None:
        self.endpoint.forget_numbers()

    # -- the session

    def log_out(self, connection: FixConnection, text: str) -> None:
        connection.log_out(text)

    def skip_numbers(self, connection: FixConnection, count: int) -> None:
        cast(Any, connection.session.store).next_number += count

    def repeat_numbers(self, connection: FixConnection, count: int) -> None:
        store = cast(Any, connection.session.store)
        store.next_number = max(1, store.next_number - count)

    def reset_numbers(self, connection: FixConnection) -> None:
        cast(Any, connection.session.store).next_number = 1

    def demand_resend(self, connection: FixConnection, begin: int, times: int) -> None:
        for _ in range(times):
            connection.session.ask_again(begin)
        connection.pump.flush()

    def stop_heartbeats(self, connection: FixConnection) -> None:
        self._omit(connection, lambda message: message.type == "0" and message.get(112) is None)

    def ignore_tests(self, connection: FixConnection) -> None:
        self._omit(connection, lambda message: message.type == "0" and message.get(112) is not None)

    @staticmethod
    def _omit(connection: FixConnection, fits: Callable[[Message], bool]) -> None:
        before = connection.session.omits
        connection.session.omits = fits if before is None else lambda message: before(message) or fits(message)

    def spoil(self, connection: FixConnection, what: str, tag: int, count: int) -> None:
        connection.spoils.extend([partial(_spoiled, what, tag)] * count)


def _spoiled(what: str, tag: int, frame: bytes) -> bytes:
    """Return a frame with a fault of form; but for a wrong length or checksum both are right."""
    fields = frame.split(b"\x01")[:-1]
    if what == "checksum":
        return frame[:-4] + b"%03d\x01" % ((int(frame[-4:-1]) + 1) % 256)
    body = fields[2:-1]
    version = b"8=FIX.9.9" if what == "version" else fields[0]
    replaced = {"time": (b"52=", b"52=19700101-00:00:00.000"), "type": (b"35=", b"35=ZZ")}
    if what in replaced:
        start, other = replaced[what]
        body = [other if field.startswith(start) else field for field in body]
    elif what == "field":
        body = [field for field in body if not field.startswith(b"%d=" % tag)]
    size = sum(len(field) + 1 for field in body) + (what == "length")
    text = b"\x01".join([version, b"9=%d" % size, *body]) + b"\x01"
    return text + b"10=%03d\x01" % (sum(text) % 256)
