"""Request ids and order ids of one TWS login: two ranges that never meet.

TWS reports errors of requests and of orders by one number, so the numbers must tell which is which.  Order ids start
where TWS says and only rise; request ids come from the upper half of what 32 bits hold, or from the lower half where
TWS's own order ids have climbed into the upper.
"""

from __future__ import annotations

from txtrader.errors import NotReady

__all__ = ["OrderIds", "RequestIds"]

_HALF = 2**30
_TOP = 2**31 - 2  # 2**31 - 1 stands for "unset" on the wire


class RequestIds:
    """Gives request ids, each once, over and over through its half."""

    def __init__(self) -> None:
        self._low, self._high = _HALF, _TOP
        self._next = self._low

    def stay_clear_of(self, order_id: int) -> None:
        """Choose the half where order ids are not."""
        low, high = (1, _HALF - 1) if order_id >= _HALF else (_HALF, _TOP)
        if low != self._low:
            self._low, self._high = low, high
            self._next = low

    def take(self) -> int:
        """Return the next id."""
        taken = self._next
        self._next = taken + 1 if taken < self._high else self._low
        return taken

    def owns(self, number: int) -> bool:
        """Tell whether a number lies in the half that requests use."""
        return self._low <= number <= self._high


class OrderIds:
    """Gives order ids and keeps the high-water mark.

    TWS may roll its own count back after a restart, and would then give ids of earlier orders again: the next id is
    above everything that was ever used or seen, whoever said it.
    """

    def __init__(self) -> None:
        self._next = 0
        self._is_known = False

    @property
    def next(self) -> int:
        """The id that `take` gives next."""
        return self._next

    def seen(self, order_id: int) -> None:
        """Note an id that an order has: ours in the journal, or one in a report."""
        if 0 < order_id < _TOP and order_id >= self._next:
            self._next = order_id + 1

    def offered(self, order_id: int) -> None:
        """Note the next valid id that TWS says; from now on ids can be taken."""
        self._next = max(self._next, order_id, 1)
        self._is_known = True

    def take(self) -> int:
        """Return the next id, never the same twice.  Raises NotReady until TWS has said where its ids stand."""
        if not self._is_known:
            raise NotReady("TWS has not said its next order id yet")
        taken = self._next
        self._next = taken + 1
        return taken
