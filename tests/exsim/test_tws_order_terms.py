"""What a TWS client may ask of an order beyond its price: hidden, least quantities, pegs, market-to-limit."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tws_memory_client import IBM, MemoryClient, World, codes, named, statuses

from txtrader.exsim.endpoints.tws import TwsOptions
from txtrader.exsim.records import Changes, Terms
from txtrader.model.order import OrderStatus, OrderType, Side, TimeInForce

D = Decimal
ALL_VERSIONS = [version for version in range(151, 201) if version != 158]  # 158 is never agreed upon


@pytest.fixture
def world() -> Iterator[World]:
    """A market of 299.00 to 301.00 without a house, so that nobody else moves it."""
    made = World(TwsOptions(max_version=200), has_house=False)
    made.trade_against(Side.BUY, 1000, "299.00")
    made.trade_against(Side.SELL, 1000, "301.00")
    yield made
    made.close()


@pytest.fixture
def client(world: World) -> MemoryClient:
    made = world.connect()
    made.take()
    return made


def opened(client: MemoryClient) -> list[Any]:
    return named(client.ask("reqOpenOrders"), "openOrder")


def only_order(world: World) -> Any:
    (order,) = [order for order in world.venue.live_orders() if order.owner != "stranger"]
    return order


def text_of(messages: list[Any]) -> str:
    (error,) = named(messages, "error")
    return str(error["errorString"])


# -- pegs


@pytest.mark.parametrize(
    ("word", "offset", "buy", "sell"),
    [
        ("REL", "0", "299.00", "301.00"),
        ("REL", "0.10", "299.10", "300.90"),
        ("PEG MKT", "0.25", "300.75", "299.25"),
        ("PEGMKT", "1", "300", "300"),
        ("PEG MID", "0", "300.00", "300.00"),
        ("PEGMID", "0.05", "299.95", "300.05"),
    ],
)
@pytest.mark.parametrize("action", ["BUY", "SELL"])
def test_an_offset_counts_as_tws_has_it(
    world: World, client: MemoryClient, word: str, offset: str, buy: str, sell: str, action: str
) -> None:
    got = client.place(1, orderType=word, action=action, auxPrice=D(offset), lmtPrice=None)
    assert statuses(got)[-1] == (1, "Submitted")
    assert only_order(world).limit_price == D(buy if action == "BUY" else sell)
    (shown,) = opened(client)
    assert (shown["orderType"], shown["auxPrice"], shown["lmtPrice"]) == (word, D(offset), D(0))


def test_a_peg_without_an_offset_has_none(world: World, client: MemoryClient) -> None:
    client.place(1, orderType="REL", auxPrice=None, lmtPrice=D(0))
    assert only_order(world).limit_price == D("299.00")


def test_the_limit_price_is_the_cap(world: World, client: MemoryClient) -> None:
    client.place(1, orderType="PEG MID", lmtPrice=D("299.50"))
    assert only_order(world).limit_price == D("299.50")
    (shown,) = opened(client)
    assert shown["lmtPrice"] == D("299.50")


def test_a_mid_peg_trades_with_the_limit_order_of_another_client(world: World, client: MemoryClient) -> None:
    client.place(1, orderType="PEG MID", lmtPrice=None)
    other = world.connect(2)
    got = other.place(1, action="SELL", lmtPrice=D("300.00"), totalQuantity=D(40))
    assert statuses(got)[-1] == (1, "Filled")
    (execution,) = named(got, "execDetails")
    assert (execution["price"], execution["shares"]) == (D("300"), D(40))
    mine = client.take()
    assert [m["price"] for m in named(mine, "execDetails")] == [D("300")]
    assert named(mine, "orderStatus")[-1]["remaining"] == D(60)
    assert named(mine, "openOrder")[-1]["orderType"] == "PEG MID"


def test_a_peg_follows_the_market(world: World, client: MemoryClient) -> None:
    client.place(1, orderType="REL", auxPrice=D("0.01"), lmtPrice=None)
    world.trade_against(Side.BUY, 10, "299.40")
    assert only_order(world).limit_price == D("299.41")


def test_a_change_of_the_offset_moves_the_order_and_one_of_the_cap_as_well(world: World, client: MemoryClient) -> None:
    client.place(1, orderType="REL", auxPrice=D("0.10"), lmtPrice=D("299.50"))
    got = client.place(1, orderType="REL", auxPrice=D("0.20"), lmtPrice=D("299.50"))
    assert codes(got) == []
    assert (named(got, "openOrder")[-1]["auxPrice"], only_order(world).limit_price) == (D("0.20"), D("299.20"))
    client.place(1, orderType="REL", auxPrice=D("0.20"), lmtPrice=D("299.15"))
    assert only_order(world).limit_price == D("299.15")
    assert codes(client.place(1, orderType="REL", auxPrice=D("0.20"), lmtPrice=D(0))) == [(1, 105)]
    assert only_order(world).limit_price == D("299.15")
    (shown,) = opened(client)
    assert (shown["auxPrice"], shown["lmtPrice"]) == (D("0.20"), D("299.15"))


def test_an_offset_off_the_tick_is_110_and_says_so(client: MemoryClient) -> None:
    got = client.place(1, orderType="REL", auxPrice=D("0.005"), lmtPrice=None)
    assert codes(got) == [(1, 110)]
    assert "offset 0.005" in text_of(got)


@pytest.mark.parametrize("offset", [D("1E+30"), D("-1E+30"), D("1E-30")])
def test_an_absurd_offset_is_refused_like_any_bad_one(client: MemoryClient, offset: Decimal) -> None:
    assert codes(client.place(1, orderType="REL", auxPrice=offset, lmtPrice=None)) == [(1, 110)]


# -- hidden


def test_a_hidden_order_is_in_nobodys_picture_and_trades(world: World, client: MemoryClient) -> None:
    other = world.connect(2)
    other.send("reqMktData", reqId=5, **IBM)
    other.send("reqMktDepth", reqId=6, **IBM, numRows=5, isSmartDepth=False)
    other.take()
    client.place(1, hidden=True, lmtPrice=D("300.00"))
    assert other.take() == []
    assert world.venue.top(8314).bid == D("299.00")
    got = other.place(1, action="SELL", lmtPrice=D("300.00"), totalQuantity=D(10))
    assert statuses(got)[-1] == (1, "Filled")
    (shown,) = opened(client)
    assert shown["hidden"] is True


def test_a_change_hides_an_order_and_shows_it_again(world: World, client: MemoryClient) -> None:
    client.place(1, lmtPrice=D("300.00"))
    assert world.venue.top(8314).bid == D("300.00")
    assert codes(client.place(1, lmtPrice=D("300.00"), hidden=True)) == []
    assert world.venue.top(8314).bid == D("299.00")
    client.place(1, lmtPrice=D("300.00"))
    assert world.venue.top(8314).bid == D("300.00")
    assert opened(client)[0]["hidden"] is False


# -- least quantities


def test_an_all_or_none_order_waits_for_all(world: World, client: MemoryClient) -> None:
    client.place(1, allOrNone=True, lmtPrice=D("300.00"))
    world.trade_against(Side.SELL, 99, "300.00")
    assert named(client.take(), "execDetails") == []
    (shown,) = opened(client)
    assert shown["allOrNone"] is True
    world.trade_against(Side.SELL, 100, "300.00")
    assert statuses(client.take())[-1] == (1, "Filled")


def test_a_least_quantity_is_kept_to(world: World, client: MemoryClient) -> None:
    client.place(1, minQty=50, lmtPrice=D("300.00"))
    small = world.trade_against(Side.SELL, 49, "300.00")
    world.venue.cancel("stranger", small.id)
    assert named(client.take(), "execDetails") == []
    world.trade_against(Side.SELL, 60, "300.00")
    assert [m["shares"] for m in named(client.take(), "execDetails")] == [D(60)]
    assert opened(client)[0]["minQty"] == 50


def test_least_quantities_change_and_go(world: World, client: MemoryClient) -> None:
    client.place(1, minQty=50, lmtPrice=D("300.00"))
    assert codes(client.place(1, minQty=10, lmtPrice=D("300.00"))) == []
    assert only_order(world).terms.min_quantity == 10
    assert codes(client.place(1, minQty=10, allOrNone=True, lmtPrice=D("300.00"))) == []
    assert only_order(world).terms.all_or_none is True
    assert codes(client.place(1, minQty=10, lmtPrice=D("300.00"))) == []
    assert only_order(world).terms.all_or_none is False
    assert codes(client.place(1, lmtPrice=D("300.00"))) == []
    assert only_order(world).terms.min_quantity is None
    assert opened(client)[0]["minQty"] is None


def test_a_least_quantity_of_nothing_is_none(world: World, client: MemoryClient) -> None:
    client.place(1, minQty=0)
    assert only_order(world).terms.min_quantity is None
    assert codes(client.place(2, minQty=101)) == [(2, 201)]
    assert codes(client.place(3, minQty=-1)) == [(3, 201)]


# -- market to limit


def test_market_to_limit_rests_where_it_traded_and_says_so(world: World, client: MemoryClient) -> None:
    world.trade_against(Side.SELL, 30, "300.50")
    got = client.place(1, orderType="MTL", lmtPrice=None)
    assert [(m["price"], m["shares"]) for m in named(got, "execDetails")] == [(D("300.5"), D(30))]
    assert statuses(got)[-1] == (1, "Submitted")
    top = world.venue.top(8314)
    assert (top.bid, top.bid_size) == (D("300.50"), D(70))
    (shown,) = opened(client)
    assert (shown["orderType"], shown["lmtPrice"], shown["totalQuantity"]) == ("MTL", D("300.5"), D(100))
    place = only_order(world).place
    for again in (D("300.5"), D(0), None):
        assert codes(client.place(1, orderType="MTL", lmtPrice=again)) == []
        assert (only_order(world).place, only_order(world).limit_price) == (place, D("300.5")), "it keeps its place"
    client.place(1, orderType="MTL", lmtPrice=D("300.25"))
    assert only_order(world).limit_price == D("300.25")
    assert opened(client)[0]["lmtPrice"] == D("300.25")
    assert codes(client.place(1, lmtPrice=D("300.10"))) == [], "a limit order is what it has become"
    (shown,) = opened(client)
    assert (shown["orderType"], shown["lmtPrice"]) == ("LMT", D("300.1"))
    assert codes(client.place(1, orderType="MTL", lmtPrice=D("300.10"), totalQuantity=D(90))) == []
    assert opened(client)[0]["orderType"] == "MTL"


def test_market_to_limit_takes_no_notice_of_a_limit_at_entry_as_market_orders_do(
    world: World, client: MemoryClient
) -> None:
    world.trade_against(Side.SELL, 30, "300.50")
    client.place(1, orderType="MTL", lmtPrice=D(5))
    assert only_order(world).limit_price == D("300.50")
    assert codes(client.place(1, orderType="MTL", lmtPrice=D(5), totalQuantity=D(80))) == []
    assert (only_order(world).limit_price, only_order(world).quantity) == (D("300.50"), 80)


def test_market_to_limit_with_nobody_there_is_refused_in_the_venues_words(client: MemoryClient, world: World) -> None:
    world.venue.mass_cancel(account="DU1000002")
    got = client.place(1, orderType="MTL", lmtPrice=None)
    assert codes(got) == [(1, 201)]
    assert statuses(got) == [(1, "Inactive")]
    assert text_of(got).startswith("Order rejected - reason:")


# -- refusals


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"orderType": "PEG BEST"}, "PEG BEST orders"),
        ({"orderType": "PEG BENCH"}, "PEG BENCH orders"),
        ({"orderType": "PEGBENCH"}, "PEGBENCH orders"),
        ({"orderType": "SNAP MID"}, "SNAP MID orders"),
        ({"orderType": "MIDPRICE"}, "MIDPRICE orders"),
        ({"orderType": "REL", "percentOffset": D("0.5")}, "Percent offsets"),
        ({"orderType": "PEG MID", "midOffsetAtWhole": D(0)}, "middle at a whole tick"),
        ({"orderType": "PEG MID", "midOffsetAtHalf": D("0.005")}, "middle at half a tick"),
        ({"discretionaryAmt": D("0.05")}, "Discretionary amounts"),
        ({"imbalanceOnly": True}, "Imbalance-only orders"),
    ],
)
def test_what_the_venue_does_not_have_is_refused_by_its_name(world: World, fields: dict[str, Any], word: str) -> None:
    client = world.connect(1, 200)
    got = client.place(1, **fields)
    assert codes(got)[-1:] == [(1, 201)]
    assert word in named(got, "error")[-1]["errorString"]
    assert opened(client) == []


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"hidden": True, "displaySize": 10}, "shows a part"),
        ({"minQty": 10, "displaySize": 10}, "least quantity"),
        ({"orderType": "REL", "tif": "IOC"}, "can be pegged"),
        ({"orderType": "PEG MID", "tif": "OPG"}, "auction"),
    ],
)
def test_what_does_not_go_together_is_refused_in_the_venues_words(
    client: MemoryClient, fields: dict[str, Any], word: str
) -> None:
    got = client.place(1, **fields)
    assert (codes(got), statuses(got)) == ([(1, 201)], [(1, "Inactive")])
    assert word in text_of(got)
    (answer,) = client.place(2, **fields, whatIf=True)
    assert word in answer["warningText"]


@pytest.mark.parametrize(
    ("first", "second", "code", "word"),
    [
        ({}, {"orderType": "REL", "auxPrice": D(0)}, 329, "order type"),
        ({"orderType": "REL"}, {"orderType": "PEG MID"}, 329, "order type"),
        ({"orderType": "REL"}, {}, 329, "order type"),
        ({}, {"account": "DU1000002"}, 105, "account"),
        ({}, {"parentId": 77}, 105, "parentId"),
        ({}, {"ocaGroup": "late"}, 105, "ocaGroup"),
        ({"ocaGroup": "pair"}, {}, 105, "ocaGroup"),
        ({"ocaGroup": "pair", "ocaType": 1}, {"ocaGroup": "pair", "ocaType": 3}, 105, "ocaType"),
        ({}, {"hidden": True, "displaySize": 10}, 201, "shows a part"),
    ],
)
def test_what_cannot_be_changed_is_refused_and_the_order_stands(
    client: MemoryClient, first: dict[str, Any], second: dict[str, Any], code: int, word: str
) -> None:
    client.place(1, **first)
    before = opened(client)
    got = client.place(1, **second)
    assert codes(got) == [(1, code)]
    assert word in text_of(got)
    assert opened(client) == before


def test_the_shown_quantity_changes_and_goes(world: World, client: MemoryClient) -> None:
    client.place(1, lmtPrice=D("300.00"), displaySize=10)
    assert world.venue.top(8314).bid_size == 10
    client.place(1, lmtPrice=D("300.00"), displaySize=20)
    assert world.venue.top(8314).bid_size == 20
    client.place(1, lmtPrice=D("300.00"))
    assert world.venue.top(8314).bid_size == 100
    assert opened(client)[0]["displaySize"] == 0
    client.place(1, lmtPrice=D("300.00"), displaySize=20)
    assert codes(client.place(1, lmtPrice=D("300.00"), hidden=True)) == [], "it shows nothing instead of a part"
    assert world.venue.top(8314).bid == D("299.00")


# -- what is told

ORDERS: list[dict[str, Any]] = [
    {"hidden": True, "minQty": 20},
    {"allOrNone": True},
    {"orderType": "REL", "auxPrice": D("0.05"), "lmtPrice": D("299.50"), "hidden": True},
    {"orderType": "PEG MKT", "auxPrice": D("1.50"), "lmtPrice": D("299.75"), "minQty": 5},
    {"orderType": "PEG MID", "auxPrice": D("0.03"), "lmtPrice": D("299.80"), "allOrNone": True},
]


def told(message: Any) -> dict[str, Any]:
    names = ("orderType", "auxPrice", "lmtPrice", "hidden", "allOrNone", "minQty", "tif", "totalQuantity")
    return {name: message[name] for name in names}


def given(fields: dict[str, Any]) -> dict[str, Any]:
    plain = {"orderType": "LMT", "auxPrice": D(0), "lmtPrice": D(200), "hidden": False, "allOrNone": False}
    return {**plain, "minQty": None, "tif": "DAY", "totalQuantity": D(100), **fields}


@pytest.mark.parametrize("version", ALL_VERSIONS)
def test_an_order_is_told_back_as_it_was_given_at_every_version(world: World, version: int) -> None:
    client = world.connect(1, version)
    for number, fields in enumerate(ORDERS, 1):
        assert told(named(client.place(number, **fields), "openOrder")[-1]) == given(fields)
    assert [told(m) for m in opened(client)] == [given(fields) for fields in ORDERS]
    client.send("reqGlobalCancel")
    client.take()
    done = named(client.ask("reqCompletedOrders", apiOnly=True), "completedOrder")
    assert [told(m) for m in done] == [given(fields) for fields in ORDERS]


@pytest.mark.parametrize("fields", ORDERS)
def test_the_same_order_again_changes_nothing(world: World, client: MemoryClient, fields: dict[str, Any]) -> None:
    client.place(1, **fields)
    before, place = only_order(world).terms, only_order(world).place
    got = client.place(1, **fields)
    assert codes(got) == []
    assert told(named(got, "openOrder")[-1]) == given(fields)
    assert (only_order(world).terms, only_order(world).place) == (before, place)


@pytest.mark.parametrize("fields", ORDERS)
def test_a_what_if_tells_the_terms_back_and_what_the_order_would_cost(
    client: MemoryClient, fields: dict[str, Any]
) -> None:
    (answer,) = client.place(1, **fields, whatIf=True)
    assert told(answer) == given(fields)
    assert answer["initMarginChange"] > 0
    assert answer["warningText"] == ""


def strange(**more: Any) -> Terms:
    """An order of another wire."""
    made = {"listing_id": 8314, "account": "DU1000002", "side": Side.SELL, "quantity": D(100), "type": OrderType.LIMIT}
    return Terms(**{**made, **more})


@pytest.mark.parametrize(
    ("terms", "shown"),
    [
        (
            strange(peg="primary", peg_offset=D("-0.10"), limit_price=D("300.00")),
            {"orderType": "REL", "auxPrice": D("0.10"), "lmtPrice": D("300.00")},
        ),
        (
            strange(peg="market", peg_offset=D("0.20"), hidden=True),
            {"orderType": "PEG MKT", "auxPrice": D("0.20"), "lmtPrice": D(0), "hidden": True},
        ),
        (
            strange(peg="mid", peg_offset=D("0.20"), side=Side.BUY, min_quantity=D(20)),
            {"orderType": "PEG MID", "auxPrice": D("-0.20"), "lmtPrice": D(0), "minQty": 20},
        ),
        (
            strange(all_or_none=True, limit_price=D("302")),
            {"lmtPrice": D("302"), "allOrNone": True},
        ),
    ],
)
def test_orders_of_other_wires_are_told_in_the_words_of_tws(world: World, terms: Terms, shown: dict[str, Any]) -> None:
    order = world.venue.submit("by-fix", terms)
    assert order.status is OrderStatus.NEW
    client = world.connect(3)
    told_of = named(client.ask("reqAllOpenOrders"), "openOrder")
    (mine,) = [told(m) for m in told_of if m["permId"] == order.id + 1_100_000_000]
    assert mine == given(shown)


def test_a_shown_part_and_an_end_are_told_of_orders_of_other_wires(world: World, client: MemoryClient) -> None:
    end = world.now_ns() + 3_600_000_000_000
    terms = strange(limit_price=D("302"), display_quantity=D(10), tif=TimeInForce.GTD, expire_time=end)
    order = world.venue.submit("by-fix", terms)
    told_of = named(client.ask("reqAllOpenOrders"), "openOrder")
    (mine,) = [m for m in told_of if m["permId"] == order.id + 1_100_000_000]
    assert (mine["displaySize"], mine["tif"], mine["goodTillDate"]) == (10, "GTD", "20251126-18:00:00")


def test_what_somebody_else_changes_is_told(world: World, client: MemoryClient) -> None:
    client.place(1, orderType="REL", auxPrice=D("0.10"), lmtPrice=D(0), orderRef="mine")
    order = only_order(world)
    assert world.venue.replace(None, order.id, Changes(peg_offset=D("0.20"), hidden=True)) is None
    (news,) = named(client.take(), "openOrder")
    assert (news["orderType"], news["auxPrice"], news["hidden"]) == ("REL", D("0.20"), True)
    assert (news["orderId"], news["orderRef"]) == (1, "mine")
    by_hand = world.venue.submit("by-fix", strange(limit_price=D("302")))
    client.ask("reqAllOpenOrders")
    assert world.venue.replace("by-fix", by_hand.id, Changes(limit_price=D("303"))) is None
    told_of = named(client.ask("reqAllOpenOrders"), "openOrder")
    assert [m["lmtPrice"] for m in told_of if m["permId"] == by_hand.id + 1_100_000_000] == [D("303")]


def test_client_0_changes_a_bound_order_and_keeps_its_terms(world: World) -> None:
    order = world.venue.submit("by-fix", strange(peg="primary", hidden=True, min_quantity=D(20)))
    zero = world.connect(0)
    zero.send("reqAutoOpenOrders", bAutoBind=True)
    (shown,) = [m for m in named(zero.take(), "openOrder") if m["permId"] == order.id + 1_100_000_000]
    fields = {name: shown[name] for name in ("orderType", "lmtPrice", "auxPrice", "hidden", "minQty", "account")}
    got = zero.place(shown["orderId"], **fields, action="SELL", totalQuantity=D(90))
    assert codes(got) == []
    assert (order.quantity, order.terms.hidden, order.terms.min_quantity) == (90, True, 20)


def test_terms_survive_a_restart_of_the_venue(tmp_path: Path) -> None:
    state = str(tmp_path / "venue.json")
    first = World(state_path=state, has_house=False)
    first.trade_against(Side.BUY, 1000, "299.00")
    first.trade_against(Side.SELL, 1000, "301.00")
    client = first.connect()
    for number, fields in enumerate(ORDERS, 1):
        client.place(number, **fields)
    first.trade_against(Side.SELL, 30, "300.50")
    client.place(9, orderType="MTL", lmtPrice=None)
    before = sorted((m["orderId"], told(m)["lmtPrice"], str(told(m))) for m in opened(client))
    first.close()
    second = World(state_path=state, has_house=False)
    again = second.connect()
    assert sorted((m["orderId"], told(m)["lmtPrice"], str(told(m))) for m in opened(again)) == before
    assert codes(again.place(3, **ORDERS[2])) == []
    second.close()


def test_a_contract_says_which_orders_it_takes(client: MemoryClient) -> None:
    (details,) = named(client.ask("reqContractDetails", reqId=1, **IBM), "contractDetails")
    assert {"MTL", "REL", "PEG MKT", "PEG MID", "HID", "AON"} <= set(details["orderTypes"].split(","))
