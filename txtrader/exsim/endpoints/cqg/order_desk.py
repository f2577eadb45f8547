"""The order desk of the simulated CQG server: chains, their transactions, and lots of positions.

One desk serves all clients and outlives them.  An order is a chain: `chain_order_id` stays, `order_id` is new after
each accepted modify, and every step is a transaction with a growing number.  Orders that came into the venue by
another way are chains like any other, entered by somebody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from txtrader.dialects.cqg.orders import OrderTerms, put_terms, statuses_for, wire_side
from txtrader.exsim.endpoints.cqg.compound import Bracket, Compound, bracket_terms
from txtrader.exsim.endpoints.cqg.contract_messages import put_listing
from txtrader.exsim.listeners import OrderListener
from txtrader.exsim.orders import Order
from txtrader.exsim.records import Commission, Fill, Holding, Reason, Refusal
from txtrader.model.order import OrderStatus, Side
from txtrader.wire.cqg.schema import message_class
from txtrader.wire.cqg.values import PriceScale, put_decimal, put_timestamp
from txtrader.wire.cqg.words import CompoundType, RejectCode
from txtrader.wire.cqg.words import OrderStatus as Status
from txtrader.wire.cqg.words import TransactionStatus as Step

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.cqg.endpoint import CqgEndpoint
    from txtrader.exsim.endpoints.cqg.user_session import UserSession

__all__ = ["Chain", "Lot", "OrderDesk", "Transaction", "order_to_state"]

_SUSPENDED = ("release", "parent")  # what an order waits for that has not been put to work
_WireStatus = message_class("order_2.OrderStatus")
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
        if self.order.held in _SUSPENDED and self.order.is_open:
            return int(Status.SUSPENDED)
        word = self.order.status
        return statuses_for(OrderStatus.NEW if word is OrderStatus.PENDING_NEW else word)


class Lot(msgspec.Struct):
    """What is left of one opening fill; `quantity` is positive, `sign` its side."""

    number: int
    sign: int
    quantity: Decimal
    price: Decimal
    time: int


class OrderDesk(OrderListener):
    """All chains and lots of one endpoint, and the venue's observer for them."""

    def __init__(self, endpoint: CqgEndpoint) -> None:
        self.endpoint = endpoint
        self._chains: dict[int, Chain] = {}
        self._by_order_id: dict[str, Chain] = {}
        self._numbers = 0
        self._lots: dict[tuple[str, int], list[Lot]] = {}
        self._lot_numbers = 0
        self._clients: set[tuple[str, str, int]] = set()

    # -- finding

    def restore(self) -> None:
        """Take up the orders and positions that the venue remembers."""
        venue = self.endpoint.venue
        for order in [*venue.completed_orders(), *venue.live_orders()]:
            self.chain_of(order)
        for holding in venue.holdings():
            self._collapse(holding)

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

    def order_accepted(self, order: Order) -> None:
        chain = self.chain_of(order, is_new=True)
        self.step(chain, Step.IN_TRANSIT, order_status=Status.IN_TRANSIT)
        self.step(chain, Step.SUSPEND if order.held in _SUSPENDED else Step.ACK_PLACE)

    def order_rejected(self, order: Order, refusal: Refusal) -> None:
        chain = self.chain_of(order, is_new=True)
        self.step(chain, Step.IN_TRANSIT, order_status=Status.IN_TRANSIT)
        self.step(chain, Step.REJECTED, code=reject_code(refusal), text=refusal.text)

    def order_activated(self, order: Order) -> None:
        chain = self.chain_of(order)
        was_suspended = bool(chain.transactions) and chain.transactions[-1].order_status == Status.SUSPENDED
        self.step(chain, Step.ACK_PLACE if was_suspended else Step.UPDATE)

    def order_filled(self, order: Order, fill: Fill) -> None:
        chain = self.chain_of(order)
        self._move_lots(fill)
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
        key = (holding.account, holding.listing_id)
        total = sum((lot.sign * lot.quantity for lot in self._lots.get(key, ())), Decimal(0))
        if total != holding.quantity:
            self._collapse(holding)  # a correction: lots cannot tell what it changed
        for connection in list(self.endpoint.connections):
            if connection.trading is not None:
                connection.trading.position_changed(holding.account, holding.listing_id)

    def account_changed(self, account: str) -> None:
        for connection in list(self.endpoint.connections):
            if connection.trading is not None:
                connection.trading.account_changed(account)

    # -- lots

    def lots(self, account: str, listing_id: int) -> list[Lot]:
        """Return what an account holds of a listing, oldest first."""
        return self._lots.get((account, listing_id), [])

    def held(self, account: str) -> list[int]:
        """List the listings that an account holds something of."""
        return [listing_id for (owner, listing_id), lots in self._lots.items() if owner == account and lots]

    def _move_lots(self, fill: Fill) -> None:
        """First in, first out: a fill closes lots of the other side, what is left opens one."""
        lots = self._lots.setdefault((fill.account, fill.listing_id), [])
        left, sign = fill.quantity, fill.side.sign
        while left and lots and lots[0].sign != sign:
            closed = min(left, lots[0].quantity)
            lots[0].quantity -= closed
            left -= closed
            if not lots[0].quantity:
                lots.pop(0)
        if left:
            self._lot_numbers += 1
            lots.append(Lot(self._lot_numbers, sign, left, fill.price, fill.time))

    def _collapse(self, holding: Holding) -> None:
        listing = self.endpoint.venue.instruments.get(holding.listing_id)
        multiplier = listing.multiplier if listing is not None else Decimal(1)
        self._lot_numbers += 1
        self._lots[holding.account, holding.listing_id] = (
            [
                Lot(
                    self._lot_numbers,
                    1 if holding.quantity > 0 else -1,
                    abs(holding.quantity),
                    holding.average_cost / multiplier,
                    self.endpoint.venue.now_ns(),
                )
            ]
            if holding.quantity
            else []
        )

    # -- messages

    def status_message(
        self,
        chain: Chain,
        transactions: Sequence[Transaction],
        session: UserSession,
        *,
        subscriptions: Sequence[int] = (),
        is_snapshot: bool = False,
    ) -> Any:
        """Write a chain as an order_2.OrderStatus with some of its transactions."""
        order = chain.order
        assert order is not None
        listing, base = order.listing, session.base_time
        scale = PriceScale(listing.tick)
        message = _WireStatus()
        message.subscription_ids.extend(subscriptions)
        message.is_snapshot = is_snapshot
        message.status = transactions[-1].order_status if transactions else chain.status
        message.order_id, message.chain_order_id = chain.order_id, chain.chain_order_id
        message.account_id = self.endpoint.account_id(order.account)
        put_timestamp(message.status_utc_timestamp, transactions[-1].time if transactions else order.update_time)
        put_timestamp(message.submission_utc_timestamp, order.entry_time)
        put_decimal(message.fill_qty, order.filled)
        message.fill_qty.SetInParent()
        message.fill_cnt = len(order.exec_ids)
        message.scaled_avg_fill_price = round(order.average_price / listing.tick)
        message.avg_fill_price_correct = float(order.average_price)
        put_decimal(message.remaining_qty, order.remaining)
        message.remaining_qty.SetInParent()
        message.entered_by_user = chain.user
        message.first_statement_date = base.milliseconds(order.entry_time // _DAY * _DAY)
        self._put_order(message.order, chain, order, session, scale)
        is_new = not session.knows(listing)
        contract_id = session.contract_id(listing)
        message.order.contract_id = contract_id
        if is_new:
            put_listing(message.contract_metadata.add(), listing, session, self.endpoint)
        if chain.compound is not None:
            structure = message.compound_order_structure
            structure.type, structure.cl_compound_id = chain.compound.type, chain.compound.cl_compound_id
            for member in chain.compound.chains:
                if member.order is not None:
                    structure.compound_order_entries.add(chain_order_id=member.chain_order_id)
        for told in transactions:
            self._put_transaction(message.transaction_statuses.add(), told, chain, session, contract_id, scale)
        return message

    def _put_order(self, message: Any, chain: Chain, order: Order, session: UserSession, scale: PriceScale) -> None:
        terms = order.terms
        put_terms(
            message,
            OrderTerms(
                account_id=self.endpoint.account_id(order.account),
                contract_id=session.contract_id(order.listing) if session.knows(order.listing) else 0,
                cl_order_id=chain.cl_order_id,
                side=Side.BUY if order.side.sign > 0 else Side.SELL,
                quantity=order.quantity,
                type=order.type,
                tif=order.tif,
                limit_price=order.limit_price,
                stop_price=order.stop_price or terms.stop_price,
                trail_amount=terms.trail_amount,
                display_quantity=terms.display_quantity,
                good_till=order.expire_time if terms.expire_time is not None else None,
            ),
            scale,
            order.entry_time,
        )

    def _put_transaction(
        self, message: Any, told: Transaction, chain: Chain, session: UserSession, contract_id: int, scale: PriceScale
    ) -> None:
        base = session.base_time
        message.status, message.trans_id, message.cl_order_id = told.step, told.number, told.cl_order_id
        put_timestamp(message.trans_utc_timestamp, told.time)
        if told.orig_cl_order_id:
            message.orig_cl_order_id = told.orig_cl_order_id
        if told.ref is not None:
            message.ref_trans_id = told.ref
        if told.code is not None:
            message.reject_code = told.code
        if told.text:
            message.text_message = told.text
        fill = told.fill
        if fill is None:
            return
        put_decimal(message.fill_qty, fill.quantity)
        message.fill_qty.SetInParent()
        message.scaled_fill_price = scale.scaled(fill.price)
        trade = message.trades.add(
            trade_id=fill.exec_id,
            contract_id=contract_id,
            statement_date=base.milliseconds(fill.time // _DAY * _DAY),
            trade_date=base.milliseconds(fill.time // _DAY * _DAY),
            scaled_price=scale.scaled(fill.price),
            price_correct=float(fill.price),
            side=wire_side(fill.side),
        )
        put_timestamp(trade.trade_utc_timestamp, fill.time)
        put_decimal(trade.qty, fill.quantity)
        trade.qty.SetInParent()
        commission = chain.commissions.get(fill.exec_id)
        if commission is not None:
            message.fill_commission.commission = float(commission.amount)
            message.fill_commission.commission_currency = commission.currency


_DAY = 86_400_000_000_000
