"""What TWS clients are told of an auction while orders gather: generic tick 225."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from tws_memory_client import IBM, MemoryClient, World, codes

from txtrader.exsim.endpoints.tws import TwsOptions
from txtrader.exsim.records import Phase
from txtrader.model.order import Side

D = Decimal


@pytest.fixture
def world() -> Iterator[World]:
    made = World(TwsOptions(max_version=200), has_house=False)
    yield made
    made.close()


@pytest.fixture
def client(world: World) -> MemoryClient:
    made = world.connect()
    made.take()
    return made


def auction_ticks(messages: list[Any]) -> dict[int, Decimal]:
    found = {}
    for message in messages:
        if message.name in ("tickPrice", "tickSize") and message["tickType"] in (34, 35, 36, 61):
            found[message["tickType"]] = message["price" if message.name == "tickPrice" else "size"]
    return found


def test_auction_values_are_told_to_who_asked_for_them_as_they_change(world: World, client: MemoryClient) -> None:
    other = world.connect(2)
    other.send("reqMktData", reqId=1, **IBM)
    assert auction_ticks(client.ask("reqMktData", reqId=1, **IBM, genericTickList="225")) == {}
    world.venue.set_phase(8314, Phase.CLOSING_AUCTION)
    assert auction_ticks(client.take()) == {34: 0, 35: -1, 36: 0, 61: 0}
    world.trade_against(Side.BUY, 100, "300.00")
    assert auction_ticks(client.take()) == {}
    world.trade_against(Side.SELL, 60, "299.00")
    assert auction_ticks(client.take()) == {34: 60, 35: D("300.00"), 36: 40, 61: 40}
    world.trade_against(Side.SELL, 50, "300.00")
    assert auction_ticks(client.take()) == {34: 100, 36: -10, 61: -10}
    assert auction_ticks(other.take()) == {}
    world.venue.set_phase(8314, Phase.POST_CLOSE)
    assert auction_ticks(client.take()) == {34: 0, 35: -1, 36: 0, 61: 0}
    world.venue.set_phase(8314, Phase.CLOSED)
    assert auction_ticks(client.take()) == {}


@pytest.mark.parametrize("version", [151, 157, 162, 178, 200])
def test_a_line_that_begins_in_an_auction_begins_with_its_values(world: World, version: int) -> None:
    world.venue.set_phase(8314, Phase.CLOSING_AUCTION)
    world.trade_against(Side.BUY, 100, "300.00")
    world.trade_against(Side.SELL, 160, "299.00")
    client = world.connect(1, version)
    got = client.ask("reqMktData", reqId=1, **IBM, genericTickList="221,225,233")
    assert auction_ticks(got) == {34: 100, 35: D("299.00"), 36: -60, 61: -60}
    assert codes(got)[-1:] in ([], [(-1, 2158)])


def test_a_blocked_line_says_nothing_of_auctions_and_all_of_them_afterwards(world: World, client: MemoryClient) -> None:
    client.send("reqMktData", reqId=1, **IBM, genericTickList="225")
    world.endpoint.compete()
    client.take()
    world.venue.set_phase(8314, Phase.CLOSING_AUCTION)
    assert client.take() == []
    world.endpoint.stop_competing()
    assert auction_ticks(client.take()) == {34: 0, 35: -1, 36: 0, 61: 0}
