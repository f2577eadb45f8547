"""Prices: the shipped bars, the path that keeps them, history that agrees with what trades live."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from math import exp
from zoneinfo import ZoneInfo

import pytest
from exsim_venue import ACME, SECOND, Stage
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from txtrader.exsim.daily import DailySource, Recipe
from txtrader.exsim.daily_data import SERIES, index_bars
from txtrader.exsim.demo import make_demo_venue
from txtrader.exsim.hours import SCHEDULES, trading_date_after, trading_days_between
from txtrader.exsim.path import GRAINS, PricePath, bridge, split
from txtrader.exsim.pricing import implied_volatility, model
from txtrader.model.instrument import SecType
from txtrader.model.market import BarPeriod

NEW_YORK = ZoneInfo("America/New_York")
STOCKS = SCHEDULES["us-stock"]


def at(*parts):
    return int(datetime(*parts, tzinfo=NEW_YORK).timestamp()) * SECOND


def utc(year, month, day):
    return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * SECOND


def path_of(seed=7, **recipe):
    daily = DailySource(Recipe(**{"level": 150.0, **recipe}), "us-stock", 0.01, 1.0)
    return PricePath(daily, seed, "x")


@pytest.mark.parametrize("series", SERIES)
def test_the_shipped_bars_are_whole(series):
    bars = index_bars(series)
    assert len(bars) == 5031
    assert (bars[0].day, bars[-1].day) == (date(1999, 1, 4), date(2018, 12, 31))
    for bar in bars:
        assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high


def test_an_index_shows_the_real_bars_on_their_real_dates():
    daily = DailySource(Recipe(scale=1.0), "us-stock", 0.01, 1.0)
    for bar in index_bars("sp500"):
        made = daily.bar(bar.day)
        assert (made.open, made.high, made.low, made.close) == tuple(
            round(value * 100) for value in (bar.open, bar.high, bar.low, bar.close)
        )


def test_there_is_a_bar_for_every_date_and_no_jump_where_the_series_is_joined():
    daily = DailySource(Recipe(scale=1.0), "us-stock", 0.01, 1.0)
    for first in (date(1998, 12, 20), date(2018, 12, 20), date(2038, 12, 1), date(2027, 6, 1), date(1970, 1, 2)):
        day = first if STOCKS.is_trading_date(first) else STOCKS.next_date(first)
        for _ in range(30):
            after = STOCKS.next_date(day)
            change = daily.bar(after).open / daily.bar(day).close
            assert 0.9 < change < 1.1, (day, after)
            day = after


def test_a_listing_closes_at_its_level_on_the_reference_day():
    daily = DailySource(Recipe(level=123.45, beta=1.7, shift=-333), "us-stock", 0.01, 1.0)
    assert daily.bar(date(2026, 1, 2)).close == 12345


@given(
    st.integers(1, 10**6),
    st.integers(0, 5000),
    st.integers(0, 5000),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(1, 400),
    st.integers(0, 2**32),
)
def test_a_bridge_keeps_open_high_low_and_close(low, up, more, a, b, count, seed):
    high = low + up
    first, last = low + round(a * up), low + round(b * up)
    bars = bridge(first, high, low, last, count, random.Random(seed))
    assert len(bars) == count
    assert bars[0][0] == first and bars[-1][3] == last
    assert max(bar[1] for bar in bars) == high and min(bar[2] for bar in bars) == low
    for (_, _, _, end), (start, _, _, _) in pairwise(bars):
        assert end == start
    for start, top, bottom, end in bars:
        assert bottom <= min(start, end) <= max(start, end) <= top
    assert more >= 0


@given(st.integers(0, 10**9), st.lists(st.floats(0.1, 10), min_size=1, max_size=200))
def test_a_split_volume_sums_up_to_the_whole(total, weights):
    parts = split(total, weights)
    assert sum(parts) == total and min(parts) >= 0


@settings(max_examples=12, deadline=None)
@given(st.dates(date(1999, 1, 4), date(2040, 1, 1)), st.integers(0, 1000))
def test_each_day_keeps_its_open_high_low_close_and_volume_at_every_grain(day, seed):
    path = path_of(seed)
    if not STOCKS.is_trading_date(day):
        day = STOCKS.next_date(day)
    session = STOCKS.regular(day)
    bar = path.daily.bar(day)
    for grain in GRAINS[:3]:
        pieces = list(path.pieces(session.start, session.end, grain))
        assert len(pieces) == -(-(session.end - session.start) // (grain * SECOND))
        assert (pieces[0].open, pieces[-1].close) == (bar.open, bar.close)
        assert max(piece.high for piece in pieces) == bar.high
        assert min(piece.low for piece in pieces) == bar.low
        assert sum(piece.volume for piece in pieces) == bar.volume


def test_the_price_at_an_instant_is_the_open_of_its_second():
    path = path_of()
    start = at(2026, 3, 10, 11, 0)
    for piece in path.pieces(start, start + 120 * SECOND, 1):
        assert path.price_at(piece.start) == piece.open
        assert piece.low <= path.price_at(piece.start + 999_999_999) <= piece.high


def test_the_price_goes_on_without_a_jump_through_nights_and_weekends():
    path = path_of()
    instant = at(2026, 3, 6, 15, 59)  # a Friday, and the clocks change on Sunday
    prices = [path.price_at(instant + n * 60 * SECOND) for n in range(66 * 60)]
    steps = [abs(after - before) for before, after in pairwise(prices)]
    assert max(steps) < 0.02 * prices[0]
    weekend = prices[12 * 60 : 60 * 60]
    assert sum(before != after for before, after in pairwise(weekend)) > len(weekend) / 4  # it moves


def test_two_seeds_give_two_paths_of_the_same_days():
    one, two = path_of(1), path_of(2)
    start = at(2026, 3, 10, 9, 30)
    first = [piece.close for piece in one.pieces(start, start + 3600 * SECOND, 60)]
    second = [piece.close for piece in two.pieces(start, start + 3600 * SECOND, 60)]
    assert first != second
    assert one.daily.bar(date(2026, 3, 10)) == two.daily.bar(date(2026, 3, 10))


# -- hours


def test_holidays_and_real_closures_are_no_trading_dates():
    closed = [date(2026, 1, 1), date(2026, 4, 3), date(2026, 7, 3), date(2026, 11, 26), date(2026, 12, 25)]
    closed += [date(2001, 9, 11), date(2012, 10, 29), date(2026, 1, 3)]
    assert not any(STOCKS.is_trading_date(day) for day in closed)
    assert STOCKS.is_trading_date(date(2026, 11, 27)) and STOCKS.is_trading_date(date(2021, 12, 31))


def test_sessions_follow_the_local_clock_over_the_change_of_summer_time():
    before, after = STOCKS.regular(date(2026, 3, 6)), STOCKS.regular(date(2026, 3, 9))
    assert after.start - before.start == (3 * 86400 - 3600) * SECOND
    future = SCHEDULES["us-future"].regular(date(2026, 3, 9))
    assert future.start == at(2026, 3, 8, 18) and future.end == at(2026, 3, 9, 17)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_the_session_at_an_instant_is_the_running_or_the_next(name):
    schedule = SCHEDULES[name]
    draw = random.Random(3)
    for _ in range(200):
        instant = draw.randrange(at(1995, 1, 1), at(2040, 1, 1))
        session = schedule.session_at(instant)
        assert session.end > instant
        before = schedule.regular(schedule.previous_date(session.day))
        assert before.end <= instant or before.end == session.start


def test_counting_trading_dates_and_going_that_far_agree():
    draw = random.Random(4)
    for _ in range(200):
        start = date(1990, 1, 1) + timedelta(days=draw.randrange(18_000))
        count = draw.randrange(1, 800)
        there = trading_date_after(STOCKS, start, count)
        assert trading_days_between(STOCKS, start, there) == count
        assert trading_days_between(STOCKS, there, start) == -count


# -- history


def demo(when, pace="fast", seed=7):
    clock = Clock()
    venue = make_demo_venue(clock, lambda: when + round(clock.seconds() * SECOND), seed, pace=pace)
    venue.start()
    return clock, venue


def fold(bars):
    return (
        bars[0].open,
        max(bar.high for bar in bars),
        min(bar.low for bar in bars),
        bars[-1].close,
        sum(bar.volume for bar in bars),
    )


@pytest.mark.parametrize("period", ["5s", "10s", "1m", "5m", "15m", "30m", "1h", "2h", "4h"])
def test_bars_of_every_size_fold_to_the_day(period):
    _, venue = demo(at(2026, 3, 11, 12))
    start, end = at(2026, 3, 10, 0), at(2026, 3, 11, 0)
    (day,) = venue.bars(8314, BarPeriod(1, "D"), utc(2026, 3, 10), utc(2026, 3, 11))
    bars = venue.bars(8314, BarPeriod(int(period[:-1]), period[-1]), start, end)
    assert fold(bars) == (day.open, day.high, day.low, day.close, day.volume)
    assert bars[0].time == at(2026, 3, 10, 9, 30)
    assert all(a.time < b.time for a, b in pairwise(bars))
    assert day.time == utc(2026, 3, 10)


def test_days_fold_to_weeks_and_months():
    _, venue = demo(at(2026, 6, 1, 12))
    start, end = utc(2026, 3, 1), utc(2026, 4, 1)
    days = venue.bars(8314, BarPeriod(1, "D"), start, end)
    (month,) = venue.bars(8314, BarPeriod(1, "M"), start, end)
    assert fold(days) == (month.open, month.high, month.low, month.close, month.volume)
    weeks = venue.bars(8314, BarPeriod(1, "W"), utc(2026, 3, 2), utc(2026, 3, 27))
    assert len(weeks) == 4 and weeks[0].open == days[0].open


def test_no_bar_is_of_the_future_and_all_hours_are_more_than_regular_ones():
    clock, venue = demo(at(2026, 3, 10, 10, 30))
    assert venue.bars(8314, BarPeriod(1, "m"), at(2026, 3, 10, 11), at(2026, 3, 10, 12)) == []
    day_bars = venue.bars(8314, BarPeriod(1, "m"), at(2026, 3, 10), at(2026, 3, 11))
    assert len(day_bars) == 60
    all_hours = venue.bars(8314, BarPeriod(1, "m"), at(2026, 3, 10), at(2026, 3, 11), regular=False)
    assert len(all_hours) == 60 * 10 + 30
    assert all_hours[-60:] == day_bars
    assert clock.seconds() == 0


def test_todays_bars_are_the_path_until_the_market_woke_and_its_prints_since():
    start = at(2026, 3, 10, 12, 0)
    clock, venue = demo(start)
    before = venue.bars(8314, BarPeriod(1, "m"), at(2026, 3, 10), at(2026, 3, 11))
    watched = venue.stats(8314)  # wakes it
    assert (watched.open, watched.high, watched.low, watched.volume) == (
        fold(before)[0],
        *fold(before)[1:3],
        fold(before)[4],
    )
    clock.pump([0.02] * 9_000)  # three minutes
    after = venue.bars(8314, BarPeriod(1, "m"), at(2026, 3, 10), at(2026, 3, 11))
    assert after[: len(before)] == before
    live = after[len(before) :]
    assert len(live) == 3
    prints = venue.prints(8314, start, venue.now_ns(), 100_000)
    assert sum(bar.volume for bar in live) == sum(trade.size for trade in prints)
    assert sum(bar.count for bar in live) == len(prints) > 100
    assert max(bar.high for bar in live) == max(trade.price for trade in prints)
    assert (live[0].open, live[-1].close) == (prints[0].price, prints[-1].price)
    stats = venue.stats(8314)
    assert (stats.volume, stats.high, stats.low) == (fold(after)[4], fold(after)[1], fold(after)[2])
    (today,) = venue.bars(8314, BarPeriod(1, "D"), utc(2026, 3, 10), utc(2026, 3, 11))
    assert (today.open, today.high, today.low, today.close, today.volume) == fold(after)
    seconds = venue.bars(8314, BarPeriod(1, "s"), start, venue.now_ns())
    assert fold(seconds) == fold(live) and len(seconds) > 100
    # yesterday, as it looks tomorrow: the night before is no reason to forget what was traded
    path = venue._floor.source(venue.instruments.get(8314))
    for trade in prints[::50]:
        assert abs(trade.price - path.price_at(trade.time) * Decimal("0.01")) < 1


def test_quotes_follow_the_path_within_the_days_range():
    clock, venue = demo(at(2026, 3, 10, 10))
    bar = venue._floor.source(venue.instruments.get(8314)).day(date(2026, 3, 10))
    for _ in range(100):
        clock.pump([0.02] * 100)
        top = venue.top(8314)
        assert bar.low - 30 <= top.bid * 100 < top.ask * 100 <= bar.high + 30


def test_a_new_session_begins_with_the_last_ones_close():
    clock, venue = demo(at(2026, 3, 10, 15, 59, 50), pace=2.0)
    venue.stats(8314)
    clock.pump([0.5] * 60)
    (day,) = venue.bars(8314, BarPeriod(1, "D"), utc(2026, 3, 10), utc(2026, 3, 11))
    clock.advance(18 * 3600)  # overnight, to past the next open
    clock.pump([1.0] * 3)
    stats = venue.stats(8314)
    assert stats.previous_close == day.close
    assert stats.open is not None and stats.volume < day.volume / 100


def test_past_ticks_are_ordered_bounded_and_within_their_bars():
    _, venue = demo(at(2026, 3, 11, 12))
    start, end = at(2026, 3, 10, 10), at(2026, 3, 10, 10, 5)
    ticks = venue.prints(8314, start, end, 1000)
    bars = venue.bars(8314, BarPeriod(5, "m"), start, end)
    assert 100 < len(ticks) <= 300 and all(start <= tick.time < end for tick in ticks)
    assert all(bars[0].low <= tick.price <= bars[0].high for tick in ticks)
    assert sum(tick.size for tick in ticks) == bars[0].volume
    last = venue.prints(8314, 0, end, 10)
    assert last == ticks[-10:]
    assert len(venue.prints(8314, start, end, 7)) == 7
    quotes = venue.bid_asks(8314, start, end, 1000)
    assert len(quotes) == len(ticks) and all(quote.bid < quote.ask for quote in quotes)
    over_weekend = venue.prints(8314, 0, at(2026, 3, 9, 9, 30, 5), 1000)
    assert len(over_weekend) == 1000  # the rest is of Friday


def test_other_sources_of_bars():
    _, venue = demo(at(2026, 3, 11, 12))
    window = (at(2026, 3, 10, 10), at(2026, 3, 10, 11))
    bid, middle, ask = (
        venue.bars(12087792, BarPeriod(5, "m"), *window, source=source) for source in ("BID", "MIDPOINT", "ASK")
    )
    assert len(bid) == len(middle) == len(ask) == 12
    assert bid[0].close < middle[0].close < ask[0].close
    assert middle[0].volume is None


def test_head_time_and_sessions():
    _, venue = demo(at(2026, 3, 11, 12))
    assert venue.head_time(8314) == at(1999, 1, 4, 9, 30)
    times = venue.sessions(8314, at(2026, 3, 6, 12), at(2026, 3, 9, 12))
    assert [(session.date, session.start) for session in times] == [
        ("20260306", at(2026, 3, 6, 9, 30)),
        ("20260309", at(2026, 3, 9, 9, 30)),
    ]
    extended = venue.sessions(8314, at(2026, 3, 6, 12), at(2026, 3, 6, 13), regular=False)
    assert extended[0].end == at(2026, 3, 6, 20)


# -- options


def test_the_option_model_keeps_parity_and_its_volatility_can_be_found_again():
    call, put = (model(100.0, 105.0, 0.5, right) for right in "CP")
    assert abs((call.price - put.price) - (100.0 - 105.0 * exp(-0.03 * 0.5))) < 1e-9
    assert abs(implied_volatility(call.price, 100.0, 105.0, 0.5, "C") - call.volatility) < 1e-9
    assert implied_volatility(200.0, 100.0, 105.0, 0.5, "C") is None
    assert model(100.0, 90.0, 0.0, "C").price == 10.0


def test_options_trade_around_their_model():
    _, venue = demo(at(2026, 3, 10, 12), pace="none")
    options = [o for o in venue.instruments.find(symbol="SPY", sectype=SecType.OPTION) if o.expiry > "20260401"][::9]
    assert options
    for option in options:
        top, greeks = venue.top(option.id), venue.greeks(option.id)
        assert top.ask > Decimal(str(round(greeks.price, 4))) - Decimal("0.01")
        assert -1 <= greeks.delta <= 1 and venue.years_to_expiry(option.id) > 0
        assert top.bid is None or top.bid < top.ask
    assert venue.greeks(8314) is None and venue.years_to_expiry(8314) == 0.0


def test_the_small_venue_has_a_price_without_a_house():
    stage = Stage()
    assert stage.venue.mark(ACME.id) > 0
    assert stage.venue.top(ACME.id).bid is None
