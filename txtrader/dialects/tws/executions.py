"""Executions and commissions, both ways.

An execution id ends in a dot and a number: 01 at first; a correction repeats the execution with the number raised.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, tzinfo
from decimal import Decimal
from typing import Any

from txtrader.dialects.tws.contracts import contract_to_wire
from txtrader.dialects.tws.times import time_from_wire, time_to_wire
from txtrader.dialects.tws.words import EXECUTION_SIDES, LIQUIDITY, side_from_wire
from txtrader.errors import RemoteProtocolError
from txtrader.model.execution import CommissionReport, ExecType, Execution
from txtrader.model.instrument import Instrument
from txtrader.model.numbers import plain
from txtrader.model.order import Side

__all__ = ["commission_from_wire", "commission_to_wire", "corrected_id", "execution_from_wire", "execution_to_wire"]

_MOST_REVISIONS = 20  # of one fill, that are looked back at
_REVISION = re.compile(r"(.+\.)([0-9]{1,4})\Z")
_SIDE_WORDS = {side.action: word for word, side in EXECUTION_SIDES.items()}
_LIQUIDITY_NUMBERS = {word: number for number, word in LIQUIDITY.items()}


def corrected_id(exec_id: str) -> str | None:
    """Return the id of the execution that this one corrects, None for a first report."""
    found = _REVISION.match(exec_id)
    if found is None or int(found[2]) <= 1:
        return None
    return f"{found[1]}{int(found[2]) - 1:0{len(found[2])}d}"


def _earlier_ids(exec_id: str | None) -> tuple[str, ...]:
    """Return the ids of all versions before `exec_id`: TWS may tell the latest correction alone."""
    found: list[str] = []
    while exec_id is not None and len(found) < _MOST_REVISIONS and (exec_id := corrected_id(exec_id)) is not None:
        found.append(exec_id)
    return tuple(found)


def execution_from_wire(
    fields: Mapping[str, Any], mode: str, instrument: Instrument, *, receive_time: int, zone: tzinfo = UTC
) -> Execution:
    """Read execDetails; `zone` is the login's, for times that name none.

    A correction to nothing is a bust.  Raises RemoteProtocolError for an execution without id, side, shares or price:
    it cannot be counted, and must not be dropped unseen.
    """
    exec_id = fields.get("execId")
    side = side_from_wire(str(fields.get("side") or ""))
    shares, price = fields.get("shares"), fields.get("price")
    if not exec_id or side is None or shares is None or price is None:
        raise RemoteProtocolError(f"execution {exec_id!r} without side, shares or price")
    replaces = corrected_id(exec_id)
    kind = ExecType.NEW if replaces is None else ExecType.CORRECT if shares else ExecType.BUST
    order_id = fields.get("orderId")
    time = time_from_wire(fields.get("time"), zone)
    cumulative, average = fields.get("cumQty"), fields.get("avgPrice")
    return Execution(
        exec_id=exec_id,
        mode=mode,
        account=fields.get("acctNumber") or "",
        symbol=instrument.symbol,
        side=side,
        shares=plain(abs(shares)),
        price=plain(price),
        time=time if time is not None else receive_time,
        receive_time=receive_time,
        exec_type=kind,
        replaces=replaces,
        supersedes=_earlier_ids(replaces),
        instrument=instrument,
        instrument_id=instrument.instrument_id,
        order_ref=fields.get("orderRef") or None,
        permid=str(fields["permId"]) if fields.get("permId") else None,
        broker_order_id=str(order_id) if order_id else None,  # 0: of the TWS window
        clientid=fields.get("clientId"),
        exchange=fields.get("execExchange") or None,
        cum_qty=plain(cumulative) if cumulative is not None else None,
        avg_price=plain(average) if average else None,
        liquidity=LIQUIDITY.get(fields.get("lastLiquidity") or 0),
    )


def execution_to_wire(execution: Execution, *, req_id: int = -1) -> dict[str, Any]:
    """Write the fields of execDetails; an unsolicited one has request id -1."""
    instrument = execution.instrument
    return {
        **(contract_to_wire(instrument) if instrument is not None else {}),
        "reqId": req_id,
        "orderId": int(execution.broker_order_id) if execution.broker_order_id else 0,
        "execId": execution.exec_id,
        "time": time_to_wire(execution.time),
        "acctNumber": execution.account,
        "execExchange": execution.exchange or "",
        "side": _SIDE_WORDS[Side(execution.side).action],
        "shares": execution.shares,
        "price": execution.price,
        "permId": int(execution.permid) if execution.permid else 0,
        "clientId": execution.clientid,
        "cumQty": execution.cum_qty,
        "avgPrice": execution.avg_price,
        "orderRef": execution.order_ref or "",
        "lastLiquidity": _LIQUIDITY_NUMBERS.get(execution.liquidity or "", 0),
    }


def commission_from_wire(fields: Mapping[str, Any], mode: str) -> CommissionReport:
    """Read a commission report; -1 and the unset double both say that it is not known yet.

    A realised profit is only told for what closes a position: the unset double becomes None, a true 0 stays.
    """
    commission = fields.get("commission")
    realized = fields.get("realizedPNL")
    is_known = isinstance(commission, Decimal) and commission != -1
    return CommissionReport(
        exec_id=str(fields.get("execId") or ""),
        mode=mode,
        commission=plain(commission) if isinstance(commission, Decimal) and is_known else None,
        currency=(fields.get("currency") or None) if is_known else None,
        realized=plain(realized) if isinstance(realized, Decimal) else None,
    )


def commission_to_wire(report: CommissionReport) -> dict[str, Any]:
    """Write the fields of a commission report."""
    return {
        "execId": report.exec_id,
        "commission": report.commission,
        "currency": report.currency or "",
        "realizedPNL": report.realized,
        "yield_": None,
        "yieldRedemptionDate": 0,
    }
