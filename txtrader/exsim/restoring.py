"""Put what a file remembers back into a venue that has just been made."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from txtrader.exsim.accounts import Account
from txtrader.exsim.desk import Desk
from txtrader.exsim.floor import Floor
from txtrader.exsim.instruments import InstrumentMaster
from txtrader.exsim.memory import AccountState, OrderState, Remembered
from txtrader.exsim.orders import Order

__all__ = ["restore"]

_SAME = tuple(
    name for name in OrderState.__struct_fields__ if name not in ("id", "owner", "terms", "extra", "parent_id")
)


def restore(
    remembered: Remembered, instruments: InstrumentMaster, accounts: dict[str, Account], desk: Desk, floor: Floor
) -> None:
    """Give orders, fills, cash and positions back; what hangs on an expired listing or a gone account is left out.

    The live orders work again from `Desk.resume` on.
    """

    def make(state: OrderState) -> Order | None:
        terms = state.terms
        listing = instruments.get(terms.listing_id)
        if listing is None or terms.account not in accounts:
            return None
        return Order(state.id, terms.side.sign, None, state.lots, listing, state.owner, terms, state.entry_time)

    orders = _orders(remembered.orders.values(), make)
    fills = [(state.fill, state.commission) for state in remembered.fills.values()]
    floor.first_matches = desk.executions.restore(fills, orders)
    for state in remembered.accounts.values():
        if state.name in accounts:
            _fill_account(accounts[state.name], state, instruments)
    desk.restore(orders)


def _orders(states: Iterable[OrderState], make: Callable[[OrderState], Order | None]) -> dict[int, Order]:
    """Make the orders again, oldest first, with their parents and children."""
    orders: dict[int, Order] = {}
    for state in sorted(states, key=lambda state: state.id):
        order = make(state)
        if order is None:
            continue
        order.extra = state.extra
        for name in _SAME:
            setattr(order, name, getattr(state, name))
        parent = orders.get(state.parent_id) if state.parent_id is not None else None
        if parent is not None:
            order.parent = parent
            parent.children.append(order)
        orders[order.id] = order
    return orders


def _fill_account(account: Account, state: AccountState, instruments: InstrumentMaster) -> None:
    account.cash = dict(state.cash)
    for held in state.positions:
        listing = instruments.get(held.listing_id)
        if listing is None:
            continue
        position = account.position(listing)
        position.quantity, position.cost = held.quantity, held.cost
        position.realized, position.day_flow, position.day_value = held.realized, held.day_flow, held.day_value
