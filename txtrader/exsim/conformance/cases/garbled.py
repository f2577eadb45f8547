"""Garbled messages: they are as if they had never come, and their numbers are still to be used."""

from __future__ import annotations

from typing import Any

from txtrader.exsim.conformance.case import SHOULD, Chapter, Mismatch
from txtrader.exsim.conformance.frames import BEGIN_STRINGS, frame, shown
from txtrader.exsim.conformance.peer import Peer
from txtrader.exsim.conformance.stage import Stage

__all__ = ["CASES"]

CASES = Chapter("garbled")
_TRIES, _PAUSE = 3, 0.2
_TEST = "FIX 4.4 vol. 2, session test"


def _question(peer: Peer, **wrong: Any) -> bytes:
    return peer.build("1", (112, "GARBLED"), **wrong)


def _after_loss(peer: Peer) -> None:
    """Go on where the next bytes may be lost with the garbled message: say it again until it is heard."""
    number = peer.send("1", (112, "AFTER"))
    what = "the garbled message to be ignored: Heartbeat (35=0) with 112=AFTER"
    for _ in range(_TRIES):
        answers = peer.collect(_PAUSE, "0", at_most=1)
        if answers:
            break
        peer.say_again("1", (112, "AFTER"), number=number)
    else:
        answers = [peer.expect("0", what=what)]
    if answers[0].get(112) != "AFTER":
        raise Mismatch(what, shown(answers[0].data))
    peer.fence("the garbled message to be ignored")


@CASES.add("checksum", "A wrong checksum: ignored", f"{_TEST} 3b")
def checksum(stage: Stage) -> None:
    peer = stage.log_on()
    sound = _question(peer)
    peer.send_bytes(sound[:-4] + b"%03d\x01" % ((int(sound[-4:-1]) + 1) % 256))
    peer.fence("the garbled message to be ignored")


@CASES.add("impossible-checksum", "A checksum that none can be: ignored", f"{_TEST} 3b, 3c")
def impossible_checksum(stage: Stage) -> None:
    peer = stage.log_on()
    for text in ("256", "1", "abc"):
        peer.send_bytes(_question(peer, checksum=text))
    peer.fence("the garbled messages to be ignored")


@CASES.add("length-short", "A BodyLength too short: ignored", f"{_TEST} 2m")
def length_short(stage: Stage) -> None:
    peer = stage.log_on()
    peer.send_bytes(_question(peer, length=-5))
    peer.fence("the garbled message to be ignored")


@CASES.add("length-long", "A BodyLength too long: ignored, with what follows at the most", f"{_TEST} 2m")
def length_long(stage: Stage) -> None:
    peer = stage.log_on()
    peer.send_bytes(_question(peer, length=5))
    _after_loss(peer)


@CASES.add(
    "no-length",
    "A BodyLength that is no number: ignored, with what follows at the most",
    f"{_TEST} 2m",
    severity=SHOULD,
)
def no_length(stage: Stage) -> None:
    peer = stage.log_on()
    head, _, rest = _question(peer).partition(b"\x019=")
    peer.send_bytes(head + b"\x019=many\x01" + rest.partition(b"\x01")[2])
    _after_loss(peer)


@CASES.add("no-type", "No type as the third field: ignored", f"{_TEST} 2t")
def no_type(stage: Stage) -> None:
    peer = stage.log_on()
    fields = [(34, peer.next_number), (49, stage.plan.sender), (56, stage.plan.target), (52, peer.time())]
    peer.send_bytes(frame(BEGIN_STRINGS[stage.plan.version], fields))
    peer.fence("the garbled message to be ignored")


@CASES.add("type-fourth", "The type behind the number: ignored", f"{_TEST} 2t")
def type_fourth(stage: Stage) -> None:
    peer = stage.log_on()
    fields = [(34, peer.next_number), (35, "0"), (49, stage.plan.sender), (56, stage.plan.target), (52, peer.time())]
    peer.send_bytes(frame(BEGIN_STRINGS[stage.plan.version], fields))
    peer.fence("the garbled message to be ignored")


@CASES.add("type-first", "The type before the version: ignored", f"{_TEST} 2t")
def type_first(stage: Stage) -> None:
    peer = stage.log_on()
    fields = [(34, peer.next_number), (49, stage.plan.sender), (56, stage.plan.target), (52, peer.time())]
    peer.send_bytes(b"35=0\x01" + frame(BEGIN_STRINGS[stage.plan.version], fields))
    peer.fence("the garbled message to be ignored")


@CASES.add("letters-in-tag", "A tag with letters in it: ignored", f"{_TEST} 2d", severity=SHOULD)
def letters_in_tag(stage: Stage) -> None:
    peer = stage.log_on()
    peer.send_bytes(peer.build("0", ("1x2", "GARBLED")))
    peer.fence("the garbled message to be ignored")


@CASES.add("junk", "Bytes between messages are passed over", f"{_TEST} 2d", severity=SHOULD)
def junk(stage: Stage) -> None:
    peer = stage.log_on()
    peer.send_bytes(b"\r\n\x00\xffnoise 9=5\x01")
    peer.fence("the bytes to be passed over")


@CASES.add("then-gap", "A number that a garbled message had is asked for when the next one comes", f"{_TEST} 2d, 3b")
def then_gap(stage: Stage) -> None:
    peer = stage.log_on()
    missing = peer.next_number
    peer.send_bytes(_question(peer, checksum="999"))
    peer.send("0", number=missing + 1)
    peer.expect("2", has={7: str(missing)})
    peer.say_again("0", number=missing)
    peer.say_again("0", number=missing + 1)
    peer.next_number = missing + 2
    peer.fence()
