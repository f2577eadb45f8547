"""Auction figures over FIX: the clearing price and the imbalance, as long as an auction is under way."""

from __future__ import annotations

from typing import Any

from fix_books import ask, entries, until_answered
from fix_room import Room, with_room
from policy_room import rule
from test_fix_by_order import ibm

from txtrader.exsim.endpoints.fix import FixOptions
from txtrader.exsim.policies.policy import Policy
from txtrader.exsim.records import Phase
from txtrader.model.order import Side
from txtrader.wire.fix.session import SessionOptions
from txtrader.wire.fix.validation import Switches


def move(room: Room, phase: Phase) -> None:
    room.do(room.venue.set_phase, ibm(room).id, phase)


def told(changes: list[dict[int, str]]) -> list[tuple[Any, ...]]:
    return [tuple(entry.get(tag) for tag in (279, 269, 278, 270, 271, 277)) for entry in changes]


@with_room
def test_price_and_imbalance_come_with_an_auction_change_with_it_and_go(room: Room) -> None:
    client = room.client("FIXT.1.1")
    ask(client, "M", 1, "Q", "A", 2)
    assert [entry[269] for entry in entries(client, "W")] == ["2"]
    number = ibm(room).id
    price_id, rest_id = f"Q{number}", f"A{number}"
    move(room, Phase.CLOSING_AUCTION)
    assert told(entries(client, "X")) == [("0", "A", rest_id, None, "0", None)]
    room.trade(Side.BUY, 10, "99.00")
    assert until_answered(client) == [], "alone it changes nothing"
    room.trade(Side.SELL, 4, "98.00")
    assert told(entries(client, "X")) == [
        ("0", "Q", price_id, "99", "4", None),
        ("1", "A", rest_id, None, "6", "P"),
    ]
    late = room.client("FIXT.1.1", sender="LATE")
    ask(late, "M", 0, "Q", "A")
    assert told(entries(late, "W")) == [(None, "Q", price_id, "99", "4", None), (None, "A", rest_id, None, "6", "P")]
    room.trade(Side.SELL, 20, "99.00")
    assert told(entries(client, "X")) == [
        ("1", "Q", price_id, "99", "10", None),
        ("1", "A", rest_id, None, "14", "Q"),
    ]
    move(room, Phase.TRADE_AT_LAST)
    end = entries(client, "X")
    assert told(end)[-2:] == [("2", "Q", price_id, "99", "10", None), ("2", "A", rest_id, None, "14", "Q")]
    assert [(entry[269], entry[271]) for entry in end[:-2]] == [("2", "4"), ("2", "6")], "the uncross, in one message"
    ask(late, "N", 0, "Q", "A")
    assert entries(late, "W") == []


@with_room
def test_a_price_that_there_is_no_more_is_deleted(room: Room) -> None:
    client = room.client("FIXT.1.1")
    move(room, Phase.CLOSING_AUCTION)
    ask(client, "M", 1, "Q")
    entries(client, "W")
    room.trade(Side.BUY, 10, "99.00")
    room.trade(Side.SELL, 10, "99.00")
    (new,) = entries(client, "X")
    orders = room.do(room.venue.live_orders)
    room.do(room.venue.cancel, "stranger", orders[0].id)
    (gone,) = entries(client, "X")
    assert (new[279], gone[279], gone[278]) == ("0", "2", new[278])


@with_room
def test_a_call_that_goes_on_under_another_name_is_no_news(room: Room) -> None:
    client = room.client("FIXT.1.1")
    for phase in (Phase.CLOSED, Phase.PRE_OPEN):
        move(room, phase)
    room.trade(Side.BUY, 10, "99.00")
    room.trade(Side.SELL, 4, "98.00")
    ask(client, "M", 1, "A", "Q")
    assert len(entries(client, "W")) == 2
    move(room, Phase.OPENING_AUCTION)
    assert until_answered(client) == []
    move(room, Phase.CONTINUOUS)
    assert [entry[279] for entry in entries(client, "X")] == ["2", "2"]


@with_room
def test_version_4_4_has_the_imbalance_beside_a_book_by_order(room: Room) -> None:
    client = room.client()
    ask(client, "M", 1, 0, 1, "A", _266="N")
    entries(client, "W")
    move(room, Phase.PAUSE)
    assert told(entries(client, "X"))[0][:2] == ("0", "A")
    room.trade(Side.BUY, 10, "99.00")
    assert [entry[269] for entry in entries(client, "X")] == ["0"]
    room.trade(Side.SELL, 4, "98.00")
    assert sorted((entry[279], entry[269]) for entry in entries(client, "X")) == [("0", "1"), ("1", "A")]
    ask(client, "N", 1, "Q")
    refused = client.next("3")
    assert (refused[371], refused[373]) == ("269", "5"), "the dictionary of 4.4 has no Q"


@with_room
def test_what_a_version_lacks_is_refused_by_name(room: Room) -> None:
    room.endpoint.options = FixOptions(session=SessionOptions(switches=Switches(checks_lists=False)))
    clients = {version: room.client(version) for version in ("FIX.4.2", "FIX.4.4", "FIXT.1.1")}
    for version, kind in (("FIX.4.2", "A"), ("FIX.4.2", "Q"), ("FIX.4.4", "Q")):
        ask(clients[version], "M", 1, 0, kind)
        refused = clients[version].next("Y")
        assert refused[281] == "8" and refused[58] == f"FIX {version[4:]} has no entry types {kind}"
    ask(clients["FIXT.1.1"], "M", 1, 0, "J")
    refused = clients["FIXT.1.1"].next("Y")
    assert (refused[281], refused[58]) == ("8", "entry types J are not offered")
    assert room.endpoint.application.data.lines_on(ibm(room).id) == 0


@with_room
def test_auction_figures_pass_policies_and_are_held_while_data_are_stale(room: Room) -> None:
    stale = rule({"type": "depth", "nth": 2, "symbol": "IBM"}, {"do": "stale", "seconds": 0.2})
    room.do(room.venue.policies.add, Policy("stale", [stale]))
    client = room.client("FIXT.1.1")
    move(room, Phase.CLOSING_AUCTION)
    ask(client, "M", 1, 0, "A")
    entries(client, "W")
    room.trade(Side.BUY, 10, "99.00")
    assert [entry[269] for entry in entries(client, "X")] == ["0"]
    room.trade(Side.SELL, 4, "98.00")
    assert client.is_quiet(0.25)
    room.trade(Side.SELL, 1, "98.00")
    assert told(entries(client, "X"))[0][1:] == ("A", f"A{ibm(room).id}", None, "5", "P")
