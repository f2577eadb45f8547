"""The ways in.  `make_frontends` makes those that the settings ask for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from txtrader.frontends.base import Frontend, Shared
from txtrader.frontends.http import HttpFrontend
from txtrader.frontends.lines import LineFrontend
from txtrader.gateway.api import Gateway

__all__ = ["Frontend", "make_frontends"]


def make_frontends(
    gateway: Gateway, settings: Any, reactor: Any, *, now_ns: Callable[[], int] = time.time_ns
) -> list[Frontend]:
    """Make the front ends whose port is not off; the service starts and stops them in this sequence."""
    shared = Shared(gateway, settings, reactor, now_ns)
    found: list[Frontend] = []
    if settings.tcp_port is not None:
        found.append(LineFrontend(shared))
    if settings.http_port is not None:
        found.append(HttpFrontend(shared))
    return found
