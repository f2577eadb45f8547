"""Market data by order over FIX: the book order by order, ids that last, one message for each event, refusals."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from fix_books import OrdersSeen, ask, entries, entries_of, until_answered
from fix_client import FixClient
from fix_room import OTHER, Room, of_every_version, with_room
from policy_room import add, rule

from txtrader.exsim.endpoints.fix import FixOptions
from txtrader.exsim.listeners import BookListener
from txtrader.exsim.policies.policy import Policy
from txtrader.exsim.records import Changes, Terms
from txtrader.model.order import OrderType, Side
from txtrader.wire.fix.session import SessionOptions
from txtrader.wire.fix.validation import Switches

D = Decimal


def ibm(room: Room, symbol: str = "IBM") -> Any:
    (listing,) = room.venue.instruments.find(symbol=symbol, currency="USD")
    return listing


def enter(room: Room, side: str, quantity: int, price: str | None, **more: Any) -> Any:
    """Let a stranger enter an order; return it."""
    terms = {
        "listing_id": ibm(room).id,
        "account": OTHER,
        "side": Side(side),
        "quantity": D(quantity),
        "type": OrderType.MARKET if price is None else OrderType.LIMIT,
        "limit_price": None if price is None else D(price),
    }
    return room.do(room.venue.submit, "stranger", Terms(**{**terms, **more}))


def change(room: Room, order: Any, **changes: Any) -> None:
    room.do(room.venue.replace, "stranger", order.id, Changes(**changes))


def the_book(room: Room) -> tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]:
    """Price and size of each shown order, as the engine itself has them."""

    def look() -> Any:
        watch = room.venue.watch_orders(ibm(room).id, BookListener())
        watch.close()
        depth = room.venue.depth(ibm(room).id, 10_000)
        found = tuple([(one.price, one.size) for one in side] for side in (watch.snapshot.bids, watch.snapshot.asks))
        for orders, rows in zip(found, depth, strict=True):
            levels: dict[Decimal, list[Decimal]] = {}
            for price, size in orders:
                levels.setdefault(price, []).append(size)
            assert [(row.price, row.size, row.count) for row in rows] == [
                (price, sum(sizes), len(sizes)) for price, sizes in levels.items()
            ]
        return found

    return room.do(look)


def follow(client: FixClient, *kinds: int | str, request: str = "M") -> OrdersSeen:
    ask(client, request, 1, *(kinds or (0, 1)), _266="N")
    return OrdersSeen(client, entries(client, "W"))


@of_every_version
def test_a_picture_and_each_change_after_it_are_the_book_at_every_moment(room: Room, version: str) -> None:
    draw = random.Random(version)
    for _ in range(30):
        enter(room, draw.choice(("BUY", "SELL")), draw.randrange(1, 30), f"{draw.randrange(9990, 10010) / 100}")
    early, late = room.client(version), room.client(version, sender="LATE")
    books = {early: follow(early)}
    ids: list[Any] = []
    seen: set[str] = set()
    for turn in range(250):
        if turn == 100:
            books[late] = follow(late)
        live = [order for order in ids[-40:] if order.is_open]
        x = draw.random()
        if x < 0.15 and live:
            room.do(room.venue.cancel, "stranger", draw.choice(live).id)
        elif x < 0.35 and live:
            order = draw.choice(live)
            changes: dict[str, Any] = {"quantity": order.quantity + draw.randrange(-4, 5)}
            if order.rests and not order.terms.peg:
                changes["limit_price"] = order.limit_price + draw.randrange(-1, 2) * D("0.01")
            change(room, order, **changes)
        else:
            side, quantity = draw.choice(("BUY", "SELL")), draw.randrange(1, 40)
            away = draw.randrange(-4, 9) * (-1 if side == "BUY" else 1)
            more: dict[str, Any] = {}
            y = draw.random()
            if y < 0.15 and quantity > 3:
                more["display_quantity"] = D(3)
            elif y < 0.25:
                more["hidden"] = True
            elif y < 0.35:
                more["peg"] = "primary"
            price = None if "peg" in more else f"{(10_000 + away) / 100}"
            kind = {"type": OrderType.LIMIT} if "peg" in more else {}
            ids.append(enter(room, side, quantity, price, **more, **kind))
        truth = the_book(room)
        for client, book in books.items():
            for changes_seen in until_answered(client):
                book.apply(changes_seen)
                seen |= {entry[279] for entry in changes_seen}
            assert book.orders == truth
    assert seen == {"0", "1", "2"}
    assert books[early].sides == books[late].sides, "an order has the same id for everybody"


@of_every_version
def test_an_order_keeps_its_id_as_long_as_it_lives(room: Room, version: str) -> None:
    client = room.client(version)
    other = enter(room, "BUY", 7, "99.00")
    book = follow(client)
    (picture,) = book.sides["0"]
    order = enter(room, "BUY", 10, "99.00")
    (new,) = entries(client, "X")
    assert (new[279], new[269], new[270], new[271], new[290], new[55]) == ("0", "0", "99", "10", "2", "IBM")
    change(room, order, quantity=D(8))
    (less,) = entries(client, "X")
    assert (less[279], less[271], less[290], less[278]) == ("1", "8", "2", new[278])
    change(room, other, quantity=D(9))  # it goes to the end of its queue
    (moved,) = entries(client, "X")
    assert (moved[279], moved[271], moved[290], moved[278]) == ("1", "9", "2", picture[0])
    change(room, order, limit_price=D("98.50"))
    (away,) = entries(client, "X")
    assert (away[279], away[270], away[290], away[278]) == ("1", "98.5", "2", new[278])
    enter(room, "SELL", 12, "98.00")
    gone, part = entries(client, "X")
    assert (gone[279], gone[278], 290 in gone) == ("2", picture[0], False)
    assert (part[279], part[271], part[290], part[278]) == ("1", "5", "1", new[278])
    room.do(room.venue.cancel, "stranger", order.id)
    (end,) = entries(client, "X")
    assert (end[279], end[270], end[271], end[278], end[37]) == ("2", "98.5", "5", new[278], new[278])


@of_every_version
def test_everything_that_one_event_does_comes_in_one_message(room: Room, version: str) -> None:
    client = room.client(version)
    for price in ("100.00", "100.01", "100.02"):
        enter(room, "SELL", 10, price)
    book = follow(client, 0, 1, 2, 7)
    enter(room, "BUY", 35, "100.05")
    together = entries(client, "X")
    assert [(entry[279], entry[269], entry[271]) for entry in together] == [
        ("0", "2", "10"),
        ("0", "2", "10"),
        ("0", "2", "10"),
        ("2", "1", "10"),
        ("2", "1", "10"),
        ("2", "1", "10"),
        ("0", "0", "5"),
    ]
    book.apply(together)
    assert book.orders == the_book(room) == ([(D("100.05"), D(5))], [])
    if version == "FIXT.1.1":
        assert dict(client.last.pairs)[b"1021"] == b"3"
    assert until_answered(client) == []


@with_room
def test_an_iceberg_is_seen_by_its_slices_and_a_hidden_order_never(room: Room) -> None:
    client = room.client()
    follow(client)
    enter(room, "SELL", 10, "100.00", display_quantity=D(4))
    enter(room, "SELL", 50, "100.00", hidden=True)
    (first,) = entries(client, "X")
    assert (first[279], first[271]) == ("0", "4")
    enter(room, "BUY", 6, "100.00")
    changes = entries(client, "X")
    assert [(entry[279], entry[271]) for entry in changes] == [("2", "4"), ("0", "2")]
    assert changes[0][278] == first[278] != changes[1][278], "a new slice is a new order"
    assert until_answered(client) == []


@with_room
def test_an_id_says_nothing_of_its_owner(room: Room) -> None:
    watcher, trader = room.client(sender="WATCHER"), room.client()
    follow(watcher)
    trader.order("MINE", 1, 10, "99.00")
    report = trader.next("8")
    (entry,) = entries(watcher, "X")
    told = {entry[278], entry[37]}
    assert told.isdisjoint({report[37], report[11], report[1]}) and not entry.keys() & {288, 289, 453}
    again = enter(room, "BUY", 10, "99.00")
    (next_one,) = entries(watcher, "X")
    assert next_one[278].split("#")[0] == entry[278].split("#")[0] and again.terms.account != report[1]


@with_room
def test_one_side_alone_and_several_symbols_under_one_request(room: Room) -> None:
    client = room.client()
    enter(room, "BUY", 1, "90.00")
    ask(client, "M", 1, 0, symbols=("IBM", "MSFT"), _266="N")
    first, second = entries(client, "W"), entries(client, "W")
    assert (first[0][270], second[0][271]) == ("90", "0")
    enter(room, "SELL", 1, "110.00")
    enter(room, "BUY", 1, "91.00", listing_id=ibm(room, "MSFT").id)
    (entry,) = entries(client, "X")
    assert (entry[55], entry[269]) == ("MSFT", "0")
    assert room.endpoint.application.data.lines_on(ibm(room).id) == 1


@with_room
def test_the_end_of_a_subscription_is_the_end_of_its_cost(room: Room) -> None:
    client, other = room.client(), room.client(sender="OTHER")
    data = room.endpoint.application.data
    market = room.do(room.venue._market, ibm(room).id)
    enter(room, "BUY", 5, "99.00")
    ask(client, "ONCE", 0, 0, 1, _266="N")
    (entry,) = entries(client, "W")
    assert entry[271] == "5" and market.shown is None, "a picture is nothing that lasts"
    follow(client, request="A")
    follow(client, request="B")
    follow(other)
    assert data.lines_on(ibm(room).id) == 3
    ask(client, "A", 2, 0, 1, _266="N")
    enter(room, "BUY", 5, "98.00")
    assert [entry[279] for changes in until_answered(client) for entry in changes] == ["0"], "of B alone"
    ask(client, "B", 2, 0, 1, _266="N")
    other.close()
    assert until_answered(client) == []
    client.close()
    room.until_nobody_is_there()
    assert data.lines_on(ibm(room).id) == 0 and market.shown is None and market.watches == []


@with_room
def test_levels_and_orders_are_watched_side_by_side(room: Room) -> None:
    client = room.client()
    follow(client, 0, request="ORDERS")
    ask(client, "LEVELS", 1, 0)
    entries(client, "W")
    enter(room, "BUY", 5, "99.00")
    enter(room, "BUY", 5, "99.00")
    told = {}
    for _ in range(4):
        request = client.next("X")[262]
        told.setdefault(request, []).extend(entry[271] for entry in entries_of(client, "X"))
    assert told == {"ORDERS": ["5", "5"], "LEVELS": ["5", "10"]}


@of_every_version
def test_what_cannot_be_told_by_order_is_refused_by_name(room: Room, version: str) -> None:
    client = room.client(version)
    for depth in (1, 5):
        ask(client, "M1", 1, 0, depth=depth, _266="N")
        refused = client.next("Y")
        assert refused[281] == "5" and "266=N" in refused[58] and f"264={depth}" in refused[58]
    ask(client, "M1", 1, 0, symbols=("IBM", "NOSUCH"), _266="N")
    assert client.next("Y")[281] == "0"
    room.endpoint.application.data.most_orders = 2
    for _ in range(3):
        enter(room, "BUY", 1, "90.00")
    ask(client, "M1", 1, 0, 1, _266="N")
    refused = client.next("Y")
    assert refused[281] == "2" and "IBM has 3 orders" in refused[58]
    assert room.endpoint.application.data.lines_on(ibm(room).id) == 0, "a refused request leaves nothing"
    room.endpoint.application.data.most_orders = 3
    follow(client, request="M1")
    ask(client, "M1", 1, 0, _266="N")
    assert client.next("Y")[281] == "1"


@with_room
def test_a_request_of_no_known_type_is_refused_where_the_dictionary_lets_it_pass(room: Room) -> None:
    room.endpoint.options = FixOptions(session=SessionOptions(switches=Switches(checks_lists=False)))
    client = room.client()
    ask(client, "M", 7, 0)
    assert client.next("Y")[281] == "4"


@with_room
def test_policies_see_pictures_and_changes_by_order(room: Room) -> None:
    client = room.client()
    add(room, rule({"type": "increment", "fields": {"279": "2"}}, "withhold"))
    add(room, rule({"type": "snapshot"}, {"do": "alter", "price": "5"}), name="wrong")
    enter(room, "BUY", 5, "90.00")
    book = follow(client)
    assert book.orders == ([(D(95), D(5))], [])
    order = enter(room, "BUY", 5, "89.00")
    assert [entry[279] for changes in until_answered(client) for entry in changes] == ["0"]
    room.do(room.venue.cancel, "stranger", order.id)
    assert until_answered(client) == []


@with_room
def test_policies_on_trades_leave_an_event_in_one_message(room: Room) -> None:
    client = room.client()
    room.do(room.venue.policies.add, Policy("twice", [rule("trade", {"do": "duplicate", "times": 1})]))
    follow(client, 1, 2)
    enter(room, "SELL", 5, "100.00")
    entries(client, "X")
    enter(room, "BUY", 5, "100.00")
    assert [(entry[279], entry[269]) for entry in entries(client, "X")] == [("0", "2"), ("0", "2"), ("2", "1")]
    assert room.endpoint.application.data.lines_on(ibm(room).id) == 1, "who listens in between hides nobody"
