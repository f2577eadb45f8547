"""Where the text of a setting comes from: an envdir, a .env file, the environment, the command line.

Each source gives `Texts`: the full variable name to a `Text`, which knows where it stood.  Files that hold secrets must
belong to root or to us, be closed to others, and be no symbolic links: a password that everybody can read, or that
somebody else can change, is none.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from dotenv.parser import parse_stream

__all__ = ["PREFIX", "Text", "Texts", "file_fault", "from_dotenv", "from_envdir", "from_environ", "read_value_file"]

PREFIX = "TXTRADER_"
MAX_FILE = 64 * 1024


class Text(NamedTuple):
    """The text of a setting and where it stood."""

    text: str
    origin: str


Texts = dict[str, Text]


def from_environ(environ: Mapping[str, str], origin: str = "environment") -> Texts:
    """Take the variables of ours from a mapping."""
    return {name: Text(value.strip(), origin) for name, value in environ.items() if name.startswith(PREFIX)}


def from_envdir(folder: str, is_secret: Callable[[str], bool], *, allow_loose: bool) -> tuple[Texts, list[str]]:
    """Read an envdir: one file per variable, its first line is the value.  Return the texts and what is wrong.

    As daemontools reads it: blanks at the end of the line go, NUL stands for a line feed, names with a leading dot
    are not variables.  Unlike `envdir`, files that others may change are refused, and those with secrets that others
    may read.
    """
    texts: Texts = {}
    faults: list[str] = []
    try:
        names = sorted(entry.name for entry in os.scandir(folder))
    except OSError as error:
        return texts, [f"envdir {folder}: {error.strerror}"]
    if not allow_loose and (fault := file_fault(folder, secret=False)):
        faults.append(f"envdir {folder}: {fault}")
    for name in names:
        if not name.startswith(PREFIX):
            continue
        path = os.path.join(folder, name)
        try:
            content = _read(path)
        except (OSError, ValueError) as error:
            faults.append(f"{name}: {path}: {_reason(error)}")
            continue
        text = content.split("\n", 1)[0].rstrip().replace("\0", "\n")
        if text and not allow_loose and (fault := file_fault(path, secret=is_secret(name))):
            faults.append(f"{name}: {path}: {fault}")
        texts[name] = Text(text, path)
    return texts, faults


def from_dotenv(path: str, is_secret: Callable[[str], bool], *, allow_loose: bool) -> tuple[Texts, list[str]]:
    """Read a .env file by python-dotenv's grammar, without interpolation.  Return the texts and what is wrong."""
    texts: Texts = {}
    faults: list[str] = []
    try:
        with open(path, encoding="utf-8") as stream:
            bindings = list(parse_stream(stream))
    except FileNotFoundError:
        return texts, faults
    except (OSError, ValueError) as error:
        return texts, [f"{path}: {_reason(error)}"]
    for binding in bindings:
        if binding.error:
            faults.append(f"{path}: line {binding.original.line} is not NAME=VALUE")
        elif binding.key is not None and binding.key.startswith(PREFIX):
            texts[binding.key] = Text((binding.value or "").strip(), f"{path} line {binding.original.line}")
    has_secret = any(text.text and is_secret(name) for name, text in texts.items())
    if has_secret and not allow_loose and (fault := file_fault(path, secret=True)):
        faults.append(f"{path}: {fault}")
    return texts, faults


def read_value_file(path: str, *, allow_loose: bool) -> str:
    """Read the value that a NAME_FILE variable points to; one line feed at its end goes.  Raises ValueError."""
    if not allow_loose and (fault := file_fault(path, secret=True)):
        raise ValueError(f"{path}: {fault}")
    try:
        content = _read(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {_reason(error)}") from None
    content = content.removesuffix("\n").removesuffix("\r")
    if "\n" in content:
        raise ValueError(f"{path}: holds more than one line")
    return content


def file_fault(path: str, *, secret: bool) -> str | None:
    """Say what makes a configuration file unsafe: a link, a foreign owner, too open a mode.  None when it is safe."""
    try:
        found = os.lstat(path)
    except OSError as error:
        return _reason(error)
    if stat.S_ISLNK(found.st_mode):
        return "is a symbolic link"
    if found.st_uid not in (0, os.geteuid()):
        return f"belongs to user {found.st_uid}, not to root or to the user that runs this"
    if found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and found.st_gid != os.getegid()):
        return f"may be changed by others (mode {stat.S_IMODE(found.st_mode):04o}): chmod go-w"
    if secret and found.st_mode & stat.S_IROTH:
        return f"holds a secret and may be read by everybody (mode {stat.S_IMODE(found.st_mode):04o}): chmod o-rwx"
    return None


def _read(path: str) -> str:
    with Path(path).open("rb") as stream:
        content = stream.read(MAX_FILE + 1)
    if len(content) > MAX_FILE:
        raise ValueError("is larger than 64 KiB")
    return content.decode("utf-8")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or "cannot be read"
    if isinstance(error, UnicodeError):
        return "is not UTF-8"
    return str(error)
