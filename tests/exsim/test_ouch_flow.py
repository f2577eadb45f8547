"""Random flows over OUCH: what clients were told adds up to what the venue holds, and no bytes do any harm."""

from __future__ import annotations

import struct
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ouch_client import OuchClient, Room, Told

from txtrader.exsim.records import SelfTrade
from txtrader.wire.ouch.layouts import MESSAGES

STEPS = 300


class Ledger:
    """What a client knows of its orders from the messages alone."""

    def __init__(self) -> None:
        self.open: dict[int, int] = {}
        self.named: set[int] = set()
        self.traded = 0
        self.kinds: set[str] = set()

    def take(self, told: Told) -> None:
        self.kinds.add(told.letter)
        name = told.fields.get("name")
        if told.letter in "AU":
            assert name not in self.named, "a name is used once"
            self.named.add(name)
            if told.letter == "U":
                del self.open[told["old"]]
            if told["state"] == "L":
                self.open[name] = told["shares"]
        elif told.letter in "ECD":
            assert told["shares"] > 0
            self.open[name] -= told["shares"]
            assert self.open[name] >= 0
            self.traded += told["shares"] if told.letter == "E" else 0
            if not self.open[name]:
                del self.open[name]
        elif told.letter == "M":
            self.open[name] = told["shares"]


def act(random: Random, client: OuchClient, names: list[int], live: list[int]) -> None:
    """Ask for something, sensible or not."""
    old = random.choice(live or names or [1]) if random.random() < 0.8 else random.randrange(1, 500)
    price = f"{random.randrange(9_990, 10_010) / 100:.2f}"
    size = random.choice([0, 1, 5, 20, 60, 100, 200])
    kind = random.random()
    if kind < 0.45:
        name = names[-1] + 1 if names and random.random() < 0.95 else random.randrange(1, 500)
        names.append(max(name, *names[-1:], 1))
        more: dict[str, Any] = {"display": "P"} if client.version == "4.2" else {"tags": b"\2\x0cP"}
        if random.random() < 0.8:
            more = {}
        if client.version == "5.0" and random.random() < 0.3:
            more = {"tags": b"\5\5\0\0\0\x07"}
        life = random.choice(["market", "system", "ioc"])
        client.enter(name, random.choice("BSTE"), size, price, life=life, **more)
    elif kind < 0.65:
        client.cancel(old, size)
    elif kind < 0.85:
        name = names[-1] + 1 if names else 1
        names.append(name)
        client.replace(old, name, size, price)
    else:
        client.modify(old, random.choice("BSTE"), size)


@pytest.mark.parametrize("version", ["4.2", "5.0"])
@pytest.mark.parametrize("mode", list(SelfTrade))
@pytest.mark.parametrize("seed", range(2))
def test_what_was_told_adds_up_to_what_the_venue_holds(version, mode, seed):
    room = Room(version, self_trade=mode, cash=10**9)
    random = Random(f"{version}|{mode}|{seed}")
    users = ["alice", "bob"]
    clients = {user: room.client(user) for user in users}
    ledgers, names = {user: Ledger() for user in users}, {user: [] for user in users}
    numbers = dict.fromkeys(users, 2)
    for _ in range(STEPS):
        user = random.choice(users)
        if random.random() < 0.03:  # away for a step of the other one
            clients[user].close()
            clients[user] = OuchClient(room, user)
            assert clients[user].log_in(sequence=numbers[user]) == "A"
        act(random, clients[user], names[user], list(ledgers[user].open))
        for one in users:
            for told in clients[one].take():
                assert told.number == numbers[one]
                numbers[one] += 1
                ledgers[one].take(told)
            held = room.venue.live_orders(owner=f"ouch|{one.upper()}")
            number = {order.client_order_id.lstrip("T"): int(order.remaining) for order in held}
            assert {str(name): shares for name, shares in ledgers[one].open.items()} == number
    fills = room.venue.fills()
    assert sum(ledger.traded for ledger in ledgers.values()) == sum(int(fill.quantity) for fill in fills) > 0
    kinds = set().union(*(ledger.kinds for ledger in ledgers.values()))
    assert kinds >= set("AUCEMJ") | (set() if mode is SelfTrade.NONE else {"D"})
    room.close()


SOUND = {
    "4.2": [b"O" + b"T1".ljust(14) + b"B" + struct.pack(">I8sII4scccIcc", 10, b"ACME    ", 990_000, 0, b"    ", b"Y",
            b"P", b"N", 0, b"N", b" ")],
    "5.0": [struct.pack(">cIcI8sQccccc14sH", b"O", 1, b"B", 10, b"ACME    ", 990_000, b"0", b"Y", b"P", b"N", b"N",
            b"\xff\0 x".ljust(14), 0)],
}  # fmt: skip


@st.composite
def requests(draw: Any, version: str) -> bytes:
    """Bytes of a request's length whose fields are anything, or a sound one that was changed in places."""
    if draw(st.booleans()):
        layout = draw(st.sampled_from(list(MESSAGES[version, True].values())))
        data = bytearray(draw(st.binary(min_size=layout.form.size, max_size=layout.form.size)))
        data[0] = ord(layout.letter)
        if layout.appendage:
            tags = draw(st.binary(max_size=12))
            data += struct.pack(">H", len(tags)) + tags
        return bytes(data)
    data = bytearray(draw(st.sampled_from(SOUND[version])))
    for place, value in draw(st.lists(st.tuples(st.integers(1, len(data) - 1), st.integers(0, 255)), max_size=4)):
        data[place] = value
    return bytes(data)


@pytest.mark.parametrize("examples", [60, pytest.param(3_000, marks=pytest.mark.fuzz)])
@pytest.mark.parametrize("version", ["4.2", "5.0"])
def test_no_bytes_do_any_harm(version, examples):
    @settings(max_examples=examples, deadline=None)
    @given(st.lists(requests(version), min_size=1, max_size=15))
    def check(messages: list[bytes]) -> None:
        room = Room(version, cash=10**9)
        client = room.client()
        for data in messages:
            client.raw(data)
        connection = room.endpoint.connections[0]
        assert connection.pump.bugs == 0 and not client.is_closed
        client.take()
        room.close()

    check()


def test_free_text_is_repeated_as_it_came():
    room = Room("5.0")
    client = room.client()
    client.raw(SOUND["5.0"][0])
    assert client.briefs("text") == [("A", "\xff\0 x")]
    room.close()
