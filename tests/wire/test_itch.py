"""ITCH 5.0: the lengths of the specification, both directions, and the whole sample day."""

from __future__ import annotations

import gzip
import os
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtrader.errors import LocalProtocolError, RemoteProtocolError
from txtrader.exsim.itch_replay import ItchReplay
from txtrader.wire.itch import LENGTHS, ItchMessage, decode, encode, read_blanks, read_lengths

SHARED = Path(os.environ.get("TXTRADER_SHARED", Path(__file__).parents[3] / "shared"))
SAMPLE = SHARED / "data" / "itch" / "ex20101224.TEST_ITCH_50.gz"
with_sample = pytest.mark.skipif(not SAMPLE.exists(), reason="the shared data is not here (TXTRADER_SHARED)")

ADD = {"reference": 1, "side": "B", "shares": 100, "stock": "IBM", "price": 1_005_000}


def message(letter: str, time: int = 1, **fields) -> ItchMessage:
    return ItchMessage(letter, 1, 0, time, fields)


def test_the_lengths_are_those_of_the_specification():
    assert LENGTHS == {
        "S": 12,
        "R": 39,
        "H": 25,
        "A": 36,
        "F": 40,
        "E": 31,
        "C": 36,
        "X": 23,
        "D": 19,
        "U": 35,
        "P": 44,
        "Q": 40,
        "B": 19,
        "I": 50,
        "Y": 20,
        "L": 26,
        "V": 35,
        "W": 12,
        "K": 28,
        "J": 35,
        "h": 21,
        "N": 20,
        "O": 48,
    }


@given(
    st.integers(0, 2**48 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.sampled_from(["B", "S"]),
    st.text("ABCXYZ", min_size=1, max_size=8),
)  # fmt: skip
def test_what_is_written_is_read(time, reference, shares, side, stock):
    fields = {"reference": reference, "side": side, "shares": shares, "stock": stock, "price": shares}
    made = message("A", time, **fields)
    assert decode(encode(made)) == made
    assert list(read_lengths(len(encode(made)).to_bytes(2, "big") + encode(made))) == [made]
    assert list(read_blanks(b"\0\0" + encode(made))) == [made]


def test_bytes_that_are_no_message_are_refused():
    for data in (b"", b"Z" * 12, encode(message("A", **ADD))[:-1]):
        with pytest.raises(RemoteProtocolError):
            decode(data)
    for data in (b"\0\0Z", b"\0\1A" + b"x" * 35):
        with pytest.raises(RemoteProtocolError):
            list(read_blanks(data))
    with pytest.raises(RemoteProtocolError):
        list(read_lengths(b"\0\x40A"))
    with pytest.raises(LocalProtocolError):
        encode(message("A", **{**ADD, "shares": 2**32}))
    with pytest.raises(LocalProtocolError):
        encode(message("Y"))


def test_orders_come_go_and_change():
    replay = ItchReplay()
    replay.apply(message("R", stock="IBM"))
    for reference, side, shares, price in ((1, "B", 100, 10_000), (2, "B", 50, 10_000), (3, "S", 70, 10_100)):
        replay.apply(message("A", **{**ADD, "reference": reference, "side": side, "shares": shares, "price": price}))
    assert replay.depth("IBM") == ([(Decimal("1"), 150)], [(Decimal("1.01"), 70)])
    replay.apply(message("E", reference=1, shares=40, match=7))
    replay.apply(message("X", reference=2, shares=20))
    replay.apply(message("U", reference=3, new_reference=4, shares=10, price=10_200))
    assert replay.depth("IBM") == ([(Decimal("1"), 90)], [(Decimal("1.02"), 10)])
    replay.apply(message("C", reference=1, shares=60, match=8, printable="N", price=9_900))
    replay.apply(message("D", reference=2))
    replay.apply(message("D", reference=99))
    replay.apply(message("P", **{**ADD, "shares": 5, "match": 9}))
    assert replay.depth("IBM") == ([], [(Decimal("1.02"), 10)])
    assert replay.printed[1] == 45, "what is printed elsewhere is not counted twice"
    assert replay.unknown == Counter({"D": 1})


@with_sample
def test_the_sample_day_is_read_whole_and_its_holes_are_counted():
    data = gzip.decompress(SAMPLE.read_bytes())
    assert len(data) == 465_048
    replay = ItchReplay()
    last = 0
    for one in read_blanks(data):
        assert one.time >= last
        last = one.time
        replay.apply(one)
    assert replay.counts == Counter(
        {"S": 6, "R": 3, "H": 3, "A": 4_997, "F": 3, "E": 198, "X": 45, "D": 1_745, "U": 12, "P": 5_000}
    )
    assert sum(replay.counts.values()) == 12_012
    assert set(replay.stocks.items()) == {(1, "ALC"), (2, "BOB"), (3, "CHAR")}
    assert replay.unknown == Counter({"D": 94, "E": 18, "X": 3, "U": 2})
    assert sum(replay.unknown.values()) == 117
    for stock in replay.stocks.values():
        bids, asks = replay.depth(stock, 10_000)
        assert all(shares > 0 for _, shares in (*bids, *asks))
    left = Counter((order.locate, order.side) for order in replay.orders.values())
    assert sum(left.values()) == len(replay.orders) > 0


@with_sample
def test_written_again_the_sample_is_the_same_bytes():
    data = gzip.decompress(SAMPLE.read_bytes())
    assert b"".join(b"\0\0" + encode(one) for one in read_blanks(data)) == data
