"""Faults on command: plain methods that tests and scripts call on the endpoint."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed

from txtrader.exsim.endpoints.fault_controls import EndpointFaults
from txtrader.exsim.records import Fill
from txtrader.wire.cqg.words import LogoffReason, LogonCode, MessageType, RestoreCode
from txtrader.wire.cqg.words import TransactionStatus as Step

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.cqg.connection import CqgConnection
    from txtrader.exsim.endpoints.cqg.listings import ListingNames
    from txtrader.exsim.endpoints.cqg.user_session import UserSession
    from txtrader.exsim.venue import Venue

__all__ = ["FaultControls"]


class FaultControls(EndpointFaults):
    """The controls; `CqgEndpoint` has them all.  Each says what it does to whom, and nothing else changes.

    The name that a rule goes by is the field of ServerMsg (`information_reports`); of orders it may go on with the
    step of the last transaction (`order_statuses.FILL`), `order_statuses` alone means all of them.
    """

    venue: Venue
    names: ListingNames
    connections: list[CqgConnection]
    logon_failures: deque[tuple[LogonCode, str, str]]
    restore_failures: deque[tuple[RestoreCode, str]]
    revoked: set[str]
    is_silent: bool
    is_deaf: bool
    most_level: int | None
    pong_delay: float
    _is_refusing: bool
    _order_messages = frozenset({"order_statuses"})

    # -- connections

    def refuse(self, is_refusing: bool = True) -> Deferred[None]:
        """Cut new connections at once, or take them again; the port stays open, as that of a balancer does."""
        self._is_refusing = is_refusing
        return succeed(None)

    def refuse_for(self, seconds: float) -> None:
        """Cut new connections for a while."""
        self.refuse()
        self.reactor.callLater(seconds, self.refuse, False)

    def go_silent(self, is_silent: bool = True, *, hears: bool = False) -> None:
        """Keep the sockets and say nothing any more; unless it `hears`, requests have no effect either."""
        self.is_silent = is_silent
        self.is_deaf = is_silent and not hears

    def delay_pongs(self, seconds: float) -> None:
        """Answer pings so much later; 0 at once again."""
        self.pong_delay = seconds

    def break_off(self, text: str = "a limit was exceeded") -> None:
        """Close all connections, each with a user message before, as for a broken limit."""
        for connection in self._logged_on():
            connection.break_off(text)

    # -- sessions

    def fail_logon(
        self, code: LogonCode, text: str = "refused by the simulator", *, times: int = 1, redirect_url: str = ""
    ) -> None:
        """Answer the next logons with a failure code, 106 with the address to go to."""
        self.logon_failures.extend([(code, text, redirect_url)] * times)

    def fail_restore(self, code: RestoreCode, text: str = "refused by the simulator", *, times: int = 1) -> None:
        """Answer the next restores and joins with a failure code."""
        self.restore_failures.extend([(code, text)] * times)

    def force_logoff(self, text: str = "ended by the simulator", *, redirect_url: str = "") -> None:
        """End all sessions by force, or with an address send the clients there."""
        reason = LogoffReason.REDIRECTED if redirect_url else LogoffReason.FORCED
        for connection in list(self.connections):
            session = connection.user_session
            connection.log_off(reason, text, redirect_url)
            self.end_session(session)

    def forget_sessions(self) -> None:
        """Let all tokens be unknown from now on, as a restarted server does; connections stay."""
        raise NotImplementedError

    def send_user_message(self, kind: MessageType, text: str) -> None:
        """Tell everybody something."""
        for connection in self._logged_on():
            connection.tell_user(kind, text)

    # -- data

    def lose_market_data(self, is_lost: bool = True) -> None:
        """Report all market data subscriptions as disconnected, or as back (a new snapshot follows)."""
        for connection in self._logged_on():
            if connection.market is not None:
                connection.market.interrupt(is_lost)

    def lose_information(self, is_lost: bool = True) -> None:
        """Report all subscribed information requests as disconnected (4), or as subscribed again (1)."""
        for connection in self._logged_on():
            if connection.reference is not None:
                connection.reference.interrupt(is_lost)

    def lose_trading(self, is_lost: bool = True) -> None:
        """Report all trade subscriptions as disconnected and tell them nothing; or as back, with new snapshots."""
        for connection in self._logged_on():
            if connection.trading is not None:
                connection.trading.interrupt(is_lost)

    def lose_bars(self, is_lost: bool = True) -> None:
        """Report all subscribed bars as disconnected (4), or as subscribed again (1), from their beginning."""
        for connection in self._logged_on():
            if connection.history is not None:
                connection.history.interrupt(is_lost)

    def invalidate_bars(self) -> None:
        """Tell the subscribers of bars that what they have is wrong (5): they have to ask again."""
        for connection in self._logged_on():
            if connection.history is not None:
                connection.history.invalidate()

    def repeat_snapshots(self) -> None:
        """Send every subscriber of market data a snapshot again."""
        for connection in self._logged_on():
            if connection.market is not None:
                connection.market.repeat_snapshots()

    def lower_level(self, most: int | None) -> None:
        """Grant market data up to this level at most, from the next subscription on; None grants all."""
        self.most_level = most

    def roll(self, root: str) -> None:
        """Let the next month of a root be the most active one, and tell who asked for it."""
        self.names.roll(root)
        self.contracts_changed()

    def contracts_changed(self) -> None:
        """Tell the subscribers of symbols what these stand for now, where that is something new."""
        for connection in self._logged_on():
            if connection.reference is not None:
                connection.reference.contracts_changed()

    def revoke(self, account: str, is_revoked: bool = True) -> None:
        """Take the access to an account away, or give it back, and tell who subscribed to the accounts."""
        if is_revoked:
            self.revoked.add(account)
        else:
            self.revoked.discard(account)
        for connection in self._logged_on():
            if connection.reference is not None:
                connection.reference.accounts_changed()

    # -- messages

    def send_raw(self, data: bytes) -> None:
        """Send every client a WebSocket message of these bytes, wrong on purpose."""
        for connection in self._logged_on():
            connection.send_raw(data)

    # -- what the venue decides

    def correct(self, exec_id: str, *, price: Decimal | None = None, quantity: Decimal | None = None) -> Fill:
        """Correct a fill."""
        return self.venue.correct(exec_id, price=price, quantity=quantity)

    def bust(self, exec_id: str) -> Fill:
        """Take a fill back."""
        return self.venue.bust(exec_id)

    # -- the inside

    def _logged_on(self) -> list[CqgConnection]:
        return [connection for connection in self.connections if connection.user_session is not None]

    def end_session(self, session: UserSession | None) -> None:
        """Forget a session."""
        raise NotImplementedError

    def _meant(self, names: Sequence[str]) -> frozenset[str]:
        found = super()._meant(names)
        if "order_statuses" in found:
            found |= {f"order_statuses.{step.name}" for step in Step}
        return found
