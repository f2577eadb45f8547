"""ResendRequest: what was sent comes again in order, marked, and without holes."""

from __future__ import annotations

from txtrader.exsim.conformance.case import ACCEPTOR, SHOULD, Chapter, Mismatch
from txtrader.exsim.conformance.frames import shown
from txtrader.exsim.conformance.peer import Peer
from txtrader.exsim.conformance.stage import Stage
from txtrader.wire.fix.dictionary import is_admin

__all__ = ["CASES", "ask_again"]

CASES = Chapter("resend")
_TEST = "FIX 4.4 vol. 2, session test"


def ask_again(peer: Peer, begin: int, end: int, last: int, *, number: int | None = None) -> list[str]:
    """Ask for `begin` to `end` (as it is written) and look at the answer up to `last`; return the kinds that came.

    Each message is marked with 43=Y, and each begins where the one before ended.
    """
    peer.send("2", (7, begin), (16, end), number=number)
    due, kinds = begin, []
    while due <= last:
        what = f"number {due} again, or a gap fill from there (43=Y, 34={due})"
        found = peer.next_of_resend(what)
        if found.get(34) != str(due) or not found.is_set(43):
            raise Mismatch(what, shown(found.data))
        kinds.append(found.type)
        if found.type != "4":
            due += 1
            if 122 not in found:
                raise Mismatch(f"{what}, with 122", shown(found.data))
            continue
        new = found.get(36) or ""
        if not found.is_set(123) or not new.isdecimal() or int(new) <= due:
            raise Mismatch(f"{what}, with 123=Y and 36 above {due}", shown(found.data))
        due = int(new)
    if due > last + 1:
        raise Mismatch(f"a gap fill to 36={last + 1}, the number after the last one asked for", f"36={due}")
    return kinds


def _talk(stage: Stage) -> Peer:
    """Log on and have the target send a few Heartbeats, so that there is something to ask for."""
    peer = stage.log_on()
    for _ in range(3):
        peer.fence()
    return peer


@CASES.add("all", "7=1, 16=0 brings everything from the first number on", f"{_TEST} 8")
def everything(stage: Stage) -> None:
    peer = _talk(stage)
    ask_again(peer, 1, 0, peer.expected - 1)
    peer.fence()


@CASES.add("range", "7 and 16 bring just what is between them", f"{_TEST} 8")
def part(stage: Stage) -> None:
    peer = _talk(stage)
    ask_again(peer, 2, 3, 3)
    peer.fence("nothing beyond 16 to come")


@CASES.add("one", "7 = 16 brings one number", f"{_TEST} 8")
def one(stage: Stage) -> None:
    peer = _talk(stage)
    ask_again(peer, 2, 2, 2)
    peer.fence("nothing beyond 16 to come")


@CASES.add("beyond", "A high 16 means all that there is", f"{_TEST} 8", severity=SHOULD)
def beyond(stage: Stage) -> None:
    peer = _talk(stage)
    ask_again(peer, 1, 999999, peer.expected - 1)
    peer.fence()


@CASES.add("nothing-there", "A request for what was never sent does no harm", f"{_TEST} 8", severity=SHOULD)
def nothing_there(stage: Stage) -> None:
    peer = _talk(stage)
    peer.send("2", (7, peer.expected + 100), (16, 0))
    peer.send("1", (112, "AFTER"))
    peer.expect("0", has={112: "AFTER"}, skips=("3", "4"), what="the session to go on: Heartbeat (35=0) with 112=AFTER")


@CASES.add(
    "session-messages",
    "Messages of the session are stepped over by a gap fill, never sent again",
    f"{_TEST} 8; SequenceReset",
)
def session_messages(stage: Stage) -> None:
    peer = _talk(stage)
    kinds = ask_again(peer, 1, 0, peer.expected - 1)
    wrong = [kind for kind in kinds if is_admin(kind) and kind not in ("4", "3")]
    if wrong:
        raise Mismatch("SequenceReset (35=4) in place of messages of the session", f"35={wrong[0]} was sent again")


@CASES.add("numbers", "A resend takes no new numbers", f"{_TEST} 8")
def numbers(stage: Stage) -> None:
    peer = _talk(stage)
    due = peer.expected
    ask_again(peer, 1, 0, due - 1)
    peer.fence()
    if peer.received[-1].get(34) != str(due):
        raise Mismatch(f"the next new message with 34={due}", shown(peer.received[-1].data))


@CASES.add("twice", "The same request twice is served twice", f"{_TEST} 8", severity=SHOULD)
def twice(stage: Stage) -> None:
    peer = _talk(stage)
    last = peer.expected - 1
    ask_again(peer, 1, last, last)
    ask_again(peer, 1, last, last)
    peer.fence()


@CASES.add(
    "crossed",
    "A request whose own number is too high is served, and the gap before it asked for sooner or later",
    f"{_TEST} 20",
)
def crossed(stage: Stage) -> None:
    peer = _talk(stage)
    missing, last = peer.next_number, peer.expected - 1
    peer.send("2", (7, 1), (16, last), number=missing + 1)
    due, has_asked = 1, False
    while due <= last:
        found = peer.next_of_resend("our numbers again (43=Y), perhaps a ResendRequest (35=2) before", "2")
        if found.type == "2":
            has_asked = True
        else:
            due = int(found.get(36) or 0) if found.type == "4" else due + 1
    peer.next_number = missing + 2
    if not has_asked:  # at the latest when the next message comes
        peer.send("0")
        peer.expect("2", has={7: str(missing)})
    peer.say_again("4", (123, "Y"), (36, peer.next_number), number=missing)
    peer.fence("the gap to be closed")


@CASES.add(
    "after-return",
    "What was sent over a former connection can be asked for",
    "FIX 4.4 vol. 2, Sequence numbers",
    roles=(ACCEPTOR,),
    needs="memory",
)
def after_return(stage: Stage) -> None:
    ours, theirs = stage.after_session()
    peer = stage.log_on(number=ours, resets=False)
    ask_again(peer, theirs - 1, 0, theirs)
    peer.fence()
