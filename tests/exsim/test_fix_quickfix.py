"""QuickFIX, with its own dictionaries and its own idea of a session, trades through the simulated FIX venue."""

from __future__ import annotations

import json
import os
import time
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import LoopingCall
from twisted.internet.utils import getProcessOutputAndValue

from txtrader.exsim.demo import make_demo_venue
from txtrader.exsim.endpoints.fix import FixEndpoint, FixOptions
from txtrader.exsim.endpoints.fix.trading import Trading
from txtrader.exsim.records import Phase, Terms
from txtrader.model.order import OrderType, Side

PYTHON = Path(__file__).parents[2] / ".venv-quickfix" / "bin" / "python"
SCRIPT = Path(__file__).parent / "clients" / "quickfix_script.py"
ORDERS = 50


@pytest.mark.quickfix
@pytest.mark.parametrize("version", ["FIX.4.2", "FIX.4.4", "FIXT.1.1"])
@pytest_twisted.ensureDeferred
async def test_quickfix_trades_without_a_reject_on_either_side(version):
    venue = make_demo_venue(reactor, time.time_ns, 7, pace="slow")
    venue.start()
    trading = Trading(venue)
    endpoint = FixEndpoint(trading, reactor, venue.now_ns, options=FixOptions())
    trading.attach(endpoint)
    port = await endpoint.start()
    (listing,) = venue.instruments.find(symbol="IBM", currency="USD")

    def call_an_auction() -> None:
        """When both books are watched, let orders gather, and two of them cross."""
        if trading.data.lines_on(listing.id) == 2 and venue.phase(listing.id) is Phase.CONTINUOUS:
            venue.set_phase(listing.id, Phase.PAUSE)
            for side in (Side.BUY, Side.SELL):
                terms = Terms(
                    listing_id=listing.id,
                    account="DU1000002",
                    side=side,
                    quantity=Decimal(10),
                    type=OrderType.LIMIT,
                    limit_price=Decimal(round(venue.mark(listing.id))),
                )
                venue.submit("stranger", terms)

    looks = LoopingCall(call_an_auction)
    looks.start(0.02)
    try:
        out, err, code = await getProcessOutputAndValue(
            str(PYTHON), [str(SCRIPT), str(port), version, str(ORDERS)], env=os.environ
        )
    finally:
        looks.stop()
        await endpoint.stop()
        venue.stop()
    assert code == 0, err.decode() + out.decode()
    assert json.loads(out.decode().splitlines()[-1]) == {
        "accepted": ORDERS + 1,
        "filled": ORDERS,
        "canceled": 1,
        "special": True,
        "rejects": [],
        "out": True,
    }
