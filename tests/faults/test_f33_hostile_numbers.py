"""F33, F36, H13, H15, H16: hostile numbers and strings get one and the same answer from every front end.

Nothing of them reaches the broker, and none makes an order record.
"""

from __future__ import annotations

import json
import xmlrpc.client

import pytest
import pytest_twisted
import vectors

from txtrader.errors import TxTraderError
from txtrader.testing.clients import LineClient, XmlRpcClient

ORDER = {"symbol": "IBM", "side": "BUY", "quantity": 1, "type": "Limit", "limit_price": "99.50"}


def cases() -> list[dict]:
    made = [{**ORDER, "limit_price": price} for price in vectors.BAD_PRICES]
    made += [{**ORDER, "quantity": quantity} for quantity in vectors.BAD_QUANTITIES]
    made += [{**ORDER, "symbol": symbol} for symbol in vectors.BAD_SYMBOLS]
    made += [{**ORDER, "client_order_id": key} for key in vectors.BAD_KEYS]
    made += [
        {**ORDER, "quantity": True},  # H16: a boolean is no number
        {**ORDER, "quantity": [1]},
        {**ORDER, "symbol": ["IBM"]},
        {**ORDER, "symbol": 1},
        {**ORDER, "extended_hours": "false"},
        {**ORDER, "account": "x,y"},
        {**ORDER, "side": "buy "},
    ]
    return made


def answer(client, order: dict) -> str:
    try:
        client.call("submit_order", order)
    except TxTraderError as error:
        return error.code
    except xmlrpc.client.Fault as fault:
        return str(fault.faultCode)
    return "accepted"


def xml_can_carry(order: dict) -> bool:
    """XML 1.0 has no way to write control characters: a client cannot even send them."""
    return all(ord(char) >= 32 for value in order.values() if isinstance(value, str) for char in value)


@pytest_twisted.ensureDeferred
async def test_every_front_end_refuses_each_of_them_alike(play):
    def script(stage):
        daemon = stage.start_daemon(COMMAND_RATE=100000)
        with LineClient.connect(daemon) as lines, XmlRpcClient.connect(daemon) as xml:
            for order in cases():
                shown = {name: str(value)[:40] for name, value in order.items()}
                assert answer(lines, order) == "invalid-argument", shown
                if xml_can_carry(order):
                    assert answer(xml, order) in ("invalid-argument", "too-large"), shown
            assert lines.call("query_orders") == {}
        stage.do(lambda: None)
        assert stage.witness.orders == {}
        assert daemon.terminate() == 0
        assert stage.check(daemon).orders == {}

    await play(script)


RAW_TOKENS = ["1e2", "1E2", "01", "+1", ".5", "5.", "NaN", "Infinity", "-Infinity", "0x10", "1_0", "--1"]


@pytest.mark.parametrize("field", ["limit_price", "quantity"])
@pytest_twisted.ensureDeferred
async def test_number_tokens_are_held_to_the_same_grammar_as_strings(play, field):
    """JSON parsers accept too much and turn it into floats; the token itself is what counts."""

    def script(stage):
        daemon = stage.start_daemon(COMMAND_RATE=100000)
        with LineClient.connect(daemon) as lines:
            for token in RAW_TOKENS:
                text = json.dumps({**ORDER, field: "@"}).replace('"@"', token)
                reply = lines.command(f"submit_order {text}")
                assert reply.startswith(".error invalid-argument:"), (token, reply)
            exact = json.dumps({**ORDER, field: "@"}).replace('"@"', "100")
            assert lines.command(f"submit_order {exact}").startswith(".result submit_order:")
        assert daemon.terminate() == 0

    await play(script)


@pytest_twisted.ensureDeferred
async def test_xml_doubles_with_an_exponent_are_refused(play):
    def script(stage):
        daemon = stage.start_daemon()
        with XmlRpcClient.connect(daemon) as xml:
            for value in (1e-05, 1e22, float("nan"), float("inf")):
                assert answer(xml, {**ORDER, "limit_price": value}) == "invalid-argument", value
            assert answer(xml, {**ORDER, "limit_price": 99.5}) == "accepted"

    await play(script)


@pytest_twisted.ensureDeferred
async def test_a_fraction_off_the_tick_says_so(play):
    def script(stage):
        daemon = stage.start_daemon()
        with LineClient.connect(daemon) as lines, pytest.raises(TxTraderError, match="tick"):
            lines.call("submit_order", {**ORDER, "limit_price": "99.505"})

    await play(script)
