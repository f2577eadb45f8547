"""What came over FIX, as a TWS client of the same venue is told of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from fix_room import ACCOUNT, Room, with_room
from twisted.internet import reactor
from tws_memory_client import MemoryClient, named

from txtrader.exsim.endpoints.tws import TwsEndpoint
from txtrader.model.order import Side

D = Decimal


@contextmanager
def a_tws_client(room: Room) -> Iterator[MemoryClient]:
    """Connect a TWS client to the venue of a FIX room, in the reactor's thread."""

    def connect() -> tuple[TwsEndpoint, MemoryClient]:
        endpoint = TwsEndpoint(room.venue, reactor)
        room.venue.add_observer(endpoint.desk)
        client: Any = MemoryClient(SimpleNamespace(endpoint=endpoint, reactor=reactor), 178)  # type: ignore[arg-type]
        client.send("startApi", clientId=0)
        client.send("reqAutoOpenOrders", bAutoBind=True)
        client.take()
        return endpoint, client

    endpoint, client = room.do(connect)
    yield client
    room.do(client.lose)
    room.do(endpoint.stop)


def open_orders(room: Room, client: MemoryClient) -> list[dict[str, Any]]:
    names = ("orderType", "auxPrice", "lmtPrice", "hidden", "allOrNone", "minQty", "orderRef", "account", "status")

    def ask() -> list[Any]:
        return client.ask("reqAllOpenOrders")

    found = [{name: m[name] for name in names} for m in named(room.do(ask), "openOrder")]
    return [m for m in found if m["account"] == ACCOUNT]


@with_room
def test_special_orders_of_fix_have_the_words_of_tws(room: Room) -> None:
    room.trade(Side.BUY, 100, "99.00")
    room.trade(Side.SELL, 100, "101.00")
    fix = room.client("FIX.4.4")
    plain = {"hidden": False, "allOrNone": False, "minQty": None, "account": ACCOUNT, "status": "Submitted"}
    with a_tws_client(room) as client:
        fix.order("A1", 1, 100, "100.20", _40="P", _211="-0.05", _18="M")
        fix.order("A2", 2, 100, "102.00", _40="P", _211="-0.10", _18="R")
        fix.order("A3", 1, 100, "98.00", _111="0", _110="20")
        for _ in range(3):
            assert fix.next("8")[150] == "0"
        assert open_orders(room, client) == [
            {**plain, "orderRef": "A1", "orderType": "PEG MID", "auxPrice": D("0.05"), "lmtPrice": D("100.2")},
            {**plain, "orderRef": "A2", "orderType": "REL", "auxPrice": D("0.1"), "lmtPrice": D("102")},
            {
                **plain,
                "orderRef": "A3",
                "orderType": "LMT",
                "auxPrice": D(0),
                "lmtPrice": D("98"),
                "hidden": True,
                "minQty": 20,
            },
        ]
        room.do(client.take)
        fix.change("G", "A4", "A3", 1, 100, "98.50")
        assert fix.next("8")[150] == "5"
        (news,) = named(room.do(client.take), "openOrder")
        assert (news["orderRef"], news["lmtPrice"], news["hidden"], news["minQty"]) == ("A4", D("98.5"), True, 20)
