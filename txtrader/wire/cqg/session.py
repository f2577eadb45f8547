"""Both ends of a CQG WebAPI connection, without I/O: one WebSocket message in, one out.

    client  logon or restore -> its result -> anything, until logged_off
    server  the same seen from the other side; the first message has to be one of the two

A `receive_data` is one whole WebSocket message, and so is what `data_to_send` returns; it is called until it returns
nothing.  Pings are answered here, at once; a message that held nothing else makes no event.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from google.protobuf.message import DecodeError

from txtrader.errors import LocalProtocolError, RemoteProtocolError
from txtrader.wire.cqg.schema import ClientMsg, ServerMsg, message_class
from txtrader.wire.cqg.values import BaseTime
from txtrader.wire.cqg.words import is_failure

__all__ = ["ClientSession", "MarketDataMsg", "ServerSession", "missing_fields", "parts", "redacted"]

_MOST_UNANSWERED = 2  # pings
_AT_ONCE = 0.0  # a deadline that has passed on every clock: the session is told the time and counts from there
_MARKET_DATA = ServerMsg.DESCRIPTOR.fields_by_name["real_time_market_data"].number << 3 | 2
MarketDataMsg = message_class("market_data_2.RealTimeMarketData")
_LOGONS = ("logon", "restore_or_join_session")
_RESULTS = {"logon": "logon_result", "restore_or_join_session": "restore_or_join_session_result"}
_SECRETS = frozenset(
    {
        "password",
        "old_password",
        "new_password",
        "one_time_password",
        "access_token",
        "partner_token",
        "session_token",
        "fingerprint",
    }
)
_FIRST_PARTS = (
    "logon_result",
    "restore_or_join_session_result",
    "concurrent_connection_join_results",
    "user_messages",
    "password_change_result",
    "set_collapsing_level_results",
    "information_reports",
    "trade_subscription_statuses",
    "order_request_rejects",
    "order_request_acks",
    "order_statuses",
    "position_statuses",
    "collateral_statuses",
    "account_summary_statuses",
    "trade_snapshot_completions",
)
_LAST_PARTS = frozenset({"logged_off"})  # what came with it is still to be taken


class _Session:
    """What both roles share: the queue of messages, pings and their answers, the end."""

    _incoming: Any

    def __init__(self, now_ns: Callable[[], int], ping_every: float | None) -> None:
        self._now_ns = now_ns
        self._ping_every = ping_every
        self._inbox: deque[bytes] = deque()
        self._outbox: deque[bytes] = deque()
        self._is_over = False
        self._violation: str | None = None
        self._deadline: float | None = None
        self._unanswered = 0
        self._pings = 0
        self.is_logged_on = False
        self.base_time: BaseTime | None = None
        self.peer_ahead = 0
        """Nanoseconds that the peer's clock is ahead of ours, to a millisecond or so; 0 while it is not known."""

    def receive_data(self, data: bytes) -> None:
        """Take one whole WebSocket message."""
        if self._violation is None:
            self._inbox.append(data)

    def receive_eof(self) -> None:
        """Take the end of the peer's messages."""
        self._is_over = True

    def next_event(self) -> Any | None:
        """Return the next message that holds more than pings, None when there is none; raises RemoteProtocolError."""
        inbox = self._inbox
        while inbox:
            event = self._read(inbox.popleft())
            if event is not None:
                return event
        return None

    def _read(self, data: bytes) -> Any | None:
        """Return what a message holds besides pings, None where that is nothing."""
        message = self._incoming()
        try:
            message.ParseFromString(data)
            self._check(message)
        except DecodeError:
            raise self._broken(f"{len(data)} bytes that are no {self._incoming.__name__}") from None
        except RemoteProtocolError as error:
            raise self._broken(error.message) from None
        return message if self._take_pings(message) else None

    def _broken(self, why: str) -> RemoteProtocolError:
        """Take nothing more: what follows a violation means nothing."""
        self._violation = why
        self._inbox.clear()
        return RemoteProtocolError(why)

    def data_to_send(self) -> bytes:
        """Return and forget the next message to send, b"" when there is none."""
        return self._outbox.popleft() if self._outbox else b""

    def next_deadline(self) -> float | None:
        """Return the second at which the next ping is due, 0 when the time is not known yet; None for no pings."""
        if self._ping_every is None or not self.is_logged_on:
            return None
        return 0.0 if self._deadline is None else self._deadline

    def handle_timeout(self, now: float) -> None:
        """Send a ping when it is due; raises RemoteProtocolError after two that were not answered."""
        if self._ping_every is None or not self.is_logged_on:
            return
        if self._deadline is None or self._deadline == _AT_ONCE:
            self._deadline = now + self._ping_every
        if now < self._deadline:
            return
        if self._unanswered >= _MOST_UNANSWERED:
            self._deadline = None
            raise RemoteProtocolError(f"no answer to {self._unanswered} pings")
        self._deadline = now + self._ping_every
        self._pings += 1
        self._unanswered += 1
        message = self._outgoing()
        message.ping.token = str(self._pings)
        message.ping.ping_utc_time = self._milliseconds()
        self._outbox.append(message.SerializeToString())

    @property
    def unanswered_pings(self) -> int:
        """How many pings the peer has not answered."""
        return self._unanswered

    def _outgoing(self) -> Any:
        raise NotImplementedError

    def _check(self, message: Any) -> None:
        """Hold a message against the sequence; raises RemoteProtocolError."""
        raise NotImplementedError

    def _compare_clocks(self, pong: Any) -> None:
        """Learn from a pong how far the peer's clock is ahead of ours."""
        if self.base_time is not None and pong.HasField("pong_utc_time"):
            middle = (self.base_time.ns(pong.ping_utc_time) + self._now_ns()) // 2
            self.peer_ahead = self.base_time.ns(pong.pong_utc_time) - middle

    def _milliseconds(self) -> int:
        assert self.base_time is not None
        return self.base_time.milliseconds(self._now_ns())

    def _take_pings(self, message: Any) -> bool:
        """Answer a ping and note a pong; tell whether the message holds anything else."""
        has_ping, has_pong = message.HasField("ping"), message.HasField("pong")
        if not has_ping and not has_pong:
            return True
        if has_pong:
            self._unanswered = 0
            self._compare_clocks(message.pong)
            message.ClearField("pong")
        if has_ping:
            if self.base_time is not None:
                answer = self._outgoing()
                if message.ping.HasField("token"):
                    answer.pong.token = message.ping.token
                answer.pong.ping_utc_time = message.ping.ping_utc_time
                answer.pong.pong_utc_time = self._milliseconds()
                self._outbox.append(answer.SerializeToString())
            message.ClearField("ping")
        return bool(message.ListFields())

    def _begin(self, result: Any) -> None:
        self.base_time = BaseTime(result.base_time)
        self.is_logged_on = True
        if self._ping_every is not None:
            self._deadline = _AT_ONCE

    def _end(self) -> None:
        self.is_logged_on = False
        self._deadline = None

    def _queue(self, message: Any) -> None:
        if self._is_over:
            raise LocalProtocolError("the connection is over")
        if not message.IsInitialized():
            raise LocalProtocolError(f"required fields are missing: {', '.join(message.FindInitializationErrors())}")
        self._outbox.append(message.SerializeToString())


class ClientSession(_Session):
    """The client's end: sends ClientMsg, yields ServerMsg; one that holds market data of one contract and nothing else
    is yielded as that (`MarketDataMsg`), since nearly all messages of a busy session are such.

    `now_ns` is the clock for pongs; pings leave every `ping_every` seconds once logged on, None for never.
    """

    _incoming = ServerMsg

    def __init__(self, now_ns: Callable[[], int], ping_every: float | None = 30.0) -> None:
        super().__init__(now_ns, ping_every)
        self._asked: str | None = None

    def send(self, message: Any) -> None:
        """Queue a ClientMsg; raises LocalProtocolError out of sequence or without required fields."""
        logons = [name for name in _LOGONS if message.HasField(name)]
        if not message.ListFields():
            raise LocalProtocolError("an empty message")
        if logons:
            if self._asked is not None:
                raise LocalProtocolError("a second logon on one connection")
            if len(message.ListFields()) > 1:
                raise LocalProtocolError("a logon stands alone in its message")
            self._asked = logons[0]
        elif not self.is_logged_on:
            raise LocalProtocolError("not logged on")
        self._queue(message)

    def _read(self, data: bytes) -> Any | None:
        if self.is_logged_on and len(data) > 2 and data[0] == _MARKET_DATA:
            size, start = data[1], 2
            if size > 127:
                size, start = (size & 127) | data[2] << 7, 3  # two bytes of varint; a third one fails the test
            if start + size == len(data):
                try:
                    return MarketDataMsg.FromString(data[start:])
                except DecodeError:
                    raise self._broken(f"{len(data)} bytes that are no ServerMsg") from None
        return super()._read(data)

    def _outgoing(self) -> Any:
        return ClientMsg()

    def _check(self, message: Any) -> None:
        for name in _RESULTS.values():
            if not message.HasField(name):
                continue
            result = getattr(message, name)
            if self.is_logged_on or self._asked is None or _RESULTS[self._asked] != name:
                raise RemoteProtocolError(f"{name} that was not asked for")
            if not is_failure(result.result_code):
                self._begin(result)
        if message.HasField("logged_off"):
            self._end()


class ServerSession(_Session):
    """The server's end: sends ServerMsg, yields ClientMsg.

    It knows that it is logged on by the result that it sends.  An error's text is fit for the UserMessage that tells
    the client why it is dropped.
    """

    _incoming = ClientMsg

    def __init__(self, now_ns: Callable[[], int], ping_every: float | None = None) -> None:
        super().__init__(now_ns, ping_every)
        self._has_asked = False

    def send(self, message: Any) -> None:
        """Queue a ServerMsg; raises LocalProtocolError without required fields."""
        for name in _RESULTS.values():
            if message.HasField(name):
                result = getattr(message, name)
                if not is_failure(result.result_code):
                    self._begin(result)
        if message.HasField("logged_off"):
            self._end()
        self._queue(message)

    def _outgoing(self) -> Any:
        return ServerMsg()

    def _check(self, message: Any) -> None:
        fields = [descriptor.name for descriptor, _ in message.ListFields()]
        if not fields:
            raise RemoteProtocolError("an empty message")
        is_logon = any(name in fields for name in _LOGONS)
        if not self._has_asked:
            if not is_logon:
                raise RemoteProtocolError("the first message has to be a logon or a restore")
            if len(fields) > 1:
                raise RemoteProtocolError("a logon stands alone in its message")
            self._has_asked = True
        elif is_logon:
            raise RemoteProtocolError("a second logon on one connection")
        elif not self.is_logged_on:
            raise RemoteProtocolError("not logged on")


def parts(message: Any) -> Iterator[tuple[str, Any]]:
    """Walk the parts of a ServerMsg in the sequence in which they are to be taken; repeated ones one by one.

    Session, then answers and states, then snapshot completions, then the rest; the end of the session last.
    """
    fields = {descriptor.name: value for descriptor, value in message.ListFields()}
    for name in _FIRST_PARTS:
        if name in fields:
            yield from _each(name, fields.pop(name))
    late = [name for name in fields if name in _LAST_PARTS]
    for name, value in fields.items():
        if name not in _LAST_PARTS:
            yield from _each(name, value)
    for name in late:
        yield from _each(name, fields[name])


def _each(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if hasattr(value, "DESCRIPTOR"):
        yield name, value
    else:
        for one in value:
            yield name, one


def missing_fields(message: Any) -> list[str]:
    """Return the paths of required fields that a received message lacks; its receiver refuses that one request."""
    return list(message.FindInitializationErrors())


def redacted(message: Any) -> str:
    """Write a message in one line for a log, without passwords and tokens."""
    return f"{message.DESCRIPTOR.name}{{{_text(message)}}}"


def _text(message: Any) -> str:
    words = []
    for descriptor, value in message.ListFields():
        name = descriptor.name
        # A repeated value is a sequence, and so are text and bytes, which are one value here.
        is_many = not isinstance(value, str | bytes) and not hasattr(value, "DESCRIPTOR") and hasattr(value, "__len__")
        values: Iterable[Any] = value if is_many else (value,)
        for one in values:
            if name in _SECRETS:
                words.append(f"{name}:***")
            elif hasattr(one, "DESCRIPTOR"):
                words.append(f"{name}{{{_text(one)}}}")
            else:
                words.append(f"{name}:{one!r}")
    return " ".join(words)
