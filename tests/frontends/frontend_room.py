"""A whole gateway on a real journal and a memory broker, with front ends on real loopback sockets."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from txtrader.errors import Unauthenticated
from txtrader.frontends import make_frontends
from txtrader.gateway.api import Gateway, GatewayOptions
from txtrader.gateway.journal import Journal
from txtrader.gateway.link import LinkOptions
from txtrader.gateway.market import MarketOptions
from txtrader.gateway.session import Session, User
from txtrader.gateway.stream import EventStream
from txtrader.model.instrument import Instrument, SecType
from txtrader.net.pump import Pump
from txtrader.settings import Settings
from txtrader.testing.adapter import MemoryAdapter
from txtrader.testing.broker import MemoryBroker
from txtrader.wire.line import LineSession

IBM = Instrument(
    symbol="IBM",
    instrument_id="8314",
    mode="memory",
    sectype=SecType.STOCK,
    currency="USD",
    exchange="SMART",
    tick=Decimal("0.01"),
)
MSFT = Instrument(
    symbol="MSFT", instrument_id="272093", mode="memory", sectype=SecType.STOCK, currency="USD", tick=Decimal("0.01")
)
USERS = {
    "alice": ("wonderland", User(name="alice", role="admin")),
    "bob": ("builder", User(name="bob", role="trade", accounts=frozenset({"DU2"}))),
    "victor": ("viewer", User(name="victor", role="view")),
}


class Access:
    """Who may log in, without the half second that a real hash takes."""

    def __init__(self) -> None:
        self.delay = 0.0

    def authenticate(self, name: str, password: str, peer: str) -> Deferred[User]:
        known = USERS.get(name)
        if known is None or known[0] != password:
            return fail(Unauthenticated("the user name or the password is wrong"))
        if self.delay:
            return deferLater(reactor, self.delay, lambda: known[1])
        return succeed(known[1])


class Client:
    """One connection: lines as they come, events kept apart if asked."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.is_closed = False
        self._waiting: Deferred[None] | None = None
        self.pump = Pump(LineSession(1 << 26), reactor, self._take, self._lost)

    def _take(self, line: Any) -> None:
        self.lines.append(line)
        self._wake()

    def _lost(self, reason: Failure) -> None:
        self.is_closed = True
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def send(self, *lines: str) -> None:
        for line in lines:
            self.pump.send(line)

    async def line(self, wanted: Callable[[str], object] = lambda line: True) -> str:
        """Take the next line that is wanted out of what has come, waiting for it."""
        while True:
            for index, line in enumerate(self.lines):
                if wanted(line):
                    return self.lines.pop(index)
            if self.is_closed:
                raise EOFError(f"closed; there were {self.lines[-5:]}")
            self._waiting = Deferred()
            self._waiting.addTimeout(10, reactor)
            await self._waiting

    async def starting(self, prefix: str) -> str:
        """Take the next line with this beginning; return what follows it."""
        return (await self.line(lambda line: line.startswith(prefix)))[len(prefix) :]

    async def ask(self, command: str) -> str:
        """Send a command under a tag; return its reply without the tag."""
        self.send(f"@q {command}")
        return await self.starting("@q ")

    async def json(self, prefix: str) -> Any:
        return json.loads(await self.starting(prefix), parse_float=Decimal)

    async def closed(self) -> list[str]:
        """Wait for the end; return the lines that were not taken."""
        while not self.is_closed:
            self._waiting = Deferred()
            self._waiting.addTimeout(10, reactor)
            await self._waiting
        return self.lines


class Room:
    """Gateway, broker and front ends."""

    def __init__(self, folder: Path, broker: MemoryBroker, **settings: Any) -> None:
        self.broker = broker
        self.access = Access()
        self.settings = Settings.load({}, strict=False, listens=False).replace(
            http_port=0, tcp_port=0, host="127.0.0.1", **settings
        )
        self.journal = Journal.open(str(folder / "journal.sqlite"), now_ns=time.time_ns)
        state = self.journal.load()
        self.stream = EventStream(self.journal, clock=reactor)
        self.ended: list[str] = []
        self.gateway = Gateway(
            (broker.mode,),
            clock=reactor,
            now_ns=time.time_ns,
            stream=self.stream,
            access=self.access,
            state=state,
            options=GatewayOptions(
                order_timeout=0.3,
                market=MarketOptions(timezone=ZoneInfo("America/New_York")),
                link=LinkOptions(unknown_quiet=0.1, reconcile_interval=10, reconcile_retry=0.1),
            ),
            on_shutdown=self.ended.append,
        )
        self.link = self.gateway.links[broker.mode]
        self.adapter = MemoryAdapter(broker, self.link, reactor)
        self.gateway.attach(broker.mode, self.adapter)
        self.frontends = {frontend.name: frontend for frontend in make_frontends(self.gateway, self.settings, reactor)}
        self.ports: dict[str, int] = {}
        self.clients: list[Client] = []
        self.trader: Session | None = None  # for orders that no client makes

    async def connect(self) -> Client:
        """Connect; the greeting is not taken yet."""
        client = Client()
        self.clients.append(client)
        factory = Factory.forProtocol(lambda: client.pump)
        factory.noisy = False
        await TCP4ClientEndpoint(reactor, "127.0.0.1", self.ports["tcp"]).connect(factory)
        return client

    async def log_in(self, options: Any = "", user: str = "alice") -> Client:
        """Connect and log in; greeting and answer are taken."""
        client = await self.connect()
        await client.starting(".connected: ")
        text = options if isinstance(options, str) else json.dumps(options)
        client.send(f"auth {user} {USERS[user][0]} {text}".rstrip())
        await client.starting(".Authorized ")
        return client

    async def until(self, condition: Callable[[], object]) -> None:
        end = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < end, "it did not happen within 10 s"
            await deferLater(reactor, 0.002, lambda: None)


def make_broker(accounts: tuple[str, ...] = ("DU1", "DU2")) -> MemoryBroker:
    return MemoryBroker([IBM, MSFT], now_ns=time.time_ns, accounts=accounts)


@asynccontextmanager
async def open_room(folder: Path, broker: MemoryBroker | None = None, **settings: Any) -> AsyncIterator[Room]:
    """Open a room on the journal in `folder`, its link up and its front ends listening."""
    room = Room(folder, broker or make_broker(), **settings)
    room.journal.start(reactor)
    room.gateway.start()
    for name, frontend in room.frontends.items():
        room.ports[name] = await frontend.start()
    try:
        await room.until(lambda: room.link.is_up)
        await room.journal.barrier()  # what was published on the way is told: tests begin in silence
        yield room
    finally:
        await room.gateway.stop()
        for frontend in room.frontends.values():
            await frontend.stop()
        for client in room.clients:
            client.pump.abort()
            await client.closed()
        await room.journal.close()
