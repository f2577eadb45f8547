"""Drop copies over FIX: execution reports of other sessions, in their order, under numbers of their own.

A client of this endpoint enters nothing.  From its first logon on it is told what the venue tells others; what happens
while it is away waits in its store, and comes with the resend that it asks for.
"""

from __future__ import annotations

from collections.abc import Collection

from txtrader.exsim.endpoints.fix.endpoint import FixConnection, FixEndpoint
from txtrader.exsim.endpoints.fix.reports import REPRICED, Chain, Event, execution_report, instrument_of
from txtrader.exsim.listeners import OrderListener
from txtrader.exsim.orders import Order
from txtrader.exsim.records import ExecKind, Fill, Refusal
from txtrader.exsim.venue import Venue
from txtrader.wire.fix.dictionary import dictionary
from txtrader.wire.fix.message import Message
from txtrader.wire.fix.session import Identity

__all__ = ["DropCopy"]

_COPY = 797  # CopyMsgIndicator; 4.2 does not have it


class DropCopy(OrderListener):
    """The application of a drop copy endpoint, and the venue's observer for it.

    `copies_of` are the participants (owners) whose reports are copied; None is everybody.
    """

    def __init__(self, venue: Venue, copies_of: Collection[str] | None = None) -> None:
        self._venue = venue
        self._copies_of = copies_of
        self._endpoint: FixEndpoint | None = None
        self._readers: dict[Identity, None] = {}
        self._reports = 0

    def attach(self, endpoint: FixEndpoint) -> None:
        """Take the endpoint that carries what is told; once, before it starts."""
        self._endpoint = endpoint
        self._venue.add_observer(self)

    def logged_on(self, connection: FixConnection) -> None:
        """Copy to this client from now on, whether it is connected or not."""
        assert connection.identity is not None
        self._readers[connection.identity] = None

    def lost(self, connection: FixConnection) -> None:
        """Nothing ends: what is copied waits."""

    def received(self, connection: FixConnection, message: Message) -> None:
        if message.type not in ("3", "j"):
            connection.refuse_type(message)

    def _copy(self, order: Order, event: Event) -> None:
        if self._endpoint is None or (self._copies_of is not None and order.owner not in self._copies_of):
            return
        for identity in self._readers:
            version = dictionary(identity.begin_string).version
            self._reports += 1
            exec_id = event.fill.exec_id if event.fill is not None else f"C{self._reports}"
            chain = Chain(order.client_order_id or str(order.id), instrument_of(order, version))
            report = execution_report(order, chain, event, exec_id, version, self._venue.now_ns())
            if version != "4.2":
                report.add(_COPY, "Y")
            self._endpoint.send(identity, report)

    # -- the venue's facts

    def order_accepted(self, order: Order) -> None:
        self._copy(order, Event(kind="0"))

    def order_rejected(self, order: Order, refusal: Refusal) -> None:
        self._copy(order, Event(kind="8", refusal=refusal))

    def order_parked(self, order: Order) -> None:
        self._copy(order, Event(kind="9"))

    def order_filled(self, order: Order, fill: Fill) -> None:
        self._copy(order, Event(kind="F", fill=fill))

    def order_replaced(self, order: Order) -> None:
        self._copy(order, Event(kind="5"))

    def order_restated(self, order: Order, reason: Refusal) -> None:
        self._copy(order, Event(kind="D", text=reason.text, restated="5"))

    def order_repriced(self, order: Order) -> None:
        self._copy(order, REPRICED)

    def order_canceled(self, order: Order, reason: Refusal) -> None:
        self._copy(order, Event(kind="4", text=reason.text))

    def order_expired(self, order: Order) -> None:
        self._copy(order, Event(kind="C"))

    def fill_corrected(self, order: Order, fill: Fill) -> None:
        self._copy(order, Event(kind="H" if fill.kind is ExecKind.BUST else "G", fill=fill))
