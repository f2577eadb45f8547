"""Status events: what the gateway tells everyone who listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["CHANNELS", "DURABLE_CHANNELS", "StatusEvent"]

DURABLE_CHANNELS: tuple[str, ...] = ("order", "execution", "account", "status")
CHANNELS: tuple[str, ...] = (*DURABLE_CHANNELS, "quote", "trade", "bar", "depth", "time")


class StatusEvent:
    """One event, shared by all who get it; nobody changes it.

    `data` is the payload as builtins (Decimals kept).  Durable events carry `epoch`, `seq` (dense in the channel)
    and `tag` (16 hex digits of a hash over the event); the others have None there, and in `n` their number within
    channel and symbol, so that a gap shows what was dropped on the way.  `account` limits who may see it; None is
    for everyone.  `symbol` is what market data is about.
    """

    __slots__ = ("_encoded", "account", "channel", "data", "epoch", "key", "mode", "n", "seq", "symbol", "tag", "type")

    def __init__(
        self,
        type: str,
        channel: str,
        mode: str,
        data: Mapping[str, Any],
        *,
        key: str | None = None,
        account: str | None = None,
        symbol: str | None = None,
        epoch: str | None = None,
        seq: int | None = None,
        tag: str | None = None,
    ) -> None:
        self.type = type
        self.channel = channel
        self.mode = mode
        self.data = data
        self.key = key
        self.account = account
        self.symbol = symbol
        self.epoch = epoch
        self.seq = seq
        self.tag = tag
        self.n: int | None = None
        self._encoded: dict[str, bytes] = {}

    def encoded(self, form: str, encode: Callable[[StatusEvent], bytes]) -> bytes:
        """Return the bytes of this event in `form`, calling `encode` the first time only: one encoding for all."""
        made = self._encoded.get(form)
        if made is None:
            made = self._encoded[form] = encode(self)
        return made

    def __repr__(self) -> str:
        return f"<StatusEvent {self.mode}.{self.type}.{self.key} {self.channel}:{self.seq}>"
