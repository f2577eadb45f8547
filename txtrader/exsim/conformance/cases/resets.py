"""SequenceReset: gap fills in their place, and resets, which are forward only."""

from __future__ import annotations

from txtrader.exsim.conformance.case import SHOULD, Chapter
from txtrader.exsim.conformance.stage import Stage

__all__ = ["CASES"]

CASES = Chapter("reset")
_TEST = "FIX 4.4 vol. 2, session test"


@CASES.add("gap-fill", "A gap fill in order moves the number on", f"{_TEST} 10")
def gap_fill(stage: Stage) -> None:
    peer = stage.log_on()
    peer.send("4", (123, "Y"), (36, peer.next_number + 10))
    peer.next_number += 9
    peer.fence()


@CASES.add("gap-fill-too-high", "A gap fill with a number too high makes a ResendRequest", f"{_TEST} 10")
def gap_fill_too_high(stage: Stage) -> None:
    peer = stage.log_on()
    missing = peer.next_number
    peer.send("4", (123, "Y"), (36, missing + 20), number=missing + 3)
    peer.expect("2", has={7: str(missing)})


@CASES.add("gap-fill-again", "A gap fill with a used number and 43=Y is ignored", f"{_TEST} 10")
def gap_fill_again(stage: Stage) -> None:
    peer = stage.log_on()
    number = peer.send("0")
    peer.send("0")
    peer.say_again("4", (123, "Y"), (36, number + 1), number=number)
    peer.fence()


@CASES.add("gap-fill-too-low", "A gap fill with a used number and no 43=Y ends the session", f"{_TEST} 10")
def gap_fill_too_low(stage: Stage) -> None:
    peer = stage.log_on()
    number = peer.send("0")
    peer.send("0")
    peer.send("4", (123, "Y"), (36, number + 10), number=number)
    peer.expect_logout("the number was used before")


@CASES.add("gap-fill-backwards", "A gap fill that goes back is refused", f"{_TEST} 10", severity=SHOULD)
def gap_fill_backwards(stage: Stage) -> None:
    peer = stage.log_on()
    peer.send("0")
    peer.send("0")
    peer.send("4", (123, "Y"), (36, 1))
    peer.expect("3", "5", what="Reject (35=3) or Logout (35=5), a gap fill going forward only")


@CASES.add("forward", "A reset moves the number on", f"{_TEST} 11a")
def forward(stage: Stage) -> None:
    peer = stage.log_on()
    number = peer.next_number + 20
    peer.send("4", (123, "N"), (36, number))
    peer.next_number = number
    peer.fence()


@CASES.add("without-flag", "Without 123 it is a reset, not a gap fill", f"{_TEST} 11a")
def without_flag(stage: Stage) -> None:
    peer = stage.log_on()
    number = peer.next_number + 20
    peer.send("4", (36, number))
    peer.next_number = number
    peer.fence()


@CASES.add("own-number", "Of a reset the own number does not count", f"{_TEST} 11a")
def own_number(stage: Stage) -> None:
    peer = stage.log_on()
    number = peer.next_number + 20
    peer.send("4", (123, "N"), (36, number), number=number + 500)
    peer.next_number = number
    peer.fence("no ResendRequest, then")


@CASES.add("to-the-same", "A reset to the number that is due changes nothing", f"{_TEST} 11b")
def to_the_same(stage: Stage) -> None:
    peer = stage.log_on()
    peer.send("0")
    peer.send("4", (123, "N"), (36, peer.next_number), number=peer.next_number)
    peer.fence()


@CASES.add("backwards", "A reset to a lower number is rejected, the number stays", f"{_TEST} 11c")
def backwards(stage: Stage) -> None:
    peer = stage.log_on()
    for _ in range(3):
        peer.send("0")
    number = peer.next_number
    peer.send("4", (123, "N"), (36, 2), number=number)
    peer.expect_reject(number, 5)
    peer.fence("the number to stay")
