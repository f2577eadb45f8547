"""The examples run as they stand, against the daemon that `make run` starts."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from txtrader.client import API
from txtrader.testing.daemon import Daemon

EXAMPLES = Path(__file__).parents[2] / "examples"
TRANSCRIPT = EXAMPLES / "telnet.txt"


@pytest.fixture(scope="module", params=["tws", "cqg"])
def daemon(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """The examples run unchanged, whichever wire lies between the gateway and its broker."""
    settings = {"MODE": "demo", "DEMO_PACE": "fast", "DEMO_WIRE": request.param}
    with Daemon(tmp_path_factory.mktemp("gateway"), settings) as started:
        started.start()
        started.wait_up()
        yield started


@pytest.fixture
def environ(daemon: Daemon, tmp_path: Path) -> dict[str, str]:
    """The environment of a second shell, which knows the folder of `make run`."""
    folder = tmp_path / "env"
    folder.mkdir()
    values = {"HTTP_PORT": daemon.http_port, "TCP_PORT": daemon.tcp_port}
    for name, value in (values | {"USERNAME": daemon.user, "PASSWORD": daemon.password}).items():
        (folder / f"TXTRADER_{name}").write_text(f"{value}\n")
    return {"PATH": os.environ["PATH"], "TXTRADER_ENVDIR": str(folder), "PYTHONUNBUFFERED": "1"}


def run(environ: dict[str, str], name: str, *words: str, seconds: float = 60) -> list[str]:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *words],
        env=environ,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout.splitlines()


def test_ten_lines_of_xmlrpc_buy_and_sell(environ: dict[str, str]) -> None:
    bought, sold = run(environ, "xmlrpc_order.py")
    assert re.fullmatch(r"Buy 10 IBM \(Filled\) at \d+\.\d+", bought)
    assert re.fullmatch(r"Sell 10 IBM \(Filled\) at \d+\.\d+", sold)


def test_ten_lines_are_ten() -> None:
    source = (EXAMPLES / "xmlrpc_order.py").read_text().split('"""', 2)[2]
    lines = [line for line in source.splitlines() if line.strip() and not re.match(r"import |from ", line)]
    assert len(lines) <= 10


def test_quotes_stream_over_a_socket(environ: dict[str, str]) -> None:
    lines = run(environ, "stream_quotes.py", "-n", "5", "IBM", "EUR/USD", "NOPE")
    replies = [line for line in lines if line.startswith(".")]
    assert replies[:2] == [".connected: Demo Gateway", ".Authorized demo"]
    assert set(replies[2:]) <= {".symbol IBM added", ".symbol EUR/USD added"} | {
        line for line in replies if line.startswith(".error not-found")
    }
    assert len(lines) - len(replies) == 5


def test_the_strategy_trades_and_ends_flat(environ: dict[str, str]) -> None:
    lines = run(environ, "moving_average.py", "IBM", "--seconds", "8", "--fast", "2", "--slow", "4")
    assert lines[0].startswith("following IBM for 8 s")
    told = re.fullmatch(r"(\d+) fills, holding 0, result -?\d+\.\d\d", lines[-1])
    assert told is not None, lines
    assert int(told[1]) > 0, lines


def test_the_strategy_ends_flat_on_ctrl_c(environ: dict[str, str]) -> None:
    command = [sys.executable, str(EXAMPLES / "moving_average.py"), "--fast", "1", "--slow", "2"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "holding 100" in line:
                process.send_signal(signal.SIGINT)
                break
        last = process.stdout.read().splitlines()[-1]
        assert process.wait(30) == 0
    assert ", holding 0," in last


class Player:
    """Plays a transcript: says what stands after `->`, and finds what stands after `<-` in what comes."""

    def __init__(self, sock: socket.socket, words: dict[str, str]) -> None:
        # Two files: one text file for both ways forgets what it has read ahead whenever something is written.
        self._said = sock.makefile("w", encoding="ascii", newline="\n")
        self._file = sock.makefile("r", encoding="ascii", newline="\n")
        self._words = words
        self._passed: list[str] = []  # events that came before they were looked for

    def play(self, transcript: str) -> int:
        count = 0
        for line in transcript.splitlines():
            for name, value in self._words.items():
                line = line.replace(name, value)
            if line.startswith("-> "):
                self._said.write(line[3:] + "\n")
                self._said.flush()
            elif line.startswith("<- "):
                self._expect(line[3:])
                count += 1
        assert self._drain() == "", "the gateway closes after quit"
        return count

    def _expect(self, shown: str) -> None:
        pattern = re.compile(".*".join(re.escape(part) for part in shown.split("...")))
        for line in self._passed:
            if pattern.fullmatch(line):
                self._passed.remove(line)
                return
        while True:
            line = self._file.readline().rstrip("\n")
            if pattern.fullmatch(line):
                return
            assert line.startswith("demo."), f"{line!r} came instead of {shown!r}"
            self._passed.append(line)
            assert len(self._passed) < 3000, f"{shown!r} does not come; last events: {self._passed[-5:]}"

    def _drain(self) -> str:
        while (line := self._file.readline()).startswith("demo."):
            pass
        return line


def test_the_telnet_session_goes_as_it_is_written(daemon: Daemon, environ: dict[str, str]) -> None:
    with API(config=environ, port=daemon.http_port) as api:
        account = api.query_accounts()[0]
    words = {"USER": daemon.user, "PASSWORD": daemon.password, "ACCOUNT": account, "RUN": "telnet"}
    with socket.create_connection(("127.0.0.1", daemon.tcp_port), timeout=30) as sock:
        transcript = TRANSCRIPT.read_text()
        assert Player(sock, words).play(transcript) == transcript.count("\n<- ")
