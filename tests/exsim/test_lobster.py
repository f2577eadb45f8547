"""Real order flow through the real engine: every row of the book equal, every decidable trade with the named order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from txtrader.exsim.book import BUY, SELL
from txtrader.exsim.lobster_replay import LobsterMessage, LobsterReplay, read_pair

SHARED = Path(os.environ.get("TXTRADER_SHARED", Path(__file__).parents[3] / "shared"))
DATA = SHARED / "data" / "lobster"
with_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data is not here (TXTRADER_SHARED)")
# folder, levels, rows after the first, trades, those of them that can be decided
SAMPLES = [("aapl_10", 10, 998, 98, 90), ("amzn_5", 5, 999, 128, 81)]


def pair_of(folder: str):
    (messages,) = (DATA / folder).glob("message_*.csv")
    (books,) = (DATA / folder).glob("orderbook_*.csv")
    return read_pair(messages, books)


@with_data
@pytest.mark.parametrize(("folder", "levels", "rows", "trades", "decidable"), SAMPLES)
def test_every_row_is_equal_and_every_trade_meets_the_named_order(folder, levels, rows, trades, decidable):
    found = LobsterReplay(levels).run(pair_of(folder))
    assert found.faults == []
    assert (found.rows, found.equal) == (rows, rows)
    assert (found.trades, found.decidable, found.exact) == (trades, decidable, decidable)


@with_data
@pytest.mark.parametrize(("folder", "levels", "rows", "trades", "decidable"), SAMPLES)
def test_the_books_are_kept_without_an_engine_as_well(folder, levels, rows, trades, decidable):
    found = LobsterReplay(levels, is_active=False).run(pair_of(folder))
    assert (found.faults, found.rows, found.equal, found.decidable) == ([], rows, rows, 0)


def message(type: int, order_id: int, size: int, price: int, direction: int) -> LobsterMessage:
    return LobsterMessage("34200.1", type, order_id, size, price, direction)


def test_a_trade_with_another_order_than_the_named_one_is_a_fault():
    replay = LobsterReplay(1)
    replay.step(message(1, 1, 10, 100, 1), {BUY: {100: 10}, SELL: {}})
    replay.step(message(1, 2, 10, 100, 1), {BUY: {100: 20}, SELL: {}})
    replay.step(message(4, 2, 10, 100, 1), {BUY: {100: 10}, SELL: {}})  # the older one is met first
    assert (replay.result.decidable, replay.result.exact) == (1, 0)
    assert len(replay.result.faults) == 1


def test_a_row_that_differs_is_a_fault():
    replay = LobsterReplay(2)
    replay.step(message(1, 1, 10, 100, 1), {BUY: {100: 10}, SELL: {}})
    replay.step(message(1, 2, 10, 99, 1), {BUY: {100: 10, 99: 11}, SELL: {}})
    assert replay.result.equal == 1, "what came into the window may be more than was seen coming"
    replay.step(message(3, 1, 10, 100, 1), {BUY: {100: 5, 99: 11}, SELL: {}})
    assert (replay.result.rows, replay.result.equal) == (2, 1)
    assert "the file says" in replay.result.faults[0]
