"""What execution reports (8), cancel rejects (9) and position reports (AP) say, in our words, of each version.

Facts about events go by the letters of FIX 4.4: F a fill, H a bust, G a correction, I an answer to a question; those
that 4.2 says with ExecTransType (20) are read as these.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from txtrader.dialects.fix import (
    Unsupported,
    instant_from_wire,
    number_to_wire,
    sectype_of,
    security_type,
    side_of,
)
from txtrader.dialects.fix_terms import terms_of
from txtrader.model.execution import ExecType
from txtrader.model.instrument import SecType
from txtrader.model.order import OrderStatus, OrderType, Side, TimeInForce
from txtrader.wire.fix.message import Message

__all__ = [
    "BUST",
    "CORRECT",
    "FILL",
    "STATUS",
    "Contract",
    "Report",
    "contract_of",
    "exec_type_of",
    "instrument_to_wire",
    "position_of",
    "report_of",
    "status_of",
]

_S = OrderStatus
FILL, BUST, CORRECT, STATUS = "F", "H", "G", "I"
_TRANSACTIONS = {"1": BUST, "2": CORRECT, "3": STATUS}
_FILLS = frozenset({"1", "2", FILL})
_EXECS = {FILL: ExecType.NEW, BUST: ExecType.BUST, CORRECT: ExecType.CORRECT}
_NONE = frozenset({"", "NONE", "0"})
_ASKED_FOR = frozenset({"6", "E"})
"""Events that repeat a request, whose terms are not the order's yet."""
_NO_TERMS = frozenset({"E", "8"})
"""What stands with them, and what never had any: a reject may put 0 where a quantity was."""

_STATUSES: Mapping[str, OrderStatus] = {
    "0": _S.NEW,
    "1": _S.PARTIALLY_FILLED,
    "2": _S.FILLED,
    "4": _S.CANCELED,
    "6": _S.PENDING_CANCEL,
    "7": _S.NEW,  # stopped: a price is guaranteed, nothing has traded
    "8": _S.REJECTED,
    "9": _S.NEW,  # suspended
    "A": _S.PENDING_NEW,
    "C": _S.EXPIRED,
    "D": _S.PENDING_NEW,  # accepted for bidding
}
_OVER_FOR_TODAY = frozenset({"3", "B"})
_LASTING = frozenset({TimeInForce.GTC, TimeInForce.GTD})


class Contract(msgspec.Struct, frozen=True):
    """What a message says of an instrument; None where it says nothing.

    `expiry` is the last day, or a month where no day is known; `month` the contract month where that is another one.
    """

    symbol: str
    sectype: SecType
    currency: str | None = None
    exchange: str | None = None
    expiry: str | None = None
    strike: Decimal | None = None
    right: str | None = None
    multiplier: Decimal | None = None
    security_id: str | None = None
    id_source: str | None = None
    text: str | None = None
    tick: Decimal | None = None
    step: Decimal | None = None
    month: str | None = None

    @property
    def id(self) -> str:
        """Return the text that means this instrument and no other, made of what names it."""
        parts = [self.symbol.replace(" ", "_").replace("/", "-")]
        if self.sectype is not SecType.STOCK:
            parts.append(self.sectype.value)
        if self.expiry:
            parts.append(self.expiry if self.month is None else f"{self.expiry}-{self.month}")
        if self.right and self.strike is not None:
            parts.append(f"{self.right}{number_to_wire(self.strike)}")
        if self.currency not in (None, "USD"):
            parts.append(str(self.currency))
        return ".".join(parts).upper()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One execution report.  Terms are None where the report says nothing of them, or repeats only what was asked."""

    event: str
    status: str
    order_id: str | None
    cl_ord_id: str | None
    orig_cl_ord_id: str | None
    exec_id: str | None
    replaces: str | None
    account: str | None
    side: Side | None
    filled: Decimal | None
    remaining: Decimal | None
    average: Decimal | None
    shares: Decimal | None
    price: Decimal | None
    market: str | None
    quantity: Decimal | None
    type: OrderType | None
    broker_type: str | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    trail_amount: Decimal | None
    tif: TimeInForce | None
    good_till: int | None
    reason: str | None
    text: str | None
    time: int | None
    commission: Decimal | None
    commission_currency: str | None
    request_id: str | None
    mass_id: str | None
    total: int | None
    is_last: bool
    is_repeat: bool

    @property
    def is_answer(self) -> bool:
        """Tell whether this answers a question, and is no event."""
        return self.event == STATUS or self.request_id is not None or self.mass_id is not None

    @property
    def is_of_no_order(self) -> bool:
        """Tell whether it answers that there is no such order: that is no reject of one."""
        return self.is_answer and self.status == "8" and (self.order_id is None or self.reason == "5")


def report_of(message: Message) -> Report:
    """Read an execution report.  Raises ValueError for one that says less than every report must."""
    kind, status = message.get(150), message.get(39)
    if kind is None or status is None:
        raise ValueError("a report without a status")
    transaction = message.get(20, "0") or "0"
    shares = _number(message, 32)
    event = _TRANSACTIONS.get(transaction, kind)
    if event in _FILLS:
        event = FILL if shares else kind
    elif event in (BUST, CORRECT) and shares is None:
        shares = Decimal(0)
    has_terms = kind not in _ASKED_FOR and status not in _NO_TERMS
    terms = _terms(message) if has_terms else {}
    return Report(
        event=event,
        status=status,
        order_id=_named(message.get(37)),
        cl_ord_id=_named(message.get(11)),
        orig_cl_ord_id=_named(message.get(41)),
        exec_id=_named(message.get(17)),
        replaces=_named(message.get(19)),
        account=message.get(1),
        side=side_of(message.get(54) or ""),
        filled=_number(message, 14),
        remaining=_number(message, 151),
        average=_number(message, 6) or None,
        shares=shares,
        price=_number(message, 31),
        market=message.get(30),
        reason=message.get(103),
        text=message.get(58),
        time=_time(message),
        commission=_commission(message, shares),
        commission_currency=message.get(479) or message.get(15),
        request_id=message.get(790),
        mass_id=message.get(584),
        total=message.number(911),
        is_last=message.is_set(912),
        is_repeat=message.is_set(43) or message.is_set(97),
        quantity=_number(message, 38) if has_terms else None,
        type=terms.get("type"),
        broker_type=None if "type" in terms else message.get(40),
        limit_price=_number(message, 44) if has_terms else None,
        stop_price=_number(message, 99 if message.get(1102) is None else 1102) if has_terms else None,
        trail_amount=terms.get("trail_amount"),
        tif=terms.get("tif"),
        good_till=terms.get("good_till"),
    )


_TERM_TAGS = frozenset((40, 18, 211, 1094, 59, 126, 432, 54, 44, 99, 1100, 1101, 1102, 1107, 1109))


def _terms(message: Message) -> dict[str, Any]:
    """Read type and time in force, where both have a word of ours."""
    if message.get(40) is None or message.get(54) is None:
        return {}
    plain = Message("D", [pair for pair in message.fields if pair[0] in _TERM_TAGS])
    try:
        terms = terms_of(plain.add(38, message.get(38, "0")))
    except (Unsupported, ValueError, InvalidOperation):
        return {}
    if terms.peg or terms.to_limit:
        return {"tif": terms.tif if message.get(59) is not None else None, "good_till": terms.good_till}
    return {
        "type": terms.type,
        "trail_amount": terms.trail_amount,
        "tif": terms.tif if message.get(59) is not None else None,
        "good_till": terms.good_till,
    }


def status_of(report: Report, tif: TimeInForce | None) -> OrderStatus | None:
    """Return where the order stands, None where the report does not say; `tif` is that of the order."""
    filled, word = report.filled, report.status
    if word in _OVER_FOR_TODAY:
        if report.remaining == 0 and filled and report.quantity is not None and filled >= report.quantity:
            return _S.FILLED
        return None if (report.tif or tif) in _LASTING else _S.EXPIRED
    if word == "5":  # replaced: only 4.2 has a status of that name
        if report.remaining == 0 and filled:
            return _S.FILLED
        return _S.PARTIALLY_FILLED if filled else _S.NEW
    found = _STATUSES.get(word)
    return _S.PARTIALLY_FILLED if found is _S.NEW and filled else found


def exec_type_of(report: Report) -> ExecType | None:
    """Return what the report says of an execution, None where it is about none."""
    return _EXECS.get(report.event)


def contract_of(message: Message) -> Contract:
    """Read the instrument of a message, or of an entry of a group.  Raises ValueError where none is named."""
    symbol = message.get(55)
    if not symbol:
        raise ValueError("no instrument is named")
    sectype = sectype_of(message.get(167) or "CS") or SecType.OTHER
    month, day = message.get(200), message.get(205)
    expiry = message.get(541) or (f"{month}{int(day):02d}" if month and len(month) == 6 and day else month)
    has_other_month = message.get(541) is not None and month is not None and not message[541].startswith(month[:6])
    right = message.get(201)
    return Contract(
        symbol=symbol,
        sectype=sectype,
        currency=message.get(15),
        exchange=message.get(207),
        expiry=expiry,
        strike=_number(message, 202),
        right=None if right is None else ("P" if right == "0" else "C"),
        multiplier=_number(message, 231),
        security_id=message.get(48),
        id_source=message.get(22),
        text=message.get(107),
        tick=_number(message, 969),
        step=_number(message, 561),
        month=month if has_other_month else None,
    )


def instrument_to_wire(contract: Contract, version: str) -> list[tuple[int, str]]:
    """Write the fields that name an instrument."""
    found = [(55, contract.symbol)]
    if contract.security_id is not None and contract.id_source is not None:
        found += [(48, contract.security_id), (22, contract.id_source)]
    if (word := security_type(contract.sectype)) is not None:
        found.append((167, word))
    if contract.expiry:
        has_day = len(contract.expiry) == 8
        if version == "4.2":  # here the two make the day
            found.append((200, contract.expiry[:6]))
            found += [(205, contract.expiry[6:])] if has_day else []
        else:
            found.append((200, contract.month or contract.expiry[:6]))
            found += [(541, contract.expiry)] if has_day else []
    if contract.strike is not None and contract.right is not None:
        found += [(202, number_to_wire(contract.strike)), (201, "0" if contract.right == "P" else "1")]
    if contract.exchange is not None:
        found.append((207, contract.exchange))
    return found


def position_of(message: Message, entries: list[Message]) -> Decimal:
    """Return the signed quantity of a position report, whose `entries` are its NoPositions (702).

    Where it tells a total (TOT), or the position at the end of the day (FIN), that is it; else its parts are summed:
    that of the start of the day, what was traded since, and so on.
    """
    by_kind = {entry.get(703): entry for entry in entries}
    whole = by_kind.get("TOT") or by_kind.get("FIN")
    counted = entries if whole is None else [entry for entry in entries if entry.get(703) == whole.get(703)]
    return sum(
        ((_number(entry, 704) or Decimal(0)) - (_number(entry, 705) or Decimal(0)) for entry in counted), Decimal(0)
    )


def _named(text: str | None) -> str | None:
    """Return an id; brokers write several words for none."""
    return None if text is None or text.strip().upper() in _NONE else text


def _number(message: Message, tag: int) -> Decimal | None:
    """Read a number.  Raises ValueError for text that is none."""
    try:
        value = message.decimal(tag)
    except InvalidOperation:
        raise ValueError(f"tag {tag} is no number: {message.get(tag)}") from None
    if value is not None and not value.is_finite():
        raise ValueError(f"tag {tag} is no number: {message.get(tag)}")
    return value


def _time(message: Message) -> int | None:
    """Return when it happened: the venue's own time, else when the report was first sent."""
    for tag in (60, 122, 52):
        text = message.get(tag)
        if text:
            try:
                return instant_from_wire(text)
            except ValueError:
                continue
    return None


def _commission(message: Message, shares: Decimal | None) -> Decimal | None:
    """Return what the fill cost, where that is said as an amount or by the unit."""
    amount = _number(message, 12)
    if amount is None:
        return None
    kind = message.get(13, "3")
    if kind == "1":
        return amount * (shares or Decimal(0))
    return amount if kind == "3" else None
