"""The tables of the journal, and how an older file becomes the present one.

One row an event, keyed by one integer: epoch number, channel and seq, so that a channel is one dense run of keys.
`orders` and `executions` hold the last record of each; `instruments` what those records share.  `crc` is the CRC-32
of the record, because SQLite does not notice a rotten byte inside a value.
"""

from __future__ import annotations

import sqlite3

from txtrader.errors import ConfigError
from txtrader.model.event import DURABLE_CHANNELS

__all__ = ["APPLICATION_ID", "VERSION", "channel_base", "migrate"]

APPLICATION_ID = 0x54785472  # "TxTr", in the header of the file

SEQ_BITS = 40
CHANNEL_BITS = 3

_TO_VERSION_1 = (
    # A lineage of events: a new one begins whenever the file turns out not to be what it was.
    """CREATE TABLE epochs (
        number INTEGER PRIMARY KEY,
        epoch TEXT NOT NULL UNIQUE,
        started INTEGER NOT NULL,
        reason TEXT NOT NULL)""",
    # The middle of the order ids that one run of the gateway gave out.
    "CREATE TABLE stamps (stamp TEXT PRIMARY KEY, started INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE instruments (id INTEGER PRIMARY KEY, record BLOB NOT NULL, crc INTEGER NOT NULL)",
    """CREATE TABLE orders (
        id TEXT PRIMARY KEY,
        is_open INTEGER NOT NULL,
        updated INTEGER NOT NULL,
        instrument INTEGER,
        record BLOB NOT NULL,
        crc INTEGER NOT NULL)""",
    "CREATE INDEX orders_ended ON orders (updated) WHERE is_open = 0",
    """CREATE TABLE executions (
        mode TEXT NOT NULL,
        exec_id TEXT NOT NULL,
        order_id TEXT,
        time INTEGER NOT NULL,
        instrument INTEGER,
        record BLOB NOT NULL,
        crc INTEGER NOT NULL,
        PRIMARY KEY (mode, exec_id))""",
    "CREATE INDEX executions_of ON executions (order_id)",
    """CREATE TABLE keys (
        user TEXT NOT NULL,
        account TEXT NOT NULL,
        client_order_id TEXT NOT NULL,
        digest TEXT NOT NULL,
        order_id TEXT NOT NULL,
        crc INTEGER NOT NULL,
        PRIMARY KEY (user, account, client_order_id)) WITHOUT ROWID""",
    "CREATE INDEX keys_of ON keys (order_id)",
    "CREATE TABLE events (id INTEGER PRIMARY KEY, body BLOB NOT NULL, digest BLOB NOT NULL)",
    # Where the events of a channel begin: those up to `seq` have been forgotten, `digest` is the last one's.
    """CREATE TABLE bases (
        epoch INTEGER NOT NULL,
        channel TEXT NOT NULL,
        seq INTEGER NOT NULL,
        digest BLOB NOT NULL,
        PRIMARY KEY (epoch, channel)) WITHOUT ROWID""",
)

# What leads from each version to the next; an empty file is version 0.
_MIGRATIONS: tuple[tuple[str, ...], ...] = (_TO_VERSION_1,)
VERSION = len(_MIGRATIONS)


def channel_base(epoch_number: int, channel: str) -> int:
    """Return the row id before the first event of a channel: the event `seq` has the row id base + seq."""
    return ((epoch_number << CHANNEL_BITS) | DURABLE_CHANNELS.index(channel)) << SEQ_BITS


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the file to the present version, in one transaction; raises ConfigError if it is not ours or newer."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application_id != APPLICATION_ID and (application_id or version or tables):
        raise ConfigError(f"{path} is a database of something else, not a journal", path="JOURNAL")
    if version > VERSION:
        raise ConfigError(
            f"the journal {path} is of version {version}, made by a newer txTrader; this one knows {VERSION}",
            path="JOURNAL",
            reason="newer",
        )
    if version == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    for statements in _MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")
