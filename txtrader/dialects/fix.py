"""FIX words and ours: sides, order types, times in force, instants, instruments; both directions of each."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from txtrader.model.instrument import SecType
from txtrader.model.order import OrderType, Side, TimeInForce
from txtrader.wire.fix.message import Message

__all__ = [
    "OrderTerms",
    "Unsupported",
    "instant_from_wire",
    "instant_to_wire",
    "number_to_wire",
    "put_terms",
    "sectype_of",
    "security_type",
    "side_of",
    "side_to_wire",
    "terms_of",
]

SECOND = 1_000_000_000

_SIDES = {"1": Side.BUY, "2": Side.SELL, "5": Side.SELLSHORT, "6": Side.SELLSHORT}
_SIDE_WORDS = {Side.BUY: "1", Side.BUYTOCOVER: "1", Side.SELL: "2", Side.SELLSHORT: "5"}
_TYPES = {
    "1": OrderType.MARKET,
    "2": OrderType.LIMIT,
    "3": OrderType.STOP,
    "4": OrderType.STOP_LIMIT,
    "J": OrderType.MARKET_IF_TOUCHED,
}
_TYPE_WORDS = {kind: word for word, kind in _TYPES.items()}
_TIMES = {
    "0": TimeInForce.DAY,
    "1": TimeInForce.GTC,
    "2": TimeInForce.OPG,
    "3": TimeInForce.IOC,
    "4": TimeInForce.FOK,
    "6": TimeInForce.GTD,
    "7": TimeInForce.CLS,
}
_AUCTION_TIMES = {"5": "cancel_on_auction", "B": "next"}
_AUCTION_WORDS = {part: word for word, part in _AUCTION_TIMES.items()}
_TIME_WORDS = {tif: word for word, tif in _TIMES.items()}
_SECURITY_TYPES = {
    SecType.STOCK: "CS",
    SecType.FUTURE: "FUT",
    SecType.OPTION: "OPT",
    SecType.FUTURE_OPTION: "OPT",
    SecType.CASH: "FOR",
    SecType.INDEX: "NONE",
}
_SECTYPES = {
    "CS": SecType.STOCK,
    "PS": SecType.STOCK,
    "FUT": SecType.FUTURE,
    "OPT": SecType.OPTION,
    "FOR": SecType.CASH,
    "FXSPOT": SecType.CASH,
}


class Unsupported(Exception):
    """A message asks for something that has no word of ours; `tag` is to blame."""

    def __init__(self, tag: int, text: str) -> None:
        super().__init__(text)
        self.tag = tag
        self.text = text


class OrderTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What an order message says of the order; prices and quantities as on the wire, instants integer nanoseconds.

    `auction` is `next` for one that is good for the next auction only, `cancel_on_auction` for one that it ends.
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
    post_only: bool = False
    ends_with_link: bool = False


def terms_of(message: Message) -> OrderTerms:
    """Read an order (D, G).  Raises Unsupported, naming the field."""
    side = _SIDES.get(message[54])
    if side is None:
        raise Unsupported(54, f"side {message[54]} is not offered")
    quantity = message.decimal(38)
    if quantity is None:
        raise Unsupported(38, "an order by cash amount is not offered")
    word = message[40]
    trail: Decimal | None = None
    if word == "P" and "a" in (message.get(18) or "").split(" "):
        kind, trail = OrderType.TRAILING_STOP, message.decimal(211)
        trail = None if trail is None else abs(trail)
    elif word in _TYPES:
        kind = _TYPES[word]
    else:
        raise Unsupported(40, f"order type {word} is not offered")
    flags = (message.get(18) or "").split()
    for flag in flags:
        if flag not in ("a", "6", "1", "2", "3", "5", "o"):  # how a person works an order is nothing to a venue
            raise Unsupported(18, f"instruction {flag} is not offered")
    auction = _AUCTION_TIMES.get(message.get(59) or "", "")
    tif = TimeInForce.DAY if auction else _TIMES.get(message.get(59, "0") or "0")
    if tif is None:
        raise Unsupported(59, f"time in force {message.get(59)} is not offered")
    good_till: int | None = None
    if tif is TimeInForce.GTD:
        if (instant := message.get(126)) is not None:
            good_till = instant_from_wire(instant)
        elif (date := message.get(432)) is not None:
            good_till = instant_from_wire(f"{date}-23:59:59")
    if message.get(110) not in (None, "0"):
        raise Unsupported(110, "a minimum quantity is not offered")
    return OrderTerms(
        side=side,
        quantity=quantity,
        type=kind,
        limit_price=message.decimal(44) if kind.needs_limit else None,
        stop_price=message.decimal(99) if kind.needs_stop else None,
        trail_amount=trail,
        tif=tif,
        good_till=good_till,
        auction=auction,
        display_quantity=message.decimal(1138) or message.decimal(111),
        post_only="6" in flags,
        ends_with_link="o" in flags,
    )


def put_terms(message: Message, terms: OrderTerms, version: str) -> None:
    """Write an order's terms into a message; `version` is the dictionary's (4.2, 4.4, 5.0).  Raises Unsupported."""
    message.add(54, side_to_wire(terms.side)).add(38, number_to_wire(terms.quantity))
    if terms.type is OrderType.TRAILING_STOP and terms.trail_amount is not None and version != "4.2":
        message.add(40, "P").add(18, "a").add(211, number_to_wire(-terms.side.sign * terms.trail_amount))
    else:
        word = _TYPE_WORDS.get(terms.type)
        if word is None or (word == "J" and version == "4.2"):
            raise Unsupported(40, f"FIX {version} has no {terms.type.value}")
        message.add(40, word)
    message.add(44, None if terms.limit_price is None else number_to_wire(terms.limit_price))
    message.add(99, None if terms.stop_price is None else number_to_wire(terms.stop_price))
    word = _AUCTION_WORDS.get(terms.auction) or _TIME_WORDS.get(terms.tif)
    if word is None or (word == "7" and version == "4.2") or (word == "B" and version != "5.0"):
        raise Unsupported(59, f"FIX {version} has no {terms.tif.value}")
    message.add(59, word)
    if terms.tif is TimeInForce.GTD and terms.good_till is not None:
        message.add(126, instant_to_wire(terms.good_till))
    if terms.ends_with_link:
        _add_flag(message, "o")
    if terms.display_quantity is not None:
        message.add(1138 if version == "5.0" else 111, number_to_wire(terms.display_quantity))


def _add_flag(message: Message, flag: str) -> None:
    """Add an instruction (18) to those that are there."""
    for place, (tag, value) in enumerate(message.fields):
        if tag == 18:
            message.fields[place] = (18, f"{value} {flag}")
            return
    message.add(18, flag)


def side_of(word: str) -> Side | None:
    """Read a side."""
    return _SIDES.get(word)


def side_to_wire(side: Side) -> str:
    """Write a side."""
    return _SIDE_WORDS[side]


def security_type(sectype: SecType) -> str | None:
    """Write a kind of instrument, None where FIX has no word of its own."""
    return _SECURITY_TYPES.get(sectype)


def sectype_of(word: str) -> SecType | None:
    """Read a kind of instrument."""
    return _SECTYPES.get(word)


def number_to_wire(value: Decimal) -> str:
    """Write a number without an exponent, and without zeros that say nothing."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") or "0" if "." in text else text


def instant_to_wire(ns: int) -> str:
    """Write an instant (integer nanoseconds UTC) to the millisecond."""
    second, rest = divmod(ns, SECOND)
    return f"{datetime.fromtimestamp(second, UTC).strftime('%Y%m%d-%H:%M:%S')}.{rest // 1_000_000:03d}"


def instant_from_wire(text: str) -> int:
    """Read a time stamp that the dictionary has found sound; a leap second counts as the one before."""
    text, _, fraction = text.partition(".")
    second = datetime.strptime(text.replace(":60", ":59"), "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
    return int(second.timestamp()) * SECOND + int(fraction[:9].ljust(9, "0"))
