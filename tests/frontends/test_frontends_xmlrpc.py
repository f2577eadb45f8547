"""XMLRPC end to end, with the standard library as the foreign client."""

from __future__ import annotations

import base64
import http.client
import xmlrpc.client
from typing import Any

import pytest
import pytest_twisted
from frontend_room import USERS, Room, open_room
from twisted.internet.threads import deferToThread

from txtrader.model.operations import OPERATIONS


class Foreign:
    """`xmlrpc.client` on one keep-alive connection, called in a thread."""

    def __init__(self, room: Room, user: str = "alice", path: str = "/RPC2") -> None:
        login = f"{user}:{USERS[user][0]}"
        self.proxy = xmlrpc.client.ServerProxy(f"http://{login}@127.0.0.1:{room.ports['http']}{path}", allow_none=True)

    async def call(self, name: str, *arguments: Any) -> Any:
        method = self.proxy
        for part in name.split("."):
            method = getattr(method, part)
        return await deferToThread(method, *arguments)

    async def fault(self, name: str, *arguments: Any) -> xmlrpc.client.Fault:
        with pytest.raises(xmlrpc.client.Fault) as caught:
            await self.call(name, *arguments)
        return caught.value

    async def close(self) -> None:
        await deferToThread(self.proxy("close"))


async def post(room: Room, body: bytes = b"", *, method: str = "POST", path: str = "/RPC2", **headers: str) -> Any:
    """Make one plain HTTP request; return status, headers and body."""

    def run() -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", room.ports["http"], timeout=10)
        sent = {"Content-Type": "text/xml", "Authorization": basic("alice:wonderland")}
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        connection.request(method, path, body, {name: value for name, value in sent.items() if value})
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response.status, response.headers, data

    return await deferToThread(run)


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


STATUS = b"<methodCall><methodName>status</methodName></methodCall>"


@pytest_twisted.ensureDeferred
async def test_the_standard_librarys_client_trades(tmp_path):
    async with open_room(tmp_path) as room:
        room.broker.quote("IBM", "99.99", "100.01")
        client = Foreign(room)
        assert await client.call("status") == "Up"
        assert await client.call("query_accounts") == ["DU1", "DU2"]
        assert await client.call("set_account", "DU1") is True
        assert await client.call("add_symbol", "IBM") is True
        await room.until(lambda: room.adapter.subscribed)
        order = await client.call("limit_order", "IBM", 99.5, 100, {"client_order_id": "x1", "tif": "GTC"})
        assert (order["status"], order["price"], order["quantity"], order["account"]) == ("New", 99.5, 100, "DU1")
        assert isinstance(order["quantity"], int) and isinstance(order["price"], float)
        assert order["avgfillprice"] is None and order["tif"] == "GTC"
        again = await client.call("limit_order", "IBM", "99.50", "100", {"client_order_id": "x1", "tif": "GTC"})
        assert again["id"] == order["id"] and again["duplicate"] is True
        filled = await client.call("market_order", "IBM", -10)
        await room.until(lambda: len(room.broker.executions) == 1)
        assert (await client.call("query_order", filled["id"]))["side"] == "SELL"
        assert (await client.call("cancel_order", order["id"]))["status"] == "Canceled"
        assert set(await client.call("query_orders")) == {order["id"], filled["id"]}
        assert len(await client.call("query_executions")) == 1
        assert (await client.call("global_cancel"))["ids"] == []
        await client.close()


@pytest_twisted.ensureDeferred
async def test_the_session_belongs_to_the_credential_and_holds_symbols(tmp_path):
    async with open_room(tmp_path) as room:
        client = Foreign(room)
        await client.call("add_symbol", "IBM")
        await client.close()
        again, other = Foreign(room, path="/"), Foreign(room, "victor")
        assert await again.call("query_symbols") == ["IBM"]
        assert await other.call("query_symbols") == []
        assert await again.call("del_symbol", "IBM") is True
        await again.close()
        await other.close()


@pytest_twisted.ensureDeferred
async def test_an_account_belongs_to_the_connection_and_is_never_guessed(tmp_path):
    async with open_room(tmp_path) as room:
        first, second, third = Foreign(room), Foreign(room), Foreign(room)
        fault = await third.fault("market_order", "IBM", 1)
        assert fault.faultCode == -32602 and "account" in fault.faultString
        await first.call("set_account", "DU1")
        assert (await third.call("limit_order", "IBM", 1, 1))["account"] == "DU1"
        await second.call("set_account", "DU2")
        assert (await first.call("limit_order", "IBM", 1, 1))["account"] == "DU1"
        assert (await second.call("submit_order", _order()))["account"] == "DU2"
        assert (await second.call("whoami"))["account"] == "DU2"
        assert (await third.call("whoami"))["account"] is None
        fault = await third.fault("limit_order", "IBM", 1, 1)
        assert fault.faultCode == -32602 and "different accounts" in fault.faultString
        assert (await third.call("limit_order", "IBM", 1, 1, {"account": "DU2"}))["account"] == "DU2"
        for client in (first, second, third):
            await client.close()


def _order(**more: Any) -> dict[str, Any]:
    return {"symbol": "IBM", "side": "BUY", "quantity": 1, "type": "Limit", "limit_price": 1, **more}


@pytest_twisted.ensureDeferred
async def test_errors_are_faults_with_the_numbers_of_the_table(tmp_path):
    async with open_room(tmp_path) as room:
        client, viewer = Foreign(room), Foreign(room, "victor")
        for fault, number, text in (
            (
                await client.fault("limit_order", "IBM", "12x", 1),
                -32602,
                "invalid-argument: limit_price: not a decimal",
            ),
            (await client.fault("limit_order", "IBM"), -32602, "invalid-argument: limit_price: missing; usage: "),
            (await client.fault("query_order", "TX-NO"), -32004, "not-found: id: "),
            (await client.fault("no_such_method"), -32601, "not-found: "),
            (await client.fault("system.multicall", []), -32601, "not-found: "),
            (await client.fault("market_order", "IBM", 1e-05), -32602, "invalid-argument: quantity: not a decimal"),
            (await client.fault("query_positions", "yes"), -32602, "invalid-argument: detail: "),
            (await viewer.fault("market_order", "IBM", 1), -32003, "forbidden: "),
        ):
            assert fault.faultCode == number and fault.faultString.startswith(text), fault
        room.broker.rejects = lambda order: True
        fault = await client.fault("limit_order", "IBM", 12, 1, {"account": "DU1"})
        assert fault.faultCode == -32023
        assert fault.faultString.startswith("broker-rejected: ") and "[order=TX-" in fault.faultString
        await client.close()
        await viewer.close()


@pytest_twisted.ensureDeferred
async def test_an_order_without_an_answer_is_a_struct_and_no_fault(tmp_path):
    async with open_room(tmp_path) as room:
        client = Foreign(room)
        room.broker.withheld = {"submit"}
        assert (await client.call("limit_order", "IBM", 12, 1, {"account": "DU1"}))["status"] == "Unknown"
        await client.close()


@pytest_twisted.ensureDeferred
async def test_programs_of_2015_get_structs_if_the_setting_says_so(tmp_path):
    async with open_room(tmp_path, xmlrpc_error_structs=True) as room:
        client = Foreign(room)
        order = await client.call("limit_order", "IBM", 12, 1, {"account": "DU1"})
        assert order["status"] == "Submitted" and isinstance(order["permid"], int) and order["avgfillprice"] == 0.0
        refused = await client.call("limit_order", "IBM", "12x", 1)
        assert refused == {
            "status": "Error",
            "errorMsg": "invalid-argument: limit_price: not a decimal number",
            "errorCode": -32602,
            "id": None,
            "code": "invalid-argument",
        }
        assert (await client.fault("query_order", "TX-NO")).faultCode == -32004
        await client.close()


@pytest_twisted.ensureDeferred
async def test_introspection_comes_from_the_declarations(tmp_path):
    async with open_room(tmp_path) as room:
        client = Foreign(room)
        names = await client.call("system.listMethods")
        assert set(OPERATIONS) < set(names) and "system.multicall" not in names
        for name in names:
            assert name.split("(")[0] in await client.call("system.methodHelp", name)
            forms = await client.call("system.methodSignature", name)
            assert forms and all(
                kind in ("string", "int", "double", "boolean", "array", "struct") for form in forms for kind in form
            )
        assert await client.call("system.methodSignature", "limit_order") == [
            ["struct", "string", "double", "double"],
            ["struct", "string", "double", "double", "struct"],
            ["struct", "string", "string", "string"],
            ["struct", "string", "string", "string", "struct"],
        ]
        assert await client.call("system.methodSignature", "set_order_route") == [
            ["struct", "string"],
            ["struct", "struct"],
        ]
        assert ["array", "string", "int", "string", "string"] in await client.call(
            "system.methodSignature", "query_bars"
        )
        fields = [form[2] for form in await client.call("system.methodSignature", "query_account") if len(form) == 3]
        assert fields == ["struct", "array", "string"]  # the first are options
        assert (await client.fault("system.methodHelp", "nonsense")).faultCode == -32004
        assert (await client.fault("system.methodHelp")).faultCode == -32602
        await client.close()


@pytest_twisted.ensureDeferred
async def test_a_missing_or_wrong_login_is_401_in_the_words_of_old(tmp_path):
    async with open_room(tmp_path) as room:
        for login in ("", basic("alice:wrong"), basic("nobody:x"), basic("alice"), "Basic ???", "Bearer x", "basic"):
            status, headers, body = await post(room, STATUS, Authorization=login)
            assert (status, body) == (401, b"Valid Authorization Required!"), login
            assert headers["WWW-Authenticate"].startswith("Basic ")
            assert headers["Content-Type"] == "text/plain"


@pytest_twisted.ensureDeferred
async def test_every_reply_is_neither_cached_nor_sniffed_and_tells_no_version(tmp_path):
    async with open_room(tmp_path) as room:
        for path, method in (("/RPC2", "POST"), ("/livez", "GET"), ("/nothing", "GET"), ("/", "GET")):
            _, headers, body = await post(room, STATUS, path=path, method=method)
            assert headers["Cache-Control"] == "no-store"
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert "Server" not in headers and "Set-Cookie" not in headers
            assert b"<html" not in body.lower()


@pytest.mark.parametrize(
    ("status", "change"),
    [
        (200, {}),
        (200, {"path": "/"}),
        (200, {"path": "/RPC2/"}),
        (200, {"Content_Type": "text/xml; charset=utf-8"}),
        (200, {"Host": "LOCALHOST:1234"}),
        (200, {"Host": "[::1]:50080"}),
        (400, {"Host": "evil.test"}),
        (400, {"Host": "127.0.0.1.evil.test"}),
        (400, {"Host": "user@localhost"}),
        (403, {"Origin": "http://evil.test"}),
        (403, {"Origin": "null"}),
        (403, {"Origin": "http://localhost"}),
        (404, {"path": "/nothing"}),
        (404, {"path": "/RPC2/more"}),
        (404, {"path": "/..%2f..%2fetc/passwd"}),
        (404, {"path": "//RPC2"}),
        (405, {"method": "GET"}),
        (405, {"method": "PUT"}),
        (405, {"method": "DELETE", "path": "/"}),
        (405, {"method": "POST", "path": "/livez"}),
        (405, {"method": "OPTIONS"}),
        (414, {"path": "/RPC2?" + "q" * 3000}),
        (415, {"Content_Type": "application/x-www-form-urlencoded"}),
        (415, {"Content_Type": "text/plain"}),
        (415, {"Content_Type": "application/json"}),
        (415, {"Content_Type": ""}),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_a_browser_or_a_wrong_program_may_send(tmp_path, status, change):
    async with open_room(tmp_path) as room:
        found, _, body = await post(room, STATUS, **change)
        assert found == status, body


@pytest_twisted.ensureDeferred
async def test_an_allowed_page_may_call_and_still_gets_no_cors_header(tmp_path):
    async with open_room(tmp_path, allowed_origins=("http://desk.example",), allowed_hosts=("gw.example",)) as room:
        status, headers, _ = await post(room, STATUS, Origin="http://desk.example", Host="gw.example")
        assert status == 200 and not [name for name in headers if name.lower().startswith("access-control")]
        assert (await post(room, STATUS))[0] == 400


@pytest_twisted.ensureDeferred
async def test_health_is_a_word_for_all_and_layers_for_those_who_log_in(tmp_path):
    async with open_room(tmp_path) as room:
        assert (await post(room, method="GET", path="/livez", Authorization=""))[0::2] == (200, b"alive\n")
        assert (await post(room, method="GET", path="/readyz", Authorization=""))[0::2] == (200, b"Up\n")
        status, headers, body = await post(room, method="GET", path="/readyz")
        assert status == 200 and headers["Content-Type"] == "application/json" and body.startswith(b'{"status":"Up"')
        assert (await post(room, method="GET", path="/readyz", Authorization=basic("a:b")))[0] == 401
        assert (await post(room, method="HEAD", path="/livez", Authorization=""))[0::2] == (200, b"")
        room.adapter.lose_link()
        await room.until(lambda: not room.link.is_up)
        assert (await post(room, method="GET", path="/readyz", Authorization=""))[0::2] == (503, b"Disconnected\n")
        assert (await post(room, method="GET", path="/livez", Authorization=""))[0] == 200


@pytest_twisted.ensureDeferred
async def test_unparsable_and_malformed_calls_have_their_own_numbers(tmp_path):
    async with open_room(tmp_path) as room:
        for body, number in ((b"no xml", -32700), (b"<a/>", -32600), (b"<!DOCTYPE a><a/>", -32700)):
            status, _, answer = await post(room, body)
            with pytest.raises(xmlrpc.client.Fault) as caught:
                xmlrpc.client.loads(answer)
            assert (status, caught.value.faultCode) == (200, number)


@pytest_twisted.ensureDeferred
async def test_calls_are_throttled_by_credential_and_cancels_still_pass(tmp_path):
    async with open_room(tmp_path, command_rate=2.0, cancel_rate=2.0) as room:
        client, again = Foreign(room), Foreign(room)
        for _ in range(2):
            await client.call("status")
            await again.call("status")
        fault = await again.fault("status")
        assert fault.faultCode == -32029 and "retry after" in fault.faultString
        await client.call("global_cancel")
        await client.close()
        await again.close()


@pytest_twisted.ensureDeferred
async def test_a_removed_user_loses_the_session(tmp_path):
    async with open_room(tmp_path) as room:
        client = Foreign(room)
        await client.call("add_symbol", "IBM")
        lines = await room.log_in()
        for frontend in room.frontends.values():
            frontend.end_users(frozenset({"alice"}))
        await lines.closed()
        await room.until(lambda: not room.gateway._sessions)
        assert "IBM" not in room.adapter.subscribed
        await client.close()
