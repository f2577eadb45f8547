"""Where policies answer requests: between the participants and the venue, before it processes anything.

A request that no policy fits goes straight on.  One that is delayed keeps its place: what is asked of an order while
its own entry waits is asked once that is through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from txtrader.exsim.amend import Amendments
from txtrader.exsim.desk import Desk
from txtrader.exsim.interventions import Interventions
from txtrader.exsim.orders import Order
from txtrader.exsim.policies.actions import Step
from txtrader.exsim.policies.conditions import Occurrence
from txtrader.exsim.policies.pace import draw_delay
from txtrader.exsim.policies.policy import Fired, Policy
from txtrader.exsim.records import Changes, Decision, Reason, Refusal, Terms

if TYPE_CHECKING:
    from txtrader.exsim.policies.policy_book import PolicyBook

__all__ = ["Gate", "order_fields"]


class _Plan:
    """What becomes of one request: `fired` are the rules that act on it."""

    def __init__(self, occurrence: Occurrence, fired: list[Fired]) -> None:
        self.occurrence = occurrence
        self.fired = fired
        self.refusal: Refusal | None = None
        self.delay = 0.0
        self.is_pending_told = False
        self.is_swallowed = False
        self.is_parked = False
        self.is_disconnected = False
        self.is_kept_out = False
        self.before: list[Decimal] = []  # what trades first, in shares of what is open
        self.share: Decimal | None = None


def order_fields(order: Order) -> dict[str, Any]:
    """Return what can be said of an order."""
    terms = order.terms
    return {
        "account": order.account,
        "symbol": order.listing.symbol,
        "side": "BUY" if order.sign > 0 else "SELL",
        "session": order.owner,
        "order_id": order.id,
        "client_order_id": terms.client_order_id,
        "quantity": terms.quantity,
        "price": terms.limit_price,
        "stop_price": terms.stop_price,
        "order_type": str(terms.type),
        "tif": str(terms.tif),
        "exchange": terms.exchange,
        "filled": order.filled,
        "remaining": order.remaining,
    }


class Gate:
    """Takes the requests of all participants while there are policies about requests."""

    def __init__(self, book: PolicyBook, desk: Desk, amendments: Amendments, hand: Interventions) -> None:
        self._book = book
        self._desk = desk
        self._amendments = amendments
        self._hand = hand
        self._waiting: dict[int, list[Callable[[], Any]]] = {}
        self._parked: dict[int, Callable[[Sequence[int]], None]] = {}

    # -- new orders

    def submit(self, owner: str, sequence: Sequence[Terms], accounts: Sequence[str]) -> list[Order]:
        """Enter orders as one message, as the policies have it."""
        desk = self._desk
        orders = desk.make_all(owner, sequence)
        plans = [self._plan("new", order, order_fields(order)) for order in orders]
        entering: list[Order] = []
        for order, plan in zip(orders, plans, strict=True):
            if plan is None:
                entering.append(order)
                continue
            if plan.is_pending_told:
                self._hand.tell("request_pending", order, "new")
            if plan.refusal is not None:
                order.end = order.end or plan.refusal
            if plan.is_parked:
                self._park(order, plan, accounts)
            elif not plan.is_swallowed:
                entering.append(order)
        delay = max((plan.delay for plan in plans if plan is not None), default=0.0)
        for order in entering if delay else ():
            self._waiting[order.id] = []

        def enter() -> None:
            asked = [ask for order in entering for ask in self._waiting.pop(order.id, ())]
            kept_out = [order.id for order, plan in zip(orders, plans, strict=True) if plan and plan.is_kept_out]
            desk.turns.run(None, partial(desk.accept, entering, accounts, kept_out))
            for plan in plans:
                if plan is not None and not plan.is_parked:
                    self._follow(plan)
            for ask in asked:
                ask()

        if delay:
            self._book.later(delay, enter)
        else:
            enter()
        if any(plan is not None and plan.is_disconnected for plan in plans):
            self._book.disconnect(owner)
        return orders

    def _park(self, order: Order, plan: _Plan, accounts: Sequence[str]) -> None:
        """Keep an order until it is released; `go(kept_out)` has the venue take it."""
        self._desk.tape.write("parked", order.id)

        def go(kept_out: Sequence[int]) -> None:
            stays_out = [*kept_out, order.id] if plan.is_kept_out else kept_out
            self._desk.turns.run(None, partial(self._desk.accept, [order], accounts, stays_out))
            self._follow(plan)

        self._parked[order.id] = go

    def is_parked(self, order: Order) -> bool:
        """Tell whether an order waits for its release."""
        return order.id in self._parked

    def release(
        self, order: Order, decision: Decision, quantity: Decimal | None, price: Decimal | None, text: str
    ) -> Refusal | None:
        """Decide about a parked order."""
        go = self._parked.pop(order.id, None)
        if go is None or not order.is_open:
            return Refusal(Reason.TOO_LATE, f"order {order.id} is not held")
        if decision is Decision.REJECT:
            order.end = order.end or Refusal(Reason.VENUE, text or "rejected by the venue")
        go([order.id] if decision in (Decision.FILL, Decision.PARTIALLY_FILL) else [])
        if decision in (Decision.FILL, Decision.PARTIALLY_FILL):
            lots = order.leaves if quantity is None else max(1, int(quantity / order.listing.step))
            self._hand.fill(order, order.leaves if decision is Decision.FILL else lots, price)
            self._hand.start(order)
        elif decision is Decision.CANCEL:
            self._amendments.cancel(None, order.id, Refusal(Reason.VENUE, text or "canceled by the venue"))
        return None

    # -- requests about orders

    def cancel(self, owner: str | None, order_id: int) -> Refusal | None:
        """Cancel an order, as the policies have it."""

        def cancel() -> Refusal | None:
            return self._amendments.cancel(owner, order_id, Refusal(Reason.USER, "canceled by its owner"))

        order = self._own(owner, order_id)
        if order is None:
            return cancel()
        if order.id in self._waiting:
            self._waiting[order.id].append(lambda: self.cancel(owner, order_id))
            return None
        self._parked.pop(order.id, None)
        plan = self._plan("cancel", order, order_fields(order))
        return cancel() if plan is None else self._ask(plan, order, "cancel", cancel)

    def replace(self, owner: str | None, order_id: int, changes: Changes) -> Refusal | None:
        """Change an order, as the policies have it."""
        order = self._own(owner, order_id)
        if order is None:
            return self._amendments.replace(owner, order_id, changes)
        if order.id in self._waiting:
            self._waiting[order.id].append(lambda: self.replace(owner, order_id, changes))
            return None
        given = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not None}
        fields = order_fields(order)
        names = {"limit_price": "price", "tif": "tif", "quantity": "quantity", "stop_price": "stop_price"}
        fields.update({names[name]: value for name, value in given.items() if name in names})
        plan = self._plan("replace", order, fields)
        if plan is None:
            return self._amendments.replace(owner, order_id, changes)
        if plan.share is not None:
            wanted = changes.quantity if changes.quantity is not None else order.terms.quantity
            changes = msgspec.structs.replace(changes, quantity=_lessened(order, wanted, plan.share))
        return self._ask(plan, order, "replace", lambda: self._amendments.replace(owner, order_id, changes))

    def exchange(self, owner: str, order_id: int, terms: Terms, accounts: Sequence[str]) -> Refusal | None:
        """Put a new order in the place of another one, as the policies about changes have it."""

        def exchange() -> Refusal | None:
            return self._amendments.exchange(owner, order_id, terms, accounts)

        order = self._own(owner, order_id)
        if order is None:
            return exchange()
        if order.id in self._waiting:
            self._waiting[order.id].append(lambda: self.exchange(owner, order_id, terms, accounts))
            return None
        fields = {**order_fields(order), "client_order_id": terms.client_order_id, "quantity": terms.quantity}
        plan = self._plan("replace", order, {**fields, "price": terms.limit_price, "tif": str(terms.tif)})
        if plan is None:
            return exchange()
        if plan.share is not None:
            terms = msgspec.structs.replace(terms, quantity=_lessened(order, terms.quantity, plan.share))
        filled = order.filled

        def exchange_what_is_left() -> Refusal | None:
            """Exchange, less what has traded since that was asked: the sum of both orders was meant."""
            left = terms.quantity - (order.filled - filled)
            if left <= 0 and order.is_open:
                return self._amendments.cancel(owner, order_id, Refusal(Reason.USER, "nothing is left to replace"))
            wanted = msgspec.structs.replace(terms, quantity=left) if left > 0 else terms
            return self._amendments.exchange(owner, order_id, wanted, accounts)

        return self._ask(plan, order, "replace", exchange_what_is_left, ("exchange_rejected", terms))

    def _own(self, owner: str | None, order_id: int) -> Order | None:
        order = self._desk.orders.get(order_id)
        return order if order is not None and owner in (None, order.owner) else None

    def _ask(
        self,
        plan: _Plan,
        order: Order,
        request: str,
        carry_out: Callable[[], Refusal | None],
        told: tuple[Any, ...] = (),
    ) -> Refusal | None:
        """Have a request carried out, now or later; return the refusal of one that is refused now.

        `told` is the fact that tells a refusal, and what comes before it, where that is not `REQUEST_rejected`.
        """
        rejected, *asked = told or (f"{request}_rejected",)
        if plan.is_disconnected:
            self._book.disconnect(order.owner)
        if plan.is_pending_told:
            self._hand.tell("request_pending", order, request)
        if plan.is_swallowed:
            self._follow(plan)
            return None

        def process() -> Refusal | None:
            for share in plan.before:
                self._hand.fill(order, max(1, int(order.leaves * share)))
            refusal = plan.refusal
            if refusal is None:
                refusal = carry_out()
            else:
                self._desk.tape.write(rejected, order.id, str(refusal.reason))
                self._hand.tell(rejected, order, *asked, refusal)
            self._follow(plan)
            return refusal

        if plan.delay:
            self._book.later(plan.delay, process)
            return None
        return process()

    # -- plans

    def _plan(self, kind: str, order: Order, fields: dict[str, Any]) -> _Plan | None:
        """Ask the policies about a request; None where none acts on it."""
        occurrence = Occurrence(kind, self._book.scene(fields, order.listing), order=order)
        fired = self._book.decide(occurrence)
        if not fired:
            return None
        self._desk.tape.write("policy", kind, order.id, tuple(one.policy.name for one in fired))
        plan = _Plan(occurrence, fired)
        for one in fired:
            for step in one.steps:
                self._add(plan, step, one.policy)
        return plan

    def _add(self, plan: _Plan, step: Step, policy: Policy) -> None:
        match step.name:
            case "reject" | "refuse":
                plan.refusal = Refusal(Reason(step["reason"]), step["text"])
            case "delay":
                plan.delay += draw_delay(step, policy.random)
            case "pend":
                plan.is_pending_told = True
            case "swallow":
                plan.is_swallowed = True
            case "park":
                plan.is_parked = True
            case "fill" | "keep_out":
                plan.is_kept_out = True
            case "fill_first":
                plan.before.append(step["share"])
            case "lessen":
                plan.share = step["share"]
            case "throttle":
                self._throttle(plan, step, policy)

    def _throttle(self, plan: _Plan, step: Step, policy: Policy) -> None:
        wait = self._book.throttle(step, policy, plan.occurrence.fields["session"])
        if not wait:
            return
        if step["then"] == "delay":
            plan.delay += wait
        elif step["then"] == "reject":
            plan.refusal = Refusal(Reason.VENUE, "too many requests")
        else:
            plan.is_disconnected = plan.is_swallowed = True

    def _follow(self, plan: _Plan) -> None:
        """Do what the policies want besides the answer."""
        for one in plan.fired:
            self._book.deeds.run(one.steps, one.policy, plan.occurrence)


def _lessened(order: Order, wanted: Decimal, share: Decimal) -> Decimal:
    """Return a share of a quantity, in whole steps."""
    step = order.listing.step
    return max(step, wanted * share // step * step)
