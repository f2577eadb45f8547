"""Actions that disturb: orders ended unasked, connections and sessions spoiled, the venue halted or gone."""

from __future__ import annotations

from decimal import Decimal

from txtrader.exsim.policies.conditions import DATA, KINDS, REPORTS, REQUESTS
from txtrader.exsim.policies.parameters import Action, count, flag, seconds, share, text, ticks, word

__all__ = ["DISTURBANCES"]

ONE = Decimal(1)
_ORDER_REPORTS = tuple(kind for kind in REPORTS if kind not in ("snapshot", "increment", "message"))
_NOT_DATA = tuple(kind for kind in KINDS if kind not in DATA)
_SPOILS = ("checksum", "length", "time", "type", "field", "version")
_LATER = seconds("seconds", "how much later", 0.0)
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


DISTURBANCES = (*_ORDER, *_LINK, *_SESSION, *_VENUE, *_RULE)
