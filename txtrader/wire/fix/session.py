"""A FIX session, either end, without I/O: logon, numbers, gaps, resends, heartbeats, rejects, logout.

    bytes -> frames -> dictionary -> time, identity, number -> events
    what is sent -> header, number, store -> bytes

Time is told in two ways: `now_ns` is the clock of what is written into messages, `handle_timeout` the one that runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from txtrader.errors import LocalProtocolError, RemoteProtocolError
from txtrader.wire.fix.dictionary import Dictionary, dictionary, is_admin
from txtrader.wire.fix.framing import Framer, encode, parse
from txtrader.wire.fix.message import Message
from txtrader.wire.fix.store import MemoryStore, Store
from txtrader.wire.fix.validation import Fault, Switches, find_fault

__all__ = [
    "FixSession",
    "Identity",
    "LoggedOn",
    "LoggedOut",
    "Profile",
    "SessionOptions",
    "Skipped",
    "TestAnswered",
    "Unsound",
]

SECOND = 1_000_000_000
_MOST_QUEUED = 10_000
_ROUTES = {50: 57, 57: 50, 142: 143, 143: 142, 115: 128, 128: 115, 116: 129, 129: 116, 144: 145, 145: 144}
_TEST = "TEST"
_LONGEST_HEARTBEAT = 86_400


class Identity(msgspec.Struct, frozen=True):
    """Who talks to whom, as we write it: `sender` is us."""

    begin_string: str
    sender: str
    target: str
    qualifier: str = ""


class SessionOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a session is set to; durations in seconds.

    `heartbeat` is what an initiator asks for.  `resets_on_logon` begins each logon with number 1 without being asked
    (`ResetOnLogon`); an initiator then asks with 141=Y.  `repeats_orders` False answers a resend request over
    application messages with a gap fill: what a client of a broker must do.  `repeats_for` limits the age, in seconds,
    of what is repeated at all: older ones are stepped over.  `tells_losses`: what the application will never get is
    told as `Unsound` (the dictionary rejects it) and `Skipped` (the peer moved its numbers on).  `header` are
    fields that each message has in its header (50, 57 ...), unless it brings its own.
    """

    heartbeat: int = 30
    logon_timeout: float = 10.0
    logout_timeout: float = 2.0
    time_limit: float = 120.0
    checks_time: bool = True
    checks_identity: bool = True
    resets_on_logon: bool = False
    repeats_orders: bool = True
    repeats_for: float | None = None
    tells_losses: bool = False
    appl_version: str = "9"
    username: str | None = None
    password: str | None = None
    switches: Switches = Switches()
    header: tuple[tuple[int, str], ...] = ()
    most: int = 64 * 1024


class Profile(msgspec.Struct):
    """What an acceptor finds for a logon: the identity's options and store; `refusal` is told in a logout instead."""

    options: SessionOptions
    store: Store
    refusal: str | None = None


class Identify(Protocol):
    """How an acceptor knows who is there: None for an unknown identity, or one that is connected already."""

    def __call__(self, identity: Identity, logon: Message) -> Profile | None: ...


class LoggedOn(msgspec.Struct, frozen=True):
    """The session stands; `was_reset` tells that numbers began again."""

    identity: Identity
    logon: Message
    was_reset: bool


class LoggedOut(msgspec.Struct, frozen=True):
    """The session is over and the connection to be closed; `text` says why, None after a plain logout."""

    text: str | None = None


class TestAnswered(msgspec.Struct, frozen=True):
    """The peer has answered our `test`: whatever was sent to it before has arrived, and no gap is open either way.

    `sending_time` is the peer's clock (52).
    """

    text: str
    sending_time: str


class Skipped(msgspec.Struct, frozen=True):
    """The peer has moved its numbers on (SequenceReset): what had the numbers between will not come."""

    begin: int
    end: int


class Unsound(msgspec.Struct, frozen=True):
    """A message of the application that the dictionary rejects; the peer has been told, and it will not come again."""

    message: Message
    fault: Fault


class FixSession:
    """See the module.  An acceptor is made with `identify`, an initiator with `identity` and `store`.

    `next_event` gives LoggedOn, LoggedOut, TestAnswered, by option Unsound and Skipped, and the messages of the
    application (also session rejects, 3) as `Message`, their first field tag 8.  After LoggedOut, or a
    RemoteProtocolError, the connection is to be closed once what is to be sent has left.
    """

    def __init__(
        self,
        now_ns: Callable[[], int],
        *,
        identify: Identify | None = None,
        identity: Identity | None = None,
        options: SessionOptions | None = None,
        store: Store | None = None,
    ) -> None:
        self._now_ns = now_ns
        self._identify = identify
        self.identity = identity
        self.options = options or SessionOptions()
        self.store: Store = store or MemoryStore()
        self.dictionary: Dictionary | None = None if identity is None else dictionary(identity.begin_string)
        self.heartbeat = self.options.heartbeat
        self.is_logged_on = False
        self.is_over = False
        self.spoil: Callable[[bytes], bytes] | None = None
        """What a simulator does to frames that leave."""
        self.omits: Callable[[Message], bool] | None = None
        """What a simulator does not send at all: such a message takes no number."""
        self.on_heard: Callable[[Message], None] | None = None
        """Called with each message of the application before its number counts: what is kept there is never missed."""
        self.frames = 0
        """How many frames came, garbled ones too: a sign of life."""
        self._framer = Framer(self.options.most)
        self._events: deque[Any] = deque()
        self._out: list[bytes] = []
        self._queue: dict[int, Message] = {}
        self._asked_upto = 0  # of the gap that a resend was asked for: the number that will close it
        self._has_asked_logon = False
        self._is_leaving = False
        self._awaits_reset = False
        self._has_tested = False
        self._tests: dict[str, None] = {}  # in the sequence of their asking
        self._has_heard = self._has_spoken = self._is_reading = False
        self._clock: float | None = None
        self._sent_at: float | None = None
        self._received_at: float | None = None
        self._ends_at: float | None = None
        self._stamp = (0, "")

    # -- bytes and events

    def receive_data(self, data: bytes) -> None:
        """Take bytes."""
        if not self.is_over:
            self._framer.feed(data)

    def receive_eof(self) -> None:
        """Take the end of the peer's bytes: the session is over, with a logout or without."""
        self.is_over = True
        self.is_logged_on = False

    def next_event(self) -> Any | None:
        """Return the next event, None when there is none; raises RemoteProtocolError."""
        while not self._events and not self.is_over:
            try:
                frame = self._framer.next_frame()
            except RemoteProtocolError:
                self.is_over = True
                raise
            if frame is None:
                return None
            self._is_reading = True
            self._frame(frame[0])
            self._is_reading = False
        return self._events.popleft() if self._events else None

    def data_to_send(self) -> bytes:
        """Return and forget what is to be sent."""
        data, self._out = b"".join(self._out), []
        return data

    def _frame(self, text: str | None) -> None:
        known = self.dictionary
        message: Message | None = None
        if text is not None:
            if known is None:
                known = self._dictionary_of(text)
            message = None if known is None else parse(text, known)
        self.frames += 1
        self._has_heard = True
        self._has_tested = False
        if message is None:
            if not self.is_logged_on and self._identify is not None:
                self._end("no logon")  # nobody knows yet who that is
            return
        assert known is not None
        if self.is_logged_on:
            self._take(message, known)
        else:
            self._first(message, known)

    def _dictionary_of(self, text: str) -> Dictionary | None:
        try:
            return dictionary(text[2 : text.index("\x01")])
        except (KeyError, ValueError):
            return None

    # -- logon

    def start(self) -> None:
        """Begin as the initiator: send the logon."""
        assert self.identity is not None and self._identify is None, "only an initiator begins"
        options = self.options
        if options.resets_on_logon:
            self.store.reset()
        logon = Message("A").add(98, "0").add(108, options.heartbeat)
        if options.resets_on_logon:
            logon.add(141, "Y")
        if options.username is not None:
            logon.add(553, options.username)
        if options.password is not None:
            logon.add(554, options.password)
        if self.dictionary is not None and self.dictionary.is_transport_apart:
            logon.add(1137, options.appl_version)
        self._has_asked_logon = True
        self._send(logon)

    def _first(self, message: Message, known: Dictionary) -> None:
        """Take the first message: a logon, or the end without a word."""
        if self._identify is None:
            self._logon_answer(message, known)
            return
        if message.type != "A" or find_fault(message, known) is not None or _heartbeat_of(message) is None:
            self._end("the first message is no sound logon")
            return
        identity = Identity(message[8], message[56], message[49])
        if not self._is_timely(message):
            self._end("the logon's time is off")
            return
        profile = self._identify(identity, message)
        if profile is None:
            self._end("an unknown identity, or one that is connected")
            return
        self.identity, self.dictionary = identity, known
        self.options, self.store = profile.options, profile.store
        if profile.refusal is not None:
            self._logout(profile.refusal)
            self._end(profile.refusal)
            return
        is_reset = message.is_set(141)
        if is_reset or self.options.resets_on_logon:
            self.store.reset()
        number = message.number(34, 0) or 0
        expected = self.store.expected
        if number < expected and not message.is_set(43):
            self._too_low(expected, number)
            return
        self.heartbeat = _heartbeat_of(message) or 0
        self._answer_logon(message, is_reset=is_reset)
        self._events.append(LoggedOn(identity, message, is_reset or self.options.resets_on_logon))
        self._after_logon(message, number)

    def _answer_logon(self, logon: Message, *, is_reset: bool) -> None:
        answer = Message("A").add(98, logon[98]).add(108, logon[108])
        if is_reset:
            answer.add(141, "Y")
        answer.add(1137, logon.get(1137))
        self.is_logged_on = True
        self._send(answer)

    def _after_logon(self, logon: Message, number: int) -> None:
        """Count a logon, or ask for what came before it."""
        expected = self.store.expected
        if number > expected:
            self._ask_resend(number)
        else:
            self.store.set_expected(expected + 1)

    def _logon_answer(self, message: Message, known: Dictionary) -> None:
        assert self.identity is not None
        if message.type == "5":
            self._end(message.get(58) or "logged out in answer to the logon")
            return
        fault = find_fault(message, known, self.options.switches)
        heartbeat = _heartbeat_of(message)
        if message.type != "A" or fault is not None or heartbeat is None or message[8] != self.identity.begin_string:
            self._end("the answer to the logon is none")
            return
        if (message.get(49), message.get(56)) != (self.identity.target, self.identity.sender):
            self._logout("CompID problem")
            self._end("the answer to the logon is somebody else's")
            return
        if message.is_set(141) and not self.options.resets_on_logon:
            self.store.set_expected(1)
        expected, number = self.store.expected, message.number(34, 0) or 0
        if number < expected and not message.is_set(43):
            self._too_low(expected, number)
            return
        self.heartbeat = heartbeat
        self.is_logged_on = True
        self._events.append(LoggedOn(self.identity, message, message.is_set(141)))
        self._after_logon(message, number)

    # -- what comes after the logon

    def _take(self, message: Message, known: Dictionary) -> None:
        assert self.identity is not None
        if message[8] != self.identity.begin_string:
            self._logout("Incorrect BeginString")
            return
        fault = find_fault(message, known, self.options.switches)
        number = self._number(message)
        if fault is not None:
            self._reject(message, fault)
            if number == self.store.expected and message.type != "5":
                self._count()
                if self.options.tells_losses and not is_admin(message.type):
                    self._events.append(Unsound(message, fault))
                self._drain()
            return
        if not self._is_timely(message):
            self._reject_and_leave(message, 10)
            return
        if self.options.checks_identity and (message[49], message[56]) != (self.identity.target, self.identity.sender):
            self._reject_and_leave(message, 9)
            return
        if number is not None:
            self._in_turn(message, number)

    def _number(self, message: Message) -> int | None:
        try:
            return message.number(34)
        except ValueError:
            return None

    def _in_turn(self, message: Message, number: int) -> None:
        """Look at the number, then act."""
        kind, expected = message.type, self.store.expected
        if kind == "A" and message.is_set(141):
            self._reset_in_session(message)
            return
        if kind == "5":
            self._left(message, number)
            return
        if kind == "4" and not message.is_set(123):
            self._reset_to(message)
            return
        if kind == "2" and number != expected:
            self._resend(message)  # at once, and not counted: both sides may be asking
            if number > expected:
                self._ask_resend(number)
            return
        if number > expected:
            if len(self._queue) < _MOST_QUEUED:
                self._queue[number] = message
            self._ask_resend(number)
            return
        if number < expected:
            self._again(message, expected, number)
            return
        self._process(message)
        self._drain()

    def _process(self, message: Message) -> None:
        """Act on a message whose turn it is, and count it."""
        kind = message.type
        if kind == "4":
            self._gap_fill(message)
            return
        if self.on_heard is not None and not is_admin(kind):
            self.on_heard(message)
        self._count()
        if kind == "1":
            self._send(Message("0").add(112, message[112]))
        elif kind == "2":
            self._resend(message)
        elif kind == "A":
            self._reject(message, Fault(5, 35))
        elif kind == "0":
            text = message.get(112)
            if text is not None and text in self._tests:
                del self._tests[text]
                self._events.append(TestAnswered(text, message[52]))
        else:
            self._events.append(message)

    def _count(self) -> None:
        self.store.set_expected(self.store.expected + 1)

    def _drain(self) -> None:
        """Process what was kept, now that its turn has come."""
        queue = self._queue
        while not self.is_over and self.store.expected in queue:
            self._process(queue.pop(self.store.expected))
        expected = self.store.expected
        if queue and min(queue) < expected:
            self._queue = {number: message for number, message in queue.items() if number >= expected}
        if self._asked_upto and expected > self._asked_upto:
            self._asked_upto = 0
            self._test_again()

    def _ask_resend(self, number: int) -> None:
        """Ask for what is missing below `number`, unless that was done."""
        if self._asked_upto:
            return
        self._asked_upto = number
        self._send(Message("2").add(7, self.store.expected).add(16, "0"))

    def _again(self, message: Message, expected: int, number: int) -> None:
        """Take a message whose number was used before."""
        if not message.is_set(43):
            self._too_low(expected, number)
            return
        if message.type == "4":
            return
        original = message.get(122)
        if original is None:
            self._reject(message, Fault(1, 122))
        elif original[:17] > message[52][:17]:
            self._reject_and_leave(message, 10)

    def _gap_fill(self, message: Message) -> None:
        self._move_on(message)

    def _reset_to(self, message: Message) -> None:
        before = self.store.expected
        self._move_on(message)
        if self.store.expected > before and self.options.tells_losses:
            self._events.append(Skipped(before, self.store.expected))
        self._drain()

    def _move_on(self, message: Message) -> None:
        new = message.number(36, 0) or 0
        if new < self.store.expected:
            self._reject(message, Fault(5))
        else:
            self.store.set_expected(new)

    def _reset_in_session(self, message: Message) -> None:
        """Both sides begin again at 1: asked by the peer, or its answer to our asking."""
        if self._awaits_reset:
            self._awaits_reset = False
        else:
            self.store.reset()
            self._queue.clear()
            self._asked_upto = 0
            self._answer_logon(message, is_reset=True)
        self.store.set_expected((message.number(34, 1) or 1) + 1)

    def _left(self, message: Message, number: int) -> None:
        if number == self.store.expected:
            self._count()
        if not self._is_leaving:
            self._send(Message("5"))
        self._end(message.get(58))

    # -- resends

    def _resend(self, request: Message) -> None:
        """Repeat application messages, and step over the rest in as few gap fills as there can be."""
        last = self.store.next_number - 1
        begin, end = request.number(7, 1) or 1, request.number(16, 0) or 0
        if end == 0 or end > last:
            end = last
        gap: int | None = None
        for number in range(max(1, begin), end + 1):
            kept = self.store.sent(number)
            message = None if kept is None else self._kept(kept)
            if message is None or is_admin(message.type) or not self._is_repeated(message):
                gap = number if gap is None else gap
                continue
            if gap is not None:
                self._fill(gap, number)
                gap = None
            self._repeat(message, number)
        if gap is not None:
            self._fill(gap, end + 1)
        self._test_again()

    def _test_again(self) -> None:
        """Repeat the tests without an answer: what closes a gap, on either side, steps over those and their answers."""
        for text in self._tests:
            self._send(Message("1").add(112, text))

    def _is_repeated(self, message: Message) -> bool:
        """Tell whether the application's message may be sent again."""
        options = self.options
        if not options.repeats_orders:
            return False
        return options.repeats_for is None or self._age(message) <= options.repeats_for

    def _kept(self, text: str) -> Message | None:
        assert self.dictionary is not None
        return parse(text, self.dictionary)

    def _fill(self, number: int, new: int) -> None:
        message = Message("4").add(123, "Y").add(36, new)
        self._write(message, number, [(43, "Y"), (122, self._time())])

    def _repeat(self, message: Message, number: int) -> None:
        assert self.dictionary is not None
        body = [(tag, value) for tag, value in message.fields if tag not in self.dictionary.header]
        header = [
            (tag, value)
            for tag, value in message.fields
            if tag in self.dictionary.header and tag not in (8, 9, 34, 35, 43, 49, 52, 56, 122)
        ]
        self._write(Message(message.type, [*header, *body]), number, [(43, "Y"), (122, message[52])], is_sorted=True)

    # -- rejects and the end

    def _reject(self, message: Message, fault: Fault) -> None:
        """Send the session's reject, with the message's route turned round."""
        assert self.dictionary is not None
        answer = Message("3")
        for tag, turned in _ROUTES.items():
            if value := message.get(tag):
                answer.add(turned, value)
        answer.add(45, self._number(message)).add(58, fault.text).add(371, fault.tag).add(372, message.type)
        if fault.reason <= self.dictionary.last_reason:
            answer.add(373, fault.reason)
        self._send(answer)

    def refuse_type(self, message: Message) -> None:
        """Answer an application message of a kind that is not served here (BusinessMessageReject)."""
        answer = Message("j")
        for tag, turned in _ROUTES.items():
            if value := message.get(tag):
                answer.add(turned, value)
        answer.add(45, self._number(message)).add(58, "Unsupported Message Type").add(372, message.type).add(380, "3")
        if self.dictionary is not None and self.dictionary.is_transport_apart:
            answer.add(1137, self.options.appl_version)
        self._send(answer)

    def _reject_and_leave(self, message: Message, reason: int) -> None:
        self._reject(message, Fault(reason))
        if self._number(message) == self.store.expected:
            self._count()
        self._logout(None)

    def _too_low(self, expected: int, number: int) -> None:
        text = f"MsgSeqNum too low, expecting {expected} but received {number}"
        self._logout(text)
        self._end(text)

    def log_out(self, text: str | None = None) -> None:
        """Leave in order: the peer's logout ends the session, or the time that it has for it."""
        if self.is_logged_on and not self._is_leaving:
            self._logout(text)
        elif not self.is_logged_on:
            self._end(text)

    def test(self, text: str) -> None:
        """Ask for a sign of life that only this answers; its answer comes as TestAnswered.

        Raises LocalProtocolError before the logon.
        """
        if not self.is_logged_on:
            raise LocalProtocolError("not logged on")
        self._tests[text] = None
        self._send(Message("1").add(112, text))

    def ask_again(self, begin: int) -> None:
        """Ask for everything from a number on, whether it is missing or not; what was had already is ignored."""
        self._send(Message("2").add(7, begin).add(16, "0"))

    def reset(self) -> None:
        """Begin again at 1 on both sides, in the middle of the session."""
        if not self.is_logged_on:
            raise LocalProtocolError("not logged on")
        self.store.reset()
        self._awaits_reset = True
        self._send(Message("A").add(98, "0").add(108, self.heartbeat).add(141, "Y"))

    def _logout(self, text: str | None) -> None:
        self._is_leaving = True
        self._send(Message("5").add(58, text))
        self._ends_at = (self._clock or 0.0) + self.options.logout_timeout

    def _end(self, text: str | None) -> None:
        self.is_over = True
        self.is_logged_on = False
        self._events.append(LoggedOut(text))

    # -- out

    def send(self, message: Message) -> None:
        """Send a message of the application, under `store.next_number`.

        The header is ours but for route fields (50, 57, 97, 115 ...) that the message brings.  Raises
        LocalProtocolError before the logon, or for a value that cannot be written.
        """
        if not self.is_logged_on:
            raise LocalProtocolError("not logged on")
        self._send(message)

    def keep(self, message: Message) -> None:
        """Write a message into the store alone, for a peer that is away: it asks for it when it is back."""
        self._send(message)
        self._out.clear()

    def _send(self, message: Message) -> None:
        if self.omits is not None and self.omits(message):
            return
        self._write(message, self.store.next_number, [], keeps=True)

    def _write(
        self,
        message: Message,
        number: int,
        extra: list[tuple[int, str]],
        *,
        keeps: bool = False,
        is_sorted: bool = False,
    ) -> None:
        known, identity = self.dictionary, self.identity
        if known is None or identity is None:
            return
        header = [
            (34, str(number)),
            (49, identity.sender),
            (52, self._time()),
            (56, identity.target),
            *extra,
            *[pair for pair in message.fields if pair[0] in known.header],
        ]
        if self.options.header:
            own = {tag for tag, _ in header}
            header += [pair for pair in self.options.header if pair[0] not in own]
        header.sort()
        body = [pair for pair in message.fields if pair[0] not in known.header]
        if not is_sorted:
            body = self._in_order(message.type, body)
        fields = [(35, message.type), *header, *body]
        data = encode(identity.begin_string, fields)
        if keeps:
            # A logon is never repeated: its number is kept, and nothing that is secret.
            kept = data if message.type != "A" else encode(identity.begin_string, fields[: len(header) + 1])
            self.store.keep(number, kept[: kept.rindex(b"\x0110=")].decode("latin-1"))
        self._out.append(data if self.spoil is None else self.spoil(data))
        self._sent_at = self._clock
        self._has_spoken |= self._is_reading

    def _in_order(self, type: str, body: list[tuple[int, str]]) -> list[tuple[int, str]]:
        """Sort a body by tag; a group stays whole, at the place of its count."""
        assert self.dictionary is not None
        spec = self.dictionary.for_type(type)
        if spec is None or not spec.groups or spec.groups.keys().isdisjoint([tag for tag, _ in body]):
            return sorted(body, key=_tag)
        units: list[list[tuple[int, str]]] = []
        place = 0
        while place < len(body):
            unit = [body[place]]
            group = spec.groups.get(body[place][0])
            place += 1
            while group is not None and place < len(body) and body[place][0] in group.tags:
                unit.append(body[place])
                place += 1
            units.append(unit)
        units.sort(key=lambda unit: unit[0][0])
        return [pair for unit in units for pair in unit]

    def stamp(self) -> str:
        """Return the time as the next message would carry it."""
        return self._time()

    def _time(self) -> str:
        milliseconds = self._now_ns() // 1_000_000
        second = milliseconds // 1000
        if self._stamp[0] != second:
            self._stamp = (second, datetime.fromtimestamp(second, UTC).strftime("%Y%m%d-%H:%M:%S"))
        return f"{self._stamp[1]}.{milliseconds % 1000:03d}"

    def _is_timely(self, message: Message) -> bool:
        if not self.options.checks_time:
            return True
        try:
            return abs(self._age(message)) <= self.options.time_limit
        except ValueError:
            return False

    def _age(self, message: Message) -> float:
        """Return how many seconds ago a message says it was sent.  Raises ValueError for a time that is none."""
        told = datetime.strptime((message.get(52) or "")[:17], "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
        return self._now_ns() / SECOND - told.timestamp()

    # -- time that runs

    def next_deadline(self) -> float | None:
        """Return the second at which `handle_timeout` has something to do; None when nothing runs."""
        if self.is_over:
            return None
        if self._clock is None:
            return 0.0
        if self._ends_at is not None:
            return self._ends_at
        if not self.is_logged_on or not self.heartbeat:
            return None
        sent = self._sent_at if self._sent_at is not None else self._clock
        received = self._received_at if self._received_at is not None else self._clock
        if self._has_tested:
            return received + 2.4 * self.heartbeat
        return min(sent + self.heartbeat, received + 1.2 * self.heartbeat)

    def handle_timeout(self, now: float) -> None:
        """Do what is due; raises RemoteProtocolError when the peer is gone."""
        if self._clock is None:
            self._sent_at = self._received_at = now
            self._ends_at = None if self.is_logged_on else now + self.options.logon_timeout
        self._clock = now
        # What was read, and answered, since the last time was so just now: the time is told after each piece of data.
        if self._has_heard:
            self._received_at = now
        if self._has_spoken:
            self._sent_at = now
        self._has_heard = self._has_spoken = False
        if self.is_over:
            return
        if self.is_logged_on and not self._is_leaving:
            self._ends_at = None
        if self._ends_at is not None:
            if now >= self._ends_at:
                self._time_is_over()
            return
        if not self.is_logged_on or not self.heartbeat:
            return
        assert self._sent_at is not None and self._received_at is not None
        silence = now - self._received_at
        if silence >= 2.4 * self.heartbeat:
            self.is_over = True
            self.is_logged_on = False
            raise RemoteProtocolError(f"nothing was heard for {silence:.1f} s")
        if silence >= 1.2 * self.heartbeat:
            if not self._has_tested:
                self._has_tested = True
                self._send(Message("1").add(112, _TEST))
                self._sent_at = now
            return
        if now - self._sent_at >= self.heartbeat:
            self._send(Message("0"))
            self._sent_at = now

    def _time_is_over(self) -> None:
        if self._is_leaving or self.is_logged_on:
            self._end("no answer to the logout")
            return
        self.is_over = True
        raise RemoteProtocolError("no logon in time")


def _heartbeat_of(logon: Message) -> int | None:
    """Return the interval that a logon asks for, None for one that nobody can keep."""
    try:
        interval = logon.number(108)
    except ValueError:
        return None
    return interval if interval is not None and 0 <= interval <= _LONGEST_HEARTBEAT else None


def _tag(pair: tuple[int, str]) -> int:
    return pair[0]
