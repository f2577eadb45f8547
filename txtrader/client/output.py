"""How the command shows a result: JSON with exact numbers, or tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from txtrader.model.numbers import plain_text

__all__ = ["Table", "print_table", "to_json", "to_table", "to_text"]

# The first columns of a table of records, where the records have them; a record alone shows every field.
_COLUMNS: dict[str, tuple[str, ...]] = {
    "order": (
        *("id", "account", "symbol", "side", "quantity", "type", "price", "aux_price", "tif"),
        *("status", "filled", "avgfillprice", "client_order_id"),
    ),
    "execution": ("execId", "orderid", "account", "symbol", "side", "shares", "price", "commission", "time"),
    "symbol": ("symbol", "bid", "bidsize", "ask", "asksize", "last", "size", "volume", "close", "stale"),
    "instrument": (
        "symbol",
        "instrument_id",
        "sectype",
        "exchange",
        "currency",
        "expiry",
        "strike",
        "right",
        "fullname",
    ),
    "position": ("account", "symbol", "quantity", "avgprice", "mark", "market_value", "unrealized", "realized"),
}
_KEY_OF = {"execId": "execution", "remaining": "order", "bidsize": "symbol", "trading_class": "instrument"}
_BAR = ("time", "open", "high", "low", "close", "volume")


class Table(NamedTuple):
    """Headings and rows of text; no headings for a plain list."""

    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def to_json(value: Any, *, compact: bool = False) -> str:
    """Write JSON: numbers exact, without exponent and trailing zeros."""
    data = msgspec.json.encode(_exact(value))
    return data.decode() if compact else msgspec.json.format(data, indent=2).decode()


def to_text(value: Any) -> str:
    """Write one value for a person: nothing for null."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return plain_text(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (Mapping, list, tuple)):
        return to_json(value, compact=True) if value else ""
    return str(value)


def to_table(value: Any) -> Table | None:
    """Lay a result out as a table by its shape; None when it is one plain value."""
    if isinstance(value, Mapping):
        return _table_of_mapping(value)
    if isinstance(value, (list, tuple)):
        return _table_of_list(value)
    return None


def print_table(value: Any, *, width: int | None = None) -> None:
    """Print a result on the terminal."""
    table = to_table(value)
    if table is None:
        print("none" if value is None else to_text(value))
        return
    if not table.rows:
        print("(nothing)")
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=box.SIMPLE_HEAD, show_header=any(table.headings), pad_edge=False)
    for at, heading in enumerate(table.headings or table.rows[0]):
        is_number = all(_looks_numeric(row[at]) for row in table.rows)
        drawn.add_column(heading, justify="right" if is_number else "left", overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(cell) for cell in row))
    Console(width=width, highlight=False).print(drawn)


def _exact(value: Any) -> Any:
    if isinstance(value, Decimal):
        return msgspec.Raw(plain_text(value).encode())
    if isinstance(value, Mapping):
        return {str(name): _exact(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_exact(item) for item in value]
    return value


def _table_of_mapping(value: Mapping[str, Any]) -> Table:
    items = list(value.values())
    if items and all(isinstance(item, Mapping) and _kind_of(item) for item in items):
        return _table_of_records(items)
    if items and all(isinstance(item, Mapping) for item in items):  # {account: {symbol: quantity}}
        return Table(("",) * 3, [(key, name, to_text(v)) for key, item in value.items() for name, v in item.items()])
    if "bars" in value and isinstance(value["bars"], list):
        return _table_of_list(value["bars"])
    if any(items) and all(_is_record_list(item) for item in items):  # {account: [position record]}
        return _table_of_records([record for item in items for record in item])
    if items and all(isinstance(item, (list, tuple)) and 1 <= len(item) <= 3 for item in items):
        width = max(len(item) for item in items)  # {key: [value, currency]}
        padded = [(key, *item, *[None] * (width - len(item))) for key, item in value.items()]
        return Table(("",) * (width + 1), [tuple(to_text(cell) for cell in row) for row in padded])
    return Table(("", ""), list(_flat(value)))


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the fields of a record, those of records inside with their path; null ones are left out."""
    for name, item in value.items():
        if isinstance(item, Mapping):
            yield from _flat(item, f"{prefix}{name}.")
        elif _is_record_list(item) and item:
            for number, inner in enumerate(item):
                yield f"{prefix}{name}.{number}", ", ".join(f"{key} {text}" for key, text in _flat(inner))
        elif isinstance(item, (list, tuple)) and not any(isinstance(part, (list, tuple, Mapping)) for part in item):
            yield prefix + name, ", ".join(to_text(part) for part in item)
        elif item is not None:
            yield prefix + name, to_text(item)


def _table_of_list(value: Sequence[Any]) -> Table:
    rows = list(value)
    if rows and isinstance(rows[0], str) and rows[0].startswith("Status:"):  # the form of bars on XMLRPC
        rows.pop(0)
    if rows and all(isinstance(row, Mapping) for row in rows):
        return _table_of_records(rows)
    if rows and all(isinstance(row, (list, tuple)) for row in rows):
        width = max(len(row) for row in rows)
        headings = _BAR if width == len(_BAR) else ("date", *_BAR) if width == len(_BAR) + 1 else ("",) * width
        return Table(headings, [tuple(to_text(cell) for cell in (*row, *[None] * (width - len(row)))) for row in rows])
    return Table((), [(to_text(row),) for row in rows])


def _table_of_records(records: Sequence[Mapping[str, Any]]) -> Table:
    kind = _kind_of(records[0])
    names = _COLUMNS[kind] if kind else tuple(dict.fromkeys(name for record in records for name in record))
    names = tuple(name for name in names if any(record.get(name) is not None for record in records))
    return Table(names, [tuple(to_text(record.get(name)) for name in names) for record in records])


def _kind_of(record: Mapping[str, Any]) -> str | None:
    for name, kind in _KEY_OF.items():
        if name in record:
            return kind
    return "position" if "avgprice" in record and "quantity" in record else None


def _is_record_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


def _looks_numeric(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdigit() or not text
