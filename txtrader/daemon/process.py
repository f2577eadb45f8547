"""What a daemon does as a process: limits, a pid file, going to the background, one event loop before all else."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable

from txtrader.errors import ConfigError

__all__ = [
    "PidFile",
    "catch_signals",
    "clients_that_fit",
    "end_by",
    "go_to_background",
    "install_reactor",
    "limit_process",
]

_ONE_SIGNAL = 0.05  # seconds: timeout(1) sends its signal to the process and to its group, which is one wish

_RESERVED = 48  # descriptors that are not clients': about 25 in use by a demo, some more while files are opened


def limit_process(descriptors: int) -> None:
    """Forbid core files, which would hold passwords, and ask for `descriptors` open files if the system allows it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = descriptors if hard == resource.RLIM_INFINITY else min(descriptors, hard)
    if wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def clients_that_fit(wanted: int) -> int:
    """Return how many clients the open-files limit leaves room for, beside journal, broker, log and the rest."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - _RESERVED))


def install_reactor() -> str:
    """Install Twisted's asyncio reactor on uvloop, on plain asyncio where uvloop is missing; return the loop's name.

    Must come before anything that imports `twisted.internet.reactor`.
    """
    import asyncio

    from twisted.internet import asyncioreactor

    try:
        import uvloop
    except ImportError:
        loop: asyncio.AbstractEventLoop = asyncio.new_event_loop()
        name = "asyncio"
    else:
        loop = uvloop.new_event_loop()
        name = f"uvloop {uvloop.__version__}"
    asyncio.set_event_loop(loop)
    asyncioreactor.install(loop)
    return name


def catch_signals(stop: Callable[[str], None], reload: Callable[[], None]) -> None:
    """Let SIGTERM and SIGINT call `stop` with a name, the second of them end the process at once, SIGHUP `reload`.

    The calls come in the main thread, between two of its instructions: they should only pass the word on.
    """
    first: float | None = None

    def on_stop(number: int, frame: object) -> None:
        nonlocal first
        now = time.monotonic()
        if first is None:
            first = now
            stop(signal.Signals(number).name)
        elif now - first > _ONE_SIGNAL:
            os._exit(128 + number)  # SIGKILL is safe, so this is

    def on_reload(number: int, frame: object) -> None:
        reload()

    signal.signal(signal.SIGTERM, on_stop)
    signal.signal(signal.SIGINT, on_stop)
    signal.signal(signal.SIGHUP, on_reload)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def end_by(seconds: float, code: int) -> None:
    """End the process with `code` in so many seconds, whatever hangs until then."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()


class PidFile:
    """The process id in a file, locked for as long as the process lives: a stale file hinders nobody."""

    def __init__(self, path: str, setting: str = "TXTRADER_DAEMON_PIDFILE") -> None:
        """Write the file.  Raises ConfigError when a living process holds it, or it cannot be written.

        `setting` is what named the file, for the error.
        """
        self._path = path
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}", path=setting) from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._descriptor, 32).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise ConfigError(f"{path}: process {holder} is running", path=setting) from None
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()}\n".encode())

    def remove(self) -> None:
        """Remove the file and let go of it."""
        try:
            os.unlink(self._path)
        except OSError:
            pass  # somebody was faster; what counts is the lock
        os.close(self._descriptor)


def go_to_background() -> Callable[[str | None], None]:
    """Fork away from the terminal; must come before the event loop and any thread.

    Returns in the child only, a function to be called once: with None when the daemon is up, with a reason when it
    cannot start.  The parent waits for that and exits 0 or 1, so that whoever started it knows.
    """
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.read().decode("utf-8", "replace")
        if said != "up":
            sys.stderr.write((said or "the daemon ended while starting") + "\n")
        sys.stderr.flush()
        os._exit(0 if said == "up" else 1)
    os.close(reading)
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.umask(0o027)

    def report(fault: str | None) -> None:
        os.dup2(null, 2)
        os.write(writing, (fault or "up").encode())
        os.close(writing)

    return report
