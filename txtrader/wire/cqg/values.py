"""CQG's numbers and times: scaled prices, cqg.Decimal, milliseconds after a base time.

Everything is exact: no price goes through float arithmetic.  A double that the wire carries (a tick size, a scale)
stands for the shortest decimal that it is the nearest double of: 0.1 is 0.1.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

from txtrader.errors import RemoteProtocolError

__all__ = [
    "BaseTime",
    "PriceScale",
    "decimal_of",
    "number_of",
    "put_decimal",
    "put_timestamp",
    "timestamp_ns",
]

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
_MOST_CACHED = 8192  # prices of one contract; a wild market starts the cache anew
_DIGITS = Context(prec=60)
_MOST_EXPONENT = 64  # of a quantity; beyond it is no number but an attack on memory
_FORM = "%Y-%m-%dT%H:%M:%S"


def number_of(value: float) -> Decimal:
    """Return the decimal that a double stands for; raises RemoteProtocolError for what is no number."""
    number = _plain(Decimal(repr(value)))
    if not number.is_finite():
        raise RemoteProtocolError(f"{value} is not a number")
    return number


def decimal_of(message: Any) -> Decimal:
    """Return a cqg.Decimal as a Decimal; an empty message is zero."""
    exponent = message.exponent
    if not exponent:
        return Decimal(message.significand)
    if abs(exponent) > _MOST_EXPONENT:
        raise RemoteProtocolError(f"the exponent {exponent} is out of range")
    return _plain(Decimal(message.significand).scaleb(exponent, _DIGITS))


def put_decimal(message: Any, value: Decimal) -> None:
    """Write `value` into a cqg.Decimal, whole numbers with exponent 0; raises ValueError for what it cannot hold."""
    sign, digits, exponent = value.normalize(_DIGITS).as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"{value} is not a number")
    significand = int("".join(map(str, digits)))
    if exponent > 0:
        significand, exponent = significand * 10**exponent, 0
    if significand >= 2**63:
        raise ValueError(f"{value} has too many digits")
    message.significand = -significand if sign else significand
    message.exponent = exponent


class PriceScale:
    """Turns scaled integers into prices and back: price = scaled * scale."""

    __slots__ = ("cache", "scale")

    def __init__(self, scale: float | Decimal) -> None:
        """Take the scale as the wire gives it; raises RemoteProtocolError unless it is a number above zero."""
        self.scale = scale if isinstance(scale, Decimal) else number_of(scale)
        if self.scale <= 0:
            raise RemoteProtocolError(f"the price scale {self.scale} is not above zero")
        self.cache: dict[int, Decimal] = {}

    def price(self, scaled: int) -> Decimal:
        """Return the price that a scaled integer stands for."""
        price = self.cache.get(scaled)
        if price is None:
            if len(self.cache) >= _MOST_CACHED:
                self.cache.clear()
            price = self.cache[scaled] = _plain(_DIGITS.multiply(self.scale, Decimal(scaled)))
        return price

    def scaled(self, price: Decimal) -> int:
        """Return the scaled integer of a price; raises ValueError if it is not a multiple of the scale."""
        count = _DIGITS.divide(price, self.scale)
        whole = int(count)
        if whole != count or not -(2**63) <= whole < 2**63:
            raise ValueError(f"{price} is not a multiple of {self.scale}")
        return whole

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PriceScale) and self.scale == other.scale

    def __hash__(self) -> int:
        return hash(self.scale)


class BaseTime:
    """The instant that a session counts its milliseconds from: `2025-02-16T06:20:12`, which is UTC."""

    __slots__ = ("_ns", "text")

    def __init__(self, text: str) -> None:
        """Read the wire's text; raises RemoteProtocolError if it has another form."""
        try:
            moment = datetime.strptime(text, _FORM).replace(tzinfo=UTC)
        except ValueError:
            raise RemoteProtocolError(f"{text[:40]!r} is not a base time") from None
        self.text = text
        self._ns = _ns_of(moment)

    @classmethod
    def at(cls, ns: int) -> BaseTime:
        """Make the base time of an instant (integer nanoseconds UTC), whole seconds."""
        return cls(_moment(ns).strftime(_FORM))

    def ns(self, milliseconds: int) -> int:
        """Return the instant of a `*_time` field, integer nanoseconds UTC."""
        return self._ns + milliseconds * MILLISECOND

    def milliseconds(self, ns: int) -> int:
        """Return an instant as a `*_time` field says it; what is below a millisecond is cut off."""
        return (ns - self._ns) // MILLISECOND

    def day(self, milliseconds: int) -> str:
        """Return the date of a `*_date` field, YYYYMMDD.  Only its date part counts: no time zone shifts it."""
        return _moment(self.ns(milliseconds)).strftime("%Y%m%d")

    def day_milliseconds(self, day: str) -> int:
        """Return a date YYYYMMDD as a `*_date` field says it."""
        return self.milliseconds(_ns_of(datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC)))


def timestamp_ns(message: Any) -> int:
    """Return a google Timestamp as integer nanoseconds UTC."""
    return int(message.seconds) * SECOND + int(message.nanos)


def put_timestamp(message: Any, ns: int) -> None:
    """Write an instant (integer nanoseconds UTC) into a google Timestamp."""
    message.seconds, message.nanos = divmod(ns, SECOND)
    message.SetInParent()


def _plain(number: Decimal) -> Decimal:
    """Return the number without zeros at its end and without a positive exponent: 100, not 1E+2."""
    if number == 0 or not number.is_finite():
        return Decimal(0) if number == 0 else number
    number = number.normalize(_DIGITS)
    exponent = number.as_tuple().exponent
    return number.quantize(Decimal(1), context=_DIGITS) if isinstance(exponent, int) and exponent > 0 else number


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _ns_of(moment: datetime) -> int:
    return ((moment - _EPOCH) // timedelta(microseconds=1)) * 1000


def _moment(ns: int) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=ns // 1000)
    except OverflowError:
        raise RemoteProtocolError(f"{ns} ns is outside of all calendars") from None
