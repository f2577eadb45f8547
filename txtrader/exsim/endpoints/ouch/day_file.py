"""A trading day over OUCH, kept in a file: a process that ends and comes back serves the same streams again.

Rows: the day with its session, each name that a user has used, each message that he was told, and the day's end.  The
file is begun anew with each session, and a day that is over, or another date's, is not taken up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from twisted.logger import Logger

from txtrader.errors import ConfigError
from txtrader.net.line_file import LineFile

__all__ = ["Day", "DayFile"]

_DAY, _NAME, _TOLD, _SWITCH, _OVER = "day", "name", "told", "switch", "over"

Name = str | tuple[int, int]


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """What tells one day from others: its session, the version, the date (YYYYMMDD) at the exchange, and what the next
    session's name is made of."""

    session: str
    version: str
    date: str
    first_second: int
    number: int


class DayFile:
    """The day in a file at `path`; `day`, and by user `names`, `told` and `disabled` are what it held when opened.

    Raises ConfigError where it is none of ours or cannot be written.  A later failure is logged, and nothing is kept
    from then on: the file is emptied, so that no later process takes up a stream with a hole.
    """

    _log = Logger()

    def __init__(self, path: str) -> None:
        self.day: Day | None = None
        self.names: dict[str, list[Name]] = {}
        self.told: dict[str, list[bytes]] = {}
        self.disabled: dict[str, set[str]] = {}
        self._path = path
        try:
            self._file: LineFile | None = LineFile(path, self._take)
        except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:  # rows of any other shape
            raise ConfigError(f"the day's file {path}: {error}", path="day_file") from None

    def _take(self, row: Sequence[Any]) -> None:
        kind, *facts = row
        if kind == _DAY:
            self.day = msgspec.convert(facts[0], Day)
            self.names.clear()
            self.told.clear()
            self.disabled.clear()
        elif kind == _NAME:
            user, name = facts
            self.names.setdefault(user, []).append(name if isinstance(name, str) else (name[0], name[1]))
        elif kind == _TOLD:
            user, text = facts
            self.told.setdefault(user, []).append(text.encode("latin-1"))
        elif kind == _SWITCH:
            user, firm, is_disabled = facts
            firms = self.disabled.setdefault(user, set())
            (firms.add if is_disabled else firms.discard)(firm)
        else:
            self.day = None

    def begin(self, day: Day, names: Mapping[str, Iterable[Name]], disabled: Mapping[str, Iterable[str]]) -> None:
        """Begin a session; by user `names` are those that cannot be used again in it, `disabled` the firms."""
        used = [(_NAME, user, name) for user, taken in names.items() for name in taken]
        switched = [(_SWITCH, user, firm, True) for user, firms in disabled.items() for firm in sorted(firms)]
        self._do(lambda file: file.rewrite([(_DAY, msgspec.to_builtins(day)), *used, *switched]))

    def end(self) -> None:
        """Say that the day is over."""
        self._do(lambda file: file.write(_OVER))

    def use(self, user: str, name: Name) -> None:
        """Keep that a user has used a name."""
        self._do(lambda file: file.write(_NAME, user, name))

    def switch(self, user: str, firm: str, is_disabled: bool) -> None:
        """Keep that a firm's order entry was switched off, or on again."""
        self._do(lambda file: file.write(_SWITCH, user, firm, is_disabled))

    def tell(self, user: str, message: bytes) -> None:
        """Keep what a user is told; before he is."""
        self._do(lambda file: file.write(_TOLD, user, message.decode("latin-1")))

    def close(self) -> None:
        """Close the file; nothing is kept any more."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _do(self, act: Any) -> None:
        if self._file is None:
            return
        try:
            act(self._file)
        except OSError as error:
            self._log.error("what is said over OUCH is not kept any more: {reason}", reason=error.strerror or error)
            self.close()
            self._empty()

    def _empty(self) -> None:
        """Leave nothing to take up; a full disk allows that."""
        try:
            with open(self._path, "wb"):
                pass
        except OSError as error:
            self._log.error("delete {path}: its streams have a hole ({reason})", path=self._path, reason=error.strerror)
