"""Trade through a simulated FIX venue with QuickFIX, which checks everything by its own dictionaries.

Arguments: port, version (FIX.4.2, FIX.4.4 or FIXT.1.1), how many orders.  Prints one JSON object of what was seen.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import quickfix as fix

DICTIONARIES = Path(sys.prefix) / "share" / "quickfix"
PORT, VERSION, COUNT = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])


class Application(fix.Application):
    """Sends orders one after another and counts what comes."""

    def __init__(self) -> None:
        super().__init__()
        self.session = None
        self.is_up = threading.Event()
        self.is_out = threading.Event()
        self.news = threading.Condition()
        self.reports: list[dict[int, str]] = []
        self.rejects: list[str] = []
        self.data: set[tuple[str, str, str]] = set()  # request, W or X, type of entry

    def onCreate(self, session):
        self.session = session

    def onLogon(self, session):
        self.is_up.set()

    def onLogout(self, session):
        self.is_out.set()

    def toAdmin(self, message, session):
        if kind_of(message) == "3":
            self.rejects.append(message.toString().replace("\x01", "|"))

    def fromAdmin(self, message, session):
        if kind_of(message) == "3":
            self.rejects.append(message.toString().replace("\x01", "|"))

    def toApp(self, message, session):
        if kind_of(message) == "j":
            self.rejects.append(message.toString().replace("\x01", "|"))

    def fromApp(self, message, session):
        fields = dict(part.partition("=")[::2] for part in message.toString().split("\x01") if part)
        with self.news:
            if fields["35"] in ("W", "X"):
                self.data.update((fields["262"], fields["35"], kind) for kind in kinds_of_entries(message))
            elif fields["35"] == "8":
                self.reports.append({int(tag): value for tag, value in fields.items()})
            else:
                self.rejects.append(message.toString().replace("\x01", "|"))
            self.news.notify()

    def wait_for_data(self, auction: tuple[str, ...]) -> None:
        """Wait until pictures and changes have come by level and by order, and the figures of an auction."""
        wanted = {(request, kind, "0") for request in ("LEVELS", "ORDERS") for kind in "WX"}
        wanted |= {("ORDERS", "X", kind) for kind in auction}
        with self.news:
            if not self.news.wait_for(lambda: wanted <= self.data, 20):
                raise SystemExit(f"only {self.data} came; rejects: {self.rejects}")

    def wait(self, count: int) -> None:
        with self.news:
            if not self.news.wait_for(lambda: len(self.reports) >= count, 20):
                raise SystemExit(f"only {len(self.reports)} reports came; rejects: {self.rejects}")


def kind_of(message) -> str:
    kind = fix.MsgType()
    message.getHeader().getField(kind)
    return kind.getValue()


def kinds_of_entries(message) -> list[str]:
    return [part[4:] for part in message.toString().split("\x01") if part.startswith("269=")]


SHOWN = 1138 if VERSION == "FIXT.1.1" else 111
SPECIAL: list[dict[int, str]] = [
    {18: "G"},
    {18: "6"},
    {110: "5"},
    {SHOWN: "0"},
    {SHOWN: "2"},
    {40: "P", 18: "R", 211: "-0.5"},
    {40: "P", 18: "P", 211: "-0.5"},
    {40: "P", 18: "M"},
]
if VERSION == "FIX.4.4":
    SPECIAL += [{40: "P", 18: "R", 211: "-0.1", 835: "0"}]
if VERSION == "FIXT.1.1":
    SPECIAL += [
        {40: "P", 1094: "5", 211: "-0.5"},
        {1084: "3", 1085: "2", 1086: "5"},
        {1100: "4", 1101: "1", 1102: "1.10", 1107: "2", 1109: "D"},
    ]
"""What rests far from the market, in the words of the version."""


def order(key: str, side: str, quantity: int, price: str | None, more: dict[int, str] | None = None) -> fix.Message:
    message = fix.Message()
    message.getHeader().setField(fix.StringField(35, "D"))
    fields = {11: key, 21: "1", 55: "IBM", 54: side, 38: str(quantity), 40: "1" if price is None else "2", 59: "0"}
    if price is not None:
        fields[44] = price
    for tag, value in {**fields, **(more or {})}.items():
        message.setField(fix.StringField(tag, value))
    message.setField(fix.StringField(60, time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())))
    return message


def cancel(key: str, original: str) -> fix.Message:
    message = fix.Message()
    message.getHeader().setField(fix.StringField(35, "F"))
    for tag, value in {11: key, 41: original, 55: "IBM", 54: "1", 38: "10"}.items():
        message.setField(fix.StringField(tag, value))
    message.setField(fix.StringField(60, time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())))
    return message


def watch(request: str, *kinds: str, more: dict[int, str]) -> fix.Message:
    message = fix.Message()
    message.getHeader().setField(fix.StringField(35, "V"))
    for tag, value in {262: request, 263: "1", 264: "0", 265: "1", **more}.items():
        message.setField(fix.StringField(tag, value))
    for kind in kinds:
        group = fix.Group(267, 269)
        group.setField(fix.StringField(269, kind))
        message.addGroup(group)
    group = fix.Group(146, 55)
    group.setField(fix.StringField(55, "IBM"))
    message.addGroup(group)
    return message


def main() -> None:
    folder = tempfile.mkdtemp()
    lines = [
        "[DEFAULT]",
        "ConnectionType=initiator",
        "HeartBtInt=30",
        "ReconnectInterval=1",
        "StartTime=00:00:00",
        "EndTime=00:00:00",
        f"FileStorePath={folder}",
        "UseDataDictionary=Y",
        "[SESSION]",
        f"BeginString={VERSION}",
        "SenderCompID=QUICK",
        "TargetCompID=EXSIM",
        "SocketConnectHost=127.0.0.1",
        f"SocketConnectPort={PORT}",
    ]
    if VERSION == "FIXT.1.1":
        lines += ["DefaultApplVerID=9", f"TransportDataDictionary={DICTIONARIES / 'FIXT11.xml'}"]
        lines += [f"AppDataDictionary={DICTIONARIES / 'FIX50SP2.xml'}"]
    else:
        lines += [f"DataDictionary={DICTIONARIES / (VERSION.replace('.', '') + '.xml')}"]
    config = Path(folder) / "quickfix.cfg"
    config.write_text("\n".join(lines) + "\n")
    application = Application()
    settings = fix.SessionSettings(str(config))
    initiator = fix.SocketInitiator(application, fix.FileStoreFactory(settings), settings)
    initiator.start()
    if not application.is_up.wait(20):
        raise SystemExit("no logon")
    for number in range(COUNT):
        fix.Session.sendToTarget(order(f"Q{number}", "1" if number % 2 else "2", 10, None), application.session)
    application.wait(2 * COUNT)
    fix.Session.sendToTarget(order("REST", "1", 10, "1.00"), application.session)
    application.wait(2 * COUNT + 1)
    fix.Session.sendToTarget(cancel("GONE", "REST"), application.session)
    application.wait(2 * COUNT + 2)
    for number, fields in enumerate(SPECIAL):
        fix.Session.sendToTarget(order(f"S{number}", "1", 10, "1.00", fields), application.session)
    application.wait(2 * COUNT + 2 + len(SPECIAL))
    for number in range(len(SPECIAL)):
        fix.Session.sendToTarget(cancel(f"C{number}", f"S{number}"), application.session)
    application.wait(2 * COUNT + 2 + 2 * len(SPECIAL))
    auction = {"FIX.4.2": (), "FIX.4.4": ("A",), "FIXT.1.1": ("A", "Q")}[VERSION]
    fix.Session.sendToTarget(watch("LEVELS", "0", "1", "2", "4", "7", "8", more={}), application.session)
    fix.Session.sendToTarget(watch("ORDERS", "0", "1", "2", *auction, more={266: "N"}), application.session)
    application.wait_for_data(auction)
    initiator.stop()
    special = [report for report in application.reports if report.get(11, "").startswith("S")]
    application.reports = application.reports[: 2 * COUNT + 2]
    kinds = [report.get(150) for report in application.reports]
    print(
        json.dumps(
            {
                "accepted": kinds.count("0"),
                "filled": sum(report[39] == "2" for report in application.reports),
                "canceled": kinds.count("4"),
                "special": sum(report[39] == "0" for report in special) == len(SPECIAL),
                "rejects": application.rejects,
                "out": application.is_out.is_set(),
            }
        )
    )


main()
