"""The encrypted link to a FIX broker: trusted or not at all."""

from __future__ import annotations

import pytest_twisted
from adapter_harness import query
from fix_harness import FixHarness
from twisted.internet import reactor

from tests.net.certificates import make_certificate
from txtrader.exsim.endpoints.fix import FixOptions as EndpointOptions
from txtrader.gateway.adapter import LinkState
from txtrader.net.tls import server_context


async def over_tls(tmp_path, **options) -> FixHarness:
    make_certificate(tmp_path)
    harness = FixHarness(reactor, is_tls=True, password="secret", **options)
    tls = server_context(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))
    harness.endpoint_options = EndpointOptions(tls=tls)
    await harness.set_up()
    return harness


@pytest_twisted.ensureDeferred
async def test_an_encrypted_link_to_a_broker_that_is_trusted_stands(tmp_path):
    harness = await over_tls(tmp_path, ca_file=str(tmp_path / "cert.pem"))
    try:
        harness.adapter.start()
        await harness.sink.until_state(LinkState.CONNECTED)
        (ibm,) = await harness.adapter.resolve(query("IBM"))
        assert ibm.symbol == "IBM"
    finally:
        await harness.tear_down()


@pytest_twisted.ensureDeferred
async def test_no_password_goes_to_a_broker_that_is_not_trusted(tmp_path):
    harness = await over_tls(tmp_path)
    try:
        harness.adapter.start()
        status = await harness.sink.until_state(LinkState.DISCONNECTED)
        assert "certificate" in status.reason
        assert harness.endpoint.sessions == 0
    finally:
        await harness.tear_down()


@pytest_twisted.ensureDeferred
async def test_an_open_broker_is_never_taken_for_an_encrypted_one():
    harness = FixHarness(reactor, is_tls=True, handshake=0.2)
    await harness.set_up()
    try:
        harness.adapter.start()
        await harness.sink.until_state(LinkState.DISCONNECTED)
        assert harness.endpoint.sessions == 0
    finally:
        await harness.tear_down()
