"""The CQG adapter's link: redirects, the budget of logons, limits, silence, what is asked at a restore."""

from __future__ import annotations

import msgspec
import pytest
import pytest_twisted
from adapter_harness import query, turn
from cqg_harness import CqgHarness
from cqg_run import on_cqg
from twisted.internet import reactor
from twisted.internet.defer import gatherResults

from txtrader.adapters.cqg_address import redirected
from txtrader.adapters.cqg_budget import LogonBudget
from txtrader.errors import Throttled
from txtrader.exsim.endpoints.cqg import CqgEndpoint
from txtrader.exsim.endpoints.cqg.limits import CqgLimits
from txtrader.gateway.adapter import LinkState, LinkStatus
from txtrader.model.market import BarPeriod, BarQuery
from txtrader.net.dial import Backoff
from txtrader.wire.cqg.words import LogonCode, RestoreCode

DAY = 86_400_000_000_000


def changed(**fields):
    return lambda options: msgspec.structs.replace(options, **fields)


# -- redirects


@pytest.mark.parametrize(
    ("url", "is_tls", "address"),
    [
        ("wss://api2.cqg.com:9443/", True, ("api2.cqg.com", 9443)),
        ("wss://api2.cqg.com", True, ("api2.cqg.com", 443)),
        ("api2.cqg.com:443", True, ("api2.cqg.com", 443)),
        ("ws://api2.cqg.com:443", True, None),  # a link that was encrypted stays so
        ("https://api2.cqg.com:443", True, None),
        ("wss://name:word@api2.cqg.com", True, None),
        ("wss://api2.cqg.com:99999", True, None),
        ("wss://", True, None),
        ("ws://127.0.0.1:8080", False, ("127.0.0.1", 8080)),
        ("ws://api2.cqg.com:8080", False, None),  # an open link stays on this machine
    ],
)
def test_a_redirect_is_followed_only_to_where_the_link_is_as_safe(url, is_tls, address):
    assert redirected(url, is_tls=is_tls) == address


async def _other_server(harness) -> CqgEndpoint:
    other = CqgEndpoint(harness.venue, reactor, options=harness.endpoint_options)
    await other.start()
    return other


@on_cqg(starts=False)
async def test_a_logon_that_is_redirected_goes_on_there_at_once(harness):
    other = await _other_server(harness)
    try:
        harness.endpoint.fail_logon(LogonCode.REDIRECTED, redirect_url=f"ws://127.0.0.1:{other.port}/")
        harness.adapter.start()
        status = await harness.sink.until_state(LinkState.CONNECTED)
        assert (other.sessions, harness.endpoint.sessions, status.login) == (1, 0, "ok")
        mark = harness.sink.mark()
        await other.stop()  # what it stands for is gone: back to the address of the settings
        await harness.sink.until_state(LinkState.CONNECTED, since=mark)
        assert harness.endpoint.sessions == 1
    finally:
        await other.stop()


@on_cqg
async def test_a_session_that_is_sent_elsewhere_goes_on_there(harness):
    other = await _other_server(harness)
    try:
        mark = harness.sink.mark()
        harness.endpoint.force_logoff("maintenance", redirect_url=f"ws://127.0.0.1:{other.port}/")
        await harness.sink.until_state(LinkState.CONNECTED, since=mark)
        assert other.sessions == 1
    finally:
        await other.stop()


@on_cqg(starts=False)
async def test_servers_that_send_each_other_a_client_are_left_alone(harness):
    harness.endpoint.fail_logon(
        LogonCode.REDIRECTED, "round", times=50, redirect_url=f"ws://127.0.0.1:{harness.endpoint.port}/"
    )
    harness.adapter.start()
    await harness.sink.until(LinkStatus, lambda status: status.login == "refused: round")
    assert len(harness.endpoint.logon_failures) == 46


# -- the budget of logons


def _spent(path: str) -> None:
    import time

    budget = LogonBudget(path, 200, time.time_ns)
    for _ in range(200):
        budget.used()


@pytest_twisted.ensureDeferred
async def test_a_gateway_without_logons_left_today_does_not_even_dial(tmp_path):
    _spent(str(tmp_path / "logons"))
    harness = CqgHarness(reactor)
    harness.options = msgspec.structs.replace(harness.options, budget_file=str(tmp_path / "logons"))
    await harness.set_up()
    try:
        harness.adapter.start()
        status = harness.adapter.status()
        assert status.state is LinkState.DISCONNECTED and "used up" in status.reason
        assert status.next_attempt is not None and status.next_attempt % DAY < 2_000_000_000
        with pytest.raises(Throttled):
            harness.adapter.log_on("trader", "secret")
        await turn(reactor)
        assert not harness.endpoint.connections and not harness.endpoint.sessions
    finally:
        await harness.tear_down()


@pytest_twisted.ensureDeferred
async def test_restores_go_on_when_the_logons_are_used_up(tmp_path):
    harness = CqgHarness(reactor)
    harness.options = msgspec.structs.replace(harness.options, budget_file=str(tmp_path / "logons"), logons_a_day=1)
    await harness.set_up()
    try:
        harness.adapter.start()
        await harness.sink.until_state(LinkState.CONNECTED)
        for _ in range(2):
            mark = harness.sink.mark()
            harness.endpoint.drop_connections()
            status = await harness.sink.until_state(LinkState.CONNECTED, since=mark)
            assert status.reason == "session restored"
        mark = harness.sink.mark()
        harness.endpoint.fail_restore(RestoreCode.UNKNOWN_SESSION)
        harness.endpoint.drop_connections()
        status = await harness.sink.until(LinkStatus, lambda status: "used up" in (status.reason or ""), since=mark)
        assert status.next_attempt is not None and status.next_attempt % DAY < 2_000_000_000
        assert harness.endpoint.sessions == 3 and harness.adapter.budget.left() == 0
    finally:
        await harness.tear_down()


# -- accounts


@on_cqg(limits=CqgLimits(account_requests=1))
async def test_a_restore_goes_on_with_the_known_accounts_when_they_may_not_be_asked_for_again(harness):
    mark = harness.sink.mark()
    harness.endpoint.drop_connections()
    status = await harness.sink.until_state(LinkState.CONNECTED, since=mark)
    assert status.reason == "session restored"
    assert harness.account in harness.adapter.books.accounts


@on_cqg(starts=False, options=changed(timeout_default=0.05))
async def test_a_server_that_tells_no_accounts_is_dialled_again(harness):
    rule = harness.endpoint.withhold("information_reports")
    harness.adapter.start()
    await harness.sink.until_state(LinkState.DISCONNECTED)
    rule.remove()
    await harness.sink.until_state(LinkState.CONNECTED)


# -- limits


@on_cqg(limits=CqgLimits(histories=10), history_delay=0.01)
async def test_questions_for_history_wait_for_each_other(harness):
    (ibm, *_) = await harness.adapter.resolve(query("IBM"))
    end = harness.venue.now_ns() // DAY * DAY
    asked = [
        harness.adapter.bars(
            BarQuery(instrument=ibm, period=BarPeriod(1, "D"), start=end - (30 + count) * DAY, end=end)
        )
        for count in range(25)
    ]
    answers = await gatherResults(asked, consumeErrors=True)
    assert len(answers) == 25 and all(answers)


@on_cqg(limits=CqgLimits(information=1000), options=changed(message_rate=100_000.0))
async def test_information_is_asked_for_no_faster_than_cqg_allows(harness):
    asked = [harness.adapter.resolve(query("IBM")) for _ in range(1010)]
    for one in asked:
        one.addErrback(lambda failure: None)  # those that wait are given up at the end
    assert await asked[940]
    assert 1010 - 950 <= harness.adapter._connection._information.queued <= 1010 - 940


# -- silence


@on_cqg(options=changed(heartbeat=0.2, reconnect=Backoff(minimum=0.01, maximum=0.02)))
async def test_silence_is_stale_within_two_heartbeats_and_then_hung_up(harness):
    start = reactor.seconds()
    mark = harness.sink.mark()
    harness.endpoint.go_silent()
    await harness.sink.until_state(LinkState.STALE, since=mark)
    assert reactor.seconds() - start < 2 * 0.2 + 0.15
    await harness.sink.until_state(LinkState.DISCONNECTED, since=mark)
    harness.endpoint.go_silent(False)
    await harness.sink.until_state(LinkState.CONNECTED, since=mark)


@on_cqg(options=changed(heartbeat=0.05))
async def test_the_brokers_clock_is_the_one_of_its_pongs(harness):
    (connection,) = harness.endpoint.connections
    connection.pump.session._now_ns = lambda: harness.venue.now_ns() + 7_000_000_000
    late = reactor.seconds() + 5
    while not harness.adapter._connection.session.peer_ahead and reactor.seconds() < late:
        await turn(reactor)
    told = await harness.adapter.broker_time()
    assert abs(told - harness.venue.now_ns() - 7_000_000_000) < 500_000_000
