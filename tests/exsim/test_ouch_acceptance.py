"""The dialogue by which an exchange certifies clients, in its sequence, as one long test for each version."""

from __future__ import annotations

from decimal import Decimal

import pytest
from exsim_venue import ACME
from ouch_client import OuchClient, Room

from txtrader.exsim.records import Changes, SelfTrade


def fill_of(room: Room, quantity: int) -> str:
    """Return the id of alice's last execution of that size."""
    return [fill.exec_id for fill in room.venue.fills(owner="ouch|ALICE") if fill.quantity == quantity][-1]


@pytest.mark.parametrize("version", ["4.2", "5.0"])
def test_the_whole_certification(version):
    room = Room(version, options={"opens_day": False}, self_trade=SelfTrade.NEWEST)
    is_old = version == "4.2"

    # login refused, then taken
    stranger = OuchClient(room)
    assert stranger.log_in("wrong") == "J" and stranger.packets == [("J", b"A")] and stranger.is_closed
    alice = OuchClient(room)
    assert alice.log_in() == "A" and alice.next_number == 1

    # start of day: nothing is accepted before
    alice.enter(1, "B", 100, "99.00")
    assert alice.briefs("name", "reason") == [("J", 1, "M" if is_old else 15)]
    room.endpoint.start_day()
    room.run()
    assert alice.briefs("event") == [("S", "S")]
    alice.enter(1, "B", 100, "99.00")  # the name of a rejected order stays used
    assert alice.take() == []

    # accept and cancel
    alice.enter(2, "B", 100, "99.00")
    accepted = alice.take()[0]
    assert accepted.brief("name", "side", "shares", "stock", "price", "state") == (
        "A", 2, "B", 100, "ACME", "99", "L",
    )  # fmt: skip
    assert accepted["ref"] == room.venue.live_orders()[0].id
    alice.cancel(2)
    assert alice.briefs("name", "shares", "reason") == [("C", 2, 100, "U")]

    # full fill
    alice.enter(3, "B", 100, "99.50")
    room.sell(100, "99.50")
    room.run()
    assert alice.briefs() == [("A", 3, 100), ("E", 3, 100)]
    assert room.book() == ([], [])

    # immediate or cancel
    room.sell(40, "99.50")
    alice.enter(4, "B", 100, "99.50", life="ioc")
    taken = alice.take()
    assert [one.brief() for one in taken] == [("A", 4, 100), ("E", 4, 40), ("C", 4, 60)]
    assert (taken[1]["liquidity"], taken[2]["reason"]) == ("R", "I")

    # self-match prevention
    alice.enter(5, "S", 30, "100.00")
    alice.enter(6, "B", 50, "100.50")
    alice.cancel(5)
    told = alice.take()
    assert [one.brief() for one in told] == [("A", 5, 30), ("A", 6, 50), ("D", 6, 50), ("C", 5, 30)]
    assert told[2].brief("reason", "prevented", "price", "liquidity") == ("D", "Q", 30, "100", "R")

    # two partial fills
    alice.enter(7, "S", 100, "100.00")
    room.buy(30, "100.00", account="B2")
    room.buy(70, "100.00", account="B2")
    room.run()
    told = alice.take()
    assert [one.brief() for one in told] == [("A", 7, 100), ("E", 7, 30), ("E", 7, 70)]
    assert told[1]["match"] != told[2]["match"] and told[1]["liquidity"] == "A"

    # execution with reference price
    room.endpoint.refer(Decimal("98.7654"))
    alice.enter(8, "S", 10, "100.00")
    room.buy(10, "100.00", account="B2")
    room.run()
    executed = alice.take()[1]
    if is_old:
        assert executed.brief("name", "shares", "ref_price", "ref_type") == ("G", 8, 10, "98.7654", "I")
    else:
        assert executed.letter == "E"

    # correction, first of the price, then of the size as well; then a bust
    number = told[1]["match"]
    room.venue.correct(fill_of(room, 30), price=Decimal("99.99"))
    room.venue.correct(fill_of(room, 30), quantity=Decimal(29))
    room.venue.bust(fill_of(room, 29))
    room.run()
    told = alice.take()
    if is_old:
        assert [one.letter for one in told] == ["K", "F", "B"]
        assert {one["match"] for one in told} == {number} and {one["reason"] for one in told} == {"E"}
        assert (told[0]["price"], told[1]["shares"]) == (Decimal("99.99"), 29)
    else:
        assert [one.letter for one in told] == ["B", "E", "B", "E", "B"]
        numbers = [one["match"] for one in told]
        assert numbers[0] == number and numbers[1:] == [numbers[1], numbers[1], numbers[3], numbers[3]]
        assert len(set(numbers)) == 3
        assert told[1].brief("shares", "price") == ("E", 30, "99.99")
        assert told[3].brief("shares", "price") == ("E", 29, "99.99")

    # replace and fill
    alice.enter(10, "B", 500, "99.00")
    room.sell(100, "99.00")
    alice.replace(10, 11, 500, "99.10")
    room.sell(400, "99.10")
    room.run()
    told = alice.take()
    assert [one.brief() for one in told] == [("A", 10, 500), ("E", 10, 100), ("U", 11, 400), ("E", 11, 400)]
    assert told[2].brief("old", "side", "stock", "price", "state") == ("U", 10, "B", "ACME", "99.1", "L")
    assert told[2]["ref"] != told[0]["ref"]

    # replace and cancel
    alice.enter(12, "B", 50, "99.00")
    alice.replace(12, 13, 60, "99.00")
    alice.cancel(12)  # the old name is dead
    alice.cancel(13)
    assert alice.briefs() == [("A", 12, 50), ("U", 13, 60), ("C", 13, 60)]

    # modify and fill
    alice.enter(14, "S", 50, "101.00")
    alice.modify(14, "T", 40)
    room.buy(40, "101.00", account="B2")
    room.run()
    told = alice.take()
    assert [one.brief() for one in told] == [("A", 14, 50), ("M", 14, 40), ("E", 14, 40)]
    assert told[1]["side"] == "T"

    # modify and cancel
    alice.enter(15, "E", 50, "101.00")
    alice.modify(15, "S", 50)
    alice.cancel(15)
    assert alice.briefs() == [("A", 15, 50), ("M", 15, 50), ("C", 15, 50)]

    # cancel pending, then cancel
    alice.enter(16, "B", 10, "99.00")
    room.endpoint.hold_cancels()
    alice.cancel(16)
    alice.cancel(16)
    assert alice.briefs() == [("A", 16, 10), ("P", 16)]
    room.endpoint.hold_cancels(False)
    room.run()
    assert alice.briefs() == [("C", 16, 10)]

    # partial cancel, fill, cancel reject
    alice.enter(17, "B", 1000, "99.00")
    room.sell(300, "99.00")
    alice.cancel(17, 500)
    room.sell(50, "99.00")
    room.endpoint.refuse_cancels()
    alice.cancel(17)
    assert alice.briefs() == [("A", 17, 1000), ("E", 17, 300), ("C", 17, 500), ("E", 17, 50), ("I", 17)]
    assert room.venue.live_orders(owner="ouch|ALICE")[0].remaining == 150
    alice.cancel(17)
    alice.take()

    # priority update and fill
    alice.enter(18, "B", 10, "99.00")
    room.venue.replace(None, room.venue.live_orders()[0].id, Changes(limit_price=Decimal("99.01")))
    room.sell(10, "99.00")
    room.run()
    told = alice.take()
    assert [one.brief("name", "price") for one in told] == [("A", 18, "99"), ("T", 18, "99.01"), ("E", 18, "99.01")]

    # end of day
    alice.enter(19, "B", 10, "99.00")
    alice.take()
    former = alice.session
    room.endpoint.end_day()
    room.run()
    assert [one.brief(*names) for one, names in zip(alice.take(), (("name", "reason"), ("event",)), strict=True)] == [
        ("C", 19, "E"),
        ("S", "E"),
    ]
    assert alice.packets[-1] == ("Z", b"") and alice.is_closed
    assert not room.venue.live_orders()

    # the next day has another session; logout
    room.endpoint.start_day()
    again = OuchClient(room)
    assert again.log_in() == "A" and again.session != former and again.next_number == 2
    assert again.briefs("event") == [("S", "S")]
    again.enter(1, "B", 10, "99.00")  # names begin again, too
    again.cancel(1)
    assert again.briefs() == [("A", 1, 10), ("C", 1, 10)]
    again.packet("O")
    assert again.is_closed
    assert room.venue.phase(ACME.id) == "continuous"
    room.close()
