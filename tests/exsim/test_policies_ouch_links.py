"""Policies that spoil OUCH connections and sessions: below the messages, by raw bytes and by Nasdaq's own client."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest
from nasdaq_protocols import soup
from ouch_client import OuchClient, Room
from policy_room import rule
from test_ouch_nasdaq import at_venue, connect, order, told, trade

from txtrader.exsim.policies import Policy
from txtrader.model.order import Side


@pytest.fixture(params=["4.2", "5.0"])
def room(request):
    made = Room(request.param)
    yield made
    made.close()


def add(venue: Any, *rules: dict[str, Any], name: str = "p", **scope: Any) -> None:
    venue.policies.add(Policy(name, rules, {"endpoint": "ouch", **scope}))


def pieces_of(client: OuchClient) -> list[bytes]:
    """Have a client note each piece of bytes as it comes, besides reading it."""
    pieces: list[bytes] = []
    arrived = client.arrived

    def note(data: bytes) -> None:
        pieces.append(data)
        arrived(data)

    client.arrived = note  # type: ignore[method-assign]
    return pieces


# -- cut


@pytest.mark.parametrize(
    ("drop", "whole", "is_cut"),
    [
        ({}, 1, False),
        ({"after_messages": 2}, 3, False),
        ({"after_messages": 2, "mid_message": True}, 2, True),
        ({"mid_message": True}, 1, True),
        ({"after_bytes": 60}, 1, True),
    ],
)
def test_a_connection_is_cut_and_the_stream_goes_on_where_the_client_was(room: Room, drop, whole, is_cut):
    alice = room.client()
    pieces = pieces_of(alice)
    add(room.venue, rule({"type": "ack", "nth": 1}, {"do": "drop", "how": "fin", **drop}))
    for number in range(1, 5):
        if not alice.is_closed:
            alice.enter(number, "B", 10, "99.00")
    room.run()
    assert alice.is_closed
    first = alice.take()
    assert len(first) == whole and bool(alice._in) is is_cut
    if "after_bytes" in drop:
        accepted = {"4.2": 68, "5.0": 66}[room.version] + 1
        assert len(b"".join(pieces)) == accepted + 60, "the message that fired the rule, and so many bytes more"
    room.venue.policies.remove("p")
    back = OuchClient(room)
    assert back.log_in(session=alice.session, sequence=alice.next_number) == "A"
    rest = back.take()
    numbers = [one.number for one in (*first, *rest)]
    assert numbers == list(range(2, 2 + len(numbers))), "nothing is lost, nothing comes twice"
    assert len(numbers) == len(room.venue.live_orders())


@at_venue
async def test_a_connection_ends_with_a_reset_in_order_or_in_one_direction(version, port, venue, endpoint):
    for place, how in enumerate(("rst", "fin", "half")):
        add(venue, rule("ack", {"do": "drop", "how": how}))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(login(b"alice", b"secret"))
        writer.write(raw(order(version, 2 * place + 1, "B", 10, 2_905_000)))
        try:
            data = await reader.read()
            assert how != "rst"
        except ConnectionResetError:
            data = b""
            assert how == "rst"
        if how != "rst":
            assert packets(data)[-1][2:4] == b"SA"
        venue.policies.remove("p")
        if how == "half":
            writer.write(raw(order(version, 6, "B", 10, 2_905_000)))
            while len(venue.live_orders()) < 4:  # it still reads
                await asyncio.sleep(0.001)
        writer.close()
        while endpoint.connections:
            await asyncio.sleep(0.001)


def login(user: bytes, password: bytes, sequence: int = 0) -> bytes:
    return b"\0\x2fL" + user.ljust(6) + password.ljust(10) + b" " * 10 + b"%20d" % sequence


def raw(message: Any) -> bytes:
    data = message.to_bytes()[1]
    return struct.pack(">Hc", 1 + len(data), b"U") + data


def packets(data: bytes) -> list[bytes]:
    found, place = [], 0
    while place < len(data):
        size = 2 + int.from_bytes(data[place : place + 2], "big")
        found.append(data[place : place + size])
        place += size
    return found


# -- bent


def test_bytes_come_in_crumbs_in_a_lump_late_and_with_nonsense_between(room: Room):
    alice, bob = room.client(), room.client("bob")
    crumbs = pieces_of(alice)
    add(room.venue, rule("now", {"do": "trickle", "every": 0.01, "size": 7}), session="ouch|ALICE")
    alice.enter(1, "B", 10, "99.00")
    room.clock.advance(0.05)
    assert alice.take() == []
    for _ in range(20):
        room.clock.advance(0.01)
    assert alice.briefs() == [("A", 1, 10)] and {len(piece) for piece in crumbs[:-1]} == {7}
    room.venue.policies.remove("p")
    lumps = pieces_of(bob)
    add(room.venue, rule("now", {"do": "merge", "count": 3, "seconds": 0.5}), session="ouch|BOB")
    bob.enter(1, "S", 10, "101.00")
    bob.enter(2, "S", 10, "101.00")
    assert lumps == []
    bob.enter(3, "S", 10, "101.00")
    assert len(lumps) == 1 and len(packets(lumps[0])) == 3
    bob.enter(4, "S", 10, "101.00")
    room.clock.advance(0.5)
    assert len(lumps) == 2
    room.venue.policies.remove("p")
    carol = Room(room.version, options={"users": {}})
    late = carol.client("carol")
    bent = pieces_of(late)
    add(carol.venue, rule("now", {"do": "garbage", "text": "%$", "count": 1}, {"do": "lag", "seconds": 0.2}))
    late.enter(1, "B", 10, "99.00")
    carol.clock.advance(0.1)
    assert bent == []
    carol.clock.advance(0.1)
    assert bent[0][:2] == b"%$" and bent[0][4:6] == b"SA"
    carol.close()


def test_connections_are_silent_and_frozen(room: Room):
    add(room.venue, rule("connect", "half_open"), name="mute")
    mute = OuchClient(room)
    assert mute.log_in() == "", "connected, and nothing is said"
    room.venue.policies.remove("mute")
    for _ in range(40):
        room.clock.advance(1)
    room.run()
    assert mute.is_closed and mute.packets == [], "it was not heard, and is let go as one who does not log in"
    alice = room.client()
    add(room.venue, rule("now", {"do": "freeze", "seconds": 2}))
    alice.enter(1, "B", 10, "99.00")
    room.clock.advance(1)
    assert alice.take() == []
    room.clock.advance(1)
    assert alice.briefs() == [("A", 1, 10)]
    beats = pieces_of(alice)
    room.venue.policies.remove("p")
    add(room.venue, rule("now", "freeze"))
    for _ in range(10):
        room.clock.advance(1)
    assert beats == [b"\0\1H"] * 10, "it reads nothing, and goes on"
    for _ in range(6):
        room.clock.advance(1)
    room.run()
    assert alice.is_closed, "until it notices that it hears nothing"


def test_the_port_is_closed_for_a_while_and_floods_are_cut(room: Room):
    add(room.venue, rule("now", {"do": "refuse_connections", "seconds": 2}))
    assert room.network.ports == {}
    room.clock.advance(2)
    room.venue.policies.remove("p")
    add(room.venue, rule("connect", {"do": "throttle", "most": 1, "interval": 60, "then": "disconnect"}))
    room.client()
    second = OuchClient(room, "bob")
    room.run()
    assert second.is_closed


# -- sessions


def test_logins_are_refused_by_letter_or_with_words(room: Room):
    for text, said in (("A", [("J", b"A")]), ("S", [("J", b"S")]), ("not now", [("+", b"not now"), ("J", b"A")])):
        add(room.venue, rule("logon", {"do": "reject_logon", "text": text}))
        client = OuchClient(room)
        client.log_in()
        assert client.packets == said and client.is_closed
        room.venue.policies.remove("p")
    add(room.venue, rule("logon", {"do": "throttle", "most": 1, "interval": 60}))
    first = room.client()
    first.close()
    again = OuchClient(room)
    again.log_in()
    assert again.packets == [("+", b"too many logons"), ("J", b"A")]


def test_a_session_is_ended_with_a_word_and_can_be_resumed(room: Room):
    alice = room.client()
    add(room.venue, rule("ack", {"do": "log_out", "text": "that is enough"}))
    alice.enter(1, "B", 10, "99.00")
    assert alice.briefs() == [("A", 1, 10)], "what was said before leaves first"
    assert alice.packets[1:] == [("+", b"that is enough"), ("Z", b"")] and alice.is_closed
    room.venue.policies.remove("p")
    back = OuchClient(room)
    assert back.log_in(session=alice.session, sequence=2) == "A" and back.briefs() == [("A", 1, 10)]
    add(room.venue, rule("connect", {"do": "log_out", "text": ""}))
    stranger = OuchClient(room, "bob")
    assert stranger.packets == [("J", b"S")] and stranger.is_closed


def test_numbers_are_left_out_used_again_and_begin_again(room: Room):
    alice = room.client()
    for number in range(1, 4):
        alice.enter(number, "B", 10, "99.00")
    alice.take()
    add(room.venue, rule({"type": "ack", "nth": 1}, {"do": "skip_numbers", "count": 2}))
    for number in range(4, 8):
        alice.enter(number, "B", 10, "99.00")
    assert alice.briefs("name") == [("A", 4), ("A", 7)], "two have their numbers, and did not leave"
    assert alice.next_number == 7, "the client counts what it got"
    back_at = alice.next_number
    alice.close()
    room.venue.policies.remove("p")
    back = OuchClient(room)
    assert back.log_in(session=alice.session, sequence=back_at) == "A"
    assert back.briefs("name") == [("A", 6), ("A", 7)], "the stream itself is whole"
    add(room.venue, rule({"type": "ack", "nth": 1}, {"do": "repeat_numbers", "count": 2}))
    back.enter(8, "B", 10, "99.00")
    assert back.briefs("name") == [("A", 8), ("A", 7), ("A", 8)]
    room.venue.policies.remove("p")
    add(room.venue, rule("now", "reset_numbers"))
    told_again = back.take()
    assert [one.letter for one in told_again] == ["S"] + ["A"] * 8
    back.enter(9, "B", 10, "99.00")
    assert back.briefs("name") == [("A", 9)]


def test_a_day_ends_for_a_client_whose_numbers_were_left_out(room: Room):
    alice = room.client()
    add(room.venue, rule("now", {"do": "skip_numbers", "count": 5}))
    room.endpoint.end_day()
    room.run()
    assert alice.packets[-1][0] == "Z" and alice.is_closed


def test_heartbeats_stop_and_the_rest_goes_on(room: Room):
    alice = room.client()
    add(room.venue, rule("now", "stop_heartbeats"))
    beats = pieces_of(alice)
    for _ in range(5):
        room.clock.advance(1)
    assert beats == []
    alice.enter(1, "B", 10, "99.00")
    assert alice.briefs() == [("A", 1, 10)]
    for _ in range(16):
        room.clock.advance(1)
    room.run()
    assert alice.is_closed, "the client's silence is minded as before"


def test_packets_are_wrong_in_three_ways_and_the_stream_is_sound(room: Room):
    looks = {
        "length": lambda packet: int.from_bytes(packet[:2], "big") == len(packet) - 1,
        "type": lambda packet: packet[2:4] == b"S?",
        "time": lambda packet: packet[2:4] == b"SA" and packet[4:12] == bytes(8),
    }
    alice = room.client()
    for number, (what, is_so) in enumerate(looks.items(), 1):
        pieces: list[bytes] = []
        alice.arrived = pieces.append  # type: ignore[method-assign,assignment]
        add(room.venue, rule("now", {"do": "spoil", "what": what}))
        alice.enter(number, "B", 10, "99.00")
        assert is_so(pieces[0]), what
        room.venue.policies.remove("p")
    alice.close()
    back = OuchClient(room)
    assert back.log_in() == "A"
    assert back.briefs() == [("S",), ("A", 1, 10), ("A", 2, 10), ("A", 3, 10)]


# -- Nasdaq's own client


@at_venue
async def test_nasdaqs_client_is_told_twice_cut_in_the_middle_and_resumes(version, port, venue, endpoint):
    client = await connect(version, port, 0)
    add(
        venue,
        rule("ack", "duplicate"),
        rule({"type": "fill", "nth": 1}, "withhold"),
        rule({"type": "fill", "nth": 1}, {"do": "drop", "mid_message": True}),
    )
    client.send_message(order(version, 1, "B", 100, 2_905_000))
    assert [told(await client.receive_message()) for _ in range(2)] == [("A", 100, 2_905_000)] * 2
    for quantity in (10, 20, 30):
        trade(venue, Side.SELL, quantity, "290.50")
    assert told(await client.receive_message()) == ("E", 20, 2_905_000)
    while not client.soup_session.is_closed():
        await asyncio.sleep(0.001)
    following = client.soup_session.sequence + 1
    assert following == 5
    again = await connect(version, port, following)
    assert told(await again.receive_message()) == ("E", 30, 2_905_000)
    whole = client.soup_session.session_id.session
    assert again.soup_session.session_id.session == whole
    await again.close()


@at_venue
async def test_nasdaqs_client_is_refused_and_sent_away(version, port, venue, endpoint):
    add(venue, rule({"type": "logon", "first": 1}, {"do": "reject_logon", "text": "S"}))
    with pytest.raises(ConnectionRefusedError, match=soup.LoginRejectReason("S").name):
        await connect(version, port, 0)
    client = await connect(version, port, 0)
    add(venue, rule("ack", {"do": "log_out", "text": ""}), name="away")
    client.send_message(order(version, 1, "B", 100, 2_905_000))
    assert told(await client.receive_message())[0] == "A"
    while endpoint.connections or not client.soup_session.is_closed():
        await asyncio.sleep(0.001)
