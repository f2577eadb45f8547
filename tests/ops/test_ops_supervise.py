"""A bare svscan supervises the daemon from service/: restarts, the log, a kill loop that loses nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 30.0


class Supervised:
    """A copy of service/txtrader.demo below a folder that looks like a clone, with svscan on it."""

    def __init__(self, clone: Path) -> None:
        self.clone = clone
        self.folder = clone / "service" / "txtrader.demo"
        self.data = clone / "data"
        shutil.copytree(ROOT / "service/txtrader.demo", self.folder, ignore=shutil.ignore_patterns("supervise"))
        (clone / ".venv").symlink_to(ROOT / ".venv")
        env = clone / ".run" / "env"
        env.mkdir(parents=True, mode=0o700)
        values = {"HTTP_PORT": "off", "TCP_PORT": "0", "USERNAME": "ann", "PASSWORD": "a-long-password"}
        values |= {"USER_ROLE": "admin", "DATA_DIR": str(self.data), "USERS_FILE": str(clone / "users")}
        values |= {"LOG_CXN_EVENTS": "1"}
        for key, text in values.items():
            path = env / f"TXTRADER_{key}"
            path.write_text(text + "\n")
            path.chmod(0o600)
        environ = {name: text for name, text in os.environ.items() if not name.startswith("TXTRADER_")}
        environ["TXTRADER_LOGSIZE"] = "4096"  # the least that multilog takes: the log rotates soon
        self.svscan = subprocess.Popen(
            ["svscan", str(clone / "service")], env=environ, stdin=subprocess.DEVNULL, start_new_session=True
        )

    def svc(self, options: str) -> None:
        subprocess.run(["svc", options, str(self.folder)], check=True)

    def ports(self) -> dict[str, int]:
        """Return what the daemon that lives now wrote down."""
        found: dict[str, int] = wait_for(self._living)
        return found

    def _living(self) -> dict[str, int] | None:
        try:
            found: dict[str, int] = json.loads((self.data / "ports.json").read_text())
            os.kill(found["pid"], 0)
        except (OSError, ValueError):
            return None
        return found

    def restarted(self, old: int) -> dict[str, int]:
        """Wait for another process than `old` to serve."""
        return wait_for(lambda: found if (found := self._living()) and found["pid"] != old else None)

    def log(self) -> str:
        """Return the whole log, rotated files first."""
        files = sorted((self.clone / ".run/log/txtrader.demo").glob("@*"))
        current = self.clone / ".run/log/txtrader.demo/current"
        return "".join(path.read_text() for path in [*files, current] if path.exists())

    def end(self) -> None:
        self.svscan.terminate()
        self.svscan.wait()
        for folder in (self.folder, self.folder / "log"):
            subprocess.run(["svc", "-dx", str(folder)], check=False)
        wait_for(lambda: subprocess.run(["svok", str(self.folder)], check=False).returncode != 0)


def wait_for(attempt: Callable[[], Any]) -> Any:
    """Try until something comes."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = attempt()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it never came")


class Lines:
    """A trader on the line protocol."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._reader = self._socket.makefile("r", encoding="ascii", newline="\n")
        assert self._reader.readline().startswith(".connected: ")
        assert self.ask("auth ann a-long-password", ".Authorized")

    def ask(self, line: str, *answers: str) -> str:
        """Send a line and return the next one that begins with one of `answers`, or an error."""
        self._socket.sendall(line.encode() + b"\n")
        for said in self._reader:
            if said.startswith((*answers, ".error")):
                return said
        raise ConnectionError("the daemon closed")

    def close(self) -> None:
        self._reader.close()
        self._socket.close()


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    if shutil.which("svscan") is None:
        pytest.skip("daemontools are missing")
    service = Supervised(tmp_path)
    try:
        yield service
    finally:
        service.end()


def test_svscan_starts_it_svc_restarts_it_and_the_log_rotates(supervised: Supervised) -> None:
    first = supervised.ports()
    supervised.svc("-t")
    second = supervised.restarted(first["pid"])
    wait_for(lambda: "ended, exit code 0" in supervised.log())

    def rotated() -> bool:
        with socket.create_connection(("127.0.0.1", second["tcp"]), timeout=PATIENCE) as client:
            client.recv(100)  # each coming and going is a line of the log
        return bool(list((supervised.clone / ".run/log/txtrader.demo").glob("@*")))

    wait_for(rotated)
    supervised.svc("-d")
    wait_for(lambda: supervised._living() is None)
    assert not (supervised.data / "ports.json").exists()


def test_a_kill_loop_loses_no_order(supervised: Supervised) -> None:
    acknowledged: dict[str, str] = {}
    ports = supervised.ports()
    for turn in range(5):
        trader = Lines(ports["tcp"])
        wait_for(lambda trader=trader: trader.ask("status", ".status").strip() == ".status: Up")
        for number in range(3):
            key = f"k{turn}-{number}"
            said = trader.ask(f'market_order IBM 1 {{"client_order_id": "{key}"}}', ".result market_order")
            assert said.startswith(".result"), said
            acknowledged[key] = json.loads(said.split(": ", 1)[1])["id"]
        os.kill(ports["pid"], signal.SIGKILL)
        trader.close()
        ports = supervised.restarted(ports["pid"])
    trader = Lines(ports["tcp"])
    orders = json.loads(trader.ask("orders", "demo.orders").split(": ", 1)[1])
    trader.close()
    kept = {order["client_order_id"]: order["id"] for order in orders.values()}
    assert kept == acknowledged
