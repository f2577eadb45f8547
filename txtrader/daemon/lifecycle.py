"""How the daemon lives: its parts start in sequence and stop in the other one, within a time, whatever hangs.

A part that is started is put on a list together with how it is stopped, so that a start that fails half-way takes back
just what it did.  The process ends with 0 after a signal, with 1 when it could not start or could not go on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from twisted.application import service
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger, LogLevel, globalLogBeginner
from twisted.python.components import Componentized
from twisted.python.failure import Failure

from txtrader.daemon import process
from txtrader.daemon.logging import JsonFormatter, LogObserver, LogWriter, TextFormatter, open_log, take_over_stdlib
from txtrader.errors import ConfigError
from txtrader.settings import Settings
from txtrader.version import __version__

__all__ = ["Daemon", "run_application"]

STOP_WITHIN = 4.0  # seconds for an orderly stop; what hangs after that is left behind
END_WITHIN = 4.8  # seconds to the end of the process, whatever hangs


class Daemon(service.Service):
    """A service of several parts.  A subclass says in `start_parts` what they are.

    `title` is how the log names it.  `on_up` is called once it serves, `on_end(reason)` when it cannot start or must
    end by itself; `exit_code` says then how the process should end, `fault` why.
    """

    _log = Logger()

    def __init__(self, settings: Settings, reactor: Any) -> None:
        self.name = "txtrader"
        self.title = f"txtrader {__version__}, mode {','.join(settings.mode)}"
        self.settings = settings
        self.exit_code = 0
        self.fault: str | None = None
        self.is_up = False
        self.on_up: Callable[[], None] = lambda: None
        self.on_end: Callable[[str], None] = lambda reason: reactor.callWhenRunning(reactor.stop)
        self._reactor = reactor
        self._parts: list[tuple[str, Callable[[], Any]]] = []
        self._stopping = "the start"
        self._starting: Deferred[None] | None = None

    async def start_parts(self) -> None:
        """Start everything, and say by `started` how each part is stopped."""
        raise NotImplementedError

    def reload(self) -> None:
        """Read anew what may change while the daemon runs; what is wrong changes nothing."""

    def started(self, name: str, stop: Callable[[], Any]) -> None:
        """Note that a part runs; `stop()`, which may return a Deferred, ends it."""
        self._parts.append((name, stop))

    def startService(self) -> None:
        """Begin to start; `on_up` or `on_end` tells how it went."""
        super().startService()  # type: ignore[no-untyped-call]
        self._starting = ensureDeferred(self.start_parts())
        self._starting.addCallbacks(self._is_started, self._could_not_start)

    def _is_started(self, result: object) -> None:
        self.is_up = True
        self.on_up()

    def _could_not_start(self, failure: Failure) -> None:
        if failure.check(CancelledError) and not self.running:
            return  # the signal came while we started
        if failure.check(ConfigError, CannotListenError, OSError):
            self.end(_words(failure.value))
        else:
            self._log.failure("while starting", failure=failure)
            self.end("the daemon cannot start: see the traceback above")

    def end(self, fault: str) -> None:
        """End the daemon by its own decision, with exit code 1."""
        if self.fault is None:
            self._log.error("cannot go on: {fault}", fault=fault)
            self.fault, self.exit_code = fault, 1
            self.on_end(fault)

    def stopService(self) -> Deferred[None]:
        """Stop in the other sequence; fires within `STOP_WITHIN` seconds, whatever hangs."""
        super().stopService()  # type: ignore[no-untyped-call]
        stopping = ensureDeferred(self._stop())
        stopping.addTimeout(STOP_WITHIN, self._reactor, onTimeoutCancel=self._left_behind)
        return stopping

    async def _stop(self) -> None:
        if self._starting is not None and not self._starting.called:
            self._starting.cancel()
        while self._parts:
            self._stopping, stop = self._parts.pop()
            try:
                await maybeDeferred(stop)
            except CancelledError:
                raise
            except Exception:  # noqa: BLE001 - a part that cannot be stopped must not keep the others running
                self._log.failure("while stopping {part}", part=self._stopping)

    def _left_behind(self, result: object, timeout: float) -> None:
        self._log.warn("{part} did not stop within {timeout} s: left behind", part=self._stopping, timeout=timeout)
        self.exit_code = 1


def run_application(
    application: Componentized,
    reactor: Any,
    *,
    loop: str,
    report: Callable[[str | None], None] | None = None,
) -> int:
    """Run an application that holds a Daemon until a signal or its own end; return the exit code.

    `loop` names the event loop, for the log.  `report`, where there is one, is told None when the daemon serves, or a
    reason when it cannot.
    """
    daemon = _daemon_of(application)
    settings = daemon.settings
    pid_file = process.PidFile(settings.daemon_pidfile) if settings.daemon_pidfile else None
    writer = _begin_logging(settings)
    log = Logger(namespace="txtrader.daemon")
    for warning in settings.warnings:
        log.warn("{warning}", warning=warning)
    log.info(
        "{title}, Python {python}, {loop}, process {pid}",
        title=daemon.title,
        python=sys.version.split()[0],
        loop=loop,
        pid=os.getpid(),
    )
    top = service.IService(application)
    ending: list[str] = []

    def stop(why: str) -> None:
        ending.append(why)
        if len(ending) > 1:
            return
        process.end_by(END_WITHIN, 1)
        log.info("{why}stopping", why="" if why == daemon.fault else f"{why}: ")
        reactor.stop()

    def reload() -> None:
        log.info("SIGHUP: reading anew")
        if settings.daemon_logfile != "-":
            writer.reopen(settings.daemon_logfile)
        daemon.reload()

    def begin() -> None:
        process.catch_signals(lambda name: reactor.callFromThread(stop, name), lambda: reactor.callFromThread(reload))
        reactor.addSystemEventTrigger("before", "shutdown", top.stopService)
        top.privilegedStartService()
        top.startService()

    daemon.on_up = lambda: report(None) if report is not None else None
    daemon.on_end = stop
    reactor.callWhenRunning(begin)
    reactor.run(installSignalHandlers=False)
    log.info("ended, exit code {code}", code=daemon.exit_code)
    if daemon.fault is not None and not daemon.is_up and report is not None:
        report(daemon.fault)
    elif daemon.fault is not None and settings.daemon_logfile != "-":
        sys.stderr.write(f"txtraderd: {daemon.fault}\n")
    if pid_file is not None:
        pid_file.remove()
    writer.close(0.5)
    return daemon.exit_code


def _daemon_of(application: Componentized) -> Daemon:
    for part in service.IServiceCollection(application):
        if isinstance(part, Daemon):
            return part
    raise ConfigError("the tac file's application holds no gateway; see txtrader.service.make_application")


def _begin_logging(settings: Settings) -> LogWriter:
    try:
        descriptor = open_log(settings.daemon_logfile)
    except OSError as error:
        raise ConfigError(f"{settings.daemon_logfile}: {error.strerror}", path="TXTRADER_DAEMON_LOGFILE") from None
    writer = LogWriter(descriptor)
    formatter = JsonFormatter() if settings.log_format == "json" else TextFormatter()
    observer = LogObserver(writer, formatter, LogLevel.lookupByName(settings.log_level))
    globalLogBeginner.beginLoggingTo([observer], discardBuffer=True, redirectStandardIO=False)
    take_over_stdlib()
    return writer


def _words(error: BaseException | None) -> str:
    """Say in one line what kept the daemon from starting."""
    if isinstance(error, ConfigError):
        return error.text
    if isinstance(error, CannotListenError):
        reason = getattr(error.socketError, "strerror", None) or str(error.socketError)
        return f"cannot listen on {error.interface}:{error.port}: {reason}; see TXTRADER_TCP_PORT, TXTRADER_HTTP_PORT"
    return str(error)
