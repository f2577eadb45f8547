"""The venue against a slow, plain engine, on seeded orders of every kind."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from exsim_naive import Naive, NaiveOrder, make_special
from exsim_venue import ACME, Stage

from txtrader.exsim.records import Changes, SelfTrade, Terms
from txtrader.exsim.slices import RandomSlices
from txtrader.model.order import OrderType, Side, TimeInForce

CENT = Decimal("0.01")
TYPES = {
    "LIMIT": OrderType.LIMIT,
    "MARKET": OrderType.MARKET,
    "STOP": OrderType.STOP,
    "STOPLIMIT": OrderType.STOP_LIMIT,
}


def play(seed, count, mode="none", kinds="", **options):
    """Run the same operations on both; return the venue's stage, its numbers, and the naive engine.

    `kinds` says which special orders there are: `c` choosy ones, hidden ones and drawn slices, `p` pegs.
    """
    draw = random.Random(seed)
    stage = Stage(cash=10**12, self_trade=SelfTrade(mode), post_only="slide", **options)
    venue = stage.venue
    market = venue._market(ACME.id)
    mid = market.last
    rule = {"rule": options.get("matching", "price_time"), "top_max": options.get("top_max", 0)}
    naive = Naive(mid, mode, least_share=max(1, options.get("min_allocation", 0)), **rule)
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
                is_bound = bool(order.terms.peg) or order.terms.post_only
                price = order.price + (0 if is_bound else draw.choice((0, 0, 0, 1, -1)))
                left = max(1, order.leaves + draw.randrange(-20, 10))
                total = order.filled_lots + left
                changes = Changes(quantity=Decimal(total), limit_price=None if price == order.price else price * CENT)
                refusal = venue.replace("a", number, changes)
                if refusal is None:
                    naive.replace(known[number], price, left, total if order.terms.all_or_none else None)
                else:
                    assert order.terms.min_quantity > total
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
        terms = {
            "listing_id": ACME.id,
            "account": account,
            "side": Side.BUY if sign > 0 else Side.SELL,
            "quantity": Decimal(quantity),
            "type": TYPES[kind],
            "limit_price": price * CENT if kind in ("LIMIT", "STOPLIMIT") else None,
            "stop_price": stop * CENT if kind.startswith("STOP") else None,
            "tif": TimeInForce(tif),
            "display_quantity": Decimal(display) if display else None,
        }
        twin = NaiveOrder(number, sign, kind, price, stop, quantity, tif, display, account)
        if kinds and not display:
            make_special(draw, kinds, terms, twin)
        # The naive engine's numbers stand first, since fills are compared as they happen.
        order = venue.submit("a", Terms(**terms))
        if order.status == "Rejected":
            assert twin.to_limit and not naive.crossing_any(twin), order.end
            continue
        ids.append(order.id)
        known[order.id] = number
        if terms.get("display_low"):
            low, high = int(terms["display_low"]), int(terms["display_high"])
            twin.slices = RandomSlices(low, high, f"7|slices|{order.id}")
        naive.add(twin)
        top = venue.top(ACME.id)
        assert kinds or top.bid is None or top.ask is None or top.bid < top.ask, "crossed at rest"
    return stage, known, naive


MODES = [mode.value for mode in SelfTrade if mode is not SelfTrade.NONE]
RULES = [
    {"matching": "pro_rata"},
    {"matching": "pro_rata", "min_allocation": 4},
    {"matching": "pro_rata_top", "top_max": 5},
    {"matching": "size_time"},
]


COUNT = 5_000  # the plain engine looks at everything each time: many short runs are faster than a few long ones


@pytest.mark.parametrize("seed", range(1, 9))
def test_the_venue_and_a_naive_engine_agree_on_every_trade(seed):
    compare(*play(seed, COUNT))


@pytest.mark.parametrize("seed", [21, 22])
@pytest.mark.parametrize("mode", MODES)
def test_they_agree_on_who_must_not_trade_with_himself(seed, mode):
    compare(*play(seed, COUNT // 2, mode, "c" if seed == 22 else ""))


@pytest.mark.parametrize(("kinds", "seed"), [("c", 31), ("c", 32), ("p", 33), ("p", 34), ("cp", 35), ("cp", 36)])
def test_they_agree_on_hidden_choosy_and_pegged_orders(kinds, seed):
    compare(*play(seed, COUNT // 4, kinds=kinds))


@pytest.mark.parametrize("kinds", ["", "cp"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: "-".join(map(str, rule.values())))
def test_they_agree_on_how_a_rule_divides(rule, kinds):
    compare(*play(41, COUNT // 4, kinds=kinds, **rule))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1_000, 1_400))
def test_they_agree_over_millions_of_operations(seed):
    rule = [{}, *RULES][seed % 6] if seed % 6 < 5 else {}
    compare(*play(seed, COUNT, ["none", *MODES][seed % 5], ["", "c", "p", "cp"][seed % 4], **rule))


def compare(stage, known, naive):
    """Hold the venue's trades and what rests against the naive engine's."""
    trades = [
        (known[record[6 + 1]], known[record[8]], record[5], record[6]) for record in stage.venue.tape.of_kind("match")
    ]
    assert len(trades) > len(known) / 10
    for index, (ours, theirs) in enumerate(zip(trades, naive.trades, strict=False)):
        assert ours == theirs, f"trade {index}"
    assert len(trades) == len(naive.trades)
    for order_id, number in known.items():
        order, twin = stage.venue.order(order_id), naive.orders[number]
        assert (order.level is not None) == (twin.place is not None)
        assert order.is_open == (twin.place is not None or twin.waits or twin.parked)
        if order.level is not None:
            assert (order.price, order.leaves, order.leaves - order.reserve) == (twin.price, twin.leaves, twin.shown)


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
