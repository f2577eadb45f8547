"""Testing a FIX client with pytest: run `pytest examples/exsim`.  The fixture `exsim` comes with txtrader."""

from __future__ import annotations

import pytest
from fix_buyer import Buyer

from txtrader.exsim import ExsimTimeout
from txtrader.exsim.client.api import Engine, Server


@pytest.fixture
def engine(exsim: Server) -> Engine:
    engine = exsim.create_engine("e1")
    engine.create_book("IBM", symbol="IBM", tick="0.01")
    return engine


def test_a_limit_order_fills(engine: Engine) -> None:
    engine.book("IBM").sell("s1", 100, "12.50")
    buyer = Buyer(engine.create_endpoint("fix", protocol="fix42", sender_comp_id="SIM").port)
    assert buyer.buy("b1", "IBM", 40, "12.60") == "rests"
    quantity, price = buyer.wait_for_fill()
    assert (quantity, float(price)) == (40, 12.50)
    assert engine.book("IBM").get()["last"] == {"price": "12.50", "quantity": "40"}
    buyer.close()


def test_a_price_off_the_tick_is_refused(engine: Engine) -> None:
    buyer = Buyer(engine.create_endpoint("fix", protocol="fix42", sender_comp_id="SIM").port)
    assert "not a multiple of the tick" in buyer.buy("b1", "IBM", 40, "12.505")
    buyer.close()


@pytest.mark.exsim(managed=True)
def test_the_client_waits_while_the_venue_is_silent(exsim: Server, engine: Engine) -> None:
    """By hand: the order is taken, looked at, and answered with what the test likes."""
    endpoint = engine.create_endpoint("fix", protocol="fix42", sender_comp_id="SIM")
    endpoint.set_property("auto_accept", True)
    buyer = Buyer(endpoint.port)
    session = endpoint.accept_session("buyer")
    with pytest.raises(ExsimTimeout):
        session.get_message("none", wait=0.05)
    buyer._send("D", {11: "b1", 21: 1, 55: "IBM", 54: 1, 60: "20260105-15:00:00", 38: 5, 40: 2, 44: "12.50"})
    order = session.get_message("order")
    assert order.fields["quantity"] == "5"
    acknowledgement = engine.process_message("order", "answer")[0]
    acknowledgement.set_property("text", "by hand")
    session.send_message("answer")
    assert buyer._next("8")[58] == "by hand"
    buyer.close()
