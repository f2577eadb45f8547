"""Requests about bots: seeded activity on one book."""

from __future__ import annotations

from typing import Any

from txtrader.exsim.bots import Bot
from txtrader.exsim.control.engines import Engine
from txtrader.exsim.control.kinds import ANYTHING, MAPPING, NAME, TEXT, maybe
from txtrader.exsim.control.problems import ControlError, not_found
from txtrader.exsim.control.requests import arg, request
from txtrader.exsim.control.rooms.book_room import BookRoom
from txtrader.exsim.control.world import World

__all__ = ["BotRoom"]


class BotRoom:
    """See the module.  Names of bots are common to all engines."""

    def __init__(self, world: World, books: BookRoom) -> None:
        self._world = world
        self._books = books

    @request(
        arg("name", NAME),
        arg("class", TEXT, "auto_fill, auto_partial, auto_reject, auto_cancel, noise, maker, replay ..."),
        arg("book", NAME),
        arg("engine", maybe(NAME), default=None),
        arg("properties", MAPPING, "docs/exsim-bots.md", default={}),
    )
    def create_bot(
        self, name: str, class_: str, book: str, engine: str | None, properties: dict[str, Any]
    ) -> dict[str, Any]:
        """Make a bot for a book; it does not act before it is started."""
        found = self._books.find(book, engine)
        if any(bot.name == name for one in self._world.engines.values() for bot in one.crowd.bots()):
            raise ControlError("already-exists", f"there is a bot {name} already", "name")
        found.engine.crowd.create_bot(name, class_, found.listing.id, properties)
        found.engine.classes[f"bot {name}"] = class_
        return {}

    @request(arg("name", NAME), arg("property_name", NAME), arg("value", ANYTHING), result="old, new")
    def set_bot_property(self, name: str, property_name: str, value: Any) -> dict[str, Any]:
        """Set a property of a bot."""
        old, new = self._engine(name).crowd.set_bot_property(name, property_name, value)
        return {"old": old, "new": new}

    @request(arg("name", NAME))
    def start_bot(self, name: str) -> dict[str, Any]:
        """Let a bot act."""
        self._engine(name).crowd.start_bot(name)
        self._world.events.note("bot", bot=name, what="started")
        return {}

    @request(arg("name", NAME))
    def stop_bot(self, name: str) -> dict[str, Any]:
        """Let a bot act no more; its orders are cancelled."""
        self._engine(name).crowd.stop_bot(name)
        self._world.events.note("bot", bot=name, what="stopped")
        return {}

    @request(arg("name", NAME))
    def delete_bot(self, name: str) -> dict[str, Any]:
        """Stop a bot and forget it."""
        engine = self._engine(name)
        engine.crowd.delete_bot(name)
        del engine.classes[f"bot {name}"]
        return {}

    @request(result="bots")
    def list_bots(self) -> dict[str, Any]:
        """List the bots of all engines."""
        return {"bots": [self._shown(bot) for engine in self._world.engines.values() for bot in engine.crowd.bots()]}

    @staticmethod
    def _shown(bot: Bot) -> dict[str, Any]:
        return {
            "name": bot.name,
            "book": bot.listing.local_symbol,
            "is_running": bot.is_running,
            "fault": bot.fault or None,
            "properties": bot.properties.values(),
        }

    def _engine(self, name: str) -> Engine:
        for engine in self._world.engines.values():
            if any(bot.name == name for bot in engine.crowd.bots()):
                return engine
        raise not_found("bot", name, "name")
