"""A venue's day by its clock: at which local time each phase begins.

Times are local, so that the day keeps its hours when the clocks change.  Days on which nobody trades have no steps:
the last one before, closed, holds on.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import msgspec

from txtrader.exsim.hours import SCHEDULES, SECOND
from txtrader.exsim.phases import CALLS, check_move
from txtrader.exsim.records import Phase

__all__ = ["PLANS", "DayPlan", "Step"]


class Step(msgspec.Struct, frozen=True):
    """At the instant `at` (ns UTC) the phase begins."""

    at: int
    phase: Phase


class DayPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The steps of each trading day, ascending, the last one to closed; `calendar` names the schedule of its days."""

    name: str
    zone: str
    calendar: str
    steps: tuple[tuple[time, Phase], ...]

    def __post_init__(self) -> None:
        before: tuple[time, Phase] | None = None
        for at, phase in self.steps:
            check_move(before[1] if before is not None else Phase.CLOSED, phase, f"the plan {self.name}")
            if before is not None and at <= before[0]:
                raise ValueError(f"the plan {self.name} must go forward in time: {before[0]}, {at}")
            before = (at, phase)
        if before is None or before[1] is not Phase.CLOSED:
            raise ValueError(f"the plan {self.name} must end with closed")

    def phase_at(self, now: int) -> Phase:
        """Return the phase at an instant; a step holds from its very instant on."""
        today = self._local_date(now)
        passed = [step for step in self._steps_of(today) if step.at <= now]
        return passed[-1].phase if passed else Phase.CLOSED

    def next_step(self, now: int) -> Step:
        """Return the first step after an instant."""
        day = self._local_date(now)
        calendar = SCHEDULES[self.calendar]
        while True:
            for step in self._steps_of(day):
                if step.at > now:
                    return step
            day = calendar.next_date(day)

    def steps_between(self, start: int, end: int) -> list[Step]:
        """Return the steps with start < at <= end, in order, of the last day only where there are several."""
        found = [step for step in self._steps_of(self._local_date(end)) if start < step.at <= end]
        if found:
            return found
        step = self.next_step(start)
        return [Step(step.at, Phase.CLOSED)] if step.at <= end else []

    def call_end(self, now: int) -> int | None:
        """Return when the auction for which orders gather now is to end; None where there is none."""
        if self.phase_at(now) not in CALLS:
            return None
        return next(
            step.at for step in self._steps_of(self._local_date(now)) if step.at > now and step.phase not in CALLS
        )

    def day_end(self, now: int) -> int:
        """Return when an order that is good for the day ends: with the next step to closed."""
        step = self.next_step(now)
        while step.phase is not Phase.CLOSED:
            step = self.next_step(step.at)
        return step.at

    def _local_date(self, now: int) -> date:
        return datetime.fromtimestamp(now // SECOND, ZoneInfo(self.zone)).date()

    def _steps_of(self, day: date) -> list[Step]:
        if not SCHEDULES[self.calendar].is_trading_date(day):
            return []
        zone = ZoneInfo(self.zone)
        return [
            Step(int(datetime.combine(day, at, zone).astimezone(UTC).timestamp()) * SECOND, phase)
            for at, phase in self.steps
        ]


_P = Phase

PLANS: dict[str, DayPlan] = {
    plan.name: plan
    for plan in (
        DayPlan(
            name="new-york",
            zone="America/New_York",
            calendar="us-stock",
            steps=(
                (time(8), _P.PRE_OPEN),
                (time(9, 28), _P.OPENING_AUCTION),
                (time(9, 30), _P.CONTINUOUS),
                (time(16), _P.CLOSING_AUCTION),
                (time(16, 5), _P.TRADE_AT_LAST),
                (time(16, 15), _P.POST_CLOSE),
                (time(18), _P.CLOSED),
            ),
        ),
        DayPlan(
            name="frankfurt",
            zone="Europe/Berlin",
            calendar="xetra",
            steps=(
                (time(8), _P.PRE_OPEN),
                (time(8, 50), _P.OPENING_AUCTION),
                (time(9), _P.CONTINUOUS),
                (time(17, 30), _P.CLOSING_AUCTION),
                (time(17, 35), _P.TRADE_AT_LAST),
                (time(17, 45), _P.POST_CLOSE),
                (time(20, 30), _P.CLOSED),
            ),
        ),
    )
}
"""Days to choose from; a venue without one is in continuous trading until it is told otherwise."""
