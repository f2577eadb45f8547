"""Pegged orders: what they follow, in what order they move, and when they are parked."""

from __future__ import annotations

from decimal import Decimal

import pytest
from exsim_venue import ACME, B, Stage

from txtrader.exsim.records import Changes, SelfTrade
from txtrader.model.order import OrderStatus, OrderType, TimeInForce

D = Decimal
FILLED = OrderStatus.FILLED


def quoted(bid="99.00", ask="101.00", **options):
    stage = Stage(**options)
    stage.bid, stage.ask = stage.buy(10, bid), stage.sell(10, ask)
    return stage


@pytest.mark.parametrize(
    ("peg", "offset", "buy", "sell"),
    [
        ("primary", "0", "99.00", "101.00"),
        ("primary", "-0.05", "98.95", "100.95"),
        ("market", "-0.10", "100.90", "98.90"),
        ("mid", "0", "100.00", "100.00"),
        ("mid", "-0.02", "99.98", "99.98"),
    ],
)
def test_the_price_is_what_it_is_pegged_to_plus_a_signed_offset(peg, offset, buy, sell):
    stage = quoted()
    assert stage.buy(5, type=OrderType.LIMIT, peg=peg, peg_offset=D(offset)).limit_price == D(buy)
    stage = quoted()
    order = stage.sell(5, type=OrderType.LIMIT, peg=peg, peg_offset=D(offset))
    if order.is_open:
        assert order.limit_price == D(sell)
    else:
        assert order.average_price == D("99.00"), "it was marketable"


def test_a_peg_follows_after_each_message_within_its_cap():
    stage = quoted()
    order = stage.buy(5, "99.50", peg="primary")
    assert order.limit_price == D("99.00")
    stage.buy(1, "99.30")
    assert order.limit_price == D("99.30")
    higher = stage.buy(1, "99.80")
    assert order.limit_price == D("99.50"), "its own limit caps it"
    stage.venue.cancel("a", higher.id)
    assert order.limit_price == D("99.30")
    assert stage.venue.replace("a", order.id, Changes(limit_price=D("99.10"))) is None
    assert order.limit_price == D("99.10")


def test_pegs_and_hidden_orders_are_nobodys_reference():
    stage = quoted()
    lead = stage.buy(5, type=OrderType.LIMIT, peg="primary", peg_offset=D("0.10"))
    stage.buy(5, "99.70", hidden=True)
    follower = stage.buy(5, type=OrderType.LIMIT, peg="primary", peg_offset=D("0.05"))
    assert (lead.limit_price, follower.limit_price) == (D("99.10"), D("99.05"))
    assert stage.venue.top(ACME.id).bid == D("99.10"), "a peg is shown all the same"


def test_without_a_reference_a_peg_is_parked_and_comes_back():
    stage = quoted()
    order = stage.sell(5, type=OrderType.LIMIT, peg="primary")
    stage.venue.cancel("b", stage.ask.id)
    assert (order.held, order.rests, order.is_open) == ("reference", False, True)
    assert stage.book()[1] == []
    stage.sell(1, "102.00")
    assert (order.held, order.limit_price) == ("", D("102.00")) and order.rests
    assert stage.book()[1] == [("102.00", 6, 2)]
    nowhere = Stage().buy(5, type=OrderType.LIMIT, peg="mid")
    assert (nowhere.held, nowhere.status) == ("reference", OrderStatus.NEW)


def test_pegs_move_in_order_of_priority_and_a_new_price_is_a_new_place():
    stage = quoted()
    first, second = (stage.buy(5, type=OrderType.LIMIT, peg="primary") for _ in range(2))
    better = stage.buy(1, "99.10")
    assert [stage.venue.queue_position(order.id) for order in (first, second)] == [(1, 1), (6, 2)]
    # The second gains priority by no move at all: the first is changed, and goes behind it.
    assert stage.venue.replace("a", first.id, Changes(quantity=D(8))) is None
    assert [stage.venue.queue_position(order.id) for order in (first, second)] == [(6, 2), (1, 1)]
    stage.venue.cancel("a", better.id)
    assert stage.venue.queue_position(second.id) == (10, 1), "it moved first"
    assert stage.venue.queue_position(first.id) == (15, 2)


def test_a_peg_that_moves_into_the_other_side_trades():
    stage = quoted()
    order = stage.buy(5, "100.50", peg="market")
    assert order.limit_price == D("100.50") and order.rests
    offer = stage.sell(3, "100.40")
    assert (offer.status, order.filled) == (FILLED, 3), "the offer met it where it stood"
    stage.sell(2, "100.45", hidden=False)
    assert order.status is FILLED


def test_an_odd_middle_is_rounded_away_from_the_other_side():
    stage = quoted("99.00", "99.03")
    assert stage.buy(5, type=OrderType.LIMIT, peg="mid").limit_price == D("99.01")
    stage = quoted("99.00", "99.03")
    assert stage.sell(5, type=OrderType.LIMIT, peg="mid").limit_price == D("99.02")


def test_a_book_with_half_ticks_lets_a_middle_stand_between_two():
    stage = quoted("99.00", "99.03", half_ticks=True)
    order = stage.buy(5, type=OrderType.LIMIT, peg="mid", hidden=True)
    assert order.limit_price == D("99.015")
    seller = stage.sell(2, "99.01")
    assert (seller.average_price, order.average_price, order.last_price) == (D("99.015"),) * 3
    assert stage.venue.last_print(ACME.id).price == D("99.015")
    (fill,) = stage.venue.fills(owner="a")
    assert stage.venue.bust(fill.exec_id).price == D("99.015")
    assert stage.venue.figures("A1").total_cash_value == stage.venue.figures("B2").total_cash_value
    stage.sell(1, "99.02")
    assert order.limit_price == D("99.01"), "on the tick again"


def test_pegs_end_leave_and_expire_like_any_other():
    stage = quoted()
    order = stage.buy(5, type=OrderType.LIMIT, peg="mid")
    stage.venue.cancel("a", order.id)
    stage.buy(1, "99.50")
    assert not order.is_open and len(stage.venue._market(ACME.id).pegs) == 0
    parked = Stage()
    waiting = parked.buy(5, type=OrderType.LIMIT, peg="mid", tif=TimeInForce.GTC)
    assert parked.venue.cancel("a", waiting.id) is None and len(parked.venue._market(ACME.id).pegs) == 0


def test_parked_pegs_survive_a_restart(tmp_path):
    stage = quoted(state_path=str(tmp_path / "venue"), half_ticks=True)
    order = stage.buy(5, type=OrderType.LIMIT, peg="mid", tif=TimeInForce.GTC)
    stage.venue.stop()
    again = Stage(state_path=str(tmp_path / "venue"), half_ticks=True)
    back = again.venue.order(order.id)
    assert back.is_open and back.limit_price == order.limit_price == D("100.00")


def test_a_peg_that_comes_when_there_was_none_for_a_while_moves_with_the_turn_that_brought_it():
    stage = quoted(bid="99.61", ask="99.69", self_trade=SelfTrade.OLDEST)
    former = stage.buy(1, type=OrderType.LIMIT, peg="primary")
    assert stage.venue.cancel("a", former.id) is None
    own = stage.buy(18, "99.64", account=B)
    order = stage.sell(5, type=OrderType.LIMIT, peg="market", peg_offset=D("-0.02"))
    assert own.status is OrderStatus.CANCELED, "its own account's bid went, and the best is what it was long before"
    assert (order.limit_price, order.average_price) == (D("99.59"), D("99.61"))
