"""Events on the line protocol: forms, sequence numbers, resume, heartbeat, slow readers, the end."""

from __future__ import annotations

import json
import socket
from decimal import Decimal
from typing import Any

import pytest
import pytest_twisted
from frontend_room import USERS, Client, Room, make_broker, open_room
from twisted.internet import reactor
from twisted.internet.task import deferLater

from txtrader.frontends import lines_connection
from txtrader.gateway.commands import bind

DURABLE = ["order", "execution", "account", "status"]


async def order(room: Room, price: str = "12", settle: bool = True, **options: Any) -> dict[str, Any]:
    """Make an order without a client; `settle`: wait until its events are told."""
    if room.trader is None:
        room.trader = room.gateway.open_session(USERS["alice"][1], frontend="test", peer="-")
    record = await room.gateway.execute(
        room.trader, bind("limit_order", ["IBM", price, 1], {"account": "DU1", **options})
    )
    if settle:
        await deferLater(reactor, 0.01, lambda: None)
    return record


def event_of(line: str) -> tuple[str, dict[str, Any]]:
    head, _, payload = line.partition(": {")
    return head, json.loads("{" + payload, parse_float=Decimal)


@pytest_twisted.ensureDeferred
async def test_events_come_as_mode_type_key_and_json(tmp_path):
    async with open_room(tmp_path) as room:
        room.broker.quote("IBM", "99.99", "100.01")
        client = await room.log_in()
        assert await client.ask("add IBM") == ".symbol IBM added"
        quote = await client.json("memory.quote.IBM: ")
        assert (quote["symbol"], quote["bid"], quote["ask"]) == ("IBM", Decimal("99.99"), Decimal("100.01"))
        room.broker.trade("IBM", "100", 5)
        trade = await client.json("memory.trade.IBM: ")
        assert (trade["last"], trade["size"]) == (100, 5)
        record = await order(room, "100.01")
        heads = [event_of(line)[0] for line in client.lines if line.startswith("memory.order.")]
        assert heads and set(heads) == {f"memory.order.{record['id']}"}
        execution = await client.line(lambda line: line.startswith("memory.execution."))
        head, data = event_of(execution)
        assert head == f"memory.execution.{data['execId']}" and "seq" not in data


@pytest_twisted.ensureDeferred
async def test_only_the_channels_asked_for_come(tmp_path):
    async with open_room(tmp_path) as room:
        clients = {
            channel: await room.log_in({"channels": [channel], "account": "DU1"})
            for channel in ("order", "execution", "quote")
        }
        nothing = await room.log_in({"channels": []})
        await clients["quote"].ask("add IBM")
        room.broker.quote("IBM", "11.99", "12.00")
        await order(room, "12.00")
        await clients["execution"].line(lambda line: line.startswith("memory.execution."))
        for channel, client in clients.items():
            await client.ask("ping")
            assert all(line.startswith(f"memory.{channel}.") for line in client.lines), channel
        await nothing.ask("ping")
        assert nothing.lines == []


@pytest_twisted.ensureDeferred
async def test_foreign_accounts_are_never_heard_of(tmp_path):
    async with open_room(tmp_path) as room:
        bob, alice = await room.log_in({"channels": DURABLE}, "bob"), await room.log_in({"channels": DURABLE})
        narrow = await room.log_in({"channels": DURABLE, "accounts": ["DU2"]})
        await order(room)
        await order(room, account="DU2")
        for client, accounts in ((bob, {"DU2"}), (narrow, {"DU2"}), (alice, {"DU1", "DU2"})):
            await client.ask("ping")
            assert {
                event_of(line)[1]["account"] for line in client.lines if line.startswith("memory.order.")
            } == accounts
        assert json.loads((await bob.ask("orders")).removeprefix("memory.orders: ")).keys()
        assert (await bob.ask('limitorder IBM 1 1 {"account":"DU1"}')).startswith(".error ")


@pytest_twisted.ensureDeferred
async def test_options_change_what_comes_without_a_new_login(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.log_in({"channels": ["quote"], "symbols": "session"})
        await client.ask("add IBM")
        shown = json.loads((await client.ask('options {"channels":["order"]}')).removeprefix(".options: "))
        assert shown["channels"] == ["order"] and shown["symbols"] == "session" and "legacy" not in shown
        room.broker.quote("IBM", "1", "2")
        await order(room)
        await client.ask("ping")
        assert all(line.startswith("memory.order.") for line in client.lines) and client.lines
        assert (await client.ask('options {"account":"NOBODYS"}')).startswith(".error invalid-argument: account: ")
        assert (await client.ask('options {"account":"DU2"}')).startswith('.options: {"channels":["order"]')
        assert json.loads((await client.ask("whoami")).removeprefix(".result whoami: "))["account"] == "DU2"


@pytest.mark.parametrize(
    "options",
    [
        "nonsense",
        "legacy sequence",
        {"legacy": True, "sequence": True},
        {"channels": ["quotes"]},
        {"channels": "quote"},
        {"symbols": "all"},
        {"symbols": ["not a symbol;"]},
        {"heartbeat": 61},
        {"heartbeat": True},
        {"heartbeat": "5"},
        {"conflate": -1},
        {"sequence": "true"},
        {"colour": "red"},
        {"resume": {"quote": {"epoch": "e", "seq": 1, "tag": "t"}}},
        {"resume": {"order": {"epoch": "e", "seq": -1, "tag": "t"}}},
        {"resume": {"order": {"epoch": "e", "seq": 1, "tag": "t"}}, "channels": ["execution"]},
        {"snapshot": ["quote"]},
        {"account": "NOBODYS"},
        {"accounts": ["DU1", "NOBODYS"]},
        {"cod": "session"},
        '{"sequence":true,"sequence":false}',
        '{"sequence":tru',
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_bad_option_is_named_and_closes(tmp_path, options):
    async with open_room(tmp_path) as room:
        client = await room.connect()
        text = options if isinstance(options, str) else json.dumps(options)
        client.send(f"auth alice wonderland {text}")
        lines = await client.closed()
        assert lines[1].startswith(".error invalid-argument: ") and len(lines) == 2


@pytest.mark.parametrize("is_ready", [True, False])
@pytest_twisted.ensureDeferred
async def test_a_filter_by_foreign_accounts_is_refused_as_one_by_accounts_that_are_not(tmp_path, is_ready):
    accounts = ("DU1", "DU2") if is_ready else ()  # as long as the broker has told none
    async with open_room(tmp_path, make_broker(accounts)) as room:
        for account in ("DU1", "NOBODYS"):
            client = await room.connect()
            client.send(f'auth bob builder {{"accounts":["{account}"]}}')
            assert (await client.closed())[1:] == [f".error invalid-argument: accounts: unknown account {account}"]
        client = await room.log_in({"accounts": ["DU2"]}, user="bob")
        assert (await client.ask('options {"accounts":["DU1"]}')).startswith(".error invalid-argument: accounts: ")
        assert (await client.ask('options {"accounts":[]}')).startswith(".options: ")


# --- sequence, resume, snapshot ---------------------------------------------------------------------------------------


def envelopes(lines: list[str], channel: str = "order") -> list[dict[str, Any]]:
    found = []
    for line in lines:
        if line.startswith("memory.") and ": {" in line and not line.startswith("memory.snapshot"):
            data = event_of(line)[1]
            if data.get("channel") == channel and "seq" in data:
                found.append(data)
    return found


@pytest_twisted.ensureDeferred
async def test_sequence_puts_a_dense_envelope_into_each_durable_event(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.log_in({"sequence": True, "channels": DURABLE})
        heads = await client.json(".sequences: ")
        assert set(heads) == set(DURABLE) and set(heads["order"]) == {"epoch", "seq", "tag"}
        await order(room, tag="mine")
        await order(room)
        await client.ask("ping")
        found = envelopes(client.lines)
        assert [data["seq"] for data in found] == list(
            range(heads["order"]["seq"] + 1, heads["order"]["seq"] + 1 + len(found))
        )
        assert [data["prev"] for data in found] == [data["seq"] - 1 for data in found]
        assert {data["epoch"] for data in found} == {heads["order"]["epoch"]}
        assert len({data["tag"] for data in found}) == len(found)
        assert found[0]["own_tag"] == "mine"  # the order's own


@pytest_twisted.ensureDeferred
async def test_a_filtered_client_can_prove_that_nothing_is_missing(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.log_in({"sequence": True, "channels": ["order"]}, "bob")
        head = (await client.json(".sequences: "))["order"]["seq"]
        for account in ("DU1", "DU2", "DU1", "DU2"):
            await order(room, account=account)
        await client.ask("ping")
        found = envelopes(client.lines)
        assert len(found) >= 2
        before = head
        for data in found:
            assert data["prev"] == before and data["account"] == "DU2"
            before = data["seq"]


@pytest_twisted.ensureDeferred
async def test_who_comes_back_misses_nothing_and_hears_nothing_twice(tmp_path):
    async with open_room(tmp_path) as room:
        options = {"sequence": True, "channels": ["order"]}
        witness, client = await room.log_in(options), await room.log_in(options)
        place = (await client.json(".sequences: "))["order"]
        await order(room)
        await client.ask("ping")
        last = envelopes(client.lines)[-1]
        place = {"epoch": last["epoch"], "seq": last["seq"], "tag": last["tag"]}
        client.pump.abort()
        await client.closed()
        for _ in range(5):
            await order(room)
        again = await room.log_in({**options, "resume": {"order": place}})
        resumed = await again.json(".resumed order: ")
        assert resumed["from"] == place["seq"] + 1
        await order(room)
        await again.ask("ping")
        await witness.ask("ping")
        expected = [data for data in envelopes(witness.lines) if data["seq"] > place["seq"]]
        assert envelopes(again.lines) == expected
        assert expected[0]["seq"] == resumed["from"] and expected[-1]["seq"] >= resumed["to"]


@pytest_twisted.ensureDeferred
async def test_the_word_resume_does_the_same_on_a_standing_connection(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.log_in({"sequence": True, "channels": ["order"]})
        place = (await client.json(".sequences: "))["order"]
        await order(room)
        await client.ask("ping")
        first = envelopes(client.lines)
        client.lines.clear()
        client.send(f"resume {place['epoch']} order {place['seq']} {place['tag']}")
        assert await client.json(".resumed order: ") == {"from": place["seq"] + 1, "to": first[-1]["seq"]}
        await client.ask("ping")
        assert envelopes(client.lines) == first
        assert (await client.ask(f"resume {place['epoch']} account 0 x")).startswith(".error invalid-argument: ")


@pytest.mark.parametrize("change", [{"epoch": "foreign"}, {"seq": 10**6}, {"tag": "0" * 16}])
@pytest_twisted.ensureDeferred
async def test_a_point_that_never_was_is_said_and_answered_with_the_state(tmp_path, change):
    async with open_room(tmp_path) as room:
        record = await order(room)
        head = room.stream.heads["order"].to_dict()
        client = await room.log_in({"sequence": True, "channels": ["order"], "resume": {"order": {**head, **change}}})
        await client.starting(".sequences: ")
        assert (await client.line()).startswith(".error epoch-mismatch: ")
        snapshot = await client.json("memory.snapshot.order: ")
        assert snapshot["as_of"] == head and record["id"] in snapshot["orders"]
        await order(room)
        await client.ask("ping")
        assert envelopes(client.lines)[0]["prev"] == head["seq"]


@pytest_twisted.ensureDeferred
async def test_a_snapshot_comes_first_if_asked(tmp_path):
    async with open_room(tmp_path) as room:
        record = await order(room)
        client = await room.log_in({"sequence": True, "channels": DURABLE, "snapshot": DURABLE})
        for channel, keys in (
            ("order", {"orders"}),
            ("execution", {"executions"}),
            ("account", {"accounts", "positions"}),
            ("status", {"status"}),
        ):
            snapshot = await client.json(f"memory.snapshot.{channel}: ")
            assert snapshot.keys() == {"as_of", *keys}
            if channel == "order":
                assert record["id"] in snapshot["orders"]


@pytest_twisted.ensureDeferred
async def test_resume_holds_across_a_restart_of_the_gateway(tmp_path):
    broker = make_broker()
    async with open_room(tmp_path, broker) as room:
        client = await room.log_in({"sequence": True, "channels": ["order"]})
        place = (await client.json(".sequences: "))["order"]
        record = await order(room)
    async with open_room(tmp_path, broker) as room:
        client = await room.log_in({"sequence": True, "channels": ["order"], "resume": {"order": place}})
        resumed = await client.json(".resumed order: ")
        assert resumed["from"] == place["seq"] + 1
        await room.until(lambda: len(envelopes(client.lines)) >= resumed["to"] - place["seq"])
        found = envelopes(client.lines)
        assert found[0]["seq"] == place["seq"] + 1 and found[0]["id"] == record["id"]


@pytest_twisted.ensureDeferred
async def test_market_data_is_numbered_by_symbol(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.log_in({"sequence": True, "channels": ["quote"]})
        await client.ask("add IBM")
        await client.ask("add MSFT")
        for n in range(5):
            room.broker.quote("IBM", f"{n + 1}", f"{n + 2}")
            room.broker.quote("MSFT", f"{n + 1}", f"{n + 2}")
        for symbol in ("IBM", "MSFT"):
            numbers = []
            while len(numbers) < 5:
                data = await client.json(f"memory.quote.{symbol}: ")
                numbers.append((data["n"], data["dropped"]))
            first = numbers[0][0]
            assert numbers == [(first + n, 0) for n in range(5)]


@pytest_twisted.ensureDeferred
async def test_conflated_quotes_tell_how_many_were_left_out(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.log_in({"sequence": True, "channels": ["quote"], "conflate": 50})
        await client.ask("add IBM")
        for n in range(20):
            room.broker.quote("IBM", f"{n + 1}", f"{n + 2}")
        last, total = None, 0
        while last is None or last["bid"] != 20:
            data = await client.json("memory.quote.IBM: ")
            assert last is None or data["n"] == last["n"] + data["dropped"] + 1
            total += data["dropped"]
            last = data
        assert total > 10


@pytest.mark.parametrize(
    ("away", "back"),
    [
        ("del IBM", "add IBM"),
        ('options {"symbols":["MSFT"]}', 'options {"symbols":"user"}'),
        ('options {"channels":[]}', 'options {"channels":["quote"]}'),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_was_not_wanted_is_not_counted_as_dropped(tmp_path, away, back):
    async with open_room(tmp_path) as room:
        other = await room.log_in({"channels": ["quote"], "symbols": ["IBM"]}, user="victor")
        await other.ask("add IBM")
        client = await room.log_in({"sequence": True, "channels": ["quote"]})
        await client.ask("add IBM")
        await client.ask("add MSFT")
        for bid in (3, 6):  # at first with another who keeps the symbol counted, then without
            for n in range(3):
                room.broker.quote("IBM", f"{bid + n}", "20")
            while (await client.json("memory.quote.IBM: "))["bid"] != bid + 2:
                pass
            await client.ask(away)
            for n in range(3):
                room.broker.quote("IBM", f"{bid + n}", "20")
            await client.ask(back)
            room.broker.quote("IBM", "9", "20")
            quotes = [await client.json("memory.quote.IBM: ")]
            while quotes[-1]["bid"] != 9:
                quotes.append(await client.json("memory.quote.IBM: "))
            assert [quote["dropped"] for quote in quotes] == [0] * len(quotes)
            other.pump.abort()
            await other.closed()


# --- heartbeat, slow readers, shutdown --------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_a_silent_gateway_beats_and_a_silent_client_is_closed(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.log_in({"heartbeat": 1, "channels": ["order"]})
        beat = await client.json(".heartbeat: ")
        assert set(beat) == {"time", "seqs"} and set(beat["seqs"]) == {"order"}
        client.send("pong")
        await client.json(".heartbeat: ")
        await client.closed()
        assert room.frontends["tcp"].connections == {}


@pytest_twisted.ensureDeferred
async def test_a_blank_line_is_a_sign_of_life(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.log_in({"heartbeat": 1, "channels": []})
        for _ in range(3):
            await client.json(".heartbeat: ")
            client.pump.transport.write(b"\n")
        assert await client.ask("status") == ".status: Up"


async def stuck_client(room: Room, options: str = "") -> Client:
    """Log in a client that reads nothing more after its login."""
    client = await room.log_in(options)
    client.pump.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.pump.transport.pauseProducing()
    server = next(
        connection
        for connection in room.frontends["tcp"].connections
        if connection.transport.getPeer().port == client.pump.transport.getHost().port
    )
    server.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return client


@pytest_twisted.ensureDeferred
async def test_a_reader_too_slow_is_told_where_to_go_on_and_others_miss_nothing(tmp_path):
    async with open_room(tmp_path, queue_conflate=8192, queue_close=65536) as room:
        options = {"sequence": True, "channels": ["order"]}
        witness = await room.log_in(options)
        slow = await stuck_client(room, json.dumps(options))
        pool = room.frontends["tcp"].shared.outbound
        while not pool.slow:
            await order(room)
        slow.pump.transport.resumeProducing()
        lines = await slow.closed()
        assert lines[-1].startswith(".error slow-consumer: ")
        place = json.loads(lines[-1].removeprefix(".error slow-consumer: ")).get("order")
        got = envelopes(lines)
        await order(room)
        await witness.ask("ping")
        everything = envelopes(witness.lines)
        if place is not None:
            assert place["seq"] <= got[-1]["seq"]  # never ahead of what it was sent
        last = {"epoch": got[-1]["epoch"], "seq": got[-1]["seq"], "tag": got[-1]["tag"]}
        again = await room.log_in({**options, "resume": {"order": last}})
        await again.starting(".resumed order: ")
        await again.ask("ping")
        assert got + envelopes(again.lines) == everything


@pytest_twisted.ensureDeferred
async def test_a_long_absence_is_resumed_in_pages_that_the_reader_can_take(tmp_path):
    async with open_room(tmp_path, queue_conflate=65536, queue_close=400_000) as room:
        client = await room.log_in({"sequence": True, "channels": ["order"]})
        place = (await client.json(".sequences: "))["order"]
        client.pump.abort()
        await client.closed()
        for _ in range(300):
            await order(room, settle=False)
        again = await room.log_in({"sequence": True, "channels": ["order"], "resume": {"order": place}})
        resumed = await again.json(".resumed order: ")
        assert resumed["to"] - resumed["from"] >= 500  # more bytes than the queue may hold at once
        missed = resumed["to"] - resumed["from"] + 1
        await room.until(lambda: sum(line.startswith("memory.order.") for line in again.lines) >= missed)
        seqs = [data["seq"] for data in envelopes(again.lines)]
        assert seqs == list(range(resumed["from"], resumed["from"] + len(seqs)))


@pytest_twisted.ensureDeferred
async def test_a_stop_flushes_what_is_queued_and_closes(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.log_in({"channels": ["status"]})
        await room.gateway.stop()
        await room.frontends["tcp"].stop()
        lines = await client.closed()
        states = [event_of(line)[1] for line in lines if "connection-status-changed" in line]
        assert states[-1]["status"] == "Shutdown"


@pytest_twisted.ensureDeferred
async def test_strangers_are_bounded_and_known_clients_are_not_their_victims(tmp_path):
    async with open_room(tmp_path) as room:
        known = await room.log_in()
        strangers = [await room.connect() for _ in range(64)]
        for stranger in strangers:
            await stranger.line()
        refused = await room.connect()
        assert await refused.line() == ".error throttled: too many connections that are not logged in"
        await refused.closed()
        assert await known.ask("status") == ".status: Up"
        strangers[0].pump.abort()
        await room.until(lambda: room.frontends["tcp"].shared.door.strangers == 63)
        assert await (await room.log_in()).ask("status") == ".status: Up"


@pytest_twisted.ensureDeferred
async def test_there_is_a_greatest_number_of_clients(tmp_path):
    async with open_room(tmp_path, max_clients=3) as room:
        for _ in range(3):
            await room.log_in()
        refused = await room.connect()
        assert await refused.line() == ".error throttled: too many clients"


def test_a_client_has_five_seconds_for_its_login():
    assert lines_connection._LOGIN_TIME == 5


@pytest_twisted.ensureDeferred
async def test_who_does_not_log_in_in_time_gets_the_door(tmp_path, monkeypatch):
    monkeypatch.setattr(lines_connection, "_LOGIN_TIME", 0.3)
    async with open_room(tmp_path) as room:
        first, start = await room.connect(), reactor.seconds()
        await deferLater(reactor, 0.1, lambda: None)
        second = await room.connect()
        for byte in b"auth":  # bytes do not move an absolute deadline
            first.pump.transport.write(bytes([byte]))
            await deferLater(reactor, 0.02, lambda: None)
        assert not first.is_closed
        assert (await first.closed())[1:] == [".Authorization required!"]
        assert not second.is_closed and reactor.seconds() - start > 0.29
        assert (await second.closed())[1:] == [".Authorization required!"]


@pytest_twisted.ensureDeferred
async def test_the_time_that_a_password_takes_is_not_the_clients(tmp_path, monkeypatch):
    monkeypatch.setattr(lines_connection, "_LOGIN_TIME", 0.1)
    async with open_room(tmp_path) as room:
        room.access.delay = 0.3
        client = await room.connect()
        client.send("auth alice wonderland")
        await client.starting(".Authorized ")
        assert await client.ask("status") == ".status: Up"
