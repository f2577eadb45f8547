"""The token buckets of a session."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from txtrader.errors import Throttled
from txtrader.frontends.throttle import CallLimiter
from txtrader.model.operations import OPERATIONS


def passed(limiter: CallLimiter, count: int, name: str = "status") -> int:
    done = 0
    for _ in range(count):
        try:
            limiter.check(OPERATIONS[name])
            done += 1
        except Throttled as error:
            assert error.retry_after is not None and error.retry_after > 0
    return done


def test_a_burst_of_twice_the_rate_passes_and_then_the_rate():
    clock = Clock()
    limiter = CallLimiter(clock, 200, 100)
    assert passed(limiter, 1000) == 400
    clock.advance(0.5)
    assert passed(limiter, 1000) == 100
    clock.advance(3600)
    assert passed(limiter, 1000) == 400


def test_retry_after_is_when_it_may_go():
    clock = Clock()
    limiter = CallLimiter(clock, 0.5, 100)
    limiter.check()
    with pytest.raises(Throttled) as caught:
        limiter.check()
    assert caught.value.retry_after == 2.0
    clock.advance(2.0)
    limiter.check()


def test_a_flood_of_commands_does_not_block_cancels():
    limiter = CallLimiter(Clock(), 10, 5)
    assert passed(limiter, 100) == 20
    assert passed(limiter, 100, "cancel_order") == 10
    assert passed(limiter, 100, "global_cancel") == 0
