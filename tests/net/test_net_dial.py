"""The dialer: backoff, one attempt at a time, a refused attempt repeated, the end."""

from __future__ import annotations

from random import Random

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from txtrader.net.dial import Backoff, Dialer


class Endpoint:
    """Answers as it is told; a Deferred of its own each time."""

    def __init__(self) -> None:
        self.attempts: list[Deferred[Protocol]] = []

    def connect(self, factory: object) -> Deferred[Protocol]:
        attempt: Deferred[Protocol] = Deferred()
        self.attempts.append(attempt)
        return attempt

    def refuse(self) -> None:
        self.attempts[-1].errback(Failure(ConnectionRefusedError()))


def make(**options) -> tuple[Clock, Endpoint, list[Failure], Dialer]:
    clock, endpoint, failures = Clock(), Endpoint(), []
    dialer = Dialer(clock, lambda: endpoint, build=Protocol, on_failed=failures.append, random=Random(1), **options)
    return clock, endpoint, failures, dialer


def test_waits_double_up_to_the_maximum_and_are_jittered_by_half():
    backoff = Backoff(minimum=1, maximum=60)
    random = Random(7)
    for failures, full in ((1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (100, 60)):
        waits = [backoff.wait(failures, random) for _ in range(200)]
        assert full / 2 <= min(waits) < max(waits) <= full
        assert max(waits) - min(waits) > full / 3


def test_a_refused_attempt_is_repeated_by_itself():
    clock, endpoint, failures, dialer = make()
    dialer.start()
    for count in range(1, 6):
        assert len(endpoint.attempts) == count == dialer.attempts
        endpoint.refuse()
        assert dialer.next_attempt is not None
        clock.advance(60)
    assert len(failures) == 5
    assert all(failure.check(ConnectionRefusedError) for failure in failures)


def test_an_attempt_that_hangs_is_given_up():
    clock, endpoint, failures, dialer = make(timeout=10)
    dialer.start()
    clock.advance(10.1)
    assert len(failures) == 1
    clock.advance(1)
    assert len(endpoint.attempts) == 2


def test_only_success_resets_the_backoff():
    clock, endpoint, _, dialer = make(backoff=Backoff(jitter=0))
    dialer.start()
    for wait in (1, 2, 4):
        endpoint.attempts[-1].callback(Protocol())  # connected, but of no use
        dialer.again()
        clock.advance(wait - 0.01)
        before = len(endpoint.attempts)
        clock.advance(0.02)
        assert len(endpoint.attempts) == before + 1
    endpoint.attempts[-1].callback(Protocol())
    dialer.succeeded()
    dialer.again()
    assert dialer.next_attempt == clock.seconds() + 1


def test_at_most_one_attempt_is_pending():
    clock, endpoint, _, dialer = make()
    dialer.start()
    dialer.again()
    dialer.start()
    assert len(endpoint.attempts) == 1 and not [call for call in clock.getDelayedCalls() if call.func == dialer._dial]
    endpoint.refuse()
    dialer.again()
    dialer.again()
    clock.advance(60)
    assert len(endpoint.attempts) == 2


def test_a_stopped_dialer_dials_no_more_and_leaves_nothing_ticking():
    clock, endpoint, failures, dialer = make()
    dialer.start()
    dialer.stop()
    assert failures == [] and clock.getDelayedCalls() == []
    dialer.again()
    assert len(endpoint.attempts) == 1

    clock, endpoint, failures, dialer = make()
    dialer.start()
    endpoint.refuse()
    dialer.stop()
    clock.advance(100)
    assert len(endpoint.attempts) == 1 and clock.getDelayedCalls() == []


def test_a_bug_in_the_owner_does_not_end_the_dialling(expected_failures: list[str]):
    expected_failures.append("telling that an attempt failed")
    clock, endpoint = Clock(), Endpoint()
    dialer = Dialer(clock, lambda: endpoint, build=Protocol, on_failed=lambda failure: 1 / 0)
    dialer.start()
    endpoint.refuse()
    clock.advance(2)
    assert len(endpoint.attempts) == 2


def test_each_attempt_builds_its_own_protocol():
    reactor = MemoryReactorClock()
    built: list[Protocol] = []

    def build() -> Protocol:
        built.append(Protocol())
        return built[-1]

    dialer = Dialer(reactor, lambda: TCP4ClientEndpoint(reactor, "127.0.0.1", 7497), build=build, random=Random(1))
    dialer.start()
    host, port, factory, *_ = reactor.tcpClients[0]
    assert (host, port) == ("127.0.0.1", 7497)
    factory.buildProtocol(None)
    assert len(built) == 1
