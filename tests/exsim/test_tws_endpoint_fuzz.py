"""Whatever a client sends, the simulated TWS answers in its own words and goes on."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

from tws_memory_client import IBM, MemoryClient, World
from tws_random_fields import some_fields

from tests.fuzz_seeds import seeds
from txtrader.exsim.endpoints.tws import TwsOptions
from txtrader.exsim.records import Phase
from txtrader.model.order import Side
from txtrader.wire.tws.framing import frame
from txtrader.wire.tws.message import Message
from txtrader.wire.tws.table import REQUESTS

GOOD = {
    **IBM,
    "action": "BUY",
    "orderType": "LMT",
    "totalQuantity": Decimal(10),
    "lmtPrice": Decimal(320),
    "tif": "DAY",
    "account": "DU1000001",
    "transmit": True,
    "whatToShow": "TRADES",
    "endDateTime": "",
    "durationStr": "600 S",
    "barSizeSetting": "1 min",
    "numRows": 5,
    "tickType": "AllLast",
    "scanCode": "MOST_ACTIVE",
    "timePeriod": "1 days",
    "startDateTime": "20251125-15:00:00",
    "numberOfTicks": 5,
    "pattern": "IB",
    "marketDataType": 1,
    "marketRuleId": 26,
    "tags": "NetLiquidation",
    "subscribe": True,
    "groupId": 1,
    "underlyingConId": 756733,
    "volatility": Decimal("0.2"),
    "optionPrice": Decimal(10),
    "underPrice": Decimal(600),
}
PRICES = [None, Decimal(0), *map(Decimal, ("0.01", "-0.05", "0.005", "1", "299.5", "300", "300.50", "302", "1E+30"))]
POOLS: dict[str, list[Any]] = {
    "action": ["BUY", "SELL"],
    "orderType": ["LMT", "MKT", "MTL", "REL", "PEG MKT", "PEGMID", "PEG BEST", "STP"],
    "totalQuantity": [Decimal(1), Decimal(10), Decimal(100)],
    "lmtPrice": PRICES,
    "auxPrice": PRICES,
    "tif": ["DAY", "DAY", "GTC", "IOC", "FOK", "OPG"],
    "hidden": [False, False, True],
    "allOrNone": [False, False, True],
    "minQty": [None, None, 0, 5, 50, -1],
    "displaySize": [0, 0, 1, 10],
    "whatIf": [False, False, False, True],
}
FLAGS = ("orderType", "tif", "hidden", "allOrNone", "displaySize")


@seeds(6)
def test_requests_with_random_fields_break_nothing(seed: int) -> None:
    """The log watch of every test fails this one if an exception was logged on the way."""
    random = Random(seed)
    world = World(TwsOptions(max_version=200))
    version = random.choice([151, 157, 163, 177, 178, 192, 200])
    client = world.connect(0, version)
    entries = [entry for entry in REQUESTS.by_name.values() if entry.since <= version and entry.name != "startApi"]
    heard: set[str] = set()
    for _ in range(1500):
        entry = random.choice(entries)
        wild = some_fields(entry.layout.body, version, random, {})
        good = {**GOOD, "reqId": random.randrange(9), "orderId": random.randrange(1, 20)}
        fields = {name: value for name, value in good.items() if name in entry.layout.names}
        for name in random.sample(sorted(wild), min(len(wild), random.choice([0, 0, 1, 2, 3, 99]))):
            fields[name] = wild[name]
        client.send(entry.name, **fields)
        if random.random() < 0.1:
            world.advance(1, step=0.5)
        heard |= {message.name for message in client.take()}
    assert client.ask("reqCurrentTime")[-1].name == "currentTime"
    assert len(heard) > 40  # the requests got beyond being refused
    world.close()


@seeds(4)
def test_damaged_messages_break_nothing(seed: int) -> None:
    random = Random(seed)
    world = World()
    client = world.connect(0)
    bodies = [
        REQUESTS.encode(Message(entry.name, some_fields(entry.layout.body, 178, random, {})), 178)
        for entry in REQUESTS.by_name.values()
        if entry.since <= 178 and entry.name != "startApi"
    ]
    for _ in range(400):
        body = bytearray(random.choice(bodies))
        for _ in range(random.randrange(1, 6)):
            at = random.randrange(len(body))
            match random.randrange(3):
                case 0:
                    body[at] = random.randrange(256)
                case 1:
                    body.insert(at, random.choice(b"\x00\xff-9.1"))
                case _:
                    del body[at]
            if not body:
                break
        client.feed(frame(bytes(body)))
        client.take()
    assert client.ask("reqCurrentTime")[-1].name == "currentTime"
    world.close()


def test_a_random_stream_of_bytes_ends_the_connection_or_nothing() -> None:
    random = Random(5)
    for _ in range(50):
        world = World()
        client = MemoryClient(world, 178, greets=False)
        client.feed(random.randbytes(200))
        assert client.is_closed
        world.close()


@seeds(4)
def test_orders_with_any_terms_are_taken_or_refused_and_told_back_as_given(seed: int) -> None:
    random = Random(seed)
    world = World(has_house=False)
    client = world.connect(0)
    last, kinds = 0, set()
    for turn in range(1000):
        if turn % 10 == 0:
            world.trade_against(Side.BUY, 20, "299.00")
            world.trade_against(Side.SELL, 20, "301.00")
        number = random.randrange(max(1, last - 5), last + 2)
        last = max(last, number)
        fields = {name: random.choice(values) for name, values in POOLS.items()}
        got = client.place(number, **fields)
        assert all(message["errorCode"] != 322 for message in got if message.name == "error")
        taken = [m for m in got if m.name == "openOrder" and m["orderId"] == number and m["status"] == "Submitted"]
        if taken and not fields["whatIf"]:
            told = taken[-1]
            kinds.add(told["orderType"])
            assert {name: told[name] for name in FLAGS} == {name: fields[name] for name in FLAGS}
            assert (told["auxPrice"], told["minQty"]) == (fields["auxPrice"] or 0, fields["minQty"])
        if random.random() < 0.05:
            is_on = world.venue.phase(8314) is Phase.CONTINUOUS
            world.venue.set_phase(8314, random.choice([Phase.PAUSE, Phase.HALT]) if is_on else Phase.CONTINUOUS)
        if random.random() < 0.3:
            client.send("cancelOrder", orderId=random.randrange(1, last + 1))
    assert len(kinds) > 1  # some were taken
    world.close()
