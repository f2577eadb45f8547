"""What a policy may do: every action by name, at which types it may stand, and its parameters.

The declarations are the only place: rules are checked against them, and `docs/exsim-policies.md` is held against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from txtrader.errors import InvalidArgument
from txtrader.exsim.policies.conditions import DATA, KINDS, REPORTS, REQUESTS
from txtrader.exsim.policies.parameters import (
    Parameter,
    amount,
    chance,
    count,
    flag,
    number,
    seconds,
    share,
    text,
    ticks,
    word,
)
from txtrader.exsim.records import Reason

__all__ = ["ACTIONS", "Action", "Step", "read_step"]

ONE = Decimal(1)
_ORDER_REPORTS = tuple(kind for kind in REPORTS if kind not in ("snapshot", "increment", "message"))
_NOT_DATA = tuple(kind for kind in KINDS if kind not in DATA)
_SPOILS = ("checksum", "length", "time", "type", "field", "version")
_DISTORTIONS = ("crossed", "locked", "zero", "negative")


class Action(msgspec.Struct, frozen=True):
    """One action.  `group` says what it concerns: a request (gate), executions (trade), reports, data, an order, a
    link, a session, the venue, or the rule itself."""

    name: str
    group: str
    kinds: tuple[str, ...]
    meaning: str
    parameters: tuple[Parameter, ...] = ()


class Step(msgspec.Struct, frozen=True):
    """One action of one rule, with its parameters read."""

    action: Action
    values: dict[str, Any]
    path: str

    @property
    def name(self) -> str:
        return self.action.name

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


_LATER = seconds("seconds", "how much later", 0.0)
_QUANTITY = amount("quantity", "how much; else by `share`", None)
_GATE = (
    Action(
        "reject",
        "gate",
        ("new",),
        "refuse the order",
        (
            word("reason", "why, a word of the venue", tuple(str(one) for one in Reason), "venue"),
            text("text", "the words that go with it", "rejected by a policy"),
        ),
    ),
    Action(
        "refuse",
        "gate",
        ("cancel", "replace"),
        "refuse the request; the order stays as it is",
        (
            word("reason", "why", ("too-late", "unknown-order", "pending", "venue"), "too-late"),
            text("text", "the words that go with it", "refused by a policy"),
        ),
    ),
    Action(
        "delay",
        "gate",
        (*REQUESTS, *REPORTS),
        "let the venue, or the client, get it later: fixed, from a range, normal, or with spikes",
        (
            seconds("seconds", "how much later"),
            seconds("to", "draw evenly from `seconds` to this", None),
            seconds("deviation", "draw from a normal distribution about `seconds`, never below 0", None),
            seconds("spike", "with `chance` this is added", None),
            chance("chance", "of a spike", Decimal(0)),
        ),
    ),
    Action("pend", "gate", tuple(REQUESTS), "tell first that the request is pending"),
    Action(
        "swallow",
        "gate",
        tuple(REQUESTS),
        "never answer, and let it have no effect",
    ),
    Action("park", "gate", ("new",), "hold the order unacknowledged until `Venue.release` decides"),
    Action("keep_out", "gate", ("new",), "accept the order, and do not let it into the market"),
    Action(
        "fill",
        "trade",
        ("new",),
        "let the order, accepted but not in the book, trade with the house",
        (
            _QUANTITY,
            share("share", "how much of the order", ONE),
            count("parts", "in so many executions", 1),
            seconds("seconds", "how long after the acknowledgement", 0.0),
            seconds("every", "between two parts", 0.0),
            number("price", "at this price; else the limit, or without one the other side's best, or the last", None),
            ticks("better", "so much better for the order; worse where negative"),
            word("rest", "what becomes of the remainder: it goes to the market, or nowhere", ("work", "idle"), "work"),
        ),
    ),
    Action(
        "overfill",
        "trade",
        ("new",),
        "let the house trade more with the order than it asked for; marked on the tape",
        (amount("quantity", "how much more"), seconds("seconds", "how long after the acknowledgement", 0.0)),
    ),
    Action(
        "fill_first",
        "gate",
        ("cancel", "replace"),
        "let the order trade with the house just before the request",
        (share("share", "how much of what is open", ONE),),
    ),
    Action(
        "fill_late",
        "trade",
        ("cancel",),
        "let an order that was canceled trade with the house after all",
        (_LATER, share("share", "how much of what was open", ONE)),
    ),
    Action(
        "lessen",
        "gate",
        ("replace",),
        "accept the replace with a smaller quantity",
        (share("share", "how much of what was asked for, in whole steps"),),
    ),
    Action(
        "throttle",
        "gate",
        (*REQUESTS, "connect", "logon"),
        "bound how many come from one session in any interval",
        (
            count("most", "so many pass"),
            seconds("interval", "in so many seconds", 1.0),
            word("then", "what becomes of one more", ("delay", "reject", "disconnect"), "reject"),
        ),
    ),
)
_REPORT = (
    Action(
        "withhold",
        "report",
        (*REPORTS, "quote", "trade"),
        "do not tell it",
        (
            word(
                "until",
                "for ever, or until a status request, or until a report of this type about the same order has gone",
                ("", "asked", *_ORDER_REPORTS),
                "",
            ),
        ),
    ),
    Action(
        "duplicate",
        "report",
        (*REPORTS, "quote", "trade"),
        "tell it again",
        (count("times", "so many times more", 1),),
    ),
    Action(
        "repeat_altered",
        "report",
        ("fill",),
        "tell the same execution id again with other content",
        (
            number("quantity", "added to the quantity", Decimal(0)),
            number("price", "added to the price", Decimal(0)),
            number("cumulative", "added to what is done", Decimal(0)),
        ),
    ),
    Action(
        "alter",
        "report",
        ("ack", "fill", "status", "canceled", "snapshot", "increment"),
        "tell it with wrong figures: a fill's quantity and price, what is done; prices of a picture that disagrees",
        (
            number("cumulative", "added to what is done", Decimal(0)),
            number("quantity", "added to the quantity", Decimal(0)),
            number("price", "added to the price", Decimal(0)),
        ),
    ),
    Action(
        "reorder",
        "report",
        tuple(REPORTS),
        "collect some, then tell them in another sequence",
        (
            count("window", "so many", 2),
            seconds("seconds", "tell them by then, however many they are", 5.0),
        ),
    ),
)
_ON_DATA = (
    Action(
        "distort",
        "data",
        ("quote", "depth"),
        "show a price that is not there: a bid above or at the offer, an offer at zero or below",
        (word("how", "which", _DISTORTIONS),),
    ),
    Action(
        "stale",
        "data",
        tuple(DATA),
        "tell nothing more; what is missed comes with the first change after that",
        (seconds("seconds", "for so long"),),
    ),
    Action("gap", "data", ("trade",), "leave out numbers of trades", (count("count", "so many", 1),)),
)
_ON_ORDER = (*REQUESTS, *_ORDER_REPORTS)
_ORDER = (
    Action(
        "cancel",
        "order",
        _ON_ORDER,
        "cancel the order, which nobody asked for",
        (_LATER, text("text", "the words that go with it", "canceled by a policy")),
    ),
    Action("expire", "order", _ON_ORDER, "let the order's time be over", (_LATER,)),
    Action(
        "restate",
        "order",
        _ON_ORDER,
        "make less of the order, which nobody asked for",
        (_LATER, share("share", "what stays of what is open")),
    ),
    Action(
        "bust",
        "order",
        ("new", "fill"),
        "take executions back: the one told, or all that the order has then",
        (_LATER,),
    ),
    Action(
        "correct",
        "order",
        ("new", "fill"),
        "correct executions: the one told, or all that the order has then",
        (
            _LATER,
            ticks("better", "the price, by so much better for the order"),
            share("share", "what stays of the quantity", ONE),
        ),
    ),
)
_LINK = (
    Action(
        "drop",
        "link",
        _NOT_DATA,
        "end the connection",
        (
            word("how", "with a reset, in order, or only our direction of it", ("rst", "fin", "half"), "rst"),
            count("after_messages", "once so many more messages have left", None),
            count("after_bytes", "once so many more bytes have left", None),
            flag("mid_message", "in the middle of the last of these messages"),
        ),
    ),
    Action("half_open", "link", _NOT_DATA, "keep the connection, say and hear nothing any more"),
    Action(
        "freeze",
        "link",
        _NOT_DATA,
        "read nothing from the connection",
        (seconds("seconds", "for so long; 0 for ever", 0.0),),
    ),
    Action(
        "trickle",
        "link",
        _NOT_DATA,
        "let what is said leave in small pieces",
        (seconds("every", "between two pieces", 0.01), count("size", "bytes of each", 1)),
    ),
    Action(
        "merge",
        "link",
        _NOT_DATA,
        "let messages leave together in one write",
        (count("count", "so many", 10), seconds("seconds", "by then, however many they are", 1.0)),
    ),
    Action("lag", "link", _NOT_DATA, "let everything leave later", (seconds("seconds", "so much"),)),
    Action(
        "garbage",
        "link",
        _NOT_DATA,
        "say nonsense before each of the next messages",
        (text("text", "what is said", "%$#!"), count("count", "before so many", 1)),
    ),
    Action(
        "refuse_connections",
        "link",
        _NOT_DATA,
        "take no new connections",
        (seconds("seconds", "for so long; 0 for ever", 0.0),),
    ),
)
_SESSION = (
    Action(
        "log_out",
        "session",
        _NOT_DATA,
        "end the session, with a word",
        (text("text", "the word", "ended by a policy"),),
    ),
    Action("reject_logon", "session", ("logon",), "refuse the logon", (text("text", "why", "refused by a policy"),)),
    Action(
        "skip_numbers",
        "session",
        _NOT_DATA,
        "leave out numbers of what is sent: a gap",
        (count("count", "how many", 1),),
    ),
    Action(
        "repeat_numbers", "session", _NOT_DATA, "use the last numbers again: too low", (count("count", "how many", 1),)
    ),
    Action("reset_numbers", "session", _NOT_DATA, "begin again at 1 without notice"),
    Action(
        "demand_resend",
        "session",
        _NOT_DATA,
        "ask for everything again",
        (count("begin", "from this number on", 1), count("times", "so many times", 1)),
    ),
    Action("stop_heartbeats", "session", _NOT_DATA, "send no heartbeats any more"),
    Action("ignore_tests", "session", _NOT_DATA, "answer no test request any more"),
    Action(
        "spoil",
        "session",
        _NOT_DATA,
        "send messages with a fault of form",
        (
            word("what", "wrong checksum, length, sending time, type or version; or a field missing", _SPOILS),
            count("tag", "the field that is missing", 37),
            count("count", "so many", 1),
        ),
    ),
)
_BOOK = text("book", "the symbol; else that of the message, or of the scope, or all", None)
_VENUE = (
    Action("halt", "venue", _NOT_DATA, "halt a market", (_BOOK,)),
    Action("resume", "venue", _NOT_DATA, "let a market trade again", (_BOOK,)),
    Action("end_of_day", "venue", _NOT_DATA, "expire all DAY orders, and let numbers begin at 1 where there are any"),
    Action(
        "restart",
        "venue",
        _NOT_DATA,
        "drop everybody and take no connections for a while, as a venue that is restarted",
        (
            seconds("seconds", "for so long", 1.0),
            flag("book", "live orders are still there afterwards", True),
            flag("numbers", "numbers begin at 1", False),
        ),
    ),
)
_RULE = (
    Action("wait", "rule", _NOT_DATA, "let the actions after this one come later", (seconds("seconds", "so much"),)),
)

ACTIONS: dict[str, Action] = {
    action.name: action for action in (*_GATE, *_REPORT, *_ON_DATA, *_ORDER, *_LINK, *_SESSION, *_VENUE, *_RULE)
}


def read_step(given: Any, kinds: frozenset[str], path: str) -> Step:
    """Read one action of a rule that matches some kinds; raises InvalidArgument."""
    if not isinstance(given, Mapping):
        raise InvalidArgument("an object is wanted", path=path)
    name = given.get("do")
    action = ACTIONS.get(name) if isinstance(name, str) else None
    if action is None:
        raise InvalidArgument(f"there is no action {name!r}", path=f"{path}.do", candidates=sorted(ACTIONS))
    wrong = sorted(kinds.difference(action.kinds))
    if wrong:
        raise InvalidArgument(f"{name} makes no sense for {', '.join(wrong)}", path=f"{path}.do")
    known = {one.name: one for one in action.parameters}
    for key in given:
        if key != "do" and key not in known:
            raise InvalidArgument(f"{name} has no such parameter", path=f"{path}.{key}", candidates=sorted(known))
    values: dict[str, Any] = {}
    for one in action.parameters:
        if one.name in given:
            values[one.name] = one.read(given[one.name], f"{path}.{one.name}")
        elif one.is_required:
            raise InvalidArgument(f"{name} needs it", path=f"{path}.{one.name}")
        else:
            values[one.name] = one.default
    return Step(action, values, path)
