"""Orders while the disk is slow or full, the link goes, and callers cross each other (G1 G2 G3 G6; I1 I2 I3 I8)."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from desk_room import Room, make_broker, open_room, pause
from faulty import Queue, full_disk, slow_disk
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from txtrader.errors import (
    BrokerRejected,
    BrokerUnavailable,
    IdempotencyKeyReuse,
    InvalidArgument,
    JournalUnavailable,
    NotFound,
    NotReady,
    TxTraderError,
)
from txtrader.model.order import CancelRejected, OrderStatus, OrderUpdate, Side

ORDER = {"account": "DU1"}


def caught(running: Deferred[Any]) -> list[Any]:
    """Collect the one answer of a call, error or not."""
    got: list[Any] = []
    running.addBoth(lambda answer: got.append(answer.value if isinstance(answer, Failure) else answer))
    return got


def status_of(room: Room, order_id: str) -> str:
    return room.gateway.blotter.orders[order_id].status.value


def sent(room: Room) -> list[str]:
    return [entry.kind for entry in room.broker.tape]


# --- the disk --------------------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_an_order_cancelled_before_it_is_durable_never_leaves(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        with slow_disk(room.journal) as go:
            made = caught(room.call("limit_order", "IBM", "12.50", 100, {**ORDER, "client_order_id": "k"}))
            await room.until(lambda: room.gateway.blotter.orders)
            (order_id,) = room.gateway.blotter.orders
            cancelled = caught(room.call("cancel_order", order_id))
            await pause(0.02)
            assert not made and not cancelled
            go.set()
            await room.until(lambda: made and cancelled)
        assert not room.broker.tape
        for record in (made[0], cancelled[0]):
            assert (record["status"], record["provenance"]) == ("Rejected", "local-deny"), record


@pytest_twisted.ensureDeferred
async def test_an_order_whose_link_goes_before_it_is_durable_is_not_unknown(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        with slow_disk(room.journal) as go:
            made = caught(room.call("limit_order", "IBM", "12.50", 100, ORDER))
            await room.until(lambda: room.gateway.blotter.orders)
            room.adapter.lose_link()
            go.set()
            await room.until(lambda: made)
        assert isinstance(made[0], BrokerUnavailable)
        assert made[0].order is not None
        assert (made[0].order["status"], made[0].order["provenance"]) == ("Rejected", "local-deny")
        assert not room.broker.tape
        room.adapter.restore_link()
        await room.up()
        assert status_of(room, made[0].order["id"]) == "Rejected"


@pytest_twisted.ensureDeferred
async def test_a_full_disk_refuses_orders_before_they_leave_and_cancels_go_on(
    tmp_path: Path, expected_failures: list[str]
) -> None:
    """F17 (I2 I8): the tape is empty for what was denied, the key is free again, facts are kept for later."""
    expected_failures.append("no space left")
    async with open_room(tmp_path) as room:
        await room.up()
        old = await room.call("limit_order", "IBM", "12.50", 100, ORDER)
        other = await room.call("limit_order", "IBM", "12.40", 50, ORDER)
        ticket = await room.call("stage_limit_order", "t", "IBM", "12.50", 10, ORDER)
        terms = {**ORDER, "client_order_id": "again"}
        count = len(room.broker.tape)
        with full_disk(room.journal):
            for name, args in (
                ("limit_order", ("IBM", "12.50", 100, terms)),
                ("stage_limit_order", ("u", "IBM", "12.50", 10, ORDER)),
                ("approve_ticket", (ticket["id"],)),
                ("modify_order", (old["id"], {"limit_price": "12.45"})),
                ("modify_order", (ticket["id"], {"limit_price": "12.45"})),
            ):
                with pytest.raises(JournalUnavailable):
                    await room.call(name, *args)
            assert len(room.broker.tape) == count, "nothing left"
            assert (await room.call("cancel_order", old["id"]))["status"] == "Canceled"
            room.broker.fill(other["id"], 50, "12.40")
            await room.until(lambda: status_of(room, other["id"]) == "Filled")
            shown = await room.call("query_order", ticket["id"])
            assert (shown["status"], shown["class"], shown["price"]) == ("Staged", "ticket", Decimal("12.5"))
            assert set(await room.call("query_orders")) == {old["id"], other["id"]}
        await room.until(lambda: room.journal.is_available)
        assert (await room.call("limit_order", "IBM", "12.50", 100, terms))["duplicate"] is False
        await room.until(lambda: len(room.told("execution")) == 2)  # with its cost, once more
    async with open_room(tmp_path, room.broker) as later:
        assert status_of(later, old["id"]) == "Canceled"
        assert status_of(later, other["id"]) == "Filled"


@pytest_twisted.ensureDeferred
async def test_a_fill_that_comes_while_a_change_is_refused_by_the_disk_is_kept(
    tmp_path: Path, expected_failures: list[str]
) -> None:
    expected_failures.append("no space left")
    async with open_room(tmp_path) as room:
        await room.up()
        record = await room.call("limit_order", "IBM", "12.50", 100, ORDER)
        import threading

        go = threading.Event()
        with full_disk(room.journal, go):
            changed = caught(room.call("modify_order", record["id"], {"limit_price": "12.60"}))
            await room.until(lambda: status_of(room, record["id"]) == "PendingReplace")
            room.broker.fill(record["id"], 40, "12.50")
            await room.until(lambda: room.gateway.blotter.orders[record["id"]].filled == 40)
            go.set()
            await room.until(lambda: changed)
        assert isinstance(changed[0], JournalUnavailable)
        shown = await room.call("query_order", record["id"])
        assert (shown["status"], shown["filled"], shown["price"]) == ("PartiallyFilled", 40, Decimal("12.5"))
        await room.until(lambda: room.journal.is_available)
        await room.until(lambda: room.told("order")[-1]["filled"] == 40)
        assert room.told("order")[-1] == await room.call("query_order", record["id"])
        assert "replace" not in sent(room)


@pytest_twisted.ensureDeferred
async def test_a_ticket_is_promised_to_nobody_before_it_is_durable(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        terms = {**ORDER, "client_order_id": "t1"}
        with slow_disk(room.journal) as go:
            first = caught(room.call("stage_limit_order", "t", "IBM", "12.50", 10, dict(terms)))
            await room.until(lambda: room.gateway.blotter.orders)
            second = caught(room.call("stage_limit_order", "t", "IBM", "12.50", 10, dict(terms)))
            await pause(0.05)
            assert not first and not second
            go.set()
            await room.until(lambda: first and second)
        assert (first[0]["id"], second[0]["duplicate"]) == (second[0]["id"], True)


@pytest_twisted.ensureDeferred
async def test_a_caller_who_leaves_does_not_stop_the_order_half_way(tmp_path: Path) -> None:
    """F41: processed and journaled once, whoever still listens."""
    async with open_room(tmp_path) as room:
        await room.up()
        with slow_disk(room.journal) as go:
            running = room.call("limit_order", "IBM", "12.50", 100, ORDER)
            left = caught(running)
            await room.until(lambda: room.gateway.blotter.orders)
            running.cancel()
            assert isinstance(left[0], CancelledError)
            go.set()
            await room.until(lambda: room.broker.orders)
        (order_id,) = room.gateway.blotter.orders
        await room.until(lambda: status_of(room, order_id) == "New")


# --- the broker's rate -----------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_an_order_that_waits_for_its_turn_is_not_unknown(tmp_path: Path) -> None:
    """F15: what has not left cannot be live; its time for an answer begins when it leaves."""
    broker = make_broker()
    broker.withheld.add("submit")
    async with open_room(tmp_path, broker) as room:
        await room.up()
        queue = Queue(room)
        record = await room.call("limit_order", "IBM", "12.50", 100, ORDER)
        assert (record["status"], record["send_time"]) == ("PendingNew", None)
        room.adapter.go_stale()
        await pause(0.05)
        assert status_of(room, record["id"]) == "PendingNew"
        room.adapter.restore_link()
        await room.up()
        await pause(0.4)
        assert status_of(room, record["id"]) == "PendingNew", "a look at the broker's reports changes nothing"
        queue.turn()
        await room.until(lambda: room.told("order")[-1]["send_time"])
        assert status_of(room, record["id"]) == "PendingNew"
        await room.until(lambda: status_of(room, record["id"]) == "Unknown")
        broker.release()
        await room.until(lambda: status_of(room, record["id"]) == "New")


@pytest_twisted.ensureDeferred
async def test_a_queued_order_is_answered_by_the_brokers_word_when_it_leaves_in_time(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        queue = Queue(room)
        made = caught(room.call("limit_order", "IBM", "12.50", 100, ORDER))
        await room.until(lambda: queue.waiting)
        queue.turn()
        await room.until(lambda: made)
        assert made[0]["status"] == "New"
        assert made[0]["send_time"] is not None


@pytest_twisted.ensureDeferred
async def test_a_queued_order_is_cancelled_without_reaching_the_broker(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        Queue(room)
        record = await room.call("limit_order", "IBM", "12.50", 100, ORDER)
        done = await room.call("cancel_order", record["id"])
        assert (done["status"], done["provenance"]) == ("Rejected", "local-deny")
        assert not room.broker.tape


@pytest_twisted.ensureDeferred
async def test_an_order_that_never_left_is_refused_by_us_and_not_by_the_broker(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()

        def refuse(order: Any) -> bool:
            room.link.order_updated(
                OrderUpdate(
                    mode=order.mode,
                    order_ref=order.id,
                    status=OrderStatus.REJECTED,
                    has_left=False,
                    error_code="throttled",
                    error_message="too many wait",
                )
            )
            return True

        room.adapter.submit = refuse  # type: ignore[method-assign,assignment]
        with pytest.raises(TxTraderError) as error:
            await room.call("limit_order", "IBM", "12.50", 100, ORDER)
        assert error.value.code == "throttled"
        assert error.value.order is not None
        assert (error.value.order["status"], error.value.order["provenance"]) == ("Rejected", "local-deny")


@pytest_twisted.ensureDeferred
async def test_a_bug_in_the_adapter_leaves_the_order_unknown_and_the_gateway_alive(
    tmp_path: Path, expected_failures: list[str]
) -> None:
    """F60: it may have left; nobody is told that it did not."""
    expected_failures.append("sending order")
    async with open_room(tmp_path) as room:
        await room.up()
        real = room.adapter.submit

        def broken(order: Any) -> None:
            real(order)
            raise RuntimeError("after the bytes have left")

        room.adapter.submit = broken  # type: ignore[method-assign]
        record = await room.call("limit_order", "IBM", "12.50", 100, ORDER)
        assert record["status"] == "New"


# --- callers who cross ------------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_a_ticket_approved_twice_is_one_order(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        ticket = await room.call("stage_limit_order", "t", "IBM", "12.50", 10, ORDER)
        answers = [caught(room.call("approve_ticket", ticket["id"])) for _ in range(3)]
        await room.until(lambda: all(answers))
        assert answers[0][0]["status"] == "New"
        assert all(isinstance(a[0], (NotFound, InvalidArgument)) for a in answers[1:])
        assert sent(room).count("submit") == 1


@pytest_twisted.ensureDeferred
async def test_two_changes_at_once_are_one_change(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        record = await room.call("limit_order", "IBM", "12.50", 100, ORDER)
        first = caught(room.call("modify_order", record["id"], {"limit_price": "12.60"}))
        second = caught(room.call("modify_order", record["id"], {"limit_price": "12.70"}))
        await room.until(lambda: first and second)
        assert first[0]["price"] == Decimal("12.6")
        assert isinstance(second[0], InvalidArgument)
        assert sent(room).count("replace") == 1


@pytest_twisted.ensureDeferred
async def test_a_cancel_during_a_change_that_has_not_left_takes_the_change_back(tmp_path: Path) -> None:
    broker = make_broker()
    broker.withheld.add("cancel")
    async with open_room(tmp_path, broker) as room:
        await room.up()
        record = await room.call("limit_order", "IBM", "12.50", 100, ORDER)
        with slow_disk(room.journal) as go:
            changed = caught(room.call("modify_order", record["id"], {"limit_price": "12.60"}))
            await room.until(lambda: status_of(room, record["id"]) == "PendingReplace")
            cancelled = caught(room.call("cancel_order", record["id"]))
            go.set()
            await room.until(lambda: changed)
        assert (changed[0]["status"], changed[0]["price"]) == ("PendingCancel", Decimal("12.5"))
        broker.release()
        await room.until(lambda: cancelled)
        await room.until(lambda: status_of(room, record["id"]) == "Canceled")
        assert "replace" not in sent(room)


@pytest_twisted.ensureDeferred
async def test_a_refused_change_is_an_error_that_carries_the_order(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        record = await room.call("limit_order", "IBM", "12.50", 100, ORDER)
        room.adapter.replace = lambda order, by: room.link.cancel_rejected(  # type: ignore[method-assign]
            CancelRejected(mode="memory", request="replace", code=201, message="too far", order_ref=order.id)
        )
        with pytest.raises(BrokerRejected) as error:
            await room.call("modify_order", record["id"], {"limit_price": "12.60"})
        assert error.value.order is not None
        assert (error.value.order["status"], error.value.order["price"]) == ("New", Decimal("12.5"))


@pytest_twisted.ensureDeferred
async def test_only_what_the_gateway_made_is_changed(tmp_path: Path) -> None:
    """A change sends all terms again: of a stranger's order they are not all known."""
    async with open_room(tmp_path) as room:
        await room.up()
        room.broker.place_external("IBM", Side.BUY, 10, limit_price="11", account="DU1")
        await room.until(lambda: room.gateway.blotter.orders)
        (order_id,) = room.gateway.blotter.orders
        with pytest.raises(InvalidArgument) as error:
            await room.call("modify_order", order_id, {"limit_price": "11.5"})
        assert error.value.reason == "unsupported"
        mine = await room.call("limit_order", "IBM", "12.50", 100, ORDER)
        with pytest.raises(InvalidArgument) as error:
            await room.call("modify_order", mine["id"], {"tif": "FOK"})
        assert (error.value.path, error.value.reason) == ("tif", "unsupported")


@pytest_twisted.ensureDeferred
async def test_a_key_is_bound_to_what_was_asked_and_not_to_how_it_was_written(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        base = {"symbol": "IBM", "side": "BUY", "quantity": 10, "type": "Limit", "limit_price": "12.50", **ORDER}
        first = await room.call("submit_order", {**base, "client_order_id": "k"})
        for same in (
            {"stage": False, "what_if": False, "extended_hours": False, "tif": "day", "force": True},
            {"quantity": "10.0", "limit_price": Decimal("12.5"), "symbol": "ibm"},
        ):
            again = await room.call("submit_order", {**base, **same, "client_order_id": "k"})
            assert (again["id"], again["duplicate"]) == (first["id"], True)
        for other in ({"stage": True, "tag": "t"}, {"tif": "GTC"}, {"quantity": 11}, {"tag": "t"}):
            with pytest.raises(IdempotencyKeyReuse):
                await room.call("submit_order", {**base, **other, "client_order_id": "k"})
        elsewhere = await room.call("submit_order", {**base, "account": "DU2", "client_order_id": "k"})
        assert elsewhere["id"] != first["id"], "the key is of the user and the account"
        assert sent(room).count("submit") == 2


@pytest_twisted.ensureDeferred
async def test_the_current_account_is_the_sessions_own(tmp_path: Path) -> None:
    """H11: nothing of it is process-wide."""
    async with open_room(tmp_path) as room:
        await room.up()
        other = room.session(room.alice.user)
        assert await room.call("set_account", "DU2", session=other)
        assert (await room.call("market_order", "IBM", 1, session=other))["account"] == "DU2"
        with pytest.raises(InvalidArgument) as error:
            await room.call("market_order", "IBM", 1)
        assert error.value.reason == "account-required"


@pytest_twisted.ensureDeferred
async def test_no_order_is_made_while_the_broker_has_given_no_ids(tmp_path: Path) -> None:
    """H07: gated until the next id is known; the key stays free."""
    async with open_room(tmp_path) as room:
        await room.up()

        def no_ids() -> Any:
            raise NotReady("the next order id is not known")

        real, room.adapter.reserve = room.adapter.reserve, no_ids  # type: ignore[method-assign]
        terms = {**ORDER, "client_order_id": "k"}
        with pytest.raises(NotReady):
            await room.call("limit_order", "IBM", "12.50", 100, terms)
        assert not room.gateway.blotter.orders
        room.adapter.reserve = real  # type: ignore[method-assign]
        assert (await room.call("limit_order", "IBM", "12.50", 100, terms))["duplicate"] is False


# --- restarts --------------------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_a_restart_finds_cancels_and_changes_as_the_broker_has_them(tmp_path: Path) -> None:
    """G3 G6: what was under way is settled by the broker's reports; nothing is sent again."""
    broker = make_broker()
    async with open_room(tmp_path, broker) as room:
        await room.up()
        ids = [(await room.call("limit_order", "IBM", f"12.{n}0", 100, ORDER))["id"] for n in (1, 2, 3, 4)]
        broker.withheld.update({"cancel", "replace"})
        # A look at the broker's reports may already have found them as they were: no answer is no evidence.
        for order_id in ids[:2]:
            assert (await room.call("cancel_order", order_id))["status"] in ("PendingCancel", "New")
        for order_id in ids[2:]:
            changed = await room.call("modify_order", order_id, {"limit_price": "12.90"})
            assert changed["status"] == "PendingReplace" or changed["price"] < Decimal("12.5"), changed
        before = len(broker.tape)
        room.adapter.lose_link()
    broker._held = [broker._held[1], broker._held[3]]  # the first cancel and the first change are lost on the way
    broker.release()
    async with open_room(tmp_path, broker) as room:
        await room.up()
        shown = [await room.call("query_order", order_id) for order_id in ids]
        assert [(o["status"], o["price"]) for o in shown] == [
            ("New", Decimal("12.1")),
            ("Canceled", Decimal("12.2")),
            ("New", Decimal("12.3")),
            ("New", Decimal("12.9")),
        ]
        assert all(o["previous_price"] is None for o in shown)
        assert not {"submit", "cancel", "replace"} & {entry.kind for entry in broker.tape[before:]}


@pytest_twisted.ensureDeferred
async def test_cancels_of_several_callers_wait_for_the_broker_over_a_restart(tmp_path: Path) -> None:
    broker = make_broker()
    async with open_room(tmp_path, broker) as room:
        await room.up()
        one = await room.call("limit_order", "IBM", "12.10", 100, ORDER)
        two = await room.call("limit_order", "IBM", "12.20", 100, {"account": "DU2"})
        three = await room.call("limit_order", "SAP", "12.30", 100, ORDER)
        room.adapter.lose_link()
        assert (await room.call("cancel_all_for_account", "DU2"))["ids"] == [two["id"]]
        assert (await room.call("cancel_all_for_symbol", "IBM", "DU1"))["ids"] == [one["id"]]
    async with open_room(tmp_path, broker) as room:
        for record in (one, two):
            await room.until(lambda record=record: status_of(room, record["id"]) == "Canceled")
        assert status_of(room, three["id"]) == "New"
    count = len(broker.tape)
    async with open_room(tmp_path, broker) as room:
        await room.up()
        assert len(broker.tape) == count, "they are sent at one return only"


@pytest_twisted.ensureDeferred
async def test_cancels_that_waited_go_although_the_positions_differ(
    tmp_path: Path, expected_failures: list[str]
) -> None:
    expected_failures.append("positions differ")
    async with open_room(tmp_path) as room:
        await room.up()
        record = await room.call("limit_order", "IBM", "12.10", 100, ORDER)
        room.adapter.lose_link()
        await room.call("global_cancel")
        room.broker.positions["DU1", "IBM"] = Decimal(7)
        room.adapter.restore_link()
        await room.until(lambda: status_of(room, record["id"]) == "Canceled")
        await room.until(lambda: room.link.word == "ReconcileFailed", 10)


@pytest_twisted.ensureDeferred
async def test_orders_of_a_broker_that_is_not_there_this_time_harm_nobody(tmp_path: Path) -> None:
    broker = make_broker()
    async with open_room(tmp_path, broker) as room:
        await room.up()
        old = await room.call("limit_order", "IBM", "12.10", 100, ORDER)
    other = make_broker(mode="other")
    async with open_room(tmp_path, other) as room:
        await room.up()
        assert (await room.call("query_order", old["id"]))["status"] == "New"
        assert (await room.call("global_cancel"))["ids"] == []
        with pytest.raises(BrokerUnavailable):
            await room.call("cancel_order", old["id"])
        with pytest.raises(BrokerUnavailable):
            await room.call("modify_order", old["id"], {"quantity": 5})
