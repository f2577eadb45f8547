"""Clients that share no code with the server trade through the simulated CQG, each in a process of its own."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue

from txtrader.exsim.demo import make_demo_venue
from txtrader.exsim.endpoints.cqg import CqgEndpoint, CqgOptions

SCRIPT = Path(__file__).parent / "clients" / "cqg_script.py"


@pytest.mark.parametrize("dialect", [2, 1])
@pytest_twisted.ensureDeferred
async def test_a_plain_client_of_either_generation_trades(dialect):
    venue = make_demo_venue(reactor, time.time_ns, 7, pace="none")
    venue.start()
    endpoint = CqgEndpoint(venue, reactor, options=CqgOptions(user="walker", password="w", handshake_delay=0.05))
    await endpoint.start()
    try:
        out, err, code = await getProcessOutputAndValue(
            sys.executable, [str(SCRIPT), endpoint.url, str(dialect)], env=os.environ
        )
    finally:
        await endpoint.stop()
        venue.stop()
    assert code == 0, err.decode() + out.decode()
    assert json.loads(out.decode().splitlines()[-1]) == {
        "logon": [0, 19, True],
        "accounts": ["DU1000001", "DU1000002", "DU1000003"],
        "resolved": [1, f"F.US.{endpoint.names.resolve('EP').local_symbol.replace('ES', 'EP')[:-1]}" + year(endpoint)],
        "granted": [0, 5, 4],
        "snapshot": [True, [0, 1, 2, 3, 4, 5]],
        "sizes": True,
        "day": True,
        "ended": [0],
        "trading": [0, 7, [1, 2]],
        "positions": 1,
        "bought": [[1, 1], [3, 3], [8, 11]],
        "fill": 2,
        "trade": 2,
        "price": True,
        "moment": True,
        "modified": [[6, 8], [3, 9]],
        "chain": [True, True],
        "remaining": 4,
        "stale": [1024, True],
        "canceled": [[5, 5], [7, 6]],
        "bars": [True, True, True],
        "past": 2,
        "unknown": 104,
        "last": [1, False],
        "closed": 1000,
        "small": True,
        "quick": True,
    }


def year(endpoint):
    return endpoint.names.resolve("EP").contract_month[2:4]
