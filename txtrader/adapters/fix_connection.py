"""One connection to a FIX broker: logon, the closing of gaps both ways, signs of life, questions and their answers.

    open -> Logon -> Logon -> TestRequest -> Heartbeat: no gap is open either way, ready -> anything -> Logout or loss

What the broker's session missed of ours, and what ours missed of its, is asked for before the Heartbeat can come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.adapters.fix_options import FixOptions
from txtrader.dialects.fix import instant_from_wire
from txtrader.errors import BrokerError, BrokerUnavailable, InvalidArgument, LocalProtocolError, TxTraderError
from txtrader.net.pending import PendingQuestion
from txtrader.net.pump import Pump
from txtrader.wire.fix.message import SOH, Message
from txtrader.wire.fix.session import FixSession, LoggedOn, LoggedOut, SessionOptions, Skipped, TestAnswered, Unsound
from txtrader.wire.fix.store import Store
from txtrader.wire.fix.validation import Switches

__all__ = ["Connection", "Listener", "code_and_text", "message_from_text", "text_of_message"]

_TOLERANT = Switches(checks_user_defined=False, checks_unknown=False, checks_lists=False, checks_required=False)
"""A broker may have tags and values of its own, and leave out what it thinks idle: no report is lost over that."""

_REPORT = "8"
_BROKER = "the FIX broker"


class Listener(Protocol):
    """Who hears what becomes of a connection."""

    def logged_on(self, connection: Connection, *, was_reset: bool) -> None: ...

    def fell_silent(self, connection: Connection) -> None: ...

    def lost(self, connection: Connection, failure: Failure) -> None: ...

    def received(self, connection: Connection, message: Message) -> None:
        """Take a message that answers no question."""

    def missed(self, text: str) -> None:
        """Take word that something of the broker's will never be known, and why."""


def text_of_message(message: Message) -> str:
    """Write a message as text that `Message` can be read from again."""
    return SOH.join(f"{tag}={value}" for tag, value in message.fields)


def message_from_text(text: str) -> Message:
    """Read what `text_of_message` wrote, or a frame's text.  Raises ValueError."""
    fields = [part.partition("=") for part in text.split(SOH)]
    pairs = [(int(tag), value) for tag, _, value in fields]
    return Message(dict(pairs).get(35, ""), pairs)


class Connection:
    """See the module.  `store` holds the numbers; `heard` is called with each report before its number counts."""

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        listener: Listener,
        options: FixOptions,
        *,
        now_ns: Callable[[], int],
        store: Store,
        heard: Callable[[Message], None],
    ) -> None:
        self._clock = reactor
        self._listener = listener
        self._options = options
        self._now_ns = now_ns
        self._heard = heard
        self.version = options.version
        self.store = store
        self.session = FixSession(
            now_ns,
            identity=options.identity,
            store=self.store,
            options=SessionOptions(
                heartbeat=options.heartbeat_seconds,
                logon_timeout=options.handshake,
                resets_on_logon=options.resets,
                repeats_orders=options.resend > 0,
                repeats_for=options.resend or None,
                tells_losses=True,
                username=options.username,
                password=options.password,
                header=options.header,
                switches=_TOLERANT,
            ),
        )
        self.session.on_heard = self._note
        self.pump = Pump(self.session, reactor, on_event=self._event, on_lost=self._lost, on_open=self._opened)
        self.is_ready = False
        self.has_logged_on = False
        self.logout: str | None = None
        self.was_logged_out = False
        self.peer_ahead = 0
        """Nanoseconds that the broker's clock is ahead of ours, as its last answer showed."""
        self._was_reset = False
        self._is_told = False
        self._numbers = 0
        self._tests: dict[str, PendingQuestion[int]] = {}
        self._questions: dict[str, PendingQuestion[Message]] = {}
        self._asked: dict[int, str] = {}  # number of the message: name of the question
        self._watch: IDelayedCall | None = None
        self._frames = 0
        self._heard_at = 0.0
        self._has_probed = False

    # -- the link

    def close(self) -> None:
        """Log out, and hang up when the broker has answered or its time is over."""
        if self.session.is_logged_on:
            self.session.log_out()
            self.pump.flush()
        else:
            self.pump.abort()

    def _opened(self) -> None:
        self._heard_at = self._clock.seconds()
        self.session.start()

    def _event(self, event: Any) -> None:
        if isinstance(event, Message):
            self._message(event)
        elif isinstance(event, TestAnswered):
            self._answered(event)
        elif isinstance(event, LoggedOn):
            self.has_logged_on = True
            self._was_reset = event.was_reset and not self._options.resets
            self._watch_silence()
            self.test(self._options.timeout_default).addCallbacks(self._synced, lambda failure: None)
        elif isinstance(event, Unsound):
            name = event.message.get(11) or event.message.get(37)
            why = f"{event.fault.text}, tag {event.fault.tag}"
            self._listener.missed(f"a message {event.message.type} of the broker was rejected ({why}; order {name})")
        elif isinstance(event, Skipped):
            self._listener.missed(f"the broker skipped its messages {event.begin} to {event.end - 1}")
        elif isinstance(event, LoggedOut):
            self.was_logged_out = True
            self.logout = event.text
            self.pump.close()

    def _synced(self, peer_time: int) -> None:
        self.is_ready = True
        self._listener.logged_on(self, was_reset=self._was_reset)

    def _not_answered(self, failure: Failure) -> Failure:
        """Hang up: a gap stays open, and what lies in it will come to a new connection alone."""
        if self.pump.is_connected:
            self._log.warn("a gap of the FIX session was not closed in time; hanging up")
            self.pump.abort()
        return failure

    def _lost(self, failure: Failure) -> None:
        self.is_ready = False
        if self._watch is not None and self._watch.active():
            self._watch.cancel()
        waiting: list[PendingQuestion[Any]] = [*self._tests.values(), *self._questions.values()]
        for question in waiting:
            question.fail(BrokerUnavailable("the link to the FIX broker was lost"))
        self._listener.lost(self, failure)

    # -- signs of life

    def _watch_silence(self) -> None:
        self._watch = self._clock.callLater(self._options.heartbeat / 5, self._look)

    def _look(self) -> None:
        """Ask after a heartbeat's time without a word; after two of them nobody is there."""
        now, beat = self._clock.seconds(), self._options.heartbeat
        if self.session.frames != self._frames:
            self._frames = self.session.frames
            self._heard_at = now
            self._has_probed = False
        silence = now - self._heard_at
        if silence >= 1.8 * beat:
            if not self._is_told:
                self._is_told = True
                self._listener.fell_silent(self)
            return
        if silence >= 1.1 * beat and not self._has_probed and self.session.is_logged_on:
            self._has_probed = True
            self.session.test(self._next("ALIVE"))
            self.pump.flush()
        self._watch_silence()

    def test(self, timeout: float) -> Deferred[int]:
        """Go to the broker and back: what was sent before has arrived.  Fires with its clock, nanoseconds UTC.

        A broker that talks and does not answer this in time is hung up on.
        """
        text = self._next("TEST")
        question: PendingQuestion[int] = PendingQuestion(
            text, "a test of the link", clock=self._clock, peer=_BROKER, on_over=self._test_over
        )
        self._tests[text] = question
        question.start_deadline(timeout)
        waiting = question.wait().addCallbacks(lambda answers: answers[0], self._not_answered)
        self.session.test(text)
        self.pump.flush()
        return waiting

    def _answered(self, event: TestAnswered) -> None:
        question = self._tests.get(event.text)
        if question is None:
            return  # one that only asked for a sign of life
        told = instant_from_wire(event.sending_time)
        self.peer_ahead = told - self._now_ns()
        question.collect(told)
        question.finish()

    # -- messages

    def send(self, message: Message) -> int:
        """Send a message of the application; returns its number.

        Raises BrokerUnavailable when there is nobody to send it to, InvalidArgument for what FIX cannot carry: then
        nothing has left.
        """
        if not self.session.is_logged_on or not self.pump.is_connected:
            raise BrokerUnavailable("not logged on to the FIX broker")
        number = self.store.next_number
        try:
            self.session.send(message)
        except LocalProtocolError as error:
            raise InvalidArgument(error.message) from None
        except UnicodeEncodeError:
            raise InvalidArgument("a value has letters that FIX cannot carry") from None
        except OSError as error:
            raise BrokerUnavailable(f"the message could not be written down: {error.strerror}") from None
        if self._options.logs_messages:
            self._log.debug("to the FIX broker: {message!r}", message=message)
        self.pump.flush()
        return number

    def next_id(self, what: str) -> str:
        """Return an id for a request that no other of this connection has."""
        return self._next(what)

    def _next(self, what: str) -> str:
        self._numbers += 1
        return f"{what}-{self._numbers}"

    def ask(self, key: str, name: str, message: Message, timeout: float) -> PendingQuestion[Message]:
        """Send a question; the room that understands its answers collects them and finishes it.

        A reject of the question fails it with BrokerError.
        """
        question: PendingQuestion[Message] = PendingQuestion(
            key, name, clock=self._clock, peer=_BROKER, on_over=self._question_over
        )
        self._questions[key] = question
        try:
            self._asked[self.send(message)] = key
        except TxTraderError:
            question.cancel()
            raise
        question.start_deadline(timeout)
        return question

    def _test_over(self, question: PendingQuestion[int]) -> None:
        self._tests.pop(str(question.key), None)

    def _question_over(self, question: PendingQuestion[Message]) -> None:
        if self._questions.get(str(question.key)) is question:
            del self._questions[str(question.key)]

    def question(self, key: str | None) -> PendingQuestion[Message] | None:
        """Return the question that is called so, None for one that nobody waits for."""
        return None if key is None else self._questions.get(key)

    def _note(self, message: Message) -> None:
        if message.type == _REPORT:
            self._heard(message)

    def _message(self, message: Message) -> None:
        if self._options.logs_messages:
            self._log.debug("from the FIX broker: {message!r}", message=message)
        self._listener.received(self, message)

    def sent(self, number: str | None) -> Message | None:
        """Return what we sent under a number, None where that is not kept."""
        try:
            text = self.store.sent(int(number or ""))
        except ValueError:
            return None
        return None if text is None else message_from_text(text)

    def refused(self, reject: Message) -> bool:
        """Fail the question that a reject (3, j) is about; tell whether there was one."""
        number = reject.get(45) or ""
        key = self._asked.get(int(number)) if number.isdecimal() else None
        question = self.question(key) or self.question(reject.get(379))
        if question is None:
            return key is not None  # one that nobody waits for any more
        code, text = code_and_text(reject)
        question.fail(BrokerError(f"the broker refused {question.name}: {text}", broker_code=code))
        return True


def code_and_text(reject: Message) -> tuple[str, str]:
    """Return the broker's code and words of a reject, of the session (3) or the application (j)."""
    tag = 373 if reject.type == "3" else 380
    code = f"{tag}={reject.get(tag) or 'none'}"
    text = reject.get(58) or "no reason given"
    blamed = reject.get(371)
    return code, text if blamed is None else f"{text} (tag {blamed})"
