"""Record conversations of real clients with the simulator: `python tests/golden/record.py` writes the text files.

A file begins with lines of `#` (what was recorded, with what); then each line is `>` (client to server) or `<` and the
bytes of one read (over CQG of one message), in hex.  The clients are not ours, so the client's half is golden; the
server's half is what they accepted.  CQG's client has its own transport, and message classes that are ours.
"""

from __future__ import annotations

import os
import sys
import time
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from twisted.internet import asyncioreactor

asyncioreactor.install()

from twisted.internet import reactor as _reactor  # noqa: E402 - only now is it the right one
from twisted.internet.defer import Deferred, ensureDeferred  # noqa: E402
from twisted.internet.utils import getProcessOutputAndValue  # noqa: E402

from txtrader.exsim.demo import make_demo_venue  # noqa: E402
from txtrader.exsim.endpoints.cqg import CqgEndpoint, CqgOptions  # noqa: E402
from txtrader.exsim.endpoints.tws import TwsEndpoint, TwsOptions  # noqa: E402
from txtrader.exsim.records import Terms  # noqa: E402
from txtrader.model.instrument import SecType  # noqa: E402
from txtrader.model.order import OrderType, Side  # noqa: E402
from txtrader.testing.frames import WebSocketSplitter, cqg_bodies  # noqa: E402
from txtrader.testing.proxy import FaultProxy  # noqa: E402

reactor: Any = _reactor
HERE = Path(__file__).parent
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


async def record_cqg(dialect: int) -> None:
    """Run the plain client of one generation against a simulated CQG of its own and write the messages."""
    venue = make_demo_venue(reactor, time.time_ns, 7, pace="none")
    venue.start()
    endpoint = CqgEndpoint(venue, reactor, options=CqgOptions(user="walker", password="w", handshake_delay=0.05))
    proxy = FaultProxy(reactor, "127.0.0.1", await endpoint.start(), splitters=(WebSocketSplitter, WebSocketSplitter))
    lines: list[str] = []
    for mark, taps in ((">", proxy.upstream_taps), ("<", proxy.downstream_taps)):
        taps.append(lambda piece, mark=mark: lines.extend(f"{mark} {body.hex()}" for body in cqg_bodies(piece)))
    port = await proxy.start()
    arguments = [str(CQG_SCRIPT), f"ws://127.0.0.1:{port}/", str(dialect)]
    _, err, code = await getProcessOutputAndValue(sys.executable, arguments, env=os.environ, reactor=reactor)
    assert code == 0, err.decode()
    await proxy.stop()
    await endpoint.stop()
    venue.stop()
    write(f"cqg/plain_{dialect}", f"websockets {version('websockets')}, a client of generation {dialect}", lines)


def write(name: str, what: str, lines: list[str]) -> None:
    header = [f"# {what}", "# with the simulator of this project, on loopback; accounts and figures are made up"]
    path = HERE / f"{name}.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([*header, *lines]) + "\n")


async def main() -> None:
    for dialect in (1, 2):
        await record_cqg(dialect)
    if sys.argv[1:] == ["cqg"]:
        return
    await record("ib_async", IB_ASYNC, f"ib_async {version('ib_async')}, negotiated 178, its own session")
    await record("ibapi", IBAPI, f"ibapi {version('ibapi')} with its own threads, negotiated 157")


if __name__ == "__main__":
    finished: Deferred[None] = ensureDeferred(main())
    finished.addErrback(lambda failure: failure.printTraceback())
    finished.addBoth(lambda _: reactor.stop())
    reactor.run()
