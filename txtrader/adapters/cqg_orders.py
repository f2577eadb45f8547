"""Orders at CQG: requests at the broker's pace, chains and their transactions, fills.

    submit -> order_requests/new_order, cl_order_id = our id -> statuses of a chain, one transaction each
    cancel, replace -> by the chain's present order_id; asked before that is known, they leave when it is

A chain is known by its chain_order_id, which is the permid; a fill by account and trade id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.adapters.cqg_connection import text_of
from txtrader.adapters.cqg_instruments import Instruments
from txtrader.dialects.cqg.contracts import Contract
from txtrader.dialects.cqg.orders import (
    OrderTerms,
    gateway_id,
    put_terms,
    quantity_of,
    request_id_of,
    side_of,
    status_of,
    terms_of,
)
from txtrader.errors import BrokerUnavailable, InvalidArgument, TxTraderError
from txtrader.gateway.adapter import AdapterSink
from txtrader.model.execution import CommissionReport, ExecType, Execution
from txtrader.model.order import CancelRejected, Order, OrderRequest, OrderStatus, OrderUpdate
from txtrader.net.pacing import Pacer, Priority, Queued
from txtrader.wire.cqg.schema import ClientMsg
from txtrader.wire.cqg.values import PriceScale, decimal_of, number_of, put_decimal, put_timestamp, timestamp_ns
from txtrader.wire.cqg.words import OrderStatus as Status
from txtrader.wire.cqg.words import RejectCode, word_of
from txtrader.wire.cqg.words import TransactionStatus as Step

__all__ = ["Chain", "Orders"]

_FILLS = {
    int(Step.FILL): ExecType.NEW,
    int(Step.FILL_CORRECT): ExecType.CORRECT,
    int(Step.FILL_CANCEL): ExecType.BUST,
    int(Step.FILL_BUST): ExecType.BUST,
}
_MILLISECOND = 1_000_000


class Chain:
    """What is known of one of CQG's orders: the ids that requests need, its terms, the transactions seen."""

    __slots__ = (
        "account_id",
        "cl_order_id",
        "exec_ids",
        "newest",
        "order_id",
        "order_ref",
        "permid",
        "terms",
        "transactions",
    )

    def __init__(self, permid: str) -> None:
        self.permid = permid
        self.order_id = permid
        self.account_id = 0
        self.cl_order_id = ""
        self.order_ref: str | None = None
        self.terms: OrderTerms | None = None
        self.newest = 0
        self.transactions: set[int] = set()
        self.exec_ids: dict[int, str] = {}


class _Sent:
    """One of our orders: its requests, and what waits for the chain to be known."""

    __slots__ = ("chain", "is_ended", "order", "queued", "wants")

    def __init__(self, order: Order) -> None:
        self.order = order
        self.chain: Chain | None = None
        self.queued: Queued | None = None
        self.is_ended = False
        self.wants: list[Callable[[], None]] = []


class Orders:
    """Everything that is sent and heard about orders."""

    _log = Logger()

    def __init__(
        self,
        mode: str,
        sink: AdapterSink,
        reactor: Any,
        now_ns: Callable[[], int],
        instruments: Instruments,
        *,
        connected: Callable[[], Any],
        account_id: Callable[[str], int | None],
        account: Callable[[int], str],
        rate: float,
    ) -> None:
        self._mode = mode
        self._sink = sink
        self._reactor = reactor
        self._now_ns = now_ns
        self._instruments = instruments
        self._connected = connected
        self._account_id = account_id
        self._account = account
        self._rate = rate
        self._pacers: dict[str, Pacer] = {}
        self._sent: dict[str, _Sent] = {}
        self._chains: dict[str, Chain] = {}
        self._requests: dict[int, tuple[str, Order]] = {}
        self._held: dict[int, list[Any]] = {}
        self._last_stamp = 0

    # -- the gateway's side

    def restore(self, orders: Iterable[Order]) -> None:
        """Learn the open orders of the journal."""
        for order in orders:
            if order.is_open:
                sent = self._sent[order.id] = _Sent(order)
                if order.permid is not None:
                    chain = self._chain(order.permid)
                    chain.order_ref = order.order_ref or order.id
                    chain.order_id = order.broker_order_id or order.permid
                    chain.cl_order_id = order.id
                    sent.chain = chain

    def submit(self, order: Order) -> bool:
        """Send a new order; one that cannot go is reported as rejected.

        Tells whether it left at once; one that waits for its turn, or for its contract, is reported when it leaves.
        """
        sent = self._sent[order.id] = _Sent(order)
        assert order.instrument is not None, "an order of ours has its instrument"
        contract = self._instruments.known(order.instrument)
        if contract is None:
            self._later(sent)
            return False
        self._place(sent, contract)
        if sent.is_ended:
            return True
        assert sent.queued is not None
        return sent.queued.has_left

    def _later(self, sent: _Sent) -> None:
        """Ask for the contract first: this session has not met it yet."""
        instrument = sent.order.instrument
        assert instrument is not None

        async def find() -> None:
            contract = await self._instruments.contract_of(instrument)
            if sent.is_ended:
                return
            self._place(sent, contract)
            if sent.queued is not None and sent.queued.has_left and not sent.is_ended:
                self._tell(sent, send_time=self._now_ns())

        def failed(failure: Failure) -> None:
            error = failure.value
            if not isinstance(error, TxTraderError):
                self._log.failure("placing an order", failure=failure)
                error = BrokerUnavailable("the order was not sent: internal error")
            self._never_left(sent, error.text, error.code)

        ensureDeferred(find()).addErrback(failed)

    def _place(self, sent: _Sent, contract: Contract) -> None:
        order = sent.order
        try:
            message = self._request("new", order)
            account_id = self._account_id(order.account)
            if account_id is None:
                raise InvalidArgument(f"CQG does not know the account {order.account}", path="account")
            try:
                put_terms(
                    message.order_requests[0].new_order.order,
                    self._terms(order, contract, account_id),
                    PriceScale(contract.scale),
                    self._now_ns(),
                )
            except ValueError as error:
                raise InvalidArgument(str(error)) from None
            sent.queued = self._pace(order.account, Priority.ORDER, message)
        except TxTraderError as error:
            self._never_left(sent, error.text, error.code)
            return
        if not sent.queued.has_left:
            sent.queued.on_left = lambda: None if sent.is_ended else self._tell(sent, send_time=self._now_ns())

    def _terms(self, order: Order, contract: Contract, account_id: int) -> OrderTerms:
        return OrderTerms(
            account_id=account_id,
            contract_id=contract.contract_id,
            cl_order_id=order.id,
            side=order.side,
            quantity=order.quantity,
            type=order.type,
            tif=order.tif,
            limit_price=order.limit_price,
            stop_price=order.stop_price,
            trail_amount=order.trail_amount,
            display_quantity=order.display_quantity,
            good_till=order.good_till,
        )

    def cancel(self, order: Order) -> None:
        """Ask for the cancel; an order that waits for its turn to leave is withdrawn instead."""
        sent = self._sent.setdefault(order.id, _Sent(order))
        if sent.queued is not None and sent.queued.withdraw():
            self._never_left(sent, "cancelled before it was sent", None)
            return
        self._when_known(sent, order, lambda chain: self._send_cancel(order, chain))

    def _send_cancel(self, order: Order, chain: Chain) -> None:
        try:
            message = self._request("cancel", order)
            self._name(message.order_requests[0].cancel_order, order, chain)
            self._pace(order.account, Priority.CANCEL, message)
        except TxTraderError as error:
            self._refuse("cancel", order, error.code, error.text)

    def replace(self, order: Order, by: OrderRequest) -> None:
        """Ask for new terms; only those that change are sent."""
        sent = self._sent.setdefault(order.id, _Sent(order))
        self._when_known(sent, order, lambda chain: self._send_modify(order, by, chain))

    def _send_modify(self, order: Order, by: OrderRequest, chain: Chain) -> None:
        try:
            assert order.instrument is not None
            contract = self._instruments.known(order.instrument)
            if contract is None:
                raise BrokerUnavailable("the contract of the order is not known in this session yet")
            scale = PriceScale(contract.scale)
            message = self._request("replace", order)
            modify = message.order_requests[0].modify_order
            self._name(modify, order, chain)
            if by.quantity != order.quantity:
                put_decimal(modify.qty, by.quantity)
                modify.qty.SetInParent()
            try:
                if by.limit_price is not None and by.limit_price != order.limit_price:
                    modify.scaled_limit_price = scale.scaled(by.limit_price)
                if by.stop_price is not None and by.stop_price != order.stop_price:
                    modify.scaled_stop_price = scale.scaled(by.stop_price)
            except ValueError as error:
                raise InvalidArgument(str(error)) from None
            self._pace(order.account, Priority.ORDER, message)
        except TxTraderError as error:
            self._refuse("replace", order, error.code, error.text)

    def withdraw(self, accounts: Iterable[str]) -> None:
        """Withdraw the orders of these accounts that have not left."""
        whose = set(accounts)
        for sent in list(self._sent.values()):
            is_waiting = sent.queued is not None and not sent.is_ended and sent.order.account in whose
            if is_waiting and sent.queued is not None and sent.queued.withdraw():
                self._never_left(sent, "cancelled before it was sent", None)

    def cancel_all(self, accounts: Iterable[str]) -> None:
        """Withdraw what has not left, then ask for the cancel of everything on our accounts, whoever entered it."""
        self.withdraw(accounts)
        connection = self._connected()
        message = ClientMsg()
        request = message.order_requests.add(request_id=connection.next_number(), is_automated=True)
        everything = request.cancel_all_orders
        put_timestamp(everything.when_utc_timestamp, self._now_ns())
        everything.cl_order_id = f"all.{self._stamp()}"
        for account in accounts:
            account_id = self._account_id(account)
            if account_id is not None:
                everything.account_order_filters.add(account_id=account_id, mine=False)
        connection.post(message, Priority.CANCEL)

    # -- requests

    def _request(self, kind: str, order: Order) -> Any:
        number = self._connected().next_number()
        message = ClientMsg()
        message.order_requests.add(request_id=number, is_automated=True)
        self._requests[number] = (kind, order)
        return message

    def _name(self, action: Any, order: Order, chain: Chain) -> None:
        action.order_id = chain.order_id
        action.account_id = chain.account_id or self._account_id(order.account) or 0
        action.orig_cl_order_id = chain.cl_order_id or order.id
        action.cl_order_id = request_id_of(order.id, self._stamp())
        put_timestamp(action.when_utc_timestamp, self._now_ns())

    def _stamp(self) -> int:
        """Return a number for a request's name that grows, over restarts too."""
        self._last_stamp = max(self._last_stamp + 1, self._now_ns() // _MILLISECOND)
        return self._last_stamp

    def _pace(self, account: str, priority: Priority, message: Any) -> Queued:
        connection = self._connected()
        pacer = self._pacers.get(account)
        if pacer is None:
            pacer = self._pacers[account] = Pacer(self._reactor, self._rate)
        return pacer.submit(priority, lambda: connection.post(message, Priority.URGENT))

    def _when_known(self, sent: _Sent, order: Order, act: Callable[[Chain], None]) -> None:
        """Act on the order's chain now, or as soon as CQG has told its ids."""
        chain = sent.chain or (self._chains.get(order.permid) if order.permid is not None else None)
        if chain is not None:
            act(chain)
            return

        def later() -> None:
            if sent.chain is not None:
                act(sent.chain)

        sent.wants.append(later)

    # -- what comes

    def status(self, message: Any, connection: Any) -> None:
        """Take the news of a chain."""
        if self._lacks_contract(message, connection):
            return
        chain = self._chain(message.chain_order_id)
        newest = max((told.trans_id for told in message.transaction_statuses), default=chain.newest)
        if newest >= chain.newest:
            # What is older than the last word may still hold a fill, but does not say where the order stands.
            chain.newest = newest
            self._noted(message, connection)
            self._sink.order_updated(self.update_of(message, chain, connection))
        for execution, commission, number in self.executions_of(message, chain, connection):
            if number not in chain.transactions:
                chain.transactions.add(number)
                self._sink.executed(execution)
            if commission is not None:
                self._sink.commissioned(commission)
        for told in message.transaction_statuses:
            if told.status in (Step.REJECT_CANCEL, Step.REJECT_MODIFY) and told.trans_id not in chain.transactions:
                chain.transactions.add(told.trans_id)
                self._sink.cancel_rejected(
                    CancelRejected(
                        mode=self._mode,
                        request="cancel" if told.status == Step.REJECT_CANCEL else "replace",
                        code=told.reject_code,
                        message=text_of(told, RejectCode, told.reject_code),
                        order_ref=chain.order_ref,
                        permid=chain.permid,
                        broker_order_id=chain.order_id,
                    )
                )
        self._settle(chain)

    def _lacks_contract(self, message: Any, connection: Any) -> bool:
        """Hold a status whose contract is not known, and ask for it."""
        contract_id = message.order.contract_id if message.HasField("order") else 0
        if not contract_id or connection.contract(contract_id) is not None:
            return False
        waiting = self._held.setdefault(contract_id, [])
        waiting.append(message)
        if len(waiting) == 1:
            request = _metadata_request(contract_id)

            def found(result: Any) -> None:
                for one in self._held.pop(contract_id, []):
                    if not isinstance(result, Failure):
                        self.status(one, connection)

            connection.ask(30.0, contract_metadata_request=request).addBoth(found)
        return True

    def _noted(self, message: Any, connection: Any) -> Chain:
        """Note the ids and terms that a status gives of its chain."""
        chain = self._chain(message.chain_order_id)
        chain.order_id = message.order_id
        chain.account_id = message.account_id
        if message.HasField("order"):
            order = message.order
            chain.cl_order_id = order.cl_order_id
            if chain.order_ref is None:
                chain.order_ref = gateway_id(order.cl_order_id) or None
            contract = connection.contract(order.contract_id)
            if contract is not None:
                chain.terms = terms_of(order, PriceScale(contract.scale), connection.base_time)
        return chain

    def _settle(self, chain: Chain) -> None:
        sent = self._sent.get(chain.order_ref or "")
        if sent is None:
            return
        sent.chain = chain
        wants, sent.wants = sent.wants, []
        for act in wants:
            act()

    def _chain(self, permid: str) -> Chain:
        chain = self._chains.get(permid)
        if chain is None:
            chain = self._chains[permid] = Chain(permid)
        return chain

    def noted_snapshot(self, message: Any, connection: Any) -> OrderUpdate:
        """Take a chain of a snapshot: note its ids and return what it says."""
        chain = self._noted(message, connection)
        chain.newest = max(chain.newest, *(told.trans_id for told in message.transaction_statuses), 0)
        update = self.update_of(message, chain, connection, is_snapshot=True)
        self._settle(chain)
        return update

    def chain_of(self, message: Any) -> Chain:
        """Return the chain of a status."""
        return self._chain(message.chain_order_id)

    def update_of(self, message: Any, chain: Chain, connection: Any, *, is_snapshot: bool = False) -> OrderUpdate:
        """Return what a status says of its order."""
        terms = chain.terms
        contract = connection.contract(message.order.contract_id) if message.HasField("order") else None
        last = message.transaction_statuses[-1] if message.transaction_statuses else None
        status = status_of(message)
        code: int | None = None
        text: str | None = None
        if status is OrderStatus.REJECTED and last is not None:
            code = last.reject_code if last.HasField("reject_code") else None
            text = text_of(last, RejectCode, code)
        return OrderUpdate(
            mode=self._mode,
            order_ref=chain.order_ref,
            permid=chain.permid,
            broker_order_id=chain.order_id,
            status=status,
            broker_status=word_of(Status, message.status),
            filled=quantity_of(message, "fill_qty", "uint32_fill_qty"),
            remaining=quantity_of(message, "remaining_qty", "uint32_remaining_qty"),
            avg_fill_price=number_of(message.avg_fill_price_correct) if message.fill_cnt else None,
            error_code=code,
            error_message=text,
            event_time=timestamp_ns(message.status_utc_timestamp),
            receive_time=self._now_ns(),
            is_snapshot=is_snapshot,
            instrument=None if contract is None else self._instruments.of(contract),
            account=self._account(message.account_id),
            side=None if terms is None else terms.side,
            quantity=None if terms is None else terms.quantity,
            type=None if terms is None else terms.type,
            broker_type=None if terms is None else terms.broker_type,
            tif=None if terms is None else terms.tif,
            good_till=None if terms is None else terms.good_till,
            limit_price=None if terms is None else terms.limit_price,
            stop_price=None if terms is None else terms.stop_price,
            trail_amount=None if terms is None else terms.trail_amount,
        )

    def executions_of(
        self, message: Any, chain: Chain, connection: Any
    ) -> list[tuple[Execution, CommissionReport | None, int]]:
        """Return the fills that a status tells, in the sequence of its transactions, with their numbers."""
        found: list[tuple[Execution, CommissionReport | None, int]] = []
        account = self._account(message.account_id)
        for told in sorted(message.transaction_statuses, key=lambda one: one.trans_id):
            kind = _FILLS.get(told.status)
            if kind is None:
                continue
            former = chain.exec_ids.get(told.ref_trans_id) if told.HasField("ref_trans_id") else None
            for place, trade in enumerate(told.trades):
                contract = connection.contract(trade.contract_id)
                if contract is None:
                    continue
                exec_id = f"{message.account_id}-{trade.trade_id}"
                if kind is not ExecType.NEW:
                    exec_id = f"{exec_id}.{told.trans_id}"
                if place == 0:
                    chain.exec_ids[told.trans_id] = exec_id
                instrument = self._instruments.of(contract)
                execution = Execution(
                    exec_id=exec_id,
                    mode=self._mode,
                    account=account,
                    symbol=instrument.symbol,
                    side=side_of(trade.side),
                    shares=decimal_of(trade.qty) if trade.HasField("qty") else Decimal(trade.uint32_qty),
                    price=number_of(trade.price_correct),
                    time=timestamp_ns(trade.trade_utc_timestamp),
                    receive_time=self._now_ns(),
                    exec_type=kind,
                    replaces=former,
                    instrument=instrument,
                    instrument_id=instrument.instrument_id,
                    order_ref=chain.order_ref,
                    permid=chain.permid,
                    broker_order_id=chain.order_id,
                    exchange=instrument.exchange,
                )
                commission: CommissionReport | None = None
                if told.HasField("fill_commission") and place == 0:
                    commission = CommissionReport(
                        exec_id=exec_id,
                        mode=self._mode,
                        commission=number_of(told.fill_commission.commission),
                        currency=told.fill_commission.commission_currency,
                    )
                found.append((execution, commission, told.trans_id))
        return found

    def rejected(self, reject: Any) -> None:
        """Take the refusal of a request for which CQG keeps no order."""
        kind, order = self._requests.pop(reject.request_id, (None, None))
        if order is None:
            return
        text = text_of(reject, RejectCode, reject.reject_code)
        sent = self._sent.get(order.id)
        if kind == "new":
            if sent is not None:
                sent.is_ended = True
                self._tell(sent, status=OrderStatus.REJECTED, error_code=reject.reject_code, error_message=text)
        else:
            self._refuse(str(kind), order, reject.reject_code, text)

    def link_lost(self) -> None:
        """Report the orders that waited for their turn: they never left, and never will."""
        for pacer in self._pacers.values():
            pacer.stop()
        self._held.clear()
        self._requests.clear()
        for sent in list(self._sent.values()):
            sent.wants.clear()
            queued = sent.queued
            if queued is not None and not queued.has_left and not sent.is_ended:
                self._never_left(sent, "the link was lost before the order was sent", BrokerUnavailable.code)

    # -- telling

    def _tell(self, sent: _Sent, **facts: Any) -> None:
        self._sink.order_updated(
            OrderUpdate(
                mode=self._mode,
                order_ref=sent.order.order_ref or sent.order.id,
                receive_time=self._now_ns(),
                **facts,
            )
        )

    def _never_left(self, sent: _Sent, text: str, code: str | None) -> None:
        """Report an order that CQG will never see; `code` is ours, None for the caller's own cancel."""
        sent.is_ended = True
        self._tell(sent, status=OrderStatus.REJECTED, has_left=False, error_code=code, error_message=text)

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
            )
        )


def _metadata_request(contract_id: int) -> Any:
    message = ClientMsg()
    request = message.information_requests.add(id=0).contract_metadata_request
    request.contract_id = contract_id
    return request
