"""One message at a time: a queue of turns, and of what follows from each.

A turn is processed completely, then its market's public data go out, then its consequences are processed, each in
the same way, until none is left; only then comes the next message.  What a listener asks for in between waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from txtrader.exsim.market import Market
from txtrader.exsim.orders import Order

__all__ = ["Turns"]


class Turns:
    """See the module.

    `on_elected(market, order)` is called in a turn of its own for each waiting order that the former one elected;
    `on_pegs(market)` after each turn of a market that has pegged orders; `on_idle()` once all is done.
    """

    def __init__(
        self,
        on_elected: Callable[[Market, Order], None],
        on_pegs: Callable[[Market], None],
        on_idle: Callable[[], None],
    ) -> None:
        self._messages: deque[tuple[Market | None, Callable[[], None]]] = deque()
        self._consequences: deque[tuple[Market | None, Callable[[], None]]] = deque()
        self._on_elected = on_elected
        self._on_pegs = on_pegs
        self._on_idle = on_idle
        self.is_busy = False

    def run(self, market: Market | None, action: Callable[[], None]) -> None:
        """Process a message on a market now, or after the present one if one is being processed."""
        self._messages.append((market, action))
        if self.is_busy:
            return
        self.is_busy = True
        try:
            while self._messages:
                self._one(*self._messages.popleft())
                while self._consequences:
                    self._one(*self._consequences.popleft())
                if not self._messages:
                    self._on_idle()
        finally:
            self.is_busy = False

    def then(self, market: Market | None, action: Callable[[], None]) -> None:
        """Let something follow from the present turn."""
        self._consequences.append((market, action))

    def _one(self, market: Market | None, action: Callable[[], None]) -> None:
        action()
        if market is None:
            return
        market.publish()
        for order in market.elected():
            self._consequences.append((market, lambda order=order: self._on_elected(market, order)))  # type: ignore[misc]
        if market.pegs:
            self._on_pegs(market)
