"""Policies that answer requests, seen by a FIX client: refused, late, never, parked, filled in every wrong way."""

from __future__ import annotations

import time
from decimal import Decimal

from fix_room import of_every_version
from policy_room import Room, add, kinds, rule, with_room

from txtrader.exsim.records import Decision
from txtrader.model.order import Side

IBM = "IBM"


def house_and_accounts(room: Room) -> Decimal:
    """What all accounts and the house hold of IBM: nothing, or something was made out of nothing."""

    def total() -> Decimal:
        (listing,) = room.venue.instruments.find(symbol=IBM, currency="USD")
        held = sum((one.quantity for one in room.venue.holdings() if one.listing_id == listing.id), Decimal(0))
        return held + room.venue._floor.market(listing.id).house_lots * listing.step

    return room.do(total)


@with_room
def test_every_second_order_of_a_symbol_is_refused_with_reason_and_text(room: Room) -> None:
    client = room.client()
    reject = {"do": "reject", "reason": "quantity", "text": "not today"}
    policy = add(room, rule({"type": "new", "symbol": IBM, "every": 2, "fields": {"quantity": {">": 10}}}, reject))
    for number in range(4):
        client.order(f"A{number}", 1, 100, "99.50")
    client.order("A9", 1, 10, "99.50")
    seen = [client.next("8") for _ in range(5)]
    assert [report[39] for report in seen] == ["0", "8", "0", "8", "0"]
    assert (seen[1][103], seen[1][58]) == ("13", "not today")
    assert (policy.rules[0].seen, policy.rules[0].fired) == (4, 2)
    assert len(room.do(room.venue.live_orders)) == 3


@with_room
def test_an_acknowledgement_comes_late_and_a_cancel_waits_its_turn(room: Room) -> None:
    client = room.client()
    add(room, rule("new", "pend", {"do": "delay", "seconds": 0.2}))
    start = time.monotonic()
    client.order("A1", 1, 100, "99.50")
    client.change("F", "C1", "A1", 1, 100)
    assert kinds(client, 1) == [("A", "A")]
    assert kinds(client, 2) == [("0", "0"), ("4", "4")]
    assert time.monotonic() - start > 0.15


@with_room
def test_an_order_is_never_answered_and_says_pending_when_asked(room: Room) -> None:
    client = room.client()
    add(room, rule({"type": "new", "fields": {"client_order_id": "A1"}}, "swallow"))
    client.order("A1", 1, 100, "99.50")
    client.order("A2", 1, 100, "99.50")
    assert client.next("8")[11] == "A2", "of A1 nothing is heard"
    client.send("H", (11, "A1"), (54, 1), (55, IBM))
    assert kinds(client, 1) == [("I", "A")]
    client.change("F", "C1", "A1", 1, 100)
    assert kinds(client, 1) == [("4", "4")]
    assert len(room.do(room.venue.live_orders)) == 1


@with_room
def test_a_parked_order_waits_for_a_decision(room: Room) -> None:
    client = room.client()
    add(room, rule("new", "park"))

    def parked(key: str) -> int:
        client.order(key, 1, 100, "99.50")
        client.send("1", (112, key))
        while client.next_of_all().get(112) != key:
            pass
        return max(order.id for order in room.do(lambda: list(room.venue._desk.orders.values())))

    for decision, seen in {
        Decision.ACKNOWLEDGE: [("0", "0")],
        Decision.REJECT: [("8", "8")],
        Decision.FILL: [("0", "0"), ("F", "2")],
        Decision.PARTIALLY_FILL: [("0", "0"), ("F", "1")],
        Decision.CANCEL: [("0", "0"), ("4", "4")],
    }.items():
        number = parked(str(decision))
        decide = lambda number=number, decision=decision: room.venue.release(number, decision, quantity=Decimal(30))  # noqa: E731
        assert room.do(decide) is None
        assert kinds(client, len(seen)) == seen, decision
        assert room.do(decide) is not None, "once is enough"
    assert house_and_accounts(room) == 0


@with_room
def test_orders_trade_with_the_house_in_parts_and_at_prices_that_the_book_has_not(room: Room) -> None:
    client = room.client()
    fill = {"do": "fill", "parts": 3, "better": 5}
    policy = add(room, rule({"type": "new", "side": "BUY"}, fill), rule("new", {"do": "fill", "better": -5}))
    client.order("A1", 1, 100, "99.50")
    client.next("8")
    reports = [client.next("8") for _ in range(3)]
    assert [(one[31], one[32], one[39]) for one in reports] == [
        ("99.45", "33", "1"),
        ("99.45", "33", "1"),
        ("99.45", "34", "2"),
    ]
    client.order("A2", 2, 100, "99.50")
    client.next("8")
    assert client.next("8")[31] == "99.45", "worse than its limit"
    assert [one.fired for one in policy.rules] == [1, 1]
    assert house_and_accounts(room) == 0
    marks = room.do(lambda: room.venue.tape.of_kind("intervention"))
    assert [mark[-1] for mark in marks] == [False, False, False, True], "the tape marks what broke a limit"


@with_room
def test_a_partial_fill_is_followed_by_nothing_by_a_cancel_or_by_its_undoing(room: Room) -> None:
    client = room.client()
    part = {"do": "fill", "share": "0.4", "rest": "idle"}
    add(
        room,
        rule({"type": "new", "fields": {"client_order_id": "A1"}}, part),
        rule({"type": "new", "fields": {"client_order_id": "A2"}}, part, {"do": "cancel", "text": "enough"}),
        rule({"type": "new", "fields": {"client_order_id": "A3"}}, "fill", "bust"),
        rule({"type": "new", "fields": {"client_order_id": "A4"}}, "fill", {"do": "correct", "better": 10}),
    )
    client.order("A1", 1, 100, "99.50")
    assert kinds(client, 2) == [("0", "0"), ("F", "1")]
    room.trade(Side.SELL, 100, "99.50")
    client.order("A2", 1, 100, "99.00")
    assert kinds(client, 2) == [("0", "0"), ("F", "1")], "the seller met nobody: A1 stays open and does not trade"
    report = client.next("8")
    assert (report[150], report[14], report[58]) == ("4", "40", "enough")
    client.order("A3", 1, 100, "98.00")
    assert kinds(client, 3) == [("0", "0"), ("F", "2"), ("H", "2")]
    client.order("A4", 1, 100, "98.00")
    assert kinds(client, 2) == [("0", "0"), ("F", "2")]
    report = client.next("8")
    assert (report[150], report[31]) == ("G", "97.9")
    add(room, rule("fill", "bust"), name="undone")
    room.trade(Side.BUY, 10, "97.00")
    client.order("A5", 2, 10, "97.00")
    assert kinds(client, 3) == [("0", "0"), ("F", "2"), ("H", "2")], "the fill of another's order, taken back at once"
    assert house_and_accounts(room) == 0


@with_room
def test_an_order_is_overfilled_and_one_that_was_canceled_trades(room: Room) -> None:
    client = room.client()
    add(
        room,
        rule("new", {"do": "overfill", "quantity": 50}),
        name="over",
    )
    client.order("A1", 1, 100, "99.50")
    client.next("8")
    report = client.next("8")
    assert (report[39], report[14], report[38], report[151]) == ("2", "150", "100", "0")
    assert room.do(lambda: room.venue.tape.of_kind("intervention"))[-1][4] == "overfill"
    room.do(room.venue.policies.remove, "over")
    add(room, rule("cancel", {"do": "fill_late", "seconds": 0.05}))
    client.order("A2", 1, 100, "99.40")
    client.change("F", "C2", "A2", 1, 100)
    assert kinds(client, 2) == [("0", "0"), ("4", "4")]
    assert kinds(client, 1) == [("F", "2")], "the fill crosses the cancel, and is told after it"
    assert house_and_accounts(room) == 0
    assert room.do(lambda: [position.open_buy for position in positions(room)]) == [0]


def positions(room: Room) -> list:
    return [one for account in room.venue._accounts.values() for one in account.positions.values() if one.quantity]


@with_room
def test_cancels_and_replaces_are_refused_left_pending_or_crossed(room: Room) -> None:
    client = room.client()
    of = lambda key: {"fields": {"client_order_id": key}}  # noqa: E731
    add(
        room,
        rule({"type": ["cancel", "replace"], **of("A1")}, {"do": "refuse", "reason": "unknown-order"}),
        rule({"type": ["cancel", "replace"], **of("A2")}, {"do": "refuse", "reason": "pending", "text": "wait"}),
        rule({"type": ["cancel", "replace"], **of("A3")}, "fill_first"),
        rule({"type": "cancel", **of("A4")}, "pend", "swallow"),
        rule({"type": "replace", **of("A5")}, {"do": "lessen", "share": "0.5"}),
    )
    for number in range(1, 6):
        client.order(f"A{number}", 1, 100, f"99.{number}0")
        client.next("8")
    client.change("F", "C1", "A1", 1, 100)
    assert (report := client.next("9"))[102] == "1" and report[434] == "1"
    client.change("G", "C2", "A2", 1, 200, "99.20")
    assert (report := client.next("9"))[102] == "3" and report[434] == "2" and report[58] == "wait"
    client.change("F", "C3", "A3", 1, 100)
    assert client.next("8")[150] == "F"
    assert client.next("9")[102] == "0", "too late: it is filled"
    client.change("F", "C4", "A4", 1, 100)
    pending = client.next("8")
    assert (pending[150], pending[39], pending[11], pending[41]) == ("6", "6", "C4", "A4")
    client.change("F", "D4", "A4", 1, 100)
    assert client.next("9")[102] == "3", "for ever"
    client.change("G", "C5", "A5", 1, 300, "99.50")
    assert (report := client.next("8"))[150] == "5" and report[38] == "150"


@with_room
def test_too_many_requests_are_refused_or_wait_or_end_the_connection(room: Room) -> None:
    client = room.client()
    add(room, rule("new", {"do": "throttle", "most": 2, "interval": 60}), name="load")
    for number in range(3):
        client.order(f"A{number}", 1, 100, "99.50")
    assert [report[39] for report in (client.next("8") for _ in range(3))] == ["0", "0", "8"]
    room.do(room.venue.policies.remove, "load")
    add(room, rule("new", {"do": "throttle", "most": 1, "interval": 0.1, "then": "delay"}), name="load")
    start = time.monotonic()
    for number in range(3, 6):
        client.order(f"A{number}", 1, 100, "99.50")
    assert [client.next("8")[11] for _ in range(3)] == ["A3", "A4", "A5"]
    assert time.monotonic() - start > 0.15
    room.do(room.venue.policies.remove, "load")
    add(room, rule("new", {"do": "throttle", "most": 1, "interval": 60, "then": "disconnect"}), name="load")
    client.order("A6", 1, 100, "99.50")
    client.next("8")
    client.order("A7", 1, 100, "99.50")
    room.until_nobody_is_there()
    assert len(room.do(room.venue.live_orders)) == 6, "A7 was never the venue's"


@with_room
def test_an_order_ends_or_shrinks_unasked(room: Room) -> None:
    client = room.client()
    of = lambda key: {"type": "ack", "fields": {"client_order_id": key}}  # noqa: E731
    add(
        room,
        rule(of("A1"), "cancel"),
        rule(of("A2"), "expire"),
        rule(of("A3"), {"do": "restate", "share": "0.3"}),
    )
    for number, seen in {1: ("4", "4"), 2: ("C", "C"), 3: ("D", "0")}.items():
        client.order(f"A{number}", 1, 100, "99.50")
        assert kinds(client, 2) == [("0", "0"), seen]
    assert [order.remaining for order in room.do(room.venue.live_orders)] == [30]


@of_every_version
def test_each_version_says_what_is_pending_and_why_a_request_is_refused(room: Room, version: str) -> None:
    client = room.client(version)
    add(
        room,
        rule("new", "pend"),
        rule("cancel", "pend", {"do": "refuse", "reason": "pending"}),
        rule("replace", "pend", {"do": "refuse", "reason": "venue"}),
    )
    client.order("A1", 1, 100, "99.50", _1="DU1000001")
    assert kinds(client, 2) == [("A", "A"), ("0", "0")]
    client.change("F", "C1", "A1", 1, 100)
    assert kinds(client, 1) == [("6", "6")]
    assert (report := client.next("9"))[102] == "3" and report[39] == "0"
    client.change("G", "C2", "A1", 1, 200, "99.60")
    assert kinds(client, 1) == [("E", "E")]
    assert client.next("9")[102] == ("2" if version == "FIX.4.2" else "99")
