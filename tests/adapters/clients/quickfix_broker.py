"""A broker on QuickFIX, which checks everything that a client sends by its own dictionaries.

Arguments: port, version (FIX.4.2, FIX.4.4 or FIXT.1.1).  Ends when its client has logged out; prints one JSON object of
what it heard and what it rejected.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
import threading
from pathlib import Path

import quickfix as fix

DICTIONARIES = Path(sys.prefix) / "share" / "quickfix"
PORT, VERSION = int(sys.argv[1]), sys.argv[2]
IS_OLD = VERSION == "FIX.4.2"


class Broker(fix.Application):
    """Takes every order, fills the odd ones, and answers every question."""

    def __init__(self) -> None:
        super().__init__()
        self.is_over = threading.Event()
        self.heard: list[str] = []
        self.rejects: list[str] = []
        self.orders: dict[str, dict[int, str]] = {}  # by the name they have now
        self.numbers = itertools.count(1)

    def onCreate(self, session):
        self.session = session

    def onLogon(self, session):
        self.has_met = True

    def onLogout(self, session):
        if getattr(self, "has_met", False):
            self.is_over.set()

    def toAdmin(self, message, session):
        self.note(message)

    def fromAdmin(self, message, session):
        self.note(message)

    def toApp(self, message, session):
        self.note(message)

    def note(self, message) -> None:
        """Keep rejects, whoever sends them."""
        if fields_of(message).get(35) in ("3", "j"):
            self.rejects.append(message.toString().replace("\x01", "|"))

    def fromApp(self, message, session):
        fields = fields_of(message)
        kind = fields[35]
        self.heard.append(kind)
        answer = getattr(self, f"on_{kind}", None)
        if answer is not None:
            answer(fields)

    def send(self, kind: str, fields: dict[int, object]) -> None:
        message = fix.Message()
        message.getHeader().setField(fix.StringField(35, kind))
        for tag, value in fields.items():
            if value is not None:
                message.setField(fix.StringField(tag, str(value)))
        fix.Session.sendToTarget(message, self.session)

    def report(self, order: dict[int, str], event: str, status: str, **more: object) -> None:
        word = {"F": "2", "I": status}.get(event, event) if IS_OLD else event
        done = order[38] if status == "2" else "0"
        fields: dict[int, object] = {37: order[37], 17: f"E{next(self.numbers)}", 150: word, 39: status}
        fields |= {tag: order.get(tag) for tag in (11, 1, 55, 54, 38, 40, 44, 99, 59)}
        fields |= {14: done, 151: "0" if status in "24" else order[38], 6: order.get(44, "0") if status == "2" else "0"}
        if IS_OLD:
            fields[20] = "3" if event == "I" else "0"
        self.send("8", fields | {int(tag[1:]): value for tag, value in more.items()})

    def on_D(self, order):
        order[37] = f"V{next(self.numbers)}"
        self.orders[order[11]] = order
        self.report(order, "0", "0")
        if order[40] == "1":
            self.report(order, "F", "2", t32=order[38], t31="99", t12="1.5", t13="3")
            del self.orders[order[11]]

    def on_G(self, change):
        order = self.orders.pop(change[41])
        order |= {tag: change[tag] for tag in (11, 38, 44)}
        self.orders[order[11]] = order
        self.report(order, "5", "5" if IS_OLD else "0", t41=change[41])

    def on_F(self, request):
        order = self.orders.pop(request[41], None)
        if order is None:
            self.send("9", {11: request[11], 37: "NONE", 39: "8", 41: request[41], 434: "1", 102: "1", 58: "unknown"})
            return
        order[11] = request[11]
        self.report(order, "4", "4", t41=request[41])

    def on_H(self, request):
        order = self.orders.get(request[11])
        if order is None:
            order = {**request, 37: "NONE", 38: "0", 40: "1"}
            self.report(order, "I", "8", t103="5", t790=request.get(790))
        else:
            self.report(order, "I", "0", t790=request.get(790))

    def on_AF(self, request):
        live = list(self.orders.values())
        for place, order in enumerate(live, 1):
            last = "Y" if place == len(live) else None
            self.report(order, "I", "0", t584=request[584], t911=len(live), t912=last)
        if not live:
            none = {37: "NONE", 38: "0", 54: "1"}
            self.report(none, "I", "8", t584=request[584], t911=0, t912="Y", t103="5")

    def on_AN(self, request):
        self.send("AO", {721: "P", 710: request[710], 727: 0, 728: 2, 729: 0, 1: request[1], 581: 1})

    def on_x(self, request):
        self.send("y", {320: request[320], 322: "L", 560: 2})

    def on_c(self, request):
        self.send("d", {320: request[320], 322: "D", 323: 5 if IS_OLD else 6, 393: 0 if IS_OLD else None})

    def on_V(self, request):
        if request[263] != "2":
            self.send("Y", {262: request[262], 281: 0, 58: "no data here"})

    def on_q(self, request):
        more = {1369: "M"} if VERSION == "FIXT.1.1" else {}
        self.send("r", {11: request[11], 37: "M", 530: request[530], 531: request[530], **more})
        for order in list(self.orders.values()):
            self.report(order, "4", "4")
        self.orders.clear()


def fields_of(message) -> dict[int, str]:
    """Return the fields by tag, the first of each."""
    parts = [part.partition("=") for part in message.toString().split("\x01") if part]
    return {int(tag): value for tag, _, value in reversed(parts)}


def main() -> None:
    folder = tempfile.mkdtemp()
    lines = [
        "[DEFAULT]",
        "ConnectionType=acceptor",
        "StartTime=00:00:00",
        "EndTime=00:00:00",
        f"FileStorePath={folder}",
        "UseDataDictionary=Y",
        f"SocketAcceptPort={PORT}",
        "[SESSION]",
        f"BeginString={VERSION}",
        "SenderCompID=BROKER",
        "TargetCompID=GATEWAY",
    ]
    if VERSION == "FIXT.1.1":
        lines += ["DefaultApplVerID=9", f"TransportDataDictionary={DICTIONARIES / 'FIXT11.xml'}"]
        lines += [f"AppDataDictionary={DICTIONARIES / 'FIX50SP2.xml'}"]
    else:
        lines += [f"DataDictionary={DICTIONARIES / (VERSION.replace('.', '') + '.xml')}"]
    config = Path(folder) / "quickfix.cfg"
    config.write_text("\n".join(lines) + "\n")
    broker = Broker()
    settings = fix.SessionSettings(str(config))
    acceptor = fix.SocketAcceptor(broker, fix.FileStoreFactory(settings), settings)
    acceptor.start()
    if not broker.is_over.wait(60):
        raise SystemExit(f"nobody logged out; heard {broker.heard}, rejects {broker.rejects}")
    print(json.dumps({"heard": sorted(set(broker.heard)), "rejects": broker.rejects}), flush=True)
    os._exit(0)  # QuickFIX's threads do not always survive the end of the interpreter


main()
