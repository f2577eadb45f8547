"""Bots: answers to participants' orders, noise, makers, replays; all of them seeded, conserved and harmless."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from exsim_venue import ACME, A, B, Stage, listing

from txtrader.errors import InvalidArgument, NotFound
from txtrader.exsim.bots import BOTS, Bot, register_bot
from txtrader.exsim.crowd import Crowd
from txtrader.exsim.errors import AlreadyExists, PluginError, Unsupported, WrongState
from txtrader.exsim.properties import Property
from txtrader.exsim.records import Changes, Phase, Reason
from txtrader.exsim.sources import SOURCES
from txtrader.model.order import OrderStatus, OrderType, TimeInForce

D = Decimal
FILLED, CANCELED, REJECTED = OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED
NEW, PARTIAL = OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED
SHARED = Path(os.environ.get("TXTRADER_SHARED", Path(__file__).parents[3] / "shared")) / "data"
with_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not here (TXTRADER_SHARED)")


class Crew(Stage):
    """A stage with a crowd round its venue."""

    def __init__(self, folder=None, **options):
        super().__init__(**options)
        self.crowd = Crowd(self.venue, folder)

    def bot(self, class_name, name="bot", **properties):
        made = self.crowd.create_bot(name, class_name, ACME.id, properties)
        self.crowd.start_bot(name)
        return made

    def run(self, seconds, step=0.05):
        """Let the clock run in small steps, so that each timer has a time of its own."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)

    def market(self):
        return self.venue._floor.market(ACME.id)

    def assert_conserved(self):
        accounts = self.venue._accounts.values()
        market = self.market()
        held = sum(account.position(ACME).quantity for account in accounts)
        assert held + market.size(market.house_lots) == 0
        paid = sum(account.cash.get("USD", 0) + account.commissions for account in accounts)
        assert paid + market.house_flow * ACME.tick * ACME.step == 2 * 10**7


# -- answers


def test_auto_fill_fills_what_comes_at_its_limit():
    crew = Crew()
    bot = crew.bot("auto_fill")
    order = crew.buy(100, "99.50")
    assert (order.status, order.average_price) == (FILLED, D("99.50"))
    assert crew.book() == ([], []) and bot.answered == 1
    assert crew.ear.names() == [
        "order_accepted", "order_filled", "commission_charged", "holding_changed", "account_changed",
    ], "of the bot's side observers hear nothing"  # fmt: skip
    fill = crew.ear.heard[1][2]
    assert fill.liquidity == "removed"
    assert crew.venue.last_print(ACME.id).price == D("99.50")
    crew.assert_conserved()


def test_auto_fill_fills_orders_that_never_rest_and_with_nothing_in_the_book_at_the_reference():
    crew = Crew()
    crew.bot("auto_fill")
    order = crew.sell(7)
    assert (order.status, order.average_price) == (FILLED, crew.venue.reference(ACME.id))
    assert crew.buy(7, "50.00", tif=TimeInForce.FOK).status is FILLED


def test_auto_fill_gives_the_books_price_where_it_is_better():
    crew = Crew()
    crew.sell(10, "99.00")
    crew.bot("auto_fill")
    assert crew.buy(5, "101.00").average_price == D("99.00")
    assert crew.buy(5).average_price == D("99.00")
    crew.crowd.set_bot_property("bot", "at", "limit")
    assert crew.buy(5, "101.00").average_price == D("101.00")
    assert crew.book() == ([], [("99.00", 10, 1)]), "it fills past the book"


def test_auto_fill_after_a_delay_fills_what_is_left_and_nothing_that_has_gone():
    crew = Crew()
    crew.bot("auto_fill", delay="2")
    first = crew.buy(100, "99.50")
    gone = crew.buy(100, "99.60")
    crew.sell(30, "99.60", tif=TimeInForce.IOC)
    crew.venue.cancel("a", gone.id)
    crew.clock.advance(1.9)
    assert first.status is NEW
    crew.venue.replace("a", first.id, Changes(quantity=D(60)))
    crew.clock.advance(0.2)
    assert (first.status, first.filled, gone.filled) == (FILLED, 60, 30)
    assert crew.ear.heard[-4][2].liquidity == "added"
    crew.assert_conserved()


def test_an_order_in_the_middle_of_the_queue_is_the_one_that_is_filled():
    crew = Crew()
    first = crew.buy(10, "99.50")
    crew.bot("auto_fill", delay="1", account=A)
    middle = crew.buy(20, "99.50", display_quantity=D(5))
    crew.buy(30, "99.50", account=B)
    crew.clock.advance(1)
    assert (first.status, middle.status) == (NEW, FILLED)
    assert crew.book()[0] == [("99.50", 40, 2)]


def test_a_stop_is_filled_when_it_is_elected_and_a_held_order_when_it_is_released():
    crew = Crew()
    crew.trade_at("100.00")
    crew.bot("auto_fill")
    stop = crew.buy(5, type=OrderType.STOP, stop_price=D("101.00"))
    held = crew.buy(5, "90.00", is_held=True)
    assert (stop.status, held.status) == (NEW, NEW)
    crew.buy(1, "101.00")
    crew.venue.release(held.id)
    assert (stop.status, stop.average_price, held.status) == (FILLED, crew.venue.reference(ACME.id), FILLED)


def test_a_halted_book_fills_nothing():
    crew = Crew()
    crew.bot("auto_fill", delay="1")
    order = crew.buy(5, "100.00")
    crew.venue.set_phase(ACME.id, Phase.HALT)
    crew.clock.advance(1)
    assert order.status is NEW


def test_auto_partial_fills_a_part_once():
    crew = Crew()
    crew.bot("auto_partial", share="0.3")
    order = crew.buy(100, "99.50")
    assert (order.status, order.filled) == (PARTIAL, 30)
    crew.venue.replace("a", order.id, Changes(limit_price=D("99.40")))
    assert order.filled == 30 and crew.book()[0] == [("99.40", 70, 1)]
    immediate = crew.buy(10, "99.50", tif=TimeInForce.IOC)
    assert (immediate.status, immediate.filled) == (CANCELED, 3)
    whole = crew.buy(10, "99.00", tif=TimeInForce.FOK)
    assert (whole.status, whole.filled) == (CANCELED, 0), "a part of it would break its terms"
    assert crew.buy(1, "99.00").filled == 0
    crew.assert_conserved()


def test_a_part_of_a_resting_order_is_filled_and_the_rest_keeps_its_place():
    crew = Crew()
    crew.bot("auto_partial", share="0.25", delay="1", account=A)
    first = crew.buy(40, "99.50")
    crew.buy(10, "99.50", account=B)
    crew.clock.advance(1)
    assert (first.status, first.filled, crew.book()[0]) == (PARTIAL, 10, [("99.50", 40, 2)])
    crew.sell(30, "99.50", tif=TimeInForce.IOC)
    assert first.status is FILLED
    crew.assert_conserved()


def test_bots_leave_each_other_alone():
    crew = Crew()
    crew.bot("auto_fill", "f1")
    crew.bot("auto_reject", "r1", side="sell")
    crew.bot("echo_trader", "e1", delay="0")
    crew.bot("maker", "m1")
    crew.run(2)
    bids, asks = crew.book()
    assert len(bids) == len(asks) == 1 and crew.market().trades == 0


def test_auto_cancel_and_partial_then_cancel():
    crew = Crew()
    crew.bot("auto_cancel", text="not today", side="buy")
    order = crew.buy(10, "99.00")
    assert (order.status, order.end.reason, order.end.text) == (CANCELED, Reason.VENUE, "not today")
    resting = crew.sell(10, "101.00")
    assert resting.status is NEW
    crew.crowd.delete_bot("bot")
    crew.bot("partial_then_cancel", delay="3")
    order = crew.buy(10, "99.00")
    assert order.filled == 5
    crew.clock.advance(2.9)
    assert order.status is PARTIAL
    crew.clock.advance(0.2)
    assert (order.status, order.filled) == (CANCELED, 5)
    assert resting.status is NEW, "it was there before the bot"
    crew.assert_conserved()


def test_auto_reject_refuses_every_second_order_of_one_account():
    crew = Crew()
    crew.bot("auto_reject", every=2, account=A, reason="closed", text="closed for you")
    orders = [crew.buy(1, "99.00") for _ in range(4)]
    assert [order.status for order in orders] == [NEW, REJECTED, NEW, REJECTED]
    assert (orders[1].end.reason, orders[1].end.text) == (Reason.CLOSED, "closed for you")
    assert crew.sell(1, "200.00").status is NEW
    crew.crowd.stop_bot("bot")
    assert [crew.buy(1, "99.00").status for _ in range(2)] == [NEW, NEW]


def test_echo_trader_takes_the_other_side_through_the_market():
    crew = Crew()
    bot = crew.bot("echo_trader", delay="1")
    order = crew.buy(100, "99.50")
    crew.clock.advance(0.5)
    better = crew.buy(40, "99.60")
    crew.clock.advance(0.5)
    assert (better.filled, order.filled) == (40, 60), "who is first in the book is met first"
    crew.clock.advance(0.5)
    assert (bot.answered, order.filled) == (1, 60)
    late = crew.sell(5, "102.00")
    crew.crowd.stop_bot("bot")
    crew.clock.advance(5)
    assert late.status is NEW and crew.clock.getDelayedCalls() == [crew.venue._desk._lifetimes._timer]
    crew.assert_conserved()


# -- activity


def uncrossed(crew):
    book = crew.market().book
    return book.best_bid is None or book.best_ask is None or book.best_bid < book.best_ask


def test_noise_and_makers_keep_a_book_uncrossed_and_conserved_over_thousands_of_steps():
    crew = Crew()
    noise = crew.bot("noise", "noise", rate="100", parties=3, tick_range=6, depth=15, least_size="1", most_size="40")
    crew.bot("maker", "maker", size="50", levels=3, half_spread=2, skew="1", refresh="0.1", most_held="200")
    for _ in range(4000):
        crew.clock.advance(0.01)
        assert uncrossed(crew)
    assert 3500 < noise.actions < 4500
    crew.assert_conserved()
    market = crew.market()
    assert market.trades > 500 and market.house_lots == 0
    owners = {order.account for order in crew.venue.live_orders(owner="bot|noise")}
    assert owners == {"bot|noise|1", "bot|noise|2", "bot|noise|3"}
    bids, asks = crew.venue.depth(ACME.id, 100)
    assert sum(row.count for row in bids + asks) <= 2 * 15 + 6
    assert crew.venue.live_orders() == crew.venue.fills() == crew.venue.completed_orders() == []
    assert crew.ear.heard == [], "observers hear of participants only"
    assert crew.venue.accounts() == (A, B)
    assert len(crew.venue._desk.orders) < 1_000 + 50, "done orders of bots are soon forgotten"
    crew.crowd.stop()
    assert crew.book() == ([], []) and crew.clock.getDelayedCalls() == []
    crew.assert_conserved()


def test_a_trade_with_a_bot_can_be_busted_and_corrected_long_after():
    crew = Crew()
    crew.bot("auto_fill", "f1", account=A)
    first, second = crew.buy(10, "100.00"), crew.sell(7, "100.00", account=A)
    crew.bot("noise", "noise", rate="500", aggressive="0.5")
    crew.run(10)
    assert len(crew.venue._desk.orders) < 1_100
    crew.venue.bust(crew.venue.fills()[0].exec_id)
    crew.venue.correct(crew.venue.fills()[0].exec_id, price=D("99.00"))
    assert (first.filled, second.average_price) == (0, D("99.00"))
    assert crew.crowd.bot("f1").held_lots() == 7
    crew.assert_conserved()


def test_over_a_restart_participants_keep_what_they_did_with_bots(tmp_path):
    path = str(tmp_path / "state")
    crew = Crew(state_path=path)
    crew.bot("auto_fill", account=A)
    crew.bot("maker", "m1")
    crew.buy(10, "100.00")
    resting = crew.buy(5, "1.00", account=B)
    crew.crowd.stop()
    crew.venue.stop()
    again = Crew(state_path=path)
    assert [(holding.account, holding.quantity) for holding in again.venue.holdings()] == [(A, 10)]
    assert [order.id for order in again.venue.live_orders()] == [resting.id]
    assert again.venue.live_orders(owner="bot|m1") == [] and len(again.venue.fills()) == 1
    assert again.bot("auto_fill").held_lots() == 0, "a bot begins anew"
    again.venue.stop()


def test_a_maker_leans_against_what_it_holds():
    crew = Crew()
    crew.crowd.feed(ACME.id)
    crew.venue.steer(ACME.id, D("100.00"))
    bot = crew.bot("maker", size="10", half_spread=2, skew="3", most_held="20")
    assert crew.book() == ([("99.98", 10, 1)], [("100.02", 10, 1)])
    crew.sell(10, "99.98")
    assert bot.held_lots() == 10
    crew.clock.advance(0.5)
    assert crew.book() == ([("99.95", 10, 1)], [("99.99", 10, 1)])
    crew.sell(10, "99.95")
    crew.clock.advance(0.5)
    assert crew.book() == ([], [("99.96", 10, 1)]), "it holds all that it may"
    crew.buy(20, "99.96")
    crew.clock.advance(0.5)
    assert crew.book()[1] == [("99.99", 10, 1)]
    crew.venue.steer(ACME.id, D("120.00"))
    crew.clock.advance(0.5)
    assert crew.book()[1] == [("119.99", 10, 1)]


def test_noise_of_no_activity_does_nothing_until_it_is_told_to():
    crew = Crew()
    noise = crew.bot("noise", activity="none")
    crew.run(10)
    assert noise.actions == 0
    assert crew.crowd.set_bot_property("bot", "activity", "fast") == ("none", "fast")
    crew.run(10)
    assert 400 < noise.actions < 600
    crew.crowd.set_bot_property("bot", "rate", 0)
    before = noise.actions
    crew.run(5)
    assert noise.actions == before


def script():
    """Let every kind of bot act, with a source and a participant among them; return the crew."""
    with tempfile.TemporaryDirectory() as folder:
        return _act(Crew(folder), Path(folder))


def _act(crew, folder):
    rows = [(f"{34200 + n / 10}", 1 if n % 3 else 3, n // 3, 5, 1000000 + 100 * (n % 9), 1) for n in range(300)]
    crew.bot("replay", "y1", **lobster(folder, *rows))
    crew.crowd.attach(ACME.id, "walk", {"mode": "maker", "interval": "0.2", "size": 20})
    crew.crowd.start_source(ACME.id)
    crew.bot("noise", "n1", activity="fast", parties=2)
    crew.bot("maker", "m1", levels=2, size="30")
    crew.bot("echo_trader", "e1", delay="0.3")
    crew.bot("auto_partial", "p1", share="0.25", every=2)
    crew.bot("auto_reject", "r1", every=5)
    for n in range(40):
        crew.run(0.25)
        (crew.buy if n % 2 else crew.sell)(10 + n, f"{100 + (n % 5) / 10:.2f}")
    crew.crowd.stop_bot("r1")
    crew.bot("partial_then_cancel", "c1", delay="0.5")
    crew.bot("auto_cancel", "c2", delay="1", every=3)
    crew.bot("auto_fill", "f1", every=4)
    for n in range(40):
        crew.run(0.25)
        (crew.buy if n % 3 else crew.sell)(10 + n, f"{100 + (n % 7) / 10:.2f}")
    crew.crowd.stop()
    crew.venue.stop()
    return crew


def test_one_seed_is_one_tape_whatever_the_hash_seed_is():
    first = script()
    assert first.venue.tape.count > 4_000 and first.venue.tape.of_kind("bot_fault") == []
    owners = {record[3] for record in first.venue.tape.of_kind("new")}
    assert owners == {"a", "b", *(f"bot|{name}" for name in ("y1", "n1", "m1", "e1", "p1", "c1", "f1"))}
    digest = first.venue.tape.digest()
    assert digest == script().venue.tape.digest()
    command = "from test_bots import script; print(script().venue.tape.digest())"
    here = Path(__file__).parent
    for seed in ("1", "4711"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{here}:{here.parents[1]}"}
        found = subprocess.run(
            [sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        assert found.stdout.strip() == digest


def test_one_bot_more_changes_nothing_in_what_the_others_draw():
    def prices(more):
        crew = Crew()
        crew.bot("noise", "n1", aggressive=0)
        if more:
            crew.crowd.create_bot("n2", "noise", ACME.id)
            crew.crowd.bot("n2").random.random()
        crew.run(20)
        return [(order.price, order.lots) for order in crew.venue.live_orders(owner="bot|n1")]

    assert prices(False) == prices(True) != []


# -- replay


def lobster(tmp_path, *rows, book="1000200,50,1000000,30\n"):
    (tmp_path / "messages.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    (tmp_path / "book.csv").write_text(book)
    return {"file": "messages.csv", "book_file": "book.csv"}


def test_a_replay_makes_orders_of_what_the_file_says(tmp_path):
    files = lobster(
        tmp_path,
        ("34200.0", 1, 11, 10, 1000000, 1),  # 10 of the 30 that the first row shows
        ("34200.5", 1, 12, 20, 1000200, -1),
        ("34201.0", 2, 12, 5, 1000200, -1),
        ("34202.0", 4, 99, 20, 1000000, 1),  # of what stood there before
        ("34203.0", 4, 11, 10, 1000000, 1),
        ("34204.0", 5, 0, 10, 1000100, 1),
        ("34205.0", 3, 12, 15, 1000200, -1),
        ("34206.0", 3, 77, 15, 900000, -1),
    )
    crew = Crew(tmp_path)
    bot = crew.bot("replay", **files)
    assert crew.book() == ([("100.00", 30, 1)], [("100.02", 50, 1)])
    crew.clock.advance(0)
    assert crew.book()[0] == [("100.00", 30, 2)], "the first order is a part of what the first row shows"
    crew.clock.advance(0.5)
    assert crew.book()[1] == [("100.02", 70, 2)]
    crew.clock.advance(0.5)
    assert crew.book()[1] == [("100.02", 65, 2)]
    crew.clock.advance(2)
    assert crew.book()[0] == [] and bot.status()["trades"] == 2
    client = crew.buy(60, "100.02")
    assert client.filled == 60
    crew.clock.advance(3)
    assert crew.book() == ([], [])
    assert bot.status()["is_over"] and bot.status()["done"] == 8 and bot.status()["unknown"] == 1
    crew.assert_conserved()


def test_a_replay_is_as_fast_as_it_is_told_to_be(tmp_path):
    rows = [(f"{34200 + n}.0", 1, n, 1, 1000000 - 100 * n, 1) for n in range(1, 301)]
    crew = Crew(tmp_path)
    bot = crew.bot("replay", **lobster(tmp_path, *rows, book=""), speed="10")
    crew.run(10)
    assert bot.status()["done"] in (100, 101)
    crew.crowd.set_bot_property("bot", "speed", 0)
    crew.clock.advance(0.2)
    assert bot.status()["done"] == 300
    crew.crowd.stop_bot("bot")
    assert crew.book() == ([], [])


@with_data
@pytest.mark.parametrize(("folder", "speed", "rows", "trades"), [("aapl_10", 0, 999, 94), ("amzn_5", 1000, 1000, 117)])
def test_a_real_morning_of_a_stock_is_played_into_the_book(folder, speed, rows, trades):
    crew = Crew(SHARED / "lobster" / folder)
    messages, book = (next((SHARED / "lobster" / folder).glob(f"{name}_*.csv")) for name in ("message", "orderbook"))
    bot = crew.bot("replay", file=messages.name, book_file=book.name, speed=speed)
    while not bot.status()["is_over"]:
        crew.clock.advance(0.01)
        assert uncrossed(crew)
    status = bot.status()
    assert (status["done"], status["trades"], status["fault"]) == (rows, trades, "")
    assert crew.market().trades >= trades
    crew.assert_conserved()


@with_data
def test_an_itch_file_with_a_crossed_book_is_matched_where_it_crosses():
    crew = Crew(SHARED / "itch")
    bot = crew.bot("replay", file="ex20101224.TEST_ITCH_50.gz", format="itch", stock="ALC", speed=0)
    crew.clock.advance(0)
    assert bot.status()["is_over"] and bot.status()["fault"] == ""
    assert uncrossed(crew) and crew.market().trades > 100
    crew.assert_conserved()


# -- names, properties, faults


def test_what_cannot_be_made_is_refused_and_changes_nothing():
    crew = Crew()
    make = crew.crowd.create_bot
    for error, arguments in (
        (NotFound, ("b", "no such class", ACME.id)),
        (NotFound, ("b", "noise", 4711)),
        (InvalidArgument, ("b b", "noise", ACME.id)),
        (InvalidArgument, ("b", "noise", ACME.id, {"colour": "red"})),
        (InvalidArgument, ("b", "noise", ACME.id, {"rate": 0.5})),
        (InvalidArgument, ("b", "noise", ACME.id, {"rate": True})),
        (InvalidArgument, ("b", "noise", ACME.id, {"rate": "NaN"})),
        (InvalidArgument, ("b", "noise", ACME.id, {"depth": "1.5"})),
        (InvalidArgument, ("b", "noise", ACME.id, {"activity": "wild"})),
        (InvalidArgument, ("b", "noise", ACME.id, {"least_size": 200})),
        (InvalidArgument, ("b", "auto_partial", ACME.id, {"share": 1})),
        (InvalidArgument, ("b", "replay", ACME.id, {"format": "itch"})),
    ):
        with pytest.raises(error):
            make(*arguments)
    assert crew.crowd.bots() == []
    make("b", "noise", ACME.id)
    with pytest.raises(AlreadyExists):
        make("b", "noise", ACME.id)
    with pytest.raises(WrongState):
        crew.crowd.set_bot_property("b", "parties", 9)
    with pytest.raises(InvalidArgument):
        crew.crowd.set_bot_property("b", "most_size", "0.5")
    assert crew.crowd.get_bot_property("b", "most_size") == 100
    assert crew.crowd.set_bot_property("b", "parties", 4) == (4, 4)
    crew.crowd.delete_bot("b")
    with pytest.raises(NotFound):
        crew.crowd.bot("b")


def test_a_bot_needs_a_book_and_tells_how_it_stands():
    crew = Crew()
    crew.venue.instruments.add(listing(9, "INDEX", is_tradeable=False))
    with pytest.raises(Unsupported):
        crew.crowd.create_bot("b", "noise", 9)
    crew.bot("noise", "b")
    assert crew.crowd.bot("b").status() == {"name": "b", "listing_id": ACME.id, "is_running": True, "fault": ""}


def test_files_are_only_those_below_the_folder(tmp_path, expected_failures):
    expected_failures.append("The bot")
    (tmp_path / "inside").mkdir()
    (tmp_path / "secret.csv").write_text("1,2\n")
    crew = Crew(tmp_path / "inside")
    for name, error in (("../secret.csv", "InvalidArgument"), ("missing.csv", "NotFound"), ("", "InvalidArgument")):
        with pytest.raises(PluginError, match=error):
            crew.bot("replay", file=name)
        crew.crowd.delete_bot("bot")
    with pytest.raises(PluginError, match="Unsupported"):
        Crew().bot("replay", file="a.csv")


class Clumsy(Bot):
    """Fail after a while, wherever it is told to."""

    table = (Property(name="where", kind="text", default="timer", meaning="where it fails"),)

    def begin(self):
        if self.properties["where"] == "begin":
            raise RuntimeError("at once")
        self.submit(1, 10, 9000)
        self.later(1, self.fail)
        if self.properties["where"] == "taker":
            self.undo_later(self.venue.interception.add(self.guarded(self.fail)))

    def fail(self, *facts):
        raise RuntimeError("clumsy")

    def end(self):
        if self.properties["where"] == "end":
            raise RuntimeError("at the end")


def test_a_bot_that_fails_stops_itself_and_nobody_else(expected_failures):
    expected_failures.append("The bot b failed")
    register_bot("clumsy", Clumsy)
    register_bot("clumsy", Clumsy)  # the same again is no error
    with pytest.raises(AlreadyExists):
        register_bot("clumsy", BOTS.get("noise"))
    with pytest.raises(Unsupported):
        register_bot("nonsense", Property)
    crew = Crew()
    for where in ("timer", "taker"):
        bot = crew.bot("clumsy", "b", where=where)
        assert crew.book()[0] == [("90.00", 10, 1)]
        if where == "timer":
            crew.clock.advance(1)
        else:
            assert crew.buy(1, "80.00").status is NEW
            crew.venue.mass_cancel()
        assert not bot.is_running and bot.fault == "RuntimeError: clumsy"
        assert crew.book()[0] == [], "its orders have gone"
        assert crew.venue.tape.of_kind("bot_fault")[-1][3:] == ("b", "RuntimeError: clumsy")
        assert len(crew.clock.getDelayedCalls()) <= 1
        crew.crowd.delete_bot("b")
    crew.crowd.create_bot("b", "clumsy", ACME.id, {"where": "begin"})
    with pytest.raises(PluginError, match="at once"):
        crew.crowd.start_bot("b")
    crew.crowd.delete_bot("b")
    last = crew.bot("clumsy", "b", where="end")
    other = crew.bot("noise", "other")
    crew.crowd.stop()
    assert last.fault == "RuntimeError: at the end" and not last.is_running and not other.is_running
    assert crew.buy(1, "80.00").status is NEW


def test_a_bot_of_an_installed_package_is_found_by_its_entry_point(tmp_path, monkeypatch):
    package = tmp_path / "others-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1\n")
    (package / "entry_points.txt").write_text(
        "[txtrader.exsim.bots]\nsleeper = others_bots:Sleeper\nbroken = others_bots:Missing\nodd = others_bots:Odd\n"
    )
    (tmp_path / "others_bots.py").write_text(
        "from txtrader.exsim.bots import Bot\n\n\nclass Sleeper(Bot):\n    pass\n\n\nclass Odd:\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "sleeper" in BOTS.names()
    crew = Crew()
    assert crew.bot("sleeper").is_running
    with pytest.raises(PluginError):
        crew.bot("broken", "other")
    with pytest.raises(Unsupported):
        crew.bot("odd", "other")


def test_every_class_and_property_is_described():
    text = (Path(__file__).parents[2] / "docs" / "exsim-bots.md").read_text()
    for registry in (BOTS, SOURCES):
        for name in registry._classes:
            if not registry.get(name).__module__.startswith("txtrader."):
                continue  # another test's
            assert f"`{name}`" in text, name
            for one in registry.get(name).whole_table():
                assert f"`{one.name}`" in text or one.name.removesuffix("_column") in ("high", "low", "close"), one.name
                assert one.meaning and one.parse(one.default) == one.default


def test_a_second_life_of_a_bot_goes_on_with_its_accounts():
    crew = Crew()
    crew.bot("auto_fill")
    crew.buy(10, "100.00")
    crew.crowd.delete_bot("bot")
    bot = crew.bot("auto_fill")
    assert bot.held_lots() == -10
    crew.buy(5, "100.00")
    assert bot.held_lots() == -15
    crew.assert_conserved()
    assert crew.venue.holdings() == crew.venue.holdings(A)
    assert [holding.quantity for holding in crew.venue.holdings("bot|bot")] == [-15]
    with pytest.raises(ValueError):
        crew.venue.open_bot_account(A)
    times = [record[1] for record in crew.venue.tape]
    assert all(before <= after for before, after in pairwise(times))
