"""The order desk: which order is whose, who hears of it, and the venue's facts as messages.

One desk serves all clients and outlives them.  An order of a client is known by (client id, order id), to the venue by
its own id, and for ever by its permanent id.  Orders that came into the venue by another way appear as those made by
hand in TWS do: client 0, order id 0 until client 0 binds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from txtrader.exsim.endpoints.tws.desk_order import DeskOrder, fields_from_state
from txtrader.exsim.endpoints.tws.order_messages import OrderMessages, fields_of
from txtrader.exsim.endpoints.tws.owners import owner_of
from txtrader.exsim.listeners import OrderListener
from txtrader.exsim.orders import Order
from txtrader.exsim.records import Commission, Fill, Holding, Reason, Refusal

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.tws.connection import TwsConnection
    from txtrader.exsim.endpoints.tws.endpoint import TwsEndpoint

__all__ = ["OrderDesk", "owner_of", "refusal_code"]

OCA_REDUCE = 3


_CODES: dict[Reason, int] = {
    Reason.UNKNOWN_INSTRUMENT: 200,
    Reason.PRICE_TICK: 110,
    Reason.TOO_LATE: 104,
    Reason.UNKNOWN_ACCOUNT: 203,
}


def refusal_code(refusal: Refusal) -> int:
    """Return TWS's code for why the venue refused an order; 201 is the general one."""
    return _CODES.get(refusal.reason, 201)


def refusal_text(refusal: Refusal) -> str:
    """Say a refusal in the form of TWS."""
    code = refusal_code(refusal)
    if code == 110:
        return f"The price does not conform to the minimum price variation for this contract. ({refusal.text})"
    return f"Order rejected - reason:{refusal.text}" if code == 201 else refusal.text


class OrderDesk(OrderListener):
    """All orders of one endpoint, and the venue's observer for them."""

    def __init__(self, endpoint: TwsEndpoint) -> None:
        self.endpoint = endpoint
        self.messages = OrderMessages(endpoint.listings, endpoint.zone)
        self._by_key: dict[tuple[int, int], DeskOrder] = {}
        self._by_venue_id: dict[int, DeskOrder] = {}
        self._next_ids: dict[int, int] = {}
        self._first_id = 1
        self._numbers = 0
        self._bound = 0
        self.asking: DeskOrder | None = None  # whose request is being made: its refusal is the answer to that

    # -- ids

    def next_order_id(self, client_id: int) -> int:
        """Return the next valid order id of a client."""
        return self._next_ids.get(client_id, self._first_id)

    def use_id(self, client_id: int, order_id: int) -> None:
        """Remember that a client has used an id."""
        self._next_ids[client_id] = max(self.next_order_id(client_id), order_id + 1)

    def restart(self, next_valid_id: int | None) -> None:
        """Forget what was never transmitted; with a number, give out ids from there again."""
        for key, placed in list(self._by_key.items()):
            if placed.order is None or (next_valid_id is not None and key[1] >= next_valid_id):
                del self._by_key[key]
        if next_valid_id is not None:
            self._next_ids.clear()
            self._first_id = next_valid_id

    # -- finding

    def find(self, client_id: int, order_id: int) -> DeskOrder | None:
        """Return the order that a client means by an id; client 0 also means bound ones."""
        return self._by_key.get((client_id, order_id))

    def waiting(self, client_id: int) -> list[DeskOrder]:
        """List a client's orders that are not transmitted yet, oldest first."""
        found = [p for (owner, _), p in self._by_key.items() if owner == client_id and p.order is None]
        return sorted(found, key=lambda placed: placed.number)

    def live(self, client_id: int | None = None) -> list[DeskOrder]:
        """List live orders of one client or of everyone, in order of entry."""
        orders = self.endpoint.venue.live_orders()
        found = [self.placed_of(order) for order in orders if order.account in self.endpoint.accounts]
        return [placed for placed in found if client_id is None or placed.client_id == client_id]

    def placed_of(self, order: Order) -> DeskOrder:
        """Return what the desk knows of an order of the venue, adopting a strange one."""
        placed = self._by_venue_id.get(order.id)
        if placed is None:
            extra = order.extra
            if isinstance(extra, DeskOrder):
                placed = extra
            elif isinstance(extra, dict) and extra.get("wire") == "tws":
                placed = self._restored(order, extra)
            else:
                exchange = order.terms.exchange or self.endpoint.listings.default_exchange(order.listing)
                placed = self.new_order(0, 0, fields_of(order), order.listing, exchange)
            placed.order = order
            self._by_venue_id[order.id] = placed
        return placed

    def restore(self) -> None:
        """Take up the orders that the venue remembers from before it was restarted."""
        for order in [*self.endpoint.venue.completed_orders(), *self.endpoint.venue.live_orders()]:
            self.placed_of(order)

    def _restored(self, order: Order, state: dict[str, Any]) -> DeskOrder:
        placed = self.new_order(
            state["client_id"], state["order_id"], fields_from_state(state), order.listing, state["exchange"]
        )
        order.extra = placed
        self.keep(placed)
        self.use_id(placed.client_id, placed.order_id)
        return placed

    # -- keeping

    def new_order(
        self, client_id: int, order_id: int, fields: dict[str, Any], listing: Any, exchange: str
    ) -> DeskOrder:
        """Make the record of an order; it is not kept yet."""
        self._numbers += 1
        return DeskOrder(self._numbers, client_id, order_id, fields, listing, exchange)

    def keep(self, placed: DeskOrder) -> None:
        """Let an order be found by its client's id."""
        self._by_key[(placed.client_id, placed.order_id)] = placed

    def discard(self, placed: DeskOrder) -> None:
        """Forget an order that never came to the venue."""
        self._by_key.pop((placed.client_id, placed.order_id), None)

    def bind(self, placed: DeskOrder) -> None:
        """Give an order made by hand an id by which client 0 can change and cancel it: a negative one."""
        if not placed.is_bound:
            self._bound += 1
            placed.order_id = -self._bound
            placed.is_bound = True
            self.keep(placed)

    # -- who hears

    def hearers(self, placed: DeskOrder) -> Sequence[TwsConnection]:
        """List the connections that hear of an order: its client's, the master's, for manual ones the binding one."""
        found: list[TwsConnection] = []
        if placed.fields["account"] not in self.endpoint.accounts:
            return found
        for connection in self.endpoint.active():
            if placed.is_api:
                hears = connection.client_id == placed.client_id
            else:
                hears = connection.client_id == 0 and connection.binds_orders
            if hears or connection.is_master:
                found.append(connection)
        return found

    def send_open_orders(self, connection: TwsConnection) -> None:
        """Send a client its own live orders."""
        assert connection.client_id is not None
        for placed in self.live(connection.client_id):
            if placed.is_api:
                self.send_order(placed, [connection])

    def send_order(
        self, placed: DeskOrder, hearers: Iterable[TwsConnection], *, status: str | None = None, is_fresh: bool = False
    ) -> None:
        """Send openOrder and orderStatus."""
        opened = self.messages.open_order(placed, status=status)
        said = self.messages.status(placed, status=status, is_fresh=is_fresh)
        for connection in hearers:
            with connection.together():
                connection.send("openOrder", **opened)
                connection.send("orderStatus", **said)

    def send_fill(self, placed: DeskOrder, fill: Fill, connection: TwsConnection, req_id: int = -1) -> None:
        """Send one execution."""
        connection.send("execDetails", **self.messages.execution(placed, fill, req_id, connection.version))

    # -- the venue's facts

    def order_accepted(self, order: Order) -> None:
        placed = self.placed_of(order)
        hearers = self._prepare(placed)
        self.send_order(placed, hearers, status="PreSubmitted", is_fresh=True)
        if not order.held:
            self.send_order(placed, hearers, status="Submitted", is_fresh=True)

    def request_pending(self, order: Order, request: str) -> None:
        status = {"new": "PendingSubmit", "cancel": "PendingCancel"}.get(request)
        if status is not None:
            placed = self.placed_of(order)
            self.send_order(placed, self.hearers(placed), status=status)

    def order_rejected(self, order: Order, refusal: Refusal) -> None:
        placed = self.placed_of(order)
        placed.words = refusal.text
        code = refusal_code(refusal)
        hearers = self.hearers(placed)
        if code == 201:
            # A risk rejection is an order that is known, but inactive; other refusals are of requests.
            self.send_order(placed, hearers)
        for connection in hearers:
            connection.error(placed.order_id, code, refusal_text(refusal))

    def order_activated(self, order: Order) -> None:
        placed = self.placed_of(order)
        self.send_order(placed, self.hearers(placed))

    def order_filled(self, order: Order, fill: Fill) -> None:
        placed = self.placed_of(order)
        hearers = self.hearers(placed)
        for connection in hearers:
            self.send_fill(placed, fill, connection)
        self.send_order(placed, hearers)

    def commission_charged(self, order: Order, commission: Commission) -> None:
        placed = self.placed_of(order)
        for connection in self.hearers(placed):
            connection.send("commissionReport", **self.messages.commission(commission))

    def order_replaced(self, order: Order) -> None:
        placed = self.placed_of(order)
        if placed.former is None:  # somebody else has changed it
            placed.fields = {**placed.fields, **fields_of(order), "action": placed.fields["action"]}
        placed.former = None
        self.send_order(placed, self.hearers(placed))

    def cancel_rejected(self, order: Order, refusal: Refusal) -> None:
        placed = self.placed_of(order)
        if placed is not self.asking:  # it was asked a while ago
            text = f"OrderId {placed.order_id} that needs to be cancelled cannot be cancelled, state: {placed.status}."
            self._refuse(placed, 10148, text)

    def replace_rejected(self, order: Order, refusal: Refusal) -> None:
        placed = self.placed_of(order)
        if placed is not self.asking and placed.former is not None:
            placed.fields, placed.former = placed.former, None
            self._refuse(placed, refusal_code(refusal), refusal_text(refusal))

    def _refuse(self, placed: DeskOrder, code: int, text: str) -> None:
        for connection in self.hearers(placed):
            connection.error(placed.order_id, code, text)

    def order_restated(self, order: Order, reason: Refusal) -> None:
        placed = self.placed_of(order)
        self.send_order(placed, self.hearers(placed))

    def order_canceled(self, order: Order, reason: Refusal) -> None:
        self._end(order, "" if reason.reason is Reason.USER else reason.text)

    def order_expired(self, order: Order) -> None:
        self._end(order, "expired")

    def fill_corrected(self, order: Order, fill: Fill) -> None:
        placed = self.placed_of(order)
        hearers = self.hearers(placed)
        for connection in hearers:
            self.send_fill(placed, fill, connection)
        self.send_order(placed, hearers)

    def holding_changed(self, holding: Holding) -> None:
        for connection in self.endpoint.active():
            connection.holding_changed(holding)

    def account_changed(self, account: str) -> None:
        for connection in self.endpoint.active():
            connection.account_changed(account)

    # -- the inside

    def _prepare(self, placed: DeskOrder) -> Sequence[TwsConnection]:
        """Bind an order made by hand where client 0 asked for that; return who hears of the order."""
        hearers = self.hearers(placed)
        if not placed.is_api and not placed.is_bound:
            for connection in hearers:
                if connection.client_id == 0 and connection.binds_orders:
                    self.bind(placed)
                    connection.send("orderBound", permId=placed.perm_id, clientId=0, orderId=placed.order_id)
                    break
        return hearers

    def _end(self, order: Order, words: str) -> None:
        placed = self.placed_of(order)
        hearers = self.hearers(placed)
        self.send_order(placed, hearers)
        for connection in hearers:
            connection.error(placed.order_id, 202, f"Order Canceled - reason:{words}")
