"""Random requests at the simulated CQG server: each is answered, nothing fails inside, the conversation goes on."""

from __future__ import annotations

import random

import pytest_twisted
from cqg_client import World

from tests.fuzz_seeds import seeds
from txtrader.wire.cqg.schema import ClientMsg

_NAMES = (
    "information_requests",
    "trade_subscriptions",
    "order_requests",
    "market_data_subscriptions",
    "time_and_sales_requests",
    "time_bar_requests",
    "set_collapsing_level_request",
)
_INTEGERS = (0, 1, 2, 3, 4, 5, 6, 8, 9, 60, 1000001, 24000, 2**31 - 1)
_TEXTS = ("", "EP", "EPZ26", "IBM", "EP?1", "EP?(-99)", "F.US.", "C.", "c1", "1", "881099201", "\u20ac" * 40)


def fill_one(random, message, contracts):
    """Fill the id and one kind of request, which most of those that are answered have."""
    kinds = [field for field in message.DESCRIPTOR.fields if field.message_type is not None]
    for field in message.DESCRIPTOR.fields:
        if field.is_required:
            setattr(message, field.name, one(random, field, contracts))
    part = getattr(message, random.choice(kinds).name)
    part.SetInParent()
    fill(random, part, contracts, 1)


def fill(random, message, contracts, depth=0):
    for field in message.DESCRIPTOR.fields:
        is_required = field.is_required
        if not is_required and random.random() > (0.35 if depth else 0.2):
            continue
        for _ in range(random.choice((1, 1, 2)) if field.is_repeated else 1):
            if field.message_type is not None:
                if depth < 5:
                    part = getattr(message, field.name)
                    part = part.add() if field.is_repeated else part
                    part.SetInParent()
                    fill(random, part, contracts, depth + 1)
                continue
            value = one(random, field, contracts)
            if field.is_repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)


def one(random, field, contracts):
    if field.type == field.TYPE_STRING:
        return random.choice(_TEXTS)
    if field.type == field.TYPE_BYTES:
        return b"\x08\x01"
    if field.type in (field.TYPE_BOOL, field.TYPE_ENUM):
        return random.choice((0, 1))
    if field.type == field.TYPE_DOUBLE:
        return random.choice((0.0, 1.5, float("nan"), float("inf")))
    if field.name == "contract_id" and random.random() < 0.8:
        return random.choice(contracts)
    if field.name in ("from_utc_time", "from_date"):
        return random.choice((-3_600_000, 0, -(2**62), 2**62))
    value = random.choice((*_INTEGERS, 2**62, -5, -(2**62)))
    bits = 32 if field.type in (field.TYPE_UINT32, field.TYPE_SINT32, field.TYPE_INT32) else 64
    if field.type in (field.TYPE_UINT32, field.TYPE_UINT64):
        return abs(value) % 2**bits
    return value if -(2 ** (bits - 1)) <= value < 2 ** (bits - 1) else value % 7


@seeds(6)
@pytest_twisted.ensureDeferred
async def test_whatever_is_asked_the_server_stands(seed):
    chance = random.Random(seed)
    async with World(bar_interval=0.01, view_only=("DU1000003",)) as world:
        client = await world.client(protocol_version_major=chance.choice((1, 2)))
        contracts = [(await client.resolve(name)).contract_id for name in ("EPZ26", "IBM", "BTCUSD", "EP?(-1)")]
        for number in range(150):
            message = ClientMsg()
            name = chance.choice(_NAMES)
            part = getattr(message, name)
            part = part.add() if hasattr(part, "add") else part
            part.SetInParent()
            is_choice = name in ("order_requests", "information_requests") and chance.random() < 0.8
            (fill_one if is_choice else fill)(chance, part, contracts)
            client.pump.protocol.send_message(message.SerializePartialToString())
            if number % 10 == 0:
                world.clock.advance(chance.random())
                await client.settled()
                client.got.clear()
        await client.settled()
        assert not client.lost
