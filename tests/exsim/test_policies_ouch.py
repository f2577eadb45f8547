"""Policies seen by an OUCH client that shares no code with ours, in either version: answers, and what is told."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from exsim_venue import ACME
from ouch_client import OuchClient, Room
from policy_room import rule

from txtrader.exsim.policies import Policy
from txtrader.exsim.policies.faces import NotOffered
from txtrader.exsim.records import Decision


@pytest.fixture(params=["4.2", "5.0"])
def room(request):
    made = Room(request.param)
    yield made
    made.close()


@pytest.fixture
def alice(room: Room) -> OuchClient:
    return room.client()


def add(room: Room, *rules: dict[str, Any], name: str = "p", **scope: Any) -> Policy:
    policy = Policy(name, rules, {"endpoint": "ouch", **scope})
    room.venue.policies.add(policy)
    return policy


def letters(client: OuchClient) -> str:
    return "".join(one.letter for one in client.take())


# -- requests


def test_orders_are_refused_by_rule_with_a_reason(room: Room, alice: OuchClient):
    add(room, rule({"type": "new", "fields": {"quantity": {">": 50}}}, {"do": "reject", "reason": "price"}))
    alice.enter(1, "B", 51, "99.00")
    alice.enter(2, "B", 50, "99.00")
    reason = {"4.2": "X", "5.0": 29}[room.version]
    assert alice.briefs("name") == [("J", 1), ("A", 2)]
    alice.enter(3, "B", 60, "99.00")
    assert alice.take()[0]["reason"] == reason
    add(room, rule("new", {"do": "throttle", "most": 1, "interval": 10}), name="slow")
    alice.enter(4, "B", 10, "99.00")
    alice.enter(5, "B", 10, "99.00")
    assert letters(alice) == "AJ"


def test_an_acknowledgement_is_late_and_a_cancel_and_a_replace_wait_for_it(room: Room, alice: OuchClient):
    add(room, rule("new", {"do": "delay", "seconds": 1}))
    alice.enter(1, "B", 10, "99.00")
    alice.cancel(1)
    alice.enter(2, "B", 10, "99.00")
    alice.replace(2, 3, 20, "99.01")
    alice.enter(4, "S", 10, "101.00")
    alice.modify(4, "T", 5)
    assert alice.take() == []
    room.clock.advance(1)
    told = alice.take()
    assert [one.letter for one in told] == ["A", "C", "A", "U", "A", "M"]
    assert [one["side"] for one in told if one.letter in "AM"] == ["B", "B", "S", "T"]
    assert (told[3]["old"], told[3]["name"], told[3]["shares"]) == (2, 3, 20)


def test_an_order_without_an_answer_is_canceled_all_the_same(room: Room, alice: OuchClient):
    add(room, rule("new", "swallow"))
    alice.enter(1, "B", 10, "99.00")
    alice.enter(1, "B", 10, "99.00")  # to be sure, it repeats it
    assert alice.take() == [] and room.ignored() == [("ALICE", "EnterOrder", name_of(room, 1))]
    alice.cancel(1)
    assert alice.briefs("name", "shares", "reason") == [("C", 1, 10, "U")]
    assert not room.endpoint.members["ALICE"].live


def name_of(room: Room, number: int) -> Any:
    return f"T{number}" if room.version == "4.2" else (0, number)


def test_a_parked_order_waits_for_a_decision(room: Room, alice: OuchClient):
    add(room, rule("new", "park"))
    for number in (1, 2, 3):
        alice.enter(number, "B", 10, "99.00")
    assert alice.take() == []
    parked = [record[3] for record in room.venue.tape.of_kind("parked")]
    room.venue.release(parked[0], Decision.FILL)
    room.venue.release(parked[1], Decision.REJECT)
    room.venue.release(parked[2], Decision.CANCEL)
    assert alice.briefs("name") == [("A", 1), ("E", 1), ("J", 2), ("A", 3), ("C", 3)]


def test_cancels_are_refused_pending_late_and_swallowed(room: Room, alice: OuchClient):
    for number in range(1, 6):
        alice.enter(number, "B", 10, "99.00")
    alice.take()
    add(
        room,
        rule({"type": "cancel", "nth": 1}, "refuse"),
        rule({"type": "cancel", "nth": 1}, "pend", {"do": "delay", "seconds": 1}),
        rule({"type": "cancel", "nth": 1}, "pend", "swallow"),
        rule({"type": ["cancel", "replace"], "nth": 1}, {"do": "refuse", "reason": "venue"}),
        rule("cancel", "fill_first"),
    )
    alice.cancel(1)
    assert alice.briefs("name") == [("I", 1)]
    alice.cancel(2)
    assert alice.briefs("name") == [("P", 2)]
    room.clock.advance(1)
    assert alice.briefs("name") == [("C", 2)]
    alice.cancel(3)
    room.clock.advance(10)
    assert alice.briefs("name") == [("P", 3)], "pending for ever"
    alice.cancel(4, 5)
    assert alice.briefs("name") == [("I", 4)], "a part is refused as the whole"
    alice.cancel(5)
    assert alice.briefs() == [("E", 5, 10)] and room.ignored() == [], "the fill crosses the cancel"
    room.venue.policies.remove("p")
    alice.cancel(3)
    assert alice.briefs("name") == [("C", 3)], "it can be asked for again"


def test_late_requests_are_told_as_what_they_were(room: Room, alice: OuchClient):
    alice.enter(1, "S", 100, "101.00")
    alice.take()
    add(
        room,
        rule({"type": "replace", "nth": 1}, {"do": "delay", "seconds": 2}),
        rule({"type": "replace", "nth": 1}, {"do": "delay", "seconds": 1}),
        rule({"type": "replace", "nth": 1}, {"do": "delay", "seconds": 3}, "refuse"),
        rule({"type": "replace", "nth": 1}, {"do": "delay", "seconds": 4}, "refuse"),
    )
    alice.cancel(1, 80)
    alice.modify(1, "T", 90)
    alice.modify(1, "E", 70)
    alice.cancel(1, 60)
    room.clock.advance(1)
    assert alice.briefs("name", "side", "shares") == [("M", 1, "T", 90)]
    room.clock.advance(1)
    assert alice.briefs() == [("C", 1, 10)]
    room.clock.advance(1)
    assert alice.take() == [] and [record[1] for record in room.ignored()] == ["ModifyOrder"]
    room.clock.advance(1)
    assert alice.briefs("name") == [("I", 1)]
    room.venue.cancel_by_venue(room.venue.live_orders()[0].id, "enough")
    assert alice.briefs("name", "shares", "reason") == [("C", 1, 80, "S")]


def test_replaces_are_refused_late_and_made_smaller(room: Room, alice: OuchClient):
    alice.enter(1, "B", 100, "99.00")
    alice.take()
    add(room, rule("replace", "refuse"))
    alice.replace(1, 2, 150, "99.01")
    (told,) = alice.take()
    assert told.brief("name") == ("J", 2) and len(room.venue.live_orders()) == 1, "the old one stays"
    assert told["reason"] == {"4.2": "O", "5.0": 11}[room.version]
    alice.replace(1, 2, 150, "99.01")
    assert alice.take() == [], "the name is used"
    room.venue.policies.remove("p")
    add(room, rule("replace", {"do": "delay", "seconds": 1}))
    alice.replace(1, 3, 150, "99.01")
    room.sell(30, "99.00")
    assert alice.briefs() == [("E", 1, 30)]
    room.clock.advance(1)
    (replaced,) = alice.take()
    assert (replaced["old"], replaced["name"], replaced["shares"]) == (1, 3, 120), "150 in all, 30 done meanwhile"
    alice.replace(3, 4, 200, "99.02")
    room.sell(120, "99.00")
    room.clock.advance(1)
    assert alice.briefs() == [("E", 3, 120)], "nothing is left to replace: silence"
    room.venue.policies.remove("p")
    add(room, rule("replace", {"do": "lessen", "share": "0.5"}), name="less")
    alice.enter(5, "B", 100, "98.00")
    alice.replace(5, 6, 100, "98.01")
    assert [one["shares"] for one in alice.take()] == [100, 50]
    room.sell(20, "98.00")
    alice.cancel(6)
    assert [one.brief() for one in alice.take()] == [("E", 6, 20), ("C", 6, 30)]


def test_a_replace_that_its_own_fill_has_overtaken_cancels_what_is_left(room: Room, alice: OuchClient):
    add(room, rule("replace", {"do": "fill_first", "share": "0.5"}))
    alice.enter(1, "B", 100, "99.00")
    alice.replace(1, 2, 40, "99.01")
    assert alice.briefs() == [("A", 1, 100), ("E", 1, 50), ("C", 1, 50)]
    alice.enter(2, "B", 10, "98.00")
    assert alice.briefs() == [("A", 2, 10)], "the new name stayed free"


# -- executions


def test_the_house_fills_in_parts_too_much_late_and_takes_back(room: Room, alice: OuchClient):
    add(
        room,
        rule({"type": "new", "nth": 1}, {"do": "fill", "parts": 2, "share": "0.5", "rest": "idle"}, "cancel"),
        rule({"type": "new", "nth": 1}, {"do": "fill"}, {"do": "overfill", "quantity": 5}),
        rule("cancel", {"do": "fill_late"}),
    )
    alice.enter(1, "B", 100, "99.00")
    assert alice.briefs() == [("A", 1, 100), ("E", 1, 25), ("E", 1, 25), ("C", 1, 50)]
    alice.enter(2, "B", 10, "99.00")
    assert alice.briefs() == [("A", 2, 10), ("E", 2, 10), ("E", 2, 5)]
    alice.enter(3, "B", 10, "99.00")
    alice.cancel(3)
    assert alice.briefs() == [("A", 3, 10), ("C", 3, 10), ("E", 3, 10)]
    assert not room.endpoint.members["ALICE"].live


def test_an_execution_is_busted_and_corrected(room: Room, alice: OuchClient):
    add(
        room,
        rule({"type": "fill", "nth": 1}, "bust"),
        rule({"type": "fill", "nth": 1}, {"do": "correct", "better": 2, "seconds": 1}),
    )
    alice.enter(1, "B", 30, "99.00")
    room.sell(10, "99.00")
    told = alice.take()
    assert [one.letter for one in told] == ["A", "E", "B"] and told[1]["match"] == told[2]["match"]
    room.sell(20, "99.00")
    room.clock.advance(1)
    told = alice.take()
    assert [one.letter for one in told] == {"4.2": ["E", "K"], "5.0": ["E", "B", "E"]}[room.version]
    assert told[-1]["price"] == Decimal("98.98")


def test_orders_are_ended_and_made_smaller_unasked(room: Room, alice: OuchClient):
    add(
        room,
        rule({"type": "ack", "nth": 1}, "cancel"),
        rule({"type": "ack", "nth": 1}, "expire"),
        rule({"type": "ack", "nth": 1}, {"do": "restate", "share": "0.4"}),
    )
    for number in (1, 2, 3):
        alice.enter(number, "B", 10, "99.00")
    told = [one.brief("name", "reason") if one.letter == "C" else one.brief("name") for one in alice.take()]
    assert told[:4] == [("A", 1), ("C", 1, "S"), ("A", 2), ("C", 2, "E")]
    assert told[4:] == [("A", 3), ("C", 3, "S"), ("T", 3)]


# -- what is told


def test_an_acknowledgement_comes_twice_after_the_fill_or_never(room: Room, alice: OuchClient):
    room.sell(30, "99.00")
    add(
        room,
        rule({"type": "ack", "nth": 1}, "duplicate"),
        rule({"type": "ack", "nth": 1}, {"do": "withhold", "until": "fill"}),
        rule({"type": "ack", "nth": 1}, "withhold"),
    )
    alice.enter(1, "B", 10, "98.00")
    alice.enter(2, "B", 10, "99.00")
    alice.enter(3, "B", 10, "99.00")
    told = alice.take()
    assert [one.brief("name") for one in told] == [("A", 1), ("A", 1), ("E", 2), ("A", 2), ("E", 3)]
    assert [one.number for one in told] == list(range(2, 7)), "what is not told has no number"
    assert told[0]["ref"] == told[1]["ref"]


def test_executions_are_repeated_with_other_content_and_falsified(room: Room, alice: OuchClient):
    add(
        room,
        rule({"type": "fill", "nth": 1}, {"do": "repeat_altered", "quantity": 7, "price": "0.25"}),
        rule({"type": "fill", "nth": 1}, {"do": "alter", "quantity": -100}),
        rule("ack", {"do": "alter", "quantity": 1, "price": "-0.5"}),
    )
    alice.enter(1, "B", 30, "99.00")
    assert alice.briefs("shares", "price") == [("A", 31, "98.5")]
    room.sell(10, "99.00")
    true, false = alice.take()
    assert (true["shares"], true["price"], false["shares"], false["price"]) == (10, 99, 17, Decimal("99.25"))
    assert true["match"] == false["match"]
    room.sell(10, "99.00")
    assert alice.briefs() == [("E", 1, 0)], "no figure is below nothing"


def test_reports_are_late_and_in_another_sequence(room: Room, alice: OuchClient):
    add(room, rule("fill", {"do": "reorder", "window": 2}), rule("canceled", {"do": "delay", "seconds": 1}))
    alice.enter(1, "B", 30, "99.00")
    room.sell(1, "99.00")
    room.sell(2, "99.00")
    alice.cancel(1)
    assert [one.brief() for one in alice.take()] == [("A", 1, 30), ("E", 1, 2), ("E", 1, 1)]
    room.clock.advance(1)
    assert alice.briefs() == [("C", 1, 27)]


def test_who_comes_back_reads_the_falsified_stream_and_so_does_who_was_away(room: Room, alice: OuchClient):
    add(
        room,
        rule({"type": "fill", "nth": 2}, "withhold"),
        rule({"type": "fill", "nth": 2}, {"do": "alter", "quantity": 100}),
    )
    alice.enter(1, "B", 30, "99.00")
    room.sell(1, "99.00")
    session = alice.session
    first = alice.take()
    alice.close()
    room.sell(2, "99.00")  # withheld
    room.sell(3, "99.00")  # altered: the second that the second rule sees
    room.sell(4, "99.00")
    room.venue.policies.remove("p")
    room.sell(5, "99.00")
    for sequence, wanted in ((1, [1, 103, 4, 5]), (4, [103, 4, 5]), (5, [4, 5])):
        back = OuchClient(room)
        assert back.log_in(session=session, sequence=sequence) == "A"
        told = back.take()
        assert [one["shares"] for one in told if one.letter == "E"] == wanted
        if sequence == 1:
            assert [repr(one) for one in told[1:3]] == [repr(one) for one in first]
        back.close()


def test_what_was_held_back_into_the_next_day_is_on_the_tape_alone(room: Room, alice: OuchClient):
    add(room, rule("fill", {"do": "delay", "seconds": 5}))
    alice.enter(1, "B", 30, "99.00")
    room.sell(30, "99.00")
    room.endpoint.end_day()
    room.endpoint.start_day()
    room.clock.advance(5)
    assert [record[3:] for record in room.venue.tape.of_kind("ouch_unsent")] == [("ALICE", "Executed")]
    assert [one.letter for one in room_client_told(room)] == ["S"]


def room_client_told(room: Room) -> list[Any]:
    back = OuchClient(room)
    assert back.log_in() == "A"
    return back.take()


def test_a_missing_report_comes_with_a_query(room: Room, alice: OuchClient):
    held = rule("fill", {"do": "withhold", "until": "asked"})
    if room.version == "4.2":
        with pytest.raises(NotOffered) as caught:
            add(room, held)
        assert caught.value.path == "rules[0].actions[0].until"
        return
    add(room, held)
    alice.enter(1, "B", 30, "99.00")
    room.sell(30, "99.00")
    assert letters(alice) == "A"
    alice.raw(b"Q")
    assert letters(alice) == "EQ"


def test_a_rule_reads_the_fields_of_the_wire_and_of_the_order(room: Room, alice: OuchClient):
    shares = {"4.2": "shares", "5.0": "quantity"}[room.version]
    policy = add(
        room,
        rule({"type": "fill", "fields": {"liquidity": "A", "quantity": 4, shares: 4, "price": "99"}}, "withhold"),
        rule({"type": "ack", "side": "SELL", "session": "ouch|ALICE", "symbol": "ACME"}, "withhold"),
        rule({"type": "rejected", "fields": {"name": "Rejected"}}, "withhold"),
        rule({"type": "expired", "fields": {"reason": "T"}}, "withhold"),
        rule({"type": "message", "fields": {"event": "E"}}, "withhold"),
    )
    alice.enter(1, "B", 30, "99.00")
    room.sell(4, "99.00")
    room.sell(5, "99.00")
    alice.enter(2, "S", 10, "103.00")
    alice.enter(3, "B", 10, "99.00", stock="NONE")
    alice.enter(4, "B", 10, "97.00", **({"life": 2} if room.version == "4.2" else lives_two_seconds()))
    room.clock.advance(3)
    room.endpoint.end_day()
    assert [one.brief("name") if one.letter != "S" else "S" for one in alice.take()] == [
        ("A", 1), ("E", 1), ("A", 4), ("C", 1), ("C", 2),
    ]  # fmt: skip
    assert [one["fired"] for one in policy.to_dict()["rules"]] == [1, 1, 1, 1, 1]


def lives_two_seconds() -> dict[str, Any]:
    return {"life": "6", "tags": b"\5\x0f\0\0\0\2"}


def test_a_refused_replace_is_told_from_a_refused_order(room: Room, alice: OuchClient):
    policy = add(room, rule("replace_rejected", "duplicate"), rule("rejected", "withhold"))
    alice.enter(1, "B", 30, "99.00")
    room.endpoint.hold_cancels()
    alice.replace(1, 2, 30, "98.00")
    alice.enter(3, "B", 30, "99.00", stock="NONE")
    assert alice.briefs("name") == [("A", 1), ("J", 2), ("J", 2)]
    assert [one["fired"] for one in policy.to_dict()["rules"]] == [1, 1]


# -- what is not offered


@pytest.mark.parametrize(
    ("one", "path"),
    [
        (rule("now", "demand_resend"), "rules[0].actions[0].do"),
        (rule("now", "ignore_tests"), "rules[0].actions[0].do"),
        (rule("connect", "skip_numbers"), "rules[0].actions[0].do"),
        (rule("now", {"do": "spoil", "what": "checksum"}), "rules[0].actions[0].what"),
        (rule("new", "pend"), "rules[0].actions[0].do"),
        (rule("replace", "swallow", "pend"), "rules[0].actions[1].do"),
        (rule("commission", "withhold"), "rules[0].match.type"),
        (rule("ack", {"do": "withhold", "until": "activated"}), "rules[0].actions[0].until"),
        (rule("fill", {"do": "alter", "cumulative": 1}), "rules[0].actions[0].cumulative"),
        (rule("fill", {"do": "alter", "quantity": "0.5"}), "rules[0].actions[0].quantity"),
        (rule("fill", {"do": "repeat_altered", "price": "0.00001"}), "rules[0].actions[0].price"),
        (rule(["ack", "canceled"], {"do": "alter", "price": 1}), "rules[0].actions[0].price"),
    ],
)
def test_what_this_wire_has_not_is_refused(room: Room, one: dict[str, Any], path: str):
    if isinstance(one["match"], list):
        one = {**one, "match": {"type": one["match"]}}
    for scope in ({"endpoint": "ouch"}, {}):
        with pytest.raises(NotOffered) as caught:
            room.venue.policies.add(Policy("p", [one], scope))
        assert caught.value.path == path
    assert room.venue.policies.to_list() == []


def test_what_one_version_has_not_is_refused(room: Room):
    for one in (rule("corrected", "withhold"), rule("status_request", "drop")):
        offered = (one["match"]["type"] == "corrected") is (room.version == "4.2")
        if offered:
            add(room, one)
            room.venue.policies.remove("p")
        else:
            with pytest.raises(NotOffered):
                add(room, one)


def test_the_same_run_gives_the_same_bytes(room: Room):
    def play(name: str) -> list[Any]:
        here = Room(room.version)
        alice = here.client()
        add(
            here,
            rule({"type": "new", "probability": "0.3"}, {"do": "reject"}),
            rule("new", {"do": "delay", "seconds": "0.1", "to": "0.9"}, {"do": "fill", "parts": 2}),
            rule("fill", {"do": "reorder", "window": 3, "seconds": 1}),
            name=name,
        )
        for number in range(1, 13):
            alice.enter(number, "B", 10, "99.00")
            here.clock.advance(0.2)
        here.clock.advance(4)
        data = list(here.endpoint.members["ALICE"].stream.packets(1, 10**6))
        here.close()
        return data

    first = play("p")
    assert play("p") == first and len(first[0]) > 1000
    assert play("q") != first


def test_a_halt_and_the_end_of_the_day_come_by_rule(room: Room, alice: OuchClient):
    add(room, rule({"type": "ack", "nth": 1}, "halt"), rule({"type": "rejected", "nth": 1}, "end_of_day"))
    alice.enter(1, "B", 10, "99.00")
    alice.enter(2, "B", 10, "99.00")
    told = alice.take()
    assert [one.letter for one in told] == ["A", "J", "C", "S"] and told[-1]["event"] == "E"
    assert alice.packets[-1][0] == "Z" and alice.is_closed
    back = OuchClient(room)
    assert back.log_in() == "A" and back.session != alice.session
    assert [one["event"] for one in back.take()] == ["S"]
    assert room.venue.phase(ACME.id) is not None


def test_a_venue_that_is_restarted_may_have_forgotten_its_streams_and_its_book(room: Room, alice: OuchClient):
    alice.enter(1, "B", 10, "99.00")
    alice.take()
    add(room, rule("now", {"do": "restart", "seconds": 1}), name="short")
    room.run()
    assert alice.is_closed and room.network.ports == {}
    room.clock.advance(1)
    back = OuchClient(room)
    assert back.log_in(session=alice.session, sequence=3) == "A" and back.take() == []
    add(room, rule("now", {"do": "restart", "seconds": 1, "numbers": True, "book": False}), name="long")
    room.run()
    assert back.is_closed
    room.clock.advance(1)
    lost = OuchClient(room)
    assert lost.log_in(session=alice.session, sequence=3) == "J"
    new = OuchClient(room)
    assert new.log_in() == "A"
    assert [one.letter for one in new.take()] == ["S", "C"]
    new.enter(1, "B", 10, "99.00")
    assert new.take() == [], "names stay used for the day"


def test_what_was_held_back_is_not_told_by_a_venue_that_has_forgotten(room: Room, alice: OuchClient):
    add(room, rule("fill", {"do": "delay", "seconds": 5}))
    alice.enter(1, "B", 10, "99.00")
    room.sell(10, "99.00")
    add(room, rule("now", {"do": "restart", "seconds": 1, "numbers": True}), name="crash")
    room.clock.advance(5)
    assert [record[3:] for record in room.venue.tape.of_kind("ouch_unsent")] == [("ALICE", "Executed")]
    assert [one.letter for one in room_client_told(room)] == ["S"]
