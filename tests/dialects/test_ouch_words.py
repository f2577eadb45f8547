"""OUCH words: both versions say the same with other letters, and what has no word of ours is named."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from txtrader.dialects.ouch import (
    REJECTIONS,
    OrderTerms,
    Unsupported,
    may_become,
    price_from_wire,
    price_to_wire,
    replacement_of,
    terms_of,
)
from txtrader.model.order import Side, TimeInForce
from txtrader.wire.ouch.codec import OuchMessage

COMMON = {"side": "B", "price": 1_005_000, "display": "Y", "capacity": "P", "iso": "N", "cross": "N"}


def read(version: str, tags: dict[str, Any] | None = None, **given: Any) -> OrderTerms:
    more: dict[str, Any] = {"shares": 100, "tif": 99_998, "min_qty": 0} if version == "4.2" else {}
    more = more or {"quantity": 100, "tif": "0"}
    return terms_of(OuchMessage("EnterOrder", {**COMMON, **more, **given}, tags), version)


PLAIN = OrderTerms(side=Side.BUY, quantity=100, price=Decimal("100.5"), tif=TimeInForce.DAY)
SAME: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({}, {}, {}),
    ({"side": "S"}, {"side": "S"}, {"side": Side.SELL}),
    ({"side": "T"}, {"side": "E"}, {"side": Side.SELLSHORT}),
    ({"tif": 99_999}, {"tif": "5"}, {"tif": TimeInForce.GTD}),
    ({"tif": 60}, {"tif": "6", "tags": {"expire_time": 60}}, {"tif": TimeInForce.GTD, "seconds": 60}),
    ({"tif": 0}, {"tif": "3"}, {"tif": TimeInForce.IOC}),
    ({"tif": 0, "min_qty": 100}, {"tif": "3", "tags": {"min_qty": 100}},
     {"tif": TimeInForce.FOK, "min_quantity": 100}),
    ({"min_qty": 10}, {"tags": {"min_qty": 10}}, {"min_quantity": 10, "features": ("min_quantity",)}),
    ({"display": "N"}, {"display": "N"}, {"hidden": True, "features": ("hidden",)}),
    ({"display": "P"}, {"tags": {"post_only": "P"}}, {"post_only": True, "features": ("post_only",)}),
    ({"display": "O"}, {"tags": {"handle_inst": "O"}}, {"features": ("retail",)}),
    ({"display": "I"}, {"tags": {"handle_inst": "I"}}, {"features": ("imbalance_only",)}),
    ({"cross": "O"}, {"cross": "O"}, {"tif": TimeInForce.OPG, "features": ("cross",)}),
    ({"cross": "C", "price": 0x7FFFFFFF}, {"cross": "C", "price": 2_000_000_000},
     {"tif": TimeInForce.CLS, "price": None, "features": ("cross",)}),
    ({"tif": 0, "price": 0x7FFFFFFF}, {"tif": "3", "price": 0x7FFFFFFF}, {"tif": TimeInForce.IOC, "price": None}),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "terms"), SAME)
def test_both_versions_become_the_same_terms(old, new, terms):
    wanted = OrderTerms(**{**{name: getattr(PLAIN, name) for name in PLAIN.__struct_fields__}, **terms})
    assert read("4.2", **old) == wanted
    assert read("5.0", **new) == wanted


def test_what_5_0_alone_can_say():
    terms = read("5.0", {"max_floor": 10, "random_reserves": 3, "aiq_group_id": 7})
    assert (terms.display_quantity, terms.display_range, terms.self_trade_group) == (10, 3, 7)
    assert terms.features == ("display_quantity", "random_reserves")
    terms = read("5.0", {"price_type": "R", "peg_offset": -150})
    assert (terms.peg, terms.peg_offset) == ("primary", Decimal("-0.015"))
    terms = read("5.0", {"discretion_price": 1, "route": "NYSE"})
    assert terms.features == ("discretion", "routing")


@pytest.mark.parametrize(
    ("version", "given", "word"),
    [
        ("4.2", {"side": "X"}, "side"),
        ("4.2", {"shares": 0}, "quantity"),
        ("4.2", {"shares": 1_000_000}, "quantity"),
        ("4.2", {"price": 0}, "price"),
        ("4.2", {"price": 1_999_999_901}, "price"),
        ("4.2", {"price": 0x7FFFFFFF}, "price"),
        ("4.2", {"tif": 100_000}, "tif"),
        ("4.2", {"display": "?"}, "display"),
        ("4.2", {"capacity": ""}, "other"),
        ("5.0", {"tif": "E"}, "tif"),
        ("5.0", {"tif": "6"}, "tif"),
        ("5.0", {"tif": "6", "tags": {"expire_time": 86_400}}, "tif"),
        ("5.0", {"display": "P"}, "display"),
        ("5.0", {"iso": "?"}, "iso"),
        ("5.0", {"cross": "?"}, "cross"),
        ("5.0", {"tags": {"price_type": "?"}}, "peg"),
        ("5.0", {"tags": {"handle_inst": "?"}}, "other"),
    ],
)
def test_what_has_no_word_of_ours_is_named(version, given, word):
    with pytest.raises(Unsupported) as caught:
        read(version, **given)
    assert caught.value.word == word and word in REJECTIONS


def test_a_replace_has_the_side_of_the_order_but_where_it_says_another():
    given = {"quantity": 10, "price": 10_000, "tif": "0", "display": "Y", "iso": "N"}
    assert replacement_of(OuchMessage("ReplaceOrder", given, {}), "5.0", "S", "N").side is Side.SELL
    assert replacement_of(OuchMessage("ReplaceOrder", given, {"side": "T"}), "5.0", "S", "N").side is Side.SELLSHORT
    assert may_become("S", "E") and may_become("B", "B")
    assert not may_become("B", "S") and not may_become("S", "B")


def test_prices_have_four_decimals():
    assert price_from_wire(1_005_001) == Decimal("100.5001")
    assert price_to_wire(Decimal("100.5001")) == 1_005_001
    with pytest.raises(ValueError, match="decimals"):
        price_to_wire(Decimal("0.00005"))
