"""Positions, costs and shared accounts over FIX: what a gateway reconciles by."""

from __future__ import annotations

from decimal import Decimal

import pytest_twisted
from fix_room import ACCOUNT, OTHER, in_room

from txtrader.exsim.records import Terms
from txtrader.model.order import OrderType, Side

STAMP = "20261121-12:00:00"


def of_44_and_50(body, **options):
    @pytest_twisted.ensureDeferred
    async def test() -> None:
        for version in ("FIX.4.4", "FIXT.1.1"):
            await in_room(body, **options)(version)

    test.__name__, test.__doc__ = body.__name__, body.__doc__
    return test


def sharing(body):
    return of_44_and_50(body, shares_accounts=True)


def ask(client, account: str, key: str = "Q", kind: str = "0") -> None:
    party = ((453, 1), (448, account), (447, "D"), (452, 38))
    client.send("AN", (710, key), (724, kind), *party, (1, account), (581, 1), (715, "20261121"), (60, STAMP))


@of_44_and_50
def test_positions_are_announced_and_then_told_one_by_one(room, version):
    client = room.client(version)
    ask(client, ACCOUNT)
    none = client.next("AO")
    assert (none[710], none[727], none[728], none[729]) == ("Q", "0", "2", "0")
    for symbol, side in (("IBM", Side.BUY), ("MSFT", Side.SELL)):
        client.order(f"A-{symbol}", 1 if side is Side.BUY else 2, 100, "99", _55=symbol)
        client.next("8")
        (listing,) = room.venue.instruments.find(symbol=symbol, currency="USD")
        against = Side.SELL if side is Side.BUY else Side.BUY
        room.do(room.venue.submit, "stranger", limit(listing.id, OTHER, against, 100, "99"))
        assert client.next("8")[39] == "2"
    ask(client, ACCOUNT, "R")
    ack = client.next("AO")
    assert (ack[710], ack[727], ack[728]) == ("R", "2", "0")
    held = {}
    for _ in range(2):
        report = client.next("AP")
        assert (report[710], report[1], report[703]) == ("R", ACCOUNT, "TOT")
        held[report[55]] = int(report[704]) - int(report[705])
    assert held == {"IBM": 100, "MSFT": -100}


def limit(listing_id: int, account: str, side: Side, quantity: int, price: str) -> Terms:
    return Terms(
        listing_id=listing_id,
        account=account,
        side=side,
        quantity=Decimal(quantity),
        type=OrderType.LIMIT,
        limit_price=Decimal(price),
    )


@of_44_and_50
def test_another_ones_account_and_other_questions_are_refused(room, version):
    client = room.client(version)
    ask(client, OTHER)
    refused = client.next("AO")
    assert (refused[728], refused[729]) == ("3", "2") and OTHER in refused[58]
    ask(client, ACCOUNT, kind="1")
    assert client.next("AO")[728] == "4"


@of_44_and_50
def test_a_fill_says_what_it_cost(room, version):
    client = room.client(version)
    client.order("A1", 1, 100, "99.50")
    client.next("8")
    room.trade(Side.SELL, 100, "99.50")
    fill = client.next("8")
    (known,) = room.venue.fills(account=ACCOUNT)
    assert (fill[17], fill[13], fill[479]) == (known.exec_id, "3", "USD")
    assert fill[12] == f"{room.venue.commission_of(known.exec_id).amount:f}".rstrip("0").rstrip(".")


@sharing
def test_orders_of_others_in_ones_accounts_are_told_and_may_be_cancelled(room, version):
    client = room.client(version)
    (listing,) = room.venue.instruments.find(symbol="IBM", currency="USD")
    theirs = room.do(room.venue.submit, "window", limit(listing.id, ACCOUNT, Side.BUY, 70, "97"))
    room.do(room.venue.submit, "window", limit(listing.id, OTHER, Side.BUY, 70, "97"))
    told = client.next("8")
    assert (told[37], told[1], told[38], told[150]) == (str(theirs.id), ACCOUNT, "70", "0")
    client.send("AF", (584, "M"), (585, 7))
    status = client.next("8")
    assert (status[37], status[11], status[911], status[912]) == (str(theirs.id), told[11], "1", "Y")
    client.change("F", "C1", told[11], 1, 70)
    gone = client.next("8")
    assert (gone[150], gone[11], gone[41]) == ("4", "C1", told[11])
    assert not theirs.is_open


@of_44_and_50
def test_without_sharing_nobody_hears_of_anothers_orders(room, version):
    client = room.client(version)
    (listing,) = room.venue.instruments.find(symbol="IBM", currency="USD")
    room.do(room.venue.submit, "window", limit(listing.id, ACCOUNT, Side.BUY, 70, "97"))
    client.send("AF", (584, "M"), (585, 7))
    assert client.next("8")[911] == "0"


@of_44_and_50
def test_an_order_that_asks_for_it_ends_with_the_connection(room, version):
    client = room.client(version)
    client.order("stays", 1, 100, "99")
    client.next("8")
    if version == "FIXT.1.1":
        client.order("goes", 1, 100, "98", _18="o")
        client.next("8")
    client.close()
    room.until_nobody_is_there()
    assert [order.terms.client_order_id for order in room.venue.live_orders(account=ACCOUNT)] == ["stays"]
