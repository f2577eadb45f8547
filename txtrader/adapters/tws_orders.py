"""Orders at TWS: sent, changed, cancelled, and what TWS says of them.

TWS tells an order's story in openOrder, orderStatus and execDetails, in any sequence, repeated or missing; errors
carry its id as well.  An error ends only an order that TWS has not acknowledged; afterwards it is a refused change, a
refused cancel or a remark, and where in doubt TWS is asked how the order stands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from twisted.logger import Logger

from txtrader.adapters.tws_instruments import Instruments
from txtrader.dialects import tws as dialect
from txtrader.errors import BrokerUnavailable, InvalidArgument, NotReady, TxTraderError
from txtrader.gateway.adapter import AdapterSink, BrokerNotice
from txtrader.gateway.tasks import returns_deferred
from txtrader.model.order import CancelRejected, Order, OrderRequest, OrderStatus, OrderUpdate, OrderWarning
from txtrader.net.pacing import Priority, Queued
from txtrader.twsapi.codes import CodeClass
from txtrader.twsapi.connection import Connection
from txtrader.twsapi.ids import OrderIds
from txtrader.wire.tws.message import Message

__all__ = ["ALGORITHMS", "EXCHANGES", "Orders"]

EXCHANGES = (
    "SMART NYSE NASDAQ ISLAND ARCA AMEX BATS BYX BEX EDGEA IEX MEMX PEARL IBKRATS OVERNIGHT CBOE CBOE2 ISE PHLX PSE BOX"
    " MIAX EMERALD NASDAQOM CME CBOT NYMEX COMEX CFE ICEUS IDEALPRO PAXOS ZEROHASH IBIS IBIS2 LSE SBF AEB EBS TSE SEHK"
).split()
"""Routes by name: where an order may be sent instead of the instrument's own choice."""

ALGORITHMS: dict[str, tuple[str, ...]] = {
    "Adaptive": ("adaptivePriority",),
    "Twap": ("strategyType", "startTime", "endTime", "allowPastEndTime"),
    "Vwap": ("maxPctVol", "startTime", "endTime", "allowPastEndTime", "noTakeLiq"),
    "ArrivalPx": ("maxPctVol", "riskAversion", "startTime", "endTime", "allowPastEndTime", "forceCompletion"),
    "PctVol": ("pctVol", "startTime", "endTime", "noTakeLiq"),
    "DarkIce": ("displaySize", "startTime", "endTime", "allowPastEndTime"),
}
"""IB's algorithms and their parameters; the order goes to smart routing."""

_ENDED = frozenset({OrderStatus.CANCELED, OrderStatus.FILLED, OrderStatus.REJECTED})
_UNSUPPORTED = "unsupported"
_MOST_RETIRED = 1_000


class _Sent:
    """What this adapter knows of one of its own orders."""

    __slots__ = ("is_acknowledged", "is_earlier", "is_ended", "order", "queued", "replacing")

    def __init__(self, order: Order, *, is_acknowledged: bool = False, is_earlier: bool = False) -> None:
        self.order = order
        self.is_acknowledged = is_acknowledged
        self.replacing: OrderRequest | None = None
        """The change that TWS has not answered yet."""
        self.is_ended = False
        self.is_earlier = is_earlier  # sent in an earlier login: what TWS says of it may be news of the gap
        self.queued: Queued | None = None


class Orders:
    """The order side of one adapter; `recheck` asks TWS how orders stand when an answer leaves that open."""

    _log = Logger()

    def __init__(
        self,
        mode: str,
        sink: AdapterSink,
        now_ns: Callable[[], int],
        instruments: Instruments,
        *,
        client_id: int,
        order_ids: OrderIds,
        connected: Callable[[], Connection],
        recheck: Callable[[], None],
        timeout: float,
    ) -> None:
        self._mode = mode
        self._sink = sink
        self._now_ns = now_ns
        self._instruments = instruments
        self._client_id = client_id
        self._order_ids = order_ids
        self._connected = connected
        self._recheck = recheck
        self._timeout = timeout
        self._sent: dict[int, _Sent] = {}
        self._retired: deque[int] = deque()
        self._what_ifs: set[int] = set()

    # --- the gateway's side ---

    def restore(self, orders: Iterable[Order]) -> None:
        """Learn the orders of the journal: the ids that are taken, and which of them are ours."""
        for order in orders:
            if order.instrument is not None:
                self._instruments.learn(order.instrument)
            number = self._own_number(order)
            if number is not None:
                self._order_ids.seen(number)
                if order.is_open:
                    acknowledged = order.permid is not None or order.broker_status is not None
                    self._sent[number] = _Sent(order, is_acknowledged=acknowledged, is_earlier=True)

    def reserve(self) -> tuple[str, int]:
        """Take the id that the next order goes out under.  Raises NotReady while TWS has not said where ids stand."""
        self._connected_or_not_ready()
        return str(self._order_ids.take()), self._client_id

    def _connected_or_not_ready(self) -> None:
        try:
            self._connected()
        except BrokerUnavailable as error:
            raise NotReady(error.message) from error

    def submit(self, order: Order) -> bool:
        """Send a new order; one that cannot go is reported as rejected.

        Tells whether it left at once; one that has to wait for its turn is reported when it has left.
        """
        number = self._own_number(order)
        assert number is not None, "submit without reserve"
        sent = self._sent[number] = _Sent(order)

        def refused(error: TxTraderError) -> None:
            self._never_left(number, sent, error.text, error.code)

        try:
            message = Message("placeOrder", self._order_fields(order, number))
            sent.queued = self._connected().post(message, Priority.ORDER, refused)
        except TxTraderError as error:
            refused(error)
            return True
        if not sent.queued.has_left:
            sent.queued.on_left = lambda: None if sent.is_ended else self._tell(sent, send_time=self._now_ns())
        return sent.queued.has_left

    def cancel(self, order: Order) -> None:
        """Ask for the cancel; an order that waits for its turn to leave is withdrawn instead."""
        number = self._own_number(order)
        if number is None:
            whose = "another client" if order.clientid not in (None, self._client_id) else "the TWS window"
            self._refuse("cancel", order, _UNSUPPORTED, f"the order is of {whose}: TWS lets only that one cancel it")
            return
        sent = self._sent.setdefault(number, _Sent(order, is_acknowledged=True, is_earlier=True))
        if sent.queued is not None and sent.queued.withdraw():
            if sent.replacing is None:
                self._never_left(number, sent, "cancelled before it was sent", None)
                return
            self._withdrawn(sent)

        def refused(error: TxTraderError) -> None:
            self._refuse("cancel", order, error.code, error.text)

        try:
            self._connected().post(Message("cancelOrder", {"orderId": number}), Priority.CANCEL, refused)
        except TxTraderError as error:
            refused(error)

    def replace(self, order: Order, by: OrderRequest) -> None:
        """Send the order again under its id with new terms: that is how TWS changes one."""
        number = self._own_number(order)

        def refused(error: TxTraderError) -> None:
            if number is not None and number in self._sent:
                self._sent[number].replacing = None
            self._refuse("replace", order, error.broker_code or error.code, error.text)

        if number is None:
            refused(InvalidArgument("TWS lets only the client that sent an order change it", reason=_UNSUPPORTED))
            return
        sent = self._sent.setdefault(number, _Sent(order, is_acknowledged=True, is_earlier=True))
        sent.replacing = by
        try:
            message = Message("placeOrder", self._order_fields(order, number, by))
            sent.queued = self._connected().post(message, Priority.ORDER, refused)
        except TxTraderError as error:
            refused(error)

    def cancel_all(self) -> None:
        """Withdraw what has not left, then ask for the cancel of everything that this login may cancel."""
        for number, sent in list(self._sent.items()):
            if sent.queued is None or sent.is_ended or not sent.queued.withdraw():
                continue
            if sent.replacing is None:
                self._never_left(number, sent, "cancelled before it was sent", None)
            else:
                self._withdrawn(sent)
        try:
            self._connected().post(Message("reqGlobalCancel"), Priority.CANCEL)
        except TxTraderError as error:
            self._log.warn("the global cancel was not sent: {error}", error=error.text)

    @returns_deferred
    async def what_if(self, order: Order) -> dict[str, Any]:
        """Ask what an order would do to margin and what it would cost; nothing is sent to a market."""
        connection = self._connected()
        number = self._own_number(order)
        if number is None:
            number = self._order_ids.take()
        terms = msgspec.structs.replace(dialect.terms_of(order), what_if=True)
        fields = {**self._contract_fields(order), **dialect.order_to_wire(terms), "orderRef": ""}
        self._what_ifs.add(number)
        try:
            answers = await connection.ask(
                "placeOrder",
                fields,
                ends=(),
                priority=Priority.ORDER,
                timeout=self._timeout,
                request_id=number,
            )
        finally:
            self._what_ifs.discard(number)
        return dialect.margins_from_wire(answers[-1].fields)

    # --- what TWS says ---

    def open_order(self, message: Message, *, is_snapshot: bool = False) -> OrderUpdate | None:
        """Read openOrder; None for the answer to a what-if, which goes to who asked."""
        fields = message.fields
        number = fields.get("orderId")
        if fields.get("whatIf"):
            if number in self._what_ifs:
                self._connected().answer(number, message)
            return None
        sent = self._sent_of(fields)
        if isinstance(number, int) and fields.get("clientId") == self._client_id:
            self._order_ids.seen(number)
        update = dialect.update_from_open_order(
            fields, self._mode, self._instruments.of(fields), receive_time=self._now_ns(), is_snapshot=is_snapshot
        )
        return self._noted(sent, update)

    def order_status(self, message: Message, *, is_snapshot: bool = False) -> OrderUpdate | None:
        """Read orderStatus; None for the echo of a what-if."""
        fields = message.fields
        if fields.get("orderId") in self._what_ifs and fields.get("clientId") == self._client_id:
            return None
        update = dialect.update_from_status(fields, self._mode, receive_time=self._now_ns())
        if update.status is None and update.broker_status is not None:
            self._log.warn("TWS says an unknown order status {word}", word=update.broker_status)
        if is_snapshot:
            update = msgspec.structs.replace(update, is_snapshot=True)
        return self._noted(self._sent_of(fields), update)

    def completed_order(self, message: Message) -> OrderUpdate:
        """Read completedOrder."""
        fields = message.fields
        return dialect.update_from_completed_order(
            fields, self._mode, self._instruments.of(fields), receive_time=self._now_ns()
        )

    def is_of_this_session(self, message: Message) -> bool:
        """Tell whether a report is of an order that was sent in this session: news, however it came."""
        sent = self._sent_of(message.fields)
        return sent is not None and not sent.is_earlier

    def knows(self, number: int) -> bool:
        """Tell whether an id in an error is one of our orders."""
        return number in self._sent or number in self._what_ifs

    def reported(self, code: int, text: str, number: int, kind: CodeClass | None) -> None:
        """Take an error, warning or remark that carries an order's id."""
        sent = self._sent.get(number)
        if sent is None:
            self._sink.noticed(
                BrokerNotice(mode=self._mode, severity="warning", message=f"order {number}: {text}", broker_code=code)
            )
            return
        if kind in (CodeClass.ORDER, CodeClass.REQUEST, CodeClass.RESUBSCRIBE):
            self._refused_by_tws(number, sent, code, text)
        elif kind is CodeClass.NOT_CANCELLED:
            self._refuse("cancel", sent.order, code, text)
            self._recheck()
        elif kind is CodeClass.CANCEL:
            # A confirmation; the status that belongs to it comes by itself, and is asked for where it does not.
            self._tell(sent, error_code=code, error_message=text)
            if not sent.is_ended:
                self._recheck()
        elif kind is not CodeClass.INFORMATION:
            self._warn(sent, code, text)

    def _refused_by_tws(self, number: int, sent: _Sent, code: int, text: str) -> None:
        if not sent.is_acknowledged:
            self._ended(sent)
            self._tell(sent, status=OrderStatus.REJECTED, error_code=code, error_message=text)
        elif sent.replacing is not None:
            sent.replacing = None
            self._refuse("replace", sent.order, code, text)
            self._recheck()
        elif sent.is_ended:
            # The reason of an end that a status has told just before.
            self._tell(sent, error_code=code, error_message=text)
        else:
            # The order lives as far as we know: remember the words, and look.
            self._tell(sent, error_code=code, error_message=text)
            self._warn(sent, code, text)
            self._recheck()

    def new_session(self) -> None:
        """Note that what was sent before belongs to an earlier login."""
        for number, sent in list(self._sent.items()):
            if sent.is_ended:
                del self._sent[number]
            sent.is_earlier = True
            sent.replacing = None

    def link_lost(self) -> None:
        """Report the orders that waited for their turn: they never left, and never will."""
        for number, sent in list(self._sent.items()):
            queued = sent.queued
            if queued is None or queued.has_left or sent.is_ended:
                continue
            if sent.replacing is not None:
                sent.replacing = None
                self._refuse(
                    "replace", sent.order, "broker-unavailable", "the link was lost before the change was sent"
                )
            else:
                self._never_left(number, sent, "the link was lost before the order was sent", BrokerUnavailable.code)

    # --- the inside ---

    def _own_number(self, order: Order) -> int | None:
        """Return the TWS order id under which we can act on an order."""
        if order.broker_order_id is None or order.clientid != self._client_id:
            return None
        return int(order.broker_order_id)

    def _sent_of(self, fields: Any) -> _Sent | None:
        number = fields.get("orderId")
        if fields.get("clientId") != self._client_id or not isinstance(number, int):
            return None
        return self._sent.get(number)

    def _noted(self, sent: _Sent | None, update: OrderUpdate) -> OrderUpdate:
        """Note what a report says of one of our orders, and give it our reference."""
        if sent is None:
            return update
        sent.is_acknowledged = True
        if update.status in _ENDED:
            self._ended(sent)
            sent.replacing = None
            if update.status is OrderStatus.REJECTED and update.error_message is None and update.warning is not None:
                # TWS says a rejection's reason here first, as a warning; the error with its code comes later.
                update = msgspec.structs.replace(update, error_message=update.warning, warning=None)
        elif sent.replacing is not None and _shows(update, sent.replacing):
            sent.replacing = None
        if update.order_ref is None:
            return msgspec.structs.replace(update, order_ref=sent.order.order_ref or sent.order.id)
        return update

    def _ended(self, sent: _Sent) -> None:
        """Note an end; late errors still find the order, until a thousand others have ended."""
        if sent.is_ended:
            return
        sent.is_ended = True
        if sent.replacing is not None and sent.queued is not None:
            sent.queued.withdraw()  # a change that would reach an order which is over
        number = self._own_number(sent.order)
        if number is not None:
            self._retired.append(number)
            if len(self._retired) > _MOST_RETIRED:
                self._sent.pop(self._retired.popleft(), None)

    def _contract_fields(self, order: Order) -> dict[str, Any]:
        if order.instrument is None:
            raise InvalidArgument("the order's instrument is not known", path="symbol")
        route = order.route
        if route in ALGORITHMS:
            route = None
        elif route is not None and route not in EXCHANGES and route != order.instrument.exchange:
            raise InvalidArgument(f"TWS has no route {route}", path="route", reason=_UNSUPPORTED)
        return dialect.contract_for_request(order.instrument, route=route)

    def _order_fields(self, order: Order, number: int, by: OrderRequest | None = None) -> dict[str, Any]:
        fields = {
            "orderId": number,
            **self._contract_fields(order),
            **dialect.order_to_wire(dialect.terms_of(order, by)),
        }
        if order.oco_group and order.user:
            # TWS knows groups by name alone: two users' groups of one name must not cancel each other.
            fields["ocaGroup"] = f"{order.user}.{order.account}.{order.oco_group}"
        parameters = order.route_params or {}
        for name in parameters:
            if name not in ALGORITHMS.get(order.route or "", ()):
                raise InvalidArgument(f"route {order.route} has no parameter {name}", path="route")
        if order.route in ALGORITHMS:
            fields["algoStrategy"] = order.route
            fields["algoParams"] = [{"tag": tag, "value": str(value)} for tag, value in parameters.items()]
        return fields

    def _tell(self, sent: _Sent, **facts: Any) -> None:
        order = sent.order
        self._sink.order_updated(
            OrderUpdate(
                mode=self._mode,
                order_ref=order.order_ref or order.id,
                broker_order_id=order.broker_order_id,
                clientid=order.clientid,
                receive_time=self._now_ns(),
                **facts,
            )
        )

    def _never_left(self, number: int, sent: _Sent, text: str, code: str | None) -> None:
        """Report an order that TWS will never see; `code` is ours, None for the caller's own cancel."""
        sent.is_ended = True
        self._sent.pop(number, None)
        self._tell(sent, status=OrderStatus.REJECTED, has_left=False, error_code=code, error_message=text)

    def _withdrawn(self, sent: _Sent) -> None:
        """Report a change that was taken back: sent after the cancel it might make the order anew."""
        sent.replacing = None
        self._refuse("replace", sent.order, "cancelled", "the order is being cancelled; the change was not sent")

    def _warn(self, sent: _Sent, code: int, text: str) -> None:
        order = sent.order
        self._sink.order_warned(
            OrderWarning(
                mode=self._mode,
                code=code,
                message=text,
                order_ref=order.order_ref or order.id,
                permid=order.permid,
                broker_order_id=order.broker_order_id,
                clientid=order.clientid,
            )
        )

    def _refuse(self, request: str, order: Order, code: int | str, text: str) -> None:
        self._sink.cancel_rejected(
            CancelRejected(
                mode=self._mode,
                request=request,
                code=code,
                message=text,
                order_ref=order.order_ref or order.id,
                permid=order.permid,
                broker_order_id=order.broker_order_id,
                clientid=order.clientid,
            )
        )


def _shows(update: OrderUpdate, by: OrderRequest) -> bool:
    """Tell whether an openOrder shows the new terms; one that was on its way before shows the old."""
    return (update.quantity, update.limit_price, update.stop_price) == (by.quantity, by.limit_price, by.stop_price)
