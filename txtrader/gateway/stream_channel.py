"""A durable channel's recent past and present subscribers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from txtrader.gateway.journal_records import Head
from txtrader.model.event import StatusEvent

if TYPE_CHECKING:
    from txtrader.gateway.stream_subscription import Subscription

__all__ = ["DurableChannel"]

_RING = 1_024  # events kept in memory, so that a short absence costs no reading


class DurableChannel:
    """One durable channel: where it stands, its latest events, who listens."""

    def __init__(self, name: str, heads: dict[str, Head]) -> None:
        """Begin at `heads[name]`, and keep it there."""
        self.name = name
        self._heads = heads
        self._ring: deque[StatusEvent] = deque(maxlen=_RING)
        self._members: dict[Subscription, None] = {}
        self._current: tuple[Subscription, ...] | None = ()

    @property
    def head(self) -> Head:
        return self._heads[self.name]

    def advance(self, event: StatusEvent) -> tuple[Subscription, ...]:
        """Take the next event, and return who listens now."""
        assert event.epoch is not None and event.seq is not None and event.tag is not None, "it is durable"
        assert event.seq == self.head.seq + 1, "events are told in sequence"
        self._heads[self.name] = Head(epoch=event.epoch, seq=event.seq, tag=event.tag)
        self._ring.append(event)
        if self._current is None:
            self._current = tuple(self._members)
        return self._current

    def add(self, subscription: Subscription) -> None:
        self._members[subscription] = None
        self._current = None

    def discard(self, subscription: Subscription) -> None:
        self._members.pop(subscription, None)
        self._current = None

    def remembers(self, seq: int) -> bool:
        """Tell whether every event after `seq` is still in memory."""
        return seq >= self.head.seq - len(self._ring)

    def after(self, seq: int, limit: int) -> list[StatusEvent]:
        """Return up to `limit` events after `seq`, which must be remembered."""
        skip = seq - (self.head.seq - len(self._ring))
        return list(islice(self._ring, skip, skip + limit))

    def tag_at(self, seq: int) -> str | None:
        """Return the tag of an event in memory."""
        event = next(self._at(seq), None)
        return None if event is None else event.tag

    def _at(self, seq: int) -> Iterator[StatusEvent]:
        index = seq - (self.head.seq - len(self._ring)) - 1
        if 0 <= index < len(self._ring):
            yield self._ring[index]
