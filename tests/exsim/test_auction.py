"""The price of an auction and its allocation, against the rules written out the slow way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtrader.exsim.auction import Call, Equilibrium, Part, Step, allocate, equilibrium
from txtrader.exsim.records import SelfTrade

EXAMPLE = Call(bids={1002: 200, 1000: 300}, asks={999: 150, 1001: 250}, market_bid=100)


def test_the_example_of_the_rules_trades_300_at_10_01():
    assert equilibrium(EXAMPLE, 1000) == Equilibrium(1001, 300, -100)


def test_buyers_in_surplus_at_every_best_price_take_the_highest():
    call = Call(bids={105: 100}, asks={100: 50})
    assert equilibrium(call, 100) == Equilibrium(105, 50, 50)


def test_no_surplus_takes_the_nearest_to_the_reference_and_of_two_the_higher():
    call = Call(bids={105: 50}, asks={100: 50})
    assert equilibrium(call, 99) == Equilibrium(100, 50, 0)
    assert equilibrium(call, 103) == Equilibrium(103, 50, 0)
    mixed = Call(bids={104: 50}, asks={102: 50})
    assert equilibrium(mixed, None) == Equilibrium(104, 50, 0)
    assert equilibrium(Call(bids={104: 20, 102: 30}, asks={102: 20, 104: 30}), 103).price == 103
    two = Call(bids={104: 20, 100: 60}, asks={100: 20, 104: 60})
    assert [equilibrium(two, reference).price for reference in (102, 101, 90)] == [102, 101, 100]


def test_market_orders_alone_trade_at_the_reference_or_not_at_all():
    alone = Call({}, {}, 100, 30)
    assert equilibrium(alone, 500) == Equilibrium(500, 30, 70)
    assert equilibrium(alone, None) is None


def test_nothing_trades_outside_the_bands():
    call = Call(bids={110: 100}, asks={90: 100})
    assert equilibrium(call, 100, 95, 105) == Equilibrium(100, 100, 0)
    assert equilibrium(call, None, 95, 105) is None
    assert equilibrium(Call(bids={110: 100}, asks={108: 100}), 100, 95, 105) is None


def by_the_rules(call, reference, low, high):
    """Find the price by trying every candidate and applying the five rules one after the other."""
    candidates = set(call.bids) | set(call.asks) | ({reference} - {None})
    rows = []
    for price in candidates:
        if (low is not None and price < low) or (high is not None and price > high):
            continue
        bought = call.market_bid + sum(lots for limit, lots in call.bids.items() if limit >= price)
        sold = call.market_ask + sum(lots for limit, lots in call.asks.items() if limit <= price)
        rows.append((price, min(bought, sold), bought - sold))
    most = max((row[1] for row in rows), default=0)
    if most == 0:
        return None
    rows = [row for row in rows if row[1] == most]
    least = min(abs(row[2]) for row in rows)
    rows = [row for row in rows if abs(row[2]) == least]
    signs = {(row[2] > 0) - (row[2] < 0) for row in rows}
    prices = [row[0] for row in rows]
    if signs == {1}:
        price = max(prices)
    elif signs == {-1}:
        price = min(prices)
    elif reference is None:
        price = max(prices)
    else:
        distance = min(abs(price - reference) for price in prices)
        price = max(price for price in prices if abs(price - reference) == distance)
    return Equilibrium(*next(row for row in rows if row[0] == price))


ladder = st.dictionaries(st.integers(90, 110), st.integers(1, 5), max_size=6)
maybe = st.none() | st.integers(88, 112)


@given(ladder, ladder, st.integers(0, 6), st.integers(0, 6), maybe, maybe, maybe)
def test_the_price_is_that_of_the_rules(bids, asks, market_bid, market_ask, reference, low, high):
    call = Call(bids, asks, market_bid, market_ask)
    assert equilibrium(call, reference, low, high) == by_the_rules(call, reference, low, high)


def test_the_example_is_allocated_as_told():
    buys = [Part(1, 100), Part(2, 200)]  # at market, then at 10.02
    sells = [Part(4, 150), Part(5, 250)]
    assert allocate(buys, sells) == [
        Step("trade", 1, 4, 100),
        Step("trade", 2, 4, 50),
        Step("trade", 2, 5, 150),
    ]


parts = st.lists(st.tuples(st.integers(1, 9), st.sampled_from([None, "a", "b"])), max_size=7)


@given(parts, parts, st.sampled_from(SelfTrade))
def test_allocation_is_by_turn_and_loses_nothing(bought, sold, mode):
    buys = [Part(n, lots, key, n) for n, (lots, key) in enumerate(bought)]
    sells = [Part(100 + n, lots, key, 100 + n) for n, (lots, key) in enumerate(sold)]
    keys = {part.number: part.key for part in buys + sells}
    left = {part.number: part.lots for part in buys + sells}
    for step in allocate(buys, sells, mode):
        sides = [number for number in (step.buy, step.sell) if number is not None]
        if step.kind == "trade":
            for part, number in ((buys, step.buy), (sells, step.sell)):
                first = next(one.number for one in part if left[one.number])
                assert number == first, "whose turn it is not yet has traded"
            assert mode is SelfTrade.NONE or keys[step.buy] is None or keys[step.buy] != keys[step.sell]
        for number in sides:
            left[number] -= left[number] if step.kind == "cancel" else step.lots
            assert left[number] >= 0
    assert not any(left[part.number] for part in buys) or not any(left[part.number] for part in sells)


@pytest.mark.parametrize(
    ("mode", "steps"),
    [
        (SelfTrade.NEWEST, [Step("cancel", None, 12), Step("trade", 1, 13, 50)]),
        (SelfTrade.OLDEST, [Step("cancel", 1, None), Step("trade", 2, 12, 30)]),
        (SelfTrade.BOTH, [Step("cancel", 1, None), Step("cancel", None, 12), Step("trade", 2, 13, 30)]),
        (
            SelfTrade.DECREMENT,
            [Step("lessen", 1, None, 50), Step("lessen", None, 12, 50), Step("trade", 2, 12, 10),
             Step("trade", 2, 13, 20)],
        ),
    ],
)  # fmt: skip
def test_a_key_is_kept_apart_as_its_mode_says(mode, steps):
    buys = [Part(1, 50, "mine", 1), Part(2, 30, "other", 2)]
    sells = [Part(12, 60, "mine", 3), Part(13, 50, "third", 4)]
    assert allocate(buys, sells, mode)[: len(steps)] == steps
