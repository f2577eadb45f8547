"""Calls are bound strictly: every argument has one form, and what is wrong is named."""

from decimal import Decimal
from typing import Any

import pytest

from txtrader.errors import InvalidArgument, NotFound
from txtrader.gateway.commands import KINDS, bind
from txtrader.gateway.terms import check_route
from txtrader.model.market import BarPeriod
from txtrader.model.operations import OPERATIONS
from txtrader.model.order import OrderType, Side, TimeInForce


def test_positional_named_and_options_mean_the_same() -> None:
    one = bind("limit_order", ["IBM", "12.5", 100, {"tif": "gtc", "account": "DU1"}])
    two = bind(
        "limit_order",
        named={"symbol": "ibm", "limit_price": Decimal("12.5"), "quantity": "100", "tif": "GTC", "account": "DU1"},
    )
    assert one == two
    assert (one.arguments["tif"], one.arguments["quantity"]) == (TimeInForce.GTC, 100)


def test_defaults_are_parsed_values() -> None:
    assert bind("limit_order", ["IBM", 1, 1]).arguments["tif"] is TimeInForce.DAY
    assert bind("query_bars", ["IBM", 5, ".", "."]).arguments["period"] == BarPeriod(5, "m")


@pytest.mark.parametrize(
    ("name", "positional", "named", "path"),
    [
        ("limit_order", ["IBM", "124.5x", 100], {}, "limit_price"),
        ("limit_order", ["IBM", True, 100], {}, "limit_price"),
        ("limit_order", ["IBM", 1, 1.9], {}, "quantity"),
        ("limit_order", [["IBM"], 1, 1], {}, "symbol"),
        ("limit_order", ["IBM", 1], {}, "quantity"),
        ("limit_order", ["IBM", 1, 1, {"tif": "DAYS"}], {}, "tif"),
        ("limit_order", ["IBM", 1, 1, {"nonsense": 1}], {}, "nonsense"),
        ("limit_order", ["IBM", 1, 1, {"symbol": "X"}], {}, "symbol"),
        ("limit_order", ["IBM", 1, 1, {"extended_hours": "false"}], {}, "extended_hours"),
        ("limit_order", ["IBM", 1, 1, {"client_order_id": "a b"}], {}, "client_order_id"),
        ("limit_order", ["IBM", 1, 1, {"client_order_id": "x" * 65}], {}, "client_order_id"),
        ("limit_order", ["AAPL,VOLUME=99999", 1, 1], {}, "symbol"),
        ("limit_order", ["AAPL\0", 1, 1], {}, "symbol"),
        ("limit_order", ["IBM", 1, 1, {"route": {"A": {}, "B": {}}}], {}, "route"),
        ("limit_order", ["IBM", 1, 1, {"account": "../../x"}], {}, "account"),
        ("submit_order", [{"symbol": "IBM", "side": "HOLD", "quantity": 1, "type": "Market"}], {}, "side"),
        ("submit_order", [{"symbol": "IBM", "side": "BUY", "quantity": -1, "type": "Market"}], {}, "quantity"),
        ("submit_order", [], {"symbol": "IBM", "side": "BUY", "quantity": 1}, "type"),
        ("modify_order", ["TX-1", {}], {}, "changes"),
        ("modify_order", ["TX-1", {"symbol": "X"}], {}, "symbol"),
        ("query_events", ["quote", "", 0], {}, "channel"),
        ("set_account", [5], {}, "account"),
    ],
)
def test_what_is_wrong_is_named(name: str, positional: list[Any], named: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        bind(name, positional, named)
    assert caught.value.path == path


def test_too_many_words_show_the_usage() -> None:
    with pytest.raises(InvalidArgument, match="usage: limit_order symbol limit_price quantity"):
        bind("limit_order", ["IBM", 1, 1, 1])


def test_an_unknown_operation_is_not_found() -> None:
    with pytest.raises(NotFound):
        bind("no_such")


def test_submit_order_takes_an_object_or_its_fields() -> None:
    fields = {"symbol": "IBM", "side": "buy", "quantity": 1, "type": "stoplimit", "stop_price": 1, "limit_price": 2}
    one = bind("submit_order", [dict(fields)])
    assert one == bind("submit_order", named=fields) == bind("submit_order", named={"order": fields})
    assert one.arguments["order"]["side"] is Side.BUY
    assert one.arguments["order"]["type"] is OrderType.STOP_LIMIT


def test_an_options_object_may_follow_an_object_argument() -> None:
    assert bind("modify_order", ["TX-1", {"quantity": 5}]).arguments["changes"] == {"quantity": 5}
    assert bind("set_order_route", [{"VWAP": {"rate": "0.1"}}]).arguments["route"] == {"VWAP": {"rate": "0.1"}}
    assert bind("set_order_route", [None]).arguments["route"] is None


def test_brackets_are_checked_in_depth() -> None:
    order = {"symbol": "IBM", "side": "BUY", "quantity": 1, "type": "Market"}
    with pytest.raises(InvalidArgument) as caught:
        bind("submit_order", [{**order, "bracket": {"stop_loss": {"limit_price": 1}}}])
    assert caught.value.path == "bracket.stop_loss"


def test_every_kind_that_is_declared_has_a_parser() -> None:
    for operation in OPERATIONS.values():
        for argument in operation.parameters:
            assert argument.kind in KINDS, (operation.name, argument.name)
            assert argument.doc


def test_help_names_every_argument() -> None:
    for operation in OPERATIONS.values():
        for argument in operation.parameters:
            assert argument.name in operation.help


def test_routes_are_checked_before_anything_is_kept() -> None:
    routes = {"SMART": {}, "Twap": ["startTime", "endTime"]}
    check_route("tws", routes, "Twap", {"startTime": "x"}, "NYSE")
    check_route("tws", routes, "NYSE", None, "NYSE")
    check_route("tws", {}, "ANY", None, None)
    for route, parameters, path in (
        ("NOWHERE", None, "route"),
        ("SMART", {"account": "DU2"}, "route.SMART.account"),
        ("Twap", {"side": "SELL"}, "route.Twap.side"),
    ):
        with pytest.raises(InvalidArgument) as caught:
            check_route("tws", routes, route, parameters, "NYSE")
        assert caught.value.path == path
