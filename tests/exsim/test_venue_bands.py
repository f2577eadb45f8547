"""Price bands: what is refused, how far a match goes, and when a book pauses."""

from __future__ import annotations

from decimal import Decimal

import pytest
from exsim_venue import ACME, Eye, Stage

from txtrader.exsim.phase_options import Band
from txtrader.exsim.records import Changes, Phase, Reason
from txtrader.model.order import OrderStatus, OrderType, TimeInForce

D = Decimal


def banded(**options):
    """Make a venue whose ACME last traded at 100.00, with options set."""
    stage = Stage()
    stage.trade_at("100.00")
    for name, value in options.items():
        stage.venue.phases.set_option(ACME.id, name, value)
    return stage


@pytest.mark.parametrize(
    ("band", "centre", "edges"),
    [
        (Band(D("0.05")), 10_000, (9995, 10_005)),
        (Band(D(5), True), 10_001, (9501, 10_501)),
        (Band(D(1), True), -250, (-252, -248)),
        (Band(D("0.015")), 100, (99, 101)),
    ],
)
def test_a_band_ends_inside_its_width(band, centre, edges):
    assert band.edges(centre, ACME.tick) == edges


def test_a_limit_outside_the_static_band_is_refused():
    stage = banded(reference_price="100", static_band="5")
    assert stage.buy(1, "105.00").rests and stage.buy(1, "95.00").rests
    for price in ("105.01", "94.99"):
        order = stage.buy(1, price)
        assert (order.status, order.end.reason) == (OrderStatus.REJECTED, Reason.BAND)
    resting = stage.buy(1, "96.00")
    assert stage.venue.replace("a", resting.id, Changes(limit_price=D("94.00"))).reason is Reason.BAND
    stop = stage.buy(1, "110.00", type=OrderType.STOP_LIMIT, stop_price=D(104))
    assert stop.end.reason is Reason.BAND
    assert stage.venue.phases.set_option(ACME.id, "static_band", None) is None
    assert stage.buy(1, "94.00").rests


def test_the_centre_is_the_last_auction_else_the_previous_close():
    stage = banded(static_band="5")
    close = stage.venue.stats(ACME.id).previous_close
    assert stage.sell(1, close + 5).rests
    assert stage.sell(1, close + 5 + ACME.tick).end.reason is Reason.BAND
    stage.venue.mass_cancel()
    stage.venue.set_phase(ACME.id, Phase.PAUSE)
    stage.buy(1, close + 3)
    stage.sell(1, close + 3)
    stage.venue.set_phase(ACME.id, Phase.CONTINUOUS)
    assert stage.sell(1, close + 8).rests
    assert stage.sell(1, close + 8 + ACME.tick).end.reason is Reason.BAND


def test_an_order_outside_may_be_taken_and_matched_as_far_as_the_band_goes():
    stage = banded()
    inside, outside = stage.sell(3, "104.00"), stage.sell(3, "106.00")
    for name, value in (("reference_price", "100"), ("static_band", "5"), ("band_orders", "accept")):
        stage.venue.phases.set_option(ACME.id, name, value)
    order = stage.buy(5, "107.00")
    assert (order.filled, inside.filled, outside.filled) == (3, 3, 0)
    assert order.held == "band" and stage.book()[0] == []
    passive = stage.buy(1, "90.00")
    assert passive.held == "band"
    stage.venue.phases.set_option(ACME.id, "reference_price", "102")
    assert order.status is OrderStatus.FILLED and outside.filled == 2, "the band has moved there"
    assert passive.held == "band"
    assert stage.venue.cancel("a", passive.id) is None


def test_a_market_order_ends_at_the_band():
    stage = banded()
    near, far = stage.sell(3, "100.02"), stage.sell(3, "106.00")
    stage.venue.phases.set_option(ACME.id, "reference_price", "100")
    stage.venue.phases.set_option(ACME.id, "static_band", "5%")
    order = stage.buy(5)
    assert (near.filled, far.filled, order.filled) == (3, 0, 3)
    assert (order.status, order.end.reason) == (OrderStatus.CANCELED, Reason.BAND)


@pytest.mark.parametrize("price", [None, "103.00"])
def test_a_match_that_leaves_the_dynamic_band_is_collared(price):
    stage = banded(dynamic_band="1")
    near, edge, far = stage.sell(2, "100.50"), stage.sell(2, "101.00"), stage.sell(2, "101.01")
    order = stage.buy(6, price)
    assert (near.filled, edge.filled, far.filled) == (2, 2, 0)
    assert (order.status, order.end.reason) == (OrderStatus.CANCELED, Reason.BAND)
    again = stage.buy(2, "103.00")
    assert again.status is OrderStatus.FILLED, "the band goes round the last trade, which is 101.00 now"
    assert stage.buy(1, "105.00").rests, "nothing stands there to match with"


def test_orders_that_may_not_rest_end_at_the_band_too():
    stage = banded(dynamic_band="1")
    stage.sell(2, "100.50")
    far = stage.sell(2, "102.00")
    fok = stage.buy(4, "103.00", tif=TimeInForce.FOK)
    assert fok.filled == 0 and fok.status is OrderStatus.CANCELED
    ioc = stage.buy(4, "103.00", tif=TimeInForce.IOC)
    assert (ioc.filled, ioc.end.reason, far.filled) == (2, Reason.BAND, 0)


def test_a_match_that_leaves_the_dynamic_band_may_pause_the_book():
    stage = banded(dynamic_band="1", band_breach="volatility", pause_seconds=30)
    eye = Eye()
    stage.venue.watch(ACME.id, eye)
    near, far = stage.sell(2, "100.50"), stage.sell(2, "102.00")
    gone = stage.sell(1, "110.00", auction="cancel_on_auction")
    stop = stage.buy(1, type=OrderType.STOP, stop_price=D("100.40"))
    order = stage.buy(5, "103.00")
    assert (near.filled, far.filled, order.filled, order.leaves) == (2, 0, 2, 3)
    assert eye.of("phase") == [Phase.PAUSE] and stage.venue.phase(ACME.id) is Phase.PAUSE
    assert stage.book()[0] == [("103.00", 3, 1)], "it waits for the auction with the others"
    assert gone.end.reason is Reason.AUCTION
    assert stop.held == "trigger" and stop.filled == 0, "no stop is elected while the book pauses"
    assert eye.of("indicative")[-1].volume == 2
    stage.clock.advance(30)
    assert eye.of("phase") == [Phase.PAUSE, Phase.CONTINUOUS]
    assert far.filled == 2 and order.filled == 4
    assert stop.was_elected
    assert [one.conditions for one in eye.of("print")] == [(), ("reopening",)]


def test_a_stop_that_another_ones_pause_forestalls_comes_in_after_it():
    stage = banded(dynamic_band="1", band_breach="volatility")
    stage.sell(1, "100.50")
    stage.sell(5, "102.00")
    first, second = (stage.buy(2, type=OrderType.STOP, stop_price=D("100.50")) for _ in range(2))
    stage.buy(1, "100.50")  # elects both; what the first one would trade with is out of the band
    assert stage.venue.phase(ACME.id) is Phase.PAUSE
    assert first.was_elected and not second.was_elected and second.held == "trigger"
    stage.venue.set_phase(ACME.id, Phase.CONTINUOUS)
    assert first.filled == 2 and second.filled == 2


def test_a_market_order_that_pauses_the_book_takes_part_in_the_auction():
    stage = banded(dynamic_band="1", band_breach="volatility")
    far = stage.sell(2, "102.00")
    order = stage.buy(5)
    assert stage.venue.phase(ACME.id) is Phase.PAUSE and order.is_open
    stage.venue.set_phase(ACME.id, Phase.CONTINUOUS)
    assert far.filled == order.filled == 2
    assert order.end.reason is Reason.NO_LIQUIDITY


def test_an_auction_keeps_to_the_static_band_and_parks_what_is_outside():
    stage = banded()
    for name, value in (("reference_price", "100"), ("static_band", "5"), ("band_orders", "accept")):
        stage.venue.phases.set_option(ACME.id, name, value)
    stage.venue.set_phase(ACME.id, Phase.PAUSE)
    high, sell = stage.buy(5, "110.00"), stage.sell(3, "104.00")
    outside = stage.sell(1, "108.00")
    stage.venue.set_phase(ACME.id, Phase.CONTINUOUS)
    assert (high.filled, high.average_price, sell.filled, outside.filled) == (3, D("104.00"), 3, 0)
    assert (high.held, outside.held) == ("band", "band") and stage.book() == ([], [])
