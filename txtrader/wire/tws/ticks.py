"""Our own decoder for the messages that come by the thousand; every other one goes to the API package's.

It takes a frame body of the text versions (up to 200) and makes an event, or says None: "not plain, let the package
decode it".  Plain means ASCII without escapes and every number in digits, so that both ways always give equal events::

    <- 1 NUL 6 NUL reqId NUL tickType NUL price NUL size NUL attrMask NUL        PriceTick
    <- 2 NUL 6 NUL reqId NUL tickType NUL size NUL                               SizeTick
    <- 45, 46 NUL 6 NUL reqId NUL tickType NUL value NUL                         GenericTick, StringTick
    <- 3, 12, 13, 21, 50, 90, 99                                                 a Message, fields as in `table`

A price tick of a bid, ask or last also carries the size; the package reports it as a size tick of its own, here it
stays one event.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from struct import Struct as Layout

import msgspec

from txtrader.wire.tws.message import Message

__all__ = ["HOT_IDS", "SIZED_TYPES", "GenericTick", "Numbers", "PriceTick", "SizeTick", "StringTick", "TickDecoder"]

HOT_IDS = frozenset({1, 2, 3, 12, 13, 21, 45, 46, 50, 90, 99})

SIZED_TYPES = frozenset({1, 2, 4, 66, 67, 68})
"""The types of price tick whose size means something: bid, ask, last, and the delayed ones."""

_LENGTH = Layout(">I")
_MOST_NUMBERS = 65536
_UNSET = Decimal(2**31 - 1)  # "no value", in any number; the other marks of it are too long to be plain
_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,12})?\Z", re.ASCII)
_MOST_DIGITS = 16  # what a double holds exactly, sign or point included: beyond it the package would round


class PriceTick(msgspec.Struct, frozen=True, gc=False):
    """A price, and for bid, ask and last the size that came with it.

    `mask` adds up 1 (may be executed automatically), 2 (past a limit), 4 (before the open).
    """

    req_id: int
    tick_type: int
    price: Decimal | None
    size: Decimal | None
    mask: int


class SizeTick(msgspec.Struct, frozen=True, gc=False):
    """A size or volume."""

    req_id: int
    tick_type: int
    size: Decimal | None


class GenericTick(msgspec.Struct, frozen=True, gc=False):
    """A number that is neither price nor size: halted, volatility, shortable."""

    req_id: int
    tick_type: int
    value: Decimal | None


class StringTick(msgspec.Struct, frozen=True, gc=False):
    """A text: a time stamp, exchange letters, RTVolume."""

    req_id: int
    tick_type: int
    value: str


class Numbers(dict[str, Decimal]):
    """The numbers seen, by their text: prices and sizes repeat, and a look-up is far cheaper than parsing.

    Holds at most 65,536 and then begins anew, so that a peer cannot fill the memory.  Raises ValueError for what is no
    plain number.
    """

    def __missing__(self, text: str) -> Decimal:
        if len(text) > _MOST_DIGITS or not _PLAIN_NUMBER.match(text):
            raise ValueError(text)
        if len(self) >= _MOST_NUMBERS:
            self.clear()
        number = Decimal(text)
        if number == _UNSET:
            raise ValueError(text)
        self[text] = number
        return number


class _Integers(dict[str, int]):
    """Small whole numbers by their text, likewise bounded and strict."""

    def __missing__(self, text: str) -> int:
        if not text.isdigit() or len(text) > 10 or text in ("2147483647",):
            raise ValueError(text)
        if len(self) >= _MOST_NUMBERS:
            self.clear()
        number = self[text] = int(text)
        return number


_Parse = Callable[[list[str], "TickDecoder"], object]


def _generic_tick(f: list[str], own: TickDecoder) -> object:
    integers = own.integers
    return GenericTick(integers[f[2]], integers[f[3]], own.numbers[f[4]])


def _string_tick(f: list[str], own: TickDecoder) -> object:
    if len(f) != 6:
        return None  # a text with a separator in it: the package has a rule for that, we have none
    integers = own.integers
    return StringTick(integers[f[2]], integers[f[3]], f[4])


def _order_status(f: list[str], own: TickDecoder) -> object:
    integers, numbers = own.integers, own.numbers
    return Message(
        "orderStatus",
        {
            "orderId": integers[f[1]],
            "status": f[2],
            "filled": numbers[f[3]],
            "remaining": numbers[f[4]],
            "avgFillPrice": numbers[f[5]],
            "permId": integers[f[6]],
            "parentId": integers[f[7]],
            "lastFillPrice": numbers[f[8]],
            "clientId": integers[f[9]],
            "whyHeld": f[10],
            "mktCapPrice": numbers[f[11]],
        },
    )


def _depth(f: list[str], own: TickDecoder) -> object:
    integers, numbers = own.integers, own.numbers
    return Message(
        "updateMktDepth",
        {
            "reqId": integers[f[2]],
            "position": integers[f[3]],
            "operation": integers[f[4]],
            "side": integers[f[5]],
            "price": numbers[f[6]],
            "size": numbers[f[7]],
        },
    )


def _depth_l2(f: list[str], own: TickDecoder) -> object:
    integers, numbers = own.integers, own.numbers
    return Message(
        "updateMktDepthL2",
        {
            "reqId": integers[f[2]],
            "position": integers[f[3]],
            "marketMaker": f[4],
            "operation": integers[f[5]],
            "side": integers[f[6]],
            "price": numbers[f[7]],
            "size": numbers[f[8]],
            "isSmartDepth": integers[f[9]] != 0,
        },
    )


def _option_computation(f: list[str], own: TickDecoder) -> object:
    integers, numbers = own.integers, own.numbers
    # Before 156 a version field stands second, from 156 the attributes stand fourth: the same number of fields.
    if own.version >= 156:
        req_id, tick_type, attributes = f[1], f[2], integers[f[3]]
    else:
        if f[1] != "6":
            return None
        req_id, tick_type, attributes = f[2], f[3], None
    volatility, delta, price, dividend, gamma, vega, theta, under = (numbers[text] for text in f[4:12])
    return Message(
        "tickOptionComputation",
        {
            "reqId": integers[req_id],
            "tickType": integers[tick_type],
            "tickAttrib": attributes,
            "impliedVol": None if volatility < 0 else volatility,
            "delta": None if delta == -2 else delta,
            "optPrice": None if price == -1 else price,
            "pvDividend": None if dividend == -1 else dividend,
            "gamma": None if gamma == -2 else gamma,
            "vega": None if vega == -2 else vega,
            "theta": None if theta == -2 else theta,
            "undPrice": None if under == -1 else under,
        },
    )


def _realtime_bar(f: list[str], own: TickDecoder) -> object:
    integers, numbers = own.integers, own.numbers
    return Message(
        "realtimeBar",
        {
            "reqId": integers[f[2]],
            "time": integers[f[3]],
            "open": numbers[f[4]],
            "high": numbers[f[5]],
            "low": numbers[f[6]],
            "close": numbers[f[7]],
            "volume": numbers[f[8]],
            "wap": numbers[f[9]],
            "count": integers[f[10]],
        },
    )


def _bar_update(f: list[str], own: TickDecoder) -> object:
    integers, numbers = own.integers, own.numbers
    return Message(
        "historicalDataUpdate",
        {
            "reqId": integers[f[1]],
            "barCount": integers[f[2]],
            "date": f[3],
            "open": numbers[f[4]],
            "close": numbers[f[5]],
            "high": numbers[f[6]],
            "low": numbers[f[7]],
            "wap": numbers[f[8]],
            "volume": numbers[f[9]],
        },
    )


def _tick_by_tick(f: list[str], own: TickDecoder) -> object:
    integers, numbers = own.integers, own.numbers
    kind = f[2]
    fields: dict[str, object] = {"reqId": integers[f[1]], "tickType": integers[kind], "time": integers[f[3]]}
    if kind == "1" or kind == "2":
        fields["price"] = numbers[f[4]]
        fields["size"] = numbers[f[5]]
        fields["mask"] = integers[f[6]] & 3
        fields["exchange"] = f[7]
        fields["specialConditions"] = f[8]
    elif kind == "3":
        fields["bidPrice"] = numbers[f[4]]
        fields["askPrice"] = numbers[f[5]]
        fields["bidSize"] = numbers[f[6]]
        fields["askSize"] = numbers[f[7]]
        fields["mask"] = integers[f[8]] & 3
    elif kind == "4":
        fields["midPoint"] = numbers[f[4]]
    else:
        return None
    return Message("tickByTick", fields)


_PARSERS: dict[str, _Parse] = {
    "3": _order_status,
    "12": _depth,
    "13": _depth_l2,
    "21": _option_computation,
    "45": _generic_tick,
    "46": _string_tick,
    "50": _realtime_bar,
    "90": _bar_update,
    "99": _tick_by_tick,
}
_PRICE, _SIZE = "1", "2"
assert {int(text) for text in (_PRICE, _SIZE, *_PARSERS)} == HOT_IDS


class TickDecoder:
    """Decodes the frequent frames of one connection; `version` is the server version, at most 200."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.numbers = Numbers()
        self.integers = _Integers()

    def run(self, data: bytes, text: str, start: int, append: Callable[[object], None]) -> int:
        """Decode whole frames from `start` on and `append` their events; returns where it stopped.

        It stops at the first frame that is not whole or not for it.  `text` is `data` as Latin-1, made once per read:
        prices and sizes, by far the most, are taken out of it here, in one loop without calls of our own.
        """
        size = len(data)
        unpack_from = _LENGTH.unpack_from
        integers, numbers = self.integers, self.numbers
        is_plain = data.isascii() and "\\" not in text
        try:
            while size - start >= 4:
                end = start + 4 + unpack_from(data, start)[0]
                if end > size:
                    break
                body = text[start + 4 : end]
                if not is_plain and (not body.isascii() or "\\" in body):
                    break
                f = body.split("\0")
                kind = f[0]
                if kind == _PRICE:
                    tick_type = integers[f[3]]
                    traded = numbers[f[5]]
                    if tick_type not in SIZED_TYPES:
                        append(PriceTick(integers[f[2]], tick_type, numbers[f[4]], None, integers[f[6]] & 7))
                    else:
                        append(PriceTick(integers[f[2]], tick_type, numbers[f[4]], traded, integers[f[6]] & 7))
                elif kind == _SIZE:
                    append(SizeTick(integers[f[2]], integers[f[3]], numbers[f[4]]))
                else:
                    parse = _PARSERS.get(kind)
                    event = parse(f, self) if parse is not None else None
                    if event is None:
                        break
                    append(event)
                start = end
        except (ValueError, IndexError):
            pass  # not plain: the package decodes this one
        return start

    def decode(self, body: bytes) -> object:
        """Return the event of one frame body, None where the package has to decode it."""
        found: list[object] = []
        whole = _LENGTH.pack(len(body)) + body
        self.run(whole, whole.decode("latin-1"), 0, found.append)
        return found[0] if found else None
