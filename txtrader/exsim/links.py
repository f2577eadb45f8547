"""Orders tied together: groups in which one cancels or reduces the others, children that wait for their parent.

What follows from an execution happens in turns of its own, after the message that caused it; so a group's other
orders are out of the market before the stops are looked at which the same trades elect.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from txtrader.exsim.orders import Order
from txtrader.exsim.records import Reason, Refusal
from txtrader.model.order import OrderStatus

if TYPE_CHECKING:
    from txtrader.exsim.desk import Desk

__all__ = ["Links"]

_ENDED_BY: dict[Reason, Refusal] = {
    Reason.GROUP: Refusal(Reason.GROUP, "another order of the group traded"),
    Reason.PARENT: Refusal(Reason.PARENT, "the order that this one waited for has ended"),
}


class Links:
    """The live members of each group, by owner and name, in order of entry; and what ties do."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._members: dict[tuple[str, str], dict[int, Order]] = {}

    def join(self, order: Order) -> None:
        """Add a live order to the group that it names."""
        self._members.setdefault((order.owner, order.oca_group), {})[order.id] = order

    def leave(self, order: Order) -> None:
        """Take out an order that is done; one without a group is no error."""
        key = (order.owner, order.oca_group)
        members = self._members.get(key)
        if members is None:
            return
        members.pop(order.id, None)
        if not members:
            del self._members[key]

    def traded(self, order: Order, before: int, after: int) -> None:
        """Let the others of a group know that what is open of one went from `before` to `after` lots."""
        members = self._members.get((order.owner, order.oca_group), {})
        for member in members.values():
            if member is order:
                continue
            if member.oca_type == 1:
                self._then(member, partial(self._cancel, member, Reason.GROUP))
            elif member.oca_type == 4:
                self._then(member, partial(self._lessen, member, before - after))
            else:
                self._then(member, partial(self._reduce, member, before, after))

    def parent_filled(self, order: Order, *, is_complete: bool) -> None:
        """Let the children work: after the first part those that say so, after all of it the others too."""
        for child in order.children:
            if is_complete or child.terms.after_first:
                self._then(child, partial(self._release, child))

    def parent_ended(self, order: Order) -> None:
        """End the children that still wait with their parent."""
        for child in order.children:
            self._then(child, partial(self._give_up, child))

    def _then(self, order: Order, action: partial[None]) -> None:
        self._desk.turns.then(self._desk.market_of(order.listing.id), action)

    def _release(self, child: Order) -> None:
        if child.held == "parent":
            self._desk.activate(child)

    def _give_up(self, child: Order) -> None:
        if child.held in ("parent", "release"):
            self._cancel(child, Reason.PARENT)

    def _cancel(self, order: Order, reason: Reason) -> None:
        if order.is_open:
            self._desk.take_out(order)
            self._desk.end(order, OrderStatus.CANCELED, _ENDED_BY[reason])

    def _reduce(self, order: Order, before: int, after: int) -> None:
        """Reduce what is open of an order in the proportion in which another one was filled, in its favour."""
        if not order.is_open:
            return
        self._leave(order, -(-order.leaves * after // before))

    def _lessen(self, order: Order, lots: int) -> None:
        """Reduce an order by what another one traded."""
        if order.is_open:
            self._leave(order, max(0, order.leaves - lots))

    def _leave(self, order: Order, leaves: int) -> None:
        """Reduce an order to what is to be left open of it."""
        if leaves == 0:
            self._cancel(order, Reason.GROUP)
        elif leaves < order.leaves:
            desk = self._desk
            desk.resize(order, leaves)
            desk.touch(order)
            desk.tape.write("restate", order.id, order.lots)
            desk.tell("order_restated", order, _ENDED_BY[Reason.GROUP])
