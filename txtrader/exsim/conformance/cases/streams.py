"""The stream: TCP keeps no borders between messages, and a message may be long or hold separators."""

from __future__ import annotations

from txtrader.exsim.conformance.case import SHOULD, Chapter
from txtrader.exsim.conformance.peer import Peer
from txtrader.exsim.conformance.stage import Stage

__all__ = ["CASES"]

CASES = Chapter("stream")
_FRAMING = "FIX 4.4 vol. 1, Message format"
_MANY = 50
_BIG = 16_000


def _questions(peer: Peer, count: int) -> bytes:
    data = b""
    for number in range(count):
        data += peer.build("1", (112, f"Q{number}"))
        peer.next_number += 1
    return data


@CASES.add("many", "Many messages in one segment are all answered, in order", _FRAMING)
def many(stage: Stage) -> None:
    peer = stage.log_on()
    peer.send_bytes(_questions(peer, _MANY))
    for number in range(_MANY):
        peer.expect("0", has={112: f"Q{number}"})
    peer.fence()


@CASES.add("bytewise", "A message that comes one byte at a time is a message", _FRAMING)
def bytewise(stage: Stage) -> None:
    peer = stage.log_on()
    peer.send_bytes(_questions(peer, 1), piece=1)
    peer.expect("0", has={112: "Q0"})
    peer.fence()


@CASES.add("odd-pieces", "Messages cut at odd places are messages", _FRAMING)
def odd_pieces(stage: Stage) -> None:
    for piece in (3, 17, 101):
        peer = stage.log_on()
        peer.send_bytes(_questions(peer, 5), piece=piece)
        for number in range(5):
            peer.expect("0", has={112: f"Q{number}"})
        peer.fence()
        peer.leave()


@CASES.add("separators", "A data field may hold separators, even what looks like an end", _FRAMING + ", data fields")
def separators(stage: Stage) -> None:
    peer = stage.log_on()
    data = "<a>\x0110=000\x018=FIX.4.4\x019=5\x01</a>"
    peer.send("1", (212, len(data)), (213, data), (112, "DATA"))
    peer.expect("0", has={112: "DATA"})
    peer.fence()


@CASES.add("big", f"A message of {_BIG} bytes is a message", _FRAMING, severity=SHOULD)
def big(stage: Stage) -> None:
    peer = stage.log_on()
    peer.send("1", (212, _BIG), (213, "x" * _BIG), (112, "BIG"))
    peer.expect("0", has={112: "BIG"})
    peer.fence()


@CASES.add("garbled-among-sound", "Between two sound messages in one segment a garbled one is dropped", _FRAMING)
def garbled_among_sound(stage: Stage) -> None:
    peer = stage.log_on()
    first, bad = _questions(peer, 1), peer.build("1", (112, "BAD"), checksum="999")
    peer.send_bytes(first + bad + _questions(peer, 1))
    peer.expect("0", has={112: "Q0"})
    peer.expect("0", has={112: "Q0"})
    peer.fence()


@CASES.add(
    "after-logon", "Messages right behind the Logon, in one segment, are looked at", _FRAMING, roles=("acceptor",)
)
def after_logon(stage: Stage) -> None:
    stage.log_on().leave()
    peer = stage.connect()
    behind = stage.logon_bytes(peer)
    peer.send_bytes(behind + _questions(peer, 2))
    peer.expect("A")
    peer.is_logged_on = True
    peer.expect("0", has={112: "Q0"})
    peer.expect("0", has={112: "Q1"})
    peer.fence()
