"""The books against reports that lie, repeat or come in pieces (H02 H03 H04; I3 I4)."""

from __future__ import annotations

from decimal import Decimal

from test_blotter import IBM, S, book, fill, order, said

from txtrader.gateway.blotter import Blotter
from txtrader.model.execution import CommissionReport, ExecType
from txtrader.model.instrument import Instrument, SecType
from txtrader.model.order import Order, OrderType, OrderUpdate, Provenance, Side, TimeInForce


def state(blotter: Blotter, order_id: str = "TX-1") -> tuple[object, Decimal, Decimal]:
    found = blotter.orders[order_id]
    return found.status, found.filled, found.quantity


def pending(blotter: Blotter, **terms: object) -> Order:
    return blotter.begin_replace(blotter.orders["TX-1"], dict(terms), 2)


# --- a replace under way: the asked terms are not the order's terms --------------------------------------------------


def test_a_fill_up_to_the_asked_smaller_quantity_is_no_end() -> None:
    blotter = book(order(status=S.NEW))
    pending(blotter, quantity=Decimal(60))
    blotter.apply_execution(fill("a.01", 60), 3)
    assert state(blotter)[:2] == (S.PENDING_REPLACE, 60), "the broker may still work 40"
    blotter.apply_update(said(S.NEW, quantity=Decimal(100), filled=Decimal(60), is_snapshot=True), 9, asked_at=8)
    assert state(blotter) == (S.PARTIALLY_FILLED, 60, 100)


def test_a_smaller_quantity_that_the_broker_calls_filled_was_taken() -> None:
    blotter = book(order(status=S.NEW))
    pending(blotter, quantity=Decimal(60))
    blotter.apply_execution(fill("a.01", 60), 3)
    blotter.apply_update(said(S.FILLED, filled=Decimal(60)), 4)
    assert state(blotter) == (S.FILLED, 60, 60)


def test_a_greater_quantity_that_was_not_taken_ends_at_the_old_one() -> None:
    blotter = book(order(status=S.NEW))
    pending(blotter, quantity=Decimal(150))
    blotter.apply_execution(fill("a.01", 100), 3)
    assert state(blotter)[:2] == (S.PENDING_REPLACE, 100)
    blotter.apply_update(said(S.FILLED, filled=Decimal(100)), 4)
    assert state(blotter) == (S.FILLED, 100, 100)


def test_a_replace_that_is_confirmed_while_a_cancel_is_under_way_holds_when_the_cancel_is_refused() -> None:
    blotter = book(order(status=S.NEW))
    pending(blotter, limit_price=Decimal(13))
    asked = blotter.change(blotter.orders["TX-1"], 3, status=S.PENDING_CANCEL, previous_status=S.NEW)
    blotter.apply_update(said(S.NEW, limit_price=Decimal(13)), 4)
    assert blotter.orders["TX-1"].status is S.PENDING_CANCEL
    back = blotter.end_request(blotter.orders[asked.id], 5)
    assert (back.status, back.limit_price, back.pending_changes) == (S.NEW, 13, None)


def test_a_cancelled_order_has_the_price_that_the_broker_confirmed() -> None:
    blotter = book(order(status=S.NEW))
    pending(blotter, limit_price=Decimal(13))
    blotter.change(blotter.orders["TX-1"], 3, status=S.PENDING_CANCEL, previous_status=S.NEW)
    blotter.apply_update(said(S.NEW, limit_price=Decimal(13)), 4)
    blotter.apply_update(said(S.CANCELED, limit_price=Decimal(13)), 5)
    assert (blotter.orders["TX-1"].status, blotter.orders["TX-1"].limit_price) == (S.CANCELED, 13)


def test_a_change_of_the_end_time_alone_is_confirmed() -> None:
    blotter = book(order(status=S.NEW, tif=TimeInForce.GTD, good_till=1_000))
    pending(blotter, good_till=2_000)
    blotter.apply_update(said(S.NEW, good_till=2_000, tif=TimeInForce.GTD), 3)
    done = blotter.orders["TX-1"]
    assert (done.status, done.good_till, done.pending_changes) == (S.NEW, 2_000, None)


def test_a_change_that_no_report_shows_does_not_stay_pending_for_ever() -> None:
    blotter = book(order(status=S.NEW, tif=TimeInForce.GTD, good_till=1_000))
    pending(blotter, good_till=2_000)
    blotter.apply_update(said(S.NEW, quantity=Decimal(100), is_snapshot=True), 9, asked_at=8)
    done = blotter.orders["TX-1"]
    assert (done.status, done.good_till) == (S.NEW, 1_000), "the new terms are not assumed"


# --- cancels ---------------------------------------------------------------------------------------------------------


def test_a_refused_cancel_of_an_order_without_evidence_does_not_make_it_work() -> None:
    blotter = book()
    asked = blotter.change(blotter.orders["TX-1"], 2, status=S.PENDING_CANCEL)
    assert blotter.end_request(asked, 3).status is S.UNKNOWN


def test_a_refused_cancel_of_a_working_order_lets_it_work_on() -> None:
    blotter = book(order(status=S.NEW, permid="900", broker_status="Submitted"))
    asked = blotter.change(blotter.orders["TX-1"], 2, status=S.PENDING_CANCEL, previous_status=S.NEW)
    assert blotter.end_request(asked, 3).status is S.NEW


def test_a_cancel_ends_on_cancel_evidence_only() -> None:
    """H03: the status that comes next is not the answer to the cancel."""
    blotter = book(order(status=S.NEW))
    blotter.change(blotter.orders["TX-1"], 2, status=S.PENDING_CANCEL, previous_status=S.NEW)
    blotter.apply_update(said(S.NEW, broker_status="Submitted"), 3)
    assert blotter.orders["TX-1"].status is S.PENDING_CANCEL
    blotter.apply_update(said(S.CANCELED), 4)
    assert blotter.orders["TX-1"].status is S.CANCELED


# --- executions ------------------------------------------------------------------------------------------------------


def test_a_bust_takes_back_its_own_shares_and_not_those_known_by_status_alone() -> None:
    blotter = book(order(status=S.NEW))
    moved = Decimal(0)
    for change in (
        blotter.apply_update(said(S.PARTIALLY_FILLED, filled=Decimal(50)), 2),  # yesterday's executions are not told
        blotter.apply_execution(fill("b.01", 20), 3),
        blotter.apply_update(said(S.PARTIALLY_FILLED, filled=Decimal(70)), 4),
        blotter.apply_execution(fill("b.02", 0, exec_type=ExecType.BUST, replaces="b.01"), 5),
    ):
        moved += sum(change.ledger.values(), Decimal(0))
    assert state(blotter)[:2] == (S.PARTIALLY_FILLED, 50)
    assert moved == 50


def test_a_fill_total_that_a_bust_has_lowered_at_the_broker_is_taken_from_a_later_snapshot() -> None:
    blotter = book(order(status=S.NEW))
    blotter.apply_execution(fill("b.02", 20, exec_type=ExecType.CORRECT, replaces="b.01"), 2)
    blotter.apply_update(said(S.PARTIALLY_FILLED, filled=Decimal(50)), 3)  # said before the correction of b.01
    change = blotter.apply_update(said(S.PARTIALLY_FILLED, filled=Decimal(20), is_snapshot=True), 9, asked_at=8)
    assert state(blotter)[1] == 20
    assert change.ledger == {("tws", "DU1", "8314"): Decimal(-30)}


def test_a_second_correction_replaces_the_first_report_when_the_one_between_was_missed() -> None:
    blotter = book(order(status=S.NEW))
    blotter.apply_execution(fill("a.01", 100), 2)
    blotter.apply_execution(fill("a.03", 80, exec_type=ExecType.CORRECT, replaces="a.02", supersedes=("a.01",)), 3)
    assert state(blotter)[:2] == (S.PARTIALLY_FILLED, 80)
    assert [e.exec_id for e in blotter.executions_of("TX-1")] == ["a.03"]
    blotter.apply_execution(fill("a.02", 90, exec_type=ExecType.CORRECT, replaces="a.01"), 4)
    assert state(blotter)[1] == 80, "the one that comes late is older"


def test_the_legs_of_a_combination_are_positions_and_no_fills_of_the_order() -> None:
    combo = Instrument(symbol="IBM-SAP", instrument_id="28812380", mode="tws", sectype=SecType.COMBO, currency="USD")
    sap = Instrument(symbol="SAP", instrument_id="77", mode="tws", sectype=SecType.STOCK, currency="USD")
    blotter = book()
    ids = {"order_ref": None, "permid": "777"}
    terms = {"instrument": combo, "account": "DU1", "side": Side.BUY, "quantity": Decimal(2), "type": OrderType.LIMIT}
    blotter.apply_update(OrderUpdate(mode="tws", permid="777", status=S.NEW, **terms), 2)  # type: ignore[arg-type]
    moves: dict[tuple[str, str, str], Decimal] = {}
    for execution in (
        fill("c.01", 2, instrument=combo, instrument_id="28812380", symbol="IBM-SAP", **ids),
        fill("d.01", 2, **ids),
        fill("e.01", 2, instrument=sap, instrument_id="77", symbol="SAP", side=Side.SELL, **ids),
    ):
        change = blotter.apply_execution(execution, 3)
        for key, delta in change.ledger.items():
            moves[key] = moves.get(key, Decimal(0)) + delta
    made = blotter.locate("tws", None, "777", None, None)
    assert made is not None
    assert (made.status, made.filled) == (S.FILLED, 2)
    assert moves == {("tws", "DU1", "8314"): Decimal(2), ("tws", "DU1", "77"): Decimal(-2)}


def test_an_execution_without_an_instrument_is_kept_all_the_same() -> None:
    blotter = book()
    change = blotter.apply_execution(fill("x.01", 5, order_ref=None, permid="5", instrument=None), 2)
    assert change.executions[0].order_id == change.orders[0].id
    assert change.orders[0].symbol == "IBM"
    assert change.ledger == {("tws", "DU1", "8314"): Decimal(5)}


def test_a_bust_of_the_only_fill_takes_its_cost_back() -> None:
    blotter = book(order(status=S.NEW))
    blotter.apply_execution(fill("a.01", 100), 2)
    blotter.apply_commission(CommissionReport(exec_id="a.01", mode="tws", commission=Decimal(1), currency="USD"), 3)
    blotter.apply_execution(fill("a.02", 0, exec_type=ExecType.BUST, replaces="a.01"), 4)
    assert blotter.orders["TX-1"].commission is None


# --- evidence --------------------------------------------------------------------------------------------------------


def test_a_live_word_on_a_lost_order_brings_it_back() -> None:
    for word, becomes in ((S.NEW, S.NEW), (S.PENDING_NEW, S.PENDING_NEW), (S.PENDING_CANCEL, S.PENDING_CANCEL)):
        blotter = book(order(status=S.LOST, provenance=Provenance.RECONCILED))
        change = blotter.apply_update(said(word), 2)
        assert blotter.orders["TX-1"].status is becomes
        assert change.remarks, "an operator hears of it"


def test_a_snapshot_that_does_not_say_when_it_was_asked_reopens_nothing() -> None:
    blotter = book(order(status=S.NEW))
    blotter.apply_update(said(S.CANCELED), 2)
    blotter.apply_update(said(S.NEW, is_snapshot=True), 3)
    assert blotter.orders["TX-1"].status is S.CANCELED


def test_a_report_repeated_at_each_reconciliation_is_remarked_once() -> None:
    blotter = book(order(status=S.REJECTED, broker_status="Inactive"))
    words = said(S.CANCELED, broker_status="Cancelled", is_snapshot=True)
    assert blotter.apply_update(words, 3, asked_at=2).remarks
    assert not blotter.apply_update(words, 5, asked_at=4).remarks
    blotter = book(order(status=S.NEW))
    blotter.apply_execution(fill("a.01", 40), 2)
    assert blotter.apply_execution(fill("a.01", 50), 3).remarks
    assert not blotter.apply_execution(fill("a.01", 50), 4).remarks


def test_another_broker_order_with_our_reference_is_not_ours() -> None:
    """H04: a copy made in the broker's own window carries the reference along."""
    blotter = book(order(status=S.NEW, permid="900", broker_order_id="7", clientid=1))
    terms = {"instrument": IBM, "side": Side.SELL, "account": "DU1", "quantity": Decimal(5), "type": OrderType.MARKET}
    blotter.apply_update(
        OrderUpdate(
            mode="tws", order_ref="TX-1", permid="901", broker_order_id="-3", clientid=0, status=S.NEW, **terms
        ),  # type: ignore[arg-type]
        2,
    )
    blotter.apply_execution(fill("q.01", 5, side=Side.SELL, permid="901", broker_order_id="-3", clientid=0), 3)
    assert state(blotter) == (S.NEW, 0, 100)
    copy = blotter.locate("tws", "TX-1", "901", 0, "-3")
    assert copy is not None
    assert (copy.origin, copy.filled, copy.side) == ("external", 5, Side.SELL)


def test_what_never_left_is_a_local_refusal_and_no_word_of_the_broker() -> None:
    blotter = book()
    change = blotter.apply_update(
        OrderUpdate(mode="tws", order_ref="TX-1", status=S.REJECTED, has_left=False, error_message="queue"), 2
    )
    assert (change.orders[0].status, change.orders[0].provenance) == (S.REJECTED, Provenance.LOCAL_DENY)


def test_old_orders_are_forgotten_with_all_their_ids_and_open_ones_never() -> None:
    blotter = book(order(status=S.NEW, client_order_id="k"), order(id="TX-2", order_ref="TX-2", broker_order_id="8"))
    blotter.apply_execution(fill("a.01", 100), 10)
    forgotten = blotter.forget(before=11)
    assert [gone.id for gone in forgotten] == ["TX-1"]
    assert set(blotter.orders) == {"TX-2"}
    assert not blotter.executions and not blotter.with_permid("900") and not blotter.with_client_id("k")
    assert blotter.locate("tws", "TX-1", "900", 0, "7") is None
