"""What one client watches of one symbol: a picture (W), then the changes (X).

All entries of one venue message go out in one X, the trades first; an entry's id (278) stays the same over its
changes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from decimal import Decimal
from typing import ClassVar

from txtrader.dialects.fix import instant_to_wire, number_to_wire
from txtrader.exsim.endpoints.fix.endpoint import FixConnection
from txtrader.exsim.endpoints.fix.figures import VWAP, Facts, Told, auction_facts, price_and_size, session_facts
from txtrader.exsim.endpoints.fix.instruments import fields_of
from txtrader.exsim.listeners import MarketListener
from txtrader.exsim.market import Watch
from txtrader.exsim.phases import CALLS
from txtrader.exsim.records import Indicative, Listing, Phase, Print, RowChange, SessionStats
from txtrader.exsim.venue import Venue
from txtrader.model.order import Side
from txtrader.wire.fix.dictionary import dictionary
from txtrader.wire.fix.message import Message

__all__ = ["BID", "OFFER", "TRADE", "LevelSubscription", "Subscription"]

BID, OFFER, TRADE = "0", "1", "2"

Row = tuple[Decimal, Decimal, int]


class Subscription(MarketListener, ABC):
    """One symbol that one client watches: trades, figures, auctions; what else there is, the book, is a subclass's."""

    book_type: ClassVar[str]
    """How the book is told, in the word of MDBookType (1021)."""

    def __init__(self, venue: Venue, connection: FixConnection, request: Message, listing: Listing) -> None:
        assert request[8] is not None
        self._venue = venue
        self._connection = connection
        self._version = dictionary(request[8]).version
        self._id = request[262]
        self._kinds = frozenset(value for tag, value in request.fields if tag == 269)
        self.listing = listing
        self._named = fields_of(listing)
        self._session, self._auction = Told(), Told()
        self._has_new_figures = False
        self._gathered: list[Facts] = []
        self._watch: Watch | None = None
        self._is_shown = False

    # -- life

    def follow(self) -> None:
        """Hear of the market from now on; nothing is sent before the picture is."""
        self._watch = self._venue.watch(self.listing.id, self, depth=self._rows())

    def close(self) -> None:
        """Hear no more; twice is harmless."""
        if self._watch is not None:
            self._watch.close()
        self._is_shown = False
        self._gathered.clear()

    def _rows(self) -> int:
        """Return how many price levels a side are watched."""
        return 0

    # -- the picture

    def show(self) -> None:
        """Send everything as it is now."""
        venue, listing = self._venue, self.listing
        entries = self._book()
        stats = venue.stats(listing.id)
        if TRADE in self._kinds and stats.last is not None:
            size = [] if stats.last_size is None else [(271, number_to_wire(stats.last_size))]
            entries.append([(269, TRADE), (270, number_to_wire(stats.last)), *size])
        under_way = venue.indicative(listing.id) if venue.phase(listing.id) in CALLS else None
        for told, facts_now in ((self._session, session_facts(stats)), (self._auction, auction_facts(under_way))):
            for kind, facts in told.picture(self._wanted(facts_now)).items():
                entries.append(self._pictured(kind, f"{kind}{listing.id}", facts))
        if not entries:  # a wholly empty book: some clients do not take a count of 0
            entries = [[(269, kind), (270, "0"), (271, "0")] for kind in sorted(self._kinds & {BID, OFFER})]
        message = self._message("W")
        if self._version == "5.0":
            message.add(779, instant_to_wire(venue.now_ns()))
        message.fields += self._named
        self._send(message, entries)
        self._is_shown = True

    @abstractmethod
    def _book(self) -> list[Facts]:
        """Return the entries of the book as it is."""

    def _pictured(self, kind: str, entry_id: str, facts: Facts) -> Facts:
        """Return an entry of a picture: before 5.0 its id has no place there."""
        return [(269, kind), *([(278, entry_id)] if self._version == "5.0" else []), *facts]

    def _wanted(self, facts: dict[str, Facts]) -> dict[str, Facts]:
        return {kind: found for kind, found in facts.items() if kind in self._kinds}

    # -- the changes

    def printed(self, trade: Print) -> None:
        if TRADE in self._kinds:
            entry_id = f"{TRADE}{self.listing.id}#{trade.number}"
            self._gather("0", TRADE, entry_id, price_and_size(trade.price, trade.size))
        if VWAP in self._kinds:
            self._has_new_figures = True

    def stats_changed(self, stats: SessionStats) -> None:
        self._has_new_figures = True

    def phase_changed(self, listing_id: int, phase: Phase) -> None:
        if phase not in CALLS:
            self._compare(self._auction, auction_facts(None))

    def indicative_changed(self, figures: Indicative) -> None:
        self._compare(self._auction, auction_facts(figures))

    def published(self, listing_id: int) -> None:
        if self._has_new_figures:
            self._has_new_figures = False
            self._compare(self._session, session_facts(self._venue.stats(listing_id)))
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            self._send(self._message("X"), gathered)

    def _compare(self, told: Told, facts_now: dict[str, Facts]) -> None:
        """Put into the next X what has become of figures."""
        if self._is_shown:
            for action, kind, facts in told.changes(self._wanted(facts_now)):
                self._gather(action, kind, f"{kind}{self.listing.id}", facts)

    def _gather(self, action: str, kind: str, entry_id: str, facts: Facts) -> None:
        """Put an entry into the next X."""
        if self._is_shown:
            self._gathered.append([(279, action), (269, kind), (278, entry_id), *self._named, *facts])

    # -- out

    def _message(self, type: str) -> Message:
        message = Message(type)
        if self._version == "5.0":
            message.add(1021, self.book_type)
        return message.add(262, self._id)

    def _send(self, message: Message, entries: list[Facts]) -> None:
        message.add(268, str(len(entries)))
        message.fields += [pair for entry in entries for pair in entry]
        self._connection.send(message)


class LevelSubscription(Subscription):
    """A book by price levels, the best `depth` of each side."""

    book_type = "2"

    def __init__(
        self, venue: Venue, connection: FixConnection, request: Message, listing: Listing, *, depth: int
    ) -> None:
        super().__init__(venue, connection, request, listing)
        self._depth = depth
        self._sides: dict[Side, list[Row]] = {Side.BUY: [], Side.SELL: []}

    def _rows(self) -> int:
        return self._depth

    def _book(self) -> list[Facts]:
        bids, asks = self._venue.depth(self.listing.id, self._depth)
        self._sides = {
            Side.BUY: [(row.price, row.size, row.count) for row in bids],
            Side.SELL: [(row.price, row.size, row.count) for row in asks],
        }
        return [
            self._pictured(kind, self._level_id(kind, row), _level_facts(row, place))
            for kind, side in ((BID, Side.BUY), (OFFER, Side.SELL))
            if kind in self._kinds
            for place, row in enumerate(self._sides[side], 1)
        ]

    def depth_changed(self, listing_id: int, changes: tuple[RowChange, ...]) -> None:
        if not self._is_shown:
            return
        before = {side: list(rows) for side, rows in self._sides.items()}
        for change in changes:
            rows = self._sides[change.side]
            row = (change.row.price, change.row.size, change.row.count)
            if change.operation == "insert":
                rows.insert(change.position, row)
            elif change.operation == "delete":
                del rows[change.position]
            else:
                rows[change.position] = row
        for kind, side in ((BID, Side.BUY), (OFFER, Side.SELL)):
            if kind in self._kinds:
                self._step(kind, before[side], self._sides[side])

    def _step(self, kind: str, before: list[Row], after: list[Row]) -> None:
        """Say how one side became the other: prices that went, came, and changed."""
        old, new = {row[0]: row for row in before}, {row[0]: row for row in after}
        for price, row in old.items():
            if price not in new:
                self._gather("2", kind, self._level_id(kind, row), price_and_size(*row[:2]))
        for place, (price, row) in enumerate(new.items(), 1):
            if old.get(price) != row:
                action = "1" if price in old else "0"
                self._gather(action, kind, self._level_id(kind, row), _level_facts(row, place))

    def _level_id(self, kind: str, row: Row) -> str:
        return f"{kind}{self.listing.id}@{number_to_wire(row[0])}"


def _level_facts(row: Row, place: int) -> Facts:
    price, size, count = row
    return [*price_and_size(price, size), (290, str(place)), (346, str(count))]
