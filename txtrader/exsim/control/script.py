"""The present configuration as a script of requests: what `dump_script` answers and `run_script` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from txtrader.exsim.control.engines import BOOK_PROPERTIES, ENGINE_PROPERTIES, Engine
from txtrader.exsim.control.protocols import properties_of
from txtrader.exsim.control.requests import plain

if TYPE_CHECKING:
    from txtrader.exsim.control.world import Endpoint, World

__all__ = ["script_of"]


def script_of(world: World) -> list[dict[str, Any]]:
    """Return the requests that build what there is: properties, engines, books, endpoints, drafts."""
    steps: list[dict[str, Any]] = [
        {"type": "set_server_property", "property_name": name, "value": value}
        for name, value in world.properties.items()
    ]
    for engine in world.own_engines():
        steps += _engine(engine)
    for endpoint in world.endpoints.values():
        steps.append(_endpoint(endpoint))
    for engine in world.own_engines():
        steps += _crowd(engine)
    for name, draft in world.drafts.items():
        if draft.number is None:
            steps.append(
                {
                    "type": "create_order",
                    "order_id": name,
                    "book_name": draft.book.name,
                    "engine": draft.book.engine.name,
                    **{"order_type" if key == "type" else key: value for key, value in draft.given.items()},
                }
            )
    return steps


def _engine(engine: Engine) -> list[dict[str, Any]]:
    given = {
        name: plain(engine.values[name])
        for name, known in ENGINE_PROPERTIES.items()
        if engine.values[name] != known.default
    }
    steps: list[dict[str, Any]] = [
        {"type": "create_engine", "name": engine.name, "class": engine.class_name, "properties": given}
    ]
    for book in engine.books.values():
        more = {
            name: plain(book.values[name])
            for name, known in BOOK_PROPERTIES.items()
            if book.values[name] != known.default
        }
        steps.append({"type": "create_book", "name": book.name, "engine": engine.name, **more})
    if not engine.is_running:
        steps.append({"type": "stop_engine", "engine": engine.name})
    return steps


def _crowd(engine: Engine) -> list[dict[str, Any]]:
    """Return the requests for policies, bots and sources; they come last, since they look at what is there."""
    steps: list[dict[str, Any]] = []
    for policy in engine.venue.policies.to_list():
        rules = [
            {key: value for key, value in rule.items() if key not in ("seen", "fired")} for rule in policy["rules"]
        ]
        steps.append(
            {
                "type": "add_policy",
                "name": policy["name"],
                "engine": engine.name,
                "rules": plain(rules),
                "scope": plain(policy["scope"]),
            }
        )
    for bot in engine.crowd.bots():
        book = next(one.name for one in engine.books.values() if one.listing is bot.listing)
        steps.append(
            {
                "type": "create_bot",
                "name": bot.name,
                "class": engine.classes[f"bot {bot.name}"],
                "book": book,
                "engine": engine.name,
                "properties": {
                    key: plain(value) for key, value in bot.properties.values().items() if value is not None
                },
            }
        )
        if bot.is_running:
            steps.append({"type": "start_bot", "name": bot.name})
    for book in engine.books:
        if (source := engine.classes.get(f"source {book}")) is None:
            continue
        feed = engine.crowd.feed(engine.books[book].listing.id)
        assert feed.source is not None
        properties = feed.source.properties.values()
        steps.append(
            {
                "type": "attach_pricing",
                "book": book,
                "engine": engine.name,
                "source": source,
                "properties": {key: plain(value) for key, value in properties.items() if value is not None},
            }
        )
    return steps


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    properties = {name: value for name, value in endpoint.properties.items() if value is not None}
    if endpoint.protocol is not None:
        known = properties_of(endpoint.protocol)
        properties |= {
            name: plain(value) for name, value in endpoint.protocol_properties.items() if value != known[name].default
        }
    return {
        "type": "create_endpoint",
        "name": endpoint.name,
        "engine": endpoint.engine.name if endpoint.engine is not None else None,
        "protocol": endpoint.protocol,
        "port": endpoint.port,
        "interface": endpoint.interface,
        "properties": properties,
    }
