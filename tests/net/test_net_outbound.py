"""The outbound queue on real sockets: speed path, bounds, conflation, eviction, the end."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from txtrader.net.eager import write_eagerly
from txtrader.net.outbound import Limits, Outbound, OutboundPool
from txtrader.net.turn import Turn


class Server(Protocol):
    def __init__(self, pool: OutboundPool, options: dict[str, Any]) -> None:
        self.pool = pool
        self.options = options
        self.is_lost = False

    def connectionMade(self) -> None:
        self.out: Outbound = self.pool.attach(self.transport, **self.options)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.out.lost()
        self.is_lost = True


class Room:
    """A listening port and blocking clients, all in this process."""

    def __init__(self, limits: Limits | None = None, clock: IReactorTime | None = None, **options: Any) -> None:
        self.pool = OutboundPool(clock or reactor, limits)
        self.servers: list[Server] = []
        self.clients: list[socket.socket] = []
        factory = Factory.forProtocol(lambda: self._server(options))
        factory.noisy = False
        self.port = reactor.listenTCP(0, factory, interface="127.0.0.1")

    def _server(self, options: dict[str, Any]) -> Server:
        self.servers.append(Server(self.pool, options))
        return self.servers[-1]

    async def join(self, receive_buffer: int | None = None) -> tuple[Server, socket.socket]:
        client = socket.socket()
        if receive_buffer is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.connect(("127.0.0.1", self.port.getHost().port))
        client.setblocking(False)
        self.clients.append(client)
        count = len(self.clients)
        await until(lambda: len(self.servers) == count and hasattr(self.servers[-1], "out"))
        server = self.servers[-1]
        if receive_buffer is not None:
            server.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, receive_buffer)
        return server, client

    async def end(self) -> None:
        for client in self.clients:
            client.close()
        for server in self.servers:
            if not server.is_lost:
                server.transport.abortConnection()
        await until(lambda: all(server.is_lost for server in self.servers))
        await self.port.stopListening()


async def turn() -> None:
    await deferLater(reactor, 0, lambda: None)


async def until(condition) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 10 s"
        await turn()


def read(client: socket.socket, wait: float = 0) -> bytes:
    """Read what is there without blocking the reactor."""
    data = b""
    while select.select([client], [], [], 0 if data else wait)[0]:
        piece = client.recv(1 << 20)
        if not piece:
            break
        data += piece
    return data


async def read_until(client: socket.socket, ending: bytes) -> bytes:
    data = bytearray()

    def more() -> bool:
        data.extend(read(client))
        return data.endswith(ending)

    await until(more)
    return bytes(data)


@pytest.fixture
def rooms() -> Iterator[list[Room]]:
    made: list[Room] = []
    yield made
    for room in made:
        pytest_twisted.blockon(Deferred.fromCoroutine(room.end()))


def room_of(rooms: list[Room], *args: Any, **options: Any) -> Room:
    rooms.append(Room(*args, **options))
    return rooms[-1]


@pytest_twisted.ensureDeferred
async def test_the_first_write_of_a_turn_is_in_the_socket_at_once(rooms):
    server, client = await room_of(rooms).join()
    await turn()
    server.out.write(b"now\n")
    assert read(client, 1.0)[:4] == b"now\n"  # no turn of the reactor in between
    assert not server.out.is_stalled


@pytest_twisted.ensureDeferred
async def test_what_is_written_in_one_turn_leaves_in_two_sends_at_most(rooms):
    server, client = await room_of(rooms).join()
    await turn()
    sent: list[bytes] = []
    send = server.out._send
    server.out._send = lambda data: (sent.append(data), send(data))[1]
    for n in range(10):
        server.out.write(b"%d\n" % n)
    assert len(sent) == 1
    assert await read_until(client, b"9\n") == b"".join(b"%d\n" % n for n in range(10))
    assert len(sent) == 2


@pytest_twisted.ensureDeferred
async def test_everything_arrives_in_order_however_slowly_it_is_read(rooms):
    server, client = await room_of(rooms).join(receive_buffer=4096)
    lines = [b"%06d %s\n" % (n, b"x" * (n % 200)) for n in range(20_000)]
    for start in range(0, len(lines), 500):
        for line in lines[start : start + 500]:
            server.out.write(line)
        await turn()
    assert server.out.is_stalled and server.out.queued > 0
    assert await read_until(client, lines[-1]) == b"".join(lines)
    await until(lambda: not server.out.is_stalled)
    assert server.out.queued == 0 == server.pool.total
    server.out.write(b"again\n")
    await read_until(client, b"again\n")


async def stall(server: Server) -> int:
    """Write until the socket takes no more; return how many bytes that were."""
    size = 0
    while not server.out.is_stalled:
        server.out.write(b"#" * 4095 + b"\n")
        size += 4096
        await turn()
    return size


@pytest_twisted.ensureDeferred
async def test_behind_a_slow_reader_quotes_conflate_and_orders_do_not(rooms):
    room = room_of(rooms, Limits(conflate=50_000))
    server, client = await room.join(receive_buffer=4096)
    await stall(server)
    for n in range(20_000):
        server.out.write_latest(("quote", n % 10), b"quote %d %06d\n" % (n % 10, n))
        if n % 1000 == 0:
            server.out.write(b"order %06d\n" % n)
    assert server.out.queued < 80_000
    server.out.write(b"end\n")
    lines = (await read_until(client, b"end\n")).split(b"\n")
    orders = [line for line in lines if line.startswith(b"order")]
    assert orders == [b"order %06d" % n for n in range(0, 20_000, 1000)]
    quotes = [line for line in lines if line.startswith(b"quote")]
    for symbol in range(10):
        of_symbol = [line for line in quotes if line.startswith(b"quote %d " % symbol)]
        assert of_symbol[-1] == b"quote %d %06d" % (symbol, 19_990 + symbol)
        assert of_symbol == sorted(of_symbol)
    assert room.pool.conflated == 20_000 - len(quotes)
    assert room.pool.total == 0


@pytest_twisted.ensureDeferred
async def test_what_stands_for_dropped_pieces_says_how_many(rooms):
    room = room_of(
        rooms, Limits(conflate=1000), respell=lambda source, dropped: b"quote %d dropped %d\n" % (source, dropped)
    )
    server, client = await room.join(receive_buffer=4096)
    await stall(server)
    for n in range(1000):
        server.out.write_latest("IBM", b"quote %d\n" % n, n)
    server.out.write(b"end\n")
    lines = (await read_until(client, b"end\n")).split(b"\n")
    quotes = [line for line in lines if line.startswith(b"quote")]
    delivered = len(quotes)
    dropped = sum(int(line.split()[-1]) for line in quotes if b"dropped" in line)
    assert quotes[-1].startswith(b"quote 999 dropped")
    assert delivered + dropped == 1000


@pytest_twisted.ensureDeferred
async def test_a_queue_that_grows_too_long_ends_with_the_last_words_on_a_line_of_their_own(rooms):
    reasons: list[str] = []

    def words(reason: str) -> bytes:
        reasons.append(reason)
        return b"\nlast words\n"

    room = room_of(rooms, Limits(close=100_000), on_slow=words)
    server, client = await room.join(receive_buffer=4096)
    await stall(server)
    n = 0
    while not reasons:
        server.out.write(b"order %08d\n" % n)
        n += 1
    assert 15 * n < 100_000 + 1000
    assert server.out.queued == 0 == room.pool.total and room.pool.slow == 1
    server.out.write(b"never\n")
    data = await read_until(client, b"\nlast words\n")
    assert b"never" not in data
    assert data.removesuffix(b"\nlast words\n").endswith(b"#\n") or data.count(b"\n\nlast words\n") == 1
    await until(lambda: server.is_lost)
    assert len(reasons) == 1


@pytest_twisted.ensureDeferred
async def test_a_reader_that_takes_nothing_for_the_stall_time_goes(rooms):
    clock = Clock()
    reasons: list[str] = []
    room = room_of(rooms, Limits(stall=30), clock=clock, on_slow=lambda reason: (reasons.append(reason), b"bye\n")[1])
    server, _ = await room.join(receive_buffer=4096)
    await stall(server)
    for _ in range(29):
        clock.advance(1)
    assert not reasons
    clock.advance(1.1)
    assert len(reasons) == 1
    for _ in range(6):
        clock.advance(1)
    await until(lambda: server.is_lost)  # it does not read the last words either: aborted
    assert clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_a_reader_that_takes_a_little_all_the_time_stays(rooms):
    clock = Clock()
    reasons: list[str] = []
    room = room_of(rooms, Limits(stall=30), clock=clock, on_slow=lambda reason: (reasons.append(reason), b"")[1])
    server, client = await room.join(receive_buffer=4096)
    await stall(server)
    server.out.write(b"x" * 500_000)
    for _ in range(20):
        before = server.out._progress
        for _ in range(15):
            clock.advance(1)
        taken = 0

        def advanced(before: float = before) -> bool:
            nonlocal taken
            if server.out._progress == before and taken < 200_000:
                taken += len(read(client))
            return server.out._progress > before or not server.out.is_stalled

        await until(advanced)
    assert not reasons


@pytest_twisted.ensureDeferred
async def test_the_ceiling_of_all_queues_is_paid_by_the_longest(rooms):
    gone: list[str] = []
    room = room_of(rooms, Limits(total=300_000, close=1 << 30), on_slow=lambda reason: (gone.append(reason), b"")[1])
    small, _ = await room.join(receive_buffer=4096)
    large, _ = await room.join(receive_buffer=4096)
    await stall(small)
    await stall(large)
    for n in range(100):
        small.out.write(b"s" * 100)
        if n < 99:
            large.out.write(b"L" * 3_000)
    assert len(gone) == 1
    assert large.out.queued == 0 and small.out.queued > 0
    assert room.pool.total == small.out.queued


@pytest_twisted.ensureDeferred
async def test_close_delivers_what_is_queued_first(rooms):
    room = room_of(rooms)
    server, client = await room.join(receive_buffer=4096)
    size = await stall(server)
    server.out.write(b"y" * 100_000 + b"\n")
    server.out.close()
    server.out.write(b"after the close\n")
    data = bytearray()

    def ended() -> bool:
        data.extend(read(client))
        return server.is_lost

    await until(ended)
    data.extend(read(client))
    assert len(data) == size + 100_001 and data.endswith(b"yy\n")


@pytest_twisted.ensureDeferred
async def test_closing_an_idle_client_after_a_burst_loses_nothing(rooms):
    server, client = await room_of(rooms).join()
    for n in range(100):
        server.out.write(b"%d\n" % n)
    server.out.close()
    assert (await read_until(client, b"99\n")).count(b"\n") == 100
    await until(lambda: server.is_lost)


@pytest_twisted.ensureDeferred
async def test_a_dead_socket_is_found_out_and_costs_nothing(rooms):
    room = room_of(rooms)
    server, client = await room.join()
    client.close()
    await until(lambda: server.is_lost)
    server.out.write(b"x")
    server.out.write_latest("k", b"y")
    server.out.close()
    assert room.pool.total == 0


@pytest_twisted.ensureDeferred
async def test_others_are_unharmed_by_those_who_never_read(rooms):
    room = room_of(rooms, Limits(conflate=20_000, close=200_000, total=2_000_000))
    idle = [await room.join(receive_buffer=4096) for _ in range(10)]
    reading = [await room.join() for _ in range(10)]
    got = [bytearray() for _ in reading]
    expected = []
    for n in range(3_000):
        quote, order = b"quote %05d %s\n" % (n, b"q" * 100), b"order %05d\n" % n
        expected += [quote, order]
        for server, _ in (*idle, *reading):
            server.out.write_latest("IBM", quote)
            server.out.write(order)
        if n % 50 == 0:
            await turn()
            for data, (_, client) in zip(got, reading, strict=True):
                data.extend(read(client))
            assert room.pool.total <= 10 * 200_000
    for data, (_, client) in zip(got, reading, strict=True):
        data.extend(await read_until(client, b"order 02999\n"))
        assert bytes(data) == b"".join(expected)
    assert all(server.out.queued < 200_000 for server, _ in idle)


@pytest_twisted.ensureDeferred
async def test_who_waits_for_a_free_queue_may_fill_it_again_at_once(rooms):
    server, client = await room_of(rooms).join(receive_buffer=4096)
    page = b"p" * 999 + b"\n"
    pages = 20

    async def send_pages() -> None:
        for _ in range(pages):
            for _ in range(300):
                server.out.write(page)
            await server.out.when_free()
        server.out.write(b"done\n")

    sending = Deferred.fromCoroutine(send_pages())
    assert await read_until(client, b"done\n") == page * 300 * pages + b"done\n"
    await sending


@pytest_twisted.ensureDeferred
async def test_the_kernel_does_not_queue_megabytes_before_anybody_is_slow(rooms):
    room = room_of(rooms)
    client = socket.create_connection(("127.0.0.1", room.port.getHost().port))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    room.clients.append(client)
    await until(lambda: room.servers and hasattr(room.servers[-1], "out"))
    assert await stall(room.servers[-1]) < 1024 * 1024


def test_a_transport_that_is_no_socket_is_written_to_and_obeyed():
    clock = Clock()
    pool = OutboundPool(clock)
    transport = StringTransport()
    out = pool.attach(transport)
    out.write(b"a")
    out.write_latest("k", b"b")
    assert transport.value() == b"ab"
    transport.producer.pauseProducing()
    for n in range(3):
        out.write(b"%d" % n)
    clock.advance(0)
    assert transport.value() == b"ab" and out.queued == 3
    transport.producer.resumeProducing()
    assert transport.value() == b"ab012" and out.queued == 0
    out.close()
    assert transport.disconnecting


def test_a_turn_that_fails_for_one_client_serves_the_others(expected_failures: list[str]):
    expected_failures.append("flushing what was written in this turn")
    clock = Clock()
    turn = Turn(clock)
    served: list[str] = []

    class Good:
        def flush(self) -> None:
            served.append("good")

    class Bad:
        def flush(self) -> None:
            raise ValueError("bad")

    for held in (Good(), Bad(), Good()):
        turn.hold(held)
    clock.advance(0)
    assert served == ["good", "good"]


@pytest_twisted.ensureDeferred
async def test_twisted_still_has_the_half_private_attributes_that_eager_writes_read(rooms):
    """If this fails, `net.eager._is_idle` must learn how the new Twisted tells that nothing waits."""
    server, client = await room_of(rooms).join(receive_buffer=4096)
    transport = server.transport
    for name in ("connected", "disconnecting", "_writeDisconnected", "_tempDataLen", "dataBuffer", "offset"):
        assert hasattr(transport, name), name
    await turn()
    write_eagerly(transport, b"first\n")
    assert read(client, 1.0) == b"first\n"
    assert (transport._tempDataLen, len(transport.dataBuffer) - transport.offset) == (0, 0)
    size = 0

    def waits() -> int:
        return transport._tempDataLen + len(transport.dataBuffer) - transport.offset

    while not waits():
        write_eagerly(transport, b"z" * 100_000)
        size += 100_000
        await turn()
    write_eagerly(transport, b"last\n")
    assert (await read_until(client, b"last\n")) == b"z" * size + b"last\n"
