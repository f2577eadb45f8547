"""QuickFIX's executor as its own examples have it: every limit order is filled at once, with one report.

Arguments: port, folder for its files.  Runs in the environment that `make quickfix` builds; ends with its input.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import quickfix as fix  # type: ignore[import-not-found]  # it has an environment of its own

PORT, FOLDER = int(sys.argv[1]), Path(sys.argv[2])


class Executor(fix.Application):  # type: ignore[misc]  # as above
    """Fills whatever comes."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def onCreate(self, session: Any) -> None:
        pass

    def onLogon(self, session: Any) -> None:
        pass

    def onLogout(self, session: Any) -> None:
        pass

    def toAdmin(self, message: Any, session: Any) -> None:
        pass

    def fromAdmin(self, message: Any, session: Any) -> None:
        pass

    def toApp(self, message: Any, session: Any) -> None:
        pass

    def fromApp(self, message: Any, session: Any) -> None:
        key, symbol, side = fix.ClOrdID(), fix.Symbol(), fix.Side()
        quantity, price = fix.OrderQty(), fix.Price()
        for field in (key, symbol, side, quantity, price):
            message.getField(field)
        self.count += 1
        report = fix.Message()
        report.getHeader().setField(fix.BeginString("FIX.4.4"))
        report.getHeader().setField(fix.MsgType("8"))
        report.setField(fix.OrderID(str(self.count)))
        report.setField(fix.ExecID(str(self.count)))
        report.setField(fix.ExecType("F"))
        report.setField(fix.OrdStatus("2"))
        report.setField(symbol)
        report.setField(side)
        report.setField(fix.LeavesQty(0))
        report.setField(fix.CumQty(quantity.getValue()))
        report.setField(fix.AvgPx(price.getValue()))
        report.setField(fix.LastQty(quantity.getValue()))
        report.setField(fix.LastPx(price.getValue()))
        report.setField(key)
        report.setField(quantity)
        fix.Session.sendToTarget(report, session)


def main() -> None:
    dictionary = next(Path(sys.prefix, "share", "quickfix").glob("FIX44.xml"))
    (FOLDER / "executor.cfg").write_text(
        "[DEFAULT]\n"
        "ConnectionType=acceptor\n"
        f"SocketAcceptPort={PORT}\n"
        "SocketNodelay=Y\n"
        "StartTime=00:00:00\nEndTime=00:00:00\n"
        "UseDataDictionary=Y\n"
        f"DataDictionary={dictionary}\n"
        "[SESSION]\nBeginString=FIX.4.4\nSenderCompID=EXSIM\nTargetCompID=CLIENT\n"
    )
    settings = fix.SessionSettings(str(FOLDER / "executor.cfg"))
    application = Executor()
    stores = fix.MemoryStoreFactory()
    acceptor = fix.SocketAcceptor(application, stores, settings)
    acceptor.start()
    print("ready", flush=True)
    sys.stdin.read()
    acceptor.stop()


if __name__ == "__main__":
    main()
