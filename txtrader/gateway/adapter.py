"""What lies between the gateway and a broker: the adapter below, the sink above, and the records they share.

Commands go down as plain calls; only questions return Deferreds.  Facts come up as plain calls, in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Protocol

import msgspec
from twisted.internet.defer import Deferred

from txtrader.model.account import AccountValue, Position
from txtrader.model.execution import CommissionReport, Execution
from txtrader.model.instrument import Instrument, InstrumentQuery
from txtrader.model.market import Bar, BarQuery, MarketStats, Quote, TickPage, TickQuery, Trade
from txtrader.model.order import CancelRejected, Order, OrderRequest, OrderUpdate, OrderWarning

__all__ = [
    "Adapter",
    "AdapterSink",
    "BrokerNotice",
    "BrokerSnapshot",
    "Capabilities",
    "FlatAdapter",
    "LinkState",
    "LinkStatus",
    "LogonAdapter",
]


class LinkState(StrEnum):
    """Where the broker link stands, as the adapter knows it (the gateway adds reconciliation)."""

    STARTUP = "Startup"  # before dialling
    CONNECTING = "Connecting"
    CONNECTED = "Connected"  # logged in, ready for questions: the gateway now loads and reconciles
    STALE = "Stale"  # the socket stands, the broker is silent
    DISCONNECTED = "Disconnected"
    SHUTDOWN = "Shutdown"


class LinkStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The link and what is known of its parts.

    `session` names one broker session (a new one after each login); `resync` asks the gateway to reconcile again
    in the same session (TWS 1101, 1102); `data_lost` says that market data was down in between.  `farms` are
    `{name, kind, state}`.  `since` is integer nanoseconds UTC, `next_attempt` likewise.
    """

    mode: str
    state: LinkState
    session: str | None = None
    reason: str | None = None
    since: int = 0
    attempts: int = 0
    next_attempt: int | None = None
    login: str | None = None  # ok, refused: WHY
    resync: bool = False
    data_lost: bool = False
    farms: tuple[dict[str, str], ...] = ()


class BrokerNotice(msgspec.Struct, frozen=True, kw_only=True):
    """Something the broker said that is about no order: an error, a warning, information."""

    mode: str
    severity: str  # error, warning, info
    message: str
    broker_code: int | str | None = None
    symbol: str | None = None
    account: str | None = None


class BrokerSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All that the broker reports, for reconciliation.

    Each part is either complete (its end marker came) or the question fails as a whole: a missing part is never an
    empty one.  `session` is the broker session it was read in; `executions_since` is how far back the executions
    reach (integer nanoseconds UTC), `completed_since` the completed orders.  `positions` is None where the broker does
    not offer them at all: then those that the gateway shows are what the executions since it met the account sum to.
    """

    mode: str
    session: str
    accounts: tuple[str, ...]
    open_orders: tuple[OrderUpdate, ...]
    completed_orders: tuple[OrderUpdate, ...]
    executions: tuple[Execution, ...]
    commissions: tuple[CommissionReport, ...]
    positions: tuple[Position, ...] | None
    account_values: tuple[AccountValue, ...] = ()
    executions_since: int | None = None
    completed_since: int | None = None


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an adapter can do, as `query_capabilities` shows it."""

    mode: str
    order_types: tuple[str, ...]
    tifs: tuple[str, ...]
    sides: tuple[str, ...]
    periods: tuple[str, ...]
    routes: dict[str, Any] = msgspec.field(default_factory=dict)
    features: tuple[str, ...] = ()  # bracket, oco, replace, what_if, depth, fractional, logon ...
    limits: dict[str, Any] = msgspec.field(default_factory=dict)


class Adapter(Protocol):
    """One broker.  `make(settings, reactor, sink)` in `txtrader/adapters/<mode>.py` returns one.

    Every question ends in a result, a typed error of `txtrader.errors` or a timeout of its own, also when the link
    drops.  No method raises for a broker's fault; `submit`, `cancel` and `replace` are only called while the link
    is CONNECTED, and an order that cannot go out is reported by `order_updated` (rejected, `has_left` False).
    """

    capabilities: Capabilities

    def start(self) -> None:
        """Begin to dial, and keep the link until `stop`."""

    def stop(self) -> Deferred[None]:
        """Log out and close; fires when nothing of the adapter is left ticking."""

    def restore(self, orders: Iterable[Order]) -> None:
        """Learn the orders of the journal before `start`: ids that are taken, whose they are."""

    def reserve(self) -> tuple[str | None, int | None]:
        """Take the (broker_order_id, clientid) that the next order will be sent under; never given twice.

        Called before the intent is journaled, so that the journal knows it.  (None, None) where the broker names
        orders itself.  Raises NotReady while no id is known.
        """

    def for_order(self, instrument: Instrument) -> Instrument:
        """Return what an order for `instrument` is really for: a symbol that rolls stands for one contract today.

        The instrument itself where nothing rolls.  Raises BrokerUnavailable while that is not known.
        """

    def submit(self, order: Order) -> bool | None:
        """Send a new order; its intent is durable.

        False says that it has to wait for its turn (the broker's rate): an `order_updated` with `send_time` tells
        when it has left, one with `has_left` False that it never will.  Anything else says that it has left.
        """

    def cancel(self, order: Order) -> None:
        """Ask for the cancel of an order, ours or external; may be repeated."""

    def replace(self, order: Order, by: OrderRequest) -> None:
        """Ask for a change; `by` holds the whole new terms, `by.quantity` the new total."""

    def cancel_all(self) -> None:
        """Ask the broker to cancel everything that this login may cancel, where it has such a request."""

    def subscribe(self, instrument: Instrument) -> None:
        """Stream the instrument's data; the adapter brings it back after each reconnect by itself."""

    def unsubscribe(self, instrument: Instrument) -> None:
        """Stop the stream."""

    def resolve(self, query: InstrumentQuery) -> Deferred[Sequence[Instrument]]:
        """Find the instruments that match, best first; an empty list where there is none."""

    def bars(self, query: BarQuery) -> Deferred[Sequence[Bar]]:
        """Fetch bars in ascending time; windows of any length are cut to the broker's limits and paced."""

    def ticks(self, query: TickQuery) -> Deferred[TickPage]:
        """Fetch a page of past trades or quotes, paced; an empty last page where there are none."""

    def what_if(self, order: Order) -> Deferred[dict[str, Any]]:
        """Ask what an order would cost, without sending it (surface 2.5); InvalidArgument `unsupported` else."""

    def snapshot(self) -> Deferred[BrokerSnapshot]:
        """Read everything for reconciliation."""

    def broker_time(self) -> Deferred[int]:
        """The broker's clock, integer nanoseconds UTC; ours where it has none."""

    def reload(self) -> None:
        """Read the adapter's own tables anew, where it has any.  Raises ConfigError, and then the old ones stay."""

    def status(self) -> LinkStatus:
        """Where the link stands now."""


class LogonAdapter(Adapter, Protocol):
    """An adapter whose broker has a logon of its own; its features name `logon`."""

    def log_on(self, username: str, password: str) -> Deferred[None]:
        """Log on as somebody, ending any session; fires once the link is of use.

        Fails with BrokerError when the broker refuses, BrokerUnavailable when it is not reached in time.  The
        credentials are kept for later reconnects, in memory alone.
        """

    def log_off(self) -> Deferred[None]:
        """Log off and stay off, until a `log_on`; fires when the link is down."""


class FlatAdapter(Adapter, Protocol):
    """An adapter whose broker closes positions by itself; its features name `go_flat`.

    The orders that the broker makes for it come up as external ones.
    """

    def go_flat(self, accounts: Sequence[str]) -> Deferred[dict[str, str]]:
        """Have every order cancelled and every position closed; by account `done`, `timed-out`, `failed`, `unknown`.

        `unknown`: it was asked, and the broker has not said in time how it went.  Asking again is safe.
        """

    def liquidate(self, account: str, instrument: Instrument) -> Deferred[str]:
        """Have the position in one instrument closed; `asked` once the broker has taken it up, else `unknown`."""


class AdapterSink(Protocol):
    """What an adapter tells the gateway; plain calls, in the order of the wire."""

    def link_changed(self, status: LinkStatus) -> None: ...

    def order_updated(self, update: OrderUpdate) -> None: ...

    def order_warned(self, warning: OrderWarning) -> None: ...

    def cancel_rejected(self, rejected: CancelRejected) -> None: ...

    def executed(self, execution: Execution) -> None: ...

    def commissioned(self, report: CommissionReport) -> None: ...

    def quoted(self, quote: Quote) -> None: ...

    def traded(self, trade: Trade) -> None: ...

    def stats_changed(self, stats: MarketStats) -> None: ...

    def accounts_changed(self, mode: str, accounts: Sequence[str]) -> None: ...

    def account_changed(self, value: AccountValue) -> None: ...

    def position_changed(self, position: Position) -> None: ...

    def noticed(self, notice: BrokerNotice) -> None: ...
