"""Cancel and replace: what an owner may change of a live order, and what it costs in priority.

Price changes and increases go to the end of the queue; less quantity, or other terms, keep the place.  A quantity is
the new total, executions included: at or below what is done already, the order is filled with that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from txtrader.exsim.desk import Desk
from txtrader.exsim.entry import NEEDS_TRIGGER, WOULD_TRADE, check_terms, is_too_keen, least_of, to_lots, to_ticks
from txtrader.exsim.options import ReplaceBelowFilled
from txtrader.exsim.orders import Order
from txtrader.exsim.phases import may_cancel, may_replace
from txtrader.exsim.records import Changes, Phase, Reason, Refusal, Terms
from txtrader.model.order import OrderStatus, TimeInForce

__all__ = ["Amendments"]

_TRIGGER_TERMS = ("stop_price", "trail_amount", "trail_percent")
_PLACE_TERMS = (
    "limit_price",
    "hidden",
    "min_quantity",
    "all_or_none",
    "display_quantity",
    "display_low",
    "display_high",
    "peg",
    "peg_offset",
)
"""What an order loses its place by, when it changes."""
_MAY_BE_TAKEN_AWAY = ("min_quantity", "display_quantity", "display_low", "display_high")
"""What 0 takes away from an order."""


class Amendments:
    """Change the desk's live orders; a refusal is returned and told."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def cancel(self, owner: str | None, order_id: int, reason: Refusal) -> Refusal | None:
        """Cancel an order of `owner` (None: of anybody)."""

        def cancel(order: Order) -> Refusal | None:
            market = self._desk.market_of(order.listing.id)
            assert market is not None
            if reason.reason is Reason.USER:
                regime = market.regime
                refusal = may_cancel(market.phase, regime.settings, is_locked=regime.is_locked(self._desk.now_ns()))
                if refusal is not None:
                    return refusal
            self._desk.take_out(order)
            self._desk.end(order, OrderStatus.CANCELED, reason)
            return None

        self._desk.tape.write("cancel", owner, order_id)
        return self._run(owner, order_id, cancel, "cancel_rejected")

    def park(self, owner: str | None, order_id: int) -> Refusal | None:
        """Take a working order of `owner` (None: of anybody) out of the market until it is released."""

        def park(order: Order) -> Refusal | None:
            desk = self._desk
            if order.held in ("parent", "release"):
                return Refusal(Reason.TOO_LATE, f"order {order_id} does not work")
            desk.take_out(order)
            desk.count_open(order, -order.leaves)  # as long as it counts
            order.held = "release"
            desk.touch(order)
            desk.tape.write("parked", order_id)
            desk.tell("order_parked", order)
            return None

        self._desk.tape.write("park", owner, order_id)
        return self._run(owner, order_id, park, "replace_rejected")

    def replace(self, owner: str | None, order_id: int, changes: Changes) -> Refusal | None:
        """Change an order of `owner` (None: of anybody); refused, it stays as it was."""
        self._desk.tape.write("replace", owner, order_id, changes.quantity, changes.limit_price, changes.stop_price)
        return self._run(owner, order_id, lambda order: self.replace_now(order, changes), "replace_rejected")

    def exchange(self, owner: str, order_id: int, terms: Terms, accounts: Sequence[str]) -> Refusal | None:
        """Put a new order in the place of one of `owner`; where it is refused the old one is canceled as well.

        One message: nobody sees the book without the one and the other.
        """
        desk = self._desk

        def exchange(order: Order) -> None:
            new = desk.make_one(owner, terms, desk.now_ns())
            desk.take_out(order)
            desk.end(order, OrderStatus.CANCELED, Refusal(Reason.REPLACED, f"order {new.id} stands in its place"))
            desk.accept((new,), accounts)
            if not new.is_open:
                desk.turns.then(desk.market_of(order.listing.id), _nothing)  # the market is told that the old one went

        desk.tape.write("exchange", owner, order_id)
        return self._run(owner, order_id, exchange, "exchange_rejected", terms, is_public=False)

    def _run(
        self,
        owner: str | None,
        order_id: int,
        change: Callable[[Order], Refusal | None],
        rejected: str,
        *asked: Any,
        is_public: bool = True,
    ) -> Refusal | None:
        """Process a change in its turn; None while another message is processed, and its listener hears later.

        A refusal is told as `rejected`, after what was `asked` where that is told as well.  The market's watchers are
        told after it, unless what follows from the change does that.
        """
        desk = self._desk
        answer: list[Refusal] = []
        order = desk.orders.get(order_id)
        if order is None or (owner is not None and order.owner != owner):
            return Refusal(Reason.UNKNOWN_ORDER, f"there is no order {order_id}")

        def process() -> None:
            if order.is_open:
                refusal = change(order)
            else:
                refusal = Refusal(Reason.TOO_LATE, f"order {order_id} is {order.status} already")
            if refusal is not None:
                answer.append(refusal)
                desk.tape.write(rejected, order_id, str(refusal.reason))
                desk.tell(rejected, order, *asked, refusal)

        desk.turns.run(desk.market_of(order.listing.id) if is_public else None, process)
        return answer[0] if answer else None

    def replace_now(self, order: Order, changes: Changes) -> Refusal | None:
        """Change a live order within the present turn."""
        desk = self._desk
        given = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not None}
        extra = given.pop("extra", order.extra)
        if given.pop("uncap"):
            given["limit_price"] = None
        given.update({name: None for name in _MAY_BE_TAKEN_AWAY if given.get(name) == 0})
        terms: Terms = msgspec.structs.replace(order.terms, **given)
        lots = 0
        refusal = check_terms(terms, order.listing, desk.now_ns())
        if refusal is None:
            lots = to_lots(terms.quantity, order.listing)
            refusal = self._check(order, terms, lots - order.lots)
        market = desk.market_of(order.listing.id)
        assert market is not None
        is_working = order.held == "" and market.phase is Phase.CONTINUOUS
        if refusal is None and is_working and is_too_keen(market, terms, order.listing):
            refusal = WOULD_TRADE
        leaves = lots - order.filled_lots
        if refusal is None and leaves <= 0:
            refusal = self._check_below_filled(order)
        if refusal is not None:
            return refusal
        old = order.terms
        keeps_place = (
            order.level is not None
            and 0 < leaves <= order.leaves
            and all(getattr(old, name) == getattr(terms, name) for name in _PLACE_TERMS)
            and terms.tif not in (TimeInForce.IOC, TimeInForce.FOK)
        )
        if not keeps_place:
            desk.take_out(order)
        order.terms, order.extra = terms, extra
        if terms.tif is not old.tif or terms.expire_time != old.expire_time:
            desk.set_expiry(order)
        if leaves <= 0:
            self._fill_as_it_is(order)
        elif keeps_place:
            order.least = least_of(terms, order.listing)
            if leaves < order.leaves:
                desk.resize(order, leaves)
            self._told(order)
        else:
            self._enter_anew(order, old, lots, leaves)
        return None

    def _check(self, order: Order, terms: Terms, more: int) -> Refusal | None:
        market = self._desk.market_of(order.listing.id)
        assert market is not None
        regime, price = market.regime, terms.limit_price
        refusal = may_replace(
            market.phase,
            order.terms,
            terms,
            regime.settings,
            None if market.last is None else market.price(market.last),
            is_locked=regime.is_locked(self._desk.now_ns()),
        )
        if refusal is not None:
            return refusal
        if price is not None and price != order.terms.limit_price and regime.refuses(to_ticks(price, order.listing)):
            return Refusal(Reason.BAND, f"the limit {price} is outside the price band")
        if more <= 0:
            return None
        return self._desk.accounts[order.account].check_margin(order.listing, more, order.sign)

    def _check_below_filled(self, order: Order) -> Refusal | None:
        market = self._desk.market_of(order.listing.id)
        assert market is not None
        if market.options.replace_below_filled is ReplaceBelowFilled.FILL:
            return None
        return Refusal(Reason.BELOW_FILLED, f"order {order.id} has traded {order.filled} already")

    def _fill_as_it_is(self, order: Order) -> None:
        desk = self._desk
        desk.count_open(order, -order.leaves)
        order.lots, order.leaves, order.status = order.filled_lots, 0, OrderStatus.FILLED
        desk.forget(order)
        self._told(order)
        desk.links.parent_filled(order, is_complete=True)

    def _enter_anew(self, order: Order, old: Terms, lots: int, leaves: int) -> None:
        desk = self._desk
        terms = order.terms
        desk.set_up(order)
        desk.count_open(order, leaves - order.leaves)
        order.lots, order.leaves, order.reserve = lots, leaves, 0
        if terms.type in NEEDS_TRIGGER and not order.was_elected:
            if any(getattr(old, name) != getattr(terms, name) for name in _TRIGGER_TERMS):
                desk.set_trigger(order)
        elif terms.limit_price is not None and not terms.peg and (terms.limit_price != old.limit_price or old.peg):
            order.price = to_ticks(terms.limit_price, order.listing)
        self._told(order)
        desk.start(order)

    def _told(self, order: Order) -> None:
        desk = self._desk
        desk.touch(order)
        desk.tape.write("replaced", order.id, order.lots, order.price, order.stop_ticks)
        desk.tell("order_replaced", order)


def _nothing() -> None:
    """Make a turn of its own, for what is published after it."""
