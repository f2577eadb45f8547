"""Requests about prices: set by hand, or followed from a file, a random walk, or outside."""

from __future__ import annotations

from typing import Any

from txtrader.exsim.control.kinds import DECIMAL as NUMBER
from txtrader.exsim.control.kinds import MAPPING, NAME, POSITIVE, TEXT, WHOLE, choice, maybe
from txtrader.exsim.control.problems import ControlError
from txtrader.exsim.control.requests import arg, request
from txtrader.exsim.control.rooms.book_room import BookRoom
from txtrader.exsim.sources import PriceRow

__all__ = ["PricingRoom"]

_SIDE = maybe(NUMBER)


class PricingRoom:
    """See the module."""

    def __init__(self, books: BookRoom) -> None:
        self._books = books

    @request(
        arg("book", NAME),
        arg("engine", maybe(NAME), default=None),
        arg("bid", _SIDE, "a quote of the house; null: none", default=""),
        arg("offer", _SIDE, "a quote of the house; null: none", default=""),
        arg("bid_quantity", maybe(POSITIVE), default=None),
        arg("offer_quantity", maybe(POSITIVE), default=None),
        arg("last", maybe(NUMBER), "a trade of others", default=None),
        arg("last_quantity", maybe(POSITIVE), default=None),
        arg("reference", maybe(NUMBER), "what it is worth", default=None),
    )
    def set_price(
        self, book: str, engine: str | None, bid: Any, offer: Any, bid_quantity: Any, offer_quantity: Any, last: Any,
        last_quantity: Any, reference: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """Set quotes, a trade and the reference of a book by hand; what is not given stays."""
        found = self._books.find(book, engine)
        sides = {name: value for name, value in (("bid", bid), ("offer", offer)) if value != ""}
        row = PriceRow(
            bid_size=bid_quantity,
            offer_size=offer_quantity,
            last=last,
            last_size=last_quantity,
            reference=reference,
            **sides,
        )
        found.engine.crowd.set_price(found.listing.id, row)
        return {}

    @request(
        arg("book", NAME),
        arg("engine", maybe(NAME), default=None),
        arg("source", TEXT, "bars, quotes, trades, lobster, itch, path, walk, or one that was loaded"),
        arg("properties", MAPPING, "docs/exsim-bots.md", default={}),
        result="what the source is and has",
    )
    def attach_pricing(self, book: str, engine: str | None, source: str, properties: dict[str, Any]) -> dict[str, Any]:
        """Let a book follow a source, which stands still until start_replay."""
        found = self._books.find(book, engine)
        status = found.engine.crowd.attach(found.listing.id, source, properties)
        found.engine.classes[f"source {book}"] = source
        return status

    @request(arg("book", NAME), arg("engine", maybe(NAME), default=None))
    def detach_pricing(self, book: str, engine: str | None) -> dict[str, Any]:
        """Take a book's source away, and what was set by hand."""
        found = self._books.find(book, engine)
        found.engine.crowd.detach(found.listing.id)
        found.engine.classes.pop(f"source {book}", None)
        return {}

    @request(
        arg("book", NAME),
        arg("engine", maybe(NAME), default=None),
        arg("speed", maybe(POSITIVE), "times real time; null: as the source has it", default=None),
        arg("how", choice(("timed", "at_once")), "at_once: all rows, as fast as possible", default="timed"),
        result="done, rows so far",
    )
    def start_replay(self, book: str, engine: str | None, speed: Any, how: str) -> dict[str, Any]:
        """Let the rows of a book's source come."""
        found = self._books.find(book, engine)
        crowd = found.engine.crowd
        if how == "at_once":
            if speed is not None:
                raise ControlError("invalid-argument", "speed does not go with at_once", "speed")
            while crowd.step_source(found.listing.id, 1000):
                pass
        else:
            if speed is not None:
                crowd.set_source_property(found.listing.id, "speed", speed)
            crowd.start_source(found.listing.id)
        return {"done": crowd.feed(found.listing.id).status()["done"]}

    @request(
        arg("book", NAME),
        arg("engine", maybe(NAME), default=None),
        arg("rows", WHOLE, default=1),
        result="done, of these rows",
    )
    def step_replay(self, book: str, engine: str | None, rows: int) -> dict[str, Any]:
        """Take so many rows of a book's source now."""
        found = self._books.find(book, engine)
        return {"done": found.engine.crowd.step_source(found.listing.id, rows)}

    @request(arg("book", NAME), arg("engine", maybe(NAME), default=None), result="done, rows so far")
    def stop_replay(self, book: str, engine: str | None) -> dict[str, Any]:
        """Let no more rows come."""
        found = self._books.find(book, engine)
        return {"done": found.engine.crowd.stop_source(found.listing.id)}
