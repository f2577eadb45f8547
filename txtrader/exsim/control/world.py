"""What the control keeps: engines with their books, endpoints with their sessions, messages, drafts, and the clock.

Requests (the rooms beside this one) read and change it; nothing here speaks the management protocol.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.exsim.control.drafts import Draft
from txtrader.exsim.control.engines import Engine
from txtrader.exsim.control.events import Events
from txtrader.exsim.control.problems import ControlError, not_found
from txtrader.exsim.control.wires import Link, Record, Wire
from txtrader.exsim.tape import Tape
from txtrader.exsim.venue import Venue
from txtrader.net.clock import SteppedReactor

__all__ = ["AUTO", "ClientSession", "Endpoint", "World"]

VIRTUAL_START = int(datetime(2026, 1, 5, 15, 0, tzinfo=UTC).timestamp()) * 1_000_000_000
"""When a virtual clock starts unless it is told: a Monday, half an hour after New York has opened."""

AUTO = ("auto_accept", "auto_receive", "auto_match")
MOST_QUEUED = 10_000
MOST_QUEUED_BYTES = 16 << 20


class ClientSession:
    """One accepted connection of an endpoint's client, with the messages that wait to be taken."""

    def __init__(self, name: str, endpoint: Endpoint, link: Link) -> None:
        self.name = name
        self.endpoint = endpoint
        self.link = link
        self.is_claimed = False
        self.is_frozen = False
        self.properties: dict[str, Any] = {}
        self.queue: deque[Record] = deque()
        self.queued_bytes = 0
        self.received = 0
        self.sent = 0
        self.last_time = 0

    def put(self, record: Record) -> None:
        """Let a message wait; at the bound nothing more is read from the connection."""
        self.queue.append(record)
        self.queued_bytes += len(record.raw)
        if len(self.queue) >= MOST_QUEUED or self.queued_bytes >= MOST_QUEUED_BYTES:
            self.link.freeze(True)

    def take(self, types: tuple[str, ...] | None) -> Record | None:
        """Take the oldest message (of some types), None when there is none."""
        for place, record in enumerate(self.queue):
            if types is None or record.type in types:
                was_full = len(self.queue) >= MOST_QUEUED or self.queued_bytes >= MOST_QUEUED_BYTES
                del self.queue[place]
                self.queued_bytes -= len(record.raw)
                if was_full and not self.is_frozen and self.link.is_open:
                    self.link.freeze(False)
                return record
        return None


class Endpoint:
    """One listening port of an engine; without engine or protocol its connections wait."""

    def __init__(self, name: str, world: World) -> None:
        self.name = name
        self.world = world
        self.engine: Engine | None = None
        self.protocol: str | None = None
        self.wire: Wire | None = None
        self.port = 0
        self.interface = "127.0.0.1"
        self.paused: str | None = None
        self.properties: dict[str, Any] = {}
        self.protocol_properties: dict[str, Any] = {}
        self.waiting: list[Link] = []
        self.accepted = 0

    # -- what the wire tells

    def connected(self, link: Link) -> bool:
        """Take a new connection; one that has to wait is held."""
        if self.world.auto("auto_accept", self.engine, self):
            self.accept(link)
            return False
        self.waiting.append(link)
        self.world.changed()
        return True

    def accept(self, link: Link, name: str | None = None) -> ClientSession:
        """Make a connection a session."""
        self.accepted += 1
        while name is None:
            name = f"{self.name}-{self.accepted}"
            if name in self.world.sessions:
                self.accepted += 1
                name = None
        session = ClientSession(name, self, link)
        self.world.sessions[name] = session
        self.world.events.note("session", endpoint=self.name, session=name, what="accepted")
        self.world.changed()
        return session

    def received(self, link: Link, record: Record) -> bool:
        session = self.world.session_of(link)
        if session is None:
            return False
        session.received += 1
        session.last_time = record.time
        self.world.tape.write("in", session.name, record.type, record.raw.decode("latin-1"))
        engine = self.engine
        if self.world.auto("auto_receive", engine, self, session) and engine is not None and not engine.is_silent:
            return False
        if engine is None or not engine.is_silent:
            session.put(record)
            self.world.changed()
        return True

    def changed(self, link: Link, what: str) -> None:
        session = self.world.session_of(link)
        self.world.events.note(
            "session",
            endpoint=self.name,
            session=session.name if session is not None else None,
            what=what,
            who=link.who,
        )
        self.world.changed()

    def lost(self, link: Link) -> None:
        if link in self.waiting:
            self.waiting.remove(link)
        session = self.world.session_of(link)
        if session is not None:
            why = {"why": link.why} if link.why else {}
            self.world.events.note(
                "session", endpoint=self.name, session=session.name, what="gone", who=link.who, **why
            )
        self.world.changed()


class World:
    """See the module.

    `reactor` does the sockets.  With `is_virtual` time stands until it is advanced; it starts at `start_ns` (integer
    nanoseconds UTC).  Tapes are saved below `tape_folder`, files of sources and bots are below `data_folder`.  Requests
    may load classes from the modules `plugins`, and from what is below them.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        *,
        name: str = "default",
        seed: int = 1,
        is_virtual: bool = False,
        is_managed: bool = False,
        start_ns: int = VIRTUAL_START,
        tape_folder: str | None = None,
        data_folder: str | None = None,
        plugins: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.reactor = reactor
        self.seed = seed
        self.is_virtual = is_virtual
        self.tape_folder = tape_folder
        self.data_folder = data_folder
        self.plugins = tuple(plugins)
        self._start_ns = start_ns
        self._begin()
        self.properties: dict[str, Any] = dict.fromkeys(AUTO, not is_managed)
        self.engines: dict[str, Engine] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self.sessions: dict[str, ClientSession] = {}
        self.messages: dict[str, Record] = {}
        self.drafts: dict[str, Draft] = {}
        self.owners: dict[str, str] = {}  # of a taken message: the session it came from, or is meant for
        self._incidents = 0
        self._adopted: list[str] = []
        self._will_look = False
        self._watchers: list[Callable[[], None]] = []

    def _begin(self) -> None:
        """Set clock, tape and events to where they are at first."""
        self.stepped = SteppedReactor(self.reactor, epoch_ns=self._start_ns) if self.is_virtual else None
        self.clock: Any = self.reactor if self.stepped is None else self.stepped
        self.now_ns: Callable[[], int] = time.time_ns if self.stepped is None else self.stepped.now_ns
        self.tape = Tape(self.now_ns)
        self.events = Events(self.now_ns)
        self.events.on_event = self.changed

    # -- names

    def engine(self, name: str) -> Engine:
        """Return an engine.  Raises ControlError `not-found`, as all of these."""
        if name not in self.engines:
            raise not_found("engine", name)
        return self.engines[name]

    def adopt(self, name: str, venue: Venue) -> None:
        """Take a venue that runs as an engine; it ends with its own maker."""
        self._adopted.append(name)
        self.engines[name] = Engine(
            name,
            "default",
            clock=self.clock,
            now_ns=self.now_ns,
            seed=self.seed,
            tape=venue.tape,
            events=self.events,
            given={"account": venue.accounts()[0]},
            session_of=self.session_named,
            venue=venue,
            data_folder=self.data_folder,
        )

    def endpoint(self, name: str) -> Endpoint:
        if name not in self.endpoints:
            raise not_found("endpoint", name)
        return self.endpoints[name]

    def session(self, name: str) -> ClientSession:
        if name not in self.sessions:
            raise not_found("session", name)
        return self.sessions[name]

    def message(self, name: str) -> Record:
        if name not in self.messages:
            raise not_found("message", name)
        return self.messages[name]

    def keep_message(self, name: str, record: Record, owner: str = "") -> None:
        """Keep a message under a new name.  Raises ControlError `already-exists`."""
        if name in self.messages:
            raise ControlError("already-exists", f"there is a message {name} already", "message")
        self.messages[name] = record
        self.owners[name] = owner

    def session_of(self, link: Link) -> ClientSession | None:
        """Return the session of a connection, None for one that waits."""
        for session in self.sessions.values():
            if session.link is link:
                return session
        return None

    def session_named(self, owner: str) -> str | None:
        """Return the name of the open session whose client is a participant, None where it is away."""
        for session in self.sessions.values():
            if session.link.owner == owner and session.link.is_open:
                return session.name
        return None

    def own_engines(self) -> list[Engine]:
        """List the engines that requests have made."""
        return [engine for name, engine in self.engines.items() if name not in self._adopted]

    def sessions_of(self, endpoint: Endpoint) -> list[ClientSession]:
        return [session for session in self.sessions.values() if session.endpoint is endpoint]

    def endpoints_of(self, engine: Engine) -> list[Endpoint]:
        return [endpoint for endpoint in self.endpoints.values() if endpoint.engine is engine]

    def auto(
        self, name: str, engine: Engine | None, endpoint: Endpoint | None = None, session: ClientSession | None = None
    ) -> bool:
        """Return one of the `auto_` properties; the nearest setting wins."""
        for place in (session, endpoint, engine, self):
            if place is not None and (found := place.properties.get(name)) is not None:
                return bool(found)
        raise AssertionError(name)

    # -- waiting

    def changed(self) -> None:
        """Let whoever waits for something look again, once what is being done is done."""
        if self._watchers and not self._will_look:
            self._will_look = True
            self.reactor.callLater(0, self._look)

    def _look(self) -> None:
        self._will_look = False
        for look in tuple(self._watchers):
            look()

    def when(
        self,
        found: Callable[[], dict[str, Any] | None],
        seconds: float,
        timeout: Callable[[], dict[str, Any] | Exception],
    ) -> Deferred[dict[str, Any]]:
        """Fire with what `found` returns once that is not None; after some seconds of the real clock with `timeout`.

        A ControlError that `found` raises ends the waiting.
        """
        done: Deferred[dict[str, Any]] = Deferred(lambda _: stop())

        def stop() -> None:
            if look in self._watchers:
                self._watchers.remove(look)
            if timer is not None and timer.active():
                timer.cancel()

        def look() -> None:
            try:
                value = found()
            except ControlError as error:
                stop()
                done.errback(error)
                return
            if value is not None:
                stop()
                done.callback(value)

        def over() -> None:
            stop()
            answer = timeout()
            if isinstance(answer, Exception):
                done.errback(answer)
            else:
                done.callback(answer)

        timer = None
        look()
        if done.called:
            return done
        if seconds <= 0:
            over()
            return done
        self._watchers.append(look)
        timer = self.reactor.callLater(seconds, over)
        return done

    def apply_properties(self) -> None:
        """Do what follows from changed `auto_` properties: books match, and connections that wait are let in."""
        for engine in self.own_engines():
            for book in engine.books.values():
                book.match_by(self.properties["auto_match"])
        for endpoint in self.endpoints.values():
            while endpoint.waiting and self.auto("auto_accept", endpoint.engine, endpoint):
                link = endpoint.waiting.pop(0)
                endpoint.accept(link)
                link.admit()
        self.changed()

    def report_bug(self, failure: Failure) -> str:
        """Log an exception that should not have been; return the id under which it is found."""
        self._incidents += 1
        incident = f"{self.name}-{self._incidents}"
        self._log.failure("incident {incident}", failure, incident=incident)
        return incident

    # -- the end

    async def remove_endpoint(self, endpoint: Endpoint) -> None:
        """Close and forget an endpoint with its sessions."""
        if endpoint.wire is not None:
            await endpoint.wire.stop()
        for session in self.sessions_of(endpoint):
            del self.sessions[session.name]
        del self.endpoints[endpoint.name]

    async def clear(self) -> None:
        """Forget everything: endpoints, engines, messages, drafts; ids begin again."""
        for endpoint in list(self.endpoints.values()):
            await self.remove_endpoint(endpoint)
        for name, engine in list(self.engines.items()):
            if name not in self._adopted:
                engine.stop()
                del self.engines[name]
        self.messages.clear()
        self.owners.clear()
        self.drafts.clear()
        self._begin()

    def stop_own(self) -> Deferred[list[None]]:
        """Close every endpoint, and stop the engines that were not adopted."""
        for name in self._adopted:
            self.engines.pop(name).crowd.stop()
        return self.stop()

    def stop(self) -> Deferred[list[None]]:
        """Close every endpoint and stop every engine."""
        wires = [endpoint.wire for endpoint in self.endpoints.values() if endpoint.wire is not None]
        for engine in self.engines.values():
            engine.stop()
        self.tape.flush()
        return gatherResults([wire.stop() for wire in wires])
