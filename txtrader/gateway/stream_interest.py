"""Who wants the market data of which symbol: the index that keeps a tick cheap.

A symbol that nobody wants costs one look into a dict; one that is wanted, a loop over those who want it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from txtrader.model.event import StatusEvent

__all__ = ["Interest", "InterestIndex", "Receiver"]


class Receiver(Protocol):
    """One who gets ephemeral events, by `deliver(event, prev)`; `prev` is always None here."""

    @property
    def deliver(self) -> Callable[[StatusEvent, int | None], None]: ...

    def sees(self, account: str | None) -> bool: ...

    def complain(self) -> None:
        """Log the exception being handled."""


class Interest:
    """Those who want one symbol of one channel, and how many events they were offered."""

    __slots__ = ("_members", "n", "receivers")

    def __init__(self) -> None:
        self._members: dict[Receiver, None] = {}
        self.n = 0
        # Replaced at each change and never changed: a delivery that is under way goes on with what it began with.
        self.receivers: tuple[Receiver, ...] | None = ()

    def add(self, receiver: Receiver) -> None:
        self._members[receiver] = None
        self.receivers = None

    def discard(self, receiver: Receiver) -> bool:
        """Forget a receiver; tell whether anybody is left."""
        self._members.pop(receiver, None)
        self.receivers = None
        return bool(self._members)

    def current(self) -> tuple[Receiver, ...]:
        """The receivers, in the sequence in which they came."""
        if self.receivers is None:
            self.receivers = tuple(self._members)
        return self.receivers


class InterestIndex:
    """Interests by symbol, for one channel; the symbol None is for events about no symbol."""

    __slots__ = ("_by_symbol", "get")

    def __init__(self) -> None:
        self._by_symbol: dict[str | None, Interest] = {}
        self.get = self._by_symbol.get

    def __contains__(self, symbol: str | None) -> bool:
        return symbol in self._by_symbol

    def add(self, symbol: str | None, receiver: Receiver) -> None:
        self._by_symbol.setdefault(symbol, Interest()).add(receiver)

    def discard(self, symbol: str | None, receiver: Receiver) -> None:
        interest = self._by_symbol.get(symbol)
        if interest is not None and not interest.discard(receiver):
            del self._by_symbol[symbol]
