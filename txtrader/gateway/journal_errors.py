"""What may go wrong with the journal's file, and what SQLite's errors mean for it."""

from __future__ import annotations

import sqlite3

from txtrader.gateway.journal_records import KeyRecord

__all__ = ["KeyBound", "SyncFailed", "WriteFailed", "verdict_of"]


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


def verdict_of(error: BaseException) -> WriteFailed | SyncFailed | None:
    """Say what an error of SQLite means; None for what is no matter of the disk."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    words = f"{error} ({getattr(error, 'sqlite_errorname', code)})"
    if code in _FATAL or code & 0xFF in _DAMAGE:
        return SyncFailed(words)
    return WriteFailed(words) if code & 0xFF in _REFUSED else None
