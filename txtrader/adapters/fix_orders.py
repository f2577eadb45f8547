"""Orders over FIX: requests and their ids, chains of ids, reports and rejects.

    D, ClOrdID = our id -> 8        F and G, a ClOrdID of their own, name the last accepted one in 41 -> 8 or 9

A ClOrdID of ours begins with the gateway's id, so that a report is known by it whatever was forgotten; OrderID (37) is
the permanent id.  An execution is called by its order and its ExecID, which FIX keeps unique within one order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from twisted.logger import Logger

from txtrader.adapters.fix_chain import Known, cl_ord_id_of, gateway_id
from txtrader.adapters.fix_connection import Connection, code_and_text
from txtrader.adapters.fix_instruments import Instruments
from txtrader.dialects.fix import Unsupported, instant_to_wire, number_to_wire, side_to_wire
from txtrader.dialects.fix_reports import Report, exec_type_of, report_of, status_of
from txtrader.dialects.fix_terms import OrderTerms, put_terms
from txtrader.errors import InvalidArgument, TxTraderError
from txtrader.gateway.adapter import AdapterSink, BrokerNotice
from txtrader.model.execution import CommissionReport, Execution
from txtrader.model.instrument import Instrument
from txtrader.model.order import CancelRejected, Order, OrderRequest, OrderStatus, OrderUpdate, Side
from txtrader.wire.fix.message import Message

__all__ = ["Orders"]

_MILLISECOND = 1_000_000
_REMARKED = frozenset({"3", "4", "7", "9", "C", "D", "L"})
"""Events whose text says why it happened."""
_PENDING = "3"
_CANCEL_AGAIN = 2_000_000_000  # nanoseconds after which a cancel without an answer may be asked once more
_NAME_GONE = frozenset({"1", "3"})
"""Why a cancel is refused (102) that named an id which a replace under way took away: unknown, another one pending."""


class Orders:
    """Everything that is sent and heard about orders."""

    _log = Logger()

    def __init__(
        self,
        mode: str,
        sink: AdapterSink,
        now_ns: Callable[[], int],
        instruments: Instruments,
        *,
        version: str,
        accounts: Callable[[], tuple[str, ...]],
        connected: Callable[[], Connection],
        cancels_on_disconnect: bool,
        fields: tuple[tuple[int, str], ...],
        executed: Callable[[Execution, CommissionReport | None], None],
    ) -> None:
        self._mode = mode
        self._sink = sink
        self._now_ns = now_ns
        self._instruments = instruments
        self._version = version
        self._accounts = accounts
        self._connected = connected
        self._cancels_on_disconnect = cancels_on_disconnect and version == "5.0"
        self._executed = executed
        self._fields = fields
        self._known: dict[str, Known] = {}  # by the gateway's id
        self._strangers: dict[str, Known] = {}  # by ClOrdID
        self._by_permid: dict[str, Known] = {}
        self._last_stamp = 0

    # -- the gateway's side

    def restore(self, orders: Iterable[Order]) -> None:
        """Learn the orders of the journal."""
        for order in orders:
            self._learn(order)

    def _learn(self, order: Order) -> Known:
        """Return what is known of the gateway's order, a stranger's as well."""
        known = self._known.get(order.id)
        if known is None and order.permid is not None:
            known = self._by_permid.get(order.permid)
        if known is None and order.order_ref is not None:
            known = self._strangers.get(order.order_ref)
        if known is None:
            is_ours = order.order_ref == order.id or (order.order_ref is None and order.origin != "external")
            known = Known(
                ref=order.id if is_ours else order.order_ref,
                is_ours=is_ours,
                current=order.id if is_ours else order.broker_order_id or order.order_ref,
                asked={},
            )
        known.order = order
        known.instrument = order.instrument or known.instrument
        known.account, known.side, known.quantity = order.account, order.side, order.quantity
        known.is_over = known.is_over or not order.is_open
        self._known[order.id] = known
        if not known.is_ours and known.ref is not None:
            self._strangers[known.ref] = known
        if order.permid is not None:
            known.permid = order.permid
            self._by_permid[order.permid] = known
        return known

    def submit(self, order: Order) -> bool:
        """Send a new order; one that cannot go is reported as rejected."""
        known = self._learn(order)
        try:
            message = Message("D").add(11, order.id).add(21, "1").add(1, order.account)
            self._put_instrument(message, order.instrument)
            self._put_terms(message, order)
            self._connected().send(message.add(60, instant_to_wire(self._now_ns())))
        except TxTraderError as error:
            known.is_over = True
            self._tell(
                known, status=OrderStatus.REJECTED, has_left=False, error_code=error.code, error_message=error.text
            )
        return True

    def cancel(self, order: Order) -> None:
        """Ask for the cancel, by the id that was accepted last; one that left a moment ago is not asked again."""
        known = self._learn(order)
        known.wants_cancel = True
        if not known.is_cancelling or self._now_ns() - known.cancelled_at > _CANCEL_AGAIN:
            self._send_cancel(known)

    def replace(self, order: Order, by: OrderRequest) -> None:
        """Ask for new terms: the whole order as it shall be."""
        known = self._learn(order)
        try:
            name = self._name(order.id)
            message = Message("G").add(11, name).add(41, known.current).add(37, known.permid).add(21, "1")
            message.add(1, order.account)
            self._put_instrument(message, order.instrument)
            self._put_terms(message, by)
            known.asked[name] = "replace"
            try:
                self._connected().send(message.add(60, instant_to_wire(self._now_ns())))
            except TxTraderError:
                del known.asked[name]
                raise
        except TxTraderError as error:
            self._refuse(known, "replace", error.code, error.text)

    def cancel_all(self) -> None:
        """Ask for the cancel of everything: by one request where there is one, and order by order what it misses."""
        connection = self._connected()
        if self._version != "4.2":
            name = connection.next_id(f"ALL-{self._stamp()}")
            message = Message("q").add(11, name).add(530, "7").add(60, instant_to_wire(self._now_ns()))
            connection.send(message)
        else:
            self.cancel_each()

    def cancel_each(self) -> None:
        """Ask for the cancel of each order that is known to be open."""
        for known in self.open_orders():
            if not known.is_cancelling:
                self._send_cancel(known)

    def _send_cancel(self, known: Known) -> None:
        order = known.order
        name = self._name(order.id if order is not None else known.key)
        try:
            if known.current is None and known.permid is None:
                raise InvalidArgument("nothing names the order at the broker")
            message = Message("F").add(11, name).add(41, known.current or "NONE").add(37, known.permid)
            message.add(1, known.account)
            if known.instrument is not None or self._version == "4.2":
                self._put_instrument(message, known.instrument)
            message.add(54, side_to_wire(known.side or Side.BUY))
            message.add(38, None if known.quantity is None else number_to_wire(known.quantity))
            known.asked[name] = "cancel"
            known.cancelled_at = self._now_ns()
            try:
                self._connected().send(message.add(60, instant_to_wire(self._now_ns())))
            except TxTraderError:
                del known.asked[name]
                raise
        except TxTraderError as error:
            self._refuse(known, "cancel", error.code, error.text)

    def ask_status(self, known: Known, request_id: str) -> Message:
        """Make the question for the status of one order."""
        message = Message("H").add(11, known.current).add(37, known.permid)
        if self._version != "4.2":
            message.add(790, request_id)
        message.add(1, known.account)
        if known.instrument is not None:
            message.fields += self._instruments.fields_of(known.instrument, message.type)
        return message.add(54, side_to_wire(known.side or Side.BUY))

    def all_known(self) -> list[Known]:
        """Return all orders that are known, in the sequence of their making; strangers' too."""
        ways = (self._known, self._strangers, self._by_permid)
        return list({id(known): known for way in ways for known in way.values()}.values())

    def open_orders(self) -> list[Known]:
        """Return the orders that are not known to be over."""
        return [known for known in self.all_known() if not known.is_over]

    def _stamp(self) -> int:
        """Return a number that grows, over restarts too."""
        self._last_stamp = max(self._last_stamp + 1, self._now_ns() // _MILLISECOND)
        return self._last_stamp

    def _name(self, order_id: str) -> str:
        return cl_ord_id_of(order_id, self._stamp())

    def _put_instrument(self, message: Message, instrument: Instrument | None) -> None:
        if instrument is None:
            raise InvalidArgument("the order's instrument is not known")
        message.fields += self._instruments.fields_of(instrument, message.type)

    def _put_terms(self, message: Message, terms: Order | OrderRequest) -> None:
        made = OrderTerms(
            side=terms.side,
            quantity=terms.quantity,
            type=terms.type,
            limit_price=terms.limit_price,
            stop_price=terms.stop_price,
            trail_amount=terms.trail_amount,
            tif=terms.tif,
            good_till=terms.good_till,
            display_quantity=terms.display_quantity,
            ends_with_link=self._cancels_on_disconnect,
        )
        try:
            put_terms(message, made, self._version)
        except Unsupported as error:
            raise InvalidArgument(error.text, reason="unsupported") from None
        present = {tag for tag, _ in message.fields}
        message.fields += [pair for pair in self._fields if pair[0] not in present]

    def forget(self, before: int) -> None:
        """Forget orders that ended earlier; what still comes of one is known by its ids."""
        for way in (self._known, self._strangers, self._by_permid):
            for key in [key for key, known in way.items() if known.is_over and known.ended_at < before]:
                del way[key]

    # -- what comes

    def report(self, message: Message, *, is_snapshot: bool = False) -> tuple[Known, Report] | None:
        """Take an execution report: note its ids, tell what it says, unless it is part of an answer.

        Returns the order and the report; None for one of an account that is not ours.  Raises ValueError for a report
        that cannot be read.
        """
        report = report_of(message)
        known = self._find_or_make(report)
        if known is None:
            return None
        self._note(known, report, message)
        update = self._update(known, report, is_snapshot=is_snapshot)
        known.last = update
        if update.status is not None:
            known.is_over = update.status.is_terminal
            known.ended_at = self._now_ns() if known.is_over else 0
        if not is_snapshot:
            self._sink.order_updated(update)
        execution = self._execution(known, report)
        if execution is not None:
            self._executed(execution, self._commission(execution, report))
        if known.wants_cancel and known.is_over:
            known.wants_cancel = False
        return known, report

    def find(self, report: Report) -> Known | None:
        """Return the order that a report is about, None for one that nobody here knows."""
        ours = gateway_id(report.cl_ord_id) or gateway_id(report.orig_cl_ord_id)
        if ours is not None:
            return self._known.get(ours)
        for name in (report.cl_ord_id, report.orig_cl_ord_id):
            if name is not None and (known := self._strangers.get(name)) is not None:
                return known
        return None if report.order_id is None else self._by_permid.get(report.order_id)

    def _find_or_make(self, report: Report) -> Known | None:
        """Return the order that a report is about; a stranger's is made known if its account is ours."""
        known = self.find(report)
        if known is not None:
            return known
        ours = gateway_id(report.cl_ord_id) or gateway_id(report.orig_cl_ord_id)
        if ours is not None:
            known = self._known[ours] = Known(ref=ours, is_ours=True, current=ours, asked={})
            return known
        if report.account is not None and report.account not in self._accounts():
            return None
        known = Known(ref=report.cl_ord_id, is_ours=False, current=report.cl_ord_id, asked={})
        if report.cl_ord_id is not None:
            self._strangers[report.cl_ord_id] = known
        return known

    def _note(self, known: Known, report: Report, message: Message) -> None:
        """Keep what a report tells of ids and terms."""
        if report.order_id is not None and known.permid is None:
            known.permid = report.order_id
            self._by_permid[report.order_id] = known
        if report.event in ("5", "4") and report.cl_ord_id in known.asked:
            known.asked.pop(report.cl_ord_id or "", None)
        if (
            report.cl_ord_id is not None
            and report.cl_ord_id not in known.asked
            and report.event not in ("6", "E", "8")
            and report.status not in ("6", "E")
        ):
            known.current = report.cl_ord_id
        known.account = report.account or known.account or self._only_account()
        known.side = known.side or report.side
        known.quantity = report.quantity or known.quantity
        if known.instrument is None:
            known.instrument = self._instruments.from_message(message)
        if known.wants_cancel and report.event == "5" and not known.is_over and not known.is_cancelling:
            self._send_cancel(known)

    def _only_account(self) -> str | None:
        accounts = self._accounts()
        return accounts[0] if len(accounts) == 1 else None

    def _update(self, known: Known, report: Report, *, is_snapshot: bool) -> OrderUpdate:
        tif = None if known.order is None else known.order.tif
        status = status_of(report, tif)
        is_rejected = status is OrderStatus.REJECTED
        return OrderUpdate(
            mode=self._mode,
            order_ref=known.ref,
            permid=known.permid,
            broker_order_id=(known.ref if known.is_ours else known.current),
            status=status,
            broker_status=report.status,
            filled=report.filled,
            remaining=report.remaining,
            avg_fill_price=report.average,
            last_fill_price=report.price if report.shares else None,
            why_held="suspended" if report.status == "9" else "",
            warning=report.text if report.event in _REMARKED else None,
            error_code=(report.reason or "99") if is_rejected else None,
            error_message=(report.text or "no reason given") if is_rejected else None,
            event_time=report.time,
            receive_time=self._now_ns(),
            is_snapshot=is_snapshot,
            instrument=known.instrument,
            account=known.account,
            side=report.side or known.side,
            quantity=report.quantity,
            type=report.type,
            broker_type=report.broker_type,
            tif=report.tif,
            good_till=report.good_till,
            limit_price=report.limit_price,
            stop_price=report.stop_price,
            trail_amount=report.trail_amount,
        )

    def _execution(self, known: Known, report: Report) -> Execution | None:
        kind = exec_type_of(report)
        instrument, side, account = known.instrument, report.side or known.side, known.account
        if kind is None or report.is_answer:
            return None
        if report.exec_id is None or side is None or account is None or instrument is None:
            self._sink.noticed(
                BrokerNotice(
                    mode=self._mode,
                    severity="error",
                    message=f"a fill of order {known.ref} does not say whose, of what or which it is; "
                    "its quantity counts by the order's total",
                    account=account,
                )
            )
            return None
        now = self._now_ns()
        return Execution(
            exec_id=f"{known.key}.{report.exec_id}",
            mode=self._mode,
            account=account,
            symbol=instrument.symbol,
            side=side,
            shares=report.shares or Decimal(0),
            price=report.price or Decimal(0),
            time=report.time or now,
            receive_time=now,
            exec_type=kind,
            replaces=None if report.replaces is None else f"{known.key}.{report.replaces}",
            instrument=instrument,
            instrument_id=instrument.instrument_id,
            order_ref=known.ref,
            permid=known.permid,
            broker_order_id=known.ref if known.is_ours else known.current,
            exchange=report.market or instrument.exchange,
            cum_qty=report.filled,
            avg_price=report.average,
        )

    def _commission(self, execution: Execution, report: Report) -> CommissionReport | None:
        if report.commission is None:
            return None
        currency = None if execution.instrument is None else execution.instrument.currency
        return CommissionReport(
            exec_id=execution.exec_id,
            mode=self._mode,
            commission=report.commission,
            currency=report.commission_currency or currency,
        )

    def cancel_rejected(self, message: Message) -> None:
        """Take the refusal of a cancel or replace (9)."""
        name, original = message.get(11), message.get(41)
        known = self._by_name(name) or self._by_name(original)
        request = "replace" if message.get(434) == "2" else "cancel"
        code, text = message.get(102) or "99", message.get(58) or "no reason given"
        if known is None:
            self._notice(f"a {request} of an order that nobody here knows was refused: {text}", code)
            return
        was_asked = known.asked.pop(name or "", None)
        if was_asked == "cancel" and code in _NAME_GONE:
            if code == _PENDING and known.is_cancelling:
                return  # the one before it is still to be answered
            if known.is_replacing:
                return  # it goes again when the replace is through
            if original is not None and original != known.current and not known.is_over:
                self._send_cancel(known)  # its name is another one meanwhile
                return
        if was_asked == "replace" and known.wants_cancel and not known.is_over:
            if not known.is_cancelling:
                self._send_cancel(known)
        elif request == "cancel":
            known.wants_cancel = False
        self._refuse(known, request, code, text)

    def _by_name(self, name: str | None) -> Known | None:
        ours = gateway_id(name)
        return self._known.get(ours) if ours is not None else self._strangers.get(name or "")

    def refused(self, sent: Message, reject: Message) -> bool:
        """Take the reject (3, j) of a message of ours; tell whether it was about an order."""
        name = sent.get(11)
        known = self._by_name(name)
        if sent.type not in ("D", "F", "G") or known is None:
            return False
        code, text = code_and_text(reject)
        if sent.type == "D":
            known.is_over = True
            self._tell(known, status=OrderStatus.REJECTED, error_code=code, error_message=text)
        else:
            known.asked.pop(name or "", None)
            self._refuse(known, "cancel" if sent.type == "F" else "replace", code, text)
        return True

    def link_lost(self) -> None:
        """Forget requests under way: what became of them is asked when the link is back."""
        for known in self.open_orders():
            known.asked.clear()
            known.wants_cancel = False

    # -- telling

    def _tell(self, known: Known, **facts: Any) -> None:
        self._sink.order_updated(
            OrderUpdate(mode=self._mode, order_ref=known.ref, receive_time=self._now_ns(), **facts)
        )

    def _refuse(self, known: Known, request: str, code: int | str, text: str) -> None:
        self._sink.cancel_rejected(
            CancelRejected(
                mode=self._mode,
                request=request,
                code=code,
                message=text,
                order_ref=known.ref,
                permid=known.permid,
                broker_order_id=known.ref if known.is_ours else known.current,
            )
        )

    def _notice(self, text: str, code: str | None = None) -> None:
        self._sink.noticed(BrokerNotice(mode=self._mode, severity="warning", message=text, broker_code=code))
