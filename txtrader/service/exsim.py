"""The simulator as a daemon of its own: a broker to test against, for any TWS, CQG, FIX or OUCH client."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from twisted.application import service
from twisted.internet.error import CannotListenError
from twisted.python.components import Componentized

from txtrader.daemon.lifecycle import Daemon, run_application
from txtrader.daemon.process import PidFile
from txtrader.errors import ConfigError
from txtrader.exsim.control.dispatcher import Dispatcher
from txtrader.exsim.control.listener import ControlPort
from txtrader.exsim.control.world import World
from txtrader.exsim.endpoints.cqg import CqgOptions
from txtrader.exsim.endpoints.fix import FixOptions
from txtrader.exsim.endpoints.ouch import OuchOptions
from txtrader.exsim.endpoints.tws import TwsEndpoint, TwsOptions
from txtrader.service.demo import DemoMarket
from txtrader.settings import Settings
from txtrader.version import __version__

__all__ = ["ExsimService", "make_application", "run"]


class ExsimService(Daemon):
    """A market with a simulated TWS before it, on the address that a gateway of the same settings dials.

    `others` are ports at which the same market is served over other wires, `cqg`, `fix` and `ouch` (in
    `ouch_version`), and to the `control`; 0 is any free port.  `served` says where that is, once started.
    """

    def __init__(
        self,
        settings: Settings,
        reactor: Any,
        *,
        state_path: str | None,
        options: TwsOptions,
        others: Mapping[str, int] | None = None,
        ouch_version: str = "5.0",
    ) -> None:
        super().__init__(settings, reactor)
        self.name = "exsim"
        self.title = f"exsim {__version__}"
        self.port = 0
        self._state_path = state_path
        self._options = options
        self._others = dict(others or {})
        self._ouch_version = ouch_version
        self.served: dict[str, int] = {}
        self.control_token = ""

    async def start_parts(self) -> None:
        """Take the state file, open the market and listen."""
        settings = self.settings
        if self._state_path is not None:
            # Two markets that write one file would lose each other's orders.
            # The lock file stays: removing it would race with the next holder.
            self._lock = PidFile(f"{self._state_path}.lock", "--state")
        try:
            market = DemoMarket(
                self._reactor,
                seed=settings.demo_seed,
                pace=settings.demo_pace,
                state_path=self._state_path,
                host=settings.api_host,
                port=settings.api_port,
                options=self._options,
            )
        except OSError as error:
            raise ConfigError(f"{self._state_path}: {error.strerror}", path="--state") from None
        self.started("the simulated TWS", market.stop)
        try:
            self.port = await market.start()
        except CannotListenError as error:
            reason = getattr(error.socketError, "strerror", None) or str(error.socketError)
            raise ConfigError(
                f"cannot listen on {settings.api_host}:{settings.api_port}: {reason}", path="--tws-port"
            ) from None
        assert isinstance(market.endpoint, TwsEndpoint)
        self._log.info(
            "simulated TWS at {host}:{port}; accounts {accounts}; seed {seed}, pace {pace}, state {state}",
            host=settings.api_host,
            port=self.port,
            accounts=" ".join(market.endpoint.accounts),
            seed=settings.demo_seed,
            pace=settings.demo_pace,
            state=self._state_path or "not kept",
        )
        for wire, port in self._others.items():
            if wire == "control":
                self._serve_control(market, port)
            else:
                await self._serve(market, wire, port)

    async def _serve(self, market: DemoMarket, wire: str, port: int) -> None:
        """Serve the market over another wire; any login is taken there."""
        host = self.settings.api_host
        try:
            if wire == "cqg":
                self.served[wire] = await market.start_cqg(self._reactor, host, port, CqgOptions())
            elif wire == "ouch":
                day_file = None if self._state_path is None else f"{self._state_path}.ouch"
                asked = OuchOptions(version=self._ouch_version, day_file=day_file)
                self.served[wire] = await market.start_ouch(self._reactor, host, port, asked)
            else:
                options = FixOptions(store_folder=self._fix_folder())
                self.served[wire] = await market.start_fix(self._reactor, host, port, options)
        except CannotListenError as error:
            reason = getattr(error.socketError, "strerror", None) or str(error.socketError)
            raise ConfigError(f"cannot listen on {host}:{port}: {reason}", path=f"--{wire}-port") from None
        self._log.info("simulated {wire} at {host}:{port}", wire=wire.upper(), host=host, port=self.served[wire])

    def _serve_control(self, market: DemoMarket, port: int) -> None:
        """Let the market be driven by requests: its engine is called demo."""
        host = self.settings.api_host
        world = World(self._reactor, name="exsim", seed=self.settings.demo_seed)
        world.adopt("demo", market.venue)
        dispatcher = Dispatcher(world, leave=lambda: self._reactor.callLater(0, self._reactor.stop))
        self.control_token = os.environ.get("EXSIM_TOKEN") or secrets.token_urlsafe(24)
        control = ControlPort(world, dispatcher, self._reactor, token=self.control_token, port=port, interface=host)
        try:
            self.served["control"] = control.start()
        except CannotListenError as error:
            reason = getattr(error.socketError, "strerror", None) or str(error.socketError)
            raise ConfigError(f"cannot listen on {host}:{port}: {reason}", path="--control-port") from None
        self.started("the control", control.stop)
        self.started("what the control has made", world.stop_own)
        self._log.info("control at {host}:{port}", host=host, port=self.served["control"])

    def _fix_folder(self) -> str | None:
        """Return where the numbers of FIX sessions are kept: beside the state file, where there is one."""
        if self._state_path is None:
            return None
        folder = f"{self._state_path}.fix"
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return folder


def make_application(
    settings: Settings | None = None,
    *,
    state_path: str | None = None,
    options: TwsOptions | None = None,
    others: Mapping[str, int] | None = None,
    ouch_version: str = "5.0",
) -> Componentized:
    """Build the application of `tac/exsim.tac`; without `settings` those of the process, mode tws.

    It listens where mode tws dials (TXTRADER_API_HOST, TXTRADER_API_PORT) and trades at TXTRADER_DEMO_SEED and
    TXTRADER_DEMO_PACE.  Raises SettingsError.
    """
    from twisted.internet import reactor

    application: Componentized = service.Application("exsim")
    daemon = ExsimService(
        settings or Settings.of_process("tws"),
        reactor,
        state_path=state_path,
        options=options or TwsOptions(),
        others=others,
        ouch_version=ouch_version,
    )
    daemon.setServiceParent(application)  # type: ignore[no-untyped-call]
    return application


def run(
    settings: Settings,
    *,
    state_path: str | None,
    limits: Mapping[str, Any],
    loop: str,
    report: Callable[[str | None, int, Mapping[str, int], str], None],
    others: Mapping[str, int] | None = None,
    ouch_version: str = "5.0",
) -> int:
    """Run the simulator until a signal; return the exit code.

    `limits` are fields of TwsOptions, `others` the ports of other wires.  `report(None, port, ports, token)` is called
    once it listens, `report(reason, 0, {}, "")` when it cannot; the token is the control's.
    """
    from twisted.internet import reactor

    application = make_application(
        settings, state_path=state_path, options=TwsOptions(**limits), others=others, ouch_version=ouch_version
    )
    (daemon,) = service.IServiceCollection(application)
    return run_application(
        application,
        reactor,
        loop=loop,
        report=lambda fault: report(fault, daemon.port, daemon.served, daemon.control_token),
    )
