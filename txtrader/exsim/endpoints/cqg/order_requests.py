"""Order requests at the simulated CQG server: what they ask is checked, then the venue decides."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from txtrader.dialects.cqg.orders import OrderTerms, good_till_of, quantity_of, terms_of, tif_of
from txtrader.exsim.endpoints.cqg.chains import Chain
from txtrader.exsim.endpoints.cqg.compound import Compound, CompoundError, flatten
from txtrader.exsim.endpoints.cqg.service import Answer, Service
from txtrader.exsim.records import Changes, Listing, Reason, Refusal, Terms
from txtrader.model.order import OrderType, Side, TimeInForce
from txtrader.wire.cqg.schema import ServerMsg
from txtrader.wire.cqg.values import PriceScale, put_decimal, put_timestamp
from txtrader.wire.cqg.words import OrderStatus as Status
from txtrader.wire.cqg.words import RejectCode
from txtrader.wire.cqg.words import Side as WireSide
from txtrader.wire.cqg.words import TransactionStatus as Step

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.cqg.connection import CqgConnection

__all__ = ["OrderRequests"]

_MOST_ID = 64  # bytes of a client order id


class _Rejected(Exception):
    """An order request for which no order exists that could carry a status."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = int(code)
        self.text = text


class OrderRequests(Service):
    """One client's order requests; all connections of a user are one participant of the venue."""

    def __init__(self, connection: CqgConnection) -> None:
        super().__init__(connection)
        self._session = self.venue.open_session(f"cqg-{self.user_session.user}", None, accounts=self.endpoint.accounts)

    @property
    def answers(self) -> Mapping[str, Answer]:
        return {"order_requests": self.request}

    def close(self) -> None:
        self._session.close()

    def request(self, request: Any) -> None:
        """Take one order request."""
        try:
            self._check_rate()
            asked = [
                descriptor.name
                for descriptor, value in request.ListFields()
                if hasattr(value, "DESCRIPTOR") and hasattr(self, f"_{descriptor.name}")
            ]
            if len(asked) != 1:
                raise _Rejected(RejectCode.SEE_TEXT, "exactly one action of a kind that is offered")
            getattr(self, f"_{asked[0]}")(getattr(request, asked[0]), request)
        except _Rejected as rejected:
            message = ServerMsg()
            reject = message.order_request_rejects.add(request_id=request.request_id, reject_code=rejected.code)
            reject.details.text = rejected.text
            self.connection.send(message)

    def _check_rate(self) -> None:
        if self.endpoint.meters.is_over("orders", self.user_session.user):
            raise _Rejected(RejectCode.SEE_TEXT, "too many order requests: the limit for ten seconds was reached")

    def _account(self, account_id: int) -> str:
        account = self.endpoint.account(account_id)
        if account is None:
            raise _Rejected(RejectCode.NOT_AUTHORISED, f"account {account_id} is not known")
        if self.endpoint.meters.is_over("account_orders", account):
            raise _Rejected(
                RejectCode.SEE_TEXT, "too many order requests: the account's limit for a second was reached"
            )
        return account

    def _tradeable(self, account_id: int) -> str:
        account = self._account(account_id)
        if account in self.endpoint.options.view_only:
            raise _Rejected(RejectCode.NOT_AUTHORISED, "the account is view-only")
        return account

    def _new_order(self, new: Any, request: Any) -> None:
        self._place(new.order, self._account(new.order.account_id), is_suspended=new.suspend)

    def _place(self, wire: Any, account: str, *, is_suspended: bool = False) -> None:
        chain, listing, terms = self._read(wire, account)
        try:
            asked = self._venue_terms(terms, listing, account, chain)
        except ValueError as error:
            self._refuse(chain, listing, account, terms, str(error))
            return
        if account in self.endpoint.options.view_only:
            self._refuse(chain, listing, account, terms, "the account is view-only")
            return
        self._session.submit(msgspec.structs.replace(asked, is_held=is_suspended))

    def _new_compound_order(self, new: Any, request: Any) -> None:
        """Enter all orders of a compound as one message to the venue, or none."""
        compound = new.compound_order
        try:
            entries = flatten(compound)
            asked = []
            for entry in entries:
                account = self._tradeable(entry.order.account_id)
                chain, listing, terms = self._read(entry.order, account)
                parent_id = None if entry.parent is None else -1 - entry.parent
                if entry.existing is not None:
                    parent = self._own_chain(entry.existing, entry.order.account_id).order
                    parent_id = None if parent is None else parent.id
                chain.bracket = entry.bracket
                asked.append(
                    msgspec.structs.replace(
                        self._venue_terms(terms, listing, account, chain),
                        parent_id=parent_id,
                        oca_group=entry.group,
                        oca_type=2 if entry.group else 0,
                    )
                )
        except (CompoundError, ValueError) as error:
            raise _Rejected(RejectCode.SEE_TEXT, str(error)) from error
        whole = Compound(
            type=compound.type, cl_compound_id=compound.cl_compound_id, chains=[terms.extra for terms in asked]
        )
        for chain in whole.chains:
            chain.compound = whole
        self._session.submit_all(asked)

    def _read(self, wire: Any, account: str) -> tuple[Chain, Listing, OrderTerms]:
        """Read a new order; raises _Rejected where no order could carry a status."""
        listing = self.user_session.listing(wire.contract_id)
        if listing is None:
            raise _Rejected(RejectCode.CONTRACT_NOT_CONFIGURED, f"contract {wire.contract_id} is not known")
        identity = wire.cl_order_id
        if not identity or len(identity.encode()) > _MOST_ID:
            raise _Rejected(RejectCode.SEE_TEXT, f"cl_order_id has to have 1 to {_MOST_ID} bytes")
        if self.endpoint.desk.is_used(account, identity):
            raise _Rejected(RejectCode.SEE_TEXT, f"cl_order_id {identity} was used today")
        terms = terms_of(wire, PriceScale(listing.tick), self.user_session.base_time)
        return Chain(identity, self.user_session.user), listing, terms

    def _venue_terms(self, terms: OrderTerms, listing: Listing, account: str, chain: Chain) -> Terms:
        if terms.type is None or terms.tif is None:
            raise ValueError(f"{terms.broker_type or 'this duration'} is not offered")
        return Terms(
            listing_id=listing.id,
            account=account,
            side=terms.side,
            quantity=terms.quantity,
            type=terms.type,
            limit_price=terms.limit_price,
            stop_price=terms.stop_price,
            trail_amount=terms.trail_amount,
            limit_offset=Decimal(0) if terms.type is OrderType.TRAILING_STOP_LIMIT else None,
            tif=terms.tif,
            expire_time=terms.good_till,
            display_quantity=terms.display_quantity,
            client_order_id=chain.cl_order_id,
            exchange=listing.exchange,
            extra=chain,
        )

    def _refuse(self, chain: Chain, listing: Listing, account: str, terms: OrderTerms, text: str) -> None:
        """Report an order that never comes to the venue as rejected: it has an account and a contract."""
        plain = Terms(
            listing_id=listing.id,
            account=account,
            side=terms.side,
            quantity=terms.quantity,
            type=terms.type or OrderType.LIMIT,
            limit_price=terms.limit_price if terms.type else Decimal(0),
            stop_price=terms.stop_price,
            tif=terms.tif or TimeInForce.DAY,
            client_order_id=chain.cl_order_id,
            extra=chain,
        )
        refusal = Refusal(Reason.UNSUPPORTED, text)
        end = self.venue.add_screen(lambda order: refusal if order.extra is chain else None)
        try:
            self._session.submit(plain)
        finally:
            end()

    def _own_chain(self, order_id: str, account_id: int) -> Chain:
        account = self._tradeable(account_id)
        chain = self.endpoint.desk.find(order_id)
        if chain is None or chain.order is None or chain.order.account != account:
            raise _Rejected(RejectCode.ORDER_NOT_FOUND, f"order {order_id} is not found")
        return chain

    def _modify_order(self, modify: Any, request: Any) -> None:
        chain = self._own_chain(modify.order_id, modify.account_id)
        order = chain.order
        assert order is not None
        scale = PriceScale(order.listing.tick)
        changes = Changes(
            quantity=quantity_of(modify, "qty", "uint32_qty")
            if modify.HasField("qty") or modify.HasField("uint32_qty")
            else None,
            limit_price=scale.price(modify.scaled_limit_price) if modify.HasField("scaled_limit_price") else None,
            stop_price=scale.price(modify.scaled_stop_price) if modify.HasField("scaled_stop_price") else None,
            tif=tif_of(modify.duration) if modify.HasField("duration") else None,
            expire_time=good_till_of(modify, self.user_session.base_time),
        )
        chain.requested = modify.cl_order_id
        if order.is_open:
            chain.pending = Status.IN_MODIFY
            self.endpoint.desk.step(
                chain, Step.IN_MODIFY, cl_order_id=modify.cl_order_id, orig_cl_order_id=chain.cl_order_id
            )
        refusal = self.venue.replace(None, order.id, changes)
        if refusal is not None and chain.pending is not None:
            self.endpoint.desk.replace_rejected(order, refusal)

    def _cancel_order(self, cancel: Any, request: Any) -> None:
        chain = self._own_chain(cancel.order_id, cancel.account_id)
        self._cancel(chain, cancel.cl_order_id)

    def _cancel(self, chain: Chain, identity: str) -> None:
        order = chain.order
        assert order is not None
        chain.requested = identity
        if order.is_open:
            chain.pending = Status.IN_CANCEL
            self.endpoint.desk.step(
                chain, Step.IN_CANCEL, cl_order_id=identity or chain.cl_order_id, orig_cl_order_id=chain.cl_order_id
            )
        refusal = self.venue.cancel(None, order.id)
        if refusal is not None and chain.pending is not None:
            self.endpoint.desk.cancel_rejected(order, refusal)

    def _cancel_all_orders(self, wanted: Any, request: Any) -> None:
        if not wanted.account_order_filters:
            raise _Rejected(RejectCode.SEE_TEXT, "at least one filter")
        accounts = [self._tradeable(one.account_id) for one in wanted.account_order_filters]
        self._acknowledge(request)
        for one, account in zip(wanted.account_order_filters, accounts, strict=True):
            listing = self.user_session.listing(one.contract_id) if one.HasField("contract_id") else None
            for chain in self.endpoint.desk.chains([account]):
                order = chain.order
                assert order is not None
                fits_side = not one.HasField("side") or (one.side == WireSide.BUY) == (order.side.sign > 0)
                is_mine = chain.user == self.user_session.user
                if (
                    order.is_open
                    and fits_side
                    and (is_mine or (one.HasField("mine") and not one.mine))
                    and (listing is None or order.listing is listing)
                ):
                    self._cancel(chain, wanted.cl_order_id)

    def _liquidate_all(self, wanted: Any, request: Any) -> None:
        filters = list(wanted.account_position_filters)
        if not filters:
            raise _Rejected(RejectCode.SEE_TEXT, "at least one filter")
        accounts = [self._tradeable(one.account_id) for one in filters]
        self._acknowledge(request)
        for one, account in zip(filters, accounts, strict=True):
            listing = self.user_session.listing(one.contract_id) if one.HasField("contract_id") else None
            if listing is not None or not one.HasField("contract_id"):
                sign = (-1 if one.is_short else 1) if one.HasField("is_short") else 0
                self._flatten(account, None if listing is None else listing.id, sign)

    def _go_flat(self, wanted: Any, request: Any) -> None:
        accounts = [self._tradeable(account_id) for account_id in wanted.account_ids]
        if not accounts:
            raise _Rejected(RejectCode.SEE_TEXT, "at least one account")
        self._acknowledge(request)
        for account in accounts:
            for chain in self.endpoint.desk.chains([account]):
                if chain.order is not None and chain.order.is_open:
                    self._cancel(chain, "")
            self._flatten(account)
            message = ServerMsg()
            status = message.go_flat_statuses.add(
                request_id=request.request_id, account_id=self.endpoint.account_id(account), status_code=0
            )
            status.remaining_orders_qty.SetInParent()
            held = sum((abs(h.quantity) for h in self.venue.holdings(account)), Decimal(0))
            put_decimal(status.remaining_positions_qty, held)
            status.remaining_positions_qty.SetInParent()
            if held:
                status.status_code = 1  # something is left: nobody took the other side
            self.connection.send(message)

    def _flatten(self, account: str, listing_id: int | None = None, sign: int = 0) -> None:
        """Close what an account holds: of one listing or all, of one side or both."""
        for holding in list(self.venue.holdings(account)):
            if listing_id not in (None, holding.listing_id) or holding.quantity * (sign or holding.quantity) <= 0:
                continue
            self._session.submit(
                Terms(
                    listing_id=holding.listing_id,
                    account=account,
                    side=Side.SELL if holding.quantity > 0 else Side.BUY,
                    quantity=abs(holding.quantity),
                    type=OrderType.MARKET,
                    client_order_id=f"flat-{self.endpoint.desk.next_number()}",
                )
            )

    def _suspend_order(self, wanted: Any, request: Any) -> None:
        chain = self._own_chain(wanted.order_id, wanted.account_id)
        assert chain.order is not None
        refusal = self.venue.park(None, chain.order.id)
        if refusal is not None:
            raise _Rejected(RejectCode.CANNOT_MODIFY_NOW, refusal.text)

    def _activate_order(self, wanted: Any, request: Any) -> None:
        chain = self._own_chain(wanted.order_id, wanted.account_id)
        assert chain.order is not None
        refusal = self.venue.release(chain.order.id)
        if refusal is not None:
            raise _Rejected(RejectCode.CANNOT_MODIFY_NOW, refusal.text)

    def _acknowledge(self, request: Any) -> None:
        message = ServerMsg()
        ack = message.order_request_acks.add(request_id=request.request_id)
        put_timestamp(ack.when, self.venue.now_ns())
        self.connection.send(message)
