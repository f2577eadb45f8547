"""TWS and CQG under control: requests can be taken, answered by hand, or have their answers kept.

Messages keep the wire's own names, but for orders and cancels, which have the neutral words.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from google.protobuf import json_format
from twisted.internet.defer import Deferred, succeed

from txtrader.errors import LocalProtocolError
from txtrader.exsim.control.kinds import FLAG, NAME, WHOLE, maybe
from txtrader.exsim.control.problems import ControlError
from txtrader.exsim.control.requests import Property
from txtrader.exsim.control.wires import Addressed, Link, Record, Watcher
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


class _Connected:
    """What the links of both wires share; `connection` has a pump."""

    def __init__(self, wire: Any, connection: Any) -> None:
        self._wire = wire
        self.connection = connection

    @property
    def peer(self) -> str:
        transport = self.connection.pump.transport
        if transport is None:
            return ""
        address = transport.getPeer()
        return f"{address.host}:{address.port}"

    @property
    def is_open(self) -> bool:
        return self.connection in self._wire.endpoint.connections

    def admit(self) -> None:
        self.connection.pump.resume()

    def freeze(self, is_frozen: bool) -> None:
        (self.connection.pump.pause if is_frozen else self.connection.pump.resume)()

    def close(self, how: str) -> None:
        if how == "logout":
            raise ControlError("unsupported", "this protocol has no logout that a server sends", "how")
        if how == "close":
            self.connection.close()
        elif how == "abort":
            self.connection.drop()
        else:
            self.connection.pump.transport.getHandle().shutdown(socket.SHUT_WR)

    def _check_open(self) -> None:
        if not self.is_open:
            raise ControlError("closed", "the connection is gone", "session")


class _TwsLink(_Connected):
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


class _CqgLink(_Connected):
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


class _BrokerWire:
    """What both wires share."""

    endpoint: Any
    port: int

    def __init__(self, now_ns: Callable[[], int], watcher: Watcher) -> None:
        self._now_ns = now_ns
        self._watcher = watcher
        self._links: dict[Any, Any] = {}
        self._kept: list[Addressed] | None = None

    def start(self) -> Deferred[int]:
        def started(port: int) -> int:
            self.port = port
            return port

        answer: Deferred[int] = self.endpoint.start()
        return answer.addCallback(started)

    def stop(self) -> Deferred[None]:
        answer: Deferred[None] = self.endpoint.stop()
        return answer

    def pause(self, how: str | None) -> Deferred[None]:
        if how == "silent":
            self.endpoint.is_deaf = self.endpoint.is_silent = True
            return succeed(None)
        if how is None:
            self.endpoint.is_deaf = self.endpoint.is_silent = False
        answer = self.endpoint.refuse(how == "refuse")
        return answer if isinstance(answer, Deferred) else succeed(None)

    # -- what the endpoint tells

    def _link(self, connection: Any) -> Link:
        raise NotImplementedError

    def _record(self, connection: Any, message: Any, *, is_ours: bool) -> Record:
        raise NotImplementedError

    def connected(self, connection: Any) -> None:
        link = self._links[connection] = self._link(connection)
        if self._watcher.connected(link):
            connection.pump.pause()

    def logged_on(self, connection: Any) -> None:
        self._watcher.changed(self._links[connection], "up")

    def received(self, connection: Any, message: Any) -> bool:
        return self._watcher.received(self._links[connection], self._record(connection, message, is_ours=False))

    def sending(self, connection: Any, message: Any) -> bool:
        if self._kept is None:
            return False
        link = self._links[connection]
        self._kept.append(Addressed(link.who, self._record(connection, message, is_ours=True)))
        return True

    def lost(self, connection: Any) -> None:
        self._watcher.lost(self._links.pop(connection))

    def process(self, link: Link, record: Record) -> list[Addressed]:
        assert isinstance(link, _Connected)
        kept: list[Addressed] = []
        self._kept = kept
        try:
            link.connection.process(self._native(record))
        finally:
            self._kept = None
        return kept

    def _native(self, record: Record) -> Any:
        raise NotImplementedError


class TwsWire(_BrokerWire):
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


class CqgWire(_BrokerWire):
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
