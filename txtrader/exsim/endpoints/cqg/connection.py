"""One client's connection: logon, restore and logoff, and the way of each request to its service."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.errors import LocalProtocolError, RemoteProtocolError
from txtrader.exsim.endpoints.cqg.history import History
from txtrader.exsim.endpoints.cqg.market import MarketData
from txtrader.exsim.endpoints.cqg.reference import Reference
from txtrader.exsim.endpoints.cqg.service import Answer, Service
from txtrader.exsim.endpoints.cqg.trading import Trading
from txtrader.net.websocket import WebSocketPump, server_pump
from txtrader.wire.cqg.schema import ServerMsg
from txtrader.wire.cqg.session import ServerSession, missing_fields, redacted
from txtrader.wire.cqg.values import BaseTime
from txtrader.wire.cqg.words import LogoffReason, LogonCode, MessageType, PasswordCode, RestoreCode, SessionSetting

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.cqg.endpoint import CqgEndpoint
    from txtrader.exsim.endpoints.cqg.user_session import UserSession

__all__ = ["CqgConnection"]

MAJOR, MINOR = 2, 230
_RATE_WINDOW = 10.0
_LOGONS = ("logon", "restore_or_join_session")
_UNANSWERABLE = {
    "volume_profile_requests",
    "non_timed_bar_requests",
    "rule_requests",
    "option_calculation_requests",
    "rfq_requests",
    "otc_requests",
}


class _Session(ServerSession):
    """A server's session that says nothing while the endpoint is silent, not even pongs."""

    def __init__(self, now_ns: Callable[[], int], ping_every: float | None, is_silent: Callable[[], bool]) -> None:
        super().__init__(now_ns, ping_every)
        self._is_silent = is_silent

    def data_to_send(self) -> bytes:
        while data := super().data_to_send():
            if not self._is_silent():
                return data
        return b""


class CqgConnection:
    """A client of the simulated server, from its handshake to its end."""

    _log = Logger()

    def __init__(self, endpoint: CqgEndpoint) -> None:
        self.endpoint = endpoint
        self.user_session: UserSession | None = None
        self.is_legacy = False
        self.is_over = False
        self.shown_lots: dict[tuple[str, int], set[int]] = {}
        self.session = _Session(endpoint.venue.now_ns, endpoint.options.ping_every, lambda: self.endpoint.is_silent)
        self.pump: WebSocketPump = server_pump(
            self.session,
            endpoint.reactor,
            on_event=self._take,
            on_lost=self._lost,
            on_violation=self._violated,
            attach=endpoint.pool.attach,
        )
        self._services: tuple[Service, ...] = ()
        self._answers: dict[str, Answer] = {}
        self._recent: deque[float] = deque()
        self.market: MarketData | None = None
        self.trading: Trading | None = None
        self._reference: Reference | None = None

    # -- out

    def send(self, message: Any) -> None:
        """Send a ServerMsg, unless the connection is over."""
        if self.is_over:
            return
        try:
            self.pump.send(message)
        except LocalProtocolError:
            # Our own bug: this message is lost, the venue that is telling its facts goes on.
            self._log.failure("sending {message}", message=redacted(message))

    def tell_user(self, kind: MessageType, text: str, subject: str = "") -> None:
        """Send a user message."""
        message = ServerMsg()
        notice = message.user_messages.add(message_type=int(kind), source="exsim", text=text)
        if subject:
            notice.subject = subject
        self.send(message)

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

    def rolled(self, root: str) -> None:
        """Tell a subscriber of a rolling symbol what it stands for now."""
        if self._reference is not None:
            self._reference.rolled(root)

    # -- in

    def _take(self, message: Any) -> None:
        if self.endpoint.is_deaf:
            return
        for name in _LOGONS:
            if message.HasField(name):
                getattr(self, f"_{name}")(getattr(message, name))
                return
        if self._is_too_fast():
            self.break_off("too many messages: the limit for ten seconds was exceeded")
            return
        for descriptor, value in message.ListFields():
            if self.is_over:
                return
            if hasattr(value, "DESCRIPTOR"):
                self._answer(descriptor.name, value)
            else:
                for one in value:
                    self._answer(descriptor.name, one)

    def _answer(self, name: str, request: Any) -> None:
        if name == "logoff":
            self.log_off(LogoffReason.BY_REQUEST)
            self.endpoint.end_session(self.user_session)
            return
        answer = self._answers.get(name)
        if answer is None:
            if name not in _UNANSWERABLE:
                self._log.info("{name} is not offered", name=name)
            self.tell_user(MessageType.WARNING, f"{name} is not offered by this server", "not supported")
            return
        if name != "information_requests" and (missing := missing_fields(request) if _is_message(request) else []):
            # Whoever asks has an id where the protocol gives it one; what has none is told as a user message.
            self.tell_user(MessageType.WARNING, f"{name}: required fields are missing: {', '.join(missing)}")
            return
        try:
            answer(request)
        except Exception:  # noqa: BLE001
            # Our bug or the venue's: the client is told that nothing comes.
            self._log.failure("answering {name}", name=name)
            self.tell_user(MessageType.WARNING, f"{name}: the server failed", "internal error")

    def _is_too_fast(self) -> bool:
        limit = self.endpoint.options.message_limit
        if limit is None:
            return False
        now = self.endpoint.reactor.seconds()
        self._recent.append(now)
        while self._recent[0] <= now - _RATE_WINDOW:
            self._recent.popleft()
        return len(self._recent) > limit

    # -- the session

    def _logon(self, logon: Any) -> None:
        self.is_legacy = logon.protocol_version_major < 2
        options = self.endpoint.options
        scripted = self.endpoint.logon_failures.popleft() if self.endpoint.logon_failures else None
        if missing := missing_fields(logon):
            self._refuse(LogonCode.FAILURE, f"required fields are missing: {', '.join(missing)}")
        elif scripted is not None:
            self._refuse(*scripted)
        elif logon.HasField("access_token") or logon.HasField("partner_token"):
            self._refuse(LogonCode.FAILURE, "tokens are not taken here")
        elif not logon.user_name:
            self._refuse(LogonCode.FAILURE, "no user name")
        elif (options.user is not None and logon.user_name != options.user) or (
            options.password is not None and logon.password != options.password
        ):
            self._refuse(LogonCode.FAILURE, "wrong user name or password")
        elif logon.HasField("max_collapsing_level") and logon.HasField("market_data_bandwidth"):
            self._refuse(LogonCode.FAILURE, "a collapsing level and a bandwidth exclude each other")
        else:
            other = self.endpoint.session_of(logon.user_name)
            keeps_other = logon.HasField("drop_concurrent_session") and not logon.drop_concurrent_session
            if other is not None and other.connections and keeps_other:
                self._refuse(LogonCode.CONCURRENT_SESSION, "the user is logged on elsewhere")
                return
            settings = set(logon.session_settings)
            session = self.endpoint.new_session(
                logon.user_name,
                can_restore=SessionSetting.RESTORE in settings,
                can_join=SessionSetting.JOIN in settings,
            )
            message = ServerMsg()
            result = message.logon_result
            result.result_code = int(LogonCode.SUCCESS)
            result.session_token = session.token
            result.user_id = session.number
            if options.inactivity_minutes is not None:
                result.inactivity_timeout = options.inactivity_minutes
            self._fill_result(result, session.base_time)
            self._begin(session, message)

    def _refuse(self, code: LogonCode, text: str, redirect_url: str = "") -> None:
        message = ServerMsg()
        result = message.logon_result
        result.result_code = int(code)
        result.text_message = text
        if redirect_url:
            result.redirect_url = redirect_url
        self._fill_result(result, BaseTime.at(self.endpoint.venue.now_ns()))
        self.send(message)
        self.close()

    def _fill_result(self, result: Any, base: BaseTime) -> None:
        result.base_time = base.text
        result.protocol_version_major = MAJOR
        result.protocol_version_minor = MINOR
        result.server_time = base.milliseconds(self.endpoint.venue.now_ns())

    def _restore_or_join_session(self, request: Any) -> None:
        self.is_legacy = request.protocol_version_major < 2
        session = self.endpoint.session_with(request.session_token)
        now = self.endpoint.venue.now_ns()
        message = ServerMsg()
        result = message.restore_or_join_session_result
        if missing_fields(request) or not request.client_app_id:
            code, text = RestoreCode.INVALID_PARAMS, "a required field is missing"
        elif session is None:
            code, text = RestoreCode.UNKNOWN_SESSION, "no such session"
        elif session.can_join and len(session.connections) >= self.endpoint.options.most_joined:
            code, text = RestoreCode.ACCESS_DENIED, "too many connections"
        elif not (session.can_join or session.can_restore):
            code, text = RestoreCode.ACCESS_DENIED, "the session allows neither restore nor join"
        else:
            others = list(session.connections)
            if not session.can_join or not others:
                for other in others:
                    other.log_off(LogoffReason.REASSIGNED, "the session was restored elsewhere")
                session.renew(now)
            result.result_code = int(RestoreCode.SUCCESS)
            result.base_time = session.base_time.text
            result.server_time = session.base_time.milliseconds(now)
            self._begin(session, message)
            if session.can_join:
                for other in others:
                    notice = ServerMsg()
                    notice.concurrent_connection_join_results.add(is_same_app_type=True)
                    other.send(notice)
            return
        result.result_code = int(code)
        result.text_message = text
        result.base_time = BaseTime.at(now).text
        result.server_time = 0
        self.send(message)
        self.close()

    def _begin(self, session: UserSession, message: Any) -> None:
        self.user_session = session
        session.connections.append(self)
        self.market = MarketData(self)
        self.trading = Trading(self)
        self._reference = Reference(self)
        self._services = (self.market, self.trading, self._reference, History(self))
        for service in self._services:
            self._answers.update(service.answers)
        self._answers["password_change"] = self._change_password
        self._answers["set_collapsing_level_request"] = self._set_collapsing
        self.endpoint.sessions += 1
        self.send(message)

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
        message = ServerMsg()
        message.set_collapsing_level_results.add(result_code=0, max_collapsing_level=request.max_collapsing_level)
        self.send(message)

    # -- the end

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
        self._answers.clear()
        session = self.user_session
        if session is not None and self in session.connections:
            session.connections.remove(self)
            if not session.connections:
                self.endpoint.session_idle(session)


def _is_message(value: Any) -> bool:
    return hasattr(value, "DESCRIPTOR")
