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
from collections.abc import Callable

import msgspec
from twisted.logger import Logger

from txtrader.errors import ConfigError
from txtrader.gateway.journal_codec import Chain, checksum, decode_execution, decode_instrument, decode_order, tag_of
from txtrader.gateway.journal_errors import SyncFailed, WriteFailed, verdict_of
from txtrader.gateway.journal_files import HighWater, JournalLock
from txtrader.gateway.journal_proof import Proof
from txtrader.gateway.journal_prune import Pruner
from txtrader.gateway.journal_records import Head, JournalState, KeyRecord, Retention
from txtrader.gateway.journal_rows import Batch, RowWriter, key_bytes
from txtrader.gateway.journal_schema import SEQ_BITS, channel_base, migrate
from txtrader.gateway.journal_stamp import make_stamp
from txtrader.model.event import DURABLE_CHANNELS
from txtrader.model.instrument import Instrument

__all__ = ["OWN_META", "JournalStore"]

_SECOND = 1_000_000_000
_QUIET_ROWS = 500  # a checkpoint is due in a quiet moment
_LOG_SIZE = 4 << 20  # some 150 single orders, or many more in groups; folding it in takes some 10 ms
_KEY_FIELDS = KeyRecord.__struct_fields__
_SPACE = "journal.space"
OWN_META = "journal."  # what begins so in `meta` is the journal's own


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
        self._writer = RowWriter(self._connection)
        try:
            self._prepare()
            self._prove()
            self._begin_run()
        except (sqlite3.DatabaseError, WriteFailed, SyncFailed) as error:
            self._connection.close()
            self._high.close()
            raise ConfigError(f"cannot use the journal {self.path}: {_why(error)}", path="JOURNAL") from error
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
        proof = Proof(self._connection, self.epoch_number, self.epoch, self._high)
        if proof.damage is None:
            self.heads, self.digests, self.bases = proof.heads, proof.digests, proof.bases
        else:
            self._begin_epoch(self.epoch_number, proof.damage)

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
            # The pages go through the log twice, when they come and when they go.
            self._transact(
                lambda: run("INSERT OR REPLACE INTO meta VALUES (?, zeroblob(?))", (_SPACE, _LOG_SIZE // 2)) and None
            )
            self._transact(lambda: run("DELETE FROM meta WHERE key = ?", (_SPACE,)))
            self.checkpoint()
        except WriteFailed as error:
            self._log.warn("journal {path}: no space for a log: {error}", path=self.path, error=str(error))

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
            instruments[number] = decode_instrument(record)
        used: set[int | None] = set()
        orders = []
        for id_, number, record, crc in run("SELECT id, instrument, record, crc FROM orders ORDER BY rowid"):
            self._check("order", id_, crc, record)
            orders.append(decode_order(record, instruments[number]))
            used.add(number)
        executions = []
        for id_, number, record, crc in run("SELECT exec_id, instrument, record, crc FROM executions ORDER BY rowid"):
            self._check("execution", id_, crc, record)
            executions.append(decode_execution(record, instruments[number]))
            used.add(number)
        keys = []
        for *fields, crc in run("SELECT user, account, client_order_id, digest, order_id, crc FROM keys"):
            key = KeyRecord(**dict(zip(_KEY_FIELDS, fields, strict=True)))
            self._check("key", key.client_order_id, crc, key_bytes(key))
            keys.append(key)
        meta = dict(run("SELECT key, value FROM meta").fetchall())
        meta = {name: value for name, value in meta.items() if not name.startswith(OWN_META)}
        self._drop_instruments([number for number in instruments if number not in used and number is not None])
        self._writer.know({instrument: number for number, instrument in instruments.items() if number and instrument})
        return JournalState(orders=orders, executions=executions, keys=keys, meta=meta, heads=dict(self.heads))

    def _drop_instruments(self, numbers: list[int]) -> None:
        """Forget instruments that no record names any more: each day's trading hours make new ones."""
        if numbers:
            statement = "DELETE FROM instruments WHERE id = ?"
            rows = [(number,) for number in numbers]
            self._transact(lambda: self._connection.executemany(statement, rows))

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
        self._transact(lambda: self._writer.write(batch))
        self.heads.update(batch.heads)
        self._mark()

    def _transact(self, work: Callable[[], object]) -> None:
        run = self._connection.execute
        learnt, count = self._writer.learnt(), self._writer.count
        try:
            run("BEGIN IMMEDIATE")
            work()
            run("COMMIT")
        except BaseException as error:
            self._writer.unlearn(learnt)
            self._undo(error)
            raise
        self._rows += self._writer.count - count

    def _undo(self, error: BaseException) -> None:
        """Roll back after `error`; raises what the error of the database means, if it was one."""
        verdict = verdict_of(error)
        if isinstance(verdict, SyncFailed):
            raise verdict from error
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as second:
            raise SyncFailed(f"cannot roll back after {error}: {second}") from second
        if verdict is not None:
            raise verdict from error

    def probe(self) -> None:
        """Find out whether the disk takes writes again: free the log's space, then commit something small."""
        try:
            self.checkpoint(truncate=True)
        except WriteFailed:
            pass  # the probe itself decides
        batch = Batch()
        batch.meta["journal.probed"] = str(self._now_ns())
        self._transact(lambda: self._writer.write(batch))

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
            verdict = verdict_of(error)
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
        pruner = Pruner(self._connection, self.epoch_number, self.heads, self.bases)
        self._transact(
            lambda: pruner.prune(now - int(retention.records * _SECOND), now - int(retention.events * _SECOND))
        )
        self.bases = pruner.bases
        self._rows += pruner.count
        return pruner.has_more

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


def _why(error: Exception) -> str:
    """Say in words for an operator why a journal cannot be opened."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "another program has it open"
    if isinstance(error, WriteFailed) or isinstance(verdict_of(error), WriteFailed):
        return f"the disk does not take writes: {error}"
    return f"{error}; restore a backup, or move it away to begin anew"
