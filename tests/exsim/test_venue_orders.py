"""The life of an order at the venue: kinds, times in force, changes, refusals, and the order of facts."""

from __future__ import annotations

from decimal import Decimal

import pytest
from exsim_venue import ACME, BETA, FUTURE, PAIR, SECOND, A, B, Ear, Eye, Stage

from txtrader.exsim.listeners import OrderListener
from txtrader.exsim.records import Changes, KeptApart, Phase, Reason, Refusal, SelfTrade
from txtrader.model.order import OrderStatus, OrderType, Side, TimeInForce

D = Decimal
CANCELED, FILLED, REJECTED = OrderStatus.CANCELED, OrderStatus.FILLED, OrderStatus.REJECTED


def test_a_fill_is_told_to_the_aggressor_first_each_with_its_commission():
    stage = Stage()
    resting = stage.sell(50, "100.00")
    stage.ear.heard.clear()
    taker = stage.buy(80, "100.50")
    facts = [(fact[0], fact[1]) for fact in stage.ear.heard if fact[0] not in ("holding_changed", "account_changed")]
    assert facts == [
        ("order_accepted", taker.id),
        ("order_filled", taker.id),
        ("commission_charged", taker.id),
        ("order_filled", resting.id),
        ("commission_charged", resting.id),
    ]
    mine, theirs = (fact[2] for fact in stage.ear.heard if fact[0] == "order_filled")
    assert mine.price == theirs.price == D("100.00")
    assert (mine.liquidity, theirs.liquidity) == ("removed", "added")
    assert (taker.filled, taker.remaining, taker.status) == (50, 30, OrderStatus.PARTIALLY_FILLED)
    assert (resting.status, resting.average_price) == (FILLED, 100)


def test_the_oldest_order_of_the_best_price_trades_first_at_its_own_price():
    stage = Stage()
    orders = [stage.sell(10, price) for price in ("100.02", "100.01", "100.01", "100.00")]
    stage.buy(25, "100.05")
    assert [order.filled for order in orders] == [0, 10, 5, 10]
    prices = [fill.price for fill in stage.venue.fills(account=A)]
    assert prices == [D("100.00"), D("100.01"), D("100.01")]


def test_a_market_order_sweeps_and_its_rest_is_canceled():
    stage = Stage()
    stage.sell(10, "100.00")
    stage.sell(10, "101.00")
    order = stage.buy(30)
    assert (order.filled, order.status, order.end.reason) == (20, CANCELED, Reason.NO_LIQUIDITY)


def test_a_market_order_rests_at_its_last_price_where_the_venue_says_so():
    stage = Stage(market_rests=True)
    stage.sell(10, "100.00")
    order = stage.buy(30)
    assert order.is_open and stage.book()[0] == [("100.00", 20, 1)]
    assert stage.buy(5, on=BETA).status is CANCELED  # it traded nowhere, so it has no price


@pytest.mark.parametrize(("tif", "filled"), [(TimeInForce.IOC, 10), (TimeInForce.FOK, 0)])
def test_ioc_takes_what_is_there_and_fok_all_or_nothing(tif, filled):
    stage = Stage()
    stage.sell(10, "100.00")
    order = stage.buy(15, "100.00", tif=tif)
    assert (order.filled, order.status) == (filled, CANCELED)
    assert stage.book()[0] == []
    stage.sell(20, "100.00")
    assert stage.buy(15, "100.00", tif=tif).status is FILLED


def test_fok_counts_an_icebergs_reserve():
    stage = Stage()
    stage.sell(100, "100.00", display_quantity=D(10))
    assert stage.book()[1] == [("100.00", 10, 1)]
    assert stage.buy(95, "100.00", tif=TimeInForce.FOK).status is FILLED


def test_an_icebergs_new_slice_goes_to_the_end_of_the_queue():
    stage = Stage()
    iceberg = stage.sell(30, "100.00", display_quantity=D(10))
    other = stage.sell(10, "100.00")
    stage.buy(15, "100.00")
    assert (iceberg.filled, other.filled) == (10, 5)
    stage.buy(10, "100.00")
    assert (iceberg.filled, other.filled) == (15, 10)


def test_a_stop_waits_unseen_and_is_elected_by_a_trade_at_its_price():
    stage = Stage()
    stage.trade_at("100.00")
    stop = stage.buy(10, type=OrderType.STOP, stop_price=D("100.50"))
    assert stop.held == "trigger" and stage.book() == ([], [])
    stage.sell(20, "100.60")
    stage.trade_at("100.49")
    assert stop.held == "trigger"
    stage.trade_at("100.50")
    assert (stop.status, stop.average_price) == (FILLED, D("100.60"))


def test_stops_are_elected_by_price_then_entry_after_the_causing_order_is_done():
    stage = Stage()
    stage.trade_at("100.00")
    far = stage.sell(1, type=OrderType.STOP, stop_price=D("98.00"))
    near = stage.sell(1, type=OrderType.STOP, stop_price=D("99.00"))
    later = stage.sell(1, type=OrderType.STOP, stop_price=D("99.00"))
    for price in ("97.50", "97.00", "96.50", "96.00"):
        stage.buy(1, price)
    sweeper = stage.sell(1, "97.00")  # one trade at 97.50 reaches all of them
    order = [fact[1] for fact in stage.ear.heard if fact[0] == "order_activated"]
    assert order == [near.id, later.id, far.id]
    assert sweeper.average_price == D("97.50")
    assert [x.average_price for x in (near, later, far)] == [D("97.00"), D("96.50"), D("96.00")]


def test_where_both_sides_are_elected_at_once_the_side_of_the_oldest_order_goes_first():
    for buy_first in (True, False):
        stage = Stage()
        stage.trade_at("100.00")
        kinds = [("BUY", "101.00"), ("SELL", "99.00")]
        made = [
            stage.order(side, 1, type=OrderType.STOP, stop_price=D(price))
            for side, price in (kinds if buy_first else kinds[::-1])
        ]
        stage.ear.heard.clear()
        stage.sell(1, "99.00", owner="x")
        stage.sell(1, "101.00", owner="x")
        stage.buy(2, "101.00", owner="x")  # trades at 99 and at 101 in one message
        activated = [fact[1] for fact in stage.ear.heard if fact[0] == "order_activated"]
        assert activated == [order.id for order in made]


def test_a_stop_whose_price_is_reached_already_works_at_once():
    stage = Stage()
    stage.trade_at("100.00")
    stage.sell(10, "100.20")
    stop = stage.buy(10, type=OrderType.STOP_LIMIT, stop_price=D("99.00"), limit_price=D("100.20"))
    assert stop.status is FILLED


def test_one_election_may_cause_another():
    stage = Stage()
    stage.trade_at("100.00")
    first = stage.buy(1, type=OrderType.STOP, stop_price=D("101.00"))
    second = stage.buy(1, type=OrderType.STOP, stop_price=D("102.00"))
    for price in ("101.00", "102.00", "103.00"):
        stage.sell(1, price)
    stage.buy(1, "101.00")
    assert [first.average_price, second.average_price] == [D("102.00"), D("103.00")]


def test_a_trailing_stop_follows_one_way_only():
    stage = Stage()
    stage.trade_at("100.00")
    stop = stage.sell(1, type=OrderType.TRAILING_STOP, trail_amount=D("1.00"))
    assert stop.stop_price == D("99.00")
    stage.trade_at("103.00")
    assert stop.stop_price == D("102.00")
    stage.trade_at("102.50")
    assert stop.stop_price == D("102.00") and stop.held == "trigger"
    stage.buy(1, "101.00")
    stage.trade_at("102.00")
    assert (stop.status, stop.average_price) == (FILLED, D("101.00"))


def test_a_percent_trail_is_rounded_away_from_the_market_and_a_limit_offset_sets_the_limit():
    stage = Stage()
    stage.trade_at("100.01")
    stop = stage.buy(
        1, type=OrderType.TRAILING_STOP_LIMIT, trail_percent=D("1"), limit_offset=D("0.10")
    )  # fmt: skip
    assert stop.stop_price == D("101.02")
    stage.trade_at("101.02")
    assert stop.rests and stop.limit_price == D("101.12")


def test_if_touched_orders_wait_on_the_other_side():
    stage = Stage()
    stage.trade_at("100.00")
    buy = stage.buy(1, type=OrderType.MARKET_IF_TOUCHED, stop_price=D("99.00"))
    sell = stage.sell(1, type=OrderType.LIMIT_IF_TOUCHED, stop_price=D("101.00"), limit_price=D("100.90"))
    stage.sell(1, "99.50")
    stage.trade_at("99.00")
    assert buy.status is FILLED and sell.held == "trigger"
    stage.trade_at("101.00")
    assert sell.rests


def test_less_quantity_keeps_the_place_and_anything_else_loses_it():
    stage = Stage()
    first, second = stage.buy(10, "100.00"), stage.buy(10, "100.00")
    assert stage.venue.queue_position(second.id) == (10, 1)
    assert stage.venue.replace("a", first.id, Changes(quantity=D(4))) is None
    assert stage.venue.queue_position(first.id) == (0, 0)
    assert stage.venue.replace("a", first.id, Changes(quantity=D(5))) is None
    assert stage.venue.queue_position(first.id) == (10, 1)
    assert stage.venue.replace("a", second.id, Changes(limit_price=D("100.00"), client_order_id="new")) is None
    assert stage.venue.queue_position(second.id) == (0, 0) and second.client_order_id == "new"


def test_a_replace_through_the_other_side_trades_at_once():
    stage = Stage()
    stage.sell(10, "100.00")
    order = stage.buy(10, "99.00")
    stage.ear.heard.clear()
    stage.venue.replace("a", order.id, Changes(limit_price=D("100.00")))
    assert order.status is FILLED
    assert stage.ear.names("order_replaced", "order_filled")[:2] == ["order_replaced", "order_filled"]


def test_a_total_at_or_below_what_is_done_fills_the_order():
    stage = Stage()
    order = stage.buy(10, "100.00")
    stage.sell(6, "100.00")
    assert stage.venue.replace("a", order.id, Changes(quantity=D(5))) is None
    assert (order.status, order.quantity, order.filled, order.remaining) == (FILLED, 6, 6, 0)
    assert stage.book() == ([], [])


def test_a_waiting_stop_can_be_replaced_and_canceled():
    stage = Stage()
    stage.trade_at("100.00")
    stop = stage.buy(1, type=OrderType.STOP, stop_price=D("105.00"))
    stage.venue.replace("a", stop.id, Changes(stop_price=D("102.00"), quantity=D(3)))
    assert (stop.stop_price, stop.quantity, stop.held) == (D("102.00"), 3, "trigger")
    assert stage.venue.cancel("a", stop.id) is None
    stage.sell(5, "103.00")
    stage.trade_at("102.00")
    assert (stop.status, stop.filled) == (CANCELED, 0)


def test_cancel_and_replace_of_what_is_done_or_unknown_say_so():
    stage = Stage()
    order = stage.buy(1, "99.00")
    assert stage.venue.cancel("b", order.id).reason is Reason.UNKNOWN_ORDER  # somebody else's
    assert stage.venue.cancel("a", 12345).reason is Reason.UNKNOWN_ORDER
    assert stage.venue.cancel("a", order.id) is None
    stage.ear.heard.clear()
    assert stage.venue.cancel("a", order.id).reason is Reason.TOO_LATE
    assert stage.venue.replace("a", order.id, Changes(quantity=D(2))).reason is Reason.TOO_LATE
    assert stage.ear.names() == ["cancel_rejected", "replace_rejected"]


def test_a_refused_replace_leaves_the_order_as_it_was():
    stage = Stage()
    order = stage.buy(10, "99.00")
    for changes in (
        Changes(limit_price=D("99.005")),
        Changes(quantity=D("10.5")),
        Changes(limit_price=D("-1")),
        Changes(quantity=D(10) ** 9),
        Changes(tif=TimeInForce.OPG),
    ):
        assert stage.venue.replace("a", order.id, changes) is not None
        assert (order.limit_price, order.quantity, order.tif, order.rests) == (D("99.00"), 10, TimeInForce.DAY, True)
    assert stage.book()[0] == [("99.00", 10, 1)]


@pytest.mark.parametrize(
    ("reason", "more"),
    [
        (Reason.PRICE_TICK, {"price": "99.001"}),
        (Reason.PRICE, {"price": "0"}),
        (Reason.PRICE, {"price": "-5"}),
        (Reason.PRICE, {"price": "NaN"}),
        (Reason.PRICE, {"price": "1E+30"}),
        (Reason.PRICE, {"type": OrderType.LIMIT}),
        (Reason.PRICE, {"type": OrderType.STOP}),
        (Reason.PRICE, {"type": OrderType.TRAILING_STOP}),
        (Reason.QUANTITY, {"quantity": "0"}),
        (Reason.QUANTITY, {"quantity": "-1"}),
        (Reason.QUANTITY, {"quantity": "0.5"}),
        (Reason.QUANTITY, {"quantity": "Infinity"}),
        (Reason.QUANTITY, {"display_quantity": D("0.5"), "price": "99"}),
        (Reason.PHASE, {"tif": TimeInForce.OPG, "price": "99"}),
        (Reason.UNSUPPORTED, {"tif": TimeInForce.CLS, "type": OrderType.STOP, "stop_price": D(99)}),
        (Reason.EXPIRE_TIME, {"tif": TimeInForce.GTD, "price": "99"}),
        (Reason.EXPIRE_TIME, {"tif": TimeInForce.GTD, "price": "99", "expire_time": 1}),
        (Reason.UNKNOWN_ACCOUNT, {"account": "ZZ"}),
        (Reason.UNKNOWN_INSTRUMENT, {"listing_id": 999}),
        (Reason.LINKED, {"parent_id": 999}),
        (Reason.BUYING_POWER, {"quantity": "100000000", "price": "99"}),
    ],
)
def test_a_wrong_order_is_rejected_with_its_reason(reason, more):
    stage = Stage()
    order = stage.buy(more.pop("quantity", "10"), more.pop("price", None), **more)
    assert (order.status, order.end.reason) == (REJECTED, reason)
    assert order.end.text and not order.is_open
    assert stage.ear.names() == ["order_rejected"]
    assert stage.venue.live_orders() == [] and stage.book() == ([], [])


def test_a_future_trades_below_zero_and_a_pair_in_fractions():
    stage = Stage()
    stage.sell(1, "-3.25", on=FUTURE)
    assert stage.buy(1, "-3.25", on=FUTURE).average_price == D("-3.25")
    stage.sell("1000.55", "1.10005", on=PAIR)
    assert stage.buy("1000.55", "1.10005", on=PAIR).filled == D("1000.55")
    assert stage.buy(1, "1.100051", on=PAIR).end.reason is Reason.PRICE_TICK


def test_a_day_order_ends_with_the_session_and_a_gtc_order_does_not():
    stage = Stage()  # Monday noon in New York
    day, gtc = stage.buy(1, "99.00"), stage.buy(1, "99.00", tif=TimeInForce.GTC)
    stage.clock.advance(4 * 3600 - 1)
    assert day.is_open
    stage.clock.advance(1.001)
    assert day.status is OrderStatus.EXPIRED and gtc.is_open
    assert stage.ear.names("order_expired") == ["order_expired"]
    stage.clock.advance(86400)
    assert gtc.is_open


def test_a_gtd_order_still_trades_at_the_very_instant_at_which_it_ends():
    stage = Stage()
    ends = stage.now() + 10 * SECOND
    early = stage.buy(1, "99.00", tif=TimeInForce.GTD, expire_time=ends)
    stage.clock.callLater(10, stage.sell, 1, "99.00")
    stage.clock.advance(10)
    assert early.status is FILLED
    late = stage.buy(1, "99.00", tif=TimeInForce.GTD, expire_time=stage.now() + SECOND)
    stage.clock.advance(1.1)
    assert late.status is OrderStatus.EXPIRED


def test_a_replace_may_give_an_order_another_end():
    stage = Stage()
    order = stage.buy(1, "99.00")
    stage.venue.replace("a", order.id, Changes(tif=TimeInForce.GTC))
    stage.clock.advance(86400)
    assert order.is_open


def test_a_halted_market_takes_cancels_only():
    stage = Stage()
    order = stage.buy(1, "99.00")
    stage.venue.set_phase(ACME.id, Phase.HALT)
    assert stage.buy(1, "99.00").end.reason is Reason.CLOSED
    assert stage.venue.replace("a", order.id, Changes(quantity=D(2))).reason is Reason.CLOSED
    assert stage.venue.cancel("a", order.id) is None
    stage.venue.set_phase(ACME.id, Phase.CONTINUOUS)
    assert stage.buy(1, "99.00").is_open


def test_mass_cancel_takes_what_fits_and_counts_it():
    stage = Stage()
    orders = [stage.buy(1, "99.00"), stage.buy(1, "98.00", on=BETA), stage.sell(1, "110.00")]
    assert stage.venue.mass_cancel(owner="a", listing_id=BETA.id) == 1
    assert stage.venue.mass_cancel(side=Side.SELL) == 1
    assert [order.is_open for order in orders] == [True, False, False]
    assert stage.venue.mass_cancel() == 1 and stage.venue.live_orders() == []


def test_orders_outlive_a_session_unless_it_cancels_on_disconnect():
    stage = Stage()
    ear = Ear()
    first = stage.venue.open_session("x", ear)
    second = stage.venue.open_session("y", cancel_on_disconnect=True)
    kept, gone = first.submit(stage.terms("BUY", 1, "99")), second.submit(stage.terms("BUY", 1, "99"))
    first.close()
    second.close()
    second.close()
    assert kept.is_open and gone.end.reason is Reason.DISCONNECT
    again = stage.venue.open_session("x", ear)
    ear.heard.clear()
    assert again.cancel(kept.id) is None
    assert ear.names("order_canceled") == ["order_canceled"]


def test_orders_go_some_time_after_their_session_unless_the_owner_is_back():
    stage = Stage()
    session = stage.venue.open_session("x", cancel_on_disconnect=True, grace=10)
    kept = session.submit(stage.terms("BUY", 1, "99"))
    session.close()
    stage.clock.advance(9)
    again = stage.venue.open_session("x", cancel_on_disconnect=True, grace=10, spares_gtc=True)
    stage.clock.advance(60)
    assert kept.is_open
    spared = again.submit(stage.terms("BUY", 1, "99", tif=TimeInForce.GTC))
    again.close()
    stage.clock.advance(9.9)
    assert kept.is_open
    stage.clock.advance(0.2)
    assert kept.end.reason is Reason.DISCONNECT and spared.is_open
    assert stage.venue.mass_cancel() == 1


def test_orders_stay_while_the_owner_has_another_session():
    stage = Stage()
    one, other = (stage.venue.open_session("x", cancel_on_disconnect=True, grace=5) for _ in range(2))
    order = one.submit(stage.terms("BUY", 1, "99"))
    one.close()
    stage.clock.advance(6)
    assert order.is_open
    other.close()
    stage.venue.stop()
    assert stage.clock.getDelayedCalls() == []


def test_the_time_of_grace_begins_with_the_last_departure():
    stage = Stage()
    one, other = (stage.venue.open_session("x", cancel_on_disconnect=True, grace=10) for _ in range(2))
    order = one.submit(stage.terms("BUY", 1, "99"))
    one.close()
    stage.clock.advance(6)
    other.close()
    stage.clock.advance(6)
    assert order.is_open
    stage.clock.advance(5)
    assert order.end.reason is Reason.DISCONNECT


def test_a_session_trades_for_its_own_accounts_only():
    stage = Stage()
    session = stage.venue.open_session("x", accounts=(B,))
    assert session.submit(stage.terms("BUY", 1, "99", account=A)).end.reason is Reason.UNKNOWN_ACCOUNT
    assert session.submit(stage.terms("BUY", 1, "99", account=B)).is_open
    assert session.mass_cancel() == 1


def test_what_a_listener_asks_for_waits_until_the_message_is_processed():
    stage = Stage()
    done = []

    class Eager(OrderListener):
        def order_filled(self, order, fill):
            if not done:
                done.append(stage.venue.submit("b", stage.terms("SELL", 5, "100.00", account=B)))
                assert done[0].status is OrderStatus.PENDING_NEW  # not in the middle of this one

    stage.venue.add_observer(Eager())
    stage.sell(10, "100.00")
    taker = stage.buy(12, "100.00")
    assert (taker.filled, done[0].filled) == (12, 2)
    assert taker.id < done[0].id


def test_a_listener_that_fails_hurts_nobody_else(expected_failures):
    expected_failures.append("A listener of the venue failed")
    stage = Stage()

    class Broken(OrderListener):
        def order_accepted(self, order):
            raise RuntimeError("a bug of its own")

    stage.venue.add_observer(Broken())
    last = Ear()
    stage.venue.add_observer(last)
    assert stage.buy(1, "99.00").is_open
    assert last.names() == ["order_accepted"]


def test_a_screen_can_refuse_an_order():
    stage = Stage()
    remove = stage.venue.add_screen(
        lambda order: Refusal(Reason.VENUE, "not today") if order.owner == "a" else None
    )  # fmt: skip
    assert stage.buy(1, "99.00").end == Refusal(Reason.VENUE, "not today")
    assert stage.sell(1, "110.00").is_open
    remove()
    assert stage.buy(1, "99.00").is_open


def test_a_held_order_works_when_it_is_released():
    stage = Stage()
    order = stage.buy(1, "99.00", is_held=True)
    assert (order.held, stage.book()[0]) == ("release", [])
    assert stage.venue.release(order.id) is None
    assert order.held == "" and order.rests
    assert stage.venue.release(order.id).reason is Reason.TOO_LATE
    assert stage.venue.release(1).reason is Reason.UNKNOWN_ORDER


def test_the_venue_can_cancel_without_being_asked():
    stage = Stage()
    order = stage.buy(1, "99.00")
    stage.venue.cancel_by_venue(order.id, "clean-up")
    assert (order.status, order.end) == (CANCELED, Refusal(Reason.VENUE, "clean-up"))


def test_what_if_stores_nothing():
    stage = Stage()
    answer = stage.venue.what_if("a", stage.terms("BUY", 100, "100.00"))
    assert answer.refusal is None
    assert (answer.init_margin_before, answer.commission, answer.currency) == (0, 1, "USD")
    assert answer.init_margin_change > 0 and answer.equity_change == -1
    assert answer.maint_margin_change * 2 == answer.init_margin_change
    assert stage.venue.live_orders() == [] and stage.ear.heard == []
    assert stage.venue.what_if("a", stage.terms("BUY", 10**9)).refusal.reason is Reason.BUYING_POWER
    assert stage.venue.what_if("a", stage.terms("BUY", 1, "1.001")).refusal.reason is Reason.PRICE_TICK


def test_what_is_long_done_is_forgotten(monkeypatch):
    monkeypatch.setattr("txtrader.exsim.desk.DONE_ORDERS_KEPT", 10)
    stage = Stage()
    first = stage.buy(1, "99.00")
    for _ in range(20):
        stage.sell(1, "100.00")
        stage.buy(1, "100.00")
    assert stage.venue.order(first.id) is first  # it is live
    assert len(stage.venue.completed_orders()) == 10
    assert len(stage.venue.fills()) == 10
    assert stage.venue.holdings(A)[0].quantity == 20
    newest = stage.venue.fills()[-1]
    assert stage.venue.bust(newest.exec_id).replaces == newest.exec_id


def test_a_changed_quantity_does_not_reset_a_trailing_stop():
    stage = Stage()
    stage.trade_at("100.00")
    stop = stage.sell(10, type=OrderType.TRAILING_STOP, trail_amount=D("1.00"))
    stage.trade_at("105.00")
    stage.trade_at("104.50")
    stage.venue.replace("b", stop.id, Changes(quantity=D(5)))
    assert (stop.stop_price, stop.held) == (D("104.00"), "trigger")
    stage.venue.replace("b", stop.id, Changes(trail_amount=D("2.00")))
    assert stop.stop_price == D("102.50")


def test_a_parked_order_is_out_of_the_market_until_it_is_released():
    stage = Stage()
    first, second = stage.sell(10, "100.00"), stage.sell(10, "100.00")
    assert stage.venue.park("nobody", first.id).reason is Reason.UNKNOWN_ORDER
    assert stage.venue.park(None, first.id) is None
    assert stage.book()[1] == [("100.00", 10, 1)] and first.is_open
    assert stage.venue.park(None, first.id).reason is Reason.TOO_LATE
    assert stage.buy(15, "100.00").filled == 10 and not first.filled
    stage.venue.mass_cancel(account=A)
    assert stage.venue.release(first.id) is None
    assert stage.buy(10, "100.00").filled == 10 and first.status is FILLED
    assert stage.ear.names("order_parked", "order_activated") == ["order_parked", "order_activated"]
    assert stage.venue.park(None, second.id).reason is Reason.TOO_LATE


def test_a_stop_that_was_elected_works_at_once_when_it_is_released():
    stage = Stage()
    stage.sell(1, "101.00")
    stop = stage.buy(10, "101.00", stop_price=D("100.50"), type=OrderType.STOP_LIMIT)
    waiting = stage.buy(10, "90.00", stop_price=D("105.00"), type=OrderType.STOP_LIMIT)
    stage.buy(1, "101.00")
    assert stop.was_elected and stage.book()[0] == [("101.00", 10, 1)]
    for order in (stop, waiting):
        assert stage.venue.park(None, order.id) is None
    assert stage.book()[0] == []
    for order in (stop, waiting):
        assert stage.venue.release(order.id) is None
    assert stage.book()[0] == [("101.00", 10, 1)] and waiting.held == "trigger"


SELF_TRADES = [
    # the mode; of the resting one (30 at 100) and of the incoming one (50 at 100): what is left, and where it stands
    (SelfTrade.NONE, (0, FILLED), (20, OrderStatus.PARTIALLY_FILLED)),
    (SelfTrade.NEWEST, (30, OrderStatus.NEW), (0, CANCELED)),
    (SelfTrade.OLDEST, (0, CANCELED), (50, OrderStatus.NEW)),
    (SelfTrade.BOTH, (0, CANCELED), (0, CANCELED)),
    (SelfTrade.DECREMENT, (0, CANCELED), (20, OrderStatus.NEW)),
]


@pytest.mark.parametrize(("mode", "resting", "incoming"), SELF_TRADES)
def test_orders_of_one_account_are_kept_apart_as_the_venue_says(mode, resting, incoming):
    stage = Stage(self_trade=mode)
    first = stage.sell(30, "100.00", account=A)
    second = stage.buy(50, "100.00")
    assert [(order.remaining, order.status) for order in (first, second)] == [resting, incoming]
    for order in (first, second):
        if order.status is CANCELED:
            assert order.end.reason is Reason.SELF_TRADE
    assert bool(stage.venue.fills()) == (mode is SelfTrade.NONE)


def test_it_is_told_what_was_lost_and_which_trade_did_not_happen():
    stage = Stage(self_trade=SelfTrade.DECREMENT)
    first = stage.sell(30, "100.00", account=A)
    second = stage.buy(50, "101.00")
    told = {fact[1]: fact[2] for fact in stage.ear.heard if fact[0] in ("order_canceled", "order_restated")}
    for order, liquidity in ((first, "added"), (second, "removed")):
        reason = told[order.id]
        assert isinstance(reason, KeptApart)
        assert (reason.quantity, reason.prevented, reason.price, reason.liquidity) == (30, 30, 100, liquidity)
    stage = Stage(self_trade=SelfTrade.NEWEST)
    stage.sell(30, "100.00", account=A)
    end = stage.buy(50, "101.00").end
    assert isinstance(end, KeptApart) and (end.quantity, end.prevented) == (50, 30)


def test_an_exchange_puts_a_new_order_at_the_end_of_the_queue_as_one_message():
    stage = Stage()
    first = stage.buy(10, "100.00")
    stage.buy(20, "100.00")
    eye = Eye()
    watch = stage.venue.watch(ACME.id, eye)
    stage.ear.heard.clear()
    assert stage.venue.exchange("a", first.id, stage.terms("BUY", 5, "100.01")) is None
    assert [str(top.bid) for top in eye.of("top")] == ["100.01"], "nobody sees the book without either"
    watch.close()
    (canceled, accepted) = [fact for fact in stage.ear.heard if fact[0].startswith("order")]
    assert canceled[:2] == ("order_canceled", first.id) and canceled[2].reason is Reason.REPLACED
    assert accepted[0] == "order_accepted" and accepted[1] != first.id
    assert stage.venue.exchange("a", accepted[1], stage.terms("BUY", 5, "100.00")) is None
    new = stage.venue.live_orders()[-1]
    assert stage.venue.queue_position(new.id) == (20, 1)


def test_an_exchange_for_an_order_that_is_refused_leaves_none_and_one_of_a_dead_order_does_nothing():
    stage = Stage()
    order = stage.buy(10, "100.00")
    eye = Eye()
    watch = stage.venue.watch(ACME.id, eye)
    assert stage.venue.exchange("a", order.id, stage.terms("BUY", 5, "100.005")) is None
    assert order.status is CANCELED and not stage.venue.live_orders()
    assert eye.of("top")[-1].bid is None
    watch.close()
    stage.ear.heard.clear()
    assert stage.venue.exchange("a", order.id, stage.terms("BUY", 5, "100.00")).reason is Reason.TOO_LATE
    assert stage.venue.exchange("b", order.id, stage.terms("BUY", 5, "100.00")).reason is Reason.UNKNOWN_ORDER
    assert not stage.venue.live_orders() and stage.ear.names("order_accepted", "order_rejected") == []


def test_only_those_of_one_key_are_kept_apart_and_executions_that_were_made_stand():
    stage = Stage(self_trade=SelfTrade.NEWEST)
    stage.sell(10, "99.00")
    stage.sell(30, "100.00", account=A)
    order = stage.buy(50, "100.00")
    assert (order.filled, order.status, order.end.reason) == (10, CANCELED, Reason.SELF_TRADE)
    stage.sell(5, "98.00", self_trade_id="desk")
    assert stage.buy(5, "98.00", self_trade_id="desk").filled == 0, "the key decides, not the account"
    assert stage.buy(5, "98.00", self_trade_id="other").filled == 5


def test_a_fok_does_not_count_on_its_own_account():
    stage = Stage(self_trade=SelfTrade.OLDEST)
    stage.sell(30, "100.00", account=A)
    stage.sell(30, "100.00")
    order = stage.buy(40, "100.00", tif=TimeInForce.FOK)
    assert (order.filled, order.end.reason) == (0, Reason.NO_LIQUIDITY)
    assert stage.buy(30, "100.00", tif=TimeInForce.FOK).filled == 30


def test_a_decrement_takes_an_icebergs_reserve_first():
    stage = Stage(self_trade=SelfTrade.DECREMENT)
    iceberg = stage.sell(30, "100.00", account=A, display_quantity=D(10))
    order = stage.buy(5, "100.00")
    assert order.status is CANCELED
    assert (iceberg.remaining, iceberg.quantity) == (25, 25) and stage.book()[1] == [("100.00", 10, 1)]
    assert "order_restated" in stage.ear.names()


def test_a_post_only_order_never_takes():
    stage = Stage()
    stage.sell(10, "100.00")
    refused = stage.buy(5, "100.00", post_only=True)
    assert (refused.status, refused.end.reason) == (REJECTED, Reason.WOULD_TRADE)
    resting = stage.buy(5, "99.99", post_only=True)
    assert resting.rests
    refusal = stage.venue.replace(None, resting.id, Changes(limit_price=D("100.00")))
    assert refusal.reason is Reason.WOULD_TRADE and resting.limit_price == D("99.99") and resting.rests
    assert stage.sell(5, "99.99").filled == 5, "it is taken as any other"
    for terms in ({"type": OrderType.MARKET, "limit_price": None}, {"tif": TimeInForce.IOC}):
        wrong = stage.buy(5, "99.00", post_only=True, **terms)
        assert wrong.end.reason is Reason.UNSUPPORTED


def test_a_post_only_order_that_waited_is_canceled_where_it_would_take():
    stage = Stage()
    held = stage.buy(5, "100.00", post_only=True, is_held=True)
    stage.sell(10, "100.00")
    assert stage.venue.release(held.id) is None
    assert (held.status, held.end.reason, held.filled) == (CANCELED, Reason.WOULD_TRADE, 0)


def test_a_parked_order_asks_for_no_margin_until_its_release():
    stage = Stage()
    order = stage.buy(10, "99.00")
    position = stage.venue._accounts[A].position(ACME)
    assert position.open_buy == 10
    stage.venue.park("a", order.id)
    assert position.open_buy == 0
    stage.venue.release(order.id)
    assert position.open_buy == 10
    stage.venue.cancel("a", order.id)
    assert position.open_buy == 0
