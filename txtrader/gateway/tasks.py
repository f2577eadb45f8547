"""Two small helpers for everything that answers later."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.errors import TxTraderError

__all__ = ["returns_deferred", "spawn"]

P = ParamSpec("P")
T = TypeVar("T")


def returns_deferred(method: Callable[P, Coroutine[Deferred[Any], Any, T]]) -> Callable[P, Deferred[T]]:
    """Make a coroutine function start at once and return a running, cancellable Deferred."""

    @wraps(method)
    def start(*args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        return ensureDeferred(method(*args, **kwargs))

    return start


def spawn(work: Coroutine[Deferred[Any], Any, Any], log: Logger, doing: str) -> Deferred[None]:
    """Run `work` for its effect alone: an expected error is logged as one line, a bug with its traceback."""

    def report(failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        if failure.check(TxTraderError):
            log.warn("{doing}: {reason}", doing=doing, reason=failure.getErrorMessage())
        else:
            log.failure("while {doing}", failure=failure, doing=doing)

    def forget(result: object) -> None:
        return None

    return ensureDeferred(work).addCallbacks(forget, report)
