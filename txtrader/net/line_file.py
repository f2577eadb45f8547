"""A file of JSON lines that is appended to, and found again after a kill or a full disk.

Each line is handed to the system before `write` returns.  A kill loses at most the line that was being written: what
is left of it is dropped when the file is read, and what a full disk leaves of it at once, since half a line amid the
others would make all of them unreadable.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

__all__ = ["LineFile"]


class LineFile:
    """Rows of plain data at `path`, which only the user may read; `take` is called with each that is there already.

    Raises OSError where the file cannot be written, ValueError where it is none of ours.
    """

    def __init__(self, path: str, take: Callable[[Sequence[Any]], None]) -> None:
        self.lines = 0
        """How many there are."""
        self._path = path
        self._load(take)
        self._open()

    def _load(self, take: Callable[[Sequence[Any]], None]) -> None:
        try:
            with open(self._path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return
        whole, mark, _ = data.rpartition(b"\n")
        for line in whole.split(b"\n") if mark else ():
            self.lines += 1
            take(json.loads(line))
        if len(whole) + len(mark) < len(data):  # a kill in the middle of a line: what follows must begin a new one
            with open(self._path, "r+b") as file:
                file.truncate(len(whole) + len(mark))

    def _open(self) -> None:
        self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115  it stays open until `close`
        self._size = os.fstat(self._file.fileno()).st_size
        os.chmod(self._path, 0o600)  # it may hold what is nobody else's

    def write(self, *row: Any, is_synced: bool = False) -> None:
        """Append a row, with `is_synced` waiting for the disk.  Raises OSError, and then it is not there."""
        line = _line(row)
        try:
            if self._file.write(line) != len(line):  # the disk is full
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if is_synced:
                os.fdatasync(self._file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(self._size)
            raise
        self._size += len(line)
        self.lines += 1

    def rewrite(self, rows: Iterable[Sequence[Any]]) -> None:
        """Put these rows in the place of all that is there, or leave everything as it is and raise OSError."""
        beside = f"{self._path}.new"
        count = 0
        with open(beside, "wb") as file:
            for count, row in enumerate(rows, 1):  # noqa: B007  the last one is the count
                file.write(_line(row))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o600)
        os.replace(beside, self._path)
        self._file.close()
        self._open()
        self.lines = count

    def close(self) -> None:
        """Close the file; twice is harmless."""
        self._file.close()


def _line(row: Sequence[Any]) -> bytes:
    return json.dumps(row).encode() + b"\n"
