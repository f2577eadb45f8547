"""How a case gets its connections: dialled to an acceptor, or taken from an initiator that comes by itself."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from txtrader.exsim.conformance.case import ACCEPTOR, INITIATOR, Mismatch, Skipped
from txtrader.exsim.conformance.frames import BEGIN_STRINGS, Received, shown
from txtrader.exsim.conformance.line import Line, Said
from txtrader.exsim.conformance.peer import Peer
from txtrader.exsim.conformance.plan import Plan
from txtrader.wire.fix.dictionary import dictionary

__all__ = ["Stage", "Unreachable", "listen"]

_TRIES = (0.1, 0.4, 1.0)
_BACKLOG = 16


class Unreachable(Exception):
    """There is nobody to test: no connection is taken, or none comes."""


def listen(plan: Plan) -> socket.socket:
    """Listen for an initiator.  Raises Unreachable."""
    try:
        return socket.create_server((plan.host, plan.port), backlog=_BACKLOG)
    except OSError as error:
        raise Unreachable(f"cannot listen on {plan.host}:{plan.port}: {error.strerror}") from None


class Stage:
    """One case's view of the target.  `broken` are the cases that failed before, `record` is all that was said."""

    def __init__(
        self, plan: Plan, now_ns: Callable[[], int], broken: set[str], listener: socket.socket | None = None
    ) -> None:
        self.plan = plan
        self.known = dictionary(BEGIN_STRINGS[plan.version])
        self.record: list[Said] = []
        self._peers: list[Peer] = []
        self._now_ns = now_ns
        self._broken = broken
        self._listener = listener
        self._begun = time.monotonic()

    @property
    def is_acceptor(self) -> bool:
        """Tell whether the target is the acceptor: then we are the initiator."""
        return self.plan.role == ACCEPTOR

    @property
    def now_ns(self) -> int:
        """The clock of what is written."""
        return self._now_ns()

    def connect(self) -> Peer:
        """Return a new connection; an initiator's Logon is read already.  Raises Unreachable."""
        line = Line(self._socket(), self.plan.timeout, self._begun, self.record)
        peer = Peer(line, self.plan, self._now_ns, self._begun + self.plan.limit, self._broken)
        self._peers.append(peer)
        if not self.is_acceptor:
            logon = peer.expect("A", what="Logon (35=A) as the first message of a connection")
            peer.logon = logon
            peer.heartbeat = _interval(logon)
        return peer

    def log_on(self, *more: tuple[int, object], number: int | None = None, resets: bool | None = None) -> Peer:
        """Return a connection that is logged on, both sides at 1 unless `number` and `resets` say otherwise.

        Raises Skipped where it is known that nobody can log on.
        """
        if "logon.accepted" in self._broken:
            raise Skipped("nobody can log on: see logon.accepted")
        if "initiator.logon" in self._broken:
            raise Skipped("it does not log on: see initiator.logon")
        return self._dial(more, number, resets) if self.is_acceptor else self._answer(more)

    def _dial(self, more: tuple[tuple[int, object], ...], number: int | None, resets: bool | None) -> Peer:
        wait = iter(_TRIES)
        while True:
            peer = self.connect()
            self.send_logon(peer, *more, number=number, resets=resets)
            try:
                answer = peer.expect("A", what="Logon (35=A) in answer to ours")
            except Mismatch:
                # The connection of the case before may not be over yet for the target.
                pause = next(wait, None)
                if peer.is_open or pause is None or any(one.type == "5" for one in peer.received):
                    raise
                peer.cut()
                time.sleep(pause)
                continue
            peer.is_logged_on = True
            peer.heartbeat = _interval(answer)  # ours, or what it says instead
            return peer

    def _answer(self, more: tuple[tuple[int, object], ...]) -> Peer:
        peer = self.connect()
        assert peer.logon is not None
        if peer.logon.get(34) != "1":
            text = f"it logs on with number {peer.logon.get(34)}: set it to begin at 1 at each logon (141=Y)"
            raise Skipped(text)
        self.answer_logon(peer, *more)
        return peer

    def send_logon(
        self,
        peer: Peer,
        *more: tuple[int | str, object],
        number: int | None = None,
        resets: bool | None = None,
        without: tuple[int, ...] = (),
        instead: Mapping[int | str, object] | None = None,
        **wrong: Any,
    ) -> None:
        """Send a Logon: `number` None is 1, `resets` None as the plan says; `wrong` goes to `Peer.build`."""
        body = self._logon_body(resets)
        body.update(instead or {})
        fields = [(tag, value) for tag, value in body.items() if tag not in without]
        peer.next_number = 1 if number is None else number
        peer.send("A", *fields, *more, **wrong)

    def logon_bytes(self, peer: Peer) -> bytes:
        """Make the bytes of a Logon, for a case that sends more with them."""
        peer.next_number = 2
        return peer.build("A", *self._logon_body(None).items(), number=1)

    def _logon_body(self, resets: bool | None) -> dict[int | str, object]:
        plan = self.plan
        body: dict[int | str, object] = {98: "0", 108: plan.heartbeat}
        if plan.resets if resets is None else resets:
            body[141] = "Y"
        if plan.username is not None:
            body[553] = plan.username
        if plan.password is not None:
            body[554] = plan.password
        if plan.version == "5.0SP2":
            body[1137] = "9"
        body.update({tag: value for tag, value in plan.fields if tag not in self.known.header})
        return body

    def answer_logon(
        self,
        peer: Peer,
        *more: tuple[int, object],
        number: int = 1,
        instead: dict[int, object] | None = None,
        **wrong: Any,
    ) -> None:
        """Answer an initiator's Logon as it asks."""
        assert peer.logon is not None
        body: dict[int, object] = {98: "0", 108: peer.logon.get(108, "0")}
        if peer.logon.is_set(141):
            body[141] = "Y"
        if self.plan.version == "5.0SP2":
            body[1137] = "9"
        body.update(instead or {})
        peer.next_number = number
        peer.send("A", *body.items(), *more, **wrong)
        peer.is_logged_on = True

    def after_session(self) -> tuple[int, int]:
        """Log on and out again; return the next numbers, ours and theirs, for a logon that goes on with them."""
        if not self.plan.resets:
            raise Skipped("the target begins at 1 at each logon (--no-reset)")
        peer = self.log_on()
        peer.fence()
        peer.send("5")
        answers = peer.collect(self.plan.timeout, "5", at_most=1)
        peer.is_logged_on = False
        peer.cut()
        if not answers or answers[0].type != "5":
            raise Skipped("which numbers are due is not known, a Logout having no answer: see logout.answered")
        return peer.next_number, peer.expected

    def require(self, message: Received, has: Mapping[int, str], name: str) -> None:
        """Raise Mismatch unless a message holds these fields."""
        for tag, value in has.items():
            if message.get(tag) != value:
                raise Mismatch(f"{name} with {tag}={value}", shown(message.data))

    def seconds_from_now(self, text: str) -> float:
        """Return how far a well formed time stamp is from our clock."""
        then = datetime.strptime(text[:17], "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
        return then.timestamp() - self._now_ns() / 1e9

    def close(self) -> None:
        """Leave every connection, in order where that is possible."""
        for peer in self._peers:
            peer.leave()

    def _socket(self) -> socket.socket:
        plan = self.plan
        if self._listener is not None:
            assert plan.role == INITIATOR
            self._listener.settimeout(plan.patience)
            try:
                return self._listener.accept()[0]
            except TimeoutError:
                raise Unreachable(f"no initiator came in {plan.patience:g} s") from None
        try:
            plain = socket.create_connection((plan.host, plan.port), timeout=plan.timeout)
            if not plan.uses_tls:
                return plain
            return ssl.create_default_context().wrap_socket(plain, server_hostname=plan.host)
        except OSError as error:
            raise Unreachable(f"cannot connect to {plan.host}:{plan.port}: {error.strerror or error}") from None


def _interval(logon: Received) -> int:
    """Return the interval of heartbeats that a Logon tells, 0 for none."""
    text = logon.get(108) or ""
    return int(text) if text.isdecimal() else 0
