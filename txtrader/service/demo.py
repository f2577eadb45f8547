"""Mode demo: a market of our own inside the daemon, reached over a real loopback socket by the real adapter."""

from __future__ import annotations

import os
import time
from typing import Any

from twisted.internet.defer import Deferred

from txtrader.exsim.demo import make_demo_venue
from txtrader.exsim.endpoints.tws import TwsEndpoint
from txtrader.settings import Settings

__all__ = ["DemoMarket"]


class DemoMarket:
    """The simulated exchange with the endpoint that TXTRADER_DEMO_WIRE names.  What clients did there survives in
    DATA_DIR, as it would at a broker."""

    def __init__(self, settings: Settings, reactor: Any) -> None:
        self.venue = make_demo_venue(
            reactor,
            time.time_ns,
            settings.demo_seed,
            pace=settings.demo_pace,
            state_path=os.path.join(settings.data_dir, "market.jsonl"),
        )
        self.endpoint = TwsEndpoint(self.venue, reactor)

    def start(self) -> Deferred[int]:
        """Open the market; fires with the port of its endpoint on 127.0.0.1."""
        self.venue.start()
        return self.endpoint.start()

    def stop(self) -> Deferred[None]:
        """Close the market."""
        self.venue.stop()
        return self.endpoint.stop()
