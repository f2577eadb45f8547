"""TWS and CQG under control: requests can be taken, answered by hand, or have their answers kept.

Messages keep the wire's own names, but for orders and cancels, which have the neutral words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from google.protobuf import json_format

from txtrader.errors import LocalProtocolError
from txtrader.exsim.control.kinds import FLAG, NAME, WHOLE, maybe
from txtrader.exsim.control.plain_wire import PlainLink, PlainWire
from txtrader.exsim.control.problems import ControlError
from txtrader.exsim.control.requests import Property
from txtrader.exsim.control.wires import Link, Record, Watcher
from txtrader.exsim.endpoints.cqg import CqgEndpoint, CqgOptions
from txtrader.exsim.endpoints.cqg.connection import CqgConnection
from txtrader.exsim.endpoints.tws import TwsEndpoint, TwsOptions
from txtrader.exsim.endpoints.tws.connection import TwsConnection
from txtrader.exsim.endpoints.tws.order_desk import owner_of
from txtrader.exsim.venue import Venue
from txtrader.wire.cqg.schema import ClientMsg, ServerMsg
from txtrader.wire.tws.framing import frame
from txtrader.wire.tws.message import Message
from txtrader.wire.tws.table import RESPONSES

__all__ = ["CQG_PROPERTIES", "TWS_PROPERTIES", "CqgWire", "TwsWire"]

TWS_PROPERTIES = (
    Property("max_version", WHOLE, TwsOptions().max_version, "the highest server version to agree on, 151 to 200"),
    Property("master_client_id", maybe(WHOLE), None, "the client that hears of everybody's orders"),
    Property("message_rate", maybe(WHOLE), None, "messages a second of one client; more is error 100"),
    Property("line_limit", WHOLE, 100, "market data lines of one client"),
    Property("has_live_data", FLAG, True, "false: delayed data alone"),
)
CQG_PROPERTIES = (
    Property("user", maybe(NAME), None, "who may log on; null: anybody"),
    Property("password", maybe(NAME), None, "what is checked at the logon; null: nothing"),
    Property("token_life", WHOLE, 300, "how long a session can be restored", "s"),
)

_WORDS = {
    "placeOrder": "new", "cancelOrder": "cxl", "reqGlobalCancel": "cxl_all", "openOrder": "status",
    "execDetails": "exec", "order_statuses": "exec",
}  # fmt: skip
_NAMES = {"new": "placeOrder", "cxl": "cancelOrder", "cxl_all": "reqGlobalCancel", "status": "openOrder",
          "exec": "execDetails"}  # fmt: skip
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")


class _TwsLink(PlainLink):
    """One API client."""

    connection: TwsConnection

    @property
    def who(self) -> str:
        client_id = self.connection.client_id
        return "" if client_id is None else str(client_id)

    @property
    def owner(self) -> str:
        client_id = self.connection.client_id
        return "" if client_id is None else owner_of(client_id)

    def describe(self) -> dict[str, Any]:
        connection = self.connection
        state = "logged-on" if connection.client_id is not None else "connected"
        return {
            "state": state if self.is_open else "gone",
            "identity": None if connection.client_id is None else {"client_id": connection.client_id},
            "version": connection.version,
        }

    def send(self, record: Record, *, is_raw: bool) -> tuple[bytes, int | None]:
        self._check_open()
        if is_raw:
            raise ControlError("unsupported", "TWS has no mechanics to override; send bytes instead", "raw")
        message = Message(_NAMES.get(record.type, record.type), record.fields)
        try:
            data = frame(RESPONSES.encode(message, self.connection.version))
        except LocalProtocolError:
            # Prices and sizes come as text over the control: what looks like a number is tried as one.
            message = Message(message.name, {key: _number(value) for key, value in record.fields.items()})
            try:
                data = frame(RESPONSES.encode(message, self.connection.version))
            except LocalProtocolError as error:
                raise ControlError("invalid-argument", str(error), "message") from None
        self.connection.deliver(message)
        return data, None

    def send_bytes(self, data: bytes) -> None:
        self._check_open()
        outbound = self.connection.pump.outbound
        assert outbound is not None
        outbound.write(data)


def _number(value: Any) -> Any:
    return Decimal(value) if isinstance(value, str) and _DECIMAL.fullmatch(value) else value


class _CqgLink(PlainLink):
    """One connection of a CQG user."""

    connection: CqgConnection

    @property
    def who(self) -> str:
        session = self.connection.user_session
        return "" if session is None else session.user

    @property
    def owner(self) -> str:
        session = self.connection.user_session
        return "" if session is None else f"cqg-{session.user}"

    def describe(self) -> dict[str, Any]:
        state = "logged-on" if self.connection.user_session is not None else "connected"
        return {
            "state": state if self.is_open else "gone",
            "identity": {"user": self.who} if self.who else None,
        }

    def send(self, record: Record, *, is_raw: bool) -> tuple[bytes, int | None]:
        self._check_open()
        if is_raw:
            raise ControlError("unsupported", "CQG has no mechanics to override; send bytes instead", "raw")
        message = _parsed(ServerMsg(), record.fields)
        self.connection.say(message)
        data: bytes = message.SerializeToString()
        return data, None

    def send_bytes(self, data: bytes) -> None:
        self._check_open()
        self.connection.send_raw(data)


def _parsed(message: Any, fields: Mapping[str, Any]) -> Any:
    """Fill a protobuf message from named fields.  Raises ControlError."""
    try:
        return json_format.ParseDict(dict(fields), message)
    except json_format.ParseError as error:
        raise ControlError("invalid-argument", str(error), "message") from None


class TwsWire(PlainWire):
    """A simulated TWS under control; see `Wire`."""

    def __init__(
        self, venue: Venue, reactor: Any, now_ns: Callable[[], int], watcher: Watcher, values: Mapping[str, Any],
        **where: Any,
    ) -> None:  # fmt: skip
        super().__init__(now_ns, watcher)
        self.port = where["port"]
        self.endpoint = TwsEndpoint(venue, reactor, options=TwsOptions(**values), **where)
        self.endpoint.overseer = self

    def change(self, values: Mapping[str, Any]) -> None:
        self.endpoint.options = TwsOptions(**values)

    def _link(self, connection: Any) -> Link:
        return _TwsLink(self, connection)

    def _record(self, connection: Any, message: Message, *, is_ours: bool) -> Record:
        raw = b"" if is_ours else frame(connection.session.last_body)
        return Record(
            type=_WORDS.get(message.name, message.name),
            fields=dict(message.fields),
            raw=raw,
            time=self._now_ns(),
            native=message,
        )

    def _native(self, record: Record) -> Message:
        known = record.native.fields if record.native is not None else {}
        fields = {
            key: Decimal(value) if isinstance(value, str) and isinstance(known.get(key), Decimal) else value
            for key, value in record.fields.items()
        }
        return Message(_NAMES.get(record.type, record.type), fields)


class CqgWire(PlainWire):
    """A simulated CQG WebAPI under control; see `Wire`.  What is held waits behind the WebSocket handshake."""

    def __init__(
        self, venue: Venue, reactor: Any, now_ns: Callable[[], int], watcher: Watcher, values: Mapping[str, Any],
        **where: Any,
    ) -> None:  # fmt: skip
        super().__init__(now_ns, watcher)
        self.port = where["port"]
        self.endpoint = CqgEndpoint(venue, reactor, options=CqgOptions(**values), **where)
        self.endpoint.overseer = self

    def change(self, values: Mapping[str, Any]) -> None:
        self.endpoint.options = CqgOptions(**values)

    def _link(self, connection: Any) -> Link:
        return _CqgLink(self, connection)

    def _record(self, connection: Any, message: Any, *, is_ours: bool) -> Record:
        parts = message.ListFields()
        name = parts[0][0].name if parts else ""
        kind = _WORDS.get(name, name)
        if name == "order_requests":
            request = message.order_requests[0]
            kind = {
                "new_order": "new",
                "cancel_order": "cxl",
                "modify_order": "mod",
                "cancel_all_orders": "cxl_all",
            }.get(request.ListFields()[-1][0].name, name)
        return Record(
            type=kind,
            fields=json_format.MessageToDict(message, preserving_proto_field_name=True),
            raw=message.SerializePartialToString(),
            time=self._now_ns(),
        )

    def _native(self, record: Record) -> Any:
        return _parsed(ClientMsg(), record.fields)
