"""The server role of the TWS wire: handshake, frames, requests in, responses out.

    -> "API" NUL, frame "v100..178" or "v157", optionally with options after a space
    <- frame "178" NUL "20260105 10:00:00 EST" NUL
    -> frame "71" NUL "2" NUL clientId NUL ... (startApi), then any request
    <- any response

The version is the lower of what the client and this end can do.  Clients older than that handshake do not say
`API`; they are dropped, and so are those whose range does not meet ours, without an answer, as at the real server.
A request that cannot be read, and one that is unknown, is an event: the conversation goes on.

Source: what published clients send and read at versions 151 to 200.
"""

from __future__ import annotations

import re
from enum import Enum, auto

import msgspec

from txtrader.errors import LocalProtocolError, RemoteProtocolError
from txtrader.wire.tws.framing import FrameBuffer, frame
from txtrader.wire.tws.message import Message
from txtrader.wire.tws.table import (
    MAX_VERSION,
    MIN_VERSION,
    REQUESTS,
    RESPONSES,
    UnknownMessageError,
    UnreadableError,
)

__all__ = ["DEFAULT_MAX_VERSION", "Event", "Hello", "ServerSession", "UnknownRequest", "UnreadableRequest"]

DEFAULT_MAX_VERSION = 178
"""The highest version at which every client that was tried works in text."""

_PREFIX = b"API\0"
_GREETING_LIMIT = 1024  # a version range and options are some tens of bytes
_RANGE = re.compile(rb"v(\d{1,5})(?:\.\.(\d{1,5}))?(?: ([\x20-\x7e]*))?\Z")
_SKIPPED = 158
"""Never offered: clients disagree there on whether openOrder carries a duration."""


class Hello(msgspec.Struct, frozen=True):
    """The client has said what it speaks; `version` is what will be spoken once `ServerSession.greet` is called."""

    min_version: int
    max_version: int
    options: str
    version: int


class UnreadableRequest(msgspec.Struct, frozen=True):
    """A request whose fields cannot be read; `req_id` is its id (request or order) where that could be read."""

    name: str
    req_id: int
    reason: str


class UnknownRequest(msgspec.Struct, frozen=True):
    """A message with an id that this version does not have."""

    id_text: str


Event = Hello | Message | UnreadableRequest | UnknownRequest


class _State(Enum):
    PREFIX = auto()
    RANGE = auto()
    GREETING = auto()  # ours is to come
    OPEN = auto()
    ENDED = auto()


class ServerSession:
    """One client's conversation, as the server sees it; see `txtrader.wire.session.Session`.

    `max_version` caps what is negotiated (151 to 200).  A client that has not finished the handshake after
    `handshake_timeout` seconds is dropped; None waits for ever.
    """

    def __init__(self, *, max_version: int = DEFAULT_MAX_VERSION, handshake_timeout: float | None = 30.0) -> None:
        if not MIN_VERSION <= max_version <= MAX_VERSION:
            raise ValueError(f"max_version must be {MIN_VERSION} to {MAX_VERSION}, not {max_version}")
        self.version = 0
        self.leftover_fields = 0
        self.last_body = b""
        """The body of the request that `next_event` returned last."""
        self._max_version = max_version
        self._timeout = handshake_timeout
        self._deadline: float | None = None
        self._state = _State.PREFIX
        self._buffer = FrameBuffer(_GREETING_LIMIT)
        self._out: list[bytes] = []

    # -- bytes in

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self._state is not _State.ENDED:
            self._buffer.feed(data)

    def receive_eof(self) -> None:
        """Take the end; what is complete is still delivered."""

    def next_event(self) -> Event | None:
        """Return the next event; raises RemoteProtocolError for what ends the conversation."""
        try:
            if self._state is _State.PREFIX and not self._read_prefix():
                return None
            if self._state is _State.RANGE:
                return self._read_range()
            if self._state is _State.OPEN:
                return self._read_request()
        except RemoteProtocolError:
            self._state = _State.ENDED
            raise
        return None

    def _read_prefix(self) -> bool:
        if not self._buffer.starts_like(_PREFIX):
            raise RemoteProtocolError("not an API client, or one older than the v100 handshake")
        if self._buffer.take(len(_PREFIX)) is None:
            return False
        self._state = _State.RANGE
        return True

    def _read_range(self) -> Hello | None:
        body = self._buffer.next_frame()
        if body is None:
            return None
        match = _RANGE.match(body)
        if match is None:
            raise RemoteProtocolError("no version range where one must be")
        low, high = int(match[1]), int(match[2] or match[1])
        version = min(high, self._max_version)
        if version == _SKIPPED:
            version -= 1
        if version < max(low, MIN_VERSION):
            raise RemoteProtocolError(
                f"the client speaks {low} to {high}, this server {MIN_VERSION} to {self._max_version}"
            )
        self._state = _State.GREETING
        return Hello(low, high, (match[3] or b"").decode("ascii"), version)

    def _read_request(self) -> Event | None:
        body = self._buffer.next_frame()
        if body is None:
            return None
        self.last_body = body
        try:
            message, left_over = REQUESTS.decode(body, self.version)
        except UnknownMessageError as e:
            return UnknownRequest(e.id_text)
        except UnreadableError as e:
            req_id = e.fields.get("reqId", e.fields.get("orderId"))
            return UnreadableRequest(e.name, -1 if req_id is None else req_id, str(e))
        except RemoteProtocolError as e:
            return UnreadableRequest("", -1, str(e))
        self.leftover_fields += left_over
        return message

    # -- bytes out

    def greet(self, hello: Hello, connection_time: str) -> None:
        """Answer the client's hello: from now on the conversation is open."""
        if self._state is not _State.GREETING:
            raise LocalProtocolError("there is no hello to answer")
        self.version = hello.version
        self._state = _State.OPEN
        self._deadline = None
        self._timeout = None
        # What the client sent along with its hello is framed alike; only the bound changes.
        self._buffer.limit = FrameBuffer().limit
        self._out.append(frame(f"{hello.version}\0{connection_time}\0".encode("ascii")))

    def send(self, message: Message) -> None:
        """Queue a response; raises LocalProtocolError when it cannot be sent at this version or now."""
        if self._state is not _State.OPEN:
            raise LocalProtocolError(f"{message.name} before the handshake")
        self._out.append(frame(RESPONSES.encode(message, self.version)))

    def send_body(self, body: bytes) -> None:
        """Queue a message body as it is: for conversations that are wrong on purpose."""
        self._out.append(frame(body))

    def data_to_send(self) -> bytes:
        """Return and forget the bytes to write now."""
        if not self._out:
            return b""
        data = b"".join(self._out)
        self._out.clear()
        return data

    # -- time

    def next_deadline(self) -> float | None:
        """Return when the handshake must be done."""
        return self._deadline

    def handle_timeout(self, now: float) -> None:
        """Drop a client that connects and says nothing."""
        if self._timeout is None or self._state is _State.OPEN:
            return
        if self._deadline is None:
            self._deadline = now + self._timeout
        elif now >= self._deadline:
            self._state = _State.ENDED
            self._deadline = None
            self._timeout = None
            raise RemoteProtocolError("the handshake takes too long")
