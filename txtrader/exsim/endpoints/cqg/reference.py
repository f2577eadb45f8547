"""Information requests of the simulated CQG server: accounts, symbols, contracts, hours, orders of before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from txtrader.dialects.cqg.contracts import Contract, cfi_of, mic_of, put_contract
from txtrader.exsim.endpoints.cqg.listings import root_of, short_name
from txtrader.exsim.endpoints.cqg.service import Answer, Service
from txtrader.exsim.records import Listing
from txtrader.wire.cqg.schema import ServerMsg
from txtrader.wire.cqg.session import missing_fields
from txtrader.wire.cqg.words import BrokerageType, ExecInstruction, InfoStatus

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.cqg.connection import CqgConnection
    from txtrader.exsim.endpoints.cqg.endpoint import CqgEndpoint
    from txtrader.exsim.endpoints.cqg.user_session import UserSession

__all__ = ["Reference", "put_listing"]

_DAY = 86_400_000_000_000
_MOST_DAYS_BACK = 30
_MILLISECOND = 1_000_000
_BROKERAGE, _SERIES = 1, "1"
_ORDERS_A_MESSAGE = 4
_LETTERS = "FGHJKMNQUVXZ"


def put_listing(message: Any, listing: Listing, session: UserSession, endpoint: CqgEndpoint) -> None:
    """Write a listing's metadata, giving it a contract id of the session."""
    names = endpoint.names
    name = names.name(listing)
    month = listing.contract_month
    active = names.active(root_of(listing))
    put_contract(
        message,
        Contract(
            contract_id=session.contract_id(listing),
            symbol=name,
            short=short_name(listing),
            root=root_of(listing),
            group=names.group(listing),
            title=listing.long_name or listing.symbol,
            scale=listing.tick,
            tick=listing.tick,
            tick_value=listing.tick * listing.multiplier,
            currency=listing.currency,
            cfi_code=cfi_of(listing.sectype, listing.right),
            mic=mic_of(listing.primary_exchange),
            expiry=listing.expiry or None,
            month=f"{_LETTERS[int(month[4:6]) - 1]}{month[2:4]}" if month else None,
            strike=listing.strike,
            step=listing.step,
            multiplier=listing.multiplier,
            increments=listing.increments,
            is_most_active=active is listing,
            session_info_id=names.hours_of(listing),
        ),
        session.base_time,
    )


class _Refused(Exception):
    """A request is answered by a failure."""

    def __init__(self, code: InfoStatus, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Reference(Service):
    """One client's information requests and what it subscribed to with them."""

    _log = Logger()

    def __init__(self, connection: CqgConnection) -> None:
        super().__init__(connection)
        self._symbols: dict[int, str] = {}
        self._kinds: dict[str, Callable[[Any, Any], None]] = {
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

    @property
    def answers(self) -> Mapping[str, Answer]:
        return {"information_requests": self.ask}

    def ask(self, request: Any) -> None:
        """Answer one information request; a failure also ends its subscription."""
        subscribe = request.subscribe if request.HasField("subscribe") else None
        if subscribe is False:
            self._symbols.pop(request.id, None)
            self._send(request.id, InfoStatus.DROPPED)
            return
        message = ServerMsg()
        report = message.information_reports.add(id=request.id)
        try:
            missing = missing_fields(request)
            if missing:
                raise _Refused(InfoStatus.INVALID_PARAMS, f"required fields are missing: {', '.join(missing)}")
            asked = [descriptor.name for descriptor, _ in request.ListFields() if descriptor.name.endswith("_request")]
            if len(asked) != 1 or asked[0] not in self._kinds:
                text = f"{asked[0]} is not offered" if len(asked) == 1 else "one request at a time"
                raise _Refused(InfoStatus.INVALID_PARAMS, text)
            report.status_code = int(InfoStatus.SUBSCRIBED if subscribe else InfoStatus.SUCCESS)
            self._kinds[asked[0]](getattr(request, asked[0]), report)
            if asked[0] == "symbol_resolution_request" and subscribe:
                self._symbols[request.id] = request.symbol_resolution_request.symbol
        except _Refused as refused:
            self._symbols.pop(request.id, None)
            self._send(request.id, refused.code, refused.text)
            return
        if report.HasField("historical_orders_report"):
            self._send_in_parts(report)
        else:
            self.connection.send(message)

    def rolled(self, root: str) -> None:
        """Tell the subscribers of a rolling symbol its new contract."""
        for number, symbol in self._symbols.items():
            listing = self.endpoint.names.resolve(symbol)
            if symbol.removeprefix("F.US.") == root and listing is not None:
                message = ServerMsg()
                report = message.information_reports.add(id=number, status_code=int(InfoStatus.UPDATE))
                put_listing(
                    report.symbol_resolution_report.contract_metadata, listing, self.user_session, self.endpoint
                )
                self.connection.send(message)

    def _send(self, number: int, code: InfoStatus, text: str = "") -> None:
        message = ServerMsg()
        report = message.information_reports.add(id=number, status_code=int(code))
        if text:
            report.text_message = text
        self.connection.send(message)

    def _send_in_parts(self, report: Any) -> None:
        statuses = list(report.historical_orders_report.order_statuses)
        size = _ORDERS_A_MESSAGE if self.endpoint.options.small_frames else max(1, len(statuses))
        pieces = [statuses[start : start + size] for start in range(0, len(statuses), size)] or [[]]
        for place, piece in enumerate(pieces):
            message = ServerMsg()
            part = message.information_reports.add(id=report.id, status_code=report.status_code)
            part.historical_orders_report.order_statuses.extend(piece)
            part.historical_orders_report.SetInParent()
            part.is_report_complete = place == len(pieces) - 1
            self.connection.send(message)

    # -- the kinds

    def _accounts(self, request: Any, report: Any) -> None:
        brokerage = report.accounts_report.brokerages.add(id=_BROKERAGE, name="SIM", type=int(BrokerageType.SIM))
        series = brokerage.sales_series.add(number=_SERIES, name="Simulation")
        base = self.user_session.base_time
        today = base.milliseconds(self.venue.now_ns() // _DAY * _DAY)
        for account in self.endpoint.accounts:
            series.accounts.add(
                account_id=self.endpoint.account_id(account),
                brokerage_account_number=account,
                name=account,
                last_statement_date=today,
                is_view_only=account in self.endpoint.options.view_only,
                cleared_by_statements=True,
            )

    def _symbol(self, request: Any, report: Any) -> None:
        listing = self.endpoint.names.resolve(request.symbol)
        if listing is None:
            raise _Refused(InfoStatus.NOT_FOUND, f"{request.symbol}: no such symbol")
        put_listing(report.symbol_resolution_report.contract_metadata, listing, self.user_session, self.endpoint)

    def _contract(self, request: Any, report: Any) -> None:
        put_listing(
            report.contract_metadata_report.contract_metadata,
            self._listing(request.contract_id),
            self.user_session,
            self.endpoint,
        )

    def _group(self, request: Any, report: Any) -> None:
        months = self.endpoint.names.months(request.instrument_group_id)
        if not months:
            raise _Refused(InfoStatus.NOT_FOUND, f"{request.instrument_group_id}: no such group")
        for listing in months:
            item = report.instrument_group_report.instruments.add(
                id=self.endpoint.names.name(listing), name=short_name(listing), description=listing.long_name
            )
            put_listing(item.contract_metadata, listing, self.user_session, self.endpoint)

    def _balances(self, request: Any, report: Any) -> None:
        base = self.user_session.base_time
        today = base.milliseconds(self.venue.now_ns() // _DAY * _DAY)
        rows = report.last_statement_balances_report
        rows.SetInParent()
        for account in self.endpoint.accounts:
            figures = self.venue.figures(account)
            for currency, cash in figures.ledger.items():
                rows.balances.add(
                    id=len(rows.balances) + 1,
                    account_id=self.endpoint.account_id(account),
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
        base = self.user_session.base_time
        today = base.milliseconds(self.venue.now_ns() // _DAY * _DAY)
        figures = self.venue.figures(self.endpoint.accounts[0])
        rows = report.currency_rates_report.brokerage_currency_rates.add(
            brokerage_id=_BROKERAGE, statement_date=today, master_currency=figures.base_currency
        )
        for currency, rate in figures.exchange_rates.items():
            rows.currency_rates.add(currency=currency, rate=float(rate))

    def _hours(self, request: Any, report: Any) -> None:
        """Give one week of the sessions that the listings of that number trade in, as offsets from 00:00 UTC."""
        listing = self.endpoint.names.of_hours(request.session_info_id)
        if listing is None:
            raise _Refused(InfoStatus.NOT_FOUND, f"{request.session_info_id}: no such trading hours")
        hours = report.session_information_report
        hours.session_info_id = request.session_info_id
        schedule = hours.session_segments.add(session_segment_id=1).session_schedules.add(
            name="Primary", is_primary=True
        )
        start = self.venue.now_ns() // _DAY * _DAY
        for times in self.venue.sessions(listing.id, start, start + 7 * _DAY):
            midnight = datetime.strptime(times.date, "%Y%m%d").replace(tzinfo=UTC)
            first = int(midnight.timestamp()) * 1000
            day = schedule.session_days.add(
                open_offset=times.start // _MILLISECOND - first, close_offset=times.end // _MILLISECOND - first
            )
            day.days_of_week.append(midnight.isoweekday() % 7)

    def _past_orders(self, request: Any, report: Any) -> None:
        base = self.user_session.base_time
        since = base.ns(request.from_date) // _DAY * _DAY
        if since < self.venue.now_ns() - (_MOST_DAYS_BACK + 1) * _DAY:
            raise _Refused(InfoStatus.INVALID_PARAMS, f"at most {_MOST_DAYS_BACK} days back")
        accounts = [name for number in request.account_ids if (name := self.endpoint.account(number)) is not None]
        report.historical_orders_report.SetInParent()
        for chain in self.endpoint.desk.chains(accounts or self.endpoint.accounts, since=since):
            report.historical_orders_report.order_statuses.append(
                self.endpoint.desk.status_message(chain, chain.transactions, self.user_session, is_snapshot=True)
            )

    def _chain(self, request: Any, report: Any) -> None:
        chain = self.endpoint.desk.find_chain(request.chain_order_id)
        if chain is None or chain.order is None or chain.order.account not in self.endpoint.accounts:
            raise _Refused(InfoStatus.NOT_FOUND, f"{request.chain_order_id}: no such order")
        report.order_status_report.order_status.CopyFrom(
            self.endpoint.desk.status_message(chain, chain.transactions, self.user_session, is_snapshot=True)
        )

    def _entitlement(self, request: Any, report: Any) -> None:
        self._listing(request.contract_id)
        if self.endpoint.account(request.account_id) is None:
            raise _Refused(InfoStatus.NOT_FOUND, "no such account")
        rows = report.order_entitlement_report
        for order_type in (1, 2, 3, 4):
            for duration in (1, 2, 4, 5, 6):
                rows.order_entitlements.add(
                    order_type=order_type,
                    is_synthetic=False,
                    duration=duration,
                    exec_instruction=int(ExecInstruction.NONE),
                )

    def _listing(self, contract_id: int) -> Listing:
        listing = self.user_session.listing(contract_id)
        if listing is None:
            raise _Refused(InfoStatus.NOT_FOUND, f"{contract_id}: no such contract in this session")
        return listing
