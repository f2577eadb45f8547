"""Past trades and quotes as the quotes of a time and sales report, oldest first."""

from __future__ import annotations

from heapq import merge
from typing import TYPE_CHECKING, Any

from txtrader.exsim.endpoints.cqg.bar_requests import Refused
from txtrader.exsim.records import BidAsk, Listing, Print
from txtrader.wire.cqg.schema import message_class
from txtrader.wire.cqg.values import BaseTime, PriceScale, put_decimal
from txtrader.wire.cqg.words import QuoteType, SalesCondition, TicksCode, TicksLevel

if TYPE_CHECKING:
    from decimal import Decimal

    from txtrader.exsim.venue import Venue

__all__ = ["put_ticks"]

_DEPTH = 30 * 86_400_000_000_000
_MOST = 10_000  # trades of one answer
_Quote = message_class("market_data_2.Quote")


def put_ticks(asked: Any, listing: Listing | None, base: BaseTime, venue: Venue) -> tuple[list[Any], int, bool]:
    """Return quotes, each with its time; the time (ms after `base`) up to which they are all; whether more exist.

    Raises Refused.
    """
    if listing is None:
        raise Refused(TicksCode.NOT_FOUND, "no such contract in this session")
    if asked.level not in TicksLevel.__members__.values():
        raise Refused(TicksCode.INVALID_PARAMS, "no such level")
    now = venue.now_ns()
    start = base.ns(asked.from_utc_time)
    end = min(base.ns(asked.to_utc_time), now) if asked.HasField("to_utc_time") else now
    if end < start:
        raise Refused(TicksCode.INVALID_PARAMS, "the range is empty")
    oldest = now - _DEPTH
    if end <= oldest:
        raise Refused(TicksCode.OUTSIDE_ALLOWED_RANGE, "the range ended before the data begins")
    trades = venue.prints(listing.id, max(start, oldest), end, _MOST, regular=False)
    is_full = len(trades) == _MOST
    if is_full:
        end = trades[-1].time
    quotes = []
    if asked.level == TicksLevel.TRADES_BBA_VOLUMES:
        quotes = venue.bid_asks(listing.id, max(start, oldest), end, _MOST, regular=False)
    scale = PriceScale(listing.tick)
    found: list[Any] = []
    rows: Any = merge(
        ((row.time, 0, place, row) for place, row in enumerate(quotes)),
        ((row.time, 1, place, row) for place, row in enumerate(trades)),
    )
    for _, _, _, row in rows:
        found += _of_trade(row, scale, base) if isinstance(row, Print) else _of_quote(row, scale, base)
    return found, base.milliseconds(end), is_full or start < oldest


def _of_trade(row: Print, scale: PriceScale, base: BaseTime) -> list[Any]:
    quote = _put(QuoteType.TRADE, row.price, row.size, row.time, scale, base)
    quote.sales_condition = int(
        SalesCondition.BUY_SIDE_AGGRESSOR if row.aggressor.sign > 0 else SalesCondition.SELL_SIDE_AGGRESSOR
    )
    return [quote]


def _of_quote(row: BidAsk, scale: PriceScale, base: BaseTime) -> list[Any]:
    return [
        _put(QuoteType.BESTBID, row.bid, row.bid_size, row.time, scale, base),
        _put(QuoteType.BESTASK, row.ask, row.ask_size, row.time, scale, base),
    ]


def _put(kind: QuoteType, price: Decimal, size: Decimal, time: int, scale: PriceScale, base: BaseTime) -> Any:
    quote = _Quote(type=int(kind), scaled_price=scale.scaled(price), quote_utc_time=base.milliseconds(time))
    put_decimal(quote.volume, size)
    quote.volume.SetInParent()
    return quote
