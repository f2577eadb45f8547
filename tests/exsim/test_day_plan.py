"""The day by the clock: local times, the clocks' change, random ends, and what the plan does to a venue."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from exsim_venue import ACME, BETA, MONDAY_NOON, SECOND, Stage

from txtrader.exsim.day_plan import PLANS, DayPlan
from txtrader.exsim.listeners import MarketListener
from txtrader.exsim.records import Phase
from txtrader.model.order import OrderStatus, TimeInForce

P = Phase
NEW_YORK = PLANS["new-york"]
HOUR = 3600


def at(*when, zone="America/New_York"):
    return int(datetime(*when, tzinfo=ZoneInfo(zone)).timestamp()) * SECOND


def test_the_local_hours_stay_when_the_clocks_change():
    for day in (date(2026, 3, 6), date(2026, 3, 9), date(2026, 10, 30), date(2026, 11, 2)):
        opens = at(day.year, day.month, day.day, 9, 30)
        assert NEW_YORK.phase_at(opens - 1) is P.OPENING_AUCTION
        assert NEW_YORK.phase_at(opens) is P.CONTINUOUS
    winter, summer = at(2026, 3, 6, 9, 30), at(2026, 3, 9, 9, 30)
    assert (summer - winter) // SECOND == 3 * 24 * HOUR - HOUR
    assert PLANS["frankfurt"].phase_at(at(2026, 3, 30, 9, 0, zone="Europe/Berlin")) is P.CONTINUOUS


def test_nobody_trades_on_weekends_and_holidays():
    assert NEW_YORK.phase_at(at(2026, 1, 3, 12)) is P.CLOSED
    assert NEW_YORK.phase_at(at(2026, 12, 25, 12)) is P.CLOSED
    assert NEW_YORK.next_step(at(2026, 1, 2, 20)).at == at(2026, 1, 5, 8)
    assert NEW_YORK.day_end(at(2026, 1, 2, 19)) == at(2026, 1, 5, 18)
    assert NEW_YORK.call_end(at(2026, 1, 5, 8, 30)) == at(2026, 1, 5, 9, 30)
    assert NEW_YORK.call_end(at(2026, 1, 5, 12)) is None


@pytest.mark.parametrize(
    "steps",
    [
        (),
        ((time(9), P.CONTINUOUS),),
        ((time(9), P.CONTINUOUS), (time(8), P.CLOSED)),
        ((time(9), P.TRADE_AT_LAST), (time(10), P.CLOSED)),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused(steps):
    with pytest.raises(ValueError, match="plan"):
        DayPlan(name="wrong", zone="UTC", calendar="us-stock", steps=steps)


def walk(stage, seconds):
    """Go on by the clock's own calls, so that everything happens at its time."""
    end = stage.clock.seconds() + seconds
    while calls := [call for call in stage.clock.getDelayedCalls() if call.getTime() <= end]:
        stage.clock.advance(max(0, min(call.getTime() for call in calls) - stage.clock.seconds()))
    stage.clock.advance(end - stage.clock.seconds())


def test_a_venue_follows_the_day():
    stage = Stage(plan=NEW_YORK, at=at(2026, 1, 5, 7))
    assert stage.venue.phase(ACME.id) is P.CLOSED
    walk(stage, HOUR)
    assert stage.venue.phase(ACME.id) is P.PRE_OPEN
    buy, day = stage.buy(5, "99.00", tif=TimeInForce.OPG), stage.buy(5, "90.00")
    close = stage.buy(5, "98.00", tif=TimeInForce.CLS)
    stage.sell(3, "99.00")
    walk(stage, HOUR + 1799)
    assert stage.venue.phase(ACME.id) is P.OPENING_AUCTION and buy.filled == 0
    walk(stage, 1)
    assert (buy.filled, buy.status, close.held) == (3, OrderStatus.CANCELED, "auction")
    assert stage.venue.stats(ACME.id).open == Decimal("99.00"), "the figures began anew before the uncross"
    assert stage.venue.phase(BETA.id) is P.CONTINUOUS, "which slept through it"
    walk(stage, 6 * HOUR + 1800)
    assert stage.venue.phase(ACME.id) is P.CLOSING_AUCTION and close.rests
    stage.sell(5, "98.00")
    walk(stage, 300)
    assert stage.venue.phase(ACME.id) is P.TRADE_AT_LAST and close.status is OrderStatus.FILLED
    assert day.is_open, "an order for the day lives as long as the day"
    walk(stage, 2 * HOUR)
    assert stage.venue.phase(ACME.id) is P.CLOSED and day.status is OrderStatus.EXPIRED
    walk(stage, 14 * HOUR)
    assert stage.venue.phase(ACME.id) is P.PRE_OPEN
    stage.venue.stop()
    assert stage.clock.getDelayedCalls() == []


def test_steps_that_were_slept_through_are_made_up_for_in_order():
    stage = Stage(plan=NEW_YORK, at=at(2026, 1, 5, 9))
    buy, sell = stage.buy(5, "99.00"), stage.sell(5, "99.00", tif=TimeInForce.GTC)
    stage.clock.advance(3 * HOUR)
    assert buy.filled == sell.filled == 5 and stage.venue.phase(ACME.id) is P.CONTINUOUS
    stage.clock.advance(48 * HOUR)
    assert stage.venue.phase(ACME.id) is P.CONTINUOUS
    stage.clock.advance(6 * HOUR)
    assert stage.venue.phase(ACME.id) is P.CLOSED


def test_without_a_plan_nothing_changes_by_the_clock():
    stage = Stage()
    stage.venue.top(ACME.id)
    stage.clock.advance(86400)
    assert stage.venue.phase(ACME.id) is P.CONTINUOUS
    assert [record[2] for record in stage.venue.tape if record[2] == "phase"] == []


def ends(seed, listing=ACME):
    stage = Stage(plan=NEW_YORK, at=at(2026, 1, 5, 9), seed=seed)
    stage.venue.phases.set_option(listing.id, "auction_random_end", 30)
    stage.venue.top(listing.id)
    walk(stage, 1800)
    assert stage.venue.phase(listing.id) is P.OPENING_AUCTION, "not at its very time"
    walk(stage, 31)
    assert stage.venue.phase(listing.id) is P.CONTINUOUS
    (told,) = [record for record in stage.venue.tape.of_kind("phase") if record[3:] == (listing.id, "continuous")]
    return told[1]


def test_an_auctions_end_is_random_within_its_bound_and_the_same_for_one_seed():
    opens = at(2026, 1, 5, 9, 30)
    assert ends(1) == ends(1)
    drawn = {ends(seed) for seed in range(1, 6)} | {ends(1, BETA)}
    assert len(drawn) > 3
    assert all(opens < one <= opens + 30 * SECOND for one in drawn)


def test_a_halt_outlasts_the_plan_until_it_is_ended_and_then_goes_where_the_day_is():
    stage = Stage(plan=NEW_YORK, at=MONDAY_NOON)
    stage.venue.halt(ACME.id)
    walk(stage, 4 * HOUR + 60)
    assert stage.venue.phase(ACME.id) is P.HALT
    stage.venue.resume(ACME.id)
    assert stage.venue.phase(ACME.id) is P.CLOSING_AUCTION
    other = Stage(plan=NEW_YORK, at=MONDAY_NOON)
    other.venue.halt(ACME.id)
    walk(other, 7 * HOUR)
    assert other.venue.phase(ACME.id) is P.CLOSED, "the end of the day ends it"


def test_a_plan_can_be_taken_up_and_left():
    stage = Stage(at=at(2026, 1, 5, 16, 2))
    stage.venue.top(ACME.id)
    stage.venue.phases.follow(NEW_YORK)
    assert stage.venue.phase(ACME.id) is P.CLOSING_AUCTION
    stage.venue.phases.follow(None)
    walk(stage, HOUR)
    assert stage.venue.phase(ACME.id) is P.CLOSING_AUCTION


def test_one_seed_gives_the_same_day():
    def tape(seed):
        stage = Stage(plan=NEW_YORK, at=at(2026, 1, 5, 9, 27), has_house=True, activity="slow", seed=seed)
        stage.venue.phases.set_option(None, "auction_random_end", 20)
        stage.venue.watch(ACME.id, MarketListener())
        stage.buy(500, "150.00", tif=TimeInForce.OPG)
        stage.sell(300)
        walk(stage, 240)
        return stage.venue.tape.digest(), stage.venue.phase(ACME.id)

    assert tape(3) == tape(3)
    assert tape(3)[1] is P.CONTINUOUS
    assert tape(3)[0] != tape(4)[0]
