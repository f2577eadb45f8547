"""Faults on command: plain methods that tests and scripts call on the endpoint."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from txtrader.exsim.endpoints.fault_controls import EndpointFaults
from txtrader.exsim.endpoints.message_faults import Delay, Duplicate, Reorder, Rule
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


class FaultControls(EndpointFaults):
    """The controls; `TwsEndpoint` has them all.  Each says what it does to whom, and nothing else changes.

    With a `client_id` a rule is for what that client is sent.
    """

    venue: Venue
    desk: OrderDesk
    connections: list[TwsConnection]
    by_client: dict[int, TwsConnection]
    bulletins: list[tuple[int, str, str]]
    is_silent: bool
    is_deaf: bool
    _order_messages = ORDER_MESSAGES

    # -- connections

    def drop_connections(self, *, client_id: int | None = None) -> int:
        """Cut every connection (or one client's) at once; return how many."""
        doomed = [c for c in self.connections if client_id is None or c.client_id == client_id]
        for connection in doomed:
            connection.drop()
        return len(doomed)

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
        return self._rule(Rule, names, count, client_id)

    def delay(self, seconds: float, *names: str, count: int | None = None, client_id: int | None = None) -> Rule:
        return self._rule(Delay, names, count, client_id, seconds=seconds)

    def duplicate(self, *names: str, count: int | None = None, client_id: int | None = None) -> Rule:
        return self._rule(Duplicate, names, count, client_id)

    def reorder(self, *names: str, count: int | None = None, client_id: int | None = None) -> Rule:
        return self._rule(Reorder, names, count, client_id)

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

    # -- what the venue decides

    def correct(self, exec_id: str, *, price: Decimal | None = None, quantity: Decimal | None = None) -> Fill:
        """Correct an execution; its owner gets it again with the next revision of its id."""
        return self.venue.correct(exec_id, price=price, quantity=quantity)

    def bust(self, exec_id: str) -> Fill:
        """Take an execution back; its owner gets it again with the next revision and no shares."""
        return self.venue.bust(exec_id)
