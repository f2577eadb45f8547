"""The venue against a slow, plain engine, on seeded orders of every kind."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from exsim_naive import Naive, NaiveOrder
from exsim_venue import ACME, Stage

from txtrader.exsim.records import Changes, SelfTrade, Terms
from txtrader.model.order import OrderType, Side, TimeInForce

CENT = Decimal("0.01")
TYPES = {
    "LIMIT": OrderType.LIMIT,
    "MARKET": OrderType.MARKET,
    "STOP": OrderType.STOP,
    "STOPLIMIT": OrderType.STOP_LIMIT,
}


def play(seed, count, mode="none"):
    """Run the same operations on both; return the venue's stage, its numbers, and the naive engine."""
    draw = random.Random(seed)
    stage = Stage(cash=10**12, self_trade=SelfTrade(mode))
    venue = stage.venue
    market = venue._market(ACME.id)
    mid = market.last
    naive = Naive(mid, mode)
    ids = []
    known = {}
    for _ in range(count):
        live = [number for number in ids[-300:] if venue.order(number).is_open]
        x = draw.random()
        if x < 0.22 and live:
            number = draw.choice(live)
            assert venue.cancel("a", number) is None
            naive.cancel(known[number])
            continue
        if x < 0.30 and live:
            number = draw.choice(live)
            order = venue.order(number)
            if order.level is not None:
                price = order.price + draw.choice((0, 0, 0, 1, -1))
                left = max(1, order.leaves + draw.randrange(-20, 10))
                changes = Changes(quantity=Decimal(order.filled_lots + left), limit_price=price * CENT)
                assert venue.replace("a", number, changes) is None
                naive.replace(known[number], price, left)
            continue
        sign = draw.choice((1, -1))
        kind = draw.choices(("LIMIT", "MARKET", "STOP", "STOPLIMIT"), (75, 8, 9, 8))[0]
        price = mid - sign * draw.randrange(-3, 12)
        stop = mid + sign * draw.randrange(-2, 12)
        tif = draw.choices(("DAY", "IOC", "FOK"), (85, 9, 6))[0]
        quantity = draw.randrange(1, 40)
        display = draw.randrange(1, quantity + 1) if kind == "LIMIT" and tif == "DAY" and draw.random() < 0.15 else 0
        account = draw.choice(("A1", "A1", "B2")) if mode != "none" else "A1"
        number = len(known) + 1
        # The naive engine's numbers stand first, since fills are compared as they happen.
        order = venue.submit(
            "a",
            Terms(
                listing_id=ACME.id,
                account=account,
                side=Side.BUY if sign > 0 else Side.SELL,
                quantity=Decimal(quantity),
                type=TYPES[kind],
                limit_price=price * CENT if kind in ("LIMIT", "STOPLIMIT") else None,
                stop_price=stop * CENT if kind.startswith("STOP") else None,
                tif=TimeInForce(tif),
                display_quantity=Decimal(display) if display else None,
            ),
        )
        assert order.status != "Rejected", order.end
        ids.append(order.id)
        known[order.id] = number
        shown = display if display < quantity else 0
        naive.add(NaiveOrder(number, sign, kind, price, stop, quantity, tif, shown, account))
        top = venue.top(ACME.id)
        assert top.bid is None or top.ask is None or top.bid < top.ask, "crossed at rest"
    return stage, known, naive


MODES = [mode.value for mode in SelfTrade if mode is not SelfTrade.NONE]


COUNT = 5_000  # the plain engine looks at everything each time: many short runs are faster than a few long ones


@pytest.mark.parametrize("seed", range(1, 14))
def test_the_venue_and_a_naive_engine_agree_on_every_trade(seed):
    compare(*play(seed, COUNT))


@pytest.mark.parametrize("seed", [21, 22])
@pytest.mark.parametrize("mode", MODES)
def test_they_agree_on_who_must_not_trade_with_himself(seed, mode):
    compare(*play(seed, COUNT, mode))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1_000, 1_400))
def test_they_agree_over_millions_of_operations(seed):
    compare(*play(seed, COUNT, ["none", *MODES][seed % 5]))


def compare(stage, known, naive):
    """Hold the venue's trades and what rests against the naive engine's."""
    trades = [
        (known[record[6 + 1]], known[record[8]], record[5], record[6]) for record in stage.venue.tape.of_kind("match")
    ]
    assert len(trades) > len(known) / 10
    assert trades == naive.trades
    for order_id, number in known.items():
        order, twin = stage.venue.order(order_id), naive.orders[number]
        assert (order.level is not None) == (twin.place is not None)
        assert order.is_open == (twin.place is not None or twin.waits)
        if order.level is not None:
            assert (order.leaves, order.leaves - order.reserve) == (twin.leaves, twin.shown)


def test_what_one_side_gets_the_other_gives():
    stage, _, _ = play(4, 1_500)
    sold = bought = 0
    for fill in stage.venue.fills():
        if fill.side.sign > 0:
            bought += fill.quantity
        else:
            sold += fill.quantity
    assert bought == sold > 0
    for order in [*stage.venue.live_orders(), *stage.venue.completed_orders()]:
        own = sum(fill.quantity for fill in stage.venue.fills() if fill.order_id == order.id)
        assert own == order.filled <= order.quantity
