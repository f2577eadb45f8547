"""How many commands a session may give in a second, cancels counted apart so that a flood cannot block them."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from txtrader.errors import Throttled
from txtrader.model.operations import Operation

__all__ = ["CallLimiter", "TokenBucket"]

_BURST = 2.0  # a bucket holds what it gets in so many seconds


class TokenBucket:
    """`rate` tokens come in a second, at most twice as many are kept; each call takes one."""

    __slots__ = ("_at", "_capacity", "_rate", "_tokens")

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._capacity = max(1.0, rate * _BURST)
        self._tokens = self._capacity
        self._at = now

    def take(self, now: float) -> float:
        """Take a token and return 0, or return in how many seconds there is one."""
        tokens = min(self._capacity, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if tokens >= 1.0:
            self._tokens = tokens - 1.0
            return 0.0
        self._tokens = tokens
        return (1.0 - tokens) / self._rate


class CallLimiter:
    """The buckets of one session.  Every front end has each call pass `check` before it is run."""

    __slots__ = ("_cancels", "_clock", "_commands")

    def __init__(self, clock: IReactorTime, command_rate: float, cancel_rate: float) -> None:
        self._clock = clock
        now = clock.seconds()
        self._commands = TokenBucket(command_rate, now)
        self._cancels = TokenBucket(cancel_rate, now)

    def check(self, operation: Operation | None = None) -> None:
        """Count a call; raises Throttled with `retry_after` when it is one too many."""
        is_cancel = operation is not None and operation.group == "cancel"
        bucket = self._cancels if is_cancel else self._commands
        wait = bucket.take(self._clock.seconds())
        if wait:
            what = "cancels" if is_cancel else "commands"
            raise Throttled(f"too many {what} in a second", retry_after=round(wait, 3) or 0.001)
