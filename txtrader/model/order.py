"""Orders: the request, the record, what a broker may say of one, and the life-cycle table."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from txtrader.model.instrument import Instrument

__all__ = [
    "OPEN_STATUSES",
    "TERMINAL_STATUSES",
    "TRANSITIONS",
    "CancelRejected",
    "Order",
    "OrderRequest",
    "OrderStatus",
    "OrderType",
    "OrderUpdate",
    "OrderWarning",
    "Provenance",
    "Side",
    "TimeInForce",
    "is_allowed",
]


class Side(StrEnum):
    """What the order does to the position, in the words of the surface."""

    BUY = "BUY"
    SELL = "SELL"
    SELLSHORT = "SELLSHORT"
    BUYTOCOVER = "BUYTOCOVER"

    @property
    def action(self) -> str:
        """BUY or SELL."""
        return "BUY" if self in (Side.BUY, Side.BUYTOCOVER) else "SELL"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self in (Side.BUY, Side.BUYTOCOVER) else -1


class OrderType(StrEnum):
    """The order types of the surface."""

    MARKET = "Market"
    LIMIT = "Limit"
    STOP = "Stop"
    STOP_LIMIT = "StopLimit"
    TRAILING_STOP = "TrailingStop"
    TRAILING_STOP_LIMIT = "TrailingStopLimit"
    MARKET_IF_TOUCHED = "MarketIfTouched"
    LIMIT_IF_TOUCHED = "LimitIfTouched"

    @property
    def needs_limit(self) -> bool:
        return self in (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.LIMIT_IF_TOUCHED)

    @property
    def needs_stop(self) -> bool:
        return self in (
            OrderType.STOP,
            OrderType.STOP_LIMIT,
            OrderType.MARKET_IF_TOUCHED,
            OrderType.LIMIT_IF_TOUCHED,
        )

    @property
    def is_trailing(self) -> bool:
        return self in (OrderType.TRAILING_STOP, OrderType.TRAILING_STOP_LIMIT)


class TimeInForce(StrEnum):
    """How long an order works."""

    DAY = "DAY"
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTD = "GTD"
    OPG = "OPG"
    CLS = "CLS"


class OrderStatus(StrEnum):
    """FIX OrdStatus words, plus unknown, lost and staged; the values are those of the surface."""

    PENDING_NEW = "PendingNew"
    NEW = "New"
    PARTIALLY_FILLED = "PartiallyFilled"
    FILLED = "Filled"
    PENDING_CANCEL = "PendingCancel"
    PENDING_REPLACE = "PendingReplace"
    CANCELED = "Canceled"
    REJECTED = "Rejected"
    EXPIRED = "Expired"
    UNKNOWN = "Unknown"
    LOST = "Lost"
    STAGED = "Staged"

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL_STATUSES


_S = OrderStatus
TERMINAL_STATUSES = frozenset({_S.FILLED, _S.CANCELED, _S.REJECTED, _S.EXPIRED, _S.LOST})
OPEN_STATUSES = frozenset(OrderStatus) - TERMINAL_STATUSES

# What each status may become.  A status may always be repeated; that is no move.
TRANSITIONS: Mapping[OrderStatus, frozenset[OrderStatus]] = {
    _S.STAGED: frozenset({_S.PENDING_NEW, _S.REJECTED, _S.CANCELED, _S.EXPIRED}),
    _S.PENDING_NEW: frozenset(
        {
            _S.NEW,
            _S.PARTIALLY_FILLED,
            _S.FILLED,
            _S.PENDING_CANCEL,
            _S.CANCELED,
            _S.REJECTED,
            _S.EXPIRED,
            _S.UNKNOWN,
            _S.LOST,
        }
    ),
    _S.NEW: frozenset(
        {
            _S.PARTIALLY_FILLED,
            _S.FILLED,
            _S.PENDING_CANCEL,
            _S.PENDING_REPLACE,
            _S.CANCELED,
            _S.EXPIRED,
            _S.REJECTED,  # a venue may kill an order that the broker had acknowledged
            _S.UNKNOWN,
        }
    ),
    _S.PARTIALLY_FILLED: frozenset(
        {
            _S.NEW,  # a bust or correction takes the only fill back
            _S.FILLED,
            _S.PENDING_CANCEL,
            _S.PENDING_REPLACE,
            _S.CANCELED,
            _S.EXPIRED,
            _S.REJECTED,
            _S.UNKNOWN,
        }
    ),
    _S.PENDING_CANCEL: frozenset(
        {
            _S.NEW,  # the cancel was refused and the order works on
            _S.PARTIALLY_FILLED,
            _S.FILLED,  # the fill crossed the cancel
            _S.CANCELED,
            _S.EXPIRED,
            _S.REJECTED,
            _S.UNKNOWN,
            _S.LOST,
        }
    ),
    _S.PENDING_REPLACE: frozenset(
        {
            _S.NEW,
            _S.PARTIALLY_FILLED,
            _S.FILLED,
            _S.PENDING_CANCEL,
            _S.CANCELED,
            _S.EXPIRED,
            _S.REJECTED,
            _S.UNKNOWN,
            _S.LOST,
        }
    ),
    _S.UNKNOWN: frozenset(
        {
            _S.PENDING_NEW,
            _S.NEW,
            _S.PARTIALLY_FILLED,
            _S.FILLED,
            _S.PENDING_CANCEL,
            _S.CANCELED,
            _S.REJECTED,
            _S.EXPIRED,
            _S.LOST,
        }
    ),
    _S.FILLED: frozenset({_S.PARTIALLY_FILLED, _S.NEW}),  # only by an explicit bust or correction
    _S.CANCELED: frozenset({_S.FILLED, _S.PARTIALLY_FILLED, _S.NEW}),  # a late fill or a false cancel: both happen
    _S.EXPIRED: frozenset({_S.FILLED, _S.PARTIALLY_FILLED}),  # a late fill report
    _S.REJECTED: frozenset({_S.FILLED, _S.PARTIALLY_FILLED, _S.NEW}),  # TWS Inactive may wake up again
    _S.LOST: frozenset(  # evidence wins
        {
            _S.PENDING_NEW,
            _S.NEW,
            _S.PARTIALLY_FILLED,
            _S.FILLED,
            _S.PENDING_CANCEL,
            _S.CANCELED,
            _S.REJECTED,
            _S.EXPIRED,
        }
    ),
}


def is_allowed(old: OrderStatus, new: OrderStatus) -> bool:
    """Tell whether an order may go from `old` to `new`; staying is always allowed."""
    return old == new or new in TRANSITIONS[old]


class Provenance(StrEnum):
    """Whose word the present status rests on."""

    BROKER = "broker"
    LOCAL_DENY = "local-deny"
    EXTERNAL = "external"
    RECONCILED = "reconciled"
    POLICY = "policy"
    OPERATOR = "operator"


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller asks for, parsed and complete but not yet an order.

    `quantity` is positive, in units of the instrument; prices are in its currency.  `bracket`, `legs` and
    `route_params` are plain JSON shapes, checked where they are used.
    """

    instrument: Instrument
    side: Side
    quantity: Decimal
    type: OrderType
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    limit_offset: Decimal | None = None
    tif: TimeInForce = TimeInForce.DAY
    good_till: int | None = None
    extended_hours: bool = False
    account: str
    route: str | None = None
    route_params: dict[str, Any] | None = None
    client_order_id: str | None = None
    tag: str | None = None
    display_quantity: Decimal | None = None
    oco_group: str | None = None
    parent_id: str | None = None
    bracket: dict[str, Any] | None = None
    what_if: bool = False
    stage: bool = False
    force: bool = False


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway's record of one order; every change makes a new record.

    `id` is the gateway order id, stable for ever.  `permid` is the broker's permanent id and `broker_order_id` the
    id it was sent under (TWS: order id; with `clientid`, one session's key).  `order_ref` is what the broker carries
    of ours: the gateway id, or a stranger's text on an external order.  Times are integer nanoseconds UTC.
    `previous_status` is the last evidenced one while the status is pending or unknown; `previous_price` and
    `pending_changes` likewise stand beside a replace that has no answer.
    """

    id: str
    mode: str
    account: str
    symbol: str
    side: Side
    quantity: Decimal
    type: OrderType
    status: OrderStatus
    submit_time: int
    update_time: int
    instrument: Instrument | None = None
    instrument_id: str | None = None
    client_order_id: str | None = None
    user: str | None = None
    permid: str | None = None
    broker_order_id: str | None = None
    order_ref: str | None = None
    clientid: int | None = None
    order_class: str = "order"
    tif: TimeInForce = TimeInForce.DAY
    good_till: int | None = None
    extended_hours: bool = False
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    limit_offset: Decimal | None = None
    display_quantity: Decimal | None = None
    route: str | None = None
    route_params: dict[str, Any] | None = None
    tag: str | None = None
    oco_group: str | None = None
    parent_id: str | None = None
    children: tuple[str, ...] = ()
    currency: str | None = None
    broker_status: str | None = None
    broker_type: str | None = None  # the broker's word for the order type, where ours has none
    previous_status: OrderStatus | None = None
    previous_price: Decimal | None = None
    pending_changes: dict[str, Any] | None = None
    provenance: Provenance = Provenance.BROKER
    origin: str = "client"  # or external
    filled: Decimal = Decimal(0)
    avg_fill_price: Decimal | None = None
    last_fill_price: Decimal | None = None
    commission: Decimal | None = None
    why_held: str | None = None
    warning: str | None = None
    code: str | None = None
    error_code: int | str | None = None
    error_message: str | None = None
    fill_time: int | None = None
    send_time: int | None = None
    terms_known: bool = True  # False: adopted from a fill alone; quantity and type are what the fill tells
    session: str | None = None  # the broker session that it was sent in: `lost` needs a later one
    raw: dict[str, Any] | None = None

    @property
    def remaining(self) -> Decimal:
        """What is still open of the quantity, never below zero."""
        return max(self.quantity - self.filled, Decimal(0))

    @property
    def is_open(self) -> bool:
        return self.status not in TERMINAL_STATUSES

    @property
    def is_evidenced(self) -> bool:
        """Tell whether the broker has ever spoken of it."""
        return self.permid is not None or self.broker_status is not None or self.origin == "external"

    @property
    def waits_to_leave(self) -> bool:
        """Tell whether it is still on our side: its intent is being journaled, or the broker's rate holds it back.

        True of this process only: an order that a restart finds pending may have left.
        """
        return self.status is _S.PENDING_NEW and self.send_time is None and not self.is_evidenced


class OrderUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """What a broker said of one order: ids to find it by, and the facts stated; None where it said nothing.

    Found by `order_ref` (our gateway id, if the broker carried it), else `permid`, else (`clientid`,
    `broker_order_id`).  `status` is a translation of `broker_status`.  `filled` and `avg_fill_price` are the
    broker's own totals: advice only, executions count.  The order's own terms are given so that an order the
    gateway never made can be adopted.  `is_snapshot`: the answer to a question, not news.  `error_code` and
    `error_message` come with a rejection.  Two facts are the adapter's own: `send_time` says that an order which had
    to wait for its turn has left now, `has_left` False that it never did and never will.
    """

    mode: str
    order_ref: str | None = None
    permid: str | None = None
    broker_order_id: str | None = None
    clientid: int | None = None
    status: OrderStatus | None = None
    broker_status: str | None = None
    filled: Decimal | None = None
    remaining: Decimal | None = None
    avg_fill_price: Decimal | None = None
    last_fill_price: Decimal | None = None
    parent_permid: str | None = None
    why_held: str | None = None
    warning: str | None = None
    error_code: int | str | None = None
    error_message: str | None = None
    event_time: int | None = None
    receive_time: int | None = None
    is_snapshot: bool = False
    send_time: int | None = None
    has_left: bool | None = None
    # terms
    instrument: Instrument | None = None
    account: str | None = None
    side: Side | None = None
    quantity: Decimal | None = None
    type: OrderType | None = None
    broker_type: str | None = None
    tif: TimeInForce | None = None
    good_till: int | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    oco_group: str | None = None
    raw: dict[str, Any] | None = None


class OrderWarning(msgspec.Struct, frozen=True, kw_only=True):
    """The broker remarked on an order; the order goes on."""

    mode: str
    code: int | str
    message: str
    order_ref: str | None = None
    permid: str | None = None
    broker_order_id: str | None = None
    clientid: int | None = None


class CancelRejected(msgspec.Struct, frozen=True, kw_only=True):
    """The broker refused a cancel or a replace; the order stands as it was."""

    mode: str
    request: str  # cancel or replace
    code: int | str
    message: str
    order_ref: str | None = None
    permid: str | None = None
    broker_order_id: str | None = None
    clientid: int | None = None
