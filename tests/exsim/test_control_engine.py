"""The matching engine by requests: rules, order kinds, quotes, matching by hand, auctions."""

import pytest
from fix_client import FixClient

from txtrader.exsim import ExsimError


@pytest.fixture
def engine(exsim):
    return exsim.create_engine("e1")


@pytest.fixture
def book(engine):
    return engine.create_book("X", symbol="X", tick="0.01")


def status(server, name):
    return server.get_order(name)["status"]


def test_a_book_divides_by_shares(engine):
    book = engine.create_book("P", symbol="P", matching="pro_rata")
    for name, quantity in (("a", 100), ("b", 300), ("c", 600)):
        book.sell(name, quantity, "10")
    book.buy("t", 255, "10")
    assert [book.server.get_order(name)["cumulative"] for name in "abc"] == ["26", "76", "153"]
    with pytest.raises(ExsimError) as caught:
        engine.create_book("Q", symbol="Q", matching="by_mood")
    assert caught.value.code in ("invalid-argument", "not-found")
    assert "Q" not in engine.get()["books"]


def test_order_kinds_are_properties(exsim, book):
    book.sell("hidden", 10, "10.00", hidden=True)
    assert book.get()["offers"] == []
    book.sell("block", 50, "9.99", all_or_none=True)
    assert book.buy("small", 10, "10.00")["average_price"] == "10.00"
    book.buy("bid", 5, "9.00")
    assert book.buy("peg", 5, peg="primary", type="limit")["price"] == "9.00"
    book.buy("better", 5, "9.10")
    assert exsim.get_order("peg")["price"] == "9.10"
    with pytest.raises(ExsimError) as caught:
        book.create_order("bad", side="buy", peg="sideways")
    assert caught.value.field == "peg"


def test_what_is_special_about_a_live_order_can_be_changed(exsim, book):
    book.buy("bid", 5, "9.00")
    order = book.create_order("o", side="buy", quantity=20, price="8.50", hidden=True)
    order.submit()
    assert len(book.get()["bids"]) == 1
    order.set_property("hidden", False)
    assert [row["quantity"] for row in book.get()["bids"]] == ["5", "20"]
    order.set_property("display_quantity", 5)
    assert book.get()["bids"][1]["quantity"] == "5"
    order.set_property("display_quantity", None)
    order.set_property("all_or_none", True)
    book.sell("s", 10, "8.50")
    assert exsim.get_order("o")["cumulative"] == "0", "there are five at 9.00, and five are not twenty"
    exsim.request("cancel_order", order_id="s")
    book.buy("bid2", 5, "8.50")
    assert order.replace(peg="primary", peg_offset="-0.10", price="8.60", all_or_none=False)["price"] == "8.40"
    book.buy("better", 5, "8.90")
    assert exsim.get_order("o")["price"] == "8.60", "its price is the cap"
    order.set_property("price", None)
    assert exsim.get_order("o")["price"] == "8.80"
    with pytest.raises(ExsimError) as caught:
        order.set_property("quantity", None)
    assert (caught.value.code, caught.value.field) == ("invalid-argument", "value")


def test_one_cancels_the_other(exsim, book):
    book.buy("a", 5, "9.00", group="g")
    book.buy("b", 5, "8.00", group="g")
    book.sell("s", 5, "9.00")
    assert (status(exsim, "a"), status(exsim, "b")) == ("filled", "canceled")


@pytest.mark.exsim(managed=True)
def test_orders_are_matched_by_hand_alone(exsim, engine, book):
    book.sell("s1", 10, "10.00")
    book.sell("s2", 10, "10.00")
    book.buy("b1", 4, "10.50")
    assert book.get()["trades"] == 0
    assert len(book.match_orders("b1", "s2")) == 2
    assert exsim.get_order("s2")["cumulative"] == "4" and exsim.get_order("s1")["cumulative"] == "0"
    with pytest.raises(ExsimError) as caught:
        book.match_orders("s1", "s2")
    assert caught.value.code in ("wrong-state", "invalid-argument")
    with pytest.raises(ExsimError) as caught:
        book.match_orders("b1", "nobody")
    assert caught.value.code == "not-found"
    book.buy("b2", 4, "10.50")
    engine.set_property("auto_match", True)
    assert status(exsim, "b2") == "filled"


def test_a_quote_is_posted_replaced_and_withdrawn(exsim, book):
    quote = book.create_quote("q", bid_price="9.99", bid_quantity=5, offer_price="10.01", offer_quantity=5)
    first = quote.submit()
    book.buy("behind", 1, "9.99")
    quote.set_property("offer_price", "10.02")
    second = quote.submit()
    assert (first["bid"], first["offer"]) == (second["bid"], second["offer"]) or first["bid"] == second["bid"]
    assert book.get()["offers"][0]["price"] == "10.02"
    assert exsim.get_order("behind")["orders_ahead"] == 1, "the bid has kept its place"
    quote.delete()
    assert book.get()["offers"] == []
    with pytest.raises(ExsimError) as caught:
        quote.submit()
    assert caught.value.code == "not-found"


def test_a_last_look_is_the_owners(exsim, book):
    quote = book.create_quote("q", offer_price="10.01", offer_quantity=5, last_look=True)
    quote.submit()
    assert book.buy("t", 3, "10.05", account="TAKER")["cumulative"] == "0"
    (asked,) = quote.get()["requests"]
    assert (asked["side"], asked["quantity"]) == ("buy", "3")
    quote.answer(asked["request"], accept=True)
    assert status(exsim, "t") == "filled"


def test_an_auction_gathers_and_uncrosses(exsim, engine, book):
    engine.set_phase("closing_auction")
    client = FixClient(engine.create_endpoint("fix", protocol="fix44").port)
    client.log_on()
    for name, side, quantity, price in (
        ("m", "buy", 100, None), ("b1", "buy", 200, "10.02"), ("b2", "buy", 300, "10.00"),
        ("s1", "sell", 150, "9.99"), ("s2", "sell", 250, "10.01"),
    ):  # fmt: skip
        (book.buy if side == "buy" else book.sell)(name, quantity, price)
    assert book.get()["trades"] == 0
    engine.set_phase("post_close")
    assert book.get()["last"]["price"] == "10.01"
    assert [exsim.get_order(name)["cumulative"] for name in ("m", "b1", "b2", "s1", "s2")] == [
        "100", "200", "0", "150", "150",
    ]  # fmt: skip
    with pytest.raises(ExsimError) as caught:
        engine.set_phase("trade_at_last")
    assert caught.value.code == "wrong-state"
    client.close()


def test_a_band_refuses_what_is_outside(book):
    book.set_property("reference_price", "10.00")
    book.set_property("static_band", "10%")
    with pytest.raises(ExsimError) as caught:
        book.buy("b", 1, "12.00")
    assert caught.value.more["reason"] == "price-band"


def test_options_of_books_are_in_the_script(exsim, engine):
    engine.create_book("P", symbol="P", matching="pro_rata", post_only="slide", static_band="5%")
    script = exsim.dump_script()
    exsim.reset()
    exsim.run_script(script)
    assert exsim.dump_script() == script


def test_in_a_quote_driven_engine_quotes_alone_rest(exsim):
    book = exsim.create_engine("quotes", "quote_driven").create_book("X", symbol="X")
    book.create_quote("q", bid_price="9.99", bid_quantity=5, offer_price="10.01", offer_quantity=5).submit()
    taken = book.buy("t", 7, "10.01")
    assert (taken["cumulative"], taken["status"], taken["tif"]) == ("5", "canceled", "ioc")
    assert book.get()["bids"][0]["quantity"] == "5"
    with pytest.raises(ExsimError) as caught:
        book.buy("p", 1, "9.00", post_only=True)
    assert caught.value.more["reason"] == "unsupported"
