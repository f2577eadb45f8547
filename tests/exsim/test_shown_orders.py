"""The book order by order: ids, numbers, and what is never shown."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from exsim_naive import NaiveOrder, make_special
from exsim_reader import Reader
from exsim_venue import ACME, Stage

from txtrader.exsim.listeners import BookListener
from txtrader.exsim.records import Changes, Terms
from txtrader.model.order import OrderType, Side, TimeInForce

D = Decimal
CENT = D("0.01")


def watched(stage):
    reader = Reader()
    watch = stage.venue.watch_orders(ACME.id, reader)
    return reader.begin(watch), watch


def test_each_change_of_a_shown_order_is_told_under_its_public_id():
    stage = Stage()
    old = stage.sell(5, "100.00")
    reader, watch = watched(stage)
    assert watch.snapshot.number == 0 and [order.size for order in watch.snapshot.asks] == [5]
    order = stage.sell(9, "100.00")
    stage.venue.replace("b", order.id, Changes(quantity=D(8)))
    stage.venue.replace("b", order.id, Changes(limit_price=D("100.01")))
    stage.buy(6, "100.01")
    stage.venue.cancel("b", order.id)
    assert reader.heard == [
        ("added", 2, "SELL", D("100.00"), 9),
        ("reduced", 2, 1),
        ("replaced", 2, 3, D("100.01"), 8),
        ("executed", 1, 5, D("100.00")),
        ("executed", 3, 1, D("100.01")),
        ("deleted", 3),
    ]
    assert not old.is_open and reader.orders == {} and reader.number == 6


def test_a_new_slice_is_a_new_order_and_the_reserve_is_never_seen():
    stage = Stage()
    reader, _ = watched(stage)
    iceberg = stage.sell(10, "100.00", display_quantity=D(4))
    stage.venue.replace("b", iceberg.id, Changes(quantity=D(9)))  # of the reserve: no news
    stage.buy(6, "100.00")
    assert reader.heard == [
        ("added", 1, "SELL", D("100.00"), 4),
        ("executed", 1, 4, D("100.00")),
        ("added", 2, "SELL", D("100.00"), 4),
        ("executed", 2, 2, D("100.00")),
    ]


def test_hidden_orders_and_parked_ones_are_never_shown():
    stage = Stage()
    reader, _ = watched(stage)
    stage.sell(5, "100.00", hidden=True)
    stage.sell(5, type=OrderType.LIMIT, peg="primary")
    stage.buy(3, "100.00")
    assert reader.heard == []


def test_a_replaced_order_that_trades_leaves_before_it_does():
    stage = Stage()
    reader, _ = watched(stage)
    buy = stage.buy(5, "99.00")
    stage.sell(2, "100.00")
    stage.venue.replace("a", buy.id, Changes(limit_price=D("100.00")))
    assert [fact[0] for fact in reader.heard] == ["added", "added", "deleted", "executed", "added"]


def test_a_match_by_hand_tells_both_orders():
    stage = Stage(auto_match=False)
    reader, _ = watched(stage)
    buy, sell = stage.buy(5, "100.00"), stage.sell(9, "100.00", display_quantity=D(3))
    stage.venue.match_orders(buy.id, sell.id, D(4))
    assert sorted(fact[0] for fact in reader.heard) == ["added", "added", "added", "executed", "executed"]
    assert reader.rows() == stage.book() == ([("100.00", 1, 1)], [("100.00", 3, 1)])


def test_the_end_of_a_message_is_told_once_if_it_changed_anything():
    class Ends(BookListener):
        def __init__(self):
            self.heard = []

        def order_added(self, *facts):
            self.heard.append("added")
            if self.leaves:
                self.watch.close()

        def order_executed(self, *facts):
            self.heard.append("executed")

        def published(self, listing_id, number):
            self.heard.append(number)

    stage = Stage()
    ends = Ends()
    ends.watch, ends.leaves = stage.venue.watch_orders(ACME.id, ends), False
    stage.sell(5, "100.00")
    stage.sell(5, "100.01")
    stage.buy(12, "100.01")
    stage.buy(3, "90.00", hidden=True)  # nothing anybody sees
    ends.leaves = True
    stage.sell(5, "103.00")
    assert ends.heard == ["added", 1, "added", 2, "executed", "executed", "added", 5, "added"]
    ends.watch, ends.leaves, ends.heard = stage.venue.watch_orders(ACME.id, ends), False, []
    stage.buy(3, "90.00", hidden=True)
    assert ends.heard == [], "a message from before the watch is not ended in it"


def test_it_costs_nothing_when_nobody_watches_and_numbers_go_on():
    stage = Stage()
    market = stage.venue._market(ACME.id)
    assert market.shown is market.book.watcher is None
    reader, watch = watched(stage)
    stage.sell(5, "100.00")
    watch.close()
    watch.close()
    assert market.shown is market.book.watcher is None
    stage.sell(5, "100.01")
    assert len(reader.heard) == 1
    again, watch = watched(stage)
    assert watch.snapshot.number == 1
    assert [order.public_id for order in watch.snapshot.asks] == [2, 3], "no id is given twice"
    assert again.rows() == stage.book()


def test_a_watcher_that_fails_hurts_nobody_else(expected_failures):
    expected_failures.append("A watcher of the orders of ACME failed")

    class Broken(BookListener):
        def order_added(self, *facts):
            raise ValueError("broken")

    stage = Stage()
    stage.venue.watch_orders(ACME.id, Broken())
    reader, _ = watched(stage)
    assert stage.sell(5, "100.00").rests and len(reader.heard) == 1


@pytest.mark.parametrize(
    ("seed", "options"), [(1, {}), (2, {}), (3, {"matching": "pro_rata"}), (4, {"self_trade": "decrement"})]
)
def test_who_keeps_the_book_by_what_is_told_always_has_the_book(seed, options):
    draw = random.Random(seed)
    stage = Stage(cash=10**12, post_only="slide", **options)
    early, _ = watched(stage)
    late = None
    ids = []
    for turn in range(700):
        if turn == 300:
            late, _ = watched(stage)
        live = [number for number in ids[-60:] if stage.venue.order(number).is_open]
        x = draw.random()
        if x < 0.15 and live:
            stage.venue.cancel("a", draw.choice(live))
        elif x < 0.3 and live:
            number = draw.choice(live)
            order = stage.venue.order(number)
            changes = {"quantity": order.quantity + draw.randrange(-5, 5)}
            if order.rests and not order.terms.peg:
                changes["limit_price"] = order.limit_price + draw.randrange(-1, 2) * CENT
            stage.venue.replace("a", number, Changes(**changes))
        else:
            sign, quantity = draw.choice((1, -1)), draw.randrange(1, 30)
            price = 10_000 - sign * draw.randrange(-3, 9)
            terms = {
                "listing_id": ACME.id,
                "account": draw.choice(("A1", "B2")),
                "side": Side.BUY if sign > 0 else Side.SELL,
                "quantity": D(quantity),
                "type": OrderType.LIMIT,
                "limit_price": price * CENT,
                "tif": TimeInForce.DAY,
                "display_quantity": D(3) if draw.random() < 0.1 and quantity > 3 else None,
            }
            if terms["display_quantity"] is None:
                make_special(draw, "cp", terms, NaiveOrder(0, sign, "LIMIT", price, 0, quantity, "DAY"))
            ids.append(stage.venue.submit("a", Terms(**terms)).id)
        assert early.rows() == stage.book()
        assert late is None or late.rows() == stage.book()
    assert {fact[0] for fact in early.heard} == {"added", "reduced", "executed", "deleted", "replaced"}
