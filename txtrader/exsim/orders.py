"""The venue's live order: what the book needs in integers, and what everyone else reads in decimals."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from txtrader.exsim.book import BookOrder
from txtrader.exsim.records import Listing, Refusal, Terms
from txtrader.exsim.slices import RandomSlices
from txtrader.model.order import OrderStatus, OrderType, Side, TimeInForce

__all__ = ["HouseOrder", "Order"]

ZERO = Decimal(0)


class HouseOrder(BookOrder):
    """An order of the venue's own participants (makers, noise): quick to make, with no account to ask."""

    __slots__ = ()
    is_house = True


class Order(BookOrder):
    """One participant's order, live: it changes as facts happen.

    `id` is the venue's own, unique for ever.  `held` says what an accepted order waits for: `trigger` (a stop not
    elected), `parent` (its parent has not filled), `release` (entered with `is_held`), `reference` (pegged to a price
    that there is not), `match` (what cannot rest, in a book without `auto_match`), `answer` (it met a last-look quote),
    or nothing.  `terms` are those in force; `extra` what the endpoint hung on it.  `place` counts the places in the
    book's queues in the order in which they were taken, 0 before the first.
    """

    __slots__ = (
        "average",
        "children",
        "commission",
        "end",
        "entry_time",
        "exec_ids",
        "expire_time",
        "extra",
        "filled_lots",
        "held",
        "id",
        "is_asked",
        "is_hidden",
        "last_price",
        "least",
        "listing",
        "lots",
        "notional",
        "oca_group",
        "oca_type",
        "owner",
        "parent",
        "promised",
        "refused_by",
        "slices",
        "status",
        "stop_ticks",
        "terms",
        "trail_best",
        "update_time",
        "was_elected",
    )
    is_house = False
    may_wait = True

    def __init__(
        self, number: int, sign: int, price: int | None, lots: int, listing: Listing, owner: str, terms: Terms, now: int
    ) -> None:
        super().__init__(number, sign, price, lots)
        self.id = number
        self.listing = listing
        self.owner = owner
        self.terms = terms
        self.extra: Any = terms.extra
        self.key = terms.self_trade_id or terms.account
        self.lots = lots
        self.filled_lots = 0
        self.notional = 0  # sum of ticks x lots over the executions
        self.last_price: Decimal | None = None
        self.average = ZERO
        self.commission = ZERO
        self.status = OrderStatus.PENDING_NEW
        self.held = ""
        self.is_hidden = self.is_asked = False
        self.least = self.promised = 0
        self.slices: RandomSlices | None = None
        self.refused_by: tuple[int, ...] = ()
        self.end: Refusal | None = None
        self.stop_ticks: int | None = None
        self.trail_best: int | None = None
        self.was_elected = False
        self.parent: Order | None = None
        self.children: list[Order] = []
        self.exec_ids: list[str] = []
        self.oca_group = terms.oca_group
        self.oca_type = terms.oca_type
        self.entry_time = now
        self.expire_time: int | None = None
        self.update_time = now

    # -- what an endpoint reads

    @property
    def client_order_id(self) -> str:
        return self.terms.client_order_id

    @property
    def account(self) -> str:
        return self.terms.account

    @property
    def side(self) -> Side:
        return self.terms.side

    @property
    def type(self) -> OrderType:
        return self.terms.type

    @property
    def tif(self) -> TimeInForce:
        return self.terms.tif

    @property
    def quantity(self) -> Decimal:
        """The total, executions included."""
        return self.lots * self.listing.step

    @property
    def filled(self) -> Decimal:
        return self.filled_lots * self.listing.step

    @property
    def remaining(self) -> Decimal:
        """What is still open; 0 once the order is done."""
        return self.leaves * self.listing.step if self.is_open else ZERO

    @property
    def average_price(self) -> Decimal:
        """The average price of the executions, 0 before the first."""
        return self.average

    @property
    def limit_price(self) -> Decimal | None:
        """The limit in force; an elected trailing stop limit has one that its terms did not name."""
        is_market = self.terms.type in (OrderType.MARKET, OrderType.STOP, OrderType.MARKET_IF_TOUCHED)
        if self.price is None or (is_market and not self.terms.to_limit):
            return self.terms.limit_price
        return self.price * self.listing.tick

    @property
    def stop_price(self) -> Decimal | None:
        """The stop in force; it moves while an order trails."""
        return None if self.stop_ticks is None else self.stop_ticks * self.listing.tick

    @property
    def is_open(self) -> bool:
        return not self.status.is_terminal

    @property
    def rests(self) -> bool:
        """Tell whether the order stands in the book."""
        return self.level is not None
