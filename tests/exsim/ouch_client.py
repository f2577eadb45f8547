"""An OUCH client for tests that shares no code with ours: packets and layouts are written out here once more.

Both versions have one face, so that one script can be played in each: orders are called by numbers (4.2: token `T7`,
5.0: UserRefNum 7), prices are text, and what was told is a `Told` with the same names of fields.
"""

from __future__ import annotations

import struct
from decimal import Decimal
from typing import Any

from exsim_venue import A, B, Stage
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.python.failure import Failure

from txtrader.exsim.endpoints.ouch import OuchEndpoint, OuchOptions, OuchUser
from txtrader.testing.network import MemoryNetwork

USERS = {
    "ALICE": OuchUser(password="secret", firms={"AAAA": A, "AACC": A}),
    "BOB": OuchUser(firms={"BBBB": B}),
}
MARKET = {"4.2": 0x7FFFFFFF, "5.0": 2_000_000_000}
LIVES = {"4.2": {"ioc": 0, "market": 99_998, "system": 99_999}, "5.0": {"ioc": "3", "market": "0", "system": "5"}}

_TOLD_42 = {
    "S": (">Qc", "time event"),
    "A": (">Q14scI8sII4scQccIccc", "time name side shares stock price tif firm display ref capacity iso min_qty cross "
          "state bbo"),
    "U": (">Q14scI8sII4scQccIcc14sc", "time name side shares stock price tif firm display ref capacity iso min_qty "
          "cross state old bbo"),
    "C": (">Q14sIc", "time name shares reason"),
    "D": (">Q14sIcIIc", "time name shares reason prevented price liquidity"),
    "E": (">Q14sIIcQ", "time name shares price liquidity match"),
    "G": (">Q14sIIcQIc", "time name shares price liquidity match ref_price ref_type"),
    "F": (">Q14sIIcQc", "time name shares price liquidity match reason"),
    "B": (">Q14sQc", "time name match reason"),
    "K": (">Q14sQIc", "time name match price reason"),
    "J": (">Q14sc", "time name reason"),
    "P": (">Q14s", "time name"),
    "I": (">Q14s", "time name"),
    "T": (">Q14sIcQ", "time name price display ref"),
    "M": (">Q14scI", "time name side shares"),
}  # fmt: skip
_TOLD_50 = {
    "S": (">Qc", "time event"),
    "A": (">QIcI8sQccQcccc14s", "time name side shares stock price tif display ref capacity iso cross state text"),
    "U": (">QIIcI8sQccQcccc14s", "time old name side shares stock price tif display ref capacity iso cross state text"),
    "C": (">QIIc", "time name shares reason"),
    "D": (">QIIcIQcc", "time name shares reason prevented price liquidity strategy"),
    "E": (">QIIQcQ", "time name shares price liquidity match"),
    "B": (">QIQc14s", "time name match reason text"),
    "J": (">QIH14s", "time name reason text"),
    "P": (">QI", "time name"),
    "I": (">QI", "time name"),
    "T": (">QIQcQ", "time name price display ref"),
    "M": (">QIcI", "time name side shares"),
    "R": (">QIc", "time name reason"),
    "X": (">QI4s8s", "time name firm stock"),
    "G": (">QI4s", "time name firm"),
    "K": (">QI4s", "time name firm"),
    "Q": (">QI", "time next"),
}  # fmt: skip
_TOLD = {"4.2": _TOLD_42, "5.0": _TOLD_50}


class Told:
    """One message of the venue: its letter, its number in the stream, its fields by name, its tags by number."""

    def __init__(self, version: str, number: int, data: bytes) -> None:
        self.letter = chr(data[0])
        self.number = number
        form, names = _TOLD[version][self.letter]
        size = struct.calcsize(form)
        values = struct.unpack(form, data[1 : 1 + size])
        texts = [value.decode("latin-1").rstrip(" ") if isinstance(value, bytes) else value for value in values]
        self.fields: dict[str, Any] = dict(zip(names.split(), texts, strict=True))
        for key in ("name", "old"):
            if key in self.fields and version == "4.2":
                token = self.fields[key]
                self.fields[key] = int(token[1:]) if token[1:].isdecimal() else token
        for key in ("price", "ref_price"):
            if key in self.fields:
                self.fields[key] = Decimal(self.fields[key]) / 10_000
        rest = data[1 + size :]
        self.tags: dict[int, bytes] | None = None
        if rest:
            self.tags = {}
            assert int.from_bytes(rest[:2], "big") == len(rest) - 2
            place = 2
            while place < len(rest):
                length = rest[place]
                self.tags[rest[place + 1]] = rest[place + 2 : place + 1 + length]
                place += 1 + length

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def __repr__(self) -> str:
        return f"{self.letter}{self.number} {self.fields} {self.tags}"

    def brief(self, *names: str) -> tuple[Any, ...]:
        """Return the letter, then the fields of these names, by default the order's and how many shares."""
        wanted = names or [name for name in ("name", "shares") if name in self.fields]
        return (self.letter, *(str(value) if isinstance(value := self[n], Decimal) else value for n in wanted))


class _Wire(Protocol):
    def __init__(self, client: OuchClient) -> None:
        self._client = client

    def dataReceived(self, data: bytes) -> None:
        self._client.arrived(data)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._client.is_closed = True


class _Factory(ClientFactory):
    noisy = False

    def __init__(self, client: OuchClient) -> None:
        self._client = client

    def buildProtocol(self, addr: object) -> _Wire:
        self._client.wire = _Wire(self._client)
        return self._client.wire


class OuchClient:
    """One connection.  `next_number` is that of the next sequenced packet; `packets` are those that are not (H, A, J,
    Z); `told` is what `take` has not returned yet."""

    def __init__(self, room: Room, user: str = "alice") -> None:
        self.room, self.version, self.user = room, room.version, user
        self.is_closed = False
        self.packets: list[tuple[str, bytes]] = []
        self.told: list[Told] = []
        self.next_number = 0
        self.last = 0
        self._in = b""
        self.wire: Any = None
        room.network.connectTCP("127.0.0.1", room.endpoint.port, _Factory(self))
        room.run()

    # -- packets

    def packet(self, kind: str, payload: bytes = b"") -> None:
        self.wire.transport.write(struct.pack(">Hc", 1 + len(payload), kind.encode()) + payload)
        self.room.run()

    def log_in(self, password: str = "secret", session: str = "", sequence: int = 1) -> str:
        """Log in; return the kind of the answer."""
        self.packet(
            "L", b"%-6s%-10s%10s%20d" % (self.user.encode(), password.encode(), session.encode(), sequence)
        )  # fmt: skip
        return self.packets[0][0] if self.packets else ""

    @property
    def session(self) -> str:
        """The name of the session that was joined."""
        (found,) = [payload for kind, payload in self.packets if kind == "A"]
        return found[:10].decode().strip()

    def close(self) -> None:
        self.wire.transport.loseConnection()
        self.room.run()

    def arrived(self, data: bytes) -> None:
        self._in += data
        while len(self._in) >= 3:
            size = int.from_bytes(self._in[:2], "big")
            if len(self._in) < 2 + size:
                return
            kind, payload = chr(self._in[2]), self._in[3 : 2 + size]
            self._in = self._in[2 + size :]
            if kind == "S":
                self.told.append(Told(self.version, self.next_number, payload))
                self.next_number += 1
                continue
            if kind == "A":
                self.next_number = int(payload[10:])
            if kind != "H":
                self.packets.append((kind, payload))

    def take(self) -> list[Told]:
        """Return what was told since the last time."""
        self.room.run()
        told, self.told = self.told, []
        return told

    def briefs(self, *names: str) -> list[tuple[Any, ...]]:
        return [one.brief(*names) for one in self.take()]

    # -- requests

    def raw(self, data: bytes) -> None:
        self.packet("U", data)

    def enter(
        self, name: int, side: str, shares: int, price: str | None, *, stock: str = "ACME", life: Any = "market",
        display: str = "Y", capacity: str = "P", iso: str = "N", cross: str = "N", firm: str = "", min_qty: int = 0,
        text: str = "", tags: bytes = b"", **wrong: Any,
    ) -> None:  # fmt: skip
        lives = LIVES[self.version]
        tif = lives.get(life, life) if isinstance(life, str) else life
        ticks = wrong.get("ticks") or (MARKET[self.version] if price is None else int(Decimal(price) * 10_000))
        a, b, c, d, e = (one.encode() for one in (side, display, capacity, iso, cross))
        if self.version == "4.2":
            token = wrong.get("token", f"T{name}").encode()
            self.raw(struct.pack(
                ">c14scI8sII4scccIcc", b"O", token.ljust(14), a, shares, stock.encode().ljust(8), ticks, tif,
                firm.encode().ljust(4), b, c, d, min_qty, e, b" ",
            ))  # fmt: skip
            return
        if firm:
            tags += b"\5\2" + firm.encode().ljust(4)
        if min_qty:
            tags += struct.pack(">BBI", 5, 3, min_qty)
        self.raw(struct.pack(
            ">cIcI8sQccccc14sH", b"O", name, a, shares, stock.encode().ljust(8), ticks, tif.encode(), b, c, d, e,
            text.encode().ljust(14), len(tags),
        ) + tags)  # fmt: skip

    def replace(
        self, old: int, name: int, shares: int, price: str, *, life: str = "market", display: str = "Y",
        tags: bytes = b"", text: str = "",
    ) -> None:  # fmt: skip
        tif, ticks = LIVES[self.version][life], int(Decimal(price) * 10_000)
        if self.version == "4.2":
            names = (f"T{old}".encode().ljust(14), f"T{name}".encode().ljust(14))
            self.raw(struct.pack(">c14s14sIIIccI", b"U", *names, shares, ticks, tif, display.encode(), b"N", 0))
            return
        self.raw(struct.pack(
            ">cIIIQccc14sH", b"U", old, name, shares, ticks, tif.encode(), display.encode(), b"N",
            text.encode().ljust(14), len(tags),
        ) + tags)  # fmt: skip

    def cancel(self, name: int, shares: int = 0, tags: bytes | None = None) -> None:
        if self.version == "4.2":
            self.raw(struct.pack(">c14sI", b"X", f"T{name}".encode().ljust(14), shares))
        else:
            end = b"" if tags is None else struct.pack(">H", len(tags)) + tags
            self.raw(struct.pack(">cII", b"X", name, shares) + end)

    def modify(self, name: int, side: str, shares: int) -> None:
        if self.version == "4.2":
            self.raw(struct.pack(">c14scI", b"M", f"T{name}".encode().ljust(14), side.encode(), shares))
        else:
            self.raw(struct.pack(">cIcI", b"M", name, side.encode(), shares))


class Room(Stage):
    """A small venue with an OUCH port, in memory, on a clock that only the test moves."""

    def __init__(self, version: str = "5.0", *, latency: float = 0.0, options: Any = None, **venue: Any) -> None:
        super().__init__(**venue)
        self.version = version
        self.network = MemoryNetwork(self.clock, latency=latency)
        given = {"version": version, "users": USERS, **(options or {})}
        self.endpoint = OuchEndpoint(self.venue, self.network, options=OuchOptions(**given))
        self.endpoint.start()

    def run(self) -> None:
        """Let everything arrive that is under way."""
        self.clock.advance(0)

    def client(self, user: str = "alice", **login: Any) -> OuchClient:
        """Return a client that has logged in and taken the start of the day."""
        client = OuchClient(self, user)
        assert client.log_in(**login) == "A", client.packets
        client.take()
        return client

    def ignored(self) -> list[tuple[Any, ...]]:
        """What the tape says was answered by silence: user, message, name."""
        return [record[3:6] for record in self.venue.tape.of_kind("ouch_ignored")]

    def close(self) -> None:
        self.endpoint.stop()
        self.venue.stop()
        self.clock.advance(60)
        assert self.clock.getDelayedCalls() == []
