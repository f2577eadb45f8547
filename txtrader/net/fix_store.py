"""A FIX store in a file: numbers and sent messages that a restart finds again.

One line an act, appended and handed to the system before the act counts (see `line_file`).  `is_synced` also waits
for the disk before a message leaves: a number that the peer has seen is then never used again, not even after a power
cut.  Numbers of the other direction need no such care: what they lack is asked for again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from txtrader.net.line_file import LineFile
from txtrader.wire.fix.session import Identity
from txtrader.wire.fix.store import MemoryStore

__all__ = ["FileStore", "file_name_of"]

_SENT, _EXPECTED, _RESET, _HEARD = "s", "e", "r", "h"
_MOST_HEARD = 10_000


def file_name_of(identity: Identity) -> str:
    """Return the name of an identity's file; any CompID makes one."""
    words = (identity.begin_string, identity.sender, identity.target, identity.qualifier)
    return "-".join(quote(word, safe="") for word in words if word) + ".fix"


class FileStore(MemoryStore):
    """See the module.  Raises OSError where the file cannot be written.

    `heard` are the last messages that `hear` was given, (time in nanoseconds, text): who writes a message down here
    before its number counts finds it after a kill, though the peer will not send it again.
    """

    def __init__(self, path: str, *, most: int = 100_000, is_synced: bool = False) -> None:
        super().__init__(most)
        self.heard: deque[tuple[int, str]] = deque(maxlen=_MOST_HEARD)
        self._is_synced = is_synced
        self._file = LineFile(path, self._take)
        if self._file.lines > 2 * (len(self._sent) + len(self.heard) + 2):
            self._compact()

    def _take(self, row: Sequence[Any]) -> None:
        kind, *facts = row
        if kind == _SENT:
            super().keep(*facts)
        elif kind == _EXPECTED:
            super().set_expected(*facts)
        elif kind == _HEARD:
            self.heard.append((facts[0], facts[1]))
        else:
            super().reset()

    def _write(self, *facts: Any) -> None:
        if self._file.lines > 4 * (self._most + len(self.heard) + 2):
            self._compact()  # first: what is being written is not in memory yet
        self._file.write(*facts, is_synced=self._is_synced and facts[0] == _SENT)

    def _compact(self) -> None:
        """Write the file anew with what still counts."""
        rows: list[tuple[Any, ...]] = [(_SENT, number, text) for number, text in self._sent.items()]
        if not self._sent or next(reversed(self._sent)) != self.next_number - 1:
            rows.insert(0, (_RESET,))
        rows += [(_HEARD, *heard) for heard in self.heard]
        self._file.rewrite([*rows, (_EXPECTED, self.expected)])

    def set_expected(self, number: int) -> None:
        self._write(_EXPECTED, number)
        super().set_expected(number)

    def keep(self, number: int, text: str) -> None:
        self._write(_SENT, number, text)
        super().keep(number, text)

    def hear(self, time: int, text: str) -> None:
        """Write down a message of the peer, before its number counts; of the oldest ones nothing is kept."""
        self._write(_HEARD, time, text)
        self.heard.append((time, text))

    def reset(self) -> None:
        self._write(_RESET)
        super().reset()

    def close(self) -> None:
        """Close the file; twice is harmless."""
        self._file.close()
