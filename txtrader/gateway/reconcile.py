"""Reconciliation: nothing trades on a guess.

After every (re)connect, and once in a while when all is well: read everything from the broker, apply what was
missed (each thing once), settle what is unknown by evidence, compare the positions with the ledger, and only then
open the gate.  Missing is not flat and not cancelled: a report that did not come whole is asked again.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from txtrader.errors import TxTraderError
from txtrader.gateway.adapter import BrokerSnapshot
from txtrader.gateway.blotter import Change, LedgerKey
from txtrader.gateway.tasks import spawn
from txtrader.model.order import Order, OrderStatus, Provenance
from txtrader.model.times import SECOND, iso

if TYPE_CHECKING:
    from txtrader.gateway.link import BrokerLink

__all__ = ["Reconciler"]

_S = OrderStatus
_POSITION_TRIES = 4
_POSITION_PAUSE = 1.0  # seconds: a fill may stand between the executions and the positions of one snapshot


class _Found:
    """What one reconciliation has found so far, over its attempts."""

    def __init__(self) -> None:
        self.recovered: list[str] = []
        self.external: list[str] = []
        self.missing: list[str] = []
        self.differences: list[dict[str, Any]] = []
        self._moving: set[LedgerKey] = set()
        self._gaps: dict[tuple[str, str], set[Decimal]] = {}

    def compare(self, differences: list[dict[str, Any]], moving: set[LedgerKey]) -> None:
        """Take the differences of one attempt, and what has moved while the broker was asked."""
        self.differences = differences
        self._moving = moving
        for row in differences:
            gap = row["ours"] - row["broker"]
            self._gaps.setdefault((row["account"], row["instrument_id"]), set()).add(gap)

    def conclusive(self) -> list[dict[str, Any]]:
        """Return the differences that no fill under way explains: it stood still, or is always the same."""
        moving = {(account, instrument) for _, account, instrument in self._moving}
        return [
            row
            for row in self.differences
            if (place := (row["account"], row["instrument_id"])) not in moving or len(self._gaps[place]) == 1
        ]


class Reconciler:
    """Runs the reconciliations of one link, one at a time."""

    _log = Logger()

    def __init__(self, link: BrokerLink, *, clock: IReactorTime, now_ns: Callable[[], int]) -> None:
        self._link = link
        self._clock = clock
        self._now_ns = now_ns
        self._running: Deferred[None] | None = None
        self._next: IDelayedCall | None = None
        self._session_since: dict[str, int] = {}
        self._turn = 0
        self._is_inconclusive = False
        self._accounts: tuple[str, ...] = ()
        self._failed: list[dict[str, Any]] = []
        self.report: dict[str, Any] = {
            "state": "none",
            "time": None,
            "missing": [],
            "external": [],
            "recovered": [],
            "positions": [],
        }

    def begin(self, why: str) -> None:
        """Reconcile now, whatever ran before."""
        self.stop()
        session = self._link.status.session or ""
        self._session_since = {session: self._session_since.get(session, self._now_ns())}
        self._start(why, opens_gate=True)

    def stop(self) -> None:
        """End what runs and what is planned."""
        self._turn += 1
        if self._next is not None and self._next.active():
            self._next.cancel()
        running, self._running = self._running, None
        if running is not None:
            running.cancel()

    def plan(self, delay: float) -> None:
        """Look again in `delay` seconds, or sooner if that is planned already."""
        if self._running is not None or not self._link.is_connected:
            return
        if self._next is not None and self._next.active():
            if self._next.getTime() <= self._clock.seconds() + delay:
                return
            self._next.cancel()
        self._next = self._clock.callLater(delay, self._start, "recheck", opens_gate=not self._link.is_up)

    def _start(self, why: str, *, opens_gate: bool) -> None:
        self._turn += 1
        turn = self._turn
        running = spawn(self._run(why, opens_gate=opens_gate), self._log, "reconciling")
        self._running = None if running.called else running
        running.addCallback(lambda _: self._ended(turn))

    def _ended(self, turn: int) -> None:
        if turn != self._turn:
            return  # stopped, or overtaken by a newer one
        self._running = None
        if self._link.is_connected:
            waits = self._link.word == "Initializing" or self._is_inconclusive
            self.plan(self._link.options.reconcile_retry if waits else self._pause())

    def _pause(self) -> float:
        """The time to the next look: soon while something is unknown, else the interval."""
        options = self._link.options
        unknown = any(o.mode == self._link.mode and o.status is _S.UNKNOWN for o in self._link.blotter.open_orders())
        fresh = self._now_ns() - max(self._session_since.values(), default=0)
        if unknown and fresh < 4 * options.unknown_quiet * SECOND:
            return options.unknown_quiet
        return options.reconcile_interval

    async def _run(self, why: str, *, opens_gate: bool) -> None:
        link = self._link
        found = _Found()
        self._is_inconclusive = False
        for attempt in range(_POSITION_TRIES):
            if attempt:
                await self._sleep(_POSITION_PAUSE)
            asked_at = self._now_ns()
            link.books.take_moved(link.mode)
            try:
                snapshot = await link.adapter.snapshot()
            except TxTraderError as error:
                if link.is_connected:
                    self._incomplete(error, opens_gate=opens_gate)
                return
            if snapshot.session != link.status.session:
                return  # read in a session that is over; the new one has its own look
            moving = link.books.take_moved(link.mode)
            before = set(link.blotter.orders)
            found.recovered += self._apply(snapshot, asked_at)
            found.external += [i for i in link.blotter.orders if i not in before]
            found.missing = self._settle(snapshot, asked_at)
            link.cancels_on_return()
            self._accounts = snapshot.accounts
            found.compare(self._compare(snapshot), moving)
            if not found.differences:
                break
        conclusive = found.conclusive()
        if found.differences and not conclusive:
            # Fills came faster than the positions: nothing is wrong that we know of, and nothing is proved.
            self._is_inconclusive = True
            if not link.is_up:
                link.remark("warning", "reconciliation-incomplete", "positions move while they are read; asking again")
            return
        self.report = {
            "state": "failed" if conclusive else "ok",
            "time": iso(self._now_ns()),
            "missing": found.missing,
            "external": found.external,
            "recovered": list(dict.fromkeys(found.recovered)),
            "positions": conclusive,
        }
        if conclusive:
            self._fail(conclusive)
        elif opens_gate or link.word == "ReconcileFailed":
            self.open_gate(why)

    def _incomplete(self, error: TxTraderError, *, opens_gate: bool) -> None:
        """Say that the reports did not come whole; cancels that were kept for the broker need not wait for them."""
        self._link.remark(
            "error" if opens_gate else "warning",
            "reconciliation-incomplete",
            f"the broker's reports did not come whole ({error.text}); asking again",
        )
        self._link.cancels_on_return()

    def _sleep(self, seconds: float) -> Deferred[None]:
        call: IDelayedCall
        waiter: Deferred[None] = Deferred(lambda _: call.cancel())
        call = self._clock.callLater(seconds, waiter.callback, None)
        return waiter

    def _apply(self, snapshot: BrokerSnapshot, asked_at: int) -> list[str]:
        """Apply the broker's reports; returns the ids of what was news."""
        link, now, news = self._link, self._now_ns(), []
        for update in (*snapshot.completed_orders, *snapshot.open_orders):
            change = link.blotter.apply_update(
                msgspec.structs.replace(update, is_snapshot=True), now, asked_at=asked_at
            )
            news += [order.id for order in change.orders]
            link.publish(change)
        for execution in snapshot.executions:
            change = link.blotter.apply_execution(execution, now)
            news += [e.exec_id for e in change.executions]
            link.publish(change)
        for report in snapshot.commissions:
            link.publish(link.blotter.apply_commission(report, now))
        link.accounts_changed(link.mode, snapshot.accounts)
        for value in snapshot.account_values:
            link.account_changed(value)
        if snapshot.positions is None:
            link.books.without_positions.add(link.mode)
        else:
            link.books.without_positions.discard(link.mode)
        positions = link.kept_positions() if snapshot.positions is None else snapshot.positions
        for position in link.books.swap_positions(link.mode, snapshot.accounts, positions):
            link.publish_position(position)
        return news

    def _settle(self, snapshot: BrokerSnapshot, asked_at: int) -> list[str]:
        """Decide on the open orders that no report names; returns their ids."""
        link, now = self._link, self._now_ns()
        named: set[str] = set()
        for update in (*snapshot.open_orders, *snapshot.completed_orders):
            found = link.blotter.locate(
                link.mode, update.order_ref, update.permid, update.clientid, update.broker_order_id
            )
            if found is not None:
                named.add(found.id)
        for execution in snapshot.executions:
            known = link.blotter.executions.get(link.blotter.execution_id(link.mode, execution.exec_id))
            if known is not None and known.order_id is not None:
                named.add(known.order_id)
        missing: list[str] = []
        for order in link.blotter.open_orders():
            if order.mode != link.mode or order.status is _S.STAGED or order.id in named:
                continue
            if order.update_time >= asked_at:
                continue  # it changed after the question: the next look decides
            if order.waits_to_leave or (order.status is _S.PENDING_NEW and order.session == snapshot.session):
                continue  # on its way; its own deadline decides
            missing.append(order.id)
            if order.status is not _S.UNKNOWN:
                order = link.blotter.change(
                    order, now, status=_S.UNKNOWN, previous_status=order.status, provenance=Provenance.RECONCILED
                )
                link.publish(Change(orders=(order,)))
            if self._may_be_lost(order, snapshot, now):
                lost = link.blotter.change(order, now, status=_S.LOST, provenance=Provenance.RECONCILED)
                link.publish(Change(orders=(lost,)))
                link.remark(
                    "warning",
                    "order-lost",
                    f"no report of a new session names order {order.id}",
                    id=order.id,
                    account=order.account,
                )
        return missing

    def _may_be_lost(self, order: Order, snapshot: BrokerSnapshot, now: int) -> bool:
        """Tell whether complete reports of a session later than the sending, and the quiet time, are there."""
        since = self._session_since.get(snapshot.session)
        if since is None or now - since < self._link.options.unknown_quiet * SECOND:
            return False
        if order.session is None:  # a stranger's: all we know is when we first saw it
            return order.submit_time < since
        return order.session != snapshot.session

    def _compare(self, snapshot: BrokerSnapshot) -> list[dict[str, Any]]:
        """Compare positions with the ledger; an account seen for the first time is taken as it is."""
        link = self._link
        found: list[dict[str, Any]] = []
        for account in snapshot.accounts:
            if not link.books.is_known(link.mode, account):
                self.take_positions(account, "seen for the first time")
                continue
            if snapshot.positions is None:
                continue  # nothing to compare with
            found += [
                {"account": account, "symbol": symbol, "instrument_id": instrument, "ours": ours, "broker": theirs}
                for instrument, symbol, ours, theirs in link.books.differences(link.mode, account)
            ]
        return found

    def report_for(self, sees: Callable[[str | None], bool]) -> dict[str, Any]:
        """Return the report as one may see it who `sees` certain accounts."""
        blotter = self._link.blotter

        def is_shown(id: str) -> bool:
            record = blotter.orders.get(id) or blotter.executions.get(id)
            return record is not None and sees(record.account)

        report = dict(self.report)
        report["positions"] = [row for row in report["positions"] if sees(row["account"])]
        for name in ("missing", "external", "recovered"):
            report[name] = [i for i in report[name] if is_shown(i)]
        return report

    def _tell_report(self) -> None:
        """Tell the report, to each account what concerns it."""
        for account in self._accounts:
            told = {**self.report_for(lambda other, mine=account: other == mine), "account": account}  # type: ignore[misc]
            self._link.tell("reconciliation", told, account=account)

    def take_positions(self, account: str, why: str) -> None:
        """Take the broker's positions of an account into the ledger."""
        link = self._link
        meta = link.books.accept(link.mode, account)
        told = {
            **self.report_for(lambda other: other == account),
            "state": "accepted",
            "account": account,
            "reason": why,
        }
        link.tell_with_meta("reconciliation", told, meta, account)

    def accept(self, account: str, why: str) -> None:
        """Take an account's positions on an admin's word; trading opens when nothing else differs."""
        self.take_positions(account, why)
        left = [row for row in self.report["positions"] if row["account"] != account]
        self.report = {**self.report, "positions": left, "state": "failed" if left else "ok"}
        if not left and self._link.word == "ReconcileFailed":
            self.open_gate("positions accepted")

    def _fail(self, differences: list[dict[str, Any]]) -> None:
        """Shut the gate; the figures are told to those only who may see the account."""
        link = self._link
        text = f"{len(differences)} positions differ from the ledger; accept_positions opens trading again"
        if differences != self._failed or link.word != "ReconcileFailed":
            for row in differences:
                message = (
                    f"positions differ: {row['symbol']} in {row['account']}, ours {row['ours']}, broker {row['broker']}"
                )
                link.remark("error", "reconcile-failed", message, account=row["account"], symbol=row["symbol"])
            self._tell_report()
        self._failed = differences
        link.set_word("ReconcileFailed", text)

    def open_gate(self, why: str) -> None:
        """Let orders pass: cancels that were kept go first, then everyone hears of it."""
        link = self._link
        self._tell_report()
        if link.last_up is not None:
            for channel in ("order", "execution", "account"):
                link.tell(
                    "gap",
                    {
                        "channel": channel,
                        "mode": link.mode,
                        "since": iso(link.last_up),
                        "until": iso(self._now_ns()),
                        "cause": link.lost_by,
                        "recovered": len(self.report["recovered"]),
                    },
                )
            link.last_up = None
        link.set_word("Up")
