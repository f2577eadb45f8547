"""What a simulated CQG server is set to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from txtrader.exsim.endpoints.cqg.limits import CqgLimits
from txtrader.exsim.endpoints.delayed_pump import LatencyOptions

__all__ = ["BROKERAGE", "CqgOptions"]

BROKERAGE = 1
"""The id of the one brokerage."""


class CqgOptions(LatencyOptions, frozen=True, kw_only=True):
    """What the endpoint does; durations in seconds.

    `user` and `password` are what a logon has to give, None takes any.  `accounts` are those shown, all of the venue
    by default; those in `view_only` refuse orders.  `series` names the sales series of accounts that are not in the
    first (`1`).  `small_frames`: split what can be split into messages of at most 4,000 bytes.  `handshake_delay`
    holds back the answer to the WebSocket handshake.  `token_life` is how long a session without a connection can be
    restored.  `ping_every`: ping clients, None for never.  `tls` is a context factory of Twisted: then wss, else ws.
    `most_joined` connections share a session.  `limits`: None for none.

    `history_delay` is how long requests for bars and ticks take.  `bar_interval` is the least time between two
    updates of a subscribed bar.  `collapse_after` are the times after which the market data of a slow reader is
    merged: depth, best prices, trades; after the fourth it is let go.  For latency see `LatencyOptions`.
    """

    user: str | None = None
    password: str | None = None
    accounts: tuple[str, ...] | None = None
    view_only: tuple[str, ...] = ()
    series: Mapping[str, str] = {}
    small_frames: bool = True
    handshake_delay: float = 0.0
    token_life: float = 300.0
    ping_every: float | None = None
    tls: Any = None
    limits: CqgLimits | None = None
    most_joined: int = 10
    inactivity_minutes: int | None = None
    history_delay: float = 0.0
    bar_interval: float = 1.0
    collapse_after: tuple[float, float, float, float] = (1.0, 4.0, 8.0, 60.0)
