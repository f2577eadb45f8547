"""Properties: declared once in a table with kind, default, unit and meaning, and checked by it.

Values come from programs and from the wire alike, so numbers may be integers, decimals or decimal text; binary floats
are refused.  None is a value where the default is None: it means that the property is not set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from txtrader.errors import InvalidArgument
from txtrader.exsim.errors import WrongState

__all__ = ["Properties", "Property"]

_LONGEST = 1000  # characters of a text
_LARGEST = Decimal(10) ** 12


class Property(msgspec.Struct, frozen=True, kw_only=True):
    """One property.

    `kind` is `int`, `decimal`, `text` or `flag`; `choices` are the words that a text may be; `least` and `most` bound
    a number, both included.  `is_fixed`: it can be given when its owner is made, and not changed later.
    """

    name: str
    kind: str
    meaning: str
    default: Any = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    least: Decimal | int | None = None
    most: Decimal | int | None = None
    is_fixed: bool = False

    def parse(self, value: Any) -> Any:
        """Return a checked value; InvalidArgument names the property."""
        if value is None and self.default is None:
            return None
        if self.kind == "flag":
            if not isinstance(value, bool):
                raise self._refuse(f"{value!r} is neither true nor false")
            return value
        if self.kind == "text":
            return self._parse_text(value)
        return self._parse_number(value)

    def _parse_text(self, value: Any) -> str:
        if not isinstance(value, str) or len(value) > _LONGEST:
            raise self._refuse(f"it is not a text of at most {_LONGEST} characters")
        if self.choices and value not in self.choices:
            raise self._refuse(f"{value!r} is none of {', '.join(self.choices)}")
        return value

    def _parse_number(self, value: Any) -> Decimal | int:
        if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
            raise self._refuse(f"{value!r} is not a number (an integer, a decimal or the text of one)")
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise self._refuse(f"{value!r} is not a number") from None
        if not number.is_finite() or abs(number) > _LARGEST:
            raise self._refuse(f"{value} is out of all bounds")
        if self.kind == "int" and number != number.to_integral_value():
            raise self._refuse(f"{value} is not a whole number")
        if (self.least is not None and number < self.least) or (self.most is not None and number > self.most):
            low = "" if self.least is None else f" at least {self.least}"
            high = "" if self.most is None else f" at most {self.most}"
            raise self._refuse(f"{value} is not{low}{high}")
        return int(number) if self.kind == "int" else number

    def _refuse(self, text: str) -> InvalidArgument:
        return InvalidArgument(text, path=self.name)


class Properties:
    """The values of one owner's table; those that are not given have their default."""

    def __init__(self, table: Iterable[Property], given: Mapping[str, Any]) -> None:
        self._table = {one.name: one for one in table}
        self._values = {one.name: one.default for one in self._table.values()}
        self._values.update({name: self._known(name).parse(value) for name, value in given.items()})

    def __getitem__(self, name: str) -> Any:
        return self._values[self._known(name).name]

    def set(self, name: str, value: Any) -> tuple[Any, Any]:
        """Change one value; return the old and the new one.  Setting what it is already is no error."""
        known = self._known(name)
        new, old = known.parse(value), self._values[name]
        if known.is_fixed and new != old:
            raise WrongState("it was fixed when its owner was made", path=name)
        self._values[name] = new
        return old, new

    def values(self) -> dict[str, Any]:
        """Return all values by name."""
        return dict(self._values)

    def _known(self, name: str) -> Property:
        known = self._table.get(name)
        if known is None:
            raise InvalidArgument(f"there is no such property; there are {', '.join(self._table)}", path=name)
        return known
