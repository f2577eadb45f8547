"""The least that durability costs on this file system: raw append and fdatasync, and SQLite's one-row commit."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

from benchmarks.harness import percentile

__all__ = ["append_and_sync", "folder", "one_row_commits", "sync_is_real"]


def folder() -> Path:
    """Where benchmarks write: BENCH_DIR, or `out` beside them; a real file system, never tmpfs."""
    chosen = Path(os.environ.get("BENCH_DIR", Path(__file__).parent / "out"))
    chosen.mkdir(parents=True, exist_ok=True)
    return chosen


def append_and_sync(path: Path, size: int, count: int) -> list[float]:
    """Append `size` bytes and sync, `count` times; return the seconds of each."""
    data = os.urandom(size)
    times = []
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for _ in range(count):
            start = time.perf_counter()
            os.write(handle, data)
            os.fdatasync(handle)
            times.append(time.perf_counter() - start)
    finally:
        os.close(handle)
        path.unlink()
    return times


def one_row_commits(path: Path, size: int, count: int) -> float:
    """Commit rows of `size` bytes one by one in WAL mode with synchronous=FULL; return rows per second."""
    row = os.urandom(size)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        start = time.perf_counter()
        for _ in range(count):
            connection.execute("INSERT INTO rows (body) VALUES (?)", (row,))
        return count / (time.perf_counter() - start)
    finally:
        connection.close()
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def sync_is_real(where: Path) -> bool:
    """Tell whether a sync costs what it must: on tmpfs and below shims that ignore it, it is nearly free."""
    synced = percentile(append_and_sync(where / "probe", 4096, 20), 0.5)
    start = time.perf_counter()
    with (where / "probe").open("wb") as file:
        for _ in range(20):
            file.write(b"x" * 4096)
            file.flush()
    written = (time.perf_counter() - start) / 20
    (where / "probe").unlink()
    return synced > 5 * written
