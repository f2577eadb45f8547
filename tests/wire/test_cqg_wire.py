"""CQG's messages, codes and numbers: the shared vectors, round trips, what is unknown survives."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st

from txtrader.errors import RemoteProtocolError
from txtrader.wire.cqg import words
from txtrader.wire.cqg.schema import ClientMsg, ServerMsg, message_class, rows
from txtrader.wire.cqg.session import missing_fields, parts, redacted
from txtrader.wire.cqg.values import (
    BaseTime,
    PriceScale,
    decimal_of,
    number_of,
    put_decimal,
    put_timestamp,
    timestamp_ns,
)

SHARED = Path(os.environ.get("TXTRADER_SHARED", Path(__file__).parents[3] / "shared")) / "facts" / "cqg_vectors.jsonl"
GOLDEN = Path(__file__).parents[1] / "golden" / "cqg" / "messages.jsonl"


def vectors(path: Path) -> list[dict]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line and not line.startswith("#")]


def check(vector: dict) -> None:
    kind = message_class(vector["message"])
    data = bytes.fromhex(vector["hex"])
    assert kind.FromString(data).SerializeToString() == data
    assert text_format.Parse(vector["text"], kind()).SerializeToString() == data


@pytest.mark.parametrize("vector", vectors(GOLDEN), ids=lambda vector: vector["name"])
def test_our_own_vectors_byte_for_byte(vector):
    check(vector)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data is not beside the project")
def test_all_shared_vectors_byte_for_byte():
    found = vectors(SHARED)
    assert len(found) == 35
    for vector in found:
        check(vector)


# -- random messages of every kind

_WHOLE = {
    FieldDescriptor.TYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.TYPE_SINT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SINT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_STRING: st.text(max_size=8),
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=8),
    FieldDescriptor.TYPE_DOUBLE: st.floats(allow_nan=False),
}


def fill(draw, message, depth: int = 0) -> None:
    """Fill all required fields and some of the others."""
    for field in message.DESCRIPTOR.fields:
        if not field.is_required and draw(st.integers(0, 3)) != 0:
            continue
        if field.message_type is not None:
            if depth > 3 and not field.is_required:
                continue
            if field.is_repeated:
                fill(draw, getattr(message, field.name).add(), depth + 1)
            else:
                getattr(message, field.name).SetInParent()
                fill(draw, getattr(message, field.name), depth + 1)
        else:
            values = (
                st.sampled_from([value.number for value in field.enum_type.values])
                if field.enum_type is not None
                else _WHOLE[field.type]
            )
            if field.is_repeated:
                getattr(message, field.name).extend(draw(st.lists(values, max_size=3)))
            else:
                setattr(message, field.name, draw(values))


@given(data=st.data(), kind=st.sampled_from([ClientMsg, ServerMsg]))
@settings(max_examples=60, deadline=None)
def test_random_messages_come_back_as_they_were(data, kind):
    message = kind()
    fill(data.draw, message)
    assert message.IsInitialized() and missing_fields(message) == []
    back = kind.FromString(message.SerializeToString())
    assert back == message
    assert back.SerializeToString() == message.SerializeToString()


def test_unknown_fields_and_codes_survive():
    status = message_class("order_2.OrderStatus")()
    # Field 4000, a varint, which no table knows; and an order status of a newer server.
    strange = b"\x80\xfa\x01\x2a"
    status.ParseFromString(b"\x18\x12" + strange)
    assert status.status == 18
    assert status.SerializePartialToString().endswith(strange)
    assert words.word_of(words.OrderStatus, 18) == "18"
    assert words.is_failure(100) and words.is_failure(999) and not words.is_failure(99)


def test_the_words_are_those_of_the_table():
    table: dict[str, dict[int, str]] = {}
    for row in rows():
        if row["kind"] == "enum_value":
            table.setdefault(f"{row['package']}.{row['message']}", {})[int(row["number"])] = row["name"]
    for source, kind in words.SOURCES.items():
        known = {member.value: member.name for member in kind}
        assert known.keys() == table[source].keys(), source
        for number, name in table[source].items():
            assert name == known[number] or name.endswith(f"_{known[number]}"), (source, name)


def test_every_field_of_the_table_is_on_its_message():
    for row in rows():
        if row["kind"] == "field":
            field = message_class(f"{row['package']}.{row['message']}").DESCRIPTOR.fields_by_name[row["name"]]
            assert field.number == int(row["number"])
            assert field.is_repeated == row["label"].startswith("repeated")
            assert field.is_required == (row["label"] == "required")


# -- numbers and times

SCALES = ["0.000000001", "0.00001", "0.0078125", "0.01", "0.25", "1", "100"]


@given(st.integers(-(10**12), 10**12), st.sampled_from(SCALES))
def test_prices_are_exact_at_every_scale_below_zero_too(scaled, scale):
    prices = PriceScale(float(scale))
    price = prices.price(scaled)
    assert price == Decimal(scaled) * Decimal(scale)
    assert "E" not in str(price) or abs(price) < Decimal("0.000001")
    assert prices.scaled(price) == scaled


def test_a_price_between_the_steps_is_refused():
    with pytest.raises(ValueError, match="multiple"):
        PriceScale(0.25).scaled(Decimal("100.10"))
    for wrong in (0.0, -0.25, float("nan"), float("inf")):
        with pytest.raises(RemoteProtocolError):
            PriceScale(wrong)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=8))
def test_quantities_come_back_and_whole_ones_have_no_exponent(value):
    message = message_class("cqg.Decimal")()
    put_decimal(message, value)
    assert decimal_of(message) == value
    if value == value.to_integral_value():
        assert message.exponent == 0


def test_an_empty_decimal_is_zero_and_a_wild_exponent_is_refused():
    message = message_class("cqg.Decimal")()
    assert decimal_of(message) == 0
    message.significand, message.exponent = 1, 1_000_000
    with pytest.raises(RemoteProtocolError):
        decimal_of(message)
    for wrong in ("NaN", "Infinity", "1E+30"):
        with pytest.raises(ValueError):
            put_decimal(message, Decimal(wrong))


def test_a_double_stands_for_its_shortest_decimal():
    assert number_of(0.1) == Decimal("0.1")
    assert number_of(1e22) == Decimal(10) ** 22
    assert str(number_of(100.0)) == "100"


DAY = 86_400_000_000_000


@given(st.integers(-2_208_988_800, 4_102_444_800), st.integers(-(10**12), 10**12))
def test_times_count_from_the_base_in_both_directions(second, milliseconds):
    base = BaseTime.at(second * 10**9 + 999)
    assert base.ns(0) == second * 10**9
    assert base.milliseconds(base.ns(milliseconds)) == milliseconds


@pytest.mark.parametrize("text", ["2025-02-16T06:20:12Z", "2025-02-16 06:20:12", "2025-02-16T06:20:12.5", "", "x" * 99])
def test_a_base_time_of_another_form_is_refused(text):
    with pytest.raises(RemoteProtocolError):
        BaseTime(text)


def test_dates_are_not_shifted_by_the_base():
    base = BaseTime("2025-02-16T23:59:59")
    for day in ("19000101", "20250216", "20261218", "21001231"):
        assert base.day(base.day_milliseconds(day)) == day


def test_timestamps_before_1970():
    message = message_class("order_2.OrderRequestAck")()
    put_timestamp(message.when, -1)
    assert (message.when.seconds, message.when.nanos) == (-1, 999_999_999)
    assert timestamp_ns(message.when) == -1


# -- walking and logging


def test_parts_are_walked_in_the_sequence_in_which_they_are_to_be_taken():
    message = ServerMsg()
    message.logged_off.logoff_reason = 1
    message.real_time_market_data.add(contract_id=1)
    message.trade_snapshot_completions.add(subscription_id=1)
    message.order_statuses.add()
    message.information_reports.add(id=1, status_code=0)
    names = [name for name, _ in parts(message)]
    assert names == [
        "information_reports",
        "order_statuses",
        "trade_snapshot_completions",
        "real_time_market_data",
        "logged_off",
    ]


def test_no_secret_is_in_the_text_for_the_log():
    message = ClientMsg()
    message.logon.user_name = "trader"
    message.logon.client_version = "1"
    for name in ("password", "access_token", "partner_token", "one_time_password", "fingerprint"):
        setattr(message.logon, name, "sesame")
    message.restore_or_join_session.session_token = "sesame"
    message.password_change.old_password = message.password_change.new_password = "sesame"
    answer = ServerMsg()
    answer.logon_result.session_token = "sesame"
    assert "sesame" not in redacted(message) + redacted(answer)
    assert "trader" in redacted(message)
