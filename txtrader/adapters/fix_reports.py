"""Everything that a FIX broker tells, read whole for reconciliation, and the reports between the readings.

    open orders     AF -> 8 ... the last one with 912=Y      or H -> 8 for each order that is not known to be over
    ended orders    H -> 8 for those that the list does not name; what ended a while ago, by its report
    executions      the reports: numbered, so that none can be missed; what a kill may have swallowed, from our file
    positions       AN -> AO, AP ... as many as AO says

A test of the link comes first: when it is answered, every report of what happened before has been heard.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from txtrader.adapters.fix_chain import Known
from txtrader.adapters.fix_connection import Connection
from txtrader.adapters.fix_orders import Orders
from txtrader.adapters.fix_positions import Positions
from txtrader.dialects.fix_reports import report_of
from txtrader.errors import BrokerError, BrokerUnavailable
from txtrader.gateway.adapter import AdapterSink, BrokerNotice, BrokerSnapshot
from txtrader.gateway.tasks import returns_deferred
from txtrader.model.execution import CommissionReport, Execution
from txtrader.model.order import OrderUpdate
from txtrader.net.pending import all_of
from txtrader.wire.fix.message import Message

__all__ = ["Reports"]

SECOND = 1_000_000_000
RECENT = 1800 * SECOND
"""How long a fact is told again in snapshots; the gateway remembers each for much longer."""
_LOOKS_APART = 10 * SECOND
_AT_ONCE = 50  # questions for single orders under way at one time


class Reports:
    """Snapshots, and the executions that belong into them."""

    _log = Logger()

    def __init__(
        self,
        mode: str,
        sink: AdapterSink,
        now_ns: Callable[[], int],
        *,
        orders: Orders,
        positions: Positions,
        accounts: Callable[[], tuple[str, ...]],
        connected: Callable[[], Connection],
        status: str,
        version: str,
        timeout: float,
        look_again: Callable[[], None],
    ) -> None:
        self._mode = mode
        self._sink = sink
        self._now_ns = now_ns
        self._orders = orders
        self._positions = positions
        self._accounts = accounts
        self._connected = connected
        self._way = "each" if status == "mass" and version == "4.2" else status
        self._timeout = timeout
        self._look_again = look_again
        self._executions: dict[str, tuple[int, Execution, CommissionReport | None]] = {}
        self._is_reading = False
        self._since: int | None = None
        self._is_replaying = False
        self._looked_at: int | None = None

    # -- news

    def executed(self, execution: Execution, commission: CommissionReport | None) -> None:
        """Keep an execution for the next snapshots, and tell it; one that was told already is no news."""
        known = self._executions.get(execution.exec_id)
        if known is None:
            self._executions[execution.exec_id] = (self._now_ns(), execution, commission)
        elif (known[1].shares, known[1].price) == (execution.shares, execution.price):
            return
        if self._is_replaying:
            return  # the first snapshot tells it
        self._sink.executed(execution)
        self._positions.soon()
        if commission is not None:
            self._sink.commissioned(commission)

    def report(self, connection: Connection, message: Message) -> None:
        """Take an execution report: an answer that is waited for, or news."""
        try:
            report = report_of(message)
        except ValueError as error:
            name = message.get(11) or message.get(37)
            self.unreadable(f"a report of order {name} cannot be read: {error}")
            return
        question = connection.question(report.mass_id) or connection.question(report.request_id)
        if question is None and report.is_answer and (known := self._orders.find(report)) is not None:
            question = connection.question(_name_of(known))  # not every broker tells the question's id again
        if question is None:
            if report.is_of_no_order:
                return
            taken = self._orders.report(message)
            question = None if taken is None else connection.question(_name_of(taken[0]))
            if question is None:
                return
            # Whatever the broker says of an order answers where it stands; some never say that it is an answer.
        question.collect(message)
        is_complete = report.total is not None and len(question.answers) >= report.total
        if report.mass_id is None or report.is_last or is_complete:
            question.finish()

    def unreadable(self, text: str) -> None:
        """Say that a report told something which nobody understood, and have the books looked at again.

        Not at once after the last time: what cannot be read may be an answer to that very look.
        """
        self._sink.noticed(BrokerNotice(mode=self._mode, severity="error", message=text))
        now = self._now_ns()
        if self._looked_at is None or now - self._looked_at > _LOOKS_APART:
            self._looked_at = now
            self._look_again()

    def replay(self, messages: list[tuple[int, Message]]) -> None:
        """Take the reports that an earlier process has heard, and may not have kept: the next snapshot tells them."""
        self._is_replaying = True
        try:
            for heard_at, message in messages:
                try:
                    report = report_of(message)
                except ValueError:
                    continue
                known = self._orders.find(report)
                if known is None and self._now_ns() - heard_at > RECENT:
                    continue  # an order that the gateway has forgotten: what it traded is in the books
                if not report.is_answer:
                    self._orders.report(message, is_snapshot=True)
        finally:
            self._is_replaying = False

    # -- the whole

    @returns_deferred
    async def snapshot(self, session: str) -> BrokerSnapshot:
        """Read everything; a part that does not come fails the whole."""
        if self._is_reading:
            raise BrokerUnavailable("a snapshot is being read already")
        connection = self._connected()
        self._is_reading = True
        try:
            await connection.test(self._timeout)
            updates = await self._read_orders(connection)
            positions = await self._positions.read(connection)
        finally:
            self._is_reading = False
        now = self._now_ns()
        since, self._since = self._since, now
        for exec_id, (told_at, _, _) in list(self._executions.items()):
            if told_at < now - RECENT and (since is None or told_at < since):
                del self._executions[exec_id]
        self._orders.forget(now - 2 * RECENT)
        kept = list(self._executions.values())
        return BrokerSnapshot(
            mode=self._mode,
            session=session,
            accounts=self._accounts(),
            open_orders=tuple(one for one in updates if not _is_over(one)),
            completed_orders=tuple(one for one in updates if _is_over(one)),
            executions=tuple(execution for _, execution, _ in kept),
            commissions=tuple(commission for _, _, commission in kept if commission is not None),
            positions=None if positions is None else tuple(positions),
            executions_since=now - RECENT,
            completed_since=now - RECENT,
        )

    async def _read_orders(self, connection: Connection) -> list[OrderUpdate]:
        found: dict[int, OrderUpdate] = {}
        if self._way == "mass":
            for message in await self._ask_all(connection):
                self._take(message, found)
        if self._way != "none":
            unnamed = [known for known in self._orders.open_orders() if id(known) not in found]
            open_orders = [known for known in unnamed if known.current is not None]
            for start in range(0, len(open_orders), _AT_ONCE):
                part = open_orders[start : start + _AT_ONCE]
                answers = await all_of([self._ask_one(connection, known) for known in part])
                for message in answers:
                    self._take(message, found)
        reach = self._now_ns() - RECENT
        for known in self._orders.all_known():
            if id(known) in found or known.last is None:
                continue
            if known.is_over and known.ended_at >= reach:
                found[id(known)] = known.last
        for known in self._orders.open_orders():
            # Without a question, or a name to ask by, there is no proof that one is gone: it stays as it was heard of.
            if self._way == "none" or (known.current is None and id(known) not in found):
                nothing = OrderUpdate(mode=self._mode, order_ref=known.ref, permid=known.permid)
                found.setdefault(id(known), known.last or nothing)
        return list(found.values())

    def _take(self, message: Message, found: dict[int, OrderUpdate]) -> None:
        """Take one answer; an order that the broker does not know is not among what it reports."""
        report = report_of(message)
        if report.is_of_no_order or (report.order_id is None and report.cl_ord_id is None):
            return
        taken = self._orders.report(message, is_snapshot=True)
        if taken is not None and taken[0].last is not None:
            found[id(taken[0])] = taken[0].last

    async def _ask_all(self, connection: Connection) -> list[Message]:
        """Ask for all open orders; a broker that refuses is asked for each from now on."""
        key = connection.next_id("ALL")
        message = Message("AF").add(584, key).add(585, "7")
        try:
            answers: list[Message] = await connection.ask(key, "all open orders", message, self._timeout).wait()
        except BrokerError as error:
            self._way = "each"
            self._sink.noticed(
                BrokerNotice(
                    mode=self._mode,
                    severity="warning",
                    message=f"{error.message}; orders are asked for one by one, strangers' orders are not seen",
                    broker_code=error.broker_code,
                )
            )
            return []
        return answers

    @returns_deferred
    async def _ask_one(self, connection: Connection, known: Known) -> Message:
        key = _name_of(known)
        message = self._orders.ask_status(known, key)
        try:
            (answer,) = await connection.ask(key, f"the status of {known.ref}", message, self._timeout).wait()
        except BrokerError as error:
            if error.broker_code != "380=1":  # an unknown id is an answer; anything else is none
                raise BrokerUnavailable(f"{error.message}; see TXTRADER_FIX_STATUS") from None
            return Message("8", [(150, "I"), (39, "8"), (103, "5"), (790, key)])
        return answer


def _name_of(known: Known) -> str:
    """Name the question for the status of an order."""
    return f"STATUS-{known.key}"


def _is_over(update: OrderUpdate) -> bool:
    return update.status is not None and update.status.is_terminal
