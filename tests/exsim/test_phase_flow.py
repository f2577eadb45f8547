"""Random days: orders of every kind, changes, moves, options; after each message everything is where it belongs."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from exsim_venue import ACME, SECOND, Stage

from txtrader.exsim.phases import CALLS, MOVES
from txtrader.exsim.records import Changes, Phase, SelfTrade
from txtrader.model.order import OrderType, TimeInForce

TICK = ACME.tick
OPTIONS = {
    "auction_market_orders": ("cancel", "carry"),
    "auction_stops": (True, False),
    "closed_queues_gtc": (True, False),
    "halt_accepts": ("none", "cancels", "all"),
    "resume": ("direct", "auction"),
    "pause_seconds": (0, 0, 2),
    "auction_random_end": (0, 1),
    "no_cancel": (0, 1),
    "static_band": (None, "0.08", "5%"),
    "dynamic_band": (None, "0.03", "5%"),
    "reference_price": (None, "near"),
    "band_orders": ("reject", "accept"),
    "band_breach": ("collar", "volatility"),
}


WORKS = (Phase.CONTINUOUS, Phase.TRADE_AT_LAST, *CALLS)


class Flow:
    """One random run; `mid` is the price that all prices are near."""

    def __init__(self, seed, mode):
        self.draw = random.Random(seed)
        self.stage = Stage(cash=10**12, self_trade=mode, seed=seed)
        self.market = self.stage.venue._market(ACME.id)
        self.mid = self.market.last
        self.ids = []
        self.phases = {self.market.phase}

    def price(self):
        return (self.mid + self.draw.randrange(-12, 13)) * TICK

    def step(self):
        venue, draw = self.stage.venue, self.draw
        x = draw.random()
        live = [number for number in self.ids[-80:] if venue.order(number).is_open]
        if x < 0.10 and live:
            venue.cancel("a", draw.choice(live))
        elif x < 0.18 and live:
            order = venue.order(draw.choice(live))
            price = self.price() if order.terms.limit_price is not None and draw.random() < 0.5 else None
            total = order.filled + draw.randrange(1, 20) if draw.random() < 0.7 else None
            venue.replace("a", order.id, Changes(quantity=total, limit_price=price))
        elif x < 0.20 and live:
            if venue.park("a", number := draw.choice(live)) is None and draw.random() < 0.8:
                venue.release(number)
        elif x < (0.24 if self.market.phase in WORKS else 0.32):
            venue.set_phase(ACME.id, draw.choice(sorted(MOVES[self.market.phase])))
        elif x < 0.33 and self.market.phase is Phase.HALT:
            venue.resume(ACME.id)
        elif x < 0.35:
            name = draw.choice(list(OPTIONS))
            value = draw.choice(OPTIONS[name])
            venue.phases.set_option(ACME.id, name, self.mid * TICK if value == "near" else value)
        elif x < 0.37:
            self.stage.clock.advance(draw.choice((0.1, 1, 3)))
        elif x < 0.372:
            venue.end_of_day()
        else:
            self.enter()
        self.phases.add(self.market.phase)

    def enter(self):
        draw, stage = self.draw, self.stage
        kind = draw.choices(
            (OrderType.LIMIT, OrderType.MARKET, OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP),
            (70, 12, 6, 6, 6),
        )[0]
        more = {"type": kind, "account": draw.choice(("A1", "B2"))}
        more["tif"] = draw.choices(list(TimeInForce), (50, 20, 8, 6, 6, 5, 5))[0]
        if more["tif"] is TimeInForce.GTD:
            more["expire_time"] = stage.now() + draw.randrange(1, 5) * SECOND
        if kind.needs_stop:
            more["stop_price"] = self.price()
        if kind.is_trailing:
            more["trail_amount"] = draw.randrange(1, 5) * TICK
        if kind is OrderType.LIMIT:
            more["auction"] = draw.choices(("", "next", "cancel_on_auction"), (88, 7, 5))[0]
            more["post_only"] = draw.random() < 0.05
            if draw.random() < 0.15:
                more["display_quantity"] = Decimal(draw.randrange(1, 4))
        if draw.random() < 0.1 and self.ids:
            more["parent_id"] = draw.choice(self.ids[-5:])
        price = self.price() if kind.needs_limit else None
        if self.market.phase is Phase.TRADE_AT_LAST and price is not None and draw.random() < 0.7:
            price = self.market.last * TICK
        order = stage.order(draw.choice(("BUY", "SELL")), draw.randrange(1, 20), price, **more)
        self.ids.append(order.id)

    def check(self):
        """Look at every order's place, and at every level's sums."""
        market, desk = self.market, self.stage.venue._desk
        regime, book = market.regime, market.book
        resting = {}
        for side in (book.bids, book.asks):
            assert side.keys == sorted(side.levels)
            for level in side:
                orders = list(level)
                resting |= {order.number: order for order in orders}
                assert level.count == len(orders) > 0
                assert level.total == sum(order.leaves for order in orders)
                assert level.shown == sum(order.leaves - order.reserve for order in orders)
                assert all(order.leaves > order.reserve >= 0 for order in orders)
        put_off = {order.number for order in market._put_off if order.is_open}
        for number, order in desk.live.items():
            places = (
                number in resting,
                number in regime.unpriced,
                number in regime.parked,
                order in market.triggers or number in put_off,
                order.held in ("parent", "release"),
            )
            assert places.count(True) == 1, (order.held, order.terms, places, market.phase)
            assert (number in regime.parked) is (order.held in ("auction", "phase", "band"))
            assert order.leaves + order.filled_lots == order.lots
        for number in (*resting, *regime.unpriced, *regime.parked):
            assert number in desk.live, "what is done is nowhere"
        if market.phase not in CALLS and regime.called == "":
            bid, ask = book.best_bid, book.best_ask
            assert bid is None or ask is None or bid < ask, (market.phase, bid, ask)
            assert not regime.unpriced
        assert market.phase is not Phase.CONTINUOUS or regime.called == ""
        for name in ("A1", "B2"):
            position = self.stage.venue._accounts[name].positions.get(ACME.id)
            for sign, counted in ((1, "open_buy"), (-1, "open_sell")):
                working = [
                    order.remaining
                    for order in desk.live.values()
                    if order.account == name and order.sign == sign and order.held not in ("parent", "release")
                ]
                assert (0 if position is None else getattr(position, counted)) == sum(working)


@pytest.mark.parametrize("seed", range(12))
def test_everything_is_where_it_belongs_after_each_message(seed):
    flow = Flow(seed, list(SelfTrade)[seed % 5])
    for _ in range(1_000):
        flow.step()
        flow.check()
    assert len(flow.phases) >= 8, flow.phases
    assert len(flow.stage.venue.fills()) > 20


def test_the_same_seed_gives_the_same_flow():
    digests = []
    for _ in range(2):
        flow = Flow(5, SelfTrade.NONE)
        for _ in range(600):
            flow.step()
        digests.append(flow.stage.venue.tape.digest())
    assert digests[0] == digests[1]
