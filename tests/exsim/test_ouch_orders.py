"""The rules of OUCH at the simulated venue, in both versions: silence, names, sizes, chains, reasons."""

from __future__ import annotations

import struct
from decimal import Decimal
from typing import Any

import pytest
from exsim_venue import ACME, A, B
from ouch_client import OuchClient, Room

from txtrader.dialects.ouch import REJECTIONS
from txtrader.exsim.endpoints.ouch import OuchUser
from txtrader.exsim.listeners import OrderListener
from txtrader.exsim.records import Changes, Phase, Reason, Refusal, SelfTrade

VERSIONS = ["4.2", "5.0"]
of_every_version = pytest.mark.parametrize("version", VERSIONS)


class Seat:
    """A room with alice in it."""

    def __init__(self, version: str, **options: Any) -> None:
        venue = options.pop("venue", {})
        self.room = Room(version, options=options, **venue)
        self.alice: OuchClient = self.room.client()

    def close(self) -> None:
        self.room.close()


@pytest.fixture
def take_seat():
    seats: list[Seat] = []

    def take(version: str, **options: Any) -> tuple[Room, OuchClient]:
        seats.append(Seat(version, **options))
        return seats[-1].room, seats[-1].alice

    yield take
    for seat in seats:
        seat.close()


@of_every_version
def test_a_name_is_used_once_whatever_else_the_message_says(version, take_seat):
    room, alice = take_seat(version)
    alice.enter(1, "B", 100, "99.00")
    alice.enter(1, "S", 7, "123.00", stock="BETA")
    alice.enter(2, "B", 100, "99.005")
    alice.enter(2, "B", 100, "99.00")
    told = alice.briefs()
    assert told == [("A", 1, 100), ("J", 2)], "the name of a rejected order stays used"
    assert [entry[:2] for entry in room.ignored()] == [("ALICE", "EnterOrder")] * 2
    assert len(room.venue.live_orders()) == 1


@of_every_version
def test_messages_for_unknown_dead_and_foreign_orders_are_answered_by_silence(version, take_seat):
    room, alice = take_seat(version)
    bob = room.client("bob")
    bob.enter(1, "B", 100, "99.00")
    bob.enter(5, "B", 100, "99.00")
    bob.cancel(5)
    for name in (1, 4, 5):
        alice.cancel(name)
        alice.modify(name, "B", 10)
        alice.replace(name, 7, 10, "99.00")
    bob.cancel(5)
    bob.replace(5, 6, 10, "99.00")
    assert alice.take() == [] and bob.briefs() == [("A", 1, 100), ("A", 5, 100), ("C", 5, 100)]
    assert len(room.ignored()) == 11
    alice.enter(7, "B", 10, "99.00")  # a new name that led to nothing stays free
    bob.enter(6, "B", 10, "99.00")
    assert alice.briefs() == [("A", 7, 10)] and bob.briefs() == [("A", 6, 10)]


@of_every_version
def test_a_cancel_names_the_most_that_may_be_executed_in_total(version, take_seat):
    room, alice = take_seat(version)
    alice.enter(1, "B", 1000, "99.00")
    room.buy(10, "99.00")
    room.sell(300, "99.00")
    alice.cancel(1, 1000)
    alice.cancel(1, 5000)
    alice.take()
    assert len(room.ignored()) == 2
    alice.cancel(1, 500)
    (canceled,) = alice.take()
    assert canceled.brief("shares", "reason") == ("C", 500, "U")
    mine = room.venue.live_orders(owner="ouch|ALICE")[0]
    assert mine.remaining == 200 and room.venue.queue_position(mine.id) == (0, 0), "its place is kept"
    alice.cancel(1, 500)
    assert alice.take() == []
    alice.cancel(1, 300)
    assert alice.briefs() == [("C", 1, 200)]


@of_every_version
def test_a_replace_counts_the_whole_chain_and_goes_to_the_end_of_the_queue(version, take_seat):
    room, alice = take_seat(version)
    alice.enter(1, "B", 500, "99.00")
    room.sell(100, "99.00")
    room.buy(20, "99.00")
    alice.replace(1, 2, 500, "99.00")
    mine = room.venue.live_orders(owner="ouch|ALICE")[0]
    assert room.venue.queue_position(mine.id) == (20, 1)
    room.sell(60, "99.00")  # 20 of the other one, 40 of ours
    alice.replace(2, 3, 600, "99.00")
    alice.cancel(3, 200)  # of the chain's total
    told = alice.briefs()
    assert told == [("A", 1, 500), ("E", 1, 100), ("U", 2, 400), ("E", 2, 40), ("U", 3, 460), ("C", 3, 400)]
    assert room.venue.live_orders(owner="ouch|ALICE")[0].remaining == 60


@of_every_version
def test_shares_that_prevention_took_count_in_a_replace(version, take_seat):
    room, alice = take_seat(version, venue={"self_trade": SelfTrade.DECREMENT})
    alice.enter(1, "B", 100, "99.00")
    alice.enter(2, "S", 30, "98.00")
    told = alice.take()
    assert [one.brief() for one in told] == [("A", 1, 100), ("A", 2, 30), ("D", 1, 30), ("D", 2, 30)]
    assert told[2].brief("reason", "prevented", "price", "liquidity") == ("D", "Q", 30, "99", "A")
    assert told[3].brief("prevented", "price", "liquidity") == ("D", 30, "99", "R")
    alice.replace(1, 3, 100, "99.00")
    assert alice.briefs() == [("U", 3, 70)]
    alice.cancel(3, 60)
    assert alice.briefs() == [("C", 3, 10)]
    assert not room.venue.fills()


@of_every_version
@pytest.mark.parametrize(
    ("shares", "price"), [(40, "99.00"), (0, "99.00"), (1_000_000, "99.00"), (100, "99.005"), (100, "0")]
)
def test_a_replace_that_is_not_sound_cancels_the_order_and_leaves_its_name_free(version, shares, price, take_seat):
    room, alice = take_seat(version)
    alice.enter(1, "B", 100, "99.00")
    room.sell(40, "99.00")
    alice.replace(1, 2, shares, price)
    told = alice.take()[2:]
    assert [one.brief("name", "shares", "reason") for one in told] == [("C", 1, 60, "U")]
    assert not room.venue.live_orders()
    alice.enter(2, "B", 10, "99.00")
    assert alice.briefs() == [("A", 2, 10)]


@of_every_version
def test_an_order_that_cannot_be_canceled_now_is_not_replaced_either(version, take_seat):
    room, alice = take_seat(version)
    alice.enter(1, "B", 100, "99.00")
    room.venue.set_phase(ACME.id, Phase.HALT)
    alice.replace(1, 2, 50, "99.00")
    alice.enter(3, "B", 10, "99.00")
    alice.cancel(1, 50)  # the venue takes whole cancels only
    room.venue.set_phase(ACME.id, Phase.CLOSED)
    alice.enter(4, "B", 10, "99.00")
    room.venue.set_phase(ACME.id, Phase.CONTINUOUS)
    room.endpoint.hold_cancels()
    alice.replace(1, 5, 50, "99.00")
    halted, closed, pending = ("H", "C", "O") if version == "4.2" else (7, 2, 11)
    told = [one.fields.get("reason") for one in alice.take()[1:]]
    assert told == [halted, halted, None, closed, pending]
    assert [order.remaining for order in room.venue.live_orders()] == [100]


@of_every_version
def test_a_modify_makes_less_and_another_kind_of_sale_and_nothing_else(version, take_seat):
    room, alice = take_seat(version)
    alice.enter(1, "S", 100, "101.00")
    alice.enter(2, "B", 100, "99.00")
    alice.take()
    alice.modify(1, "S", 101)
    alice.modify(1, "B", 50)
    alice.modify(2, "S", 50)
    assert alice.take() == [] and len(room.ignored()) == 3
    alice.modify(1, "E", 60)
    alice.modify(2, "B", 60)
    assert alice.briefs("name", "side", "shares") == [("M", 1, "E", 60), ("M", 2, "B", 60)]
    room.venue.set_phase(ACME.id, Phase.HALT)
    alice.modify(1, "S", 50)
    assert alice.take() == []
    assert room.ignored()[-1][1:] == ("ModifyOrder", (0, 1) if version == "5.0" else "T1")
    room.venue.set_phase(ACME.id, Phase.CONTINUOUS)
    alice.replace(1, 3, 60, "101.00")
    assert alice.briefs("side", "shares") == [("U", "E", 60)], "what was refused left no trace"
    alice.modify(3, "T", 60)
    assert alice.briefs("side", "shares") == [("M", "T", 60)]


def test_a_larger_size_may_be_taken_where_the_venue_is_set_so(take_seat):
    room, alice = take_seat("4.2", grows=True)
    alice.enter(1, "B", 100, "99.00")
    room.buy(20, "99.00")
    alice.modify(1, "B", 150)
    assert alice.briefs()[1:] == [("M", 1, 150)]
    mine = room.venue.live_orders(owner="ouch|ALICE")[0]
    assert mine.remaining == 150 and room.venue.queue_position(mine.id) == (20, 1), "its place is lost"


REFUSALS: list[tuple[dict[str, Any], str, int]] = [
    ({"stock": "NOSUCH"}, "S", 23),
    ({"stock": "ES"}, "S", 23),
    ({"stock": ""}, "S", 23),
    ({"shares": 0}, "Z", 19),
    ({"shares": 1_000_000}, "Z", 19),
    ({"price": "99.005"}, "X", 29),
    ({"ticks": 2_000_000_001}, "X", 29),
    ({"ticks": 1_999_999_901}, "X", 29),
    ({"ticks": 2_000_000_000}, "X", 29),
    ({"price": None}, "X", 29),
    ({"side": "X"}, "O", 9),
    ({"display": "?"}, "D", 3),
    ({"capacity": "X"}, "O", 15),
    ({"iso": "X"}, "O", 8),
    ({"cross": "O"}, "R", 20),
    ({"cross": "?"}, "R", 20),
    ({"firm": "BBBB"}, "L", 12),
    ({"shares": 999_999, "price": "190000"}, "O", 31),
]


@of_every_version
def test_what_is_not_taken_is_rejected_by_reason(version, take_seat):
    room, alice = take_seat(version)
    for place, (fields, letter, number) in enumerate(REFUSALS, 1):
        alice.enter(place, **{"side": "B", "shares": 100, "price": "99.00", **fields})
        (told,) = alice.take()
        assert told.brief("name", "reason") == ("J", place, letter if version == "4.2" else number), fields
    assert not room.venue.live_orders()


@of_every_version
def test_the_largest_size_and_the_smallest_price_are_taken(version, take_seat):
    _, alice = take_seat(version, venue={"cash": 10**9})
    alice.enter(1, "B", 999_999, "0.01", firm="AACC")
    alice.enter(2, "S", 1, "199999.99")
    assert alice.briefs("shares", "price") == [("A", 999_999, "0.01"), ("A", 1, "199999.99")]


def test_what_one_version_alone_can_ask_for_is_rejected_by_reason(take_seat):
    _, alice = take_seat("4.2")
    asked: list[tuple[dict[str, Any], str]] = [
        ({"life": 100_000}, "O"), ({"display": "I"}, "D"), ({"display": "Q"}, "O"),
        ({"token": "two words"}, "O"), ({"token": ""}, "O"),
    ]  # fmt: skip
    for place, (fields, letter) in enumerate(asked, 1):
        alice.enter(place, **{"side": "B", "shares": 100, "price": "99.00", **fields})
        assert alice.briefs("reason") == [("J", letter)], fields
    _, alice = take_seat("5.0")
    tags: list[tuple[bytes, int]] = [
        (b"\2\6X", 17), (b"\5\x0eNYSE", 22), (b"\2\x11Q", 26), (b"\2\x11I", 3), (b"\2\x11?", 15),
        (b"\2\x0aL", 15), (b"\2\x63X", 15), (b"\2\x0cP\2\x0cP", 15),
    ]  # fmt: skip
    for place, (tag, number) in enumerate(tags, 1):
        alice.enter(place, "B", 100, "99.00", tags=tag, text="MINE")
        assert alice.briefs("name", "reason", "text") == [("J", place, number, "MINE")], tag
    for place, (life, tag) in enumerate([("E", b""), ("6", b""), ("6", b"\5\x0f\0\1\x51\x80")], 50):
        alice.enter(place, "B", 100, "99.00", life=life, tags=tag)
        assert alice.briefs("reason") == [("J", 15)]


@of_every_version
def test_a_hidden_order_is_not_seen_and_trades(version, take_seat):
    room, alice = take_seat(version)
    alice.enter(1, "B", 100, "99.00", display="N")
    assert alice.briefs() == [("A", 1, 100)]
    assert room.book()[0] == []
    room.sell(40, "99.00")
    assert alice.briefs() == [("E", 1, 40)]


@of_every_version
def test_a_minimum_quantity_is_not_traded_below(version, take_seat):
    room, alice = take_seat(version)
    alice.enter(1, "B", 100, "99.00", min_qty=50)
    assert alice.briefs() == [("A", 1, 100)]
    room.sell(40, "99.00")
    assert alice.take() == []
    room.sell(60, "99.00")
    assert alice.briefs() == [("E", 1, 60)]


def test_a_pegged_order_follows_its_own_side(take_seat):
    room, alice = take_seat("5.0")
    room.buy(10, "98.00")
    room.sell(10, "100.00")
    alice.enter(1, "B", 100, "99.50", tags=b"\2\6R")
    assert alice.briefs() == [("A", 1, 100)]
    (order,) = room.venue.live_orders(owner="ouch|ALICE")
    assert order.limit_price == Decimal("98.00")
    room.buy(10, "98.50")
    assert order.limit_price == Decimal("98.50")


def test_an_order_for_the_closing_cross_trades_in_it(take_seat):
    room, alice = take_seat("5.0")
    alice.enter(1, "B", 100, "99.00", cross="C")
    assert alice.briefs() == [("A", 1, 100)]
    room.sell(40, "99.00")
    assert alice.take() == [], "it waits unseen"
    room.venue.set_phase(1, Phase.CLOSING_AUCTION)
    room.venue.set_phase(1, Phase.POST_CLOSE)
    assert ("E", 1, 40) in alice.briefs()


@of_every_version
def test_orders_at_the_market_trade_at_once_or_not_at_all(version, take_seat):
    room, alice = take_seat(version)
    room.sell(40, "99.50")
    alice.enter(1, "B", 100, None, life="ioc")
    told = alice.take()
    assert [one.brief() for one in told] == [("A", 1, 100), ("E", 1, 40), ("C", 1, 60)]
    assert told[1]["price"] == Decimal("99.5")
    _, other = take_seat(version, market_orders=False)
    other.enter(1, "B", 100, None, life="ioc")
    assert other.briefs("reason") == [("J", "X" if version == "4.2" else 29)]


@of_every_version
def test_all_at_once_is_a_minimum_of_the_whole_size(version, take_seat):
    room, alice = take_seat(version)
    room.sell(40, "99.50")
    alice.enter(1, "B", 41, "99.50", life="ioc", min_qty=41)
    alice.enter(2, "B", 40, "99.50", life="ioc", min_qty=40)
    told = alice.take()
    assert [one.brief() for one in told] == [("A", 1, 41), ("C", 1, 41), ("A", 2, 40), ("E", 2, 40)]
    assert told[1]["reason"] == "I"


@of_every_version
def test_a_post_only_order_that_would_trade_is_accepted_dead(version, take_seat):
    room, alice = take_seat(version)
    room.sell(40, "99.50")
    more: dict[str, Any] = {"display": "P"} if version == "4.2" else {"tags": b"\2\x0cP"}
    alice.enter(1, "B", 100, "99.50", **more)
    alice.enter(2, "B", 100, "99.49", **more)
    alice.replace(2, 3, 100, "99.50", **more)
    told = alice.take()
    assert [one.brief("name", "shares", "state") for one in told] == [
        ("A", 1, 100, "D"), ("A", 2, 100, "L"), ("U", 3, 100, "D"),
    ]  # fmt: skip
    if version == "5.0":
        assert told[0].tags == {12: b"P"}
    assert [order.owner for order in room.venue.live_orders()] == ["b"]
    _, other = take_seat(version, dead=frozenset())
    other.room.sell(40, "99.50")
    other.enter(1, "B", 100, "99.50", **more)
    assert other.briefs("reason") == [("J", "X" if version == "4.2" else 29)]


@of_every_version
def test_lives_end_by_the_clock(version, take_seat):
    room, alice = take_seat(version)
    more: dict[str, Any] = {"life": 60} if version == "4.2" else {"life": "6", "tags": b"\5\x0f\0\0\0\x3c"}
    alice.enter(1, "B", 1, "99.00", **more)
    alice.enter(2, "B", 2, "99.00", life="market")
    alice.enter(3, "B", 3, "99.00", life="system")
    alice.take()

    def pass_time(seconds: int) -> None:
        for _ in range(0, seconds, 10):
            room.clock.advance(10)
            alice.packet("R")

    pass_time(50)
    assert alice.take() == []
    pass_time(20)
    assert alice.briefs("name", "shares", "reason") == [("C", 1, 1, "T")]
    pass_time(4 * 3600)  # 16:00: the close
    assert alice.briefs("name", "shares", "reason") == [("C", 2, 2, "E")]
    pass_time(8 * 3600)
    assert alice.briefs(*())[:1] == [("C", 3, 3)] and alice.is_closed  # midnight: the day is over
    again = room.client()
    assert again.session != alice.session and again.next_number == 2


@of_every_version
def test_what_the_venue_decides_by_itself_has_a_letter(version, take_seat):
    room, alice = take_seat(version)
    alice.enter(1, "B", 10, "99.00")
    alice.enter(2, "B", 10, "99.00")
    first, second = room.venue.live_orders()
    room.venue.cancel_by_venue(first.id, "a test")
    room.venue.replace(None, second.id, Changes(quantity=Decimal(6)))
    end = room.venue.add_screen(lambda order: Refusal(Reason.VENUE, "a test"))
    alice.enter(3, "B", 10, "99.00")
    end()
    told = alice.take()[2:]
    assert [one.letter for one in told] == ["C", "C", "T", "J"]
    assert told[0].brief("name", "shares", "reason") == ("C", 1, 10, "S")
    assert told[1].brief("name", "shares", "reason") == ("C", 2, 4, "S")
    assert told[2].brief("name", "price") == ("T", 2, "99")
    assert told[3]["reason"] == ("O" if version == "4.2" else 15)


@of_every_version
def test_bytes_that_are_no_message_are_written_down_and_nothing_else(version, take_seat):
    room, alice = take_seat(version)
    for data in (b"", b"?", b"O" + bytes(20), b"X", b"\xff" * 300):
        alice.raw(data)
    assert alice.take() == [] and len(room.ignored()) == 5 and not alice.is_closed


@of_every_version
def test_time_stamps_are_nanoseconds_since_midnight_at_the_exchange(version, take_seat):
    room, alice = take_seat(version)
    room.clock.advance(0.5)
    alice.enter(1, "B", 10, "99.00")
    assert alice.take()[0]["time"] == 12 * 3600 * 10**9 + 500_000_000


@of_every_version
def test_both_parties_of_a_trade_have_one_number_and_their_own_side_of_it(version, take_seat):
    room, alice = take_seat(version)
    bob = room.client("bob")
    alice.enter(1, "B", 10, "99.00")
    bob.enter(1, "S", 10, "98.00")
    mine, his = alice.take()[1], bob.take()[1]
    assert mine["match"] == his["match"] > 2**20
    assert (mine["price"], his["price"]) == (99, 99) and (mine["liquidity"], his["liquidity"]) == ("A", "R")


class _Busy(OrderListener):
    """Has a client ask for two orders while the venue processes somebody else's."""

    def __init__(self, ask: Any) -> None:
        self._ask = ask

    def order_accepted(self, order: Any) -> None:
        if order.owner == "a":
            self._ask()


@of_every_version
def test_orders_that_wait_for_their_turn_are_told_apart(version, take_seat):
    room, alice = take_seat(version)
    asked: list[bytes] = []
    raw, alice.raw = alice.raw, asked.append  # type: ignore[method-assign]
    alice.enter(1, "B", 10, "99.00")
    alice.enter(2, "B", 20, "99.005")
    alice.enter(3, "B", 30, "99.00")
    alice.raw = raw  # type: ignore[method-assign]
    member = room.endpoint.members["ALICE"]
    room.venue.add_observer(_Busy(lambda: [room.endpoint.trading.received(member, data) for data in asked]))
    room.buy(1, "98.00")
    assert alice.briefs() == [("A", 1, 10), ("J", 2), ("A", 3, 30)]


def test_rejections_can_be_named_otherwise(take_seat):
    _, alice = take_seat("4.2", rejections={**REJECTIONS, "symbol": ("x", 99)})
    alice.enter(1, "B", 10, "99.00", stock="NOSUCH")
    assert alice.briefs("reason") == [("J", "x")]


def test_the_number_of_orders_in_a_day_is_bounded(take_seat):
    _, alice = take_seat("5.0", max_orders=2)
    for name in (1, 2, 3):
        alice.enter(name, "B", 10, "99.00")
    assert alice.briefs() == [("A", 1, 10), ("A", 2, 10), ("J", 3)]


# -- 5.0 alone


def tag_28(index: int) -> bytes:
    return bytes((2, 28, index))


def test_number_series_are_independent_and_their_index_is_repeated(take_seat):
    _, alice = take_seat("5.0")
    alice.enter(5, "B", 10, "99.00")
    alice.enter(3, "B", 10, "99.00", tags=tag_28(1))
    alice.enter(4, "B", 10, "99.00")  # lower than one that was seen
    alice.cancel(5, tags=tag_28(1))
    alice.cancel(3, tags=tag_28(1))
    alice.cancel(5)
    told = alice.take()
    assert [one.brief("name") for one in told] == [("A", 5), ("A", 3), ("C", 3), ("C", 5)]
    assert [one.tags for one in told] == [{}, {28: b"\1"}, {28: b"\1"}, None]
    alice.raw(b"Q")
    alice.raw(b"Q\0\3" + tag_28(1))
    alice.raw(b"Q\0\3" + tag_28(9))
    told = alice.take()
    assert [(one["next"], one.tags) for one in told] == [(6, None), (4, {28: b"\1"}), (1, {28: b"\x09"})]


def test_every_message_has_an_appendage_in_the_later_edition(take_seat):
    room, alice = take_seat("5.0", has_appendages=True)
    alice.enter(1, "B", 10, "99.00", tags=b"\2\4R\5\2AACC")
    room.sell(5, "99.00")
    alice.cancel(1)
    alice.enter(2, "B", 10, "99.005")
    told = alice.take()
    assert [(one.letter, one.tags) for one in told] == [("A", {4: b"R", 2: b"AACC"}), ("E", {}), ("C", {}), ("J", {})]


def test_a_wrong_appendage_is_rejected_where_it_names_a_new_order_and_else_ignored(take_seat):
    room, alice = take_seat("5.0")
    alice.enter(1, "B", 10, "99.00")
    alice.replace(1, 2, 20, "99.00", tags=b"\2\x0cP\2\x0cP", text="NEW")
    alice.replace(1, 2, 20, "99.00")
    alice.cancel(1, tags=b"\2\x0cP")
    told = alice.take()
    assert [one.brief() for one in told] == [("A", 1, 10), ("J", 2)] and told[1].brief("reason", "text") == (
        "J", 15, "NEW",
    )  # fmt: skip
    assert [entry[1] for entry in room.ignored()] == ["ReplaceOrder", "CancelOrder"]
    assert len(room.venue.live_orders()) == 1


def mass_cancel(name: int, firm: str = "", stock: str = "", tags: bytes = b"") -> bytes:
    return struct.pack(">cI4s8sH", b"C", name, firm.encode().ljust(4), stock.encode().ljust(8), len(tags)) + tags


@pytest.mark.parametrize(
    ("firm", "stock", "tags", "gone"),
    [
        ("", "", b"", [1, 2, 3]),
        ("AACC", "", b"", [4]),
        ("", "ACME", b"", [1, 2]),
        ("", "", b"\2\x1bS", [2]),
        ("", "", b"\3\x18\0\7", [3]),
    ],
    ids=["all", "firm", "symbol", "side", "group"],
)
def test_many_are_canceled_at_once(firm, stock, tags, gone, take_seat):
    room, alice = take_seat("5.0")
    bob = room.client("bob")
    bob.enter(1, "B", 10, "98.00")
    alice.enter(1, "B", 10, "99.00")
    alice.enter(2, "S", 10, "101.00")
    alice.enter(3, "B", 10, "99.00", stock="BETA", tags=b"\3\x18\0\7")
    alice.enter(4, "B", 10, "99.00", firm="AACC")
    alice.take()
    alice.raw(mass_cancel(9, firm, stock, tags))
    answer, *told = alice.take()
    assert answer.brief("name", "firm", "stock") == ("X", 9, firm, stock)
    assert [one.brief("name", "reason") for one in told] == [("C", name, "U") for name in gone]
    alice.raw(mass_cancel(9))  # repeated: ignored
    assert alice.take() == [] and len(bob.take()) == 1


def test_a_replace_stays_with_the_firm_of_the_order(take_seat):
    users = {"alice": OuchUser(firms={"AAAA": A, "BBBB": B})}
    room, alice = take_seat("5.0", users=users)
    alice.enter(1, "B", 10, "99.00", firm="BBBB")
    alice.replace(1, 2, 20, "99.00", tags=b"\5\2AAAA")
    assert alice.take()[1].tags == {2: b"BBBB"}
    assert [order.account for order in room.venue.live_orders()] == [B]
    alice.raw(mass_cancel(3))
    assert alice.briefs("name") == [("X", 3)]
    alice.raw(mass_cancel(4, "BBBB"))
    assert alice.briefs("name") == [("X", 4), ("C", 2)]


def switch(letter: bytes, name: int, firm: str = "") -> bytes:
    return struct.pack(">cI4sH", letter, name, firm.encode().ljust(4), 0)


def test_order_entry_is_switched_off_and_on_for_a_firm(take_seat):
    room, alice = take_seat("5.0")
    alice.enter(1, "B", 10, "99.00")
    alice.raw(switch(b"D", 2))
    alice.enter(3, "B", 10, "99.00")
    alice.enter(4, "B", 10, "99.00", firm="AACC")
    alice.raw(switch(b"E", 5))
    alice.enter(6, "B", 10, "99.00")
    alice.raw(switch(b"D", 7, "BBBB"))
    told = alice.take()
    assert [one.letter for one in told] == ["A", "G", "J", "A", "K", "A", "J"]
    assert told[2]["reason"] == told[6]["reason"] == 12
    assert len(room.venue.live_orders()) == 3, "open orders stay"


def test_an_iceberg_is_restated_when_it_shows_a_new_slice(take_seat):
    room, alice = take_seat("5.0")
    alice.enter(1, "B", 30, "99.00", tags=b"\5\5\0\0\0\x0a")
    assert room.book()[0] == [("99.00", 10, 1)]
    room.sell(4, "99.00")
    room.sell(16, "99.00")
    told = alice.take()
    assert [one.letter for one in told] == ["A", "E", "E", "R", "E", "R"]
    assert told[0].tags == {5: b"\0\0\0\x0a"}
    assert told[3]["reason"] == "R" and told[3].tags is not None and told[3].tags[22] == b"\0\0\0\x0a"


def test_self_match_groups_keep_orders_apart_and_the_strategy_is_repeated(take_seat):
    room, alice = take_seat("5.0", venue={"self_trade": SelfTrade.OLDEST})
    alice.enter(1, "S", 10, "100.00", tags=b"\3\x1e\0\1\2\x1dX")
    alice.enter(2, "B", 10, "100.00", tags=b"\3\x1e\0\2")
    alice.enter(3, "S", 10, "100.00", tags=b"\3\x1e\0\1\2\x1dX")
    alice.enter(4, "B", 10, "100.00", tags=b"\3\x1e\0\1")
    told = alice.take()
    assert [one.brief("name") for one in told] == [
        ("A", 1), ("A", 2), ("E", 2), ("E", 1), ("A", 3), ("A", 4), ("D", 3),
    ]  # fmt: skip
    assert told[-1]["strategy"] == "X"
    assert room.venue.live_orders(account=A)[0].client_order_id == "4"
