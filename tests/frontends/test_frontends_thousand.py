"""A thousand subscribers of whom fifty never read: memory is bounded, the others miss nothing (G5, I7)."""

from __future__ import annotations

import resource
import selectors
import socket

import pytest
import pytest_twisted
from frontend_room import Room, open_room
from twisted.internet import reactor
from twisted.internet.task import deferLater

READERS, STUCK = 950, 50
KIB = 1024


class Reader:
    """A blocking socket's end of a connection, read when the test says so; keeps what it needs and no more."""

    def __init__(self, port: int, *, reads: bool) -> None:
        self.reads = reads
        self.socket = socket.socket()
        if not reads:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * KIB)
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(b'auth alice wonderland {"channels":["order","quote"],"sequence":true}\n')
        self.socket.setblocking(False)
        self.tail = b""
        self.seqs: list[int] = []
        self.quotes = 0
        self.is_logged_in = False

    def read(self) -> None:
        while True:
            try:
                data = self.socket.recv(1 << 18)
            except BlockingIOError:
                return
            if not data:
                return
            *lines, self.tail = (self.tail + data).split(b"\n")
            for line in lines:
                if line.startswith(b"memory.order."):
                    self.seqs.append(int(line.rsplit(b'"seq":', 1)[1].split(b",", 1)[0]))
                elif line.startswith(b"memory.quote."):
                    self.quotes += 1
                elif line.startswith(b".Authorized"):
                    self.is_logged_in = True


def resident() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


async def turn() -> None:
    await deferLater(reactor, 0, lambda: None)


async def join(room: Room, readers: list[Reader], *, reads: bool) -> None:
    reader = Reader(room.ports["tcp"], reads=reads)
    readers.append(reader)
    await room.until(lambda: (reader.read(), reader.is_logged_in)[1])


@pytest_twisted.ensureDeferred
async def test_fifty_who_never_read_harm_nobody(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * (READERS + STUCK) + 200
    if hard < needed:
        pytest.skip(f"needs {needed} open files, the limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    limits = {"queue_conflate": 16 * KIB, "queue_close": 64 * KIB}
    readers: list[Reader] = []
    try:
        async with open_room(tmp_path, **limits) as room:
            for number in range(READERS + STUCK):
                await join(room, readers, reads=number >= STUCK)
            pool = room.frontends["tcp"].shared.outbound
            for connection in list(room.frontends["tcp"].connections)[:STUCK]:
                # The kernel's own buffers would hold megabytes for each before anybody is slow.
                connection.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * KIB)
            trader = await room.log_in({"channels": [], "account": "DU1"})
            await trader.ask("add IBM")
            poll = selectors.DefaultSelector()
            for reader in readers[STUCK:]:
                poll.register(reader.socket, selectors.EVENT_READ, reader)

            def read_all() -> None:
                for key, _ in poll.select(0):
                    key.data.read()

            before = resident()
            most_queued = 0
            for number in range(40):
                for tick in range(10):
                    room.broker.quote("IBM", f"{10 + tick}.{number:02d}", f"{20 + tick}.{number:02d}")
                await trader.ask("limitorder IBM 1 1")
                read_all()
                most_queued = max(most_queued, pool.total)
                await turn()
            head = room.stream.heads["order"].seq
            await room.until(lambda: (read_all(), all(r.seqs and r.seqs[-1] == head for r in readers[STUCK:]))[1])
            for reader in readers[STUCK:]:
                assert reader.seqs == list(range(reader.seqs[0], head + 1))
                assert reader.seqs[0] == 1
                assert reader.quotes > 0
            assert 0 < most_queued <= STUCK * 64 * KIB
            assert pool.conflated > 0 and pool.slow == STUCK
            assert resident() - before < 64 * KIB * KIB
            for reader in readers:
                reader.socket.close()
            await room.until(lambda: len(room.frontends["tcp"].connections) == 1)
            assert pool.total == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
