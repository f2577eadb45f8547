"""Orders over FIX against the venue: every step of an order's life in the words of each version."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest_twisted
from fix_client import FixClient
from fix_room import ACCOUNT, in_room, of_every_version, with_room

from txtrader.exsim.records import Phase
from txtrader.model.order import Side


def seen(report: dict[int, str]) -> tuple[str | None, ...]:
    """What a report says: transaction (4.2), exec type, status, done, open."""
    return tuple(report.get(tag) for tag in (20, 150, 39, 14, 151))


WORDS = {
    "FIX.4.2": {"F": ("0", "1"), "full": ("0", "2"), "I": ("3", "0"), "H": ("1", "1")},
    "FIX.4.4": {"F": (None, "F"), "full": (None, "F"), "I": (None, "I"), "H": (None, "H")},
}
WORDS["FIXT.1.1"] = WORDS["FIX.4.4"]


@of_every_version
def test_an_order_lives_from_its_acceptance_to_its_last_fill(room, version):
    client = room.client(version)
    zero = "0" if version == "FIX.4.2" else None
    client.order("A1", 1, 100, "99.50", _1=ACCOUNT)
    accepted = client.next("8")
    assert seen(accepted) == (zero, "0", "0", "0", "100")
    assert (accepted[11], accepted[55], accepted[54], accepted[38], accepted[44], accepted[1]) == (
        "A1", "IBM", "1", "100", "99.5", ACCOUNT,
    )  # fmt: skip
    room.trade(Side.SELL, 40, "99.50")
    partly = client.next("8")
    assert seen(partly) == (*WORDS[version]["F"], "1", "40", "60")
    assert (partly[32], partly[31], partly[6], partly[37]) == ("40", "99.5", "99.5", accepted[37])
    client.send("H", (11, "A1"), (54, 1), (55, "IBM"))
    status = client.next("8")
    assert seen(status)[2:] == ("1", "40", "60") and status[150] == ("1" if version == "FIX.4.2" else "I")
    room.trade(Side.SELL, 60, "99.00")
    full = client.next("8")
    assert seen(full) == (*WORDS[version]["full"], "2", "100", "0") and full[6] == "99.5"
    assert full[17] != partly[17]
    if version != "FIX.4.2":
        assert full[851] == "1"


@of_every_version
def test_a_cancel_and_a_replace_name_the_order_anew(room, version):
    client = room.client(version)
    client.order("A1", 1, 100, "99.50")
    first = client.next("8")
    client.change("G", "A2", "A1", 1, 150, "99.40")
    replaced = client.next("8")
    assert (replaced[150], replaced[39], replaced[11], replaced[41], replaced[38], replaced[44], replaced[37]) == (
        "5", "0", "A2", "A1", "150", "99.4", first[37],
    )  # fmt: skip
    client.change("F", "A3", "A1", 1, 150)
    stale = client.next("9")
    assert (stale[39], stale[434], stale[102], stale[41]) == ("0", "1", "1", "A1")
    room.trade(Side.SELL, 50, "99.40")
    assert client.next("8")[14] == "50"
    client.change("F", "A4", "A2", 1, 150)
    canceled = client.next("8")
    assert (canceled[150], canceled[39], canceled[11], canceled[41], canceled[14], canceled[151]) == (
        "4", "4", "A4", "A2", "50", "0",
    )  # fmt: skip
    client.change("F", "A5", "A4", 1, 150)
    late = client.next("9")
    assert (late[102], late[39], late[434]) == ("0", "4", "1")
    client.change("F", "A6", "NEVER", 1, 150)
    unknown = client.next("9")
    assert (unknown[37], unknown[39], unknown[102]) == ("NONE", "8", "1")


@with_room
def test_a_replace_at_what_is_done_fills_the_order(room):
    client = room.client()
    client.order("A1", 1, 100, "99.50")
    client.next("8")
    room.trade(Side.SELL, 60, "99.50")
    client.next("8")
    client.change("G", "A2", "A1", 1, 60, "99.50")
    done = client.next("8")
    assert (done[150], done[39], done[38], done[14], done[151]) == ("5", "2", "60", "60", "0")


REFUSALS = [
    ({"_55": "NOSUCH"}, "1"),
    ({"_1": "DU9"}, "15"),
    ({"_40": "P"}, "11"),
    ({"_110": "500"}, "13"),
    ({"_168": "20300101-00:00:00"}, "11"),
    ({"_388": "0"}, "11"),
    ({"_59": "2"}, "11"),
    ({"_38": "0.5"}, "13"),
    ({"_44": "99.505"}, "99"),
    ({"_18": "R"}, "11"),
    ({"_18": "H"}, "11"),
]


@of_every_version
def test_what_the_venue_does_not_take_is_rejected_with_the_reason(room, version):
    client = room.client(version)
    for place, (fields, reason) in enumerate(REFUSALS):
        client.order(f"A{place}", **{"side": 1, "quantity": 100, "price": "99.50", **fields})
        refused = client.next("8")
        if version == "FIX.4.2" and int(reason) > 8:
            reason = "0"
        if version == "FIXT.1.1" and "_44" in fields:
            reason = "18"
        assert (refused[150], refused[39], refused[103], refused[11]) == ("8", "8", reason, f"A{place}"), fields
        assert refused[58]
    assert not room.do(room.venue.live_orders)


@with_room
def test_an_id_is_used_once_and_a_possible_resend_of_it_is_no_second_order(room):
    client = room.client()
    client.order("A1", 1, 100, "99.50")
    client.next("8")
    client.order("A1", 1, 100, "99.50")
    assert client.next("8")[103] == "6"
    client.order("A1", 1, 100, "99.50", _97="Y")
    client.send("H", (11, "A1"), (54, 1))
    assert client.next("8")[150] == "I", "the possible resend was answered by nothing"
    assert len(room.do(room.venue.live_orders)) == 1


@with_room
def test_reports_of_an_absence_come_once_with_the_resend(room):
    client = room.client()
    client.order("A1", 1, 100, "99.50")
    assert client.next("8")[34] == "2"
    client.close()
    room.until_nobody_is_there()
    room.trade(Side.SELL, 40, "99.50")
    room.trade(Side.SELL, 60, "99.50")
    back = room.client(logs_on=False, number=3)
    answer = back.log_on()
    assert answer[34] == "5", "two reports were numbered while nobody was there"
    back.send("2", (7, 3), (16, 0))
    first, second = back.next("8"), back.next("8")
    assert [(report[34], report[43], report[14]) for report in (first, second)] == [("3", "Y", "40"), ("4", "Y", "100")]
    fill = back.next("4")
    assert (fill[34], fill[36], fill[123]) == ("5", "6", "Y")
    back.send("H", (11, "A1"), (54, 1))
    assert (back.next("8")[39]) == "2"


@with_room
def test_all_orders_are_asked_about_and_cancelled_at_once(room):
    client = room.client()
    for key, price in (("A1", "99.50"), ("A2", "99.40"), ("A3", "99.30")):
        client.order(key, 1, 100, price)
        client.next("8")
    client.send("AF", (584, "S1"), (585, 7))
    reports = [client.next("8") for _ in range(3)]
    assert [(report[11], report[150], report[911], report.get(912)) for report in reports] == [
        ("A1", "I", "3", None),
        ("A2", "I", "3", None),
        ("A3", "I", "3", "Y"),
    ]
    stamp = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())
    client.send("q", (11, "M1"), (60, stamp), (530, 7))
    answer = client.next("r")
    assert (answer[530], answer[531], answer[533]) == ("7", "7", "3")
    assert {client.next("8")[150] for _ in range(3)} == {"4"}
    client.send("AF", (584, "S2"), (585, 7))
    empty = client.next("8")
    assert (empty[911], empty[912], empty[37]) == ("0", "Y", "NONE")


@with_room
def test_fills_are_busted_and_corrected(room):
    client = room.client()
    client.order("A1", 1, 100, "99.50")
    client.next("8")
    room.trade(Side.SELL, 40, "99.50")
    room.trade(Side.SELL, 10, "99.50")
    first, second = client.next("8"), client.next("8")
    room.do(lambda: room.venue.correct(first[17], quantity=Decimal(30), price=Decimal("99.45")))
    corrected = client.next("8")
    assert (corrected[150], corrected[19], corrected[32], corrected[31], corrected[14]) == (
        "G", first[17], "30", "99.45", "40",
    )  # fmt: skip
    room.do(room.venue.bust, second[17])
    busted = client.next("8")
    assert (busted[150], busted[19], busted[14]) == ("H", second[17], "30")


@with_room
def test_stops_trail_and_are_triggered(room):
    client = room.client("FIXT.1.1")
    room.trade(Side.BUY, 10, "100.00")
    room.trade(Side.SELL, 5, "100.00")
    client.order("S1", 2, 5, _40=3, _99="99.00")
    assert client.next("8")[39] == "0"
    room.trade(Side.SELL, 5, "100.00")
    room.trade(Side.BUY, 20, "98.90")
    room.trade(Side.SELL, 1, "98.90")
    kinds = [client.next("8") for _ in range(2)]
    assert [(report[150], report[39]) for report in kinds] == [("L", "0"), ("F", "2")]


@with_room
def test_a_halted_market_rejects_and_unserved_kinds_are_refused(room):
    client = room.client()
    (listing,) = room.venue.instruments.find(symbol="IBM", currency="USD")
    room.do(room.venue.set_phase, listing.id, Phase.HALT)
    client.order("A1", 1, 100, "99.50")
    refused = client.next("8")
    assert (refused[150], refused[103]) == ("8", "2")
    client.send("Q", (37, "1"), (17, "2"), (127, "A"), (54, 1))
    assert client.next("j")[380] == "3"


@pytest_twisted.ensureDeferred
async def test_a_client_that_goes_may_take_its_orders_along():
    def body(room):
        client = room.client()
        client.order("A1", 1, 100, "99.50")
        client.next("8")
        client.close()
        deadline = time.monotonic() + 5
        while room.do(room.venue.live_orders) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not room.do(room.venue.live_orders)

    await in_room(body, cancel_on_disconnect=True)()


@pytest_twisted.ensureDeferred
async def test_a_client_that_is_back_in_time_keeps_its_orders():
    def body(room):
        client = room.client()
        client.order("A1", 1, 100, "99.50")
        client.next("8")
        client.close()
        room.until_nobody_is_there()
        assert len(room.do(lambda: room.venue.departures.away)) == 1
        back = FixClient(room.port, number=client.number)
        room.clients.append(back)
        back.log_on()
        assert room.do(lambda: room.venue.departures.away) == []
        assert len(room.do(room.venue.live_orders)) == 1

    await in_room(body, cancel_on_disconnect=True, cancel_grace=600.0, spares_gtc=True)()


@pytest_twisted.ensureDeferred
async def test_a_client_that_logs_out_in_order_may_keep_its_orders():
    def body(room):
        client, other = room.client(), room.client(sender="OTHER")
        for one in (client, other):
            one.order("A1", 1, 100, "99.50", _1=ACCOUNT)
            one.next("8")
        client.send("5")
        client.next("5")
        client.close()
        other.close()
        room.until_nobody_is_there()
        assert [order.owner[-6:] for order in room.do(room.venue.live_orders)] == ["CLIENT"]

    await in_room(body, cancel_on_disconnect=True, spares_logouts=True)()


@with_room
def test_orders_for_auctions_have_their_words(room):
    client = room.client("FIXT.1.1")
    (listing,) = room.venue.instruments.find(symbol="IBM", currency="USD")
    for key, word in (("A1", "B"), ("A2", "5"), ("A3", "7")):
        client.order(key, 1, 100, "99.50", _59=word)
        report = client.next("8")
        assert (report[150], report[59]) == ("0", word)
    room.do(room.venue.set_phase, listing.id, Phase.CLOSING_AUCTION)
    ended = client.next("8")
    assert (ended[11], ended[150]) == ("A2", "4"), "the auction ends it"
    room.do(room.venue.set_phase, listing.id, Phase.POST_CLOSE)
    assert [client.next("8")[11] for _ in range(2)] == ["A1", "A3"]


@with_room
def test_clients_of_two_versions_trade_with_each_other_in_one_book(room):
    buyer, seller = room.client("FIX.4.2"), room.client("FIXT.1.1", sender="SELLER")
    seller.order("S", 2, 100, "99.50")
    seller.next("8")
    buyer.order("B", 1, 60)
    assert buyer.next("8")[150] == "0"
    mine, theirs = buyer.next("8"), seller.next("8")
    assert (mine[150], mine[32], mine[31]) == ("2", "60", "99.5")
    assert (theirs[150], theirs[851], theirs[151]) == ("F", "1", "40")
