"""A market of our own on a real socket: inside the daemon in mode demo, or alone, for clients of any make."""

from __future__ import annotations

import os
import time
from typing import Any

from twisted.internet.defer import Deferred

from txtrader.exsim.demo import make_demo_venue
from txtrader.exsim.endpoints.cqg import CqgEndpoint, CqgOptions
from txtrader.exsim.endpoints.fix import FixEndpoint, FixOptions
from txtrader.exsim.endpoints.fix.trading import Trading, TradingOptions
from txtrader.exsim.endpoints.ouch import OuchEndpoint, OuchOptions
from txtrader.exsim.endpoints.tws import TwsEndpoint, TwsOptions
from txtrader.gateway.tasks import returns_deferred

__all__ = ["DemoMarket"]


class DemoMarket:
    """The demonstration's venue behind a simulated broker that listens on `host`:`port`; 0 is any free port.

    `wire` is what it speaks: tws, cqg or fix.

    With `state_path` what clients did there outlives the process, as it would at a broker.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        seed: int,
        pace: str,
        state_path: str | None,
        host: str = "127.0.0.1",
        port: int = 0,
        wire: str = "tws",
        options: TwsOptions | CqgOptions | None = None,
    ) -> None:
        self.venue = make_demo_venue(reactor, time.time_ns, seed, pace=pace, state_path=state_path)
        self._more: list[CqgEndpoint | FixEndpoint | OuchEndpoint] = []
        self.endpoint: TwsEndpoint | CqgEndpoint | FixEndpoint
        if wire == "cqg":
            assert not isinstance(options, TwsOptions)
            self.endpoint = CqgEndpoint(self.venue, reactor, interface=host, port=port, options=options)
        elif wire == "fix":
            # Numbers outlive the process as the orders do: a gateway goes on where it was.
            folder = None if state_path is None else f"{state_path}.fix"
            if folder is not None:
                os.makedirs(folder, mode=0o700, exist_ok=True)
            self.endpoint = self._fix(reactor, host, port, FixOptions(store_folder=folder), shares_accounts=True)
        else:
            assert not isinstance(options, CqgOptions)
            self.endpoint = TwsEndpoint(self.venue, reactor, interface=host, port=port, options=options)

    def start(self) -> Deferred[int]:
        """Open the market; fires with the port of its endpoint.  Fails with CannotListenError."""
        self.venue.start()
        return self.endpoint.start()

    def start_cqg(self, reactor: Any, host: str, port: int, options: CqgOptions) -> Deferred[int]:
        """Serve the same market over CQG's wire as well; fires with the port.  Fails with CannotListenError."""
        memory = self.venue.memory
        former = None if memory is None else memory.extra_to_state
        endpoint = CqgEndpoint(self.venue, reactor, interface=host, port=port, options=options)
        if memory is not None:
            ours = memory.extra_to_state
            # Each wire writes down what it hung on its own orders.
            memory.extra_to_state = lambda extra: ours(extra) or (former(extra) if former is not None else {})
        self._more.append(endpoint)
        return endpoint.start()

    def start_fix(self, reactor: Any, host: str, port: int, options: FixOptions) -> Deferred[int]:
        """Serve the same market over FIX as well; fires with the port.  Fails with CannotListenError."""
        endpoint = self._fix(reactor, host, port, options)
        self._more.append(endpoint)
        return endpoint.start()

    def start_ouch(self, reactor: Any, host: str, port: int, options: OuchOptions) -> Deferred[int]:
        """Serve the same market over OUCH as well; fires with the port.  Fails with CannotListenError."""
        endpoint = OuchEndpoint(self.venue, reactor, interface=host, port=port, options=options)
        self._more.append(endpoint)
        return endpoint.start()

    def _fix(
        self, reactor: Any, host: str, port: int, options: FixOptions, *, shares_accounts: bool = False
    ) -> FixEndpoint:
        trading = Trading(self.venue, TradingOptions(shares_accounts=shares_accounts))
        endpoint = FixEndpoint(trading, reactor, self.venue.now_ns, interface=host, port=port, options=options)
        trading.attach(endpoint)
        return endpoint

    @returns_deferred
    async def stop(self) -> None:
        """Close the market."""
        self.venue.stop()
        for endpoint in (self.endpoint, *self._more):
            await endpoint.stop()
