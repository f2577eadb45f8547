"""Requests about quotes: two-sided interest, posted and replaced in one step, with last look if so set."""

from __future__ import annotations

from typing import Any

from txtrader.exsim.control.engines import Engine
from txtrader.exsim.control.kinds import ANYTHING, DECIMAL, FLAG, INSTANT, NAME, POSITIVE, WHOLE, maybe
from txtrader.exsim.control.problems import ControlError, not_found
from txtrader.exsim.control.requests import Property, arg, read_property, request
from txtrader.exsim.control.rooms.book_room import BookRoom
from txtrader.exsim.control.world import World
from txtrader.exsim.quotes import Quote

__all__ = ["QUOTE_PROPERTIES", "QuoteRoom"]

QUOTE_PROPERTIES = {
    found.name: found
    for found in (
        Property("bid_price", maybe(DECIMAL), None, "null: no bid"),
        Property("bid_quantity", maybe(POSITIVE), None, "null: no bid"),
        Property("offer_price", maybe(DECIMAL), None, "null: no offer"),
        Property("offer_quantity", maybe(POSITIVE), None, "null: no offer"),
        Property("expire_time", maybe(INSTANT), None, "null: never", "ns UTC"),
        Property("last_look", FLAG, False, "its owner is asked before it trades"),
    )
}


class QuoteRoom:
    """See the module.  Names of quotes are common to all engines."""

    def __init__(self, world: World, books: BookRoom) -> None:
        self._world = world
        self._books = books

    @request(
        arg("quote_id", NAME),
        arg("book_name", NAME),
        arg("engine", maybe(NAME), default=None),
        arg("owner", NAME, default="control"),
        arg("account", maybe(NAME), "null: the engine's", default=None),
        takes_more=True,
    )
    def create_quote(
        self, quote_id: str, book_name: str, engine: str | None, owner: str, account: str | None, more: dict[str, Any]
    ) -> dict[str, Any]:
        """Draft a quote; further arguments are its properties."""
        book = self._books.find(book_name, engine)
        if any(quote.name == quote_id for one in self._world.engines.values() for quote in one.venue.quotes()):
            raise ControlError("already-exists", f"there is a quote {quote_id} already", "quote_id")
        given = {name: read_property(QUOTE_PROPERTIES, name, value) for name, value in more.items()}
        named = account or book.engine.values["account"]
        book.engine.venue.open_account(named)
        book.engine.venue.create_quote(quote_id, owner, book.listing.id, named, **given)
        return {}

    @request(arg("quote_id", NAME), arg("name", NAME), arg("value", ANYTHING), result="old, new")
    def set_quote_property(self, quote_id: str, name: str, value: Any) -> dict[str, Any]:
        """Set a property of a quote, which counts from the next submit on."""
        engine, _ = self._find(quote_id)
        old, new = engine.venue.set_quote_property(quote_id, name, read_property(QUOTE_PROPERTIES, name, value))
        return {"old": old, "new": new}

    @request(arg("quote_id", NAME), result="bid and offer, the venue's numbers of their orders")
    def submit_quote(self, quote_id: str) -> dict[str, Any]:
        """Post a quote, or replace the live one in one step; a side that is the same keeps its place."""
        engine, quote = self._find(quote_id)
        refusal = engine.venue.submit_quote(quote_id)
        if refusal is not None:
            raise ControlError("rejected", refusal.text, None, reason=str(refusal.reason))
        return self._shown(engine, quote)

    @request(arg("quote_id", NAME), result="properties, bid, offer, requests that wait")
    def get_quote(self, quote_id: str) -> dict[str, Any]:
        """Read a quote."""
        return self._shown(*self._find(quote_id))

    @request(arg("quote_id", NAME))
    def delete_quote(self, quote_id: str) -> dict[str, Any]:
        """Withdraw a quote if it is live, and forget it."""
        engine, _ = self._find(quote_id)
        engine.venue.delete_quote(quote_id)
        return {}

    @request(
        arg("quote_id", NAME),
        arg("request", WHOLE, "its number"),
        arg("accept", FLAG),
        arg("quantity", maybe(POSITIVE), default=None),
        arg("price", maybe(DECIMAL), default=None),
    )
    def answer_quote_request(
        self, quote_id: str, request: int, accept: bool, quantity: Any, price: Any
    ) -> dict[str, Any]:
        """Accept or refuse an order that has met a last-look quote."""
        engine, _ = self._find(quote_id)
        engine.venue.answer_quote_request(quote_id, request, accept, quantity, price)
        return {}

    def _find(self, name: str) -> tuple[Engine, Quote]:
        for engine in self._world.engines.values():
            for quote in engine.venue.quotes():
                if quote.name == name:
                    return engine, quote
        raise not_found("quote", name, "quote_id")

    @staticmethod
    def _shown(engine: Engine, quote: Quote) -> dict[str, Any]:
        sides = {"bid": quote.bid, "offer": quote.offer}
        numbers = {name: None if order is None else order.id for name, order in sides.items()}
        return {
            "quote": quote.name,
            "owner": quote.owner,
            **{name: getattr(quote, name) for name in QUOTE_PROPERTIES},
            **numbers,
            "requests": [
                {
                    "request": one.number,
                    "side": "buy" if one.side.sign > 0 else "sell",
                    "price": one.price,
                    "quantity": one.quantity,
                    "expire_time": one.expire_time,
                }
                for one in engine.venue.quote_requests()
                if one.quote_order_id in numbers.values()
            ],
        }
