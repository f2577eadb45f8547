"""Policies seen by a client of the simulated CQG server, over a real socket."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import pytest_twisted
from cqg_client import World
from policy_room import rule
from test_cqg_faults import place, sell, steps, trader

from txtrader.exsim.policies import Policy
from txtrader.exsim.policies.faces import NotOffered
from txtrader.wire.cqg.values import decimal_of

TRANSIT, REJECTED, ACK, CANCELED, FILL = 1, 2, 3, 6, 11


def add(world: World, *rules: dict[str, Any], name: str = "p") -> Policy:
    policy = Policy(name, rules, {"endpoint": "cqg"})
    world.venue.policies.add(policy)
    return policy


@pytest_twisted.ensureDeferred
async def test_orders_are_refused_late_and_filled_by_the_house():
    async with World() as world:
        client, contract = await trader(world, [1])
        add(
            world,
            rule({"type": "new", "nth": 1}, {"do": "reject", "text": "no"}),
            rule({"type": "new", "nth": 1}, "pend", {"do": "delay", "seconds": 2}),
            rule("new", "fill"),
        )
        place(client, contract, "a")
        await client.settled()
        assert steps(client) == [TRANSIT, REJECTED]
        place(client, contract, "b")
        await client.settled()
        assert steps(client) == [TRANSIT]
        world.clock.advance(2)
        await client.settled()
        assert steps(client) == [ACK]
        place(client, contract, "c")
        await client.settled()
        assert steps(client)[:3] == [TRANSIT, ACK, FILL]


@pytest_twisted.ensureDeferred
async def test_statuses_are_doubled_held_back_and_falsified():
    async with World() as world:
        client, contract = await trader(world, [1])
        add(
            world,
            rule("ack", {"do": "withhold", "until": "fill"}),
            rule({"type": "fill", "nth": 1}, {"do": "repeat_altered", "quantity": 3, "price": 25, "cumulative": 2}),
        )
        place(client, contract)
        sell(world)
        await client.settled()
        told = client.all("order_statuses")
        got = [one.transaction_statuses[0].status for one in told]
        assert got[:4] == [TRANSIT, FILL, FILL, ACK]
        true, false = told[1], told[2]
        quantities = [decimal_of(one.transaction_statuses[0].trades[0].qty) for one in (true, false)]
        assert quantities[1] - quantities[0] == 3
        assert decimal_of(false.fill_qty) - decimal_of(true.fill_qty) == 2
        prices = [Decimal(str(one.transaction_statuses[0].trades[0].price_correct)) for one in (true, false)]
        assert prices[1] - prices[0] == 25
        ids = {one.transaction_statuses[0].trades[0].trade_id for one in (true, false)}
        assert len(ids) == 1


@pytest_twisted.ensureDeferred
async def test_connections_are_cut_refused_and_crumbled():
    async with World() as world:
        client, contract = await trader(world, [1])
        add(world, rule("ack", {"do": "drop"}))
        place(client, contract)
        await client.gone()
        assert len(world.venue.live_orders()) == 1
        world.venue.policies.remove("p")
        add(world, rule("logon", {"do": "reject_logon", "text": "come back later"}))
        other = await world.connect()
        result = await other.logon()
        assert (result.result_code != 0, result.text_message) == (True, "come back later")
        await other.gone()
        world.venue.policies.remove("p")
        add(world, rule("connect", {"do": "trickle", "every": 0, "size": 3}))
        third = await world.client()
        await third.settled()
        world.venue.policies.remove("p")
        fourth = await world.client("other")
        scope = {"endpoint": "cqg", "session": "cqg-other"}
        world.venue.policies.add(Policy("noise", [rule("now", "garbage")], scope))
        fourth.send("information_requests", id=1, accounts_request={})
        await fourth.gone()
        add(world, rule("now", {"do": "log_out", "text": "the end"}))
        assert (await third.next("logged_off")).text_message == "the end"
        await third.gone()


@pytest_twisted.ensureDeferred
async def test_what_this_wire_has_not_is_refused():
    async with World() as world:
        for one in (rule("now", "reset_numbers"), rule("commission", "withhold"), rule("increment", "alter")):
            with pytest.raises(NotOffered, match="cqg"):
                add(world, one)
