"""The composition root: settings become a running gateway, and only here the global reactor has a name.

    journal -> simulated market (mode demo) -> gateway and adapters -> front ends -> dial

Started in that sequence, so that a second daemon on the same journal or port ends before any broker hears of it.  The
stop goes the other way: the gates shut and the broker links end first, then the clients, who hear of that, and the
journal last.
"""

from __future__ import annotations

import gc
import json
import os
import random
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

from twisted.application import service
from twisted.internet.defer import Deferred, TimeoutError, ensureDeferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.components import Componentized

from txtrader.daemon.lifecycle import Daemon, run_application
from txtrader.daemon.process import clients_that_fit
from txtrader.daemon.restarts import RestartBrake
from txtrader.errors import ConfigError, JournalUnavailable
from txtrader.frontends import Frontend, make_frontends
from txtrader.gateway.access import Access
from txtrader.gateway.api import Gateway, GatewayOptions
from txtrader.gateway.journal import Journal, Retention
from txtrader.gateway.link import LinkOptions
from txtrader.gateway.market import MarketOptions
from txtrader.gateway.stream import EventStream
from txtrader.service.check import adapter_name, check_settings, describe
from txtrader.settings import Settings, SettingsError

__all__ = ["GatewayService", "gateway_options", "make_application", "make_service", "run"]


LAST_WORDS = 1.0  # seconds that the stop waits for the journal before the clients are closed


_COLLECT = (50_000, 50, 50)
"""Thresholds of the garbage collector: an order makes hundreds of objects that are no garbage; the defaults would
look at them over and over, for a fifth of the time of a busy gateway."""


class GatewayService(Daemon):
    """The gateway as a Twisted service.  `gateway` and `ports` are there once it is up."""

    _log = Logger()
    gateway: Gateway
    access: Access
    _frontends: list[Frontend]
    ports: dict[str, int]

    async def start_parts(self) -> None:
        """Start journal, simulated market, gateway, front ends and broker links."""
        settings, reactor = self.settings, self._reactor
        room = clients_that_fit(settings.max_clients)
        if room < settings.max_clients:
            self._log.warn("the limit of open files leaves room for {room} clients only", room=room)
            settings = settings.replace(max_clients=room)
        problems = check_settings(settings)
        if problems:
            raise SettingsError(problems)
        self._make_data_dir()
        self.access = self._open_access()
        journal = Journal.open(
            settings.journal_path, now_ns=time.time_ns, retention=Retention(records=settings.key_retention)
        )
        self.started("the journal", journal.close)
        journal.on_fatal = self.end
        state = journal.load()
        stream = EventStream(journal, clock=reactor, now_ns=time.time_ns)
        journal.start(reactor)
        self.gateway = Gateway(
            settings.mode,
            clock=reactor,
            now_ns=time.time_ns,
            stream=stream,
            access=self.access,
            state=state,
            options=gateway_options(settings),
            on_shutdown=self.on_end,
            on_dead=self.end,
        )
        for mode in settings.mode:
            await self._attach(mode)
        self.ports = {}
        self._frontends = make_frontends(self.gateway, settings, reactor, now_ns=time.time_ns)
        for frontend in self._frontends:
            self.ports[frontend.name] = await frontend.start()
            self.started(frontend.name, frontend.stop)
        self.started("the gateway", lambda: ensureDeferred(self._stop_gateway(journal)))
        self._dial()
        self._write_ports()
        # What was loaded lives as long as the daemon: the collector need not walk through it again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_COLLECT)
        self._log.info("the gateway serves: {ports}", ports=", ".join(f"{n} {p}" for n, p in self.ports.items()))

    def _dial(self) -> None:
        """Let the gateway dial its brokers, later if too many starts of late came to nothing."""
        brake = RestartBrake(os.path.join(self.settings.data_dir, "starts"))
        wait = brake.start(time.time())

        def look() -> None:
            if all(link.is_connected for link in self.gateway.links.values()):
                brake.succeeded()
                looking.stop()

        def dial() -> None:
            self.gateway.start()
            looking.start(0.1, now=False)

        looking = LoopingCall(look)
        looking.clock = self._reactor
        if not wait:
            dial()
        else:
            self._log.warn("the last starts came to nothing: dialling in {wait} s", wait=wait)
            delayed = self._reactor.callLater(wait, dial)
            self.started("the wait before dialling", lambda: delayed.cancel() if delayed.active() else None)
        self.started("the look at the links", lambda: looking.stop() if looking.running else None)
        self.started("the notes of starts", lambda: brake.succeeded() if self.exit_code == 0 else None)

    async def _stop_gateway(self, journal: Journal) -> None:
        """End trading, and wait until what was said last is durable and told: then the clients may be closed."""
        await self.gateway.stop()
        try:
            await journal.barrier().addTimeout(LAST_WORDS, self._reactor)
        except (TimeoutError, JournalUnavailable):  # the disk refuses: the journal tries once more when it closes
            self._log.warn("the clients are closed before the last events are written")

    def reload(self) -> None:
        """Read the users file and the adapters' tables anew; a wrong one changes nothing."""
        if not self.is_up:
            return  # it is about to be read
        self._reload_users()
        for mode, link in self.gateway.links.items():
            try:
                link.adapter.reload()
            except ConfigError as error:
                self._log.error("{mode}: its tables stay as they are: {reason}", mode=mode, reason=describe(error))

    def _reload_users(self) -> None:
        try:
            gone = self.access.reload()
        except ConfigError as error:
            self._log.error("the users stay as they are: {reason}", reason=describe(error))
            return
        for frontend in self._frontends:
            frontend.end_users(gone)
        self._log.info("users read anew; ended for {gone}", gone=", ".join(sorted(gone)) or "nobody")

    async def _attach(self, mode: str) -> None:
        """Make the adapter of a mode; for mode demo the market that it dials comes first."""
        settings = self.settings.for_mode(mode)
        if mode == "demo":
            from txtrader.service.demo import DemoMarket

            market = DemoMarket(
                self._reactor,
                seed=settings.demo_seed,
                pace=settings.demo_pace,
                state_path=os.path.join(settings.data_dir, "market.jsonl"),
                wire=settings.demo_wire,
            )
            port = await market.start()
            self.started("the simulated market", market.stop)
            settings = settings.replace(
                api_host="127.0.0.1", api_port=port, api_tls=False, api_username="demo", api_password="demo"
            )
        make = import_module(adapter_name(mode, settings)).make
        link = self.gateway.links[mode]
        adapter = make(settings, self._reactor, link, mode=mode, now_ns=time.time_ns, random=random.SystemRandom())
        self.gateway.attach(mode, adapter)

    def _open_access(self) -> Access:
        settings, reactor = self.settings, self._reactor

        def in_thread(work: Callable[[], bool]) -> Deferred[bool]:
            return deferToThreadPool(reactor, reactor.getThreadPool(), work)

        return Access.open(
            clock=reactor,
            in_thread=in_thread,
            users_file=settings.users_file,
            username=settings.username,
            password=settings.password,
            role=settings.user_role,
        )

    def _make_data_dir(self) -> None:
        path = self.settings.data_dir
        try:
            os.makedirs(path, mode=0o750, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}", path="TXTRADER_DATA_DIR") from None

    def _write_ports(self) -> None:
        """Write the ports that were bound where a local tool finds them: DATA_DIR/ports.json."""
        path = os.path.join(self.settings.data_dir, "ports.json")
        scratch = f"{path}.{os.getpid()}"
        with open(scratch, "w") as stream:
            json.dump({"pid": os.getpid(), **self.ports}, stream)
        os.replace(scratch, path)
        self.started("ports.json", lambda: os.unlink(path))


_LINGER = 3600.0  # seconds that the books remember longer than the journal, which forgets in rounds


def gateway_options(settings: Settings) -> GatewayOptions:
    """Translate the settings into what the gateway wants to know."""
    return GatewayOptions(
        order_timeout=settings.timeout_order,
        default_account=settings.api_account,
        default_route=settings.api_route,
        shutdown_cancel=settings.shutdown_cancel,
        seconds_tick=settings.enable_seconds_tick,
        retention=settings.key_retention + _LINGER,
        market=MarketOptions(
            timezone=ZoneInfo(settings.api_timezone),
            max_symbols=settings.max_symbols,
            ticker=settings.enable_ticker,
            high_low=settings.enable_high_low,
            barchart=settings.enable_barchart,
            symbol_barchart=settings.enable_symbol_barchart,
        ),
        link=LinkOptions(
            unknown_quiet=settings.unknown_quiet,
            reconcile_interval=settings.reconcile_interval,
            disconnect_timeout=settings.gateway_disconnect_timeout,
            disconnect_shutdown=settings.gateway_disconnect_shutdown,
            suppressed_codes=frozenset(map(str, settings.suppress_error_codes)),
            log_orders=settings.log_order_updates,
            log_executions=settings.log_execution_updates,
        ),
    )


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
