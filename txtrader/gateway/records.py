"""How records show on every surface: builtins with all keys present, the original names kept.

Decimals stay Decimals (plain: no exponent, no trailing zeros); instants become ISO text; unknown is None.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from txtrader.model.account import AccountValue, Position
from txtrader.model.execution import Execution
from txtrader.model.instrument import Instrument
from txtrader.model.market import DataType, MarketStats, PastQuote, PastTrade, Quote, Trade
from txtrader.model.numbers import plain, plain_text
from txtrader.model.order import Order
from txtrader.model.times import iso

__all__ = [
    "account_record",
    "execution_record",
    "instrument_record",
    "order_record",
    "position_record",
    "quote_record",
    "symbol_record",
    "trade_record",
]


def _number(value: Decimal | None) -> Decimal | None:
    return None if value is None else plain(value)


def _time(value: int | None) -> str | None:
    return None if value is None else iso(value)


def order_text(order: Order) -> str:
    """Write one line for a person: `Buy 100 IBM (Filled)`."""
    price = "" if order.limit_price is None else f" at {plain_text(order.limit_price)}"
    word = {"BUY": "Buy", "SELL": "Sell", "SELLSHORT": "Sell short", "BUYTOCOVER": "Buy to cover"}[order.side]
    return f"{word} {plain_text(order.quantity)} {order.symbol}{price} ({order.status.value})"


def order_record(order: Order, *, duplicate: bool = False) -> dict[str, Any]:
    """Show an order."""
    return {
        "id": order.id,
        "client_order_id": order.client_order_id,
        "permid": order.permid,
        "mode": order.mode,
        "user": order.user,
        "account": order.account,
        "symbol": order.symbol,
        "instrument_id": order.instrument_id,
        "side": order.side.value,
        "action": order.side.action,
        "type": order.type.value,
        "tif": order.tif.value,
        "route": order.route,
        "route_params": order.route_params,
        "tag": order.tag,
        "oco_group": order.oco_group,
        "parentid": order.parent_id,
        "children": list(order.children),
        "class": order.order_class,
        "status": order.status.value,
        "broker_status": order.broker_status,
        "previous_status": None if order.previous_status is None else order.previous_status.value,
        "provenance": order.provenance.value,
        "origin": order.origin,
        "quantity": plain(order.quantity),
        "filled": plain(order.filled),
        "remaining": plain(order.remaining),
        "avgfillprice": _number(order.avg_fill_price),
        "lastfillprice": _number(order.last_fill_price),
        "price": _number(order.limit_price),
        "aux_price": _number(order.stop_price),
        "previous_price": _number(order.previous_price),
        "trail_amount": _number(order.trail_amount),
        "trail_percent": _number(order.trail_percent),
        "limit_offset": _number(order.limit_offset),
        "display_quantity": _number(order.display_quantity),
        "commission": _number(order.commission),
        "currency": order.currency,
        "extended_hours": order.extended_hours,
        "duplicate": duplicate,
        "good_till": _time(order.good_till),
        "submit_time": iso(order.submit_time),
        "send_time": _time(order.send_time),
        "update_time": iso(order.update_time),
        "fill_time": _time(order.fill_time),
        "clientid": order.clientid,
        "whyheld": order.why_held,
        "warning": order.warning,
        "code": order.code,
        "errorCode": order.error_code,
        "errorMsg": order.error_message,
        "text": order_text(order),
    }


def execution_record(execution: Execution) -> dict[str, Any]:
    """Show an execution."""
    return {
        "execId": execution.exec_id,
        "orderid": execution.order_id,
        "permid": execution.permid,
        "client_order_id": execution.client_order_id,
        "mode": execution.mode,
        "account": execution.account,
        "symbol": execution.symbol,
        "instrument_id": execution.instrument_id,
        "side": "BOT" if execution.side.sign > 0 else "SLD",
        "action": execution.side.action,
        "shares": plain(execution.shares),
        "price": plain(execution.price),
        "cumqty": _number(execution.cum_qty),
        "avgprice": _number(execution.avg_price),
        "exchange": execution.exchange,
        "exec_type": execution.exec_type.value,
        "replaces": execution.replaces,
        "commission": _number(execution.commission),
        "commission_currency": execution.commission_currency,
        "realized": _number(execution.realized),
        "liquidity": execution.liquidity,
        "time": iso(execution.time),
        "receive_time": iso(execution.receive_time),
        "clientid": execution.clientid,
    }


def instrument_record(instrument: Instrument) -> dict[str, Any]:
    """Show an instrument."""
    return {
        "symbol": instrument.symbol,
        "instrument_id": instrument.instrument_id,
        "mode": instrument.mode,
        "fullname": instrument.fullname,
        "sectype": instrument.sectype.value,
        "exchange": instrument.exchange,
        "primary_exchange": instrument.primary_exchange,
        "currency": instrument.currency,
        "expiry": instrument.expiry,
        "strike": _number(instrument.strike),
        "right": instrument.right,
        "multiplier": _number(instrument.multiplier),
        "trading_class": instrument.trading_class,
        "local_symbol": instrument.local_symbol,
        "tick": _number(instrument.tick),
        "step": plain(instrument.step),
        "timezone": instrument.timezone,
    }


def position_record(position: Position) -> dict[str, Any]:
    """Show a position."""
    return {
        "account": position.account,
        "symbol": position.symbol,
        "instrument_id": position.instrument_id,
        "mode": position.mode,
        "quantity": plain(position.quantity),
        "currency": position.currency,
        "avgprice": _number(position.avgprice),
        "multiplier": _number(position.multiplier),
        "mark": _number(position.mark),
        "market_value": _number(position.market_value),
        "unrealized": _number(position.unrealized),
        "realized": _number(position.realized),
        "update_time": _time(position.update_time),
        "stale": position.stale,
    }


def account_record(value: AccountValue) -> dict[str, Any]:
    """Show one figure of an account."""
    return {
        "account": value.account,
        "mode": value.mode,
        "key": value.key,
        "value": value.value,
        "currency": value.currency,
    }


def quote_record(quote: Quote) -> dict[str, Any]:
    """Show a quote: the payload of a quote event."""
    return {
        "symbol": quote.symbol,
        "mode": quote.mode,
        "bid": _number(quote.bid),
        "bidsize": _number(quote.bidsize),
        "ask": _number(quote.ask),
        "asksize": _number(quote.asksize),
        "event_time": _time(quote.event_time),
        "receive_time": _time(quote.receive_time),
        "stale": quote.stale,
        "data_type": quote.data_type.value,
    }


def trade_record(trade: Trade) -> dict[str, Any]:
    """Show a trade: the payload of a trade event."""
    return {
        "symbol": trade.symbol,
        "mode": trade.mode,
        "last": plain(trade.last),
        "size": _number(trade.size),
        "volume": _number(trade.volume),
        "event_time": _time(trade.event_time),
        "receive_time": _time(trade.receive_time),
    }


def tick_record(tick: PastTrade | PastQuote) -> dict[str, Any]:
    """Show a past trade `{time, price, size}` or the best bid and offer `{time, bid, bidsize, ask, asksize}`."""
    if isinstance(tick, PastTrade):
        return {"time": iso(tick.time), "price": plain(tick.price), "size": _number(tick.size)}
    return {
        "time": iso(tick.time),
        "bid": _number(tick.bid),
        "bidsize": _number(tick.bidsize),
        "ask": _number(tick.ask),
        "asksize": _number(tick.asksize),
    }


def symbol_record(
    instrument: Instrument,
    quote: Quote | None,
    trade: Trade | None,
    stats: MarketStats | None,
    *,
    with_high_low: bool,
    stale: bool,
) -> dict[str, Any]:
    """Show what is known of a symbol."""
    return {
        "symbol": instrument.symbol,
        "fullname": instrument.fullname,
        "instrument_id": instrument.instrument_id,
        "sectype": instrument.sectype.value,
        "exchange": instrument.exchange,
        "primary_exchange": instrument.primary_exchange,
        "currency": instrument.currency,
        "cusip": instrument.cusip,
        "data_type": (quote.data_type if quote else DataType.LIVE).value,
        "bid": _number(quote.bid) if quote else None,
        "bidsize": _number(quote.bidsize) if quote else None,
        "ask": _number(quote.ask) if quote else None,
        "asksize": _number(quote.asksize) if quote else None,
        "last": _number(trade.last) if trade else None,
        "size": _number(trade.size) if trade else None,
        "volume": _number(trade.volume if trade and trade.volume is not None else stats.volume if stats else None),
        "open": _number(stats.open) if stats else None,
        "high": _number(stats.high) if stats and with_high_low else None,
        "low": _number(stats.low) if stats and with_high_low else None,
        "close": _number(stats.close) if stats else None,
        "vwap": _number(stats.vwap) if stats else None,
        "tick": _number(instrument.tick),
        "step": plain(instrument.step),
        "multiplier": _number(instrument.multiplier),
        "tradetime": _time(trade.event_time if trade.event_time is not None else trade.receive_time) if trade else None,
        "event_time": _time(quote.event_time) if quote else None,
        "receive_time": _time(quote.receive_time) if quote else None,
        "stale": stale,
        "halted": bool(stats and stats.halted),
    }
