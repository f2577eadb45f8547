"""The words of TWS and ours, both ways: statuses, order types, times in force, sides, kinds, ticks.

One table serves both directions wherever the words map one to one; where they do not, a function says why.
"""

from __future__ import annotations

from decimal import Decimal
from enum import IntEnum
from typing import NamedTuple

from txtrader.errors import InvalidArgument
from txtrader.model.instrument import SecType
from txtrader.model.market import DataType
from txtrader.model.order import OrderStatus, OrderType, Side, TimeInForce

__all__ = [
    "EXECUTION_SIDES",
    "LIQUIDITY",
    "MARKET_DATA_TYPES",
    "MARKET_DATA_TYPE_NUMBERS",
    "ORDER_TYPES",
    "PRICE_TO_SIZE_TICK",
    "SPECIAL_TYPES",
    "STATUSES",
    "TIFS",
    "SpecialType",
    "TickType",
    "order_type_from_wire",
    "order_type_to_wire",
    "right_from_wire",
    "sectype_from_wire",
    "side_from_wire",
    "side_to_wire",
    "special_type_from_wire",
    "status_from_wire",
    "status_to_wire",
    "tick_name",
]

STATUSES: dict[str, OrderStatus] = {
    "ApiPending": OrderStatus.PENDING_NEW,
    "PendingSubmit": OrderStatus.PENDING_NEW,
    "PreSubmitted": OrderStatus.NEW,  # held at IB until it is elected or the market opens: it works
    "Submitted": OrderStatus.NEW,
    "PendingCancel": OrderStatus.PENDING_CANCEL,
    "ApiCancelled": OrderStatus.CANCELED,
    "Cancelled": OrderStatus.CANCELED,
    "Filled": OrderStatus.FILLED,
    "Inactive": OrderStatus.REJECTED,  # refused or held by IB; it may wake up again
}
"""What each TWS status means; partial fills are told by the quantities beside it."""

_STATUS_WORDS: dict[OrderStatus, str] = {
    OrderStatus.PENDING_NEW: "PendingSubmit",
    OrderStatus.NEW: "Submitted",
    OrderStatus.PARTIALLY_FILLED: "Submitted",
    OrderStatus.PENDING_REPLACE: "Submitted",
    OrderStatus.FILLED: "Filled",
    OrderStatus.PENDING_CANCEL: "PendingCancel",
    OrderStatus.CANCELED: "Cancelled",
    OrderStatus.EXPIRED: "Cancelled",
    OrderStatus.REJECTED: "Inactive",
}

ORDER_TYPES: dict[OrderType, str] = {
    OrderType.MARKET: "MKT",
    OrderType.LIMIT: "LMT",
    OrderType.STOP: "STP",
    OrderType.STOP_LIMIT: "STP LMT",
    OrderType.TRAILING_STOP: "TRAIL",
    OrderType.TRAILING_STOP_LIMIT: "TRAIL LIMIT",
    OrderType.MARKET_IF_TOUCHED: "MIT",
    OrderType.LIMIT_IF_TOUCHED: "LIT",
}

_CLOSING_TYPES: dict[OrderType, str] = {OrderType.MARKET: "MOC", OrderType.LIMIT: "LOC"}
"""At the close TWS has order types of their own, not a time in force."""

_TYPE_WORDS: dict[str, tuple[OrderType, TimeInForce | None]] = {
    **{word: (kind, None) for kind, word in ORDER_TYPES.items()},
    **{word: (kind, TimeInForce.CLS) for kind, word in _CLOSING_TYPES.items()},
    "STPLMT": (OrderType.STOP_LIMIT, None),
    "TRAILLIMIT": (OrderType.TRAILING_STOP_LIMIT, None),
    "TRAILLMT": (OrderType.TRAILING_STOP_LIMIT, None),
}


class SpecialType(NamedTuple):
    """What an order type of TWS means that is one of ours with a term of its own.

    `to_limit`: a market order whose rest becomes a limit order.  `peg`: a limit order whose price follows its own
    side's best price (`primary`), the other side's (`market`) or their middle (`mid`).
    """

    type: OrderType
    to_limit: bool = False
    peg: str = ""


SPECIAL_TYPES: dict[str, SpecialType] = {
    "MTL": SpecialType(OrderType.MARKET, to_limit=True),
    "REL": SpecialType(OrderType.LIMIT, peg="primary"),
    "PEG MKT": SpecialType(OrderType.LIMIT, peg="market"),
    "PEG MID": SpecialType(OrderType.LIMIT, peg="mid"),
}
"""Kept apart from the plain types: who has no such terms must not take one of these for a plain order."""
_SPECIAL_WORDS: dict[SpecialType, str] = {special: word for word, special in SPECIAL_TYPES.items()}
_SPECIAL_ALIASES = {word.replace(" ", ""): word for word in SPECIAL_TYPES}

TIFS: dict[str, TimeInForce] = {tif.value: tif for tif in TimeInForce if tif is not TimeInForce.CLS}

_SIDES: dict[str, Side] = {
    "BUY": Side.BUY,
    "SELL": Side.SELL,
    "SSHORT": Side.SELLSHORT,
    "SSHORTX": Side.SELLSHORT,
    "SLONG": Side.SELL,
}

EXECUTION_SIDES: dict[str, Side] = {"BOT": Side.BUY, "SLD": Side.SELL}

LIQUIDITY: dict[int, str] = {1: "Added", 2: "Removed", 3: "Routed"}

MARKET_DATA_TYPES: dict[int, DataType] = {
    1: DataType.LIVE,
    2: DataType.FROZEN,
    3: DataType.DELAYED,
    4: DataType.DELAYED_FROZEN,
}
MARKET_DATA_TYPE_NUMBERS: dict[DataType, int] = {kind: number for number, kind in MARKET_DATA_TYPES.items()}

_RIGHTS: dict[str, str] = {"C": "C", "CALL": "C", "P": "P", "PUT": "P"}

_SEC_TYPES: dict[str, SecType] = {kind.value: kind for kind in SecType}


class TickType(IntEnum):
    """The tick types that are read by number; `facts of the TWS wire` lists them all."""

    BID_SIZE = 0
    BID = 1
    ASK = 2
    ASK_SIZE = 3
    LAST = 4
    LAST_SIZE = 5
    HIGH = 6
    LOW = 7
    VOLUME = 8
    CLOSE = 9
    BID_OPTION = 10
    ASK_OPTION = 11
    LAST_OPTION = 12
    MODEL_OPTION = 13
    OPEN = 14
    AVERAGE_VOLUME = 21
    OPEN_INTEREST = 22
    IMPLIED_VOLATILITY = 24
    BID_EXCHANGE = 32
    ASK_EXCHANGE = 33
    AUCTION_VOLUME = 34
    AUCTION_PRICE = 35
    AUCTION_IMBALANCE = 36
    MARK_PRICE = 37
    LAST_TIMESTAMP = 45
    RT_VOLUME = 48
    HALTED = 49
    CUSTOM_OPTION = 53
    REGULATORY_IMBALANCE = 61
    DELAYED_BID = 66
    DELAYED_ASK = 67
    DELAYED_LAST = 68
    DELAYED_BID_SIZE = 69
    DELAYED_ASK_SIZE = 70
    DELAYED_LAST_SIZE = 71
    DELAYED_HIGH = 72
    DELAYED_LOW = 73
    DELAYED_VOLUME = 74
    DELAYED_CLOSE = 75
    DELAYED_OPEN = 76
    RT_TRADE_VOLUME = 77
    LAST_EXCHANGE = 84
    FUTURES_OPEN_INTEREST = 86
    DELAYED_LAST_TIMESTAMP = 88
    SHORTABLE_SHARES = 89
    DELAYED_HALTED = 90


PRICE_TO_SIZE_TICK: dict[int, int] = {1: 0, 2: 3, 4: 5, 66: 69, 67: 70, 68: 71}
"""The size tick that a price tick of this type also carries."""

_TICK_NAMES: dict[int, str] = {kind.value: kind.name.lower() for kind in TickType}


def tick_name(number: int) -> str:
    """Name a tick type as `query_symbol_data` shows it; unknown ones by their number."""
    return _TICK_NAMES.get(number) or f"tick_{number}"


def status_from_wire(word: str, filled: Decimal | None = None) -> OrderStatus | None:
    """Translate a TWS status; None for a word that TWS did not have when this was written.

    A working order with something filled is `PartiallyFilled`: TWS has no word for it.
    """
    status = STATUSES.get(word)
    if status is OrderStatus.NEW and filled:
        return OrderStatus.PARTIALLY_FILLED
    return status


def status_to_wire(status: OrderStatus) -> str:
    """Say a status in the words of TWS.  Raises KeyError for the gateway's own (unknown, lost, staged)."""
    return _STATUS_WORDS[status]


def order_type_to_wire(kind: OrderType, tif: TimeInForce, *, to_limit: bool = False, peg: str = "") -> tuple[str, str]:
    """Return TWS's (orderType, tif).  Raises InvalidArgument for what TWS does not have; see `SpecialType`."""
    if to_limit or peg:
        special = _SPECIAL_WORDS.get(SpecialType(kind, to_limit, peg))
        if special is None or tif is TimeInForce.CLS:
            what = "to_limit" if to_limit else "peg"
            raise InvalidArgument(f"TWS has no such {kind} order, {tif}", path=what, reason="unsupported")
        return special, tif.value
    if tif is TimeInForce.CLS:
        word = _CLOSING_TYPES.get(kind)
        if word is None:
            raise InvalidArgument(f"TWS has no {kind} order at the close", path="tif", reason="unsupported")
        return word, TimeInForce.DAY.value
    if tif is TimeInForce.OPG and kind not in _CLOSING_TYPES:
        raise InvalidArgument(f"TWS has no {kind} order at the open", path="tif", reason="unsupported")
    return ORDER_TYPES[kind], tif.value


def order_type_from_wire(word: str, tif: str) -> tuple[OrderType | None, TimeInForce | None]:
    """Translate TWS's (orderType, tif); None for what the model has no word for, such as `SPECIAL_TYPES`."""
    kind, own_tif = _TYPE_WORDS.get(word, (None, None))
    return kind, own_tif or TIFS.get(tif)


def special_type_from_wire(word: str) -> SpecialType | None:
    """Translate an order type that is one of ours with a term of its own; None for any other."""
    return SPECIAL_TYPES.get(_SPECIAL_ALIASES.get(word, word))


def side_to_wire(side: Side) -> str:
    """Return BUY or SELL: TWS's short marks are for institutions that clear elsewhere, and are refused to others."""
    return side.action


def side_from_wire(word: str) -> Side | None:
    """Translate an order's action, or an execution's BOT and SLD."""
    return _SIDES.get(word) or EXECUTION_SIDES.get(word)


def right_from_wire(word: str | None) -> str | None:
    """Return C or P; TWS sends `?` or `0` where there is no right."""
    return _RIGHTS.get((word or "").upper())


def sectype_from_wire(word: str | None) -> SecType:
    """Translate a security type; OTHER for news, funds of funds and whatever comes next."""
    return _SEC_TYPES.get(word or "", SecType.OTHER)
