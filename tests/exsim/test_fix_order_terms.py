"""What is special about an order, in FIX's words: from the client to the book and back in the reports."""

from __future__ import annotations

from decimal import Decimal

import pytest
from fix_room import of_every_version
from hypothesis import given
from hypothesis import strategies as st

from txtrader.dialects.fix import Unsupported
from txtrader.dialects.fix_terms import OrderTerms, put_terms, terms_of
from txtrader.model.order import OrderType, Side, TimeInForce
from txtrader.wire.fix.message import Message

D = Decimal
SHOWN = {"FIX.4.2": 111, "FIX.4.4": 111, "FIXT.1.1": 1138}


# -- the words


prices = st.decimals(min_value=1, max_value=999, places=2).map(lambda price: price.normalize() + 0)
lots = st.integers(1, 10_000).map(Decimal)
PLAIN = {"side": st.sampled_from([Side.BUY, Side.SELL, Side.SELLSHORT]), "quantity": lots}
LIMITS = st.builds(
    OrderTerms,
    **PLAIN,
    type=st.just(OrderType.LIMIT),
    limit_price=prices,
    min_quantity=st.none() | lots,
    all_or_none=st.booleans(),
    reduce_only=st.booleans(),
    post_only=st.booleans(),
    ends_with_link=st.booleans(),
    hidden=st.booleans(),
    tif=st.sampled_from([TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC]),
)
PEGS = st.builds(
    OrderTerms,
    **PLAIN,
    type=st.just(OrderType.LIMIT),
    limit_price=st.none() | prices,
    peg=st.sampled_from(["primary", "market", "mid"]),
    peg_offset=st.integers(-100, 100).map(lambda cents: cents * D("0.01")),
    display_quantity=st.none() | lots,
)
TRIGGERED = st.one_of(
    st.builds(OrderTerms, **PLAIN, type=st.just(OrderType.STOP), stop_price=prices),
    st.builds(OrderTerms, **PLAIN, type=st.just(OrderType.STOP_LIMIT), stop_price=prices, limit_price=prices),
)


@given(st.one_of(LIMITS, PEGS, TRIGGERED), st.sampled_from(["4.2", "4.4", "5.0"]))
def test_terms_that_are_written_are_read_back(terms: OrderTerms, version: str):
    message = Message("D")
    put_terms(message, terms, version)
    assert terms_of(message) == terms


@given(
    st.one_of(
        st.builds(OrderTerms, **PLAIN, type=st.just(OrderType.MARKET), to_limit=st.just(True)),
        st.builds(OrderTerms, **PLAIN, type=st.just(OrderType.MARKET_IF_TOUCHED), stop_price=prices),
        st.builds(OrderTerms, **PLAIN, type=st.just(OrderType.TRAILING_STOP), trail_amount=prices),
    )
)
def test_terms_that_came_with_later_versions_are_no_words_of_the_first(terms: OrderTerms):
    for version in ("4.4", "5.0"):
        message = Message("D")
        put_terms(message, terms, version)
        assert terms_of(message) == terms
    with pytest.raises(Unsupported):
        put_terms(Message("D"), terms, "4.2")


@given(
    st.builds(OrderTerms, **PLAIN, type=st.just(OrderType.LIMIT_IF_TOUCHED), stop_price=prices, limit_price=prices),
    st.builds(
        OrderTerms,
        **PLAIN,
        type=st.just(OrderType.LIMIT),
        limit_price=prices,
        display_low=lots,
        display_high=lots,
    ),
)
def test_triggers_and_drawn_slices_are_words_of_the_last_version(touched: OrderTerms, drawn: OrderTerms):
    for terms in (touched, drawn):
        message = Message("D")
        put_terms(message, terms, "5.0")
        assert terms_of(message) == terms
    with pytest.raises(Unsupported):
        put_terms(Message("D"), touched, "4.4")


def order(**tags: str) -> Message:
    message = Message("D").add(54, "1").add(38, "100")
    for name, value in {"_40": "2", "_44": "99", **tags}.items():
        message.add(int(name[1:]), value)
    return message


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"_40": "1", "_1109": "U"}, OrderType.STOP),
        ({"_40": "1", "_1109": "D"}, OrderType.MARKET_IF_TOUCHED),
        ({"_40": "2", "_1109": "U"}, OrderType.STOP_LIMIT),
        ({"_40": "2", "_1109": "D"}, OrderType.LIMIT_IF_TOUCHED),
    ],
)
def test_a_buy_with_a_trigger_waits_for_a_rise_or_for_a_fall(fields, kind):
    terms = terms_of(order(_1100="4", _1101="1", _1102="98", _1107="2", **fields))
    assert (terms.type, terms.stop_price) == (kind, 98)


@pytest.mark.parametrize(
    ("fields", "tag"),
    [
        ({"_40": "P"}, 18),
        ({"_40": "P", "_18": "R M"}, 18),
        ({"_40": "P", "_18": "R", "_1094": "2"}, 18),
        ({"_40": "P", "_1094": "9"}, 1094),
        ({"_40": "P", "_18": "R", "_835": "1"}, 835),
        ({"_40": "P", "_18": "R", "_836": "2"}, 836),
        ({"_40": "P", "_18": "R", "_837": "2"}, 837),
        ({"_40": "P", "_18": "R", "_838": "1"}, 838),
        ({"_18": "R"}, 18),
        ({"_18": "G X"}, 18),
        ({"_168": "20260101-00:00:00"}, 168),
        ({"_388": "0", "_389": "0.1"}, 388),
        ({"_423": "1"}, 423),
        ({"_847": "1"}, 847),
        ({"_1084": "2"}, 1084),
        ({"_1084": "3", "_1085": "5"}, 1086),
        ({"_1085": "5", "_1086": "9"}, 1084),
        ({"_1102": "98"}, 1102),
        ({"_1100": "2"}, 1100),
        ({"_1100": "4", "_1101": "3"}, 1101),
        ({"_1100": "4", "_1101": "1", "_1102": "98"}, 1109),
        ({"_40": "3", "_1100": "4", "_1101": "1", "_1102": "98", "_1109": "U"}, 40),
    ],
)
def test_what_is_not_offered_is_refused_by_the_name_of_its_field(fields, tag):
    with pytest.raises(Unsupported) as refused:
        terms_of(order(**fields))
    assert refused.value.tag == tag


# -- on the wire


def quote(room):
    room.trade(Side.BUY, 500, "99.00")
    room.trade(Side.SELL, 500, "101.00")


def live(room):
    (found,) = [order for order in room.do(room.venue.live_orders) if order.owner != "stranger"]
    return found


@of_every_version
def test_a_pegged_order_follows_and_says_each_step(room, version):
    quote(room)
    client = room.client(version)
    peg = {"_1094": "2"} if version == "FIXT.1.1" else {"_18": "M"}
    client.order("A1", 1, 100, "100.20", _40="P", _211="-0.05", **peg)
    accepted = client.next("8")
    assert (accepted[150], accepted[40], accepted[211], accepted[44]) == ("0", "P", "-0.05", "100.2")
    assert [accepted[int(tag[1:])] for tag in peg] == list(peg.values())
    assert live(room).limit_price == D("99.95")
    room.trade(Side.BUY, 10, "99.50")
    moved = client.next("8")
    assert (moved[150], moved[39], moved[378], moved[151]) == ("D", "0", "3", "100")
    assert moved.get(839) == (None if version == "FIX.4.2" else "100.2"), "100.25 less 0.05 is the cap itself"
    client.change("F", "A2", "A1", 1, 100)
    assert client.next("8")[150] == "4"


@of_every_version
def test_a_hidden_order_is_told_as_such_and_comes_to_light_by_a_replace(room, version):
    client = room.client(version)
    shown = SHOWN[version]
    client.order("A1", 1, 100, "99.50", **{f"_{shown}": "0"})
    assert client.next("8")[shown] == "0"
    (ibm,) = room.venue.instruments.find(symbol="IBM", currency="USD")
    assert room.do(room.venue.top, ibm.id).bid is None
    client.send("G", *amended("A2", "A1"), (shown, 40))
    replaced = client.next("8")
    assert (replaced[150], replaced[shown]) == ("5", "40")
    assert room.do(room.venue.top, ibm.id).bid_size == 40
    client.send("G", *amended("A3", "A2"))
    assert client.next("8")[shown] == "40", "what a replace does not name stays"


def amended(key, original, quantity=100, price="99.50"):
    stamp = "20260101-00:00:00"
    return [(11, key), (38, quantity), (41, original), (54, 1), (55, "IBM"), (60, stamp), (21, 1), (40, 2), (44, price)]


@of_every_version
def test_choosy_orders_trade_as_much_as_they_want_or_not(room, version):
    client = room.client(version)
    client.order("A1", 1, 100, "99.50", _110="60")
    assert client.next("8")[110] == "60"
    room.trade(Side.SELL, 50, "99.50")
    room.trade(Side.SELL, 20, "99.60")
    room.do(lambda: room.venue.mass_cancel(owner="stranger"))
    room.trade(Side.SELL, 60, "99.50")
    fill = client.next("8")
    assert (fill[32], fill[14], fill[110]) == ("60", "60", "60")
    client.order("A2", 1, 100, "99.55", _18="G")
    assert client.next("8")[18] == "G"
    room.trade(Side.SELL, 40, "99.55")
    assert (live_named(room, "A2").filled, live_named(room, "A1").filled) == (0, 60)
    client.send("G", *amended("A3", "A2", price="99.55"), (18, "1"))
    replaced = client.next("8")
    assert (replaced[150], replaced.get(18)) == ("5", None), "with 18 a replace says all of it"
    assert client.next("8")[32] == "40"
    client.send("G", *amended("A4", "A1"), (110, 0))
    assert 110 not in client.next("8")


def live_named(room, name):
    (found,) = [order for order in room.do(room.venue.live_orders) if order.client_order_id == name]
    return found


@of_every_version
def test_a_reduce_only_order_opens_nothing(room, version):
    client = room.client(version)
    client.order("A1", 2, 100, "99.50", _18="E")
    refused = client.next("8")
    assert refused[39] in ("4", "8"), refused
    client.order("A2", 1, 50, "99.50")
    assert client.next("8")[39] == "0"
    room.trade(Side.SELL, 50, "99.50")
    assert client.next("8")[39] == "2"
    client.order("A3", 2, 80, "99.70", _18="E")
    cut = client.next("8")
    assert (cut[150], cut[18], cut[38], cut[151]) == ("0", "E", "50", "50"), "it is cut to what it closes"
    client.order("A4", 2, 20, "99.60")
    client.next("8")
    room.trade(Side.BUY, 20, "99.60")
    client.next("8")
    cut = client.next("8")
    assert (cut[150], cut[11], cut[378], cut[151]) == ("D", "A3", "5", "30"), "and again as the position shrinks"


@of_every_version
def test_a_market_to_limit_order_rests_where_it_began_to_trade(room, version):
    quote(room)
    client = room.client(version)
    client.order("A1", 1, 700, _40="K")
    if version == "FIX.4.2":
        assert client.next("3")[371] == "40", "4.2 has no such order type"
        return
    accepted, fill = client.next("8"), client.next("8")
    assert (accepted[40], fill[40], fill[32], fill[31], fill[151]) == ("K", "K", "500", "101", "200")
    order = live(room)
    assert (order.limit_price, order.rests) == (D("101.00"), True)
    client.send("G", *amended("A2", "A1", quantity=700, price="100.50"))
    assert client.next("8")[150] == "5", "what rests is a limit order, and may be priced as one"
    assert live(room).limit_price == D("100.50")
    client.order("A3", 1, 100, "99.00", _40="K")
    assert "44" in client.next("8")[58]


@of_every_version
def test_a_peg_may_be_given_up_for_a_limit_and_taken_again(room, version):
    quote(room)
    client = room.client(version)
    client.order("A1", 1, 100, "99.50", _40="P", _18="R")
    assert client.next("8")[150] == "0"
    client.send("G", *amended("A2", "A1"))
    assert (client.next("8")[40], live(room).limit_price) == ("2", D("99.50"))
    fields = [pair for pair in amended("A3", "A2") if pair[0] != 40]
    client.send("G", *fields, (40, "P"), (18, "R"))
    assert client.next("8")[150] == "5"
    assert live(room).limit_price == D("99.00"), "the own best price, where it is nobody's reference itself"


@of_every_version
def test_a_replace_that_would_change_what_cannot_be_changed_is_refused_by_name(room, version):
    client = room.client(version)
    client.order("A1", 1, 100, "99.50")
    client.next("8")
    for place, fields in enumerate(({18: "6"}, {18: "E"}, {1: "DU9"}, {55: "MSFT"}, {40: "3", 99: "99"}, {54: "2"})):
        pairs = [pair for pair in amended(f"B{place}", "A1") if pair[0] not in fields]
        client.send("G", *pairs, *fields.items())
        refused = client.next("9")
        tag = next(iter(fields))
        assert (refused[434], refused[41], f"(tag {tag})" in refused[58]) == ("2", "A1", True), refused
    assert live(room).client_order_id == "A1"
