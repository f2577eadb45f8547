"""Logout, and connections that end without one."""

from __future__ import annotations

from txtrader.exsim.conformance.case import ACCEPTOR, SHOULD, Chapter
from txtrader.exsim.conformance.stage import Stage

__all__ = ["CASES"]

CASES = Chapter("logout")
_TEST = "FIX 4.4 vol. 2, session test"
_NUMBERS = "FIX 4.4 vol. 2, Sequence numbers"


@CASES.add("answered", "A Logout is answered by a Logout", f"{_TEST} 13b")
def answered(stage: Stage) -> None:
    peer = stage.log_on()
    peer.fence()
    peer.send("5")
    peer.expect("5")
    peer.is_logged_on = False


@CASES.add(
    "closed",
    "After the answer to our Logout the connection is closed",
    f"{_TEST} 13b",
    severity=SHOULD,
    roles=(ACCEPTOR,),
)
def closed(stage: Stage) -> None:
    peer = stage.log_on()
    peer.send("5")
    peer.expect("5")
    peer.is_logged_on = False
    peer.expect_end()


@CASES.add("with-gap", "A Logout with a number too high is answered", f"{_TEST} 13b, 2b")
def with_gap(stage: Stage) -> None:
    peer = stage.log_on()
    missing = peer.next_number
    peer.send("5", number=missing + 5)
    found = peer.expect("5", "2", what="Logout (35=5), perhaps after a ResendRequest (35=2)")
    if found.type == "2":
        peer.say_again("4", (123, "Y"), (36, missing + 6), number=missing)
        peer.expect("5", what="Logout (35=5), once the gap is filled")
    peer.is_logged_on = False


@CASES.add("with-text", "A Logout with a text is answered as any other", f"{_TEST} 13b")
def with_text(stage: Stage) -> None:
    peer = stage.log_on()
    peer.send("5", (58, "good night"))
    peer.expect("5")
    peer.is_logged_on = False


@CASES.add(
    "after-cut",
    "After a cut without Logout a Logon goes on with the numbers of both sides",
    _NUMBERS,
    roles=(ACCEPTOR,),
    needs="memory",
)
def after_cut(stage: Stage) -> None:
    peer = stage.log_on()
    peer.fence()
    peer.fence()
    peer.cut()
    again = stage.log_on(number=peer.next_number, resets=False)
    answer = next(one for one in again.received if one.type == "A")
    stage.require(answer, {34: str(peer.expected)}, "Logon (35=A)")
    again.fence("no ResendRequest, then")


@CASES.add(
    "missed", "What was missed while away is asked for after the Logon", _NUMBERS, roles=(ACCEPTOR,), needs="memory"
)
def missed(stage: Stage) -> None:
    peer = stage.log_on()
    peer.fence()
    peer.cut()
    missing = peer.next_number
    again = stage.log_on(number=missing + 2, resets=False)
    again.expect("2", has={7: str(missing)})
    again.say_again("4", (123, "Y"), (36, missing + 3), number=missing)
    again.fence()


@CASES.add("half-message", "Half a message before the cut does not count", _NUMBERS, roles=(ACCEPTOR,), needs="memory")
def half_message(stage: Stage) -> None:
    peer = stage.log_on()
    peer.fence()
    whole = peer.build("1", (112, "HALF"))
    peer.send_bytes(whole[: len(whole) // 2])
    peer.cut()
    stage.log_on(number=peer.next_number, resets=False).fence("no ResendRequest, then")


@CASES.add("free-again", "After the end the same identity may log on at once", _NUMBERS)
def free_again(stage: Stage) -> None:
    for _ in range(3):
        peer = stage.log_on()
        peer.fence()
        peer.leave()
