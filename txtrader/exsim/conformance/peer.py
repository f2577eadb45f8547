"""One connection to the target, spoken by hand: nothing is sent but what the case, or plain politeness, asks for.

Politeness is a Heartbeat when nothing was sent for a while, and the answer to a TestRequest; a case can leave it out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from txtrader.exsim.conformance.case import Mismatch, Skipped
from txtrader.exsim.conformance.frames import BEGIN_STRINGS, Received, frame, shown
from txtrader.exsim.conformance.line import Line
from txtrader.exsim.conformance.plan import Plan
from txtrader.wire.fix.dictionary import dictionary, is_admin

__all__ = ["Peer"]

Wanted = Mapping[int, str | tuple[str, ...] | None]
"""What fields of a message must be: one text, one of several, or None: not there."""

_LEAVING = 1.0
_LAST_REASON_OF_42 = 11


class Peer:
    """One connection.  `next_number` is that of our next message, `expected` that of theirs."""

    def __init__(self, line: Line, plan: Plan, now_ns: Callable[[], int], ends: float, broken: set[str]) -> None:
        self.plan = plan
        self.next_number = 1
        self.expected = 1
        self.heartbeat = plan.heartbeat
        self.is_polite = True
        self.is_logged_on = False
        self.logon: Received | None = None
        """The initiator's Logon, where the target is one."""
        self.received: list[Received] = []
        self._known = dictionary(BEGIN_STRINGS[plan.version])
        self._line = line
        self._now_ns = now_ns
        self._ends = ends
        self._broken = broken
        self._fences = 0

    @property
    def is_open(self) -> bool:
        """Tell whether the target has not closed."""
        return self._line.is_open

    # -- out

    def time(self, seconds: float = 0.0) -> str:
        """Write now, and so many seconds, as a time stamp."""
        at = self._now_ns() / 1e9 + seconds
        return datetime.fromtimestamp(at, UTC).strftime("%Y%m%d-%H:%M:%S.%f")[:-3]

    def build(
        self,
        kind: str,
        *body: tuple[int | str, object],
        number: int | str | None = None,
        header: Mapping[int, object] | None = None,
        begin_string: str | None = None,
        length: int | None = None,
        checksum: str | None = None,
    ) -> bytes:
        """Make a message, sound but for what is asked.  `header` replaces header fields, None takes one out."""
        fields: dict[int, object] = {
            34: self.next_number if number is None else number,
            49: self.plan.sender,
            56: self.plan.target,
            52: self.time(),
            **{tag: value for tag, value in self.plan.fields if tag in self._known.header},
            **(header or {}),
        }
        return frame(
            begin_string or BEGIN_STRINGS[self.plan.version],
            [(35, kind), *[(tag, value) for tag, value in fields.items() if value is not None], *body],
            length=length,
            checksum=checksum,
        )

    def send(self, kind: str, *body: tuple[int | str, object], number: int | None = None, **more: Any) -> int:
        """Send a message; without `number` it takes the next one.  Returns its number."""
        used = self.next_number if number is None else number
        self.send_bytes(self.build(kind, *body, number=used, **more))
        if number is None:
            self.next_number += 1
        return used

    def send_bytes(self, data: bytes, piece: int | None = None) -> None:
        """Send bytes as they are, `piece` of them at a time."""
        self._line.send(data, piece)

    def say_again(self, kind: str, *body: tuple[int | str, object], number: int, **more: Any) -> None:
        """Send a message marked as a possible duplicate, with the time of its first sending."""
        self.send(kind, *body, number=number, header={43: "Y", 122: self.time(-1), **more.pop("header", {})}, **more)

    # -- in

    def expect(
        self,
        *kinds: str,
        has: Wanted | None = None,
        what: str = "",
        within: float | None = None,
        skips: tuple[str, ...] = (),
        takes_plain: bool = False,
    ) -> Received:
        """Return the next message, which must be of one of these kinds and hold these fields.

        Messages of kinds in `skips`, of the application where nobody asked for them, and Heartbeats that answer nothing
        (unless `takes_plain`) are passed over.
        """
        expected = what or _describe(kinds, has or {})
        found = self._next(kinds, within, expected, skips, takes_plain=takes_plain)
        if found is None:
            raise Mismatch(expected, "the connection was closed")
        if found.type not in kinds or not _holds(found, has or {}):
            raise Mismatch(expected, shown(found.data))
        return found

    def expect_reject(self, number: int, reason: int | tuple[int, ...], tag: int | None = None) -> Received:
        """Expect a Reject of the message of this number; FIX 4.2 has no words for reasons above 11."""
        reasons = (reason,) if isinstance(reason, int) else reason
        has: dict[int, str | tuple[str, ...] | None] = {45: str(number)}
        if tag is not None:
            has[371] = str(tag)
        if self.plan.version != "4.2" or min(reasons) <= _LAST_REASON_OF_42:
            has[373] = tuple(str(one) for one in reasons)
        return self.expect("3", has=has)

    def expect_logout(self, why: str) -> Received:
        """Expect a Logout and the end of the connection; we answer, as is due."""
        found = self.expect("5", what=f"Logout (35=5), because {why}")
        self.send("5")
        self.expect_end()
        return found

    def expect_end(self, within: float | None = None) -> None:
        """Expect that the target closes the connection, and says nothing before."""
        expected = "the end of the connection"
        found = self._next((), within, expected)
        if found is not None:
            raise Mismatch(expected, shown(found.data))

    def expect_refusal(self, why: str, *, may_stay: bool = False) -> None:
        """Expect that nobody is logged on: the connection ends, with or without a word, but never with a Logon.

        `may_stay`: to say nothing at all is as good.
        """
        expected = f"no Logon and the end of the connection, because {why}"
        if not may_stay:
            self.await_end(expected, "5", "3", "j")
            return
        for found in self.collect(min(self.plan.timeout, 2.0), "5", "3", "j"):
            if found.type not in ("5", "3", "j"):
                raise Mismatch(expected, shown(found.data))

    def await_end(self, expected: str, *allowed: str, within: float | None = None) -> None:
        """Expect the end of the connection; messages of these kinds may come before, and a Logout is answered."""
        ends = time.monotonic() + (self.plan.timeout if within is None else within)
        while (found := self._next(allowed, max(0.0, ends - time.monotonic()), expected)) is not None:
            if found.type not in allowed:
                raise Mismatch(expected, shown(found.data))
            if found.type == "5":
                self.send("5")

    def fence(self, what: str = "the session to go on", *, skips: tuple[str, ...] = ()) -> None:
        """Prove that all sent so far was taken without a word, and that our next number is the one that is expected."""
        if "heartbeat.test-request" in self._broken:
            raise Skipped("no proof without an answer to a TestRequest: see heartbeat.test-request")
        self._fences += 1
        name = f"FENCE{self._fences}"
        self.send("1", (112, name))
        self.expect("0", has={112: name}, what=f"{what}: Heartbeat (35=0) with 112={name}", skips=skips)

    def next_of_resend(self, expected: str, *kinds: str) -> Received:
        """Return the next message that is marked as resent (43=Y), or of one of these kinds."""
        ends = time.monotonic() + self.plan.timeout
        while (found := self._read(ends, expected)) is not None:
            if found.is_set(43) or found.type in kinds or found.type == "4":
                return found
            if found.type == "1" and self.is_polite:
                self.send("0", (112, found.get(112, "")))
            elif found.type != "0" and (is_admin(found.type) or found.type == "j"):
                raise Mismatch(expected, shown(found.data))
        raise Mismatch(expected, "the connection was closed")

    def collect(self, seconds: float, *kinds: str, at_most: int | None = None) -> list[Received]:
        """Return all that comes in a while, or until there are so many; plain Heartbeats are left out."""
        found: list[Received] = []
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            try:
                message = self._next(kinds, left, "")
            except Mismatch:
                break
            if message is None:
                break
            found.append(message)
            if at_most is not None and len(found) >= at_most:
                break
        return found

    def _next(
        self,
        kinds: tuple[str, ...],
        within: float | None,
        expected: str,
        skips: tuple[str, ...] = (),
        *,
        takes_plain: bool = False,
    ) -> Received | None:
        """Return the next message that counts, None at the end; raises Mismatch when nothing comes in time."""
        ends = time.monotonic() + (self.plan.timeout if within is None else within)
        while True:
            found = self._read(ends, expected)
            if found is None:
                return None
            if found.type == "0" and 112 not in found and not takes_plain:
                continue
            if found.type == "A" and self._is_repeated_logon(kinds):
                continue
            if found.type in kinds:
                return found
            if found.type == "1" and self.is_polite:
                self.send("0", (112, found.get(112, "")))
                continue
            if found.type in skips or (not is_admin(found.type) and found.type not in ("j", "")):
                continue
            return found

    def _is_repeated_logon(self, kinds: tuple[str, ...]) -> bool:
        """Tell whether an initiator says its first word again: QuickFIX may, where our answer crosses its timer."""
        return self.logon is not None and "A" not in kinds and all(one.type == "A" for one in self.received)

    def _read(self, ends: float, expected: str) -> Received | None:
        """Return the next message of any kind, None at the end; raises Mismatch when the time is over."""
        line = self._line
        while True:
            now = time.monotonic()
            if now >= self._ends:  # also where messages that do not count never end
                raise Mismatch(expected, f"the case takes longer than {self.plan.limit:g} s")
            found = line.take() or (line.take(is_idle=True) if now >= ends or not line.is_open else None)
            if found is not None:
                self._count(found)
                return found
            if not line.is_open:
                return None
            if now >= ends:
                rest = f"; a part of a message: {shown(line.rest)}" if line.rest else ""
                raise Mismatch(expected, f"nothing came in time{rest}")
            self._wait(min(ends, self._ends) - now)

    def _wait(self, seconds: float) -> None:
        """Wait for bytes; be polite meanwhile."""
        if self.is_polite and self.is_logged_on and self.heartbeat:
            due = self._line.sent_at + self.heartbeat - time.monotonic()
            if due <= 0:
                self.send("0")
                return
            seconds = min(seconds, due)
        self._line.poll(seconds)

    def _count(self, found: Received) -> None:
        """Look at a message's number."""
        self.received.append(found)
        text = found.get(34, "")
        number = int(text) if text is not None and text.isdecimal() else 0
        if found.type == "A" and found.is_set(141):
            self.expected = number
        if not found.is_set(43) and not (found.type == "4" and not found.is_set(123)):
            if number != self.expected and number:
                found.flaws.append(f"number: it is {number} where {self.expected} was due")
            self.expected = number + 1

    # -- the end

    def cut(self) -> None:
        """Close without a word, and wait until the target has noticed."""
        self.is_logged_on = False
        self._line.cut()

    def leave(self) -> None:
        """Log out, where we are logged on, judging nothing; then close."""
        if self.is_open and self.is_logged_on:
            self.send("5")
            self._line.drain(min(_LEAVING, self.plan.timeout))
        self.cut()


_NAMES = {
    "0": "Heartbeat",
    "1": "TestRequest",
    "2": "ResendRequest",
    "3": "Reject",
    "4": "SequenceReset",
    "5": "Logout",
    "8": "ExecutionReport",
    "9": "OrderCancelReject",
    "A": "Logon",
    "j": "BusinessMessageReject",
    "r": "OrderMassCancelReport",
}


def _describe(kinds: tuple[str, ...], has: Wanted) -> str:
    names = " or ".join(f"{_NAMES.get(kind, 'message')} (35={kind})" for kind in kinds)
    fields = [
        f"no {tag}" if value is None else f"{tag}={value if isinstance(value, str) else '/'.join(value)}"
        for tag, value in has.items()
    ]
    return f"{names} with {', '.join(fields)}" if fields else names


def _holds(message: Received, has: Wanted) -> bool:
    for tag, wanted in has.items():
        value = message.get(tag)
        if (value not in wanted) if isinstance(wanted, tuple) else (value != wanted):
            return False
    return True
