"""The composition root: settings become a running gateway, and only here the global reactor has a name.

    journal -> gateway -> front ends -> (the simulated market, in mode demo) -> adapters

Started in that sequence, so that a second daemon on the same journal or port ends before any broker hears of it;
stopped in the other one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from twisted.application import service
from twisted.python.components import Componentized

from txtrader.daemon import Daemon, run_application
from txtrader.settings import Settings

__all__ = ["GatewayService", "make_application", "make_service", "run"]


class GatewayService(Daemon):
    """The gateway as a Twisted service."""

    async def start_parts(self) -> None:
        """Start journal, gateway, front ends and adapters."""

    def _write_ports(self, ports: dict[str, int]) -> None:
        """Write the ports that were bound where a local tool finds them: DATA_DIR/ports.json."""
        path = os.path.join(self.settings.data_dir, "ports.json")
        scratch = f"{path}.{os.getpid()}"
        with open(scratch, "w") as stream:
            json.dump({"pid": os.getpid(), **ports}, stream)
        os.replace(scratch, path)
        self.started("ports.json", lambda: os.unlink(path))


def make_service(settings: Settings, reactor: Any) -> GatewayService:
    """Build the daemon that the settings describe; nothing runs before its `startService`."""
    return GatewayService(settings, reactor)


def make_application(mode: str | None = None) -> Componentized:
    """Build the application of a tac file.  `mode` wins over TXTRADER_MODE.  Raises SettingsError."""
    from twisted.internet import reactor

    application: Componentized = service.Application("txtrader")
    make_service(Settings.of_process(mode), reactor).setServiceParent(application)  # type: ignore[no-untyped-call]
    return application


def run(tac: str | None, *, loop: str, report: Callable[[str | None], None] | None = None) -> int:
    """Run the application of a tac file, or that of the settings, until a signal; return the exit code."""
    from twisted.internet import reactor

    application = service.loadApplication(tac, "python") if tac else make_application()
    return run_application(application, reactor, loop=loop, report=report)
