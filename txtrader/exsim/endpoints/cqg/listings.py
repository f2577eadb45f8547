"""The venue's listings under CQG's names.

EP          the most active month            EPZ26, F.US.EPZ26   one contract
EP?1 EP?2   the nearest month, the next      EP?0                the most active one
IBM         a stock, S.US.IBM                X.US.EURUSD         a currency pair
C.US.EPZ267000    an option, calls C and puts P
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from txtrader.exsim.records import Listing
from txtrader.model.instrument import SecType

__all__ = ["ListingNames", "short_name"]

_ROOTS = {"ES": "EP", "NQ": "ENQ", "CL": "CLE", "GC": "GCE", "SI": "SIE", "NG": "NGE", "ZN": "TYA", "ZB": "USA"}
_MONTHS = "FGHJKMNQUVXZ"
_PREFIXES = {SecType.STOCK: "S", SecType.INDEX: "S", SecType.CASH: "X", SecType.CRYPTO: "X", SecType.BOND: "B"}
_PREFERRED = {"F": SecType.FUTURE, "S": SecType.STOCK, "X": SecType.CASH}
_ROLLING = re.compile(r"^(?P<root>[A-Z0-9]+)(?:\?{1,2}(?P<count>\d+|\(-\d+\)))?$")


def root_of(listing: Listing) -> str:
    """Return CQG's root for a future or an option on one."""
    return _ROOTS.get(listing.symbol, listing.symbol)


def short_name(listing: Listing) -> str:
    """Return the name without type and country: EPZ26, IBM, EURUSD."""
    root = root_of(listing)
    if listing.sectype is SecType.FUTURE:
        return f"{root}{_month(listing)}"
    if listing.sectype in (SecType.OPTION, SecType.FUTURE_OPTION):
        strike = f"{listing.strike:f}".rstrip("0").rstrip(".") if listing.strike is not None else ""
        day = listing.expiry[6:] if listing.sectype is SecType.OPTION else ""
        return f"{root}{_month(listing)}{day}{strike}"
    if listing.sectype in (SecType.CASH, SecType.CRYPTO):
        return f"{listing.symbol}{listing.currency}"
    return listing.symbol


def _month(listing: Listing) -> str:
    month = listing.contract_month or listing.expiry[:6]
    return f"{_MONTHS[int(month[4:6]) - 1]}{month[2:4]}"


class ListingNames:
    """All names of a venue's listings; a listing whose name is taken has its exchange's added."""

    def __init__(self, listings: Iterable[Listing]) -> None:
        self._by_name: dict[str, Listing] = {}
        self._names: dict[int, str] = {}
        self._months: dict[str, list[Listing]] = {}
        self._active: dict[str, int] = {}
        self._hours: dict[str, Listing] = {}
        for listing in listings:
            self._add(listing)
        for months in self._months.values():
            months.sort(key=lambda listing: (listing.contract_month, listing.expiry))

    def _add(self, listing: Listing) -> None:
        country = "US" if listing.currency == "USD" else listing.currency[:2]
        prefix = listing.right or ("F" if listing.sectype is SecType.FUTURE else _PREFIXES.get(listing.sectype, "S"))
        name = f"{prefix}.{country}.{short_name(listing)}"
        if name in self._by_name:
            name = f"{name}.{listing.primary_exchange}"
        self._names[listing.id] = name
        self._hours.setdefault(listing.schedule, listing)
        self._by_name[name] = listing
        self._by_name.setdefault(short_name(listing) if not listing.right else name, listing)
        if listing.sectype is SecType.FUTURE:
            self._months.setdefault(root_of(listing), []).append(listing)

    def name(self, listing: Listing) -> str:
        """Return the contract symbol: F.US.EPZ26."""
        return self._names[listing.id]

    def hours_of(self, listing: Listing) -> int:
        """Return the number of a listing's trading hours."""
        return list(self._hours).index(listing.schedule) + 1

    def of_hours(self, number: int) -> Listing | None:
        """Return a listing that trades in the hours of a number."""
        return list(self._hours.values())[number - 1] if 1 <= number <= len(self._hours) else None

    def group(self, listing: Listing) -> str:
        """Return the name of the group that a listing belongs to: F.US.EP."""
        name = self.name(listing)
        if listing.sectype is SecType.FUTURE:
            return name[: -len(_month(listing))]
        return name

    def months(self, group: str) -> list[Listing]:
        """Return the months of a group (F.US.EP or EP), nearest first; empty where there is none."""
        return list(self._months.get(group.rpartition(".")[2], ()))

    def active(self, root: str) -> Listing | None:
        """Return the most active month of a root."""
        months = self._months.get(root)
        return months[min(self._active.get(root, 0), len(months) - 1)] if months else None

    def roll(self, root: str) -> Listing:
        """Make the next month the most active one; a root without months is a KeyError."""
        months = self._months[root]
        self._active[root] = min(self._active.get(root, 0) + 1, len(months) - 1)
        return months[self._active[root]]

    def is_rolling(self, symbol: str) -> bool:
        """Tell whether a symbol stands for another contract after a roll."""
        return symbol in self._months

    def resolve(self, symbol: str) -> Listing | None:
        """Return the listing that a symbol names now."""
        found = self._by_name.get(symbol)
        if found is not None:
            return found
        plain = symbol.removeprefix("F.US.")
        match = _ROLLING.match(plain)
        if match is None:
            return None
        root, count = match["root"], match["count"]
        months = self._months.get(root)
        if not months:
            return None
        if count is None or count == "0":
            return self.active(root)
        if count.startswith("("):
            return None  # months that have expired are not listed here
        place = int(count) - 1
        return months[place] if place < len(months) else None
