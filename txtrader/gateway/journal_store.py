"""The journal's file: one SQLite connection, plain blocking calls, one thread at a time.

SQLite in write-ahead mode with `synchronous=FULL`: a commit that returns is on the disk.  The connection is
exclusive, so that no second one can exist, not even another program's: SQLite before 3.51.3 can lose a log that two
connections share.  Checkpoints are ours, not SQLite's own, because it hides their errors.

On opening, everything is read once and proven: the chain of every channel, dense seqs, the checksum of every
record, the high-water mark.  A file that lost events begins a new epoch; a rotten record is refused.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

import msgspec
from twisted.logger import Logger

from txtrader.errors import ConfigError
from txtrader.gateway.journal_codec import (
    Chain,
    checksum,
    decode_execution,
    decode_instrument,
    decode_order,
    encode_instrument,
    event_time,
    tag_of,
)
from txtrader.gateway.journal_files import HighWater, JournalLock
from txtrader.gateway.journal_records import Head, JournalState, KeyRecord, Retention
from txtrader.gateway.journal_schema import SEQ_BITS, channel_base, migrate
from txtrader.model.event import DURABLE_CHANNELS
from txtrader.model.instrument import Instrument

__all__ = ["OWN_META", "Batch", "JournalStore", "KeyBound", "SyncFailed", "WriteFailed", "make_stamp"]

_EPOCH_OF_STAMPS = 1_577_836_800  # 2020-01-01, so that the seconds of a stamp stay short
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SECOND = 1_000_000_000
_QUIET_ROWS = 500  # a checkpoint is due in a quiet moment
_LOG_SIZE = 4 << 20  # some 150 single orders, or many more in groups; folding it in takes some 10 ms
_PRUNE_ROWS = 500  # a few ms, while orders wait
_CHUNKS = (64, 8, 1)
_KEY_FIELDS = KeyRecord.__struct_fields__
OWN_META = "journal."  # what begins so in `meta` is the journal's own


class WriteFailed(Exception):
    """The disk is full or refuses writes; nothing of the batch is durable, and it may be tried again."""


class SyncFailed(Exception):
    """The disk broke a promise (failed sync, damaged file): nothing may be tried again with this handle."""


class KeyBound(Exception):
    """A key of the batch is bound to another order; nothing of the batch is durable."""

    def __init__(self, key: KeyRecord, order_id: str) -> None:
        super().__init__(f"client order id {key.client_order_id!r} is bound to order {order_id}")
        self.key = key
        self.order_id = order_id


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


def _key_bytes(key: KeyRecord) -> bytes:
    return repr(msgspec.structs.astuple(key)).encode()


def _digits(number: int, width: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text.rjust(width, "0")


def make_stamp(now_ns: int, random_bytes: Callable[[int], bytes]) -> str:
    """Make the middle of the order ids of one run: the second it began and 15 random bits, `0-9A-Z`.

    Six digits of time (until 2089) and three of chance: a journal restored from a backup, on this machine or
    another, cannot lead to an id that was given out before.
    """
    seconds = max(now_ns // _SECOND - _EPOCH_OF_STAMPS, 0) % 36**6
    return _digits(seconds, 6) + _digits(int.from_bytes(random_bytes(4), "big") % 36**3, 3)


class JournalStore:
    """One open journal file."""

    _log = Logger()

    def __init__(
        self, path: str, *, now_ns: Callable[[], int], random_bytes: Callable[[int], bytes] = os.urandom
    ) -> None:
        """Take the lock, open or make the file, migrate and prove it.  Raises ConfigError."""
        self.path = os.path.realpath(path)
        self._now_ns = now_ns
        self._random_bytes = random_bytes
        self.epoch = ""
        self.epoch_number = 0
        self.stamp = ""
        self.heads: dict[str, Head] = {}
        self.digests: dict[str, bytes] = {}  # of each head, in full
        self.bases: dict[str, Head] = {}  # the oldest points from which a channel can be read on
        self.recovered: str | None = None  # why a new epoch began, if one did because of damage
        self._instruments: dict[Instrument, int] = {}
        self._rows = 0  # written since the last checkpoint
        self._log_limit = _LOG_SIZE
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"cannot make the journal's folder: {error}", path="JOURNAL") from error
        self._lock = JournalLock(self.path + ".lock")
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise

    # -- opening

    def _open(self) -> None:
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            self._high = HighWater(self.path + ".high")
        except OSError as error:
            raise ConfigError(f"cannot open the journal {self.path}: {error.strerror}", path="JOURNAL") from error
        self._connection = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
            self._prove()
            self._begin_run()
        except sqlite3.DatabaseError as error:
            self._connection.close()
            self._high.close()
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                why = "another program has it open"
            else:
                why = f"{error}; restore a backup, or move it away to begin anew"
            raise ConfigError(f"cannot use the journal {self.path}: {why}", path="JOURNAL") from error
        except BaseException:
            self._connection.close()
            self._high.close()
            raise

    def _prepare(self) -> None:
        run = self._connection.execute
        run("PRAGMA locking_mode = EXCLUSIVE")
        (mode,) = run("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise ConfigError(f"the file system of {self.path} has no write-ahead log", path="JOURNAL")
        run("PRAGMA synchronous = FULL")
        run("PRAGMA wal_autocheckpoint = 0")
        run("PRAGMA cache_size = -65536")
        run("PRAGMA trusted_schema = OFF")
        migrate(self._connection, self.path)

    def _prove(self) -> None:
        """Find the present epoch and prove its channels; a lineage that is not whole ends here."""
        row = self._connection.execute("SELECT number, epoch FROM epochs ORDER BY number DESC LIMIT 1").fetchone()
        if row is None:
            self._begin_epoch(0, "new journal" if self._high.epoch is None else "the journal is gone")
            return
        self.epoch_number, self.epoch = row
        why = self._prove_channels() or self._prove_high_water()
        if why is not None:
            self._begin_epoch(self.epoch_number, why)

    def _prove_channels(self) -> str | None:
        bases = {
            channel: (seq, digest)
            for channel, seq, digest in self._connection.execute(
                "SELECT channel, seq, digest FROM bases WHERE epoch = ?", (self.epoch_number,)
            )
        }
        link = Chain.link
        for channel in DURABLE_CHANNELS:
            seq, digest = bases.get(channel) or (0, Chain.genesis(self.epoch, channel))
            self.bases[channel] = Head(epoch=self.epoch, seq=seq, tag=tag_of(digest))
            first = channel_base(self.epoch_number, channel)
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
            self.heads[channel] = Head(epoch=self.epoch, seq=expected - first, tag=tag_of(digest))
            self.digests[channel] = digest
        return None

    def _prove_high_water(self) -> str | None:
        if self._high.is_damaged:
            return "the high-water file is damaged"
        if self._high.epoch is None:
            return "the high-water file is gone" if any(head.seq for head in self.heads.values()) else None
        if self._high.epoch != self.epoch:
            return f"the high-water file is of epoch {self._high.epoch}"
        for channel, (seq, tag) in self._high.heads.items():
            if channel not in self.heads:
                continue  # a newer version's channel
            if self.heads[channel].seq < seq:
                return f"channel {channel} ends at {self.heads[channel].seq}, it had reached {seq}"
            if seq > self.bases[channel].seq and self._tag_at(channel, seq) != tag:
                return f"event {seq} of channel {channel} is another one than it was"
        return None

    def _tag_at(self, channel: str, seq: int) -> str | None:
        row = self._connection.execute(
            "SELECT digest FROM events WHERE id = ?", (channel_base(self.epoch_number, channel) + seq,)
        ).fetchone()
        return None if row is None else tag_of(row[0])

    def _begin_epoch(self, number: int, why: str) -> None:
        """Begin a new lineage: its channels start at seq 0; the old one's events are kept until they are too old."""
        if why != "new journal":
            self.recovered = why
            self._log.warn("journal {path}: {why}; a new epoch begins", path=self.path, why=why)
        self.epoch_number = number + 1
        self.epoch = self._random_bytes(4).hex()
        for channel in DURABLE_CHANNELS:
            digest = Chain.genesis(self.epoch, channel)
            self.digests[channel] = digest
            self.heads[channel] = self.bases[channel] = Head(epoch=self.epoch, seq=0, tag=tag_of(digest))
        self._connection.execute(
            "INSERT INTO epochs VALUES (?, ?, ?, ?)", (self.epoch_number, self.epoch, self._now_ns(), why)
        )

    def _begin_run(self) -> None:
        known = {stamp for (stamp,) in self._connection.execute("SELECT stamp FROM stamps")}
        while not self.stamp or self.stamp in known:
            self.stamp = make_stamp(self._now_ns(), self._random_bytes)
        self._connection.execute("INSERT INTO stamps VALUES (?, ?)", (self.stamp, self._now_ns()))
        self._mark()
        self._grow_log()

    def _grow_log(self) -> None:
        """Let the log take its space on the disk now.

        A commit that lengthens the log makes the file system sync its own books as well, and takes half as long
        again.  After a checkpoint the log is written from its beginning, in space that is there already.
        """
        run = self._connection.execute
        try:
            run("BEGIN IMMEDIATE")
            # The pages go through the log twice, when they come and when they go.
            run("INSERT INTO meta VALUES ('journal.space', zeroblob(?))", (_LOG_SIZE // 2,))
            run("COMMIT")
            run("DELETE FROM meta WHERE key = 'journal.space'")
            self.checkpoint()
        except sqlite3.Error as error:
            verdict = _verdict(error)
            if isinstance(verdict, SyncFailed):
                raise
            if self._connection.in_transaction:
                run("ROLLBACK")
            self._log.warn("journal {path}: no space for a log of {size} bytes", path=self.path, size=_LOG_SIZE)

    # -- reading

    def load(self) -> JournalState:
        """Read the last record of everything; raises ConfigError for a rotten one."""
        try:
            return self._load()
        except (sqlite3.DatabaseError, msgspec.DecodeError) as error:
            raise ConfigError(f"cannot read the journal {self.path}: {error}", path="JOURNAL") from error

    def _load(self) -> JournalState:
        run = self._connection.execute
        instruments: dict[int | None, Instrument | None] = {None: None}
        for number, record, crc in run("SELECT id, record, crc FROM instruments"):
            self._check("instrument", number, crc, record)
            instruments[number] = instrument = decode_instrument(record)
            self._instruments[instrument] = number
        orders = []
        for id_, number, record, crc in run("SELECT id, instrument, record, crc FROM orders ORDER BY rowid"):
            self._check("order", id_, crc, record)
            orders.append(decode_order(record, instruments[number]))
        executions = []
        for id_, number, record, crc in run("SELECT exec_id, instrument, record, crc FROM executions ORDER BY rowid"):
            self._check("execution", id_, crc, record)
            executions.append(decode_execution(record, instruments[number]))
        keys = []
        for *fields, crc in run("SELECT user, account, client_order_id, digest, order_id, crc FROM keys"):
            key = KeyRecord(**dict(zip(_KEY_FIELDS, fields, strict=True)))
            self._check("key", key.client_order_id, crc, _key_bytes(key))
            keys.append(key)
        meta = dict(run("SELECT key, value FROM meta").fetchall())
        meta = {name: value for name, value in meta.items() if not name.startswith(OWN_META)}
        return JournalState(orders=orders, executions=executions, keys=keys, meta=meta, heads=dict(self.heads))

    def _check(self, kind: str, name: object, crc: int, record: bytes) -> None:
        if type(record) is not bytes or checksum(record) != crc:
            raise ConfigError(
                f"the journal {self.path} is damaged: {kind} {name} is not as it was written; "
                "restore a backup, or move it away to begin anew",
                path="JOURNAL",
                reason="damaged",
            )

    def read_events(self, channel: str, after: int, limit: int) -> list[tuple[int, bytes, bytes]]:
        """Read up to `limit` events of the present epoch that follow seq `after`: (seq, body, digest)."""
        first = channel_base(self.epoch_number, channel)
        rows = self._connection.execute(
            "SELECT id, body, digest FROM events WHERE id > ? AND id < ? ORDER BY id LIMIT ?",
            (first + after, first + (1 << SEQ_BITS), limit),
        ).fetchall()
        return [(key - first, body, digest) for key, body, digest in rows]

    # -- writing

    def write(self, batch: Batch) -> None:
        """Make a batch durable.  Raises WriteFailed, KeyBound (nothing is kept then) or SyncFailed (fatal)."""
        self._transact(lambda: self._insert_batch(batch))
        self.heads.update(batch.heads)
        self._mark()

    def _transact(self, work: Callable[[], None]) -> None:
        run = self._connection.execute
        learnt = len(self._instruments)
        try:
            run("BEGIN IMMEDIATE")
            work()
            run("COMMIT")
        except BaseException as error:
            while len(self._instruments) > learnt:  # their rows are gone with the transaction
                self._instruments.popitem()
            self._undo(error)
            raise

    def _undo(self, error: BaseException) -> None:
        """Roll back after `error`; raises what the error of the database means, if it was one."""
        verdict = _verdict(error)
        if isinstance(verdict, SyncFailed):
            raise verdict from error
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as second:
            raise SyncFailed(f"cannot roll back after {error}: {second}") from second
        if verdict is not None:
            raise verdict from error

    def _insert_batch(self, batch: Batch) -> None:
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
            rows.append((*msgspec.structs.astuple(key), checksum(_key_bytes(key))))
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
        self._rows += len(rows)
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

    def probe(self) -> None:
        """Find out whether the disk takes writes again: free the log's space, then commit something small."""
        try:
            self.checkpoint(truncate=True)
        except WriteFailed:
            pass  # the probe itself decides
        batch = Batch()
        batch.meta["journal.probed"] = str(self._now_ns())
        self._transact(lambda: self._insert_batch(batch))

    def _mark(self) -> None:
        try:
            self._high.write(self.epoch, self.heads)
        except OSError as error:  # less evidence at the next start, no less durability now
            self._log.warn("cannot write {path}: {error}", path=self._high.path, error=error.strerror)

    # -- upkeep

    def wants_checkpoint(self, is_quiet: bool) -> bool:
        """Tell whether the log should be folded into the file: in a quiet moment early, else before it grows."""
        return self._rows > 0 and (self._log_grows() or (is_quiet and self._rows >= _QUIET_ROWS))

    def _log_grows(self) -> bool:
        return self._log_size() > self._log_limit

    def _log_size(self) -> int:
        try:
            return os.stat(self.path + "-wal").st_size
        except FileNotFoundError:
            return 0

    def checkpoint(self, truncate: bool = False) -> None:
        """Fold the log into the file.  Raises WriteFailed or SyncFailed; due again after as many rows as before."""
        self._rows = 0
        try:
            self._connection.execute(f"PRAGMA wal_checkpoint({'TRUNCATE' if truncate else 'PASSIVE'})").fetchone()
        except sqlite3.Error as error:
            verdict = _verdict(error)
            raise (verdict or error) from error
        self._log_limit = max(self._log_size(), _LOG_SIZE)
        self._sync_mark()

    def _sync_mark(self) -> None:
        try:
            self._high.sync()
        except OSError as error:  # as in _mark
            self._log.warn("cannot sync {path}: {error}", path=self._high.path, error=error.strerror)

    def prune(self, retention: Retention) -> bool:
        """Forget a slice of what is too old; tell whether there may be more.  Raises as `write`."""
        now = self._now_ns()
        records_before = now - int(retention.records * _SECOND)
        events_before = now - int(retention.events * _SECOND)
        found: list[bool] = []
        bases = dict(self.bases)
        self._transact(
            lambda: found.extend(
                [
                    self._prune_orders(records_before),
                    self._prune_strays(records_before),
                    self._prune_old_epochs(events_before),
                    *[self._prune_channel(channel, events_before, bases) for channel in DURABLE_CHANNELS],
                ]
            )
        )
        self.bases = bases
        return any(found)

    def _prune_orders(self, before: int) -> bool:
        run = self._connection.execute
        ids = run(
            "SELECT id FROM orders WHERE is_open = 0 AND updated < ? ORDER BY updated LIMIT ?", (before, _PRUNE_ROWS)
        ).fetchall()
        self._delete("DELETE FROM keys WHERE order_id = ?", ids)
        self._delete("DELETE FROM executions WHERE order_id = ?", ids)
        self._delete("DELETE FROM orders WHERE id = ?", ids)
        return len(ids) == _PRUNE_ROWS

    def _prune_strays(self, before: int) -> bool:
        """Forget old executions that belong to no order."""
        ids = self._connection.execute(
            "SELECT rowid FROM executions WHERE order_id IS NULL AND time < ? LIMIT ?", (before, _PRUNE_ROWS)
        ).fetchall()
        self._delete("DELETE FROM executions WHERE rowid = ?", ids)
        return len(ids) == _PRUNE_ROWS

    def _prune_old_epochs(self, before: int) -> bool:
        """Forget the events of lineages that ended long ago: they ended when the next one began."""
        row = self._connection.execute(
            "SELECT max(number) FROM epochs WHERE started < ? AND number <= ?", (before, self.epoch_number)
        ).fetchone()
        if row[0] is None:
            return False
        ids = self._connection.execute(
            "SELECT id FROM events WHERE id < ? LIMIT ?", (channel_base(row[0], DURABLE_CHANNELS[0]), _PRUNE_ROWS)
        ).fetchall()
        self._delete("DELETE FROM events WHERE id = ?", ids)
        return len(ids) == _PRUNE_ROWS

    def _prune_channel(self, channel: str, before: int, bases: dict[str, Head]) -> bool:
        """Forget the oldest events of a channel, but for its head."""
        run = self._connection.execute
        first = channel_base(self.epoch_number, channel)
        base = bases[channel].seq
        oldest, newest = base + 1, min(base + _PRUNE_ROWS, self.heads[channel].seq - 1)
        cut = base
        while oldest <= newest:  # times rise with seq: search by halves
            middle = (oldest + newest) // 2
            (body,) = run("SELECT body FROM events WHERE id = ?", (first + middle,)).fetchone()
            if event_time(body) < before:
                cut, oldest = middle, middle + 1
            else:
                newest = middle - 1
        if cut == base:
            return False
        (digest,) = run("SELECT digest FROM events WHERE id = ?", (first + cut,)).fetchone()
        run("INSERT OR REPLACE INTO bases VALUES (?, ?, ?, ?)", (self.epoch_number, channel, cut, digest))
        run("DELETE FROM events WHERE id > ? AND id <= ?", (first + base, first + cut))
        bases[channel] = Head(epoch=self.epoch, seq=cut, tag=tag_of(digest))
        self._rows += cut - base
        return cut == base + _PRUNE_ROWS

    def _delete(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        self._rows += self._connection.executemany(statement, rows).rowcount if rows else 0

    # -- ending

    def close(self) -> None:
        """Fold the log in, close the file and give the lock back.  Raises WriteFailed or SyncFailed."""
        try:
            self.checkpoint(truncate=True)
        except SyncFailed:
            self.abandon()
            raise
        except WriteFailed as error:
            self._log.warn("journal {path}: the log stays beside it: {error}", path=self.path, error=str(error))
        self._connection.close()
        self._high.close()
        self._lock.release()

    def abandon(self) -> None:
        """Never touch the file again.

        Closing the connection would sync once more, and after a failed sync the kernel may report success for what
        it has thrown away.  So the connection is leaked, even from the interpreter's own clean-up, and the lock is
        kept until the process ends.
        """
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._connection))


_FATAL = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_REFUSED = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PERM,
    }
)


def _verdict(error: BaseException) -> WriteFailed | SyncFailed | None:
    """Say what an error of SQLite means; None for what is no matter of the disk."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    words = f"{error} ({getattr(error, 'sqlite_errorname', code)})"
    if code in _FATAL or code & 0xFF in _DAMAGE:
        return SyncFailed(words)
    return WriteFailed(words) if code & 0xFF in _REFUSED else None
