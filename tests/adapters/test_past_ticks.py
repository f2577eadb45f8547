"""Past trades and quotes over every wire: what comes is what the venue says has happened, page by page."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from adapter_harness import query
from cqg_harness import CqgHarness
from twisted.internet import reactor
from tws_harness import TwsHarness

from txtrader.gateway.adapter import LinkState
from txtrader.model.market import PastQuote, TickKind, TickQuery

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
# How exactly each wire tells a time.
WIRES = {"tws": (TwsHarness, SECOND), "cqg": (CqgHarness, SECOND // 1000)}


@pytest.fixture(params=sorted(WIRES))
def wire(request):
    return WIRES[request.param]


class Past:
    """An adapter on a venue, and a stretch of the venue's last whole session."""

    def __init__(self, harness: Any, instrument: Any) -> None:
        self.harness = harness
        self.instrument = instrument
        venue, listing = harness.venue, harness.listing()
        now = venue.now_ns()
        sessions = venue.sessions(listing.id, now - 7 * 86_400 * SECOND, now - 3600 * SECOND)
        self.start = next(times.start for times in reversed(sessions) if times.end < now) + 600 * SECOND
        trades = venue.prints(listing.id, self.start, now, 2_600, regular=False)
        assert len(trades) == 2_600
        self.end = trades[-1].time // SECOND * SECOND
        self.trades = [trade for trade in trades if trade.time < self.end]
        quotes = venue.bid_asks(listing.id, self.start, self.end, 10_000, regular=False)
        self.quotes = [quote for quote in quotes if quote.time < self.end]

    async def pages(self, kind: TickKind, limit: int) -> list[Any]:
        """Ask until there are no more pages."""
        found: list[Any] = []
        start: int | None = self.start
        while start is not None:
            asked = TickQuery(instrument=self.instrument, kind=kind, start=start, end=self.end, limit=limit)
            page = await self.harness.adapter.ticks(asked)
            if page.next_start is not None:
                assert len(page.ticks) >= limit and page.next_start > page.ticks[-1].time
            found += page.ticks
            start = page.next_start
        return found


def on_past(body: Any) -> Any:
    @pytest_twisted.ensureDeferred
    async def test(wire: Any) -> None:
        make, exactness = wire
        harness = make(reactor)
        await harness.set_up()
        try:
            harness.adapter.start()
            await harness.sink.until_state(LinkState.CONNECTED)
            (instrument, *_) = await harness.adapter.resolve(query(harness.symbol))
            await body(Past(harness, instrument), exactness)
        finally:
            await harness.tear_down()

    return test


@on_past
async def test_every_trade_comes_once_whatever_the_pages(past, exactness):
    expected = [(trade.time // exactness * exactness, trade.price, trade.size) for trade in past.trades]
    got = await past.pages(TickKind.TRADES, 1_300)
    assert [(tick.time, tick.price, tick.size) for tick in got] == expected


@on_past
async def test_quotes_tell_both_sides(past, exactness):
    got = await past.pages(TickKind.QUOTES, 1_000)
    assert all(isinstance(tick, PastQuote) and tick.bid < tick.ask for tick in got)
    told = [(tick.time, tick.bid, tick.bidsize, tick.ask, tick.asksize) for tick in got]
    # Of quotes in one instant of the wire the last one is the truth.
    expected: dict[int, Any] = {}
    for quote in past.quotes:
        at = quote.time // exactness * exactness
        expected[at] = (at, quote.bid, quote.bid_size, quote.ask, quote.ask_size)
    assert list({row[0]: row for row in told}.values()) == list(expected.values())


@on_past
async def test_a_window_before_all_trades_is_an_empty_last_page(past, exactness):
    early = past.harness.venue.head_time(past.harness.listing().id) - 365 * DAY
    asked = TickQuery(
        instrument=past.instrument, kind=TickKind.TRADES, start=early, end=early + 3600 * SECOND, limit=100
    )
    page = await past.harness.adapter.ticks(asked)
    assert page.ticks == () and page.next_start is None
