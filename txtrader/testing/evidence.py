"""Read a dead gateway's journal, from a copy: what it believed when it ended."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from pathlib import Path

from txtrader.gateway.journal_codec import decode_event, decode_execution, decode_order
from txtrader.gateway.journal_schema import channel_base
from txtrader.model.event import DURABLE_CHANNELS, StatusEvent
from txtrader.model.execution import Execution
from txtrader.model.order import Order

__all__ = ["JournalCopy"]


class JournalCopy:
    """Orders, executions, keys and events of a journal file, with what still stands in its log.

    Never open the journal of a gateway that runs: SQLite would be in it twice.
    """

    def __init__(self, path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / path.name
            for suffix in ("", "-wal"):
                source = path.with_name(path.name + suffix)
                if source.exists():
                    shutil.copyfile(source, copy.with_name(copy.name + suffix))
            connection = sqlite3.connect(copy)
            try:
                self._read(connection)
            finally:
                connection.close()

    def _read(self, connection: sqlite3.Connection) -> None:
        orders = (decode_order(record, None) for (record,) in connection.execute("SELECT record FROM orders"))
        self.orders: dict[str, Order] = {order.id: order for order in orders}
        executions = (decode_execution(row[0], None) for row in connection.execute("SELECT record FROM executions"))
        self.executions: dict[str, Execution] = {execution.exec_id: execution for execution in executions}
        self.keys: dict[tuple[str, str, str], str] = {
            (user, account, key): order_id
            for user, account, key, order_id in connection.execute(
                "SELECT user, account, client_order_id, order_id FROM keys"
            )
        }
        self.epochs: dict[int, str] = dict(connection.execute("SELECT number, epoch FROM epochs"))
        rows = {
            number: (body, digest) for number, body, digest in connection.execute("SELECT id, body, digest FROM events")
        }
        self.events: dict[tuple[str, str], list[StatusEvent]] = {}
        for epoch_number, epoch in self.epochs.items():
            for channel in DURABLE_CHANNELS:
                base = channel_base(epoch_number, channel)
                seqs = sorted(number - base for number in rows if base < number < base + (1 << 40))
                self.events[epoch, channel] = [decode_event(channel, epoch, seq, *rows[base + seq]) for seq in seqs]
