"""Everything that CQG knows, read whole for reconciliation, and the news between the readings.

    a fresh trade subscription -> its status -> snapshots -> completion of each scope      (orders, positions, figures)
    historical orders since yesterday, beside it                                          (what has ended, with fills)

The fresh subscription replaces the former one, so that no moment is without one.  A reading whose parts do not all
come fails as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from txtrader.adapters.cqg_books import SUMMARY_FIELDS, Books, Holdings
from txtrader.adapters.cqg_orders import Orders
from txtrader.errors import BrokerUnavailable, TxTraderError
from txtrader.gateway.adapter import AdapterSink, BrokerSnapshot
from txtrader.gateway.tasks import returns_deferred
from txtrader.model.execution import CommissionReport, Execution
from txtrader.model.order import OrderUpdate
from txtrader.net.pacing import Priority
from txtrader.net.pending import all_of
from txtrader.wire.cqg.schema import ClientMsg, message_class
from txtrader.wire.cqg.words import Scope

__all__ = ["Reports"]

_DAY = 86_400_000_000_000
_DAYS_BACK = 1
_SCOPES = (int(Scope.ORDERS), int(Scope.POSITIONS), int(Scope.ACCOUNT_SUMMARY))
_History = message_class("trade_routing_2.HistoricalOrdersRequest")


class _Reading:
    """One trade subscription whose snapshot is under way."""

    def __init__(self, number: int, holdings: Holdings) -> None:
        self.number = number
        self.holdings = holdings
        self.open_scopes = set(_SCOPES)
        self.orders: dict[str, OrderUpdate] = {}
        self.executions: dict[str, Execution] = {}
        self.commissions: dict[str, CommissionReport] = {}
        self.over: Deferred[None] = Deferred()


class Reports:
    """Trade subscriptions, snapshots and their news."""

    _log = Logger()

    def __init__(
        self,
        mode: str,
        sink: AdapterSink,
        reactor: Any,
        now_ns: Callable[[], int],
        *,
        orders: Orders,
        books: Books,
        connected: Callable[[], Any],
        timeout: float,
    ) -> None:
        self._mode = mode
        self._sink = sink
        self._reactor = reactor
        self._now_ns = now_ns
        self._orders = orders
        self._books = books
        self._connected = connected
        self._timeout = timeout
        self._subscription: int | None = None
        self._reading: _Reading | None = None

    def opened(self, connection: Any) -> None:
        """Subscribe before any order can leave: what happens to one from then on is told."""
        self._subscription = connection.next_number()
        message = self._subscribe(self._subscription)
        message.trade_subscriptions[0].skip_orders_snapshot = True  # the first reading follows
        connection.post(message, Priority.ACCOUNT)

    def closed(self) -> None:
        """The link is gone, and the subscriptions with it."""
        self._subscription = None
        reading, self._reading = self._reading, None
        if reading is not None and not reading.over.called:
            reading.over.errback(BrokerUnavailable("the link to CQG was lost"))

    # -- news

    def order_status(self, message: Any, connection: Any) -> None:
        """Take a chain: a part of the snapshot that is being read, or news."""
        if not self._books.is_ours(message.account_id):
            return
        reading = self._reading
        if reading is not None and message.is_snapshot and reading.number in message.subscription_ids:
            self._collect(reading, message, connection)
        else:
            self._orders.status(message, connection)

    def position_status(self, message: Any, connection: Any) -> None:
        """Take a position likewise."""
        if not self._books.is_ours(message.account_id):
            return
        reading = self._reading
        if reading is not None and message.is_snapshot and reading.number in message.subscription_ids:
            reading.holdings.take(message, connection)
        else:
            self._books.position(message, connection)

    def completed(self, message: Any) -> None:
        """Take the end of a part of a snapshot."""
        reading = self._reading
        if reading is None or message.subscription_id != reading.number:
            return
        reading.open_scopes.difference_update(message.subscription_scopes)
        if not reading.open_scopes and not reading.over.called:
            reading.over.callback(None)

    # -- the whole

    @returns_deferred
    async def snapshot(self, session: str) -> BrokerSnapshot:
        """Read everything; a part that does not come fails the whole."""
        connection = self._connected()
        self._books.learn_accounts(
            await connection.ask(self._timeout, priority=Priority.ACCOUNT, accounts_request=_accounts())
        )
        if self._reading is not None:
            raise BrokerUnavailable("a snapshot is being read already")
        reading = self._reading = _Reading(connection.next_number(), self._books.begin())
        late = self._reactor.callLater(self._timeout, self._too_late, reading)
        former, self._subscription = self._subscription, reading.number
        since = (self._now_ns() // _DAY - _DAYS_BACK) * _DAY
        try:
            await connection.ask_trades(self._subscribe(reading.number), reading.number, self._timeout)
            await reading.over
            request = _History(from_date=connection.base_time.milliseconds(since))
            (history,) = await all_of(
                [connection.ask(self._timeout, priority=Priority.ACCOUNT, historical_orders_request=request)]
            )
        finally:
            if late.active():
                late.cancel()
            if self._reading is reading:
                self._reading = None
            reading.over.addErrback(lambda failure: None)  # told by the await above, where that was reached
            self._drop(former, connection)
        for report in history:
            for message in report.historical_orders_report.order_statuses:
                if not self._books.is_ours(message.account_id):
                    continue
                self._learn(message, connection)
                self._collect(reading, message, connection)
        positions = self._books.take_over(reading.holdings)
        updates = list(reading.orders.values())
        return BrokerSnapshot(
            mode=self._mode,
            session=session,
            accounts=self._books.accounts,
            open_orders=tuple(one for one in updates if not _is_over(one)),
            completed_orders=tuple(one for one in updates if _is_over(one)),
            executions=tuple(reading.executions.values()),
            commissions=tuple(reading.commissions.values()),
            positions=tuple(positions),
            executions_since=since,
            completed_since=since,
        )

    def _learn(self, message: Any, connection: Any) -> None:
        for metadata in message.contract_metadata:
            connection.learn(metadata)

    def _collect(self, reading: _Reading, message: Any, connection: Any) -> None:
        update = self._orders.noted_snapshot(message, connection)
        assert update.permid is not None
        reading.orders[update.permid] = update
        chain = self._orders.chain_of(message)
        for execution, commission, number in self._orders.executions_of(message, chain, connection):
            chain.transactions.add(number)
            reading.executions[execution.exec_id] = execution
            if commission is not None:
                reading.commissions[commission.exec_id] = commission

    def _subscribe(self, number: int) -> Any:
        message = ClientMsg()
        request = message.trade_subscriptions.add(id=number, subscribe=True)
        request.subscription_scopes.extend(_SCOPES)
        self._books.put_accounts(request)
        request.account_summary_parameters.requested_fields.extend(SUMMARY_FIELDS)
        return message

    def _drop(self, number: int | None, connection: Any) -> None:
        """End a subscription that a newer one has replaced."""
        if number is None or not connection.is_ready:
            return
        message = ClientMsg()
        message.trade_subscriptions.add(id=number, subscribe=False)
        try:
            connection.post(message, Priority.ACCOUNT)
        except TxTraderError as error:
            self._log.warn("a trade subscription was not ended: {error}", error=error.text)

    def _too_late(self, reading: _Reading) -> None:
        if not reading.over.called:
            reading.over.errback(BrokerUnavailable(f"CQG's snapshot did not come within {self._timeout:g} s"))


def _accounts() -> Any:
    return message_class("trading_account_2.AccountsRequest")()


def _is_over(update: OrderUpdate) -> bool:
    return update.status is not None and update.status.is_terminal
