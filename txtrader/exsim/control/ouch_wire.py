"""OUCH over SoupBinTCP under control.  Answers go into a user's stream: they have a number, and can be replayed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from txtrader.errors import LocalProtocolError, RemoteProtocolError
from txtrader.exsim.control.kinds import FLAG, NAME, WORDS, choice, maybe
from txtrader.exsim.control.plain_wire import PlainLink, PlainWire
from txtrader.exsim.control.problems import ControlError
from txtrader.exsim.control.requests import Property
from txtrader.exsim.control.wires import Addressed, Link, Record, Watcher
from txtrader.exsim.endpoints.ouch import OuchEndpoint, OuchOptions
from txtrader.exsim.endpoints.ouch.endpoint import OuchConnection
from txtrader.exsim.endpoints.ouch.members import Member
from txtrader.exsim.endpoints.ouch.options import OuchUser
from txtrader.exsim.venue import Venue
from txtrader.wire.ouch.codec import BadAppendage, OuchMessage

__all__ = ["OUCH_PROPERTIES", "OUCH_VERSIONS", "OuchWire"]

OUCH_VERSIONS = {"ouch42": "4.2", "ouch50": "5.0"}
OUCH_PROPERTIES = (
    Property("users", maybe(WORDS), None, "who may log in; null: anybody", is_fixed=True),
    Property("password", maybe(NAME), None, "what each of them has to say; null: nothing", is_fixed=True),
    Property(
        "second_login", choice(("refuse", "replace")), "refuse", "what a second login of a user does", is_fixed=True
    ),
    Property("cancel_on_disconnect", FLAG, False, "a client that goes takes its orders along", is_fixed=True),
    Property("market_orders", FLAG, True, "immediate-or-cancel orders may be at the market", is_fixed=True),
    Property("grows", FLAG, False, "a Modify to a larger size is taken, with the loss of the place", is_fixed=True),
)

_WORDS = {
    "EnterOrder": "new", "ReplaceOrder": "mod", "CancelOrder": "cxl", "MassCancel": "cxl_all", "Accepted": "ack",
    "Rejected": "rej", "Executed": "exec", "Canceled": "cxl_ack", "Replaced": "mod_ack", "BrokenTrade": "bust",
}  # fmt: skip
_NAMES = {word: name for name, word in _WORDS.items()}


class _OuchLink(PlainLink):
    """One user's connection."""

    connection: OuchConnection

    @property
    def who(self) -> str:
        member = self.connection.member
        return "" if member is None else member.user

    @property
    def owner(self) -> str:
        member = self.connection.member
        return "" if member is None else member.owner

    def describe(self) -> dict[str, Any]:
        member = self.connection.member
        state = "logged-on" if member is not None else "connected"
        shown: dict[str, Any] = {
            "state": state if self.is_open else "gone",
            "identity": {"user": self.who} if self.who else None,
        }
        if member is not None:
            shown["next"] = self.connection.session.next_number
        return shown

    def send(self, record: Record, *, is_raw: bool) -> tuple[bytes, int | None]:
        self._check_open()
        member = self.connection.member
        if is_raw:
            raise ControlError("unsupported", "the stream numbers what is sent; send bytes instead", "raw")
        if member is None:
            raise ControlError("wrong-state", "the client is not logged in", "session")
        message = _message(record)
        try:
            data = self.connection.endpoint.codec.write(message)
        except LocalProtocolError as error:
            raise ControlError("invalid-argument", str(error), "message") from None
        number = self.connection.session.next_number
        member.tell(message)
        return data, number

    def close(self, how: str) -> None:
        if how == "logout":
            self.connection.log_out()
        else:
            super().close(how)

    def send_bytes(self, data: bytes) -> None:
        self._check_open()
        outbound = self.connection.pump.outbound
        assert outbound is not None
        outbound.write(data)


def _message(record: Record) -> OuchMessage:
    fields = {key: _whole(value) for key, value in record.fields.items()}
    tags = fields.pop("tags", None)
    return OuchMessage(_NAMES.get(record.type, record.type), fields, tags)


def _whole(value: Any) -> Any:
    """Return a number that came as an exact decimal as the integer that the wire has."""
    return int(value) if isinstance(value, Decimal) and value == value.to_integral_value() else value


class OuchWire(PlainWire):
    """An OUCH endpoint under control; see `Wire`."""

    endpoint: OuchEndpoint

    def __init__(
        self, venue: Venue, reactor: Any, now_ns: Callable[[], int], watcher: Watcher, values: Mapping[str, Any],
        *, protocol: str, **where: Any,
    ) -> None:  # fmt: skip
        super().__init__(now_ns, watcher)
        self.port = where["port"]
        users = {user: OuchUser(password=values["password"]) for user in values["users"] or ()}
        options = OuchOptions(
            version=OUCH_VERSIONS[protocol],
            users=users,
            replaces_login=values["second_login"] == "replace",
            cancel_on_disconnect=values["cancel_on_disconnect"],
            market_orders=values["market_orders"],
            grows=values["grows"],
        )
        self.endpoint = OuchEndpoint(venue, reactor, options=options, **where)
        self.endpoint.overseer = self

    def change(self, values: Mapping[str, Any]) -> None:
        """Nothing to do: all properties are given when the endpoint is made."""

    def pause(self, how: str | None) -> Any:
        if how == "silent" or (how is None and self.endpoint.is_silent):
            self.endpoint.go_silent(how == "silent")
        return self.endpoint.refuse(how == "refuse")

    def _link(self, connection: Any) -> Link:
        return _OuchLink(self, connection)

    def _record(self, connection: Any, message: Any, *, is_ours: bool) -> Record:
        raw = b""
        if isinstance(message, bytes):
            raw = message
            try:
                message = self.endpoint.codec.read_request(raw)
            except BadAppendage as error:
                message = error.sound
            except RemoteProtocolError:
                return Record(type="unreadable", fields={}, raw=raw, time=self._now_ns())
        fields = dict(message.fields)
        if message.tags is not None:
            fields["tags"] = dict(message.tags)
        return Record(type=_WORDS.get(message.name, message.name), fields=fields, raw=raw, time=self._now_ns())

    def sending(self, connection: Any, message: Any) -> bool:
        if self._kept is None:
            return False
        member: Member = connection  # what is said goes to a user, whether he is there or not
        self._kept.append(Addressed(member.user, self._record(member, message, is_ours=True)))
        return True

    def process(self, link: Link, record: Record) -> list[Addressed]:
        assert isinstance(link, _OuchLink)
        member = link.connection.member
        if member is None:
            raise ControlError("wrong-state", "the client is not logged in", "message")
        try:
            data = self.endpoint.codec.write(_message(record)) if record.type != "unreadable" else record.raw
        except LocalProtocolError as error:
            raise ControlError("invalid-argument", str(error), "message") from None
        kept: list[Addressed] = []
        self._kept = kept
        try:
            self.endpoint.trading.received(member, data)
        finally:
            self._kept = None
        return kept
