"""Executions: what traded for whom, what it cost, and what was busted or corrected later."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from txtrader.exsim.accounts import Account
from txtrader.exsim.entry import exact_ticks
from txtrader.exsim.orders import Order
from txtrader.exsim.records import Commission, ExecKind, Fill
from txtrader.exsim.tape import Tape

__all__ = ["Executions"]

ZERO = Decimal(0)


class Executions:
    """Every fill of every participant, in order, each under the id of its latest revision as well.

    Ids are `<prefix>.<number>.01.<revision>`: the prefix is the venue's start, so that no two runs share one.
    """

    def __init__(
        self,
        prefix: str,
        now_ns: Callable[[], int],
        accounts: dict[str, Account],
        tell: Callable[..., None],
        tape: Tape,
    ) -> None:
        self._prefix = prefix
        self._now_ns = now_ns
        self._accounts = accounts
        self._tell = tell
        self._tape = tape
        self._number = 0
        self._standing: dict[str, Fill] = {}
        self._orders: dict[str, Order] = {}
        self._commissions: dict[str, Commission] = {}
        self._matches: dict[tuple[int, int], list[str]] = {}
        self.changed_accounts: dict[str, None] = {}  # an ordered set

    def add(
        self, order: Order, quantity: Decimal, price: Decimal, match_id: int, cost: Decimal, *, is_aggressor: bool
    ) -> None:
        """Record one side of an execution, book it, and tell it with its commission."""
        self._number += 1
        listing = order.listing
        fill = Fill(
            exec_id=f"{self._prefix}.{self._number:08x}.01.01",
            match_id=match_id,
            kind=ExecKind.NEW,
            order_id=order.id,
            owner=order.owner,
            client_order_id=order.client_order_id,
            account=order.account,
            listing_id=listing.id,
            side=order.side,
            quantity=quantity,
            price=price,
            cumulative=order.filled,
            average=order.average,
            time=self._now_ns(),
            liquidity="removed" if is_aggressor else "added",
            exchange=listing.primary_exchange,
        )
        self._keep(fill, order)
        self._matches.setdefault((listing.id, match_id), []).append(fill.exec_id)
        account = self._accounts[order.account]
        realized = account.trade(listing, order.sign * quantity, price, cost)
        self._tape.write("fill", fill.exec_id, order.id, quantity, price, match_id, fill.liquidity)
        self._tell("order_filled", order, fill)
        self._charge(order, fill, cost, realized)
        self._tell("holding_changed", order, account.holding(account.position(listing)))
        self.changed_accounts[order.account] = None

    def _keep(self, fill: Fill, order: Order) -> None:
        self._standing[fill.exec_id] = fill
        self._orders[fill.exec_id] = order
        order.exec_ids.append(fill.exec_id)

    def _charge(self, order: Order, fill: Fill, cost: Decimal, realized: Decimal | None) -> None:
        charge = Commission(
            exec_id=fill.exec_id,
            order_id=order.id,
            owner=order.owner,
            account=order.account,
            amount=cost,
            currency=order.listing.currency,
            realized=realized,
        )
        self._commissions[fill.exec_id] = charge
        self._tape.write("commission", fill.exec_id, cost)
        self._tell("commission_charged", order, charge)

    def restore(self, fills: list[tuple[Fill, Commission | None]], orders: dict[int, Order]) -> dict[int, int]:
        """Take over the fills of an earlier run; return the highest match number by listing."""
        highest: dict[int, int] = {}
        for fill, commission in fills:
            order = orders.get(fill.order_id)
            if order is None:
                continue
            self._keep(fill, order)
            self._matches.setdefault((fill.listing_id, fill.match_id), []).append(fill.exec_id)
            if commission is not None:
                self._commissions[fill.exec_id] = commission
            highest[fill.listing_id] = max(highest.get(fill.listing_id, 0), fill.match_id)
        return highest

    def forget(self, order: Order) -> None:
        """Forget the fills of an order that is long done."""
        for exec_id in order.exec_ids:
            fill = self._standing.pop(exec_id, None)
            self._orders.pop(exec_id, None)
            self._commissions.pop(exec_id, None)
            if fill is not None:
                self._matches.pop((fill.listing_id, fill.match_id), None)

    def met_public(self, order: Order) -> bool:
        """Tell whether an order traded with a public account, by the fills in force."""
        for exec_id in order.exec_ids:
            fill = self._standing.get(exec_id)
            if fill is None:
                continue
            for other in self._matches.get((fill.listing_id, fill.match_id), ()):
                if self._accounts[self._standing[other].account].is_public:
                    return True
        return False

    def standing(self) -> list[Fill]:
        """Return the fills in force, oldest first by their first revision."""
        return list(self._standing.values())

    def get(self, exec_id: str) -> Fill | None:
        """Return a fill in force."""
        return self._standing.get(exec_id)

    def commission_of(self, exec_id: str) -> Commission | None:
        return self._commissions.get(exec_id)

    def sides(self, exec_id: str) -> list[str]:
        """Return the ids in force of all participants' sides of the execution that `exec_id` is a side of."""
        fill = self._standing[exec_id]
        return [side for side in self._matches[fill.listing_id, fill.match_id] if side in self._standing]

    def revise(self, exec_id: str, *, quantity: Decimal, price: Decimal, kind: ExecKind) -> Fill:
        """Put another fill, or none (quantity 0, a bust), in the place of one in force; book the difference.

        Raises KeyError for an id that is not in force.
        """
        old = self._standing[exec_id]
        order = self._orders[exec_id]
        listing = order.listing
        charge = self._commissions[exec_id]
        account = self._accounts[old.account]
        account.trade(listing, -order.sign * old.quantity, old.price, -charge.amount)
        realized: Decimal | None = None
        cost = ZERO
        if quantity:
            cost = charge.amount
            realized = account.trade(listing, order.sign * quantity, price, cost)
        lots, ticks = int(quantity / listing.step), exact_ticks(price, listing)
        old_lots, old_ticks = int(old.quantity / listing.step), exact_ticks(old.price, listing)
        order.filled_lots += lots - old_lots
        order.notional += lots * ticks - old_lots * old_ticks
        order.average = Decimal(order.notional) / order.filled_lots * listing.tick if order.filled_lots else ZERO
        order.commission += cost - charge.amount
        head, _, revision = exec_id.rpartition(".")
        new = msgspec.structs.replace(
            old,
            exec_id=f"{head}.{int(revision) + 1:02d}",
            kind=kind,
            quantity=quantity or old.quantity,
            price=price,
            cumulative=order.filled,
            average=order.average,
            time=self._now_ns(),
            replaces=exec_id,
        )
        ids = self._matches[listing.id, old.match_id]
        ids.remove(exec_id)
        if quantity:
            # in its old place among the fills: rebuilt, since this is rare
            self._standing = {
                (new.exec_id if key == exec_id else key): (new if key == exec_id else value)
                for key, value in self._standing.items()
            }
            ids.append(new.exec_id)
        else:
            del self._standing[exec_id]
        self._orders[new.exec_id] = order
        order.exec_ids.append(new.exec_id)
        self._tape.write(str(kind), new.exec_id, order.id, quantity, price)
        self._tell("fill_corrected", order, new)
        if quantity:
            self._charge(order, new, cost, realized)
        self._tell("holding_changed", order, account.holding(account.position(listing)))
        self.changed_accounts[old.account] = None
        return new
