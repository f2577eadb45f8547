"""Untagged replies to the same word keep the sequence of the commands, however fast each one is answered."""

from __future__ import annotations

from collections import deque

__all__ = ["ReplySequence", "Slot"]


class Slot:
    """The place of one reply; `data` is None until it is known."""

    __slots__ = ("data", "word")

    def __init__(self, word: str) -> None:
        self.word = word
        self.data: bytes | None = None


class ReplySequence:
    """The replies of one connection that are not yet sent, by word."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Slot]] = {}

    def open(self, word: str) -> Slot:
        """Take the next place among the replies to `word`."""
        slot = Slot(word)
        self._waiting.setdefault(word, deque()).append(slot)
        return slot

    def fill(self, slot: Slot, data: bytes) -> bytes:
        """Put a reply into its place; return all that may be sent now, joined."""
        slot.data = data
        waiting = self._waiting[slot.word]
        ready: list[bytes] = []
        while waiting and waiting[0].data is not None:
            ready.append(waiting.popleft().data or b"")
        if not waiting:
            del self._waiting[slot.word]
        return ready[0] if len(ready) == 1 else b"".join(ready)
