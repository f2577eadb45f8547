"""What a simulated server keeps of one logon, also while no connection is there."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from txtrader.exsim.records import Listing
from txtrader.wire.cqg.values import BaseTime

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.cqg.connection import CqgConnection

__all__ = ["UserSession"]


class UserSession:
    """One user's session: its token, its base time, the contract ids it was given, its connections.

    Contract ids are handles of the session: they start anew, and elsewhere, at each restore, so that a client that
    keeps old ones fails.
    """

    def __init__(self, user: str, number: int, now_ns: int, *, seed: int, can_restore: bool, can_join: bool) -> None:
        self.user = user
        self.number = number
        # Of clock and seed, not of chance: the same run gives the same bytes.
        self.token = hashlib.sha256(f"{seed}|{now_ns}|{number}|{user}".encode()).hexdigest()[:24]
        self.can_restore = can_restore
        self.can_join = can_join
        self.connections: list[CqgConnection] = []
        self.base_time = BaseTime.at(now_ns)
        self._epoch = 0
        self._ids: dict[int, int] = {}
        self._listings: dict[int, Listing] = {}

    def renew(self, now_ns: int) -> None:
        """Take a new base time and forget all contract ids."""
        self.base_time = BaseTime.at(now_ns)
        self._epoch += 1
        self._ids.clear()
        self._listings.clear()

    def contract_id(self, listing: Listing) -> int:
        """Return the session's handle for a listing, a new one where it has none."""
        number = self._ids.get(listing.id)
        if number is None:
            number = 1 + len(self._ids) + self._epoch * 1000 + self.number * 100_000
            self._ids[listing.id] = number
            self._listings[number] = listing
        return number

    def knows(self, listing: Listing) -> bool:
        """Tell whether the listing has a handle in this session."""
        return listing.id in self._ids

    def listing(self, contract_id: int) -> Listing | None:
        """Return the listing of a handle; None for one that this session never gave, or that trades no more."""
        listing = self._listings.get(contract_id)
        return listing if listing is None or listing.id > 0 else None

    def any_listing(self, contract_id: int) -> Listing | None:
        """Return the listing of a handle, also one that has expired."""
        return self._listings.get(contract_id)
