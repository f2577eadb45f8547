"""Nasdaq's own client (`nasdaq-protocols`: session and message classes) at the simulated OUCH venue, on sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
import pytest_twisted
from nasdaq_protocols import ouch, soup
from nasdaq_protocols.common import CharAscii, Field, FixedAsciiString, Record, UnsignedIntBE, UnsignedLongBE
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from txtrader.exsim.demo import make_demo_venue
from txtrader.exsim.endpoints.ouch import OuchEndpoint, OuchOptions, OuchUser
from txtrader.exsim.records import Terms
from txtrader.exsim.venue import Venue
from txtrader.model.order import OrderType, Side

_KINDS = {"c": CharAscii, "I": UnsignedIntBE, "Q": UnsignedLongBE}


class Message42(ouch.Message, app_name="OUCH42"):
    """The messages of 4.2; the library knows them by application."""


class Message50(ouch.Message, app_name="OUCH50"):
    """The messages of 5.0."""


def define(base: Any, app: str, letter: str, way: str, fields: str) -> Any:
    """Make one message class out of `name:kind` words; a number is a text of that length."""
    made = [
        Field(name, _KINDS[kind] if kind in _KINDS else FixedAsciiString(int(kind)))
        for name, kind in (word.split(":") for word in fields.split())
    ]
    body = type(f"Body{app}{letter}{way}", (Record,), {"Fields": made})
    return type(base)(
        f"{app}{letter}{way}", (base,), {"BodyRecord": body}, app_name=app, indicator=ord(letter), direction=way
    )


ENTER = {
    "4.2": define(
        Message42, "OUCH42", "O", "incoming",
        "token:14 side:c shares:I stock:8 price:I tif:I firm:4 display:c capacity:c iso:c min_qty:I cross:c customer:c",
    ),
    "5.0": define(
        Message50, "OUCH50", "O", "incoming",
        "ref:I side:c shares:I stock:8 price:Q tif:c display:c capacity:c iso:c cross:c text:14 a1:c a2:c",
    ),
}  # fmt: skip
define(Message42, "OUCH42", "S", "outgoing", "time:Q event:c")
define(Message50, "OUCH50", "S", "outgoing", "time:Q event:c")
define(
    Message42, "OUCH42", "A", "outgoing",
    "time:Q token:14 side:c shares:I stock:8 price:I tif:I firm:4 display:c order:Q capacity:c iso:c min_qty:I cross:c "
    "state:c bbo:c",
)  # fmt: skip
define(
    Message50, "OUCH50", "A", "outgoing",
    "time:Q ref:I side:c shares:I stock:8 price:Q tif:c display:c order:Q capacity:c iso:c cross:c state:c text:14",
)  # fmt: skip
define(Message42, "OUCH42", "E", "outgoing", "time:Q token:14 shares:I price:I liquidity:c match:Q")
define(Message42, "OUCH42", "C", "outgoing", "time:Q token:14 shares:I reason:c")
define(Message50, "OUCH50", "C", "outgoing", "time:Q ref:I shares:I reason:c")
define(Message50, "OUCH50", "E", "outgoing", "time:Q ref:I shares:I price:Q liquidity:c match:Q")


class Session42(ouch.ClientSession):
    def decode(self, bytes_: bytes) -> Any:
        return Message42.from_bytes(bytes_)


class Session50(ouch.ClientSession):
    def decode(self, bytes_: bytes) -> Any:
        return Message50.from_bytes(bytes_)


def order(version: str, number: int, side: str, shares: int, price: int) -> Any:
    message = ENTER[version]()
    given: dict[str, Any] = {"side": side, "shares": shares, "stock": "IBM", "price": price, "display": "Y"}
    given.update(capacity="P", iso="N", cross="N")
    if version == "4.2":
        given.update(token=f"ORDER{number:09d}", tif=99_998, firm="", min_qty=0, customer=" ")
    else:
        given.update(ref=number, tif="0", text="", a1="\0", a2="\0")
    for name, value in given.items():
        setattr(message, name, value)
    return message


async def connect(version: str, port: int, sequence: int, password: str = "secret") -> Any:
    factory = Session42 if version == "4.2" else Session50
    return await ouch.connect_async(
        ("127.0.0.1", port), "alice", password, "", sequence=sequence, session_factory=factory
    )


def trade(venue: Venue, side: Side, quantity: int, price: str) -> None:
    (listing,) = venue.instruments.find(symbol="IBM", currency="USD")
    venue.submit("stranger", Terms(
        listing_id=listing.id, account="DU1000002", side=side, quantity=Decimal(quantity), type=OrderType.LIMIT,
        limit_price=Decimal(price),
    ))  # fmt: skip


def at_venue(body: Callable[[str, int, Venue, OuchEndpoint], Awaitable[None]]) -> Any:
    """Run a coroutine of asyncio's at a venue of its own, for each version."""

    @pytest.mark.parametrize("version", ["4.2", "5.0"])
    @pytest_twisted.ensureDeferred
    async def test(version: str) -> None:
        venue = make_demo_venue(reactor, time.time_ns, 1, pace="none", has_house=False)
        venue.start()
        users = {"ALICE": OuchUser(password="secret", firms={"": "DU1000001"})}
        endpoint = OuchEndpoint(venue, reactor, options=OuchOptions(version=version, users=users))
        port = await endpoint.start()
        try:
            await Deferred.fromFuture(asyncio.ensure_future(asyncio.wait_for(body(version, port, venue, endpoint), 10)))
        finally:
            await endpoint.stop()
            venue.stop()

    test.__name__, test.__doc__ = body.__name__, body.__doc__
    return test


def told(message: Any) -> tuple[Any, ...]:
    values = message.record.values
    return (chr(message.MsgId.indicator), *(values[name] for name in ("shares", "price", "event") if name in values))


@at_venue
async def test_it_logs_in_trades_and_resumes_where_it_was(version, port, venue, endpoint):
    client = await connect(version, port, 1)
    assert told(await client.receive_message()) == ("S", "S")
    client.send_message(order(version, 1, "B", 100, 2_905_000))
    accepted = await client.receive_message()
    assert told(accepted) == ("A", 100, 2_905_000) and accepted.stock == "IBM" and accepted.state == "L"
    trade(venue, Side.SELL, 40, "290.50")
    assert told(await client.receive_message()) == ("E", 40, 2_905_000)
    assert client.soup_session.sequence == 3
    session = client.soup_session.session_id.session
    await client.close()
    while endpoint.connections:
        await asyncio.sleep(0.001)
    trade(venue, Side.SELL, 50, "290.50")
    trade(venue, Side.SELL, 10, "290.00")
    again = await connect(version, port, 4)
    assert again.soup_session.session_id.session == session
    assert [told(await again.receive_message()) for _ in range(2)] == [("E", 50, 2_905_000), ("E", 10, 2_905_000)]
    again.send_message(order(version, 2, "S", 5, 3_000_000))
    assert told(await again.receive_message()) == ("A", 5, 3_000_000)
    again.soup_session.logout()
    while endpoint.connections:
        await asyncio.sleep(0.001)
    whole = await connect(version, port, 1)
    letters = [told(await whole.receive_message())[0] for _ in range(6)]
    assert letters == ["S", "A", "E", "E", "E", "A"]
    await whole.close()


@at_venue
async def test_it_is_refused_with_the_reason(version, port, venue, endpoint):
    for password, sequence, reason in (("wrong", 1, "A"), ("secret", 99, "S")):
        with pytest.raises(ConnectionRefusedError, match=soup.LoginRejectReason(reason).name):
            await connect(version, port, sequence, password)


@at_venue
async def test_the_end_of_the_day_closes_it(version, port, venue, endpoint):
    client = await connect(version, port, 0)
    client.send_message(order(version, 1, "B", 100, 2_905_000))
    assert told(await client.receive_message())[0] == "A"
    endpoint.end_day()
    while endpoint.connections or not client.soup_session.is_closed():
        await asyncio.sleep(0.001)
    assert not venue.live_orders()
