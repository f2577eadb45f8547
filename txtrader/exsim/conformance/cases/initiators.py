"""Logon, as an initiator does it: what it sends first, and which answers it is content with."""

from __future__ import annotations

from txtrader.exsim.conformance.case import INITIATOR, SHOULD, Chapter, Mismatch, Skipped
from txtrader.exsim.conformance.frames import shown
from txtrader.exsim.conformance.stage import Stage

__all__ = ["CASES"]

CASES = Chapter("initiator", roles=(INITIATOR,))
_TEST = "FIX 4.4 vol. 2, session test"
_LONGEST_LOGON = 30.0


@CASES.add("logon", "The first message is a correct Logon", f"{_TEST} 1B.b", is_basis=True)
def logon(stage: Stage) -> None:
    peer = stage.connect()
    assert peer.logon is not None
    plan, found = stage.plan, peer.logon
    wanted = {49: plan.target, 56: plan.sender, 98: "0"}
    if plan.version == "5.0SP2":
        wanted[1137] = "9"
    stage.require(found, wanted, "Logon (35=A)")
    if not (found.get(108) or "").isdecimal():
        raise Mismatch("Logon (35=A) with 108", shown(found.data))
    stage.answer_logon(peer)


@CASES.add("refused", "A Logout in answer to the Logon ends the connection", f"{_TEST} 1B.d")
def refused(stage: Stage) -> None:
    peer = stage.connect()
    peer.send("5", (58, "not today"))
    peer.await_end("the end of the connection, the Logon being refused", "5")


@CASES.add("other-answer", "A first answer that is no Logon ends the connection", f"{_TEST} 1B.e")
def other_answer(stage: Stage) -> None:
    peer = stage.connect()
    peer.send("0")
    peer.await_end("the end of the connection, a Heartbeat being no answer to a Logon", "5")


@CASES.add("wrong-comp-id", "A Logon of somebody else is not taken for the answer", f"{_TEST} 1B.d, 2k")
def wrong_comp_id(stage: Stage) -> None:
    peer = stage.connect()
    stage.answer_logon(peer, header={49: "SOMEBODY-ELSE"})
    peer.is_logged_on = False
    peer.await_end("the end of the connection, 49 being somebody else", "5", "3")


@CASES.add("too-high", "An answer with a number too high is taken, and what is missing asked for", f"{_TEST} 1B.c, 2b")
def too_high(stage: Stage) -> None:
    peer = stage.connect()
    assert peer.logon is not None
    if peer.logon.is_set(141):
        raise Skipped("it resets by 141=Y: then the answer has number 1")
    stage.answer_logon(peer, number=5)
    peer.expect("2", has={7: "1"})
    peer.say_again("4", (123, "Y"), (36, 6), number=1)
    peer.fence("the gap to be closed")


@CASES.add(
    "no-answer", "A Logon without an answer ends the connection in the end", "FIX 4.4 vol. 2, Logon", severity=SHOULD
)
def no_answer(stage: Stage) -> None:
    peer = stage.connect()
    peer.is_polite = False
    peer.await_end("the end of the connection, the Logon having no answer", "5", within=_LONGEST_LOGON)


@CASES.add("returns", "After a lost connection it comes back and logs on", "FIX 4.4 vol. 2, Connection")
def returns(stage: Stage) -> None:
    peer = stage.log_on()
    peer.fence()
    peer.cut()
    stage.log_on().fence()
