"""Order truth: whatever way the reports come, the books end the same, and each fact is told once."""

import itertools
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from txtrader.gateway.blotter import Blotter
from txtrader.model.execution import CommissionReport, ExecType, Execution
from txtrader.model.instrument import Instrument, SecType
from txtrader.model.order import Order, OrderStatus, OrderType, OrderUpdate, Side

S = OrderStatus
IBM = Instrument(symbol="IBM", instrument_id="8314", mode="tws", sectype=SecType.STOCK, currency="USD")


def order(**fields: object) -> Order:
    base = {
        "id": "TX-1", "order_ref": "TX-1", "mode": "tws", "account": "DU1", "symbol": "IBM", "instrument": IBM,
        "instrument_id": "8314", "side": Side.BUY, "quantity": Decimal(100), "type": OrderType.LIMIT,
        "limit_price": Decimal("12.5"), "status": S.PENDING_NEW, "submit_time": 1, "update_time": 1,
        "broker_order_id": "7", "clientid": 0,
    }  # fmt: skip
    return Order(**{**base, **fields})  # type: ignore[arg-type]


def book(*orders: Order) -> Blotter:
    ids = itertools.count(900)
    blotter = Blotter(lambda: f"TX-{next(ids)}")
    blotter.restore(orders or (order(),), ())
    return blotter


def said(status: OrderStatus | None = None, **fields: object) -> OrderUpdate:
    return OrderUpdate(**{"mode": "tws", "order_ref": "TX-1", "permid": "900", "status": status, **fields})  # type: ignore[arg-type]


def fill(exec_id: str, shares: int, price: str = "12.5", **fields: object) -> Execution:
    base = {
        "exec_id": exec_id, "mode": "tws", "account": "DU1", "symbol": "IBM", "instrument": IBM,
        "instrument_id": "8314", "side": Side.BUY, "shares": Decimal(shares), "price": Decimal(price), "time": 5,
        "receive_time": 6, "permid": "900", "order_ref": "TX-1",
    }  # fmt: skip
    return Execution(**{**base, **fields})  # type: ignore[arg-type]


def test_an_acknowledgement_makes_it_new() -> None:
    blotter = book()
    change = blotter.apply_update(said(S.NEW, broker_status="Submitted"), 2)
    assert change.orders[0].status is S.NEW
    assert change.orders[0].permid == "900"
    assert blotter.apply_update(said(S.NEW, broker_status="Submitted"), 3).orders == ()


def test_a_late_fill_beats_the_cancel() -> None:
    blotter = book(order(status=S.PENDING_CANCEL))
    blotter.apply_update(said(S.CANCELED), 2)
    blotter.apply_execution(fill("a.01", 100), 3)
    assert blotter.orders["TX-1"].status is S.FILLED


def test_a_partial_fill_beside_a_cancel_leaves_it_cancelled_with_what_was_filled() -> None:
    blotter = book(order(status=S.NEW))
    blotter.apply_update(said(S.CANCELED), 2)
    blotter.apply_execution(fill("a.01", 40), 3)
    assert (blotter.orders["TX-1"].status, blotter.orders["TX-1"].filled) == (S.CANCELED, 40)


def test_the_same_execution_twice_is_told_once() -> None:
    blotter = book(order(status=S.NEW))
    assert blotter.apply_execution(fill("a.01", 40), 2).executions
    again = blotter.apply_execution(fill("a.01", 40), 3)
    assert not again.executions and not again.orders and not again.ledger
    assert blotter.orders["TX-1"].filled == 40


def test_a_correction_replaces_and_a_bust_takes_back() -> None:
    blotter = book(order(status=S.NEW))
    blotter.apply_execution(fill("a.01", 100), 2)
    change = blotter.apply_execution(fill("a.02", 60, "12.4", exec_type=ExecType.CORRECT, replaces="a.01"), 3)
    assert (change.orders[0].status, change.orders[0].filled) == (S.PARTIALLY_FILLED, 60)
    assert change.ledger == {("tws", "DU1", "8314"): Decimal(-40)}
    change = blotter.apply_execution(fill("a.03", 60, exec_type=ExecType.BUST, replaces="a.02"), 4)
    assert (change.orders[0].status, change.orders[0].filled, change.orders[0].avg_fill_price) == (S.NEW, 0, None)


def test_filled_then_submitted_does_not_regress() -> None:
    blotter = book(order(status=S.NEW))
    blotter.apply_update(said(S.FILLED, filled=Decimal(100)), 2)
    blotter.apply_update(said(S.NEW, filled=Decimal(0)), 3)
    assert (blotter.orders["TX-1"].status, blotter.orders["TX-1"].filled) == (S.FILLED, 100)


def test_a_fill_for_an_order_not_on_the_books_creates_it() -> None:
    blotter = book()
    change = blotter.apply_execution(fill("x.01", 10, order_ref="manual", permid="777"), 2)
    adopted = change.orders[0]
    assert (adopted.origin, adopted.filled, adopted.status) == ("external", 10, S.PARTIALLY_FILLED)
    assert change.executions[0].order_id == adopted.id
    blotter.apply_update(
        said(S.PARTIALLY_FILLED, order_ref="manual", permid="777", instrument=IBM, side=Side.BUY, account="DU1",
             quantity=Decimal(50), type=OrderType.LIMIT, limit_price=Decimal(12)),
        3,
    )  # fmt: skip
    found = blotter.orders[adopted.id]
    assert (found.quantity, found.type, found.status) == (50, OrderType.LIMIT, S.PARTIALLY_FILLED)


def test_an_execution_reopens_a_lost_order_and_says_so() -> None:
    blotter = book(order(status=S.LOST))
    change = blotter.apply_execution(fill("a.01", 40), 2)
    assert change.orders[0].status is S.PARTIALLY_FILLED
    assert change.remarks


def test_a_reissued_broker_order_id_does_not_touch_the_old_order() -> None:
    blotter = book(order(status=S.NEW, permid="900"))
    change = blotter.apply_update(
        OrderUpdate(mode="tws", permid="901", broker_order_id="7", clientid=0, status=S.CANCELED), 2
    )
    assert not change.orders and change.remarks
    assert blotter.orders["TX-1"].status is S.NEW


def test_a_commission_that_comes_first_waits_for_its_execution() -> None:
    blotter = book(order(status=S.NEW))
    report = CommissionReport(exec_id="a.01", mode="tws", commission=Decimal("1.5"), currency="USD")
    assert not blotter.apply_commission(report, 2).executions
    change = blotter.apply_execution(fill("a.01", 100), 3)
    assert change.executions[0].commission == Decimal("1.5")
    assert change.orders[0].commission == Decimal("1.5")
    assert not blotter.apply_commission(report, 4).executions


def test_an_unconfirmed_replace_is_not_assumed() -> None:
    blotter = book(order(status=S.NEW))
    pending = blotter.begin_replace(blotter.orders["TX-1"], {"limit_price": Decimal("13")}, 2)
    assert (pending.limit_price, pending.previous_price) == (Decimal(13), Decimal("12.5"))
    blotter.apply_update(said(S.NEW, limit_price=Decimal("12.5")), 3)
    assert blotter.orders["TX-1"].status is S.PENDING_REPLACE
    blotter.apply_execution(fill("a.01", 100, "12.5"), 4)
    done = blotter.orders["TX-1"]
    assert (done.status, done.limit_price, done.pending_changes) == (S.FILLED, Decimal("12.5"), None)


def test_a_confirmed_replace_has_the_new_terms_also_after_a_reload() -> None:
    blotter = book(order(status=S.NEW))
    pending = blotter.begin_replace(blotter.orders["TX-1"], {"limit_price": Decimal(13), "quantity": Decimal(90)}, 2)
    reloaded = book(msgspec.json.decode(msgspec.json.encode(pending), type=Order))
    for books in (blotter, reloaded):
        books.apply_update(said(S.NEW, limit_price=Decimal("13.0"), quantity=Decimal("90")), 3)
        done = books.orders["TX-1"]
        assert (done.status, done.limit_price, done.quantity, done.pending_changes) == (S.NEW, 13, 90, None)
    refused = book(msgspec.json.decode(msgspec.json.encode(pending), type=Order))
    back = refused.end_request(refused.orders["TX-1"], 3)
    assert (back.status, back.limit_price, back.quantity) == (S.NEW, Decimal("12.5"), 100)


def test_a_snapshot_asked_for_before_the_cancel_does_not_reopen_the_order() -> None:
    blotter = book(order(status=S.NEW))
    blotter.apply_update(said(S.CANCELED), 10)
    blotter.apply_update(said(S.NEW, is_snapshot=True), 11, asked_at=9)
    assert blotter.orders["TX-1"].status is S.CANCELED
    blotter.apply_update(said(S.NEW, is_snapshot=True), 13, asked_at=12)
    assert blotter.orders["TX-1"].status is S.NEW


REPORTS = (
    said(S.NEW, broker_status="Submitted"),
    said(S.PARTIALLY_FILLED, filled=Decimal(40), avg_fill_price=Decimal("12.5")),
    said(S.FILLED, filled=Decimal(100), avg_fill_price=Decimal("12.48")),
    fill("a.01", 40, "12.5"),
    fill("b.01", 70, "12.4"),
    fill("b.02", 60, "12.4", exec_type=ExecType.CORRECT, replaces="b.01"),
    CommissionReport(exec_id="a.01", mode="tws", commission=Decimal(1), currency="USD"),
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(REPORTS), max_size=6), st.permutations(REPORTS))
def test_any_sequence_of_reports_with_repeats_ends_the_same(repeats: list[object], sequence: list[object]) -> None:
    blotter = book()
    ledger = Decimal(0)
    told: list[str] = []
    for now, report in enumerate([*sequence, *repeats], start=2):
        if isinstance(report, Execution):
            change = blotter.apply_execution(report, now)
        elif isinstance(report, CommissionReport):
            change = blotter.apply_commission(report, now)
        else:
            assert isinstance(report, OrderUpdate)
            change = blotter.apply_update(report, now)
        ledger += sum(change.ledger.values(), Decimal(0))
        told += [e.exec_id for e in change.executions if e.commission is None or e.exec_id not in told]
    done = blotter.orders["TX-1"]
    assert (done.status, done.filled, done.avg_fill_price) == (S.FILLED, 100, Decimal("12.44"))
    assert ledger == 100
    assert sorted(set(told)) == ["a.01", "b.01", "b.02"]
    assert sum(e.shares for e in blotter.executions_of("TX-1")) == 100


@pytest.mark.parametrize("status", [S.PENDING_NEW, S.UNKNOWN])
@pytest.mark.parametrize("word", [S.NEW, S.FILLED, S.CANCELED, S.REJECTED, S.EXPIRED])
def test_any_evidence_settles_what_is_pending_or_unknown(status: OrderStatus, word: OrderStatus) -> None:
    blotter = book(order(status=status))
    blotter.apply_update(said(word), 2)
    assert blotter.orders["TX-1"].status is word


def test_a_correction_of_what_was_never_heard_of_opens_a_filled_order_again() -> None:
    blotter = book(order(status=S.NEW))
    # The correction comes first, as after a link that broke between the two: it has nothing to take back yet.
    blotter.apply_update(said(S.FILLED, filled=Decimal(100)), 2)
    blotter.apply_execution(fill("a.02", 80, exec_type=ExecType.CORRECT, replaces="a.01"), 3)
    assert blotter.orders["TX-1"].filled == 100
    working = said(S.PARTIALLY_FILLED, filled=Decimal(80), is_snapshot=True)
    blotter.apply_update(working, 5, asked_at=2)  # asked before the last change: it proves nothing
    assert blotter.orders["TX-1"].status is S.FILLED
    blotter.apply_update(working, 6, asked_at=5)
    assert (blotter.orders["TX-1"].status, blotter.orders["TX-1"].filled) == (S.PARTIALLY_FILLED, 80)


def test_two_brokers_may_call_their_executions_the_same() -> None:
    theirs = order(id="TX-2", order_ref="TX-2", mode="fix", account="F1", permid="800")
    blotter = book(order(status=S.NEW), theirs)
    foreign = {"mode": "fix", "account": "F1", "permid": "800", "order_ref": "TX-2"}
    blotter.apply_execution(fill("1", 40), 2)
    blotter.apply_execution(fill("1", 30, **foreign), 3)
    assert (blotter.orders["TX-1"].filled, blotter.orders["TX-2"].filled) == (40, 30)
    for _ in range(2):  # each is known again by its own name
        assert blotter.apply_execution(fill("1", 40), 4).executions == ()
        assert blotter.apply_execution(fill("1", 30, **foreign), 5).executions == ()
    blotter.apply_commission(CommissionReport(exec_id="1", mode="fix", commission=Decimal(2), currency="EUR"), 6)
    assert blotter.executions["1"].commission is None and blotter.executions["1@fix"].commission == 2
    blotter.apply_execution(fill("2", 0, exec_type=ExecType.BUST, replaces="1", **foreign), 7)
    assert (blotter.orders["TX-1"].filled, blotter.orders["TX-2"].filled) == (40, 0)
