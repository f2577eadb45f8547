"""Orders that hang together: one places others (OPO), one cancels others (OCO), a bundle, a bracket.

    OPO   the first entry's fill puts the rest to work; they are suspended until then
    OCO   what one of them fills is taken off the others
    with tick offsets, an OPO makes its own OCO of a target and a stop, at a distance from the fill price

The venue acts on the whole fill of the first order of an OPO, and on every fill within an OCO, whatever
`partial_fills_handling` says.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from txtrader.exsim.orders import Order
from txtrader.exsim.records import Terms
from txtrader.model.order import OrderType, Side, TimeInForce
from txtrader.wire.cqg.words import CompoundType

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.cqg.chains import Chain

__all__ = ["Bracket", "Compound", "CompoundError", "Entry", "bracket_terms", "flatten"]

_DEEPEST = 4  # compounds within compounds
_MOST = 50  # orders of one compound


class CompoundError(Exception):
    """A compound that makes no sense, or is not offered."""


class Bracket(msgspec.Struct, frozen=True, kw_only=True):
    """Distances in ticks from the fill price, without sign: the side of the first order decides."""

    cl_compound_id: str
    profit: int | None = None
    loss: int | None = None
    stop_limit: int | None = None


class Compound(msgspec.Struct, kw_only=True):
    """What the statuses of its orders say of a compound."""

    type: int
    cl_compound_id: str
    chains: list[Chain]


class Entry(msgspec.Struct, kw_only=True):
    """One new order: `parent` is the place of the entry that it waits for, `existing` the order_id of one before."""

    order: Any
    parent: int | None = None
    existing: str | None = None
    group: str = ""
    bracket: Bracket | None = None


def flatten(compound: Any) -> list[Entry]:
    """Return the new orders of a compound, each after the one that it waits for; raises CompoundError."""
    found: list[Entry] = []
    _add(compound, found, None, None, "", 0)
    if not found:
        raise CompoundError("a compound without orders")
    return found


def _add(compound: Any, found: list[Entry], parent: int | None, existing: str | None, group: str, depth: int) -> None:
    entries = list(compound.compound_order_entries)
    if depth >= _DEEPEST:
        raise CompoundError("compounds are nested too deeply")
    if not entries:
        raise CompoundError(f"{compound.cl_compound_id}: a compound without entries")
    if compound.type == CompoundType.OPO:
        _add_opo(compound, entries, found, parent, existing, group, depth)
        return
    if compound.type == CompoundType.OCO:
        group = f"{compound.cl_compound_id}/{len(found)}"
    elif compound.type != CompoundType.INDEPENDENT:
        raise CompoundError(f"{compound.type} is no type of a compound")
    for entry in entries:
        if entry.HasField("use_order"):
            raise CompoundError("an existing order can only be the first of an OPO")
        _add_entry(entry, found, parent, existing, group, depth)


def _add_opo(
    compound: Any,
    entries: list[Any],
    found: list[Entry],
    parent: int | None,
    existing: str | None,
    group: str,
    depth: int,
) -> None:
    first, bracket = entries[0], _bracket(compound)
    if len(entries) < 2 and bracket is None:
        raise CompoundError(f"{compound.cl_compound_id}: an OPO needs an order to place, or offsets")
    if len(entries) > 1 and bracket is not None:
        raise CompoundError(f"{compound.cl_compound_id}: offsets and further entries exclude each other")
    if first.HasField("use_order"):
        if bracket is not None:
            raise CompoundError(f"{compound.cl_compound_id}: offsets need a new order")
        parent, existing = None, first.use_order.order_id
    elif first.HasField("order"):
        _add_entry(first, found, parent, existing, group, depth)
        found[-1].bracket = bracket
        parent, existing = len(found) - 1, None
    else:
        raise CompoundError(f"{compound.cl_compound_id}: the first entry of an OPO has to be an order")
    for entry in entries[1:]:
        if entry.HasField("use_order"):
            raise CompoundError("an existing order can only be the first of an OPO")
        _add_entry(entry, found, parent, existing, "", depth)


def _add_entry(
    entry: Any, found: list[Entry], parent: int | None, existing: str | None, group: str, depth: int
) -> None:
    if entry.HasField("order") == entry.HasField("compound_order"):
        raise CompoundError("an entry is one order or one compound")
    if len(found) >= _MOST:
        raise CompoundError(f"more than {_MOST} orders")
    if entry.HasField("order"):
        found.append(Entry(order=entry.order, parent=parent, existing=existing, group=group))
    else:
        _add(entry.compound_order, found, parent, existing, group, depth + 1)


def _bracket(compound: Any) -> Bracket | None:
    def ticks(name: str) -> int | None:
        return abs(getattr(compound, name)) if compound.HasField(name) else None

    profit, loss = ticks("profit_tick_offset"), ticks("loss_tick_offset")
    if profit is None and loss is None:
        if compound.is_bracket and len(compound.compound_order_entries) < 2:
            raise CompoundError(f"{compound.cl_compound_id}: a bracket needs offsets, or its two orders")
        return None
    return Bracket(
        cl_compound_id=compound.cl_compound_id, profit=profit, loss=loss, stop_limit=ticks("stop_limit_tick_offset")
    )


def bracket_terms(order: Order, bracket: Bracket, chain_of: Callable[[str], Chain]) -> list[Terms]:
    """Return the target and the stop for an order that has filled; each has the chain of its client order id."""
    tick, sign = order.listing.tick, order.side.sign
    fill = round(order.average_price / tick) * tick
    group = f"{bracket.cl_compound_id}/{order.id}"

    def leg(name: str, kind: OrderType, limit: Decimal | None, stop: Decimal | None) -> Terms:
        identity = f"{bracket.cl_compound_id}.{name}"
        return Terms(
            listing_id=order.listing.id,
            account=order.account,
            side=Side.SELL if sign > 0 else Side.BUY,
            quantity=order.filled,
            type=kind,
            limit_price=limit,
            stop_price=stop,
            tif=order.tif if order.tif in (TimeInForce.DAY, TimeInForce.GTC) else TimeInForce.DAY,
            client_order_id=identity,
            oca_group=group,
            oca_type=2,
            exchange=order.listing.exchange,
            extra=chain_of(identity),
        )

    legs = []
    if bracket.profit is not None:
        legs.append(leg("profit", OrderType.LIMIT, fill + sign * bracket.profit * tick, None))
    if bracket.loss is not None:
        stop = fill - sign * bracket.loss * tick
        if bracket.stop_limit is None:
            legs.append(leg("loss", OrderType.STOP, None, stop))
        else:
            legs.append(leg("loss", OrderType.STOP_LIMIT, stop - sign * bracket.stop_limit * tick, stop))
    return legs
