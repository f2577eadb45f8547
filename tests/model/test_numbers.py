"""The number grammar: what passes, what is refused, how a Decimal is written."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtrader.errors import InvalidArgument
from txtrader.model.numbers import (
    check_step,
    parse_decimal,
    parse_integer,
    parse_quantity,
    parse_signed_quantity,
    plain,
    plain_text,
)

HOSTILE = (
    "NaN", "nan", "Infinity", "-Infinity", "inf", "1e400", "1e5", "1E5", "1_000", "\uff11\uff12", "\u0661\u0662",
    "0x10", "+5", " 5", "5 ", "", "-", ".5", "5.", "00", "01", "-01", "-0", "-0.00", "1.0000000001", "1" * 13,
    "9" * 4000, "1,000", "1.2.3", "--1", "1\x00", "5\n", "½", "1e-05", "0b1", "True",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_numbers_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_decimal(text, "price")
    assert caught.value.path == "price"


@pytest.mark.parametrize("value", [True, False, None, 1.5, [], {}, b"1", Decimal("NaN"), Decimal("Infinity"), 10**19])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(InvalidArgument):
        parse_decimal(value, "price")


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", "0"), ("-1.5", "-1.5"), ("123456789012", "123456789012"), ("0.000000001", "0.000000001"), ("0.0", "0.0")],
)
def test_plain_numbers_pass(text: str, number: str) -> None:
    assert parse_decimal(text, "price") == Decimal(number)


def test_a_small_fraction_made_from_a_token_keeps_its_value() -> None:
    assert parse_decimal(Decimal("0.0000001"), "price") == Decimal("0.0000001")


def test_more_than_eighteen_digits_are_refused() -> None:
    with pytest.raises(InvalidArgument):
        parse_decimal("1234567890.123456789", "price")


@pytest.mark.parametrize("value", ["0", "-1", "0.0"])
def test_a_quantity_is_above_zero(value: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_quantity(value, "quantity")


def test_a_signed_quantity_of_zero_is_no_side() -> None:
    with pytest.raises(InvalidArgument):
        parse_signed_quantity(0, "quantity")
    assert parse_signed_quantity("-5", "quantity") == -5


@pytest.mark.parametrize("value", ["-1", "1.0", "01", " 1", True, 2**63, "9223372036854775808", None])
def test_integers_are_strict(value: object) -> None:
    with pytest.raises(InvalidArgument):
        parse_integer(value, "seq")


def test_an_off_tick_price_says_so() -> None:
    with pytest.raises(InvalidArgument, match=r"0\.30000000000000004 is not a multiple of the tick 0\.01"):
        check_step(Decimal("0.30000000000000004"), Decimal("0.01"), "price", "tick")


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=9))
def test_plain_keeps_the_value_and_writes_no_exponent(value: Decimal) -> None:
    shown = plain(value)
    text = plain_text(value)
    assert shown == value
    assert Decimal(text) == value
    assert "E" not in str(shown) or abs(value) < Decimal("0.000001")
    assert "E" not in text
    assert not ("." in text and text.endswith("0"))
    assert text != "-0"
