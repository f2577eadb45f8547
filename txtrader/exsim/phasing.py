"""The phases of a venue's markets in time: by request, by the day's plan, by a timer; and what a move does to orders.

A move is one turn: the uncross and its executions, the end of what was for that auction only, the news, then, as
consequences, what waited for the new phase, oldest first, and the stops that the auction's price elects.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from txtrader.exsim.day_plan import DayPlan, Step
from txtrader.exsim.hours import SECOND
from txtrader.exsim.market import Market
from txtrader.exsim.orders import Order
from txtrader.exsim.phase_options import PhaseSettings, set_option
from txtrader.exsim.phases import CALLS, MOVES, WrongPhase, check_move, is_uncrossed
from txtrader.exsim.records import DayEnd, Listing, Phase, Reason, Refusal
from txtrader.model.order import OrderStatus, TimeInForce

if TYPE_CHECKING:
    from txtrader.exsim.desk import Desk
    from txtrader.exsim.floor import Floor

__all__ = ["Phasing"]

_LONGEST_WAIT = 3600.0  # a clock that is set, or sleeps with its machine, is noticed by then
_AUCTION_OVER = Refusal(Reason.AUCTION, "the auction that the order was for is over")
_AUCTION_BEGINS = Refusal(Reason.AUCTION, "an auction begins")
_UNFILLED = Refusal(Reason.NO_LIQUIDITY, "the auction had nothing more to trade with")
_BEFORE_OPEN = frozenset({Phase.PRE_OPEN, Phase.OPENING_AUCTION})
_OUTSIDE = Refusal(Reason.BAND, "its limit is outside the price band")
_AFTER_CLOSE = frozenset({Phase.TRADE_AT_LAST, Phase.POST_CLOSE, Phase.CLOSED})


class Phasing:
    """See the module.  Without a `plan` every market is in continuous trading until somebody moves it."""

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        now_ns: Callable[[], int],
        desk: Desk,
        floor: Floor,
        seed: int,
        plan: DayPlan | None = None,
    ) -> None:
        self._clock = clock
        self._now_ns = now_ns
        self._desk = desk
        self._floor = floor
        self._seed = seed
        self._plan = plan
        self._seen = now_ns()
        self._timer: IDelayedCall | None = None
        self._ends: dict[int, IDelayedCall] = {}
        self._settings = PhaseSettings()
        self._phase = Phase.CONTINUOUS
        self._is_running = False

    # -- life

    def start(self) -> None:
        """Follow the plan from now on."""
        self._is_running = True
        self._seen = self._now_ns()
        self._set_timer()

    def stop(self) -> None:
        """Leave no timer behind."""
        self._is_running = False
        for call in [self._timer, *self._ends.values()]:
            if call is not None and call.active():
                call.cancel()
        self._timer = None
        self._ends.clear()

    def follow(self, plan: DayPlan | None) -> None:
        """Follow another plan, and let the markets that can go where it is now; None: everything stays as it is."""
        self._plan = plan
        self._seen = self._now_ns()
        if plan is not None:
            self._phase = plan.phase_at(self._seen)
            self._step(Step(self._seen, self._phase))
        if self._is_running:
            self._set_timer()

    def wake(self, market: Market) -> None:
        """Give a market that wakes the phase and the options that hold everywhere."""
        market.regime.set_settings(self._settings)
        phase = self.at_waking(market.listing)
        if phase is not market.phase:
            market.set_phase(phase)
            self._note_end(market)

    def at_waking(self, listing: Listing) -> Phase:
        """Return the phase of a market that would wake now."""
        if not listing.is_tradeable:
            return Phase.CONTINUOUS
        return self._plan.phase_at(self._now_ns()) if self._plan is not None else self._phase

    def day_end(self, listing: Listing, now: int) -> int:
        """Return when an order that is good for the day ends."""
        return self._plan.day_end(now) if self._plan is not None else self._floor.day_end(listing, now)

    # -- options

    def set_option(self, listing_id: int | None, name: str, value: Any) -> None:
        """Set an option (`PHASE_OPTIONS`) of one market, or of all and those to come.  Raises InvalidArgument."""
        if listing_id is None:
            self._settings = set_option(self._settings, name, value)
        for market in self._markets(listing_id):
            settings = set_option(market.regime.settings, name, value)
            self._desk.tape.write("phase_option", market.listing.id, name, str(value))
            self._desk.turns.run(market, partial(self._set, market, settings))

    def _set(self, market: Market, settings: PhaseSettings) -> None:
        market.regime.set_settings(settings)
        self._let_in(market)

    def settings(self, listing_id: int | None = None) -> PhaseSettings:
        """Return the options of a market, or those that hold everywhere."""
        return self._settings if listing_id is None else self._markets(listing_id)[0].regime.settings

    # -- by request

    def set_phase(self, listing_id: int | None, phase: Phase) -> None:
        """Move a market, or all; where one cannot go there none goes.  Raises WrongPhase, KeyError."""
        markets = self._markets(listing_id)
        for market in markets:
            check_move(market.phase, phase, market.listing.local_symbol)
        if listing_id is None:
            self._phase = phase
        for market in markets:
            self._move(market, phase)

    def resume(self, listing_id: int | None, *, by_auction: bool | None = None) -> None:
        """End a halt: directly, or by an auction (None: as the option `resume` says); a plan may have gone on."""
        for market in self._markets(listing_id):
            if market.phase is not Phase.HALT:
                if listing_id is not None:
                    raise WrongPhase(f"{market.listing.local_symbol} is not halted")
                continue
            planned = self._plan.phase_at(self._now_ns()) if self._plan is not None else Phase.CONTINUOUS
            if planned in MOVES[Phase.HALT] and planned is not Phase.CONTINUOUS:
                self._move(market, planned)
                continue
            is_call = by_auction if by_auction is not None else market.regime.settings.resume == "auction"
            self._move(market, Phase.PAUSE if is_call else Phase.CONTINUOUS)

    def breached(self, market: Market) -> None:
        """Take in that a match has put a market into a pause; the rest of the move follows."""
        self._desk.turns.then(market, partial(self._arrive, market, Phase.CONTINUOUS, Phase.PAUSE))

    def end_of_day(self) -> DayEnd:
        """Expire what was good for the day, begin the figures anew; everything else is carried."""
        expired = self._desk.expire_day_orders()
        markets = self._markets(None)
        for market in markets:
            close = market.last if market.last is not None else market.previous_close
            self._desk.turns.run(market, partial(market.roll, close))
            self._desk.turns.run(market, partial(self._let_in, market))
        return DayEnd(expired=expired, carried=len(self._desk.live), rolled=len(markets))

    def _markets(self, listing_id: int | None) -> list[Market]:
        if listing_id is None:
            return [market for market in self._floor.awake() if market.listing.is_tradeable]
        market = self._floor.market(listing_id)
        if market is None:
            raise KeyError(listing_id)
        return [market]

    # -- moves

    def _move(self, market: Market, phase: Phase) -> None:
        self._desk.turns.run(market, partial(self._turn, market, phase))

    def _turn(self, market: Market, phase: Phase) -> None:
        old = market.phase
        if phase is old:
            return
        if phase not in MOVES[old]:  # it was possible when it was asked for, before another message was done
            self._desk.tape.write("phase_refused", market.listing.id, str(phase))
            return
        if market.regime.called and is_uncrossed(old, phase):
            self._uncross(market)
        self._arrive(market, old, phase)

    def _uncross(self, market: Market) -> None:
        """Trade what the auction trades, and end what was for it only."""
        regime = market.regime
        word = regime.called
        price, outside = regime.uncross()
        self._desk.tape.write("uncross", market.listing.id, word, price)
        ends = {"opening": TimeInForce.OPG, "closing": TimeInForce.CLS}.get(word)
        for order in self._live(market):
            if (order.tif is ends or order.terms.auction == "next") and order.held == "":
                self._end(order, _AUCTION_OVER)
        for order in list(regime.unpriced.values()):
            if regime.settings.auction_market_orders == "cancel":
                self._end(order, _UNFILLED)
            else:  # to the book, or to wait for a phase that takes it
                regime.forget(order)
                self._desk.turns.then(market, partial(self._desk.start, order))
        for order in outside:
            if order.is_house:
                market.dropped(order, Reason.BAND)
            elif not order.is_open:
                continue  # it was for this auction only
            elif regime.refuses(order.price):
                self._end(order, _OUTSIDE)
            else:
                order.held = "band"
                regime.park(order)  # to try again: the band has moved

    def _arrive(self, market: Market, old: Phase, phase: Phase) -> None:
        """Tell the new phase, end what it ends, and let in what waited for it."""
        market.set_phase(phase)
        self._note_end(market)
        for order in self._live(market):
            tif = order.tif
            is_over = (tif is TimeInForce.OPG and phase not in _BEFORE_OPEN) or (
                tif is TimeInForce.CLS and phase in _AFTER_CLOSE
            )
            if order.terms.auction == "cancel_on_auction" and phase in CALLS and old not in CALLS:
                self._end(order, _AUCTION_BEGINS)
            elif is_over:
                self._end(order, _AUCTION_OVER)
        self._let_in(market)
        if phase is Phase.CONTINUOUS:
            market.house_was_hit = True  # one that does not act by itself quotes again

    def _let_in(self, market: Market) -> None:
        """Let each order that waits here try again, in a turn of its own."""
        for order in list(market.regime.parked.values()):
            if market.regime.waits_for(order) == "":
                self._desk.turns.then(market, partial(self._try, market, order))

    def _try(self, market: Market, order: Order) -> None:
        if order.number in market.regime.parked:
            market.regime.forget(order)
            self._desk.start(order)

    def _live(self, market: Market) -> list[Order]:
        return [order for order in self._desk.live.values() if order.listing.id == market.listing.id]

    def _end(self, order: Order, reason: Refusal) -> None:
        self._desk.take_out(order)
        self._desk.end(order, OrderStatus.CANCELED, reason)

    # -- by the clock

    def _note_end(self, market: Market) -> None:
        """Find out when the call that begins is to end; a pause with a length ends by itself."""
        listing_id, regime = market.listing.id, market.regime
        timer = self._ends.pop(listing_id, None)
        if timer is not None and timer.active():
            timer.cancel()
        if market.phase is Phase.PAUSE and regime.settings.pause_seconds:
            regime.ends = self._now_ns() + regime.settings.pause_seconds * SECOND
            delay = regime.settings.pause_seconds + self._random_delay(market)
            self._end_later(market, delay, Phase.CONTINUOUS)
        elif market.phase in CALLS and self._plan is not None and self._plan.phase_at(self._now_ns()) is market.phase:
            regime.ends = self._plan.call_end(self._now_ns())

    def _random_delay(self, market: Market) -> float:
        """Draw how much later (seconds) this auction ends."""
        most = market.regime.settings.auction_random_end
        return (
            Random(f"{self._seed}|auction end|{market.listing.id}|{market.regime.ends}").randint(0, most * 1000) / 1000
        )

    def _end_later(self, market: Market, delay: float, phase: Phase) -> None:
        def end() -> None:
            del self._ends[market.listing.id]
            if phase in MOVES[market.phase]:
                self._move(market, phase)

        self._ends[market.listing.id] = self._clock.callLater(delay, end)

    def _set_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        if self._plan is not None:
            now = self._now_ns()
            delay = (self._plan.next_step(now).at - now) / SECOND
            self._timer = self._clock.callLater(min(delay, _LONGEST_WAIT), self._wake)

    def _wake(self) -> None:
        self._timer = None
        if self._plan is None:
            return
        now = self._now_ns()
        for step in self._plan.steps_between(self._seen, now):
            self._step(step)
        self._seen = now
        self._set_timer()

    def _step(self, step: Step) -> None:
        """Move every market that can go where the plan goes; a halt is ended by the end of the day alone."""
        self._phase = step.phase
        for market in self._markets(None):
            if step.phase not in MOVES[market.phase]:
                continue
            if market.phase is Phase.HALT and step.phase is not Phase.CLOSED:
                continue
            delay = 0.0
            if market.regime.called and is_uncrossed(market.phase, step.phase):
                delay = self._random_delay(market)
            if delay:
                self._log.debug("{name} is uncrossed {delay} s later", name=market.listing.local_symbol, delay=delay)
                self._end_later(market, delay, step.phase)
            else:
                self._move(market, step.phase)
