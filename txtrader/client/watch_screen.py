"""The live view as a screen: what `Picture` knows, laid out by rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from txtrader.client.output import to_text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from txtrader.client.watch import Picture

__all__ = ["screen_of"]

_STATUS_STYLES = {"Up": "bold green", "Stale": "bold red", "Disconnected": "bold red", "ReconcileFailed": "bold red"}
_ORDER_STYLES = {
    "Filled": "green",
    "PartiallyFilled": "cyan",
    "New": "cyan",
    "Rejected": "red",
    "Unknown": "bold red",
    "Canceled": "dim",
    "Expired": "dim",
    "Lost": "red",
}
_LOG_STYLES = {"error": "red", "warning": "yellow", "execution": "green", "order-warning": "yellow"}


_WIDE = 110
"""Columns from which quotes and positions fit side by side."""


def screen_of(picture: Picture, width: int) -> Layout:
    """Lay the picture out for a terminal of so many columns."""
    layout = Layout()
    if width < _WIDE:
        layout.split_column(
            Layout(_head(picture), size=1),
            Layout(_quotes(picture), ratio=4),
            Layout(_positions(picture), ratio=3),
            Layout(_orders(picture, is_wide=False), ratio=4),
            Layout(_log(picture), ratio=3),
        )
        return layout
    layout.split_column(
        Layout(_head(picture), size=1),
        Layout(name="top", ratio=2),
        Layout(_orders(picture, is_wide=True), ratio=2),
        Layout(_log(picture), ratio=1),
    )
    layout["top"].split_row(Layout(_quotes(picture), ratio=3), Layout(_positions(picture), ratio=2))
    return layout


def _head(picture: Picture) -> RenderableType:
    head = Text.assemble(
        ("txTrader ", "bold"),
        picture.mode or "-",
        "  ",
        (picture.status, _STATUS_STYLES.get(picture.status, "bold yellow")),
        "  ",
        ("" if picture.connection == "CONNECTED" else picture.connection, "bold red"),
        "  ",
        picture.time,
    )
    head.append("   q quits", "dim")
    return head


def _table(*columns: str) -> Table:
    """Make a table; a heading that begins with > is of numbers."""
    table = Table(box=None, expand=True, pad_edge=False, header_style="dim")
    for heading in columns:
        table.add_column(
            heading.removeprefix(">"), justify="right" if heading.startswith(">") else "left", no_wrap=True
        )
    return table


def _quotes(picture: Picture) -> Panel:
    table = _table("symbol", ">size", ">bid", ">ask", ">size", ">last", ">volume")
    for symbol, quote in sorted(picture.quotes.items()):
        style = {1: "green", -1: "red"}.get(picture.moves.get(symbol, 0), "")
        before = [Text(to_text(quote.get(name))) for name in ("bidsize", "bid", "ask", "asksize")]
        last = Text(to_text(quote.get("last")), style=style)
        row_style = "dim" if quote.get("stale") else ""
        table.add_row(Text(symbol), *before, last, Text(to_text(quote.get("volume"))), style=row_style)
    return Panel(table, title="quotes", border_style="dim")


def _positions(picture: Picture) -> Panel:
    table = _table("account", "symbol", ">quantity", ">average")
    for (account, symbol), record in sorted(picture.positions.items()):
        if record.get("quantity"):
            cells = (account, symbol, to_text(record.get("quantity")), to_text(record.get("avgprice")))
            table.add_row(*(Text(cell) for cell in cells))
    return Panel(table, title="positions", border_style="dim")


def _orders(picture: Picture, *, is_wide: bool) -> Panel:
    more = ("type", ">average") if is_wide else ()
    table = _table("id", "side", ">quantity", "symbol", ">price", ">filled", *more, "status")
    for order in reversed(list(picture.orders.values())):
        status = str(order.get("status"))
        price = order.get("price") if order.get("price") is not None else order.get("aux_price")
        cells = [Text(to_text(order.get(name))) for name in ("id", "side", "quantity", "symbol")]
        cells += [Text(to_text(price)), Text(to_text(order.get("filled")))]
        if is_wide:
            cells += [Text(to_text(order.get("type"))), Text(to_text(order.get("avgfillprice")))]
        table.add_row(*cells, Text(status, style=_ORDER_STYLES.get(status, "yellow")))
    return Panel(table, title="orders", border_style="dim")


def _log(picture: Picture) -> Panel:
    lines = [
        Text.assemble((at, "dim"), " ", (type, _LOG_STYLES.get(type, "bold")), " ", words, no_wrap=True)
        for at, type, words in reversed(picture.log)
    ]
    return Panel(Group(*lines), title="events, newest first", border_style="dim")
