"""The venue: listings, participants, accounts, books, and everything an endpoint may ask of it.

An endpoint opens a session for each of its clients, submits orders and watches markets; what happens comes back as
plain calls (`listeners`).  The venue decides, an endpoint translates.  Everything runs on the clock that was passed
in: with a `task.Clock` the same requests give the same tape, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from twisted.internet.interfaces import IReactorTime

from txtrader.exsim.accounts import Account, BotAccount, Rates
from txtrader.exsim.amend import Amendments
from txtrader.exsim.book_controls import BookControls
from txtrader.exsim.charges import commission
from txtrader.exsim.daily import Recipe
from txtrader.exsim.day_plan import DayPlan
from txtrader.exsim.departures import Departures
from txtrader.exsim.desk import Desk
from txtrader.exsim.entry import check_terms, to_lots, to_ticks
from txtrader.exsim.floor import Floor
from txtrader.exsim.house import ACTIVITIES, Activity
from txtrader.exsim.instruments import InstrumentMaster
from txtrader.exsim.interception import Interception
from txtrader.exsim.interventions import Interventions
from txtrader.exsim.last_look import LastLook
from txtrader.exsim.listeners import OrderListener
from txtrader.exsim.market import Market, Watch
from txtrader.exsim.matchmaking import Matchmaking
from txtrader.exsim.memory import Memory
from txtrader.exsim.options import BookOptions, changed
from txtrader.exsim.orders import Order
from txtrader.exsim.participants import Participants, Session
from txtrader.exsim.phasing import Phasing
from txtrader.exsim.policies.gate import Gate
from txtrader.exsim.policies.policy_book import PolicyBook
from txtrader.exsim.quotes import Quotes
from txtrader.exsim.records import (
    AccountFigures,
    Changes,
    Commission,
    DayEnd,
    Decision,
    ExecKind,
    Fill,
    Holding,
    Listing,
    Phase,
    ProfitAndLoss,
    Reason,
    Refusal,
    Terms,
    WhatIf,
)
from txtrader.exsim.restoring import restore
from txtrader.exsim.tape import Tape
from txtrader.model.order import Side

__all__ = ["Session", "Venue", "Watch"]

ZERO = Decimal(0)
ENDLESS = Decimal(10**15)
"""Cash that no test spends."""


class Venue(BookControls):
    """See the module.

    `clock` is the reactor or a `task.Clock`; `now_ns` the wall in integer nanoseconds UTC.  `recipes` says how each
    listing is priced (by id); `cash` what each account begins with, by currency.  `activity` is `none`, `slow`,
    `fast`, or actions a second in each market.  Without `has_house` the books are empty but for what participants put
    there, and without `has_past` nothing was traded or quoted before.  With `opens_accounts` an account that nobody
    knew is opened by the first order that names it, with means without end.  `state_path` names the file in which
    orders, fills and accounts outlive the process; without it nothing does.  `plan` is the day that the phases follow;
    without it every market trades on until it is told otherwise (`phases`).  `book_options` say how orders match, in
    all books until one is changed: see `options.BOOK_OPTIONS`.
    """

    def __init__(
        self,
        clock: IReactorTime,
        now_ns: Callable[[], int],
        *,
        instruments: InstrumentMaster,
        recipes: dict[int, Recipe],
        cash: dict[str, dict[str, Decimal]],
        rates: Rates,
        seed: int = 1,
        activity: str | float = "slow",
        has_house: bool = True,
        has_past: bool = True,
        opens_accounts: bool = False,
        tape: Tape | None = None,
        state_path: str | None = None,
        plan: DayPlan | None = None,
        **book_options: Any,
    ) -> None:
        self.clock = clock
        self.now_ns = now_ns
        self.seed = seed
        self.instruments = instruments
        self.rates = rates
        self.tape = tape if tape is not None else Tape(now_ns)
        self._participants = Participants()
        self._accounts = {
            name: Account(name, rates, amounts, self._mark_listing, self._under_mark) for name, amounts in cash.items()
        }
        self.opens_accounts = opens_accounts
        started = now_ns() // 1_000_000_000
        rate = ACTIVITIES[activity].rate if isinstance(activity, str) else float(activity)
        self._floor = Floor(
            clock=clock,
            now_ns=now_ns,
            tape=self.tape,
            instruments=instruments,
            recipes=recipes,
            seed=seed,
            activity=Activity(rate),
            options=changed(BookOptions(), book_options),
            on_ask=lambda *facts: self._last_look.asked(*facts),
            on_less=lambda *facts: self._desk.lessened(*facts),
            has_house=has_house,
            has_past=has_past,
            on_fill=lambda *facts: self._desk.filled(*facts),
            on_drop=lambda *facts: self._desk.dropped(*facts),
            run=lambda market, action: self._desk.turns.run(market, action),
            on_day=self._day_began,
            on_wake=lambda market: self.phases.wake(market),
            on_breach=lambda market: self.phases.breached(market),
        )
        self._desk = Desk(
            clock=clock,
            now_ns=now_ns,
            tape=self.tape,
            accounts=self._accounts,
            market_of=self._floor.market,
            day_end=lambda listing, now: self.phases.day_end(listing, now),
            tell=self._participants.tell,
            on_idle=self._settle,
            # No order id is used twice, not even by the next run: it counts from the second of the start.
            first_number=1_000_000 + started * 4 % 900_000_000,
            exec_prefix=f"{started & 0xFFFFFFFF:08x}",
            seed=seed,
        )
        self.phases = Phasing(clock, now_ns, self._desk, self._floor, seed, plan)
        self._amendments = Amendments(self._desk)
        self._matchmaking = Matchmaking(self._desk)
        self._last_look = LastLook(self._desk, clock)
        self._quotes = Quotes(self._desk, self._amendments, self._last_look)
        self.departures = Departures(clock, self._mass_cancel, self._participants.is_here)
        self._interventions = Interventions(self._desk, self._amendments)
        self.gate: Gate | None = None  # where policies answer requests, while there are any
        self.policies = PolicyBook(self, self._desk, self._amendments, self._interventions, self._floor)
        self.memory: Memory | None = None
        if state_path is not None:
            self.memory = Memory(state_path, now_ns)
            restore(self.memory.load(), instruments, self._accounts, self._desk, self._floor)
            self._participants.add_observer(self.memory)

    # -- life

    def start(self) -> None:
        """Begin: markets that are asleep wake when somebody looks at them, and act from then on."""
        self.tape.write("start", self.seed)
        self._floor.start()
        self.phases.start()
        self._desk.resume()

    def stop(self) -> None:
        """End: no timer is left on the clock; books and accounts can still be read."""
        self.policies.stop()
        self._floor.stop()
        self.phases.stop()
        self.departures.stop()
        self._desk.stop()
        self._last_look.stop()
        self.tape.write("stop")
        self.tape.flush()
        if self.memory is not None:
            self.memory.close()

    def set_activity(self, activity: str | float) -> None:
        """Change how busy the house is, in every market, from now on."""
        rate = ACTIVITIES[activity].rate if isinstance(activity, str) else float(activity)
        self._floor.set_activity(Activity(rate))

    # -- participants

    def open_session(
        self,
        owner: str,
        listener: OrderListener | None = None,
        *,
        accounts: Sequence[str] | None = None,
        cancel_on_disconnect: bool = False,
        grace: float = 0.0,
        spares_gtc: bool = False,
    ) -> Session:
        """Let `owner` trade for `accounts` (all of them by default); its orders' facts go to `listener`.

        Orders belong to the owner's name, so that a later session of that name finds them again.  With
        `cancel_on_disconnect` they go `grace` seconds after the session, unless the owner is back by then; GTC orders
        stay where it `spares_gtc`.
        """
        allowed = tuple(accounts) if accounts is not None else self.accounts()
        session = Session(self, owner, listener, allowed, cancel_on_disconnect, grace, spares_gtc)
        self._participants.join(session)
        self.departures.came(owner)
        self.tape.write("session", owner)
        return session

    def close_session(self, session: Session) -> None:
        """Take a session's leave; called by `Session.close`."""
        self._participants.leave(session)
        self.tape.write("session_end", session.owner)
        if session.cancel_on_disconnect:
            self.departures.left(session.owner, grace=session.grace, spares_gtc=session.spares_gtc)

    def add_observer(self, listener: OrderListener) -> None:
        """Tell `listener` all facts of all participants but the house and its bots (drop copy, account streams)."""
        self._participants.add_observer(listener)

    def remove_observer(self, listener: OrderListener) -> None:
        """Tell it no more; one that is not there is no error."""
        self._participants.remove_observer(listener)

    def _settle(self) -> None:
        """Finish what has become quiet: the house puts back what was taken, account streams get their news."""
        if self.memory is not None:
            self.memory.save(self._accounts)
        self._floor.refill()
        changed = self._desk.executions.changed_accounts
        if changed:
            accounts = list(changed)
            changed.clear()
            self._participants.tell_accounts(accounts)

    # -- orders

    def submit(self, owner: str, terms: Terms) -> Order:
        """Enter an order; when this returns all its effects have happened.  Never raises for a refusal."""
        return self.submit_all(owner, (terms,))[0]

    def submit_all(self, owner: str, terms: Sequence[Terms], *, accounts: Sequence[str] | None = None) -> list[Order]:
        """Enter orders as one message (a bracket): all are accepted or refused before the first one works.

        In `parent_id` a negative number -n names the n-th order of this very sequence (-1 is the first).
        """
        if self.opens_accounts:
            for one in terms:
                if one.account and one.account not in self._accounts:
                    self.open_account(one.account)
            accounts = (*(accounts or ()), *self.accounts())  # a bot names its own, which is not public
        known = accounts if accounts is not None else self.accounts()
        if self.gate is not None:
            return self.gate.submit(owner, terms, known)
        return self._desk.submit(owner, terms, known)

    def park(self, owner: str | None, order_id: int) -> Refusal | None:
        """Take a working order (owner None: anybody's) out of the market until `release`; its place is lost."""
        return self._amendments.park(owner, order_id)

    def release(
        self,
        order_id: int,
        decision: Decision = Decision.ACKNOWLEDGE,
        *,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        text: str = "",
    ) -> Refusal | None:
        """Decide about an order that was entered with `is_held`, was parked since, or is parked by a policy.

        `quantity` is what a partial fill trades, `price` at which one trades (by default its limit or the market's),
        `text` what a rejected or canceled one is told.
        """
        order = self._desk.orders.get(order_id)
        if order is None:
            return Refusal(Reason.UNKNOWN_ORDER, f"there is no order {order_id}")
        if self.policies.is_parked(order):
            return self.policies.release(order, decision, quantity, price, text)
        return self._interventions.release(order, decision, quantity, price, text)

    def cancel(self, owner: str | None, order_id: int) -> Refusal | None:
        """Cancel an order (owner None: anybody's); the refusal is told to the listener as well as returned."""
        if self.gate is not None:
            return self.gate.cancel(owner, order_id)
        return self._amendments.cancel(owner, order_id, Refusal(Reason.USER, "canceled by its owner"))

    def replace(self, owner: str | None, order_id: int, changes: Changes) -> Refusal | None:
        """Change an order's terms; priority is kept only where nothing but the quantity went down."""
        if self.gate is not None:
            return self.gate.replace(owner, order_id, changes)
        return self._amendments.replace(owner, order_id, changes)

    def exchange(
        self, owner: str, order_id: int, terms: Terms, *, accounts: Sequence[str] | None = None
    ) -> Refusal | None:
        """Put a new order at once in the place of one of `owner`; where it is refused the old one is canceled as well.

        For wires on which a replace makes another order (OUCH, ITCH): the new one has an id, and a place in the queue,
        of its own.  A refusal is returned only where there is nothing to replace.
        """
        known = accounts if accounts is not None else self.accounts()
        if self.gate is not None:
            return self.gate.exchange(owner, order_id, terms, known)
        return self._amendments.exchange(owner, order_id, terms, known)

    def mass_cancel(
        self,
        *,
        owner: str | None = None,
        account: str | None = None,
        listing_id: int | None = None,
        side: Side | None = None,
    ) -> int:
        """Cancel all live orders that fit; return how many.

        The house's orders are never among them, those of bots only where owner or account is named.
        """
        return self._mass_cancel(
            Refusal(Reason.USER, "canceled with all others"),
            lambda order: (
                self._fits(order, owner, account)
                and (listing_id is None or order.listing.id == listing_id)
                and (side is None or order.sign == side.sign)
            ),
        )

    def _mass_cancel(self, reason: Refusal, fits: Callable[[Order], bool]) -> int:
        found = [order.id for order in self._desk.live.values() if fits(order)]
        return sum(self._amendments.cancel(None, order_id, reason) is None for order_id in found)

    def what_if(self, owner: str, terms: Terms) -> WhatIf:
        """Say what the order would do to margin, and its cost; nothing is stored."""
        account = self._accounts.get(terms.account)
        listing = self.instruments.get(terms.listing_id)
        refusal: Refusal | None = None
        if account is None:
            refusal = Refusal(Reason.UNKNOWN_ACCOUNT, f"account {terms.account} is not open to {owner}")
        elif listing is None:
            refusal = Refusal(Reason.UNKNOWN_INSTRUMENT, f"there is no instrument {terms.listing_id}")
        else:
            refusal = check_terms(terms, listing, self.now_ns())
        initial = maintenance = equity = cost = ZERO
        after = (ZERO, ZERO)
        currency = listing.currency if listing is not None else self.rates.base
        if account is not None:
            initial, maintenance = account.requirements()
            equity = account.equity()
            after = (initial, maintenance)
        if account is not None and listing is not None and refusal is None:
            lots = to_lots(terms.quantity, listing)
            refusal = account.check_margin(listing, lots, terms.side.sign)
            held = account.position(listing).quantity
            new = account.requirement(listing, held + terms.side.sign * terms.quantity)
            old = account.requirement(listing, held)
            after = (initial + new[0] - old[0], maintenance + new[1] - old[1])
            price = terms.limit_price if terms.limit_price is not None else self._mark_listing(listing)
            cost = commission(listing, terms.quantity, abs(price) * terms.quantity * listing.multiplier)
        return WhatIf(
            init_margin_before=_cents(initial),
            init_margin_after=_cents(after[0]),
            maint_margin_before=_cents(maintenance),
            maint_margin_after=_cents(after[1]),
            equity_before=_cents(equity),
            equity_after=_cents(equity - self.rates.to_base(cost, currency) if currency in self.rates else equity),
            commission=cost,
            min_commission=cost,
            max_commission=cost,
            currency=currency,
            refusal=refusal,
        )

    def order(self, order_id: int) -> Order | None:
        """Return an order, live or done."""
        return self._desk.orders.get(order_id)

    def all_orders(self) -> list[Order]:
        """List all participants' orders that are remembered, the newest first."""
        return list(reversed(self._desk.orders.values()))

    def resting(self, listing_id: int) -> list[Order]:
        """List participants' orders that stand in a book: bids, then offers, each side best price and oldest first."""
        book = self._market(listing_id).book
        found = [order for side in (book.bids, book.asks) for level in side for order in level]
        return [order for order in found if isinstance(order, Order)]

    def fill(self, exec_id: str) -> Fill | None:
        """Return a fill that stands; None for one that was revised or never was."""
        return self._desk.executions.get(exec_id)

    def live_orders(self, *, owner: str | None = None, account: str | None = None) -> list[Order]:
        """List live orders by id; those of bots only where owner or account is named, those of the house never."""
        return [order for order in self._desk.live.values() if self._fits(order, owner, account)]

    def completed_orders(self, *, owner: str | None = None, account: str | None = None) -> list[Order]:
        """List done orders (filled, canceled, rejected, expired), by id; of bots as in `live_orders`."""
        return [
            order for order in self._desk.orders.values() if not order.is_open and self._fits(order, owner, account)
        ]

    def fills(
        self, *, owner: str | None = None, account: str | None = None, since: int = 0, listing_id: int | None = None
    ) -> list[Fill]:
        """List the fills that stand (a corrected one in its last form, a busted one not), oldest first.

        Those of bots are listed only where owner or account is named.
        """
        return [
            fill
            for fill in self._desk.executions.standing()
            if fill.time >= since
            and self._fits(fill, owner, account)
            and (listing_id is None or fill.listing_id == listing_id)
        ]

    def commission_of(self, exec_id: str) -> Commission | None:
        """Return what a fill cost."""
        return self._desk.executions.commission_of(exec_id)

    def queue_position(self, order_id: int) -> tuple[Decimal, int] | None:
        """Return quantity and number of orders ahead of a resting order; None if it does not rest."""
        order = self._desk.orders.get(order_id)
        if order is None or order.level is None:
            return None
        market = self._market(order.listing.id)
        lots, orders = market.book.side(order.sign).quantity_ahead(order)
        return market.size(lots), orders

    # -- the venue's own decisions: scripted faults

    def cancel_by_venue(self, order_id: int, text: str) -> Refusal | None:
        """Cancel an order that nobody asked to cancel; `text` says why."""
        return self._amendments.cancel(None, order_id, Refusal(Reason.VENUE, text))

    def bust(self, exec_id: str) -> Fill:
        """Take back an execution, both sides; return the revision of the side named.  KeyError if not in force."""
        return self._revise(exec_id, None, ZERO, ExecKind.BUST)

    def correct(self, exec_id: str, *, price: Decimal | None = None, quantity: Decimal | None = None) -> Fill:
        """Change price or quantity of an execution, both sides; return the revision.  KeyError if not in force."""
        return self._revise(exec_id, price, quantity, ExecKind.CORRECT)

    def _revise(self, exec_id: str, price: Decimal | None, quantity: Decimal | None, kind: ExecKind) -> Fill:
        executions = self._desk.executions
        old = executions.get(exec_id)
        if old is None:
            raise KeyError(exec_id)
        listing = self._listing(old.listing_id)
        new_price = old.price if price is None else price
        new_quantity = old.quantity if quantity is None else quantity
        if (price is not None and price % listing.tick) or new_quantity % listing.step or new_quantity < 0:
            raise ValueError(f"{listing.symbol} cannot trade {new_quantity} at {new_price}")
        revised: dict[str, Fill] = {}

        def process() -> None:
            sides = executions.sides(exec_id)
            for side in sides:
                revised[side] = executions.revise(side, quantity=new_quantity, price=new_price, kind=kind)
            if len(sides) == 1:
                sign = -old.side.sign
                self._floor.revise_house(old.listing_id, sign, old.quantity, old.price, new_quantity, new_price)

        self._desk.turns.run(None, process)
        return revised[exec_id]

    def set_close(self, listing_id: int, price: Decimal) -> None:
        """Say at what price the last session closed."""
        market = self._market(listing_id)
        market.previous_close = to_ticks(price, market.listing)

    def forget(self, listing_id: int) -> None:
        """Let go of the market of a listing that was taken out of `instruments`; it has no live orders."""
        self._floor.forget(listing_id)

    def set_phase(self, listing_id: int | None, phase: Phase) -> None:
        """Move a market (None: all, and those to come) to another phase; see `phases.MOVES`.

        Raises WrongPhase (a ValueError) where one cannot go there; then none has moved.
        """
        self.phases.set_phase(listing_id, phase)

    def halt(self, listing_id: int | None) -> None:
        """Freeze matching at once; what is taken meanwhile is the option `halt_accepts`."""
        self.phases.set_phase(listing_id, Phase.HALT)

    def resume(self, listing_id: int | None, *, by_auction: bool | None = None) -> None:
        """End a halt, directly or by a reopening auction; None: as the option `resume` says."""
        self.phases.resume(listing_id, by_auction=by_auction)

    def add_screen(self, screen: Callable[[Order], Refusal | None]) -> Callable[[], None]:
        """Ask `screen` about each new order of a participant; a refusal rejects it.  Returns what takes it out."""
        self._desk.screens.append(screen)
        return lambda: self._desk.screens.remove(screen)

    @property
    def interception(self) -> Interception:
        """Who stands between orders and the market: see there."""
        return self._desk.interception

    def end_of_day(self) -> DayEnd:
        """Expire the DAY orders of every book and begin the session's figures anew; the others are carried."""
        ended = self.phases.end_of_day()
        self._day_began()
        return ended

    # -- accounts

    def accounts(self) -> tuple[str, ...]:
        """Return the names of all accounts but those of bots."""
        return tuple(name for name, account in self._accounts.items() if account.is_public)

    def open_bot_account(self, name: str) -> Account:
        """Return the account of a bot, made when it is first asked for; ValueError if a participant has that name."""
        account = self._accounts.get(name)
        if account is None:
            account = BotAccount(name, self.rates, {}, self._mark_listing, self._under_mark)
            self._accounts[name] = account
            self._participants.hide(name)
        elif account.is_public:
            raise ValueError(f"{name} is a participant's account")
        return account

    def is_bots(self, account: str) -> bool:
        """Tell whether an account is a bot's."""
        known = self._accounts.get(account)
        return known is not None and not known.is_public

    def open_account(self, name: str, cash: Decimal = ENDLESS) -> None:
        """Open an account with so much cash in the base currency; one that is open stays as it is."""
        if name not in self._accounts:
            amounts = {self.rates.base: cash}
            self._accounts[name] = Account(name, self.rates, amounts, self._mark_listing, self._under_mark)

    def figures(self, account: str) -> AccountFigures:
        """Return an account's figures at present marks; KeyError for an unknown one."""
        return self._accounts[account].figures()

    def holdings(self, account: str | None = None) -> list[Holding]:
        """List what accounts hold; of one that is named also what it closed today (quantity 0)."""
        names = self.accounts() if account is None else (account,)
        found = []
        for name in names:
            owner = self._accounts[name]
            for position in owner.positions.values():
                if position.quantity or (account is not None and (position.realized or position.day_flow)):
                    found.append(owner.holding(position))
        return found

    def profit(self, account: str, listing_id: int | None = None) -> ProfitAndLoss:
        """Return an account's profit in its base currency, or that of one holding in its own."""
        listing = None if listing_id is None else self._listing(listing_id)
        return self._accounts[account].profit(listing)

    def _day_began(self) -> None:
        for account in self._accounts.values():
            account.begin_day()

    # -- the house

    def in_turn(self, listing_id: int, action: Callable[[Market], None]) -> None:
        """Process `action` on a market as one message: what it changes is published once, after it."""
        market = self._market(listing_id)
        self._desk.turns.run(market, lambda: action(market))

    def steer(self, listing_id: int, price: Decimal | None) -> None:
        """Say what a listing is worth from now on, to the nearest tick; None gives it back to its path."""
        listing = self._listing(listing_id)
        self._floor.steer(listing_id, None if price is None else round(price / listing.tick))

    def set_house(self, listing_id: int, is_there: bool) -> None:
        """Send the house out of one market, or let it come back; where there is none nothing happens."""
        self._market(listing_id)
        self._floor.set_house(listing_id, is_there)

    # -- inside

    def _fits(self, fact: Order | Fill, owner: str | None, account: str | None) -> bool:
        """Tell whether an order or fill is of this owner and account; nobody named leaves out the bots."""
        if owner is None and account is None:
            return not self.is_bots(fact.account)
        return (owner is None or fact.owner == owner) and (account is None or fact.account == account)

    def _mark_listing(self, listing: Listing) -> Decimal:
        return self._floor.mark(listing)

    def _under_mark(self, listing: Listing) -> Decimal:
        under = self.instruments.get(listing.under_id) if listing.under_id is not None else None
        return self._floor.mark(under) if under is not None else ZERO


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"))
