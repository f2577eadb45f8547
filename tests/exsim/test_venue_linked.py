"""Brackets and groups: what one order's fill or end does to the others."""

from __future__ import annotations

from decimal import Decimal

import pytest
from exsim_venue import BETA, A, B, Stage

from txtrader.exsim.records import Reason
from txtrader.model.order import OrderStatus, OrderType

D = Decimal
CANCELED, FILLED = OrderStatus.CANCELED, OrderStatus.FILLED


def bracket(stage, entry="100.00", quantity=10):
    return stage.venue.submit_all(
        "a",
        [
            stage.terms("BUY", quantity, entry),
            stage.terms("SELL", quantity, "105.00", parent_id=-1),
            stage.terms("SELL", quantity, type=OrderType.STOP, stop_price=D("95.00"), parent_id=-1),
        ],
    )


def test_children_wait_for_the_whole_parent():
    stage = Stage()
    stage.trade_at("100.00")
    parent, profit, stop = bracket(stage)
    assert [order.held for order in (parent, profit, stop)] == ["", "parent", "parent"]
    stage.sell(4, "100.00")
    assert profit.held == "parent"
    stage.sell(6, "100.00")
    assert (parent.status, profit.held, stop.held) == (FILLED, "", "trigger")
    assert profit.oca_group == stop.oca_group == str(parent.id) and profit.oca_type == 3


def test_one_childs_fill_ends_the_other_and_a_part_reduces_it():
    stage = Stage()
    stage.trade_at("100.00")
    _, profit, stop = bracket(stage)
    stage.sell(10, "100.00")
    stage.buy(4, "105.00", account=B, owner="b")
    assert (profit.remaining, stop.remaining, stop.quantity) == (6, 6, 6)
    stage.buy(6, "105.00", account=B, owner="b")
    assert (profit.status, stop.status, stop.end.reason) == (FILLED, CANCELED, Reason.GROUP)


def test_children_end_with_their_parent():
    stage = Stage()
    parent, profit, stop = bracket(stage)
    stage.venue.cancel("a", parent.id)
    assert profit.end.reason is stop.end.reason is Reason.PARENT
    late = stage.buy(1, "100.00", parent_id=parent.id)
    assert late.end.reason is Reason.LINKED


def test_a_child_of_a_filled_parent_works_at_once():
    stage = Stage()
    stage.sell(10, "100.00")
    parent = stage.buy(10, "100.00")
    child = stage.sell(10, "105.00", owner="a", account=A, parent_id=parent.id)
    assert child.rests


def test_all_of_a_bracket_are_accepted_before_the_first_one_trades():
    stage = Stage()
    stage.trade_at("100.00")
    stage.sell(10, "100.00")
    stage.ear.heard.clear()
    bracket(stage)
    names = stage.ear.names("order_accepted", "order_filled", "order_activated")
    assert names == ["order_accepted"] * 3 + ["order_filled"] * 2 + ["order_activated"] * 2


def test_a_rejected_parent_takes_its_children_with_it():
    stage = Stage()
    orders = bracket(stage, entry="100.001")
    assert [order.end.reason for order in orders] == [Reason.PRICE_TICK, Reason.LINKED, Reason.LINKED]


@pytest.mark.parametrize(("kind", "left"), [(1, 0), (2, 5), (3, 5)])
def test_a_group_cancels_or_reduces_the_others_also_in_other_markets(kind, left):
    stage = Stage()
    first = stage.buy(10, "99.00", oca_group="g", oca_type=kind)
    second = stage.buy(20, "98.00", on=BETA, oca_group="g", oca_type=kind)
    stranger = stage.sell(10, "120.00", oca_group="g", oca_type=kind)  # another owner's group of the same name
    stage.sell(5, "99.00")
    assert first.remaining == 5
    assert second.remaining == (0 if kind == 1 else 10)
    assert second.is_open is (kind != 1)
    assert stranger.remaining == 10
    stage.sell(5, "99.00")
    assert second.status is CANCELED
    assert left in (0, 5)


def test_a_group_never_fills_twice_in_one_message():
    stage = Stage()
    stage.trade_at("100.00")
    limit = stage.sell(10, "101.00", owner="a", account=A, oca_group="g", oca_type=1)
    stop = stage.sell(
        10, type=OrderType.MARKET_IF_TOUCHED, stop_price=D("101.00"), owner="a", account=A, oca_group="g", oca_type=1
    )
    stage.buy(5, "100.50", account=B, owner="b")
    stage.buy(10, "101.00", account=B, owner="b")  # fills the limit, and touches what waits in the same instant
    assert (limit.status, stop.status, stop.filled) == (FILLED, CANCELED, 0)


def test_a_child_may_work_from_the_first_part_of_its_parent_on():
    stage = Stage()
    parent, first, last = stage.venue.submit_all(
        "a",
        [
            stage.terms("BUY", 10, "100.00"),
            stage.terms("SELL", 10, "105.00", parent_id=-1, after_first=True, oca_group="x", oca_type=1),
            stage.terms("SELL", 10, "106.00", parent_id=-1, oca_group="y", oca_type=1),
        ],
    )
    stage.sell(1, "100.00")
    assert (first.held, first.rests, last.held) == ("", True, "parent")
    late = stage.sell(1, "107.00", account=A, owner="a", parent_id=parent.id, after_first=True)
    assert late.rests, "the first part is there already"
    stage.venue.cancel("a", parent.id)
    assert (first.is_open, last.end.reason) == (True, Reason.PARENT), "what works already works on"


def test_a_group_may_reduce_its_others_by_the_same_quantity():
    stage = Stage()
    one, other = (stage.sell(10, price, account=A, owner="a", oca_group="g", oca_type=4) for price in ("105", "106"))
    third = stage.sell(4, "107", account=A, owner="a", oca_group="g", oca_type=4)
    stage.buy(3, "105", account=B, owner="b")
    assert (one.remaining, other.remaining, third.remaining) == (7, 7, 1)
    assert stage.ear.names("order_restated") == ["order_restated"] * 2
    stage.buy(7, "105", account=B, owner="b")
    assert (one.status, other.status, third.status, third.end.reason) == (FILLED, CANCELED, CANCELED, Reason.GROUP)
