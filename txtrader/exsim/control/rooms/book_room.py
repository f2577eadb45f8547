"""Requests about books: making them, and reading them at one consistent moment."""

from __future__ import annotations

from typing import Any

from txtrader.exsim.control.engines import BOOK_PROPERTIES, Book, Engine
from txtrader.exsim.control.events import side_word
from txtrader.exsim.control.kinds import ANYTHING, NAME, WHOLE, maybe
from txtrader.exsim.control.problems import ControlError
from txtrader.exsim.control.requests import arg, read_property, request
from txtrader.exsim.control.world import World

__all__ = ["BookRoom"]


class BookRoom:
    """See the module."""

    def __init__(self, world: World) -> None:
        self._world = world

    @request(
        arg("name", NAME),
        arg("engine", NAME),
        arg("symbol", ANYTHING, "what clients call the instrument"),
        result="name",
        takes_more=True,
    )
    def create_book(self, name: str, engine: str, symbol: Any, more: dict[str, Any]) -> dict[str, Any]:
        """Give an engine an instrument and its book; further arguments are the instrument's properties."""
        book = self._world.engine(engine).create_book(name, {"symbol": symbol, **more})
        book.match_by(self._world.properties["auto_match"])
        return {"name": name}

    @request(
        arg("name", NAME),
        arg("engine", maybe(NAME), "may be left out where only one engine has such a book", default=None),
        result="orders_cancelled",
    )
    def delete_book(self, name: str, engine: str | None) -> dict[str, Any]:
        """Take an instrument out; live orders leave with cancels that nobody asked for."""
        book = self.find(name, engine)
        return {"orders_cancelled": book.engine.delete_book(book)}

    def find(self, name: str, engine: str | None) -> Book:
        """Return a book by name.  Raises ControlError, also where several engines have one."""
        world = self._world
        engines = world.engines.values() if engine is None else [world.engine(engine)]
        found = [one.books[name] for one in engines if name in one.books]
        if len(found) > 1:
            raise ControlError("invalid-argument", f"several engines have a book {name}; say which", "engine")
        if not found:
            raise ControlError("not-found", f"there is no book {name}", "book")
        return found[0]

    @request(
        arg("book", NAME),
        arg("engine", maybe(NAME), default=None),
        arg("property", NAME),
        arg("value", ANYTHING),
        result="old, new",
    )
    def set_book_property(self, book: str, engine: str | None, property: str, value: Any) -> dict[str, Any]:
        """Set a property of a book."""
        found = self.find(book, engine)
        new = read_property(BOOK_PROPERTIES, property, value)
        old = found.values[property]
        if new != old:
            if BOOK_PROPERTIES[property].is_fixed:
                raise ControlError("wrong-state", f"{property} is given when the book is made", "property")
            found.set(property, new)
            found.match_by(self._world.properties["auto_match"])
        return {"old": old, "new": new}

    @request(
        arg("book", NAME),
        arg("engine", maybe(NAME), default=None),
        arg("depth", WHOLE, "so many levels a side", default=10),
        arg("level", WHOLE, "1: best prices, 2: levels, 3: orders", default=2),
        result="phase, bids, offers, last, volume ...; orders at level 3, and the shown ones where they are watched",
    )
    def get_book(self, book: str, engine: str | None, depth: int, level: int) -> dict[str, Any]:
        """Read a book."""
        if level not in (1, 2, 3):
            raise ControlError("invalid-argument", "level: 1, 2 or 3", "level")
        found = self.find(book, engine)
        venue, listing = found.engine.venue, found.listing
        bids, offers = venue.depth(listing.id, min(depth, 1000) if level > 1 else 1)
        stats = venue.stats(listing.id)
        shown: dict[str, Any] = {
            "name": found.name,
            "engine": found.engine.name,
            "symbol": listing.local_symbol,
            "phase": str(venue.phase(listing.id)),
            "bids": [{"price": row.price, "quantity": row.size, "orders": row.count} for row in bids],
            "offers": [{"price": row.price, "quantity": row.size, "orders": row.count} for row in offers],
            "last": None if stats.last is None else {"price": stats.last, "quantity": stats.last_size},
            "open": stats.open,
            "high": stats.high,
            "low": stats.low,
            "volume": stats.volume,
            "vwap": stats.vwap,
            "trades": stats.trades,
            "properties": dict(found.values),
        }
        if level == 3:
            shown["orders"] = self._orders(found.engine, found)
            if found.values["watch_orders"]:
                book_shown = found.shown_orders()
                shown["change"] = book_shown.number
                shown["shown"] = [
                    {"public": one.public_id, "side": side_word(one.side), "price": one.price, "quantity": one.size}
                    for one in (*book_shown.bids, *book_shown.asks)
                ]
        return shown

    def _orders(self, engine: Engine, book: Book) -> list[dict[str, Any]]:
        return [
            {
                "order": engine.name_of(order),
                "order_id": order.id,
                "side": "buy" if order.sign > 0 else "sell",
                "price": order.limit_price,
                "quantity": (order.leaves - order.reserve) * order.listing.step,
                "reserve": order.reserve * order.listing.step,
            }
            for order in engine.venue.resting(book.listing.id)
        ]
