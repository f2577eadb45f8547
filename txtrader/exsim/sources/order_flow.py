"""Order by order: what a recorded feed says happened, in one form for LOBSTER and ITCH files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from enum import StrEnum

import msgspec

from txtrader.errors import InvalidArgument, RemoteProtocolError
from txtrader.wire.itch import ItchMessage, read_blanks, read_lengths

__all__ = ["Act", "Deed", "first_levels", "itch_flow", "lobster_flow"]

_SECOND = 1_000_000_000
_CENTS = Decimal("0.0001")
_EMPTY = 9_999_999_999


class Act(StrEnum):
    """What one record of a feed says."""

    ADD = "add"
    LESS = "less"  # a part of an order is canceled
    GONE = "gone"
    TRADE = "trade"  # an order of the book was executed, in part or in full
    HIDDEN = "hidden"  # a trade that no order of the book took part in


class Deed(msgspec.Struct, frozen=True):
    """One record: nanoseconds since midnight, the order's number, its side (1 a bid), price and size.

    `counts`: a trade that belongs into volume and last.
    """

    time: int
    act: Act
    reference: int
    sign: int
    price: Decimal
    size: int
    counts: bool = True


_LOBSTER = {1: Act.ADD, 2: Act.LESS, 3: Act.GONE, 4: Act.TRADE, 5: Act.HIDDEN}


def lobster_flow(text: str, name: str) -> Iterator[Deed | None]:
    """Read a message file of LOBSTER; a row of a kind that says nothing of orders (a cross, a halt) is None."""
    for number, row in enumerate(csv.reader(io.StringIO(text)), 1):
        try:
            seconds, kind, reference, size, price, sign = row[0], *(int(word) for word in row[1:6])
            act = _LOBSTER.get(kind)
            time = int(Decimal(seconds) * _SECOND)
        except (ValueError, IndexError, InvalidOperation):
            raise InvalidArgument(f"{name}, line {number}: no LOBSTER message: {row}", path="file") from None
        yield None if act is None else Deed(time, act, reference, sign, price * _CENTS, size)


def first_levels(text: str, name: str) -> Iterator[tuple[Decimal | None, int, Decimal | None, int]]:
    """Read the best level of each row of an order book file of LOBSTER: bid, size, offer, size."""
    for levels in all_levels(text, name):
        yield levels[0]


def all_levels(text: str, name: str) -> Iterator[list[tuple[Decimal | None, int, Decimal | None, int]]]:
    """Read an order book file of LOBSTER: the levels of each row, best first."""
    for number, row in enumerate(csv.reader(io.StringIO(text)), 1):
        try:
            cells = [int(word) for word in row]
            yield [
                (_price(cells[at + 2]), cells[at + 3], _price(cells[at]), cells[at + 1])
                for at in range(0, len(cells), 4)
            ]
        except (ValueError, IndexError):
            raise InvalidArgument(f"{name}, line {number}: no LOBSTER levels: {row}", path="book_file") from None


def _price(cell: int) -> Decimal | None:
    return None if abs(cell) == _EMPTY else cell * _CENTS


def read_itch(data: bytes, name: str) -> Iterator[ItchMessage]:
    """Read ITCH messages with their lengths before them, or with two zero bytes."""
    try:
        yield from read_blanks(data) if data[:2] == b"\0\0" else read_lengths(data)
    except RemoteProtocolError as error:
        raise InvalidArgument(f"{name}: {error.message}", path="file") from None


def itch_flow(data: bytes, name: str, stock: str) -> Iterator[Deed | None]:
    """Read one stock out of an ITCH file; a message that says nothing of its orders, or of unknown ones, is None.

    A replace is two deeds: the old order goes, the new one comes.
    """
    locate: int | None = None
    known: dict[int, tuple[int, Decimal, int]] = {}  # side, price, open shares
    for message in read_itch(data, name):
        kind, fields, time = message.type, message.fields, message.time
        if kind == "R" and fields["stock"] == stock:
            locate = message.locate
        if message.locate != locate or locate is None:
            yield None
        elif kind in "AF":
            sign = 1 if fields["side"] == "B" else -1
            price, shares = fields["price"] * _CENTS, int(fields["shares"])
            known[fields["reference"]] = (sign, price, shares)
            yield Deed(time, Act.ADD, fields["reference"], sign, price, shares)
        elif kind == "P":
            sign = 1 if fields["side"] == "B" else -1
            yield Deed(time, Act.HIDDEN, 0, sign, fields["price"] * _CENTS, int(fields["shares"]))
        elif kind in "ECXDU" and fields["reference"] in known:
            yield from _change(message, known)
        else:
            yield None


def _change(message: ItchMessage, known: dict[int, tuple[int, Decimal, int]]) -> Iterator[Deed]:
    kind, fields, time = message.type, message.fields, message.time
    number = fields["reference"]
    sign, price, shares = known[number]
    taken = min(shares, int(fields["shares"])) if kind in "ECX" else shares
    if taken == shares:
        del known[number]
    else:
        known[number] = (sign, price, shares - taken)
    if kind in "EC":
        at = fields["price"] * _CENTS if kind == "C" else price
        yield Deed(time, Act.TRADE, number, sign, at, taken, kind == "E" or fields["printable"] == "Y")
    elif kind == "X" and taken < shares:
        yield Deed(time, Act.LESS, number, sign, price, taken)
    else:
        yield Deed(time, Act.GONE, number, sign, price, taken)
    if kind == "U":
        new, price, shares = fields["new_reference"], fields["price"] * _CENTS, int(fields["shares"])
        known[new] = (sign, price, shares)
        yield Deed(time, Act.ADD, new, sign, price, shares)
