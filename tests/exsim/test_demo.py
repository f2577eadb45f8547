"""The demonstration venue: at once, day and night, and the same bytes for the same seed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from exsim_venue import SECOND, Ear, Eye
from twisted.internet.task import Clock

from txtrader.exsim.demo import ACCOUNTS, make_demo_venue
from txtrader.exsim.records import Terms
from txtrader.model.instrument import SecType
from txtrader.model.order import OrderStatus, OrderType, Side

SCRIPT = """
import sys
from decimal import Decimal
from twisted.internet.task import Clock
from txtrader.exsim.demo import make_demo_venue
from txtrader.exsim.records import Terms
from txtrader.model.order import OrderType, Side, TimeInForce

clock = Clock()
venue = make_demo_venue(clock, lambda: 1773158400 * 10**9 + round(clock.seconds() * 1e9), int(sys.argv[1]), pace="fast")
venue.start()
ids = [one.id for one in venue.instruments][:40:3]
for number in ids:
    venue.stats(number)
for turn in range(60):
    clock.pump([0.02] * 10)
    side = (Side.BUY, Side.SELL)[turn % 2]
    terms = Terms(listing_id=(8314, 265598)[turn % 2], account="DU1000001", side=side, quantity=Decimal(50 + turn),
                  type=OrderType.MARKET, tif=TimeInForce.DAY)
    order = venue.submit("someone", terms)
    venue.cancel("someone", order.id)
figures = venue.figures("DU1000001")
print(venue.tape.count, venue.tape.digest(), figures.net_liquidation, [fill.exec_id for fill in venue.fills()][-1])
"""


def run(seed, hash_seed):
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(seed)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


def test_one_seed_gives_the_same_tape_in_every_process():
    first = run(5, "1")
    assert first == run(5, "2")
    assert int(first.split()[0]) > 5_000
    assert first != run(6, "1")


def venue_at(*when, pace="slow", seed=1, **options):
    clock = Clock()
    start = int(datetime(*when, tzinfo=ZoneInfo("America/New_York")).timestamp()) * SECOND
    venue = make_demo_venue(clock, lambda: start + round(clock.seconds() * SECOND), seed, pace=pace, **options)
    venue.start()
    return clock, venue


def market(side, quantity, listing_id=8314, account="DU1000001"):
    return Terms(
        listing_id=listing_id, account=account, side=Side(side), quantity=Decimal(quantity), type=OrderType.MARKET
    )


def test_the_first_quote_is_there_at_once():
    began = time.perf_counter()
    _, venue = venue_at(2026, 3, 10, 12)
    top = venue.top(8314)
    assert top.bid < top.ask and top.bid_size > 0
    assert time.perf_counter() - began < 1.0


@pytest.mark.parametrize("when", [(2026, 3, 10, 12), (2026, 3, 10, 3), (2026, 3, 14, 23), (2026, 12, 25, 9)])
def test_every_market_quotes_and_moves_at_any_hour(when):
    clock, venue = venue_at(*when, pace="fast")
    eyes = {}
    for one in [one for one in venue.instruments if one.under_id is None]:
        eyes[one.symbol, one.currency] = eye = Eye()
        venue.watch(one.id, eye)
        top = venue.top(one.id)
        assert (top.bid is not None) == one.is_tradeable
    clock.pump([0.02] * 3_000)
    for (symbol, _), eye in eyes.items():
        if symbol in ("SPX", "COMP"):
            continue
        assert len(eye.of("top")) > 200, symbol
        assert len({trade.price for trade in eye.of("print")}) > 2, symbol
        assert all(top.bid is None or top.ask is None or top.bid < top.ask for top in eye.of("top"))
    assert all(eyes[index, "USD"].of("print") for index in ("SPX", "COMP"))


def test_every_listing_of_every_kind_can_be_woken():
    _, venue = venue_at(2026, 3, 10, 12, pace="none")
    began = time.perf_counter()
    for one in venue.instruments:
        top = venue.top(one.id)
        assert (top.ask is not None) == one.is_tradeable
        for price in (top.bid, top.ask):
            assert price is None or price % one.tick_at(price) == 0
    assert time.perf_counter() - began < 15


def test_a_market_order_of_any_size_fills_and_prices_stand_still_without_a_pace():
    _, venue = venue_at(2026, 3, 10, 12, pace="none")
    before = venue.depth(8314)
    order = venue.submit("me", market("BUY", 5_000))
    assert (order.status, order.filled) == (OrderStatus.FILLED, 5_000)
    after = venue.depth(8314)
    assert [row.price for row in before[1]] == [row.price for row in after[1]]
    assert venue.submit("me", market("SELL", 5_000)).status is OrderStatus.FILLED


def test_a_moving_market_fills_a_limit_order_by_itself():
    clock, venue = venue_at(2026, 3, 10, 12, pace="fast")
    ear = Ear()
    session = venue.open_session("me", ear)
    top = venue.top(8314)
    order = session.submit(
        Terms(
            listing_id=8314,
            account="DU1000001",
            side=Side.BUY,
            quantity=Decimal(100),
            type=OrderType.LIMIT,
            limit_price=top.bid,
        )
    )
    assert order.rests
    clock.pump([0.02] * 3_000)
    assert order.status is OrderStatus.FILLED
    assert {fact[2].liquidity for fact in ear.heard if fact[0] == "order_filled"} == {"added"}


def test_a_venue_without_a_house_is_empty_and_one_that_stopped_leaves_no_timer():
    clock, venue = venue_at(2026, 3, 10, 12, has_house=False)
    assert venue.depth(8314) == ([], [])
    venue.submit("me", market("BUY", 1))
    venue.stop()
    clock, venue = venue_at(2026, 3, 10, 12, pace="fast")
    venue.top(8314)
    venue.submit("me", market("BUY", 1, account="DU1000003"))
    assert clock.getDelayedCalls()
    venue.set_activity("slow")
    venue.stop()
    assert clock.getDelayedCalls() == []


def test_accounts_have_cash_in_their_currencies():
    _, venue = venue_at(2026, 3, 10, 12, pace="none")
    assert venue.accounts() == tuple(ACCOUNTS)
    figures = venue.figures("DU1000002")
    assert figures.ledger == {"EUR": Decimal("100000.00"), "USD": Decimal("250000.00")}
    assert figures.net_liquidation > 350_000


def test_ids_of_a_later_run_are_later():
    _, first = venue_at(2026, 3, 10, 12, pace="none")
    one = first.submit("me", market("BUY", 1))
    _, second = venue_at(2026, 3, 10, 12, 0, 1, pace="none")
    two = second.submit("me", market("BUY", 1))
    assert two.id > one.id
    assert not {fill.exec_id for fill in first.fills()} & {fill.exec_id for fill in second.fills()}
    assert one.id < 2**30  # an endpoint adds to it what its wire needs


def test_an_index_is_a_value_that_nobody_trades():
    _, venue = venue_at(2026, 3, 10, 12, pace="none")
    (index,) = venue.instruments.find(symbol="SPX", sectype=SecType.INDEX)
    assert venue.submit("me", market("BUY", 1, listing_id=index.id)).status is OrderStatus.REJECTED
    assert venue.stats(index.id).last > 1_000


def test_the_example_of_the_documentation_runs(capsys):
    page = (Path(__file__).parents[2] / "docs" / "exsim.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(example, "docs/exsim.md", "exec"), {})
    assert "Filled" in capsys.readouterr().out
