"""The clients against the real gateway and its real front ends, on a broker in memory."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import pytest_twisted
from click.testing import CliRunner, Result
from twisted.internet import reactor
from twisted.internet.threads import blockingCallFromThread, deferToThread

from txtrader.client import API, Monitor
from txtrader.client.command import main
from txtrader.errors import BrokerRejected, IdempotencyKeyReuse, InvalidArgument, NotFound, Unauthenticated
from txtrader.frontends.http import HttpFrontend
from txtrader.frontends.lines import LineFrontend
from txtrader.model.operations import OPERATIONS
from txtrader.testing.broker import MemoryBroker
from txtrader.testing.broker_records import stock
from txtrader.testing.gateway import PASSWORD, USER, MemoryGateway


class World:
    """A gateway and its broker, seen from the thread of a blocking script."""

    def __init__(self, broker: MemoryBroker, gateway: MemoryGateway) -> None:
        self.broker = broker
        self.gateway = gateway
        self.lines = LineFrontend(gateway.shared)
        self.http = HttpFrontend(gateway.shared)
        self.tcp_port = 0
        self.http_port = 0

    def do(self, what: Callable[..., Any], *args: Any) -> Any:
        """Call something in the reactor's thread."""
        return blockingCallFromThread(reactor, lambda: what(*args))

    def restart_lines(self) -> None:
        """Close the line protocol's port and every connection, and open it again at the same place."""
        self.do(self.lines.stop)
        self.gateway.shared.settings = self.gateway.settings.replace(tcp_port=self.tcp_port)
        self.lines = LineFrontend(self.gateway.shared)
        self.do(self.lines.start)

    def api(self, **options: Any) -> API:
        given = {"host": "127.0.0.1", "port": self.http_port, "username": USER, "password": PASSWORD, "timeout": 5}
        return API(**{**given, **options})

    def command(self, *words: str) -> Result:
        environ = {"HTTP_PORT": self.http_port, "TCP_PORT": self.tcp_port, "USERNAME": USER, "PASSWORD": PASSWORD}
        runner = CliRunner(env={f"TXTRADER_{name}": str(value) for name, value in environ.items()})
        return runner.invoke(main, list(words))

    def watch(self, *names: str, **options: Any) -> Watch:
        return Watch(self, names, options)


class Watch:
    """A monitor that runs in a thread and keeps what it is told."""

    def __init__(self, world: World, names: tuple[str, ...], options: dict[str, Any]) -> None:
        self.seen: Queue[tuple[str, Any]] = Queue()
        given: dict[str, Any] = {"parse": True, "decimals": True, "reconnect_min": 0.01, "reconnect_max": 0.05}
        callbacks = dict.fromkeys((*names, "connection"), self._note)
        self.monitor = Monitor("127.0.0.1", world.tcp_port, USER, PASSWORD, callbacks=callbacks, **{**given, **options})
        self.thread = threading.Thread(target=self.monitor.run)

    def _note(self, label: str, data: Any) -> None:
        self.seen.put((label, data))

    def until(self, name: str, fits: Callable[[Any], object]) -> Any:
        """Return the data of the next call of a name that fits; what comes before is passed over."""
        while True:
            label, data = self.seen.get(timeout=10)
            if label == name and fits(data):
                return data

    def __enter__(self) -> Watch:
        self.thread.start()
        self.until("connection", lambda state: state == "CONNECTED")
        return self

    def __exit__(self, *_: object) -> None:
        self.monitor.stop()
        self.thread.join()


def with_world(script: Callable[[World], None]) -> Any:
    """Run the script in a thread, against a world of its own."""

    @pytest_twisted.ensureDeferred
    async def test(tmp_path: Path) -> None:
        broker = MemoryBroker([stock("IBM", "1"), stock("MSFT", "2")], now_ns=time.time_ns)
        world = World(broker, gateway := MemoryGateway(reactor, tmp_path, broker))
        await gateway.start()
        try:
            world.tcp_port = await world.lines.start()
            world.http_port = await world.http.start()
            await deferToThread(script, world)
        finally:
            await world.http.stop()
            await world.lines.stop()
            await gateway.stop()

    test.__name__ = script.__name__
    return test


@with_world
def test_a_script_buys_waits_and_has_the_position(world: World) -> None:
    world.do(world.broker.quote, "IBM", "99.90", "100.10")
    with world.api(decimals=True) as api:
        assert api.status() == "Up"
        assert api.add_symbol("ibm") is True
        assert api.add_symbol("NOPE") is False
        assert (api.query_symbol("IBM")["bid"], api.query_symbols()) == (Decimal("99.9"), ["IBM"])
        order = api.wait(api.market_order("IBM", 100)["id"], timeout=10)
        assert (order["status"], order["avgfillprice"], order["filled"]) == ("Filled", Decimal("100.1"), 100)
        assert api.query_positions() == {"MEM1": {"IBM": 100}}
        (execution,) = api.query_order_executions(order["id"]).values()
        assert api.query_execution(execution["execId"])["orderid"] == order["id"]


@with_world
def test_floats_arrive_as_what_they_look_like(world: World) -> None:
    with world.api() as api:
        order = api.limit_order("IBM", 99.1, -10, tif="GTC")
        assert (order["price"], order["side"], order["tif"]) == (99.1, "SELL", "GTC")
        assert api.modify_order(order["id"], {"limit_price": 99.07})["id"] == order["id"]
        assert api.wait(order["id"], until="New", timeout=10)["price"] == 99.07
        assert api.cancel_order(order["id"])["status"] == "Canceled"


@with_world
def test_one_key_is_one_order_over_both_forms(world: World) -> None:
    with world.api() as api:
        first = api.limit_order("IBM", 99, 10, client_order_id="k1")
        again = api.submit_order(
            symbol="IBM", side="BUY", quantity=10, type="Limit", limit_price="99.00", client_order_id="k1"
        )
        assert (first["duplicate"], again["duplicate"], again["id"]) == (False, True, first["id"])
        with pytest.raises(IdempotencyKeyReuse):
            api.limit_order("IBM", 99, 11, client_order_id="k1")
        assert api.query_order("client:k1")["id"] == first["id"]
        assert api.limit_order("MEM1", None, "IBM", 99, 10)["id"] != first["id"]


@with_world
def test_the_gateways_errors_come_back_as_they_were(world: World) -> None:
    with world.api() as api:
        with pytest.raises(InvalidArgument) as wrong:
            api.limit_order("IBM", "12.5x", 100)
        assert wrong.value.path == "limit_price"
        with pytest.raises(NotFound):
            api.query_order("TX-NONE")
        world.broker.rejects = lambda order: True
        with pytest.raises(BrokerRejected) as refused:
            api.market_order("IBM", 100)
        assert refused.value.order is not None
        assert api.query_order(refused.value.order["id"])["status"] == "Rejected"
    with pytest.raises(Unauthenticated), world.api(password="wrong") as stranger:
        stranger.status()


@with_world
def test_every_operation_that_reads_can_be_called(world: World) -> None:
    given: dict[str, list[Any]] = {
        "query_events": ["order", "", 0],
        "query_symbol": ["IBM"],
        "query_symbol_data": ["IBM"],
        "query_symbol_bars": ["IBM"],
        "query_bars": ["IBM", "5m", "-10", "."],
        "query_ticks": ["IBM", "2026-03-02", "."],
        "resolve_symbol": ["IBM"],
        "query_account": ["MEM1"],
    }
    with world.api() as api:
        order = api.limit_order("IBM", 99, 10)
        world.do(world.broker.fill, order["id"], 4)
        executions = api.query_order_executions(order["id"])
        while not executions:
            executions = api.query_order_executions(order["id"])
        given |= {"query_order": [order["id"]], "query_order_executions": [order["id"]]}
        given["query_execution"] = [next(iter(executions))]
        for name, operation in OPERATIONS.items():
            if operation.reads:
                api.cmd(name, given.get(name, []))


@with_world
def test_a_monitor_sees_what_a_script_does(world: World) -> None:
    with world.api() as api, world.watch("order", "execution", "quote") as watch:
        api.add_symbol("IBM")
        world.do(world.broker.quote, "IBM", "99.90", "100.10")
        assert watch.until("quote", lambda quote: quote["bid"] == Decimal("99.9"))["symbol"] == "IBM"
        order = api.market_order("IBM", 100)
        execution = watch.until("execution", lambda record: record["orderid"] == order["id"])
        assert execution["shares"] == 100
        watch.until("order", lambda record: record["id"] == order["id"] and record["status"] == "Filled")


@with_world
def test_a_monitor_misses_nothing_while_it_is_away(world: World) -> None:
    with world.api() as api, world.watch("order") as watch:
        first = api.limit_order("IBM", 99, 10, client_order_id="k0")
        seqs = [watch.until("order", lambda record: record["id"] == first["id"])["seq"]]
        for round in range(1, 4):
            world.restart_lines()  # while it is away, and while it comes back
            api.limit_order("IBM", 99, 10, client_order_id=f"k{round}")
            world.do(world.broker.fill, api.query_order(f"client:k{round}")["id"])
        seen: set[tuple[str, str]] = set()
        while {("k1", "Filled"), ("k2", "Filled"), ("k3", "Filled")} - seen:
            record = watch.until("order", lambda record: True)
            seen.add((record["client_order_id"], record["status"]))
            seqs.append(record["seq"])
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


@with_world
def test_a_monitor_that_starts_from_positions_gets_what_came_since(world: World) -> None:
    with world.api() as api:
        with world.watch("order") as watch:
            order = api.limit_order("IBM", 99, 10)
            watch.until("order", lambda record: record["id"] == order["id"])
            positions = watch.monitor.positions
        api.cancel_order(order["id"])
        with world.watch("order", positions=json.loads(json.dumps(positions))) as watch:
            watch.until("order", lambda record: record["status"] == "Canceled" and record["id"] == order["id"])


@with_world
def test_words_of_a_monitor_are_answered(world: World) -> None:
    with world.watch("symbol", "orders", "error", "result", "pong", "status") as watch:
        for line in ("add IBM", "add NOPE", "orders", "whoami", "ping hello", "status"):
            watch.monitor.send(line)
        heard = dict(watch.seen.get(timeout=10) for _ in range(6))  # replies may overtake one another
    assert heard["error"]["code"] == "not-found"
    assert heard["result"]["user"] == USER
    assert (heard["symbol"], heard["orders"], heard["pong"], heard["status"]) == ("IBM added", {}, "hello", "Up")


@with_world
def test_the_legacy_form_of_a_monitor_works(world: World) -> None:
    with world.watch("quote", options="legacy", parse=False) as watch:
        watch.monitor.send("add IBM")
        with world.api() as api:
            while not api.query_symbols():
                pass
        world.do(world.broker.quote, "IBM", "99.90", "100.10")
        assert watch.until("quote", bool) == "IBM:99.9 100 100.1 100"


@with_world
def test_the_command_trades(world: World) -> None:
    world.do(world.broker.quote, "IBM", "99.90", "100.10")
    assert world.command("status").stdout == '"Up"\n'
    order = json.loads(world.command("buy", "100", "IBM", "-f").stdout)
    assert order["symbol"] == "IBM"
    assert json.loads(world.command("query_order", order["id"]).stdout)["id"] == order["id"]
    assert order["id"] in world.command("--table", "query_orders").stdout
    assert json.loads(world.command("sell", "100", "IBM", "-l", "150", "--key", "c1", "-f").stdout)["price"] == 150
    assert json.loads(world.command("cancel_order", "client:c1").stdout)["status"] == "Canceled"
    refused = world.command("limit_order", "IBM", "1x", "100")
    assert (refused.exit_code, refused.stderr) == (
        1,
        "txtrader: invalid-argument: limit_price: not a decimal number\n",
    )
    for name in ("whoami", "query_status", "query_capabilities", "query_accounts", "query_positions", "help", "uptime"):
        shown = world.command("--table", name)
        assert shown.exit_code == 0
        assert shown.stdout.strip()
