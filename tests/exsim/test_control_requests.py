"""The client API: what each request does, and that a wrong one is answered with a typed error."""

import re
from pathlib import Path

import pytest
from fix_client import FixClient

from txtrader.exsim import ExsimError, ExsimTimeout
from txtrader.exsim.control.reference import MARKER, reference


@pytest.fixture
def engine(exsim):
    return exsim.create_engine("e1")


@pytest.fixture
def book(engine):
    return engine.create_book("IBM", symbol="IBM", tick="0.01")


def refused(code, call, *arguments, field=None, **more):
    """Make a call that has to be refused; return the error."""
    with pytest.raises(ExsimError) as caught:
        call(*arguments, **more)
    assert caught.value.code == code, caught.value
    if field is not None:
        assert caught.value.field == field
    return caught.value


# -- the requests that its namesake promises


def test_an_order_of_the_control_fills_a_client_over_fix(engine, book):
    port = engine.create_endpoint("fix", protocol="fix42", sender_comp_id="SIM").port
    seller = book.create_order("s1", side="sell", type="limit", price="12.50", quantity=100)
    assert seller.submit()["status"] == "new"
    client = FixClient(port, version="FIX.4.2", target="SIM")
    client.log_on()
    client.order("c1", 1, 40, "12.50")
    reports = [client.next("8") for _ in range(2)]
    client.close()
    assert [report[150] for report in reports] == ["0", "2"]
    assert book.get()["last"] == {"price": "12.50", "quantity": "40"}
    assert seller.get()["leaves"] == "60"


def test_an_engine_is_made_set_and_deleted(exsim):
    engine = exsim.create_engine("e1", stp="newest")
    assert engine.get_property("stp") == "newest"
    engine.set_property("auto_receive", False)
    assert engine.get_property("auto_receive") is False
    refused("wrong-state", engine.set_property, "stp", "none", field="property_name")
    refused("invalid-argument", engine.set_property, "colour", "red")
    refused("already-exists", exsim.create_engine, "e1", field="name")
    refused("not-found", exsim.create_engine, "e2", "no_such_class")
    engine.delete()
    refused("not-found", engine.get)
    refused("not-found", engine.delete)


def test_an_engine_with_a_book_is_deleted_by_force_alone(exsim, engine, book):
    order = book.create_order("b1", side="buy", price="9", quantity=5)
    order.submit()
    refused("in-use", engine.delete)
    engine.delete(force=True)
    assert [event["what"] for event in exsim.get_events(kinds=["order"])["events"]] == ["accepted", "canceled"]


def test_a_book_is_made_and_deleted_with_its_orders(exsim, engine, book):
    book.buy("b1", 5, "9")
    assert refused("already-exists", engine.create_book, "IBM", symbol="OTHER", field="name")
    assert refused("already-exists", engine.create_book, "X", symbol="IBM", field="symbol")
    assert book.delete() == 1
    refused("not-found", book.get)
    again = engine.create_book("IBM", symbol="IBM", tick="0.05")
    assert again.get()["bids"] == []


def test_a_book_is_found_without_its_engine_where_there_is_one(exsim, engine, book):
    assert exsim.request("get_book", book="IBM")["engine"] == "e1"
    exsim.create_engine("e2").create_book("IBM", symbol="IBM")
    refused("invalid-argument", exsim.request, "get_book", book="IBM", field="engine")
    refused("not-found", exsim.request, "delete_book", name="XYZ")


def test_the_book_is_followed_order_by_order(exsim, engine, book):
    book.sell("early", 30, "10.00")
    book.set_property("watch_orders", True)
    begun = book.get(level=3)
    queue = {one["public"]: one for one in begun["shown"]}
    assert [(one["side"], one["price"], one["quantity"]) for one in queue.values()] == [("sell", "10.00", "30")]
    iceberg = book.create_order("iceberg", side="sell", price="10.01", quantity=50, display_quantity=20)
    iceberg.submit()
    book.create_order("secret", side="buy", price="9.90", quantity=7, hidden=True).submit()
    bid = book.create_order("bid", side="buy", price="9.80", quantity=40)
    bid.submit()
    bid.set_property("quantity", 25)  # keeps its place
    bid.set_property("price", "9.85")
    book.buy("taker", 55, "10.01")  # all of `early`, a slice of the iceberg, and some of the next
    book.sell("late", 5, "10.50")
    exsim.request("cancel_order", order_id="late")
    events = exsim.get_events(kinds=["book"])["events"]
    assert [event["change"] for event in events] == list(range(begun["change"] + 1, begun["change"] + 1 + len(events)))
    assert {event["what"] for event in events} == {"added", "reduced", "executed", "deleted", "replaced"}
    for event in events:
        number = event["public"]
        if event["what"] == "added":
            queue[number] = {name: event[name] for name in ("public", "side", "price", "quantity")}
            continue
        found = queue.pop(number)
        if event["what"] == "replaced":
            queue[event["by"]] = {name: event[name] for name in ("side", "price", "quantity")} | {"public": event["by"]}
        elif event["what"] in ("executed", "reduced"):
            found["quantity"] = str(int(found["quantity"]) - int(event["quantity"]))
            if found["quantity"] != "0":
                queue[number] = found
    ended = book.get(level=3)
    assert ended["change"] == events[-1]["change"]
    assert sorted(queue.values(), key=lambda one: one["public"]) == sorted(
        ended["shown"], key=lambda one: one["public"]
    )
    assert {one["quantity"] for one in ended["shown"]} == {"15", "25"}
    book.set_property("watch_orders", False)
    book.sell("unseen", 5, "10.50")
    assert exsim.get_events(kinds=["book"])["events"] == events
    assert "shown" not in book.get(level=3)


def test_an_endpoint_may_wait_for_its_engine_and_its_protocol(exsim, engine, book):
    endpoint = exsim.create_endpoint("ep")
    assert endpoint.port == 0
    assert endpoint.set_engine("e1") == 0
    port = endpoint.set_protocol("fix44")
    client = FixClient(port)
    client.log_on()
    refused("in-use", endpoint.set_protocol, "fix42")
    refused("not-found", endpoint.set_engine, "e9", field="engine")
    client.close()
    assert endpoint.get()["accepted"] == 1


def test_the_log_says_why_a_client_cannot_log_on(exsim, engine):
    port = engine.create_endpoint("fix", protocol="fix44").port
    client = FixClient(port, target="SOMEBODY")
    client.send("A", (98, 0), (108, 30))
    first = exsim.get_events(kinds=["session"], wait=5)
    (gone,) = exsim.get_events(first["next"], kinds=["session"], wait=5)["events"] or first["events"][1:]
    client.close()
    assert (gone["what"], gone["why"]) == ("gone", "an unknown identity, or one that is connected")


def test_a_port_that_is_taken_is_said_to_be(exsim, engine):
    port = engine.create_endpoint("one", protocol="fix").port
    refused("address-in-use", engine.create_endpoint, "two", protocol="fix", port=port, field="port")
    refused("not-found", exsim.request, "get_endpoint", name="two")


def test_a_protocol_is_set_for_sessions_made_from_now_on(exsim, engine):
    endpoint = engine.create_endpoint("fix", protocol="fix44")
    endpoint.set_protocol_property("target_comp_ids", ["ALICE"])
    endpoint.set_protocol_property("password", "secret")
    assert endpoint.get()["properties"]["password"] == "***"
    client = FixClient(endpoint.port, sender="ALICE")
    client.send("A", (98, 0), (108, 30), (554, "wrong"))
    assert client.next("5")[58] == "wrong password"
    client.close()
    client = FixClient(endpoint.port, sender="ALICE", number=2)
    client.log_on((554, "secret"))
    client.close()
    refused("invalid-argument", endpoint.set_protocol_property, "logon_timeout", "soon")


def test_an_endpoint_that_is_deleted_closes_its_sessions(engine, book):
    endpoint = engine.create_endpoint("fix", protocol="fix44")
    client = FixClient(endpoint.port)
    client.log_on()
    assert endpoint.delete() == ["fix-1"]
    with pytest.raises((AssertionError, OSError)):
        client.next()
    client.close()
    refused("not-found", endpoint.get)


def test_a_draft_is_changed_until_it_is_sent_and_replaced_after(book):
    order = book.create_order("o1")
    order.set_property("side", "buy")
    order.set_property("price", "10.00")
    refused("invalid-argument", order.submit, field="quantity")
    order.set_property("quantity", 10)
    assert order.get()["status"] == "draft"
    order.submit()
    refused("wrong-state", order.submit)
    refused("wrong-state", order.set_property, "side", "sell")
    order.set_property("quantity", 4)
    assert order.replace(price="10.01")["price"] == "10.01"
    assert order.get()["quantity"] == "4"
    assert order.delete() == "4"
    refused("not-found", order.get)


def test_a_draft_that_the_venue_refuses_can_be_corrected(book):
    order = book.create_order("o1", side="buy", price="10.001", quantity=10)
    assert refused("rejected", order.submit).more["reason"] == "price-tick"
    order.set_property("price", "10.00")
    assert order.submit()["status"] == "new"


def test_the_place_in_the_queue_is_told(book):
    book.buy("b1", 5, "10")
    book.buy("b2", 7, "10")
    found = book.buy("b3", 1, "10")
    assert (found["quantity_ahead"], found["orders_ahead"]) == ("12", 2)
    book.sell("s1", 6, "10")
    assert book.create_order("x") and book.server.get_order("b3")["quantity_ahead"] == "6"


def test_clients_orders_are_seen_and_cancelled_by_their_names(exsim, engine, book):
    client = FixClient(engine.create_endpoint("fix", protocol="fix44").port)
    client.log_on()
    client.order("c1", 1, 10, "9.00")
    client.next("8")
    assert [order["order"] for order in exsim.list_orders()] == ["fix-1:c1"]
    exsim.request("cancel_order", order_id="fix-1:c1", text="gone")
    assert client.next("8")[150] == "4"
    assert exsim.get_order("fix-1:c1")["status"] == "canceled"
    refused("wrong-state", exsim.request, "cancel_order", order_id="fix-1:c1")
    refused("not-found", exsim.get_order, "fix-1:c9")
    client.close()


def test_a_trade_is_corrected_and_busted(exsim, book):
    book.sell("s1", 10, "10")
    execution = book.buy("b1", 10, "10")["executions"][0]["execution"]
    revised = exsim.request("correct_trade", execution=execution, price="9.99")["execution"]
    assert exsim.get_order("b1")["average_price"] == "9.99"
    refused("not-found", exsim.request, "bust_trade", execution=execution)
    refused("invalid-argument", exsim.request, "correct_trade", execution=revised, price="9.999")
    exsim.request("bust_trade", execution=revised)
    assert exsim.get_order("b1")["cumulative"] == "0"


def test_a_stopped_engine_takes_cancels_alone(exsim, engine, book):
    book.buy("b1", 5, "9")
    engine.stop()
    assert refused("rejected", book.buy, "b2", 5, "9").more["reason"] == "closed"
    assert exsim.request("cancel_order", order_id="b1")["status"] == "canceled"
    engine.start()
    assert book.buy("b3", 5, "9")["status"] == "new"


def test_a_halt_is_told_and_ends(exsim, engine, book):
    engine.halt("IBM")
    assert refused("rejected", book.buy, "b1", 5, "9").more["reason"] == "closed"
    engine.resume("IBM")
    assert book.buy("b2", 5, "9")["status"] == "new"
    assert [event["phase"] for event in exsim.get_events(kinds=["phase"])["events"]] == ["halt", "continuous"]


def test_the_options_of_a_books_phases_are_its_properties(exsim, engine, book):
    def set_option(name, value):
        return exsim.request("set_book_property", book="IBM", property=name, value=value)

    assert set_option("halt_accepts", "all") == {"old": "cancels", "new": "all"}
    assert set_option("static_band", "5%")["new"] == "5%"
    assert refused("invalid-argument", set_option, "static_band", "wide").field == "static_band"
    refused("invalid-argument", set_option, "halt_accepts", "some")
    engine.halt("IBM")
    assert book.buy("b1", 5, "9")["status"] == "new"
    engine.create_book("Y", symbol="Y", pause_seconds=5)
    assert exsim.request("get_book", book="Y")["properties"]["pause_seconds"] == 5
    refused("invalid-argument", engine.create_book, "Z", symbol="Z", dynamic_band="wide")
    assert "Z" not in exsim.request("get_engine", engine=engine.name)["books"]


def test_day_orders_expire_at_the_end_of_the_day(engine, book):
    book.buy("b1", 5, "9")
    book.buy("b2", 5, "9", tif="gtc")
    answer = engine.end_of_day()
    assert (answer["expired"], answer["carried"]) == (1, 1)
    assert book.server.get_order("b1")["status"] == "expired"


def test_an_engine_of_refusals_refuses(exsim):
    book = exsim.create_engine("no", "reject_all").create_book("X", symbol="X")
    refused("rejected", book.buy, "b1", 1, "1")


def test_a_silent_engine_answers_nothing(exsim):
    engine = exsim.create_engine("quiet", "silent")
    engine.create_book("IBM", symbol="IBM")
    client = FixClient(engine.create_endpoint("fix", protocol="fix44").port)
    client.log_on()
    client.order("c1", 1, 10, "9.00")
    assert client.is_quiet()
    client.close()


def test_an_echo_sends_back_what_it_gets(exsim):
    engine = exsim.create_engine("echo", "echo")
    client = FixClient(engine.create_endpoint("fix", protocol="fix44").port)
    client.log_on()
    client.order("c1", 1, 10, "9.00")
    assert client.next("D")[11] == "c1"
    client.close()


def test_a_mass_cancel_says_how_many(engine, book):
    book.buy("b1", 5, "9")
    book.buy("b2", 5, "9", account="OTHER")
    book.sell("s1", 5, "11")
    assert engine.mass_cancel(side="buy", account="OTHER") == 1
    assert engine.mass_cancel() == 2


def test_a_parked_order_waits_for_its_release(exsim, book):
    book.buy("b1", 5, "9")
    exsim.request("park_order", order_id="b1")
    assert book.get()["bids"] == []
    exsim.request("release_order", order_id="b1")
    assert book.get()["bids"][0]["quantity"] == "5"


def test_a_book_is_read_order_by_order(book):
    book.buy("b1", 5, "9")
    book.buy("b2", 100, "9", display_quantity=10)
    orders = book.get(level=3)["orders"]
    assert [(order["order"], order["quantity"], order["reserve"]) for order in orders] == [
        ("b1", "5", "0"),
        ("b2", "10", "90"),
    ]


def test_a_drop_copy_tells_what_others_are_told_and_waits_for_who_is_away(engine, book):
    trader = FixClient(engine.create_endpoint("orders", protocol="fix42", role="orders").port, version="FIX.4.2")
    trader.log_on()
    copies = engine.create_endpoint("copies", protocol="fix44", role="drop_copy")
    reader = FixClient(copies.port, sender="BACK")
    reader.log_on()
    trader.order("c1", 1, 10, "9.00")
    trader.next("8")
    copy = reader.next("8")
    assert (copy[11], copy[150], copy[797]) == ("c1", "0", "Y")
    reader.order("x", 1, 1, "1")
    assert reader.next("j")[372] == "D"
    reader.close()
    book.sell("s1", 4, "9.00")
    assert trader.next("8")[32] == "4"
    again = FixClient(copies.port, sender="BACK", number=reader.number)
    logon = again.log_on()
    again.send("2", (7, int(logon[34]) - 3), (16, 0))
    told = [again.next("8") for _ in range(3)]
    assert [report[43] for report in told] == ["Y"] * 3
    assert sorted(report[150] for report in told) == ["0", "F", "F"]
    trader.send("V", (262, "m"), (263, 0), (264, 1), (267, 1), (269, 0), (146, 1), (55, "IBM"))
    assert trader.next("j")[372] == "V"
    again.close()
    trader.close()


# -- the server


def test_events_are_polled_and_a_gap_is_said(exsim, book):
    book.buy("b1", 5, "9")
    first = exsim.get_events()
    assert [event["number"] for event in first["events"]] == list(range(1, len(first["events"]) + 1))
    nothing = exsim.get_events(first["next"], wait=0.05)
    assert nothing == {"events": [], "next": first["next"], "missed": 0}
    book.sell("s1", 5, "9")
    kinds = {event["kind"] for event in exsim.get_events(first["next"], wait=1)["events"]}
    assert kinds == {"order", "trade"}


def test_a_configuration_is_a_script_of_requests(exsim, engine, book):
    engine.create_endpoint("fix", protocol="fix42", sender_comp_id="SIM", auto_accept=False)
    book.create_order("draft", side="buy", type="limit", price="1", quantity=1)
    script = exsim.dump_script()
    exsim.reset()
    assert exsim.ping()["books"] == 0
    exsim.run_script(script)
    assert exsim.dump_script() == script
    assert exsim.request("submit_order", order_id="draft")["status"] == "new"


def test_a_script_stops_at_the_first_request_that_fails(exsim):
    steps = [
        {"type": "create_engine", "name": "e1"},
        {"type": "create_engine", "name": "e1"},
        {"type": "create_engine", "name": "e2"},
    ]
    error = refused("already-exists", exsim.run_script, steps)
    assert error.more["index"] == 1
    assert [engine["name"] for engine in exsim.list_engines()] == ["e1"]


def test_a_reset_may_keep_engines_or_endpoints(exsim, engine, book):
    port = engine.create_endpoint("fix", protocol="fix44").port
    book.buy("b1", 5, "9")
    exsim.reset(keep=["endpoints"])
    assert exsim.endpoint("fix").port == port
    assert exsim.ping()["orders"] == 0
    exsim.reset(keep=["engines"])
    refused("not-found", exsim.endpoint, "fix")
    exsim.engine("e1")
    refused("invalid-argument", exsim.reset, ["books"])


@pytest.mark.exsim(clock="virtual")
def test_virtual_time_stands_until_it_is_moved(exsim):
    book = exsim.create_engine("e1").create_book("X", symbol="X")
    now = exsim.get_time()["time"]
    book.buy("b1", 1, "5", tif="gtd", expire=now + 10_000_000_000)
    assert exsim.advance_time(9.5)["fired"] == 0
    assert exsim.get_order("b1")["status"] == "new"
    exsim.advance_time(until=now + 20_000_000_000)
    (expired,) = [event for event in exsim.get_events()["events"] if event["what"] == "expired"]
    assert expired["time"] - now == pytest.approx(10_000_000_000, abs=2_000_000)
    refused("invalid-argument", exsim.advance_time, until=now, field="until")
    refused("invalid-argument", exsim.advance_time, field="seconds")


def test_a_real_clock_is_not_moved(exsim):
    refused("unsupported", exsim.advance_time, 1.0)


def test_the_tape_tells_all_and_is_saved_where_the_starter_allows(exsim, book):
    book.buy("b1", 5, "9")
    kinds = [record[2] for record in exsim.get_tape()["records"]]
    assert "new" in kinds and "ack" in kinds and "rest" in kinds
    refused("unsupported", exsim.save_tape, "run.tape")


# -- a wrong request is answered


@pytest.mark.parametrize(
    ("request_", "code", "field"),
    [
        ({"type": "create_engine"}, "invalid-argument", "name"),
        ({"type": "create_engine", "name": "bad name"}, "invalid-argument", "name"),
        ({"type": "create_engine", "name": "x" * 65}, "invalid-argument", "name"),
        ({"type": "create_engine", "name": 7}, "invalid-argument", "name"),
        ({"type": "create_engine", "name": "e", "speed": 9}, "invalid-argument", "speed"),
        ({"type": "create_engine", "name": "e", "properties": []}, "invalid-argument", "properties"),
        ({"type": "create_engine", "name": "e", "properties": {"stp": "all"}}, "invalid-argument", "stp"),
        ({"type": "create_endpoint", "name": "e", "port": 70000}, "invalid-argument", "port"),
        ({"type": "create_endpoint", "name": "e", "port": True}, "invalid-argument", "port"),
        ({"type": "create_endpoint", "name": "e", "engine": "no"}, "not-found", "engine"),
        ({"type": "create_book", "name": "b", "engine": "no", "symbol": "X"}, "not-found", "engine"),
        ({"type": "set_phase", "engine": "no", "phase": "lunch"}, "invalid-argument", "phase"),
        ({"type": "accept_session", "endpoint": "no", "session": "s"}, "not-found", "endpoint"),
        ({"type": "get_session_message", "session": "no", "message": "m"}, "not-found", "session"),
        ({"type": "process_message", "engine": "no", "message": "m", "reply": "r"}, "not-found", "engine"),
        ({"type": "send_session_message", "session": "no", "message": "m"}, "not-found", "session"),
        ({"type": "send_session_bytes", "session": "no", "bytes": "%"}, "invalid-argument", "bytes"),
        ({"type": "get_message", "message": "no"}, "not-found", "message"),
        ({"type": "get_events", "kinds": ["weather"]}, "invalid-argument", "kinds"),
        ({"type": "get_book", "book": "no", "level": 4}, "invalid-argument", "level"),
        ({"type": "submit_order", "order_id": "no"}, "not-found", "order_id"),
        ({"type": "match_everything"}, "unknown-request", "type"),
    ],
)
def test_a_wrong_request_is_answered_with_a_typed_error(exsim, request_, code, field):
    arguments = {key: value for key, value in request_.items() if key != "type"}
    refused(code, exsim.request, request_["type"], **arguments, field=field)
    assert exsim.ping()["sessions"] == 0


def test_a_float_is_no_price(book):
    refused("invalid-argument", book.buy, "b1", 5, 9.1, field="price")


def test_waiting_ends_with_an_error_of_its_own_kind(engine):
    endpoint = engine.create_endpoint("fix", protocol="fix44", auto_accept=False)
    with pytest.raises(ExsimTimeout):
        endpoint.accept_session("s1", wait=0.02)


def test_every_request_is_in_the_reference(exsim):
    text = Path("docs/exsim-control.md").read_text()
    told = set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE))
    assert told >= set(exsim.connection.hello["requests"])


def test_the_reference_is_what_the_declarations_say():
    text = Path("docs/exsim-control.md").read_text(encoding="utf-8")
    assert text[text.index(MARKER) :] == reference(), "type `make docs`"
