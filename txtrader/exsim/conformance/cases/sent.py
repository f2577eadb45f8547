"""What the target itself sends: every message of a small conversation is well made."""

from __future__ import annotations

import re
from contextlib import suppress

from txtrader.exsim.conformance.case import Chapter, Mismatch
from txtrader.exsim.conformance.frames import BEGIN_STRINGS, Received, shown
from txtrader.exsim.conformance.stage import Stage
from txtrader.wire.fix.dictionary import is_admin

__all__ = ["CASES"]

CASES = Chapter("sent")
_FORMAT = "FIX 4.4 vol. 1, Message format"
_HEADER = "FIX 4.4 vol. 2, Header"
_TIME = re.compile(r"\d{8}-\d{2}:\d{2}:\d{2}(\.\d{3,12})?")


def _conversation(stage: Stage) -> list[Received]:
    """Make the target send a bit of everything: Logon, Heartbeats, Rejects, a ResendRequest, a gap fill, a Logout.

    What it should have said and did not is judged elsewhere: here it is what came that counts.
    """
    peer = stage.log_on()
    with suppress(Mismatch):
        peer.fence()
        peer.send("1")
        peer.send("2", (7, 1), (16, 1))
        peer.send("*")
        missing = peer.next_number
        peer.send("0", number=missing + 2)
        peer.say_again("4", (123, "Y"), (36, missing + 3), number=missing)
        peer.next_number = missing + 3
        peer.fence(skips=("2", "3", "4", "j"))
        peer.send("5")
        peer.expect("5")
        peer.is_logged_on = False
    return peer.received


def _without(stage: Stage, kind: str, expected: str) -> None:
    for message in _conversation(stage):
        for flaw in message.flaws:
            if flaw.startswith(kind):
                raise Mismatch(expected, f"{flaw}: {shown(message.data)}")


@CASES.add("checksum", "Checksums are right", _FORMAT + ", CheckSum")
def checksum(stage: Stage) -> None:
    _without(stage, "checksum", "the right checksum on every message")


@CASES.add("length", "BodyLengths are right", _FORMAT + ", BodyLength")
def length(stage: Stage) -> None:
    _without(stage, "length", "the right BodyLength on every message")


@CASES.add("first-fields", "The first fields are 8, 9, 35, and nothing stands between messages", _FORMAT)
def first_fields(stage: Stage) -> None:
    _without(stage, "fields", "8, 9, 35 at the beginning of every message")


@CASES.add("numbers", "Numbers go up by one", "FIX 4.4 vol. 2, Sequence numbers")
def numbers(stage: Stage) -> None:
    _without(stage, "number", "numbers that go up by one")


@CASES.add("header", "Every message has the fields of the header", _HEADER)
def header(stage: Stage) -> None:
    plan = stage.plan
    wanted = {8: BEGIN_STRINGS[plan.version], 49: plan.target, 56: plan.sender}
    for message in _conversation(stage):
        stage.require(message, wanted, "every message")
        if not (message.get(34) or "").isdecimal():
            raise Mismatch("34 on every message", shown(message.data))


@CASES.add("time", "Every SendingTime is of now and well formed", _HEADER + ", SendingTime")
def time_of(stage: Stage) -> None:
    for message in _conversation(stage):
        text = message.get(52) or ""
        if not _TIME.fullmatch(text) or abs(stage.seconds_from_now(text)) > 60:
            raise Mismatch("52 of now as YYYYMMDD-HH:MM:SS.sss", shown(message.data))


@CASES.add("header-first", "No field of the header stands behind one of the body", _HEADER)
def header_first(stage: Stage) -> None:
    for message in _conversation(stage):
        in_body = False
        for tag, _ in message.fields:
            if tag not in stage.known.header:
                in_body = True
            elif in_body:
                raise Mismatch("the header before the body", f"{tag} behind: {shown(message.data)}")


@CASES.add(
    "required", "Messages of the session have the fields that they must have", "FIX 4.4 vol. 2, Session messages"
)
def required(stage: Stage) -> None:
    for message in _conversation(stage):
        spec = stage.known.for_type(message.type)
        for tag in spec.required if spec is not None and is_admin(message.type) else ():
            if not message.get(tag):
                raise Mismatch(f"{tag} in a message of type {message.type}", shown(message.data))
