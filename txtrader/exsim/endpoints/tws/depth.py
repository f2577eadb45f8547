"""Market depth: rows of the book, plain or with the exchange as market maker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from txtrader.exsim.endpoints.tws.service import Answer, RequestFailed, Service
from txtrader.exsim.listeners import MarketListener
from txtrader.exsim.records import DepthRow, Listing, RowChange
from txtrader.exsim.venue import Watch
from txtrader.model.instrument import SecType
from txtrader.wire.tws.message import Message

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.tws.connection import TwsConnection

__all__ = ["Depth"]

_INSERT, _UPDATE, _DELETE = 0, 1, 2
_MAX_ROWS = 60
_NO_GROUP = 2147483647  # said as a number: clients fail on an empty one here


class _Subscription(MarketListener):
    """One depth request.

    Clients disagree on whether an insert shifts the rows behind it.  Rows are therefore rewritten in place: inserts
    and deletes happen at the end of a side only, where both readings give the same book.
    """

    def __init__(self, connection: TwsConnection, req_id: int, listing: Listing, *, is_smart: bool) -> None:
        self.watch: Watch | None = None
        self._is_smart = is_smart
        self._connection = connection
        self._req_id = req_id
        self._maker = listing.primary_exchange or listing.exchange
        self._sides: dict[int, list[DepthRow]] = {0: [], 1: []}

    def depth_changed(self, listing_id: int, changes: tuple[RowChange, ...]) -> None:
        former = {side: list(rows) for side, rows in self._sides.items()}
        for change in changes:
            rows = self._sides[1 if change.side.sign > 0 else 0]
            if change.operation == "insert":
                rows.insert(change.position, change.row)
            elif change.operation == "update":
                rows[change.position] = change.row
            else:
                del rows[change.position]
        with self._connection.together():
            for side, rows in self._sides.items():
                self._rewrite(side, former[side], rows)

    def _rewrite(self, side: int, old: list[DepthRow], new: list[DepthRow]) -> None:
        for position, row in enumerate(new):
            if position >= len(old):
                self._send(side, position, _INSERT, row)
            elif (row.price, row.size) != (old[position].price, old[position].size):
                self._send(side, position, _UPDATE, row)
        for position in range(len(old) - 1, len(new) - 1, -1):
            self._send(side, position, _DELETE, old[position])

    def _send(self, side: int, position: int, operation: int, row: DepthRow) -> None:
        fields: dict[str, Any] = {
            "reqId": self._req_id,
            "position": position,
            "operation": operation,
            "side": side,
            "price": row.price,
            "size": row.size,
        }
        if self._is_smart:
            self._connection.send("updateMktDepthL2", **fields, marketMaker=self._maker, isSmartDepth=True)
        else:
            self._connection.send("updateMktDepth", **fields)


class Depth(Service):
    """One client's depth requests."""

    def __init__(self, connection: TwsConnection) -> None:
        super().__init__(connection)
        self._subscriptions: dict[int, _Subscription] = {}

    @property
    def answers(self) -> Mapping[str, Answer]:
        return {
            "reqMktDepth": self.subscribe,
            "cancelMktDepth": self.unsubscribe,
            "reqMktDepthExchanges": self.exchanges,
        }

    def subscribe(self, message: Message) -> None:
        """Send the rows that there are, then each change."""
        req_id, rows = message["reqId"], message["numRows"]
        if req_id in self._subscriptions:
            raise RequestFailed(102, "Duplicate ticker id")
        if rows is None or not 1 <= rows <= _MAX_ROWS:
            raise RequestFailed(321, f"Error validating request.-'bV' : cause - Rows must be 1 to {_MAX_ROWS}")
        limit = self.endpoint.options.depth_limit
        if len(self._subscriptions) >= limit:
            raise RequestFailed(309, f"Max number ({limit}) of market depth requests has been reached")
        listing = self.endpoint.listings.resolve(message.fields)
        if listing.sectype is SecType.INDEX:
            raise RequestFailed(
                10092, "Deep market data is not supported for this combination of security type/exchange"
            )
        subscription = _Subscription(self.connection, req_id, listing, is_smart=message["isSmartDepth"])
        self._subscriptions[req_id] = subscription
        subscription.watch = self.venue.watch(listing.id, subscription, depth=rows)

    def unsubscribe(self, message: Message) -> None:
        """End a request."""
        subscription = self._subscriptions.pop(message["reqId"], None)
        if subscription is None:
            raise RequestFailed(310, f"Can't find the subscribed market depth with tickerId:{message['reqId']}")
        _close(subscription)

    def exchanges(self, message: Message) -> None:
        """Answer where depth is to be had."""
        places = sorted(
            {
                (
                    listing.exchange if listing.sectype is not SecType.STOCK else listing.primary_exchange,
                    listing.sectype,
                )
                for listing in self.venue.instruments
                if listing.sectype is not SecType.INDEX
            }
        )
        self.send(
            "mktDepthExchanges",
            depthMktDataDescriptions=[
                {
                    "exchange": exchange,
                    "secType": sectype.value,
                    "listingExch": "",
                    "serviceDataType": "Deep2" if sectype is SecType.STOCK else "Deep",
                    "aggGroup": 1 if sectype is SecType.STOCK else _NO_GROUP,
                }
                for exchange, sectype in places
                if exchange != "SMART"
            ],
        )

    def close(self) -> None:
        for subscription in self._subscriptions.values():
            _close(subscription)
        self._subscriptions.clear()


def _close(subscription: _Subscription) -> None:
    if subscription.watch is not None:
        subscription.watch.close()
        subscription.watch = None
