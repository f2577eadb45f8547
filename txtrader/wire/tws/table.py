"""The one message table of the TWS wire: every request and response, both directions from the same layouts.

The simulator's session reads requests and writes responses with it; tests and wire tools use it the other way round.
Covers the text versions, 151 to 200, of the published API; from 201 the wire changes to raw ids and protobuf.

A message body is NUL-terminated fields, first the decimal message id:

    -> 49 NUL 1 NUL             reqCurrentTime
    <- 49 NUL 1 NUL 1767625200 NUL   currentTime
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from txtrader.errors import LocalProtocolError, RemoteProtocolError
from txtrader.wire.tws.codec import FieldError, FieldReader, Layout
from txtrader.wire.tws.layout import Node
from txtrader.wire.tws.message import Message
from txtrader.wire.tws.request_layouts import FIRST_VERSION, REQUEST_LAYOUTS
from txtrader.wire.tws.response_layouts import RESPONSE_LAYOUTS

__all__ = [
    "MAX_VERSION",
    "MIN_VERSION",
    "REQUESTS",
    "RESPONSES",
    "Entry",
    "Table",
    "UnknownMessageError",
    "UnreadableError",
]

MIN_VERSION = 151
MAX_VERSION = 200

_FIRST_RESPONSE_VERSION = {"historicalDataEnd": 196, "currentTimeInMillis": 197}


class UnknownMessageError(RemoteProtocolError):
    """The id is of no message, or of none at this version; `id_text` is what stood there."""

    def __init__(self, id_text: str) -> None:
        super().__init__(f"unknown message id {id_text[:20]!r}")
        self.id_text = id_text


class UnreadableError(RemoteProtocolError):
    """A field cannot be read; `name` is the message, `path` the field, `fields` what came before it."""

    def __init__(self, name: str, field: str, reason: str, fields: dict[str, Any]) -> None:
        super().__init__(f"{name}.{reason}", path=field)
        self.name = name
        self.fields = fields


class Entry:
    """One kind of message: its id, its name, its layout, and the first version that has it."""

    __slots__ = ("id", "layout", "name", "since", "text")

    def __init__(self, id: int, name: str, body: tuple[Node, ...], *, since: int, is_response: bool) -> None:
        self.id = id
        self.name = name
        self.text = str(id)
        self.since = since
        self.layout = Layout(body, is_response=is_response)


class Table:
    """All messages of one direction."""

    def __init__(
        self,
        layouts: Mapping[tuple[int, str], tuple[Node, ...]],
        since: Mapping[str, int],
        *,
        is_response: bool,
    ) -> None:
        entries = [
            Entry(id, name, body, since=since.get(name, MIN_VERSION), is_response=is_response)
            for (id, name), body in layouts.items()
        ]
        self.by_name: dict[str, Entry] = {entry.name: entry for entry in entries}
        self._by_text: dict[str, Entry] = {entry.text: entry for entry in entries}
        assert len(self.by_name) == len(self._by_text) == len(entries)

    def encode(self, message: Message, version: int) -> bytes:
        """Write a message body for a server version.

        Raises LocalProtocolError for an unknown message or field, a value that has no text, and a message that the
        version does not have.
        """
        entry = self.by_name.get(message.name)
        if entry is None:
            raise LocalProtocolError(f"no such message: {message.name}")
        if version < entry.since:
            raise LocalProtocolError(f"{message.name} needs version {entry.since}, the connection has {version}")
        texts = [entry.text]
        try:
            entry.layout.write(message.fields, version, texts.append)
        except FieldError as e:
            raise LocalProtocolError(f"{message.name}.{e}", path=e.field) from None
        texts.append("")
        return "\0".join(texts).encode("utf-8", "replace")

    def decode(self, body: bytes, version: int) -> tuple[Message, int]:
        """Read a message body; returns the message and the number of fields that were left over.

        Missing trailing fields are unset.  Raises UnknownMessageError, UnreadableError, and RemoteProtocolError for
        a body that is not NUL-terminated UTF-8 text.
        """
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            raise RemoteProtocolError("the message is not UTF-8 text") from None
        if not text.endswith("\0"):
            raise RemoteProtocolError("the last field has no end")
        texts = text.split("\0")
        texts.pop()
        entry = self._by_text.get(texts[0])
        if entry is None or version < entry.since:
            raise UnknownMessageError(texts[0])
        source = FieldReader(texts)
        source.take()
        fields: dict[str, Any] = {}
        try:
            entry.layout.read(source, version, fields)
        except FieldError as e:
            raise UnreadableError(entry.name, e.field, str(e), fields) from None
        return Message(entry.name, fields), source.remaining


REQUESTS = Table(REQUEST_LAYOUTS, FIRST_VERSION, is_response=False)
RESPONSES = Table(RESPONSE_LAYOUTS, _FIRST_RESPONSE_VERSION, is_response=True)
