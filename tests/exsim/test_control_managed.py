"""Managed mode: the test takes each message, has it processed or answers it by hand."""

import pytest
from fix_client import FixClient

from txtrader.exsim import ExsimError, ExsimTimeout

pytestmark = pytest.mark.exsim(managed=True)


class Desk:
    """A managed FIX endpoint, and a client that has logged on to it."""

    def __init__(self, server):
        self.server = server
        self.engine = server.create_engine("e1")
        self.book = self.engine.create_book("IBM", symbol="IBM", tick="0.01")
        self.endpoint = self.engine.create_endpoint("fix", protocol="fix44")

    def connect(self, name="s1", **more):
        client = FixClient(self.endpoint.port, **more)
        client.send("A", (98, 0), (108, 30))
        session = self.endpoint.accept_session(name)
        assert client.next("A")[108] == "30"
        return client, session


@pytest.fixture
def desk(exsim):
    return Desk(exsim)


def test_nothing_is_read_or_written_before_the_connection_is_accepted(desk):
    client = FixClient(desk.endpoint.port)
    client.send("A", (98, 0), (108, 30))
    assert client.is_quiet()
    assert desk.endpoint.get()["waiting"] != []
    session = desk.endpoint.accept_session("s1")
    assert client.next("A")[35] == "A"
    assert session.get()["state"] == "logged-on"
    client.close()


def test_connections_are_accepted_in_the_order_they_came(desk):
    clients = [FixClient(desk.endpoint.port, sender=name) for name in ("A", "B")]
    for client in clients:
        client.send("A", (98, 0), (108, 30))
        while len(desk.endpoint.get()["waiting"]) < 1 + clients.index(client):
            pass
    desk.endpoint.accept_session("first")
    assert clients[0].next("A")[35] == "A"
    assert clients[1].is_quiet()
    desk.endpoint.accept_session("second")
    assert clients[1].next("A")[56] == "B"
    for client in clients:
        client.close()


def test_a_message_is_taken_processed_and_its_answer_sent(desk):
    client, session = desk.connect()
    client.order("c1", 1, 10, "9.00")
    order = session.get_message("m1")
    assert order.type == "new"
    assert (order.fields["client_order_id"], order.fields["side"], order.fields["price"]) == ("c1", "buy", "9.00")
    assert b"\x0135=D\x01" in order.raw and order.raw.startswith(b"8=FIX.4.4\x019=")
    assert client.is_quiet()
    (answer,) = desk.engine.process_message("m1", "m2")
    assert answer.type == "ack"
    assert client.is_quiet()
    sent = session.send_message("m2")
    report = client.next("8")
    assert (report[150], report[11], int(report[34])) == ("0", "c1", sent["sequence"])
    assert desk.book.get()["bids"][0]["quantity"] == "10"
    client.close()


def test_an_answer_can_be_changed_before_it_is_sent(desk):
    client, session = desk.connect()
    client.order("c1", 1, 10, "9.00")
    session.get_message("m1")
    (answer,) = desk.engine.process_message("m1", "m2")
    answer.set_property("text", "hello")
    answer.set_property("cumulative", 3)
    session.send_message("m2")
    report = client.next("8")
    assert (report[58], report[14]) == ("hello", "3")
    client.close()


def test_other_clients_reports_are_among_the_answers_with_their_session(desk):
    desk.engine.set_property("auto_match", True)
    maker, maker_session = desk.connect("maker", sender="MAKER")
    taker, taker_session = desk.connect("taker", sender="TAKER")
    maker.order("m", 2, 10, "9.00")
    maker_session.get_message("in1")
    desk.engine.process_message("in1", "out1")
    taker.order("t", 1, 10, "9.00")
    taker_session.get_message("in2")
    answers = desk.server.request("process_message", engine="e1", message="in2", reply="out2")["answers"]
    assert [(one["name"], one["session"], one["type"]) for one in answers] == [
        ("out2", "taker", "ack"),
        ("out2.2", "taker", "exec"),
        ("out2.3", "maker", "exec"),
    ]
    maker_session.send_message("out2.3")
    assert maker.next("8")[39] == "2"
    assert taker.is_quiet()
    maker.close()
    taker.close()


def test_a_refusal_of_the_venue_is_an_answer_not_an_error(desk):
    client, session = desk.connect()
    client.order("c1", 1, 10, "9.001")
    session.get_message("m1")
    (answer,) = desk.engine.process_message("m1", "m2")
    assert answer.type == "rej"
    client.close()


def test_a_message_is_made_by_hand(desk):
    client, session = desk.connect()
    desk.server.create_message(
        "made", "exec", client_order_id="c1", order_id="o1", exec_id="x1", exec_type="0", status="new", symbol="IBM",
        side="buy", cumulative=0, leaves=10, average_price=0, quantity=10,
    )  # fmt: skip
    session.send_message("made")
    report = client.next("8")
    assert (report[37], report[54], report[39], report[151]) == ("o1", "1", "0", "10")
    client.close()


def test_numbers_lengths_and_checksums_can_be_wrong_on_purpose(desk):
    client, session = desk.connect()
    desk.server.create_message("gap", "0", sequence=9)
    session.send_message("gap", raw=True)
    assert client.next_of_all()[34] == "9"
    broken = desk.server.create_message("broken", "0", checksum="000", body_length="7")
    session.send_message("broken", raw=True)
    assert broken.get() and b"\x019=7\x01" in broken.raw and broken.raw.endswith(b"\x0110=000\x01")
    session.send_bytes(b"anything")
    client.close()


def test_messages_are_taken_by_type_and_peeked_at(desk):
    client, session = desk.connect()
    client.order("c1", 1, 10, "9.00")
    client.change("F", "c2", "c1", 1, 10)
    assert session.get_message("cancel", types=["cxl"]).fields["original_client_order_id"] == "c1"
    assert [one["type"] for one in session.peek_messages()] == ["new"]
    with pytest.raises(ExsimTimeout):
        session.get_message("more", wait=0.02, types=["mod"])
    client.close()


def test_the_queue_outlives_the_connection(desk):
    client, session = desk.connect()
    client.order("c1", 1, 10, "9.00")
    client.close()
    while session.get()["is_open"]:
        pass
    assert session.get_message("m1").type == "new"
    with pytest.raises(ExsimError) as caught:
        session.get_message("m2", wait=1)
    assert caught.value.code == "closed"


def test_the_nearest_setting_wins(desk):
    client, session = desk.connect()
    session.set_property("auto_receive", True)
    client.order("c1", 1, 10, "9.00")
    assert client.next("8")[150] == "0"
    session.set_property("auto_receive", None)
    desk.endpoint.set_property("auto_receive", False)
    desk.engine.set_property("auto_receive", True)
    client.order("c2", 1, 10, "9.00")
    assert session.get_message("m").fields["client_order_id"] == "c2"
    client.close()


def test_without_mechanics_even_the_logon_waits(desk):
    desk.endpoint.set_protocol_property("mechanics", "manual")
    client = FixClient(desk.endpoint.port)
    client.send("A", (98, 0), (108, 30))
    session = desk.endpoint.accept_session("s1")
    logon = session.get_message("logon")
    assert (logon.type, logon.fields["heartbeat"]) == ("login_req", "30")
    assert client.is_quiet()
    desk.server.create_message("answer", "login_ack", EncryptMethod=0, heartbeat=30)
    session.send_message("answer")
    assert client.next("A")[34] == "1"
    client.send("1", (112, "hello"))
    assert session.get_message("test").type == "1"
    assert client.is_quiet()
    client.close()


@pytest.mark.parametrize("how", ["close", "abort", "half", "logout"])
def test_a_session_is_ended_in_every_way(desk, how):
    client, session = desk.connect()
    session.close(how)
    if how == "logout":
        assert client.next("5")[35] == "5"
    else:
        with pytest.raises((AssertionError, OSError)):
            client.next()
    client.close()


def test_a_frozen_session_reads_nothing_until_it_thaws(desk):
    client, session = desk.connect()
    session.close("freeze")
    client.order("c1", 1, 10, "9.00")
    with pytest.raises(ExsimTimeout):
        session.get_message("m1", wait=0.1)
    session.thaw()
    assert session.get_message("m1").type == "new"
    client.close()


def test_a_wrong_request_on_messages_is_told(desk):
    client, session = desk.connect()

    def refused(code, call, *arguments, **more):
        with pytest.raises(ExsimError) as caught:
            call(*arguments, **more)
        assert caught.value.code == code

    refused("not-found", session.send_message, "none")
    refused("already-exists", desk.endpoint.accept_session, "s1")
    desk.server.create_message("m", "exec", no_such_field=1)
    refused("invalid-argument", session.send_message, "m")
    refused("already-exists", desk.server.create_message, "m", "exec")
    refused("wrong-state", desk.engine.process_message, "m", "r")
    desk.server.create_message("n", "no_such_type")
    refused("invalid-argument", session.send_message, "n")
    session.close("abort")
    while session.get()["is_open"]:
        pass
    refused("closed", session.send_message, "m")
    client.close()
