"""A session: one connection, or one credential on plain HTTP; everything that belongs to a caller is here."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["ROLES", "Session", "User"]

ROLES: tuple[str, ...] = ("view", "trade", "admin")
"""Roles in ascending order of what they may do."""


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Who is logged in.  `accounts` None means every account of the broker."""

    name: str
    role: str
    accounts: frozenset[str] | None = None
    expires: int | None = None  # nanoseconds UTC, for tokens

    def may(self, role: str) -> bool:
        """Tell whether this user has at least `role`."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def sees(self, account: str | None) -> bool:
        """Tell whether this user may see what concerns `account` (None concerns everybody)."""
        return account is None or self.accounts is None or account in self.accounts


class Session:
    """What one caller has set: current account, route, primary exchanges, symbols.  Nothing of it is shared.

    There are thousands, and most set nothing: the collections are made when they are first asked for.
    """

    __slots__ = (
        "__weakref__",
        "_primary_exchanges",
        "_symbols",
        "account",
        "frontend",
        "is_open",
        "peer",
        "route",
        "user",
    )

    def __init__(self, user: User, *, frontend: str, peer: str) -> None:
        self.user = user
        self.frontend = frontend
        self.peer = peer
        self.account: str | None = None
        self.route: dict[str, Any] | None = None
        self._primary_exchanges: dict[str, str] | None = None
        self._symbols: set[str] | None = None
        self.is_open = True

    @property
    def primary_exchanges(self) -> dict[str, str]:
        """The exchanges that plain names mean, by symbol."""
        if self._primary_exchanges is None:
            self._primary_exchanges = {}
        return self._primary_exchanges

    @property
    def symbols(self) -> set[str]:
        """The symbols whose market data the session has asked for."""
        if self._symbols is None:
            self._symbols = set()
        return self._symbols

    @property
    def has_symbols(self) -> bool:
        """Tell whether there are any."""
        return bool(self._symbols)

    def __repr__(self) -> str:
        return f"<Session {self.user.name}@{self.frontend} {self.peer}>"
