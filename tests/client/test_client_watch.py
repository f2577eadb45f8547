"""The live view and the monitor command, in a terminal of their own."""

from __future__ import annotations

import codecs
import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from txtrader.client.events import parse_line
from txtrader.client.watch import Picture
from txtrader.client.watch_screen import screen_of

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def environ(port: int) -> dict[str, str]:
    names = {"TCP_PORT": str(port), "USERNAME": "alice", "PASSWORD": "s3cret"}
    return {"PATH": os.environ["PATH"], "TERM": "xterm", "COLUMNS": "120", "LINES": "40"} | {
        f"TXTRADER_{name}": value for name, value in names.items()
    }


class Terminal:
    """A command that believes to be on a terminal."""

    def __init__(self, port: int, *words: str) -> None:
        self.main, inner = pty.openpty()
        command = [sys.executable, "-m", "txtrader.client", "tws", *words]
        self.process = subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, env=environ(port))
        os.close(inner)
        self.seen = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def wait_for(self, text: str) -> None:
        until = time.monotonic() + 20
        while text not in self.seen:
            assert time.monotonic() < until, f"{text!r} is not in {self.seen[-2000:]!r}"
            self._read()

    def wait_end(self) -> int:
        until = time.monotonic() + 20
        while self.process.poll() is None:
            assert time.monotonic() < until, "it does not end"
            self._read()
        return self.process.wait()

    def _read(self) -> None:
        if select.select([self.main], [], [], 0.1)[0]:
            with contextlib.suppress(OSError):  # Linux tells the end of a terminal by an error
                self.seen += _COLOURS.sub("", self._decoder.decode(os.read(self.main, 65536)))

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.main)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    made: list[Terminal] = []
    yield made
    for terminal in made:
        terminal.close()


def speak(line_gateway: Any) -> Any:
    client = line_gateway.accept().log_in()
    assert client.hear() == "add IBM"
    assert sorted(client.hear() for _ in range(3)) == ["orders", "query_positions true", "status"]
    held = '{"DU1":[{"account":"DU1","symbol":"IBM","quantity":300,"avgprice":124.75}]}'
    client.say(".symbol IBM added", ".status: Up", f".result query_positions: {held}")
    client.say('tws.orders: {"TX-1":{"id":"TX-1","side":"BUY","quantity":100,"symbol":"IBM","status":"New"}}')
    client.say('tws.quote.IBM: {"symbol":"IBM","bid":124.99,"ask":125.01,"bidsize":3,"asksize":5}')
    client.say('tws.trade.IBM: {"symbol":"IBM","last":125.005,"size":100,"volume":123456}')
    client.say('tws.order.TX-2: {"id":"TX-2","status":"Filled","text":"Buy 100 IBM (Filled)","filled":100}')
    return client


@pytest.mark.parametrize("key", ["q", "Ctrl-C"])
def test_watch_shows_what_changes_and_ends_cleanly(line_gateway: Any, terminals: list[Terminal], key: str) -> None:
    terminals.append(terminal := Terminal(line_gateway.port, "watch", "IBM"))
    client = speak(line_gateway)
    for text in ("125.005", "TX-1", "Buy 100 IBM (Filled)", "300", "124.75", "Up"):
        terminal.wait_for(text)
    if key == "q":
        os.write(terminal.main, b"q")
    else:
        terminal.process.send_signal(signal.SIGINT)
    assert terminal.wait_end() == 0
    assert client.hear() == "quit"
    assert "Traceback" not in terminal.seen


def test_watch_prints_lines_where_there_is_no_terminal(line_gateway: Any) -> None:
    command = [sys.executable, "-m", "txtrader.client", "tws", "watch", "IBM"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ(line_gateway.port), text=True) as process:
        client = speak(line_gateway)
        assert process.stdout is not None
        lines = [process.stdout.readline().split(" ", 1)[1] for _ in range(3)]
        process.send_signal(signal.SIGTERM)
        assert client.hear() == "quit"
        assert process.wait(20) == 0
    assert lines == [
        "quote: IBM bid 124.99 bidsize 3 ask 125.01 asksize 5\n",
        "trade: IBM last 125.005 size 100 volume 123456\n",
        "order: Buy 100 IBM (Filled)\n",
    ]


def test_monitor_prints_each_line_and_ends_by_a_signal(line_gateway: Any) -> None:
    command = [sys.executable, "-m", "txtrader.client", "tws", "monitor", "IBM"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ(line_gateway.port), text=True) as process:
        client = line_gateway.accept().log_in()
        assert client.hear() == "add IBM"
        client.say('tws.quote.IBM: {"bid":1}')
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        assert lines == [".connected: TWS Gateway\n", ".Authorized tws\n", 'tws.quote.IBM: {"bid":1}\n']
        process.send_signal(signal.SIGINT)
        assert client.hear() == "quit"
        assert process.wait(20) == 0


def test_a_refused_login_is_an_exit_code(line_gateway: Any) -> None:
    command = [sys.executable, "-m", "txtrader.client", "tws", "watch"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environ(line_gateway.port), text=True) as process:
        client = line_gateway.accept()
        client.say(".connected: TWS Gateway")
        client.hear()
        client.say(".Authorization required!")
        client.close()
        assert process.wait(20) == 1
        assert process.stderr is not None
        assert process.stderr.read() == "txtrader: unauthenticated: the gateway refused user and password\n"


def test_json_events_are_one_object_a_line(line_gateway: Any) -> None:
    command = [sys.executable, "-m", "txtrader.client", "tws", "monitor", "--json", "--once"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ(line_gateway.port), text=True) as process:
        client = line_gateway.accept().log_in()
        client.say('tws.quote.IBM: {"bid":1.10}')
        client.close()
        assert process.wait(20) == 0
        assert process.stdout is not None
        assert process.stdout.read() == '{"type":"quote","mode":"tws","key":"IBM","data":{"bid":1.1}}\n'


def test_the_picture_keeps_the_newest_state_of_an_order() -> None:
    picture = Picture()
    late = '{"id":"TX-1","status":"New","update_time":"2026-11-20T14:30:00Z"}'
    picture.take(parse_line('tws.order.TX-1: {"id":"TX-1","status":"Filled","update_time":"2026-11-20T14:30:01Z"}'))
    picture.take(parse_line('tws.orders: {"TX-1":' + late + "}"))
    assert picture.orders["TX-1"]["status"] == "Filled"


def test_ended_orders_leave_and_open_ones_stay() -> None:
    picture = Picture()
    picture.take(parse_line('tws.order.OPEN: {"id":"OPEN","status":"New"}'))
    for number in range(50):
        picture.take(parse_line(f'tws.order.TX-{number}: {{"id":"TX-{number}","status":"Filled"}}'))
    assert "OPEN" in picture.orders
    assert len(picture.orders) == 21
    screen_of(picture, 80)
    screen_of(picture, 120)
