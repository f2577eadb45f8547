"""The rows of one transaction, and how they get into the tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec

from txtrader.gateway.journal_codec import checksum, encode_instrument
from txtrader.gateway.journal_errors import KeyBound
from txtrader.gateway.journal_records import Head, KeyRecord
from txtrader.model.instrument import Instrument

__all__ = ["Batch", "RowWriter", "key_bytes"]

_CHUNKS = (64, 8, 1)


class Batch:
    """The rows of one transaction."""

    __slots__ = ("digests", "events", "executions", "heads", "keys", "meta", "orders")

    def __init__(self) -> None:
        # (id, is_open, updated, instrument, record)
        self.orders: list[tuple[str, bool, int, Instrument | None, bytes]] = []
        # (mode, exec_id, order_id, time, instrument, record)
        self.executions: list[tuple[str, str, str | None, int, Instrument | None, bytes]] = []
        self.keys: list[KeyRecord] = []
        self.meta: dict[str, str] = {}
        self.events: list[tuple[int, bytes, bytes]] = []  # (row id, body, digest)
        self.heads: dict[str, Head] = {}  # where the channels stand after it, those that move
        self.digests: dict[str, bytes] = {}  # of these heads, in full


def key_bytes(key: KeyRecord) -> bytes:
    """The bytes that the checksum of a key covers."""
    return repr(msgspec.structs.astuple(key)).encode()


class RowWriter:
    """Inserts rows inside a transaction that somebody else begins and ends."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._instruments: dict[Instrument, int] = {}
        self.count = 0  # rows inserted so far

    def know(self, instruments: Mapping[Instrument, int]) -> None:
        """Learn the row ids of instruments that are in the file."""
        self._instruments.update(instruments)

    def learnt(self) -> int:
        """Say how many instruments are known, for `unlearn`."""
        return len(self._instruments)

    def unlearn(self, count: int) -> None:
        """Forget all but the first `count` instruments: their rows are gone with the transaction."""
        while len(self._instruments) > count:
            self._instruments.popitem()

    def write(self, batch: Batch) -> None:
        """Insert the rows of a batch; raises KeyBound."""
        if batch.orders:
            rows = [
                (id_, is_open, updated, self._instrument_row(instrument), record, checksum(record))
                for id_, is_open, updated, instrument, record in {row[0]: row for row in batch.orders}.values()
            ]
            self._insert(
                "INSERT INTO orders VALUES",
                rows,
                "ON CONFLICT (id) DO UPDATE SET is_open = excluded.is_open, updated = excluded.updated,"
                " instrument = excluded.instrument, record = excluded.record, crc = excluded.crc",
            )
        if batch.executions:
            latest = {row[:2]: row for row in batch.executions}
            self._insert(
                "INSERT INTO executions VALUES",
                [
                    (mode, exec_id, order_id, time, self._instrument_row(instrument), record, checksum(record))
                    for mode, exec_id, order_id, time, instrument, record in latest.values()
                ],
                "ON CONFLICT (mode, exec_id) DO UPDATE SET order_id = excluded.order_id, time = excluded.time,"
                " instrument = excluded.instrument, record = excluded.record, crc = excluded.crc",
            )
        if batch.keys:
            self._insert_keys(batch.keys)
        if batch.meta:
            self._insert(
                "INSERT INTO meta VALUES",
                list(batch.meta.items()),
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            )
        if batch.events:
            self._insert("INSERT INTO events VALUES", batch.events, "")

    def _insert_keys(self, keys: Sequence[KeyRecord]) -> None:
        rows = []
        for key in keys:
            rows.append((*msgspec.structs.astuple(key), checksum(key_bytes(key))))
        if self._insert("INSERT INTO keys VALUES", rows, "ON CONFLICT DO NOTHING") == len(rows):
            return
        for key in keys:  # some were there: they must be the same
            digest, order_id = self._connection.execute(
                "SELECT digest, order_id FROM keys WHERE user = ? AND account = ? AND client_order_id = ?",
                (key.user, key.account, key.client_order_id),
            ).fetchone()
            if (digest, order_id) != (key.digest, key.order_id):
                raise KeyBound(key, order_id)

    def _insert(self, head: str, rows: Sequence[tuple[Any, ...]], tail: str) -> int:
        """Insert rows with few statements, and return how many rows changed.

        Each statement gives the interpreter's lock away and must get it back from a busy reactor: many rows a
        statement, not many statements.
        """
        self.count += len(rows)
        slot = f"({', '.join('?' * len(rows[0]))})"
        changed = at = 0
        for size in _CHUNKS:
            while len(rows) - at >= size:
                values = ", ".join([slot] * size)
                flat = list(chain.from_iterable(rows[at : at + size]))
                changed += self._connection.execute(f"{head} {values} {tail}", flat).rowcount
                at += size
        return changed

    def _instrument_row(self, instrument: Instrument | None) -> int | None:
        """Return the row id of an instrument, inserting it the first time."""
        if instrument is None:
            return None
        number = self._instruments.get(instrument)
        if number is None:
            record = encode_instrument(instrument)
            number = self._connection.execute(
                "INSERT INTO instruments (record, crc) VALUES (?, ?)", (record, checksum(record))
            ).lastrowid
            assert number is not None, "an inserted row has an id"
            self._instruments[instrument] = number
        return number
