"""One listing's market: its book, its matching, what waits for a price, its session's figures, and who watches.

The venue calls in with one message at a time; the market keeps what is public and tells its watchers, each fact
once, in integers turned into decimals at this edge.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from math import floor
from typing import Any

from twisted.logger import Logger

from txtrader.exsim.allocation import make_rule
from txtrader.exsim.book import AT_ONCE, Book, BookSide, half
from txtrader.exsim.listeners import BookListener, MarketListener
from txtrader.exsim.matching import Apart, Matching
from txtrader.exsim.options import BookOptions, TriggerSource
from txtrader.exsim.orders import HouseOrder, Order
from txtrader.exsim.pegs import Pegs
from txtrader.exsim.phases import CALLS
from txtrader.exsim.records import (
    DepthRow,
    Indicative,
    Listing,
    Phase,
    Print,
    Reason,
    RowChange,
    SessionStats,
    Top,
)
from txtrader.exsim.regime import Regime
from txtrader.exsim.shown import OrdersWatch, ShownOrders
from txtrader.exsim.tape import Tape
from txtrader.exsim.triggers import Triggers
from txtrader.model.order import Side

__all__ = ["Market", "Watch", "row_changes"]

_SIDES = {1: Side.BUY, -1: Side.SELL}
_PRINTS_KEPT = 5_000
_DECIMALS_KEPT = 50_000


class Watch:
    """One listener's interest in one market; `close` ends it, twice is harmless."""

    def __init__(self, market: Market, listener: MarketListener, rows: int) -> None:
        self._market = market
        self.listener = listener
        self.rows = rows
        self.bids: list[DepthRow] = []
        self.asks: list[DepthRow] = []
        self.is_open = True

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self._market.watches.remove(self)


class Market:
    """See the module.

    `on_fill(order, lots, price, number, is_aggressor)` is told each side of a participant's execution, `on_drop(order,
    reason, apart)` the end of an order that may not rest, or may not trade with its own key, `on_less(order, lots,
    apart)` what an order lost to one of its own key, `on_ask(aggressor, resting, price, lots)` that a last-look quote
    was met.  `reference()` is what the listing is worth (ticks).  Figures are of the session since `roll`.
    """

    _log = Logger()

    def __init__(
        self,
        listing: Listing,
        tape: Tape,
        now_ns: Callable[[], int],
        on_fill: Callable[[Order, int, int, int, bool], None],
        on_drop: Callable[[Order, Reason, Apart | None], None],
        *,
        options: BookOptions = BookOptions(),  # noqa: B008 (it is frozen)
        on_less: Callable[[Order, int, Apart | None], None] | None = None,
        on_ask: Callable[[Any, Order, int, int], None] | None = None,
        reference: Callable[[], int] | None = None,
        first_match: int = 0,
        on_breach: Callable[[Market], None] | None = None,
    ) -> None:
        self.listing = listing
        self.tape = tape
        self.phase = Phase.CONTINUOUS
        self.book = Book()
        self.matching = Matching(self.book, self)
        self.regime = Regime(self, on_breach)
        self.pegs = Pegs(self.book, listing)
        self.shown: ShownOrders | None = None  # while somebody watches the orders
        self._shown: ShownOrders | None = None
        self._manner: tuple[str, ...] = ()  # of what trades at present
        self._conditions: tuple[str, ...] = ()  # of the last print
        self._on_less = on_less
        self._on_ask = on_ask
        self._reference = reference
        self.triggers = Triggers()
        self.set_options(options)
        self.watches: list[Watch] = []
        self.prints: deque[tuple[int, int, int, int, int]] = deque(maxlen=_PRINTS_KEPT)
        self.on_print: Callable[[int, int, int], None] | None = None
        self.on_top: Callable[[int, int, int, int, int], None] | None = None
        self._now_ns = now_ns
        self._on_fill = on_fill
        self._on_drop = on_drop
        self._house_number = 0
        self._number = first_match
        self._top: tuple[int | None, int, int | None, int] = (None, 0, None, 0)
        self._prices: dict[int, Decimal] = {}
        self._traded_low: int | None = None
        self._traded_high = 0
        self._put_off: list[Order] = []
        self._has_aggressor = True
        self._indicated: tuple[int | None, int, int] | None = None
        self._stats_told: tuple[int | None, ...] = ()
        # the session's figures, in ticks and lots
        self.open: int | None = None
        self.high: int | None = None
        self.low: int | None = None
        self.last: int | None = None
        self.last_lots = 0
        self.last_time: int | None = None
        self.previous_close = 0
        self.volume = 0
        self.turnover = 0
        self.trades = 0
        # what the house holds: lots, and ticks x lots paid
        self.house_lots = 0
        self.house_flow = 0
        self.house_was_hit = False  # by a participant, since the house looked last

    # -- units

    def price(self, ticks: int) -> Decimal:
        """Return ticks as a price; the table is emptied when it has grown large."""
        known = self._prices.get(ticks)
        if known is None:
            if len(self._prices) >= _DECIMALS_KEPT:
                self._prices.clear()
            known = self._prices[ticks] = ticks * self.listing.tick
        return known

    def size(self, lots: int) -> Decimal:
        """Return lots as a quantity."""
        return lots * self.listing.step

    # -- how it matches

    def set_options(self, options: BookOptions) -> None:
        """Change how the book works from now on; what rests stays where it is."""
        step = self.listing.step
        rule = make_rule(
            options.matching,
            min_allocation=max(1, int(options.min_allocation / step)),
            top_max=int(options.top_max / step),
            on_fault=self._say_rule_failed,
        )
        self.options = options
        self.matching.configure(
            market_rests=options.market_rests, self_trade=options.self_trade, rule=rule, auto_match=options.auto_match
        )
        self.pegs.has_half_ticks = options.half_ticks
        self.pegs.unsettle()

    def _say_rule_failed(self, name: str) -> None:
        self.tape.write("rule_failed", self.listing.id, name)
        self._log.failure("The matching rule {name} failed; this division goes by time", name=name)

    def trigger_price(self, sign: int) -> int | None:
        """Return the price (ticks) that elects waiting orders of a side now; None: there is none."""
        source = self.options.trigger_source
        if source is TriggerSource.LAST:
            return self.last
        if source is TriggerSource.REFERENCE:
            return None if self._reference is None else self._reference()
        bid, ask = self.book.best_bid, self.book.best_ask
        if source is TriggerSource.BID_OFFER:
            return ask if sign > 0 else bid
        if bid is None or ask is None:
            return None
        return half(bid + ask)

    # -- orders, in

    def enter(self, order: Any) -> None:
        """Process an order that works from now on, as the phase and the bands let it."""
        if self.regime.is_plain:
            self.matching.enter(order)
        else:
            self.regime.enter(order)

    def enter_house(self, sign: int, price: int | None, lots: int, *, is_immediate: bool = False) -> HouseOrder:
        """Enter an order of the house."""
        self._house_number -= 1
        order = HouseOrder(self._house_number, sign, price, lots)
        if is_immediate:
            order.life = AT_ONCE
        self.tape.write("house", self.listing.id, order.number, sign, price, lots)
        self.enter(order)
        return order

    def cancel_house(self, order: HouseOrder) -> None:
        """Cancel a resting order of the house."""
        self.tape.write("house_cancel", self.listing.id, order.number)
        self.book.remove(order)

    def trade_with_house(self, order: Order, lots: int, price: int) -> None:
        """Let an order that is in no queue trade with the house past the book; `order.leaves` is after it already."""
        self._house_number -= 1
        house = HouseOrder(self._house_number, -order.sign, price, lots)
        house.leaves = 0
        self.tape.write("house", self.listing.id, house.number, house.sign, price, lots)
        self.executed(order, house, price, lots)

    # -- what matching tells

    def publish_value(self, price: int) -> None:
        """Print a value of something that is not traded, like an index: no size, no parties."""
        if price == self.last:
            return
        self._number += 1
        now = self._now_ns()
        self._take_price(price, now)
        self.prints.append((now, price, 0, 1, self._number))
        self._conditions = ()
        self.tape.write("value", self.listing.id, self._number, price)
        self._tell_print(now, price, 0, 1)

    def report(self, price: int, lots: int, sign: int) -> None:
        """Print a trade of others elsewhere, as a feed reports it: no order of this book takes part.

        It counts like any trade: for last, volume, and the orders that wait for a price.
        """
        self._number += 1
        now = self._now_ns()
        self._take_price(price, now)
        self._count(price, lots)
        self.prints.append((now, price, lots, sign, self._number))
        self.tape.write("report", self.listing.id, self._number, price, lots, sign)
        self._tell_print(now, price, lots, sign)

    def _count(self, price: int, lots: int) -> None:
        """Take a trade into the session's figures, and into what elects waiting orders."""
        self.last_lots = lots
        self.volume += lots
        self.turnover += price * lots
        self.trades += 1
        if self._traded_low is None:
            self._traded_low = self._traded_high = price
        elif price < self._traded_low:
            self._traded_low = price
        elif price > self._traded_high:
            self._traded_high = price

    def _take_price(self, price: int, now: int) -> None:
        self.last = price
        self.last_time = now
        if self.open is None:
            self.open = price
        if self.high is None or price > self.high:
            self.high = price
        if self.low is None or price < self.low:
            self.low = price

    def _tell_print(self, now: int, price: int, quantity: int, sign: int) -> None:
        if self.on_print is not None:
            self.on_print(now, floor(price), quantity)  # bars are of whole ticks
        if self.watches:
            trade = self._print(now, price, quantity, sign, self._number, self.volume)
            for watch in tuple(self.watches):
                self._tell(watch.listener.printed, trade)

    def match(self, younger: Order, older: Order, price: int, lots: int, *conditions: str) -> None:
        """Let two orders of opposite sides trade, wherever they are; the print carries the conditions."""
        refreshed = []
        for order in (younger, older):
            if order.level is None:
                order.leaves -= lots
            elif self.book.trade(order, lots):
                refreshed.append(order)
        self._manner = conditions
        self.executed(younger, older, price, lots)
        self._manner = ()
        for order in refreshed:
            self.rested(order)

    def executed(self, aggressor: Any, resting: Any, price: int, quantity: int) -> None:
        self._number += 1
        if self.shown is not None:
            for order in (resting, aggressor):  # one that comes in is no news, one that was matched by hand is
                self.shown.executed(order, quantity, price, self._number)
        now = self._now_ns()
        self._take_price(price, now)
        self._count(price, quantity)
        sign = aggressor.sign
        self.prints.append((now, price, quantity, sign, self._number))
        self.tape.write("match", self.listing.id, self._number, price, quantity, aggressor.number, resting.number)
        if not aggressor.is_house:
            self._on_fill(aggressor, quantity, price, self._number, self._has_aggressor)
        if not resting.is_house:
            self._on_fill(resting, quantity, price, self._number, False)
        if aggressor.is_house is not resting.is_house:
            lots = quantity * (sign if aggressor.is_house else -sign)
            self.house_lots += lots
            self.house_flow -= lots * price
            self.house_was_hit = True
        self._conditions = (*self._manner, "hidden") if resting.is_hidden else self._manner
        self._tell_print(now, price, quantity, sign)

    def executed_in(self, condition: str, newer: Any, older: Any, price: int, quantity: int) -> None:
        """Take an execution whose print is marked; in an auction nobody takes from anybody."""
        former, self._manner, self._has_aggressor = self._manner, (condition,), condition == "at_last"
        if self.shown is not None and not self._has_aggressor:
            self.shown.executed(newer, quantity, price, self._number + 1)
        self.executed(newer, older, price, quantity)
        self._manner, self._has_aggressor = former, True

    def rested(self, order: Any) -> None:
        self.regime.stamp(order)
        if self.shown is not None:
            self.shown.rested(order)
        self.tape.write("rest", self.listing.id, order.number, order.price, order.leaves - order.reserve)

    def dropped(self, order: Any, reason: Reason, apart: Apart | None = None) -> None:
        if order is self.regime.held_back and reason is Reason.NO_LIQUIDITY:
            self.regime.held_back = None  # the band stopped it: the regime decides
            return
        if order.is_house:
            self.tape.write("house_drop", self.listing.id, order.number, order.leaves)
        else:
            self._on_drop(order, reason, apart)

    def lessened(self, order: Any, lots: int, apart: Apart | None = None) -> None:
        if self._on_less is not None:
            self._on_less(order, lots, apart)

    def asked(self, aggressor: Any, resting: Any, price: int, quantity: int) -> None:
        assert self._on_ask is not None, "nobody can be asked who is not a participant"
        self._on_ask(aggressor, resting, price, quantity)

    # -- what is public, out

    def publish(self) -> None:
        """Tell the watchers what the message just processed has changed; called once after each."""
        if self.shown is not None:
            self.shown.publish()
        book = self.book
        bid, ask = book.bids.best, book.asks.best
        top = (
            bid.price if bid is not None else None,
            bid.shown if bid is not None else 0,
            ask.price if ask is not None else None,
            ask.shown if ask is not None else 0,
        )
        is_new_top = top != self._top
        if is_new_top:
            self._top = top
            if self.on_top is not None and bid is not None and ask is not None:
                self.on_top(self._now_ns(), bid.price, bid.shown, ask.price, ask.shown)
        if not self.watches:
            return
        stats = (self.open, self.high, self.low, self.previous_close)
        are_new_stats = stats != self._stats_told
        self._stats_told = stats
        for watch in tuple(self.watches):
            if is_new_top:
                self._tell(watch.listener.top_changed, self.top())
            if are_new_stats:
                self._tell(watch.listener.stats_changed, self.stats())
            if watch.rows:
                self._tell_depth(watch)
        if self.phase in CALLS:
            self._tell_indicative()
        for watch in tuple(self.watches):
            self._tell(watch.listener.published, self.listing.id)

    def elected(self) -> list[Order]:
        """Take the waiting orders that the message just processed elects, by its trades or what it left behind.

        Outside continuous trading they are put off until it begins.
        """
        low, self._traded_low = self._traded_low, None
        found: list[Order] = []
        if not len(self.triggers):
            pass
        elif self.options.trigger_source is not TriggerSource.LAST:
            found = self.triggers.take_at(self.trigger_price(1), self.trigger_price(-1))
        elif low is not None:
            found = self.triggers.take(low, self._traded_high)
        if self.phase is not Phase.CONTINUOUS:
            self._put_off += found
            return []
        waited, self._put_off = self._put_off, []
        return waited + found

    def put_off(self, order: Order) -> None:
        """Let an elected order come in when continuous trading begins."""
        self._put_off.append(order)

    def withdraw(self, order: Order) -> None:
        """Take an order out that waits for its trigger, or has met it and waits for continuous trading."""
        if order in self.triggers:
            self.triggers.remove(order)
        elif order in self._put_off:
            self._put_off.remove(order)

    def _tell_indicative(self) -> None:
        found = self.regime.indicate()
        figures = (None, 0, 0) if found is None else (found.price, found.volume, found.surplus)
        if figures == self._indicated:
            return
        self._indicated = figures
        told = self.indicative()
        for watch in tuple(self.watches):
            self._tell(watch.listener.indicative_changed, told)

    def indicative(self) -> Indicative:
        """Return what the auction under way would do if it ended now."""
        found = self.regime.indicate() if self.phase in CALLS else None
        return Indicative(
            listing_id=self.listing.id,
            price=None if found is None else self.price(found.price),
            volume=self.size(0 if found is None else found.volume),
            surplus=self.size(0 if found is None else found.surplus),
            time=self._now_ns(),
        )

    def watch(self, listener: MarketListener, rows: int) -> Watch:
        """Tell `listener` from now on; see `Venue.watch`."""
        watch = Watch(self, listener, rows)
        self.watches.append(watch)
        if rows:
            self._tell_depth(watch)
        return watch

    def watch_orders(self, listener: BookListener) -> OrdersWatch:
        """Tell `listener` of each shown order from now on; see `Venue.watch_orders`."""
        if self._shown is None:
            self._shown = ShownOrders(self)
        return self._shown.watch(listener)

    def set_phase(self, phase: Phase) -> None:
        """Take a new phase and tell it; in continuous trading, what came to wait meanwhile meets the last price."""
        self.phase = phase
        self.regime.set_phase(phase)
        self._indicated = None
        if phase is Phase.CONTINUOUS and self.last is not None:
            low = self._traded_low
            self._traded_high = self.last if low is None else max(self._traded_high, self.last)
            self._traded_low = self.last if low is None else min(low, self.last)
        self.tape.write("phase", self.listing.id, str(phase))
        for watch in tuple(self.watches):
            self._tell(watch.listener.phase_changed, self.listing.id, phase)

    def _tell_depth(self, watch: Watch) -> None:
        bids, asks = self.rows(self.book.bids, watch.rows), self.rows(self.book.asks, watch.rows)
        changes = [
            *row_changes(Side.BUY, watch.bids, bids),
            *row_changes(Side.SELL, watch.asks, asks),
        ]
        watch.bids, watch.asks = bids, asks
        if changes:
            self._tell(watch.listener.depth_changed, self.listing.id, tuple(changes))

    def _tell(self, call: Callable[..., None], *facts: Any) -> None:
        try:
            call(*facts)
        except Exception:  # noqa: BLE001
            # A listener is somebody else's code: its fault must not leave a message half processed.
            self._log.failure("A watcher of {listing} failed", listing=self.listing.local_symbol)

    # -- what is public, asked

    def top(self) -> Top:
        bid, bid_lots, ask, ask_lots = self._top
        return Top(
            listing_id=self.listing.id,
            bid=None if bid is None else self.price(bid),
            bid_size=None if bid is None else self.size(bid_lots),
            ask=None if ask is None else self.price(ask),
            ask_size=None if ask is None else self.size(ask_lots),
            time=self._now_ns(),
        )

    def stats(self) -> SessionStats:
        return SessionStats(
            listing_id=self.listing.id,
            open=self._maybe(self.open),
            high=self._maybe(self.high),
            low=self._maybe(self.low),
            last=self._maybe(self.last),
            last_size=self.size(self.last_lots) if self.last_lots else None,
            last_time=self.last_time,
            previous_close=self.price(self.previous_close),
            volume=self.size(self.volume),
            vwap=self._vwap(),
            trades=self.trades,
        )

    def rows(self, side: BookSide, count: int) -> list[DepthRow]:
        """Return the best `count` levels of a side that show something."""
        found: list[DepthRow] = []
        for level in side:
            if len(found) == count:
                break
            found.append(DepthRow(price=self.price(level.price), size=self.size(level.shown), count=level.count))
        return found

    def last_print(self) -> Print | None:
        if not self.prints:
            return None
        return self._print(*self.prints[-1], self.volume)

    def _print(self, time: int, price: int, lots: int, sign: int, number: int, volume: int) -> Print:
        return Print(
            listing_id=self.listing.id,
            price=self.price(price),
            size=self.size(lots),
            aggressor=_SIDES[sign],
            time=time,
            number=number,
            volume=self.size(volume),
            exchange=self.listing.primary_exchange,
            conditions=self._conditions,
        )

    def _maybe(self, ticks: int | None) -> Decimal | None:
        return None if ticks is None else self.price(ticks)

    def _vwap(self) -> Decimal | None:
        if not self.volume:
            return None
        return (Decimal(self.turnover) / self.volume * self.listing.tick).quantize(self.listing.tick / 100)

    # -- the session

    def begin(
        self,
        last: int,
        previous_close: int,
        day: tuple[int, int, int] | None,
        volume: int,
        time: int,
        last_lots: int,
    ) -> None:
        """Take over the figures of the session so far: `day` is open, high, low, None before the open."""
        self.last = last
        self.last_time = time
        self.last_lots = last_lots
        self.previous_close = previous_close
        self.open, self.high, self.low = day if day is not None else (None, None, None)
        self.volume = volume
        self.turnover = volume * last

    def roll(self, close: int) -> None:
        """Begin a new session after one that closed at `close`."""
        self.previous_close = close
        self.regime.reference = None
        self.open = self.high = self.low = None
        self.volume = self.turnover = self.trades = 0
        self.tape.write("roll", self.listing.id, close)


def row_changes(side: Side, old: list[DepthRow], new: list[DepthRow]) -> list[RowChange]:
    """Return the steps from one view of a side to another: first the rows that go, then those that come or change."""
    changes: list[RowChange] = []
    if old == new:
        return changes
    fresh = {row.price for row in new}
    rows = list(old)
    for position in range(len(rows) - 1, -1, -1):  # from the bottom, so that positions above stay valid
        if rows[position].price not in fresh:
            changes.append(RowChange(operation="delete", side=side, position=position, row=rows.pop(position)))
    for position, row in enumerate(new):
        if position < len(rows) and rows[position].price == row.price:
            if rows[position] != row:
                changes.append(RowChange(operation="update", side=side, position=position, row=row))
                rows[position] = row
        else:
            changes.append(RowChange(operation="insert", side=side, position=position, row=row))
            rows.insert(position, row)
    assert rows == new
    return changes
