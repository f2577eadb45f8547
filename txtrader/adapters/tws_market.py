"""Market data lines: one for each instrument, kept over reconnects, with an eye on silence.

A tick is a plain call all the way.  What TWS means by "no data" (-1, 0, the greatest double) never becomes a price.
Figures that no event carries (session high, volume, raw fields) are gathered and handed on ten times a second.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from txtrader.dialects import tws as dialect
from txtrader.dialects.tws import TickType
from txtrader.errors import TxTraderError
from txtrader.gateway.adapter import AdapterSink, BrokerNotice
from txtrader.model.instrument import Instrument, SecType
from txtrader.model.market import DataType, MarketStats, Quote, Trade
from txtrader.model.numbers import plain_text
from txtrader.net.pacing import Priority
from txtrader.twsapi.connection import Connection
from txtrader.wire.tws.message import Message
from txtrader.wire.tws.ticks import GenericTick, PriceTick, SizeTick, StringTick

__all__ = ["Line", "MarketLines"]

_FLUSH = 0.1  # seconds between hand-overs of gathered figures
_SCAN = 1.0  # seconds between looks for silent lines
_RETRY_MOST = 600.0
_ZERO = Decimal(0)
_NO_DATA = Decimal(-1)
_MILLION = 1_000_000
_RT_VOLUME_REQUEST = "233"
_LINES_USED_UP = 101

_T = TickType
# Plain numbers: comparing them with members of an enumeration would cost a tenth of a tick.
_BIDS = (int(_T.BID), int(_T.DELAYED_BID))
_ASKS = (int(_T.ASK), int(_T.DELAYED_ASK))
_LASTS = (int(_T.LAST), int(_T.DELAYED_LAST))
_BID_SIZES = (int(_T.BID_SIZE), int(_T.DELAYED_BID_SIZE))
_ASK_SIZES = (int(_T.ASK_SIZE), int(_T.DELAYED_ASK_SIZE))
_VOLUMES = frozenset({_T.VOLUME, _T.DELAYED_VOLUME})
_SESSION_PRICES: dict[int, str] = {
    _T.HIGH: "high",
    _T.LOW: "low",
    _T.CLOSE: "close",
    _T.OPEN: "open",
    _T.DELAYED_HIGH: "high",
    _T.DELAYED_LOW: "low",
    _T.DELAYED_CLOSE: "close",
    _T.DELAYED_OPEN: "open",
}
_STAMPS = frozenset({_T.LAST_TIMESTAMP, _T.DELAYED_LAST_TIMESTAMP})
_TRADE_STRINGS = frozenset({_T.RT_VOLUME, _T.RT_TRADE_VOLUME})


class Line:
    """One instrument that streams, and the latest of it."""

    __slots__ = (
        "ask",
        "asksize",
        "bid",
        "bidsize",
        "data_type",
        "figures",
        "has_prints",
        "instrument",
        "is_dead",
        "is_heard",
        "is_negative_allowed",
        "is_stale",
        "is_suspect",
        "last",
        "last_size",
        "last_time",
        "raw",
        "request_id",
        "retry_in",
        "retry_wait",
        "silence",
        "symbol",
        "volume",
    )

    def __init__(self, instrument: Instrument, data_type: DataType) -> None:
        self.instrument = instrument
        self.symbol = instrument.symbol
        self.is_negative_allowed = instrument.allows_negative_prices
        self.data_type = data_type
        self.request_id: int | None = None
        self.bid: Decimal | None = None
        self.bidsize: Decimal | None = None
        self.ask: Decimal | None = None
        self.asksize: Decimal | None = None
        self.last: Decimal | None = None
        self.last_size: Decimal | None = None
        self.last_time: int | None = None
        self.volume: Decimal | None = None
        self.has_prints = False  # RTVolume tells every trade: last-price ticks would tell them twice
        self.figures: dict[str, Any] = {}
        self.raw: dict[int | str, Any] = {}
        self.is_heard = False
        self.is_stale = False
        self.is_suspect = False  # something happened after which TWS may never send again
        self.is_dead = False  # TWS ended the stream with an error
        self.silence = 0.0
        self.retry_wait = 30.0
        self.retry_in = 0.0


class MarketLines:
    """All lines of one login, shared by everyone who wants the instrument.

    Silence: a line that was heard and then is not for `liveness` seconds has its quote marked stale; after a broken
    farm, a competing login or the like (`suspect`) a line that stays silent is asked for again, ever more seldom.
    """

    _log = Logger()

    def __init__(
        self,
        mode: str,
        sink: AdapterSink,
        clock: IReactorTime,
        now_ns: Callable[[], int],
        *,
        data_type: DataType,
        liveness: float = 60.0,
    ) -> None:
        self._mode = mode
        self._sink = sink
        self._quoted = sink.quoted
        self._clock = clock
        self._now_ns = now_ns
        self._data_type = data_type
        self._liveness = liveness
        self._lines: dict[str, Line] = {}  # by instrument id
        self._by_request: dict[int, Line] = {}
        self._connection: Connection | None = None
        self._dirty: dict[Line, None] = {}
        self._flush_call: IDelayedCall | None = None
        self._scan_call: IDelayedCall | None = None
        self.ticks: dict[type, Callable[[Any], None]] = {
            PriceTick: self._price,
            SizeTick: self._size,
            GenericTick: self._generic,
            StringTick: self._string,
        }
        """What the connection hands frequent events to."""

    # --- lines ---

    def subscribe(self, instrument: Instrument) -> None:
        """Stream an instrument, now or at the next login; a second call changes nothing."""
        if instrument.instrument_id not in self._lines:
            line = self._lines[instrument.instrument_id] = Line(instrument, self._data_type)
            if self._connection is not None:
                self._ask(line)

    def unsubscribe(self, instrument: Instrument) -> None:
        """Stop a stream; a line that waits for room gets its place."""
        line = self._lines.pop(instrument.instrument_id, None)
        if line is None:
            return
        self._dirty.pop(line, None)
        self._drop_request(line, is_told=True)
        waiting = next((other for other in self._lines.values() if other.is_dead and other.request_id is None), None)
        if waiting is not None and self._connection is not None:
            self._ask(waiting)

    def line_of(self, request_id: int) -> Line | None:
        """Return the line that a request id belongs to."""
        return self._by_request.get(request_id)

    def opened(self, connection: Connection) -> None:
        """Ask for every line on a new login: market data, and its type, is forgotten over a reconnect."""
        self._connection = connection
        number = dialect.MARKET_DATA_TYPE_NUMBERS[self._data_type]
        self._post(Message("reqMarketDataType", {"marketDataType": number}))
        for line in self._lines.values():
            self._ask(line)
        if self._scan_call is None:
            self._scan_call = self._clock.callLater(_SCAN, self._scan)

    def closed(self) -> None:
        """Note that the login is gone: every quote is old."""
        self._connection = None
        self._by_request.clear()
        for line in self._lines.values():
            line.request_id = None
            self._mark_stale(line)
        self._stop_timers()

    def resubscribe(self, *, only: Line | None = None) -> None:
        """Ask again for all lines, or for one."""
        for line in [only] if only is not None else list(self._lines.values()):
            self._drop_request(line, is_told=True)
            self._ask(line)

    def suspect(self) -> None:
        """Mark every quote stale, and every line as one that has to prove that it lives."""
        for line in self._lines.values():
            line.is_suspect = True
            line.retry_wait = 30.0
            line.retry_in = line.retry_wait
            self._mark_stale(line)

    def trust(self) -> None:
        """Take the word of TWS that its data goes on: lines need not prove it, quotes are old until the next tick."""
        for line in self._lines.values():
            line.is_suspect = False

    def failed(self, line: Line, code: int, text: str, *, is_dead: bool) -> None:
        """Take an error for a line; with `is_dead` TWS has ended it.

        If only because all lines were used up, it is asked for again as soon as another one ends.
        """
        if is_dead:
            self._drop_request(line, is_told=False)
            line.is_dead = code == _LINES_USED_UP
            self._mark_stale(line)
        self._sink.noticed(
            BrokerNotice(
                mode=self._mode,
                severity="error" if is_dead else "warning",
                message=text,
                broker_code=code,
                symbol=line.symbol,
            )
        )

    def data_type_changed(self, request_id: int, number: int) -> None:
        """Take the kind of data that a line delivers from now on."""
        line = self._by_request.get(request_id)
        kind = dialect.MARKET_DATA_TYPES.get(number)
        if line is not None and kind is not None and line.data_type is not kind:
            line.data_type = kind
            line.figures["data_type"] = kind
            self._gather(line)

    def option_computed(self, message: Message) -> None:
        """Keep the greeks of an option as raw fields."""
        line = self._by_request.get(message.fields.get("reqId") or 0)
        if line is not None:
            name = dialect.tick_name(message.fields.get("tickType") or 0)
            known = {part: message.fields.get(part) for part in ("impliedVol", "delta", "gamma", "vega", "theta")}
            line.raw[name] = " ".join(
                f"{part}={plain_text(value)}" for part, value in known.items() if isinstance(value, Decimal)
            )
            self._gather(line)

    def stop(self) -> None:
        """Leave nothing ticking."""
        self._stop_timers()

    def _ask(self, line: Line) -> None:
        connection = self._connection
        if connection is None:
            return
        line.is_dead = False
        line.has_prints = False
        line.silence = 0.0
        request_id = line.request_id = connection.request_ids.take()
        self._by_request[request_id] = line
        is_printed = line.instrument.sectype not in (SecType.CASH, SecType.INDEX, SecType.BOND)
        fields = {
            **dialect.contract_for_request(line.instrument),
            "reqId": request_id,
            "genericTickList": _RT_VOLUME_REQUEST if is_printed and line.data_type is DataType.LIVE else "",
            "snapshot": False,
            "regulatorySnapshot": False,
        }
        self._post(Message("reqMktData", fields))

    def _drop_request(self, line: Line, *, is_told: bool) -> None:
        request_id, line.request_id = line.request_id, None
        if request_id is not None:
            self._by_request.pop(request_id, None)
            if is_told:
                self._post(Message("cancelMktData", {"reqId": request_id}))

    def _post(self, message: Message) -> None:
        if self._connection is None:
            return
        try:
            self._connection.post(message, Priority.DATA)
        except TxTraderError as error:
            self._log.warn("{name} was not sent: {error}", name=message.name, error=error.text)

    # --- ticks ---

    def _price(self, tick: PriceTick) -> None:
        line = self._by_request.get(tick.req_id)
        if line is None:
            return  # cancelled, and this one was on its way
        line.is_heard = True
        kind, price, size = tick.tick_type, tick.price, tick.size
        line.raw[kind] = price
        if price is not None and price <= _ZERO and _is_no_data(line, price, size):
            price = size = None
        # The decoder gives one object for one text: what is the same object has not changed.
        if kind in _BIDS:
            if price is not line.bid or size is not line.bidsize or line.is_stale:
                line.bid, line.bidsize = price, size
                self._quote(line)
        elif kind in _ASKS:
            if price is not line.ask or size is not line.asksize or line.is_stale:
                line.ask, line.asksize = price, size
                self._quote(line)
        elif kind in _LASTS:
            if price is not None and not line.has_prints:
                line.last, line.last_size = price, size or None  # 0: the size of the last trade is not known
                self._trade(line)
        elif (name := _SESSION_PRICES.get(kind)) is not None and price is not None:
            line.figures[name] = price
            self._gather(line)
        else:
            self._gather(line)

    def _size(self, tick: SizeTick) -> None:
        line = self._by_request.get(tick.req_id)
        if line is None:
            return
        line.is_heard = True
        kind, size = tick.tick_type, tick.size
        line.raw[kind] = size
        if size is not None and size < _ZERO:
            size = None
        if kind in _BID_SIZES:
            if line.bid is not None and (size is not line.bidsize or line.is_stale):
                line.bidsize = size
                self._quote(line)
        elif kind in _ASK_SIZES:
            if line.ask is not None and (size is not line.asksize or line.is_stale):
                line.asksize = size
                self._quote(line)
        elif kind in _VOLUMES:
            if size is not None:
                line.volume = line.figures["volume"] = size
                self._gather(line)
        else:
            self._gather(line)

    def _generic(self, tick: GenericTick) -> None:
        line = self._by_request.get(tick.req_id)
        if line is None:
            return
        line.is_heard = True
        line.raw[tick.tick_type] = tick.value
        if tick.tick_type in (_T.HALTED, _T.DELAYED_HALTED) and tick.value is not None and tick.value >= 0:
            line.figures["halted"] = tick.value > 0
        self._gather(line)

    def _string(self, tick: StringTick) -> None:
        line = self._by_request.get(tick.req_id)
        if line is None:
            return
        line.is_heard = True
        line.raw[tick.tick_type] = tick.value
        if tick.tick_type in _TRADE_STRINGS:
            self._print(line, tick.value)
        elif tick.tick_type in _STAMPS:
            line.last_time = dialect.time_from_wire(tick.value)
        self._gather(line)

    def _print(self, line: Line, text: str) -> None:
        """Read RTVolume, `price;size;milliseconds;volume;vwap;single`: one trade, told once."""
        parts = text.split(";")
        if len(parts) < 5:
            return
        price, size, stamp, volume, vwap = (_number(part) for part in parts[:5])
        if volume is not None:
            line.volume = line.figures["volume"] = volume
        if vwap is not None and vwap > 0:
            line.figures["vwap"] = vwap
        if price is None or not size or (price <= 0 and not line.is_negative_allowed):
            return  # an update of the volume alone
        is_repeat = not line.has_prints and (price, size) == (line.last, line.last_size)
        line.has_prints = True
        line.last, line.last_size = price, size
        line.last_time = int(stamp) * _MILLION if stamp is not None else None
        if not is_repeat:  # else the last-price tick before it told this very trade
            self._trade(line)

    def _quote(self, line: Line) -> None:
        line.is_stale = False
        self._quoted(
            Quote(
                symbol=line.symbol,
                mode=self._mode,
                bid=line.bid,
                bidsize=line.bidsize,
                ask=line.ask,
                asksize=line.asksize,
                receive_time=self._now_ns(),
                data_type=line.data_type,
            )
        )

    def _trade(self, line: Line) -> None:
        self._sink.traded(
            Trade(
                symbol=line.symbol,
                mode=self._mode,
                last=line.last,  # type: ignore[arg-type]  # set by both callers
                size=line.last_size,
                volume=line.volume,
                event_time=line.last_time,
                receive_time=self._now_ns(),
            )
        )

    def _mark_stale(self, line: Line) -> None:
        if line.is_stale or (line.bid is None and line.ask is None):
            return
        line.is_stale = True
        self._sink.quoted(
            Quote(
                symbol=line.symbol,
                mode=self._mode,
                bid=line.bid,
                bidsize=line.bidsize,
                ask=line.ask,
                asksize=line.asksize,
                receive_time=self._now_ns(),
                stale=True,
                data_type=line.data_type,
            )
        )

    # --- what is not told at once ---

    def _gather(self, line: Line) -> None:
        self._dirty[line] = None
        if self._flush_call is None:
            self._flush_call = self._clock.callLater(_FLUSH, self._flush)

    def _flush(self) -> None:
        self._flush_call = None
        dirty, self._dirty = self._dirty, {}
        for line in dirty:
            figures, line.figures = line.figures, {}
            raw, line.raw = line.raw, {}
            shown = {_raw_name(kind): _raw_text(value) for kind, value in raw.items() if value is not None}
            self._sink.stats_changed(MarketStats(symbol=line.symbol, mode=self._mode, raw=shown or None, **figures))

    def _scan(self) -> None:
        """Look for lines that have fallen silent."""
        self._scan_call = self._clock.callLater(_SCAN, self._scan)
        for line in list(self._lines.values()):
            if line.is_heard:
                line.is_heard = False
                line.silence = 0.0
                line.is_suspect = False
                if line.raw:
                    self._gather(line)
                if line.is_stale and line.request_id is not None:
                    self._quote(line)  # it lives: what it said of other things vouches for the quote
                continue
            line.silence += _SCAN
            if line.silence >= self._liveness:
                self._mark_stale(line)
            if line.is_suspect:
                line.retry_in -= _SCAN
                if line.retry_in <= 0:
                    line.retry_wait = min(_RETRY_MOST, line.retry_wait * 2)
                    line.retry_in = line.retry_wait
                    self._log.info("{symbol} stays silent: asking for its data again", symbol=line.symbol)
                    self.resubscribe(only=line)

    def _stop_timers(self) -> None:
        for call in (self._flush_call, self._scan_call):
            if call is not None:
                call.cancel()
        self._flush_call = self._scan_call = None


def _is_no_data(line: Line, price: Decimal, size: Decimal | None) -> bool:
    """Tell whether a price of zero or below stands for none; where such prices exist, only 0 and -1 without a size."""
    if not line.is_negative_allowed:
        return True
    return (not price or price == _NO_DATA) and not size


def _number(text: str) -> Decimal | None:
    """Read a plain number, None for anything else."""
    digits = text.replace(".", "", 1).removeprefix("-")
    return Decimal(text) if digits.isascii() and digits.isdigit() and len(text) <= 24 else None


def _raw_name(kind: int | str) -> str:
    return kind if isinstance(kind, str) else dialect.tick_name(kind)


def _raw_text(value: Any) -> str:
    return plain_text(value) if isinstance(value, Decimal) and value.is_finite() else str(value)
