"""QuickFIX's acceptance definitions against our session with the echo behind it: every one of them, to the letter.

All are played at once, each against an acceptor of its own, because some of them wait for half a minute.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import pytest_twisted
from fix_acceptance import Mismatch, play, to_fixt
from twisted.internet import reactor
from twisted.internet.threads import blockingCallFromThread, deferToThreadPool
from twisted.python.threadpool import ThreadPool

from txtrader.exsim.endpoints.fix import FixEndpoint, FixOptions
from txtrader.exsim.endpoints.fix.echo import Echo
from txtrader.wire.fix.framing import encode
from txtrader.wire.fix.session import SessionOptions

DEFINITIONS = Path(os.environ.get("TXTRADER_SHARED", Path(__file__).parents[3] / "shared")) / "data" / "fix_acceptance"
OPTIONS = FixOptions(
    sender="ISLD",
    targets={"FIX.4.2": {"TW42": None}, "FIX.4.4": {"TW44": None}, "FIXT.1.1": {"TW44": None}},
    session=SessionOptions(resets_on_logon=True),
)
COUNTS = {"4.2": 58, "4.4": 59, "5.0SP2": 59, "control": 58}
# What answers a logon, a TestRequest and a logout, and echoes orders, but knows nothing else, passes so many.
CONTROL_PASSES = 12


def definitions(version: str) -> list[Path]:
    return sorted((DEFINITIONS / f"fix{version.replace('.', '')}").glob("*.def"))


class PlainAcceptor:
    """The control: the plainest acceptor that one would write.  A runner that is content with it proves nothing."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        number = 0
        buffer = b""
        with connection:
            while data := self._read(connection):
                buffer += data
                while found := re.match(rb"8=FIX[^\x01]*\x019=\d+\x01(.*?)10=\d+\x01", buffer, re.DOTALL):
                    buffer = buffer[found.end() :]
                    fields = [part.partition("=") for part in found[1].decode("latin-1").split("\x01") if part]
                    kind = {tag: value for tag, _, value in fields}.get("35", "")
                    if kind not in ("A", "1", "5", "D", "d"):
                        continue
                    number += 1
                    stamp = time.strftime("%Y%m%d-%H:%M:%S.000", time.gmtime())
                    head = [(35, "0" if kind == "1" else kind), (34, str(number)), (49, "ISLD"), (52, stamp)]
                    body = [
                        (int(tag), value)
                        for tag, _, value in fields
                        if tag.isdigit() and tag not in ("34", "35", "49", "52", "56")
                    ]
                    connection.sendall(encode("FIX.4.2", [*head, (56, "TW42"), *sorted(body)]))
                    if kind == "5":
                        return

    def _read(self, connection: socket.socket) -> bytes:
        try:
            return connection.recv(65536)
        except OSError:
            return b""

    def close(self) -> None:
        self._listener.close()


def play_all() -> dict[str, dict[str, str]]:
    """Play everything; return the mismatches of each version by the name of the definition."""
    found: dict[str, dict[str, str]] = {version: {} for version in COUNTS}

    def against_ours(version: str, path: Path, change: Callable[[str], str]) -> None:
        endpoint = FixEndpoint(Echo(), reactor, time.time_ns, options=OPTIONS)
        port = blockingCallFromThread(reactor, endpoint.start)
        try:
            play(path, port, change)
        except Mismatch as error:
            found[version][path.name] = str(error)
        finally:
            blockingCallFromThread(reactor, endpoint.stop)

    def against_control(path: Path, port: int) -> None:
        try:
            play(path, port)
        except (Mismatch, OSError) as error:
            found["control"][path.name] = str(error)

    control = PlainAcceptor()
    with ThreadPoolExecutor(240) as pool:
        for version, source in (("4.2", "4.2"), ("4.4", "4.4"), ("5.0SP2", "4.4")):
            for path in definitions(source):
                pool.submit(against_ours, version, path, to_fixt if version == "5.0SP2" else str)
        for path in definitions("4.2"):
            pool.submit(against_control, path, control.port)
    control.close()
    return found


@pytest.mark.skipif(not DEFINITIONS.is_dir(), reason="the shared data is not here (TXTRADER_SHARED)")
@pytest_twisted.ensureDeferred
async def test_every_definition_is_passed_and_the_control_is_not():
    threads = ThreadPool(1, 1)
    threads.start()
    try:
        found = await deferToThreadPool(reactor, threads, play_all)
    finally:
        threads.stop()
    assert (len(definitions("4.2")), len(definitions("4.4"))) == (COUNTS["4.2"], COUNTS["4.4"])
    for version in ("4.2", "4.4", "5.0SP2"):
        assert found[version] == {}
    passed = COUNTS["control"] - len(found["control"])
    assert passed <= CONTROL_PASSES + 3, f"the runner is content with too little: {passed}"
