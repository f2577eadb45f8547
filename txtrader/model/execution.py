"""Executions and the commission that follows them."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from txtrader.model.instrument import Instrument
from txtrader.model.order import Side

__all__ = ["CommissionReport", "ExecType", "Execution"]


class ExecType(StrEnum):
    """What an execution report says."""

    NEW = "New"
    CORRECT = "Correct"
    BUST = "Bust"


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One fill as the broker reported it.

    `exec_id` is the broker's and unique per fact; a correction or bust names the one it `replaces`, and in
    `supersedes` the still earlier versions of the same fill, where the ids tell them.  `order_ref`,
    `permid`, (`clientid`, `broker_order_id`) say whose it is; `order_id` is the gateway id, set by the blotter.
    `shares` is positive, `price` in the instrument's currency.
    """

    exec_id: str
    mode: str
    account: str
    symbol: str
    side: Side
    shares: Decimal
    price: Decimal
    time: int
    receive_time: int
    exec_type: ExecType = ExecType.NEW
    replaces: str | None = None
    supersedes: tuple[str, ...] = ()
    instrument: Instrument | None = None
    instrument_id: str | None = None
    order_id: str | None = None
    order_ref: str | None = None
    permid: str | None = None
    broker_order_id: str | None = None
    clientid: int | None = None
    client_order_id: str | None = None
    exchange: str | None = None
    cum_qty: Decimal | None = None
    avg_price: Decimal | None = None
    commission: Decimal | None = None
    commission_currency: str | None = None
    realized: Decimal | None = None
    liquidity: str | None = None


class CommissionReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an execution cost; may come long after it, and before it is known."""

    exec_id: str
    mode: str
    commission: Decimal | None = None
    currency: str | None = None
    realized: Decimal | None = None
