"""OUCH, TWS and CQG clients that are far away, on a clock that the test moves: late, in order, whole, repeatable."""

from __future__ import annotations

import struct
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from exsim_venue import A, Stage
from ouch_client import OuchClient
from ouch_client import Room as OuchRoom
from policy_room import rule
from twisted.internet.protocol import ClientFactory
from tws_memory_client import MemoryClient, named
from tws_memory_client import World as TwsWorld

from txtrader.exsim.endpoints.cqg import CqgEndpoint, CqgOptions
from txtrader.exsim.endpoints.tws import TwsOptions
from txtrader.exsim.latency import AT_ONCE, Fixed, Uniform
from txtrader.exsim.policies import Policy
from txtrader.net.websocket import client_pump
from txtrader.testing.network import MemoryNetwork
from txtrader.wire.cqg.schema import ClientMsg
from txtrader.wire.cqg.session import ClientSession, parts
from txtrader.wire.tws.framing import frame
from txtrader.wire.tws.message import Message
from txtrader.wire.tws.table import REQUESTS

FAR = {"latency_in": Fixed(seconds=0.03), "latency_out": Fixed(seconds=0.05)}
VARIED = {
    "latency_in": Uniform(low=0.001, high=0.05),
    "latency_out": Uniform(low=0.001, high=0.05),
    "computation": Uniform(low=0.001, high=0.01),
}


# -- OUCH


@pytest.fixture(params=["4.2", "5.0"])
def ouch(request):
    rooms: list[OuchRoom] = []

    def make(**options: Any) -> OuchRoom:
        rooms.append(OuchRoom(request.param, options=options))
        return rooms[-1]

    yield make
    for room in rooms:
        room.close()


def wait(room: OuchRoom, seconds: float) -> None:
    """Let time pass in steps of a millisecond: in one step everything would happen at its end."""
    for _ in range(round(seconds * 1000)):
        room.clock.advance(0.001)
    room.run()


def test_an_ouch_order_reaches_the_book_late_and_its_report_the_client_later(ouch):
    room = ouch(**FAR)
    alice = OuchClient(room)
    assert alice.log_in() == ""
    wait(room, 0.079)
    assert alice.packets == []
    wait(room, 0.001)
    assert alice.briefs() == [("S",)] and alice.packets[0][0] == "A"
    alice.enter(1, "B", 10, "99.00")
    wait(room, 0.029)
    assert room.venue.live_orders() == []
    wait(room, 0.001)
    assert len(room.venue.live_orders()) == 1
    wait(room, 0.049)
    assert alice.take() == []
    wait(room, 0.001)
    (accepted,) = alice.take()
    assert accepted["time"] == 12 * 3600 * 10**9 + 110_000_000, "it was said before it was under way"


def test_what_an_ouch_client_said_before_it_went_arrives_and_what_it_was_told_meanwhile_is_kept(ouch):
    room = ouch(**FAR)
    alice = OuchClient(room)
    alice.log_in()
    wait(room, 0.1)
    alice.enter(1, "B", 10, "99.00")
    alice.close()
    wait(room, 0.1)
    assert len(room.venue.live_orders()) == 1 and room.endpoint.connections == []
    back = OuchClient(room)
    back.log_in()
    wait(room, 0.1)
    assert [one.letter for one in back.take()] == ["S", "A"]


def test_an_ouch_login_and_the_order_behind_it_are_dealt_with_one_after_the_other(ouch):
    room = ouch(computation=Fixed(seconds=0.02))
    alice = OuchClient(room)
    alice.log_in()
    alice.enter(1, "B", 10, "99.00")
    alice.enter(2, "B", 10, "99.00")
    assert alice.packets == []
    wait(room, 0.1)
    told = alice.take()
    at = 12 * 3600 * 10**9
    assert [one["time"] - at for one in told[1:]] == [40_000_000, 60_000_000]
    alice.packet("O")
    wait(room, 0.1)
    assert alice.is_closed
    cut = OuchClient(room, "bob")
    cut.log_in()
    cut.wire.transport.write(b"\0\0")  # no packet: it is noticed once the login before it is answered
    room.run()
    assert not cut.is_closed
    wait(room, 0.1)
    room.run()
    assert cut.is_closed and [kind for kind, _ in cut.packets] == ["A"]


def test_a_long_ouch_stream_is_not_all_under_way_at_once(ouch, monkeypatch):
    monkeypatch.setattr("txtrader.exsim.endpoints.delayed_pump._AHEAD", 50_000)
    monkeypatch.setattr("txtrader.exsim.endpoints.delayed_pump._MOST_OUT", 150_000)
    room = ouch(latency_out=Fixed(seconds=0.1))
    member = room.endpoint._known("ALICE")
    for number in range(20_000):
        member.stream.append(struct.pack(">cQc", b"S", number, b"S"))
    alice = OuchClient(room)
    alice.log_in()
    for _ in range(50):
        room.clock.advance(0.1)
    assert [one["time"] for one in alice.take()[1:]] == list(range(20_000)) and not alice.is_closed
    room.endpoint.end_day()
    wait(room, 0.05)
    assert not alice.is_closed
    wait(room, 0.05)
    room.run()
    assert [one.letter for one in alice.take()] == ["S"] and alice.packets[-1][0] == "Z" and alice.is_closed


def test_latency_changes_on_a_live_ouch_session_and_policies_act_on_it(ouch):
    room = ouch()
    alice = room.client()
    (connection,) = room.endpoint.connections
    connection.pump.set_latency(latency_in=Fixed(seconds=0.5))
    alice.enter(1, "B", 10, "99.00")
    connection.pump.set_latency(latency_in=AT_ONCE, latency_out=Fixed(seconds=0.2))
    alice.enter(2, "B", 10, "99.00")
    assert room.venue.live_orders() == []
    wait(room, 0.5)
    assert alice.take() == []
    wait(room, 0.2)
    assert alice.briefs() == [("A", 1, 10), ("A", 2, 10)]
    drop = rule("ack", {"do": "drop", "how": "fin", "mid_message": True})
    room.venue.policies.add(Policy("cut", [drop], {"endpoint": "ouch"}))
    alice.enter(3, "B", 10, "99.00")
    alice.enter(4, "B", 10, "99.00")
    wait(room, 0.3)
    assert alice.briefs() == [("A", 3, 10)] and alice._in and alice.is_closed, "cut behind what was under way"
    room.venue.policies.remove("cut")
    back = OuchClient(room)
    back.log_in(session=alice.session, sequence=alice.next_number)
    wait(room, 0.3)
    assert back.briefs() == [("A", 4, 10)], "nothing is lost over both connections"


@pytest.mark.parametrize("how", ["rst", "fin", "half"])
def test_a_drop_by_policy_comes_when_what_was_said_before_has_left(ouch, how):
    room = ouch(latency_out=Fixed(seconds=0.2))
    alice = OuchClient(room)
    alice.log_in()
    wait(room, 0.3)
    alice.take()
    room.venue.policies.add(Policy("end", [rule({"type": "ack", "nth": 1}, {"do": "drop", "how": how})]))
    alice.enter(1, "B", 10, "99.00")
    wait(room, 0.1)
    assert not alice.is_closed and alice.take() == []
    room.sell(1, "99.00")
    wait(room, 0.3)
    assert alice.is_closed or how == "half"
    assert how == "rst" or alice.briefs()[0] == ("A", 1, 10), "a reset outruns on this network what leaves with it"
    room.venue.policies.remove("end")


def test_a_random_latency_gives_the_same_ouch_bytes_in_every_run(ouch):
    def play(seed: int) -> list[tuple[float, bytes]]:
        room = ouch(**VARIED, seed=seed)
        alice = OuchClient(room)
        pieces: list[tuple[float, bytes]] = []
        arrived = alice.arrived
        alice.arrived = lambda data: (pieces.append((room.clock.seconds(), data)), arrived(data))[1]
        alice.log_in()
        wait(room, 0.3)
        for number in range(1, 31):
            alice.enter(number, "B", 1, "99.00")
            wait(room, 0.003)
        wait(room, 0.5)
        assert [one["name"] for one in alice.take() if one.letter == "A"] == list(range(1, 31))
        return pieces

    assert play(3) == play(3) != play(4)


# -- TWS


@pytest.fixture
def tws():
    worlds: list[TwsWorld] = []

    def make(**options: Any) -> TwsWorld:
        worlds.append(TwsWorld(TwsOptions(**options), has_house=False))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


def started(world: TwsWorld) -> MemoryClient:
    """Return a client that has said all of its opening at once, and nothing was answered yet."""
    client = MemoryClient(world, 178, greets=False)
    start = frame(REQUESTS.encode(Message("startApi", {"clientId": 1}), 178))
    client.feed(b"API\0" + frame(b"v151..178") + start)
    return client


def greeted(client: MemoryClient) -> bytes | None:
    return client._next_body()


def test_a_tws_order_reaches_the_book_late_and_its_messages_the_client_later(tws):
    world = tws(**FAR)
    client = started(world)
    world.advance(0.079, 0.001)
    assert greeted(client) is None
    world.advance(0.004, 0.001)
    assert greeted(client) is not None and named(client.take(), "nextValidId")
    client.place(1)
    world.advance(0.029, 0.001)
    assert world.venue.live_orders() == []
    world.advance(0.002, 0.001)
    assert len(world.venue.live_orders()) == 1
    world.advance(0.047, 0.001)
    assert client.take() == []
    world.advance(0.004, 0.001)
    assert named(client.take(), "openOrder")


def test_tws_requests_take_their_time_one_after_the_other_and_the_last_ones_count(tws):
    world = tws(computation=Fixed(seconds=0.1))
    client = started(world)
    world.advance(0.15)
    assert greeted(client) is not None and client.take() == [], "the start of the API waits for the greeting"
    world.advance(0.1)
    assert named(client.take(), "nextValidId")
    for number in (1, 2, 3):
        client.place(number)
    client.lose()
    world.advance(0.25)
    assert len(world.venue.live_orders()) == 2 and len(world.endpoint.connections) == 1
    world.advance(0.25)
    assert len(world.venue.live_orders()) == 3 and world.endpoint.connections == []


def test_a_tws_client_that_is_cut_hears_nothing_of_what_was_under_way(tws):
    world = tws(latency_out=Fixed(seconds=1.0))
    client = started(world)
    world.advance(1.1)
    greeted(client)
    client.take()
    client.place(1)
    world.endpoint.drop_connections()
    world.advance(2)
    assert client.is_closed and client.take() == [] and len(world.venue.live_orders()) == 1


def test_a_random_latency_gives_the_same_tws_bytes_in_every_run(tws):
    def play(seed: int) -> list[bytes]:
        world = tws(**VARIED, seed=seed)
        client = started(world)
        heard: list[bytes] = []
        for number in range(1, 16):
            if 3 < number < 13:
                client.send("placeOrder", **order(number))
            for _ in range(40):
                world.advance(0.001, 0.001)
                heard.append(client.transport.value())
                client.transport.clear()
        assert len(world.venue.live_orders()) == 9
        return heard

    assert play(3) == play(3) != play(4)


def order(number: int) -> dict[str, Any]:
    return {
        "conId": 8314, "symbol": "IBM", "secType": "STK", "exchange": "SMART", "currency": "USD", "orderId": number,
        "action": "BUY", "totalQuantity": Decimal(1), "orderType": "LMT", "lmtPrice": Decimal(200), "tif": "DAY",
        "account": "DU1000001", "transmit": True,
    }  # fmt: skip


# -- CQG


class CqgRoom(Stage):
    """A CQG endpoint in memory, WebSocket and all."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.network = MemoryNetwork(self.clock)
        self.endpoint = CqgEndpoint(self.venue, self.network, options=CqgOptions(accounts=(A,), **options))
        self.endpoint.start()

    def run(self, seconds: float, step: float = 0.01) -> None:
        for _ in range(round(seconds / step)):
            self.clock.advance(step)

    def client(self) -> CqgClient:
        made = CqgClient(self)
        self.run(0.05)
        assert made.is_open
        return made

    def close(self) -> None:
        self.endpoint.stop()
        self.venue.stop()
        self.clock.advance(60)
        assert self.clock.getDelayedCalls() == []


class CqgClient:
    """A client; `got` is what came: when, which part, and the part."""

    def __init__(self, room: CqgRoom) -> None:
        self.room = room
        self.got: list[tuple[float, str, Any]] = []
        self.is_open = self.is_lost = False
        self.pump = client_pump(
            ClientSession(room.now),
            room.network,
            url=f"ws://localhost:{room.endpoint.port}/",
            on_event=self._take,
            on_lost=self._lost,
            on_open=self._open,
        )
        room.network.connectTCP("127.0.0.1", room.endpoint.port, _One(self.pump.protocol))

    def _take(self, message: Any) -> None:
        now = round(self.room.clock.seconds(), 6)
        self.got += [(now, name, part) for name, part in parts(message)]

    def _open(self) -> None:
        self.is_open = True

    def _lost(self, failure: Any) -> None:
        self.is_lost = True

    def log_on(self) -> None:
        message = ClientMsg()
        logon = message.logon
        logon.user_name, logon.password, logon.client_app_id, logon.client_version = "trader", "x", "Test", "1"
        logon.protocol_version_major, logon.protocol_version_minor = 2, 230
        self.pump.send(message)

    def ask(self, number: int) -> None:
        """Ask something that is answered at once."""
        message = ClientMsg()
        request = message.information_requests.add()
        request.id, request.subscribe = number, False
        self.pump.send(message)

    def answers(self) -> list[tuple[float, int]]:
        return [(time, part.id) for time, name, part in self.got if name == "information_reports"]


class _One(ClientFactory):
    noisy = False

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: object) -> Any:
        return self._protocol


@pytest.fixture
def cqg():
    rooms: list[CqgRoom] = []

    def make(**options: Any) -> CqgRoom:
        rooms.append(CqgRoom(**options))
        return rooms[-1]

    yield make
    for room in rooms:
        room.close()


def test_a_cqg_logon_is_late_and_its_result_later(cqg):
    room = cqg(**FAR)
    client = room.client()
    begin = room.clock.seconds()
    client.log_on()
    room.run(0.07)
    assert client.got == []
    room.run(0.05)
    at, name, _ = client.got[0]
    assert name == "logon_result" and 0.08 <= at - begin <= 0.1


def test_cqg_requests_take_their_time_and_the_last_ones_count_before_the_end(cqg):
    room = cqg(computation=Fixed(seconds=0.1), latency_in=Fixed(seconds=0.05))
    client = room.client()
    client.log_on()
    room.run(0.2)
    begin = room.clock.seconds()
    for number in (1, 2, 3):
        client.ask(number)
    room.run(0.6)
    late = [round(at - begin, 6) for at, _ in client.answers()]
    assert [number for _, number in client.answers()] == [1, 2, 3] and 0.15 <= late[0] <= 0.18
    assert [round(b - a, 6) for a, b in pairwise(late)] == [0.1, 0.1]
    seen: list[Any] = []
    (connection,) = room.endpoint.connections
    process, connection.pump._handle = connection.pump._handle, lambda event: (seen.append(event), process(event))[1]
    client.ask(4)
    room.run(0.02)
    client.pump.abort()  # while it is under way here
    room.run(0.5)
    assert len(seen) == 1 and room.endpoint.connections == []


def test_cqg_words_leave_before_the_goodbye_and_a_cut_is_at_once(cqg):
    room = cqg(latency_out=Fixed(seconds=0.2))
    client = room.client()
    client.log_on()
    room.run(0.3)
    (connection,) = room.endpoint.connections
    client.ask(1)
    room.run(0.05)
    connection.pump.close()
    room.run(0.1)
    assert client.answers() == [] and not client.is_lost
    room.run(0.3)
    assert [number for _, number in client.answers()] == [1] and client.is_lost
    second = room.client()
    second.log_on()
    room.run(0.1)
    room.endpoint.drop_connections()
    room.run(0.3)
    assert second.is_lost and second.got == []


def test_latency_changes_on_a_live_cqg_session_and_order_is_kept(cqg):
    room = cqg()
    client = room.client()
    client.log_on()
    room.run(0.02)
    (connection,) = room.endpoint.connections
    connection.pump.set_latency(latency_in=Fixed(seconds=0.5))
    client.ask(1)
    room.run(0.02)
    connection.pump.set_latency(latency_in=AT_ONCE)
    client.ask(2)
    room.run(0.4)
    assert client.answers() == []
    room.run(0.2)
    assert [number for _, number in client.answers()] == [1, 2]


def test_a_random_latency_gives_the_same_cqg_times_in_every_run(cqg):
    def play(seed: int) -> list[tuple[float, int]]:
        room = cqg(**VARIED, seed=seed)
        client = room.client()
        client.log_on()
        room.run(0.2, 0.001)
        for number in range(1, 31):
            client.ask(number)
            room.run(0.003, 0.001)
        room.run(0.5, 0.001)
        assert [number for _, number in client.answers()] == list(range(1, 31))
        return client.answers()

    assert play(3) == play(3) != play(4)
