"""What a subscriber asks for, and what it is answered."""

from __future__ import annotations

from typing import Any

import msgspec

from txtrader.errors import EpochMismatch, InvalidArgument
from txtrader.gateway.journal_records import Head
from txtrader.model.event import DURABLE_CHANNELS

__all__ = ["Resumed", "Snapshot", "StreamOptions"]


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a subscriber wants to get.

    `symbols` picks the market data: "user" for the symbols of all sessions of the user, "session" for those of this
    session, or the canonical symbols themselves.  `accounts` None means every account that the user may see.
    `conflate` is in milliseconds: at most one quote per symbol in that time, the latest; 0 for each.
    """

    channels: frozenset[str] = frozenset({*DURABLE_CHANNELS, "quote", "trade", "time"})
    symbols: str | frozenset[str] = "user"
    accounts: frozenset[str] | None = None
    conflate: int = 0

    def __post_init__(self) -> None:
        """Raise InvalidArgument for another word than "user" or "session"."""
        if isinstance(self.symbols, str) and self.symbols not in ("user", "session"):
            raise InvalidArgument('"user", "session", or a list of symbols', path="symbols")


class Resumed(msgspec.Struct, frozen=True, kw_only=True):
    """The resume point is good: the events `first` to `last` follow at once, then live ones.

    `last` is `first` - 1 when nothing was missed.
    """

    channel: str
    first: int
    last: int


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a channel after the event `as_of`; the events after it follow.

    `mismatch` says why a resume point could not be used, when that is its own fault and not its age.
    """

    channel: str
    as_of: Head
    data: Any
    mismatch: EpochMismatch | None = None
