"""FIX words and ours: what is written is read back, in each version; what each report says of an order."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtrader.dialects.fix_reports import (
    Contract,
    contract_of,
    exec_type_of,
    instrument_to_wire,
    position_of,
    report_of,
    status_of,
)
from txtrader.model.execution import ExecType
from txtrader.model.instrument import SecType
from txtrader.model.order import OrderStatus, TimeInForce
from txtrader.wire.fix.message import Message

S = OrderStatus
BASE = {
    37: "V1",
    11: "TX-A-000001",
    17: "E1",
    150: "0",
    39: "0",
    54: "1",
    38: "100",
    40: "2",
    44: "99",
    14: "0",
    151: "100",
}


def report(**tags: str | None) -> Message:
    fields = {**BASE, **{int(name[1:]): value for name, value in tags.items()}}
    message = Message("8")
    for tag, value in fields.items():
        message.add(tag, value)
    return message


days = st.dates().map(lambda day: day.strftime("%Y%m%d")).filter(lambda text: len(text) == 8)
contracts = st.one_of(
    st.builds(Contract, symbol=st.sampled_from(["IBM", "BRK B"]), sectype=st.just(SecType.STOCK)),
    st.builds(Contract, symbol=st.just("ES"), sectype=st.just(SecType.FUTURE), expiry=days, exchange=st.just("CME")),
    st.builds(
        Contract,
        symbol=st.just("SPY"),
        sectype=st.just(SecType.OPTION),
        expiry=days,
        strike=st.decimals(min_value=1, max_value=9999, places=2).map(lambda number: number.normalize()),
        right=st.sampled_from("CP"),
    ),
)


@given(contracts, st.sampled_from(["4.2", "4.4", "5.0"]))
def test_an_instrument_that_is_written_is_read_back(contract: Contract, version: str):
    assert contract_of(Message("D", instrument_to_wire(contract, version))) == contract


def test_the_month_of_a_contract_is_not_always_that_of_its_last_day():
    oil = Contract(symbol="CL", sectype=SecType.FUTURE, expiry="20261221", month="202701")
    assert contract_of(Message("D", instrument_to_wire(oil, "4.4"))) == oil
    assert (200, "202701") in instrument_to_wire(oil, "4.4")
    assert oil.id == "CL.FUT.20261221-202701"
    assert instrument_to_wire(oil, "4.2")[-2:] == [(200, "202612"), (205, "21")], "4.2 has the day alone"


@given(contracts, contracts)
def test_two_instruments_of_one_name_are_one(one: Contract, other: Contract):
    assert (one.id == other.id) == (
        (one.symbol, one.sectype, one.expiry, one.strike, one.right)
        == (other.symbol, other.sectype, other.expiry, other.strike, other.right)
    )


@pytest.mark.parametrize(
    ("tags", "event", "kind"),
    [
        ({"t20": "0", "t150": "1", "t39": "1", "t32": "10"}, "F", ExecType.NEW),
        ({"t20": "0", "t150": "2", "t39": "2", "t32": "10"}, "F", ExecType.NEW),
        ({"t20": "1", "t150": "1", "t39": "1", "t32": "10", "t19": "E0"}, "H", ExecType.BUST),
        ({"t20": "2", "t150": "2", "t39": "2", "t32": "10", "t19": "E0"}, "G", ExecType.CORRECT),
        ({"t20": "3", "t150": "1", "t39": "1", "t32": "10"}, "I", None),
        ({"t150": "F", "t39": "1", "t32": "10"}, "F", ExecType.NEW),
        ({"t150": "F", "t39": "1", "t32": "0"}, "F", None),
        ({"t150": "1", "t39": "1"}, "1", None),
        ({"t150": "I", "t39": "1", "t32": "10"}, "I", None),
        ({"t150": "D", "t39": "1"}, "D", None),
    ],
)
def test_only_what_trades_is_an_execution(tags: dict[str, str], event: str, kind: ExecType | None):
    told = report_of(report(**tags))
    if tags.get("t32") == "0":
        assert not told.shares
        return
    assert (told.event, exec_type_of(told)) == (event, kind)


@pytest.mark.parametrize(
    ("word", "done", "tif", "status"),
    [
        ("0", "0", None, S.NEW),
        ("0", "10", None, S.PARTIALLY_FILLED),
        ("1", "10", None, S.PARTIALLY_FILLED),
        ("2", "100", None, S.FILLED),
        ("3", "0", TimeInForce.DAY, S.EXPIRED),
        ("3", "10", TimeInForce.GTC, None),
        ("4", "10", None, S.CANCELED),
        ("5", "0", None, S.NEW),
        ("5", "10", None, S.PARTIALLY_FILLED),
        ("6", "0", None, S.PENDING_CANCEL),
        ("7", "0", None, S.NEW),
        ("8", "0", None, S.REJECTED),
        ("9", "10", None, S.PARTIALLY_FILLED),
        ("A", "0", None, S.PENDING_NEW),
        ("B", "100", TimeInForce.DAY, S.FILLED),
        ("C", "0", None, S.EXPIRED),
        ("D", "0", None, S.PENDING_NEW),
        ("E", "0", None, None),
        ("Z", "0", None, None),
    ],
)
def test_each_status_has_a_word_of_ours(word: str, done: str, tif: TimeInForce | None, status: OrderStatus | None):
    rest = str(100 - int(done))
    assert status_of(report_of(report(t39=word, t14=done, t151=rest)), tif) is status


def test_a_status_that_nobody_knows_is_no_end():
    assert status_of(report_of(report(t150="Z", t39="Z")), TimeInForce.DAY) is None


@pytest.mark.parametrize("broken", [{"t150": None}, {"t39": None}, {"t14": "NaN"}, {"t38": "many"}, {"t911": "x"}])
def test_a_report_that_cannot_be_read_says_so(broken: dict[str, str | None]):
    with pytest.raises(ValueError):
        report_of(report(**broken))


def test_ids_that_say_none_are_none():
    told = report_of(report(t37="NONE", t17="0", t41=""))
    assert (told.order_id, told.exec_id, told.orig_cl_ord_id) == (None, None, None)


def test_a_commission_by_the_unit_is_multiplied_and_one_in_percent_is_left():
    assert report_of(report(t150="F", t32="30", t12="0.01", t13="1")).commission == Decimal("0.30")
    assert report_of(report(t150="F", t32="30", t12="0.01", t13="2")).commission is None
    assert report_of(report(t150="F", t32="30", t12="2.5")).commission == Decimal("2.5")


@pytest.mark.parametrize(
    ("entries", "quantity"),
    [
        ([("TOT", "100", "0"), ("SOD", "60", "0")], 100),
        ([("SOD", "60", "0"), ("TQ", "0", "100")], -40),
        ([("FIN", "10", "0"), ("SOD", "60", "0")], 10),
        ([], 0),
    ],
)
def test_a_total_counts_before_its_parts(entries: list[tuple[str, str, str]], quantity: int):
    rows = [Message("AP", [(703, kind), (704, long), (705, short)]) for kind, long, short in entries]
    assert position_of(Message("AP"), rows) == quantity
