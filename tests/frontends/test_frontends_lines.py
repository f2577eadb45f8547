"""The line protocol end to end over loopback sockets: greeting, login, commands, replies, errors."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
import pytest_twisted
from frontend_room import open_room
from twisted.internet import reactor
from twisted.internet.task import deferLater

from txtrader.frontends.lines_words import command_words
from txtrader.model.operations import OPERATIONS


@pytest_twisted.ensureDeferred
async def test_the_greeting_is_short_and_tells_neither_version_nor_host(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.connect()
        assert await client.line() == ".connected: MEMORY Gateway"


@pytest_twisted.ensureDeferred
async def test_the_full_greeting_is_that_of_2015(tmp_path):
    async with open_room(tmp_path, greeting="full") as room:
        line = await (await room.connect()).line()
        assert " TxTrader Securities Trading API Controller on " in line


@pytest_twisted.ensureDeferred
async def test_a_login_is_answered_with_the_mode(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.connect()
        await client.line()
        client.send("auth alice wonderland")
        assert await client.line() == ".Authorized memory"


@pytest.mark.parametrize(
    "line",
    [
        "auth alice wrong",
        "auth nobody wonderland",
        "auth alice",
        "auth",
        "AUTH alice wonderland",
        "status",
        "help",
        "GET / HTTP/1.1",
        "@1 auth alice wonderland",
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_is_no_login_gets_one_text_and_the_door(tmp_path, line):
    async with open_room(tmp_path) as room:
        client = await room.connect()
        await client.line()
        client.send(line)
        assert await client.closed() == [".Authorization required!"]


@pytest.mark.parametrize("data", [b"\xff\xfe\n", b"a\x00b\n", b"\x1b[2J\n", "\ufeffauth alice wonderland\n".encode()])
@pytest_twisted.ensureDeferred
async def test_what_is_no_text_before_login_gets_the_same(tmp_path, data):
    async with open_room(tmp_path) as room:
        client = await room.connect()
        await client.line()
        client.pump.transport.write(data)
        assert await client.closed() == [".Authorization required!"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"x" * 9000, "a line is longer than 8192 bytes"),
        (b"auth " + b"y" * 8200 + b"\n", "a line is longer than 8192 bytes"),
        (b"\n" * 9000, "more than 8192 bytes of blank lines"),
        (b" \r\n" * 3000, "more than 8192 bytes of blank lines"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_flood_before_login_is_too_large(tmp_path, data, reason):
    async with open_room(tmp_path) as room:
        client = await room.connect()
        await client.line()
        client.pump.transport.write(data)
        (line,) = await client.closed()
        assert line == f".error too-large: {reason}"


@pytest_twisted.ensureDeferred
async def test_a_goodbye_before_login_is_just_a_close(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.connect()
        await client.line()
        client.send("quit")
        assert await client.closed() == []


@pytest_twisted.ensureDeferred
async def test_commands_may_be_sent_behind_the_login_without_waiting(tmp_path):
    async with open_room(tmp_path) as room:
        room.access.delay = 0.05
        client = await room.connect()
        client.send("auth alice wonderland", "status", "accounts", "quit")
        lines = await client.closed()
        assert lines[1:] == [".Authorized memory", ".status: Up", '.accounts: ["DU1","DU2"]']


@pytest_twisted.ensureDeferred
async def test_a_pipe_that_ends_gets_its_answers(tmp_path):
    """As `printf ... | nc host port` does: the input ends at once, the answers are wanted all the same."""
    async with open_room(tmp_path) as room:
        room.access.delay = 0.05
        room.broker.quote("IBM", "99.99", "100.01")
        client = await room.connect()
        client.send('auth alice wonderland {"account":"DU1"}', "marketorder IBM 10")
        client.pump.transport.loseWriteConnection()
        lines = await client.closed()
        assert any(line.startswith("memory.order: {") for line in lines)


@pytest_twisted.ensureDeferred
async def test_each_word_has_its_reply(tmp_path):
    async with open_room(tmp_path) as room:
        room.broker.quote("IBM", "99.99", "100.01")
        client = await room.log_in("noquotes notrades noorders noexecutions noaccounts notime")
        assert json.loads((await client.ask("help")).removeprefix(".commands: ")) == command_words()
        assert await client.ask("status") == ".status: Up"
        assert await client.ask("accounts") == '.accounts: ["DU1","DU2"]'
        assert await client.ask("symbols") == ".symbols: []"
        assert await client.ask("add ibm") == ".symbol IBM added"
        assert await client.ask("symbols") == '.symbols: ["IBM"]'
        await room.until(lambda: room.gateway.market.record("IBM", next(iter(room.gateway._sessions)))["bid"])
        record = json.loads((await client.ask("query IBM")).removeprefix("memory.symbol: "))
        assert (record["symbol"], record["bid"], record["ask"]) == ("IBM", 99.99, 100.01)
        assert await client.ask("query MSFT") == "memory.symbol: null"
        assert await client.ask("querydata MSFT") == "memory.symbol-data: null"
        assert (await client.ask("querydata IBM")).startswith("memory.symbol-data: {")
        assert await client.ask("positions") == 'memory.positions: {"DU1":{},"DU2":{}}'
        assert await client.ask("orders") == "memory.orders: {}"
        assert await client.ask("executions") == "memory.executions: {}"
        assert await client.ask("tickets") == "memory.tickets: {}"
        assert await client.ask("globalcancel") == ".global order cancel requested"
        assert await client.ask("del IBM") == ".symbol IBM deleted"
        assert (await client.ask("del IBM")).startswith(".error not-found: symbol: ")
        assert (await client.ask("add NOSUCH")).startswith(".error not-found: symbol: ")
        assert await client.ask("ping") == ".pong"
        assert await client.ask("ping  how are you") == ".pong how are you"


@pytest_twisted.ensureDeferred
async def test_setting_the_account_is_told_to_the_session_alone(tmp_path):
    async with open_room(tmp_path) as room:
        client, other = await room.log_in(), await room.log_in()
        client.send("setaccount DU2")
        assert await client.line() == 'memory.current-account: {"account":"DU2"}'
        assert await client.line() == ".account: true"
        client.send("setaccount NOBODYS")
        assert await client.line() == ".account: false"
        assert await other.ask("whoami") and other.lines == []
        assert json.loads((await client.ask("whoami")).removeprefix(".result whoami: "))["account"] == "DU2"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("marketorder IBM 100", {"type": "Market", "side": "BUY", "quantity": 100}),
        ("limitorder IBM 12.50 -100", {"type": "Limit", "side": "SELL", "quantity": 100, "price": 12.5}),
        ("stoporder IBM 120 1", {"type": "Stop", "aux_price": 120}),
        ("stoplimitorder IBM 120 121.5 1", {"type": "StopLimit", "aux_price": 120, "price": 121.5}),
        ('limitorder IBM 12.50 7 {"tif":"GTC","account":"DU2","tag":"mr"}', {"tif": "GTC", "account": "DU2"}),
        (
            'submit {"symbol":"IBM","side":"SELL","quantity":3,"type":"Limit","limit_price":"200.01"}',
            {"side": "SELL", "price": 200.01},
        ),
    ],
)
@pytest_twisted.ensureDeferred
async def test_each_order_word_makes_its_order(tmp_path, command, shown):
    async with open_room(tmp_path) as room:
        client = await room.log_in({"channels": [], "account": "DU1"})
        record = json.loads((await client.ask(command)).removeprefix("memory.order: "), parse_float=Decimal)
        assert record["status"] in ("New", "PendingNew", "Filled")
        for key, value in shown.items():
            assert record[key] == (Decimal(str(value)) if isinstance(value, float) else value), key
        assert len(room.broker.orders) == 1


@pytest_twisted.ensureDeferred
async def test_an_order_is_changed_and_cancelled_by_words(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.log_in({"channels": [], "account": "DU1"})
        record = json.loads((await client.ask("limitorder IBM 12 100")).removeprefix("memory.order: "))
        changed = await client.ask(f'modify {record["id"]} {{"limit_price":12.5,"quantity":50}}')
        assert json.loads(changed.removeprefix("memory.order: "))["price"] == 12.5
        cancelled = await client.ask(f"cancel {record['id']}")
        assert json.loads(cancelled.removeprefix("memory.cancel_order: "))["status"] == "Canceled"
        assert json.loads((await client.ask("orders")).removeprefix("memory.orders: ")).keys() == {record["id"]}


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("limitorder IBM 124.5x 100", ".error invalid-argument: limit_price: not a decimal number"),
        ("limitorder IBM 1", ".error invalid-argument: usage: limitorder SYMBOL PRICE QUANTITY [{options}]"),
        ("limitorder IBM 1 2 3", ".error invalid-argument: usage: limitorder SYMBOL PRICE QUANTITY [{options}]"),
        ("limitorder", ".error invalid-argument: usage: limitorder SYMBOL PRICE QUANTITY [{options}]"),
        ('limitorder IBM 1 {"tif":"DAY"}', ".error invalid-argument: usage: limitorder SYMBOL PRICE QUANTITY [{opti"),
        ('limitorder IBM 1 1 {"tif":"DAY"', ".error invalid-argument: not JSON: "),
        ('limitorder IBM 1 1 {"tif":"DAY","tif":"GTC"}', ".error invalid-argument: not JSON: a key is there twice"),
        ('limitorder IBM 1 1 {"colour":"red"}', ".error invalid-argument: colour: unknown argument"),
        ("marketorder IBM 0", ".error invalid-argument: quantity: zero neither buys nor sells"),
        ("query IBM MSFT", ".error invalid-argument: usage: query SYMBOL"),
        ("cancel TX-NOSUCH-000001", ".error not-found: id: "),
        ("submit", ".error invalid-argument: usage: submit {order}"),
        ("submit x", ".error invalid-argument: usage: submit {order}"),
        ("modify TX-1", ".error invalid-argument: usage: modify ID {changes}"),
        ("nonsense", ".error invalid-argument: unknown word"),
        ("STATUS", ".error invalid-argument: unknown word"),
        ("", ".error invalid-argument: usage: [@TAG] WORD arguments"),
        ("auth alice wonderland", ".error invalid-argument: you are logged in already"),
        ("options", ".error invalid-argument: usage: options {json}"),
        ("resume", ".error invalid-argument: usage: resume EPOCH CHANNEL SEQ TAG"),
        ("resume e1 quote 1 t", ".error invalid-argument: usage: resume EPOCH CHANNEL SEQ TAG"),
        ('options {"sequence":true}', ".error invalid-argument: sequence: holds for the whole connection"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_an_error_is_a_line_and_the_connection_stays(tmp_path, command, reply):
    async with open_room(tmp_path) as room:
        client = await room.log_in({"channels": [], "account": "DU1"})
        assert (await client.ask(command)).startswith(reply)
        assert await client.ask("status") == ".status: Up"
        assert room.broker.orders == {}


@pytest_twisted.ensureDeferred
async def test_a_view_user_may_look_and_not_trade(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.log_in("", user="victor")
        assert await client.ask("accounts") == '.accounts: ["DU1","DU2"]'
        for command in ("marketorder IBM 1", "globalcancel", "cancel X", "shutdown", "market_order IBM 1"):
            assert (await client.ask(command)).startswith(".error forbidden: ")


@pytest_twisted.ensureDeferred
async def test_every_operation_can_be_called_by_its_own_name(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.log_in({"channels": []})
        assert (await client.ask("query_positions true")).startswith('.result query_positions: {"DU1":[]')
        assert await client.ask("query_accounts") == '.result query_accounts: ["DU1","DU2"]'
        assert json.loads((await client.ask("help limit_order")).removeprefix(".result help: ")).keys() == {
            "limit_order"
        }
        assert (await client.ask("version")).startswith('.result version: "')
        assert (await client.ask("uptime")).startswith('.result uptime: "started 2')
        assert (await client.ask('query_account DU1 ["Cash"]')).startswith(".result query_account: {")
        assert (await client.ask("set_order_route null")).startswith(".result set_order_route: ")
        assert (await client.ask("query_positions yes")).startswith(".error invalid-argument: detail: ")
        client.send("set_account DU1")
        assert await client.line() == 'memory.current-account: {"account":"DU1"}'
        assert await client.line() == ".result set_account: true"
        for name in OPERATIONS:
            if name not in ("shutdown", "status", "help"):
                reply = await client.ask(f"{name} a b c d e f g h i j k")
                assert reply.startswith(".error invalid-argument: "), (name, reply)


@pytest_twisted.ensureDeferred
async def test_replies_may_overtake_each_other_by_tag_but_not_within_a_word(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.log_in({"channels": [], "account": "DU1"})
        room.broker.withheld = {"submit"}
        client.send("limitorder IBM 12 1", "limitorder IBM x 1", "@a limitorder IBM x 1", "status", "pong")
        assert (await client.line()).startswith("@a .error invalid-argument: limit_price")
        assert await client.line() == ".status: Up"
        assert (await client.line()).startswith("memory.order: {")
        assert (await client.line()).startswith(".error invalid-argument: limit_price")


@pytest_twisted.ensureDeferred
async def test_an_order_without_an_answer_is_the_record_and_no_error(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.log_in({"channels": [], "account": "DU1"})
        room.broker.withheld = {"submit"}
        record = json.loads((await client.ask("limitorder IBM 12 1")).removeprefix("memory.order: "))
        assert record["status"] == "Unknown"


@pytest_twisted.ensureDeferred
async def test_a_goodbye_waits_for_the_answers_that_are_due(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.log_in({"channels": [], "account": "DU1"})
        room.broker.withheld = {"submit"}
        client.send("limitorder IBM 12 1", "exit and thanks")
        (line,) = await client.closed()
        assert json.loads(line.removeprefix("memory.order: "))["status"] == "Unknown"


@pytest_twisted.ensureDeferred
async def test_the_session_ends_with_the_connection(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.log_in()
        await client.ask("add IBM")
        assert "IBM" in room.adapter.subscribed
        client.pump.abort()
        await room.until(lambda: not room.gateway._sessions)
        assert "IBM" not in room.adapter.subscribed
        assert room.frontends["tcp"].shared.door.clients == 0


@pytest_twisted.ensureDeferred
async def test_too_many_commands_are_throttled_and_cancels_still_pass(tmp_path):
    async with open_room(tmp_path, command_rate=5.0, cancel_rate=5.0) as room:
        client = await room.log_in({"channels": []})
        replies = [await client.ask("status") for _ in range(11)]
        assert replies.count(".status: Up") == 10
        assert replies[-1].startswith(".error throttled: too many commands in a second retry after 0.")
        assert await client.ask("globalcancel") == ".global order cancel requested"
        await deferLater(reactor, 0.25, lambda: None)
        assert await client.ask("status") == ".status: Up"


@pytest_twisted.ensureDeferred
async def test_a_line_too_long_after_login_is_said_and_closed(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.log_in()
        assert (await client.ask("ping " + "x" * 60000)).startswith(".pong xxx")
        client.pump.transport.write(b"x" * 70000)
        (line,) = await client.closed()
        assert line == ".error too-large: a line is longer than 65536 bytes"


@pytest_twisted.ensureDeferred
async def test_blank_lines_after_login_say_nothing_however_many(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.log_in({"channels": []})
        client.pump.transport.write(b"\n" * 300_000 + b"   \n \r\n")
        client.send("status")
        assert await client.line() == ".status: Up"


@pytest_twisted.ensureDeferred
async def test_malformed_text_after_login_is_an_error_without_any_of_it(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.log_in()
        for data in (b"add \xff\xfe\n", b"add I\x00BM\n", b"add \x1b[2J\n", b"ad\rd IBM\n"):
            client.pump.transport.write(data)
            line = await client.line()
            assert line.startswith(".error invalid-argument: the line ") and line.isascii() and line.isprintable()
        assert await client.ask("status") == ".status: Up"


@pytest_twisted.ensureDeferred
async def test_bars_have_the_form_of_lines(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.log_in({"channels": []})
        for times in ("2026-11-20 09:30:00 2026-11-20 10:30:00", ". .", "-5 .", "2026-11-19 2026-11-20 10:30"):
            reply = await client.ask(f"getbars IBM 1 {times}")
            assert reply.startswith('memory.bardata: ["Status: OK"'), reply
        assert (await client.ask("getbars IBM 1 .")).startswith(".error invalid-argument: usage: getbars SYMBOL PERIOD")


@pytest_twisted.ensureDeferred
async def test_a_shutdown_is_answered_first(tmp_path):
    async with open_room(tmp_path) as room:
        client = await room.log_in()
        assert await client.ask("shutdown see you tomorrow") == ".result shutdown: true"
        await room.until(lambda: room.ended)
        assert room.ended == ["see you tomorrow"]
