"""Starting a simulator from a test, and surely ending it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from typing import IO, Any

from txtrader.exsim.client.errors import ExsimError

__all__ = ["Process", "start_process"]

_START_DEADLINE = 10.0
_LEAVE_DEADLINE = 5.0
_TERM_DEADLINE = 2.0
_LAST_LINES = 20


class Process:
    """A simulator's process: `port` and `token` of its control; `end` always reaps it."""

    def __init__(self, pid: int, child: subprocess.Popen[bytes] | None, alive: int, errors: IO[bytes]) -> None:
        self.pid = pid
        self.port = 0
        self.token = ""
        self._child = child
        self._alive = alive
        self._errors = errors
        self._code: int | None = None

    @property
    def code(self) -> int | None:
        """The exit status, None while it runs."""
        if self._code is None:
            if self._child is not None:
                self._code = self._child.poll()
            else:
                found, status = os.waitpid(self.pid, os.WNOHANG)
                if found:
                    self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def last_lines(self) -> str:
        """Return the end of what it wrote to its standard error."""
        self._errors.seek(0)
        return "\n".join(self._errors.read().decode("utf-8", "replace").splitlines()[-_LAST_LINES:])

    def wait(self, seconds: float) -> bool:
        """Wait for its end; tell whether it came."""
        deadline = time.monotonic() + seconds
        while self.code is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def end(self) -> int:
        """Have it gone: it was told to leave, then SIGTERM, then SIGKILL; return its exit status."""
        try:
            for word, seconds in ((None, _LEAVE_DEADLINE), (signal.SIGTERM, _TERM_DEADLINE), (signal.SIGKILL, 10.0)):
                if word is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(self.pid, word)
                if self.wait(seconds):
                    break
        finally:
            with contextlib.suppress(OSError):
                os.close(self._alive)
            self._errors.close()
        assert self._code is not None, "a killed process ends"
        return self._code


def start_process(options: Mapping[str, Any], how: str | None) -> Process:
    """Start a simulator by `fork` or `spawn`; None is fork where that is safe.  Raises ExsimError."""
    obstacle = _obstacle_to_fork()
    if how == "fork" and obstacle is not None:
        raise ExsimError("unsupported", f"this process cannot be forked: {obstacle}", "start")
    reads, announce = os.pipe()
    alive_child, alive = os.pipe()
    errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
    try:
        if how == "fork" or (how is None and obstacle is None):
            process = _fork(options, announce, alive_child, alive, errors)
        else:
            process = _spawn(options, announce, alive_child, alive, errors)
    except BaseException:
        os.close(reads)
        os.close(alive)
        errors.close()
        raise
    finally:
        os.close(announce)
        os.close(alive_child)
    try:
        line = _read_line(reads, process)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.end()
        raise
    finally:
        os.close(reads)
    told = json.loads(line)
    process.port, process.token = told["port"], told["token"]
    return process


def _obstacle_to_fork() -> str | None:
    """Say why a fork would be a hang in waiting; None where it would not."""
    reactor: Any = sys.modules.get("twisted.internet.reactor")
    if reactor is not None and reactor.running:
        return "a reactor is running in it"
    if threading.active_count() > 1:
        return f"it has {threading.active_count()} threads"
    if not hasattr(os, "fork"):
        return "this system has no fork"
    return None


def _fork(options: Mapping[str, Any], announce: int, alive_child: int, alive: int, errors: IO[bytes]) -> Process:
    # Imported before the fork: the child inherits it, and a second server is there at once.
    import txtrader.exsim.control.dispatcher
    import txtrader.exsim.control.listener  # noqa: F401
    from txtrader.exsim.control.process import ServerOptions, run_forked

    made = ServerOptions(**options)
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        run_forked(made, announce, alive_child, errors.fileno())
    return Process(pid, None, alive, errors)


def _spawn(options: Mapping[str, Any], announce: int, alive_child: int, alive: int, errors: IO[bytes]) -> Process:
    command = [sys.executable, "-m", "txtrader.exsim.control.process", json.dumps(dict(options))]
    child = subprocess.Popen(
        [*command, str(announce), str(alive_child)],
        pass_fds=(announce, alive_child),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    return Process(child.pid, child, alive, errors)


def _read_line(handle: int, process: Process) -> bytes:
    deadline = time.monotonic() + _START_DEADLINE
    line = b""
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([handle], [], [], left)[0]:
            raise ExsimError("timeout", f"the simulator did not start in {_START_DEADLINE:g} s")
        data = os.read(handle, 4096)
        if not data:
            process.wait(_LEAVE_DEADLINE)
            raise ExsimError(
                "closed", f"the simulator ended with status {process.code} before it listened:\n{process.last_lines()}"
            )
        line += data
    return line
