"""An OUCH client for the simulator endpoint contract: our client session on a socket, and a ledger of its own."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from endpoint_harness import Told
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory

from txtrader.exsim.endpoints.ouch import OuchEndpoint
from txtrader.model.order import Side
from txtrader.net.pump import Pump
from txtrader.wire.ouch.codec import Codec, OuchMessage
from txtrader.wire.soupbin import ClientSession, LoggedOn, Sequenced

__all__ = ["OuchHarness"]

_SIDES = {Side.BUY: "B", Side.SELL: "S"}


class OuchHarness:
    """One client of one simulated OUCH venue; orders are called by numbers on the wire, by names in the contract."""

    cancels_on_disconnect = False
    has_market_data = False
    is_silent = True  # about cancels of nothing

    def __init__(self, reactor: Any, endpoint: OuchEndpoint, symbol: str) -> None:
        self._reactor = reactor
        self._endpoint = endpoint
        self._symbol = symbol
        self._version = endpoint.options.version
        self._codec = Codec(self._version)
        self.can_mass_cancel = self._version == "5.0"
        self._number = 0
        self._names: dict[int, str] = {}
        self._numbers: dict[str, int] = {}
        self._open: dict[str, int] = {}
        self._prices: dict[str, Decimal] = {}
        self._next = 1
        self._waiting: list[tuple[Any, Deferred[Any]]] = []
        self.told: list[Told] = []

    async def log_in(self) -> None:
        session = ClientSession()
        session.log_in("alice", "", sequence=self._next)
        self._lost: Deferred[None] = Deferred()
        self._ready: Deferred[None] = Deferred()
        self._pump = Pump(session, self._reactor, self._hear, lambda failure: self._lost.callback(None))
        place = TCP4ClientEndpoint(self._reactor, "127.0.0.1", self._endpoint.port)
        await place.connect(Factory.forProtocol(lambda: self._pump))
        await self._ready

    async def log_out(self) -> None:
        self._pump.session.log_out()
        self._pump.flush()
        await self._lost

    async def subscribe(self) -> None:
        raise AssertionError("OUCH has no market data")

    def _send(self, name: str, **fields: Any) -> None:
        self._pump.send(self._codec.write(OuchMessage(name, fields)))

    def _name(self, name: str, *, is_new: bool = False) -> Any:
        if is_new:
            self._number += 1
            self._names[self._number] = name
            self._numbers[name] = self._number
        number = self._numbers.get(name, 999)
        return f"T{number}" if self._version == "4.2" else number

    def place(self, name: str, side: Side, quantity: int, price: str) -> None:
        self._enter(name, _SIDES[side], quantity, price)

    def _enter(self, name: str, side: str, quantity: int, price: str) -> None:
        given: dict[str, Any] = {"side": side, "price": int(Decimal(price) * 10_000), "display": "Y"}
        given.update(capacity="P", iso="N", cross="N")
        if self._version == "4.2":
            given.update(token=self._name(name, is_new=True), shares=quantity, stock=self._symbol, tif=99_998)
            given.update(firm="", min_qty=0, customer="")
        else:
            given.update(user_ref=self._name(name, is_new=True), quantity=quantity, symbol=self._symbol, tif="0")
            given.update(cl_ord_id="")
        self._send("EnterOrder", **given)

    def replace(self, name: str, quantity: int, price: str) -> None:
        old = self._name(name)
        new = self._name(name, is_new=True)
        ticks = int(Decimal(price) * 10_000)
        if self._version == "4.2":
            self._send(
                "ReplaceOrder", existing_token=old, replacement_token=new, shares=quantity, price=ticks, tif=99_998,
                display="Y", iso="N", min_qty=0,
            )  # fmt: skip
        else:
            self._send(
                "ReplaceOrder", orig_user_ref=old, user_ref=new, quantity=quantity, price=ticks, tif="0", display="Y",
                iso="N", cl_ord_id="",
            )  # fmt: skip

    def cancel(self, name: str) -> None:
        if self._version == "4.2":
            self._send("CancelOrder", token=self._name(name), shares=0)
        else:
            self._send("CancelOrder", user_ref=self._name(name), quantity=0)

    def mass_cancel(self) -> None:
        self._send("MassCancel", user_ref=self._name("mass cancel", is_new=True), firm="", symbol="")

    async def status_of(self, name: str) -> str | None:
        """Tell what the client knows; what it sent before is answered first, since a question that fails is."""
        mark = len(self.told)
        self._enter("question", "?", 1, "1.00")
        await self.until("rejected", "question", since=mark)
        return "open" if name in self._open else None

    def until(self, what: str, name: str = "", *, since: int = 0, price: Decimal | None = None) -> Deferred[Told]:
        def fits(told: Told) -> bool:
            return told.what == what and told.name in (name, "") and price in (None, told.price)

        waiting: Deferred[Told] = Deferred()
        for told in self.told[since:]:
            if fits(told):
                waiting.callback(told)
                return waiting
        self._waiting.append((fits, waiting))
        return waiting.addTimeout(10, self._reactor)

    def _hear(self, event: Any) -> None:
        if isinstance(event, LoggedOn):
            self._ready.callback(None)
            return
        assert isinstance(event, Sequenced) and event.number == self._next, event
        self._next += 1
        told = self._read(self._codec.read_response(event.data))
        if told is None:
            return
        self.told.append(told)
        for entry in list(self._waiting):
            fits, waiting = entry
            if fits(told):
                self._waiting.remove(entry)
                waiting.callback(told)

    def _read(self, message: OuchMessage) -> Told | None:
        fields = message.fields
        word = fields.get("token", fields.get("replacement_token", fields.get("user_ref")))
        if word is None:
            return None
        name = self._names.get(int(word[1:]) if isinstance(word, str) else word, "")
        shares = fields.get("shares", fields.get("quantity", fields.get("decrement", 0)))
        price = fields.get("exec_price", fields.get("price"))
        amount = None if price is None else Decimal(price) / 10_000
        if message.name in ("Accepted", "Replaced"):
            self._open[name] = shares
            return Told("accepted", name, Decimal(shares), amount)
        if message.name in ("Executed", "Canceled"):
            self._open[name] -= shares
            if not self._open[name]:
                del self._open[name]
            return Told("filled" if message.name == "Executed" else "canceled", name, Decimal(shares), amount)
        return Told("rejected", name) if message.name == "Rejected" else None
