"""Record conversations of real clients with the simulator: `python tests/golden/record.py` writes the text files.

A file begins with lines of `#` (what was recorded, with what); then each line is `>` (client to server) or `<` and the
bytes of one read (over CQG of one message), in hex.  The clients are not ours, so the client's half is golden; the
server's half is what they accepted.  FIX is text, and is written as such, with `|` for the separator.  CQG's client
has its own transport, and message classes that are ours: each of its messages is followed by `=` and what it says, or
two fields that changed places would still be read and written back to the same bytes.  `+` begins a further
connection.

Words choose files (`plain_1 plain_2 restore_2 ib_async ibapi fix42 fix44 fix50`); `explain` writes CQG's `=` lines
anew from the bytes, which is for a table that was wrong when they were recorded: look at the difference.
"""

from __future__ import annotations

import os
import sys
import time
from decimal import Decimal
from importlib.metadata import version
from importlib.metadata import version as packaged
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from twisted.internet import asyncioreactor

asyncioreactor.install()

from twisted.internet import reactor as _reactor  # noqa: E402 - only now is it the right one
from twisted.internet.defer import Deferred, ensureDeferred  # noqa: E402
from twisted.internet.threads import blockingCallFromThread, deferToThread  # noqa: E402
from twisted.internet.utils import getProcessOutputAndValue  # noqa: E402

from txtrader.exsim.demo import make_demo_venue  # noqa: E402
from txtrader.exsim.endpoints.cqg import CqgEndpoint, CqgOptions  # noqa: E402
from txtrader.exsim.endpoints.fix import FixEndpoint  # noqa: E402
from txtrader.exsim.endpoints.fix.trading import Trading, TradingOptions  # noqa: E402
from txtrader.exsim.endpoints.tws import TwsEndpoint, TwsOptions  # noqa: E402
from txtrader.exsim.records import Terms  # noqa: E402
from txtrader.model.instrument import SecType  # noqa: E402
from txtrader.model.order import OrderType, Side  # noqa: E402
from txtrader.testing.frames import FixSplitter, WebSocketSplitter, cqg_bodies  # noqa: E402
from txtrader.testing.proxy import FaultProxy  # noqa: E402
from txtrader.wire.cqg.schema import ClientMsg, ServerMsg  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1] / "exsim"))
from fix_client import FixClient  # noqa: E402

reactor: Any = _reactor
HERE = Path(__file__).parent
NAMES = {"plain_1", "plain_2", "restore_2", "ib_async", "ibapi", "fix42", "fix44", "fix50"}
FIX_VERSIONS = {"fix42": "FIX.4.2", "fix44": "FIX.4.4", "fix50": "FIXT.1.1"}
CQG_SCRIPT = HERE.parent / "exsim" / "clients" / "cqg_script.py"

IB_ASYNC = """
import sys, ib_async
ib = ib_async.IB()
ib.connect("127.0.0.1", int(sys.argv[1]), clientId=3)
contract = ib_async.Stock("IBM", "SMART", "USD")
ib.qualifyContracts(contract)
ib.reqMktData(contract, "233", False, False)
ib.sleep(0.3)
ib.reqHistoricalData(contract, "", "2 D", "1 hour", "TRADES", True)
resting = ib.placeOrder(contract, ib_async.LimitOrder("BUY", 10, 90.5, orderRef="golden-1", tif="GTC"))
ib.sleep(0.3)
resting.order.lmtPrice = 90.25
ib.placeOrder(contract, resting.order)
ib.sleep(0.3)
ib.cancelOrder(resting.order)
filled = ib.placeOrder(contract, ib_async.MarketOrder("BUY", 10, orderRef="golden-2"))
stop = ib_async.StopLimitOrder("SELL", 5, 80.0, 81.0, orderRef="golden-3")
ib.placeOrder(contract, stop)
ib.sleep(0.5)
ib.reqExecutions()
ib.reqGlobalCancel()
ib.sleep(0.3)
ib.disconnect()
"""

IBAPI = """
import sys, threading, time
from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.order import Order
from ibapi.wrapper import EWrapper

class App(EWrapper, EClient):
    def __init__(self):
        EClient.__init__(self, self)
        self.ready = threading.Event()
    def nextValidId(self, orderId):
        self.next_id = orderId
        self.ready.set()
    def error(self, *args):
        pass

app = App()
app.connect("127.0.0.1", int(sys.argv[1]), 4)
threading.Thread(target=app.run, daemon=True).start()
app.ready.wait(10)
contract = Contract()
contract.symbol, contract.secType, contract.exchange, contract.currency = "IBM", "STK", "SMART", "USD"
app.reqContractDetails(9001, contract)
app.reqMktData(9002, contract, "", False, False, [])
app.reqPositions()
app.reqAccountSummary(9003, "All", "NetLiquidation,BuyingPower")
order = Order()
order.action, order.orderType, order.totalQuantity, order.lmtPrice = "BUY", "LMT", 10, 90.5
order.orderRef, order.eTradeOnly, order.firmQuoteOnly = "golden-4", False, False
app.placeOrder(app.next_id, contract, order)
time.sleep(0.4)
app.reqOpenOrders()
app.reqCompletedOrders(False)
app.cancelOrder(app.next_id)
time.sleep(0.4)
app.disconnect()
"""

CQG_RESTORE = """
import asyncio, sys, websockets
from txtrader.wire.cqg.schema import ClientMsg, ServerMsg

async def take(socket, name):
    while True:
        message = ServerMsg.FromString(await asyncio.wait_for(socket.recv(), 10))
        found = getattr(message, name)
        if message.HasField(name) if hasattr(found, "DESCRIPTOR") else len(found):
            return found if hasattr(found, "DESCRIPTOR") else found[0]

async def ask(socket, name, **fields):
    await socket.send(ClientMsg(**fields).SerializeToString())
    return await take(socket, name)

async def resolve(socket, number):
    request = {"id": number, "subscribe": True, "symbol_resolution_request": {"symbol": "EP"}}
    report = await ask(socket, "information_reports", information_requests=[request])
    return report.symbol_resolution_report.contract_metadata.contract_id

async def watch(socket, number, contract):
    wanted = {"contract_id": contract, "request_id": number, "level": 4}
    await ask(socket, "market_data_subscription_statuses", market_data_subscriptions=[wanted])
    return {quote.type: quote.scaled_price for quote in (await take(socket, "real_time_market_data")).quotes}

async def trades(socket, number):
    wanted = {"id": number, "subscribe": True, "subscription_scopes": [1]}
    await ask(socket, "trade_subscription_statuses", trade_subscriptions=[wanted])

def connect():
    return websockets.connect(sys.argv[1], compression=None, ping_interval=None)

async def main():
    who = {"client_app_id": "WebAPITest", "protocol_version_major": 2, "protocol_version_minor": 230}
    async with connect() as socket:
        logon = {"user_name": "walker", "password": "w", "client_version": "1", "session_settings": [1], **who}
        token = (await ask(socket, "logon_result", logon=logon)).session_token
        request = {"id": 1, "accounts_request": {}}
        report = await ask(socket, "information_reports", information_requests=[request])
        account = report.accounts_report.brokerages[0].sales_series[0].accounts[0].account_id
        old = await resolve(socket, 2)
        best = await watch(socket, 3, old)
        await trades(socket, 4)
        await take(socket, "trade_snapshot_completions")
        message = ClientMsg()
        order = message.order_requests.add(request_id=5).new_order.order
        order.account_id, order.contract_id, order.cl_order_id = account, old, "golden-restore"
        order.order_type, order.side, order.duration, order.qty.significand = 4, 1, 1, 2
        order.scaled_limit_price, order.scaled_stop_price = best[2] + 500, best[2] + 400
        order.when_utc_timestamp.GetCurrentTime()
        await socket.send(message.SerializeToString())
        while (await take(socket, "order_statuses")).status != 3:
            pass
        socket.transport.abort()  # no goodbye of any kind: that is what restoring is for
    await asyncio.sleep(1.1)  # times count from another base then
    async with connect() as socket:
        again = await ask(
            socket, "restore_or_join_session_result", restore_or_join_session={"session_token": token, **who}
        )
        assert again.result_code == 0, again
        new = await resolve(socket, 6)
        assert new != old
        await watch(socket, 7, new)
        await trades(socket, 8)
        resting = await take(socket, "order_statuses")
        assert resting.order.cl_order_id == "golden-restore" and resting.order.contract_id == new
        await take(socket, "trade_snapshot_completions")
        message = ClientMsg()
        cancel = message.order_requests.add(request_id=9).cancel_order
        cancel.order_id, cancel.account_id = resting.order_id, account
        cancel.orig_cl_order_id, cancel.cl_order_id = "golden-restore", "golden-cancel"
        cancel.when_utc_timestamp.GetCurrentTime()
        await socket.send(message.SerializeToString())
        while (await take(socket, "order_statuses")).status != 7:
            pass
        await ask(socket, "logged_off", logoff={})
    async with connect() as socket:
        refused = await ask(
            socket, "restore_or_join_session_result", restore_or_join_session={"session_token": token, **who}
        )
        assert refused.result_code >= 100, refused

asyncio.run(main())
"""


async def record(name: str, script: str, what: str) -> None:
    """Run a client's script against a venue of its own and write what passed."""
    venue = make_demo_venue(reactor, time.time_ns, 1, pace="none", has_house=False)
    venue.start()
    endpoint = TwsEndpoint(venue, reactor, options=TwsOptions(accounts=("DU1000001",)))
    proxy = FaultProxy(reactor, "127.0.0.1", await endpoint.start())
    lines: list[str] = []
    proxy.upstream_taps.append(lambda data: lines.append(f"> {data.hex()}"))
    proxy.downstream_taps.append(lambda data: lines.append(f"< {data.hex()}"))
    (listing,) = venue.instruments.find(symbol="IBM", currency="USD", sectype=SecType.STOCK)
    for side, price in ((Side.BUY, "99.90"), (Side.SELL, "100.10")):
        venue.submit(
            "somebody",
            Terms(
                listing_id=listing.id,
                account="DU1000002",
                side=side,
                quantity=Decimal(100),
                type=OrderType.LIMIT,
                limit_price=Decimal(price),
            ),
        )
    port = await proxy.start()
    _, err, code = await getProcessOutputAndValue(sys.executable, ["-c", script, str(port)], reactor=reactor)
    assert code == 0, err.decode()
    await proxy.stop()
    await endpoint.stop()
    venue.stop()
    write(f"tws/{name}", what, lines)


async def record_cqg(name: str, script: list[str], what: str) -> None:
    """Run a client's script against a simulated CQG of its own and write the messages."""
    venue = make_demo_venue(reactor, time.time_ns, 7, pace="none")
    venue.start()
    endpoint = CqgEndpoint(venue, reactor, options=CqgOptions(user="walker", password="w", handshake_delay=0.05))
    proxy = FaultProxy(reactor, "127.0.0.1", await endpoint.start(), splitters=(WebSocketSplitter, WebSocketSplitter))
    lines: list[str] = []
    for mark, taps in ((">", proxy.upstream_taps), ("<", proxy.downstream_taps)):
        taps.append(lambda piece, mark=mark: lines.extend(f"{mark} {body.hex()}" for body in cqg_bodies(piece)))
    proxy.upstream_taps.append(lambda piece: lines.append("+") if lines and piece.startswith(b"GET ") else None)
    port = await proxy.start()
    url = f"ws://127.0.0.1:{port}/"
    arguments = [url if word == "URL" else word for word in script]
    _, err, code = await getProcessOutputAndValue(sys.executable, arguments, env=os.environ, reactor=reactor)
    assert code == 0, err.decode()
    await proxy.stop()
    await endpoint.stop()
    venue.stop()
    write(f"cqg/{name}", f"websockets {version('websockets')}, {what}", explained(lines))


async def record_fix(name: str, version: str) -> None:
    """Let a client on simplefix trade at a simulated FIX venue of its own, and write the messages."""
    venue = make_demo_venue(reactor, time.time_ns, 7, pace="none", has_house=False)
    venue.start()
    trading = Trading(venue, TradingOptions(accounts={"CLIENT": ("DU1000001",)}))
    endpoint = FixEndpoint(trading, reactor, venue.now_ns)
    trading.attach(endpoint)
    proxy = FaultProxy(reactor, "127.0.0.1", await endpoint.start(), splitters=(FixSplitter, FixSplitter))
    lines: list[str] = []
    for mark, taps in ((">", proxy.upstream_taps), ("<", proxy.downstream_taps)):
        taps.append(lambda piece, mark=mark: lines.append(f"{mark} {piece.decode('latin-1')}".replace("\x01", "|")))
    port = await proxy.start()

    def trade(side: Side, quantity: int) -> None:
        (listing,) = venue.instruments.find(symbol="IBM", currency="USD")
        terms = Terms(
            listing_id=listing.id,
            account="DU1000002",
            side=side,
            quantity=Decimal(quantity),
            type=OrderType.LIMIT,
            limit_price=Decimal("99.5"),
        )
        blockingCallFromThread(reactor, venue.submit, "stranger", terms)

    await deferToThread(_trade_over_fix, port, version, trade)
    await proxy.stop()
    await endpoint.stop()
    venue.stop()
    write(f"fix/{name}", f"simplefix {packaged('simplefix')}, {version}", lines)


def _trade_over_fix(port: int, version: str, trade: Any) -> None:
    client = FixClient(port, version=version)
    client.log_on()
    if version == "FIX.4.2":
        client.send("c", (320, "S1"), (321, 0), (55, "IBM"))
        client.next("d")
    else:
        client.send("x", (320, "S1"), (559, 0), (55, "IBM"))
        client.next("y")
    client.order("G1", 1, 100, "99.50", _1="DU1000001")
    client.next("8")
    trade(Side.SELL, 40)
    client.next("8")
    client.change("G", "G2", "G1", 1, 120, "99.25")
    client.next("8")
    client.change("F", "G3", "G1", 1, 120)  # the name from before the change
    client.next("9")
    client.change("F", "G4", "G2", 1, 120)
    client.next("8")
    client.order("G5", 1, 100, "99.505")
    client.next("8")
    client.send("H", (11, "G4"), (54, 1), (55, "IBM"))
    client.next("8")
    if version != "FIX.4.2":
        client.send("AF", (584, "M1"), (585, 7))
        client.next("8")
        day = time.strftime("%Y%m%d")
        party = ((453, 1), (448, "DU1000001"), (447, "D"), (452, 38))
        client.send(
            "AN", (710, "P1"), (724, 0), *party, (1, "DU1000001"), (581, 1), (715, day), (60, f"{day}-12:00:00")
        )
        client.next("AO")
        client.next("AP")
    client.send("V", (262, "V1"), (263, 0), (264, 1), (267, 2), (269, 0), (269, 1), (146, 1), (55, "IBM"))
    client.next("W")
    client.send("5")
    client.next("5")
    client.close()


def explained(lines: list[str]) -> list[str]:
    """Put after each CQG message what it says, for a reader and for the test of its meaning."""
    found = []
    for line in lines:
        if line.startswith("="):
            continue
        found.append(line)
        if line[0] in "<>":
            message = (ClientMsg if line[0] == ">" else ServerMsg).FromString(bytes.fromhex(line[2:]))
            found.append(f"= {text_format.MessageToString(message, as_one_line=True)}")
    return found


def explain() -> None:
    """Write the meaning of all CQG recordings anew and leave their bytes as they are."""
    for path in sorted((HERE / "cqg").glob("*.txt")):
        path.write_text("\n".join(explained(path.read_text().splitlines())) + "\n")


def write(name: str, what: str, lines: list[str]) -> None:
    header = [f"# {what}", "# with the simulator of this project, on loopback; accounts and figures are made up"]
    path = HERE / f"{name}.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([*header, *lines]) + "\n")


async def main(names: set[str]) -> None:
    for dialect in ("1", "2"):
        if f"plain_{dialect}" in names:
            script = [str(CQG_SCRIPT), "URL", dialect]
            await record_cqg(f"plain_{dialect}", script, f"a client of generation {dialect}")
    if "restore_2" in names:
        await record_cqg("restore_2", ["-c", CQG_RESTORE, "URL"], "a client of generation 2 that lost its link")
    for name in sorted(FIX_VERSIONS.keys() & names):
        await record_fix(name, FIX_VERSIONS[name])
    if "ib_async" in names:
        await record("ib_async", IB_ASYNC, f"ib_async {version('ib_async')}, negotiated 178, its own session")
    if "ibapi" in names:
        await record("ibapi", IBAPI, f"ibapi {version('ibapi')} with its own threads, negotiated 157")


if __name__ == "__main__":
    if sys.argv[1:] == ["explain"]:
        explain()  # no reactor: there is nobody to talk to
        sys.exit()
    chosen = set(sys.argv[1:]) or NAMES
    if unknown := chosen - NAMES:
        sys.exit(f"no such recording: {' '.join(sorted(unknown))}")
    finished: Deferred[None] = ensureDeferred(main(chosen))
    finished.addErrback(lambda failure: failure.printTraceback())
    finished.addBoth(lambda _: reactor.stop())
    reactor.run()
