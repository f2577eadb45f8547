"""Placing, changing and cancelling orders; open and completed orders; executions."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from txtrader.dialects.tws.orders import OrderTerms
from txtrader.dialects.tws.times import time_from_wire
from txtrader.dialects.tws.words import side_from_wire
from txtrader.exsim.endpoints.tws.desk_order import DeskOrder
from txtrader.exsim.endpoints.tws.order_desk import OrderDesk, owner_of, refusal_code, refusal_text
from txtrader.exsim.endpoints.tws.order_entry import changes_of, check_order, venue_terms
from txtrader.exsim.endpoints.tws.service import Answer, RequestFailed, Service
from txtrader.exsim.records import Fill, Listing, Terms
from txtrader.model.numbers import plain
from txtrader.model.order import OrderStatus
from txtrader.wire.tws.message import Message

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.tws.connection import TwsConnection

__all__ = ["Trading"]


class Trading(Service):
    """One client's orders."""

    def __init__(self, connection: TwsConnection) -> None:
        super().__init__(connection)
        self._desk: OrderDesk = self.endpoint.desk

    @property
    def answers(self) -> Mapping[str, Answer]:
        return {
            "placeOrder": self.place,
            "cancelOrder": self.cancel,
            "reqGlobalCancel": self.cancel_all,
            "reqOpenOrders": self.open_orders,
            "reqAllOpenOrders": self.all_open_orders,
            "reqAutoOpenOrders": self.auto_open_orders,
            "reqCompletedOrders": self.completed_orders,
            "reqExecutions": self.executions,
            "reqIds": self.next_id,
            "exerciseOptions": self.exercise,
        }

    @property
    def _client_id(self) -> int:
        client_id = self.connection.client_id
        assert client_id is not None
        return client_id

    # -- placing

    def place(self, message: Message) -> None:
        """Enter a new order, change one, or say what it would cost."""
        fields = message.fields
        order_id = fields["orderId"]
        if order_id is None:
            raise RequestFailed(320, "Error reading request. The order id is missing")
        known = self._desk.find(self._client_id, order_id)
        if known is not None and known.order is not None and not fields["whatIf"]:
            self._change(known, fields)
            return
        if known is None and not fields["whatIf"] and order_id < self._desk.next_order_id(self._client_id):
            raise RequestFailed(103, "Duplicate order id")
        listing = self.endpoint.listings.resolve(fields)
        terms = self._check(fields, listing)
        exchange = fields["exchange"] or self.endpoint.listings.default_exchange(listing)
        placed = self._desk.new_order(
            self._client_id, order_id, {**fields, "account": terms.account}, listing, exchange
        )
        if fields["whatIf"]:
            self._answer_what_if(placed, terms)
            return
        self._desk.use_id(self._client_id, order_id)
        if known is not None:
            self._desk.discard(known)
        self._desk.keep(placed)
        if fields["transmit"]:
            self._transmit(placed)

    def _answer_what_if(self, placed: DeskOrder, terms: OrderTerms) -> None:
        figures = self.venue.what_if(owner_of(self._client_id), venue_terms(placed, terms, None))
        if figures.refusal is not None and refusal_code(figures.refusal) != 201:
            raise RequestFailed(refusal_code(figures.refusal), refusal_text(figures.refusal))
        self.send("openOrder", **self._desk.messages.what_if(placed, figures))

    def _transmit(self, placed: DeskOrder) -> None:
        """Enter an order, with its waiting parent and the parent's other children, as one group."""
        parent_id = placed.fields["parentId"] or 0
        parent = self._desk.find(self._client_id, parent_id) if parent_id else None
        if parent_id and parent is None:
            self._desk.discard(placed)
            raise RequestFailed(321, "Error validating request.-'bO' : cause - Missing parent order")
        group = [placed]
        if parent is not None and parent.order is None:
            siblings = [p for p in self._desk.waiting(self._client_id) if p.fields["parentId"] == parent_id]
            group = [parent, *(p for p in siblings if p is not placed), placed]
        entered: list[Terms] = []
        for member in group:
            terms = self._check(member.fields, member.listing)
            leader: int | None = None
            if member is not parent and parent is not None:
                leader = -1 if parent.order is None else parent.order.id
            entered.append(venue_terms(member, terms, leader))
        for order in self.venue.submit_all(owner_of(self._client_id), entered):
            self._desk.placed_of(order)  # known from now on, even where nothing was said of it yet

    def _check(self, fields: Mapping[str, Any], listing: Listing) -> OrderTerms:
        return check_order(self.endpoint, self.connection.version, fields, listing)

    # -- changing

    def _change(self, placed: DeskOrder, fields: Mapping[str, Any]) -> None:
        order = placed.order
        assert order is not None
        if order.status is OrderStatus.FILLED:
            raise RequestFailed(104, "Cannot modify a filled order.")
        if not order.is_open:
            raise RequestFailed(103, "Duplicate order id")
        listing = self.endpoint.listings.resolve(fields)
        terms = self._check(fields, listing)
        if listing.id != placed.listing.id or terms.side.action != order.side.action:
            raise RequestFailed(105, "Order being modified does not match original order.")
        changes = changes_of(placed, order, fields, terms)
        former = placed.fields if placed.former is None else placed.former
        kept = {name: former.get(name) for name in ("account", "parentId")}
        placed.fields, placed.former = {**fields, **kept}, former
        self._desk.asking = placed
        refusal = self.venue.replace(order.owner, order.id, changes)
        self._desk.asking = None
        if refusal is not None:
            placed.fields, placed.former = former, None
            raise RequestFailed(refusal_code(refusal), refusal_text(refusal))

    # -- cancelling

    def cancel(self, message: Message) -> None:
        """Cancel one order."""
        order_id = message["orderId"]
        placed = self._desk.find(self._client_id, order_id) if order_id is not None else None
        if placed is None:
            raise RequestFailed(10147, f"OrderId {order_id} that needs to be cancelled is not found.")
        order = placed.order
        if order is None:
            self._desk.discard(placed)
            self.send("orderStatus", **self._desk.messages.status(placed, status="Cancelled"))
            raise RequestFailed(202, "Order Canceled - reason:")
        self._desk.asking = placed
        is_refused = not order.is_open or self.venue.cancel(order.owner, order.id) is not None
        self._desk.asking = None
        if is_refused:
            raise RequestFailed(
                10148, f"OrderId {order_id} that needs to be cancelled cannot be cancelled, state: {placed.status}."
            )

    def cancel_all(self, message: Message) -> None:
        """Cancel everything in the accounts, whoever placed it, as TWS does."""
        for placed in self._desk.waiting(self._client_id):
            self._desk.discard(placed)
        for account in self.endpoint.accounts:
            self.venue.mass_cancel(account=account)

    # -- questions

    def next_id(self, message: Message) -> None:
        """Answer the next valid order id."""
        self.send("nextValidId", orderId=self._desk.next_order_id(self._client_id))

    def open_orders(self, message: Message) -> None:
        """Answer this client's open orders; for client 0 those made by hand as well, which are bound by that."""
        for placed in self._desk.live(self._client_id):
            if not placed.is_api:
                self._desk.bind(placed)
            self._desk.send_order(placed, [self.connection])
        self.send("openOrderEnd")

    def all_open_orders(self, message: Message) -> None:
        """Answer the open orders of all clients and those made by hand."""
        for placed in self._desk.live():
            self._desk.send_order(placed, [self.connection])
        self.send("openOrderEnd")

    def auto_open_orders(self, message: Message) -> None:
        """Bind orders made by hand to client 0 from now on."""
        if self._client_id != 0:
            raise RequestFailed(321, "Error validating request.-'bP' : cause - Only client 0 can bind orders")
        self.connection.binds_orders = bool(message["bAutoBind"])
        if self.connection.binds_orders:
            for placed in self._desk.live(0):
                if not placed.is_api:
                    self._desk.bind(placed)
                    self._desk.send_order(placed, [self.connection])

    def completed_orders(self, message: Message) -> None:
        """Answer the orders that are done, oldest first."""
        for order in self.venue.completed_orders():
            placed = self._desk.placed_of(order)
            if order.account in self.endpoint.accounts and (placed.is_api or not message["apiOnly"]):
                self.send("completedOrder", **self._desk.messages.completed(placed))
        self.send("completedOrdersEnd")

    def executions(self, message: Message) -> None:
        """Answer the executions that fit the filter, each with its commission."""
        fields = message.fields
        req_id = fields["reqId"]
        since = 0
        if fields["time"]:
            started = time_from_wire(fields["time"], self.endpoint.zone.info)
            if started is None:
                raise RequestFailed(321, "Error validating request.-'bS' : cause - Invalid time in the filter")
            since = started
        for fill in self.venue.fills(since=since):
            order = self.venue.order(fill.order_id)
            if order is None or fill.account not in self.endpoint.accounts:
                continue
            placed = self._desk.placed_of(order)
            if self._fits(placed, fill, fields):
                self._desk.send_fill(placed, fill, self.connection, req_id)
                commission = self.venue.commission_of(fill.exec_id)
                if commission is not None:
                    self.send("commissionReport", **self._desk.messages.commission(commission))
        self.send("execDetailsEnd", reqId=req_id)

    def _fits(self, placed: DeskOrder, fill: Fill, wanted: Mapping[str, Any]) -> bool:
        side = side_from_wire(wanted["side"] or "")
        dates = wanted.get("specificDates")
        return (
            (not wanted["clientId"] or wanted["clientId"] == placed.client_id)
            and (not wanted["acctCode"] or wanted["acctCode"] == fill.account)
            and (not wanted["symbol"] or wanted["symbol"] == placed.listing.symbol)
            and (not wanted["secType"] or wanted["secType"] == placed.listing.sectype.value)
            and (not wanted["exchange"] or wanted["exchange"] in (placed.exchange, fill.exchange))
            and (side is None or side.action == fill.side.action)
            and (not dates or self._desk.messages.execution_date(fill) in dates)
        )

    def exercise(self, message: Message) -> None:
        """Refuse to exercise an option: the venue has no clearing house."""
        listing = self.endpoint.listings.resolve(message.fields)
        held = [h for h in self.venue.holdings() if h.listing_id == listing.id and h.quantity > 0]
        wanted = Decimal(message["exerciseQuantity"] or 0)
        if plain(sum((h.quantity for h in held), Decimal(0))) < wanted or not held:
            raise RequestFailed(201, "Order rejected - reason:No such position to exercise")
        raise RequestFailed(201, "Order rejected - reason:This venue settles options at expiry only")
