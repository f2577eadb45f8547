"""Run a real journal, thread and file included, under a clock that the test moves."""

from __future__ import annotations

import queue
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from txtrader.gateway.journal import Journal, JournalItem, KeyRecord
from txtrader.model.event import StatusEvent
from txtrader.model.execution import Execution
from txtrader.model.instrument import Instrument, SecType
from txtrader.model.order import Order, OrderStatus, OrderType, Side

NOW = 1_790_000_000_000_000_000

IBM = Instrument(
    symbol="IBM",
    instrument_id="8314",
    mode="tws",
    sectype=SecType.STOCK,
    exchange="SMART",
    currency="USD",
    tick=Decimal("0.01"),
)


class ThreadedClock(Clock):
    """A clock that moves by hand, and takes calls from real threads when the test settles."""

    def __init__(self) -> None:
        super().__init__()
        self.from_threads: queue.SimpleQueue[tuple[Callable[..., object], tuple[Any, ...]]] = queue.SimpleQueue()

    def callFromThread(self, callable: Callable[..., object], *args: object) -> None:
        self.from_threads.put((callable, args))

    def step(self) -> None:
        """Run the next call that a thread has sent or sends within 20 seconds."""
        call, args = self.from_threads.get(timeout=20)
        call(*args)

    def settle(self, journal: Journal) -> None:
        """Run what is due until the journal's thread has nothing left to do."""
        self.advance(0)
        while journal.is_busy:
            self.step()
            self.advance(0)


class Opened:
    """A journal in a folder, started, with what it tells."""

    def __init__(self, folder: Any, **options: Any) -> None:
        self.clock = ThreadedClock()
        self.told: list[StatusEvent] = []
        self.changes: list[bool] = []
        self.fatal: list[str] = []
        self.journal = Journal.open(str(folder / "journal.db"), now_ns=options.pop("now_ns", lambda: NOW), **options)
        self.state = self.journal.load()
        self.journal.set_listener(self.told.append)
        self.journal.on_change = self.changes.append
        self.journal.on_fatal = self.fatal.append
        self.journal.start(self.clock)
        self.settle()

    def settle(self) -> None:
        self.clock.settle(self.journal)

    def append(self, **parts: Any) -> list[Any]:
        """Append an item and settle; return what came of it."""
        found = outcome(self.journal.append(JournalItem(**parts)))
        self.settle()
        return found

    def close(self) -> None:
        done = outcome(self.journal.close())
        self.settle()
        assert done == [None]

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def outcome(deferred: Deferred[Any]) -> list[Any]:
    """Return a list that gets the result, or the exception, when there is one."""
    found: list[Any] = []
    deferred.addCallbacks(found.append, lambda failure: found.append(failure.value))
    return found


def event(number: int = 1, channel: str = "order", **parts: Any) -> StatusEvent:
    return StatusEvent("order", channel, "tws", {"id": f"TX-{number}", "price": Decimal("12.50")}, **parts)


def order(order_id: str = "TX-A-000001", **parts: Any) -> Order:
    fields: dict[str, Any] = {
        "id": order_id,
        "mode": "tws",
        "account": "DU1",
        "symbol": "IBM",
        "side": Side.BUY,
        "quantity": Decimal(100),
        "type": OrderType.LIMIT,
        "limit_price": Decimal("12.50"),
        "status": OrderStatus.PENDING_NEW,
        "submit_time": NOW,
        "update_time": NOW,
        "instrument": IBM,
        **parts,
    }
    return Order(**fields)


def execution(exec_id: str = "e1", **parts: Any) -> Execution:
    fields: dict[str, Any] = {
        "exec_id": exec_id,
        "mode": "tws",
        "account": "DU1",
        "symbol": "IBM",
        "side": Side.BUY,
        "shares": Decimal(40),
        "price": Decimal("12.5"),
        "time": NOW,
        "receive_time": NOW,
        "instrument": IBM,
        **parts,
    }
    return Execution(**fields)


def key(client_order_id: str = "c1", order_id: str = "TX-A-000001", **parts: str) -> KeyRecord:
    fields = {"user": "alice", "account": "DU1", "digest": "ab" * 32, **parts}
    return KeyRecord(client_order_id=client_order_id, order_id=order_id, **fields)
