"""Policies that spoil connections and sessions, seen by a FIX client on a real socket."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest
from policy_room import FixClient, Room, add, rule, with_room

from txtrader.exsim.policies.faces import NotOffered
from txtrader.exsim.policies.policy import Policy
from txtrader.model.order import Side


def until(fits: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not fits():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def is_listening(room: Room) -> bool:
    try:
        socket.create_connection(("127.0.0.1", room.port)).close()
    except ConnectionRefusedError:
        return False
    return True


def rest_of(client: FixClient) -> tuple[bytes, str]:
    """Return what still comes, and how the connection ends."""
    data = b""
    try:
        while piece := client._socket.recv(65536):
            data += piece
    except ConnectionResetError:
        return data, "rst"
    except TimeoutError:
        return data, "open"
    return data, "fin"


@with_room
def test_a_connection_ends_with_a_reset_in_order_or_in_one_direction(room: Room) -> None:
    for how, seen in (("rst", "rst"), ("fin", "fin"), ("half", "fin")):
        client = room.client(number=1, sender=how)
        add(room, rule("ack", {"do": "drop", "how": how}), session={"pattern": f".*{how}"})
        client.order("A1", 1, 100, "99.50")
        data, end = rest_of(client)
        assert end == seen and data.count(b"\x0135=8\x01") == 1
        room.do(room.venue.policies.remove, "p")
        if how == "half":
            client.order("A2", 1, 100, "99.50")
            until(lambda: len(room.do(room.venue.live_orders)) == 4)  # it still reads


@with_room
def test_a_connection_is_cut_after_messages_after_bytes_and_in_the_middle(room: Room) -> None:
    for sender, drop, messages, is_whole in (
        ("MSG", {"after_messages": 2, "how": "fin"}, 2, True),
        ("BYTE", {"after_bytes": 100, "how": "fin"}, 1, False),
        ("MID", {"after_messages": 2, "mid_message": True, "how": "fin"}, 2, False),
    ):
        client = room.client(sender=sender)
        add(room, rule("now", {"do": "drop", **drop}), session={"pattern": f".*{sender}"})
        for number in range(messages):
            client.order(f"A{number}", 1, 100, "99.50")
        data, _ = rest_of(client)
        assert data.count(b"8=FIX.4.4\x01") == messages, sender
        assert (data.rfind(b"\x0110=") == len(data) - 8) is is_whole, sender
        if sender == "BYTE":
            assert len(data) == 100
        room.do(room.venue.policies.remove, "p")


@with_room
def test_bytes_come_one_by_one_in_a_lump_late_and_with_nonsense_between(room: Room) -> None:
    client = room.client()
    add(room, rule("now", {"do": "trickle", "every": 0.0005}))
    client.order("A1", 1, 100, "99.50")
    sizes = []
    data = b""
    while not data.endswith(b"\x01") or b"\x0110=" not in data:
        piece = client._socket.recv(65536)
        sizes.append(len(piece))
        data += piece
    assert sizes.count(1) > len(sizes) / 2 and data.count(b"8=FIX") == 1
    room.do(room.venue.policies.remove, "p")
    other = room.client(sender="LUMP")
    add(room, rule("now", {"do": "merge", "count": 3, "seconds": 30}), session={"pattern": ".*LUMP"})
    for number in range(2):
        other.order(f"A{number}", 1, 100, "99.50")
    assert other.is_quiet()
    other.order("A2", 1, 100, "99.50")
    assert other._socket.recv(65536).count(b"8=FIX") == 3
    room.do(room.venue.policies.remove, "p")
    third = room.client(sender="NOISE")
    add(
        room,
        rule("now", {"do": "garbage", "text": "8=nonsense", "count": 2}, {"do": "lag", "seconds": 0.1}),
        session={"pattern": ".*NOISE"},
    )
    start = time.monotonic()
    third.order("A1", 1, 100, "99.50")
    assert third._socket.recv(65536).startswith(b"8=nonsense8=FIX.4.4\x01") and time.monotonic() - start > 0.09


@with_room
def test_connections_are_silent_frozen_and_refused(room: Room) -> None:
    add(room, rule("connect", "half_open"), name="mute")
    client = room.client(logs_on=False)
    client.send("A", (98, 0), (108, 30))
    assert client.is_quiet(), "accepted, and nothing is said"
    room.do(room.venue.policies.remove, "mute")
    (connection,) = room.endpoint.connections
    room.do(connection.pump.close)  # as its session does when it has heard nothing for long
    assert rest_of(client) == (b"", "fin")
    room.until_nobody_is_there()
    client = room.client(sender="SLOW")
    add(room, rule("now", {"do": "freeze", "seconds": 0.2}))
    start = time.monotonic()
    client.order("A1", 1, 100, "99.50")
    client.next("8")
    assert time.monotonic() - start > 0.15
    add(room, rule("now", {"do": "refuse_connections", "seconds": 0.2}), name="closed")
    until(lambda: not is_listening(room))
    until(lambda: is_listening(room))


@with_room
def test_a_flood_of_connections_is_cut(room: Room) -> None:
    add(room, rule("connect", {"do": "throttle", "most": 2, "interval": 60, "then": "disconnect"}))
    for number in range(2):
        room.client(sender=f"C{number}")
    try:
        third = room.client(sender="C3", logs_on=False)
    except ConnectionResetError:
        return  # it was cut before connecting was through
    assert rest_of(third)[1] == "rst"


@with_room
def test_logons_are_refused_and_sessions_ended_with_a_word(room: Room) -> None:
    add(room, rule({"type": "logon", "first": 1}, {"do": "reject_logon", "text": "come back later"}), name="logons")
    client = room.client(logs_on=False)
    client.send("A", (98, 0), (108, 30))
    assert client.next("5")[58] == "come back later"
    assert rest_of(client)[1] == "fin"
    room.until_nobody_is_there()
    client = room.client()
    add(room, rule("ack", {"do": "log_out", "text": "that is enough"}))
    client.order("A1", 1, 100, "99.50")
    client.next("8")
    assert client.next("5")[58] == "that is enough"


@with_room
def test_numbers_jump_repeat_and_begin_again_and_resends_are_demanded(room: Room) -> None:
    client = room.client()
    add(
        room,
        rule({"type": "ack", "nth": 1}, {"do": "skip_numbers", "count": 5}),
        rule({"type": "ack", "nth": 2}, {"do": "repeat_numbers", "count": 3}),
        rule({"type": "ack", "nth": 3}, "reset_numbers"),
    )
    numbers = []
    for number in range(6):
        client.order(f"A{number}", 1, 100, "99.50")
        numbers.append(int(client.next("8")[34]))
    # what a rule has taken the next ones do not see: the second one's second is the third acknowledgement
    assert numbers == [2, 8, 9, 7, 8, 1]
    other = room.client(sender="OTHER")
    add(room, rule("now", {"do": "demand_resend", "begin": 3, "times": 4}), name="storm")
    assert [other.next("2")[7] for _ in range(4)] == ["3"] * 4


@with_room
def test_heartbeats_stop_and_test_requests_stay_unanswered(room: Room) -> None:
    client = room.client(logs_on=False)
    client.log_on(heartbeat=1)
    add(room, rule("now", "stop_heartbeats"))
    client.send("1", (112, "there?"))
    assert client.next_of_all()[112] == "there?"
    assert client.is_quiet(1.1)
    client.order("A1", 1, 100, "99.50")
    assert client.next("8")[34] == "3", "what was not sent took no number"
    add(room, rule("now", "ignore_tests"), name="deaf")
    client.send("1", (112, "still there?"))
    assert client.is_quiet()


@with_room
def test_frames_are_wrong_in_every_way(room: Room) -> None:
    client = room.client()
    for place, (what, looks) in enumerate(
        {
            "checksum": lambda frame: checksum(frame) != frame[-4:-1],
            "length": lambda frame: length(frame) != body(frame),
            "time": lambda frame: b"\x0152=19700101-00:00:00.000\x01" in frame,
            "type": lambda frame: b"\x0135=ZZ\x01" in frame,
            "version": lambda frame: frame.startswith(b"8=FIX.9.9\x01"),
            "field": lambda frame: b"\x0137=" not in frame,
        }.items()
    ):
        name = add(room, rule("now", {"do": "spoil", "what": what}), name=what).name
        client.order(f"A{place}", 1, 100, "99.50")
        frame = client._socket.recv(65536)
        assert looks(frame), what
        if what != "checksum":
            assert checksum(frame) == frame[-4:-1], what
        if what not in ("length", "checksum"):
            assert length(frame) == body(frame), what
        room.do(room.venue.policies.remove, name)


def checksum(frame: bytes) -> bytes:
    return b"%03d" % (sum(frame[: frame.rindex(b"10=")]) % 256)


def length(frame: bytes) -> int:
    return int(frame.split(b"\x01")[1].removeprefix(b"9="))


def body(frame: bytes) -> int:
    first = frame.index(b"\x01", frame.index(b"\x019=") + 1) + 1
    return frame.rindex(b"10=") - first


@with_room
def test_what_cannot_be_done_is_refused_when_it_is_added(room: Room) -> None:
    policies = room.venue.policies
    with pytest.raises(NotOffered, match="nothing of type commission"):
        room.do(policies.add, Policy("a", [rule("commission", "withhold")], {"endpoint": "fix"}))
    with pytest.raises(NotOffered, match="no endpoint"):
        room.do(policies.add, Policy("a", [rule("now", "drop")], {"endpoint": "ouch"}))
    assert room.do(policies.to_list) == []


@with_room
def test_a_day_ends_with_new_numbers_and_a_restart_forgets_them(room: Room) -> None:
    client = room.client()
    client.order("A1", 1, 100, "99.50")
    client.next("8")
    add(room, rule("now", "end_of_day"), name="evening")
    assert client.next("8")[150] == "C"
    logon = client.next("A")
    assert (logon[34], logon[141]) == ("1", "Y")
    client.order("A2", 1, 100, "99.50")  # crosses the demand, as a client's would
    add(room, rule("now", {"do": "restart", "seconds": 0.2, "numbers": True, "book": False}), name="restart")
    rest_of(client)
    until(lambda: not is_listening(room))
    until(lambda: is_listening(room))
    back = room.client(logs_on=False)
    back.send("A", (98, 0), (108, 30))
    assert back.next("A")[34] == "1"
    assert room.do(room.venue.live_orders) == []


@with_room
def test_a_crossed_market_is_seen_until_the_next_change(room: Room) -> None:
    client = room.client()
    room.trade(Side.SELL, 10, "101.00")
    client.send("V", (262, "M"), (263, 1), (264, 0), (265, 1), (267, 2), (269, 0), (269, 1), (146, 1), (55, "IBM"))
    client.next("W")
    crossed = rule({"type": "depth", "nth": 1}, {"do": "distort", "how": "crossed"})
    room.do(room.venue.policies.add, Policy("crossed", [crossed]))
    room.trade(Side.BUY, 10, "99.00")
    client.next("X")
    assert bids_of(client) == [("0", "101.01"), ("0", "99")]
    room.trade(Side.BUY, 10, "98.00")
    client.next("X")
    assert bids_of(client) == [("2", "101.01"), ("0", "98")]


def bids_of(client: FixClient) -> list[tuple[str, str]]:
    """Return (update action, price) of each entry of the last X."""
    pairs = [(int(tag), value.decode()) for tag, value in client.last.pairs]
    actions = [value for tag, value in pairs if tag == 279]
    prices = [value for tag, value in pairs if tag == 270]
    return list(zip(actions, prices, strict=True))
