"""The echo: an order or a definition comes back as it was.  It proves the session, and nothing about trading."""

from __future__ import annotations

from txtrader.exsim.endpoints.fix.endpoint import FixConnection
from txtrader.wire.fix.message import Message

__all__ = ["Echo"]

_ECHOED = frozenset({"D", "d"})
_OURS = frozenset({8, 9, 10, 34, 35, 43, 49, 52, 56, 122})


class Echo:
    """An application that sends orders (D) and definitions (d) back; a possible resend that it has seen is ignored."""

    def __init__(self) -> None:
        self._seen: dict[FixConnection, set[str]] = {}

    def logged_on(self, connection: FixConnection) -> None:
        self._seen[connection] = set()

    def lost(self, connection: FixConnection) -> None:
        self._seen.pop(connection, None)

    def received(self, connection: FixConnection, message: Message) -> None:
        if message.type in ("3", "j"):
            return
        if message.type not in _ECHOED:
            connection.refuse_type(message)
            return
        identity = message.get(11)
        if identity is not None and message.type == "D":
            if message.is_set(97) and identity in self._seen[connection]:
                return
            self._seen[connection].add(identity)
        connection.send(Message(message.type, [pair for pair in message.fields if pair[0] not in _OURS]))
