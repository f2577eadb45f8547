"""Password hashes: scrypt, in the spelling of the users file.

`scrypt$17$8$1$SALT$HASH`: the logarithm of N, r, p, then salt and hash in base64.  N = 2^17 needs 128 MiB and about
half a second of one core: a thread's work, and never more than two at once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import threading
from collections.abc import Callable

import msgspec

from txtrader.errors import ConfigError, InvalidArgument

__all__ = ["SHIPPED", "ClearPassword", "PasswordHash", "check_password", "hash_password", "is_password"]

SHIPPED = frozenset(
    {
        "admin",
        "change_me",
        "change_this_password",
        "changeme",
        "default",
        "password",
        "secret",
        "txtrader",
        "txtrader_pass",
        "txtrader_password",
    }
)
"""Passwords that txTrader or its examples were ever shipped with, and those that everybody tries first."""

_LOG_N, _R, _P = 17, 8, 1
_MAX_LOG_N = 20
_SPELLING = re.compile(
    r"scrypt\$([0-9]{1,2})\$([0-9]{1,2})\$([0-9]{1,2})\$([A-Za-z0-9+/]+={0,2})\$([A-Za-z0-9+/]+={0,2})"
)


def is_password(text: str) -> bool:
    """Tell whether `text` has the form of a password: 1 to 256 bytes of UTF-8 without NUL, CR, LF."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return False
    return 1 <= size <= 256 and not any(mark in text for mark in "\0\r\n")


def check_password(user: str, password: str) -> None:
    """Refuse what must not protect anything; raises InvalidArgument."""
    if not is_password(password):
        raise InvalidArgument("a password has 1 to 256 bytes, without NUL, CR and LF", path="password")
    if password.lower() in SHIPPED:
        raise InvalidArgument("this password is a well-known default", path="password", reason="default")
    if password == user:
        raise InvalidArgument("the password is the user's name", path="password", reason="default")


class PasswordHash(msgspec.Struct, frozen=True, kw_only=True):
    """A salted hash, with the costs it was made at."""

    log_n: int
    r: int
    p: int
    salt: bytes
    hash: bytes

    @classmethod
    def parse(cls, text: str) -> PasswordHash:
        """Read the spelling; raises ConfigError for another form, or for costs below the minimum."""
        match = _SPELLING.fullmatch(text)
        if match is None:
            raise ConfigError("not a hash of the form scrypt$17$8$1$SALT$HASH", path="USERS_FILE")
        log_n, r, p = (int(part) for part in match.group(1, 2, 3))
        if not (_LOG_N <= log_n <= _MAX_LOG_N and r == _R and 1 <= p <= 4):
            raise ConfigError(
                f"hash costs {log_n}, {r}, {p}: at least {_LOG_N}, {_R}, {_P} it must be", path="USERS_FILE"
            )
        try:
            salt, digest = (base64.b64decode(part, validate=True) for part in match.group(4, 5))
        except binascii.Error as error:
            raise ConfigError("salt or hash is not base64", path="USERS_FILE") from error
        if len(salt) < 8 or len(digest) < 16:
            raise ConfigError("salt or hash is too short", path="USERS_FILE")
        return cls(log_n=log_n, r=r, p=p, salt=salt, hash=digest)

    @classmethod
    def make(cls, password: str, *, random_bytes: Callable[[int], bytes] = os.urandom) -> PasswordHash:
        """Hash a password: blocking, half a second."""
        salt = random_bytes(16)
        return cls(log_n=_LOG_N, r=_R, p=_P, salt=salt, hash=_scrypt(password, salt, _LOG_N, _R, _P, 32))

    @classmethod
    def dummy(cls, *, random_bytes: Callable[[int], bytes] = os.urandom) -> PasswordHash:
        """A hash that no password has, which takes as long to say no."""
        return cls(log_n=_LOG_N, r=_R, p=_P, salt=random_bytes(16), hash=random_bytes(32))

    def matches(self, password: str) -> bool:
        """Tell whether `password` is the one: blocking, half a second; the comparison takes constant time."""
        return hmac.compare_digest(_scrypt(password, self.salt, self.log_n, self.r, self.p, len(self.hash)), self.hash)

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(part).decode() for part in (self.salt, self.hash))
        return f"scrypt${self.log_n}${self.r}${self.p}${salt}${digest}"


class ClearPassword:
    """A password that came in clear text, with the settings: hashed the first time it is asked for, then forgotten.

    `matches` may be called by several threads.
    """

    def __init__(self, password: str) -> None:
        self._password: str | None = password
        self._hash: PasswordHash | None = None
        self._lock = threading.Lock()

    def warm(self) -> bool:
        """Make the hash, if it is not made yet: blocking, half a second; always true."""
        with self._lock:
            if self._password is not None:
                self._hash = PasswordHash.make(self._password)
                self._password = None
        return True

    def matches(self, password: str) -> bool:
        """Tell whether `password` is the one: blocking, half a second, and twice that before `warm`."""
        self.warm()
        assert self._hash is not None, "it is warm"
        return self._hash.matches(password)


def _scrypt(password: str, salt: bytes, log_n: int, r: int, p: int, size: int) -> bytes:
    # OpenSSL counts a little more than the 128 * N * r bytes of the algorithm itself.
    memory = 128 * r * ((1 << log_n) + p + 2) + (1 << 22)
    return hashlib.scrypt(password.encode(), salt=salt, n=1 << log_n, r=r, p=p, maxmem=memory, dklen=size)


def hash_password(user: str, password: str, *, random_bytes: Callable[[int], bytes] = os.urandom) -> str:
    """Hash a password for the users file; raises InvalidArgument for one that must not be used.  Blocking."""
    check_password(user, password)
    return str(PasswordHash.make(password, random_bytes=random_bytes))
