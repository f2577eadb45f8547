"""A stage for each fault test: see `txtrader.testing.stage`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, ensureDeferred

# Anything that names the reactor is imported in the fixture: this file is read before pytest's plugin installs one.


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., Deferred[None]]:
    """Play a blocking script on a stage of its own: `await play(script, **settings)`."""

    from twisted.internet import reactor

    from txtrader.testing.stage import Stage

    def run(script: Callable[[Stage], None], *, seed: int = 1, **settings: object) -> Deferred[None]:
        async def act() -> None:
            async with Stage(reactor, tmp_path, seed=seed, **settings) as stage:
                await stage.run(script)

        return ensureDeferred(act())

    return run
