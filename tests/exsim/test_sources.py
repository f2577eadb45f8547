"""Sources of prices: by hand, from files, at random, from outside; as a reference or as quotes of the house."""

from __future__ import annotations

import gzip
import os
from decimal import Decimal
from pathlib import Path

import pytest
from exsim_venue import ACME, FUTURE, MONDAY_NOON, SECOND, Eye, Stage

from txtrader.errors import InvalidArgument, NotFound, TooLarge
from txtrader.exsim import files
from txtrader.exsim.crowd import Crowd
from txtrader.exsim.errors import AlreadyExists, PluginError, Unsupported, WrongState
from txtrader.exsim.sources import SOURCES, OutsideSource, PriceRow, Source, register_source
from txtrader.model.order import OrderStatus, OrderType
from txtrader.wire.itch import ItchMessage, encode

D = Decimal
SHARED = Path(os.environ.get("TXTRADER_SHARED", Path(__file__).parents[3] / "shared")) / "data"
with_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not here (TXTRADER_SHARED)")


class Desk(Stage):
    """A stage with a crowd, and files that a test writes."""

    def __init__(self, folder=None, **options):
        super().__init__(**options)
        self.crowd = Crowd(self.venue, folder)
        self.eye = Eye()

    def price(self, **row):
        self.crowd.set_price(ACME.id, PriceRow(**{name: D(value) if value else None for name, value in row.items()}))

    def attach(self, name, on=ACME, **properties):
        return self.crowd.attach(on.id, name, properties)

    def reference(self, on=ACME):
        return self.venue.reference(on.id)

    def prints(self):
        return [(str(trade.price), int(trade.size)) for trade in self.eye.of("print")]


# -- by hand


def test_a_price_by_hand_is_quoted_traded_with_and_worth_its_middle():
    desk = Desk()
    desk.price(bid="99.98", offer="100.02")
    assert desk.book() == ([("99.98", 100, 1)], [("100.02", 100, 1)])
    assert desk.reference() == D("100.00")
    order = desk.buy(30, "101.00")
    assert (order.status, order.average_price) == (OrderStatus.FILLED, D("100.02"))
    assert desk.book()[1] == [("100.02", 70, 1)]
    desk.price(offer="100.02", offer_size="50")
    assert desk.book()[1] == [("100.02", 50, 1)]
    desk.price(bid=None)
    assert desk.book() == ([], [("100.02", 50, 1)])
    desk.crowd.detach(ACME.id)
    assert desk.book() == ([], [])
    assert desk.reference() == desk.venue.path_ticks(ACME.id, desk.now()) * ACME.tick


def test_a_quote_that_stays_keeps_its_place_and_one_that_reaches_a_client_trades():
    desk = Desk()
    desk.price(bid="99.98", offer="100.02")
    behind = desk.buy(10, "99.98")
    desk.price(offer="100.05")
    assert desk.venue.queue_position(behind.id) == (100, 1)
    early = desk.sell(40, "100.00", account="A1")
    desk.price(bid="100.01", bid_size="60")
    assert (early.status, early.average_price) == (OrderStatus.FILLED, D("100.00"))
    assert desk.book()[0] == [("100.01", 20, 1), ("99.98", 10, 1)]
    market = desk.venue._floor.market(ACME.id)
    assert market.house_lots == 40 and desk.venue.holdings("A1")[0].quantity == -40


def test_a_last_price_by_hand_is_a_trade_of_others_that_elects_stops():
    desk = Desk()
    desk.trade_at("100.00")
    stop = desk.buy(5, type=OrderType.STOP, stop_price=D("101.00"))
    desk.venue.watch(ACME.id, desk.eye)
    before = desk.venue.stats(ACME.id)
    desk.price(last="101.00", last_size="7")
    assert stop.end is not None and stop.was_elected, "there was nothing to buy"
    assert desk.prints() == [("101.00", 7)]
    after = desk.venue.stats(ACME.id)
    assert (after.last, after.volume - before.volume, after.trades - before.trades) == (D("101.00"), 7, 1)
    assert desk.reference() == D("101.00")
    desk.price(reference="55.555")
    assert desk.reference() == D("55.56") and desk.venue.stats(ACME.id).last == D("101.00")


def test_a_price_that_there_cannot_be_is_refused_and_changes_nothing():
    desk = Desk()
    desk.price(bid="99.98", offer="100.02")
    for path, row in (
        ("bid", {"bid": D("100.02")}),
        ("bid", {"offer": D("99.98")}),
        ("bid", {"bid": D("99.985")}),
        ("offer", {"offer": D("-1")}),
        ("last", {"last": D(0)}),
        ("reference", {"reference": D("NaN")}),
    ):
        with pytest.raises(InvalidArgument) as caught:
            desk.crowd.set_price(ACME.id, PriceRow(**row))
        assert caught.value.path == path
    assert desk.book() == ([("99.98", 100, 1)], [("100.02", 100, 1)])
    with pytest.raises(NotFound):
        desk.crowd.set_price(4711, PriceRow())


def test_the_house_follows_a_reference_and_leaves_for_quotes():
    desk = Desk(has_house=True, activity="none")
    desk.venue.top(ACME.id)
    desk.price(reference="150.00")
    top = desk.venue.top(ACME.id)
    assert D("149.90") < top.bid < D("150.00") < top.ask < D("150.10")
    assert desk.venue.depth(ACME.id)[0][9].price < top.bid
    desk.price(bid="149.50", offer="150.50")
    assert desk.book() == ([("149.50", 100, 1)], [("150.50", 100, 1)])
    desk.crowd.detach(ACME.id)
    assert len(desk.venue.depth(ACME.id)[0]) == 10, "it is back"
    assert desk.venue.top(ACME.id).bid != D("149.50")


def test_a_busy_house_stops_and_comes_back():
    desk = Desk(has_house=True, activity="fast")
    desk.venue.watch(ACME.id, desk.eye)
    for _ in range(200):
        desk.clock.advance(0.02)
    desk.price(bid="149.50", offer="150.50")
    desk.venue.set_activity(40)
    for _ in range(200):
        desk.clock.advance(0.02)
    assert desk.book() == ([("149.50", 100, 1)], [("150.50", 100, 1)])
    desk.crowd.detach(ACME.id)
    before = desk.venue.tape.count
    for _ in range(200):
        desk.clock.advance(0.02)
    assert desk.venue.tape.count > before + 200
    desk.venue.stop()
    assert desk.clock.getDelayedCalls() == []


def test_a_steered_listing_moves_its_future_not_its_past():
    desk = Desk()
    past = desk.venue._floor.source(ACME).price_at(MONDAY_NOON - SECOND)
    desk.clock.advance(5)
    desk.price(reference="200.00")
    source = desk.venue._floor.source(ACME)
    assert source.price_at(desk.now()) == 20000
    assert source.price_at(MONDAY_NOON - SECOND) == past
    assert desk.venue.mark(ACME.id) != D("200.00"), "an awake market is worth what it traded at"


# -- files


def write(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    return name


def test_bars_are_walked_by_the_nearer_extreme_first(tmp_path):
    name = write(tmp_path, "bars.csv", "time,open,high,low,close\n0,100,103,99,101\n60,101,102,97,98\n")
    desk = Desk(tmp_path)
    status = desk.attach("bars", file=name)
    assert (status["available"], status["done"], status["is_running"]) == (8, 0, False)
    seen = []
    desk.crowd.start_source(ACME.id)
    desk.clock.advance(0)
    for _ in range(8):
        seen.append(str(desk.reference()))
        desk.clock.advance(15)
    assert seen == ["100.00", "99.00", "103.00", "101.00", "101.00", "102.00", "97.00", "98.00"]
    assert desk.book() == ([], []), "a reference is no quote"
    assert desk.crowd.feed(ACME.id).status()["is_over"]


def test_bars_can_be_walked_in_small_steps_quoted_and_printed(tmp_path):
    name = write(tmp_path, "b.csv", "Open;High;Low;Close\n50;51.5;49;50.5\n")
    desk = Desk(tmp_path)
    desk.venue.watch(ACME.id, desk.eye)
    columns = {f"{name}_column": name.title() for name in ("open", "high", "low", "close")}
    status = desk.attach(
        "bars", file=name, delimiter=";", time_column="", interval=10, points=2, mode="maker", size=5, scale=2,
        prints=True, half_spread=3, **columns,
    )  # fmt: skip
    assert status["available"] == 7
    assert desk.crowd.step_source(ACME.id, 3) == 3
    assert desk.book() == ([("97.97", 5, 1)], [("98.03", 5, 1)])
    assert desk.crowd.step_source(ACME.id, 100) == 4
    assert desk.prints() == [
        ("100.00", 5), ("99.00", 5), ("98.00", 5), ("100.50", 5), ("103.00", 5), ("102.00", 5), ("101.00", 5),
    ]  # fmt: skip
    assert desk.crowd.feed(ACME.id).status()["is_over"]


def test_quotes_are_played_at_their_pace_faster_or_at_once(tmp_path):
    lines = "".join(f"{34200 + n}.25,{100 + n}.00,{10 + n},{100 + n}.05,{20 + n}\n" for n in range(1000))
    name = write(tmp_path, "quotes.csv", "t,b,bs,a,as\n" + lines)
    mapping = {"time_column": "t", "bid_column": "b", "bid_size_column": "bs", "offer_column": "a",
               "offer_size_column": "as"}  # fmt: skip
    desk = Desk(tmp_path)
    assert desk.attach("quotes", file=name, mode="maker", **mapping)["available"] == 1000
    desk.crowd.start_source(ACME.id)
    desk.clock.advance(0)
    assert desk.book() == ([("100.00", 10, 1)], [("100.05", 20, 1)])
    desk.clock.advance(2.5)
    assert desk.book()[0] == [("102.00", 12, 1)]
    desk.crowd.set_source_property(ACME.id, "speed", "10")
    desk.clock.advance(1)
    assert desk.book()[0] == [("108.00", 18, 1)], "half a second had passed at the old speed"
    assert desk.crowd.stop_source(ACME.id) == 9
    desk.clock.advance(100)
    assert desk.book()[0] == [("108.00", 18, 1)]
    desk.crowd.set_source_property(ACME.id, "speed", 0)
    desk.crowd.start_source(ACME.id)
    desk.clock.advance(0)
    assert desk.book()[0] == [("1099.00", 1009, 1)]
    assert desk.crowd.feed(ACME.id).status()["is_over"] and not desk.crowd.feed(ACME.id).is_running


def test_empty_sides_and_crossed_rows_quote_nothing_there(tmp_path):
    name = write(tmp_path, "q.csv", "time,bid,offer\n0,100.00,\n1,100.00,100.00\n2,100.004,100.013\n")
    desk = Desk(tmp_path)
    desk.attach("quotes", file=name, mode="maker")
    desk.crowd.step_source(ACME.id)
    assert desk.book() == ([("100.00", 100, 1)], [])
    desk.crowd.step_source(ACME.id)
    assert desk.book() == ([], []) and desk.crowd.feed(ACME.id).status()["crossed"] == 1
    assert desk.venue.stats(ACME.id).trades == 0, "the house does not trade with itself"
    desk.crowd.step_source(ACME.id)
    assert desk.book() == ([("100.00", 100, 1)], [("100.02", 100, 1)]), "rounded away from the market"


def test_trades_move_the_reference_and_are_printed_in_the_mode_maker(tmp_path):
    name = write(tmp_path, "trades.csv", "2026-01-05T12:00:00,100.10,5\n2026-01-05T12:00:01,100.20,\n")
    mapping = {"has_header": False, "time_column": "1", "price_column": "2", "size_column": "3", "time_format": "iso"}
    for mode, prints in (("reference", []), ("maker", [("100.10", 5), ("100.20", 9)])):
        desk = Desk(tmp_path)
        desk.venue.watch(ACME.id, desk.eye)
        desk.attach("trades", file=name, mode=mode, size=9, **mapping)
        desk.crowd.step_source(ACME.id, 2)
        assert desk.reference() == D("100.20")
        assert desk.prints() == prints and desk.book() == ([], [])


def test_files_that_are_not_what_they_should_be_are_refused(tmp_path, monkeypatch):
    write(tmp_path, "empty.csv", "")
    write(tmp_path, "bad.csv", "time,bid,offer\n0,dear,100\n")
    write(tmp_path, "short.csv", "time,bid,offer\n0,99\n")
    write(tmp_path, "late.csv", "time,bid,offer\nsoon,99,100\n")
    write(tmp_path, "bars.csv", "time,open,high,low,close\n0,100,99,98,99\n")
    (tmp_path / "latin.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"time,bid,offer\n" * 100)[:-12])
    (tmp_path / "no.csv.gz").write_bytes(b"plain")
    desk = Desk(tmp_path)
    for source, given, path in (
        ("quotes", {"file": "empty.csv"}, "time_column"),
        ("quotes", {"file": "bad.csv"}, "file"),
        ("quotes", {"file": "bad.csv", "offer_column": "ask"}, "offer_column"),
        ("quotes", {"file": "bad.csv", "time_column": ""}, "interval"),
        ("quotes", {"file": "bad.csv", "delimiter": "::"}, "delimiter"),
        ("quotes", {"file": "short.csv"}, "file"),
        ("quotes", {"file": "late.csv"}, "file"),
        ("quotes", {"file": "latin.csv"}, "file"),
        ("quotes", {"file": "cut.csv.gz"}, "file"),
        ("bars", {"file": "bars.csv"}, "file"),
        ("lobster", {"file": "bars.csv", "book_file": "bad.csv"}, "file"),
        ("lobster", {"file": "bars.csv", "book_file": "empty.csv"}, "book_file"),
        ("itch", {"file": "bars.csv"}, "file"),
        ("walk", {"colour": "red"}, "colour"),
    ):
        with pytest.raises(InvalidArgument) as caught:
            desk.attach(source, **given)
        assert caught.value.path == path, (source, given)
    with pytest.raises(NotFound):
        desk.attach("quotes", file="no.csv.gz")
    with pytest.raises(NotFound):
        desk.attach("no such class")
    with pytest.raises(Unsupported):
        Desk().attach("quotes", file="bad.csv")
    monkeypatch.setattr(files, "MOST_BYTES", 10)
    with pytest.raises(TooLarge):
        desk.attach("quotes", file="bad.csv")
    assert desk.crowd.feed(ACME.id).source is None


def test_a_bad_row_in_the_middle_stops_the_source_and_nothing_else(tmp_path, expected_failures):
    expected_failures.append("The source quotes failed")
    name = write(tmp_path, "q.csv", "time,bid,offer\n0,99.00,101.00\n1,99.10,101.00\n2,rubbish,101.00\n")
    desk = Desk(tmp_path)
    desk.attach("quotes", file=name, mode="maker")
    desk.crowd.start_source(ACME.id)
    for _ in range(4):
        desk.clock.advance(1)
    feed = desk.crowd.feed(ACME.id)
    assert not feed.is_running and "line 4" in feed.fault
    assert desk.venue.tape.of_kind("source_fault")[0][3:5] == (ACME.id, "quotes")
    assert desk.book()[0] == [("99.10", 100, 1)]
    assert desk.buy(1, "101.00").status is OrderStatus.FILLED


@with_data
def test_years_of_an_index_are_walked_bar_by_bar():
    desk = Desk(SHARED / "ohlc")
    status = desk.attach(
        "bars", FUTURE, file="sp500.csv.gz", time_column="Date", time_format="%m/%d/%Y", interval="0.01",
        open_column="Open", high_column="High", low_column="Low", close_column="Close", speed=0,
    )  # fmt: skip
    assert status["available"] == 4 * 5031
    assert desk.crowd.step_source(FUTURE.id, 4 * 5031) == 4 * 5031
    assert desk.reference(FUTURE) == D("2506.75"), "the last close, 2506.85, on ticks of a quarter"


@with_data
def test_a_lobster_file_quotes_its_best_levels_and_prints_its_trades():
    folder = SHARED / "lobster" / "aapl_10"
    messages, book = (next(folder.glob(f"{name}_*.csv")).name for name in ("message", "orderbook"))
    desk = Desk(folder)
    desk.venue.watch(ACME.id, desk.eye)
    assert desk.attach("lobster", file=messages, book_file=book, mode="maker", speed=0)["available"] == 999
    rows = (folder / book).read_text().splitlines()
    for line in rows:
        assert desk.crowd.step_source(ACME.id) == 1
        ask, ask_size, bid, bid_size = (int(word) for word in line.split(",")[:4])
        top = desk.venue.top(ACME.id)
        assert (top.bid * 10000, top.bid_size, top.ask * 10000, top.ask_size) == (bid, bid_size, ask, ask_size)
    kinds = [line.split(",")[1] for line in (folder / messages).read_text().splitlines()]
    assert len(desk.prints()) == kinds.count("4") + kinds.count("5") > 98


def test_an_itch_file_gives_its_best_prices_and_prints(tmp_path):
    messages = [
        ("R", {"stock": "IBM", "market": "Q", "status": "N", "lot": 100, "lots_only": "N", "classification": "C",
               "sub_type": "Z", "authenticity": "P", "short": "N", "ipo": "N", "luld": "1", "etp": "N", "leverage": 0,
               "inverse": "N"}),
        ("A", {"reference": 1, "side": "B", "shares": 10, "stock": "IBM", "price": 990000}),
        ("A", {"reference": 2, "side": "B", "shares": 20, "stock": "IBM", "price": 995000}),
        ("F", {"reference": 3, "side": "S", "shares": 30, "stock": "IBM", "price": 1000000, "participant": "ABCD"}),
        ("E", {"reference": 2, "shares": 5, "match": 1}),
        ("X", {"reference": 2, "shares": 5}),
        ("U", {"reference": 2, "new_reference": 4, "shares": 7, "price": 996000}),
        ("C", {"reference": 4, "shares": 3, "match": 2, "printable": "N", "price": 996000}),
        ("P", {"reference": 0, "side": "B", "shares": 8, "stock": "IBM", "price": 998000, "match": 3}),
        ("D", {"reference": 99}),
        ("D", {"reference": 4}),
        ("D", {"reference": 3}),
    ]  # fmt: skip
    packed = [encode(ItchMessage(kind, 7, 0, n * SECOND, fields)) for n, (kind, fields) in enumerate(messages)]
    (tmp_path / "day").write_bytes(b"".join(len(data).to_bytes(2, "big") + data for data in packed))
    desk = Desk(tmp_path)
    desk.venue.watch(ACME.id, desk.eye)
    assert desk.attach("itch", file="day", stock="IBM", mode="maker")["available"] == 11
    tops = []
    while desk.crowd.step_source(ACME.id):
        tops.append((*desk.book()[0], *desk.book()[1]))
    bid, better, offer = ("99.00", 10, 1), ("99.50", 20, 1), ("100.00", 30, 1)
    assert tops == [
        (bid,), (better,), (better, offer), (("99.50", 15, 1), offer), (("99.50", 10, 1), offer), (bid, offer),
        (("99.60", 7, 1), offer), (("99.60", 4, 1), offer), (("99.60", 4, 1), offer), (bid, offer), (bid,),
    ]  # fmt: skip
    assert desk.prints() == [("99.50", 5), ("99.80", 8)], "what is not printable is no print"


@with_data
def test_a_crossed_itch_file_gives_a_reference_and_prints():
    desk = Desk(SHARED / "itch")
    desk.venue.watch(ACME.id, desk.eye)
    name = "ex20101224.TEST_ITCH_50.gz"
    with pytest.raises(InvalidArgument, match="no stock"):
        desk.attach("itch", file=name, stock="IBM")
    status = desk.attach("itch", file=name, stock="BOB", mode="maker", speed=0)
    desk.crowd.start_source(ACME.id)
    desk.clock.advance(0)
    feed = desk.crowd.feed(ACME.id)
    assert feed.status()["done"] == status["available"] > 1000
    assert feed.crossed > 1000 and feed.fault == "" and len(desk.prints()) > 1000


# -- made, and from outside


def test_a_walk_is_seeded_and_stays_near_its_start_when_it_is_pulled():
    def walk(**more):
        desk = Desk()
        desk.attach("walk", start="100.00", volatility=5, mode="maker", half_spread=2, **more)
        seen = []
        for _ in range(300):
            desk.crowd.step_source(ACME.id)
            seen.append(desk.reference())
            assert desk.venue.top(ACME.id).ask - desk.venue.top(ACME.id).bid == D("0.04")
        return seen

    free, again, pulled = walk(), walk(), walk(pull="0.2")
    assert free == again and free != pulled and free[0] == D("100.00")
    assert max(abs(price - 100) for price in pulled) < D("0.6") < max(abs(price - 100) for price in free)


def test_a_walk_never_falls_to_zero():
    desk = Desk()
    desk.attach("walk", start="0.10", volatility=50, mode="maker")
    for _ in range(200):
        desk.crowd.step_source(ACME.id)
        assert desk.venue.top(ACME.id).bid >= D("0.01")


def test_the_path_can_be_followed_and_run_ahead_of():
    desk = Desk()
    desk.attach("path", interval="60", speed=60)
    desk.crowd.start_source(ACME.id)
    desk.clock.advance(0)
    for minute in range(1, 5):
        desk.clock.advance(1)
        ahead = desk.venue.path_ticks(ACME.id, MONDAY_NOON + minute * 60 * SECOND)
        assert desk.reference() == ahead * ACME.tick


class Wire(OutsideSource):
    """Takes what a test puts in."""

    opened: list[Wire] = []

    def open(self):
        if self.listing.id == FUTURE.id:
            raise ConnectionError("nobody there")
        self.opened.append(self)

    def shut(self):
        self.opened.remove(self)


def test_an_outside_source_is_pushed_while_it_runs(expected_failures):
    expected_failures.append("The source wire failed")
    register_source("wire", Wire)
    with pytest.raises(AlreadyExists):
        register_source("wire", SOURCES.get("walk"))
    with pytest.raises(Unsupported):
        register_source("nonsense", PriceRow)
    desk = Desk()
    assert desk.attach("wire", mode="maker")["available"] is None
    desk.crowd.start_source(ACME.id)
    (wire,) = Wire.opened
    wire.push(PriceRow(bid=D("10.00"), offer=D("10.10"), last=D("10.05")))
    assert desk.book() == ([("10.00", 100, 1)], [("10.10", 100, 1)])
    assert desk.crowd.stop_source(ACME.id) == 1 and Wire.opened == []
    wire.push(PriceRow(bid=D("11.00"), offer=D("11.10")))
    assert desk.book()[0] == [("10.00", 100, 1)], "what comes after the stop is dropped"
    assert desk.reference() == D("10.05")
    desk.crowd.start_source(ACME.id)
    desk.crowd.stop()
    assert Wire.opened == []
    desk.attach("wire", FUTURE)
    with pytest.raises(PluginError, match="nobody there"):
        desk.crowd.start_source(FUTURE.id)
    assert not desk.crowd.feed(FUTURE.id).is_running


class Rude(Source):
    """Fails where it is made."""

    def check(self):
        raise KeyError("oops")


def test_what_is_not_attached_cannot_be_started_and_plugins_fail_by_themselves():
    desk = Desk()
    for call in (desk.crowd.start_source, desk.crowd.step_source, desk.crowd.stop_source):
        with pytest.raises(WrongState):
            call(ACME.id)
    register_source("rude", Rude)
    desk.attach("walk")
    with pytest.raises(PluginError, match="oops"):
        desk.attach("rude")
    assert desk.crowd.feed(ACME.id).name == "walk", "the one that was there stays"
    with pytest.raises(WrongState):
        desk.crowd.set_source_property(ACME.id, "mode", "maker")
    with pytest.raises(InvalidArgument):
        desk.crowd.step_source(ACME.id, -1)
