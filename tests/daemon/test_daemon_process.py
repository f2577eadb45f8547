"""The daemon's process: signals, exit codes, background, and nothing that could hang its end (G7, F24, F26)."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from txtrader.version import __version__

COMMAND = [sys.executable, "-m", "txtrader.cli", "daemon"]
ROOT = Path(__file__).parent.parent.parent

TAC = """
import os
from twisted.application import service
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from txtrader.daemon.lifecycle import Daemon
from txtrader.errors import ConfigError
from txtrader.settings import Settings

class Parts(Daemon):
    async def start_parts(self):
        {start}

    def reload(self):
        Logger("test").info("reloaded")

application = service.Application("test")
Parts(Settings.of_process(), reactor).setServiceParent(application)
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Start]:
    """Start a daemon whose parts are the given code; it is gone when the test ends."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str = "pass", *arguments: str, **environ: str) -> subprocess.Popen[str]:
        tac = tmp_path / "test.tac"
        tac.write_text(TAC.format(start=code))
        process = subprocess.Popen(
            [*COMMAND, *arguments, str(tac)],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | environ,
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """Read the log up to a line with these words."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if words in line:
            return said
    raise AssertionError(f"the daemon ended without saying {words!r}:\n{said}")


UP = 'Logger("test").info("parts are up")'


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_with_exit_code_0(daemon: Start, number: signal.Signals) -> None:
    process = daemon(f'self.started("one", lambda: Logger("test").info("one is stopped")); {UP}')
    assert f"txtrader {__version__}, mode demo" in read_until(process, "parts are up")
    process.send_signal(number)
    read_until(process, "one is stopped")
    assert process.wait(5) == 0


def test_a_second_signal_ends_it_at_once(daemon: Start) -> None:
    process = daemon(f'self.started("slow", lambda: Deferred()); {UP}')
    read_until(process, "parts are up")
    process.send_signal(signal.SIGTERM)
    read_until(process, "SIGTERM: stopping")
    began = time.monotonic()
    while process.poll() is None:  # what comes within 50 ms is taken for the same wish
        assert time.monotonic() - began < 1
        process.send_signal(signal.SIGTERM)
        time.sleep(0.02)
    assert process.returncode == 128 + signal.SIGTERM


def test_a_signal_to_process_and_group_is_one_wish(daemon: Start) -> None:
    process = daemon(f'self.started("one", lambda: Logger("test").info("one is stopped")); {UP}')
    read_until(process, "parts are up")
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    read_until(process, "one is stopped")
    assert process.wait(5) == 0


def test_what_hangs_is_left_behind_within_five_seconds(daemon: Start) -> None:
    process = daemon(
        f'self.started("first", lambda: Logger("test").info("never reached"));'
        f'self.started("stuck", lambda: Deferred()); {UP}'
    )
    read_until(process, "parts are up")
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    said = read_until(process, "ended, exit code 1")
    assert "stuck did not stop" in said
    assert process.wait(5) == 1
    assert time.monotonic() - began < 5


def test_a_part_that_fails_to_stop_does_not_keep_the_others_running(daemon: Start) -> None:
    process = daemon(
        f'self.started("one", lambda: Logger("test").info("one is stopped"));self.started("bad", lambda: 1 / 0); {UP}'
    )
    read_until(process, "parts are up")
    process.send_signal(signal.SIGTERM)
    assert "ZeroDivisionError" in read_until(process, "one is stopped")
    assert process.wait(5) == 0


def test_a_blocked_reactor_is_ended_too(daemon: Start) -> None:
    process = daemon(f'self.started("block", lambda: __import__("time").sleep(60)); {UP}')
    read_until(process, "parts are up")
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(6) == 1
    assert time.monotonic() - began < 5.5


def test_a_wrong_part_ends_it_with_its_reason_and_takes_back_what_it_started(daemon: Start) -> None:
    process = daemon(
        'self.started("one", lambda: Logger("test").info("one is stopped"));'
        'raise ConfigError("is locked by process 7", path="TXTRADER_JOURNAL")'
    )
    said = read_until(process, "one is stopped")
    assert "cannot go on: TXTRADER_JOURNAL: is locked by process 7" in said
    assert process.wait(5) == 1


def test_a_bug_at_the_start_is_shown_with_its_traceback(daemon: Start) -> None:
    process = daemon("raise KeyError('boom')")
    said = read_until(process, "ended, exit code 1")
    assert "KeyError" in said and all(line.startswith("20") for line in said.splitlines())
    assert process.wait(5) == 1


def test_a_reader_that_stops_reading_the_log_holds_nothing_up(daemon: Start, tmp_path: Path) -> None:
    flood = 'for _ in range(30000): Logger("test").info("x" * 200)'
    process = daemon(f"{flood}\n        open('flooded', 'w').close()")
    deadline = time.monotonic() + 20
    while not (tmp_path / "flooded").exists():  # nobody reads the pipe
        assert time.monotonic() < deadline
        time.sleep(0.02)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0
    assert time.monotonic() - began < 5


def test_hangup_opens_the_log_anew_and_reloads(daemon: Start, tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = daemon(UP, "--logfile", str(log))
    wait_for_words(log, "parts are up")
    log.rename(tmp_path / "log.1")
    process.send_signal(signal.SIGHUP)
    wait_for_words(log, "reloaded")
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0


def wait_for_words(path: Path, words: str) -> str:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if path.exists() and words in (said := path.read_text()):
            return said
        time.sleep(0.02)
    raise AssertionError(f"{words!r} never came: {path.read_text() if path.exists() else 'no file'}")


def test_core_files_are_off_and_many_descriptors_asked_for(daemon: Start) -> None:
    process = daemon(UP, TXTRADER_MAX_CLIENTS="300")
    read_until(process, "parts are up")
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    (core,) = [line.split() for line in limits.splitlines() if line.startswith("Max core")]
    (files,) = [line.split() for line in limits.splitlines() if line.startswith("Max open files")]
    assert core[4] == core[5] == "0"
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert int(files[3]) >= (1324 if hard == resource.RLIM_INFINITY else min(1324, hard))


def test_it_goes_to_the_background_and_says_when_it_serves(daemon: Start, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    process = daemon("pass", "--daemon", "--logfile", str(tmp_path / "log"), "--pidfile", str(pid_file))
    assert process.wait(10) == 0
    pid = int(pid_file.read_text())
    second = daemon("pass", "--pidfile", str(pid_file))
    assert f"process {pid} is running" in read_until(second, "TXTRADER_DAEMON_PIDFILE")
    assert second.wait(5) == 1
    os.kill(pid, signal.SIGTERM)
    wait_for_words(tmp_path / "log", "ended, exit code 0")
    deadline = time.monotonic() + 5
    while pid_file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_background_reports_what_keeps_it_from_starting(daemon: Start, tmp_path: Path) -> None:
    process = daemon('raise ConfigError("no users")', "--daemon", "--logfile", str(tmp_path / "log"))
    assert "no users" in read_until(process, "no users")
    assert process.wait(5) == 1
    process = daemon("pass", "--daemon")
    assert "needs a file for its log" in read_until(process, "TXTRADER_DAEMON_LOGFILE")
    assert process.wait(5) == 1


def test_wrong_settings_are_all_named_and_nothing_starts(daemon: Start) -> None:
    process = daemon(UP, TXTRADER_TCP_PORT="x", TXTRADER_LOG_LEVEL="loud")
    _, said = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "TXTRADER_TCP_PORT: write a port" in said and "TXTRADER_LOG_LEVEL: write one of" in said
    assert "parts are up" not in said


def test_json_logs_are_json(daemon: Start) -> None:
    process = daemon(UP, TXTRADER_LOG_FORMAT="json")
    assert '"message":"parts are up"' in read_until(process, "parts are up")
