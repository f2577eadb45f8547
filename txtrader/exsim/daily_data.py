"""The shipped daily bars: two indices, 1999 to 2018, read once.

Source and licence stand beside the files, in `data/README.md`.
"""

from __future__ import annotations

import csv
import gzip
import io
from datetime import date, datetime
from functools import lru_cache
from importlib.resources import files

import msgspec

__all__ = ["FIRST_YEAR", "LAST_YEAR", "SERIES", "IndexBar", "bar_dates", "index_bars"]

SERIES = ("sp500", "nasdaq")
FIRST_YEAR = 1999
LAST_YEAR = 2018
_AROUND = 25


class IndexBar(msgspec.Struct, frozen=True):
    """One day of an index; `activity` is its volume as a multiple of what was usual around that time."""

    day: date
    open: float
    high: float
    low: float
    close: float
    activity: float


@lru_cache(maxsize=len(SERIES))
def index_bars(series: str) -> tuple[IndexBar, ...]:
    """Return all rows of a series (`sp500` or `nasdaq`), oldest first."""
    packed = files("txtrader.exsim").joinpath("data", f"{series}.csv.gz").read_bytes()
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(packed).decode("ascii"))))
    volumes = [float(row["Volume"]) for row in rows]
    bars = []
    for n, row in enumerate(rows):
        around = volumes[max(0, n - _AROUND) : n + _AROUND + 1]
        bars.append(
            IndexBar(
                datetime.strptime(row["Date"], "%m/%d/%Y").date(),  # noqa: DTZ007 - a date without a zone
                float(row["Open"]),
                float(row["High"]),
                float(row["Low"]),
                float(row["Close"]),
                volumes[n] * len(around) / sum(around),
            )
        )
    return tuple(bars)


@lru_cache(maxsize=1)
def bar_dates() -> frozenset[date]:
    """Return the dates that have a bar; both series have the same."""
    return frozenset(bar.day for bar in index_bars(SERIES[0]))
