"""One connection to CQG: logon or restore, questions and their answers, contracts, pace.

    open -> logon or restore -> result: logged on, base time known -> anything -> logged_off or loss

Contract ids live here and nowhere else: they are handles of this session.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.adapters.cqg_options import CqgOptions
from txtrader.dialects.cqg.contracts import Contract, contract_of
from txtrader.errors import BrokerError, BrokerUnavailable, RemoteProtocolError, TxTraderError
from txtrader.net.pacing import Pacer, Priority, Queued
from txtrader.net.pending import PendingQuestion
from txtrader.net.websocket import WebSocketLimits, WebSocketPump, client_pump
from txtrader.wire.cqg.schema import ClientMsg
from txtrader.wire.cqg.session import ClientSession, MarketDataMsg, parts, redacted
from txtrader.wire.cqg.values import BaseTime
from txtrader.wire.cqg.words import (
    BarRequest,
    BarStatus,
    InfoStatus,
    LogoffReason,
    LogonCode,
    RestoreCode,
    SessionSetting,
    TicksCode,
    TicksRequest,
    TradeStatus,
    is_failure,
    word_of,
)

__all__ = ["Connection", "Listener", "text_of"]

MAJOR, MINOR = 2, 230
_CLIENT_VERSION = "txtrader"
# What CQG allows, with a little less taken: requests for information in any 100 s, and for history under way at once.
_INFORMATION_RATE, _INFORMATION_WINDOW = 9.5, 100.0
_MOST_HISTORIES = 9
_HISTORY_REPORTS = {"time_bar_reports": BarStatus, "time_and_sales_reports": TicksCode}
_DISCONNECTED = int(InfoStatus.DISCONNECTED)  # the same number for information, bars and ticks


class Listener(Protocol):
    """Who hears what becomes of a connection."""

    def logged_on(self, connection: Connection, *, is_restored: bool) -> None: ...

    def fell_silent(self, connection: Connection) -> None: ...

    def lost(self, connection: Connection, failure: Failure) -> None: ...

    def market_data(self, data: Any) -> None:
        """Take market data of one contract."""

    def received(self, connection: Connection, name: str, part: Any) -> None:
        """Take a part of a ServerMsg that answers no question; `name` is its field."""


def text_of(part: Any, kind: Any = None, code: int | None = None) -> str:
    """Return the text that goes with a code: its details, its message, else its word."""
    names = part.DESCRIPTOR.fields_by_name
    if "details" in names and part.HasField("details") and part.details.text:
        return str(part.details.text)
    if "text_message" in names:
        text = part.text_message
        text = text.text if hasattr(text, "text") else text
        if text:
            return str(text)
    return word_of(kind, code) if kind is not None and code is not None else "no reason given"


class Connection:
    """See the module.  `token` restores a session, None logs on anew."""

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        listener: Listener,
        options: CqgOptions,
        *,
        now_ns: Callable[[], int],
        token: str | None = None,
    ) -> None:
        self._clock = reactor
        self._listener = listener
        self._options = options
        self._token = token
        self.token: str | None = token
        self.refusal: tuple[int, str] | None = None
        self.was_restore_refused = False
        self.logged_off: tuple[int, str] | None = None
        self.redirect_url: str | None = None
        self.is_ready = False
        # Two pings without an answer end the link at the third's turn: that is within two heartbeats of the last word.
        self.session = ClientSession(now_ns, options.heartbeat * 2 / 3)
        self.pump: WebSocketPump = client_pump(
            self.session,
            reactor,
            url=options.url,
            on_event=self._message,
            on_lost=self._lost,
            on_open=self._opened,
            on_violation=self._violated,
            limits=WebSocketLimits(handshake=options.handshake),
        )
        self.pacer = Pacer(reactor, options.message_rate)
        self._information = Pacer(reactor, _INFORMATION_RATE, _INFORMATION_WINDOW)
        self._late_histories: deque[tuple[PendingQuestion[Any], Any, float]] = deque()
        self._histories: set[PendingQuestion[Any]] = set()  # those under way
        self._market_data = listener.market_data
        self._contracts: dict[int, Contract] = {}
        self._numbers = 0
        self._questions: dict[tuple[str, int], PendingQuestion[Any]] = {}
        self._news: dict[int, Callable[[Any], None]] = {}
        self._beat: IDelayedCall | None = None

    # -- numbers and contracts

    @property
    def base_time(self) -> BaseTime:
        """The session's base time.  Raises BrokerUnavailable before the logon."""
        if self.session.base_time is None:
            raise BrokerUnavailable("not logged on to CQG yet")
        return self.session.base_time

    def next_number(self) -> int:
        """Return a request id that was never used on this connection."""
        self._numbers += 1
        return self._numbers

    def contract(self, contract_id: int) -> Contract | None:
        """Return what is known of a contract id."""
        return self._contracts.get(contract_id)

    def learn(self, metadata: Any) -> Contract:
        """Take contract metadata; what is known of an id is replaced by it."""
        contract = contract_of(metadata, self.base_time)
        self._contracts[contract.contract_id] = contract
        return contract

    # -- out

    def post(self, message: Any, priority: Priority = Priority.DATA) -> Queued:
        """Send a ClientMsg when its turn comes.  Raises BrokerUnavailable, Throttled."""
        if not self.is_ready:
            raise BrokerUnavailable("not logged on to CQG")

        def send() -> None:
            if self._options.logs_messages:
                self._log.info("-> {text}", text=redacted(message))
            self.pump.send(message)

        return self.pacer.submit(priority, send)

    def ask(
        self,
        timeout: float,
        *,
        priority: Priority = Priority.DATA,
        subscribe: bool | None = None,
        on_news: Callable[[Any], None] | None = None,
        **request: Any,
    ) -> Deferred[list[Any]]:
        """Send an information request, such as `accounts_request=message`; answers its reports, all parts.

        A failure code is a BrokerError with that code.  `on_news` gets later reports of a subscription.
        """
        number = self.next_number()
        message = ClientMsg()
        info = message.information_requests.add(id=number)
        for name, value in request.items():
            getattr(info, name).CopyFrom(value)
            getattr(info, name).SetInParent()
        if subscribe is not None:
            info.subscribe = subscribe
        if on_news is not None:
            self._news[number] = on_news
        question = self._question("information_reports", number, next(iter(request)))
        waiter = question.wait()

        def send() -> None:
            self._leave(question, message, timeout, priority)

        try:
            if not self.is_ready:
                raise BrokerUnavailable("not logged on to CQG")
            self._information.submit(priority, send)
        except TxTraderError as error:
            question.fail(error)
        return waiter

    def ask_bars(self, parameters: Any, timeout: float) -> Deferred[list[Any]]:
        """Send a request for bars; answers its reports, newest bars first."""
        message = ClientMsg()
        number = self.next_number()
        request = message.time_bar_requests.add(request_id=number, request_type=int(BarRequest.GET))
        request.time_bar_parameters.CopyFrom(parameters)
        return self._ask_history(self._question("time_bar_reports", number, "time bars"), message, timeout)

    def ask_ticks(self, parameters: Any, timeout: float) -> Deferred[list[Any]]:
        """Send a request for time and sales; answers its reports, oldest ticks first."""
        message = ClientMsg()
        number = self.next_number()
        request = message.time_and_sales_requests.add(request_id=number, request_type=int(TicksRequest.GET))
        request.time_and_sales_parameters.CopyFrom(parameters)
        return self._ask_history(self._question("time_and_sales_reports", number, "ticks"), message, timeout)

    def ask_trades(self, message: Any, number: int, timeout: float) -> Deferred[list[Any]]:
        """Send a trade subscription and wait for its status."""
        question = self._question("trade_subscription_statuses", number, "trade subscription")
        waiter = question.wait()
        self._leave(question, message, timeout, Priority.ACCOUNT)
        return waiter

    def _question(self, kind: str, number: int, name: str) -> PendingQuestion[Any]:
        question: PendingQuestion[Any] = PendingQuestion(
            number, name, clock=self._clock, peer="CQG", on_over=lambda one: self._over(kind, one)
        )
        self._questions[kind, number] = question
        return question

    def _leave(self, question: PendingQuestion[Any], message: Any, timeout: float, priority: Priority) -> None:
        """Send a question whose turn it is, unless nobody waits for it any more; its time counts from there."""
        if question.is_over:
            return
        try:
            queued = self.post(message, priority)
        except TxTraderError as error:
            question.fail(error)
            return
        if queued.has_left:
            question.start_deadline(timeout)
        else:
            queued.on_left = lambda: question.start_deadline(timeout)

    def _ask_history(self, question: PendingQuestion[Any], message: Any, timeout: float) -> Deferred[list[Any]]:
        """Send a request for history, or keep it until one of those under way is over."""
        waiter = question.wait()
        self._late_histories.append((question, message, timeout))
        self._next_histories()
        return waiter

    def _next_histories(self) -> None:
        while self._late_histories and len(self._histories) < _MOST_HISTORIES:
            question, message, timeout = self._late_histories.popleft()
            if not question.is_over:
                self._histories.add(question)
                self._leave(question, message, timeout, Priority.DATA)

    def _over(self, kind: str, question: PendingQuestion[Any]) -> None:
        self._questions.pop((kind, int(question.key)), None)
        if question in self._histories:
            self._histories.discard(question)
            self._next_histories()

    def close(self) -> None:
        """Log off politely, and close."""
        if self.is_ready:
            message = ClientMsg()
            message.logoff.SetInParent()
            self.pump.send(message)
        self.pump.close()

    # -- in

    def _opened(self) -> None:
        message = ClientMsg()
        if self._token is not None:
            restore = message.restore_or_join_session
            restore.session_token = self._token
            restore.client_app_id = self._options.client_app_id
            restore.private_label = self._options.private_label
            restore.protocol_version_major, restore.protocol_version_minor = MAJOR, MINOR
        else:
            logon = message.logon
            logon.user_name, logon.password = self._options.user, self._options.password
            logon.private_label = self._options.private_label
            logon.client_app_id = self._options.client_app_id
            logon.client_version = _CLIENT_VERSION
            logon.protocol_version_major, logon.protocol_version_minor = MAJOR, MINOR
            logon.drop_concurrent_session = True
            logon.session_settings.append(int(SessionSetting.RESTORE))
        self._beat = self._clock.callLater(self._options.handshake, self._too_late)
        self.pump.send(message)

    def _too_late(self) -> None:
        self._beat = None
        self.refusal = (0, f"CQG did not answer the logon within {self._options.handshake:g} s")
        self.pump.abort()

    def _message(self, message: Any) -> None:
        if type(message) is MarketDataMsg:
            self._market_data(message)
            return
        if self._options.logs_messages:
            self._log.info("<- {text}", text=redacted(message))
        for name, part in parts(message):
            self._part(name, part)

    def _part(self, name: str, part: Any) -> None:
        if name == "real_time_market_data":
            self._market_data(part)
        elif name in ("logon_result", "restore_or_join_session_result"):
            self._result(name, part)
        elif name == "information_reports":
            self._report(part)
        elif name in ("time_bar_reports", "time_and_sales_reports"):
            self._history(name, part)
        elif name == "trade_subscription_statuses":
            if not self._status(name, part.id, part):
                self._listener.received(self, name, part)
        elif name == "logged_off":
            self.logged_off = (part.logoff_reason, text_of(part, LogoffReason, part.logoff_reason))
            self.redirect_url = part.redirect_url or None
            self.is_ready = False
            self.pump.close()
        else:
            for embedded in self._embedded(part):
                self.learn(embedded)
            self._listener.received(self, name, part)

    def _embedded(self, part: Any) -> list[Any]:
        """Return the contract metadata that a part brings along."""
        field = part.DESCRIPTOR.fields_by_name.get("contract_metadata")
        if field is None:
            return []
        value = part.contract_metadata
        if hasattr(value, "DESCRIPTOR"):
            return [value] if part.HasField("contract_metadata") else []
        return list(value)

    def _result(self, name: str, result: Any) -> None:
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None
        code = result.result_code
        if is_failure(code):
            kind = LogonCode if name == "logon_result" else RestoreCode
            self.was_restore_refused = name != "logon_result"
            self.refusal = (code, text_of(result, kind, code))
            if name == "logon_result":
                self.redirect_url = result.redirect_url or None
            self.pump.close()
            return
        self.is_ready = True
        if name == "logon_result":
            self.token = result.session_token or None
        self._listener.logged_on(self, is_restored=name != "logon_result")

    def _violated(self, error: RemoteProtocolError) -> None:
        """Tell silence apart from other breaches: the session ends both."""
        if self.session.unanswered_pings >= 2:
            self._listener.fell_silent(self)

    def _report(self, report: Any) -> None:
        question = self._questions.get(("information_reports", report.id))
        for descriptor, value in report.ListFields():
            if descriptor.name == "symbol_resolution_report" or descriptor.name == "contract_metadata_report":
                if value.HasField("contract_metadata"):
                    self.learn(value.contract_metadata)
            elif descriptor.name == "instrument_group_report":
                for item in value.instruments:
                    if item.HasField("contract_metadata"):
                        self.learn(item.contract_metadata)
        if question is None:
            # A failure is the end of a subscription.
            news = self._news.pop(report.id, None) if is_failure(report.status_code) else self._news.get(report.id)
            if news is not None:
                news(report)
            return
        if is_failure(report.status_code):
            self._news.pop(report.id, None)
            text = text_of(report, InfoStatus, report.status_code)
            question.fail(BrokerError(f"{question.name}: {text}", broker_code=report.status_code))
            return
        self._collect(question, report, report.status_code)

    def _history(self, name: str, report: Any) -> None:
        question = self._questions.get((name, report.request_id))
        if question is None:
            return
        code = report.status_code if name == "time_bar_reports" else report.result_code
        if is_failure(code):
            text = text_of(report, _HISTORY_REPORTS[name], code)
            question.fail(BrokerError(f"{question.name}: {text}", broker_code=code))
            return
        self._collect(question, report, code)

    def _collect(self, question: PendingQuestion[Any], report: Any, code: int) -> None:
        if code == _DISCONNECTED:
            return  # CQG has lost its source and goes on by itself: this is not the end of an answer
        question.collect(report)
        if report.is_report_complete:
            question.finish()

    def _status(self, name: str, number: int, part: Any) -> bool:
        question = self._questions.get((name, number))
        if question is None:
            return False
        if is_failure(part.status_code):
            text = text_of(part, TradeStatus, part.status_code)
            question.fail(BrokerError(f"trade subscription: {text}", broker_code=part.status_code))
        else:
            question.collect(part)
            question.finish()
        return True

    def _lost(self, failure: Failure) -> None:
        self.is_ready = False
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None
        self._information.stop()
        self.pacer.stop()
        self._late_histories.clear()
        reason = "the link to CQG was lost"
        if failure.check(RemoteProtocolError):
            reason = f"{reason}: {failure.getErrorMessage()}"
        for question in list(self._questions.values()):
            question.fail(BrokerUnavailable(reason))
        self._listener.lost(self, failure)
