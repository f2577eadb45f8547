"""A whole gateway on a real journal and a memory broker, for the tests of this folder."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from txtrader.gateway.api import Gateway, GatewayOptions
from txtrader.gateway.commands import bind
from txtrader.gateway.journal import Journal
from txtrader.gateway.link import LinkOptions
from txtrader.gateway.market import MarketOptions
from txtrader.gateway.session import Session, User
from txtrader.gateway.stream import EventStream, StreamOptions
from txtrader.model.event import StatusEvent
from txtrader.model.instrument import Instrument, SecType
from txtrader.testing.adapter import MemoryAdapter
from txtrader.testing.broker import MemoryBroker

IBM = Instrument(
    symbol="IBM",
    instrument_id="8314",
    mode="memory",
    sectype=SecType.STOCK,
    currency="USD",
    exchange="SMART",
    tick=Decimal("0.01"),
)
SAP_NYSE = Instrument(symbol="SAP", instrument_id="1", mode="memory", sectype=SecType.STOCK, currency="USD")
ALICE = User(name="alice", role="admin")


def pause(seconds: float) -> Deferred[None]:
    """Let the reactor run for a while."""
    waiter: Deferred[None] = Deferred()
    reactor.callLater(seconds, waiter.callback, None)  # type: ignore[attr-defined]
    return waiter


class Room:
    """The gateway, its broker, and what was told on the stream."""

    def __init__(self, broker: MemoryBroker, journal: Journal, **options: Any) -> None:
        self.broker = broker
        self.journal = journal
        state = journal.load()
        self.stream = EventStream(journal, clock=reactor)  # type: ignore[arg-type]
        self.ended: list[str] = []
        self.gateway = Gateway(
            (broker.mode,),
            clock=reactor,  # type: ignore[arg-type]
            now_ns=time.time_ns,
            stream=self.stream,
            access=None,  # type: ignore[arg-type]  # nobody logs in here
            state=state,
            options=GatewayOptions(
                order_timeout=0.2,
                market=MarketOptions(timezone=ZoneInfo("America/New_York")),
                link=LinkOptions(unknown_quiet=0.1, reconcile_interval=0.3, reconcile_retry=0.1),
                **options,
            ),
            on_shutdown=self.ended.append,
        )
        self.link = self.gateway.links[broker.mode]
        self.adapter = MemoryAdapter(broker, self.link, reactor)  # type: ignore[arg-type]
        self.gateway.attach(broker.mode, self.adapter)
        self.events: list[StatusEvent] = []
        self.alice = self.session(ALICE)
        self.stream.subscribe(self.alice, StreamOptions(), lambda event, prev: self.events.append(event))

    def session(self, user: User) -> Session:
        return self.gateway.open_session(user, frontend="test", peer="127.0.0.1")

    def call(self, name: str, *positional: Any, session: Session | None = None, **named: Any) -> Deferred[Any]:
        return self.gateway.execute(session or self.alice, bind(name, positional, named))

    async def until(self, condition: Any, seconds: float = 5.0) -> None:
        """Wait until `condition()` holds."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not happen in time"
            await pause(0.01)

    async def up(self) -> None:
        await self.until(lambda: self.link.is_up)

    def told(self, type: str) -> list[dict[str, Any]]:
        return [dict(event.data) for event in self.events if event.type == type]


def make_broker(**options: Any) -> MemoryBroker:
    return MemoryBroker([IBM, SAP_NYSE], now_ns=time.time_ns, accounts=("DU1", "DU2"), **options)


@asynccontextmanager
async def open_room(folder: Path, broker: MemoryBroker | None = None, **options: Any) -> AsyncIterator[Room]:
    """Open a room on the journal in `folder`, with its link up; everything is closed at the end."""
    journal = Journal.open(str(folder / "journal.sqlite"), now_ns=time.time_ns)
    room = Room(broker or make_broker(), journal, **options)
    journal.start(reactor)  # type: ignore[arg-type]
    room.gateway.start()
    try:
        yield room
    finally:
        await room.gateway.stop()
        await journal.close()
