"""Both ends of a SoupBinTCP 3.00 connection, without I/O, and the stream that outlives it.

    -> L login (session, number)      <- A accepted (session, number), or J refused
    -> U message, R heartbeat         <- S message, H heartbeat
    -> O logout                       <- Z end of session

What the server says is a stream of numbered messages, the number 1 first; the number is not on the wire, both sides
count.  The server keeps the stream for the trading day: who comes back asks for the next number, is sent what it
missed, and then what is new, out of the same place and therefore with nothing lost or doubled between.

Document: Nasdaq, SoupBinTCP 3.00.
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec

from txtrader.errors import LocalProtocolError, RemoteProtocolError

__all__ = [
    "ClientSession",
    "Ended",
    "LoggedOn",
    "LoggedOut",
    "LoginRequested",
    "Refused",
    "Sequenced",
    "ServerSession",
    "SoupOptions",
    "Stream",
    "Unsequenced",
]

_HEAD = struct.Struct(">Hc")
_LONGEST = 65_534  # bytes of a message: the length field counts the type as well
_AT_ONCE = 65_536  # bytes of a stream that `data_to_send` returns at most: a whole day may have to be repeated
_LOGIN = struct.Struct(">6s10s10s20s")
_ACCEPTED = struct.Struct(">10s20s")
_ANY = None
_FROM_CLIENT = {b"L": 1 + _LOGIN.size, b"U": _ANY, b"R": 1, b"O": 1, b"+": _ANY}
_FROM_SERVER = {b"A": 1 + _ACCEPTED.size, b"J": 2, b"S": _ANY, b"U": _ANY, b"H": 1, b"Z": 1, b"+": _ANY}
_PADDING = b" \0"  # some fill up with zeros


class SoupOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a session is set to; durations in seconds.

    `most` is the longest packet that is taken.  With `repeats_last` a login that asks for number 0, the present end,
    is sent the last message once more: the document leaves that open.
    """

    heartbeat: float = 1.0
    dead_after: float = 15.0
    login_timeout: float = 30.0
    most: int = 65_535
    repeats_last: bool = False


class LoginRequested(msgspec.Struct, frozen=True):
    """A client wants in; to be answered by `admit` or `refuse` before the next event is taken."""

    user: str
    password: str
    session: str
    sequence: int

    def __repr__(self) -> str:
        return f"LoginRequested({self.user!r}, session={self.session!r}, sequence={self.sequence})"


class LoggedOn(msgspec.Struct, frozen=True):
    """The server has accepted; `sequence` is the number of the first message that will come."""

    session: str
    sequence: int


class Refused(msgspec.Struct, frozen=True):
    """The server has refused: `A` not authorised, `S` no such session."""

    reason: str


class Sequenced(msgspec.Struct, frozen=True, gc=False):
    """A message of the stream, with its number."""

    number: int
    data: bytes


class Unsequenced(msgspec.Struct, frozen=True, gc=False):
    """A message that is not counted and never repeated."""

    data: bytes


class LoggedOut(msgspec.Struct, frozen=True):
    """The client leaves; the connection is to be closed."""


class Ended(msgspec.Struct, frozen=True):
    """The stream is over for good; the connection is to be closed."""


class Stream:
    """The numbered messages of one session (one trading day of one user), kept to be sent again.

    Beyond `most` messages the oldest are forgotten, a part of them at once; who asks for those is refused.
    """

    def __init__(self, name: str, most: int = 500_000) -> None:
        if not 0 < len(name) <= 10 or not name.isascii() or name != name.strip():
            raise LocalProtocolError(f"{name!r} is no name of a session")
        self.name = name
        self.first_number = 1
        self.is_ended = False
        self._most = most
        self._packets: list[bytes] = []

    @property
    def next_number(self) -> int:
        """The number that the next message will have."""
        return self.first_number + len(self._packets)

    def append(self, message: bytes) -> int:
        """Add a message; return its number.  Raises LocalProtocolError once the stream has ended."""
        if self.is_ended:
            raise LocalProtocolError("the session has ended")
        self._packets.append(_packet(b"S", message))
        if len(self._packets) > self._most:
            forgotten = max(1, self._most // 8)
            del self._packets[:forgotten]
            self.first_number += forgotten
        return self.next_number - 1

    def end(self) -> None:
        """Say that nothing more will come."""
        self.is_ended = True

    def packets(self, number: int, most: int) -> tuple[bytes, int]:
        """Return packets from a number on, about `most` bytes of them, and the number after them."""
        place = start = number - self.first_number
        size = 0
        while place < len(self._packets) and size < most:
            size += len(self._packets[place])
            place += 1
        return b"".join(self._packets[start:place]), self.first_number + place


class _Session:
    """What both roles share: packets, heartbeats, the end."""

    _incoming: dict[bytes, int | None]
    _heartbeat: bytes

    def __init__(self, options: SoupOptions | None = None) -> None:
        self.options = options or SoupOptions()
        self.is_logged_on = False
        self.is_over = False
        self._in = bytearray()
        self._start = 0
        self._out: list[bytes] = []
        self._has_heard = False
        self._clock: float | None = None
        self._received_at = 0.0
        self._sent_at = 0.0

    # -- bytes and events

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer."""
        if not self.is_over:
            self._in += data

    def receive_eof(self) -> None:
        """Take the end of the peer's bytes; whole packets are still given."""

    def next_event(self) -> Any | None:
        """Return the next event, None when there is none; raises RemoteProtocolError."""
        while not self.is_over:
            packet = self._next_packet()
            if packet is None:
                return None
            self._has_heard = True
            event = self._take(*packet)
            if event is not None:
                return event
        return None

    def data_to_send(self) -> bytes:
        """Return and forget what is to be sent."""
        data, self._out = b"".join(self._out), []
        if data and self._clock is not None:
            self._sent_at = self._clock
        return data

    def send_debug(self, text: str) -> None:
        """Send a word for whoever reads along; the peer ignores it."""
        self._queue(b"+", text.encode("ascii", "replace"))

    def _next_packet(self) -> tuple[bytes, bytes] | None:
        data, start = self._in, self._start
        held = len(data) - start
        if held < 2:
            return None
        size = data[start] << 8 | data[start + 1]
        if not size:
            raise self._broken("a packet of length 0")
        if held < 3:
            return None
        kind = bytes(data[start + 2 : start + 3])
        wanted = self._incoming.get(kind, -1)
        if wanted == -1 or size > self.options.most or wanted not in (_ANY, size):
            raise self._broken(f"no packet of kind {kind!r} and length {size} is due here")
        end = start + 2 + size
        if len(data) < end:
            if start:
                del data[:start]
                self._start = 0
            return None
        payload = bytes(data[start + 3 : end])
        if end == len(data):
            data.clear()
            end = 0
        self._start = end
        return kind, payload

    def _take(self, kind: bytes, payload: bytes) -> Any | None:
        raise NotImplementedError

    def _broken(self, why: str) -> RemoteProtocolError:
        """Take nothing more: what follows a violation means nothing."""
        self._end()
        return RemoteProtocolError(why)

    def _end(self) -> None:
        self.is_over = True
        self.is_logged_on = False
        self._in.clear()
        self._start = 0

    def _queue(self, kind: bytes, message: bytes = b"") -> None:
        if self.is_over:
            raise LocalProtocolError("the connection is over")
        self._out.append(_packet(kind, message))

    # -- time

    def next_deadline(self) -> float | None:
        """Return the second at which `handle_timeout` has something to do; None when nothing runs."""
        if self.is_over:
            return None
        if self._clock is None:
            return 0.0
        if not self.is_logged_on:
            return self._received_at + self.options.login_timeout
        return min(self._sent_at + self.options.heartbeat, self._received_at + self.options.dead_after)

    def handle_timeout(self, now: float) -> None:
        """Send a heartbeat when it is due; raises RemoteProtocolError when the peer is silent for too long."""
        if self._clock is None:
            self._sent_at = self._received_at = now
        self._clock = now
        # What was heard since the last time was so just now: the time is told after each piece of data.
        if self._has_heard and self.is_logged_on:
            self._received_at = now
        self._has_heard = False
        if self.is_over:
            return
        silence = now - self._received_at
        if not self.is_logged_on:
            if silence >= self.options.login_timeout:
                raise self._broken("no login in time")
        elif silence >= self.options.dead_after:
            raise self._broken(f"nothing was heard for {silence:.1f} s")
        elif now - self._sent_at >= self.options.heartbeat:
            self._queue(self._heartbeat)
            self._sent_at = now


class ServerSession(_Session):
    """The server's end.  It is told its stream with `admit`, and sends out of it whatever is new there.

    `is_held` stops the stream for a client that reads slowly.
    """

    _incoming = _FROM_CLIENT
    _heartbeat = b"H"

    def __init__(self, options: SoupOptions | None = None) -> None:
        super().__init__(options)
        self.stream: Stream | None = None
        self.next_number = 0
        self.is_held = False
        self._is_mute = False
        self._login: LoginRequested | None = None

    def admit(self, stream: Stream) -> bool:
        """Let the client follow a stream from where it asked; False where it was refused for the session's sake.

        That is: the stream has another name, its message is not there yet, or not any more.
        """
        login = self._login
        assert login is not None and not self.is_logged_on, "nobody asks"
        number = login.sequence
        if number == 0:
            number = stream.next_number
            if self.options.repeats_last and number > stream.first_number:
                number -= 1
        is_there = stream.first_number <= number <= stream.next_number
        if login.session not in ("", stream.name) or not is_there:
            self.refuse("S")
            return False
        self.stream, self.next_number, self.is_logged_on = stream, number, True
        self._has_heard = True
        self._queue(b"A", _ACCEPTED.pack(_right(stream.name, 10), _right(str(number), 20)))
        return True

    def refuse(self, reason: str) -> None:
        """Refuse the login (`A` not authorised, `S` no such session); the connection is to be closed."""
        self._queue(b"J", reason.encode("ascii"))
        self._end()

    def send(self, message: bytes) -> None:
        """Add a message to the stream; raises LocalProtocolError before the login, or for one that is too long."""
        if self.stream is None or not self.is_logged_on:
            raise LocalProtocolError("nobody is logged on")
        self.stream.append(message)

    def send_unsequenced(self, message: bytes) -> None:
        """Send a message that is not counted; some servers do."""
        if not self.is_logged_on:
            raise LocalProtocolError("nobody is logged on")
        self._queue(b"U", message)

    def mute(self, is_mute: bool = True) -> None:
        """Say nothing at all and mind no silence, as a peer that vanished (a simulator's fault); False ends it."""
        self._is_mute = is_mute
        self._has_heard = True  # as of now

    @property
    def backlog(self) -> int:
        """How many messages of the stream were not handed out yet."""
        return 0 if self.stream is None else self.stream.next_number - self.next_number

    @property
    def has_more(self) -> bool:
        """Tell whether the stream holds something that was not handed out yet."""
        stream = self.stream
        return self.is_logged_on and stream is not None and (self.next_number < stream.next_number or stream.is_ended)

    def data_to_send(self) -> bytes:
        """Return and forget what is to be sent; of a long stream only a part: see `has_more`."""
        if self._is_mute:
            self._out.clear()
            return b""
        stream = self.stream
        if self.has_more and not self.is_held and stream is not None and self.next_number >= stream.first_number:
            data, self.next_number = stream.packets(self.next_number, _AT_ONCE)
            self._out.append(data)
            if stream.is_ended and self.next_number >= stream.next_number:
                self._queue(b"Z")
                self._end()
        return super().data_to_send()

    def next_deadline(self) -> float | None:
        """See `Session`."""
        return None if self._is_mute else super().next_deadline()

    def next_event(self) -> Any | None:
        """See `Session`; while a login waits for its answer, what comes behind it does as well."""
        if self._login is not None and not self.is_logged_on:
            return None
        return super().next_event()

    def handle_timeout(self, now: float) -> None:
        """See `Session`; a client that the stream has left behind is let go as well."""
        if self._is_mute:
            return
        if self.is_logged_on and self.stream is not None and self.next_number < self.stream.first_number:
            raise self._broken("it reads too slowly: what comes next is not kept any more")
        super().handle_timeout(now)

    def _take(self, kind: bytes, payload: bytes) -> Any | None:
        if kind == b"L":
            if self._login is not None:
                raise self._broken("a second login on one connection")
            user, password, session, sequence = (_text(part) for part in _LOGIN.unpack(payload))
            if not sequence.isdecimal():
                raise self._broken(f"a login whose sequence is {sequence!r}")
            self._login = LoginRequested(user, password, session, int(sequence))
            return self._login
        if kind == b"O":
            self._end()
            return LoggedOut()
        if kind == b"U":
            if not self.is_logged_on:
                raise self._broken("a message before the login")
            return Unsequenced(payload)
        return None


class ClientSession(_Session):
    """The client's end; `next_number` is that of the next message, to ask for after a reconnect."""

    _incoming = _FROM_SERVER
    _heartbeat = b"R"

    def __init__(self, options: SoupOptions | None = None) -> None:
        super().__init__(options)
        self.session = ""
        self.next_number = 0
        self._has_asked = False

    def log_in(self, user: str, password: str, session: str = "", sequence: int = 1) -> None:
        """Ask to be let in: blank is the session that runs, number 1 its first message, 0 its present end."""
        if self._has_asked:
            raise LocalProtocolError("a second login on one connection")
        packed = _LOGIN.pack(
            _left(user, 6), _left(password, 10), _right(session, 10), _right(str(sequence), 20)
        )  # fmt: skip
        self._has_asked = True
        self._queue(b"L", packed)

    def log_out(self) -> None:
        """Leave; the server closes."""
        self._queue(b"O")

    def send(self, message: bytes) -> None:
        """Send a message; it may be lost with the connection.  Raises LocalProtocolError before the login."""
        if not self.is_logged_on:
            raise LocalProtocolError("not logged on")
        self._queue(b"U", message)

    def _take(self, kind: bytes, payload: bytes) -> Any | None:
        if kind == b"U":
            return Unsequenced(payload)
        if kind == b"S":
            if not self.is_logged_on:
                raise self._broken("a message before the login")
            number = self.next_number
            self.next_number = number + 1
            return Sequenced(number, payload)
        if kind == b"A":
            session, sequence = (_text(part) for part in _ACCEPTED.unpack(payload))
            if self.is_logged_on or not self._has_asked or not sequence.isdecimal():
                raise self._broken("a login was accepted that nobody asked for")
            self.session, self.next_number, self.is_logged_on = session, int(sequence), True
            return LoggedOn(session, int(sequence))
        if kind == b"J":
            self._end()
            return Refused(_text(payload))
        if kind == b"Z":
            self._end()
            return Ended()
        return None


def _packet(kind: bytes, message: bytes) -> bytes:
    if len(message) > _LONGEST:
        raise LocalProtocolError(f"a message of {len(message)} bytes does not fit into a packet")
    return _HEAD.pack(1 + len(message), kind) + message


def _text(field: bytes) -> str:
    return field.strip(_PADDING).decode("latin-1")


def _left(text: str, size: int) -> bytes:
    return _sized(text, size).ljust(size)


def _right(text: str, size: int) -> bytes:
    return _sized(text, size).rjust(size)


def _sized(text: str, size: int) -> bytes:
    if len(text) > size or not text.isascii():
        raise LocalProtocolError(f"{text!r} does not fit into {size} ASCII characters")
    return text.encode("ascii")
