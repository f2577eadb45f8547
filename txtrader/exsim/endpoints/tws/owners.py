"""How API clients are called as participants of the venue."""

from __future__ import annotations

__all__ = ["owner_of"]


def owner_of(client_id: int) -> str:
    """Name a client as the venue's participant."""
    return f"tws-{client_id}"
