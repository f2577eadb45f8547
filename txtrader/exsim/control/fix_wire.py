"""FIX under control: every message can be taken, changed, answered by hand, or sent wrong on purpose."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, succeed

from txtrader.errors import LocalProtocolError
from txtrader.exsim.control.fix_words import MECHANICS, fields_of, message_type, pairs_of, word_of
from txtrader.exsim.control.kinds import FLAG, SECONDS, TEXT, WHOLE, WORDS, choice, maybe
from txtrader.exsim.control.problems import ControlError
from txtrader.exsim.control.requests import Property
from txtrader.exsim.control.wires import Addressed, Link, Record, Watcher
from txtrader.exsim.endpoints.fix.endpoint import Application, FixConnection, FixEndpoint, FixOptions
from txtrader.exsim.endpoints.fix.trading import owner_of
from txtrader.exsim.latency import Latency
from txtrader.net.eager import write_eagerly
from txtrader.wire.fix.dictionary import Dictionary, dictionary
from txtrader.wire.fix.framing import encode, parse
from txtrader.wire.fix.message import Message
from txtrader.wire.fix.session import FixSession, Identity, SessionOptions
from txtrader.wire.fix.validation import Switches

__all__ = ["FIX_PROPERTIES", "VERSIONS", "FixWire"]


FIX_PROPERTIES = (
    Property("sender_comp_id", TEXT, "EXSIM", "our CompID, the TargetCompID of clients"),
    Property("target_comp_ids", maybe(WORDS), None, "who may log on; null: anybody"),
    Property("password", maybe(TEXT), None, "what each of them has to say in Password (554); null: nothing"),
    Property("check_latency", FLAG, True, "refuse messages whose SendingTime is off"),
    Property("max_latency", SECONDS, 120.0, "how far it may be off", "s"),
    Property("check_comp_id", FLAG, True, "refuse messages under other CompIDs than the logon's"),
    Property("reset_on_logon", FLAG, False, "begin each logon at number 1"),
    Property("resend_orders", FLAG, True, "answer a resend request with the messages, not with a gap fill"),
    Property("logon_timeout", SECONDS, 10.0, "how long a connection may say nothing before its logon", "s"),
    Property("logout_timeout", SECONDS, 2.0, "how long the answer to a logout may take", "s"),
    Property("validate", FLAG, True, "hold messages against the dictionary"),
    Property("check_field_order", FLAG, True, "refuse fields of the header behind those of the body"),
    Property("check_values", FLAG, True, "refuse fields without a value"),
    Property("check_user_defined", FLAG, True, "refuse user-defined fields that no dictionary knows"),
    Property("check_unknown", FLAG, True, "refuse fields that this message does not have"),
    Property("max_message", WHOLE, 65536, "the longest message", "bytes"),
    Property("role", choice(("all", "orders", "data", "drop_copy")), "all", "what clients may do here", is_fixed=True),
    Property(
        "copies_of",
        maybe(WORDS),
        None,
        "whose reports a drop copy carries: owners, as orders show them; null: all",
        is_fixed=True,
    ),
    Property("mechanics", choice(("auto", "manual")), "auto", "manual: no logon, heartbeat or number is answered"),
)
"""What a FIX endpoint can be set to; it holds for sessions made from then on."""

VERSIONS = {"fix42": ("FIX.4.2",), "fix44": ("FIX.4.4",), "fix50": ("FIXT.1.1",), "fix": ()}
"""The protocols by name, and the BeginStrings that each takes; none is all."""


def options_of(values: Mapping[str, Any], versions: tuple[str, ...]) -> FixOptions:
    """Return the endpoint's options for a set of properties."""
    targets: dict[str, dict[str, str | None]] = {}
    if values["target_comp_ids"] is not None:
        known = dict.fromkeys(values["target_comp_ids"], values["password"])
        targets = dict.fromkeys(versions or ("FIX.4.2", "FIX.4.4", "FIXT.1.1"), known)
    return FixOptions(
        sender=values["sender_comp_id"],
        versions=versions,
        targets=targets,
        session=SessionOptions(
            checks_time=values["check_latency"],
            time_limit=values["max_latency"],
            checks_identity=values["check_comp_id"],
            resets_on_logon=values["reset_on_logon"],
            repeats_orders=values["resend_orders"],
            logon_timeout=values["logon_timeout"],
            logout_timeout=values["logout_timeout"],
            most=values["max_message"],
            switches=Switches(
                validates=values["validate"],
                has_order=values["check_field_order"],
                has_values=values["check_values"],
                checks_user_defined=values["check_user_defined"],
                checks_unknown=values["check_unknown"],
            ),
        ),
    )


class ManualSession(FixSession):
    """A session without mechanics: every message comes up as it is, and nothing is answered."""

    def _frame(self, text: str | None) -> None:
        self._has_heard = True
        if text is None:
            return
        known = self.dictionary or self._dictionary_of(text)
        message = None if known is None else parse(text, known)
        if message is None or known is None:
            return
        if self.identity is None:
            self.dictionary = known
            self.identity = Identity(message[8], message.get(56, "") or "", message.get(49, "") or "")
            self.is_logged_on = True
        self._events.append(message)

    def handle_timeout(self, now: float) -> None:
        self._clock = now

    def next_deadline(self) -> float | None:
        return None


class FixLink:
    """One client of a FIX endpoint."""

    def __init__(self, wire: FixWire, connection: FixConnection) -> None:
        self._wire = wire
        self.connection = connection

    @property
    def peer(self) -> str:
        transport: Any = self.connection.pump.transport
        if transport is None:
            return ""
        address = transport.getPeer()
        return f"{address.host}:{address.port}"

    @property
    def who(self) -> str:
        identity = self.connection.identity
        return "" if identity is None else identity.target

    @property
    def owner(self) -> str:
        identity = self.connection.identity
        return "" if identity is None else owner_of(identity)

    @property
    def is_open(self) -> bool:
        return self.connection in self._wire.endpoint.connections

    @property
    def why(self) -> str:
        return self.connection.why

    def describe(self) -> dict[str, Any]:
        connection = self.connection
        session, identity = connection.session, connection.identity
        shown: dict[str, Any] = {
            "state": "logged-on" if session.is_logged_on else "connected" if self.is_open else "gone",
            "identity": None,
        }
        if identity is not None:
            shown["identity"] = {
                "begin_string": identity.begin_string,
                "sender": identity.sender,
                "target": identity.target,
            }
            shown["expected"] = session.store.expected
            shown["next"] = session.store.next_number
        return shown

    def admit(self) -> None:
        self.connection.pump.resume()

    def freeze(self, is_frozen: bool) -> None:
        (self.connection.pump.pause if is_frozen else self.connection.pump.resume)()

    def set_latency(self, name: str, model: Latency) -> None:
        self.connection.pump.set_latency(**{name: model})

    def _known(self) -> Dictionary:
        known = self.connection.session.dictionary
        if known is None:
            return dictionary(self._wire.begin_string)
        return known

    def send(self, record: Record, *, is_raw: bool) -> tuple[bytes, int | None]:
        session = self.connection.session
        if not self.is_open:
            raise ControlError("closed", "the connection is gone", "session")
        known = self._known()
        type = message_type(record.type, known)
        pairs = pairs_of(record.fields, known)
        if is_raw:
            data, number = self._frame(type, pairs, known)
            self.send_bytes(data)
            return data, number
        if not session.is_logged_on:
            raise ControlError("wrong-state", "the client is not logged on", "session")
        if (fault := _unknown_field(type, pairs, known)) is not None:
            raise ControlError("invalid-argument", f"{type} has no field {fault}", fault)
        number = session.store.next_number
        message = Message(type, [pair for pair in pairs if pair[0] not in MECHANICS])
        written: list[bytes] = []
        spoil = session.spoil
        session.spoil = lambda data: _noted(written, data if spoil is None else spoil(data))
        try:
            session.send(message)
        except LocalProtocolError as error:
            raise ControlError("invalid-argument", str(error), "message") from None
        finally:
            session.spoil = spoil
        self.connection.pump.flush()
        return b"".join(written), number

    def _frame(self, type: str, pairs: list[tuple[int, str]], known: Dictionary) -> tuple[bytes, int | None]:
        """Write a frame in which what was given stands as it was given; the rest is as it should be."""
        session, identity = self.connection.session, self.connection.identity
        given = dict(reversed(pairs))
        begin = given.get(8, identity.begin_string if identity is not None else self._wire.begin_string)
        number: int | None = None
        if 34 not in given:
            number = session.store.next_number
        header = {
            34: str(number),
            49: identity.sender if identity is not None else self._wire.endpoint.options.sender,
            52: session.stamp(),
            56: identity.target if identity is not None else "CLIENT",
        }
        fields = [(35, given.get(35, type)), *[(tag, given.get(tag, text)) for tag, text in header.items()]]
        fields += [pair for pair in pairs if pair[0] not in MECHANICS]
        data = encode(begin, fields)
        if number is not None:
            session.store.keep(number, data[: data.rindex(b"\x0110=")].decode("latin-1"))
        if 9 in given:
            length = data[data.index(b"\x019=") + 3 : data.index(b"\x0135=")]
            data = data.replace(b"\x019=" + length, b"\x019=" + given[9].encode(), 1)
            data = data[: data.rindex(b"10=")] + b"10=%03d\x01" % (sum(data[: data.rindex(b"10=")]) & 255)
        if 10 in given:
            data = data[: data.rindex(b"10=")] + b"10=%b\x01" % given[10].encode()
        return data, number

    def send_bytes(self, data: bytes) -> None:
        if not self.is_open:
            raise ControlError("closed", "the connection is gone", "session")
        pump = self.connection.pump
        if pump.outbound is not None:
            pump.outbound.write(data)
        else:
            write_eagerly(pump.transport, data)

    def close(self, how: str) -> None:
        connection = self.connection
        if how == "logout":
            if not connection.session.is_logged_on:
                raise ControlError("wrong-state", "the client is not logged on", "how")
            connection.log_out()
        elif how == "close":
            connection.pump.close()
        elif how == "abort":
            connection.drop()
        else:
            handle = connection.pump.transport
            handle.getHandle().shutdown(socket.SHUT_WR)  # type: ignore[union-attr]  # a TCP transport


def _noted(written: list[bytes], data: bytes) -> bytes:
    written.append(data)
    return data


def _unknown_field(type: str, pairs: list[tuple[int, str]], known: Dictionary) -> str | None:
    """Return the first field that no dictionary knows at all."""
    for tag, _ in pairs:
        if not known.knows(tag, type):
            return str(tag)
    return None


class FixWire:
    """One FIX endpoint under control; see `Wire`."""

    def __init__(
        self,
        application: Application,
        reactor: Any,
        now_ns: Callable[[], int],
        watcher: Watcher,
        *,
        protocol: str,
        port: int,
        interface: str,
        values: Mapping[str, Any],
    ) -> None:
        self._versions = VERSIONS[protocol]
        self.begin_string = self._versions[0] if self._versions else "FIX.4.4"
        self._now_ns = now_ns
        self._watcher = watcher
        options = options_of(values, self._versions)
        self.endpoint = FixEndpoint(application, reactor, now_ns, port=port, interface=interface, options=options)
        self.endpoint.overseer = self
        self.change(values)
        self._links: dict[FixConnection, FixLink] = {}
        self._kept: list[Addressed] | None = None
        self.port = port

    def start(self) -> Deferred[int]:
        return self.endpoint.start().addCallback(self._started)

    def _started(self, port: int) -> int:
        self.port = port
        return port

    def stop(self) -> Deferred[None]:
        return self.endpoint.stop()

    def pause(self, how: str | None) -> Deferred[None]:
        if how == "silent":
            self.endpoint.go_silent()
            return succeed(None)
        if how is None and self.endpoint.is_silent:
            self.endpoint.go_silent(False)
        return self.endpoint.refuse(how == "refuse")

    def change(self, values: Mapping[str, Any]) -> None:
        self.endpoint.options = options_of(values, self._versions)
        self.endpoint.make_session = ManualSession if values["mechanics"] == "manual" else FixSession

    # -- what the endpoint tells

    def connected(self, connection: FixConnection) -> None:
        link = self._links[connection] = FixLink(self, connection)
        if self._watcher.connected(link):
            connection.pump.pause()

    def received(self, connection: FixConnection, event: Message) -> bool:
        return self._watcher.received(self._links[connection], self._record(event, is_ours=False))

    def logged_on(self, connection: FixConnection) -> None:
        self._watcher.changed(self._links[connection], "up")

    def sending(self, identity: Identity | None, message: Message) -> bool:
        if self._kept is None or identity is None:
            return False
        record = self._record(message, is_ours=True, begin_string=identity.begin_string)
        self._kept.append(Addressed(identity.target, record))
        return True

    def lost(self, connection: FixConnection) -> None:
        self._watcher.lost(self._links.pop(connection))

    # -- messages

    def _record(self, message: Message, *, is_ours: bool, begin_string: str | None = None) -> Record:
        begin = begin_string or message.get(8) or self.begin_string
        known = dictionary(begin)
        fields = fields_of(message.fields if not is_ours else [(35, message.type), *message.fields], known)
        raw = b""
        if not is_ours:
            raw = encode(begin, [pair for pair in message.fields if pair[0] != 8])
        return Record(
            type=word_of(message.type, message.index, is_ours=is_ours),
            fields=fields,
            raw=raw,
            time=self._now_ns(),
            sequence=message.number(34) if not is_ours else None,
            native=message,
        )

    def process(self, link: Link, record: Record) -> list[Addressed]:
        assert isinstance(link, FixLink)
        connection = link.connection
        if connection.identity is None:
            raise ControlError("wrong-state", "the client has not logged on", "message")
        begin = connection.identity.begin_string
        known = dictionary(begin)
        pairs = pairs_of(record.fields, known)
        type = message_type(record.type, known)
        message = Message(type, [(8, begin), (35, type), *[pair for pair in pairs if pair[0] not in (8, 9, 10, 35)]])
        kept: list[Addressed] = []
        self._kept = kept
        try:
            connection.process(message)
        finally:
            self._kept = None
        return kept
