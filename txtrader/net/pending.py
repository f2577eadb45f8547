"""Questions that wait for a broker: each ends in a result, a typed error, its deadline or the loss of the link."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from txtrader.errors import BrokerUnavailable

__all__ = ["PendingQuestion", "all_of"]

T = TypeVar("T")
_MOST_ANSWERS = 100_000  # messages in one answer; the longest that is known (an option chain) stays well below


async def all_of(asked: Sequence[Deferred[Any]]) -> list[Any]:
    """Wait for all answers, in the sequence asked; the first error ends the wait and takes back the rest."""
    try:
        return list(await gatherResults(asked, consumeErrors=True))
    except FirstError as failed:
        raise failed.subFailure.value from None  # type: ignore[misc]  # a Failure's value is an exception
    finally:
        for one in asked:
            one.cancel()  # those that are over do not mind


class PendingQuestion(Generic[T]):
    """One question: what it is called, under which id, until when, and what has come of it.

    Several callers may wait for one question (those without an id on the wire are shared).  `key` is the request id,
    or the name of the question where the wire has no id.  `peer` is what errors call the broker.
    """

    def __init__(
        self,
        key: int | str,
        name: str,
        *,
        clock: IReactorTime,
        peer: str,
        on_over: Callable[[PendingQuestion[T]], None],
        cancel_message: T | None = None,
    ) -> None:
        self.key = key
        self._peer = peer
        self.name = name
        self.answers: list[T] = []
        self.cancel_message = cancel_message
        """What to send when nobody waits any more."""
        self.is_mine: Callable[[T], bool] | None = None
        """Which messages of its names belong to it, where the wire gives no id; None for all."""
        self.is_news: Callable[[T], bool] | None = None
        """Which of them others have to hear of as well."""
        self.has_failed = False
        self._clock = clock
        self._on_over = on_over
        self._waiting: list[Deferred[list[T]]] = []
        self._deadline: IDelayedCall | None = None
        self.is_over = False

    def start_deadline(self, timeout: float) -> None:
        """Count from now; called when the question leaves."""
        if not self.is_over and self._deadline is None:
            self._deadline = self._clock.callLater(timeout, self._too_late, timeout)

    def wait(self) -> Deferred[list[T]]:
        """Return a Deferred of the answers, one for each caller; cancelling the last one cancels the question."""
        waiter: Deferred[list[T]] = Deferred(self._leave)
        self._waiting.append(waiter)
        return waiter

    def collect(self, message: T) -> None:
        """Take one message of the answer."""
        if self.is_over:
            return
        if len(self.answers) >= _MOST_ANSWERS:
            self.fail(BrokerUnavailable(f"{self.name}: {self._peer} answers more than {_MOST_ANSWERS} messages"))
            return
        self.answers.append(message)

    def finish(self) -> None:
        """End with what has been collected."""
        if self._end():
            waiting, self._waiting = self._waiting, []
            for waiter in waiting:
                waiter.callback(list(self.answers))

    def fail(self, error: Exception) -> None:
        """End with an error."""
        self.has_failed = not self.is_over
        if self._end():
            waiting, self._waiting = self._waiting, []
            for waiter in waiting:
                waiter.errback(Failure(error))

    def cancel(self) -> None:
        """Give up: everybody who waits is told so."""
        self.fail(BrokerUnavailable(f"{self.name} was given up"))

    def _leave(self, waiter: Deferred[list[T]]) -> None:
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        if not self._waiting:
            self._end()

    def _too_late(self, timeout: float) -> None:
        self._deadline = None
        self.fail(BrokerUnavailable(f"{self._peer} did not answer {self.name} within {timeout:g} s"))

    def _end(self) -> bool:
        if self.is_over:
            return False
        self.is_over = True
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._on_over(self)
        return True
