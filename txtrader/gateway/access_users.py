"""The users file: who may log in, as what, for which accounts.

One user a line, `name:role:scrypt$17$8$1$SALT$HASH:accounts`; `accounts` is `*` for all, or names with commas; blank
lines and lines that begin with `#` are skipped.  A file that somebody else could write or read is refused.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection

import msgspec

from txtrader.errors import ConfigError
from txtrader.gateway.passwords import ClearPassword, PasswordHash
from txtrader.gateway.session import ROLES, User

__all__ = ["UserRecord", "is_user_name", "load_users", "parse_users"]

_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,31}")
_ACCOUNT = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SIZE = 1 << 20
_WIDEST_MODE = 0o640


class UserRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One user and how to know the password."""

    user: User
    password: PasswordHash | ClearPassword


def is_user_name(text: str) -> bool:
    """Tell whether `text` has the form of a user's name."""
    return _NAME.fullmatch(text) is not None


def load_users(path: str, *, uid: int | None = None, gids: Collection[int] | None = None) -> list[UserRecord]:
    """Read the users file; raises ConfigError that names the file, the line and the reason.

    The owner must be root or `uid`, the mode 0640 or stricter; a group that may read must be one of `gids`.  They
    default to this process's own; root may read for any group.
    """
    uid = os.geteuid() if uid is None else uid
    gids = {os.getegid(), *os.getgroups()} if gids is None else gids
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        why = "it is a symbolic link" if os.path.islink(path) else error.strerror
        raise ConfigError(f"cannot open {path}: {why}", path="USERS_FILE") from error
    try:
        _check_file(path, os.fstat(file), uid, gids)
        data = b""
        while (part := os.read(file, _SIZE + 1 - len(data))) and len(data) <= _SIZE:
            data += part
    finally:
        os.close(file)
    if len(data) > _SIZE:
        raise ConfigError(f"{path} is larger than {_SIZE} bytes", path="USERS_FILE")
    try:
        return parse_users(data.decode(), path)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8", path="USERS_FILE") from error


def _check_file(path: str, found: os.stat_result, uid: int, gids: Collection[int]) -> None:
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError(f"{path} is not a plain file", path="USERS_FILE")
    if found.st_uid not in (0, uid):
        raise ConfigError(f"{path} belongs to user {found.st_uid}, not to root or {uid}", path="USERS_FILE")
    if mode & ~_WIDEST_MODE:
        raise ConfigError(f"{path} has mode {mode:04o}; at most {_WIDEST_MODE:04o} is safe", path="USERS_FILE")
    if mode & stat.S_IRGRP and uid != 0 and found.st_gid not in gids:
        raise ConfigError(f"{path} may be read by the foreign group {found.st_gid}", path="USERS_FILE")


def parse_users(text: str, path: str) -> list[UserRecord]:
    """Read the lines of a users file; raises ConfigError, never with a hash in it."""
    records: dict[str, UserRecord] = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        try:
            record = _parse_line(line)
            if record.user.name in records:
                raise ConfigError(f"user {record.user.name} is there twice")
        except ConfigError as error:
            raise ConfigError(f"{path} line {number}: {error.message}", path="USERS_FILE") from None
        records[record.user.name] = record
    return list(records.values())


def _parse_line(line: str) -> UserRecord:
    parts = line.split(":")
    if len(parts) != 4:
        raise ConfigError("not of the form name:role:hash:accounts")
    name, role, password, accounts = parts
    if not is_user_name(name):
        raise ConfigError("a name is a small letter, then small letters, digits, `_`, `.`, `-`; at most 32")
    if role not in ROLES:
        raise ConfigError(f"the role of {name} is none of {', '.join(ROLES)}")
    user = User(name=name, role=role, accounts=_parse_accounts(accounts))
    return UserRecord(user=user, password=PasswordHash.parse(password))


def _parse_accounts(text: str) -> frozenset[str] | None:
    if text == "*":
        return None
    names = [name for name in text.split(",") if name]
    for name in names:
        if not _ACCOUNT.fullmatch(name):
            raise ConfigError("accounts are `*`, or names with commas between")
    return frozenset(names)
