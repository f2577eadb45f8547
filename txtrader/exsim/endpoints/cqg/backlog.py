"""Market data behind a slow reader: what has waited long is merged, and who reads nothing is let go.

The longer the oldest message waits, the more is merged, up to the level that the client accepts: first depth, then
best bid and offer, then trades.  Opens, highs, lows and settlements are never merged away, nor is anything across a
snapshot or an answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from txtrader.net.outbound import Outbound
from txtrader.wire.cqg.words import CollapsingLevel, Indicator, QuoteType

__all__ = ["Backlog", "is_market_data", "merge"]

_MOST = 100_000  # messages; whoever lets so many wait is let go early
_LOOKS = 4  # within the shortest of the spans
_DEPTH = frozenset({QuoteType.BID, QuoteType.ASK, QuoteType.IMPLIED_BID, QuoteType.IMPLIED_ASK})
_BEST = frozenset({QuoteType.BESTBID, QuoteType.BESTASK})
_KEPT = frozenset({Indicator.OPEN, Indicator.HIGH, Indicator.LOW, Indicator.CLOSE})


def is_market_data(message: Any) -> bool:
    """Tell whether a ServerMsg is about market data alone, so that it may wait behind other market data."""
    return bool(message.real_time_market_data or message.market_data_subscription_statuses)


class Backlog:
    """One client's market data: straight through while the client reads, else queued and merged.

    `spans` are the seconds after which depth, best prices and trades are merged, and the client is let go.
    """

    def __init__(
        self,
        clock: Any,
        spans: tuple[float, float, float, float],
        deliver: Callable[[Any], None],
        give_up: Callable[[], None],
    ) -> None:
        self.level = int(CollapsingLevel.NONE)
        self.outbound: Callable[[], Outbound | None] = lambda: None
        self._clock = clock
        self._spans = spans
        self._deliver = deliver
        self._give_up = give_up
        self._waiting: deque[tuple[float, Any]] = deque()
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def send(self, message: Any) -> None:
        """Send market data, now or when the client has read what came before."""
        if not self._waiting and not self._is_stalled():
            self._deliver(message)
            return
        self._waiting.append((self._clock.seconds(), message))
        if self._timer is None:
            self._look_later()
        if len(self._waiting) > _MOST:
            self.close()
            self._give_up()

    def close(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _is_stalled(self) -> bool:
        outbound = self.outbound()
        return outbound is not None and outbound.is_stalled

    def _look_later(self) -> None:
        self._timer = self._clock.callLater(self._spans[0] / _LOOKS, self._look)

    def _look(self) -> None:
        self._timer = None
        age = self._clock.seconds() - self._waiting[0][0] if self._waiting else 0.0
        if age >= self._spans[3]:
            self.close()
            self._give_up()
            return
        level = min(self.level, sum(age >= span for span in self._spans[:3]))
        if level:
            self._waiting = merge(self._waiting, level)
        while self._waiting and not self._is_stalled():
            self._deliver(self._waiting.popleft()[1])
        if self._waiting:
            self._look_later()


def merge(waiting: deque[tuple[float, Any]], level: int) -> deque[tuple[float, Any]]:
    """Return what is left of queued messages when all is merged that `level` allows; the latest of each stays."""
    seen: dict[int, set[Any]] = {}
    kept: deque[tuple[float, Any]] = deque()
    for time, message in reversed(waiting):
        for status in message.market_data_subscription_statuses:
            seen.pop(status.contract_id, None)
        has_changed = False
        for data in message.real_time_market_data:
            if data.is_snapshot or data.corrections:
                seen.pop(data.contract_id, None)  # what came before it is another life
                continue
            has_changed |= _thin(data, seen.setdefault(data.contract_id, set()), level)
        if has_changed:
            for place in reversed(range(len(message.real_time_market_data))):
                data = message.real_time_market_data[place]
                if not (data.quotes or data.market_values or data.is_snapshot or data.corrections):
                    del message.real_time_market_data[place]
            if not message.ListFields():
                continue
        kept.appendleft((time, message))
    for _, message in kept:
        for data in message.real_time_market_data:
            if not data.is_snapshot:
                data.collapsing_level = level
    return kept


def _thin(data: Any, seen: set[Any], level: int) -> bool:
    """Take the quotes out that a later one stands for; tell whether any was."""
    moment = None
    for quote in data.quotes:
        if quote.HasField("quote_utc_time"):
            moment = quote.quote_utc_time
        elif moment is not None:
            quote.quote_utc_time = moment  # the one before it, which said the time, may go
    kept = []
    for quote in reversed(data.quotes):
        kind = quote.type
        key: Any = None
        if kind in _DEPTH and level >= CollapsingLevel.DOM:
            key = (kind, quote.scaled_price)
        elif (kind in _BEST and level >= CollapsingLevel.DOM_BBA) or (
            kind == QuoteType.TRADE
            and level >= CollapsingLevel.DOM_BBA_TRADES
            and not _KEPT.intersection(quote.indicators)
        ):
            key = kind
        if key is not None and key in seen:
            continue
        if key is not None:
            seen.add(key)
        elif kind == QuoteType.TRADE:
            seen.add(kind)
        kept.append(quote)
    if len(kept) == len(data.quotes):
        return False
    rest = [type(quote).FromString(quote.SerializeToString()) for quote in reversed(kept)]
    del data.quotes[:]
    data.quotes.extend(rest)
    return True
