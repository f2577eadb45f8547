"""Orders that may only close a position: cut to what there is to close, when they enter and whenever it has changed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from txtrader.exsim.orders import Order
from txtrader.exsim.records import Reason, Refusal
from txtrader.model.order import OrderStatus

if TYPE_CHECKING:
    from txtrader.exsim.desk import Desk

__all__ = ["Reducing"]

_NOTHING = Refusal(Reason.NOTHING_TO_CLOSE, "the account holds nothing that the order could close")
_LESS = Refusal(Reason.NOTHING_TO_CLOSE, "the account holds less than the order would close")


class Reducing:
    """The live reduce-only orders, by account and listing, in order of entry.

    They are looked at when an execution of their account has been processed, so that two that trade in one message
    may close the same position twice.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._orders: dict[tuple[str, int], dict[int, Order]] = {}

    def add(self, order: Order) -> None:
        """Look after an order that was accepted."""
        self._orders.setdefault((order.account, order.listing.id), {})[order.id] = order

    def discard(self, order: Order) -> None:
        """Forget an order that is done; one that is not there is no error."""
        key = (order.account, order.listing.id)
        orders = self._orders.get(key, {})
        orders.pop(order.id, None)
        if not orders:
            self._orders.pop(key, None)

    def cut_new(self, order: Order) -> Refusal | None:
        """Cut an order before it is accepted; refuse it where there is nothing to close."""
        lots = self._closable(order)
        if lots == 0:
            return _NOTHING
        if lots < order.leaves:
            order.lots = order.leaves = lots
            self._desk.tape.write("cut", order.id, lots)
        return None

    def traded(self, order: Order) -> None:
        """Let the others of the account look at the position that an execution has changed."""
        orders = self._orders.get((order.account, order.listing.id))
        if not orders:
            return
        desk = self._desk
        for other in orders.values():
            if other is not order:
                desk.turns.then(desk.market_of(other.listing.id), partial(self._look_again, other))

    def _look_again(self, order: Order) -> None:
        self.fit(order)

    def fit(self, order: Order) -> bool:
        """Cut a live order; tell whether anything is left of it."""
        desk = self._desk
        if not order.is_open:
            return False
        if order.held in ("parent", "release"):
            return True
        lots = self._closable(order)
        if lots == 0:
            desk.take_out(order)
            desk.end(order, OrderStatus.CANCELED, _NOTHING)
            return False
        if lots < order.leaves:
            desk.resize(order, lots)
            desk.touch(order)
            desk.tape.write("restate", order.id, order.lots)
            desk.tell("order_restated", order, _LESS)
        return True

    def _closable(self, order: Order) -> int:
        held = self._desk.accounts[order.account].position(order.listing).quantity
        return max(0, int(-order.sign * held / order.listing.step))
