"""How the simulated CQG server answers a logon, and a restore or join; what fails also ends the connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from txtrader.wire.cqg.schema import ServerMsg
from txtrader.wire.cqg.session import missing_fields
from txtrader.wire.cqg.values import BaseTime
from txtrader.wire.cqg.words import LogoffReason, LogonCode, RestoreCode, SessionSetting

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.cqg.connection import CqgConnection
    from txtrader.exsim.endpoints.cqg.user_session import UserSession

__all__ = ["MAJOR", "MINOR", "answer_logon", "answer_restore", "refuse_other_logon"]

MAJOR, MINOR = 2, 230
"""The protocol version that the server states."""


def answer_logon(connection: CqgConnection, logon: Any) -> None:
    """Begin a session, or refuse; the endpoint's scripted failures come first."""
    endpoint = connection.endpoint
    if missing := missing_fields(logon):
        _refuse(connection, LogonCode.FAILURE, f"required fields are missing: {', '.join(missing)}")
        return
    if endpoint.logon_failures:
        _refuse(connection, *endpoint.logon_failures.popleft())
        return
    policies = endpoint.policies
    if policies is not None:
        refusal = policies.logon(connection, endpoint.face.owner_named(logon.user_name))
        if refusal is not None:
            _refuse(connection, LogonCode.FAILURE, refusal)
            return
    fault = _fault(connection, logon)
    if fault is not None:
        _refuse(connection, *fault)
        return
    settings = set(logon.session_settings)
    session = endpoint.new_session(
        logon.user_name, can_restore=SessionSetting.RESTORE in settings, can_join=SessionSetting.JOIN in settings
    )
    connection.app = f"{logon.private_label}/{logon.client_app_id}"
    connection.collapse(logon)
    message = ServerMsg()
    result = message.logon_result
    result.result_code = int(LogonCode.SUCCESS)
    result.session_token = session.token
    result.user_id = session.number
    if endpoint.options.inactivity_minutes is not None:
        result.inactivity_timeout = endpoint.options.inactivity_minutes
    _complete(result, session.base_time, endpoint.venue.now_ns())
    connection.begin(session, message)


def refuse_other_logon(connection: CqgConnection) -> None:
    """Refuse a logon in several steps, and the like."""
    _refuse(connection, LogonCode.FAILURE, "this kind of logon is not offered")


def _fault(connection: CqgConnection, logon: Any) -> tuple[LogonCode, str] | None:
    """Return why a logon fails."""
    endpoint, options = connection.endpoint, connection.endpoint.options
    if logon.HasField("access_token") or logon.HasField("partner_token"):
        return LogonCode.FAILURE, "tokens are not taken here"
    if not logon.user_name:
        return LogonCode.FAILURE, "no user name"
    if (options.user is not None and logon.user_name != options.user) or (
        options.password is not None and logon.password != options.password
    ):
        return LogonCode.FAILURE, "wrong user name or password"
    if logon.HasField("max_collapsing_level") and logon.HasField("market_data_bandwidth"):
        return LogonCode.FAILURE, "a collapsing level and a bandwidth exclude each other"
    other = endpoint.session_of(logon.user_name)
    keeps_other = logon.HasField("drop_concurrent_session") and not logon.drop_concurrent_session
    if other is not None and other.connections and keeps_other:
        return LogonCode.CONCURRENT_SESSION, "the user is logged on elsewhere"
    if endpoint.meters.is_over("logons", logon.user_name):
        return LogonCode.FAILURE, "too many logons today"
    return None


def _refuse(connection: CqgConnection, code: LogonCode, text: str, redirect_url: str = "") -> None:
    now = connection.endpoint.venue.now_ns()
    message = ServerMsg()
    result = message.logon_result
    result.result_code = int(code)
    result.text_message = text
    if redirect_url:
        result.redirect_url = redirect_url
    _complete(result, BaseTime.at(now), now)
    connection.send(message)
    connection.close()


def _complete(result: Any, base: BaseTime, now: int) -> None:
    result.base_time = base.text
    result.protocol_version_major = MAJOR
    result.protocol_version_minor = MINOR
    result.server_time = base.milliseconds(now)


def answer_restore(connection: CqgConnection, request: Any) -> None:
    """Give a session a new connection: alone (others are logged off), or where it allows joins beside them."""
    endpoint = connection.endpoint
    now = endpoint.venue.now_ns()
    session = endpoint.session_with(request.session_token)
    message = ServerMsg()
    result = message.restore_or_join_session_result
    if missing_fields(request) or not request.client_app_id:
        code, text = RestoreCode.INVALID_PARAMS, "a required field is missing"
    elif endpoint.restore_failures:
        code, text = endpoint.restore_failures.popleft()
    elif session is None:
        code, text = RestoreCode.UNKNOWN_SESSION, "no such session"
    elif session.can_join and len(session.connections) >= endpoint.options.most_joined:
        code, text = RestoreCode.ACCESS_DENIED, "too many connections"
    elif not (session.can_join or session.can_restore):
        code, text = RestoreCode.ACCESS_DENIED, "the session allows neither restore nor join"
    else:
        connection.collapse(request)
        connection.app = f"{request.private_label}/{request.client_app_id}"
        _restore(connection, session, message)
        return
    result.result_code = int(code)
    result.text_message = text
    result.base_time = BaseTime.at(now).text
    result.server_time = 0
    connection.send(message)
    connection.close()


def _restore(connection: CqgConnection, session: UserSession, message: Any) -> None:
    now = connection.endpoint.venue.now_ns()
    others = list(session.connections)
    if not session.can_join or not others:
        for other in others:
            other.log_off(LogoffReason.REASSIGNED, "the session was restored elsewhere")
        session.renew(now)
    result = message.restore_or_join_session_result
    result.result_code = int(RestoreCode.SUCCESS)
    result.base_time = session.base_time.text
    result.server_time = session.base_time.milliseconds(now)
    if connection.endpoint.options.inactivity_minutes is not None:
        result.inactivity_timeout = connection.endpoint.options.inactivity_minutes
    connection.begin(session, message)
    for other in others if session.can_join else ():
        notice = ServerMsg()
        notice.concurrent_connection_join_results.add(is_same_app_type=other.app == connection.app)
        other.send(notice)
