"""Orders, executions and commissions as TWS reports them: live, and whole for reconciliation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

import msgspec
from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from txtrader.adapters.tws_books import Books
from txtrader.adapters.tws_instruments import Instruments
from txtrader.adapters.tws_orders import Orders
from txtrader.dialects import tws as dialect
from txtrader.errors import BrokerUnavailable, RemoteProtocolError
from txtrader.gateway.adapter import AdapterSink, BrokerNotice, BrokerSnapshot
from txtrader.gateway.tasks import returns_deferred, spawn
from txtrader.model.execution import CommissionReport, Execution
from txtrader.model.order import OrderUpdate
from txtrader.net.pacing import Priority
from txtrader.net.pending import all_of
from txtrader.twsapi.connection import Connection
from txtrader.wire.tws.message import Message

__all__ = ["Reports"]

SECOND = 1_000_000_000
_RECHECK_WAIT = 1.0  # seconds: what TWS has to say by itself comes within them


class Reports:
    """Hands live reports to the sink, and reads complete sets.

    `zone` is the time zone of the login, for times that name none.
    """

    _log = Logger()

    def __init__(
        self,
        mode: str,
        sink: AdapterSink,
        clock: IReactorTime,
        now_ns: Callable[[], int],
        *,
        orders: Orders,
        books: Books,
        instruments: Instruments,
        connected: Callable[[], Connection],
        timeout: float,
    ) -> None:
        self.zone: tzinfo = UTC
        self._mode = mode
        self._sink = sink
        self._clock = clock
        self._now_ns = now_ns
        self._orders = orders
        self._books = books
        self._instruments = instruments
        self._connected = connected
        self._timeout = timeout
        self._open_orders_turn = DeferredLock()
        self._recheck_call: IDelayedCall | None = None
        self._commissions: list[CommissionReport] | None = None
        self.takers: dict[str, Callable[[Message], None]] = {
            "openOrder": self._live_open_order,
            "orderStatus": self._live_status,
            "completedOrder": self._live_completed,
            "execDetails": self._live_execution,
            "commissionReport": self._commission,
        }
        """What takes which message."""

    def stop(self) -> None:
        """Leave nothing ticking."""
        if self._recheck_call is not None:
            self._recheck_call.cancel()
            self._recheck_call = None

    def today(self) -> str:
        """Return the date at the login, YYYYMMDD."""
        return self._local_now().strftime("%Y%m%d")

    def _local_now(self) -> datetime:
        return datetime.fromtimestamp(self._now_ns() // SECOND, self.zone)

    def _is_connected(self) -> bool:
        try:
            self._connected()
        except BrokerUnavailable:
            return False
        return True

    @returns_deferred
    async def snapshot(self, session: str) -> BrokerSnapshot:
        """Read everything; a part without its end marker fails the whole.

        TWS tells executions and completed orders of the login's day.
        """
        connection = self._connected()
        midnight = int(self._local_now().replace(hour=0, minute=0, second=0).timestamp()) * SECOND
        commissions: list[CommissionReport] = []
        self._commissions = commissions
        try:
            open_orders, completed, executions = await self._read_orders(connection)
            positions = await self._books.read_positions(connection)
        finally:
            if self._commissions is commissions:
                self._commissions = None
        return BrokerSnapshot(
            mode=self._mode,
            session=session,
            accounts=self._books.accounts,
            open_orders=tuple(open_orders),
            completed_orders=tuple(completed),
            executions=tuple(executions),
            commissions=tuple(commissions),
            positions=tuple(positions),
            executions_since=midnight,
            completed_since=midnight,
        )

    async def _read_orders(
        self, connection: Connection
    ) -> tuple[list[OrderUpdate], list[OrderUpdate], list[Execution]]:
        """Read open orders, then completed ones, then executions: what ends in between is in a later answer.

        An order that both lists name has ended since the first was read.
        """
        timeout = self._timeout
        await self._open_orders_turn.acquire()  # the end marker carries no id: one question at a time
        try:
            answers = await connection.ask_shared(
                "reqAllOpenOrders",
                answers=("openOrder", "orderStatus"),
                ends=("openOrderEnd",),
                timeout=timeout,
                is_news=self._orders.is_of_this_session,
            )
        finally:
            self._open_orders_turn.release()
        ended, filled = await all_of(
            [
                connection.ask_shared(
                    "reqCompletedOrders",
                    {"apiOnly": False},
                    answers=("completedOrder",),
                    ends=("completedOrdersEnd",),
                    timeout=timeout,
                ),
                connection.ask(
                    "reqExecutions",
                    {
                        "clientId": 0,
                        "acctCode": "",
                        "time": "",
                        "symbol": "",
                        "secType": "",
                        "exchange": "",
                        "side": "",
                    },
                    ends=("execDetailsEnd",),
                    priority=Priority.ACCOUNT,
                    timeout=timeout,
                ),
            ]
        )
        completed = [self._orders.completed_order(message) for message in ended]
        gone = {update.permid for update in completed if update.permid is not None}
        still_open = [update for update in self._merged(answers) if update.permid is None or update.permid not in gone]
        executions = [made for message in filled if (made := self._execution(message)) is not None]
        return still_open, completed, executions

    def _merged(self, messages: list[Message]) -> list[OrderUpdate]:
        """Join the openOrder and orderStatus of each order to one report."""
        merged: dict[object, OrderUpdate] = {}
        for message in messages:
            if message.name == "openOrder":
                update = self._orders.open_order(message, is_snapshot=True)
            else:
                update = self._orders.order_status(message, is_snapshot=True)
            if update is None:
                continue
            key = update.permid or (update.clientid, update.broker_order_id)
            known = merged.get(key)
            if known is None:
                merged[key] = update
                continue
            said = {
                name: value
                for name in update.__struct_fields__
                if (value := getattr(update, name)) is not None and name != "is_snapshot"
            }
            merged[key] = msgspec.structs.replace(known, **said)
        return list(merged.values())

    def recheck(self) -> None:
        """Ask TWS soon how orders stand, once for all who want to know."""
        if self._recheck_call is None and self._is_connected():
            self._recheck_call = self._clock.callLater(_RECHECK_WAIT, self._recheck)

    def _recheck(self) -> None:
        self._recheck_call = None
        if self._is_connected():
            spawn(self._look_again(self._connected()), self._log, "asking TWS how orders stand")

    async def _look_again(self, connection: Connection) -> None:
        open_orders, completed, executions = await self._read_orders(connection)
        for update in (*completed, *open_orders):
            self._sink.order_updated(update)
        for execution in executions:
            self._sink.executed(execution)

    def _live_open_order(self, message: Message) -> None:
        update = self._orders.open_order(message)
        if update is not None:
            self._sink.order_updated(update)

    def _live_status(self, message: Message) -> None:
        update = self._orders.order_status(message)
        if update is not None:
            self._sink.order_updated(update)

    def _live_completed(self, message: Message) -> None:
        self._sink.order_updated(self._orders.completed_order(message))

    def _live_execution(self, message: Message) -> None:
        execution = self._execution(message)
        if execution is not None:
            self._sink.executed(execution)

    def _execution(self, message: Message) -> Execution | None:
        """Read an execution; one that cannot be counted is told to the operator, never dropped unseen."""
        try:
            return dialect.execution_from_wire(
                message.fields,
                self._mode,
                self._instruments.of(message.fields),
                receive_time=self._now_ns(),
                zone=self.zone,
            )
        except RemoteProtocolError as error:
            self._sink.noticed(BrokerNotice(mode=self._mode, severity="error", message=error.message))
            return None

    def _commission(self, message: Message) -> None:
        report = dialect.commission_from_wire(message.fields, self._mode)
        if self._commissions is not None:
            self._commissions.append(report)
        self._sink.commissioned(report)
