"""Orders that are not plain: hidden, choosy, drawn slices, market-to-limit, sliding, reduce-only."""

from __future__ import annotations

from decimal import Decimal

import pytest
from exsim_venue import ACME, A, B, Eye, Stage

from txtrader.exsim.records import Changes, Reason
from txtrader.exsim.slices import RandomSlices
from txtrader.model.order import OrderStatus, OrderType, TimeInForce

D = Decimal
FILLED, CANCELED, REJECTED = OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED
IOC, FOK = TimeInForce.IOC, TimeInForce.FOK


def matches(stage):
    """Every execution as (aggressor, resting, price in ticks, lots)."""
    return [(record[7], record[8], record[5], record[6]) for record in stage.venue.tape.of_kind("match")]


# -- hidden


def test_a_hidden_order_is_nowhere_but_in_its_print():
    stage, eye = Stage(), Eye()
    stage.venue.watch(ACME.id, eye, depth=5)
    hidden = stage.sell(10, "100.00", hidden=True)
    assert hidden.rests and stage.book() == ([], []) and eye.of("top") == eye.of("depth") == []
    assert stage.buy(4, "100.00").status is FILLED
    (trade,) = eye.of("print")
    assert (trade.price, trade.size, trade.conditions) == (D("100.00"), 4, ("hidden",))
    assert stage.book() == ([], []) and eye.of("top") == [] and hidden.remaining == 6
    assert stage.venue.last_print(ACME.id) == trade


def test_a_hidden_order_stands_behind_all_that_is_shown_at_its_price():
    stage = Stage()
    hidden = stage.sell(5, "100.00", hidden=True)
    iceberg = stage.sell(6, "100.00", display_quantity=D(2))
    plain = stage.sell(3, "100.00")
    better = stage.sell(1, "99.99", hidden=True)
    taker = stage.buy(13, "100.00")
    met = [(resting, lots) for _, resting, _, lots in matches(stage)]
    assert met == [(better.id, 1), (iceberg.id, 2), (plain.id, 3), (iceberg.id, 2), (iceberg.id, 2), (hidden.id, 3)]
    assert taker.status is FILLED
    assert stage.venue.queue_position(hidden.id) == (0, 0)


def test_a_hidden_order_keeps_its_queue_and_can_be_changed_and_canceled():
    stage = Stage()
    first, second = stage.sell(5, "100.00", hidden=True), stage.sell(5, "100.00", hidden=True)
    shown = stage.sell(7, "100.00")
    assert stage.venue.queue_position(second.id) == (12, 2)
    assert stage.venue.replace("b", first.id, Changes(quantity=D(3))) is None
    assert stage.venue.queue_position(first.id) == (7, 1), "less keeps the place"
    assert stage.venue.replace("b", first.id, Changes(hidden=False)) is None
    assert stage.venue.queue_position(first.id) == (7, 1) and stage.book()[1] == [("100.00", 10, 2)]
    assert stage.venue.cancel("b", second.id) is None and stage.venue.cancel("b", first.id) is None
    assert stage.venue._market(ACME.id).book.specials == 0
    assert stage.buy(9, "100.00").filled == 7 and shown.status is FILLED


def test_the_book_is_matched_the_short_way_again_once_nothing_is_special():
    stage = Stage()
    book = stage.venue._market(ACME.id).book
    stage.sell(5, "100.00", hidden=True)
    stage.sell(5, "100.00", min_quantity=D(3))
    assert book.specials == 2
    stage.buy(10, "100.00")
    assert book.specials == 0 and not book.setters


# -- minimum quantity, all or none


def test_an_aggressor_with_a_minimum_trades_that_much_or_nothing():
    stage = Stage()
    resting = stage.sell(5, "100.00")
    patient = stage.buy(10, "100.00", min_quantity=D(6))
    assert patient.filled == 0 and patient.rests, "the book is locked now, and that is right"
    hasty = stage.buy(10, "100.00", min_quantity=D(6), tif=IOC)
    assert (hasty.status, hasty.filled, hasty.end.reason) == (CANCELED, 0, Reason.NO_LIQUIDITY)
    more = stage.buy(10, "100.00", min_quantity=D(5), tif=IOC)
    assert (more.filled, resting.status) == (5, FILLED)


def test_a_resting_minimum_passes_over_the_smaller_and_keeps_its_place():
    stage = Stage()
    choosy, plain = stage.sell(10, "100.00", min_quantity=D(8)), stage.sell(10, "100.00")
    assert stage.buy(3, "100.00").filled == 3 and (choosy.filled, plain.filled) == (0, 3)
    stage.buy(8, "100.00")
    assert (choosy.filled, plain.filled) == (8, 3), "it is still the first for who is large enough"
    stage.buy(2, "100.00")
    assert (choosy.filled, plain.filled) == (10, 3), "a smaller remainder counts as the minimum"


def test_the_aggressors_remainder_decides_who_is_passed_over():
    stage = Stage()
    first = stage.sell(6, "100.00")
    choosy = stage.sell(10, "100.00", min_quantity=D(5))
    last = stage.sell(6, "100.01")
    taker = stage.buy(10, "100.01")
    assert (first.filled, choosy.filled, last.filled, taker.filled) == (6, 0, 4, 10)


def test_all_or_none_trades_with_one_order_or_not_at_all():
    stage = Stage()
    resting = stage.sell(10, "100.00", all_or_none=True)
    assert stage.buy(9, "100.00", tif=IOC).filled == 0 and resting.remaining == 10
    assert stage.buy(10, "100.00").filled == 10
    stage.sell(4, "100.00"), stage.sell(4, "100.01")
    assert stage.buy(9, "100.01", all_or_none=True, tif=IOC).filled == 0
    assert stage.buy(8, "100.01", all_or_none=True, tif=IOC).filled == 8, "of several orders is all as well"


def test_fill_or_kill_looks_through_minimums_and_reserves():
    stage = Stage()
    stage.sell(10, "100.00", min_quantity=D(8))
    stage.sell(9, "100.00", display_quantity=D(2))
    assert stage.buy(20, "100.00", tif=FOK).filled == 0
    stage.sell(3, "99.99")
    # 3 + 10, then the iceberg with its reserve
    assert stage.buy(22, "100.00", tif=FOK).filled == 22


def test_post_only_is_no_matter_to_an_order_too_choosy_for_it():
    stage = Stage()
    stage.sell(10, "100.00", min_quantity=D(10))
    assert stage.buy(5, "100.00", post_only=True).rests, "it would not have traded"
    assert stage.buy(10, "100.00", post_only=True).end.reason is Reason.WOULD_TRADE


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_quantity": D(11)},
        {"min_quantity": D(0)},
        {"hidden": True, "display_quantity": D(2)},
        {"all_or_none": True, "display_quantity": D(2)},
        {"display_low": D(2)},
        {"display_low": D(3), "display_high": D(2)},
        {"to_limit": True},
        {"peg": "far"},
        {"peg": "mid", "peg_offset": D("0.001")},
        {"peg": "mid", "tif": IOC},
    ],
    ids=str,
)
def test_what_does_not_go_together_is_refused(wrong):
    assert Stage().buy(10, "100.00", **wrong).status is REJECTED


# -- icebergs


def test_slices_are_drawn_between_two_bounds_and_the_same_with_the_same_seed():
    def sizes(seed):
        stage = Stage(seed=seed)
        order = stage.sell(100, "100.00", display_low=D(3), display_high=D(9))
        seen = []
        while order.is_open:
            seen.append(order.leaves - order.reserve)
            stage.buy(seen[-1], "100.00")
        assert sum(seen) == 100
        return seen

    first = sizes(7)
    assert all(3 <= size <= 9 for size in first[:-1]) and len(set(first)) > 3
    assert first == sizes(7) != sizes(8)


def test_a_copy_draws_what_the_original_will():
    slices = RandomSlices(1, 1_000, "name")
    slices.draw()
    copy = slices.copy()
    assert [copy.draw() for _ in range(5)] == [slices.draw() for _ in range(5)]


# -- market to limit


def test_market_to_limit_takes_the_best_price_only_and_rests_there():
    stage = Stage()
    stage.sell(4, "100.00"), stage.sell(4, "100.01")
    order = stage.buy(10, to_limit=True)
    assert (order.filled, order.limit_price, order.rests) == (4, D("100.00"), True)
    assert stage.book() == ([("100.00", 6, 1)], [("100.01", 4, 1)])


def test_market_to_limit_without_another_side_is_rejected():
    order = Stage().buy(10, to_limit=True)
    assert (order.status, order.end.reason) == (REJECTED, Reason.NO_LIQUIDITY)


# -- post-only


def test_a_sliding_post_only_order_stands_one_tick_short():
    stage = Stage(post_only="slide")
    stage.sell(5, "100.00")
    order = stage.buy(5, "100.03", post_only=True)
    assert (order.filled, order.limit_price) == (0, D("99.99"))
    assert stage.sell(5, "99.98", post_only=True).limit_price == D("100.00")
    assert stage.venue.replace("a", order.id, Changes(quantity=D(9))) is None
    assert order.limit_price == D("99.99") and order.filled == 0


# -- reduce-only


def long(stage, lots):
    stage.sell(lots, "100.00")
    stage.buy(lots, "100.00")


def test_reduce_only_is_cut_to_what_closes_the_position():
    stage = Stage()
    refused = stage.sell(5, "101.00", account=A, owner="a", reduce_only=True)
    assert (refused.status, refused.end.reason) == (REJECTED, Reason.NOTHING_TO_CLOSE)
    long(stage, 6)
    order = stage.sell(10, "101.00", account=A, owner="a", reduce_only=True)
    assert (order.quantity, order.remaining) == (6, 6) and stage.book()[1] == [("101.00", 6, 1)]
    assert stage.buy(1, "99.00", reduce_only=True).end.reason is Reason.NOTHING_TO_CLOSE


def test_reduce_only_orders_follow_the_position():
    stage = Stage()
    long(stage, 6)
    far = stage.sell(6, "102.00", account=A, owner="a", reduce_only=True)
    near = stage.sell(4, "101.00", account=A, owner="a", reduce_only=True)
    stage.buy(4, "101.00", account="B2", owner="b")
    assert (near.status, far.remaining, far.quantity) == (FILLED, 2, 2)
    assert "order_restated" in stage.ear.names()
    stage.sell(2, "99.00", account=A, owner="a", type=OrderType.LIMIT)
    stage.buy(2, "99.00", account="B2", owner="b")
    assert (far.status, far.end.reason) == (CANCELED, Reason.NOTHING_TO_CLOSE)


def test_a_reduce_only_stop_is_cut_again_when_it_is_elected():
    stage = Stage()
    long(stage, 6)
    stop = stage.sell(6, account=A, owner="a", type=OrderType.STOP, stop_price=D("99.00"), reduce_only=True)
    stage.buy(20, "98.00", account="B2", owner="b")
    stage.sell(2, "98.00", account=A, owner="a")  # closes a part, and elects
    assert (stop.status, stop.filled) == (FILLED, 4)
    assert stage.venue.holdings(A)[0].quantity == 0


def test_a_stop_whose_position_was_taken_back_closes_nothing():
    stage = Stage()
    long(stage, 6)
    stop = stage.sell(6, account=A, owner="a", type=OrderType.STOP, stop_price=D("99.00"), reduce_only=True)
    stage.venue.bust(stage.venue.fills(owner="a")[0].exec_id)
    stage.buy(9, "99.00", account=B, owner="b"), stage.sell(1, "99.00")
    assert (stop.status, stop.end.reason, stop.filled) == (CANCELED, Reason.NOTHING_TO_CLOSE, 0)


def test_a_reduce_only_child_waits_for_the_position_that_its_parent_opens():
    stage = Stage()
    parent, child = stage.venue.submit_all(
        "a",
        [
            stage.terms("BUY", 6, "100.00"),
            stage.terms("SELL", 10, "105.00", parent_id=-1, reduce_only=True),
        ],
    )
    assert child.held == "parent"
    stage.sell(6, "100.00")
    assert parent.status is FILLED and child.rests and child.remaining == 6


# -- replace


def test_a_replace_below_what_is_filled_can_be_refused():
    stage = Stage(replace_below_filled="reject")
    order = stage.buy(10, "100.00")
    stage.sell(6, "100.00")
    refusal = stage.venue.replace("a", order.id, Changes(quantity=D(6)))
    assert refusal.reason is Reason.BELOW_FILLED and order.remaining == 4 and order.rests
    stage.venue.set_book_option(ACME.id, "replace_below_filled", "fill")
    assert stage.venue.replace("a", order.id, Changes(quantity=D(6))) is None
    assert (order.status, order.quantity) == (FILLED, 6)
