"""Bars and ticks of the past from the simulated CQG server; bars newest first, ticks oldest first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall

from txtrader.exsim.endpoints.cqg.bar_requests import BarPlan, Refused, plan_of, put_bars, read_bars
from txtrader.exsim.endpoints.cqg.frames import pieces
from txtrader.exsim.endpoints.cqg.live_bars import LiveBars
from txtrader.exsim.endpoints.cqg.past_ticks import put_ticks
from txtrader.exsim.endpoints.cqg.service import Answer, Service
from txtrader.model.market import Bar
from txtrader.wire.cqg.schema import ServerMsg
from txtrader.wire.cqg.words import BarRequest, BarStatus, TicksCode, TicksRequest

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.cqg.connection import CqgConnection

__all__ = ["History"]

_Key = tuple[str, int]


class History(Service):
    """One client's requests for bars and ticks."""

    def __init__(self, connection: CqgConnection) -> None:
        super().__init__(connection)
        self._live: dict[int, LiveBars] = {}
        self._pending: dict[_Key, IDelayedCall] = {}

    @property
    def answers(self) -> Mapping[str, Answer]:
        return {"time_bar_requests": self.bars, "time_and_sales_requests": self.ticks}

    # -- bars

    def bars(self, request: Any) -> None:
        """Answer bars, keep them up to date, or end that."""
        kind = request.request_type if request.HasField("request_type") else BarRequest.GET
        number = request.request_id
        try:
            if kind == BarRequest.DROP:
                self._drop(number)
                self.tell_bars(number, BarStatus.DROPPED)
                return
            if kind not in (BarRequest.GET, BarRequest.SUBSCRIBE):
                raise Refused(BarStatus.INVALID_PARAMS, "no such type of request")
            asked = request.time_bar_parameters
            if not request.HasField("time_bar_parameters"):
                raise Refused(BarStatus.INVALID_PARAMS, "the parameters are missing")
            listing = self.user_session.listing(asked.contract_id)
            plan = plan_of(asked, kind, listing, self.user_session.base_time, self.venue)
            most = self.endpoint.meters.most("streams")
            others = len(self._live) - (number in self._live)
            if kind == BarRequest.SUBSCRIBE and most is not None and others >= most:
                raise Refused(BarStatus.SUBSCRIPTION_LIMIT_VIOLATION, "too many bars are kept up to date")
            self._when_due(
                ("bars", number),
                BarStatus.ACTIVE_REQUESTS_LIMIT_VIOLATION,
                lambda: self._answer_bars(number, plan, is_live=kind == BarRequest.SUBSCRIBE),
            )
        except Refused as refused:
            self._drop(number)
            self.tell_bars(number, BarStatus(refused.code), refused.text)

    def _answer_bars(self, number: int, plan: BarPlan, *, is_live: bool) -> None:
        if is_live:
            self._drop(number)
            self._live[number] = LiveBars(self, number, plan)
        else:
            rows, is_cut = read_bars(plan, self.venue)
            self.send_bars(number, plan, rows, BarStatus.SUCCESS, is_cut=is_cut)

    def send_bars(
        self, number: int, plan: BarPlan, rows: Sequence[Bar], code: BarStatus, *, is_cut: bool = False
    ) -> None:
        """Send bars, newest first, in messages that are not too large."""
        base = self.user_session.base_time
        written = put_bars(plan, rows, base, self.venue)
        for piece, is_last in pieces(written, is_small=self.endpoint.options.small_frames):
            message = ServerMsg()
            report = message.time_bar_reports.add(request_id=number, status_code=int(code), is_report_complete=is_last)
            report.time_bars.extend(piece)
            if is_cut:
                report.truncated = True
            if is_last and code is not BarStatus.UPDATE and plan.has_all:
                report.reached_start_of_data = True
            if plan.end is None:
                report.up_to_utc_time = base.milliseconds(self.venue.now_ns())
            self.connection.send(message)

    def tell_bars(self, number: int, code: BarStatus, text: str = "") -> None:
        """Report a status without bars."""
        message = ServerMsg()
        report = message.time_bar_reports.add(request_id=number, status_code=int(code))
        if text:
            report.details.text = text
        self.connection.send(message)

    def interrupt(self, is_lost: bool) -> None:
        """Report the bars that are kept up to date as disconnected, or as subscribed again."""
        for live in self._live.values():
            live.interrupt(is_lost)

    def invalidate(self) -> None:
        """Tell that the bars known so far are wrong; they are kept up to date all the same."""
        for number in self._live:
            self.tell_bars(number, BarStatus.INVALIDATED)

    def _drop(self, number: int) -> None:
        live = self._live.pop(number, None)
        if live is not None:
            live.close()
        self._forget(("bars", number))

    # -- ticks

    def ticks(self, request: Any) -> None:
        """Answer past trades, with best bids and offers at level 3."""
        number = request.request_id
        try:
            if request.HasField("request_type") and request.request_type == TicksRequest.DROP:
                self._forget(("ticks", number))
                self._tell_ticks(number, TicksCode.DROPPED)
                return
            if request.HasField("request_type") and request.request_type != TicksRequest.GET:
                raise Refused(TicksCode.INVALID_PARAMS, "no such type of request")
            if not request.HasField("time_and_sales_parameters"):
                raise Refused(TicksCode.INVALID_PARAMS, "the parameters are missing")
            asked = type(request.time_and_sales_parameters)()
            asked.CopyFrom(request.time_and_sales_parameters)
            self._when_due(
                ("ticks", number),
                TicksCode.ACTIVE_REQUESTS_LIMIT_VIOLATION,
                lambda: self._answer_ticks(number, asked),
            )
        except Refused as refused:
            self._tell_ticks(number, TicksCode(refused.code), refused.text)

    def _answer_ticks(self, number: int, asked: Any) -> None:
        try:
            listing = self.user_session.listing(asked.contract_id)
            base = self.user_session.base_time
            quotes, up_to, is_cut = put_ticks(asked, listing, base, self.venue)
        except Refused as refused:
            self._tell_ticks(number, TicksCode(refused.code), refused.text)
            return
        small = self.endpoint.options.small_frames
        for piece, is_last in pieces(quotes, is_small=small, keeps=_are_together):
            message = ServerMsg()
            report = message.time_and_sales_reports.add(
                request_id=number, result_code=int(TicksCode.SUCCESS), is_report_complete=is_last
            )
            moment = None
            for quote in piece:
                written = report.quotes.add()
                written.CopyFrom(quote)
                if quote.quote_utc_time == moment:
                    written.ClearField("quote_utc_time")  # as that of the quote before
                moment = quote.quote_utc_time
            if is_cut:
                report.truncated = True
            if is_last:
                report.up_to_utc_time = up_to
            elif moment is not None:
                report.up_to_utc_time = moment
            self.connection.send(message)

    def _tell_ticks(self, number: int, code: TicksCode, text: str = "") -> None:
        message = ServerMsg()
        report = message.time_and_sales_reports.add(request_id=number, result_code=int(code))
        if text:
            report.details.text = text
        self.connection.send(message)

    # -- what takes its time

    def _when_due(self, key: _Key, too_many: int, answer: Callable[[], None]) -> None:
        """Answer at once, or as late as the endpoint's history is; raises Refused with too many under way."""
        self._forget(key)
        most = self.endpoint.meters.most("histories")
        if most is not None and len(self._pending) >= most:
            raise Refused(too_many, "too many requests for history are under way")
        delay = self.endpoint.options.history_delay
        if delay <= 0:
            answer()
            return

        def due() -> None:
            self._pending.pop(key, None)
            answer()

        self._pending[key] = self.endpoint.reactor.callLater(delay, due)

    def _forget(self, key: _Key) -> None:
        timer = self._pending.pop(key, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        for live in self._live.values():
            live.close()
        self._live.clear()
        for timer in self._pending.values():
            timer.cancel()
        self._pending.clear()


def _are_together(before: Any, quote: Any) -> bool:
    return bool(before.quote_utc_time == quote.quote_utc_time)
