"""Bots that answer the orders of participants: fill, fill a part, reject, cancel, fill a part and cancel.

They act before an order meets the book, so that orders that never rest are answered as well; with a delay they act
on what is left in the market by then.  A fill goes past the queue of the book: the order that was meant is the one that
trades.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import ClassVar

from txtrader.exsim.bots.base import Bot, round_ticks
from txtrader.exsim.listeners import OrderListener
from txtrader.exsim.orders import Order
from txtrader.exsim.properties import Property
from txtrader.exsim.records import Fill, Reason, Refusal
from txtrader.model.order import TimeInForce

__all__ = ["AutoCancel", "AutoFill", "AutoPartial", "AutoReject", "PartialThenCancel"]

_DELAY = Property(
    name="delay",
    kind="decimal",
    default=Decimal(0),
    unit="s",
    least=0,
    most=86400,
    meaning="how long the order works before the bot acts; 0: it acts before the order meets the book",
)
_SHARE = Property(
    name="share",
    kind="decimal",
    default=Decimal("0.5"),
    least=Decimal("0.000001"),
    most=Decimal("0.999999"),
    meaning="the part of the open quantity that is filled, rounded down to lots, at least one lot",
)
_AT = Property(
    name="at",
    kind="text",
    default="best",
    choices=("best", "limit"),
    meaning="the price of fills: the best one of the other side if it is better than the order's limit, or its limit; "
    "without either the book's reference price",
)
_TEXT = Property(name="text", kind="text", default="decided by a bot", meaning="what the owner is told")


class _Ends(OrderListener):
    """Tells a bot which orders it need not remember any more."""

    def __init__(self, bot: _Answer) -> None:
        self._bot = bot

    def order_filled(self, order: Order, fill: Fill) -> None:
        if not order.leaves:
            self._bot.forget_order(order)

    def order_canceled(self, order: Order, reason: Refusal) -> None:
        self._bot.forget_order(order)

    def order_expired(self, order: Order) -> None:
        self._bot.forget_order(order)

    def order_replaced(self, order: Order) -> None:
        if not order.is_open:  # its new total was done already
            self._bot.forget_order(order)


class _Answer(Bot):
    """Choose the orders that are answered, each once."""

    table: ClassVar[tuple[Property, ...]] = (
        Property(
            name="side",
            kind="text",
            default="both",
            choices=("both", "buy", "sell"),
            meaning="the orders that are answered",
        ),
        Property(name="account", kind="text", default="", meaning="only orders of this account; empty: of all"),
        Property(
            name="every", kind="int", default=1, least=1, most=1_000_000, meaning="answer the n-th order that fits"
        ),
    )

    def begin(self) -> None:
        self.answered = 0
        self._seen = 0
        self._chosen: dict[int, bool] = {}
        self.observe(_Ends(self))
        self.undo_later(self.venue.interception.add(self.guarded(self._met)))

    def answer(self, order: Order) -> None:
        """Do what the bot is for; called in the order's turn, before it meets the book."""
        raise NotImplementedError

    def chooses(self, order: Order) -> bool:
        """Tell whether an order is one to be answered."""
        side, account = self.properties["side"], self.properties["account"]
        if not self.is_client(order) or (account and order.account != account):
            return False
        if side != "both" and (side == "buy") is not (order.sign > 0):
            return False
        self._seen += 1
        return bool(self._seen % self.properties["every"] == 0)

    def forget_order(self, order: Order) -> None:
        self._chosen.pop(order.id, None)

    def _met(self, order: Order) -> None:
        if order.id in self._chosen or not self.is_client(order):
            return  # a replace brings an order here again
        self._chosen[order.id] = chosen = self.chooses(order)
        if chosen:
            self.answered += 1
            self.answer(order)

    def after_delay(self, order: Order, act: Callable[[Order], None]) -> None:
        """Do something to an order, now or after the delay if it still works."""
        delay = self.properties["delay"]
        if delay:
            self.later(delay, self.venue.interception.later, order.id, self.guarded(act))
        elif order.is_open:
            act(order)

    def fill(self, order: Order, lots: int) -> None:
        """Trade with an order."""
        self.venue.interception.fill(order, lots, self._price(order), owner=self.owner, account=self.account())

    def part(self, order: Order) -> int:
        """Return the lots that are a part of an order; 0 where it has no parts, or may only trade as a whole."""
        if order.leaves < 2 or order.tif is TimeInForce.FOK:
            return 0
        return max(1, int(order.leaves * self.properties["share"]))

    def end_order(self, order: Order) -> None:
        """Cancel an order."""
        self.venue.interception.end(order, Refusal(Reason.VENUE, self.properties["text"]))

    def _price(self, order: Order) -> int:
        limit = order.price
        if limit is not None and self.properties["at"] == "limit":
            return limit
        top = self.venue.top(self.listing.id)
        price = top.ask if order.sign > 0 else top.bid
        best = None if price is None else int(price / self.listing.tick)
        if limit is None:
            return round_ticks(self.listing, self.reference(), order.sign) if best is None else best
        return limit if best is None else order.sign * min(order.sign * best, order.sign * limit)


class AutoFill(_Answer):
    """Fill every order."""

    table = (_DELAY, _AT)

    def answer(self, order: Order) -> None:
        self.after_delay(order, lambda order: self.fill(order, order.leaves))


class AutoPartial(_Answer):
    """Fill a part of every order, once; the rest is the market's."""

    table = (_DELAY, _AT, _SHARE)

    def answer(self, order: Order) -> None:
        self.after_delay(order, self._fill_part)

    def _fill_part(self, order: Order) -> None:
        if lots := self.part(order):
            self.fill(order, lots)


class AutoCancel(_Answer):
    """Cancel every order, without having been asked."""

    table = (_DELAY, _TEXT)

    def answer(self, order: Order) -> None:
        self.after_delay(order, self.end_order)


class PartialThenCancel(_Answer):
    """Fill a part of every order at once, and cancel the rest after the delay."""

    table = (_DELAY, _AT, _SHARE, _TEXT)

    def answer(self, order: Order) -> None:
        if lots := self.part(order):
            self.fill(order, lots)
        self.after_delay(order, self.end_order)


class AutoReject(_Answer):
    """Refuse every order before it is accepted."""

    table = (
        Property(
            name="reason",
            kind="text",
            default=str(Reason.VENUE),
            choices=tuple(str(one) for one in Reason),
            meaning="the reason's word; each wire has its own code for it",
        ),
        _TEXT,
    )

    def begin(self) -> None:
        self.answered = 0
        self._seen = 0
        self.undo_later(self.venue.add_screen(self._screen))

    def _screen(self, order: Order) -> Refusal | None:
        answer: list[Refusal] = []

        def judge() -> None:
            if self.chooses(order):
                self.answered += 1
                answer.append(Refusal(Reason(self.properties["reason"]), self.properties["text"]))

        self.guarded(judge)()
        return answer[0] if answer else None
