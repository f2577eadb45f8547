"""A broker that offers no positions: those shown are what our executions sum to, and nothing is made of more."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_twisted
from desk_room import Room, make_broker, open_room

from txtrader.errors import InvalidArgument
from txtrader.model.account import Position


def tell_none(room: Room) -> None:
    """Take positions out of all that the adapter tells."""
    adapter: Any = room.adapter
    whole, hear = adapter._take_snapshot, adapter._hear
    adapter._take_snapshot = lambda: msgspec.structs.replace(whole(), positions=None)
    adapter._hear = lambda fact: None if isinstance(fact, Position) else hear(fact)


def shown(room: Room) -> dict[str, Decimal]:
    return {p.symbol: p.quantity for p in room.gateway.books.held("memory", "DU1")}


@pytest_twisted.ensureDeferred
async def test_executions_sum_up_to_what_is_shown_at_once_and_after_a_restart(tmp_path: Path) -> None:
    broker = make_broker()
    async with open_room(tmp_path, broker) as room:
        tell_none(room)
        broker.positions["DU1", "IBM"] = Decimal(500)  # held before, and told to nobody
        await room.up()
        assert shown(room) == {}
        broker.quote("IBM", "99", "101")
        await room.call("market_order", "IBM", 100, account="DU1")
        await room.until(lambda: shown(room) == {"IBM": Decimal(100)})
        assert [data["quantity"] for data in room.told("position") if data["symbol"] == "IBM"][-1] == 100
        await room.call("market_order", "IBM", -30, account="DU1")
        await room.until(lambda: shown(room) == {"IBM": Decimal(70)})
    async with open_room(tmp_path, broker) as room:
        tell_none(room)
        await room.up()
        assert shown(room) == {"IBM": Decimal(70)}
        assert room.link.word == "Up", "there is nothing to compare with"


@pytest_twisted.ensureDeferred
async def test_nothing_is_closed_where_nobody_says_what_is_held(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        tell_none(room)
        await room.up()
        room.broker.quote("IBM", "99", "101")
        await room.call("market_order", "IBM", 100, account="DU1")
        await room.until(lambda: shown(room) == {"IBM": Decimal(100)})
        with pytest.raises(InvalidArgument) as refused:
            await room.call("close_position", "IBM", "DU1")
        assert refused.value.reason == "unsupported"
