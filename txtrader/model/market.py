"""Market data records: quotes, trades, session figures, bars, depth."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum

import msgspec

from txtrader.model.instrument import Instrument

__all__ = [
    "Bar",
    "BarPeriod",
    "BarQuery",
    "DataType",
    "DepthLevel",
    "MarketStats",
    "PastQuote",
    "PastTrade",
    "Quote",
    "TickKind",
    "TickPage",
    "TickQuery",
    "Trade",
    "page_of",
]


class DataType(StrEnum):
    """How fresh market data is, as the broker says."""

    LIVE = "live"
    FROZEN = "frozen"
    DELAYED = "delayed"
    DELAYED_FROZEN = "delayed-frozen"
    SNAPSHOT = "snapshot"


class Quote(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Best bid and offer of one instrument; a side that is not known is None, never 0 or -1.

    Sizes are in units of the instrument (shares, contracts).  `receive_time` is our clock, `event_time` the venue's,
    both integer nanoseconds UTC.
    """

    symbol: str
    mode: str
    bid: Decimal | None = None
    bidsize: Decimal | None = None
    ask: Decimal | None = None
    asksize: Decimal | None = None
    event_time: int | None = None
    receive_time: int | None = None
    stale: bool = False
    data_type: DataType = DataType.LIVE


class Trade(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One print; `volume` is the session's volume after it."""

    symbol: str
    mode: str
    last: Decimal
    size: Decimal | None = None
    volume: Decimal | None = None
    event_time: int | None = None
    receive_time: int | None = None


class MarketStats(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Figures of the trading session; None means that this message says nothing about it."""

    symbol: str
    mode: str
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    close: Decimal | None = None  # the previous session's
    volume: Decimal | None = None
    vwap: Decimal | None = None
    halted: bool | None = None
    data_type: DataType | None = None
    raw: dict[str, str] | None = None  # the broker's own field names, for query_symbol_data


class BarPeriod(msgspec.Struct, frozen=True):
    """A bar's length: `count` of `unit`, unit one of `s`, `m`, `h`, `D`, `W`, `M`."""

    count: int
    unit: str

    def __str__(self) -> str:
        return f"{self.count}{self.unit}" if self.unit in "smh" or self.count != 1 else self.unit

    @property
    def seconds(self) -> int:
        """The nominal length in seconds (a month counts as 30 days)."""
        return self.count * {"s": 1, "m": 60, "h": 3600, "D": 86400, "W": 604800, "M": 2592000}[self.unit]


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One bar.  `time` is its start, integer nanoseconds UTC; for daily and longer bars midnight UTC of the date."""

    time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal | None = None
    count: int | None = None
    wap: Decimal | None = None


class BarQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for the bars of `period` with start <= time < end (integer nanoseconds UTC)."""

    instrument: Instrument
    period: BarPeriod
    start: int
    end: int


class TickKind(StrEnum):
    """Which past ticks are asked for."""

    TRADES = "trades"
    QUOTES = "quotes"


class PastTrade(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One print of the past; `time` as exact as the broker keeps it, integer nanoseconds UTC."""

    time: int
    price: Decimal
    size: Decimal | None = None


class PastQuote(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The best bid and offer from `time` (integer nanoseconds UTC) on; a side that is not known is None."""

    time: int
    bid: Decimal | None = None
    bidsize: Decimal | None = None
    ask: Decimal | None = None
    asksize: Decimal | None = None


class TickQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for about `limit` ticks with start <= time < end (integer nanoseconds UTC), the earliest ones."""

    instrument: Instrument
    kind: TickKind
    start: int
    end: int
    limit: int


class TickPage(msgspec.Struct, frozen=True, kw_only=True):
    """Past ticks in ascending time, and where the next page starts; None when there are no more.

    Ticks of one instant stay together, so a page may hold some more than were asked for.
    """

    ticks: tuple[PastTrade | PastQuote, ...]
    next_start: int | None = None


def page_of(ticks: Sequence[PastTrade | PastQuote], query: TickQuery, rest: int | None) -> TickPage:
    """Make a page of ticks in ascending time; `rest` is where the broker was not asked yet, None at the end."""
    cut = query.limit
    while cut < len(ticks) and ticks[cut].time == ticks[cut - 1].time:
        cut += 1
    if cut >= len(ticks):
        return TickPage(ticks=tuple(ticks), next_start=rest)
    return TickPage(ticks=tuple(ticks[:cut]), next_start=ticks[cut].time)


class DepthLevel(msgspec.Struct, frozen=True, kw_only=True):
    """One price level of a book."""

    price: Decimal
    size: Decimal
    count: int | None = None
    maker: str | None = None
