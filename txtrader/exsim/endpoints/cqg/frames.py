"""Messages that stay small: lists are cut into pieces that fit below a bound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = ["SMALL", "pieces"]

SMALL = 4000
"""The bytes of a ServerMsg at most, where the protocol can split it and `small_frames` is on."""

_FRAME = 200  # what is around a list: ids, codes, the lengths of the messages that hold it
_FIELD = 5  # the tag and the length of one entry


def pieces(
    entries: Iterable[Any],
    *,
    is_small: bool,
    keeps: Callable[[Any, Any], bool] | None = None,
    most: int = SMALL,
) -> Iterator[tuple[list[Any], bool]]:
    """Cut messages into lists that fit, each with whether it is the last; of none there is one empty list.

    `keeps(before, entry)` tells that the two must stay in one list, however long it gets.
    """
    found: list[list[Any]] = [[]]
    room = most - _FRAME
    for entry in entries:
        size = entry.ByteSize() + _FIELD
        last = found[-1]
        if is_small and size > room and last and not (keeps is not None and keeps(last[-1], entry)):
            found.append([])
            room = most - _FRAME
        found[-1].append(entry)
        room -= size
    for place, piece in enumerate(found):
        yield piece, place == len(found) - 1
