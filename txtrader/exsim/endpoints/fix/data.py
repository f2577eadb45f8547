"""Market and reference data over FIX: V with W, X and Y; x, c, e and g with their answers.

A subscription is a picture (W) and then the changes (X), all of one venue message in one X; an entry's id stays the
same over its changes.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from txtrader.dialects import fix as dialect
from txtrader.dialects.fix_reports import Contract, instrument_to_wire
from txtrader.exsim.endpoints.fix.endpoint import FixConnection
from txtrader.exsim.endpoints.fix.phase_words import security_status, session_status
from txtrader.exsim.listeners import MarketListener
from txtrader.exsim.records import Listing, Phase, Print, RowChange, SessionStats
from txtrader.exsim.venue import Venue
from txtrader.model.instrument import SecType
from txtrader.model.order import Side
from txtrader.wire.fix.dictionary import dictionary
from txtrader.wire.fix.message import Message

__all__ = ["Data", "contract_of"]

_BID, _OFFER, _TRADE, _OPEN, _CLOSE, _HIGH, _LOW, _VWAP = "0", "1", "2", "4", "5", "7", "8", "9"
_OFFERED = frozenset({_BID, _OFFER, _TRADE, _OPEN, _CLOSE, _HIGH, _LOW, _VWAP})
_MOST_LEVELS = 100
_FRAGMENT = 100
_SESSION_ID = "DAY"

Row = tuple[Decimal, Decimal, int]


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


class _Refused(Exception):
    """A request that is refused as a whole, with FIX's reason (281) and a text."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


class _Subscription(MarketListener):
    """One symbol that one client watches."""

    def __init__(self, data: Data, connection: FixConnection, request: Message, listing: Listing, depth: int) -> None:
        self._data = data
        self._connection = connection
        self._id = request[262]
        self._kinds = {value for tag, value in request.fields if tag == 269}
        self.listing = listing
        self._depth = depth
        self._sides: dict[Side, list[Row]] = {Side.BUY: [], Side.SELL: []}
        self._is_shown = False
        self._trades = 0

    # -- the picture

    def show(self) -> None:
        """Send everything as it is now."""
        venue, listing = self._data.venue, self.listing
        message = Message("W").add(262, self._id)
        message.fields += self._data.instrument(listing)
        entries: list[list[tuple[int, str]]] = []
        bids, asks = venue.depth(listing.id, self._depth)
        for kind, rows in ((_BID, bids), (_OFFER, asks)):
            if kind in self._kinds:
                entries += [
                    [
                        (269, kind),
                        (270, _number(row.price)),
                        (271, _number(row.size)),
                        (290, str(place)),
                        (346, str(row.count)),
                    ]
                    for place, row in enumerate(rows, 1)
                ]
        entries += self._figures(venue.stats(listing.id))
        if not entries:  # a wholly empty book: some clients do not take a count of 0
            entries = [[(269, kind), (270, "0"), (271, "0")] for kind in sorted(self._kinds & {_BID, _OFFER})]
        message.add(268, str(len(entries)))
        message.fields += [pair for entry in entries for pair in entry]
        self._connection.send(message)
        self._sides = {
            Side.BUY: [(row.price, row.size, row.count) for row in bids],
            Side.SELL: [(row.price, row.size, row.count) for row in asks],
        }
        self._is_shown = True

    def _figures(self, stats: SessionStats) -> list[list[tuple[int, str]]]:
        told = {
            _TRADE: stats.last,
            _OPEN: stats.open,
            _CLOSE: stats.previous_close,
            _HIGH: stats.high,
            _LOW: stats.low,
            _VWAP: None if stats.vwap is None else round(stats.vwap, 6),
        }
        found: list[list[tuple[int, str]]] = []
        for kind, price in told.items():
            if kind in self._kinds and price is not None:
                entry = [(269, kind), (270, _number(price))]
                if kind == _TRADE and stats.last_size is not None:
                    entry.append((271, _number(stats.last_size)))
                found.append(entry)
        return found

    # -- the changes

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
        entries: list[list[tuple[int, str]]] = []
        for kind, side in ((_BID, Side.BUY), (_OFFER, Side.SELL)):
            if kind in self._kinds:
                entries += self._steps(kind, before[side], self._sides[side])
        self._send(entries)

    def _steps(self, kind: str, before: list[Row], after: list[Row]) -> list[list[tuple[int, str]]]:
        """Say how one side became the other: prices that went, came, and changed."""
        old, new = {row[0]: row for row in before}, {row[0]: row for row in after}
        found = [[(279, "2"), *self._entry(kind, old[price])] for price in old if price not in new]
        for place, (price, row) in enumerate(new.items(), 1):
            if old.get(price) != row:
                action = "1" if price in old else "0"
                found.append([(279, action), *self._entry(kind, row), (290, str(place)), (346, str(row[2]))])
        return found

    def _entry(self, kind: str, row: Row) -> list[tuple[int, str]]:
        price = _number(row[0])
        head = [(269, kind), (278, f"{kind}{self.listing.id}@{price}"), *self._data.instrument(self.listing)]
        return [*head, (270, price), (271, _number(row[1]))]

    def printed(self, trade: Print) -> None:
        if not self._is_shown or _TRADE not in self._kinds:
            return
        self._trades += 1
        entry = [(279, "0"), (269, _TRADE), (278, f"{_TRADE}{self.listing.id}#{trade.number}")]
        entry += self._data.instrument(self.listing)
        self._send([[*entry, (270, _number(trade.price)), (271, _number(trade.size))]])

    def _send(self, entries: list[list[tuple[int, str]]]) -> None:
        if entries:
            message = Message("X").add(262, self._id).add(268, str(len(entries)))
            message.fields += [pair for entry in entries for pair in entry]
            self._connection.send(message)


class _Phases(MarketListener):
    """Tells a client of the phases of one symbol (f)."""

    def __init__(self, data: Data, connection: FixConnection, request_id: str, listing: Listing) -> None:
        self._data, self._connection = data, connection
        self._id, self._listing = request_id, listing

    def phase_changed(self, listing_id: int, phase: Phase) -> None:
        self._connection.send(self._data.security_status(self._connection, self._id, self._listing, is_unasked=True))


class Data:
    """The data half of a venue's FIX application.  `listings` reads instrument fields."""

    def __init__(self, venue: Venue, listings: Callable[[Message], list[Listing]]) -> None:
        self.venue = venue
        self._listings = listings
        self._watches: dict[FixConnection, dict[str, list[Any]]] = {}
        self.answers: dict[str, Callable[[FixConnection, Message], None]] = {
            "V": self._market_data,
            "x": self._security_list,
            "c": self._definition,
            "e": self._status,
            "g": self._session_status,
        }

    def lost(self, connection: FixConnection) -> None:
        """End all subscriptions of a client."""
        for watches in self._watches.pop(connection, {}).values():
            for watch in watches:
                watch.close()

    def lines_on(self, listing_id: int) -> int:
        """Return how many subscriptions there are on a listing."""
        return sum(
            isinstance(watch.listener, _Subscription) and watch.listener.listing.id == listing_id
            for watches in self._watches.values()
            for group in watches.values()
            for watch in group
        )

    def instrument(self, listing: Listing) -> list[tuple[int, str]]:
        """Return the fields that name a listing."""
        found = [(55, listing.symbol)]
        word = dialect.security_type(listing.sectype)
        return found if word is None else [*found, (167, word)]

    # -- market data

    def _market_data(self, connection: FixConnection, message: Message) -> None:
        try:
            self._serve(connection, message)
        except _Refused as refused:
            answer = Message("Y").add(262, message[262]).add(281, refused.reason).add(58, refused.text)
            connection.send(answer)

    def _serve(self, connection: FixConnection, message: Message) -> None:
        request_id, kind = message[262], message[263]
        known = self._watches.setdefault(connection, {})
        if kind == "2":
            for watch in known.pop(request_id, []):
                watch.close()
            return
        if request_id in known:
            raise _Refused("1", f"MDReqID {request_id} is in use")
        if kind == "1" and message.get(265) == "0":
            raise _Refused("6", "only incremental updates are offered")
        if message.get(266) == "N":
            raise _Refused("7", "only price levels are offered")
        unknown = {value for tag, value in message.fields if tag == 269} - _OFFERED
        if unknown:
            raise _Refused("8", f"entry types {', '.join(sorted(unknown))} are not offered")
        depth = message.number(264, 0) or 0
        if not 0 <= depth <= _MOST_LEVELS:
            raise _Refused("5", f"a depth of 0 to {_MOST_LEVELS} is offered")
        made = [
            _Subscription(self, connection, message, listing, depth or _MOST_LEVELS)
            for listing in self._asked_for(message)
        ]
        for one in made:
            if kind == "1":
                watch = self.venue.watch(one.listing.id, one, depth=depth or _MOST_LEVELS)
                known.setdefault(request_id, []).append(watch)
            one.show()

    def _asked_for(self, message: Message) -> list[Listing]:
        """Return the listing of each entry of the symbols' group; all or none."""
        assert message[8] is not None
        group = dictionary(message[8]).messages["V"].groups[146]
        found: list[Listing] = []
        for entry in message.entries(146, group.first, group.tags):
            listings = self._listings(entry)
            if len(listings) != 1:
                raise _Refused("0", f"unknown or ambiguous symbol {entry.get(55)}")
            found += listings
        if not found:
            raise _Refused("0", "no symbol is named")
        return found

    # -- reference data

    def _security_list(self, connection: FixConnection, message: Message) -> None:
        kind = message[559]
        listings = list(self.venue.instruments) if kind == "4" else self._listings(message) if kind == "0" else []
        listings = [listing for listing in listings if listing.is_tradeable]
        head = Message("y").add(320, message[320]).add(322, f"L{message[320]}")
        if not listings:
            connection.send(head.add(560, "2" if kind in ("0", "4") else "1"))
            return
        for start in range(0, len(listings), _FRAGMENT):
            part = listings[start : start + _FRAGMENT]
            answer = Message("y", head.fields).add(560, "0").add(393, str(len(listings)))
            answer.add(893, "Y" if start + _FRAGMENT >= len(listings) else "N").add(146, str(len(part)))
            for listing in part:
                answer.fields += self._terms(listing, message)
            connection.send(answer)

    def _terms(self, listing: Listing, message: Message) -> list[tuple[int, str]]:
        version = dictionary(message[8]).version
        found = [*instrument_to_wire(contract_of(listing), version), (231, _number(listing.multiplier))]
        if version == "5.0":
            found.append((969, _number(listing.tick)))
        found += [(107, listing.long_name), (15, listing.currency)]
        if version != "4.2":
            found.append((561, _number(listing.step)))
        return found

    def _definition(self, connection: FixConnection, message: Message) -> None:
        listings = self._listings(message)
        answer = Message("d").add(320, message[320]).add(322, f"D{message[320]}")
        if len(listings) != 1:
            answer.add(323, "6" if message[8] != "FIX.4.2" else "5").add(58, "no such instrument, or several")
            connection.send(answer.add(393, "0" if message[8] == "FIX.4.2" else None))
            return
        listing = listings[0]
        answer.add(323, "1").add(393, "1" if message[8] == "FIX.4.2" else None)
        answer.fields += self._terms(listing, message)
        connection.send(answer)

    def security_status(
        self, connection: FixConnection, request_id: str, listing: Listing, *, is_unasked: bool = False
    ) -> Message:
        """Say what phase a listing is in (f)."""
        assert connection.identity is not None
        version = dictionary(connection.identity.begin_string).version
        message = Message("f").add(324, request_id)
        message.fields += self.instrument(listing)
        message.add(325, "Y" if is_unasked else "N").add(326, security_status(self.venue.phase(listing.id), version))
        stats = self.venue.stats(listing.id)
        message.add(332, None if stats.high is None else _number(stats.high))
        message.add(333, None if stats.low is None else _number(stats.low))
        message.add(31, None if stats.last is None else _number(stats.last))
        return message.add(60, dialect.instant_to_wire(self.venue.now_ns()))

    def _status(self, connection: FixConnection, message: Message) -> None:
        known, request_id = self._watches.setdefault(connection, {}), f"e|{message[324]}"
        for watch in known.pop(request_id, []):
            watch.close()
        if message[263] == "2":
            return
        listings = self._listings(message)
        if len(listings) != 1:
            answer = Message("f").add(324, message[324]).add(55, message.get(55)).add(325, "N").add(326, "20")
            connection.send(answer)
            return
        connection.send(self.security_status(connection, message[324], listings[0]))
        if message[263] == "1":
            phases = _Phases(self, connection, message[324], listings[0])
            known[request_id] = [self.venue.watch(listings[0].id, phases)]

    def _session_status(self, connection: FixConnection, message: Message) -> None:
        answer = Message("h").add(335, message[335]).add(336, _SESSION_ID)
        asked = message.get(336)
        if asked not in (None, _SESSION_ID):
            word = "6" if message[8] != "FIX.4.2" else "3"
            answer = Message("h").add(335, message[335]).add(336, asked).add(340, word)
            connection.send(answer.add(58, f"there is no trading session {asked}"))
            return
        phases = [self.venue.phase(listing.id) for listing in self.venue.instruments if listing.is_tradeable]
        connection.send(answer.add(339, "2").add(340, session_status(phases)))


def _number(value: Decimal) -> str:
    return dialect.number_to_wire(value)
