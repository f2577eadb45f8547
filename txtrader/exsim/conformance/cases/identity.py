"""Who, when, what: each message is from the right peer, of now, in the version agreed, of a type that there is."""

from __future__ import annotations

from txtrader.exsim.conformance.case import SHOULD, Chapter
from txtrader.exsim.conformance.stage import Stage

__all__ = ["CASES"]

CASES = Chapter("message")
_TEST = "FIX 4.4 vol. 2, session test"
_FAR = 600


@CASES.add("wrong-sender", "A wrong SenderCompID in the session: Reject, Logout, the end", f"{_TEST} 2k")
def wrong_sender(stage: Stage) -> None:
    peer = stage.log_on()
    number = peer.send("0", header={49: "SOMEBODY-ELSE"})
    peer.expect_reject(number, 9)
    peer.expect_logout("49 is somebody else")


@CASES.add("wrong-target", "A wrong TargetCompID in the session: Reject, Logout, the end", f"{_TEST} 2k")
def wrong_target(stage: Stage) -> None:
    peer = stage.log_on()
    number = peer.send("0", header={56: "SOMEBODY-ELSE"})
    peer.expect_reject(number, 9)
    peer.expect_logout("56 is somebody else")


@CASES.add("old", "A SendingTime ten minutes ago: Reject, Logout, the end", f"{_TEST} 2o")
def old(stage: Stage) -> None:
    peer = stage.log_on()
    number = peer.send("0", header={52: peer.time(-_FAR)})
    peer.expect_reject(number, 10)
    peer.expect_logout("52 is ten minutes ago")


@CASES.add("of-the-future", "A SendingTime in ten minutes: Reject, Logout, the end", f"{_TEST} 2o")
def of_the_future(stage: Stage) -> None:
    peer = stage.log_on()
    number = peer.send("0", header={52: peer.time(_FAR)})
    peer.expect_reject(number, 10)
    peer.expect_logout("52 is in ten minutes")


@CASES.add("whole-seconds", "A SendingTime without fractions of a second is fine", "FIX 4.4 vol. 1, UTCTimestamp")
def whole_seconds(stage: Stage) -> None:
    peer = stage.log_on()
    peer.send("0", header={52: peer.time()[:17]})
    peer.fence()


@CASES.add("wrong-version", "Another BeginString in the session: Logout, the end", f"{_TEST} 2i")
def wrong_version(stage: Stage) -> None:
    peer = stage.log_on()
    peer.send("0", begin_string="FIX.4.1")
    peer.expect_logout("8 is FIX.4.1")


@CASES.add("unknown-type", "A type that there is not: Reject with reason 11, or BusinessMessageReject", f"{_TEST} 2q")
def unknown_type(stage: Stage) -> None:
    peer = stage.log_on()
    number = peer.send("*")
    found = peer.expect("3", "j", has={45: str(number)})
    if found.type == "3" and found.get(373) is not None:
        stage.require(found, {373: "11"}, "Reject (35=3)")
    peer.fence()


@CASES.add(
    "unserved-type",
    "A type that is not served: BusinessMessageReject, or Reject with reason 11",
    f"{_TEST} 2r",
    severity=SHOULD,
)
def unserved_type(stage: Stage) -> None:
    peer = stage.log_on()
    if stage.is_acceptor:  # nobody sends execution reports to an exchange, nor orders to its client
        kind = "8"
        body = {37: "1", 17: "1", 150: "0", 39: "0", 55: "IBM", 54: "1", 151: "1", 14: "0", 6: "0"}
        body |= {20: "0"} if stage.plan.version == "4.2" else {}
    else:
        kind = "D"
        body = {11: "1", 21: "1", 55: "IBM", 54: "1", 60: peer.time(), 38: "1", 40: "1"}
    number = peer.send(kind, *body.items())
    peer.expect("j", "3", has={45: str(number)})
    peer.fence()


@CASES.add("reject", "A Reject is counted and not answered", f"{_TEST} 7")
def reject(stage: Stage) -> None:
    peer = stage.log_on()
    peer.send("3", (45, 1), (58, "no fault of yours"))
    peer.fence()


@CASES.add(
    "routing",
    "A Reject turns the route round: OnBehalfOfCompID comes back as DeliverToCompID",
    "FIX 4.4 vol. 2, Header",
    severity=SHOULD,
)
def routing(stage: Stage) -> None:
    peer = stage.log_on()
    number = peer.send("1", header={115: "DESK"})
    peer.expect("3", has={45: str(number), 128: "DESK"})
