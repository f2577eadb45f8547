"""CSV files whose columns are named by properties: quotes, trades, bars."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import ClassVar

from txtrader.errors import InvalidArgument
from txtrader.exsim.properties import Property
from txtrader.exsim.sources.base import PriceRow, Source

__all__ = ["Bars", "Columns", "Quotes", "Trades"]

_SECOND = 1_000_000_000
_UNITS = {"s": _SECOND, "ms": 1_000_000, "us": 1_000, "ns": 1}


def _column(name: str, default: str, meaning: str) -> Property:
    return Property(name=f"{name}_column", kind="text", default=default, is_fixed=True, meaning=meaning)


class Columns(Source):
    """Read a CSV file row by row; the first line names the columns, or without `has_header` their numbers do, from 1.

    An empty name says that there is no such column.
    """

    table: ClassVar[tuple[Property, ...]] = (
        Property(name="file", kind="text", default="", is_fixed=True, meaning="below the folder of data files"),
        Property(name="delimiter", kind="text", default=",", is_fixed=True, meaning="one character"),
        Property(name="has_header", kind="flag", default=True, is_fixed=True, meaning="the first line names columns"),
        _column("time", "time", "when; empty: each row `interval` seconds after the last"),
        Property(
            name="time_format",
            kind="text",
            default="s",
            is_fixed=True,
            meaning="s, ms, us, ns since 1970 (or midnight), iso, or a format for strptime (UTC)",
        ),
        Property(
            name="interval",
            kind="decimal",
            unit="s",
            least=Decimal("0.000001"),
            most=86400,
            is_fixed=True,
            meaning="when set, rows are so far apart, whatever their times",
        ),
        Property(
            name="scale",
            kind="decimal",
            default=Decimal(1),
            least=Decimal("0.000000001"),
            most=1_000_000_000,
            is_fixed=True,
            meaning="what prices are multiplied with",
        ),
    )
    needed: tuple[str, ...] = ()
    """The columns that must be there, by the part of their property's name before `_column`."""

    def check(self) -> None:
        self._name = self.properties["file"]
        self._text = self.files.read_text(self._name)
        self._places = self._find_columns()
        if "time" not in self._places and self.properties["interval"] is None:
            raise InvalidArgument("without a column of times the rows need an interval", path="interval")
        self.available = sum(1 for row in self._lines() if row) * self.rows_each()
        next(iter(self.rows()), None)

    def rows_each(self) -> int:
        """Return how many rows one line makes."""
        return 1

    def line(self, cells: Mapping[str, str]) -> list[PriceRow]:
        """Return the rows of one line, evenly in the time until the next; `cells` has those columns that there are."""
        raise NotImplementedError

    def rows(self) -> Iterator[tuple[int, PriceRow]]:
        interval = self.properties["interval"]
        at = length = 0
        lines = self._cells()
        present = next(lines, None)
        while present is not None:
            number, cells = present
            upcoming = next(lines, None)
            try:
                made = self.line(cells)
                start = at if interval is not None else self._time(cells["time"])
                if interval is not None:
                    at += (length := int(interval * _SECOND))
                elif upcoming is not None:
                    length = max(
                        0, self._time(upcoming[1]["time"]) - start
                    )  # the last line is as long as the one before
            except (ValueError, InvalidOperation, ArithmeticError) as error:
                raise InvalidArgument(f"{self._name}, line {number}: {error}", path="file") from None
            for n, row in enumerate(made):
                yield start + length * n // len(made), row
            present = upcoming

    def price(self, word: str) -> Decimal:
        """Return a price of the file, scaled; ValueError for what is none."""
        try:
            number = Decimal(word)
        except InvalidOperation:
            raise ValueError(f"{word!r} is not a number") from None
        if not number.is_finite():
            raise ValueError(f"{word!r} is not a price")
        scaled: Decimal = number * self.properties["scale"]
        return scaled

    def size(self, cells: Mapping[str, str], name: str) -> Decimal | None:
        """Return a quantity of the file, None where it has none."""
        word = cells.get(name, "")
        if not word:
            return None
        number = Decimal(word)
        if not number.is_finite() or number < 0:
            raise ValueError(f"{word!r} is not a quantity")
        return number

    # -- inside

    def _find_columns(self) -> dict[str, int]:
        wanted = {
            name.removesuffix("_column"): value
            for name, value in self.properties.values().items()
            if name.endswith("_column") and value
        }
        first = next(self._lines(with_header=True), [])
        names = first if self.properties["has_header"] else [str(n + 1) for n in range(len(first))]
        places = {}
        for name, column in wanted.items():
            if column in names:
                places[name] = names.index(column)
            elif name in self.needed or (name == "time" and self.properties["interval"] is None):
                raise InvalidArgument(f"{self._name} has no column {column!r}: {names}", path=f"{name}_column")
        return places

    def _lines(self, *, with_header: bool = False) -> Iterator[list[str]]:
        delimiter = self.properties["delimiter"]
        if len(delimiter) != 1:
            raise InvalidArgument("it is not one character", path="delimiter")
        lines = csv.reader(io.StringIO(self._text), delimiter=delimiter)
        if self.properties["has_header"] and not with_header:
            next(lines, None)
        return lines

    def _cells(self) -> Iterator[tuple[int, dict[str, str]]]:
        begin = 2 if self.properties["has_header"] else 1
        for number, row in enumerate(self._lines(), begin):
            if not row:
                continue
            if len(row) <= max(self._places.values(), default=0):
                raise InvalidArgument(f"{self._name}, line {number} is too short: {row}", path="file")
            yield number, {name: row[place].strip() for name, place in self._places.items()}

    def _time(self, word: str) -> int:
        form = self.properties["time_format"]
        unit = _UNITS.get(form)
        if unit is not None:
            try:
                return int(Decimal(word) * unit)
            except InvalidOperation:
                raise ValueError(f"{word!r} is not a time") from None
        moment = datetime.fromisoformat(word) if form == "iso" else datetime.strptime(word, form)  # noqa: DTZ007
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86400 + since.seconds) * _SECOND + since.microseconds * 1000


class Quotes(Columns):
    """Best bids and offers; an empty cell is an empty side."""

    table = (
        _column("bid", "bid", "price"),
        _column("bid_size", "bid_size", "quantity"),
        _column("offer", "offer", "price"),
        _column("offer_size", "offer_size", "quantity"),
    )
    needed = ("bid", "offer")

    def line(self, cells: Mapping[str, str]) -> list[PriceRow]:
        return [
            PriceRow(
                bid=self.price(cells["bid"]) if cells["bid"] else None,
                offer=self.price(cells["offer"]) if cells["offer"] else None,
                bid_size=self.size(cells, "bid_size"),
                offer_size=self.size(cells, "offer_size"),
            )
        ]


class Trades(Columns):
    """Trades; in the mode `maker` they are printed, and the house quotes nothing."""

    table = (_column("price", "price", "price"), _column("size", "size", "quantity"))
    needed = ("price",)

    def line(self, cells: Mapping[str, str]) -> list[PriceRow]:
        return [PriceRow(last=self.price(cells["price"]), last_size=self.size(cells, "size"))]


class Bars(Columns):
    """Bars, walked from the open to the extreme that is nearer to it, to the other one, and to the close.

    Between two of these the price goes straight, in `points` steps.  Quotes stand `half_spread` ticks from it.
    """

    table = (
        _column("open", "open", "price"),
        _column("high", "high", "price"),
        _column("low", "low", "price"),
        _column("close", "close", "price"),
        Property(
            name="points", kind="int", default=1, least=1, most=1000, is_fixed=True, meaning="rows from one to the next"
        ),
        Property(
            name="half_spread", kind="int", default=1, unit="ticks", least=1, most=100_000, meaning="of the quotes"
        ),
        Property(name="prints", kind="flag", default=False, meaning="mode `maker`: print each price as a trade, too"),
    )
    needed = ("open", "high", "low", "close")

    def rows_each(self) -> int:
        return 1 + 3 * int(self.properties["points"])

    def line(self, cells: Mapping[str, str]) -> list[PriceRow]:
        return [self._row(price) for price in self._walk(*(self.price(cells[name]) for name in self.needed))]

    def _walk(self, opens: Decimal, high: Decimal, low: Decimal, close: Decimal) -> list[Decimal]:
        if not low <= min(opens, close) <= max(opens, close) <= high:
            raise ValueError(f"open {opens} and close {close} are not between low {low} and high {high}")
        turns = (high, low) if high - opens <= opens - low else (low, high)
        points = self.properties["points"]
        walk, at = [opens], opens
        for goal in (*turns, close):
            walk += [at + (goal - at) * n / points for n in range(1, points)] + [goal]
            at = goal
        return walk

    def _row(self, price: Decimal) -> PriceRow:
        tick = self.listing.tick
        away = self.properties["half_spread"] * tick
        middle = (price / tick).to_integral_value() * tick
        prints = self.properties["prints"]
        return PriceRow(bid=middle - away, offer=middle + away, reference=middle, last=middle if prints else None)
