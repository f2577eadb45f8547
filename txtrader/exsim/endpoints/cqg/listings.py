"""The venue's listings under CQG's names.

EP  F.US.EP  EP?0      the most active month      EPZ26  EPZ6  F.US.EPZ26    one contract
EP?1  EP?2             the nearest month, the next; EP??1 counts spot months, too
EP?(-1)                the month that expired last
IBM  S.US.IBM          a stock                    X.US.EURUSD                a currency pair
C.US.EPZ267000         an option, calls C and puts P; C.EP is the one at the money
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec

from txtrader.exsim.records import Listing
from txtrader.model.instrument import SecType

__all__ = ["ListingNames", "country_of", "root_of", "short_name", "type_of"]

_ROOTS = {"ES": "EP", "NQ": "ENQ", "CL": "CLE", "GC": "GCE", "SI": "SIE", "NG": "NGE", "ZN": "TYA", "ZB": "USA"}
_DELIVERED = frozenset({"CLE", "GCE", "SIE", "NGE", "TYA", "USA"})  # a month that has begun is a spot month
_MONTHS = "FGHJKMNQUVXZ"
_LETTERS = {SecType.FUTURE: "F", SecType.CASH: "X", SecType.CRYPTO: "X", SecType.BOND: "T"}
_TYPED = re.compile(r"^(?P<type>[FCPSTUX])\.(?:(?P<country>[A-Z]{2})\.)?(?P<rest>.+)$")
_COUNTED = re.compile(r"^(?P<root>[A-Z0-9]+)(?P<marks>\?{1,2})(?:(?P<count>\d+)|\((?P<back>-\d+)\))$")
_MONTHLY = re.compile(rf"^(?P<root>[A-Z0-9]+?)(?P<letter>[{_MONTHS}])(?P<year>\d\d?)$")
_MOST_BACK = 40  # months that have expired and are still known by name
_SECOND = 1_000_000_000


def root_of(listing: Listing) -> str:
    """Return CQG's root for a future or an option on one."""
    return _ROOTS.get(listing.symbol, listing.symbol)


def type_of(listing: Listing) -> str:
    """Return the letter that a symbol begins with: F, C, P, S, X, T."""
    return listing.right or _LETTERS.get(listing.sectype, "S")


def country_of(listing: Listing) -> str:
    """Return the two letters of a country."""
    return "US" if listing.currency == "USD" else listing.currency[:2]


def short_name(listing: Listing) -> str:
    """Return the name without type and country: EPZ26, IBM, EURUSD."""
    root = root_of(listing)
    if listing.sectype is SecType.FUTURE:
        return f"{root}{_month(listing)}"
    if listing.sectype in (SecType.OPTION, SecType.FUTURE_OPTION):
        strike = f"{listing.strike:f}" if listing.strike is not None else ""
        strike = strike.rstrip("0").rstrip(".") if "." in strike else strike
        day = listing.expiry[6:] if listing.sectype is SecType.OPTION else ""
        return f"{root}{_month(listing)}{day}{strike}"
    if listing.sectype in (SecType.CASH, SecType.CRYPTO):
        return f"{listing.symbol}{listing.currency}"
    return listing.symbol


def _month(listing: Listing) -> str:
    month = listing.contract_month or listing.expiry[:6]
    return f"{_MONTHS[int(month[4:6]) - 1]}{month[2:4]}"


def _moved(month: str, by: int) -> str:
    """Return the month YYYYMM so many months on."""
    number = int(month[:4]) * 12 + int(month[4:6]) - 1 + by
    return f"{number // 12:04d}{number % 12 + 1:02d}"


class ListingNames:
    """All names of a venue's listings; a listing whose name is taken has its exchange's added.

    `mark` tells what a listing is worth, for the option at the money.
    """

    def __init__(
        self, listings: Iterable[Listing], now_ns: Callable[[], int], mark: Callable[[int], Decimal] | None = None
    ) -> None:
        self._now_ns = now_ns
        self._mark = mark
        self._by_name: dict[str, Listing] = {}
        self._by_short: dict[str, list[Listing]] = {}
        self._names: dict[int, str] = {}
        self._months: dict[str, list[Listing]] = {}
        self._options: dict[str, list[Listing]] = {}
        self._rolled: dict[str, int] = {}
        self._hours: dict[str, Listing] = {}
        self._past: dict[tuple[str, str], Listing] = {}
        for listing in listings:
            self._add(listing)
        for months in self._months.values():
            months.sort(key=lambda listing: (listing.contract_month, listing.expiry))

    def _add(self, listing: Listing) -> None:
        name = f"{type_of(listing)}.{country_of(listing)}.{short_name(listing)}"
        if name in self._by_name:
            name = f"{name}.{listing.primary_exchange}"
        self._names[listing.id] = name
        self._hours.setdefault(listing.schedule, listing)
        self._by_name[name] = listing
        self._by_short.setdefault(name.split(".", 2)[2], []).append(listing)
        if listing.sectype is SecType.FUTURE:
            self._months.setdefault(root_of(listing), []).append(listing)
        elif listing.right:
            self._options.setdefault(root_of(listing), []).append(listing)

    # -- what a listing is called

    def name(self, listing: Listing) -> str:
        """Return the contract symbol: F.US.EPZ26."""
        return self._names[listing.id]

    def group(self, listing: Listing) -> str:
        """Return the name of the group that a listing belongs to: F.US.EP."""
        name = self.name(listing)
        if listing.sectype is SecType.FUTURE:
            return name[: -len(_month(listing))]
        if listing.right:
            return f"{type_of(listing)}.{country_of(listing)}.{root_of(listing)}"
        return name

    def hours_of(self, listing: Listing) -> int:
        """Return the number of a listing's trading hours."""
        return list(self._hours).index(listing.schedule) + 1

    def of_hours(self, number: int) -> Listing | None:
        """Return a listing that trades in the hours of a number."""
        return list(self._hours.values())[number - 1] if 1 <= number <= len(self._hours) else None

    def is_expired(self, listing: Listing) -> bool:
        """Tell whether a contract trades no more."""
        return listing.id < 0 or bool(listing.expiry and listing.expiry < self._today().strftime("%Y%m%d"))

    # -- months

    def months(self, group: str) -> list[Listing]:
        """Return the months of a group (F.US.EP or EP) that still trade, nearest first; empty where there is none."""
        return [month for month in self._months.get(group.rpartition(".")[2], ()) if not self.is_expired(month)]

    def options(self, group: str) -> list[Listing]:
        """Return the options of a group (C.US.EP): the listed ones of that side, by maturity and strike."""
        letter, root = group.partition(".")[0], group.rpartition(".")[2]
        found = [one for one in self._options.get(root, ()) if one.right == letter and not self.is_expired(one)]
        return sorted(found, key=lambda one: (one.expiry, one.strike or 0))

    def active(self, root: str) -> Listing | None:
        """Return the most active month of a root."""
        months = self.months(root)
        return months[min(self._rolled.get(root, 0), len(months) - 1)] if months else None

    def roll(self, root: str) -> Listing:
        """Make the next month the most active one; a root without months is a KeyError."""
        months = self._months[root]
        self._rolled[root] = min(self._rolled.get(root, 0) + 1, len(months) - 1)
        active = self.active(root)
        assert active is not None
        return active

    # -- symbols

    def resolve(self, symbol: str, *, types: str = "", countries: str = "") -> Listing | None:
        """Return the contract that a symbol names now, None for none; it may be one that has expired.

        `types` and `countries` are comma lists that say which comes first where a short symbol means several.
        """
        text = symbol.strip().upper()
        found = self._by_name.get(text)
        if found is not None:
            return found
        typed = _TYPED.match(text)
        letter, country, rest = (typed["type"], typed["country"], typed["rest"]) if typed else (None, None, text)
        fits = [
            one
            for one in self._by_short.get(rest, ())
            if letter in (None, type_of(one)) and country in (None, country_of(one))
        ]
        if fits:
            return min(fits, key=lambda one: self._rank(one, types, countries))
        if letter in ("C", "P"):
            return self._at_the_money(letter, rest)
        if letter in (None, "F") and country in (None, "US"):
            return self._future(rest)
        return None

    def _rank(self, listing: Listing, types: str, countries: str) -> tuple[int, int]:
        """Return how early a listing comes; equals stay in the venue's own sequence."""
        ranks = []
        for wanted, has in ((types, type_of(listing)), (countries, country_of(listing))):
            words = [word.strip().upper() for word in wanted.split(",")]
            ranks.append(words.index(has) if has in words else len(words))
        return ranks[0], ranks[1]

    def _future(self, text: str) -> Listing | None:
        if text in self._months:
            return self.active(text)
        counted = _COUNTED.match(text)
        if counted is not None and counted["root"] in self._months:
            if counted["back"] is not None:
                return self._expired_ago(counted["root"], -int(counted["back"]))
            return self._at_place(counted["root"], int(counted["count"]), has_spot=len(counted["marks"]) == 2)
        monthly = _MONTHLY.match(text)
        if monthly is not None and monthly["root"] in self._months:
            return self._of_month(monthly["root"], monthly["letter"], monthly["year"])
        return None

    def _at_place(self, root: str, place: int, *, has_spot: bool) -> Listing | None:
        if place == 0:
            return self.active(root)
        begun = self._today().strftime("%Y%m")
        months = [
            month for month in self.months(root) if has_spot or root not in _DELIVERED or month.contract_month > begun
        ]
        return months[place - 1] if place <= len(months) else None

    def _of_month(self, root: str, letter: str, year: str) -> Listing | None:
        number = _MONTHS.index(letter) + 1
        for month in [*self._months[root], *self._expired(root)]:
            its_year, its_number = month.contract_month[:4], int(month.contract_month[4:6])
            if its_number == number and its_year.endswith(year):
                return month
        return None

    def _expired_ago(self, root: str, back: int) -> Listing | None:
        gone = [month for month in reversed(self._months[root]) if self.is_expired(month)]
        for month in (*gone, *self._expired(root)):
            back -= 1
            if back == 0:
                return month
        return None

    def _expired(self, root: str) -> Iterator[Listing]:
        """Walk the months that expired before the venue's list began, the last one first."""
        first = self._months[root][0]
        is_quarterly = all(int(month.contract_month[4:6]) % 3 == 0 for month in self._months[root])
        step = 3 if is_quarterly else 1
        for back in range(1, _MOST_BACK + 1):
            month = _moved(first.contract_month, -step * back)
            known = self._past.get((root, month))
            if known is None:
                day = min(int(first.expiry[6:8]), 28)
                known = msgspec.structs.replace(
                    first,
                    id=-1 - len(self._past),
                    contract_month=month,
                    expiry=f"{_moved(first.expiry[:6], -step * back)}{day:02d}",
                    is_tradeable=False,
                )
                self._past[root, month] = known
                self._names[known.id] = f"F.{country_of(known)}.{short_name(known)}"
            yield known

    def _at_the_money(self, letter: str, root: str) -> Listing | None:
        options = self.options(f"{letter}.US.{root}")
        if not options:
            return None
        nearest = [one for one in options if one.expiry == options[0].expiry]
        under_id = nearest[0].under_id
        if self._mark is None or under_id is None:
            return nearest[len(nearest) // 2]
        price = self._mark(under_id)
        return min(nearest, key=lambda one: abs((one.strike or Decimal(0)) - price))

    def _today(self) -> date:
        return datetime.fromtimestamp(self._now_ns() // _SECOND, UTC).date()
