"""What the simulated CQG server answers to each kind of information request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from txtrader.exsim.endpoints.cqg.contract_messages import put_listing
from txtrader.exsim.endpoints.cqg.listings import short_name
from txtrader.exsim.endpoints.cqg.options import BROKERAGE
from txtrader.exsim.endpoints.cqg.status_messages import status_message
from txtrader.exsim.records import Listing
from txtrader.wire.cqg.words import BrokerageType, ExecInstruction, InfoStatus

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.cqg.service import Service

__all__ = ["Answers", "Refused"]

_DAY = 86_400_000_000_000
_MOST_DAYS_BACK = 30
_MILLISECOND = 1_000_000


class Refused(Exception):
    """A request is answered by a failure."""

    def __init__(self, code: InfoStatus, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Answers:
    """The kinds: each method fills the report of one request, or raises Refused."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._endpoint = service.endpoint
        self._venue = service.venue
        self.kinds: Mapping[str, Callable[[Any, Any], None]] = {
            "accounts_request": self._accounts,
            "symbol_resolution_request": self._symbol,
            "last_statement_balances_request": self._balances,
            "currency_rates_request": self._rates,
            "session_information_request": self._hours,
            "historical_orders_request": self._past_orders,
            "instrument_group_request": self._group,
            "order_entitlement_request": self._entitlement,
            "contract_metadata_request": self._contract,
            "order_status_request": self._chain,
        }

    # -- accounts and money

    def _accounts(self, request: Any, report: Any) -> None:
        brokerage = report.accounts_report.brokerages.add(id=BROKERAGE, name="SIM", type=int(BrokerageType.SIM))
        made: dict[str, Any] = {}
        today = self._today()
        for account in self._endpoint.all_accounts:
            number = self._endpoint.series_of(account)
            if number not in made:
                made[number] = brokerage.sales_series.add(number=number, name=f"Simulation {number}")
            entry = made[number].accounts.add(
                account_id=self._endpoint.account_id(account),
                brokerage_account_number=account,
                name=account,
                last_statement_date=today,
                is_view_only=account in self._endpoint.options.view_only,
                cleared_by_statements=True,
            )
            if account in self._endpoint.revoked:
                entry.is_unauthorized = True

    def _balances(self, request: Any, report: Any) -> None:
        today = self._today()
        rows = report.last_statement_balances_report
        rows.SetInParent()
        for account in self._endpoint.accounts:
            figures = self._venue.figures(account)
            for currency, cash in figures.ledger.items():
                rows.balances.add(
                    id=len(rows.balances) + 1,
                    account_id=self._endpoint.account_id(account),
                    statement_date=today,
                    currency=currency,
                    balance=float(cash),
                    total_value=float(cash),
                    ote=0.0,
                    upl=0.0,
                    mvo=0.0,
                    cash_excess=float(cash),
                    collateral=0.0,
                    initial_margin=0.0,
                )

    def _rates(self, request: Any, report: Any) -> None:
        figures = self._venue.figures(self._endpoint.accounts[0])
        rows = report.currency_rates_report.brokerage_currency_rates.add(
            brokerage_id=BROKERAGE, statement_date=self._today(), master_currency=figures.base_currency
        )
        rates = {}
        for account in self._endpoint.accounts:
            rates.update(self._venue.figures(account).exchange_rates)
        for currency, rate in rates.items():
            rows.currency_rates.add(currency=currency, rate=float(rate))

    # -- contracts

    def _symbol(self, request: Any, report: Any) -> None:
        listing = self._endpoint.names.resolve(
            request.symbol, types=request.preferred_types, countries=request.preferred_countries
        )
        if listing is None:
            raise Refused(InfoStatus.NOT_FOUND, f"{request.symbol}: no such symbol")
        self._put(report.symbol_resolution_report.contract_metadata, listing)
        if self._endpoint.names.is_expired(listing):
            report.symbol_resolution_report.deleted = True

    def _contract(self, request: Any, report: Any) -> None:
        self._put(report.contract_metadata_report.contract_metadata, self._listing(request.contract_id))

    def _group(self, request: Any, report: Any) -> None:
        names, group = self._endpoint.names, request.instrument_group_id
        members = names.options(group) if group[:2] in ("C.", "P.") else names.months(group)
        if not members:
            raise Refused(InfoStatus.NOT_FOUND, f"{group}: no such group")
        for listing in members:
            item = report.instrument_group_report.instruments.add(
                id=names.name(listing), name=short_name(listing), description=listing.long_name
            )
            self._put(item.contract_metadata, listing)

    def _hours(self, request: Any, report: Any) -> None:
        """Give one week of the sessions that the listings of that number trade in, as offsets from 00:00 UTC."""
        listing = self._endpoint.names.of_hours(request.session_info_id)
        if listing is None:
            raise Refused(InfoStatus.NOT_FOUND, f"{request.session_info_id}: no such trading hours")
        hours = report.session_information_report
        hours.session_info_id = request.session_info_id
        segment = hours.session_segments.add(session_segment_id=1)
        start = self._venue.now_ns() // _DAY * _DAY
        for name, is_regular in (("Regular", True), ("Electronic", False)):
            schedule = segment.session_schedules.add(name=name, is_primary=is_regular)
            for times in self._venue.sessions(listing.id, start, start + 7 * _DAY, regular=is_regular):
                midnight = datetime.strptime(times.date, "%Y%m%d").replace(tzinfo=UTC)
                first = int(midnight.timestamp()) * 1000
                opens, closes = (instant // _MILLISECOND - first for instant in (times.start, times.end))
                schedule.session_days.add(
                    days_of_week=[midnight.isoweekday() % 7], open_offset=opens, close_offset=closes
                )
                if not is_regular:  # a trading day begins with its first session
                    segment.trading_days.add(days_of_week=[midnight.isoweekday() % 7], start_offset=opens)

    # -- orders

    def _past_orders(self, request: Any, report: Any) -> None:
        base = self._service.user_session.base_time
        since = base.ns(request.from_date) // _DAY * _DAY
        if since < self._venue.now_ns() - (_MOST_DAYS_BACK + 1) * _DAY:
            raise Refused(InfoStatus.INVALID_PARAMS, f"at most {_MOST_DAYS_BACK} days back")
        until = base.ns(request.to_date) // _DAY * _DAY + _DAY if request.HasField("to_date") else None
        accounts = [name for number in request.account_ids if (name := self._endpoint.account(number)) is not None]
        if len(accounts) != len(request.account_ids):
            raise Refused(InfoStatus.NOT_FOUND, "an account is not known")
        report.historical_orders_report.SetInParent()
        for chain in self._endpoint.desk.chains(accounts or self._endpoint.accounts, since=since):
            order = chain.order
            if order is not None and (until is None or order.entry_time < until):
                report.historical_orders_report.order_statuses.append(self._status(chain))

    def _chain(self, request: Any, report: Any) -> None:
        chain = self._endpoint.desk.find_chain(request.chain_order_id)
        if chain is None or chain.order is None or chain.order.account not in self._endpoint.accounts:
            raise Refused(InfoStatus.NOT_FOUND, f"{request.chain_order_id}: no such order")
        report.order_status_report.order_status.CopyFrom(self._status(chain))

    def _status(self, chain: Any) -> Any:
        return status_message(
            self._endpoint,
            chain,
            chain.transactions,
            self._service.user_session,
            is_snapshot=True,
        )

    def _entitlement(self, request: Any, report: Any) -> None:
        self._listing(request.contract_id)
        if self._endpoint.account(request.account_id) is None:
            raise Refused(InfoStatus.NOT_FOUND, "no such account")
        rows = report.order_entitlement_report
        for order_type in (1, 2, 3, 4):
            for duration in (1, 2, 3, 4, 5, 6):
                rows.order_entitlements.add(
                    order_type=order_type,
                    is_synthetic=False,
                    duration=duration,
                    exec_instruction=int(ExecInstruction.NONE),
                )

    # -- the inside

    def _listing(self, contract_id: int) -> Listing:
        listing = self._service.user_session.any_listing(contract_id)
        if listing is None:
            raise Refused(InfoStatus.NOT_FOUND, f"{contract_id}: no such contract in this session")
        return listing

    def _put(self, message: Any, listing: Listing) -> None:
        put_listing(message, listing, self._service.user_session, self._endpoint)

    def _today(self) -> int:
        """Return the day as milliseconds after the base time."""
        return self._service.user_session.base_time.milliseconds(self._venue.now_ns() // _DAY * _DAY)
