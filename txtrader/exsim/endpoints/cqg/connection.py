"""One client's connection: logon, restore and logoff, and the way of each request to its service."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.errors import LocalProtocolError, RemoteProtocolError
from txtrader.exsim.endpoints.cqg.backlog import Backlog, is_market_data
from txtrader.exsim.endpoints.cqg.history import History
from txtrader.exsim.endpoints.cqg.legacy import fill_legacy, take_legacy
from txtrader.exsim.endpoints.cqg.logons import answer_logon, answer_restore, refuse_other_logon
from txtrader.exsim.endpoints.cqg.market import MarketData
from txtrader.exsim.endpoints.cqg.order_requests import OrderRequests
from txtrader.exsim.endpoints.cqg.reference import Reference
from txtrader.exsim.endpoints.cqg.refusals import refusal_of
from txtrader.exsim.endpoints.cqg.service import Answer, Service
from txtrader.exsim.endpoints.cqg.trading import Trading
from txtrader.exsim.endpoints.delayed_pump import DelayedWebSocketPump
from txtrader.net.outbound import Outbound
from txtrader.net.websocket import WebSocketPump, server_pump
from txtrader.wire.cqg.schema import ServerMsg
from txtrader.wire.cqg.session import ServerSession, missing_fields, redacted
from txtrader.wire.cqg.words import CollapsingCode, CollapsingLevel, LogoffReason, MessageType, PasswordCode
from txtrader.wire.cqg.words import TransactionStatus as Step

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.cqg.endpoint import CqgEndpoint
    from txtrader.exsim.endpoints.cqg.user_session import UserSession

__all__ = ["CqgConnection", "Sent"]

_OTHER_LOGONS = frozenset({"logon_routine_client", "obtain_demo_credentials"})
_WITH_LEGACY = frozenset({"order_requests", "trade_subscriptions"})
_BINARY = 0x82  # the first byte of a whole binary WebSocket message


class _Session(ServerSession):
    """A server's session with the endpoint's faults: silence, and pongs that come late."""

    def __init__(self, connection: CqgConnection) -> None:
        endpoint = connection.endpoint
        super().__init__(endpoint.venue.now_ns, endpoint.options.ping_every)
        self._connection = connection

    def data_to_send(self) -> bytes:
        while data := super().data_to_send():
            if not self._connection.endpoint.is_silent:
                return data
        return b""

    def _check(self, message: Any) -> None:
        if not self._has_asked and any(message.HasField(name) for name in _OTHER_LOGONS):
            self._has_asked = True  # a logon of a kind that is answered, if only by a refusal
            return
        super()._check(message)

    def _take_pings(self, message: Any) -> bool:
        if message.HasField("ping") and self._connection.endpoint.pong_delay > 0:
            self._connection.pong_later(message.ping)
            message.ClearField("ping")
            return super()._take_pings(message) and bool(message.ListFields())
        return super()._take_pings(message)


class Sent:
    """A ServerMsg under the name that rules of faults go by: its first part, of orders with the step."""

    def __init__(self, message: Any) -> None:
        self.message = message
        fields = message.ListFields()
        self.name: str = fields[0][0].name if fields else ""
        if self.name == "order_statuses" and message.order_statuses[0].transaction_statuses:
            step = message.order_statuses[0].transaction_statuses[-1].status
            self.name = f"order_statuses.{Step(step).name}" if step in Step.__members__.values() else self.name


class CqgConnection:
    """A client of the simulated server, from its handshake to its end."""

    _log = Logger()

    def __init__(self, endpoint: CqgEndpoint) -> None:
        self.endpoint = endpoint
        self.user_session: UserSession | None = None
        self.is_legacy = False
        self.is_over = False
        self.has_bandwidth = False
        self.client_id = None  # clients have no number here; rules of faults are for all of them
        self.app = ""
        self.shown_lots: dict[tuple[str, int], set[int]] = {}
        self.backlog = Backlog(endpoint.reactor, endpoint.options.collapse_after, self._deliver, self._let_go)
        self.session = _Session(self)
        endpoint.made += 1
        options = endpoint.options
        name = f"{options.seed}|latency|cqg|{endpoint.made}"
        self.pump: WebSocketPump = server_pump(
            self.session,
            endpoint.reactor,
            on_event=self._take,
            on_lost=self._lost,
            on_violation=self._violated,
            attach=self._attach,
            make=partial(DelayedWebSocketPump, name=name, latencies=options),
        )
        self.market: MarketData | None = None
        self.trading: Trading | None = None
        self.reference: Reference | None = None
        self.history: History | None = None
        self._services: tuple[Service, ...] = ()
        self._answers: dict[str, Answer] = {}
        self._late: set[IDelayedCall] = set()

    # -- out

    def send(self, message: Any) -> None:
        """Send a ServerMsg, through the faults that are on, unless the connection is over."""
        if self.is_over:
            return
        overseer = self.endpoint.overseer
        if overseer is not None and overseer.sending(self, message):
            return
        faults = self.endpoint.faults
        if faults.is_quiet:
            self.deliver(Sent(message))
        else:
            faults.pass_on(self, Sent(message))

    def deliver(self, sent: Sent) -> None:
        """Send past the faults; market data may have to wait for a slow reader."""
        if is_market_data(sent.message):
            self.backlog.send(sent.message)
        else:
            self._deliver(sent.message)

    def _deliver(self, message: Any) -> None:
        if self.is_over or self.endpoint.is_silent or not self.pump.is_connected:
            return  # what came before its end is dealt with all the same, and nobody hears it
        if self.is_legacy and self.user_session is not None:
            fill_legacy(message, self.user_session.base_time)
        try:
            self.pump.send(message)
        except LocalProtocolError:
            # Our own bug: this message is lost, the venue that is telling its facts goes on.
            self._log.failure("sending {message}", message=redacted(message))
            return
        if self.endpoint.faults.counts_down():
            self.pump.flush()
            self.drop()

    def say(self, message: Any) -> None:
        """Send a ServerMsg that nobody withholds."""
        self._deliver(message)

    def send_raw(self, data: bytes) -> None:
        """Send a WebSocket message of bytes, wrong on purpose."""
        if not self.is_over and not self.endpoint.is_silent:
            self.pump.protocol.send_message(data)

    def warn(self, text: str, subject: str = "not supported") -> None:
        """Tell the client that nothing else will come."""
        self.tell_user(MessageType.WARNING, text, subject)

    def tell_user(self, kind: MessageType, text: str, subject: str = "") -> None:
        """Send a user message."""
        self.send(_user_message(kind, text, subject))

    def log_off(self, reason: LogoffReason, text: str = "", redirect_url: str = "") -> None:
        """End the session here, and close."""
        message = ServerMsg()
        message.logged_off.logoff_reason = int(reason)
        if text:
            message.logged_off.text_message = text
        if redirect_url:
            message.logged_off.redirect_url = redirect_url
        self.send(message)
        self.close()

    def break_off(self, text: str) -> None:
        """Tell the client what it did wrong, and close."""
        self.tell_user(MessageType.CRITICAL_ERROR, text, "connection closed")
        self.close()

    def close(self) -> None:
        """Close after what was sent."""
        self._end()
        self.is_over = True
        self.pump.close()

    def drop(self) -> None:
        """Cut the connection at once."""
        self._end()
        self.is_over = True
        self.pump.abort()

    def pong_later(self, ping: Any) -> None:
        """Answer a ping when the endpoint's delay is over."""
        message = ServerMsg()
        message.pong.ping_utc_time = ping.ping_utc_time
        if ping.HasField("token"):
            message.pong.token = ping.token

        def answer() -> None:
            self._late.discard(timer)
            if self.session.base_time is not None and not self.is_over:
                message.pong.pong_utc_time = self.session.base_time.milliseconds(self.endpoint.venue.now_ns())
                self.pump.send(message)

        timer = self.endpoint.reactor.callLater(self.endpoint.pong_delay, answer)
        self._late.add(timer)

    # -- in

    def _take(self, message: Any) -> None:
        if self.endpoint.is_deaf:
            return
        if self.user_session is None:
            self._take_logon(message)
            return
        if self.endpoint.meters.is_over("messages", self):
            self.break_off("too many messages: the limit for ten seconds was exceeded")
            return
        if self.endpoint.overseer is None or not self.endpoint.overseer.received(self, message):
            self.process(message)

    def process(self, message: Any) -> None:
        """Answer a message of a client that is logged on."""
        for descriptor, value in message.ListFields():
            for one in [value] if hasattr(value, "DESCRIPTOR") or isinstance(value, bytes) else value:
                if not self.is_over:
                    self._answer(descriptor.name, one)

    def _take_logon(self, message: Any) -> None:
        if message.HasField("logon"):
            self.is_legacy = message.logon.protocol_version_major < 2
            answer_logon(self, message.logon)
        elif message.HasField("restore_or_join_session"):
            self.is_legacy = message.restore_or_join_session.protocol_version_major < 2
            answer_restore(self, message.restore_or_join_session)
        else:
            refuse_other_logon(self)

    def _answer(self, name: str, request: Any) -> None:
        if name == "logoff":
            self.log_off(LogoffReason.BY_REQUEST)
            if self.user_session is not None and not self.user_session.connections:
                self.endpoint.end_session(self.user_session)
            return
        answer = self._answers.get(name)
        if answer is None:
            self.warn(f"{name} is not offered by this server")
            return
        missing = missing_fields(request)
        if missing and name != "information_requests":
            self._refuse(name, request, f"required fields are missing: {', '.join(missing)}")
            return
        try:
            if name in _WITH_LEGACY and self.user_session is not None:
                take_legacy(request, self.user_session.base_time)
            answer(request)
        except RemoteProtocolError as error:
            self._refuse(name, request, error.text)  # a number that is none
        except Exception:  # noqa: BLE001
            # Our bug or the venue's: the client is told that nothing comes.
            self._log.failure("answering {name}", name=name)
            self._refuse(name, request, "the server failed", is_ours=True)

    def _refuse(self, name: str, request: Any, text: str, *, is_ours: bool = False) -> None:
        message = refusal_of(name, request, text, is_ours=is_ours)
        if message is None:
            self.warn(f"{name}: {text}", "refused")
        else:
            self.send(message)

    # -- the session

    def begin(self, session: UserSession, message: Any) -> None:
        """Be a connection of the session from now on; `message` holds the result that says so."""
        self.user_session = session
        session.connections.append(self)
        self.market = MarketData(self)
        self.trading = Trading(self)
        self.reference = Reference(self)
        self.history = History(self)
        self._services = (self.market, self.trading, OrderRequests(self), self.reference, self.history)
        for service in self._services:
            self._answers.update(service.answers)
        self._answers["password_change"] = self._change_password
        self._answers["set_collapsing_level_request"] = self._set_collapsing
        self.endpoint.sessions += 1
        if self.endpoint.overseer is not None:
            self.endpoint.overseer.logged_on(self)
        self.send(message)

    def collapse(self, request: Any) -> None:
        """Take from a logon or a restore how much may be merged when the client reads slowly."""
        self.has_bandwidth = request.HasField("market_data_bandwidth")
        level = request.max_collapsing_level
        self.backlog.level = level if level in CollapsingLevel.__members__.values() else int(CollapsingLevel.NONE)

    def _change_password(self, request: Any) -> None:
        message = ServerMsg()
        known = self.endpoint.options.password
        if known is not None and request.old_password != known:
            message.password_change_result.result_code = int(PasswordCode.FAILURE)
            message.password_change_result.text_message = "wrong password"
        else:
            # Passwords are settings here: a client's test must not change what the next one logs on with.
            message.password_change_result.result_code = int(PasswordCode.SUCCESS)
        self.send(message)

    def _set_collapsing(self, request: Any) -> None:
        code, text = CollapsingCode.SUCCESS, ""
        if self.has_bandwidth:
            code, text = CollapsingCode.BANDWIDTH_IS_SET, "a bandwidth is set"
        elif request.max_collapsing_level not in CollapsingLevel.__members__.values():
            code, text = CollapsingCode.FAILURE, "no such level"
        else:
            self.backlog.level = int(request.max_collapsing_level)
        message = ServerMsg()
        result = message.set_collapsing_level_results.add(
            result_code=int(code), max_collapsing_level=self.backlog.level
        )
        if text:
            result.text_message.text = text
        self.send(message)

    # -- the end

    def _attach(self, transport: Any) -> Outbound:
        outbound = self.endpoint.pool.attach(transport, on_slow=self._last_words)
        self.backlog.outbound = lambda: outbound
        if self.endpoint.policies is not None:  # they act once the channel has its transport
            self.endpoint.reactor.callLater(0, self._connected)
        return outbound

    def _connected(self) -> None:
        if self.endpoint.policies is not None and self in self.endpoint.connections:
            self.endpoint.policies.connected(self)

    def _let_go(self) -> None:
        self.break_off("the client reads too slowly")

    def _last_words(self, reason: str) -> bytes:
        data: bytes = _user_message(MessageType.CRITICAL_ERROR, reason, "connection closed").SerializeToString()
        return bytes((_BINARY, len(data))) + data if len(data) < 126 else b""

    def _violated(self, error: RemoteProtocolError) -> None:
        self.tell_user(MessageType.CRITICAL_ERROR, error.text, "protocol violation")

    def _lost(self, failure: Failure) -> None:
        self._end()
        self.is_over = True
        self.endpoint.forget(self)

    def _end(self) -> None:
        services, self._services = self._services, ()
        for service in services:
            service.close()
        self.backlog.close()
        for timer in self._late:
            timer.cancel()
        self._late.clear()
        self._answers.clear()
        session = self.user_session
        if session is not None and self in session.connections:
            session.connections.remove(self)
            if not session.connections:
                self.endpoint.session_idle(session)


def _user_message(kind: MessageType, text: str, subject: str) -> Any:
    message = ServerMsg()
    notice = message.user_messages.add(message_type=int(kind), source="exsim", text=text)
    if subject:
        notice.subject = subject
    return message
