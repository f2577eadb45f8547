"""Bars and ticks from CQG: windows cut to what a request may ask, chunks joined, oldest first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from txtrader.adapters.cqg_instruments import Instruments
from txtrader.errors import BrokerError, InvalidArgument
from txtrader.model.instrument import Instrument
from txtrader.model.market import Bar, BarPeriod, BarQuery, Trade
from txtrader.wire.cqg.schema import message_class
from txtrader.wire.cqg.values import BaseTime, PriceScale, decimal_of
from txtrader.wire.cqg.words import BarStatus, BarUnit, QuoteType, TicksCode, TicksLevel

__all__ = ["PERIODS", "History"]

_DAY = 86_400_000_000_000
_UNITS = {"m": BarUnit.MIN, "h": BarUnit.HOUR, "D": BarUnit.DAY, "W": BarUnit.WEEK, "M": BarUnit.MONTH}
_MOST_BARS = 2_000  # in one request
_MILLISECOND = 1_000_000
_Parameters = message_class("historical_2.TimeBarParameters")
_TickParameters = message_class("historical_2.TimeAndSalesParameters")

PERIODS = (
    *(BarPeriod(count, "m") for count in (1, 2, 3, 5, 10, 15, 20, 30)),
    *(BarPeriod(count, "h") for count in (1, 2, 3, 4, 8)),
    BarPeriod(1, "D"),
    BarPeriod(1, "W"),
    BarPeriod(1, "M"),
)


class History:
    """Requests for bars on whatever connection there is."""

    def __init__(self, connected: Callable[[], Any], instruments: Instruments, timeout: float) -> None:
        self._connected = connected
        self._instruments = instruments
        self._timeout = timeout

    async def bars(self, query: BarQuery) -> list[Bar]:
        """Return the bars of a query in ascending time.  Raises InvalidArgument for a length that CQG has not."""
        period = query.period
        if period not in PERIODS:
            raise InvalidArgument(f"CQG has no bars of {period}", path="period")
        connection = self._connected()
        contract = await self._instruments.contract_of(query.instrument)
        window = period.seconds * 1_000_000_000 * _MOST_BARS
        found: dict[int, Bar] = {}
        start = query.start
        while start < query.end:
            end = min(query.end, start + window)
            for bar in await self._piece(connection, contract.contract_id, contract.scale, period, start, end):
                if query.start <= bar.time < query.end:
                    found[bar.time] = bar
            start = end
        return [found[time] for time in sorted(found)]

    async def trades(self, instrument: Instrument, start: int, end: int) -> list[Trade]:
        """Return the trades with start <= time < end (integer nanoseconds UTC), oldest first.

        CQG keeps thirty days.  Where one answer does not hold them all the next one goes on from where it ended.
        """
        connection = self._connected()
        contract = await self._instruments.contract_of(instrument)
        base: BaseTime = connection.base_time
        prices = PriceScale(contract.scale)
        found: list[Trade] = []
        since = start
        while since < end:
            parameters = _TickParameters(contract_id=contract.contract_id, level=int(TicksLevel.TRADES))
            parameters.from_utc_time = base.milliseconds(since)
            parameters.to_utc_time = base.milliseconds(end)
            try:
                reports = await connection.ask_ticks(parameters, self._timeout)
            except BrokerError as error:
                if error.broker_code == TicksCode.OUTSIDE_ALLOWED_RANGE:
                    break
                raise
            # All ticks of one time stamp stay together in an answer: what it ends with is not asked for again.
            rows = _trades(reports, instrument, prices, base)
            found += [trade for trade in rows if since <= (trade.event_time or 0) < end]
            last = max((trade.event_time or 0 for trade in rows), default=end)
            if not reports[-1].truncated or last < since:
                break
            since = last + _MILLISECOND
        return found

    async def _piece(
        self, connection: Any, contract_id: int, scale: Any, period: BarPeriod, start: int, end: int
    ) -> list[Bar]:
        base: BaseTime = connection.base_time
        unit = _UNITS[period.unit]
        parameters = _Parameters(contract_id=contract_id, bar_unit=int(unit))
        is_long = period.unit in "DWM"
        if is_long:
            # Both ends are trade dates, the last one included.
            parameters.from_utc_time = base.milliseconds(start // _DAY * _DAY)
            parameters.to_utc_time = base.milliseconds((end - 1) // _DAY * _DAY)
        else:
            parameters.unit_number = period.count
            parameters.from_utc_time = base.milliseconds(start)
            parameters.to_utc_time = base.milliseconds(end)
        try:
            reports = await connection.ask_bars(parameters, self._timeout)
        except BrokerError as error:
            if error.broker_code in (BarStatus.OUTSIDE_ALLOWED_RANGE,):
                return []
            raise
        prices = PriceScale(scale)
        day: int | None = None
        rows: list[Bar] = []
        for report in reports:
            for wire in report.time_bars:
                if wire.HasField("trade_date"):
                    day = base.ns(wire.trade_date) // _DAY * _DAY
                bar = _bar(wire, prices, base.ns(wire.bar_utc_time) if not is_long or day is None else day)
                if bar is not None:
                    rows.append(bar)
        return rows


def _trades(reports: list[Any], instrument: Instrument, prices: PriceScale, base: BaseTime) -> list[Trade]:
    rows: list[Trade] = []
    for report in reports:
        time: int | None = None
        for quote in report.quotes:
            if quote.HasField("quote_utc_time"):
                time = base.ns(quote.quote_utc_time)  # left out where it is that of the quote before
            if quote.type != QuoteType.TRADE or time is None:
                continue
            size = decimal_of(quote.volume) if quote.HasField("volume") else None
            price = prices.price(quote.scaled_price)
            rows.append(Trade(symbol=instrument.symbol, mode=instrument.mode, last=price, size=size, event_time=time))
    return rows


def _bar(wire: Any, prices: PriceScale, time: int) -> Bar | None:
    names = ("scaled_open_price", "scaled_high_price", "scaled_low_price", "scaled_close_price")
    if not all(wire.HasField(name) for name in names):
        return None  # a bar in which nothing was traded
    first, high, low, last = (prices.price(getattr(wire, name)) for name in names)
    return Bar(
        time=time,
        open=first,
        high=high,
        low=low,
        close=last,
        volume=decimal_of(wire.volume) if wire.HasField("volume") else None,
        count=wire.tick_volume if wire.HasField("tick_volume") else None,
    )
