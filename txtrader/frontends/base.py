"""What front ends share and how they are made: the service starts and stops a list of them and knows no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from txtrader.frontends.door import Door
from txtrader.frontends.throttle import CallLimiter
from txtrader.gateway.api import Gateway
from txtrader.net.outbound import Limits, OutboundPool

__all__ = ["Frontend", "Shared"]


class Frontend(Protocol):
    """One way in.  `name` says which, in logs and in the file of ports: `tcp`, `http`."""

    name: str

    def start(self) -> Deferred[int]:
        """Listen; fires with the port."""

    def stop(self) -> Deferred[None]:
        """Listen no more, tell the clients what is queued for them, close; fires when all are gone."""

    def end_users(self, names: frozenset[str]) -> None:
        """End the sessions of users who are no more, or may less than before: the users file was read again."""


class Shared:
    """What all front ends of one daemon have in common: the gateway, the settings, the clock, and the bounds."""

    def __init__(self, gateway: Gateway, settings: Any, reactor: Any, now_ns: Callable[[], int]) -> None:
        self.gateway = gateway
        self.settings = settings
        self.reactor = reactor
        self.now_ns = now_ns
        self.door = Door(settings.max_clients)
        self.outbound = OutboundPool(
            reactor,
            Limits(
                conflate=settings.queue_conflate,
                close=settings.queue_close,
                stall=settings.queue_stall,
                total=settings.queue_total,
            ),
        )

    def limiter(self) -> CallLimiter:
        """Return the buckets of a new session."""
        return CallLimiter(self.reactor, self.settings.command_rate, self.settings.cancel_rate)
