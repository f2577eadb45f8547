"""Matching by hand, and a book whose matching is switched off and on again."""

from __future__ import annotations

from decimal import Decimal

import pytest
from exsim_venue import ACME, BETA, Eye, Stage

from txtrader.errors import InvalidArgument, NotFound
from txtrader.exsim.errors import WrongState
from txtrader.exsim.records import Phase
from txtrader.model.order import OrderStatus, OrderType, TimeInForce

D = Decimal
FILLED, PARTLY = OrderStatus.FILLED, OrderStatus.PARTIALLY_FILLED


def test_without_auto_match_orders_rest_and_the_book_may_be_crossed():
    stage = Stage(auto_match=False)
    buy, sell = stage.buy(10, "100.05"), stage.sell(10, "100.00")
    assert stage.book() == ([("100.05", 10, 1)], [("100.00", 10, 1)])
    assert stage.venue.top(ACME.id).bid > stage.venue.top(ACME.id).ask
    market, hasty = stage.buy(5), stage.sell(5, "100.00", tif=TimeInForce.IOC)
    assert (market.held, hasty.held) == ("match", "match") and market.is_open and hasty.is_open
    assert buy.filled == sell.filled == 0


def test_two_orders_match_by_hand_whatever_their_place():
    stage, eye = Stage(auto_match=False), Eye()
    stage.venue.watch(ACME.id, eye)
    early, late = stage.buy(10, "100.05"), stage.buy(10, "100.05")
    sell = stage.sell(4, "100.00")
    ids = stage.venue.match_orders(sell.id, late.id)
    assert (late.status, sell.status, early.filled) == (PARTLY, FILLED, 0)
    assert sell.average_price == D("100.05"), "the price of the order that was in the book first"
    fills = {fill.exec_id: fill for fill in stage.venue.fills()}
    assert [fills[one].order_id for one in ids] == [sell.id, late.id]
    assert [fills[one].liquidity for one in ids] == ["removed", "added"]
    (trade,) = eye.of("print")
    assert (trade.size, trade.conditions, str(trade.aggressor)) == (4, ("manual",), "SELL")
    assert stage.book()[0] == [("100.05", 16, 2)] and stage.venue.queue_position(late.id) == (10, 1)


def test_quantity_and_price_can_be_named_and_a_limit_is_kept():
    stage = Stage(auto_match=False)
    buy, sell = stage.buy(10, "100.05"), stage.sell(10, "100.00")
    for wrong in ({"quantity": D(11)}, {"quantity": D("0.5")}, {"price": D("100.06")}, {"price": D("100.001")}):
        with pytest.raises(InvalidArgument):
            stage.venue.match_orders(buy.id, sell.id, **wrong)
    assert buy.filled == 0
    stage.venue.match_orders(buy.id, sell.id, D(3), D("100.02"))
    assert (buy.filled, buy.average_price, sell.remaining) == (3, D("100.02"), 7)
    stage.venue.match_orders(buy.id, sell.id, D(1), D("101.00"), force=True)
    assert buy.last_price == D("101.00")


def test_what_cannot_be_matched_is_said_and_nothing_happens():
    stage = Stage(auto_match=False)
    buy, sell, other = stage.buy(10, "100.00"), stage.sell(10, "100.10"), stage.sell(1, "99.00", on=BETA)
    stop = stage.sell(1, type=OrderType.STOP, stop_price=D("50.00"))
    gone = stage.sell(1, "100.00")
    stage.venue.cancel("b", gone.id)
    with pytest.raises(NotFound):
        stage.venue.match_orders(buy.id, 1)
    for wrong in (buy, other, stop, gone):
        with pytest.raises(WrongState):
            stage.venue.match_orders(buy.id, wrong.id)
    with pytest.raises(InvalidArgument):
        stage.venue.match_orders(buy.id, sell.id)
    stage.venue.set_phase(ACME.id, Phase.HALT)
    with pytest.raises(WrongState):
        stage.venue.match_orders(buy.id, sell.id, price=D("100.05"))
    assert stage.venue.tape.of_kind("match") == []
    stage.venue.match_orders(buy.id, sell.id, price=D("100.05"), force=True)
    assert buy.status is sell.status is FILLED


def test_what_waits_without_a_place_trades_by_hand_too():
    stage = Stage(auto_match=False)
    market, hidden, iceberg = stage.buy(9), stage.sell(3, "100.00", hidden=True), stage.sell(9, "100.00")
    with pytest.raises(InvalidArgument):
        stage.venue.match_orders(market.id, stage.sell(1).id)
    stage.venue.match_orders(market.id, hidden.id)
    stage.venue.match_orders(market.id, iceberg.id, D(6))
    assert (market.status, hidden.status, iceberg.remaining) == (FILLED, FILLED, 3)
    assert stage.venue._market(ACME.id).book.specials == 1, "the book itself, which does not match"


def test_a_match_by_hand_may_reach_into_the_reserve_and_elects_stops():
    stage = Stage(auto_match=False)
    iceberg = stage.sell(10, "100.00", display_quantity=D(2))
    stop = stage.buy(1, type=OrderType.STOP, stop_price=D("100.00"))
    buy = stage.buy(5, "100.00")
    stage.venue.match_orders(iceberg.id, buy.id)
    assert (iceberg.remaining, stage.book()[1]) == (5, [("100.00", 2, 1)])
    assert (stop.was_elected, stop.held) == (True, "match")


def test_matching_that_is_switched_on_again_works_off_what_has_gathered():
    stage = Stage()
    assert stage.venue.set_book_option(ACME.id, "auto_match", False) == (True, False)
    first, second = stage.buy(10, "100.00"), stage.buy(10, "100.05")
    sell, market = stage.sell(15, "99.00"), stage.buy(2)
    assert first.filled == 0
    stage.venue.set_phase(ACME.id, Phase.HALT)
    with pytest.raises(WrongState):
        stage.venue.set_book_option(ACME.id, "auto_match", True)
    assert stage.venue.set_book_option(ACME.id, "auto_match", False) == (False, False)
    stage.venue.set_phase(ACME.id, Phase.CONTINUOUS)
    stage.venue.set_book_option(ACME.id, "auto_match", True)
    assert (second.filled, first.filled, sell.status) == (10, 5, FILLED)
    assert sell.average_price == (D("100.05") * 10 + D("100.00") * 5) / 15, "the older ones stood first"
    assert (market.status, market.end.reason) == (OrderStatus.CANCELED, "no-liquidity")
    assert stage.venue._market(ACME.id).book.specials == 0
