"""What participants did, kept in one file over a restart: orders, fills, cash, holdings.

The file is JSON lines, each the whole present state of one thing, so that the last line of a thing counts.  It is
written when a message and all that follows from it have been processed, straight to the system: a killed process
loses at most the message that it was processing, and a line torn by a crash of the machine is dropped.  When it is
opened it is written anew without what has been overtaken, or is done and old.  The house's orders are not kept: it
quotes again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from txtrader.exsim.accounts import Account
from txtrader.exsim.listeners import OrderListener
from txtrader.exsim.orders import Order
from txtrader.exsim.records import Commission, Fill, Refusal, Terms
from txtrader.model.order import OrderStatus

__all__ = ["AccountState", "FillState", "Memory", "OrderState", "PositionState", "Remembered"]

_OLD = 2 * 86400 * 1_000_000_000
COMPACT_ABOVE = 64 * 1024 * 1024
"""A file that has grown beyond this (bytes), and to twice what it was when last written anew, is written anew."""


class OrderState(msgspec.Struct, frozen=True, kw_only=True, tag="order"):
    """One order; ticks and lots as in `Order`.  What is in ticks may have half of one: see `book.half`."""

    id: int
    owner: str
    terms: Terms
    extra: Any
    price: int | Decimal | None
    lots: int
    leaves: int
    filled_lots: int
    notional: int | Decimal
    last_price: Decimal | None
    average: Decimal
    commission: Decimal
    status: OrderStatus
    held: str
    end: Refusal | None
    stop_ticks: int | None
    trail_best: int | Decimal | None
    was_elected: bool
    parent_id: int | None
    oca_group: str
    oca_type: int
    entry_time: int
    update_time: int
    expire_time: int | None


class FillState(msgspec.Struct, frozen=True, kw_only=True, tag="fill"):
    """One fill in force with its commission; `is_gone`: it was busted or replaced."""

    fill: Fill
    commission: Commission | None = None
    is_gone: bool = False


class PositionState(msgspec.Struct, frozen=True, kw_only=True):
    """One position, as in `Position`."""

    listing_id: int
    quantity: Decimal
    cost: Decimal
    realized: Decimal
    day_value: Decimal
    day_flow: Decimal


class AccountState(msgspec.Struct, frozen=True, kw_only=True, tag="account"):
    """One account's cash and positions."""

    name: str
    cash: dict[str, Decimal]
    positions: tuple[PositionState, ...]


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """What a file held: orders by id, fills in order, accounts by name."""

    orders: dict[int, OrderState]
    fills: dict[str, FillState]
    accounts: dict[str, AccountState]


_ENCODER = msgspec.json.Encoder(decimal_format="string")
_DECODER = msgspec.json.Decoder(OrderState | FillState | AccountState)


class Memory(OrderListener):
    """Write down what happens, as an observer of the venue; `save` is called when it is quiet.

    `extra_to_state` turns what an endpoint hung on an order into plain data, where it is not; None forgets it.
    """

    def __init__(self, path: str, now_ns: Callable[[], int]) -> None:
        self._path = path
        self._now_ns = now_ns
        self._orders: dict[int, Order] = {}
        self._fills: dict[str, tuple[Fill, Commission | None, bool]] = {}
        self._accounts: dict[str, None] = {}
        self._file: int | None = None
        self._size = self._limit = 0
        self.extra_to_state: Callable[[Any], Any] = _forgotten

    # -- reading

    def load(self) -> Remembered:
        """Read the file, write it anew without what is overtaken, and leave it open for more."""
        remembered = Remembered(orders={}, fills={}, accounts={})
        if os.path.exists(self._path):
            with open(self._path, "rb") as file:
                for line in file:
                    if not line.endswith(b"\n"):
                        break  # torn
                    self._take(remembered, _DECODER.decode(line))
        self._compact(remembered)
        return remembered

    def _take(self, remembered: Remembered, state: OrderState | FillState | AccountState) -> None:
        if isinstance(state, OrderState):
            remembered.orders[state.id] = state
        elif isinstance(state, AccountState):
            remembered.accounts[state.name] = state
        elif state.is_gone:
            remembered.fills.pop(state.fill.exec_id, None)
        else:
            remembered.fills[state.fill.exec_id] = state

    def _compact(self, remembered: Remembered) -> None:
        oldest = self._now_ns() - _OLD
        for number, order in list(remembered.orders.items()):
            if order.status.is_terminal and order.update_time < oldest:
                del remembered.orders[number]
        for exec_id, kept in list(remembered.fills.items()):
            if kept.fill.time < oldest and kept.fill.order_id not in remembered.orders:
                del remembered.fills[exec_id]
        fresh = self._path + ".new"
        with open(fresh, "wb") as file:
            for state in (
                *remembered.accounts.values(),
                *remembered.orders.values(),
                *remembered.fills.values(),
            ):
                file.write(_ENCODER.encode(state) + b"\n")
            file.flush()
            os.fsync(file.fileno())
            self._size = file.tell()
            self._limit = max(COMPACT_ABOVE, 2 * self._size)
        os.replace(fresh, self._path)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND)

    # -- writing

    def save(self, accounts: dict[str, Account]) -> None:
        """Write what has changed since the last time."""
        if self._file is None or not (self._orders or self._fills or self._accounts):
            return
        states: list[OrderState | FillState | AccountState] = [self._order_state(x) for x in self._orders.values()]
        for fill, commission, is_gone in self._fills.values():
            states.append(FillState(fill=fill, commission=commission, is_gone=is_gone))
        states += [_account_state(accounts[name]) for name in self._accounts]
        self._orders.clear()
        self._fills.clear()
        self._accounts.clear()
        data = b"".join(_ENCODER.encode(state) + b"\n" for state in states)
        self._size += len(data)
        while data:
            data = data[os.write(self._file, data) :]
        if self._size > self._limit:
            self.close()
            self.load()

    def close(self) -> None:
        """Write no more."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _order_state(self, order: Order) -> OrderState:
        return OrderState(
            id=order.id,
            owner=order.owner,
            terms=msgspec.structs.replace(order.terms, extra=None),
            extra=order.extra if _is_plain(order.extra) else self.extra_to_state(order.extra),
            price=order.price,
            lots=order.lots,
            leaves=order.leaves,
            filled_lots=order.filled_lots,
            notional=order.notional,
            last_price=order.last_price,
            average=order.average,
            commission=order.commission,
            status=order.status,
            held=order.held,
            end=order.end,
            stop_ticks=order.stop_ticks,
            trail_best=order.trail_best,
            was_elected=order.was_elected,
            parent_id=order.parent.id if order.parent is not None else None,
            oca_group=order.oca_group,
            oca_type=order.oca_type,
            entry_time=order.entry_time,
            update_time=order.update_time,
            expire_time=order.expire_time,
        )

    # -- what it listens to

    def order_accepted(self, order: Order) -> None:
        self._orders[order.id] = order

    order_activated = order_replaced = order_expired = order_accepted

    def order_rejected(self, order: Order, refusal: Refusal) -> None:
        self._orders[order.id] = order

    def order_restated(self, order: Order, reason: Refusal) -> None:
        self._orders[order.id] = order

    order_canceled = order_restated

    def order_filled(self, order: Order, fill: Fill) -> None:
        self._orders[order.id] = order
        self._fills[fill.exec_id] = (fill, None, False)
        self._accounts[order.account] = None

    def commission_charged(self, order: Order, commission: Commission) -> None:
        noted = self._fills.get(commission.exec_id)
        if noted is not None:
            self._fills[commission.exec_id] = (noted[0], commission, False)

    def fill_corrected(self, order: Order, fill: Fill) -> None:
        assert fill.replaces is not None
        self._orders[order.id] = order
        self._accounts[order.account] = None
        self._fills[fill.replaces] = (msgspec.structs.replace(fill, exec_id=fill.replaces), None, True)
        if fill.kind != "bust":
            self._fills[fill.exec_id] = (fill, None, False)


def _is_plain(extra: Any) -> bool:
    return isinstance(extra, dict | list | str | int | None)


def _forgotten(extra: Any) -> None:
    return None


def _account_state(account: Account) -> AccountState:
    return AccountState(
        name=account.name,
        cash=account.cash,
        positions=tuple(
            PositionState(
                listing_id=position.listing.id,
                quantity=position.quantity,
                cost=position.cost,
                realized=position.realized,
                day_value=position.day_value,
                day_flow=position.day_flow,
            )
            for position in account.positions.values()
        ),
    )
