"""Past trades and quotes, in the form of historical ticks."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from txtrader.exsim.endpoints.tws.times import SECOND
from txtrader.exsim.records import Listing

if TYPE_CHECKING:
    from txtrader.exsim.venue import Venue

__all__ = ["middles", "past_quotes", "past_trades"]

_ZERO = Decimal(0)


def past_trades(
    venue: Venue, listing: Listing, start: int, end: int, count: int, *, regular: bool
) -> list[dict[str, Any]]:
    """Return `count` trades from `start` on, or the last ones before `end` where start is 0; oldest first."""
    return [
        {
            "time": trade.time // SECOND,
            "mask": 0,
            "price": trade.price,
            "size": trade.size,
            "exchange": trade.exchange,
            "specialConditions": "",
        }
        for trade in venue.prints(listing.id, start, end, count, regular=regular)
    ]


def past_quotes(
    venue: Venue, listing: Listing, start: int, end: int, count: int, *, regular: bool
) -> list[dict[str, Any]]:
    """Return bids and offers, in the same bounds as `past_trades`."""
    return [
        {
            "time": quote.time // SECOND,
            "mask": 0,
            "priceBid": quote.bid,
            "priceAsk": quote.ask,
            "sizeBid": quote.bid_size,
            "sizeAsk": quote.ask_size,
        }
        for quote in venue.bid_asks(listing.id, start, end, count, regular=regular)
    ]


def middles(quotes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the middle of each quote."""
    return [
        {"time": quote["time"], "price": (quote["priceBid"] + quote["priceAsk"]) / 2, "size": _ZERO} for quote in quotes
    ]
