"""Faults on command at the simulated FIX venue: each does what it says, and the venue goes on."""

from __future__ import annotations

import time

import pytest
from fix_client import FixClient
from fix_room import Room, with_room

from txtrader.exsim.latency import AT_ONCE, Fixed


def is_closed(client: FixClient) -> bool:
    try:
        while client._socket.recv(65536):
            pass
    except ConnectionError:
        return True
    return True


@with_room
def test_an_answer_is_withheld_and_the_order_lives_all_the_same(room: Room) -> None:
    client = room.client()
    rule = room.do(room.endpoint.withhold, "8")
    client.order("A1", 1, 100, "99.50")
    client.send("H", (11, "A1"), (54, 1))  # a status is a report as well: nothing comes
    assert client.is_quiet(0.2)
    assert len(room.do(room.venue.live_orders)) == 1
    room.do(rule.remove)
    client.send("H", (11, "A1"), (54, 1))
    report = client.next("8")
    assert (report[34], report[39]) == ("2", "0"), "what was withheld took no number"


@with_room
def test_reports_come_twice_late_and_in_another_sequence(room: Room) -> None:
    client = room.client()
    rule = room.do(room.endpoint.duplicate)
    client.order("A1", 1, 100, "99.50")
    first, second = client.next("8"), client.next("8")
    assert first[17] == second[17] and int(second[34]) == int(first[34]) + 1
    room.do(rule.remove)
    rule = room.do(room.endpoint.reorder)
    client.order("A2", 2, 1)  # it trades with the first one: three reports
    assert [client.next("8")[150] for _ in range(2)] == ["F", "0"], "the fill comes before the acknowledgement"
    room.do(rule.remove)
    assert (last := client.next("8"))[11] == "A1" and last[150] == "F", "what was held back is sent"
    room.do(room.endpoint.delay, 0.3)
    start = time.monotonic()
    client.order("A3", 1, 100, "99.00")
    client.next("8")
    assert time.monotonic() - start > 0.25


@with_room
def test_a_session_is_made_slow_and_quick_again(room: Room) -> None:
    client = room.client()
    (connection,) = room.endpoint.connections
    room.do(lambda: connection.pump.set_latency(latency_in=Fixed(seconds=0.1), latency_out=Fixed(seconds=0.1)))
    start = time.monotonic()
    for key in ("A1", "A2"):
        client.order(key, 1, 100, "99.50")
    room.do(lambda: connection.pump.set_latency(latency_in=AT_ONCE))
    client.order("A3", 1, 100, "99.50")
    assert [client.next("8")[11] for _ in range(3)] == ["A1", "A2", "A3"]
    assert time.monotonic() - start >= 0.2


@with_room
def test_a_garbled_message_is_a_gap_that_a_resend_fills(room: Room) -> None:
    client = room.client()
    room.do(room.endpoint.garble)
    client.order("A1", 1, 100, "99.50")
    deadline = time.monotonic() + 5
    while not room.do(room.venue.live_orders) and time.monotonic() < deadline:
        time.sleep(0.01)
    client.order("A2", 1, 100, "99.40")
    got = client.next("8")
    while got[11] != "A2":  # simplefix does not look at the checksum; who does has only the second
        got = client.next("8")
    assert got[34] == "3"
    client.send("2", (7, 2), (16, 2))
    again = client.next("8")
    assert (again[34], again[43], again[11]) == ("2", "Y", "A1")


@with_room
def test_numbers_are_skipped_and_repeated(room: Room) -> None:
    client = room.client()
    room.do(room.endpoint.skip_numbers, 5)
    client.order("A1", 1, 100, "99.50")
    assert client.next("8")[34] == "7"
    client.send("2", (7, 2), (16, 6))
    fill = client.next("4")
    assert (fill[34], fill[36]) == ("2", "7"), "there is nothing to repeat"
    room.do(room.endpoint.repeat_numbers, 3)
    client.order("A2", 1, 100, "99.40")
    assert client.next("8")[34] == "5"


@with_room
def test_a_storm_of_resends_is_asked_for(room: Room) -> None:
    client = room.client()
    room.do(lambda: room.endpoint.demand_resend(1, times=5))
    assert [client.next("2")[7] for _ in range(5)] == ["1"] * 5


@with_room
def test_connections_are_cut_refused_and_silent(room: Room) -> None:
    client = room.client()
    room.do(room.endpoint.drop_after, 2)
    client.order("A1", 1, 100, "99.50")
    client.order("A2", 1, 100, "99.40")
    client.next("8")
    assert is_closed(client)
    room.until_nobody_is_there()
    room.do(room.endpoint.refuse)
    with pytest.raises(ConnectionRefusedError):
        room.client()
    room.do(room.endpoint.refuse, False)
    back = room.client(logs_on=False, number=client.number)
    back.log_on(heartbeat=1)
    room.do(room.endpoint.go_silent)
    back.send("1", (112, "anybody?"))
    assert back.is_quiet(1.3), "no heartbeat either"
    room.do(room.endpoint.go_silent, False)
    while back.next_of_all().get(112) != "anybody?":
        pass  # what was said meanwhile is heard
    assert room.do(room.endpoint.drop_connections) == 1
    assert is_closed(back)
