"""Policies that change what is told, seen by a FIX client: twice, falsified, withheld, late, in another sequence."""

from __future__ import annotations

import time

from policy_room import Room, add, kinds, rule, with_room

from txtrader.exsim.policies import Policy
from txtrader.model.order import Side


@with_room
def test_an_acknowledgement_comes_twice(room: Room) -> None:
    client = room.client()
    add(room, rule("ack", "duplicate"))
    client.order("A1", 1, 100, "99.50")
    first, second = client.next("8"), client.next("8")
    assert (first[17], first[150]) == (second[17], second[150]) and int(second[34]) == int(first[34]) + 1


@with_room
def test_an_acknowledgement_comes_after_the_fill(room: Room) -> None:
    client = room.client()
    room.trade(Side.SELL, 100, "99.00")
    add(room, rule("ack", {"do": "withhold", "until": "fill"}))
    client.order("A1", 1, 100, "99.50")
    assert kinds(client, 2) == [("F", "2"), ("0", "0")]


@with_room
def test_an_execution_comes_again_with_other_content_and_a_wrong_sum(room: Room) -> None:
    client = room.client()
    room.trade(Side.SELL, 200, "99.00")
    add(
        room,
        rule({"type": "fill", "nth": 1}, {"do": "repeat_altered", "quantity": 7, "price": "0.25"}),
        rule("fill", {"do": "alter", "cumulative": -30}),
    )
    client.order("A1", 1, 100, "99.50")
    client.next("8")
    true, false = client.next("8"), client.next("8")
    assert true[17] == false[17]
    assert (true[32], true[31], false[32], false[31]) == ("100", "99", "107", "99.25")
    client.order("A2", 1, 100, "99.50")
    client.next("8")
    assert client.next("8")[14] == "70"


@with_room
def test_a_missing_report_comes_with_a_status_request(room: Room) -> None:
    client = room.client()
    room.trade(Side.SELL, 100, "99.00")
    add(room, rule("fill", {"do": "withhold", "until": "asked"}))
    client.order("A1", 1, 100, "99.50")
    client.next("8")
    assert client.is_quiet()
    client.send("H", (11, "A1"), (54, 1), (55, "IBM"))
    assert kinds(client, 2) == [("F", "2"), ("I", "2")]
    room.trade(Side.SELL, 100, "99.00")
    client.order("A2", 1, 100, "99.50")
    client.next("8")
    client.close()
    room.until_nobody_is_there()
    back = room.client(logs_on=False, number=client.number)
    back.log_on()
    back.send("H", (11, "A2"), (54, 1), (55, "IBM"))
    assert kinds(back, 2) == [("F", "2"), ("I", "2")], "by the connection on which it was asked"


@with_room
def test_reports_leave_in_another_sequence_or_late(room: Room) -> None:
    client = room.client()
    room.trade(Side.SELL, 10, "99.00")
    room.trade(Side.SELL, 10, "99.10")
    policy = add(room, rule({"type": ["ack", "fill"]}, {"do": "reorder", "window": 3}))
    client.order("A1", 1, 20, "99.50")
    seen = [(report[150], report[14]) for report in (client.next("8") for _ in range(3))]
    assert sorted(seen) == [("0", "0"), ("F", "10"), ("F", "20")] and seen != sorted(seen)
    room.do(room.venue.policies.remove, policy.name)
    policy = add(room, rule("ack", "reorder"), name="pairs")
    for number in range(6):
        client.order(f"P{number}a", 1, 20, "98.00")
        client.order(f"P{number}b", 1, 20, "98.00")
        assert [client.next("8")[11] for _ in range(2)] == [f"P{number}b", f"P{number}a"], "never as they were"
    room.do(room.venue.policies.remove, policy.name)
    add(room, rule("canceled", {"do": "delay", "seconds": 0.1, "to": 0.2}), name="late")
    client.order("A2", 1, 20, "98.50")
    start = time.monotonic()
    client.change("F", "C2", "A2", 1, 20)
    assert kinds(client, 2) == [("0", "0"), ("4", "4")]
    assert time.monotonic() - start > 0.08


@with_room
def test_prices_are_stale_and_catch_up_with_the_next_change(room: Room) -> None:
    client = room.client()
    client.send("V", (262, "M"), (263, 1), (264, 0), (265, 1), (267, 1), (269, 0), (146, 1), (55, "IBM"))
    client.next("W")
    stale = rule({"type": "depth", "nth": 1, "symbol": "IBM"}, {"do": "stale", "seconds": 0.2})
    room.do(room.venue.policies.add, Policy("stale", [stale]))
    for number in range(3):
        room.trade(Side.BUY, 10, f"99.{number}0")
    assert client.is_quiet(0.25)
    room.trade(Side.BUY, 10, "98.00")
    assert client.next("X")[268] == "4"


@with_room
def test_any_message_is_matched_by_its_fields_and_a_picture_disagrees(room: Room) -> None:
    client = room.client()
    room.trade(Side.SELL, 10, "99.00")
    wrong = {"do": "alter", "price": "5"}
    add(room, rule("snapshot", wrong), rule({"type": "message", "fields": {"name": "f", "326": "17"}}, "withhold"))
    client.send("V", (262, "M"), (263, 0), (264, 1), (267, 1), (269, 1), (146, 1), (55, "IBM"))
    assert client.next("W")[270] == "104"
    client.send("e", (324, "S"), (55, "IBM"), (263, 0))
    assert client.is_quiet()
