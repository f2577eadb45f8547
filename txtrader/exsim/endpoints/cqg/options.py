"""What a simulated CQG server is set to."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["CqgOptions"]


class CqgOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the endpoint does; durations in seconds.

    `user` and `password` are what a logon has to give, None takes any.  `accounts` are those shown, all of the venue
    by default; those in `view_only` refuse orders.  `small_frames`: split what can be split into messages of at most
    about 4,000 bytes.  `handshake_delay` holds back the answer to the WebSocket handshake.  `token_life` is how long
    a session without a connection can be restored.  `ping_every`: ping clients, None for never.  `tls` is a context
    factory of Twisted: then wss, else ws.

    Limits, None for none: `message_limit` client messages in 10 s, then a user message and a close; `line_limit`
    market data subscriptions; `order_limit` order requests in 10 s; `history_limit` bar requests at once.
    `most_joined` connections share a session.
    """

    user: str | None = None
    password: str | None = None
    accounts: tuple[str, ...] | None = None
    view_only: tuple[str, ...] = ()
    small_frames: bool = True
    handshake_delay: float = 0.0
    token_life: float = 300.0
    ping_every: float | None = None
    tls: Any = None
    message_limit: int | None = None
    line_limit: int | None = None
    order_limit: int | None = None
    most_joined: int = 10
    inactivity_minutes: int | None = None
