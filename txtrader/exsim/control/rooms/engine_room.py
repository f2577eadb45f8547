"""Requests about engines."""

from __future__ import annotations

from typing import Any

from txtrader.exsim.control.engines import ENGINE_PROPERTIES, Book, Engine, engine_class
from txtrader.exsim.control.kinds import ANYTHING, FLAG, MAPPING, NAME, TEXT, choice, maybe
from txtrader.exsim.control.problems import ControlError
from txtrader.exsim.control.requests import arg, read_property, request
from txtrader.exsim.control.world import World
from txtrader.exsim.phases import WrongPhase, check_move
from txtrader.exsim.records import Phase

__all__ = ["EngineRoom"]

_PHASES = choice({str(phase): phase for phase in Phase})


class EngineRoom:
    """See the module."""

    def __init__(self, world: World) -> None:
        self._world = world

    @request(
        arg("name", NAME),
        arg("class", TEXT, "one of ours, or one that was loaded or registered", default="default"),
        arg("properties", MAPPING, "to begin with", default={}),
        result="name, class",
    )
    def create_engine(self, name: str, class_: str, properties: dict[str, Any]) -> dict[str, Any]:
        """Make a venue with no instrument in it; it runs at once."""
        world = self._world
        if name in world.engines:
            raise ControlError("already-exists", f"there is an engine {name} already", "name")
        made = engine_class(class_)
        try:
            world.engines[name] = made(
                name,
                class_,
                clock=world.clock,
                now_ns=world.now_ns,
                seed=world.seed,
                tape=world.tape,
                events=world.events,
                given=properties,
                session_of=world.session_named,
                data_folder=world.data_folder,
            )
        except ControlError:
            raise
        except Exception as error:
            if made is Engine:
                raise
            raise ControlError("plugin-error", f"{class_}: {type(error).__name__}: {error}", "class") from None
        return {"name": name, "class": class_}

    @request(arg("name", NAME), arg("force", FLAG, "with everything that depends on it", default=False))
    async def delete_engine(self, name: str, force: bool) -> dict[str, Any]:
        """Delete an engine; with books or endpoints only by force: then orders leave with unsolicited cancels."""
        world = self._world
        engine = world.engine(name)
        if engine not in world.own_engines():
            raise ControlError("unsupported", f"engine {name} is the daemon's own", "name")
        endpoints = world.endpoints_of(engine)
        if (engine.books or endpoints) and not force:
            raise ControlError("in-use", f"engine {name} has books or endpoints", "name")
        for book in list(engine.books.values()):
            engine.delete_book(book)
        for endpoint in endpoints:
            await world.remove_endpoint(endpoint)
        engine.stop()
        del world.engines[name]
        return {}

    @request(arg("engine_name", NAME), arg("property_name", NAME), arg("value", ANYTHING), result="old, new")
    def set_engine_property(self, engine_name: str, property_name: str, value: Any) -> dict[str, Any]:
        """Set a property of an engine."""
        engine = self._world.engine(engine_name)
        new = read_property(ENGINE_PROPERTIES, property_name, value)
        old = engine.values[property_name]
        if ENGINE_PROPERTIES[property_name].is_fixed and new != old:
            raise ControlError("wrong-state", f"{property_name} is given when the engine is made", "property_name")
        engine.values[property_name] = new
        if property_name in engine.properties:
            engine.properties[property_name] = new
            self._world.apply_properties()
        return {"old": old, "new": new}

    @request(arg("engine_name", NAME), arg("property_name", NAME), result="value")
    def get_engine_property(self, engine_name: str, property_name: str) -> dict[str, Any]:
        """Read a property of an engine."""
        engine = self._world.engine(engine_name)
        if property_name not in ENGINE_PROPERTIES:
            raise ControlError("invalid-argument", f"there is no property {property_name}", "property_name")
        return {"value": engine.values[property_name]}

    @request(arg("engine", NAME))
    def start_engine(self, engine: str) -> dict[str, Any]:
        """Let a stopped engine take orders again."""
        self._world.engine(engine).set_running(True)
        return {}

    @request(arg("engine", NAME))
    def stop_engine(self, engine: str) -> dict[str, Any]:
        """Refuse new orders as closed; sessions stay, cancels work."""
        self._world.engine(engine).set_running(False)
        return {}

    @request(result="engines")
    def list_engines(self) -> dict[str, Any]:
        """List the engines."""
        return {"engines": [self._shown(engine) for engine in self._world.engines.values()]}

    @request(arg("engine", NAME), result="name, class, books, endpoints, phases, counters")
    def get_engine(self, engine: str) -> dict[str, Any]:
        """Tell everything about an engine."""
        return self._shown(self._world.engine(engine))

    def _shown(self, engine: Engine) -> dict[str, Any]:
        return {
            "name": engine.name,
            "class": engine.class_name,
            "is_running": engine.is_running,
            "books": {name: str(engine.venue.phase(book.listing.id)) for name, book in engine.books.items()},
            "endpoints": [endpoint.name for endpoint in self._world.endpoints_of(engine)],
            "orders": len(engine.venue.live_orders()),
            "properties": dict(engine.values),
        }

    @request(
        arg("engine", NAME),
        arg("book", maybe(NAME), "null: all", default=None),
        arg("phase", _PHASES),
        result="books that changed",
    )
    def set_phase(self, engine: str, book: str | None, phase: Phase) -> dict[str, Any]:
        """Move a book, or all, to another phase of trading."""
        return {"books": self._move(self._world.engine(engine), book, phase)}

    @request(arg("engine", NAME), arg("book", maybe(NAME), default=None), result="books that changed")
    def halt(self, engine: str, book: str | None) -> dict[str, Any]:
        """Stop trading at once; what is taken meanwhile is the property halt_accepts."""
        return {"books": self._move(self._world.engine(engine), book, Phase.HALT)}

    @request(
        arg("engine", NAME),
        arg("book", maybe(NAME), default=None),
        arg("via", maybe(choice(("direct", "auction"))), "null: as the property resume says", default=None),
        result="books that changed",
    )
    def resume(self, engine: str, book: str | None, via: str | None) -> dict[str, Any]:
        """Let a halted book trade again, at once or after a reopening auction."""
        found = self._world.engine(engine)
        books = [one for one in self._chosen(found, book) if found.venue.phase(one.listing.id) is Phase.HALT]
        by_auction = None if via is None else via == "auction"
        for one in books:
            found.venue.resume(one.listing.id, by_auction=by_auction)
        return {"books": [one.name for one in books]}

    def _chosen(self, engine: Engine, name: str | None) -> list[Book]:
        return list(engine.books.values()) if name is None else [engine.book(name)]

    def _move(self, engine: Engine, name: str | None, phase: Phase) -> list[str]:
        venue = engine.venue
        changed = [one for one in self._chosen(engine, name) if venue.phase(one.listing.id) is not phase]
        try:
            for one in changed:
                check_move(venue.phase(one.listing.id), phase, one.name)
        except WrongPhase as error:
            raise ControlError("wrong-state", str(error), "phase") from None
        for one in changed:
            venue.set_phase(one.listing.id, phase)
        return [one.name for one in changed]

    @request(arg("engine", NAME), result="expired, carried")
    def end_of_day(self, engine: str) -> dict[str, Any]:
        """End the day: DAY orders expire, others are carried over."""
        ended = self._world.engine(engine).venue.end_of_day()
        return {"expired": ended.expired, "carried": ended.carried}
