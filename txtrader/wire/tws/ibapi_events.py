"""What the installed API package calls back with, as our own immutable messages.

Both generations of the package end in equal messages: names of ours, prices and sizes as Decimal, None for everything
unset, the fields of its objects flat as on the wire.  Nothing of the package's own leaves this module.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any

from txtrader.wire.tws.message import Message
from txtrader.wire.tws.ticks import GenericTick, PriceTick, SizeTick, StringTick

__all__ = ["EventMaker", "unset_or"]

_UNSET_INTEGERS = frozenset({2**31 - 1, 2**63 - 1, -(2**63)})
_UNSET_FLOATS = frozenset({1.7976931348623157e308, float(2**127 - 1), *map(float, _UNSET_INTEGERS)})
_UNSET_DECIMALS = frozenset({Decimal(2**31 - 1), Decimal(2**63 - 1), Decimal(-(2**63)), Decimal(2**127 - 1)})

_RENAMED = {
    "commissionAndFees": "commission",
    "minCommissionAndFees": "minCommission",
    "maxCommissionAndFees": "maxCommission",
    "commissionAndFeesCurrency": "commissionCurrency",
    "average": "wap",
    "tickerId": "reqId",
    "requestId": "reqId",
    "open_": "open",
    "yield_": "yield",
    "xyzChallange": "xyzChallenge",
    "apiClientId": "clientId",
    "apiOrderId": "orderId",
    "timeInMillis": "time",
}
_MESSAGE_NAMES = {"commissionAndFeesReport": "commissionReport"}

# What the older package delivers as whole numbers, or as text, although it counts shares or money.
_SIZES = frozenset(
    "size bidSize askSize sizeBid sizeAsk volume shares cumQty filled remaining totalQuantity filledQuantity pos"
    " minSize sizeIncrement suggestedSizeIncrement wap position".split()
)
_ROWS = frozenset({"updateMktDepth", "updateMktDepthL2"})  # here `position` is a row of the book, not a holding
_MARGINS = frozenset(
    f"{figure}{when}"
    for figure in ("initMargin", "maintMargin", "equityWithLoan")
    for when in ("Before", "Change", "After")
)


def unset_or(value: Any) -> Any:
    """Return a scalar as Decimal, int, str or bool, None for the many spellings of unset.

    NaN and the infinities are no price or size either.
    """
    kind = type(value)
    if kind is float:
        return None if value in _UNSET_FLOATS or not math.isfinite(value) else Decimal(repr(value))
    if kind is int:
        return None if value in _UNSET_INTEGERS else value
    if kind is Decimal:
        return None if value in _UNSET_DECIMALS or not value.is_finite() else value
    return value


def _as_size(value: Any) -> Any:
    value = unset_or(value)
    return Decimal(value) if type(value) is int else value


def _as_money(value: Any) -> Any:
    """Read a margin figure that the package hands on as text; a word or a blank is none."""
    if not isinstance(value, str):
        return unset_or(value)
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return None if not number.is_finite() or number > Decimal("1e300") else number


def _nested(value: Any) -> Any:
    """Copy what stands inside a list: a dict for an object, else the scalar."""
    if isinstance(value, Enum):
        return value.value[0] if isinstance(value.value, tuple) else value.value
    if hasattr(value, "__dict__"):
        made: dict[str, Any] = {}
        _spread(value, made)
        return made
    if isinstance(value, (list, tuple)):
        return [_nested(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return unset_or(value)


def _spread(source: Any, into: dict[str, Any]) -> None:
    """Lay the attributes of an object of the package flat into `into`."""
    for name, value in vars(source).items():
        name = _RENAMED.get(name, name)
        if name in _SIZES:
            into[name] = _as_size(value)
        elif name in _MARGINS:
            into[name] = _as_money(value)
        elif name == "contract":
            _spread(value, into)
        elif name == "softDollarTier":
            into["softDollarTierName"] = value.name
            into["softDollarTierValue"] = value.val
            into["softDollarTierDisplayName"] = value.displayName
        elif name == "competeAgainstBestOffset" and value == math.inf:
            into[name] = Decimal("Infinity")  # the one place where it means something: up to the midpoint
        elif name == "deltaNeutralContract":
            into[name] = None if value is None else _nested(value)
        else:
            into[name] = _nested(value)


def _mask(attributes: Any, *names: str) -> int:
    return sum(1 << bit for bit, name in enumerate(names) if getattr(attributes, name, False))


class EventMaker:
    """Makes events of callbacks and hands them to `emit`; one per connection.

    The package reports a price tick and its size as two callbacks of one frame: `close_frame` is called after each
    frame, so that a price without a size still leaves.
    """

    def __init__(self, emit: Callable[[object], None]) -> None:
        self._emit = emit
        self._price: tuple[int, int, Decimal | None, int] | None = None
        self._special: dict[str, Callable[..., None]] = {
            "tickPrice": self._tick_price,
            "tickSize": self._tick_size,
            "tickGeneric": self._tick_generic,
            "tickString": self._tick_string,
            "tickByTickAllLast": self._tick_last,
            "tickByTickBidAsk": self._tick_bid_ask,
            "tickByTickMidPoint": self._tick_mid,
            "execDetails": self._exec_details,
            "smartComponents": self._smart_components,
            "securityDefinitionOptionParameter": self._option_parameters,
            "symbolSamples": self._symbol_samples,
            "historicalTicksBidAsk": self._historical_bid_ask,
            "historicalTicksLast": self._historical_last,
            "histogramData": self._histogram,
        }

    def callback(self, name: str, parameters: Sequence[str]) -> Callable[..., None]:
        """Return what to install as the package's callback `name`, whose parameters are called so."""
        special = self._special.get(name)
        if special is not None:
            return special
        message_name = _MESSAGE_NAMES.get(name, name)
        is_row = name in _ROWS
        names = [_RENAMED.get(parameter, parameter) for parameter in parameters]

        def call(*values: Any) -> None:
            fields: dict[str, Any] = {}
            for field, value in zip(names, values, strict=False):
                if hasattr(value, "__dict__") and not isinstance(value, Enum):
                    if field == "deltaNeutralContract":
                        fields.update(_nested(value))
                    else:
                        _spread(value, fields)
                elif field in _SIZES and not (is_row and field == "position"):
                    fields[field] = _as_size(value)
                else:
                    fields[field] = _nested(value)
            self._emit(Message(message_name, fields))

        return call

    def close_frame(self) -> None:
        """End a frame: a price that no size followed goes out alone."""
        held = self._price
        if held is not None:
            self._price = None
            req_id, tick_type, price, mask = held
            self._emit(PriceTick(req_id, tick_type, price, None, mask))

    def _tick_price(self, req_id: int, tick_type: int, price: float, attributes: Any) -> None:
        self.close_frame()
        mask = _mask(attributes, "canAutoExecute", "pastLimit", "preOpen")
        self._price = (req_id, int(tick_type), unset_or(price), mask)

    def _tick_size(self, req_id: int, tick_type: int, size: Any) -> None:
        held = self._price
        if held is not None:
            self._price = None
            self._emit(PriceTick(held[0], held[1], held[2], _as_size(size), held[3]))
        else:
            self._emit(SizeTick(req_id, int(tick_type), _as_size(size)))

    def _tick_generic(self, req_id: int, tick_type: int, value: float) -> None:
        self._emit(GenericTick(req_id, int(tick_type), unset_or(value)))

    def _tick_string(self, req_id: int, tick_type: int, value: str) -> None:
        self._emit(StringTick(req_id, int(tick_type), value))

    def _tick_last(
        self,
        req_id: int,
        kind: int,
        time: int,
        price: float,
        size: Any,
        attributes: Any,
        exchange: str,
        conditions: str,
    ) -> None:
        self._emit(
            Message(
                "tickByTick",
                {
                    "reqId": req_id,
                    "tickType": kind,
                    "time": time,
                    "price": unset_or(price),
                    "size": _as_size(size),
                    "mask": _mask(attributes, "pastLimit", "unreported"),
                    "exchange": exchange,
                    "specialConditions": conditions,
                },
            )
        )

    def _tick_bid_ask(
        self, req_id: int, time: int, bid: float, ask: float, bid_size: Any, ask_size: Any, attributes: Any
    ) -> None:
        self._emit(
            Message(
                "tickByTick",
                {
                    "reqId": req_id,
                    "tickType": 3,
                    "time": time,
                    "bidPrice": unset_or(bid),
                    "askPrice": unset_or(ask),
                    "bidSize": _as_size(bid_size),
                    "askSize": _as_size(ask_size),
                    "mask": _mask(attributes, "bidPastLow", "askPastHigh"),
                },
            )
        )

    def _tick_mid(self, req_id: int, time: int, price: float) -> None:
        fields = {"reqId": req_id, "tickType": 4, "time": time, "midPoint": unset_or(price)}
        self._emit(Message("tickByTick", fields))

    def _exec_details(self, req_id: int, contract: Any, execution: Any) -> None:
        fields: dict[str, Any] = {"reqId": req_id}
        _spread(execution, fields)
        fields["execExchange"] = fields.pop("exchange", None)  # the contract has an exchange of its own
        _spread(contract, fields)
        self._emit(Message("execDetails", fields))

    def _smart_components(self, req_id: int, components: Any) -> None:
        # The package keys (exchange, letter) by bit number; older ones deliver a list of objects.
        rows: Iterable[dict[str, Any]]
        if isinstance(components, dict):
            rows = [
                {"bitNumber": bit, "exchange": pair[0], "exchangeLetter": pair[1]} for bit, pair in components.items()
            ]
        else:
            rows = _nested(components)
        self._emit(Message("smartComponents", {"reqId": req_id, "smartComponents": list(rows)}))

    def _option_parameters(
        self,
        req_id: int,
        exchange: str,
        under_id: int,
        trading_class: str,
        multiplier: str,
        expirations: Iterable[str],
        strikes: Iterable[float],
    ) -> None:
        self._emit(
            Message(
                "securityDefinitionOptionParameter",
                {
                    "reqId": req_id,
                    "exchange": exchange,
                    "underlyingConId": under_id,
                    "tradingClass": trading_class,
                    "multiplier": multiplier,
                    "expirations": sorted(expirations),
                    "strikes": sorted(unset_or(strike) for strike in strikes),
                },
            )
        )

    def _symbol_samples(self, req_id: int, descriptions: Iterable[Any]) -> None:
        rows = []
        for description in descriptions:
            row: dict[str, Any] = {}
            _spread(description.contract, row)
            row["derivativeSecTypes"] = list(description.derivativeSecTypes or ())
            rows.append(row)
        self._emit(Message("symbolSamples", {"reqId": req_id, "contractDescriptions": rows}))

    def _historical_bid_ask(self, req_id: int, ticks: Iterable[Any], done: bool) -> None:
        rows = [
            {
                "time": tick.time,
                "mask": _mask(tick.tickAttribBidAsk, "askPastHigh", "bidPastLow"),
                "priceBid": unset_or(tick.priceBid),
                "priceAsk": unset_or(tick.priceAsk),
                "sizeBid": _as_size(tick.sizeBid),
                "sizeAsk": _as_size(tick.sizeAsk),
            }
            for tick in ticks
        ]
        self._emit(Message("historicalTicksBidAsk", {"reqId": req_id, "ticks": rows, "done": done}))

    def _historical_last(self, req_id: int, ticks: Iterable[Any], done: bool) -> None:
        rows = [
            {
                "time": tick.time,
                "mask": _mask(tick.tickAttribLast, "pastLimit", "unreported"),
                "price": unset_or(tick.price),
                "size": _as_size(tick.size),
                "exchange": tick.exchange,
                "specialConditions": tick.specialConditions,
            }
            for tick in ticks
        ]
        self._emit(Message("historicalTicksLast", {"reqId": req_id, "ticks": rows, "done": done}))

    def _histogram(self, req_id: int, items: Iterable[Any]) -> None:
        rows = [
            {"price": unset_or(item.price), "size": _as_size(getattr(item, "size", getattr(item, "count", None)))}
            for item in items
        ]
        self._emit(Message("histogramData", {"reqId": req_id, "items": rows}))
