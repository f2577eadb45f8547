"""Clients of the simulated TWS that nobody here wrote, each in a process of its own: `clients/*_script.py`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue

from txtrader.exsim.endpoints.tws import TwsEndpoint, TwsOptions
from txtrader.exsim.venue import Venue

SCRIPTS = Path(__file__).parent / "clients"


async def run(venue: Venue, script: str, options: TwsOptions) -> dict[str, Any]:
    endpoint = TwsEndpoint(venue, reactor, options=options)
    port = await endpoint.start()
    try:
        out, err, code = await getProcessOutputAndValue(
            sys.executable, [str(SCRIPTS / script), str(port), "3"], env=os.environ
        )
    finally:
        await endpoint.stop()
    assert code == 0, err.decode() + out.decode()
    seen: dict[str, Any] = json.loads(out.decode().splitlines()[-1])
    return seen
