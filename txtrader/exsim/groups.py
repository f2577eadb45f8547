"""Orders tied together: one cancels or reduces the others."""

from __future__ import annotations

from txtrader.exsim.orders import Order

__all__ = ["Groups"]


class Groups:
    """The live members of each group, by owner and name, in order of entry."""

    def __init__(self) -> None:
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

    def others(self, order: Order) -> list[Order]:
        """Return the other live members of an order's group, oldest first."""
        members = self._members.get((order.owner, order.oca_group), {})
        return [member for member in members.values() if member is not order]
