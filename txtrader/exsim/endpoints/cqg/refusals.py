"""How a request that cannot be taken as it stands is answered: by a failure of its own kind, with its id."""

from __future__ import annotations

from typing import Any

from txtrader.wire.cqg.schema import ServerMsg
from txtrader.wire.cqg.words import BarStatus, InfoStatus, MarketStatus, RejectCode, TicksCode, TradeStatus

__all__ = ["refusal_of"]


def refusal_of(name: str, request: Any, text: str, *, is_ours: bool = False) -> Any | None:
    """Return the failure that answers a request, None where the protocol has none for it, or its id is missing.

    `is_ours`: the server failed, not the client.
    """
    build = _BUILDERS.get(name)
    if build is None:
        return None
    key = "contract_id" if name == "market_data_subscriptions" else "request_id"
    if name in ("information_requests", "trade_subscriptions"):
        key = "id"
    if not request.HasField(key):
        return None
    message = ServerMsg()
    build(message, request, text, is_ours)
    return message


def _information(message: Any, request: Any, text: str, is_ours: bool) -> None:
    code = InfoStatus.FAILURE if is_ours else InfoStatus.INVALID_PARAMS
    message.information_reports.add(id=request.id, status_code=int(code), text_message=text)


def _market(message: Any, request: Any, text: str, is_ours: bool) -> None:
    code = MarketStatus.FAILURE if is_ours else MarketStatus.INVALID_PARAMS
    status = message.market_data_subscription_statuses.add(
        contract_id=request.contract_id, status_code=int(code), level=0
    )
    if request.HasField("request_id"):
        status.request_id = request.request_id
    status.details.text = text


def _trade(message: Any, request: Any, text: str, is_ours: bool) -> None:
    status = message.trade_subscription_statuses.add(id=request.id, status_code=int(TradeStatus.FAILURE))
    status.details.text = text


def _order(message: Any, request: Any, text: str, is_ours: bool) -> None:
    reject = message.order_request_rejects.add(request_id=request.request_id, reject_code=int(RejectCode.SEE_TEXT))
    reject.details.text = text


def _bars(message: Any, request: Any, text: str, is_ours: bool) -> None:
    code = BarStatus.FAILURE if is_ours else BarStatus.INVALID_PARAMS
    report = message.time_bar_reports.add(request_id=request.request_id, status_code=int(code))
    report.details.text = text


def _ticks(message: Any, request: Any, text: str, is_ours: bool) -> None:
    code = TicksCode.FAILURE if is_ours else TicksCode.INVALID_PARAMS
    report = message.time_and_sales_reports.add(request_id=request.request_id, result_code=int(code))
    report.details.text = text


_BUILDERS = {
    "information_requests": _information,
    "market_data_subscriptions": _market,
    "trade_subscriptions": _trade,
    "order_requests": _order,
    "time_bar_requests": _bars,
    "time_and_sales_requests": _ticks,
}
