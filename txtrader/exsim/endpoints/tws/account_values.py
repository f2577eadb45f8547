"""An account's figures under the names that TWS gives them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from txtrader.exsim.records import AccountFigures
from txtrader.model.numbers import plain_text

__all__ = ["LEDGER", "ledger_values", "summary_values", "update_values"]

LEDGER = "$LEDGER"
_CENT = Decimal("0.01")

_MONEY: dict[str, str] = {
    "NetLiquidation": "net_liquidation",
    "TotalCashValue": "total_cash_value",
    "SettledCash": "settled_cash",
    "AccruedCash": "accrued_cash",
    "BuyingPower": "buying_power",
    "EquityWithLoanValue": "equity_with_loan_value",
    "PreviousDayEquityWithLoanValue": "previous_day_equity_with_loan_value",
    "GrossPositionValue": "gross_position_value",
    "RegTEquity": "reg_t_equity",
    "RegTMargin": "reg_t_margin",
    "SMA": "sma",
    "InitMarginReq": "init_margin_req",
    "MaintMarginReq": "maint_margin_req",
    "AvailableFunds": "available_funds",
    "ExcessLiquidity": "excess_liquidity",
    "FullInitMarginReq": "init_margin_req",
    "FullMaintMarginReq": "maint_margin_req",
    "FullAvailableFunds": "available_funds",
    "FullExcessLiquidity": "excess_liquidity",
    "LookAheadInitMarginReq": "init_margin_req",
    "LookAheadMaintMarginReq": "maint_margin_req",
    "LookAheadAvailableFunds": "available_funds",
    "LookAheadExcessLiquidity": "excess_liquidity",
}
_SUMMARY_NAMES = {"ReqTEquity": "RegTEquity", "ReqTMargin": "RegTMargin"}
"""Tags that the API's own list of summary tags spells otherwise than the account values."""

Value = tuple[str, str, str]


def _money(value: Decimal) -> str:
    return format(value.quantize(_CENT), "f")


def _words(figures: AccountFigures) -> Iterator[Value]:
    yield "AccountType", figures.account_type, ""
    yield "Cushion", plain_text(figures.cushion), ""
    for day in ("", "T+1", "T+2", "T+3", "T+4"):
        yield f"DayTradesRemaining{day}", str(figures.day_trades_remaining), ""
    yield "HighestSeverity", str(figures.highest_severity), ""
    yield "Leverage", plain_text(figures.leverage), ""
    yield "LookAheadNextChange", "0", ""


def summary_values(figures: AccountFigures) -> dict[str, Value]:
    """Return (tag, value, currency) by tag."""
    values = {name: (name, value, unit) for name, value, unit in _words(figures)}
    for name, attribute in _MONEY.items():
        values[name] = (name, _money(getattr(figures, attribute)), figures.base_currency)
    for name, other in _SUMMARY_NAMES.items():
        values[name] = (name, *values[other][1:])
    return values


def update_values(figures: AccountFigures) -> list[Value]:
    """Return (key, value, currency) as account updates have them."""
    base = figures.base_currency
    return [
        ("AccountCode", figures.account, ""),
        ("AccountReady", "true", ""),
        *_words(figures),
        *((name, _money(getattr(figures, attribute)), base) for name, attribute in _MONEY.items()),
        *((name, value, currency) for name, value, currency in ledger_values(figures)),
    ]


def ledger_values(figures: AccountFigures, currency: str = "ALL") -> Iterator[Value]:
    """Return the ledger: cash per currency, and everything together as BASE; `currency` picks one."""
    base = figures.base_currency
    if currency in ("ALL", "BASE", ""):
        for name, value in (
            ("CashBalance", figures.total_cash_value),
            ("TotalCashBalance", figures.total_cash_value),
            ("AccruedCash", figures.accrued_cash),
            ("StockMarketValue", figures.stock_market_value),
            ("OptionMarketValue", figures.option_market_value),
            ("FutureOptionValue", figures.future_option_value),
            ("FuturesPNL", figures.futures_pnl),
            ("NetLiquidationByCurrency", figures.net_liquidation),
            ("UnrealizedPnL", figures.unrealized_pnl),
            ("RealizedPnL", figures.realized_pnl),
        ):
            yield name, _money(value), "BASE"
        yield "ExchangeRate", "1.00", "BASE"
        yield "Currency", "BASE", "BASE"
    for code, cash in sorted(figures.ledger.items()):
        if currency in ("ALL", code):
            rate = figures.exchange_rates.get(code, Decimal(1))
            yield "CashBalance", _money(cash), code
            yield "TotalCashBalance", _money(cash), code
            yield "ExchangeRate", plain_text(rate if code != base else Decimal(1)), code
            yield "Currency", code, code
