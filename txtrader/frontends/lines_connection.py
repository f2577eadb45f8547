"""One connection of the line protocol: login, commands, replies, events, the end."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Container
from enum import Enum, auto
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from txtrader.errors import (
    InternalError,
    InvalidArgument,
    NotReady,
    RemoteProtocolError,
    Throttled,
    TooLarge,
    TxTraderError,
    Unauthenticated,
)
from txtrader.frontends.base import Shared
from txtrader.frontends.door import Visit
from txtrader.frontends.jsontext import encode, parse_sequence
from txtrader.frontends.lines_feed import Feed
from txtrader.frontends.lines_heartbeat import Heartbeat
from txtrader.frontends.lines_legacy import LegacyForms
from txtrader.frontends.lines_options import LineOptions, parse_login_options, parse_options, read_resume_point
from txtrader.frontends.lines_replies import Forms
from txtrader.frontends.lines_sequence import ReplySequence, Slot
from txtrader.frontends.lines_words import LOCAL_WORDS, WORDS, Call, parse_call, usage_error
from txtrader.frontends.text import error_text
from txtrader.frontends.throttle import CallLimiter
from txtrader.gateway.commands import bind
from txtrader.gateway.session import Session, User
from txtrader.gateway.tasks import spawn
from txtrader.model.event import DURABLE_CHANNELS
from txtrader.model.operations import OPERATIONS
from txtrader.net.outbound import Outbound
from txtrader.net.pump import SessionProtocol
from txtrader.wire.line import LineSession, MalformedLine

__all__ = ["House", "LineConnection"]

_LIMIT_BEFORE, _LIMIT_AFTER = 8192, 65536  # bytes of a line before and after login
_LOGIN_TIME = 5.0  # seconds from the connection to the `auth` line
_MOST_RUNNING = 200  # commands of one connection that may wait for their answers
_PARTING = 10.0  # seconds that the answers of running commands are waited for after `quit`
_GOODBYES = frozenset({"quit", "exit", "bye"})
_DEFAULTS = LineOptions()
_REFUSED = b".Authorization required!\n"


class _Stage(Enum):
    NEW = auto()
    LOGGING_IN = auto()
    OPEN = auto()
    LEAVING = auto()  # no more commands; the answers of those that run are waited for
    GONE = auto()


class House:
    """What all line connections have in common; `on_left(connection)` is called when one is gone.

    It keeps the time of those that have not logged in, with one timer for all: they came in the sequence in which
    their time is over.
    """

    _log = Logger()

    def __init__(self, shared: Shared, greeting: str, on_left: Callable[[LineConnection], None]) -> None:
        self.shared = shared
        self.gateway = shared.gateway
        self.greeting = greeting.encode("ascii", "backslashreplace") + b"\n"
        self.on_left = on_left
        mode, spelling = shared.gateway.modes[0], shared.gateway.market.spelling
        self.forms = Forms(mode, spelling)
        self.legacy_forms: Forms = LegacyForms(mode, spelling)
        self._strangers: dict[LineConnection, float] = {}  # the clock second at which each must have logged in
        self._timer: IDelayedCall | None = None

    def expect_login(self, connection: LineConnection) -> None:
        """Refuse a connection that has not logged in in time."""
        clock = self.shared.reactor
        self._strangers[connection] = clock.seconds() + _LOGIN_TIME
        if self._timer is None:
            self._timer = clock.callLater(_LOGIN_TIME, self._look)

    def forget(self, connection: LineConnection) -> None:
        """The connection has given its login, or is gone."""
        self._strangers.pop(connection, None)

    def close(self) -> None:
        """Keep no time any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        now = self.shared.reactor.seconds()
        for connection, due in list(self._strangers.items()):
            if due > now:
                self._timer = self.shared.reactor.callLater(due - now, self._look)
                break
            try:
                connection.refuse()
            except Exception:  # noqa: BLE001  the look at the others must go on
                self._log.failure("refusing a client that did not log in")


@implementer(IHalfCloseableProtocol)
class LineConnection(SessionProtocol):
    """One client.

    There are thousands of them, most of which only listen: what belongs to commands is made with the first one.
    """

    __slots__ = (
        "_address",
        "_deadline",
        "_feed",
        "_forms",
        "_gone",
        "_heartbeat",
        "_house",
        "_limiter",
        "_lines",
        "_options",
        "_running",
        "_sequence",
        "_session",
        "_stage",
        "_visit",
    )

    _log = Logger()

    def __init__(self, house: House, address: str, visit: Visit) -> None:
        self._lines = LineSession(_LIMIT_BEFORE)
        super().__init__(self._lines, house.shared.reactor)
        self._house = house
        self._address = address
        self._visit = visit
        self._stage = _Stage.NEW
        self._deadline: IDelayedCall | None = None
        self._options = _DEFAULTS
        self._limiter: CallLimiter | None = None
        self._forms = house.forms
        self._session: Session | None = None
        self._feed: Feed | None = None
        self._running = 0
        self._sequence: ReplySequence | None = None
        self._heartbeat: Heartbeat | None = None
        self._gone: Deferred[None] | None = None

    def __repr__(self) -> str:
        return f"<LineConnection {self._session or self._address}>"

    @property
    def user_name(self) -> str | None:
        """Who is logged in, None before that."""
        return None if self._session is None else self._session.user.name

    # --- coming and going -----------------------------------------------------------------------------------------

    def attach(self, transport: Any) -> Outbound:
        """Write through a bounded queue."""
        return self._house.shared.outbound.attach(transport, on_slow=self._slow)

    def on_open(self) -> None:
        """Greet, and give the client a while to log in."""
        self._house.expect_login(self)
        self._say(self._house.greeting)

    def refuse(self) -> None:
        """Close a connection that is not logged in, always in the same words."""
        self._say(_REFUSED)
        self.end()

    def end(self) -> None:
        """Close, after what is queued; nothing more is read or told."""
        if self._stage is not _Stage.GONE:
            self._stage = _Stage.GONE
            self._stop_clocks()
            if self._feed is not None:
                self._feed.close()
            self.close()

    def _end_with(self, error: TxTraderError) -> None:
        """Close with an error."""
        if self._stage is not _Stage.GONE:
            self._say(b".error " + error_text(error).encode("ascii") + b"\n")
            self.end()

    def on_violation(self, error: RemoteProtocolError) -> None:
        """Say what was too much."""
        self._end_with(TooLarge(str(error)))

    def on_eof(self) -> None:
        """Close when the commands that run are answered: the client said goodbye or has finished writing."""
        if self._stage is not _Stage.OPEN:
            if self._stage is _Stage.NEW:
                self.end()
            return
        if not self._running:
            self.end()
            return
        self._stage = _Stage.LEAVING
        self._stop_clocks()
        if self._feed is not None:
            self._feed.close()
        self._deadline = self._clock.callLater(_PARTING, self.end)

    def _stop_clocks(self) -> None:
        self._house.forget(self)
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None
        if self._heartbeat is not None:
            self._heartbeat.stop()

    def on_lost(self, reason: Failure) -> None:
        """Give back what the client had."""
        self._stage = _Stage.GONE
        self._stop_clocks()
        if self._feed is not None:
            self._feed.close()
        if self._session is not None:
            self._house.gateway.close_session(self._session)
        self._visit.leave()
        if self._house.shared.settings.log_cxn_events:
            self._log.info("lines: {who} left: {reason}", who=self, reason=reason.getErrorMessage())
        self._house.on_left(self)
        gone, self._gone = self._gone, None
        if gone is not None:
            gone.callback(None)

    def when_gone(self) -> Deferred[None]:
        """Wait for the end of the connection, once."""
        assert self._gone is None, "one waits, the front end at its stop"
        self._gone = Deferred()
        return self._gone

    def _slow(self, reason: str) -> bytes:
        """Say the last words to a reader who is too slow: up to where it has surely been sent everything."""
        self._log.warn("lines: {who} is closed as a slow consumer: {reason}", who=self, reason=reason)
        self._stage = _Stage.GONE
        self._stop_clocks()
        places: dict[str, Any] = {}
        if self._feed is not None:
            places = self._feed.sent_places()
            self._feed.close()
        return b".error slow-consumer: " + encode(places) + b"\n"

    # --- writing --------------------------------------------------------------------------------------------------

    def _say(self, data: bytes) -> None:
        if self.outbound is not None:
            self.outbound.write(data)

    # --- reading --------------------------------------------------------------------------------------------------

    def on_event(self, event: str | MalformedLine) -> None:
        """Take a line."""
        if self._stage is _Stage.OPEN:
            if self._heartbeat is not None:
                self._heartbeat.heard()
            if isinstance(event, str):
                self._command(event)
            else:
                self._complain(None, InvalidArgument(event.reason), None)
        elif self._stage is _Stage.NEW:
            self._greet(event)

    # --- login ----------------------------------------------------------------------------------------------------

    def _greet(self, event: str | MalformedLine) -> None:
        """Take the first line: `auth`, a goodbye, or something that ends the connection."""
        word, _, rest = event.partition(" ") if isinstance(event, str) else ("", "", "")
        if word in _GOODBYES:
            self.end()
            return
        name, _, rest = rest.strip(" ").partition(" ")
        password, _, options = rest.strip(" ").partition(" ")
        if word != "auth" or not name or not password:
            self.refuse()
            return
        self._stage = _Stage.LOGGING_IN
        self._stop_clocks()  # the client has done its part in time; the access room bounds the rest
        self.pause()
        spawn(self._authenticate(name, password, options), self._log, "logging in")

    async def _authenticate(self, name: str, password: str, options: str) -> None:
        try:
            user = await self._house.gateway.access.authenticate(name, password, self._address)
        except (Unauthenticated, Throttled, InvalidArgument):
            if self._is_logging_in():
                self.refuse()
            return
        if not self._is_logging_in():
            return
        try:
            await self._log_in(user, options)
        except TxTraderError as error:
            self._end_with(error)
        if self._stage is not _Stage.GONE:
            self.resume()

    def _is_logging_in(self) -> bool:
        return self._stage is _Stage.LOGGING_IN

    async def _log_in(self, user: User, text: str) -> None:
        options = parse_login_options(text)
        self._visit.logged_in()
        session = self._session = self._house.gateway.open_session(user, frontend="lines", peer=self._address)
        self._check_accounts(options)
        if options.account is not None:
            self._change_account(options.account)
        if self._house.shared.settings.log_cxn_events:
            self._log.info("lines: {who} logged in", who=self)
        if options.legacy:
            self._forms = self._house.legacy_forms
        self._options = options
        self._lines.limit = _LIMIT_AFTER
        self._lines.bounds_blanks = False
        self._say(f".Authorized {self._house.gateway.modes[0]}\n".encode("ascii"))
        assert self.outbound is not None
        feed = self._feed = Feed(
            self._house.shared, session, options, self._forms, self.outbound, on_broken=self._end_with
        )
        self._stage = _Stage.OPEN
        feed.open()
        self._set_heartbeat(options.heartbeat)

    def _ask_now(self, operation: str, *arguments: str) -> Any:
        """Run an operation that the gateway answers in this turn."""
        assert self._session is not None
        answers: list[Any] = []
        self._house.gateway.execute(self._session, bind(operation, arguments)).addBoth(answers.append)
        (answer,) = answers
        if isinstance(answer, Failure):
            answer.raiseException()
        return answer

    def _check_accounts(self, options: LineOptions) -> None:
        """Refuse a filter by accounts that the user has not; before the broker has told any, nobody can know."""
        if options.accounts is None:
            return
        assert self._session is not None
        known: Container[str]
        try:
            known = self._ask_now("query_accounts")
        except NotReady:
            known = options.accounts if self._session.user.accounts is None else self._session.user.accounts
        for account in options.accounts:
            if account not in known:
                raise InvalidArgument(f"unknown account {account}", path="accounts")

    # --- commands -------------------------------------------------------------------------------------------------

    def _command(self, text: str) -> None:
        text = text.strip(" ")
        tag = ""
        if text.startswith("@"):
            tag, _, text = text.partition(" ")
            text = text.lstrip(" ")
        word, _, rest = text.partition(" ")
        if word in _GOODBYES:
            self.on_eof()
            return
        if self._limiter is None or self._sequence is None:
            self._limiter, self._sequence = self._house.shared.limiter(), ReplySequence()
        slot = None if tag else self._sequence.open(word)
        try:
            known = WORDS.get(word)
            self._limiter.check(OPERATIONS.get(known.operation if known is not None else word))
            if not word:
                raise usage_error("[@TAG] WORD arguments [{options}]")
            rest = rest.strip(" ")
            if word in LOCAL_WORDS and not (word == "help" and rest):
                self._answer(tag, slot, b"", self._local(word, rest))
                return
            if word == "auth":
                raise InvalidArgument("you are logged in already")
            if known is None and word not in OPERATIONS:
                self._answer(tag, slot, b"", self._forms.unknown_word(_unknown_word()))
                return
            self._run(tag, slot, parse_call(word, rest))
        except TxTraderError as error:
            self._complain(None, error, slot, tag)

    def _run(self, tag: str, slot: Slot | None, call: Call) -> None:
        """Have the gateway run a command; its answer may come now or much later."""
        assert self._session is not None
        if self._running >= _MOST_RUNNING:
            raise Throttled(f"{_MOST_RUNNING} commands of this connection wait for their answers", retry_after=1.0)
        if self._house.shared.settings.log_client_messages:
            self._log.info("lines: {who}: {name}", who=self, name=call.command.operation.name)
        self._running += 1
        answer = self._house.gateway.execute(self._session, call.command)
        answer.addCallback(self._show, tag, slot, call)
        answer.addErrback(self._failed, tag, slot, call)
        answer.addBoth(self._ran)

    def _show(self, result: Any, tag: str, slot: Slot | None, call: Call) -> None:
        assert self._session is not None
        before, reply = self._forms.reply(call, result, self._session)
        self._answer(tag, slot, before, reply)

    def _failed(self, failure: Failure, tag: str, slot: Slot | None, call: Call) -> None:
        error = failure.value
        if not isinstance(error, TxTraderError):
            incident = secrets.token_hex(4)
            self._log.failure("incident {incident}: showing a result", failure=failure, incident=incident)
            error = InternalError("an internal error; quote the incident", incident=incident)
        self._complain(call, error, slot, tag)

    def _ran(self, result: None) -> None:
        self._running -= 1
        if not self._running and self._stage is _Stage.LEAVING:
            self.end()

    def _complain(self, call: Call | None, error: TxTraderError, slot: Slot | None, tag: str = "") -> None:
        self._answer(tag, slot, b"", self._forms.error(call, error))

    def _answer(self, tag: str, slot: Slot | None, before: bytes, reply: bytes) -> None:
        """Send a reply; an untagged one waits for those to the same word that were asked before."""
        if self._stage is _Stage.GONE:
            return
        if tag:
            if reply:
                self._say(before + tag.encode() + b" " + reply + b"\n")
            return
        line = before + reply + b"\n" if reply else before
        data = line if slot is None or self._sequence is None else self._sequence.fill(slot, line)
        if data:
            self._say(data)
        if self._feed is not None:
            self._feed.wrote()

    # --- words that the front end answers itself ------------------------------------------------------------------

    def _local(self, word: str, rest: str) -> bytes:
        if word == "help":
            return self._forms.help()
        if word == "ping":
            return b".pong" + (b" " + rest.encode("ascii", "backslashreplace") if rest else b"")
        if word == "pong":
            return b""
        if word == "options":
            return self._change_options(rest)
        return self._resume(rest)

    def _change_options(self, rest: str) -> bytes:
        values = parse_sequence(rest)
        if len(values) != 1 or not isinstance(values[0], dict):
            raise usage_error(LOCAL_WORDS["options"])
        options = parse_options(values[0], self._options, live=True)
        if "accounts" in values[0]:
            self._check_accounts(options)
        if "account" in values[0]:
            self._change_account(options.account)
        self._options = options
        assert self._feed is not None
        self._feed.update(options)
        self._set_heartbeat(options.heartbeat)
        return b".options: " + encode(options.shown())

    def _change_account(self, account: str | None) -> None:
        """Set the session's current account."""
        assert self._session is not None
        if account is None:
            self._session.account = None
            return
        if self._ask_now("set_account", account) is not True:
            raise InvalidArgument("unknown account", path="account")

    def _resume(self, rest: str) -> bytes:
        words = [word for word in rest.split(" ") if word]
        if len(words) not in (3, 4) or words[1] not in DURABLE_CHANNELS:
            raise usage_error(LOCAL_WORDS["resume"])
        point = read_resume_point(words[0], words[2], words[3] if len(words) == 4 else "", "resume")
        assert self._feed is not None
        self._feed.resume(words[1], point)
        return b""

    # --- heartbeat ------------------------------------------------------------------------------------------------

    def _set_heartbeat(self, interval: int) -> None:
        if self._heartbeat is None:
            if not interval:
                return
            assert self._feed is not None
            self._heartbeat = Heartbeat(self._clock, self._feed, self._lines, self._send_beat, self._too_silent)
        self._heartbeat.set(interval)

    def _send_beat(self) -> None:
        assert self._feed is not None
        self._say(b".heartbeat: " + encode(self._feed.heartbeat()) + b"\n")

    def _too_silent(self, seconds: float) -> None:
        self._log.info("lines: {who} is silent for {seconds} s and is closed", who=self, seconds=seconds)
        self.end()


def _unknown_word() -> InvalidArgument:
    return InvalidArgument("unknown word; `help` lists the words, and every operation has its own name")
