"""F20 (G2): a trace of the daemon's system calls shows the journal's sync between intent and broker send.

kill -9 cannot show this, since the page cache survives the process.  For each order: after the first write to the
journal's log that holds its id, and before the write to the broker's socket that holds it, a sync of the log file
has returned success.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import pytest_twisted

CALL = re.compile(r"^(\d+) +(\w+)\((\d+)<(.+?)>((?:[,)]| <unfinished).*)$")
RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")
WRITES = {"write", "writev", "sendto", "sendmsg", "pwrite64"}
SYNCS = {"fdatasync", "fsync"}


def can_trace() -> bool:
    return shutil.which("strace") is not None and os.geteuid() == 0


class Trace:
    """What a trace says of each order id: line numbers of log write, sync, send."""

    def __init__(self, text: str, broker_port: int) -> None:
        self.log_writes: list[tuple[int, str]] = []
        self.syncs: list[int] = []  # line on which the call returned
        self.syncs_begun: dict[int, int] = {}
        self.sends: list[tuple[int, str]] = []
        pending: dict[str, tuple[str, str]] = {}
        for number, line in enumerate(text.splitlines()):
            if found := CALL.match(line):
                pid, name, _, target, rest = found.groups()
                if "<unfinished" in rest:
                    pending[pid] = (name, target)
                self._begun(number, name, target, rest, broker_port)
                if name in SYNCS and target.endswith("-wal") and rest.rstrip().endswith("= 0"):
                    self.syncs.append(number)
            elif found := RESUMED.match(line):
                pid, name, rest = found.groups()
                known, target = pending.pop(pid, ("", ""))
                if known == name and name in SYNCS and target.endswith("-wal") and rest.rstrip().endswith("= 0"):
                    self.syncs.append(number)

    def _begun(self, number: int, name: str, target: str, rest: str, broker_port: int) -> None:
        if name not in WRITES:
            return
        if target.endswith("-wal"):
            self.log_writes.append((number, rest))
        elif target.startswith("TCP") and f"->127.0.0.1:{broker_port}" in target:
            self.sends.append((number, rest))

    def check(self, order_id: str) -> None:
        written = next((number for number, data in self.log_writes if order_id in data), None)
        sent = next((number for number, data in self.sends if order_id in data), None)
        assert written is not None, f"{order_id} was not written to the log"
        assert sent is not None, f"{order_id} was not sent"
        assert any(written < synced < sent for synced in self.syncs), (
            f"{order_id}: log write on line {written}, send on line {sent}, syncs {self.syncs}"
        )


@pytest.mark.root
@pytest.mark.skipif(not can_trace(), reason="needs strace, and root to use it")
@pytest_twisted.ensureDeferred
async def test_each_order_is_synced_before_it_is_sent(play, tmp_path: Path):
    trace_file = tmp_path / "trace"
    calls = ",".join(sorted(WRITES | SYNCS))

    def script(stage):
        daemon = stage.make_daemon(TIMEOUT_ORDER="20", HEARTBEAT="30")
        daemon.wrapper = ["strace", "-f", "-y", "-yy", "-s", "4200", "-e", f"trace={calls}", "-o", str(trace_file)]
        daemon.start(timeout=60)
        daemon.wait_up(60)
        clients = [stage.client(daemon) for _ in range(4)]

        def submit(number: int) -> str:
            record = clients[number % 4].call("limit_order", "IBM", "99.5", 1, client_order_id=f"k{number}")
            assert record["status"] == "New", record
            return record["id"]

        ids = [submit(number) for number in range(4)]
        with ThreadPoolExecutor(4) as threads:  # and some that share a group commit
            lanes = threads.map(lambda lane: [submit(number) for number in range(4 + lane, 20, 4)], range(4))
            ids += [one for lane in lanes for one in lane]
        for client in clients:
            client.close()
        daemon.signal(signal.SIGTERM)
        daemon.wait_end(20)
        trace = Trace(trace_file.read_text(errors="backslashreplace"), stage.proxy.port)
        for one in ids:
            trace.check(one)
        assert len(ids) == 20

    await play(script)


def test_the_reading_of_a_trace_would_notice_a_missing_sync():
    """The checker itself can fail: the same trace without its sync, and with the sync too late."""
    write = '7 pwrite64(9</d/j.sqlite3-wal>, "..TX-1-000001..", 4096, 0) = 4096'
    send = '7 sendto(12<TCP:[127.0.0.1:5->127.0.0.1:99]>, "TX-1-000001", 11, 0, NULL, 0) = 11'
    begun, ended = "8 fdatasync(9</d/j.sqlite3-wal> <unfinished ...>", "8 <... fdatasync resumed>) = 0"
    Trace("\n".join([write, begun, ended, send]), 99).check("TX-1-000001")
    for lines in ([write, send], [write, begun, send, ended], [begun, ended, write, send]):
        with pytest.raises(AssertionError):
            Trace("\n".join(lines), 99).check("TX-1-000001")
