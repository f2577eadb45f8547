"""A newcomer's first minutes: the daemon in mode demo, and everything that trades through it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from txtrader.errors import InvalidArgument, LinkError
from txtrader.testing.clients import LineClient
from txtrader.testing.daemon import Daemon

ROOT = Path(__file__).parents[2]
FIRST_QUOTE = 3.0  # seconds of processor time would be fairer; a busy machine gets three times as long


@pytest.fixture(scope="module", params=["tws", "cqg", "fix"])
def daemon(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    settings = {"MODE": "demo", "API_ACCOUNT": "DU1000001", "DEMO_WIRE": request.param}
    with Daemon(tmp_path_factory.mktemp("demo"), settings) as running:
        began = time.monotonic()
        running.start()
        running.wait_up()
        with LineClient.connect(running) as client:
            client.command("add IBM")
            client.wait_event(lambda event: event.type == "quote", 10)
        running.settings["took"] = time.monotonic() - began
        yield running


def test_the_first_quote_comes_within_seconds_of_the_start(daemon):
    assert daemon.settings["took"] < (FIRST_QUOTE if os.getloadavg()[0] < 1 else 3 * FIRST_QUOTE)


def test_a_telnet_session_trades(daemon):
    with LineClient.connect(daemon) as client:
        assert client.greeting.startswith(".connected: Demo Gateway")
        client.send_line("marketorder IBM 100")
        filled = client.wait_event(lambda event: event.type == "order" and event.data["status"] == "Filled", 10)
        assert filled.data["filled"] == 100
        execution = client.wait_event(lambda event: event.type == "execution", 10)
        assert execution.data["orderid"] == filled.data["id"]


def test_a_ten_line_script_trades_over_xmlrpc(daemon):
    server = xmlrpc.client.ServerProxy(
        f"http://{daemon.user}:{daemon.password}@127.0.0.1:{daemon.http_port}/RPC2", allow_none=True
    )
    assert "market_order" in server.system.listMethods()
    assert server.add_symbol("MSFT") is True
    order = server.market_order("MSFT", 10)
    end = time.monotonic() + 10
    while order["status"] != "Filled":
        assert time.monotonic() < end, order
        order = server.query_order(order["id"])
    while (
        server.query_positions().get("DU1000001", {}).get("MSFT") != 10
    ):  # over FIX they are asked for, a moment later
        assert time.monotonic() < end
        time.sleep(0.1)
    server("close")()


def test_the_command_trades(daemon):
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TXTRADER_")}
    environ.update(
        PYTHONPATH=str(ROOT),
        TXTRADER_USERNAME=daemon.user,
        TXTRADER_PASSWORD=daemon.password,
        TXTRADER_HTTP_PORT=str(daemon.http_port),
        TXTRADER_TCP_PORT=str(daemon.tcp_port),
    )

    def txtrader(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "txtrader.cli", "client", *words],
            env=environ,
            cwd=daemon.folder,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "Up" in txtrader("status")
    assert "New" in txtrader("--json", "limit_order", "IBM", "1.00", "10")
    assert "IBM" in txtrader("--json", "query_orders")


def test_the_broker_is_logged_off_and_on_where_it_has_a_logon(daemon):
    has_logon = daemon.settings["DEMO_WIRE"] == "cqg"
    with LineClient.connect(daemon) as client:
        if not has_logon:
            with pytest.raises(InvalidArgument):
                client.call("gateway_logoff")
            return
        assert client.call("gateway_logoff") is True
        assert client.call("status") != "Up"
        with pytest.raises(LinkError):
            client.call("market_order", "IBM", 1)
        assert client.call("gateway_logon", "demo", "demo") is True
        daemon.wait(lambda: client.call("status") == "Up", 10, "the link is up again")
        assert client.call("market_order", "IBM", 1)["status"] in ("New", "Filled", "PartiallyFilled")


def test_it_ends_in_order(daemon):
    """The last test of the file: the daemon is down afterwards."""
    assert daemon.terminate() == 0
    assert not [line for line in daemon.lines if " error " in line or "Traceback" in line], daemon.tail()
