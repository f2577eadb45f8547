"""TWS and CQG endpoints under control: their clients meet FIX clients in one book, and can be answered by hand."""

import socket
import struct
from decimal import Decimal

import pytest
from fix_client import FixClient
from websockets.sync.client import connect

from txtrader.exsim import ExsimError
from txtrader.wire.cqg.schema import ClientMsg, ServerMsg
from txtrader.wire.tws.framing import frame
from txtrader.wire.tws.message import Message
from txtrader.wire.tws.table import REQUESTS, RESPONSES

VERSION = 178


class TwsClient:
    """A blocking TWS client of a few lines, made from the message table."""

    def __init__(self, port, client_id=1):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._socket.sendall(b"API\0" + frame(f"v{VERSION}..{VERSION}".encode()))
        self.client_id = client_id

    def start(self):
        assert self._frame().startswith(b"178\0")
        self.send("startApi", clientId=self.client_id, optionalCapabilities="")
        return self.next("nextValidId")["orderId"]

    def send(self, name, **fields):
        self._socket.sendall(frame(REQUESTS.encode(Message(name, fields), VERSION)))

    def _take(self, count):
        data = b""
        while len(data) < count:
            more = self._socket.recv(count - len(data))
            assert more, "the venue has closed"
            data += more
        return data

    def _frame(self):
        (size,) = struct.unpack(">I", self._take(4))
        return self._take(size)

    def next(self, *names):
        """Return the next message of these names, passing over others."""
        while (message := RESPONSES.decode(self._frame(), VERSION)[0]).name not in names:
            pass
        return message

    def buy(self, number, quantity, price):
        self.send(
            "placeOrder", orderId=number, symbol="IBM", secType="STK", exchange="SMART", currency="USD", action="BUY",
            orderType="LMT", totalQuantity=Decimal(quantity), lmtPrice=Decimal(price), tif="DAY", transmit=True,
            account="SIM",
        )  # fmt: skip

    def close(self):
        self._socket.close()


class CqgClient:
    """A blocking CQG client of a few lines."""

    def __init__(self, port):
        self._context = connect(f"ws://127.0.0.1:{port}/", compression=None)
        self._socket = self._context.__enter__()

    def send(self, **parts):
        self._socket.send(ClientMsg(**parts).SerializeToString())

    def next(self, name):
        while True:
            message = ServerMsg.FromString(self._socket.recv(timeout=10))
            if any(field.name == name for field, _ in message.ListFields()):
                return message

    def logon(self):
        self.send(
            logon={
                "user_name": "u", "password": "p", "client_app_id": "WebAPITest", "client_version": "1",
                "protocol_version_major": 2, "protocol_version_minor": 230,
            }
        )  # fmt: skip
        return self.next("logon_result").logon_result

    def close(self):
        self._context.__exit__(None, None, None)


@pytest.fixture
def engine(exsim):
    engine = exsim.create_engine("e1")
    engine.create_book("IBM", symbol="IBM", tick="0.01")
    return engine


def test_clients_of_tws_and_fix_trade_with_each_other(exsim, engine):
    maker = FixClient(engine.create_endpoint("fix", protocol="fix44").port)
    maker.log_on()
    maker.order("m1", 2, 10, "9.50")
    maker.next("8")
    taker = TwsClient(engine.create_endpoint("tws", protocol="tws").port)
    number = taker.start()
    taker.buy(number, 4, "9.50")
    assert taker.next("execDetails")["shares"] == 4
    assert maker.next("8")[32] == "4"
    assert [order["order"] for order in exsim.list_orders(open_only=False)] == [
        "fix-1:m1",
        exsim.list_orders(open_only=False)[1]["order"],
    ]
    assert exsim.list_orders(open_only=False)[1]["order"].startswith("tws-1:")
    maker.close()
    taker.close()


@pytest.mark.exsim(managed=True)
def test_a_tws_order_is_taken_and_answered_by_hand(exsim, engine):
    endpoint = engine.create_endpoint("tws", protocol="tws")
    client = TwsClient(endpoint.port)
    session = endpoint.accept_session("s1")
    number = client.start()
    client.buy(number, 4, "9.50")
    order = session.get_message("m1")
    assert (order.type, order.fields["action"], order.fields["totalQuantity"]) == ("new", "BUY", "4")
    assert order.raw[4:] == REQUESTS.encode(
        REQUESTS.decode(order.raw[4:], VERSION)[0], VERSION
    )  # the very bytes: what they say is what they are made from
    order.set_property("lmtPrice", "9.40")
    answers = engine.process_message("m1", "m2")
    assert {answer.type for answer in answers} >= {"status", "orderStatus"}
    assert engine.book("IBM").get()["bids"][0]["price"] == "9.40"
    session.send_message("m2")
    assert client.next("openOrder")["lmtPrice"] == Decimal("9.40")
    exsim.create_message("made", "error", reqId=number, errorCode=201, errorString="no", advancedOrderRejectJson="")
    session.send_message("made")
    assert client.next("error")["errorCode"] == 201
    with pytest.raises(ExsimError) as caught:
        session.send_message("made", raw=True)
    assert caught.value.code == "unsupported"
    client.close()


@pytest.mark.exsim(managed=True)
def test_a_cqg_request_is_taken_and_answered_by_hand(exsim, engine):
    endpoint = engine.create_endpoint("cqg", protocol="cqg")
    client = CqgClient(endpoint.port)
    session = endpoint.accept_session("s1")
    assert client.logon().result_code == 0
    client.send(information_requests=[{"id": 7, "symbol_resolution_request": {"symbol": "IBM"}}])
    message = session.get_message("m1")
    assert message.type == "information_requests"
    assert message.fields["information_requests"][0]["symbol_resolution_request"] == {"symbol": "IBM"}
    (answer, *_) = engine.process_message("m1", "m2")
    assert answer.type == "information_reports"
    session.send_message("m2")
    assert client.next("information_reports").information_reports[0].id == 7
    exsim.create_message("made", "user_messages", user_messages=[{"message_type": 2, "text": "hello", "source": "x"}])
    session.send_message("made")
    assert client.next("user_messages").user_messages[0].text == "hello"
    exsim.create_message("wrong", "user_messages", no_such_part=[])
    with pytest.raises(ExsimError) as caught:
        session.send_message("wrong")
    assert caught.value.code == "invalid-argument"
    client.close()


def test_an_endpoint_of_each_kind_is_paused_and_resumed(engine):
    endpoint = engine.create_endpoint("tws", protocol="tws")
    endpoint.pause("silent")
    client = TwsClient(endpoint.port)
    client._socket.settimeout(0.1)
    with pytest.raises(TimeoutError):
        client.start()
    client.close()
    endpoint.resume()
    client = TwsClient(endpoint.port)
    assert client.start() > 0
    client.close()
    endpoint.pause("refuse")
    with pytest.raises(ConnectionRefusedError):
        TwsClient(endpoint.port)
    endpoint.resume()
    TwsClient(endpoint.port).close()
