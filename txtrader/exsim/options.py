"""What can be set of a book's matching: declared once, with name, type, default and meaning.

A venue has one set of options for all its books, which each book may change for itself.  The declaration is the class
`BookOptions`; the table `BOOK_OPTIONS` is made from it, for whoever lists, documents or validates options.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated, Any, get_args, get_type_hints

import msgspec

from txtrader.errors import InvalidArgument
from txtrader.exsim.allocation import PRICE_TIME, rule_names
from txtrader.exsim.records import SelfTrade

__all__ = [
    "BOOK_OPTIONS",
    "BookOption",
    "BookOptions",
    "PostOnly",
    "ReplaceBelowFilled",
    "StopOnEntry",
    "TriggerSource",
    "changed",
]

_LARGEST = Decimal(10) ** 12


class PostOnly(StrEnum):
    """What becomes of a post-only order that would trade on its arrival."""

    REJECT = "reject"
    SLIDE = "slide"


class ReplaceBelowFilled(StrEnum):
    """What a replace means whose total is at or below what is done already."""

    FILL = "fill"
    REJECT = "reject"


class TriggerSource(StrEnum):
    """What elects waiting orders."""

    LAST = "last"
    BID_OFFER = "bid_offer"
    MID = "mid"
    REFERENCE = "reference"


class StopOnEntry(StrEnum):
    """What becomes of a new order whose trigger is reached already."""

    ELECT = "elect"
    REJECT = "reject"


_Meaning = msgspec.Meta


class BookOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of one book; the meanings are at the fields."""

    matching: Annotated[str, _Meaning(description="Name of the rule that divides an incoming quantity.")] = PRICE_TIME
    min_allocation: Annotated[Decimal, _Meaning(description="Pro-rata: a smaller share is none; 0 is one lot.")] = (
        Decimal(0)
    )
    top_max: Annotated[
        Decimal, _Meaning(description="pro_rata_top: what the order that set the price gets first, at most.")
    ] = Decimal(0)
    auto_match: Annotated[
        bool, _Meaning(description="False: orders rest or wait, and trade by match_orders alone.")
    ] = True
    self_trade: Annotated[
        SelfTrade, _Meaning(description="What happens when two orders of one key would trade with each other.")
    ] = SelfTrade.NONE
    market_rests: Annotated[
        bool, _Meaning(description="The rest of a market order that traded rests at its last price; else it goes.")
    ] = False
    post_only: Annotated[
        PostOnly,
        _Meaning(description="A post-only order that would trade is refused, or priced one tick short of that."),
    ] = PostOnly.REJECT
    replace_below_filled: Annotated[
        ReplaceBelowFilled,
        _Meaning(description="A replace to a total that is done already fills the order with that, or is refused."),
    ] = ReplaceBelowFilled.FILL
    trigger_source: Annotated[
        TriggerSource,
        _Meaning(
            description="What elects: trades; the offer for buys and the bid for sells; their middle; the reference."
        ),
    ] = TriggerSource.LAST
    stop_on_entry: Annotated[
        StopOnEntry, _Meaning(description="A new order whose trigger is reached is elected at once, or refused.")
    ] = StopOnEntry.ELECT
    half_ticks: Annotated[
        bool, _Meaning(description="A mid peg may stand at half a tick; else it is rounded away from the other side.")
    ] = False
    last_look_timeout: Annotated[
        Decimal, _Meaning(description="Seconds after which an unanswered last-look request is refused.")
    ] = Decimal(1)


class BookOption(msgspec.Struct, frozen=True, kw_only=True):
    """One option as it is declared; `type` is `bool`, `choice`, `decimal` or `rule`."""

    name: str
    type: str
    default: Any
    meaning: str
    choices: tuple[str, ...] = ()


def _table() -> dict[str, BookOption]:
    table = {}
    hints = get_type_hints(BookOptions, include_extras=True)
    for field in msgspec.structs.fields(BookOptions):
        kind, meta = get_args(hints[field.name])
        if issubclass(kind, StrEnum):
            type_, choices = "choice", tuple(str(choice) for choice in kind)
        else:
            type_, choices = {bool: "bool", Decimal: "decimal", str: "rule"}[kind], ()
        assert meta.description is not None
        table[field.name] = BookOption(
            name=field.name, type=type_, default=field.default, meaning=meta.description, choices=choices
        )
    return table


BOOK_OPTIONS: dict[str, BookOption] = _table()
"""Every option by name."""

_KINDS = {name: get_args(hint)[0] for name, hint in get_type_hints(BookOptions, include_extras=True).items()}


def changed(options: BookOptions, values: Mapping[str, Any]) -> BookOptions:
    """Return the options with some of them changed, all or none; text is taken for every type but bool.

    Raises InvalidArgument, whose `path` names the option.
    """
    return msgspec.structs.replace(options, **{name: _read(name, value) for name, value in values.items()})


def _read(name: str, value: Any) -> Any:
    option = BOOK_OPTIONS.get(name)
    if option is None:
        raise InvalidArgument(f"there is no option {name}; there are {', '.join(BOOK_OPTIONS)}", path=name)
    if option.type == "bool":
        if not isinstance(value, bool):
            raise InvalidArgument(f"{value!r} is neither true nor false", path=name)
        return value
    if option.type == "rule":
        if value not in rule_names():
            raise InvalidArgument(f"{value!r} is none of {', '.join(rule_names())}", path=name)
        return value
    if option.type == "choice":
        if value not in option.choices:
            raise InvalidArgument(f"{value!r} is none of {', '.join(option.choices)}", path=name)
        return _KINDS[name](value)
    return _number(name, value)


def _number(name: str, value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise InvalidArgument(f"{value!r} is not a number (an integer, a decimal or the text of one)", path=name)
    try:
        number = Decimal(value)
    except InvalidOperation as error:
        raise InvalidArgument(f"{value!r} is not a number", path=name) from error
    if not number.is_finite() or not 0 <= number < _LARGEST:
        raise InvalidArgument(f"{value} is not a number from 0 on", path=name)
    return number
