"""How FIX identities are called as participants of the venue."""

from __future__ import annotations

from txtrader.wire.fix.session import Identity

__all__ = ["identity_of", "owner_of"]

_OWNER = "fix|"


def owner_of(identity: Identity) -> str:
    """Name an identity as the venue's participant."""
    return f"{_OWNER}{identity.begin_string}|{identity.sender}|{identity.target}"


def identity_of(owner: str) -> Identity | None:
    """Return the identity behind a participant's name, None for one of another wire."""
    if not owner.startswith(_OWNER):
        return None
    begin_string, sender, target = owner.removeprefix(_OWNER).split("|")
    return Identity(begin_string, sender, target)
