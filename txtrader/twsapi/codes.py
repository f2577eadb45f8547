"""The table of TWS's message codes: data in `codes.toml`, or in a file of the operator's in the same form."""

from __future__ import annotations

import tomllib
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Any

from txtrader.errors import ConfigError

__all__ = ["CodeClass", "Codes"]


class CodeClass(StrEnum):
    """What a code does to the request or order that it names; `codes.toml` says each in a line."""

    INFORMATION = "information"
    WARNING = "warning"
    REQUEST = "request"
    ORDER = "order"
    CANCEL = "cancel"
    NOT_CANCELLED = "not_cancelled"
    CONNECTION = "connection"
    RESUBSCRIBE = "resubscribe"


class Codes:
    """The codes by number; ranges come second."""

    def __init__(self, table: dict[str, Any]) -> None:
        """Read a table as parsed from TOML.  Raises ValueError with the words for what is wrong."""
        self._single: dict[int, CodeClass] = {}
        self._ranges: list[tuple[int, int, CodeClass]] = []
        if "classes" not in table:
            raise ValueError("the table [classes] is missing")
        for text, word in _part(table, "classes").items():
            kind = CodeClass(word)
            low, _, high = text.partition("-")
            if high:
                self._ranges.append((int(low), int(high), kind))
            else:
                self._single[int(low)] = kind
        # The narrower range first: it says more.
        self._ranges.sort(key=lambda row: row[1] - row[0])
        self.farms: dict[int, tuple[str, str]] = {
            int(code): (str(kind), str(state)) for code, (kind, state) in _part(table, "farms").items()
        }
        history = _part(table, "history")
        self._no_data = tuple(str(text).lower() for text in history.get("no_data", ()))
        self._pacing = tuple(str(text).lower() for text in history.get("pacing", ()))

    @classmethod
    def load(cls, path: str | Path | None = None) -> Codes:
        """Read the table of the package, or the operator's file.  Raises ConfigError naming the file."""
        try:
            if path is None:
                text = resources.files("txtrader.twsapi").joinpath("codes.toml").read_text("utf-8")
            else:
                text = Path(path).read_text("utf-8")
            return cls(tomllib.loads(text))
        except (OSError, ValueError, TypeError) as error:  # tomllib's error is a ValueError
            raise ConfigError(
                f"code table {path or 'of the package'}: {error}", path="TXTRADER_TWS_CODES_FILE"
            ) from error

    def replace_by(self, other: Codes) -> None:
        """Take over another table, for everyone who holds this one."""
        self.__dict__.update(other.__dict__)

    def classify(self, code: int) -> CodeClass | None:
        """Return the class of a code, None for one that stands nowhere."""
        kind = self._single.get(code)
        if kind is not None:
            return kind
        for low, high, range_kind in self._ranges:
            if low <= code <= high:
                return range_kind
        return None

    def says_no_data(self, text: str) -> bool:
        """Tell whether the words of a history error mean an empty answer."""
        text = text.lower()
        return any(part in text for part in self._no_data)

    def says_pacing(self, text: str) -> bool:
        """Tell whether the words of a history error mean that we asked too fast."""
        text = text.lower()
        return any(part in text for part in self._pacing)


def _part(table: dict[str, Any], name: str) -> dict[str, Any]:
    part = table.get(name, {})
    if not isinstance(part, dict):
        raise ValueError(f"{name} is no table")
    return part
