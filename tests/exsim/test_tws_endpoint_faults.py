"""The simulated TWS on command: lost links, silence, notices, messages withheld, late, twice, swapped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock
from tws_memory_client import IBM, MemoryClient, World, codes, named, statuses

from txtrader.exsim.demo import make_demo_venue
from txtrader.exsim.endpoints.tws import TwsEndpoint, TwsOptions
from txtrader.wire.tws.framing import frame


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


@pytest.fixture
def client(world: World) -> MemoryClient:
    made = world.connect()
    made.take()
    return made


def test_starting_the_api_answers_accounts_ids_and_farms(world: World) -> None:
    got = world.connect(5).take()
    assert [m.name for m in got] == ["managedAccounts", "nextValidId", "error", "error", "error"]
    assert got[0]["accountsList"] == "DU1000001,DU1000002,DU1000003"
    assert got[1]["orderId"] == 1
    assert codes(got) == [(-1, 2104), (-1, 2106), (-1, 2158)]


def test_a_client_id_in_use_is_326_and_the_end(world: World, client: MemoryClient) -> None:
    second = world.connect(1)
    assert codes(second.take()) == [(-1, 326)]
    world.advance(0.1)
    assert second.is_closed
    assert not client.is_closed
    client.lose()
    assert codes(world.connect(1).take())[0] == (-1, 2104)


def test_the_number_of_clients_is_limited() -> None:
    world = World(TwsOptions(max_clients=2))
    world.connect(1)
    world.connect(2)
    assert codes(world.connect(3).take()) == [(-1, 326)]
    world.close()


def test_nothing_is_answered_before_the_api_is_started(world: World) -> None:
    client = MemoryClient(world, 178)
    assert codes(client.ask("reqCurrentTime")) == [(-1, 504)]
    assert codes(client.ask("startApi")) == [(-1, 320)]


def test_a_client_that_speaks_another_protocol_is_dropped(world: World) -> None:
    stranger = MemoryClient(world, 178, greets=False)
    stranger.feed(b"GET / HTTP/1.0\r\n\r\n")
    assert stranger.is_closed
    assert stranger.transport.value() == b""


def test_what_cannot_be_read_is_320_and_the_conversation_goes_on(world: World, client: MemoryClient) -> None:
    client.feed(frame(b"1\x0011\x0042\x00not a number\x00"))
    client.feed(frame(b"1\x00\xff\xfe\x00"))
    client.feed(frame(b"4711\x00"))
    client.feed(frame(b""))
    assert codes(client.take()) == [(42, 320), (-1, 320), (-1, 505), (-1, 320)]
    assert client.ask("reqCurrentTime")[0].name == "currentTime"


def test_bytes_one_at_a_time_say_the_same(world: World) -> None:
    whole, sliced = MemoryClient(world, 178), MemoryClient(world, 178, chunk=1)
    for client, number in ((whole, 1), (sliced, 2)):
        client.send("startApi", clientId=number).send("reqContractDetails", reqId=1, **IBM).send("reqPositions")
    assert whole.take() == sliced.take()


def test_too_many_messages_a_second_are_100() -> None:
    world = World(TwsOptions(message_rate=50))
    client = world.connect()
    client.take()
    for _ in range(60):
        client.send("reqCurrentTime")
    got = client.take()
    assert len(named(got, "currentTime")) == 50
    assert len(codes(got)) == 10 and set(codes(got)) == {(-1, 100)}
    world.advance(1.1)
    assert client.ask("reqCurrentTime")[0].name == "currentTime"
    world.close()


def test_dropping_cuts_everyone_and_frees_the_ids(world: World, client: MemoryClient) -> None:
    other = world.connect(2)
    assert world.endpoint.drop_connections(client_id=2) == 1
    assert not client.is_closed and other.is_closed
    assert world.endpoint.drop_connections() == 1
    assert world.endpoint.by_client == {}
    world.advance(0.1)
    assert codes(world.connect(1).take())[0] == (-1, 2104)


def test_a_restart_may_roll_the_ids_back(world: World, client: MemoryClient) -> None:
    client.place(8)
    world.endpoint.restart(next_valid_id=5)
    world.advance(0.1)
    again = world.connect()
    assert named(again.take(), "nextValidId")[0]["orderId"] == 5
    assert statuses(again.place(5)) == [(5, "PreSubmitted"), (5, "Submitted")]
    # The old order 8 lives on; its id is given out once more, and another order gets it.
    assert codes(again.ask("cancelOrder", orderId=8)) == [(8, 10147)]
    assert statuses(again.place(8))[-1] == (8, "Submitted")
    assert sorted(m["orderId"] for m in named(again.ask("reqOpenOrders"), "openOrder")) == [5, 8, 8]


def test_a_silent_peer_hears_nothing_and_says_nothing(world: World, client: MemoryClient) -> None:
    client.send("reqMktData", reqId=1, **IBM)
    client.take()
    world.endpoint.go_silent()
    assert client.ask("reqCurrentTime") == []
    assert client.place(1) == []
    newcomer = MemoryClient(world, 178)
    assert newcomer.greeting is None
    world.endpoint.go_silent(False)
    assert client.ask("reqCurrentTime")[0].name == "currentTime"
    assert named(client.ask("reqOpenOrders"), "openOrder") == []


def test_a_silent_peer_may_still_hear(world: World, client: MemoryClient) -> None:
    world.endpoint.go_silent(hears=True)
    assert client.place(1) == []
    world.endpoint.go_silent(False)
    assert len(named(client.ask("reqOpenOrders"), "openOrder")) == 1


def test_the_link_may_break_after_a_number_of_messages(world: World, client: MemoryClient) -> None:
    world.endpoint.drop_after(3)
    client.place(1)
    got = client.take()
    assert client.is_closed
    assert world.venue.live_orders()  # the order was taken, whatever the client heard
    assert len(got) == 0


@pytest.mark.parametrize("code", [1100, 1101, 1102, 2103, 2104, 2105, 2110])
def test_notices_reach_every_client(world: World, client: MemoryClient, code: int) -> None:
    other = world.connect(2)
    other.take()
    world.endpoint.send_notice(code)
    for one in (client, other):
        (notice,) = one.take()
        assert (notice["reqId"], notice["errorCode"]) == (-1, code)
        assert notice["errorString"]


def test_a_competing_login_takes_the_data_and_gives_it_back(world: World, client: MemoryClient) -> None:
    client.send("reqMktData", reqId=9, **IBM)
    client.take()
    world.endpoint.compete()
    assert codes(client.take()) == [(9, 10197)]
    client.place(1, orderType="MKT")
    assert named(client.take(), "tickPrice", "tickSize") == []
    world.endpoint.stop_competing()
    assert {m["tickType"] for m in named(client.take(), "tickPrice")} >= {1, 2, 4}


@pytest.mark.parametrize(
    ("request_name", "end"),
    [
        ("reqOpenOrders", "openOrderEnd"),
        ("reqExecutions", "execDetailsEnd"),
        ("reqPositions", "positionEnd"),
        ("reqCompletedOrders", "completedOrdersEnd"),
    ],
)
def test_an_end_marker_may_be_lost(world: World, client: MemoryClient, request_name: str, end: str) -> None:
    rule = world.endpoint.withhold(end, count=1)
    assert end not in [m.name for m in client.ask(request_name)]
    assert rule.matches == 1
    assert client.ask(request_name)[-1].name == end
    rule = world.endpoint.withhold(end, client_id=99)
    assert client.ask(request_name)[-1].name == end
    rule.remove()


def test_order_messages_may_be_late(world: World, client: MemoryClient) -> None:
    world.endpoint.delay_acknowledgements(2.0)
    assert client.place(1) == []
    world.advance(1.9)
    assert client.take() == []
    world.advance(0.2)
    assert statuses(client.take()) == [(1, "PreSubmitted"), (1, "Submitted")]


def test_commissions_may_be_late(world: World, client: MemoryClient) -> None:
    world.endpoint.delay_commissions(5.0)
    assert named(client.place(1, orderType="MKT"), "commissionReport") == []
    world.advance(5.1)
    assert len(named(client.take(), "commissionReport")) == 1


def test_order_messages_may_come_twice(world: World, client: MemoryClient) -> None:
    rule = world.endpoint.duplicate("execDetails")
    executed = named(client.place(1, orderType="MKT"), "execDetails")
    assert len(executed) == 2 and executed[0] == executed[1]
    rule.remove()
    assert len(named(client.place(2, orderType="MKT"), "execDetails")) == 1


def test_order_messages_may_be_swapped(world: World, client: MemoryClient) -> None:
    rule = world.endpoint.reorder("openOrder", "orderStatus")
    got = client.place(1)
    assert [m.name for m in got] == ["orderStatus", "openOrder"] * 2
    rule.remove()


def test_a_message_held_for_a_swap_is_sent_when_the_rule_ends(world: World, client: MemoryClient) -> None:
    rule = world.endpoint.reorder("currentTime")
    assert client.ask("reqCurrentTime") == []
    rule.remove()
    assert [m.name for m in client.take()] == ["currentTime"]


def test_rules_add_up(world: World, client: MemoryClient) -> None:
    world.endpoint.duplicate("currentTime")
    world.endpoint.delay(1.0, "currentTime", count=1)
    assert len(client.ask("reqCurrentTime")) == 1
    world.advance(1.1)
    assert len(client.take()) == 1
    world.endpoint.end_message_faults()
    assert len(client.ask("reqCurrentTime")) == 1


def test_messages_still_delayed_for_a_lost_client_go_nowhere(world: World, client: MemoryClient) -> None:
    world.endpoint.delay(1.0, "currentTime")
    client.send("reqCurrentTime")
    client.lose()
    world.advance(1.1)
    assert client.take() == []


def test_anything_can_be_sent_raw(world: World, client: MemoryClient) -> None:
    world.endpoint.send_raw("4\x002\x00-1\x001\x00Zürich\x00".encode("latin-1"))
    assert client.transport.value().endswith(b"Z\xfcrich\x00")
    client.transport.clear()


def test_an_exception_of_ours_is_322_and_logged(
    world: World, client: MemoryClient, expected_failures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected_failures.append("answering reqHeadTimeStamp")
    monkeypatch.setattr(world.venue, "head_time", lambda listing_id: 1 // 0)
    assert codes(client.ask("reqHeadTimeStamp", reqId=5, whatToShow="TRADES", **IBM)) == [(5, 322)]
    assert client.ask("reqCurrentTime")[0].name == "currentTime"


def test_bulletins_go_to_those_who_asked(world: World, client: MemoryClient) -> None:
    client.send("reqNewsBulletins", allMsgs=True)
    other = world.connect(2)
    other.take()
    world.endpoint.send_bulletin("halt in XYZ", exchange="NYSE")
    (bulletin,) = client.take()
    assert (bulletin["msgId"], bulletin["newsMessage"], bulletin["originExch"]) == (1, "halt in XYZ", "NYSE")
    assert other.take() == []
    assert [m["msgId"] for m in other.ask("reqNewsBulletins", allMsgs=True)] == [1]
    client.send("cancelNewsBulletins")
    world.endpoint.send_bulletin("again")
    assert client.take() == []


def test_lines_and_sessions_are_counted(world: World, client: MemoryClient) -> None:
    client.send("reqMktData", reqId=1, **IBM).send("reqMktData", reqId=2, **IBM)
    assert (world.endpoint.lines_on(8314), world.endpoint.sessions) == (2, 1)
    client.send("cancelMktData", reqId=1)
    assert world.endpoint.lines_on(8314) == 1
    client.lose()
    assert world.endpoint.lines_on(8314) == 0
    world.connect()
    assert world.endpoint.sessions == 2


def test_a_client_that_says_nothing_is_dropped(world: World) -> None:
    client = MemoryClient(world, 178, greets=False)
    world.advance(29)
    assert not client.is_closed
    world.advance(2)
    assert client.is_closed


class _Quiet(Protocol):
    def __init__(self) -> None:
        self.lost: Deferred[None] = Deferred()

    def connectionLost(self, reason: object = None) -> None:
        self.lost.callback(None)


@pytest_twisted.ensureDeferred
async def test_a_closed_port_refuses_and_opens_again_with_the_same_number() -> None:
    clock = MemoryReactorClock()
    venue = make_demo_venue(clock, lambda: 1_764_176_400_000_000_000, 7, pace="none")
    venue.start()
    endpoint = TwsEndpoint(venue, reactor)
    port = await endpoint.start()
    target = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
    first = await connectProtocol(target, _Quiet())
    endpoint.refuse()
    endpoint.drop_connections()
    await first.lost
    with pytest.raises(ConnectionRefusedError):
        await connectProtocol(target, _Quiet())
    endpoint.refuse(False)
    again = await connectProtocol(target, _Quiet())
    assert endpoint.port == port
    await endpoint.stop()
    await again.lost
    venue.stop()
