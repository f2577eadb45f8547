"""Actions that answer: requests refused, late or traded with, and reports and prices told wrongly."""

from __future__ import annotations

from decimal import Decimal

from txtrader.exsim.policies.conditions import DATA, REPORTS, REQUESTS
from txtrader.exsim.policies.parameters import Action, amount, chance, count, number, seconds, share, text, ticks, word
from txtrader.exsim.records import Reason

__all__ = ["ANSWERS"]

ONE = Decimal(1)
_ORDER_REPORTS = tuple(kind for kind in REPORTS if kind not in ("snapshot", "increment", "message"))
_DISTORTIONS = ("crossed", "locked", "zero", "negative")
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

ANSWERS = (*_GATE, *_REPORT, *_ON_DATA)
