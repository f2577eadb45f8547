"""Who may come in: bounds on clients, on those that are not logged in, and on those of one address."""

from __future__ import annotations

from collections import Counter

from txtrader.errors import Throttled

__all__ = ["Door", "Visit"]

MAX_STRANGERS = 256
"""Connections that are not logged in."""
MAX_STRANGERS_OF_ADDRESS = 64
"""Of these, from one address."""


class Door:
    """Counts the connections of all front ends; constant work for each."""

    def __init__(self, max_clients: int) -> None:
        self.max_clients = max_clients
        self.clients = 0
        self.strangers = 0
        self._of_address: Counter[str] = Counter()

    def enter(self, address: str) -> Visit:
        """Let a connection in; raises Throttled when there are too many."""
        if self.clients >= self.max_clients:
            raise Throttled("too many clients")
        if self.strangers >= MAX_STRANGERS or self._of_address[address] >= MAX_STRANGERS_OF_ADDRESS:
            raise Throttled("too many connections that are not logged in")
        self.clients += 1
        self.strangers += 1
        self._of_address[address] += 1
        return Visit(self, address)

    def know(self, address: str) -> None:
        """Count one stranger less."""
        self.strangers -= 1
        self._of_address[address] -= 1
        if not self._of_address[address]:
            del self._of_address[address]


class Visit:
    """One connection's place in the counts."""

    __slots__ = ("_address", "_door", "_is_here", "_is_stranger")

    def __init__(self, door: Door, address: str) -> None:
        self._door = door
        self._address = address
        self._is_stranger = True
        self._is_here = True

    def logged_in(self) -> None:
        """No longer a stranger."""
        if self._is_stranger and self._is_here:
            self._is_stranger = False
            self._door.know(self._address)

    def leave(self) -> None:
        """Give the place back; may be called again."""
        if self._is_here:
            self.logged_in()
            self._is_here = False
            self._door.clients -= 1
