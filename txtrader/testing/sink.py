"""A sink that remembers everything an adapter said, in its sequence, and can be waited for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from txtrader.gateway.adapter import BrokerNotice, LinkState, LinkStatus
from txtrader.model.account import AccountValue, Position
from txtrader.model.execution import CommissionReport, Execution
from txtrader.model.market import MarketStats, Quote, Trade
from txtrader.model.order import CancelRejected, OrderUpdate, OrderWarning

__all__ = ["RecordingSink"]

F = TypeVar("F")


class RecordingSink:
    """Keeps every fact in `facts`; `until` fires with the first one that fits, past or to come."""

    def __init__(self, clock: IReactorTime, *, timeout: float = 10.0) -> None:
        self._clock = clock
        self._timeout = timeout
        self.facts: list[Any] = []
        self.accounts: Sequence[str] = ()
        self._waiting: list[tuple[Callable[[Any], object], Deferred[Any]]] = []

    def until(self, kind: type[F], fits: Callable[[F], object] = bool, *, since: int = 0) -> Deferred[F]:
        """Wait for a fact of `kind` that `fits`, looking at those from number `since` on first."""

        def wanted(fact: Any) -> object:
            return isinstance(fact, kind) and fits(fact)

        waiting: Deferred[F] = Deferred()
        for fact in self.facts[since:]:
            if wanted(fact):
                waiting.callback(fact)
                return waiting
        self._waiting.append((wanted, waiting))
        return waiting.addTimeout(self._timeout, self._clock)

    def until_state(self, state: LinkState, *, since: int = 0) -> Deferred[LinkStatus]:
        """Wait until the link was in `state`."""
        return self.until(LinkStatus, lambda status: status.state is state, since=since)

    def of(self, kind: type[F], *, since: int = 0) -> list[F]:
        """Return the facts of one kind."""
        return [fact for fact in self.facts[since:] if isinstance(fact, kind)]

    def mark(self) -> int:
        """Return the number of the next fact, for `since`."""
        return len(self.facts)

    def _note(self, fact: Any) -> None:
        self.facts.append(fact)
        for entry in list(self._waiting):
            wanted, waiting = entry
            if waiting.called:  # timed out
                self._waiting.remove(entry)
            elif wanted(fact):
                self._waiting.remove(entry)
                waiting.callback(fact)

    def link_changed(self, status: LinkStatus) -> None:
        self._note(status)

    def order_updated(self, update: OrderUpdate) -> None:
        self._note(update)

    def order_warned(self, warning: OrderWarning) -> None:
        self._note(warning)

    def cancel_rejected(self, rejected: CancelRejected) -> None:
        self._note(rejected)

    def executed(self, execution: Execution) -> None:
        self._note(execution)

    def commissioned(self, report: CommissionReport) -> None:
        self._note(report)

    def quoted(self, quote: Quote) -> None:
        self._note(quote)

    def traded(self, trade: Trade) -> None:
        self._note(trade)

    def stats_changed(self, stats: MarketStats) -> None:
        self._note(stats)

    def accounts_changed(self, mode: str, accounts: Sequence[str]) -> None:
        self.accounts = tuple(accounts)

    def account_changed(self, value: AccountValue) -> None:
        self._note(value)

    def position_changed(self, position: Position) -> None:
        self._note(position)

    def noticed(self, notice: BrokerNotice) -> None:
        self._note(notice)
