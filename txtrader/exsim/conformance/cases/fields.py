"""Fields and types: what the dictionary does not allow is rejected, the reason named, the number counted."""

from __future__ import annotations

from collections.abc import Mapping

from txtrader.exsim.conformance.case import ACCEPTOR, SHOULD, Chapter, Mismatch
from txtrader.exsim.conformance.frames import shown
from txtrader.exsim.conformance.peer import Peer
from txtrader.exsim.conformance.stage import Stage

__all__ = ["CASES"]

CASES = Chapter("field")
_TEST = "FIX 4.4 vol. 2, session test"
_UNKNOWN = (0, 2, 3)
"""Reasons for a tag that is not the message's: which one depends on what the dictionary knows."""

Field = tuple[int | str, object]


def _rejected(
    peer: Peer, kind: str, *body: Field, reason: int | tuple[int, ...], tag: int | None, **more: object
) -> None:
    number = peer.send(kind, *body, **more)  # type: ignore[arg-type]
    peer.expect_reject(number, reason, tag)
    peer.fence("the session to go on after the Reject")


@CASES.add("unknown", "A tag that FIX does not know", f"{_TEST} 14a")
def unknown(stage: Stage) -> None:
    _rejected(stage.log_on(), "0", (4999, "x"), reason=_UNKNOWN, tag=4999)


@CASES.add("zero", "The tag 0", f"{_TEST} 14a", severity=SHOULD)
def zero(stage: Stage) -> None:
    _rejected(stage.log_on(), "0", (0, "x"), reason=_UNKNOWN, tag=0)


@CASES.add("missing", "A required field is missing: TestRequest without 112", f"{_TEST} 14b")
def missing(stage: Stage) -> None:
    _rejected(stage.log_on(), "1", reason=1, tag=112)


@CASES.add("missing-two", "ResendRequest without 16", f"{_TEST} 14b")
def missing_two(stage: Stage) -> None:
    _rejected(stage.log_on(), "2", (7, 1), reason=1, tag=16)


@CASES.add("elsewhere", "A tag of other messages: Symbol in a Heartbeat", f"{_TEST} 14c")
def elsewhere(stage: Stage) -> None:
    _rejected(stage.log_on(), "0", (55, "IBM"), reason=_UNKNOWN, tag=55)


@CASES.add("empty", "A tag without a value", f"{_TEST} 14d")
def empty(stage: Stage) -> None:
    _rejected(stage.log_on(), "1", (112, ""), reason=4, tag=112)


@CASES.add("empty-header", "A tag of the header without a value", f"{_TEST} 14d")
def empty_header(stage: Stage) -> None:
    _rejected(stage.log_on(), "0", reason=4, tag=57, header={57: ""})


@CASES.add("value", "A value that is not in the list: PossResend Q", f"{_TEST} 14e, 14f")
def value(stage: Stage) -> None:
    _rejected(stage.log_on(), "0", reason=(5, 6), tag=97, header={97: "Q"})


@CASES.add("number", "A number that is none: BeginSeqNo abc", f"{_TEST} 14f")
def number(stage: Stage) -> None:
    _rejected(stage.log_on(), "2", (7, "abc"), (16, 0), reason=6, tag=7)


@CASES.add("plus-sign", "A number with a plus sign", f"{_TEST} 14f", severity=SHOULD)
def plus_sign(stage: Stage) -> None:
    _rejected(stage.log_on(), "2", (7, "+1"), (16, 0), reason=6, tag=7)


@CASES.add("time", "A time stamp that is none: a date alone", f"{_TEST} 14f")
def moment(stage: Stage) -> None:
    _rejected(stage.log_on(), "0", reason=6, tag=122, header={43: "Y", 122: "20040415"})


@CASES.add("order", "A field of the header behind one of the body", f"{_TEST} 14g")
def order(stage: Stage) -> None:
    _rejected(stage.log_on(), "1", (112, "ORDER"), (97, "Y"), reason=14, tag=97)


@CASES.add("twice", "A tag twice", f"{_TEST} 14h")
def twice(stage: Stage) -> None:
    _rejected(stage.log_on(), "1", (112, "ONE"), (112, "TWO"), reason=13, tag=112)


@CASES.add("any-order", "Fields of the header in any order are fine", f"{_TEST} 15")
def any_order(stage: Stage) -> None:
    peer = stage.log_on()
    data = {52: None, 56: None, 49: None, 34: None}
    peer.send(
        "1",
        (52, peer.time()),
        (34, peer.next_number),
        (56, stage.plan.target),
        (49, stage.plan.sender),
        (112, "ORDER"),
        header=data,
    )
    peer.expect("0", has={112: "ORDER"})
    peer.fence()


@CASES.add("no-target", "A message without TargetCompID", f"{_TEST} 14b", severity=SHOULD)
def no_target(stage: Stage) -> None:
    peer = stage.log_on()
    sent = peer.send("0", header={56: None})
    found = peer.expect("3", "5", what=f"Reject (35=3) with 45={sent}, or Logout (35=5), 56 being required")
    if found.type == "3" and found.get(45) != str(sent):
        raise Mismatch(f"Reject (35=3) with 45={sent}", shown(found.data))


@CASES.add("several", "Each of several faulty messages has a Reject of its own", f"{_TEST} 14")
def several(stage: Stage) -> None:
    peer = stage.log_on()
    numbers = [peer.send("1"), peer.send("1", (112, "")), peer.send("0", (4999, "x"))]
    for one, reason in zip(numbers, ((1,), (4,), _UNKNOWN), strict=True):
        peer.expect_reject(one, reason)
    peer.fence()


@CASES.add(
    "missing-in-gap", "A faulty message that fills a gap is rejected, and counts", f"{_TEST} 14, 2b", severity=SHOULD
)
def missing_in_gap(stage: Stage) -> None:
    peer = stage.log_on()
    faulty = peer.next_number
    peer.send("0", number=faulty + 1)
    peer.expect("2", has={7: str(faulty)})
    peer.say_again("1", number=faulty)
    peer.expect_reject(faulty, 1, 112)
    peer.say_again("0", number=faulty + 1)
    peer.next_number = faulty + 2
    peer.fence()


def _order_rejected(stage: Stage, instead: Mapping[int | str, object], *more: Field, reason: int, tag: int) -> None:
    """Send a faulty order; a target that takes no orders says so instead, which is as good.

    The symbol is one that there is not, should somebody take the order after all.
    """
    peer = stage.log_on()
    fields: dict[int | str, object] = {11: f"C{stage.now_ns}", 21: "1", 55: "NO-SUCH-SYMBOL", 54: "1", 60: peer.time()}
    fields |= {38: "1", 40: "2", 44: "1", 59: "0"}
    fields.update(instead)
    number = peer.send("D", *fields.items(), *more)
    expected = f"Reject (35=3) with 45={number}, 371={tag}, 373={reason}"
    found = peer.expect("3", "j", what=expected, has={45: str(number)})
    is_unserved = found.type == "j" or found.get(373) == "11"
    reasons = (str(reason), None) if stage.plan.version == "4.2" and reason > 11 else (str(reason),)
    if not is_unserved and (found.get(371) != str(tag) or found.get(373) not in reasons):
        raise Mismatch(expected, shown(found.data))
    peer.fence("the session to go on after the Reject")


@CASES.add("side", "A value that is not in the list: an order's side Z", f"{_TEST} 14e", roles=(ACCEPTOR,))
def side(stage: Stage) -> None:
    _order_rejected(stage, {54: "Z"}, reason=5, tag=54)


@CASES.add("price", "A price that is none", f"{_TEST} 14f", roles=(ACCEPTOR,))
def price(stage: Stage) -> None:
    _order_rejected(stage, {44: "1.0.0"}, reason=6, tag=44)


@CASES.add("group-count", "A group with fewer entries than its count says", f"{_TEST} 14i", roles=(ACCEPTOR,))
def group_count(stage: Stage) -> None:
    _order_rejected(stage, {}, (386, "3"), (336, "A"), (336, "B"), reason=16, tag=386)
