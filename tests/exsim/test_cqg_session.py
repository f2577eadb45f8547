"""The simulated CQG server's sessions: logon and its failures, restore, join, ping and pong, and how they end."""

from __future__ import annotations

import re

import pytest
import pytest_twisted
from cqg_client import NOON, SECOND, World
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from tests.net.certificates import make_certificate
from txtrader.net.tls import client_options, server_context
from txtrader.wire.cqg.schema import ClientMsg, message_class
from txtrader.wire.cqg.words import LogoffReason, LogonCode, MessageType, RestoreCode

RESTORE, JOIN = 1, 2


def pause(seconds):
    waited = Deferred()
    reactor.callLater(seconds, waited.callback, None)
    return waited


@pytest_twisted.ensureDeferred
async def test_a_logon_answers_token_versions_and_base_time():
    async with World(inactivity_minutes=30) as world:
        client = await world.connect()
        result = await client.logon()
        assert result.result_code == LogonCode.SUCCESS
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", result.base_time)
        assert result.base_time == "2026-11-18T18:00:00"
        assert (result.protocol_version_major, result.protocol_version_minor) == (2, 230)
        assert result.session_token
        assert result.HasField("user_id")
        assert result.inactivity_timeout == 30
        await client.settled()
        assert client.got == [], "nothing is told unasked"


@pytest.mark.parametrize("code", [code for code in LogonCode if code >= 100])
@pytest_twisted.ensureDeferred
async def test_a_failed_logon_has_every_required_field_and_closes(code):
    async with World() as world:
        world.endpoint.fail_logon(code, "no", redirect_url="ws://elsewhere/" if code == 106 else "")
        client = await world.connect()
        result = await client.logon()
        assert result.result_code == code
        assert result.text_message == "no"
        assert result.IsInitialized()
        assert result.base_time == "2026-11-18T18:00:00"
        assert not result.session_token
        assert result.redirect_url == ("ws://elsewhere/" if code == LogonCode.REDIRECTED else "")
        await client.gone()
        assert (await (await world.connect()).logon()).result_code == 0, "only the next logon was to fail"


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "wrong"},
        {"user": "stranger"},
        {"user": None},
        {"user": None, "password": None, "access_token": "abc"},
        {"max_collapsing_level": 1, "market_data_bandwidth": 100},
    ],
)
@pytest_twisted.ensureDeferred
async def test_wrong_credentials_and_contradictions_are_101(wrong):
    async with World(user="trader", password="secret") as world:
        client = await world.connect()
        result = await client.logon(**wrong)
        assert result.result_code == LogonCode.FAILURE
        assert result.text_message
        await client.gone()
        assert (await (await world.connect()).logon()).result_code == 0


@pytest_twisted.ensureDeferred
async def test_a_logon_without_its_required_fields_fails_and_says_which():
    async with World() as world:
        client = await world.connect()
        message = ClientMsg()
        message.logon.user_name = "trader"
        client.session.send = lambda m: None  # the session would refuse to send it
        client.session._asked = "logon"
        client.pump.protocol.send_message(message.SerializePartialToString())
        result = await client.next("logon_result")
        assert result.result_code == LogonCode.FAILURE
        assert "client_version" in result.text_message


@pytest_twisted.ensureDeferred
async def test_a_second_logon_drops_the_first_session():
    async with World() as world:
        first = await world.client()
        second = await world.client()
        assert (await first.next("logged_off")).logoff_reason == LogoffReason.FORCED
        await first.gone()
        await second.settled()
        other = await world.client("another")
        await second.settled()
        await other.settled()


@pytest_twisted.ensureDeferred
async def test_a_second_logon_that_does_not_drop_is_105():
    async with World() as world:
        first = await world.client()
        second = await world.connect()
        result = await second.logon(drop_concurrent_session=False)
        assert result.result_code == LogonCode.CONCURRENT_SESSION
        await second.gone()
        await first.settled()


@pytest_twisted.ensureDeferred
async def test_a_logoff_is_answered_without_text_and_closes():
    async with World() as world:
        client = await world.client(session_settings=[RESTORE])
        client.send("logoff", text_message="bye")
        last = await client.next("logged_off")
        assert last.logoff_reason == LogoffReason.BY_REQUEST
        assert not last.HasField("text_message")
        await client.gone()
        again = await world.connect()
        assert (await again.restore(client.token)).result_code == RestoreCode.UNKNOWN_SESSION


@pytest_twisted.ensureDeferred
async def test_a_session_is_restored_after_its_connection_was_lost_with_other_contract_ids():
    async with World() as world:
        first = await world.client(session_settings=[RESTORE])
        old = {name: (await first.resolve(name)).contract_id for name in ("EPZ26", "IBM", "CLEF27")}
        world.endpoint.drop_connections()
        await first.gone()
        world.clock.advance(30)
        again = await world.connect()
        result = await again.restore(first.token)
        assert result.result_code == RestoreCode.SUCCESS
        assert result.base_time == "2026-11-18T18:00:30"
        report = await again.ask("contract_metadata_request", contract_id=old["IBM"])
        assert report.status_code == 104, "an id of before means nothing"
        new = {name: (await again.resolve(name)).contract_id for name in ("EPZ26", "IBM", "CLEF27")}
        assert not set(old.values()) & set(new.values())


@pytest_twisted.ensureDeferred
async def test_a_restore_takes_the_session_from_a_connection_that_still_stands():
    async with World() as world:
        first = await world.client(session_settings=[RESTORE])
        second = await world.connect()
        assert (await second.restore(first.token)).result_code == 0
        assert (await first.next("logged_off")).logoff_reason == LogoffReason.REASSIGNED
        await first.gone()
        await second.settled()


@pytest_twisted.ensureDeferred
async def test_a_session_that_allows_no_restore_ends_with_its_last_connection():
    async with World() as world:
        first = await world.client()
        first.close()
        await first.gone()
        again = await world.connect()
        result = await again.restore(first.token)
        assert result.result_code in (RestoreCode.UNKNOWN_SESSION, RestoreCode.ACCESS_DENIED)
        assert result.IsInitialized()
        await again.gone()


@pytest_twisted.ensureDeferred
async def test_a_live_session_that_allows_neither_denies_a_restore():
    async with World() as world:
        first = await world.client()
        again = await world.connect()
        assert (await again.restore(first.token)).result_code == RestoreCode.ACCESS_DENIED
        await first.settled()


@pytest_twisted.ensureDeferred
async def test_a_token_lives_only_so_long():
    async with World(token_life=0.05) as world:
        first = await world.client(session_settings=[RESTORE])
        world.endpoint.drop_connections()
        await first.gone()
        await pause(0.15)
        again = await world.connect()
        assert (await again.restore(first.token)).result_code == RestoreCode.UNKNOWN_SESSION


@pytest_twisted.ensureDeferred
async def test_a_restore_without_an_application_is_103():
    async with World() as world:
        first = await world.client(session_settings=[RESTORE])
        again = await world.connect()
        assert (await again.restore(first.token, client_app_id="")).result_code == RestoreCode.INVALID_PARAMS


@pytest_twisted.ensureDeferred
async def test_joined_connections_share_the_session_up_to_a_limit():
    async with World(most_joined=3) as world:
        first = await world.client(session_settings=[JOIN])
        ours = (await first.resolve("EPZ26")).contract_id
        second = await world.connect()
        assert (await second.restore(first.token)).result_code == 0
        assert (await first.next("concurrent_connection_join_results")).IsInitialized()
        theirs = (await second.resolve("EPZ26")).contract_id
        assert ours == theirs
        third = await world.connect()
        assert (await third.restore(first.token)).result_code == 0
        await second.next("concurrent_connection_join_results")
        fourth = await world.connect()
        assert (await fourth.restore(first.token)).result_code == RestoreCode.ACCESS_DENIED
        for client in (first, second, third):
            await client.settled()


@pytest_twisted.ensureDeferred
async def test_a_logoff_of_one_joined_connection_leaves_the_others():
    async with World() as world:
        first = await world.client(session_settings=[JOIN])
        second = await world.connect()
        await second.restore(first.token)
        second.send("logoff")
        await second.gone()
        await first.settled()
        third = await world.connect()
        assert (await third.restore(first.token)).result_code == 0


@pytest_twisted.ensureDeferred
async def test_a_ping_is_answered_with_its_token_and_time():
    async with World() as world:
        client = await world.client()
        world.clock.advance(5)
        sent = ClientMsg()
        sent.ping.token = "abc"
        sent.ping.ping_utc_time = 4711
        seen = []
        client.session._take_pings = lambda message: seen.append(message) or False
        client.pump.send(sent)
        await pause(0)
        client.send("information_requests", id=1, subscribe=False)
        while len(seen) < 2:
            await pause(0.01)
        assert (seen[0].pong.token, seen[0].pong.ping_utc_time, seen[0].pong.pong_utc_time) == ("abc", 4711, 5000)


@pytest_twisted.ensureDeferred
async def test_the_server_pings_when_it_is_told_to():
    async with World(ping_every=0.02) as world:
        client = await world.client()
        server = world.endpoint.connections[0].session
        while server._pings < 4:
            await pause(0.01)
        assert server.unanswered_pings <= 1, "the client answers, so that the server goes on"
        assert not client.lost


@pytest_twisted.ensureDeferred
async def test_a_late_pong_comes_late():
    async with World() as world:
        client = await world.client()
        world.endpoint.delay_pongs(0.1)
        server_sent = []
        client.session._take_pings = lambda message: server_sent.append(message) or False
        sent = ClientMsg()
        sent.ping.ping_utc_time = 1
        client.pump.send(sent)
        client.send("information_requests", id=1, subscribe=False)
        while len(server_sent) < 2:
            await pause(0.01)
        assert [message.HasField("pong") for message in server_sent] == [False, True]
        world.endpoint.delay_pongs(0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xff\xff",
        message_class("WebAPI_2.ClientMsg")(ping={"ping_utc_time": 1}).SerializeToString(),
        message_class("WebAPI_2.ClientMsg")(logoff={}).SerializeToString(),
    ],
    ids=["empty", "no message", "ping first", "logoff first"],
)
@pytest_twisted.ensureDeferred
async def test_what_breaks_the_protocol_is_told_and_closed(data):
    async with World() as world:
        client = await world.connect()
        client.pump.protocol.send_message(data)
        message = await client.next("user_messages")
        assert message.message_type == MessageType.CRITICAL_ERROR
        assert message.text
        await client.gone()


@pytest_twisted.ensureDeferred
async def test_a_second_logon_on_a_connection_and_a_text_frame_are_told_and_closed():
    async with World() as world:
        first = await world.client()
        again = ClientMsg(logon={"user_name": "x", "client_version": "1"})
        first.pump.protocol.send_message(again.SerializeToString())
        assert (await first.next("user_messages")).message_type == MessageType.CRITICAL_ERROR
        await first.gone()
        second = await world.client("second")
        second.pump.protocol.sendMessage(b"words", isBinary=False)
        assert (await second.next("user_messages")).message_type == MessageType.CRITICAL_ERROR
        await second.gone()


@pytest_twisted.ensureDeferred
async def test_a_password_is_changed_by_who_knows_it():
    async with World(user="trader", password="secret") as world:
        client = await world.client()
        client.send("password_change", old_password="wrong", new_password="other")
        refused = await client.next("password_change_result")
        assert refused.result_code == 101
        assert refused.text_message
        client.send("password_change", old_password="secret", new_password="other")
        assert (await client.next("password_change_result")).result_code == 0


@pytest_twisted.ensureDeferred
async def test_the_collapsing_level_is_set_and_answered():
    async with World() as world:
        client = await world.client()
        client.send("set_collapsing_level_request", max_collapsing_level=3)
        result = await client.next("set_collapsing_level_results")
        assert (result.result_code, result.max_collapsing_level) == (0, 3)
        client.send("set_collapsing_level_request", max_collapsing_level=9)
        refused = await client.next("set_collapsing_level_results")
        assert (refused.result_code, refused.max_collapsing_level) == (101, 3)
        limited = await world.client("limited", market_data_bandwidth=100)
        limited.send("set_collapsing_level_request", max_collapsing_level=1)
        assert (await limited.next("set_collapsing_level_results")).result_code == 102


@pytest_twisted.ensureDeferred
async def test_an_operator_redirects_and_forces_off():
    async with World() as world:
        client = await world.client()
        world.endpoint.send_user_message(MessageType.INFO, "soon")
        assert (await client.next("user_messages")).text == "soon"
        world.endpoint.force_logoff("moved", redirect_url="ws://elsewhere/")
        last = await client.next("logged_off")
        assert (last.logoff_reason, last.redirect_url) == (LogoffReason.REDIRECTED, "ws://elsewhere/")
        await client.gone()


@pytest_twisted.ensureDeferred
async def test_the_same_over_tls(tmp_path):
    make_certificate(tmp_path)
    context = server_context(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))
    async with World(tls=context) as world:
        assert world.endpoint.url.startswith("wss://")
        options = client_options("localhost", str(tmp_path / "cert.pem"))
        client = await world.connect(tls=options)
        assert (await client.logon()).result_code == 0
        assert (await client.resolve("EP")).cqg_contract_symbol == "EPZ26"


@pytest_twisted.ensureDeferred
async def test_the_handshake_waits_for_clients_that_attach_late():
    async with World(handshake_delay=0.1) as world:
        before = reactor.seconds()
        await world.client()
        assert reactor.seconds() - before >= 0.1


def test_noon_is_in_trading_hours():
    assert NOON % SECOND == 0
