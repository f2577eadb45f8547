"""Sequence numbers: in order, with a gap, too low, and what is marked as a possible duplicate."""

from __future__ import annotations

from txtrader.exsim.conformance.case import SHOULD, Chapter, Mismatch
from txtrader.exsim.conformance.frames import shown
from txtrader.exsim.conformance.stage import Stage

__all__ = ["CASES"]

CASES = Chapter("number")
_TEST = "FIX 4.4 vol. 2, session test"
_OPEN_ENDS = ("0", "999999")  # the second is what versions before 4.2 wrote


@CASES.add("in-order", "Messages in order are taken without a word", f"{_TEST} 2a")
def in_order(stage: Stage) -> None:
    peer = stage.log_on()
    for _ in range(4):
        peer.send("0")
    peer.fence()


@CASES.add("gap", "A number too high is answered by a ResendRequest from the missing one on", f"{_TEST} 2b")
def gap(stage: Stage) -> None:
    peer = stage.log_on()
    missing = peer.next_number
    peer.send("0", number=missing + 3)
    found = peer.expect("2", has={7: str(missing)})
    if found.get(16) not in (*_OPEN_ENDS, str(missing + 2), str(missing + 3)):
        raise Mismatch("ResendRequest (35=2) with 16=0, or up to what is missing", shown(found.data))


@CASES.add("gap-filled", "Once the gap is filled the session goes on without more ResendRequests", f"{_TEST} 2b, 10")
def gap_filled(stage: Stage) -> None:
    peer = stage.log_on()
    missing = peer.next_number
    peer.send("0", number=missing + 3)
    peer.expect("2")
    peer.say_again("4", (123, "Y"), (36, missing + 4), number=missing)
    peer.next_number = missing + 4
    peer.fence()


@CASES.add("gap-resent", "Missing messages may come one by one, marked as resent", f"{_TEST} 2b, 2e")
def gap_resent(stage: Stage) -> None:
    peer = stage.log_on()
    missing = peer.next_number
    peer.send("0", number=missing + 2)
    peer.expect("2")
    for number in range(missing, missing + 3):
        peer.say_again("0", number=number)
    peer.next_number = missing + 3
    peer.fence()


@CASES.add(
    "gap-queue", "What came before the gap was filled is looked at afterwards, in order", f"{_TEST} 2b", severity=SHOULD
)
def gap_queue(stage: Stage) -> None:
    peer = stage.log_on()
    missing = peer.next_number
    peer.send("1", (112, "FIRST"), number=missing + 1)
    peer.send("1", (112, "SECOND"), number=missing + 2)
    peer.expect("2", has={7: str(missing)})
    peer.say_again("4", (123, "Y"), (36, missing + 1), number=missing)
    peer.expect("0", has={112: "FIRST"})
    peer.expect("0", has={112: "SECOND"})
    peer.next_number = missing + 3
    peer.fence()


@CASES.add("one-request", "Several messages behind one gap make one ResendRequest", f"{_TEST} 2b", severity=SHOULD)
def one_request(stage: Stage) -> None:
    peer = stage.log_on()
    missing = peer.next_number
    for number in range(missing + 3, missing + 8):
        peer.send("0", number=number)
    peer.expect("2", has={7: str(missing)})
    peer.say_again("4", (123, "Y"), (36, missing + 8), number=missing)
    peer.next_number = missing + 8
    peer.fence("one ResendRequest only, then")


@CASES.add("too-low", "A number too low ends the session: Logout, then the connection", f"{_TEST} 2c")
def too_low(stage: Stage) -> None:
    peer = stage.log_on()
    peer.send("0")
    peer.send("0")
    peer.send("0", number=peer.next_number - 1)
    peer.expect_logout("the number was used before")


@CASES.add("too-low-text", "The Logout for a number too low says in 58 why", f"{_TEST} 2c", severity=SHOULD)
def too_low_text(stage: Stage) -> None:
    peer = stage.log_on()
    peer.send("0")
    peer.send("0", number=peer.next_number - 1)
    found = peer.expect("5", what="Logout (35=5), because the number was used before")
    if not found.get(58):
        raise Mismatch("Logout (35=5) with 58", shown(found.data))


@CASES.add("duplicate", "A possible duplicate of what is had already is ignored", f"{_TEST} 2e")
def duplicate(stage: Stage) -> None:
    peer = stage.log_on()
    number = peer.send("1", (112, "ONCE"))
    peer.expect("0", has={112: "ONCE"})
    peer.say_again("1", (112, "ONCE"), number=number)
    peer.fence("the second one to be ignored")


@CASES.add("new-duplicate", "A possible duplicate with the number that is due is an ordinary message", f"{_TEST} 2e")
def new_duplicate(stage: Stage) -> None:
    peer = stage.log_on()
    peer.say_again("1", (112, "NEW"), number=peer.next_number)
    peer.next_number += 1
    peer.expect("0", has={112: "NEW"})
    peer.fence()


@CASES.add(
    "duplicate-without-time",
    "43=Y without 122 on a used number is rejected, the session goes on",
    f"{_TEST} 2g",
    severity=SHOULD,
)
def duplicate_without_time(stage: Stage) -> None:
    peer = stage.log_on()
    number = peer.send("0")
    peer.send("0", number=number, header={43: "Y"})
    peer.expect_reject(number, 1, 122)
    peer.fence()


@CASES.add(
    "duplicate-of-the-future", "43=Y with 122 later than 52 is rejected, then Logout", f"{_TEST} 2f", severity=SHOULD
)
def duplicate_of_the_future(stage: Stage) -> None:
    peer = stage.log_on()
    number = peer.send("0")
    peer.send("0", number=number, header={43: "Y", 122: peer.time(60)})
    peer.expect_reject(number, 10)
    peer.expect_logout("122 is later than 52")


@CASES.add("possible-resend", "97=Y changes nothing for the numbers", f"{_TEST} 19")
def possible_resend(stage: Stage) -> None:
    peer = stage.log_on()
    peer.send("1", (112, "AGAIN"), header={97: "Y"})
    peer.expect("0", has={112: "AGAIN"})
    peer.fence()


@CASES.add("missing", "A message without a number is refused", f"{_TEST} 14b", severity=SHOULD)
def missing(stage: Stage) -> None:
    peer = stage.log_on()
    peer.send_bytes(peer.build("0", header={34: None}))
    peer.expect("3", "5", what="Reject (35=3) or Logout (35=5), 34 being required")


@CASES.add(
    "reset-in-session",
    "A Logon with 141=Y in mid-session begins at 1 on both sides",
    "FIX 4.4 vol. 2, ResetSeqNumFlag",
    severity=SHOULD,
)
def reset_in_session(stage: Stage) -> None:
    peer = stage.log_on()
    peer.fence()
    peer.next_number = 1
    more = [(1137, "9")] if stage.plan.version == "5.0SP2" else []
    peer.send("A", (98, "0"), (108, peer.heartbeat), (141, "Y"), *more)
    peer.expect("A", has={34: "1", 141: "Y"})
    peer.fence("both sides to go on with 2")
    if peer.received[-1].get(34) != "2":
        raise Mismatch("34=2 after the reset", shown(peer.received[-1].data))
