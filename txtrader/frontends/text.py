"""Texts of one line: what came from outside made fit for it, and errors as all positional front ends show them."""

from __future__ import annotations

from collections.abc import Mapping

from txtrader.errors import TxTraderError

__all__ = ["error_text", "printable"]


def printable(text: str) -> str:
    """Return text as one line of printable ASCII: what came from outside must not steer a terminal or a log."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if " " <= c <= "~" else c.encode("unicode_escape").decode() for c in text)


def error_text(error: TxTraderError) -> str:
    """Write `CODE: text`, with the order's id and the time to wait where they apply."""
    parts = [f"{error.code}: {error.text}"]
    if error.candidates:
        named = (c.get("symbol") if isinstance(c, Mapping) else c for c in error.candidates)
        parts.append(f"(candidates: {', '.join(map(str, named))})")
    if error.incident:
        parts.append(f"[incident={error.incident}]")
    if error.order and error.order.get("id"):
        parts.append(f"[order={error.order['id']}]")
    if error.retry_after is not None:
        parts.append(f"retry after {error.retry_after:g} s")
    return printable(" ".join(parts))
