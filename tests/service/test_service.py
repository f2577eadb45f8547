"""The whole daemon in mode demo, as a process: what it opens, what it writes down, and what keeps it from starting."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import resources
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from txtrader.exsim.demo import ACCOUNTS
from txtrader.gateway.passwords import hash_password
from txtrader.service import gateway_options, make_service
from txtrader.service.check import check_settings
from txtrader.settings import Settings
from txtrader.testing.clients import LineClient
from txtrader.testing.daemon import Daemon, wait_until

CANARY = "canary-4711-secret"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path, {"MODE": "demo", "PASSWORD": CANARY}) as found:
        yield found


def load(**values: str) -> Settings:
    return Settings.load({f"TXTRADER_{key}": text for key, text in values.items()})


def test_it_serves_soon_writes_down_its_ports_and_ends_in_order(daemon: Daemon) -> None:
    daemon.start()
    ports = json.loads(daemon.ports_file.read_text())
    assert ports["pid"] == daemon.pid
    assert set(ports) == {"pid", "tcp", "http"}
    daemon.wait_up()
    assert daemon.terminate(6) == 0
    assert not daemon.ports_file.exists()
    assert not list(daemon.data_dir.glob("*-wal"))  # the journal was closed, not left


def test_no_secret_is_in_the_log_nor_in_the_files(daemon: Daemon) -> None:
    """F48: logins good and bad, at the loudest level."""
    daemon.start(LOG_LEVEL="debug", LOG_CLIENT_MESSAGES="1", LOG_CXN_EVENTS="1", LOG_API_MESSAGES="1")
    for line in (f"auth tester {CANARY}", f"AUTH tester {CANARY}", f" auth tester {CANARY}", f"auth {CANARY} x"):
        with socket.create_connection(("127.0.0.1", daemon.tcp_port), timeout=10) as client:
            client.sendall(line.encode() + b"\nquit\n")
            while client.recv(4096):
                pass
    assert daemon.terminate(6) == 0
    assert CANARY not in "\n".join(daemon.lines)
    for path in daemon.data_dir.iterdir():
        assert CANARY.encode() not in path.read_bytes()


def test_a_second_daemon_on_the_journal_ends_and_names_the_first(daemon: Daemon, tmp_path: Path) -> None:
    """F19: and it never dials the broker."""
    daemon.start()
    with Daemon(tmp_path / "second", {"MODE": "demo", "DATA_DIR": daemon.data_dir}) as second:
        second.spawn()
        assert second.wait_end(10) == 1
        assert str(daemon.pid) in second.tail() and "journal" in second.tail()
        assert "Connecting" not in second.tail()
    assert json.loads(daemon.ports_file.read_text())["pid"] == daemon.pid


def test_a_taken_port_is_named_and_nothing_is_dialled(daemon: Daemon) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        daemon.spawn(TCP_PORT=port)
        assert daemon.wait_end(10) == 1
    assert f"127.0.0.1:{port}" in daemon.tail() and "TXTRADER_TCP_PORT" in daemon.tail()
    assert "Connecting" not in daemon.tail()


def test_orders_in_flight_see_an_orderly_end(daemon: Daemon) -> None:
    """F24: the client hears of the shutdown, the journal has its order, the exit code is 0."""
    daemon.start()
    daemon.wait_up()
    with LineClient.connect(daemon) as client:
        order = client.call("market_order", "IBM", 1)
        daemon.signal(signal.SIGTERM)
        assert daemon.wait_end(6) == 0
    daemon.start()
    daemon.wait_up()
    with LineClient.connect(daemon) as client:
        assert client.call("query_order", order["id"])["id"] == order["id"]


def test_a_restart_storm_is_no_login_storm(daemon: Daemon) -> None:
    """F27: starts that never reached the broker make the next one wait, but clients are served at once."""
    now = time.time()
    (daemon.data_dir / "starts").write_text("".join(f"{now - number}\n" for number in (3, 2, 1)))
    daemon.start()
    assert (daemon.data_dir / "starts").exists()
    with LineClient.connect(daemon) as client:
        assert client.call("status") == "Startup"
    daemon.wait_up()
    wait_until(lambda: not (daemon.data_dir / "starts").exists(), 5, "the starts are forgotten")


def test_few_descriptors_shed_new_clients_and_spare_the_others(tmp_path: Path) -> None:
    """F23: with 64 open files, accept errors do not spin and a trader who is in goes on trading."""
    with Daemon(tmp_path, {"MODE": "demo"}, wrapper=["prlimit", "--nofile=64"]) as daemon, ExitStack() as crowd:
        daemon.start()
        daemon.wait_up()
        trader = crowd.enter_context(LineClient.connect(daemon))
        for _ in range(100):
            crowd.enter_context(socket.create_connection(("127.0.0.1", daemon.tcp_port), timeout=10))
        before = cpu_seconds(daemon.pid)
        assert trader.call("market_order", "IBM", 1)["id"]
        assert trader.call("query_orders")
        assert cpu_seconds(daemon.pid) - before < 0.5
        daemon.wait_line("room for 16 clients only")


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_hangup_reads_the_users_anew_and_a_bad_file_changes_nothing(daemon: Daemon) -> None:
    users = daemon.folder / "users"
    daemon.start(USERS_FILE=users)
    since = len(daemon.lines)
    users.write_text("not a users file\n")
    users.chmod(0o600)
    daemon.signal(signal.SIGHUP)
    daemon.wait_line("the users stay as they are: TXTRADER_USERS_FILE", since=since)
    users.write_text(f"ann:view:{hash_password('ann', 'a-long-password')}:*\n")
    daemon.signal(signal.SIGHUP)
    daemon.wait_line("users read anew; ended for nobody", since=since)
    with socket.create_connection(("127.0.0.1", daemon.tcp_port), timeout=10) as client, client.makefile() as lines:
        client.sendall(b"auth ann a-long-password\n")
        assert [next(lines), next(lines)] == [".connected: Demo Gateway\n", ".Authorized demo\n"]
        users.write_text("")
        daemon.signal(signal.SIGHUP)
        daemon.wait_line("users read anew; ended for ann", since=since)
        assert all(line.startswith(("demo.", ".")) for line in lines)  # and then the end
    assert daemon.is_running


def test_hangup_reads_the_table_of_codes_anew(daemon: Daemon) -> None:
    """A bad table changes nothing, the next good one is taken."""
    codes = daemon.folder / "codes.toml"
    table = resources.files("txtrader.twsapi").joinpath("codes.toml").read_text("utf-8")
    codes.write_text(table)
    daemon.start(TWS_CODES_FILE=codes)
    daemon.wait_up()
    since = len(daemon.lines)
    codes.write_text("farms = 3\n")
    daemon.signal(signal.SIGHUP)
    daemon.wait_line("demo: its tables stay as they are: TXTRADER_TWS_CODES_FILE", since=since)
    codes.write_text(table)
    since = len(daemon.lines)
    daemon.signal(signal.SIGHUP)
    daemon.wait_line("users read anew", since=since)
    with LineClient.connect(daemon) as client:
        assert client.call("status") == "Up"
    assert not any("stay as they are" in line for line in daemon.lines[since:])


def test_a_mode_without_adapter_and_a_daemon_without_users_are_refused(tmp_path: Path) -> None:
    nobody = str(tmp_path / "users")
    data_dir = str(tmp_path / "not" / "yet")
    fine = load(MODE="demo", USERNAME="ann", PASSWORD="long enough", USERS_FILE=nobody, DATA_DIR=data_dir)
    assert check_settings(fine) == []
    problems = check_settings(load(MODE="demo,dtc,../x", USERS_FILE=nobody, DATA_DIR=data_dir))
    assert [problem.split(":")[0] for problem in problems] == ["TXTRADER_MODE", "TXTRADER_MODE", "TXTRADER_USERS_FILE"]


def test_mode_cqg_wants_a_login_and_encryption_off_this_machine(tmp_path: Path) -> None:
    user = {"USERNAME": "ann", "PASSWORD": "long enough", "USERS_FILE": str(tmp_path / "u"), "DATA_DIR": str(tmp_path)}
    broker = {"API_USERNAME": "trader", "API_PASSWORD": "broker-secret"}
    assert check_settings(load(MODE="cqg", **user, **broker)) == []
    problems = check_settings(load(MODE="cqg", **user))
    assert [one.split(":")[0] for one in problems] == ["TXTRADER_API_USERNAME", "TXTRADER_API_PASSWORD"]
    (problem,) = check_settings(load(MODE="cqg", API_TLS="0", **user, **broker))
    assert problem.startswith("TXTRADER_API_TLS") and "broker-secret" not in problem
    assert check_settings(load(MODE="cqg", API_TLS="0", API_HOST="127.0.0.1", **user, **broker)) == []
    mine = load(MODE="cqg", **user, **broker).for_mode("cqg")
    assert (mine.api_host, mine.api_port, mine.api_tls) == ("demoapi.cqg.com", 443, True)
    assert (mine.reconnect_min, mine.reconnect_max) == (5.0, 300.0)


def test_mode_fix_wants_to_know_who_trades_with_whom_and_for_whom(tmp_path: Path) -> None:
    user = {"USERNAME": "ann", "PASSWORD": "long enough", "USERS_FILE": str(tmp_path / "u"), "DATA_DIR": str(tmp_path)}
    broker = {"FIX_SENDER_COMP_ID": "ME", "FIX_TARGET_COMP_ID": "BROKER", "FIX_ACCOUNTS": "A1,A2"}
    assert check_settings(load(MODE="fix", **user, **broker)) == []
    problems = check_settings(load(MODE="fix", **user))
    assert [one.split(":")[0].removeprefix("TXTRADER_") for one in problems] == [*broker]
    mine = load(MODE="fix", **user, **broker).for_mode("fix")
    assert (mine.api_tls, mine.heartbeat, mine.fix_version, mine.fix_accounts) == (True, 30.0, "4.4", ("A1", "A2"))
    symbols = tmp_path / "symbols.json"
    for text, wrong in (("{", "symbols.json"), ('{"IBM": {"tick": "x"}}', "IBM"), ('{"IBM": {"tock": "1"}}', "tock")):
        symbols.write_text(text)
        (problem,) = check_settings(load(MODE="fix", FIX_SYMBOLS=str(symbols), **user, **broker))
        assert problem.startswith("TXTRADER_FIX_SYMBOLS: ") and wrong in problem
    demo = load(MODE="demo", DEMO_WIRE="fix", **user)
    assert check_settings(demo) == [], "the demo brings its own"


def test_the_users_file_must_be_closed_to_others(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text("")
    users.chmod(0o644)
    (problem,) = check_settings(load(USERS_FILE=str(users), DATA_DIR=str(tmp_path)))
    assert problem.startswith("TXTRADER_USERS_FILE: ") and "0644" in problem


def test_files_that_cannot_be_made_or_read_are_named_before_the_start(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    user = {"USERNAME": "ann", "PASSWORD": "long enough", "USERS_FILE": str(tmp_path / "users")}
    (problem,) = check_settings(load(**user, DATA_DIR=str(in_the_way / "data")))
    assert problem == f"TXTRADER_DATA_DIR: {in_the_way} is no folder"
    (problem,) = check_settings(load(**user, DATA_DIR=str(tmp_path), JOURNAL=str(in_the_way / "journal")))
    assert problem == f"TXTRADER_JOURNAL: {in_the_way} is no folder"
    for mode in ("tws", "demo"):
        nowhere = tmp_path / "codes.toml"
        (problem,) = check_settings(load(**user, MODE=mode, DATA_DIR=str(tmp_path), TWS_CODES_FILE=str(nowhere)))
        assert problem.startswith("TXTRADER_TWS_CODES_FILE: ") and str(nowhere) in problem


def test_a_folder_that_cannot_be_made_is_named(daemon: Daemon) -> None:
    daemon.spawn(DATA_DIR="/proc/nothing")
    assert daemon.wait_end(10) == 1
    assert "TXTRADER_DATA_DIR" in daemon.tail()


def test_the_demo_has_the_account_that_the_settings_name() -> None:
    assert load(MODE="demo").api_account in ACCOUNTS
    assert load(MODE="tws").api_account is None


def test_options_of_the_gateway_follow_the_settings() -> None:
    options = gateway_options(
        load(TIMEOUT_ORDER="1.5", API_ROUTE='{"SMART": {"x": 1}}', SUPPRESS_ERROR_CODES="2100,2104", ENABLE_TICKER="0")
    )
    assert options.order_timeout == 1.5
    assert options.default_route == {"SMART": {"x": 1}}
    assert options.link.suppressed_codes == frozenset({"2100", "2104"})
    assert not options.market.ticker
    assert make_service(load(), Clock()).name == "txtrader"
