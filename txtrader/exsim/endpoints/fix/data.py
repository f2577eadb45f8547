"""The data half of a venue's FIX application: V with W, X and Y, and the reference data.

A request is met as a whole or not at all; what it asks for becomes a subscription for each symbol.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import StrEnum

from txtrader.exsim.endpoints.fix.by_order import OrderBooks, OrderSubscription
from txtrader.exsim.endpoints.fix.endpoint import FixConnection
from txtrader.exsim.endpoints.fix.figures import AUCTION, SESSION
from txtrader.exsim.endpoints.fix.instruments import contract_of
from txtrader.exsim.endpoints.fix.reference import Reference
from txtrader.exsim.endpoints.fix.subscriptions import BID, OFFER, TRADE, LevelSubscription, Subscription
from txtrader.exsim.records import Listing
from txtrader.exsim.venue import Venue
from txtrader.wire.fix.dictionary import dictionary
from txtrader.wire.fix.message import Message

__all__ = ["Data", "contract_of"]

_OFFERED = SESSION | AUCTION | {BID, OFFER, TRADE}
_MOST_LEVELS = 100
_MOST_ORDERS = 50_000


class _Reason(StrEnum):
    """Why a request is refused (281)."""

    UNKNOWN_SYMBOL = "0"
    ID_IN_USE = "1"
    BANDWIDTH = "2"
    REQUEST_TYPE = "4"
    DEPTH = "5"
    UPDATE_TYPE = "6"
    ENTRY_TYPE = "8"


class _Refused(Exception):
    """A request that is refused as a whole, with FIX's reason (281) and a text."""

    def __init__(self, reason: _Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


class Data:
    """See the module.  `listings` reads instrument fields.

    `most_orders` is the size of a book that is still told by order: a picture has to fit in a client's queue.
    """

    def __init__(self, venue: Venue, listings: Callable[[Message], list[Listing]]) -> None:
        self._venue = venue
        self._listings = listings
        self._books = OrderBooks(venue)
        self._reference = Reference(venue, listings)
        self._subscriptions: dict[FixConnection, dict[str, list[Subscription]]] = {}
        self.most_orders = _MOST_ORDERS
        self.answers: dict[str, Callable[[FixConnection, Message], None]] = {
            "V": self._market_data,
            **self._reference.answers,
        }

    def lost(self, connection: FixConnection) -> None:
        """End all subscriptions of a client."""
        for group in self._subscriptions.pop(connection, {}).values():
            for one in group:
                one.close()
        self._reference.lost(connection)

    def lines_on(self, listing_id: int) -> int:
        """Return how many subscriptions there are on a listing."""
        return sum(
            one.listing.id == listing_id
            for groups in self._subscriptions.values()
            for group in groups.values()
            for one in group
        )

    def _market_data(self, connection: FixConnection, message: Message) -> None:
        try:
            self._serve(connection, message)
        except _Refused as refused:
            answer = Message("Y").add(262, message[262]).add(281, refused.reason.value).add(58, refused.text)
            connection.send(answer)

    def _serve(self, connection: FixConnection, message: Message) -> None:
        request_id, kind = message[262], message[263]
        known = self._subscriptions.setdefault(connection, {})
        if kind == "2":
            for one in known.pop(request_id, []):
                one.close()
            return
        if kind not in ("0", "1"):
            raise _Refused(_Reason.REQUEST_TYPE, f"a request is of type 0, 1 or 2, not {kind}")
        if request_id in known:
            raise _Refused(_Reason.ID_IN_USE, f"MDReqID {request_id} is in use")
        if kind == "1" and message.get(265) == "0":
            raise _Refused(_Reason.UPDATE_TYPE, "only incremental updates are offered")
        self._check_types(message)
        made = self._by_order(connection, message) if message.get(266) == "N" else self._by_level(connection, message)
        if kind == "1":
            known[request_id] = made
        for one in made:
            if kind == "1":
                one.follow()
            one.show()

    def _check_types(self, message: Message) -> None:
        """Refuse a type of entry that we do not have, or the version of the client does not."""
        assert message[8] is not None
        asked = {value for tag, value in message.fields if tag == 269}
        if unknown := asked - _OFFERED:
            raise _Refused(_Reason.ENTRY_TYPE, f"entry types {', '.join(sorted(unknown))} are not offered")
        version = dictionary(message[8])
        if lacking := asked - version.fields[269].values:
            raise _Refused(_Reason.ENTRY_TYPE, f"FIX {version.version} has no entry types {', '.join(sorted(lacking))}")

    def _by_level(self, connection: FixConnection, message: Message) -> list[Subscription]:
        depth = message.number(264, 0) or 0
        if not 0 <= depth <= _MOST_LEVELS:
            raise _Refused(_Reason.DEPTH, f"a depth of 0 to {_MOST_LEVELS} is offered")
        return [
            LevelSubscription(self._venue, connection, message, listing, depth=depth or _MOST_LEVELS)
            for listing in self._asked_for(message)
        ]

    def _by_order(self, connection: FixConnection, message: Message) -> list[Subscription]:
        depth = message.number(264, 0)
        if depth:
            raise _Refused(_Reason.DEPTH, f"a book by order (266=N) is offered whole, with 264=0, not with 264={depth}")
        found = self._asked_for(message)
        for listing in found:
            if (count := self._shown_orders(listing)) > self.most_orders:
                text = f"{listing.symbol} has {count} orders: by order {self.most_orders} are offered, by level all"
                raise _Refused(_Reason.BANDWIDTH, text)
        return [OrderSubscription(self._venue, connection, message, one, books=self._books) for one in found]

    def _shown_orders(self, listing: Listing) -> int:
        return sum(row.count for rows in self._venue.depth(listing.id, sys.maxsize) for row in rows)

    def _asked_for(self, message: Message) -> list[Listing]:
        """Return the listing of each entry of the symbols' group; all or none."""
        assert message[8] is not None
        group = dictionary(message[8]).messages["V"].groups[146]
        found: list[Listing] = []
        for entry in message.entries(146, group.first, group.tags):
            listings = self._listings(entry)
            if len(listings) != 1:
                raise _Refused(_Reason.UNKNOWN_SYMBOL, f"unknown or ambiguous symbol {entry.get(55)}")
            found += listings
        if not found:
            raise _Refused(_Reason.UNKNOWN_SYMBOL, "no symbol is named")
        return found
