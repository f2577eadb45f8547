"""Single fields: the text on the wire and the value it stands for.

Each kind has a reader (text to value) and a writer (value to text).  An unset value is None; clients write it in many
ways (empty, the largest int, long or double), all are read.  Numbers are strict ASCII; what is no number raises
ValueError, and so does a value that has no text, such as a float or a string with a NUL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

__all__ = ["KINDS", "Reader", "Writer", "escape", "reader_of", "unescape", "writer_of"]

Reader = Callable[[str], Any]
Writer = Callable[[Any], str]

KINDS: Mapping[str, str] = {
    "i": "integer, unset is empty",
    "d": "decimal, unset is empty",
    "m": "money figure whose unset is the largest double",
    "p": "computed price or volatility, unset is -1",
    "q": "computed greek, unset is -2",
    "u": "decimal that may be infinite",
    "z": "size: whole units before version 163",
    "b": "flag",
    "o": "flag that may be unset",
    "j": "conjunction: a (and) is true, o (or) is false",
    "s": "text",
    "t": "text that clients unescape, so that backslashes are escaped as well",
}

SHARES_SINCE = 163
ASCII7_SINCE = 153

UNSET_MONEY = "1.7976931348623157E308"
_UNSET_TEXTS = frozenset(
    {
        "",
        "2147483647",
        "9223372036854775807",
        "-9223372036854775808",
        "1.7976931348623157E308",
        "1.7976931348623157E+308",
        "1.7976931348623157e308",
        "1.7976931348623157e+308",
        "170141183460469231731687303715884105727",
    }
)
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}\Z", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?\Z", re.ASCII)
_INFINITE = frozenset({"Infinity", "Infinite", "inf"})
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_SPECIAL = re.compile(r"[^\x00-\x7f]|\\(?=u)")
_SPECIAL_ALL = re.compile(r"[^\x00-\x7f]|\\")


def _read_integer(text: str) -> int | None:
    if text in _UNSET_TEXTS:
        return None
    if _INTEGER.match(text) is None:
        raise ValueError("not an integer")
    return int(text)


def _read_decimal(text: str) -> Decimal | None:
    if text in _UNSET_TEXTS:
        return None
    if _DECIMAL.match(text) is None:
        raise ValueError("not a number")
    return Decimal(text)


def _read_unbounded(text: str) -> Decimal | None:
    return Decimal("Infinity") if text in _INFINITE else _read_decimal(text)


def _read_flag(text: str) -> bool:
    if text in ("1", "true", "True"):
        return True
    if text in ("0", "", "false", "False"):
        return False
    raise ValueError("not a flag")


def _read_optional_flag(text: str) -> bool | None:
    return None if text in _UNSET_TEXTS else _read_flag(text)


def _read_conjunction(text: str) -> bool:
    if text not in ("a", "o"):
        raise ValueError("neither a nor o")
    return text == "a"


def _unless(unset: Decimal) -> Reader:
    def read(text: str) -> Decimal | None:
        value = _read_decimal(text)
        return None if value == unset else value

    return read


def _write_integer(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, int):
        raise ValueError(f"{type(value).__name__} is not an integer")
    return str(int(value))


def _write_decimal(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        text = str(value)
        if "E" in text:
            return format(value, "f")
        if text[-1:].isdigit():
            return text
        raise ValueError("not a finite number")
    if isinstance(value, int):
        return str(int(value))
    raise ValueError(f"{type(value).__name__} is not a decimal")


def _write_money(value: Any) -> str:
    return UNSET_MONEY if value is None else _write_decimal(value)


def _write_or(unset: str) -> Writer:
    return lambda value: unset if value is None else _write_decimal(value)


def _write_unbounded(value: Any) -> str:
    return "Infinity" if isinstance(value, Decimal) and value.is_infinite() and value > 0 else _write_decimal(value)


def _write_whole(value: Any) -> str:
    # Old clients parse these with int(): a fraction would end their connection, so it is trimmed as TWS does it.
    return "" if value is None else _write_decimal(int(value) if isinstance(value, Decimal) else value)


def _write_flag(value: Any) -> str:
    return "1" if value else "0"


def _write_optional_flag(value: Any) -> str:
    return "" if value is None else _write_flag(value)


def _write_conjunction(value: Any) -> str:
    return "a" if value else "o"


def _write_text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{type(value).__name__} is not text")
    if "\0" in value:
        raise ValueError("text holds a NUL, which ends a field")
    return value


def escape(text: str, *, all_backslashes: bool = False) -> str:
    r"""Write text as ASCII with `\uXXXX` (UTF-16 units, as Java does it).

    A backslash is escaped where it could be taken for the start of an escape, or everywhere with `all_backslashes`.
    """
    return (_SPECIAL_ALL if all_backslashes else _SPECIAL).sub(_escape_match, text)


def _escape_match(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def unescape(text: str) -> str:
    r"""Read text with `\uXXXX`, joining surrogate pairs; a lone surrogate becomes U+FFFD."""
    if "\\u" not in text:
        return text
    plain = _ESCAPED.sub(lambda match: chr(int(match.group(1), 16)), text)
    return plain.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "replace")


def _write_ascii(value: Any) -> str:
    text = _write_text(value)
    return text if text.isascii() and "\\u" not in text else escape(text)


def _write_escaped(value: Any) -> str:
    text = _write_text(value)
    return text if text.isascii() and "\\" not in text else escape(text, all_backslashes=True)


_READERS: dict[str, Reader] = {
    "i": _read_integer,
    "d": _read_decimal,
    "m": _read_decimal,
    "p": _unless(Decimal(-1)),
    "q": _unless(Decimal(-2)),
    "u": _read_unbounded,
    "z": _read_decimal,
    "b": _read_flag,
    "o": _read_optional_flag,
    "j": _read_conjunction,
    "s": str,
    "t": str,
}
_WRITERS: dict[str, Writer] = {
    "i": _write_integer,
    "d": _write_decimal,
    "m": _write_money,
    "p": _write_or("-1"),
    "q": _write_or("-2"),
    "u": _write_unbounded,
    "z": _write_decimal,
    "b": _write_flag,
    "o": _write_optional_flag,
    "j": _write_conjunction,
    "s": _write_text,
    "t": _write_text,
}


def reader_of(kind: str, version: int, *, is_response: bool) -> Reader:
    """Return the reader of a kind of field at a server version."""
    if kind in "st" and is_response and version >= ASCII7_SINCE:
        return unescape
    return _READERS[kind]


def writer_of(kind: str, version: int, *, is_response: bool) -> Writer:
    """Return the writer of a kind of field at a server version.

    Only the server escapes; clients send UTF-8, or refuse to send what is not ASCII.
    """
    if is_response:
        if kind == "z" and version < SHARES_SINCE:
            return _write_whole
        if version >= ASCII7_SINCE and kind in "st":
            return _write_ascii if kind == "s" else _write_escaped
    return _WRITERS[kind]
