"""The `txtrader` command against a small XMLRPC server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xmlrpc.client
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from txtrader.client.command import main
from txtrader.client.output import to_json, to_table
from txtrader.model.operations import OPERATIONS
from txtrader.version import __version__

ORDER = {
    "id": "TX-1",
    "status": "New",
    "symbol": "IBM",
    "side": "BUY",
    "quantity": 100,
    "remaining": 100,
    "price": 124.5,
}
Run = Callable[..., Result]


@pytest.fixture
def run(http_gateway: Any, monkeypatch: pytest.MonkeyPatch) -> Run:
    for name, value in (("HTTP_PORT", str(http_gateway.port)), ("USERNAME", "alice"), ("PASSWORD", "s3cret")):
        monkeypatch.setenv(f"TXTRADER_{name}", value)
    monkeypatch.setenv("TXTRADER_GET_BACKOFF_FACTOR", "0")

    def invoke(*words: str, text: str | None = None) -> Result:
        return CliRunner().invoke(main, list(words), input=text)

    return invoke


def test_every_operation_is_a_command_and_described(run: Run) -> None:
    shown = run("--help").output
    for name, operation in OPERATIONS.items():
        assert name in shown
        result = run(name, "--help")
        assert result.exit_code == 0
        assert " ".join(operation.doc.split()) in " ".join(result.output.split())


def test_results_are_json_in_a_pipe(http_gateway: Any, run: Run) -> None:
    http_gateway.answers["query_order"] = ORDER | {"price": 124.5, "permid": None}
    result = run("query_order", "TX-1")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["price"] == 124.5
    assert len(result.stdout.splitlines()) > 3
    assert run("-c", "query_order", "TX-1").stdout.count("\n") == 1
    assert run("query-order", "TX-1", "-c").stdout.count("\n") == 1


def test_tables_are_for_people(http_gateway: Any, run: Run) -> None:
    http_gateway.answers["query_orders"] = {"TX-1": ORDER}
    lines = run("--table", "query_orders").stdout.splitlines()
    assert lines[1].split() == ["id", "symbol", "side", "quantity", "price", "status"]
    assert lines[3].split() == ["TX-1", "IBM", "BUY", "100", "124.5", "New"]


def test_orders_have_both_ages_and_options(http_gateway: Any, run: Run) -> None:
    http_gateway.answers["limit_order"] = ORDER
    assert run("limit_order", "IBM", "124.50", "-100", "--tif", "GTC", "--key", "a1").exit_code == 0
    assert run("-a", "DU1", "limit_order", "DU2", "SMART", "IBM", "124.5", "100", "--key", "a2").exit_code == 0
    assert [parameters for _, parameters in http_gateway.calls] == [
        ("IBM", "124.50", "-100", {"tif": "GTC", "client_order_id": "a1"}),
        ("IBM", "124.5", "100", {"account": "DU2", "route": "SMART", "client_order_id": "a2"}),
    ]


def test_fields_are_json_or_name_and_value(http_gateway: Any, run: Run) -> None:
    http_gateway.answers |= {"modify_order": ORDER, "submit_order": ORDER, "set_order_route": {}}
    assert run("modify_order", "TX-1", "limit_price=124.25", "quantity=50").exit_code == 0
    assert run("modify_order", "TX-1", '{"limit_price": 124.25}').exit_code == 0
    assert run("submit_order", "symbol=IBM", "side=BUY", "quantity=1", "type=Market", "what_if=true").exit_code == 0
    assert run("set_order_route", "null").exit_code == 0
    assert run("set_order_route", '{"ADAPTIVE": {"priority": "Normal"}}').exit_code == 0
    assert [parameters for _, parameters in http_gateway.calls] == [
        ("TX-1", {"limit_price": "124.25", "quantity": "50"}),
        ("TX-1", {"limit_price": "124.25"}),
        ({"symbol": "IBM", "side": "BUY", "quantity": "1", "type": "Market", "what_if": True},),
        (None,),
        ({"ADAPTIVE": {"priority": "Normal"}},),
    ]


def test_optional_arguments_are_words_or_options(http_gateway: Any, run: Run) -> None:
    http_gateway.answers["query_symbols"] = {}
    run("query_symbols", "true")
    run("query_symbols", "--data")
    assert [parameters for _, parameters in http_gateway.calls] == [({"data": True},)] * 2


def test_usage_is_2_an_error_is_1_an_unknown_outcome_is_3(http_gateway: Any, run: Run) -> None:
    for words in (
        ("limit_order", "IBM"),
        ("query_order", "TX-1", "--tiff"),
        ("nonsense",),
        ("modify_order", "TX-1", "{"),
    ):
        assert run(*words).exit_code == 2, words
    http_gateway.answers["query_order"] = xmlrpc.client.Fault(-32004, "not-found: no such order")
    result = run("query_order", "TX-9")
    assert (result.exit_code, result.stderr) == (1, "txtrader: not-found: no such order\n")
    http_gateway.answers["market_order"] = xmlrpc.client.Fault(-32021, "risk-denied: too much [order=TX-1]")
    assert run("market_order", "IBM", "1").stderr == "txtrader: risk-denied: too much [order=TX-1]\n"
    http_gateway.answers["market_order"] = ORDER | {"status": "Unknown"}
    assert run("market_order", "IBM", "1").exit_code == 3
    http_gateway.answers["query_order"] = ORDER | {"status": "Unknown"}
    assert run("query_order", "TX-1").exit_code == 0
    http_gateway.drops = 99
    result = run("market_order", "IBM", "1", "--key", "k1")
    assert result.exit_code == 3
    assert "unknown: the order may be live" in result.stderr
    assert "[order=k1]" in result.stderr


def test_orders_in_words(http_gateway: Any, run: Run) -> None:
    http_gateway.answers["submit_order"] = ORDER
    for words in (
        ("buy", "100", "IBM"),
        ("sell", "100", "IBM", "-l", "124.5", "--tif", "gtc"),
        ("short", "100", "IBM", "-s", "120", "-l", "119.5"),
        ("cover", "100", "IBM", "-s", "120"),
        ("submit", "buy", "100", "IBM", "--trail", "2%"),
        ("buy", "100", "IBM", "--trail", "0.5", "--limit-offset", "0.1"),
        ("buy", "100", "IBM", "--staged", "t1"),
    ):
        assert run(*words, "-f", "--key", "k").exit_code == 0, words
    orders = [parameters[0] for _, parameters in http_gateway.calls]
    base = {"symbol": "IBM", "quantity": "100", "client_order_id": "k"}
    assert orders == [
        base | {"side": "BUY", "type": "Market"},
        base | {"side": "SELL", "type": "Limit", "limit_price": "124.5", "tif": "GTC"},
        base | {"side": "SELLSHORT", "type": "StopLimit", "stop_price": "120", "limit_price": "119.5"},
        base | {"side": "BUYTOCOVER", "type": "Stop", "stop_price": "120"},
        base | {"side": "BUY", "type": "TrailingStop", "trail_percent": "2"},
        base | {"side": "BUY", "type": "TrailingStopLimit", "trail_amount": "0.5", "limit_offset": "0.1"},
        base | {"side": "BUY", "type": "Market", "stage": True, "tag": "t1"},
    ]


def test_an_order_is_not_sent_where_nobody_can_be_asked(http_gateway: Any, run: Run) -> None:
    result = run("buy", "100", "IBM", text="y\n")
    assert result.exit_code == 2
    assert http_gateway.calls == []


def test_words_that_do_not_go_together_are_usage(run: Run) -> None:
    assert run("buy", "1", "IBM", "--trail", "1", "-l", "2", "-f").exit_code == 2
    assert run("buy", "1", "IBM", "--limit-offset", "1", "-f").exit_code == 2


def test_the_password_comes_from_a_line_or_a_file_and_a_literal_is_warned_of(http_gateway: Any, run: Run) -> None:
    http_gateway.answers["status"] = "Up"
    Path("word").write_text("from a file\n")
    results = [run("-P", "-", "status", text="from stdin\n"), run("-P", "@word", "status"), run("-P", "x y", "status")]
    assert [result.exit_code for result in results] == [0, 0, 0]
    assert [result.stderr == "" for result in results] == [True, True, False]
    import base64

    logins = [base64.b64decode(login.split()[1]).decode() for login in http_gateway.logins]
    assert logins == ["alice:from stdin", "alice:from a file", "alice:x y"]
    assert run("-P", "@nowhere", "status").exit_code == 2


def test_a_missing_login_is_an_error_that_helps(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TXTRADER_PASSWORD")
    result = run("status")
    assert result.exit_code == 1
    assert "config: TXTRADER_PASSWORD" in result.stderr


def test_the_version_is_told(run: Run) -> None:
    assert run("--version").stdout.startswith(f"txtrader {__version__} ")


def test_the_command_of_2015_works(http_gateway: Any) -> None:
    http_gateway.answers["status"] = "Up"
    environ = {"PATH": os.environ["PATH"], "TXTRADER_TWS_HTTP_PORT": str(http_gateway.port)}
    environ |= {"TXTRADER_USERNAME": "alice", "TXTRADER_PASSWORD": "s3cret"}
    command = [sys.executable, "-m", "txtrader.client", "tws", "status"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, '"Up"\n', "")
    done = subprocess.run(command[:4], env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2


def test_json_numbers_are_exact() -> None:
    value = {"a": Decimal("124.50"), "b": [Decimal("1E+3"), Decimal("0.00000001"), None, True], "c": Decimal("-0")}
    assert to_json(value, compact=True) == '{"a":124.5,"b":[1000,0.00000001,null,true],"c":0}'


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        ({"DU1": {"IBM": 100, "MSFT": Decimal("-2.5")}}, [("DU1", "IBM", "100"), ("DU1", "MSFT", "-2.5")]),
        ({"DU1": {}}, []),
        ({"DU1": []}, [("DU1", "")]),
        ({"Cash": ["100.5", "USD"], "Type": ["margin", None]}, [("Cash", "100.5", "USD"), ("Type", "margin", "")]),
        (
            ["Status: OK", ["2026-11-20 09:30:00", 1, 2, 0.5, 1.5, 100]],
            [("2026-11-20 09:30:00", "1", "2", "0.5", "1.5", "100")],
        ),
        (["IBM", "MSFT"], [("IBM",), ("MSFT",)]),
        ([], []),
        ({}, []),
        (
            {"id": "TX-1", "permid": None, "stale": False, "children": ["TX-2"]},
            [("id", "TX-1"), ("stale", "no"), ("children", "TX-2")],
        ),
        ({"DU1": [{"account": "DU1", "symbol": "IBM", "quantity": 1, "avgprice": 2}]}, [("DU1", "IBM", "1", "2")]),
    ],
)
def test_a_shape_has_its_table(value: Any, rows: list[tuple[str, ...]]) -> None:
    table = to_table(value)
    assert table is not None
    assert list(table.rows) == rows


def test_a_plain_value_is_no_table() -> None:
    assert to_table("Up") is None


def test_a_users_line_holds_the_hash_and_not_the_password(tmp_path: Path) -> None:
    from txtrader.cli_users import users
    from txtrader.gateway.access_users import load_users

    runner = CliRunner()
    done = runner.invoke(users, ["hash", "alice", "--role", "admin", "--password-stdin"], input="correct horse\n")
    assert done.exit_code == 0
    assert "correct" not in done.stdout
    path = tmp_path / "users"
    path.write_text(done.stdout)
    path.chmod(0o640)
    (record,) = load_users(str(path))
    assert (record.user.name, record.user.role, record.user.accounts) == ("alice", "admin", None)
    assert runner.invoke(users, ["hash", "alice", "--password-stdin"], input="password\n").exit_code == 1
    assert runner.invoke(users, ["hash", "Alice", "--random"]).exit_code == 2
