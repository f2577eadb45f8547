"""The regime of a market: how an order comes into the book in each phase, through the bands, and out of an auction.

In continuous trading without bands it is plain: orders go to matching as they come.  Else they gather for an auction,
trade at the last price only, or as far as the band goes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from heapq import merge
from typing import TYPE_CHECKING, Any

from txtrader.exsim.auction import Call, Equilibrium, Part, Step, allocate, equilibrium
from txtrader.exsim.book import ALL_AT_ONCE, AT_ONCE, RESTS, Level
from txtrader.exsim.orders import Order
from txtrader.exsim.phase_options import Band, PhaseSettings
from txtrader.exsim.phases import AUCTIONS, CALLS, waits_for
from txtrader.exsim.records import Phase, Reason, SelfTrade

if TYPE_CHECKING:
    from txtrader.exsim.market import Market

__all__ = ["Regime"]

Edges = tuple[int, int]
SECOND = 1_000_000_000


class Regime:
    """See the module.

    `unpriced` are the market orders that wait in a call, `parked` the participants' orders that wait unseen for
    another phase or for the band; both oldest first.  `called` names the auction for which orders gather, `ends` is
    the instant at which it is planned to end, `reference` the price of the last one.  `on_breach(market)` is called
    when a match has put the book into a pause.
    """

    def __init__(self, market: Market, on_breach: Callable[[Market], None] | None) -> None:
        self._market = market
        self._on_breach = on_breach
        self.settings = PhaseSettings()
        self.is_plain = True
        self.unpriced: dict[int, Any] = {}
        self.parked: dict[int, Order] = {}
        self.called = ""
        self.ends: int | None = None
        self.reference: int | None = None
        self.held_back: Any = None
        self._places = 0

    # -- what holds

    def set_phase(self, phase: Phase) -> None:
        """Take note of the market's new phase; a call that was under way goes on under its new name."""
        if phase in CALLS:
            self.called = AUCTIONS[phase]
        self.ends = None
        self._note(phase)

    def set_settings(self, settings: PhaseSettings) -> None:
        self.settings = settings
        self._note(self._market.phase)

    def _note(self, phase: Phase) -> None:
        settings = self.settings
        self.is_plain = phase is Phase.CONTINUOUS and settings.static_band is None and settings.dynamic_band is None

    def is_locked(self, now: int) -> bool:
        """Tell whether an auction is so near its end that nothing may be taken out."""
        return (
            self.ends is not None
            and now >= self.ends - self.settings.no_cancel * SECOND
            and self.settings.no_cancel > 0
        )

    def static_edges(self) -> Edges | None:
        """Return the lowest and highest price of the static band."""
        settings, market = self.settings, self._market
        centre = self.reference if self.reference is not None else market.previous_close or None  # 0: not known
        if settings.reference_price is not None:
            centre = int(settings.reference_price / market.listing.tick)
        return self._edges(settings.static_band, centre)

    def is_outside(self, price: int) -> bool:
        """Tell whether a limit is outside the static band."""
        edges = self.static_edges()
        return edges is not None and not edges[0] <= price <= edges[1]

    def refuses(self, price: int) -> bool:
        """Tell whether an order with this limit is refused for the band."""
        return self.settings.band_orders == "reject" and self.is_outside(price)

    def _edges(self, band: Band | None, centre: int | None) -> Edges | None:
        return None if band is None or centre is None else band.edges(centre, self._market.listing.tick)

    # -- in

    def waits_for(self, order: Order) -> str:
        """Say what an order of a participant has to wait for before it may come in, if anything."""
        last = self._market.last
        return waits_for(self._market.phase, order.terms, None if last is None else self._market.price(last))

    def park(self, order: Order) -> None:
        """Keep an order unseen until `forget`."""
        self.parked[order.number] = order

    def forget(self, order: Any) -> None:
        """Let an order go that waits here; one that does not is no error."""
        self.parked.pop(order.number, None)
        self.unpriced.pop(order.number, None)

    def stamp(self, order: Any) -> None:
        """Give an order its place in time, which it has from joining the end of its queue."""
        self._places += 1
        order.place = self._places

    def enter(self, order: Any) -> None:
        """Bring an order in that may work now."""
        market = self._market
        if market.phase is Phase.CONTINUOUS:
            self._enter_banded(order)
        elif market.phase is Phase.TRADE_AT_LAST:
            self._enter_at_last(order)
        elif order.life != RESTS or market.phase not in CALLS:
            market.dropped(order, Reason.NO_LIQUIDITY)
        elif order.price is None:
            self.unpriced[order.number] = order
            self.stamp(order)
        else:
            self._rest(order)

    def _rest(self, order: Any) -> None:
        self._market.book.add(order, order.price)
        self._market.rested(order)

    # -- bands

    def _enter_banded(self, order: Any) -> None:
        """Match as far as the narrower band goes; what is beyond, and what becomes of it, is the settings' affair."""
        market, sign, price = self._market, order.sign, order.price
        static = self.static_edges()
        dynamic = self._edges(self.settings.dynamic_band, market.last)
        is_outside = price is not None and static is not None and not static[0] <= price <= static[1]
        if is_outside and (self.settings.band_orders == "reject" or order.is_house):
            market.dropped(order, Reason.BAND)
            return
        edges = [edges[sign > 0] for edges in (static, dynamic) if edges is not None]
        cap = min(edges) if sign > 0 else max(edges)
        is_beyond = self._stands_beyond(sign, price, cap)
        if not is_outside and not is_beyond:
            market.matching.enter(order)
            return
        life = order.life
        order.price = cap if price is None or sign * (price - cap) > 0 else price
        order.life = AT_ONCE if life == RESTS else life
        self.held_back = order
        market.matching.enter(order)
        is_left, self.held_back = self.held_back is None, None
        order.price, order.life = price, life
        if not is_left:
            return
        is_dynamic = dynamic is not None and is_beyond and cap == dynamic[sign > 0]
        if is_dynamic and self.settings.band_breach == "volatility" and life != ALL_AT_ONCE:
            self._pause(order)
        elif life != RESTS:
            market.dropped(order, Reason.BAND if is_dynamic else Reason.NO_LIQUIDITY)
        elif is_outside and not is_dynamic:
            order.held = "band"
            self.park(order)
            market.tape.write("wait", order.number, "band")
        else:
            market.dropped(order, Reason.BAND)

    def _stands_beyond(self, sign: int, price: int | None, cap: int) -> bool:
        """Tell whether orders stand on the other side beyond `cap` that the limit `price` would trade with."""
        book = self._market.book
        for keys in (book.side(-sign).keys, book.hidden(-sign).keys):
            first = 0 if price is None else bisect_left(keys, -sign * price)
            if first < bisect_left(keys, -sign * cap):
                return True
        return False

    def _pause(self, order: Any) -> None:
        """Freeze the book at once; the order that went too far takes part in the auction that follows."""
        market = self._market
        market.phase = Phase.PAUSE
        self.set_phase(Phase.PAUSE)
        self.enter(order)
        if self._on_breach is not None:
            self._on_breach(market)

    # -- trade at last

    def _enter_at_last(self, order: Any) -> None:
        market = self._market
        last, sign = market.last, order.sign
        if last is None or order.price != last:
            market.dropped(order, Reason.PHASE)
            return
        levels = [level for level in self._levels(-sign) if level.key >= -sign * last]
        found = [resting for level in levels for resting in level if _takes_part(resting)]
        found.sort(key=lambda resting: resting.place)
        lots = order.leaves
        if order.life == ALL_AT_ONCE and sum(one.leaves for one in found if not self._are_apart(one, order)) < lots:
            market.dropped(order, Reason.NO_LIQUIDITY)
            return
        self.stamp(order)
        mine = [Part(order.number, lots, order.key, order.place)]
        others = [Part(one.number, one.leaves, one.key, one.place) for one in found]
        buys, sells = (mine, others) if sign > 0 else (others, mine)
        orders = {one.number: one for one in [*found, order]}
        self._perform(allocate(buys, sells, self._market.options.self_trade), orders, last, "at_last")
        for one in found:
            self._refresh(one)
        if not order.leaves or (not order.is_house and not order.is_open):
            return
        if order.life != RESTS:
            market.dropped(order, Reason.NO_LIQUIDITY)
        else:
            self._rest(order)

    def _are_apart(self, one: Any, other: Any) -> bool:
        return self._market.options.self_trade is not SelfTrade.NONE and one.key is not None and one.key == other.key

    # -- auctions

    def indicate(self) -> Equilibrium | None:
        """Return what the auction would do if it ended now."""
        sums = {1: 0, -1: 0}
        for order in self.unpriced.values():
            sums[order.sign] += order.leaves
        bids, asks = self._totals(1), self._totals(-1)
        low, high = self.static_edges() or (None, None)
        return equilibrium(Call(bids, asks, sums[1], sums[-1]), self._auction_reference(), low, high)

    def _totals(self, sign: int) -> dict[int, int]:
        """Sum what takes part, by price; hidden orders do, those that trade for no less than so much do not."""
        found: dict[int, int] = {}
        is_plain = not self._market.book.specials
        for level in self._levels(sign):
            lots = level.total if is_plain else sum(order.leaves for order in level if _takes_part(order))
            if lots:
                found[level.price] = found.get(level.price, 0) + lots
        return found

    def _auction_reference(self) -> int | None:
        """Return the last trade's price, else the previous close, on the grid of its price band."""
        market = self._market
        price = market.last if market.last is not None else market.previous_close or None
        if price is None:
            return None  # nothing was traded here ever
        listing = market.listing
        return price - price % int(listing.tick_at(market.price(price)) / listing.tick)

    def uncross(self) -> tuple[int | None, list[Any]]:
        """Trade at the auction price until nobody fits any more; return it (None: nothing traded), and who is outside.

        Self-trade prevention can leave the book crossed; then there is another round.  The static band goes round the
        new price from then on: orders outside the old one, which may be crossed, are out of the book.
        """
        market, word, price = self._market, self.called, None
        while (found := self.indicate()) is not None:
            price = found.price
            buys, sells = list(self._willing(1, price)), list(self._willing(-1, price))
            orders = {order.number: order for order, _ in buys + sells}
            steps = allocate([part for _, part in buys], [part for _, part in sells], self._market.options.self_trade)
            assert steps, "whoever makes the volume of a price is willing to trade at it"
            self._perform(steps, orders, price, word)
            for order in orders.values():
                self._refresh(order)
        self.called = ""
        outside = self._outside()
        for order in outside:
            market.book.remove(order)
        if price is not None:
            self.reference = price
        return price, outside

    def _willing(self, sign: int, price: int) -> Iterator[tuple[Any, Part]]:
        """Walk those of one side that trade at `price`, in the order of allocation."""
        for order in self.unpriced.values():
            if order.sign == sign:
                yield order, Part(order.number, order.leaves, order.key, order.place)
        for level in self._levels(sign):
            if level.key < sign * price:
                return
            for order in level:
                if _takes_part(order):
                    yield order, Part(order.number, order.leaves - order.reserve, order.key, order.place)
            for order in level:
                if order.reserve and _takes_part(order):
                    yield order, Part(order.number, order.reserve, order.key, order.place)

    def _levels(self, sign: int) -> Iterator[Level]:
        """Walk the levels of one side, best first, at each price what is shown before what is hidden."""
        book = self._market.book
        if not book.hidden(sign).keys:
            return iter(book.side(sign))
        return merge(book.side(sign), book.hidden(sign), key=lambda level: -level.key)

    def _outside(self) -> list[Any]:
        """List the resting orders whose limits the static band leaves out, oldest first."""
        levels = [level for sign in (1, -1) for level in self._levels(sign) if self.is_outside(level.price)]
        return sorted((order for level in levels for order in level), key=lambda order: order.place)

    # -- executions

    def _perform(self, steps: list[Step], orders: dict[int, Any], price: int, condition: str) -> None:
        """Do what allocation has decided."""
        market = self._market
        for step in steps:
            if step.kind == "trade":
                assert step.buy is not None and step.sell is not None
                buy, sell = orders[step.buy], orders[step.sell]
                self._take(buy, step.lots)
                self._take(sell, step.lots)
                newer, older = (buy, sell) if buy.place > sell.place else (sell, buy)
                market.executed_in(condition, newer, older, price, step.lots)
                continue
            number = step.buy if step.buy is not None else step.sell
            assert number is not None
            order = orders[number]
            if step.kind == "lessen" and step.lots < order.leaves:
                self._take(order, step.lots)
                market.lessened(order, step.lots)
            else:
                if order.level is not None:
                    market.book.remove(order)
                self.forget(order)
                market.dropped(order, Reason.SELF_TRADE)

    def _take(self, order: Any, lots: int) -> None:
        """Take lots off an order wherever it stands, from what it shows first; one with nothing left goes."""
        level: Level | None = order.level
        shown = min(order.leaves - order.reserve, lots) if level is not None else lots
        order.leaves -= lots
        if level is None:
            if not order.leaves:
                self.forget(order)
            return
        order.reserve -= lots - shown
        level.shown -= shown
        level.total -= lots
        if not order.leaves:
            self._market.book.leave(order)

    def _refresh(self, order: Any) -> None:
        """Show a new slice of an iceberg whose shown part is gone."""
        level: Level | None = order.level
        if level is not None and order.reserve == order.leaves:
            level.unlink(order)
            level.append(order)
            self._market.rested(order)


def _takes_part(order: Any) -> bool:
    """Tell whether an order can trade in an auction; one that trades for no less than so much or asks, cannot."""
    return not order.is_special or not (order.least or order.is_asked)
