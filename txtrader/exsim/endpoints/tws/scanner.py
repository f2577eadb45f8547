"""Market scanners: rankings of the venue's stocks by what happened in the session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from txtrader.exsim.records import Listing, SessionStats
from txtrader.model.instrument import SecType

if TYPE_CHECKING:
    from txtrader.exsim.venue import Venue

__all__ = ["PARAMETERS", "SCANS", "scan"]


def _change(stats: SessionStats) -> Decimal:
    if stats.last is None or not stats.previous_close:
        return Decimal(0)
    return (stats.last - stats.previous_close) / stats.previous_close


SCANS: dict[str, tuple[str, Callable[[SessionStats], Decimal]]] = {
    "TOP_PERC_GAIN": ("Top % Gainers", lambda stats: -_change(stats)),
    "TOP_PERC_LOSE": ("Top % Losers", _change),
    "MOST_ACTIVE": ("Most Active", lambda stats: -stats.volume),
    "HOT_BY_VOLUME": ("Hot Contracts by Volume", lambda stats: -stats.volume),
    "TOP_TRADE_COUNT": ("Top Trade Count", lambda stats: Decimal(-stats.trades)),
}

PARAMETERS = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<ScanParameterResponse>\n<InstrumentList varName="instrumentList">\n'
    "<Instrument><name>US Stocks</name><type>STK</type></Instrument>\n</InstrumentList>\n"
    '<LocationTree varName="locationTree">\n<Location><displayName>US Stocks</displayName>'
    "<locationCode>STK.US</locationCode><instruments>STK</instruments></Location>\n</LocationTree>\n"
    '<ScanTypeList varName="scanTypeList">\n'
    + "".join(
        f"<ScanType><displayName>{name.replace('%', 'Percent')}</displayName><scanCode>{code}</scanCode>"
        "<instruments>STK</instruments></ScanType>\n"
        for code, (name, _) in SCANS.items()
    )
    + "</ScanTypeList>\n</ScanParameterResponse>\n"
)


def scan(venue: Venue, wanted: Mapping[str, Any], limit: int) -> list[Listing]:
    """Return the best `limit` stocks by the scan code, within the price and volume bounds of the request."""
    _, key = SCANS[wanted["scanCode"]]
    found: list[tuple[Decimal, int, Listing]] = []
    for listing in venue.instruments:
        if listing.sectype is not SecType.STOCK or listing.currency != "USD":
            continue
        stats = venue.stats(listing.id)
        price = stats.last if stats.last is not None else stats.previous_close
        above, below, volume = wanted["abovePrice"], wanted["belowPrice"], wanted["aboveVolume"]
        if (
            (above is None or price >= above)
            and (below is None or price <= below)
            and (volume is None or stats.volume >= volume)
        ):
            found.append((key(stats), listing.id, listing))
    return [listing for _, _, listing in sorted(found, key=lambda row: row[:2])[:limit]]
