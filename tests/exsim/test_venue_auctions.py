"""Auctions at the venue: gathering, the uncross through the books, and what becomes of what it leaves."""

from __future__ import annotations

from decimal import Decimal

import pytest
from exsim_venue import ACME, Eye, Stage
from hypothesis import given, settings
from hypothesis import strategies as st

from txtrader.exsim.records import Changes, Phase, Reason, SelfTrade
from txtrader.model.order import OrderStatus, OrderType, Side, TimeInForce

D = Decimal
OPENING, CLOSING, ON = Phase.OPENING_AUCTION, Phase.CLOSING_AUCTION, Phase.CONTINUOUS


def gathering(phase=Phase.PRE_OPEN, **options):
    """Make a venue whose ACME gathers for an auction."""
    stage = Stage(**options)
    if phase in (Phase.PRE_OPEN, OPENING):
        stage.venue.set_phase(ACME.id, Phase.CLOSED)
    stage.venue.set_phase(ACME.id, phase)
    stage.eye = Eye()
    stage.venue.watch(ACME.id, stage.eye)
    return stage


def reference(stage):
    return stage.venue.stats(ACME.id).last


def uncross(stage, phase=ON):
    stage.venue.set_phase(ACME.id, phase)


def test_the_example_is_uncrossed_through_the_book():
    stage = gathering()
    at_market = stage.buy(100)
    high, low = stage.buy(200, "10.02"), stage.buy(300, "10.00")
    first, second = stage.sell(150, "9.99"), stage.sell(250, "10.01")
    assert stage.ear.names("order_filled") == []
    assert stage.book() == ([("10.02", 200, 1), ("10.00", 300, 1)], [("9.99", 150, 1), ("10.01", 250, 1)])
    told = stage.venue.indicative(ACME.id)
    assert (told.price, told.volume, told.surplus) == (D("10.01"), 300, -100)
    uncross(stage)
    assert [order.filled for order in (at_market, high, low, first, second)] == [100, 200, 0, 150, 150]
    assert {order.average_price for order in (at_market, high, first, second)} == {D("10.01")}
    assert stage.book() == ([("10.00", 300, 1)], [("10.01", 100, 1)])
    prints = stage.eye.of("print")
    assert [(one.size, one.price, one.conditions) for one in prints] == [
        (100, D("10.01"), ("opening",)),
        (50, D("10.01"), ("opening",)),
        (150, D("10.01"), ("opening",)),
    ]
    assert len(stage.ear.names("order_filled")) == 6, "both sides hear of each"
    assert stage.venue.last_print(ACME.id) == prints[-1]
    stage.buy(1, "10.01")
    assert stage.eye.of("print")[-1].conditions == ()


def test_the_indication_is_told_as_it_changes_and_only_while_orders_gather():
    stage = gathering()
    stage.buy(10, "99.00")
    stage.sell(4, "98.00")
    stage.sell(4, "120.00")  # changes nothing
    stage.sell(6, "99.00")
    told = [(one.price, one.volume, one.surplus) for one in stage.eye.of("indicative")]
    assert told == [(None, 0, 0), (D("99.00"), 4, 6), (D("99.00"), 10, 0)]
    uncross(stage)
    stage.buy(1, "98.00")
    assert len(stage.eye.of("indicative")) == 3
    assert stage.venue.indicative(ACME.id).price is None


def test_market_orders_alone_trade_at_the_last_price():
    stage = gathering()
    last = reference(stage)
    buy, sell = stage.buy(10), stage.sell(4)
    uncross(stage)
    assert (sell.filled, sell.average_price, buy.filled) == (4, last, 4)
    assert (buy.status, buy.end.reason) == (OrderStatus.CANCELED, Reason.NO_LIQUIDITY)


def test_a_market_order_may_be_carried_into_continuous_trading():
    stage = gathering()
    stage.venue.phases.set_option(ACME.id, "auction_market_orders", "carry")
    buy, sell = stage.buy(10), stage.sell(4, "99.00")
    passive = stage.sell(5, "105.00")
    last = reference(stage)
    uncross(stage)
    assert last < 105 or passive.filled == 5
    assert sell.filled == 4 and buy.filled == 9 and passive.filled == 5
    assert buy.status is OrderStatus.CANCELED, "the rest found nothing more"


def test_an_iceberg_takes_part_with_all_of_it_what_it_shows_first():
    stage = gathering()
    berg = stage.sell(30, "99.00", display_quantity=D(10))
    other = stage.sell(10, "99.00")
    stage.buy(25, "99.00")
    uncross(stage)
    assert (berg.filled, other.filled) == (15, 10)
    assert stage.book()[1] == [("99.00", 10, 1)], "a new slice of the 15 that are left"
    stage = gathering()
    berg = stage.sell(30, "99.00", display_quantity=D(10))
    stage.buy(10, "99.00")
    uncross(stage)
    assert berg.filled == 10 and stage.book()[1] == [("99.00", 10, 1)], "a new slice is shown"


def test_opening_orders_are_taken_before_the_opening_only_and_end_with_it():
    stage = Stage()
    assert stage.buy(1, "99.00", tif=TimeInForce.OPG).end.reason is Reason.PHASE
    stage = gathering()
    filled, rest = stage.buy(5, "99.00", tif=TimeInForce.OPG), stage.buy(5, "98.00", tif=TimeInForce.OPG)
    stays = stage.buy(5, "97.00")
    stage.sell(5, "99.00")
    uncross(stage, OPENING)
    assert rest.is_open
    uncross(stage)
    assert filled.status is OrderStatus.FILLED
    assert (rest.status, rest.end.reason) == (OrderStatus.CANCELED, Reason.AUCTION)
    assert stays.rests


def test_closing_orders_wait_unseen_for_the_closing_auction():
    stage = Stage()
    eye = Eye()
    stage.venue.watch(ACME.id, eye, depth=5)
    limit = stage.buy(10, "99.00", tif=TimeInForce.CLS)
    market = stage.sell(6, tif=TimeInForce.CLS)
    rest = stage.buy(3, "90.00", tif=TimeInForce.CLS)
    assert (limit.held, market.held) == ("auction", "auction")
    assert stage.book() == ([], []) and eye.of("top") == []
    stage.sell(1, "98.00")
    assert stage.book() == ([], [("98.00", 1, 1)]), "it is not there to trade with"
    stage.venue.set_phase(ACME.id, CLOSING)
    assert limit.held == "" and stage.book()[0] == [("99.00", 10, 1), ("90.00", 3, 1)]
    stage.venue.set_phase(ACME.id, Phase.TRADE_AT_LAST)
    assert (market.filled, limit.filled) == (6, 7)
    assert [order.end.reason for order in (limit, rest)] == [Reason.AUCTION] * 2
    assert eye.of("print")[-1].conditions == ("closing",)


def test_closing_orders_end_where_there_is_no_closing_auction():
    stage = Stage()
    order = stage.buy(10, "99.00", tif=TimeInForce.CLS)
    stage.venue.set_phase(ACME.id, Phase.POST_CLOSE)
    assert order.end.reason is Reason.AUCTION
    cancelled = Stage()
    order = cancelled.buy(10, "99.00", tif=TimeInForce.CLS)
    assert cancelled.venue.cancel("a", order.id) is None
    cancelled.venue.set_phase(ACME.id, CLOSING)
    assert cancelled.book() == ([], []) and order.end.reason is Reason.USER


def test_an_order_for_the_next_auction_takes_part_in_any_and_ends_with_it():
    stage = Stage()
    order = stage.buy(10, "99.00", auction="next", tif=TimeInForce.GTC)
    assert order.held == "auction" and stage.book() == ([], [])
    stage.venue.set_phase(ACME.id, Phase.PAUSE)
    stage.sell(4, "99.00")
    uncross(stage)
    assert (order.filled, order.end.reason) == (4, Reason.AUCTION)
    stage = gathering()
    order = stage.buy(10, "99.00", auction="next")
    assert order.rests
    uncross(stage)
    assert order.end.reason is Reason.AUCTION


def test_an_order_that_an_auction_ends_goes_when_it_begins():
    stage = Stage()
    order, other = stage.buy(10, "99.00", auction="cancel_on_auction"), stage.buy(1, "99.00")
    stage.venue.set_phase(ACME.id, CLOSING)
    assert (order.status, order.end.reason) == (OrderStatus.CANCELED, Reason.AUCTION)
    assert other.rests
    assert stage.buy(1, "99.00", auction="cancel_on_auction").end.reason is Reason.PHASE


@pytest.mark.parametrize(
    "more",
    [
        {"tif": TimeInForce.IOC},
        {"tif": TimeInForce.FOK},
        {"post_only": True},
        {"type": OrderType.STOP, "stop_price": D(120)},
    ],
)
def test_what_cannot_gather_is_refused(more):
    stage = gathering()
    assert stage.buy(1, "99.00", **more).end.reason is Reason.PHASE
    assert stage.buy(1, "99.00").rests


@pytest.mark.parametrize(
    "more",
    [
        {"auction": "sometimes"},
        {"auction": "next", "tif": TimeInForce.IOC},
        {"auction": "next", "type": OrderType.STOP, "stop_price": D(120)},
        {"auction": "next", "tif": TimeInForce.CLS},
        {"post_only": True, "tif": TimeInForce.OPG},
    ],
)
def test_parts_in_auctions_that_make_no_sense_are_refused(more):
    assert gathering().buy(1, "99.00", **more).end.reason is Reason.UNSUPPORTED


def test_the_price_of_the_auction_elects_stops_after_the_uncross():
    stage = Stage()
    last = reference(stage)
    stop = stage.buy(3, type=OrderType.STOP, stop_price=last + 2)
    stage.venue.set_phase(ACME.id, Phase.PAUSE)
    stage.venue.phases.set_option(ACME.id, "auction_stops", True)
    at_entry = stage.sell(1, type=OrderType.STOP, stop_price=last + 1)
    stage.buy(10, last + 3)
    stage.sell(10, last + 3)
    stage.sell(5, last + 4)
    assert stop.held == "trigger" and stage.ear.names("order_activated") == []
    stage.ear.heard.clear()
    uncross(stage)
    names = stage.ear.names("order_filled", "order_activated")
    assert names[:3] == ["order_filled", "order_filled", "order_activated"], "after the auction's executions"
    assert stop.average_price == last + 4
    assert at_entry.held == "trigger", "the auction traded above its stop"


def test_a_stop_that_was_reached_when_it_came_is_elected_when_trading_begins():
    stage = Stage()
    stage.venue.phases.set_option(ACME.id, "auction_stops", True)
    stage.venue.set_phase(ACME.id, Phase.PAUSE)
    stop = stage.buy(3, "150.00", type=OrderType.STOP_LIMIT, stop_price=reference(stage) - 1)
    assert stop.held == "trigger"
    uncross(stage)
    assert stop.was_elected and stop.rests


def test_stops_that_the_close_elects_come_in_when_trading_begins_again():
    stage = Stage()
    last = reference(stage)
    stop = stage.buy(3, type=OrderType.STOP, stop_price=last + 2, tif=TimeInForce.GTC)
    gone = stage.buy(3, type=OrderType.STOP, stop_price=last + 2, tif=TimeInForce.GTC)
    stage.venue.set_phase(ACME.id, CLOSING)
    stage.buy(10, last + 3)
    stage.sell(10, last + 3)
    stage.sell(5, last + 4)
    uncross(stage, Phase.POST_CLOSE)
    assert stop.held == "trigger"
    assert stage.venue.cancel("a", gone.id) is None
    stage.venue.set_phase(ACME.id, Phase.CLOSED)
    stage.venue.set_phase(ACME.id, ON)
    assert stop.average_price == last + 4 and gone.filled == 0


def test_nothing_is_cancelled_in_the_last_seconds_of_an_auction():
    stage = Stage()
    for name, value in (("no_cancel", 5), ("pause_seconds", 60)):
        stage.venue.phases.set_option(ACME.id, name, value)
    stage.venue.set_phase(ACME.id, Phase.PAUSE)
    order = stage.buy(10, "99.00")
    stage.clock.advance(54)
    assert stage.venue.replace("a", order.id, Changes(quantity=D(9))) is None
    stage.clock.advance(1)
    assert stage.venue.cancel("a", order.id).reason is Reason.PHASE
    assert stage.venue.replace("a", order.id, Changes(quantity=D(8))).reason is Reason.PHASE
    assert stage.venue.mass_cancel(owner="a") == 0 and order.is_open
    assert stage.buy(1, "99.00").is_open, "what is new is taken to the end"
    stage.clock.advance(5)
    assert stage.venue.phase(ACME.id) is ON
    assert stage.venue.cancel("a", order.id) is None


def test_a_replace_and_a_cancel_while_orders_gather():
    stage = gathering()
    order, market = stage.buy(10, "99.00"), stage.buy(5)
    assert stage.venue.replace("a", order.id, Changes(limit_price=D("101.00"))) is None
    assert stage.book()[0] == [("101.00", 10, 1)]
    assert stage.venue.replace("a", market.id, Changes(quantity=D(7))) is None
    assert stage.venue.replace("a", order.id, Changes(tif=TimeInForce.IOC)).reason is Reason.PHASE
    sell = stage.sell(20, "100.00")
    assert stage.venue.cancel("a", order.id) is None
    uncross(stage)
    assert (market.filled, sell.filled, order.filled) == (7, 7, 0)


@pytest.mark.parametrize("mode", SelfTrade)
def test_self_trade_prevention_goes_pair_by_pair_and_leaves_no_crossed_book(mode):
    stage = gathering(self_trade=mode)
    mine = stage.buy(10, "101.00")
    also = stage.sell(10, "99.00", account="A1", owner="a")
    other = stage.sell(4, "100.00")
    third = stage.buy(4, "99.50", account="B2", owner="b")
    uncross(stage)
    traded = {
        SelfTrade.NONE: (10, 10, 0, 0),
        SelfTrade.NEWEST: (4, 0, 4, 0),
        SelfTrade.OLDEST: (0, 4, 0, 4),
        SelfTrade.BOTH: (0, 0, 0, 0),
        SelfTrade.DECREMENT: (0, 0, 0, 0),
    }
    assert tuple(int(order.filled) for order in (mine, also, other, third)) == traded[mode]
    bids, asks = stage.book()
    assert not bids or not asks or D(bids[0][0]) < D(asks[0][0])


row = st.tuples(st.sampled_from(["BUY", "SELL"]), st.integers(-5, 5) | st.none(), st.integers(1, 9), st.booleans())


@settings(max_examples=60, deadline=None)
@given(st.lists(row, max_size=12), st.sampled_from([SelfTrade.NONE, SelfTrade.OLDEST, SelfTrade.DECREMENT]))
def test_an_uncross_leaves_a_whole_book_and_accounts_for_every_lot(rows, mode):
    stage = gathering(self_trade=mode)
    last = reference(stage)
    orders = []
    for side, ticks, quantity, is_berg in rows:
        more = {"display_quantity": D(1)} if is_berg and ticks is not None else {}
        price = None if ticks is None else str(last + ticks * ACME.tick)
        account = "A1" if quantity % 2 else "B2"
        orders.append(stage.order(side, quantity, price, account=account, **more))
    told = stage.venue.indicative(ACME.id)
    uncross(stage)
    market = stage.venue._market(ACME.id)
    bought = sum(order.filled for order in orders if order.side is Side.BUY)
    assert (
        bought
        == sum(order.filled for order in orders if order.side is Side.SELL)
        == market.volume - volume_before(stage)
    )
    if mode is SelfTrade.NONE:
        assert bought == told.volume
    for side in (market.book.bids, market.book.asks):
        for level in side:
            resting = list(level)
            assert level.count == len(resting) > 0
            assert level.total == sum(order.leaves for order in resting)
            assert level.shown == sum(order.leaves - order.reserve for order in resting) > 0
            assert all(order.is_open and order.leaves > order.reserve for order in resting)
    bid, ask = market.book.best_bid, market.book.best_ask
    assert bid is None or ask is None or bid < ask
    for account in stage.venue.accounts():
        position = stage.venue._accounts[account].positions.get(ACME.id)
        live = [order for order in orders if order.account == account and order.is_open]
        for sign, counted in ((1, "open_buy"), (-1, "open_sell")):
            open_ = sum(order.remaining for order in live if order.sign == sign)
            assert (getattr(position, counted) if position is not None else 0) == open_


def volume_before(stage):
    return Stage(at=stage.start).venue._market(ACME.id).volume
