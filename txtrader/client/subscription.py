"""The line protocol from the client's side, without I/O: login, numbered events without a gap, heartbeats.

    <- .connected: TWS Gateway
    -> auth alice ******** {"sequence":true,"heartbeat":10,"resume":{"order":{"epoch":"e5c1","seq":40,"tag":"9f31..."}}}
    <- .Authorized tws
    <- .sequences: {"order":{"epoch":"e5c1","seq":42,"tag":"07ce..."}}
    <- .resumed order: {"from":41,"to":42}
    <- tws.order.TX-7K2M-000040: {"id":...,"epoch":"e5c1","channel":"order","seq":41,"prev":40,"tag":...}

`Positions` outlive a connection: they hold the last (epoch, seq, tag) of each durable channel, and the next connection
resumes from them.  An event whose `prev` is not what came before proves a gap: it is asked for again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

from txtrader.client.events import EPHEMERAL, Line, parse_line
from txtrader.errors import BY_CODE, LocalProtocolError, RemoteProtocolError, Unauthenticated
from txtrader.wire.line import LineSession, MalformedLine

__all__ = ["LOGIN_TIMEOUT", "Positions", "Stage", "SubscriptionSession", "auth_line"]

LOGIN_TIMEOUT = 10.0
"""Seconds from the connection to `.Authorized`."""

MAX_LINE = 64 * 1024 * 1024  # a snapshot of all orders is one line
_SILENT_BEATS = 2.5  # heartbeats that may stay away before the link counts as dead

Positions = dict[str, dict[str, Any]]
"""The last event of each durable channel: {channel: {epoch, seq, tag}}."""


class Stage(Enum):
    """How far the conversation is."""

    GREETING = "waiting for the greeting"
    LOGIN = "waiting for the login's answer"
    OPEN = "open"
    CLOSED = "closed"


def auth_line(user: str, password: str, options: Mapping[str, Any] | str) -> str:
    """Write the login line; `options` is an object, or the words of 2015."""
    if any(c.isspace() for c in user + password) or not password.isprintable():
        raise LocalProtocolError("user and password hold no blanks on the line protocol")
    words = options if isinstance(options, str) else json.dumps(dict(options), separators=(",", ":"), default=str)
    return f"auth {user} {password} {words}".rstrip()


class SubscriptionSession:
    """One connection: bytes in, `Line`s out, as `txtrader.wire.session.Session` has it.

    `options` are those of the login without `resume`; `positions` are read for the login and kept up to date.
    `next_event` raises Unauthenticated when the login is refused, and what the gateway says of a wrong option.
    """

    def __init__(self, user: str, password: str, options: Mapping[str, Any] | str, positions: Positions) -> None:
        self.stage = Stage.GREETING
        self.greeting = ""
        self.mode = ""
        self._lines = LineSession(limit=MAX_LINE)
        self._positions = positions
        self._is_numbered = not isinstance(options, str) and bool(options.get("sequence"))
        if not isinstance(options, str) and self._is_numbered and positions:
            options = {**options, "resume": {channel: dict(place) for channel, place in positions.items()}}
        self._login = auth_line(user, password, options)
        beat = 0.0 if isinstance(options, str) else float(options.get("heartbeat") or 0)
        self._beat = beat
        self._last_said = 0.0
        self._asked: set[str] = set()  # channels with a `resume` on the way
        self._heard = True
        self._last_heard = 0.0

    @property
    def is_open(self) -> bool:
        """Tell whether the login was accepted."""
        return self.stage is Stage.OPEN

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the gateway."""
        self._heard = True
        self._lines.receive_data(data)

    def receive_eof(self) -> None:
        """Take the end of the gateway's bytes."""
        self._lines.receive_eof()

    def next_event(self) -> Line | None:
        """Return the next line that concerns the program; raises Unauthenticated, RemoteProtocolError."""
        while (text := self._lines.next_event()) is not None:
            if isinstance(text, MalformedLine):
                raise RemoteProtocolError(f"not the line protocol: {text.reason}")
            line = parse_line(text)
            if not self.is_open:
                self._log_in(line)
            elif self._is_numbered and not self._follows(line):
                continue
            return line
        return None

    def send(self, line: str) -> None:
        """Queue a command.  Raises LocalProtocolError before login, and for text that is not one line."""
        if not self.is_open:
            raise LocalProtocolError(f"cannot send: {self.stage.value}")
        if not line.isprintable():
            raise LocalProtocolError("a command is one line of printable text")
        self._lines.send(line)

    def data_to_send(self) -> bytes:
        """Return and forget the bytes to write now."""
        return self._lines.data_to_send()

    def next_deadline(self) -> float | None:
        """Return when silence, the gateway's or ours, must be judged; None for never."""
        limit = self._limit()
        if limit is None:
            return None
        return min(self._last_heard + limit, self._last_said + self._beat if self._is_beating else float("inf"))

    def handle_timeout(self, now: float) -> None:
        """Be told the time: say a word once a heartbeat; raises RemoteProtocolError when the gateway is too silent.

        A gateway with much to say sends no heartbeats, so ours do not wait for them.
        """
        if self._heard:
            self._heard = False
            # A login has one deadline from its beginning: a gateway that dribbles is no better than a silent one.
            if self.is_open or not self._last_heard:
                self._last_heard = now
            if not self.is_open:
                self._last_said = now
        limit = self._limit()
        if limit is not None and now - self._last_heard >= limit:
            raise RemoteProtocolError(f"the gateway is silent for {limit:g} s, {self.stage.value}")
        if self._is_beating and now - self._last_said >= self._beat:
            self._last_said = now
            self.send("pong")

    @property
    def _is_beating(self) -> bool:
        return self.is_open and self._beat > 0

    def _limit(self) -> float | None:
        if self.stage in (Stage.GREETING, Stage.LOGIN):
            return LOGIN_TIMEOUT
        return self._beat * _SILENT_BEATS or None

    def _log_in(self, line: Line) -> None:
        if line.raw.startswith(".Authorization required"):
            self.stage = Stage.CLOSED
            raise Unauthenticated("the gateway refused user and password")
        if line.is_reply and line.type == "error":
            self.stage = Stage.CLOSED
            raise BY_CODE.get(line.key or "", RemoteProtocolError)(f"login: {line.text}")
        if self.stage is Stage.GREETING and line.type == "connected":
            self.greeting = line.text
            self._lines.send(self._login)
            self.stage = Stage.LOGIN
        elif self.stage is Stage.LOGIN and line.type == "Authorized":
            self.mode = line.text
            self.stage = Stage.OPEN
            self._heard = True
        else:
            self.stage = Stage.CLOSED
            raise RemoteProtocolError(f"not a gateway: {line.raw[:80]!r}")

    def _follows(self, line: Line) -> bool:
        """Keep the positions; tell whether the line is to be delivered: no repeat, nothing missing before it."""
        payload = line.payload() if line.type not in EPHEMERAL else None
        if not isinstance(payload, dict):
            return True
        if line.is_reply:
            if line.type == "sequences":
                for channel, head in payload.items():
                    self._positions.setdefault(channel, _place(head))
            elif line.type == "resumed" and line.key:
                self._asked.discard(line.key)
            return True
        if line.type == "snapshot" and line.key and isinstance(payload.get("as_of"), dict):
            self._positions[line.key] = _place(payload["as_of"])
            self._asked.discard(line.key)
            return True
        channel, seq = payload.get("channel"), payload.get("seq")
        if not isinstance(channel, str) or not isinstance(seq, int):
            return True
        last = self._positions.get(channel)
        if last is not None and last["epoch"] == payload.get("epoch"):
            if seq <= last["seq"]:
                return False  # sent twice: by a resume of ours, and live
            prev = payload.get("prev")
            if isinstance(prev, int) and prev > last["seq"]:
                if channel not in self._asked:
                    self._asked.add(channel)
                    self.send(f"resume {last['epoch']} {channel} {last['seq']} {last['tag']}")
                return False
        self._positions[channel] = _place(payload)
        return True


def _place(found: Mapping[str, Any]) -> dict[str, Any]:
    return {"epoch": found.get("epoch"), "seq": found.get("seq"), "tag": found.get("tag")}
