"""Text that came from outside, made fit for one line."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str) -> str:
    """Return text as one line of printable ASCII: what came from outside must not steer a terminal or a log."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if " " <= c <= "~" else c.encode("unicode_escape").decode() for c in text)
