"""The terms of an order in FIX's words and ours: type, prices, time in force, what is shown, what is special.

Version 5.0 has words of its own for pegs (1094), shown quantities (1138) and triggers (1100 and on), the older ones
say it by instructions (18) and 111.  What decides whether or when an order trades and is not known here is refused,
naming the field; it is never ignored.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from txtrader.dialects.fix import Unsupported, instant_from_wire, instant_to_wire, number_to_wire, side_of, side_to_wire
from txtrader.model.order import OrderType, Side, TimeInForce
from txtrader.wire.fix.message import Message

__all__ = ["OrderTerms", "put_terms", "terms_of"]

_TYPES = {
    "1": OrderType.MARKET,
    "2": OrderType.LIMIT,
    "3": OrderType.STOP,
    "4": OrderType.STOP_LIMIT,
    "J": OrderType.MARKET_IF_TOUCHED,
}
_TYPE_WORDS = {kind: word for word, kind in _TYPES.items()}
_MARKET_TO_LIMIT, _PEGGED = "K", "P"
_TIMES = {
    "0": TimeInForce.DAY,
    "1": TimeInForce.GTC,
    "2": TimeInForce.OPG,
    "3": TimeInForce.IOC,
    "4": TimeInForce.FOK,
    "6": TimeInForce.GTD,
    "7": TimeInForce.CLS,
}
_TIME_WORDS = {tif: word for word, tif in _TIMES.items()}
_AUCTION_TIMES = {"5": "cancel_on_auction", "B": "next"}
_AUCTION_WORDS = {part: word for word, part in _AUCTION_TIMES.items()}

_TRAIL = "trail"
_PEG_FLAGS = {"R": "primary", "P": "market", "M": "mid", "a": _TRAIL}
_PEG_FLAG_WORDS = {peg: word for word, peg in _PEG_FLAGS.items()}
_PEG_TYPES = {"5": "primary", "4": "market", "2": "mid", "8": _TRAIL}
_PEG_TYPE_WORDS = {peg: word for word, peg in _PEG_TYPES.items()}
_PEG_WAYS = {835: "0", 836: "0", 837: "01", 838: "2"}
"""How a peg moves: it floats, its offset is a price, and it is rounded away from the other side."""

_HOW_IT_IS_WORKED = frozenset("1235")  # by the person at the broker, which is nothing to a venue
_ALL_OR_NONE, _REDUCE_ONLY, _POST_ONLY, _ENDS_WITH_LINK = "G", "E", "6", "o"
_FLAGS = frozenset((_ALL_OR_NONE, _REDUCE_ONLY, _POST_ONLY, _ENDS_WITH_LINK))

_NOT_OFFERED = {
    168: "a time from which an order is good",
    388: "discretion",
    847: "a strategy of the broker's",
}
_PRICE_PER_UNIT = "2"
_TRIGGER = (1101, 1102, 1107, 1109, 1110)
_RARE = frozenset((*_NOT_OFFERED, 423, 1084, 1085, 1086, 1138, 1100, *_TRIGGER))
"""What most orders have none of: one look tells."""
_RANDOM_DISPLAY = "3"
_BY_PRICE, _ACTIVATE, _BY_LAST, _UP, _DOWN = "4", "1", "2", "U", "D"


class OrderTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What an order message says of the order; prices and quantities as on the wire, instants integer nanoseconds.

    `auction` is `next` for one that is good for the next auction only, `cancel_on_auction` for one that it ends.
    `peg` is `primary`, `market` or `mid`: the price is that of its own side, of the other side or their middle, plus
    the signed `peg_offset`, and `limit_price`, if any, the cap; the type is LIMIT.  `to_limit` with MARKET: what does
    not trade at the best price rests there.  `display_low` and `display_high` are the bounds of drawn slices.
    """

    side: Side
    quantity: Decimal
    type: OrderType
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    tif: TimeInForce = TimeInForce.DAY
    good_till: int | None = None
    auction: str = ""
    display_quantity: Decimal | None = None
    display_low: Decimal | None = None
    display_high: Decimal | None = None
    hidden: bool = False
    min_quantity: Decimal | None = None
    all_or_none: bool = False
    reduce_only: bool = False
    post_only: bool = False
    ends_with_link: bool = False
    to_limit: bool = False
    peg: str = ""
    peg_offset: Decimal = Decimal(0)


# -- reading


def terms_of(message: Message) -> OrderTerms:
    """Read an order (D, G).  Raises Unsupported, naming the field."""
    side = side_of(message[54])
    if side is None:
        raise Unsupported(54, f"side {message[54]} is not offered")
    quantity = message.decimal(38)
    if quantity is None:
        raise Unsupported(38, "an order by cash amount is not offered")
    has_rarities = not _RARE.isdisjoint(message.index)
    if has_rarities:
        _check_offered(message)
    flags = (message.get(18) or "").split()
    peg = _peg_of(message, flags)
    for flag in flags:
        if flag not in _FLAGS and flag not in _HOW_IT_IS_WORKED and not (peg and flag in _PEG_FLAGS):
            raise Unsupported(18, f"instruction {flag} is not offered")
    kind, stop = _type_of(message, side, peg, has_rarities)
    offset = message.decimal(211) if peg else None
    shown, low, high = _display_of(message) if has_rarities else (message.decimal(111), None, None)
    auction = _AUCTION_TIMES.get(message.get(59) or "", "")
    tif = TimeInForce.DAY if auction else _TIMES.get(message.get(59, "0") or "0")
    if tif is None:
        raise Unsupported(59, f"time in force {message.get(59)} is not offered")
    return OrderTerms(
        side=side,
        quantity=quantity,
        type=kind,
        limit_price=message.decimal(44) if kind.needs_limit or message[40] == _MARKET_TO_LIMIT else None,
        stop_price=stop,
        trail_amount=abs(offset) if peg == _TRAIL and offset is not None else None,
        tif=tif,
        good_till=_good_till(message) if tif is TimeInForce.GTD else None,
        auction=auction,
        display_quantity=shown or None,
        display_low=low,
        display_high=high,
        hidden=shown is not None and not shown,
        min_quantity=message.decimal(110) or None,
        all_or_none=_ALL_OR_NONE in flags,
        reduce_only=_REDUCE_ONLY in flags,
        post_only=_POST_ONLY in flags,
        ends_with_link=_ENDS_WITH_LINK in flags,
        to_limit=message[40] == _MARKET_TO_LIMIT,
        peg="" if peg == _TRAIL else peg,
        peg_offset=offset or Decimal(0) if peg != _TRAIL else Decimal(0),
    )


def _check_offered(message: Message) -> None:
    for tag, what in _NOT_OFFERED.items():
        if message.get(tag) is not None:
            raise Unsupported(tag, f"{what} is not offered")
    if message.get(423) not in (None, _PRICE_PER_UNIT):
        raise Unsupported(423, "only prices per unit are offered")


def _peg_of(message: Message, flags: list[str]) -> str:
    """Return what a pegged order follows: its kind of peg, `trail`, or nothing for another order."""
    if message[40] != _PEGGED:
        return ""
    found = {_PEG_FLAGS[flag] for flag in flags if flag in _PEG_FLAGS}
    if (word := message.get(1094)) is not None:
        if word not in _PEG_TYPES:
            raise Unsupported(1094, f"peg type {word} is not offered")
        found.add(_PEG_TYPES[word])
    if len(found) != 1:
        raise Unsupported(18, "a pegged order follows one of: primary, market, mid, the last trade")
    for tag, offered in _PEG_WAYS.items():
        if (way := message.get(tag)) is not None and way not in offered:
            raise Unsupported(tag, f"this way to peg is not offered: {way}")
    return found.pop()


def _type_of(message: Message, side: Side, peg: str, has_rarities: bool) -> tuple[OrderType, Decimal | None]:
    """Return an order's type and the price at which it begins to work."""
    word = message[40]
    if peg:
        kind = OrderType.TRAILING_STOP if peg == _TRAIL else OrderType.LIMIT
    elif word == _MARKET_TO_LIMIT:
        kind = OrderType.MARKET
    elif word in _TYPES:
        kind = _TYPES[word]
    else:
        raise Unsupported(40, f"order type {word} is not offered")
    if has_rarities:
        if message.get(1100) is not None:
            return _triggered(message, side, word)
        for tag in _TRIGGER:
            if message.get(tag) is not None:
                raise Unsupported(tag, "a trigger needs its type, field 1100")
    return kind, message.decimal(99) if kind.needs_stop else None


def _triggered(message: Message, side: Side, word: str) -> tuple[OrderType, Decimal | None]:
    """Read the trigger of version 5.0: an order that begins to work when the last trade reaches a price."""
    offered = {1100: (_BY_PRICE,), 1101: (_ACTIVATE,), 1107: (None, _BY_LAST), 1110: (None,), 1109: (_UP, _DOWN)}
    for tag, words in offered.items():
        if message.get(tag) not in words:
            raise Unsupported(tag, f"trigger {message.get(tag)} is not offered")
    if word not in ("1", "2"):
        raise Unsupported(40, f"a trigger for an order of type {word} is not offered")
    is_stop = (message[1109] == _UP) == (side.sign > 0)
    if word == "1":
        kind = OrderType.STOP if is_stop else OrderType.MARKET_IF_TOUCHED
    else:
        kind = OrderType.STOP_LIMIT if is_stop else OrderType.LIMIT_IF_TOUCHED
    return kind, message.decimal(1102)


def _display_of(message: Message) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """Return how much of an order is shown (0: nothing), or the bounds between which it is drawn."""
    method, low, high = message.get(1084), message.decimal(1085), message.decimal(1086)
    if method == _RANDOM_DISPLAY:
        if low is None or high is None:
            raise Unsupported(1085 if low is None else 1086, "slices are drawn between two bounds")
        return None, low, high
    if method not in (None, "1"):
        raise Unsupported(1084, f"display method {method} is not offered")
    if low is not None or high is not None:
        raise Unsupported(1084, "the bounds of what is shown need display method 3")
    shown = message.decimal(1138)
    return (shown if shown is not None else message.decimal(111)), None, None


def _good_till(message: Message) -> int | None:
    if (instant := message.get(126)) is not None:
        return instant_from_wire(instant)
    if (date := message.get(432)) is not None:
        return instant_from_wire(f"{date}-23:59:59")
    return None


# -- writing


def put_terms(message: Message, terms: OrderTerms, version: str) -> None:
    """Write an order's terms into a message; `version` is the dictionary's (4.2, 4.4, 5.0).  Raises Unsupported."""
    message.add(54, side_to_wire(terms.side)).add(38, number_to_wire(terms.quantity))
    flags = _put_type(message, terms, version)
    message.add(44, _number(terms.limit_price))
    word = _AUCTION_WORDS.get(terms.auction) or _TIME_WORDS.get(terms.tif)
    if word is None or (word == "7" and version == "4.2") or (word == "B" and version != "5.0"):
        raise Unsupported(59, f"FIX {version} has no {terms.tif.value}")
    message.add(59, word)
    if terms.tif is TimeInForce.GTD and terms.good_till is not None:
        message.add(126, instant_to_wire(terms.good_till))
    for flag, is_set in (
        (_POST_ONLY, terms.post_only),
        (_REDUCE_ONLY, terms.reduce_only),
        (_ALL_OR_NONE, terms.all_or_none),
        (_ENDS_WITH_LINK, terms.ends_with_link),
    ):
        if is_set:
            flags.append(flag)
    message.add(18, " ".join(flags) or None)
    message.add(110, _number(terms.min_quantity))
    if terms.display_low is not None and version == "5.0":
        message.add(1084, _RANDOM_DISPLAY).add(1085, _number(terms.display_low)).add(1086, _number(terms.display_high))
    elif terms.hidden or terms.display_quantity is not None:
        shown = "0" if terms.hidden else _number(terms.display_quantity)
        message.add(1138 if version == "5.0" else 111, shown)


def _put_type(message: Message, terms: OrderTerms, version: str) -> list[str]:
    """Write what kind of order it is; return the instructions that this takes."""
    kind = terms.type
    if terms.peg:
        message.add(40, _PEGGED).add(211, number_to_wire(terms.peg_offset))
        if version == "5.0":
            message.add(1094, _PEG_TYPE_WORDS[terms.peg])
            return []
        return [_PEG_FLAG_WORDS[terms.peg]]
    if kind is OrderType.TRAILING_STOP and terms.trail_amount is not None and version != "4.2":
        message.add(40, _PEGGED).add(211, number_to_wire(-terms.side.sign * terms.trail_amount))
        message.add(99, _number(terms.stop_price))
        return [_PEG_FLAG_WORDS[_TRAIL]]
    if kind is OrderType.LIMIT_IF_TOUCHED and version == "5.0" and terms.stop_price is not None:
        message.add(40, "2").add(1100, _BY_PRICE).add(1101, _ACTIVATE).add(1102, number_to_wire(terms.stop_price))
        message.add(1107, _BY_LAST).add(1109, _DOWN if terms.side.sign > 0 else _UP)
        return []
    word = _MARKET_TO_LIMIT if terms.to_limit else _TYPE_WORDS.get(kind)
    if word is None or (version == "4.2" and word in ("J", _MARKET_TO_LIMIT)):
        raise Unsupported(40, f"FIX {version} has no {'market-to-limit' if terms.to_limit else kind.value}")
    message.add(40, word).add(99, _number(terms.stop_price))
    return []


def _number(value: Decimal | None) -> str | None:
    return None if value is None else number_to_wire(value)
