"""Users, connections and the day of the simulated OUCH venue; its faults; and the one book that all wires share."""

from __future__ import annotations

import socket
import struct
import time
from typing import Any

import pytest
import pytest_twisted
from fix_client import FixClient
from ouch_client import OuchClient, Room
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from txtrader.exsim.demo import make_demo_venue
from txtrader.exsim.endpoints.fix import FixEndpoint
from txtrader.exsim.endpoints.fix.trading import Trading, TradingOptions
from txtrader.exsim.endpoints.ouch import OuchEndpoint, OuchOptions, OuchUser


@pytest.fixture
def room():
    rooms = []

    def make(version: str = "5.0", **more: Any) -> Room:
        rooms.append(Room(version, **more))
        return rooms[-1]

    yield make
    for one in rooms:
        one.close()


# -- sessions


def test_what_happens_in_an_absence_comes_with_the_number_that_was_next(room):
    here = room()
    alice = here.client()
    alice.enter(1, "B", 100, "99.00")
    here.sell(10, "99.00")
    assert [one.number for one in alice.take()] == [2, 3]
    session, following = alice.session, alice.next_number
    alice.close()
    assert len(here.venue.live_orders()) == 1, "orders outlive the connection"
    here.sell(20, "99.00")
    here.sell(30, "99.00")
    back = OuchClient(here)
    assert back.log_in(session=session, sequence=following) == "A"
    here.sell(40, "99.00")
    told = back.take()
    assert [(one.number, one["shares"]) for one in told] == [(4, 20), (5, 30), (6, 40)]
    back.enter(1, "B", 100, "99.00")  # to be sure, it repeats what may have been lost
    assert back.take() == []
    back.close()
    whole = OuchClient(here)
    whole.log_in()
    assert [one.letter for one in whole.take()] == ["S", "A", "E", "E", "E", "E"]


def test_a_login_is_refused_for_what_is_wrong_about_it(room):
    here = room()
    for user, login, reason in (
        ("alice", {"password": "guess"}, b"A"),
        ("mallet", {}, b"A"),
        ("", {}, b"A"),
        ("alice", {"session": "NOSUCH"}, b"S"),
        ("alice", {"sequence": 9}, b"S"),
    ):
        client = OuchClient(here, user)
        assert client.log_in(**login) == "J"
        assert client.packets == [("J", reason)] and client.is_closed
    assert OuchClient(here, "aLiCe").log_in("SECRET") == "A", "users and passwords are compared without case"
    assert OuchClient(here, "bob").log_in("anything") == "A"


def test_the_second_login_of_a_user_is_refused_or_ends_the_first(room):
    first = room().client()
    second = OuchClient(first.room)
    assert second.log_in() == "J" and second.packets == [("J", b"S")] and not first.is_closed
    here = room(options={"replaces_login": True, "cancel_on_disconnect": True})
    first = here.client()
    first.enter(1, "B", 10, "99.00")
    second = OuchClient(here)
    assert second.log_in(sequence=2) == "A" and second.briefs() == [("A", 1, 10)]
    assert first.is_closed and len(here.venue.live_orders()) == 1, "the user never went"


def test_a_client_that_goes_may_take_its_orders_along(room):
    here = room(options={"cancel_on_disconnect": True})
    alice = here.client()
    alice.enter(1, "B", 10, "99.00")
    alice.close()
    assert not here.venue.live_orders()
    back = OuchClient(here)
    back.log_in(sequence=3)
    assert back.briefs("name", "shares", "reason") == [("C", 1, 10, "Z")], "kept for the replay"


def test_silence_ends_a_connection_after_fifteen_seconds_and_heartbeats_come_each_second(room):
    here = room()
    alice = here.client()
    beats = []
    alice.arrived = lambda data: beats.append((here.clock.seconds(), data))
    for _ in range(29):
        here.clock.advance(0.5)
    assert [data for _, data in beats] == [b"\0\1H"] * 14 and not alice.is_closed
    here.clock.advance(0.5)
    here.run()
    assert alice.is_closed


def test_who_does_not_log_in_is_let_go(room):
    here = room()
    client = OuchClient(here)
    here.clock.advance(29.9)
    assert not client.is_closed
    here.clock.advance(0.1)
    here.run()
    assert client.is_closed


def test_between_two_days_nobody_trades_and_the_old_session_can_still_be_read(room):
    here = room(options={"opens_day": False})
    here.endpoint.start_day()
    alice = here.client()
    here.endpoint.end_day()
    here.endpoint.end_day()
    late = OuchClient(here)
    assert late.log_in(session=alice.session) == "A"
    assert late.briefs("event") == [("S", "S"), ("S", "E")] and late.packets[-1][0] == "Z" and late.is_closed
    here.endpoint.start_day()
    assert here.client().session != alice.session


def test_a_bust_after_the_day_is_on_the_tape_alone(room):
    here = room()
    alice = here.client()
    alice.enter(1, "B", 10, "99.00")
    here.sell(10, "99.00")
    here.endpoint.end_day()
    here.venue.bust(here.venue.fills(owner="ouch|ALICE")[0].exec_id)
    assert [record[3:] for record in here.venue.tape.of_kind("ouch_unsent")] == [("ALICE", "BrokenTrade")]


def test_the_same_seed_and_requests_make_the_same_tape_and_the_same_bytes(room):
    def play() -> tuple[str, list[Any]]:
        here = room(options={"users": {}})
        alice, bob = here.client(), here.client("bob")
        alice.enter(1, "B", 100, "99.00")
        bob.enter(1, "S", 60, "98.00")
        alice.replace(1, 2, 200, "99.01")
        alice.cancel(9)
        here.clock.advance(3)
        alice.cancel(2)
        told = [repr(one) for one in (*alice.take(), *bob.take())]
        return here.venue.tape.digest(), [alice.packets, bob.packets, told]

    assert play() == play()


# -- faults


def test_what_is_said_may_be_lost_late_doubled_and_swapped(room):
    here = room()
    alice = here.client()
    rule = here.endpoint.withhold("Accepted")
    alice.enter(1, "B", 10, "99.00")
    assert alice.take() == [] and len(here.venue.live_orders()) == 1
    rule.remove()
    rule = here.endpoint.duplicate()
    here.sell(1, "99.00")
    told = alice.take()
    assert [(one.number, one["match"]) for one in told] == [(2, told[0]["match"]), (3, told[0]["match"])]
    rule.remove()
    rule = here.endpoint.reorder("Executed", "Accepted")
    alice.enter(2, "S", 1, "100.00")
    here.buy(1, "100.00")
    assert [one.letter for one in alice.take()] == ["E", "A"]
    rule.remove()
    rule = here.endpoint.delay(2.0)
    here.sell(2, "99.00")
    assert alice.take() == []
    here.clock.advance(2.0)
    assert alice.briefs() == [("E", 1, 2)]
    rule.remove()
    here.endpoint.drop_after(2)
    here.sell(3, "99.00")
    here.sell(4, "99.00")
    here.run()
    assert alice.is_closed
    back = OuchClient(here)
    back.log_in(sequence=alice.next_number)
    assert [one["shares"] for one in alice.take() + back.take()] == [3, 4], "nothing of the stream is lost"


def test_the_port_closes_and_connections_are_cut(room):
    here = room()
    alice = here.client()
    assert here.endpoint.drop_connections() == 1
    here.run()
    assert alice.is_closed
    here.endpoint.refuse()
    assert here.network.ports == {}
    here.endpoint.refuse(False)
    here.client()


def test_a_venue_that_vanishes_says_nothing_and_comes_back_where_it_was(room):
    here = room()
    alice = here.client()
    here.endpoint.go_silent()
    new = OuchClient(here, "bob")
    alice.enter(1, "B", 10, "99.00")
    new.log_in()
    for _ in range(20):
        here.clock.advance(1)
    assert alice.take() == [] and new.packets == [] and not alice.is_closed
    here.endpoint.go_silent(False)
    assert alice.briefs() == [("A", 1, 10)] and new.briefs() == [("S",)]


def test_too_many_connections_and_users_are_turned_away(room):
    here = room(options={"users": {}, "max_connections": 2, "max_users": 1})
    here.client()
    other = OuchClient(here, "bob")
    assert other.log_in() == "J" and other.packets == [("J", b"A")]
    assert other.is_closed
    OuchClient(here, "carol")
    assert len(here.endpoint.connections) == 2
    OuchClient(here, "dave")
    assert len(here.endpoint.connections) == 2


# -- sockets


def soup_login(port: int, user: bytes) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=10)
    made.sendall(b"\0\x2fL" + user.ljust(6) + b" " * 20 + b"1".rjust(20))
    return made


def packets_of(data: bytes) -> list[bytes]:
    found, place = [], 0
    while place + 2 <= len(data):
        size = int.from_bytes(data[place : place + 2], "big")
        if place + 2 + size > len(data):
            break
        found.append(data[place + 2 : place + 2 + size])
        place += 2 + size
    return found


@pytest_twisted.ensureDeferred
async def test_a_day_of_messages_is_repeated_to_a_client_that_reads_slowly():
    """Far more than the queue of a client may hold: it waits in the stream, not in memory a second time."""
    venue = make_demo_venue(reactor, time.time_ns, 1, pace="none", has_house=False)
    endpoint = OuchEndpoint(venue, reactor, options=OuchOptions())
    port = await endpoint.start()
    count = 30_000
    first = soup_login(port, b"alice")

    def read(connection: socket.socket, enough: int) -> list[bytes]:
        data = b""
        while (found := packets_of(data)) is not None and sum(one[:1] == b"S" for one in found) < enough:
            time.sleep(0.01)  # slowly
            piece = connection.recv(4_000_000)
            assert piece, "the venue has closed"
            data += piece
        return found

    try:
        await deferToThread(read, first, 1)
        first.close()
        member = endpoint.members["ALICE"]
        while endpoint.connections:
            await deferToThread(time.sleep, 0.01)
        for number in range(count):
            member.stream.append(b"%d " % number + b"x" * 600)
        second = soup_login(port, b"alice")
        while not (member.connection and member.connection.pump.outbound.is_stalled):
            await deferToThread(time.sleep, 0.01)
        for _ in range(200):  # what timers and requests do while the client does not read
            member.connection.pump.flush()
        assert member.connection.pump.outbound.queued < 200_000
        found = await deferToThread(read, second, count + 1)
        messages = [one[1:].split(b" ")[0] for one in found if one[:1] == b"S"][1:]
        assert messages == [b"%d" % number for number in range(count)]
        assert endpoint.pool.slow == 0
        second.close()
    finally:
        await endpoint.stop()
        venue.stop()


@pytest_twisted.ensureDeferred
async def test_clients_of_ouch_and_fix_meet_in_one_book():
    venue = make_demo_venue(reactor, time.time_ns, 1, pace="none", has_house=False)
    venue.start()
    trading = Trading(venue, TradingOptions(accounts={"CLIENT": ("DU1000002",)}))
    fix = FixEndpoint(trading, reactor, venue.now_ns)
    trading.attach(fix)
    users = {"ALICE": OuchUser(firms={"AAAA": "DU1000001"})}
    ouch = OuchEndpoint(venue, reactor, options=OuchOptions(version="4.2", users=users))
    fix_port, ouch_port = await fix.start(), await ouch.start()

    def play() -> None:
        other = FixClient(fix_port)
        alice = soup_login(ouch_port, b"alice")
        data = b""

        def messages(enough: int) -> list[bytes]:
            nonlocal data
            while len(found := [one[1:] for one in packets_of(data) if one[:1] == b"S"]) < enough:
                data += alice.recv(65536)
            return found

        try:
            other.log_on()
            alice.sendall(struct.pack(
                ">Hcc14scI8sII4scccIcc", 50, b"U", b"O", b"FROMOUCH".ljust(14), b"B", 100, b"IBM".ljust(8), 2_905_000,
                99_998, b" " * 4, b"Y", b"P", b"N", 0, b"N", b" ",
            ))  # fmt: skip
            assert [one[:1] for one in messages(2)] == [b"S", b"A"]
            other.order("FROMFIX", 2, 40, "290.00")
            assert other.next("8")[150] == "0"
            filled = other.next("8")
            assert (filled[150], filled[32], filled[31], filled[851]) == ("F", "40", "290.5", "2")
            executed = messages(3)[2]
            name, shares, price, liquidity = struct.unpack(">14sIIc", executed[9:32])
            assert (name.strip(), shares, price, liquidity) == (b"FROMOUCH", 40, 2_905_000, b"A")
        finally:
            other.close()
            alice.close()

    try:
        await deferToThread(play)
        assert {fill.owner.partition("|")[0] for fill in venue.fills()} == {"ouch", "fix"}
        assert len({fill.match_id for fill in venue.fills()}) == 1
    finally:
        await ouch.stop()
        await fix.stop()
        venue.stop()
