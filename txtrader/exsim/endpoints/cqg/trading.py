"""Trade subscriptions of the simulated CQG server: orders, positions and accounts, first as they are, then the news."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from txtrader.exsim.endpoints.cqg.chains import Chain, Transaction
from txtrader.exsim.endpoints.cqg.options import BROKERAGE
from txtrader.exsim.endpoints.cqg.reference import put_listing
from txtrader.exsim.endpoints.cqg.service import Answer, Service
from txtrader.exsim.endpoints.cqg.status_messages import status_message
from txtrader.wire.cqg.schema import ServerMsg
from txtrader.wire.cqg.values import put_decimal, put_timestamp, timestamp_ns
from txtrader.wire.cqg.words import Publication, Scope, TradeStatus

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.cqg.connection import CqgConnection

__all__ = ["Trading"]

_DAY = 86_400_000_000_000


class _Subscription(msgspec.Struct):
    """What one trade subscription of a client is about."""

    number: int
    scopes: tuple[int, ...]
    accounts: tuple[str, ...]
    summary_fields: tuple[int, ...]


class Trading(Service):
    """One client's trade subscriptions."""

    def __init__(self, connection: CqgConnection) -> None:
        super().__init__(connection)
        self._subscriptions: dict[int, _Subscription] = {}
        self._is_interrupted = False
        self._shown_figures: dict[tuple[int, str], dict[str, float]] = {}

    @property
    def answers(self) -> Mapping[str, Answer]:
        return {"trade_subscriptions": self.subscribe}

    def close(self) -> None:
        self._subscriptions.clear()

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
        accounts = self._published(request, publication)
        if not accounts:
            self._tell_status(number, TradeStatus.INVALID_PUBLICATION_ID, "not every account named is known")
            return
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

    def _published(self, request: Any, publication: int) -> tuple[str, ...]:
        """Return the accounts that a subscription is about; none where a part of what it names is not known."""
        accounts = self.endpoint.accounts
        if publication == Publication.ACCOUNTS:
            found = [self.endpoint.account(account_id) for account_id in request.account_ids]
            return () if None in found else tuple(account for account in found if account is not None)
        if publication == Publication.ALL_AUTHORIZED:
            return accounts
        if publication not in (Publication.BROKERAGE, Publication.SALES_SERIES) or request.brokerage_id != BROKERAGE:
            return ()
        if publication == Publication.BROKERAGE:
            return accounts
        return tuple(one for one in accounts if self.endpoint.series_of(one) == request.sales_series_number)

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
                for listing_id in self.endpoint.desk.lots.held(account):
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
                    status_message(
                        self.endpoint,
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
            status_message(self.endpoint, chain, [told], self.user_session, subscriptions=hearing)
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
        lots = self.endpoint.desk.lots.of(account, listing_id)
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
