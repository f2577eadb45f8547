"""From a Python call to the arguments of an operation."""

from __future__ import annotations

import datetime as dt
import inspect
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtrader.client import API
from txtrader.client.calls import make_invocation
from txtrader.errors import InvalidArgument
from txtrader.model.numbers import parse_decimal
from txtrader.model.operations import OPERATIONS
from txtrader.model.order import OrderStatus


def bound(name: str, *args: Any, **keywords: Any) -> dict[str, Any]:
    return make_invocation(OPERATIONS[name], args, keywords).arguments


def test_both_ages_of_positions_are_told_apart_by_their_number() -> None:
    assert bound("market_order", "IBM", 100) == {"symbol": "IBM", "quantity": 100}
    assert bound("market_order", "DU1", "SMART", "IBM", 100) == {
        "symbol": "IBM",
        "quantity": 100,
        "account": "DU1",
        "route": "SMART",
    }
    assert bound("stoplimit_order", "DU1", None, "IBM", "12.5", "12.4", -5) == {
        "symbol": "IBM",
        "stop_price": "12.5",
        "limit_price": "12.4",
        "quantity": -5,
        "account": "DU1",
    }
    assert bound("stage_limit_order", "t1", "DU1", "NYSE", "IBM", 9.5, 10) == {
        "tag": "t1",
        "account": "DU1",
        "route": "NYSE",
        "symbol": "IBM",
        "limit_price": "9.5",
        "quantity": 10,
    }
    assert bound("stage_market_order", "t1", "IBM", 10) == {"tag": "t1", "symbol": "IBM", "quantity": 10}


def test_a_wrong_number_of_arguments_names_both_usages() -> None:
    with pytest.raises(TypeError, match=r"limit_order symbol limit_price quantity or limit_order account route"):
        bound("limit_order", "IBM", 100)
    with pytest.raises(TypeError, match="tiff"):
        bound("limit_order", "IBM", 1, 100, tiff="GTC")
    with pytest.raises(TypeError, match="account is given twice"):
        bound("market_order", "DU1", None, "IBM", 1, account="DU2")


def test_options_come_as_keywords_or_as_the_struct_at_the_end() -> None:
    assert bound("market_order", "IBM", 1, {"tif": "GTC"}) == bound("market_order", "IBM", 1, tif="GTC")


def test_an_order_is_one_mapping_or_its_fields() -> None:
    whole = {"symbol": "IBM", "side": "BUY", "quantity": Decimal("1.50"), "type": "Limit", "limit_price": 0.00001}
    rendered = {"symbol": "IBM", "side": "BUY", "quantity": "1.5", "type": "Limit", "limit_price": "0.00001"}
    assert bound("submit_order", whole) == {"order": rendered}
    assert bound("submit_order", **whole) == {"order": rendered}
    assert bound("submit_order", whole, tif="GTC", tag=None) == {"order": rendered | {"tif": "GTC"}}
    with pytest.raises(TypeError, match="twice"):
        bound("submit_order", whole, symbol="IBM")


def test_what_is_none_is_not_sent_but_where_null_means_something() -> None:
    assert bound("query_orders", None, status=None, symbol="IBM") == {"symbol": "IBM"}
    assert bound("set_order_route", None) == {"route": None}


def test_numbers_travel_as_text_of_the_grammar() -> None:
    assert bound("limit_order", "IBM", 1e-05, 100)["limit_price"] == "0.00001"
    assert bound("limit_order", "IBM", Decimal("1E+2"), 100)["limit_price"] == "100"
    assert bound("market_order", "IBM", 3_000_000_000)["quantity"] == "3000000000"
    assert bound("market_order", "IBM", 0.5)["quantity"] == "0.5"
    for number in (float("nan"), float("inf"), Decimal("NaN"), Decimal("1E+999999")):
        with pytest.raises(InvalidArgument) as caught:
            bound("limit_order", "IBM", number, 100)
        assert caught.value.path == "limit_price"


@given(st.floats(min_value=1e-9, max_value=999999999).map(lambda x: round(x, 6)).filter(bool))
def test_a_float_arrives_as_the_number_that_python_shows(number: float) -> None:
    sent = bound("limit_order", "IBM", number, 1)["limit_price"]
    assert float(parse_decimal(sent, "limit_price")) == number


def test_times_are_instants_or_local_times_of_bars() -> None:
    aware = dt.datetime(2026, 11, 20, 14, 30, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert bound("query_orders", since=aware) == {"since": "2026-11-20T12:30:00Z"}
    with pytest.raises(InvalidArgument, match="time zone"):
        bound("query_orders", since=dt.datetime(2026, 11, 20))
    bars = bound("query_bars", "IBM", "5m", dt.datetime(2026, 11, 20, 9, 30), dt.date(2026, 11, 21))
    assert (bars["start"], bars["end"]) == ("2026-11-20 09:30:00", "2026-11-21")


def test_what_cannot_be_sent_is_refused_here() -> None:
    for value in ("a\0b", "\ud800", object(), b"IBM"):
        with pytest.raises(InvalidArgument):
            bound("query_symbol", value)


def test_words_of_enumerations_are_words() -> None:
    assert type(bound("query_orders", status=OrderStatus.NEW)["status"]) is str


def test_each_operation_is_a_method_that_describes_itself() -> None:
    for name, operation in OPERATIONS.items():
        method = getattr(API, name)
        assert method.__doc__ == operation.help
        shown = inspect.signature(method)
        if name != "submit_order":
            assert list(shown.parameters)[1:] == [a.name for a in operation.parameters]
    assert str(inspect.signature(API.limit_order)).startswith(
        "(self, /, symbol, limit_price, quantity, *, account=None"
    )


def test_the_library_brings_no_reactor_and_no_command_line() -> None:
    code = "import sys, txtrader.client; print([m for m in ('twisted', 'click', 'rich', 'ibapi') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
