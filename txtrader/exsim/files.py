"""Files that bots and sources read: below one folder that the operator named, and not too large."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from txtrader.errors import InvalidArgument, NotFound, TooLarge
from txtrader.exsim.errors import Unsupported

__all__ = ["MOST_BYTES", "DataFolder"]

MOST_BYTES = 256 * 1024 * 1024
"""How much one file may hold, unpacked: it is read as a whole."""


class DataFolder:
    """The files below `folder`, by their path in it; without a folder there are none."""

    def __init__(self, folder: str | Path | None) -> None:
        self._folder = None if folder is None else Path(folder).resolve()

    def read(self, name: str, *, path: str = "file") -> bytes:
        """Return what a file holds, unpacked where its name ends in `.gz`; `path` is the property that named it."""
        if self._folder is None:
            raise Unsupported("the simulator was given no folder of data files", path=path)
        place = (self._folder / name).resolve()
        if not name or not place.is_relative_to(self._folder):
            raise InvalidArgument(f"{name!r} is not a path below the folder of data files", path=path)
        try:
            with (gzip.open if name.endswith(".gz") else open)(place, "rb") as file:
                data = bytes(file.read(MOST_BYTES + 1))
        except OSError as error:
            raise NotFound(f"{name} cannot be read: {error.strerror or error}", path=path) from None
        except (EOFError, zlib.error) as error:
            raise InvalidArgument(f"{name} cannot be unpacked: {error}", path=path) from None
        if len(data) > MOST_BYTES:
            raise TooLarge(f"{name} holds more than {MOST_BYTES} bytes", path=path)
        return data

    def read_text(self, name: str, *, path: str = "file") -> str:
        """Return the text of a file, which has to be UTF-8."""
        try:
            return self.read(name, path=path).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InvalidArgument(f"{name} is not UTF-8: {error}", path=path) from None
