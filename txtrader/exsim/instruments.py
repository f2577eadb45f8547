"""The instrument master: every listing of the venue, found by id, by its parts, or by a pattern."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from txtrader.exsim.records import Listing
from txtrader.model.instrument import PriceIncrement, SecType

__all__ = ["InstrumentMaster", "unlisted"]


class InstrumentMaster:
    """All listings, in order of id of entry; lookups by root symbol are by hash."""

    def __init__(self, listings: Iterable[Listing] = ()) -> None:
        self._by_id: dict[int, Listing] = {}
        self._by_symbol: dict[str, list[Listing]] = {}
        self._by_local: dict[str, list[Listing]] = {}
        self._by_under: dict[int, list[Listing]] = {}
        self._rules: dict[int, tuple[PriceIncrement, ...]] = {}
        for listing in listings:
            self.add(listing)

    def __iter__(self) -> Iterator[Listing]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, listing: Listing) -> None:
        """List one more instrument; a second one of the same id is refused with ValueError."""
        if listing.id in self._by_id:
            raise ValueError(f"instrument {listing.id} is listed already")
        known = self._rules.setdefault(listing.rule_id, listing.increments)
        if known != listing.increments:
            raise ValueError(f"price rule {listing.rule_id} has other steps already")
        self._by_id[listing.id] = listing
        self._by_symbol.setdefault(listing.symbol, []).append(listing)
        self._by_local.setdefault(listing.local_symbol, []).append(listing)
        if listing.under_id is not None:
            self._by_under.setdefault(listing.under_id, []).append(listing)

    def remove(self, listing_id: int) -> None:
        """Take a listing out again.  Raises KeyError for an unknown one."""
        listing = self._by_id.pop(listing_id)
        self._by_symbol[listing.symbol].remove(listing)
        self._by_local[listing.local_symbol].remove(listing)
        if listing.under_id is not None:
            self._by_under[listing.under_id].remove(listing)

    def get(self, listing_id: int) -> Listing | None:
        return self._by_id.get(listing_id)

    def rule(self, rule_id: int) -> tuple[PriceIncrement, ...] | None:
        """Return the price steps of a rule, None if no listing uses it."""
        return self._rules.get(rule_id)

    def find(
        self,
        *,
        symbol: str = "",
        sectype: SecType | None = None,
        exchange: str = "",
        primary_exchange: str = "",
        currency: str = "",
        expiry: str = "",
        strike: Decimal | None = None,
        right: str = "",
        multiplier: Decimal | None = None,
        local_symbol: str = "",
        trading_class: str = "",
        isin: str = "",
    ) -> list[Listing]:
        """Return every listing that fits all parts given; an empty part fits all.

        `exchange` fits any exchange at which the listing can be traded.  `expiry` is a day (YYYYMMDD) or a
        contract month (YYYYMM), by which every expiry of the month is found.
        """
        if symbol:
            candidates: Iterable[Listing] = self._by_symbol.get(symbol, ())
        elif local_symbol:
            candidates = self._by_local.get(local_symbol, ())
        else:
            candidates = self._by_id.values()
        return [
            listing
            for listing in candidates
            if (sectype is None or listing.sectype is sectype)
            and (not exchange or exchange in listing.valid_exchanges)
            and (not primary_exchange or primary_exchange == listing.primary_exchange)
            and (not currency or currency == listing.currency)
            and (not expiry or _fits_expiry(listing, expiry))
            and (strike is None or strike == listing.strike)
            and (not right or right == listing.right)
            and (multiplier is None or multiplier == listing.multiplier)
            and (not local_symbol or local_symbol == listing.local_symbol)
            and (not trading_class or trading_class == listing.trading_class)
            and (not isin or isin == listing.isin)
        ]

    def match(self, pattern: str, limit: int = 16) -> list[Listing]:
        """Return listings whose symbol is `pattern`, starts with it, or whose name holds it; at most `limit`.

        Derivatives are not among them, their underlying is; a symbol that has none listed (ES, CL) is there with its
        front contract.
        """
        text = pattern.strip().upper()
        if not text:
            return []
        roots: list[Listing] = []
        for listings in self._by_symbol.values():
            own = [listing for listing in listings if listing.under_id is None]
            roots += own or listings[:1]
        exact = [listing for listing in roots if listing.symbol == text]
        starting = [x for x in roots if x.symbol.startswith(text) and x.symbol != text]
        named = [x for x in roots if text in x.long_name.upper() and not x.symbol.startswith(text)]
        return (exact + starting + named)[:limit]

    def derivatives(self, under_id: int, sectype: SecType | None = None) -> list[Listing]:
        """Return what hangs on a listing: its futures, options, options on futures."""
        found = self._by_under.get(under_id, [])
        return [listing for listing in found if sectype is None or listing.sectype is sectype]


def _fits_expiry(listing: Listing, expiry: str) -> bool:
    return listing.expiry == expiry if len(expiry) == 8 else listing.contract_month == expiry


def unlisted(listing_id: int) -> Listing:
    """Return a stand-in for an instrument that the venue does not know: nothing can be done with it."""
    return Listing(
        id=listing_id,
        symbol="",
        sectype=SecType.OTHER,
        currency="",
        exchange="",
        primary_exchange="",
        valid_exchanges=(),
        local_symbol="",
        trading_class="",
        long_name="",
        tick=Decimal(1),
        increments=(),
        rule_id=0,
        schedule="",
        time_zone="",
        is_tradeable=False,
    )
