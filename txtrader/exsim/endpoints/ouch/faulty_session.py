"""A SoupBinTCP server's end that can be told to go wrong: numbers, heartbeats, packets, the end.

The numbers of this wire are not written, both sides count.  So a gap is a message that has its number and does not
leave, and a number that is used again is a message that leaves once more.  All that is of the connection alone: the
stream, out of which the next connection is served, is not touched.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from math import inf

import msgspec

from txtrader.wire.soupbin import ServerSession, SoupOptions

__all__ = ["SPOILS", "FaultySession", "packets_in"]

_LETTER, _TIME = 3, slice(4, 12)  # of the message in a packet: its kind, and its time stamp


def packets_in(data: bytes) -> list[bytes]:
    """Cut what is written at once at its packets; what is none is one piece to the end."""
    found: list[bytes] = []
    start = 0
    while start < len(data):
        end = start + 2 + int.from_bytes(data[start : start + 2], "big")
        found.append(data[start:end])
        start = end
    return found


class FaultySession(ServerSession):
    """See the module; untold it is a ServerSession."""

    def __init__(self, options: SoupOptions | None = None) -> None:
        super().__init__(options)
        self._spoils: deque[Callable[[bytes], bytes]] = deque()

    def skip(self, count: int) -> None:
        """Keep the next messages from the client; they have their numbers."""
        if self.stream is not None:
            self.next_number += count

    def repeat(self, count: int | None = None) -> None:
        """Send the last messages once more, by default all that are kept."""
        if self.stream is not None:
            first = self.stream.first_number
            self.next_number = first if count is None else max(first, self.next_number - count)

    def stop_heartbeats(self) -> None:
        """Send no heartbeats any more; the client's silence is minded as before."""
        self.options = msgspec.structs.replace(self.options, heartbeat=inf)

    def end(self, text: str) -> None:
        """End this connection's session with a word: Z, or a refusal of who has not logged in yet."""
        if text:
            self.send_debug(text)
        if self.is_logged_on:
            self._queue(b"Z")
            self._end()
        else:
            self.refuse("S")

    def spoil(self, what: str, count: int) -> None:
        """Send the next messages with a fault of form, one of `SPOILS`."""
        self._spoils.extend([SPOILS[what]] * count)

    def data_to_send(self) -> bytes:
        data = super().data_to_send()
        if not self._spoils:
            return data
        return b"".join(
            self._spoils.popleft()(packet) if self._spoils and packet[2:3] == b"S" else packet
            for packet in packets_in(data)
        )


def _longer(packet: bytes) -> bytes:
    return (int.from_bytes(packet[:2], "big") + 1).to_bytes(2, "big") + packet[2:]


def _overwritten(place: slice, value: bytes, packet: bytes) -> bytes:
    return packet[: place.start] + value + packet[place.stop :]


SPOILS: dict[str, Callable[[bytes], bytes]] = {
    "length": _longer,
    "type": partial(_overwritten, slice(_LETTER, _LETTER + 1), b"?"),
    "time": partial(_overwritten, _TIME, bytes(8)),
}
"""Faults of form by name: a packet whose length is one too much, a message of no known type, one from midnight."""
