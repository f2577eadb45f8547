"""The two small files beside a journal: the lock, and the high-water mark."""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Mapping

import msgspec

from txtrader.errors import ConfigError
from txtrader.gateway.journal_records import Head

__all__ = ["HighWater", "JournalLock"]


class JournalLock:
    """The right to a journal: one process at a time, given back by the kernel when that process ends.

    The file holds the holder's process id for people to read; the lock itself is flock's, so a stale file locks
    nobody out.
    """

    def __init__(self, path: str) -> None:
        """Take the lock file `path`; raises ConfigError that names it and its holder."""
        self.path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise ConfigError(f"cannot open the journal's lock {path}: {error.strerror}", path="JOURNAL") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._file, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            raise ConfigError(
                f"the journal is in use: process {holder} holds the lock {path}", path="JOURNAL", reason="locked"
            ) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the lock back.  The file stays: removing it would race with the next holder."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = -1


class _Mark(msgspec.Struct):
    turn: int
    epoch: str
    heads: dict[str, tuple[int, str]]


class HighWater:
    """The heads that the journal has reached, written beside it after each commit.

    SQLite opens a damaged log as a shorter one and says nothing; this file remembers what was there.  It is always
    behind the journal or level with it, so it needs no sync of its own: after a power cut it may know less, never
    more.  Two slots in turn, each with a checksum, so that one torn write loses only the newest mark.
    """

    _SLOT = 512

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        self._turn = 0
        self.is_damaged = False
        self.epoch: str | None = None
        self.heads: dict[str, tuple[int, str]] = {}
        self._read()

    def _read(self) -> None:
        slots = os.pread(self._file, 2 * self._SLOT, 0)
        marks = [mark for at in (0, self._SLOT) if (mark := self._parse(slots[at : at + self._SLOT])) is not None]
        if marks:
            newest = max(marks, key=lambda mark: mark.turn)
            self._turn, self.epoch, self.heads = newest.turn, newest.epoch, newest.heads
        else:
            self.is_damaged = bool(slots)

    @staticmethod
    def _parse(slot: bytes) -> _Mark | None:
        text = slot[8:].rstrip(b" \n\0")
        if slot[:8] != b"%08x" % zlib.crc32(text):
            return None
        try:
            return msgspec.json.decode(text, type=_Mark)
        except msgspec.DecodeError:
            return None

    def write(self, epoch: str, heads: Mapping[str, Head]) -> None:
        """Remember `heads`; raises OSError."""
        self._turn += 1
        text = msgspec.json.encode(
            _Mark(self._turn, epoch, {name: (head.seq, head.tag) for name, head in heads.items()})
        )
        slot = (b"%08x" % zlib.crc32(text) + text).ljust(self._SLOT - 1) + b"\n"
        assert len(slot) == self._SLOT, "a mark fits its slot"
        os.pwrite(self._file, slot, self._turn % 2 * self._SLOT)

    def sync(self) -> None:
        """Bring the marks to the disk; raises OSError."""
        os.fsync(self._file)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
