"""Answers that are waited for: each is an object with a deadline, and each ends."""

from __future__ import annotations

from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txtrader.errors import OutcomeUnknown, TxTraderError

__all__ = ["Pending"]

Result = TypeVar("Result")


class Pending(Generic[Result]):
    """Waiters by key; several may wait for the same key and all get the same outcome."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: dict[str, list[tuple[Deferred[Result], IDelayedCall]]] = {}

    def __len__(self) -> int:
        return sum(len(waiters) for waiters in self._waiting.values())

    def add(self, key: str, timeout: float) -> Deferred[Result]:
        """Wait for `key`; fails with OutcomeUnknown after `timeout` clock seconds."""
        waiter: Deferred[Result] = Deferred(lambda _: self._drop(key, waiter))
        call = self._clock.callLater(timeout, self._expire, key, waiter)
        self._waiting.setdefault(key, []).append((waiter, call))
        return waiter

    def fire(self, key: str, result: Result) -> None:
        """Give everyone who waits for `key` its result."""
        for waiter, call in self._waiting.pop(key, ()):
            call.cancel()
            waiter.callback(result)

    def fail(self, key: str, error: TxTraderError) -> None:
        """Give everyone who waits for `key` an error."""
        for waiter, call in self._waiting.pop(key, ()):
            call.cancel()
            waiter.errback(error)

    def fail_all(self, error: TxTraderError) -> None:
        """End all waiting."""
        for key in list(self._waiting):
            self.fail(key, error)

    def _drop(self, key: str, waiter: Deferred[Result]) -> None:
        """Forget a waiter; its timer with it."""
        waiters = self._waiting.get(key, [])
        for entry in waiters:
            if entry[0] is waiter:
                waiters.remove(entry)
                if entry[1].active():
                    entry[1].cancel()
                break
        if not waiters:
            self._waiting.pop(key, None)

    def _expire(self, key: str, waiter: Deferred[Result]) -> None:
        self._drop(key, waiter)
        waiter.errback(OutcomeUnknown("no answer in time"))
