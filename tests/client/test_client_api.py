"""The blocking client against a small XMLRPC server on a real socket."""

from __future__ import annotations

import select
import socket
import struct
import threading
import xmlrpc.client
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from txtrader.client import API
from txtrader.errors import (
    BrokerRejected,
    BrokerUnavailable,
    ConfigError,
    GatewayUnavailable,
    InternalError,
    InvalidArgument,
    NotFound,
    OutcomeUnknown,
    RemoteProtocolError,
    RiskDenied,
    Throttled,
    TooLarge,
    Unauthenticated,
)

Make = Callable[..., API]


@pytest.fixture
def make(http_gateway: Any) -> Any:
    made: list[API] = []

    def connect(**options: Any) -> API:
        given = {"host": "127.0.0.1", "port": http_gateway.port, "username": "alice", "password": "s3cret"}
        made.append(API(**{**given, **options}, sleep=lambda seconds: None))
        return made[-1]

    yield connect
    for api in made:
        api.close()


def test_an_operation_is_called_with_its_arguments_and_the_login(http_gateway: Any, make: Make) -> None:
    http_gateway.answers["query_order"] = {"id": "TX-1", "price": 124.5, "permid": None, "filled": 100}
    assert make().query_order("TX-1") == {"id": "TX-1", "price": 124.5, "permid": None, "filled": 100}
    assert http_gateway.calls == [("query_order", ("TX-1",))]
    assert http_gateway.logins == ["Basic YWxpY2U6czNjcmV0"]


def test_the_connection_is_kept_and_made_again_when_the_gateway_closed_it(http_gateway: Any, make: Make) -> None:
    http_gateway.answers["status"] = "Up"
    api = make(config={"TXTRADER_RETRY_LIMIT": 0})
    assert [api.status(), api.status()] == ["Up", "Up"]
    assert http_gateway.connections == 1
    http_gateway.has_last_word = True
    api.status()
    kept = api._transport._connection.sock  # type: ignore[attr-defined]
    assert select.select([kept], [], [], 10)[0], "the end of the old connection has arrived"
    assert api.status() == "Up"
    assert http_gateway.connections == 2


def test_decimals_are_the_digits_of_the_wire(http_gateway: Any, make: Make) -> None:
    value = b"<value><double>0.10000000000000000001</double></value>"
    body = b"<methodResponse><params><param>" + value + b"</param></params></methodResponse>"
    http_gateway.raw = lambda handler: reply(handler, 200, body, "text/xml")
    assert make(decimals=True).query_symbol("IBM") == Decimal("0.10000000000000000001")
    assert make().query_symbol("IBM") == 0.1


@pytest.mark.parametrize(
    ("number", "text", "kind", "shown"),
    [
        (-32602, "invalid-argument: limit_price: not a decimal", InvalidArgument, {"path": "limit_price"}),
        (
            -32602,
            "invalid-argument: symbol: ambiguous (candidates: SAP@IBIS, SAP@NYSE)",
            InvalidArgument,
            {"candidates": ["SAP@IBIS", "SAP@NYSE"], "message": "ambiguous"},
        ),
        (
            -32603,
            "internal: a bug [incident=7f] [order=TX-1]",
            InternalError,
            {"incident": "7f", "order": {"id": "TX-1"}},
        ),
        (-32004, "not-found: no such order", NotFound, {}),
        (-32021, "risk-denied: over the limit [order=TX-1-000001]", RiskDenied, {"order": {"id": "TX-1-000001"}}),
        (
            -32023,
            "broker-rejected: No [security] definition\nfound [order=TX-2]",
            BrokerRejected,
            {"order": {"id": "TX-2"}},
        ),
        (-32052, "broker-unavailable: no link", BrokerUnavailable, {}),
        (-32603, "internal: incident 7f", InternalError, {}),
        (-32601, "no such method", NotFound, {}),
        (8002, "error", InternalError, {}),
    ],
)
def test_a_fault_is_the_error_that_it_was(
    http_gateway: Any, make: Make, number: int, text: str, kind: type[Exception], shown: dict[str, Any]
) -> None:
    http_gateway.answers["query_order"] = xmlrpc.client.Fault(number, text)
    with pytest.raises(kind) as caught:
        make().query_order("TX-1")
    assert type(caught.value) is kind
    for name, value in shown.items():
        assert getattr(caught.value, name) == value
    assert "[order=" not in str(caught.value)


def test_a_query_is_tried_again(http_gateway: Any, make: Make) -> None:
    http_gateway.answers["status"] = "Up"
    http_gateway.drops = 3
    assert make().status() == "Up"
    assert len(http_gateway.calls) == 4


def test_a_query_without_an_answer_ends_in_an_error(http_gateway: Any, make: Make) -> None:
    http_gateway.drops = 9
    with pytest.raises(GatewayUnavailable):
        make(config={"TXTRADER_RETRY_LIMIT": "2"}).status()
    assert len(http_gateway.calls) == 3


def test_an_order_is_tried_again_under_one_key(http_gateway: Any, make: Make) -> None:
    http_gateway.answers["market_order"] = {"id": "TX-1", "status": "New"}
    http_gateway.drops = 2
    assert make(account="DU1").market_order("IBM", 100)["id"] == "TX-1"
    assert len(http_gateway.calls) == 3
    assert http_gateway.calls[0] == http_gateway.calls[1] == http_gateway.calls[2]
    symbol, quantity, options = http_gateway.calls[0][1]
    assert (symbol, quantity, options["account"]) == ("IBM", 100, "DU1")
    assert 1 <= len(options["client_order_id"]) <= 64


def test_two_orders_have_two_keys_and_a_key_of_the_caller_stays(http_gateway: Any, make: Make) -> None:
    http_gateway.answers["market_order"] = http_gateway.answers["submit_order"] = {"id": "TX-1", "status": "New"}
    api = make()
    api.market_order("IBM", 100)
    api.market_order("IBM", 100)
    api.submit_order(symbol="IBM", side="BUY", quantity=1, type="Market", client_order_id="mine")
    api.submit_order({"symbol": "IBM", "side": "BUY", "quantity": 1, "type": "Market", "what_if": True})
    first, second, third, what_if = (parameters[-1] for _, parameters in http_gateway.calls)
    assert first["client_order_id"] != second["client_order_id"]
    assert third["client_order_id"] == "mine"
    assert "client_order_id" not in what_if


def test_an_order_without_an_answer_is_unknown_and_names_its_key(http_gateway: Any, make: Make) -> None:
    http_gateway.drops = 99
    with pytest.raises(OutcomeUnknown) as caught:
        make().limit_order("IBM", 1, 1, client_order_id="k1")
    assert caught.value.order == {"client_order_id": "k1"}
    assert "client:k1" in str(caught.value)


def test_an_order_is_unknown_also_if_only_the_first_try_can_have_arrived(http_gateway: Any, make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        api = make(port=listener.getsockname()[1])

        def read_and_vanish() -> None:
            sock, _ = listener.accept()
            sock.recv(65536)
            listener.close()
            sock.close()

        thread = threading.Thread(target=read_and_vanish)
        thread.start()
        with pytest.raises(OutcomeUnknown):
            api.market_order("IBM", 1)
        thread.join()


def test_an_order_that_never_left_is_not_unknown(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(GatewayUnavailable):
        make(port=port).market_order("IBM", 1)


def test_what_may_not_be_done_twice_is_not_tried_again(http_gateway: Any, make: Make) -> None:
    http_gateway.drops = 1
    with pytest.raises(OutcomeUnknown, match="approve_ticket"):
        make().approve_ticket("TX-1")
    assert http_gateway.names == ["approve_ticket"]


def test_a_throttled_call_waits_and_goes_again(http_gateway: Any, make: Make) -> None:
    waits: list[float] = []
    faults = [xmlrpc.client.Fault(-32029, "throttled: too many commands retry after 0.35 s")]
    http_gateway.answers["modify_order"] = lambda *_: faults.pop() if faults else {"id": "TX-1"}
    api = make()
    api._sleep = waits.append
    assert api.modify_order("TX-1", {"limit_price": 1.5}) == {"id": "TX-1"}
    assert waits == [0.35]
    faults = [xmlrpc.client.Fault(-32029, "throttled: too many commands retry after 3600 s")]
    with pytest.raises(Throttled) as caught:
        api.modify_order("TX-1", {"limit_price": 1.5})
    assert caught.value.retry_after == 3600


def test_the_account_of_the_session_goes_with_each_order(http_gateway: Any, make: Make) -> None:
    http_gateway.answers |= {"set_account": lambda account: account == "DU1", "market_order": {"id": "TX-1"}}
    http_gateway.answers["set_order_route"] = {"SMART": None}
    api = make()
    assert not api.set_account("DU9")
    api.market_order("IBM", 1, client_order_id="a")
    assert api.set_account("DU1")
    api.set_order_route("SMART")
    api.market_order("IBM", 1, client_order_id="b")
    api.market_order("DU2", "NYSE", "IBM", 1, client_order_id="c")
    sent = [parameters[-1] for name, parameters in http_gateway.calls if name == "market_order"]
    assert sent == [
        {"client_order_id": "a"},
        {"client_order_id": "b", "account": "DU1", "route": "SMART"},
        {"client_order_id": "c", "account": "DU2", "route": "NYSE"},
    ]


def test_an_error_struct_of_2015_is_raised(http_gateway: Any, make: Make) -> None:
    struct = {
        "status": "Error",
        "errorMsg": "broker-rejected: no",
        "errorCode": 201,
        "id": "TX-1",
        "code": "broker-rejected",
    }
    http_gateway.answers["market_order"] = struct
    with pytest.raises(BrokerRejected, match="no") as caught:
        make().market_order("IBM", 1)
    assert (caught.value.order, caught.value.broker_code) == ({"id": "TX-1"}, 201)


def test_commands_go_by_name_too(http_gateway: Any, make: Make) -> None:
    http_gateway.answers |= {"limit_order": {"id": "TX-1"}, "query_symbols": {"IBM": {}}}
    api = make()
    api.cmd("limit_order", ["IBM", 12.5, 100], {"tif": "GTC"})
    assert http_gateway.calls[-1][1][:3] == ("IBM", "12.5", 100)
    assert api.cmdmap["query_all_symbols"]() == {"IBM": {}}
    assert http_gateway.calls[-1] == ("query_symbols", ({"data": True},))
    with pytest.raises(NotFound):
        api.cmd("buy_everything")


def test_wait_ends_with_the_status_or_with_another_end(http_gateway: Any, make: Make) -> None:
    words = ["New", "PartiallyFilled", "Filled"]
    http_gateway.answers["query_order"] = lambda id: {"id": id, "status": words.pop(0)}
    assert make().wait("TX-1", timeout=5)["status"] == "Filled"
    words = ["New", "Canceled"]
    assert make().wait("TX-1", until=("filled", "PartiallyFilled"))["status"] == "Canceled"
    words = ["New"] * 9
    with pytest.raises(TimeoutError, match="TX-1 is not Filled"):
        make().wait("TX-1", timeout=0)
    with pytest.raises(ValueError, match="Fileld"):
        make().wait("TX-1", until="Fileld")


def test_wait_outlives_the_gateway(http_gateway: Any, make: Make) -> None:
    http_gateway.answers["query_order"] = {"status": "Filled"}
    http_gateway.drops = 5
    assert make(config={"TXTRADER_RETRY_LIMIT": 0}).wait("TX-1", timeout=5)["status"] == "Filled"


def test_what_this_version_lacks_is_said() -> None:
    for options in ({"mode": "rtx"}, {"dialect": "2020"}, {"transport": "jsonrpc"}, {"dialect": "2019"}):
        with pytest.raises(ConfigError):
            API(username="alice", password="x", **options)  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        API("tws", mode="cqg", username="alice", password="x")


def reply(handler: Any, status: int, body: bytes, kind: str, **headers: str) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


BOMB = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]>
<methodResponse><params><param><value>&c;</value></param></params></methodResponse>"""


@pytest.mark.parametrize(
    ("status", "body", "kind", "error"),
    [
        (401, b"Valid Authorization Required!", "text/plain", Unauthenticated),
        (413, b"too large", "text/plain", TooLarge),
        (500, b"<html>oops</html>", "text/html", RemoteProtocolError),
        (200, b"<methodResponse><params>", "text/xml", RemoteProtocolError),
        (200, b"<methodResponse>" + b"<value><array><data>" * 40, "text/xml", RemoteProtocolError),
        (200, BOMB, "text/xml", RemoteProtocolError),
        (
            200,
            b"<methodResponse><params><param><value><int>x</int></value></param></params></methodResponse>",
            "text/xml",
            RemoteProtocolError,
        ),
        (200, b"<methodResponse><params></params></methodResponse>", "text/xml", RemoteProtocolError),
    ],
)
def test_what_is_no_answer_is_a_typed_error(
    http_gateway: Any, make: Make, status: int, body: bytes, kind: str, error: type[Exception]
) -> None:
    http_gateway.raw = lambda handler: reply(handler, status, body, kind)
    with pytest.raises(error):
        make().status()


def test_the_words_of_a_refused_request_are_those_of_the_gateway(http_gateway: Any, make: Make) -> None:
    body = b'{"type":"about:blank","title":"Too Many Requests","status":429,"code":"throttled","detail":"slow down"}'
    headers = {"Retry_After": "60"}
    http_gateway.raw = lambda handler: reply(handler, 429, body, "application/problem+json", **headers)
    with pytest.raises(Throttled) as caught:
        make().status()
    assert (caught.value.message, caught.value.retry_after) == ("slow down", 60)


def test_a_call_that_the_gateway_would_not_take_is_not_sent(http_gateway: Any, make: Make) -> None:
    with pytest.raises(TooLarge):
        make().query_account("DU1", ["x" * 70_000])
    assert http_gateway.calls == []


def test_a_gateway_that_dribbles_meets_the_deadline(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def dribble() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(65536)
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 100000\r\n\r\n")
                while not done.wait(0.05):
                    sock.sendall(b" ")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        thread = threading.Thread(target=dribble)
        thread.start()
        try:
            with pytest.raises(GatewayUnavailable, match=r"too long|timed out"):
                make(port=listener.getsockname()[1], timeout=0.3, config={"TXTRADER_RETRY_LIMIT": 0}).status()
        finally:
            done.set()
            thread.join()


def test_secrets_stay_out_of_what_is_shown(make: Make) -> None:
    api = make()
    assert "s3cret" not in repr(api) + repr(api._transport)
