"""What all bots have: a name, a book, properties, parties that trade, timers, and faults that stay at home."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any, ClassVar

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from txtrader.exsim.files import DataFolder
from txtrader.exsim.listeners import OrderListener
from txtrader.exsim.orders import Order
from txtrader.exsim.participants import Session
from txtrader.exsim.properties import Properties, Property
from txtrader.exsim.records import Listing, Terms
from txtrader.exsim.venue import Venue
from txtrader.model.order import OrderType, Side, TimeInForce

__all__ = ["Bot", "round_ticks"]


class Bot:
    """Somebody who acts by itself on one book, from `start` to `stop`, as often as wanted.

    A subclass declares its own `table` of properties (those of its bases are kept) and fills in `begin` and `end`.
    Everything that is called later goes through `guarded` or `later`: an exception there is a record on the tape,
    `fault` says it, and the bot stops; the venue goes on.  `random` is drawn from by this bot alone, so that adding
    another one changes nothing for it.
    """

    table: ClassVar[tuple[Property, ...]] = ()
    _log = Logger()

    def __init__(
        self, venue: Venue, name: str, listing: Listing, given: Mapping[str, Any], files: DataFolder | None = None
    ) -> None:
        self.venue = venue
        self.name = name
        self.listing = listing
        self.files = files or DataFolder(None)
        self.owner = f"bot|{name}"
        self.properties = Properties(self.whole_table(), given)
        self.random = Random(f"{venue.seed}|bot|{name}")
        self.is_running = False
        self.fault = ""
        self._session: Session | None = None
        self._accounts: list[str] = []
        self._timers: dict[IDelayedCall, None] = {}  # an ordered set
        self._undo: list[Callable[[], None]] = []
        self.check()

    @classmethod
    def whole_table(cls) -> tuple[Property, ...]:
        """Return the properties of the class and its bases, the bases' first."""
        return tuple(one for base in reversed(cls.__mro__) for one in vars(base).get("table", ()))

    # -- what a subclass fills in

    def check(self) -> None:
        """Refuse (InvalidArgument) properties that do not go together, at the making and after each change."""

    def begin(self) -> None:
        """Start to act."""

    def end(self) -> None:
        """Stop to act; timers, orders and what `undo_later` was given are dealt with already."""

    def status(self) -> dict[str, Any]:
        """Say how it stands, as plain values; a subclass adds its own."""
        return {"name": self.name, "listing_id": self.listing.id, "is_running": self.is_running, "fault": self.fault}

    # -- life

    def start(self) -> None:
        """Begin; nothing happens if it runs."""
        if self.is_running:
            return
        self.is_running, self.fault = True, ""
        self.venue.tape.write("bot", self.name, "start")
        self._session = self.venue.open_session(self.owner, self.ear(), accounts=self._open_accounts())
        self.guarded(self.begin)()

    def stop(self) -> None:
        """End, and take all its orders out; nothing happens if it does not run."""
        if not self.is_running:
            return
        self.is_running = False
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        while self._undo:
            self._undo.pop()()
        self.venue.mass_cancel(owner=self.owner)
        if self._session is not None:
            self._session.close()
            self._session = None
        self.venue.tape.write("bot", self.name, "stop")
        try:
            self.end()
        except Exception as error:  # noqa: BLE001
            # Its own last words failed: all that the venue needs has been done before them.
            self._note_fault(error)

    def set(self, name: str, value: Any) -> tuple[Any, Any]:
        """Change a property; return the old and the new value.  It holds from the next action on."""
        old, new = self.properties.set(name, value)
        try:
            self.check()
        except Exception:
            self.properties.set(name, old)
            raise
        if new != old:
            self.venue.tape.write("bot_property", self.name, name, None if new is None else str(new))
            self.changed()
        return old, new

    def changed(self) -> None:
        """Hear that a property was changed; a subclass that has planned ahead plans anew."""

    def ear(self) -> OrderListener | None:
        """Return who hears of the bot's own orders; None where nobody has to."""
        return None

    def parties(self) -> int:
        """Return how many accounts the bot trades for."""
        return 1

    # -- what a subclass uses

    def guarded(self, call: Callable[..., None]) -> Callable[..., None]:
        """Wrap a callback: its exception is the bot's end, and nobody else's trouble."""

        def run(*args: Any) -> None:
            if not self.is_running:
                return
            try:
                call(*args)
            except Exception as error:  # noqa: BLE001
                # A bot may be somebody else's code: the message that is being processed must be finished.
                self._fail(error)

        return run

    def _fail(self, error: Exception) -> None:
        self._note_fault(error)
        self.stop()

    def _note_fault(self, error: Exception) -> None:
        self.fault = f"{type(error).__name__}: {error}"
        self._log.failure("The bot {name} failed, and stops", name=self.name)
        self.venue.tape.write("bot_fault", self.name, self.fault)

    def later(self, seconds: Decimal | float, call: Callable[..., None], *args: Any) -> IDelayedCall:
        """Call on the venue's clock, unless the bot stops before."""

        def run() -> None:
            del self._timers[timer]
            self.guarded(call)(*args)

        timer = self.venue.clock.callLater(float(seconds), run)
        self._timers[timer] = None
        return timer

    def forget(self, timer: IDelayedCall | None) -> None:
        """Cancel a timer of `later`, if it has not run."""
        if timer is not None and timer in self._timers:
            del self._timers[timer]
            timer.cancel()

    def undo_later(self, undo: Callable[[], None]) -> None:
        """Have something undone when the bot stops."""
        self._undo.append(undo)

    def observe(self, listener: OrderListener) -> None:
        """Hear of all orders of participants, which bots are not, while the bot runs."""
        self.venue.add_observer(listener)
        self.undo_later(partial(self.venue.remove_observer, listener))

    def is_client(self, order: Order) -> bool:
        """Tell whether an order is a participant's, and of this book."""
        return order.listing.id == self.listing.id and not self.venue.is_bots(order.account)

    def account(self, party: int = 0) -> str:
        """Return the account of a party, counted from 0."""
        return self._accounts[party]

    def held_lots(self, party: int = 0) -> int:
        """Return what a party holds of the book's listing, in signed lots."""
        position = self.venue.open_bot_account(self.account(party)).position(self.listing)
        return int(position.quantity / self.listing.step)

    def reference(self) -> int:
        """Return what the book's source of prices says, in ticks."""
        return int(self.venue.reference(self.listing.id) / self.listing.tick)

    def lots(self, quantity: Decimal) -> int:
        """Return a quantity as lots, rounded down, at least one."""
        return max(1, int(quantity / self.listing.step))

    def submit(
        self,
        sign: int,
        lots: int,
        price: int,
        *,
        party: int = 0,
        tif: TimeInForce = TimeInForce.GTC,
        post_only: bool = False,
    ) -> Order:
        """Enter a limit order, `price` in ticks."""
        assert self._session is not None
        terms = Terms(
            listing_id=self.listing.id,
            account=self.account(party),
            side=Side.BUY if sign > 0 else Side.SELL,
            quantity=lots * self.listing.step,
            type=OrderType.LIMIT,
            limit_price=price * self.listing.tick,
            tif=tif,
            post_only=post_only,
        )
        return self._session.submit(terms)

    def cancel(self, order: Order) -> None:
        """Cancel one of its orders, if it still works."""
        if order.is_open:
            self.venue.cancel(self.owner, order.id)

    def _open_accounts(self) -> list[str]:
        count = self.parties()
        self._accounts = [self.owner if count == 1 else f"{self.owner}|{number + 1}" for number in range(count)]
        for account in self._accounts:
            self.venue.open_bot_account(account)
        return self._accounts


def round_ticks(listing: Listing, ticks: int, sign: int) -> int:
    """Return the nearest price (ticks) that anybody may quote: not above it for a buyer, not below for a seller."""
    if not listing.allows_negative_prices and ticks < 1:
        return max(1, int(listing.tick_at(listing.tick) / listing.tick))
    if len(listing.increments) < 2:
        return ticks
    grid = int(listing.tick_at(ticks * listing.tick) / listing.tick)
    return ticks // grid * grid if sign > 0 else -(-ticks // grid) * grid
