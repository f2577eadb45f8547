"""Accounts, positions and figures from CQG: lots to signed quantities, figures merged by presence."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from txtrader.adapters.cqg_accounts import AccountChoice
from txtrader.adapters.cqg_instruments import Instruments
from txtrader.dialects.cqg.contracts import Contract
from txtrader.gateway.adapter import AdapterSink
from txtrader.model.account import AccountValue, Position
from txtrader.model.numbers import plain_text
from txtrader.wire.cqg.schema import message_class
from txtrader.wire.cqg.values import decimal_of, number_of

__all__ = ["SUMMARY_FIELDS", "Books"]

_ZERO = Decimal(0)
_Summary = message_class("trade_routing_2.AccountSummaryStatus")

# CQG's field -> the word that the surface uses where it means the same; the rest keeps CQG's own, in CamelCase.
_KEYS = {
    "current_balance": "TotalCashValue",
    "purchasing_power": "BuyingPower",
    "total_margin": "InitMarginReq",
    "position_margin": "MaintMarginReq",
    "cash_excess": "ExcessLiquidity",
    "profit_loss": "RealizedPnL",
    "unrealized_profit_loss": "UnrealizedPnL",
    "ote": "FuturesPNL",
    "mvo": "OptionMarketValue",
    "yesterday_balance": "PreviousDayEquityWithLoanValue",
}
_STATEMENT = {
    "balance": "StatementBalance",
    "total_value": "StatementTotalValue",
    "ote": "StatementOte",
    "upl": "StatementUnrealizedPnL",
    "mvo": "StatementMvo",
    "cash_excess": "StatementCashExcess",
    "collateral": "Collateral",
    "initial_margin": "StatementInitialMargin",
}
"""Of the last statement: CQG's field -> ours."""
_WORTH = ("current_balance", "ote", "mvo", "mvf")
"""What an account would be worth if all was closed now: cash, open trade equity, market values."""
_ASKED = (*_KEYS, "mvf")
SUMMARY_FIELDS = tuple(_Summary.DESCRIPTOR.fields_by_name[name].number for name in _ASKED)
_NAMES = {_Summary.DESCRIPTOR.fields_by_name[name].number: name for name in _ASKED}


class _Lot(msgspec.Struct, frozen=True):
    quantity: Decimal  # signed
    price: Decimal


class Books:
    """What the accounts hold and are worth, as CQG tells it."""

    def __init__(
        self,
        mode: str,
        sink: AdapterSink,
        now_ns: Callable[[], int],
        instruments: Instruments,
        choice: AccountChoice = AccountChoice(),  # noqa: B008  it is immutable
    ) -> None:
        self._choice = choice
        self._mode = mode
        self._sink = sink
        self._now_ns = now_ns
        self._instruments = instruments
        self.accounts: tuple[str, ...] = ()
        self._ids: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._lots: dict[tuple[int, str], dict[int, _Lot]] = {}
        self._contracts: dict[str, Contract] = {}
        self._currencies: dict[int, str] = {}
        self._worth: dict[int, dict[str, Decimal]] = {}

    # -- accounts

    def learn_accounts(self, reports: list[Any]) -> None:
        """Take the list of accounts; two that share their number's text are told apart by CQG's own."""
        rows = [
            account
            for report in reports
            for brokerage in report.accounts_report.brokerages
            for series in brokerage.sales_series
            for account in series.accounts
            if not account.is_unauthorized
            and self._choice.takes(brokerage.id, series.number, account.brokerage_account_number)
        ]
        texts = [row.brokerage_account_number for row in rows]
        self._names = {
            row.account_id: row.brokerage_account_number
            if texts.count(row.brokerage_account_number) == 1
            else f"{row.brokerage_account_number}/{row.account_id}"
            for row in rows
        }
        self._ids = {name: number for number, name in self._names.items()}
        self.accounts = tuple(self._ids)
        self._sink.accounts_changed(self._mode, self.accounts)

    def put_accounts(self, subscription: Any) -> None:
        """Write into a trade subscription whose trading it is about."""
        self._choice.put_into(subscription, self._ids)

    def is_ours(self, account_id: int) -> bool:
        """Tell whether an account is one that was chosen; before the list is known it may be."""
        return not self._names or account_id in self._names

    def account_id(self, account: str) -> int | None:
        """Return CQG's number of an account."""
        return self._ids.get(account)

    def account(self, account_id: int) -> str:
        """Return the name of an account, its number where CQG has not listed it."""
        return self._names.get(account_id, str(account_id))

    # -- positions

    def begin(self) -> Holdings:
        """Begin to read all positions anew."""
        return Holdings(self)

    def take_over(self, fresh: Holdings) -> list[Position]:
        """Let a whole reading stand; what it does not name is flat."""
        gone = [key for key, lots in self._lots.items() if lots and not fresh.lots.get(key)]
        self._lots = fresh.lots
        for key in gone:
            self._sink.position_changed(self._position(key))
        return [self._position(key) for key, lots in self._lots.items() if lots]

    def position(self, message: Any, connection: Any) -> None:
        """Take the news of one position."""
        key = self.apply(self._lots, message, connection)
        if key is not None:
            self._sink.position_changed(self._position(key))

    def apply(
        self, lots_of: dict[tuple[int, str], dict[int, _Lot]], message: Any, connection: Any
    ) -> tuple[int, str] | None:
        """Apply a PositionStatus to lots; returns whose they are, None for a contract that is not known."""
        contract = connection.contract(message.contract_id)
        if contract is None:
            return None
        self._contracts[contract.symbol] = contract
        key = (message.account_id, contract.symbol)
        lots = lots_of.setdefault(key, {})
        for row in message.open_positions:
            quantity = decimal_of(row.qty) if row.HasField("qty") else Decimal(row.uint32_qty)
            if quantity:
                lots[row.id] = _Lot(-quantity if row.is_short else quantity, number_of(row.price_correct))
            else:
                lots.pop(row.id, None)
        return key

    def _position(self, key: tuple[int, str]) -> Position:
        account_id, symbol = key
        instrument = self._instruments.of(self._contracts[symbol])
        lots = list(self._lots.get(key, {}).values())
        quantity = sum((lot.quantity for lot in lots), _ZERO)
        size = sum((abs(lot.quantity) for lot in lots), _ZERO)
        average = sum((abs(lot.quantity) * lot.price for lot in lots), _ZERO) / size if size else None
        return Position(
            account=self.account(account_id),
            mode=self._mode,
            symbol=instrument.symbol,
            quantity=quantity,
            instrument=instrument,
            instrument_id=instrument.instrument_id,
            currency=instrument.currency,
            avgprice=average,
            multiplier=instrument.multiplier,
            update_time=self._now_ns(),
        )

    # -- figures

    def summary(self, message: Any) -> None:
        """Take the figures of an account that changed; those that became empty are told as such."""
        if not self.is_ours(message.account_id):
            return
        if message.HasField("currency"):
            self._currencies[message.account_id] = message.currency
        for descriptor, value in message.ListFields():
            if isinstance(value, float):
                name, number = descriptor.name, number_of(value)
                self._figure(message.account_id, name, plain_text(number))
                if name in _WORTH:
                    self._worth.setdefault(message.account_id, {})[name] = number
        for field in message.cleared_fields:
            if field in _NAMES:
                self._figure(message.account_id, _NAMES[field], "")
                self._worth.get(message.account_id, {}).pop(_NAMES[field], None)
        self._tell_worth(message.account_id)

    def balances(self, reports: list[Any]) -> None:
        """Take the money of the last statement, a row for each account and currency."""
        for report in reports:
            for row in report.last_statement_balances_report.balances:
                if row.deleted or not self.is_ours(row.account_id):
                    continue
                for name, key in _STATEMENT.items():
                    text = plain_text(number_of(getattr(row, name)))
                    self._tell(row.account_id, key, text, row.currency)

    def _tell_worth(self, account_id: int) -> None:
        """Tell the net liquidation value, which CQG does not name: our sum of its parts, once the cash is known."""
        parts = self._worth.get(account_id, {})
        if "current_balance" in parts:
            self._figure(account_id, "net_liquidation", plain_text(sum(parts.values(), _ZERO)))

    def _figure(self, account_id: int, name: str, text: str) -> None:
        key = _KEYS.get(name) or "".join(word.capitalize() for word in name.split("_"))
        self._tell(account_id, key, text, self._currencies.get(account_id))

    def _tell(self, account_id: int, key: str, text: str, currency: str | None) -> None:
        self._sink.account_changed(
            AccountValue(account=self.account(account_id), mode=self._mode, key=key, value=text, currency=currency)
        )


class Holdings:
    """Positions that are being read: they stand once the reading is whole."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self.lots: dict[tuple[int, str], dict[int, _Lot]] = {}

    def take(self, message: Any, connection: Any) -> None:
        """Take one position of the reading."""
        self._books.apply(self.lots, message, connection)
