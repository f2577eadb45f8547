"""The venue's records: what is listed, what is asked of the venue, and what it says.

Prices and quantities are `Decimal` here, in the listing's currency and unit; integer ticks and lots live inside the
book only.  Instants are integer nanoseconds UTC of the venue's clock.  Words for sides, order types, time in force
and order status are those of `txtrader.model`; an endpoint translates them into its wire's words.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from txtrader.model.instrument import PriceIncrement, SecType
from txtrader.model.order import OrderType, Side, TimeInForce

__all__ = [
    "AccountFigures",
    "BidAsk",
    "BookSnapshot",
    "Changes",
    "Commission",
    "DayEnd",
    "Decision",
    "DepthRow",
    "ExecKind",
    "Fill",
    "Holding",
    "Indicative",
    "KeptApart",
    "Listing",
    "LookRequest",
    "Phase",
    "Print",
    "ProfitAndLoss",
    "Reason",
    "Refusal",
    "RowChange",
    "SessionStats",
    "SessionTimes",
    "ShownOrder",
    "Terms",
    "Top",
    "WhatIf",
]


class Listing(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One instrument as the venue lists it.

    `id` is unique and stable for ever.  `symbol` is the root (IBM, ES, EUR); `currency` is what prices are in (for
    the pair EUR/USD: symbol EUR, currency USD).  `tick` is the finest price step, `increments` the steps by price
    band (ascending `low_edge`, magnitude of the price), known as rule number `rule_id`.  `step` is the quantity
    step, `min_quantity` the least order.  `expiry` is YYYYMMDD or empty, `contract_month` YYYYMM or empty, `right`
    C, P or empty.  `schedule` names the trading hours (`txtrader.exsim.hours`).  `under_id` is the listing that a
    derivative hangs on.
    """

    id: int
    symbol: str
    sectype: SecType
    currency: str
    exchange: str
    primary_exchange: str
    valid_exchanges: tuple[str, ...]
    local_symbol: str
    trading_class: str
    long_name: str
    tick: Decimal
    increments: tuple[PriceIncrement, ...]
    rule_id: int
    schedule: str
    time_zone: str
    step: Decimal = Decimal(1)
    min_quantity: Decimal = Decimal(1)
    suggested_step: Decimal = Decimal(1)
    multiplier: Decimal = Decimal(1)
    expiry: str = ""
    contract_month: str = ""
    strike: Decimal | None = None
    right: str = ""
    under_id: int | None = None
    under_symbol: str = ""
    under_sectype: SecType | None = None
    stock_type: str = ""
    industry: str = ""
    category: str = ""
    subcategory: str = ""
    isin: str = ""
    order_types: tuple[OrderType, ...] = tuple(OrderType)
    is_tradeable: bool = True

    @property
    def allows_negative_prices(self) -> bool:
        """Tell whether a price below zero makes sense here."""
        return self.sectype in (SecType.FUTURE, SecType.FUTURE_OPTION, SecType.COMBO)

    def tick_at(self, price: Decimal) -> Decimal:
        """Return the price step that holds at `price`; its magnitude decides."""
        tick = self.tick
        size = abs(price)
        for band in self.increments:
            if band.low_edge > size:
                break
            tick = band.increment
        return tick


class Reason(StrEnum):
    """Why the venue refused or ended something; one word per cause, so that each wire can map it to its own."""

    UNKNOWN_INSTRUMENT = "unknown-instrument"
    UNKNOWN_ACCOUNT = "unknown-account"
    UNKNOWN_ORDER = "unknown-order"
    UNSUPPORTED = "unsupported"  # order type, time in force or term that this listing does not take
    PRICE_TICK = "price-tick"  # not a multiple of the tick
    PRICE = "price"  # missing, negative or absurd
    QUANTITY = "quantity"  # missing, zero, not a multiple of the step, too small
    EXPIRE_TIME = "expire-time"  # in the past or missing
    BUYING_POWER = "buying-power"
    DUPLICATE = "duplicate"
    LINKED = "linked"  # the parent is unknown or dead
    CLOSED = "closed"  # the venue or the book takes no orders now
    NO_LIQUIDITY = "no-liquidity"  # market order without other side, IOC or FOK remainder
    TOO_LATE = "too-late"  # already done
    PENDING = "pending"  # another request is under way
    USER = "user"  # asked for by the owner
    REPLACED = "replaced"  # another order of the owner stands in its place
    GROUP = "group"  # another order of the group traded
    PARENT = "parent"  # the parent ended
    DISCONNECT = "disconnect"
    EXPIRED = "expired"
    WOULD_TRADE = "would-trade"  # post-only, and the other side is there
    SELF_TRADE = "self-trade"  # it would have traded with its own account
    PHASE = "phase"  # not in the present phase of the book
    AUCTION = "auction"  # it was for an auction that is over, or not for one that begins
    BAND = "price-band"  # priced, or about to trade, outside the band
    NOTHING_TO_CLOSE = "nothing-to-close"  # reduce-only, and the account's position is closed
    TRIGGER_REACHED = "trigger-reached"  # the book refuses stops that would be elected at once
    BELOW_FILLED = "below-filled"  # a replace to less than is done already, where that is refused
    VENUE = "venue"  # decided by the venue's operator or a scripted fault


class Decision(StrEnum):
    """What becomes of an order that is held or parked."""

    ACKNOWLEDGE = "acknowledge"  # it is accepted, and works
    REJECT = "reject"
    FILL = "fill"  # it trades with the house, all of it
    PARTIALLY_FILL = "partially_fill"  # a part of it does, the rest works
    CANCEL = "cancel"


class SelfTrade(StrEnum):
    """What happens when two orders of one key would trade with each other."""

    NONE = "none"  # they trade
    NEWEST = "newest"  # the incoming one's rest is canceled, and never rests
    OLDEST = "oldest"  # the resting one is canceled, and matching goes on
    BOTH = "both"
    DECREMENT = "decrement"  # both lose the smaller quantity without a trade; one with nothing left is canceled


class Refusal(msgspec.Struct, frozen=True):
    """A `reason` and one line of text for a person."""

    reason: Reason
    text: str


class KeptApart(Refusal, frozen=True, kw_only=True):
    """What an order lost (`quantity`) because it would have traded with its own key.

    `prevented` is what would have traded, `price` and `liquidity` (added or removed) those of the trade that did not
    happen.
    """

    quantity: Decimal
    prevented: Decimal
    price: Decimal
    liquidity: str


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a participant asks for with a new order.

    `parent_id` is the venue id of an order that must fill first; with `after_first` its first part is enough.
    `oca_group` ties orders of one owner together: type 1 cancels the others at the first execution, 2 and 3 reduce
    them in proportion (the venue is atomic, so that both protect against overfill), 4 by the same quantity.
    `limit_offset` with a trailing stop limit gives the limit at election.  `trail_amount` is in price, `trail_percent`
    in percent.  A limit order that is `post_only` is refused where it would trade at once (or, if the book says so,
    priced short of that).  `auction` is `next` for an order that is good for the next auction only, of any kind, and
    `cancel_on_auction` for one that an auction ends.  `self_trade_id` is the key of self-trade prevention, by default
    the account.  `is_held`: accept and report it, but keep it out of the market until `Venue.release`.  `extra` is the
    endpoint's own, carried unread.

    A `hidden` order is never in market data and stands behind all that is shown at its price.  `min_quantity`: it
    trades for no less at once, coming or resting (a smaller remainder counts as the minimum); `all_or_none`: for no
    less than all.  `display_low` and `display_high` are the bounds between which an iceberg's slices are drawn.
    `reduce_only`: cut to what closes the account's position.  `to_limit` with a market order: it trades at the best
    price only, and rests there.  `peg` (`primary`, `market`, `mid`) with a limit order: its price follows its own
    side's best, the other side's, or their middle, plus `peg_offset`; `limit_price`, if given, is the cap.  Before an
    order with `last_look` trades its owner is asked.
    """

    listing_id: int
    account: str
    side: Side
    quantity: Decimal
    type: OrderType
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    limit_offset: Decimal | None = None
    tif: TimeInForce = TimeInForce.DAY
    expire_time: int | None = None
    display_quantity: Decimal | None = None
    client_order_id: str = ""
    parent_id: int | None = None
    oca_group: str = ""
    oca_type: int = 0
    exchange: str = ""
    self_trade_id: str = ""
    post_only: bool = False
    auction: str = ""
    is_held: bool = False
    extra: Any = None
    hidden: bool = False
    min_quantity: Decimal | None = None
    all_or_none: bool = False
    display_low: Decimal | None = None
    display_high: Decimal | None = None
    reduce_only: bool = False
    to_limit: bool = False
    peg: str = ""
    peg_offset: Decimal = Decimal(0)
    after_first: bool = False
    last_look: bool = False


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What a replace changes; None leaves a term as it is.  `quantity` is the new total, executions included.

    0 takes a least quantity, a shown quantity or the bounds of drawn slices away, and an empty `peg` the peg.
    """

    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    limit_offset: Decimal | None = None
    tif: TimeInForce | None = None
    expire_time: int | None = None
    client_order_id: str | None = None
    extra: Any = None
    hidden: bool | None = None
    min_quantity: Decimal | None = None
    all_or_none: bool | None = None
    display_quantity: Decimal | None = None
    display_low: Decimal | None = None
    display_high: Decimal | None = None
    peg: str | None = None
    peg_offset: Decimal | None = None


class ExecKind(StrEnum):
    """What a fill record says."""

    NEW = "new"
    CORRECT = "correct"
    BUST = "bust"


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """One party's side of one execution.

    `exec_id` ends in a two-digit revision: a correction or bust has the next revision and names the one it
    `replaces`.  `match_id` is common to both sides.  `cumulative` and `average` are the order's after this fact.
    `liquidity` is `added` or `removed`.
    """

    exec_id: str
    match_id: int
    kind: ExecKind
    order_id: int
    owner: str
    client_order_id: str
    account: str
    listing_id: int
    side: Side
    quantity: Decimal
    price: Decimal
    cumulative: Decimal
    average: Decimal
    time: int
    liquidity: str
    exchange: str
    replaces: str | None = None


class Commission(msgspec.Struct, frozen=True, kw_only=True):
    """What one fill cost; `realized` is the profit it realized after commissions, None for an opening fill."""

    exec_id: str
    order_id: int
    owner: str
    account: str
    amount: Decimal
    currency: str
    realized: Decimal | None


class Top(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Best bid and offer; None where a side is empty."""

    listing_id: int
    bid: Decimal | None
    bid_size: Decimal | None
    ask: Decimal | None
    ask_size: Decimal | None
    time: int


class Print(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One public trade; `aggressor` is the side of the incoming order, `volume` the session's after it.

    `conditions` say what is special about it: `hidden`, the resting order was; `manual`, somebody matched them;
    `opening`, `closing`, `reopening`, it is of such an auction; `at_last`, of trade at last.  An auction has no
    aggressor: the side named is that of the newer order.
    """

    listing_id: int
    price: Decimal
    size: Decimal
    aggressor: Side
    time: int
    number: int
    volume: Decimal
    exchange: str
    conditions: tuple[str, ...] = ()


class BidAsk(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One past best bid and offer, for histories of quotes."""

    time: int
    bid: Decimal
    bid_size: Decimal
    ask: Decimal
    ask_size: Decimal


class DepthRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One price level: total shown size and number of orders."""

    price: Decimal
    size: Decimal
    count: int


class ShownOrder(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One shown order as everybody may see it; `size` is what is shown of it."""

    public_id: int
    side: Side
    price: Decimal
    size: Decimal


class BookSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All shown orders of a book, best price first and the oldest first; `number` is the last change included."""

    listing_id: int
    number: int
    bids: tuple[ShownOrder, ...]
    asks: tuple[ShownOrder, ...]


class RowChange(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One step from the old to the new view of a book side.

    `operation` is `insert`, `update` or `delete`; `position` counts from 0 at the best price and holds at the moment
    that the steps before it have been applied.  A `delete` carries the row that goes.
    """

    operation: str
    side: Side
    position: int
    row: DepthRow


class SessionStats(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Figures of the trading session; `previous_close` is the last session's, None says not yet known."""

    listing_id: int
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    last: Decimal | None
    last_size: Decimal | None
    last_time: int | None
    previous_close: Decimal
    volume: Decimal
    vwap: Decimal | None
    trades: int


class Phase(StrEnum):
    """What a book does at present; `txtrader.exsim.phases` says what follows what, and what each takes."""

    CLOSED = "closed"
    PRE_OPEN = "pre_open"
    OPENING_AUCTION = "opening_auction"
    CONTINUOUS = "continuous"
    CLOSING_AUCTION = "closing_auction"
    TRADE_AT_LAST = "trade_at_last"
    POST_CLOSE = "post_close"
    HALT = "halt"
    PAUSE = "pause"


class Indicative(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an auction would do if it ended now; no price and no volume where nothing would trade.

    `surplus` is what would be left over at that price, above zero of the buyers, below of the sellers.
    """

    listing_id: int
    price: Decimal | None
    volume: Decimal
    surplus: Decimal
    time: int


class DayEnd(msgspec.Struct, frozen=True, kw_only=True):
    """What the end of a day did: orders that expired, live orders that stay, markets whose figures began anew."""

    expired: int
    carried: int
    rolled: int


class SessionTimes(msgspec.Struct, frozen=True):
    """One trading session: its date (YYYYMMDD) and its span."""

    date: str
    start: int
    end: int


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """What an account holds of one listing, marked at the last price.

    `quantity` is signed.  `average_cost` is per unit and includes commissions and the multiplier.
    """

    account: str
    listing_id: int
    quantity: Decimal
    average_cost: Decimal
    mark: Decimal
    market_value: Decimal
    unrealized: Decimal
    realized: Decimal
    currency: str


class ProfitAndLoss(msgspec.Struct, frozen=True, kw_only=True):
    """Profit of an account, or of one holding in it, in the account's base currency (a holding: in its own)."""

    daily: Decimal
    unrealized: Decimal
    realized: Decimal
    quantity: Decimal = Decimal(0)
    market_value: Decimal = Decimal(0)


class AccountFigures(msgspec.Struct, frozen=True, kw_only=True):
    """An account's figures in its base currency, named so that their CamelCase is the word TWS uses.

    The venue has one margin regime, so that the Full and LookAhead variants of a wire are these same figures.
    `ledger` holds the cash per currency.
    """

    account: str
    account_type: str
    base_currency: str
    net_liquidation: Decimal
    total_cash_value: Decimal
    settled_cash: Decimal
    accrued_cash: Decimal
    buying_power: Decimal
    equity_with_loan_value: Decimal
    previous_day_equity_with_loan_value: Decimal
    gross_position_value: Decimal
    reg_t_equity: Decimal
    reg_t_margin: Decimal
    sma: Decimal
    init_margin_req: Decimal
    maint_margin_req: Decimal
    available_funds: Decimal
    excess_liquidity: Decimal
    cushion: Decimal
    leverage: Decimal
    stock_market_value: Decimal
    option_market_value: Decimal
    future_option_value: Decimal
    futures_pnl: Decimal
    unrealized_pnl: Decimal
    realized_pnl: Decimal
    highest_severity: int
    day_trades_remaining: int
    ledger: dict[str, Decimal]
    exchange_rates: dict[str, Decimal]


class LookRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An order that has met a last-look quote and waits for its owner's word, until `expire_time`.

    `side` is the taker's; `quote_order_id` the side of the quote that it has met.
    """

    number: int
    quote_order_id: int
    listing_id: int
    side: Side
    price: Decimal
    quantity: Decimal
    expire_time: int


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """What an order would do to the account's margin, and cost."""

    init_margin_before: Decimal
    init_margin_after: Decimal
    maint_margin_before: Decimal
    maint_margin_after: Decimal
    equity_before: Decimal
    equity_after: Decimal
    commission: Decimal
    min_commission: Decimal
    max_commission: Decimal
    currency: str
    refusal: Refusal | None = None

    @property
    def init_margin_change(self) -> Decimal:
        return self.init_margin_after - self.init_margin_before

    @property
    def maint_margin_change(self) -> Decimal:
        return self.maint_margin_after - self.maint_margin_before

    @property
    def equity_change(self) -> Decimal:
        return self.equity_after - self.equity_before
