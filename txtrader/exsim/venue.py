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
from twisted.logger import Logger

from txtrader.exsim.accounts import Account, Rates
from txtrader.exsim.charges import commission
from txtrader.exsim.daily import Recipe
from txtrader.exsim.desk import Desk
from txtrader.exsim.entry import check_terms, to_lots
from txtrader.exsim.floor import Floor
from txtrader.exsim.house import ACTIVITIES, Activity
from txtrader.exsim.instruments import InstrumentMaster
from txtrader.exsim.listeners import MarketListener, OrderListener
from txtrader.exsim.market import Market, Watch
from txtrader.exsim.orders import Order
from txtrader.exsim.pricing import Greeks
from txtrader.exsim.records import (
    AccountFigures,
    BidAsk,
    Changes,
    Commission,
    DepthRow,
    ExecKind,
    Fill,
    Holding,
    Listing,
    Phase,
    Print,
    ProfitAndLoss,
    Reason,
    Refusal,
    SessionStats,
    SessionTimes,
    Terms,
    Top,
    WhatIf,
)
from txtrader.exsim.tape import Tape
from txtrader.model.market import Bar, BarPeriod
from txtrader.model.order import Side

__all__ = ["Session", "Venue", "Watch"]

ZERO = Decimal(0)


class Session:
    """One participant's presence: orders go in here; they outlive it unless `cancel_on_disconnect`."""

    def __init__(
        self,
        venue: Venue,
        owner: str,
        listener: OrderListener | None,
        accounts: tuple[str, ...],
        cancel_on_disconnect: bool,
    ) -> None:
        self._venue = venue
        self.owner = owner
        self.listener = listener
        self.accounts = accounts
        self.cancel_on_disconnect = cancel_on_disconnect
        self.is_open = True

    def submit(self, terms: Terms) -> Order:
        """Enter an order; see `Venue.submit`."""
        return self._venue.submit_all(self.owner, (terms,), accounts=self.accounts)[0]

    def submit_all(self, terms: Sequence[Terms]) -> list[Order]:
        """Enter orders as one message; see `Venue.submit_all`."""
        return self._venue.submit_all(self.owner, terms, accounts=self.accounts)

    def replace(self, order_id: int, changes: Changes) -> Refusal | None:
        """Change one of the owner's orders."""
        return self._venue.replace(self.owner, order_id, changes)

    def cancel(self, order_id: int) -> Refusal | None:
        """Cancel one of the owner's orders."""
        return self._venue.cancel(self.owner, order_id)

    def mass_cancel(self) -> int:
        """Cancel all live orders of the owner; return how many."""
        return self._venue.mass_cancel(owner=self.owner)

    def close(self) -> None:
        """End the presence; twice is harmless."""
        if self.is_open:
            self.is_open = False
            self._venue.close_session(self)


class Venue:
    """See the module.

    `clock` is the reactor or a `task.Clock`; `now_ns` the wall in integer nanoseconds UTC.  `recipes` says how each
    listing is priced (by id); `cash` what each account begins with, by currency.  `activity` is `none`, `slow`,
    `fast`, or actions a second in each market.  `market_rests`: what a market order could not trade at once rests at
    its last price, so that it fills like a retail broker's; else it is canceled.  Without `has_house` the books are
    empty but for what participants put there.
    """

    _log = Logger()

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
        market_rests: bool = False,
        has_house: bool = True,
        tape: Tape | None = None,
    ) -> None:
        self.clock = clock
        self.now_ns = now_ns
        self.seed = seed
        self.instruments = instruments
        self.rates = rates
        self.tape = tape if tape is not None else Tape(now_ns)
        self._sessions: dict[str, list[Session]] = {}
        self._observers: list[OrderListener] = []
        self._accounts = {
            name: Account(name, rates, amounts, self._mark_listing, self._under_mark) for name, amounts in cash.items()
        }
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
            market_rests=market_rests,
            has_house=has_house,
            on_fill=lambda *facts: self._desk.filled(*facts),
            on_drop=lambda *facts: self._desk.dropped(*facts),
            run=lambda market, action: self._desk.turns.run(market, action),
            on_day=self._day_began,
        )
        self._desk = Desk(
            clock=clock,
            now_ns=now_ns,
            tape=self.tape,
            accounts=self._accounts,
            market_of=self._floor.market,
            day_end=self._floor.day_end,
            tell=self._tell,
            on_idle=self._settle,
            # No order id is used twice, not even by the next run: it counts from the second of the start.
            first_number=1_000_000 + started * 4 % 900_000_000,
            exec_prefix=f"{started & 0xFFFFFFFF:08x}",
        )

    # -- life

    def start(self) -> None:
        """Begin: markets that are asleep wake when somebody looks at them, and act from then on."""
        self.tape.write("start", self.seed)
        self._floor.start()

    def stop(self) -> None:
        """End: no timer is left on the clock; books and accounts can still be read."""
        self._floor.stop()
        self._desk.stop()
        self.tape.write("stop")
        self.tape.flush()

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
    ) -> Session:
        """Let `owner` trade for `accounts` (all of them by default); its orders' facts go to `listener`.

        Orders belong to the owner's name, so that a later session of that name finds them again.
        """
        allowed = tuple(accounts) if accounts is not None else self.accounts()
        session = Session(self, owner, listener, allowed, cancel_on_disconnect)
        self._sessions.setdefault(owner, []).append(session)
        self.tape.write("session", owner)
        return session

    def close_session(self, session: Session) -> None:
        """Take a session's leave; called by `Session.close`."""
        sessions = self._sessions[session.owner]
        sessions.remove(session)
        if not sessions:
            del self._sessions[session.owner]
        self.tape.write("session_end", session.owner)
        if session.cancel_on_disconnect:
            self._mass_cancel(
                Refusal(Reason.DISCONNECT, "the owner's session has ended"), lambda order: order.owner == session.owner
            )

    def add_observer(self, listener: OrderListener) -> None:
        """Tell `listener` all facts of all participants but the house (drop copy, account streams)."""
        self._observers.append(listener)

    def remove_observer(self, listener: OrderListener) -> None:
        """Tell it no more; one that is not there is no error."""
        if listener in self._observers:
            self._observers.remove(listener)

    def _tell(self, name: str, order: Order, *facts: Any) -> None:
        about_order = name != "holding_changed"
        for listener in self._listeners(order.owner):
            self._call(getattr(listener, name), *((order, *facts) if about_order else facts))

    def _listeners(self, owner: str) -> list[OrderListener]:
        own = [session.listener for session in self._sessions.get(owner, ()) if session.listener is not None]
        return own + self._observers

    def _call(self, call: Callable[..., None], *facts: Any) -> None:
        try:
            call(*facts)
        except Exception:  # noqa: BLE001
            # A listener is somebody else's code: its fault must not leave a message half processed.
            self._log.failure("A listener of the venue failed")

    def _settle(self) -> None:
        """Finish what has become quiet: the house puts back what was taken, account streams get their news."""
        self._floor.refill()
        changed = self._desk.executions.changed_accounts
        if not changed:
            return
        accounts = list(changed)
        changed.clear()
        sessions = [session for sessions in self._sessions.values() for session in sessions]
        for account in accounts:
            for session in sessions:
                if session.listener is not None and account in session.accounts:
                    self._call(session.listener.account_changed, account)
            for observer in tuple(self._observers):
                self._call(observer.account_changed, account)

    # -- orders

    def submit(self, owner: str, terms: Terms) -> Order:
        """Enter an order; when this returns all its effects have happened.  Never raises for a refusal."""
        return self.submit_all(owner, (terms,))[0]

    def submit_all(self, owner: str, terms: Sequence[Terms], *, accounts: Sequence[str] | None = None) -> list[Order]:
        """Enter orders as one message (a bracket): all are accepted or refused before the first one works.

        In `parent_id` a negative number -n names the n-th order of this very sequence (-1 is the first).
        """
        return self._desk.submit(owner, terms, accounts if accounts is not None else self.accounts())

    def release(self, order_id: int) -> Refusal | None:
        """Put an order that was entered with `is_held` to work."""
        order = self._desk.orders.get(order_id)
        if order is None:
            return Refusal(Reason.UNKNOWN_ORDER, f"there is no order {order_id}")
        return self._desk.release(order)

    def cancel(self, owner: str | None, order_id: int) -> Refusal | None:
        """Cancel an order (owner None: anybody's); the refusal is told to the listener as well as returned."""
        return self._desk.cancel(owner, order_id, Refusal(Reason.USER, "canceled by its owner"))

    def replace(self, owner: str | None, order_id: int, changes: Changes) -> Refusal | None:
        """Change an order's terms; priority is kept only where nothing but the quantity went down."""
        return self._desk.replace(owner, order_id, changes)

    def mass_cancel(
        self,
        *,
        owner: str | None = None,
        account: str | None = None,
        listing_id: int | None = None,
        side: Side | None = None,
    ) -> int:
        """Cancel all live orders that fit; return how many.  The house's orders are never among them."""
        return self._mass_cancel(
            Refusal(Reason.USER, "canceled with all others"),
            lambda order: (
                (owner is None or order.owner == owner)
                and (account is None or order.account == account)
                and (listing_id is None or order.listing.id == listing_id)
                and (side is None or order.sign == side.sign)
            ),
        )

    def _mass_cancel(self, reason: Refusal, fits: Callable[[Order], bool]) -> int:
        found = [order.id for order in self._desk.live.values() if fits(order)]
        return sum(self._desk.cancel(None, order_id, reason) is None for order_id in found)

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
            refusal = self._desk.check_margin(terms, listing, lots, terms.side.sign)
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

    def live_orders(self, *, owner: str | None = None, account: str | None = None) -> list[Order]:
        """List live orders of all participants but the house, by id."""
        return _of(list(self._desk.live.values()), owner, account)

    def completed_orders(self, *, owner: str | None = None, account: str | None = None) -> list[Order]:
        """List done orders (filled, canceled, rejected, expired), by id."""
        return _of([order for order in self._desk.orders.values() if not order.is_open], owner, account)

    def fills(
        self, *, owner: str | None = None, account: str | None = None, since: int = 0, listing_id: int | None = None
    ) -> list[Fill]:
        """List the fills that stand (a corrected one in its last form, a busted one not), oldest first."""
        return [
            fill
            for fill in self._desk.executions.standing()
            if fill.time >= since
            and (owner is None or fill.owner == owner)
            and (account is None or fill.account == account)
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
        return self._desk.cancel(None, order_id, Refusal(Reason.VENUE, text))

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
        if new_price % listing.tick or new_quantity % listing.step or new_quantity < 0:
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

    def set_phase(self, listing_id: int, phase: Phase) -> None:
        """Halt, close or reopen a market; a halted one takes cancels only."""
        market = self._market(listing_id)
        self._desk.turns.run(market, lambda: market.set_phase(phase))

    def add_screen(self, screen: Callable[[Order], Refusal | None]) -> Callable[[], None]:
        """Ask `screen` about each new order of a participant; a refusal rejects it.  Returns what takes it out."""
        self._desk.screens.append(screen)
        return lambda: self._desk.screens.remove(screen)

    def end_of_day(self) -> int:
        """Expire the DAY orders of every book; return how many."""
        return self._desk.expire_day_orders()

    # -- accounts

    def accounts(self) -> tuple[str, ...]:
        """Return the names of all accounts."""
        return tuple(self._accounts)

    def figures(self, account: str) -> AccountFigures:
        """Return an account's figures at present marks; KeyError for an unknown one."""
        return self._accounts[account].figures()

    def holdings(self, account: str | None = None) -> list[Holding]:
        """List what accounts hold; of one that is named also what it closed today (quantity 0)."""
        names = list(self._accounts) if account is None else [account]
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

    # -- market data

    def watch(self, listing_id: int, listener: MarketListener, *, depth: int = 0) -> Watch:
        """Tell `listener` about the market from now on; with `depth` > 0 also that many rows a side.

        The first `depth_changed` (inserts of all rows) comes before this returns, further ones per message.
        """
        return self._market(listing_id).watch(listener, depth)

    def top(self, listing_id: int) -> Top:
        """Return the best bid and offer."""
        return self._market(listing_id).top()

    def stats(self, listing_id: int) -> SessionStats:
        """Return the session's figures."""
        return self._market(listing_id).stats()

    def depth(self, listing_id: int, rows: int = 10) -> tuple[list[DepthRow], list[DepthRow]]:
        """Return bids and offers, best first."""
        market = self._market(listing_id)
        return market.rows(market.book.bids, rows), market.rows(market.book.asks, rows)

    def last_print(self, listing_id: int) -> Print | None:
        """Return the last trade since the market woke."""
        return self._market(listing_id).last_print()

    def phase(self, listing_id: int) -> Phase:
        """Return what the market does at present."""
        return self._market(listing_id).phase

    def mark(self, listing_id: int) -> Decimal:
        """Return the price at which the venue values the listing now."""
        return self._mark_listing(self._listing(listing_id))

    def greeks(self, listing_id: int) -> Greeks | None:
        """Return an option's model values now; None for anything else."""
        return self._floor.greeks(listing_id)

    def years_to_expiry(self, listing_id: int) -> float:
        """Return the time that an option has left, in years; 0 for anything else."""
        return self._floor.years_to_expiry(listing_id)

    # -- history

    def bars(
        self, listing_id: int, period: BarPeriod, start: int, end: int, *, source: str = "TRADES", regular: bool = True
    ) -> list[Bar]:
        """Return the bars with start <= time < end; `source` is TRADES, MIDPOINT, BID or ASK.

        `regular` keeps to the regular session; else all hours, in which this venue trades as well.
        """
        history = self._floor.history(self._listing(listing_id))
        return history.bars(period, start, end, self.now_ns(), source=source, regular=regular)

    def prints(self, listing_id: int, start: int, end: int, limit: int, *, regular: bool = True) -> list[Print]:
        """Return past trades: the first ones from `start` on, or where it is 0 the last ones before `end`."""
        listing = self._listing(listing_id)
        history = self._floor.history(listing)
        return history.prints(
            listing.id, listing.primary_exchange, start, min(end, self.now_ns()), limit, regular=regular
        )

    def bid_asks(self, listing_id: int, start: int, end: int, limit: int, *, regular: bool = True) -> list[BidAsk]:
        """Return past quotes, one at each past trade; bounds as in `prints`."""
        history = self._floor.history(self._listing(listing_id))
        return history.bid_asks(start, min(end, self.now_ns()), limit, regular=regular)

    def head_time(self, listing_id: int) -> int:
        """Return the earliest instant of which there is history."""
        return self._floor.head_time(self._listing(listing_id))

    def sessions(self, listing_id: int, start: int, end: int, *, regular: bool = True) -> list[SessionTimes]:
        """Return the trading sessions that overlap the window, past and future."""
        found = self._floor.schedule(self._listing(listing_id)).sessions(start, end, regular=regular)
        return [SessionTimes(session.day.strftime("%Y%m%d"), session.start, session.end) for session in found]

    # -- inside

    def _listing(self, listing_id: int) -> Listing:
        listing = self.instruments.get(listing_id)
        if listing is None:
            raise KeyError(listing_id)
        return listing

    def _market(self, listing_id: int) -> Market:
        market = self._floor.market(listing_id)
        if market is None:
            raise KeyError(listing_id)
        return market

    def _mark_listing(self, listing: Listing) -> Decimal:
        return self._floor.mark(listing)

    def _under_mark(self, listing: Listing) -> Decimal:
        under = self.instruments.get(listing.under_id) if listing.under_id is not None else None
        return self._floor.mark(under) if under is not None else ZERO


def _of(orders: list[Order], owner: str | None, account: str | None) -> list[Order]:
    return [
        order
        for order in orders
        if (owner is None or order.owner == owner) and (account is None or order.account == account)
    ]


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"))
