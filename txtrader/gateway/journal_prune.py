"""Forgetting what is too old, a slice at a time, so that orders never wait long for it.

Age is by the wall clock, the only one that goes on over restarts: a clock that is set days ahead makes the journal
forget early.  What is open is never forgotten.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from txtrader.gateway.journal_codec import event_time, tag_of
from txtrader.gateway.journal_records import Head
from txtrader.gateway.journal_schema import channel_base
from txtrader.model.event import DURABLE_CHANNELS

__all__ = ["Pruner"]

_ROWS = 500  # a few ms, while orders wait


class Pruner:
    """One slice, inside a transaction that somebody else begins and ends.

    `bases` are where the channels begin afterwards; `count` the rows deleted; `has_more` tells that a slice was full.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        epoch_number: int,
        heads: Mapping[str, Head],
        bases: Mapping[str, Head],
    ) -> None:
        self._connection = connection
        self._epoch_number = epoch_number
        self._heads = heads
        self.bases = dict(bases)
        self.count = 0
        self.has_more = False

    def prune(self, records_before: int, events_before: int) -> None:
        """Forget what is older than these instants (nanoseconds UTC)."""
        self._prune_orders(records_before)
        self._prune_strays(records_before)
        self._prune_old_epochs(events_before)
        for channel in DURABLE_CHANNELS:
            self._prune_channel(channel, events_before)

    def _prune_orders(self, before: int) -> None:
        run = self._connection.execute
        ids = run(
            "SELECT id FROM orders WHERE is_open = 0 AND updated < ? ORDER BY updated LIMIT ?", (before, _ROWS)
        ).fetchall()
        self._delete("DELETE FROM keys WHERE order_id = ?", ids)
        self._delete("DELETE FROM executions WHERE order_id = ?", ids)
        self._delete("DELETE FROM orders WHERE id = ?", ids)
        self.has_more |= len(ids) == _ROWS

    def _prune_strays(self, before: int) -> None:
        """Forget old executions that belong to no order."""
        ids = self._connection.execute(
            "SELECT rowid FROM executions WHERE order_id IS NULL AND time < ? LIMIT ?", (before, _ROWS)
        ).fetchall()
        self._delete("DELETE FROM executions WHERE rowid = ?", ids)
        self.has_more |= len(ids) == _ROWS

    def _prune_old_epochs(self, before: int) -> None:
        """Forget the events of lineages that ended long ago: they ended when the next one began."""
        row = self._connection.execute(
            "SELECT max(number) FROM epochs WHERE started < ? AND number <= ?", (before, self._epoch_number)
        ).fetchone()
        if row[0] is None:
            return
        ids = self._connection.execute(
            "SELECT id FROM events WHERE id < ? LIMIT ?", (channel_base(row[0], DURABLE_CHANNELS[0]), _ROWS)
        ).fetchall()
        self._delete("DELETE FROM events WHERE id = ?", ids)
        self.has_more |= len(ids) == _ROWS

    def _prune_channel(self, channel: str, before: int) -> None:
        """Forget the oldest events of a channel, but for its head."""
        run = self._connection.execute
        first = channel_base(self._epoch_number, channel)
        base = self.bases[channel].seq
        oldest, newest = base + 1, min(base + _ROWS, self._heads[channel].seq - 1)
        cut = base
        while oldest <= newest:  # times rise with seq: search by halves
            middle = (oldest + newest) // 2
            (body,) = run("SELECT body FROM events WHERE id = ?", (first + middle,)).fetchone()
            if event_time(body) < before:
                cut, oldest = middle, middle + 1
            else:
                newest = middle - 1
        if cut == base:
            return
        (digest,) = run("SELECT digest FROM events WHERE id = ?", (first + cut,)).fetchone()
        run("INSERT OR REPLACE INTO bases VALUES (?, ?, ?, ?)", (self._epoch_number, channel, cut, digest))
        run("DELETE FROM events WHERE id > ? AND id <= ?", (first + base, first + cut))
        self.bases[channel] = Head(epoch=self._heads[channel].epoch, seq=cut, tag=tag_of(digest))
        self.count += cut - base
        self.has_more |= cut == base + _ROWS

    def _delete(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        self.count += self._connection.executemany(statement, rows).rowcount if rows else 0
