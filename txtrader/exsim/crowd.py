"""The crowd round a venue: its bots by name, and the feed of each book.

This is what a control protocol talks to.  Errors are those of `txtrader.errors` and `txtrader.exsim.errors`; a request
that fails has changed nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from txtrader.errors import InvalidArgument, NotFound, TxTraderError
from txtrader.exsim.bots import BOTS, Bot
from txtrader.exsim.errors import AlreadyExists, PluginError, Unsupported, WrongState
from txtrader.exsim.files import DataFolder
from txtrader.exsim.records import Listing
from txtrader.exsim.sources import SOURCES, PriceRow
from txtrader.exsim.sources.feed import Feed
from txtrader.exsim.venue import Venue

__all__ = ["Crowd"]

_NAME = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)


class Crowd:
    """See the module.  Files of bots and sources are below `data_folder`; without one there are none."""

    def __init__(self, venue: Venue, data_folder: str | Path | None = None) -> None:
        self.venue = venue
        self._files = DataFolder(data_folder)
        self._bots: dict[str, Bot] = {}
        self._feeds: dict[int, Feed] = {}

    def stop(self) -> None:
        """Stop all bots and sources, before the venue is stopped; they can be started again."""
        for bot in self._bots.values():
            bot.stop()
        for feed in self._feeds.values():
            feed.stop()

    # -- bots

    def create_bot(
        self, name: str, class_name: str, listing_id: int, properties: Mapping[str, Any] | None = None
    ) -> Bot:
        """Make a bot for a book; it does not act before it is started."""
        if not _NAME.fullmatch(name):
            raise InvalidArgument(f"{name!r} is not 1 to 64 letters, digits and . _ - :", path="name")
        if name in self._bots:
            raise AlreadyExists(f"there is a bot {name} already", path="name")
        listing = self._listing(listing_id)
        if not listing.is_tradeable:
            raise Unsupported(f"{listing.symbol} has no book to act on", path="listing_id")
        cls = BOTS.get(class_name)
        try:
            bot = cls(self.venue, name, listing, properties or {}, self._files)
        except TxTraderError:
            raise
        except Exception as error:
            raise PluginError(f"{class_name}: {type(error).__name__}: {error}") from error
        self._bots[name] = bot
        self.venue.tape.write("bot", name, "create", class_name, listing_id)
        return bot

    def bot(self, name: str) -> Bot:
        """Return a bot; NotFound if there is none of that name."""
        known = self._bots.get(name)
        if known is None:
            raise NotFound(f"there is no bot {name}", path="name")
        return known

    def bots(self) -> list[Bot]:
        """List all bots, in the order of their making."""
        return list(self._bots.values())

    def set_bot_property(self, name: str, property_name: str, value: Any) -> tuple[Any, Any]:
        """Change a property of a bot; return the old and the new value."""
        return self.bot(name).set(property_name, value)

    def get_bot_property(self, name: str, property_name: str) -> Any:
        """Return a property of a bot."""
        return self.bot(name).properties[property_name]

    def start_bot(self, name: str) -> None:
        """Let a bot act; PluginError if it failed at once."""
        bot = self.bot(name)
        bot.start()
        if bot.fault:
            raise PluginError(f"the bot {name} failed: {bot.fault}")

    def stop_bot(self, name: str) -> None:
        """Let a bot act no more; its orders are canceled."""
        self.bot(name).stop()

    def delete_bot(self, name: str) -> None:
        """Stop a bot and forget it; what its accounts hold stays in the books."""
        self.bot(name).stop()
        del self._bots[name]
        self.venue.tape.write("bot", name, "delete")

    # -- prices

    def set_price(self, listing_id: int, row: PriceRow) -> None:
        """Set quotes, a trade and the reference price of a book by hand; see `Feed.set_price`."""
        self.feed(listing_id).set_price(row)

    def attach(self, listing_id: int, class_name: str, properties: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Give a book a source, which stands still until it is started; return the feed's status."""
        listing = self._listing(listing_id)
        cls = SOURCES.get(class_name)
        try:
            source = cls(self.venue, listing, self._files, properties or {})
        except TxTraderError:
            raise
        except Exception as error:
            raise PluginError(f"{class_name}: {type(error).__name__}: {error}") from error
        feed = self.feed(listing_id)
        feed.attach(class_name, source)
        return feed.status()

    def detach(self, listing_id: int) -> None:
        """Take a book's source, and what was set by hand, away: it follows its own path again."""
        self.feed(listing_id).detach()

    def start_source(self, listing_id: int) -> None:
        """Let the rows of a book's source come; PluginError if it failed at once."""
        feed = self._attached(listing_id)
        feed.start()
        if feed.fault:
            raise PluginError(f"the source {feed.name} failed: {feed.fault}")

    def step_source(self, listing_id: int, rows: int = 1) -> int:
        """Take so many rows now; return how many there were."""
        if rows < 0:
            raise InvalidArgument("it is below zero", path="rows")
        return self._attached(listing_id).step(rows)

    def stop_source(self, listing_id: int) -> int:
        """Let no more rows come; return how many came so far."""
        feed = self._attached(listing_id)
        feed.stop()
        return int(feed.status()["done"])

    def set_source_property(self, listing_id: int, property_name: str, value: Any) -> tuple[Any, Any]:
        """Change a property of a book's source; return the old and the new value."""
        source = self._attached(listing_id).source
        assert source is not None
        return source.properties.set(property_name, value)

    def feed(self, listing_id: int) -> Feed:
        """Return the feed of a book."""
        known = self._feeds.get(listing_id)
        if known is None:
            known = self._feeds[listing_id] = Feed(self.venue, self._listing(listing_id))
        return known

    def _attached(self, listing_id: int) -> Feed:
        feed = self.feed(listing_id)
        if feed.source is None:
            raise WrongState(f"no source is attached to {feed.listing.symbol}", path="listing_id")
        return feed

    def _listing(self, listing_id: int) -> Listing:
        listing = self.venue.instruments.get(listing_id)
        if listing is None:
            raise NotFound(f"there is no instrument {listing_id}", path="listing_id")
        return listing
