"""The conversations of the wire session contract, one case for each role of each protocol."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import msgspec

from txtrader.wire.cqg.schema import ClientMsg, ServerMsg
from txtrader.wire.cqg.session import ClientSession as CqgClientSession
from txtrader.wire.cqg.session import ServerSession as CqgServerSession
from txtrader.wire.fix.framing import encode
from txtrader.wire.fix.message import Message as FixMessage
from txtrader.wire.fix.session import FixSession, Identity, Profile, SessionOptions
from txtrader.wire.fix.store import MemoryStore
from txtrader.wire.line import LineSession
from txtrader.wire.soupbin import ClientSession as SoupClientSession
from txtrader.wire.soupbin import LoginRequested, Stream
from txtrader.wire.soupbin import ServerSession as SoupServerSession
from txtrader.wire.tws.client import ClientSession
from txtrader.wire.tws.message import Message
from txtrader.wire.tws.server import Hello, ServerSession


class Case(msgspec.Struct, kw_only=True):
    """One role of one protocol.

    `opening` brings the session to where it may send; `stream` is a sound conversation with `events` events, `last`
    its last message; `garbage` breaks the protocol at a message's start; `endless` may be repeated for ever without
    an end of message, and must be refused before `bound` bytes.  `react` answers what the peer waits for.
    """

    name: str
    make: Callable[[], Any]
    opening: bytes
    stream: bytes
    last: bytes
    events: int
    garbage: bytes
    endless: bytes
    bound: int
    sendable: Any
    unsendable: Any
    react: Callable[[Any, Any], None] = lambda session, event: None


LINES = [
    b"auth alice secret\n",
    b"add IBM\r\n",
    b"\n",
    b'limitorder IBM 124.5 100 {"client_order_id": "a"}\n',
    b"quit\n",
]

line = Case(
    name="line",
    make=LineSession,
    opening=b"",
    stream=b"".join(LINES),
    last=LINES[-1],
    events=4,
    garbage=b"x" * 9000 + b"\n",
    endless=b"y" * 4096,
    bound=16384,
    sendable=".Authorized tws",
    unsendable="two\nlines",
)


def frame(*fields: str) -> bytes:
    body = "".join(f"{field}\0" for field in fields).encode()
    return struct.pack(">I", len(body)) + body


def hello(text: str) -> bytes:
    return struct.pack(">I", len(text)) + text.encode()


def greet(session: ServerSession, event: Any) -> None:
    if isinstance(event, Hello):
        session.greet(event, "20260105 10:00:00 EST")


TWS_OPENING = b"API\0" + hello("v100..157")
TWS_REQUESTS = [
    frame("71", "2", "7", ""),
    frame("49", "1"),
    frame("8", "1", "1"),
    frame("5", "1"),
    frame("62", "1", "9001", "All", "NetLiquidation,BuyingPower"),
    frame("9999", "1"),  # unknown: an event, not an end
    frame("4", "1", "12"),
]

tws_server = Case(
    name="tws-server",
    make=ServerSession,
    opening=TWS_OPENING,
    stream=TWS_OPENING + b"".join(TWS_REQUESTS),
    last=TWS_REQUESTS[-1],
    events=1 + len(TWS_REQUESTS),
    garbage=b"\xff\xff\xff\xff no frame is so long",
    endless=b"\xff" * 4096,
    bound=16384,
    sendable=Message("currentTime", {"time": 1_767_600_000}),
    unsendable=Message("error", {"reqId": 1, "errorCode": 200, "errorMsg": "a\0b"}),
    react=greet,
)

TWS_ANSWER = frame("157", "20260105 10:00:00 EST")
TWS_RESPONSES = [
    frame("15", "1", "DU1000001"),
    frame("9", "1", "17"),
    frame("4", "2", "-1", "2104", "Market data farm connection is OK:usfarm"),
    frame("1", "6", "9001", "1", "99.50", "300", "1"),  # ours decodes it, the rest is the package's
    frame("2", "6", "9001", "5", "100"),
    frame("49", "1", "1767600000"),
]

tws_client = Case(
    name="tws-client",
    make=lambda: ClientSession(client_id=7),
    opening=TWS_ANSWER,
    stream=TWS_ANSWER + b"".join(TWS_RESPONSES),
    last=TWS_RESPONSES[-1],
    events=1 + len(TWS_RESPONSES),
    garbage=b"\xff\xff\xff\xff no frame is so long",
    endless=b"\xff" * 4096,
    bound=16384,
    sendable=Message("reqCurrentTime"),
    unsendable=Message("noSuchRequest"),
)


def started(session: Any) -> Any:
    session.start()
    return session


FIX_NOW = 1_795_000_000_000_000_000
FIX_STAMP = "20261118-11:06:40.000"


def fix(type: str, number: int, *fields: tuple[int, str], sender: str = "CLIENT", target: str = "VENUE") -> bytes:
    head = [(35, type), (34, str(number)), (49, sender), (52, FIX_STAMP), (56, target)]
    return encode("FIX.4.4", [*head, *fields])


FIX_OPENING = fix("A", 1, (98, "0"), (108, "30"))
FIX_REJECT = fix("3", 6, (45, "1"))
FIX_ORDERS = [
    fix("D", number, (11, f"A{number}"), (38, "100"), (40, "1"), (54, "1"), (55, "IBM"), (60, FIX_STAMP))
    for number in (2, 3, 4)
]

fix_acceptor = Case(
    name="fix-acceptor",
    make=lambda: FixSession(lambda: FIX_NOW, identify=lambda identity, logon: Profile(SessionOptions(), MemoryStore())),
    opening=FIX_OPENING,
    stream=FIX_OPENING
    + b"".join([*FIX_ORDERS, fix("1", 5, (112, "x")), fix("D", 5)[:-3] + b"xx\x01", fix("3", 6, (45, "1"))]),
    last=fix("3", 6, (45, "1")),
    events=5,
    garbage=b"8=FIX.4.4\x019=65000\x01" + b"x" * 70_000,
    endless=b"8=FIX.4.4\x019=65000\x01" + b"x" * 4_000,
    bound=66_000,
    sendable=FixMessage("D", [(11, "B1")]),
    unsendable=FixMessage("D", [(58, "a\x01b")]),
)

FIX_ANSWER = fix("A", 1, (98, "0"), (108, "30"), sender="VENUE", target="CLIENT")
FIX_REPORTS = [fix("9", 2, (11, "1"), (37, "2"), (39, "4"), (41, "1"), (434, "1"), sender="VENUE", target="CLIENT")]

fix_initiator = Case(
    name="fix-initiator",
    make=lambda: started(FixSession(lambda: FIX_NOW, identity=Identity("FIX.4.4", "CLIENT", "VENUE"))),
    opening=FIX_ANSWER,
    stream=FIX_ANSWER + FIX_REPORTS[0],
    last=FIX_REPORTS[0],
    events=2,
    garbage=fix_acceptor.garbage,
    endless=fix_acceptor.endless,
    bound=66_000,
    sendable=FixMessage("D", [(11, "B1")]),
    unsendable=FixMessage("D", [(58, "a\x01b")]),
)


def soup(kind: str, payload: bytes = b"") -> bytes:
    return struct.pack(">H", 1 + len(payload)) + kind.encode() + payload


def admit(session: SoupServerSession, event: Any) -> None:
    if isinstance(event, LoginRequested):
        stream = Stream("DAY1")
        stream.append(b"first")
        session.admit(stream)


SOUP_LOGIN = soup("L", b"ALICE SECRET    " + b" " * 10 + b"1".rjust(20))

soup_server = Case(
    name="soup-server",
    make=SoupServerSession,
    opening=SOUP_LOGIN,
    stream=SOUP_LOGIN + soup("U", b"order 1") + soup("R") + soup("+", b"hello") + soup("U") + soup("U", b"order 2"),
    last=soup("U", b"order 2"),
    events=4,
    garbage=soup("S", b"no client says this"),
    endless=b"\xff" * 4096,
    bound=8192,
    sendable=b"second",
    unsendable=b"x" * 65_535,
    react=admit,
)


def asking(session: SoupClientSession) -> SoupClientSession:
    session.log_in("ALICE", "SECRET")
    return session


SOUP_ANSWER = soup("A", b"DAY1".rjust(10) + b"1".rjust(20))

soup_client = Case(
    name="soup-client",
    make=lambda: asking(SoupClientSession()),
    opening=SOUP_ANSWER,
    stream=SOUP_ANSWER + soup("S", b"one") + soup("H") + soup("+") + soup("S", b"") + soup("U", b"x") + soup("S", b"3"),
    last=soup("S", b"3"),
    events=5,
    garbage=b"\0\0",
    endless=b"\xff" * 4096,
    bound=8192,
    sendable=b"order",
    unsendable=b"x" * 65_535,
)

CASES = [line, tws_server, tws_client, fix_acceptor, fix_initiator, soup_server, soup_client]


class MessageCase(msgspec.Struct, kw_only=True):
    """One role of a protocol that its transport has cut into messages already, such as those over a WebSocket.

    Byte cutting does not apply: one `receive_data` is one whole message, so a cut would be another message and no part
    of one.  Hence no `stream`, no `last` to cut short, and neither `endless` nor `bound`: how long a message may get,
    and that bytes may come in any pieces, is promised by `txtrader/net/websocket.py` (`tests/net/test_websocket.py`).

    `opening` brings the session to where it may send; `messages` are a sound conversation, all of which but `silent`
    of them make an event; `garbage` breaks the protocol.  `begin` is done before, `react` answers what the peer waits
    for.
    """

    name: str
    make: Callable[[], Any]
    opening: list[bytes]
    messages: list[bytes]
    silent: int
    garbage: bytes
    sendable: Any
    unsendable: Any
    begin: Callable[[Any], None] = lambda session: None
    react: Callable[[Any, Any], None] = lambda session, event: None


def cqg_logon() -> Any:
    message = ClientMsg()
    logon = message.logon
    logon.user_name, logon.password, logon.private_label = "trader", "secret", "WebAPITest"
    logon.client_app_id, logon.client_version = "WebAPITest", "1"
    logon.protocol_version_major, logon.protocol_version_minor = 2, 230
    return message


def cqg_logon_result() -> Any:
    message = ServerMsg()
    result = message.logon_result
    result.result_code, result.base_time = 0, "2026-11-20T00:00:00"
    result.protocol_version_major, result.protocol_version_minor = 2, 230
    result.server_time = 0
    return message


def cqg_restore() -> Any:
    message = ClientMsg()
    restore = message.restore_or_join_session
    restore.session_token, restore.client_app_id = "token", "WebAPITest"
    restore.protocol_version_major, restore.protocol_version_minor = 2, 230
    return message


def cqg_restore_result() -> Any:
    message = ServerMsg()
    result = message.restore_or_join_session_result
    result.result_code, result.base_time, result.server_time = 0, "2026-11-20T00:00:00", 0
    return message


def cqg_ping(kind: Any) -> Any:
    message = kind()
    message.ping.token, message.ping.ping_utc_time = "7", 1000
    return message


def cqg_request(number: int) -> Any:
    message = ClientMsg()
    message.information_requests.add(id=number).symbol_resolution_request.symbol = "EP"
    return message


def cqg_report(number: int) -> Any:
    message = ServerMsg()
    message.information_reports.add(id=number, status_code=104)
    return message


def cqg_quote(price: int) -> Any:
    message = ServerMsg()
    message.real_time_market_data.add(contract_id=1).quotes.add(type=0, scaled_price=price)
    return message


def cqg_admit(session: Any, event: Any) -> None:
    if event.HasField("logon"):
        session.send(cqg_logon_result())
    elif event.HasField("restore_or_join_session"):
        session.send(cqg_restore_result())


def cqg_server_case(name: str, first: Any, garbage: Any) -> MessageCase:
    return MessageCase(
        name=name,
        make=lambda: CqgServerSession(lambda: 1_795_000_000_000_000_000, 30.0),
        opening=[first.SerializeToString()],
        messages=[
            message.SerializeToString()
            for message in (first, cqg_request(1), cqg_ping(ClientMsg), cqg_request(2), cqg_request(3))
        ],
        silent=1,
        garbage=garbage.SerializeToString(),
        sendable=cqg_report(1),
        unsendable=ServerMsg(information_reports=[{}]),
        react=cqg_admit,
    )


def cqg_client_case(name: str, first: Any, result: Any, garbage: bytes) -> MessageCase:
    return MessageCase(
        name=name,
        make=lambda: CqgClientSession(lambda: 1_795_000_000_000_000_000, 30.0),
        opening=[result.SerializeToString()],
        messages=[
            message.SerializeToString()
            for message in (result, cqg_report(1), cqg_quote(5), cqg_ping(ServerMsg), cqg_quote(6))
        ],
        silent=1,
        garbage=garbage,
        sendable=cqg_request(1),
        unsendable=ClientMsg(),
        begin=lambda session: session.send(first),
    )


MESSAGE_CASES = [
    cqg_server_case("cqg-server", cqg_logon(), cqg_logon()),  # a second logon breaks it
    cqg_server_case("cqg-server-restored", cqg_restore(), cqg_logon()),
    cqg_client_case("cqg-client", cqg_logon(), cqg_logon_result(), b"\xff\xff no message"),
    cqg_client_case("cqg-client-restored", cqg_restore(), cqg_restore_result(), cqg_logon_result().SerializeToString()),
]
