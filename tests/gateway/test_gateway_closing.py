"""Closing positions: flat afterwards, never turned round, whoever asks and however often."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import pytest_twisted
from desk_room import Room, make_broker, open_room
from twisted.internet.defer import DeferredList

from txtrader.errors import BrokerUnavailable, Forbidden, IdempotencyKeyReuse, InvalidArgument, NotFound, NotReady
from txtrader.gateway.session import User

DU1 = {"account": "DU1"}


async def hold(room: Room, quantity: int, account: str = "DU1", symbol: str = "IBM") -> None:
    """Buy or sell at the market, and wait until everybody knows."""
    room.broker.quote(symbol, "99", "101")
    await room.call("market_order", symbol, quantity, account=account)
    await settled(room)


async def settled(room: Room) -> None:
    await room.until(
        lambda: (
            all(not room.gateway.books.differences("memory", account) for account in ("DU1", "DU2"))
            and not room.gateway.blotter.open_orders()
        )
    )


def holding(room: Room, account: str = "DU1", symbol: str = "IBM") -> Decimal:
    return room.broker.positions.get((account, symbol), Decimal(0))


@pytest.mark.parametrize("quantity", [100, -100])
@pytest_twisted.ensureDeferred
async def test_a_position_is_closed_whichever_side_it_is_on(tmp_path: Path, quantity: int) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        await hold(room, quantity)
        record = await room.call("close_position", "IBM", "DU1", tag="out")
        assert (record["side"], record["quantity"], record["type"], record["tag"]) == (
            "SELL" if quantity > 0 else "BUY",
            100,
            "Market",
            "out",
        )
        await settled(room)
        assert holding(room) == 0
        with pytest.raises(NotFound):
            await room.call("close_position", "IBM", "DU1")


@pytest_twisted.ensureDeferred
async def test_a_key_closes_once_and_answers_the_same_order_ever_after(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        await hold(room, 100)
        first = await room.call("close_position", "IBM", "DU1", client_order_id="close-1")
        again = await room.call("close_position", "IBM", "DU1", client_order_id="close-1")
        assert again["id"] == first["id"] and again["duplicate"] is True
        await settled(room)
        assert holding(room) == 0
        with pytest.raises(IdempotencyKeyReuse):
            await room.call("close_position", "SAP", "DU1", client_order_id="close-1")


@pytest_twisted.ensureDeferred
async def test_two_who_close_at_once_sell_once(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        await hold(room, 100)
        room.broker.withheld.add("submit")
        calls = [room.call("close_position", "IBM", "DU1") for _ in range(3)]
        outcomes = DeferredList(calls, consumeErrors=True)
        await room.until(lambda: sum(call.called for call in calls) == 2)
        room.broker.release()
        results = await outcomes
        assert sorted(is_done for is_done, _ in results) == [False, False, True]
        assert all(is_done or result.check(InvalidArgument) for is_done, result in results)
        await settled(room)
        assert holding(room) == 0


@pytest_twisted.ensureDeferred
async def test_nothing_is_sent_while_another_order_may_take_from_the_position(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        await hold(room, 100)
        resting = await room.call("limit_order", "IBM", 120, -40, DU1)
        more = await room.call("limit_order", "IBM", 80, 10, DU1)  # this one only adds: it does not matter
        with pytest.raises(InvalidArgument) as refused:
            await room.call("close_position", "IBM", "DU1")
        assert refused.value.candidates == [resting["id"]]
        await room.call("cancel_order", resting["id"])
        await room.call("close_position", "IBM", "DU1")
        await room.call("cancel_order", more["id"])
        await settled(room)
        assert holding(room) == 0


@pytest_twisted.ensureDeferred
async def test_nothing_is_sent_while_a_fill_is_under_way(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        await hold(room, 100)
        books = room.gateway.books
        key = next(iter(books.positions))
        books._ledger[key] -= 30  # an execution whose position has not come yet
        with pytest.raises(NotReady):
            await room.call("close_position", "IBM", "DU1")
        books._ledger[key] += 30
        done = next(order for order in room.gateway.blotter.orders.values() if order.filled)
        execs = room.gateway.blotter._of_order.pop(done.id)  # the order says filled, its executions have not come
        with pytest.raises(NotReady):
            await room.call("close_position", "IBM", "DU1")
        room.gateway.blotter._of_order[done.id] = execs
        assert (await room.call("close_position", "IBM", "DU1"))["quantity"] == 100


@pytest_twisted.ensureDeferred
async def test_all_positions_are_closed_and_one_failure_holds_up_no_other(tmp_path: Path) -> None:
    broker = make_broker()
    async with open_room(tmp_path, broker) as room:
        await room.up()
        await hold(room, 100)
        await hold(room, -20, symbol="SAP")
        await hold(room, 7, account="DU2")
        resting = await room.call("limit_order", "IBM", 120, -40, DU1)
        answers = await room.call("close_all")
        failed = [answer for answer in answers if "error" in answer]
        assert [(a["account"], a["symbol"], a["error"]["code"]) for a in failed] == [("DU1", "IBM", "invalid-argument")]
        assert {(a["account"], a["symbol"], a["quantity"]) for a in answers if "error" not in a} == {
            ("DU1", "SAP", 20),
            ("DU2", "IBM", 7),
        }
        await room.call("cancel_order", resting["id"])
        assert [a["symbol"] for a in await room.call("close_all", "DU1")] == ["IBM"]
        await settled(room)
        assert not any(broker.positions.values())


@pytest_twisted.ensureDeferred
async def test_the_broker_makes_accounts_flat_and_what_it_did_is_told(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        await hold(room, 100)
        await hold(room, 7, account="DU2")
        await room.call("limit_order", "IBM", 120, -40, DU1)
        assert await room.call("go_flat", "DU1") == {"DU1": "done"}
        await settled(room)
        assert (holding(room), holding(room, "DU2")) == (0, 7)
        assert {order["status"] for order in (await room.call("query_orders")).values()} == {"Filled", "Canceled"}
        assert room.told("execution")[-1]["shares"] == 100


@pytest_twisted.ensureDeferred
async def test_one_symbol_is_made_flat_after_its_orders_have_ended(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        await hold(room, 100)
        await hold(room, 20, symbol="SAP")
        await room.call("limit_order", "IBM", 120, -40, DU1)
        room.broker.withheld.add("cancel")
        with pytest.raises(NotReady):
            await room.call("go_flat", "DU1", "IBM")
        assert holding(room) == 100
        room.broker.release()
        await room.until(lambda: not room.gateway.blotter.open_orders())
        assert await room.call("go_flat", "DU1", "IBM") == {"DU1": "asked"}
        await settled(room)
        assert (holding(room), holding(room, symbol="SAP")) == (0, 20)


@pytest_twisted.ensureDeferred
async def test_nobody_closes_what_is_not_his(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        await hold(room, 7, account="DU2")
        bob = room.session(User(name="bob", role="trade", accounts=frozenset({"DU1"})))
        for call in (("close_position", "IBM", "DU2"), ("close_all", "DU2"), ("go_flat", "DU2")):
            with pytest.raises(NotFound):
                await room.call(*call, session=bob)
        assert await room.call("close_all", session=bob) == []
        assert await room.call("go_flat", session=bob) == {"DU1": "done"}
        viewer = room.session(User(name="eve", role="view"))
        with pytest.raises(Forbidden):
            await room.call("close_all", session=viewer)
        assert holding(room, "DU2") == 7


@pytest_twisted.ensureDeferred
async def test_before_the_accounts_are_known_nothing_is_closed(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        for call in (("close_position", "IBM", "DU1"), ("close_all", "DU1"), ("go_flat", "DU1"), ("close_all",)):
            with pytest.raises((NotReady, BrokerUnavailable)):
                await room.call(*call)
