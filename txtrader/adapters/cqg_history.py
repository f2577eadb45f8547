"""Bars and ticks from CQG: windows cut to what a request may ask, chunks joined, oldest first."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from txtrader.adapters.cqg_instruments import Instruments
from txtrader.errors import BrokerError, InvalidArgument
from txtrader.model.market import Bar, BarPeriod, BarQuery, PastQuote, PastTrade, TickKind, TickPage, TickQuery, page_of
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

    async def ticks(self, query: TickQuery) -> TickPage:
        """Return a page of past trades or quotes.  CQG keeps thirty days: what is older is an empty page.

        Where one answer does not hold them all the next one goes on from where it ended.
        """
        connection = self._connected()
        contract = await self._instruments.contract_of(query.instrument)
        base: BaseTime = connection.base_time
        is_trades = query.kind is TickKind.TRADES
        reader = _Ticks(PriceScale(contract.scale), base, is_trades=is_trades)
        level = TicksLevel.TRADES if is_trades else TicksLevel.TRADES_BBA_VOLUMES
        found: list[PastTrade | PastQuote] = []
        since = query.start
        rest: int | None = None
        while since < query.end:
            parameters = _TickParameters(contract_id=contract.contract_id, level=int(level))
            parameters.from_utc_time = base.milliseconds(since)
            # To the millisecond above, or the last one of the window would be missing.
            parameters.to_utc_time = base.milliseconds(query.end - 1) + 1
            try:
                reports = await connection.ask_ticks(parameters, self._timeout)
            except BrokerError as error:
                if error.broker_code == TicksCode.OUTSIDE_ALLOWED_RANGE:
                    break
                raise
            # All ticks of one time stamp stay together in an answer: what it ends with is not asked for again.
            last = reader.read(reports)
            rows = [tick for tick in reader.take() if since <= tick.time < query.end]
            found += rows
            if not reports[-1].truncated or last is None or last < since:
                break
            since = last // _MILLISECOND * _MILLISECOND + _MILLISECOND
            if len(found) >= query.limit:
                rest = since if since < query.end else None
                break
        return page_of(found, query, rest)

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


class _Ticks:
    """Reads time and sales; a quote is made of its two sides, of which a tick tells one."""

    def __init__(self, prices: PriceScale, base: BaseTime, *, is_trades: bool) -> None:
        self._prices = prices
        self._base = base
        self._is_trades = is_trades
        self._sides: dict[int, tuple[Decimal | None, Decimal | None]] = {}
        self._ticks: list[PastTrade | PastQuote] = []

    def read(self, reports: list[Any]) -> int | None:
        """Take the reports of one answer; return the time of its last tick of any kind."""
        last: int | None = None
        for report in reports:
            time: int | None = None
            for quote in report.quotes:
                if quote.HasField("quote_utc_time"):
                    time = self._base.ns(quote.quote_utc_time)  # left out where it is that of the quote before
                if time is None:
                    continue
                last = time
                size = decimal_of(quote.volume) if quote.HasField("volume") else None
                self._tick(int(quote.type), time, self._prices.price(quote.scaled_price), size)
        return last

    def _tick(self, kind: int, time: int, price: Decimal, size: Decimal | None) -> None:
        if self._is_trades:
            if kind == QuoteType.TRADE:
                self._ticks.append(PastTrade(time=time, price=price, size=size))
            return
        if kind not in (QuoteType.BESTBID, QuoteType.BESTASK):
            return
        # A size of zero says that the side is gone.
        self._sides[kind] = (None, None) if size == 0 else (price, size)
        bid, bidsize = self._sides.get(QuoteType.BESTBID, (None, None))
        ask, asksize = self._sides.get(QuoteType.BESTASK, (None, None))
        if self._ticks and self._ticks[-1].time == time:
            self._ticks.pop()  # the other side of the same instant
        self._ticks.append(PastQuote(time=time, bid=bid, bidsize=bidsize, ask=ask, asksize=asksize))

    def take(self) -> list[PastTrade | PastQuote]:
        """Return what was read since the last time."""
        taken, self._ticks = self._ticks, []
        return taken


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
