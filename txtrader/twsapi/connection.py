"""One connection to TWS: login, heartbeat, pacing, and questions that find their answers.

Sending: `ask` (a question with an id), `ask_shared` (one that the wire gives no id: concurrent callers share it),
`post` (nothing is awaited: streams, orders, cancels).  What arrives goes to the question it answers, else to the
listener.  The connection is made anew for each dial; who dials is the owner's affair.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.errors import BrokerRejected, BrokerUnavailable, RemoteProtocolError, TxTraderError
from txtrader.net.pacing import Pacer, Priority, Queued
from txtrader.net.pending import PendingQuestion
from txtrader.net.pump import Pump
from txtrader.twsapi.codes import CodeClass, Codes
from txtrader.twsapi.ids import OrderIds, RequestIds
from txtrader.wire.tws.client import ClientSession, LoggedIn, Undecoded
from txtrader.wire.tws.message import Message

__all__ = ["Connection", "Listener", "LoginInfo", "Timing", "printable"]

GLOBAL_ID = -1
"""The id of messages that concern nothing in particular."""

CLIENT_ID_IN_USE = 326

_UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a0-\ud7ff\ue000-\uffff]+")


def printable(text: str, most: int = 500) -> str:
    """Make one printable line of what TWS says: its texts may hold line breaks and anything else."""
    return _UNPRINTABLE.sub(" ", text).strip()[:most]


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Deadlines in seconds: from the connection to the login, between heartbeats, and for a question by default."""

    handshake: float = 15.0
    heartbeat: float = 10.0
    question: float = 30.0


class LoginInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What TWS said at login; `connection_time` in its own words."""

    server_version: int
    connection_time: str
    accounts: tuple[str, ...]


class Listener(Protocol):
    """Who owns a connection.  Plain calls, in the order of the wire."""

    def logged_in(self, connection: Connection, info: LoginInfo) -> None:
        """TWS has said its next order id and its accounts: questions may be asked."""

    def fell_silent(self, connection: Connection) -> None:
        """No sign of life within two heartbeats; the connection is given up right after."""

    def lost(self, connection: Connection, failure: Failure) -> None:
        """The connection is gone; all its questions have failed."""

    def received(self, connection: Connection, message: Message) -> None:
        """A message that answers no question."""

    def reported(self, connection: Connection, code: int, text: str, number: int, kind: CodeClass | None) -> None:
        """An error, warning or remark that ended no question; `number` is an order, a stream, or GLOBAL_ID."""


class _LoggedSession(ClientSession):
    """A session whose bytes and requests are written to the log; for the operator who asks for it."""

    _log = Logger()
    has_bytes = False

    def receive_data(self, data: bytes) -> None:
        if self.has_bytes:
            self._log.info("from TWS: {data}", data=data.hex())
        super().receive_data(data)

    def next_event(self) -> object | None:
        event = super().next_event()
        if event is not None:
            self._log.info("from TWS: {event}", event=printable(repr(event), 2000))
        return event

    def send(self, message: Message) -> None:
        self._log.info("to TWS: {event}", event=printable(repr(message), 2000))
        super().send(message)

    def data_to_send(self) -> bytes:
        data = super().data_to_send()
        if data and self.has_bytes:
            self._log.info("to TWS: {data}", data=data.hex())
        return data


def _dispatch(
    ticks: Mapping[type, Callable[[Any], None]], others: Callable[[object], None]
) -> Callable[[object], None]:
    """Return what takes events: frequent ones go straight to their taker."""
    get = dict(ticks).get

    def take_event(event: object) -> None:
        take = get(event.__class__)
        if take is not None:
            take(event)
        else:
            others(event)

    return take_event


class Connection:
    """Drives one `ClientSession` on a transport through `pump`.

    `ticks` maps the classes of frequent events to what takes them: they are handed on without a further look.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        listener: Listener,
        *,
        client_id: int,
        codes: Codes,
        order_ids: OrderIds,
        ticks: Mapping[type, Callable[[Any], None]] | None = None,
        timing: Timing | None = None,
        message_rate: float = 45.0,
        max_version: int | None = None,
        logs_messages: bool = False,
        logs_bytes: bool = False,
    ) -> None:
        self.client_id = client_id
        self.codes = codes
        self.order_ids = order_ids
        self.request_ids = RequestIds()
        self.pacer = Pacer(clock, message_rate)
        if logs_messages or logs_bytes:
            session = _LoggedSession(client_id=client_id, max_version=max_version)
            session.has_bytes = logs_bytes
            self.session: ClientSession = session
        else:
            self.session = ClientSession(client_id=client_id, max_version=max_version)
        self.pump = Pump(
            self.session,
            clock,
            _dispatch(ticks or {}, self._event),
            self._connection_lost,
            self._connection_made,
            keeps_link=True,
        )
        self.is_ready = False
        self.refusal: str | None = None
        """Why TWS refused the login, where it said so."""
        self._clock = clock
        self._listener = listener
        self._timing = timing or Timing()
        self._questions: dict[int | str, PendingQuestion[Message]] = {}
        self._ends: dict[int | str, frozenset[str]] = {}
        self._shared_answers: dict[str, list[PendingQuestion[Message]]] = {}  # by the name of a message without id
        self._accounts: tuple[str, ...] = ()
        self._has_order_id = False
        self._reads_seen = 0
        self._is_asked = False
        self._timer: IDelayedCall | None = None
        self._is_lost = False
        self._complaints: set[str] = set()

    # --- asking ---

    def ask(
        self,
        name: str,
        fields: Mapping[str, Any],
        *,
        ends: Iterable[str],
        priority: Priority = Priority.DATA,
        timeout: float | None = None,
        cancel: str | None = None,
        request_id: int | None = None,
    ) -> Deferred[list[Message]]:
        """Ask something with a request id; the Deferred fires with the messages before the one named in `ends`.

        A message that both answers and ends (headTimestamp) is named in `ends` and is part of the answer.  `cancel`
        names the request that takes the question back.  Fails with BrokerRejected (TWS's code and words),
        BrokerUnavailable (deadline, link lost), Throttled, or what is wrong with the request.
        """
        number = self.request_ids.take() if request_id is None else request_id
        id_field = "orderId" if name == "placeOrder" else "reqId"
        message = Message(name, {**fields, id_field: number})
        question = self._question(number, name, ends)
        if cancel is not None:
            question.cancel_message = Message(cancel, {"reqId": number})
        waiter = question.wait()
        self._send_question(question, message, priority, timeout)
        return waiter

    def ask_shared(
        self,
        name: str,
        fields: Mapping[str, Any] | None = None,
        *,
        answers: Iterable[str],
        ends: Iterable[str],
        priority: Priority = Priority.ACCOUNT,
        timeout: float | None = None,
        share_as: str | None = None,
        is_mine: Callable[[Message], bool] | None = None,
        is_news: Callable[[Message], bool] | None = None,
    ) -> Deferred[list[Message]]:
        """Ask something that has no request id; who asks the same while it runs waits for the same answer.

        `answers` are the names of the messages that belong to it: they go to the question instead of the listener,
        all of them or those that `is_mine` accepts.  What `is_news` accepts goes to the listener as well; if the
        question fails, what it had collected goes there, too: it may have been news.  `share_as` says what is the
        same, by default the request's name.
        """
        key = share_as or name
        running = self._questions.get(key)
        if running is not None:
            return running.wait()
        question = self._question(key, name, ends)
        question.is_mine = is_mine
        question.is_news = is_news
        for answer in {*answers, *self._ends[key]}:
            self._shared_answers.setdefault(answer, []).append(question)
        waiter = question.wait()
        self._send_question(question, Message(name, dict(fields or {})), priority, timeout)
        return waiter

    def post(self, message: Message, priority: Priority = Priority.DATA, on_refused: Any = None) -> Queued:
        """Send something that nobody waits for.  Raises Throttled when too much waits, BrokerUnavailable when lost.

        A message that cannot be written calls `on_refused(error)`, at once or when its turn comes; without it the
        error is logged.
        """
        if self._is_lost:
            raise BrokerUnavailable("the link to TWS is gone")

        def send() -> None:
            try:
                self.pump.send(message)
            except TxTraderError as error:
                if on_refused is None:
                    self._log.warn("{name} was not sent: {error}", name=message.name, error=error.text)
                else:
                    on_refused(error)

        return self.pacer.submit(priority, send)

    def close(self) -> None:
        """Hang up; `lost` follows."""
        self.pump.close()

    def _question(self, key: int | str, name: str, ends: Iterable[str]) -> PendingQuestion[Message]:
        if self._is_lost:
            raise BrokerUnavailable("the link to TWS is gone")
        question = PendingQuestion[Message](key, name, clock=self._clock, peer="TWS", on_over=self._question_over)
        self._questions[key] = question
        self._ends[key] = frozenset(ends)
        return question

    def _send_question(
        self, question: PendingQuestion[Message], message: Message, priority: Priority, timeout: float | None
    ) -> None:
        def send() -> None:
            if question.is_over:
                return
            question.start_deadline(self._timing.question if timeout is None else timeout)
            try:
                self.pump.send(message)
            except TxTraderError as error:
                question.cancel_message = None
                question.fail(error)

        try:
            self.pacer.submit(priority, send)
        except TxTraderError as error:
            question.cancel_message = None
            question.fail(error)

    def _question_over(self, question: PendingQuestion[Message]) -> None:
        self._questions.pop(question.key, None)
        self._ends.pop(question.key, None)
        for name, owners in list(self._shared_answers.items()):
            if question in owners:
                owners.remove(question)
                if not owners:
                    del self._shared_answers[name]
        if isinstance(question.key, str) and question.has_failed:
            for message in question.answers:
                if question.is_news is None or not question.is_news(message):
                    self._listener.received(self, message)
        cancel, question.cancel_message = question.cancel_message, None
        if cancel is not None and not self._is_lost:
            try:
                self.post(cancel, Priority.DATA)
            except TxTraderError as error:
                self._log.warn("{name} was not sent: {error}", name=cancel.name, error=error.text)

    # --- what arrives ---

    def _event(self, event: object) -> None:
        if isinstance(event, Message):
            self._message(event)
        elif isinstance(event, LoggedIn):
            self._log.debug("TWS speaks version {version}", version=event.server_version)
        elif isinstance(event, Undecoded):
            self._undecoded(event)

    def _message(self, message: Message) -> None:
        name = message.name
        if name == "error":
            self._error(message)
            return
        if name == "nextValidId":
            self._next_valid_id(message)
        elif name == "managedAccounts":
            self._managed_accounts(message)
        number = message.fields.get("reqId")
        question = self._questions.get(number) if number is not None else None
        if question is None and (number is None or number == GLOBAL_ID):
            owners = self._shared_answers.get(name, ())
            question = next((owner for owner in owners if owner.is_mine is None or owner.is_mine(message)), None)
        if question is None:
            self._listener.received(self, message)
            return
        if question.is_news is not None and question.is_news(message):
            self._listener.received(self, message)
        if name not in self._ends[question.key] or message.fields.get("done") is False:
            question.collect(message)
            return
        if not name.endswith("End"):
            question.collect(message)
        question.cancel_message = None
        question.finish()

    def answer(self, number: int, message: Message) -> bool:
        """Give a message to the question under `number` and end it; tells whether there was one (what-if orders)."""
        question = self._questions.get(number)
        if question is None:
            return False
        question.collect(message)
        question.finish()
        return True

    def _error(self, message: Message) -> None:
        code = int(message.fields.get("errorCode") or 0)
        raw_number = message.fields.get("reqId")
        number = GLOBAL_ID if raw_number is None else int(raw_number)
        text = printable(str(message.fields.get("errorString") or ""))
        kind = self.codes.classify(code)
        if code == CLIENT_ID_IN_USE:
            self.refusal = f"client id {self.client_id} is in use"
        question = self._questions.get(number)
        if question is not None:
            is_remark = kind in (CodeClass.INFORMATION, CodeClass.WARNING)
            if not is_remark:
                question.cancel_message = None  # TWS has ended it
                question.fail(BrokerRejected(text or f"error {code}", broker_code=code))
                return
        self._listener.reported(self, code, text, number, kind)

    def _undecoded(self, event: Undecoded) -> None:
        complaint = f"{event.message_id}: {event.reason[:40]}"
        if complaint not in self._complaints and len(self._complaints) < 100:
            self._complaints.add(complaint)
            self._log.warn(
                "a message {id} of TWS is dropped ({reason}); further ones like it are only counted",
                id=event.message_id,
                reason=printable(event.reason, 120),
            )

    # --- login and life ---

    def _connection_made(self) -> None:
        self._timer = self._clock.callLater(self._timing.handshake, self._handshake_late)

    def _handshake_late(self) -> None:
        self._timer = None
        self.refusal = self.refusal or f"TWS did not log us in within {self._timing.handshake:g} s"
        self.pump.abort()

    def _next_valid_id(self, message: Message) -> None:
        number = message.fields.get("orderId")
        if not isinstance(number, int):
            raise RemoteProtocolError("nextValidId without a number")
        self.order_ids.offered(number)
        self.request_ids.stay_clear_of(self.order_ids.next)
        self._has_order_id = True
        self._look_ready()

    def _managed_accounts(self, message: Message) -> None:
        text = str(message.fields.get("accountsList") or "")
        self._accounts = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
        self._look_ready()

    def _look_ready(self) -> None:
        """Both must have come, and the accounts must not be empty, or the first questions would fail."""
        if self.is_ready or not self._has_order_id or not self._accounts:
            return
        self.is_ready = True
        if self._timer is not None:
            self._timer.cancel()
        self._reads_seen = self.session.reads
        self._timer = self._clock.callLater(self._timing.heartbeat, self._beat)
        self._listener.logged_in(
            self,
            LoginInfo(
                server_version=self.session.server_version or 0,
                connection_time=self.session.connection_time or "",
                accounts=self._accounts,
            ),
        )

    def _beat(self) -> None:
        """Ask for the time when TWS was silent for an interval; a second silent interval ends the connection."""
        self._timer = None
        is_heard = self.session.reads != self._reads_seen
        if not is_heard and self._is_asked:
            self._listener.fell_silent(self)
            self.pump.abort()
            return
        self._reads_seen = self.session.reads
        self._timer = self._clock.callLater(self._timing.heartbeat, self._beat)
        self._is_asked = True
        asked = self.ask_shared(
            "reqCurrentTime",
            answers=("currentTime",),
            ends=("currentTime",),
            priority=Priority.URGENT,  # behind a queue it would call a busy link dead
            timeout=self._timing.heartbeat * 2 + 1.0,
            share_as="heartbeat",
        )
        asked.addErrback(self._beat_unanswered)

    def _beat_unanswered(self, failure: Failure) -> None:
        """The beat itself notices; a loss is told by `lost`."""
        failure.trap(TxTraderError)

    def _connection_lost(self, failure: Failure) -> None:
        self._is_lost = True
        self.is_ready = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.pacer.stop()
        if failure.check(RemoteProtocolError):
            self.refusal = self.refusal or str(failure.value)
        for question in list(self._questions.values()):
            question.cancel_message = None
            question.fail(BrokerUnavailable(f"the link to TWS was lost before it answered {question.name}"))
        self._listener.lost(self, failure)
