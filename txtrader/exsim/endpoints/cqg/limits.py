"""How much a client may ask, and what is counted for that; off unless the endpoint is given limits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable

import msgspec

__all__ = ["CqgLimits", "Meters"]

_SECOND = 1_000_000_000
_DAY = 86_400.0


class CqgLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits that CQG publishes; None for any of them is no limit.

    `messages` in 10 s, then a user message and the end; `information` requests in 100 s; `resolutions` and
    `account_requests` (accounts and balances) a day; `lines` are market data subscriptions, `histories` requests for
    bars and ticks under way at once, `streams` subscribed bars; `trade_subscriptions`, and the `trade_accounts` of
    them all; `orders` requests in 10 s, `account_orders` in one second and account; `logons` a day.
    """

    messages: int | None = 1000
    information: int | None = 1000
    resolutions: int | None = 10_000
    account_requests: int | None = 100
    lines: int | None = 200
    histories: int | None = 10
    streams: int | None = 50
    trade_subscriptions: int | None = 200
    trade_accounts: int | None = 5000
    orders: int | None = 300
    account_orders: int | None = 10
    logons: int | None = 200


_WINDOWS = {
    "messages": 10.0,
    "information": 100.0,
    "resolutions": _DAY,
    "account_requests": _DAY,
    "orders": 10.0,
    "account_orders": 1.0,
    "logons": _DAY,
}


class Meters:
    """Counts what was asked within the window of each limit; one for each user, whatever becomes of connections."""

    def __init__(self, limits: CqgLimits | None, now_ns: Callable[[], int]) -> None:
        self._limits = limits
        self._now_ns = now_ns
        self._asked: dict[tuple[str, Hashable], deque[float]] = {}

    def is_over(self, what: str, whose: Hashable = None) -> bool:
        """Count one more; tell whether it is one too many, which is then not counted."""
        limit = self.most(what)
        if limit is None:
            return False
        now = self._now_ns() / _SECOND
        asked = self._asked.setdefault((what, whose), deque())
        while asked and asked[0] <= now - _WINDOWS[what]:
            asked.popleft()
        if len(asked) >= limit:
            return True
        asked.append(now)
        return False

    def most(self, what: str) -> int | None:
        """Return a limit, None where there is none."""
        if self._limits is None:
            return None
        limit: int | None = getattr(self._limits, what)
        return limit
