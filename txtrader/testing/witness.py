"""The witness: what really happened at the simulated broker, told by the venue itself.

It listens to the venue's drop copy, which shares no code with the gateway's books.  Orders of the venue's house and
of other participants are not on it unless asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal

from txtrader.exsim.listeners import OrderListener
from txtrader.exsim.orders import Order
from txtrader.exsim.records import ExecKind, Fill, Refusal
from txtrader.model.order import OrderStatus

__all__ = ["Witness", "WitnessedOrder"]


class WitnessedOrder:
    """One order as the venue told of it, in a form that stays when the venue's own record goes on."""

    def __init__(self, order: Order) -> None:
        self.id = order.id
        self.ref = order.client_order_id
        self.owner = order.owner
        self.account = order.account
        self.symbol = order.listing.symbol
        self.side = order.side
        self.quantity = order.quantity
        self.limit_price = order.limit_price
        self.status = order.status
        self.fills: dict[str, Fill] = {}  # those that stand
        self.history: list[str] = []

    @property
    def filled(self) -> Decimal:
        return sum((fill.quantity for fill in self.fills.values()), Decimal(0))

    @property
    def is_open(self) -> bool:
        return not self.status.is_terminal

    def __repr__(self) -> str:
        return f"<{self.ref or self.id} {self.owner} {self.side} {self.quantity} {self.symbol} {self.history}>"


class Witness(OrderListener):
    """Every order of every participant whose name `watches` accepts (all but the house by default).

    `orders` is keyed by the venue's id; `news` counts, for each reference that came with an order, how often a new
    order with it came in.
    """

    def __init__(self, watches: Callable[[str], bool] = lambda owner: True) -> None:
        self._watches = watches
        self.orders: dict[int, WitnessedOrder] = {}
        self.news: Counter[str] = Counter()

    def by_ref(self, ref: str) -> list[WitnessedOrder]:
        """Return the orders that came in under a reference: more than one is a double."""
        return [order for order in self.orders.values() if order.ref == ref]

    def only(self, ref: str) -> WitnessedOrder:
        """Return the one order with a reference."""
        (order,) = self.by_ref(ref)
        return order

    def fills(self) -> Iterable[Fill]:
        """Return every fill that stands."""
        for order in self.orders.values():
            yield from order.fills.values()

    # -- what the venue tells

    def order_accepted(self, order: Order) -> None:
        self._new(order, "accepted")

    def order_rejected(self, order: Order, refusal: Refusal) -> None:
        self._new(order, f"rejected: {refusal.reason}")

    def order_activated(self, order: Order) -> None:
        self._note(order, "activated")

    def order_filled(self, order: Order, fill: Fill) -> None:
        if (known := self._note(order, f"filled {fill.quantity} @ {fill.price}")) is not None:
            known.fills[fill.exec_id] = fill

    def order_replaced(self, order: Order) -> None:
        self._note(order, "replaced")

    def order_restated(self, order: Order, reason: Refusal) -> None:
        self._note(order, f"restated: {reason.reason}")

    def order_canceled(self, order: Order, reason: Refusal) -> None:
        self._note(order, f"canceled: {reason.reason}")

    def order_expired(self, order: Order) -> None:
        self._note(order, "expired")

    def fill_corrected(self, order: Order, fill: Fill) -> None:
        if (known := self._note(order, f"{fill.kind} of {fill.replaces}")) is not None:
            known.fills.pop(fill.replaces or "", None)
            if fill.kind is ExecKind.CORRECT:
                known.fills[fill.exec_id] = fill

    def _new(self, order: Order, what: str) -> None:
        if self._watches(order.owner):
            self.orders[order.id] = WitnessedOrder(order)
            self.news[order.client_order_id] += 1
            self._note(order, what)

    def _note(self, order: Order, what: str) -> WitnessedOrder | None:
        known = self.orders.get(order.id)
        if known is not None:
            known.status = OrderStatus(order.status)
            known.quantity = order.quantity
            known.limit_price = order.limit_price
            known.history.append(what)
        return known
