"""Faults for a room's gateway: a disk that is slow or full, and a broker login that must wait for its turn."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from desk_room import Room

from txtrader.gateway.journal import Journal
from txtrader.gateway.journal_errors import WriteFailed
from txtrader.model.order import Order, OrderStatus, OrderUpdate


@contextmanager
def slow_disk(journal: Journal) -> Iterator[threading.Event]:
    """Hold every write until the event is set, or the block ends."""
    go = threading.Event()
    real = journal._store.write

    def write(batch: Any) -> None:
        go.wait(20)
        real(batch)

    journal._store.write = write  # type: ignore[method-assign]
    try:
        yield go
    finally:
        go.set()
        journal._store.write = real  # type: ignore[method-assign]


@contextmanager
def full_disk(journal: Journal, go: threading.Event | None = None) -> Iterator[None]:
    """Refuse every write, the next one not before `go` is set."""
    store = journal._store
    write, probe = store.write, store.probe

    def refuse(*_: Any) -> None:
        if go is not None:
            go.wait(20)
        raise WriteFailed("no space left")

    store.write = store.probe = refuse  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        store.write, store.probe = write, probe  # type: ignore[method-assign]


class Queue:
    """Make a room's adapter hold orders back until `turn`, as one does that keeps to a broker's rate."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._submit = room.adapter.submit
        self.waiting: list[Order] = []
        self._cancel = room.adapter.cancel
        room.adapter.submit = self.submit  # type: ignore[method-assign,assignment]
        room.adapter.cancel = self.cancel  # type: ignore[method-assign]

    def submit(self, order: Order) -> bool:
        self.waiting.append(order)
        return False

    def cancel(self, order: Order) -> None:
        held = [each for each in self.waiting if each.id == order.id]
        if not held:
            self._cancel(order)
            return
        self.waiting.remove(held[0])
        self._room.link.order_updated(
            OrderUpdate(mode=order.mode, order_ref=order.id, status=OrderStatus.REJECTED, has_left=False)
        )

    def turn(self) -> None:
        """Let the first one go."""
        order = self.waiting.pop(0)
        self._submit(order)
        now = self._room.broker.now_ns()
        self._room.link.order_updated(OrderUpdate(mode=order.mode, order_ref=order.id, send_time=now))
