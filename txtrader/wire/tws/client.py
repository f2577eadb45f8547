"""The client role of the TWS wire: greeting, handshake, frames in and events out, requests in and frames out.

The conversation, as published for the TWS API::

    -> API NUL, frame v100..157            the range that the installed package understands
    <- frame SERVER_VERSION NUL TIME NUL   the greatest version that both know
    -> frame START_API                     with the client id
    <- frames                              each 4 bytes of length, big-endian, and a body

Frequent frames go through our own decoder (`ticks`), all others through the installed `ibapi` (`ibapi_binding`), which
also writes every request.  From server version 201 ids are raw and bodies may be protobuf: then the package decodes
everything.
"""

from __future__ import annotations

import re
from collections import deque
from struct import Struct as Layout

import msgspec

from txtrader.errors import LocalProtocolError, RemoteProtocolError
from txtrader.wire.tws.ibapi_binding import PROTOBUF_SINCE, Binding, BoundClient, load_binding
from txtrader.wire.tws.message import Message
from txtrader.wire.tws.ticks import TickDecoder

__all__ = ["MAX_FRAME", "ClientSession", "LoggedIn", "Undecoded"]

MAX_FRAME = 0xFFFFFF
"""The longest body of the protocol; scanner parameters alone take more than a mebibyte."""

_LENGTH = Layout(">I")
_DATE = re.compile(rb"[0-9]{8}")
_MAX_HANDSHAKE_FRAMES = 64  # what may come before the answer; a server that never answers is dropped


class LoggedIn(msgspec.Struct, frozen=True):
    """The versions are agreed and START_API is on its way; `connection_time` is the server's own text."""

    server_version: int
    connection_time: str


class Undecoded(msgspec.Struct, frozen=True):
    """A frame that gave no event, and why; the link goes on."""

    message_id: str
    reason: str


class ClientSession:
    """One connection to TWS, sans-IO.  A new one for every connection.

    Events are `LoggedIn`, `Undecoded`, the ticks of `txtrader.wire.tws.ticks`, and `Message`s named as the callbacks
    of the API.  Raises ConfigError at once when the API package is not installed.
    """

    def __init__(
        self,
        *,
        client_id: int,
        max_version: int | None = None,
        optional_capabilities: str = "",
        max_frame: int = MAX_FRAME,
        has_fast_decoder: bool = True,
        binding: Binding | None = None,
    ) -> None:
        self.binding = binding or load_binding()
        self.client_id = client_id
        self.server_version: int | None = None
        self.connection_time: str | None = None
        self.undecoded = 0
        self.reads = 0
        """How often bytes came: a sign of life that costs nothing for each message."""
        top = self.binding.max_version if max_version is None else min(self.binding.max_version, max_version)
        self.offered = (self.binding.min_version, max(top, self.binding.min_version))
        self._optional_capabilities = optional_capabilities
        self._max_frame = min(max_frame, MAX_FRAME)
        self._has_fast_decoder = has_fast_decoder
        self._events: deque[object] = deque()
        self._violation: RemoteProtocolError | None = None
        self._parts: list[bytes] = []
        self._missing = 0  # bytes until there is a whole frame, or a whole length, in `_parts`
        self._frames_before_answer = 0
        self._bound: BoundClient | None = None
        self._ticks: TickDecoder | None = None
        low, high = self.offered
        greeting = f"v{low}..{high}".encode("ascii")
        self._out: list[bytes] = [b"API\0" + _LENGTH.pack(len(greeting)) + greeting]

    # --- the face of every session ---

    def receive_data(self, data: bytes) -> None:
        """Take bytes of the server, in any cut."""
        self.reads += 1
        if self._violation is not None:
            return
        if self._parts:
            self._parts.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return
            data = b"".join(self._parts)
            self._parts.clear()
        size = len(data)
        start = 0
        text: str | None = None
        while True:
            if self._ticks is not None:
                if text is None:
                    text = data.decode("latin-1")
                start = self._ticks.run(data, text, start, self._events.append)
            end = start + 4
            if end > size:
                break
            length = _LENGTH.unpack_from(data, start)[0]
            end += length
            if length > self._max_frame:
                self._violation = RemoteProtocolError(f"a frame of {length} bytes, more than {self._max_frame}")
                return
            if end > size:
                break
            if not self._take_frame(data[start + 4 : end]):
                return
            start = end
        if start < size:
            # Pieces of a long frame wait in a list until it is whole: joining at every read would be quadratic.
            self._parts.append(data[start:])
            self._missing = end - size

    def receive_eof(self) -> None:
        """Take the end of the bytes; half a frame is dropped, never read."""
        self._parts.clear()

    def next_event(self) -> object | None:
        """Return the next event; raises RemoteProtocolError once those before it are out."""
        if self._events:
            return self._events.popleft()
        if self._violation is not None:
            raise self._violation
        return None

    def send(self, message: Message) -> None:
        """Write a request.

        Raises LocalProtocolError before the handshake and for what the package cannot write, InvalidArgument where an
        argument is at fault or the server is too old for it.
        """
        if self._bound is None:
            raise LocalProtocolError(f"{message.name} before the versions are agreed")
        self._out.append(self._bound.encode(message))

    def data_to_send(self) -> bytes:
        """Return and forget the bytes to write."""
        if not self._out:
            return b""
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        return data

    def next_deadline(self) -> float | None:
        """Return None: deadlines are those of requests and belong to who asks."""
        return None

    def handle_timeout(self, now: float) -> None:
        """Do nothing; see `next_deadline`."""

    # --- the inside ---

    def _take_frame(self, body: bytes) -> bool:
        """Take a frame that our own decoder leaves alone; tells whether to go on reading."""
        if self._bound is None:
            self._take_answer(body)
            return self._violation is None
        before = len(self._events)
        reason = self._bound.decode(body)
        if reason is None and len(self._events) == before:
            # The package logs and drops what has the wrong number of fields.
            reason = "the package made nothing of it"
        if reason is not None:
            self._drop_frame(body, reason)
        return True

    def _take_answer(self, body: bytes) -> None:
        """Look whether a frame is the server's answer to the greeting: two fields, a version we offered and a time."""
        fields = body.split(b"\0")[:-1]
        if len(fields) == 2 and fields[0].isdigit() and len(fields[0]) <= 9:
            version = int(fields[0])
            low, high = self.offered
            if low <= version <= high:
                self._agree(version, fields[1].decode("latin-1"))
                return
            if _DATE.match(fields[1]):
                self._violation = RemoteProtocolError(f"the server answers version {version}, offered {low}..{high}")
                return
        self._frames_before_answer += 1
        if self._frames_before_answer > _MAX_HANDSHAKE_FRAMES:
            self._violation = RemoteProtocolError("the server never answered the greeting")
            return
        self._drop_frame(body, "before the handshake")

    def _agree(self, version: int, connection_time: str) -> None:
        self.server_version = version
        self.connection_time = connection_time
        self._bound = bound = BoundClient(
            self.binding,
            self._events.append,
            client_id=self.client_id,
            version=version,
            connection_time=connection_time,
            optional_capabilities=self._optional_capabilities,
        )
        if version < PROTOBUF_SINCE and self._has_fast_decoder:
            self._ticks = TickDecoder(version)
        self._out.append(bound.start_api())
        self._events.append(LoggedIn(version, connection_time))

    def _drop_frame(self, body: bytes, reason: str) -> None:
        self.undecoded += 1
        if self.server_version is not None and self.server_version >= PROTOBUF_SINCE:
            message_id = str(int.from_bytes(body[:4], "big"))
        else:
            message_id = body.partition(b"\0")[0][:12].decode("ascii", "backslashreplace")
        self._events.append(Undecoded(message_id, reason))
