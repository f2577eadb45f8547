"""Chains as order_2.OrderStatus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from txtrader.dialects.cqg.orders import OrderTerms, put_terms, wire_side
from txtrader.exsim.endpoints.cqg.chains import Chain, Transaction
from txtrader.exsim.endpoints.cqg.contract_messages import put_listing
from txtrader.exsim.orders import Order
from txtrader.model.order import Side
from txtrader.wire.cqg.schema import message_class
from txtrader.wire.cqg.values import PriceScale, put_decimal, put_timestamp

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.cqg.endpoint import CqgEndpoint
    from txtrader.exsim.endpoints.cqg.user_session import UserSession

__all__ = ["status_message"]

_WireStatus = message_class("order_2.OrderStatus")
_DAY = 86_400_000_000_000


def status_message(
    endpoint: CqgEndpoint,
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
    message.account_id = endpoint.account_id(order.account)
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
    _put_order(endpoint, message.order, chain, order, session, scale)
    is_new = not session.knows(listing)
    contract_id = session.contract_id(listing)
    message.order.contract_id = contract_id
    if is_new:
        put_listing(message.contract_metadata.add(), listing, session, endpoint)
    if chain.compound is not None:
        structure = message.compound_order_structure
        structure.type, structure.cl_compound_id = chain.compound.type, chain.compound.cl_compound_id
        for member in chain.compound.chains:
            if member.order is not None:
                structure.compound_order_entries.add(chain_order_id=member.chain_order_id)
    for told in transactions:
        _put_transaction(message.transaction_statuses.add(), told, chain, session, contract_id, scale)
    return message


def _put_order(
    endpoint: CqgEndpoint, message: Any, chain: Chain, order: Order, session: UserSession, scale: PriceScale
) -> None:
    terms = order.terms
    put_terms(
        message,
        OrderTerms(
            account_id=endpoint.account_id(order.account),
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
    message: Any, told: Transaction, chain: Chain, session: UserSession, contract_id: int, scale: PriceScale
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
