"""Heartbeat and TestRequest: silence is noticed on both sides."""

from __future__ import annotations

import time

from txtrader.exsim.conformance.case import SHOULD, Chapter, Mismatch, Skipped
from txtrader.exsim.conformance.peer import Peer
from txtrader.exsim.conformance.stage import Stage

__all__ = ["CASES"]

CASES = Chapter("heartbeat")
_TEST = "FIX 4.4 vol. 2, session test"
_EARLY, _LATE = 0.4, 1.6  # timers of a second's step are common


def _silent(stage: Stage) -> Peer:
    """Log on, and say nothing more by ourselves."""
    peer = stage.log_on()
    if not peer.heartbeat:
        raise Skipped("the session has no heartbeats (108=0)")
    if peer.heartbeat * 4 + _LATE > stage.plan.limit:
        raise Skipped(f"an interval of {peer.heartbeat} s is too long to wait for (--limit)")
    peer.is_polite = False
    return peer


@CASES.add("test-request", "A TestRequest is answered by a Heartbeat with its 112", f"{_TEST} 4b", is_basis=True)
def test_request(stage: Stage) -> None:
    peer = stage.log_on()
    peer.send("1", (112, "ARE YOU THERE"))
    peer.expect("0", has={112: "ARE YOU THERE"})


@CASES.add("long-test-request", "112 comes back as it was: long, with signs of all kinds", f"{_TEST} 4b")
def long_test_request(stage: Stage) -> None:
    peer = stage.log_on()
    text = "8=FIX|9=5|10=000 " + "".join(chr(code) for code in range(33, 127)) * 2
    peer.send("1", (112, text))
    peer.expect("0", has={112: text})
    peer.fence()


@CASES.add("sent", "After an interval without a message a Heartbeat is sent", f"{_TEST} 4a")
def sent(stage: Stage) -> None:
    peer = stage.log_on()
    if not peer.heartbeat:
        raise Skipped("the session has no heartbeats (108=0)")
    peer.fence()
    begun, interval = peer.received[-1].at, peer.heartbeat
    what = f"Heartbeat (35=0) without 112, about {interval} s after the last message"
    found = peer.expect("0", has={112: None}, what=what, within=1.2 * interval + _LATE, takes_plain=True)
    if found.at - begun < interval - _EARLY - 0.1 * interval:
        raise Mismatch(what, f"one after {found.at - begun:.1f} s")


@CASES.add("asks", "Silence is answered by a TestRequest with 112", f"{_TEST} 6")
def asks(stage: Stage) -> None:
    peer = _silent(stage)
    begun = time.monotonic()
    interval = peer.heartbeat
    what = f"TestRequest (35=1) with 112 after more than {interval} s of silence"
    found = peer.expect("1", what=what, within=2 * interval + _LATE)
    if 112 not in found or found.at - begun < interval - _EARLY - 0.1 * interval:
        raise Mismatch(what, f"one after {found.at - begun:.1f} s, 112={found.get(112)}")
    peer.send("0", (112, found[112]))
    peer.fence("the session to go on after the answer")


@CASES.add("unanswered", "A TestRequest without an answer ends the connection", f"{_TEST} 6")
def unanswered(stage: Stage) -> None:
    peer = _silent(stage)
    peer.expect("1", within=2 * peer.heartbeat + _LATE)
    expected = "the end of the connection, the TestRequest being unanswered"
    peer.await_end(expected, "5", "1", within=2.5 * peer.heartbeat + _LATE)


@CASES.add("answered", "Whoever answers TestRequests and says nothing else stays connected", f"{_TEST} 6")
def answered(stage: Stage) -> None:
    peer = _silent(stage)
    for _ in range(2):
        found = peer.expect("1", within=2 * peer.heartbeat + _LATE)
        peer.send("0", (112, found.get(112, "")))
    peer.fence("the session to live on")


@CASES.add("any-message", "Any message takes the alarm back, not only the answer", f"{_TEST} 6", severity=SHOULD)
def any_message(stage: Stage) -> None:
    peer = _silent(stage)
    peer.expect("1", within=2 * peer.heartbeat + _LATE)
    peer.send("0")
    peer.expect("1", what="another TestRequest (35=1) after another silence", within=2 * peer.heartbeat + _LATE)
    peer.send("0")
    peer.fence("the session to live on")
