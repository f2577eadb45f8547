"""The gateway on a real journal and a memory broker: what a caller may rely on."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import pytest_twisted
from desk_room import make_broker, open_room, pause
from twisted.internet.defer import gatherResults

from txtrader.errors import (
    BrokerRejected,
    BrokerUnavailable,
    Forbidden,
    IdempotencyKeyReuse,
    InvalidArgument,
    NotFound,
    NotReady,
    ReconcileFailed,
)
from txtrader.gateway.session import User
from txtrader.model.operations import OPERATIONS
from txtrader.model.order import Side

ORDER = {"account": "DU1"}
BUY = {"symbol": "IBM", "side": "BUY", "quantity": 1, "type": "Market"}


@pytest_twisted.ensureDeferred
async def test_an_order_is_acknowledged_filled_and_told_once(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        record = await room.call("limit_order", "IBM", "12.50", 100, ORDER)
        assert (record["status"], record["side"], record["quantity"], record["price"]) == (
            "New",
            "BUY",
            100,
            Decimal("12.5"),
        )
        room.broker.fill(record["id"], 40, "12.49")
        room.broker.fill(record["id"], 60, "12.50")
        await room.until(lambda: len(room.told("execution")) >= 4)
        done = await room.call("query_order", record["id"])
        assert (done["status"], done["filled"], done["avgfillprice"]) == ("Filled", 100, Decimal("12.496"))
        assert [o["status"] for o in room.told("order")][:3] == ["PendingNew", "New", "PartiallyFilled"]
        assert {e["execId"] for e in room.told("execution")} == set(
            await room.call("query_order_executions", record["id"])
        )
        assert (await room.call("query_positions"))["DU1"] == {"IBM": 100}
        seqs = [event.seq for event in room.events if event.channel == "order"]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


@pytest_twisted.ensureDeferred
async def test_a_key_makes_one_order_whoever_races_and_after_a_restart(tmp_path: Path) -> None:
    broker = make_broker()
    async with open_room(tmp_path, broker) as room:
        await room.up()
        terms = {**ORDER, "client_order_id": "mr-17"}
        answers = await gatherResults([room.call("limit_order", "ibm", "12.50", 100, dict(terms)) for _ in range(20)])
        assert len({answer["id"] for answer in answers}) == 1
        assert sum(answer["duplicate"] for answer in answers) == 19
        with pytest.raises(IdempotencyKeyReuse):
            await room.call("limit_order", "IBM", "12.51", 100, dict(terms))
    async with open_room(tmp_path, broker) as room:
        again = await room.call("limit_order", "IBM", "12.5", "100", dict(terms))
        assert (again["id"], again["duplicate"]) == (answers[0]["id"], True)
        await room.up()
        assert (await room.call("query_order", "client:mr-17"))["id"] == answers[0]["id"]
    assert len(broker.orders) == 1


@pytest_twisted.ensureDeferred
async def test_no_answer_is_unknown_and_settled_by_evidence(tmp_path: Path) -> None:
    broker = make_broker()
    broker.withheld.add("submit")
    async with open_room(tmp_path, broker) as room:
        await room.up()
        record = await room.call("market_order", "IBM", 5, ORDER)
        assert record["status"] == "Unknown"
        assert (await room.call("query_status"))["unknown_orders"] == 1
        broker.release()
        await room.until(lambda: room.gateway.blotter.orders[record["id"]].status.value == "New")
    assert len(broker.orders) == 1


@pytest_twisted.ensureDeferred
async def test_a_refusal_carries_the_order_and_the_brokers_words(tmp_path: Path) -> None:
    broker = make_broker()
    broker.rejects = lambda order: True
    async with open_room(tmp_path, broker) as room:
        await room.up()
        with pytest.raises(BrokerRejected) as caught:
            await room.call("market_order", "IBM", 5, {**ORDER, "client_order_id": "k"})
        assert caught.value.order is not None and caught.value.order["status"] == "Rejected"
        again = await room.call("market_order", "IBM", 5, {**ORDER, "client_order_id": "k"})
        assert (again["status"], again["duplicate"]) == ("Rejected", True)


@pytest_twisted.ensureDeferred
async def test_fills_during_an_outage_are_told_once_each(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        record = await room.call("limit_order", "IBM", "12.50", 100, ORDER)
        room.adapter.lose_link()
        with pytest.raises(BrokerUnavailable):
            await room.call("market_order", "IBM", 1, ORDER)
        room.broker.fill(record["id"], 30, "12.5")
        room.broker.fill(record["id"], 70, "12.5")
        room.broker.place_external(account="DU2", symbol="IBM", side=Side.BUY, quantity=10, limit_price="11")
        room.adapter.restore_link()
        await room.up()
        await pause(0.5)  # some rounds of the periodic look change nothing
        told = room.told("execution")
        assert [e["shares"] for e in told if e["commission"] is None] == [30, 70]
        assert [e["shares"] for e in told if e["commission"] is not None] == [30, 70]  # and each once with its cost
        assert (await room.call("query_order", record["id"]))["status"] == "Filled"
        assert [gap["channel"] for gap in room.told("gap")] == ["order", "execution", "account"]
        external = [o for o in (await room.call("query_orders")).values() if o["origin"] == "external"]
        assert len(external) == 1
        cancelled = await room.call("cancel_order", external[0]["id"])
        assert cancelled["status"] == "Canceled"


@pytest_twisted.ensureDeferred
async def test_an_order_that_never_arrived_is_lost_only_in_a_new_session(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        room.adapter.submit = lambda order: None  # type: ignore[method-assign]  # the bytes leave and are lost
        record = await room.call("market_order", "IBM", 5, ORDER)
        await pause(0.6)
        assert (await room.call("query_order", record["id"]))["status"] == "Unknown"
        room.adapter.lose_link()
        room.adapter.restore_link()
        await room.until(lambda: room.gateway.blotter.orders[record["id"]].status.value == "Lost")


@pytest_twisted.ensureDeferred
async def test_a_position_that_nobody_explains_shuts_trading_until_it_is_accepted(
    tmp_path: Path, expected_failures: list[str]
) -> None:
    expected_failures.append("positions differ")
    broker = make_broker()
    async with open_room(tmp_path, broker) as room:
        await room.up()
        broker.positions["DU1", "IBM"] = Decimal(7)
        room.adapter.lose_link()
        room.adapter.restore_link()
        await room.until(lambda: room.link.word == "ReconcileFailed", 10)
        with pytest.raises(ReconcileFailed):
            await room.call("market_order", "IBM", 1, ORDER)
        report = await room.call("query_reconciliation")
        assert report["positions"][0] | {"instrument_id": None} == {
            "account": "DU1", "symbol": "IBM", "instrument_id": None, "ours": 0, "broker": 7,
        }  # fmt: skip
        await room.call("accept_positions", "DU1", "bought by hand")
        assert room.link.is_up
        await pause(0.5)
        assert room.link.is_up


@pytest_twisted.ensureDeferred
async def test_reports_that_do_not_come_whole_keep_the_gate_shut(tmp_path: Path, expected_failures: list[str]) -> None:
    expected_failures.append("did not come whole")
    async with open_room(tmp_path) as room:
        await room.up()
        record = await room.call("limit_order", "IBM", "12.50", 100, ORDER)
        room.adapter.withheld_parts.add("executions")
        room.adapter.lose_link()
        room.adapter.restore_link()
        await pause(0.3)
        with pytest.raises(NotReady):
            await room.call("market_order", "IBM", 1, ORDER)
        assert (await room.call("query_order", record["id"]))["status"] == "New"
        assert (await room.call("cancel_order", record["id"]))["status"] == "Canceled"


@pytest_twisted.ensureDeferred
async def test_modify_and_cancel(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        record = await room.call("limit_order", "IBM", "12.50", 100, {**ORDER, "client_order_id": "c"})
        changed = await room.call("modify_order", "client:c", {"limit_price": "12.55", "quantity": 120})
        assert (changed["status"], changed["price"], changed["quantity"]) == ("New", Decimal("12.55"), 120)
        cancelled = await room.call("cancel_order", record["id"])
        assert cancelled["status"] == "Canceled"
        assert (await room.call("cancel_order", record["id"]))["status"] == "Canceled"
        with pytest.raises(InvalidArgument):
            await room.call("modify_order", record["id"], {"quantity": 5})


@pytest_twisted.ensureDeferred
async def test_a_global_cancel_while_the_broker_is_away_runs_at_its_return(tmp_path: Path) -> None:
    broker = make_broker()
    async with open_room(tmp_path, broker) as room:
        await room.up()
        record = await room.call("limit_order", "IBM", "12.50", 100, ORDER)
        room.adapter.lose_link()
        assert (await room.call("global_cancel"))["ids"] == [record["id"]]
    async with open_room(tmp_path, broker) as room:
        await room.until(lambda: room.gateway.blotter.orders[record["id"]].status.value == "Canceled")


@pytest_twisted.ensureDeferred
async def test_tickets_wait_for_approval(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        ticket = await room.call("stage_limit_order", "alpha", "IBM", "12.50", -100, ORDER)
        assert (ticket["status"], ticket["class"], ticket["side"]) == ("Staged", "ticket", "SELL")
        assert not room.broker.orders
        order = await room.call("approve_ticket", ticket["id"])
        assert (order["status"], order["class"], order["id"]) == ("New", "order", ticket["id"])
        other = await room.call("stage_market_order", "beta", "IBM", 1, ORDER)
        assert (await room.call("reject_ticket", other["id"], "no"))["provenance"] == "local-deny"
        with pytest.raises(InvalidArgument):
            await room.call("approve_ticket", other["id"])


@pytest_twisted.ensureDeferred
async def test_bad_orders_are_refused_before_anything_is_kept(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        for name, args, path in (
            ("limit_order", ("IBM", "12.505", 100), "limit_price"),
            ("limit_order", ("IBM", "-1", 100), "limit_price"),
            ("market_order", ("IBM", "1.5"), "quantity"),
            ("market_order", ("IBM", 0), "quantity"),
            ("market_order", ("NOPE", 1), "symbol"),
            ("submit_order", ({**BUY, "type": "Limit"},), "limit_price"),
            ("submit_order", ({**BUY, "tif": "GTD"},), "good_till"),
            ("submit_order", ({**BUY, "tif": "FOK"},), "tif"),
        ):  # fmt: skip
            room.alice.account = "DU1"
            with pytest.raises((InvalidArgument, NotFound)) as caught:
                await room.call(name, *args)
            assert caught.value.path == path, (name, args)
        room.alice.account = None
        with pytest.raises(InvalidArgument) as caught:
            await room.call("market_order", "IBM", 1)
        assert caught.value.reason == "account-required"
        assert not room.gateway.blotter.orders and not room.broker.orders


@pytest_twisted.ensureDeferred
async def test_roles_and_foreign_accounts(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        record = await room.call("limit_order", "IBM", "12.50", 100, ORDER)
        viewer = room.session(User(name="v", role="view", accounts=frozenset({"DU2"})))
        trader = room.session(User(name="t", role="trade", accounts=frozenset({"DU2"})))
        for name, operation in OPERATIONS.items():
            if operation.role != "view":
                needed = {a.name: EXAMPLES[a.kind] for a in operation.arguments if a.required}
                with pytest.raises(Forbidden):
                    await room.call(name, session=viewer, **needed)
        for session in (viewer, trader):
            with pytest.raises(NotFound):
                await room.call("query_order", record["id"], session=session)
            assert await room.call("query_orders", session=session) == {}
            assert await room.call("query_accounts", session=session) == ["DU2"]
            assert await room.call("set_account", "DU1", session=session) is False
        with pytest.raises(NotFound):
            await room.call("market_order", "IBM", 1, ORDER, session=trader)
        with pytest.raises(NotFound):
            await room.call("cancel_order", record["id"], session=trader)
        assert (await room.call("market_order", "IBM", 1, session=trader))["account"] == "DU2"


EXAMPLES = {
    "symbol": "IBM", "signed_quantity": 1, "price": 1, "id": "TX-1", "order": {"symbol": "IBM", "side": "BUY",
    "quantity": 1, "type": "Market"}, "changes": {"quantity": 1}, "name": "t", "account": "DU2", "text": "x",
    "secret": "x",
}  # fmt: skip


@pytest_twisted.ensureDeferred
async def test_every_operation_has_a_method_with_its_arguments(tmp_path: Path) -> None:
    import inspect

    async with open_room(tmp_path) as room:
        for name, operation in OPERATIONS.items():
            signature = inspect.signature(room.gateway._methods[name])
            signature.bind(room.alice, **{argument.name: None for argument in operation.parameters})
