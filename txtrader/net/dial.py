"""Dialling: connect, and connect again after a loss, with a jittered backoff that only a login resets."""

from __future__ import annotations

import random as random_module
from collections.abc import Callable
from typing import Any

import msgspec
from twisted.internet.abstract import isIPAddress
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

__all__ = ["Backoff", "Dialer", "client_endpoint"]


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait between attempts, in seconds: `minimum`, doubling up to `maximum`.

    Of each wait the share `jitter` is random, so that many gateways do not come back at one moment: with 0.5 a wait
    of 8 s is between 4 and 8 s.
    """

    minimum: float = 1.0
    maximum: float = 60.0
    jitter: float = 0.5

    def wait(self, failures: int, random: random_module.Random) -> float:
        """Return the wait after so many attempts without success, 1 or more."""
        full = min(self.maximum, self.minimum * 2.0 ** min(failures - 1, 32))
        return full * (1.0 - self.jitter * random.random())


def client_endpoint(reactor: Any, host: str, port: int, *, tls: Any = None) -> IStreamClientEndpoint:
    """Return where to dial: an address as it is, a name by its lookup; encrypted with `tls`, see `client_options`."""
    kind = TCP4ClientEndpoint if isIPAddress(host) else HostnameEndpoint
    plain: IStreamClientEndpoint = kind(reactor, host, port)
    if tls is None:
        return plain
    wrapped: IStreamClientEndpoint = wrapClientTLS(tls, plain)
    return wrapped


class _Factory(Factory):
    noisy = False

    def __init__(self, build: Callable[[], Protocol]) -> None:
        self._build = build

    def buildProtocol(self, addr: object) -> Protocol:
        return self._build()


class Dialer:
    """Dials an endpoint until there is a connection, and again when asked.

    `Dialer(clock, make_endpoint, backoff, build=...)`: `make_endpoint()` gives the endpoint of the next attempt (so
    that a changed address is taken up), `build()` the protocol for it, usually a `Pump`.  A refused or timed-out
    attempt calls `on_failed(failure)` and is repeated by itself; the owner of the protocol calls `again()` when a
    connection that stood is lost, and `succeeded()` once it is of use (logged in): only that resets the backoff, so
    that a broker who accepts and hangs up is not hammered.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        make_endpoint: Callable[[], IStreamClientEndpoint],
        backoff: Backoff | None = None,
        *,
        build: Callable[[], Protocol],
        on_failed: Callable[[Failure], None] | None = None,
        random: random_module.Random | None = None,
        timeout: float = 10.0,
    ) -> None:
        self.backoff = backoff or Backoff()
        self.attempts = 0
        """Attempts since the last success, the running one included."""
        self.next_attempt: float | None = None
        """The clock second of the next attempt while one is scheduled."""
        self._clock = clock
        self._make_endpoint = make_endpoint
        self._build = build
        self._on_failed = on_failed
        self._random = random or random_module.Random()
        self._timeout = timeout
        self._timer: IDelayedCall | None = None
        self._attempt: Deferred[Any] | None = None
        self._is_running = False

    def start(self, wait: float = 0.0) -> None:
        """Dial now, or first after `wait` seconds."""
        if not self._is_running:
            self._is_running = True
            if wait > 0:
                self.again(wait)
            else:
                self._dial()

    def again(self, wait: float | None = None) -> None:
        """Dial after the next wait of the backoff, or after `wait` seconds; at most one attempt is ever pending."""
        if not self._is_running or self._attempt is not None or self._timer is not None:
            return
        if wait is None:
            wait = self.backoff.wait(max(1, self.attempts), self._random)
        self.next_attempt = self._clock.seconds() + wait
        self._timer = self._clock.callLater(wait, self._dial)

    def succeeded(self) -> None:
        """Note that the connection is of use: the next wait is the shortest again."""
        self.attempts = 0

    def stop(self) -> Deferred[None]:
        """Dial no more; fires when no attempt is under way.  A connection that stands is its owner's to close."""
        self._is_running = False
        self.next_attempt = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._attempt is not None:
            self._attempt.cancel()
        return succeed(None)

    def _dial(self) -> None:
        self._timer = None
        self.next_attempt = None
        self.attempts += 1
        attempt: Deferred[Any] = self._make_endpoint().connect(_Factory(self._build))
        self._attempt = attempt
        attempt.addTimeout(self._timeout, self._clock)
        attempt.addBoth(self._settled)
        attempt.addErrback(self._report)

    def _settled(self, result: Any) -> Any:
        self._attempt = None
        return result

    def _report(self, failure: Failure) -> None:
        if not self._is_running and failure.check(CancelledError):
            return
        if self._on_failed is not None:
            try:
                self._on_failed(failure)
            except Exception:  # noqa: BLE001
                # A bug of the owner; dialling goes on, or the link would stay down for good.
                self._log.failure("telling that an attempt failed")
        self.again()
