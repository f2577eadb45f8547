"""Logon, as an acceptor takes it: who is let in, who is not, and with which numbers."""

from __future__ import annotations

from txtrader.exsim.conformance.case import ACCEPTOR, SHOULD, Chapter, Mismatch, Skipped
from txtrader.exsim.conformance.frames import shown
from txtrader.exsim.conformance.stage import Stage

__all__ = ["CASES"]

CASES = Chapter("logon", roles=(ACCEPTOR,))
_TEST = "FIX 4.4 vol. 2, session test"
_LOGON = "FIX 4.4 vol. 2, Logon"


@CASES.add("accepted", "A correct Logon is answered by a Logon", f"{_TEST} 1S.a", is_basis=True)
def accepted(stage: Stage) -> None:
    plan, peer = stage.plan, stage.log_on()
    answer = peer.received[0]
    wanted = {49: plan.target, 56: plan.sender, 98: "0", 108: str(plan.heartbeat), 34: "1"}
    stage.require(answer, wanted, "Logon (35=A)")


@CASES.add("reset-answered", "141=Y is answered by 141=Y and number 1", _LOGON + ", ResetSeqNumFlag")
def reset_answered(stage: Stage) -> None:
    if not stage.plan.resets:
        raise Skipped("no 141=Y is sent (--no-reset)")
    peer = stage.connect()
    stage.send_logon(peer)
    peer.expect("A", has={141: "Y", 34: "1"})
    peer.is_logged_on = True
    peer.fence()


@CASES.add(
    "version-repeated", "The Logon's answer tells the application's version", "FIXT 1.1, Logon", versions=("5.0SP2",)
)
def version_repeated(stage: Stage) -> None:
    stage.require(stage.log_on().received[0], {1137: "9"}, "Logon (35=A)")


@CASES.add("version-missing", "A Logon without 1137 is refused", "FIXT 1.1, Logon", versions=("5.0SP2",))
def version_missing(stage: Stage) -> None:
    peer = stage.connect()
    stage.send_logon(peer, without=(1137,))
    peer.expect_refusal("DefaultApplVerID is missing")


@CASES.add("unknown-sender", "A SenderCompID that nobody knows is refused", f"{_TEST} 1S.c", severity=SHOULD)
def unknown_sender(stage: Stage) -> None:
    peer = stage.connect()
    stage.send_logon(peer, header={49: "NOBODY-KNOWS"})
    peer.expect_refusal("49 is nobody's")


@CASES.add("unknown-target", "A TargetCompID that is not the acceptor's is refused", f"{_TEST} 1S.c")
def unknown_target(stage: Stage) -> None:
    peer = stage.connect()
    stage.send_logon(peer, header={56: "SOMEBODY-ELSE"})
    peer.expect_refusal("56 is not the acceptor")


@CASES.add("wrong-version", "A BeginString that there is not is refused", f"{_TEST} 1S.d")
def wrong_version(stage: Stage) -> None:
    peer = stage.connect()
    stage.send_logon(peer, begin_string="FIX.3.9")
    peer.expect_refusal("there is no FIX.3.9")


@CASES.add("wrong-password", "A wrong password is refused", _LOGON + ", Password", needs="password")
def wrong_password(stage: Stage) -> None:
    peer = stage.connect()
    stage.send_logon(peer, instead={554: "not-the-password"})
    peer.expect_refusal("the password is wrong")


@CASES.add("old-time", "A Logon of two hours ago is refused", f"{_TEST} 1S.d, 2o", severity=SHOULD)
def old_time(stage: Stage) -> None:
    peer = stage.connect()
    stage.send_logon(peer, header={52: peer.time(-7200)})
    peer.expect_refusal("its SendingTime is two hours off")


@CASES.add("bad-checksum", "A Logon with a wrong checksum logs nobody on", f"{_TEST} 1S.d, 3b")
def bad_checksum(stage: Stage) -> None:
    peer = stage.connect()
    stage.send_logon(peer, checksum="999")
    peer.expect_refusal("it is garbled", may_stay=True)


@CASES.add("no-interval", "A Logon without HeartBtInt logs nobody on", _LOGON)
def no_interval(stage: Stage) -> None:
    peer = stage.connect()
    stage.send_logon(peer, without=(108,))
    peer.expect_refusal("108 is required", may_stay=True)


@CASES.add("negative-interval", "A Logon with a negative HeartBtInt logs nobody on", _LOGON, severity=SHOULD)
def negative_interval(stage: Stage) -> None:
    peer = stage.connect()
    stage.send_logon(peer, instead={108: "-1"})
    peer.expect_refusal("nobody can keep an interval of -1 s", may_stay=True)


@CASES.add("encryption", "An EncryptMethod that there is not logs nobody on", _LOGON, severity=SHOULD)
def encryption(stage: Stage) -> None:
    peer = stage.connect()
    stage.send_logon(peer, instead={98: "9"})
    peer.expect_refusal("98=9 is no method", may_stay=True)


@CASES.add("heartbeat-first", "A first message that is no Logon ends the connection", f"{_TEST} 1S.e")
def heartbeat_first(stage: Stage) -> None:
    peer = stage.connect()
    peer.send("0")
    peer.expect_refusal("nobody has logged on")


@CASES.add("question-first", "A TestRequest before the Logon is not answered", f"{_TEST} 1S.e")
def question_first(stage: Stage) -> None:
    peer = stage.connect()
    peer.send("1", (112, "BEFORE"))
    peer.expect_refusal("nobody has logged on")


@CASES.add("too-high", "A Logon with a number too high is answered, and what is missing asked for", f"{_TEST} 1S.a, 2b")
def too_high(stage: Stage) -> None:
    ours, theirs = (1, 1) if not stage.plan.resets else stage.after_session()
    peer = stage.connect()
    peer.expected = theirs
    stage.send_logon(peer, number=ours + 4, resets=False)
    peer.expect("A", what="Logon (35=A) in answer to ours, although its number is too high")
    peer.is_logged_on = True
    peer.expect("2", has={7: str(ours)})
    peer.say_again("4", (123, "Y"), (36, ours + 5), number=ours)
    peer.fence("the gap to be closed")


@CASES.add("too-low", "A Logon with a number too low is refused", f"{_TEST} 2c", needs="memory")
def too_low(stage: Stage) -> None:
    ours, _ = stage.after_session()
    peer = stage.connect()
    stage.send_logon(peer, number=ours - 1, resets=False)
    peer.expect_refusal(f"{ours} was expected")


@CASES.add(
    "continues",
    "A Logon without 141 goes on with the numbers of both sides",
    "FIX 4.4 vol. 2, Sequence numbers",
    needs="memory",
)
def continues(stage: Stage) -> None:
    ours, theirs = stage.after_session()
    peer = stage.log_on(number=ours, resets=False)
    answer = next(one for one in peer.received if one.type == "A")
    if answer.get(34) != str(theirs) or answer.is_set(141):
        raise Mismatch(f"Logon (35=A) with 34={theirs} and no 141=Y", shown(answer.data))
    peer.fence()


@CASES.add("second", "A second connection of one identity is refused, the first lives on", f"{_TEST} 1S.b")
def second(stage: Stage) -> None:
    first = stage.log_on()
    first.fence()
    other = stage.connect()
    stage.send_logon(other, resets=False, number=first.next_number)
    other.expect_refusal("this identity is connected already")
    first.fence("the first connection to live on")
