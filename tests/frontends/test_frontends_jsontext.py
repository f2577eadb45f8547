"""JSON of the surface: exact tokens, strict input, plain output."""

from __future__ import annotations

import json
import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtrader.errors import InvalidArgument, TooLarge
from txtrader.frontends.jsontext import Unreadable, encode, parse, parse_sequence


def test_numbers_are_the_very_token():
    assert parse("0.30000000000000004") == Decimal("0.30000000000000004")
    assert str(parse("100.50")) == "100.50"
    assert parse("7") == 7 and isinstance(parse("7"), int)
    assert str(parse("-0")) == "-0"
    assert str(parse("-0.00")) == "-0.00"
    assert str(parse("0.0000001")) == "1E-7"  # the same number: how it is written is for the writer


@pytest.mark.parametrize("token", ["1e5", "1E-5", "NaN", "Infinity", "-Infinity", "1" * 4000, "0." + "1" * 4000])
def test_what_no_argument_takes_is_marked_for_the_place_that_knows_its_name(token: str):
    assert isinstance(parse(token), Unreadable)


@pytest.mark.parametrize(
    "text",
    ["", "{", "01", "+5", ".5", "5.", "0x10", "1_000", "\uff11", "'a'", "{a: 1}", "[1,]", "nan", "True", "1 2", "{}x"],
)
def test_what_is_no_json_is_refused(text: str):
    with pytest.raises(InvalidArgument):
        parse(text)


def test_a_key_given_twice_is_refused_at_any_depth():
    for text in ('{"a": 1, "a": 2}', '[{"b": {"a": 1, "a": 1}}]', '{"a": 1, "\\u0061": 2}'):
        with pytest.raises(InvalidArgument, match="twice"):
            parse(text)


def test_depth_is_bounded_and_brackets_in_strings_do_not_count():
    assert parse("[" * 32 + "]" * 32)
    for text in ("[" * 33 + "]" * 33, "[" * 60000, '{"a":' * 33 + "1" + "}" * 33):
        with pytest.raises(TooLarge):
            parse(text)
    assert parse(json.dumps("[{" * 1000)) == "[{" * 1000
    assert parse(json.dumps(['"[{\\' * 100])) == ['"[{\\' * 100]


def test_a_hostile_text_costs_no_more_than_its_length():
    for text in ('"\\' * 30000, '["' + '\\"' * 30000, '"a"' * 20000, "[]," * 20000, "[" * 31 + '"' + "\\" * 30001):
        start = time.process_time()
        with pytest.raises((InvalidArgument, TooLarge)):
            parse(text)
        assert time.process_time() - start < 0.5


def test_sizes_are_bounded():
    for text in (
        json.dumps([0] * 1001),
        json.dumps({str(n): n for n in range(101)}),
        json.dumps("x" * 4097),
        json.dumps({"x" * 4097: 1}),
    ):
        with pytest.raises(TooLarge):
            parse(text)
    assert len(parse(json.dumps([0] * 1000))) == 1000


@pytest.mark.parametrize("text", ['"\\ud800"', '{"\\udfff": 1}', '["\\udc00\\ud800"]'])
def test_half_a_character_is_refused(text: str):
    with pytest.raises(InvalidArgument):
        parse(text)


def test_no_message_repeats_what_was_sent():
    for text in ('{"secret": hunter2}', '["\x1b[2J"'):
        with pytest.raises(InvalidArgument) as caught:
            parse(text)
        assert "hunter2" not in str(caught.value) and "\x1b" not in str(caught.value)


def test_values_may_follow_each_other_with_a_blank_between():
    assert parse_sequence('["a"] {"b": 1}') == [["a"], {"b": 1}]
    assert parse_sequence("  ") == []
    with pytest.raises(InvalidArgument):
        parse_sequence('["a"]{"b": 1}')


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=9))
def test_a_decimal_is_written_in_full_and_read_back_exactly(number: Decimal):
    text = encode([number]).decode()
    assert "E" not in text and "e" not in text
    assert json.loads(text, parse_float=Decimal, parse_int=Decimal) == [number]


def test_texts_with_the_letters_of_an_exponent_stay_as_they_are():
    assert encode({"a": "E-mini", "b": Decimal("1E-7"), "c": (Decimal("2E+3"),)}) == (
        b'{"a":"E-mini","b":0.0000001,"c":[2000]}'
    )


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_written_is_ascii_and_says_the_same(text: str):
    data = encode({text: text})
    assert data.isascii() and b"\n" not in data and b"\x1b" not in data
    assert json.loads(data) == {text: text}
