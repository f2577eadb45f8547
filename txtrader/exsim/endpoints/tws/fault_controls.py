"""Faults on command: plain methods that tests and scripts call on the endpoint."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from txtrader.exsim.endpoints.message_faults import Delay, Duplicate, Faults, Reorder, Rule
from txtrader.exsim.records import Fill

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.tws.connection import TwsConnection
    from txtrader.exsim.endpoints.tws.order_desk import OrderDesk
    from txtrader.exsim.venue import Venue

__all__ = ["FaultControls"]

ORDER_MESSAGES = frozenset({"openOrder", "orderStatus", "execDetails", "commissionReport"})

NOTICES: dict[int, str] = {
    1100: "Connectivity between IB and Trader Workstation has been lost.",
    1101: "Connectivity between IB and Trader Workstation has been restored - data lost.",
    1102: "Connectivity between IB and Trader Workstation has been restored - data maintained.",
    1300: "TWS socket port has been reset and this connection is being dropped.",
    2103: "Market data farm connection is broken:usfarm",
    2104: "Market data farm connection is OK:usfarm",
    2105: "HMDS data farm connection is broken:ushmds",
    2106: "HMDS data farm connection is OK:ushmds",
    2107: "HMDS data farm connection is inactive but should be available upon demand.ushmds",
    2108: "Market data farm connection is inactive but should be available upon demand.usfarm",
    2110: "Connectivity between Trader Workstation and server is broken. It will be restored automatically.",
    2119: "Market data farm is connecting:usfarm",
    2157: "Sec-def data farm connection is broken:secdefil",
    2158: "Sec-def data farm connection is OK:secdefil",
}


class FaultControls:
    """The controls; `TwsEndpoint` has them all.  Each says what it does to whom, and nothing else changes."""

    venue: Venue
    reactor: Any
    desk: OrderDesk
    faults: Faults
    connections: list[TwsConnection]
    by_client: dict[int, TwsConnection]
    bulletins: list[tuple[int, str, str]]
    is_silent: bool
    is_deaf: bool
    _is_refusing: bool

    # -- connections

    def drop_connections(self, *, client_id: int | None = None) -> int:
        """Cut every connection (or one client's) at once; return how many."""
        doomed = [c for c in self.connections if client_id is None or c.client_id == client_id]
        for connection in doomed:
            connection.drop()
        return len(doomed)

    def refuse(self, is_refusing: bool = True) -> None:
        """Close the port, so that connecting is refused; False opens it again, the same number."""
        self._is_refusing = is_refusing
        if is_refusing:
            self._unlisten()
        else:
            self._listen()

    def refuse_for(self, seconds: float) -> None:
        """Close the port for a while."""
        self.refuse()
        self.reactor.callLater(seconds, self._open_again)

    def restart(self, *, next_valid_id: int | None = None, down_for: float = 0.0) -> None:
        """Restart as TWS does each day: everyone is dropped, orders that were never transmitted are gone.

        With `next_valid_id` the ids go back to that number, so that ids already used are given out again.  The port
        is closed for `down_for` seconds.
        """
        self.drop_connections()
        self.desk.restart(next_valid_id)
        if down_for > 0:
            self.refuse_for(down_for)

    def go_silent(self, is_silent: bool = True, *, hears: bool = False) -> None:
        """Say nothing any more on any connection, old or new, as a peer that vanished; False ends it.

        What clients send meanwhile is not heard, or, with `hears`, carried out without a word.
        """
        self.is_silent = is_silent
        self.is_deaf = is_silent and not hears

    def drop_after(self, messages: int | None) -> None:
        """Cut the connection on which the last of so many further messages is sent; None takes it back."""
        self.faults.count_down(messages)

    # -- notices

    def send_notice(self, code: int, text: str | None = None, *, req_id: int = -1) -> None:
        """Send an error, warning or notice to every client; known codes have their text."""
        for connection in list(self.by_client.values()):
            connection.error(req_id, code, text if text is not None else NOTICES.get(code, f"Notice {code}"))

    def compete(self) -> None:
        """Let another login take the market data: 10197 on every line, then no more ticks until `stop_competing`."""
        for connection in list(self.by_client.values()):
            connection.lose_data_to_competitor()

    def stop_competing(self) -> None:
        """Give the market data back: the lines tick again."""
        for connection in list(self.by_client.values()):
            connection.regain_data()

    def send_bulletin(self, text: str, *, is_exchange_news: bool = False, exchange: str = "") -> None:
        """Send a news bulletin to the clients that asked for bulletins."""
        self.bulletins.append((2 if is_exchange_news else 1, text, exchange))
        for connection in list(self.by_client.values()):
            connection.send_bulletin(len(self.bulletins))

    # -- messages

    def withhold(self, *names: str, count: int | None = None, client_id: int | None = None) -> Rule:
        """Do not send messages of these names (`openOrderEnd`, `execDetailsEnd`, ...): `count` of them or all."""
        return self.faults.add(Rule(self.faults, frozenset(names), count, client_id))

    def delay(self, seconds: float, *names: str, count: int | None = None, client_id: int | None = None) -> Rule:
        """Send messages of these names later; without names the order messages."""
        return self.faults.add(Delay(self.faults, _names(names), count, client_id, seconds=seconds))

    def duplicate(self, *names: str, count: int | None = None, client_id: int | None = None) -> Rule:
        """Send messages of these names twice; without names the order messages."""
        return self.faults.add(Duplicate(self.faults, _names(names), count, client_id))

    def reorder(self, *names: str, count: int | None = None, client_id: int | None = None) -> Rule:
        """Swap each two messages of these names; without names the order messages."""
        return self.faults.add(Reorder(self.faults, _names(names), count, client_id))

    def delay_acknowledgements(self, seconds: float) -> Rule:
        """Send openOrder and orderStatus later."""
        return self.delay(seconds, "openOrder", "orderStatus")

    def delay_commissions(self, seconds: float) -> Rule:
        """Send commission reports later."""
        return self.delay(seconds, "commissionReport")

    def send_raw(self, body: bytes) -> None:
        """Send every client a message body as it is: unknown ids, text that is no ASCII, fields too few or many."""
        for connection in list(self.by_client.values()):
            connection.send_raw(body)

    def end_message_faults(self) -> None:
        """Take every rule out; delayed messages are lost, messages held back for a swap as well."""
        self.faults.clear()

    # -- what the venue decides

    def correct(self, exec_id: str, *, price: Decimal | None = None, quantity: Decimal | None = None) -> Fill:
        """Correct an execution; its owner gets it again with the next revision of its id."""
        return self.venue.correct(exec_id, price=price, quantity=quantity)

    def bust(self, exec_id: str) -> Fill:
        """Take an execution back; its owner gets it again with the next revision and no shares."""
        return self.venue.bust(exec_id)

    # -- the inside

    def _open_again(self) -> None:
        if self._is_refusing:
            self.refuse(False)

    def _listen(self) -> int:
        raise NotImplementedError

    def _unlisten(self) -> Deferred[None]:
        raise NotImplementedError


def _names(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names) or ORDER_MESSAGES
