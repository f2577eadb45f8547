"""Requests about sessions and messages: taking each by hand, having it processed, and sending what one likes."""

from __future__ import annotations

import base64
from typing import Any

from twisted.internet.defer import Deferred

from txtrader.exsim.control.kinds import (
    ANYTHING,
    BYTES,
    FLAG,
    MAPPING,
    NAME,
    SECONDS,
    TEXT,
    WHOLE,
    WORDS,
    choice,
    maybe,
)
from txtrader.exsim.control.problems import ControlError
from txtrader.exsim.control.requests import Property, arg, read_property, request
from txtrader.exsim.control.wires import Record
from txtrader.exsim.control.world import ClientSession, World
from txtrader.exsim.latency import latency_of

__all__ = ["SESSION_PROPERTIES", "SessionRoom"]

SESSION_PROPERTIES = {
    found.name: found
    for found in (
        Property("auto_receive", maybe(FLAG), None, "process what is received; null: as the endpoint"),
        Property("latency_in", maybe(MAPPING), None, "how long bytes are under way to us (docs/exsim-bots.md)"),
        Property("latency_out", maybe(MAPPING), None, "how long bytes are under way from us"),
        Property("computation", maybe(MAPPING), None, "how long each message is being dealt with"),
    )
}


class SessionRoom:
    """See the module."""

    def __init__(self, world: World) -> None:
        self._world = world

    # -- sessions

    @request(
        arg("endpoint", NAME),
        arg("session", NAME, "its name from now on"),
        arg("wait", SECONDS, "for how long one is waited for", default=5.0),
        result="peer",
    )
    def accept_session(self, endpoint: str, session: str, wait: float) -> Deferred[dict[str, Any]]:
        """Take the connection that has waited longest, and call it so; with auto_accept the oldest that nobody took."""
        world = self._world
        found = world.endpoint(endpoint)
        if session in world.sessions:
            raise ControlError("already-exists", f"there is a session {session} already", "session")

        def look() -> dict[str, Any] | None:
            for known in world.sessions_of(found):
                if not known.is_claimed and known.link.is_open:
                    del world.sessions[known.name]
                    known.name = session
                    world.sessions[session] = known
                    return self._claimed(known)
            if found.waiting:
                link = found.waiting.pop(0)
                accepted = found.accept(link, session)
                link.admit()
                return self._claimed(accepted)
            return None

        return world.when(
            look, wait, lambda: ControlError("timeout", f"nobody has connected to {endpoint} in {wait:g} s", "wait")
        )

    def _claimed(self, session: ClientSession) -> dict[str, Any]:
        session.is_claimed = True
        return {"peer": session.link.peer}

    @request(arg("endpoint", maybe(NAME), "null: of all", default=None), result="sessions")
    def list_sessions(self, endpoint: str | None) -> dict[str, Any]:
        """List sessions."""
        world = self._world
        sessions = world.sessions.values() if endpoint is None else world.sessions_of(world.endpoint(endpoint))
        return {"sessions": [self._shown(session) for session in sessions]}

    @request(arg("session", NAME), result="state, identity, numbers, queue length")
    def get_session(self, session: str) -> dict[str, Any]:
        """Tell everything about a session."""
        return self._shown(self._world.session(session))

    def _shown(self, session: ClientSession) -> dict[str, Any]:
        return {
            "name": session.name,
            "endpoint": session.endpoint.name,
            "peer": session.link.peer,
            "is_open": session.link.is_open,
            "queued": len(session.queue),
            "received": session.received,
            "sent": session.sent,
            "last_time": session.last_time,
            "properties": dict(session.properties),
            **session.link.describe(),
        }

    @request(arg("session", NAME), arg("property", NAME), arg("value", ANYTHING), result="old, new")
    def set_session_property(self, session: str, property: str, value: Any) -> dict[str, Any]:
        """Set a property of a session."""
        found = self._world.session(session)
        new = read_property(SESSION_PROPERTIES, property, value)
        old = found.properties.get(property)
        if property != "auto_receive":
            found.link.set_latency(property, latency_of(new))
        found.properties[property] = new
        return {"old": old, "new": new}

    @request(
        arg("session", NAME),
        arg("how", choice(("logout", "close", "abort", "half", "freeze")), default="logout"),
    )
    def close_session(self, session: str, how: str) -> dict[str, Any]:
        """End a session: by the protocol, by FIN, by RST, by sending no more; or freeze it: read no more."""
        found = self._open(session)
        if how == "freeze":
            found.is_frozen = True
            found.link.freeze(True)
        else:
            found.link.close(how)
        return {}

    @request(arg("session", NAME))
    def thaw_session(self, session: str) -> dict[str, Any]:
        """Read a frozen session again."""
        found = self._open(session)
        found.is_frozen = False
        found.link.freeze(False)
        return {}

    @request(arg("session", NAME))
    def delete_session(self, session: str) -> dict[str, Any]:
        """Close a session if it is open, and forget it with its queue."""
        found = self._world.session(session)
        if found.link.is_open:
            found.link.close("abort")
        del self._world.sessions[session]
        return {}

    def _open(self, name: str) -> ClientSession:
        session = self._world.session(name)
        if not session.link.is_open:
            raise ControlError("closed", f"session {name} is gone", "session")
        return session

    # -- what was received

    @request(
        arg("session", NAME),
        arg("message", NAME, "its name from now on"),
        arg("wait", SECONDS, "for how long one is waited for", default=5.0),
        arg("types", maybe(WORDS), "only these; null: all", default=None),
        result="type, fields, raw (base64), time, sequence",
    )
    def get_session_message(
        self, session: str, message: str, wait: float, types: tuple[str, ...] | None
    ) -> Deferred[dict[str, Any]]:
        """Take the oldest message out of the queue, and keep it under a name."""
        world = self._world
        found = world.session(session)
        if message in world.messages:
            raise ControlError("already-exists", f"there is a message {message} already", "message")

        def look() -> dict[str, Any] | None:
            record = found.take(types)
            if record is not None:
                world.keep_message(message, record, found.name)
                return shown(record)
            if not found.link.is_open:
                raise ControlError("closed", f"session {found.name} is gone, and nothing is left of it", "session")
            return None

        return world.when(
            look, wait, lambda: ControlError("timeout", f"no message has come from {session} in {wait:g} s", "wait")
        )

    @request(arg("session", NAME), arg("max", WHOLE, default=100), result="messages")
    def peek_session_messages(self, session: str, max: int) -> dict[str, Any]:
        """List the messages that wait, without taking them."""
        return {"messages": [shown(record) for record in list(self._world.session(session).queue)[: min(max, 1000)]]}

    @request(
        arg("engine", NAME),
        arg("message", NAME),
        arg("reply", NAME, "the name of the first answer; further ones are NAME.2, NAME.3 ..."),
        result="answers: name, session it is meant for, type",
    )
    def process_message(self, engine: str, message: str, reply: str) -> dict[str, Any]:
        """Hand a taken message to the engine as if it had just come; the answers, to anybody, are kept and not sent."""
        world = self._world
        found = world.engine(engine)
        record = world.message(message)
        session = world.sessions.get(world.owners.get(message, ""))
        if session is None:
            raise ControlError("wrong-state", f"message {message} came from no session that is known", "message")
        endpoint = session.endpoint
        if endpoint.engine is not found or endpoint.wire is None:
            raise ControlError("invalid-argument", f"message {message} did not come to engine {engine}", "engine")
        if reply in world.messages:
            raise ControlError("already-exists", f"there is a message {reply} already", "reply")
        answers = endpoint.wire.process(session.link, record)
        kept = []
        for place, answer in enumerate(answers, 1):
            name = reply if place == 1 else f"{reply}.{place}"
            owner = next(
                (one.name for one in world.sessions_of(endpoint) if one.link.who == answer.to and one.link.is_open), ""
            )
            world.messages.pop(name, None)
            world.keep_message(name, answer.record, owner)
            kept.append({"name": name, "session": owner or None, "to": answer.to, "type": answer.record.type})
        return {"answers": kept}

    # -- what is sent

    @request(
        arg("session", NAME),
        arg("message", NAME),
        arg("raw", FLAG, "let the fields given override number, length, checksum", default=False),
        result="bytes, sequence",
    )
    def send_session_message(self, session: str, message: str, raw: bool) -> dict[str, Any]:
        """Send a message; number, time and checksum are filled in."""
        found = self._open(session)
        record = self._world.message(message)
        data, number = found.link.send(record, is_raw=raw)
        found.sent += 1
        record.raw = data
        self._world.tape.write("out", found.name, record.type, data.decode("latin-1"))
        return {"bytes": len(data), "sequence": number}

    @request(arg("session", NAME), arg("bytes", BYTES))
    def send_session_bytes(self, session: str, bytes: bytes) -> dict[str, Any]:
        """Send anything at all."""
        found = self._open(session)
        found.link.send_bytes(bytes)
        self._world.tape.write("out", found.name, "bytes", bytes.decode("latin-1"))
        return {}

    # -- messages by hand

    @request(arg("message", NAME), arg("message_type", TEXT), arg("fields", MAPPING, default={}), result="type, fields")
    def create_message(self, message: str, message_type: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Make a message by hand."""
        self._world.keep_message(message, Record(type=message_type, fields=dict(fields), time=self._world.now_ns()))
        return shown(self._world.message(message))

    @request(
        arg("message", NAME), arg("name", TEXT), arg("value", ANYTHING, "null takes the field out"), result="old, new"
    )
    def set_message_property(self, message: str, name: str, value: Any) -> dict[str, Any]:
        """Change one field of a message; the name `type` is its type."""
        record = self._world.message(message)
        if name == "type":
            if not isinstance(value, str):
                raise ControlError("invalid-argument", "type: a text is expected", "value")
            old: Any = record.type
            record.type = value
        else:
            old = record.fields.get(name)
            if value is None:
                record.fields.pop(name, None)
            else:
                record.fields[name] = value
        return {"old": old, "new": value}

    @request(arg("message", NAME), result="type, fields, raw (base64), time, sequence")
    def get_message(self, message: str) -> dict[str, Any]:
        """Read a kept message."""
        return shown(self._world.message(message))

    @request(arg("message", NAME))
    def delete_message(self, message: str) -> dict[str, Any]:
        """Forget a message."""
        self._world.message(message)
        del self._world.messages[message]
        self._world.owners.pop(message, None)
        return {}


def shown(record: Record) -> dict[str, Any]:
    """Show a message."""
    return {
        "type": record.type,
        "fields": record.fields,
        "raw": base64.b64encode(record.raw).decode(),
        "time": record.time,
        "sequence": record.sequence,
    }
