"""The floor: every listing's market, awake or asleep, with its price source, its history and its house.

A market sleeps until somebody looks at it, and costs nothing until then.  What it shows when it wakes depends on the
seed and the time alone, so that looking early or late at others changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txtrader.exsim.daily import DailySource, Recipe
from txtrader.exsim.entry import exact_ticks
from txtrader.exsim.history import History
from txtrader.exsim.hours import SCHEDULES, SECOND, Schedule, Session
from txtrader.exsim.house import Activity, House
from txtrader.exsim.instruments import InstrumentMaster
from txtrader.exsim.market import Market, Watch
from txtrader.exsim.matching import Apart
from txtrader.exsim.options import BookOptions
from txtrader.exsim.orders import Order
from txtrader.exsim.path import PricePath
from txtrader.exsim.phases import CALLS
from txtrader.exsim.pricing import Greeks, OptionSource, PathSource, PriceSource, SteeredSource
from txtrader.exsim.records import Listing, Phase, Reason
from txtrader.exsim.tape import Tape
from txtrader.model.instrument import SecType

__all__ = ["Floor"]

_FIRST_DATE = date(1999, 1, 4)
_PLAIN = Recipe(level=100.0)
_OPTIONS = (SecType.OPTION, SecType.FUTURE_OPTION)


class _Awake:
    """A market that is being looked at."""

    __slots__ = ("has_house", "house", "market", "next_open", "session", "timer")

    def __init__(self, market: Market, house: House | None, session: Session, next_open: int) -> None:
        self.market = market
        self.house = house
        self.session = session
        self.next_open = next_open
        self.timer: IDelayedCall | None = None
        self.has_house = True  # False while a source's own quotes stand in its place


class Floor:
    """See the module.

    `run(market, action)` processes a turn; `on_day()` is called when a trading day begins, `on_wake(market)` before
    anything happens in a market that wakes, `on_breach(market)` when a match has put one into a pause.
    """

    def __init__(
        self,
        *,
        clock: IReactorTime,
        now_ns: Callable[[], int],
        tape: Tape,
        instruments: InstrumentMaster,
        recipes: dict[int, Recipe],
        seed: int,
        activity: Activity,
        options: BookOptions,
        on_ask: Callable[[Any, Order, int, int], None],
        on_less: Callable[[Order, int, Apart | None], None],
        has_house: bool,
        has_past: bool,
        on_fill: Callable[[Order, int, int, int, bool], None],
        on_drop: Callable[[Order, Reason, Apart | None], None],
        run: Callable[[Market | None, Callable[[], None]], None],
        on_day: Callable[[], None],
        on_wake: Callable[[Market], None],
        on_breach: Callable[[Market], None],
    ) -> None:
        self._clock = clock
        self._now_ns = now_ns
        self._tape = tape
        self._instruments = instruments
        self._recipes = recipes
        self._seed = seed
        self._activity = activity
        self._options = options
        self._on_ask = on_ask
        self._on_less = on_less
        self._has_house = has_house
        self._has_past = has_past
        self._on_fill = on_fill
        self._on_drop = on_drop
        self._run = run
        self._on_day = on_day
        self._on_wake = on_wake
        self._on_breach = on_breach
        self._sources: dict[int, SteeredSource] = {}
        self._histories: dict[int, History] = {}
        self._awake: dict[int, _Awake] = {}
        self._is_running = False
        self.on_watch: Callable[[Watch, Listing], None] | None = None  # told of each new watch, where policies want it
        self.first_matches: dict[int, int] = {}  # by listing: the number after which a market counts its executions
        self._day = SCHEDULES["us-stock"].session_at(now_ns()).day

    # -- life

    def start(self) -> None:
        self._is_running = True
        for awake in self._awake.values():
            self._plan(awake)

    def stop(self) -> None:
        self._is_running = False
        for awake in self._awake.values():
            if awake.timer is not None and awake.timer.active():
                awake.timer.cancel()
            awake.timer = None

    def set_activity(self, activity: Activity) -> None:
        self._activity = activity
        if self._is_running:
            self.stop()
            self.start()

    # -- markets

    def market(self, listing_id: int) -> Market | None:
        """Return a market, awake from now on; None for an unknown listing."""
        awake = self._awake.get(listing_id)
        if awake is None:
            listing = self._instruments.get(listing_id)
            if listing is None:
                return None
            awake = self._wake(listing)
        elif self._now_ns() >= awake.next_open:
            self._roll(awake)
        return awake.market

    def if_awake(self, listing_id: int) -> Market | None:
        """Return a market that is awake, None for others."""
        return self.market(listing_id) if listing_id in self._awake else None

    def forget(self, listing_id: int) -> None:
        """Let go of a market whose listing is gone."""
        awake = self._awake.pop(listing_id, None)
        if awake is not None and awake.timer is not None:
            awake.timer.cancel()

    def watches(self) -> list[tuple[Watch, Listing]]:
        """List who watches what."""
        return [(watch, a.market.listing) for a in self._awake.values() for watch in a.market.watches]

    def _wake(self, listing: Listing) -> _Awake:
        now = self._now_ns()
        schedule = self.schedule(listing)
        session = _session_of_figures(schedule, now)
        market = Market(
            listing,
            self._tape,
            self._now_ns,
            self._on_fill,
            self._on_drop,
            options=self._options,
            on_less=self._on_less,
            on_ask=self._on_ask,
            reference=lambda: self.source(listing).price_at(self._now_ns()),
            first_match=self.first_matches.get(listing.id, 0),
            on_breach=self._on_breach,
        )
        if self._has_past:
            self._take_up(market, session, now)
        house: House | None = None
        if self._has_house:
            house = House(market, self.source(listing), self._recipe(listing), self._seed)
        awake = _Awake(market, house, session, schedule.regular(schedule.next_date(session.day)).start)
        self._awake[listing.id] = awake
        self._tape.write("wake", listing.id, market.last)
        self._on_wake(market)
        is_on = market.phase is Phase.CONTINUOUS or market.phase in CALLS
        if listing.is_tradeable and house is not None and is_on:
            self._run(market, partial(house.quote, now))
        if self._is_running:
            self._plan(awake)
        return awake

    def _take_up(self, market: Market, session: Session, now: int) -> None:
        """Let a market that wakes go on from what its source says of the session so far."""
        listing = market.listing
        source = self.source(listing)
        history = self.history(listing)
        today = history.today(session.start, min(now, session.end))
        before = source.day(self.schedule(listing).previous_date(session.day))
        market.begin(
            last=source.price_at(now),
            previous_close=before.close,
            day=today[:3] if today is not None else None,
            volume=today[3] if today is not None else 0,
            time=now,
            last_lots=max(1, round(self._recipe(listing).unit / float(listing.step))) if listing.is_tradeable else 0,
        )
        history.follow(market, now)

    def awake(self) -> list[Market]:
        """List the markets that are awake, by id, each in the session that has come."""
        return [market for number in sorted(self._awake) if (market := self.market(number)) is not None]

    def _plan(self, awake: _Awake) -> None:
        if self._activity.rate > 0 and awake.house is not None and awake.has_house:
            delay = awake.house.interval(self._activity)
            awake.timer = self._clock.callLater(delay, self._act, awake)

    def _act(self, awake: _Awake) -> None:
        awake.timer = None
        now = self._now_ns()
        if now >= awake.next_open:
            self._roll(awake)
        assert awake.house is not None, "only a house acts"
        if awake.market.phase is Phase.CONTINUOUS:
            self._run(awake.market, partial(awake.house.act, now))
        if self._is_running:
            self._plan(awake)

    def refill(self) -> None:
        """Let a house that does not act by itself (activity none) put back what participants took from its ladder."""
        if self._activity.rate > 0 or not self._has_house:
            return
        for awake in self._awake.values():
            market, house = awake.market, awake.house
            if house is None or not awake.has_house or market.phase is not Phase.CONTINUOUS:
                continue
            if market.house_was_hit:
                market.house_was_hit = False
                self._run(market, partial(house.quote, self._now_ns(), is_frozen=True))

    def _roll(self, awake: _Awake) -> None:
        """Begin the session whose time has come."""
        now = self._now_ns()
        listing = awake.market.listing
        schedule = self.schedule(listing)
        market = awake.market
        if self._has_past:
            close = self.history(listing).close_of(awake.session.start, awake.session.end, awake.session.day)
        else:
            close = market.last if market.last is not None else market.previous_close
        awake.session = _session_of_figures(schedule, now)
        awake.next_open = schedule.regular(schedule.next_date(awake.session.day)).start
        self._run(awake.market, partial(awake.market.roll, close))
        day = SCHEDULES["us-stock"].session_at(now).day
        if day != self._day:
            self._day = day
            self._on_day()

    def steer(self, listing_id: int, price: int | None) -> None:
        """Say what a listing is worth (ticks; None: ask the path again); its house, if it has one, quotes anew."""
        market = self.market(listing_id)
        assert market is not None
        source, now = self.source(market.listing), self._now_ns()
        before = source.price_at(now)
        source.steer(price, now)
        awake = self._awake[listing_id]
        house = awake.house
        is_here = house is not None and awake.has_house and market.listing.is_tradeable
        if source.price_at(now) != before and is_here and market.phase is Phase.CONTINUOUS:
            assert house is not None
            self._run(market, partial(house.quote, now))

    def set_house(self, listing_id: int, is_there: bool) -> None:
        """Send the house out of one market, or let it come back."""
        market = self.market(listing_id)
        assert market is not None
        awake = self._awake[listing_id]
        if awake.has_house is is_there:
            return
        awake.has_house = is_there
        house = awake.house
        if house is None or not market.listing.is_tradeable:
            return
        if is_there:
            if market.phase is Phase.CONTINUOUS:
                self._run(market, partial(house.quote, self._now_ns()))
            if self._is_running:
                self._plan(awake)
        else:
            if awake.timer is not None:
                awake.timer.cancel()
                awake.timer = None
            self._run(market, house.leave)

    def path_ticks(self, listing: Listing, instant: int) -> int:
        """Return what a listing's own path says, whatever is attached to it."""
        return self.source(listing).base.price_at(instant)

    def reference(self, listing: Listing) -> int:
        """Return what a listing is worth now (ticks), by the source attached to it or else by its path."""
        return self.source(listing).price_at(self._now_ns())

    # -- prices

    def schedule(self, listing: Listing) -> Schedule:
        return SCHEDULES[listing.schedule]

    def day_end(self, listing: Listing, now: int) -> int:
        """Return when a DAY order entered now ends: with the regular session that runs or comes next."""
        return self.schedule(listing).session_at(now).end

    def source(self, listing: Listing) -> SteeredSource:
        """Return where a listing's reference prices come from."""
        known = self._sources.get(listing.id)
        if known is None:
            known = self._sources[listing.id] = SteeredSource(self._make_source(listing))
        return known

    def _make_source(self, listing: Listing) -> PriceSource:
        if listing.sectype in _OPTIONS:
            assert listing.under_id is not None and listing.strike is not None
            under = self._instruments.get(listing.under_id)
            assert under is not None
            return OptionSource(
                self.source(under),
                float(under.tick),
                float(listing.strike),
                listing.right,
                _expiry_instant(listing, self.schedule(listing)),
                float(listing.tick),
                round(self._recipe(listing).volume),
            )
        recipe = self._recipe(listing)
        daily = DailySource(recipe, listing.schedule, float(listing.tick), float(listing.step))
        return PathSource(PricePath(daily, self._seed, recipe.group or str(listing.id)))

    def _recipe(self, listing: Listing) -> Recipe:
        return self._recipes.get(listing.id, _PLAIN)

    def history(self, listing: Listing) -> History:
        known = self._histories.get(listing.id)
        if known is None:
            recipe = self._recipe(listing)
            known = self._histories[listing.id] = History(
                self.source(listing), self.schedule(listing), listing.tick, listing.step, recipe.half_spread
            )
        return known

    def mark(self, listing: Listing) -> Decimal:
        """Return the last price of an awake market, the path's of one asleep (which stays asleep)."""
        awake = self._awake.get(listing.id)
        if awake is not None and awake.market.last is not None:
            return awake.market.price(awake.market.last)
        if not self._has_past:
            return awake.market.price(awake.market.previous_close) if awake is not None else Decimal(0)
        return self.source(listing).price_at(self._now_ns()) * listing.tick

    def greeks(self, listing_id: int) -> Greeks | None:
        listing = self._instruments.get(listing_id)
        if listing is None or listing.sectype not in _OPTIONS:
            return None
        source = self.source(listing).base
        assert isinstance(source, OptionSource)
        return source.greeks_at(self._now_ns())

    def years_to_expiry(self, listing_id: int) -> float:
        listing = self._instruments.get(listing_id)
        if listing is None or listing.sectype not in _OPTIONS:
            return 0.0
        source = self.source(listing).base
        assert isinstance(source, OptionSource)
        return source.years_at(self._now_ns())

    def head_time(self, listing: Listing) -> int:
        """Return the first instant of history: the first shipped bar, or 400 days before a derivative ends."""
        schedule = self.schedule(listing)
        if listing.expiry:
            return _expiry_instant(listing, schedule) - 400 * 86400 * SECOND
        first = _FIRST_DATE if schedule.is_trading_date(_FIRST_DATE) else schedule.next_date(_FIRST_DATE)
        return schedule.regular(first).start

    def revise_house(
        self, listing_id: int, sign: int, quantity: Decimal, price: Decimal, new_quantity: Decimal, new_price: Decimal
    ) -> None:
        """Book a bust or correction on the house, which was the other side with `sign`."""
        market = self._awake[listing_id].market
        listing = market.listing
        lots, ticks = int(quantity / listing.step), exact_ticks(price, listing)
        new_lots, new_ticks = int(new_quantity / listing.step), exact_ticks(new_price, listing)
        market.house_lots += sign * (new_lots - lots)
        market.house_flow -= sign * (new_lots * new_ticks - lots * ticks)


def _session_of_figures(schedule: Schedule, now: int) -> Session:
    """Return the session that the figures of now are of: the running one, else the last."""
    session = schedule.session_at(now)
    if session.start > now:
        session = schedule.regular(schedule.previous_date(session.day))
    return session


def _expiry_instant(listing: Listing, schedule: Schedule) -> int:
    day = datetime.strptime(listing.expiry, "%Y%m%d").replace(tzinfo=UTC).date()
    while not schedule.is_trading_date(day):
        day = schedule.previous_date(day)
    return schedule.regular(day).end
