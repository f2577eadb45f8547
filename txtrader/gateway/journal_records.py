"""What goes into the journal and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from txtrader.model.event import DURABLE_CHANNELS, StatusEvent
from txtrader.model.execution import Execution
from txtrader.model.order import Order

__all__ = ["DAY", "Head", "JournalItem", "JournalState", "KeyRecord", "Retention"]

DAY = 86_400.0


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """A point in one channel: the event `seq` of the lineage `epoch`, and the `tag` that proves which event it was.

    Seq 0 is the point before the first event; it has a tag, too.
    """

    epoch: str
    seq: int
    tag: str

    def to_dict(self) -> dict[str, str | int]:
        """Render the point as the surface shows it."""
        return {"epoch": self.epoch, "seq": self.seq, "tag": self.tag}


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An idempotency key and what it is bound to.

    (`user`, `account`, `client_order_id`) is the key; `digest` is the hash of the canonical parameters, as hex
    digits; `order_id` is the gateway order id.
    """

    user: str
    account: str
    client_order_id: str
    digest: str
    order_id: str


class JournalItem(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes durable together or not at all.

    `orders` and `executions` replace the records of the same id.  `events` get their epoch, seq and tag from the
    journal when their group is written.  An intent (`is_intent`) fails when it cannot be made durable; everything
    else is a fact, and is kept until it is durable.
    """

    orders: tuple[Order, ...] = ()
    executions: tuple[Execution, ...] = ()
    keys: tuple[KeyRecord, ...] = ()
    events: tuple[StatusEvent, ...] = ()
    meta: Mapping[str, str] = {}
    is_intent: bool = False


class JournalState(msgspec.Struct, kw_only=True):
    """All that a start needs: the last record of every order and execution, the keys, the heads."""

    orders: list[Order]
    executions: list[Execution]
    keys: list[KeyRecord]
    meta: dict[str, str]
    heads: dict[str, Head]


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long the journal remembers, in seconds.

    `records`: an order with its key and its executions, counted from its last change after it ended; an open order
    is never forgotten.  `events`: how far back a client may resume.
    """

    records: float = 7 * DAY
    events: float = 7 * DAY


assert len(DURABLE_CHANNELS) <= 8, "the row ids of the journal have three bits for the channel"
