"""Sessions over HTTP: one for each credential, with an account for each keep-alive connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from txtrader.errors import InvalidArgument, Throttled
from txtrader.frontends.base import Shared
from txtrader.frontends.throttle import CallLimiter
from txtrader.gateway.commands import Command
from txtrader.gateway.session import Session, User

__all__ = ["Credential", "Credentials"]

_MOST_RUNNING = 200  # calls of one credential that may wait for their answers


class Credential:
    """What the calls of one user share: session, buckets, and the accounts that its connections have set."""

    def __init__(self, session: Session, limiter: CallLimiter) -> None:
        self.session = session
        self.limiter = limiter
        self.running = 0
        self._accounts: dict[object, str] = {}  # by connection, while it stands

    def begin(self) -> None:
        """Count a call that runs; raises Throttled when too many do."""
        if self.running >= _MOST_RUNNING:
            raise Throttled(f"{_MOST_RUNNING} calls of this user wait for their answers", retry_after=1.0)
        self.running += 1

    def end(self) -> None:
        """A call has been answered."""
        self.running -= 1

    def shown_account(self, connection: object) -> str | None:
        """Return the current account as this connection sees it, None where the others disagree."""
        try:
            return self.account_of(connection)
        except InvalidArgument:
            return None

    def forget(self, connection: object) -> None:
        """A connection is gone, and with it the account that it had set."""
        self._accounts.pop(connection, None)

    def note_account(self, connection: object, account: str) -> None:
        """A connection has set its account."""
        self._accounts[connection] = account
        self.session.account = None  # it is the connection's, not everybody's

    def account_of(self, connection: object) -> str | None:
        """Return the account of an order that names none: this connection's, else that on which all others agree.

        Raises InvalidArgument `account-required` when they differ.
        """
        own = self._accounts.get(connection)
        if own is not None:
            return own
        others = set(self._accounts.values())
        if len(others) > 1:
            raise InvalidArgument(
                "your connections have set different accounts: name one", path="account", reason="account-required"
            )
        return next(iter(others), None)

    def complete(self, command: Command, connection: object) -> Command:
        """Fill in the account of a command that makes an order and names none."""
        arguments: Mapping[str, Any] = command.arguments
        if command.operation.name == "submit_order":
            order = arguments["order"]
            if order.get("account") is not None:
                return command
            account = self.account_of(connection)
            return command if account is None else _with(command, order={**order, "account": account})
        if not any(option.name == "account" for option in command.operation.options) or arguments.get("account"):
            return command
        account = self.account_of(connection)
        return command if account is None else _with(command, account=account)


def _with(command: Command, **changed: Any) -> Command:
    return msgspec.structs.replace(command, arguments={**command.arguments, **changed})


class Credentials:
    """The credentials that have called since the start, by user name."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._by_name: dict[str, Credential] = {}

    def of(self, user: User, peer: str) -> Credential:
        """Return the credential of a user who has just proved who he is."""
        credential = self._by_name.get(user.name)
        if credential is None:
            session = self._shared.gateway.open_session(user, frontend="http", peer=peer)
            credential = self._by_name[user.name] = Credential(session, self._shared.limiter())
        elif credential.session.user is not user:
            credential.session.user = user  # role and accounts are those of today
        return credential

    def forget_connection(self, connection: object) -> None:
        """Forget what a connection has set."""
        for credential in self._by_name.values():
            credential.forget(connection)

    def end_users(self, names: frozenset[str]) -> None:
        """End the sessions of users who are no more, or may less than before."""
        for name in names:
            credential = self._by_name.pop(name, None)
            if credential is not None:
                self._shared.gateway.close_session(credential.session)

    def close(self) -> None:
        """End all sessions."""
        self.end_users(frozenset(self._by_name))
