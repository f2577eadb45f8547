"""Two-sided quotes, and those whose owner is asked before they trade."""

from __future__ import annotations

from decimal import Decimal

import pytest
from exsim_venue import ACME, B, Stage

from txtrader.errors import InvalidArgument, NotFound
from txtrader.exsim.errors import AlreadyExists, WrongState
from txtrader.exsim.records import Changes, Phase, Reason
from txtrader.model.order import OrderStatus, OrderType, TimeInForce

D = Decimal
FILLED, CANCELED, EXPIRED = OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED


def quoted(bid="99.00", ask="101.00", size=10, stage=None, **properties):
    stage = stage or Stage()
    stage.venue.create_quote(
        "q", "maker", ACME.id, B, bid_price=D(bid), bid_quantity=D(size), offer_price=D(ask), offer_quantity=D(size),
        **properties,
    )  # fmt: skip
    assert stage.venue.submit_quote("q") is None
    return stage, stage.venue.quote("q")


def test_a_quote_is_two_orders_of_its_owner():
    stage, quote = quoted()
    assert stage.book() == ([("99.00", 10, 1)], [("101.00", 10, 1)])
    assert (quote.bid.owner, quote.bid.client_order_id, quote.offer.client_order_id) == ("maker", "q.bid", "q.offer")
    assert stage.buy(4, "101.00").filled == 4 and quote.offer.remaining == 6
    assert stage.venue.quotes() == [quote]


def test_a_draft_is_nothing_until_it_is_submitted_and_one_side_will_do():
    stage = Stage()
    stage.venue.create_quote("q", "maker", ACME.id, B, bid_price=D("99.00"))
    assert stage.venue.submit_quote("q").reason is Reason.QUANTITY
    assert stage.venue.set_quote_property("q", "bid_quantity", D(5)) == (None, 5)
    assert stage.book() == ([], [])
    assert stage.venue.submit_quote("q") is None
    assert stage.book() == ([("99.00", 5, 1)], []) and stage.venue.quote("q").offer is None


def test_a_side_that_did_not_change_keeps_its_place():
    stage, quote = quoted()
    stage.buy(1, "99.00"), stage.sell(1, "101.00")
    bid, offer = quote.bid, quote.offer
    stage.venue.set_quote_property("q", "offer_price", D("101.50"))
    assert offer.limit_price == D("101.00"), "it counts from the next submit on"
    assert stage.venue.submit_quote("q") is None
    assert quote.bid is bid and stage.venue.queue_position(bid.id) == (0, 0)
    assert quote.offer is offer and offer.limit_price == D("101.50")
    stage.sell(4, "99.00")
    assert stage.venue.submit_quote("q") is None
    assert (quote.bid.remaining, stage.venue.queue_position(bid.id)) == (10, (1, 1)), "filled up again, at the end"


def test_a_quote_moves_in_one_step_past_its_own_old_side():
    stage, quote = quoted("99.00", "99.10")
    for name, value in (("bid_price", "99.20"), ("offer_price", "99.30")):
        stage.venue.set_quote_property("q", name, D(value))
    assert stage.venue.submit_quote("q") is None
    assert stage.book() == ([("99.20", 10, 1)], [("99.30", 10, 1)])
    assert stage.venue.tape.of_kind("match") == [] and quote.bid.filled == 0


def test_a_refused_quote_stands_as_it_was():
    stage, quote = quoted()
    bid, offer = quote.bid, quote.offer
    stage.venue.set_quote_property("q", "bid_price", D("99.50"))
    for wrong, reason in ((D("99.005"), Reason.PRICE), (D("99.505"), Reason.PRICE_TICK), (D("99.50"), Reason.PRICE)):
        stage.venue.set_quote_property("q", "offer_price", wrong)
        assert stage.venue.submit_quote("q").reason is reason
    stage.venue.set_quote_property("q", "offer_price", D("101.00"))
    stage.venue.set_quote_property("q", "offer_quantity", D(10**9))
    assert stage.venue.submit_quote("q").reason is Reason.BUYING_POWER
    assert (quote.bid, quote.offer) == (bid, offer) and stage.book() == ([("99.00", 10, 1)], [("101.00", 10, 1)])
    stage.venue.set_quote_property("q", "offer_quantity", D(10))
    stage.venue.set_phase(ACME.id, Phase.HALT)
    assert stage.venue.submit_quote("q").reason is Reason.CLOSED


def test_quotes_are_withdrawn_forgotten_and_named_once():
    stage, quote = quoted()
    bid = quote.bid
    stage.venue.withdraw_quote("q")
    assert bid.status is CANCELED and quote.bid is quote.offer is None and stage.book() == ([], [])
    stage.venue.withdraw_quote("q")
    assert stage.venue.submit_quote("q") is None and quote.bid.is_open
    with pytest.raises(AlreadyExists):
        stage.venue.create_quote("q", "maker", ACME.id, B)
    for wrong in ({"colour": 1}, {"bid_price": 1.5}, {"last_look": "yes"}):
        with pytest.raises(InvalidArgument):
            stage.venue.create_quote("r", "maker", ACME.id, B, **wrong)
    stage.venue.delete_quote("q")
    assert stage.book() == ([], [])
    for call in (stage.venue.quote, stage.venue.submit_quote, stage.venue.delete_quote):
        with pytest.raises(NotFound):
            call("q")


def test_a_quote_ends_at_its_time():
    stage = Stage()
    stage, quote = quoted(stage=stage, expire_time=stage.now() + 5 * 10**9)
    bid = quote.bid
    assert bid.tif is TimeInForce.GTD
    stage.clock.advance(6)
    assert bid.status is EXPIRED and stage.book() == ([], []) and quote.bid is None


# -- last look


def looked(size=10, **options):
    stage, quote = quoted(size=size, stage=Stage(**options), last_look=True)
    return stage, quote


def not_answered(stage):
    """The timers that wait for answers."""
    return [call for call in stage.clock.getDelayedCalls() if "_time_is_over" in str(call)]


def test_an_order_that_meets_a_last_look_quote_waits_for_its_owners_word():
    stage, quote = looked()
    taker = stage.buy(4, "101.00")
    (request,) = stage.venue.quote_requests()
    assert (taker.held, taker.filled, taker.is_open, len(not_answered(stage))) == ("answer", 0, True, 1)
    assert (request.quantity, request.price, str(request.side)) == (4, D("101.00"), "BUY")
    assert stage.ear.heard[-1] == ("look_requested", quote.offer.id, request)
    assert stage.book()[1] == [("101.00", 10, 1)], "nothing has happened yet"
    stage.venue.answer_quote_request("q", request.number, True)
    assert (taker.status, taker.average_price, quote.offer.remaining) == (FILLED, D("101.00"), 6)
    assert stage.venue.quote_requests() == [] and not_answered(stage) == []


def test_a_refused_order_goes_on_as_if_the_quote_were_not_there():
    stage, quote = looked()
    other = stage.sell(2, "101.00")
    taker = stage.buy(4, "101.00")
    (request,) = stage.venue.quote_requests()
    stage.venue.answer_quote_request("q", request.number, False)
    assert (taker.filled, other.status, taker.rests, quote.offer.filled) == (2, FILLED, True, 0)
    hasty = stage.buy(1, "101.00", tif=TimeInForce.IOC)
    stage.venue.answer_quote_request("q", stage.venue.quote_requests()[0].number, False)
    assert hasty.status is CANCELED


def test_an_owner_may_give_a_part_or_another_price_within_the_takers_limit():
    stage, _ = looked()
    taker = stage.buy(6, "101.50")
    (request,) = stage.venue.quote_requests()
    for wrong in ({"quantity": D(7)}, {"price": D("101.60")}, {"price": D("101.001")}):
        with pytest.raises(InvalidArgument):
            stage.venue.answer_quote_request("q", request.number, True, **wrong)
    stage.venue.answer_quote_request("q", request.number, True, D(2), D("101.20"))
    assert (taker.filled, taker.average_price, taker.rests) == (2, D("101.20"), True)
    assert stage.venue.quote_requests() == [], "he had his say"
    with pytest.raises(NotFound):
        stage.venue.answer_quote_request("q", request.number, True)


def test_silence_is_a_no_when_the_time_is_over():
    stage, _ = looked(last_look_timeout=D("0.5"))
    taker = stage.buy(4, "101.00", tif=TimeInForce.IOC)
    stage.clock.advance(0.4)
    assert taker.held == "answer"
    stage.clock.advance(0.2)
    assert (taker.status, taker.filled) == (CANCELED, 0) and stage.venue.quote_requests() == []
    assert [record[2] for record in stage.venue.tape.since(0) if record[2] == "look_timeout"] == ["look_timeout"]


def test_no_quantity_is_promised_twice():
    stage, quote = looked()
    one, two = stage.buy(7, "101.00"), stage.buy(7, "101.00")
    assert [request.quantity for request in stage.venue.quote_requests()] == [7, 3]
    three = stage.buy(1, "101.00")
    assert three.rests, "there is nothing left to ask for"
    first, second = stage.venue.quote_requests()
    stage.venue.answer_quote_request("q", second.number, True)
    stage.venue.answer_quote_request("q", first.number, True)
    assert (one.filled, two.filled, quote.offer) == (7, 3, None)
    assert two.rests and two.remaining == 4


def test_the_takers_cancel_withdraws_the_request_and_the_quotes_end_refuses_it():
    stage, quote = looked()
    taker = stage.buy(4, "101.00")
    assert stage.venue.cancel("a", taker.id) is None
    assert stage.venue.quote_requests() == [] and "look_withdrawn" in stage.ear.names()
    assert quote.offer.promised == 0
    patient, hasty = stage.buy(4, "101.00"), stage.buy(2, "101.00", tif=TimeInForce.IOC)
    stage.venue.withdraw_quote("q")
    assert patient.rests and hasty.status is CANCELED and not_answered(stage) == []


def test_a_pegged_taker_waits_where_it_is_and_follows_again_afterwards():
    stage, _ = looked()
    stage.sell(1, "103.00")
    taker = stage.buy(4, type=OrderType.LIMIT, peg="market")
    (request,) = stage.venue.quote_requests()
    stage.buy(1, "99.50"), stage.sell(1, "100.50")
    assert (taker.held, taker.rests, request.price) == ("answer", False, D("101.00")), "it does not move meanwhile"
    stage.venue.answer_quote_request("q", request.number, False)
    assert (taker.filled, taker.rests, taker.held) == (1, True, "") and taker.limit_price == D("101.00")


def test_a_taker_that_its_group_reduces_meanwhile_gets_no_more_than_it_wants():
    stage, quote = looked()
    taker = stage.buy(8, "101.00", oca_group="g", oca_type=4)
    stage.buy(8, "99.50", oca_group="g", oca_type=4)
    stage.sell(5, "99.50")
    (request,) = stage.venue.quote_requests()
    assert (taker.remaining, request.quantity) == (3, 8)
    stage.venue.answer_quote_request("q", request.number, True)
    assert (taker.status, taker.filled, quote.offer.remaining) == (FILLED, 3, 7)


def test_a_quote_that_is_matched_away_by_hand_refuses_its_requests():
    stage, quote = looked()
    taker, other = stage.buy(4, "101.00"), stage.buy(10, "90.00")
    stage.venue.match_orders(quote.offer.id, other.id, force=True)
    assert stage.venue.quote_requests() == [] and taker.rests and not_answered(stage) == []


def test_a_takers_replace_asks_anew():
    stage, _ = looked()
    taker = stage.buy(4, "101.00")
    assert stage.venue.replace("a", taker.id, Changes(quantity=D(5))) is None
    (request,) = stage.venue.quote_requests()
    assert request.quantity == 5 and taker.held == "answer"


def test_orders_that_cannot_wait_pass_a_last_look_quote_over():
    stage, quote = looked()
    assert stage.buy(4, "101.00", tif=TimeInForce.FOK).end.reason is Reason.NO_LIQUIDITY
    assert stage.buy(4, "101.00", min_quantity=D(2), tif=TimeInForce.IOC).filled == 0
    stage.venue._market(ACME.id).enter_house(1, None, 3, is_immediate=True)
    assert stage.venue.quote_requests() == [] and quote.offer.filled == 0


def test_a_halted_book_takes_no_yes():
    stage, _ = looked()
    taker = stage.buy(4, "101.00")
    stage.venue.set_phase(ACME.id, Phase.HALT)
    (request,) = stage.venue.quote_requests()
    with pytest.raises(WrongState):
        stage.venue.answer_quote_request("q", request.number, True)
    assert taker.held == "answer"
