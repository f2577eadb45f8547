"""Proving that a journal's events are all there, and are what was written.

SQLite opens a damaged log as a shorter one and says nothing.  So each channel must be dense, its chain of digests
whole, and its head no lower than the high-water mark; the event at the mark must be the one that was there.
"""

from __future__ import annotations

import sqlite3

from txtrader.gateway.journal_codec import Chain, tag_of
from txtrader.gateway.journal_files import HighWater
from txtrader.gateway.journal_records import Head
from txtrader.gateway.journal_schema import SEQ_BITS, channel_base
from txtrader.model.event import DURABLE_CHANNELS

__all__ = ["Proof"]


class Proof:
    """What the events of one epoch come to.

    `damage` says what is wrong, None if nothing is.  Only then `heads`, `digests` (of the heads, in full) and
    `bases` (where each channel begins) are complete.
    """

    def __init__(self, connection: sqlite3.Connection, epoch_number: int, epoch: str, high: HighWater) -> None:
        """Read and prove all events of the epoch; raises sqlite3.DatabaseError."""
        self._connection = connection
        self._epoch_number = epoch_number
        self._epoch = epoch
        self.heads: dict[str, Head] = {}
        self.digests: dict[str, bytes] = {}
        self.bases: dict[str, Head] = {}
        self.damage = self._prove_channels() or self._prove_mark(high)

    def _prove_channels(self) -> str | None:
        bases = {
            channel: (seq, digest)
            for channel, seq, digest in self._connection.execute(
                "SELECT channel, seq, digest FROM bases WHERE epoch = ?", (self._epoch_number,)
            )
        }
        link = Chain.link
        for channel in DURABLE_CHANNELS:
            seq, digest = bases.get(channel) or (0, Chain.genesis(self._epoch, channel))
            self.bases[channel] = Head(epoch=self._epoch, seq=seq, tag=tag_of(digest))
            first = channel_base(self._epoch_number, channel)
            expected = first + seq
            for key, body, kept in self._connection.execute(
                "SELECT id, body, digest FROM events WHERE id > ? AND id < ? ORDER BY id",
                (first, first + (1 << SEQ_BITS)),
            ):
                expected += 1
                if key != expected:
                    return f"channel {channel} has a gap before event {key - first}"
                digest = link(digest, body) if type(body) is bytes else b""
                if digest != kept:
                    return f"the chain of channel {channel} breaks at event {key - first}"
            self.heads[channel] = Head(epoch=self._epoch, seq=expected - first, tag=tag_of(digest))
            self.digests[channel] = digest
        return None

    def _prove_mark(self, high: HighWater) -> str | None:
        if high.is_damaged:
            return "the high-water file is damaged"
        if high.epoch is None:
            return "the high-water file is gone" if any(head.seq for head in self.heads.values()) else None
        if high.epoch != self._epoch:
            return f"the high-water file is of epoch {high.epoch}"
        for channel, (seq, tag) in high.heads.items():
            if channel not in self.heads:
                continue  # a newer version's channel
            if self.heads[channel].seq < seq:
                return f"channel {channel} ends at {self.heads[channel].seq}, it had reached {seq}"
            if seq > self.bases[channel].seq and self._tag_at(channel, seq) != tag:
                return f"event {seq} of channel {channel} is another one than it was"
        return None

    def _tag_at(self, channel: str, seq: int) -> str | None:
        row = self._connection.execute(
            "SELECT digest FROM events WHERE id = ?", (channel_base(self._epoch_number, channel) + seq,)
        ).fetchone()
        return None if row is None else tag_of(row[0])
