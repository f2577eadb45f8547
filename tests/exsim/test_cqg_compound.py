"""Compound orders at the simulated CQG server: one places others, one cancels others, bundles and brackets."""

from __future__ import annotations

from decimal import Decimal

import pytest
import pytest_twisted
from cqg_client import World

from txtrader.exsim.records import Terms
from txtrader.model.order import OrderType, Side

OPO, OCO, BUNDLE = 1, 2, 3
ACCOUNT = 1000001
SUSPENDED, WORKING, CANCELLED, FILLED = 9, 3, 7, 8


class Desk:
    """A client with a trade subscription, and what the statuses said last of each order."""

    def __init__(self, world, client, contract):
        self.world, self.client, self.contract = world, client, contract
        self.last = {}
        self.chains = {}
        self.statuses = []

    def order(self, name, side, price=None, *, stop=None, quantity=1, account=ACCOUNT):
        kind = {(False, False): 1, (True, False): 2, (False, True): 3, (True, True): 4}[
            price is not None, stop is not None
        ]
        found = {
            "account_id": account,
            "contract_id": self.contract,
            "cl_order_id": name,
            "order_type": kind,
            "duration": 1,
            "side": side,
            "qty": {"significand": quantity},
            "when_utc_timestamp": {"seconds": 1},
        }
        if price is not None:
            found["scaled_limit_price"] = int(price * 4)
        if stop is not None:
            found["scaled_stop_price"] = int(stop * 4)
        return {"order": found}

    def send(self, kind, entries, name="c1", **more):
        compound = {"type": kind, "cl_compound_id": name, "compound_order_entries": entries, **more}
        self.client.send("order_requests", request_id=1, new_compound_order={"compound_order": compound})

    async def look(self):
        await self.client.settled()
        for status in self.client.all("order_statuses"):
            self.statuses.append(status)
            self.last[status.order.cl_order_id] = status.status
            self.chains[status.order.cl_order_id] = status
        return self.last

    def trade(self, price, side="SELL", quantity=1):
        """Let somebody else trade against the client."""
        self.world.venue.submit(
            "stranger",
            Terms(
                listing_id=self.world.endpoint.names.resolve("EPZ26").id,
                account="DU1000002",
                side=Side(side),
                quantity=Decimal(quantity),
                type=OrderType.LIMIT,
                limit_price=Decimal(price),
            ),
        )


async def desk_of(world):
    client = await world.client()
    contract = (await client.resolve("EPZ26")).contract_id
    client.send(
        "trade_subscriptions",
        id=1,
        subscribe=True,
        subscription_scopes=[1],
        publication_type=1,
        account_ids=[ACCOUNT],
    )
    await client.next("trade_snapshot_completions")
    return Desk(world, client, contract)


@pytest_twisted.ensureDeferred
async def test_the_fill_of_the_first_places_the_rest():
    async with World() as world:
        desk = await desk_of(world)
        desk.send(OPO, [desk.order("first", 1, 6000), desk.order("second", 2, 6100), desk.order("third", 2, stop=5900)])
        assert await desk.look() == {"first": WORKING, "second": SUSPENDED, "third": SUSPENDED}
        structure = desk.chains["third"].compound_order_structure
        assert (structure.type, structure.cl_compound_id) == (OPO, "c1")
        assert [one.chain_order_id for one in structure.compound_order_entries] == [
            desk.chains[name].chain_order_id for name in ("first", "second", "third")
        ]
        desk.trade(6000)
        assert await desk.look() == {"first": FILLED, "second": WORKING, "third": WORKING}


@pytest_twisted.ensureDeferred
async def test_a_cancel_of_the_first_takes_the_rest_along():
    async with World() as world:
        desk = await desk_of(world)
        desk.send(OPO, [desk.order("first", 1, 6000), desk.order("second", 2, 6100)])
        await desk.look()
        status = desk.chains["first"]
        desk.client.send(
            "order_requests",
            request_id=2,
            cancel_order={
                "order_id": status.order_id,
                "account_id": ACCOUNT,
                "orig_cl_order_id": "first",
                "cl_order_id": "gone",
                "when_utc_timestamp": {"seconds": 1},
            },
        )
        assert await desk.look() == {"first": 5, "second": CANCELLED, "gone": CANCELLED}


@pytest_twisted.ensureDeferred
async def test_one_cancels_the_other_and_a_part_fill_takes_as_much_off():
    async with World() as world:
        desk = await desk_of(world)
        desk.send(OCO, [desk.order("low", 1, 6000, quantity=4), desk.order("lower", 1, 5990, quantity=4)])
        assert await desk.look() == {"low": WORKING, "lower": WORKING}
        desk.trade(6000)
        await desk.look()
        assert desk.chains["lower"].remaining_qty.significand == 3
        desk.trade(6000, quantity=3)
        assert await desk.look() == {"low": FILLED, "lower": CANCELLED}


@pytest_twisted.ensureDeferred
async def test_a_bundle_has_no_ties():
    async with World() as world:
        desk = await desk_of(world)
        desk.send(BUNDLE, [desk.order("one", 1, 6000), desk.order("two", 1, 5990)])
        await desk.look()
        desk.trade(6000)
        assert await desk.look() == {"one": FILLED, "two": WORKING}


@pytest_twisted.ensureDeferred
async def test_a_bracket_of_an_opo_and_an_oco():
    async with World() as world:
        desk = await desk_of(world)
        oco = {
            "type": OCO,
            "cl_compound_id": "exit",
            "compound_order_entries": [desk.order("target", 2, 6100), desk.order("stop", 2, stop=5900)],
        }
        desk.send(OPO, [desk.order("entry", 1, 6000), {"compound_order": oco}])
        assert await desk.look() == {"entry": WORKING, "target": SUSPENDED, "stop": SUSPENDED}
        desk.trade(6000)
        assert await desk.look() == {"entry": FILLED, "target": WORKING, "stop": WORKING}
        desk.trade(6100, "BUY")
        assert await desk.look() == {"entry": FILLED, "target": FILLED, "stop": CANCELLED}


@pytest.mark.parametrize(("side", "sign"), [(1, 1), (2, -1)])
@pytest_twisted.ensureDeferred
async def test_offsets_make_target_and_stop_from_the_fill_price(side, sign):
    async with World() as world:
        desk = await desk_of(world)
        desk.send(
            OPO,
            [desk.order("entry", side, 6000, quantity=2)],
            is_bracket=True,
            profit_tick_offset=40,
            loss_tick_offset=-20,
            stop_limit_tick_offset=4,
        )
        assert await desk.look() == {"entry": WORKING}
        desk.trade(6000, "SELL" if side == 1 else "BUY", 1)
        assert await desk.look() == {"entry": WORKING}, "all of it has to be filled"
        desk.trade(6000, "SELL" if side == 1 else "BUY", 1)
        assert await desk.look() == {"entry": FILLED, "c1.profit": WORKING, "c1.loss": WORKING}
        profit, loss = desk.chains["c1.profit"].order, desk.chains["c1.loss"].order
        assert profit.scaled_limit_price == 24000 + sign * 40
        assert (loss.scaled_stop_price, loss.scaled_limit_price) == (24000 - sign * 20, 24000 - sign * 24)
        assert (profit.side, loss.side, loss.qty.significand) == (3 - side, 3 - side, 2)
        desk.trade(6000 + sign * 10, "BUY" if side == 1 else "SELL", 2)
        assert await desk.look() == {"entry": FILLED, "c1.profit": FILLED, "c1.loss": CANCELLED}


@pytest_twisted.ensureDeferred
async def test_an_existing_order_can_place_others():
    async with World() as world:
        desk = await desk_of(world)
        desk.send(BUNDLE, [desk.order("first", 1, 6000)])
        await desk.look()
        use = {"use_order": {"order_id": desk.chains["first"].order_id, "account_id": ACCOUNT}}
        desk.send(OPO, [use, desk.order("second", 2, 6100)], "c2")
        assert await desk.look() == {"first": WORKING, "second": SUSPENDED}
        desk.trade(6000)
        assert await desk.look() == {"first": FILLED, "second": WORKING}


@pytest_twisted.ensureDeferred
async def test_a_compound_that_makes_no_sense_is_rejected_whole():
    async with World(view_only=("DU1000003",)) as world:
        desk = await desk_of(world)
        one, two = desk.order("a", 1, 6000), desk.order("b", 1, 5990)
        deep = {"type": OCO, "cl_compound_id": "d", "compound_order_entries": [one]}
        for _ in range(5):
            deep = {"type": OCO, "cl_compound_id": "d", "compound_order_entries": [{"compound_order": deep}]}
        for kind, entries, more in (
            (OCO, [], {}),
            (9, [one, two], {}),
            (OPO, [one], {}),
            (OPO, [{"compound_order": deep}, two], {}),
            (OCO, [{"compound_order": deep}], {}),
            (OPO, [one, two], {"profit_tick_offset": 4}),
            (OPO, [one], {"is_bracket": True}),
            (OCO, [one, {"use_order": {"order_id": "1", "account_id": ACCOUNT}}], {}),
            (OPO, [{"use_order": {"order_id": "1", "account_id": ACCOUNT}}, one], {}),
            (OCO, [one, desk.order("c", 1, 6000, account=5)], {}),
            (OCO, [two, desk.order("d", 1, 6000, account=1000003)], {}),
            (OCO, [{}], {}),
        ):
            desk.send(kind, entries, **more)
            reject = await desk.client.next("order_request_rejects")
            assert reject.request_id == 1
            assert reject.details.text
        assert await desk.look() == {}
        assert world.venue.live_orders() == []


@pytest_twisted.ensureDeferred
async def test_an_order_is_parked_and_works_again():
    async with World() as world:
        desk = await desk_of(world)
        new = {**desk.order("rest", 1, 6000)["order"]}
        desk.client.send("order_requests", request_id=1, new_order={"order": new})
        assert await desk.look() == {"rest": WORKING}

        def act(kind, name):
            desk.client.send(
                "order_requests",
                request_id=2,
                **{
                    kind: {
                        "order_id": desk.chains["rest"].order_id,
                        "account_id": ACCOUNT,
                        "orig_cl_order_id": "rest",
                        "cl_order_id": name,
                        "when_utc_timestamp": {"seconds": 1},
                    }
                },
            )

        act("suspend_order", "park")
        await desk.look()
        assert desk.statuses[-1].status == SUSPENDED and desk.statuses[-1].transaction_statuses[0].status == 12
        desk.trade(6000)
        await desk.look()
        assert desk.statuses[-1].status == SUSPENDED, "what is parked does not trade"
        act("suspend_order", "again")
        (reject,) = [await desk.client.next("order_request_rejects")]
        assert reject.reject_code == 1020
        desk.world.venue.mass_cancel(account="DU1000002")
        act("activate_order", "work")
        await desk.look()
        assert desk.statuses[-1].status == WORKING
        desk.trade(6000)
        await desk.look()
        assert desk.statuses[-1].status == FILLED
