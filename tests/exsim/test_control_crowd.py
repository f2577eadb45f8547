"""Policies, bots, prices, plug-ins and OUCH by requests: each as a test of somebody's client would use it."""

import asyncio
import socket
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import pytest
from fix_client import FixClient
from nasdaq_protocols.soup import connect_async

from txtrader.exsim import API, ExsimError
from txtrader.wire.cqg.schema import ClientMsg
from txtrader.wire.ouch.codec import Codec, OuchMessage


@pytest.fixture
def engine(exsim):
    return exsim.create_engine("e1")


@pytest.fixture
def book(engine):
    return engine.create_book("IBM", symbol="IBM", tick="0.01")


@pytest.fixture
def client(engine, book):
    client = FixClient(engine.create_endpoint("fix", protocol="fix44").port)
    client.log_on()
    yield client
    client.close()


def code_of(call, *arguments, **more):
    with pytest.raises(ExsimError) as caught:
        call(*arguments, **more)
    return caught.value.code


# -- policies


def test_the_third_order_is_rejected_by_rule(engine, client):
    engine.add_policy("third", [{"match": {"type": "new", "nth": 3}, "action": {"do": "reject", "text": "no luck"}}])
    for n in range(4):
        client.order(f"c{n}", 1, 10, "9.00")
    reports = [client.next("8") for _ in range(4)]
    assert [report[150] for report in reports] == ["0", "0", "8", "0"]
    assert reports[2][58] == "no luck"
    (policy,) = engine.list_policies()
    assert (policy["rules"][0]["seen"], policy["rules"][0]["fired"]) == (4, 1)


def test_a_ready_made_policy_is_put_in_force_and_taken_out(engine, client):
    engine.add_policy("no", class_="reject", properties={"text": "closed today"})
    client.order("c1", 1, 10, "9.00")
    assert client.next("8")[58] == "closed today"
    engine.remove_policy("no")
    client.order("c2", 1, 10, "9.00")
    assert client.next("8")[150] == "0"


def test_a_wrong_policy_is_refused_with_its_place(engine):
    with pytest.raises(ExsimError) as caught:
        engine.add_policy("x", [{"match": {"type": "new"}, "action": {"do": "explode"}}])
    assert caught.value.code == "invalid-argument"
    assert caught.value.field.startswith("rules[0].actions[0]")
    assert code_of(engine.add_policy, "x") == "invalid-argument"
    assert code_of(engine.remove_policy, "x") == "not-found"
    engine.add_policy("x", class_="reject")
    assert code_of(engine.add_policy, "x", class_="reject") == "already-exists"


def test_a_message_is_broken_on_its_way(engine, client):
    engine.add_policy("twice", [{"match": {"type": "ack"}, "action": {"do": "duplicate"}}], scope={"endpoint": "fix"})
    client.order("c1", 1, 10, "9.00")
    assert client.next("8")[17] == client.next("8")[17]


@pytest.mark.exsim(clock="virtual")
def test_a_session_is_far_away(exsim):
    engine = exsim.create_engine("e1")
    engine.create_book("IBM", symbol="IBM")
    client = FixClient(engine.create_endpoint("fix", protocol="fix44").port)
    client.log_on()
    session = exsim.session("fix-1")
    session.set_property("latency_out", {"type": "fixed", "seconds": "0.5"})
    client.order("c1", 1, 10, "9.00")
    assert client.is_quiet()
    exsim.advance_time(0.5)
    assert client.next("8")[150] == "0"
    assert code_of(session.set_property, "latency_in", {"type": "warp"}) == "invalid-argument"
    client.close()


OPENINGS = {
    "ouch50": (b"", b"\0\x2fL" + b"user".ljust(16) + b" " * 10 + b"1".rjust(20), b"\0\x1fA"),
    "tws": (b"", b"API\0\0\0\0\x09v151..178", b"\0\0\0"),
    "cqg": (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        None,
        b"\x82",
    ),
}


def logon_frame():
    message = ClientMsg()
    logon = message.logon
    logon.user_name, logon.password, logon.client_app_id, logon.client_version = "trader", "x", "Test", "1"
    logon.protocol_version_major, logon.protocol_version_minor = 2, 230
    data = message.SerializeToString()
    assert len(data) < 126
    return bytes((0x82, 0x80 | len(data))) + bytes(4) + data  # the mask is 0


@pytest.mark.exsim(clock="virtual")
@pytest.mark.parametrize("protocol", list(OPENINGS))
def test_sessions_of_all_wires_are_far_away(exsim, protocol):
    engine = exsim.create_engine("e1")
    engine.create_book("IBM", symbol="IBM")
    endpoint = engine.create_endpoint("ep", protocol=protocol)
    greeting, opening, answer = OPENINGS[protocol]
    with socket.create_connection(("127.0.0.1", endpoint.port), timeout=5) as client:
        client.sendall(greeting)
        if greeting:
            assert client.recv(4096).startswith(b"HTTP/1.1 101")
        session = endpoint.accept_session("s1")
        for name in ("latency_in", "latency_out", "computation"):
            session.set_property(name, {"type": "fixed", "seconds": "0.25"})
        assert code_of(session.set_property, "latency_in", {"type": "warp"}) == "invalid-argument"
        client.sendall(opening or logon_frame())
        client.settimeout(0.2)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                client.recv(1)
            exsim.advance_time(0.25)
        with pytest.raises(TimeoutError):
            client.recv(1)
        exsim.advance_time(0.25)
        client.settimeout(5)
        assert client.recv(4096).startswith(answer)


# -- bots


def test_a_bot_fills_what_comes(engine, book, client):
    book.set_price(reference="9.00")
    bot = book.create_bot("b", "auto_fill")
    bot.start()
    client.order("c1", 1, 10, "9.00")
    assert [client.next("8")[150] for _ in range(2)] == ["0", "F"]
    bot.stop()
    client.order("c2", 1, 10, "9.00")
    assert client.next("8")[150] == "0"
    assert client.is_quiet()


@pytest.mark.exsim(clock="virtual", seed=3)
def test_noise_makes_a_market_in_virtual_time(exsim):
    book = exsim.create_engine("e1").create_book("X", symbol="X")
    book.set_price(reference="50.00")
    bot = book.create_bot("noise", "noise", activity="fast")
    bot.start()
    exsim.advance_time(60)
    shown = book.get()
    assert shown["trades"] > 0 and shown["bids"] and shown["offers"]
    bot.delete()
    assert exsim.request("list_bots")["bots"] == []


def test_a_wrong_bot_is_refused(book):
    assert code_of(book.create_bot, "b", "no_such") == "not-found"
    assert code_of(book.create_bot, "b", "noise", colour="red") == "invalid-argument"
    bot = book.create_bot("b", "auto_fill")
    assert code_of(book.create_bot, "b", "auto_fill") == "already-exists"
    bot.delete()
    assert code_of(bot.start) == "not-found"


# -- prices


def test_prices_are_set_by_hand(book):
    book.set_price(bid="9.99", offer="10.01", bid_quantity=5, offer_quantity=7)
    shown = book.get()
    assert shown["bids"][0] == {"price": "9.99", "quantity": "5", "orders": 1}
    book.set_price(offer=None)
    assert book.get()["offers"] == []
    assert book.sell("s1", 5, "9.99")["status"] == "filled"


def test_a_file_of_trades_is_replayed_row_by_row(tmp_path):
    (tmp_path / "trades.csv").write_text("time,price,quantity\n1,10.00,5\n2,10.01,6\n3,10.02,7\n")
    with API() as api:
        server = api.create_server(clock="virtual", data_folder=str(tmp_path))
        book = server.create_engine("e1").create_book("X", symbol="X")
        book.attach_pricing("trades", file="trades.csv", size_column="quantity", interval=1, mode="maker")
        assert book.step_replay() == 1
        assert book.get()["last"] == {"price": "10.00", "quantity": "5"}
        script = server.dump_script()
        book.start_replay(how="at_once")
        assert book.get()["last"]["price"] == "10.02"
        server.reset()
        server.run_script(script)
        assert server.engine("e1").book("X").step_replay(5) == 3
        assert code_of(book.attach_pricing, "trades", file="../secret.csv") in ("invalid-argument", "not-found")


def test_bots_and_policies_are_in_the_script(exsim, engine, book):
    engine.add_policy("third", [{"match": {"type": "new", "nth": 3}, "action": {"do": "reject"}}])
    book.create_bot("n", "noise").start()
    script = exsim.dump_script()
    exsim.reset()
    exsim.run_script(script)
    assert exsim.dump_script() == script


# -- plug-ins


PLUGIN = """
    from txtrader.exsim.bots import Bot
    from txtrader.exsim.control.engines import Engine

    class Idle(Bot):
        pass

    class Mine(Engine):
        pass

    class Broken(Engine):
        def __init__(self, *given, **more):
            raise RuntimeError("mine is broken")
"""


@pytest.mark.parametrize("start", ["spawn"])
def test_classes_are_loaded_from_modules_that_were_allowed_and_no_others(tmp_path, monkeypatch, start):
    (tmp_path / "my_plugin.py").write_text(textwrap.dedent(PLUGIN))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with API() as api:
        server = api.create_server(start=start, plugins=["my_plugin"])

        def load(kind, name, module, class_):
            return server.request(f"load_{kind}", name=name, module=module, **{"class": class_})

        load("engine", "mine", "my_plugin", "Mine")
        server.create_engine("e1", "mine")
        load("engine", "broken", "my_plugin", "Broken")
        with pytest.raises(ExsimError) as caught:
            server.create_engine("e2", "broken")
        assert caught.value.code == "plugin-error" and "mine is broken" in caught.value.message
        load("bot", "idle", "my_plugin", "Idle")
        assert code_of(load, "engine", "os", "os", "system") == "unsupported"
        assert code_of(load, "engine", "x", "my_plugin", "Idle") == "unsupported"
        assert code_of(load, "engine", "x", "my_plugin", "Nobody") == "not-found"
        assert code_of(load, "engine", "x", "my_plugin.deeper", "X") == "plugin-error"
        assert server.ping()["books"] == 0


def test_an_installed_package_offers_engines_and_protocols(tmp_path, monkeypatch):
    (tmp_path / "their_venue.py").write_text(
        textwrap.dedent(
            """
            from txtrader.exsim.control.engines import Engine
            from txtrader.exsim.control.fix_wire import FIX_PROPERTIES
            from txtrader.exsim.control.protocols import ProtocolPlugIn

            class Theirs(Engine):
                pass

            class Wire(ProtocolPlugIn):
                properties = FIX_PROPERTIES[:1]

                def make_wire(self, venue, reactor, now_ns, watcher, **more):
                    raise RuntimeError(f"no wire for {sorted(more['values'])}")
            """
        )
    )
    about = tmp_path / "their_venue-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: their-venue\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[txtrader.exsim.engines]\ntheirs = their_venue:Theirs\ngone = their_venue:Gone\n"
        "[txtrader.exsim.protocols]\ntheir_wire = their_venue:Wire\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with API() as api:
        server = api.create_server(start="spawn")
        engine = server.create_engine("e1", "theirs")
        assert engine.get()["class"] == "theirs"
        assert code_of(server.create_engine, "e2", "gone") == "plugin-error"
        with pytest.raises(ExsimError) as caught:
            engine.create_endpoint("ep", protocol="their_wire")
        assert caught.value.code == "plugin-error" and "no wire for ['" in caught.value.message


# -- OUCH


def in_a_thread(script):
    """Run a coroutine on a loop of its own: the one of the tests is running."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(lambda: asyncio.run(script())).result(30)


def enter(token, price, firm=""):
    return Codec("4.2").write(
        OuchMessage(
            "EnterOrder",
            {
                "token": token, "side": "B", "shares": 10, "stock": "IBM", "price": price, "tif": 99998, "firm": firm,
                "display": "Y", "capacity": "P", "iso": "N", "min_qty": 0, "cross": "N", "customer": "N",
            },
        )
    )  # fmt: skip


def test_an_ouch_client_is_answered_and_meets_the_control_in_the_book(engine, book):
    port = engine.create_endpoint("ouch", protocol="ouch42").port

    async def trade():
        session = await connect_async(("127.0.0.1", port), "user", "secret", "")
        session.send_unseq_data(enter("T1", 90000))
        names = []
        while len(names) < 2:
            names.append(Codec("4.2").read_response((await session.receive_msg()).data).name)
        await session.close()
        return names

    assert in_a_thread(trade) == ["SystemEvent", "Accepted"]
    assert book.sell("s1", 4, "9.00")["status"] == "filled"


def test_the_firm_of_an_ouch_order_is_its_account(exsim, engine, book):
    port = engine.create_endpoint("ouch", protocol="ouch42").port

    async def trade():
        session = await connect_async(("127.0.0.1", port), "user", "secret", "")
        session.send_unseq_data(enter("T1", 90000))
        session.send_unseq_data(enter("T2", 80000, "ABCD"))
        names = []
        while len(names) < 3:
            names.append(Codec("4.2").read_response((await session.receive_msg()).data).name)
        await session.close()
        return names

    assert in_a_thread(trade) == ["SystemEvent", "Accepted", "Accepted"]
    orders = exsim.request("list_orders", engine="e1")["orders"]
    assert [order["account"] for order in orders] == ["SIM", "ABCD"]


def test_policies_meet_ouch_clients_and_their_sessions_can_be_ended(engine, book):
    endpoint = engine.create_endpoint("ouch", protocol="ouch42")
    scope = {"endpoint": "ouch", "session": "ouch|USER"}
    engine.add_policy("twice", [{"match": {"type": "ack"}, "action": {"do": "duplicate"}}], scope=scope)
    with pytest.raises(ExsimError) as caught:
        engine.add_policy("x", [{"match": {"type": "now"}, "action": {"do": "demand_resend"}}], scope=scope)
    assert (caught.value.code, caught.value.field) == ("invalid-argument", "rules[0].actions[0].do")

    async def trade():
        session = await connect_async(("127.0.0.1", endpoint.port), "user", "secret", "")
        session.send_unseq_data(enter("T1", 90000))
        names = []
        while len(names) < 3:
            names.append(Codec("4.2").read_response((await session.receive_msg()).data).name)
        await asyncio.get_running_loop().run_in_executor(None, lambda: engine_closes(endpoint))
        while not session.is_closed():
            await asyncio.sleep(0.001)
        return names

    assert in_a_thread(trade) == ["SystemEvent", "Accepted", "Accepted"]
    (policy,) = engine.list_policies()
    assert policy["rules"][0]["fired"] == 1


def engine_closes(endpoint):
    endpoint.accept_session("s1").close("logout")


@pytest.mark.exsim(managed=True)
def test_an_ouch_order_is_taken_and_answered_by_hand(engine, book):
    endpoint = engine.create_endpoint("ouch", protocol="ouch42")

    async def trade():
        loop = asyncio.get_running_loop()
        waiting = asyncio.ensure_future(connect_async(("127.0.0.1", endpoint.port), "user", "secret", ""))
        taken = await loop.run_in_executor(None, lambda: endpoint.accept_session("s1"))
        session = await waiting
        session.send_unseq_data(enter("T1", 90000))

        def answer():
            order = taken.get_message("m1")
            assert (order.type, order.fields["token"], order.raw) == ("new", "T1", enter("T1", 90000))
            (made,) = engine.process_message("m1", "m2")
            assert made.type == "ack"
            made.set_property("shares", 7)
            taken.send_message("m2")

        await loop.run_in_executor(None, answer)
        heard = [Codec("4.2").read_response((await session.receive_msg()).data) for _ in range(2)]
        await session.close()
        return heard

    heard = in_a_thread(trade)
    assert [message.name for message in heard] == ["SystemEvent", "Accepted"]
    assert heard[1]["shares"] == 7
