"""A whole gateway on a broker in memory: for tests of strategies, and for measuring the gateway without a broker.

    gateway = MemoryGateway(reactor, folder, broker)
    await gateway.start()
    session = gateway.session()
    record = await gateway.call(session, "limit_order", "IBM", "99.50", 100)
    gateway.broker.fill(record["id"])
    await gateway.stop()

Journal, event stream and access are the real ones; with `settings` the real front ends can be put before it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool

from txtrader.frontends.base import Shared
from txtrader.gateway.access import Access
from txtrader.gateway.api import Gateway, GatewayOptions
from txtrader.gateway.commands import bind
from txtrader.gateway.journal import Journal
from txtrader.gateway.session import Session, User
from txtrader.gateway.stream import EventStream
from txtrader.settings import Settings
from txtrader.testing.adapter import MemoryAdapter
from txtrader.testing.broker import MemoryBroker

__all__ = ["PASSWORD", "USER", "MemoryGateway"]

USER = "tester"
PASSWORD = "only-in-memory-4711"


class MemoryGateway:
    """See the module.  `folder` holds the journal; `settings` are TXTRADER_ keys without the prefix."""

    def __init__(
        self,
        reactor: Any,
        folder: Path,
        broker: MemoryBroker,
        *,
        options: GatewayOptions | None = None,
        **settings: object,
    ) -> None:
        self.broker = broker
        environ = {
            "TXTRADER_DATA_DIR": str(folder),
            "TXTRADER_HOST": "127.0.0.1",
            "TXTRADER_TCP_PORT": "0",
            "TXTRADER_HTTP_PORT": "0",
            "TXTRADER_USERNAME": USER,
            "TXTRADER_PASSWORD": PASSWORD,
            "TXTRADER_USER_ROLE": "admin",
            **{f"TXTRADER_{key}": str(value) for key, value in settings.items()},
        }
        self.settings = Settings.load(environ)
        self.journal = Journal.open(str(folder / "journal.sqlite3"), now_ns=broker.now_ns)
        self._state = self.journal.load()
        self._reactor = reactor
        self._stopped: list[str] = []
        self.stream = EventStream(self.journal, clock=reactor, now_ns=broker.now_ns)
        self.access = Access.open(
            clock=reactor, in_thread=self._in_thread, username=USER, password=PASSWORD, role="admin"
        )
        self.gateway = Gateway(
            (broker.mode,),
            clock=reactor,
            now_ns=broker.now_ns,
            stream=self.stream,
            access=self.access,
            state=self._state,
            options=options or GatewayOptions(),
            on_shutdown=self._stopped.append,
        )
        self.adapter = MemoryAdapter(broker, self.gateway.links[broker.mode], reactor)
        self.gateway.attach(broker.mode, self.adapter)
        self.shared = Shared(self.gateway, self.settings, reactor, broker.now_ns)

    def start(self) -> Deferred[None]:
        """Start everything; fires when the gate is open."""
        self.journal.start(self._reactor)
        self.gateway.start()
        return self.until(lambda: self.gateway.links[self.broker.mode].is_up)

    async def stop(self) -> None:
        """Stop everything; nothing is left ticking."""
        await self.gateway.stop()
        await self.journal.close()

    def session(self, *, role: str = "admin", name: str = USER) -> Session:
        """Open a session of a user."""
        return self.gateway.open_session(User(name=name, role=role), frontend="test", peer="test")

    def call(self, session: Session, operation: str, *positional: Any, **options: Any) -> Deferred[Any]:
        """Run an operation as a front end does."""
        return self.gateway.execute(session, bind(operation, positional, options))

    def until(self, condition: Callable[[], object], *, step: float = 0.01) -> Deferred[None]:
        """Fire once `condition()` is true; it is looked at every `step` seconds of the clock."""
        waiting: Deferred[None] = Deferred()

        def look() -> None:
            if waiting.called:
                return
            if condition():
                waiting.callback(None)
            else:
                self._reactor.callLater(step, look)

        look()
        return waiting

    async def order_when(
        self, session: Session, order_id: str, fits: Callable[[dict[str, Any]], object], *, looks: int = 1000
    ) -> dict[str, Any]:
        """Return the order record once it `fits`; looks again in each turn of the clock, AssertionError in the end."""
        for _ in range(looks):
            record: dict[str, Any] = await self.call(session, "query_order", order_id)
            if fits(record):
                return record
            await deferLater(self._reactor, 0.002)
        raise AssertionError(f"the order stays {record}")

    def _in_thread(self, work: Callable[[], Any]) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)
