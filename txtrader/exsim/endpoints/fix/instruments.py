"""How the venue's listings are named over FIX."""

from __future__ import annotations

from txtrader.dialects import fix as dialect
from txtrader.dialects.fix_reports import Contract
from txtrader.exsim.records import Listing
from txtrader.model.instrument import SecType

__all__ = ["contract_of", "fields_of"]


def contract_of(listing: Listing) -> Contract:
    """Return what names a listing on the wire."""
    return Contract(
        symbol=listing.symbol,
        sectype=listing.sectype,
        expiry=listing.expiry or None,
        month=listing.contract_month if listing.contract_month != listing.expiry[:6] else None,
        strike=listing.strike,
        right=listing.right[:1] or None,
        exchange=None if listing.sectype is SecType.STOCK else listing.exchange or None,
    )


def fields_of(listing: Listing) -> list[tuple[int, str]]:
    """Return the few fields that name a listing in market data."""
    found = [(55, listing.symbol)]
    word = dialect.security_type(listing.sectype)
    return found if word is None else [*found, (167, word)]
