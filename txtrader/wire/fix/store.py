"""What outlives a FIX connection: the numbers of both directions, and the messages that may be asked for again."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

__all__ = ["MemoryStore", "Store"]


class Store(Protocol):
    """Numbers and sent messages of one identity.

    `expected` is the number that the peer's next message has, `next_number` the one that ours has.
    """

    @property
    def expected(self) -> int: ...

    @property
    def next_number(self) -> int: ...

    def set_expected(self, number: int) -> None: ...

    def keep(self, number: int, text: str) -> None:
        """Keep a message (a frame's text without its checksum) before it is sent; the next number is one more."""

    def sent(self, number: int) -> str | None:
        """Return what was sent under a number, None where it is not kept."""

    def reset(self) -> None:
        """Begin at 1 in both directions, with nothing kept."""


class MemoryStore:
    """A store that lives as long as the process; the oldest messages go when there are more than `most`."""

    def __init__(self, most: int = 100_000) -> None:
        self.expected = 1
        self.next_number = 1
        self._most = most
        self._sent: OrderedDict[int, str] = OrderedDict()

    def set_expected(self, number: int) -> None:
        self.expected = number

    def keep(self, number: int, text: str) -> None:
        self._sent[number] = text
        self.next_number = number + 1
        if len(self._sent) > self._most:
            self._sent.popitem(last=False)

    def sent(self, number: int) -> str | None:
        return self._sent.get(number)

    def reset(self) -> None:
        self.expected = self.next_number = 1
        self._sent.clear()
