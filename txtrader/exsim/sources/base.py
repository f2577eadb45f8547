"""What a source of prices says: rows of quotes, trades and references, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from random import Random
from typing import Any, ClassVar

import msgspec

from txtrader.exsim.files import DataFolder
from txtrader.exsim.playing import SPEED
from txtrader.exsim.properties import Properties, Property
from txtrader.exsim.records import Listing
from txtrader.exsim.venue import Venue

__all__ = ["OutsideSource", "PriceRow", "Source"]

_SAME = msgspec.UNSET


class PriceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One change of what is known of a price; what is not given stays as it was.

    A `bid` or `offer` of None is withdrawn.  `last` is a trade of others, of `last_size`.  Without a `reference` it is
    the middle of bid and offer where the row has both, else the trade's price.
    """

    bid: Decimal | msgspec.UnsetType | None = _SAME
    offer: Decimal | msgspec.UnsetType | None = _SAME
    bid_size: Decimal | None = None
    offer_size: Decimal | None = None
    last: Decimal | None = None
    last_size: Decimal | None = None
    reference: Decimal | None = None

    @property
    def worth(self) -> Decimal | None:
        """The reference price that follows from the row, None if none does."""
        if self.reference is not None:
            return self.reference
        if isinstance(self.bid, Decimal) and isinstance(self.offer, Decimal):
            return (self.bid + self.offer) / 2
        return self.last


class Source:
    """A source for one book; a subclass declares its `table` and yields `rows`.

    `available` is how many rows there will be, where that is known.  `random` is this source's own.
    """

    table: ClassVar[tuple[Property, ...]] = (
        Property(
            name="mode",
            kind="text",
            default="reference",
            choices=("reference", "maker"),
            is_fixed=True,
            meaning="move the reference price only, or quote in the book (and print the trades) as the house",
        ),
        Property(
            name="size", kind="decimal", default=Decimal(100), least=0, meaning="of quotes for which the rows have none"
        ),
        SPEED,
    )
    available: int | None = None

    def __init__(self, venue: Venue, listing: Listing, files: DataFolder, given: Mapping[str, Any]) -> None:
        self.venue = venue
        self.listing = listing
        self.files = files
        self.properties = Properties(self.whole_table(), given)
        self.random = Random(f"{venue.seed}|source|{listing.id}")
        self.check()

    @classmethod
    def whole_table(cls) -> tuple[Property, ...]:
        """Return the properties of the class and its bases, the bases' first."""
        return tuple(one for base in reversed(cls.__mro__) for one in vars(base).get("table", ()))

    def check(self) -> None:
        """Refuse (InvalidArgument) what does not fit together; read what has to be there; called at the making."""

    def rows(self) -> Iterator[tuple[int, PriceRow]]:
        """Yield the rows with their times in nanoseconds, of which only the distances count."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of what it holds: it is being detached."""


class OutsideSource(Source):
    """A source that is told its prices from outside: a subclass connects in `open` and calls `push` for each row.

    Rows that come before the start or after the stop are dropped.
    """

    def __init__(self, venue: Venue, listing: Listing, files: DataFolder, given: Mapping[str, Any]) -> None:
        self._take: Callable[[PriceRow], None] | None = None
        super().__init__(venue, listing, files, given)

    def rows(self) -> Iterator[tuple[int, PriceRow]]:
        """Yield nothing: rows are pushed."""
        return iter(())

    def start(self, take: Callable[[PriceRow], None]) -> None:
        """Begin to take in; called by the feed."""
        self._take = take
        self.open()

    def stop(self) -> None:
        """Take in no more; called by the feed."""
        if self._take is not None:
            self._take = None
            self.shut()

    def push(self, row: PriceRow) -> None:
        """Take in one row, now."""
        if self._take is not None:
            self._take(row)

    def open(self) -> None:
        """Connect."""
        raise NotImplementedError

    def shut(self) -> None:
        """Disconnect."""

    def close(self) -> None:
        self.stop()
