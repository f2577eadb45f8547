"""The simulator endpoint contract: every protocol's endpoint passes the same script against the same venue."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest
import pytest_twisted
from cqg_endpoint_harness import CqgHarness
from endpoint_harness import TwsHarness
from ouch_endpoint_harness import OuchHarness
from twisted.internet import reactor

from txtrader.exsim.demo import make_demo_venue
from txtrader.exsim.endpoints.cqg import CqgEndpoint, CqgOptions
from txtrader.exsim.endpoints.ouch import OuchEndpoint, OuchOptions, OuchUser
from txtrader.exsim.endpoints.tws import TwsEndpoint
from txtrader.exsim.endpoints.tws.options import TwsOptions
from txtrader.exsim.records import Terms
from txtrader.model.instrument import SecType
from txtrader.model.order import OrderType, Side

SYMBOL = "IBM"


class TwsStage:
    """The venue with a TWS endpoint."""

    def __init__(self) -> None:
        self.venue = make_demo_venue(reactor, time.time_ns, 1, pace="none", has_house=False)
        self.endpoint = TwsEndpoint(self.venue, reactor, options=TwsOptions(accounts=("DU1000001",)))

    def client(self) -> TwsHarness:
        return TwsHarness(reactor, self.endpoint, SYMBOL)


class CqgStage:
    """The venue with a CQG endpoint."""

    def __init__(self) -> None:
        self.venue = make_demo_venue(reactor, time.time_ns, 1, pace="none", has_house=False)
        self.endpoint = CqgEndpoint(self.venue, reactor, options=CqgOptions(accounts=("DU1000001",)))

    def client(self) -> CqgHarness:
        return CqgHarness(reactor, self.endpoint, SYMBOL)


class OuchStage:
    """The venue with an OUCH endpoint."""

    version = "5.0"

    def __init__(self) -> None:
        self.venue = make_demo_venue(reactor, time.time_ns, 1, pace="none", has_house=False)
        users = {"ALICE": OuchUser(firms={"": "DU1000001"})}
        self.endpoint = OuchEndpoint(self.venue, reactor, options=OuchOptions(version=self.version, users=users))

    def client(self) -> OuchHarness:
        return OuchHarness(reactor, self.endpoint, SYMBOL)


class OldOuchStage(OuchStage):
    """The same in the older version."""

    version = "4.2"


STAGES = {"tws": TwsStage, "cqg": CqgStage, "ouch-5.0": OuchStage, "ouch-4.2": OldOuchStage}


def contract(body):
    """Run a contract test on every endpoint, with a venue of its own and a client that has logged in."""

    @pytest.mark.parametrize("protocol", sorted(STAGES))
    @pytest_twisted.ensureDeferred
    async def test(protocol: str) -> None:
        stage = STAGES[protocol]()
        stage.venue.start()
        await stage.endpoint.start()
        client = stage.client()
        try:
            await client.log_in()
            await body(stage, client)
        finally:
            await stage.endpoint.stop()
            stage.venue.stop()

    test.__name__ = body.__name__
    return test


def trade(stage, side: Side, quantity: int, price: str) -> None:
    """Let another participant send an order."""
    (listing,) = stage.venue.instruments.find(symbol=SYMBOL, currency="USD", sectype=SecType.STOCK)
    stage.venue.submit(
        "somebody",
        Terms(
            listing_id=listing.id,
            account="DU1000002",
            side=side,
            quantity=Decimal(quantity),
            type=OrderType.LIMIT,
            limit_price=Decimal(price),
        ),
    )


@contract
async def test_a_subscription_shows_the_market(stage, client):
    if not client.has_market_data:
        return  # the protocol has none: there is nothing to hold it to
    trade(stage, Side.BUY, 100, "99.00")
    await client.subscribe()


@contract
async def test_an_order_rests_and_is_filled_by_another_session(stage, client):
    client.place("one", Side.BUY, 100, "99.00")
    accepted = await client.until("accepted", "one")
    assert (accepted.quantity, accepted.price) == (100, Decimal("99.00"))
    trade(stage, Side.SELL, 100, "99.00")
    filled = await client.until("filled", "one")
    assert (filled.quantity, filled.price) == (100, Decimal("99.00"))


@contract
async def test_a_partial_fill_leaves_the_rest_working(stage, client):
    client.place("one", Side.BUY, 100, "99.00")
    await client.until("accepted", "one")
    trade(stage, Side.SELL, 30, "99.00")
    first = await client.until("filled", "one")
    assert first.quantity == 30
    assert await client.status_of("one") is not None
    mark = len(client.told)
    trade(stage, Side.SELL, 70, "99.00")
    second = await client.until("filled", "one", since=mark)
    assert second.quantity == 70
    assert await client.status_of("one") is None


@contract
async def test_a_replace_changes_price_and_total(stage, client):
    client.place("one", Side.BUY, 100, "99.00")
    await client.until("accepted", "one")
    mark = len(client.told)
    client.replace("one", 150, "98.50")
    replaced = await client.until("accepted", "one", since=mark, price=Decimal("98.50"))
    assert (replaced.quantity, replaced.price) == (150, Decimal("98.50"))
    trade(stage, Side.SELL, 150, "98.50")
    filled = await client.until("filled", "one")
    assert filled.quantity == 150


@contract
async def test_a_cancel_is_confirmed(stage, client):
    client.place("one", Side.BUY, 100, "99.00")
    await client.until("accepted", "one")
    client.cancel("one")
    await client.until("canceled", "one")
    assert await client.status_of("one") is None


@contract
async def test_a_cancel_of_nothing_is_refused(stage, client):
    client.cancel("never placed")
    if client.is_silent:  # silence is the answer, and the venue writes down that it was
        assert await client.status_of("never placed") is None
        assert len(stage.venue.tape.of_kind("ouch_ignored")) == 1
        return
    await client.until("cancel-rejected")


@contract
async def test_a_bad_order_is_rejected_and_works_nowhere(stage, client):
    client.place("bad", Side.BUY, 100, "99.005")
    await client.until("rejected", "bad")
    assert await client.status_of("bad") is None
    assert stage.venue.live_orders() == []


@contract
async def test_a_mass_cancel_takes_all_back(stage, client):
    if not client.can_mass_cancel:
        return  # the protocol has none: there is nothing to hold it to
    for name in ("one", "two", "three"):
        client.place(name, Side.BUY, 100, "99.00")
        await client.until("accepted", name)
    client.mass_cancel()
    for name in ("one", "two", "three"):
        await client.until("canceled", name)


@contract
async def test_orders_outlive_the_connection_and_are_found_again(stage, client):
    client.place("one", Side.BUY, 100, "99.00")
    await client.until("accepted", "one")
    await client.log_out()
    if client.cancels_on_disconnect:
        assert stage.venue.live_orders() == []
        return
    assert len(stage.venue.live_orders()) == 1
    await client.log_in()
    assert await client.status_of("one") is not None
    client.cancel("one")
    await client.until("canceled", "one")


@contract
async def test_what_happened_while_away_is_not_told_as_news_twice(stage, client):
    client.place("one", Side.BUY, 100, "99.00")
    await client.until("accepted", "one")
    trade(stage, Side.SELL, 40, "99.00")
    await client.until("filled", "one")
    await client.log_out()
    mark = len(client.told)
    await client.log_in()
    await client.status_of("one")
    assert [told for told in client.told[mark:] if told.what == "filled"] == []
