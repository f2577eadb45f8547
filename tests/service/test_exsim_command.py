"""The command `exsim`: the simulated TWS alone, as a process, with clients from outside."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "exsim"))
from fix_client import FixClient

from txtrader.exsim import API, ExsimError
from txtrader.testing.clients import LineClient
from txtrader.testing.daemon import ROOT, Daemon

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a process of the tree in an empty folder; whatever still runs at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def begin(*words: object, **settings: object) -> subprocess.Popen[str]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("TXTRADER_")}
        environ.update({f"TXTRADER_{key}": str(value) for key, value in settings.items()}, PYTHONPATH=str(ROOT))
        process = subprocess.Popen(
            [sys.executable, "-m", *map(str, words)],
            cwd=tmp_path,
            env=environ,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate(timeout=10)


def port_of(process: subprocess.Popen[str]) -> int:
    """Read the line that says where the simulated TWS listens."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("tws 127.0.0.1:"), line
    return int(line.rpartition(":")[2])


def end(process: subprocess.Popen[str]) -> int:
    """SIGTERM; return the exit code."""
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    return process.returncode


def test_it_says_where_it_listens_shakes_hands_and_ends_in_order(start: Start) -> None:
    process = start("txtrader.exsim", "--tws-port", 0, "--max-version", 160)
    with socket.create_connection(("127.0.0.1", port_of(process)), timeout=10) as client:
        client.sendall(b"API\0\0\0\0\x09v151..178")
        length = int.from_bytes(client.recv(4), "big")
        assert client.recv(length).startswith(b"160\0")
        assert end(process) == 0


def test_a_port_or_a_state_that_another_has_keeps_it_from_starting(start: Start, tmp_path: Path) -> None:
    port = port_of(start("txtrader.exsim", "--tws-port", 0, "--state", "market"))
    second = start("txtrader.exsim", "--tws-port", port)
    assert (second.communicate(timeout=20)[0], second.returncode) == ("", 1)
    third = start("txtrader.exsim", "--tws-port", 0, "--state", "market", "--logfile", "log")
    out, err = third.communicate(timeout=20)
    assert (out, third.returncode) == ("", 1)
    assert f"exsim: --state: {tmp_path / 'market.lock'}: process" in err


def test_wrong_options_are_named(start: Start) -> None:
    process = start("txtrader.cli", "exsim", "--pace", "frantic")
    assert "frantic" in process.communicate(timeout=20)[1]
    assert process.returncode == 2


def test_the_gateway_trades_there_and_kept_books_survive_a_kill(start: Start, tmp_path: Path) -> None:
    words = ("txtrader.exsim", "--state", "market", "--pace", "none", "--tws-port")
    first = start(*words, 0)
    port = port_of(first)
    settings = {"MODE": "tws", "API_PORT": port, "API_ACCOUNT": "DU1000001", "RECONNECT_MAX": 1}
    with Daemon(tmp_path / "gateway", settings) as gateway:
        gateway.start()
        gateway.wait_up()
        with LineClient.connect(gateway) as client:
            bought = client.call("market_order", "IBM", 10)
            resting = client.call("limit_order", "IBM", "1.00", 5, tif="GTC")
            client.wait_event(lambda event: event.type == "order" and event.data["status"] == "Filled")
            assert resting["status"] == "New"
            first.kill()
            first.communicate(timeout=10)
            client.wait_event(lambda event: event.type == "connection-status-changed")
            port_of(start(*words, port))
            client.wait_event(lambda event: event.type == "connection-status-changed" and event.data["status"] == "Up")
            assert client.call("query_positions")["DU1000001"] == {"IBM": Decimal(10)}
            assert client.call("query_order", bought["id"])["filled"] == 10
            assert client.call("query_order", resting["id"])["status"] == "New"
            assert client.call("cancel_order", resting["id"])["status"] == "Canceled"


def test_its_market_is_driven_by_requests(start: Start) -> None:
    process = start("txtrader.exsim", "--tws-port", 0, "--control-port", 0, "--pace", "none")
    port_of(process)
    assert process.stdout is not None
    word, where, token = process.stdout.readline().split()
    assert word == "control"
    with API() as api:
        with pytest.raises(ExsimError) as caught:
            api.create_server("stranger", start=where, token="guess")
        assert caught.value.code == "unauthenticated"
        server = api.create_server(start=where, token=token)
        book = server.engine("demo").book("IBM")
        offer = book.get(level=1)["offers"][0]
        assert book.buy("b1", 10, offer["price"])["status"] == "filled"
        server.engine("demo").create_book("MINE", symbol="MINE").sell("s1", 5, "7.00")
        with pytest.raises(ExsimError):
            server.engine("demo").delete(force=True)
        server.reset()
        assert [engine["name"] for engine in server.list_engines()] == ["demo"]
    assert end(process) == 0


def test_a_venue_of_a_script_is_served_and_driven_on(start: Start, tmp_path: Path) -> None:
    steps = [
        {"type": "create_engine", "name": "e1"},
        {"type": "create_book", "name": "IBM", "engine": "e1", "symbol": "IBM"},
        {"type": "create_endpoint", "name": "fix", "engine": "e1", "protocol": "fix44"},
    ]
    (tmp_path / "venue.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
    process = start("txtrader.exsim", "server", "--script", tmp_path / "venue.jsonl")
    assert process.stdout is not None
    word, where, token = process.stdout.readline().split()
    assert word == "control"
    _, name, at = process.stdout.readline().split()
    assert name == "fix"
    client = FixClient(int(at.rpartition(":")[2]))
    client.log_on()
    with API() as api:
        server = api.create_server(start=where, token=token)
        server.engine("e1").book("IBM").sell("s1", 5, "9.00")
        client.order("c1", 1, 5, "9.00")
        assert [client.next("8")[39] for _ in range(2)] == ["0", "2"]
        script = server.dump_script()
    client.close()
    assert end(process) == 0
    (tmp_path / "again.json").write_text(json.dumps([*script, {"type": "create_engine", "name": "e1"}]))
    process = start("txtrader.exsim", "server", "--script", tmp_path / "again.json")
    out, err = process.communicate(timeout=20)
    assert (out, process.returncode) == ("", 1)
    assert f"request {len(script) + 1} of the script: already-exists" in err


def test_the_tac_listens_where_mode_tws_dials(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    process = start("txtrader.cli", "daemon", ROOT / "tac" / "exsim.tac", TWS_API_PORT=port)
    assert process.stderr is not None
    assert any(f"simulated TWS at 127.0.0.1:{port};" in line for line in process.stderr)
    assert end(process) == 0


def test_a_fix_client_trades_on_the_market_that_the_others_see(start: Start) -> None:
    process = start("txtrader.exsim", "--tws-port", 0, "--fix-port", 0, "--pace", "slow")
    port_of(process)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("fix 127.0.0.1:"), line
    client = FixClient(int(line.rpartition(":")[2]))
    try:
        assert client.log_on()[98] == "0"
        client.order("A1", 1, 100)
        assert client.next("8")[150] == "0"
        assert client.next("8")[150] == "F"
        client.send("5")
        assert client.next("5")[56] == "CLIENT"
    finally:
        client.close()
    assert end(process) == 0


def test_orders_and_numbers_of_a_fix_client_outlive_a_kill(start: Start) -> None:
    words = ("txtrader.exsim", "--tws-port", 0, "--fix-port", 0, "--pace", "none", "--state", "market.db")
    process = start(*words)
    port_of(process)
    assert process.stdout is not None
    client = FixClient(int(process.stdout.readline().rpartition(":")[2]))
    client.log_on()
    client.order("A1", 1, 10, "1.00", _59=1)
    assert client.next("8")[150] == "0"
    client.close()
    process.kill()
    process.wait(10)
    again = start(*words)
    port_of(again)
    assert again.stdout is not None
    back = FixClient(int(again.stdout.readline().rpartition(":")[2]), number=client.number)
    try:
        assert back.log_on()[34] == "3", "the venue goes on where it was"
        back.send("AF", (584, "S"), (585, 7))
        found = back.next("8")
        assert (found[11], found[150], found[39]) == ("A1", "I", "0")
        back.change("F", "A2", "A1", 1, 10)
        assert back.next("8")[150] == "4"
    finally:
        back.close()
    assert end(again) == 0


@pytest.mark.parametrize("version", ["4.2", "5.0"])
def test_an_ouch_client_trades_there_in_the_version_that_was_asked_for(start: Start, version: str) -> None:
    words = ("--ouch-port", 0, *(("--ouch-version", version) if version != "5.0" else ()))
    process = start("txtrader.exsim", "--tws-port", 0, *words, "--pace", "none")
    port_of(process)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("ouch 127.0.0.1:"), line
    with socket.create_connection(("127.0.0.1", int(line.rpartition(":")[2])), timeout=10) as client:
        client.sendall(b"\0\x2fL" + b"anyone".ljust(46 - 20) + b"1".rjust(20))
        if version == "4.2":
            order = struct.pack(
                ">c14scI8sII4scccIcc", b"O", b"A1".ljust(14), b"B", 10, b"IBM".ljust(8), 0x7FFFFFFF, 0, b" " * 4,
                b"Y", b"P", b"N", 0, b"N", b" ",
            )  # fmt: skip
        else:
            order = struct.pack(
                ">cIcI8sQccccc14sH", b"O", 1, b"B", 10, b"IBM".ljust(8), 2_000_000_000, b"3", b"Y", b"P", b"N", b"N",
                b" " * 14, 0,
            )  # fmt: skip
        client.sendall(struct.pack(">Hc", 1 + len(order), b"U") + order)
        data, kinds = b"", []
        while len(kinds) < 4:
            data += client.recv(4096)
            while len(data) > 2 and len(data) >= 2 + (size := int.from_bytes(data[:2], "big")):
                kinds += [data[2:3] if data[2:3] == b"A" else data[3:4]] if data[2:3] != b"H" else []
                data = data[2 + size :]
        assert kinds == [b"A", b"S", b"A", b"E"]
    assert end(process) == 0
