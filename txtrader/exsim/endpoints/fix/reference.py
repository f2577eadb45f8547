"""Reference data over FIX: x, c, e and g with their answers y, d, f and h; f again as phases change."""

from __future__ import annotations

from collections.abc import Callable

from txtrader.dialects import fix as dialect
from txtrader.dialects.fix_reports import instrument_to_wire
from txtrader.exsim.endpoints.fix.endpoint import FixConnection
from txtrader.exsim.endpoints.fix.instruments import contract_of, fields_of
from txtrader.exsim.endpoints.fix.phase_words import security_status, session_status
from txtrader.exsim.listeners import MarketListener
from txtrader.exsim.market import Watch
from txtrader.exsim.records import Listing, Phase
from txtrader.exsim.venue import Venue
from txtrader.wire.fix.dictionary import dictionary
from txtrader.wire.fix.message import Message

__all__ = ["Reference"]

_FRAGMENT = 100
_SESSION_ID = "DAY"


class _Phases(MarketListener):
    """Tells a client of the phases of one symbol (f)."""

    def __init__(self, reference: Reference, connection: FixConnection, request_id: str, listing: Listing) -> None:
        self._reference, self._connection = reference, connection
        self._id, self._listing = request_id, listing

    def phase_changed(self, listing_id: int, phase: Phase) -> None:
        told = self._reference.security_status(self._connection, self._id, self._listing, is_unasked=True)
        self._connection.send(told)


class Reference:
    """What instruments there are, and what they do at present.  `listings` reads instrument fields."""

    def __init__(self, venue: Venue, listings: Callable[[Message], list[Listing]]) -> None:
        self._venue = venue
        self._listings = listings
        self._watches: dict[FixConnection, dict[str, Watch]] = {}
        self.answers: dict[str, Callable[[FixConnection, Message], None]] = {
            "x": self._security_list,
            "c": self._definition,
            "e": self._status,
            "g": self._session_status,
        }

    def lost(self, connection: FixConnection) -> None:
        """Tell a client no more."""
        for watch in self._watches.pop(connection, {}).values():
            watch.close()

    def _security_list(self, connection: FixConnection, message: Message) -> None:
        kind = message[559]
        listings = list(self._venue.instruments) if kind == "4" else self._listings(message) if kind == "0" else []
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
        found = [*instrument_to_wire(contract_of(listing), version), (231, dialect.number_to_wire(listing.multiplier))]
        if version == "5.0":
            found.append((969, dialect.number_to_wire(listing.tick)))
        found += [(107, listing.long_name), (15, listing.currency)]
        if version != "4.2":
            found.append((561, dialect.number_to_wire(listing.step)))
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
        message.fields += fields_of(listing)
        message.add(325, "Y" if is_unasked else "N").add(326, security_status(self._venue.phase(listing.id), version))
        stats = self._venue.stats(listing.id)
        message.add(332, None if stats.high is None else dialect.number_to_wire(stats.high))
        message.add(333, None if stats.low is None else dialect.number_to_wire(stats.low))
        message.add(31, None if stats.last is None else dialect.number_to_wire(stats.last))
        return message.add(60, dialect.instant_to_wire(self._venue.now_ns()))

    def _status(self, connection: FixConnection, message: Message) -> None:
        known = self._watches.setdefault(connection, {})
        if (watch := known.pop(message[324], None)) is not None:
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
            known[message[324]] = self._venue.watch(listings[0].id, phases)

    def _session_status(self, connection: FixConnection, message: Message) -> None:
        answer = Message("h").add(335, message[335]).add(336, _SESSION_ID)
        asked = message.get(336)
        if asked not in (None, _SESSION_ID):
            word = "6" if message[8] != "FIX.4.2" else "3"
            answer = Message("h").add(335, message[335]).add(336, asked).add(340, word)
            connection.send(answer.add(58, f"there is no trading session {asked}"))
            return
        phases = [self._venue.phase(listing.id) for listing in self._venue.instruments if listing.is_tradeable]
        connection.send(answer.add(339, "2").add(340, session_status(phases)))
