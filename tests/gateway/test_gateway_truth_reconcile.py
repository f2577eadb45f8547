"""Reconciliation that is raced, cut short or wrong, and what other people's accounts hear of it (G6 G10; I3 I5)."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_twisted
from desk_room import Room, make_broker, open_room, pause

from txtrader.errors import NotFound, NotReady
from txtrader.gateway.session import User
from txtrader.gateway.stream import StreamOptions
from txtrader.model.event import DURABLE_CHANNELS
from txtrader.model.order import OrderStatus, OrderUpdate, Side

ORDER = {"account": "DU1"}


def status_of(room: Room, order_id: str) -> str:
    return room.gateway.blotter.orders[order_id].status.value


@pytest_twisted.ensureDeferred
async def test_nobody_hears_of_accounts_that_are_not_his(tmp_path: Path, expected_failures: list[str]) -> None:
    """F44, H17: whatever goes wrong with DU1, who may see DU2 alone never reads its name, its ids or its positions."""
    expected_failures += ["positions differ", "did not come whole"]
    async with open_room(tmp_path) as room:
        limited = room.session(User(name="bob", role="trade", accounts=frozenset({"DU2"})))
        heard: list[Any] = []
        room.stream.subscribe(limited, StreamOptions(), lambda event, prev: heard.append((event.key, dict(event.data))))
        await room.up()
        record = await room.call("limit_order", "IBM", "12.50", 100, {**ORDER, "client_order_id": "secret"})
        theirs = await room.call("limit_order", "SAP", "12.50", 100, {"account": "DU2"})
        room.broker.fill(record["id"], 10, "12.5")
        room.broker.reject(record["id"], 201, "rejected for the margin of DU1")
        room.adapter.submit = lambda order: None  # type: ignore[method-assign]
        lost = await room.call("market_order", "IBM", 5, ORDER)
        room.adapter.lose_link()
        room.broker.positions["DU1", "IBM"] = Decimal(918273645)
        room.adapter.restore_link()
        await room.until(lambda: room.link.word == "ReconcileFailed", 10)
        await room.until(lambda: status_of(room, lost["id"]) == "Lost")
        secrets = ("DU1", "918273645", record["id"], lost["id"], "secret")
        answers = [
            heard,
            await room.call("query_status", session=limited),
            await room.call("query_reconciliation", session=limited),
            await room.call("query_orders", session=limited),
            await room.call("query_executions", session=limited),
            await room.call("query_positions", session=limited),
            await room.call("whoami", session=limited),
            *[
                (await room.call("query_events", c, room.journal.epoch, 0, None, 1000, session=limited))["events"]
                for c in DURABLE_CHANNELS
            ],
            *[room.gateway.queries.state(channel, limited.user) for channel in DURABLE_CHANNELS],
        ]
        text = json.dumps(answers, default=str)
        assert not [word for word in secrets if word in text]
        assert theirs["id"] in text
        report = await room.call("query_reconciliation")
        assert [row["broker"] for row in report["positions"]] == [918273645]
        errors = [data for data in room.told("error") if data["code"] == "reconcile-failed"]
        assert [(data["account"], data["symbol"]) for data in errors] == [("DU1", "IBM")]


@pytest_twisted.ensureDeferred
async def test_a_strangers_order_of_this_session_is_not_lost_in_it(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        made = room.broker.place_external("IBM", Side.BUY, 10, limit_price="11", account="DU1")
        await room.until(lambda: room.gateway.blotter.orders)
        (order_id,) = room.gateway.blotter.orders
        del room.broker.orders[made.permid]  # the broker's reports forget it
        await room.until(lambda: status_of(room, order_id) == "Unknown")
        await pause(0.6)
        assert status_of(room, order_id) == "Unknown"
        room.adapter.lose_link()
        room.adapter.restore_link()
        await room.until(lambda: status_of(room, order_id) == "Lost")


@pytest_twisted.ensureDeferred
async def test_a_bug_while_reports_are_applied_keeps_the_gate_shut_and_is_tried_again(
    tmp_path: Path, expected_failures: list[str]
) -> None:
    """H09: periodic work survives what it calls."""
    expected_failures.append("while reconciling")
    async with open_room(tmp_path) as room:
        await room.up()
        real = room.gateway.blotter.apply_update
        calls: list[int] = []

        def broken(*args: Any, **kwargs: Any) -> Any:
            calls.append(1)
            raise RuntimeError("a bug")

        await room.call("limit_order", "IBM", "12.50", 100, ORDER)
        room.gateway.blotter.apply_update = broken  # type: ignore[method-assign]
        room.adapter.lose_link()
        room.adapter.restore_link()
        await room.until(lambda: len(calls) >= 3)
        with pytest.raises(NotReady):
            await room.call("market_order", "IBM", 1, ORDER)
        room.gateway.blotter.apply_update = real  # type: ignore[method-assign]
        await room.up()


@pytest_twisted.ensureDeferred
async def test_reports_of_a_session_that_is_over_open_nothing(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        take = room.adapter._take_snapshot
        room.adapter._take_snapshot = lambda: msgspec.structs.replace(take(), session="memory-0")  # type: ignore[method-assign]
        room.adapter.lose_link()
        room.adapter.restore_link()
        await pause(0.3)
        assert room.link.word == "Initializing"
        room.adapter._take_snapshot = take  # type: ignore[method-assign]
        await room.up()


@pytest_twisted.ensureDeferred
async def test_fills_during_a_look_at_the_positions_do_not_shut_trading(tmp_path: Path) -> None:
    """The broker's executions run ahead of its positions while it trades: that proves no difference."""
    async with open_room(tmp_path) as room:
        await room.up()
        record = await room.call("limit_order", "IBM", "12.50", 1000, ORDER)
        take = room.adapter._take_snapshot

        def lagging() -> Any:
            old = take().positions
            if room.gateway.blotter.orders[record["id"]].filled < 1000:
                room.broker.fill(record["id"], len(words) + 1, "12.5")
                room.link.executed(next(reversed(room.broker.executions.values())))
            words.append(room.link.word)
            return msgspec.structs.replace(take(), positions=old)

        words: list[str] = []
        room.adapter._take_snapshot = lagging  # type: ignore[method-assign]
        await room.until(lambda: len(words) >= 6, 15)
        assert set(words) == {"Up"}
        room.adapter._take_snapshot = take  # type: ignore[method-assign]
        await pause(0.4)
        assert room.link.is_up
        assert (await room.call("query_reconciliation"))["positions"] == []


@pytest_twisted.ensureDeferred
async def test_a_lasting_difference_is_found_in_the_middle_of_trading(
    tmp_path: Path, expected_failures: list[str]
) -> None:
    expected_failures.append("positions differ")
    async with open_room(tmp_path) as room:
        await room.up()
        record = await room.call("limit_order", "IBM", "12.50", 1000, ORDER)
        take = room.adapter._take_snapshot

        def trading() -> Any:
            room.broker.fill(record["id"], 1, "12.5")
            room.link.executed(next(reversed(room.broker.executions.values())))
            return take()

        room.adapter._take_snapshot = trading  # type: ignore[method-assign]
        room.broker.positions["DU1", "IBM"] = Decimal(7)
        await room.until(lambda: room.link.word == "ReconcileFailed", 15)


@pytest_twisted.ensureDeferred
async def test_an_outage_ends_in_one_gap_event_although_an_admin_had_to_accept(
    tmp_path: Path, expected_failures: list[str]
) -> None:
    expected_failures.append("positions differ")
    async with open_room(tmp_path) as room:
        await room.up()
        room.adapter.lose_link()
        room.broker.positions["DU1", "IBM"] = Decimal(7)
        room.adapter.restore_link()
        await room.until(lambda: room.link.word == "ReconcileFailed", 10)
        assert not room.told("gap")
        await room.call("accept_positions", "DU1", "seen")
        await room.until(lambda: room.told("gap"))
        assert [gap["channel"] for gap in room.told("gap")] == ["order", "execution", "account"]


@pytest_twisted.ensureDeferred
async def test_positions_are_never_flat_in_between(tmp_path: Path, expected_failures: list[str]) -> None:
    """H06: the books change when the set is whole; what is old meanwhile is marked stale."""
    expected_failures.append("did not come whole")
    async with open_room(tmp_path) as room:
        await room.up()
        record = await room.call("limit_order", "IBM", "12.50", 100, ORDER)
        room.broker.fill(record["id"], 100, "12.5")
        await room.until(lambda: room.gateway.books.held("memory", "DU1"))
        room.adapter.withheld_parts.add("positions")
        room.adapter.lose_link()
        assert (await room.call("query_positions", True))["DU1"][0]["stale"] is True
        room.adapter.restore_link()
        await pause(0.3)
        assert (await room.call("query_positions"))["DU1"] == {"IBM": 100}
        assert not [p for p in room.told("position") if p["symbol"] == "IBM" and p["quantity"] == 0]


@pytest_twisted.ensureDeferred
async def test_two_corrections_during_an_outage_are_one_fill(tmp_path: Path) -> None:
    """F07, F08 (I4): the broker tells the latest version alone."""
    async with open_room(tmp_path) as room:
        await room.up()
        record = await room.call("limit_order", "IBM", "12.50", 100, ORDER)
        first = room.broker.fill(record["id"], 100, "12.5")
        await room.until(lambda: room.gateway.blotter.orders[record["id"]].filled == 100)
        room.adapter.lose_link()
        room.broker.correct(room.broker.correct(first, 90, "12.5"), 80, "12.4")
        room.adapter.restore_link()
        await room.up()
        shown = await room.call("query_order", record["id"])
        assert (shown["filled"], shown["avgfillprice"]) == (80, Decimal("12.4"))
        assert (await room.call("query_positions"))["DU1"] == {"IBM": 80}
        assert not (await room.call("query_reconciliation"))["positions"]


@pytest_twisted.ensureDeferred
async def test_an_answer_that_repeats_itself_makes_no_events(tmp_path: Path) -> None:
    """The journal does not grow while nothing happens, whatever the broker's words are."""
    broker = make_broker()
    broker.rejects = lambda order: True
    async with open_room(tmp_path, broker) as room:
        await room.up()
        with pytest.raises(Exception, match="rejected"):
            await room.call("market_order", "IBM", 5, ORDER)
        (order_id,) = room.gateway.blotter.orders
        broker.find(order_id).status = OrderStatus.CANCELED  # its lists call it so
        await pause(0.5)
        count = len(room.events)
        await pause(0.8)  # two more looks
        assert len(room.events) == count
        assert status_of(room, order_id) == "Rejected"


@pytest_twisted.ensureDeferred
async def test_a_resurfaced_order_is_live_again(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.up()
        room.adapter.submit = lambda order: None  # type: ignore[method-assign]
        record = await room.call("limit_order", "IBM", "12.50", 5, ORDER)
        await room.call("resolve_order", record["id"], "the broker's desk has no such order")
        assert status_of(room, record["id"]) == "Lost"
        room.link.order_updated(
            OrderUpdate(mode="memory", order_ref=record["id"], permid="5", status=OrderStatus.NEW, broker_status="New")
        )
        assert status_of(room, record["id"]) == "New"
        await room.until(lambda: [w for w in room.told("warning") if "lives again" in w["message"]])


@pytest_twisted.ensureDeferred
async def test_a_long_run_forgets_what_is_over_and_old(tmp_path: Path) -> None:
    async with open_room(tmp_path, retention=0.5, seconds_tick=True) as room:
        await room.up()
        old = await room.call("limit_order", "IBM", "12.50", 5, {**ORDER, "client_order_id": "k"})
        kept = await room.call("limit_order", "IBM", "12.50", 5, ORDER)
        await room.call("cancel_order", old["id"])
        del room.broker.orders[room.broker.find(old["id"]).permid]  # the broker's day is over, too
        await room.until(lambda: old["id"] not in room.gateway.blotter.orders)
        assert kept["id"] in room.gateway.blotter.orders
        assert not room.gateway._desk._keys
        with pytest.raises(NotFound):
            await room.call("query_order", old["id"])
