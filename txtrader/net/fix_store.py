"""A FIX store in a file: numbers and sent messages that a restart finds again.

One line an act, appended and handed to the system before the act counts; a kill loses at most the line that was being
written, and that one is dropped when the file is read.  `is_synced` also waits for the disk.
"""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import quote

from txtrader.wire.fix.session import Identity
from txtrader.wire.fix.store import MemoryStore

__all__ = ["FileStore", "file_name_of"]

_SENT, _EXPECTED, _RESET = "s", "e", "r"


def file_name_of(identity: Identity) -> str:
    """Return the name of an identity's file; any CompID makes one."""
    words = (identity.begin_string, identity.sender, identity.target, identity.qualifier)
    return "-".join(quote(word, safe="") for word in words if word) + ".fix"


class FileStore(MemoryStore):
    """See the module.  Raises OSError where the file cannot be written."""

    def __init__(self, path: str, *, most: int = 100_000, is_synced: bool = False) -> None:
        super().__init__(most)
        self._path = path
        self._is_synced = is_synced
        self._lines = 0
        self._load()
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115  it stays open until `close`
        os.chmod(path, 0o600)  # messages may hold what is nobody else's
        if self._lines > 2 * (len(self._sent) + 2):
            self._compact()

    def _load(self) -> None:
        try:
            with open(self._path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return
        whole, mark, _ = data.rpartition(b"\n")
        for line in whole.split(b"\n") if mark else ():
            self._lines += 1
            kind, *facts = json.loads(line)
            if kind == _SENT:
                super().keep(*facts)
            elif kind == _EXPECTED:
                super().set_expected(*facts)
            else:
                super().reset()
        if len(whole) + len(mark) < len(data):  # a kill in the middle of a line: what follows must begin a new one
            with open(self._path, "r+b") as file:
                file.truncate(len(whole) + len(mark))

    def _write(self, *facts: Any) -> None:
        self._file.write(json.dumps(facts).encode() + b"\n")
        if self._is_synced:
            os.fdatasync(self._file.fileno())
        self._lines += 1
        if self._lines > 4 * (self._most + 2):
            self._compact()

    def _compact(self) -> None:
        """Write the file anew with what still counts, beside the old one, and put it in its place."""
        rows: list[tuple[Any, ...]] = [(_SENT, number, text) for number, text in self._sent.items()]
        if not self._sent or next(reversed(self._sent)) != self.next_number - 1:
            rows.insert(0, (_RESET,))
        beside = f"{self._path}.new"
        with open(beside, "wb") as file:
            file.writelines(json.dumps(row).encode() + b"\n" for row in [*rows, (_EXPECTED, self.expected)])
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o600)
        os.replace(beside, self._path)
        self._file.close()
        self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115
        self._lines = len(rows) + 1

    def set_expected(self, number: int) -> None:
        self._write(_EXPECTED, number)
        super().set_expected(number)

    def keep(self, number: int, text: str) -> None:
        self._write(_SENT, number, text)
        super().keep(number, text)

    def reset(self) -> None:
        self._write(_RESET)
        super().reset()

    def close(self) -> None:
        """Close the file; twice is harmless."""
        self._file.close()
