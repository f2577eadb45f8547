"""Market and reference data over FIX: pictures, changes that lead from one to the next, refusals, lists, phases."""

from __future__ import annotations

import pytest
from fix_books import ask, entries
from fix_room import Room, of_every_version, with_room

from txtrader.exsim.endpoints.fix.phase_words import security_status, session_status
from txtrader.exsim.records import Phase
from txtrader.model.order import Side
from txtrader.wire.fix.dictionary import dictionary


class Book:
    """A book made of a picture and the changes after it."""

    def __init__(self, picture: list[dict[int, str]]) -> None:
        self.sides = {"0": {}, "1": {}}
        for entry in picture:
            if entry[269] in self.sides and entry[271] != "0":
                self.sides[entry[269]][entry[270]] = entry[271]

    def apply(self, changes: list[dict[int, str]]) -> None:
        for entry in changes:
            side = self.sides.get(entry[269])
            if side is None:
                continue
            if entry[279] == "2":
                del side[entry[270]]
            else:
                assert (entry[270] in side) == (entry[279] == "1"), entry
                side[entry[270]] = entry[271]


@of_every_version
def test_a_picture_and_its_changes_are_the_book(room: Room, version: str) -> None:
    client = room.client(version)
    room.trade(Side.BUY, 100, "99.00")
    room.trade(Side.BUY, 50, "99.00")
    room.trade(Side.SELL, 30, "101.00")
    ask(client, "M1", 1, 0, 1)
    picture = entries(client, "W")
    assert [(entry[269], entry[270], entry[271], entry[290], entry[346]) for entry in picture] == [
        ("0", "99", "150", "1", "2"),
        ("1", "101", "30", "1", "1"),
    ]
    book = Book(picture)
    for side, quantity, price in (
        (Side.BUY, 10, "99.50"),
        (Side.SELL, 20, "100.50"),
        (Side.SELL, 60, "99.00"),
        (Side.BUY, 200, "102.00"),
    ):
        room.trade(side, quantity, price)
        book.apply(entries(client, "X"))
        (listing,) = room.venue.instruments.find(symbol="IBM", currency="USD")
        bids, asks = room.do(room.venue.depth, listing.id)
        theirs = {"0": {}, "1": {}}
        for kind, rows in (("0", bids), ("1", asks)):
            theirs[kind] = {f"{row.price:f}".rstrip("0").rstrip("."): f"{row.size:f}" for row in rows}
        assert book.sides == theirs
    ask(client, "M1", 2, 0, 1)
    room.trade(Side.BUY, 1, "90.00")
    client.send("e", (324, "E1"), (55, "IBM"), (263, 0))
    client.next("f")  # and no X before it: a subscription that ended tells nothing


@with_room
def test_trades_and_figures_of_the_session(room: Room) -> None:
    client = room.client()
    room.trade(Side.SELL, 10, "100.00")
    room.trade(Side.BUY, 10, "100.00")
    ask(client, "M1", 1, 2, 4, 7, 8)
    figures = {entry[269]: entry[270] for entry in entries(client, "W")}
    assert figures["2"] == "100" and float(figures["8"]) <= 100 <= float(figures["7"])
    room.trade(Side.SELL, 5, "99.00")
    room.trade(Side.BUY, 5, "99.00")
    trade, low = entries(client, "X")
    assert (trade[279], trade[269], trade[270], trade[271], trade[55]) == ("0", "2", "99", "5", "IBM")
    assert (low[279], low[269], low[270]) == ("1", "8", "99")


@of_every_version
def test_figures_of_the_session_follow_it_and_go_with_it(room: Room, version: str) -> None:
    client = room.client(version)
    ask(client, "M1", 1, 4, 5, 7, 8, 9)
    told = {entry[269]: entry[270] for entry in entries(client, "W")}
    assert told.keys() == {"4", "5", "7", "8", "9"}
    (listing,) = room.venue.instruments.find(symbol="IBM", currency="USD")
    for price in ("9.00", "400.00", "100.00", None):
        if price is None:
            room.do(room.venue.end_of_day)
        else:
            room.trade(Side.SELL, 500, price)
            room.trade(Side.BUY, 500, price)
        changes = entries(client, "X")
        for entry in changes:
            assert (entry[269] in told) == (entry[279] != "0") and entry[278] == f"{entry[269]}{listing.id}"
            del told[entry[269]]
            if entry[279] != "2":
                told[entry[269]] = entry[270]
        stats = room.do(room.venue.stats, listing.id)
        now = {"4": stats.open, "5": stats.previous_close, "7": stats.high, "8": stats.low, "9": stats.vwap}
        assert {kind: float(value) for kind, value in told.items()} == {
            kind: pytest.approx(float(value), abs=1e-6) for kind, value in now.items() if value is not None
        }
    assert told.keys() == {"5"}


@of_every_version
def test_a_trade_and_the_levels_that_it_changes_come_in_one_message(room: Room, version: str) -> None:
    client = room.client(version)
    for price in ("100.00", "100.01"):
        room.trade(Side.SELL, 10, price)
    ask(client, "M1", 1, 0, 1, 2)
    entries(client, "W")
    room.trade(Side.BUY, 25, "100.05")
    assert [(entry[279], entry[269], entry[271]) for entry in entries(client, "X")] == [
        ("0", "2", "10"),
        ("0", "2", "10"),
        ("0", "0", "5"),
        ("2", "1", "10"),
        ("2", "1", "10"),
    ]


@with_room
def test_an_empty_book_is_said_to_be_empty(room: Room) -> None:
    client = room.client()
    ask(client, "M1", 0, 0, 1)
    assert [(entry[269], entry[271]) for entry in entries(client, "W")] == [("0", "0"), ("1", "0")]


@with_room
def test_a_request_that_cannot_be_met_is_refused_whole(room: Room) -> None:
    client = room.client()
    ask(client, "M1", 1, 0, symbols=("NOSUCH",))
    assert client.next("Y")[281] == "0"
    ask(client, "M2", 1, 0, depth=1000)
    assert client.next("Y")[281] == "5"
    client.send("V", (262, "M4"), (263, 0), (264, 0), (267, 1), (269, "C"), (146, 1), (55, "IBM"))
    assert client.next("Y")[281] == "8"
    ask(client, "M5", 1, 0)
    client.next("W")
    ask(client, "M5", 1, 0)
    assert client.next("Y")[281] == "1"


@with_room
def test_a_client_that_goes_is_told_nothing_more(room: Room) -> None:
    client = room.client()
    ask(client, "M1", 1, 0)
    client.next("W")
    client.close()
    room.until_nobody_is_there()
    room.trade(Side.BUY, 1, "90.00")
    back = room.client(logs_on=False, number=3)
    assert back.log_on()[34] == "3", "nothing was numbered for it"


@with_room
def test_who_goes_is_told_no_phases_more(room: Room) -> None:
    client = room.client()
    client.send("e", (324, "E1"), (55, "IBM"), (263, 1))
    client.next("f")
    (listing,) = room.venue.instruments.find(symbol="IBM", currency="USD")
    market = room.do(room.venue._market, listing.id)
    assert len(market.watches) == 1
    client.close()
    room.until_nobody_is_there()
    assert market.watches == []


@with_room
def test_what_is_traded_is_listed_in_fragments(room: Room) -> None:
    client = room.client()
    client.send("x", (320, "L1"), (559, 4))
    symbols: list[str] = []
    while True:
        part = client.next("y")
        assert part[560] == "0"
        listed = [value.decode() for tag, value in client.last.pairs if tag == b"55"]
        assert len(listed) == int(part[146]) <= 100
        symbols += listed
        if part[893] == "Y":
            break
    assert len(symbols) == int(part[393]) == len([one for one in room.venue.instruments if one.is_tradeable])
    assert {"IBM", "ES", "EUR"} <= set(symbols)
    client.send("x", (320, "L2"), (559, 0), (55, "NOSUCH"))
    assert client.next("y")[560] == "2"


@of_every_version
def test_a_definition_tells_the_terms_of_one(room: Room, version: str) -> None:
    client = room.client(version)
    client.send("c", (320, "D1"), (321, 0), (55, "IBM"))
    told = client.next("d")
    assert (told[323], told[55], told[167], told[15]) == ("1", "IBM", "CS", "USD")
    client.send("c", (320, "D2"), (321, 0), (55, "NOSUCH"))
    assert client.next("d")[323] == ("5" if version == "FIX.4.2" else "6")


@of_every_version
def test_phases_are_told_when_asked_and_as_they_change(room: Room, version: str) -> None:
    client = room.client(version)
    client.send("e", (324, "E1"), (55, "IBM"), (263, 1))
    assert client.next("f")[326] == "17"
    (listing,) = room.venue.instruments.find(symbol="IBM", currency="USD")
    room.do(room.venue.set_phase, listing.id, Phase.HALT)
    halted = client.next("f")
    assert (halted[326], halted[325], halted[324]) == ("2", "Y", "E1")
    client.send("g", (335, "G1"), (263, 0))
    assert client.next("h")[340] == "2", "the others trade on"
    room.do(room.venue.resume, listing.id)
    assert client.next("f")[326] == "17"
    room.do(room.venue.set_phase, listing.id, Phase.CLOSING_AUCTION)
    assert client.next("f")[326] == "5"
    room.do(room.venue.set_phase, listing.id, Phase.POST_CLOSE)
    assert client.next("f")[326] == ("26" if version == "FIXT.1.1" else "18")
    client.send("g", (335, "G2"), (263, 0), (336, "NIGHT"))
    assert client.next("h")[58]


@pytest.mark.parametrize("version", ["4.2", "4.4", "5.0"])
def test_every_phase_has_a_word_that_the_version_knows(version: str) -> None:
    known = {one.version: one for one in map(dictionary, ("FIX.4.2", "FIX.4.4", "FIXT.1.1"))}[version]
    for phase in Phase:
        assert security_status(phase, version) in known.fields[326].values
        assert session_status([phase]) in known.fields[340].values
    assert session_status([Phase.HALT, Phase.CLOSED]) == "1"
    assert session_status([]) == "3"
