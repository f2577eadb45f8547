"""The real daemon in mode tws, against the benchmarks' simulated TWS."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.disk import folder
from txtrader.testing.daemon import Daemon

__all__ = ["running"]


@contextmanager
def running(broker_port: int, *, core: int | None = None, **settings: object) -> Iterator[Daemon]:
    """Start the daemon and wait until its gate is open; limits per user are raised, the log is at its default."""
    with tempfile.TemporaryDirectory(dir=folder()) as scratch:
        known = {
            "MODE": "tws",
            "API_HOST": "127.0.0.1",
            "API_PORT": broker_port,
            "API_CLIENT_ID": 21,
            "TWS_MESSAGE_RATE": 1000,
            "COMMAND_RATE": 1_000_000,
            "LOG_ORDER_UPDATES": 0,
            "LOG_EXECUTION_UPDATES": 0,
        }
        with Daemon(Path(scratch), {**known, **settings}) as daemon:
            daemon.start()
            if core is not None and core in os.sched_getaffinity(0):
                os.sched_setaffinity(daemon.pid, {core})
            daemon.wait_up()
            yield daemon
