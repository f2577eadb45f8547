"""The desk: the life of every participant's order, from its terms to its end.

What matching does with a book is in `matching`; here is what an order means to its owner, its account, its group
and its children.  One fact, one call on the listeners.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from functools import partial

import msgspec
from twisted.internet.interfaces import IReactorTime

from txtrader.exsim.accounts import Account
from txtrader.exsim.book import ALL_AT_ONCE, AT_ONCE, RESTS
from txtrader.exsim.charges import commission
from txtrader.exsim.entry import (
    NEEDS_TRIGGER,
    WOULD_TRADE,
    check_terms,
    is_too_keen,
    just_short,
    least_of,
    to_lots,
    to_ticks,
    would_trade,
)
from txtrader.exsim.executions import Executions
from txtrader.exsim.instruments import unlisted
from txtrader.exsim.interception import Interception
from txtrader.exsim.lifetimes import Lifetimes
from txtrader.exsim.links import Links
from txtrader.exsim.market import Market
from txtrader.exsim.matching import Apart
from txtrader.exsim.options import PostOnly, StopOnEntry
from txtrader.exsim.orders import Order
from txtrader.exsim.pegs import Repricing
from txtrader.exsim.phases import may_enter
from txtrader.exsim.records import KeptApart, Listing, Phase, Reason, Refusal, Terms
from txtrader.exsim.reducing import Reducing
from txtrader.exsim.slices import RandomSlices
from txtrader.exsim.tape import Tape
from txtrader.exsim.triggers import trail_stop
from txtrader.exsim.turns import Turns
from txtrader.model.order import OrderStatus, OrderType, TimeInForce

__all__ = ["Desk"]

DONE_ORDERS_KEPT = 100_000
"""How many done orders can still be asked for, with their fills; older ones are forgotten."""
DONE_BOT_ORDERS_KEPT = 1_000
"""The same of bots, who make many and ask seldom: they are not to push out what participants did."""


_KEPT_APART = Refusal(Reason.SELF_TRADE, "it would have traded with an order of its own account")
_DROPPED: dict[Reason, Refusal] = {
    Reason.SELF_TRADE: _KEPT_APART,
    Reason.BAND: Refusal(Reason.BAND, "the price band ends here"),
    Reason.PHASE: Refusal(Reason.PHASE, "it cannot work in the present phase"),
}
_NOTHING_THERE = Refusal(Reason.NO_LIQUIDITY, "there is no price on the other side to take")
_WAITS_UNSEEN = ("auction", "phase", "band")
"""What an order waits for that the market has not had yet."""
_AT_WORK = ("", "reference", "match", "answer")
"""What an order waits for that the market has, or had."""
_OF_THE_DAY = (TimeInForce.DAY, TimeInForce.OPG, TimeInForce.CLS)


class Desk:
    """See the module.

    `market_of(listing_id)` wakes a market and returns it, None for an unknown listing; `day_end(listing, now)` is
    when a DAY order of now ends; `tell(name, order, *facts)` calls the listeners of the order's owner.  From `seed`
    what is random about an order is drawn.
    """

    def __init__(
        self,
        *,
        clock: IReactorTime,
        now_ns: Callable[[], int],
        tape: Tape,
        accounts: dict[str, Account],
        market_of: Callable[[int], Market | None],
        day_end: Callable[[Listing, int], int],
        tell: Callable[..., None],
        on_idle: Callable[[], None],
        first_number: int,
        exec_prefix: str,
        seed: int = 1,
    ) -> None:
        self.now_ns = now_ns
        self.tape = tape
        self.accounts = accounts
        self.market_of = market_of
        self._day_end = day_end
        self.tell = tell
        self._next_number = first_number
        self._lifetimes = Lifetimes(clock, now_ns, self.expire)
        self._seed = seed
        self.links = Links(self)
        self.reducing = Reducing(self)
        self.on_taken_out: Callable[[Order], None] | None = None  # for orders that ask, or wait for an answer
        self.screens: list[Callable[[Order], Refusal | None]] = []
        self.orders: dict[int, Order] = {}
        self.live: dict[int, Order] = {}
        self._done: deque[int] = deque()
        self._done_of_bots: deque[int] = deque()
        self.interception = Interception(self)
        self.repricing = Repricing(self)
        self.turns = Turns(self._elect, self.repricing.look, on_idle)
        self.executions = Executions(exec_prefix, now_ns, accounts, tell, tape)

    # -- in

    def submit(self, owner: str, sequence: Sequence[Terms], known_accounts: Sequence[str]) -> list[Order]:
        """Enter orders as one message: all are accepted or refused first, then those that work go to the market."""
        made = self.make_all(owner, sequence)
        self.turns.run(None, partial(self.accept, list(made), known_accounts))
        return made

    def make_all(self, owner: str, sequence: Sequence[Terms]) -> list[Order]:
        """Make the orders of one message, which are still to be accepted."""
        now = self.now_ns()
        made: list[Order] = []
        for terms in sequence:
            parent_id = terms.parent_id
            if parent_id is not None and parent_id < 0:
                terms = msgspec.structs.replace(terms, parent_id=made[-parent_id - 1].id)
            made.append(self.make_one(owner, terms, now))
        return made

    def accept(self, orders: Sequence[Order], known_accounts: Sequence[str], kept_out: Collection[int] = ()) -> None:
        """Accept or refuse orders that were made, and let those that work follow from the present turn.

        Those that are `kept_out` (by id) are accepted and do not go to the market.
        """
        for order in orders:
            if order.is_open:  # else it was canceled while it was pending
                self._accept(order, known_accounts)
        for order in orders:
            if order.status is OrderStatus.NEW and order.id not in kept_out:
                self.turns.then(self.market_of(order.listing.id), partial(self.start, order))

    def enter_now(self, owner: str, terms: Terms, known_accounts: Sequence[str]) -> Order:
        """Enter an order within the present turn, wholly."""
        order = self.make_one(owner, terms, self.now_ns())
        self._accept(order, known_accounts)
        if order.status is OrderStatus.NEW:
            self.start(order)
        return order

    def make_one(self, owner: str, terms: Terms, now: int) -> Order:
        """Make an order that is still to be accepted."""
        number = self._next_number
        self._next_number += 1
        market = self.market_of(terms.listing_id)
        if market is None:
            listing = unlisted(terms.listing_id)
            refusal: Refusal | None = Refusal(Reason.UNKNOWN_INSTRUMENT, f"there is no instrument {terms.listing_id}")
        else:
            listing = market.listing
            refusal = check_terms(terms, listing, now)
        lots = to_lots(terms.quantity, listing) if refusal is None else 0
        order = Order(number, terms.side.sign, None, lots, listing, owner, terms, now)
        order.end = refusal
        self.orders[number] = order
        self.tape.write(
            "new",
            owner,
            number,
            terms.client_order_id,
            terms.account,
            terms.listing_id,
            str(terms.side),
            str(terms.type),
            terms.quantity,
            terms.limit_price,
            terms.stop_price,
            str(terms.tif),
        )
        return order

    def take_in(self, owner: str, terms: Terms) -> Order:
        """Make an order and accept or refuse it within the present turn; it does not go to the market."""
        order = self.make_one(owner, terms, self.now_ns())
        self._accept(order, (terms.account,))
        return order

    def _accept(self, order: Order, known_accounts: Sequence[str]) -> None:
        refusal = order.end or self._check(order, known_accounts)
        if refusal is not None:
            self._reject(order, refusal)
            return
        terms = order.terms
        self.set_up(order)
        if terms.type in NEEDS_TRIGGER:
            self.set_trigger(order)
        elif terms.limit_price is not None and terms.type is OrderType.LIMIT and not terms.peg:
            order.price = to_ticks(terms.limit_price, order.listing)
        parent = order.parent
        if parent is not None:
            parent.children.append(order)
            if not order.oca_group:
                order.oca_group, order.oca_type = str(parent.id), 3
        if order.oca_group:
            self.links.join(order)
        order.status = OrderStatus.NEW
        order.held = self._what_holds(order)
        self.live[order.id] = order
        if terms.reduce_only:
            self.reducing.add(order)
        self.count_open(order, order.leaves)
        self.set_expiry(order)
        self.tape.write("ack", order.id, order.held)
        self.tell("order_accepted", order)

    def set_up(self, order: Order) -> None:
        """Tell the book what the terms say of showing, resting and trading; the order must not rest."""
        terms, listing = order.terms, order.listing
        order.display = 0
        if terms.display_low is not None and terms.display_high is not None:
            low, order.display = to_lots(terms.display_low, listing), to_lots(terms.display_high, listing)
            if order.slices is None:
                order.slices = RandomSlices(low, order.display, f"{self._seed}|slices|{order.id}")
            order.slices.low, order.slices.high = low, order.display
        elif terms.display_quantity is not None and terms.display_quantity < terms.quantity:
            order.display = to_lots(terms.display_quantity, listing)
        order.life = _LIVES.get(terms.tif, RESTS)
        order.least = least_of(terms, listing)
        order.is_hidden, order.is_asked = terms.hidden, terms.last_look
        order.is_special = order.is_hidden or order.is_asked or order.least > 0

    def set_expiry(self, order: Order) -> None:
        terms = order.terms
        if terms.tif in _OF_THE_DAY:
            order.expire_time = self._day_end(order.listing, self.now_ns())
        else:
            order.expire_time = terms.expire_time if terms.tif is TimeInForce.GTD else None
        if order.expire_time is not None:
            self._lifetimes.add(order)

    def _check(self, order: Order, known_accounts: Sequence[str]) -> Refusal | None:
        terms = order.terms
        if terms.account not in known_accounts or terms.account not in self.accounts:
            return Refusal(Reason.UNKNOWN_ACCOUNT, f"account {terms.account} is not open to {order.owner}")
        market = self.market_of(order.listing.id)
        assert market is not None
        refusal = self._check_entry(market, terms)
        if refusal is not None:
            return refusal
        if terms.type.is_trailing and market.last is None and not market.previous_close:
            return Refusal(Reason.PRICE, "there is no price yet that the order could trail")
        if terms.parent_id is not None:
            parent = self.orders.get(terms.parent_id)
            if parent is None or parent.owner != order.owner:
                return Refusal(Reason.LINKED, f"there is no order {terms.parent_id} to wait for")
            if not parent.is_open and parent.status is not OrderStatus.FILLED:
                return Refusal(Reason.LINKED, f"order {parent.id}, which this one waits for, is {parent.status}")
            order.parent = parent
        held = self._what_holds(order)
        is_on = market.phase is Phase.CONTINUOUS
        if not terms.is_held and order.parent is None and is_on and is_too_keen(market, terms, order.listing):
            return WOULD_TRADE
        is_alone = market.options.auto_match and self._best_other(market, order) is None
        if terms.to_limit and held == "" and is_on and is_alone:
            return _NOTHING_THERE
        if held == "trigger" and market.options.stop_on_entry is StopOnEntry.REJECT and terms.stop_price is not None:
            order.stop_ticks = to_ticks(terms.stop_price, order.listing)
            if self._is_reached(market, order):
                return Refusal(Reason.TRIGGER_REACHED, f"the trigger {terms.stop_price} is reached already")
        for screen in tuple(self.screens):
            refusal = screen(order)
            if refusal is not None:
                return refusal
        if terms.reduce_only and held in ("", "trigger"):
            refusal = self.reducing.cut_new(order)
            if refusal is not None:
                return refusal
        return self.accounts[terms.account].check_margin(order.listing, order.leaves, order.sign)

    def _check_entry(self, market: Market, terms: Terms) -> Refusal | None:
        """Check a new order against the market's phase and its static band."""
        regime, last, price = market.regime, market.last, terms.limit_price
        refusal = may_enter(market.phase, terms, regime.settings, None if last is None else market.price(last))
        if refusal is not None:
            return refusal
        if price is not None and regime.refuses(to_ticks(price, market.listing)):
            return Refusal(Reason.BAND, f"the limit {price} is outside the price band")
        return None

    @staticmethod
    def _would_trade(market: Market, terms: Terms) -> bool:
        return market.phase is Phase.CONTINUOUS and would_trade(market, terms, market.listing)

    @staticmethod
    def check_phase(market: Market) -> Refusal | None:
        """Refuse what is done in continuous trading alone."""
        if market.phase is Phase.CONTINUOUS:
            return None
        return Refusal(Reason.CLOSED, f"{market.listing.symbol} takes no orders now: {market.phase}")

    def _what_holds(self, order: Order) -> str:
        if order.terms.is_held:
            return "release"
        parent = order.parent
        if parent is not None and parent.status is not OrderStatus.FILLED:
            has_begun = order.terms.after_first and parent.filled_lots > 0
            if not has_begun:
                return "parent"
        if order.terms.type in NEEDS_TRIGGER:
            return "trigger"
        market = self.market_of(order.listing.id)
        assert market is not None
        return market.regime.waits_for(order)

    @staticmethod
    def _best_other(market: Market, order: Order) -> int | None:
        return market.book.best_price(-order.sign)

    @staticmethod
    def _is_reached(market: Market, order: Order) -> bool:
        price = market.trigger_price(order.sign)
        return price is not None and market.triggers.is_reached(order, price)

    def set_trigger(self, order: Order) -> None:
        terms = order.terms
        if not terms.type.is_trailing:
            assert terms.stop_price is not None
            order.stop_ticks = to_ticks(terms.stop_price, order.listing)
            return
        market = self.market_of(order.listing.id)
        assert market is not None
        best = market.trigger_price(order.sign)
        if best is None:
            best = market.last if market.last is not None else market.previous_close
        order.trail_best = best
        order.stop_ticks = (
            to_ticks(terms.stop_price, order.listing) if terms.stop_price is not None else trail_stop(order, best)
        )

    # -- from the last run

    def restore(self, orders: dict[int, Order]) -> None:
        """Take over the orders of an earlier run; `resume` puts the live ones to work."""
        self.orders.update(orders)
        for order in orders.values():
            self._next_number = max(self._next_number, order.id + 1)
            if not order.is_open:
                self._done.append(order.id)
            else:
                self.set_up(order)
                self.live[order.id] = order
                if order.terms.reduce_only:
                    self.reducing.add(order)
                if order.oca_group:
                    self.links.join(order)
                self.count_open(order, order.leaves)

    def resume(self) -> None:
        """Put the live orders of an earlier run to work again, oldest first; those whose time is over expire."""
        for order in list(self.live.values()):
            if order.expire_time is not None:
                self._lifetimes.add(order)
                if order.expire_time < self.now_ns():
                    continue
            self.tape.write("resume", order.id, order.leaves)
            self.turns.run(self.market_of(order.listing.id), partial(self.start, order))
        self._lifetimes.expire()

    # -- to work

    def start(self, order: Order) -> None:
        """Send an accepted order where it belongs: to the market, to wait for its trigger, or nowhere yet."""
        if not order.is_open or order.level is not None:
            return
        market = self.market_of(order.listing.id)
        assert market is not None
        if order.held == "trigger":
            if market.phase is Phase.CONTINUOUS and self._is_reached(market, order):
                self._elect(market, order)
            else:
                market.triggers.add(order)
        elif order.held in _AT_WORK or order.held in _WAITS_UNSEEN:
            self._enter(market, order)

    def _enter(self, market: Market, order: Order) -> None:
        """Let an order into the market, or let it wait unseen for the phase that it can work in."""
        held = market.regime.waits_for(order)
        if held:
            order.held = held
            market.regime.park(order)
            self.tape.write("wait", order.id, held)
            return
        if order.held in _WAITS_UNSEEN:
            market.regime.forget(order)
            order.held = ""
            self.touch(order)
            self.tape.write("activate", order.id, "")
            self.tell("order_activated", order)
        order.held = ""
        self._begin(market, order)

    def _begin(self, market: Market, order: Order) -> None:
        terms = order.terms
        if terms.reduce_only and not self.reducing.fit(order):
            return
        if terms.post_only and terms.limit_price is not None:
            order.price = to_ticks(terms.limit_price, order.listing)
        if self._would_trade(market, terms):
            if market.options.post_only is PostOnly.REJECT:  # it waited, or came with others
                self.end(order, OrderStatus.CANCELED, WOULD_TRADE)
                return
            order.price = just_short(market, order.sign)
            self.tape.write("slide", order.id, order.price)
        if terms.peg:
            self.repricing.enter(market, order)
        else:
            self.work(market, order)

    def work(self, market: Market, order: Order) -> None:
        """Let an order trade, and rest or end, as its book has it."""
        if not market.options.auto_match and (order.price is None or order.life):
            order.held = "match"
            self.tape.write("held", order.id, order.held)
            return
        if order.terms.to_limit and order.price is None and market.phase is Phase.CONTINUOUS:
            order.price = self._best_other(market, order)
            if order.price is None:
                self.end(order, OrderStatus.CANCELED, _NOTHING_THERE)
                return
        # Who stands between orders and the market is not asked in an auction.
        if market.phase is not Phase.CONTINUOUS or self.interception.passes(order):
            market.enter(order)

    def _elect(self, market: Market, order: Order) -> None:
        if not order.is_open or order.held != "trigger":
            return
        if market.phase is not Phase.CONTINUOUS:
            market.put_off(order)
            return
        terms = order.terms
        order.held = ""
        order.was_elected = True
        assert order.stop_ticks is not None
        if terms.type is OrderType.TRAILING_STOP_LIMIT and terms.limit_offset is not None:
            order.price = order.stop_ticks + order.sign * int(terms.limit_offset / order.listing.tick)
        elif terms.limit_price is not None and (terms.type.needs_limit or terms.type is OrderType.TRAILING_STOP_LIMIT):
            order.price = to_ticks(terms.limit_price, order.listing)
        self.touch(order)
        self.tape.write("elect", order.id, order.stop_ticks, order.price)
        self.tell("order_activated", order)
        if not order.terms.reduce_only or self.reducing.fit(order):
            self.work(market, order)

    def activate(self, order: Order) -> None:
        """Let an order work that waited for its parent or for its release."""
        if not order.is_open or order.held not in ("parent", "release"):
            return
        order.held = ""
        if order.terms.type in NEEDS_TRIGGER and not order.was_elected:
            if order.terms.type.is_trailing:
                self.set_trigger(order)
            order.held = "trigger"
        self.count_open(order, order.leaves)
        self.touch(order)
        self.tape.write("activate", order.id, order.held)
        self.tell("order_activated", order)
        self.start(order)

    def release(self, order: Order) -> Refusal | None:
        """Put a held order to work."""
        if not order.is_open or order.held != "release":
            return Refusal(Reason.TOO_LATE, f"order {order.id} is not held")
        market = self.market_of(order.listing.id)
        parent = order.parent
        if parent is not None and parent.is_open:
            order.held = "parent"
            return None
        self.turns.run(market, lambda: self.activate(order))
        return None

    # -- executions

    def filled(self, order: Order, lots: int, price: int, number: int, is_aggressor: bool) -> None:
        """Take in one execution; `order.leaves` is after it already."""
        listing = order.listing
        quantity = lots * listing.step
        order.filled_lots += lots
        order.notional += lots * price
        order.last_price = price * listing.tick
        order.average = Decimal(order.notional) / order.filled_lots * listing.tick
        order.status = OrderStatus.PARTIALLY_FILLED if order.leaves else OrderStatus.FILLED
        self.touch(order)
        self.count_open(order, -lots)
        if not order.leaves:
            self.forget(order)
        total = commission(
            listing, order.filled, abs(Decimal(order.notional)) * listing.tick * listing.step * listing.multiplier
        )
        charged = total - order.commission
        order.commission = total
        self.executions.add(order, quantity, order.last_price, number, charged, is_aggressor=is_aggressor)
        if order.oca_group:
            self.links.traded(order, order.leaves + lots, order.leaves)
        if order.children:
            self.links.parent_filled(order, is_complete=not order.leaves)
        self.reducing.traded(order)

    def resize(self, order: Order, leaves: int) -> None:
        """Make less of an order, keeping its place."""
        less = order.leaves - leaves
        self.count_open(order, -less)
        if order.level is not None:
            market = self.market_of(order.listing.id)
            assert market is not None
            market.book.reduce(order, less)
        else:
            order.leaves = leaves
        order.lots -= less

    # -- ends

    def dropped(self, order: Order, reason: Reason, apart: Apart | None = None) -> None:
        """Take in that matching canceled the rest of an order: it may not rest, or not trade with its own."""
        refusal = _DROPPED.get(reason)
        if reason is Reason.SELF_TRADE:
            refusal = _kept_apart(order, order.leaves, apart)
        elif refusal is None:
            refusal = Refusal(reason, "nothing more to trade with at once")
        self.end(order, OrderStatus.CANCELED, refusal)

    def lessened(self, order: Order, lots: int, apart: Apart | None = None) -> None:
        """Take in that an order lost lots against one of its own key, without a trade."""
        self.count_open(order, -lots)
        order.lots -= lots
        self.touch(order)
        self.tape.write("restate", order.id, order.lots)
        self.tell("order_restated", order, _kept_apart(order, lots, apart))

    def _reject(self, order: Order, refusal: Refusal) -> None:
        order.status = OrderStatus.REJECTED
        self._note_done(order)
        order.end = refusal
        self.touch(order)
        self.tape.write("reject", order.id, str(refusal.reason), refusal.text)
        self.tell("order_rejected", order, refusal)

    def take_out(self, order: Order) -> None:
        """Take a live order out of the book, or from among those that wait for a price."""
        market = self.market_of(order.listing.id)
        assert market is not None
        if order.level is not None:
            market.book.remove(order)
        elif order.held == "trigger":
            market.withdraw(order)
        else:
            market.regime.forget(order)
        if order.terms.peg:
            market.pegs.discard(order)
        if (order.is_asked or order.held == "answer") and self.on_taken_out is not None:
            self.on_taken_out(order)

    def end(self, order: Order, status: OrderStatus, reason: Refusal) -> None:
        was_pending = order.status is OrderStatus.PENDING_NEW  # never accepted: it was not counted as open
        order.status = status
        order.end = reason
        if not was_pending:
            self.count_open(order, -order.leaves)
        self.forget(order)
        self.touch(order)
        self.tape.write("end", order.id, str(status), str(reason.reason), order.filled_lots)
        if status is OrderStatus.EXPIRED:
            self.tell("order_expired", order)
        else:
            self.tell("order_canceled", order, reason)
        self.links.parent_ended(order)

    def forget(self, order: Order) -> None:
        self.live.pop(order.id, None)
        self.links.leave(order)
        if order.promised and self.on_taken_out is not None:  # somebody matched it by hand
            self.on_taken_out(order)
        if order.terms.reduce_only:
            self.reducing.discard(order)
        if order.terms.peg:
            market = self.market_of(order.listing.id)
            assert market is not None
            market.pegs.discard(order)
        self._note_done(order)

    def _note_done(self, order: Order) -> None:
        """Remember a done order among the others, and forget the oldest beyond the bound.

        A bot's order that traded with a participant is kept as long as a participant's: the trade may be busted.
        """
        account = self.accounts.get(order.account)  # a rejected order may name one that there is not
        if account is None or account.is_public:
            self._done.append(order.id)
        else:
            self._done_of_bots.append(order.id)
            if len(self._done_of_bots) > DONE_BOT_ORDERS_KEPT:
                oldest = self._done_of_bots.popleft()
                if self.executions.met_public(self.orders[oldest]):
                    self._done.append(oldest)
                else:
                    self._forget_done(oldest)
        if len(self._done) > DONE_ORDERS_KEPT:
            self._forget_done(self._done.popleft())

    def _forget_done(self, order_id: int) -> None:
        oldest = self.orders.pop(order_id)
        oldest.parent = None
        oldest.children.clear()
        self.executions.forget(oldest)

    def reopen(self, order: Order) -> None:
        """Make a done order live again without a word, for a venue that trades with it all the same."""
        self._done.remove(order.id)
        order.status = OrderStatus.PARTIALLY_FILLED if order.filled_lots else OrderStatus.NEW
        self.live[order.id] = order
        self.count_open(order, order.leaves)

    def touch(self, order: Order) -> None:
        order.update_time = self.now_ns()

    def count_open(self, order: Order, lots: int) -> None:
        """Keep the account's sum of what its working orders may still trade."""
        if order.held in ("parent", "release"):
            return
        position = self.accounts[order.account].position(order.listing)
        quantity = lots * order.listing.step
        if order.sign > 0:
            position.open_buy += quantity
        else:
            position.open_sell += quantity

    def expire(self, order: Order) -> None:
        """End an order whose time is over."""

        def process() -> None:
            if order.is_open:
                self.take_out(order)
                self.end(order, OrderStatus.EXPIRED, Refusal(Reason.EXPIRED, "the order's time is over"))

        self.turns.run(self.market_of(order.listing.id), process)

    def expire_day_orders(self) -> int:
        """End every order that is good for the day now; return how many."""
        due = [order for order in self.live.values() if order.tif in _OF_THE_DAY]
        for order in due:
            self.expire(order)
        return len(due)

    def stop(self) -> None:
        """Leave no timer behind."""
        self._lifetimes.stop()


_LIVES: dict[TimeInForce, int] = {TimeInForce.IOC: AT_ONCE, TimeInForce.FOK: ALL_AT_ONCE}


def _kept_apart(order: Order, lots: int, apart: Apart | None) -> Refusal:
    """Say why an order lost lots to its own key, and what trade that prevented, where matching knows it."""
    if apart is None:
        return _KEPT_APART
    listing = order.listing
    return KeptApart(
        _KEPT_APART.reason,
        _KEPT_APART.text,
        quantity=lots * listing.step,
        prevented=apart.lots * listing.step,
        price=apart.price * listing.tick,
        liquidity="removed" if apart.is_aggressor else "added",
    )
