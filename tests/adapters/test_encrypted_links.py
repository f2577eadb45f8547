"""The encrypted link to a broker, over each wire that has one: trusted or not at all."""

from __future__ import annotations

import msgspec
import pytest
import pytest_twisted
from adapter_harness import query
from cqg_harness import CqgHarness
from fix_harness import FixHarness
from twisted.internet import reactor

from tests.net.certificates import make_certificate
from txtrader.exsim.endpoints.fix import FixOptions as EndpointOptions
from txtrader.gateway.adapter import LinkState
from txtrader.net.tls import server_context


def fix_link(server_tls, **options) -> FixHarness:
    harness = FixHarness(reactor, is_tls=True, password="secret", **options)
    if server_tls is not None:
        harness.endpoint_options = EndpointOptions(tls=server_tls)
    return harness


def cqg_link(server_tls, **options) -> CqgHarness:
    harness = CqgHarness(reactor, tls=server_tls)
    harness.options = msgspec.structs.replace(harness.options, is_tls=True, **options)
    return harness


on_each_wire = pytest.mark.parametrize("link", [fix_link, cqg_link])


def certificate(folder) -> object:
    make_certificate(folder)
    return server_context(str(folder / "cert.pem"), str(folder / "key.pem"))


@on_each_wire
@pytest_twisted.ensureDeferred
async def test_an_encrypted_link_to_a_broker_that_is_trusted_stands(link, tmp_path):
    harness = link(certificate(tmp_path), ca_file=str(tmp_path / "cert.pem"))
    await harness.set_up()
    try:
        harness.adapter.start()
        await harness.sink.until_state(LinkState.CONNECTED)
        (ibm,) = await harness.adapter.resolve(query("IBM"))
        assert ibm.symbol == "IBM"
    finally:
        await harness.tear_down()


@on_each_wire
@pytest_twisted.ensureDeferred
async def test_no_password_goes_to_a_broker_that_is_not_trusted(link, tmp_path):
    harness = link(certificate(tmp_path))
    await harness.set_up()
    try:
        harness.adapter.start()
        status = await harness.sink.until_state(LinkState.DISCONNECTED)
        assert "certificate" in status.reason
        assert harness.endpoint.sessions == 0
        assert harness.adapter.status().state is not LinkState.CONNECTED
    finally:
        await harness.tear_down()


@on_each_wire
@pytest_twisted.ensureDeferred
async def test_an_open_broker_is_never_taken_for_an_encrypted_one(link):
    harness = link(None, handshake=0.2)
    await harness.set_up()
    try:
        harness.adapter.start()
        await harness.sink.until_state(LinkState.DISCONNECTED)
        assert harness.endpoint.sessions == 0
    finally:
        await harness.tear_down()
