"""The front end contract: the same script over every front end gives equal canonical JSON (F62 H11 H14).

Each front end gets a gateway and a simulated broker of its own, in the same state; what differs by nature (ids made
from clocks, times) is replaced by its place of appearance before the comparison.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from txtrader.errors import TxTraderError
from txtrader.model.order import Side
from txtrader.testing.clients import LineClient, XmlRpcClient
from txtrader.testing.stage import Stage

FRONT_ENDS = {"lines": LineClient.connect, "xmlrpc": XmlRpcClient.connect}

ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d]*Z?")
ID = re.compile(r"TX-[A-Z0-9]+-\d+|[0-9a-f]{8}\.[0-9a-f]{8}\.\d\d\.\d\d")


class Canonical:
    """Makes answers comparable: numbers as exact text, times as T, each id as the number of its first appearance."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def of(self, value: Any) -> Any:
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, (int, float, Decimal)):
            text = format(Decimal(repr(value)) if isinstance(value, float) else Decimal(value), "f")
            return text.rstrip("0").rstrip(".") if "." in text else text
        if isinstance(value, str):
            return ID.sub(lambda found: self._name(found[0]), ISO.sub("T", value))
        if isinstance(value, dict):
            return {
                self.of(key): self._name(str(item)) if key in NAMED and item is not None else self.of(item)
                for key, item in sorted(value.items())
                if key not in MOMENTARY
            }
        return [self.of(item) for item in value]

    def _name(self, text: str) -> str:
        return self._ids.setdefault(text, f"id{len(self._ids)}")


MOMENTARY = {"whyheld", "broker_status", "update_time"}
"""What an order says of the moment between two messages of the broker: it depends on when exactly it was asked."""
NAMED = {"id", "permid", "execId", "orderid", "broker_order_id", "epoch", "tag", "replaces"}


def order(**terms: Any) -> dict[str, Any]:
    return {"symbol": "IBM", "side": "BUY", "quantity": 100, "type": "Limit", "limit_price": "99.5", **terms}


class Script:
    """One run: every answer and every error, in sequence."""

    def __init__(self, stage: Stage, client: Any) -> None:
        self._stage = stage
        self._client = client
        self._canonical = Canonical()
        self.log: list[tuple[str, Any]] = []

    def ask(self, operation: str, *positional: Any, **options: Any) -> Any:
        step = self._canonical.of(f"{operation}{positional}{options}")
        try:
            result = self._client.call(operation, *positional, **options)
        except TxTraderError as error:
            self.log.append((step, {"error": error.code}))
            return None
        self.log.append((step, self._canonical.of(result)))
        return result

    def until(self, operation: str, *positional: Any, key: str, value: Any) -> None:
        """Wait without noting what is seen on the way."""
        self._stage.daemons[-1].wait(
            lambda: self._client.call(operation, *positional)[key] == value, 10, f"{operation} {key} {value}"
        )


def play(script: Script, stage: Stage) -> None:
    ask = script.ask
    # Session and information
    ask("whoami")
    ask("query_capabilities")
    ask("status")
    ask("query_accounts")
    account = script._client.call("query_accounts")[0]
    ask("set_account", account)
    ask("set_account", "NOBODYS")
    ask("get_order_route")
    # Instruments
    stage.submit(Side.BUY, 100, "99.00")
    stage.submit(Side.SELL, 100, "101.00")
    ask("add_symbol", "IBM")
    ask("add_symbol", "ibm")
    ask("add_symbol", "NOSUCHSYMBOL")
    ask("add_symbol", "not a symbol;")
    ask("query_symbols")
    script.until("query_symbol", "IBM", key="ask", value=101)
    ask("resolve_symbol", "IBM")
    ask("resolve_symbol", "ES:0@CME")
    ask("query_symbol", "MSFT")
    ask("del_symbol", "MSFT")
    # Orders
    first = ask("submit_order", order(client_order_id="a1"))
    ask("submit_order", order(client_order_id="a1"))
    ask("submit_order", order(client_order_id="a1", quantity=200))
    ask("query_order", "client:a1")
    ask("modify_order", first["id"], {"limit_price": "99.25", "quantity": 150})
    script.until("query_order", first["id"], key="price", value=99.25)
    ask("query_order", first["id"])
    ask("limit_order", "IBM", "98.5", -10, client_order_id="a2", tif="GTC")
    ask("limit_order", "IBM", "98.5", 0)
    ask("stop_order", "IBM", "105", 10, client_order_id="a3")
    ask("stoplimit_order", "IBM", "105", "106.5", 10, client_order_id="a4")
    ask("market_order", "IBM", 10, client_order_id="a5")
    script.until("query_order", "client:a5", key="status", value="Filled")
    # Refusals
    ask("submit_order", order(limit_price=None))
    ask("submit_order", order(side="BUYING"))
    ask("submit_order", order(type="Market"))
    ask("submit_order", order(limit_price="99.505"))
    ask("submit_order", order(unknown_field=1))
    ask("submit_order", order(account="NOBODYS"))
    ask("query_order", "TX-NOSUCH-000001")
    ask("cancel_order", "TX-NOSUCH-000001")
    ask("query_execution", "no.such.execution")
    ask("market_order", "IBM")
    ask("market_order", "IBM", "ten")
    # Taking back
    ask("cancel_order", "client:a1")
    script.until("query_order", "client:a1", key="status", value="Canceled")
    ask("cancel_order", "client:a1")
    ask("cancel_order", "client:a5")
    # The books at rest
    for key in ("a3", "a4"):
        ask("cancel_order", f"client:{key}")
        script.until("query_order", f"client:{key}", key="status", value="Canceled")
    ask("query_orders")
    ask("query_executions")
    ask("query_order_executions", "client:a5")
    ask("query_reconciliation")
    ask("query_account", account, fields=["BuyingPower"])


@pytest.fixture(scope="module")
def logs(tmp_path_factory) -> dict[str, list[tuple[str, Any]]]:
    """Play the script over each front end."""
    found: dict[str, list[tuple[str, Any]]] = {}

    async def act(name: str) -> None:
        async with Stage(reactor, tmp_path_factory.mktemp(name)) as stage:

            def run(stage: Stage) -> None:
                daemon = stage.start_daemon()
                with FRONT_ENDS[name](daemon) as client:
                    script = Script(stage, client)
                    play(script, stage)
                    found[name] = script.log

            await stage.run(run)

    for name in FRONT_ENDS:
        pytest_twisted.blockon(pytest_twisted.defer.ensureDeferred(act(name)))
    return found


def test_every_front_end_gives_the_same_answers(logs):
    reference = logs["lines"]
    for name, log in logs.items():
        assert [step for step, _ in log] == [step for step, _ in reference]
        for (step, ours), (_, theirs) in zip(reference, log, strict=True):
            assert ours == theirs, f"{step}: lines and {name} differ"


def test_the_script_reached_every_kind_of_answer(logs):
    """A script that only met errors would prove nothing."""
    answers = [answer for _, answer in logs["lines"]]
    codes = {answer["error"] for answer in answers if isinstance(answer, dict) and "error" in answer}
    assert {"invalid-argument", "not-found", "idempotency-key-reuse"} <= codes
    statuses = {answer.get("status") for answer in answers if isinstance(answer, dict)}
    assert {"New", "Canceled", "Filled"} <= statuses
