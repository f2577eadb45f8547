"""Policies seen by an API client of the simulated TWS: answers, messages about orders, and the connection."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from policy_room import rule
from tws_memory_client import MemoryClient, World, codes, named, statuses

from txtrader.exsim.policies import Policy
from txtrader.exsim.policies.faces import NotOffered
from txtrader.model.order import Side


@pytest.fixture
def world() -> Iterator[World]:
    made = World(has_house=False)
    yield made
    made.close()


@pytest.fixture
def client(world: World) -> MemoryClient:
    made = world.connect()
    made.take()
    return made


def add(world: World, *rules: dict[str, Any], name: str = "p") -> Policy:
    policy = Policy(name, rules, {"endpoint": "tws"})
    world.venue.policies.add(policy)
    return policy


def test_an_acknowledgement_is_late_pending_first_and_a_cancel_waits(world: World, client: MemoryClient) -> None:
    add(world, rule("new", "pend", {"do": "delay", "seconds": 1}))
    assert statuses(client.place(1)) == [(1, "PendingSubmit")]
    assert client.ask("cancelOrder", orderId=1) == []
    world.advance(1.1)
    assert [status for _, status in statuses(client.take())] == ["PreSubmitted", "Submitted", "Cancelled"]


def test_an_order_without_an_answer_is_canceled_all_the_same(world: World, client: MemoryClient) -> None:
    add(world, rule("new", "swallow"))
    assert client.place(1) == []
    assert statuses(client.ask("cancelOrder", orderId=1)) == [(1, "Cancelled")]


def test_orders_are_refused_filled_and_their_requests_refused(world: World, client: MemoryClient) -> None:
    add(
        world,
        rule({"type": "new", "side": "SELL"}, {"do": "reject", "text": "no sellers"}),
        rule({"type": "new", "nth": 1}, {"do": "fill", "share": "0.3"}),
        rule("cancel", {"do": "refuse"}),
        rule({"type": "replace", "nth": 1}, {"do": "delay", "seconds": 1}, {"do": "refuse", "reason": "venue"}),
    )
    assert codes(client.place(1, action="SELL")) == [(1, 201)]
    got = client.place(2)
    assert [(one["shares"], one["cumQty"]) for one in named(got, "execDetails")] == [(30, 30)]
    assert codes(client.ask("cancelOrder", orderId=2)) == [(2, 10148)]
    assert client.place(2, lmtPrice=Decimal(201)) == []
    world.advance(1.1)
    assert codes(client.take()) == [(2, 201)], "a change that is refused later is told as well"
    opened = named(client.ask("reqOpenOrders"), "openOrder")
    assert [one["lmtPrice"] for one in opened] == [200], "and the order is what it was"
    client.place(2, lmtPrice=Decimal(202))
    opened = named(client.ask("reqOpenOrders"), "openOrder")
    assert [one["lmtPrice"] for one in opened] == [202]


def test_executions_are_withheld_until_asked_for_doubled_and_falsified(world: World, client: MemoryClient) -> None:
    add(
        world,
        rule({"type": "fill", "nth": 1}, {"do": "withhold", "until": "asked"}),
        rule({"type": "fill", "nth": 1}, {"do": "repeat_altered", "quantity": 5, "price": 1}),
        rule({"type": "fill", "nth": 1}, {"do": "alter", "cumulative": 11}, "duplicate"),
        rule({"type": "commission", "nth": 1}, "withhold"),
    )
    client.place(1)
    for _ in range(3):
        world.trade_against(Side.SELL, 10, "200")
    got = client.take()
    told = [(one["shares"], one["price"], one["cumQty"]) for one in named(got, "execDetails")]
    assert told == [(10, 200, 20), (15, 201, 20), (10, 200, 41), (10, 200, 41)]
    assert len(named(got, "commissionReport")) == 2
    first = named(client.ask("reqOpenOrders"), "execDetails")
    assert [one["cumQty"] for one in first] == [10], "it comes with the question"


def test_the_connection_is_cut_in_a_message_and_silent(world: World, client: MemoryClient) -> None:
    add(world, rule({"type": "ack", "first": 1}, {"do": "drop", "after_messages": 2, "mid_message": True}))
    client.send("placeOrder", **client_order(1))
    whole = client.transport.value()
    world.advance(0.1)
    assert client.is_closed and len(whole) > 0
    lengths = []
    while len(whole) >= 4 and len(whole) >= 4 + (size := int.from_bytes(whole[:4], "big")):
        lengths.append(size)
        whole = whole[4 + size :]
    assert len(lengths) == 2 and len(whole) > 0, "two whole messages, and a piece of the next"
    world.venue.policies.remove("p")
    mute = world.connect(2)
    mute.take()
    add(world, rule({"type": "status_request"}, "half_open"), name="mute")
    assert mute.ask("reqOpenOrders") == []
    assert mute.ask("reqCurrentTime") == [] and not mute.is_closed


def client_order(order_id: int) -> dict[str, Any]:
    return {
        "conId": 8314,
        "symbol": "IBM",
        "secType": "STK",
        "exchange": "SMART",
        "currency": "USD",
        "orderId": order_id,
        "action": "BUY",
        "totalQuantity": Decimal(100),
        "orderType": "LMT",
        "lmtPrice": Decimal(200),
        "tif": "DAY",
        "account": "DU1000001",
        "transmit": True,
    }


def test_logons_are_refused_and_clients_sent_away(world: World, client: MemoryClient) -> None:
    add(world, rule("logon", {"do": "reject_logon", "text": "not now"}))
    refused = world.connect(2)
    (notice,) = refused.take()
    assert (notice["errorCode"], notice["errorString"]) == (326, "not now")
    world.advance(0.1)
    assert refused.is_closed and not client.is_closed
    add(world, rule("now", {"do": "log_out", "text": "good night"}), name="night")
    assert codes(client.take()) == [(-1, 1300)]
    world.advance(0.1)
    assert client.is_closed


def test_connections_are_refused_for_a_while_but_not_taken_after_the_end(world: World) -> None:
    def ports() -> int:
        return len(world.reactor.tcpServers)

    before = ports()
    add(world, rule("now", {"do": "refuse_connections", "seconds": 1}))
    world.advance(1.1)
    assert ports() == before + 1
    world.venue.policies.remove("p")
    add(world, rule("now", {"do": "restart", "seconds": 1}))
    world.endpoint.stop()
    world.advance(1.1)
    assert ports() == before + 1, "who was stopped meanwhile does not come back"


@pytest.mark.parametrize(
    "one",
    [
        rule("now", "skip_numbers"),
        rule("now", "stop_heartbeats"),
        rule("replace", "pend"),
        rule("snapshot", "withhold"),
    ],
)
def test_what_this_wire_has_not_is_refused(world: World, one: dict[str, Any]) -> None:
    with pytest.raises(NotOffered, match="tws"):
        add(world, one)
    everywhere = Policy("everywhere", [one])
    with pytest.raises(NotOffered):
        world.venue.policies.add(everywhere)


def wire_of_a_run(name: str) -> bytes:
    """Return all that a client reads in a run of much chance."""
    world = World(has_house=False)
    client = world.connect()
    client.take()
    add(
        world,
        rule({"type": "new", "probability": "0.3"}, {"do": "reject"}),
        rule(
            "new",
            {"do": "delay", "seconds": "0.1", "to": "0.9", "spike": 2, "chance": "0.2"},
            {"do": "fill", "parts": 2},
        ),
        rule("fill", {"do": "reorder", "window": 3, "seconds": 1}),
        name=name,
    )
    data = b""
    for number in range(1, 13):
        client.send("placeOrder", **client_order(number))
        world.advance(0.2)
        data += client.transport.value()
        client.transport.clear()
    world.advance(4)
    data += client.transport.value()
    client.lose()
    world.close()
    return data


def test_the_same_run_gives_the_same_bytes() -> None:
    first = wire_of_a_run("p")
    assert wire_of_a_run("p") == first and len(first) > 5_000
    assert wire_of_a_run("q") != first
