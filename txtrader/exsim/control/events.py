"""The numbered log of what happened: polled, never pushed; a gap is said, not hidden."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from txtrader.exsim.listeners import BookListener, MarketListener, OrderListener
from txtrader.exsim.orders import Order
from txtrader.exsim.records import Fill, Phase, Refusal, ShownOrder
from txtrader.model.order import Side

__all__ = ["KINDS", "BookEvents", "Events", "OrderEvents", "PhaseEvents", "side_word"]

KINDS = ("session", "order", "trade", "phase", "policy", "bot", "plugin", "engine", "book")
_KEPT = 50_000


class Events:
    """The newest events; numbers begin at 1 and have no gap."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._kept: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self.last = 0
        self.on_event: Callable[[], None] | None = None

    def note(self, kind: str, **facts: Any) -> None:
        """Add an event."""
        assert kind in KINDS, kind
        self.last += 1
        self._kept.append({"number": self.last, "time": self._now_ns(), "kind": kind, **facts})
        if self.on_event is not None:
            self.on_event()

    def since(self, number: int, limit: int, kinds: Sequence[str] | None) -> tuple[list[dict[str, Any]], int, int]:
        """Return events above a number, the number to go on from, and how many are no longer kept."""
        first = self._kept[0]["number"] if self._kept else self.last + 1
        missed = max(0, first - number - 1)
        found: list[dict[str, Any]] = []
        reached = max(number, first - 1)
        for event in self._kept:
            if event["number"] <= number:
                continue
            if len(found) == limit:
                break
            reached = event["number"]
            if kinds is None or event["kind"] in kinds:
                found.append(event)
        return found, reached, missed


def side_word(side: Side) -> str:
    """Return what the control calls a side."""
    return "buy" if side.sign > 0 else "sell"


class OrderEvents(OrderListener):
    """The orders of an engine, as events."""

    def __init__(self, events: Events, engine: str, name_of: Callable[[Order], str]) -> None:
        self._events = events
        self._engine = engine
        self._name_of = name_of

    def _note(self, order: Order, what: str, **more: Any) -> None:
        self._events.note(
            "order",
            engine=self._engine,
            what=what,
            order=self._name_of(order),
            order_id=order.id,
            owner=order.owner,
            status=order.status.name.lower(),
            cumulative=order.filled,
            leaves=order.remaining,
            **more,
        )

    def order_accepted(self, order: Order) -> None:
        self._note(order, "accepted")

    def order_rejected(self, order: Order, refusal: Refusal) -> None:
        self._note(order, "rejected", reason=str(refusal.reason), text=refusal.text)

    def order_activated(self, order: Order) -> None:
        self._note(order, "triggered")

    def order_parked(self, order: Order) -> None:
        self._note(order, "parked")

    def order_filled(self, order: Order, fill: Fill) -> None:
        self._note(
            order,
            "executed",
            exec_id=fill.exec_id,
            match=fill.match_id,
            price=fill.price,
            quantity=fill.quantity,
            liquidity=fill.liquidity,
        )

    def order_replaced(self, order: Order) -> None:
        self._note(order, "modified")

    def order_restated(self, order: Order, reason: Refusal) -> None:
        self._note(order, "restated", reason=str(reason.reason), text=reason.text)

    def order_repriced(self, order: Order) -> None:
        self._note(order, "repriced", price=order.limit_price if order.rests else None)

    def order_canceled(self, order: Order, reason: Refusal) -> None:
        self._note(order, "canceled", reason=str(reason.reason), text=reason.text)

    def order_expired(self, order: Order) -> None:
        self._note(order, "expired")

    def cancel_rejected(self, order: Order, refusal: Refusal) -> None:
        self._note(order, "cancel_rejected", reason=str(refusal.reason), text=refusal.text)

    def replace_rejected(self, order: Order, refusal: Refusal) -> None:
        self._note(order, "replace_rejected", reason=str(refusal.reason), text=refusal.text)

    def fill_corrected(self, order: Order, fill: Fill) -> None:
        self._note(
            order,
            str(fill.kind),
            exec_id=fill.exec_id,
            replaces=fill.replaces,
            price=fill.price,
            quantity=fill.quantity,
        )


class PhaseEvents(MarketListener):
    """The phases of one book, and its trades, as events."""

    def __init__(self, events: Events, engine: str, book: str) -> None:
        self._events = events
        self._facts = {"engine": engine, "book": book}

    def phase_changed(self, listing_id: int, phase: Phase) -> None:
        self._events.note("phase", **self._facts, phase=str(phase))

    def printed(self, trade: Any) -> None:
        self._events.note(
            "trade", **self._facts, trade=trade.number, price=trade.price, quantity=trade.size,
            aggressor=side_word(trade.aggressor),
        )  # fmt: skip


class BookEvents(BookListener):
    """The shown orders of one book, each change as an event; `change` counts them without a gap."""

    def __init__(self, events: Events, engine: str, book: str) -> None:
        self._events = events
        self._facts = {"engine": engine, "book": book}

    def _note(self, what: str, number: int, public_id: int, **more: Any) -> None:
        self._events.note("book", **self._facts, what=what, change=number, public=public_id, **more)

    def order_added(self, listing_id: int, number: int, order: ShownOrder) -> None:
        self._note("added", number, order.public_id, side=side_word(order.side), price=order.price, quantity=order.size)

    def order_reduced(self, listing_id: int, number: int, public_id: int, size: Decimal) -> None:
        self._note("reduced", number, public_id, quantity=size)

    def order_executed(
        self, listing_id: int, number: int, public_id: int, size: Decimal, price: Decimal, match_number: int
    ) -> None:
        self._note("executed", number, public_id, price=price, quantity=size, trade=match_number)

    def order_deleted(self, listing_id: int, number: int, public_id: int) -> None:
        self._note("deleted", number, public_id)

    def order_replaced(self, listing_id: int, number: int, public_id: int, order: ShownOrder) -> None:
        self._note(
            "replaced",
            number,
            public_id,
            by=order.public_id,
            side=side_word(order.side),
            price=order.price,
            quantity=order.size,
        )
