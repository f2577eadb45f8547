"""Runs a test on a CQG adapter and a simulated CQG server, to a clean end."""

from __future__ import annotations

import pytest_twisted
from cqg_harness import CqgHarness
from twisted.internet import reactor

from txtrader.gateway.adapter import LinkState

__all__ = ["on_cqg"]


def on_cqg(body=None, *, starts=True, options=None, **endpoint):
    """Make a test of `body`: `options` are the adapter's (a function of its own ones), the rest the endpoint's."""

    def decorate(body):
        @pytest_twisted.ensureDeferred
        async def test() -> None:
            harness = CqgHarness(reactor, **endpoint)
            if options is not None:
                harness.options = options(harness.options)
            await harness.set_up()
            try:
                if starts:
                    harness.adapter.start()
                    await harness.sink.until_state(LinkState.CONNECTED)
                await body(harness)
            finally:
                await harness.tear_down()

        test.__name__, test.__doc__ = body.__name__, body.__doc__
        return test

    return decorate if body is None else decorate(body)
