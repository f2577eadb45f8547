"""What is special about trading over FIX: numbers and resends, chains of ClOrdIDs, rejects of three kinds."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from adapter_harness import OrderDesk, query
from fix_harness import FixHarness
from fix_run import on_fix, on_script

from txtrader.adapters.fix_chain import cl_ord_id_of, gateway_id
from txtrader.adapters.fix_instruments import _contract_again
from txtrader.dialects.fix_reports import instrument_to_wire
from txtrader.errors import BrokerUnavailable, InvalidArgument
from txtrader.exsim.endpoints.fix import FixOptions as EndpointOptions
from txtrader.exsim.endpoints.fix.data import contract_of
from txtrader.gateway.adapter import BrokerNotice, LinkState, LinkStatus
from txtrader.model.execution import ExecType, Execution
from txtrader.model.instrument import SecType
from txtrader.model.market import Quote
from txtrader.model.order import CancelRejected, Order, OrderRequest, OrderStatus, OrderType, OrderUpdate
from txtrader.model.symbols import canonical_symbol
from txtrader.wire.fix.message import Message

S = OrderStatus


def request_of(order: Order, **changes: Any) -> OrderRequest:
    terms = {
        name: getattr(order, name) for name in ("instrument", "side", "quantity", "type", "limit_price", "account")
    }
    return OrderRequest(**{**terms, **changes})


async def desk_of(harness: FixHarness) -> OrderDesk:
    (instrument, *_) = await harness.adapter.resolve(query(harness.symbol))
    return OrderDesk(harness, instrument)


async def working(harness: FixHarness, desk: OrderDesk, **terms: Any) -> Order:
    order = desk.submit(limit="99.00", **terms)
    await harness.sink.until(OrderUpdate, lambda u: u.order_ref == order.id and u.status is S.NEW)
    return order


async def again(harness: FixHarness, *, orders: tuple[Order, ...] = ()) -> None:
    """Let another process take the adapter's place, with the same state folder."""
    await harness.adapter.stop()
    harness.sink.facts.clear()
    harness.adapter = harness.make_adapter(harness.options)
    harness.adapter.restore(orders)
    harness.adapter.start()
    await harness.sink.until_state(LinkState.CONNECTED)


def notices(harness: FixHarness, severity: str) -> list[str]:
    return [notice.message for notice in harness.sink.of(BrokerNotice) if notice.severity == severity]


# -- numbers and resends


@on_fix
async def test_what_happened_while_no_process_was_there_comes_by_resend_once(harness):
    desk = await desk_of(harness)
    order = await working(harness, desk)
    await harness.adapter.stop()
    await harness.fill(order.id, 40, "99.00")
    await harness.fill(order.id, 60, "99.00")
    harness.sink.facts.clear()
    harness.adapter = harness.make_adapter(harness.options)
    harness.adapter.restore([order])
    harness.adapter.start()
    await harness.sink.until_state(LinkState.CONNECTED)
    states = [fact for fact in harness.sink.facts if isinstance(fact, LinkStatus | Execution)]
    connected = [getattr(fact, "state", None) for fact in states].index(LinkState.CONNECTED)
    told = [fact.shares for fact in states[:connected] if isinstance(fact, Execution)]
    assert told == [Decimal(40), Decimal(60)], "before anything may trade"
    snapshot = await harness.adapter.snapshot()
    assert [execution.shares for execution in snapshot.executions] == [Decimal(40), Decimal(60)]
    assert len(harness.sink.of(Execution)) == 2


@on_fix
async def test_a_report_that_a_kill_swallowed_is_in_the_next_snapshot(harness):
    """Its number counts, so that the broker will not tell it again; the file of the session has it."""
    desk = await desk_of(harness)
    order = await working(harness, desk)
    await harness.fill(order.id, 100, "99.00")
    await harness.sink.until(Execution)
    await again(harness, orders=(order,))
    assert harness.sink.of(Execution) == [], "it is no news from the wire"
    snapshot = await harness.adapter.snapshot()
    assert [(e.shares, e.order_ref) for e in snapshot.executions] == [(Decimal(100), order.id)]


@on_fix
async def test_an_execution_of_a_forgotten_order_is_not_told_again(harness):
    desk = await desk_of(harness)
    order = await working(harness, desk)
    await harness.fill(order.id, 100, "99.00")
    await harness.sink.until(Execution)
    await harness.adapter.stop()
    later = 3600 * 1_000_000_000
    harness.adapter = harness.make_adapter(harness.options)
    harness.adapter.reports._now_ns = lambda: harness.venue.now_ns() + later
    harness.adapter.start()
    await harness.sink.until_state(LinkState.CONNECTED, since=len(harness.sink.facts))
    assert (await harness.adapter.snapshot()).executions == ()


@on_fix
async def test_an_order_id_may_be_used_by_the_broker_for_another_order_on_another_day(harness):
    desk = await desk_of(harness)
    first, second = await working(harness, desk), await working(harness, desk)
    for order in (first, second):
        await harness.fill(order.id, 100, "99.00")
    await harness.sink.until(Execution, lambda execution: execution.order_ref == second.id)
    ids = [execution.exec_id for execution in harness.sink.of(Execution)]
    assert [exec_id.startswith(f"{order.id}.") for exec_id, order in zip(ids, (first, second), strict=True)] == [
        True
    ] * 2


@on_fix
async def test_a_report_told_twice_under_new_numbers_is_told_once(harness):
    harness.endpoint.duplicate("8")
    desk = await desk_of(harness)
    order = await working(harness, desk)
    await harness.fill(order.id, 100, "99.00")
    await harness.sink.until(Execution)
    await harness.adapter.broker_time()
    assert len(harness.sink.of(Execution)) == 1


@on_fix
async def test_a_gap_in_the_brokers_numbers_is_closed_before_anything_is_believed(harness):
    desk = await desk_of(harness)
    order = await working(harness, desk)
    harness.endpoint.garble(1)  # the fill's number is used, and the fill is not there
    await harness.fill(order.id, 100, "99.00")
    snapshot = await harness.adapter.snapshot()
    assert [execution.shares for execution in snapshot.executions] == [Decimal(100)]


@on_fix(timeout_snapshot=0.3)
async def test_a_gap_that_is_not_closed_ends_the_connection_and_the_next_one_closes_it(harness):
    desk = await desk_of(harness)
    order = await working(harness, desk)
    harness.endpoint.garble(2)  # the fill, and its repetition
    mark = harness.sink.mark()
    await harness.fill(order.id, 100, "99.00")
    with pytest.raises(BrokerUnavailable):
        await harness.adapter.snapshot()
    await harness.sink.until_state(LinkState.DISCONNECTED, since=mark)
    await harness.sink.until_state(LinkState.CONNECTED, since=mark)
    assert [execution.shares for execution in (await harness.adapter.snapshot()).executions] == [Decimal(100)]


@on_fix
async def test_orders_that_the_broker_asks_for_again_are_stepped_over(harness):
    """G3: an order that may have left is not sent again, not even as a repeat."""
    desk = await desk_of(harness)
    order = await working(harness, desk)
    harness.endpoint.demand_resend(1)
    await harness.adapter.broker_time()
    assert len(harness.venue.live_orders(account=harness.account)) == 1
    frames = spied(harness)
    harness.endpoint.demand_resend(1)
    await harness.adapter.broker_time()
    assert [frame[35] for frame in frames if 43 in frame] == ["4"], "one gap fill over all of it"
    assert order.id not in [frame.get(11) for frame in frames]


@on_fix(resend=60.0)
async def test_by_a_setting_fresh_orders_are_repeated_as_such(harness):
    desk = await desk_of(harness)
    order = await working(harness, desk)
    frames = spied(harness)
    harness.endpoint.demand_resend(1)
    await harness.adapter.broker_time()
    (repeat,) = [frame for frame in frames if frame[35] == "D"]
    assert (repeat[11], repeat[43]) == (order.id, "Y")
    assert len(harness.venue.live_orders(account=harness.account)) == 1


@on_fix(resend=0.001)
async def test_stale_orders_are_stepped_over_even_then(harness):
    desk = await desk_of(harness)
    await working(harness, desk)
    clock = harness.adapter._connection.session._now_ns
    harness.adapter._connection.session._now_ns = lambda: clock() + 5_000_000_000
    frames = spied(harness)
    harness.endpoint.demand_resend(1)
    await harness.adapter.broker_time()
    assert "D" not in [frame[35] for frame in frames]


def spied(harness: FixHarness) -> list[dict[int, str]]:
    """Keep the fields of what the adapter sends from now on."""
    frames: list[dict[int, str]] = []

    def spy(data: bytes) -> bytes:
        parts = [part.partition(b"=") for part in data.split(b"\x01") if part]
        frames.append({int(tag): value.decode() for tag, _, value in parts})
        return data

    harness.adapter._connection.session.spoil = spy
    return frames


@on_fix
async def test_numbers_that_the_broker_uses_again_end_the_session_and_are_an_alarm(harness):
    mark = harness.sink.mark()
    harness.endpoint.repeat_numbers(2)
    with pytest.raises(BrokerUnavailable):
        await harness.adapter.broker_time()
    await harness.sink.until_state(LinkState.DISCONNECTED, since=mark)
    (text,) = notices(harness, "error")
    assert "too low" in text and "TXTRADER_FIX_RESET" in text


@on_fix
async def test_a_lost_state_folder_is_an_alarm_and_nothing_is_reset_by_itself(harness):
    await harness.adapter.stop()
    (path,) = Path(harness.options.folder).iterdir()
    path.unlink()
    mark = harness.sink.mark()
    harness.adapter = harness.make_adapter(harness.options)
    harness.adapter.start()
    status = await harness.sink.until_state(LinkState.DISCONNECTED, since=mark)
    assert "too low" in status.reason
    assert "too low" in notices(harness, "error")[0]
    harness.adapter.stop()
    harness.adapter = harness.make_adapter(msgspec.structs.replace(harness.options, resets=True))
    harness.adapter.start()
    await harness.sink.until_state(LinkState.CONNECTED, since=mark)


@on_fix
async def test_the_brokers_new_day_begins_with_number_1(harness):
    """Nobody says so in a Logon: both sides know the time."""
    await harness.adapter.stop()
    day = 86_400_000_000_000
    midnight = harness.venue.now_ns() // day * day
    (path,) = Path(harness.options.folder).iterdir()
    begins = harness.venue.now_ns() - 60_000_000_000  # a minute ago
    minutes = (begins - midnight) // 60_000_000_000 % 1440
    reset_time = f"{minutes // 60:02d}:{minutes % 60:02d}"
    for used, is_reset in ((begins + 59_000_000_000, False), (begins - 3600_000_000_000, True)):
        os.utime(path, ns=(used, used))
        harness.adapter = harness.make_adapter(msgspec.structs.replace(harness.options, reset_time=reset_time))
        harness.adapter._begin_day()
        assert (harness.adapter._store.next_number == 1) is is_reset
        await harness.adapter.stop()


@on_fix(starts=False, password="wrong")
async def test_a_refused_logon_is_said_and_not_repeated_at_once(harness):
    harness.endpoint.options = EndpointOptions(targets={"FIX.4.4": {"GATEWAY": "right"}})
    harness.adapter.start()
    status = await harness.sink.until_state(LinkState.DISCONNECTED)
    assert status.login == "refused: wrong password"
    assert status.next_attempt - status.since >= 0.19e9, "the longest wait there is"


# -- orders


@on_fix
async def test_an_order_without_an_answer_is_settled_by_the_brokers_own_list(harness):
    desk = await desk_of(harness)
    rule = harness.endpoint.withhold("8")
    order = desk.submit(limit="99.00")
    await harness.adapter.broker_time()
    assert [update for update in harness.sink.of(OrderUpdate) if update.order_ref == order.id] == []
    rule.remove()
    snapshot = await harness.adapter.snapshot()
    (update,) = snapshot.open_orders
    assert (update.order_ref, update.status) == (order.id, S.NEW)


async def an_order_that_the_broker_never_had_is_in_no_part_of_the_snapshot(harness):
    desk = await desk_of(harness)
    never = desk.make(limit="99.00")
    harness.adapter.restore([never])
    there = await working(harness, desk)
    snapshot = await harness.adapter.snapshot()
    named = [update.order_ref for update in (*snapshot.open_orders, *snapshot.completed_orders)]
    assert named == [there.id]
    assert [update for update in harness.sink.of(OrderUpdate) if update.order_ref == never.id] == []


test_what_never_came_is_not_in_a_snapshot_of_42 = on_fix(version="4.2")(
    an_order_that_the_broker_never_had_is_in_no_part_of_the_snapshot
)
test_what_never_came_is_not_in_a_snapshot_of_44 = on_fix(version="4.4")(
    an_order_that_the_broker_never_had_is_in_no_part_of_the_snapshot
)
test_what_never_came_is_not_in_a_snapshot_of_50 = on_fix(version="5.0")(
    an_order_that_the_broker_never_had_is_in_no_part_of_the_snapshot
)


@on_fix(status="none")
async def test_without_questions_for_orders_nothing_proves_that_one_never_came(harness):
    desk = await desk_of(harness)
    there = await working(harness, desk)
    never = desk.make(limit="99.00")
    harness.adapter.restore([never])
    snapshot = await harness.adapter.snapshot()
    said = {update.order_ref: update.status for update in snapshot.open_orders}
    assert said == {there.id: S.NEW, never.id: None}


@on_fix
async def test_each_request_has_a_name_of_its_own_and_names_the_last_accepted_one(harness):
    desk = await desk_of(harness)
    order = await working(harness, desk)
    frames = spied(harness)
    for price in ("98.50", "98.00"):
        mark = harness.sink.mark()
        harness.adapter.replace(order, request_of(order, limit_price=Decimal(price)))
        await harness.sink.until(OrderUpdate, lambda u, wanted=price: u.limit_price == Decimal(wanted), since=mark)
    harness.adapter.cancel(order)
    await harness.sink.until(OrderUpdate, lambda u: u.order_ref == order.id and u.status is S.CANCELED)
    requests = [frame for frame in frames if frame[35] in "FG"]
    names = [frame[11] for frame in requests]
    assert [frame[41] for frame in requests] == [order.id, *names[:2]]
    assert len({order.id, *names}) == 4
    assert {gateway_id(name) for name in names} == {order.id}


@on_fix
async def test_a_cancel_that_crosses_a_replace_goes_again_under_the_new_name(harness):
    desk = await desk_of(harness)
    order = await working(harness, desk)
    rule = harness.endpoint.delay(0.1, "8")
    harness.adapter.replace(order, request_of(order, limit_price=Decimal("98.50")))
    harness.adapter.cancel(order)
    harness.adapter.cancel(order)  # may be repeated
    await harness.sink.until(OrderUpdate, lambda u: u.order_ref == order.id and u.status is S.CANCELED)
    rule.remove()
    assert harness.sink.of(CancelRejected) == []
    assert harness.venue.live_orders(account=harness.account) == []


@on_fix
async def test_after_a_restart_the_chain_goes_on_by_what_the_broker_says(harness):
    desk = await desk_of(harness)
    order = await working(harness, desk)
    harness.adapter.replace(order, request_of(order, limit_price=Decimal("98.50")))
    await harness.sink.until(OrderUpdate, lambda update: update.limit_price == Decimal("98.50"))
    await again(harness, orders=(order,))
    await harness.adapter.snapshot()
    harness.adapter.cancel(order)
    await harness.sink.until(OrderUpdate, lambda u: u.order_ref == order.id and u.status is S.CANCELED)


@on_fix
async def test_what_fix_cannot_carry_never_leaves(harness):
    desk = await desk_of(harness)
    order = desk.make(type=OrderType.LIMIT_IF_TOUCHED, limit="99", stop="98")
    assert harness.adapter.submit(order) is True
    (update,) = [update for update in harness.sink.of(OrderUpdate) if update.order_ref == order.id]
    assert (update.status, update.has_left) == (S.REJECTED, False)
    odd = msgspec.structs.replace(desk.make(limit="99"), account="DU\x011")
    harness.adapter.submit(odd)
    (update,) = [update for update in harness.sink.of(OrderUpdate) if update.order_ref == odd.id]
    assert update.has_left is False
    assert harness.venue.live_orders(account=harness.account) == []


@on_fix(version="5.0")
async def test_the_last_version_has_words_for_limit_if_touched(harness):
    assert OrderType.LIMIT_IF_TOUCHED.value in harness.adapter.capabilities.order_types
    desk = await desk_of(harness)
    order = desk.make(type=OrderType.LIMIT_IF_TOUCHED, limit="99", stop="98")
    harness.adapter.submit(order)
    told = await harness.sink.until(OrderUpdate, lambda u: u.order_ref == order.id and u.status is S.NEW)
    (at_venue,) = harness.venue.live_orders(account=harness.account)
    assert (at_venue.type, at_venue.stop_price) == (OrderType.LIMIT_IF_TOUCHED, Decimal("98"))
    assert (told.limit_price, told.stop_price) == (Decimal("99"), Decimal("98"))


@on_script(sender_sub="DESK", target_sub="FLOOR", order_fields=((528, "A"), (100, "NYSE"), (59, "1")))
async def test_what_a_broker_wants_besides_is_in_each_message_and_order(harness):
    order = harness.order()
    harness.adapter.submit(order)
    (sent,) = await harness.heard("D")
    assert (sent[50], sent[57], sent[100], sent[59]) == ("DESK", "FLOOR", "NYSE", "0"), "the order's own word wins"
    harness.script.report("0", "0", t11=order.id)
    await harness.sink.until(OrderUpdate)
    harness.adapter.cancel(order)
    (cancel,) = await harness.heard("F")
    assert (cancel[50], cancel.get(100)) == ("DESK", None)


@on_fix(version="5.0", cancels_on_disconnect=True)
async def test_orders_may_ask_to_end_with_the_link(harness):
    desk = await desk_of(harness)
    order = await working(harness, desk)
    await harness.lose_link()
    await harness.sink.until_state(LinkState.DISCONNECTED)
    await harness.restore_link()
    mark = harness.sink.mark()
    await harness.sink.until_state(LinkState.CONNECTED, since=mark)
    assert [u.status for u in harness.sink.of(OrderUpdate) if u.order_ref == order.id][-1] is S.CANCELED


def test_names_of_requests_are_short_and_lead_back_to_the_order():
    name = cl_ord_id_of("TX-3LFZ25FL6-000003", 1_795_000_000_000)
    assert gateway_id(name) == "TX-3LFZ25FL6-000003"
    assert len(name) <= 29
    assert gateway_id("TX-3LFZ25FL6-000003") == "TX-3LFZ25FL6-000003"
    assert gateway_id("somebody's") is None and gateway_id(None) is None


# -- a broker with words of its own


@on_script
async def test_a_broker_may_have_tags_and_values_of_its_own(harness):
    order = harness.order()
    harness.adapter.submit(order)
    harness.script.report("0", "0", t11=order.id, t9001="ours", t1028="Y", t40="Z", t59="Q")
    update = await harness.sink.until(OrderUpdate)
    assert (update.order_ref, update.status, update.broker_type) == (order.id, S.NEW, "Z")
    await harness.adapter.broker_time()
    assert harness.script.of("3") == []


@on_script
async def test_a_report_may_leave_out_what_is_idle(harness):
    order = harness.order()
    harness.adapter.submit(order)
    harness.script.report("0", "0", t11=order.id, t37=None, t6=None, t14=None, t151=None, t54=None, t17=None)
    update = await harness.sink.until(OrderUpdate)
    assert (update.order_ref, update.status, update.permid) == (order.id, S.NEW, None)


@on_script
async def test_a_report_without_a_status_is_an_alarm_and_a_reason_to_look_again(harness):
    mark = harness.sink.mark()
    harness.script.report("0", "0", t39=None, t11="TX-TEST-000001")
    notice = await harness.sink.until(BrokerNotice, lambda notice: notice.severity == "error")
    assert "TX-TEST-000001" in notice.message
    await harness.sink.until(LinkStatus, lambda status: status.resync, since=mark)


@on_script
async def test_what_cannot_be_read_again_and_again_does_not_make_the_gateway_ask_again_and_again(harness):
    mark = harness.sink.mark()
    for _ in range(5):
        harness.script.report("0", "0", t39=None, t11="TX-TEST-000001")
    await harness.adapter.broker_time()
    assert len(notices(harness, "error")) == 5
    assert len([status for status in harness.sink.of(LinkStatus, since=mark) if status.resync]) == 1


@on_script
async def test_a_report_that_is_rejected_is_an_alarm_and_a_reason_to_look_again(harness):
    mark = harness.sink.mark()
    harness.script.report("0", "0", t38="many", t11="TX-TEST-000001")
    notice = await harness.sink.until(BrokerNotice, lambda notice: notice.severity == "error")
    assert "TX-TEST-000001" in notice.message
    status = await harness.sink.until(LinkStatus, lambda status: status.resync, since=mark)
    assert status.state is LinkState.CONNECTED
    assert [reject[371] for reject in await harness.heard("3")] == ["38"], "and the broker is told"


@on_script
async def test_a_session_reject_of_an_order_is_its_rejection(harness):
    order = harness.order()
    harness.adapter.submit(order)
    (sent,) = await harness.heard("D")
    harness.script.send(Message("3").add(45, sent[34]).add(371, "44").add(373, "5").add(58, "bad price"))
    update = await harness.sink.until(OrderUpdate)
    assert (update.order_ref, update.status, update.has_left) == (order.id, S.REJECTED, None)
    assert (update.error_code, update.error_message) == ("373=5", "bad price (tag 44)")


@on_script
async def test_a_business_reject_of_a_request_refuses_the_request_alone(harness):
    order = harness.order()
    harness.adapter.submit(order)
    harness.script.report("0", "0", t11=order.id)
    await harness.sink.until(OrderUpdate)
    harness.adapter.replace(order, request_of(order, limit_price=Decimal(98)))
    (sent,) = await harness.heard("G")
    harness.script.send(
        Message("j").add(45, sent[34]).add(372, "G").add(379, sent[11]).add(380, "4").add(58, "not now")
    )
    rejected = await harness.sink.until(CancelRejected)
    assert (rejected.request, rejected.order_ref, rejected.code) == ("replace", order.id, "380=4")
    assert harness.sink.of(OrderUpdate)[-1].status is S.NEW


@on_script
async def test_a_reject_of_nothing_that_is_known_is_told(harness):
    harness.script.send(Message("j").add(372, "D").add(380, "0").add(58, "who are you"))
    notice = await harness.sink.until(BrokerNotice, lambda notice: "who are you" in notice.message)
    assert notice.broker_code == "380=0"


@on_script
async def test_fills_without_our_id_are_found_by_the_brokers(harness):
    order = harness.order()
    harness.adapter.submit(order)
    harness.script.report("0", "0", t11=order.id)
    harness.script.report("F", "1", t14="30", t151="70", t32="30", t31="98.5")
    execution = await harness.sink.until(Execution)
    assert (execution.order_ref, execution.shares, execution.cum_qty) == (order.id, Decimal(30), Decimal(30))


@on_script
async def test_a_strangers_order_without_a_name_is_known_by_the_brokers_id_after_a_restart_too(harness):
    harness.script.report("0", "0")
    update = await harness.sink.until(OrderUpdate)
    assert (update.order_ref, update.permid, update.account) == (None, "V1", "DU1000001")
    adopted = harness.order(7, order_ref=None, permid="V1", origin="external")
    await again(harness, orders=(adopted,))
    harness.script.report("F", "1", t14="30", t151="70", t32="30", t31="99", t17="T1")
    execution = await harness.sink.until(Execution)
    assert (execution.exec_id, execution.order_ref, execution.permid) == ("V1.T1", None, "V1")
    harness.adapter.cancel(adopted)
    (cancel,) = await harness.heard("F")
    assert (cancel[37], cancel[41]) == ("V1", "NONE")
    snapshot = await harness.adapter.snapshot()
    assert [update.permid for update in snapshot.open_orders] == ["V1"], "nobody can be asked about it: it stays"
    assert harness.script.of("H") == []


@on_script
async def test_a_bust_and_a_correction_name_what_they_mend(harness):
    order = harness.order()
    harness.adapter.submit(order)
    harness.script.report("F", "2", t11=order.id, t14="100", t151="0", t32="100", t31="99", t17="T1")
    harness.script.report("G", "2", t11=order.id, t14="100", t151="0", t32="100", t31="98", t17="T2", t19="T1")
    harness.script.report("H", "0", t11=order.id, t14="0", t151="100", t17="T3", t19="T2")
    await harness.sink.until(Execution, lambda execution: execution.exec_type is ExecType.BUST)
    told = [(e.exec_type, e.exec_id, e.replaces) for e in harness.sink.of(Execution)]
    names = [f"{order.id}.T{number}" for number in (1, 2, 3)]
    assert told == [
        (ExecType.NEW, names[0], None),
        (ExecType.CORRECT, names[1], names[0]),
        (ExecType.BUST, names[2], names[1]),
    ]


@on_script
async def test_a_pending_replace_shows_no_new_terms(harness):
    order = harness.order()
    harness.adapter.submit(order)
    harness.script.report("0", "0", t11=order.id)
    harness.adapter.replace(order, request_of(order, limit_price=Decimal(98)))
    (sent,) = await harness.heard("G")
    mark = harness.sink.mark()
    harness.script.report("E", "E", t11=sent[11], t41=order.id, t44="98")
    update = await harness.sink.until(OrderUpdate, since=mark)
    assert (update.order_ref, update.limit_price, update.quantity, update.status) == (order.id, None, None, None)
    harness.adapter.cancel(order)
    (cancel,) = await harness.heard("F")
    assert cancel[41] == order.id, "the name that was accepted last"


@on_script
async def test_an_unknown_order_answered_late_is_no_rejection(harness):
    order = harness.order()
    harness.adapter.submit(order)
    harness.script.report("I", "8", t11=order.id, t37="NONE", t103="5", t790="STATUS-gone")
    await harness.adapter.broker_time()
    assert harness.sink.of(OrderUpdate) == []


@on_script
async def test_a_broker_without_a_mass_status_is_asked_for_each(harness):
    order = harness.order()
    harness.script.answers["AF"] = harness.script.refuse
    harness.script.answers["H"] = lambda _, message: harness.script.report("I", "1", t11=message[11], t14="30", t17="0")
    harness.adapter.submit(order)
    snapshot = await harness.adapter.snapshot()
    (update,) = snapshot.open_orders
    assert (update.order_ref, update.status, update.filled) == (order.id, S.PARTIALLY_FILLED, Decimal(30))
    assert "one by one" in notices(harness, "warning")[0]
    await harness.adapter.snapshot()
    assert len(harness.script.of("AF")) == 1, "it is not asked again"


@on_script(status="each")
async def test_an_answer_need_not_say_that_it_is_one(harness):
    order = harness.order()
    harness.script.answers["H"] = lambda _, message: harness.script.report("0", "0", t11=message[11])
    harness.adapter.submit(order)
    snapshot = await harness.adapter.snapshot()
    assert [(update.order_ref, update.status) for update in snapshot.open_orders] == [(order.id, S.NEW)]


@on_script
async def test_orders_that_ended_long_ago_are_forgotten_and_known_again_by_their_ids(harness):
    order = harness.order()
    harness.adapter.submit(order)
    harness.script.report("4", "4", t11=order.id)
    await harness.sink.until(OrderUpdate)
    harness.adapter.orders.forget(2**63)
    assert harness.adapter.orders.all_known() == []
    mark = harness.sink.mark()
    harness.script.report("F", "2", t11=order.id, t14="100", t151="0", t32="100", t31="99")  # it crossed the cancel
    execution = await harness.sink.until(Execution, since=mark)
    assert (execution.order_ref, execution.symbol, execution.account) == (order.id, "IBM", "DU1000001")


@on_script
async def test_a_broker_that_refuses_both_questions_is_never_taken_for_empty(harness):
    harness.script.answers["AF"] = harness.script.answers["H"] = harness.script.refuse
    harness.adapter.submit(harness.order())
    with pytest.raises(BrokerUnavailable, match="TXTRADER_FIX_STATUS"):
        await harness.adapter.snapshot()


@on_script
async def test_refused_positions_fail_the_snapshot_and_name_the_setting(harness):
    harness.script.answers["AN"] = harness.script.refuse
    with pytest.raises(BrokerUnavailable, match="TXTRADER_FIX_POSITIONS"):
        await harness.adapter.snapshot()


@on_script(positions="none")
async def test_positions_that_are_not_offered_are_said_to_be_so_once(harness):
    assert (await harness.adapter.snapshot()).positions is None
    await harness.adapter.snapshot()
    assert len([text for text in notices(harness, "warning") if "no positions" in text]) == 1
    assert harness.script.of("AN") == []


@on_script
async def test_long_and_short_reports_of_one_position_are_one(harness):
    def answer(connection, message):
        for place, (long, short) in enumerate((("100", "0"), ("0", "30"))):
            report = Message("AP").add(721, f"P{place}").add(710, message[710]).add(727, "2").add(728, "0")
            report.add(715, "20261121").add(453, "1").add(448, "x").add(447, "D").add(452, "38").add(1, "DU1000001")
            report.add(581, "1").add(55, "IBM").add(730, "1").add(731, "1").add(734, "1")
            connection.send(report.add(702, "1").add(703, "TQ").add(704, long).add(705, short))

    harness.script.answers["AN"] = answer
    (position,) = (await harness.adapter.snapshot()).positions
    assert (position.symbol, position.quantity) == ("IBM", Decimal(70))


@on_script
async def test_bars_ticks_and_costs_are_not_asked_of_fix(harness):
    for question in (harness.adapter.bars(None), harness.adapter.ticks(None), harness.adapter.what_if(None)):
        with pytest.raises(InvalidArgument) as refused:
            await question
        assert refused.value.reason == "unsupported"
    assert harness.adapter.capabilities.periods == ()


@on_fix(version="5.0")
async def test_each_instrument_of_the_venue_is_found_by_its_symbol_and_no_two_are_one(harness):
    found: dict[str, int] = {}
    for listing in harness.venue.instruments:
        if not listing.is_tradeable or listing.sectype.value not in ("STK", "FUT", "OPT") or listing.currency != "USD":
            continue
        word = canonical_symbol(
            sectype=listing.sectype,
            symbol=listing.symbol,
            instrument_id="0",
            exchange=None if listing.sectype.value == "STK" else listing.exchange,
            currency=listing.currency,
            expiry=listing.expiry or None,
            strike=listing.strike,
            right=listing.right or None,
        )
        (instrument,) = await harness.adapter.resolve(query(word))
        assert (instrument.symbol, instrument.tick) == (word, listing.tick)
        assert instrument.instrument_id not in found, f"{word} and {found[instrument.instrument_id]}"
        found[instrument.instrument_id] = listing.id
        again = _contract_again(instrument)  # as after a restart
        assert instrument_to_wire(again, "5.0") == instrument_to_wire(contract_of(listing), "5.0")
    assert len(found) > 50


@on_script(instruments="none")
async def test_the_file_says_how_the_broker_calls_a_pair(harness):
    rows = {"EUR/GBP": {"symbol": "EUR/GBP", "sectype": SecType.CASH, "tick": Decimal("0.0001")}}
    harness.adapter.instruments._symbols = rows
    (instrument,) = await harness.adapter.resolve(query("EUR/GBP"))
    assert (instrument.symbol, instrument.currency, instrument.tick) == ("EUR/GBP", "GBP", Decimal("0.0001"))
    assert (55, "EUR/GBP") in harness.adapter.instruments.fields_of(instrument, "D")


@on_script(instruments="none")
async def test_symbols_come_from_the_file_where_nobody_else_tells_them(harness):
    (instrument,) = await harness.adapter.resolve(query("ANY"))
    assert (instrument.symbol, instrument.tick) == ("ANY", Decimal("0.01"))
    assert list(await harness.adapter.resolve(query("ES:202612@CME"))) == []


@on_script
async def test_without_a_mass_cancel_each_order_is_cancelled(harness):
    harness.script.answers["q"] = harness.script.refuse
    orders = [harness.order(number) for number in (1, 2)]
    for order in orders:
        harness.adapter.submit(order)
    harness.adapter.cancel_all()
    await harness.adapter.broker_time()
    assert [message[41] for message in await harness.heard("F", 2)] == [order.id for order in orders]


@on_script
async def test_a_level_of_the_picture_that_had_no_id_is_known_when_it_changes_or_ends(harness):
    instrument = harness.order().instrument
    harness.adapter.subscribe(instrument)
    (asked,) = await harness.heard("V")

    def book(kind, *entries):
        message = Message(kind).add(262, asked[262]).add(55, instrument.symbol if kind == "W" else None)
        message.add(268, str(len(entries)))
        for entry in entries:
            for tag, value in entry.items():
                message.add(tag, value)
        harness.script.send(message)

    async def best(bid, ask):
        await harness.sink.until(Quote, lambda quote: (quote.bid, quote.ask) == (bid, ask), since=mark)

    mark = harness.sink.mark()
    book("W", {269: "0", 270: "100", 271: "5"}, {269: "1", 270: "101", 271: "5"})
    await best(Decimal(100), Decimal(101))
    mark = harness.sink.mark()
    book("X", {279: "1", 269: "0", 278: "B1", 270: "99", 271: "5"})
    await best(Decimal(99), Decimal(101))
    mark = harness.sink.mark()
    book("X", {279: "2", 269: "1", 278: "A9", 270: "105"})  # another level, which we were never told of
    book("X", {279: "2", 269: "1", 278: "A1"})
    await best(Decimal(99), None)
    assert [quote.ask for quote in harness.sink.of(Quote)[-2:]] == [Decimal(101), None]
