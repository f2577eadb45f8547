"""One order's chain of ClOrdIDs: what it was called, what it is called now, and which requests are under way."""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

from txtrader.model.instrument import Instrument
from txtrader.model.order import Order, OrderUpdate, Side

__all__ = ["Known", "cl_ord_id_of", "gateway_id"]

_OURS = re.compile(r"(TX-[0-9A-Z]+-[0-9]+)(?:-([0-9A-Z]+))?", re.ASCII)
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def gateway_id(cl_ord_id: str | None) -> str | None:
    """Return the gateway's order id that a ClOrdID of ours was made of, None for a stranger's."""
    found = None if cl_ord_id is None else _OURS.fullmatch(cl_ord_id)
    return None if found is None else found[1]


def cl_ord_id_of(order_id: str, stamp: int) -> str:
    """Name a request about an order: the order's id and a number that was never used with it."""
    text = ""
    while stamp:
        stamp, digit = divmod(stamp, 36)
        text = _DIGITS[digit] + text
    return f"{order_id}-{text or '0'}"


class Known(msgspec.Struct):
    """One order as this side knows it.

    `ref` is the gateway's id, of a stranger's order the first ClOrdID seen; `current` the ClOrdID of the last accepted
    request, which the next one names.  `asked` are requests under way: ClOrdID: `cancel` or `replace`.
    """

    ref: str | None
    is_ours: bool
    current: str | None = None
    permid: str | None = None
    order: Order | None = None
    instrument: Instrument | None = None
    account: str | None = None
    side: Side | None = None
    quantity: Decimal | None = None
    last: OrderUpdate | None = None
    is_over: bool = False
    ended_at: int = 0
    asked: dict[str, str] = {}
    wants_cancel: bool = False
    cancelled_at: int = 0

    @property
    def key(self) -> str:
        """What names the order in the ids of its executions."""
        return (self.ref if self.is_ours else self.permid or self.ref) or ""

    @property
    def is_replacing(self) -> bool:
        return "replace" in self.asked.values()

    @property
    def is_cancelling(self) -> bool:
        return "cancel" in self.asked.values()
