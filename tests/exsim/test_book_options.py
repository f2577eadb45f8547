"""The options of a book: declared once, checked, and what those of triggers do."""

from __future__ import annotations

from decimal import Decimal

import pytest
from exsim_venue import ACME, BETA, Stage

from txtrader.errors import InvalidArgument
from txtrader.exsim.options import BOOK_OPTIONS, BookOptions, changed
from txtrader.exsim.records import Reason, SelfTrade
from txtrader.model.order import OrderStatus, OrderType

D = Decimal
STOP, TOUCH = OrderType.STOP, OrderType.MARKET_IF_TOUCHED


def test_every_option_is_declared_with_type_default_and_meaning():
    assert list(BOOK_OPTIONS) == list(BookOptions.__struct_fields__)
    for name, option in BOOK_OPTIONS.items():
        assert option.name == name and option.meaning.endswith(".") and option.default == getattr(BookOptions(), name)
        assert option.type in ("bool", "choice", "decimal", "rule") and bool(option.choices) is (
            option.type == "choice"
        )
        assert getattr(changed(BookOptions(), {name: option.default}), name) == option.default


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("colour", 1),
        ("auto_match", "false"),
        ("auto_match", 1),
        ("self_trade", "some"),
        ("matching", "best"),
        ("top_max", 1.5),
        ("top_max", "many"),
        ("top_max", D(-1)),
        ("top_max", D("NaN")),
        ("last_look_timeout", True),
    ],
)
def test_a_wrong_option_is_refused_by_name_and_nothing_changes(name, value):
    stage = Stage()
    before = stage.venue.book_options(ACME.id)
    with pytest.raises(InvalidArgument) as caught:
        stage.venue.set_book_option(ACME.id, name, value)
    assert caught.value.path == name and stage.venue.book_options(ACME.id) is before
    with pytest.raises(InvalidArgument):
        Stage(**{name: value})


def test_a_book_has_the_venues_options_until_it_has_its_own():
    stage = Stage(self_trade="newest", top_max="2.5")
    assert stage.venue.book_options(ACME.id).self_trade is SelfTrade.NEWEST
    assert stage.venue.set_book_option(ACME.id, "self_trade", "none") == ("newest", "none")
    assert stage.venue.book_options(BETA.id).self_trade is SelfTrade.NEWEST
    assert stage.venue.book_options(ACME.id).top_max == D("2.5")
    records = stage.venue.tape.count
    assert stage.venue.set_book_option(ACME.id, "self_trade", SelfTrade.NONE) == ("none", "none")
    assert stage.venue.tape.count == records, "what it is already is no change"


# -- triggers


def waiting(stage, side, type=STOP, at="101.00"):
    return stage.order(side, 1, type=type, stop_price=D(at))


def test_by_default_trades_elect():
    stage = Stage()
    stage.trade_at("100.00")
    stop = waiting(stage, "BUY")
    stage.buy(1, "101.00"), stage.sell(1, "105.00")
    assert stop.held == "trigger"
    stage.sell(1, "101.00")
    assert stop.was_elected


def test_with_bid_offer_buys_look_at_the_offer_and_sells_at_the_bid():
    stage = Stage(trigger_source="bid_offer")
    stage.buy(10, "99.00"), stage.sell(10, "100.00")
    buy, sell = waiting(stage, "BUY"), waiting(stage, "SELL", at="98.00")
    stage.buy(5, "99.99"), stage.sell(10, "103.00")
    stage.buy(10, "100.00")  # the offer is 103 now
    assert buy.was_elected and buy.average_price == D("103.00") and sell.held == "trigger"
    stage.venue.mass_cancel(side=buy.side)
    assert sell.held == "trigger", "without a bid there is nothing to look at"
    stage.buy(1, "98.00")
    assert sell.was_elected and sell.average_price == D("98.00")


def test_a_touched_order_looks_at_its_own_sides_price_source():
    stage = Stage(trigger_source="bid_offer")
    stage.buy(10, "99.00"), stage.sell(10, "103.00")
    touched = waiting(stage, "BUY", TOUCH, "101.00")
    stage.sell(1, "101.00")
    assert touched.was_elected and touched.average_price == D("101.00")


def test_with_mid_the_middle_elects_exactly():
    stage = Stage(trigger_source="mid")
    stage.buy(10, "99.00"), stage.sell(10, "101.00")
    stop = waiting(stage, "BUY", at="100.01")
    stage.buy(1, "99.01")
    assert stop.held == "trigger", "100.005 is not there yet"
    touched = waiting(stage, "BUY", TOUCH, "100.00")
    stage.buy(1, "99.02")
    assert stop.was_elected and touched.held == "trigger"


def test_with_reference_what_the_listing_is_worth_elects():
    stage = Stage(trigger_source="reference")
    market = stage.venue._market(ACME.id)
    worth = market.price(market.trigger_price(1))
    low, high = waiting(stage, "BUY", at=str(worth)), waiting(stage, "BUY", at=str(worth + 50))
    stage.trade_at(str(worth + 60))
    assert low.was_elected and high.held == "trigger"


def test_a_trailing_stop_follows_the_source():
    stage = Stage(trigger_source="bid_offer")
    stage.buy(10, "99.00"), stage.sell(10, "110.00")
    stop = stage.sell(1, type=OrderType.TRAILING_STOP, trail_amount=D("2.00"))
    assert stop.stop_price == D("97.00")
    bid = stage.buy(1, "100.00")
    assert stop.stop_price == D("98.00")
    stage.venue.cancel("a", bid.id)
    assert stop.stop_price == D("98.00") and stop.held == "trigger"


def test_a_stop_that_is_reached_on_entry_can_be_refused():
    stage = Stage(stop_on_entry="reject")
    stage.trade_at("102.00")
    stop = waiting(stage, "BUY")
    assert (stop.status, stop.end.reason) == (OrderStatus.REJECTED, Reason.TRIGGER_REACHED)
    assert waiting(stage, "BUY", at="102.01").held == "trigger"
    stage.venue.set_book_option(ACME.id, "stop_on_entry", "elect")
    assert waiting(stage, "BUY").was_elected
