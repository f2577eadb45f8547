"""A bot that takes the other side of what participants leave in the book, through the market like anybody."""

from __future__ import annotations

from decimal import Decimal

from txtrader.exsim.bots.base import Bot
from txtrader.exsim.listeners import OrderListener
from txtrader.exsim.orders import Order
from txtrader.exsim.properties import Property
from txtrader.model.order import TimeInForce

__all__ = ["EchoTrader"]


class _Clients(OrderListener):
    def __init__(self, bot: EchoTrader) -> None:
        self._bot = bot

    def order_accepted(self, order: Order) -> None:
        self._bot.came(order)

    def order_activated(self, order: Order) -> None:
        self._bot.came(order)


class EchoTrader(Bot):
    """Send an order of the other side for each client order that still rests after the delay.

    It is for the open quantity at the order's limit and trades at once or not at all; it meets the best orders of the
    book, oldest first, which need not be the one that it answers.
    """

    table = (
        Property(
            name="delay",
            kind="decimal",
            default=Decimal(1),
            unit="s",
            least=0,
            most=86400,
            meaning="how long after the client's order it comes",
        ),
    )

    def begin(self) -> None:
        self.answered = 0
        listener = _Clients(self)
        self.observe(listener)

    def came(self, order: Order) -> None:
        """Take note of an order that works now."""
        if self.is_client(order) and order.held == "":
            self.later(self.properties["delay"], self._echo, order.id)

    def _echo(self, order_id: int) -> None:
        order = self.venue.order(order_id)
        if order is None or not order.rests:
            return
        assert order.price is not None
        self.answered += 1
        self.submit(-order.sign, order.leaves, order.price, tif=TimeInForce.IOC)
