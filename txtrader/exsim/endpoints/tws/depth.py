"""Market depth: rows of the book, plain or with the exchange as market maker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from txtrader.exsim.endpoints.tws.service import Answer, RequestFailed, Service
from txtrader.exsim.listeners import MarketListener
from txtrader.exsim.records import Listing, RowChange
from txtrader.exsim.venue import Watch
from txtrader.model.instrument import SecType
from txtrader.wire.tws.message import Message

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.tws.connection import TwsConnection

__all__ = ["Depth"]

_OPERATIONS = {"insert": 0, "update": 1, "delete": 2}
_MAX_ROWS = 60


class _Subscription(MarketListener):
    def __init__(self, connection: TwsConnection, req_id: int, listing: Listing, *, is_smart: bool) -> None:
        self.watch: Watch | None = None
        self.is_smart = is_smart
        self._connection = connection
        self._req_id = req_id
        self._maker = listing.primary_exchange or listing.exchange

    def depth_changed(self, listing_id: int, changes: tuple[RowChange, ...]) -> None:
        send = self._connection.send
        with self._connection.together():
            for change in changes:
                operation = _OPERATIONS[change.operation]
                side = 1 if change.side.sign > 0 else 0
                if self.is_smart:
                    send(
                        "updateMktDepthL2",
                        reqId=self._req_id,
                        position=change.position,
                        marketMaker=self._maker,
                        operation=operation,
                        side=side,
                        price=change.row.price,
                        size=change.row.size,
                        isSmartDepth=True,
                    )
                else:
                    send(
                        "updateMktDepth",
                        reqId=self._req_id,
                        position=change.position,
                        operation=operation,
                        side=side,
                        price=change.row.price,
                        size=change.row.size,
                    )


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
                    "aggGroup": 1 if sectype is SecType.STOCK else None,
                }
                for exchange, sectype in places
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
