"""Trading on the simulated CQG server: trade subscriptions with their snapshots, and order requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from txtrader.dialects.cqg.orders import OrderTerms, quantity_of, terms_of
from txtrader.exsim.endpoints.cqg.compound import Compound, CompoundError, flatten
from txtrader.exsim.endpoints.cqg.order_desk import Chain, Transaction
from txtrader.exsim.endpoints.cqg.reference import put_listing
from txtrader.exsim.endpoints.cqg.service import Answer, Service
from txtrader.exsim.records import Changes, Listing, Reason, Refusal, Terms
from txtrader.model.order import OrderType, Side, TimeInForce
from txtrader.wire.cqg.schema import ServerMsg
from txtrader.wire.cqg.values import PriceScale, put_decimal, put_timestamp, timestamp_ns
from txtrader.wire.cqg.words import OrderStatus as Status
from txtrader.wire.cqg.words import Publication, RejectCode, Scope, TradeStatus
from txtrader.wire.cqg.words import Side as WireSide
from txtrader.wire.cqg.words import TransactionStatus as Step

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.cqg.connection import CqgConnection

__all__ = ["Trading"]

_DAY = 86_400_000_000_000
_MOST_ID = 64  # bytes of a client order id


class _Subscription(msgspec.Struct):
    """What one trade subscription of a client is about."""

    number: int
    scopes: tuple[int, ...]
    accounts: tuple[str, ...]
    summary_fields: tuple[int, ...]


class _Rejected(Exception):
    """An order request for which no order exists that could carry a status."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = int(code)
        self.text = text


class Trading(Service):
    """One client's trade subscriptions and order requests."""

    def __init__(self, connection: CqgConnection) -> None:
        super().__init__(connection)
        self._subscriptions: dict[int, _Subscription] = {}
        self._is_interrupted = False
        self._owner = f"cqg-{self.user_session.user}"
        self._session = self.venue.open_session(self._owner, None, accounts=self.endpoint.accounts)
        self._shown_figures: dict[tuple[int, str], dict[str, float]] = {}

    @property
    def answers(self) -> Mapping[str, Answer]:
        return {"trade_subscriptions": self.subscribe, "order_requests": self.request}

    def close(self) -> None:
        self._subscriptions.clear()
        self._session.close()

    # -- subscriptions

    def subscribe(self, request: Any) -> None:
        """Begin or end a subscription: its status, the snapshots, then the completion, each a message."""
        number = request.id
        if not request.subscribe:
            self._subscriptions.pop(number, None)
            self._tell_status(number, TradeStatus.SUCCESS)
            return
        scopes = tuple(request.subscription_scopes)
        known = {scope.value for scope in (Scope.ORDERS, Scope.POSITIONS, Scope.COLLATERAL, Scope.ACCOUNT_SUMMARY)}
        if not scopes or len(set(scopes)) != len(scopes) or not set(scopes) <= known:
            self._tell_status(number, TradeStatus.FAILURE, "scopes are missing, doubled or not offered")
            return
        publication = request.publication_type if request.HasField("publication_type") else Publication.ALL_AUTHORIZED
        accounts = self.endpoint.accounts
        if publication == Publication.ACCOUNTS:
            found = [self.endpoint.account(account_id) for account_id in request.account_ids]
            if not found or None in found:
                self._tell_status(number, TradeStatus.INVALID_PUBLICATION_ID, "an account is not known")
                return
            accounts = tuple(account for account in found if account is not None)
        fields = tuple(request.account_summary_parameters.requested_fields)
        if Scope.ACCOUNT_SUMMARY in scopes and not fields:
            self._tell_status(number, TradeStatus.FAILURE, "the fields of the account summary are missing")
            return
        subscription = _Subscription(number, scopes, accounts, fields)
        if (refusal := self._over_limit(subscription)) is not None:
            self._tell_status(number, *refusal)
            return
        self._tell_status(number, TradeStatus.SUCCESS)
        since = 0
        if request.HasField("last_order_update_utc_timestamp"):
            since = timestamp_ns(request.last_order_update_utc_timestamp)
        self._send_snapshots(subscription, since, has_orders=not request.skip_orders_snapshot)
        self._subscriptions[number] = subscription

    def _over_limit(self, subscription: _Subscription) -> tuple[TradeStatus, str] | None:
        others = [one for one in self._subscriptions.values() if one.number != subscription.number]
        most, most_accounts = (self.endpoint.meters.most(name) for name in ("trade_subscriptions", "trade_accounts"))
        if most is not None and len(others) >= most:
            return TradeStatus.SUBSCRIPTION_LIMIT_VIOLATION, "too many trade subscriptions"
        if most_accounts is not None and sum(len(one.accounts) for one in (*others, subscription)) > most_accounts:
            return TradeStatus.SUBSCRIBED_ACCOUNTS_LIMIT_VIOLATION, "too many accounts are subscribed"
        return None

    def _send_snapshots(self, subscription: _Subscription, since: int = 0, *, has_orders: bool = True) -> None:
        """Send what a subscription is about, as it is now, then its completion."""
        number, scopes, accounts = subscription.number, subscription.scopes, subscription.accounts
        if Scope.ORDERS in scopes and has_orders:
            self._send_chains(subscription, since)
        if Scope.POSITIONS in scopes:
            for account in accounts:
                for listing_id in self.endpoint.desk.held(account):
                    self._send_position(account, listing_id, [number], is_snapshot=True)
        if Scope.COLLATERAL in scopes:
            for account in accounts:
                self._send_collateral(account, [number], is_snapshot=True)
        if Scope.ACCOUNT_SUMMARY in scopes:
            for account in accounts:
                self._send_summary(subscription, account, is_snapshot=True)
        message = ServerMsg()
        message.trade_snapshot_completions.add(subscription_id=number, subscription_scopes=list(scopes))
        self.connection.send(message)

    def interrupt(self, is_lost: bool) -> None:
        """Report all subscriptions as disconnected and tell nothing more, or as back, with their snapshots."""
        self._is_interrupted = is_lost
        for subscription in list(self._subscriptions.values()):
            self._tell_status(subscription.number, TradeStatus.DISCONNECTED if is_lost else TradeStatus.SUCCESS)
            if not is_lost:
                self._send_snapshots(subscription)

    def _tell_status(self, number: int, code: TradeStatus, text: str = "") -> None:
        message = ServerMsg()
        status = message.trade_subscription_statuses.add(id=number, status_code=int(code))
        if text:
            status.details.text = text
        self.connection.send(message)

    def _hearing(self, account: str, scope: Scope) -> list[int]:
        if self._is_interrupted:
            return []
        return [one.number for one in self._subscriptions.values() if scope in one.scopes and account in one.accounts]

    def _send_chains(self, subscription: _Subscription, since: int) -> None:
        """Send the chains of today and those that still work, each with all of its steps."""
        today = self.venue.now_ns() // _DAY * _DAY
        for chain in self.endpoint.desk.chains(subscription.accounts):
            order = chain.order
            assert order is not None
            last = chain.transactions[-1].time if chain.transactions else order.update_time
            if last < since or (not order.is_open and last < today):
                continue
            for told in chain.transactions or (None,):
                message = ServerMsg()
                message.order_statuses.append(
                    self.endpoint.desk.status_message(
                        chain,
                        [] if told is None else [told],
                        self.user_session,
                        subscriptions=[subscription.number],
                        is_snapshot=True,
                    )
                )
                self.connection.send(message)

    # -- what the desk tells

    def chain_changed(self, chain: Chain, told: Transaction) -> None:
        """Tell one step of a chain."""
        order = chain.order
        assert order is not None
        hearing = self._hearing(order.account, Scope.ORDERS)
        if not hearing:
            return
        message = ServerMsg()
        message.order_statuses.append(
            self.endpoint.desk.status_message(chain, [told], self.user_session, subscriptions=hearing)
        )
        self.connection.send(message)

    def position_changed(self, account: str, listing_id: int) -> None:
        """Tell what an account holds of a listing."""
        hearing = self._hearing(account, Scope.POSITIONS)
        if hearing:
            self._send_position(account, listing_id, hearing)

    def account_changed(self, account: str) -> None:
        """Tell the figures of an account that changed."""
        if self._is_interrupted:
            return
        for subscription in list(self._subscriptions.values()):
            if Scope.ACCOUNT_SUMMARY in subscription.scopes and account in subscription.accounts:
                self._send_summary(subscription, account)
        hearing = self._hearing(account, Scope.COLLATERAL)
        if hearing:
            self._send_collateral(account, hearing)

    def _send_position(
        self, account: str, listing_id: int, hearing: Sequence[int], *, is_snapshot: bool = False
    ) -> None:
        listing = self.venue.instruments.get(listing_id)
        if listing is None:
            return
        session, base = self.user_session, self.user_session.base_time
        message = ServerMsg()
        position = message.position_statuses.add(
            subscription_ids=hearing, is_snapshot=is_snapshot, account_id=self.endpoint.account_id(account)
        )
        if not session.knows(listing):
            put_listing(position.contract_metadata, listing, session, self.endpoint)
        position.contract_id = session.contract_id(listing)
        lots = self.endpoint.desk.lots(account, listing_id)
        position.is_short_open_position = bool(lots) and lots[0].sign < 0
        shown = {lot.number for lot in lots}
        key = (account, listing_id)
        for number in sorted(self.connection.shown_lots.get(key, set()) - shown):
            gone = position.open_positions.add(
                id=number, price_correct=0.0, trade_date=0, statement_date=0, is_aggregated=False, is_short=False
            )
            gone.qty.SetInParent()
        self.connection.shown_lots[key] = shown
        for lot in lots:
            day = base.milliseconds(lot.time // _DAY * _DAY)
            row = position.open_positions.add(
                id=lot.number,
                price_correct=float(lot.price),
                trade_date=day,
                statement_date=day,
                is_aggregated=False,
                is_short=lot.sign < 0,
            )
            put_decimal(row.qty, lot.quantity)
            row.qty.SetInParent()
            put_timestamp(row.trade_utc_timestamp, lot.time)
        self.connection.send(message)

    def _figures(self, account: str) -> dict[str, float]:
        figures = self.venue.figures(account)
        return {
            "total_margin": float(figures.init_margin_req),
            "position_margin": float(figures.maint_margin_req),
            "purchasing_power": float(figures.buying_power),
            "ote": float(figures.futures_pnl),
            "mvo": float(figures.option_market_value),
            "mvf": float(figures.stock_market_value),
            "cash_excess": float(figures.excess_liquidity),
            "current_balance": float(figures.total_cash_value),
            "profit_loss": float(figures.realized_pnl),
            "unrealized_profit_loss": float(figures.unrealized_pnl),
            "yesterday_balance": float(figures.previous_day_equity_with_loan_value),
        }

    def _send_summary(self, subscription: _Subscription, account: str, *, is_snapshot: bool = False) -> None:
        message = ServerMsg()
        summary = message.account_summary_statuses.add(
            subscription_ids=[subscription.number],
            is_snapshot=is_snapshot,
            account_id=self.endpoint.account_id(account),
        )
        known = {field.number: field.name for field in summary.DESCRIPTOR.fields}
        figures = self._figures(account)
        shown = self._shown_figures.setdefault((subscription.number, account), {})
        changed = {
            name: figures[name]
            for number in subscription.summary_fields
            if (name := known.get(number, "")) in figures and (is_snapshot or shown.get(name) != figures[name])
        }
        if not changed and not is_snapshot:
            return
        if is_snapshot:
            summary.currency = self.venue.figures(account).base_currency
            summary.failed_fields.extend(
                number for number in subscription.summary_fields if known.get(number) not in figures
            )
        shown.update(changed)
        for name, value in changed.items():
            setattr(summary, name, value)
        self.connection.send(message)

    def _send_collateral(self, account: str, hearing: Sequence[int], *, is_snapshot: bool = False) -> None:
        figures = self.venue.figures(account)
        message = ServerMsg()
        collateral = message.collateral_statuses.add(
            account_id=self.endpoint.account_id(account),
            currency=figures.base_currency,
            total_margin=float(figures.init_margin_req),
            purchasing_power=float(figures.buying_power),
        )
        collateral.subscription_ids.extend(hearing)
        collateral.is_snapshot = is_snapshot
        self.connection.send(message)

    # -- orders

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
                account = self._account(entry.order.account_id)
                if account in self.endpoint.options.view_only:
                    raise _Rejected(RejectCode.NOT_AUTHORISED, "the account is view-only")
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
        account = self._account(account_id)
        chain = self.endpoint.desk.find(order_id)
        if chain is None or chain.order is None or chain.order.account != account:
            raise _Rejected(RejectCode.ORDER_NOT_FOUND, f"order {order_id} is not found")
        if account in self.endpoint.options.view_only:
            raise _Rejected(RejectCode.NOT_AUTHORISED, "the account is view-only")
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
        accounts = [self._account(one.account_id) for one in wanted.account_order_filters]
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
        accounts = [self._account(one.account_id) for one in wanted.account_position_filters]
        self._acknowledge(request)
        for account in accounts:
            self._flatten(account)

    def _go_flat(self, wanted: Any, request: Any) -> None:
        accounts = [self._account(account_id) for account_id in wanted.account_ids]
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

    def _flatten(self, account: str) -> None:
        for holding in list(self.venue.holdings(account)):
            if not holding.quantity:
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
        raise _Rejected(RejectCode.SEE_TEXT, "a working order cannot be parked here")

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
