"""Requests to the server as a whole: time, events, tape, scripts, reset, the end."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from txtrader.exsim.control.events import KINDS
from txtrader.exsim.control.kinds import FLAG, INSTANT, NAME, RECORDS, SECONDS, WHOLE, WORDS, maybe
from txtrader.exsim.control.problems import ControlError
from txtrader.exsim.control.requests import arg, request
from txtrader.exsim.control.script import script_of
from txtrader.exsim.control.world import AUTO, World

__all__ = ["ServerRoom"]


class ServerRoom:
    """See the module.

    `run` executes one request of a script and answers its reply; `leave` ends the process after the reply has left.
    """

    def __init__(
        self, world: World, run: Callable[[dict[str, Any]], Deferred[dict[str, Any]]], leave: Callable[[], None]
    ) -> None:
        self._world = world
        self._run = run
        self._leave = leave

    @request(result="time, and how many sessions, books, orders and queued messages there are")
    def ping(self) -> dict[str, Any]:
        """Say that the server is there."""
        world = self._world
        return {
            "time": world.now_ns(),
            "sessions": sum(session.link.is_open for session in world.sessions.values()),
            "books": sum(len(engine.books) for engine in world.engines.values()),
            "orders": sum(len(engine.venue.live_orders()) for engine in world.engines.values()),
            "queued": sum(len(session.queue) for session in world.sessions.values()),
        }

    @request(arg("keep", WORDS, "of endpoints, engines: these stay, emptied", default=()))
    async def reset(self, keep: tuple[str, ...]) -> dict[str, Any]:
        """Begin again: sessions are closed, orders and queues dropped, ids and random numbers back at the seed."""
        for word in keep:
            if word not in ("endpoints", "engines"):
                raise ControlError("invalid-argument", "keep: endpoints, engines", "keep")
        world = self._world
        script = script_of(world)
        kept = {"create_endpoint", "create_engine", "create_book"} if "endpoints" in keep else set()
        kept |= {"create_engine", "create_book"} if "engines" in keep else set()
        await world.clear()
        for step in script:
            if step["type"] in kept or step["type"] == "set_server_property":
                await self._run(step)
        return {}

    @request()
    def shutdown(self) -> dict[str, Any]:
        """End the server: the reply first, then it stops listening, closes sessions and exits with 0."""
        self._leave()
        return {}

    @request(
        arg("requests", RECORDS, "each as it would be sent, without an id"),
        result="replies; index, the first that failed, or null",
    )
    async def run_script(self, requests: list[dict[str, Any]]) -> dict[str, Any]:
        """Execute requests one after the other, as a file of them would be; it stops at the first that fails."""
        replies: list[dict[str, Any]] = []
        for index, step in enumerate(requests):
            if step.get("type") in ("run_script", "hello", "shutdown"):
                raise ControlError("invalid-argument", f"a script holds no {step['type']}", "requests", index=index)
            reply = await self._run(step)
            replies.append(reply)
            if not reply["result"]:
                return {"replies": replies, "index": index}
        return {"replies": replies, "index": None}

    @request(result="requests")
    def dump_script(self) -> dict[str, Any]:
        """Tell the requests that build the present configuration again: run_script takes them."""
        return {"requests": script_of(self._world)}

    @request(
        arg("after", WHOLE, "the last number seen", default=0),
        arg("max", WHOLE, "at most so many", default=1000),
        arg("wait", SECONDS, "for how long one is waited for, where there is none", default=0.0),
        arg("kinds", maybe(WORDS), "only these; null: all", default=None),
        result="events; next, the number to go on from; missed, how many were no longer kept",
    )
    def get_events(
        self, after: int, max: int, wait: float, kinds: tuple[str, ...] | None
    ) -> dict[str, Any] | Deferred[dict[str, Any]]:
        """Read the numbered log of what happened."""
        for kind in kinds or ():
            if kind not in KINDS:
                raise ControlError("invalid-argument", f"kinds: there are {', '.join(KINDS)}", "kinds")
        events = self._world.events

        def look() -> dict[str, Any] | None:
            found, reached, missed = events.since(after, min(max, 5000), kinds)
            if not found and not missed:
                return None
            return {"events": found, "next": reached, "missed": missed}

        def nothing() -> dict[str, Any]:
            _, reached, missed = events.since(after, 0, kinds)
            return {"events": [], "next": reached, "missed": missed}

        now = look()
        if now is not None or wait <= 0:
            return now if now is not None else nothing()
        return self._world.when(look, wait, nothing)

    @request(
        arg("after", WHOLE, "the last number seen", default=0),
        arg("max", WHOLE, "at most so many", default=1000),
        result="records of [number, time, kind, ...]; next; digest, of all bytes so far",
    )
    def get_tape(self, after: int, max: int) -> dict[str, Any]:
        """Read the tape: everything received, decided and sent, in order."""
        tape = self._world.tape
        records = tape.since(after, min(max, 5000))
        return {
            "records": [list(record) for record in records],
            "next": records[-1][0] if records else after,
            "digest": tape.digest(),
        }

    @request(arg("name", NAME, "the file's name, below the server's tape folder"), result="path, records, digest")
    def save_tape(self, name: str) -> dict[str, Any]:
        """Write the tape, one JSON array a line."""
        world = self._world
        if world.tape_folder is None:
            raise ControlError("unsupported", "the server was started without a folder for tapes", "name")
        if name.startswith("."):
            raise ControlError("invalid-argument", "name: a file's name", "name")
        path = os.path.join(world.tape_folder, name)
        with open(path, "wb") as file:
            file.writelines(world.tape.lines())
        return {"path": path, "records": world.tape.count, "digest": world.tape.digest()}

    @request(result="time (ns UTC), seconds since the start, is_virtual")
    def get_time(self) -> dict[str, Any]:
        """Tell the server's clock."""
        world = self._world
        return {"time": world.now_ns(), "seconds": f"{world.clock.seconds():.9f}", "is_virtual": world.is_virtual}

    @request(
        arg("seconds", maybe(SECONDS), "by how much", default=None),
        arg("until", maybe(INSTANT), "or to which instant, ns UTC", default=None),
        result="time; fired, how many timers ran",
    )
    def advance_time(self, seconds: float | None, until: int | None) -> dict[str, Any]:
        """Move a virtual clock: what falls due runs in its order, each at its own time."""
        stepped = self._world.stepped
        if stepped is None:
            raise ControlError("unsupported", "the server runs on the real clock", "seconds")
        if (seconds is None) == (until is None):
            raise ControlError("invalid-argument", "either seconds or until is expected", "seconds")
        if until is not None:
            seconds = (until - stepped.now_ns()) / 1e9
            if seconds < 0:
                raise ControlError("invalid-argument", "until: that is over", "until")
        assert seconds is not None
        fired = stepped.advance(seconds)
        return {"time": stepped.now_ns(), "fired": fired}

    @request(arg("property_name", NAME), arg("value", maybe(FLAG)), result="old, new")
    def set_server_property(self, property_name: str, value: Any) -> dict[str, Any]:
        """Set what holds where engine, endpoint and session say nothing: auto_accept, auto_receive, auto_match."""
        if property_name not in AUTO or value is None:
            raise ControlError("invalid-argument", f"there are {', '.join(AUTO)}", "property_name")
        old = self._world.properties[property_name]
        self._world.properties[property_name] = value
        self._world.apply_properties()
        return {"old": old, "new": value}
