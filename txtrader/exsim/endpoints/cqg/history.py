"""Bars and ticks of the past from the simulated CQG server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from txtrader.exsim.endpoints.cqg.service import Answer, Service
from txtrader.exsim.records import Listing
from txtrader.model.market import Bar, BarPeriod
from txtrader.wire.cqg.schema import ServerMsg
from txtrader.wire.cqg.values import PriceScale, put_decimal
from txtrader.wire.cqg.words import BarRequest, BarStatus, BarUnit, QuoteType, TicksCode, TicksRequest

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.cqg.connection import CqgConnection

__all__ = ["History"]

_DAY = 86_400_000_000_000
_BARS_A_MESSAGE = 60  # below 4,000 bytes
_TICKS_A_MESSAGE = 120
_MOST_TICKS = 10_000
_UNITS = {BarUnit.DAY: "D", BarUnit.WEEK: "W", BarUnit.MONTH: "M", BarUnit.HOUR: "h", BarUnit.MIN: "m"}
_MONTHS_OF = {BarUnit.QUARTER: 3, BarUnit.SEMI_ANNUAL: 6, BarUnit.YEAR: 12}
_LONG = frozenset({BarUnit.DAY, BarUnit.WEEK, BarUnit.MONTH, BarUnit.QUARTER, BarUnit.SEMI_ANNUAL, BarUnit.YEAR})


class History(Service):
    """One client's requests for bars and ticks."""

    def __init__(self, connection: CqgConnection) -> None:
        super().__init__(connection)

    @property
    def answers(self) -> Mapping[str, Answer]:
        return {"time_bar_requests": self.bars, "time_and_sales_requests": self.ticks}

    def bars(self, request: Any) -> None:
        """Answer bars, newest first, in messages that are not too large."""
        kind = request.request_type if request.HasField("request_type") else BarRequest.GET
        number = request.request_id
        if kind == BarRequest.DROP:
            self._tell_bars(number, BarStatus.DROPPED)
            return
        if kind != BarRequest.GET:
            self._tell_bars(number, BarStatus.NOT_SUPPORTED, text="bars are not streamed here")
            return
        asked = request.time_bar_parameters
        listing = self.user_session.listing(asked.contract_id)
        if listing is None:
            self._tell_bars(number, BarStatus.NOT_FOUND, text="no such contract in this session")
            return
        period = self._period(asked)
        base = self.user_session.base_time
        now = self.venue.now_ns()
        start = base.ns(asked.from_utc_time)
        end = base.ns(asked.to_utc_time) if asked.HasField("to_utc_time") else now
        is_long = asked.bar_unit in _LONG
        if is_long:  # both are trade dates, the last one included
            start = start // _DAY * _DAY
            end = end // _DAY * _DAY + _DAY
        if period is None or end < start:
            self._tell_bars(number, BarStatus.INVALID_PARAMS, text="no such unit, number or range")
            return
        rows = self.venue.bars(listing.id, period, start, min(end, now + 1), regular=is_long)
        self._send_bars(number, listing, list(reversed(rows)))

    def _period(self, asked: Any) -> BarPeriod | None:
        if asked.bar_unit not in BarUnit.__members__.values():
            return None
        unit = BarUnit(asked.bar_unit)
        count = asked.unit_number if asked.HasField("unit_number") else 1
        if unit in _MONTHS_OF:
            return BarPeriod(_MONTHS_OF[unit], "M")
        if count < 1 or (unit in _LONG and count != 1) or count * (60 if unit is BarUnit.HOUR else 1) > 1440:
            return None
        return BarPeriod(count, _UNITS[unit])

    def _send_bars(self, number: int, listing: Listing, rows: Sequence[Bar]) -> None:
        scale, base = PriceScale(listing.tick), self.user_session.base_time
        size = _BARS_A_MESSAGE if self.endpoint.options.small_frames else max(1, len(rows))
        pieces = [rows[start : start + size] for start in range(0, len(rows), size)] or [()]
        last_day = None
        for place, piece in enumerate(pieces):
            message = ServerMsg()
            report = message.time_bar_reports.add(
                request_id=number, status_code=int(BarStatus.SUCCESS), is_report_complete=place == len(pieces) - 1
            )
            for row in piece:
                bar = report.time_bars.add(
                    bar_utc_time=base.milliseconds(row.time),
                    scaled_open_price=scale.scaled(row.open),
                    scaled_high_price=scale.scaled(row.high),
                    scaled_low_price=scale.scaled(row.low),
                    scaled_close_price=scale.scaled(row.close),
                )
                day = row.time // _DAY
                if day != last_day:
                    bar.trade_date = base.milliseconds(day * _DAY)
                    last_day = day
                if row.volume is not None:
                    put_decimal(bar.volume, row.volume)
                    bar.volume.SetInParent()
            self.connection.send(message)

    def _tell_bars(self, number: int, code: BarStatus, text: str = "") -> None:
        message = ServerMsg()
        report = message.time_bar_reports.add(request_id=number, status_code=int(code))
        if text:
            report.details.text = text
        self.connection.send(message)

    def ticks(self, request: Any) -> None:
        """Answer past trades, oldest first."""
        number = request.request_id
        if request.request_type == TicksRequest.DROP:
            self._tell_ticks(number, TicksCode.DROPPED)
            return
        asked = request.time_and_sales_parameters
        listing = self.user_session.listing(asked.contract_id)
        if listing is None:
            self._tell_ticks(number, TicksCode.NOT_FOUND, "no such contract in this session")
            return
        scale, base = PriceScale(listing.tick), self.user_session.base_time
        start = base.ns(asked.from_utc_time)
        end = base.ns(asked.to_utc_time) if asked.HasField("to_utc_time") else self.venue.now_ns()
        if end < start:
            self._tell_ticks(number, TicksCode.INVALID_PARAMS, "the range is empty")
            return
        rows = self.venue.prints(listing.id, start, end, _MOST_TICKS, regular=False)
        size = _TICKS_A_MESSAGE if self.endpoint.options.small_frames else max(1, len(rows))
        pieces = [rows[first : first + size] for first in range(0, len(rows), size)] or [[]]
        for place, piece in enumerate(pieces):
            message = ServerMsg()
            report = message.time_and_sales_reports.add(
                request_id=number, result_code=int(TicksCode.SUCCESS), is_report_complete=place == len(pieces) - 1
            )
            for row in piece:
                quote = report.quotes.add(
                    type=int(QuoteType.TRADE),
                    scaled_price=scale.scaled(row.price),
                    quote_utc_time=base.milliseconds(row.time),
                )
                put_decimal(quote.volume, row.size)
            self.connection.send(message)

    def _tell_ticks(self, number: int, code: TicksCode, text: str = "") -> None:
        message = ServerMsg()
        report = message.time_and_sales_reports.add(request_id=number, result_code=int(code))
        if text:
            report.details.text = text
        self.connection.send(message)
