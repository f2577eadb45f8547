"""Items on their way into the journal: encoded when they are appended, numbered when their group is formed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from twisted.internet.defer import Deferred

from txtrader.gateway.journal_codec import Chain, encode_event, encode_execution, encode_order, tag_of
from txtrader.gateway.journal_records import Head, JournalItem
from txtrader.gateway.journal_rows import Batch
from txtrader.gateway.journal_schema import channel_base
from txtrader.gateway.journal_store import OWN_META
from txtrader.model.event import DURABLE_CHANNELS

__all__ = ["Entry", "form_batch"]

_INT64 = 1 << 63


class Entry:
    """One item on its way: its rows are encoded, its events not yet numbered."""

    __slots__ = ("bodies", "deferred", "events", "executions", "is_intent", "keys", "meta", "orders")

    def __init__(self, item: JournalItem, now: int) -> None:
        """Encode the item; raises TypeError, ValueError or OverflowError for what no journal can hold."""
        self.orders = [
            (order.id, order.is_open, _int64(order.update_time), order.instrument, encode_order(order))
            for order in item.orders
        ]
        self.executions = [
            (each.mode, each.exec_id, each.order_id, _int64(each.time), each.instrument, encode_execution(each))
            for each in item.executions
        ]
        for key in item.keys:
            f"{key.user}{key.account}{key.client_order_id}{key.digest}{key.order_id}".encode()
        self.keys = item.keys
        for name, value in item.meta.items():
            f"{name}{value}".encode()
            if name.startswith(OWN_META):
                raise ValueError(f"{name}: such names are the journal's own")
        self.meta = dict(item.meta)
        for event in item.events:
            if event.channel not in DURABLE_CHANNELS:
                raise ValueError(f"channel {event.channel} is not durable")
        self.events = item.events
        self.bodies = [encode_event(event, now) for event in item.events]
        self.is_intent = item.is_intent
        self.deferred: Deferred[None] = Deferred()

    @property
    def is_empty(self) -> bool:
        return not (self.orders or self.executions or self.keys or self.meta or self.events)


def _int64(time: int) -> int:
    if not -_INT64 <= time < _INT64:
        raise OverflowError(f"time {time} is out of range")
    return time


def form_batch(
    group: Iterable[Entry], epoch: str, epoch_number: int, heads: Mapping[str, Head], digests: Mapping[str, bytes]
) -> Batch:
    """Form one transaction: its events get their epoch, seq and tag now, following `heads` and their `digests`.

    Not earlier, so that an intent that the disk refused leaves no hole.
    """
    batch = Batch()
    at = {channel: (head.seq, digests[channel]) for channel, head in heads.items()}
    for entry in group:
        batch.orders.extend(entry.orders)
        batch.executions.extend(entry.executions)
        batch.keys.extend(entry.keys)
        batch.meta.update(entry.meta)
        for event, body in zip(entry.events, entry.bodies, strict=True):
            seq, digest = at[event.channel]
            seq, digest = seq + 1, Chain.link(digest, body)
            at[event.channel] = seq, digest
            event.epoch, event.seq, event.tag = epoch, seq, tag_of(digest)
            batch.events.append((channel_base(epoch_number, event.channel) + seq, body, digest))
    for channel, (seq, digest) in at.items():
        if seq != heads[channel].seq:
            batch.heads[channel] = Head(epoch=epoch, seq=seq, tag=tag_of(digest))
            batch.digests[channel] = digest
    return batch
