"""Clients that nobody here wrote trade through the simulated TWS, each in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from tws_processes import run

from txtrader.exsim.demo import make_demo_venue
from txtrader.exsim.endpoints.tws import TwsOptions
from txtrader.exsim.venue import Venue

SCRIPTS = Path(__file__).parent / "clients"


@pytest.fixture
def venue() -> Iterator[Venue]:
    made = make_demo_venue(reactor, time.time_ns, 7, pace="fast")
    made.start()
    yield made
    made.stop()


@pytest.mark.parametrize("version", [178, 157])
@pytest_twisted.ensureDeferred
async def test_ib_async_trades_without_an_error_in_its_log(venue: Venue, version: int) -> None:
    seen = await run(venue, "ib_async_script.py", TwsOptions(max_version=version))
    assert seen["version"] == version
    assert seen["errors"] == []
    # A cancel is confirmed by code 202, which ib_async itself reports as an error, from any TWS.
    assert [line for line in seen["logged"] if "Error 202" not in line] == []
    assert len(seen["logged"]) == 7
    assert seen["accounts"] == ["DU1000001", "DU1000002", "DU1000003"]
    assert seen["values"] > 100 and seen["summary"] > 100
    assert (seen["qualified"], seen["option"], seen["implied"]) == (4, True, True)
    assert seen["future"].startswith("ES")
    assert seen["rule"] == [0.01]
    assert (seen["days"], seen.get("schedule", 5)) == (10, 5)
    assert 29 <= seen["minutes"] <= 30 and 11 <= seen["middles"] <= 12  # the last may have no trade yet
    assert (seen["ticks"], seen["quote_ticks"]) == (50, 50)
    assert seen["weeks"] >= 51
    assert seen["bought"] == ["Filled", 100.0, True]
    assert seen["reference"] == "back\\slash"
    assert seen["canceled"] == "Cancelled"
    assert seen["bracket"] == ["Cancelled"] * 3
    assert seen["executions"] == 100.0
    assert seen["none_of_others"] == 0
    assert seen["completed"] == ["Cancelled", "Filled"]
    assert seen["portfolio"] == [["IBM", 100.0]]
    for part in ("market", "snapshot", "zoned", "kept_up_to_date", "commission", "modified", "what_if", "pnl"):
        assert seen[part] is (part != "zoned" or version >= 174), part


@pytest.mark.parametrize("version", [151, 200])
@pytest_twisted.ensureDeferred
async def test_ibapi_trades_with_its_own_threads(venue: Venue, version: int) -> None:
    seen = await run(venue, "ibapi_script.py", TwsOptions(max_version=version))
    assert seen["version"] <= version
    assert seen["failure"] is None
    assert set(seen["errors"]) <= {200, 201, 202, 321, 10268}
    assert seen["accounts"] == "DU1000001,DU1000002,DU1000003"
    assert (seen["shares"], seen["margin"]) == (100.0, True)
    assert 28 < seen["bars"] <= 35  # seven a session, of which the last may be running
    assert seen["completed"] == ["Cancelled", "Filled"]
    assert seen["positions"] == [["IBM", 100.0]]
