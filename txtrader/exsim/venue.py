"""The venue: listings, participants, accounts, books, and everything an endpoint may ask of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

from twisted.internet.interfaces import IReactorTime

from txtrader.exsim.instruments import InstrumentMaster
from txtrader.exsim.listeners import MarketListener, OrderListener
from txtrader.exsim.orders import Order
from txtrader.exsim.records import (
    AccountFigures,
    BidAsk,
    Changes,
    DepthRow,
    Fill,
    Holding,
    Listing,
    Phase,
    Print,
    ProfitAndLoss,
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


class Watch:
    """One listener's interest in one listing; `close` ends it, twice is harmless."""

    def close(self) -> None: ...


class Session:
    """One participant's presence: orders go in here; they outlive it unless `cancel_on_disconnect`."""

    owner: str
    accounts: tuple[str, ...]

    def submit(self, terms: Terms) -> Order: ...
    def submit_all(self, terms: Sequence[Terms]) -> list[Order]: ...
    def replace(self, order_id: int, changes: Changes) -> Refusal | None: ...
    def cancel(self, order_id: int) -> Refusal | None: ...
    def mass_cancel(self) -> int: ...
    def close(self) -> None: ...


class Venue:
    """See the module.  `clock` is the reactor or a `task.Clock`; `now_ns` the wall in integer nanoseconds UTC."""

    clock: IReactorTime
    now_ns: Callable[[], int]
    seed: int
    instruments: InstrumentMaster
    tape: Tape

    # -- life

    def start(self) -> None: ...
    def stop(self) -> None: ...

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

    def add_observer(self, listener: OrderListener) -> None:
        """Tell `listener` all facts of all participants but the house (drop copy, account streams)."""

    def remove_observer(self, listener: OrderListener) -> None: ...

    # -- orders

    def submit(self, owner: str, terms: Terms) -> Order:
        """Enter an order; when this returns all its effects have happened.  Never raises for a refusal."""

    def submit_all(self, owner: str, terms: Sequence[Terms]) -> list[Order]:
        """Enter orders one after the other as one message (a bracket); none sees the others' consequences first.

        In `parent_id` a negative number -n names the n-th order of this very sequence (-1 is the first).
        """

    def release(self, order_id: int) -> Refusal | None:
        """Put an order that was entered with `is_held` to work."""

    def cancel(self, owner: str | None, order_id: int) -> Refusal | None:
        """Cancel an order (owner None: anybody's); the refusal is told to the listener as well as returned."""

    def replace(self, owner: str | None, order_id: int, changes: Changes) -> Refusal | None:
        """Change an order's terms; priority is kept only where nothing but the quantity went down."""

    def mass_cancel(
        self,
        *,
        owner: str | None = None,
        account: str | None = None,
        listing_id: int | None = None,
        side: Side | None = None,
    ) -> int:
        """Cancel all live orders that fit; return how many.  The house's orders are never among them."""

    def what_if(self, owner: str, terms: Terms) -> WhatIf:
        """Say what the order would do to margin, and its cost; nothing is stored."""

    def order(self, order_id: int) -> Order | None: ...
    def live_orders(self, *, owner: str | None = None, account: str | None = None) -> list[Order]:
        """List live orders of all participants but the house, by id."""

    def completed_orders(self, *, owner: str | None = None, account: str | None = None) -> list[Order]:
        """List done orders (filled, canceled, rejected, expired), oldest first."""

    def fills(
        self, *, owner: str | None = None, account: str | None = None, since: int = 0, listing_id: int | None = None
    ) -> list[Fill]:
        """List the fills that stand (a corrected one in its last form, a busted one not), oldest first."""

    def commission_of(self, exec_id: str) -> "Commission | None": ...

    def queue_position(self, order_id: int) -> tuple[Decimal, int] | None:
        """Return quantity and number of orders ahead of a resting order; None if it does not rest."""

    # -- venue's own decisions: scripted faults

    def cancel_by_venue(self, order_id: int, text: str) -> Refusal | None: ...
    def bust(self, exec_id: str) -> Fill: ...
    def correct(self, exec_id: str, *, price: Decimal | None = None, quantity: Decimal | None = None) -> Fill: ...
    def set_phase(self, listing_id: int, phase: Phase) -> None: ...
    def add_screen(self, screen: Callable[[Order], Refusal | None]) -> Callable[[], None]:
        """Ask `screen` about each new order of a participant; a refusal rejects it.  Returns what takes it out."""

    def end_of_day(self) -> int:
        """Expire the DAY orders of every book; return how many."""

    # -- accounts

    def accounts(self) -> tuple[str, ...]: ...
    def figures(self, account: str) -> AccountFigures: ...
    def holdings(self, account: str | None = None) -> list[Holding]:
        """List what accounts hold, also what was closed today (quantity 0) where the account is named."""

    def profit(self, account: str, listing_id: int | None = None) -> ProfitAndLoss: ...

    # -- market data

    def watch(self, listing_id: int, listener: MarketListener, *, depth: int = 0, exchange: str = "") -> Watch:
        """Tell `listener` about the market from now on; with `depth` > 0 also that many rows a side.

        The first `depth_changed` (inserts of all rows) comes before this returns, further ones per message.
        """

    def top(self, listing_id: int) -> Top: ...
    def stats(self, listing_id: int) -> SessionStats: ...
    def depth(self, listing_id: int, rows: int = 10) -> tuple[list[DepthRow], list[DepthRow]]:
        """Return bids and offers, best first."""

    def last_print(self, listing_id: int) -> Print | None: ...
    def phase(self, listing_id: int) -> Phase: ...
    def mark(self, listing_id: int) -> Decimal:
        """Return the price at which the venue values the listing now."""

    # -- history

    def bars(
        self, listing_id: int, period: BarPeriod, start: int, end: int, *, source: str = "TRADES", regular: bool = True
    ) -> list[Bar]:
        """Return the bars with start <= time < end; `source` is TRADES, MIDPOINT, BID or ASK.

        `regular` keeps to the regular session; else all hours, in which this venue trades as well.
        """

    def prints(self, listing_id: int, start: int, end: int, limit: int, *, regular: bool = True) -> list[Print]: ...
    def bid_asks(self, listing_id: int, start: int, end: int, limit: int, *, regular: bool = True) -> list[BidAsk]: ...
    def head_time(self, listing_id: int) -> int: ...
    def sessions(self, listing_id: int, start: int, end: int, *, regular: bool = True) -> list[SessionTimes]: ...
