"""Clients that nobody here wrote place orders with terms of their own, each in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from tws_processes import run

from txtrader.exsim.demo import make_demo_venue
from txtrader.exsim.endpoints.tws import TwsOptions
from txtrader.exsim.records import Phase, Terms
from txtrader.exsim.venue import Venue
from txtrader.model.order import OrderType, Side

SCRIPTS = Path(__file__).parent / "clients"
IBM, AAPL = 8314, 265598


@pytest.fixture
def venue() -> Iterator[Venue]:
    """A quiet market: 299.00 to 301.00 in IBM, an auction at 200.00 with 50 too many sold in AAPL."""
    made = make_demo_venue(reactor, time.time_ns, 7, pace="none", has_house=False)
    made.start()
    made.set_phase(AAPL, Phase.CLOSING_AUCTION)
    for listing_id, side, quantity, price in (
        (IBM, Side.BUY, 1000, "299.00"),
        (IBM, Side.SELL, 1000, "301.00"),
        (AAPL, Side.BUY, 100, "200.00"),
        (AAPL, Side.SELL, 150, "200.00"),
    ):
        order = made.submit(
            "stranger",
            Terms(
                listing_id=listing_id,
                account="DU1000002",
                side=side,
                quantity=Decimal(quantity),
                type=OrderType.LIMIT,
                limit_price=Decimal(price),
            ),
        )
        assert order.is_open, order.end
    yield made
    made.stop()


@pytest.mark.parametrize("version", [151, 200])
@pytest_twisted.ensureDeferred
async def test_ibapi_orders_with_terms(venue: Venue, version: int) -> None:
    seen = await run(venue, "ibapi_terms_script.py", TwsOptions(max_version=version))
    assert seen["version"] <= version
    assert seen["failure"] == []
    assert seen["mid"] == [[300.0], ["PEG MID", 0.0, 0.0, False, False, None]]
    assert seen["relative"] == ["REL", 0.1, 299.5, True, False, None]
    assert seen["changed"] == ["REL", 0.2, 299.5, True, False, None]
    assert seen["type"][0] == 329
    assert seen["market"] == ["PEG MKT", 1.5, 299.75, False, False, None]
    assert seen["seen"] is False
    assert seen["hidden"] == [300.5]
    assert seen["whole"] == ["LMT", 0.0, 300.0, False, True, None]
    assert seen["least"] == ["LMT", 0.0, 299.9, False, False, 50]
    assert (seen["all"], seen["enough"]) == ([300.0], [299.9])
    assert seen["to_limit"] == [[300.5], ["MTL", 0.0, 300.5, False, False, None]]
    assert [code for code, _ in seen["refused"]] == [201, 201, 201]
    for (_, text), words in zip(seen["refused"], ("PEG BEST orders", "Percent offsets", "shows a part"), strict=True):
        assert words in text
    first = {"34": 100.0, "35": 200.0, "36": -50.0, "61": -50.0}
    assert seen["auction"] == [first, {"34": 150.0, "35": 200.0, "36": 20.0, "61": 20.0}]


@pytest.mark.parametrize("version", [157, 178])
@pytest_twisted.ensureDeferred
async def test_ib_async_orders_with_terms(venue: Venue, version: int) -> None:
    seen = await run(venue, "ib_async_terms_script.py", TwsOptions(max_version=version))
    assert seen["version"] == version
    assert seen["mid"] == [299.5]
    assert seen["mid_told"] == ["PEG MID", 0.5, 299.8]
    assert seen["to_limit"] == ["MTL", 300.5]
    assert seen["open"] == [["MTL", False, False, False], ["PEG MID", False, False, True], ["REL", True, True, False]]
    assert all("are not offered by this venue" in text for text in seen["refused"])
    assert len(seen["refused"]) == (2 if version >= 170 else 1)
    assert seen["auction"] == [200.0, 100.0, -50.0]
    assert [line for line in seen["logged"] if "are not offered" not in line and "Canceled order" not in line] == []
