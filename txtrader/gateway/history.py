"""The past: bars and ticks in the windows that callers name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from txtrader.errors import InvalidArgument, TooLarge
from txtrader.gateway.link import BrokerLink
from txtrader.gateway.market import Market, MarketOptions
from txtrader.gateway.records import tick_record
from txtrader.gateway.session import Session
from txtrader.model.instrument import Instrument, InstrumentQuery, SecType
from txtrader.model.market import Bar, BarPeriod, BarQuery, TickKind, TickQuery
from txtrader.model.numbers import plain
from txtrader.model.times import SECOND, from_datetime, iso, local_text, midnight, parse_instant, to_datetime

__all__ = ["History"]

_MOST_BARS = 10_000  # rows of an answer that comes in one piece
_MOST_PERIODS = 60_000  # nominal periods of a window: more than that many hold more bars than an answer may
_LONG_WEEKEND = 5 * 86_400 * SECOND
_SESSION_START = {SecType.STOCK: (9, 30), SecType.OPTION: (9, 30), SecType.INDEX: (9, 30), SecType.FUND: (9, 30)}
_UTC = ZoneInfo("UTC")


class History:
    """Asks the brokers for bars and ticks."""

    def __init__(
        self, *, market: Market, links: Mapping[str, BrokerLink], now_ns: Callable[[], int], options: MarketOptions
    ) -> None:
        self._market = market
        self._links = links
        self._now_ns = now_ns
        self._options = options

    async def bars(
        self, session: Session, query: InstrumentQuery, mode: str, period: BarPeriod, start: str, end: str
    ) -> dict[str, Any]:
        """Fetch bars: `{symbol, period, timezone, bars}`."""
        if not self._options.barchart:
            raise InvalidArgument("bars are turned off here (ENABLE_BARCHART)", reason="unsupported")
        instrument = await self._market.instrument(session, query, mode)
        zone = self._options.timezone
        now = self._now_ns()
        until = now if end == "." else parse_instant(end, zone, "end")
        count: int | None = None
        if start.startswith("-"):
            count = int(start[1:])
            since = until - count * period.seconds * SECOND
        elif start == ".":
            since = self._session_start(instrument, min(until, now))
        else:
            since = parse_instant(start, zone, "start")
        if since >= until:
            raise InvalidArgument("start is not before end", path="start")
        if (count or 0) > _MOST_BARS or (until - since) // (period.seconds * SECOND) > _MOST_PERIODS:
            raise TooLarge(f"more than {_MOST_BARS} bars; ask for a shorter window", path="start")
        if by_day := period.unit in "DWM":  # such bars carry their date, as midnight UTC
            since, until = _first_day(since, zone, period.unit), _as_utc(until, zone)
        ask = partial(self._ask_bars, instrument, mode, period, until)
        bars = await (ask(since) if count is None else self._last_bars(ask, count, since, until))
        return {
            "symbol": instrument.symbol,
            "period": str(period),
            "timezone": str(zone),
            "bars": [_bar_record(bar, _UTC if by_day else zone) for bar in bars],
        }

    async def _ask_bars(
        self, instrument: Instrument, mode: str, period: BarPeriod, until: int, since: int
    ) -> Sequence[Bar]:
        return await self._links[mode].adapter.bars(
            BarQuery(instrument=instrument, period=period, start=since, end=until)
        )

    async def _last_bars(
        self, ask: Callable[[int], Awaitable[Sequence[Bar]]], count: int, since: int, until: int
    ) -> Sequence[Bar]:
        """Fetch the last `count` bars: nights and weekends have none, so look further back until they are there."""
        bars: Sequence[Bar] = []
        for widened in (1, 4, 16):
            reach = max((until - since) * widened, 0 if widened == 1 else _LONG_WEEKEND)
            bars = await ask(until - reach)
            if len(bars) >= count:
                break
        return bars[-count:]

    async def ticks(
        self, session: Session, query: InstrumentQuery, mode: str, kind: TickKind, start: str, end: str, limit: int
    ) -> dict[str, Any]:
        """Fetch a page of ticks: `{symbol, what, items, next}`; `next` is the start of the next page, or None."""
        if not self._options.barchart:
            raise InvalidArgument("the past is turned off here (ENABLE_BARCHART)", reason="unsupported")
        instrument = await self._market.instrument(session, query, mode)
        zone = self._options.timezone
        now = self._now_ns()
        until = now if end == "." else parse_instant(end, zone, "end")
        if start.startswith("-"):
            raise InvalidArgument("ticks have no periods to count; name a time or `.`", path="start")
        since = (
            self._session_start(instrument, min(until, now)) if start == "." else parse_instant(start, zone, "start")
        )
        until = min(until, now)
        if since >= until:
            raise InvalidArgument("start is not before end and now", path="start")
        asked = TickQuery(instrument=instrument, kind=kind, start=since, end=until, limit=limit)
        page = await self._links[mode].adapter.ticks(asked)
        return {
            "symbol": instrument.symbol,
            "what": kind.value,
            "items": [tick_record(tick) for tick in page.ticks],
            "next": None if page.next_start is None else iso(page.next_start),
        }

    async def todays_bars(self, session: Session, query: InstrumentQuery, mode: str) -> list[list[Any]]:
        """Fetch today's minutes as rows `[date, time, open, high, low, close, volume]`."""
        if not self._options.symbol_barchart:
            return []
        answer = await self.bars(session, query, mode, BarPeriod(1, "m"), ".", ".")
        rows = []
        for bar in answer["bars"]:
            day, at = bar["time"].split(" ")
            rows.append([day, at, *(bar[name] for name in ("open", "high", "low", "close", "volume"))])
        return rows

    def _session_start(self, instrument: Instrument, now: int) -> int:
        """Return the start of the trading session that `now` is in, or the last one before it."""
        zone = ZoneInfo(instrument.timezone) if instrument.timezone else self._options.timezone
        starts = [
            parsed
            for span in (instrument.trading_hours or "").split(";")
            if (parsed := _span_start(span, zone)) is not None and parsed <= now
        ]
        if starts and instrument.sectype not in _SESSION_START:
            return max(starts)
        hour, minute = _SESSION_START.get(instrument.sectype, (0, 0))
        at = midnight(now, self._options.timezone) + (hour * 60 + minute) * 60 * SECOND
        return at if at <= now else midnight(now, self._options.timezone)


def _as_utc(ns: int, zone: ZoneInfo) -> int:
    """Return the instant whose UTC clock shows what the clock of `zone` shows at `ns`."""
    return from_datetime(to_datetime(ns, zone).replace(tzinfo=UTC))


def _first_day(ns: int, zone: ZoneInfo, unit: str) -> int:
    """Return midnight UTC of the date on which the bar that holds `ns` begins."""
    at = to_datetime(ns, zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    if unit == "W":
        at -= timedelta(days=at.weekday())
    elif unit == "M":
        at = at.replace(day=1)
    return from_datetime(at)


def _span_start(span: str, zone: ZoneInfo) -> int | None:
    """Read the start out of `20260105:0400-20260105:2000`; None for closed days and unknown forms."""
    head = span.split("-", 1)[0]
    day, _, clock = head.partition(":")
    if len(day) != 8 or len(clock) != 4 or not (day + clock).isdigit():
        return None
    text = f"{day[:4]}-{day[4:6]}-{day[6:]} {clock[:2]}:{clock[2:]}"
    return parse_instant(text, zone, "trading_hours")


def _bar_record(bar: Bar, zone: ZoneInfo) -> dict[str, Any]:
    """Show a bar; daily and longer ones carry their date at midnight."""

    def number(value: Decimal | None) -> Decimal | None:
        return None if value is None else plain(value)

    return {
        "time": local_text(bar.time, zone),
        "open": plain(bar.open),
        "high": plain(bar.high),
        "low": plain(bar.low),
        "close": plain(bar.close),
        "volume": number(bar.volume),
        "count": bar.count,
        "wap": number(bar.wap),
    }
