"""Chains: an order's whole life as CQG tells it, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from txtrader.dialects.cqg.orders import statuses_for
from txtrader.exsim.orders import Order
from txtrader.exsim.records import Commission, Fill
from txtrader.model.order import OrderStatus
from txtrader.wire.cqg.words import OrderStatus as Status

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.cqg.compound import Bracket, Compound

__all__ = ["SUSPENDED", "Chain", "Transaction"]

SUSPENDED = ("release", "parent")
"""What an order waits for that has not been put to work."""


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a chain.  `order_status` is where the order stood after it; `fill` is the venue's."""

    number: int
    step: int
    order_status: int
    time: int
    cl_order_id: str
    orig_cl_order_id: str = ""
    fill: Fill | None = None
    ref: int | None = None
    code: int | None = None
    text: str = ""


class Chain:
    """One order's life as CQG tells it."""

    def __init__(self, cl_order_id: str, user: str) -> None:
        self.order: Order | None = None
        self.cl_order_id = cl_order_id
        self.user = user
        self.version = 0
        self.pending: Status | None = None
        self.requested = ""  # the cl_order_id of the modify or cancel under way
        self.transactions: list[Transaction] = []
        self.commissions: dict[str, Commission] = {}
        self.compound: Compound | None = None
        self.bracket: Bracket | None = None

    @property
    def chain_order_id(self) -> str:
        assert self.order is not None
        return str(self.order.id)

    @property
    def order_id(self) -> str:
        return self.chain_order_id if not self.version else f"{self.chain_order_id}-{self.version}"

    @property
    def status(self) -> int:
        """Where the order stands, in CQG's number."""
        assert self.order is not None
        if self.pending is not None and self.order.is_open:
            return int(self.pending)
        if self.order.held in SUSPENDED and self.order.is_open:
            return int(Status.SUSPENDED)
        word = self.order.status
        return statuses_for(OrderStatus.NEW if word is OrderStatus.PENDING_NEW else word)
