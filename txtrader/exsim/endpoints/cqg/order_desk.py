"""The order desk of the simulated CQG server: it keeps the chains, and makes transactions of the venue's facts.

One desk serves all clients and outlives them.  An order is a chain: `chain_order_id` stays, `order_id` is new after
each accepted modify, and every step is a transaction with a growing number.  Orders that came into the venue by
another way are chains like any other, entered by somebody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from txtrader.exsim.endpoints.cqg.chains import SUSPENDED, Chain, Transaction
from txtrader.exsim.endpoints.cqg.compound import Bracket, Compound, bracket_terms
from txtrader.exsim.endpoints.cqg.lots import Lots
from txtrader.exsim.listeners import OrderListener
from txtrader.exsim.orders import Order
from txtrader.exsim.records import Commission, Fill, Holding, Reason, Refusal
from txtrader.model.order import OrderStatus
from txtrader.wire.cqg.words import CompoundType, RejectCode
from txtrader.wire.cqg.words import OrderStatus as Status
from txtrader.wire.cqg.words import TransactionStatus as Step

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.cqg.endpoint import CqgEndpoint

__all__ = ["OrderDesk", "order_to_state"]

_PLAIN_TYPES = {
    Reason.UNSUPPORTED: RejectCode.ORDER_TYPE_NOT_ALLOWED,
    Reason.QUANTITY: RejectCode.NOT_BLOCK_SIZE,
    Reason.BUYING_POWER: RejectCode.WORST_CASE_MARGIN,
    Reason.UNKNOWN_ACCOUNT: RejectCode.NOT_AUTHORISED,
    Reason.UNKNOWN_INSTRUMENT: RejectCode.CONTRACT_NOT_CONFIGURED,
    Reason.CLOSED: RejectCode.CANNOT_ROUTE,
}


def order_to_state(extra: Any) -> dict[str, Any]:
    """Write what the endpoint hung on an order, for the venue's memory."""
    if isinstance(extra, Chain):
        return {"wire": "cqg", "cl": extra.cl_order_id, "version": extra.version, "user": extra.user}
    return {}


def reject_code(refusal: Refusal, *, is_cancel: bool = False, is_modify: bool = False) -> int:
    """Return CQG's code for why the venue refused."""
    if refusal.reason is Reason.TOO_LATE and is_cancel:
        return int(RejectCode.CANNOT_CANCEL_NOW)
    if refusal.reason is Reason.TOO_LATE and is_modify:
        return int(RejectCode.CANNOT_MODIFY_NOW)
    return int(_PLAIN_TYPES.get(refusal.reason, RejectCode.SEE_TEXT))


class OrderDesk(OrderListener):
    """All chains and lots of one endpoint, and the venue's observer for them."""

    def __init__(self, endpoint: CqgEndpoint) -> None:
        self.endpoint = endpoint
        self._chains: dict[int, Chain] = {}
        self._by_order_id: dict[str, Chain] = {}
        self._numbers = 0
        self.lots = Lots(endpoint.venue)
        self._clients: set[tuple[str, str, int]] = set()

    # -- finding

    def restore(self) -> None:
        """Take up the orders and positions that the venue remembers."""
        venue = self.endpoint.venue
        for order in [*venue.completed_orders(), *venue.live_orders()]:
            self.chain_of(order)
        for holding in venue.holdings():
            self.lots.collapse(holding)

    def find(self, order_id: str) -> Chain | None:
        """Return the chain whose present order id it is."""
        chain = self._by_order_id.get(order_id)
        return chain if chain is not None and chain.order_id == order_id else None

    def find_chain(self, chain_order_id: str) -> Chain | None:
        """Return the chain of a chain id."""
        return self._chains.get(int(chain_order_id)) if chain_order_id.isdigit() else None

    def chains(self, accounts: Sequence[str], *, since: int = 0) -> list[Chain]:
        """List the chains of accounts that changed at or after `since` (ns), oldest first."""
        wanted = frozenset(accounts)
        found = [chain for chain in self._chains.values() if chain.order is not None and chain.order.account in wanted]
        return [
            chain
            for chain in sorted(found, key=lambda chain: int(chain.chain_order_id))
            if not chain.transactions or chain.transactions[-1].time >= since
        ]

    def is_used(self, account: str, cl_order_id: str) -> bool:
        """Tell whether an account's order of today has that client order id; it counts as used from now on."""
        key = (account, cl_order_id, self.endpoint.venue.now_ns() // 86_400_000_000_000)
        if key in self._clients:
            return True
        self._clients.add(key)
        return False

    def chain_of(self, order: Order, *, is_new: bool = False) -> Chain:
        """Return the chain of an order of the venue; a strange one that is not new is adopted with its past."""
        chain = self._chains.get(order.id)
        if chain is not None:
            return chain
        extra = order.extra
        if isinstance(extra, Chain):
            chain = extra
            chain.order = order
        else:
            state = extra if isinstance(extra, dict) and extra.get("wire") == "cqg" else {}
            chain = Chain(state.get("cl") or order.client_order_id or f"V{order.id}", state.get("user") or order.owner)
            chain.version = int(state.get("version") or 0)
            chain.order = order
            if state:
                order.extra = chain
            if not is_new:
                self._retell(chain, order)
        self._chains[order.id] = chain
        self._by_order_id[chain.order_id] = chain
        return chain

    def _retell(self, chain: Chain, order: Order) -> None:
        """Give an order of before the steps that it must have gone."""
        if order.status is not OrderStatus.REJECTED:
            self._note(chain, Step.ACK_PLACE, order_status=Status.WORKING, time=order.entry_time)
        for fill in self.endpoint.venue.fills(account=order.account, listing_id=order.listing.id):
            if fill.order_id == order.id:
                self._note(chain, Step.FILL, fill=fill, time=fill.time)
                commission = self.endpoint.venue.commission_of(fill.exec_id)
                if commission is not None:
                    chain.commissions[fill.exec_id] = commission
        ends = {
            OrderStatus.CANCELED: Step.ACK_CANCEL,
            OrderStatus.REJECTED: Step.REJECTED,
            OrderStatus.EXPIRED: Step.EXPIRED,
        }
        if order.status in ends:
            self._note(chain, ends[order.status], time=order.update_time)

    def next_number(self) -> int:
        """Return a number that was never given before."""
        self._numbers += 1
        return self._numbers

    # -- what happens to a chain

    def step(self, chain: Chain, step: Step, **facts: Any) -> None:
        """Note a transaction and tell whoever subscribed."""
        told = self._note(chain, step, **facts)
        for connection in list(self.endpoint.connections):
            if connection.trading is not None:
                connection.trading.chain_changed(chain, told)

    def _note(
        self, chain: Chain, step: Step, *, order_status: int | None = None, time: int | None = None, **facts: Any
    ) -> Transaction:
        told = Transaction(
            number=self.next_number(),
            step=int(step),
            order_status=int(chain.status if order_status is None else order_status),
            time=self.endpoint.venue.now_ns() if time is None else time,
            cl_order_id=facts.pop("cl_order_id", chain.cl_order_id),
            **facts,
        )
        chain.transactions.append(told)
        return told

    # -- the venue's facts

    def request_pending(self, order: Order, request: str) -> None:
        """Say that a new order is in transit; of cancels and changes that is always said."""
        if request == "new":
            self._enter(order)

    def _enter(self, order: Order) -> Chain:
        """Return the chain of a new order, which is in transit; said once."""
        chain = self.chain_of(order, is_new=True)
        if not chain.transactions:
            self.step(chain, Step.IN_TRANSIT, order_status=Status.IN_TRANSIT)
        return chain

    def order_accepted(self, order: Order) -> None:
        chain = self._enter(order)
        self.step(chain, Step.SUSPEND if order.held in SUSPENDED else Step.ACK_PLACE)

    def order_rejected(self, order: Order, refusal: Refusal) -> None:
        chain = self._enter(order)
        self.step(chain, Step.REJECTED, code=reject_code(refusal), text=refusal.text)

    def order_activated(self, order: Order) -> None:
        chain = self.chain_of(order)
        was_suspended = bool(chain.transactions) and chain.transactions[-1].order_status == Status.SUSPENDED
        self.step(chain, Step.ACK_PLACE if was_suspended else Step.UPDATE)

    def order_parked(self, order: Order) -> None:
        self.step(self.chain_of(order), Step.SUSPEND)

    def order_filled(self, order: Order, fill: Fill) -> None:
        chain = self.chain_of(order)
        self.lots.move(fill)
        self.step(chain, Step.FILL, fill=fill)
        if chain.bracket is not None and order.status is OrderStatus.FILLED:
            self._place_bracket(chain, order, chain.bracket)

    def _place_bracket(self, chain: Chain, order: Order, bracket: Bracket) -> None:
        made: list[Chain] = []

        def chain_of(identity: str) -> Chain:
            made.append(Chain(identity, chain.user))
            return made[-1]

        asked = bracket_terms(order, bracket, chain_of)
        whole = Compound(type=int(CompoundType.OCO), cl_compound_id=bracket.cl_compound_id, chains=made)
        for leg in made:
            leg.compound = whole
        self.endpoint.venue.submit_all(order.owner, asked)

    def commission_charged(self, order: Order, commission: Commission) -> None:
        chain = self.chain_of(order)
        chain.commissions[commission.exec_id] = commission
        told = next(
            (one for one in chain.transactions if one.fill is not None and one.fill.exec_id == commission.exec_id), None
        )
        if told is not None:
            # The same transaction once more, now with its cost: clients know it by its number.
            for connection in list(self.endpoint.connections):
                if connection.trading is not None:
                    connection.trading.chain_changed(chain, told)

    def order_replaced(self, order: Order) -> None:
        chain = self.chain_of(order)
        former = chain.cl_order_id
        chain.pending = None
        chain.version += 1
        self._by_order_id[chain.order_id] = chain
        chain.cl_order_id = chain.requested or chain.cl_order_id
        self.step(chain, Step.ACK_MODIFY, orig_cl_order_id=former)

    def order_restated(self, order: Order, reason: Refusal) -> None:
        self.step(self.chain_of(order), Step.UPDATE, text=reason.text)

    def order_canceled(self, order: Order, reason: Refusal) -> None:
        chain = self.chain_of(order)
        former = chain.cl_order_id
        was_asked = chain.pending is Status.IN_CANCEL
        chain.pending = None
        if was_asked and chain.requested:
            chain.cl_order_id = chain.requested
        text = "" if reason.reason is Reason.USER else reason.text
        self.step(chain, Step.ACK_CANCEL, orig_cl_order_id=former if was_asked else "", text=text)

    def order_expired(self, order: Order) -> None:
        self.step(self.chain_of(order), Step.EXPIRED)

    def cancel_rejected(self, order: Order, refusal: Refusal) -> None:
        self._refused(order, Step.REJECT_CANCEL, reject_code(refusal, is_cancel=True), refusal.text)

    def replace_rejected(self, order: Order, refusal: Refusal) -> None:
        self._refused(order, Step.REJECT_MODIFY, reject_code(refusal, is_modify=True), refusal.text)

    def _refused(self, order: Order, step: Step, code: int, text: str) -> None:
        chain = self.chain_of(order)
        chain.pending = None
        self.step(chain, step, code=code, text=text, cl_order_id=chain.requested, orig_cl_order_id=chain.cl_order_id)

    def fill_corrected(self, order: Order, fill: Fill) -> None:
        chain = self.chain_of(order)
        old = next(
            (one for one in chain.transactions if one.fill is not None and one.fill.exec_id == fill.replaces), None
        )
        step = Step.FILL_BUST if fill.kind.value == "bust" else Step.FILL_CORRECT
        self.step(chain, step, fill=fill, ref=None if old is None else old.number)

    def holding_changed(self, holding: Holding) -> None:
        if self.lots.total(holding.account, holding.listing_id) != holding.quantity:
            self.lots.collapse(holding)  # a correction: lots cannot tell what it changed
        for connection in list(self.endpoint.connections):
            if connection.trading is not None:
                connection.trading.position_changed(holding.account, holding.listing_id)

    def account_changed(self, account: str) -> None:
        for connection in list(self.endpoint.connections):
            if connection.trading is not None:
                connection.trading.account_changed(account)
