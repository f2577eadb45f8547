"""Run the real daemon as a child process: settings in a folder of its own, ports from the system, signals by pid."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

__all__ = ["Daemon", "DaemonFailed", "wait_until"]

ROOT = Path(__file__).parents[2]
POLL = 0.02  # seconds between looks at something that cannot tell us by itself


class DaemonFailed(AssertionError):
    """The daemon did not do what the test waited for; the message ends with its output."""


def wait_until(condition: Callable[[], object], timeout: float, what: str) -> None:
    """Look again and again until `condition()` is true; raises DaemonFailed after `timeout` seconds.

    For things in other processes only; it blocks, so never call it in a reactor's thread.
    """
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise DaemonFailed(f"not in {timeout} s: {what}")
        time.sleep(POLL)


class Daemon:
    """One gateway process, which may be started again and again on the same folder.

    `settings` are TXTRADER_ keys without the prefix.  The journal lies in `folder`/data.  User and password are made
    up unless given.  What the process prints is kept in `lines` and, for all its lives, in `folder`/daemon.log.
    """

    def __init__(self, folder: Path, settings: Mapping[str, object], *, wrapper: Sequence[str] = ()) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.user = str(settings.get("USERNAME", "tester"))
        self.password = str(settings.get("PASSWORD", secrets.token_urlsafe(12)))
        self.settings: dict[str, object] = {
            "HOST": "127.0.0.1",
            "TCP_PORT": 0,
            "HTTP_PORT": 0,
            "DATA_DIR": self.data_dir,
            "USERNAME": self.user,
            "PASSWORD": self.password,
            "USER_ROLE": "admin",
            **settings,
        }
        self.wrapper = list(wrapper)  # for example strace and its arguments
        self.lines: list[str] = []
        self.starts = 0
        self._known_ports: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    # -- life

    def start(self, *, timeout: float = 30.0, **settings: object) -> Daemon:
        """Start and wait until the listeners listen; `settings` hold for this life only."""
        self.spawn(**settings)
        self.wait_listening(timeout)
        return self

    def spawn(self, **settings: object) -> None:
        """Start without waiting."""
        assert self._process is None or self._process.poll() is not None, "still running"
        self.starts += 1
        self._known_ports = {}
        environ = {name: value for name, value in os.environ.items() if not name.startswith("TXTRADER_")}
        environ.update({f"TXTRADER_{key}": str(value) for key, value in {**self.settings, **settings}.items()})
        environ["PYTHONPATH"] = str(ROOT)
        environ["PYTHONUNBUFFERED"] = "1"
        self._process = subprocess.Popen(
            [*self.wrapper, sys.executable, "-m", "txtrader.cli", "daemon"],
            cwd=self.folder,  # no .env of the developer's is read
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def wait_listening(self, timeout: float = 30.0) -> None:
        """Wait until the daemon has told its ports."""
        self.wait(lambda: bool(self._ports()), timeout, "the daemon listens")

    def wait_up(self, timeout: float = 30.0) -> None:
        """Wait until the gate is open: the broker link is up and reconciled."""
        from txtrader.testing.clients import LineClient  # only what uses it pays for it

        with LineClient.connect(self, timeout=timeout) as client:
            self.wait(lambda: client.call("status") == "Up", timeout, "status Up")

    def wait(self, condition: Callable[[], object], timeout: float, what: str) -> None:
        """Wait for something that this daemon shall do; its end is a failure."""

        def look() -> object:
            if condition():
                return True
            if self._process is None or self._process.poll() is not None:
                raise DaemonFailed(f"the daemon ended ({self.returncode}) before: {what}\n{self.tail()}")
            return False

        try:
            wait_until(look, timeout, what)
        except DaemonFailed as error:
            if "ended" in str(error):
                raise
            raise DaemonFailed(f"{error}\n{self.tail()}") from None

    def wait_line(self, text: str, timeout: float = 30.0, *, since: int = 0) -> str:
        """Wait for a line of output that holds `text`, from line number `since` on."""
        self.wait(lambda: any(text in line for line in self.lines[since:]), timeout, f"output {text!r}")
        return next(line for line in self.lines[since:] if text in line)

    def wait_end(self, timeout: float = 10.0) -> int:
        """Wait until the process is gone; return its exit code (negative: the signal)."""
        assert self._process is not None
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise DaemonFailed(f"still running after {timeout} s\n{self.tail()}") from None
        assert self._reader is not None
        self._reader.join(5)
        return code

    def signal(self, number: int) -> None:
        """Send a signal to the daemon, by its pid."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9, and wait for the end."""
        self.signal(signal.SIGKILL)
        self.wait_end()

    def terminate(self, timeout: float = 10.0) -> int:
        """SIGTERM; return the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait_end(timeout)

    def close(self) -> None:
        """End the process if it still runs, whatever its state."""
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)
            if self.wrapper and self._process.poll() is None:
                self._process.kill()
            self.wait_end()

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    # -- what is known of it

    @property
    def ports_file(self) -> Path:
        return self.data_dir / "ports.json"

    @property
    def pid(self) -> int:
        """The daemon's own pid, also below a wrapper."""
        assert self._process is not None
        if self.wrapper:
            return int(self._ports().get("pid", self._process.pid))
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        return None if self._process is None else self._process.poll()

    @property
    def tcp_port(self) -> int:
        """The port of the line protocol."""
        return int(self._ports()["tcp"])

    @property
    def http_port(self) -> int:
        """The port of XMLRPC."""
        return int(self._ports()["http"])

    @property
    def journal(self) -> Path:
        """The journal file."""
        found = sorted(self.data_dir.glob("*.sqlite*")) + sorted(self.data_dir.glob("*.db"))
        plain = [path for path in found if not path.name.endswith(("-wal", "-shm"))]
        assert plain, f"no journal in {sorted(path.name for path in self.data_dir.iterdir())}"
        return plain[0]

    def tail(self, count: int = 60) -> str:
        """The last lines of output."""
        return "\n".join(self.lines[-count:])

    def _ports(self) -> dict[str, int]:
        """Return what this life of the daemon has told; a file that an earlier one left behind says nothing."""
        if not self._known_ports and self._process is not None:
            try:
                ports: dict[str, int] = json.loads(self.ports_file.read_text())
            except FileNotFoundError:
                return {}
            if self.wrapper or ports["pid"] == self._process.pid:
                self._known_ports = ports
        return self._known_ports

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout, (self.folder / "daemon.log").open("ab") as log:
            for line in process.stdout:
                log.write(line)
                log.flush()
                self.lines.append(line.decode("utf-8", "backslashreplace").rstrip("\n"))
