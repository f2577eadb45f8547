"""Who may come in.

A login costs half a second of one core and 128 MiB, on purpose.  So hashes are made in threads, two at once, with a
short queue behind them; a success is remembered for five minutes, so that calls with Basic authentication are cheap;
whoever fails must wait, longer each time, per user and address; and users who lately came in from the same address
have their own queue, so that a flood of strangers cannot keep them out.

A remembered password is accepted even while its user and address must wait after failures.  Somebody on the same
address who guesses at that user could thus try quickly while it is remembered; the other choice would let any
local program lock the operator out.  From other addresses there is no such way.

Unknown users cost the same time and get the same words as wrong passwords.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.errors import ConfigError, InvalidArgument, Throttled, Unauthenticated
from txtrader.gateway.access_users import UserRecord, is_user_name, load_users
from txtrader.gateway.passwords import (
    SHIPPED,
    ClearPassword,
    PasswordHash,
    check_password,
    hash_password,
    is_password,
)
from txtrader.gateway.session import ROLES, User

__all__ = ["Access", "UserRecord", "address_of", "hash_password", "load_users"]

InThread = Callable[[Callable[[], bool]], Deferred[bool]]

_AT_ONCE = 2
_QUEUE = 16
_REMEMBERED = 300.0  # seconds that a success is remembered after its last use
_KNOWN = 86_400.0  # seconds that an address counts as one from which the user lately logged in
_LONGEST_WAIT = 60.0
_FORGIVEN = 600.0  # seconds after the end of a wait in which nothing was tried: the next failure is a first one
_ENTRIES = 10_000  # bound of each table: older entries go first
_WRONG = "the user name or the password is wrong"


def address_of(peer: str) -> str:
    """Return the address of a peer without its port: `127.0.0.1:5012`, `[::1]:5012` or an address alone."""
    host, separator, port = peer.rpartition(":")
    if separator and port.isdecimal() and (host.startswith("[") or ":" not in host):
        return host.strip("[]")
    return peer.strip("[]")


class _Table(OrderedDict[Any, Any]):
    """A dict that forgets its oldest entries."""

    def put(self, key: Any, value: Any) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > _ENTRIES:
            self.popitem(last=False)


class _Attempt:
    """One password waiting to be hashed, and all who wait for the answer."""

    __slots__ = ("address", "name", "password", "proof", "record", "waiting")

    def __init__(self, name: str, password: str, address: str, proof: bytes, record: UserRecord | None) -> None:
        self.name = name
        self.password = password
        self.address = address
        self.proof = proof
        self.record = record
        self.waiting: list[Deferred[User]] = []


class Access:
    """The gateway's doorkeeper.  Made by `open`."""

    _log = Logger()

    def __init__(
        self,
        records: Iterable[UserRecord],
        *,
        clock: IReactorTime,
        in_thread: InThread,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Let the users of `records` in; `in_thread(work)` runs blocking work in a thread of a pool."""
        self._clock = clock
        self._in_thread = in_thread
        self._secret = random_bytes(32)
        self._nobody = PasswordHash.dummy(random_bytes=random_bytes)
        self._records: dict[str, UserRecord] = {}
        self._remembered = _Table()  # proof: (user, until)
        self._known = _Table()  # (name, address): until
        self._failures = _Table()  # (name, address): (count, until)
        self._attempts: dict[bytes, _Attempt] = {}
        self._operators: deque[_Attempt] = deque()
        self._strangers: deque[_Attempt] = deque()
        self._running = 0
        self._users_file: str | None = None
        self._own: UserRecord | None = None
        self._set(records)

    @classmethod
    def open(
        cls,
        *,
        clock: IReactorTime,
        in_thread: InThread,
        users_file: str | None = None,
        username: str | None = None,
        password: str | None = None,
        role: str = "trade",
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> Access:
        """Know the users of the users file, and the one user of the settings, if there is one.

        A users file that is not there is none, as long as the settings name a user.  Raises ConfigError: nobody
        could log in, the file is not safe or not well-formed, the password is a well-known default.
        """
        own = None
        if username or password:
            own = _user_of_settings(username or "", password or "", role)
        access = cls((), clock=clock, in_thread=in_thread, random_bytes=random_bytes)
        access._users_file, access._own = users_file, own
        access._set(access._read())
        if own is not None and isinstance(own.password, ClearPassword):
            access._warm(own.password)
        return access

    def _warm(self, password: ClearPassword) -> None:
        """Hash the password of the settings now, so that the first login takes no longer than the others."""

        def warmed(result: bool | Failure) -> None:
            self._running -= 1
            if isinstance(result, Failure):
                self._log.failure("the password of the settings cannot be hashed", result)
            self._run_next()

        self._running += 1
        self._in_thread(password.warm).addBoth(warmed)

    def _read(self) -> list[UserRecord]:
        records = [self._own] if self._own is not None else []
        if self._users_file is not None and (os.path.lexists(self._users_file) or self._own is None):
            records += load_users(self._users_file)
        if not records:
            raise ConfigError(
                "nobody could log in: set TXTRADER_USERNAME and TXTRADER_PASSWORD, or write a users file",
                path="USERS_FILE",
            )
        if self._own is not None and [record.user.name for record in records].count(self._own.user.name) > 1:
            raise ConfigError(f"user {self._own.user.name} of the settings is in the users file, too", path="USERNAME")
        return records

    def _set(self, records: Iterable[UserRecord]) -> None:
        self._records = {record.user.name: record for record in records}
        self._remembered.clear()

    @property
    def users(self) -> tuple[User, ...]:
        """All who may log in."""
        return tuple(record.user for record in self._records.values())

    def reload(self) -> frozenset[str]:
        """Read the users file again; return the names of those whose sessions must end.

        These are the users who are gone, have another password, a lower role, or fewer accounts.  Raises ConfigError
        and changes nothing when the file is not good.
        """
        before, records = self._records, self._read()
        self._set(records)
        after = self._records
        return frozenset(name for name, old in before.items() if name not in after or _is_reduced(old, after[name]))

    # -- logging in

    def authenticate(self, name: str, password: str, peer: str) -> Deferred[User]:
        """Find out who somebody is; `peer` is the address of the connection.

        Fails with Unauthenticated (always the same words), or with Throttled and `retry_after`: too many failures
        of this user from this address, or too many logins at once.
        """
        if not is_user_name(name) or not is_password(password):
            return fail(Unauthenticated(_WRONG))
        address = address_of(peer)
        now = self._clock.seconds()
        proof = hmac.digest(self._secret, f"{name}\0{address}\0{password}".encode(), hashlib.sha256)
        user, until = self._remembered.get(proof, (None, 0.0))
        if user is not None and until > now:
            self._remembered.put(proof, (user, now + _REMEMBERED))
            return succeed(user)
        wait = self._wait(name, address)
        if wait > 0:
            return fail(_throttled(wait))
        attempt = self._attempts.get(proof)
        if attempt is None:
            attempt = _Attempt(name, password, address, proof, self._records.get(name))
            if not self._admit(attempt):
                return fail(Throttled("too many logins at once", retry_after=1.0))
        answer: Deferred[User] = Deferred()
        attempt.waiting.append(answer)
        self._run_next()
        return answer

    def _wait(self, name: str, address: str) -> float:
        """How many seconds this user must wait at this address."""
        until: float = self._failures.get((name, address), (0, 0.0))[1]
        return max(until - self._clock.seconds(), 0.0)

    def _admit(self, attempt: _Attempt) -> bool:
        pair = attempt.name, attempt.address
        is_known = self._known.get(pair, 0.0) > self._clock.seconds()
        line = self._operators if is_known else self._strangers
        if len(line) >= _QUEUE and self._running >= _AT_ONCE:
            return False
        line.append(attempt)
        self._attempts[attempt.proof] = attempt
        return True

    def _run_next(self) -> None:
        while self._running < _AT_ONCE and (self._operators or self._strangers):
            attempt = (self._operators or self._strangers).popleft()
            wait = self._wait(attempt.name, attempt.address)
            if wait > 0:  # the one before it has failed meanwhile
                self._answer(attempt, Failure(_throttled(wait)))
                continue
            self._running += 1
            known = attempt.record.password if attempt.record is not None else self._nobody
            self._in_thread(partial(known.matches, attempt.password)).addBoth(self._hashed, attempt)

    def _hashed(self, result: bool | Failure, attempt: _Attempt) -> None:
        self._running -= 1
        if isinstance(result, Failure):
            self._log.failure("a password cannot be checked", result)
            self._answer(attempt, Failure(Unauthenticated(_WRONG)))
        elif result and self._may_pass(attempt):
            self._answer(attempt, self._succeeded(attempt))
        else:
            self._failed(attempt)
            self._answer(attempt, Failure(Unauthenticated(_WRONG)))
        self._run_next()

    def _may_pass(self, attempt: _Attempt) -> bool:
        record = attempt.record
        if record is None or self._records.get(attempt.name) is not record:  # nobody, or changed while we hashed
            return False
        if attempt.password.lower() in SHIPPED:
            self._log.error("user {user} is kept out: the password is a well-known default", user=attempt.name)
            return False
        return True

    def _succeeded(self, attempt: _Attempt) -> User:
        assert attempt.record is not None, "somebody has succeeded"
        now = self._clock.seconds()
        pair = attempt.name, attempt.address
        self._failures.pop(pair, None)
        self._known.put(pair, now + _KNOWN)
        self._remembered.put(attempt.proof, (attempt.record.user, now + _REMEMBERED))
        return attempt.record.user

    def _failed(self, attempt: _Attempt) -> None:
        now = self._clock.seconds()
        pair = attempt.name, attempt.address
        count, until = self._failures.get(pair, (0, now))
        count = 1 if now > until + _FORGIVEN else count + 1
        self._failures.put(pair, (count, now + min(2.0 ** (count - 1), _LONGEST_WAIT)))
        # A name that is nobody's may be a password typed in the wrong place: it is not for the log.
        user = "an unknown user" if attempt.record is None else attempt.name
        self._log.warn("login of {user} from {address} failed", user=user, address=attempt.address)

    def _answer(self, attempt: _Attempt, result: User | Failure) -> None:
        del self._attempts[attempt.proof]
        for answer in attempt.waiting:
            answer.callback(result)


def _throttled(wait: float) -> Throttled:
    return Throttled("too many failed logins", retry_after=round(wait, 3))


def _user_of_settings(username: str, password: str, role: str) -> UserRecord:
    if not is_user_name(username):
        raise ConfigError(
            "a name is a small letter, then small letters, digits, `_`, `.`, `-`; at most 32", path="USERNAME"
        )
    if role not in ROLES:
        raise ConfigError(f"none of {', '.join(ROLES)}", path="USER_ROLE")
    try:
        check_password(username, password)
    except InvalidArgument as error:
        raise ConfigError(error.message, path="PASSWORD", reason=error.reason) from None
    return UserRecord(user=User(name=username, role=role), password=ClearPassword(password))


def _is_reduced(old: UserRecord, new: UserRecord) -> bool:
    if old.password != new.password or not new.user.may(old.user.role):
        return True
    return new.user.accounts is not None and (old.user.accounts is None or not old.user.accounts <= new.user.accounts)
