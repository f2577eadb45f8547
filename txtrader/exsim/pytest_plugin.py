"""The fixture `exsim` for pytest: a simulator for each test, there in milliseconds and surely gone at the end.

    def test_limit_order_fills(exsim):
        engine = exsim.create_engine("e1")
        ...

    @pytest.mark.exsim(seed=7, clock="virtual", managed=True)
    def test_by_hand(exsim): ...

Servers are kept over the tests that want the same settings, and reset before each.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from txtrader.exsim.client.api import API, Server
from txtrader.exsim.client.errors import ExsimError

__all__ = ["exsim", "exsim_api"]


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "exsim(**settings): what the simulator of this test is: seed, clock, managed, plugins, start"
    )


@pytest.fixture(scope="session")
def exsim_api() -> Iterator[API]:
    """Own the simulators of the session."""
    with API() as api:
        yield api


@pytest.fixture
def exsim(request: pytest.FixtureRequest, exsim_api: API) -> Server:
    """Return a simulator with nothing in it."""
    marker = request.node.get_closest_marker("exsim")
    settings: dict[str, Any] = dict(marker.kwargs) if marker is not None else {}
    name = "pytest-" + "-".join(f"{key}.{settings[key]}" for key in sorted(settings)) if settings else "pytest"
    server = exsim_api.servers.get(name)
    if server is not None:
        try:
            server.reset()
            return server
        except ExsimError:
            server.delete()  # it is gone, or was left in a state that cannot be cleared
    return exsim_api.create_server(name, **settings)
